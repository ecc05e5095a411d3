"""Made-up runs of any study: the arms, the factors and every number are what the caller says. Nothing was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gansweep.records import OUTCOME_COLUMNS, Arrays, no_portraits
from gansweep.testing.made_up import MadeUpResults

PROTOCOL = "made-up"


def made_up_run(
    study: str,
    arms: Mapping[str, Mapping[str, Any]],
    numbers: Mapping[str, Mapping[str, Sequence[Any]]],
    *,
    cells: Sequence[Mapping[str, Any]] | None = None,
    seeds: int | None = None,
    grid: bool = False,
    score: str = "score",
    higher_is_better: bool = True,
    thresholds: Sequence[float] = (),
    preset: str = "laptop",
    baseline: Mapping[str, Any] | None = None,
    steps: pd.DataFrame | None = None,
    portraits: Callable[[str, str], Arrays] = no_portraits,
) -> MadeUpResults:
    """A run of a study in which everything has ended.

    `arms` are the fields that each arm sets; `numbers` hold a column's values per arm, one for each block in the order
    of cells and, within a cell, seeds. A value that is not finite is that of a diverged run; where the column `verdict`
    is not given, all others trained. Columns of `steps` that are not of `trials` may be given as a frame with `trial`,
    whose names are CELL-SEED-ARM. With one cell and several seeds each seed is a cell, as in a real plan.
    """
    drawn = [dict(cell) for cell in cells] if cells else [{}]
    per_arm = len(next(iter(next(iter(numbers.values())).values())))
    repeats = seeds or per_arm // len(drawn)
    blocks = [(i if len(drawn) > 1 else k, k, cell) for i, cell in enumerate(drawn) for k in range(repeats)]
    rows: list[dict[str, Any]] = []
    for position, (cell, seed, factors) in enumerate(blocks):
        for arm in arms:
            row: dict[str, Any] = {"trial": f"c{cell:03d}-{seed}-{arm}", "study": study, "cell": f"c{cell:03d}"}
            row |= {"arm": arm, "seed": seed, "position": len(rows), **factors}
            row |= {name: of_arm[arm][position] for name, of_arm in numbers.items() if arm in of_arm}
            rows.append(row)
    trials = pd.DataFrame(rows)
    absent = [name for name in OUTCOME_COLUMNS if name not in trials]
    trials = trials.assign(**dict.fromkeys(absent, np.nan)).astype(dict.fromkeys(absent, object))
    trials = trials.assign(status="done", decision="completed", step=100.0, attempts=1.0, run_id=trials["trial"])
    trials["micro_batch"] = np.nan
    if "verdict" not in numbers:
        finite = np.isfinite(pd.to_numeric(trials[score]).to_numpy(dtype=float)) if score in trials else True
        trials["verdict"] = np.where(finite, "trained", "diverged")
    if score in trials:
        trials[score] = pd.to_numeric(trials[score]).where(np.isfinite(pd.to_numeric(trials[score])))
        trials[f"{score}_protocol"] = PROTOCOL
    levels = {name: {"label": name, "values": list(dict.fromkeys(c[name] for c in drawn))} for name in drawn[0]}
    plan = {
        "study": study,
        "run": f"{study}-{preset}",
        "preset": preset,
        "question": "What was made up?",
        "source": "nobody",
        "caveats": ["These results are made up: nothing was trained."],
        "seed": 0,
        "draws": len(drawn),
        "repeats": repeats,
        "score": score,
        "score_label": score,
        "scores": [
            {"name": score, "label": score, "columns": [score], "higher_is_better": higher_is_better, "facts": []}
        ],
        "protocols": {},
        "thresholds": list(thresholds),
        "factors": levels,
        "search": {"by": "Grid()" if grid else "RandomSearch()", "sequential": False},
        "arms": {name: {"label": name, "changes": dict(changes)} for name, changes in arms.items()},
        "baseline": dict(baseline or {}),
        "data": [],
        "provenance": {},
    }
    told = pd.DataFrame({"trial": [], "step": []}) if steps is None else steps
    return MadeUpResults(plan, trials, told, lambda trial: None, portraits)
