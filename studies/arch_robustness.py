"""Does WGAN-GP train architectures that the standard GAN cannot?

design  Random architectures from the set of Table 1; each is trained by both objectives from the same initial weights,
        data order and noise. A success is a final Inception Score above a threshold, for seventeen thresholds.
after   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", section 5.1, Tables 1, 2 and 5, appendix B.
run     gansweep launch studies/arch_robustness.py
took    laptop: 18 minutes on two CPU cores for 24 architectures x 2 arms on digits.
found   laptop, digits: a score above 3 is reached only by WGAN-GP in 19 of 24 architectures, only by the standard GAN
        in none, by both in 1 (exact McNemar p = 4e-6). On four architectures of CIFAR-10 nothing is decided: no run of
        either arm gets far in 250 iterations. See docs/results/.
"""

from gansweep import (
    Adam,
    Audit,
    BelowScore,
    Collapsed,
    Confounders,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    Exploding,
    FactorEffects,
    Frozen,
    GradientPenalty,
    ImageNet32,
    InceptionScore,
    NonSaturating,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    Preset,
    SampleGrids,
    ScoreCurves,
    Stability,
    Study,
    Survival,
    TrainedClassifier,
    TrialConfig,
    Wasserstein,
    choice,
)

standard_gan = dict(  # noqa: C408
    loss=NonSaturating(),
    constraint=None,
    n_critic=1,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999, weight_decay=1e-3, weight_decay_when="normalised"),
)

wgan_gp = dict(  # noqa: C408
    loss=Wasserstein(),
    constraint=GradientPenalty(weight=10.0),
    n_critic=5,
    generator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9, weight_decay=1e-3, weight_decay_when="normalised"),
)

# a few hundred iterations at the published rates leave both arms at a score of 1; the ratio between the arms stays
tenfold_learning_rates = {
    "gan": {"generator_optimizer.lr": 2e-3, "discriminator_optimizer.lr": 2e-3},
    "wgan_gp": {"generator_optimizer.lr": 1e-3, "discriminator_optimizer.lr": 1e-3},
}

# what stops a trial must be the same for both arms: growth is no measure for it, and only WGAN-GP has a slope to keep
never = float("inf")
broken = (
    Diverged(),
    Exploding(limit=1e5, growth=never, spread=never, slope=never, patience=3),
    Frozen(limit=1e-8, still=1e-30, patience=3),
)

baseline = TrialConfig(
    data=ImageNet32(path="data/imagenet32"),
    generator=DCGANGenerator(extra_layers="middle"),
    discriminator=DCGANDiscriminator(extra_layers="middle"),
    batch_size=64,
    steps=100_000,
    report_every=100,
    evaluate_every=5_000,
    **standard_gan,
)

study = Study(
    name="arch_robustness",
    question="Does WGAN-GP train architectures that the standard GAN cannot?",
    source="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, section 5.1 and appendix B",
    baseline=baseline,
    space={
        "generator.activation": choice("relu", "leaky_relu", "softplus", "tanh"),
        "discriminator.activation": choice("relu", "leaky_relu", "softplus", "tanh"),
        "generator.depth": choice(4, 8, 12, 20),
        "discriminator.depth": choice(4, 8, 12, 20),
        "generator.normalised": choice(True, False),
        "discriminator.normalised": choice(True, False),
        "generator.width": choice(32, 64, 128),
        "discriminator.width": choice(32, 64, 128),
    },
    draws=200,
    axes={
        "objective": {
            "gan": {**standard_gan, "discriminator.norm": "batch"},
            "wgan_gp": {**wgan_gp, "discriminator.norm": "layer"},
        },
    },
    metrics=(InceptionScore(num_samples=50_000, num_splits=10),),
    thresholds=(1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0),
    rules=(*broken, Collapsed(limit=1.1, patience=5, after=50_000), BelowScore(minimum=2.0)),
    audit_fraction=0.2,
    presets={
        "smoke": Preset(
            description="Two small architectures, 16x16 digits, 40 generator iterations at ten times the published "
            "learning rates: shows that the machinery works, and nothing about GANs.",
            overrides={
                "data": Digits(size=16),
                "batch_size": 32,
                "steps": 40,
                "report_every": 10,
                "evaluate_every": 20,
            },
            arms=tenfold_learning_rates,
            space={
                "generator.depth": choice(4, 8),
                "discriminator.depth": choice(4, 8),
                "generator.width": choice(4, 8),
                "discriminator.width": choice(4, 8),
            },
            draws=2,
            metrics=(InceptionScore(num_samples=500, classifier=TrainedClassifier(width=8, epochs=5)),),
            rules=(*broken, BelowScore(minimum=2.0)),
        ),
        "laptop": Preset(
            description="An eighth of the paper's widths, 16x16 digits, batches of 32, and 250 generator iterations at "
            "ten times the published learning rates: orderings can show, the scores are not the paper's.",
            overrides={
                "data": Digits(size=16),
                "batch_size": 32,
                "steps": 250,
                "report_every": 25,
                "evaluate_every": 25,
            },
            arms=tenfold_learning_rates,
            space={
                "generator.width": choice(4, 8, 16),
                "discriminator.width": choice(4, 8, 16),
            },
            draws=24,
            metrics=(InceptionScore(num_samples=2_000, num_splits=1),),
            # slow starters have left a score of 1 as late as half-way, so nothing is stopped before
            rules=(*broken, Collapsed(limit=1.1, patience=4, after=150), BelowScore(minimum=2.0)),
        ),
        "paper": Preset(
            description="The published sizes: 200 architectures, 100,000 generator iterations, 32x32 ImageNet. The "
            "score's classifier is trained on the data; InceptionScore(classifier=Inception2015(...)) is theirs.",
        ),
    },
    report=(
        OutcomeTable(),
        OutcomeFlow(),
        Survival(),
        PairedScores(),
        FactorEffects(),
        ScoreCurves(),
        Stability(),
        SampleGrids(per_arm=3),
        Audit(),
        Confounders(),
    ),
    labels={
        "inception_score": "Inception Score",
        "gan": "Standard GAN",
        "wgan_gp": "WGAN-GP",
        "generator.activation": "Nonlinearity (G)",
        "discriminator.activation": "Nonlinearity (D)",
        "generator.depth": "Depth (G)",
        "discriminator.depth": "Depth (D)",
        "generator.normalised": "Normalisation (G)",
        "discriminator.normalised": "Normalisation (D)",
        "generator.width": "Base filters (G)",
        "discriminator.width": "Base filters (D)",
    },
    caveats=(
        "The authors do not claim that the set of architectures is unbiased or representative; it was designed to show "
        "a regime in which their method succeeds.",
        "The arms differ in more than the loss: optimiser, critic steps and the discriminator's normaliser. Generator "
        "iterations are equal, compute is not.",
        "How depth maps to layers is inferred from the first author's code; the paper does not say.",
        "The Inception Score is that of a classifier trained on the data set itself, not of the 2015 Inception "
        "network, so the thresholds do not mean what they mean in the paper.",
    ),
)
