"""BEGAN's pair: a generator, and an auto-encoder whose decoder is another such generator (Berthelot et al. 2017).

The layers are those of the published code, carpedm20/BEGAN-tensorflow. All convolutions are 3x3 and followed by ELU,
except those that end in an image; there is no normalisation, no dropout and no transposed convolution. Sizes double or
halve between 8x8 and the image.
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from gansweep.models.autoencoder import DISTANCES, AutoEncoder
from gansweep.models.layers import image_shape
from gansweep.models.plain import RANGES, PlainGenerator, in_range
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads
from gansweep.parts import at_least, one_of, part

BLOCKS = {16: 2, 32: 3, 64: 4, 128: 5}  # image size: how many resolutions from 8x8 to it


def _blocks(spec: object, shape: tuple[int, ...]) -> int:
    _, size = image_shape(spec, shape)
    if size not in BLOCKS:
        sizes = ", ".join(map(str, BLOCKS))
        raise ValueError(f"{type(spec).__name__} does not fit the image size {size}: {sizes} do")
    return BLOCKS[size]


@part
class BEGANGenerator(NetworkSpec):
    """z -> image: linear to n maps of 8x8, then two convolutions of n maps at each resolution, nearest neighbours up.

    `width` is n. The authors' output is linear: real images are in [-1, 1], generated ones are only drawn there.
    """

    width: int = 128
    output: str = "linear"

    def __post_init__(self) -> None:
        at_least(self, width=1)
        one_of(self, "output", RANGES)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> PlainGenerator:
        """The network from [batch, latent_size] to [batch, channels, size, size]."""
        layers = _decoder(latent_size, self.width, shape[0], _blocks(self, shape))
        return PlainGenerator(*layers, in_range(self.output))


@part
class BEGANDiscriminator(DiscriminatorSpec):
    """Image -> the reconstruction error of an auto-encoder with a code of `code_size` numbers.

    `width` is n: the encoder has n maps at the image's size, 2n, 3n, ... at each halving; the decoder always n.
    `distance`: "mean_absolute" is L(v) = |v - D(v)| as it was published; see `MLPAutoEncoder` for the others.
    """

    width: int = 128
    code_size: int = 64
    distance: str = "mean_absolute"
    energy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, width=1, code_size=1)
        one_of(self, "distance", DISTANCES)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> AutoEncoder:
        """The network from [batch, channels, size, size] to an `Output` whose features are [batch, code_size]."""
        blocks = _blocks(self, shape)
        encoder = nn.Sequential(*_encoder(shape[0], self.width, self.code_size, blocks))
        decoder = nn.Sequential(*_decoder(self.code_size, self.width, shape[0], blocks))
        return AutoEncoder(self, encoder, decoder, self.distance, heads)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.ELU())


def _encoder(channels: int, width: int, code_size: int, blocks: int) -> list[nn.Module]:
    layers: list[nn.Module] = [_convolution(channels, width)]
    maps = width
    for block in range(1, blocks + 1):
        layers += [_convolution(maps, width * block), _convolution(width * block, width * block)]
        maps = width * block
        if block < blocks:
            layers.append(_convolution(maps, maps, stride=2))
    return [*layers, nn.Flatten(), nn.Linear(8 * 8 * maps, code_size)]


def _decoder(inputs: int, width: int, channels: int, blocks: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Linear(inputs, 8 * 8 * width), nn.Unflatten(1, (width, 8, 8))]
    for block in range(blocks):
        if block:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        layers += [_convolution(width, width), _convolution(width, width)]
    return [*layers, nn.Conv2d(width, channels, 3, padding=1)]
