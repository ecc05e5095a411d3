"""The list of trials that a report carries, so that every number on the page can be opened as the trials behind it.

The page holds a row of facts per trial, columns packed as codes (base64), and a link of a number is a question to it:
`#trials?arm=gan&above=3` are the trials of an arm whose final score exceeds 3. `page.trials_of` writes such questions,
and the page's script answers them by the same rules as `outcomes`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pandas as pd

from gansweep.outcomes import diverged, stopped
from gansweep.page import Results, in_list

STATES = ("scored", "no score", "stopped", "unknown")
SHOWN = ("trial", "cell", "arm", "seed", "status", "failure", "verdict", "decision", "decision_rule")


def packed(results: Results, run_page: str | None = None) -> str:
    """The trials as JSON that may stand inside a script element.

    `run_page` is the address of a trial's MLflow run with `{run_id}` in it, where the store is a server. `state` says
    what is known of the score: scored; no score, of a run that diverged; stopped by a rule on evidence; or unknown.
    """
    plan, trials = results.plan, results.trials
    score = plan["score"]
    names = [*SHOWN, *(factor for factor in plan["factors"] if factor in trials)]
    columns: dict[str, Any] = {name: _coded(trials[name]) for name in names if name in trials}
    columns["state"] = _coded(pd.Series(states(trials, score), index=trials.index))
    value = pd.to_numeric(trials[score]) if score in trials else pd.Series(np.nan, index=trials.index)
    columns["score"] = {"f": _base64(value.to_numpy(dtype="<f8", na_value=np.nan))}
    columns["step"] = {"f": _base64(pd.to_numeric(trials["step"]).to_numpy(dtype="<f8", na_value=np.nan))}
    if run_page:
        columns["run_id"] = _coded(trials["run_id"])
    arms = {name: str(arm.get("label", name)) for name, arm in plan["arms"].items()}
    labels = {name: str(factor.get("label", name)) for name, factor in plan["factors"].items()}
    whole = {
        "number": len(trials),
        "columns": columns,
        "factors": [name for name in plan["factors"] if name in trials],
        "labels": {**labels, "score": str(plan.get("score_label", score))},
        "arms": arms,
        "run": plan.get("run", plan["study"]),
        "run_page": run_page,
    }
    return json.dumps(whole, separators=(",", ":")).replace("</", "<\\/")


def states(trials: pd.DataFrame, score: str) -> list[str]:
    """What is known of each trial's final score, one of `STATES`."""
    done = (trials["status"] == "done").to_numpy(dtype=bool)
    value = pd.to_numeric(trials[score]).to_numpy(dtype=float, na_value=np.nan) if score in trials else np.nan
    known = np.isfinite(value) & done
    told = np.select(
        [stopped(trials), known & ~diverged(trials).to_numpy(), done & diverged(trials).to_numpy()],
        ["stopped", "scored", "no score"],
        "unknown",
    )
    return [str(one) for one in told]


def _coded(column: pd.Series) -> dict[str, Any]:
    """A column as its values as text, "" for none, and the number of each row's value."""
    told = column.astype(object).where(column.notna(), "").map(in_list)
    codes, values = pd.factorize(told)
    wide = next(kind for kind in ("<u1", "<u2", "<u4") if len(values) <= np.iinfo(kind).max)
    return {"v": [str(value) for value in values], "i": _base64(codes.astype(wide)), "w": int(wide[-1])}


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
