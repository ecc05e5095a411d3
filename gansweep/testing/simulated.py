"""A study on virtual workers in virtual time: nothing is trained, and everything else is real.

The plan, the driver, the search and the records are those of a launch, and so are all files and the tracking store;
only what a worker would say is made up, by a `Behaviour` and each trial's id. An hour of a thousand workers passes as
fast as the driver can take its reports. For what a study's rules and pruners would do at scale, for what the engine
costs, and for faults at rates that no machine has.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gansweep.launch.candidates import Candidates
from gansweep.launch.driver import Driver
from gansweep.launch.sweep import Settings, Swept, sweep
from gansweep.launch.worker import Assignment, Report, Workplace
from gansweep.parts import above, at_least, override, part
from gansweep.plan import PlannedTrial
from gansweep.randomness import derive_seed
from gansweep.recorder import Recorder
from gansweep.search import Search, VerdictPruner
from gansweep.selection import Selection
from gansweep.study import Study

DEVICE = "simulated"


@part
class Behaviour:
    """What virtual trials do. Every number of a trial follows from the behaviour, the `seed` and the trial's id.

    `success` is the share of the trials that learn: their score goes from `untrained` towards `trained`, half of the
    way in the share `half` of their steps; the others stay at `untrained`. `spread` is the standard deviation of the
    logarithm of `half` and of a trial's speed, `noise` that of a score around its course. `agreement`, in [0, 1], is
    how much the arms of a block succeed and fail together.

    Of all trials, the shares `diverge` and `crash` have a loss that is not finite, or an error in their code, at some
    report. At each report a worker dies with probability `loss` and stops answering with probability `hang`.

    `seconds_per_step` and `startup_seconds` (of an attempt) are virtual. `arms` changes fields for the arms it names.
    """

    success: float = 0.8
    untrained: float = 1.0
    trained: float = 5.0
    half: float = 0.25
    spread: float = 0.25
    noise: float = 0.05
    agreement: float = 0.0
    diverge: float = 0.0
    crash: float = 0.0
    loss: float = 0.0
    hang: float = 0.0
    seconds_per_step: float = 0.05
    startup_seconds: float = 0.1
    arms: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        above(self, half=0, seconds_per_step=0)
        at_least(self, spread=0, noise=0, startup_seconds=0, seed=0)
        for name in ("success", "agreement", "diverge", "crash", "loss", "hang"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Behaviour.{name} = {getattr(self, name)!r} must lie in [0, 1]")
        if self.diverge + self.crash > 1:
            raise ValueError(f"Behaviour.diverge + crash = {self.diverge + self.crash} must be at most 1")
        for arm in self.arms:
            self.of(arm)

    def of(self, arm: str) -> Behaviour:
        """The behaviour of that arm's trials."""
        changes = self.arms.get(arm)
        return override(dataclasses.replace(self, arms={}), changes) if changes else self


class VirtualTrial:
    """One trial's course under a behaviour, whoever runs it, and however often it is begun."""

    def __init__(self, behaviour: Behaviour, planned: PlannedTrial, scores: Mapping[str, bool]) -> None:
        """`scores` says of each column of the study's metrics whether it is a score, or something beside one."""
        self.behaviour = behaviour = behaviour.of(planned.arm)
        self.id, self.config, self.scores = planned.id, planned.config, scores
        draw = np.random.default_rng(derive_seed(behaviour.seed, planned.id))
        shared, own = _normal(behaviour.seed, planned.cell), draw.standard_normal()
        luck = math.sqrt(behaviour.agreement) * shared + math.sqrt(1 - behaviour.agreement) * own
        self.learns = _cdf(luck) < behaviour.success
        self.half = behaviour.half * math.exp(behaviour.spread * draw.standard_normal())
        self.seconds_per_step = behaviour.seconds_per_step * math.exp(behaviour.spread * draw.standard_normal())
        self.steps = [*range(self.config.report_every, self.config.steps, self.config.report_every), self.config.steps]
        fate, at = draw.random(), self.steps[int(draw.integers(len(self.steps)))]
        self.diverges_at = at if fate < behaviour.diverge else None
        self.crashes_at = at if behaviour.diverge <= fate < behaviour.diverge + behaviour.crash else None

    def row(self, step: int, time_ms: int) -> dict[str, Any]:
        """The report of one step, as a worker makes it."""
        config = self.config
        draw = np.random.default_rng(derive_seed(self.behaviour.seed, self.id, step))
        wobble = np.exp(0.1 * draw.standard_normal(4))
        gone = self.diverges_at is not None and step >= self.diverges_at
        evaluated = not gone and (step == config.steps or step % config.evaluate_every == 0)
        return {
            "step": step,
            "images_seen": step * config.n_critic * config.batch_size,
            "seconds": step * self.seconds_per_step,
            "loss_discriminator": float("nan") if gone else float(wobble[0]),
            "loss_generator": float(wobble[1]),
            "gradient_norm_generator": float(wobble[2]),
            "gradient_norm_discriminator": float(wobble[3]),
            "weight_change_generator": 1e-3,
            "weight_change_discriminator": 1e-3,
            **(self._scores(step, draw) if evaluated else {}),
            "nonfinite_step": self.diverges_at if gone else None,
            "time_ms": time_ms,
            "evaluate_seconds": 0.0,
            "record_seconds": 0.0,
        }

    def _scores(self, step: int, draw: np.random.Generator) -> dict[str, float]:
        low, high = self.behaviour.untrained, self.behaviour.trained
        learnt = 1 - 0.5 ** (step / self.config.steps / self.half) if self.learns else 0.0
        score = low + (high - low) * learnt + self.behaviour.noise * draw.standard_normal()
        found = {name: float(score) if main else self.behaviour.noise for name, main in self.scores.items()}
        return {**found, "sample_diversity": 0.5 + 0.5 * learnt}

    def dies(self, step: int, attempt: int) -> str | None:
        """Whether the worker of that attempt is lost on its way to that report, or hangs."""
        draw = np.random.default_rng(derive_seed(self.behaviour.seed, self.id, "fault", attempt, step)).random()
        if draw < self.behaviour.loss:
            return "loss"
        return "hang" if draw < self.behaviour.loss + self.behaviour.hang else None


def _normal(*names: int | str) -> float:
    return float(np.random.default_rng(derive_seed(*names)).standard_normal())


def _cdf(value: float) -> float:
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


@dataclasses.dataclass(frozen=True)
class Simulated:
    """What a simulated sweep took: reports, the driver's wall-clock and CPU seconds for them, and virtual seconds.

    The recorder writes from a thread of its own, whose time is not in the driver's CPU seconds.
    """

    reports: int
    driver_seconds: float
    driver_cpu_seconds: float
    virtual_seconds: float


def run(driver: Driver, behaviour: Behaviour, show: Callable[[], None], *, workers: int) -> Simulated:
    """Carry the driver's plan to its end on that many virtual workers. `show` is called after every report."""
    scores = {column: column == metric.name for metric in driver.study.metrics for column in metric.columns}
    began, cpu_began = time.perf_counter(), time.thread_time()
    epoch_ms, clock, reports = time.time_ns() // 1_000_000, 0.0, 0
    idle, number = workers, 0
    # the next thing that each busy worker says, by when it says it
    coming: list[tuple[float, int, str, str, Any]] = []
    attempts: dict[str, Iterator[tuple[float, str, Any]]] = {}

    def follow(trial: str) -> None:
        nonlocal number
        number += 1
        seconds, kind, said = next(attempts[trial])
        heapq.heappush(coming, (clock + seconds, number, trial, kind, said))

    def leave(trial: str) -> None:
        nonlocal idle
        del attempts[trial]
        idle += 1

    while True:
        while idle and (assignment := driver.next()):
            idle -= 1
            virtual = VirtualTrial(behaviour, driver.tally.trials[assignment.trial], scores)
            attempts[assignment.trial] = _attempt(virtual, assignment)
            follow(assignment.trial)
        if not coming:
            break
        clock, _, trial, kind, said = heapq.heappop(coming)
        if kind != "report":
            leave(trial)
            driver.lost(trial, said, kind)
            continue
        if said.row is not None:
            said.row["time_ms"] = epoch_ms + int(1000 * clock)
        over = driver.take(trial, said)
        reports += 1
        if not over and driver.stopping:
            over = driver.take(trial, Report(over=True, cancelled=True))
        show()
        if over:
            leave(trial)
        else:
            follow(trial)
    return Simulated(reports, time.perf_counter() - began, time.thread_time() - cpu_began, clock)


def _attempt(virtual: VirtualTrial, assignment: Assignment) -> Iterator[tuple[float, str, Any]]:
    """What the worker of one attempt says, each after so many seconds: a report, or that it is gone."""
    pause = virtual.behaviour.startup_seconds
    facts = {"device": DEVICE, **{f"fingerprint_{what}": DEVICE for what in ("data", "latent", "init")}}
    before = assignment.recorded_step
    for step in virtual.steps:
        if step <= assignment.recorded_step:
            continue
        seconds = pause + (step - before) * virtual.seconds_per_step
        pause, before = 0.0, step
        fault = virtual.dies(step, assignment.attempt)
        if fault == "loss":
            yield seconds / 2, "lost", "the virtual worker died"
            return
        if fault == "hang":
            yield 2 * seconds, "hung", "the virtual worker fell silent"
            return
        if step == virtual.crashes_at:
            error = 'File "simulated.py"\nRuntimeError: a virtual crash'
            yield seconds, "report", Report(over=True, failure="crashed", error=error)
            return
        row = virtual.row(step, 0)
        over = row["nonfinite_step"] is not None or step == virtual.config.steps
        yield seconds, "report", Report(row=row, facts=facts, over=over)


class Unrecorded(Recorder):
    """A recorder that writes nothing: what is in the trials' folders is all there is."""

    def __init__(self) -> None:
        """Connect to nothing."""

    @property
    def behind(self) -> str:
        """Nothing waits."""
        return ""

    def has_end(self, trial: str) -> bool:
        """Yes: there is nothing to make up for."""
        return True

    def start(self, planned: Mapping[str, Any], fields: Any, folder: Path, started_ms: int) -> None:
        """Nothing to write."""

    def news(self, trial: str) -> None:
        """Nothing to write."""

    def end(self, trial: str) -> None:
        """Nothing to write."""

    def cancel(self, trial: str, told: Mapping[str, Any]) -> None:
        """Nothing to write."""


def unrecorded_driver(study: Study, folder: Path) -> Driver:
    """The real driver of a study with its real search, and without data, metrics and MLflow, in a new folder."""
    (folder / "trials").mkdir(parents=True)
    search: Search | Candidates
    if study.search.sequential:
        search = Candidates(study, folder, study.name, lambda trial, *, check: None)
        plan = search.plan
    else:
        metric = study.metrics[0]
        search = Search(folder / "optuna.journal", study.name, VerdictPruner(*study.rules, score=metric.name), metric)
        plan = study.plan()
    return Driver(plan, folder, search, Unrecorded(), defaultdict(dict))


def rehearse(study: Study, folder: Path, behaviour: Behaviour, *, workers: int = 1) -> tuple[Driver, Simulated]:
    """A study of any size on virtual workers, without data, metrics and MLflow, in a new folder.

    Of the driver that is returned, `outcomes` holds what every trial came to.
    """
    driver = unrecorded_driver(study, folder)
    told = run(driver, behaviour, lambda: None, workers=workers)
    driver.close()
    return driver, told


def simulate(selection: Selection, settings: Settings, behaviour: Behaviour) -> tuple[Swept, Simulated]:
    """A whole launch of a study with virtual workers in place of real ones, `settings.workers` of them.

    Everything is written as by a launch, under `settings.home`, and marked: a launch of the same study refuses to go on
    with what was simulated, and the other way round.
    """
    taken: list[Simulated] = []

    def execute(driver: Driver, workplace: Workplace, show: Callable[[], None]) -> None:
        taken.append(run(driver, behaviour, show, workers=settings.workers or 1))

    swept = sweep(selection, settings, execute)
    return swept, taken[0] if taken else Simulated(0, 0.0, 0.0, 0.0)
