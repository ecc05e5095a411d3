"""The statistics: closed forms and published counts first, then what must hold for any results."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gansweep import analysis, outcomes, published
from gansweep.factors import factor_effects
from gansweep.testing import THRESHOLDS, made_up_results, made_up_table_5

TABLE_5 = published.WGAN_GP_TABLE_5.frame()
OUTCOMES = ["only_a", "only_b", "both", "neither"]


def trials_of(scores: dict[str, list[float]], **columns: object) -> pd.DataFrame:
    """A row per (cell, arm), all done, for scores given per arm."""
    rows = [
        {"trial": f"{arm}{i}", "cell": f"c{i}", "seed": 0, "arm": arm, "inception_score": score}
        for arm, values in scores.items()
        for i, score in enumerate(values)
    ]
    base = {"status": "done", "failure": None, "verdict": "trained", "decision": "completed"}
    return pd.DataFrame(rows).assign(**{**base, "decision_rule": None, "inception_score_protocol": "p", **columns})


@pytest.fixture(scope="module")
def table_5() -> pd.DataFrame:
    return analysis.outcome_table(made_up_table_5().trials, THRESHOLDS)


def test_table_5_of_the_paper_comes_back_from_trials_with_its_counts(table_5: pd.DataFrame) -> None:
    assert len(table_5) == 17
    assert table_5[OUTCOMES].to_numpy().tolist() == TABLE_5[OUTCOMES].to_numpy().tolist()
    assert table_5["success_a"].tolist() == TABLE_5["success_a"].tolist()
    assert table_5["success_b"].tolist() == TABLE_5["success_b"].tolist()
    assert (table_5["unknown"] == 0).all()


def test_mcnemar_gives_the_p_values_of_the_published_counts(table_5: pd.DataFrame) -> None:
    p = table_5.set_index("threshold")["p_value"]
    assert p[1.0] == pytest.approx(2 * 0.5**8)  # 0 against 8: both tails of eight fair coins
    assert p[5.0] == pytest.approx(2 * 0.5**147)  # 0 against 147: 1.1e-44
    assert p[7.0] == pytest.approx(2 * (1 + 105) * 0.5**105)  # 1 against 104: 5.2e-30
    assert p[9.0] == 1  # nobody succeeds, nobody differs


def test_all_seventeen_rows_have_the_p_value_of_their_published_counts(table_5: pd.DataFrame) -> None:
    paper = TABLE_5.set_index("threshold")
    found = table_5.set_index("threshold")
    for threshold, row in paper.iterrows():
        discordant = int(row["only_a"] + row["only_b"])
        exact = stats.binomtest(int(row["only_a"]), discordant).pvalue if discordant else 1.0
        assert found.loc[threshold, "p_value"] == pytest.approx(exact, rel=1e-9), threshold
    # as printed with the paper's table 5 in our notes
    printed = {1.0: "7.8e-03", 5.0: "1e-44", 7.0: "5e-30"}
    for threshold, shown in printed.items():
        digits = len(shown.split("e")[0].replace(".", "")) - 1
        assert f"{found.loc[threshold, 'p_value']:.{digits}e}" == shown
    # Holm's correction: the smallest of 17 p-values times 17, the next times 16
    ordered = found["p_value"].sort_values()
    assert found.loc[ordered.index[0], "p_holm"] == pytest.approx(17 * ordered.iloc[0])
    assert found.loc[ordered.index[1], "p_holm"] == pytest.approx(16 * ordered.iloc[1])


def test_the_bounds_of_every_pair_of_three_arms_are_reached_by_some_fate_of_the_lost() -> None:
    """The bounds are the least and the most of all ways in which the lost trials could have ended."""
    scores = {"a": [5.0, 1.0, 5.0, 1.0], "b": [1.0, 5.0, 5.0, 1.0], "c": [5.0, 5.0, 1.0, 1.0]}
    lost = [("a", "c0"), ("b", "c0"), ("b", "c2"), ("c", "c3")]
    trials = trials_of(scores)
    for arm, cell in lost:
        trials.loc[(trials["arm"] == arm) & (trials["cell"] == cell), "status"] = "failed"
    bounds = analysis.outcome_table(trials, [2.0]).set_index(["arm_a", "arm_b"])
    fates = []
    for ends in itertools.product([1.0, 5.0], repeat=len(lost)):
        fate = trials.assign(status="done")
        for (arm, cell), score in zip(lost, ends, strict=True):
            fate.loc[(fate["arm"] == arm) & (fate["cell"] == cell), "inception_score"] = score
        fates.append(analysis.outcome_table(fate, [2.0]).set_index(["arm_a", "arm_b"]))
    for column, worst, best in (
        ("difference", "difference_worst", "difference_best"),
        ("rate_a", "worst_a", "best_a"),
        ("rate_b", "worst_b", "best_b"),
    ):
        found = pd.concat([fate[column] for fate in fates], axis=1)
        assert bounds[worst].tolist() == pytest.approx(found.min(axis=1).tolist())
        assert bounds[best].tolist() == pytest.approx(found.max(axis=1).tolist())


def test_another_seed_of_the_made_up_table_has_the_same_counts() -> None:
    again = analysis.outcome_table(made_up_table_5(seed=3).trials, THRESHOLDS)
    assert again[OUTCOMES].to_numpy().tolist() == TABLE_5[OUTCOMES].to_numpy().tolist()


def several_seeds(one: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """The trials again under as many seeds, all of which end alike."""
    return pd.concat([one.assign(seed=s, trial=one["trial"] + str(s)) for s in range(seeds)], ignore_index=True)


def test_seeds_that_copy_one_another_count_but_tell_no_more_than_one_of_them() -> None:
    one = made_up_table_5().trials
    few, many = (analysis.outcome_table(trials, THRESHOLDS) for trials in (one, several_seeds(one, 3)))
    assert many[OUTCOMES].to_numpy().tolist() == (3 * few[OUTCOMES]).to_numpy().tolist()
    same = ["rate_a_low", "rate_b_high", "difference", "difference_low", "difference_high", "p_value", "p_holm"]
    np.testing.assert_allclose(many[same], few[same], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_intervals_of_cells_with_several_seeds_hold_however_alike_the_seeds_are(alike: float) -> None:
    """Under both arms 60% of the trials succeed; of so many cells all three seeds end alike, of the others none.

    1,000 studies of 30 cells: 95% has a standard error of 0.7%, 5% too.
    """
    rng, rate, difference, found = np.random.default_rng(3), 0, 0, 0
    for _ in range(1000):
        scores = np.where(rng.random((2, 30, 3)) < 0.6, 5.0, 1.0)
        copies = rng.random((2, 30)) < alike
        scores[copies] = scores[copies][:, :1]
        trials = pd.concat(
            [
                trials_of({"a": scores[0, :, s].tolist(), "b": scores[1, :, s].tolist()}).assign(seed=s)
                for s in range(3)
            ],
            ignore_index=True,
        )
        row = analysis.outcome_table(trials, [2.0]).iloc[0]
        rate += row["rate_a_low"] <= 0.6 <= row["rate_a_high"]
        difference += row["difference_low"] <= 0 <= row["difference_high"]
        found += row["p_value"] < 0.05
    assert rate / 1000 >= 0.95 - 3 * 0.007
    assert difference / 1000 >= 0.95 - 3 * 0.007
    assert found / 1000 <= 0.05 + 3 * 0.007


def test_a_score_on_the_threshold_is_not_a_success() -> None:
    table = analysis.outcome_table(trials_of({"a": [3.0, 3.0], "b": [3.0, 3.0000001]}), [3.0])
    assert table[OUTCOMES].iloc[0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_diverged_trial_fails_at_every_threshold(score: float) -> None:
    diverged = trials_of({"a": [score]}, verdict="diverged")
    assert analysis.success(diverged, [-5.0, 1.0], "inception_score").tolist() == [[0, 0]]


@pytest.mark.parametrize("verdict", ["trained", "frozen", None])
def test_a_trial_without_a_score_that_did_not_diverge_is_unknown(verdict: str | None) -> None:
    trials = trials_of({"a": [np.nan, 5.0], "b": [5.0, 5.0]})
    trials.loc[0, "verdict"] = verdict
    assert np.isnan(analysis.success(trials, [1.0], "inception_score")[0, 0])
    assert analysis.unanswered(trials, "inception_score").tolist() == [True, False, False, False]
    row = analysis.outcome_table(trials, [1.0]).iloc[0]
    assert row[[*OUTCOMES, "unknown", "planned"]].tolist() == [0, 0, 1, 0, 1, 2]
    assert (row["known_a"], row["worst_a"], row["best_a"]) == (1, 0.5, 1.0)
    curve = analysis.survival(trials, thresholds=[1.0], resamples=100)
    assert curve.loc[curve["arm"] == "a", ["rate", "worst", "best", "known"]].iloc[0].tolist() == [1, 0.5, 1, 1]


def test_a_trial_that_has_not_ended_is_not_called_unanswered() -> None:
    assert not analysis.unanswered(trials_of({"a": [np.nan]}, status="running"), "inception_score").any()


def test_a_trial_that_a_rule_stopped_has_no_outcome_and_counts_as_it_stood_only_in_the_raw_rate() -> None:
    pruned = trials_of({"a": [1.03]}, decision="pruned")
    assert np.isnan(analysis.success(pruned, [1.0, 1.5], "inception_score")).all()
    rates = analysis.success_rates(pruned, [1.0, 1.5])
    assert rates["raw"].tolist() == [1, 0]
    assert rates[["worst", "best"]].to_numpy().tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("status", ["failed", "cancelled", "running", "planned"])
def test_a_trial_the_machine_lost_yields_bounds_and_keeps_its_place(status: str) -> None:
    trials = trials_of({"a": [5.0, 1.0], "b": [5.0, 5.0]})
    trials.loc[1, "status"] = status  # arm a in cell c1
    row = analysis.outcome_table(trials, [2.0]).iloc[0]
    assert row[[*OUTCOMES, "unknown", "planned"]].tolist() == [0, 0, 1, 0, 1, 2]
    assert (row["known_a"], row["rate_a"], row["worst_a"], row["best_a"]) == (1, 1.0, 0.5, 1.0)
    assert (row["worst_b"], row["best_b"]) == (1.0, 1.0)
    assert (row["difference_worst"], row["difference_best"]) == (0.0, 0.5)


def test_outcomes_add_up_to_the_planned_cells_whatever_was_lost() -> None:
    results = made_up_results(draws=40, lost=5, running=3, planned=7)
    table = analysis.outcome_table(results.trials, THRESHOLDS)
    assert (table[[*OUTCOMES, "unknown"]].sum(axis=1) == 40).all()
    assert (table["worst_a"] <= table["best_a"]).all()
    assert (table["unknown"] >= 5).all()


def test_the_paired_difference_is_newcombe_method_10() -> None:
    """Recomputed by hand for (both, only b, only a, neither) = (14, 5, 0, 22), table 6.2 of Altman et al. "
    "2000."""
    difference, low, high = analysis.paired_difference(both=14, only_a=0, only_b=5, neither=22)
    z = stats.norm.ppf(0.975)

    def wilson(x: int, n: int) -> tuple[float, float]:
        centre, half = x + z**2 / 2, z * np.sqrt(x * (n - x) / n + z**2 / 4)
        return (centre - half) / (n + z**2), (centre + half) / (n + z**2)

    (l1, u1), (l2, u2) = wilson(19, 41), wilson(14, 41)
    phi = (14 * 22 - 0 * 5 - 41 / 2) / np.sqrt(19 * 22 * 14 * 27)
    below = np.sqrt((19 / 41 - l1) ** 2 - 2 * phi * (19 / 41 - l1) * (u2 - 14 / 41) + (u2 - 14 / 41) ** 2)
    above = np.sqrt((u1 - 19 / 41) ** 2 - 2 * phi * (u1 - 19 / 41) * (14 / 41 - l2) + (14 / 41 - l2) ** 2)
    assert difference == pytest.approx(5 / 41)
    assert (low, high) == (pytest.approx(5 / 41 - below), pytest.approx(5 / 41 + above))


def test_the_paired_difference_turns_around_with_the_arms() -> None:
    one, other = analysis.paired_difference(36, 2, 12, 0), analysis.paired_difference(36, 12, 2, 0)
    assert [float(x) for x in one] == pytest.approx([-float(other[i]) for i in (0, 2, 1)])


def test_the_paired_difference_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    p = (0.15, 0.30, 0.35, 0.20)  # only a, only b, both, neither: the true difference is 0.15
    only_a, only_b, both, neither = rng.multinomial(40, p, size=4000).T
    _, low, high = analysis.paired_difference(both, only_a, only_b, neither)
    assert 0.93 < ((low <= 0.15) & (high >= 0.15)).mean() < 0.98


def test_wilson_of_nothing_is_everything() -> None:
    low, high = analysis.wilson([0, 0], [0, 10])
    assert (low[0], high[0]) == (0, 1)
    z2 = stats.norm.ppf(0.975) ** 2
    assert high[1] == pytest.approx(z2 / (10 + z2))  # Wilson's upper limit of 0 out of n is z^2 / (n + z^2)


def test_scores_of_two_protocols_never_meet() -> None:
    trials = trials_of({"a": [2.0, 3.0], "b": [2.0, 3.0]})
    trials.loc[0, "inception_score_protocol"] = "another"
    for analyse in (
        lambda: analysis.outcome_table(trials, [1.0]),
        lambda: analysis.survival(trials),
        lambda: analysis.paired_scores(trials),
    ):
        with pytest.raises(ValueError, match=r"2 protocols.*'another', 'p'"):
            analyse()


def test_a_misspelt_score_or_arm_is_named_with_the_nearest() -> None:
    trials = trials_of({"gan": [2.0], "wgan_gp": [3.0]})
    with pytest.raises(ValueError, match="'inception_scor' does not exist; did you mean 'inception_score'"):
        analysis.outcome_table(trials, [1.0], score="inception_scor")
    with pytest.raises(ValueError, match="'wgan_pg' does not exist; did you mean 'wgan_gp'"):
        analysis.outcome_table(trials, [1.0], arms=("gan", "wgan_pg"))


def test_two_trials_of_one_cell_and_arm_are_refused() -> None:
    trials = trials_of({"a": [2.0], "b": [3.0]})
    with pytest.raises(ValueError, match="cell 'c0', seed 0 has two trials of arm 'a'"):
        analysis.outcome_table(pd.concat([trials, trials.iloc[:1]]), [1.0])


def test_three_arms_give_every_pair() -> None:
    trials = made_up_results(arms=("gan", "wgan_gp", "lsgan")).trials
    pairs = analysis.outcome_table(trials, [3.0])[["arm_a", "arm_b"]].to_numpy().tolist()
    assert pairs == [["gan", "wgan_gp"], ["gan", "lsgan"], ["wgan_gp", "lsgan"]]


def test_counts_add_up_per_arm_and_for_all() -> None:
    table = analysis.counts(made_up_results(draws=24, lost=3, running=2, planned=4).trials).set_index("arm")
    assert table.loc["all"].to_dict() == {
        "planned": 48, "done": 39, "failed": 3, "cancelled": 0, "running": 2, "not_started": 4
    }  # fmt: skip
    assert (table["planned"] == table.drop(columns="planned").sum(axis=1)).all()


def test_a_status_nobody_knows_is_an_error_not_a_lost_row() -> None:
    with pytest.raises(ValueError, match="status 'finished' does not exist"):
        analysis.counts(trials_of({"a": [1.0]}, status="finished"))


def test_the_outcome_flow_loses_no_trial() -> None:
    trials = made_up_results(draws=24, lost=3, running=2, planned=4).trials
    flow = analysis.outcome_flow(trials)
    assert flow.groupby("arm")["trials"].sum().to_dict() == {"gan": 24, "wgan_gp": 24}
    assert flow.loc[flow["status"] == "failed", "outcome"].str.startswith("failed: ").all()


def test_survival_at_the_thresholds_is_the_published_marginal() -> None:
    curves = analysis.survival(made_up_table_5().trials, thresholds=THRESHOLDS, resamples=200)
    for arm, column in (("gan", "success_a"), ("wgan_gp", "success_b")):
        rate = curves[curves["arm"] == arm].set_index("threshold")["rate"]
        assert rate[list(THRESHOLDS)].tolist() == pytest.approx((TABLE_5[column] / 200).tolist())


def test_survival_falls_and_stays_within_its_band_and_bounds() -> None:
    curves = analysis.survival(made_up_results(draws=30, lost=4).trials, resamples=200)
    assert (curves["band_low"] <= curves["rate"]).all()
    assert (curves["rate"] <= curves["band_high"]).all()
    assert curves["band_low"].min() >= 0
    assert curves["band_high"].max() <= 1
    assert (curves["worst"] < curves["best"]).any()
    for _, curve in curves.groupby("arm"):
        assert curve["rate"].is_monotonic_decreasing


def test_the_band_reaches_as_far_as_kolmogorovs_exact_quantile() -> None:
    """0.409 is the 95% point of the largest deviation of ten observations in the tables of Miller 1956 and others."""
    trials = trials_of({"a": np.linspace(0, 1, 10).tolist()})
    curve = analysis.survival(trials, thresholds=[0.5]).set_index("threshold")
    assert (curve["rate"] - curve["band_low"]).max() == pytest.approx(0.40925, abs=1e-4)
    pd.testing.assert_frame_equal(curve, analysis.survival(trials, thresholds=[0.5]).set_index("threshold"))


@pytest.mark.slow
@pytest.mark.parametrize(("num_cells", "seeds"), [(8, 1), (40, 1), (12, 3)])
def test_the_band_holds_for_the_whole_true_curve_at_once(num_cells: int, seeds: int) -> None:
    """Scores are uniform on [0, 1] and seeds of a cell alike, so the true survival at x is 1 - x.

    600 studies: 95% has a standard error of 0.9%. Pointwise intervals fail in four of ten.
    """
    grid, held, rng = np.linspace(0.02, 0.98, 49), 0, np.random.default_rng(7)
    for _ in range(600):
        cell = rng.normal(size=(num_cells, 1)) + (rng.normal(size=(num_cells, seeds)) if seeds > 1 else 0)
        scores = stats.norm.cdf(cell / np.sqrt(2 if seeds > 1 else 1))
        trials = pd.concat(
            [trials_of({"a": scores[:, s].tolist()}).assign(seed=s) for s in range(seeds)], ignore_index=True
        )
        curve = analysis.survival(trials, thresholds=grid).set_index("threshold").loc[grid]
        held += ((curve["band_low"] <= 1 - grid) & (1 - grid <= curve["band_high"])).all()
    assert held / 600 >= 0.95 - 3 * 0.009


def test_equal_outcomes_still_have_an_uncertain_rate() -> None:
    curve = analysis.survival(trials_of({"a": [5.0] * 10}), thresholds=[1.0], resamples=200)
    assert curve["band_low"].iloc[0] < 0.8


def test_resampling_takes_whole_cells_with_all_their_seeds() -> None:
    """Ten seeds that copy one another carry the information of one: the band must not shrink."""
    one = trials_of({"a": np.linspace(0, 1, 20).tolist()})
    curves = [analysis.survival(trials, thresholds=[0.5], resamples=400) for trials in (one, several_seeds(one, 10))]
    width = [(curve["band_high"] - curve["band_low"]).max() for curve in curves]
    assert width[1] == pytest.approx(width[0], abs=0.06)


def test_the_ranking_is_sure_only_of_what_differs() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.uniform(5, 9, 40).tolist(), rng.uniform(1, 3, 40).tolist()
    trials = trials_of({"bad": bad, "good": good, "twin": bad[::-1]})
    ranking = analysis.ranking(trials, [2.0, 4.0], resamples=300).set_index("arm")
    assert ranking.loc["good", ["rank", "rank_low", "rank_high"]].tolist() == [1, 1, 1]
    assert ranking.loc["bad", "rank_low"] < ranking.loc["bad", "rank_high"]


def test_paired_scores_keep_every_cell_and_say_why_a_score_is_missing() -> None:
    trials = trials_of({"a": [2.0, np.nan, 4.0, 5.0], "b": [1.0, 2.0, 3.0, 4.0]})
    trials.loc[2, "decision"], trials.loc[3, "status"] = "pruned", "failed"
    wide = analysis.paired_scores(trials)
    assert wide["a:state"].tolist() == ["scored", "no score", "pruned", "unknown"]
    assert wide["a"].isna().tolist() == [False, True, True, True]
    assert wide["b"].tolist() == [1.0, 2.0, 3.0, 4.0]


def depth_study(failing: set[int]) -> tuple[pd.DataFrame, dict[str, dict[str, object]]]:
    depth = [4, 8, 12, 20] * 10
    trials = trials_of({"a": [1.0 if d in failing else 5.0 for d in depth]})
    noise = np.random.default_rng(0).integers(0, 2, 40)
    factors = {"depth": {"label": "Depth", "values": [4, 8, 12, 20]}, "noise": {"values": [0, 1]}}
    return trials.assign(depth=depth, noise=noise), factors


def test_a_factor_that_decides_everything_is_found_despite_separation() -> None:
    trials, factors = depth_study(failing={12, 20})
    effects = factor_effects(trials, factors, threshold=3.0).set_index(["factor", "level"])
    assert effects.loc["depth", "failures"].tolist() == [0, 0, 10, 10]
    assert effects.loc[("depth", "20"), ["rate", "known"]].tolist() == [1.0, 10]
    assert effects.loc[("depth", "4"), "p_value"] == pytest.approx(1e-4)  # the least that 9,999 draws can say
    assert effects.loc[("noise", "0"), "p_value"] > 0.05
    assert effects.loc[("depth", "4"), "p_holm"] == pytest.approx(2e-4)


def test_a_factor_has_no_p_value_where_nothing_fails() -> None:
    trials, factors = depth_study(failing=set())
    effects = factor_effects(trials, factors, threshold=3.0)
    assert effects[["p_value", "p_holm"]].isna().all(axis=None)
    assert (effects["rate"] == 0).all()


def test_lost_trials_are_unknown_in_a_factor_not_failures() -> None:
    trials, factors = depth_study(failing={20})
    trials.loc[:7, "status"] = "failed"
    effects = factor_effects(trials, factors, threshold=3.0)
    depth = effects[effects["factor"] == "depth"]
    assert depth["unknown"].tolist() == [2, 2, 2, 2]
    assert depth["known"].tolist() == [8, 8, 8, 8]


def test_a_continuous_factor_is_cut_at_its_quartiles() -> None:
    trials = trials_of({"a": [1.0] * 20 + [5.0] * 20}).assign(rate=np.linspace(0, 1, 40))
    effects = factor_effects(trials, {"rate": {"values": None}}, threshold=3.0)
    assert effects["failures"].tolist() == [10, 10, 0, 0]


def test_arms_without_common_weights_are_paired_by_data_and_latents() -> None:
    trials = trials_of({"a": [1.0] * 3, "b": [1.0] * 3}).assign(
        fingerprint_data=["d0", "d1", "d2", "d0", "other", None],
        fingerprint_latent="z",
        fingerprint_init="nothing shared",
    )
    found = analysis.pairing(trials)
    assert found["paired"].tolist() == ["yes", "no", "unknown"]
    assert found["init"].tolist() == ["nothing shared"] * 3


def test_blocks_are_paired_only_where_every_fingerprint_agrees() -> None:
    trials = trials_of({"a": [1.0] * 4, "b": [1.0] * 4}).assign(
        fingerprint_data=["d0", "d1", "d2", None, "d0", "other", "d2", "d3"],
        fingerprint_latent="z",
        fingerprint_init=["i", "i", None, "i", "i", "i", None, "i"],
    )
    found = analysis.pairing(trials).set_index("cell")
    assert found["paired"].tolist() == ["yes", "no", "unknown", "unknown"]
    assert found.loc["c1", ["data", "latent", "init"]].tolist() == ["no", "yes", "yes"]


def test_confounders_are_all_that_differs_besides_the_loss() -> None:
    results = made_up_results(draws=6)
    found = analysis.confounders(results.plan, results.trials).set_index("field")
    assert not found.loc["loss", "confounder"]
    assert found.loc["n_critic", ["kind", "gan", "wgan_gp", "confounder"]].tolist() == [
        "critic steps",
        1,
        5,
        True,
    ]
    assert found.loc["discriminator.norm", "kind"] == "normaliser"
    assert found.loc["generator_optimizer.lr", "kind"] == "optimiser"
    assert found.loc["seconds per generator step", "wgan_gp"] > found.loc["seconds per generator step", "gan"]
    assert "batch_size" not in found.index


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("n_critic", "critic steps"),
        ("discriminator.normalization", "normaliser"),
        ("discriminator_optimizer.weight_decay", "optimiser"),
        ("constraint.weight", "loss"),
        ("constraint.allow_batch_norm", "loss"),
        ("critic_warmup", "critic steps"),
        ("update_order", "update order"),
        ("compile_penalty", "other"),
        ("batch_size", "other"),
        ("ema_decay", "other"),
    ],
)
def test_a_field_is_told_by_its_name(field: str, kind: str) -> None:
    assert analysis.kind_of(field) == kind


def test_a_curve_does_not_fall_where_the_metric_gave_no_answer() -> None:
    trials = trials_of({"a": [np.nan, 9.0]})
    steps = pd.DataFrame({"trial": ["a1", "a1"], "step": [1, 2], "inception_score": [3.0, 9]})
    curve = analysis.score_curves(steps, trials)
    assert curve[["low", "median", "trials"]].to_numpy().tolist() == [[3, 3, 1], [9, 9, 1]]


def test_a_curve_does_not_rise_because_bad_runs_left_it() -> None:
    trials = trials_of({"a": [np.nan, np.nan, 9.0]}, verdict="diverged")
    trials.loc[2, "verdict"] = "trained"
    steps = pd.DataFrame(
        {
            "trial": ["a0", "a1", "a2", "a2", "a2"],
            "step": [1, 1, 1, 2, 3],
            "inception_score": [1.0, 2, 3, 6, 9],
        }
    )
    curve = analysis.score_curves(steps, trials).set_index("step")
    assert curve.loc[1, "median"] == 2
    assert np.isnan(curve.loc[2, "median"])
    assert curve.loc[2, ["alive", "trials"]].tolist() == [1, 3]


def test_a_curve_does_not_count_a_running_trial_where_it_has_not_been() -> None:
    trials = trials_of({"a": [np.nan, 9.0]})
    trials.loc[0, "status"] = "running"
    steps = pd.DataFrame({"trial": ["a0", "a1", "a1"], "step": [1, 1, 2], "inception_score": [1.0, 3, 9]})
    assert analysis.score_curves(steps, trials).set_index("step").loc[2, ["median", "trials"]].tolist() == [
        9,
        1,
    ]


def test_a_published_table_is_offered_for_its_own_score_and_arms_only() -> None:
    arms = ("gan", "wgan_gp")
    assert published.outcomes("arch_robustness", arms, "inception_score") is published.WGAN_GP_TABLE_5
    assert published.outcomes("arch_robustness", arms, "modes_captured") is None
    assert published.outcomes("arch_robustness", ("gan", "lsgan"), "inception_score") is None
    assert published.outcomes("another", arms, "inception_score") is None


def test_published_rows_that_do_not_add_up_are_refused() -> None:
    table = published.WGAN_GP_TABLE_5
    fields = {name: getattr(table, name) for name in ("title", "arm_a", "arm_b", "score", "protocol", "evidence")}
    with pytest.raises(ValueError, match=r"the outcomes at 1.0 add up to 199, not 200"):
        published.PublishedOutcomes(**fields, cells=200, rows=((1.0, 0, 8, 191, 0),))


def test_the_published_medians_are_where_the_paper_has_them() -> None:
    rate = published.WGAN_GP_TABLE_5.survival().pivot(index="threshold", columns="arm", values="rate")
    assert rate.loc[3.0, "gan"] > 0.5 > rate.loc[3.5, "gan"]
    assert rate.loc[7.0, "wgan_gp"] == pytest.approx(109 / 200)


def test_the_course_of_a_score_has_medians_over_the_runs_that_ended_with_one() -> None:
    made = trials_of({"a": [1.0, 2.0, 3.0, np.nan], "b": [4.0, 4.0, 4.0, 4.0]})
    made["inception_score_drawdown"] = made["inception_score"] / 10
    found = analysis.courses(made).set_index(["arm", "fact"])
    assert found.loc[("a", "final"), ["scored", "median", "low", "high"]].tolist() == [3, 2.0, 1.5, 2.5]
    assert found.loc[("b", "drawdown"), "median"] == pytest.approx(0.4)
    assert "area" not in found.index.get_level_values("fact")


def test_reached_counts_the_runs_that_were_ever_above_the_threshold_and_how_soon() -> None:
    made = trials_of({"a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, np.nan]})
    made["inception_score_step_above_2"] = [30.0, np.nan, 10.0, np.nan, 25.0, np.nan]
    found = analysis.reached(made, (2.0, 5.0)).set_index(["arm", "threshold"])
    assert found.loc[("a", 2.0), ["ended", "reached", "median_step"]].tolist() == [3, 2, 20.0]
    assert found.loc[("b", 2.0), ["ended", "reached", "median_step"]].tolist() == [3, 1, 25.0]
    assert found["reached"].sum() == 3


def test_a_threshold_between_the_ends_of_a_score_is_too_close_to_call() -> None:
    made = trials_of({"a": [2.9, 3.5], "b": [3.1, 2.0]})
    made["inception_score_low"], made["inception_score_high"] = made["inception_score"] - 0.2, [3.2, 3.8, 3.0, 3.5]
    table = analysis.outcome_table(made, [3.0])
    # b's 3.1 reaches down to 2.9 but up to 3.0 only, its 2.0 from 1.8 to 3.5
    assert (table["close_a"].iloc[0], table["close_b"].iloc[0]) == (1, 1)


def test_holms_correction_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.random.default_rng(0).random(40) ** 3
    assert outcomes.holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    with_gaps = outcomes.holm([np.nan, 0.01, 0.04, np.nan])
    assert with_gaps[1:3].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(with_gaps[[0, 3]]).all()
    assert len(outcomes.holm([])) == 0
