"""Do the labels that a generator is given decide what it draws?

design  Four conditional objectives with one generator from the same initial weights, data order, noise and labels. In
        two of them the discriminator is told the class of an image, in two it has to name it. A classifier of real
        images, trained apart, says which class each generated image shows; 1 in 10 is right by chance.
after   Odena et al. 2017 (AC-GAN); Mirza and Osindero 2014 (CGAN); Mao et al. 2017 (conditional LSGAN); Gulrajani et
        al. 2017, appendix F (conditional WGAN-GP).
run     gansweep launch studies/label_conditioning.py
took    laptop: 7 minutes on two CPU cores, most of it WGAN-GP's.
found   laptop, digits, three seeds, share of images that show the class asked for (lowest and highest seed): CGAN 0.94
        to 0.99, conditional WGAN-GP 0.90 to 0.91, AC-GAN 0.83 to 0.98, conditional LSGAN 0.79 to 0.90; real images
        reach 0.986. Three seeds order no two arms.
"""

from gansweep import (
    ACGAN,
    CIFAR10,
    STANDARD_GAN,
    WGAN_GP,
    Confounders,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    InceptionScore,
    Latent,
    LeastSquares,
    OutcomeFlow,
    PairedScores,
    Preset,
    RequestedLabelAccuracy,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Study,
    TrainedClassifier,
    TrialConfig,
    Wasserstein,
)

# a thousand iterations at the published rates would show little; the ratio between the arms stays
tenfold_learning_rates = {
    "acgan": {"generator_optimizer.lr": 2e-3, "discriminator_optimizer.lr": 2e-3},
    "cgan": {"generator_optimizer.lr": 2e-3, "discriminator_optimizer.lr": 2e-3},
    "lsgan": {"generator_optimizer.lr": 2e-3, "discriminator_optimizer.lr": 2e-3},
    "wgan_gp": {"generator_optimizer.lr": 1e-3, "discriminator_optimizer.lr": 1e-3},
}

baseline = TrialConfig(
    data=CIFAR10(size=32),
    generator=DCGANGenerator(stages=3, width=64, condition="input"),
    discriminator=DCGANDiscriminator(stages=3, width=64),
    latent=Latent(size=100),
    batch_size=100,
    steps=50_000,
    report_every=100,
    evaluate_every=2_500,
    **{**STANDARD_GAN, "loss": ACGAN()},
)

study = Study(
    name="label_conditioning",
    question="Do the labels that a generator is given decide what it draws?",
    source="Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs; Mirza and Osindero 2014, "
    "Conditional Generative Adversarial Nets; Mao et al. 2017, Least Squares Generative Adversarial Networks; "
    "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, appendix F",
    baseline=baseline,
    axes={
        "objective": {
            "acgan": {
                **STANDARD_GAN,
                "loss": ACGAN(),
                "discriminator.condition": "none",
                "discriminator.norm": "batch",
            },
            "cgan": {
                **STANDARD_GAN,
                "discriminator.condition": "input",
                "discriminator.norm": "batch",
            },
            "lsgan": {
                **STANDARD_GAN,
                "loss": LeastSquares(),
                "discriminator.condition": "input",
                "discriminator.norm": "batch",
            },
            "wgan_gp": {
                **WGAN_GP,
                "loss": ACGAN(adversarial=Wasserstein(), generator_weight=0.1, classify_fakes=False),
                "discriminator.condition": "none",
                "discriminator.norm": "layer",
            },
        },
    },
    repeats=3,
    metrics=(RequestedLabelAccuracy(num_samples=1_000), InceptionScore(num_samples=2_000)),
    thresholds=(0.5, 0.8, 0.9),
    rules=(Diverged(),),
    presets={
        "smoke": Preset(
            description="Twenty iterations of small networks on 16x16 digits: shows that the machinery works.",
            overrides={
                "data": Digits(size=16),
                "generator.stages": 2,
                "generator.width": 4,
                "discriminator.stages": 2,
                "discriminator.width": 4,
                "latent.size": 16,
                "batch_size": 32,
                "steps": 20,
                "report_every": 10,
                "evaluate_every": 10,
            },
            repeats=1,
            metrics=(
                RequestedLabelAccuracy(num_samples=500, classifier=TrainedClassifier(width=8, epochs=5)),
                InceptionScore(num_samples=500, classifier=TrainedClassifier(width=8, epochs=5)),
            ),
        ),
        "laptop": Preset(
            description="16x16 digits, a quarter of the widths, batches of 32, and 1,000 iterations at ten times the "
            "published learning rates.",
            overrides={
                "data": Digits(size=16),
                "generator.stages": 2,
                "generator.width": 16,
                "discriminator.stages": 2,
                "discriminator.width": 16,
                "latent.size": 32,
                "batch_size": 32,
                "steps": 1_000,
                "report_every": 50,
                "evaluate_every": 200,
            },
            arms=tenfold_learning_rates,
            metrics=(RequestedLabelAccuracy(num_samples=1_000), InceptionScore(num_samples=1_000)),
        ),
        "paper": Preset(
            description="CIFAR-10 with AC-GAN's 50,000 minibatches of 100 and its input of 100 numbers beside the "
            "class, for all arms; the networks are a free choice, so that all arms can have the same.",
        ),
    },
    report=(PairedScores(), SeedVariance(), ScoreCurves(), SampleGrids(per_arm=3), OutcomeFlow(), Confounders()),
    labels={"acgan": "AC-GAN", "cgan": "CGAN", "lsgan": "Conditional LSGAN", "wgan_gp": "Conditional WGAN-GP"},
    caveats=(
        "The networks are a common DCGAN and not those of each paper; CGAN's are fully connected and train with SGD.",
        "CGAN is trained with the generator's loss that does not saturate.",
        "WGAN-GP's critic has layer norm and makes five updates per iteration: iterations are equal, compute is not.",
        "The conditional WGAN-GP has the class weights of appendix F; its optimiser is Algorithm 1's, without that "
        "appendix's decay and doubled generator batch.",
        "The label enters where an arm says it does, so the discriminators differ in one input or one head.",
    ),
)
