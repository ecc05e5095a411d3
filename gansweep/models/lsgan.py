"""The two pairs of networks of LSGAN: for scenes of 112x112, and for characters of thousands of classes.

Mao et al. 2017; numbers of units and the places of normalisation are those of the authors' code (xudonmao/LSGAN, vgg.py
and mcgan.py). Neither discriminator ends in a sigmoid.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.layers import activation, norm, norm_of
from gansweep.models.mlp import dense
from gansweep.models.plain import (
    PLAIN_NORMS,
    PlainDiscriminator,
    PlainGenerator,
    ToUnit,
    check_classes,
    fitting_images,
    one_hot,
    units,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import above, at_least, one_of, part


def _down(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 5, stride=2, padding=2)


def _up(inputs: int, outputs: int, kernel_size: int, stride: int = 2) -> nn.Module:
    return nn.ConvTranspose2d(
        inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, output_padding=stride - 1
    )


@part
class LSGANGenerator(NetworkSpec):
    """z -> image in [-1, 1] of a size divisible by 16: linear, seven 3x3 transposed convolutions, tanh.

    256 maps up to a quarter of the size, then 128 and 64; a layer of stride 1 follows each of the first two doublings
    and ends the network. `width` multiplies the numbers of maps, 1 being the published ones.
    """

    width: float = 1.0
    normalised: bool = True
    norm: str = "batch"

    def __post_init__(self) -> None:
        above(self, width=0)
        one_of(self, "norm", PLAIN_NORMS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> PlainGenerator:
        """The network from [batch, latent_size] to [batch, channels, size, size]."""
        channels, size = fitting_images(self, shape, 16)
        start, kind = size // 16, norm_of(self)
        wide, middle, narrow = (units(n, self.width) for n in (256, 128, 64))
        layers: list[nn.Module] = [
            nn.Linear(latent_size, wide * start**2),
            nn.Unflatten(1, (wide, start, start)),
            norm(kind, wide),
            activation("relu"),
        ]
        inputs = wide
        for outputs, stride in ((wide, 2), (wide, 1), (wide, 2), (wide, 1), (middle, 2), (narrow, 2)):
            layers += [_up(inputs, outputs, 3, stride), norm(kind, outputs), activation("relu")]
            inputs = outputs
        return PlainGenerator(*layers, _up(inputs, channels, 3, stride=1), nn.Tanh())


@part
class LSGANDiscriminator(DiscriminatorSpec):
    """Image of a size divisible by 16 -> scores: four 5x5 convolutions of stride 2 with F, 2F, 4F, 8F maps.

    `width` is F; the first layer is not normalised.
    """

    width: int = 64
    normalised: bool = True
    norm: str = "batch"

    def __post_init__(self) -> None:
        at_least(self, width=1)
        one_of(self, "norm", PLAIN_NORMS)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> PlainDiscriminator:
        """The network from [batch, channels, size, size] to an `Output`; features [batch, 8F * (size / 16)^2]."""
        channels, size = fitting_images(self, shape, 16)
        kind = norm_of(self)
        layers: list[nn.Module] = []
        inputs = channels
        for stage in range(4):
            outputs = self.width * 2**stage
            layers += [_down(inputs, outputs), norm(kind if stage else None, outputs), activation("leaky_relu")]
            inputs = outputs
        return PlainDiscriminator([*layers, nn.Flatten()], inputs * (size // 16) ** 2, heads)


@part
class ManyClassGenerator(NetworkSpec):
    """z and label -> image in [-1, 1] of a size divisible by 4, for more classes than a one-hot input would serve.

    The label's one-hot vector is first mapped to `label_units` numbers by a linear layer, Phi(y) (Mao et al. 2017);
    None leaves the map out. [z, Phi(y)] -> linear -> two 5x5 transposed convolutions -> 2 sigmoid(a) - 1. `width`
    multiplies the number of maps, 1 being the published ones.
    """

    width: float = 1.0
    label_units: int | None = 256
    normalised: bool = True
    norm: str = "batch"
    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_many_class(self)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> LabelledGenerator:
        """The network from [batch, latent_size] and labels [batch] to [batch, channels, size, size]."""
        check_classes(self, num_classes)
        channels, size = fitting_images(self, shape, 4)
        return LabelledGenerator(self, latent_size, channels, size, num_classes)


@part
class ManyClassDiscriminator(DiscriminatorSpec):
    """Image of a size divisible by 4 and label -> scores; Phi(y) stands beside every layer's input but the first.

    Phi(y) has a linear layer of its own here (Mao et al. 2017). As in the authors' code the two
    convolutions have channels + `label_units` and 64 + `label_units` maps, then come 1024 units. `width` multiplies
    64 and 1024. `label_units=None` uses the one-hot label itself.
    """

    width: float = 1.0
    label_units: int | None = 256
    normalised: bool = True
    norm: str = "batch"
    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_many_class(self)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> LabelledDiscriminator:
        """The network from [batch, channels, size, size] and labels [batch] to an `Output`.

        Its features are [batch, 1024 * width + label_units], the label's part included.
        """
        check_classes(self, num_classes)
        channels, size = fitting_images(self, shape, 4)
        return LabelledDiscriminator(self, channels, size, num_classes, heads)


def _check_many_class(spec: ManyClassGenerator | ManyClassDiscriminator) -> None:
    above(spec, width=0)
    if spec.label_units is not None:
        at_least(spec, label_units=1)
    one_of(spec, "norm", PLAIN_NORMS)


class LabelMap(nn.Module):
    """int64 labels [batch] -> Phi(y), [batch, units]; the one-hot label itself without a map."""

    def __init__(self, num_classes: int, label_units: int | None) -> None:
        super().__init__()
        self.num_classes, self.units = num_classes, label_units or num_classes
        self.map = nn.Identity() if label_units is None else nn.Linear(num_classes, label_units)

    def forward(self, labels: Tensor | None, like: Tensor) -> Tensor:
        return self.map(one_hot(labels, self.num_classes, like))


class LabelledGenerator(nn.Module):
    """[z, Phi(y)] -> linear -> two doublings."""

    def __init__(self, spec: ManyClassGenerator, latent_size: int, channels: int, size: int, num_classes: int) -> None:
        super().__init__()
        f, start, kind = units(128, spec.width), size // 4, norm_of(spec)
        self.label = LabelMap(num_classes, spec.label_units)
        self.stages = nn.Sequential(
            dense(latent_size + self.label.units, f * start**2, nn.ReLU(), kind),
            nn.Unflatten(1, (f, start, start)),
            nn.Sequential(_up(f, f, 5), norm(kind, f), nn.ReLU()),
        )
        self.output = nn.Sequential(_up(f, channels, 5), ToUnit())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(self.stages(torch.cat([z, self.label(labels, z)], dim=1)))


class LabelledDiscriminator(Judge):
    """Two halvings and a linear layer, each but the first on its input beside Phi(y)."""

    def __init__(self, spec: ManyClassDiscriminator, channels: int, size: int, num_classes: int, heads: Heads) -> None:
        super().__init__()
        kind = norm_of(spec)
        self.label = LabelMap(num_classes, spec.label_units)
        phi = self.label.units
        first, second, hidden = channels + phi, units(64, spec.width) + phi, units(1024, spec.width)
        self.first = nn.Sequential(_down(channels, first), activation("leaky_relu"))
        self.second = nn.Sequential(
            _down(first + phi, second), norm(kind, second), activation("leaky_relu"), nn.Flatten()
        )
        self.third = dense(second * (size // 4) ** 2 + phi, hidden, activation("leaky_relu"), kind)
        self.add_heads(hidden + phi, heads)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        phi = self.label(labels, x)
        maps = self.first(x)
        beside = phi[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        flat = self.second(torch.cat([maps, beside], dim=1))
        hidden = self.third(torch.cat([flat, phi], dim=1))
        return self.judge(torch.cat([hidden, phi], dim=1))
