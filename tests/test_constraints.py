"""Gradient penalties and clipping: closed forms, finite differences, and the traps of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep import DCGANDiscriminator, GradientPenalty, TrialConfig, WeightClip
from gansweep.losses.constraints import per_sample_gradient_norm
from gansweep.models.layers import initialise
from gansweep.parts import override
from gansweep.randomness import stream

PENALTIES = [
    GradientPenalty(),
    GradientPenalty(weight=0.1),
    GradientPenalty(one_sided=True),
    GradientPenalty(target=0.0),
    GradientPenalty(target=0.2, one_sided=True),
]


def images(num: int = 6, channels: int = 2, size: int = 16, seed: int = 0) -> Tensor:
    """float64 [num, channels, size, size], like the real or the fake batch."""
    return torch.randn(num, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def smooth_critic(channels: int = 2, norm: str = "layer") -> nn.Module:
    """A small convolutional critic whose second derivatives exist everywhere, in float64."""
    spec = DCGANDiscriminator(depth=5, width=2, activation="softplus", norm=norm)
    critic = spec.build(channels=channels, size=16)
    initialise(critic, 0, "discriminator")
    return critic.double()


def penalty_of(constraint: GradientPenalty, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
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


def points_of(constraint: GradientPenalty, real: Tensor, fake: Tensor, *names: int | str) -> Tensor:
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


# Derivatives


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_penalty_gradients_agree_with_central_differences(penalty: GradientPenalty) -> None:
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


@pytest.mark.parametrize("penalty", PENALTIES[:4], ids=repr)
def test_penalty_gradients_of_a_convolutional_critic_agree_along_random_directions(penalty: GradientPenalty) -> None:
    critic, real, fake = smooth_critic(), images(), images(seed=1)
    parameters: list[Tensor] = list(critic.parameters())
    exact = torch.autograd.grad(penalty_of(penalty, critic, real, fake), parameters, materialize_grads=True)
    torch.manual_seed(0)
    direction, h = [torch.randn_like(p) for p in parameters], 1e-5
    values = []
    for step in (h, -2 * h):
        with torch.no_grad():
            torch._foreach_add_(parameters, direction, alpha=step)
        values.append(penalty_of(penalty, critic, real, fake).item())
    slope = sum((g * d).sum().item() for g, d in zip(exact, direction, strict=True))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(slope, rel=1e-6)


def test_T_5_a_dead_critic_has_finite_penalty_gradients() -> None:
    first = nn.Linear(3, 4)
    critic = nn.Sequential(first, nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0))
    nn.init.constant_(first.bias, -1e6)  # no unit is ever on: the gradient is exactly 0
    value = penalty_of(GradientPenalty(), critic, torch.randn(5, 3), torch.randn(5, 3))
    value.backward()
    assert value.item() == 10.0  # (0 - 1)^2 * 10
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in critic.parameters())


def test_T_6_the_penalty_is_a_mean() -> None:
    # lengths 1, 2 and 3 by thirds: 10 * (0 + 1 + 4) / 3, in a batch of 3 as in one of 30
    lengths = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for copies in (1, 10):
        zeros = torch.zeros(3 * copies, 1, dtype=torch.float64)
        got = penalty_of(GradientPenalty(), Slopes(lengths.repeat(copies)), zeros, zeros)
        assert got.item() == pytest.approx(50 / 3)


# Batch normalisation


def test_T_10_a_batch_normalised_critic_is_refused_in_one_line(tiny: TrialConfig) -> None:
    with pytest.raises(ValueError, match=r'batch-normalised discriminator .* discriminator\.norm="layer"') as error:
        override(tiny, {"constraint": GradientPenalty()})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("changes", [{"discriminator.norm": "layer"}, {"discriminator.normalised": False}])
def test_T_10_layer_norm_and_no_norm_are_taken(tiny: TrialConfig, changes: dict[str, Any]) -> None:
    assert override(tiny, {"constraint": GradientPenalty(), **changes}).constraint == GradientPenalty()


def test_T_10_batch_norm_can_be_studied_on_purpose(tiny: TrialConfig) -> None:
    override(tiny, {"constraint": GradientPenalty(allow_batch_norm=True)})


def test_T_10_the_reason_only_a_batch_normalised_critic_mixes_examples() -> None:
    x = images(4)
    for norm, mixes in (("layer", False), ("batch", True)):
        point = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(smooth_critic(norm=norm)(point)[0], point)
        assert bool((gradient[1:].abs() > 1e-12).any()) is mixes


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
