"""Interactions of factors: the additive fit is a logistic regression, the test is exact, the intervals hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from gansweep import factors
from gansweep.intervals import Floats

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
