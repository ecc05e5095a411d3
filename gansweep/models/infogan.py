"""InfoGAN's pair for MNIST (Chen et al. 2016, app. C, and openai/InfoGAN), which later comparisons took over.

For sizes divisible by 4; the paper's images are 28x28.
"""

from __future__ import annotations

from torch import nn

from gansweep.models.layers import norm, norm_of
from gansweep.models.mlp import dense
from gansweep.models.plain import (
    PLAIN_NORMS,
    PlainDiscriminator,
    PlainGenerator,
    ToUnit,
    fitting_images,
    units,
)
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads
from gansweep.parts import above, one_of, part

SLOPE = 0.1


@part
class InfoGANGenerator(NetworkSpec):
    """z -> image in [-1, 1]: linear 1024, linear to 128 maps, two 4x4 transposed convolutions, 2 sigmoid(a) - 1.

    `width` multiplies the numbers of units and maps, 1 being the published ones. The output is not normalised.
    """

    width: float = 1.0
    normalised: bool = True
    norm: str = "batch"

    def __post_init__(self) -> None:
        above(self, width=0)
        one_of(self, "norm", PLAIN_NORMS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> PlainGenerator:
        """The network from [batch, latent_size] to [batch, channels, size, size]."""
        channels, size = fitting_images(self, shape, 4)
        start, kind = size // 4, norm_of(self)
        hidden, wide, narrow = (units(n, self.width) for n in (1024, 128, 64))
        return PlainGenerator(
            dense(latent_size, hidden, nn.ReLU(), kind),
            dense(hidden, wide * start**2, nn.ReLU(), kind),
            nn.Unflatten(1, (wide, start, start)),
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1),
            norm(kind, narrow),
            nn.ReLU(),
            nn.ConvTranspose2d(narrow, channels, 4, stride=2, padding=1),
            ToUnit(),
        )


@part
class InfoGANDiscriminator(DiscriminatorSpec):
    """Image -> scores, and codes by Q: two 4x4 convolutions of 64 and 128 maps, linear 1024.

    Q shares all of that and has a hidden layer of 128 units before the codes; it is built only where codes are asked
    for. `width` multiplies the numbers of units and maps. The first layer is not normalised.
    """

    width: float = 1.0
    normalised: bool = True
    norm: str = "batch"

    def __post_init__(self) -> None:
        above(self, width=0)
        one_of(self, "norm", PLAIN_NORMS)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> PlainDiscriminator:
        """The network from [batch, channels, size, size] to an `Output` whose features are [batch, 1024 * width]."""
        channels, size = fitting_images(self, shape, 4)
        kind = norm_of(self)
        narrow, wide, hidden, codes = (units(n, self.width) for n in (64, 128, 1024, 128))
        layers = [
            nn.Conv2d(channels, narrow, 4, stride=2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(narrow, wide, 4, stride=2, padding=1),
            norm(kind, wide),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            dense(wide * (size // 4) ** 2, hidden, nn.LeakyReLU(SLOPE), kind),
        ]
        asked = heads.categorical or heads.continuous
        return PlainDiscriminator(
            layers, hidden, heads, dense(hidden, codes, nn.LeakyReLU(SLOPE), kind) if asked else None, codes
        )
