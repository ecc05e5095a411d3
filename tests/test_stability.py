"""Verdicts on made-up streams: what is found, at which step, and what is left alone."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from gansweep import BelowScore, Collapsed, DeadGradient, Diverged, Exploding
from gansweep.stability import Decision, Finding, Status, Stream, Verdict, first_finding

RULES = (Diverged(), Exploding(), DeadGradient(), Collapsed(), BelowScore())


def rows(num: Any = 10, **columns: Any) -> list[dict[str, Any]]:
    """A healthy run of `num` reports at steps 50, 100, ...; a column is a value or a list, None leaves it out."""
    healthy = {
        "loss_discriminator": 1.2,
        "loss_generator": 0.8,
        "penalty": 0.0,
        "gradient_norm_generator": 1.5,
        "gradient_norm_discriminator": 2.5,
        "inception_score": 4.0,
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
    assert [rule.settled for rule in RULES] == [True, False, False, False, False]
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


def test_a_generator_without_gradient_is_frozen() -> None:
    assert found(DeadGradient(), rows(gradient_norm_generator=[1.0] * 7 + [1e-9] * 3)) == ("frozen", 400)
    assert found(DeadGradient(), rows(gradient_norm_generator=[1.0] * 7 + [0.0] * 3)) == ("frozen", 400)
    assert judge(DeadGradient(), rows(gradient_norm_generator=[1.0] * 8 + [1e-9] * 2)) is None
    assert judge(DeadGradient(), rows(gradient_norm_generator=1e-8)) is None  # at the limit is not below it


def test_a_discriminator_without_gradient_is_not_the_generators_fault() -> None:
    assert judge(DeadGradient(), rows(gradient_norm_discriminator=0.0)) is None


# Collapse


def test_low_scores_count_after_as_many_evaluations_as_patience_says() -> None:
    assert found(Collapsed(), rows(inception_score=[4.0] * 7 + [1.0] * 3)) == ("collapsed", 400)
    assert judge(Collapsed(), rows(inception_score=[4.0] * 8 + [1.0] * 2)) is None
    assert judge(Collapsed(), rows(inception_score=1.1)) is None  # at the limit is not below it


def test_reports_without_a_score_do_not_break_a_collapse() -> None:
    scores = [4.0, None, 1.0, None, 1.0, None, None, None, 1.05, None]
    assert found(Collapsed(), rows(inception_score=scores)) == ("collapsed", 150)


def test_a_recovery_ends_a_collapse() -> None:
    assert judge(Collapsed(), rows(inception_score=[1.0] * 9 + [2.0])) is None


def test_evaluations_before_the_start_do_not_count_and_the_one_at_it_does() -> None:
    reports = rows(inception_score=1.0)  # evaluations at 50, ..., 500: the last three at 400, 450 and 500
    assert found(Collapsed(after=400), reports) == ("collapsed", 400)
    assert judge(Collapsed(after=401), reports) is None


def test_the_rule_can_watch_another_score() -> None:
    reports = rows(precision=[0.5] * 7 + [0.01] * 3)
    assert found(Collapsed(score="precision", limit=0.05), reports) == ("collapsed", 400)
    assert judge(Collapsed(), reports) is None


# The final score


def test_a_success_must_exceed_the_minimum() -> None:
    assert found(BelowScore(minimum=2.0), rows(inception_score=[4.0] * 9 + [2.0])) == ("below_threshold", 500)
    assert judge(BelowScore(minimum=2.0), rows(inception_score=[1.0] * 9 + [2.0001])) is None


def test_a_final_score_that_is_not_a_number_is_no_success() -> None:
    assert found(BelowScore(), rows(inception_score=math.nan)) == ("below_threshold", 500)


# The order of the rules


def test_the_first_rule_that_finds_something_speaks() -> None:
    reports = rows(inception_score=1.0, gradient_norm_generator=0.0)
    finding = first_finding(RULES, Stream(reports), ended=True)
    assert finding is not None
    assert finding.verdict is Verdict.FROZEN
    assert finding.rule == "DeadGradient"
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
    finding = judge(Collapsed(), rows(inception_score=1.0))
    assert finding is not None
    assert type(finding.step) is int
    assert "1.00" in finding.evidence
    assert "step 400" in finding.evidence


def test_status_verdict_and_decision_share_no_word() -> None:
    words = [member.value for kind in (Status, Verdict, Decision) for member in kind]
    assert len(words) == len(set(words))


def test_rules_need_neither_torch_nor_optuna() -> None:
    heavy = "('torch', 'optuna', 'pandas', 'mlflow')"
    code = f"import sys, gansweep.stability; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
