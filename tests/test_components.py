"""Variance components: a layout worked out by hand, a mixed model of statsmodels, and coverage by simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula import api as formula

from gansweep import components
from gansweep.intervals import Floats


def frame_of(cube: Floats, **columns: object) -> pd.DataFrame:
    """Trials with scores [configuration, arm, seed]."""
    cell, arm, seed = np.indices(cube.shape).reshape(3, -1)
    frame = pd.DataFrame({"cell": [f"c{i}" for i in cell], "depth": cell, "arm": [f"a{i}" for i in arm]})
    frame = frame.assign(
        seed=1000 * cell + seed, inception_score=cube.ravel(), status="done", decision="completed", verdict="trained"
    )
    return frame.assign(**columns)


def drawn(rng: np.random.Generator, shape: tuple[int, int, int], means: list[float], sds: list[float]) -> Floats:
    """Normal scores with standard deviations of cells, arms x cells, seeds and rest."""
    cells, arms, seeds = shape
    sizes = [(cells, 1, 1), (cells, arms, 1), (cells, 1, seeds), shape]
    parts = [sd * rng.normal(size=size) for sd, size in zip(sds, sizes, strict=True)]
    return np.array(means)[None, :, None] + sum(parts)


def test_one_configuration_by_hand() -> None:
    """Two arms with scores 1, 3 and 5, 9: block means 3 and 6, arm means 2 and 7, mean 4.5.

    Seeds: 2 x (1.5^2 + 1.5^2) = 9 with one degree of freedom; rest: four times 0.5^2 = 1 with one; so the variance
    from seed to seed is (9 + 1) / 2 = 5. Arms: 2 x (2.5^2 + 2.5^2) = 25, less the rest, over two seeds: 12.
    """
    cube = np.array([[[1.0, 3.0], [5.0, 9.0]]])
    squares = components.mean_squares(cube)
    assert {name: pytest.approx(square) for name, square in squares.items() if name in ("seeds", "rest", "arms")} == {
        "seeds": (9, 1),
        "rest": (1, 1),
        "arms": (25, 1),
    }
    found = components.variance_components(frame_of(cube), ["depth"]).set_index(["component", "arm"])
    assert found.loc[("seeds", ""), "variance"] == pytest.approx(5)
    assert found.loc[("arms", ""), "variance"] == pytest.approx(12)
    assert found.loc[("seeds", "a1"), "variance"] == pytest.approx(8)
    assert found.loc[("cells", ""), "reason"] == "there is one configuration only"


def test_the_interval_of_one_arms_seeds_is_the_exact_one_of_a_variance() -> None:
    cube = np.random.default_rng(0).normal(size=(1, 2, 12))
    found = components.variance_components(frame_of(cube), []).set_index(["component", "arm"]).loc[("seeds", "a0")]
    variance = np.var(cube[0, 0], ddof=1)
    assert found["variance"] == pytest.approx(variance)
    assert found["low"] == pytest.approx(11 * variance / stats.chi2.ppf(0.975, 11))
    assert found["high"] == pytest.approx(11 * variance / stats.chi2.ppf(0.025, 11))


@pytest.mark.slow
def test_a_mixed_model_finds_the_same_variances() -> None:
    """Restricted maximum likelihood of a balanced layout gives the same, if its cells are not averaged over arms."""
    cube = drawn(np.random.default_rng(0), (12, 3, 4), [0, 1, 2], [1.0, 0.7, 0.5, 0.6])
    frame = frame_of(cube)
    frame["block"], frame["both"] = frame["cell"] + "-" + frame["seed"].astype(str), frame["cell"] + "-" + frame["arm"]
    kinds = {"both": "0 + C(both)", "block": "0 + C(block)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the optimiser's path, not of its end
        model = formula.mixedlm("inception_score ~ arm", frame, groups="cell", re_formula="1", vc_formula=kinds)
        fitted = model.fit(reml=True)
    block, both = fitted.vcomp
    found = components.variance_components(frame, ["depth"]).set_index(["component", "arm"])["variance"]
    assert found["arms x cells", ""] == pytest.approx(both, rel=1e-3)
    assert found["seeds", ""] == pytest.approx(block + fitted.scale, rel=1e-3)
    assert found["cells", ""] == pytest.approx(fitted.cov_re.iloc[0, 0] + both / 3, rel=1e-3)


def test_the_interval_of_cells_reaches_0_exactly_where_the_f_test_is_not_sure() -> None:
    """What Ting et al. give is exact at 0, so it must turn where F reaches its upper 2.5% point."""
    critical = stats.f.isf(0.025, 9, 10)
    for factor, touches in ((0.999, True), (1.001, False)):
        found = components._combined([(1.0, factor * critical, 9), (-1.0, 1.0, 10)], 0.05)
        assert (found["low"] == 0) == touches


def test_the_interval_of_the_arms_reaches_0_exactly_where_the_f_test_is_not_sure() -> None:
    critical = stats.f.isf(0.025, 2, 10)
    for factor, touches in ((0.999, True), (1.001, False)):
        found = components._of_arms((factor * critical, 2), (1.0, 10), 4, 0.05)
        assert (found["low"] == 0) == touches


def test_one_seed_tells_nothing_of_seeds_and_says_so() -> None:
    cube = np.random.default_rng(0).normal(size=(6, 2, 1))
    found = components.variance_components(frame_of(cube), ["depth"]).set_index(["component", "arm"])
    for name in (("seeds", ""), ("seeds", "a0"), ("cells", ""), ("arms x cells", "")):
        assert np.isnan(found.loc[name, "variance"])
        assert found.loc[name, "reason"] == components.ONE_SEED
    assert found.loc[("arms", ""), "reason"] == ""


def test_one_draw_repeated_is_one_configuration_though_each_seed_is_called_a_cell() -> None:
    cube = np.random.default_rng(0).normal(size=(1, 2, 5))
    frame = frame_of(cube).assign(depth=4)
    apart = frame.assign(cell="c" + frame["seed"].astype(str))
    whole, split = (components.variance_components(trials, ["depth"]) for trials in (frame, apart))
    pd.testing.assert_frame_equal(whole, split)


def test_a_configuration_with_a_diverged_run_is_left_out_and_counted() -> None:
    cube = np.random.default_rng(0).normal(size=(5, 2, 3))
    frame = frame_of(cube)
    frame.loc[4, "inception_score"] = np.nan
    found = components.variance_components(frame, ["depth"])
    assert (found.attrs["used"], found.attrs["planned"]) == (4, 5)
    again = components.variance_components(frame_of(cube[1:]), ["depth"])
    assert found["variance"].tolist() == pytest.approx(again["variance"].tolist())


def test_nothing_that_ended_gives_reasons_and_no_numbers() -> None:
    frame = frame_of(np.full((3, 2, 2), np.nan), status="running")
    found = components.variance_components(frame, ["depth"])
    assert found["variance"].isna().all()
    assert (found["reason"] != "").all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "means", "sds"),
    [
        ((10, 2, 2), [0.0, 1.0], [1.0, 0.5, 0.5, 0.5]),
        ((5, 3, 5), [0.0, 1.0, 3.0], [1.0, 1.0, 0.3, 0.5]),
        ((6, 2, 3), [0.0, 0.0], [1.0, 0.0, 0.3, 0.5]),
        ((1, 3, 10), [0.0, 0.3, 1.0], [0.0, 0.0, 0.5, 0.5]),
    ],
)
def test_the_intervals_cover_the_truth_about_as_often_as_they_say(
    shape: tuple[int, int, int], means: list[float], sds: list[float]
) -> None:
    """400 layouts: 95% has a standard error of 1.1%. That of the arms is known to cover more."""
    cells, both, seeds, rest = (sd**2 for sd in sds)
    truth = {"cells": cells + both / shape[1], "arms x cells": both, "seeds": seeds + rest}
    truth["arms"] = float(np.var(means, ddof=1))
    rng, held = np.random.default_rng(5), dict.fromkeys(truth, 0)
    for _ in range(400):
        found = components._all_components(drawn(rng, shape, means, sds), 0.05)
        for name, told in found.items():
            held[name] += bool(told["reason"]) or told["low"] <= truth[name] <= told["high"]
    assert min(held.values()) / 400 >= 0.95 - 3 * 0.011
