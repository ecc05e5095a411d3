"""How alike the images of one class are: the diversity of a conditional generator, by MS-SSIM."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gansweep.data.opened import OpenData
from gansweep.metrics.features import Arrays, keep_arrays, read_arrays
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

# Wang, Simoncelli and Bovik 2003: the weights of the scales, finest first, and the constants of a scale
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_BATCH_SIZE = 256  # pairs compared at once


def num_scales(size: int) -> int:
    """On how many of the five scales images of size x size pixels hold a window of 11 pixels; each halves the size."""
    return sum(size >> scale >= _WINDOW for scale in range(len(_WEIGHTS)))


def ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """The multi-scale structural similarity of image pairs [n, C, H, W] with values 0..255: float64 [n] in [0, 1].

    Wang et al. 2003, per channel, then the mean over channels. Five scales need 176 pixels: smaller images have as many
    as fit, with the same weights divided by their sum. A negative factor, which has no fractional power, counts as 0.
    `ValueError` for images below 11 pixels.
    """
    scales = num_scales(min(x.shape[2:]))
    if scales == 0:
        raise ValueError(f"MS-SSIM needs images of {_WINDOW}x{_WINDOW} pixels, not {x.shape[2]}x{x.shape[3]}")
    x, y = x.double(), y.double()
    product = torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
    for scale in range(scales):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, contrast = _ssim(x, y)
        factor = luminance * contrast if scale == scales - 1 else contrast
        product *= factor.mean(dim=(2, 3)).clamp(min=0) ** (_WEIGHTS[scale] / sum(_WEIGHTS[:scales]))
    return product.mean(dim=1)


def _ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, wherever the window fits: [n, C, H - 10, W - 10] each."""
    rows, columns = (_window(size).to(x.device) for size in x.shape[2:])
    mean_x, mean_y, xx, yy, xy = rows @ torch.stack([x, y, x * x, y * y, x * y]) @ columns.T
    contrast = (2 * (xy - mean_x * mean_y) + _C2) / (xx - mean_x**2 + yy - mean_y**2 + _C2)
    return (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1), contrast


@functools.cache
def _window(size: int) -> Tensor:
    """The Gaussian window at each place along a side, as a matrix [size - 10, size] whose rows sum to 1."""
    # a product with a matrix is several times as fast as a convolution with so few channels
    distance = torch.arange(size, dtype=torch.float64) - torch.arange(size - _WINDOW + 1)[:, None] - _WINDOW // 2
    window = (-distance.square() / (2 * _SIGMA**2)).exp() * (distance.abs() <= _WINDOW // 2)
    return window / window.sum(dim=1, keepdim=True)


def class_similarity(
    pixels: Tensor, labels: NDArray[np.int64], num_classes: int, num_pairs: int, seed: int
) -> NDArray[np.float64]:
    """The mean MS-SSIM of `num_pairs` random pairs of each class, float64 [num_classes].

    `pixels` is uint8 [N, C, H, W]. A pair is of two different images; pairs may repeat. They depend on the seed, the
    class and how many images it has. `ValueError` for a class of fewer than two images.
    """
    first, second = [], []
    for label in range(num_classes):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise ValueError(f"the similarity within a class needs two images, and class {label} has {len(rows)}")
        rng = np.random.default_rng([seed, label])
        one = rng.integers(len(rows), size=num_pairs)
        other = (one + rng.integers(1, len(rows), size=num_pairs)) % len(rows)
        first.append(rows[one])
        second.append(rows[other])
    pairs = torch.from_numpy(np.stack([np.concatenate(first), np.concatenate(second)]))
    pixels = pixels.cpu()  # not every device has float64, in which small variances need no care
    values = [ms_ssim(pixels[one], pixels[other]) for one, other in pairs.split(_BATCH_SIZE, dim=1)]
    return torch.cat(values).view(num_classes, num_pairs).mean(dim=1).numpy()


@part
class ClassSimilarity:
    """How alike generated images of one class are: the mean MS-SSIM of random pairs, Odena et al. 2017 ("AC-GAN"), 4.2.

    It takes `pairs_per_class` pairs (there 100) of each class among `num_samples` samples, for which a conditional
    generator is asked for the classes in turn, and compares them with as many pairs of training images. The columns:

    - `ms_ssim`, 0 to 1: the mean over classes. Lower is more diverse; 1 is one image per class.
    - `less_diverse_than_class`, 0 to 1: the share of classes whose samples are more alike than the real images of that
      class. A generator as diverse as the data gets about one half.
    - `less_diverse_than_any`, 0 to 1: the share of classes whose samples are more alike than those of the real class
      that is the least diverse, as the authors count.

    Noise is diverse too: read it beside a score of quality. Small images have fewer scales than the five of the paper
    (the function `ms_ssim` says which), so that values compare at one size of image only.
    """

    num_samples: int = 1000
    pairs_per_class: int = 100
    seed: int = 0
    higher_is_better: ClassVar[bool] = False
    columns: ClassVar[tuple[str, ...]] = ("ms_ssim", "less_diverse_than_class", "less_diverse_than_any")

    def __post_init__(self) -> None:
        at_least(self, num_samples=2, pairs_per_class=1, seed=0)

    @property
    def name(self) -> str:
        """`ms_ssim`."""
        return "ms_ssim"

    def score(self, pixels: Tensor, labels: Tensor, judge: NDArray[np.float64]) -> dict[str, float]:
        """Every column for the first `num_samples` of uint8 images [n, C, H, W] and the classes asked for, int64 [n].

        `judge` is the similarity of the real images of each class, [K].
        `ValueError` if there are too few samples, or fewer than two of a class.
        """
        if len(pixels) < self.num_samples:
            raise ValueError(f"{self.name} needs {self.num_samples} samples and got {len(pixels)}")
        similarity = self._by_class(pixels[: self.num_samples], labels[: self.num_samples].cpu().numpy(), len(judge))
        return {
            "ms_ssim": float(similarity.mean()),
            "less_diverse_than_class": float((similarity > judge).mean()),
            "less_diverse_than_any": float((similarity > judge.max()).mean()),
        }

    def protocol(self, judge_hash: str, *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `judge_hash` identifies the images, `weights` the generator's."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "labels": "every class in turn",
            "pairs_per_class": self.pairs_per_class,
            "pair_seed": self.seed,
            "scales": f"as many of {len(_WEIGHTS)} as hold {_WINDOW} pixels, weights divided by their sum",
            "window": f"Gaussian, {_WINDOW} pixels, deviation {_SIGMA}, inside the image",
            "channels": "each alone, then the mean",
            "dtype": "uint8 images, float64 similarity",
            "images": judge_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the generator is asked for no class, or if images or samples are too small or few."""
        if data.images is None:
            raise ValueError(f"{self.name} needs images, and {data.name} has none: use another metric or other data")
        if not config.generator.conditional:
            raise ValueError(f"{self.name} needs a generator that is asked for a class: set generator.condition")
        if num_scales(data.images.size) == 0:
            raise ValueError(
                f"{self.name} needs images of {_WINDOW} pixels or more, and {data.name} has {data.images.size}"
            )
        num_classes = len(data.images.classes)
        if self.num_samples < 2 * num_classes:
            raise ValueError(f"{self.name} needs two samples of each of {num_classes} classes: raise num_samples")
        counts = np.bincount(data.images.train_labels, minlength=num_classes)
        if counts.min() < 2:
            raise ValueError(f"{self.name} needs two images of class {data.images.classes[counts.argmin()]!r}")

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> Path:
        """How alike the training images of each class are, once for all workers."""
        images = data.images
        assert images is not None
        pixels, labels = torch.from_numpy(images.train_images), images.train_labels

        def make() -> tuple[Arrays, dict[str, Any]]:
            return {"similarity": self._by_class(pixels, labels, len(images.classes))}, {"data": images.name}

        return keep_arrays(cache, f"{self.name}-{images.name}", {"metric": self, "data": images.content}, make)

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> NDArray[np.float64]:
        """What `prepare` found, [K]."""
        assert path is not None
        return read_arrays(path)[0]["similarity"]

    def reference(self, judge: NDArray[np.float64], data: OpenData) -> dict[str, Any]:
        """What the training images get, on how many scales, and the least diverse class."""
        assert data.images is not None
        return {
            "name": data.name,
            "hash": data.content,
            "real_score": float(judge.mean()),
            "real_least_diverse": float(judge.max()),
            "num_scales": num_scales(data.images.size),
        }

    def measure(self, subject: Subject, judge: NDArray[np.float64]) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        assert subject.labels is not None
        return self.score(subject.pixels, subject.labels, judge)

    def _by_class(self, pixels: Tensor, labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
        return class_similarity(pixels, labels, num_classes, self.pairs_per_class, self.seed)
