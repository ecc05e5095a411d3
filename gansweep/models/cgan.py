"""The conditional GAN's fully connected pair for MNIST (Mirza & Osindero 2014).

The input and the one-hot label pass a layer each before they meet in a common one. The paper puts dropout on both
networks without saying where; here it follows every hidden layer. Both networks train with `NonSaturating` or
`Minimax`, so the score is a logit: the paper's last sigmoid belongs to the loss.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.mlp import Maxout, dense
from gansweep.models.plain import ToUnit, check_classes, check_dropout, one_hot, units
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import above, part


@part
class CGANGenerator(NetworkSpec):
    """z -> 200 and label -> 1000 ReLU units, both -> 1200, -> image in [-1, 1] by 2 sigmoid(a) - 1.

    `width` multiplies the numbers of units, 1 being the published ones.
    """

    width: float = 1.0
    dropout: float = 0.5
    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        above(self, width=0)
        check_dropout(self)

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers inside the network."""
        return self.dropout > 0

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] and labels [batch] to [batch, *shape]."""
        check_classes(self, num_classes)
        return Generator(self, latent_size, shape, num_classes)


@part
class CGANDiscriminator(DiscriminatorSpec):
    """Example -> 240 and label -> 50 maxout units of five pieces, both -> 240 of four, -> heads.

    `width` multiplies the numbers of units, 1 being the published ones.
    """

    width: float = 1.0
    dropout: float = 0.5
    conditional: ClassVar[bool] = True

    def __post_init__(self) -> None:
        above(self, width=0)
        check_dropout(self)

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers inside the network."""
        return self.dropout > 0

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, *shape] and labels [batch] to an `Output` with features [batch, 240 * width]."""
        check_classes(self, num_classes)
        return Discriminator(self, shape, num_classes, heads)


class Generator(nn.Module):
    """Two entrances, a common layer and the output."""

    def __init__(self, spec: CGANGenerator, latent_size: int, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.shape, self.num_classes = tuple(shape), num_classes
        from_z, from_label, joint = (units(n, spec.width) for n in (200, 1000, 1200))
        self.noise = dense(latent_size, from_z, nn.ReLU(), dropout=spec.dropout)
        self.label = dense(num_classes, from_label, nn.ReLU(), dropout=spec.dropout)
        self.joint = dense(from_z + from_label, joint, nn.ReLU(), dropout=spec.dropout)
        self.output = nn.Sequential(nn.Linear(joint, math.prod(shape)), ToUnit())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        label = self.label(one_hot(labels, self.num_classes, z))
        return self.output(self.joint(torch.cat([self.noise(z), label], dim=1))).unflatten(1, self.shape)


class Discriminator(Judge):
    """Two entrances, a common layer and the heads."""

    def __init__(self, spec: CGANDiscriminator, shape: tuple[int, ...], num_classes: int, heads: Heads) -> None:
        super().__init__()
        self.num_classes = num_classes
        from_x, from_label, joint = (units(n, spec.width) for n in (240, 50, 240))
        self.example = dense(math.prod(shape), from_x, Maxout(5), dropout=spec.dropout)
        self.label = dense(num_classes, from_label, Maxout(5), dropout=spec.dropout)
        self.joint = dense(from_x + from_label, joint, Maxout(4), dropout=spec.dropout)
        self.add_heads(joint, heads)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        x = x.flatten(1)
        label = self.label(one_hot(labels, self.num_classes, x))
        return self.judge(self.joint(torch.cat([self.example(x), label], dim=1)))
