"""Does a study survive what can befall its workers?

design  Points on a ring and two small networks, so that a trial takes a second. The metric does what a file in the
        folder GANSWEEP_TROUBLE says: whoever takes the file away, at the third evaluation of its process or later,
        suffers it, for real.
"""

import os
import signal
import time
from pathlib import Path

from gansweep import (
    Adam,
    BelowScore,
    Diverged,
    GaussianRing,
    Latent,
    MLPDiscriminator,
    MLPGenerator,
    ModeCoverage,
    NonSaturating,
    OutcomeTable,
    Preset,
    Study,
    TrialConfig,
    Wasserstein,
    choice,
)
from gansweep.parts import part

evaluations = []


@part
class Troubled(ModeCoverage):
    """Counts the modes, and gets into trouble."""

    def measure(self, subject, judge):
        evaluations.append(time.monotonic())
        folder = os.environ.get("GANSWEEP_TROUBLE")
        for what in ("stop", "loop", "allocate"):
            if folder and len(evaluations) > 2 and (file := Path(folder, what)).exists():
                megabytes = int(file.read_text() or 0)
                file.rename(file.with_suffix(".taken"))
                file.with_suffix(".taken").write_text(f"{os.getpid()} {time.time()}")
                getattr(self, what)(megabytes)
        return super().measure(subject, judge)

    def stop(self, _):
        os.kill(os.getpid(), signal.SIGSTOP)

    def loop(self, _):
        while True:
            time.sleep(0.01)

    def allocate(self, megabytes):
        """More than Ray's memory monitor allows on this machine, and no more than so many megabytes."""
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        threshold = float(os.environ["RAY_memory_usage_threshold"])  # noqa: SIM112 - as Ray calls it
        used = kilobytes["MemTotal"] - kilobytes["MemAvailable"]
        over = int(threshold * kilobytes["MemTotal"]) - used + 300_000
        block = bytearray(min(over, megabytes << 10) << 10)
        block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
        time.sleep(120)


study = Study(
    name="ring",
    question="Does a study survive what can befall its workers?",
    source="tests",
    baseline=TrialConfig(
        data=GaussianRing(),
        generator=MLPGenerator(depth=2, width=16),
        discriminator=MLPDiscriminator(depth=2, width=16),
        loss=NonSaturating(),
        generator_optimizer=Adam(),
        discriminator_optimizer=Adam(),
        latent=Latent(size=4),
        batch_size=16,
        steps=200,
        report_every=10,
        evaluate_every=20,
    ),
    space={"generator.activation": choice("relu", "tanh")},
    draws=2,
    axes={
        "objective": {
            "gan": {"loss": NonSaturating()},
            "wild": {"loss": Wasserstein(), "discriminator_optimizer.lr": 1e30},
        }
    },
    metrics=(Troubled(num_samples=200),),
    thresholds=(1.0,),
    rules=(Diverged(), BelowScore(score="modes_captured", minimum=0.5)),
    presets={
        "smoke": Preset(description="As declared."),
        "long": Preset(description="A few states long.", overrides={"steps": 400}),
        "longer": Preset(
            description="Long enough to be interrupted.",
            overrides={"steps": 900, "report_every": 30, "evaluate_every": 60},
        ),
        "longest": Preset(
            description="Long enough for a machine to be taken away.",
            overrides={"steps": 3000, "report_every": 30, "evaluate_every": 60},
        ),
    },
    report=(OutcomeTable(),),
)
