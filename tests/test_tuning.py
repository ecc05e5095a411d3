"""What a tuning study's report says: candidates, fronts and factors, with answers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gansweep import Importance, ParetoFront, SearchHistory, goals, tuning
from gansweep.factors import factor_effects
from gansweep.report import markdown, page
from gansweep.testing import made_up_results

UP = {"name": "inception_score", "label": "Inception Score", "higher_is_better": True}
DOWN = {"name": "failures", "label": "failures", "higher_is_better": False}


def ended(score: float | None = None, **columns: Any) -> dict[str, Any]:
    whole = {"status": "done", "verdict": "trained", "decision": "completed", "train_seconds": 5.0, "step": 10}
    return whole | {"inception_score": score} | columns


BROKEN = ended(verdict="diverged", decision="pruned", step=2)
CUT = ended(1.2, verdict=None, decision="pruned", decision_rule="Hyperband")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([ended(2.0), ended(4.0)], {"inception_score": 3.0, "failures": 0.0, "seconds_per_step": 0.5}),
        ([ended(2.0), BROKEN], {"inception_score": 1.5, "failures": 0.5, "seconds_per_step": 1.5}),
        ([ended(1.2, verdict="below_threshold")], {"inception_score": 1.2, "failures": 1.0, "seconds_per_step": 0.5}),
        # ended by a rule at an early score: it counts as failed, not as what it was on its way
        ([ended(1.9, verdict="collapsed", decision="pruned")], {"inception_score": 1.0, "failures": 1.0}),
        ([ended(2.0), ended(status="failed")], {"inception_score": None, "failures": None, "seconds_per_step": None}),
        ([CUT], {"inception_score": None, "failures": None}),
        ([ended(float("nan"))], {"inception_score": None, "failures": 0.0}),
    ],
)
def test_a_candidate_is_worth_the_mean_over_all_its_trials(
    outcomes: list[dict[str, Any]], expected: dict[str, float | None]
) -> None:
    assert goals.candidate_values(outcomes, list(expected), {"inception_score": 1.0}) == expected


def test_without_a_score_for_failures_there_is_no_mean_over_the_survivors() -> None:
    assert goals.candidate_values([ended(2.0), BROKEN], ["inception_score"], {}) == {"inception_score": None}


def test_a_limit_is_broken_by_what_exceeds_it() -> None:
    limits = {"failures": 0.25, "seconds_per_step": 2.0}
    assert goals.excess([ended(2.0), BROKEN], limits) == {"failures": 0.25, "seconds_per_step": -0.5}


def plan_of(*aims: dict[str, Any], **changes: Any) -> dict[str, Any]:
    search = {"by": "TPE(startup=2)", "sequential": True, "pruner": None, "failed_scores": {}, "limits": {}}
    factors = {"kind of x": {"label": "kind", "values": ["a", "b"]}, "x": {"label": "x", "values": None}}
    return {"search": search | {"goals": list(aims)}, "factors": factors, "draws": 4, "repeats": 1} | changes


def trials_of(*rows: dict[str, Any]) -> pd.DataFrame:
    named = [{"trial": f"t{n}", "cell": f"c{n:03d}", "arm": "gan", "position": n} | row for n, row in enumerate(rows)]
    return pd.DataFrame(named)


def test_every_candidate_has_a_state() -> None:
    trials = trials_of(
        ended(2.0, **{"kind of x": "a", "x": 0.5}),
        CUT | {"kind of x": "b"},
        BROKEN,
        ended(status="failed"),
        ended(status="running"),
        {"trial": "undrawn-5", "status": "planned"},
    )
    found = tuning.candidates(trials, plan_of(UP))
    assert list(found["state"]) == ["evaluated", "ended early", "failed", "lost", "under way"]
    assert list(found["failed"]) == [0, 0, 1, 0, 0]
    assert found["inception_score"].tolist()[:1] == [2.0]
    assert found["inception_score"].isna().tolist() == [False] + [True] * 4


def test_the_best_so_far_never_gets_worse_and_skips_what_has_no_value() -> None:
    found = pd.DataFrame(
        {"state": ["evaluated", "failed", "evaluated", "evaluated"], "inception_score": [2.0, 9, 1, 3]}
    )
    assert tuning.best_so_far(found, UP).tolist() == [2, 2, 2, 3]
    assert tuning.best_so_far(found, UP | {"higher_is_better": False}).tolist() == [2, 2, 1, 1]


def test_the_front_holds_what_nothing_beats_in_both_goals() -> None:
    found = pd.DataFrame(
        {
            "cell": list("abcdef"),
            "state": ["evaluated"] * 5 + ["failed"],
            "inception_score": [1.0, 2.0, 3.0, 2.0, 3.0, 9.0],
            "failures": [0.0, 0.0, 0.5, 0.3, 0.5, 0.0],
        }
    )
    # b beats a and d; c and e are alike, and neither beats the other
    assert list(tuning.front(found, [UP, DOWN])["cell"]) == ["b", "c", "e"]


def test_a_factor_that_decides_explains_everything_and_one_that_does_not_no_more_than_chance() -> None:
    rng = np.random.default_rng(0)
    kind = np.array(["a", "b"] * 30)
    value = np.where(kind == "a", 1.0, 2.0) + 0.01 * np.arange(60)
    found = pd.DataFrame({"state": "evaluated", "inception_score": value, "kind of x": kind, "x": rng.random(60)})
    table = tuning.explained(found, plan_of(UP), "inception_score").set_index("factor")
    # ranks 1 to 60, thirty low and thirty high: (15 / 17.3)^2 of their variance lies between two such groups
    assert table["share"]["kind of x"] == pytest.approx(0.75, abs=0.01)
    assert table["p_holm"]["kind of x"] == pytest.approx(0.002)
    assert table["chance"].to_dict() == pytest.approx({"kind of x": 1 / 59, "x": 2 / 59})
    assert table["p_value"]["x"] > 0.05


def test_a_factor_that_only_some_candidates_draw_is_judged_on_those() -> None:
    found = pd.DataFrame(
        {"state": "evaluated", "inception_score": [1.0, 2, 3, 4], "kind of x": ["a", "a", "b", None], "x": [1.0] * 4}
    )
    table = tuning.explained(found, plan_of(UP), "inception_score").set_index("factor")
    assert table["known"].to_dict() == {"kind of x": 3, "x": 4}
    assert np.isnan(table["share"]["x"])


def test_effects_leave_out_trials_that_do_not_draw_the_factor() -> None:
    weight = [1.0, 10.0, np.nan, np.nan]
    trials = trials_of(*(ended(score, protocol="p", w=w) for score, w in zip([2, 1, 2, 1], weight, strict=True)))
    factors = {"w": {"label": "w", "values": [1, 10]}}
    effects = factor_effects(trials, factors, 1.5)
    assert effects[["level", "failures", "known"]].to_numpy().tolist() == [["1", 0, 1], ["10", 1, 1]]
    ranged = factor_effects(trials, {"w": {"label": "w", "values": None}}, 1.5)
    assert set(ranged["level"]) == {"1.0", "10.0"}


def made_up(sequential: bool, num_goals: int = 2) -> Any:
    results = made_up_results(draws=12, seed=0)
    aims = [UP, DOWN][:num_goals]
    search = plan_of(*aims)["search"] | {"sequential": sequential, "failed_scores": {"inception_score": 1.0}}
    results.plan["search"] = search
    return results


def test_the_sections_of_a_tuning_study_render() -> None:
    sections = (SearchHistory(shown=3), ParetoFront(), Importance())
    assert "<h2" in page(made_up(True), sections)
    told = markdown(made_up(True), sections)
    assert "12 of 12 candidates were asked for, by TPE(startup=2)" in told
    assert "asked for one after another by TPE(startup=2) (seed" in told
    assert "A failed run that did not reach its end, or has no score, counts as inception_score 1." in told


def test_a_section_that_has_nothing_to_show_says_why() -> None:
    told = markdown(made_up(False), (SearchHistory(), ParetoFront(), Importance()))
    assert told.count("the study counts and does not tune") == 3
    assert "the study has 1 goals, not two" in markdown(made_up(True, num_goals=1), (ParetoFront(),))
