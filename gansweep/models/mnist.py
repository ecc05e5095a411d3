"""The small MNIST pair of WGAN-GP's code (Gulrajani et al. 2017, igul222/improved_wgan_training, gan_mnist.py).

The paper's overfitting study (section 5.6) does not name its networks; these are the ones published beside it. The
authors normalise under weight clipping only, so `normalised` is False here.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from gansweep.models.layers import activation, norm, norm_of
from gansweep.models.mlp import dense
from gansweep.models.plain import PLAIN_NORMS, PlainDiscriminator, PlainGenerator, ToUnit, fitting_images
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads
from gansweep.parts import at_least, one_of, part


class Crop(nn.Module):
    """Keep the upper left `size` x `size` pixels of each map."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.size, : self.size]


@part
class MNISTGenerator(NetworkSpec):
    """z -> image in [-1, 1]: linear to 4F maps, 5x5 transposed convolutions of stride 2 to 2F, F, channels.

    The linear layer's maps are an eighth of the size, rounded up; the doubled ones are cropped to a quarter: 4, 8 -> 7,
    14, 28. Any multiple of 4 from 8 on fits. `width` is F; the output is 2 sigmoid(a) - 1 and never normalised.
    """

    width: int = 64
    normalised: bool = False
    norm: str = "batch"

    def __post_init__(self) -> None:
        at_least(self, width=1)
        one_of(self, "norm", PLAIN_NORMS)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> PlainGenerator:
        """The network from [batch, latent_size] to [batch, channels, size, size]."""
        channels, size = fitting_images(self, shape, 4, least=8)
        f, start, kind = self.width, -(-size // 8), norm_of(self)

        def up(inputs: int, outputs: int) -> nn.Module:
            return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)

        return PlainGenerator(
            dense(latent_size, 4 * f * start**2, nn.ReLU(), kind),
            nn.Unflatten(1, (4 * f, start, start)),
            nn.Sequential(up(4 * f, 2 * f), norm(kind, 2 * f), nn.ReLU(), Crop(size // 4)),
            nn.Sequential(up(2 * f, f), norm(kind, f), nn.ReLU()),
            nn.Sequential(up(f, channels), ToUnit()),
        )


@part
class MNISTDiscriminator(DiscriminatorSpec):
    """Image -> scores: 5x5 convolutions of stride 2 with F, 2F, 4F maps; the first is never normalised.

    Any multiple of 4 from 8 on fits. `width` is F.
    """

    width: int = 64
    normalised: bool = False
    norm: str = "batch"

    def __post_init__(self) -> None:
        at_least(self, width=1)
        one_of(self, "norm", PLAIN_NORMS)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> PlainDiscriminator:
        """The network from [batch, channels, size, size] to an `Output`; features [batch, 4F * ceil(size / 8)^2]."""
        channels, size = fitting_images(self, shape, 4, least=8)
        kind = norm_of(self)
        widths = [channels, self.width, 2 * self.width, 4 * self.width]
        layers: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
            layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), norm(kind if stage else None, outputs)]
            layers.append(activation("leaky_relu"))
        return PlainDiscriminator([*layers, nn.Flatten()], widths[-1] * (-(-size // 8)) ** 2, heads)
