"""Reads a study's records as two frames; `recorder` writes them. Together the only door to MLflow.

A study is an MLflow experiment, each launch of it at one size (a *run* of the study) a parent run with the design
card as `plan.json`, and a trial a child run tagged `gansweep.trial_id`. Every value that is not finite becomes a tag,
because the store would turn it into a number.

**trials**, a row per planned trial in the plan's order: trial (id), study, cell, arm, seed, position; a column per
factor, named by its path; status, failure (why, if status is failed: crashed, oom, lost), verdict,
verdict_step, evidence, decision, decision_rule, decision_step; the scores (see below); events (what every rule said on
the way, as JSON: a list of step, until, rule, verdict, evidence; of more than twenty the first and the last ten); step
and images_seen (last), train_seconds, evaluate_seconds, record_seconds, attempts, fingerprint_data, fingerprint_latent,
fingerprint_init, device, started_at, ended_at (UTC), error (the end of the traceback of a failed trial), run_id.

The scores are the columns of the study's metrics at the last evaluation (NaN without one), such as inception_score and
inception_score_std; for each metric its course (see `trajectory`): inception_score_best and inception_score_best_step,
inception_score_drawdown, inception_score_area and, for the first metric, inception_score_step_above_T for each of the
study's thresholds T; and how it is made, inception_score_protocol: an id that the design card's `protocols` explains.

**steps**, a row per report:
trial, step, images_seen, seconds, loss_discriminator, loss_generator, penalty, gradient_norm_generator,
gradient_norm_discriminator, weight_change_generator, weight_change_discriminator, output_real, output_fake, and where
evaluated sample_diversity, lipschitz_mean, lipschitz_max and the columns of the study's metrics; then whatever else is
recorded, by name: gradient_slope_generator and _discriminator, clipped_share and wasserstein (see `diagnostics`),
discriminator_confidence (`Objective.indifferent_loss`), what the objective records (`Objective.traces`,
loss_supervised), and with `Study.traces = "layers"` gradient_norm_ROLE/LAYER. Absent values are NaN.
"""

from __future__ import annotations

import json
import os
import socket
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

OUTCOME_COLUMNS = [
    "status",
    "failure",
    "verdict",
    "verdict_step",
    "evidence",
    "decision",
    "decision_rule",
    "decision_step",
    "events",
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
    "weight_change_generator",
    "weight_change_discriminator",
    "output_real",
    "output_fake",
    "sample_diversity",
    "lipschitz_mean",
    "lipschitz_max",
]


class TrackingUnreachable(ValueError):
    """The tracking server does not answer."""


@dataclass(frozen=True)
class Results:
    """One run of a study: the design card, the two frames, and the last sample grid (PNG) of a trial."""

    plan: dict[str, Any]
    trials: pd.DataFrame
    steps: pd.DataFrame
    samples: Callable[[str], bytes | None]


def score_columns(plan: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The columns of the study's scores in `steps`, and those that `trials` has besides (the best, the area, ...)."""
    columns = [column for score in plan["scores"] for column in score["columns"]]
    return columns, [f"{score['name']}_{fact}" for score in plan["scores"] for fact in score["facts"]]


def default_uri(home: Path) -> str:
    """The SQLite store of a home."""
    return f"sqlite:///{home.resolve() / 'mlflow.db'}"


def quiet_mlflow() -> None:
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


# --- reading: plain SQL where the store is a database, the client where it is a server


def runs(uri: str, study: str) -> list[str]:
    """The recorded runs of a study, the last started first."""
    return [tags["gansweep.run"] for _, tags, _ in _source(uri).parents() if tags["gansweep.study"] == study]


def parent_runs(uri: str) -> dict[str, str]:
    """The MLflow run of each recorded run of a study, by its name, the last launched first and of two alike."""
    return _named(_source(uri).parents())


def _named(parents: Iterable[tuple[str, dict[str, str], int]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for run_id, tags, _ in parents:
        found.setdefault(tags["gansweep.run"], run_id)
    return found


def read(uri: str, run: str) -> Results:
    """One run of a study; a name that was never recorded is a `ValueError` with the nearest one."""
    from gansweep.parts import misspelt

    source = _source(uri)
    parents = _named(source.parents())
    if run not in parents:
        raise misspelt("recorded run", run, parents or ["(nothing is recorded here yet)"])
    plan = json.loads(source.artifact(parents[run], "plan.json") or b"{}")
    if "protocols" not in plan:
        raise ValueError(f"run {run!r} was recorded by an older gansweep, which this one does not read: launch it anew")
    tags = source.child_tags(parents[run])
    planned = {trial["trial"] for trial in plan["trials"]}
    tags = {run_id: one for run_id, one in tags.items() if one["gansweep.trial_id"] in planned}
    ids = {run_id: one["gansweep.trial_id"] for run_id, one in tags.items()}
    trials = _trials(plan, {one["gansweep.trial_id"]: (run_id, one) for run_id, one in tags.items()})
    run_ids = {trial: run_id for run_id, trial in ids.items()}

    def samples(trial: str) -> bytes | None:
        return source.artifact(run_ids[trial], "samples.png") if trial in run_ids else None

    return Results(plan, trials, _steps(plan, source.metrics(parents[run]), ids, trials), samples)


def _trials(plan: Mapping[str, Any], recorded: Mapping[str, tuple[str, Mapping[str, str]]]) -> pd.DataFrame:
    rows = []
    scores = [name for names in score_columns(plan) for name in names]
    protocols = [f"{score['name']}_protocol" for score in plan["scores"]]
    for planned in plan["trials"]:
        row = {key: planned[key] for key in ("trial", "cell", "arm", "seed", "position")} | {"study": plan["study"]}
        row |= (
            planned["factors"]
            | dict.fromkeys([*scores, *protocols, *OUTCOME_COLUMNS])
            | {"status": "planned", "run_id": None}
        )
        if planned["trial"] in recorded:
            row["run_id"], tags = recorded[planned["trial"]]
            row["status"] = "running"
            ended = tags.get("gansweep.status") != "running"
            row |= json.loads(tags["gansweep.outcome"]) if ended and "gansweep.outcome" in tags else {}
            row["events"] = row["events"] if row["events"] is None else json.dumps(row["events"])
        rows.append(row)
    named = ["trial", "study", "cell", "arm", "seed", "position"]
    columns = [*named, *plan["factors"], *scores, *protocols, *OUTCOME_COLUMNS, "run_id"]
    frame = pd.DataFrame(rows, columns=columns)
    for name in ("started_at", "ended_at"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
    numeric = [c for c in OUTCOME_COLUMNS if c.endswith(("_step", "_seconds"))]
    for name in (*scores, *numeric, "step", "images_seen", "attempts"):
        frame[name] = pd.to_numeric(frame[name])
    return frame


def _steps(
    plan: Mapping[str, Any], metrics: pd.DataFrame, trial_of: Mapping[str, str], trials: pd.DataFrame
) -> pd.DataFrame:
    scores, facts = score_columns(plan)
    metrics = metrics[metrics["run_id"].isin(list(trial_of)) & ~metrics["key"].isin(facts)]
    wide = metrics.pivot_table(index=["run_id", "step"], columns="key", values="value", aggfunc="last").reset_index()
    known = ["run_id", "step", *STEP_COLUMNS, *scores]
    wide = wide.reindex(columns=[*known, *sorted(set(wide.columns) - set(known))])
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
        quiet_mlflow()
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
    quiet_mlflow()
    import mlflow

    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri)).read_bytes()


def _source(uri: str) -> _Database | _Server:
    return _Server(uri) if uri.startswith(("http://", "https://")) else _Database(uri)
