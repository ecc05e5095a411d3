"""DCGAN with a chosen size, depth, width, nonlinearity and normalisation (after Radford et al. 2016).

It covers the random-architecture set of Gulrajani et al. 2017, Table 1, and the DCGAN variants of their App. E. How
depth maps to layers is not in the paper; the mapping here is inferred from the first author's research repository
(igul222/nn, wgan_imagenet32_stab.py): one weight layer more than there are stages, and all further ones 3x3
convolutions in the middle, at a quarter of the resolution (8x8 for 32x32 images). `extra_layers="spread"` is the other
reading consistent with depths 4, 8, 12 and 20: the same number of layers at each stage. `"outer"` has them all at half
the resolution, after the discriminator's first layer and before the generator's last one (Arjovsky et al. 2017, code).
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.layers import (
    CONDITIONS,
    GATED_ACTIVATIONS,
    GENERATOR_NORMS,
    NORMS,
    Conditioned,
    LabelInput,
    activation,
    channels_before,
    check_norm,
    image_shape,
    norm,
    norm_of,
    normalise_spectrally,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part

PLACEMENTS = ("middle", "spread", "outer")


def _check(spec: DCGANGenerator | DCGANDiscriminator, norms: tuple[str, ...]) -> None:
    at_least(spec, stages=2, width=1, kernel_size=1)
    if spec.depth is not None:
        at_least(spec, depth=spec.stages + 1)
    one_of(spec, "activation", GATED_ACTIVATIONS)
    check_norm(spec, norms)
    one_of(spec, "extra_layers", PLACEMENTS)
    one_of(spec, "condition", CONDITIONS)
    if spec.extra_layers == "spread" and _depth(spec) % (spec.stages + 1):
        raise ValueError(f"depth = {spec.depth} cannot be spread evenly over {spec.stages + 1} stages")


def _depth(spec: DCGANGenerator | DCGANDiscriminator) -> int:
    return spec.stages + 1 if spec.depth is None else spec.depth


def _start(spec: DCGANGenerator | DCGANDiscriminator, size: int) -> int:
    """The size of the smallest maps; `ValueError` if the image cannot be halved down to 2x2 or more."""
    step = 2**spec.stages
    if size % step or size < 2 * step:
        near = step * max(2, round(size / step))
        raise ValueError(
            f"image size {size} must be a multiple of {step} and at least {2 * step} for the DCGAN architectures with "
            f"stages={spec.stages}, such as {near}"
        )
    return size // step


def _widths(spec: DCGANGenerator | DCGANDiscriminator) -> list[int]:
    """The stages' widths from the image inwards."""
    return [spec.width if spec.constant_width else spec.width * 2**stage for stage in range(spec.stages)]


def _extra_layers(spec: DCGANGenerator | DCGANDiscriminator, middle: int, outer: int) -> list[int]:
    """How many 3x3 layers each of the `stages` + 1 stages has beside its strided (or linear) one."""
    if spec.extra_layers == "spread":
        return [_depth(spec) // (spec.stages + 1) - 1] * (spec.stages + 1)
    extra = [0] * (spec.stages + 1)
    extra[middle if spec.extra_layers == "middle" else outer] = _depth(spec) - spec.stages - 1
    return extra


@part
class DCGANGenerator(NetworkSpec):
    """z -> image in [-1, 1] with `depth` weight layers; `norm` is used where `normalised`, never on the output.

    `stages` is the number of layers that double the size, so 2, 3, 4, 5 start at 4x4 for images of 16, 32, 64, 128.
    The first stage has `width` * 2**(stages - 1) channels, the last but one `width`; with `constant_width` all have
    `width`. `depth` None is the least, stages + 1. `condition="input"` appends the label's one-hot vector to z;
    `norm="conditional_batch"` has gains and biases for each class. `activation="gated"` doubles the channels before
    each gate.
    """

    stages: int = 3
    depth: int | None = None
    width: int = 64
    constant_width: bool = False
    activation: str = "relu"
    normalised: bool = True
    norm: str = "batch"
    extra_layers: str = "middle"
    kernel_size: int = 5
    condition: str = "none"

    def __post_init__(self) -> None:
        _check(self, GENERATOR_NORMS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] (and labels [batch], if `conditional`) to [batch, *shape].

        `ValueError` if the size does not halve `stages` times down to 2x2 or more, or if there are no classes to see.
        """
        return Generator(self, latent_size, shape, num_classes)


@part
class DCGANDiscriminator(DiscriminatorSpec):
    """Image -> what the objective asks for, with `depth` weight layers; the first is never normalised.

    `stages` is the number of layers that halve the size; their widths are `width`, 2 `width`, 4 `width`, ..., or all
    `width` with `constant_width`. `depth` None is the least, stages + 1. `condition="input"` appends the label's
    one-hot vector to the image as constant maps. `activation="gated"` doubles the channels before each gate.
    """

    stages: int = 3
    depth: int | None = None
    width: int = 64
    constant_width: bool = False
    activation: str = "leaky_relu"
    normalised: bool = True
    norm: str = "batch"
    extra_layers: str = "middle"
    kernel_size: int = 5
    condition: str = "none"

    def __post_init__(self) -> None:
        _check(self, NORMS)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, *shape] in [-1, 1] (and labels [batch], if `conditional`) to an `Output`.

        `ValueError` if the size does not halve `stages` times down to 2x2 or more, or if there are no classes to see.
        """
        return Discriminator(self, shape, num_classes, heads)


def _stage(
    spec: DCGANGenerator | DCGANDiscriminator,
    layer: nn.Module,
    width: int,
    extra: int,
    num_classes: int = 0,
    bare: bool = False,
) -> Conditioned:
    """A layer and `extra` 3x3 convolutions, each followed by normalisation (not a bare first one) and nonlinearity."""
    kind, before = norm_of(spec), channels_before(spec.activation, width)
    layers = [layer, norm(None if bare else kind, before, num_classes), activation(spec.activation)]
    for _ in range(extra):
        layers += [nn.Conv2d(width, before, 3, padding=1), norm(kind, before, num_classes), activation(spec.activation)]
    return Conditioned(*layers)


class Generator(nn.Module):
    """Linear to size / 2**stages, then `stages` stride-2 transposed convolutions: widths ..., 4F, 2F, F, channels."""

    def __init__(self, spec: DCGANGenerator, latent_size: int, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        k, start, widths = spec.kernel_size, _start(spec, size), _widths(spec)[::-1]
        *extra, last_extra = _extra_layers(spec, middle=spec.stages - 2, outer=spec.stages - 1)
        self.input = LabelInput(spec, num_classes)

        def up(inputs: int, outputs: int) -> nn.Module:
            return nn.ConvTranspose2d(inputs, outputs, k, stride=2, padding=(k - 1) // 2, output_padding=k % 2)

        def before(width: int) -> int:
            return channels_before(spec.activation, width)

        first = before(widths[0])
        project: nn.Module = nn.Sequential(
            nn.Linear(latent_size + self.input.num_classes, first * start**2), nn.Unflatten(1, (first, start, start))
        )
        layers = [project, *(up(inputs, before(outputs)) for inputs, outputs in pairwise(widths))]
        self.stages = Conditioned(
            *(_stage(spec, *stage, num_classes) for stage in zip(layers, widths, extra, strict=True))
        )
        f = widths[-1]
        if last_extra:
            stage = _stage(spec, up(f, before(f)), f, last_extra - 1, num_classes)
            self.output = Conditioned(stage, nn.Conv2d(f, channels, 3, padding=1), nn.Tanh())
        else:
            self.output = Conditioned(up(f, channels), nn.Tanh())
        if norm_of(spec) == "spectral":
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(self.stages(self.input(z, labels), labels), labels)


class Discriminator(Judge):
    """`stages` stride-2 convolutions of widths F, 2F, 4F, ..., whose flat output is the features of the heads."""

    def __init__(self, spec: DCGANDiscriminator, shape: tuple[int, ...], num_classes: int, heads: Heads) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        k, start, widths = spec.kernel_size, _start(spec, size), _widths(spec)
        *extra, last_extra = _extra_layers(spec, middle=1, outer=0)
        extra[-1] += last_extra  # the linear layer's share stands before it
        self.input = LabelInput(spec, num_classes)
        inputs = [channels + self.input.num_classes, *widths[:-1]]

        def down(inputs: int, outputs: int) -> nn.Module:
            outputs = channels_before(spec.activation, outputs)
            return nn.Conv2d(inputs, outputs, k, stride=2, padding=(k - 1) // 2)

        self.stages = nn.Sequential(
            *(
                _stage(spec, down(before, width), width, num, bare=stage == 0)
                for stage, (before, width, num) in enumerate(zip(inputs, widths, extra, strict=True))
            )
        )
        self.add_heads(widths[-1] * start**2, heads)
        if norm_of(spec) == "spectral":
            normalise_spectrally(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return self.judge(self.stages(self.input(x, labels)).flatten(1))
