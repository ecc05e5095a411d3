"""Interactions of factors, and of a factor with the arms: tests are exact, sizes closed forms, and intervals hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from gansweep import factors
from gansweep.intervals import Floats, paired_difference

FACTORS = {
    "depth": {"label": "Depth", "values": [4, 8]},
    "norm": {"label": "Norm", "values": ["none", "batch"]},
    "noise": {"values": [0, 1, 2]},
}


def trials_of(fails: list[bool], **columns: object) -> pd.DataFrame:
    """A trial per cell of one arm, at the levels given."""
    frame = pd.DataFrame({"inception_score": np.where(fails, 1.0, 5.0)})
    frame = frame.assign(cell=[f"c{i}" for i in frame.index], seed=0, arm="a", status="done", verdict="trained")
    return frame.assign(decision="completed", trial=frame["cell"], **columns)


def crossed(num: int, both_needed: bool) -> pd.DataFrame:
    """`num` cells at each pair of levels; deep ones without a norm fail if both are needed, else either fails."""
    levels = list(itertools.product([4, 8], ["none", "batch"])) * num
    deep, bare = [d == 8 for d, _ in levels], [n == "none" for _, n in levels]
    fails = [d and b if both_needed else d for d, b in zip(deep, bare, strict=True)]
    noise = np.random.default_rng(0).integers(0, 3, len(levels))
    return trials_of(fails, depth=[d for d, _ in levels], norm=[n for _, n in levels], noise=noise)


def logistic(num: Floats, failures: Floats) -> tuple[Floats, float]:
    """Fitted failures and deviance of the additive logistic regression of statsmodels."""
    rows, columns = np.indices(num.shape).reshape(2, -1)
    design = np.column_stack(
        [
            np.ones(num.size),
            *(rows == i for i in range(1, num.shape[0])),
            *(columns == j for j in range(1, num.shape[1])),
        ]
    ).astype(float)
    counts = np.column_stack([failures.ravel(), (num - failures).ravel()])
    fitted = sm.GLM(counts, design, family=sm.families.Binomial()).fit()
    return (fitted.fittedvalues * num.ravel()).reshape(num.shape), float(fitted.deviance)


def test_the_additive_fit_is_the_logistic_regression_without_an_interaction() -> None:
    rng = np.random.default_rng(1)
    num = rng.integers(5, 30, (4, 3)).astype(float)
    failures = rng.binomial(num.astype(int), 0.4).astype(float)
    expected, deviance = logistic(num, failures)
    fit = factors.additive_fit(num, failures)
    np.testing.assert_allclose(fit, expected, atol=1e-8)
    assert factors.deviance(num, failures, fit) == pytest.approx(deviance)


def test_a_level_that_always_fails_does_not_break_the_fit() -> None:
    num, failures = np.full((2, 2), 10.0), np.array([[10.0, 10.0], [2.0, 6.0]])
    fit = factors.additive_fit(num, failures)
    np.testing.assert_allclose(fit, failures, atol=1e-6)  # one factor alone explains it all


def test_the_tables_drawn_are_those_that_are_as_likely_without_an_interaction() -> None:
    """Of two by two tables with 7 cells a pair, 7 failures in each row and column, x at the first pair has the
    weight C(7, x)^4."""
    num, failures = np.full((2, 2), 7.0), np.array([[5.0, 2.0], [2.0, 5.0]])
    tables = factors.equally_likely(num, failures, np.random.default_rng(0))(4000)
    assert (tables.sum(axis=1) == 7).all()
    assert (tables.sum(axis=2) == 7).all()
    weights = np.array([math.comb(7, x) ** 4 for x in range(8)], dtype=float)
    found = np.bincount(tables[:, 0, 0].astype(int), minlength=8) / 4000
    np.testing.assert_allclose(found, weights / weights.sum(), atol=0.035)  # four standard errors of the commonest


def test_the_p_value_is_that_of_all_tables_one_by_one() -> None:
    num, failures = np.full((2, 2), 7.0), np.array([[6.0, 1.0], [1.0, 6.0]])
    weights = np.array([math.comb(7, x) ** 4 for x in range(8)], dtype=float)
    exact = weights[[0, 1, 6, 7]].sum() / weights.sum()  # as far off as 6 or further
    found = factors._interaction_test(num, failures, 9999, np.random.default_rng(0))
    assert found["p_value"] == pytest.approx(exact, abs=0.004)
    assert found["size"] == pytest.approx(2.5 / 7)  # 6 and 1 where 3.5 are expected


def test_failing_only_together_is_found_and_failing_alone_is_not() -> None:
    together = factors.interactions(crossed(12, both_needed=True), FACTORS, 3.0)
    pairs = together.drop_duplicates(factors.PAIR).set_index(["factor_a", "factor_b"])
    # where a pair of levels never fails the odds can add up all the same: this is no interaction of the odds
    assert pairs.loc[("depth", "norm"), "p_value"] == 1
    half = crossed(12, both_needed=True)
    half.loc[half.index % 4 == 1, "inception_score"] = np.tile([1.0, 5.0], 6)  # shallow ones with a norm
    found = factors.interactions(half, FACTORS, 3.0).drop_duplicates(factors.PAIR).set_index(["factor_a", "factor_b"])
    assert found.loc[("depth", "norm"), "p_value"] < 0.01
    assert found.loc[("depth", "norm"), "p_holm"] == pytest.approx(3 * found.loc[("depth", "norm"), "p_value"])
    assert found.loc[("depth", "norm"), "size"] > 2 * found.loc[("depth", "norm"), "chance"]
    assert found.loc[("depth", "noise"), "p_value"] > 0.05


def test_nothing_to_test_says_why() -> None:
    trials = crossed(6, both_needed=True)
    for score, reason in ((5.0, "no cell fails"), (1.0, "every cell fails")):
        found = factors.interactions(trials.assign(inception_score=score), FACTORS, 3.0)
        assert (found["reason"] == reason).all()
        assert found[["p_value", "p_holm", "size"]].isna().all(axis=None)
    unknown = factors.interactions(trials.assign(status="failed"), FACTORS, 3.0)
    assert (unknown["reason"] == "no cell is known").all()
    tied = trials.assign(norm=np.where(trials["depth"] == 8, "none", "batch"))
    found = factors.interactions(tied, FACTORS, 3.0).set_index(["factor_a", "factor_b"])
    assert (found.loc[("depth", "norm"), "reason"] == "too few pairs of levels were drawn").all()
    assert factors.interactions(trials, {"depth": FACTORS["depth"]}, 3.0).empty


def test_every_pair_of_levels_has_its_rate_and_its_interval_around_the_excess() -> None:
    found = factors.interactions(crossed(12, both_needed=False), FACTORS, 3.0)
    pair = found[(found["factor_a"] == "depth") & (found["factor_b"] == "norm")]
    assert pair["known"].tolist() == [12] * 4
    assert pair["failures"].tolist() == [0, 0, 12, 12]
    assert (pair["excess_low"] <= pair["excess"]).all()
    assert (pair["excess"] <= pair["excess_high"]).all()
    assert pair["excess"].tolist() == pytest.approx([0] * 4, abs=1e-6)


def test_too_few_cells_have_no_interval_rather_than_a_wrong_one() -> None:
    found = factors.interactions(crossed(3, both_needed=True), FACTORS, 3.0)
    pair = found[(found["factor_a"] == "depth") & (found["factor_b"] == "norm")]
    assert pair[["excess_low", "excess_high"]].isna().all(axis=None)
    assert pair["excess"].notna().all()


def test_seeds_of_a_cell_count_once() -> None:
    one = crossed(6, both_needed=True)
    many = pd.concat([one.assign(seed=s, trial=one["trial"] + str(s)) for s in range(4)], ignore_index=True)
    for table in (factors.interactions, factors.factor_effects):
        single, repeated = table(one, FACTORS, 3.0), table(many, FACTORS, 3.0)
        assert repeated["rate"].tolist() == pytest.approx(single["rate"].tolist(), nan_ok=True)
        for column in ("low", "high"):
            assert repeated[column].tolist() == pytest.approx(single[column].tolist(), nan_ok=True)
        tested = single["p_value"].notna()
        assert repeated["p_value"][tested].tolist() == pytest.approx(single["p_value"][tested].tolist(), abs=0.03)


def test_many_pairs_and_arms_do_not_put_a_clear_interaction_out_of_reach() -> None:
    """6 pairs of factors under ten arms are 60 tests: with 999 tables no corrected p-value would be below 0.06."""
    rng, trials = np.random.default_rng(5), crossed(20, both_needed=True)
    level, told = {}, {}
    for name in ("depth", "norm", *"cd"):
        level[name] = trials[name] if name in trials else rng.integers(0, 2, len(trials))
        told[name] = {"values": FACTORS[name]["values"] if name in FACTORS else [0, 1]}
    trials = trials.drop(columns="noise").assign(**level)
    trials["inception_score"] = np.where((trials["depth"] == 8) == (trials["norm"] == "none"), 1.0, 5.0)
    arms = [trials.assign(arm=arm) for arm in "abcdefghij"]
    found = factors.interactions(pd.concat(arms, ignore_index=True), told, 3.0).drop_duplicates(factors.PAIR)
    assert len(found) == 60
    clear = (found["factor_a"] == "depth") & (found["factor_b"] == "norm")
    assert (found.loc[clear, "p_holm"] < 0.05).all()
    assert (found.loc[~clear, "p_holm"] > 0.05).all()


# --- a factor under two arms


def blocks(outcomes: dict[tuple[object, ...], tuple[int, int, int, int]], *names: str) -> pd.DataFrame:
    """Trials under arms a and b: at the levels of each key how many cells fail under both, only a, only b, neither."""
    rows = []
    for levels, counts in outcomes.items():
        for (a, b), number in zip(((True, True), (True, False), (False, True), (False, False)), counts, strict=True):
            rows += [(*levels, a, b)] * number
    cells = pd.DataFrame(rows, columns=[*names, "a", "b"])
    of_arm = [
        trials_of(cells[arm].tolist(), **{name: cells[name].tolist() for name in names}).assign(arm=arm) for arm in "ab"
    ]
    trials = pd.concat(of_arm, ignore_index=True)
    return trials.assign(trial=trials["cell"] + trials["arm"])


def depth_matters_under_a_alone() -> pd.DataFrame:
    """Under a 4 of 20 shallow cells fail and 16 of 20 deep ones, under b 4 of 20 of either; the norm is nothing."""
    half = {4: (1, 1, 1, 7), 8: (2, 6, 0, 2)}
    return blocks({(depth, norm): half[depth] for depth in half for norm in ("none", "batch")}, "depth", "norm")


def test_a_factor_that_matters_under_one_arm_only_is_found_with_its_size_and_one_that_does_not_covers_0() -> None:
    found = factors.arm_interactions(depth_matters_under_a_alone(), FACTORS, 3.0)
    depth, norm = (found[found["factor"] == name] for name in ("depth", "norm"))
    assert depth["cells"].tolist() == norm["cells"].tolist() == [20, 20]
    assert depth["rate_a"].tolist() == [0.2, 0.8]
    assert depth["rate_b"].tolist() == [0.2, 0.2]
    assert depth["difference"].tolist() == pytest.approx([0.0, -0.6])
    assert depth["contrast"].tolist() == pytest.approx([0.6, -0.6])  # the difference of the differences
    assert depth["contrast_high"].iloc[1] < 0 < depth["contrast_low"].iloc[0]
    assert (depth["p_value"] <= 0.002).all()
    assert norm["difference"].tolist() == pytest.approx([-0.3, -0.3])
    assert norm["contrast"].tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert (norm["contrast_low"] < 0).all()
    assert (norm["contrast_high"] > 0).all()
    assert (norm["p_value"] > 0.5).all()
    assert depth["p_holm"].iloc[0] == 2 * depth["p_value"].iloc[0]


def test_a_factor_that_matters_under_both_arms_alike_favours_neither() -> None:
    """2 of 20 shallow cells fail under either arm and 12 of 20 deep ones, not always the same ones."""
    trials = blocks({(4,): (0, 2, 2, 16), (8,): (8, 4, 4, 4)}, "depth")
    effects = factors.factor_effects(trials, {"depth": FACTORS["depth"]}, 3.0)
    assert (effects["p_value"] < 0.01).all()
    found = factors.arm_interactions(trials, {"depth": FACTORS["depth"]}, 3.0)
    assert found["contrast"].tolist() == [0.0, 0.0]
    assert (found["contrast_low"] < 0).all()
    assert (found["contrast_high"] > 0).all()
    assert (found["p_value"] > 0.5).all()


def test_the_interval_of_a_contrast_adds_the_squares_of_the_reaches_of_two_paired_differences() -> None:
    found = factors.arm_interactions(depth_matters_under_a_alone(), {"depth": FACTORS["depth"]}, 3.0)
    shallow, deep = (paired_difference(*counts) for counts in ((2, 2, 2, 14), (4, 12, 0, 4)))
    assert found[["difference", "low", "high"]].to_numpy().tolist() == [
        pytest.approx([float(end) for end in ends]) for ends in (shallow, deep)
    ]
    reach = math.hypot(shallow[0] - shallow[1], deep[2] - deep[0])
    assert found["contrast_low"].iloc[0] == pytest.approx(0.6 - reach)


def test_a_level_of_several_is_set_against_all_others() -> None:
    trials = blocks({(0,): (0, 0, 10, 0), (1,): (0, 0, 0, 10), (2,): (0, 10, 0, 20)}, "noise")
    found = factors.arm_interactions(trials, {"noise": FACTORS["noise"]}, 3.0)
    assert found["difference"].tolist() == pytest.approx([1, 0, -1 / 3])
    assert found["contrast"].tolist() == pytest.approx([1 + 10 / 40, 0, -1 / 3 - 10 / 20])


def test_a_pair_of_arms_without_an_answer_says_why() -> None:
    trials, depth = depth_matters_under_a_alone(), {"depth": FACTORS["depth"]}
    unknown = trials.assign(status=np.where(trials["arm"] == "a", "running", "done"))
    assert (factors.arm_interactions(unknown, depth, 3.0)["reason"] == "no cell is known under both arms").all()
    alike = trials.assign(inception_score=5.0)
    assert (factors.arm_interactions(alike, depth, 3.0)["reason"] == "the arms differ alike in every cell").all()
    one = trials[trials["depth"] == 8]
    assert (factors.arm_interactions(one, depth, 3.0)["reason"] == "one level was drawn").all()
    assert factors.arm_interactions(trials, {}, 3.0).empty
    # a block in which one arm is unknown is left out of both
    lost = trials.assign(status=np.where((trials["arm"] == "a") & (trials["cell"] == "c0"), "failed", "done"))
    assert factors.arm_interactions(lost, depth, 3.0)["cells"].tolist() == [19, 20]


def test_seeds_of_a_cell_count_once_under_two_arms_too() -> None:
    one = depth_matters_under_a_alone()
    many = pd.concat([one.assign(seed=seed, trial=one["trial"] + str(seed)) for seed in range(4)], ignore_index=True)
    single, repeated = (factors.arm_interactions(trials, FACTORS, 3.0) for trials in (one, many))
    pd.testing.assert_frame_equal(single, repeated)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rates", "num_cells"),
    [
        (((0.3, 0.3), (0.3, 0.3)), 24),
        (((0.02, 0.02), (0.5, 0.5)), 40),
        (((0.05, 0.35), (0.35, 0.65)), 24),
        (((0.05, 0.05), (0.5, 0.5), (0.3, 0.3), (0.9, 0.9)), 60),
    ],
)
def test_arms_that_differ_alike_at_every_level_are_told_apart_in_at_most_5_of_100_studies(
    rates: tuple[tuple[float, float], ...], num_cells: int
) -> None:
    """200 studies: 5% and 95% have a standard error of 1.5%. Half of the pairs of trials share their luck."""
    rng, found, held = np.random.default_rng(6), 0, 0
    told = {"depth": {"values": list(range(len(rates)))}}
    for study in range(200):
        depth, shared = rng.integers(len(rates), size=num_cells), rng.random(num_cells) < 0.5
        luck = rng.random((2, num_cells))
        luck[1] = np.where(shared, luck[0], luck[1])
        fails = luck < np.array(rates)[depth].T
        trials = pd.concat([trials_of(fails[i].tolist(), depth=depth).assign(arm=arm) for i, arm in enumerate("ab")])
        effect = factors.arm_interactions(trials.reset_index(drop=True), told, 3.0, seed=study)
        found += effect["p_value"].iloc[0] <= 0.05
        held += not ((effect["contrast_low"] > 1e-9) | (effect["contrast_high"] < -1e-9)).any()
    assert found / 200 <= 0.05 + 3 * 0.015
    assert held / 200 >= 0.95 - 3 * 0.015


@pytest.mark.slow
def test_seeds_that_copy_one_another_do_not_make_a_factor_matter() -> None:
    """Five seeds a cell with one outcome: as five cells each they would seem to matter in many of the studies."""
    rng, found = np.random.default_rng(2), 0
    for _ in range(150):
        cells = trials_of((rng.random(30) < 0.5).tolist(), depth=rng.choice([4, 8], 30))
        many = pd.concat([cells.assign(seed=s) for s in range(5)], ignore_index=True)
        effects = factors.factor_effects(many, {"depth": FACTORS["depth"]}, 3.0, seed=int(rng.integers(1 << 30)))
        found += effects["p_value"].iloc[0] <= 0.05
    assert found / 150 <= 0.05 + 3 * 0.018


@pytest.mark.slow
@pytest.mark.parametrize(("num_cells", "shape", "slope"), [(24, (4, 4), 0.0), (24, (4, 4), 2.0), (80, (3, 2), 1.0)])
def test_additive_factors_are_called_interacting_in_at_most_5_of_100_studies(
    num_cells: int, shape: tuple[int, int], slope: float
) -> None:
    """400 studies: 5% has a standard error of 1.1%. A parametric bootstrap was wrong in 14% of the first of these."""
    rng = np.random.default_rng(3)
    rate = 1 / (1 + np.exp(-np.add.outer(np.linspace(-slope, slope, shape[0]), np.linspace(-slope, slope, shape[1]))))
    found = 0
    for _ in range(400):
        num = rng.multinomial(num_cells, np.full(rate.size, 1 / rate.size)).reshape(shape).astype(float)
        failures = rng.binomial(num.astype(int), rate).astype(float)
        found += factors._interaction_test(num, failures, 199, rng)["p_value"] <= 0.05
    assert found / 400 <= 0.05 + 3 * 0.011


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_cells", "shape", "slope", "bend"),
    [(64, (4, 4), 0.0, 0.0), (64, (4, 4), 2.5, 0.0), (200, (4, 3), 1.0, 1.5), (16, (2, 2), 1.0, 1.0)],
)
def test_the_intervals_of_all_excesses_of_a_pair_hold_at_once(
    num_cells: int, shape: tuple[int, int], slope: float, bend: float
) -> None:
    """200 studies: 95% has a standard error of 1.5%."""
    rng = np.random.default_rng(4)
    odds = np.add.outer(np.linspace(-slope, slope, shape[0]), np.linspace(-slope, slope, shape[1]))
    rate, held = 1 / (1 + np.exp(-(odds + bend * rng.normal(size=shape)))), 0
    for _ in range(200):
        num = rng.multinomial(num_cells, np.full(rate.size, 1 / rate.size)).reshape(shape).astype(float)
        found = factors._excess(num, rng.binomial(num.astype(int), rate).astype(float))
        truth = rate - factors.additive_fit(num, num * rate) / np.where(num > 0, num, np.nan)
        missed = (found["excess_low"] > truth + 1e-9) | (found["excess_high"] < truth - 1e-9)
        held += not missed[num > 0].any()
    assert held / 200 >= 0.95 - 3 * 0.015
