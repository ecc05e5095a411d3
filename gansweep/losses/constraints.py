"""Constraints on the discriminator: parts of their own that combine with any objective where that makes sense.

A constraint may add a `penalty` to the discriminator's loss and may change its weights `after_step`. A penalty on the
gradient of the score in its input is two things: the `points` where the gradient is taken, and the `value` of the
gradients found there. What lies between them is the same for all, eager here and compiled in
`gansweep.losses.compiled`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from gansweep.outputs import precise
from gansweep.parts import above, at_least, one_of, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

Critic = Callable[[Tensor], Tensor]

PLACES = ("lines", "real", "fake")
FORMS = ("squared_norm", "squared_hinge", "distance")
NOISES = ("uniform01", "uniform11", "gaussian")
POLICIES = ("all", "weights_and_biases", "weights")


def full_precision(device: torch.device) -> torch.autocast:
    """A region without autocast: bf16 gradients of gradients are off by percents (trap T-20)."""
    return torch.autocast(device.type, enabled=False)


def input_gradients(critic: Critic, x: Tensor) -> Tensor:
    """d critic(x_i) / d x_i for every example, in the shape of `x` and with a graph to the critic's parameters.

    Right only if an example's score does not depend on the rest of its batch (trap T-10).
    """
    x = x.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradients


def norms(gradients: Tensor) -> Tensor:
    """Each example's Euclidean norm over all axes but the first: [batch] (traps T-1 to T-3).

    Its derivative is 0 where the gradient is 0 (trap T-5).
    """
    return torch.linalg.vector_norm(gradients.flatten(1), dim=1)


def squared_norms(gradients: Tensor) -> Tensor:
    """Each example's sum of squares over all axes but the first: [batch]."""
    return gradients.flatten(1).square().sum(dim=1)


def per_sample_gradient_norm(critic: Critic, x: Tensor) -> Tensor:
    """The Euclidean norm of d critic(x_i) / d x_i: [batch]."""
    return norms(input_gradients(critic, x))


def _given(x: Tensor) -> Tensor:
    """`x` without its graph, in fp32 unless it is in float64."""
    return precise(x.detach())


def _one_per_example(x: Tensor, generator: torch.Generator) -> Tensor:
    """U[0, 1), one number for each example, in a shape that multiplies `x` (trap T-4)."""
    return torch.rand(len(x), *[1] * (x.ndim - 1), generator=generator, device=x.device, dtype=x.dtype)


class Constraint:
    """The defaults of a constraint: it goes with every trial, adds nothing and changes nothing."""

    @property
    def coupling(self) -> str | None:
        """What ties the examples of a batch together; None if the penalty is a mean of one term per example, or none.

        For a gradient penalty that is a matter of its `value`: `points` are always those of the whole batch.
        """
        return f"{type(self).__name__}, whose penalty is not known to be a mean of a term per example"

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` where the trial's other parts make the constraint meaningless."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor | None:
        """What is added to the discriminator's loss: a scalar, or None if there is no penalty."""
        return None

    def after_step(self, discriminator: nn.Module) -> None:
        """Called after each of the discriminator's updates."""


class GradientConstraint(Constraint):
    """A penalty on the gradient of the raw score in its input, never of a sigmoid of it (trap T-8)."""

    allow_batch_norm: bool

    @property
    def judges_fakes(self) -> bool:
        """Whether the points are fakes, so that a conditional discriminator needs the labels of the fakes."""
        return False

    def points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """Where the gradient is taken: [batch, *shape] without a graph, float64 for float64 images and else fp32."""
        raise NotImplementedError

    def value(self, gradients: Tensor) -> Tensor:
        """The weighted penalty for the gradients [batch, *shape] at those points: a mean over the batch, a scalar."""
        raise NotImplementedError

    def check(self, config: TrialConfig) -> None:
        """Refuse a score without a meaningful gradient, and batch normalisation unless it is studied on purpose."""
        name, loss = type(self).__name__, type(config.loss).__name__
        if not config.loss.penalisable:
            raise ValueError(
                f"{name} prescribes the gradient of a raw score, which {loss} does not have: set constraint=None"
            )
        if config.discriminator.uses_batch_norm and not self.allow_batch_norm:
            raise ValueError(
                f"{name} with a batch-normalised discriminator penalises the wrong gradient: "
                'set discriminator.norm="layer", or allow_batch_norm=True to study it'
            )

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """The weighted penalty, a scalar; in full precision inside an autocast region too.

        `critic` maps [batch, *shape] to raw scores [batch]. No gradient reaches `real` or `fake`. Call `backward`
        outside such a region: convolutions in it differentiate twice in bf16.
        """
        with full_precision(real.device):
            return self.value(input_gradients(critic, self.points(real, fake, generator)))


@part
class GradientPenalty(GradientConstraint):
    """weight * E (||grad D(x_hat)|| - target)^2 on segments between real and fake (Gulrajani et al. 2017, eq. 3).

    `one_sided` counts norms above the target only (App. C). x_hat = e x + (1 - e) G(z) with one e ~ U[0, 1] per
    example; `at` "real" or "fake" takes the examples themselves instead. A batch-normalised critic is refused, because
    its gradient mixes examples, unless `allow_batch_norm`.
    """

    coupling: ClassVar[None] = None

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    allow_batch_norm: bool = False
    at: str = "lines"

    def __post_init__(self) -> None:
        above(self, weight=0)
        at_least(self, target=0)
        one_of(self, "at", PLACES)

    @property
    def judges_fakes(self) -> bool:
        """Whether the points are fakes."""
        return self.at == "fake"

    def points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """x_hat [batch, *shape]."""
        real, fake = _given(real), _given(fake)
        if self.at != "lines":
            return real if self.at == "real" else fake
        mix = _one_per_example(real, generator)
        return mix * real + (1 - mix) * fake

    def value(self, gradients: Tensor) -> Tensor:
        """The weighted penalty, a scalar."""
        excess = norms(gradients) - self.target
        return self.weight * (excess.clamp(min=0) if self.one_sided else excess).square().mean()


@part
class ZeroCentredPenalty(GradientConstraint):
    """gamma / 2 * E ||grad D(x)||^2 at real images (R1) or at fakes (R2) (Mescheder et al. 2018, section 4).

    The norm is squared before the mean and no root is taken.
    """

    coupling: ClassVar[None] = None

    gamma: float = 10.0
    at: str = "real"
    allow_batch_norm: bool = False

    def __post_init__(self) -> None:
        above(self, gamma=0)
        one_of(self, "at", PLACES[1:])

    @property
    def judges_fakes(self) -> bool:
        """Whether the points are fakes."""
        return self.at == "fake"

    def points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """The real images or the fakes [batch, *shape]."""
        return _given(real if self.at == "real" else fake)

    def value(self, gradients: Tensor) -> Tensor:
        """The weighted penalty, a scalar."""
        return self.gamma / 2 * squared_norms(gradients).mean()


@part
class DRAGANPenalty(GradientConstraint):
    """A penalty on the gradient g = grad D(x + delta) around real images (Kodali et al. 2017).

    `form`, in the order in which the paper arrives at them, with k = `target`:
    "squared_norm" is weight * E ||g||^2, which leaves k out; "squared_hinge" is weight * E max(0, ||g||^2 - k);
    "distance", the final one, is weight * E (||g|| - k)^2.

    `noise` is what delta is (trap T-9). "uniform01" is the published code's: delta = a * scale * s * U[0, 1) with a
    number for each pixel, one a ~ U[0, 1) per example, and s the standard deviation of all numbers in the minibatch;
    every delta is positive, which its author calls a mistake. "uniform11" has U(-1, 1) in its place, as the author
    advises. "gaussian" is the paper's: delta ~ N(0, scale * I), without a and s.

    `scale` is a factor for the uniform noises (0.5 in the published code) and the variance c for the Gaussian one: no
    value of it suits every range of pixels, so choose it.
    """

    coupling: ClassVar[None] = None

    weight: float = 10.0
    target: float = 1.0
    form: str = "distance"
    noise: str = "uniform01"
    scale: float = 0.5
    allow_batch_norm: bool = False

    def __post_init__(self) -> None:
        above(self, weight=0, scale=0)
        at_least(self, target=0)
        one_of(self, "form", FORMS)
        one_of(self, "noise", NOISES)

    def points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """x + delta [batch, *shape]; not clipped to the range of images."""
        x = _given(real)
        if self.noise == "gaussian":
            drawn = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            return x + math.sqrt(self.scale) * drawn
        drawn = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        if self.noise == "uniform11":
            drawn = 2 * drawn - 1
        return x + _one_per_example(x, generator) * (self.scale * x.std(correction=0)) * drawn

    def value(self, gradients: Tensor) -> Tensor:
        """The weighted penalty, a scalar."""
        if self.form == "distance":
            return self.weight * (norms(gradients) - self.target).square().mean()
        squares = squared_norms(gradients)
        return self.weight * (squares if self.form == "squared_norm" else (squares - self.target).clamp(min=0)).mean()


@part
class WeightClip(Constraint):
    """Clip the critic's parameters to [-bound, bound] after every update (Arjovsky et al. 2017, Algorithm 1).

    `what`: "all" parameters, biases, gains of norms included (the authors' code); "weights_and_biases" of
    convolutions and linear layers; "weights" of those only. Buffers never (trap T-16).
    """

    coupling: ClassVar[None] = None

    bound: float = 0.01
    what: str = "all"

    def __post_init__(self) -> None:
        above(self, bound=0)
        one_of(self, "what", POLICIES)

    def check(self, config: TrialConfig) -> None:
        """Refuse spectral normalisation, which divides the weights by their size again."""
        network = config.discriminator
        if network.normalised and getattr(network, "norm", None) == "spectral":
            raise ValueError(
                "WeightClip has no effect on spectrally normalised weights: set constraint=None, or "
                'discriminator.norm="layer"'
            )

    def clipped(self, discriminator: nn.Module) -> Iterator[nn.Parameter]:
        """The parameters that are clipped."""
        for module in discriminator.modules():
            layer = isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)
            for name, parameter in module.named_parameters(recurse=False):
                if self.what == "all" or (layer and (name == "weight" or self.what == "weights_and_biases")):
                    yield parameter

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        """Clip in place."""
        for parameter in self.clipped(discriminator):
            parameter.clamp_(-self.bound, self.bound)
