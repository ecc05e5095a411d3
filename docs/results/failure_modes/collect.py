"""Collects the traces of the failure_modes studies, with the names that count as right, and writes what the rules say.

    gansweep launch studies/failure_modes.py && gansweep launch studies/failure_modes_toy.py
    python docs/results/failure_modes/collect.py gansweep-home docs/results/failure_modes

The second folder gets traces.parquet, a row per report; the tables of docs/results/failure_modes.md are printed.
`RIGHT` was written before the first run of the studies; what was changed since stands beside it.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gansweep.launch.trial_dir import TrialDir
from gansweep.selection import load_study
from gansweep.stability import DERIVED, detectors
from gansweep.verdicts import confusion, judge_traces, rates

# what each plant may rightly be called, and why
RIGHT = {
    "healthy": ("", "nothing was planted; a final score that says otherwise takes the run out, see HEALTHY"),
    "rate": (
        # frozen: added after a pilot of one cell, in which every output unit of the generator was saturated
        "diverged exploding saturated collapsed oscillating not_learning frozen",
        "a rate of 1 throws the weights far away; where they land differs",
    ),
    "overflow": ("diverged", "after one update of 1e30 no loss is finite"),
    "unpenalised": (
        "exploding diverged oscillating not_learning collapsed",
        "without its penalty the critic's slope has no bound, and the generator follows whatever it says",
    ),
    "wide_clip": (
        "exploding diverged oscillating not_learning collapsed",
        "weights up to 10 bound nothing: products over layers explode",
    ),
    "idle_discriminator": (
        "frozen not_learning",
        "the discriminator's weights do not move, so the generator learns to please a fixed random function",
    ),
    "frozen_generator": ("frozen", "the generator's weights do not move"),
    "constant_latent": ("collapsed", "every sample is the same"),
    "two_points": ("mode_dropping collapsed", "there are two different samples, for eight modes or ten classes"),
    "overpowered": (
        "saturated frozen",
        "the discriminator is sure long before the generator has moved, and its loss then has no slope",
    ),
    "nan_data": ("diverged", "one real point that is not a number makes the loss one"),
}

# A run without a plant counts as healthy if its samples at the end say so: a quarter of the score of real digits (9.5),
# which is more than an untrained generator gets, or three quarters of the modes. No rule's answer has a part in it.
HEALTHY = {"failure_modes": ("inception_score", 2.4), "failure_modes_toy": ("modes_captured", 6.0)}
RULES = {"digits": detectors(), "ring": detectors("modes_captured", alike=0, untrained=1)}
LEFT_OUT = ("images_seen", "seconds", "time_ms", "evaluate_seconds", "record_seconds", "facts")
DIGITS = 4


def traces_of(study_file: Path, home: Path) -> list[dict[str, Any]]:
    """Every report of the study's laptop run, with the trial, its plant and the names that are right for it."""
    study = load_study(study_file).at("laptop")
    score, minimum = HEALTHY[study.name]
    rows = []
    for cell, planned in ((int(trial.cell[1:]), trial) for trial in study.plan()):
        directory = TrialDir(home / "studies" / f"{study.name}-laptop" / "trials" / planned.id)
        history = directory.history() if directory.outcome() else []
        plant, _, objective = planned.arm.partition("-")
        scores = [row[score] for row in history if row.get(score) is not None]
        healthy = plant == "healthy" and bool(scores) and scores[-1] >= minimum
        known = {
            "trial": planned.id,
            "cell": cell,
            "arm": planned.arm,
            "planted": plant if plant != "healthy" or healthy else "failed by itself",
            "objective": objective,
            "data": "digits" if study.name == "failure_modes" else "ring",
            "label": RIGHT[plant][0],
            "steps": planned.config.steps,
        }
        rows += [known | _numbers(row) for row in history]
    return rows


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """The report without clocks, rounded; a loss, norm or score that is not finite is told by its step."""
    kept = {name: value for name, value in row.items() if name not in LEFT_OUT}
    lost = [name for name, value in kept.items() if isinstance(value, float) and not math.isfinite(value)]
    if any(not name.startswith(DERIVED) for name in lost):
        return {"step": row["step"], "nonfinite_step": row["nonfinite_step"] or row["step"]}
    return {name: float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for name, v in kept.items()}


def main() -> None:
    """Write the traces and print the tables."""
    homes, folder = [Path(name) for name in sys.argv[1:-1]], Path(sys.argv[-1])
    found = [traces_of(Path("studies") / f"{name}.py", home) for name in HEALTHY for home in homes]
    traces = pd.DataFrame([row for rows in found for row in rows])
    numbers = [name for name in traces.columns if traces[name].dtype == "float64"]
    traces = traces.astype({**dict.fromkeys(numbers, "float32"), "nonfinite_step": "Int64"})
    folder.mkdir(parents=True, exist_ok=True)
    traces.to_parquet(folder / "traces.parquet", compression="zstd", index=False)
    judged = judge_traces(traces, RULES)
    _print(confusion(judged).reset_index())
    parts = {
        "calibrated on": judged["cell"] % 2 == 0,
        "kept apart": judged["cell"] % 2 == 1,
        "all": judged["cell"] >= 0,
    }
    numbers_of = {name: rates(judged[chosen]) for name, chosen in parts.items()}
    _print(pd.DataFrame(numbers_of).T.round(3).rename_axis("cells").reset_index())
    _print(judged.groupby(["data", "planted"])["saved"].median().round(2).unstack(0).reset_index())
    _print(judged.loc[~judged["right"], ["arm", "data", "verdict", "evidence", "found_step", "label"]])


def _print(table: pd.DataFrame) -> None:
    """As Markdown."""
    lines = [
        list(map(str, table.columns)),
        ["---"] * len(table.columns),
        *[list(map(str, row)) for row in table.itertuples(index=False)],
    ]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), end="\n\n")


if __name__ == "__main__":
    main()
