"""Trials against trials: who stands on which side of a claim, and how far the sides are apart.

A *side* is a set of trials, picked by what their configuration says, whatever the study calls its arms and whether a
field is set by an arm or drawn for the cell. Two sides are compared within blocks (same cell, same seed). What is
resampled is a cell; where the cells are all there are (a grid), or where there is one only, it is a seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gansweep.intervals import Floats, wilson
from gansweep.outcomes import check_protocol, diverged, stopped, unanswered
from gansweep.page import Results, in_grid

LEVEL = 0.95


REPRODUCED, CONTRADICTED, UNDECIDABLE = "reproduced", "contradicted", "undecidable"
Answer = tuple[str, str]  # a judgement and the evidence for it
NOTHING_TRAINS = "No run of either side trained, so this compares what learnt nothing."


class NotRecorded(Exception):
    """What a claim needs is not among the records; the message says what."""


def setting(results: Results, field: str) -> pd.Series:
    """What each trial has for a field of its configuration, by its dotted name: drawn, its arm's, or the baseline's."""
    plan, trials = results.plan, results.trials
    if field in plan["factors"] and field in trials:
        return trials[field].astype(object)
    usual = (plan.get("baseline") or {}).get(field)
    of_arm = {arm: told.get("changes", {}).get(field, usual) for arm, told in plan["arms"].items()}
    return pd.Series([of_arm[arm] for arm in trials["arm"]], index=trials.index, dtype=object)


def side(results: Results, name: str, fields: Mapping[str, Any]) -> pd.DataFrame:
    """The trials whose configuration has these values; a tuple lists values any of which will do.

    `name` says in words who they are; none is a `NotRecorded`.
    """
    chosen = pd.Series(True, index=results.trials.index)
    for field, wanted in fields.items():
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        chosen &= setting(results, field).map(lambda value, allowed=allowed: any(_same(value, one) for one in allowed))
    if not chosen.any():
        raise NotRecorded(f"no trial of this run is {name}")
    return results.trials[chosen]


def _same(value: Any, wanted: Any) -> bool:
    if value is None or value != value:
        return wanted is None
    if isinstance(value, bool) or isinstance(wanted, bool | str) or wanted is None:
        return bool(value == wanted)
    return bool(np.isclose(float(value), float(wanted), rtol=1e-9))


def named_arm(results: Results, arm: str) -> pd.DataFrame:
    """The trials of an arm by its name; `NotRecorded` if the run has none."""
    if not (results.trials["arm"] == arm).any():
        raise NotRecorded(f"this run has no arm {arm}")
    return results.trials[results.trials["arm"] == arm]


# --------------------------------------------------------------------------------------------------- one column


def values(
    results: Results, trials: pd.DataFrame, column: str, *, higher: bool = True, diverged_is_worst: bool = True
) -> tuple[Floats, Floats]:
    """The least and the most that each trial's value may be, turned so that more is better.

    A trial that ended with a value has it twice. One that diverged is worse than every other: -inf twice; where the
    column is no score but a measurement, of which a diverged trial has none, `diverged_is_worst` is False and it may be
    anything. One that was stopped by a rule, was lost, has not ended, or has no value though it did not diverge may be
    anything: -inf and inf. A column that is not of `trials` is the last that the trial reported in `steps`. Scores of
    two protocols are a `NotRecorded`, and so is a column that no trial has though one did not diverge.
    """
    trials = _with_column(results, trials, column)
    _check_protocol(trials, column)
    value = pd.to_numeric(trials[column]).to_numpy(dtype=float, na_value=np.nan) * (1 if higher else -1)
    done = (trials["status"] == "done").to_numpy(dtype=bool) & ~stopped(trials) & ~unanswered(trials, column)
    broken = diverged(trials).to_numpy(dtype=bool)
    known = done & (np.isfinite(value) | broken) & (diverged_is_worst | ~broken)
    low = np.where(known & ~broken, value, -np.inf)
    return low, np.where(known, low, np.inf)


def _with_column(results: Results, trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """The trials with the column, from their last reports if it is none of theirs."""
    if column not in trials and column in results.steps:
        seen = results.steps.loc[results.steps[column].notna(), ["trial", "step", column]]
        last = seen.sort_values("step").groupby("trial")[column].last()
        trials = trials.assign(**{column: trials["trial"].map(last)})
    if column not in trials or (trials[column].isna() & ~diverged(trials)).all():
        raise NotRecorded(f"no trial has recorded {column}")
    return trials


def _check_protocol(trials: pd.DataFrame, column: str) -> None:
    try:
        check_protocol(trials, column)
    except ValueError as error:
        raise NotRecorded(str(error)) from error


def measured(results: Results, trials: pd.DataFrame, column: str) -> Floats:
    """The measurement of every one of the trials; `NotRecorded` where one has none, as the others are no sample.

    A trial has none if it diverged, was stopped or lost, or has not ended.
    """
    low, high = values(results, trials, column, diverged_is_worst=False)
    if absent := int((low != high).sum()):
        why = "they diverged, were stopped or lost, or have not ended, and the others are no sample of all"
        raise NotRecorded(f"{absent} of {len(low)} trials have no {column}: {why}")
    return low


def unit_of(results: Results) -> str:
    """What is resampled: "cell", or "seed" where cells are a grid's or there is one only."""
    return "seed" if in_grid(results.plan) or not results.plan["factors"] else "cell"


def units(results: Results) -> pd.DataFrame:
    """The trials with what is resampled as their cell: in a grid, whose cells are all there are, each seed of one."""
    trials = results.trials
    if unit_of(results) == "cell":
        return trials
    return trials.assign(cell=trials["cell"].astype(str) + " " + trials["seed"].astype(str))


@dataclass(frozen=True)
class Difference:
    """How much better B is than A over common blocks: the middle of the differences with its 95% interval.

    `middle` is "mean" with Student's interval where every block has both values and they differ, else "median" with
    the interval of the order statistics, in which a run without a value is beaten by every other and one that was
    stopped, lost or has not ended is anything. `num` counts the independent units, `unit` names them; `cells` says of
    how many cells of a grid they are.
    """

    value: float
    low: float
    high: float
    num: int
    unit: str
    middle: str
    values: Floats
    cells: int = 1

    @property
    def better(self) -> bool:
        """Whether the whole interval is above 0: B is better."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the whole interval is below 0: A is better."""
        return self.high < 0

    def __str__(self) -> str:
        units = f"{self.num} {self.unit}{'s' if self.num != 1 else ''}"
        units += f" of {self.cells} cells" if self.cells > 1 else ""
        if self.num < 2 or not np.isfinite([self.low, self.high]).any():
            told = "no interval" if self.num < 2 else "the interval is unbounded"
            return f"{self.middle} difference {told_number(self.value)} over {units}, {told}"
        ends = f"{told_number(self.low)} to {told_number(self.high)}"
        return f"{self.middle} difference {told_number(self.value)} (95%: {ends}) over {units}"


def told_number(value: float) -> str:
    """Three figures with a sign; infinity in words."""
    if value != value:
        return "unknown"
    if np.isinf(value):
        return "without limit" if value > 0 else "minus without limit"
    return f"{value:+.3g}"


def difference(
    results: Results,
    a: pd.DataFrame,
    b: pd.DataFrame,
    column: str,
    *,
    higher: bool = True,
    middle: str | None = None,
    diverged_is_worst: bool = True,
) -> Difference:
    """B's value less A's, block by block, turned so that a positive one means that B is better.

    Seeds of a cell are averaged where cells are what is drawn. `middle` asks for the median even where all blocks have
    both values. Of a measurement `diverged_is_worst` is False, see `values`. No common block is a `NotRecorded`.
    """
    low, high = paired_values(results, a, b, column, higher=higher, diverged_is_worst=diverged_is_worst)
    num = len(low)
    whole = np.isfinite(low).all() and np.array_equal(low, high)
    cells = len({*a["cell"]} & {*b["cell"]}) if in_grid(results.plan) else 1
    unit = unit_of(results)
    if whole and middle != "median":
        mean = float(low.mean())
        return Difference(mean, *_student(low), num, unit, "mean", low, cells)
    low_end, high_end = median_interval(low)[0], median_interval(high)[1]
    centre = float(np.median(low)) if np.array_equal(low, high) else float("nan")
    return Difference(centre, low_end, high_end, num, unit, "median", low, cells)


def paired_values(
    results: Results,
    a: pd.DataFrame,
    b: pd.DataFrame,
    column: str,
    *,
    higher: bool = True,
    diverged_is_worst: bool = True,
) -> tuple[Floats, Floats]:
    """[units]: the least and the most that B less A may be. Two runs that diverged are equal.

    Scores of two protocols are a `NotRecorded`, also where either side has one only.
    """
    _check_protocol(pd.concat([_with_column(results, one, column) for one in (a, b)]), column)
    frames = []
    for trials in (a, b):
        least, most = values(results, trials, column, higher=higher, diverged_is_worst=diverged_is_worst)
        frame = pd.DataFrame({"least": least, "most": most, "cell": trials["cell"], "seed": trials["seed"]})
        if frame.duplicated(["cell", "seed"]).any():
            raise NotRecorded("more than one arm of this run is on one side of the claim")
        frames.append(frame.set_index(["cell", "seed"]))
    both = frames[0].add_suffix("_a").join(frames[1].add_suffix("_b"), how="inner")
    if both.empty:
        raise NotRecorded("the two sides have no block in common")
    known_equal = (both == -np.inf).all(axis=1)
    with np.errstate(invalid="ignore"):
        least = (both["least_b"] - both["most_a"]).mask(known_equal, 0.0).fillna(-np.inf)
        most = (both["most_b"] - both["least_a"]).mask(known_equal, 0.0).fillna(np.inf)
    told = pd.DataFrame({"least": least, "most": most})
    if unit_of(results) == "cell":
        told = told.groupby(level="cell", sort=False).mean().fillna({"least": -np.inf, "most": np.inf})
    return told["least"].to_numpy(dtype=float), told["most"].to_numpy(dtype=float)


def _student(x: Floats, level: float = LEVEL) -> tuple[float, float]:
    if len(x) < 2 or np.ptp(x) == 0:  # two numbers that happen to be equal say nothing of the spread
        return median_interval(x)
    found = stats.ttest_1samp(x, 0).confidence_interval(level)
    return float(found.low), float(found.high)


def interval_of_mean(x: Floats, level: float = LEVEL) -> tuple[float, float, float]:
    """The mean of independent finite numbers with Student's interval; unbounded for fewer than two.

    Where all are equal it is the 95% interval of the median, which fewer than six numbers do not have either.
    """
    low, high = _student(np.asarray(x, dtype=float), level)
    return float(np.mean(x)), low, high


def told_interval(low: float, high: float, unit: str = "") -> str:
    """A 95% interval in brackets, or that there is none."""
    if not np.isfinite([low, high]).all():
        return "(no interval)"
    return f"(95%: {low:.3g}{unit} to {high:.3g}{unit})"


def median_interval(x: Floats) -> tuple[float, float]:
    """The 95% interval of the median from order statistics, whatever the distribution; it may reach to infinity.

    The k-th smallest and the k-th largest, where k is the largest with P(Bin(n, 1/2) < k) <= 2.5% (Conover 1999,
    "Practical Nonparametric Statistics", section 3.2). Fewer than six numbers have no such interval.
    """
    ordered = np.sort(np.asarray(x, dtype=float))
    k = int(stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5))
    if k < 1:
        return -np.inf, np.inf
    return float(ordered[k - 1]), float(ordered[-k])


# ------------------------------------------------------------------------------------------------------- shares


@dataclass(frozen=True)
class Share:
    """A share of `num` with its 95% Wilson interval."""

    count: float
    num: int
    low: float
    high: float

    def __str__(self) -> str:
        told = f"{self.count:g} of {self.num}"
        return f"{told} (95%: {100 * self.low:.0f}% to {100 * self.high:.0f}%)" if self.num else told


def share(count: float, num: int) -> Share:
    """`count` of `num`."""
    low, high = wilson(count, num)
    return Share(count, num, float(low), float(high))


def trained(trials: pd.DataFrame) -> Floats:
    """[trials]: 1 where the verdict is trained, 0 where it is another, NaN where a trial was stopped or has not ended.

    A trial that a rule stopped got its verdict from that rule; whether it would have trained is not known.
    """
    done = (trials["status"] == "done").to_numpy(dtype=bool) & ~stopped(trials)
    good = (trials["verdict"].astype(object).fillna("") == "trained").to_numpy(dtype=bool)
    return np.where(done, good.astype(float), np.nan)


def nothing_trained(*sides: pd.DataFrame) -> bool:
    """Whether no trial of any side is known to have trained: then a difference of scores is one of failures."""
    return not any((trained(one) == 1).any() for one in sides)
