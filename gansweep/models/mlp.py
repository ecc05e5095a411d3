"""Fully connected networks, for points and for images.

Both count weight layers in `depth`, as the DCGAN does: all but the last have `width` units. The networks of the papers
are choices of fields:

- toy densities (Gulrajani et al. 2017, section 3.1, and their code): `depth=4`, `width=512`, ReLU;
- gradient norms through layers (Gulrajani et al. 2017, section 3.2): `depth=12`, ReLU;
- an MLP generator for LSUN (Gulrajani et al. 2017, app. E): `depth=5`, `output="tanh"`; that of the WGAN code
  (Arjovsky et al. 2017) has `depth=4` and a linear output;
- LSGAN's mixture of Gaussians (Mao et al. 2017, code): `depth=3`, `width=128`, tanh;
- DRAGAN's MNIST pair (Kodali et al. 2017, code): `depth=2`, `width=128`;
- the GANs of EBGAN's grid search (Zhao et al. 2017, Table 1): `depth` 2 to 5, `width`, `dropout`;
  normalisation is a choice of ours.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.layers import ACTIVATIONS, CONDITIONS, LabelInput, activation, norm_of
from gansweep.models.plain import (
    PLAIN_NORMS,
    RANGES,
    check_dropout,
    in_range,
    vector_norm,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part


class Maxout(nn.Module):
    """[batch, units * pieces] -> [batch, units]: each unit is the largest of its pieces (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(dim=2)


def dense(
    inputs: int, outputs: int, nonlinearity: nn.Module, norm: str | None = None, dropout: float = 0.0
) -> nn.Sequential:
    """Linear, normalisation, nonlinearity, dropout; a maxout's linear layer has `pieces` outputs per unit."""
    drawn = outputs * nonlinearity.pieces if isinstance(nonlinearity, Maxout) else outputs
    layers = [nn.Linear(inputs, drawn), vector_norm(norm, drawn), nonlinearity]
    return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []))


@part
class MLPGenerator(NetworkSpec):
    """z -> example of any shape, with `depth` linear layers; `norm` is used where `normalised`, never on the output.

    `output`: "linear" for points, or a range of [-1, 1] for images by "tanh" or "sigmoid", which is 2 sigmoid(a) - 1.
    `condition="input"` puts the one-hot label beside z.
    """

    depth: int = 4
    width: int = 512
    activation: str = "relu"
    normalised: bool = False
    norm: str = "batch"
    output: str = "linear"
    condition: str = "none"

    def __post_init__(self) -> None:
        at_least(self, depth=1, width=1)
        one_of(self, "activation", ACTIVATIONS)
        one_of(self, "norm", PLAIN_NORMS)
        one_of(self, "output", RANGES)
        one_of(self, "condition", CONDITIONS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] to [batch, *shape]."""
        return Generator(self, latent_size, shape, num_classes)


@part
class MLPDiscriminator(DiscriminatorSpec):
    """Example of any shape -> scores, with `depth` linear layers; the first is never normalised.

    `activation` may be "maxout" with `pieces` per unit. `dropout` is the share of hidden units set to 0.
    `condition="input"` puts the one-hot label beside the example.
    """

    depth: int = 4
    width: int = 512
    activation: str = "relu"
    pieces: int = 5
    normalised: bool = False
    norm: str = "batch"
    dropout: float = 0.0
    condition: str = "none"

    def __post_init__(self) -> None:
        at_least(self, depth=1, width=1, pieces=2)
        check_dropout(self)
        one_of(self, "activation", (*ACTIVATIONS, "maxout"))
        one_of(self, "norm", PLAIN_NORMS)
        one_of(self, "condition", CONDITIONS)

    @property
    def uses_batch_norm(self) -> bool:
        """Whether an example's score depends on the rest of its batch."""
        return self.normalised and self.norm == "batch" and self.depth > 2

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers inside the network."""
        return self.dropout > 0

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, *shape] to an `Output` whose features are [batch, width]."""
        return Discriminator(self, shape, num_classes, heads)


class Generator(nn.Module):
    """`stages` are the hidden layers, each with its norm and nonlinearity; `output` is the last linear layer."""

    def __init__(self, spec: MLPGenerator, latent_size: int, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.shape, self.label = tuple(shape), LabelInput(spec, num_classes)
        sizes = [latent_size + self.label.num_classes, *[spec.width] * (spec.depth - 1)]
        self.stages = nn.Sequential(
            *(dense(n, spec.width, activation(spec.activation), norm_of(spec)) for n in sizes[:-1])
        )
        self.output = nn.Linear(sizes[-1], math.prod(shape))
        self.range = in_range(spec.output)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.range(self.output(self.stages(self.label(z, labels)))).unflatten(1, self.shape)


class Discriminator(Judge):
    """`stages` are the hidden layers, each with its norm, nonlinearity and dropout."""

    def __init__(self, spec: MLPDiscriminator, shape: tuple[int, ...], num_classes: int, heads: Heads) -> None:
        super().__init__()
        self.label = LabelInput(spec, num_classes)
        sizes = [math.prod(shape) + self.label.num_classes, *[spec.width] * (spec.depth - 1)]
        stages = []
        for number, inputs in enumerate(sizes[:-1]):
            nonlinearity = Maxout(spec.pieces) if spec.activation == "maxout" else activation(spec.activation)
            kind = norm_of(spec) if number else None
            stages.append(dense(inputs, spec.width, nonlinearity, kind, spec.dropout))
        self.stages = nn.Sequential(*stages)
        self.add_heads(sizes[-1], heads)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return self.judge(self.stages(self.label(x.flatten(1), labels)))
