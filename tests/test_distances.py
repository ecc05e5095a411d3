"""Distances of planted distributions, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from gansweep.data.densities import (
    Density,
    GaussianGrid,
    GaussianRing,
    ParallelLines,
    SwissRoll,
    TwoCircles,
    TwoGaussians,
)
from gansweep.data.opened import OpenData, open_data
from gansweep.data.sources import Digits
from gansweep.data.training_set import ImageSet
from gansweep.metrics.distances import (
    DensityDivergence,
    EarthMover,
    density_grid,
    js_divergence,
    kl_divergence,
    least_squares_divergence,
    pearson_chi2,
    sliced_wasserstein,
    total_variation,
    wasserstein,
)
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.trial import TrialConfig

SQUARE = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
HALVES, QUARTERS = np.array([0.5, 0.5]), np.array([0.25, 0.75])


def drawn(density: Density, num: int, seed: int = 0) -> Tensor:
    return density.sample(num, torch.Generator().manual_seed(seed))


def histogram(points: Tensor) -> np.ndarray:
    """Shares of points [n, 2] in 8 x 8 bins of [-1, 1] x [0, 1]; no edge but that of the last bin is at 0 or 1."""
    counts, *_ = np.histogram2d(*points.numpy().T, bins=8, range=[[-1.03, 1.02], [0, 1]])
    return counts / len(points)


# The examples of Arjovsky et al. 2017


@pytest.mark.parametrize("theta", [-0.7, 0.0, 0.01, 0.5, 1.0])
def test_parallel_lines_are_theta_apart_for_the_earth_mover(theta: float) -> None:
    data, moved = (drawn(ParallelLines(theta=t), 200).double().numpy() for t in (0.0, theta))
    # the same heights: straight across is the best plan
    assert wasserstein(data, moved) == pytest.approx(abs(theta), abs=1e-7)
    assert wasserstein(data, moved, p=2) == pytest.approx(abs(theta), abs=1e-7)
    assert sliced_wasserstein(data, moved, num_projections=2000) == pytest.approx(2 / math.pi * abs(theta), rel=0.05)


@pytest.mark.parametrize("theta", [-0.7, 0.5, 1.0])
def test_parallel_lines_are_as_far_apart_as_can_be_for_every_divergence(theta: float) -> None:
    p, q = (histogram(drawn(ParallelLines(theta=t), 5000)) for t in (0.0, theta))
    assert js_divergence(p, q) == pytest.approx(math.log(2))
    assert kl_divergence(p, q) == kl_divergence(q, p) == pearson_chi2(p, q) == math.inf
    assert total_variation(p, q) == pytest.approx(1)
    assert least_squares_divergence(p, q) == pytest.approx(2)


@pytest.mark.parametrize(
    "divergence", [js_divergence, kl_divergence, total_variation, pearson_chi2, least_squares_divergence]
)
def test_a_distribution_is_at_no_divergence_from_itself(divergence: object) -> None:
    p = histogram(drawn(ParallelLines(), 5000))
    assert (p == 0).any()
    assert divergence(p, p) == pytest.approx(0, abs=1e-12)  # type: ignore[operator]


# Histograms


def test_divergences_of_a_coin_are_those_of_their_definitions() -> None:
    # (1/2, 1/2) against (1/4, 3/4); the mixture is (3/8, 5/8)
    kl = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert kl_divergence(HALVES, QUARTERS) == pytest.approx(kl)
    assert kl_divergence(QUARTERS, HALVES) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    to_mixture = 0.5 * math.log(4 / 3) + 0.5 * math.log(4 / 5)
    from_mixture = 0.25 * math.log(2 / 3) + 0.75 * math.log(6 / 5)
    assert js_divergence(HALVES, QUARTERS) == pytest.approx((to_mixture + from_mixture) / 2)
    assert total_variation(HALVES, QUARTERS) == pytest.approx(0.25)
    assert pearson_chi2(HALVES, QUARTERS) == pytest.approx(0.25**2 / 0.25 + 0.25**2 / 0.75)
    assert least_squares_divergence(HALVES, QUARTERS) == pytest.approx(0.25**2 / 0.75 + 0.25**2 / 1.25)


def test_a_missing_bin_is_infinite_only_if_the_other_side_has_mass_there() -> None:
    one, both = np.array([1.0, 0]), HALVES
    assert kl_divergence(one, both) == pytest.approx(math.log(2))
    assert pearson_chi2(one, both) == pytest.approx(1)
    assert kl_divergence(both, one) == pearson_chi2(both, one) == math.inf


def test_the_divergence_between_gaussians_is_their_closed_form() -> None:
    edges = np.linspace(-12, 12, 4001)
    p, q = (np.diff(stats.norm.cdf(edges, mean, std)) for mean, std in ((0.5, 1.0), (-0.3, 1.5)))
    exact = math.log(1.5) + (1 + 0.8**2) / (2 * 1.5**2) - 0.5
    assert kl_divergence(p, q) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("bad", [[0.5, 0.6], [1.5, -0.5], [math.nan, 1.0]])
def test_what_is_no_probability_is_refused(bad: list[float]) -> None:
    for p, q in ((np.array(bad), HALVES), (HALVES, np.array(bad))):
        with pytest.raises(ValueError, match="must be >= 0 and sum to 1"):
            js_divergence(p, q)
    with pytest.raises(ValueError, match="shapes"):
        total_variation(HALVES, np.ones(3) / 3)


# Points


@pytest.mark.parametrize("axes", [1, 2])
def test_moving_3_2_1_4_to_1_2_4_3_takes_five_steps(axes: int) -> None:
    place = np.zeros((4, axes))
    place[:, -1] = np.arange(4)
    assert 10 * wasserstein(
        place, place, a=np.array([3, 2, 1, 4]) / 10, b=np.array([1, 2, 4, 3]) / 10
    ) == pytest.approx(5)


def test_in_one_dimension_it_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 1)), rng.normal(1, 2, size=(70, 1))
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x[:, 0], y[:, 0]))
    # and the linear program in the plane gives the same on a line in it, for both powers
    for p in (1, 2):
        in_plane = wasserstein(np.hstack([x, x]), np.hstack([y, y]), p=p)
        assert in_plane == pytest.approx(math.sqrt(2) * wasserstein(x, y, p=p))


def test_the_second_power_prefers_two_short_ways_to_a_long_one() -> None:
    x, y = np.array([[0.0, 0], [1, 0]]), np.array([[1.0, 0], [2, 0]])
    # either both points move by 1, or one stays and one moves by 2: equal for p = 1, not for p = 2
    assert wasserstein(x, y) == pytest.approx(1)
    assert wasserstein(x, y, p=2) == pytest.approx(1)
    assert wasserstein(SQUARE, SQUARE.mean(axis=0, keepdims=True), p=2) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("shift", [(0.3, -0.4), (30.0, 40.0)])
def test_a_moved_set_is_as_far_as_it_was_moved(shift: tuple[float, float]) -> None:
    x = drawn(SwissRoll(), 300).double().numpy()
    for p in (1, 2):
        assert wasserstein(x, x + shift, p=p) == pytest.approx(math.hypot(*shift))


def test_a_stretched_gaussian_is_at_the_closed_form_distance() -> None:
    # quantiles of N(0.5, 1) and N(-0.3, 1.5^2): W2^2 = 0.8^2 + 0.5^2, and W1 of equal widths is the shift
    u = (np.arange(20_000) + 0.5) / 20_000
    x, y, z = (stats.norm.ppf(u, mean, std)[:, None] for mean, std in ((0.5, 1), (-0.3, 1.5), (-0.3, 1)))
    assert wasserstein(x, y, p=2) == pytest.approx(math.hypot(0.8, 0.5), rel=1e-3)
    assert wasserstein(x, z) == pytest.approx(0.8)
    # in the plane: a symmetric positive map is the best plan of any set (Brenier)
    points = drawn(GaussianRing(), 300).double().numpy()
    image = points @ np.array([[2.0, 0.5], [0.5, 1.0]])
    cost = np.square(points - image).sum(axis=1).mean()
    assert wasserstein(points, image, p=2) == pytest.approx(math.sqrt(cost))


def test_a_mode_that_is_left_out_is_filled_directly_from_each_of_the_others() -> None:
    # seven modes have 1/7 - 1/8 = 1/56 too much each, which goes along the chord of length 2 r sin(pi k / 8)
    modes = GaussianRing().modes.centres.numpy()
    radius = np.linalg.norm(modes[0])
    chords = 2 * radius * np.sin(math.pi * np.arange(1, 8) / 8)
    missing = np.append(0, np.ones(7) / 7)
    assert wasserstein(modes, modes, a=missing) == pytest.approx(chords.sum() / 56)


def test_weights_count_like_repeated_points() -> None:
    repeated = SQUARE[[0, 0, 0, 1, 2, 3]]
    other = drawn(GaussianRing(), 50).double().numpy()
    assert wasserstein(SQUARE, other, a=np.array([3, 1, 1, 1]) / 6) == pytest.approx(wasserstein(repeated, other))


def test_the_sliced_distance_is_at_most_the_exact_one_and_repeats() -> None:
    x, y = (drawn(GaussianGrid(), 400, seed).double().numpy() for seed in (0, 1))
    for p in (1, 2):
        assert 0 < sliced_wasserstein(x, y, p=p) <= wasserstein(x, y, p=p)
        assert sliced_wasserstein(x, y, p=p, seed=3) == sliced_wasserstein(x, y, p=p, seed=3)
    # two points 5 apart: the mean of cos^2 over directions is 1/2
    assert sliced_wasserstein(np.zeros((1, 2)), np.array([[3.0, 4]]), p=2, num_projections=5000) == pytest.approx(
        5 * math.sqrt(0.5), rel=0.03
    )


def test_points_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \[n, d\] and \[m, d\], not \[4, 2\] and \[4, 1\]"):
        wasserstein(SQUARE, SQUARE[:, :1])
    with pytest.raises(ValueError, match=r"not \[0, 2\]"):
        sliced_wasserstein(SQUARE[:0], SQUARE)
    with pytest.raises(ValueError, match="p = 3 must be 1 or 2"):
        wasserstein(SQUARE, SQUARE, p=3)
    with pytest.raises(ValueError, match="sum to 1"):
        wasserstein(SQUARE, SQUARE, a=np.ones(4))
    with pytest.raises(ValueError, match="shapes"):
        wasserstein(SQUARE, SQUARE, a=HALVES)


# The earth mover's distance of a generator


def judged(metric: EarthMover | DensityDivergence, density: Density, samples: Tensor) -> dict[str, float]:
    data: OpenData = open_data(density, None, "cpu")
    return metric.measure(Subject(samples, None, lambda x: Output(), data), metric.load(data, None, "cpu"))  # type: ignore[arg-type]


def test_a_generator_of_one_point_is_at_the_mean_distance_of_the_data() -> None:
    metric, centre = EarthMover(num_samples=400), torch.zeros(400, 2)
    real = metric.load(open_data(GaussianRing(), None, "cpu"), None, "cpu")
    assert judged(metric, GaussianRing(), centre)["earth_mover"] == pytest.approx(np.linalg.norm(real, axis=1).mean())


def test_the_floor_is_what_real_points_get_and_falls_with_their_number() -> None:
    floors = {}
    for num in (100, 1000):
        metric, data = EarthMover(num_samples=num), open_data(TwoCircles(), None, "cpu")
        judge = metric.load(data, None, "cpu")
        reference = metric.reference(judge, data)
        own = metric.score(drawn(TwoCircles(), num), judge)["earth_mover"]
        assert own == pytest.approx(reference["real_score"], abs=5 * reference["real_score_std"])
        assert metric.score(torch.from_numpy(judge), judge)["earth_mover"] == pytest.approx(0, abs=1e-12)
        floors[num] = reference["real_score"]
        assert reference["hash"] == metric.protocol(reference["hash"])["density"] == data.content
    assert floors[1000] < floors[100] / 2


def test_a_missing_mode_and_a_shift_are_seen_above_the_floor() -> None:
    metric, ring = EarthMover(num_samples=800), GaussianRing()
    data = open_data(ring, None, "cpu")
    floor = metric.reference(metric.load(data, None, "cpu"), data)["real_score"]
    real = drawn(ring, 1600)
    missing = real[real[:, 0] < 1.2][:800]  # without the mode at (1.41, 0)
    assert judged(metric, ring, missing)["earth_mover"] > 2 * floor
    # a shift of all by 0.5 costs 0.5, to within the floor
    assert judged(metric, ring, real + torch.tensor([0.3, 0.4]))["earth_mover"] == pytest.approx(0.5, abs=2 * floor)


def test_a_line_on_which_there_is_no_density_still_has_an_earth_movers_distance() -> None:
    line = drawn(ParallelLines(theta=0.5), 500)
    assert judged(EarthMover(num_samples=500), ParallelLines(), line)["earth_mover"] == pytest.approx(0.5, abs=0.01)


def test_the_distance_in_one_dimension_is_the_shift() -> None:
    got = judged(EarthMover(num_samples=4000), TwoGaussians(), drawn(TwoGaussians(mean=(1.0,)), 4000))
    assert got["earth_mover"] == pytest.approx(3, abs=0.1)


# The divergence from a density

DENSITIES = [GaussianRing(), GaussianGrid(), SwissRoll(), TwoCircles(), TwoGaussians()]


@pytest.mark.parametrize("density", DENSITIES, ids=repr)
def test_the_probabilities_of_the_bins_sum_to_one(density: Density) -> None:
    grid = density_grid(density, 16)
    assert len(grid.masses) == grid.held.sum() + 1
    assert grid.masses.sum() == pytest.approx(1, abs=1e-6)
    assert 0 <= grid.masses[-1] < 0.001
    # a fresh sample agrees bin by bin: Pearson's statistic is chi-square with so many degrees of freedom
    points = drawn(density, 200_000, seed=1).double().numpy()
    counts = np.histogramdd(points, bins=list(grid.edges))[0][grid.held]
    expected = grid.masses * len(points)
    found = np.append(counts, len(points) - counts.sum())
    common = expected > 5
    statistic = (np.square(found - expected)[common] / expected[common]).sum()
    assert statistic == pytest.approx(common.sum(), abs=5 * math.sqrt(2 * common.sum()))


def test_the_probabilities_of_a_mixtures_bins_are_those_of_the_normal_distribution() -> None:
    grid, (centres, std, weights) = density_grid(GaussianGrid(), 32), GaussianGrid().modes
    x, y = (np.diff(stats.norm.cdf(grid.edges[i], centres[:, i : i + 1], std), axis=1) for i in (0, 1))
    exact = np.einsum("m,mi,mj->ij", weights.numpy(), x, y)
    assert grid.masses[:-1] == pytest.approx(exact[grid.held], abs=1e-7)


def test_a_generator_far_away_is_at_the_greatest_divergence() -> None:
    got = judged(DensityDivergence(num_samples=100), GaussianRing(), torch.zeros(100, 2))
    assert got == {
        "density_js": pytest.approx(math.log(2), abs=1e-3),
        "density_chi2": pytest.approx(2, abs=1e-2),
        "density_tv": pytest.approx(1, abs=1e-3),
    }


def test_half_of_the_modes_is_at_the_divergence_of_a_coin() -> None:
    # q is twice p on half of the mass and 0 on the other: m is 3/2 p and 1/2 p
    ring = GaussianRing(num_modes=2)
    real = drawn(ring, 20_000)
    got = judged(DensityDivergence(num_samples=9000), ring, real[real[:, 0] > 0])
    js = (0.5 * math.log(2 / 3) + 0.5 * math.log(2) + math.log(4 / 3)) / 2
    assert got["density_js"] == pytest.approx(js, abs=0.003)
    assert got["density_tv"] == pytest.approx(0.5, abs=0.01)
    # half of p in (1 - 2)^2 / (1 + 2), half in 1
    assert got["density_chi2"] == pytest.approx(0.5 / 3 + 0.5, abs=0.01)


@pytest.mark.parametrize("density", [GaussianGrid(), TwoGaussians()], ids=repr)
def test_real_samples_get_the_floor_that_was_derived(density: Density) -> None:
    metric, data = DensityDivergence(bins=16), open_data(density, None, "cpu")
    grid = metric.load(data, None, "cpu")
    reference = metric.reference(grid, data)
    # 8 n JS is about chi-square with one degree of freedom less than there are bins, if none is nearly empty
    bins = (grid.masses * metric.num_samples > 1).sum()
    assert 8 * metric.num_samples * reference["real_score"] == pytest.approx(bins - 1, rel=0.25)
    own = metric.score(drawn(density, metric.num_samples), grid)
    assert own["density_tv"] == pytest.approx(reference["real_density_tv"], rel=0.5)
    assert reference["hash"] == metric.protocol(reference["hash"])["density"] == data.content


@pytest.mark.parametrize(("ring", "bins"), [(GaussianRing(), 2), (GaussianRing(std=1e-4), 16)], ids=repr)
def test_bins_that_are_larger_than_the_details_are_refused_before_training(
    ring: GaussianRing, bins: int, tiny: TrialConfig
) -> None:
    # two bins do not settle; modes that lie between all nodes settle at nothing
    with pytest.raises(ValueError, match=f"{bins} bins are too few for gaussian_ring"):
        DensityDivergence(bins=bins).check(tiny, open_data(ring, None, "cpu"))


def test_bins_so_small_that_many_are_empty_are_no_error() -> None:
    grid = density_grid(TwoGaussians(mean=(0.0, 0.0), fake_mean=(1.0, 1.0)), 200)
    assert grid.masses[-1] > 0.01


def test_a_line_has_no_density_and_is_refused_before_training(tiny: TrialConfig) -> None:
    with pytest.raises(ValueError, match="ParallelLines has no density"):
        DensityDivergence().check(tiny, open_data(ParallelLines(), None, "cpu"))


# Both


@pytest.mark.parametrize("metric", [EarthMover(num_samples=50), DensityDivergence(num_samples=50)], ids=repr)
def test_bad_input_of_a_metric_is_named(metric: EarthMover | DensityDivergence, tiny: TrialConfig) -> None:
    images = OpenData(Digits(), "digits", "made up", ImageSet(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)))
    with pytest.raises(ValueError, match=f"{metric.name} needs a density, as GaussianRing is, and digits is none"):
        metric.check(tiny, images)
    metric.check(tiny, open_data(GaussianRing(points=10), None, "cpu"))
    with pytest.raises(ValueError, match="needs 50 samples and got 49"):
        judged(metric, GaussianRing(), torch.zeros(49, 2))
    with pytest.raises(ValueError, match="must be a whole number >= 1"):
        type(metric)(num_samples=0)
    assert not metric.higher_is_better


@pytest.mark.parametrize("metric", [EarthMover(num_samples=50), DensityDivergence(num_samples=50)], ids=repr)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_T_35_one_sample_that_is_not_finite_makes_every_column_nan(
    metric: EarthMover | DensityDivergence, bad: float
) -> None:
    samples = torch.zeros(50, 2)
    samples[3, 1] = bad
    got = judged(metric, GaussianRing(), samples)
    assert tuple(got) == metric.columns
    assert all(math.isnan(value) for value in got.values())


@pytest.mark.parametrize("metric", [EarthMover(num_samples=60), DensityDivergence(num_samples=60)], ids=repr)
def test_the_score_repeats_and_only_the_first_samples_count(metric: EarthMover | DensityDivergence) -> None:
    samples = drawn(GaussianRing(), 100)
    first = judged(metric, GaussianRing(), samples)
    assert first == judged(metric, GaussianRing(), samples) == judged(metric, GaussianRing(), samples[:60])
    assert first != judged(metric, GaussianRing(), samples[10:])
