"""The character-level pair of WGAN-GP (Gulrajani et al. 2017, section 5.5 and their gan_language.py).

Text is [batch, length, vocabulary]: one-hot for real sentences, the softmax's probabilities for generated ones, which
the critic sees as they are. The inside is [batch, width, length], without any normalisation.
"""

from __future__ import annotations

from torch import Tensor, nn

from gansweep.models.heads import Judge
from gansweep.models.spec import DiscriminatorSpec, NetworkSpec
from gansweep.outputs import Heads, Output
from gansweep.parts import above, at_least, part


def _check(spec: CharCNNGenerator | CharCNNDiscriminator) -> None:
    at_least(spec, width=1, blocks=0, kernel_size=1)
    above(spec, residual_scale=0)
    if spec.kernel_size % 2 == 0:
        raise ValueError(f"{type(spec).__name__}.kernel_size = {spec.kernel_size} must be odd, or lengths would change")


def _text_shape(spec: object, shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"{type(spec).__name__} is for text (length, vocabulary), not for the shape {tuple(shape)}")
    return shape[0], shape[1]


@part
class CharCNNGenerator(NetworkSpec):
    """z -> probabilities [batch, length, vocabulary]: linear, `blocks` residual blocks, 1x1 convolution, softmax."""

    width: int = 512
    blocks: int = 5
    kernel_size: int = 5
    residual_scale: float = 0.3

    def __post_init__(self) -> None:
        _check(self)

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> Generator:
        """The network from [batch, latent_size] to [batch, length, vocabulary], which sums to 1 over the last axis."""
        return Generator(self, latent_size, *_text_shape(self, shape))


@part
class CharCNNDiscriminator(DiscriminatorSpec):
    """Text -> scores: 1x1 convolution, `blocks` residual blocks, and the heads on all positions at once."""

    width: int = 512
    blocks: int = 5
    kernel_size: int = 5
    residual_scale: float = 0.3

    def __post_init__(self) -> None:
        _check(self)

    def build(self, *, shape: tuple[int, ...], num_classes: int = 0, heads: Heads) -> Discriminator:
        """The network from [batch, length, vocabulary] to an `Output` whose features are [batch, width * length]."""
        return Discriminator(self, *_text_shape(self, shape), heads)


class Residual(nn.Module):
    """x + scale * two convolutions, each after a ReLU; the length stays."""

    def __init__(self, width: int, kernel_size: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2)
        self.second = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.second(self.first(x.relu()).relu())


def _blocks(spec: CharCNNGenerator | CharCNNDiscriminator) -> list[nn.Module]:
    return [Residual(spec.width, spec.kernel_size, spec.residual_scale) for _ in range(spec.blocks)]


class Generator(nn.Module):
    """Linear to [batch, width, length], residual blocks, and a distribution over the vocabulary at each position."""

    def __init__(self, spec: CharCNNGenerator, latent_size: int, length: int, vocabulary: int) -> None:
        super().__init__()
        project = [nn.Linear(latent_size, spec.width * length), nn.Unflatten(1, (spec.width, length))]
        self.stages = nn.Sequential(*project, *_blocks(spec))
        self.output = nn.Conv1d(spec.width, vocabulary, 1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(self.stages(z)).transpose(1, 2).softmax(dim=2)


class Discriminator(Judge):
    """The generator's mirror image."""

    def __init__(self, spec: CharCNNDiscriminator, length: int, vocabulary: int, heads: Heads) -> None:
        super().__init__()
        self.stages = nn.Sequential(nn.Conv1d(vocabulary, spec.width, 1), *_blocks(spec), nn.Flatten())
        self.add_heads(spec.width * length, heads)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return self.judge(self.stages(x.transpose(1, 2)))
