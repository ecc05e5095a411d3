"""The only door to Optuna: drawing cells, and one Optuna trial per gansweep trial with its reports and its end.

An Optuna trial gets every score by `report` and every other number of a report as the user attribute `report:STEP`,
from which our pruners rebuild the stream. The driver is the only writer.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.pruners import BasePruner
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from gansweep.randomness import derive_seed
from gansweep.space import Space
from gansweep.stability import Finding, Stream, first_finding

optuna.logging.set_verbosity(optuna.logging.WARNING)
log = logging.getLogger(__name__)

REPORT = "report:"
ID = "gansweep.trial_id"


def draw_cells(space: Mapping[str, Space], draws: int, seed: int) -> list[dict[str, Any]]:
    """`draws` different points of the space, drawn uniformly without replacement by a seeded Optuna sampler.

    The first n of a longer list are the list of n. A study without a space has one empty cell.
    """
    if not space:
        return [{}]
    sampler = optuna.samplers.RandomSampler(seed=derive_seed(seed, "cells", bits=31))
    study = optuna.create_study(sampler=sampler)
    distributions = {path: one.distribution() for path, one in space.items()}
    cells: dict[tuple[Any, ...], dict[str, Any]] = {}
    while len(cells) < draws:
        trial = study.ask(distributions)
        cells.setdefault(tuple(trial.params.items()), dict(trial.params))
    return list(cells.values())


class VerdictPruner(BasePruner):
    """Our rules as an Optuna pruner. In a stock study it sees the reported values as the first rule's score."""

    def __init__(self, *rules: Any, score: str = "inception_score") -> None:
        self.rules, self.score = rules, score

    def finding(self, trial: FrozenTrial) -> Finding | None:
        """What the rules say of the trial now."""
        return first_finding(self.rules, Stream(list(_reports(trial, self.score))), ended=False)

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


def _last_whole_step(trial: FrozenTrial, score: str) -> int:
    """The last step whose report is there in full: a kill can come between a row and its score. -1 if there is none."""
    rows = [row for name, row in trial.user_attrs.items() if name.startswith(REPORT)]
    whole = [row["step"] for row in rows if row.get(score) is None or row["step"] in trial.intermediate_values]
    return max(whole, default=-1)


def _mend(journal: Path) -> None:
    """Drop what a killed driver left: its lock, and a last line that was cut short. Call while no driver runs."""
    journal.with_name(journal.name + ".lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(journal, content.rfind(b"\n") + 1)


class Search:
    """The Optuna study of one run of a study, in a journal file; opening it again goes on with it.

    `metric` has the name of the score that is searched and says whether higher is better.
    """

    def __init__(self, path: Path, name: str, pruner: BasePruner, metric: Any) -> None:
        self.score = metric.name
        _mend(path)
        self.study = optuna.create_study(
            study_name=name,
            storage=JournalStorage(JournalFileBackend(str(path))),
            direction="maximize" if metric.higher_is_better else "minimize",
            pruner=pruner,
            load_if_exists=True,
        )
        self._numbers: dict[str, int] = {}
        self._running: dict[str, Trial] = {}
        self._last_step: dict[str, int] = {}
        for frozen in self.study.get_trials(deepcopy=False):
            trial_id = frozen.user_attrs[ID]
            self._numbers[trial_id] = frozen.number
            if not frozen.state.is_finished():
                self._running[trial_id] = Trial(self.study, frozen._trial_id)
                self._last_step[trial_id] = _last_whole_step(frozen, self.score)

    def start(
        self, trial_id: str, params: Mapping[str, Any], choices: Mapping[str, Space], arms: Sequence[str]
    ) -> None:
        """Make the Optuna trial of a gansweep trial, unless it is there."""
        if trial_id in self._numbers:
            return
        distributions = {path: space.distribution() for path, space in choices.items()}
        distributions["arm"] = CategoricalDistribution(tuple(arms))
        # one entry of the journal, so that a kill leaves either no trial or a whole one (enqueue and ask are several)
        running = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=distributions,
            user_attrs={ID: trial_id},
        )
        self.study.add_trial(running)
        added = self.study.get_trials(deepcopy=False)[-1]
        assert added.user_attrs[ID] == trial_id
        self._numbers[trial_id], self._running[trial_id] = added.number, Trial(self.study, added._trial_id)

    def report(self, trial_id: str, row: Mapping[str, Any]) -> None:
        """Add one report; a step that is already there, or a trial that has ended, is left as it is."""
        step, trial = int(row["step"]), self._running.get(trial_id)
        if trial is None or step <= self._last_step.get(trial_id, -1):
            return
        trial.set_user_attr(f"{REPORT}{step:09d}", dict(row))
        if (value := row.get(self.score)) is not None:
            trial.report(value, step)
        self._last_step[trial_id] = step

    def would_prune(self, trial_id: str) -> bool:
        """What the study's pruner says."""
        return self._running[trial_id].should_prune()

    @property
    def running(self) -> set[str]:
        """The trials that Optuna holds as running."""
        return set(self._running)

    def end(self, trial_id: str, state: TrialState, score: float | None, why: Mapping[str, Any]) -> None:
        """Tell the end, once, with its reason in user attributes."""
        trial = self._running.pop(trial_id, None)
        if trial is None:
            return
        for name, value in why.items():
            trial.set_user_attr(f"gansweep.{name}", value)
        self.study.tell(self._numbers[trial_id], score if state == TrialState.COMPLETE else None, state=state)


def ending(status: str, decision: str | None, score: float | None) -> TrialState:
    """The Optuna state that says what happened: pruned by a rule, complete with a score, or failed."""
    if decision == "pruned":
        return TrialState.PRUNED
    finite = score is not None and math.isfinite(score)
    return TrialState.COMPLETE if status == "done" and finite else TrialState.FAIL
