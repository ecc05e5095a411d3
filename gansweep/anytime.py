"""Intervals that hold at every look, so that a sweep may be watched while it runs and stopped when it has told enough.

A 95% interval of a finished sweep covers the truth in 95 of 100 sweeps. One that is looked at after every trial leaves
it out sooner or later; the intervals here leave it out *at any time* in at most 5 of 100 sweeps. They come from a bet:
a gambler with one unit of money who bets at each cell against "the mean is m" cannot expect to win if it is m, so by
Ville's inequality m is excluded where the money reached 1 / alpha (Waudby-Smith and Ramdas 2024, "Estimating means of
bounded random variables by betting", Journal of the Royal Statistical Society B 86:1-27, section 4; their discrete
mixture: the money is shared out among fixed bets, each of which stakes its own part).

Two things would spoil that in a live sweep, and both are taken care of. Failing trials end early, so the trials that
have ended are no fair sample: cells count in the order of the plan, and one that has not ended stands as a failure
where the lower end is sought and as a success where the upper one is. The money never falls when an outcome gets
better, so what holds for these two holds for the truth between them. And seeds of one cell are no independent cells: a
cell is worth the mean of its seeds. Cells must have been drawn at random; those of a grid come in an order. They count
as drawn independently, which takes the space to be much larger than the study.

Rates are shares in [0, 1], differences lie in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from gansweep import outcomes
from gansweep.intervals import Floats

# stakes as parts of what is there; small ones for the small deviations that many cells show
STAKES = np.concatenate([np.geomspace(0.005, 0.5, 24), 1 - np.geomspace(0.45, 0.02, 8)])
LOOKS = 200  # at most so many looks enter the running interval: any choice of them is valid


def mean_interval(low: Floats, high: Floats, alpha: float = 0.05) -> tuple[float, float]:
    """The anytime-valid interval of the mean of values in [0, 1] that are known to lie between `low` and `high` [cell].

    It is the intersection over all looks so far; (0, 1) before the first cell.
    """
    return _lower(np.asarray(low, dtype=float), alpha), 1 - _lower(1 - np.asarray(high, dtype=float), alpha)


def mean_p_value(low: Floats, high: Floats, mean: float) -> float:
    """The anytime-valid p-value of "the mean is `mean`" (in (0, 1)): 1 over the most money at any look, at most 1.

    One half of the money is bet on each side.
    """
    up = _log_money(_seen(np.asarray(low, dtype=float)), mean)
    down = _log_money(_seen(1 - np.asarray(high, dtype=float)), 1 - mean)
    most = np.max(np.logaddexp(up, down) - np.log(2), initial=0.0)
    return float(np.exp(-most))


def _seen(values: Floats) -> tuple[Floats, Floats]:
    """The different values, and how often each was seen by each look [look, value]."""
    different, which = np.unique(values, return_inverse=True)
    counts = np.zeros((len(values), len(different)))
    counts[np.arange(len(values)), which] = 1
    looks = np.unique(np.linspace(0, len(values) - 1, min(LOOKS, len(values))).astype(int))
    return different, counts.cumsum(axis=0)[looks]


def _log_money(seen: tuple[Floats, Floats], mean: float) -> Floats:
    """[look]: the log of the money at each look of who bets that the true mean is above `mean`."""
    values, counts = seen
    won = counts @ np.log1p(STAKES * (values[:, None] / mean - 1))
    most = won.max(axis=1)
    return most + np.log(np.exp(won - most[:, None]).mean(axis=1))


def _lower(values: Floats, alpha: float) -> float:
    """The least mean at which betting on a larger one has not yet brought 2 / alpha; the money falls as it rises."""
    low, high, seen = 0.0, 1.0, _seen(values)
    for _ in range(20):
        middle = (low + high) / 2
        excluded = np.max(_log_money(seen, middle), initial=0.0) >= np.log(2 / alpha)
        low, high = (middle, high) if excluded else (low, middle)
    return low


def anytime_rates(trials: pd.DataFrame, thresholds: Sequence[float], score: str = "inception_score") -> pd.DataFrame:
    """A row per arm and threshold: columns arm, threshold, cells, unknown, low, high.

    `cells` are all up to the last that has ended under any arm, `unknown` those of them whose outcome is not known for
    every seed; `low`, `high` the anytime-valid 95% interval of the success rate.
    """
    low, high = _bounds(trials, thresholds, score)
    rows = []
    for i, arm in enumerate(outcomes.arms_of(trials)):
        for j, threshold in enumerate(thresholds):
            ends = mean_interval(low[:, i, j], high[:, i, j])
            told = {"cells": len(low), "unknown": int((low[:, i, j] < high[:, i, j]).sum())}
            rows.append({"arm": arm, "threshold": threshold, **told, "low": ends[0], "high": ends[1]})
    return pd.DataFrame(rows, columns=["arm", "threshold", "cells", "unknown", "low", "high"])


def anytime_differences(
    trials: pd.DataFrame, thresholds: Sequence[float], score: str = "inception_score"
) -> pd.DataFrame:
    """A row per pair of arms and threshold: columns arm_a, arm_b, threshold, cells, low, high, p_value, p_holm.

    `low`, `high` are the anytime-valid 95% interval of the success rate of b minus that of a, cell by cell, `p_value`
    the anytime-valid p-value of "they succeed equally often", `p_holm` corrected over the thresholds of the pair.
    """
    low, high = _bounds(trials, thresholds, score)
    names, tables = outcomes.arms_of(trials), []
    for a, b in combinations(range(len(names)), 2):
        rows = []
        for j, threshold in enumerate(thresholds):
            least, most = (low[:, b, j] - high[:, a, j] + 1) / 2, (high[:, b, j] - low[:, a, j] + 1) / 2
            ends = mean_interval(least, most)
            told = {"arm_a": names[a], "arm_b": names[b], "threshold": threshold, "cells": len(low)}
            told |= {"low": 2 * ends[0] - 1, "high": 2 * ends[1] - 1, "p_value": mean_p_value(least, most, 0.5)}
            rows.append(told)
        table = pd.DataFrame(rows)
        tables.append(table.assign(p_holm=outcomes.holm(table["p_value"].tolist())))
    columns = ["arm_a", "arm_b", "threshold", "cells", "low", "high", "p_value", "p_holm"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _bounds(trials: pd.DataFrame, thresholds: Sequence[float], score: str) -> tuple[Floats, Floats]:
    """Twice [cell, arm, threshold]: the least and the most that a cell's success rate over its seeds can be.

    In the order of the plan, up to the last cell with a trial that has ended.
    """
    passed = outcomes.success(trials, thresholds, score)
    cell = trials["cell"].factorize()[0]
    arm = pd.Categorical(trials["arm"].astype(str), categories=outcomes.arms_of(trials)).codes
    ended = cell[(trials["status"] == "done").to_numpy(dtype=bool)]
    size = (int(ended.max(initial=-1)) + 1, trials["arm"].nunique())
    shown = cell < size[0]
    bounds = []
    for unknown in (0.0, 1.0):
        total, seeds = np.zeros((*size, len(thresholds))), np.zeros((*size, 1))
        np.add.at(total, (cell[shown], arm[shown]), np.where(np.isnan(passed), unknown, passed)[shown])
        np.add.at(seeds, (cell[shown], arm[shown]), 1.0)
        bounds.append(np.where(seeds > 0, total / np.maximum(seeds, 1), unknown))
    return bounds[0], bounds[1]
