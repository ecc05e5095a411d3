"""Objectives against closed forms and finite differences, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gansweep import LeastSquares, Minimax, NonSaturating, Wasserstein

OBJECTIVES: list[Any] = [
    NonSaturating(),
    Minimax(),
    LeastSquares(),
    LeastSquares(a=-1.0, b=1.0, c=0.0),
    LeastSquares(a=0.0, b=1.0, c=0.5),
    Wasserstein(),
]
MEAN = 1.5  # real ~ N(0, 1), fake ~ N(MEAN, 1)


def density(x: Tensor, mean: float) -> Tensor:
    return torch.exp(-0.5 * (x - mean).square()) / math.sqrt(2 * math.pi)


def quantiles(mean: float, num: int = 20_000) -> Tensor:
    """Points whose average of a smooth function is its expectation under N(mean, 1), to about 1 / num."""
    middle = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    return mean + math.sqrt(2) * torch.erfinv(2 * middle - 1)


def best_probability(x: Tensor) -> Tensor:
    """D*(x) = p / (p + q) (Goodfellow et al. 2014, proposition 1)."""
    return density(x, 0) / (density(x, 0) + density(x, MEAN))


def best_logit(x: Tensor) -> Tensor:
    """log p / q, here a straight line: (MEAN^2 - 2 MEAN x) / 2."""
    return MEAN**2 / 2 - MEAN * x


def gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (result,) = torch.autograd.grad(function(x), x)
    return result


# The gradients that a generator gets from the best discriminator of two Gaussians


def test_the_sigmoid_of_the_best_logit_is_the_best_discriminator() -> None:
    x = torch.linspace(-4, 5, 50, dtype=torch.float64)
    torch.testing.assert_close(torch.sigmoid(best_logit(x)), best_probability(x))


def test_the_saturating_gradient_is_the_probability_of_real_times_the_slope() -> None:
    # d/dx log(1 - s(l(x))) = -s(l) l'(x) = D* MEAN, each sample's share of the mean
    x = torch.linspace(-4, 5, 50, dtype=torch.float64)
    got = gradient(lambda t: Minimax().generator(best_logit(t)), x) * len(x)
    torch.testing.assert_close(got, best_probability(x) * MEAN)


def test_the_non_saturating_gradient_is_the_probability_of_fake_times_the_slope() -> None:
    # d/dx -log s(l(x)) = -(1 - s(l)) l'(x) = (1 - D*) MEAN
    x = torch.linspace(-4, 5, 50, dtype=torch.float64)
    got = gradient(lambda t: NonSaturating().generator(best_logit(t)), x) * len(x)
    torch.testing.assert_close(got, (1 - best_probability(x)) * MEAN)


def test_only_the_saturating_gradient_vanishes_where_fakes_are_seen_through() -> None:
    sure = torch.full((4,), -40.0, dtype=torch.float64)
    assert gradient(Minimax().generator, sure).abs().max() < 1e-16
    torch.testing.assert_close(gradient(NonSaturating().generator, sure) * 4, torch.full_like(sure, -1.0))


@pytest.mark.parametrize("name", ["constant", "x", "square", "sine"])
def test_the_best_logit_is_where_the_discriminator_loss_is_stationary(name: str) -> None:
    change = {"constant": torch.ones_like, "x": lambda x: x, "square": torch.square, "sine": torch.sin}[name]
    real, fake = quantiles(0), quantiles(MEAN)

    def loss(t: Tensor) -> Tensor:
        return NonSaturating().discriminator(best_logit(real) + t * change(real), best_logit(fake) + t * change(fake))

    assert abs(gradient(loss, torch.zeros((), dtype=torch.float64))) < 1e-3
    away = torch.tensor(0.5, dtype=torch.float64)
    assert loss(away) > loss(torch.zeros_like(away)) + 1e-3


def test_the_loss_of_the_best_discriminator_is_2_log_2_minus_2_js() -> None:
    x = torch.linspace(-12, 14, 200_001, dtype=torch.float64)
    p, q = density(x, 0), density(x, MEAN)
    m = (p + q) / 2
    js = 0.5 * torch.trapezoid(torch.xlogy(p, p / m) + torch.xlogy(q, q / m), x)
    got = NonSaturating().discriminator(best_logit(quantiles(0)), best_logit(quantiles(MEAN)))
    assert got.item() == pytest.approx(2 * math.log(2) - 2 * js.item(), abs=1e-3)


def test_an_undecided_discriminator_loses_2_log_2() -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    assert NonSaturating().discriminator(zero, zero).item() == pytest.approx(2 * math.log(2), rel=1e-15)
    assert NonSaturating().generator(zero).item() == pytest.approx(math.log(2), rel=1e-15)
    assert Minimax().generator(zero).item() == pytest.approx(-math.log(2), rel=1e-15)


# Least squares


@pytest.mark.parametrize("coding", [(-1.0, 1.0, 0.0), (0.0, 1.0, 1.0)])
@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_best_least_squares_discriminator_is_the_weighted_mean_of_the_labels(
    coding: tuple[float, float, float], power: int
) -> None:
    a, b, c = coding
    real, fake, loss = quantiles(0), quantiles(MEAN), LeastSquares(a=a, b=b, c=c)

    def best(x: Tensor) -> Tensor:
        return b * best_probability(x) + a * (1 - best_probability(x))

    def changed(t: Tensor) -> Tensor:
        return loss.discriminator(best(real) + t * real**power, best(fake) + t * fake**power)

    assert abs(gradient(changed, torch.zeros((), dtype=torch.float64))) < 2e-3


def least_squares_divergence(coding: tuple[float, float, float], real: Tensor, fake: Tensor) -> float:
    """2 C(G): the generator's term and the same on real samples, which G cannot change, both doubled."""
    loss = LeastSquares(a=coding[0], b=coding[1], c=coding[2])
    return 2 * (loss.generator(real) + loss.generator(fake)).item()


def test_the_coding_minus_1_1_0_gives_a_pearson_divergence() -> None:
    x = torch.linspace(-12, 14, 200_001, dtype=torch.float64)
    p, q = density(x, 0), density(x, MEAN)
    pearson = torch.trapezoid((2 * q - (p + q)).square() / (p + q), x).item()
    outputs = [2 * best_probability(points) - 1 for points in (quantiles(0), quantiles(MEAN))]
    assert least_squares_divergence((-1.0, 1.0, 0.0), *outputs) == pytest.approx(pearson, abs=1e-3)
    assert 0 < pearson < 2


def test_the_pearson_divergence_of_disjoint_supports_is_2_and_of_equal_densities_0() -> None:
    one = torch.ones(7, dtype=torch.float64)
    assert least_squares_divergence((-1.0, 1.0, 0.0), one, -one) == 2
    assert least_squares_divergence((-1.0, 1.0, 0.0), 0 * one, 0 * one) == 0


def test_the_coding_0_1_half_is_a_quarter_of_the_pearson_one() -> None:
    probabilities = [best_probability(points) for points in (quantiles(0), quantiles(MEAN))]
    pearson = least_squares_divergence((-1.0, 1.0, 0.0), *(2 * p - 1 for p in probabilities))
    assert least_squares_divergence((0.0, 1.0, 0.5), *probabilities) == pytest.approx(pearson / 4, rel=1e-12)


@pytest.mark.parametrize(
    ("coding", "pearson"), [((-1.0, 1.0, 0.0), True), ((0.0, 1.0, 1.0), False), ((0.0, 1.0, 0.5), False)]
)
def test_only_the_coding_minus_1_1_0_is_called_pearson(coding: tuple[float, float, float], pearson: bool) -> None:
    assert LeastSquares(a=coding[0], b=coding[1], c=coding[2]).is_pearson is pearson


# Wasserstein


def test_the_critic_loss_is_minus_the_difference_of_the_means() -> None:
    real, fake = torch.tensor([1.0, 4.0]), torch.tensor([0.5, -1.5, 4.0])
    assert Wasserstein().discriminator(real, fake).item() == pytest.approx(1.0 - 2.5)
    assert Wasserstein().generator(fake).item() == pytest.approx(-1.0)


def test_the_critic_loss_of_parallel_lines_is_their_distance() -> None:
    # P_0 = (0, Z), P_theta = (theta, Z) (Arjovsky et al. 2017, example 1): the critic f(x, y) = -x is optimal
    height = torch.rand(50, dtype=torch.float64)
    real, fake = torch.stack([0 * height, height], 1), torch.stack([0 * height + 0.7, height], 1)
    assert -Wasserstein().discriminator(-real[:, 0], -fake[:, 0]).item() == pytest.approx(0.7)


# Every objective


@pytest.mark.parametrize("loss", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("network", ["discriminator", "generator"])
def test_gradients_agree_with_central_differences(loss: Any, network: str) -> None:
    points = 3 * torch.randn(2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def function(x: Tensor) -> Tensor:
        return loss.generator(x[0]) if network == "generator" else loss.discriminator(x[0], x[1])

    exact, h = gradient(function, points), 1e-5
    numeric = torch.zeros_like(points)
    for index in range(points.numel()):
        change = torch.zeros_like(points).flatten()
        change[index] = h
        change = change.view_as(points)
        numeric.view(-1)[index] = (function(points + change) - function(points - change)) / (2 * h)
    assert (exact - numeric).norm() < 1e-6 * exact.norm()


@pytest.mark.parametrize("loss", OBJECTIVES, ids=repr)
def test_T_6_a_loss_is_a_mean_so_a_doubled_batch_changes_nothing(loss: Any) -> None:
    real, fake = torch.randn(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    once = loss.discriminator(real, fake), loss.generator(fake)
    twice = loss.discriminator(real.repeat(2), fake.repeat(2)), loss.generator(fake.repeat(2))
    torch.testing.assert_close(twice, once, rtol=1e-14, atol=0)


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax()], ids=repr)
def test_T_8_extreme_logits_give_finite_losses_and_gradients(loss: Any) -> None:
    outputs = torch.tensor([-1e4, 1e4])
    for function in (loss.generator, lambda x: loss.discriminator(x, x)):
        assert torch.isfinite(function(outputs))
        assert torch.isfinite(gradient(function, outputs)).all()
    # a loss on probabilities would give log 0 here; on logits it is the logit itself
    assert loss.discriminator(outputs[:1], outputs[1:]).item() == pytest.approx(2e4)


def test_T_38_least_squares_reaches_its_labels_on_raw_outputs_only() -> None:
    # With a sigmoid on the output 1 would be out of reach and -1 too; the loss at the labels is exactly 0.
    loss = LeastSquares(a=-1.0, b=1.0, c=0.0)
    assert loss.discriminator(torch.ones(3), -torch.ones(3)) == 0
    # and it is a parabola of the raw output however large that is
    assert loss.discriminator(torch.full((3,), 11.0), -torch.ones(3)) == 50


def test_T_39_both_least_squares_terms_are_halved_means() -> None:
    loss = LeastSquares(a=0.0, b=1.0, c=1.0)
    assert loss.discriminator(torch.tensor([3.0, 3.0]), torch.tensor([0.0, 0.0])).item() == 2  # (3 - 1)^2 / 2
    assert loss.discriminator(torch.tensor([1.0]), torch.tensor([2.0, 2.0])).item() == 2  # (2 - 0)^2 / 2
    assert loss.generator(torch.tensor([4.0, 4.0, 4.0])).item() == 4.5  # (4 - 1)^2 / 2


def test_T_39_the_roles_of_a_b_and_c_are_fake_real_and_target() -> None:
    loss = LeastSquares(a=-1.0, b=1.0, c=0.0)
    ones = torch.ones(4)
    assert loss.discriminator(ones, -ones) == 0
    assert loss.discriminator(-ones, ones) == 4  # both labels off by 2
    assert loss.generator(0 * ones) == 0


def test_T_40_minimax_saturates_and_is_not_the_non_saturating_loss() -> None:
    fake = torch.linspace(-3, 3, 7, dtype=torch.float64)
    log_one_minus = torch.log(1 - torch.sigmoid(fake)).mean()
    torch.testing.assert_close(Minimax().generator(fake), log_one_minus)
    torch.testing.assert_close(NonSaturating().generator(fake), -torch.log(torch.sigmoid(fake)).mean())
    # zero-sum: what G gains in the game as stated is what D loses on fakes
    real_part = NonSaturating().discriminator(fake, torch.full_like(fake, -800.0))
    both = Minimax().discriminator(fake, fake)
    torch.testing.assert_close(Minimax().generator(fake), -(both - real_part))


def test_T_40_labels_are_not_smoothed() -> None:
    # a smoothed target would punish a discriminator for being certain and right
    certain = torch.full((3,), 800.0)
    for loss in (NonSaturating(), Minimax()):
        assert loss.discriminator(certain, -certain) == 0
