"""Schedules as parts: a learning rate, or a momentum, as a function of the generator iteration and of nothing else.

`step` counts generator iterations from 0, also in the discriminator's optimiser; `steps` is how many the trial has.
Nothing is remembered between two updates, so a resumed run goes on with the same numbers. Every schedule starts at the
optimiser's own value, so that sweeping `lr` scales the whole curve.
"""

from __future__ import annotations

from typing import Any

from gansweep.parts import above, at_least, part


def _check_over(schedule: Any) -> None:
    if schedule.over is not None:
        at_least(schedule, over=1)


def _check_decay(schedule: Any) -> None:
    above(schedule, factor=0)
    at_least(schedule, floor=0)
    if schedule.factor > 1:
        raise ValueError(f"{type(schedule).__name__}.factor = {schedule.factor} must lie in (0, 1]")


def _decayed(lr: float, factor: float, times: int, floor: float) -> float:
    """`lr` times the factor so many times, but not below the floor; a floor above `lr` never raises it."""
    return max(lr * factor**times, min(floor, lr))


@part
class LinearDecay:
    """lr * max(0, 1 - step / over): from the full rate to 0 after `over` generator iterations.

    `over` None is the whole trial, as for the CIFAR-10 networks of Gulrajani et al. 2017, App. F. The last update is
    then the one before 0.
    """

    over: int | None = None

    def __post_init__(self) -> None:
        _check_over(self)

    def lr(self, lr: float, step: int, steps: int) -> float:
        """The rate of iteration number `step` of `steps`."""
        return lr * max(0.0, 1 - step / (self.over or steps))


@part
class StepDecay:
    """lr * factor ** (step // every), not below `floor`.

    By default halved every 100 000 iterations, as in carpedm20/BEGAN-tensorflow.
    """

    every: int = 100_000
    factor: float = 0.5
    floor: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, every=1)
        _check_decay(self)

    def lr(self, lr: float, step: int, steps: int) -> float:
        """The rate of iteration number `step`."""
        return _decayed(lr, self.factor, step // self.every, self.floor)


@part
class ExponentialDecay:
    """lr * factor ** step, not below `floor`.

    By default divided by 1.00004 in every iteration down to 1e-6 (Mirza and Osindero 2014, section 4.1).
    """

    factor: float = 1 / 1.00004
    floor: float = 1e-6

    def __post_init__(self) -> None:
        _check_decay(self)

    def lr(self, lr: float, step: int, steps: int) -> float:
        """The rate of iteration number `step`."""
        return _decayed(lr, self.factor, step, self.floor)


@part
class MomentumRamp:
    """From the optimiser's momentum to `final` in a straight line over `over` generator iterations, then constant.

    Mirza and Osindero 2014, section 4.1, go from 0.5 to 0.7 and do not say how fast: `over` None is the whole trial.
    """

    final: float = 0.7
    over: int | None = None

    def __post_init__(self) -> None:
        at_least(self, final=0)
        if self.final >= 1:
            raise ValueError(f"MomentumRamp.final = {self.final} must lie in [0, 1)")
        _check_over(self)

    def momentum(self, momentum: float, step: int, steps: int) -> float:
        """The momentum of iteration number `step` of `steps`."""
        return momentum + (self.final - momentum) * min(1.0, step / (self.over or steps))
