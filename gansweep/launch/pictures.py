"""Samples as a picture: a grid of images, a cloud of points, or lines of text."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from gansweep.data.cache import to_uint8
from gansweep.data.opened import OpenData
from gansweep.data.training_set import TextSet
from gansweep.randomness import stream

SAMPLES_SHOWN = 64
CLOUD_PIXELS = 320
REAL_POINTS = 2_000


def picture(samples: Tensor, data: OpenData) -> bytes:
    """A PNG of samples [num, *shape] of a generator that was trained on `data`."""
    if data.images is not None:
        return sample_grid(to_uint8(samples[:SAMPLES_SHOWN]))
    if isinstance(data.training, TextSet):
        return _lines(data.training.decode(samples[: SAMPLES_SHOWN // 2]))
    return _cloud(samples.cpu().numpy(), data)


def sample_grid(pixels: Tensor) -> bytes:
    """A PNG of uint8 images [n, channels, height, width] in rows of eight."""
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    return _png(to_pil_image(make_grid(pixels.cpu(), nrow=8, padding=1, pad_value=255)))


def _cloud(points: np.ndarray, data: OpenData) -> bytes:
    """Generated points (orange) over the real ones (grey), in the real ones' range widened by a quarter."""
    training = data.training
    if training.num_rows is None:
        real = training.draw(REAL_POINTS, stream("cpu", 0, "picture")).x.cpu().numpy()
    else:
        real = training.rows(torch.arange(min(REAL_POINTS, training.num_rows))).x.cpu().numpy()
    # one axis alone is drawn as a line
    real, points = (np.column_stack([cloud, np.zeros(len(cloud))])[:, :2] for cloud in (real, points))
    middle, half = (real.max(0) + real.min(0)) / 2, 0.625 * float((real.max(0) - real.min(0)).max())
    canvas = np.full((CLOUD_PIXELS, CLOUD_PIXELS, 3), 255, dtype=np.uint8)
    for cloud, colour in ((real, (170, 170, 170)), (points, (213, 94, 0))):
        finite = cloud[np.isfinite(cloud).all(axis=1)]
        place = np.rint(((finite - middle) / half + 1) / 2 * (CLOUD_PIXELS - 1))
        place = place[((place >= 0) & (place < CLOUD_PIXELS)).all(axis=1)].astype(int)
        canvas[CLOUD_PIXELS - 1 - place[:, 1], place[:, 0]] = colour
    return _png(Image.fromarray(canvas))


def _lines(lines: list[str]) -> bytes:
    height = 14
    image = Image.new("RGB", (10 + 8 * max(map(len, lines)), 10 + height * len(lines)), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((5, 5 + height * number), line, fill="black")
    return _png(image)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
