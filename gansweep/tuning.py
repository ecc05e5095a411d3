"""What came of a tuning study: candidates and their values, the front of several goals, and what each factor explains.

Frames in, frames out, as in `analysis`; what a candidate is worth is said by `goals`, as it was to Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gansweep import goals
from gansweep.outcomes import Floats, holm

RESAMPLES = 999


def candidates(trials: pd.DataFrame, plan: Mapping[str, Any]) -> pd.DataFrame:
    """A row per candidate that was asked for: cell, number, state, a column per goal, failed and the factors.

    `state` is evaluated (every goal has a value), ended early (by a pruner), failed (a rule ended it, and it has no
    value), lost (to the machine), or under way; `failed` is the share of its trials with the verdict of a failure.
    """
    search = plan["search"]
    names = [goal["name"] for goal in search["goals"]]
    rows = []
    asked = trials[~trials["trial"].str.startswith("undrawn-")]
    for number, (cell, frame) in enumerate(asked.groupby("cell", sort=False)):
        outcomes = frame.astype(object).where(frame.notna(), None).to_dict("records")
        values = goals.candidate_values(outcomes, names, search["failed_scores"])
        rows.append(
            {
                "cell": cell,
                "number": number,
                "state": _state(outcomes, values),
                **values,
                "failed": sum(map(goals.has_failed, outcomes)) / len(outcomes),
                **{factor: outcomes[0].get(factor) for factor in plan["factors"]},
            }
        )
    frame = pd.DataFrame(rows, columns=["cell", "number", "state", *names, "failed", *plan["factors"]])
    return frame.astype(dict.fromkeys([*names, "failed"], float))


def _state(outcomes: Sequence[Mapping[str, Any]], values: Mapping[str, float | None]) -> str:
    if any(one["status"] == "failed" for one in outcomes):
        return "lost"
    if any(one["status"] != "done" for one in outcomes):
        return "under way"
    if any(map(goals.is_cut, outcomes)):
        return "ended early"
    return "failed" if None in values.values() else "evaluated"


def best_so_far(found: pd.DataFrame, goal: Mapping[str, Any]) -> pd.Series:
    """The best value of any candidate up to each one, in the order in which they were asked for."""
    values = found[goal["name"]].where(found["state"] == "evaluated")
    return (values.cummax() if goal["higher_is_better"] else values.cummin()).ffill()


def front(found: pd.DataFrame, aims: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The evaluated candidates that no other beats in one goal without being worse in another, by the first goal."""
    known = found[found["state"] == "evaluated"]
    signs = np.array([1 if goal["higher_is_better"] else -1 for goal in aims])
    values = known[[goal["name"] for goal in aims]].to_numpy(dtype=float) * signs
    beaten = [bool(((values >= one).all(axis=1) & (values > one).any(axis=1)).any()) for one in values]
    return known[~np.array(beaten, dtype=bool)].sort_values(aims[0]["name"], ignore_index=True)


def explained(found: pd.DataFrame, plan: Mapping[str, Any], goal: str, seed: int = 0) -> pd.DataFrame:
    """A row per factor: label, known, share, chance, p_value, p_holm; the most telling first.

    `share` is the part of the variance of the values' ranks that lies between the levels of the factor (its options, or
    thirds of a range) among the evaluated candidates that draw it: 0 if it tells nothing, 1 if it tells all. `chance`
    is what it is on average for a factor that tells nothing, the p-value that of a seeded permutation. A search prefers
    some levels to others, so these are no effects of an experiment; factors that were changed together share what they
    explain.
    """
    known = found[found["state"] == "evaluated"]
    rng = np.random.default_rng(seed)
    rows = []
    for name, factor in plan["factors"].items():
        level = _level(known[name], factor["values"])
        chosen = level.notna().to_numpy()
        rank = known.loc[chosen, goal].rank().to_numpy(dtype=float)
        group = level[chosen].astype("category").cat.codes.to_numpy()
        share, p_value = _share(rank, group), float("nan")
        if np.isfinite(share):
            shuffled = [_share(rng.permutation(rank), group) for _ in range(RESAMPLES)]
            p_value = (1 + sum(one >= share - 1e-12 for one in shuffled)) / (1 + RESAMPLES)
        chance = (len(np.unique(group)) - 1) / (len(group) - 1) if np.isfinite(share) else float("nan")
        rows.append((name, factor.get("label", name), len(group), share, chance, p_value))
    table = pd.DataFrame(rows, columns=["factor", "label", "known", "share", "chance", "p_value"])
    table["p_holm"] = holm(table["p_value"].tolist())
    return table.sort_values("share", ascending=False, ignore_index=True, na_position="last")


def _level(column: pd.Series, values: Sequence[Any] | None) -> pd.Series:
    if values is not None:
        names = {value: str(value) for value in values}
        return column.map(lambda value: names.get(value) if isinstance(value, str) or pd.notna(value) else None)
    numbers = pd.to_numeric(column)
    return pd.qcut(numbers, 3, labels=False, duplicates="drop") if numbers.nunique() > 2 else numbers


def _share(rank: Floats, group: Any) -> float:
    """The variance between groups over all of it; NaN with fewer than two groups, or where every value is the same."""
    total = float(((rank - rank.mean()) ** 2).sum()) if len(rank) else 0.0
    if len(np.unique(group)) < 2 or total == 0:
        return float("nan")
    sizes = np.bincount(group)
    means = np.bincount(group, weights=rank) / np.maximum(sizes, 1)
    return float((sizes * (means - rank.mean()) ** 2).sum() / total)
