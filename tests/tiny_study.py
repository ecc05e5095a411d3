"""Does the machinery carry a study whose trials take a second?

design  Two small networks under three arms; the third has a learning rate that no training survives.
"""

from gansweep import (
    Adam,
    BelowScore,
    Collapsed,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    GradientPenalty,
    InceptionScore,
    NonSaturating,
    OutcomeTable,
    Preset,
    SampleGrids,
    Study,
    TrainedClassifier,
    TrialConfig,
    Wasserstein,
    choice,
)

study = Study(
    name="tiny",
    question="Does the machinery carry a study whose trials take a second?",
    source="tests",
    baseline=TrialConfig(
        data=Digits(size=16, limit=256),
        generator=DCGANGenerator(width=2),
        discriminator=DCGANDiscriminator(width=2, norm="layer"),
        loss=NonSaturating(),
        generator_optimizer=Adam(lr=1e-3),
        discriminator_optimizer=Adam(lr=1e-3),
        batch_size=16,
        steps=12,
        report_every=2,
        evaluate_every=4,
    ),
    space={"generator.activation": choice("relu", "tanh"), "generator.normalised": choice(True, False)},
    draws=2,
    axes={
        "objective": {
            "gan": {"loss": NonSaturating(), "constraint": None, "n_critic": 1},
            "wgan_gp": {"loss": Wasserstein(), "constraint": GradientPenalty(), "n_critic": 2},
            "wild": {"loss": Wasserstein(), "discriminator_optimizer.lr": 1e30},
        }
    },
    metrics=(InceptionScore(num_samples=64, classifier=TrainedClassifier(width=4, epochs=1)),),
    thresholds=(1.0, 1.5),
    rules=(Diverged(), Collapsed(limit=1.001), BelowScore(minimum=1.01)),
    presets={
        "smoke": Preset(description="As declared."),
        "long": Preset(description="Long enough to be interrupted.", overrides={"steps": 160, "evaluate_every": 40}),
    },
    report=(OutcomeTable(), SampleGrids(per_arm=1)),
)
