"""How many cells show a difference of two arms: the exact power of the exact McNemar test.

Of `num_cells` cells, each run under both arms, D ~ Bin(num_cells, discordance) have an outcome under one arm that they
have not under the other, and of these Bin(D, (1 + difference / discordance) / 2) speak for the better arm. The test
looks at the second number only, so its power is a sum over both, here without any approximation (Connor 1987,
Biometrics 43:207-211; Lachin 1992, Statistics in Medicine 11:1239-1251 compares the approximations). Nothing has to
have run: `discordance` is assumed, or taken from a pilot (`discordance_of`).

A `difference` of success rates is a share in (0, 1], `discordance` one in [difference, 1], `alpha` the level of the
two-sided test.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import special, stats

from gansweep.intervals import Floats, wilson

MOST_CELLS = 100_000


def unpaired_discordance(difference: float) -> float:
    """The largest discordance of outcomes that do not exclude one another: (1 + difference^2) / 2.

    Two independent outcomes with success rates p and p + difference disagree in p + q - 2pq of the cells, at most so
    often, where the rates lie around one half. Pairing makes cells agree more often, and the test stronger.
    """
    return (1 + difference**2) / 2


def mcnemar_power(num_cells: int, difference: float, discordance: float, alpha: float = 0.05) -> float:
    """The chance that the exact two-sided McNemar test over `num_cells` cells rejects at `alpha`.

    Raises `ValueError` if the shares cannot be.
    """
    if not (0 <= difference <= discordance <= 1 and discordance > 0):
        raise ValueError(f"difference = {difference:g} and discordance = {discordance:g}: 0 <= the first <= the second")
    discordant = np.arange(num_cells + 1)
    reject = _rejected(discordant, (1 + difference / discordance) / 2, alpha)
    return float(np.clip(stats.binom.pmf(discordant, num_cells, discordance) @ reject, 0, 1))


def _rejected(discordant: Any, share: float, alpha: float) -> Floats:
    """For each number of discordant cells the chance of a p-value of at most `alpha`.

    The p-value is twice the smaller tail of a fair coin: the test rejects up to the most heads whose tail is at most
    alpha / 2, and as far from the other end.
    """
    most = _most_heads(len(discordant), alpha)
    tails = special.bdtr(np.maximum(most, 0), discordant, share)
    tails += special.bdtrc(np.maximum(discordant - most - 1, 0), discordant, share)
    return np.where(most >= 0, tails, 0.0)


@cache
def _most_heads(num: int, alpha: float) -> Any:
    """For 0, 1, ..., num - 1 coins the most heads with a tail of at most alpha / 2; -1 where none has it."""
    return _most_heads_up_to(1 << (num - 1).bit_length(), alpha)[:num]  # one long table serves all shorter ones


@cache
def _most_heads_up_to(num: int, alpha: float) -> Any:
    coins = np.arange(num)
    most = stats.binom.ppf(alpha / 2, coins, 0.5)
    return np.where(stats.binom.cdf(most, coins, 0.5) <= alpha / 2, most, most - 1).astype(int)


@cache
def cells_needed(difference: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """The fewest cells whose power is at least `power`, and with which no larger number of cells falls below it.

    The power of an exact test goes down a little at some numbers of cells, so the first that reaches it is not taken.
    Raises `ValueError` where 100,000 cells are not enough.
    """
    high = 8
    while mcnemar_power(high, difference, discordance, alpha) < power:
        high *= 2
        if high > MOST_CELLS:
            raise ValueError(f"a difference of {difference:g} needs more than {MOST_CELLS:,} cells")
    low = high // 2 if high > 8 else 0
    while high - low > 1:
        middle = (low + high) // 2
        enough = mcnemar_power(middle, difference, discordance, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    further = range(high, high + 25)
    short = [n for n in further if mcnemar_power(n, difference, discordance, alpha) < power]
    return max(short, default=high - 1) + 1


@cache
def detectable_difference(num_cells: int, discordance: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """The least difference that `num_cells` cells show with that power, to 1e-4; NaN if none does.

    `discordance` is the least there is: a difference that is larger is the discordance itself.
    """
    if mcnemar_power(num_cells, 1.0, 1.0, alpha) < power:
        return float("nan")
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        seen = mcnemar_power(num_cells, middle, max(discordance, middle), alpha) >= power
        low, high = (low, middle) if seen else (middle, high)
    return high


def discordance_of(only_a: float, only_b: float, num_cells: float) -> tuple[float, float, float]:
    """The share of a pilot's cells that succeed under one arm only, with its Wilson interval."""
    low, high = wilson(only_a + only_b, num_cells)
    return float((only_a + only_b) / num_cells) if num_cells else float("nan"), float(low), float(high)
