"""Reads a study's records as two frames; `recorder` writes them. Together the only door to MLflow.

A study is an MLflow experiment, each launch of it at one size (a *run* of the study) a parent run with the design
card as `plan.json`, and a trial a child run tagged `gansweep.trial_id`. Every value that is not finite becomes a tag,
because the store would turn it into a number.

**trials**, a row per planned trial in the plan's order: trial (id; one whose candidate a tuning study has not asked for
yet begins with `undrawn-`), study, cell, arm, seed, position; a column per factor, named by its path, NaN where the
cell does not draw it; status, failure (why, if status is failed: crashed, oom, hung, lost), verdict, verdict_step,
evidence, decision, decision_rule, decision_step; the scores (see below); events (what every rule said on the way, as
JSON: a list of step, until, rule, verdict, evidence; of more than twenty the first and the last ten); step and
images_seen (last), train_seconds, evaluate_seconds, record_seconds, attempts, losses (how many workers the trial lost,
by kind, as JSON: lost, hung, oom, preempted), fingerprint_data, fingerprint_latent, fingerprint_init, device,
micro_batch (the most examples computed at once, where memory was too short for the whole batch; else NaN), started_at,
ended_at (UTC), error (the end of the traceback of a failed trial), run_id.

The scores are the columns of the study's metrics at the last evaluation (NaN without one), such as inception_score and
inception_score_std; for each metric its course (see `trajectory`): inception_score_best and inception_score_best_step,
inception_score_drawdown, inception_score_area and, for the first metric, inception_score_step_above_T for each of the
study's thresholds T; and how it is made, inception_score_protocol: an id that the design card's `protocols` explains.

**steps**, a row per report:
trial, step, images_seen, seconds, loss_discriminator, loss_generator, penalty, gradient_norm_generator,
gradient_norm_discriminator, weight_change_generator, weight_change_discriminator, output_real, output_fake, and where
evaluated sample_diversity, lipschitz_mean, lipschitz_max and the columns of the study's metrics; then whatever else is
recorded, by name: gradient_slope_generator and _discriminator, clipped_share and wasserstein (see `diagnostics`),
discriminator_confidence (`Objective.indifferent_loss`), the numbers of the study's `portraits`, what the objective
records (`Objective.traces`, loss_supervised), and with `Study.traces = "layers"` gradient_norm_ROLE/LAYER. Absent
values are NaN.
"""

from __future__ import annotations

import functools
import io
import json
import tempfile
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gansweep.tracking import address, check_reachable, connect, engine

RUNS_AT_ONCE, VALUES_AT_ONCE, READERS = 100, 25_000, 4  # of a server: what it allows in one request
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
    "losses",
    "fingerprint_data",
    "fingerprint_latent",
    "fingerprint_init",
    "device",
    "micro_batch",
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


Arrays = dict[str, np.ndarray]


def no_portraits(trial: str, name: str) -> Arrays:
    """None were taken."""
    return {}


@dataclass(frozen=True)
class Results:
    """One run of a study: the design card, the two frames, and of a trial the last sample grid (PNG) and its portraits.

    `portraits(trial, name)` are the arrays of one portrait by their names, each with a first axis of frames, whose
    steps are in `step` (see `gansweep.portraits`); none where it was not taken.
    """

    plan: dict[str, Any]
    trials: pd.DataFrame
    steps: pd.DataFrame
    samples: Callable[[str], bytes | None]
    portraits: Callable[[str, str], Arrays] = no_portraits


def score_columns(plan: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The columns of the study's scores in `steps`, and those that `trials` has besides (the best, the area, ...)."""
    columns = [column for score in plan["scores"] for column in score["columns"]]
    return columns, [f"{score['name']}_{fact}" for score in plan["scores"] for fact in score["facts"]]


def default_uri(home: Path) -> str:
    """The SQLite store of a home."""
    return f"sqlite:///{home.resolve() / 'mlflow.db'}"


# --- reading: plain SQL where the store is a database, the client where it is a server


def runs(uri: str, study: str) -> list[str]:
    """The recorded runs of a study, the last started first."""
    return [tags["gansweep.run"] for _, tags, _ in source(uri).parents() if tags["gansweep.study"] == study]


def parent_runs(uri: str) -> dict[str, str]:
    """The MLflow run of each recorded run of a study, by its name, the last launched first and of two alike."""
    return _named(source(uri).parents())


def _named(parents: Iterable[tuple[str, dict[str, str], int]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for run_id, tags, _ in parents:
        found.setdefault(tags["gansweep.run"], run_id)
    return found


def read(uri: str, run: str) -> Results:
    """One run of a study; a name that was never recorded is a `ValueError` with the nearest one."""
    from gansweep.parts import misspelt

    store = source(uri)
    parents = _named(store.parents())
    if run not in parents:
        raise misspelt("recorded run", run, parents or ["(nothing is recorded here yet)"])
    plan, tags = read_plan(store, run, parents[run]), store.child_tags(parents[run])
    trials = trials_of(plan, tags)
    steps = in_order(steps_of(plan, store.metrics(parents[run]), trials), trials)
    return Results(plan, trials, steps, samples_of(store, trials), portraits_of(store, trials))


def design_card(store: Source, parent: str) -> dict[str, Any]:
    """What is recorded of a run's design; nothing, if that file is gone."""
    return dict(json.loads(store.artifact(parent, "plan.json") or b"{}"))


def read_plan(store: Source, run: str, parent: str) -> dict[str, Any]:
    """The design card of a run; one of an older gansweep is a `ValueError`."""
    plan = design_card(store, parent)
    if "protocols" not in plan:
        raise ValueError(f"run {run!r} was recorded by an older gansweep, which this one does not read: launch it anew")
    return plan


def samples_of(store: Source, trials: pd.DataFrame) -> Callable[[str], bytes | None]:
    """Trial id to its last sample grid."""
    run_ids = trials.dropna(subset="run_id").set_index("trial")["run_id"].to_dict()
    return lambda trial: store.artifact(run_ids[trial], "samples.png") if trial in run_ids else None


def run_page(uri: str, trials: pd.DataFrame) -> str | None:
    """The address of a trial's run in the tracking server's own pages, with `{run_id}` in it; None without a server."""
    known = trials["run_id"].dropna()
    if not uri.startswith(("http://", "https://")) or known.empty:
        return None
    from gansweep.tracking import masked

    experiment = connect(uri).get_run(known.iloc[0]).info.experiment_id
    return f"{masked(uri).rstrip('/')}/#/experiments/{experiment}/runs/{{run_id}}"


def portraits_of(store: Source, trials: pd.DataFrame) -> Callable[[str, str], Arrays]:
    """Trial id and portrait to the portrait's arrays."""
    run_ids = trials.dropna(subset="run_id").set_index("trial")["run_id"].to_dict()

    def arrays(trial: str, name: str) -> Arrays:
        content = store.artifact(run_ids[trial], f"portrait-{name}.npz") if trial in run_ids else None
        if content is None:
            return {}
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    return arrays


def _asked(planned: list[dict[str, Any]], recorded: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The planned trials, with what a tuning study found out on its way: ids, factors and seeds, by the position."""
    known = {int(tags["gansweep.position"]): tags for tags in recorded if "gansweep.factors" in tags}
    for slot in planned:
        if (tags := known.get(slot["position"])) is not None:
            slot["trial"], slot["seed"] = tags["gansweep.trial_id"], int(tags["gansweep.seed"])
            slot["factors"] = json.loads(tags["gansweep.factors"])
    return planned


def trials_of(plan: dict[str, Any], tags: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """The frame `trials` from the tags of each recorded run; what a tuning study asked for goes into the plan."""
    plan["trials"] = _asked(plan["trials"], tags.values())
    recorded = {one["gansweep.trial_id"]: (run_id, one) for run_id, one in tags.items()}
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
            row["run_id"], told = recorded[planned["trial"]]
            row["status"] = "running"
            ended = told.get("gansweep.status") != "running"
            row |= json.loads(told["gansweep.outcome"]) if ended and "gansweep.outcome" in told else {}
            for name in ("events", "losses"):
                row[name] = row[name] if row[name] is None else json.dumps(row[name])
        rows.append(row)
    named = ["trial", "study", "cell", "arm", "seed", "position"]
    columns = [*named, *plan["factors"], *scores, *protocols, *OUTCOME_COLUMNS, "run_id"]
    frame = pd.DataFrame(rows, columns=columns)
    for name in ("started_at", "ended_at"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
    numeric = [c for c in OUTCOME_COLUMNS if c.endswith(("_step", "_seconds"))]
    for name in (*scores, *numeric, "step", "images_seen", "attempts", "micro_batch"):
        frame[name] = pd.to_numeric(frame[name])
    return frame


def steps_of(plan: Mapping[str, Any], metrics: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The frame `steps`, in no order, from metrics [run_id, key, step, value] of the runs of `trials`."""
    scores, facts = score_columns(plan)
    trial_of = trials.dropna(subset="run_id").set_index("run_id")["trial"].to_dict()
    metrics = metrics[metrics["run_id"].isin(list(trial_of)) & ~metrics["key"].isin(facts)]
    wide = metrics.pivot_table(index=["run_id", "step"], columns="key", values="value", aggfunc="last").reset_index()
    known = ["run_id", "step", *STEP_COLUMNS, *scores]
    wide = wide.reindex(columns=[*known, *sorted(set(wide.columns) - set(known))])
    wide.insert(0, "trial", wide.pop("run_id").map(trial_of))
    return wide.astype({"step": int}).rename_axis(columns=None)


def in_order(steps: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The rows of `steps` in the order of the plan."""
    order = dict(zip(trials["trial"], trials["position"], strict=True))
    sorted_steps = steps.sort_values(["trial", "step"], key=lambda c: c.map(order) if c.name == "trial" else c)
    return sorted_steps.reset_index(drop=True)


def _last_launched_first(parents: list[tuple[str, dict[str, str], int]]) -> list[tuple[str, dict[str, str], int]]:
    return sorted(parents, key=lambda parent: -int(parent[1]["gansweep.launched"]))


class _Database:
    """An MLflow store read by SQL: thousands of runs in a second, and no import of mlflow."""

    def __init__(self, uri: str) -> None:
        if uri.startswith("sqlite:///"):
            path = Path(uri.removeprefix("sqlite:///"))
            if not path.exists():
                raise ValueError(f"nothing is recorded yet: {path} does not exist")
            uri = f"sqlite:///file:{path}?mode=ro&uri=true"
        else:
            check_reachable(uri)
        self.engine = engine(uri)

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

    _CHILDREN = (
        " JOIN tags p ON p.run_uuid = {0}.run_uuid AND p.key = 'mlflow.parentRunId' AND p.value = :parent"
        " JOIN runs r ON r.run_uuid = {0}.run_uuid AND r.lifecycle_stage = 'active'"
    )

    def children(self, parent: str) -> dict[str, dict[str, bool]]:
        """The runs of each trial, and whether their end is recorded."""
        rows = self._query(
            "SELECT t.value AS trial, t.run_uuid AS run, r.status, e.value AS ended FROM tags t"
            + self._CHILDREN.format("t")
            + " LEFT JOIN tags e ON e.run_uuid = t.run_uuid AND e.key = 'gansweep.ended'"
            " WHERE t.key = 'gansweep.trial_id'",
            parent=parent,
        )
        found: dict[str, dict[str, bool]] = {}
        for trial, run, status, ended in rows.itertuples(index=False):
            found.setdefault(trial, {})[run] = ended == "true" and status != "RUNNING"
        return found

    def states(self) -> dict[str, dict[str, int]]:
        """For the parent run of each run of a study: how many of its trials have each status."""
        rows = self._query(
            "SELECT p.value AS parent, s.value AS status, count(*) AS number FROM tags p"
            " JOIN tags s ON s.run_uuid = p.run_uuid AND s.key = 'gansweep.status'"
            " JOIN runs r ON r.run_uuid = p.run_uuid AND r.lifecycle_stage = 'active'"
            " WHERE p.key = 'mlflow.parentRunId' GROUP BY p.value, s.value"
        )
        found: dict[str, dict[str, int]] = {}
        for parent, status, number in rows.itertuples(index=False):
            found.setdefault(parent, {})[status] = int(number)
        return found

    def num_reports(self, run: str) -> int:
        """How many reports of a trial a run holds."""
        sql = "SELECT count(*) AS number FROM metrics WHERE run_uuid = :run AND key = 'images_seen'"
        return int(self._query(sql, run=run)["number"].iloc[0])

    def child_tags(self, parent: str, runs: Collection[str] | None = None) -> dict[str, dict[str, str]]:
        """The tags of every child run, or of some."""
        sql = "SELECT t.run_uuid, t.key, t.value FROM tags t" + self._CHILDREN.format("t")
        rows = self._of_runs(sql + " WHERE TRUE", "t", runs, parent=parent)
        found: dict[str, dict[str, str]] = {}
        for run, key, value in rows.itertuples(index=False):
            found.setdefault(run, {})[key] = value
        return found

    def metrics(self, parent: str, runs: Collection[str] | None = None) -> pd.DataFrame:
        """Every value of every child run, or of some: columns run_id, key, step, value."""
        sql = "SELECT m.run_uuid AS run_id, m.key, m.step, m.value FROM metrics m" + self._CHILDREN.format("m")
        return self._of_runs(sql + " WHERE m.is_nan = FALSE", "m", runs, parent=parent)

    def _of_runs(self, sql: str, table: str, runs: Collection[str] | None, **values: Any) -> pd.DataFrame:
        """The answer to `sql` for these runs of `table`; of many, all are asked for and the rest is left out."""
        if runs is None:
            return self._query(sql, **values)
        if len(runs) <= RUNS_AT_ONCE:
            named = {f"run{number}": run for number, run in enumerate(runs)}
            some = ", ".join(f":{name}" for name in named) or "NULL"
            return self._query(f"{sql} AND {table}.run_uuid IN ({some})", **values, **named)
        every = self._query(sql, **values)
        return every[every.iloc[:, 0].isin(list(runs))]

    def artifact(self, run: str, name: str) -> bytes | None:
        where = self._query("SELECT artifact_uri FROM runs WHERE run_uuid = :run", run=run)["artifact_uri"].iloc[0]
        if where.startswith("file:"):
            path = Path(urllib.parse.unquote(urllib.parse.urlsplit(where).path)) / name
            return path.read_bytes() if path.exists() else None
        if where.startswith("mlflow-artifacts:"):
            raise ValueError(f"the files of run {run} are kept by its tracking server: give that as --tracking-uri")
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(where)
        return _downloaded(name, repository.list_artifacts(), repository.download_artifacts)


class _Server:
    """An MLflow server read through its client."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = connect(uri)

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

    def children(self, parent: str) -> dict[str, dict[str, bool]]:
        """The runs of each trial, and whether their end is recorded."""
        found: dict[str, dict[str, bool]] = {}
        for run in self._search(f"tags.`mlflow.parentRunId` = '{parent}'"):
            ended = run.data.tags.get("gansweep.ended") == "true" and run.info.status != "RUNNING"
            found.setdefault(run.data.tags["gansweep.trial_id"], {})[run.info.run_id] = ended
        return found

    def states(self) -> dict[str, dict[str, int]]:
        """For the parent run of each run of a study: how many of its trials have each status."""
        found: dict[str, dict[str, int]] = {}
        for run in self._search("tags.`gansweep.trial_id` LIKE '%'"):
            counts = found.setdefault(run.data.tags["mlflow.parentRunId"], {})
            status = run.data.tags["gansweep.status"]
            counts[status] = counts.get(status, 0) + 1
        return found

    def num_reports(self, run: str) -> int:
        """How many reports of a trial a run holds."""
        return len(self.client.get_metric_history(run, "images_seen"))

    def child_tags(self, parent: str, runs: Collection[str] | None = None) -> dict[str, dict[str, str]]:
        """The tags of every child run, or of some."""
        found = self._search(f"tags.`mlflow.parentRunId` = '{parent}'")
        return {run.info.run_id: dict(run.data.tags) for run in found if runs is None or run.info.run_id in runs}

    def metrics(self, parent: str, runs: Collection[str] | None = None) -> pd.DataFrame:
        """Every value of every child run, or of some: columns run_id, key, step, value."""
        having: dict[str, list[str]] = {}
        for run in self._search(f"tags.`mlflow.parentRunId` = '{parent}'"):
            for key in run.data.metrics if runs is None or run.info.run_id in runs else ():
                having.setdefault(key, []).append(run.info.run_id)
        asked = [
            (key, ids[n : n + RUNS_AT_ONCE]) for key, ids in having.items() for n in range(0, len(ids), RUNS_AT_ONCE)
        ]
        with ThreadPoolExecutor(READERS) as pool:
            rows = [row for found in pool.map(lambda one: self._histories(*one), asked) for row in found]
        return pd.DataFrame(rows, columns=["run_id", "key", "step", "value"])

    def _histories(self, key: str, runs: list[str]) -> list[tuple[str, str, int, float]]:
        """Every value of one metric of several runs, in the request by which MLflow's own pages read them.

        Its Python client asks for one run at a time, which is for a run with more values than this request returns.
        """
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request_safe

        if len(runs) == 1:
            return [(runs[0], key, one.step, one.value) for one in self.client.get_metric_history(runs[0], key)]
        ask = {"run_id": runs, "metric_key": key, "max_results": VALUES_AT_ONCE}
        path = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
        answer = http_request_safe(get_default_host_creds(address(self.uri)), path, "GET", params=ask)
        found = [(one["run_id"], key, int(one["step"]), float(one["value"])) for one in answer.json()["metrics"]]
        if len(found) < VALUES_AT_ONCE:
            return found
        half = len(runs) // 2
        return self._histories(key, runs[:half]) + self._histories(key, runs[half:])

    def artifact(self, run: str, name: str) -> bytes | None:
        fetch = functools.partial(self.client.download_artifacts, run)
        return _downloaded(name, self.client.list_artifacts(run), fetch)


def _downloaded(name: str, files: Iterable[Any], fetch: Callable[[str, str], str]) -> bytes | None:
    if name not in [file.path for file in files]:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return Path(fetch(name, folder)).read_bytes()


Source = _Database | _Server


def source(uri: str) -> Source:
    """The store behind a URI, to read."""
    return _Server(uri) if uri.startswith(("http://", "https://")) else _Database(uri)
