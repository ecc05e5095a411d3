"""Writes a study's trials to MLflow, from one thread; `records` reads them back and says what each column is."""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansweep.records import TrackingUnreachable, check_reachable, parent_runs, quiet_mlflow, score_columns

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

SHOWN_TAGS = ("status", "failure", "verdict", "evidence", "decision", "decision_rule")
TAG_LENGTH = 8_000  # of an MLflow tag
RETRY_SECONDS = (1.0, 4.0, 15.0)
MLFLOW_STATUS = {"done": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING"}
NO_METRICS = ("step", "time_ms", "nonfinite_step", "facts", "evaluate_seconds", "record_seconds")  # of a history row


class Recorder:
    """Writes one run of a study from one thread; calls return at once and keep their order.

    Replaying is harmless: a report that is already stored (same key, step, time and value) is ignored by MLflow.
    """

    def __init__(self, uri: str, home: Path, card: Mapping[str, Any]) -> None:
        quiet_mlflow()
        check_reachable(uri)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self.client: MlflowClient = MlflowClient(tracking_uri=uri)
        try:
            self.client.search_experiments(max_results=1)
        except MlflowException as error:
            raise TrackingUnreachable(f"{uri} is no working MLflow store: {str(error).splitlines()[0]}") from error
        local = (home.resolve() / "artifacts").as_uri() if uri.startswith("sqlite") else None
        self.experiment = self._experiment(card["study"], local)
        self.parent = self._parent(card)
        self._runs, self._synced = self._children()
        self._facts = score_columns(card)[1]
        self._queue: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue(maxsize=20_000)
        self.failure = ""
        self._thread = threading.Thread(target=self._write, name="gansweep-recorder", daemon=True)
        self._thread.start()

    def _experiment(self, study: str, artifacts: str | None) -> str:
        found = self.client.get_experiment_by_name(study)
        if found is not None:
            return str(found.experiment_id)
        location = artifacts and f"{artifacts}/{study}"
        # without a kind the MLflow UI opens a page for language models
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return str(self.client.create_experiment(study, artifact_location=location, tags=kind))

    def _parent(self, card: Mapping[str, Any]) -> str:
        launched = str(time.time_ns() // 1_000_000)
        # the same run of a study in another home, or after its folder was deleted, is another run
        where = f"tags.`gansweep.run` = '{card['run']}' and tags.`gansweep.launch_id` = '{card['launch_id']}'"
        found = self.client.search_runs([self.experiment], where, max_results=1)
        if found:
            run_id = found[0].info.run_id
            self.client.update_run(run_id, status="RUNNING")
            self.client.set_tag(run_id, "gansweep.launched", launched)
            before = self._card(run_id)
            launches = [*before.get("launches", []), card["provenance"]]
            card = {**card, "provenance": before.get("provenance", card["provenance"]), "launches": launches}
        else:
            tags = {"gansweep.run": card["run"], "gansweep.study": card["study"], "gansweep.kind": "study"}
            tags |= {"gansweep.launched": launched, "gansweep.launch_id": card["launch_id"]}
            tags |= {"gansweep.design_hash": card["design_hash"], "mlflow.note.content": card["question"]}
            run_id = self.client.create_run(self.experiment, tags=tags, run_name=card["run"]).info.run_id
        self.client.log_dict(run_id, dict(card), "plan.json")
        return str(run_id)

    def _card(self, run_id: str) -> dict[str, Any]:
        """The design card that an earlier launch of the run recorded."""
        import mlflow

        content: dict[str, Any] = mlflow.artifacts.load_dict(
            f"{self.client.get_run(run_id).info.artifact_uri}/plan.json"
        )
        return content

    def _children(self) -> tuple[dict[str, str], set[str]]:
        """Run ids by trial id, and the trials whose end is recorded."""
        runs: dict[str, str] = {}
        synced: set[str] = set()
        token = None
        while True:
            where = f"tags.`mlflow.parentRunId` = '{self.parent}'"
            page = self.client.search_runs([self.experiment], where, max_results=1000, page_token=token)
            for run in page:
                trial = run.data.tags["gansweep.trial_id"]
                runs[trial] = run.info.run_id
                if run.data.tags.get("gansweep.ended") == "true" and run.info.status != "RUNNING":
                    synced.add(trial)
            if not (token := page.token):
                return runs, synced

    def has_end(self, trial: str) -> bool:
        """Whether the trial's end was recorded by an earlier launch."""
        return trial in self._synced

    def start(self, planned: Mapping[str, Any], fields: Mapping[str, Any], started_ms: int) -> None:
        """A trial has started, or goes on."""
        self._put(self._start, planned, fields, started_ms)

    def report(self, trial: str, row: Mapping[str, Any], samples: bytes | None = None) -> None:
        """One report of a trial, and its new sample grid."""
        self._put(self._report, trial, row, samples)

    def end(self, trial: str, outcome: Mapping[str, Any], ended_ms: int) -> None:
        """The trial has ended, or was cancelled."""
        self._put(self._end, trial, outcome, ended_ms)

    def close(self, finished: bool) -> str:
        """Write what is queued and end the parent run. Returns what went wrong with the server, if anything."""
        self._put(self._finish, finished)
        self._queue.put(None)
        self._thread.join()
        return self.failure

    def _put(self, act: Callable[..., None], *args: Any) -> None:
        self._queue.put((act, args))

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.failure:
                continue  # the trial directories hold it; the next launch records what is missing
            act, args = item
            for pause in (*RETRY_SECONDS, None):
                try:
                    act(*args)
                    break
                except Exception as error:
                    log.exception("recording failed")
                    if pause is None:
                        self.failure = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                    else:
                        time.sleep(pause)

    def _start(self, planned: Mapping[str, Any], fields: Mapping[str, Any], started_ms: int) -> None:
        from mlflow.entities import Param

        trial = planned["trial"]
        params = [Param(key, str(value)) for key, value in fields.items()]
        if trial in self._runs:
            self.client.update_run(self._runs[trial], status="RUNNING")
            self.client.set_tag(self._runs[trial], "gansweep.status", "running")
            self.client.log_batch(self._runs[trial], params=params, synchronous=True)
            return
        tags = {f"gansweep.{key}": str(planned[key]) for key in ("cell", "arm", "seed", "position")}
        tags |= {"mlflow.parentRunId": self.parent, "gansweep.trial_id": trial, "gansweep.status": "running"}
        run = self.client.create_run(
            self.experiment, start_time=started_ms, tags=tags, run_name=f"{planned['cell']} {planned['arm']}"
        )
        self._runs[trial] = run.info.run_id
        self.client.log_batch(run.info.run_id, params=params, synchronous=True)

    def _report(self, trial: str, row: Mapping[str, Any], samples: bytes | None) -> None:
        from mlflow.entities import Metric, RunTag

        values = {key: float(value) for key, value in row.items() if key not in NO_METRICS and value is not None}
        metrics = [
            Metric(key, value, row["time_ms"], row["step"]) for key, value in values.items() if math.isfinite(value)
        ]
        tags = [
            RunTag(f"gansweep.nonfinite.{key}", f"{value} at step {row['step']}")
            for key, value in values.items()
            if not math.isfinite(value)
        ]
        self.client.log_batch(self._runs[trial], metrics=metrics, tags=tags, synchronous=True)
        if samples is not None:
            self._bytes(self._runs[trial], samples, "samples.png")

    def _end(self, trial: str, outcome: Mapping[str, Any], ended_ms: int) -> None:
        from mlflow.entities import Metric, RunTag

        run = self._runs[trial]
        tags = [RunTag("gansweep.outcome", _fitting(outcome))]
        tags += [RunTag(f"gansweep.{key}", str(outcome[key])) for key in SHOWN_TAGS if outcome.get(key) is not None]
        if outcome["status"] != "cancelled":
            tags.append(RunTag("gansweep.ended", "true"))
        facts = [key for key in self._facts if key in outcome and outcome["status"] != "cancelled"]
        metrics = [Metric(key, float(outcome[key]), ended_ms, outcome["step"]) for key in facts]
        self.client.log_batch(run, tags=tags, metrics=metrics, synchronous=True)
        self.client.set_terminated(run, MLFLOW_STATUS[outcome["status"]], end_time=ended_ms)

    def _finish(self, finished: bool) -> None:
        self.client.set_terminated(self.parent, "FINISHED" if finished else "KILLED")

    def _bytes(self, run: str, content: bytes, name: str) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(content)
            self.client.log_artifact(run, str(file))


def _fitting(outcome: Mapping[str, Any]) -> str:
    """The outcome as a tag, which MLflow would cut: where it is too long, the traceback loses its beginning."""
    told = json.dumps(outcome)
    if (excess := len(told) - TAG_LENGTH) > 0:
        kept = (outcome.get("error") or "")[excess:]
        told = json.dumps({**outcome, "error": kept})
        if len(told) > TAG_LENGTH:
            told = json.dumps({**outcome, "error": kept, "events": []})
    assert len(told) <= TAG_LENGTH
    return told


def attach(uri: str, run: str, path: Path) -> None:
    """Add a file, such as the report, to the recorded run of a study."""
    quiet_mlflow()
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=uri).log_artifact(parent_runs(uri)[run], str(path))
