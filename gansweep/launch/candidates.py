"""The candidates of a tuning study: asked for when a worker is free, and written down before their trials start.

`candidates.jsonl` holds one per line: its factors, how often they were asked for before, and what the sampler noted.
It is the truth; Optuna's journal is brought to it at start. To the driver this looks like `search.Search`.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from optuna.trial import TrialState

from gansweep.goals import candidate_values, excess, has_failed, is_cut, measure
from gansweep.parts import content_id
from gansweep.plan import Plan, PlannedTrial
from gansweep.search import CandidateSearch, told
from gansweep.stability import Decision, Stream, first_finding
from gansweep.study import Study


class Admit(Protocol):
    """Takes a trial that was drawn after the start: with `check`, a `ValueError` if it cannot run."""

    def __call__(self, trial: PlannedTrial, *, check: bool) -> None: ...


class Candidates:
    """Asks for candidates, gathers how their trials end, and tells Optuna what each is worth.

    Every trial of a candidate is admitted, and a new one checked, before it is written down.
    """

    def __init__(self, study: Study, folder: Path, name: str, admit: Admit) -> None:
        self.study, self.admit, self.file = study, admit, folder / "candidates.jsonl"
        pruner = study.pruner and study.pruner.pruner(study.baseline.steps, study.baseline.evaluate_every)
        self.search = CandidateSearch(
            folder / "optuna.journal",
            name,
            directions=study.directions,
            space=study.space,
            search=study.search,
            pruner=pruner,
            seed=study.seed,
            goals=study.aims,
        )
        self.pruner_name = type(study.pruner).__name__ if study.pruner else ""
        self.plan = Plan(study=study, trials=())
        self.num_asked = 0
        self._times: Counter[str] = Counter()
        self._trials: dict[str, list[PlannedTrial]] = {}
        self._of: dict[str, PlannedTrial] = {}
        self._rows: dict[str, list[Mapping[str, Any]]] = {}
        self._outcomes: dict[str, Mapping[str, Any]] = {}
        self._cut: set[str] = set()
        for asked in self._written():
            self._take(asked)

    def _written(self) -> list[dict[str, Any]]:
        """The candidates of earlier drivers. A last line that a kill cut short was never begun: it is removed."""
        content = self.file.read_bytes() if self.file.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(self.file, len(whole))
        try:
            return [dict(json.loads(line)) for line in whole.splitlines()]
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.file} is damaged ({error}): start anew with another --home") from error

    def ask(self) -> tuple[PlannedTrial, ...]:
        """The trials of the next candidate; none if all were asked for."""
        if self.num_asked == self.study.num_cells:
            return ()
        asked = self.search.ask()
        asked["occurrence"] = self._times[content_id(asked["factors"])]
        for planned in self.plan.candidate(self.num_asked, asked["factors"], asked["occurrence"]):
            self.admit(planned, check=True)
        with open(self.file, "ab") as file:
            file.write(json.dumps(asked).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return self._take(asked)

    def _take(self, asked: dict[str, Any]) -> tuple[PlannedTrial, ...]:
        trials = self.plan.candidate(self.num_asked, asked["factors"], asked["occurrence"])
        for planned in trials:
            self.admit(planned, check=False)
        self.num_asked += 1
        self._times[content_id(asked["factors"])] += 1
        self.plan = self.plan + trials
        cell = trials[0].cell
        self.search.add(cell, asked)
        if not self.search.has_end(cell):
            self._trials[cell] = list(trials)
            self._of |= {planned.id: planned for planned in trials}
        return trials

    # --- what the driver calls

    def start(self, trial: str, params: Mapping[str, Any], choices: Mapping[str, Any], arms: Sequence[str]) -> None:
        """A trial starts: its candidate is there already."""
        if trial in self._of:
            self._rows.setdefault(trial, [])

    def report(self, trial: str, row: Mapping[str, Any]) -> None:
        """One report of a trial. Where a pruner compares runs on their way, their score goes to Optuna."""
        rows = self._rows.get(trial)
        if rows is None or (rows and row["step"] <= rows[-1]["step"]):
            return
        rows.append(row)
        score = row.get(self.study.aims[0])
        if self.study.pruner and self.study.pruner.within_runs and score is not None and math.isfinite(score):
            self.search.report(self._of[trial].cell, int(row["step"]), score)

    def would_prune(self, trial: str) -> bool:
        """Whether a rule of the study found that the run has failed."""
        return first_finding(self.study.rules, Stream(self._rows[trial]), ended=False) is not None

    def falls_behind(self, trial: str) -> bool:
        """Whether the study's pruner ends the run, or did end the trial's candidate."""
        cell = self._of[trial].cell
        if self.study.pruner is None or not self.study.pruner.within_runs:
            return cell in self._cut
        scored = self._rows[trial] and self._rows[trial][-1].get(self.study.aims[0]) is not None
        return bool(scored) and self.search.would_prune(cell)

    def has_end(self, trial: str) -> bool:
        """Whether Optuna holds the trial's candidate as ended."""
        return trial not in self._of

    def end(self, trial: str, outcome: Mapping[str, Any]) -> None:
        """A trial has ended; the last one of a candidate ends it in Optuna."""
        if trial not in self._of or trial in self._outcomes:
            return
        self._outcomes[trial] = outcome
        self._rows.pop(trial, None)
        cell = self._of[trial].cell
        ended = [self._outcomes.get(planned.id) for planned in self._trials[cell]]
        known = [one for one in ended if one is not None]
        if self.study.pruner and not self.study.pruner.within_runs:
            self._compare(cell, ended)
        if len(known) == len(ended):
            self._close(cell, known)

    def close(self) -> None:
        """Nothing to leave: a sampler needs all of Optuna's journal at the next start."""

    def _compare(self, cell: str, ended: Sequence[Mapping[str, Any] | None]) -> None:
        """Report the value of every seed that has ended, and see whether the pruner ends the candidate."""
        aim, failed_scores = self.study.aims[0], self.study.failed_scores
        for number, one in enumerate(ended):
            value = None if one is None else measure(one, aim, failed_scores)
            if value is not None:
                self.search.report(cell, number, value)
        # an earlier driver may have been killed while it ended the rest of a candidate
        begun = any(one is not None and is_cut(one) for one in ended)
        if begun or (None in ended and self.search.would_prune(cell)):
            self._cut.add(cell)

    def _close(self, cell: str, outcomes: list[Mapping[str, Any]]) -> None:
        study = self.study
        found = candidate_values(outcomes, study.aims, study.failed_scores)
        values = [value for value in found.values() if value is not None]
        lost = [one for one in outcomes if one["status"] != "done"]
        if lost:
            state, reason = TrialState.FAIL, f"{len(lost)} of {len(outcomes)} trials were lost to the machine"
        elif any(is_cut(one) for one in outcomes):
            state, reason = TrialState.PRUNED, f"ended by {self.pruner_name}"
        elif len(values) == len(found):
            state, reason = TrialState.COMPLETE, ""
        elif len(study.aims) == 1 and any(one.get("decision") == Decision.PRUNED for one in outcomes):
            state, reason = TrialState.PRUNED, "a rule ended it, and the study does not say what a failure counts as"
        else:
            state, reason = TrialState.FAIL, "without a finite score"
        complete = state == TrialState.COMPLETE
        why: dict[str, Any] = {"trials": [planned.id for planned in self._trials[cell]], **_told(outcomes)}
        why["failed_trials"] = sum(map(has_failed, outcomes))
        if reason:
            why["reason"] = reason
        beyond = excess(outcomes, study.limits)
        if broken := [f"{name} by {value:.3g}" for name, value in beyond.items() if value > 0]:
            why["beyond_limits"] = ", ".join(broken)  # optuna-dashboard does not show the constraints of Optuna 5
        self.search.end(cell, state, values if complete else None, beyond, why)
        for planned in self._trials.pop(cell):
            del self._of[planned.id], self._outcomes[planned.id]
        self._cut.discard(cell)


def _told(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What became of a candidate's trials: each field as it is for one trial, else how often it has each value."""
    if len(outcomes) == 1:
        return told(outcomes[0])
    fields = ("status", "failure", "verdict", "decision", "decision_rule")
    counted = {name: Counter(str(one[name]) for one in outcomes if one.get(name)) for name in fields}
    return {
        name: ", ".join(f"{value} {times}" for value, times in sorted(found.items()))
        for name, found in counted.items()
        if found
    }
