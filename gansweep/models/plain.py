"""What the simpler networks share: sequences of layers, checks of shapes, labels as numbers, and output ranges."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.models.heads import Judge
from gansweep.models.layers import ACTIVATIONS
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least

POINTWISE = tuple(name for name in ACTIVATIONS if name != "gated")  # a gate needs twice the channels
NORMS = ("batch", "layer")
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
    return nn.BatchNorm1d(features, eps=1e-5) if kind == "batch" else nn.LayerNorm(features, eps=1e-5)


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


def image_shape(spec: object, shape: tuple[int, ...], multiple: int, least: int | None = None) -> tuple[int, int]:
    """The channels and the size of the images in `shape`; `ValueError` unless the network fits them."""
    name, least = type(spec).__name__, least or multiple
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"{name} is for images (channels, size, size), not for the shape {tuple(shape)}")
    channels, size = shape[0], shape[1]
    if size % multiple or size < least:
        nearest = max(least, round(size / multiple) * multiple)
        raise ValueError(
            f"{name} does not fit the image size {size}: multiples of {multiple} from {least} on do, such as {nearest}"
        )
    return channels, size


def check_classes(spec: object, num_classes: int) -> None:
    """Raise `ValueError` for a conditional network without classes."""
    if num_classes < 1:
        raise ValueError(f"{type(spec).__name__} takes labels as an input: it needs data with classes")


def one_hot(labels: Tensor | None, num_classes: int, like: Tensor) -> Tensor:
    """int64 labels [batch] as [batch, num_classes] in the number format of `like`."""
    if labels is None:
        raise ValueError("a conditional network needs the labels of its batch")
    return F.one_hot(labels, num_classes).to(like.dtype)
