"""Frames in, frames out: counts, outcomes, pruning audit, pairing, confounders and curves.

Nothing is drawn here and nothing is read from disk. What counts as success and how sure we are of it stands
in `outcomes`; its functions are part of this module's surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gansweep import trajectory
from gansweep.intervals import Floats, paired_difference, rate_of, wilson
from gansweep.outcomes import (
    arms_of,
    check_protocol,
    diverged,
    outcome_table,
    ranking,
    stopped,
    success,
    success_rates,
    survival,
    unanswered,
)
from gansweep.parts import misspelt

__all__ = [
    "arms_of",
    "audit",
    "check_protocol",
    "compute",
    "confounders",
    "counts",
    "courses",
    "kind_of",
    "outcome_flow",
    "outcome_table",
    "paired_difference",
    "paired_scores",
    "pairing",
    "ranking",
    "reached",
    "score_curves",
    "stopped",
    "success",
    "success_rates",
    "survival",
    "unanswered",
    "wilson",
]

STATUSES = {
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "running": "running",
    "planned": "not_started",
}
FINGERPRINTS = {"data": "fingerprint_data", "latent": "fingerprint_latent", "init": "fingerprint_init"}
NOTHING_SHARED = "nothing shared"  # in place of a fingerprint of weights, where no tensor is in every arm
KINDS = {  # the first kind with a word of the field's name wins, so that constraint.allow_batch_norm is no normaliser
    "critic steps": ("n_critic", "critic_steps", "critic_warmup"),
    "update order": ("update_order",),
    "loss": ("loss", "constraint", "objective", "clip"),
    "normaliser": ("norm",),
    "optimiser": ("optim", "adam", "lr", "learning_rate", "betas", "momentum", "rmsprop"),
}


def counts(trials: pd.DataFrame) -> pd.DataFrame:
    """Per arm and for `all`: planned = done + failed + cancelled + running + not_started.

    Raises `ValueError` on a status it does not know.
    """
    for status in trials["status"].unique():
        if status not in STATUSES:
            raise misspelt("status", status, STATUSES)
    table = pd.crosstab(trials["arm"], trials["status"].map(STATUSES)) if len(trials) else pd.DataFrame()
    table = table.reindex(index=arms_of(trials), columns=list(STATUSES.values()), fill_value=0).astype(int)
    table.loc["all"] = table.sum().astype(int)
    planned = trials["arm"].value_counts().reindex(table.index, fill_value=0)
    planned["all"] = len(trials)
    table.insert(0, "planned", planned.astype(int))
    assert (table["planned"] == table.drop(columns="planned").sum(axis=1)).all(), "the counts do not add up"
    return table.rename_axis("arm").reset_index()


def outcome_flow(trials: pd.DataFrame) -> pd.DataFrame:
    """Columns arm, status, outcome, decision, trials.

    What became of every planned trial; the counts add up per arm.
    """
    done = trials["status"] == "done"
    failure = trials["failure"].astype(object).fillna("unknown reason").astype(str)
    verdict = trials["verdict"].astype(object).fillna("no verdict").astype(str)
    outcome = verdict.where(done, trials["status"].map(_not_done))
    outcome = outcome.mask(trials["status"] == "failed", "failed: " + failure)
    frame = pd.DataFrame(
        {
            "arm": trials["arm"].astype(str),
            "status": trials["status"],
            "outcome": outcome,
            "decision": trials["decision"].astype(object).fillna("none").astype(str),
        }
    )
    return frame.groupby(list(frame.columns), sort=False).size().rename("trials").reset_index()


def _not_done(status: str) -> str:
    return STATUSES.get(status, status).replace("_", " ")


def paired_scores(trials: pd.DataFrame, score: str = "inception_score", factors: Sequence[str] = ()) -> pd.DataFrame:
    """A row per block: cell, seed, the factors, then per arm its final score, `ARM:state` and `ARM:trial`.

    The state is scored, no score (done without a finite score), pruned or unknown.
    """
    check_protocol(trials, score)
    finite = np.isfinite(pd.to_numeric(trials[score]).to_numpy(dtype=float, na_value=np.nan))
    state = np.where(
        trials["decision"] == "pruned",
        "pruned",
        np.where(trials["status"] != "done", "unknown", np.where(finite, "scored", "no score")),
    )
    long = trials.assign(score=trials[score].where(state == "scored"), state=state)
    keys = ["cell", "seed"]
    wide = long.drop_duplicates(keys)[keys + [f for f in factors if f in trials.columns]].set_index(keys)
    for arm in arms_of(trials):
        one = long[long["arm"] == arm].set_index(keys)
        wide = wide.join(one[["score", "state", "trial"]].set_axis([arm, f"{arm}:state", f"{arm}:trial"], axis=1))
        wide[f"{arm}:state"] = wide[f"{arm}:state"].fillna("unknown")
    return wide.reset_index()


def courses(trials: pd.DataFrame, score: str = "inception_score") -> pd.DataFrame:
    """How the score went, per arm and fact (final, best, drawdown, area): columns arm, fact, scored, median, low, high.

    `low` and `high` are the quartiles over the `scored` trials, those that ended with a score. Diverged trials have
    none, so arms with many of them look better here than they are.
    """
    check_protocol(trials, score)
    ended = trials[trials["status"] == "done"]
    columns = {"final": score} | {fact: f"{score}_{fact}" for fact in ("best", "drawdown", "area")}
    rows = []
    for arm in arms_of(trials):
        of_arm = ended[(ended["arm"] == arm) & ended[score].notna()]
        for fact, column in columns.items():
            if column in of_arm:
                values = pd.to_numeric(of_arm[column]).to_numpy(dtype=float, na_value=np.nan)
                told = np.nanquantile(values, [0.5, 0.25, 0.75]) if np.isfinite(values).any() else [np.nan] * 3
                rows.append((arm, fact, len(of_arm), *told))
    return pd.DataFrame(rows, columns=["arm", "fact", "scored", "median", "low", "high"])


def reached(trials: pd.DataFrame, thresholds: Sequence[float], score: str = "inception_score") -> pd.DataFrame:
    """Per arm and threshold: columns arm, threshold, ended, reached, median_step.

    Of the `ended` trials `reached` were above the threshold at any evaluation, half of them by `median_step`.
    """
    check_protocol(trials, score)
    ended = trials[trials["status"] == "done"]
    rows = []
    for arm in arms_of(trials):
        of_arm = ended[ended["arm"] == arm]
        for threshold in thresholds:
            column = f"{score}_{trajectory.step_above(threshold)}"
            steps = of_arm[column].dropna() if column in of_arm else pd.Series(dtype=float)
            rows.append((arm, threshold, len(of_arm), len(steps), float(steps.median()) if len(steps) else np.nan))
    return pd.DataFrame(rows, columns=["arm", "threshold", "ended", "reached", "median_step"])


def audit(
    trials: pd.DataFrame,
    steps: pd.DataFrame,
    threshold: float | None,
    thresholds: Sequence[float] = (),
    score: str = "inception_score",
    planned_steps: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """How often pruning was wrong, and what it saved.

    A row per rule, and for `all rules` on evidence. Columns rule, settled, stopped, audited, known, passed, rate, low,
    high, changed, changed_rate, changed_low, changed_high, saved.

    A settled rule proved that its trials fail, so none of them is audited. Of the `known` audited trials `passed` ended
    above `threshold` after all, and `changed` ended on another side of any of `thresholds` than the score at the stop
    was; their shares, the false-prune rates, have Wilson's interval. Without a threshold nothing is known. `saved` is
    the share of all planned generator steps that stopping saved; NaN where `planned_steps` does not tell an arm's.
    """
    was_audited, pruned = trials["decision"] == "audited", trials["decision"] == "pruned"
    passed = np.full(len(trials), np.nan) if threshold is None else success(trials, [threshold], score)[:, 0]
    changed = _changed(trials, steps, thresholds, score) if thresholds else np.full(len(trials), np.nan)
    length = trials["arm"].astype(object).map(dict(planned_steps or {})).to_numpy(dtype=float)
    spared = np.where(pruned, np.maximum(length - trials["step"].to_numpy(dtype=float), 0), 0.0)
    rule = trials["decision_rule"].astype(object).fillna("unnamed").astype(str)
    settled = pruned & diverged(trials)
    evidence = was_audited | (pruned & ~settled)
    rows = []
    for name, of_rule in _by_rule(rule, evidence, settled):
        audited_ones = (was_audited & of_rule).to_numpy(dtype=bool)
        row: dict[str, Any] = {"rule": name, "settled": bool((settled & of_rule).any())}
        row |= {"stopped": int((pruned & of_rule).sum()), "audited": int(audited_ones.sum())}
        row["known"] = int((~np.isnan(passed[audited_ones])).sum())
        for prefix, what, values in (("", "passed", passed), ("changed_", "changed", changed)):
            known, wrong = int((~np.isnan(values[audited_ones])).sum()), int(np.nansum(values[audited_ones]))
            low, high = wilson(wrong, known)
            row |= {what: wrong, f"{prefix}rate": float(rate_of(wrong, known))}
            row |= {f"{prefix}low": float(low), f"{prefix}high": float(high)}
        row["saved"] = float(np.sum(spared[of_rule.to_numpy(dtype=bool)]) / length.sum()) if len(length) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _by_rule(rule: pd.Series, evidence: pd.Series, settled: pd.Series) -> list[tuple[str, pd.Series]]:
    """Which trials each rule flagged: all rules on evidence, each of them, and those that settle."""
    found = [("all rules", evidence)]
    found += [(name, evidence & (rule == name)) for name in sorted(rule[evidence].unique())]
    return found + [(name, settled & (rule == name)) for name in sorted(rule[settled].unique())]


def _changed(trials: pd.DataFrame, steps: pd.DataFrame, thresholds: Sequence[float], score: str) -> Floats:
    """[trials]: whether the score at the stop and the final one lie on two sides of a threshold; NaN if unknown."""
    final = success(trials, thresholds, score)
    known = (trials["decision"] == "audited").to_numpy(dtype=bool) & ~np.isnan(final).any(axis=1)
    seen = steps.loc[steps[score].notna(), ["trial", "step", score]].merge(
        trials[["trial", "decision_step"]], on="trial"
    )
    then = seen[seen["step"] <= seen["decision_step"]].sort_values("step").groupby("trial")[score].last()
    value = trials["trial"].map(then).to_numpy(dtype=float)
    at_the_stop = value[:, None] > np.asarray(thresholds, dtype=float)
    return np.where(known, (at_the_stop != (final == 1)).any(axis=1), np.nan)


def pairing(trials: pd.DataFrame) -> pd.DataFrame:
    """A row per block: cell, seed, data, latent, init, paired; each yes, no or unknown (no fingerprint).

    Where the networks of the arms have no tensor in common, init is "nothing shared" and data and latent decide.
    """
    blocks = trials.groupby(["cell", "seed"], sort=False)
    arms, answers = trials["arm"].nunique(), {}
    for name, column in FINGERPRINTS.items():
        complete = blocks[column].count() == arms
        same = blocks[column].nunique() == 1
        answers[name] = np.where(blocks[column].nunique() > 1, "no", np.where(complete & same, "yes", "unknown"))
    unshared = trials[FINGERPRINTS["init"]].astype(object).fillna("").astype(str) == NOTHING_SHARED
    apart = unshared.groupby([trials["cell"], trials["seed"]], sort=False).any().to_numpy(dtype=bool)
    answers["init"] = np.where(apart & (answers["init"] != "no"), NOTHING_SHARED, answers["init"])
    frame = blocks.size().reset_index()[["cell", "seed"]].assign(**answers)
    told = frame[list(FINGERPRINTS)]
    frame["paired"] = np.where(
        told.isin(["yes", NOTHING_SHARED]).all(axis=1), "yes", np.where((told == "no").any(axis=1), "no", "unknown")
    )
    return frame


def kind_of(field: str) -> str:
    """What a configuration field is about: critic steps, normaliser, optimiser, loss or other."""
    lowered = field.lower()
    words = set(lowered.replace(".", "_").split("_"))
    for kind, marks in KINDS.items():
        if any(mark in words if len(mark) <= 2 else mark in lowered for mark in marks):
            return kind
    return "other"


def confounders(plan: Mapping[str, Any], trials: pd.DataFrame | None = None) -> pd.DataFrame:
    """What differs between the arms.

    Columns kind, field, one per arm, confounder (True for all that is not the loss).

    With `trials`, a last row of kind compute gives the median seconds per generator step measured in each
    arm.
    """
    arms, baseline = plan["arms"], plan.get("baseline") or {}
    fields = dict.fromkeys(f for arm in arms.values() for f in arm.get("changes", {}))
    rows = []
    for field in fields:
        values = {name: arm.get("changes", {}).get(field, baseline.get(field)) for name, arm in arms.items()}
        if len({repr(v) for v in values.values()}) > 1:
            rows.append({"kind": kind_of(field), "field": field, **values})
    frame = pd.DataFrame(rows, columns=["kind", "field", *arms], dtype=object)
    order = [*KINDS, "other"]
    frame = frame.sort_values("kind", key=lambda k: k.map(order.index), kind="stable", ignore_index=True)
    if trials is not None and len(cost := compute(trials)):
        seconds = cost.set_index("arm")["seconds_per_step"].reindex(list(arms))
        if seconds.notna().any():
            frame.loc[len(frame)] = {
                "kind": "compute",
                "field": "seconds per generator step",
                **seconds.to_dict(),
            }
    return frame.assign(confounder=(frame["kind"] != "loss").astype(bool))


def compute(trials: pd.DataFrame) -> pd.DataFrame:
    """Columns arm, seconds_per_step (median over trials), train_hours, evaluate_hours, record_hours."""
    seconds = ["train_seconds", "evaluate_seconds", "record_seconds"]
    numbers = trials[[*seconds, "step"]].apply(pd.to_numeric).astype(float)
    per_step = numbers["train_seconds"] / numbers["step"].where(numbers["step"] > 0)
    frame = numbers.assign(arm=trials["arm"], seconds_per_step=per_step)
    group = frame.groupby("arm", sort=False)
    hours = {f"{k}_hours": group[f"{k}_seconds"].sum() / 3600 for k in ("train", "evaluate", "record")}
    return pd.DataFrame({"seconds_per_step": group["seconds_per_step"].median(), **hours}).reset_index()


def score_curves(
    steps: pd.DataFrame, trials: pd.DataFrame, score: str = "inception_score", lost: float = -np.inf
) -> pd.DataFrame:
    """`curves` of a score, where a trial that ended early counts as worse than any: `lost`, -inf or inf."""
    check_protocol(trials, score)
    return curves(steps, trials, score, lost)


def curves(steps: pd.DataFrame, trials: pd.DataFrame, score: str, lost: float = np.nan) -> pd.DataFrame:
    """Columns arm, step, median, low, high (quartiles), alive, trials: a column of `steps` over steps per arm.

    A trial that diverged or was pruned before a step has the value `lost` there: infinite and on the bad side for a
    score, so that curves do not get better because the bad trials left, and NaN to leave it out. One that ran on and
    reported nothing is left out. Where a quantile falls among the infinite it is NaN.
    """
    seen = steps.loc[steps[score].notna(), ["trial", "step", score]]
    if seen.empty:
        return pd.DataFrame(columns=["arm", "step", "median", "low", "high", "alive", "trials"])
    wide = seen.pivot_table(index="trial", columns="step", values=score, aggfunc="last")
    ended = trials.loc[diverged(trials) | (trials["decision"] == "pruned"), "trial"]
    wide = wide.reindex(wide.index.union(ended, sort=False))
    gone = wide.index.isin(ended)[:, None] & wide.isna().to_numpy() & _after_last(wide)
    wide = wide.mask(gone, lost)
    arm = trials.set_index("trial")["arm"].reindex(wide.index)
    tables = [_quantiles(wide[(arm == name).to_numpy()]).assign(arm=name) for name in arms_of(trials)]
    found = pd.concat(tables, ignore_index=True)
    return found[["arm", "step", "median", "low", "high", "alive", "trials"]]


def _after_last(wide: pd.DataFrame) -> NDArray[np.bool_]:
    """[trial, step]: whether the step comes after the trial's last score (or it has none)."""
    later = wide.notna().to_numpy()[:, ::-1].cumsum(axis=1)[:, ::-1]
    return later == 0


def _quantiles(wide: pd.DataFrame) -> pd.DataFrame:
    ordered = np.sort(wide.to_numpy(dtype=float), axis=0)  # NaN last
    known = (~np.isnan(ordered)).sum(axis=0)
    columns: dict[str, Any] = {"step": wide.columns}
    for name, q in (("low", 0.25), ("median", 0.5), ("high", 0.75)):
        rank = np.clip(np.ceil(q * known).astype(int) - 1, 0, max(len(ordered) - 1, 0))
        value = ordered[rank, np.arange(len(known))] if len(ordered) else np.full(len(known), np.nan)
        columns[name] = np.where(np.isfinite(value), value, np.nan)
    return pd.DataFrame(columns).assign(alive=np.isfinite(ordered).sum(axis=0), trials=known)


def tally(trials: pd.DataFrame) -> dict[str, Any]:
    """The counts of the whole run and, under `arms`, of each arm with its verdicts; plain numbers, for JSON."""
    table = counts(trials).set_index("arm")
    numbers = {str(arm): {str(name): int(value) for name, value in row.items()} for arm, row in table.iterrows()}
    whole = numbers.pop("all")
    for arm, of_arm in numbers.items():
        found = trials.loc[trials["arm"] == arm, "verdict"].dropna().value_counts()
        of_arm["verdicts"] = {str(verdict): int(n) for verdict, n in found.items()}  # type: ignore[assignment]
    return {**whole, "arms": numbers}
