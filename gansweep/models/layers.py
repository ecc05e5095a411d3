"""Layers that the architectures share: nonlinearities, normalisation, residual blocks, and how labels enter."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from gansweep.parts import one_of

ACTIVATIONS = ("relu", "leaky_relu", "softplus", "tanh", "elu")
GATED_ACTIVATIONS = (*ACTIVATIONS, "gated")  # for networks that give a gate the two channels it needs
NORMS = ("batch", "layer", "group", "instance", "spectral")
GENERATOR_NORMS = (*NORMS, "conditional_batch")
CONDITIONS = ("none", "input")
EPS = 1e-5
GROUP_CHANNELS = 16


# Nonlinearities


class ShiftedSoftplus(nn.Module):
    """softplus(2x + 2) / 2 - 1, the smooth stand-in for ELU (Gulrajani et al. 2017, Table 1 and App. D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(2 * x + 2) / 2 - 1


class Gate(nn.Module):
    """sigmoid(a) * tanh(b), with a the even and b the odd channels: [batch, 2C, ...] -> [batch, C, ...].

    The gated multiplicative nonlinearity of Gulrajani et al. 2017, section 5.2 (after van den Oord et al. 2016).
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x[:, 0::2]) * torch.tanh(x[:, 1::2])


def activation(name: str) -> nn.Module:
    """The nonlinearity of that name; the leaky ReLU's slope is 0.2, as in all of the authors' code."""
    made = {
        "relu": nn.ReLU(),
        "leaky_relu": nn.LeakyReLU(0.2),
        "softplus": ShiftedSoftplus(),
        "tanh": nn.Tanh(),
        "elu": nn.ELU(),
        "gated": Gate(),
    }
    return made[name]


def channels_before(name: str, channels: int) -> int:
    """How many channels the nonlinearity needs in order to give `channels`: twice as many for a gate."""
    return 2 * channels if name == "gated" else channels


# Normalisation


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation of [batch, channels, height, width] with a gain and a bias per class (Dumoulin et al. 2017).

    Gains and biases are kept with one axis, like those of other norms, so that optimisers do not decay them and no
    initialisation draws them: they start at 1 and 0.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.channels, self.num_classes = channels, num_classes
        self.normal = nn.BatchNorm2d(channels, eps=EPS, affine=False)
        self.gain = nn.Parameter(torch.ones(num_classes * channels))
        self.bias = nn.Parameter(torch.zeros(num_classes * channels))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain = self.gain.view(self.num_classes, self.channels)[labels]
        bias = self.bias.view(self.num_classes, self.channels)[labels]
        return self.normal(x) * gain[:, :, None, None] + bias[:, :, None, None]


def norm(kind: str | None, channels: int, num_classes: int = 0) -> nn.Module:
    """Normalisation of a [batch, channels, height, width] tensor; None is the identity.

    `layer` normalises each example over channels, height and width with a gain and a bias per channel, which is what
    a group norm of one group computes; `instance` has a group for each channel; `group` (Wu and He 2018) has groups of
    16 channels, or of the largest power of two below that divides them. `spectral` acts on weights
    (`normalise_spectrally`) and is the identity here.
    """
    if kind is None or kind == "spectral":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=EPS)
    if kind == "conditional_batch":
        return ConditionalBatchNorm(channels, num_classes)
    groups = {"layer": 1, "group": channels // math.gcd(channels, GROUP_CHANNELS), "instance": channels}[kind]
    return nn.GroupNorm(groups, channels, eps=EPS)


def normalise_spectrally(network: nn.Module) -> None:
    """Divide each weight of the network by its largest singular value (Miyato et al. 2018), the output's included.

    The value is followed by one step of power iteration in each forward pass in training mode; its vectors are buffers.
    The trained parameter of a layer becomes `parametrizations.weight.original`.
    """
    for layer in list(network.modules()):
        # without values there is nothing to follow, and torch would iterate over nothing for seconds
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not layer.weight.is_meta:
            spectral_norm(layer)


def check_norm(spec: Any, norms: tuple[str, ...]) -> None:
    """Raise `ValueError` unless `spec.norm` is one of `norms`."""
    if spec.norm == "none":
        raise ValueError(f"{type(spec).__name__}.norm = 'none' is said by normalised=False")
    one_of(spec, "norm", norms)


def norm_of(spec: Any) -> str | None:
    """The kind of norm that a network of this specification has."""
    return spec.norm if spec.normalised else None


# Labels


class Conditioned(nn.Sequential):
    """A sequence that hands the labels to those of its layers that want them."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in self:
            wants = isinstance(layer, Conditioned | ConditionalBatchNorm | Residual)
            x = layer(x, labels) if wants else layer(x)
        return x


class Residual(nn.Module):
    """shortcut(x) + scale * main(x)."""

    def __init__(self, shortcut: nn.Module, main: Conditioned, scale: float = 1.0) -> None:
        super().__init__()
        self.shortcut, self.main, self.scale = shortcut, main, scale

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.shortcut(x) + self.scale * self.main(x, labels)


def append_labels(x: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """x [batch, C, ...] with the labels' one-hot vectors as `num_classes` further channels, constant over the rest."""
    hot = (labels[:, None] == torch.arange(num_classes, device=labels.device)).to(x.dtype)
    hot = hot.view(*hot.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])
    return torch.cat([x, hot], dim=1)


class LabelInput(nn.Module):
    """What a network does with labels at its input: append their one-hot vectors, or nothing if it has 0 classes."""

    def __init__(self, spec: Any, num_classes: int) -> None:
        """`ValueError` if the network wants labels and there are no classes."""
        super().__init__()
        if spec.conditional and num_classes < 1:
            remedy = 'condition="none"' if spec.condition == "input" else 'norm="batch"'
            raise ValueError(f"{type(spec).__name__} is conditional and the data has no classes: set {remedy}")
        self.num_classes = num_classes if spec.condition == "input" else 0

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        if not self.num_classes:
            return x
        assert labels is not None, "a conditional network needs labels"
        return append_labels(x, labels, self.num_classes)


def image_shape(spec: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels and size of square images; `ValueError` for any other shape."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"{type(spec).__name__} needs square images (channels, size, size), not shape {tuple(shape)}")
    return shape[0], shape[1]
