"""The power of the paired comparison, against published values and against all outcomes one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from gansweep import power


def every_outcome(num_cells: int, difference: float, discordance: float, alpha: float) -> float:
    """The power by going through every pair of counts, with scipy's own test."""
    better, worse = (discordance + difference) / 2, (discordance - difference) / 2
    total = 0.0
    for a, b in itertools.product(range(num_cells + 1), repeat=2):
        if 0 < a + b <= num_cells and stats.binomtest(a, a + b).pvalue <= alpha:
            total += stats.multinomial.pmf([a, b, num_cells - a - b], num_cells, [better, worse, 1 - discordance])
    return total


@pytest.mark.parametrize(("difference", "discordance"), [(0.1, 0.3), (0.4, 0.4), (0.0, 0.6), (0.5, 1.0)])
def test_the_power_is_the_chance_of_all_outcomes_that_reject(difference: float, discordance: float) -> None:
    assert power.mcnemar_power(14, difference, discordance) == pytest.approx(
        every_outcome(14, difference, discordance, 0.05), abs=1e-9
    )


def test_the_power_is_that_of_other_programs() -> None:
    # pwrss 1.2 for R: power.exact.mcnemar(0.20, 0.10, n.paired = 100) and (..., power = 0.80), of its own tests
    assert power.mcnemar_power(100, 0.1, 0.3) == pytest.approx(0.373077084, abs=1e-8)
    assert power.cells_needed(0.1, 0.3) == 249
    # G*Power 3.1 manual, chapter 5 (O'Brien 2002): odds ratio 0.25, discordant 0.4, N = 50, one-sided at 5%. Two-sided
    # at 10% adds the wrong tail, a millionth
    assert power.mcnemar_power(50, 0.24, 0.4, alpha=0.10) == pytest.approx(0.839343, abs=2e-5)


def test_eight_cells_of_one_mind_are_just_enough_to_see_anything() -> None:
    """2 x 0.5^6 = 0.031 is the first that is below 5%: six cells, if every one of them speaks for the same arm."""
    assert power.mcnemar_power(5, 1.0, 1.0) == 0
    assert power.mcnemar_power(6, 1.0, 1.0) == pytest.approx(1)
    assert power.cells_needed(1.0, 1.0) == 6


def test_without_a_difference_the_test_rejects_at_most_as_often_as_it_may() -> None:
    assert all(power.mcnemar_power(n, 0.0, 0.5) <= 0.05 for n in range(1, 200))


@pytest.mark.parametrize(("difference", "discordance"), [(0.1, 0.5), (0.2, 0.2), (0.3, 0.6)])
def test_no_larger_number_of_cells_than_those_needed_falls_below_the_power(
    difference: float, discordance: float
) -> None:
    needed = power.cells_needed(difference, discordance)
    chances = [power.mcnemar_power(n, difference, discordance) for n in range(needed - 1, needed + 300)]
    assert chances[0] < 0.8 <= min(chances[1:])


def test_the_detectable_difference_is_the_inverse_of_the_cells_needed() -> None:
    least = power.detectable_difference(249, 0.3)
    assert power.mcnemar_power(249, least, 0.3) >= 0.8 > power.mcnemar_power(249, least - 2e-4, 0.3)
    assert np.isnan(power.detectable_difference(5, 0.5))


def test_independent_arms_disagree_most_often_around_one_half() -> None:
    low = np.linspace(0, 0.9, 91)
    disagreeing = low * (1 - low - 0.1) + (low + 0.1) * (1 - low)
    assert disagreeing.max() == pytest.approx(power.unpaired_discordance(0.1), abs=1e-4)


def test_a_difference_without_cells_that_disagree_is_refused() -> None:
    with pytest.raises(ValueError, match=r"difference = 0.3 and discordance = 0.2"):
        power.mcnemar_power(10, 0.3, 0.2)
    with pytest.raises(ValueError, match="needs more than 100,000 cells"):
        power.cells_needed(1e-4, 0.5)


def test_a_pilot_tells_the_discordance_with_its_interval() -> None:
    share, low, high = power.discordance_of(1, 9, 20)
    assert share == 0.5
    assert (low, high) == pytest.approx((0.299, 0.701), abs=1e-3)  # Wilson's of 10 out of 20
    assert np.isnan(power.discordance_of(0, 0, 0)[0])


@pytest.mark.slow
def test_simulated_studies_reject_as_often_as_the_power_says() -> None:
    rng = np.random.default_rng(0)
    outcomes = rng.multinomial(60, [0.30, 0.10, 0.60], size=20_000)
    behind, discordant = outcomes[:, :2].min(axis=1), outcomes[:, :2].sum(axis=1)
    rejected = 2 * stats.binom.cdf(behind, discordant, 0.5) <= 0.05
    expected = power.mcnemar_power(60, 0.2, 0.4)
    assert rejected.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 20_000))
