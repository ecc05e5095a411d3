"""Verdicts on made-up streams: what is found, at which step, and what is left alone."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gansweep.stability import (
    BelowScore,
    Collapsed,
    Decision,
    Diverged,
    Exploding,
    Finding,
    Frozen,
    ModeDropping,
    NotLearning,
    Oscillating,
    Saturated,
    Status,
    Stream,
    Verdict,
    detectors,
    events,
    first_finding,
)

RULES = (*detectors(), BelowScore())


def rows(num: Any = 10, **columns: Any) -> list[dict[str, Any]]:
    """A healthy run of `num` reports at steps 50, 100, ...; a column is a value or a list, None leaves it out."""
    healthy = {
        "loss_discriminator": 1.2,
        "loss_generator": 0.8,
        "penalty": 0.0,
        "gradient_norm_generator": 1.5,
        "gradient_norm_discriminator": 2.5,
        "weight_change_generator": 0.02,
        "weight_change_discriminator": 0.03,
        "discriminator_confidence": 0.2,
        "inception_score": 4.0,
        "class_share": 0.9,
        "mode_share": 0.9,
        "lipschitz_mean": 2.0,
        "sample_diversity": 0.9,
        "nonfinite_step": None,
    }
    made = []
    for i in range(num):
        values = {k: v[i] if isinstance(v, list) else v for k, v in {**healthy, **columns}.items()}
        kept = {k: v for k, v in values.items() if v is not None or k == "nonfinite_step"}
        made.append({"step": 50 * (i + 1), **kept})
    return made


def judge(rule: Any, reports: list[dict[str, Any]]) -> Finding | None:
    return rule.judge(Stream(reports))


def found(rule: Any, reports: list[dict[str, Any]]) -> tuple[str, int] | None:
    finding = judge(rule, reports)
    return (finding.verdict.value, finding.step) if finding else None


# Streams


def test_a_stream_is_columns_with_nan_where_a_report_lacks_one() -> None:
    stream = Stream(rows(3, inception_score=[2.0, None, 3.0]))
    assert len(stream) == 3
    np.testing.assert_array_equal(stream["inception_score"], [2.0, np.nan, 3.0])
    np.testing.assert_array_equal(stream["step"], [50, 100, 150])
    assert np.isnan(stream["no_such_column"]).all()


def test_the_tail_counts_only_the_reports_that_have_the_column() -> None:
    stream = Stream(rows(4, inception_score=[2.0, None, 3.0, None]))
    tail = stream.tail("inception_score", 2)
    assert tail is not None
    assert [list(column) for column in tail] == [[50, 150], [2.0, 3.0]]
    assert stream.tail("inception_score", 3) is None


def test_the_head_is_the_first_reports_that_have_the_column() -> None:
    stream = Stream(rows(4, inception_score=[None, 2.0, None, 3.0]))
    head = stream.head("inception_score", 2)
    assert head is not None
    assert [list(column) for column in head] == [[100, 200], [2.0, 3.0]]
    assert stream.head("inception_score", 3) is None


class Counted(dict[str, Any]):
    """A report that counts how often it is looked at."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        Counted.looks += 1
        return super().get(key, default)


@pytest.mark.parametrize("rule", detectors()[1:], ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("absent", [None, "mode_share", "wasserstein"])
def test_what_a_rule_looks_at_does_not_grow_with_the_run(rule: Any, absent: str | None) -> None:
    report, looks = Counted(rows(1, wasserstein=0.1)[0]), []
    if absent:
        del report[absent]
    for num in (3_000, 9_000):
        Counted.looks = 0
        assert rule.judge(Stream([report] * num)) is None
        looks.append(Counted.looks)
    assert looks[0] == looks[1] < 2_000


def test_a_column_is_found_where_evaluations_are_rare() -> None:
    reports = rows(1_500, inception_score=[4.0, *[None] * 999, 1.0, *[None] * 499])
    tail = Stream(reports).tail("inception_score", 2)
    assert tail is not None
    assert list(tail[1]) == [4.0, 1.0]


# A healthy run, and no run at all


def test_a_healthy_run_has_no_finding() -> None:
    assert first_finding(RULES, Stream(rows()), ended=True) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_an_empty_stream_has_no_finding(rule: Any) -> None:
    assert judge(rule, []) is None


# Diverged


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", ["loss_generator", "penalty", "gradient_norm_discriminator", "inception_score"])
def test_any_value_that_is_not_finite_is_a_divergence(bad: float, column: str) -> None:
    finding = judge(Diverged(), rows(**{column: [1.0] * 6 + [bad] * 4}))
    assert finding is not None
    assert (finding.verdict, finding.step) == (Verdict.DIVERGED, 350)
    assert column in finding.evidence


def test_the_step_of_a_divergence_is_the_first_bad_iteration_and_not_the_report() -> None:
    reports = rows(loss_generator=[1.0] * 3 + [math.nan] * 7, nonfinite_step=[None] * 3 + [163] * 7)
    assert found(Diverged(), reports) == ("diverged", 163)


def test_a_bad_iteration_is_found_even_where_the_reported_means_are_finite() -> None:
    assert found(Diverged(), rows(nonfinite_step=[None] * 9 + [463])) == ("diverged", 463)


def test_a_divergence_stays_found_after_the_values_come_back() -> None:
    assert found(Diverged(), rows(loss_generator=[math.nan] + [1.0] * 9)) == ("diverged", 50)


def test_a_missing_score_is_no_divergence() -> None:
    assert judge(Diverged(), rows(inception_score=None)) is None


def test_only_a_divergence_is_settled() -> None:
    assert [rule.settled for rule in RULES] == [True] + [False] * 8
    finding = judge(Diverged(), rows(loss_generator=math.nan))
    assert finding is not None
    assert finding.settled


# Exploding and dead gradients


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_large_gradients_count_after_as_many_reports_as_patience_says(network: str) -> None:
    column, rule = f"gradient_norm_{network}", Exploding(limit=100.0, patience=3)
    assert found(rule, rows(**{column: [1.0] * 8 + [101.0] * 2})) is None
    assert found(rule, rows(**{column: [1.0] * 7 + [101.0] * 3})) == ("exploding", 400)
    assert found(rule, rows(**{column: [100.0] * 10})) is None  # at the limit is not above it


def test_a_spike_that_is_over_is_no_explosion() -> None:
    assert judge(Exploding(limit=100.0, patience=3), rows(gradient_norm_generator=[1e9] * 9 + [1.0])) is None


def test_one_network_after_the_other_is_no_explosion() -> None:
    reports = rows(
        gradient_norm_generator=[1.0] * 8 + [1e9, 1.0], gradient_norm_discriminator=[1.0] * 7 + [1e9, 1.0, 1e9]
    )
    assert judge(Exploding(limit=100.0, patience=2), reports) is None


def test_gradients_that_grow_without_end_explode_before_they_reach_the_limit() -> None:
    rule = Exploding(limit=1e5, growth=100.0, patience=3)
    at_first = [1.0, 30.0, 2.0]  # their median is 2
    assert found(rule, rows(gradient_norm_generator=at_first + [5.0] * 4 + [201.0] * 3)) == ("exploding", 400)
    assert judge(rule, rows(gradient_norm_generator=at_first + [5.0] * 4 + [199.0] * 3)) is None


def test_gradients_that_were_zero_at_first_can_grow() -> None:
    assert judge(Exploding(), rows(gradient_norm_generator=[0.0] * 3 + [5.0] * 7)) is None


def test_a_critic_that_is_far_too_steep_explodes_and_another_discriminator_may_be_steep() -> None:
    steep = {"lipschitz_mean": [1.0] * 7 + [60.0] * 3}
    finding = judge(Exploding(slope=50.0, patience=3), rows(**steep, wasserstein=0.1))
    assert finding is not None
    assert (finding.verdict, finding.step) == (Verdict.EXPLODING, 400)
    assert finding.evidence == "lipschitz_mean 60, above 50 for 3 evaluations from step 400"
    assert judge(Exploding(slope=50.0, patience=4), rows(**steep, wasserstein=0.1)) is None
    assert judge(Exploding(slope=50.0, patience=3), rows(**steep)) is None


def test_samples_that_are_spread_far_beyond_the_data_are_an_explosion() -> None:
    rule = Exploding(spread=30.0, patience=3)
    assert found(rule, rows(sample_diversity=[1.0] * 7 + [31.0] * 3)) == ("exploding", 400)
    assert judge(rule, rows(sample_diversity=30.0)) is None


def test_a_generator_without_gradient_is_frozen() -> None:
    rule = Frozen(patience=3)
    assert found(rule, rows(gradient_norm_generator=[1.0] * 7 + [1e-9] * 3)) == ("frozen", 400)
    assert found(rule, rows(gradient_norm_generator=[1.0] * 7 + [0.0] * 3)) == ("frozen", 400)
    assert judge(rule, rows(gradient_norm_generator=[1.0] * 8 + [1e-9] * 2)) is None
    assert judge(rule, rows(gradient_norm_generator=1e-8)) is None  # at the limit is not below it


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_network_whose_weights_do_not_move_is_frozen(network: str) -> None:
    finding = judge(Frozen(patience=3), rows(**{f"weight_change_{network}": [0.1] * 7 + [0.0] * 3}))
    assert finding is not None
    assert (finding.verdict, finding.step) == (Verdict.FROZEN, 400)
    assert network in finding.evidence
    assert judge(Frozen(patience=3), rows(**{f"weight_change_{network}": [0.1] * 8 + [0.0] * 2})) is None


def test_a_discriminator_without_gradient_is_not_the_generators_fault() -> None:
    assert judge(Frozen(), rows(gradient_norm_discriminator=0.0)) is None


# Saturation


def test_a_discriminator_that_is_always_sure_is_saturated() -> None:
    rule = Saturated(limit=0.98, patience=4)
    assert found(rule, rows(discriminator_confidence=[0.5] * 6 + [0.99] * 4)) == ("saturated", 350)
    assert judge(rule, rows(discriminator_confidence=[0.99] * 9 + [0.5])) is None
    assert judge(rule, rows(discriminator_confidence=0.98)) is None
    assert judge(rule, rows(discriminator_confidence=None)) is None  # a critic has no confidence


# Collapse


def test_low_scores_count_after_as_many_evaluations_as_patience_says() -> None:
    assert found(Collapsed(patience=3), rows(inception_score=[4.0] * 7 + [1.0] * 3)) == ("collapsed", 400)
    assert judge(Collapsed(patience=3), rows(inception_score=[4.0] * 8 + [1.0] * 2)) is None
    assert judge(Collapsed(patience=3), rows(inception_score=1.1)) is None  # at the limit is not below it


def test_reports_without_a_score_do_not_break_a_collapse() -> None:
    scores = [4.0, None, 1.0, None, 1.0, None, None, None, 1.05, None]
    assert found(Collapsed(patience=3), rows(inception_score=scores)) == ("collapsed", 150)


def test_a_recovery_ends_a_collapse() -> None:
    assert judge(Collapsed(patience=3), rows(inception_score=[1.0] * 9 + [2.0])) is None


def test_evaluations_before_the_start_do_not_count_and_the_one_at_it_does() -> None:
    reports = rows(inception_score=1.0)  # evaluations at 50, ..., 500: the last three at 400, 450 and 500
    assert found(Collapsed(patience=3, after=400), reports) == ("collapsed", 400)
    assert judge(Collapsed(patience=3, after=401), reports) is None


def test_samples_without_spread_are_a_collapse_whatever_their_score() -> None:
    rule = Collapsed(patience=3, diversity=0.02)
    finding = judge(rule, rows(sample_diversity=[0.9] * 7 + [0.01] * 3))
    assert finding is not None
    assert (finding.verdict, finding.step) == (Verdict.COLLAPSED, 400)
    assert finding.evidence == "sample_diversity 0.01, below 0.02 for 3 evaluations from step 400"
    assert judge(rule, rows(sample_diversity=0.03)) is None


def test_a_limit_of_zero_goes_by_the_diversity_alone() -> None:
    rule = Collapsed(score="modes_captured", limit=0, patience=3)
    assert judge(rule, rows(modes_captured=0)) is None
    assert found(rule, rows(modes_captured=8, sample_diversity=0.0)) == ("collapsed", 400)


def test_the_rule_can_watch_another_score() -> None:
    reports = rows(precision=[0.5] * 7 + [0.01] * 3)
    assert found(Collapsed(score="precision", limit=0.05, patience=3), reports) == ("collapsed", 400)
    assert judge(Collapsed(patience=3), reports) is None


# Dropped modes, no learning, oscillation


@pytest.mark.parametrize("share", ["mode_share", "class_share"])
def test_few_modes_or_classes_for_long_are_mode_dropping(share: str) -> None:
    rule = ModeDropping(limit=0.3, patience=4)
    assert found(rule, rows(**{share: [0.5] * 6 + [0.2] * 4})) == ("mode_dropping", 350)
    assert judge(rule, rows(**{share: [0.5] * 7 + [0.2] * 3})) is None
    assert judge(rule, rows(**{share: [0.2] * 9 + [0.5]})) is None


def test_a_score_that_never_leaves_the_start_is_not_learning() -> None:
    rule = NotLearning(limit=1.5, patience=5)
    assert found(rule, rows(inception_score=[1.4] * 10)) == ("not_learning", 300)
    assert judge(rule, rows(inception_score=[1.4] * 9 + [1.6])) is None
    assert judge(rule, rows(4, inception_score=[1.4] * 4)) is None  # too early to say


def test_a_score_that_comes_and_goes_oscillates() -> None:
    rule = Oscillating(swing=0.5, turns=4, patience=8)
    swinging = [1.0, 4.0, 1.0, 4.0] * 2
    finding = judge(rule, rows(8, inception_score=swinging))
    assert finding is not None
    assert (finding.verdict, finding.step) == (Verdict.OSCILLATING, 50)
    assert "between 1 and 4 in 7 swings" in finding.evidence
    assert judge(Oscillating(swing=0.5, turns=8, patience=8), rows(8, inception_score=swinging)) is None
    assert judge(Oscillating(swing=0.8, turns=4, patience=8), rows(8, inception_score=swinging)) is None


def test_a_slow_swing_is_one_swing() -> None:
    rule = Oscillating(swing=0.5, turns=2, patience=9)
    rising = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert judge(rule, rows(9, inception_score=rising)) is None
    finding = judge(rule, rows(9, inception_score=[1.0, 3.0, 5.0, 7.0, 9.0, 7.0, 5.0, 3.0, 1.0]))
    assert finding is not None
    assert "in 2 swings" in finding.evidence


def test_jitter_is_no_swing() -> None:
    jitter = [4.0, 4.5, 3.9, 4.4, 4.0, 4.6, 3.8, 4.4]
    assert judge(Oscillating(swing=0.5, turns=1, patience=8), rows(8, inception_score=jitter)) is None


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if hasattr(rule, "after")], ids=lambda rule: rule.__class__.__name__
)
def test_no_rule_counts_reports_before_its_start(rule: Any) -> None:
    bad = {
        "Exploding": {"gradient_norm_generator": 1e9},
        "Frozen": {"gradient_norm_generator": 0.0},
        "Collapsed": {"sample_diversity": 0.0},
        "Saturated": {"discriminator_confidence": 1.0},
        "NotLearning": {"inception_score": 1.2},
        "ModeDropping": {"class_share": 0.1},
        "Oscillating": {"inception_score": [1.0, 9.0] * 20},
    }[type(rule).__name__]
    reports = rows(40, **bad)
    first = 50 * (40 - rule.patience + 1)
    assert found(dataclasses.replace(rule, after=first), reports) is not None
    assert judge(dataclasses.replace(rule, after=first + 1), reports) is None


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Exploding, {"growth": 1.0}),
        (Exploding, {"slope": 1.0}),
        (Exploding, {"spread": 1.0}),
        (Exploding, {"patience": 0}),
        (Frozen, {"still": 0.0}),
        (Collapsed, {"diversity": -0.1}),
        (ModeDropping, {"limit": 0.0}),
        (Saturated, {"after": -1}),
        (Oscillating, {"swing": 0.0}),
        (Oscillating, {"turns": 0}),
        (NotLearning, {"patience": 2.5}),
    ],
)
def test_a_meaningless_limit_is_refused_by_name(kind: Any, fields: dict[str, Any]) -> None:
    (name,) = fields
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{name} = "):
        kind(**fields)


# The final score


def test_a_success_must_exceed_the_minimum() -> None:
    assert found(BelowScore(minimum=2.0), rows(inception_score=[4.0] * 9 + [2.0])) == ("below_threshold", 500)
    assert judge(BelowScore(minimum=2.0), rows(inception_score=[1.0] * 9 + [2.0001])) is None


def test_a_final_score_that_is_not_a_number_is_no_success() -> None:
    assert found(BelowScore(), rows(inception_score=math.nan)) == ("below_threshold", 500)


# The order of the rules


def test_a_run_that_begins_badly_and_recovers_ends_without_a_finding() -> None:
    """A slow start, a spike and a dip, each shorter than the patience of the rule that looks for it."""
    scores = [1.2] * 6 + [2.0, 3.0, 1.05, 1.05, 3.0, 4.0, 5.0] + [5.0] * 7
    spike = [1.0] * 12 + [1e7] + [1.0] * 7
    reports = rows(20, inception_score=scores, class_share=[0.1] * 8 + [0.9] * 12, gradient_norm_generator=spike)
    for num in range(1, 21):
        assert first_finding(detectors(), Stream(reports[:num]), ended=False) is None


def test_the_detectors_can_go_by_the_modes_of_a_mixture() -> None:
    rules = detectors("modes_captured", alike=0, untrained=1)
    columns = {"inception_score": None, "class_share": None}
    healthy = rows(20, **columns, modes_captured=8.0, mode_share=1.0)
    assert first_finding(rules, Stream(healthy), ended=False) is None
    few = first_finding(rules, Stream(rows(20, **columns, modes_captured=1.0, mode_share=0.125)), ended=False)
    assert few is not None
    assert few.verdict is Verdict.MODE_DROPPING
    columns |= {"mode_share": None}
    assert first_finding(rules, Stream(rows(20, **columns, modes_captured=1.0)), ended=False) is None
    none = first_finding(rules, Stream(rows(20, **columns, modes_captured=0.0)), ended=False)
    assert none is not None
    assert none.verdict is Verdict.NOT_LEARNING


def test_the_first_rule_that_finds_something_speaks() -> None:
    reports = rows(inception_score=1.0, gradient_norm_generator=0.0)
    finding = first_finding(RULES, Stream(reports), ended=True)
    assert finding is not None
    assert finding.verdict is Verdict.FROZEN
    assert finding.rule == "Frozen"
    turned = first_finding(RULES[::-1], Stream(reports), ended=True)
    assert turned is not None
    assert turned.verdict is Verdict.BELOW_THRESHOLD


def test_rules_on_the_end_never_stop_a_run() -> None:
    reports = rows(inception_score=1.5)
    assert first_finding(RULES, Stream(reports), ended=False) is None
    finding = first_finding(RULES, Stream(reports), ended=True)
    assert finding is not None
    assert finding.verdict is Verdict.BELOW_THRESHOLD


def test_a_finding_is_made_of_plain_values() -> None:
    finding = judge(Collapsed(patience=3), rows(inception_score=1.0))
    assert finding is not None
    assert type(finding.step) is int
    assert finding.evidence == "inception_score 1, below 1.1 for 3 evaluations from step 400"


# What happened, in order


def test_a_healthy_run_has_no_events() -> None:
    assert events(RULES, rows(), ended=True) == []
    assert events(RULES, [], ended=True) == []


def test_every_stretch_in_which_a_rule_finds_something_is_an_event() -> None:
    reports = rows(inception_score=[4.0, 1.0, 1.0, 1.0, 4.0, 4.0, 1.0, 1.0, 1.0, 1.0])
    told = events([Collapsed(patience=2)], reports, ended=True)
    assert [(one["step"], one["until"], one["verdict"], one["rule"]) for one in told] == [
        (100, 200, "collapsed", "Collapsed"),
        (350, 500, "collapsed", "Collapsed"),
    ]
    assert told[0]["evidence"] == "inception_score 1, below 1.1 for 2 evaluations from step 100"
    assert json.loads(json.dumps(told)) == told


def test_events_of_several_rules_stand_in_the_order_of_their_steps() -> None:
    reports = rows(inception_score=[4.0] * 6 + [1.0] * 4, gradient_norm_generator=[1.0] * 3 + [0.0] * 7)
    told = events([Collapsed(patience=2), Frozen(patience=2)], reports, ended=True)
    assert [(one["step"], one["verdict"]) for one in told] == [(200, "frozen"), (350, "collapsed")]


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_divergence_is_an_event_from_its_first_report_to_the_last(place: int) -> None:
    losses = [1.0] * place + [math.nan] + [1.0] * (9 - place)
    (event,) = events([Diverged()], rows(loss_generator=losses), ended=True)
    assert (event["step"], event["until"], event["verdict"]) == (50 * (place + 1), 500, "diverged")


def test_a_rule_on_the_end_is_asked_at_the_last_report_only() -> None:
    reports = rows(inception_score=[1.5] * 9 + [3.0])
    assert events([BelowScore(minimum=2.0)], reports, ended=True) == []
    assert events([BelowScore(minimum=4.0)], reports, ended=False) == []
    (event,) = events([BelowScore(minimum=4.0)], reports, ended=True)
    assert (event["step"], event["until"]) == (500, 500)


def test_status_verdict_and_decision_share_no_word() -> None:
    words = [member.value for kind in (Status, Verdict, Decision) for member in kind]
    assert len(words) == len(set(words))


def test_rules_need_neither_torch_nor_optuna() -> None:
    heavy = "('torch', 'optuna', 'pandas', 'mlflow')"
    code = f"import sys, gansweep.stability; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
