"""The only door to Optuna: drawing cells, asking for candidates, and Optuna's record of every trial and its end.

In a counting study an Optuna trial is a gansweep trial; in a tuning study it is a candidate. Optuna gets every score
by `report`, and at the end what became of it; the other numbers of a report stay in the trials' directories, and our
pruners see them by reference. The driver is the only writer.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.pruners import BasePruner
from optuna.storages.journal import BaseJournalBackend, JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from gansweep.randomness import derive_seed
from gansweep.space import Space, parameters
from gansweep.stability import Finding, Stream, first_finding
from gansweep.strategies import RandomSearch

optuna.logging.set_verbosity(optuna.logging.WARNING)
log = logging.getLogger(__name__)

REPORT = "report:"
ID = "gansweep.trial_id"
CANDIDATE = "gansweep.candidate"
SHOWN = ("status", "failure", "verdict", "evidence", "decision", "decision_rule")


def draw_cells(space: Mapping[str, Space], draws: int, seed: int, search: Any = None) -> list[dict[str, Any]]:
    """`draws` different points of the space, in the order of the seeded search; RandomSearch if there is none given.

    The first n of a longer list are the list of n. A study without a space has one empty cell.
    """
    if not space:
        return [{}]
    cells: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in (search or RandomSearch()).cells(space, derive_seed(seed, "cells", bits=31)):
        cells.setdefault(tuple(cell.items()), cell)
        if len(cells) == draws:
            break
    return list(cells.values())


class VerdictPruner(BasePruner):
    """Our rules as an Optuna pruner.

    In a stock study it sees the reported values as the first rule's score, and what stands in user attributes named
    `report:STEP`. Where the reports themselves are at hand, `streams` has them by the gansweep trial's id.
    """

    def __init__(
        self, *rules: Any, score: str = "inception_score", streams: Mapping[str, Stream] | None = None
    ) -> None:
        self.rules, self.score, self.streams = rules, score, streams or {}

    def finding(self, trial: FrozenTrial) -> Finding | None:
        """What the rules say of the trial now."""
        stream = self.streams.get(trial.user_attrs.get(ID, ""))
        return first_finding(
            self.rules, Stream(list(_reports(trial, self.score))) if stream is None else stream, ended=False
        )

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a rule found that the run has failed."""
        return self.finding(trial) is not None


def _reports(trial: FrozenTrial, score: str) -> Iterator[dict[str, Any]]:
    """The trial's reports in the order of their steps."""
    rows: dict[int, dict[str, Any]] = {}
    for name, row in trial.user_attrs.items():
        if name.startswith(REPORT):
            rows[row["step"]] = dict(row)
    for step, value in trial.intermediate_values.items():
        rows.setdefault(step, {"step": step}).setdefault(score, value)
    for step in sorted(rows):
        yield rows[step]


class JournalOfOne(BaseJournalBackend):
    """Optuna's journal file where one process alone writes: without a lock, and without waiting for the disk.

    Optuna's own backend does both for every entry, which takes ten times as long. What a machine that loses its power
    does not keep is added again when the study goes on, as everything is in the trials' folders. Others may read the
    file with Optuna's backend at any time.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._read = path, 0
        self._news: list[bytes] = []  # what was added since the last reading
        path.touch()
        with open(path, "rb+") as file:
            for line in file:
                if not line.endswith(b"\n"):  # a killed driver has cut it short
                    file.truncate(file.tell() - len(line))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The entries from that number on, which is where the last reading ended; the file is read once.

        Raises:
            ValueError: a line is damaged; the message says which, and what to do.
        """
        assert log_number_from == self._read
        if self._read:
            news, self._news = self._news, []
            yield from map(self._entry, news)
        else:
            self._news = []
            with open(self.path, "rb") as file:
                yield from map(self._entry, file)

    def _entry(self, line: bytes) -> dict[str, Any]:
        self._read += 1
        try:
            return dict(json.loads(line))
        except (ValueError, TypeError) as error:
            advice = "delete it, and it is built again from the trials' folders"
            raise ValueError(f"{self.path} is damaged in line {self._read}: {advice}") from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries, each as a line."""
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs]
        with open(self.path, "ab") as file:
            file.write(b"".join(lines))
        self._news += lines


class _Journal:
    """An Optuna study in a journal file; opening it again goes on with it.

    It is written through Optuna's storage, because adding a trial to a `Study` does not say which one it is, and
    looking for it takes longer the more there are. A trial is added by one entry of the journal, so that a kill leaves
    either none or a whole one. The file is read when it is first needed.
    """

    def __init__(self, path: Path, name: str, pruner: BasePruner, directions: Sequence[str]) -> None:
        self.path, self._name, self._pruner, self._directions = path, name, pruner, directions

    @functools.cached_property
    def _storage(self) -> JournalStorage:
        return JournalStorage(JournalOfOne(self.path))

    @functools.cached_property
    def study(self) -> optuna.Study:
        """The Optuna study."""
        return optuna.create_study(
            study_name=self._name,
            storage=self._storage,
            directions=[StudyDirection[direction.upper()] for direction in self._directions],
            sampler=optuna.samplers.RandomSampler(),
            pruner=self._pruner,
            load_if_exists=True,
        )

    @functools.cached_property
    def _study_number(self) -> int:
        return self._storage.get_study_id_from_name(self.study.study_name)

    def _add(self, trial: FrozenTrial) -> int:
        """Add a trial. Returns the number by which the storage knows it."""
        return self._storage.create_new_trial(self._study_number, template_trial=trial)

    def _known(self, key: str) -> dict[str, FrozenTrial]:
        """Every trial by what its user attribute says."""
        return {frozen.user_attrs[key]: frozen for frozen in self.study.get_trials(deepcopy=False)}

    def _close(self, number: int, state: TrialState, values: Sequence[float] | None, why: Mapping[str, Any]) -> None:
        for name, value in why.items():
            self._storage.set_trial_user_attr(number, f"gansweep.{name}", value)
        self.study.tell(self._storage.get_trial_number_from_id(number), values, state=state)


class Search(_Journal):
    """The Optuna study of one run of a counting study: a trial for each of the plan's.

    `metric` has the name of the score that is recorded and says whether higher is better. What `close` leaves beside
    the journal says which trials have ended in it, so that a study in which nothing is left to do is not read again.
    """

    def __init__(self, path: Path, name: str, pruner: BasePruner, metric: Any) -> None:
        super().__init__(path, name, pruner, ["maximize" if metric.higher_is_better else "minimize"])
        self.score = metric.name
        self.pruner_name = type(pruner).__name__
        self.rows: dict[str, list[Mapping[str, Any]]] = {}
        self.streams: dict[str, Stream] = {}
        if isinstance(pruner, VerdictPruner):
            pruner.streams = self.streams
        self._running: dict[str, int] = {}
        self._last_step: dict[str, int] = {}
        ended = self._closed()
        self._ended, self._is_read = ended or set(), False
        if ended is None:
            self._go_on()

    @property
    def _mark(self) -> Path:
        return self.path.with_suffix(".ended")

    def _closed(self) -> set[str] | None:
        """The trials that have ended in the journal, if it is as it was when the last driver closed it."""
        try:
            mark = json.loads(self._mark.read_bytes())
            return set(mark["ended"]) if mark["journal"] == _digest(self.path) else None
        except (FileNotFoundError, ValueError):  # never closed, or cut short
            return None

    def close(self) -> None:
        """Leave word of what has ended. To be called when nothing will be added."""
        if self._is_read:
            # where a kill or a full disk cuts it short, the journal is read after all
            self._mark.write_text(json.dumps({"journal": _digest(self.path), "ended": sorted(self._ended)}))

    def _go_on(self) -> None:
        """Read the journal: before anything is added to it."""
        self._is_read = True
        for trial_id, frozen in self._known(ID).items():
            if frozen.state.is_finished():
                self._ended.add(trial_id)
            else:
                self._running[trial_id] = frozen._trial_id
                self._last_step[trial_id] = -1 if frozen.last_step is None else frozen.last_step
                self._listen(trial_id)

    def start(
        self, trial_id: str, params: Mapping[str, Any], choices: Mapping[str, Space], arms: Sequence[str]
    ) -> None:
        """Make the Optuna trial of a gansweep trial, unless it is there. `params` are its factors and its arm."""
        if trial_id not in self._ended and not self._is_read:
            self._go_on()
        if trial_id in self._running or trial_id in self._ended:
            return
        drawn = list(parameters(choices, params))
        running = create_trial(
            state=TrialState.RUNNING,
            params={**{name: params[factor] for name, factor, _ in drawn}, "arm": params["arm"]},
            distributions={
                **{name: one.distribution() for name, _, one in drawn},
                "arm": CategoricalDistribution(tuple(arms)),
            },
            user_attrs={ID: trial_id},
        )
        self._running[trial_id], self._last_step[trial_id] = self._add(running), -1
        self._listen(trial_id)

    def _listen(self, trial_id: str) -> None:
        self.rows[trial_id] = []
        self.streams[trial_id] = Stream(self.rows[trial_id])

    def report(self, trial_id: str, row: Mapping[str, Any]) -> None:
        """Add one report, which must not change later; an older one, or one of an ended trial, is left out."""
        rows = self.rows.get(trial_id)
        if rows is None or (rows and row["step"] <= rows[-1]["step"]):
            return
        rows.append(row)
        value, step = row.get(self.score), int(row["step"])
        if value is not None and step > self._last_step[trial_id]:
            self._storage.set_trial_intermediate_value(self._running[trial_id], step, value)
            self._last_step[trial_id] = step

    def would_prune(self, trial_id: str) -> bool:
        """What the study's pruner says."""
        return self.study.pruner.prune(self.study, self._storage.get_trial(self._running[trial_id]))

    def ask(self) -> tuple[()]:
        """Nothing: the plan of a counting study is whole from the start."""
        return ()

    def falls_behind(self, trial_id: str) -> bool:
        """No: what ends runs because others are better would bias a count."""
        return False

    def has_end(self, trial_id: str) -> bool:
        """Whether Optuna holds the trial as ended."""
        return trial_id in self._ended

    def end(self, trial_id: str, outcome: Mapping[str, Any]) -> None:
        """Tell the end, once, with its reason in user attributes."""
        if trial_id not in self._running:
            return
        score = outcome.get(self.score)
        state = ending(outcome["status"], outcome.get("decision"), score)
        values = [float(score)] if state == TrialState.COMPLETE and score is not None else None
        self._close(self._running.pop(trial_id), state, values, told(outcome))
        self._ended.add(trial_id)
        del self.rows[trial_id], self.streams[trial_id], self._last_step[trial_id]


def _digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def told(outcome: Mapping[str, Any]) -> dict[str, str]:
    """What Optuna's user attributes say of the end of a trial."""
    return {name: str(outcome[name]) for name in SHOWN if outcome.get(name)}


def ending(status: str, decision: str | None, score: float | None) -> TrialState:
    """The Optuna state that says what happened: pruned by a rule, complete with a score, or failed."""
    if decision == "pruned":
        return TrialState.PRUNED
    finite = score is not None and math.isfinite(score)
    return TrialState.COMPLETE if status == "done" and finite else TrialState.FAIL


class CandidateSearch(_Journal):
    """The Optuna study of one run of a tuning study: a trial for each candidate.

    Candidates are asked of a copy in memory, which is faster than the journal and leaves nothing half asked there. The
    sampler is made anew for every candidate, with a seed that depends on the candidate's number: what it proposes
    follows from that and from what has ended, so no state of a sampler is lost with a driver.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        directions: Sequence[str],
        space: Mapping[str, Space],
        search: Any,
        pruner: BasePruner | None,
        seed: int,
        goals: Sequence[str] = (),
    ) -> None:
        super().__init__(path, name, pruner or optuna.pruners.NopPruner(), directions)
        if goals and self.study.metric_names is None:
            self.study.set_metric_names(list(goals))
        self.space, self.search, self.seed = space, search, seed
        self._notes = optuna.storages.InMemoryStorage()
        self._memory = optuna.create_study(
            study_name=name,
            storage=self._notes,
            directions=self.study.directions,
            sampler=optuna.samplers.RandomSampler(),
            pruner=optuna.pruners.NopPruner(),
        )
        self._memory_number = self._notes.get_study_id_from_name(name)
        self._numbers: dict[str, int] = {}
        self._running: set[str] = set()
        for candidate, frozen in self._known(CANDIDATE).items():
            self._memory.add_trial(frozen)
            self._numbers[candidate] = frozen._trial_id
            if not frozen.state.is_finished():
                self._running.add(candidate)

    def ask(self) -> dict[str, Any]:
        """The next candidate: its factors, and what the sampler noted about it (`system`) and the study (`study`)."""
        number, before = len(self._numbers), dict(self._notes.get_study_system_attrs(self._memory_number))
        self._memory.sampler = self.search.sampler(derive_seed(self.seed, "sampler", number, bits=31), self.space)
        trial, factors = self._memory.ask(), dict[str, Any]()
        for name, factor, one in parameters(self.space, factors):
            factors[factor] = one.suggest(trial, name)
        system = self._memory.get_trials(deepcopy=False)[number].system_attrs
        noted = self._notes.get_study_system_attrs(self._memory_number)
        new = {name: value for name, value in noted.items() if before.get(name) != value}
        return {"factors": factors, "system": dict(system), "study": new}

    def add(self, candidate: str, asked: Mapping[str, Any]) -> None:
        """Make the Optuna trial of a candidate, in the order in which they were asked for, unless it is there."""
        if candidate in self._numbers:
            self._note(asked)
            return
        drawn = list(parameters(self.space, asked["factors"]))
        running = create_trial(
            state=TrialState.RUNNING,
            params={name: asked["factors"][factor] for name, factor, _ in drawn},
            distributions={name: one.distribution() for name, _, one in drawn},
            user_attrs={CANDIDATE: candidate},
            system_attrs=dict(asked["system"]),
        )
        if len(self._memory.get_trials(deepcopy=False)) == len(self._numbers):  # an earlier driver asked for it
            self._memory.add_trial(running)
        self._note(asked)
        self._numbers[candidate] = self._add(running)
        self._running.add(candidate)

    def _note(self, asked: Mapping[str, Any]) -> None:
        for name, value in asked["study"].items():
            self._notes.set_study_system_attr(self._memory_number, name, value)

    def report(self, candidate: str, step: int, value: float) -> None:
        """A value on the way, which the pruner compares; a repeated step is left as it is."""
        if candidate in self._running and step not in self._frozen(candidate).intermediate_values:
            self._storage.set_trial_intermediate_value(self._numbers[candidate], step, value)

    def would_prune(self, candidate: str) -> bool:
        """What the study's pruner says."""
        return candidate in self._running and self.study.pruner.prune(self.study, self._frozen(candidate))

    def has_end(self, candidate: str) -> bool:
        """Whether Optuna holds the candidate as ended."""
        return candidate not in self._running

    def end(
        self,
        candidate: str,
        state: TrialState,
        values: Sequence[float] | None,
        excess: Mapping[str, float],
        why: Mapping[str, Any],
    ) -> None:
        """Tell the end, once: its values, by how much it is beyond the study's limits, and what happened."""
        if candidate not in self._running:
            return
        frozen = self._frozen(candidate)
        copy = self._memory.get_trials(deepcopy=False)[frozen.number]
        remembered, recorded = Trial(self._memory, copy._trial_id), Trial(self.study, frozen._trial_id)
        for trial in (remembered, recorded):
            for name in [name for name in excess if name not in trial.constraints]:  # a kill may have come after one
                trial.set_constraint(name, excess[name])
        for step in [step for step in frozen.intermediate_values if step not in copy.intermediate_values]:
            remembered.report(frozen.intermediate_values[step], step)
        self._memory.tell(frozen.number, values, state=state)
        self._close(self._numbers[candidate], state, values, why)
        self._running.discard(candidate)

    def _frozen(self, candidate: str) -> FrozenTrial:
        return self._storage.get_trial(self._numbers[candidate])
