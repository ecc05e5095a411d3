"""Constraints on the discriminator: parts of their own that combine with any objective where that makes sense.

A constraint may add a `penalty` to the discriminator's loss and may change its weights `after_step`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gansweep.parts import above, at_least, one_of, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

Critic = Callable[[Tensor], Tensor]


def per_sample_gradient_norm(critic: Critic, x: Tensor) -> Tensor:
    """The Euclidean norm of d critic(x_i) / d x_i over all axes but the first: [batch] (traps T-1 to T-3).

    The norm's derivative is 0 where the gradient is 0 (trap T-5). Right only if an example's score does not depend on
    the rest of its batch (trap T-10).
    """
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)


@part
class GradientPenalty:
    """weight * E (||grad D(x_hat)|| - target)^2 on segments between real and fake (Gulrajani et al. 2017, eq. 3).

    `one_sided` counts norms above the target only (App. C). x_hat = e x + (1 - e) G(z) with one e ~ U[0, 1] per
    example. A batch-normalised critic is refused, because its gradient mixes examples, unless `allow_batch_norm`.
    """

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    allow_batch_norm: bool = False

    def __post_init__(self) -> None:
        above(self, weight=0)
        at_least(self, target=0)

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` where the trial's discriminator makes the penalty meaningless."""
        if config.discriminator.uses_batch_norm and not self.allow_batch_norm:
            raise ValueError(
                "GradientPenalty with a batch-normalised discriminator penalises the wrong gradient: "
                'set discriminator.norm="layer", or allow_batch_norm=True to study it'
            )

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """The weighted penalty, a scalar in the precision of `real`."""
        mix = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator, device=real.device, dtype=real.dtype)
        excess = per_sample_gradient_norm(critic, mix * real + (1 - mix) * fake) - self.target
        return self.weight * (excess.clamp(min=0) if self.one_sided else excess).square().mean()

    def after_step(self, discriminator: nn.Module) -> None:
        """Nothing: the penalty acts through the loss."""


@part
class WeightClip:
    """Clip the critic's parameters to [-bound, bound] after every update (Arjovsky et al. 2017, Algorithm 1).

    `what`: "all" parameters, biases, gains of norms included (the authors' code); "weights_and_biases" of
    convolutions and linear layers; "weights" of those only. Buffers never (trap T-16).
    """

    bound: float = 0.01
    what: str = "all"

    def __post_init__(self) -> None:
        above(self, bound=0)
        one_of(self, "what", ("all", "weights_and_biases", "weights"))

    def check(self, config: TrialConfig) -> None:
        """Any discriminator can be clipped."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator) -> None:
        """No penalty."""

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        """Clip in place."""
        for module in discriminator.modules():
            layer = isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
            for name, parameter in module.named_parameters(recurse=False):
                if self.what == "all" or (layer and (name == "weight" or self.what == "weights_and_biases")):
                    parameter.clamp_(-self.bound, self.bound)
