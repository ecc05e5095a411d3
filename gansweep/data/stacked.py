"""Three digits in the three colour channels: 1,000 classes, to see how many of them a generator leaves out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gansweep.data.cache import Images
from gansweep.data.image_source import Decoded, ImageSource
from gansweep.data.sources import Digits
from gansweep.parts import at_least, content_id, part

STACK = 3  # digits in one image: red, green and blue
_BLOCK = 1024  # images made at once


@part
class StackedDigits(ImageSource):
    """`num_images` colour images, each of three random images of a grey set: stacked MNIST, with `digits=MNIST()`.

    The classes are those of the three channels read as one number, "000" to "999", the first digit in red. Training
    images are stacked from training digits and test images, a fifth as many, from test digits. Their size is that of
    `digits`; another `seed` draws other triples.
    """

    digits: ImageSource = Digits()
    num_images: int = 50_000
    seed: int = 0
    channels: ClassVar[int] = STACK  # type: ignore[misc]  # a stack has no choice of its own
    limit: ClassVar[None] = None  # type: ignore[misc]
    size: ClassVar[Any] = property(lambda self: self.digits.size)  # type: ignore[misc]

    def __post_init__(self) -> None:
        at_least(self, num_images=1, seed=0)
        if not isinstance(self.digits, ImageSource) or self.digits.channels != 1:
            raise ValueError(f"StackedDigits.digits = {self.digits!r} must be grey images: channels=1")

    @property
    def name(self) -> str:
        """`stacked_digits`, or whatever is stacked."""
        return f"stacked_{self.digits.name}"

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The files of the digits."""
        return self.digits.files(downloads)

    def decode(self, downloads: Path | None = None, into: Path | None = None) -> Decoded:
        """Read the digits and stack them."""
        digits = self.digits.decode(downloads)
        rng = np.random.default_rng(self.seed)
        splits = {
            "train": (digits.train_images, digits.train_labels, self.num_images),
            "test": (digits.test_images, digits.test_labels, max(1, self.num_images // 5)),
        }
        made: dict[str, NDArray[Any]] = {}
        for split, (images, labels, count) in splits.items():
            rows = rng.integers(len(labels), size=(count, STACK))
            out = self._allocate(count, split, into)
            for block in _blocks(count):
                out[block] = images[rows[block], 0]
            made[f"{split}_images"] = out
            made[f"{split}_labels"] = stacked_label(labels[rows], len(digits.classes))
        classes = tuple("".join(names) for names in itertools.product(digits.classes, repeat=STACK))
        return Decoded(**made, classes=classes)


def stacked_label(labels: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """The class of a stack from the classes of its channels: int64 [n, 3] -> [n], the first channel counts most."""
    return labels @ num_classes ** np.arange(STACK - 1, -1, -1)


def single_labels(labels: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """The classes of the channels from the class of the stack, int64 [n] -> [n, 3]: undoes `stacked_label`."""
    return labels[:, None] // num_classes ** np.arange(STACK - 1, -1, -1) % num_classes


def num_single_classes(images: Images) -> int:
    """How many classes one channel of these stacks has."""
    return round(len(images.classes) ** (1 / STACK))


def single_digits(images: Images) -> Images:
    """The digits that these stacks are made of, each once: grey images, to train a classifier of one channel on."""
    num_classes = num_single_classes(images)
    made: dict[str, NDArray[Any]] = {}
    for split in ("train", "test"):
        pixels = getattr(images, f"{split}_images").reshape(-1, 1, images.size, images.size)
        labels = single_labels(getattr(images, f"{split}_labels"), num_classes).ravel()
        rows = list({pixel.tobytes(): row for row, pixel in enumerate(pixels)}.values())
        made |= {f"{split}_images": pixels[rows], f"{split}_labels": labels[rows]}
    return Images(
        name=f"{images.name}_channels",
        **made,
        classes=tuple(str(i) for i in range(num_classes)),
        content=content_id({"channels of": images.content}, 16),
        size=images.size,
        channels=1,
    )


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))
