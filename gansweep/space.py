"""What a study draws: named values and ranges that become Optuna distributions.

Each space is a part, so a study's hash covers it. Optuna is imported where a distribution is made, not before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gansweep.parts import part

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = bool | int | float | str | None


@part
class Choice:
    """One of a finite list of values."""

    options: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError("choice() needs at least one option")
        for option in self.options:
            if option is not None and not isinstance(option, bool | int | float | str):
                raise ValueError(f"choice() takes numbers, strings, booleans and None, not {option!r}")
        # 1, 1.0 and True are equal to Optuna too, so it could never draw the second of them
        if len(set(self.options)) != len(self.options):
            raise ValueError(f"choice{self.options} repeats an option")

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.options)

    @property
    def first(self) -> Value:
        """The first option."""
        return self.options[0]

    @property
    def shown(self) -> list[Value]:
        """What a plan prints: every option."""
        return list(self.options)

    def distribution(self) -> BaseDistribution:
        """The Optuna distribution."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)


@part
class Range:
    """A number between `low` and `high`, both included; `log` draws it uniformly in the logarithm."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range needs finite low <= high, not {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low > 0, not {self.low}")

    @property
    def size(self) -> float:
        """How many values there are: infinite unless integers are drawn or the range is a point."""
        if self.low == self.high:
            return 1
        return self.high - self.low + 1 if self.integer else math.inf

    @property
    def first(self) -> Value:
        """The lowest value."""
        return int(self.low) if self.integer else self.low

    @property
    def shown(self) -> list[Value]:
        """What a plan prints: both ends."""
        return [self.low, self.high]

    def distribution(self) -> BaseDistribution:
        """The Optuna distribution."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


Space = Choice | Range


def choice(*options: Value) -> Choice:
    """One of `options`, each equally likely."""
    return Choice(options=options)


def uniform(low: float, high: float) -> Range:
    """A real number, uniform in [low, high]."""
    return Range(low=low, high=high)


def log_uniform(low: float, high: float) -> Range:
    """A real number whose logarithm is uniform in [log low, log high]."""
    return Range(low=low, high=high, log=True)


def integers(low: int, high: int) -> Range:
    """A whole number from low to high, both included."""
    return Range(low=low, high=high, integer=True)
