"""Which penalty weight, critic steps and optimiser give WGAN-GP its best score?

design  One network and one objective. A tree-structured Parzen estimator searches the wide ranges of a comparison of
        GANs for the penalty's weight, the critic's steps, both learning rates and Adam's betas. Runs whose score falls
        behind are ended by Hyperband. Every candidate has one run, all with the same seed.
after   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", Algorithm 1, whose defaults are a weight of 10,
        five critic steps, a learning rate of 1e-4 and betas of 0 and 0.9; the ranges are those of the first phase of
        Lucic et al. 2018, "Are GANs Created Equal?", by the authors' code.
run     gansweep launch studies/tune_wgan_gp.py
look    optuna-dashboard gansweep-home/studies/tune_wgan_gp-laptop/optuna.journal
took    laptop: 22 minutes on two CPU cores busy with other work.
found   laptop, digits: the best of 48 candidates scores 5.40 (real digits 9.76; one run, one seed); Hyperband ended 29
        early. The ten best take five critic steps and a learning rate of 0.004 to 0.008 for the generator, but after
        Holm's correction no factor's share is beyond chance (smallest p = 0.096, the critic's beta2).
"""

from gansweep import (
    CIFAR10,
    TPE,
    WGAN_GP,
    Collapsed,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    Exploding,
    Frozen,
    Hyperband,
    Importance,
    InceptionScore,
    OutcomeFlow,
    Preset,
    SampleGrids,
    ScoreCurves,
    SearchHistory,
    Study,
    TrainedClassifier,
    TrialConfig,
    choice,
    log_uniform,
    uniform,
)

# what ends a run must be beyond doubt: a search that is told wrong failures avoids what is good
never = float("inf")
broken = (
    Diverged(),
    Exploding(limit=1e5, growth=never, spread=never, slope=never, patience=3),
    Frozen(limit=1e-8, still=1e-30, patience=3),
)

baseline = TrialConfig(
    data=CIFAR10(size=32),
    generator=DCGANGenerator(width=64),
    discriminator=DCGANDiscriminator(width=64, norm="layer"),
    batch_size=64,
    steps=50_000,
    report_every=500,
    evaluate_every=2_500,
    **WGAN_GP,
)

study = Study(
    name="tune_wgan_gp",
    question="Which penalty weight, critic steps and optimiser give WGAN-GP its best score?",
    source="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, Algorithm 1; ranges of Lucic et al. 2018, "
    "Are GANs Created Equal?, first phase",
    baseline=baseline,
    space={
        "constraint.weight": log_uniform(0.1, 100),
        "n_critic": choice(1, 2, 5),
        "generator_optimizer.lr": log_uniform(1e-5, 1e-2),
        "discriminator_optimizer.lr": log_uniform(1e-5, 1e-2),
        "generator_optimizer.beta1": uniform(0.0, 0.99),
        "discriminator_optimizer.beta1": uniform(0.0, 0.99),
        "generator_optimizer.beta2": choice(0.9, 0.99, 0.999),
        "discriminator_optimizer.beta2": choice(0.9, 0.99, 0.999),
    },
    draws=100,
    search=TPE(startup=20),
    pruner=Hyperband(),
    limits={"failures": 0.0},
    axes={"objective": {"wgan_gp": {}}},
    metrics=(InceptionScore(num_samples=10_000, num_splits=1),),
    rules=(*broken, Collapsed(limit=1.1, patience=5, after=25_000)),
    presets={
        "smoke": Preset(
            description="Six candidates of a small network, 16x16 digits, 18 generator iterations: shows that the "
            "machinery works, and nothing about GANs.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 4,
                "discriminator.width": 4,
                "batch_size": 16,
                "steps": 18,
                "report_every": 2,
                "evaluate_every": 2,
            },
            draws=6,
            search=TPE(startup=3),
            metrics=(InceptionScore(num_samples=200, classifier=TrainedClassifier(width=8, epochs=2)),),
            rules=broken,
        ),
        "laptop": Preset(
            description="48 candidates, an eighth of the width, 16x16 digits, batches of 32 and at most 180 generator "
            "iterations, which favours large learning rates: what is best here is not what is best in a full training.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 8,
                "discriminator.width": 8,
                "batch_size": 32,
                "steps": 180,
                "report_every": 10,
                "evaluate_every": 20,
            },
            draws=48,
            search=TPE(startup=12),
            metrics=(InceptionScore(num_samples=1_000, num_splits=1),),
            rules=broken,
        ),
        "paper": Preset(
            description="100 candidates, as many as in the comparison's first phase, on 32x32 CIFAR-10 for at most "
            "50,000 generator iterations.",
        ),
    },
    report=(SearchHistory(), Importance(), OutcomeFlow(), ScoreCurves(), SampleGrids(per_arm=3)),
    labels={
        "inception_score": "Inception Score",
        "wgan_gp": "WGAN-GP",
        "constraint.weight": "penalty weight",
        "n_critic": "critic steps",
        "generator_optimizer.lr": "learning rate (G)",
        "discriminator_optimizer.lr": "learning rate (D)",
        "generator_optimizer.beta1": "beta1 (G)",
        "discriminator_optimizer.beta1": "beta1 (D)",
        "generator_optimizer.beta2": "beta2 (G)",
        "discriminator_optimizer.beta2": "beta2 (D)",
    },
    caveats=(
        "The best of many candidates is chosen by the same noise that it is judged by: its score is too good. The "
        "comparison trains its best candidates anew with 50 seeds; so should whoever uses one from here.",
        "Every candidate has one run with one seed, so a weak candidate may be an unlucky one.",
        "Hyperband compares runs at the same generator iteration: it favours candidates that start fast, and those "
        "with more critic steps, which cost more.",
        "The comparison searches one learning rate and one beta1 for both networks, fixes beta2 at 0.999, takes one "
        "critic step or five, counts steps of the critic, and judges by FID.",
    ),
)
