"""Which learning rate and constraint suit a network that trains in a second?

design  One small WGAN whose critic is clipped or penalised; each branch draws its own strength.
"""

from gansweep import (
    TPE,
    Adam,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    GradientPenalty,
    InceptionScore,
    OutcomeFlow,
    Preset,
    Study,
    TrainedClassifier,
    TrialConfig,
    Wasserstein,
    WeightClip,
    choice,
    either,
    log_uniform,
)

study = Study(
    name="tuned",
    question="Which learning rate and constraint suit a network that trains in a second?",
    source="tests",
    baseline=TrialConfig(
        data=Digits(size=16, limit=256),
        generator=DCGANGenerator(width=2),
        discriminator=DCGANDiscriminator(width=2, norm="layer"),
        loss=Wasserstein(),
        generator_optimizer=Adam(lr=1e-3),
        discriminator_optimizer=Adam(lr=1e-3),
        batch_size=16,
        steps=6,
        report_every=2,
        evaluate_every=2,
    ),
    space={
        "discriminator_optimizer.lr": choice(1e-3, 3e-3, 1e30),
        "constraint kind": either(
            clipping={"constraint": WeightClip(), "constraint.bound": log_uniform(1e-3, 0.1)},
            penalty={"constraint": GradientPenalty(), "constraint.weight": log_uniform(0.1, 100), "n_critic": 2},
        ),
    },
    search=TPE(startup=4),
    draws=8,
    axes={"objective": {"wgan": {}}},
    limits={"failures": 0.0},
    metrics=(InceptionScore(num_samples=64, classifier=TrainedClassifier(width=4, epochs=1)),),
    rules=(Diverged(),),
    presets={
        "smoke": Preset(description="As declared."),
        "long": Preset(
            description="Long enough to be interrupted.", overrides={"steps": 24, "evaluate_every": 8}, draws=5
        ),
    },
    report=(OutcomeFlow(),),
)
