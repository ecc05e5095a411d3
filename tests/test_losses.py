"""Objectives on scores against closed forms, in float64; finite differences are in test_objectives_every.py."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gansweep.losses.conditional import ACGAN
from gansweep.losses.objective import Objective
from gansweep.losses.objectives import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
)
from gansweep.outputs import Output
from gansweep.parts import override
from gansweep.trial import TrialConfig

MEAN = 1.5  # real ~ N(0, 1), fake ~ N(MEAN, 1)


def of_discriminator(loss: Objective, real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss where it gave these scores."""
    return loss.discriminator(Output(score=real), Output(score=fake))


def of_generator(loss: Objective, fake: Tensor) -> Tensor:
    """The generator's loss where the discriminator gave its samples these scores."""
    return loss.generator(Output(), Output(score=fake))


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
    got = gradient(lambda t: of_generator(Minimax(), best_logit(t)), x) * len(x)
    torch.testing.assert_close(got, best_probability(x) * MEAN)


def test_the_non_saturating_gradient_is_the_probability_of_fake_times_the_slope() -> None:
    # d/dx -log s(l(x)) = -(1 - s(l)) l'(x) = (1 - D*) MEAN
    x = torch.linspace(-4, 5, 50, dtype=torch.float64)
    got = gradient(lambda t: of_generator(NonSaturating(), best_logit(t)), x) * len(x)
    torch.testing.assert_close(got, (1 - best_probability(x)) * MEAN)


def test_only_the_saturating_gradient_vanishes_where_fakes_are_seen_through() -> None:
    sure = torch.full((4,), -40.0, dtype=torch.float64)
    assert gradient(lambda t: of_generator(Minimax(), t), sure).abs().max() < 1e-16
    torch.testing.assert_close(
        gradient(lambda t: of_generator(NonSaturating(), t), sure) * 4, torch.full_like(sure, -1.0)
    )


@pytest.mark.parametrize("name", ["constant", "x", "square", "sine"])
def test_the_best_logit_is_where_the_discriminator_loss_is_stationary(name: str) -> None:
    change = {"constant": torch.ones_like, "x": lambda x: x, "square": torch.square, "sine": torch.sin}[name]
    real, fake = quantiles(0), quantiles(MEAN)

    def loss(t: Tensor) -> Tensor:
        return of_discriminator(
            NonSaturating(), best_logit(real) + t * change(real), best_logit(fake) + t * change(fake)
        )

    assert abs(gradient(loss, torch.zeros((), dtype=torch.float64))) < 1e-3
    away = torch.tensor(0.5, dtype=torch.float64)
    assert loss(away) > loss(torch.zeros_like(away)) + 1e-3


def test_the_loss_of_the_best_discriminator_is_2_log_2_minus_2_js() -> None:
    x = torch.linspace(-12, 14, 200_001, dtype=torch.float64)
    p, q = density(x, 0), density(x, MEAN)
    m = (p + q) / 2
    js = 0.5 * torch.trapezoid(torch.xlogy(p, p / m) + torch.xlogy(q, q / m), x)
    got = of_discriminator(NonSaturating(), best_logit(quantiles(0)), best_logit(quantiles(MEAN)))
    assert got.item() == pytest.approx(2 * math.log(2) - 2 * js.item(), abs=1e-3)


def test_an_undecided_discriminator_loses_2_log_2() -> None:
    zero = torch.zeros(5, dtype=torch.float64)
    assert of_discriminator(NonSaturating(), zero, zero).item() == pytest.approx(2 * math.log(2), rel=1e-15)
    assert of_generator(NonSaturating(), zero).item() == pytest.approx(math.log(2), rel=1e-15)
    assert of_generator(Minimax(), zero).item() == pytest.approx(-math.log(2), rel=1e-15)


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
        return of_discriminator(loss, best(real) + t * real**power, best(fake) + t * fake**power)

    assert abs(gradient(changed, torch.zeros((), dtype=torch.float64))) < 2e-3


def least_squares_divergence(coding: tuple[float, float, float], real: Tensor, fake: Tensor) -> float:
    """2 C(G): the generator's term and the same on real samples, which G cannot change, both doubled."""
    loss = LeastSquares(a=coding[0], b=coding[1], c=coding[2])
    return 2 * (of_generator(loss, real) + of_generator(loss, fake)).item()


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


def test_the_default_coding_is_0_1_1() -> None:
    assert LeastSquares() == LeastSquares(a=0.0, b=1.0, c=1.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"a": 1.0}, "LeastSquares a = b = 1.0: real and fake would have the same label"),
        ({"c": math.inf}, "LeastSquares.c = inf must be finite"),
        ({"targets": 1.0}, "field of LeastSquares 'targets' does not exist"),
    ],
)
def test_meaningless_codings_are_refused_in_one_line(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        LeastSquares(**fields)
    assert "\n" not in str(error.value)


def test_whether_the_pearson_condition_holds_is_recorded_with_the_fields(tiny: TrialConfig) -> None:
    pearson, binary = (
        override(tiny, {"loss": LeastSquares(a=a, b=1.0, c=c)}).flat() for a, c in ((-1.0, 0.0), (0.0, 1.0))
    )
    assert pearson["loss.is_pearson"] is True
    assert binary["loss.is_pearson"] is False
    assert "loss.is_pearson" not in tiny.flat()
    assert ACGAN(adversarial=LeastSquares(a=-1.0, b=1.0, c=0.0)).facts() == {"adversarial.is_pearson": True}


# Wasserstein


def test_the_critic_loss_is_minus_the_difference_of_the_means() -> None:
    real, fake = torch.tensor([1.0, 4.0]), torch.tensor([0.5, -1.5, 4.0])
    assert of_discriminator(Wasserstein(), real, fake).item() == pytest.approx(1.0 - 2.5)
    assert of_generator(Wasserstein(), fake).item() == pytest.approx(-1.0)


def test_the_critic_loss_of_parallel_lines_is_their_distance() -> None:
    # P_0 = (0, Z), P_theta = (theta, Z) (Arjovsky et al. 2017, example 1): the critic f(x, y) = -x is optimal
    height = torch.rand(50, dtype=torch.float64)
    real, fake = torch.stack([0 * height, height], 1), torch.stack([0 * height + 0.7, height], 1)
    assert -of_discriminator(Wasserstein(), -real[:, 0], -fake[:, 0]).item() == pytest.approx(0.7)


# The hinge


def test_the_hinge_counts_what_falls_short_of_the_margin_for_each_score() -> None:
    # real: max(0, 1 - 0.5), max(0, 1 - 3) -> 0.25; fake: max(0, 1 - 0.5), max(0, 1 - 3), max(0, 1 + 2) -> 3.5 / 3
    real, fake = torch.tensor([0.5, 3.0]), torch.tensor([-0.5, -3.0, 2.0])
    assert of_discriminator(Hinge(), real, fake).item() == pytest.approx(0.25 + 3.5 / 3)
    assert of_generator(Hinge(), fake).item() == pytest.approx(0.5)


def test_the_hinge_of_scores_inside_the_margins_is_the_critic_loss_plus_2() -> None:
    real, fake = torch.rand(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(
        of_discriminator(Hinge(), real, fake), of_discriminator(Wasserstein(), real, fake) + 2, rtol=1e-14, atol=0
    )


def test_the_hinge_sends_nothing_to_scores_beyond_the_margins() -> None:
    beyond = torch.tensor([1.5, 40.0], dtype=torch.float64)
    assert gradient(lambda t: of_discriminator(Hinge(), t, -t), beyond).abs().max() == 0
    torch.testing.assert_close(gradient(lambda t: of_generator(Hinge(), t), beyond), torch.full_like(beyond, -0.5))


# Traps


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax()], ids=repr)
def test_T_8_extreme_logits_give_finite_losses_and_gradients(loss: Objective) -> None:
    outputs = torch.tensor([-1e4, 1e4])
    for function in (lambda x: of_generator(loss, x), lambda x: of_discriminator(loss, x, x)):
        assert torch.isfinite(function(outputs))
        assert torch.isfinite(gradient(function, outputs)).all()
    # a loss on probabilities would give log 0 here; on logits it is the logit itself
    assert of_discriminator(loss, outputs[:1], outputs[1:]).item() == pytest.approx(2e4)


def test_T_38_least_squares_reaches_its_labels_on_raw_outputs_only() -> None:
    # With a sigmoid on the output 1 would be out of reach and -1 too; the loss at the labels is exactly 0.
    loss = LeastSquares(a=-1.0, b=1.0, c=0.0)
    assert of_discriminator(loss, torch.ones(3), -torch.ones(3)) == 0
    # and it is a parabola of the raw output however large that is
    assert of_discriminator(loss, torch.full((3,), 11.0), -torch.ones(3)) == 50


def test_T_39_both_least_squares_terms_are_halved_means() -> None:
    loss = LeastSquares(a=0.0, b=1.0, c=1.0)
    assert of_discriminator(loss, torch.tensor([3.0, 3.0]), torch.tensor([0.0, 0.0])).item() == 2  # (3 - 1)^2 / 2
    assert of_discriminator(loss, torch.tensor([1.0]), torch.tensor([2.0, 2.0])).item() == 2  # (2 - 0)^2 / 2
    assert of_generator(loss, torch.tensor([4.0, 4.0, 4.0])).item() == 4.5  # (4 - 1)^2 / 2


def test_T_39_the_roles_of_a_b_and_c_are_fake_real_and_target() -> None:
    loss = LeastSquares(a=-1.0, b=1.0, c=0.0)
    ones = torch.ones(4)
    assert of_discriminator(loss, ones, -ones) == 0
    assert of_discriminator(loss, -ones, ones) == 4  # both labels off by 2
    assert of_generator(loss, 0 * ones) == 0


def test_T_40_minimax_saturates_and_is_not_the_non_saturating_loss() -> None:
    fake = torch.linspace(-3, 3, 7, dtype=torch.float64)
    log_one_minus = torch.log(1 - torch.sigmoid(fake)).mean()
    torch.testing.assert_close(of_generator(Minimax(), fake), log_one_minus)
    torch.testing.assert_close(of_generator(NonSaturating(), fake), -torch.log(torch.sigmoid(fake)).mean())
    # zero-sum: what G gains in the game as stated is what D loses on fakes
    real_part = of_discriminator(NonSaturating(), fake, torch.full_like(fake, -800.0))
    both = of_discriminator(Minimax(), fake, fake)
    torch.testing.assert_close(of_generator(Minimax(), fake), -(both - real_part))


def test_T_40_labels_are_not_smoothed() -> None:
    # a smoothed target would punish a discriminator for being certain and right
    certain = torch.full((3,), 800.0)
    for loss in (NonSaturating(), Minimax()):
        assert of_discriminator(loss, certain, -certain) == 0


def test_T_33_minus_the_critic_loss_is_the_estimate_of_the_distance() -> None:
    # E D(x) - E D(G(z)), in that order, which is also the difference of the two recorded scores
    real, fake = torch.tensor([5.0, 7.0]), torch.tensor([1.0, 2.0])
    loss = Wasserstein()
    estimate = loss.score(Output(score=real)).mean() - loss.score(Output(score=fake)).mean()
    assert -of_discriminator(loss, real, fake) == estimate == 4.5
