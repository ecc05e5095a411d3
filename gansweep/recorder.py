"""Writes a study's trials to MLflow, from one thread; `records` reads them back and says what each column is.

A trial's folder holds everything before the recorder hears of it: the reports in `history.jsonl`, the last sample grid
in `samples.png`, portraits in `portrait-NAME.npz`, the end in `outcome.json`. So the recorder is told only that there
is news of a trial, and reads on in its folder where it left off. While the tracking store is away the news waits there,
for the whole sweep if need be, and what is not recorded when the sweep ends the next launch records.

Nothing is doubled: a report that the store holds already (same key, step, time and value) it ignores, and a run whose
creation was not answered is looked for by its trial's id before it is created again.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gansweep.records import parent_runs, score_columns, source
from gansweep.tracking import TrackingUnreachable, connect, told_plainly

log = logging.getLogger(__name__)

SHOWN_TAGS = ("status", "failure", "verdict", "evidence", "decision", "decision_rule")
TAG_LENGTH = 8_000  # of an MLflow tag
MAX_ENTITIES = 1_000  # metrics, parameters and tags that MLflow takes in one call
BLOCK_BYTES = 2**20  # of a history, read at once
LINGER_SECONDS = 2.0  # for which a report waits for the next one, so that both are written in one call
PAUSE_SECONDS = 0.5  # before a new attempt where the store did not take a record; doubled each time ...
LONGEST_PAUSE_SECONDS = 15.0  # ... up to this
PATIENCE_SECONDS = 60.0  # for which a sweep that is over waits for a store that takes nothing
MLFLOW_STATUS = {"done": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
NO_METRICS = ("step", "time_ms", "nonfinite_step", "facts", "evaluate_seconds", "record_seconds")  # of a history row


@dataclass(kw_only=True, slots=True)
class _Trial:
    """A trial whose end is not recorded yet: what and where it is, and how much of it is recorded."""

    planned: Mapping[str, Any]
    fields: Callable[[], Mapping[str, Any]]
    folder: Path
    started_ms: int
    ended: bool = False
    cancelled: Mapping[str, Any] | None = None
    run: str | None = None
    asked: bool = False  # whether the store was asked to create the run, and may have done so
    begun: bool = False  # whether the parameters are recorded
    recorded_bytes: int = 0  # of the history
    times: Mapping[int, int] = field(default_factory=dict)  # of reports that the store holds from before, by their step
    files: dict[str, tuple[int, int]] = field(default_factory=dict)  # time and size of the files that are recorded

    @property
    def id(self) -> str:
        return str(self.planned["trial"])


class _StudyRun:
    """One run of a study in MLflow: an experiment, a parent run, and a child run for each trial.

    Methods raise what the store raises, and can then be called again.
    """

    def __init__(self, uri: str, home: Path, card: Mapping[str, Any], artifacts: str | None) -> None:
        self.client = connect(uri)
        self.source = source(uri)
        self.facts = score_columns(card)[1]
        self.in_doubt = False
        local = (home.resolve() / "artifacts").as_uri() if uri.startswith("sqlite") else None
        with told_plainly(uri):
            self.experiment = self._experiment(card["study"], artifacts or local, chosen=artifacts is not None)
            self.parent = self._parent(card)
            self.runs, self.ended = self._children()

    def _experiment(self, study: str, artifacts: str | None, *, chosen: bool) -> str:
        from mlflow.exceptions import MlflowException

        location = artifacts and f"{artifacts.rstrip('/')}/{study}"
        found = self.client.get_experiment_by_name(study)
        if found is None:
            # without a kind the MLflow UI opens a page for language models
            kind = {"mlflow.experimentKind": "custom_model_development"}
            try:
                return str(self.client.create_experiment(study, artifact_location=location, tags=kind))
            except MlflowException:  # another launch was faster, or the answer was lost
                if (found := self.client.get_experiment_by_name(study)) is None:
                    raise
        if found.lifecycle_stage != "active":
            raise ValueError(
                f"experiment {study!r} was deleted in MLflow: restore it there, or purge it with mlflow gc"
            )
        if chosen and found.artifact_location != location:
            kept = found.artifact_location.removesuffix(f"/{study}")
            raise ValueError(f"experiment {study!r} keeps its artifacts in {kept}, not in {artifacts}")
        return str(found.experiment_id)

    def _parent(self, card: Mapping[str, Any]) -> str:
        launched = str(time.time_ns() // 1_000_000)
        # the same run of a study in another home, or after its folder was deleted, is another run
        where = f"tags.`gansweep.run` = '{card['run']}' and tags.`gansweep.launch_id` = '{card['launch_id']}'"
        found = self.client.search_runs([self.experiment], where, order_by=["attributes.start_time ASC"])
        for double in found[1:]:  # its creation was not answered in time, and was made up for by the next launch
            log.warning("%s has two parent runs: %s is deleted", card["run"], double.info.run_id)
            self.client.delete_run(double.info.run_id)
        if found:
            run_id = str(found[0].info.run_id)
            self.client.update_run(run_id, status="RUNNING")
            self.client.set_tag(run_id, "gansweep.launched", launched)
            before = json.loads(self.source.artifact(run_id, "plan.json") or b"{}")
            if before:
                launches = [*before.get("launches", []), card["provenance"]]
                card = {**card, "provenance": before["provenance"], "launches": launches}
        else:
            tags = {"gansweep.run": card["run"], "gansweep.study": card["study"], "gansweep.kind": "study"}
            tags |= {"gansweep.launched": launched, "gansweep.launch_id": card["launch_id"]}
            tags |= {"gansweep.design_hash": card["design_hash"], "mlflow.note.content": card["question"]}
            run_id = str(self.client.create_run(self.experiment, tags=tags, run_name=card["run"]).info.run_id)
        self.client.log_dict(run_id, dict(card), "plan.json")
        return run_id

    def _children(self) -> tuple[dict[str, str], set[str]]:
        """The run of each trial whose end is not recorded, and the trials whose end is. Doubles are deleted."""
        runs: dict[str, str] = {}
        ended: set[str] = set()
        for trial, found in self.source.children(self.parent).items():
            if len(found) > 1:
                found = self._without_doubles(trial, found)
            ((run, over),) = found.items()
            if over:
                ended.add(trial)
            else:
                runs[trial] = run
        return runs, ended

    def _without_doubles(self, trial: str, found: Mapping[str, bool]) -> dict[str, bool]:
        """Of several runs of one trial keep the one that has ended, or else holds the most reports."""
        ranked = sorted((over, self.source.num_reports(run), run) for run, over in found.items())
        for _, reports, run in ranked[:-1]:
            log.warning("trial %s has two runs: %s, with %d reports, is deleted", trial, run, reports)
            self.client.delete_run(run)
        return {ranked[-1][2]: ranked[-1][0]}

    def write(self, trial: _Trial) -> None:
        """Record what is new of a trial, and its end if it has ended."""
        from mlflow.entities import Param, RunTag

        if trial.id in self.ended:
            return
        end = trial.cancelled  # looked up before the history is read, which then is whole
        if trial.ended:
            end = json.loads((trial.folder / "outcome.json").read_bytes())
        resumed = trial.id in self.runs and not trial.begun
        run = trial.run = trial.run or self._run(trial)
        if resumed:
            trial.times = {one.step: one.timestamp for one in self.client.get_metric_history(run, "images_seen")}
        if resumed and end is None:
            self.client.update_run(run, status="RUNNING")
        self._write_files(trial, run)
        more = True
        while more:
            rows, size, more = _rows(trial.folder / "history.jsonl", trial.recorded_bytes)
            metrics, tags = _values([_as_recorded(row, trial.times) for row in rows])
            params = [] if trial.begun else [Param(key, str(value)) for key, value in trial.fields().items()]
            if resumed and end is None:
                tags["status"] = "running"
            if end is not None and not more:
                metrics += self._facts(end)
                tags |= _told(end)
            self._log(run, metrics, params, [RunTag(f"gansweep.{key}", value) for key, value in tags.items()])
            trial.recorded_bytes += size
            trial.begun = True
        if end is not None:
            self.client.set_terminated(run, MLFLOW_STATUS[end["status"]], end_time=end["ended_at"])

    def finish(self, finished: bool) -> None:
        """End the parent run."""
        if self.in_doubt:
            self._children()  # a run that was asked for twice may have been created twice
        self.client.set_terminated(self.parent, "FINISHED" if finished else "KILLED")

    def _run(self, trial: _Trial) -> str:
        """The run of a trial: the one there is, or a new one."""
        if trial.id in self.runs:
            return self.runs[trial.id]
        if trial.asked:
            self.in_doubt = True
            where = f"tags.`gansweep.trial_id` = '{trial.id}' and tags.`mlflow.parentRunId` = '{self.parent}'"
            if found := self.client.search_runs([self.experiment], where, max_results=1):
                return str(found[0].info.run_id)
        trial.asked = True
        planned = trial.planned
        tags = {f"gansweep.{key}": str(planned[key]) for key in ("cell", "arm", "seed", "position")}
        tags |= {"mlflow.parentRunId": self.parent, "gansweep.trial_id": trial.id, "gansweep.status": "running"}
        if "factors" in planned:
            tags["gansweep.factors"] = json.dumps(planned["factors"])
        run = self.client.create_run(
            self.experiment, start_time=trial.started_ms, tags=tags, run_name=f"{planned['cell']} {planned['arm']}"
        )
        return str(run.info.run_id)

    def _write_files(self, trial: _Trial, run: str) -> None:
        """The sample grid and the portraits, where they are new; one that is there already is replaced."""
        for file in (trial.folder / "samples.png", *sorted(trial.folder.glob("portrait-*.npz"))):
            if file.exists():
                found = file.stat()
                if (found.st_mtime_ns, found.st_size) != trial.files.get(file.name):
                    self.client.log_artifact(run, str(file))
                    trial.files[file.name] = (found.st_mtime_ns, found.st_size)

    def _facts(self, end: Mapping[str, Any]) -> list[Any]:
        """The course of the scores, as metrics of the last step."""
        from mlflow.entities import Metric

        if end["status"] == "cancelled":
            return []
        return [Metric(key, float(end[key]), end["ended_at"], end["step"]) for key in self.facts if key in end]

    def _log(self, run: str, metrics: Sequence[Any], params: Sequence[Any], tags: Sequence[Any]) -> None:
        """One call where it fits into one; the tags, which say that a trial has ended, never before the rest."""
        if len(metrics) + len(params) + len(tags) <= MAX_ENTITIES:
            self.client.log_batch(run, metrics, params, tags, synchronous=True)
        else:
            self.client.log_batch(run, metrics, params, synchronous=True)
            self.client.log_batch(run, tags=tags, synchronous=True)


class Recorder:
    """Records one run of a study from one thread; calls return at once and keep each trial's order.

    `artifacts` is where a new experiment keeps its files, for a store that is a database. A store that does not answer
    is a `TrackingUnreachable`, unless `resumed`: then it is waited for, like one that goes away later.
    """

    def __init__(
        self, uri: str, home: Path, card: Mapping[str, Any], *, artifacts: str | None = None, resumed: bool = False
    ) -> None:
        self._open = lambda: _StudyRun(uri, home, card, artifacts)
        self._study_run: _StudyRun | None = None
        self._trials: dict[str, _Trial] = {}
        self._urgent: OrderedDict[str, None] = OrderedDict()
        self._news: OrderedDict[str, float] = OrderedDict()  # with the time from which on each may be written
        self._wake = threading.Condition()
        self._closing = self._finished = self._done = self._given_up = False
        self._away_since: datetime | None = None
        self._error = ""
        self._progress = time.monotonic()
        try:
            self._study_run = self._open()
        except TrackingUnreachable as error:
            if not resumed:
                raise
            self._fell_behind(error)
        self._thread = threading.Thread(target=self._work, name="gansweep-recorder", daemon=True)
        self._thread.start()

    # --- what the driver calls

    def has_end(self, trial: str) -> bool:
        """Whether the trial's end was recorded by an earlier launch; unknown, and so False, while the store is away."""
        return self._study_run is not None and trial in self._study_run.ended

    def start(
        self, planned: Mapping[str, Any], fields: Callable[[], Mapping[str, Any]], folder: Path, started_ms: int
    ) -> None:
        """A trial has started, or goes on. What it reports will be in its folder; `fields` are its parameters."""
        trial = _Trial(planned=planned, fields=fields, folder=folder, started_ms=started_ms)
        self._trials[trial.id] = trial
        self.news(trial.id)

    def news(self, trial: str) -> None:
        """There is a new report in the trial's folder."""
        with self._wake:
            if trial not in self._urgent and trial not in self._news:
                self._news[trial] = time.monotonic() + LINGER_SECONDS
                if len(self._news) == 1:
                    self._wake.notify()

    def end(self, trial: str) -> None:
        """The trial has ended: its outcome is in its folder."""
        self._trials[trial].ended = True
        self._hurry(trial)

    def cancel(self, trial: str, told: Mapping[str, Any]) -> None:
        """The trial was interrupted and goes on in another launch; `told` is what would be its outcome."""
        self._trials[trial].cancelled = dict(told)
        self._hurry(trial)

    @property
    def behind(self) -> str:
        """Since when the store takes no records, and how much waits for it, in a line; empty while it takes them."""
        since = self._away_since
        if since is None:
            return ""
        return f"no answer from the tracking store since {since:%H:%M:%S}: {_trials(self._waiting())} to record later"

    def close(self, finished: bool, say: Callable[[str], None] = log.info, patience: float | None = None) -> str:
        """Record what waits, and end the parent run. Returns what could not be recorded and why, or an empty string.

        A store that takes nothing for `patience` seconds (a minute) is given up; Ctrl-C gives it up at once.
        """
        patience = PATIENCE_SECONDS if patience is None else patience
        with self._wake:
            self._finished, self._closing = finished, True
            self._progress = time.monotonic()
            self._wake.notify()
        told = False
        try:
            while self._thread.is_alive() and (idle := time.monotonic() - self._progress) < patience:
                if self._away_since is not None and not told:
                    told = True
                    say(f"{self.behind}; waiting up to {patience - idle:.0f} s for it, Ctrl-C to leave it")
                self._thread.join(0.1)
        except KeyboardInterrupt:
            self._error = self._error or "interrupted"
        with self._wake:
            self._given_up = True
            self._wake.notify()
        if self._done:
            return ""
        return f"{_trials(self._waiting())} not recorded: {self._error or f'no answer for {patience:.0f} s'}"

    # --- the thread

    def _hurry(self, trial: str) -> None:
        with self._wake:
            self._news.pop(trial, None)
            self._urgent[trial] = None
            self._wake.notify()

    def _waiting(self) -> int:
        return max(1, len(self._urgent) + len(self._news))

    def _next(self) -> str | None:
        """The trial to write next; an empty name when the parent run is to end, None when there is nothing to do."""
        with self._wake:
            while not (self._done or self._given_up):
                if self._urgent:
                    return self._urgent.popitem(last=False)[0]
                wait = None
                if self._news:
                    wait = next(iter(self._news.values())) - time.monotonic()
                    if self._closing or wait <= 0:
                        return self._news.popitem(last=False)[0]
                elif self._closing:
                    return ""
                self._wake.wait(wait)
            return None

    def _work(self) -> None:
        pause = PAUSE_SECONDS
        while (trial := self._next()) is not None:
            try:
                if self._study_run is None:
                    self._study_run = self._open()
                self._write(self._study_run, trial)
            except Exception as error:  # of whatever kind: the trials' folders hold it, and it is tried again
                if trial:
                    self._hurry(trial)
                self._fell_behind(error)
                with self._wake:
                    self._wake.wait_for(lambda: self._given_up, pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                pause = PAUSE_SECONDS
                self._went_on()

    def _write(self, study_run: _StudyRun, name: str) -> None:
        if not name:
            study_run.finish(self._finished)
            self._done = True
            return
        if (trial := self._trials.get(name)) is None:
            return  # its end was recorded with other news, just before this notice came
        over = trial.ended or trial.cancelled is not None
        study_run.write(trial)
        if over:
            del self._trials[name]

    def _fell_behind(self, error: Exception) -> None:
        said = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        if said != self._error:
            log.warning("the tracking store took no record; it is tried again until it does", exc_info=error)
        self._error = said
        self._away_since = self._away_since or datetime.now()

    def _went_on(self) -> None:
        self._progress = time.monotonic()
        if self._away_since is not None:
            away = (datetime.now() - self._away_since).total_seconds()
            log.warning("the tracking store takes records again, after %.0f s", away)
            self._away_since, self._error = None, ""


def _rows(history: Path, start: int) -> tuple[list[dict[str, Any]], int, bool]:
    """Whole rows of a history from the byte `start` on, their length in bytes, and whether there may be more."""
    if not history.exists():
        return [], 0, False
    with open(history, "rb") as file:
        file.seek(start)
        lines = file.readlines(BLOCK_BYTES)
    more = sum(map(len, lines)) >= BLOCK_BYTES
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()  # it is being written
    return [json.loads(line) for line in lines], sum(map(len, lines)), more


def _as_recorded(row: Mapping[str, Any], times: Mapping[int, int]) -> Mapping[str, Any]:
    """A report at the time at which the store has it already, which then does not take it for another one.

    A machine that loses its power may lose reports that are recorded. They are made again, the same but for the clock.
    """
    recorded = times.get(row["step"], row["time_ms"])
    return row if recorded == row["time_ms"] else {**row, "time_ms": recorded, "seconds": None}


def _values(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], dict[str, str]]:
    """The rows' numbers as metrics; those that are not finite as tags, because the store would make them numbers."""
    from mlflow.entities import Metric

    metrics: list[Any] = []
    tags: dict[str, str] = {}
    for row in rows:
        for key, value in row.items():
            if key in NO_METRICS or value is None:
                continue
            if math.isfinite(value):
                metrics.append(Metric(key, float(value), row["time_ms"], row["step"]))
            else:
                tags[f"nonfinite.{key}"] = f"{value} at step {row['step']}"
    return metrics, tags


def _told(end: Mapping[str, Any]) -> dict[str, str]:
    """The tags that say how a trial ended, or where it was interrupted."""
    tags = {key: str(end[key]) for key in SHOWN_TAGS if end.get(key) is not None} | {"outcome": _fitting(end)}
    return tags if end["status"] == "cancelled" else tags | {"ended": "true"}


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


def _trials(number: int) -> str:
    return f"{number} trial" if number == 1 else f"{number} trials"


def attach(uri: str, run: str, path: Path) -> None:
    """Add a file, such as the report, to the recorded run of a study."""
    connect(uri).log_artifact(parent_runs(uri)[run], str(path))
