"""The executor on Ray Tune, which schedules and carries trials and holds nothing that must survive.

Tune's searcher hands out the driver's assignments and its scheduler passes every report to the driver. A trial of
Tune's is a warm actor that carries one of our trials after another, as long as they take the same resources: to make a
trial costs Tune a twentieth of a second. Tune writes no checkpoints and is never restored.

Tune does not notice a worker that hangs. Its loop asks the driver many times a second who is overdue; such a worker's
stack is kept, its process is killed on its own node, and the trial goes on elsewhere.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import math
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansweep.launch.resources import Requests, check_room
from gansweep.launch.worker import Assignment, Report, Reports, Worker, Workplace

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
import torch
from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gansweep.launch import cluster
from gansweep.launch.cluster import Shipment

if TYPE_CHECKING:  # a worker would wait two seconds for pandas and optuna, which it has no use for
    from gansweep.launch.driver import Driver

log = logging.getLogger(__name__)
OBJECT_STORE_BYTES = 200 * 2**20
MIN_WAITING = 8  # trials that may wait for a place in a cluster
ROOM_SECONDS = 30.0  # for the nodes of a cluster that has just been started to join
SLOWER = 5.0  # times the slowest report so far: what a worker promises for the next
UNKNOWN = 20.0  # times its patience: what it promises while it has not opened the data and evaluated once
SWITCH_SECONDS = 0.0005  # after which the recorder's thread lets the driver go on; it has ten times that by default
AHEAD_SECONDS = 1.0  # for which a worker may train on before it hands over what it has to report
STACK_AT = 0.5  # of what was promised: when the stack of a silent worker is written down
LOW_MEMORY = "running low on memory"  # in what Ray's memory monitor says of the workers that it kills
FAR_SECONDS = 60.0  # for another node to end a process of its own, for which Ray starts one there


QUIET: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}


def connect(address: str, asked: Requests, runtime_env: dict[str, Any] | None = None) -> None:
    """Connect to the cluster at `address`; `ValueError` if there is none, or no room for what the arms ask for.

    Nodes that join within `ROOM_SECONDS` are waited for.
    """
    try:
        ray.init(address=address, runtime_env=runtime_env, **QUIET)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if "AuthenticationError" in "".join(traceback.format_exception(error)):
            raise ValueError(
                f"the Ray cluster at {address!r} wants its token: set RAY_AUTH_MODE=token, with the token of its nodes "
                "in RAY_AUTH_TOKEN or ~/.ray/auth_token"
            ) from error
        raise ValueError(f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}") from error
    limit = time.monotonic() + ROOM_SECONDS
    while True:
        try:
            check_room(asked, cluster.machines(), "a node of the cluster")
            return
        except ValueError:
            if time.monotonic() > limit:
                stop()
                raise
        time.sleep(1.0)


def start(workers: int, asked: Requests) -> None:
    """Start Ray on this machine with one CPU per worker, or as many as one trial asks for."""
    # sums of several threads have no fixed order; Ray would give a trial of two CPUs two threads
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    ray.init(
        address="local",
        num_cpus=max(workers, *(math.ceil(request["CPU"]) for request in asked.values())),
        num_gpus=None if any("GPU" in request for request in asked.values()) else 0,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **QUIET,
    )


def stop() -> None:
    """Leave Ray, and end it where it was started here."""
    ray.shutdown()


@dataclass(frozen=True)
class Process:
    """A worker's process: its Ray node, its number there, when it was started, and the file of its last stack."""

    node: str
    pid: int
    started: str | None
    stack: int

    @classmethod
    def this(cls, stack: int) -> Process:
        """The process that asks. `stack` is a file descriptor."""
        pid = os.getpid()
        return cls(ray.get_runtime_context().get_node_id(), pid, _state_and_start(pid)[1], stack)

    def alive(self) -> bool:
        """Whether it is there; to be asked on its node. Another process may have got its number since."""
        state, started = _state_and_start(self.pid)
        return state not in (None, "Z", "X") and started == self.started

    def end(self) -> tuple[str, str]:
        """Kill it, from its own node. Returns how it was found, and the stack that it left."""
        if not self.alive():
            return "its process is gone", ""
        stack = ""
        with contextlib.suppress(OSError):  # it may die at any moment
            stacks = Path(f"/proc/{self.pid}/fd/{self.stack}").read_text(errors="replace")
            stack = stacks[stacks.rfind("Thread ") :]  # the last is the main thread's
        found = "its process was stopped by a signal" if _state_and_start(self.pid)[0] == "T" else "its process hung"
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return found, stack


def _state_and_start(pid: int) -> tuple[str | None, str | None]:
    """A process's state (T is stopped) and its start in clock ticks after boot; None, None if it is not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None, None
    return fields[0], fields[19]


def promised(reports: Reports, patience: float, *, sign: bool) -> Reports:
    """The reports, each with the time within which the next one comes; with a `sign` of life before them and any work.

    Until the trial has been evaluated once, nothing is known of how long that takes, so the promise is generous.
    """
    with contextlib.closing(reports), contextlib.suppress(StopIteration):
        if sign:
            yield Report(promise=UNKNOWN * patience)
        slowest, evaluated, ahead, started = 0.0, False, None, None
        while True:
            report = reports.send(ahead)
            if started is not None:  # what comes before the first report comes once
                slowest = max(slowest, time.monotonic() - started)
            evaluated = evaluated or report.samples is not None
            known = patience + AHEAD_SECONDS if evaluated else UNKNOWN * patience
            ahead = yield replace(report, promise=max(known, SLOWER * slowest))
            started = time.monotonic()


class TuneTrial(tune.Trainable):
    """A warm actor: each `step` is what the current assignment has to report."""

    def setup(self, config: dict[str, Any], workplace: Workplace | Shipment | None = None) -> None:
        assert workplace is not None
        self.workplace = workplace
        place = workplace.workplace if isinstance(workplace, Shipment) else workplace
        self.ahead = 0.0 if place.keep_states else AHEAD_SECONDS
        self.worker: Worker | None = None
        self.spoiled = False
        self.reports: Reports | None = None
        self.said: list[list[Any]] = []
        self.stack = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        self.promise = 0.0  # seconds
        self.known = False  # whether the driver knows of this process
        self.process = json.dumps(asdict(Process.this(self.stack.fileno())))
        self.reset_config(config)

    def follow(self, told: str) -> None:
        """Take the next assignment, and begin while the driver still has to do with the last."""
        self.reset_config({"assignment": told})
        self.said = self._train()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next assignment."""
        self.cleanup()
        self.said = []
        assignment = Assignment(**json.loads(new_config["assignment"]))
        self.reports = promised(self._reports(assignment), assignment.patience, sign=not self.known)
        self.promise = UNKNOWN * assignment.patience
        self.known = True
        return True

    def cleanup(self) -> None:
        """Let go of the last assignment."""
        if self.reports is not None:
            self.reports.close()

    def _reports(self, assignment: Assignment) -> Reports:
        """The worker is made here, so that what keeps it from starting is a report like any other."""
        if self.spoiled:
            self.worker = None  # a failed trial may leave a broken device or cache behind
        try:
            if self.worker is None:
                place = self.workplace.unpacked() if isinstance(self.workplace, Shipment) else self.workplace
                device, doubt = _device()
                if doubt:
                    yield Report(note=doubt)
                self.worker = Worker(replace(place, device=device))
        except Exception:
            yield Report(over=True, failure="crashed", error=traceback.format_exc()[-4000:])
            return
        yield from self.worker.run(assignment)

    def step(self) -> dict[str, Any]:
        """The next reports."""
        said, self.said = self.said or self._train(), []
        return {"reports": said, "process": self.process}

    def _train(self) -> list[list[Any]]:
        """The next reports, more than one where they follow each other closely."""
        assert self.reports is not None
        self.stack.seek(0)
        self.stack.truncate()
        faulthandler.dump_traceback_later(STACK_AT * self.promise, file=self.stack)
        until = time.monotonic() + self.ahead  # states that are kept are those of the report that ended the trial
        said: list[list[Any]] = []
        try:
            report = next(self.reports)
            said.append(_told(report))
            while report.row is not None and not report.over and time.monotonic() < until:
                report = self.reports.send(True)
                said.append(_told(report))
        finally:
            faulthandler.cancel_dump_traceback_later()
        assert report.promise is not None
        self.promise = report.promise
        self.spoiled = report.failure is not None
        return said


def _told(report: Report) -> list[Any]:
    """A report as it travels."""
    return [json.dumps(asdict(replace(report, samples=None, portraits={}))), report.samples, report.portraits]


def _device() -> tuple[str, str | None]:
    """The device of this actor's trials: the GPU that Ray gave it. And why that is none, if Ray gave it one."""
    if not (given := ray.get_gpu_ids()):
        return "cpu", None
    if torch.cuda.is_available():
        return "cuda", None
    return "cpu", f"Ray gave it GPU {given[0]}, in which torch finds no GPU: it trains on the CPU"


class _Stateless:
    """Holds the driver, so Tune's snapshots and copies must leave it alone."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Stateless:
        return self


class Assignments(_Stateless, Searcher):
    """Tune's searcher: the driver's assignments, in its order."""

    def __init__(self, driver: Driver, bundles: Mapping[str, tune.PlacementGroupFactory]) -> None:
        super().__init__()
        self.driver, self.bundles = driver, bundles
        self.held: Assignment | None = None  # handed out by the driver, to whoever asks next
        self.trial_of: dict[str, str] = {}
        self.processes: dict[str, Process] = {}
        self.process_of: dict[Any, Process] = {}  # by the actor's id: a handle would keep it alive

    def suggest(self, trial_id: str) -> Any:
        """The next assignment; None to wait, FINISHED when there will be none."""
        if self.driver.finished:
            return Searcher.FINISHED
        assignment, self.held = self.held or self.driver.next(), None
        if assignment is None:
            return None
        self.trial_of[trial_id] = assignment.trial
        return {"assignment": json.dumps(asdict(assignment))}

    def follow(self, trial: Any) -> bool:
        """Whether Tune's trial, whose assignment is over, has another; none if it takes other resources.

        Trials of Tune's that wait for a place have precedence.
        """
        if any(name not in self.processes for name in self.trial_of):
            return False
        assignment = self.held = self.held or self.driver.next()
        if assignment is None or self.bundles[assignment.arm] != trial.placement_group_factory:
            return False
        self.held = None
        told = json.dumps(asdict(assignment))
        trial.temporary_state.ray_actor.follow.remote(told)  # before the step that Tune asks for next
        self.trial_of[trial.trial_id] = assignment.trial
        self.driver.placed(assignment.trial, UNKNOWN * assignment.patience)
        return True

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Forget the trial; one that Tune holds as failed was lost before, see `Decisions.on_trial_error`."""
        self.forget(trial_id)

    def started(self, trial: Any) -> None:
        """Tune's trial has an actor. One that is known by its reports is watched from now on, others after their first.

        So a warm actor need not say first that it lives, which would cost every trial a round trip. One that dies as
        it changes over to the trial may be told as lost first and as started then.
        """
        ours = self.trial_of.get(trial.trial_id)
        process = self.process_of.get(trial.temporary_state.ray_actor._actor_id)
        if ours is not None and process is not None:
            self.processes[trial.trial_id] = process
            self.driver.placed(ours, UNKNOWN * json.loads(trial.config["assignment"])["patience"])

    def heard(self, trial: Any, process: Process) -> None:
        """Tune's trial has reported from this process."""
        self.processes[trial.trial_id] = self.process_of[trial.temporary_state.ray_actor._actor_id] = process

    def forget(self, trial_id: str) -> str | None:
        """Whatever Tune says of its trial from now on means nothing. Returns our trial, if it was under way."""
        self.processes.pop(trial_id, None)
        return self.trial_of.pop(trial_id, None)

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
        ours = self.assignments.trial_of.get(trial.trial_id)
        if ours is None:  # it was given up for lost, and said something after all
            return TrialScheduler.STOP
        self.assignments.heard(trial, Process(**json.loads(result["process"])))
        said = result.pop("reports")  # Tune keeps the last result of every trial
        reports = [
            replace(Report(**json.loads(words)), samples=samples, portraits=portraits)
            for words, samples, portraits in said
        ]
        driver, last = self.assignments.driver, reports[-1]
        # one that ran to its end leaves its worker free, whatever the driver makes of it
        ended = last.over and last.row is not None and not driver.study.search.sequential
        followed = ended and self.assignments.follow(trial)
        # where reports came together and one stops the trial, the rest is as if it had never been trained
        stop = any(driver.take(ours, report) for report in reports)
        self.show()
        if not stop or followed or self.assignments.follow(trial):
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """The trial has lost its worker: everything else arrives as a report."""
        ours = self.assignments.forget(trial.trial_id)
        if ours is not None:
            self.assignments.driver.lost(ours, *_loss(trial))


def _loss(trial: Any) -> tuple[str, str]:
    """Why Tune's trial has failed, and what kind of loss that is."""
    # what Tune's own readers look for in the experiment's storage is still here, beside the driver
    file, pickled = trial.error_file, trial.pickled_error_file
    error = cloudpickle.loads(Path(pickled).read_bytes()) if pickled else None
    # the text begins with a line of Tune's
    why = str(error) if error else Path(file).read_text().partition("\n")[2] if file else "its worker died"
    if isinstance(error, RayActorError) and error.preempted:
        return why, "preempted"
    return why, "oom" if LOW_MEMORY in why else "lost"


class Watch(_Stateless, tune.Callback):
    """Looks for hung workers whenever Tune's loop comes round, also if nothing is reported any more."""

    def __init__(self, assignments: Assignments) -> None:
        self.assignments = assignments

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Watch its worker."""
        self.assignments.started(trial)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End the workers that are overdue."""
        driver, of_trial = self.assignments.driver, {ours: name for name, ours in self.assignments.trial_of.items()}
        for ours in driver.overdue():
            process = self.assignments.processes[of_trial[ours]]
            self.assignments.forget(of_trial[ours])
            where = f"process {process.pid}, node {process.node[:12]}"
            why = f"no report within the {driver.live[ours].promise:.1f} s that it promised"
            # said first: to end it on another node takes seconds
            log.warning("trial %s: %s: its worker is ended (%s)", ours, why, where)
            found, stack = _end(process)
            driver.lost(ours, f"{why}: {found} ({where})\n{stack}".strip(), "hung")


def _end(process: Process) -> tuple[str, str]:
    """Kill a worker's process wherever it is. Returns how it was found, and the stack that it left."""
    if process.node == ray.get_runtime_context().get_node_id():
        return process.end()
    there = NodeAffinitySchedulingStrategy(node_id=process.node, soft=False)
    ending = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(Process.end).remote(process)
    try:
        found: tuple[str, str] = ray.get(ending, timeout=FAR_SECONDS)
    except RayError as error:
        return f"its node does not answer ({type(error).__name__})", ""
    return found


def run(
    driver: Driver,
    workplace: Workplace | Shipment,
    show: Callable[[], None],
    *,
    workers: int | None,
    asked: Requests,
    scratch: Path,
) -> None:
    """Carry the driver's plan to its end on `workers` trials at a time (None: as many as the cluster holds).

    `asked` is what a trial of each arm takes. Tune reuses an actor for trials that take the same.
    """
    if workers is None:
        # Tune lets one trial wait for a place at a time: workers would start one after another, and one that is free
        # would be ended because the trial that waits takes other resources than its own
        waiting = max(MIN_WAITING, int(ray.cluster_resources().get("CPU", 1)))
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(waiting)
    bundles = {arm: tune.PlacementGroupFactory([dict(request)]) for arm, request in asked.items()}
    trainable = tune.with_parameters(TuneTrial, workplace=workplace)
    resources = tune.with_resources(trainable, lambda config: bundles[json.loads(config["assignment"])["arm"]])
    sys.setswitchinterval(SWITCH_SECONDS)
    while not driver.finished:
        assignments = Assignments(driver, bundles)
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
                callbacks=[Watch(assignments)],
                storage_path=str(scratch.resolve()),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        why = "Ray Tune ended without it"
        try:
            tuner.fit()
        except RuntimeError as error:
            # Ray's memory monitor ends fit() itself; nothing is lost, the rest goes on in a new one
            log.exception("Tune stopped")
            why = str(error)
        killed = _killed(assignments, why)
        for trial in list(driver.live):
            # those whose workers were not killed were ended with the rest
            driver.lost(trial, why, "lost" if not killed else "oom" if trial in killed else "interrupted")


def _killed(assignments: Assignments, why: str) -> set[str]:
    """The trials whose workers Ray's memory monitor killed, by its own account."""
    pids = set(re.findall(r"^Selected to kill: .*?\bpid=(\d+)", why, re.MULTILINE)) if LOW_MEMORY in why else set()
    return {
        ours
        for name, ours in assignments.trial_of.items()
        if (process := assignments.processes.get(name)) and str(process.pid) in pids and process.node in why
    }
