"""Is a study the same on several machines?

design  Digits and two small networks; one arm asks for a part of a GPU, and for two CPUs in vain, since every trial
        computes on one. A second metric says where a trial ran, and is left out where numbers are compared.
"""

import os
from typing import ClassVar

from gansweep import (
    FID,
    Adam,
    BelowScore,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    GradientPenalty,
    InceptionScore,
    NonSaturating,
    OutcomeTable,
    Preset,
    Resources,
    Study,
    TrainedClassifier,
    TrialConfig,
    Wasserstein,
    choice,
)
from gansweep.parts import part

judge = TrainedClassifier(width=4, epochs=1)


@part
class Place:
    """The process, the GPUs that Ray gave it, and the threads that its libraries may start."""

    num_samples: int = 0
    name: ClassVar[str] = "process"
    columns: ClassVar[tuple[str, ...]] = ("process", "gpus", "threads", "on_node")
    higher_is_better: ClassVar[bool] = True

    def check(self, config, data):
        """Any data will do."""

    def prepare(self, data, cache, device, say):
        """Nothing to prepare."""

    def load(self, data, path, device):
        """Nothing to load."""

    def reference(self, judge, data):
        """Nothing to compare with."""
        return {"name": "none", "hash": "none", "real_score": None}

    def measure(self, subject, judge):
        """Where this is."""
        gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu not in ("", "-1")]
        threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        node = int(os.environ.get("MACHINE", "0"))
        return {"process": os.getpid(), "gpus": len(gpus), "threads": threads, "on_node": node}

    def protocol(self, classifier_hash, *, weights="raw"):
        """Nothing else decides."""
        return {"metric": self.name}


study = Study(
    name="machines",
    question="Is a study the same on several machines?",
    source="tests",
    baseline=TrialConfig(
        data=Digits(size=16, limit=256),
        generator=DCGANGenerator(width=2),
        discriminator=DCGANDiscriminator(width=2, norm="layer"),
        loss=NonSaturating(),
        generator_optimizer=Adam(lr=1e-3),
        discriminator_optimizer=Adam(lr=1e-3),
        batch_size=16,
        steps=40,
        report_every=5,
        evaluate_every=20,
    ),
    space={"generator.activation": choice("relu", "tanh")},
    draws=2,
    axes={
        "objective": {
            "gan": {"loss": NonSaturating(), "constraint": None},
            "wgan_gp": {"loss": Wasserstein(), "constraint": GradientPenalty(), "n_critic": 2},
        }
    },
    resources={"wgan_gp": Resources(cpus=1.5, gpus=0.5, memory_gb=0.01)},
    metrics=(
        InceptionScore(num_samples=64, classifier=judge),
        FID(num_samples=64, num_real=64, classifier=judge),
        Place(),
    ),
    thresholds=(1.0, 1.5),
    rules=(Diverged(), BelowScore(minimum=1.01)),
    presets={
        "smoke": Preset(description="As declared."),
        "long": Preset(description="Long enough to be interrupted.", overrides={"steps": 120}, draws=1),
    },
    report=(OutcomeTable(),),
)
