"""How much of the differences between scores comes from the arm, from the cell, and from the seed alone.

Where a study repeats its configurations under further seeds (`Study.repeats`), the score of configuration c under arm
a with seed s is taken as

    score[c, a, s] = mean[a] + cell[c] + (arm x cell)[c, a] + seed[c, s] + rest[c, a, s],

with fixed arms and random, independent rest: a split-plot analysis of variance. The variances are the estimates from
its mean squares (Searle, Casella and McCulloch 1992, "Variance Components", chapter 4; equal to the restricted maximum
likelihood of a mixed model where none is negative). Intervals of cells, arm x cell and seeds are the modified
large-sample ones of Ting, Burdick, Graybill, Jeyaratnam and Lu 1990, Journal of Statistical Computation and Simulation
35:135-143, exact where one mean square is all there is. That of the arms turns around the non-central F distribution of
their test. All of them take normal scores for granted: a score that is bounded or has outliers makes them
approximations. Variances have the score's unit squared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from gansweep.intervals import Floats
from gansweep.outcomes import arms_of, check_protocol, diverged, stopped

ONE_SEED = "every configuration has one seed: Study.repeats gives it further ones"
COLUMNS = ["component", "arm", "variance", "low", "high", "degrees", "reason"]


def variance_components(
    trials: pd.DataFrame, factors: Sequence[str], score: str = "inception_score", alpha: float = 0.05
) -> pd.DataFrame:
    """Columns component, arm, variance, low, high, degrees, reason.

    Rows: `arms`, the variance of the arms' means; `cells`, that of the configurations, averaged over these arms;
    `arms x cells`, how differently the arms fare from one configuration to the next; `seeds`, that of one seed against
    another in the same configuration and arm; and `seeds` once for each `arm` alone, whose interval is exact. `degrees`
    is the number of degrees of freedom. A configuration is a cell, or all cells if no factor differs between them; only
    those of which every arm has a final score with every seed count, `attrs["used"]` of `attrs["planned"]`: a trial
    that diverged or that a rule stopped has none. An estimate may be negative and stands as it is; intervals begin at
    0. NaN, with a `reason`, where there is nothing to estimate it from.
    """
    check_protocol(trials, score)
    names = arms_of(trials)
    cube, planned = _complete(trials, [name for name in factors if name in trials], score, names)
    cells, arms, seeds = cube.shape
    rows = [{"component": name, "arm": "", **told} for name, told in _all_components(cube, alpha).items()]
    for i, arm in enumerate(names if arms > 1 else ()):
        square, degrees = _mean_square(cube[:, i] - cube[:, i].mean(axis=1, keepdims=True), cells * (seeds - 1))
        told = _combined([(1.0, square, degrees)], alpha) if seeds > 1 and cells else _nothing(_why(cube))
        rows.append({"component": "seeds", "arm": arm, **told})
    found = pd.DataFrame(rows, columns=COLUMNS)
    found.attrs.update(used=cells, planned=planned, seeds=seeds)
    return found


def _complete(trials: pd.DataFrame, factors: list[str], score: str, arms: list[str]) -> tuple[Floats, int]:
    """Scores [configuration, arm, seed] of the complete configurations, and how many are planned."""
    final = (trials["status"] == "done") & ~diverged(trials) & ~stopped(trials)
    told = trials.assign(score=pd.to_numeric(trials[score]).astype(float)[final])
    one = len(told[factors].drop_duplicates()) <= 1  # then each seed is called a cell
    told = told.assign(configuration=0 if one else told["cell"])
    seeds = told.groupby(["configuration", "arm"], sort=False).size()
    if not len(told):
        return np.zeros((0, len(arms), 0)), 0
    num = int(seeds.max())
    whole = [
        group.sort_values("seed", kind="stable").groupby("arm", sort=False)["score"].agg(list)
        for _, group in told.groupby("configuration", sort=False)
    ]
    kept = [
        [one[arm] for arm in arms]
        for one in whole
        if all(arm in one and len(one[arm]) == num and np.isfinite(one[arm]).all() for arm in arms)
    ]
    return np.array(kept, dtype=float).reshape(len(kept), len(arms), num), len(whole)


def _mean_square(deviations: Floats, degrees: int) -> tuple[float, int]:
    return (float((deviations**2).sum() / degrees) if degrees else float("nan")), degrees


def mean_squares(cube: Floats) -> dict[str, tuple[float, int]]:
    """The mean square and the degrees of freedom of arms, cells, arms x cells, seeds and rest.

    `cube` holds scores [configuration, arm, seed]; seeds are nested in configurations and crossed with arms. NaN where
    there are no degrees of freedom.
    """
    cells, arms, seeds = cube.shape
    whole, cell, arm = cube.mean(), cube.mean(axis=(1, 2)), cube.mean(axis=(0, 2))
    both, block = cube.mean(axis=2), cube.mean(axis=1)
    rest = cube - both[:, :, None] - block[:, None, :] + cell[:, None, None]
    interaction = both - cell[:, None] - arm + whole
    return {
        "arms": _mean_square(np.sqrt(cells * seeds) * (arm - whole), arms - 1),
        "cells": _mean_square(np.sqrt(arms * seeds) * (cell - whole), cells - 1),
        "arms x cells": _mean_square(np.sqrt(seeds) * interaction, (arms - 1) * (cells - 1)),
        "seeds": _mean_square(np.sqrt(arms) * (block - cell[:, None]), cells * (seeds - 1)),
        "rest": _mean_square(rest, cells * (arms - 1) * (seeds - 1)),
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {"variance": np.nan, "low": np.nan, "high": np.nan, "degrees": 0, "reason": reason}


def _why(cube: Floats) -> str:
    return ONE_SEED if cube.shape[2] == 1 else "no configuration has a score for every arm and seed"


def _all_components(cube: Floats, alpha: float) -> dict[str, dict[str, Any]]:
    names = ("arms", "cells", "arms x cells", "seeds")
    cells, arms, seeds = cube.shape
    if not cube.size:
        return {name: _nothing(_why(cube)) for name in names}
    squares = mean_squares(cube)
    found = {name: _nothing(ONE_SEED) for name in names}
    if seeds > 1:
        by_seed = [(1 / arms, *squares["seeds"])]
        found["seeds"] = _combined(by_seed + ([((arms - 1) / arms, *squares["rest"])] if arms > 1 else []), alpha)
        for name, beside, over in (("cells", "seeds", arms * seeds), ("arms x cells", "rest", seeds)):
            found[name] = _combined([(1 / over, *squares[name]), (-1 / over, *squares[beside])], alpha)
    if cells == 1:
        found["cells"] = found["arms x cells"] = _nothing("there is one configuration only")
    if arms == 1:
        found["arms"] = found["arms x cells"] = _nothing("there is one arm only")
    else:
        beside = "arms x cells" if cells > 1 else "rest"
        found["arms"] = _of_arms(squares["arms"], squares[beside], cells * seeds, alpha)
    return found


def _of_arms(arms: tuple[float, int], beside: tuple[float, int], per_arm: int, alpha: float) -> dict[str, Any]:
    """The variance of the arms' means, from their mean square and the one that it is tested against."""
    (square, degrees), (error, degrees_beside) = arms, beside
    if not degrees_beside or not error > 0:
        return _nothing(ONE_SEED if not degrees_beside else "the scores do not differ between seeds")

    def shift(tail: float) -> float:
        """The non-centrality at which an F value as large as ours has this chance."""

        def beyond(value: float) -> float:
            return float(stats.ncf.sf(square / error, degrees, degrees_beside, value)) - tail

        if stats.f.sf(square / error, degrees, degrees_beside) >= tail:
            return 0.0
        high = 1.0
        while beyond(high) < 0:
            high *= 2
        return float(optimize.brentq(beyond, 1e-12, high))

    low, high = (shift(tail) * error / (degrees * per_arm) for tail in (alpha / 2, 1 - alpha / 2))
    return {"variance": (square - error) / per_arm, "low": low, "high": high, "degrees": degrees, "reason": ""}


def _combined(parts: Sequence[tuple[float, float, int]], alpha: float) -> dict[str, Any]:
    """A sum of mean squares, each with its weight and degrees of freedom, at most one of them subtracted."""
    weight, square, degrees = (np.array(column, dtype=float) for column in zip(*parts, strict=True))
    if (degrees == 0).any():
        return _nothing(ONE_SEED)
    value, tail = float(weight @ square), alpha / 2
    term = (weight * square) ** 2
    shrink = (1 - degrees / stats.chi2.isf(tail, degrees)) ** 2  # G squared, of Ting et al.
    stretch = (degrees / stats.chi2.ppf(tail, degrees) - 1) ** 2  # H squared
    down = np.where(weight > 0, shrink, stretch) @ term
    up = np.where(weight > 0, stretch, shrink) @ term
    if (weight < 0).any():
        product = -np.prod(weight * square)
        upper, lower = stats.f.isf(tail, *degrees), stats.f.ppf(tail, *degrees)
        down += product * ((upper - 1) ** 2 - shrink[0] * upper**2 - stretch[1]) / upper
        up += product * ((1 - lower) ** 2 - stretch[0] * lower**2 - shrink[1]) / lower
    low, high = value - np.sqrt(max(down, 0)), value + np.sqrt(max(up, 0))
    return {"variance": value, "low": max(low, 0), "high": max(high, 0), "degrees": int(degrees[0]), "reason": ""}
