"""How long `gansweep report` takes for 1,000 recorded trials with 50 evaluations each.

python benchmarks/report_speed.py

The store is real and filled by SQL, because recording 1,000 trials one by one takes minutes.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from gansweep import records
from gansweep.recorder import Recorder
from gansweep.testing import MadeUpResults, made_up_results

STUDY = Path(__file__).parents[1] / "studies" / "arch_robustness.py"
GANSWEEP = Path(sys.executable).with_name("gansweep")


def fill(home: Path, results: MadeUpResults) -> None:
    """Record the made-up study: the parent by the Recorder, its trials by SQL."""
    trials = results.trials.astype(object).where(results.trials.notna(), None)
    shared = ("trial", "cell", "arm", "seed", "position")
    planned = [
        {**{name: row[name] for name in shared}, "factors": {path: row[path] for path in results.plan["factors"]}}
        for row in trials.to_dict("records")
    ]
    card = {**results.plan, "trials": planned, "launch_id": "benchmark"}
    recorder = Recorder(records.default_uri(home), home, json.loads(json.dumps(card, default=str)))
    recorder.close(finished=True)
    with sqlite3.connect(home / "mlflow.db") as store:
        columns = [row[1] for row in store.execute("PRAGMA table_info(runs)")]
        parent = dict(zip(columns, store.execute("SELECT * FROM runs").fetchone(), strict=True))
        for row in trials.to_dict("records"):
            run = {**parent, "run_uuid": row["trial"], "name": row["cell"]}
            store.execute(f"INSERT INTO runs VALUES ({','.join('?' * len(run))})", list(run.values()))
            columns = [*records.OUTCOME_COLUMNS, *(name for names in records.score_columns(card) for name in names)]
            outcome = {name: _plain(row[name]) for name in columns if row.get(name) is not None}
            tags = {
                "mlflow.parentRunId": parent["run_uuid"],
                "gansweep.trial_id": row["trial"],
                "gansweep.status": row["status"],
                "gansweep.outcome": json.dumps(outcome),
                **({} if row["status"] == "running" else {"gansweep.ended": "true"}),
            }
            store.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(*tag, row["trial"]) for tag in tags.items()],
            )
        long = results.steps.melt(["trial", "step"], var_name="key").dropna()
        rows = [(key, value, 0, trial, step, 0) for trial, step, key, value in long.itertuples(index=False)]
        names = "(key, value, timestamp, run_uuid, step, is_nan)"
        store.executemany(f"INSERT INTO metrics {names} VALUES (?, ?, ?, ?, ?, ?)", rows)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return int(value.timestamp() * 1000)
    return value.item() if hasattr(value, "item") else value


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made_up = made_up_results(draws=500, evaluations=50)
        fill(Path(folder), made_up)
        started = time.perf_counter()
        made = subprocess.run([GANSWEEP, "report", STUDY, "--home", folder], check=True, capture_output=True, text=True)
        spent = time.perf_counter() - started
        size = Path(made.stdout.strip()).stat().st_size / 1e6
    print(
        f"{len(made_up.trials)} trials, {len(made_up.steps)} steps: {spent:.1f} s, {size:.1f} MB (wanted: under 20 s)"
    )
