"""Are failing runs named for what is wrong with them?

design  Every arm carries one planted failure, or none, under one objective; a cell is a pair of small networks with a
        seed. No rule stops a run that is still finite, so that each finding can be held against what was planted. What
        counts as the right name for each plant was written down beforehand, in docs/results/failure_modes/collect.py.
after   The failures are those that the papers compared here report; the protocol is ours.
run     gansweep launch studies/failure_modes.py, then docs/results/failure_modes/collect.py for the table of names.
took    laptop: 38 minutes for 88 runs, one at a time on a busy machine.
found   laptop, with failure_modes_toy: 106 of 107 planted failures are named right, all are found, and none of 104
        healthy runs is called failed; stopping at the first finding saves 80% of a failing run's iterations (median).
        See docs/results/failure_modes.md.
"""

from gansweep import (
    ACGAN,
    SGD,
    Adam,
    BelowScore,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    DRAGANPenalty,
    GradientPenalty,
    Hinge,
    InceptionScore,
    Latent,
    LeastSquares,
    Minimax,
    NonSaturating,
    OutcomeFlow,
    Preset,
    RMSProp,
    SampleGrids,
    Study,
    TrainedClassifier,
    TrialConfig,
    VerdictMatrix,
    Wasserstein,
    WeightClip,
    ZeroCentredPenalty,
    choice,
    detectors,
)

adam = Adam(lr=2e-3, beta1=0.5, beta2=0.999)

gan = dict(  # noqa: C408
    loss=NonSaturating(),
    constraint=None,
    n_critic=1,
    generator_optimizer=adam,
    discriminator_optimizer=adam,
)

lsgan = {**gan, "loss": LeastSquares()}

hinge = {**gan, "loss": Hinge(), "discriminator.norm": "spectral"}

r1 = {**gan, "constraint": ZeroCentredPenalty(gamma=1.0), "discriminator.norm": "layer"}

wgan_gp = dict(  # noqa: C408
    loss=Wasserstein(),
    constraint=GradientPenalty(weight=10.0),
    n_critic=2,
    generator_optimizer=Adam(lr=2e-3, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=2e-3, beta1=0.0, beta2=0.9),
)
wgan_gp["discriminator.norm"] = "layer"

wgan_clip = dict(  # noqa: C408
    loss=Wasserstein(),
    constraint=WeightClip(bound=0.05),
    n_critic=3,
    generator_optimizer=RMSProp(lr=1e-3),
    discriminator_optimizer=RMSProp(lr=1e-3),
)

# Adam divides by the root of the gradients' square plus eps, so a rate this small moves nothing
still = 1e-30

baseline = TrialConfig(
    data=Digits(size=16),
    generator=DCGANGenerator(stages=2, width=12, kernel_size=3),
    discriminator=DCGANDiscriminator(stages=2, width=12, kernel_size=3),
    latent=Latent(size=16),
    batch_size=32,
    steps=200,
    report_every=5,
    evaluate_every=10,
    **gan,
)

study = Study(
    name="failure_modes",
    question="Are failing runs named for what is wrong with them?",
    source="the failures that Arjovsky et al. 2017, Gulrajani et al. 2017 and Mescheder et al. 2018 report",
    baseline=baseline,
    space={
        "generator.activation": choice("relu", "leaky_relu", "softplus"),
        "discriminator.activation": choice("relu", "leaky_relu"),
        "generator.depth": choice(3, 4),
        "generator.width": choice(12, 16),
        "discriminator.width": choice(12, 16),
    },
    draws=4,
    axes={
        "planted": {
            "healthy-gan": gan,
            "healthy-gan_average": {**gan, "ema_decay": 0.9},
            "healthy-r1": r1,
            "healthy-dragan": {**r1, "constraint": DRAGANPenalty(weight=1.0, noise="uniform11")},
            "healthy-lsgan": lsgan,
            "healthy-lsgan_pearson": {**gan, "loss": LeastSquares(a=-1.0, b=1.0, c=0.0)},
            "healthy-hinge": hinge,
            "healthy-wgan_gp": wgan_gp,
            "healthy-wgan_clip": wgan_clip,
            "healthy-cgan": {**gan, "generator.condition": "input", "discriminator.condition": "input"},
            "healthy-acgan": {**gan, "loss": ACGAN(), "generator.condition": "input"},
            "rate-gan": {**gan, "generator_optimizer.lr": 1.0, "discriminator_optimizer.lr": 1.0},
            "rate-lsgan": {**lsgan, "generator_optimizer.lr": 1.0, "discriminator_optimizer.lr": 1.0},
            "overflow-lsgan": {**lsgan, "generator_optimizer.lr": 1e30, "discriminator_optimizer.lr": 1e30},
            "unpenalised-wgan_gp": {
                **wgan_gp,
                "constraint": None,
                "generator_optimizer": SGD(lr=0.1),
                "discriminator_optimizer.lr": 1e-2,
            },
            "wide_clip-wgan_clip": {
                **wgan_clip,
                "constraint": WeightClip(bound=10.0),
                "generator_optimizer": SGD(lr=0.1),
                "discriminator_optimizer.lr": 1e-2,
            },
            "idle_discriminator-gan": {**gan, "discriminator_optimizer.lr": still},
            "idle_discriminator-wgan_gp": {**wgan_gp, "discriminator_optimizer.lr": still},
            "frozen_generator-lsgan": {**lsgan, "generator_optimizer.lr": still},
            "constant_latent-r1": {**r1, "latent.distribution": "constant"},
            "two_points-hinge": {**hinge, "latent.distribution": "constant", "latent.categorical": (2,)},
            "overpowered-minimax": {
                **gan,
                "loss": Minimax(),
                "n_critic": 5,
                "discriminator_optimizer": Adam(lr=1e-2, beta1=0.5, beta2=0.999),
            },
        },
    },
    metrics=(InceptionScore(num_samples=300, classifier=TrainedClassifier(width=8, epochs=10)),),
    thresholds=(2.4, 3.0, 4.0),
    rules=(*detectors(), BelowScore(minimum=2.4)),
    audit_fraction=1.0,
    presets={
        "smoke": Preset(
            description="One pair of networks and 20 iterations: shows that the machinery works.",
            overrides={"steps": 20},
            draws=1,
        ),
        "laptop": Preset(description="The study as declared: small networks on 16x16 digits."),
        "paper": Preset(
            description="Twenty pairs of networks in place of the laptop's few, each four times as long; no paper "
            "publishes such a table.",
            overrides={"steps": 800},
            draws=20,
        ),
    },
    # no table of scores: those of averaged weights are made in another way than the others
    report=(VerdictMatrix(), OutcomeFlow(), SampleGrids(per_arm=2)),
)
