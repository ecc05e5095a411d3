"""Portraits of trials as frames and rows of panels: what `portrait_figures` draws. Nothing is drawn here.

See `gansweep.portraits` for what is recorded; `results.portraits(trial, name)` are its arrays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gansweep import analysis
from gansweep.page import Results, arm_labels, in_list

Arrays = Mapping[str, NDArray[Any]]

LOG_LOSSES = ("NonSaturating", "Minimax")  # whose discriminator answers with sigmoid(score), a probability


@dataclass(frozen=True)
class Row:
    """The arms of one cell: what was drawn in words, the cell, and the arrays of a portrait by arm."""

    label: str
    cell: str
    panels: Mapping[str, Arrays]


def rows(results: Results, portrait: str, every: bool = False) -> list[Row]:
    """A row for each combination of factors, in the order of the plan: the first cell that was portrayed.

    With `every` each cell is a row. Arms that have no portrait there are left out.
    """
    found: dict[str, Row] = {}
    for cell, trials in results.trials.groupby("cell", sort=False):
        label = told(results, trials.iloc[0])
        key = str(cell) if every else label
        if key in found:
            continue
        taken = {
            arm: results.portraits(trial, portrait) for arm, trial in zip(trials["arm"], trials["trial"], strict=True)
        }
        if panels := {arm: arrays for arm, arrays in taken.items() if arrays}:
            found[key] = Row(label, str(cell), panels)
    return list(found.values())


def told(results: Results, trial: Mapping[str, Any]) -> str:
    """What a cell draws, in words; empty where its seed is all."""
    said = []
    for name, factor in results.plan["factors"].items():
        value = trial[name]
        if value is None or value != value:
            continue
        said.append(value if isinstance(value, str) else f"{factor.get('label', name)} {in_list(value)}")
    return ", ".join(said)


def last(results: Results, columns: Sequence[str]) -> pd.DataFrame:
    """Columns label, cell, arm, trial and each of `columns` that any trial reported, at its last evaluation."""
    seen = [column for column in columns if column in results.steps]
    wide = results.steps.groupby("trial", sort=False)[seen].last() if seen else pd.DataFrame()
    frame = results.trials[["trial", "cell", "arm"]].copy()
    frame["label"] = [told(results, row) for row in results.trials.to_dict("records")]
    return frame.merge(wide, left_on="trial", right_index=True, how="inner")[["label", "cell", "arm", "trial", *seen]]


def summary(results: Results, columns: Sequence[str], cells: Collection[str] | None = None) -> pd.DataFrame:
    """Columns label, arm, column, median, low, high, trials: the last values over cells, low and high the extremes.

    With `cells` only of these.
    """
    found = last(results, columns)
    found = found if cells is None else found[found["cell"].isin(list(cells))]
    long = found.melt(["label", "cell", "arm", "trial"], var_name="column").dropna(subset="value")
    grouped = long.groupby(["label", "arm", "column"], sort=False)["value"]
    table = grouped.agg(median="median", low="min", high="max", trials="size").reset_index()
    return table.astype({"trials": int})


def layer_norms(results: Results) -> pd.DataFrame:
    """Columns arm, layer, norm, low, high, trials: of `ActivationGradients`, the median and extremes over trials."""
    found = []
    for arm, trial in zip(results.trials["arm"], results.trials["trial"], strict=True):
        if arrays := results.portraits(trial, "activation_gradients"):
            found.append(pd.DataFrame({"arm": arm, "layer": arrays["layer"][-1], "norm": arrays["norm"][-1]}))
    if not found:
        return pd.DataFrame(columns=["arm", "layer", "norm", "low", "high", "trials"])
    order = {arm: place for place, arm in enumerate(results.plan["arms"])}
    grouped = pd.concat(found).groupby(["arm", "layer"])["norm"]
    table = grouped.agg(norm="median", low="min", high="max", trials="size").reset_index()
    return table.sort_values(["arm", "layer"], key=lambda c: c.map(order) if c.name == "arm" else c, ignore_index=True)


def over_seconds(results: Results) -> pd.DataFrame:
    """`analysis.score_curves` with the column `seconds`: the median training time at which the arm's runs were there.

    What ended early ranks below (or, where less is better, above) all scores, as in those curves.
    """
    score = results.plan["score"]
    lost = float("-inf" if results.plan["scores"][0]["higher_is_better"] else "inf")
    curves = analysis.score_curves(results.steps, results.trials, score, lost)
    clock = results.steps.merge(results.trials[["trial", "arm"]], on="trial")
    seconds = clock.groupby(["arm", "step"], sort=False)["seconds"].median().reset_index()
    return curves.merge(seconds, on=["arm", "step"], how="left")


def first_above(curves: pd.DataFrame, thresholds: Sequence[float]) -> pd.DataFrame:
    """Columns arm, threshold, step, seconds: where the median of `over_seconds` first exceeds each; else NaN."""
    found = []
    for (arm, curve), threshold in ((pair, t) for pair in curves.groupby("arm", sort=False) for t in thresholds):
        above = curve[curve["median"] > threshold]
        step, seconds = above.iloc[0][["step", "seconds"]] if len(above) else (np.nan, np.nan)
        found.append({"arm": arm, "threshold": threshold, "step": step, "seconds": seconds})
    return pd.DataFrame(found, columns=["arm", "threshold", "step", "seconds"])


DISTANCES = {  # of parallel lines: the estimate's column, by the distance
    "Wasserstein-1": ("wasserstein", "earth_mover"),
    "Jensen-Shannon, nats": ("estimated_js",),
    "total variation": ("estimated_tv",),
    "Kullback-Leibler, nats": ("estimated_kl",),
}


def parallel_lines(results: Results, factor: str) -> pd.DataFrame:
    """Columns distance, column, arm, theta, median, low, high: what was estimated at each theta, over cells."""
    columns = {column: distance for distance, names in DISTANCES.items() for column in names}
    found = last(results, list(columns)).merge(results.trials[["trial", factor]], on="trial").dropna(subset=factor)
    long = found.melt(["label", "cell", "arm", "trial", factor], var_name="column").dropna(subset="value")
    grouped = long.groupby(["column", "arm", factor], sort=False)["value"]
    table = grouped.agg(median="median", low="min", high="max").reset_index().rename(columns={factor: "theta"})
    table["distance"] = table["column"].map(columns)
    return table.sort_values(["arm", "theta"], ignore_index=True)


def closed_form(distance: str, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a distance of two parallel lines is (Arjovsky et al. 2017, example 1), float64 like theta."""
    apart = {"Wasserstein-1": np.abs(theta), "total variation": np.ones_like(theta)}
    apart |= {
        "Jensen-Shannon, nats": np.full_like(theta, np.log(2)),
        "Kullback-Leibler, nats": np.full_like(theta, np.inf),
    }
    return np.where(theta == 0, 0.0, apart[distance])


def answers_with_probability(results: Results) -> dict[str, bool]:
    """Whether the discriminator of each arm answers with sigmoid(score)."""
    plan = results.plan
    losses = {arm: known["changes"].get("loss", plan["baseline"].get("loss")) for arm, known in plan["arms"].items()}
    return {arm: losses[arm] in LOG_LOSSES for arm in arm_labels(plan)}


def answer(arrays: Arrays, probability: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """What a discriminator answers over a line, and the slope of that, float64 [W]: its score or sigmoid(score)."""
    value, slope = (arrays[name][-1].astype(float) for name in ("value", "slope"))
    if not probability:
        return value, slope
    sure = 1 / (1 + np.exp(-np.clip(value, -500, 500)))
    return sure, sure * (1 - sure) * slope
