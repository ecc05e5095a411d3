"""Verdicts on a stream of reports. numpy only: no clock, no files, no torch.

A rule looks at the stream up to now and answers with a `Finding` or None. What it says holds at the last report, so the
same rule can stop a run and can judge an ended one. Rules with `settled = True` prove that the run cannot succeed any
more; the others are evidence, and a study measures how often they are wrong on an audited fraction of the runs.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gansweep.parts import above, at_least, part

GAP = 1000  # reports between two evaluations, at most: a rule must not search a long run for what is not recorded
DERIVED = (
    *("sample_diversity", "lipschitz_", "wasserstein", "clipped_share", "gradient_slope_", "weight_change_"),
    *("surface_", "activation_", "weights_", "estimated_"),  # of `portraits`
)
GRADIENT_NORMS = ("gradient_norm_generator", "gradient_norm_discriminator")


class Verdict(enum.StrEnum):
    """What the training did."""

    TRAINED = "trained"  # ended, and no rule found anything
    DIVERGED = "diverged"  # a loss or a gradient was not finite
    EXPLODING = "exploding"  # gradients beyond any useful size
    FROZEN = "frozen"  # the generator gets no gradient, or a network's weights do not move
    COLLAPSED = "collapsed"  # all samples alike
    MODE_DROPPING = "mode_dropping"  # samples differ, and most modes or classes of the data are missing
    SATURATED = "saturated"  # the discriminator is sure of everything
    OSCILLATING = "oscillating"  # what was learnt is lost and learnt again
    NOT_LEARNING = "not_learning"  # the score never left the level of untrained networks
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
        self.num_finite = 0  # of the first reports, that Diverged has found to be finite: they stay so

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> np.ndarray:
        values = (row.get(name) for row in self.rows)
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    def tail(self, name: str, num: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Steps and values of the last `num` reports that have `name`; None if there are fewer."""
        return _columns(reversed(self.rows), name, num, order=-1)

    def head(self, name: str, num: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Steps and values of the first `num` reports that have `name`; None if there are fewer."""
        return _columns(self.rows, name, num, order=1)


def _columns(
    rows: Iterable[Mapping[str, Any]], name: str, num: int, order: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """The first `num` steps and values; a column that `GAP` reports running lack is taken to be none of the run's."""
    found, missing = [], 0
    for row in rows:
        if (value := row.get(name)) is not None:
            found.append((row["step"], value))
            missing = 0
        else:
            missing += 1
        if len(found) == num:
            steps, values = zip(*found[::order], strict=True)
            return np.array(steps), np.array(values, dtype=float)
        if missing > GAP:
            break
    return None


@part
class Diverged:
    """A loss, a gradient norm or a score was not finite. Settled: no update brings the weights back.

    What is worked out from the networks besides (`DERIVED`) may overflow in a run that is only far away.
    """

    settled = True
    at_end = False

    def judge(self, stream: Stream) -> Finding | None:
        """A finding once any value of any report was not finite."""
        for row in itertools.islice(stream.rows, stream.num_finite, None):
            lost = [k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)]
            bad = [name for name in lost if not name.startswith(DERIVED)]
            if bad or row.get("nonfinite_step") is not None:
                step = row.get("nonfinite_step") or row["step"]
                what = ", ".join(sorted(bad)) or "a loss"
                return _found(self, Verdict.DIVERGED, step, f"not finite from step {step}: {what}")
            stream.num_finite += 1
        return None


class _Lasting:
    """What holds in the last `patience` reports that say something about it, none of them before step `after`."""

    patience: int
    after: int
    settled = False
    at_end = False

    def _check(self, **positive: float) -> None:
        above(self, **positive)
        at_least(self, patience=1, after=0)

    def _last(self, stream: Stream, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        last = stream.tail(name, self.patience)
        return last if last and last[0][0] >= self.after else None

    def _below(self, stream: Stream, name: str, limit: float, verdict: Verdict, kind: str) -> Finding | None:
        """A finding if the last values of that column are all below the limit."""
        last = self._last(stream, name)
        if last and (last[1] < limit).all():
            return self._lasts(verdict, last[0], f"{name} {last[1][-1]:.3g}, below {limit:g}", kind)
        return None

    def _above(self, stream: Stream, name: str, limit: float, verdict: Verdict, kind: str) -> Finding | None:
        """A finding if the last values of that column are all above the limit."""
        last = self._last(stream, name)
        if last and (last[1] > limit).all():
            return self._lasts(verdict, last[0], f"{name} {last[1][-1]:.3g}, above {limit:.3g}", kind)
        return None

    def _lasts(self, verdict: Verdict, steps: np.ndarray, words: str, kind: str) -> Finding:
        return _found(self, verdict, steps[0], f"{words} for {self.patience} {kind} from step {steps[0]}")


@part
class Exploding(_Lasting):
    """Numbers beyond any useful size in `patience` reports running.

    A network's gradient norm is above `limit`, or above `floor` and `growth` times its median over the first `patience`
    reports; or, in evaluations, the samples' spread over that of real data (`sample_diversity`) is above `spread`, or
    the mean slope of a Wasserstein critic without clipping (`lipschitz_mean`), which should be about 1, is above
    `slope`. The slopes of other discriminators, clipped ones too, have no bound that they should keep. Infinity for a
    limit switches it off.
    """

    limit: float = 1e5
    growth: float = 300.0
    floor: float = 100.0
    spread: float = 30.0
    slope: float = 50.0
    patience: int = 3
    after: int = 0

    def __post_init__(self) -> None:
        self._check(limit=0, growth=1, floor=0, spread=1, slope=1)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last values of one of the quantities are all above its limit."""
        for name in GRADIENT_NORMS:
            first = stream.head(name, self.patience)
            usual = _median(first[1]) if first else 0.0
            limit = min(self.limit, max(self.growth * usual, self.floor)) if usual > 0 else self.limit
            if found := self._above(stream, name, limit, Verdict.EXPLODING, "reports"):
                return found
        limits = {"sample_diversity": self.spread}
        if self._last(stream, "wasserstein") and not self._last(stream, "clipped_share"):
            limits["lipschitz_mean"] = self.slope
        found_in = (self._above(stream, name, limits[name], Verdict.EXPLODING, "evaluations") for name in limits)
        return next(filter(None, found_in), None)


@part
class Frozen(_Lasting):
    """A network that cannot learn any more, in `patience` reports running.

    Either the generator's gradient norm is below `limit`, or the weights of a network move by less than `still` of
    their size from one report to the next; 1e-7 is what single precision can tell.
    """

    limit: float = 1e-8
    still: float = 1e-7
    patience: int = 10
    after: int = 0

    def __post_init__(self) -> None:
        self._check(limit=0, still=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last values of one of the three quantities are all below their limit."""
        limits = {
            "gradient_norm_generator": self.limit,
            "weight_change_generator": self.still,
            "weight_change_discriminator": self.still,
        }
        found = (self._below(stream, name, limit, Verdict.FROZEN, "reports") for name, limit in limits.items())
        return next(filter(None, found), None)


@part
class Collapsed(_Lasting):
    """All samples alike, in `patience` evaluations running.

    Either `sample_diversity`, the samples' spread over that of real data, is below `diversity`, or the score is below
    `limit`. The Inception Score is 1 when every sample is classified alike, whatever the class; where no score says so,
    `score=None` goes by the diversity alone.
    """

    score: str | None = "inception_score"
    limit: float = 1.1
    diversity: float = 0.02
    patience: int = 5
    after: int = 0

    def __post_init__(self) -> None:
        self._check()
        at_least(self, limit=0, diversity=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last scores or the last diversities are all below their limit."""
        limits = {"sample_diversity": self.diversity} | ({self.score: self.limit} if self.score else {})
        found = (self._below(stream, name, limits[name], Verdict.COLLAPSED, "evaluations") for name in limits)
        return next(filter(None, found), None)


@part
class ModeDropping(_Lasting):
    """Samples in less than the share `limit` of the data's modes (or classes) in `patience` evaluations running.

    `mode_share` is that of a mixture's modes that are captured, `class_share` the effective share of the classes that
    a classifier sees, which is never less than one of them: with five classes or fewer, set another limit.
    """

    limit: float = 0.2
    patience: int = 12
    after: int = 0

    def __post_init__(self) -> None:
        self._check(limit=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last shares are all below the limit."""
        for name in ("mode_share", "class_share"):
            if found := self._below(stream, name, self.limit, Verdict.MODE_DROPPING, "evaluations"):
                return found
        return None


@part
class Saturated(_Lasting):
    """The discriminator tells real from fake without a doubt, in `patience` reports running.

    `discriminator_confidence` is 1 - loss / (the loss of one that cannot tell), so 1 is a loss at its floor, where the
    generator learns nothing from it.
    """

    limit: float = 0.98
    patience: int = 10
    after: int = 0

    def __post_init__(self) -> None:
        self._check(limit=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last confidences are all above the limit."""
        return self._above(stream, "discriminator_confidence", self.limit, Verdict.SATURATED, "reports")


@part
class Oscillating(_Lasting):
    """The score rises and falls again and again: `turns` swings or more in the last `patience` evaluations.

    A swing is a rise or a fall by more than the share `swing` of these scores' largest size; one that goes on in the
    same direction is the same swing.
    """

    score: str = "inception_score"
    swing: float = 0.5
    turns: int = 4
    patience: int = 12
    after: int = 0

    def __post_init__(self) -> None:
        self._check(swing=0, turns=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last scores hold that many swings."""
        last = self._last(stream, self.score)
        if last is None:
            return None
        swings = _swings(last[1], self.swing * np.abs(last[1]).max())
        if swings < self.turns:
            return None
        words = f"{self.score} between {last[1].min():.3g} and {last[1].max():.3g} in {swings} swings"
        return self._lasts(Verdict.OSCILLATING, last[0], words, "evaluations")


def _median(values: np.ndarray) -> float:
    """As numpy's, which takes ten times as long for a few numbers."""
    ordered, half = np.sort(values), len(values) // 2
    middle = ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return float("nan" if np.isnan(ordered[-1]) else middle)


def _swings(values: np.ndarray, size: float) -> int:
    """How often the values turn, where a move counts once it is larger than `size`."""
    num, direction, low, high = 0, 0, values[0], values[0]
    for value in values[1:]:
        low, high = min(low, value), max(high, value)
        if direction <= 0 and value - low > size:
            num, direction, high = num + 1, 1, value
        elif direction >= 0 and high - value > size:
            num, direction, low = num + 1, -1, value
    return num


@part
class NotLearning(_Lasting):
    """The score stays below `limit`, the level of untrained networks, in `patience` evaluations running."""

    score: str = "inception_score"
    limit: float = 1.5
    patience: int = 12
    after: int = 0

    def __post_init__(self) -> None:
        self._check(limit=0)

    def judge(self, stream: Stream) -> Finding | None:
        """A finding while the last scores are all below the limit."""
        return self._below(stream, self.score, self.limit, Verdict.NOT_LEARNING, "evaluations")


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


def detectors(score: str | None = "inception_score", alike: float = 1.1, untrained: float = 1.5) -> tuple[Any, ...]:
    """Every rule that may stop a run, with calibrated limits; of several that find something the first speaks.

    A `score` below `alike` means that all samples are alike, one below `untrained` that nothing was learnt; the
    defaults are those of the Inception Score. For `modes_captured` they are 0, as no number of modes shows a collapse
    to one point, and 1. Without a `score`, as for those of which less is better, the rules that read one are left out.
    docs/results/failure_modes.md shows how often the rules are right.
    """
    collapsed = Collapsed(score=score, limit=alike)
    rules = (Diverged(), Exploding(), Frozen(), collapsed, Saturated(), ModeDropping())
    return (*rules, NotLearning(score=score, limit=untrained), Oscillating(score=score)) if score else rules


def events(rules: Iterable[Any], rows: Sequence[Mapping[str, Any]], *, ended: bool) -> list[dict[str, Any]]:
    """What the rules found while a run went on, one entry for every time that a rule began to find something.

    Each has `step`, where the evidence starts, `until`, the last report at which the rule still found it, `rule`,
    `verdict` and `evidence`, the words when it was first found; in the order of the steps. Rules that judge the end are
    asked at the last report, if the run has `ended`.
    """
    asked = [rule for rule in rules if ended or not rule.at_end]
    found = [event for rule in asked for event in _events_of(rule, rows)]
    return sorted(found, key=lambda event: (event["step"], event["until"]))


def _events_of(rule: Any, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    # what is settled stays found, so one look at the whole run is enough
    asked = [len(rows)] if rule.at_end or rule.settled else range(1, len(rows) + 1)
    told: list[dict[str, Any]] = []
    going = False
    for num in asked:
        finding = rule.judge(Stream(rows[:num]))
        if finding and not going:
            what = {"rule": finding.rule, "verdict": str(finding.verdict), "evidence": finding.evidence}
            told.append({"step": finding.step, "until": None, **what})
        if finding:
            told[-1]["until"] = rows[num - 1]["step"]
        going = finding is not None
    return told
