"""What the training loop reads: examples by row, or drawn from a density.

Both kinds give float tensors in the range that generators produce, with labels where there are any.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gansweep.data.cache import to_unit


class Real(NamedTuple):
    """A batch of real examples [batch, *shape] and their classes, int64 [batch]; None where there are none."""

    x: Tensor
    labels: Tensor | None = None


class TrainingSet(Protocol):
    """A set on a device. `shape` is that of one example; `num_rows` is None for a density, which has no rows."""

    shape: tuple[int, ...]
    num_classes: int
    num_rows: int | None

    def rows(self, index: Tensor) -> Real:
        """The examples at these rows."""
        ...

    def draw(self, num: int, generator: torch.Generator) -> Real:
        """Fresh examples, where the set is a density."""
        ...

    def row_labels(self) -> Tensor | None:
        """The class of every row, int64 [num_rows]; None where there are no labels."""
        ...


class ImageSet:
    """Images uint8 [N, C, H, W] with labels int64 [N] or None; a batch is float in [-1, 1]."""

    def __init__(self, images: Tensor, labels: Tensor | None = None, num_classes: int = 0) -> None:
        self.images, self.labels, self.num_classes = images, labels, num_classes
        self.shape: tuple[int, ...] = tuple(images.shape[1:])
        self.num_rows: int | None = len(images)

    def rows(self, index: Tensor) -> Real:
        """The images at these rows."""
        return Real(to_unit(self.images[index]), None if self.labels is None else self.labels[index])

    def draw(self, num: int, generator: torch.Generator) -> Real:
        """A finite set has rows."""
        raise NotImplementedError

    def row_labels(self) -> Tensor | None:
        """The class of every image."""
        return self.labels
