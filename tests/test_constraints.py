"""Gradient penalties and clipping: closed forms, finite differences, and the traps of others."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep import TrialConfig
from gansweep.losses.constraints import (
    FORMS,
    NOISES,
    DRAGANPenalty,
    GradientConstraint,
    GradientPenalty,
    WeightClip,
    ZeroCentredPenalty,
    per_sample_gradient_norm,
)
from gansweep.losses.energy import EBGAN
from gansweep.losses.objectives import NonSaturating
from gansweep.models.layers import ShiftedSoftplus
from gansweep.parts import override
from gansweep.randomness import stream

PENALTIES: list[GradientConstraint] = [
    GradientPenalty(),
    GradientPenalty(weight=0.1),
    GradientPenalty(one_sided=True),
    GradientPenalty(target=0.0),
    GradientPenalty(target=0.2, one_sided=True),
    GradientPenalty(at="real"),
    GradientPenalty(at="fake", one_sided=True),
    ZeroCentredPenalty(),
    ZeroCentredPenalty(gamma=0.1, at="fake"),
    DRAGANPenalty(),
    DRAGANPenalty(form="squared_norm", noise="uniform11"),
    DRAGANPenalty(form="squared_hinge", noise="gaussian", scale=0.1),
    DRAGANPenalty(form="squared_hinge", target=0.01),
    DRAGANPenalty(form="distance", target=0.2, noise="gaussian", scale=2.0),
]
KINDS: list[GradientConstraint] = [GradientPenalty(), ZeroCentredPenalty(), DRAGANPenalty()]


def images(num: int = 6, channels: int = 2, size: int = 16, seed: int = 0) -> Tensor:
    """float64 [num, channels, size, size], like the real or the fake batch."""
    return torch.randn(num, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def smooth_critic(channels: int = 2, norm: str = "layer") -> nn.Module:
    """A small convolutional critic whose second derivatives exist everywhere, in float64."""

    def layer(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        made = nn.BatchNorm2d(outputs) if norm == "batch" else nn.GroupNorm(1, outputs)
        return [nn.Conv2d(inputs, outputs, 5, stride=stride, padding=2), made, ShiftedSoftplus()]

    with torch.random.fork_rng():
        torch.manual_seed(0)
        stages = [*layer(channels, 2, 2), *layer(2, 4, 2), *layer(4, 4, 1)]
        return nn.Sequential(*stages, nn.Flatten(), nn.Linear(4 * 16, 1), nn.Flatten(0)).double()


def penalty_of(
    constraint: GradientConstraint, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    return constraint.penalty(critic, real, fake, stream("cpu", 0, "penalty"))


# Linear critics: the gradient is w wherever it is taken


@dataclass
class Linear:
    """x -> w . x for x of shape [batch, axes]."""

    w: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.w


@dataclass
class Slopes:
    """Another slope for each example of a [batch, 1] tensor."""

    slopes: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return x[:, 0] * self.slopes


@pytest.mark.parametrize("length", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_the_penalty_of_a_linear_critic_is_the_square_of_its_length_minus_1(length: float, scale: float) -> None:
    w = torch.randn(2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    w = w * length / w.norm()
    real, fake = scale * images(), scale * images(seed=1)
    got = penalty_of(GradientPenalty(), lambda x: (x * w).sum(dim=(1, 2, 3)), real, fake)
    assert got.item() == pytest.approx(10 * (length - 1) ** 2, abs=1e-12)


def test_the_one_sided_penalty_counts_long_gradients_only() -> None:
    for length, expected in ((0.3, 0.0), (1.0, 0.0), (2.5, 10 * 1.5**2)):
        w = torch.full((4,), length / 2, dtype=torch.float64)
        got = penalty_of(GradientPenalty(one_sided=True), Linear(w), images(5, 1, 2).flatten(1), torch.zeros(5, 4))
        assert got.item() == pytest.approx(expected, abs=1e-12)


def test_T_7_the_target_is_subtracted_and_not_divided_by() -> None:
    w = torch.full((4,), 1.5, dtype=torch.float64)  # length 3
    for target, expected in ((0.0, 9.0), (1.0, 4.0), (2.0, 1.0), (5.0, 4.0)):
        got = penalty_of(
            GradientPenalty(weight=1.0, target=target), Linear(w), torch.ones(3, 4).double(), torch.zeros(3, 4)
        )
        assert got.item() == pytest.approx(expected)


@pytest.mark.parametrize("at", ["lines", "real", "fake"])
def test_the_gradient_penalty_of_a_linear_critic_is_the_same_at_any_points(at: str) -> None:
    w = torch.full((4,), 1.25, dtype=torch.float64)  # length 2.5
    real, fake = images(5, 1, 2).flatten(1), images(5, 1, 2, seed=1).flatten(1)
    got = penalty_of(GradientPenalty(at=at), Linear(w), real, fake)
    assert got.item() == pytest.approx(10 * 1.5**2)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # |w| = 0.5, 2 and k = 1: 10 |w|^2, 10 max(0, |w|^2 - 1) and 10 (|w| - 1)^2
        ("squared_norm", (2.5, 40.0)),
        ("squared_hinge", (0.0, 30.0)),
        ("distance", (2.5, 10.0)),
    ],
)
def test_dragan_of_a_linear_critic_has_its_closed_form(form: str, expected: tuple[float, float], noise: str) -> None:
    for length, value in zip((0.5, 2.0), expected, strict=True):
        w = torch.full((4,), length / 2, dtype=torch.float64)
        got = penalty_of(
            DRAGANPenalty(form=form, noise=noise), Linear(w), images(5, 1, 2).flatten(1), torch.zeros(5, 4)
        )
        assert got.item() == pytest.approx(value, abs=1e-12)


def test_dragan_subtracts_its_target_from_the_square_or_from_the_norm() -> None:
    w = torch.full((4,), 1.5, dtype=torch.float64)  # length 3
    for form, expected in (("squared_norm", 9.0), ("squared_hinge", 9.0 - 2.0), ("distance", (3.0 - 2.0) ** 2)):
        constraint = DRAGANPenalty(weight=1.0, target=2.0, form=form)
        assert penalty_of(constraint, Linear(w), images(3, 1, 2).flatten(1), torch.zeros(3, 4)).item() == (
            pytest.approx(expected)
        )


@pytest.mark.parametrize("form", FORMS)
def test_dragan_takes_each_examples_norm_before_it_averages(form: str) -> None:
    # norms 0.5, 1 and 3 with k = 1; squares of the mean norm 1.5 would give 2.25, 1.25 and 0.25
    expected = {"squared_norm": (0.25 + 1 + 9) / 3, "squared_hinge": (0 + 0 + 8) / 3, "distance": (0.25 + 0 + 4) / 3}
    zeros = torch.zeros(3, 1, dtype=torch.float64)
    slopes = Slopes(torch.tensor([0.5, 1.0, -3.0], dtype=torch.float64))
    got = penalty_of(DRAGANPenalty(weight=1.0, form=form), slopes, zeros, zeros)
    assert got.item() == pytest.approx(expected[form])


@pytest.mark.parametrize("at", ["real", "fake"])
def test_the_zero_centred_penalty_of_a_linear_critic_is_half_gamma_times_its_squared_length(at: str) -> None:
    w = torch.tensor([3.0, 4.0, 0.0, 12.0], dtype=torch.float64)  # length 13
    real, fake = images(5, 1, 2).flatten(1), images(5, 1, 2, seed=1).flatten(1)
    assert penalty_of(ZeroCentredPenalty(gamma=4.0, at=at), Linear(w), real, fake).item() == pytest.approx(2 * 169)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # D(x) = x' A x / 2 with A = diag(1, 2) has the gradient (x_1, 2 x_2)
        ("real", 5 * ((1 + 0) + (0 + 16)) / 2),  # at (1, 0) and (0, 2): squares 1 and 16
        ("fake", 5 * ((9 + 4) + (1 + 4)) / 2),  # at (3, 1) and (1, -1): squares 13 and 5
    ],
)
def test_the_zero_centred_penalty_of_a_quadratic_critic_is_the_mean_square_at_its_points(
    at: str, expected: float
) -> None:
    diagonal = torch.tensor([1.0, 2.0], dtype=torch.float64)
    real = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    fake = torch.tensor([[3.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    got = penalty_of(ZeroCentredPenalty(at=at), lambda x: (x.square() * diagonal).sum(1) / 2, real, fake)
    assert got.item() == pytest.approx(expected)


def test_T_8_the_penalty_does_not_see_how_sure_the_critic_is() -> None:
    # a sigmoid's slope would be below 1e-40 at scores of 100; the raw score's is 1 everywhere
    w = torch.full((4,), 0.5, dtype=torch.float64)
    for penalty, expected in ((DRAGANPenalty(), 0.0), (ZeroCentredPenalty(), 5.0), (GradientPenalty(), 0.0)):
        got = penalty_of(penalty, lambda x: x @ w + 100, images(5, 1, 2).flatten(1), torch.zeros(5, 4))
        assert got.item() == pytest.approx(expected, abs=1e-12)


# The norm is taken per example, over everything that belongs to it


def norm_by_hand(critic: nn.Module, x: Tensor) -> Tensor:
    """One example at a time, by the definition."""
    norms = []
    for example in x:
        point = example.unsqueeze(0).clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(point).squeeze(), point)
        norms.append(math.sqrt(sum(value**2 for value in gradient.flatten().tolist())))
    return torch.tensor(norms, dtype=torch.float64)


def test_T_1_the_norm_is_taken_per_example_and_not_over_the_batch() -> None:
    critic, x = smooth_critic(), images(8)
    torch.testing.assert_close(per_sample_gradient_norm(critic, x).detach(), norm_by_hand(critic, x))


def test_T_1_the_penalty_does_not_grow_with_the_batch() -> None:
    w = torch.full((4,), 0.5, dtype=torch.float64)  # length 1: the penalty is 0 for every batch size
    for num in (1, 8, 64):
        got = penalty_of(GradientPenalty(), Linear(w), torch.ones(num, 4).double(), torch.zeros(num, 4))
        assert got.item() == pytest.approx(0, abs=1e-20)


def test_T_2_the_norm_runs_over_pixels_as_well_as_channels() -> None:
    # the gradient is 1 at each of 2 x 16 x 16 places: sqrt(512); over channels alone it would be sqrt(2)
    got = per_sample_gradient_norm(lambda x: x.sum(dim=(1, 2, 3)), images(3))
    torch.testing.assert_close(got, torch.full((3,), math.sqrt(512), dtype=torch.float64))


def test_T_3_the_norm_runs_over_width_as_well_as_height() -> None:
    # one row of gradient: sqrt(16); over the height alone it would be 1 in sixteen columns
    got = per_sample_gradient_norm(lambda x: x[:, 0, 5].sum(dim=1), images(3))
    torch.testing.assert_close(got, torch.full((3,), 4.0, dtype=torch.float64))


# Where it is taken


def points_of(constraint: GradientConstraint, real: Tensor, fake: Tensor, *names: int | str) -> Tensor:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach().clone())
        return x.flatten(1).sum(1)

    constraint.penalty(critic, real, fake, stream("cpu", *names))
    (points,) = seen
    return points


def test_T_4_each_example_has_one_mixing_number_between_0_and_1() -> None:
    real, fake = images(200, 1, 4), images(200, 1, 4, seed=1)
    mix = ((points_of(GradientPenalty(), real, fake, 0) - fake) / (real - fake)).flatten(1)
    assert (mix.amax(dim=1) - mix.amin(dim=1)).max() < 1e-6  # the same for every pixel
    number = mix.median(dim=1).values
    assert number.min() >= 0
    assert number.max() <= 1
    assert len(number.unique()) == 200  # another for every example
    # uniform: mean 1/2 with standard error 1 / sqrt(12 * 200) = 0.02, variance 1/12
    assert number.mean().item() == pytest.approx(0.5, abs=0.08)
    assert number.var().item() == pytest.approx(1 / 12, abs=0.03)


def test_the_mixing_numbers_are_a_function_of_the_stream() -> None:
    real, fake = images(), images(seed=1)
    first, again, other = (points_of(GradientPenalty(), real, fake, 0, "penalty", n) for n in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_penalty_sends_no_gradient_to_the_generator() -> None:
    fake = images(seed=1).requires_grad_()
    penalty_of(GradientPenalty(), smooth_critic(), images(), fake).backward()
    assert fake.grad is None


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_penalty_sends_no_gradient_to_either_batch(penalty: GradientConstraint) -> None:
    real, fake = images().requires_grad_(), images(seed=1).requires_grad_()
    penalty_of(penalty, smooth_critic(), real, fake).backward()
    assert real.grad is None
    assert fake.grad is None


def test_the_points_on_lines_are_the_stream_s_first_numbers_times_the_difference() -> None:
    real, fake = images(), images(seed=1)
    mix = torch.rand(6, 1, 1, 1, generator=stream("cpu", 0, "penalty"), dtype=torch.float64)
    assert torch.equal(points_of(GradientPenalty(), real, fake, 0, "penalty"), mix * real + (1 - mix) * fake)


@pytest.mark.parametrize("kind", [GradientPenalty, ZeroCentredPenalty])
def test_the_points_are_the_examples_themselves_where_that_is_asked(kind: Any) -> None:
    real, fake, generator = images(), images(seed=1), stream("cpu", 0)
    before = generator.get_state()
    assert torch.equal(kind(at="real").points(real, fake, generator), real)
    assert torch.equal(kind(at="fake").points(real, fake, generator), fake)
    assert torch.equal(generator.get_state(), before)  # nothing was drawn


def test_T_13_a_penalty_says_whether_its_points_are_fakes() -> None:
    assert [p for p in PENALTIES if p.judges_fakes] == [
        GradientPenalty(at="fake", one_sided=True),
        ZeroCentredPenalty(gamma=0.1, at="fake"),
    ]


def noise_of(constraint: DRAGANPenalty, real: Tensor, *names: int | str) -> Tensor:
    return constraint.points(real, torch.full_like(real, torch.nan), stream("cpu", *names)) - real


def test_T_9_the_published_noise_is_positive_with_one_factor_for_each_example() -> None:
    real = images(400, 1, 16) * 3 + 5
    noise = noise_of(DRAGANPenalty(), real).flatten(1) / (0.5 * real.std(correction=0))
    # a u with a, u ~ U[0, 1): mean 1/4, mean square 1/9; the largest of 256 pixels is near the example's a
    assert noise.min() >= 0
    assert noise.max() < 1
    assert noise.mean().item() == pytest.approx(1 / 4, abs=0.03)
    assert noise.square().mean().item() == pytest.approx(1 / 9, abs=0.02)
    factor = noise.amax(dim=1)
    assert factor.mean().item() == pytest.approx(1 / 2, abs=0.06)
    assert factor.var().item() == pytest.approx(1 / 12, abs=0.03)
    spread = (noise / factor[:, None]).var(dim=1)
    assert spread.min() > 0.06  # within an example u is uniform whatever a is: variance near 1/12
    assert spread.max() < 0.11


def test_T_9_the_noise_that_the_author_advises_lies_on_both_sides() -> None:
    real = images(400, 1, 16)
    noise = noise_of(DRAGANPenalty(noise="uniform11", scale=2.0), real) / (2.0 * real.std(correction=0))
    # a v with v ~ U(-1, 1): mean 0, mean square 1/3 * 1/3
    assert noise.abs().max() < 1
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.square().mean().item() == pytest.approx(1 / 9, abs=0.02)


@pytest.mark.parametrize("variance", [0.01, 1.0, 10.0])
def test_T_9_gaussian_noise_has_its_scale_as_variance_whatever_the_images(variance: float) -> None:
    constraint = DRAGANPenalty(noise="gaussian", scale=variance)
    noise = noise_of(constraint, images(100, 1, 16))
    # 25,600 numbers: the standard error of the mean is sqrt(c) / 160 and that of the variance c * sqrt(2) / 160
    assert noise.mean().item() == pytest.approx(0, abs=4 * math.sqrt(variance) / 160)
    assert noise.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2) / 160)
    assert noise.flatten(1).var(dim=1).min() > variance / 2  # no factor of an example's own
    torch.testing.assert_close(noise, noise_of(constraint, 100 * images(100, 1, 16)), atol=1e-10, rtol=0)


@pytest.mark.parametrize("noise", ["uniform01", "uniform11"])
def test_T_9_uniform_noise_grows_with_the_standard_deviation_of_the_whole_minibatch(noise: str) -> None:
    constraint = DRAGANPenalty(noise=noise)
    # every image is flat; the batch of -1 and 3 has standard deviation 2 and gets noise all the same
    flat = torch.tensor([-1.0, 3.0], dtype=torch.float64).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)
    drawn = noise_of(constraint, flat)
    torch.testing.assert_close(noise_of(constraint, 3 * flat), 3 * drawn)
    torch.testing.assert_close(noise_of(constraint, flat + 7), drawn)
    assert noise_of(constraint, torch.ones_like(flat)).abs().max() == 0
    assert drawn.abs().amax(dim=(1, 2, 3)).min() > 0
    assert drawn.abs().max() < 0.5 * 2


def test_T_9_the_published_noise_uses_the_population_s_standard_deviation() -> None:
    # -1 and 3 deviate by 2 from their mean: 2 as a population, 2.8 as a sample
    real = torch.tensor([[-1.0], [3.0]], dtype=torch.float64)
    generator = stream("cpu", 0)
    pixels, factors = (torch.rand(2, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(noise_of(DRAGANPenalty(), real, 0), factors * (0.5 * 2.0) * pixels)


@pytest.mark.parametrize("noise", NOISES)
def test_dragan_s_points_are_a_function_of_the_stream_and_of_the_real_images(noise: str) -> None:
    constraint, real = DRAGANPenalty(noise=noise), images()
    first, again, other = (noise_of(constraint, real, 0, "penalty", n) for n in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shape", [(2,), (5, 7), (1, 8, 8)], ids=str)
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_points_have_the_shape_of_the_data(penalty: GradientConstraint, shape: tuple[int, ...]) -> None:
    real, fake = torch.randn(2, 4, *shape)
    assert penalty.points(real, fake, stream("cpu", 0)).shape == (4, *shape)


# Precision


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_T_20_the_penalty_is_the_same_bit_for_bit_inside_an_autocast_region(penalty: GradientConstraint) -> None:
    critic, real, fake = smooth_critic().float(), images().float(), images(seed=1).float()
    parameters = list(critic.parameters())
    values, gradients = [], []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            assert critic(real).dtype == (torch.bfloat16 if enabled else torch.float32)
            values.append(penalty_of(penalty, critic, real, fake))
        gradients.append(torch.autograd.grad(values[-1], parameters, materialize_grads=True))
    assert values[1].dtype == torch.float32
    assert torch.equal(*values)
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_T_20_the_reason_a_penalty_in_bf16_is_off_by_more_than_fp32_ever_is() -> None:
    critic, x = smooth_critic().float(), images().float()
    exact = per_sample_gradient_norm(critic, x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = per_sample_gradient_norm(critic, x)
    assert ((rough - exact).norm() / exact.norm()).item() > 1e-4


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_T_20_points_are_fp32_for_bf16_batches_and_stay_in_float64(penalty: GradientConstraint) -> None:
    for given, kept in (
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert penalty.points(images().to(given), images(seed=1).to(given), stream("cpu", 0)).dtype == kept


# Derivatives


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty_gradients_agree_with_central_differences(penalty: GradientConstraint) -> None:
    torch.manual_seed(0)
    last = nn.Linear(4, 1)
    critic = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), last, nn.Flatten(0)).double()
    with torch.no_grad():
        last.weight.mul_(6)  # steep enough for the one-sided penalty to count
    real, fake = torch.randn(2, 5, 3, dtype=torch.float64)
    parameters = list(critic.parameters())

    def value() -> Tensor:
        return penalty_of(penalty, critic, real, fake)

    assert value() > 0
    exact = torch.autograd.grad(value(), parameters, allow_unused=True, materialize_grads=True)
    numeric, h = [torch.zeros_like(p) for p in parameters], 1e-5
    for parameter, slot in zip(parameters, numeric, strict=True):
        flat = parameter.data.view(-1)
        for index in range(len(flat)):
            kept = flat[index].item()
            flat[index] = kept + h
            up = value().item()
            flat[index] = kept - h
            down = value().item()
            flat[index] = kept
            slot.view(-1)[index] = (up - down) / (2 * h)
    one, other = (torch.cat([t.flatten() for t in tensors]) for tensors in (exact, numeric))
    assert (one - other).norm() < 1e-6 * one.norm()


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty_gradients_of_a_convolutional_critic_agree_along_random_directions(penalty: GradientConstraint) -> None:
    critic, real, fake = smooth_critic(), images(), images(seed=1)
    parameters: list[Tensor] = list(critic.parameters())
    with torch.no_grad():
        critic[-2].weight.mul_(20)  # type: ignore[index]  # every norm is above every target
    exact = torch.autograd.grad(penalty_of(penalty, critic, real, fake), parameters, materialize_grads=True)
    torch.manual_seed(0)
    direction, h = [torch.randn_like(p) for p in parameters], 1e-5
    values = []
    for step in (h, -2 * h):
        with torch.no_grad():
            torch._foreach_add_(parameters, direction, alpha=step)
        values.append(penalty_of(penalty, critic, real, fake).item())
    assert min(values) > 0
    slope = sum((g * d).sum().item() for g, d in zip(exact, direction, strict=True))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_T_5_a_dead_critic_has_finite_penalty_gradients(penalty: GradientConstraint) -> None:
    first = nn.Linear(3, 4)
    critic = nn.Sequential(first, nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0)).double()
    nn.init.constant_(first.bias, -1e6)  # no unit is ever on: the gradient is exactly 0
    value = penalty_of(penalty, critic, *torch.randn(2, 5, 3, dtype=torch.float64))
    value.backward()
    two_sided = isinstance(penalty, GradientPenalty) and not penalty.one_sided
    if two_sided or (isinstance(penalty, DRAGANPenalty) and penalty.form == "distance"):
        assert value.item() == pytest.approx(penalty.weight * penalty.target**2)  # type: ignore[attr-defined]
    else:
        assert value.item() == 0.0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in critic.parameters())


def test_T_6_the_penalty_is_a_mean() -> None:
    # lengths 1, 2 and 3 by thirds: 10 * (0 + 1 + 4) / 3, in a batch of 3 as in one of 30
    lengths = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for copies in (1, 10):
        zeros = torch.zeros(3 * copies, 1, dtype=torch.float64)
        got = penalty_of(GradientPenalty(), Slopes(lengths.repeat(copies)), zeros, zeros)
        assert got.item() == pytest.approx(50 / 3)


# Batch normalisation


@pytest.mark.parametrize("penalty", KINDS, ids=repr)
def test_T_10_a_batch_normalised_critic_is_refused_in_one_line(tiny: TrialConfig, penalty: GradientConstraint) -> None:
    with pytest.raises(ValueError, match=r'batch-normalised discriminator .* discriminator\.norm="layer"') as error:
        override(tiny, {"constraint": penalty})
    assert str(error.value).startswith(type(penalty).__name__)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("changes", [{"discriminator.norm": "layer"}, {"discriminator.normalised": False}])
@pytest.mark.parametrize("penalty", KINDS, ids=repr)
def test_T_10_layer_norm_and_no_norm_are_taken(
    tiny: TrialConfig, penalty: GradientConstraint, changes: dict[str, Any]
) -> None:
    assert override(tiny, {"constraint": penalty, **changes}).constraint == penalty


@pytest.mark.parametrize("penalty", KINDS, ids=repr)
def test_T_10_batch_norm_can_be_studied_on_purpose_and_the_records_say_so(
    tiny: TrialConfig, penalty: GradientConstraint
) -> None:
    studied = override(tiny, {"constraint": penalty, "constraint.allow_batch_norm": True})
    assert studied.flat()["constraint.allow_batch_norm"] is True


def test_T_10_the_reason_only_a_batch_normalised_critic_mixes_examples() -> None:
    x = images(4)
    for norm, mixes in (("layer", False), ("batch", True)):
        point = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(smooth_critic(norm=norm)(point)[0], point)
        assert bool((gradient[1:].abs() > 1e-12).any()) is mixes


# Objectives without a score


@dataclass(frozen=True)
class Trial:
    """The two parts of a trial that a constraint looks at."""

    loss: Any
    discriminator: Any


@pytest.mark.parametrize("penalty", KINDS, ids=repr)
def test_an_objective_whose_score_has_no_gradient_to_prescribe_is_refused_in_one_line(
    tiny: TrialConfig, penalty: GradientConstraint
) -> None:
    discriminator = override(tiny.discriminator, {"norm": "layer"})
    penalty.check(Trial(NonSaturating(), discriminator))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"{type(penalty).__name__} .* EBGAN .* constraint=None") as error:
        penalty.check(Trial(EBGAN(), discriminator))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (GradientPenalty, {"at": "line"}, "GradientPenalty.at = 'line' does not exist; did you mean 'lines'"),
        (ZeroCentredPenalty, {"at": "lines"}, "ZeroCentredPenalty.at = 'lines' does not exist; valid: real, fake"),
        (ZeroCentredPenalty, {"gamma": 0}, "ZeroCentredPenalty.gamma = 0 must be a number > 0"),
        (DRAGANPenalty, {"weight": 0.0}, "DRAGANPenalty.weight = 0.0 must be a number > 0"),
        (DRAGANPenalty, {"target": -1.0}, "DRAGANPenalty.target = -1.0 must be a number >= 0"),
        (DRAGANPenalty, {"scale": 0.0}, "DRAGANPenalty.scale = 0.0 must be a number > 0"),
        (DRAGANPenalty, {"form": "distanse"}, "did you mean 'distance'"),
        (DRAGANPenalty, {"noise": "gausian"}, "did you mean 'gaussian'"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_valid(kind: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        kind(**fields)


# Clipping


def clipped(what: str, bound: float = 0.01) -> nn.Module:
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(0.5)
    WeightClip(bound=bound, what=what).after_step(network)
    return network


@pytest.mark.parametrize(
    ("what", "kept"),
    [
        ("all", set()),
        ("weights_and_biases", {"1.weight", "1.bias"}),
        ("weights", {"0.bias", "1.weight", "1.bias", "4.bias"}),
    ],
)
def test_T_16_the_policy_says_what_is_clipped(what: str, kept: set[str]) -> None:
    untouched = {name for name, p in clipped(what).named_parameters() if (p == 0.5).all()}
    assert untouched == kept
    largest = torch.tensor(0.01).item()
    assert all(p.abs().max().item() == largest for name, p in clipped(what).named_parameters() if name not in kept)


@pytest.mark.parametrize("what", ["all", "weights_and_biases", "weights"])
def test_T_16_running_statistics_are_never_clipped(what: str) -> None:
    norm = clipped(what)[1]  # type: ignore[index]
    assert torch.equal(norm.running_var, torch.ones(3))


@pytest.mark.parametrize(
    "layer", [nn.Linear(3, 4), nn.Conv1d(3, 4, 2), nn.Conv2d(3, 4, 2), nn.ConvTranspose2d(3, 4, 2)], ids=repr
)
def test_T_16_every_kind_of_layer_with_weights_is_clipped(layer: nn.Module) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(0.5)
    WeightClip(what="weights").after_step(layer)
    largest = torch.tensor(0.01).item()
    assert (layer.weight == largest).all()
    assert (layer.bias == 0.5).all()


def test_clipping_keeps_small_values_and_signs() -> None:
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-3.0, -0.005, 0.004, 2.0]]))
    WeightClip(bound=0.01).after_step(layer)
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[-0.01, -0.005, 0.004, 0.01]]))


def test_clipping_adds_no_penalty() -> None:
    assert WeightClip().penalty(smooth_critic(), images(), images(), stream("cpu", 0)) is None


@pytest.mark.parametrize(("bound", "norm"), [(0.1, 51.2), (0.01, 5.12), (0.001, 0.512)])
def test_a_clipped_square_layer_has_spectral_norm_of_at_most_bound_times_units(bound: float, norm: float) -> None:
    # |W x| <= c * sqrt(n) * sqrt(n) |x|, reached when all weights stand at one extreme
    layer = nn.Linear(512, 512, bias=False)
    nn.init.ones_(layer.weight)
    WeightClip(bound=bound).after_step(layer)
    x = torch.ones(512)
    assert (layer(x).norm() / x.norm()).item() == pytest.approx(norm, rel=1e-4)
    layer.weight.data = torch.randn(512, 512, generator=torch.Generator().manual_seed(0))
    WeightClip(bound=bound).after_step(layer)
    assert torch.linalg.matrix_norm(layer.weight.detach(), ord=2).item() < norm


@pytest.mark.parametrize(("bound", "gain"), [(0.1, 1.6), (0.01, 0.16), (0.001, 0.016)])
def test_clipped_weights_of_random_sign_gain_bound_times_the_root_of_half_the_units(bound: float, gain: float) -> None:
    # E relu(w.x)^2 = c^2 |x|^2 / 2 for each of 512 units: c * sqrt(512 / 2) = 16 c per layer, so twelve layers
    # explode at c = 0.1 and die at c = 0.01
    generator = torch.Generator().manual_seed(0)
    layer = nn.Linear(512, 512, bias=False)
    layer.weight.data = torch.randn(512, 512, generator=generator).sign()
    WeightClip(bound=bound).after_step(layer)
    x = torch.randn(64, 512, generator=generator)
    ratio = (layer(x).relu().norm(dim=1) / x.norm(dim=1)).mean().item()
    assert ratio == pytest.approx(gain, rel=0.03)
