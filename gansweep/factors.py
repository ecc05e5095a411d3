"""What makes training fail: the effect of each factor on failure, of two factors together, and on what an arm does.

A trial fails at a threshold where it does not succeed (see `outcomes`). A trial that a rule stopped counts by the score
it had then: too few are audited at any one level to correct it. What is drawn at random is a cell, so a cell with
several seeds is one unit: its seeds are never counted as independent cells in a test or an interval. The cells of a
grid are all there are, and what is drawn is a seed: `comparing.units` makes each a cell of its own. Every interval
is 95%.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

from gansweep.intervals import Floats, paired_difference, rate_of, wilson
from gansweep.outcomes import arms_of, holm, raw_success

FITTING_ROUNDS = 40  # of iterative proportional fitting
LEAST_CELLS = 4  # for each pair of levels; with 1.5 the interval of the excess held in 67% of simulated tables
ENOUGH = 20  # tables that are as far off: then the p-value is known well enough
FIRST, MORE = 100, 900  # tables that are drawn at once
FOR_HOLM = 40  # tables for each test: the least p-value, corrected for all of them, is then 0.025
ROUNDS = 40  # of the chain of tables, each of which moves every cell


def factor_effects(
    trials: pd.DataFrame,
    factors: Mapping[str, Mapping[str, Any]],
    threshold: float,
    score: str = "inception_score",
    seed: int = 0,
) -> pd.DataFrame:
    """The failure rate at each level of each factor, per arm.

    Columns factor, label, level, arm, failures, known, unknown, rate, low, high, p_value, p_holm. A
    continuous range is cut at its quartiles. The test is Pearson's chi-squared of failure by level with a
    Monte Carlo p-value (9,999 tables with the observed margins, or, where cells have several seeds, 9,999
    shuffles of the levels among the cells; seeded), which needs no large counts and cannot be broken by
    separation as a logistic regression is; p_holm corrects over all factors and arms. Factors are drawn
    independently, so marginal tests are not confounded with each other by design. NaN where there is nothing
    to test.
    """
    failed = 1 - raw_success(trials, [threshold], score)[:, 0]
    tables, tests = [], []
    for name, factor in factors.items():
        if name not in trials.columns:
            continue
        level = _levels(trials[name], factor.get("values"))
        for arm in arms_of(trials):
            cells = _cells(trials, level, failed, arm)
            table = _level_table(cells, level.cat.categories)
            tables.append(table.assign(factor=name, label=factor.get("label", name), arm=arm))
            tests.append((name, arm, _independence(cells, table, seed)))
    if not tables:
        return pd.DataFrame(columns=["factor", "label", "level", "arm", "rate", "low", "high", "p_value", "p_holm"])
    test = pd.DataFrame(tests, columns=["factor", "arm", "p_value"])
    test["p_holm"] = holm(test["p_value"].tolist())
    found = pd.concat(tables, ignore_index=True).merge(test, on=["factor", "arm"], how="left")
    first = ["factor", "label", "level", "arm"]
    return found[first + [c for c in found.columns if c not in first]]


def _levels(column: pd.Series, values: Sequence[Any] | None) -> pd.Series:
    """The column as ordered labels: the declared values, or quartiles of a continuous range; NaN where not drawn."""
    if values is not None:
        # by value: a column in which some cells draw nothing holds 1.0 for 1
        names = {value: str(value) for value in values} | {str(value): str(value) for value in values}
        named, levels = column.map(names.get), [str(value) for value in values]
        return pd.Series(pd.Categorical(named, categories=levels, ordered=True), index=column.index)
    if column.nunique() <= 4 or not pd.api.types.is_numeric_dtype(column):
        return column.dropna().map(str).astype("category").reindex(column.index)
    cut = pd.qcut(column, 4, duplicates="drop")
    return cut.cat.rename_categories({i: f"{i.left:.3g} to {i.right:.3g}" for i in cut.cat.categories})


def _cells(trials: pd.DataFrame, level: pd.Series, failed: Floats, arm: str) -> pd.DataFrame:
    """A row per cell of the arm: level (its number, -1 where none was drawn), failures, known, planned, first.

    `first` is whether the first seed that is known failed.
    """
    frame = pd.DataFrame({"cell": trials["cell"].to_numpy(), "level": level.cat.codes.to_numpy(), "failed": failed})
    group = frame[(trials["arm"] == arm).to_numpy()].groupby("cell", sort=False)
    counts = {"failures": group["failed"].sum(), "known": group["failed"].count(), "planned": group.size()}
    return pd.DataFrame({"level": group["level"].first(), **counts, "first": group["failed"].first()})


def _level_table(cells: pd.DataFrame, levels: Sequence[str]) -> pd.DataFrame:
    """Trials are counted; the interval is that of as many cells as are known."""
    group = cells.assign(cells=cells["known"] > 0).groupby("level")
    counts = group[["failures", "known", "planned", "cells"]].sum().reindex(range(len(levels)), fill_value=0)
    table = counts.astype(int).reset_index(drop=True)
    rate = rate_of(table["failures"], table["known"])
    low, high = wilson(np.nan_to_num(rate) * table["cells"], table["cells"])
    table = table.assign(level=[str(level) for level in levels], rate=rate, low=low, high=high)
    return table.assign(unknown=table["planned"] - table["known"]).drop(columns=["planned", "cells"])


def _independence(cells: pd.DataFrame, table: pd.DataFrame, seed: int) -> float:
    """The p-value of "failure does not depend on the level"; NaN where there is nothing to test."""
    observed = np.stack([table["failures"], table["known"] - table["failures"]], axis=1)
    observed = observed[observed.sum(axis=1) > 0]
    if len(observed) < 2 or (observed.sum(axis=0) == 0).any():
        return float("nan")
    rng = np.random.default_rng(seed)
    if (cells["known"] <= 1).all():
        method = stats.MonteCarloMethod(n_resamples=9999, rng=rng)
        return float(stats.chi2_contingency(observed, correction=False, method=method).pvalue)
    drawn = cells[(cells["known"] > 0) & (cells["level"] >= 0)]
    failures, known = drawn["failures"].to_numpy(float), drawn["known"].to_numpy(float)
    rate, num = failures.sum() / known.sum(), len(table)

    def chi_squared(levels: Floats, axis: int) -> Floats:
        at = [levels == level for level in range(num)]
        return np.sum([(x @ (failures - rate * known)) ** 2 / np.maximum(x @ known, 1) for x in at], axis=0)

    shuffled = stats.permutation_test(
        (drawn["level"].to_numpy(),),
        chi_squared,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=9999,
        batch=500,
        alternative="greater",
        axis=-1,
        rng=rng,
    )
    return float(shuffled.pvalue)


PAIR = ["arm", "factor_a", "factor_b"]


def interactions(
    trials: pd.DataFrame,
    factors: Mapping[str, Mapping[str, Any]],
    threshold: float,
    score: str = "inception_score",
    resamples: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Whether two factors together make training fail more or less than each of them tells, per arm.

    A row per arm, pair of factors and pair of levels. Columns arm, factor_a, label_a, level_a, factor_b, label_b,
    level_b, failures, known, rate, low, high (Wilson), expected, excess, excess_low, excess_high, and, equal in all
    rows of a pair, size, chance, p_value, p_holm, reason.

    A cell with several seeds counts once: `failures` adds up the shares of its seeds that fail. `expected` is the
    failure rate of the model in which the log-odds of the two factors add up (`additive_fit`), and `excess` the
    observed rate minus that, in [-1, 1]; its interval holds for all levels of the pair at once (`_reach`) and is NaN
    where fewer than four cells are known for each pair of levels, as it would not hold. `size` is the root mean square
    of the excess over the cells, `chance` what it is on average without an interaction. The test is that of the
    model's deviance among `resamples` tables that are as likely without an interaction (`equally_likely`; seeded), of
    the first known seed of each cell; its p-value is exact in tables of any sparseness, and drawing stops once 20
    tables were as far off (Besag and Clifford 1991, Biometrika 78:301-304). p_holm corrects over all pairs and arms:
    where 40 tables for each of them are more than `resamples`, there are so many, or it could not become small. `size`,
    `chance` and the p-values are NaN, with a `reason`, where nothing can be told.
    """
    failed = 1 - raw_success(trials, [threshold], score)[:, 0]
    levels = {name: _levels(trials[name], told.get("values")) for name, told in factors.items() if name in trials}
    labels = {name: str(factors[name].get("label", name)) for name in levels}
    rng, tables = np.random.default_rng(seed), []
    resamples = max(resamples, FOR_HOLM * len(arms_of(trials)) * comb(len(levels), 2))
    for arm in arms_of(trials):
        cells = {name: _cells(trials, level, failed, arm) for name, level in levels.items()}
        for a, b in combinations(levels, 2):
            shape = tuple(len(levels[name].cat.categories) for name in (a, b))
            num, failures, first_failures = _two_way(cells[a], cells[b], shape)
            index = pd.MultiIndex.from_product(
                [levels[name].cat.categories.map(str) for name in (a, b)], names=["level_a", "level_b"]
            )
            told = {**_excess(num, failures), **_interaction_test(num, first_failures, resamples, rng)}
            flat = {name: np.ravel(value) if np.ndim(value) else value for name, value in told.items()}
            tables.append(pd.DataFrame(flat, index=index).reset_index())
            tables[-1] = tables[-1].assign(arm=arm, factor_a=a, label_a=labels[a], factor_b=b, label_b=labels[b])
    first = ["arm", "factor_a", "label_a", "level_a", "factor_b", "label_b", "level_b"]
    if not tables:
        return pd.DataFrame(columns=[*first, "excess", "size", "p_value", "p_holm", "reason"])
    found = pd.concat(tables, ignore_index=True)
    pairs = found.drop_duplicates(PAIR)[[*PAIR, "p_value"]]
    pairs = pairs.assign(p_holm=holm(pairs["p_value"].tolist())).drop(columns="p_value")
    found = found.merge(pairs, on=PAIR, how="left")
    return found[first + [c for c in found.columns if c not in first]]


def _two_way(a: pd.DataFrame, b: pd.DataFrame, shape: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
    """[level of a, level of b]: known cells of the arm, those that failed (shares added), and by their first seeds."""
    known = ((a["known"] > 0) & (a["level"] >= 0) & (b["level"] >= 0)).to_numpy()
    at = (a["level"].to_numpy()[known], b["level"].to_numpy()[known])
    failures, seeds, first = (a[name].to_numpy(dtype=float)[known] for name in ("failures", "known", "first"))
    tables = np.zeros((3, *shape))
    for table, value in zip(tables, (1.0, failures / seeds, first), strict=True):
        np.add.at(table, at, value)
    return tables[0], tables[1], tables[2]


def additive_fit(num: Floats, failures: Floats) -> Floats:
    """The expected failures [..., level of a, level of b] where the factors' log-odds of failing add up.

    Iterative proportional fitting of the log-linear model without three-way interaction to the numbers per pair of
    levels and the failures per level of either factor, which is the maximum likelihood fit of the additive logistic
    regression (Bishop, Fienberg and Holland 1975, "Discrete Multivariate Analysis", section 3.5). It converges also
    where a level always or never fails, when the coefficients of the regression are infinite. 40 rounds.
    """
    seen = np.stack([failures, num - failures])
    fit = 0.5 * np.broadcast_to(num, seen.shape)
    for _ in range(FITTING_ROUNDS):
        for axis in (-1, -2):
            fit *= _ratio(seen.sum(axis=axis, keepdims=True), fit.sum(axis=axis, keepdims=True))
        fit *= _ratio(num, fit.sum(axis=0))
    return fit[0]


def _ratio(wanted: Floats, found: Floats) -> Floats:
    return np.divide(wanted, found, out=np.zeros(np.broadcast_shapes(wanted.shape, found.shape)), where=found > 0)


def deviance(num: Floats, failures: Floats, fit: Floats) -> Floats:
    """Twice the log of the likelihood ratio of the observed rates against the fitted ones, per table [...]."""
    failing = special.xlogy(failures, _ratio(failures, fit))
    passing = special.xlogy(num - failures, _ratio(num - failures, num - fit))
    return 2 * (failing + passing).sum(axis=(-2, -1))


def _interaction_test(num: Floats, failures: Floats, resamples: int, rng: np.random.Generator) -> dict[str, Any]:
    nothing = {"size": np.nan, "chance": np.nan, "p_value": np.nan}
    total, failed = num.sum(), failures.sum()
    if not total:
        return {**nothing, "reason": "no cell is known"}
    if failed in (0, total):
        return {**nothing, "reason": "every cell fails" if failed else "no cell fails"}
    if not _has_interaction(num > 0):
        return {**nothing, "reason": "too few pairs of levels were drawn"}
    fit = additive_fit(num, failures)
    draw, observed, by_chance = equally_likely(num, failures, rng), deviance(num, failures, fit), []

    def as_far_off(tables: int) -> Any:
        by_chance.append(draw(tables))
        return deviance(num, by_chance[-1], fit) >= observed - 1e-9

    p_value = _sequential_p_value(as_far_off, resamples)
    every = (failures, np.concatenate(by_chance))
    size, chance = (np.sqrt(_ratio((x - fit) ** 2, num).sum(axis=(-2, -1)) / total) for x in every)
    return {"size": float(size), "chance": float(chance.mean()), "p_value": p_value, "reason": ""}


def _sequential_p_value(as_far_off: Callable[[int], Any], resamples: int) -> float:
    """The p-value from up to `resamples` draws; `as_far_off` makes so many and says which are as far off as what was
    observed. It stops at the 20th of those (Besag and Clifford 1991, Biometrika 78:301-304)."""
    found = as_far_off(min(FIRST, resamples))
    while found.sum() < ENOUGH and len(found) < resamples:
        found = np.concatenate([found, as_far_off(min(MORE, resamples - len(found)))])
    last = np.flatnonzero(found)[ENOUGH - 1 : ENOUGH] + 1
    return float(ENOUGH / last[0] if len(last) else (1 + found.sum()) / (resamples + 1))


def equally_likely(num: Floats, failures: Floats, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draws so many tables [table, level of a, level of b] that stand beside the observed one without an interaction.

    They have the same failures at each level of either factor, which is all that the additive model knows of them, and
    come up as often as when failures fall on the cells at random. A chain goes from table to table by moving failures
    around rectangles (Diaconis and Sturmfels 1998, Annals of Statistics 26:363-397). It first runs back from the
    observed table and then forth again, once for each table wanted, so that these and the observed one are exchangeable
    and a p-value from their order is exact however slowly the chain mixes (Besag and Clifford 1989, Biometrika
    76:633-642, the parallel method).
    """
    order = [tuple(rng.permutation(levels) for levels in num.shape) for _ in range(ROUNDS)]
    back = _moved(failures.astype(int)[None], num, order[::-1], rng)
    return lambda resamples: _moved(np.repeat(back, resamples, axis=0), num, order, rng).astype(float)


def _moved(tables: Any, num: Floats, order: Sequence[tuple[Any, ...]], rng: np.random.Generator) -> Any:
    """The tables [table, level of a, level of b] after a Metropolis step for each pairing of rows and of columns."""
    longest, most, tables = max(1, round(np.sqrt(num.mean()) / 2)), int(num.max()), tables.copy()
    count = np.arange(-longest, most + longest + 1)
    possible = (count >= 0) & (count <= num[..., None])
    passing = np.where(possible, num[..., None] - count, 0)
    ways = -special.gammaln(np.where(possible, count, 0) + 1) - special.gammaln(passing + 1)
    ways = np.where(possible, ways, -np.inf).ravel()  # log of the binomial coefficient, less what is the same for all
    first = len(count) * np.arange(num.size).reshape(num.shape) + longest
    for pairing in order:
        (p, q), (s, t) = ((x[: len(x) // 2], x[len(x) // 2 : len(x) // 2 * 2]) for x in pairing)
        by = rng.integers(-longest, longest + 1, (len(tables), len(p), len(s)))
        corners = [(rows[:, None], columns, sign) for rows, columns, sign in _rectangle(p, q, s, t)]
        gain = np.zeros(by.shape)
        for rows, columns, sign in corners:
            at = first[rows, columns] + tables[:, rows, columns]
            gain += ways[at + sign * by] - ways[at]
        moved = np.where(rng.random(gain.shape) < np.exp(np.minimum(gain, 0)), by, 0)
        for rows, columns, sign in corners:
            tables[:, rows, columns] += sign * moved
    return tables


def _rectangle(p: Any, q: Any, s: Any, t: Any) -> list[tuple[Any, Any, int]]:
    return [(p, s, 1), (q, t, 1), (p, t, -1), (q, s, -1)]


def _has_interaction(drawn: Any) -> bool:
    """Whether the pairs of levels that were drawn are more than the additive model has coefficients for."""
    rows, columns = np.nonzero(drawn)
    design = np.concatenate([np.eye(drawn.shape[0])[rows], np.eye(drawn.shape[1])[columns]], axis=1)
    return bool(len(rows) > np.linalg.matrix_rank(design))


def _excess(num: Floats, failures: Floats) -> dict[str, Floats]:
    """The failure rates of a pair of factors, what the factors alone let expect, and the difference."""
    rate, (low, high) = rate_of(failures, num), wilson(failures, num)
    expected = np.where(num > 0, _ratio(additive_fit(num, failures), num), np.nan)
    excess = rate - expected
    sparse = num.sum() < LEAST_CELLS * num.size
    reach_low, reach_high = (np.nan, np.nan) if sparse else _reach(num, failures, excess)
    counts = {"failures": failures, "known": num, "rate": rate, "low": low, "high": high}
    ends = {"excess_low": np.clip(excess - reach_low, -1, 1), "excess_high": np.clip(excess + reach_high, -1, 1)}
    return {**counts, "expected": expected, "excess": excess, **ends}


def _reach(num: Floats, failures: Floats, excess: Floats) -> tuple[Floats, Floats]:
    """How far the interval of each excess reaches down and up.

    Every pair of levels in turn has its failure rate at either end of its exact interval (Clopper and Pearson), with
    Bonferroni's correction over the pairs, and the model is fitted again. How far that moves an excess down, squared
    and added over all pairs, is the square of its reach (Zou and Donner 2008, Statistics in Medicine 27:1693-1702).
    """
    drawn = num > 0
    level = 0.05 / max(drawn.sum(), 1)
    ends = np.array(proportion_confint(failures[drawn], num[drawn], alpha=level, method="beta"))
    moved = np.eye(num.size, dtype=bool).reshape(num.size, *num.shape)[drawn.ravel()]
    tables = np.where(moved, num * ends[:, :, None, None], failures)  # [end, pair moved, level of a, level of b]
    change = _ratio(tables - additive_fit(num, tables), num) - np.nan_to_num(excess)
    down, up = np.maximum(-change, 0).max(axis=0) ** 2, np.maximum(change, 0).max(axis=0) ** 2
    return np.sqrt(down.sum(axis=0)), np.sqrt(up.sum(axis=0))


# --- a factor under two arms

COMPARED = ["arm_a", "arm_b", "factor"]


def arm_interactions(
    trials: pd.DataFrame,
    factors: Mapping[str, Mapping[str, Any]],
    threshold: float,
    score: str = "inception_score",
    pairs: Sequence[tuple[str, str]] = (),
    resamples: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Whether a factor changes by how much two arms differ in how often they fail.

    A row per pair of arms (of `pairs`; by default all, a before b in the plan), factor and level. Columns arm_a, arm_b,
    factor, label, level, cells, rate_a, rate_b, difference, low, high, contrast, contrast_low, contrast_high and, equal
    in all rows of a pair and factor, p_value, p_holm, reason.

    Only blocks in which both arms are known count, and a cell with several seeds once: with the shares of its seeds.
    `difference` in [-1, 1] is the failure rate of b minus that of a at the level, with Newcombe's paired interval.
    `contrast` in [-2, 2] is that minus the difference at all other levels together, so for two levels the difference of
    the differences; its interval puts the two independent ones together (Zou and Donner 2008, Statistics in Medicine
    27:1693-1702) and holds for all levels of the factor at once (Bonferroni).

    The test shuffles the levels among the cells, which keeps each cell's pair of outcomes together. Its statistic is
    that of Welch, with the variance of the differences at each level smoothed as by Agresti and Min (2005, Statistics
    in Medicine 24:729-740): so it also holds about where a factor matters under both arms alike, and outcomes differ
    more at one level than at another (Chung and Romano 2013, Annals of Statistics 41:484-507). There are at least
    `resamples` shuffles, and 40 for each test, fewer where it is clear that nothing is found (`_sequential_p_value`;
    seeded). p_holm corrects over all pairs and factors. The p-values are NaN, with a `reason`, where nothing can be
    told.
    """
    failed = 1 - raw_success(trials, [threshold], score)[:, 0]
    levels = {name: _levels(trials[name], told.get("values")) for name, told in factors.items() if name in trials}
    compared = list(pairs) or list(combinations(arms_of(trials), 2))
    resamples = max(resamples, FOR_HOLM * len(compared) * len(levels))
    rng, tables = np.random.default_rng(seed), []
    for a, b in compared:
        for name, level in levels.items():
            cells = _pairs_of_cells(trials, level, failed, a, b)
            told = {**_contrasts(cells, len(level.cat.categories)), **_arm_test(cells, resamples, rng)}
            table = pd.DataFrame({**told, "level": level.cat.categories.map(str)})
            tables.append(table.assign(arm_a=a, arm_b=b, factor=name, label=str(factors[name].get("label", name))))
    first = ["arm_a", "arm_b", "factor", "label", "level"]
    if not tables:
        return pd.DataFrame(columns=[*first, "difference", "contrast", "p_value", "p_holm", "reason"])
    found = pd.concat(tables, ignore_index=True)
    tests = found.drop_duplicates(COMPARED)[[*COMPARED, "p_value"]]
    tests = tests.assign(p_holm=holm(tests["p_value"].tolist())).drop(columns="p_value")
    found = found.merge(tests, on=COMPARED, how="left")
    return found[first + [c for c in found.columns if c not in first]]


def _pairs_of_cells(trials: pd.DataFrame, level: pd.Series, failed: Floats, a: str, b: str) -> pd.DataFrame:
    """A row per cell: level (its number), and the shares of its seeds in which both, only_a, only_b or neither fail."""
    frame = trials[["cell", "seed", "arm"]].assign(level=level.cat.codes, failed=failed).dropna(subset="failed")
    keys, frame = ["cell", "seed", "level"], frame[frame["level"] >= 0]
    of_a, of_b = (frame.loc[frame["arm"] == arm, [*keys, "failed"]] for arm in (a, b))
    block = of_a.merge(of_b, on=keys, suffixes=("_a", "_b"))
    x, y = block["failed_a"], block["failed_b"]
    shares = {"both": x * y, "only_a": x * (1 - y), "only_b": (1 - x) * y, "neither": (1 - x) * (1 - y)}
    return block[["cell", "level"]].assign(**shares).groupby("cell", sort=False).mean()


def _contrasts(cells: pd.DataFrame, num_levels: int) -> dict[str, Any]:
    """Per level the paired difference of the arms, and by how much it is off from that at all other levels."""
    four = ["both", "only_a", "only_b", "neither"]
    here = cells.groupby("level")[four].sum().reindex(range(num_levels), fill_value=0.0)
    rest = here.sum() - here
    alpha = 0.05 / (num_levels if num_levels > 2 else 1)  # the contrasts of two levels are each other's negative
    difference, low, high = paired_difference(**here)
    _, here_low, here_high = paired_difference(**here, alpha=alpha)
    others, rest_low, rest_high = paired_difference(**rest, alpha=alpha)
    num, contrast = here.sum(axis=1), difference - others
    return {
        "cells": num.round().astype(int).to_numpy(),
        "rate_a": rate_of(here["both"] + here["only_a"], num),
        "rate_b": rate_of(here["both"] + here["only_b"], num),
        "difference": difference,
        "low": low,
        "high": high,
        "contrast": contrast,
        "contrast_low": contrast - np.hypot(difference - here_low, rest_high - others),
        "contrast_high": contrast + np.hypot(here_high - difference, others - rest_low),
    }


def _arm_test(cells: pd.DataFrame, resamples: int, rng: np.random.Generator) -> dict[str, Any]:
    level, difference = cells["level"].to_numpy(), (cells["only_b"] - cells["only_a"]).to_numpy(float)
    drawn = np.unique(level)
    if not len(cells):
        return {"p_value": np.nan, "reason": "no cell is known under both arms"}
    if len(drawn) < 2:
        return {"p_value": np.nan, "reason": "one level was drawn"}
    if np.ptp(difference) == 0:
        return {"p_value": np.nan, "reason": "the arms differ alike in every cell"}
    moments = np.column_stack([np.ones(len(cells)), difference, difference**2])

    def statistic(levels: Any) -> Any:
        """[shuffle]: how far the mean differences of the levels [shuffle, cell] are apart, in their variances."""
        num, first, second = np.moveaxis(np.stack([(levels == one) @ moments for one in drawn]), -1, 0)
        weight = num / ((second + 1) / (num + 2) - (first / (num + 2)) ** 2)
        mean = first / num
        centre = (weight * mean).sum(axis=0) / weight.sum(axis=0)
        return (weight * (mean - centre) ** 2).sum(axis=0)

    observed = statistic(level[None])[0]

    def as_far_off(shuffles: int) -> Any:
        return statistic(rng.permuted(np.tile(level, (shuffles, 1)), axis=1)) >= observed - 1e-9

    return {"p_value": _sequential_p_value(as_far_off, resamples), "reason": ""}
