"""What recording a one-second trial costs: the recorder against one MLflow call per report, in one run.

python benchmarks/recorder_speed.py [TRIALS [URI]]

A trial has 60 parameters, 6 reports of 25 numbers and an end with 10. For the recorder two of them are always under way
and take a second each, as in a sweep with two workers; the calls of the other are made without a pause. Measured is CPU
time of this process, which for a server (URI) is the client's share only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from gansweep.launch.trial_dir import TrialDir
from gansweep.recorder import Recorder
from gansweep.records import default_uri
from gansweep.tracking import connect

REPORTS, COLUMNS, PARAMETERS, FACTS = 6, 25, 60, 10
FIELDS = {f"generator.field_{number}": f"value {number}" for number in range(PARAMETERS)}
OUTCOME: dict[str, Any] = {
    "status": "done",
    "verdict": "trained",
    "evidence": "ran to the end, and no rule found a failure",
    "decision": "completed",
    "step": REPORTS,
    "events": [],
    **{f"score_fact_{number}": number / 7 for number in range(FACTS)},
}


def card(num_trials: int) -> dict[str, Any]:
    fields = {"cell": "c000", "arm": "gan", "seed": 1}
    trials = [{"trial": f"t{n}", "position": n, "factors": {}, **fields} for n in range(num_trials)]
    scores = [{"name": "score", "columns": ["score"], "facts": [f"fact_{number}" for number in range(FACTS)]}]
    named = {"study": "speed", "run": "speed-full", "launch_id": "one", "question": "How fast?", "design_hash": "x"}
    return {**named, "provenance": {}, "factors": {}, "protocols": {}, "scores": scores, "trials": trials}


def row(step: int) -> dict[str, Any]:
    now = time.time_ns() // 1_000_000
    return {"step": step, "time_ms": now, **{f"column_{number}": step / (number + 3) for number in range(COLUMNS)}}


def call_by_call(uri: str, num_trials: int) -> float:
    """CPU seconds per trial of one call per report."""
    client = connect(uri)
    experiment = client.create_experiment("call_by_call")
    one_trial(client, experiment)  # what is imported and prepared once
    start = time.process_time()
    for _ in range(num_trials):
        one_trial(client, experiment)
    return (time.process_time() - start) / num_trials


def one_trial(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment, tags={"trial": "t"}).info.run_id
    client.log_batch(run, params=[Param(key, value) for key, value in FIELDS.items()])
    for step in range(REPORTS):
        report = row(step)
        client.log_batch(run, [Metric(key, float(v), report["time_ms"], step) for key, v in report.items()])
    facts = [Metric(f"fact_{number}", number / 7, 1, REPORTS) for number in range(FACTS)]
    client.log_batch(run, facts, tags=[RunTag(key, str(value)) for key, value in OUTCOME.items()])
    client.set_terminated(run)


def recorded(uri: str, home: Path, num_trials: int) -> float:
    """CPU seconds per trial of the recorder, for two trials of a second at a time."""
    planned = card(num_trials + 2)
    recorder = Recorder(uri, home, planned)
    one, two = planned["trials"][:2]
    two_trials(recorder, home, one, two)
    while recorder._trials:
        time.sleep(0.05)
    start = time.process_time()
    for number in range(2, num_trials + 2, 2):
        two_trials(recorder, home, *planned["trials"][number : number + 2])
    assert recorder.close(finished=True) == ""
    return (time.process_time() - start) / num_trials


def two_trials(recorder: Recorder, home: Path, *both: dict[str, Any]) -> None:
    directories = [TrialDir(home / "trials" / one["trial"]) for one in both]
    for one, directory in zip(both, directories, strict=True):
        directory.begin()
        recorder.start(one, FIELDS.copy, directory.path, time.time_ns() // 1_000_000)
    for step in range(REPORTS):
        time.sleep(1 / REPORTS)
        for one, directory in zip(both, directories, strict=True):
            directory.append(row(step))
            recorder.news(one["trial"])
    for one, directory in zip(both, directories, strict=True):
        directory.end({**OUTCOME, "ended_at": time.time_ns() // 1_000_000})
        recorder.end(one["trial"])


def main(num_trials: int, uri: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = call_by_call(uri or default_uri(Path(folder) / "plain"), num_trials)
        ours = recorded(uri or default_uri(Path(folder) / "ours"), Path(folder), num_trials)
    print(f"{num_trials} trials of {REPORTS} reports of {COLUMNS} numbers, CPU per trial")
    print(f"one call per report {1000 * plain:.0f} ms, the recorder {1000 * ours:.0f} ms (wanted: below 30 ms)")
    print(f"ratio {ours / plain:.2f}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 40, given[1] if len(given) > 1 else None)
