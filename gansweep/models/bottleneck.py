"""The 101-layer ResNets of Gulrajani et al. 2017, Figure 2 and App. E: bottleneck blocks, residuals scaled by 0.3.

A block is 1x1, 3x3, 1x1 with a ReLU before each, half as wide inside, and normalised after the third convolution only.
There are five sizes, from 1/16 of the image up, of widths 8F, 4F, 2F, F and F/2, with `blocks` blocks at each but the
image's own, which has one less, and a block between any two sizes that changes size and width. With one layer at
either end the main path has 3 * (5 * blocks - 1 + 4) + 2 = 15 * blocks + 11 weight layers: 101 for blocks=6. What the
paper leaves open follows the authors' code (igul222/improved_wgan_training, gan_64x64.py): the layer at the image is
1x1, and shortcuts that change size are a strided 1x1 convolution or one followed by a rearrangement of its channels.
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
    Residual,
    check_norm,
    image_shape,
    norm,
    norm_of,
    normalise_spectrally,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part

RESIDUAL_SCALE = 0.3
OUTPUT_SCALE = 1 / 5
SHRINKING = 16


def _check(spec: BottleneckGenerator | BottleneckDiscriminator, norms: tuple[str, ...]) -> None:
    at_least(spec, blocks=1, width=4)
    if spec.width % 4:
        raise ValueError(
            f"{type(spec).__name__}.width = {spec.width} must be a multiple of 4: F/4 is the narrowest layer"
        )
    check_norm(spec, norms)
    one_of(spec, "condition", CONDITIONS)


def _start(size: int) -> int:
    """The size of the smallest maps; `ValueError` if the image is not 16 times 2x2 or more."""
    if size % SHRINKING or size < 2 * SHRINKING:
        near = SHRINKING * max(2, round(size / SHRINKING))
        raise ValueError(
            f"image size {size} must be a multiple of {SHRINKING} and at least {2 * SHRINKING} for the bottleneck "
            f"ResNets, such as {near}"
        )
    return size // SHRINKING


def _widths(spec: BottleneckGenerator | BottleneckDiscriminator) -> list[int]:
    """The widths at the five sizes from the image inwards."""
    return [spec.width // 2, *(spec.width * 2**power for power in range(4))]


@part
class BottleneckGenerator(NetworkSpec):
    """z -> image in [-1, 1]: linear to 1/16 of the size, 5 * `blocks` + 3 bottleneck blocks, 1x1, tanh(x / 5).

    `condition="input"` appends the label's one-hot vector to z; `norm="conditional_batch"` has gains and biases for
    each class.
    """

    blocks: int = 6
    width: int = 64
    normalised: bool = True
    norm: str = "batch"
    condition: str = "none"

    def __post_init__(self) -> None:
        _check(self, GENERATOR_NORMS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] (and labels [batch], if `conditional`) to [batch, *shape].

        `ValueError` if the size is not a multiple of 16 from 32 on, or if there are no classes to see.
        """
        return Generator(self, latent_size, shape, num_classes)


@part
class BottleneckDiscriminator(DiscriminatorSpec):
    """Image -> what the objective asks for: 1x1, 5 * `blocks` + 3 bottleneck blocks, linear; the score divided by 5."""

    blocks: int = 6
    width: int = 64
    normalised: bool = True
    norm: str = "batch"
    condition: str = "none"

    def __post_init__(self) -> None:
        _check(self, NORMS)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, *shape] in [-1, 1] (and labels [batch], if `conditional`) to an `Output`.

        `ValueError` if the size is not a multiple of 16 from 32 on, or if there are no classes to see.
        """
        return Discriminator(self, shape, num_classes, heads)


def _block(
    kind: str | None, inputs: int, outputs: int, middle: nn.Module, shortcut: nn.Module, num_classes: int = 0
) -> Residual:
    """`middle` is the 3x3 layer from half the inputs to half the outputs."""
    main = Conditioned(
        nn.ReLU(),
        nn.Conv2d(inputs, inputs // 2, 1),
        nn.ReLU(),
        middle,
        nn.ReLU(),
        nn.Conv2d(outputs // 2, outputs, 1, bias=False),
        norm(kind, outputs, num_classes),
    )
    return Residual(shortcut, main, RESIDUAL_SCALE)


def _same(kind: str | None, width: int, num_classes: int = 0) -> Residual:
    return _block(kind, width, width, nn.Conv2d(width // 2, width // 2, 3, padding=1), nn.Identity(), num_classes)


def _up(kind: str | None, inputs: int, outputs: int, num_classes: int) -> Residual:
    middle = nn.ConvTranspose2d(inputs // 2, outputs // 2, 3, stride=2, padding=1, output_padding=1)
    shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 1), nn.PixelShuffle(2))
    return _block(kind, inputs, outputs, middle, shortcut, num_classes)


def _down(kind: str | None, inputs: int, outputs: int) -> Residual:
    middle = nn.Conv2d(inputs // 2, outputs // 2, 3, stride=2, padding=1)
    return _block(kind, inputs, outputs, middle, nn.Conv2d(inputs, outputs, 1, stride=2))


class Generator(nn.Module):
    """See `BottleneckGenerator`."""

    def __init__(self, spec: BottleneckGenerator, latent_size: int, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        start, widths, kind = _start(size), _widths(spec)[::-1], norm_of(spec)
        self.input = LabelInput(spec, num_classes)
        self.project = nn.Sequential(
            nn.Linear(latent_size + self.input.num_classes, widths[0] * start**2),
            nn.Unflatten(1, (widths[0], start, start)),
        )
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [_same(kind, width, num_classes) for _ in range(spec.blocks)]
            layers.append(_up(kind, width, following, num_classes))
        layers += [_same(kind, widths[-1], num_classes) for _ in range(spec.blocks - 1)]
        self.blocks = Conditioned(*layers)
        self.output = nn.Conv2d(widths[-1], channels, 1)
        if kind == "spectral":
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        maps = self.blocks(self.project(self.input(z, labels)), labels)
        return torch.tanh(self.output(maps) * OUTPUT_SCALE)


class Discriminator(Judge):
    """See `BottleneckDiscriminator`."""

    def __init__(self, spec: BottleneckDiscriminator, shape: tuple[int, ...], num_classes: int, heads: Heads) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        start, widths, kind = _start(size), _widths(spec), norm_of(spec)
        self.input = LabelInput(spec, num_classes)
        self.first = nn.Conv2d(channels + self.input.num_classes, widths[0], 1)
        layers: list[nn.Module] = [_same(kind, widths[0]) for _ in range(spec.blocks - 1)]
        for width, following in pairwise(widths):
            layers.append(_down(kind, width, following))
            layers += [_same(kind, following) for _ in range(spec.blocks)]
        self.blocks = nn.Sequential(*layers)
        self.add_heads(widths[-1] * start**2, heads)
        if kind == "spectral":
            normalise_spectrally(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        output = self.judge(self.blocks(self.first(self.input(x, labels))).flatten(1))
        return output if output.score is None else output._replace(score=output.score * OUTPUT_SCALE)
