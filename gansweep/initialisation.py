"""Initial weights as parts: every tensor is drawn from a stream of its own name.

So the arms of a study share each tensor whose name and shape agree. Everything is drawn on the CPU, so that a network
starts equal on every device.

Drawn are the weights of convolutions, transposed convolutions, linear layers and embeddings; their biases start at 0.
An embedding is the linear layer that reads one-hot labels: as many inputs as rows. Norms keep gain 1 and bias 0, and
so does every other parameter keep what its module gave it. Of a layer under spectral normalisation, the weight before
it is divided is drawn, from the same stream as without, and then the singular vectors from one of their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from gansweep.parts import above, part
from gansweep.randomness import stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

POWER_ITERATIONS = 15  # how many torch takes when a layer is wrapped


class Fans(NamedTuple):
    """How many inputs reach one output of a layer, how many outputs one input reaches, and the axis of its outputs."""

    fan_in: int
    fan_out: int
    output_axis: int
    is_convolution: bool


def fans_of(layer: nn.Module) -> Fans | None:
    """The fans of a layer whose weight is drawn, None for every other module.

    A strided convolution's input reaches, and a strided transposed one's output is reached by, the kernel's area over
    the product of the strides.
    """
    from torch import nn

    if isinstance(layer, nn.Linear):
        return Fans(layer.in_features, layer.out_features, 0, False)
    if isinstance(layer, nn.Embedding):
        return Fans(layer.num_embeddings, layer.embedding_dim, 1, False)
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
        return None
    area, stride = math.prod(layer.kernel_size), math.prod(layer.stride)
    fan_in, fan_out = layer.in_channels // layer.groups * area, layer.out_channels // layer.groups * area
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        return Fans(fan_in // stride, fan_out, 1, True)
    return Fans(fan_in, fan_out // stride, 0, True)


class _Initialisation:
    """A walk over the network; subclasses say how a weight is drawn."""

    def apply(self, network: nn.Module, seed: int, role: str) -> None:
        """Draw every weight in place; `role` is "generator" or "discriminator"."""
        import torch

        with torch.no_grad():
            for name, module in network.named_modules():
                names = seed, "initialisation", role, name
                fans = fans_of(module)
                if fans is None:
                    self.draw_gain(module, stream("cpu", *names))
                    continue
                drawn = torch.empty(module.weight.shape)
                self.draw(drawn, fans, stream("cpu", *names))
                _store(module, drawn, stream("cpu", *names, "singular_vectors"))
                if isinstance(bias := getattr(module, "bias", None), torch.Tensor):
                    bias.zero_()

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        raise NotImplementedError

    def draw_gain(self, module: nn.Module, generator: torch.Generator) -> None:
        """Called with every module that is not such a layer."""


def _store(layer: Any, drawn: Tensor, generator: torch.Generator) -> None:
    """Make `drawn` the layer's weight, through the parametrizations where it has some."""
    from torch.nn.utils import parametrize

    if not parametrize.is_parametrized(layer, "weight"):
        layer.weight.copy_(drawn)
        return
    chain = layer.parametrizations.weight
    chain.right_inverse(drawn.to(layer.weight, copy=True))
    for parametrization in chain:
        if hasattr(parametrization, "_u"):
            _restart(parametrization, drawn, generator)


def _restart(spectral_norm: Any, weight: Tensor, generator: torch.Generator) -> None:
    """Begin torch's power iteration anew from a drawn vector: when the layer was wrapped, the global one was used."""
    import torch
    from torch.nn.functional import normalize

    matrix = weight.movedim(spectral_norm.dim, 0).flatten(1)
    v = normalize(torch.randn(matrix.shape[1], generator=generator), dim=0, eps=spectral_norm.eps)
    for _ in range(POWER_ITERATIONS):
        u = normalize(matrix.mv(v), dim=0, eps=spectral_norm.eps)
        v = normalize(matrix.T.mv(u), dim=0, eps=spectral_norm.eps)
    spectral_norm._u.copy_(u)
    spectral_norm._v.copy_(v)


def _uniform(weight: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Uniform around 0 with that standard deviation."""
    bound = math.sqrt(3) * deviation
    weight.uniform_(-bound, bound, generator=generator)


@part
class ScaledUniform(_Initialisation):
    """The authors' rule (igul222/nn, the library behind the WGAN-GP studies).

    Uniform with variance 4 / (fan_in + fan_out) for convolutions and 2 / (fan_in + fan_out) for linear layers. Their
    residual networks halve the variance of shortcuts and of the generator's last layer, which is not done here.
    """

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        variance = (4 if fans.is_convolution else 2) / (fans.fan_in + fans.fan_out)
        _uniform(weight, math.sqrt(variance), generator)


@part
class NormalWeights(_Initialisation):
    """N(0, std^2) whatever the layer's size (Radford et al. 2016, section 4).

    With `gain_std` the gains of norms are drawn from N(1, gain_std^2): martinarjovsky/WassersteinGAN takes 0.02 for
    batch normalisation, and here every norm with gains of its own is treated alike.
    """

    std: float = 0.02
    gain_std: float | None = None

    def __post_init__(self) -> None:
        above(self, std=0)
        if self.gain_std is not None:
            above(self, gain_std=0)

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        weight.normal_(0, self.std, generator=generator)

    def draw_gain(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw the gains of a norm that has some."""
        import torch
        from torch import nn

        norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.GroupNorm | nn.LayerNorm
        if self.gain_std is not None and isinstance(module, norms) and module.weight is not None:
            module.weight.copy_(torch.empty(module.weight.shape).normal_(1, self.gain_std, generator=generator))


@part
class UniformWeights(_Initialisation):
    """Uniform around 0 with standard deviation `std` whatever the layer's size.

    The DCGAN baseline of igul222/improved_wgan_training (gan_64x64.py).
    """

    std: float = 0.02

    def __post_init__(self) -> None:
        above(self, std=0)

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        _uniform(weight, self.std, generator)


@part
class OrthogonalWeights(_Initialisation):
    """`gain` times a random matrix with orthonormal rows, or columns if there are more rows (Saxe et al. 2014).

    The matrix is [outputs, everything else]. `gain` 1.4 is that of the Gaussian mixtures of Mao et al. 2017
    (xudonmao/LSGAN, after poolio/unrolled_gan).
    """

    gain: float = 1.4

    def __post_init__(self) -> None:
        above(self, gain=0)

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        from torch import nn

        outputs_first = weight.movedim(fans.output_axis, 0)
        matrix = nn.init.orthogonal_(outputs_first.new_empty(outputs_first.shape), self.gain, generator=generator)
        outputs_first.copy_(matrix)


@part
class HeNormal(_Initialisation):
    """N(0, 2 / fan_in): the scale of activations survives depth under ReLU (He et al. 2015, eq. 10)."""

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        weight.normal_(0, math.sqrt(2 / max(1, fans.fan_in)), generator=generator)


@part
class HeUniform(_Initialisation):
    """Uniform around 0 with variance 2 / fan_in (He et al. 2015, eq. 10), as in the authors' MLPs for 2-D toys."""

    def draw(self, weight: Tensor, fans: Fans, generator: torch.Generator) -> None:
        """Fill the weight, a float32 tensor on the CPU."""
        _uniform(weight, math.sqrt(2 / max(1, fans.fan_in)), generator)
