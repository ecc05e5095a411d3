"""Toy densities: samples, log densities and modes must agree with each other and with closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gansweep.data.densities import (
    Density,
    GaussianGrid,
    GaussianMixture,
    GaussianRing,
    ParallelLines,
    SwissRoll,
    TwoCircles,
    TwoGaussians,
)
from gansweep.data.training_set import FixedPointSet, PointSet
from gansweep.parts import describe, is_part
from gansweep.randomness import stream

LSGAN_RING = GaussianRing(radius=1.0, std=0.01, divisor=1.0, double_weighted=True)
# each density with a square that holds it and a length over which it hardly changes
SMOOTH: list[tuple[Density, float, float]] = [
    (GaussianRing(), 1.6, 0.02 / 1.414),
    (LSGAN_RING, 1.1, 0.01),
    (GaussianRing(num_modes=3, radius=1.0, std=0.2, divisor=1.0), 2.5, 0.2),
    (GaussianGrid(), 1.6, 0.05 / 2.828),
    (SwissRoll(), 2.2, 0.25 / 7.5),
    (SwissRoll(noise=1.0, divisor=10.0), 2.2, 0.1),
    (TwoCircles(), 1.4, 0.05),
    (TwoCircles(inner=0.1, outer=2.0, std=0.3), 4.0, 0.3),
    (TwoGaussians(mean=(0.5, -0.5), std=0.3, fake_mean=(0.0, 0.0)), 2.5, 0.3),
]
ALL = [*(density for density, _, _ in SMOOTH), ParallelLines(theta=0.7), TwoGaussians()]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points_of(density: Density, num: int = 20_000, seed: int = 0) -> Tensor:
    return density.sample(num, seeded(seed)).double()


def square(reach: float, step: float) -> tuple[Tensor, float]:
    """The points of a square grid over [-reach, reach]^2 and the area of each."""
    axis = torch.arange(-reach, reach + step, step, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), step**2


# The density is one, and it is the samples'


@pytest.mark.parametrize(("density", "reach", "std"), SMOOTH, ids=repr)
def test_the_density_is_that_of_the_samples(density: Density, reach: float, std: float) -> None:
    # sums on a grid as fine as the noise integrate a Gaussian to 2 exp(-2 pi^2) = 5e-9
    x, area = square(reach, std)
    log_p = density.log_density(x)
    p = log_p.exp() * area
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    drawn = points_of(density, 5000)
    # the mean of -log p over samples is the entropy
    surprise = -density.log_density(drawn)
    error = surprise.std().item() / math.sqrt(len(drawn))
    assert surprise.mean().item() == pytest.approx(-(p * log_p).sum().item(), abs=4 * error)
    # the characteristic function E exp(i k x) at twenty k, from the size of the whole to that of the noise
    length = torch.logspace(math.log10(0.3 / reach), math.log10(1 / std), 20, dtype=torch.float64)
    angle = torch.arange(20, dtype=torch.float64)
    waves = length * torch.stack([angle.cos(), angle.sin()])
    for wave in (torch.cos, torch.sin):
        values = wave(drawn @ waves)
        errors = values.std(dim=0) / math.sqrt(len(drawn))
        assert ((values.mean(dim=0) - p @ wave(x @ waves)).abs() < 4.5 * errors + 1e-6).all()


def test_moments_of_the_ring_are_those_of_a_circle_plus_noise() -> None:
    x = points_of(GaussianRing())
    # each coordinate: variance (r^2 / 2 + std^2) / divisor^2, and none is correlated with the other
    expected = (2.0 + 0.02**2) / 1.414**2
    torch.testing.assert_close(x.T.cov(), expected * torch.eye(2, dtype=torch.float64), atol=0.04, rtol=0)
    assert x.mean(dim=0).abs().max() < 4 * math.sqrt(expected / len(x))


def test_moments_of_the_grid_are_those_of_five_numbers_plus_noise() -> None:
    x = points_of(GaussianGrid())
    # the mean square of -4, -2, 0, 2, 4 is 8
    expected = (8 + 0.05**2) / 2.828**2
    torch.testing.assert_close(x.T.cov(), expected * torch.eye(2, dtype=torch.float64), atol=0.04, rtol=0)


def test_the_swiss_roll_is_scikit_learns() -> None:
    from sklearn.datasets import make_swiss_roll

    theirs = torch.from_numpy(make_swiss_roll(4000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5)
    ours = points_of(SwissRoll(), 4000)
    for moment in (Tensor.square, lambda x: x, lambda x: x.prod(dim=1, keepdim=True), lambda x: x**3):
        one, other = moment(theirs), moment(ours)
        error = torch.sqrt((one.var(dim=0) + other.var(dim=0)) / len(ours))
        assert ((one.mean(dim=0) - other.mean(dim=0)).abs() < 4 * error).all()
    one, other = SwissRoll().log_density(theirs), SwissRoll().log_density(ours)
    assert (one.mean() - other.mean()).abs() < 4 * math.sqrt((one.var() + other.var()).item() / len(ours))


@pytest.mark.parametrize("noise", [0.05, 0.25])
def test_the_swiss_rolls_integral_agrees_with_a_finer_sum(noise: float) -> None:
    roll = SwissRoll(noise=noise)
    x = roll.sample(10, seeded()).double()
    # the midpoint rule with half a million points, whose error at the two ends is of the order of 1e-9
    t = 1.5 * math.pi * (1 + 2 * (torch.arange(500_000, dtype=torch.float64) + 0.5) / 500_000)
    spiral = torch.stack([t * t.cos(), t * t.sin()], dim=1) / 7.5
    variance = (noise / 7.5) ** 2
    mean = torch.stack([(-(point - spiral).square().sum(dim=1) / (2 * variance)).exp().mean() for point in x])
    by_hand = (mean / (2 * math.pi * variance)).log()
    torch.testing.assert_close(roll.log_density(x), by_hand, atol=1e-7, rtol=0)


def test_distances_from_the_circles_lie_about_the_radius_of_their_class() -> None:
    x, labels = TwoCircles().draw(20_000, seeded())
    assert labels is not None
    assert labels.double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(20_000))
    for label, radius in enumerate((0.5, 1.0)):
        square_distance = x[labels == label].double().square().sum(dim=1)
        # E |x|^2 = r^2 + 2 std^2, var |x|^2 = 4 r^2 std^2 + 4 std^4
        error = math.sqrt((4 * radius**2 * 0.05**2 + 4 * 0.05**4) / len(square_distance))
        assert square_distance.mean().item() == pytest.approx(radius**2 + 2 * 0.05**2, abs=4 * error)


def test_the_circles_density_at_the_centre_is_that_of_the_noise_at_each_radius() -> None:
    circles = TwoCircles(inner=0.1, outer=0.3, std=0.2)
    noise = [math.exp(-((r / 0.2) ** 2) / 2) / (2 * math.pi * 0.2**2) for r in (0.1, 0.3)]
    got = circles.log_density(torch.zeros(1, 2)).exp().item()
    assert got == pytest.approx(sum(noise) / 2)


def test_the_circles_density_is_finite_far_from_thin_circles() -> None:
    far = TwoCircles(std=0.001).log_density(torch.tensor([[0.0, 0.0], [50.0, 0.0]]))
    assert far[0].item() == pytest.approx(-(500**2) / 2 - math.log(2 * 2 * math.pi * 1e-6), rel=1e-9)
    assert torch.isfinite(far).all()


# Modes


def test_the_eight_gaussians_stand_at_radius_2_over_1_414() -> None:
    centres, std, weights = GaussianRing().modes
    half = math.sqrt(0.5)
    by_hand = [(1, 0), (half, half), (0, 1), (-half, half), (-1, 0), (-half, -half), (0, -1), (half, -half)]
    torch.testing.assert_close(centres, torch.tensor(by_hand, dtype=torch.float64) * 2 / 1.414)
    assert std == 0.02 / 1.414
    assert weights.tolist() == [1 / 8] * 8


def test_the_grids_25_modes_are_all_pairs_of_five_numbers() -> None:
    centres, std, weights = GaussianGrid().modes
    pairs = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert {tuple(round(v, 9) for v in row) for row in (centres * 2.828).tolist()} == pairs
    assert std == 0.05 / 2.828
    assert weights.tolist() == [1 / 25] * 25


def test_lsgans_ring_has_eight_modes_and_the_first_counts_twice() -> None:
    angles = np.linspace(0, 2 * np.pi, 9)
    theirs = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    centres, std, weights = LSGAN_RING.modes
    assert np.allclose(theirs[:8], centres.numpy())
    assert np.allclose(theirs[8], centres[0].numpy())
    assert std == 0.01
    assert weights.tolist() == [2 / 9, *[1 / 9] * 7]
    nearest = torch.cdist(points_of(LSGAN_RING), centres).argmin(dim=1)
    share = torch.bincount(nearest).double() / 20_000
    assert ((share - weights).abs() < 4 * (weights * (1 - weights) / 20_000).sqrt()).all()


@pytest.mark.parametrize("mixture", [GaussianRing(labelled=True), GaussianGrid(labelled=True)], ids=repr)
def test_labels_of_a_mixture_are_its_nearest_modes(mixture: GaussianMixture) -> None:
    x, labels = mixture.draw(500, seeded())
    assert labels is not None
    assert torch.equal(torch.cdist(x.double(), mixture.modes.centres).argmin(dim=1), labels)
    assert mixture.num_classes == len(mixture.modes.centres)
    assert labels.dtype == torch.int64


def test_mixtures_are_not_labelled_unless_asked() -> None:
    assert GaussianRing().num_classes == 0
    assert GaussianRing().draw(3, seeded()).labels is None


def test_labels_change_no_point() -> None:
    assert torch.equal(GaussianRing(labelled=True).sample(9, seeded()), GaussianRing().sample(9, seeded()))


# The examples of the WGAN paper


def test_parallel_lines_are_a_segment_at_theta_and_have_no_density() -> None:
    x = ParallelLines(theta=-0.3).sample(20_000, seeded())
    assert (x[:, 0] == torch.tensor(-0.3)).all()
    assert x[:, 1].min() >= 0
    assert x[:, 1].max() < 1
    assert x[:, 1].mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 20_000))
    with pytest.raises(ValueError, match="ParallelLines has no density in the plane"):
        ParallelLines().log_density(x)


def test_the_best_discriminator_between_two_gaussians_is_p_over_p_plus_q() -> None:
    two = TwoGaussians(mean=(-1.0,), std=0.5, fake_mean=(2.0,), fake_std=1.5)
    for x in (-3.0, -1.0, 0.3, 2.0, 4.0):
        p = math.exp(-0.5 * ((x + 1) / 0.5) ** 2) / (0.5 * math.sqrt(2 * math.pi))
        q = math.exp(-0.5 * ((x - 2) / 1.5) ** 2) / (1.5 * math.sqrt(2 * math.pi))
        at = torch.tensor([[x]], dtype=torch.float64)
        assert two.log_density(at).item() == pytest.approx(math.log(p))
        assert two.log_density_fake(at).item() == pytest.approx(math.log(q))
        assert two.optimal_discriminator(at).item() == pytest.approx(p / (p + q))


def test_between_gaussians_of_one_width_the_best_logit_is_linear() -> None:
    # log p / q = (m - n) . x / s^2 - (|m|^2 - |n|^2) / 2 s^2
    two = TwoGaussians(mean=(1.0, 0.0), std=0.5, fake_mean=(0.0, 2.0), fake_std=0.5)
    x = torch.randn(20, 2, dtype=torch.float64, generator=seeded())
    logit = (x @ torch.tensor([1.0, -2.0], dtype=torch.float64)) / 0.25 - (1 - 4) / 0.5
    torch.testing.assert_close(two.optimal_discriminator(x), torch.sigmoid(logit))


def test_the_best_discriminator_is_finite_where_both_densities_underflow() -> None:
    assert TwoGaussians().optimal_discriminator(torch.tensor([[-1e3], [0.0], [1e3]])).tolist() == [1.0, 0.5, 0.0]


def test_samples_of_two_gaussians_have_their_means_and_deviations() -> None:
    two = TwoGaussians(mean=(-1.0, 3.0), std=0.5, fake_mean=(2.0, 0.0), fake_std=1.5)
    for x, mean, std in (
        (two.sample(20_000, seeded()), (-1, 3), 0.5),
        (two.sample_fake(20_000, seeded()), (2, 0), 1.5),
    ):
        assert x.mean(dim=0).tolist() == pytest.approx(mean, abs=4 * std / math.sqrt(20_000))
        assert x.std(dim=0).tolist() == pytest.approx([std, std], abs=4 * std / math.sqrt(40_000))


def test_a_gaussian_on_the_line_integrates_to_1() -> None:
    x = torch.arange(-10, 10, 0.5, dtype=torch.float64)[:, None]
    assert (TwoGaussians().log_density(x).exp().sum() * 0.5).item() == pytest.approx(1)


# As training sets


@pytest.mark.parametrize("density", ALL, ids=repr)
def test_an_endless_set_draws_float32_as_a_function_of_the_stream(density: Density) -> None:
    opened = density.open("cpu")
    assert isinstance(opened, PointSet)
    first, again, other = (opened.draw(7, stream("cpu", 0, "data", n)).x for n in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (7, *opened.shape)
    assert first.dtype == torch.float32
    assert opened.num_rows is None
    assert opened.row_labels() is None


@pytest.mark.parametrize("density", ALL, ids=repr)
def test_a_density_is_described_and_named_by_its_content(density: Density) -> None:
    assert is_part(density)
    assert describe(density)["part"] == type(density).__name__
    assert len(density.content()) == 16
    assert int(density.content(), 16) >= 0
    assert density.name.replace("_", "") == type(density).__name__.lower()


def test_the_content_follows_every_field() -> None:
    one, same, other = GaussianRing(), GaussianRing(std=0.02), GaussianRing(std=0.03)
    assert one.content() == same.content() != other.content()


def test_a_hundred_thousand_fixed_points_are_four_thousand_of_each_mode_shuffled() -> None:
    grid = GaussianGrid(points=100_000, labelled=True)
    opened = grid.open("cpu")
    assert isinstance(opened, FixedPointSet)
    assert opened.num_rows == 100_000
    labels = opened.row_labels()
    assert labels is not None
    assert torch.bincount(labels).tolist() == [4000] * 25
    assert len(labels[:100].unique()) > 15  # sorted labels would show one mode, cycled ones all 25 in turn
    assert not torch.equal(labels[:25], labels[25:50])
    x, of_rows = opened.rows(torch.tensor([5, 5, 99_999]))
    assert torch.equal(x[0], x[1])
    assert torch.equal(of_rows, labels[[5, 5, 99_999]])
    assert torch.equal(torch.cdist(x.double(), grid.modes.centres).argmin(dim=1), of_rows)


def test_fixed_points_are_the_same_whenever_they_are_opened() -> None:
    first, again = (SwissRoll(points=50).open("cpu").rows(torch.arange(50)).x for _ in range(2))
    assert torch.equal(first, again)


def test_fixed_points_of_lsgans_ring_give_the_double_mode_its_two_ninths() -> None:
    labels = GaussianRing(double_weighted=True, labelled=True, points=900).open("cpu").row_labels()
    assert torch.bincount(labels).tolist() == [200, *[100] * 7]


def test_fixed_circles_are_labelled_half_and_half() -> None:
    labels = TwoCircles(points=1000).open("cpu").row_labels()
    assert torch.bincount(labels).tolist() == [500, 500]


# What is refused


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (GaussianRing, {"num_modes": 0}, "GaussianRing.num_modes = 0 must be a whole number >= 1"),
        (GaussianRing, {"std": 0.0}, "GaussianRing.std = 0.0 must be a number > 0"),
        (GaussianRing, {"divisor": 0}, "GaussianRing.divisor = 0 must be a number > 0"),
        (GaussianRing, {"sdt": 0.1}, "did you mean 'std'"),
        (GaussianGrid, {"points": 0}, "GaussianGrid.points = 0 must be a whole number >= 1"),
        (SwissRoll, {"noise": -1.0}, "SwissRoll.noise = -1.0 must be a number > 0"),
        (TwoCircles, {"inner": 2.0}, "TwoCircles.outer = 1.0 must be a number > 2.0"),
        (ParallelLines, {"theta": math.inf}, "ParallelLines.theta = inf must be a finite number"),
        (TwoGaussians, {"mean": ()}, r"TwoGaussians.mean = \(\) must be one or two finite numbers"),
        (TwoGaussians, {"mean": (0.0, 1.0)}, "fake_mean = .* must be as long as mean"),
    ],
)
def test_wrong_fields_are_named(kind: type[Density], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**fields)


def test_a_density_names_the_shape_that_it_takes() -> None:
    with pytest.raises(ValueError, match=r"SwissRoll takes x of shape \[n, 2\], not \[4, 3\]"):
        SwissRoll().log_density(torch.zeros(4, 3))
