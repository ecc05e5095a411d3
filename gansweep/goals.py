"""What a tuning study makes better: the value of a candidate from the outcomes of its trials. Plain Python.

A candidate is evaluated by one trial per arm and seed, and its value for a goal is a mean over all of them. The driver
tells it to Optuna and the report draws it; both ask here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FAILURES = "failures"
SECONDS = "seconds_per_step"
MEASURED = (FAILURES, SECONDS)  # goals and limits that are no score; less is better


def has_failed(outcome: Mapping[str, Any]) -> bool:
    """Whether the trial ended with the verdict of a failure."""
    return outcome.get("verdict") not in (None, "trained")


def is_cut(outcome: Mapping[str, Any]) -> bool:
    """Whether a pruner, and no rule of ours, ended the trial: there is no verdict on it."""
    return outcome.get("decision") == "pruned" and outcome.get("verdict") is None


def measure(outcome: Mapping[str, Any], goal: str, failed_scores: Mapping[str, float]) -> float | None:
    """One trial's contribution to a goal; None if it has none.

    A failed run that did not reach its end, or has no score, counts with `failed_scores[goal]`, if that is declared.
    """
    if outcome.get("status") != "done" or is_cut(outcome):
        return None
    if goal == FAILURES:
        return float(has_failed(outcome))
    if goal == SECONDS:
        step = outcome.get("step")
        return outcome["train_seconds"] / step if step else None
    score = outcome.get(goal)
    known = score is not None and math.isfinite(score)
    if has_failed(outcome) and (outcome.get("decision") == "pruned" or not known):
        return failed_scores.get(goal)
    return float(score) if known else None  # type: ignore[arg-type]


def mean(values: Iterable[float | None]) -> float | None:
    """The mean, or None if any value is missing: a mean over survivors would favour candidates that fail."""
    found = list(values)
    known = [value for value in found if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(found) else None


def candidate_values(
    outcomes: Sequence[Mapping[str, Any]], goals: Sequence[str], failed_scores: Mapping[str, float]
) -> dict[str, float | None]:
    """The candidate's value for each goal; None where a trial has no contribution."""
    return {goal: mean(measure(outcome, goal, failed_scores) for outcome in outcomes) for goal in goals}


def excess(outcomes: Sequence[Mapping[str, Any]], limits: Mapping[str, float]) -> dict[str, float]:
    """By how much the candidate is beyond each limit; at most 0 where it keeps it.

    What could not be measured does not break a limit.
    """
    found = {name: mean(measure(outcome, name, {}) for outcome in outcomes) for name in limits}
    return {name: 0.0 if (value := found[name]) is None else value - limit for name, limit in limits.items()}
