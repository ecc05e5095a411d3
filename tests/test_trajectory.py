"""What the course of a score says, in closed form."""

from __future__ import annotations

import math

import pytest

from gansweep import trajectory

NAN = math.nan


def test_a_score_that_rises_along_a_line_has_no_drawdown_and_its_middle_as_area() -> None:
    found = trajectory.summary([0, 10, 20], [1.0, 2.0, 3.0], higher_is_better=True)
    assert found == {"best": 3.0, "best_step": 20, "drawdown": 0.0, "area": 2.0}


def test_evaluations_at_uneven_steps_count_by_the_steps_between_them() -> None:
    # trapezoids: 10 steps at 1.5 on average, 90 steps at 2
    found = trajectory.summary([0, 10, 100], [1.0, 2.0, 2.0], higher_is_better=True)
    assert found["area"] == pytest.approx((10 * 1.5 + 90 * 2) / 100)


def test_the_drawdown_is_the_furthest_from_the_best_so_far_even_if_the_score_recovers() -> None:
    found = trajectory.summary([1, 2, 3, 4, 5], [2.0, 5.0, 1.5, 6.0, 4.0], higher_is_better=True)
    assert (found["best"], found["best_step"], found["drawdown"]) == (6.0, 4, 3.5)


def test_of_a_score_of_which_less_is_better_the_best_is_the_least() -> None:
    found = trajectory.summary([1, 2, 3], [9.0, 4.0, 7.0], higher_is_better=False, thresholds=(5.0,))
    assert (found["best"], found["best_step"], found["drawdown"]) == (4.0, 2, 3.0)
    assert "step_above_5" not in found


def test_the_step_above_a_threshold_is_the_first_strictly_above_it() -> None:
    found = trajectory.summary([5, 10, 15, 20], [1.0, 2.0, 2.5, 1.0], higher_is_better=True, thresholds=(2.0, 2.25, 3))
    assert (found["step_above_2"], found["step_above_2.25"]) == (15, 15)
    assert "step_above_3" not in found


def test_evaluations_without_a_score_are_left_out() -> None:
    found = trajectory.summary([1, 2, 3], [2.0, NAN, 4.0], higher_is_better=True)
    assert found == trajectory.summary([1, 3], [2.0, 4.0], higher_is_better=True)


def test_one_evaluation_is_its_own_area_and_none_says_nothing() -> None:
    assert trajectory.summary([7], [2.0], higher_is_better=True)["area"] == 2.0
    assert trajectory.summary([7], [NAN], higher_is_better=True) == {}
    assert trajectory.summary([], [], higher_is_better=True) == {}


@pytest.mark.parametrize("higher", [True, False])
def test_every_fact_has_an_announced_name(higher: bool) -> None:
    found = trajectory.summary([1, 2], [1.0, 3.0], higher_is_better=higher, thresholds=(2.0, 0.5))
    assert list(found) == trajectory.facts(higher, (2.0, 0.5))
