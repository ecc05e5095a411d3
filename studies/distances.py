"""What do a critic and a discriminator say of two distributions whose distances are known?

design  The generator is not trained. On parallel lines it is the line at theta, and the distances are known in closed
        form: a WGAN-GP critic and a clipped one estimate the Wasserstein distance, a standard GAN's discriminator the
        Jensen-Shannon and Kullback-Leibler divergences and the total variation. Between two Gaussians the best
        discriminator is known, p / (p + q), and what matters is where its answer is level.
after   Arjovsky et al. 2017, "Wasserstein GAN", example 1 with figure 1, and figure 2. They agree if each estimate is
        its closed form within its error, if the discriminator saturates where data are and the critic is about linear
        there. Means and deviations of the Gaussians, and all settings of training, are not in the paper.
run     gansweep launch studies/distances.py
took    laptop: 8 minutes on two cores.
found   laptop: the Jensen-Shannon divergence and the total variation are log 2 and 1 wherever theta is not 0,
        WGAN-GP's estimate follows |theta|. 12 of 15 estimates hold their closed form in their interval over three
        seeds; two of the Wasserstein distance are too low by 2%, one of log 2 by 0.000001, so the claim counts as not
        decided. Between the Gaussians the discriminator is the best one and level where data are. WGAN-GP's critic is
        straight (least slope 0.94 of its largest), the clipped one, which the claim is about, is not (a fifth).
"""

from gansweep import (
    STANDARD_GAN,
    WGAN_CLIP,
    WGAN_GP,
    BetweenGaussians,
    Claims,
    Confounders,
    CriticSurface,
    Diverged,
    EarthMover,
    EstimatedDivergences,
    FixedAt,
    FreeChoices,
    Grid,
    HeUniform,
    Latent,
    MLPDiscriminator,
    OutcomeFlow,
    ParallelDistances,
    ParallelLines,
    Preset,
    Study,
    Traces,
    TrialConfig,
    TwoGaussians,
    choice,
    either,
)

LINES = {
    "data": ParallelLines(theta=0.0),
    "generator": FixedAt(density=ParallelLines()),
}
GAUSSIANS = {
    "data": TwoGaussians(mean=(-2.0,), std=1.0),
    "generator": FixedAt(density=TwoGaussians(mean=(2.0,), std=1.0, fake_mean=(-2.0,))),
}

study = Study(
    name="distances",
    question="What do a critic and a discriminator say of two distributions whose distances are known?",
    source="Arjovsky et al. 2017, Wasserstein GAN, example 1, figures 1 and 2",
    baseline=TrialConfig(
        data=ParallelLines(),
        generator=FixedAt(density=ParallelLines()),
        discriminator=MLPDiscriminator(depth=4, width=128),
        initialisation=HeUniform(),
        latent=Latent(size=1),
        batch_size=256,
        steps=10_000,
        report_every=250,
        evaluate_every=1_000,
        **WGAN_GP,
    ),
    space={
        "two distributions": either(
            **{
                "parallel lines": {**LINES, "generator.density.theta": choice(-1.0, -0.5, 0.0, 0.5, 1.0)},
                "two Gaussians": GAUSSIANS,
            }
        )
    },
    search=Grid(),
    repeats=3,
    axes={"objective": {"gan": STANDARD_GAN, "wgan_gp": WGAN_GP, "wgan_clip": WGAN_CLIP}},
    metrics=(EarthMover(num_samples=1_000),),
    rules=(Diverged(),),
    portraits=(CriticSurface(points=201, reach=6.0), EstimatedDivergences(points=2_000)),
    presets={
        "smoke": Preset(
            description="Two lines and the Gaussians, discriminators of 16 units, 30 iterations: shows that the "
            "machinery works.",
            overrides={"discriminator.width": 16, "steps": 30, "report_every": 10, "evaluate_every": 30},
            space={
                "two distributions": either(
                    **{
                        "parallel lines": {**LINES, "generator.density.theta": choice(0.0, 1.0)},
                        "two Gaussians": GAUSSIANS,
                    }
                )
            },
            repeats=1,
        ),
        "laptop": Preset(
            description="Discriminators of 64 units, 1,000 iterations at ten times the published rates.",
            overrides={"discriminator.width": 64, "steps": 1_000, "report_every": 50, "evaluate_every": 250},
            arms={
                "gan": {"discriminator_optimizer.lr": 2e-3},
                "wgan_gp": {"discriminator_optimizer.lr": 1e-3},
                "wgan_clip": {"discriminator_optimizer.lr": 5e-4},
            },
        ),
        "paper": Preset(
            description="10,000 iterations at the published rates: the paper gives no other settings. Two hours on two "
            "cores.",
        ),
    },
    report=(
        Claims(),
        ParallelDistances(),
        BetweenGaussians(),
        Traces(
            columns=("wasserstein", "estimated_js", "estimated_kl", "estimated_tv"), title="While they were trained"
        ),
        OutcomeFlow(),
        FreeChoices(),
        Confounders(),
    ),
    labels={
        "gan": "Standard GAN",
        "wgan_gp": "WGAN-GP",
        "wgan_clip": "WGAN, clipped",
        "generator.density.theta": "θ",
        "earth_mover": "exact distance of the samples",
    },
    caveats=(
        "The score is the exact Wasserstein distance between finite sets of samples and data: the same under every "
        "arm, and above 0 at theta = 0, since two sets from one line are apart.",
        "The paper defines the Jensen-Shannon divergence without the factor 1/2 but states log 2, its value with it.",
        "A standard GAN's discriminator has one step per iteration, the critics have five.",
        "The Gaussians are N(-2, 1) and N(2, 1), a choice of ours: the paper gives neither means nor deviations.",
    ),
)
