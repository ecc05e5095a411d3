"""Intervals that hold at every look: hand-made bets, coverage of whole sweeps, and trials that end out of order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gansweep import anytime
from gansweep.intervals import wilson


def trials_of(scores: dict[str, list[float]], **columns: object) -> pd.DataFrame:
    """Block by block, arm by arm, as a plan has them; NaN has not ended."""
    rows = [
        {"trial": f"{arm}{i}", "cell": f"c{i}", "seed": 0, "arm": arm, "inception_score": score}
        for i in range(len(next(iter(scores.values()))))
        for arm, score in ((arm, values[i]) for arm, values in scores.items())
    ]
    frame = pd.DataFrame(rows).assign(verdict="trained", decision="completed", failure=None)
    return frame.assign(status=np.where(frame["inception_score"].isna(), "running", "done"), **columns)


def test_one_stake_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the money on "above m" grows by 0.5 + 0.5 / m at each success: 1 / 0.025 = 40 after ten of them."""
    monkeypatch.setattr(anytime, "STAKES", np.array([0.5]))
    low, high = anytime.mean_interval(np.ones(10), np.ones(10))
    assert low == pytest.approx(0.5 / (40**0.1 - 0.5), abs=1e-5)
    assert high == pytest.approx(1)
    # at 1/2 the money is 1.5^10 on one side and 0.5^10 on the other
    assert anytime.mean_p_value(np.ones(10), np.ones(10), 0.5) == pytest.approx(2 / (1.5**10 + 0.5**10))


def test_ties_say_nothing_of_which_arm_is_better() -> None:
    wins = np.tile([1.0, 1.0, 0.0], 10)
    with_ties = np.insert(wins, np.arange(30), 0.5)
    assert anytime.mean_p_value(with_ties, with_ties, 0.5) == pytest.approx(anytime.mean_p_value(wins, wins, 0.5))


def test_the_interval_is_not_much_wider_than_that_of_a_finished_sweep() -> None:
    passed = np.random.default_rng(0).permutation(np.repeat([1.0, 0.0], [60, 140]))
    low, high = anytime.mean_interval(passed, passed)
    fixed_low, fixed_high = wilson(60, 200)
    assert low < 0.3 < high
    assert high - low < 1.8 * (fixed_high - fixed_low)


def test_before_the_first_cell_everything_is_possible() -> None:
    assert anytime.mean_interval(np.zeros(0), np.zeros(0)) == (0, 1)
    assert anytime.mean_p_value(np.zeros(0), np.zeros(0), 0.5) == 1
    planned = trials_of({"a": [np.nan, np.nan], "b": [np.nan, np.nan]})
    found = anytime.anytime_rates(planned, [2.0])
    assert found[["cells", "unknown", "low", "high"]].to_numpy().tolist() == [[0, 0, 0, 1]] * 2


def test_what_has_not_ended_widens_the_interval_and_never_moves_it() -> None:
    rng = np.random.default_rng(1)
    scores = np.where(rng.random(60) < 0.7, 3.0, 1.0)
    whole = anytime.anytime_rates(trials_of({"a": scores.tolist()}), [2.0]).iloc[0]
    scores[rng.choice(59, 15, replace=False)] = np.nan  # the last has ended
    part = anytime.anytime_rates(trials_of({"a": scores.tolist()}), [2.0]).iloc[0]
    assert (part["cells"], part["unknown"]) == (60, 15)
    assert part["low"] <= whole["low"] < whole["high"] <= part["high"]


def test_failures_that_end_early_do_not_pull_the_rate_down() -> None:
    """Half of the cells fail at once, and the others, which will succeed, still run: a rate of 0% would be wrong."""
    scores = [1.0, np.nan] * 40
    found = anytime.anytime_rates(trials_of({"a": scores}), [2.0]).iloc[0]
    assert found["low"] == 0
    assert found["high"] > 0.5


def test_the_paired_difference_is_signed_and_in_its_own_units() -> None:
    rng = np.random.default_rng(2)
    a, b = np.where(rng.random(100) < 0.3, 3.0, 1.0), np.where(rng.random(100) < 0.8, 3.0, 1.0)
    found = anytime.anytime_differences(trials_of({"a": a.tolist(), "b": b.tolist()}), [2.0, 5.0])
    assert found.loc[0, "low"] < (b > 2).mean() - (a > 2).mean() < found.loc[0, "high"]
    assert found.loc[0, "low"] > 0
    assert found.loc[0, "p_value"] < 1e-4
    assert found.loc[0, "p_holm"] == pytest.approx(2 * found.loc[0, "p_value"])
    assert found.loc[1, "p_value"] == 1  # nobody reaches 5
    turned = anytime.anytime_differences(trials_of({"b": b.tolist(), "a": a.tolist()}), [2.0])
    assert turned.loc[0, ["low", "high"]].tolist() == pytest.approx([-found.loc[0, "high"], -found.loc[0, "low"]])


def test_seeds_of_one_cell_are_one_cell() -> None:
    one = trials_of({"a": [3.0, 1.0] * 20})
    many = pd.concat([one.assign(seed=seed) for seed in range(5)], ignore_index=True)
    ends = [anytime.anytime_rates(trials, [2.0]).loc[0, ["low", "high"]].tolist() for trials in (one, many)]
    assert ends[0] == pytest.approx(ends[1])


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_whoever_looks_after_every_cell_is_misled_in_at_most_5_of_100_sweeps(rate: float) -> None:
    """1,500 sweeps of 300 cells: 5% has a standard error of 0.6%. Wilson's interval fails in about one of three."""
    rng = np.random.default_rng(3)
    passed = (rng.random((1500, 300)) < rate).astype(float)
    ends = [anytime.mean_interval(cells, cells) for cells in passed]
    missed = np.mean([not low <= rate <= high for low, high in ends])
    assert missed <= 0.05 + 3 * 0.006
    counts = passed.cumsum(axis=1)
    low, high = wilson(counts, np.arange(1, 301))
    assert ((low > rate) | (high < rate)).any(axis=1).mean() > 0.2


@pytest.mark.slow
def test_stopping_at_the_first_small_p_value_finds_no_difference_where_there_is_none() -> None:
    rng = np.random.default_rng(4)
    draws = rng.choice([0.0, 0.5, 1.0], p=[0.2, 0.6, 0.2], size=(1500, 300))
    found = np.mean([anytime.mean_p_value(cells, cells, 0.5) <= 0.05 for cells in draws])
    assert found <= 0.05 + 3 * 0.006
