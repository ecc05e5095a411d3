"""What a trial records of its health: closed forms on networks whose weights are known, then the real loop."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep import (
    EBGAN,
    SGD,
    Adam,
    GaussianRing,
    GradientPenalty,
    Hinge,
    Latent,
    LeastSquares,
    Minimax,
    MLPDiscriminator,
    MLPGenerator,
    NonSaturating,
    SpoiltRing,
    TrialConfig,
    Wasserstein,
    WeightClip,
)
from gansweep.data.training_set import ImageSet, TrainingSet
from gansweep.diagnostics import Monitor, _opposite, evaluating, examine, real_spread, spread, wasserstein
from gansweep.losses.objective import Objective
from gansweep.outputs import Output
from gansweep.training import Samples, Step, TrainState, train

CPU = torch.device("cpu")

BASE = TrialConfig(
    data=GaussianRing(),
    generator=MLPGenerator(depth=3, width=8),
    discriminator=MLPDiscriminator(depth=3, width=8),
    loss=Wasserstein(),
    generator_optimizer=Adam(lr=1e-3),
    discriminator_optimizer=Adam(lr=1e-3),
    latent=Latent(size=4),
    batch_size=16,
    steps=6,
    report_every=2,
    evaluate_every=2,
)


def ring(config: TrialConfig = BASE) -> TrainingSet:
    return config.data.open(CPU)


def built(config: TrialConfig = BASE) -> TrainState:
    data = ring(config)
    return TrainState.build(config, shape=data.shape, num_classes=data.num_classes, device=CPU)


def trained(config: TrialConfig, *, layers: bool = False) -> list[Step]:
    return list(train(config, built(config), ring(config), CPU, layers=layers))


class Chain(nn.Sequential):
    """Three linear layers without biases and one bias, whose gradients are set by hand."""

    def __init__(self, sizes: list[float], bias: float) -> None:
        super().__init__(*(nn.Linear(2, 2, bias=i == 1) for i in range(3)))
        for layer, size in zip(self, sizes, strict=True):
            layer.weight.grad = torch.zeros(2, 2)
            layer.weight.grad[0, 1] = size
        self[1].bias.grad = torch.tensor([bias, 0.0])


def monitor(generator: nn.Module, discriminator: nn.Module, constraint: Any = None, *, layers: bool = False) -> Monitor:
    networks: Any = SimpleNamespace(generator=generator, discriminator=discriminator)
    return Monitor(dataclasses.replace(BASE, constraint=constraint), networks, layers=layers)


def numbers(found: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in found.items()}


# Gradients


def test_the_norm_covers_all_parameters_and_the_slope_is_that_of_the_weights_over_depth() -> None:
    found = numbers(monitor(Chain([1.0, 10.0, 100.0], 5.0), Chain([3.0, 3.0, 3.0], 0.0)).read())
    assert found["gradient_norm_generator"] == pytest.approx(math.sqrt(1 + 100 + 10_000 + 25))
    assert found["gradient_slope_generator"] == pytest.approx(1.0)  # a factor of ten for each layer
    assert found["gradient_slope_discriminator"] == pytest.approx(0.0, abs=1e-6)
    assert not any("/" in name for name in found)


def test_gradients_that_grow_on_their_way_back_have_a_negative_slope() -> None:
    found = numbers(monitor(Chain([1e4, 1e2, 1.0], 0.0), Chain([1.0, 1.0, 1.0], 0.0)).read())
    assert found["gradient_slope_generator"] == pytest.approx(-2.0)


def test_a_dead_gradient_has_numbers_and_no_infinity() -> None:
    found = numbers(monitor(Chain([0.0, 0.0, 0.0], 0.0), Chain([1.0, 0.0, 1.0], 0.0)).read())
    assert found["gradient_norm_generator"] == 0
    assert all(math.isfinite(value) for value in found.values())
    none = SpoiltRing(nan_share=1.0).open(CPU)
    found = numbers(examine(BASE, built(), none, Samples(torch.randn(200, 2), None), torch.tensor(1.0), CPU))
    assert list(found) == ["sample_diversity"]


def test_gradients_whose_squares_single_precision_loses_have_their_norms() -> None:
    # a factor of ten for each layer, as in a clipped critic of many layers
    found = numbers(monitor(Chain([1e-27, 1e-26, 1e-25], 0.0), Chain([1e25, 1e25, 1e25], 0.0)).read())
    assert found["gradient_slope_generator"] == pytest.approx(1.0, rel=1e-4)
    assert found["gradient_norm_generator"] == pytest.approx(math.sqrt(1e-54 + 1e-52 + 1e-50), rel=1e-4)
    assert found["gradient_norm_discriminator"] == pytest.approx(math.sqrt(3) * 1e25, rel=1e-4)


def test_the_spread_of_points_far_away_is_finite() -> None:
    assert spread(torch.tensor([[0.0], [2e30]])).item() == pytest.approx(1e30, rel=1e-5)


def test_on_request_every_weight_tensor_has_its_norm() -> None:
    found = numbers(monitor(Chain([1.0, 2.0, 3.0], 9.0), Chain([4.0, 5.0, 6.0], 9.0), layers=True).read())
    by_layer = {name: value for name, value in found.items() if "/" in name}
    assert by_layer == {
        **{f"gradient_norm_generator/{i}": pytest.approx(i + 1) for i in range(3)},
        **{f"gradient_norm_discriminator/{i}": pytest.approx(i + 4) for i in range(3)},
    }


# Weights


def test_the_change_of_the_weights_is_relative_and_since_the_last_report() -> None:
    generator, discriminator = Chain([1.0] * 3, 1.0), Chain([1.0] * 3, 1.0)
    for parameter in generator.parameters():
        nn.init.ones_(parameter)
    watched = monitor(generator, discriminator)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(1.5)
    assert numbers(watched.read())["weight_change_generator"] == pytest.approx(0.5)
    found = numbers(watched.read())
    assert (found["weight_change_generator"], found["weight_change_discriminator"]) == (0.0, 0.0)


def test_the_share_of_clipped_weights_counts_those_on_the_bound_and_only_those_that_are_clipped() -> None:
    critic = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    nn.init.zeros_(critic[0].bias)
    nn.init.zeros_(critic[1].bias)
    critic[0].weight.data = torch.tensor([[0.1, -0.1], [0.05, 0.0]])
    critic[1].weight.data = torch.tensor([[0.0995, 0.0985]])
    for parameter in critic.parameters():
        parameter.grad = torch.ones_like(parameter)
    clipped = {
        what: numbers(monitor(Chain([1.0] * 3, 1.0), critic, WeightClip(bound=0.1, what=what)).read())["clipped_share"]
        for what in ("all", "weights")
    }
    assert clipped == {"all": pytest.approx(3 / 9), "weights": pytest.approx(3 / 6)}
    assert "clipped_share" not in monitor(Chain([1.0] * 3, 1.0), critic).read()


# How sure the discriminator is


@pytest.mark.parametrize(
    ("objective", "best_indifferent"),
    [(NonSaturating(), 0.0), (Minimax(), 0.0), (LeastSquares(), 0.5), (LeastSquares(a=-1.0, b=3.0, c=0.0), 1.0)],
)
def test_the_indifferent_loss_is_the_least_loss_of_one_score_for_all(
    objective: Objective, best_indifferent: float
) -> None:
    def loss(score: float) -> float:
        said = Output(score=torch.full((4,), score, dtype=torch.float64))
        return objective.discriminator(said, said).item()

    assert objective.indifferent_loss is not None
    assert loss(best_indifferent) == pytest.approx(objective.indifferent_loss)
    assert all(loss(best_indifferent + shift) > objective.indifferent_loss for shift in (-0.1, 0.1))


def test_the_hinge_loss_and_the_energy_of_ebgan_are_indifferent_on_a_plateau() -> None:
    for objective, scores in ((Hinge(), (-1.0, 0.3, 1.0)), (EBGAN(margin=4.0), (0.0, 1.0, 4.0))):
        for score in scores:
            said = Output(score=torch.full((4,), score))
            assert objective.discriminator(said, said).item() == pytest.approx(objective.indifferent_loss)
    assert Wasserstein().indifferent_loss is None


def test_the_recorded_confidence_follows_from_the_recorded_loss() -> None:
    for step in trained(dataclasses.replace(BASE, loss=NonSaturating())):
        loss, confidence = step.scalars["loss_discriminator"], step.scalars["discriminator_confidence"]
        assert confidence == pytest.approx(1 - loss / (2 * math.log(2)))
    assert "discriminator_confidence" not in trained(BASE)[0].scalars


# Samples and the critic's slope


def test_the_spread_is_the_root_of_the_total_variance() -> None:
    x = torch.tensor([[[0.0, 0.0]], [[6.0, 8.0]]])  # two points 10 apart are each 5 from their mean
    assert spread(x).item() == pytest.approx(5.0)


def test_the_spread_of_a_class_ordered_set_is_that_of_the_whole_set() -> None:
    dark = torch.zeros(3000, 1, 2, 2, dtype=torch.uint8)
    images = torch.cat([dark, dark + 255])  # the first 2,000 rows are all alike
    assert real_spread(ImageSet(images), CPU).item() == pytest.approx(2.0, rel=0.01)  # four pixels of variance 1


class Linear(nn.Module):
    """D(x) = scale (3 x_1 + 4 x_2): a gradient of norm 5 scale everywhere."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.slope = scale * torch.tensor([3.0, 4.0])

    def forward(self, x: Tensor) -> Output:
        return Output(score=x @ self.slope)


def examined(samples: Tensor, scale: float = 1.0) -> dict[str, float]:
    data, state = ring(), built()
    state.discriminator = Linear(scale)
    with torch.inference_mode():
        drawn = Samples(samples.clone(), None)
    return numbers(examine(BASE, state, data, drawn, real_spread(data, CPU), CPU))


@pytest.mark.parametrize("scale", [1.0, -2.0, 1e-25, 1e25])
def test_a_linear_critic_has_one_slope_however_small_or_large(scale: float) -> None:
    found = examined(ring().draw(500, torch.Generator().manual_seed(0)).x, scale)
    assert found["lipschitz_mean"] == pytest.approx(5 * abs(scale), rel=1e-5)
    assert found["lipschitz_max"] == pytest.approx(5 * abs(scale), rel=1e-5)


def test_the_wasserstein_estimate_does_not_depend_on_the_scale_of_the_critic() -> None:
    # real examples and samples 1 apart along the gradient of a linear critic of slope 5
    assert [wasserstein(7.0 * c, 2.0 * c, 5.0 * c) for c in (1.0, 0.01, 100.0)] == [pytest.approx(1.0)] * 3
    assert wasserstein(2.0, 7.0, 5.0) == pytest.approx(-1.0)


def test_a_flat_critic_or_one_whose_outputs_differ_by_rounding_estimates_nothing() -> None:
    assert wasserstein(1.0, 0.5, 0.0) is None
    assert wasserstein(4.0e-5, 4.0000001e-5, 1e-12) is None
    assert wasserstein(math.nan, 0.5, 1.0) is None
    assert wasserstein(0.0, 0.0, 1.0) == 0.0


class Told(nn.Module):
    """D(x | y): 0 at the class's own place, with a slope that is the class's number + 1."""

    def forward(self, x: Tensor, labels: Tensor) -> Output:
        return Output(score=(labels + 1) * x.flatten(1).sum(dim=1))


def test_a_conditional_critic_meets_real_examples_and_samples_of_one_class() -> None:
    labels = torch.arange(90) % 3
    images = (labels * 100).to(torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    data = ImageSet(images.clone(), labels, 3)
    config: Any = SimpleNamespace(discriminator=SimpleNamespace(conditional=True), loss=Wasserstein(), seed=0)
    state: Any = SimpleNamespace(discriminator=Told(), objective=Wasserstein(), num_classes=3)
    asked = torch.arange(50) % 3
    samples = Samples((asked * 100 / 127.5 - 1)[:, None, None, None].expand(-1, 1, 2, 2).clone(), asked)
    x, fake, (given,) = _opposite(config, data, samples, 3, CPU)
    assert torch.allclose(x, fake, atol=1e-6), "a perfect generator: what is set against each other is equal"
    assert torch.allclose(x.flatten(1)[:, 0], given * 100 / 127.5 - 1, atol=1e-6)
    found = numbers(examine(config, state, data, samples, real_spread(data, CPU), CPU))
    assert found["lipschitz_max"] == pytest.approx(3 * 2)  # class 2, four pixels


def test_examples_that_are_not_finite_are_left_out_of_what_samples_are_compared_with() -> None:
    data = SpoiltRing(nan_share=0.2).open(CPU)
    assert math.isfinite(real_spread(data, CPU).item())
    found = numbers(examine(BASE, built(), data, Samples(torch.randn(200, 2), None), real_spread(data, CPU), CPU))
    assert all(math.isfinite(value) for value in found.values())


def test_real_examples_are_as_diverse_as_themselves_and_a_collapsed_generator_is_not_at_all() -> None:
    real = ring().draw(4000, torch.Generator().manual_seed(1)).x
    assert examined(real)["sample_diversity"] == pytest.approx(1.0, abs=0.05)
    assert examined(2 * real)["sample_diversity"] == pytest.approx(2.0, abs=0.1)
    assert examined(torch.ones(200, 2))["sample_diversity"] == 0.0


def test_a_network_is_in_evaluation_mode_inside_and_as_before_afterwards_even_if_something_fails() -> None:
    network = nn.Dropout()

    def failing() -> None:
        with evaluating(network) as inside:
            assert not inside.training
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        failing()
    assert network.training
    network.eval()
    with evaluating(network):
        pass
    assert not network.training


# The loop


@pytest.mark.parametrize("constraint", [GradientPenalty(weight=1.0), WeightClip(bound=0.05)])
def test_looking_changes_nothing_of_the_training(constraint: Any) -> None:
    config = dataclasses.replace(BASE, constraint=constraint)
    data = ring(config)
    watched, alone = built(config), built(config)
    for _ in train(config, watched, data, CPU, layers=True):
        examine(config, watched, data, Samples(torch.randn(50, 2), None), real_spread(data, CPU), CPU)
    for _ in train(config, alone, data, CPU):
        pass
    for one, other in zip(watched.discriminator.parameters(), alone.discriminator.parameters(), strict=True):
        assert one.equal(other)


def test_weights_that_do_not_move_show_no_change_and_those_of_a_wild_run_a_large_one() -> None:
    frozen = dataclasses.replace(BASE, generator_optimizer=SGD(lr=1e-30))
    assert all(step.scalars["weight_change_generator"] < 1e-25 for step in trained(frozen))
    assert all(step.scalars["weight_change_discriminator"] > 0 for step in trained(frozen))
    wild = trained(dataclasses.replace(BASE, discriminator_optimizer=SGD(lr=1e3)))[0]
    assert 1 < wild.scalars["weight_change_discriminator"] < math.inf


def test_a_resumed_run_reports_the_same_changes_as_one_that_was_not_interrupted() -> None:
    config, data = dataclasses.replace(BASE, steps=8), ring()
    whole = trained(config)
    first = built(config)
    steps = train(config, first, data, CPU)
    head = [next(steps), next(steps)]
    second = built(config)
    second.load_state_dict(first.state_dict())
    resumed = [*head, *train(config, second, data, CPU)]
    assert [step.scalars for step in resumed] == [step.scalars for step in whole]
