"""Success and its uncertainty: outcome tables of paired arms, survival curves and rankings.

A trial succeeds at a threshold if it is done and its final score is finite and strictly above it (the rule of
Gulrajani et al. 2017). A diverged trial fails at every threshold. A trial that a rule *stopped* on evidence, which is
no proof, has no final score: the audited trials of its arm, which the same rules would have stopped and which ran to
their ends, say what share of the stopped would have succeeded (see `intervals`). The raw rate, which counts a stopped
trial by the score it had then, stands beside the estimate. A trial that has not ended, that the machine lost, or that
did not diverge and still has no score, because the metric gave no answer or was not asked, is unknown: it stays in the
denominator of the bounds `worst` and `best`, which hold whatever the stopped and the unknown would have done. Rates are
shares in [0, 1]; every interval is 95%.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from gansweep import intervals
from gansweep.intervals import Audit, Floats, rate_of
from gansweep.parts import misspelt


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
    """[trials, thresholds]: 1 where the trial succeeds, 0 where it fails, NaN where it was stopped or is unknown."""
    return np.where(stopped(trials)[:, None], np.nan, raw_success(trials, thresholds, score))


def raw_success(trials: pd.DataFrame, thresholds: Sequence[float], score: str) -> Floats:
    """As `success`, but a stopped trial counts by the score it had then, and fails without one."""
    check_protocol(trials, score)
    values = pd.to_numeric(trials[score]).to_numpy(dtype=float, na_value=np.nan)
    known = (trials["status"] == "done").to_numpy(dtype=bool) & ~unanswered(trials, score)
    scored = known & np.isfinite(values)
    passed = (values[:, None] > np.asarray(thresholds, dtype=float)) & scored[:, None]
    return np.where(known[:, None], passed.astype(float), np.nan)


def stopped(trials: pd.DataFrame) -> NDArray[np.bool_]:
    """[trials]: whether the trial was stopped though no rule had proved that it fails; a diverged one was not."""
    pruned = (trials["status"] == "done") & (trials["decision"] == "pruned") & ~diverged(trials)
    return pruned.to_numpy(dtype=bool)


def audited(trials: pd.DataFrame) -> NDArray[np.bool_]:
    """[trials]: whether the trial would have been stopped like that, and ran to its end instead."""
    return ((trials["status"] == "done") & (trials["decision"] == "audited")).to_numpy(dtype=bool)


def unanswered(trials: pd.DataFrame, score: str) -> NDArray[np.bool_]:
    """[trials]: whether the trial ran to its end, did not diverge and still has no score: it is not known why."""
    missing = (trials["status"] == "done") & trials[score].isna() & ~diverged(trials)
    return missing.to_numpy(dtype=bool) & ~stopped(trials)


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


@dataclass(frozen=True)
class Outcomes:
    """What is known of every block: `passed` [block, arm, threshold] is NaN where stopped or unknown."""

    passed: Floats
    stopped: NDArray[np.bool_]  # [block, arm]
    audits: tuple[Audit, ...]  # per arm, with arrays [threshold]
    blocks: pd.DataFrame

    @cached_property
    def rates(self) -> list[tuple[Floats, Floats, Floats]]:
        """Per arm the success rate at each threshold and its interval."""
        arms = range(self.passed.shape[1])
        return [
            intervals.corrected_rate(self.num_passed(i), self.num_known(i), self.audits[i], worth=self.worth)
            for i in arms
        ]

    @cached_property
    def worth(self) -> float:
        """How many independent blocks one counts for in intervals and tests: all seeds of a cell are worth one."""
        return self.blocks["cell"].nunique() / max(len(self.blocks), 1)

    def num_passed(self, arm: int) -> Floats:
        """[threshold]: how many trials are known to succeed."""
        return np.nansum(self.passed[:, arm], axis=0)

    def num_known(self, arm: int) -> NDArray[np.int_]:
        """[threshold]: of how many trials the outcome is known."""
        return (~np.isnan(self.passed[:, arm])).sum(axis=0)

    def joint(self, a: int, b: int) -> Floats:
        """[3, 3, threshold]: blocks by what is known of two arms' trials (see `intervals.expected_pairs`)."""
        kinds = [
            [
                self.passed[:, i] == 0,
                self.passed[:, i] == 1,
                np.broadcast_to(self.stopped[:, [i]], self.passed[:, i].shape),
            ]
            for i in (a, b)
        ]
        return np.array([[(x & y).sum(axis=0) for y in kinds[1]] for x in kinds[0]], dtype=float)


def outcomes_of(trials: pd.DataFrame, thresholds: Sequence[float], score: str) -> Outcomes:
    """The outcomes of every block at each threshold, and what the audits of each arm say."""
    passed, blocks = _cube(trials, success(trials, thresholds, score))
    raw, _ = _cube(trials, raw_success(trials, thresholds, score))
    marks, _ = _cube(trials, np.stack([stopped(trials), audited(trials)], axis=1).astype(float))
    was_stopped, was_audited = marks[..., 0] == 1, marks[..., 1] == 1
    audits = tuple(
        Audit(
            stopped=was_stopped[:, i].sum(),
            audited=(~np.isnan(passed[was_audited[:, i], i])).sum(axis=0),
            passed=np.nansum(passed[was_audited[:, i], i], axis=0),
            guess=np.nan_to_num(rate_of(np.nansum(raw[was_stopped[:, i], i], axis=0), was_stopped[:, i].sum())),
        )
        for i in range(passed.shape[1])
    )
    return Outcomes(passed=passed, stopped=was_stopped, audits=audits, blocks=blocks)


def outcome_table(
    trials: pd.DataFrame,
    thresholds: Sequence[float],
    score: str = "inception_score",
    arms: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row per pair of arms (a before b in `arms`) and threshold.

    `only_a`, `only_b`, `both`, `neither`, `unknown` count blocks and add up to `planned`; of `stopped` blocks the
    outcome is estimated, so that the first four need not be whole. `rate_x` is the success rate of arm x without its
    unknown trials, corrected by the audit, with its interval (Wilson's if no trial was stopped); `raw_x` the rate
    that counts stopped trials by the score they had then, `worst_x`/`best_x` the rate over all planned if every
    stopped or unknown trial failed/succeeded; `difference` is rate b - rate a over blocks without an unknown trial
    with its paired interval (Newcombe's if no trial was stopped), `difference_worst`/`difference_best` its bounds;
    `p_value` is `intervals.difference_p_value`, `p_holm` corrected over the thresholds of the pair; `close_x` counts
    trials that are too close to call: the threshold lies between the score's own `_low` and `_high`.

    Where cells have several seeds, counts and rates are those of all blocks, intervals and tests those of the same
    shares among as many blocks as there are cells. That is the design effect of seeds that all end alike, the largest
    there is (Rao and Scott 1992, Biometrics 48:577-585), so where they differ the intervals are wider than need be.
    """
    found = outcomes_of(trials, thresholds, score)
    close, _ = _cube(trials, _too_close(trials, thresholds, score))
    names = arms_of(trials)
    for arm in arms or ():
        if arm not in names:
            raise misspelt("arm", arm, names)
    of_arm = [_arm_columns(found, i) | {"close": np.nansum(close[:, i], axis=0).astype(int)} for i in range(len(names))]
    tables = [
        pd.DataFrame(
            {"arm_a": names[i], "arm_b": names[j], "threshold": list(thresholds)}
            | _pair_columns(found, i, j, of_arm[i], of_arm[j])
        )
        for i, j in combinations(map(names.index, arms or names), 2)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm_a", "arm_b", "threshold"])


def _too_close(trials: pd.DataFrame, thresholds: Sequence[float], score: str) -> Floats:
    ends = [f"{score}_{end}" for end in ("low", "high")]
    if not set(ends) <= set(trials.columns):
        return np.zeros((len(trials), len(thresholds)))
    low, high = (pd.to_numeric(trials[c]).to_numpy(dtype=float, na_value=np.nan)[:, None] for c in ends)
    return ((low < np.asarray(thresholds)) & (np.asarray(thresholds) < high)).astype(float)


def _pair_columns(found: Outcomes, i: int, j: int, of_a: Mapping[str, Any], of_b: Mapping[str, Any]) -> dict[str, Any]:
    """What a table says of arms `i` and `j` at each threshold, and what it says of each."""
    joint, (a, b) = found.joint(i, j), (found.audits[i], found.audits[j])
    told, num = joint.sum(axis=(0, 1)), len(found.blocks)
    both, only_a, only_b, neither = intervals.expected_pairs(joint, a.share, b.share)
    assert np.allclose(both + only_a + only_b + neither, told), "the outcomes do not add up"
    difference, low, high = intervals.corrected_difference(found.worth * joint, a, b)
    p_values = intervals.difference_p_value(found.worth * joint, a, b)
    return {
        "only_a": only_a,
        "only_b": only_b,
        "both": both,
        "neither": neither,
        "unknown": (num - told).astype(int),
        "planned": num,
        "stopped": (told - joint[:2, :2].sum(axis=(0, 1))).astype(int),
        **{_of_arm(column, "a"): value for column, value in of_a.items()},
        **{_of_arm(column, "b"): value for column, value in of_b.items()},
        "difference": difference,
        "difference_low": low,
        "difference_high": high,
        "difference_worst": of_b["worst"] - of_a["best"],
        "difference_best": of_b["best"] - of_a["worst"],
        "p_value": p_values,
        "p_holm": holm(p_values.tolist()),
    }


def _of_arm(column: str, arm: str) -> str:
    """rate_low is rate_a_low of arm a, and known known_a."""
    name, _, end = column.partition("_")
    return f"{name}_{arm}_{end}" if end in ("low", "high") else f"{column}_{arm}"


def _arm_columns(found: Outcomes, arm: int) -> dict[str, Any]:
    """What a table says of one arm at each threshold."""
    passed, known, audit = found.num_passed(arm), found.num_known(arm), found.audits[arm]
    rate, low, high = found.rates[arm]
    planned = np.full_like(known, len(found.blocks))
    return {
        "success": passed + audit.stopped * audit.share,
        "known": known,
        "stopped": int(audit.stopped),
        "audited": audit.audited,
        "audited_passed": audit.passed.astype(int),
        "rate": rate,
        "rate_low": low,
        "rate_high": high,
        "raw": rate_of(passed + audit.stopped * audit.guess, known + audit.stopped),
        "worst": rate_of(passed, planned),
        "best": rate_of(passed + planned - known, planned),
    }


def success_rates(trials: pd.DataFrame, thresholds: Sequence[float], score: str = "inception_score") -> pd.DataFrame:
    """A row per arm and threshold.

    Columns arm, threshold, success, known, stopped, audited, audited_passed, rate, rate_low, rate_high, raw, worst,
    best as in `outcome_table`; `audited` counts the flagged trials that ran to their ends.
    """
    found = outcomes_of(trials, thresholds, score)
    tables = [
        pd.DataFrame({"arm": arm, "threshold": list(thresholds), **_arm_columns(found, i)})
        for i, arm in enumerate(arms_of(trials))
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm", "threshold", "rate"])


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's correction; NaN (nothing to test) stays NaN and does not count as a test.

    As `statsmodels.stats.multitest.multipletests` has it, which collects garbage at each call: a second with thousands
    of trials in memory.
    """
    p = np.asarray(p_values, dtype=float).copy()
    tested = np.flatnonzero(np.isfinite(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    p[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return p


def survival(
    trials: pd.DataFrame,
    score: str = "inception_score",
    thresholds: Sequence[float] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Columns arm, threshold, rate, band_low, band_high, worst, best, known, stopped.

    The share of trials whose score is above each value.

    The grid is `thresholds` and 100 steps over the observed scores. `band_low` and `band_high` are a 95% band for the
    whole curve at once: on either side as far as the exact 95% quantile of the largest deviation of as many
    independent cells, whatever their distribution is (Kolmogorov; Dvoretzky, Kiefer and Wolfowitz 1956; seeds of one
    cell make it safer). Where trials were stopped it is at least as wide as the same quantile with whole cells
    resampled and the share of the stopped trials drawn from what the audit says of it, and as the pointwise interval
    of `outcome_table`.
    """
    values = pd.to_numeric(trials[score]).to_numpy(dtype=float, na_value=np.nan)
    seen = values[np.isfinite(values)]
    steps = np.linspace(seen.min(), seen.max(), 101) if len(seen) else np.array([])
    grid = np.unique(np.concatenate([np.asarray(thresholds, dtype=float), steps])).tolist()
    found = outcomes_of(trials, grid, score)
    width = _band_width(found, resamples, np.random.default_rng(seed))
    tables = []
    for i, arm in enumerate(arms_of(trials)):
        column = _arm_columns(found, i)
        frame = pd.DataFrame({"arm": arm, "threshold": grid, "rate": column["rate"]})
        frame["band_low"] = np.fmin(column["rate_low"], np.clip(column["rate"] - width[i], 0, 1))
        frame["band_high"] = np.fmax(column["rate_high"], np.clip(column["rate"] + width[i], 0, 1))
        tables.append(frame.assign(**{name: column[name] for name in ("worst", "best", "known", "stopped")}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _resampled_rates(found: Outcomes, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """For each arm in turn the rates [resample, column] when whole cells are drawn with replacement.

    The share of the stopped trials is drawn with them, from Jeffreys' posterior given the audit, the same quantile at
    every threshold.
    """
    cell = found.blocks["cell"].factorize()[0]
    cells = int(cell.max()) + 1 if len(cell) else 0
    weights = rng.multinomial(cells, np.full(cells, 1 / cells), size=resamples).astype(float) if cells else None
    for i, audit in enumerate(found.audits):
        passed, known = np.zeros((2, cells, found.passed.shape[2]))
        num_stopped = np.zeros(cells)
        np.add.at(passed, cell, np.nan_to_num(found.passed[:, i]))
        np.add.at(known, cell, (~np.isnan(found.passed[:, i])).astype(float))
        np.add.at(num_stopped, cell, found.stopped[:, i].astype(float))
        if weights is None:
            yield np.zeros((0, found.passed.shape[2]))
        elif not audit.stopped:
            yield rate_of(weights @ passed, weights @ known)
        else:
            missing = (weights @ num_stopped)[:, None]
            share = _drawn_share(audit, rng.random(resamples))
            yield rate_of(weights @ passed + missing * share, weights @ known + missing)


def _drawn_share(audit: Audit, quantile: Floats) -> Floats:
    """[quantile, threshold]: quantiles of the share of the stopped trials that would have succeeded."""
    told, column = np.unique(np.stack([audit.passed, audit.audited - audit.passed]), axis=1, return_inverse=True)
    return stats.beta.ppf(quantile[:, None], told[0] + 0.5, told[1] + 0.5)[:, column.ravel()]


def _band_width(found: Outcomes, resamples: int, rng: np.random.Generator) -> list[float]:
    """Per arm how far the simultaneous band reaches to either side."""
    cell, widths = found.blocks["cell"].factorize()[0], []
    resampled = list(_resampled_rates(found, resamples, rng)) if found.stopped.any() else []
    for i in range(found.passed.shape[1]):
        told = (~np.isnan(found.passed[:, i])).any(axis=1) | found.stopped[:, i]
        num_cells = len(np.unique(cell[told]))
        width = float(stats.kstwo.ppf(0.95, num_cells)) if num_cells else 1.0
        if found.stopped[:, i].any():
            furthest = np.max(np.abs(np.nan_to_num(resampled[i] - found.rates[i][0])), axis=1)
            width = max(width, float(np.quantile(furthest, 0.95)))
        widths.append(width)
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

    Intervals come from resampling whole cells, the same ones for every arm, so the pairing is kept, and from drawing
    the share of each arm's stopped trials from what the audit says of it.
    """
    found = outcomes_of(trials, thresholds, score)
    draws = _resampled_rates(found, resamples, np.random.default_rng(seed))
    means = np.stack([np.nan_to_num(rates).mean(axis=1) for rates in draws])
    ranks = stats.rankdata(-means, axis=0, method="average")
    rates = np.array([np.nan_to_num(rate).mean() for rate, _, _ in found.rates])
    frame = pd.DataFrame({"arm": arms_of(trials), "mean_rate": rates})
    frame["low"], frame["high"] = np.quantile(means, [0.025, 0.975], axis=1)
    frame["rank"] = stats.rankdata(-frame["mean_rate"], method="average")
    frame["rank_low"], frame["rank_high"] = np.quantile(ranks, [0.025, 0.975], axis=1)
    return frame.sort_values("rank", ignore_index=True)
