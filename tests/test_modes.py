"""Mode coverage of planted samples, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gansweep.data.densities import GaussianGrid, GaussianRing, SwissRoll
from gansweep.data.opened import OpenData, open_data
from gansweep.metrics.modes import ModeCoverage
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.trial import TrialConfig

# four modes at (1, 0), (0, 1), (-1, 0) and (0, -1)
CROSS = GaussianRing(num_modes=4, radius=1.0, std=0.1, divisor=1.0)


def at(*points: tuple[float, float]) -> Tensor:
    return torch.tensor(points)


def score(samples: Tensor, density: GaussianRing = CROSS, within: float = 3.0) -> dict[str, float]:
    return ModeCoverage(num_samples=len(samples), within=within).score(samples, density)


def test_one_sample_on_each_centre_captures_all_modes_in_balance() -> None:
    got = score(at((1, 0), (0, 1), (-1, 0), (0, -1)))
    assert got == {
        "modes_captured": 4.0,
        "mode_share": 1.0,
        "high_quality": 1.0,
        "reverse_kl": pytest.approx(0, abs=1e-15),
    }


def test_a_generator_of_one_point_captures_one_mode_at_a_divergence_of_log_4() -> None:
    got = score(at(*[(0.0, 1.0)] * 7))
    assert got == {
        "modes_captured": 1.0,
        "mode_share": 0.25,
        "high_quality": 1.0,
        "reverse_kl": pytest.approx(math.log(4)),
    }


def test_a_mode_whose_samples_are_all_poor_is_not_captured() -> None:
    # (0, 0.69) is nearest to the second mode and 3.1 deviations away; (0.71, 0) is 2.9 from the first
    got = score(at((0.71, 0), (0, 0.69)))
    assert got == {
        "modes_captured": 1.0,
        "mode_share": 0.25,
        "high_quality": 0.5,
        "reverse_kl": pytest.approx(math.log(2)),
    }
    assert score(at((0.71, 0), (0, 0.69)), within=3.2)["modes_captured"] == 2


def test_the_divergence_runs_from_the_samples_to_the_weights() -> None:
    # shares 3/4 and 1/4 against 1/4 each: 3/4 log 3 + 1/4 log 1
    assert score(at((1, 0), (1, 0), (1, 0), (0, 1)))["reverse_kl"] == pytest.approx(0.75 * math.log(3))


def test_the_divergence_knows_that_lsgans_first_mode_counts_twice() -> None:
    ring = GaussianRing(num_modes=2, radius=1.0, std=0.1, divisor=1.0, double_weighted=True)
    assert score(at((1, 0), (1, 0), (-1, 0)), ring)["reverse_kl"] == pytest.approx(0, abs=1e-15)
    even = 0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3))
    assert score(at((1, 0), (-1, 0)), ring)["reverse_kl"] == pytest.approx(even)


@pytest.mark.parametrize("density", [GaussianRing(), GaussianGrid()], ids=repr)
def test_real_points_capture_everything_at_the_quality_of_a_gaussian(density: GaussianRing | GaussianGrid) -> None:
    real = density.sample(2500, torch.Generator().manual_seed(0))
    got = ModeCoverage().score(real, density)
    count = len(density.modes.centres)
    assert got["modes_captured"] == count
    share = 1 - math.exp(-4.5)  # of a Gaussian in the plane within three deviations
    assert got["high_quality"] == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 2500))
    # 2 n KL is chi-square with count - 1 degrees of freedom
    freedom = count - 1
    assert 2 * 2500 * got["reverse_kl"] == pytest.approx(freedom, abs=4 * math.sqrt(2 * freedom))


def test_scattered_samples_are_of_poor_quality() -> None:
    wide = torch.randn(2500, 2, generator=torch.Generator().manual_seed(0))
    assert ModeCoverage().score(wide, GaussianRing())["high_quality"] < 0.05


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_T_35_one_sample_that_is_not_finite_makes_every_column_nan(bad: float) -> None:
    got = score(at((1, 0), (0, bad)))
    assert tuple(got) == ModeCoverage.columns
    assert all(math.isnan(value) for value in got.values())


def test_only_the_first_samples_count() -> None:
    metric = ModeCoverage(num_samples=2)
    assert metric.score(at((1, 0), (0, 1), (-1, 0)), CROSS)["modes_captured"] == 2
    with pytest.raises(ValueError, match="needs 2 samples and got 1"):
        metric.score(at((1, 0)), CROSS)


def test_a_density_without_modes_is_refused_before_training(tiny: TrialConfig) -> None:
    data = open_data(SwissRoll(), None, "cpu")
    with pytest.raises(ValueError, match="needs a mixture, as GaussianRing is, and SwissRoll has no modes"):
        ModeCoverage().check(tiny, data)


def test_the_reference_is_what_real_points_get() -> None:
    metric, data = ModeCoverage(), open_data(GaussianRing(), None, "cpu")
    reference = metric.reference(metric.load(data, None, "cpu"), data)
    assert reference["real_score"] == 8
    assert reference["num_modes"] == 8
    assert reference["real_mode_share"] == 1
    assert reference["real_high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    assert reference["hash"] == GaussianRing().content()
    assert metric.protocol(reference["hash"])["within_stds"] == 3.0


def test_a_trials_samples_are_measured_against_its_data() -> None:
    data: OpenData = open_data(CROSS, None, "cpu")
    subject = Subject(at((1, 0), (0, 1)), None, lambda x: Output(), data)
    metric = ModeCoverage(num_samples=2)
    assert metric.measure(subject, metric.load(data, None, "cpu"))["modes_captured"] == 2


def test_wrong_fields_are_named() -> None:
    with pytest.raises(ValueError, match=r"ModeCoverage\.within = 0 must be a number > 0"):
        ModeCoverage(within=0)
