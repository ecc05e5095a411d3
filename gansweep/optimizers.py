"""Optimisers as parts: fields are hyperparameters, `build` makes the torch optimiser for one network.

Weight decay is the L2 form (its gradient is added to the loss's), on weights only, never on biases and norms. The
WGAN-GP robustness study uses it in the discriminator if and only if that is normalised (Gulrajani et al. 2017, App. B):
`weight_decay_when="normalised"`.

"RMSProp" names two optimisers: PyTorch's and TensorFlow's differ in the running square's start, its decay and where eps
goes, and the first steps of the second are many times shorter at one rate (trap T-17). So they are two parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gansweep.parts import above, at_least, is_part, one_of, part


def _below_one(owner: object, *fields: str) -> None:
    """Raise `ValueError` unless each named field lies in [0, 1)."""
    at_least(owner, **dict.fromkeys(fields, 0.0))
    for field in fields:
        if getattr(owner, field) >= 1:
            raise ValueError(f"{type(owner).__name__}.{field} = {getattr(owner, field)} must lie in [0, 1)")


def _check_schedule(owner: object, field: str, what: str, valid: str) -> None:
    """Raise `ValueError` unless the field is None or a part that has a method named `what`."""
    schedule = getattr(owner, field)
    if schedule is not None and not (is_part(schedule) and callable(getattr(schedule, what, None))):
        raise ValueError(f"{type(owner).__name__}.{field} = {schedule!r} must be None or a part such as {valid}")


class _Optimizer:
    """What the optimisers share: decay of the weights, and a rate that may follow a schedule."""

    lr: float
    weight_decay: float
    weight_decay_when: str
    schedule: Any

    def _check(self) -> None:
        above(self, lr=0)
        at_least(self, weight_decay=0)
        one_of(self, "weight_decay_when", ("always", "normalised"))
        _check_schedule(self, "schedule", "lr", "LinearDecay, StepDecay or ExponentialDecay")

    def _groups(self, network: nn.Module, normalised: bool) -> list[dict[str, Any]]:
        """Weights (two axes and more) with the decay, everything else without."""
        decay = self.weight_decay if self.weight_decay_when == "always" or normalised else 0.0
        weights = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        groups = [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]] or groups[:1]  # a fixed generator has no weights

    def adjust(self, optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
        """Set what is scheduled for generator iteration number `step` (from 0) of `steps`; call before the update."""
        if self.schedule is not None:
            _set(optimizer, "lr", self.schedule.lr(self.lr, step, steps))


def _set(optimizer: torch.optim.Optimizer, name: str, value: float) -> None:
    for group in optimizer.param_groups:
        group[name] = value


@part
class Adam(_Optimizer):
    """Adam (Kingma and Ba 2015) in PyTorch's form, which adds eps after the bias correction (TensorFlow 1: before).

    `build(network, normalised)` says whether the network has normalisation layers.
    """

    lr: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9
    eps: float = 1e-8
    weight_decay: float = 0.0
    weight_decay_when: str = "always"
    schedule: Any = None

    def __post_init__(self) -> None:
        self._check()
        above(self, eps=0)
        _below_one(self, "beta1", "beta2")

    def build(self, network: nn.Module, normalised: bool) -> torch.optim.Optimizer:
        """The torch optimiser over all parameters of the network."""
        betas = float(self.beta1), float(self.beta2)  # torch refuses a whole number beside a fraction
        return torch.optim.Adam(self._groups(network, normalised), lr=self.lr, betas=betas, eps=self.eps, fused=True)


@part
class SGD(_Optimizer):
    """Gradient descent with momentum, in PyTorch's form: v = momentum v + g, then w = w - lr v.

    The rate is outside of v, unlike in Sutskever et al. 2013, so that a scheduled rate acts on all of v at once.
    `nesterov` looks ahead: w = w - lr (g + momentum v). `momentum_schedule` is None or a `MomentumRamp`.
    """

    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    weight_decay_when: str = "always"
    schedule: Any = None
    momentum_schedule: Any = None

    def __post_init__(self) -> None:
        self._check()
        _below_one(self, "momentum")
        _check_schedule(self, "momentum_schedule", "momentum", "MomentumRamp")
        if self.nesterov and self.momentum == 0:
            raise ValueError(f"SGD.nesterov = {self.nesterov} needs SGD.momentum > 0")

    def build(self, network: nn.Module, normalised: bool) -> torch.optim.Optimizer:
        """The torch optimiser over all parameters of the network."""
        groups = self._groups(network, normalised)
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)

    def adjust(self, optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
        """Set what is scheduled for generator iteration number `step` (from 0) of `steps`; call before the update."""
        super().adjust(optimizer, step, steps)
        if self.momentum_schedule is not None:
            _set(optimizer, "momentum", self.momentum_schedule.momentum(self.momentum, step, steps))


@part
class RMSProp(_Optimizer):
    """RMSProp with PyTorch's semantics: the running square starts at 0 and eps is added outside the root."""

    lr: float = 5e-5
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    weight_decay_when: str = "always"
    schedule: Any = None

    def __post_init__(self) -> None:
        self._check()
        above(self, eps=0)
        _below_one(self, "alpha")

    def build(self, network: nn.Module, normalised: bool) -> torch.optim.Optimizer:
        """The torch optimiser over all parameters of the network."""
        return torch.optim.RMSprop(self._groups(network, normalised), lr=self.lr, alpha=self.alpha, eps=self.eps)


@part
class RMSPropTF(_Optimizer):
    """RMSProp with the semantics of TensorFlow 1: the running square starts at 1 and eps is added inside the root.

    s = decay s + (1 - decay) g^2; m = momentum m + lr g / sqrt(s + eps); w = w - m. `decay` and `eps` are TensorFlow's
    defaults, `lr` is that of Arjovsky et al. 2017, Algorithm 1.
    """

    lr: float = 5e-5
    decay: float = 0.9
    momentum: float = 0.0
    eps: float = 1e-10
    weight_decay: float = 0.0
    weight_decay_when: str = "always"
    schedule: Any = None

    def __post_init__(self) -> None:
        self._check()
        above(self, eps=0)
        _below_one(self, "decay", "momentum")

    def build(self, network: nn.Module, normalised: bool) -> torch.optim.Optimizer:
        """The torch optimiser over all parameters of the network."""
        defaults = {"lr": self.lr, "decay": self.decay, "momentum": self.momentum, "eps": self.eps}
        return TensorFlowRMSProp(self._groups(network, normalised), defaults)


class TensorFlowRMSProp(torch.optim.Optimizer):
    """The torch optimiser of `RMSPropTF`; the formula is there.

    A parameter's state is its running square and, with momentum, m. A parameter without a gradient is left alone.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        if group["weight_decay"] != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        squares = self._kept("square_avg", parameters, torch.ones_like)
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["decay"])
        roots = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(roots)
        if group["momentum"] == 0:
            torch._foreach_addcdiv_(parameters, gradients, roots, value=-group["lr"])
            return
        moves = self._kept("momentum_buffer", parameters, torch.zeros_like)
        torch._foreach_mul_(moves, group["momentum"])
        torch._foreach_addcdiv_(moves, gradients, roots, value=group["lr"])
        torch._foreach_sub_(parameters, moves)

    def _kept(self, name: str, parameters: list[Tensor], start: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """That tensor of each parameter's state, made by `start` when it is first needed."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = start(parameter)
        return [self.state[parameter][name] for parameter in parameters]
