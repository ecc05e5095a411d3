"""How many critic steps does a generator step need?

design  Two objectives, as published but for the number of critic steps: 1, 2, 5 and 10. Every number runs twice: for
        the same number of generator iterations, and for as many iterations as cost what the published number does (one
        step for the standard GAN, five for WGAN-GP). The clipped WGAN runs where it is asked for. One network; cells
        differ in their seeds, and all arms of a cell share initial weights, data order and noise.
after   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", Algorithm 1 (five steps) and the authors' code
        for text, which has ten and says that five should work; Arjovsky et al. 2017, "Wasserstein GAN", Algorithm 1.
        That both kinds of budget are compared is ours.
run     gansweep launch studies/critic_steps.py
        gansweep launch studies/critic_steps.py --arms wgan_gp_5,wgan_gp_10
agrees  Five steps should be enough: at equal iterations WGAN-GP's score is not more than 5% worse than with ten.
took    laptop: 10 minutes on two cores that also did other things.
found   laptop: at 160 generator steps more critic steps help: WGAN-GP ends at 1.8, 2.8, 3.2 and 3.4 with 1, 2, 5 and
        10 of them (medians of five seeds; real digits score 9.8), the GAN hardly changes. At equal compute the order
        turns round: one critic step and 603 generator steps reach 4.5, five and 160 reach 3.2, ten and 83 reach 1.8.
        Whether five are as good as ten is not decided: 0.07 above 95% of ten (-0.18 to 0.32).
"""

from gansweep import (
    CIFAR10,
    STANDARD_GAN,
    WGAN_CLIP,
    WGAN_GP,
    Audit,
    BelowScore,
    Claims,
    Collapsed,
    Confounders,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    Exploding,
    FreeChoices,
    Frozen,
    InceptionScore,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    Power,
    Preset,
    PublishedNumbers,
    Ranking,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Stability,
    Study,
    Survival,
    TrainedClassifier,
    TrialConfig,
)

never = float("inf")
broken = (
    Diverged(),
    Exploding(limit=1e5, growth=never, spread=never, slope=never, patience=3),
    Frozen(limit=1e-8, still=1e-30, patience=3),
)

gan = {**STANDARD_GAN, "discriminator.norm": "batch"}
wgan_gp = {**WGAN_GP, "discriminator.norm": "layer"}
wgan_clip = {**WGAN_CLIP, "discriminator.norm": "batch"}

# Passes of one network over one batch, forward or backward. A discriminator update has 5 (G, D twice; back through D
# twice), a gradient penalty 4 more (D, back to its input, back through both), a generator update 4 (G, D; back through
# both). With n critic steps an iteration of the GAN has 5 n + 4, one of WGAN-GP 9 n + 4; published are 9 and 49.
published_steps, laptop_steps, smoke_steps = 50_000, 160, 8
of_gan = {"2": 9 / 14, "5": 9 / 29, "10": 9 / 54}
of_wgan_gp = {"1": 49 / 13, "2": 49 / 22, "10": 49 / 94}

tenfold_gan = {"generator_optimizer.lr": 2e-3, "discriminator_optimizer.lr": 2e-3}
tenfold_wgan_gp = {"generator_optimizer.lr": 1e-3, "discriminator_optimizer.lr": 1e-3}
tenfold_wgan_clip = {"generator_optimizer.lr": 5e-4, "discriminator_optimizer.lr": 5e-4}
tenfold_learning_rates = {
    "gan_1": tenfold_gan,
    "gan_2": tenfold_gan,
    "gan_5": tenfold_gan,
    "gan_10": tenfold_gan,
    "wgan_gp_1": tenfold_wgan_gp,
    "wgan_gp_2": tenfold_wgan_gp,
    "wgan_gp_5": tenfold_wgan_gp,
    "wgan_gp_10": tenfold_wgan_gp,
    "wgan_clip_1": tenfold_wgan_clip,
    "wgan_clip_2": tenfold_wgan_clip,
    "wgan_clip_5": tenfold_wgan_clip,
    "wgan_clip_10": tenfold_wgan_clip,
}

baseline = TrialConfig(
    data=CIFAR10(size=32),
    generator=DCGANGenerator(width=64),
    discriminator=DCGANDiscriminator(width=64),
    batch_size=64,
    steps=published_steps,
    report_every=100,
    evaluate_every=2_500,
    **STANDARD_GAN,
)

against_published = (
    ("gan_1", "gan_2"),
    ("gan_1", "gan_5"),
    ("gan_1", "gan_10"),
    ("gan_1", "gan_2_same_cost"),
    ("gan_1", "gan_5_same_cost"),
    ("gan_1", "gan_10_same_cost"),
    ("wgan_gp_5", "wgan_gp_1"),
    ("wgan_gp_5", "wgan_gp_2"),
    ("wgan_gp_5", "wgan_gp_10"),
    ("wgan_gp_5", "wgan_gp_1_same_cost"),
    ("wgan_gp_5", "wgan_gp_2_same_cost"),
    ("wgan_gp_5", "wgan_gp_10_same_cost"),
    ("wgan_clip_5", "wgan_clip_1"),
    ("wgan_clip_5", "wgan_clip_2"),
    ("wgan_clip_5", "wgan_clip_10"),
)

study = Study(
    name="critic_steps",
    question="How many critic steps does a generator step need?",
    source="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, Algorithm 1 and the authors' code; Arjovsky "
    "et al. 2017, Wasserstein GAN, Algorithm 1",
    baseline=baseline,
    axes={
        "critic": {
            "gan_1": gan,
            "gan_2": {**gan, "n_critic": 2},
            "gan_5": {**gan, "n_critic": 5},
            "gan_10": {**gan, "n_critic": 10},
            "gan_2_same_cost": {**gan, "n_critic": 2, "steps": round(published_steps * of_gan["2"])},
            "gan_5_same_cost": {**gan, "n_critic": 5, "steps": round(published_steps * of_gan["5"])},
            "gan_10_same_cost": {**gan, "n_critic": 10, "steps": round(published_steps * of_gan["10"])},
            "wgan_gp_5": wgan_gp,
            "wgan_gp_1": {**wgan_gp, "n_critic": 1},
            "wgan_gp_2": {**wgan_gp, "n_critic": 2},
            "wgan_gp_10": {**wgan_gp, "n_critic": 10},
            "wgan_gp_1_same_cost": {**wgan_gp, "n_critic": 1, "steps": round(published_steps * of_wgan_gp["1"])},
            "wgan_gp_2_same_cost": {**wgan_gp, "n_critic": 2, "steps": round(published_steps * of_wgan_gp["2"])},
            "wgan_gp_10_same_cost": {**wgan_gp, "n_critic": 10, "steps": round(published_steps * of_wgan_gp["10"])},
            "wgan_clip_1": {**wgan_clip, "n_critic": 1},
            "wgan_clip_2": {**wgan_clip, "n_critic": 2},
            "wgan_clip_5": wgan_clip,
            "wgan_clip_10": {**wgan_clip, "n_critic": 10},
        },
    },
    optional_arms=("wgan_clip_1", "wgan_clip_2", "wgan_clip_5", "wgan_clip_10"),
    repeats=10,
    metrics=(InceptionScore(num_samples=50_000, num_splits=10),),
    thresholds=(2.0, 3.0, 4.0, 5.0, 6.0),
    rules=(*broken, Collapsed(limit=1.1, patience=5, after=25_000), BelowScore(minimum=2.0)),
    audit_fraction=0.2,
    presets={
        "smoke": Preset(
            description="One seed, small networks, 16x16 digits, 8 generator iterations at ten times the published "
            "rates: shows that the machinery works, and nothing about GANs.",
            overrides={
                "data": Digits(size=16),
                "generator.stages": 2,
                "generator.width": 4,
                "discriminator.stages": 2,
                "discriminator.width": 4,
                "latent.size": 16,
                "batch_size": 16,
                "steps": smoke_steps,
                "report_every": 2,
                "evaluate_every": 4,
            },
            arms={
                **tenfold_learning_rates,
                "gan_2_same_cost": {**tenfold_gan, "steps": round(smoke_steps * of_gan["2"])},
                "gan_5_same_cost": {**tenfold_gan, "steps": round(smoke_steps * of_gan["5"])},
                "gan_10_same_cost": {**tenfold_gan, "steps": round(smoke_steps * of_gan["10"])},
                "wgan_gp_1_same_cost": {**tenfold_wgan_gp, "steps": round(smoke_steps * of_wgan_gp["1"])},
                "wgan_gp_2_same_cost": {**tenfold_wgan_gp, "steps": round(smoke_steps * of_wgan_gp["2"])},
                "wgan_gp_10_same_cost": {**tenfold_wgan_gp, "steps": round(smoke_steps * of_wgan_gp["10"])},
            },
            repeats=1,
            metrics=(InceptionScore(num_samples=200, classifier=TrainedClassifier(width=8, epochs=2)),),
            rules=(*broken, BelowScore(minimum=2.0)),
        ),
        "laptop": Preset(
            description="Five seeds of the ten, networks of width 8, 16x16 digits, batches of 32 and 160 generator "
            "iterations at ten times the published rates: orderings can show, scores are not the paper's.",
            overrides={
                "data": Digits(size=16),
                "generator.stages": 2,
                "generator.width": 8,
                "discriminator.stages": 2,
                "discriminator.width": 8,
                "latent.size": 64,
                "batch_size": 32,
                "steps": laptop_steps,
                "report_every": 10,
                "evaluate_every": 40,
            },
            arms={
                **tenfold_learning_rates,
                "gan_2_same_cost": {**tenfold_gan, "steps": round(laptop_steps * of_gan["2"])},
                "gan_5_same_cost": {**tenfold_gan, "steps": round(laptop_steps * of_gan["5"])},
                "gan_10_same_cost": {**tenfold_gan, "steps": round(laptop_steps * of_gan["10"])},
                "wgan_gp_1_same_cost": {**tenfold_wgan_gp, "steps": round(laptop_steps * of_wgan_gp["1"])},
                "wgan_gp_2_same_cost": {**tenfold_wgan_gp, "steps": round(laptop_steps * of_wgan_gp["2"])},
                "wgan_gp_10_same_cost": {**tenfold_wgan_gp, "steps": round(laptop_steps * of_wgan_gp["10"])},
            },
            repeats=5,
            metrics=(InceptionScore(num_samples=2_000, num_splits=1),),
            # slow starters have left a score of 1 as late as half-way, so nothing is stopped before
            rules=(*broken, Collapsed(limit=1.1, patience=3, after=100), BelowScore(minimum=2.0)),
        ),
        "paper": Preset(
            description="DCGAN of width 64 on 32x32 CIFAR-10, 50,000 generator iterations or their compute, ten seeds. "
            "No paper publishes this grid."
        ),
    },
    report=(
        Claims(),
        Ranking(),
        OutcomeTable(pairs=against_published),
        Survival(),
        PairedScores(pairs=against_published),
        Power(threshold=2.0, pairs=against_published),
        SeedVariance(),
        ScoreCurves(),
        Stability(),
        SampleGrids(per_arm=1),
        OutcomeFlow(),
        Audit(),
        Confounders(),
        PublishedNumbers(),
        FreeChoices(),
    ),
    labels={
        "inception_score": "Inception Score",
        "gan_1": "GAN, 1 step",
        "gan_2": "GAN, 2 steps",
        "gan_5": "GAN, 5 steps",
        "gan_10": "GAN, 10 steps",
        "gan_2_same_cost": "GAN, 2 steps, cost of 1",
        "gan_5_same_cost": "GAN, 5 steps, cost of 1",
        "gan_10_same_cost": "GAN, 10 steps, cost of 1",
        "wgan_gp_1": "WGAN-GP, 1 step",
        "wgan_gp_2": "WGAN-GP, 2 steps",
        "wgan_gp_5": "WGAN-GP, 5 steps",
        "wgan_gp_10": "WGAN-GP, 10 steps",
        "wgan_gp_1_same_cost": "WGAN-GP, 1 step, cost of 5",
        "wgan_gp_2_same_cost": "WGAN-GP, 2 steps, cost of 5",
        "wgan_gp_10_same_cost": "WGAN-GP, 10 steps, cost of 5",
        "wgan_clip_1": "Clipped WGAN, 1 step",
        "wgan_clip_2": "Clipped WGAN, 2 steps",
        "wgan_clip_5": "Clipped WGAN, 5 steps",
        "wgan_clip_10": "Clipped WGAN, 10 steps",
    },
    caveats=(
        "Arms of one objective differ in critic steps and iterations only; arms of two objectives differ in loss, "
        "optimiser and the discriminator's normaliser as well, as they are published.",
        "Cost is counted in passes of a network over a batch: 5 n + 4 an iteration of the GAN with n critic steps, 9 n "
        "+ 4 of WGAN-GP. The networks of a pair are taken for equally large, and the time of an evaluation is left "
        "out; the seconds that were measured stand beside it.",
        "No paper publishes this grid. Five is WGAN-GP's default and one DCGAN's; ten is in the authors' code for "
        "text, where they say that five should work.",
        "One network and one data set: that a number of steps is enough here does not make it enough elsewhere.",
        "That neither WGAN nor WGAN-GP need converge with finitely many critic steps cannot be seen here, where the "
        "right answer is not known in closed form.",
    ),
)
