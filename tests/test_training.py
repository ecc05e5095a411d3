"""The loop: what it computes, that it can be stopped and resumed anywhere, and that it never waits in between."""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gansweep import (
    SGAN,
    Adam,
    CatGAN,
    GradientPenalty,
    Latent,
    LeastSquares,
    RMSProp,
    TrialConfig,
    Wasserstein,
    WeightClip,
)
from gansweep.data.batches import Batches, labelled_rows
from gansweep.data.training_set import ImageSet
from gansweep.parts import override
from gansweep.randomness import stream
from gansweep.training import (
    Step,
    TrainState,
    check_fit,
    codes_in,
    draw_latent,
    fingerprints,
    sample,
    shared_weights,
    train,
)

CPU = torch.device("cpu")
WGAN_GP: dict[str, Any] = {
    "loss": Wasserstein(),
    "constraint": GradientPenalty(),
    "discriminator.norm": "layer",
    "n_critic": 3,
    "generator_optimizer": Adam(lr=1e-3),
    "discriminator_optimizer": Adam(lr=1e-3, weight_decay=1e-3, weight_decay_when="normalised"),
}
WGAN: dict[str, Any] = {
    "loss": Wasserstein(),
    "constraint": WeightClip(),
    "n_critic": 2,
    "generator_optimizer": RMSProp(),
    "discriminator_optimizer": RMSProp(lr=1e-3),
    "latent.distribution": "uniform",
}
RECIPES: dict[str, dict[str, Any]] = {
    "gan with batch norm": {},
    "gan with ema": {"ema_decay": 0.9, "generator_batch_factor": 2},
    "gan in bf16": {"autocast": "bf16"},
    "lsgan": {"loss": LeastSquares(), "generator.norm": "layer", "discriminator.depth": 6},
    "wgan-gp": WGAN_GP,
    "wgan-gp with ema": {**WGAN_GP, "ema_decay": 0.99},
    "wgan with clipping": WGAN,
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES)


def fresh(config: TrialConfig) -> TrainState:
    return TrainState.build(config, shape=(1, 16, 16), num_classes=4, device=CPU)


def steps_of(config: TrialConfig, state: TrainState, images: ImageSet) -> Iterator[Step]:
    return train(config, state, images, CPU)


def run(config: TrialConfig, images: ImageSet) -> tuple[TrainState, list[Step]]:
    state = fresh(config)
    return state, list(steps_of(config, state, images))


def tensors(value: Any, name: str = "") -> dict[str, Any]:
    """Every leaf of a nested state by its path."""
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {path: leaf for key, child in pairs for path, leaf in tensors(child, f"{name}/{key}").items()}
    return {name: value.clone() if isinstance(value, Tensor) else value}


def everything_in(state: TrainState) -> dict[str, Any]:
    """Every tensor and counter, asked of the parts themselves: what is saved could lack one."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(state):
        value = getattr(state, field.name)
        found |= tensors(value.state_dict() if hasattr(value, "state_dict") else value, field.name)
    return {name: value for name, value in found.items() if name != "seconds"}


def assert_same_state(one: TrainState, other: TrainState) -> None:
    left, right = everything_in(one), everything_in(other)
    assert left.keys() == right.keys()
    different = [
        name
        for name, value in left.items()
        if not (torch.equal(value, right[name]) if isinstance(value, Tensor) else value == right[name])
    ]
    assert not different


# Resuming


@every_recipe
def test_T_37_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    recipe: str, tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    config = override(tiny, RECIPES[recipe])
    whole, steps = run(config, tiny_images)

    first = fresh(config)
    before = next(steps_of(config, first, tiny_images))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    torch.manual_seed(99)  # whatever the next process did before
    torch.randn(7)
    file.seek(0)
    second = fresh(config)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.step == before.step == 2
    after = list(steps_of(config, second, tiny_images))

    assert_same_state(second, whole)
    assert [s.step for s in (before, *after)] == [s.step for s in steps] == [2, 4, 6]
    assert [s.scalars for s in (before, *after)] == [s.scalars for s in steps]
    assert [s.images_seen for s in (before, *after)] == [s.images_seen for s in steps]


def test_the_comparison_of_states_sees_a_single_changed_bit(tiny: TrialConfig) -> None:
    one, other = fresh(tiny), fresh(tiny)
    assert_same_state(one, other)
    with torch.no_grad():
        first = next(other.generator.parameters()).view(-1)
        first[0] = torch.nextafter(first[0], torch.tensor(9.0))
    with pytest.raises(AssertionError):
        assert_same_state(one, other)


def test_a_state_carries_its_seconds_over_an_interruption(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    state = fresh(tiny)
    state.seconds = 1000.0
    reported = [step.seconds for step in steps_of(tiny, state, tiny_images)]
    assert reported == sorted(reported)
    assert 1000 < reported[0] < 1100
    assert state.state_dict()["seconds"] == reported[-1]


def test_a_finished_state_trains_no_further(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    state, _ = run(tiny, tiny_images)
    before = tensors(state.state_dict())
    assert list(steps_of(tiny, state, tiny_images)) == []
    after = tensors(state.state_dict())
    assert all(torch.equal(v, after[k]) if isinstance(v, Tensor) else v == after[k] for k, v in before.items())


@pytest.mark.parametrize("other", ["gan with batch norm", "wgan-gp"])
def test_a_trial_after_another_in_one_process_is_the_trial_alone(
    other: str, tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    config = override(tiny, {**WGAN_GP, "ema_decay": 0.9})
    alone, reports = run(config, tiny_images)
    run(override(tiny, {**RECIPES[other], "seed": 8, "steps": 3}), tiny_images)
    torch.randn(5)
    again, reports_again = run(config, tiny_images)
    assert_same_state(alone, again)
    assert [s.scalars for s in reports] == [s.scalars for s in reports_again]


def test_two_trials_in_turns_are_each_the_trial_alone(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    configs = [tiny, override(tiny, {**WGAN_GP, "seed": 9})]
    states = [fresh(config) for config in configs]
    both = [steps_of(config, state, tiny_images) for config, state in zip(configs, states, strict=True)]
    for _ in zip(*both, strict=True):
        torch.randn(3)
    for config, state in zip(configs, states, strict=True):
        assert_same_state(state, run(config, tiny_images)[0])


# Pairing


def prints(config: TrialConfig, images: ImageSet) -> dict[str, str]:
    return fingerprints(config, fresh(config), images, CPU)


def test_the_arms_of_a_block_share_data_order_noise_and_initial_weights(
    tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    arms = [prints(override(tiny, recipe), tiny_images) for recipe in ({}, WGAN_GP, {"loss": LeastSquares()})]
    assert arms[0] == arms[1] == arms[2]
    assert set(arms[0]) == {"fingerprint_data", "fingerprint_latent", "fingerprint_init"}


def test_blocks_of_different_seeds_share_nothing(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    one, other = (prints(override(tiny, {"seed": seed}), tiny_images) for seed in (3, 4))
    assert all(one[name] != other[name] for name in one)


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"latent.size": 9}, {"fingerprint_latent", "fingerprint_init"}),
        ({"latent.distribution": "uniform"}, {"fingerprint_latent"}),
        ({"batch_size": 9}, {"fingerprint_data", "fingerprint_latent"}),
        ({"generator.depth": 6}, {"fingerprint_init"}),
    ],
)
def test_a_fingerprint_differs_exactly_where_the_arms_do(
    changes: dict[str, Any], differs: set[str], tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    one, other = prints(tiny, tiny_images), prints(override(tiny, changes), tiny_images)
    assert {name for name in one if one[name] != other[name]} == differs


def test_arms_with_other_heads_are_paired_by_the_weights_that_they_share(
    tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    # SGAN has a class more, so its last layer is another tensor; everything before it is the same
    arms = [override(tiny, {"loss": loss, "labelled": 8}) for loss in (CatGAN(), SGAN())]
    shared = shared_weights(arms, tiny_images)
    assert not [name for name in shared if "classes" in name]
    assert "discriminator.stages.0.0.weight (2, 1, 5, 5)" in shared
    one, other = (fingerprints(arm, fresh(arm), tiny_images, CPU, shared) for arm in arms)
    assert one == other
    assert prints(arms[0], tiny_images)["fingerprint_init"] != prints(arms[1], tiny_images)["fingerprint_init"]
    elsewhere = override(arms[1], {"seed": 4})
    assert (
        fingerprints(elsewhere, fresh(elsewhere), tiny_images, CPU, shared)["fingerprint_init"]
        != one["fingerprint_init"]
    )


def test_fingerprints_see_other_images(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    one, other = prints(tiny, tiny_images), prints(tiny, ImageSet(255 - tiny_images.images, tiny_images.labels, 4))
    assert {name for name in one if one[name] != other[name]} == {"fingerprint_data"}


def seen_by_discriminator(config: TrialConfig, images: ImageSet) -> list[Tensor]:
    """The first real batch, the first fake batch and so on, as they enter the discriminator."""
    state, seen = fresh(config), []
    state.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    next(steps_of(config, state, images))
    return seen


def test_the_arms_really_train_on_the_fingerprinted_batches(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    plain, critic = (seen_by_discriminator(override(tiny, recipe), tiny_images) for recipe in ({}, WGAN_GP))
    assert torch.equal(plain[0], critic[0])  # the first real batch
    assert torch.equal(plain[1], critic[1])  # the same z through the same weights
    assert torch.equal(plain[0], Batches(tiny_images, 8, tiny.seed, CPU)[0].x)


def test_T_18_every_update_has_its_own_batch_and_noise(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(tiny, {**WGAN_GP, "steps": 1})
    state = fresh(config)
    noise: list[Tensor] = []
    state.generator.register_forward_pre_hook(lambda module, inputs: noise.append(inputs[0].clone()))
    inputs: list[Tensor] = []
    state.discriminator.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach().clone()))
    list(steps_of(config, state, tiny_images))
    real = inputs[0:9:3]  # each critic update meets real, fake and mixed images
    assert len(noise) == 4  # three for the critic, and another for the generator
    assert not [pair for pair in itertools.combinations(noise, 2) if torch.equal(*pair)]
    assert all(torch.equal(real[i], Batches(tiny_images, 8, config.seed, CPU)[i].x) for i in range(3))
    assert not [pair for pair in itertools.combinations(real, 2) if torch.equal(*pair)]


# Data and noise


def test_an_epoch_uses_every_image_once_in_an_order_of_its_own() -> None:
    images = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1)
    batches = Batches(ImageSet(images), 5, 0, CPU)
    drawn = torch.stack([batches[i].x for i in range(8)]).view(2, 20)  # two epochs of four batches
    epochs = ((drawn + 1) * 127.5).round().int().tolist()
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]
    assert epochs[0] != list(range(20))


def test_a_batch_is_a_function_of_its_position(tiny_images: ImageSet) -> None:
    forwards, backwards = Batches(tiny_images, 8, 1, CPU), Batches(tiny_images, 8, 1, CPU)
    expected = [forwards[i].x for i in range(12)]
    assert all(torch.equal(backwards[i].x, expected[i]) for i in reversed(range(12)))


def test_the_last_part_of_an_epoch_is_dropped() -> None:
    images = torch.arange(11, dtype=torch.uint8).view(11, 1, 1, 1)
    batches = Batches(ImageSet(images), 4, 0, CPU)
    assert [len(batches[i].x) for i in range(5)] == [4] * 5
    epoch = torch.cat([batches[0].x, batches[1].x]).flatten()
    assert len(epoch.unique()) == 8
    assert not torch.equal(batches[2].x, batches[0].x)


def test_pixels_become_numbers_from_minus_1_to_1() -> None:
    images = torch.tensor([0, 255, 51, 204], dtype=torch.uint8).view(4, 1, 1, 1)
    got = Batches(ImageSet(images), 4, 0, CPU)[0].x.flatten().sort().values
    torch.testing.assert_close(got, torch.tensor([-1.0, -0.6, 0.6, 1.0]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch_size": 41}, "batch_size = 41 is more than the 40 training examples"),
        ({"discriminator.width": 2, "generator.condition": "input", "labelled": None, "latent.size": 4}, None),
    ],
)
def test_what_does_not_fit_the_data_is_refused_before_any_work(
    changes: dict[str, Any], told: str | None, tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    if told is None:
        check_fit(override(tiny, changes), tiny_images)
        told, tiny_images = "the trial needs labels, and Digits has none", ImageSet(tiny_images.images)
    with pytest.raises(ValueError, match=told):
        check_fit(override(tiny, changes), tiny_images)


def test_the_latent_distributions_have_their_moments_and_ranges() -> None:
    # standard errors with 100,000 numbers: 0.003 for a mean, 0.005 for a variance; five are allowed
    normal = draw_latent(Latent(size=100), 1000, stream("cpu", 0))
    uniform = draw_latent(Latent(size=100, distribution="uniform"), 1000, stream("cpu", 0))
    assert normal.shape == uniform.shape == (1000, 100)
    assert normal.mean().item() == pytest.approx(0, abs=0.016)
    assert normal.var().item() == pytest.approx(1, abs=0.025)
    assert uniform.mean().item() == pytest.approx(0, abs=0.01)
    assert uniform.var().item() == pytest.approx(1 / 3, abs=0.01)
    assert uniform.min() >= -1
    assert uniform.max() <= 1


def test_codes_follow_the_noise_and_are_read_back_as_they_were_drawn() -> None:
    latent = Latent(size=5, categorical=(3, 10), continuous=2)
    z = draw_latent(latent, 4000, stream("cpu", 0))
    assert z.shape == (4000, latent.total) == (4000, 20)
    three, ten, continuous = codes_in(latent, z)
    assert torch.equal(z[:, 5:8], torch.eye(3)[three])
    assert torch.equal(z[:, 8:18], torch.eye(10)[ten])
    assert torch.equal(z[:, 18:], continuous)
    # each of ten values: 400 +- 19; five standard errors
    assert (torch.bincount(ten, minlength=10) - 400).abs().max() < 95
    assert continuous.abs().max() <= 1
    assert continuous.var().item() == pytest.approx(1 / 3, abs=0.02)


def test_noise_is_the_same_with_codes_and_without() -> None:
    plain, coded = Latent(size=5), Latent(size=5, categorical=(4,))
    both = [draw_latent(latent, 7, stream("cpu", 3)) for latent in (plain, coded)]
    assert torch.equal(both[0], both[1][:, :5])
    assert codes_in(plain, both[0]) == ()


def test_labelled_rows_are_balanced_and_grow_with_the_budget() -> None:
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    rows = labelled_rows(labels, 10, seed=4)
    assert sorted(torch.bincount(labels[rows]).tolist()) == [3, 3, 4]
    assert len(rows.unique()) == 10
    assert torch.equal(labelled_rows(labels, 25, seed=4)[:10], rows)
    assert not torch.equal(labelled_rows(labels, 10, seed=5), rows)
    assert len(labelled_rows(labels, 100, seed=4).unique()) == 100


# The updates


def optimiser_steps(optimizer: torch.optim.Optimizer) -> set[int]:
    return {int(state["step"]) for state in optimizer.state_dict()["state"].values()}


@every_recipe
def test_n_critic_updates_are_really_taken_and_both_networks_change(
    recipe: str, tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    config = override(tiny, RECIPES[recipe])
    start = fresh(config)
    state, steps = run(config, tiny_images)
    assert state.step == 6
    assert state.discriminator_steps == 6 * config.n_critic
    assert optimiser_steps(state.generator_optimizer) == {6}
    assert optimiser_steps(state.discriminator_optimizer) == {6 * config.n_critic}
    assert steps[-1].images_seen == 6 * config.n_critic * 8
    for role in ("generator", "discriminator"):
        pairs = zip(getattr(start, role).parameters(), getattr(state, role).parameters(), strict=True)
        assert all(not torch.equal(one, other) for one, other in pairs if one.ndim > 1)
    assert all(math.isfinite(value) for step in steps for value in step.scalars.values())
    assert all(step.nonfinite_step is None for step in steps)


def test_every_parameter_of_both_networks_belongs_to_its_optimiser_once(tiny: TrialConfig) -> None:
    state = fresh(override(tiny, WGAN_GP))
    for role in ("generator", "discriminator"):
        groups = getattr(state, f"{role}_optimizer").param_groups
        held = [id(p) for group in groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in getattr(state, role).parameters())


@pytest.mark.parametrize(("normalised", "decay"), [(True, 1e-3), (False, 0.0)])
def test_weight_decay_is_on_the_weights_of_a_normalised_discriminator_only(
    normalised: bool, decay: float, tiny: TrialConfig
) -> None:
    state = fresh(override(tiny, {**WGAN_GP, "discriminator.normalised": normalised}))
    for group in state.discriminator_optimizer.param_groups:
        matrices = {p.ndim > 1 for p in group["params"]}
        assert len(matrices) == 1
        assert group["weight_decay"] == (decay if matrices == {True} else 0.0)


@pytest.mark.parametrize("recipe", [{}, {"constraint": GradientPenalty(), "discriminator.norm": "layer"}])
def test_T_11_T_12_one_update_of_the_discriminator_is_one_step_down_the_gradient_of_loss_and_penalty(
    recipe: dict[str, Any], tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    # RMSProp's first step from a zero accumulator is lr g / (sqrt((1 - alpha) g^2) + eps)
    optimizer = RMSProp(lr=1e-3, alpha=0.75, eps=1e-8)
    config = override(tiny, {**recipe, "steps": 1, "discriminator_optimizer": optimizer})
    start, (state, _) = fresh(config), run(config, tiny_images)
    g, d = start.generator.train(), start.discriminator.train()
    z = draw_latent(config.latent, 8, stream("cpu", config.seed, "latent", "discriminator", 0))
    real, fake = Batches(tiny_images, 8, config.seed, CPU)[0].x, g(z).detach()
    loss = config.loss.discriminator(d(real), d(fake))
    if config.constraint is not None:
        points = stream("cpu", config.seed, "penalty", 0)
        loss = loss + config.constraint.penalty(lambda x: d(x).score, real, fake, points)
    loss.backward()
    for before, after in zip(d.parameters(), state.discriminator.parameters(), strict=True):
        assert before.grad is not None
        expected = before - 1e-3 * before.grad / (0.5 * before.grad.abs() + 1e-8)
        torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-7)


def seen_by_networks(config: TrialConfig, images: ImageSet) -> list[tuple[str, Tensor, Tensor]]:
    """Every call of a network in order: which, on what, and the first weights of the discriminator at that time."""
    state, seen = fresh(config), []
    weights = next(state.discriminator.parameters())
    for role in ("generator", "discriminator"):
        getattr(state, role).register_forward_pre_hook(
            lambda module, given, role=role: seen.append((role, given[0].detach().clone(), weights.detach().clone()))
        )
    list(steps_of(config, state, images))
    return seen


def test_T_45_the_orders_of_updates_are_what_they_say(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    one = {"steps": 1, "report_every": 1, "evaluate_every": 1}
    d, g = "discriminator", "generator"
    runs = {
        order: seen_by_networks(override(tiny, {**one, "update_order": order}), tiny_images)
        for order in ("discriminator_first", "generator_first", "simultaneous")
    }
    names = {order: [name for name, _, _ in calls] for order, calls in runs.items()}
    assert names["discriminator_first"] == names["simultaneous"] == [g, d, d, g, d]
    assert names["generator_first"] == [g, d, g, d, d]
    # the generator meets the discriminator after its update, before it, or as if it were not there
    before = runs["discriminator_first"][0][2]
    last = {order: calls[-1][2] for order, calls in runs.items()}
    assert not torch.equal(last["discriminator_first"], before)
    assert torch.equal(last["simultaneous"], before)
    assert torch.equal(last["generator_first"], before)
    # and simultaneous gradients are taken on one z
    z = [given for name, given, _ in runs["simultaneous"] if name == g]
    assert torch.equal(*z)
    first, second = (given for name, given, _ in runs["discriminator_first"] if name == g)
    assert not torch.equal(first, second)


def test_the_warm_up_of_wgans_code_is_100_critic_updates_at_first_and_every_500th_time(tiny: TrialConfig) -> None:
    config = override(tiny, {"critic_warmup": True, "n_critic": 5})
    assert [config.num_critic_steps(step) for step in (0, 24, 25, 26, 499, 500, 501, 1000)] == [
        *(100, 100, 5, 5, 5),
        *(100, 5, 100),
    ]
    assert override(config, {"critic_warmup": False}).num_critic_steps(0) == 5


def test_the_generator_step_changes_no_gradient_of_the_discriminator(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(tiny, {**WGAN_GP, "steps": 1, "n_critic": 1, "report_every": 1, "evaluate_every": 1})
    start, (state, (step,)) = fresh(config), run(config, tiny_images)
    z = draw_latent(config.latent, 8, stream("cpu", config.seed, "latent", "discriminator", 0))
    real, fake = Batches(tiny_images, 8, config.seed, CPU)[0].x, start.generator(z).detach()
    loss = config.loss.discriminator(start.discriminator(real), start.discriminator(fake))
    critic, points = start.discriminator, stream("cpu", config.seed, "penalty", 0)
    penalty = config.constraint.penalty(lambda x: critic(x).score, real, fake, points)
    (loss + penalty).backward()
    for alone, kept in zip(start.discriminator.parameters(), state.discriminator.parameters(), strict=True):
        torch.testing.assert_close(kept.grad, alone.grad)
    assert step.scalars["loss_discriminator"] == pytest.approx(loss.item(), rel=1e-5)
    assert step.scalars["penalty"] == pytest.approx(penalty.item(), rel=1e-5)


def test_T_14_T_15_the_generator_never_meets_an_unclipped_critic(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(tiny, {**WGAN, "discriminator_optimizer": RMSProp(lr=0.1)})
    state, largest = fresh(config), []

    def look(module: nn.Module, inputs: Any) -> None:
        if not any(p.requires_grad for p in module.parameters()):  # the generator's turn
            largest.append(max(p.abs().max().item() for p in module.parameters()))

    state.discriminator.register_forward_pre_hook(look)
    list(steps_of(config, state, tiny_images))
    bound = torch.tensor(0.01).item()
    assert largest == [bound] * 6  # reached, with so large a rate, and never passed


def test_T_16_training_with_clipping_leaves_running_statistics_alone(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    state, _ = run(override(tiny, WGAN), tiny_images)
    norms = [m for m in state.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(m.weight.abs().max() <= torch.tensor(0.01) for m in norms)
    # 6 iterations of 2 real, 2 fake and the generator's batch at momentum 0.1 leave 0.9^30 = 0.042 of the initial 1
    assert all(value > 0.042 for m in norms if m.running_var is not None for value in m.running_var)


def test_T_20_bf16_is_used_for_the_losses_and_never_inside_the_penalty(
    tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    config = override(tiny, {**WGAN_GP, "autocast": "bf16", "steps": 1, "n_critic": 1})
    state, seen = fresh(config), []
    for layer in (m for m in state.discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear)):
        layer.register_forward_hook(
            lambda module, inputs, output: seen.append((torch.is_autocast_enabled("cpu"), output.dtype))
        )
    list(steps_of(config, state, tiny_images))
    # real and fake in bf16, the penalty in fp32, then the generator's turn in bf16; four layers each
    half, full = (True, torch.bfloat16), (False, torch.float32)
    assert seen == [half] * 8 + [full] * 4 + [half] * 4
    assert {p.dtype for p in state.discriminator.parameters()} == {torch.float32}


def test_without_autocast_everything_is_in_fp32(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(tiny, {**WGAN_GP, "steps": 1, "n_critic": 1})
    state, seen = fresh(config), set()
    layers = [m for net in (state.discriminator, state.generator) for m in net.modules() if not list(m.children())]
    for module in layers:
        module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    list(steps_of(config, state, tiny_images))
    assert seen == {torch.float32}


# The average


def test_the_average_moves_by_one_minus_decay_towards_the_weights(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(tiny, {"ema_decay": 0.9, "report_every": 1, "generator_optimizer.lr": 0.05})
    state = fresh(config)
    assert state.ema is not None
    expected = [p.detach().clone() for p in state.generator.parameters()]
    for _ in steps_of(config, state, tiny_images):
        expected = [0.9 * e + 0.1 * p.detach() for e, p in zip(expected, state.generator.parameters(), strict=True)]
        for kept, value in zip(state.ema.parameters(), expected, strict=True):
            torch.testing.assert_close(kept, value)
    assert not torch.equal(next(state.ema.parameters()), next(state.generator.parameters()))


def test_T_44_the_average_takes_over_the_running_statistics(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    state, _ = run(override(tiny, {"ema_decay": 0.9}), tiny_images)
    assert state.ema is not None
    pairs = list(zip(state.ema.named_buffers(), state.generator.buffers(), strict=True))
    assert any("running_var" in name for (name, _), _ in pairs)
    assert all(torch.equal(kept, new) for (_, kept), new in pairs)
    assert all(kept.any() for (name, kept), _ in pairs if "running_mean" in name)


def test_the_average_changes_no_training(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    plain, averaged = run(tiny, tiny_images), run(override(tiny, {"ema_decay": 0.9}), tiny_images)
    assert [s.scalars for s in plain[1]] == [s.scalars for s in averaged[1]]


# Samples


def test_samples_are_taken_in_eval_mode_and_change_nothing(tiny: TrialConfig, tiny_images: ImageSet, cpu: Any) -> None:
    state, _ = run(tiny, tiny_images)
    before = tensors(state.state_dict())
    images = sample(tiny, state, 10, cpu).x
    assert images.shape == (10, 1, 16, 16)
    assert state.generator.training
    assert all(torch.equal(v, before[k]) for k, v in tensors(state.state_dict()).items() if isinstance(v, Tensor))
    state.generator.eval()
    z = draw_latent(tiny.latent, 250, stream("cpu", tiny.seed, "latent", "evaluation", 0))
    torch.testing.assert_close(images, state.generator(z[:10]).detach())
    assert not state.generator.training
    sample(tiny, state, 10, cpu)
    assert not state.generator.training  # the mode that was found is left


def test_fewer_samples_are_the_first_of_more(tiny: TrialConfig, cpu: Any) -> None:
    state = fresh(tiny)
    torch.testing.assert_close(sample(tiny, state, 7, cpu).x, sample(tiny, state, 501, cpu).x[:7])
    assert len(sample(tiny, state, 501, cpu).x) == 501


def test_samples_come_from_the_average_where_there_is_one(tiny: TrialConfig, tiny_images: ImageSet, cpu: Any) -> None:
    config = override(tiny, {"ema_decay": 0.9, "generator_optimizer.lr": 0.05})
    state, _ = run(config, tiny_images)
    averaged = sample(config, state, 5, cpu).x
    z = draw_latent(config.latent, 250, stream("cpu", config.seed, "latent", "evaluation", 0))
    assert state.ema is not None
    torch.testing.assert_close(averaged, state.ema.eval()(z[:5]).detach())
    assert not torch.allclose(averaged, state.generator.eval()(z[:5]))


def test_sampling_between_reports_does_not_change_the_run(tiny: TrialConfig, tiny_images: ImageSet, cpu: Any) -> None:
    config = override(tiny, {"ema_decay": 0.9})
    state = fresh(config)
    for _ in steps_of(config, state, tiny_images):
        sample(config, state, 5, cpu)
    assert_same_state(state, run(config, tiny_images)[0])


# Reports


def test_reported_scalars_are_means_since_the_last_report(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    every = run(override(tiny, {**WGAN_GP, "report_every": 1, "evaluate_every": 1}), tiny_images)[1]
    third = run(override(tiny, {**WGAN_GP, "report_every": 3, "evaluate_every": 3}), tiny_images)[1]
    assert [s.step for s in third] == [3, 6]
    for name in ("loss_discriminator", "loss_generator", "penalty", "output_real", "output_fake"):
        means = [sum(s.scalars[name] for s in every[i : i + 3]) / 3 for i in (0, 3)]
        assert [s.scalars[name] for s in third] == pytest.approx(means, rel=1e-5, abs=1e-6)
    for name in ("gradient_norm_generator", "gradient_norm_discriminator"):  # of the last update
        assert [s.scalars[name] for s in third] == [every[2].scalars[name], every[5].scalars[name]]


def test_a_run_whose_end_is_no_multiple_reports_its_end(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    steps = run(override(tiny, {"steps": 5}), tiny_images)[1]
    assert [s.step for s in steps] == [2, 4, 5]


def test_how_often_is_reported_changes_no_number_of_the_training(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    states = [run(override(tiny, {"report_every": n, "evaluate_every": n}), tiny_images)[0] for n in (1, 3)]
    assert_same_state(*states)


class Reads(TorchFunctionMode):
    """Notes every call that would make the host wait for the device."""

    WAITS = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__", "nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (name := getattr(func, "__name__", "")) in self.WAITS:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@every_recipe
def test_nothing_is_read_back_between_two_reports(recipe: str, tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(tiny, {**RECIPES[recipe], "report_every": 3, "evaluate_every": 3})
    stepping = steps_of(config, fresh(config), tiny_images)
    next(stepping)  # the first steps may set up the optimisers' state
    with Reads() as reads:
        next(stepping)
    assert reads.seen == ["tolist"]  # one for three iterations: the report itself


# Divergence is data


def diverging(config: TrialConfig, every: int) -> TrialConfig:
    """The first update makes four layers of weights of 1e5: an input gradient of 1e20, whose square is no fp32 number.

    So the first penalty is finite, and so is the generator's loss behind the update; the second penalty is not.
    """
    changes = {
        "loss": Wasserstein(),
        "constraint": GradientPenalty(),
        "discriminator.normalised": False,
        "discriminator_optimizer": Adam(lr=1e5),
        "steps": 12,
        "report_every": every,
        "evaluate_every": every,
    }
    return override(config, changes)


def test_a_planted_divergence_is_reported_with_its_first_step(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    every = run(diverging(tiny, 1), tiny_images)[1]
    scalars = [[v for k, v in s.scalars.items() if not k.startswith("gradient")] for s in every]
    first = next(i for i, values in enumerate(scalars, 1) if not all(map(math.isfinite, values)))
    assert [s.nonfinite_step for s in every] == [None] * (first - 1) + [first] * (13 - first)
    assert first == 2

    sixth = run(diverging(tiny, 6), tiny_images)[1]
    assert {s.nonfinite_step for s in sixth if s.step >= first} == {first}
    assert not all(map(math.isfinite, sixth[-1].scalars.values()))


def test_a_huge_learning_rate_diverges_at_once(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    config = override(diverging(tiny, 1), {"discriminator_optimizer.lr": 1e30, "constraint": None})
    assert run(config, tiny_images)[1][0].nonfinite_step == 1


def test_a_healthy_run_has_no_nonfinite_step(tiny: TrialConfig, tiny_images: ImageSet) -> None:
    assert {step.nonfinite_step for step in run(tiny, tiny_images)[1]} == {None}
