"""The random-architecture set of WGAN-GP: DCGAN with a chosen depth, width, nonlinearity and normalisation.

Gulrajani et al. 2017, Table 1. How depth maps to layers is not in the paper; the mapping here is inferred from the
first author's research repository (igul222/nn, wgan_imagenet32_stab.py): four weight layers in each network, and all
further ones 3x3 convolutions in the middle, at a quarter of the resolution (8x8 for 32x32 images).
`extra_layers="spread"` is the other reading consistent with depths 4, 8, 12 and 20: the same number of layers at each
of the four stages.
"""

from __future__ import annotations

from torch import Tensor, nn

from gansweep.models.layers import ACTIVATIONS, NORMS, activation, norm
from gansweep.parts import at_least, one_of, part

STRIDED_LAYERS = 4
PLACEMENTS = ("middle", "spread")


def _check(spec: DCGANGenerator | DCGANDiscriminator) -> None:
    at_least(spec, depth=STRIDED_LAYERS, width=1, kernel_size=1)
    if spec.kernel_size % 2 == 0:
        raise ValueError(
            f"{type(spec).__name__}.kernel_size = {spec.kernel_size} must be odd, or sizes would not halve"
        )
    one_of(spec, "activation", ACTIVATIONS)
    one_of(spec, "norm", NORMS)
    one_of(spec, "extra_layers", PLACEMENTS)
    if spec.extra_layers == "spread" and spec.depth % STRIDED_LAYERS:
        raise ValueError(f"depth = {spec.depth} cannot be spread evenly over {STRIDED_LAYERS} stages")


def _check_size(size: int) -> None:
    if size % 8 or size < 16:
        raise ValueError(f"image size {size} must be a multiple of 8 and at least 16 for the DCGAN architectures")


def _extra_layers(spec: DCGANGenerator | DCGANDiscriminator) -> tuple[int, int, int, int]:
    """How many 3x3 layers each of the four stages has beside its strided (or linear) one."""
    if spec.extra_layers == "middle":
        return 0, spec.depth - STRIDED_LAYERS, 0, 0
    extra = spec.depth // STRIDED_LAYERS - 1
    return extra, extra, extra, extra


@part
class DCGANGenerator:
    """z -> image in [-1, 1] with `depth` weight layers; `norm` is used where `normalised`, never on the output."""

    depth: int = 4
    width: int = 64
    activation: str = "relu"
    normalised: bool = True
    norm: str = "batch"
    extra_layers: str = "middle"
    kernel_size: int = 5

    def __post_init__(self) -> None:
        _check(self)

    def build(self, *, latent_size: int, channels: int, size: int) -> Generator:
        """The network from [batch, latent_size] to [batch, channels, size, size]."""
        _check_size(size)
        return Generator(self, latent_size, channels, size)


@part
class DCGANDiscriminator:
    """Image -> one raw score per example with `depth` weight layers; the first is never normalised."""

    depth: int = 4
    width: int = 64
    activation: str = "leaky_relu"
    normalised: bool = True
    norm: str = "batch"
    extra_layers: str = "middle"
    kernel_size: int = 5

    def __post_init__(self) -> None:
        _check(self)

    @property
    def uses_batch_norm(self) -> bool:
        """Whether an example's score depends on the rest of its batch."""
        return self.normalised and self.norm == "batch"

    def build(self, *, channels: int, size: int) -> Discriminator:
        """The network from [batch, channels, size, size] in [-1, 1] to [batch]."""
        _check_size(size)
        return Discriminator(self, channels, size)


def _stage(
    spec: DCGANGenerator | DCGANDiscriminator, layer: nn.Module, width: int, extra: int, bare: bool = False
) -> nn.Sequential:
    """A layer and `extra` 3x3 convolutions, each followed by normalisation (not a bare first one) and nonlinearity."""
    kind = spec.norm if spec.normalised else None
    layers = [layer, norm(None if bare else kind, width), activation(spec.activation)]
    for _ in range(extra):
        layers += [nn.Conv2d(width, width, 3, padding=1), norm(kind, width), activation(spec.activation)]
    return nn.Sequential(*layers)


class Generator(nn.Module):
    """Linear to size/8, then three stride-2 transposed convolutions: widths 4F, 2F, F, channels."""

    def __init__(self, spec: DCGANGenerator, latent_size: int, channels: int, size: int) -> None:
        super().__init__()
        f, k, start = spec.width, spec.kernel_size, size // 8
        first, second, third, fourth = _extra_layers(spec)

        def up(inputs: int, outputs: int) -> nn.Module:
            return nn.ConvTranspose2d(inputs, outputs, k, stride=2, padding=k // 2, output_padding=1)

        project = nn.Sequential(nn.Linear(latent_size, 4 * f * start**2), nn.Unflatten(1, (4 * f, start, start)))
        self.stages = nn.Sequential(
            _stage(spec, project, 4 * f, first),
            _stage(spec, up(4 * f, 2 * f), 2 * f, second),
            _stage(spec, up(2 * f, f), f, third),
        )
        if fourth:
            last = [_stage(spec, up(f, f), f, fourth - 1), nn.Conv2d(f, channels, 3, padding=1)]
        else:
            last = [up(f, channels)]
        self.output = nn.Sequential(*last, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.output(self.stages(z))


class Discriminator(nn.Module):
    """Three stride-2 convolutions of widths F, 2F, 4F, and a linear layer to one number."""

    def __init__(self, spec: DCGANDiscriminator, channels: int, size: int) -> None:
        super().__init__()
        f, k = spec.width, spec.kernel_size
        first, second, third, fourth = _extra_layers(spec)

        def down(inputs: int, outputs: int) -> nn.Module:
            return nn.Conv2d(inputs, outputs, k, stride=2, padding=k // 2)

        self.stages = nn.Sequential(
            _stage(spec, down(channels, f), f, first, bare=True),
            _stage(spec, down(f, 2 * f), 2 * f, second),
            _stage(spec, down(2 * f, 4 * f), 4 * f, third + fourth),
        )
        self.output = nn.Linear(4 * f * (size // 8) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.stages(x).flatten(1)).squeeze(1)
