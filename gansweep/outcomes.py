"""Success and its uncertainty: outcome tables of paired arms, survival curves and rankings.

A trial succeeds at a threshold if it is done and its final score is finite and strictly above it (the rule of
Gulrajani et al. 2017). A trial that a rule stopped keeps the score it had then; a diverged one fails at every
threshold. A trial that has not ended, that the machine lost, or that did not diverge and still has no score, because
the metric gave no answer or was not asked, is unknown: it stays in the denominator and widens the bounds `worst` and
`best`. Rates are shares in [0, 1]; every interval is 95%.
Formulas are statsmodels' and scipy's wherever they have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from gansweep.parts import misspelt

Floats = NDArray[np.float64]


def arms_of(trials: pd.DataFrame) -> list[str]:
    """The arms in plan order."""
    return [str(arm) for arm in trials["arm"].unique()]


def check_protocol(trials: pd.DataFrame, score: str) -> None:
    """Raise `ValueError` if the column is missing or its scores were made under more than one protocol."""
    if score not in trials.columns:
        raise misspelt("score", score, trials.columns)
    if (protocol := f"{score}_protocol") in trials.columns:
        found = trials.loc[trials[score].notna(), protocol].dropna().unique()
        if len(found) > 1:
            shown = ", ".join(repr(str(p)) for p in found[:3])
            raise ValueError(f"{score} was made under {len(found)} protocols, which never share a table: {shown}")


def success(trials: pd.DataFrame, thresholds: Sequence[float], score: str) -> Floats:
    """[trials, thresholds]: 1 where the trial succeeds, 0 where it fails, NaN where it is unknown."""
    check_protocol(trials, score)
    values = pd.to_numeric(trials[score]).to_numpy(dtype=float, na_value=np.nan)
    known = (trials["status"] == "done").to_numpy(dtype=bool) & ~unanswered(trials, score)
    scored = known & np.isfinite(values)
    passed = (values[:, None] > np.asarray(thresholds, dtype=float)) & scored[:, None]
    return np.where(known[:, None], passed.astype(float), np.nan)


def unanswered(trials: pd.DataFrame, score: str) -> NDArray[np.bool_]:
    """[trials]: whether the trial is done, did not diverge and still has no score: what it is worth is not known."""
    missing = (trials["status"] == "done") & trials[score].isna() & ~diverged(trials)
    return missing.to_numpy(dtype=bool)


def diverged(trials: pd.DataFrame) -> pd.Series:
    """Whether each trial's verdict is that it diverged; False where there is no verdict."""
    return trials["verdict"].astype(object).fillna("no verdict").astype(str) == "diverged"


def _cube(trials: pd.DataFrame, per_trial: Floats) -> tuple[Floats, pd.DataFrame]:
    """Rows of trials laid out as [block, arm, column], NaN where absent, and the blocks' cell and seed."""
    twice = trials.duplicated(["cell", "seed", "arm"])
    if twice.any():
        row = trials[twice].iloc[0]
        raise ValueError(f"cell {row['cell']!r}, seed {row['seed']} has two trials of arm {row['arm']!r}")
    blocks = trials[["cell", "seed"]].drop_duplicates(ignore_index=True)
    block = trials.groupby(["cell", "seed"], sort=False).ngroup().to_numpy()
    arm = pd.Categorical(trials["arm"].astype(str), categories=arms_of(trials)).codes
    cube = np.full((len(blocks), trials["arm"].nunique(), per_trial.shape[1]), np.nan)
    cube[block, arm] = per_trial
    return cube, blocks


def wilson(count: Any, known: Any) -> tuple[Floats, Floats]:
    """Wilson's 95% interval of count / known; (0, 1) where nothing is known."""
    count, known = np.broadcast_arrays(np.asarray(count, dtype=float), np.asarray(known, dtype=float))
    low, high = proportion_confint(count, np.maximum(known, 1), alpha=0.05, method="wilson")
    return np.where(known > 0, np.clip(low, 0, 1), 0.0), np.where(known > 0, np.clip(high, 0, 1), 1.0)


def rate_of(count: Any, known: Any) -> Floats:
    """count / known; NaN where nothing is known."""
    known = np.asarray(known, dtype=float)
    rate = np.asarray(count, dtype=float) / np.maximum(known, 1)
    return np.where(known > 0, rate, np.nan)


def paired_difference(both: Any, only_a: Any, only_b: Any, neither: Any) -> tuple[Floats, Floats, Floats]:
    """Success rate of B minus that of A on the same blocks, with its 95% interval.

    Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10: the two Wilson intervals squared and added,
    with the correlation phi of the pairs, its numerator corrected for continuity. NaN where there are no
    pairs.
    """
    a, b, c, d = (np.asarray(x, dtype=float) for x in (both, only_b, only_a, neither))
    n = a + b + c + d
    p_b, p_a = rate_of(a + b, n), rate_of(a + c, n)
    (low_b, high_b), (low_a, high_a) = wilson(a + b, n), wilson(a + c, n)
    numerator = a * d - b * c
    numerator = np.where(numerator > 0, np.maximum(numerator - n / 2, 0), numerator)
    margins = np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    phi = np.where(margins > 0, numerator / np.where(margins > 0, margins, 1), 0.0)

    def reach(x: Floats, y: Floats) -> Floats:
        return np.sqrt(np.maximum(x**2 - 2 * phi * x * y + y**2, 0))

    difference = p_b - p_a
    low = difference - reach(p_b - low_b, high_a - p_a)
    return difference, low, difference + reach(high_b - p_b, p_a - low_a)


def outcome_table(
    trials: pd.DataFrame,
    thresholds: Sequence[float],
    score: str = "inception_score",
    arms: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row per pair of arms (a before b in `arms`) and threshold.

    `only_a`, `only_b`, `both`, `neither`, `unknown` count blocks and add up to `planned`; `rate_x` is the
    success rate of arm x over its known trials with Wilson's interval, `worst_x`/`best_x` the rate over all
    planned if every unknown trial failed/succeeded; `difference` is rate b - rate a over complete blocks with
    Newcombe's paired interval, `difference_worst`/`difference_best` its bounds; `p_value` is McNemar's exact
    test, `p_holm` corrected over the thresholds of the pair; `close_x` counts trials that are too close to
    call: the threshold lies between the score's own `_low` and `_high`.
    """
    cube, _ = _cube(trials, success(trials, thresholds, score))
    close, _ = _cube(trials, _too_close(trials, thresholds, score))
    names = arms_of(trials)
    for arm in arms or ():
        if arm not in names:
            raise misspelt("arm", arm, names)
    pairs = combinations(arms or names, 2)
    tables = [
        _pair_table(name_a, name_b, thresholds, cube[:, [i, j]]).assign(
            close_a=np.nansum(close[:, i], axis=0).astype(int),
            close_b=np.nansum(close[:, j], axis=0).astype(int),
        )
        for name_a, name_b in pairs
        for i, j in [(names.index(name_a), names.index(name_b))]
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm_a", "arm_b", "threshold"])


def _too_close(trials: pd.DataFrame, thresholds: Sequence[float], score: str) -> Floats:
    ends = [f"{score}_{end}" for end in ("low", "high")]
    if not set(ends) <= set(trials.columns):
        return np.zeros((len(trials), len(thresholds)))
    low, high = (pd.to_numeric(trials[c]).to_numpy(dtype=float, na_value=np.nan)[:, None] for c in ends)
    return ((low < np.asarray(thresholds)) & (np.asarray(thresholds) < high)).astype(float)


def _pair_table(arm_a: str, arm_b: str, thresholds: Sequence[float], cube: Floats) -> pd.DataFrame:
    a, b = cube[:, 0], cube[:, 1]
    count = {
        "only_a": ((a == 1) & (b == 0)).sum(axis=0),
        "only_b": ((a == 0) & (b == 1)).sum(axis=0),
        "both": ((a == 1) & (b == 1)).sum(axis=0),
        "neither": ((a == 0) & (b == 0)).sum(axis=0),
        "unknown": (np.isnan(a) | np.isnan(b)).sum(axis=0),
    }
    table = pd.DataFrame({"arm_a": arm_a, "arm_b": arm_b, "threshold": list(thresholds), **count})
    table["planned"] = len(cube)
    assert (table[list(count)].sum(axis=1) == len(cube)).all(), "the outcomes do not add up"
    for name, values in (("a", a), ("b", b)):
        table = table.assign(**_arm_columns(name, values))
    difference, low, high = paired_difference(*(count[k] for k in ("both", "only_a", "only_b", "neither")))
    p_values = [
        float(mcnemar([[both, a_only], [b_only, none]], exact=True).pvalue)
        for both, a_only, b_only, none in zip(*(count[k] for k in ("both", "only_a", "only_b", "neither")), strict=True)
    ]
    return table.assign(
        difference=difference,
        difference_low=low,
        difference_high=high,
        difference_worst=table["worst_b"] - table["best_a"],
        difference_best=table["best_b"] - table["worst_a"],
        p_value=p_values,
        p_holm=holm(p_values),
    )


def _arm_columns(name: str, values: Floats) -> dict[str, Any]:
    known, passed = (~np.isnan(values)).sum(axis=0), np.nansum(values, axis=0)
    low, high = wilson(passed, known)
    lost = len(values) - known
    return {
        f"success_{name}": passed.astype(int),
        f"known_{name}": known,
        f"rate_{name}": rate_of(passed, known),
        f"rate_{name}_low": low,
        f"rate_{name}_high": high,
        f"worst_{name}": rate_of(passed, np.full_like(known, len(values))),
        f"best_{name}": rate_of(passed + lost, np.full_like(known, len(values))),
    }


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's correction; NaN (nothing to test) stays NaN and does not count as a test."""
    p = np.asarray(p_values, dtype=float)
    tested = np.isfinite(p)
    if tested.any():
        p[tested] = multipletests(p[tested], method="holm")[1]
    return p


def survival(
    trials: pd.DataFrame,
    score: str = "inception_score",
    thresholds: Sequence[float] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Columns arm, threshold, rate, low, high, worst, best, known.

    The share of trials whose score is above each value.

    The grid is `thresholds` and 100 steps over the observed scores. The band is simultaneous over the grid:
    whole cells are resampled, and its half-width is the 95% quantile of the largest deviation; it is never
    narrower than Wilson's pointwise interval, because a bootstrap of equal outcomes has no width.
    """
    values = pd.to_numeric(trials[score]).to_numpy(dtype=float, na_value=np.nan)
    seen = values[np.isfinite(values)]
    steps = np.linspace(seen.min(), seen.max(), 101) if len(seen) else np.array([])
    grid = np.unique(np.concatenate([np.asarray(thresholds, dtype=float), steps])).tolist()
    cube, blocks = _cube(trials, success(trials, grid, score))
    width = _band_width(cube, blocks["cell"].factorize()[0], resamples, np.random.default_rng(seed))
    tables = []
    for i, arm in enumerate(arms_of(trials)):
        column = _arm_columns("x", cube[:, i])
        low, high = (column[f"rate_x_{side}"] for side in ("low", "high"))
        frame = pd.DataFrame({"arm": arm, "threshold": grid, "rate": column["rate_x"]})
        frame["low"] = np.fmin(low, np.clip(column["rate_x"] - width[i], 0, 1))
        frame["high"] = np.fmax(high, np.clip(column["rate_x"] + width[i], 0, 1))
        tables.append(frame.assign(worst=column["worst_x"], best=column["best_x"], known=column["known_x"]))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _resampled_rates(
    cube: Floats, cell: NDArray[np.intp], resamples: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """For each arm in turn the rates [resample, column] when whole cells are drawn with replacement."""
    cells = int(cell.max()) + 1 if len(cell) else 0
    weights = rng.multinomial(cells, np.full(cells, 1 / cells), size=resamples).astype(float) if cells else None
    for i in range(cube.shape[1]):
        passed, known = np.zeros((cells, cube.shape[2])), np.zeros((cells, cube.shape[2]))
        np.add.at(passed, cell, np.nan_to_num(cube[:, i]))
        np.add.at(known, cell, (~np.isnan(cube[:, i])).astype(float))
        yield np.zeros((0, cube.shape[2])) if weights is None else rate_of(weights @ passed, weights @ known)


def _band_width(cube: Floats, cell: NDArray[np.intp], resamples: int, rng: np.random.Generator) -> list[float]:
    widths = []
    for i, rates in enumerate(_resampled_rates(cube, cell, resamples, rng)):
        centre = rate_of(np.nansum(cube[:, i], axis=0), (~np.isnan(cube[:, i])).sum(axis=0))
        furthest = np.max(np.abs(np.nan_to_num(rates - centre)), axis=1, initial=0)
        widths.append(float(np.quantile(furthest, 0.95)) if len(furthest) else 1.0)
    return widths


def ranking(
    trials: pd.DataFrame,
    thresholds: Sequence[float],
    score: str = "inception_score",
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Arms by their mean success rate over the thresholds.

    Columns arm, mean_rate, low, high, rank, rank_low, rank_high.

    Intervals come from resampling whole cells, the same ones for every arm, so the pairing is kept.
    """
    cube, blocks = _cube(trials, success(trials, thresholds, score))
    draws = _resampled_rates(cube, blocks["cell"].factorize()[0], resamples, np.random.default_rng(seed))
    means = np.stack([np.nan_to_num(rates).mean(axis=1) for rates in draws])
    ranks = stats.rankdata(-means, axis=0, method="average")
    known = np.maximum((~np.isnan(cube)).sum(axis=0), 1)
    frame = pd.DataFrame({"arm": arms_of(trials), "mean_rate": (np.nansum(cube, axis=0) / known).mean(axis=1)})
    frame["low"], frame["high"] = np.quantile(means, [0.025, 0.975], axis=1)
    frame["rank"] = stats.rankdata(-frame["mean_rate"], method="average")
    frame["rank_low"], frame["rank_high"] = np.quantile(ranks, [0.025, 0.975], axis=1)
    return frame.sort_values("rank", ignore_index=True)
