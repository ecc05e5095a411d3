"""Are failing runs named for what is wrong with them, where the right answer is known in closed form?

design  As in failure_modes, on the ring of eight Gaussians: what a generator misses is counted, not judged by a
        classifier. Points can be NaN, which images cannot.
after   The failures are those that the papers compared here report; the protocol is ours.
run     gansweep launch studies/failure_modes_toy.py, then docs/results/failure_modes/collect.py for the table of names.
took    laptop: 31 minutes for 133 runs, one at a time on a busy machine.
found   laptop: 62 of 63 planted failures are named right, all are found, and none of 63 healthy runs is called failed.
        See docs/results/failure_modes.md.
"""

from gansweep import (
    SGD,
    Adam,
    BelowScore,
    DRAGANPenalty,
    GaussianRing,
    GradientPenalty,
    Hinge,
    Latent,
    LeastSquares,
    MLPDiscriminator,
    MLPGenerator,
    ModeCoverage,
    NonSaturating,
    OutcomeFlow,
    Preset,
    RMSProp,
    SampleGrids,
    SpoiltRing,
    Study,
    TrialConfig,
    VerdictMatrix,
    Wasserstein,
    WeightClip,
    ZeroCentredPenalty,
    choice,
    detectors,
)

r1 = dict(  # noqa: C408
    loss=NonSaturating(),
    constraint=ZeroCentredPenalty(gamma=0.05),
    n_critic=1,
    generator_optimizer=Adam(lr=1e-3, beta1=0.0, beta2=0.99),
    discriminator_optimizer=Adam(lr=4e-3, beta1=0.0, beta2=0.99),
)

gan = {**r1, "constraint": None}

lsgan_gp = {**r1, "loss": LeastSquares(), "constraint": GradientPenalty(weight=0.01)}

wgan_gp = dict(  # noqa: C408
    loss=Wasserstein(),
    constraint=GradientPenalty(weight=0.1),
    n_critic=2,
    generator_optimizer=Adam(lr=1e-3, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=2e-3, beta1=0.0, beta2=0.9),
)

wgan_clip = dict(  # noqa: C408
    loss=Wasserstein(),
    constraint=WeightClip(bound=10.0),
    n_critic=5,
    generator_optimizer=SGD(lr=1e-2),
    discriminator_optimizer=RMSProp(lr=1e-2),
)

# Adam divides by the root of the gradients' square plus eps, so a rate this small moves nothing
still = 1e-30

baseline = TrialConfig(
    data=GaussianRing(std=0.1),
    generator=MLPGenerator(depth=3, width=64),
    discriminator=MLPDiscriminator(depth=3, width=64),
    latent=Latent(size=8),
    batch_size=128,
    steps=300,
    report_every=5,
    evaluate_every=10,
    **r1,
)

study = Study(
    name="failure_modes_toy",
    question="Are failing runs named for what is wrong with them, where the right answer is known in closed form?",
    source="the failures that Arjovsky et al. 2017, Gulrajani et al. 2017 and Mescheder et al. 2018 report",
    baseline=baseline,
    space={
        "generator.activation": choice("relu", "leaky_relu", "elu"),
        "discriminator.activation": choice("relu", "leaky_relu"),
        "generator.width": choice(64, 96),
        "discriminator.width": choice(64, 96),
    },
    draws=7,
    axes={
        "planted": {
            "healthy-gan": gan,
            "healthy-gan_average": {**gan, "ema_decay": 0.9},
            "healthy-r1": r1,
            "healthy-gan_gp": {**r1, "constraint": GradientPenalty(weight=0.01)},
            "healthy-dragan": {**r1, "constraint": DRAGANPenalty(weight=0.01, noise="uniform11")},
            "healthy-lsgan": {**gan, "loss": LeastSquares()},
            "healthy-lsgan_gp": lsgan_gp,
            "healthy-hinge": {**gan, "loss": Hinge()},
            "healthy-hinge_gp": {**r1, "loss": Hinge(), "constraint": GradientPenalty(weight=0.01)},
            "healthy-wgan_gp": wgan_gp,
            "rate-r1": {**r1, "generator_optimizer.lr": 1.0, "discriminator_optimizer.lr": 1.0},
            "rate-wgan_gp": {**wgan_gp, "generator_optimizer.lr": 1.0, "discriminator_optimizer.lr": 1.0},
            "unpenalised-wgan_gp": {
                **wgan_gp,
                "constraint": None,
                "n_critic": 5,
                "generator_optimizer": SGD(lr=1e-2),
                "discriminator_optimizer.lr": 1e-2,
            },
            "wide_clip-wgan_clip": wgan_clip,
            "idle_discriminator-lsgan_gp": {**lsgan_gp, "discriminator_optimizer.lr": still},
            "frozen_generator-wgan_gp": {**wgan_gp, "generator_optimizer.lr": still},
            "constant_latent-lsgan_gp": {**lsgan_gp, "latent.distribution": "constant"},
            "two_points-wgan_gp": {**wgan_gp, "latent.distribution": "constant", "latent.categorical": (2,)},
            "nan_data-r1": {**r1, "data": SpoiltRing(std=0.1, nan_share=2e-4)},
        },
    },
    metrics=(ModeCoverage(num_samples=1_000),),
    thresholds=(1.0, 3.0, 5.0),
    rules=(
        *detectors("modes_captured", alike=0, untrained=1),
        BelowScore(score="modes_captured", minimum=5.0),
    ),
    audit_fraction=1.0,
    presets={
        "smoke": Preset(
            description="One pair of networks and 30 iterations: shows that the machinery works.",
            overrides={"steps": 30},
            draws=1,
        ),
        "laptop": Preset(description="The study as declared: small networks on points of the plane."),
        "paper": Preset(
            description="Twenty pairs of networks in place of the laptop's few, each four times as long; no paper "
            "publishes such a table.",
            overrides={"steps": 1_200},
            draws=20,
        ),
    },
    # no table of scores: the arms' scores are made in different ways (averaged weights, spoilt data)
    report=(VerdictMatrix(), OutcomeFlow(), SampleGrids(per_arm=2)),
)
