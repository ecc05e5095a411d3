"""Does a study come out the same whatever is killed under it?

design  Three arms on the ring of eight Gaussians, one of which diverges at once; a trial lasts some seconds, so that
        every process of a sweep can be killed in its midst.
"""

from gansweep import (
    Adam,
    BelowScore,
    Diverged,
    GaussianRing,
    GradientPenalty,
    Latent,
    MLPDiscriminator,
    MLPGenerator,
    ModeCoverage,
    ModeDropping,
    NonSaturating,
    OutcomeTable,
    Preset,
    Study,
    TrialConfig,
    Wasserstein,
    choice,
)

study = Study(
    name="storm",
    question="Does a study come out the same whatever is killed under it?",
    source="tests",
    baseline=TrialConfig(
        data=GaussianRing(std=0.1),
        generator=MLPGenerator(depth=3, width=64),
        discriminator=MLPDiscriminator(depth=3, width=64),
        loss=NonSaturating(),
        latent=Latent(size=8),
        generator_optimizer=Adam(lr=1e-3, beta1=0.5),
        discriminator_optimizer=Adam(lr=1e-3, beta1=0.5),
        batch_size=128,
        steps=2_000,
        report_every=100,
        evaluate_every=500,
    ),
    space={"generator.activation": choice("relu", "tanh"), "generator.width": choice(48, 56, 64, 72, 80, 96, 112, 128)},
    draws=16,
    axes={
        "objective": {
            "gan": {"loss": NonSaturating(), "constraint": None},
            "wgan_gp": {"loss": Wasserstein(), "constraint": GradientPenalty(weight=0.1)},
            "wild": {"loss": Wasserstein(), "discriminator_optimizer.lr": 1e30},
        }
    },
    metrics=(ModeCoverage(num_samples=1_000),),
    thresholds=(4.0, 7.0),
    rules=(Diverged(), ModeDropping(), BelowScore(score="modes_captured", minimum=4.0)),
    presets={
        "short": Preset(
            description="For a short storm.",
            draws=2,
            overrides={"steps": 1_200, "report_every": 60, "evaluate_every": 300},
        ),
        "long": Preset(description="For thirty kills and more."),
    },
    report=(OutcomeTable(),),
)
