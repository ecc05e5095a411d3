"""What a reader of a run's page wants to see: as a value, as the query of an address, and as rows of a frame."""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

from gansweep.page import Results

NO_VERDICT = "no verdict"
BINS = 4  # of a factor that is drawn from a range
SEVERAL, ONE = ("arm", "status", "verdict", "level", "section"), ("over", "order", "page", "trial")


@dataclass(frozen=True)
class Chosen:
    """Of arms, statuses, verdicts and levels the wanted ones; none means all.

    A level is a factor with one of its values as JSON, such as `["generator.depth", 4]`, or with the ends of a range,
    `["lr", [0.001, 0.01]]`. Of one factor any level may hold, of several factors each must. `section` are the keys of
    the sections to show, `over` the horizontal axis of the trials, `order` and `page` (from 1) those of their table,
    `trial` the open one. What is empty is as it is by default.
    """

    arm: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    section: tuple[str, ...] = ()
    over: str = ""
    order: str = ""
    page: str = ""
    trial: str = ""

    @property
    def filters(self) -> tuple[tuple[str, ...], ...]:
        """What says which trials are left out; all empty where none is."""
        return self.arm, self.status, self.verdict, self.level

    def switched(self, name: str, value: str) -> Chosen:
        """With the value chosen that was not, or the other way round; where only one can be chosen, with this one.

        Another filter or order begins at the first page.
        """
        page: dict[str, Any] = {} if name in ("page", "trial", "section", "over") else {"page": ""}
        if name in ONE:
            return dataclasses.replace(self, **{**page, name: value})
        before = getattr(self, name)
        after = tuple(one for one in before if one != value) if value in before else (*before, value)
        return dataclasses.replace(self, **{**page, name: after})


def from_query(search: str | None) -> Chosen:
    """What is chosen by the query of an address, such as `?arm=gan&trial=5f3a`; what it does not know is left out."""
    asked = urllib.parse.parse_qs((search or "").removeprefix("?"))
    fields: dict[str, Any] = {name: tuple(asked.get(name, ())) for name in SEVERAL}
    fields["level"] = tuple(level for level in fields["level"] if _is_level(level))
    fields |= {name: asked.get(name, [""])[0] for name in ONE}
    return Chosen(**fields)


def to_query(chosen: Chosen) -> str:
    """The query of an address, which is empty where nothing is chosen."""
    asked = [(name, value) for name in SEVERAL for value in getattr(chosen, name)]
    asked += [(name, value) for name in ONE if (value := getattr(chosen, name))]
    return f"?{urllib.parse.urlencode(asked)}" if asked else ""


def _is_level(text: str) -> bool:
    try:
        level = json.loads(text)
    except ValueError:
        return False
    return isinstance(level, list) and len(level) == 2 and isinstance(level[0], str)


@dataclass(frozen=True)
class Filtered:
    """Results restricted to some trials; the plan is the whole study's."""

    plan: Mapping[str, Any]
    trials: pd.DataFrame
    steps: pd.DataFrame
    samples: Callable[[str], bytes | None]
    portraits: Callable[[str, str], Mapping[str, Any]]


def keep(results: Results, chosen: Chosen) -> Results:
    """The results of the wanted trials; the results themselves where all are."""
    trials = results.trials
    passes = pd.Series(True, index=trials.index)
    if chosen.arm:
        passes &= trials["arm"].isin(chosen.arm)
    if chosen.status:
        passes &= trials["status"].isin(chosen.status)
    if chosen.verdict:
        passes &= trials["verdict"].astype(object).fillna(NO_VERDICT).isin(chosen.verdict)
    by_factor: dict[str, pd.Series] = {}
    for factor, value in map(json.loads, chosen.level):
        if factor in trials:
            held = by_factor.get(factor, pd.Series(False, index=trials.index))
            by_factor[factor] = held | _holds(trials[factor], value)
    for held in by_factor.values():
        passes &= held
    if passes.all():
        return results
    kept = trials[passes]
    steps = results.steps[results.steps["trial"].isin(kept["trial"])]
    return Filtered(results.plan, kept, steps, results.samples, results.portraits)


def _holds(column: pd.Series, value: Any) -> pd.Series:
    if isinstance(value, list) and len(value) == 2:
        return pd.to_numeric(column, errors="coerce").between(*value)
    return column.map(lambda one: _same(one, value)).astype(bool)


def _same(one: Any, value: Any) -> bool:
    """Equal, and both truth values or neither: 1 is no True."""
    return bool(one == value) and isinstance(one, bool) == isinstance(value, bool)


def levels(results: Results) -> dict[str, dict[str, str]]:
    """For the label of each factor its levels, by what `Chosen.level` calls them, with what a reader is told."""
    found: dict[str, dict[str, str]] = {}
    for factor, known in results.plan["factors"].items():
        label = str(known.get("label", factor))
        for value in known["values"] if known["values"] is not None else _ranges(results.trials[factor]):
            told = f"{value[0]:.3g} to {value[1]:.3g}" if isinstance(value, list) else str(value)
            found.setdefault(label, {})[json.dumps([factor, value])] = told
    return found


def _ranges(column: pd.Series) -> list[list[float]]:
    """The ends of four stretches of a column that hold as many trials each; of two equal ends, one stretch."""
    numbers = pd.to_numeric(column, errors="coerce").dropna()
    ends = [float(numbers.quantile(part / BINS)) for part in range(BINS + 1)] if len(numbers) else []
    return [[low, high] for low, high in pairwise(ends) if low < high]
