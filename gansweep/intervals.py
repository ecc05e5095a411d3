"""Success rates and differences with their intervals, also where rules stopped a part of the trials.

A rule that is not settled *flags* a trial; a coin that knows nothing but the trial's id lets it run to its end
(*audited*) or not (*stopped*). So the audited trials of an arm are a random sample of its flagged ones, however wrong
the rule is, and their successes say how many of the stopped would have succeeded: two-phase sampling, post-stratified
by flag (Särndal, Swensson and Wretman 1992, "Model Assisted Survey Sampling", section 9.7). An interval has one reach
for the trials that were drawn, Wilson's or Newcombe's, and one for the stopped ones that nobody saw, from the exact
hypergeometric distribution of the audit; the two errors are uncorrelated, so their squares add (Zou and Donner 2008,
Statistics in Medicine 27:1693-1702). Where nothing was audited the stopped are anything between all failures and all
successes. Without stopped trials everything here is Wilson's and Newcombe's own.

Rates are shares in [0, 1], differences lie in [-1, 1]; `alpha` = 0.05 gives 95%. Arrays broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

Floats = NDArray[np.float64]
FAILED, PASSED, STOPPED = 0, 1, 2  # what is known of one trial of a pair


def wilson(count: Any, known: Any, alpha: Any = 0.05) -> tuple[Floats, Floats]:
    """Wilson's interval of count / known; (0, 1) where nothing is known."""
    count, known = np.broadcast_arrays(np.asarray(count, dtype=float), np.asarray(known, dtype=float))
    low, high = proportion_confint(count, np.maximum(known, 1), alpha=alpha, method="wilson")
    return np.where(known > 0, np.clip(low, 0, 1), 0.0), np.where(known > 0, np.clip(high, 0, 1), 1.0)


def rate_of(count: Any, known: Any) -> Floats:
    """count / known; NaN where nothing is known."""
    known = np.asarray(known, dtype=float)
    rate = np.asarray(count, dtype=float) / np.maximum(known, 1)
    return np.where(known > 0, rate, np.nan)


def paired_difference(
    both: Any, only_a: Any, only_b: Any, neither: Any, alpha: Any = 0.05
) -> tuple[Floats, Floats, Floats]:
    """Success rate of B minus that of A on the same blocks, with its interval.

    Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10: the two Wilson intervals squared and added,
    with the correlation phi of the pairs, its numerator corrected for continuity. NaN where there are no
    pairs.
    """
    a, b, c, d = (np.asarray(x, dtype=float) for x in (both, only_b, only_a, neither))
    n = a + b + c + d
    p_b, p_a = rate_of(a + b, n), rate_of(a + c, n)
    (low_b, high_b), (low_a, high_a) = wilson(a + b, n, alpha), wilson(a + c, n, alpha)
    numerator = a * d - b * c
    numerator = np.where(numerator > 0, np.maximum(numerator - n / 2, 0), numerator)
    margins = np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    phi = np.where(margins > 0, numerator / np.where(margins > 0, margins, 1), 0.0)

    def reach(x: Floats, y: Floats) -> Floats:
        return np.sqrt(np.maximum(x**2 - 2 * phi * x * y + y**2, 0))

    difference = p_b - p_a
    low = difference - reach(p_b - low_b, high_a - p_a)
    return difference, low, difference + reach(high_b - p_b, p_a - low_a)


@dataclass(frozen=True)
class Audit:
    """What is known of an arm's stopped trials: of `audited` flagged ones that ran to their ends `passed` succeeded.

    `guess` is the share of the stopped whose score at the stop passes. It is a guess, used where nothing was audited
    and for no interval.
    """

    stopped: Any
    audited: Any
    passed: Any
    guess: Any

    @property
    def share(self) -> Floats:
        """The share of the stopped trials that would have succeeded, as estimated; 0 where none was stopped."""
        share = np.where(np.greater(self.audited, 0), np.divide(self.passed, np.maximum(self.audited, 1)), self.guess)
        return np.where(np.greater(self.stopped, 0), share, 0.0)

    def bounds(self, alpha: Any = 0.05) -> tuple[Floats, Floats]:
        """The interval of that share: whichever numbers of successes among the flagged the audit does not exclude."""
        passed, audited, stopped, level = np.broadcast_arrays(
            *(np.asarray(x, dtype=int) for x in (self.passed, self.audited, self.stopped)), np.asarray(alpha)
        )
        low, high = np.zeros(passed.shape), np.zeros(passed.shape)
        for sizes in {(int(a), int(m)) for a, m in zip(audited.ravel(), stopped.ravel(), strict=True) if m > 0}:
            chosen = (audited == sizes[0]) & (stopped == sizes[1])
            at_least, at_most = _tails(*sizes)
            k, tail = passed[chosen], level[chosen] / 2
            fewest = np.argmax(at_least[:, k] > tail, axis=0)
            most = sum(sizes) - np.argmax(at_most[::-1, k] > tail, axis=0)
            low[chosen], high[chosen] = (fewest - k) / sizes[1], (most - k) / sizes[1]
        return low, high

    def towards(self, side: str, alpha: Any = 0.05) -> tuple[Floats, Floats]:
        """Where the interval of the share starts on one side, and its reach: all or nothing where none was audited."""
        low, high = self.bounds(alpha)
        end = low if side == "low" else high
        start = np.where(np.greater(self.audited, 0), self.share, end)
        return start, np.abs(end - start)


@cache
def _tails(audited: int, stopped: int) -> tuple[Floats, Floats]:
    """[K, k]: if K of all flagged trials succeed, the chance of k or more, and of k or fewer, among the audited."""
    flagged = audited + stopped
    chance = stats.hypergeom.pmf(np.arange(audited + 1), flagged, np.arange(flagged + 1)[:, None], audited)
    return chance[:, ::-1].cumsum(axis=1)[:, ::-1], chance.cumsum(axis=1)


def corrected_rate(
    passed: Any, known: Any, audit: Audit, alpha: Any = 0.05, worth: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """The success rate of an arm and its interval: `passed` of the `known` trials, and the stopped as audited.

    `worth` in (0, 1] is how many independent trials one of them counts for in Wilson's interval.
    """
    total = known + np.asarray(audit.stopped)
    weight = np.nan_to_num(rate_of(audit.stopped, total))
    rate = rate_of(passed + audit.stopped * audit.share, total)
    ends = []
    for number, side in enumerate(("low", "high")):
        start, reach = audit.towards(side, alpha)
        count = passed + audit.stopped * start
        centre, end = np.nan_to_num(rate_of(count, total)), wilson(worth * count, worth * total, alpha)[number]
        further = np.hypot(end - centre, weight * reach)
        ends.append(np.where(weight > 0, np.clip(centre + (2 * number - 1) * further, 0, 1), end))
    return rate, ends[0], ends[1]


def expected_pairs(joint: Floats, share_a: Any, share_b: Any) -> tuple[Floats, Floats, Floats, Floats]:
    """both, only_a, only_b, neither: how many blocks end so if these shares of the stopped trials succeed.

    `joint` [3, 3, ...] counts the blocks by what is known of a's and of b's trial: FAILED, PASSED or STOPPED. Only the
    shares count: whether a stopped trial would have succeeded is taken to be independent of its partner's outcome.
    """
    told = []
    for share in (share_a, share_b):
        p = np.broadcast_to(np.asarray(share, dtype=float), joint.shape[2:])
        none, one = np.zeros_like(p), np.ones_like(p)
        told.append(np.stack([np.stack([one, none]), np.stack([none, one]), np.stack([1 - p, p])]))
    pairs = np.einsum("ij...,ip...,jq...->pq...", joint, told[0], told[1])
    return pairs[PASSED, PASSED], pairs[PASSED, FAILED], pairs[FAILED, PASSED], pairs[FAILED, FAILED]


def corrected_difference(joint: Floats, a: Audit, b: Audit, alpha: Any = 0.05) -> tuple[Floats, Floats, Floats]:
    """Success rate of B minus that of A and its interval, over the blocks that `joint` counts.

    The coins of two arms are independent, so the squares of three reaches add.
    """
    num = joint.sum(axis=(0, 1))
    weight_a, weight_b = (np.nan_to_num(rate_of(joint.sum(axis=axis)[STOPPED], num)) for axis in (1, 0))
    ends = []
    for number, (side_a, side_b) in enumerate((("high", "low"), ("low", "high"))):
        (start_a, reach_a), (start_b, reach_b) = a.towards(side_a, alpha), b.towards(side_b, alpha)
        found = paired_difference(*expected_pairs(joint, start_a, start_b), alpha)
        centre, end = found[0], found[1 + number]
        further = np.sqrt((end - centre) ** 2 + (weight_a * reach_a) ** 2 + (weight_b * reach_b) ** 2)
        ends.append(np.where(weight_a + weight_b > 0, np.clip(centre + (2 * number - 1) * further, -1, 1), end))
    return paired_difference(*expected_pairs(joint, a.share, b.share))[0], ends[0], ends[1]


def mcnemar(only_a: Any, only_b: Any) -> Floats:
    """The p-value of the exact McNemar test, which is that of the sign test on wins and losses.

    Counts that are estimates need not be whole: they are rounded towards equality.
    """
    behind = np.ceil(np.minimum(only_a, only_b) - 1e-9)
    ahead = np.maximum(np.floor(np.maximum(only_a, only_b) + 1e-9), behind)
    p_value: Floats = np.minimum(1.0, 2 * stats.binom.cdf(behind, behind + ahead, 0.5))
    return p_value


def difference_p_value(joint: Floats, a: Audit, b: Audit) -> Floats:
    """The p-value of "the arms succeed equally often".

    McNemar's exact test of the expected counts. Where trials were stopped it is not below the
    level at which the interval of the corrected difference begins to leave out 0, found by bisection down to 1e-12.
    """
    _, only_a, only_b, _ = expected_pairs(joint, a.share, b.share)
    exact = mcnemar(only_a, only_b)
    known = joint[STOPPED].sum(axis=0) + joint[:, STOPPED].sum(axis=0) == 0
    if known.all():
        return exact
    low, high = np.full(known.shape, -12.0), np.zeros(known.shape)  # log10 of the level
    for _ in range(30):
        middle = (low + high) / 2
        _, below, above = corrected_difference(joint, a, b, 10.0**middle)
        holds = (below <= 0) & (above >= 0)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return np.where(known, exact, np.maximum(exact, 10.0**high))
