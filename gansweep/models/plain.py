"""What the simpler networks share: sequences of layers, checks of shapes, labels as numbers, and output ranges."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.models.heads import Judge
from gansweep.models.layers import EPS, image_shape
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least

PLAIN_NORMS = ("batch", "layer")  # those that mean the same for vectors and for maps
RANGES = ("linear", "tanh", "sigmoid")


class ToUnit(nn.Module):
    """2 sigmoid(a) - 1: a sigmoid's image in [0, 1], mapped to the package's [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * torch.sigmoid(x) - 1


def in_range(name: str) -> nn.Module:
    """The last nonlinearity of a generator: "linear" leaves values as they are, the others lie in [-1, 1]."""
    return {"linear": nn.Identity(), "tanh": nn.Tanh(), "sigmoid": ToUnit()}[name]


def vector_norm(kind: str | None, features: int) -> nn.Module:
    """Normalisation of a [batch, features] tensor: per feature over the batch, per example over features, or none."""
    if kind is None:
        return nn.Identity()
    return nn.BatchNorm1d(features, eps=EPS) if kind == "batch" else nn.LayerNorm(features, eps=EPS)


class PlainGenerator(nn.Module):
    """A sequence of layers from z to an example; labels play no part."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.stages = nn.Sequential(*layers)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.stages(z)


class PlainDiscriminator(Judge):
    """A sequence of layers from an example to [batch, features], and the heads; labels play no part."""

    def __init__(
        self,
        layers: Iterable[nn.Module],
        features: int,
        heads: Heads,
        code_hidden: nn.Module | None = None,
        code_features: int = 0,
    ) -> None:
        super().__init__()
        self.stages = nn.Sequential(*layers)
        self.add_heads(features, heads, code_hidden, code_features)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return self.judge(self.stages(x))


def units(published: int, width: float) -> int:
    """The published number of units times `width`, at least one."""
    return max(1, round(published * width))


def check_dropout(spec: object) -> None:
    """Raise `ValueError` unless the field `dropout` is a share of units below 1."""
    at_least(spec, dropout=0)
    if (value := spec.dropout) >= 1:  # type: ignore[attr-defined]
        raise ValueError(f"{type(spec).__name__}.dropout = {value!r} must be below 1, or nothing would be left")


def fitting_images(spec: object, shape: tuple[int, ...], multiple: int, least: int | None = None) -> tuple[int, int]:
    """Channels and size of square images that can be halved and doubled as often; `ValueError` for all others."""
    channels, size = image_shape(spec, shape)
    least = least or multiple
    if size % multiple or size < least:
        nearest = max(least, round(size / multiple) * multiple)
        raise ValueError(
            f"{type(spec).__name__} does not fit the image size {size}: "
            f"multiples of {multiple} from {least} on do, such as {nearest}"
        )
    return channels, size


def check_classes(spec: object, num_classes: int) -> None:
    """Raise `ValueError` for a conditional network without classes."""
    if num_classes < 1:
        raise ValueError(f"{type(spec).__name__} takes labels as an input: it needs data with classes")


def one_hot(labels: Tensor | None, num_classes: int, like: Tensor) -> Tensor:
    """int64 labels [batch] as [batch, num_classes] in the number format of `like`."""
    assert labels is not None, "a conditional network needs labels"
    return F.one_hot(labels, num_classes).to(like.dtype)
