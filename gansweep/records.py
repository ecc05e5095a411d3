"""The only door to MLflow: writes a study's trials, reads them back as two frames.

A study is an MLflow experiment, each launch of it at one size (a *run* of the study) a parent run with the design
card as `plan.json`, and a trial a child run tagged `gansweep.trial_id`. Every value that is not finite becomes a tag,
because the store would turn it into a number.

**trials**, a row per planned trial in the plan's order: trial (id), study, cell, arm, seed, position; a column per
factor, named by its path; status, failure (why, if status is failed: crashed, oom, lost), verdict,
verdict_step, evidence, decision, decision_rule, decision_step; inception_score (at the last step; NaN without one),
inception_score_std, inception_score_best, inception_score_best_step, protocol; step and images_seen (last),
train_seconds, evaluate_seconds, record_seconds, attempts, fingerprint_data, fingerprint_latent, fingerprint_init,
device, started_at, ended_at (UTC), error (the end of the traceback of a failed trial), run_id.

**steps**, a row per report:
trial, step, images_seen, seconds, loss_discriminator, loss_generator, penalty, gradient_norm_generator,
gradient_norm_discriminator, output_real, output_fake, inception_score, inception_score_std (NaN where not evaluated).
"""

from __future__ import annotations

import json
import logging
import math
import os
import queue
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

OUTCOME_COLUMNS = [
    "status",
    "failure",
    "verdict",
    "verdict_step",
    "evidence",
    "decision",
    "decision_rule",
    "decision_step",
    "inception_score",
    "inception_score_std",
    "inception_score_best",
    "inception_score_best_step",
    "protocol",
    "step",
    "images_seen",
    "train_seconds",
    "evaluate_seconds",
    "record_seconds",
    "attempts",
    "fingerprint_data",
    "fingerprint_latent",
    "fingerprint_init",
    "device",
    "started_at",
    "ended_at",
    "error",
]
STEP_COLUMNS = [
    "images_seen",
    "seconds",
    "loss_discriminator",
    "loss_generator",
    "penalty",
    "gradient_norm_generator",
    "gradient_norm_discriminator",
    "output_real",
    "output_fake",
    "inception_score",
    "inception_score_std",
]
SHOWN_TAGS = ("status", "failure", "verdict", "evidence", "decision", "decision_rule")
RETRY_SECONDS = (1.0, 4.0, 15.0)
MLFLOW_STATUS = {"done": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING"}


class TrackingUnreachable(ValueError):
    """The tracking server does not answer."""


@dataclass(frozen=True)
class Results:
    """One run of a study: the design card, the two frames, and the last sample grid (PNG) of a trial."""

    plan: dict[str, Any]
    trials: pd.DataFrame
    steps: pd.DataFrame
    samples: Callable[[str], bytes | None]


def default_uri(home: Path) -> str:
    """The SQLite store of a home."""
    return f"sqlite:///{home.resolve() / 'mlflow.db'}"


def _quiet_mlflow() -> None:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")


def check_reachable(uri: str) -> None:
    """Raise `TrackingUnreachable` in a few seconds if nothing listens where a server's URI points."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme in ("http", "https"):
        try:
            socket.create_connection(
                (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), 5
            ).close()
        except OSError as error:
            raise TrackingUnreachable(f"tracking server {uri} does not answer: {error}") from error
    elif parts.scheme != "sqlite":
        raise ValueError(f"tracking URI {uri!r} must start with sqlite:///, http:// or https://")


class Recorder:
    """Writes one run of a study from one thread; calls return at once and keep their order.

    Replaying is harmless: a report that is already stored (same key, step, time and value) is ignored by MLflow.
    """

    def __init__(self, uri: str, home: Path, card: Mapping[str, Any]) -> None:
        _quiet_mlflow()
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

        values = {key: float(row[key]) for key in STEP_COLUMNS if row.get(key) is not None}
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
        tags = [RunTag("gansweep.outcome", json.dumps(outcome))]
        tags += [RunTag(f"gansweep.{key}", str(outcome[key])) for key in SHOWN_TAGS if outcome.get(key) is not None]
        if outcome["status"] != "cancelled":
            tags.append(RunTag("gansweep.ended", "true"))
        best = outcome.get("inception_score_best")
        step = outcome.get("inception_score_best_step") or 0
        final = best is not None and outcome["status"] != "cancelled"
        metrics = [Metric("inception_score_best", best, ended_ms, step)] if final else []
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


def attach(uri: str, run: str, path: Path) -> None:
    """Add a file, such as the report, to the recorded run of a study."""
    _quiet_mlflow()
    from mlflow import MlflowClient

    parents = {tags["gansweep.run"]: run_id for run_id, tags, _ in _source(uri).parents()}
    MlflowClient(tracking_uri=uri).log_artifact(parents[run], str(path))


# --- reading: plain SQL where the store is a database, the client where it is a server


def runs(uri: str, study: str) -> list[str]:
    """The recorded runs of a study, the last started first."""
    return [tags["gansweep.run"] for _, tags, _ in _source(uri).parents() if tags["gansweep.study"] == study]


def read(uri: str, run: str) -> Results:
    """One run of a study; a name that was never recorded is a `ValueError` with the nearest one."""
    from gansweep.parts import misspelt

    source = _source(uri)
    parents = {tags["gansweep.run"]: run_id for run_id, tags, _ in reversed(source.parents())}
    if run not in parents:
        raise misspelt("recorded run", run, parents or ["(nothing is recorded here yet)"])
    plan = json.loads(source.artifact(parents[run], "plan.json") or b"{}")
    tags = source.child_tags(parents[run])
    planned = {trial["trial"] for trial in plan["trials"]}
    tags = {run_id: one for run_id, one in tags.items() if one["gansweep.trial_id"] in planned}
    ids = {run_id: one["gansweep.trial_id"] for run_id, one in tags.items()}
    trials = _trials(plan, {one["gansweep.trial_id"]: (run_id, one) for run_id, one in tags.items()})
    run_ids = {trial: run_id for run_id, trial in ids.items()}

    def samples(trial: str) -> bytes | None:
        return source.artifact(run_ids[trial], "samples.png") if trial in run_ids else None

    return Results(plan, trials, _steps(source.metrics(parents[run]), ids, trials), samples)


def _trials(plan: Mapping[str, Any], recorded: Mapping[str, tuple[str, Mapping[str, str]]]) -> pd.DataFrame:
    rows = []
    for planned in plan["trials"]:
        row = {key: planned[key] for key in ("trial", "cell", "arm", "seed", "position")} | {"study": plan["study"]}
        row |= planned["factors"] | dict.fromkeys(OUTCOME_COLUMNS) | {"status": "planned", "run_id": None}
        if planned["trial"] in recorded:
            row["run_id"], tags = recorded[planned["trial"]]
            row["status"] = "running"
            ended = tags.get("gansweep.status") != "running"
            row |= json.loads(tags["gansweep.outcome"]) if ended and "gansweep.outcome" in tags else {}
        rows.append(row)
    columns = [
        "trial",
        "study",
        "cell",
        "arm",
        "seed",
        "position",
        *plan["factors"],
        *OUTCOME_COLUMNS,
        "run_id",
    ]
    frame = pd.DataFrame(rows, columns=columns)
    for name in ("started_at", "ended_at"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
    numeric = [c for c in OUTCOME_COLUMNS if c.endswith(("_step", "_score", "_std", "_best", "_seconds"))]
    for name in (*numeric, "step", "images_seen", "attempts"):
        frame[name] = pd.to_numeric(frame[name])
    return frame


def _steps(metrics: pd.DataFrame, trial_of: Mapping[str, str], trials: pd.DataFrame) -> pd.DataFrame:
    metrics = metrics[metrics["key"].isin(STEP_COLUMNS) & metrics["run_id"].isin(list(trial_of))]
    wide = metrics.pivot_table(index=["run_id", "step"], columns="key", values="value", aggfunc="last").reset_index()
    wide = wide.reindex(columns=["run_id", "step", *STEP_COLUMNS])
    wide.insert(0, "trial", wide.pop("run_id").map(trial_of))
    order = dict(zip(trials["trial"], trials["position"], strict=True))
    wide = wide.sort_values(["trial", "step"], key=lambda c: c.map(order) if c.name == "trial" else c)
    return wide.astype({"step": int}).reset_index(drop=True).rename_axis(columns=None)


def _last_launched_first(parents: list[tuple[str, dict[str, str], int]]) -> list[tuple[str, dict[str, str], int]]:
    return sorted(parents, key=lambda parent: -int(parent[1]["gansweep.launched"]))


class _Database:
    """An MLflow store read by SQL: thousands of runs in a second, and no import of mlflow."""

    def __init__(self, uri: str) -> None:
        import sqlalchemy

        if uri.startswith("sqlite:///"):
            path = Path(uri.removeprefix("sqlite:///"))
            if not path.exists():
                raise ValueError(f"nothing is recorded yet: {path} does not exist")
            uri = f"sqlite:///file:{path}?mode=ro&uri=true"
        self.uri = uri
        self.engine = sqlalchemy.create_engine(uri)

    def _query(self, sql: str, **values: Any) -> pd.DataFrame:
        import sqlalchemy

        with self.engine.connect() as connection:
            return pd.read_sql(sqlalchemy.text(sql), connection, params=values)

    def parents(self) -> list[tuple[str, dict[str, str], int]]:
        rows = self._query(
            "SELECT r.run_uuid, r.start_time, t.key, t.value FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid"
            " JOIN tags k ON k.run_uuid = r.run_uuid AND k.key = 'gansweep.kind' AND k.value = 'study'"
            " WHERE r.lifecycle_stage = 'active'"
        )
        found = [
            (str(run), dict(zip(group["key"], group["value"], strict=True)), int(group["start_time"].iloc[0]))
            for run, group in rows.groupby("run_uuid", sort=False)
        ]
        return _last_launched_first(found)

    _CHILDREN = " JOIN tags p ON p.run_uuid = {}.run_uuid AND p.key = 'mlflow.parentRunId' AND p.value = :parent"

    def child_tags(self, parent: str) -> dict[str, dict[str, str]]:
        sql = "SELECT t.run_uuid, t.key, t.value FROM tags t" + self._CHILDREN.format("t")
        rows = self._query(sql, parent=parent)
        found: dict[str, dict[str, str]] = {}
        for run, key, value in rows.itertuples(index=False):
            found.setdefault(run, {})[key] = value
        return found

    def metrics(self, parent: str) -> pd.DataFrame:
        sql = "SELECT m.run_uuid AS run_id, m.key, m.step, m.value FROM metrics m" + self._CHILDREN.format("m")
        return self._query(sql + " WHERE m.is_nan = FALSE", parent=parent)

    def artifact(self, run: str, name: str) -> bytes | None:
        where = self._query("SELECT artifact_uri FROM runs WHERE run_uuid = :run", run=run)["artifact_uri"].iloc[0]
        if where.startswith("file:"):
            path = Path(urllib.parse.unquote(urllib.parse.urlsplit(where).path)) / name
            return path.read_bytes() if path.exists() else None
        return _download(f"{where}/{name}")


class _Server:
    """An MLflow server read through its client."""

    def __init__(self, uri: str) -> None:
        _quiet_mlflow()
        check_reachable(uri)
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)

    def _search(self, where: str) -> Iterable[Any]:
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        token = None
        while True:
            page = self.client.search_runs(experiments, where, max_results=1000, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def parents(self) -> list[tuple[str, dict[str, str], int]]:
        found = self._search("tags.`gansweep.kind` = 'study'")
        rows = [(run.info.run_id, dict(run.data.tags), int(run.info.start_time)) for run in found]
        return _last_launched_first(rows)

    def child_tags(self, parent: str) -> dict[str, dict[str, str]]:
        found = self._search(f"tags.`mlflow.parentRunId` = '{parent}'")
        return {run.info.run_id: dict(run.data.tags) for run in found}

    def metrics(self, parent: str) -> pd.DataFrame:
        rows = [
            (run.info.run_id, key, metric.step, metric.value)
            for run in self._search(f"tags.`mlflow.parentRunId` = '{parent}'")
            for key in run.data.metrics
            for metric in self.client.get_metric_history(run.info.run_id, key)
        ]
        return pd.DataFrame(rows, columns=["run_id", "key", "step", "value"])

    def artifact(self, run: str, name: str) -> bytes | None:
        import tempfile

        if name not in [file.path for file in self.client.list_artifacts(run)]:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(run, name, folder)).read_bytes()


def _download(uri: str) -> bytes:
    _quiet_mlflow()
    import mlflow

    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri)).read_bytes()


def _source(uri: str) -> _Database | _Server:
    return _Server(uri) if uri.startswith(("http://", "https://")) else _Database(uri)
