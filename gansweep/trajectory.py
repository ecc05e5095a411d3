"""What the course of a score says of a trial, in a few numbers. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def facts(higher_is_better: bool, thresholds: Sequence[float]) -> list[str]:
    """The names of what `summary` finds, in order."""
    above = [step_above(threshold) for threshold in thresholds] if higher_is_better else []
    return ["best", "best_step", "drawdown", "area", *above]


def summary(
    steps: ArrayLike, values: ArrayLike, *, higher_is_better: bool, thresholds: Sequence[float] = ()
) -> dict[str, float]:
    """Of the evaluations at `steps` [n], increasing, with scores `values` [n], not finite where there is none:

    - `best` and `best_step`: the best score and the first step that had it.
    - `drawdown`: the furthest that the score got behind the best so far, in its own units, 0 or more.
    - `area`: the mean score over the steps from the first evaluation to the last (trapezoids): the area under the
      curve in units of the score, so that runs of other lengths can be compared with care.
    - `step_above_T` for each threshold T: the first step whose score is strictly above it; left out if there is none,
      or if less is better.

    Empty if no value is finite.
    """
    step, value = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    step, value = step[np.isfinite(value)], value[np.isfinite(value)]
    if not len(value):
        return {}
    good = value if higher_is_better else -value
    best = int(good.argmax())
    span = step[-1] - step[0]
    found = {
        "best": float(value[best]),
        "best_step": int(step[best]),
        "drawdown": float((np.maximum.accumulate(good) - good).max()),
        "area": float(np.trapezoid(value, step) / span if span else value[0]),
    }
    if higher_is_better:
        for threshold in thresholds:
            if (above := value > threshold).any():
                found[step_above(threshold)] = int(step[above.argmax()])
    return found


def step_above(threshold: float) -> str:
    """The name of the first step above a threshold, without the plus sign that MLflow refuses in names."""
    return f"step_above_{float(threshold)!r}".removesuffix(".0").replace("+", "")
