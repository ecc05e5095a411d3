"""The networks of the auxiliary-classifier GAN (Odena et al. 2017, App. A).

The class goes into the generator's input and is what the discriminator's second head has to tell; it does not see it.
The published sizes are for 128x128 images; other sizes start from other maps, with the same layers.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.layers import (
    CONDITIONS,
    GENERATOR_NORMS,
    NORMS,
    Conditioned,
    LabelInput,
    check_norm,
    image_shape,
    norm,
    norm_of,
    normalise_spectrally,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part

DISCRIMINATOR_LAYERS = 6


def _start(spec: ACGANGenerator | ACGANDiscriminator, size: int, halvings: int) -> int:
    """The size of the smallest maps; `ValueError` if the image cannot be halved so often down to 2x2 or more."""
    step = 2**halvings
    if size % step or size < 2 * step:
        near = step * max(2, round(size / step))
        raise ValueError(
            f"image size {size} must be a multiple of {step} and at least {2 * step} for {type(spec).__name__}, "
            f"such as {near}"
        )
    return size // step


@part
class ACGANGenerator(NetworkSpec):
    """z and class -> image in [-1, 1]: linear to `widths[0]` maps, then 5x5 transposed convolutions of stride 2.

    ReLU and, where `normalised`, a norm between the layers. The class's one-hot vector is appended to z, so that the
    published input of 110 numbers is 100 of noise and ten classes.
    """

    widths: tuple[int, ...] = (768, 384, 256, 192)
    normalised: bool = True
    norm: str = "batch"
    condition: str = "input"

    def __post_init__(self) -> None:
        if not self.widths or not all(isinstance(width, int) and width >= 1 for width in self.widths):
            raise ValueError(f"ACGANGenerator.widths = {self.widths!r} must be whole numbers >= 1, at least one")
        check_norm(self, GENERATOR_NORMS)
        one_of(self, "condition", CONDITIONS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] (and labels [batch], if `conditional`) to [batch, *shape].

        `ValueError` if the size does not halve once per width down to 2x2 or more, or if there are no classes to see.
        """
        return Generator(self, latent_size, shape, num_classes)


@part
class ACGANDiscriminator(DiscriminatorSpec):
    """Image -> what the objective asks for: six 3x3 convolutions of widths F, 2F, ..., 32F, every other of stride 2.

    Leaky ReLU (0.2) and dropout behind each, a norm from the second on. `noise` is the standard deviation of Gaussian
    noise added to each hidden activation in training; that it is added before dropout, everywhere, is a free choice.
    Dropout and noise come from torch's default generator of the device.
    """

    width: int = 16
    dropout: float = 0.5
    noise: float = 0.0
    normalised: bool = True
    norm: str = "batch"

    def __post_init__(self) -> None:
        at_least(self, width=1, dropout=0, noise=0)
        if self.dropout >= 1:
            raise ValueError(f"ACGANDiscriminator.dropout = {self.dropout} must be below 1")
        check_norm(self, NORMS)

    @property
    def stochastic(self) -> bool:
        """Whether the network draws random numbers in training."""
        return self.dropout > 0 or self.noise > 0

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, *shape] in [-1, 1] to an `Output`.

        `ValueError` if the size is not a multiple of 8 from 16 on.
        """
        return Discriminator(self, shape, heads)


class Noise(nn.Module):
    """Adds N(0, deviation^2) to each number in training mode."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, x: Tensor) -> Tensor:
        return x + self.deviation * torch.randn_like(x) if self.training else x


class Generator(nn.Module):
    """See `ACGANGenerator`."""

    def __init__(self, spec: ACGANGenerator, latent_size: int, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        start, kind, first = _start(spec, size, len(spec.widths)), norm_of(spec), spec.widths[0]
        self.input = LabelInput(spec, num_classes)

        def up(inputs: int, outputs: int) -> nn.Module:
            return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)

        layers = [
            nn.Linear(latent_size + self.input.num_classes, first * start**2),
            nn.Unflatten(1, (first, start, start)),
            norm(kind, first, num_classes),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(spec.widths):
            layers += [up(inputs, outputs), norm(kind, outputs, num_classes), nn.ReLU()]
        self.layers = Conditioned(*layers)
        self.output = nn.Sequential(up(spec.widths[-1], channels), nn.Tanh())
        if kind == "spectral":
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(self.layers(self.input(z, labels), labels))


class Discriminator(Judge):
    """See `ACGANDiscriminator`."""

    def __init__(self, spec: ACGANDiscriminator, shape: tuple[int, ...], heads: Heads) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        start, kind = _start(spec, size, DISCRIMINATOR_LAYERS // 2), norm_of(spec)
        widths = [channels, *(spec.width * 2**power for power in range(DISCRIMINATOR_LAYERS))]
        layers: list[nn.Module] = []
        for position, (inputs, outputs) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(inputs, outputs, 3, stride=2 - position % 2, padding=1))
            layers += [norm(kind if position else None, outputs), nn.LeakyReLU(0.2)]
            layers += [Noise(spec.noise)] if spec.noise else []
            layers += [nn.Dropout(spec.dropout)] if spec.dropout else []
        self.layers = nn.Sequential(*layers)
        self.add_heads(widths[-1] * start**2, heads)
        if kind == "spectral":
            normalise_spectrally(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return self.judge(self.layers(x).flatten(1))
