"""Auto-encoders as discriminators: the score is how badly an example is reconstructed (Zhao et al. 2017)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from gansweep.models.layers import ACTIVATIONS, activation, norm, norm_of
from gansweep.models.mlp import dense
from gansweep.models.plain import PLAIN_NORMS, RANGES, check_dropout, fitting_images, in_range
from gansweep.models.spec import DiscriminatorSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part

DISTANCES = ("norm", "mean_square", "mean_absolute")


def energy(distance: str, reconstruction: Tensor, x: Tensor) -> Tensor:
    """[batch]: how far each example of [batch, ...] is from its reconstruction, in fp32 at least.

    "norm" is the Euclidean norm over everything that belongs to the example; "mean_square" and "mean_absolute" are
    means over it, so that margins do not depend on the number of pixels. The gradient of a norm of 0 is 0.
    """
    precise = torch.promote_types(x.dtype, torch.float32)
    difference = (reconstruction.to(precise) - x.to(precise)).flatten(1)
    if distance == "norm":
        return torch.linalg.vector_norm(difference, dim=1)
    return (difference.square() if distance == "mean_square" else difference.abs()).mean(dim=1)


class AutoEncoder(nn.Module):
    """An encoder to [batch, ...] and a decoder back; `features` of its output are the code as [batch, F]."""

    def __init__(self, spec: object, encoder: nn.Module, decoder: nn.Module, distance: str, heads: Heads) -> None:
        super().__init__()
        asked = {
            "score": heads.score and not heads.energy,
            "class logits": heads.classes,
            "codes": heads.categorical or heads.continuous,
        }
        if lacking := [name for name, wanted in asked.items() if wanted]:
            lack = " and no ".join(lacking)
            raise ValueError(f"{type(spec).__name__} answers with a reconstruction error only: it has no {lack}")
        self.encoder, self.decoder, self.distance = encoder, decoder, distance

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        code = self.encoder(x)
        return Output(score=energy(self.distance, self.decoder(code), x), features=code.flatten(1))


@part
class MLPAutoEncoder(DiscriminatorSpec):
    """The fully connected auto-encoder of EBGAN's grid search (Zhao et al. 2017, Table 1).

    `depth` counts the linear layers of encoder and decoder together; the decoder always has one, so the encoder has
    `depth - 1` of `width` units, the code being the last. The first is never normalised, nor is the decoder. Dropout
    follows each layer of the encoder. Normalisation is a choice of ours, and so is `output`, the decoder's end.
    `distance`: "norm" is the paper's energy, "mean_square" that of most later code, where a margin means another thing.
    """

    depth: int = 2
    width: int = 512
    activation: str = "relu"
    normalised: bool = True
    norm: str = "batch"
    dropout: float = 0.0
    output: str = "tanh"
    distance: str = "norm"
    energy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, depth=2, width=1)
        check_dropout(self)
        one_of(self, "activation", ACTIVATIONS)
        one_of(self, "norm", PLAIN_NORMS)
        one_of(self, "output", RANGES)
        one_of(self, "distance", DISTANCES)

    @property
    def uses_batch_norm(self) -> bool:
        """Whether an example's energy depends on the rest of its batch."""
        return self.normalised and self.norm == "batch" and self.depth > 2

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers inside the network."""
        return self.dropout > 0

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> AutoEncoder:
        """The network from [batch, *shape] to an `Output` whose features are the code [batch, width]."""
        layers: list[nn.Module] = [nn.Flatten()]
        for number in range(self.depth - 1):
            kind = norm_of(self) if number else None
            inputs = self.width if number else math.prod(shape)
            layers.append(dense(inputs, self.width, activation(self.activation), kind, self.dropout))
        decoder = nn.Sequential(
            nn.Linear(self.width, math.prod(shape)), in_range(self.output), nn.Unflatten(1, tuple(shape))
        )
        return AutoEncoder(self, nn.Sequential(*layers), decoder, self.distance, heads)


@part
class ConvAutoEncoder(DiscriminatorSpec):
    """A convolutional auto-encoder after EBGAN's larger ones (Zhao et al. 2017).

    The encoder is `stages` 4x4 convolutions of stride 2 with widths F, 2F, 4F, ...; the decoder is its mirror image in
    transposed convolutions, ending in tanh. Neither the encoder's first layer nor the output is normalised. The code is
    the encoder's last map, flattened. Images must halve `stages` times.
    """

    width: int = 64
    stages: int = 3
    activation: str = "leaky_relu"
    normalised: bool = True
    norm: str = "batch"
    distance: str = "norm"
    energy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, width=1, stages=1)
        one_of(self, "activation", ACTIVATIONS)
        one_of(self, "norm", PLAIN_NORMS)
        one_of(self, "distance", DISTANCES)

    @property
    def uses_batch_norm(self) -> bool:
        """Whether an example's energy depends on the rest of its batch."""
        return self.normalised and self.norm == "batch" and self.stages > 1

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> AutoEncoder:
        """The network from [batch, channels, size, size] to an `Output` whose features are the flat code."""
        channels, _ = fitting_images(self, shape, 2**self.stages)
        kind = norm_of(self)
        widths = [channels, *(self.width * 2**stage for stage in range(self.stages))]
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for number in range(self.stages):
            inputs, outputs = widths[number], widths[number + 1]
            down += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)]
            down += [norm(kind if number else None, outputs), activation(self.activation)]
            inputs, outputs = widths[-1 - number], widths[-2 - number]
            up += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
            up += [norm(kind, outputs), activation(self.activation)] if number < self.stages - 1 else [nn.Tanh()]
        return AutoEncoder(self, nn.Sequential(*down), nn.Sequential(*up), self.distance, heads)
