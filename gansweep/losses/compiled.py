"""A gradient penalty through torch.compile, where that gives the same gradients.

`torch.compile` cannot differentiate a compiled network twice (trap T-19). It can compile a function that takes the
gradient in the network's input itself, with `torch.func.grad`; backward then goes through that function once. Only this
function is compiled. Points are drawn and gradients valued outside, by the code of the eager route, so random streams
and formulas are the same, and networks of one architecture share what was compiled, whatever their weights and their
constraint.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gansweep.losses.constraints import Constraint, GradientConstraint, full_precision, input_gradients

if TYPE_CHECKING:
    from gansweep.outputs import Output

Score = Callable[["Output"], Tensor]

TOLERANCE = 1e-4  # fp32 sums in another order differ by some 1e-7; a wrong gradient by far more
NUM_ARCHITECTURES = 64  # compiled functions that one process keeps before it refuses to compile more


def _gradients(discriminator: nn.Module, score: Score, points: Tensor, labels: Tensor | None) -> Tensor:
    """d score(D(x_i)) / d x_i at the points, with a graph to the discriminator's parameters."""
    state = {**dict(discriminator.named_parameters()), **dict(discriminator.named_buffers())}

    def total(x: Tensor) -> Tensor:
        given = (x,) if labels is None else (x, labels)
        return score(torch.func.functional_call(discriminator, state, given)).sum()

    return torch.func.grad(total)(points)


@functools.cache
def _compiled() -> Callable[[nn.Module, Score, Tensor, Tensor | None], Tensor]:
    """The function above, compiled anew for each architecture and batch shape."""
    return torch.compile(_gradients, fullgraph=True, dynamic=False)


def tracked_norm(discriminator: nn.Module) -> str | None:
    """The name of a norm whose running statistics the next call would move, if there is one.

    Those are written in place from inside the function that is differentiated, which `torch.func` refuses.
    """
    for name, module in discriminator.named_modules():
        if module.training and getattr(module, "track_running_stats", False):
            return name
    return None


class Penalty:
    """The penalty of one discriminator, as a term of its loss.

    `score` maps an `Output` to scores [batch]. `discriminator` is the network itself, in training mode, and no compiled
    wrapper of it. Only gradient penalties are ever compiled, and only on networks without running statistics;
    `compiled` says which route is taken and can be set to False.
    """

    def __init__(
        self, constraint: Constraint | None, discriminator: nn.Module, score: Score, compiled: bool = False
    ) -> None:
        self.constraint, self.discriminator, self.score = constraint, discriminator, score
        self.compiled = compiled and isinstance(constraint, GradientConstraint) and tracked_norm(discriminator) is None

    def __call__(
        self,
        real: Tensor,
        fake: Tensor,
        generator: torch.Generator,
        labels: Tensor | None = None,
        fake_labels: Tensor | None = None,
        points: Tensor | None = None,
    ) -> Tensor | None:
        """The weighted penalty on batches [batch, *shape], a scalar in full precision; None if there is none.

        The points are judged by the `labels` of the real images (trap T-13), unless they are fakes. Give labels to a
        conditional discriminator only. `points` are those of a gradient penalty, where they are known already.
        """
        constraint = self.constraint
        if not isinstance(constraint, GradientConstraint):
            return None if constraint is None else constraint.penalty(self.critic(labels), real, fake, generator)
        labels = fake_labels if constraint.judges_fakes else labels
        if points is None and not self.compiled:
            return constraint.penalty(self.critic(labels), real, fake, generator)
        with full_precision(real.device):
            points = constraint.points(real, fake, generator) if points is None else points
            if self.compiled:
                return constraint.value(self.compiled_gradients(points, labels))
            return constraint.value(input_gradients(self.critic(labels), points))

    def points(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor | None:
        """Where a gradient penalty takes the gradients, [batch, *shape]; None without one."""
        if not isinstance(self.constraint, GradientConstraint):
            return None
        with full_precision(real.device):
            return self.constraint.points(real, fake, generator)

    def critic(self, labels: Tensor | None) -> Callable[[Tensor], Tensor]:
        """x -> score [batch], given the labels."""
        if labels is None:
            return lambda x: self.score(self.discriminator(x))
        return lambda x: self.score(self.discriminator(x, labels))

    def compiled_gradients(self, points: Tensor, labels: Tensor | None) -> Tensor:
        """The score's gradients [batch, *shape] by the compiled function; compiles at the first call of a new shape."""
        with torch.compiler.config.patch(recompile_limit=NUM_ARCHITECTURES):  # type: ignore[attr-defined]
            return _compiled()(self.discriminator, self.score, points, labels)


def parity(
    penalty: Penalty,
    real: Tensor,
    fake: Tensor,
    labels: Tensor | None = None,
    fake_labels: Tensor | None = None,
) -> str | None:
    """Why the penalty must not be compiled, or None if that agrees with the eager route to within `TOLERANCE`.

    Compares, on one batch, the input gradients, the penalty, and the parameter gradients of the penalty and of the mean
    square of the input gradients, which no threshold hides. Leaves no trace: parameters' `grad`, buffers and random
    states are as before. Compiles for the shape of `real`, so a batch of the training size costs the loop nothing more.
    None without compiling if there is no gradient penalty.
    """
    constraint, discriminator = penalty.constraint, penalty.discriminator
    if not isinstance(constraint, GradientConstraint):
        return None
    if (name := tracked_norm(discriminator)) is not None:
        return f"the penalty cannot be compiled: it would move the running statistics of {name!r}"
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in discriminator.modules()):
        return "the penalty cannot be compiled: dropout would draw other masks"
    labels = fake_labels if constraint.judges_fakes else labels
    buffers = {buffer: buffer.clone() for buffer in discriminator.buffers()}
    parameters = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    forked = [real.device] if real.device.type == "cuda" else []
    with torch.random.fork_rng(devices=forked), full_precision(real.device):
        points = constraint.points(real, fake, torch.Generator(device=real.device).manual_seed(0))
        try:
            eager = _compared(constraint, input_gradients(penalty.critic(labels), points), parameters)
            _restore(buffers)
            other = _compared(constraint, penalty.compiled_gradients(points, labels), parameters)
        except Exception as error:  # a missing compiler, a network it cannot trace, a limit: each has its own class
            return f"the compiled penalty failed with {type(error).__name__}: {_first_line(error)}"
        finally:
            _restore(buffers)
    worst = max(_relative_error(got, expected) for got, expected in zip(other, eager, strict=True))
    return None if worst <= TOLERANCE else f"the compiled penalty is off by a relative {worst:.1e}"


def _compared(constraint: GradientConstraint, gradients: Tensor, parameters: list[nn.Parameter]) -> list[Tensor]:
    """What both routes must agree on."""
    value = constraint.value(gradients)
    by_value = torch.autograd.grad(value, parameters, retain_graph=True, materialize_grads=True)
    by_square = torch.autograd.grad(gradients.square().mean(), parameters, materialize_grads=True)
    flat = [torch.cat([each.flatten() for each in of]) for of in (by_value, by_square)]
    return [gradients.detach(), value.detach(), *flat]


@torch.no_grad()
def _restore(buffers: dict[Tensor, Tensor]) -> None:
    for buffer, kept in buffers.items():
        buffer.copy_(kept)


def _relative_error(got: Tensor, expected: Tensor) -> float:
    """|got - expected| / |expected|: 0 where both are 0, infinite where it has no finite value."""
    difference, size = (got - expected).norm().item(), expected.norm().item()
    if difference == 0:
        return 0.0
    return difference / size if size > 0 and math.isfinite(difference) else math.inf


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
