"""Carries out one trial after another and reports: evaluation, sample grids and saved states around the training loop.

A worker is told a study file and a trial's cell and arm, rebuilds the configuration and checks its id. It knows neither
Ray nor Optuna nor MLflow; whoever iterates over `run` decides whether the trial goes on.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gansweep.data.opened import OpenData, open_data
from gansweep.data.training_set import TrainingSet
from gansweep.diagnostics import examine, real_spread, wasserstein
from gansweep.launch.pictures import SAMPLES_SHOWN, picture
from gansweep.launch.room import Room
from gansweep.launch.states import States
from gansweep.memory import exhausted, release
from gansweep.metrics.subject import Subject
from gansweep.parts import content_id, describe
from gansweep.portraits import Sitter, take_all
from gansweep.selection import Selection
from gansweep.training import (
    Step,
    TrainState,
    evaluator,
    fingerprints,
    indivisible,
    penalty_parity,
    sample,
    shared_weights,
    train,
)
from gansweep.trial import TrialConfig

STATE_EVERY_SECONDS = 10.0
STATE_MAX_SHARE = 0.01


@dataclass(frozen=True)
class Workplace:
    """What every worker of a launch shares: the study, where things are, and what was prepared for it.

    `states` is the place of the training states. `data` maps the content id of a data set's part to its cache entry,
    where it has one; `judges` the same to what was prepared for each of the study's metrics.
    """

    selection: Selection
    states: str
    data: Mapping[str, Path | None]
    judges: Mapping[str, tuple[Path | None, ...]]
    device: str = "auto"
    keep_states: bool = False


@dataclass(frozen=True)
class Assignment:
    """One attempt at one trial.

    `recorded_step` is the last step that is in the trial's history, `patience` the least of seconds to be promised.
    """

    trial: str
    arm: str
    factors: Mapping[str, Any]
    seed: int
    attempt: int
    recorded_step: int
    patience: float = 30.0


@dataclass(frozen=True)
class Report:
    """What a worker says: a history row, or why there is none. `over` says that no more will come.

    A report without any of these is a sign of life. `samples` is a PNG, `portraits` the NPZ of one frame of each
    portrait by its name. `promise` is the time in seconds within which the next one comes.
    """

    row: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    samples: bytes | None = None
    portraits: dict[str, bytes] = field(default_factory=dict)
    over: bool = False
    cancelled: bool = False
    note: str | None = None
    failure: str | None = None
    error: str | None = None
    promise: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation adds to a report: numbers for the row, a picture of samples, and files of portraits."""

    numbers: dict[str, float] = field(default_factory=dict)
    samples: bytes | None = None
    portraits: dict[str, bytes] = field(default_factory=dict)


# sent True, a worker knows that its report is on its way only: the trial may go on, and nothing be saved
Reports = Generator[Report, bool | None]


def resolve_device(name: str) -> torch.device:
    """The device of that name; "auto" takes CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from error


class Worker:
    """Runs trials of one study. The data and the judges of the metrics are loaded once and stay on the device."""

    def __init__(self, workplace: Workplace) -> None:
        # one thread per trial: two are no faster at these sizes, and sums then have one order everywhere
        torch.set_num_threads(1)
        self.workplace = workplace
        self.study = workplace.selection.study(data_is_here=False)
        self.device = resolve_device(workplace.device)
        self.states = States(workplace.states)
        self._data: dict[str, OpenData] = {}
        self._judges: dict[str, list[Any]] = {}
        self._spreads: dict[str, torch.Tensor] = {}
        self._parities: dict[str, str | None] = {}

    def run(self, assignment: Assignment) -> Reports:
        """Train the trial, or go on with it. Errors of the trial become its last report; a bad state starts it anew.

        Where memory runs out the trial goes on from its last state, with smaller micro-batches where that is exact.
        """
        room = Room(assignment.recorded_step, self.device)
        while True:
            try:
                yield from self._run(assignment, room)
                return
            except Exception as error:
                if not exhausted(error):
                    yield Report(over=True, failure="crashed", error=traceback.format_exc()[-4000:])
                    return
                said = str(error)
            # only now, since inside the clause the traceback refers to everything that the trial had allocated
            for cache in (self._data, self._judges, self._spreads):
                cache.clear()
            release()
            if (note := room.retry()) is None:
                yield Report(over=True, failure="oom", error=room.verdict(said))
                return
            yield Report(note=note)

    def _run(self, assignment: Assignment, room: Room) -> Reports:
        config = self.study.resolve(assignment.factors, assignment.arm, assignment.seed)
        if config.id != assignment.trial:
            raise ValueError(f"trial {assignment.trial} is {config.id} here: the study file or gansweep differs")
        room.doing, room.batch_size = "loading", config.batch_size
        data = self._open(config.data)
        training = data.training
        state = TrainState.build(config, shape=training.shape, num_classes=training.num_classes, device=self.device)
        facts: dict[str, Any] = {
            "device": _device_name(self.device),
            **self._fingerprints(config, assignment, state, training),
        }
        spent = {"evaluate_seconds": 0.0, "record_seconds": 0.0}
        room.indivisible = indivisible(config, state)
        note = None
        try:
            if saved := self.states.load(assignment.trial, self.device):
                if saved["train"]["step"] > room.recorded_step:  # the machine lost its power, and reports with it
                    raise ValueError(f"the training state is ahead of the reports up to {room.recorded_step}")
                state.load_state_dict(saved["train"])
                spent = saved["spent"]
                room.micro_batch = room.micro_batch or saved["micro_batch"]
        except (ValueError, OSError) as error:
            note = f"{error}; the trial starts again"
        if why_eager := self._parity(config, state, data, room.micro_batch):
            note = note or f"{why_eager}; it is computed without torch.compile"
        facts["micro_batch"] = room.micro_batch
        saved_at, cost = time.monotonic(), 0.0
        compiled = config.compile_penalty and why_eager is None
        layers, parts = self.study.traces == "layers", room.micro_batch
        room.doing = "training"
        for step in train(config, state, training, self.device, compiled=compiled, layers=layers, micro_batch=parts):
            started = time.monotonic()
            # what was recorded before an interruption is computed again, bit for bit with the same micro-batch, and not
            # reported again
            report = Report(note=note)
            if step.step > room.recorded_step:
                over = step.nonfinite_step is not None or step.step == config.steps
                evaluate = step.nonfinite_step is None and (over or step.step % config.evaluate_every == 0)
                room.doing = "evaluating" if evaluate else "training"
                seen = self._evaluate(config, state, data, step, spent) if evaluate else Evaluation()
                room.doing = "training"
                row = {
                    "step": step.step,
                    "images_seen": step.images_seen,
                    "seconds": step.seconds,
                    **step.scalars,
                    **seen.numbers,
                    "nonfinite_step": step.nonfinite_step,
                    "time_ms": time.time_ns() // 1_000_000,
                    **spent,
                }
                report = Report(
                    row=row, facts=facts, samples=seen.samples, portraits=seen.portraits, over=over, note=note
                )
                started = time.monotonic()
            try:
                ahead = yield report
            except GeneratorExit:
                if self.workplace.keep_states:
                    self._save(state, spent, assignment, room)
                raise
            room.recorded_step = max(room.recorded_step, step.step)
            note = None
            if ahead:
                continue
            # only now is the row in the trial's history: a state ahead of it would lose the row in a kill
            now = time.monotonic()
            cancelled, note = self._asked_to_stop()
            if cancelled or now - saved_at > max(STATE_EVERY_SECONDS, cost / STATE_MAX_SHARE):
                note = self._save(state, spent, assignment, room)
                saved_at = time.monotonic()
                cost = saved_at - now
            spent["record_seconds"] += time.monotonic() - started
            if cancelled:
                yield Report(over=True, cancelled=True, note=note)
                return

    def _asked_to_stop(self) -> tuple[bool, str | None]:
        """Whether the driver wants the trial to stop, or why that is not known: then the trial trains on."""
        try:
            return self.states.asked_to_stop(), None
        except OSError as error:
            return False, f"whether to stop cannot be found out: {error}"

    def _save(self, state: TrainState, spent: Mapping[str, float], assignment: Assignment, room: Room) -> str | None:
        """Save the training state; why it could not be, where the disk is full: then the trial trains on."""
        whole = {"train": state.state_dict(), "spent": dict(spent), "micro_batch": room.micro_batch}
        try:
            self.states.save(assignment.trial, whole, assignment.attempt)
        except OSError as error:
            return f"its state cannot be saved: {error}"
        return None

    def _evaluate(
        self,
        config: TrialConfig,
        state: TrainState,
        data: OpenData,
        step: Step,
        spent: dict[str, float],
    ) -> Evaluation:
        """Every score of the study, and more, on fresh samples in evaluation mode, with its pictures."""
        started = time.monotonic()
        num = max(SAMPLES_SHOWN, *(metric.num_samples for metric in self.study.metrics))
        drawn = sample(config, state, num, self.device, data=data.training)
        subject = Subject(drawn.x, drawn.labels, evaluator(config, state), data)
        scores: dict[str, float] = {}
        for metric, judge in zip(self.study.metrics, self._load_judges(config.data), strict=True):
            scored = subject.finite or not metric.num_samples
            scores |= metric.measure(subject, judge) if scored else dict.fromkeys(metric.columns, float("nan"))
        found = examine(config, state, data.training, drawn, self._spread(config.data), self.device)
        # waited for once
        scores |= dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))
        if config.loss.estimates_wasserstein and "lipschitz_max" in scores:
            outputs = step.scalars["output_real"], step.scalars["output_fake"]
            if (estimate := wasserstein(*outputs, scores["lipschitz_max"])) is not None:
                scores["wasserstein"] = estimate
        shown = picture(subject.samples, data)
        sitter = Sitter(config, state, data.training, drawn, self.device)
        numbers, portraits = take_all(self.study.portraits, sitter, step.step)
        spent["evaluate_seconds"] += time.monotonic() - started
        return Evaluation(scores | numbers, shown, portraits)

    def _fingerprints(
        self, config: TrialConfig, assignment: Assignment, state: TrainState, training: TrainingSet
    ) -> dict[str, str]:
        """Those of the trial, with what all arms of its block share of the initial weights."""
        arms = [self.study.resolve(assignment.factors, arm, assignment.seed) for arm in self.study.arms]
        block = [arm for arm in arms if arm.data == config.data]
        return fingerprints(config, state, training, self.device, shared_weights(block, training))

    def _parity(self, config: TrialConfig, state: TrainState, data: OpenData, micro_batch: int | None) -> str | None:
        """Why the penalty is not compiled though the trial asks for it; found out once for each pair of networks."""
        if not config.compile_penalty:
            return None
        fields = (config.discriminator, config.loss, config.constraint, config.batch_size, config.data)
        key = content_id([*(describe(field) for field in fields), micro_batch])
        if key not in self._parities:
            self._parities[key] = penalty_parity(config, state, data.training, self.device, micro_batch)
        return self._parities[key]

    def _spread(self, part: Any) -> torch.Tensor:
        key = content_id(part)
        if key not in self._spreads:
            self._spreads[key] = real_spread(self._open(part).training, self.device)
        return self._spreads[key]

    def _open(self, part: Any) -> OpenData:
        key = content_id(part)
        if key not in self._data:
            self._data[key] = open_data(part, self.workplace.data[key], self.device)
        return self._data[key]

    def _load_judges(self, part: Any) -> list[Any]:
        key = content_id(part)
        if key not in self._judges:
            prepared = zip(self.study.metrics, self.workplace.judges[key], strict=True)
            self._judges[key] = [metric.load(self._open(part), path, self.device) for metric, path in prepared]
        return self._judges[key]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
