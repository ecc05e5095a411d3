"""What a study draws: named values and ranges that become Optuna distributions, and branches that hold some of them.

Each space is a part, so a study's hash covers it. Optuna is imported where a distribution is made, not before.

A *cell* maps the names of factors to values. `parameters` walks through what a cell draws, in order; samplers, grids,
checks and records all go through it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gansweep.parts import part

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

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

    @property
    def values(self) -> list[Value]:
        """Every option."""
        return list(self.options)

    def suggest(self, trial: Trial, name: str) -> Value:
        """Draw by an Optuna trial."""
        drawn: Value = trial.suggest_categorical(name, self.options)
        return drawn

    def distribution(self) -> BaseDistribution:
        """The Optuna distribution."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.options)


@part
class Range:
    """A number between `low` and `high`, both included; `log` draws it uniformly in the logarithm.

    A grid takes `steps` values of it at equal distances; without `steps` it takes every whole number, and it has no
    grid of real ones.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    steps: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range needs finite low <= high, not {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low > 0, not {self.low}")
        if self.steps is not None and (self.steps < 2 or self.low == self.high):
            raise ValueError(f"steps = {self.steps} needs at least 2 values and low < high")

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

    @property
    def values(self) -> list[Value]:
        """What a grid takes, in ascending order."""
        if self.low == self.high:
            return [self.first]
        if self.steps is None:
            if not self.integer:
                raise ValueError(
                    f"a grid needs the number of steps of the range {self.low:g} to {self.high:g}: give steps = 5, say"
                )
            return list(range(int(self.low), int(self.high) + 1))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        inner = [low + (high - low) * n / (self.steps - 1) for n in range(1, self.steps - 1)]
        reals = [self.low, *(math.exp(value) if self.log else value for value in inner), self.high]
        return list(dict.fromkeys(round(value) for value in reals)) if self.integer else list(reals)

    def suggest(self, trial: Trial, name: str) -> Value:
        """Draw by an Optuna trial."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def distribution(self) -> BaseDistribution:
        """The Optuna distribution."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@part
class Either:
    """One of several named branches; each sets fields of its own, to fixed values or to what is drawn for it alone."""

    branches: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        if len(self.branches) < 2:
            raise ValueError("either() needs at least two branches")
        for label, branch in self.branches.items():
            for path, one in branch.items():
                if isinstance(one, Either):
                    raise ValueError(f"branch {label!r}: {path!r} is an either() within an either(); name every case")

    @property
    def label(self) -> Choice:
        """The choice of the branch."""
        return Choice(options=tuple(self.branches))

    @property
    def paths(self) -> set[str]:
        """Every field that any branch sets."""
        return {path for branch in self.branches.values() for path in branch}

    @property
    def size(self) -> float:
        """How many cells there are."""
        return sum(math.prod(one.size for one in self.drawn(label).values()) for label in self.branches)

    def led_by(self, label: str) -> Either:
        """The same with another branch as the first."""
        return Either(branches={label: self.branches[label], **self.branches})

    def drawn(self, label: str) -> dict[str, Choice | Range]:
        """What the branch draws, by field."""
        return {path: one for path, one in self.branches[label].items() if isinstance(one, Choice | Range)}

    def fixed(self, label: str) -> dict[str, Any]:
        """What the branch sets to fixed values, by field."""
        return {path: one for path, one in self.branches[label].items() if not isinstance(one, Choice | Range)}


Space = Choice | Range | Either


def choice(*options: Value) -> Choice:
    """One of `options`, each equally likely."""
    return Choice(options=options)


def uniform(low: float, high: float, *, steps: int | None = None) -> Range:
    """A real number, uniform in [low, high]."""
    return Range(low=low, high=high, steps=steps)


def log_uniform(low: float, high: float, *, steps: int | None = None) -> Range:
    """A real number whose logarithm is uniform in [log low, log high]."""
    return Range(low=low, high=high, log=True, steps=steps)


def integers(low: int, high: int, *, steps: int | None = None) -> Range:
    """A whole number from low to high, both included."""
    return Range(low=low, high=high, integer=True, steps=steps)


def either(**branches: Mapping[str, Any]) -> Either:
    """One of the named branches, such as `either(clipping={"constraint": WeightClip(), ...}, penalty={...})`.

    A branch maps fields to values, or to what is drawn for it alone: `"constraint.bound": log_uniform(1e-3, 0.1)`. In a
    study's space it stands under a name in words, such as "constraint kind"; the label of the branch is a factor of
    that name, and what the branch draws is a factor under its field, which other branches leave empty.
    """
    return Either(branches=branches)


def parameters(
    space: Mapping[str, Space], cell: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, str, Choice | Range]]:
    """What is drawn, in order: the parameter's name, its factor's, and its choice or range.

    With `cell`, only what this cell draws: it must hold a branch's label by the time the next parameter is asked for,
    so a sampler can fill it while it goes through. Parameters of different branches have different names, because
    Optuna refuses two distributions under one.
    """
    for name, one in space.items():
        if not isinstance(one, Either):
            yield name, name, one
            continue
        yield name, name, one.label
        for label in one.branches if cell is None else [cell[name]]:
            for path, inner in one.drawn(label).items():
                yield f"{path} ({label})", path, inner


def first_cell(space: Mapping[str, Space]) -> dict[str, Value]:
    """The cell of the first values."""
    cell: dict[str, Value] = {}
    for _, factor, one in parameters(space, cell):
        cell[factor] = one.first
    return cell


def grid(space: Mapping[str, Space]) -> Iterator[dict[str, Value]]:
    """Every cell, the last factor changing fastest; a range without a number of steps is a `ValueError`."""
    axes: list[list[dict[str, Value]]] = []
    for name, one in space.items():
        if isinstance(one, Either):
            axes.append([{name: label, **inner} for label in one.branches for inner in grid(one.drawn(label))])
        else:
            axes.append([{name: value} for value in one.values])
    for combination in itertools.product(*axes):
        yield {factor: value for part in combination for factor, value in part.items()}


def corners(space: Mapping[str, Space]) -> Iterator[dict[str, Value]]:
    """Few cells in which everything occurs: the first cell of each branch, then each other option or end of a range."""
    first = first_cell(space)
    yield first
    for name, one in space.items():
        if isinstance(one, Either):
            rest = {factor: value for factor, value in first.items() if factor != name and factor not in one.paths}
            for label in one.branches:
                yield from ({**rest, name: label, **inner} for inner in corners(one.drawn(label)))
        else:
            yield from ({**first, name: value} for value in _extremes(one)[1:])


def _extremes(one: Choice | Range) -> list[Value]:
    if isinstance(one, Choice):
        return one.values
    return [one.first, int(one.high) if one.integer else one.high]


def fields_of(space: Mapping[str, Space], cell: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a cell sets: what was drawn, and what its branches fix."""
    fields = dict(cell)
    for name, one in space.items():
        if isinstance(one, Either) and name in fields:
            fields |= one.fixed(fields.pop(name))
    return fields


def field_paths(space: Mapping[str, Space]) -> list[str]:
    """Every field that a space may set; twice where two of its entries may."""
    return [path for name, one in space.items() for path in (sorted(one.paths) if isinstance(one, Either) else [name])]


def factor_values(space: Mapping[str, Space]) -> dict[str, list[Value] | None]:
    """Every factor with its values in order, or None for a range."""
    found: dict[str, list[Value] | None] = {}
    for _, factor, one in parameters(space):
        known = found.setdefault(factor, [])
        options = one.options if isinstance(one, Choice) else None
        found[factor] = None if known is None or options is None else list(dict.fromkeys([*known, *options]))
    return found
