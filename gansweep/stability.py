"""Verdicts on a stream of reports. numpy only: no clock, no files, no torch.

A rule looks at the stream up to now and answers with a `Finding` or None. What it says holds at the last report, so the
same rule can stop a run and can judge an ended one. Rules with `settled = True` prove that the run cannot succeed any
more; the others are evidence, and a study measures how often they are wrong on an audited fraction of the runs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gansweep.parts import above, at_least, part


class Verdict(enum.StrEnum):
    """What the training did."""

    TRAINED = "trained"  # ended, and no rule found anything
    DIVERGED = "diverged"  # a loss or a gradient was not finite
    EXPLODING = "exploding"  # gradients beyond any useful size
    FROZEN = "frozen"  # the generator gets no gradient
    COLLAPSED = "collapsed"  # all samples alike
    BELOW_THRESHOLD = "below_threshold"  # ended with a score that counts as no success


class Status(enum.StrEnum):
    """What the machine did."""

    PLANNED = "planned"  # in the plan, not started
    RUNNING = "running"  # started, not ended
    DONE = "done"  # ended by itself or by a decision
    FAILED = "failed"  # the infrastructure or the code failed; no outcome
    CANCELLED = "cancelled"  # stopped by the user; goes on when the command is given again


class Decision(enum.StrEnum):
    """What the search did."""

    COMPLETED = "completed"  # ran to the end
    PRUNED = "pruned"  # stopped by a rule
    AUDITED = "audited"  # a rule would have stopped it; it ran to the end to measure the rule


@dataclass(frozen=True)
class Finding:
    """A rule's answer: the verdict, the step at which its evidence starts, and the evidence in words."""

    verdict: Verdict
    step: int
    evidence: str
    rule: str
    settled: bool


class Stream:
    """The reports of one run as columns: `stream["penalty"]` is an array with NaN where a report lacks it."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> np.ndarray:
        values = (row.get(name) for row in self.rows)
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    def tail(self, name: str, num: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Steps and values of the last `num` reports that have `name`; None if there are fewer."""
        rows = [row for row in self.rows if row.get(name) is not None][-num:]
        if len(rows) < num:
            return None
        return np.array([row["step"] for row in rows]), np.array([row[name] for row in rows], dtype=float)


@part
class Diverged:
    """A loss, a gradient norm or a score was not finite. Settled: no update brings the weights back."""

    settled = True
    at_end = False

    def judge(self, stream: Stream) -> Finding | None:
        """A finding once any value of any report was not finite."""
        for row in stream.rows:
            bad = [k for k, v in row.items() if isinstance(v, float) and not np.isfinite(v)]
            if bad or row.get("nonfinite_step") is not None:
                step = row.get("nonfinite_step") or row["step"]
                what = ", ".join(sorted(bad)) or "a loss"
                return _found(self, Verdict.DIVERGED, step, f"not finite from step {step}: {what}")
        return None


@part
class Exploding:
    """A gradient norm above `limit` in `patience` reports running."""

    limit: float = 1e5
    patience: int = 3
    settled = False
    at_end = False

    def __post_init__(self) -> None:
        above(self, limit=0)
        at_least(self, patience=1)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while either network's last gradient norms are all above the limit."""
        for name in ("gradient_norm_generator", "gradient_norm_discriminator"):
            if (last := stream.tail(name, self.patience)) and (last[1] > self.limit).all():
                words = f"{name} above {self.limit:g} for {self.patience} reports from step {last[0][0]}"
                return _found(self, Verdict.EXPLODING, last[0][0], words)
        return None


@part
class DeadGradient:
    """The generator's gradient norm below `limit` in `patience` reports running: it no longer learns."""

    limit: float = 1e-8
    patience: int = 3
    settled = False
    at_end = False

    def __post_init__(self) -> None:
        above(self, limit=0)
        at_least(self, patience=1)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the generator's last gradient norms are all below the limit."""
        last = stream.tail("gradient_norm_generator", self.patience)
        if last and (last[1] < self.limit).all():
            words = f"generator's gradient norm below {self.limit:g} for {self.patience} reports from step {last[0][0]}"
            return _found(self, Verdict.FROZEN, last[0][0], words)
        return None


@part
class Collapsed:
    """A score below `limit` in `patience` evaluations running, none before `after` iterations counted.

    The Inception Score is 1 when every sample is classified alike, whatever the class.
    """

    score: str = "inception_score"
    limit: float = 1.1
    patience: int = 3
    after: int = 0
    settled = False
    at_end = False

    def __post_init__(self) -> None:
        above(self, limit=0)
        at_least(self, patience=1, after=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last scores are all below the limit."""
        last = stream.tail(self.score, self.patience)
        if last and last[0][0] >= self.after and (last[1] < self.limit).all():
            since = f"for {self.patience} evaluations from step {last[0][0]}"
            words = f"{self.score} {last[1][-1]:.2f}, below {self.limit:g} {since}"
            return _found(self, Verdict.COLLAPSED, last[0][0], words)
        return None


@part
class BelowScore:
    """The final score does not exceed `minimum`. Judged at the end only, never a reason to stop."""

    score: str = "inception_score"
    minimum: float = 2.0
    settled = False
    at_end = True

    def judge(self, stream: Stream) -> Finding | None:
        """A finding if the last score is not above the minimum."""
        last = stream.tail(self.score, 1)
        if last and not last[1][0] > self.minimum:
            words = f"final {self.score} {last[1][0]:.2f} does not exceed {self.minimum:g}"
            return _found(self, Verdict.BELOW_THRESHOLD, last[0][0], words)
        return None


def _found(rule: Any, verdict: Verdict, step: int, evidence: str) -> Finding:
    return Finding(verdict, int(step), evidence, type(rule).__name__, rule.settled)


def first_finding(rules: Iterable[Any], stream: Stream, *, ended: bool) -> Finding | None:
    """The first rule's finding, in the order of `rules`; rules that judge the end are asked only then."""
    for rule in rules:
        if (ended or not rule.at_end) and (finding := rule.judge(stream)):
            return finding
    return None
