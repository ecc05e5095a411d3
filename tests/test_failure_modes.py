"""The recorded runs of the failure_modes studies, judged by today's rules, and what was planted in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gansweep.data.planted import SpoiltRing
from gansweep.parts import describe
from gansweep.randomness import stream
from gansweep.stability import Collapsed, Diverged, NotLearning, detectors
from gansweep.trial import Latent
from gansweep.verdicts import confusion, judge_traces, rates

TRACES = Path(__file__).parents[1] / "docs" / "results" / "failure_modes" / "traces.parquet"
RULES = {"digits": detectors(), "ring": detectors("modes_captured", alike=0, untrained=1)}


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    return judge_traces(pd.read_parquet(TRACES), RULES)


# The calibration, which a change of a default must not break unseen


def test_there_are_enough_recorded_runs_to_say_something(judged: pd.DataFrame) -> None:
    assert len(judged) >= 200
    assert (judged["planted"] == "healthy").sum() >= 100
    assert (judged["label"] != "").sum() >= 100
    assert judged["trial"].is_unique


@pytest.mark.parametrize("part", ["calibrated on", "kept apart", "all"])
def test_failing_runs_are_named_for_what_is_wrong_and_healthy_ones_left_alone(part: str, judged: pd.DataFrame) -> None:
    chosen = {"calibrated on": judged["cell"] % 2 == 0, "kept apart": judged["cell"] % 2 == 1}
    found = rates(judged[chosen.get(part, judged["cell"] >= 0)])
    assert found["named_right"] >= 0.95
    assert found["false_alarms"] <= 0.02
    assert found["median_saved"] >= 0.5


def test_the_defaults_are_those_of_the_document_also_where_no_run_holds_them() -> None:
    fields = {type(rule).__name__: {k: v for k, v in describe(rule).items() if k != "part"} for rule in detectors()}
    score = {"score": "inception_score"}
    assert fields == {
        "Diverged": {},
        "Exploding": {
            "limit": 1e5,
            "growth": 300.0,
            "floor": 100.0,
            "spread": 30.0,
            "slope": 50.0,
            "patience": 3,
            "after": 0,
        },
        "Frozen": {"limit": 1e-8, "still": 1e-7, "patience": 10, "after": 0},
        "Collapsed": {**score, "limit": 1.1, "diversity": 0.02, "patience": 5, "after": 0},
        "Saturated": {"limit": 0.98, "patience": 10, "after": 0},
        "ModeDropping": {"limit": 0.2, "patience": 12, "after": 0},
        "NotLearning": {**score, "limit": 1.5, "patience": 12, "after": 0},
        "Oscillating": {**score, "swing": 0.5, "turns": 4, "patience": 12, "after": 0},
    }


def test_the_table_of_the_document_is_what_the_rules_say_today(judged: pd.DataFrame) -> None:
    text = TRACES.parent.with_suffix(".md").read_text()
    table = confusion(judged)
    for planted, row in table.iterrows():
        assert f"| {planted} | {' | '.join(map(str, row))} |" in text
    assert f"| planted | {' | '.join(table.columns)} |" in text


# How traces are judged


def traces(**trials: Any) -> pd.DataFrame:
    """Runs of 5 reports at steps 10, ..., 50; a trial is what was planted, the right names, and its scores."""
    rows = []
    for trial, (planted, label, scores) in trials.items():
        known = {"trial": trial, "cell": 0, "arm": "a", "planted": planted, "objective": "gan", "data": "digits"}
        for number, score in enumerate(scores, start=1):
            report = {"step": 10 * number, "inception_score": score, "nonfinite_step": None}
            rows.append({**known, "label": label, "steps": 50, **report})
    return pd.DataFrame(rows)


TWO_RULES = {"digits": (Collapsed(patience=2), NotLearning(patience=3))}


def test_a_run_is_called_what_the_rule_says_that_would_have_stopped_it() -> None:
    (row,) = judge_traces(traces(t=("two", "collapsed", [4.0, 1.0, 1.0, 1.0, 4.0])), TWO_RULES).to_dict("records")
    assert (row["verdict"], row["rule"], row["found_step"]) == ("collapsed", "Collapsed", 30)
    assert row["saved"] == pytest.approx(0.4)
    assert row["right"]


def test_a_report_without_a_score_does_not_count_as_one() -> None:
    (row,) = judge_traces(traces(t=("two", "collapsed", [4.0, 1.0, None, np.nan, 1.0])), TWO_RULES).to_dict("records")
    assert row["found_step"] == 50


def test_a_divergence_is_read_from_the_step_at_which_it_was_recorded() -> None:
    frame = traces(t=("nan", "diverged", [4.0, None]))
    frame.loc[1, "nonfinite_step"] = 17
    (row,) = judge_traces(frame, {"digits": (Diverged(),)}).to_dict("records")
    assert (row["verdict"], row["evidence"]) == ("diverged", "not finite from step 17: a loss")


def test_rates_and_confusion_count_trials() -> None:
    fine, alike, low = [4.0] * 5, [1.0] * 5, [1.3] * 5
    judged = judge_traces(
        traces(
            a=("healthy", "", fine),
            b=("healthy", "", alike),  # a false alarm
            c=("same", "collapsed", alike),
            d=("same", "collapsed frozen", low),  # found, by the wrong name
            e=("same", "collapsed", fine),  # missed
            f=("failed by itself", "", alike),  # counts for nothing
        ),
        TWO_RULES,
    )
    assert judged["right"].tolist() == [True, False, True, False, False, False]
    found = rates(judged)
    assert (found["failing"], found["healthy"]) == (3, 2)
    assert found["named_right"] == pytest.approx(1 / 3)
    assert found["found"] == pytest.approx(2 / 3)
    assert found["false_alarms"] == pytest.approx(1 / 2)
    assert found["median_saved"] == pytest.approx(0.4)
    # Wilson's interval of 1 in 2, z = 1.96
    assert (found["false_alarms_low"], found["false_alarms_high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    table = confusion(judged)
    assert list(table.columns) == ["trained", "collapsed", "not_learning"]  # in the order of Verdict
    assert table.loc["same"].tolist() == [1, 1, 1]
    assert table.to_numpy().sum() == 6


# What is planted


def test_a_spoilt_ring_has_about_its_share_of_points_that_are_not_a_number() -> None:
    ring = SpoiltRing(nan_share=0.01)
    points = ring.draw(100_000, stream("cpu", 0, "test")).x
    spoilt = points.isnan()
    assert torch.equal(spoilt[:, 0], spoilt[:, 1])
    # 1000 are expected, with a standard deviation of 31
    assert abs(int(spoilt[:, 0].sum()) - 1000) < 160
    assert points[~spoilt[:, 0]].isfinite().all()
    assert len(ring.modes.centres) == 8
    # what scores compare with has no defect
    assert ring.sample(100_000, stream("cpu", 0, "test")).isfinite().all()


@pytest.mark.parametrize("share", [0.0, 1.5, True])
def test_a_share_of_spoilt_points_is_above_zero_and_at_most_one(share: Any) -> None:
    with pytest.raises(ValueError, match=r"^SpoiltRing\.nan_share = "):
        SpoiltRing(nan_share=share)


def test_a_fixed_set_of_points_can_be_spoilt() -> None:
    ring = SpoiltRing(nan_share=0.5, points=1_000)
    assert 300 < int(ring.open("cpu").rows(torch.arange(1_000)).x.isnan().any(dim=1).sum()) < 700


def test_a_constant_latent_is_one_input_and_its_codes_stay_random() -> None:
    from gansweep.training import draw_latent

    z = draw_latent(Latent(size=3, distribution="constant"), 5, stream("cpu", 0, "test"))
    assert torch.equal(z, torch.ones(5, 3))
    coded = draw_latent(Latent(size=3, distribution="constant", categorical=(2,)), 50, stream("cpu", 0, "test"))
    assert coded.shape == (50, 5)
    assert len(coded.unique(dim=0)) == 2
