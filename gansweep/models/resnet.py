"""The CIFAR-10 ResNet of Gulrajani et al. 2017, App. F: residual blocks of two 3x3 convolutions, activation first.

Details that the paper leaves open follow the authors' code (igul222/improved_wgan_training, gan_cifar_resnet.py): the
generator enlarges before a block's first convolution, shortcuts have a 1x1 convolution where the size changes, and the
norm before the generator's output is never conditional. The published networks are those for 32x32. At other sizes the
generator has a block for each doubling from 4x4 (or 5x5 to 7x7) and the discriminator one halving block less.
"""

from __future__ import annotations

from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.layers import (
    ACTIVATIONS,
    CONDITIONS,
    GENERATOR_NORMS,
    NORMS,
    Conditioned,
    LabelInput,
    Residual,
    activation,
    check_norm,
    image_shape,
    norm,
    norm_of,
    normalise_spectrally,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part

LARGEST_START = 7
PLAIN_BLOCKS = 2


def _check(spec: ResNetGenerator | ResNetDiscriminator, norms: tuple[str, ...]) -> None:
    at_least(spec, width=1)
    one_of(spec, "activation", ACTIVATIONS)
    check_norm(spec, norms)
    one_of(spec, "condition", CONDITIONS)


def _halvings(size: int) -> int:
    """How often the size halves until it is at most 7."""
    halvings = 0
    while size > LARGEST_START and size % 2 == 0:
        size, halvings = size // 2, halvings + 1
    return halvings if size <= LARGEST_START else 0


def _doublings(size: int) -> tuple[int, int]:
    """The size of the generator's smallest maps, 4 to 7, and how often it doubles; `ValueError` if it does not."""
    if (doublings := _halvings(size)) < 2:
        fitting = [other for other in range(16, 2 * size + 17) if _halvings(other) >= 2]
        near = min(fitting, key=lambda other: abs(other - size))
        raise ValueError(
            f"image size {size} must be 4, 5, 6 or 7 doubled at least twice for the ResNet architectures, such as "
            f"{near}"
        )
    return size >> doublings, doublings


@part
class ResNetGenerator(NetworkSpec):
    """z -> image in [-1, 1]: linear to 4x4, a doubling block for each size up to the image's, 3x3 to the channels.

    `condition="input"` appends the label's one-hot vector to z; the conditional model of the paper is
    `norm="conditional_batch"`.
    """

    width: int = 128
    activation: str = "relu"
    normalised: bool = True
    norm: str = "batch"
    condition: str = "none"

    def __post_init__(self) -> None:
        _check(self, GENERATOR_NORMS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] (and labels [batch], if `conditional`) to [batch, *shape].

        `ValueError` if the size is not 4 to 7 doubled at least twice, or if there are no classes to see.
        """
        return Generator(self, latent_size, shape, num_classes)


@part
class ResNetDiscriminator(DiscriminatorSpec):
    """Image -> what the objective asks for: halving blocks, two more blocks, and the mean over the remaining places.

    Not normalised by default, as published; where it is, the first block still has no norm.
    """

    width: int = 128
    activation: str = "relu"
    normalised: bool = False
    norm: str = "layer"
    condition: str = "none"

    def __post_init__(self) -> None:
        _check(self, NORMS)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, *shape] in [-1, 1] (and labels [batch], if `conditional`) to an `Output`.

        `ValueError` if the size is not 4 to 7 doubled at least twice, or if there are no classes to see.
        """
        return Discriminator(self, shape, num_classes, heads)


def _conv(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _up(spec: ResNetGenerator, num_classes: int) -> Residual:
    """A block that doubles the size; the 1x1 of the shortcut stands before the enlargement, which commutes with it."""
    kind, f = norm_of(spec), spec.width
    main = Conditioned(
        norm(kind, f, num_classes),
        activation(spec.activation),
        nn.Upsample(scale_factor=2),
        _conv(f, f),
        norm(kind, f, num_classes),
        activation(spec.activation),
        _conv(f, f),
    )
    return Residual(nn.Sequential(nn.Conv2d(f, f, 1), nn.Upsample(scale_factor=2)), main)


def _first(spec: ResNetDiscriminator, channels: int) -> Residual:
    """A halving block on the image itself, which is neither normalised nor rectified."""
    f = spec.width
    main = Conditioned(_conv(channels, f), activation(spec.activation), _conv(f, f), nn.AvgPool2d(2))
    return Residual(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, f, 1)), main)


def _block(spec: ResNetDiscriminator, down: bool) -> Residual:
    """A block that may halve the size; the pooling of the shortcut stands before its 1x1, which commutes with it."""
    kind, f = norm_of(spec), spec.width
    layers = [norm(kind, f), activation(spec.activation), _conv(f, f)]
    layers += [norm(kind, f), activation(spec.activation), _conv(f, f)]
    if not down:
        return Residual(nn.Identity(), Conditioned(*layers))
    return Residual(nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(f, f, 1)), Conditioned(*layers, nn.AvgPool2d(2)))


class Generator(nn.Module):
    """See `ResNetGenerator`."""

    def __init__(self, spec: ResNetGenerator, latent_size: int, shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        start, doublings = _doublings(size)
        f = spec.width
        self.input = LabelInput(spec, num_classes)
        self.project = nn.Sequential(
            nn.Linear(latent_size + self.input.num_classes, f * start**2), nn.Unflatten(1, (f, start, start))
        )
        self.blocks = Conditioned(*(_up(spec, num_classes) for _ in range(doublings)))
        kind = norm_of(spec)
        last = norm("batch" if kind == "conditional_batch" else kind, f)
        self.output = nn.Sequential(last, activation(spec.activation), _conv(f, channels), nn.Tanh())
        if kind == "spectral":
            normalise_spectrally(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(self.blocks(self.project(self.input(z, labels)), labels))


class Discriminator(Judge):
    """See `ResNetDiscriminator`."""

    def __init__(self, spec: ResNetDiscriminator, shape: tuple[int, ...], num_classes: int, heads: Heads) -> None:
        super().__init__()
        channels, size = image_shape(spec, shape)
        _, doublings = _doublings(size)
        self.input = LabelInput(spec, num_classes)
        self.blocks = nn.Sequential(
            _first(spec, channels + self.input.num_classes),
            *(_block(spec, down=True) for _ in range(doublings - 2)),
            *(_block(spec, down=False) for _ in range(PLAIN_BLOCKS)),
            activation(spec.activation),
        )
        self.add_heads(spec.width, heads)
        if norm_of(spec) == "spectral":
            normalise_spectrally(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return self.judge(self.blocks(self.input(x, labels)).mean(dim=(2, 3)))
