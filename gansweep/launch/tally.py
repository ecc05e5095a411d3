"""What a person is shown of a sweep, counted up trial by trial, so that a look costs the same at any size."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from gansweep.plan import PlannedTrial


def in_a_word(outcome: Mapping[str, Any]) -> str:
    """How a trial ended: its verdict, its failure, or the pruner that ended it without either."""
    return str(outcome.get("verdict") or outcome.get("failure") or f"ended by {outcome.get('decision_rule')}")


class ArmTally:
    """One arm's trials: how many are planned and ended, how they ended, and what their steps took."""

    def __init__(self) -> None:
        self.planned = 0
        self.steps_to_come = 0  # of all trials that have not ended
        self.status: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.best: float | None = None
        self.seconds, self.steps = 0.0, 0  # of the trials that have ended


class Tally:
    """All arms of a plan, and its trials by their ids. `score` is the score's name, of which more or less is better."""

    def __init__(self, plan: Iterable[PlannedTrial], score: str, *, higher_is_better: bool) -> None:
        self.score, self.better = score, max if higher_is_better else min
        self.trials: dict[str, PlannedTrial] = {}
        self.arms: dict[str, ArmTally] = defaultdict(ArmTally)
        for planned in plan:
            self.expect(planned)

    def expect(self, planned: PlannedTrial) -> None:
        """Count a trial that will run."""
        self.trials[planned.id] = planned
        arm = self.arms[planned.arm]
        arm.planned += 1
        arm.steps_to_come += planned.config.steps

    def expect_more(self, arms: Iterable[str], num: int, steps: int) -> None:
        """Count trials of each arm that are not drawn yet."""
        for name in arms:
            self.arms[name].planned += num
            self.arms[name].steps_to_come += num * steps

    def draw(self, planned: PlannedTrial) -> None:
        """Learn what one of the trials that were counted before they were drawn is."""
        self.trials[planned.id] = planned

    @property
    def status(self) -> Counter[str]:
        """How many trials have ended with each status."""
        return sum((arm.status for arm in self.arms.values()), Counter())

    def add(self, planned: PlannedTrial, outcome: Mapping[str, Any]) -> None:
        """Count a trial that has ended."""
        arm = self.arms[planned.arm]
        arm.steps_to_come -= planned.config.steps
        arm.status[str(outcome["status"])] += 1
        arm.verdicts[in_a_word(outcome)] += 1
        if (score := outcome.get(self.score)) is not None:
            arm.best = score if arm.best is None else self.better(arm.best, score)
        if outcome.get("train_seconds") and outcome.get("step"):
            arm.seconds += outcome["train_seconds"] + (outcome.get("evaluate_seconds") or 0.0)
            arm.steps += outcome["step"]

    def seconds_left(self, under_way: Iterable[tuple[PlannedTrial, Mapping[str, Any]]]) -> float | None:
        """What is left for one worker, from the seconds per step of each arm so far; None if an arm's are not known.

        `under_way` are the trials that run, each with its last report, or an empty one.
        """
        seconds = {name: arm.seconds for name, arm in self.arms.items()}
        steps = {name: arm.steps for name, arm in self.arms.items()}
        left = {name: arm.steps_to_come for name, arm in self.arms.items()}
        for planned, row in under_way:
            if row.get("seconds") and row.get("step"):
                seconds[planned.arm] += row["seconds"] + (row.get("evaluate_seconds") or 0.0)
                steps[planned.arm] += row["step"]
                left[planned.arm] -= row["step"]
        if any(left[name] and not steps[name] for name in left):
            return None
        return sum(left[name] * seconds[name] / steps[name] for name in left if steps[name])
