"""What the training loop reads: examples by row, or drawn from a density.

Both kinds give float tensors in the range that generators produce, with labels where there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from gansweep.data.cache import to_unit

if TYPE_CHECKING:
    from gansweep.data.densities import Density


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


class PointSet:
    """A density: float32 [batch, *shape], drawn afresh for every batch on the device of the random stream."""

    num_rows: int | None = None

    def __init__(self, density: Density) -> None:
        self.density = density
        self.shape, self.num_classes = density.shape, density.num_classes

    def rows(self, index: Tensor) -> Real:
        """A density has no rows."""
        raise NotImplementedError

    def draw(self, num: int, generator: torch.Generator) -> Real:
        """Fresh points, labelled where the density has classes."""
        return self.density.draw(num, generator)

    def row_labels(self) -> Tensor | None:
        """A density has no rows."""
        return None


class FixedPointSet:
    """Points float32 [N, *shape] drawn once from `density`, with labels int64 [N] or None."""

    def __init__(self, points: Tensor, labels: Tensor | None, density: Density) -> None:
        self.points, self.labels, self.density = points, labels, density
        self.shape, self.num_classes = density.shape, density.num_classes
        self.num_rows: int | None = len(points)

    def rows(self, index: Tensor) -> Real:
        """The points at these rows."""
        return Real(self.points[index], None if self.labels is None else self.labels[index])

    def draw(self, num: int, generator: torch.Generator) -> Real:
        """A finite set has rows."""
        raise NotImplementedError

    def row_labels(self) -> Tensor | None:
        """The class of every point."""
        return self.labels


PADDING, UNKNOWN = "`", "\N{REPLACEMENT CHARACTER}"


class TextSet:
    """Lines as whole numbers [N, length] that index `vocabulary`; a batch is one-hot, float32 [batch, length, V].

    `vocabulary` holds one character per code: `UNKNOWN`, `PADDING`, then the others. `held_out` [M, length] are lines
    kept apart, on the CPU.
    """

    num_classes = 0

    def __init__(self, codes: Tensor, held_out: Tensor, vocabulary: str) -> None:
        self.codes, self.held_out, self.vocabulary = codes, held_out, vocabulary
        self.shape: tuple[int, ...] = (codes.shape[1], len(vocabulary))
        self.num_rows: int | None = len(codes)

    def rows(self, index: Tensor) -> Real:
        """The lines at these rows, one-hot."""
        codes = self.codes[index].long().unsqueeze(-1)
        # not F.one_hot, which on some devices reads the codes back to check them
        return Real(torch.zeros(len(index), *self.shape, device=codes.device).scatter_(2, codes, 1.0))

    def draw(self, num: int, generator: torch.Generator) -> Real:
        """A finite set has rows."""
        raise NotImplementedError

    def row_labels(self) -> Tensor | None:
        """Text has no classes."""
        return None

    def decode(self, x: Tensor) -> list[str]:
        """[n, length, V], one-hot or probabilities -> the likeliest characters, without the padding at the end."""
        return ["".join(self.vocabulary[code] for code in line).rstrip(PADDING) for line in x.argmax(dim=2).tolist()]
