"""Claims of the papers judged from made-up runs with known answers: each claim, each of the three judgements."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gansweep import comparing, judging
from gansweep.comparing import CONTRADICTED, REPRODUCED, UNDECIDABLE
from gansweep.published import CLAIMS, IDS_OF_STUDY, claims
from gansweep.testing import MadeUpResults, made_up_results, made_up_run, made_up_table_5

NAN = float("nan")
GAN = {"loss": "NonSaturating", "constraint": None, "n_critic": 1}
GP = {"loss": "Wasserstein", "constraint": "GradientPenalty", "constraint.at": "lines", "constraint.weight": 10.0,
      "constraint.one_sided": False, "n_critic": 5}  # fmt: skip
CLIP = {"loss": "Wasserstein", "constraint": "WeightClip", "constraint.bound": 0.01, "n_critic": 5}
LSGAN = {"loss": "LeastSquares", "constraint": None, "loss.a": 0.0, "loss.b": 1.0, "loss.c": 1.0}
PEARSON = {**LSGAN, "loss.a": -1.0, "loss.c": 0.0}
TEN = range(10)


def judged(results: Any) -> list[str]:
    return [one.judgement for one in judging.judge(results)]


def near(value: float, num: int = 10, spread: float = 0.05) -> list[float]:
    """`num` different numbers around a value."""
    return [value + spread * math.sin(3 * i + value) for i in range(num)]


# ---------------------------------------------------------------------------------- what holds for every claim


def test_every_claim_has_a_judge_and_every_study_judges_all_of_its_claims() -> None:
    assert set(judging.JUDGE_OF) == set(CLAIMS)
    for study, ids in IDS_OF_STUDY.items():
        empty = made_up_run(study, {"other": {"loss": "Hinge"}}, {"score": {"other": [1.0, 2.0]}})
        found = judging.judge(empty)
        assert [one.claim for one in found] == [claim for one in ids for claim in claims(one)]
        assert {one.judgement for one in found} == {UNDECIDABLE}
        assert all(one.evidence.endswith(".") and len(one.evidence) > 20 for one in found)


def test_a_study_of_our_own_judges_nothing_and_one_that_has_not_begun_decides_nothing() -> None:
    assert judging.judge(made_up_run("began_balance", {"a": GAN}, {"score": {"a": [1.0]}})) == ()
    waiting = made_up_results(draws=3, planned=6)
    assert {(one.judgement, one.evidence) for one in judging.judge(waiting)} == {(UNDECIDABLE, "No trial has ended.")}


def test_a_judgement_says_the_preset_it_was_made_at() -> None:
    assert {one.preset for one in judging.judge(made_up_table_5())} == {"paper"}
    assert {one.preset for one in judging.judge(made_up_results(draws=4))} == {"laptop"}


# ------------------------------------------------------------------------------------------------- comparing


def test_the_interval_of_the_median_is_that_of_the_order_statistics() -> None:
    # P(Bin(10, 1/2) < 2) = 11/1024 = 1.1%, P(< 3) = 5.5%: the second smallest and the second largest
    assert comparing.median_interval(np.arange(10.0)) == (1.0, 8.0)
    assert comparing.median_interval(np.arange(6.0)) == (0.0, 5.0)  # P(Bin(6, 1/2) < 1) = 1.6%
    assert comparing.median_interval(np.arange(5.0)) == (-math.inf, math.inf)  # 3.1% is too much


@pytest.mark.slow
def test_the_interval_of_the_median_holds_it_in_95_of_100_samples_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(4000):
        low, high = comparing.median_interval(rng.exponential(size=20))
        held.append(low <= math.log(2) <= high)
    assert np.mean(held) >= 0.945


def test_a_mean_difference_is_students_and_equal_numbers_prove_nothing() -> None:
    run = made_up_run("penalty", {"a": GAN, "b": GP}, {"score": {"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]}})
    sides = [comparing.named_arm(run, arm) for arm in "ab"]
    found = comparing.difference(run, *sides, "score")
    assert (found.value, found.middle, found.unit, found.num) == (2.0, "mean", "seed", 3)
    reach = 4.302653 / math.sqrt(3)  # Student's 97.5% quantile with two degrees of freedom, deviation 1
    assert (found.low, found.high) == pytest.approx((2 - reach, 2 + reach), rel=1e-5)
    same = made_up_run("penalty", {"a": GAN, "b": GP}, {"score": {"a": [1.0, 1.0], "b": [2.0, 2.0]}})
    found = comparing.difference(same, *(comparing.named_arm(same, arm) for arm in "ab"), "score")
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_a_diverged_run_is_beaten_by_every_other_and_a_stopped_one_is_anything() -> None:
    run = made_up_run("penalty", {"a": GAN, "b": GP}, {"score": {"a": [1.0, NAN, NAN], "b": [NAN, 2.0, NAN]}})
    sides = [comparing.named_arm(run, arm) for arm in "ab"]
    least, most = comparing.paired_values(run, *sides, "score")
    assert least.tolist() == most.tolist() == [-math.inf, math.inf, 0.0]
    run.trials.loc[run.trials["arm"] == "a", ["decision", "verdict"]] = ["pruned", "collapsed"]
    least, most = comparing.paired_values(run, *(comparing.named_arm(run, arm) for arm in "ab"), "score")
    assert (least == -math.inf).all()
    assert (most == math.inf).all()


def test_a_run_that_ended_without_a_score_may_be_anything_unless_it_diverged() -> None:
    numbers = {"score": {"a": [1.0, NAN], "b": [2.0, 2.0]}, "verdict": {"a": ["trained"] * 2, "b": ["trained"] * 2}}
    run = made_up_run("penalty", {"a": GAN, "b": GP}, numbers)
    least, most = comparing.paired_values(run, *(comparing.named_arm(run, arm) for arm in "ab"), "score")
    assert (least.tolist(), most.tolist()) == ([1.0, -math.inf], [1.0, math.inf])


def test_a_side_of_which_every_run_diverged_is_beaten_and_not_unrecorded() -> None:
    run = made_up_run("penalty", {"a": GAN, "b": GP}, {"score": {"a": [NAN] * 6, "b": [2.0] * 6}})
    found = comparing.difference(run, *(comparing.named_arm(run, arm) for arm in "ab"), "score")
    assert (found.better, found.low) == (True, math.inf)


def test_sides_whose_scores_have_two_protocols_are_not_compared() -> None:
    run = made_up_run("penalty", {"a": GAN, "b": GP}, {"score": {"a": [1.0, 2.0], "b": [2.0, 4.0]}})
    run.trials.loc[run.trials["arm"] == "b", "score_protocol"] = "another"
    with pytest.raises(comparing.NotRecorded, match="2 protocols"):
        comparing.difference(run, *(comparing.named_arm(run, arm) for arm in "ab"), "score")


def test_a_diverged_run_has_no_measurement_and_what_the_others_left_is_no_sample() -> None:
    run = made_up_run("clipping", {"a": GAN, "b": GP}, {"slope": {"a": [1.0, 2.0, 0.5], "b": [2.0, 2.0, 2.0]}})
    run.trials.loc[0, "verdict"] = "diverged"
    a, b = (comparing.named_arm(run, arm) for arm in "ab")
    least, most = comparing.paired_values(run, a, b, "slope", diverged_is_worst=False)
    assert (least.tolist(), most.tolist()) == ([-math.inf, 0.0, 1.5], [math.inf, 0.0, 1.5])
    assert comparing.measured(run, b, "slope").tolist() == [2.0] * 3
    with pytest.raises(comparing.NotRecorded, match="1 of 3 trials have no slope"):
        comparing.measured(run, a, "slope")


def test_seeds_of_a_drawn_cell_are_averaged_and_those_of_a_grid_are_not() -> None:
    cells = [{"width": 4}, {"width": 8}]
    scores = {"score": {"a": [1.0, 1.0, 1.0, 1.0], "b": [2.0, 4.0, 3.0, 5.0]}}
    drawn = made_up_run("penalty", {"a": GAN, "b": GP}, scores, cells=cells)
    found = comparing.difference(drawn, *(comparing.named_arm(drawn, arm) for arm in "ab"), "score")
    assert (found.values.tolist(), found.unit) == ([2.0, 3.0], "cell")
    grid = made_up_run("penalty", {"a": GAN, "b": GP}, scores, cells=cells, grid=True)
    found = comparing.difference(grid, *(comparing.named_arm(grid, arm) for arm in "ab"), "score")
    assert (found.values.tolist(), found.unit) == ([1.0, 3.0, 2.0, 4.0], "seed")


def test_a_side_is_found_by_its_configuration_whether_an_arm_or_a_factor_sets_it() -> None:
    run = made_up_run(
        "penalty",
        {"x": {"loss": "Wasserstein"}, "y": {"loss": "Hinge"}},
        {"score": {"x": [1.0, 2.0], "y": [3.0, 4.0]}},
        cells=[{"n_critic": 5}, {"n_critic": 10}],
    )
    assert comparing.side(run, "it", {"loss": "Wasserstein", "n_critic": 10})["trial"].tolist() == ["c001-0-x"]
    assert len(comparing.side(run, "it", {"loss": ("Hinge", "Wasserstein"), "constraint": None})) == 4
    with pytest.raises(comparing.NotRecorded, match="no trial of this run is a dragon"):
        comparing.side(run, "a dragon", {"loss": "Dragon"})


# ------------------------------------------------------------------------------------------------ S1: table 5


def architectures(gan: Sequence[float], gp: Sequence[float], preset: str = "laptop") -> MadeUpResults:
    cells = [{"depth": i} for i in range(len(gan))]
    arms = {"gan": GAN, "wgan_gp": GP}
    scores = {"inception_score": {"gan": gan, "wgan_gp": gp}}
    of = {"cells": cells, "score": "inception_score", "thresholds": (2.0, 3.0), "preset": preset}
    return made_up_run("arch_robustness", arms, scores, **of)  # type: ignore[arg-type]


def test_the_papers_own_table_reproduces_all_three_claims_with_its_p_values() -> None:
    found = judging.judge(made_up_table_5())
    assert [one.judgement for one in found] == [REPRODUCED] * 3
    assert "148 of 200 cells only under WGAN-GP, 0 only under the GAN" in found[0].evidence
    assert "2 of 200 cells" in found[1].evidence
    assert "Medians 3.2 and 7.14" in found[2].evidence


def test_the_papers_table_with_its_arms_exchanged_contradicts_all_three_claims() -> None:
    results = made_up_table_5()
    exchanged = results.trials.assign(arm=results.trials["arm"].map({"gan": "wgan_gp", "wgan_gp": "gan"}))
    assert judged(dataclasses.replace(results, trials=exchanged)) == [CONTRADICTED] * 3


def test_a_handful_of_architectures_decides_none_of_the_three() -> None:
    found = judging.judge(architectures([1.0, 4.0, 2.5, 1.0, 4.0], [1.0, 4.0, 2.6, 4.0, 1.5]))
    assert [one.judgement for one in found] == [UNDECIDABLE] * 3


def test_the_published_medians_are_asked_for_at_the_preset_paper_only() -> None:
    low, high = near(2.0, 30), near(4.0, 30)
    assert judged(architectures(low, high))[2] == REPRODUCED
    found = judging.judge(architectures(low, high, preset="paper"))[2]
    assert (found.judgement, "not between the published ones" in found.evidence) == (UNDECIDABLE, True)


@pytest.mark.parametrize(("only_gan", "judgement"), [(8, UNDECIDABLE), (9, CONTRADICTED)])
def test_what_only_the_gan_trains_contradicts_with_the_thresholds_corrected_for(only_gan: int, judgement: str) -> None:
    """Of 8 of 80 Wilson's interval begins at 5.2%, for two thresholds at once at 4.7%; of 9 at 5.5%."""
    gan = [4.0] * only_gan + [1.0] * (80 - only_gan)
    found = judging.judge(architectures(gan, [1.0] * 80))[1]
    assert found.judgement == judgement
    assert "With all 2 thresholds corrected for" in found.evidence


def test_stopped_trials_that_nobody_audited_leave_open_what_only_the_gan_trains() -> None:
    results = architectures([1.0] * 100, [4.0] * 100)
    assert judged(results)[1] == REPRODUCED
    stopped = results.trials["cell"].isin([f"c{i:03d}" for i in range(20)])
    results.trials.loc[stopped, ["decision", "verdict"]] = ["pruned", "collapsed"]
    found = judging.judge(results)[1]
    assert (found.judgement, "0 to 20 of 100" in found.evidence) == (UNDECIDABLE, True)


def test_what_lost_trials_would_have_done_is_held_against_the_claim() -> None:
    results = architectures([1.0] * 40, [4.0] * 40)
    assert judged(results)[0] == REPRODUCED
    lost = results.trials["cell"].isin([f"c{i:03d}" for i in range(5)])
    results.trials.loc[lost, ["status", "inception_score", "verdict"]] = ["failed", NAN, None]
    found = judging.judge(results)[0]
    assert found.judgement == REPRODUCED
    assert "2.8e-06 if all unknown cells spoke against it" in found.evidence  # 4 x 760,099 / 2^40: 35 to 5, and Holm
    lost = results.trials["cell"].isin([f"c{i:03d}" for i in range(15)])
    results.trials.loc[lost, ["status", "inception_score", "verdict"]] = ["failed", NAN, None]
    assert judged(results)[0] == UNDECIDABLE  # 25 against 15


def test_a_lost_trial_leaves_the_published_medians_as_they_are() -> None:
    results = made_up_table_5()
    first = results.trials["cell"] == results.trials["cell"].iloc[0]
    results.trials.loc[first, ["status", "inception_score", "verdict"]] = ["failed", NAN, None]
    found = judging.judge(results)[2]
    assert (found.judgement, "not between" in found.evidence) == (REPRODUCED, False)


def test_scores_of_arms_that_never_train_decide_nothing() -> None:
    results = architectures(near(1.0, 30, 0.001), near(1.01, 30, 0.001))
    results.trials["verdict"] = "collapsed"
    found = judging.judge(results)[2]
    assert (found.judgement, "learnt nothing" in found.evidence) == (UNDECIDABLE, True)


# ------------------------------------------------------------------------------------- S2, S3, S4, n_critic


@pytest.mark.parametrize(("two_sided_wins", "expected"), [(50, REPRODUCED), (90, CONTRADICTED), (10, CONTRADICTED)])
def test_the_sides_of_the_penalty_are_level_where_the_wins_are(two_sided_wins: int, expected: str) -> None:
    two = [2.0] * two_sided_wins + [1.0] * (100 - two_sided_wins)
    one = [3.0 - score for score in two]
    arms = {
        "two_sided": GP,
        "one_sided": {**GP, "constraint.one_sided": True},
        "hundred": {**GP, "constraint.weight": 100},
    }
    of = {"cells": [{"depth": i} for i in range(100)]}
    run = made_up_run("penalty", arms, {"score": {"two_sided": two, "one_sided": one, "hundred": one}}, **of)  # type: ignore[arg-type]
    assert judged(run) == [expected]


def test_the_papers_own_wins_do_not_reach_significance_and_leave_a_large_advantage_out() -> None:
    two = [2.0] * 100 + [1.0] * 77
    arms = {"two": GP, "one": {**GP, "constraint.one_sided": True}}
    of = {"cells": [{"depth": i} for i in range(177)]}
    found = judging.judge(made_up_run("penalty", arms, {"score": {"two": two, "one": [3 - x for x in two]}}, **of))  # type: ignore[arg-type]
    assert found[0].judgement == REPRODUCED
    assert "100 of 177" in found[0].evidence
    assert "p = 0.098" in found[0].evidence
    few = made_up_run("penalty", arms, {"score": {"two": [2.0, 1.0], "one": [1.0, 2.0]}}, cells=[{"d": 1}, {"d": 2}])
    assert judged(few) == [UNDECIDABLE]


def test_wins_that_are_not_known_may_be_those_of_either_side() -> None:
    two = [2.0] * 50 + [1.0] * 50
    arms = {"two": GP, "one": {**GP, "constraint.one_sided": True}}
    numbers = {"score": {"two": two, "one": [3 - x for x in two]}}
    run = made_up_run("penalty", arms, numbers, cells=[{"depth": i} for i in range(100)])
    assert judged(run) == [REPRODUCED]
    run.trials.loc[run.trials["cell"].isin([f"c{i:03d}" for i in range(30)]), "status"] = "failed"
    found = judging.judge(run)[0]  # 20 to 50 known wins, and 30 that may be of either
    assert (found.judgement, "not known in 30" in found.evidence) == (UNDECIDABLE, True)


def varied(trained: dict[str, list[int]]) -> MadeUpResults:
    """`trained[arm]` are the numbers of rows, of seven with three seeds, in which each method trains in two seeds."""
    arms = {"wgan_gp": GP, "wgan_clip": CLIP, "dcgan": GAN, "lsgan": LSGAN}
    cells = [{"architecture kind": name} for name in "abcdefg"]
    verdicts = {
        arm: [v for row in range(7) for v in (["trained"] * 2 + ["collapsed"] if row in rows else ["diverged"] * 3)]
        for arm, rows in trained.items()
    }
    scores = {arm: [1.0] * 21 for arm in arms}
    numbers: dict[str, Any] = {"score": scores, "verdict": verdicts}
    return made_up_run("varied_architectures", arms, numbers, cells=cells, grid=True)


def test_only_one_method_trains_all_seven_rows() -> None:
    every, six = list(range(7)), list(range(6))
    assert judged(varied({"wgan_gp": every, "wgan_clip": six, "dcgan": [0], "lsgan": []})) == [REPRODUCED]
    assert judged(varied({"wgan_gp": six, "wgan_clip": every, "dcgan": [0], "lsgan": []})) == [CONTRADICTED]
    assert judged(varied({"wgan_gp": every, "wgan_clip": every, "dcgan": [0], "lsgan": []})) == [UNDECIDABLE]
    assert judged(varied({"wgan_gp": six, "wgan_clip": six, "dcgan": [0], "lsgan": []})) == [UNDECIDABLE]


def curves_run(finals: dict[str, float], spread: float = 0.05, falls: float = 1.0, slow: float = 5.0) -> MadeUpResults:
    """DCGAN falls by `falls` from its best and takes a second a report, WGAN-GP falls by 0.1 and takes `slow` ones."""
    rms = {"discriminator_optimizer": "RMSPropTF", "discriminator_optimizer.lr": 5e-5}
    arms = {
        "gan": GAN,
        "clip": {**CLIP, **rms},
        "rms": {**GP, **rms},
        "adam": {**GP, "discriminator_optimizer": "Adam"},
    }
    scores = {arm: near(value, 10, spread) for arm, value in finals.items()}
    best = {arm: [x + (falls if arm == "gan" else 0.1) + 0.01 * (i % 3) for i, x in enumerate(values)]
            for arm, values in scores.items()}  # fmt: skip
    rows = [
        {"trial": f"c{i:03d}-{i}-{arm}", "step": step, "seconds": step * (1.0 if arm == "gan" else slow + 0.1 * i),
         "score": best[arm][i] * step / 5}
        for arm in arms for i in TEN for step in range(1, 6)
    ]  # fmt: skip
    numbers = {"score": scores, "score_area": scores, "score_best": best}
    return made_up_run("convergence", arms, numbers, steps=pd.DataFrame(rows))


def test_the_three_claims_on_curves_are_judged_by_seeds() -> None:
    published = {"gan": 6.0, "clip": 4.0, "rms": 5.0, "adam": 6.0}
    assert judged(curves_run(published)) == [REPRODUCED] * 3
    opposite = {"gan": 6.0, "clip": 5.0, "rms": 4.0, "adam": 3.0}
    assert judged(curves_run(opposite, falls=0.0)) == [CONTRADICTED] * 3
    level = {"gan": 6.0, "clip": 5.0, "rms": 5.0, "adam": 5.0}
    assert judged(curves_run(level, falls=0.1)) == [UNDECIDABLE] * 3
    run = curves_run(published)
    run.plan["arms"]["rms"]["changes"]["discriminator_optimizer.lr"] = 1e-4
    assert "do not share a learning rate" in judging.judge(run)[0].evidence


@pytest.mark.parametrize(("five", "expected"), [(5.0, REPRODUCED), (4.0, CONTRADICTED), (4.75, UNDECIDABLE)])
def test_five_critic_steps_are_held_against_95_percent_of_ten(five: float, expected: str) -> None:
    arms = {
        "gp_5": {**GP, "steps": 100},
        "gp_10": {**GP, "n_critic": 10, "steps": 100},
        "gp_10_same_cost": {**GP, "n_critic": 10, "steps": 52},
    }
    scores = {"gp_5": near(five), "gp_10": near(5.0), "gp_10_same_cost": near(1.0)}
    found = judging.judge(made_up_run("critic_steps", arms, {"score": scores}))
    assert found[0].judgement == expected
    assert "at 100 generator steps" in found[0].evidence
    assert found[1].judgement == UNDECIDABLE


def test_no_guarantee_of_convergence_is_seen_where_distances_stay_and_never_contradicted() -> None:
    def run(course: Callable[[int], float]) -> MadeUpResults:
        rows = [{"trial": f"c{i:03d}-{i}-{arm}", "step": step, "score": course(step)}
                for arm in ("clip", "gp") for i in range(2) for step in range(1, 9)]  # fmt: skip
        arms = {"clip": CLIP, "gp": GP}
        numbers = {"score": {"clip": [1.0, 1.0], "gp": [1.0, 1.0]}}
        of = {"higher_is_better": False, "baseline": {"steps": 8}}
        return made_up_run("critic_steps", arms, numbers, steps=pd.DataFrame(rows), **of)  # type: ignore[arg-type]

    assert judged(run(lambda step: 1.0))[1] == REPRODUCED
    assert judged(run(lambda step: 1.0 / step))[1] == UNDECIDABLE
    assert judged(run(lambda step: 1.0 if step == 1 else 0.01))[1] == UNDECIDABLE  # it arrived early, and stays


# ------------------------------------------------------------------------------------ S5, S6, S9, S10: the toys


@pytest.mark.parametrize(
    ("clip", "penalty", "expected"),
    [
        ((1.0, 2.0), (2.0, 7.0), REPRODUCED),
        ((2.0, 7.0), (1.0, 2.0), CONTRADICTED),
        ((1.0, 7.0), (2.0, 2.0), UNDECIDABLE),
        ((1.0, 2.0), (1.0, 7.0), UNDECIDABLE),
    ],
)
def test_the_simpler_surface_has_shallower_dents_and_fewer_peaks(
    clip: tuple[float, float], penalty: tuple[float, float], expected: str
) -> None:
    cells = [{"data set": name} for name in ("8 Gaussians", "25 Gaussians", "Swiss roll")]
    arms = {"clip": CLIP, "penalty_0.1": {**GP, "constraint.weight": 0.1}, "penalty_10": GP}
    shown = {"clip": clip, "penalty_0.1": penalty, "penalty_10": (0.0, 0.0)}  # the second penalty is not judged
    numbers = {
        "score": {arm: [1.0] * 12 for arm in arms},
        "surface_dents": {arm: near(value[0], 12) for arm, value in shown.items()},
        "surface_modes": {arm: [value[1]] * 12 for arm, value in shown.items()},
    }
    assert judged(made_up_run("value_surfaces", arms, numbers, cells=cells, grid=True)) == [expected]


def deep(slopes: dict[str, float], share: float, falls: bool = True) -> MadeUpResults:
    arms = {
        "clip_0.1": {**CLIP, "constraint.bound": 0.1},
        "clip_0.01": CLIP,
        "clip_0.001": {**CLIP, "constraint.bound": 0.001},
        "penalty": GP,
    }
    bell = np.exp(-(np.linspace(-3, 3, 101) ** 2) / 2)
    counts = (bell if falls else 1 - bell)[None, None]
    numbers = {
        "score": {arm: [1.0] * 5 for arm in arms},
        "activation_gradient_slope": {arm: near(slope, 5, 0.01) for arm, slope in slopes.items()},
        "weights_at_bound": {"clip_0.01": near(share, 5, 0.001)},
    }
    return made_up_run("clipping", arms, numbers, portraits=lambda trial, name: {"counts": counts})


def test_gradients_are_level_with_the_penalty_alone_and_weights_pile_up_at_the_bounds() -> None:
    published = {"clip_0.1": 0.7, "clip_0.01": -1.0, "clip_0.001": -2.0, "penalty": 0.02}
    assert judged(deep(published, share=0.4)) == [REPRODUCED] * 2
    opposite = {"clip_0.1": 0.1, "clip_0.01": 0.1, "clip_0.001": -0.1, "penalty": 1.0}
    assert judged(deep(opposite, share=0.002)) == [CONTRADICTED] * 2
    mixed = {"clip_0.1": 0.7, "clip_0.01": 0.02, "clip_0.001": -2.0, "penalty": 0.02}
    assert judged(deep(mixed, share=0.01)) == [UNDECIDABLE] * 2
    assert judged(deep(published, share=0.4, falls=False)) == [REPRODUCED, UNDECIDABLE]


def distances(js: float = 0.0, linearity: float = 0.9, saturation: float = 1e-4) -> MadeUpResults:
    """Closed forms with `js` added to the Jensen-Shannon divergence at theta = 1."""
    thetas = [0.0, 1.0, NAN]
    cells = [
        {"two distributions": "two Gaussians" if math.isnan(t) else "parallel lines", "generator.density.theta": t}
        for t in thetas
    ]
    truth = {
        "wasserstein": [0.0, 1.0, 4.0],
        "estimated_js": [0.0, math.log(2) + js, 0.5],
        "estimated_tv": [0.0, 1.0, 0.9],
    }
    numbers: dict[str, Any] = {
        name: {arm: [x for value in of for x in near(value, 5, 0.01)] for arm in ("gan", "gp", "clip")}
        for name, of in truth.items()
    }
    for name, value in truth.items():
        for arm in numbers[name]:
            values = np.array(numbers[name][arm]).reshape(3, 5)  # centred on the closed forms, whatever `near` adds
            numbers[name][arm] = (values - values.mean(axis=1, keepdims=True) + np.array(value)[:, None]).ravel()
    numbers |= {
        "score": {arm: [1.0] * 15 for arm in ("gan", "gp", "clip")},
        "surface_saturation": {"gan": [saturation] * 15},
        "surface_linearity": {"clip": [linearity] * 15},
    }
    return made_up_run("distances", {"gan": GAN, "gp": GP, "clip": CLIP}, numbers, cells=cells, grid=True)


def test_distances_are_held_against_their_closed_forms_and_critics_against_a_line() -> None:
    assert judged(distances()) == [REPRODUCED, REPRODUCED]
    assert judged(distances(js=0.5, linearity=0.001)) == [CONTRADICTED, CONTRADICTED]
    assert judged(distances(js=-0.5, linearity=0.3)) == [UNDECIDABLE, UNDECIDABLE]


def test_equal_estimates_that_are_wrong_and_intervals_that_hold_nothing_at_all_are_no_closed_forms() -> None:
    run = distances()
    wrong = (run.trials["arm"] == "gan") & (run.trials["generator.density.theta"] == 1.0)
    run.trials.loc[wrong, "estimated_tv"] = 0.25
    assert judged(run)[0] == UNDECIDABLE
    wide = distances()
    wide.trials.loc[wrong, "estimated_tv"] = [3.0, -2.0, 1.0, 4.0, -3.0]  # around 1, and around 0 as well
    found = judging.judge(wide)[0]
    assert (found.judgement, "estimated_tv at theta = 1" in found.evidence) == (UNDECIDABLE, True)


def test_diverged_and_single_networks_say_nothing_of_two_gaussians() -> None:
    run = distances()
    between = run.trials["two distributions"] == "two Gaussians"
    run.trials.loc[between & (run.trials["arm"] == "gan"), "verdict"] = "diverged"
    found = judging.judge(run)[1]
    assert (found.judgement, "5 of 5 trials have no surface_saturation" in found.evidence) == (UNDECIDABLE, True)
    one = distances()
    kept = one.trials[one.trials["seed"] == 0]
    assert judged(dataclasses.replace(one, trials=kept)) == [UNDECIDABLE] * 2
    level = judging.judge(distances(saturation=0.5))[1]
    assert (level.judgement, "not at their optimum" in level.evidence) == (UNDECIDABLE, True)


def test_diverged_critics_are_neither_steeper_nor_level() -> None:
    run = deep({"clip_0.1": 0.7, "clip_0.01": -1.0, "clip_0.001": -2.0, "penalty": 0.02}, share=0.4)
    run.trials.loc[run.trials["arm"] != "clip_0.1", "verdict"] = "diverged"
    found = judging.judge(run)
    assert [one.judgement for one in found] == [UNDECIDABLE] * 2
    assert not any("inf" in one.evidence for one in found)


# -------------------------------------------------------------------------------- S12, S13, S14: least squares


def codings(share: dict[tuple[str, str, str], float], score: dict[str, float], modes: float = 0.0) -> MadeUpResults:
    """`share[(arm, norm, optimiser)]` of ten seeds train, 0.5 where it is not said; scores per arm.

    With batch norm everywhere `modes` more are captured than without any.
    """
    cells = [
        {"batch norm": n, "optimiser used": o} for n in ("both", "not_in_G", "neither") for o in ("Adam", "RMSProp")
    ]
    arms = {"gan": GAN, "lsgan_011": LSGAN, "lsgan_pearson": PEARSON}
    verdicts, captured = {}, {}
    for arm in arms:
        shares = [share.get((arm, cell["batch norm"], cell["optimiser used"]), 0.5) for cell in cells]
        verdicts[arm] = ["trained" if i < 10 * one else "collapsed" for one in shares for i in TEN]
        captured[arm] = [x for cell in cells for x in near(5.0 + modes * (cell["batch norm"] == "both"))]
    scores = {arm: [x for _ in cells for x in near(value)] for arm, value in score.items()}
    numbers: dict[str, Any] = {"score": scores, "verdict": verdicts, "modes_captured": captured}
    return made_up_run("lsgan_codings", arms, numbers, cells=cells, grid=True)


def test_codings_and_batch_norm_are_judged_over_ten_seeds() -> None:
    published = {("lsgan_011", "not_in_G", "Adam"): 1.0, ("gan", "not_in_G", "Adam"): 0.0} | {
        (arm, "not_in_G", "RMSProp"): 1.0 for arm in ("gan", "lsgan_011")
    }
    found = judged(codings(published, {"gan": 4.0, "lsgan_011": 5.0, "lsgan_pearson": 6.0}, modes=3.0))
    assert found == [CONTRADICTED, REPRODUCED, REPRODUCED, REPRODUCED, REPRODUCED, REPRODUCED]  # S14 first: not alike
    opposite = {("lsgan_011", "not_in_G", "Adam"): 0.0, ("gan", "not_in_G", "Adam"): 1.0} | {
        (arm, "not_in_G", "RMSProp"): 0.0 for arm in ("gan", "lsgan_011")
    }
    found = judged(codings(opposite, {"gan": 6.0, "lsgan_011": 5.0, "lsgan_pearson": 4.0}, modes=-3.0))
    assert found == [CONTRADICTED, CONTRADICTED, CONTRADICTED, CONTRADICTED, CONTRADICTED, CONTRADICTED]
    found = judged(codings({}, {"gan": 5.0, "lsgan_011": 5.0, "lsgan_pearson": 5.0}))
    assert found == [REPRODUCED, UNDECIDABLE, UNDECIDABLE, UNDECIDABLE, UNDECIDABLE, UNDECIDABLE]
    blurred = codings({}, {"gan": 5.0, "lsgan_011": 5.0, "lsgan_pearson": 5.2565})
    assert judged(blurred)[0] == UNDECIDABLE  # 5% of the mean, 5.128, is just the difference, 0.2565
    nothing = {
        (arm, n, o): 0.0
        for arm in ("gan", "lsgan_011", "lsgan_pearson")
        for n in ("both", "not_in_G", "neither")
        for o in ("Adam", "RMSProp")
    }
    alike = judged(codings(nothing, {"gan": 1.0, "lsgan_011": 1.0, "lsgan_pearson": 1.0}))
    assert alike[0] == UNDECIDABLE  # nothing has learnt anything


def test_runs_that_a_rule_stopped_stay_in_the_denominator() -> None:
    shares = {(arm, "not_in_G", o): 1.0 for arm in ("gan", "lsgan_011") for o in ("Adam", "RMSProp")}
    shares[("gan", "not_in_G", "Adam")] = 0.0
    run = codings(shares, {"gan": 4.0, "lsgan_011": 5.0, "lsgan_pearson": 6.0})
    assert judged(run)[2:4] == [REPRODUCED] * 2
    run.trials.loc[run.trials["seed"] < 5, ["decision", "verdict"]] = ["pruned", "collapsed"]
    found = judging.judge(run)[2:4]
    assert [one.judgement for one in found] == [UNDECIDABLE] * 2
    assert all("5 of 10" in one.evidence and "or up to 10 of 10" in one.evidence for one in found)


def test_neither_coding_is_better_where_neither_trains() -> None:
    norms, optimisers = ("both", "not_in_G", "neither"), ("Adam", "RMSProp")
    arms = ("gan", "lsgan_011", "lsgan_pearson")
    nothing = {(arm, norm, optimiser): 0.0 for arm in arms for norm in norms for optimiser in optimisers}
    run = codings(nothing, {"gan": 1.0, "lsgan_011": 1.2, "lsgan_pearson": 1.5})
    found = judging.judge(run)
    assert [found[1].judgement, found[5].judgement] == [UNDECIDABLE] * 2
    assert "learnt nothing" in found[1].evidence


@pytest.mark.parametrize(
    ("gan", "lsgan", "seeds", "expected"),
    [(3.0, 8.0, 10, REPRODUCED), (8.0, 3.0, 10, CONTRADICTED), (3.0, 5.0, 10, UNDECIDABLE), (3.0, 8.0, 3, UNDECIDABLE)],
)
def test_modes_are_counted_over_ten_seeds(gan: float, lsgan: float, seeds: int, expected: str) -> None:
    numbers = {
        "score": {"gan": [1.0] * seeds, "lsgan": [1.0] * seeds, "pearson": [1.0] * seeds},
        "modes_captured": {
            "gan": [gan - (i % 2) for i in range(seeds)],
            "lsgan": [lsgan] * seeds,
            "pearson": [0.0] * seeds,
        },
    }
    arms = {"gan": GAN, "lsgan": LSGAN, "pearson": PEARSON}
    run = made_up_run("mixture_collapse", arms, numbers, baseline={"data.num_modes": 8})
    assert judged(run) == [expected]


def test_a_column_that_only_the_reports_have_is_read_from_the_last_of_them() -> None:
    rows = [{"trial": f"c{i:03d}-{i}-{arm}", "step": step,
             "modes_captured": 8.0 if (arm, step) == ("lsgan", 2) else i % 3}
            for arm in ("gan", "lsgan") for i in TEN for step in (1, 2)]  # fmt: skip
    numbers = {"score": {"gan": [1.0] * 10, "lsgan": [1.0] * 10}}
    run = made_up_run(
        "mixture_collapse",
        {"gan": GAN, "lsgan": LSGAN},
        numbers,
        baseline={"data.num_modes": 8},
        steps=pd.DataFrame(rows),
    )
    assert judged(run) == [REPRODUCED]
