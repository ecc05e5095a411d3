"""Layers that the architectures share: nonlinearities, normalisation, and the authors' initialisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.randomness import stream

ACTIVATIONS = ("relu", "leaky_relu", "softplus", "tanh")
NORMS = ("batch", "layer")


class ShiftedSoftplus(nn.Module):
    """softplus(2x + 2) / 2 - 1, the smooth stand-in for ELU (Gulrajani et al. 2017, Table 1 and App. D)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(2 * x + 2) / 2 - 1


def activation(name: str) -> nn.Module:
    """The nonlinearity of that name; the leaky ReLU's slope is 0.2, as in all of the authors' code."""
    made = {
        "relu": nn.ReLU(),
        "leaky_relu": nn.LeakyReLU(0.2),
        "softplus": ShiftedSoftplus(),
        "tanh": nn.Tanh(),
    }
    return made[name]


def norm(kind: str | None, channels: int) -> nn.Module:
    """Normalisation of a [batch, channels, height, width] tensor; None is the identity.

    `layer` normalises each example over channels, height and width with a gain and a bias per channel, which is what
    a group norm of one group computes.
    """
    if kind is None:
        return nn.Identity()
    return nn.BatchNorm2d(channels, eps=1e-5) if kind == "batch" else nn.GroupNorm(1, channels, eps=1e-5)


@torch.no_grad()
def initialise(network: nn.Module, seed: int, role: str) -> None:
    """Draw every weight from a stream of its own name, so that arms share each tensor whose name and shape agree.

    The authors' rule (igul222/nn, the library behind the study): uniform with variance 4 / (fan_in + fan_out) for
    convolutions, where the fan on the strided side is divided by stride squared, and 2 / (fan_in + fan_out) for linear
    layers; biases 0, gains 1. Drawn on the CPU, so a network starts equal on every device.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            area = module.kernel_size[0] * module.kernel_size[1]
            stride = module.stride[0] * module.stride[1]
            fan_in, fan_out = module.in_channels * area, module.out_channels * area
            if isinstance(module, nn.ConvTranspose2d):
                fan_in //= stride
            else:
                fan_out //= stride
            deviation = math.sqrt(4 / (fan_in + fan_out))
        elif isinstance(module, nn.Linear):
            deviation = math.sqrt(2 / (module.in_features + module.out_features))
        else:
            continue
        bound = math.sqrt(3) * deviation
        drawn = torch.empty(module.weight.shape)
        drawn.uniform_(-bound, bound, generator=stream("cpu", seed, "initialisation", role, name))
        module.weight.copy_(drawn)
        if module.bias is not None:
            module.bias.zero_()
