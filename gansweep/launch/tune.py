"""The executor on Ray Tune, which schedules and carries trials and holds nothing that must survive.

Tune's searcher hands out the driver's assignments, its scheduler passes every report to the driver, its trials are warm
actors that take one assignment after another. Tune writes no checkpoints and is never restored.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gansweep.launch.driver import Driver
from gansweep.launch.worker import Assignment, Report, Worker, Workplace

# read by ray when it is imported
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

log = logging.getLogger(__name__)
OBJECT_STORE_BYTES = 200 * 2**20


def start(address: str | None, workers: int, gpus: float) -> None:
    """Connect to the cluster at `address`, or start Ray on this machine with one CPU per worker."""
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ValueError(f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}") from error
        return
    ray.init(
        address="local",
        num_cpus=workers,
        num_gpus=None if gpus else 0,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **quiet,
    )


def stop() -> None:
    """Leave Ray, and end it where it was started here."""
    ray.shutdown()


class TuneTrial(tune.Trainable):
    """A warm actor: each `step` is one report of the current assignment."""

    def setup(self, config: dict[str, Any], workplace: Workplace | None = None) -> None:
        self.workplace = workplace
        self.worker: Worker | None = None
        self.spoiled = False
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next assignment."""
        self.reports = self._reports(Assignment(**json.loads(new_config["assignment"])))
        return True

    def _reports(self, assignment: Assignment) -> Iterator[Report]:
        """The worker is made here, so that what keeps it from starting is a report like any other."""
        if self.spoiled:
            self.worker = None  # a failed trial may leave a broken device or cache behind
        try:
            assert self.workplace is not None
            self.worker = self.worker or Worker(self.workplace)
        except Exception:
            yield Report(over=True, failure="crashed", error=traceback.format_exc()[-4000:])
            return
        yield from self.worker.run(assignment)

    def step(self) -> dict[str, Any]:
        """The next report."""
        report = next(self.reports)
        self.spoiled = report.failure is not None
        return {"report": json.dumps(asdict(report))}


class _Stateless:
    """Holds the driver, so Tune's snapshots and copies must leave it alone."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Stateless:
        return self


class Assignments(_Stateless, Searcher):
    """Tune's searcher: the driver's assignments, in its order."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self.driver = driver
        self.trial_of: dict[str, str] = {}

    def suggest(self, trial_id: str) -> Any:
        """The next assignment; None to wait, FINISHED when there will be none."""
        if self.driver.finished:
            return Searcher.FINISHED
        if (assignment := self.driver.next()) is None:
            return None
        self.trial_of[trial_id] = assignment.trial
        return {"assignment": json.dumps(asdict(assignment))}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """A trial that Tune holds as failed has lost its worker: everything else arrives as a report."""
        trial = self.trial_of.pop(trial_id, None)
        if error and trial in self.driver.live:
            self.driver.lost(trial, "its worker process died")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the trial directories hold everything."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing."""


class Decisions(_Stateless, FIFOScheduler):
    """Tune's scheduler: first in, first out, and every report to the driver before the next step is scheduled."""

    def __init__(self, assignments: Assignments, show: Callable[[], None]) -> None:
        super().__init__()
        self.assignments, self.show = assignments, show

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop the trial where the driver says so."""
        report = Report(**json.loads(result["report"]))
        stop = self.assignments.driver.take(self.assignments.trial_of[trial.trial_id], report)
        self.show()
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE


def run(
    driver: Driver,
    workplace: Workplace,
    show: Callable[[], None],
    *,
    workers: int | None,
    gpus: float,
    scratch: Path,
) -> None:
    """Carry the driver's plan to its end on `workers` trials at a time (None: as many as the cluster holds)."""
    trainable = tune.with_parameters(TuneTrial, workplace=workplace)
    resources = tune.with_resources(trainable, {"cpu": 1, "gpu": gpus} if gpus else {"cpu": 1})
    while not driver.finished:
        assignments = Assignments(driver)
        tuner = tune.Tuner(
            resources,
            tune_config=tune.TuneConfig(
                search_alg=assignments,
                scheduler=Decisions(assignments, show),
                num_samples=-1,
                max_concurrent_trials=workers or 0,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(scratch.resolve()),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except RuntimeError as error:
            # Ray's memory monitor ends fit() itself; nothing is lost, the rest goes on in a new one
            log.exception("Tune stopped")
            reason = f"Ray Tune stopped: {str(error).splitlines()[0]}"
        else:
            reason = "Ray Tune ended without it"
        for trial in list(driver.live):
            driver.lost(trial, reason)
