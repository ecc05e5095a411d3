"""What a worker does around the loop, without Ray and without a tracking store."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from gansweep import GradientPenalty, MLPDiscriminator, MLPGenerator, Wasserstein
from gansweep.data.densities import GaussianRing
from gansweep.launch.worker import Assignment, Report, Worker, Workplace
from gansweep.parts import content_id, override
from gansweep.selection import Selection
from gansweep.training import TrainState, penalty_parity, train
from gansweep.trial import TrialConfig

CPU = torch.device("cpu")
STUDY = '''"""Does a worker fall back?"""

from gansweep import Adam, GaussianRing, GradientPenalty, Latent, MLPDiscriminator, MLPGenerator, ModeCoverage
from gansweep import Study, TrialConfig, Wasserstein

study = Study(
    name="ring",
    question="Does a worker fall back?",
    source="tests",
    baseline=TrialConfig(
        data=GaussianRing(),
        generator=MLPGenerator(depth=2, width=8),
        discriminator=MLPDiscriminator(depth=3, width=8, normalised=True, norm="batch"),
        loss=Wasserstein(),
        constraint=GradientPenalty(allow_batch_norm=True),
        generator_optimizer=Adam(),
        discriminator_optimizer=Adam(),
        latent=Latent(size=2),
        batch_size=8,
        steps=4,
        report_every=2,
        evaluate_every=2,
    ),
    axes={"penalty": {"compiled": {"compile_penalty": True}, "eager": {"compile_penalty": False}}},
    metrics=(ModeCoverage(num_samples=100),),
    rules=(),
)
'''


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    file = tmp_path / "ring.py"
    file.write_text(STUDY)
    (tmp_path / "trials").mkdir()
    key = content_id(GaussianRing())
    return Worker(Workplace(Selection(file=str(file)), str(tmp_path), {key: None}, {key: (None,)}, "cpu"))


def run(worker: Worker, arm: str) -> list[Report]:
    trial = next(trial for trial in worker.study.plan() if trial.arm == arm)
    worker.states.take(trial.id, 1)
    return list(worker.run(Assignment(trial.id, arm, {}, trial.config.seed, attempt=1, recorded_step=0)))


def numbers(report: Report) -> dict[str, Any]:
    assert report.row is not None
    timings = ("seconds", "time_ms", "evaluate_seconds", "record_seconds")
    return {name: value for name, value in report.row.items() if name not in timings}


def test_T_19_a_penalty_that_cannot_be_compiled_is_computed_eagerly_with_a_warning(worker: Worker) -> None:
    compiled, eager = run(worker, "compiled"), run(worker, "eager")
    assert [report.failure for report in compiled] == [None, None]
    assert compiled[0].note is not None
    assert "it would move the running statistics" in compiled[0].note
    assert "without torch.compile" in compiled[0].note
    assert [report.note for report in (*compiled[1:], *eager)] == [None] * 3
    assert [numbers(report) for report in compiled] == [numbers(report) for report in eager]


def test_T_19_the_check_is_made_once_for_a_pair_of_networks(worker: Worker) -> None:
    run(worker, "compiled")
    (reason,) = worker._parities.values()
    assert reason is not None
    worker._parities = dict.fromkeys(worker._parities, "remembered")
    again = dataclasses.replace(worker.study, seed=1)
    worker.study = again
    assert "remembered" in str(run(worker, "compiled")[0].note)


def test_scores_pictures_and_states_of_points_are_written_like_those_of_images(worker: Worker) -> None:
    reports = run(worker, "eager")
    row = numbers(reports[-1])
    assert {"modes_captured", "high_quality", "reverse_kl", "loss_generator", "penalty"} <= set(row)
    assert reports[-1].samples is not None
    assert reports[-1].samples.startswith(b"\x89PNG")


@pytest.mark.slow
def test_T_19_a_compiled_penalty_trains_like_the_eager_one() -> None:
    from gansweep import Adam, Latent

    config = TrialConfig(
        data=GaussianRing(),
        generator=MLPGenerator(depth=2, width=8),
        discriminator=MLPDiscriminator(depth=3, width=8),
        loss=Wasserstein(),
        constraint=GradientPenalty(),
        generator_optimizer=Adam(),
        discriminator_optimizer=Adam(),
        latent=Latent(size=2),
        batch_size=8,
        steps=20,
        report_every=10,
        evaluate_every=10,
    )
    data = GaussianRing().open(CPU)
    losses = []
    for compiled in (False, True):
        state = TrainState.build(override(config, {"compile_penalty": compiled}), shape=(2,), device=CPU)
        if compiled:
            assert penalty_parity(config, state, data, CPU) is None
        losses.append([step.scalars for step in train(config, state, data, CPU, compiled=compiled)])
    for eager, other in zip(*losses, strict=True):
        assert other == pytest.approx(eager, rel=1e-3, abs=1e-5)


def test_a_state_is_saved_of_what_was_taken_and_never_of_what_is_on_its_way(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gansweep.launch.worker.STATE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("gansweep.launch.worker.STATE_MAX_SHARE", float("inf"))
    trial = next(trial for trial in worker.study.plan() if trial.arm == "eager")
    worker.states.take(trial.id, 1)
    reports = worker.run(Assignment(trial.id, "eager", {}, trial.config.seed, attempt=1, recorded_step=0))
    first = next(reports)
    last = reports.send(True)  # go on, the first is on its way
    assert worker.states.load(trial.id, CPU) is None
    assert next(reports, None) is None  # both are taken
    assert [report.row["step"] for report in (first, last) if report.row] == [2, 4]
    saved = worker.states.load(trial.id, CPU)
    assert saved is not None
    assert saved["train"]["step"] == 4
