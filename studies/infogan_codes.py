"""Do InfoGAN's codes come to mean something, and a plain GAN's not?

design  One network pair under two arms from the same weights, data order and noise: the generator is rewarded for
        information about its codes, or it is not; the same Q measures both. The lower bound L_I of the mutual
        information can reach ln 10 = 2.303 for the categorical code; Q as a classifier of real digits is judged after
        each category is matched to its most frequent digit.
after   Chen et al. 2016, "InfoGAN", section 7.1, figure 1 and section 7.2.
run     gansweep launch studies/infogan_codes.py
took    laptop: 6 minutes on two CPU cores busy with other work.
found   laptop, digits, three seeds: L_I reaches 2.22 nats with all of them and 0.01 to 0.04 without the reward; Q
        reads 0.67 to 0.77 of the test digits right, against 0.16 to 0.57. The 5% error of the paper is far from
        reached.
"""

from gansweep import (
    MNIST,
    Adam,
    Confounders,
    Digits,
    DiscriminatorAccuracy,
    Diverged,
    InceptionScore,
    InfoGAN,
    InfoGANDiscriminator,
    InfoGANGenerator,
    Latent,
    NormalWeights,
    OutcomeFlow,
    PairedScores,
    Preset,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Study,
    Traces,
    TrainedClassifier,
    TrialConfig,
)

baseline = TrialConfig(
    data=MNIST(size=28),
    generator=InfoGANGenerator(),
    discriminator=InfoGANDiscriminator(),
    loss=InfoGAN(),
    generator_optimizer=Adam(lr=1e-3, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
    initialisation=NormalWeights(std=0.02),
    latent=Latent(size=62, distribution="uniform", categorical=(10,), continuous=2),
    batch_size=128,
    steps=5_000,
    report_every=50,
    evaluate_every=500,
)

study = Study(
    name="infogan_codes",
    question="Do InfoGAN's codes come to mean something, and a plain GAN's not?",
    source="Chen et al. 2016, InfoGAN: Interpretable Representation Learning by Information Maximizing Generative "
    "Adversarial Nets, section 7",
    baseline=baseline,
    axes={"objective": {"gan": {"loss.guide_generator": False}, "infogan": {"loss.guide_generator": True}}},
    repeats=5,
    metrics=(DiscriminatorAccuracy(answer="codes", matched=True), InceptionScore(num_samples=2_000)),
    rules=(Diverged(),),
    thresholds=(0.5, 0.7, 0.9),
    presets={
        "smoke": Preset(
            description="Twenty iterations on 16x16 digits: shows that the machinery works.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 0.125,
                "discriminator.width": 0.125,
                "batch_size": 32,
                "steps": 20,
                "report_every": 10,
                "evaluate_every": 10,
            },
            repeats=1,
            metrics=(
                DiscriminatorAccuracy(answer="codes", matched=True),
                InceptionScore(num_samples=500, classifier=TrainedClassifier(width=8, epochs=5)),
            ),
        ),
        "laptop": Preset(
            description="A quarter of the published widths, 16x16 digits, 1,500 iterations.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 0.25,
                "discriminator.width": 0.25,
                "steps": 1_500,
                "report_every": 50,
                "evaluate_every": 100,
            },
            repeats=3,
        ),
        "paper": Preset(description="The published sizes on MNIST: 100 updates in each of 50 epochs."),
    },
    report=(
        PairedScores(),
        SeedVariance(),
        Traces(columns=("mutual_information",)),
        ScoreCurves(),
        SampleGrids(per_arm=3),
        OutcomeFlow(),
        Confounders(),
    ),
    labels={"gan": "Plain GAN", "infogan": "InfoGAN"},
)
