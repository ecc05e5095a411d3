"""Generators that are not trained: their distributions in closed form, and a loop that leaves them alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from gansweep import (
    Adam,
    FixedAt,
    GaussianRing,
    GradientPenalty,
    Latent,
    MLPDiscriminator,
    MLPGenerator,
    NonSaturating,
    ParallelLines,
    RealPlusNoise,
    TrialConfig,
    TwoGaussians,
    Wasserstein,
    detectors,
)
from gansweep.parts import content_id, override
from gansweep.randomness import stream
from gansweep.stability import Stream, first_finding
from gansweep.training import TrainState, check_fit, fingerprints, sample, train

CPU = torch.device("cpu")
BASE = TrialConfig(
    data=GaussianRing(),
    generator=RealPlusNoise(std=1.0),
    discriminator=MLPDiscriminator(depth=3, width=8),
    loss=Wasserstein(),
    constraint=GradientPenalty(),
    generator_optimizer=Adam(lr=1e-3),
    discriminator_optimizer=Adam(lr=1e-3),
    batch_size=16,
    n_critic=2,
    steps=12,
    report_every=1,
    evaluate_every=2,
)


def built(config: TrialConfig = BASE) -> TrainState:
    return TrainState.build(config, shape=config.data.shape, device=CPU)


def reports(config: TrialConfig, state: TrainState | None = None, **how: Any) -> list[dict[str, float]]:
    steps = train(config, state or built(config), config.data.open(CPU), CPU, **how)
    return [step.scalars for step in steps]


def test_real_plus_noise_differs_from_the_real_batch_by_a_normal_distribution() -> None:
    real = GaussianRing().sample(40_000, stream("cpu", 0, "real"))
    drawn = RealPlusNoise(std=0.5).draw(real, stream("cpu", 0, "noise"))
    noise = (drawn - real) / 0.5
    # 80,000 numbers: mean 0 +- 1/283, variance 1 +- 1/200, fourth moment 3 +- sqrt(96)/283
    assert noise.mean().item() == pytest.approx(0, abs=4 / 283)
    assert noise.square().mean().item() == pytest.approx(1, abs=4 / 200)
    assert noise.pow(4).mean().item() == pytest.approx(3, abs=4 * math.sqrt(96) / 283)
    # and independent of the example: the variances add up
    assert drawn.var().item() == pytest.approx(real.var().item() + 0.25, rel=0.02)


def test_a_fixed_generator_draws_from_its_density() -> None:
    real = torch.zeros(20_000, 2)
    line = FixedAt(density=ParallelLines(theta=0.7)).draw(real, stream("cpu", 0))
    assert (line[:, 0] == torch.tensor(0.7)).all()
    assert line[:, 1].mean().item() == pytest.approx(0.5, abs=4 / math.sqrt(12 * 20_000))
    normal = FixedAt(density=TwoGaussians(mean=(2.0,), std=3.0)).draw(torch.zeros(20_000, 1), stream("cpu", 0))
    assert normal.mean().item() == pytest.approx(2, abs=4 * 3 / math.sqrt(20_000))
    assert normal.std().item() == pytest.approx(3, rel=0.03)


def test_no_step_of_the_generator_is_computed() -> None:
    state = built()
    found = reports(BASE, state)
    assert list(state.generator.parameters()) == []
    assert state.step == 12
    assert state.discriminator_steps == 24
    for scalars in found:
        of_generator = [name for name in scalars if name.endswith("_generator") or name.startswith("gradient_slope_g")]
        assert of_generator == []
        assert scalars["gradient_norm_discriminator"] > 0
        assert scalars["weight_change_discriminator"] > 0


def test_the_rules_do_not_call_a_fixed_generator_frozen() -> None:
    rows = [{"step": n, "sample_diversity": 1.2, **scalars} for n, scalars in enumerate(reports(BASE), start=1)]
    assert first_finding(detectors(None), Stream(rows), ended=True) is None


def test_the_critic_meets_pairs_of_a_real_example_and_its_noisy_copy() -> None:
    """The penalty's points lie on lines between pairs: with hardly any noise they are the real batch."""
    near = override(BASE, {"generator.std": 1e-30})
    found = reports(near)
    assert all(scalars["output_real"] == scalars["output_fake"] for scalars in found)
    assert all(scalars["loss_discriminator"] == 0 for scalars in found)


def test_a_fixed_generator_resumes_bit_for_bit() -> None:
    whole = built()
    list(train(BASE, whole, BASE.data.open(CPU), CPU))
    half, rest = built(), built()
    for step in train(BASE, half, BASE.data.open(CPU), CPU):
        if step.step == 5:
            break
    rest.load_state_dict(half.state_dict())
    list(train(BASE, rest, BASE.data.open(CPU), CPU))
    pairs = zip(whole.discriminator.parameters(), rest.discriminator.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_micro_batches_make_the_same_updates() -> None:
    whole, parts = reports(BASE), reports(BASE, micro_batch=5)
    for a, b in zip(whole, parts, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-5)


def test_samples_are_the_same_at_every_evaluation_and_beside_real_examples_of_their_own() -> None:
    data, state = BASE.data.open(CPU), built()
    first = sample(BASE, state, 300, CPU, data=data)
    list(train(BASE, state, data, CPU))
    assert torch.equal(first.x, sample(BASE, state, 300, CPU, data=data).x)
    assert first.x.shape == (300, 2)
    other = override(BASE, {"seed": 1})
    assert not torch.equal(first.x, sample(other, state, 300, CPU, data=data).x)


def test_a_small_set_of_points_gives_as_many_samples_as_are_asked_for() -> None:
    few = override(BASE, {"data": GaussianRing(points=32)})
    assert sample(few, built(few), 100, CPU, data=few.data.open(CPU)).x.shape == (100, 2)


def test_arms_with_a_fixed_generator_share_data_and_noise() -> None:
    gan = override(BASE, {"loss": NonSaturating(), "constraint": None})
    a, b = (fingerprints(config, built(config), config.data.open(CPU), CPU) for config in (BASE, gan))
    assert a == b


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"update_order": "generator_first"}, "update_order = 'generator_first' has no meaning for RealPlusNoise"),
        ({"ema_decay": 0.9}, "ema_decay = 0.9 has no meaning"),
        ({"generator_batch_factor": 2}, "generator_batch_factor = 2 has no meaning"),
        ({"latent": Latent(categorical=(3,))}, "makes examples without codes"),
        ({"generator.std": 0.0}, "RealPlusNoise.std = 0.0 must be a number > 0"),
    ],
)
def test_what_has_no_meaning_without_training_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        override(BASE, changes)


def test_a_density_of_another_shape_and_no_density_are_refused() -> None:
    wrong = override(BASE, {"generator": FixedAt(density=TwoGaussians())})
    with pytest.raises(ValueError, match=r"examples of shape \[1\], and the data's is \[2\]"):
        check_fit(wrong, wrong.data.open(CPU))
    with pytest.raises(ValueError, match="must be a density, such as ParallelLines"):
        FixedAt(density=MLPGenerator())


def test_a_generator_that_is_trained_has_the_id_that_it_had_before_there_were_fixed_ones() -> None:
    """Worked out with the version before: no field was added."""
    config = override(BASE, {"generator": MLPGenerator(depth=2, width=8), "seed": 7})
    assert config.id == content_id(config) == TRAINED_ID


TRAINED_ID = "1a42c0bc5d9a"
