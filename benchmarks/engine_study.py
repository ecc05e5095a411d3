"""What does the engine add to trials of one second?

design  Small networks on the ring of eight Gaussians, really trained and scored, which then wait: an iteration lasts
        20 ms by the clock, so that the engine is measured and not the contention of two trainings. 50 iterations, 5
        reports, a score and a sample grid with each.
"""

import time
from typing import Any

import torch

from gansweep import (
    Adam,
    BelowScore,
    Diverged,
    Exploding,
    GaussianRing,
    Latent,
    MLPDiscriminator,
    MLPGenerator,
    ModeCoverage,
    NonSaturating,
    Preset,
    Study,
    TrialConfig,
    ZeroCentredPenalty,
    log_uniform,
)
from gansweep.outputs import Output
from gansweep.parts import part


@part
class Paced(NonSaturating):
    """NonSaturating whose iterations last `seconds_per_step` each, counted from the trial's start."""

    seconds_per_step: float = 0.02

    def build(self, device: torch.device) -> Any:
        """The same losses with a clock."""
        return Clocked(self)


class Clocked:
    """The losses of a trial that has started now."""

    def __init__(self, losses: Paced) -> None:
        self.losses, self.began, self.steps = losses, time.monotonic(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.losses, name)

    def after_step(self, real: Output, fake: Output) -> None:
        """Wait until the iteration's time is over."""
        self.steps += 1
        time.sleep(max(0.0, self.began + self.steps * self.losses.seconds_per_step - time.monotonic()))


study = Study(
    name="engine",
    question="What does the engine add to trials of one second?",
    source="benchmarks",
    baseline=TrialConfig(
        data=GaussianRing(std=0.1),
        generator=MLPGenerator(depth=2, width=16),
        discriminator=MLPDiscriminator(depth=2, width=16),
        loss=Paced(),
        generator_optimizer=Adam(lr=1e-3),
        discriminator_optimizer=Adam(lr=1e-3),
        latent=Latent(size=4),
        batch_size=16,
        steps=50,
        report_every=10,
        evaluate_every=10,
    ),
    space={"discriminator_optimizer.lr": log_uniform(1e-4, 1e-2)},
    draws=25,
    axes={"constraint": {"none": {"constraint": None}, "r1": {"constraint": ZeroCentredPenalty(gamma=0.1)}}},
    metrics=(ModeCoverage(num_samples=200),),
    thresholds=(1.0, 3.0),
    rules=(Diverged(), Exploding(), BelowScore(score="modes_captured", minimum=3.0)),
    presets={
        "second": Preset(description="As declared: trials of one second."),
        "wild": Preset(
            description="Learning rates that no training survives: what a trial costs that has diverged.",
            overrides={"generator_optimizer.lr": 1e30},
        ),
    },
)
