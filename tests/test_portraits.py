"""Portraits: closed forms on networks whose weights are known, then the way from a worker to the reader."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gansweep import (
    ActivationGradients,
    Adam,
    CriticSurface,
    EstimatedDivergences,
    FixedAt,
    GaussianRing,
    Minimax,
    MLPDiscriminator,
    ParallelLines,
    RealPlusNoise,
    SampleClouds,
    Study,
    TrialConfig,
    TwoGaussians,
    Wasserstein,
    WeightClip,
    WeightHistograms,
    records,
)
from gansweep.launch.sweep import Settings, sweep
from gansweep.launch.trial_dir import TrialDir
from gansweep.parts import override
from gansweep.portraits import Sitter, Taken, dents, kurtosis, log_slope, peaks, resolved, take_all
from gansweep.selection import Selection, load_study
from gansweep.stability import Diverged, Stream
from gansweep.training import TrainState, sample, train

CPU = torch.device("cpu")
BASE = TrialConfig(
    data=GaussianRing(),
    generator=RealPlusNoise(),
    discriminator=MLPDiscriminator(depth=1),
    loss=Wasserstein(),
    generator_optimizer=Adam(),
    discriminator_optimizer=Adam(),
    batch_size=16,
    steps=12,
    report_every=2,
    evaluate_every=2,
)


def sitting(config: TrialConfig = BASE, weights: tuple[float, ...] = (), num: int = 600) -> Sitter:
    """The trial before its first step; a critic without hidden layers gets these weights."""
    data = config.data.open(CPU)
    state = TrainState.build(config, shape=data.shape, device=CPU)
    if weights:
        with torch.no_grad():
            state.discriminator.output.weight.copy_(torch.tensor([weights]))
    return Sitter(config, state, data, sample(config, state, num, CPU, data=data), CPU)


# --- surfaces


def test_a_linear_critic_has_one_slope_everywhere_and_no_peak() -> None:
    taken = CriticSurface(points=17, reach=2.0).take(sitting(weights=(3.0, -4.0)))
    x, y = np.meshgrid(taken.arrays["x"], taken.arrays["y"])
    assert taken.arrays["value"] == pytest.approx(3 * x - 4 * y, abs=1e-5)  # rows are y, columns x
    assert taken.arrays["slope"] == pytest.approx(np.full((17, 17), 5.0), rel=1e-5)
    assert taken.numbers["surface_slope_mean"] == pytest.approx(5, rel=1e-5)
    assert taken.numbers["surface_slope_variation"] == pytest.approx(0, abs=1e-5)
    assert taken.numbers["surface_linearity"] == pytest.approx(1, rel=1e-5)
    assert taken.numbers["surface_modes"] == 0
    assert taken.numbers["surface_saturation"] < 0.01  # a probability that is this steep is level where D is sure


def test_the_best_discriminator_of_two_gaussians_saturates_and_a_linear_critic_does_not() -> None:
    """Between N(-2, 1) and N(2, 1) the best score is log p / q = -4 x: D's slope is 4 D (1 - D)."""
    fake = TwoGaussians(mean=(2.0,), std=1.0, fake_mean=(-2.0,))
    gauss = override(BASE, {"data": TwoGaussians(), "generator": FixedAt(density=fake), "loss": Minimax()})
    taken = CriticSurface(points=101, reach=5.0).take(sitting(gauss, weights=(-4.0,)))
    x, p, q = (taken.arrays[name] for name in ("x", "p", "q"))
    best = 1 / (1 + np.exp(-taken.arrays["value"]))
    assert best == pytest.approx(p / (p + q), abs=1e-5)
    assert np.trapezoid(p, x) == pytest.approx(1 - math.erfc(3 / math.sqrt(2)) / 2, abs=1e-4)
    assert taken.numbers["surface_linearity"] == pytest.approx(1, rel=1e-5)
    assert taken.numbers["surface_saturation"] < 1e-3


def test_a_surface_with_a_peak_at_every_mode_finds_every_mode() -> None:
    ring = GaussianRing()
    axis = np.linspace(-3, 3, 128)
    x, y = np.meshgrid(axis, axis)
    wide = GaussianRing(std=0.4)  # a finite logarithm on the whole grid
    value = wide.log_density(torch.from_numpy(np.column_stack([x.ravel(), y.ravel()]))).numpy().reshape(128, 128)
    centres = ring.modes.centres.numpy()
    assert resolved(axis, axis, value, centres).all()
    assert not resolved(axis, axis, -value, centres).any()
    half = np.where(x > 0.5, value, value.min())  # what is left is a plain: no peak, for it is above nothing
    assert resolved(axis, axis, half, centres).sum() == 3


def test_a_hill_has_no_dents_and_a_valley_holds_half_of_what_it_is_deep() -> None:
    axis = np.linspace(-1, 1, 401)
    x, y = np.meshgrid(axis, axis)
    assert dents(-(x**2) - np.abs(y - 0.3)) == 0  # one hill
    assert dents(np.zeros((5, 5))) == 0
    # along the rows 1 - |x| is missing, one half on average; along the columns nothing
    assert dents(np.abs(x)) == pytest.approx(1 / 4, abs=1e-2)
    ring = -np.abs(np.hypot(x, y) - 0.5)
    # within the ring 1/2 - r is missing along either axis, pi / 24 in all, of an area of 4
    assert dents(ring) == pytest.approx(math.pi / 96 / (math.sqrt(2) - 0.5), abs=1e-3)
    assert dents(1e-6 * ring) == pytest.approx(dents(ring), rel=1e-6)


def test_a_level_surface_and_its_rim_have_no_peak_that_counts() -> None:
    assert not peaks(np.zeros((5, 5))).any()
    rim = np.zeros((5, 5))
    rim[0, 2] = 1.0
    assert peaks(rim)[0, 2]
    line = np.linspace(-1, 1, 5)
    assert not resolved(line, line, rim, np.array([[0.0, -1.0], [0.0, 9.0]])).any()


# --- gradients and weights


def test_the_gradients_of_a_chain_of_linear_layers_are_products_of_its_weights() -> None:
    """With weights c on a diagonal and no bias, the gradient in activation k is c times that in activation k + 1."""
    config = override(BASE, {"discriminator": MLPDiscriminator(depth=4, width=2, activation="leaky_relu")})
    sitter = sitting(config)
    with torch.no_grad():
        for layer in sitter.state.discriminator.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(1e-9 * torch.eye(2)[: layer.out_features])
                layer.bias.fill_(1.0)  # so that every unit is on its linear side
    taken = ActivationGradients().take(sitter)
    norm = taken.arrays["norm"]
    assert taken.arrays["layer"].tolist() == [1, 2, 3, 4, 5]
    # the loss is a difference of means over 512 examples: each score has 1/512
    assert norm[-1] == pytest.approx(math.sqrt(2 * 512) / 512, rel=1e-5)
    assert norm[:-1] / norm[1:] == pytest.approx(np.full(4, 1e-9), rel=1e-4)
    assert taken.numbers["activation_gradient_slope"] == pytest.approx(9 * math.log(10), rel=1e-5)


def test_the_slope_is_that_of_the_natural_logarithm_and_0_norms_are_finite() -> None:
    assert log_slope(np.exp(-0.3 * np.arange(7))) == pytest.approx(-0.3)
    assert math.isfinite(log_slope(np.zeros(4)))


def test_weights_at_the_bound_are_counted_and_biases_are_not() -> None:
    clipped = override(BASE, {"constraint": WeightClip(bound=0.5)})
    taken = WeightHistograms(bins=4).take(sitting(clipped, weights=(0.5, 0.1)))
    assert taken.numbers["weights_at_bound"] == 0.5
    assert taken.arrays["at_bound"].tolist() == [0.5]
    assert taken.arrays["bound"] == 0.5
    assert taken.arrays["edges"] == pytest.approx([-0.5, -0.25, 0, 0.25, 0.5])
    assert taken.arrays["counts"].tolist() == [[0, 0, 1, 1]]
    free = WeightHistograms().take(sitting(weights=(0.5, 0.1)))
    assert "weights_at_bound" not in free.numbers
    assert math.isnan(free.arrays["bound"])


def test_kurtosis_tells_two_points_from_a_uniform_and_a_normal_distribution() -> None:
    assert kurtosis(np.array([-1.0, 1.0] * 50)) == pytest.approx(-2)
    assert kurtosis(np.linspace(-1, 1, 10_001)) == pytest.approx(-1.2, abs=1e-3)
    draws = np.random.default_rng(0).normal(size=200_000)
    assert kurtosis(draws) == pytest.approx(0, abs=4 * math.sqrt(24 / 200_000))
    assert math.isnan(kurtosis(np.ones(3)))


# --- divergences


def test_the_best_discriminator_estimates_the_divergences_in_closed_form() -> None:
    """Between N(-1, 1) and N(1, 1): KL = 2, TV = erf(1 / sqrt 2), and JS below both by quadrature; score = -2 x."""
    fake = TwoGaussians(mean=(1.0,), std=1.0, fake_mean=(-1.0,))
    gauss = override(BASE, {"data": TwoGaussians(mean=(-1.0,)), "generator": FixedAt(density=fake), "loss": Minimax()})
    taken = EstimatedDivergences(points=20_000).take(sitting(gauss, weights=(-2.0,), num=20_000))
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    p, q = (density.log_density(x).exp() for density in (gauss.data, fake))
    m = (p + q) / 2
    js = (((p * (p / m).log() + q * (q / m).log()) / 2).sum() * 24 / 20_000).item()
    assert taken.numbers["estimated_js"] == pytest.approx(js, abs=0.01)
    assert taken.numbers["estimated_tv"] == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.015)
    assert taken.numbers["estimated_kl"] == pytest.approx(2, abs=0.15)
    # an indifferent discriminator claims nothing, and a critic is not asked
    nothing = EstimatedDivergences().take(sitting(gauss, weights=(0.0,))).numbers
    assert nothing == pytest.approx({"estimated_js": 0, "estimated_kl": 0, "estimated_tv": 0}, abs=1e-12)
    assert EstimatedDivergences().take(sitting()).numbers == {}


# --- what may be asked, and when


@pytest.mark.parametrize(("frames", "kept"), [(None, [2, 4, 6, 8, 10, 12]), (1, [12]), (3, [4, 8, 12]), (99, 6)])
def test_frames_are_spread_evenly_over_the_trial(frames: int | None, kept: Any) -> None:
    due = [step for step in range(2, 13, 2) if CriticSurface(frames=frames).due(step, BASE)]
    assert due == kept or len(due) == kept


def test_a_portrait_changes_no_number_of_the_training() -> None:
    data = BASE.data.open(CPU)
    losses = []
    for portrayed in (False, True):
        state = TrainState.build(BASE, shape=data.shape, device=CPU)
        found = []
        for step in train(BASE, state, data, CPU):
            found.append(step.scalars)
            if portrayed:
                sitter = Sitter(BASE, state, data, sample(BASE, state, 100, CPU, data=data), CPU)
                every = (CriticSurface(points=5), ActivationGradients(), WeightHistograms(), EstimatedDivergences())
                take_all(every, sitter, step.step)
        losses.append(found)
    assert losses[0] == losses[1]


def test_data_that_cannot_be_portrayed_are_refused() -> None:
    with pytest.raises(ValueError, match="one or two coordinates, not of shape"):
        CriticSurface().check(BASE, (1, 16, 16))
    with pytest.raises(ValueError, match="needs points of the plane"):
        SampleClouds().check(BASE, (1,))
    with pytest.raises(ValueError, match="points = 2 must be a whole number >= 3"):
        CriticSurface(points=2)


def test_a_portrait_that_overflows_does_not_make_a_run_diverged() -> None:
    rows = [{"step": 1, "surface_slope_mean": math.inf, "weights_kurtosis": math.nan, "estimated_kl": math.inf}]
    rows[0]["activation_gradient_slope"] = math.nan
    assert Diverged().judge(Stream(rows)) is None


# --- from the worker to the reader


def frame(value: float) -> bytes:
    return Taken({}, {"value": np.full((2, 3), value)}).packed()


def test_frames_are_kept_in_order_and_one_that_comes_again_replaces_the_first(tmp_path: Path) -> None:
    folder = TrialDir(tmp_path)
    for step, value in ((2, 1.0), (4, 2.0), (4, 3.0), (6, 4.0)):
        folder.portray("surface", step, frame(value), keep=True)
    with np.load(tmp_path / "portrait-surface.npz") as found:
        assert found["step"].tolist() == [2, 4, 6]
        assert found["value"][:, 0, 0].tolist() == [1, 3, 4]
        assert found["value"].shape == (3, 2, 3)
    # a machine that lost its power goes back, and what came after is taken again
    folder.portray("surface", 4, frame(5.0), keep=True)
    with np.load(tmp_path / "portrait-surface.npz") as found:
        assert found["step"].tolist() == [2, 4]
    folder.portray("surface", 6, frame(6.0), keep=False)
    with np.load(tmp_path / "portrait-surface.npz") as found:
        assert found["step"].tolist() == [6]


def test_equal_arrays_are_equal_files() -> None:
    assert frame(1.0) == frame(1.0) != frame(2.0)


STUDY = '''"""Is it portrayed?"""

from gansweep import Adam, CriticSurface, EarthMover, GaussianRing, MLPDiscriminator, RealPlusNoise, SampleClouds
from gansweep import Study, TrialConfig, Wasserstein, WeightClip

study = Study(
    name="portrayed",
    question="Is it portrayed?",
    source="tests",
    baseline=TrialConfig(
        data=GaussianRing(),
        generator=RealPlusNoise(),
        discriminator=MLPDiscriminator(depth=2, width=8),
        loss=Wasserstein(),
        generator_optimizer=Adam(),
        discriminator_optimizer=Adam(),
        batch_size=8,
        steps=8,
        report_every=2,
        evaluate_every=2,
    ),
    axes={"constraint": {"none": {}, "clip": {"constraint": WeightClip()}}},
    metrics=(EarthMover(num_samples=100),),
    rules=(),
    portraits=(CriticSurface(points=8), SampleClouds(points=20, frames=2)),
)
'''


def test_portraits_reach_the_reader_and_a_second_launch_leaves_them(
    tmp_path: Path, as_home: Callable[[Path], Path]
) -> None:
    file, home = tmp_path / "portrayed.py", as_home(tmp_path / "home")
    file.write_text(STUDY)
    settings = Settings(home=home, executor="inline")
    swept = sweep(Selection(file=str(file)), settings)
    results = records.read(settings.uri, swept.run)
    for trial in results.trials["trial"]:
        surface, clouds = results.portraits(trial, "surface"), results.portraits(trial, "samples")
        assert surface["step"].tolist() == [8]
        assert surface["value"].shape == (1, 8, 8)
        assert clouds["step"].tolist() == [4, 8]
        assert clouds["samples"].shape == (2, 20, 2)
        assert results.portraits(trial, "weights") == {}
    assert results.portraits("unknown", "surface") == {}
    assert results.steps["surface_slope_mean"].notna().all()
    before = {path: path.read_bytes() for path in sorted(home.rglob("portrait-*.npz"))}
    assert len(before) == 8  # in the trials' folders and with their runs
    assert sweep(Selection(file=str(file)), settings).complete
    assert {path: path.read_bytes() for path in sorted(home.rglob("portrait-*.npz"))} == before


def test_a_study_without_portraits_has_the_design_that_it_had_and_ids_never_know_them(tmp_path: Path) -> None:
    file = tmp_path / "portrayed.py"
    file.write_text(STUDY)
    with_them = load_study(file)
    file.write_text(STUDY.replace("portraits=(CriticSurface(points=8), SampleClouds(points=20, frames=2)),", ""))
    without = load_study(file)
    assert isinstance(without, Study)
    assert "portraits" not in without.plan().design()
    assert "portraits" in with_them.plan().design()
    assert [trial.id for trial in with_them.plan()] == [trial.id for trial in without.plan()]


def test_two_portraits_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "portrayed.py"
    file.write_text(STUDY.replace("SampleClouds(points=20, frames=2)", "CriticSurface(points=9)"))
    with pytest.raises(ValueError, match="two portraits that are kept as 'surface'"):
        load_study(file)


def test_lines_have_no_density_to_draw() -> None:
    lines = override(BASE, {"data": ParallelLines(), "generator": FixedAt(density=ParallelLines(theta=1.0))})
    assert "p" not in CriticSurface(points=5).take(sitting(lines)).arrays
