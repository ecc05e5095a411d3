"""Do semi-supervised GANs classify better than the same network without a game when 50 labels are known?

design  One discriminator that names the class of an image, under five objectives from the same initial weights (SGAN's
        last layer has one class more), data order, noise and labelled images. The supervised arm is its classifier
        alone; the others see unlabelled real images or generated ones as well. The answer is the accuracy on the test
        images.
after   Odena 2016 (accuracy for few labels); Springenberg 2016; Salimans et al. 2016, section 5.
run     gansweep launch studies/label_budgets.py
took    laptop: 5 minutes on two CPU cores.
found   laptop, digits, 50 labels, five seeds, test accuracy (mean and standard deviation): CatGAN 0.906 (0.007), better
        than the supervised network's 0.847 (0.015) for all five; improved GAN 0.876 (0.029), better for four; SGAN
        0.844 (0.026), better for three, so neither better nor worse; improved GAN with feature matching 0.833 (0.036),
        better for one. With 359 test images an accuracy has itself a standard error of about 0.02.
"""

from gansweep import (
    MNIST,
    SGAN,
    Adam,
    CatGAN,
    Confounders,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    DiscriminatorAccuracy,
    Diverged,
    ImprovedGAN,
    Latent,
    OutcomeFlow,
    PairedScores,
    Preset,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Study,
    Supervised,
    TrialConfig,
    choice,
)

baseline = TrialConfig(
    data=MNIST(size=28),
    generator=DCGANGenerator(stages=2, width=64),
    # batch norm would remember the statistics of fakes and of images without labels
    discriminator=DCGANDiscriminator(stages=2, width=64, normalised=False),
    loss=Supervised(),
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
    latent=Latent(size=100, distribution="uniform"),
    batch_size=64,
    labelled=50,
    steps=20_000,
    report_every=100,
    evaluate_every=1_000,
)

study = Study(
    name="label_budgets",
    question="Do semi-supervised GANs classify better than the same network without a game when 50 labels are known?",
    source="Odena 2016, Semi-Supervised Learning with Generative Adversarial Networks; Springenberg 2016, "
    "Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial Networks; Salimans et al. 2016, "
    "Improved Techniques for Training GANs, section 5",
    baseline=baseline,
    space={"labelled": choice(25, 50, 100, 1_000)},
    draws=4,
    axes={
        "objective": {
            "supervised": {"loss": Supervised()},
            "catgan": {"loss": CatGAN()},
            "sgan": {"loss": SGAN()},
            "improved_gan": {"loss": ImprovedGAN(generator_loss="non_saturating")},
            "feature_matching": {"loss": ImprovedGAN(generator_loss="feature_matching")},
        },
    },
    repeats=10,
    metrics=(DiscriminatorAccuracy(answer="classes"),),
    thresholds=(0.8, 0.85, 0.9, 0.95),
    rules=(Diverged(),),
    presets={
        "smoke": Preset(
            description="Twenty iterations of small networks on 16x16 digits: shows that the machinery works.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 4,
                "discriminator.width": 4,
                "latent.size": 16,
                "batch_size": 32,
                "steps": 20,
                "report_every": 10,
                "evaluate_every": 10,
            },
            space={"labelled": choice(50)},
            draws=1,
            repeats=1,
        ),
        "laptop": Preset(
            description="50 labels, 16x16 digits (1,438 training images), a quarter of the widths, and 600 iterations "
            "at five times the learning rate: which arm classifies better can show, the accuracies are not MNIST's.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 16,
                "discriminator.width": 16,
                "latent.size": 32,
                "generator_optimizer.lr": 1e-3,
                "discriminator_optimizer.lr": 1e-3,
                "steps": 600,
                "report_every": 50,
                "evaluate_every": 100,
            },
            space={"labelled": choice(50)},
            draws=1,
            repeats=5,
        ),
        "paper": Preset(
            description="25 to 1,000 labels of MNIST, as in Odena's comparison. The networks, the optimiser and "
            "the number of iterations are free choices: a DCGAN at 28x28 under DCGAN's Adam."
        ),
    },
    report=(PairedScores(), SeedVariance(), ScoreCurves(), SampleGrids(per_arm=3), OutcomeFlow(), Confounders()),
    labels={
        "supervised": "Supervised",
        "catgan": "CatGAN",
        "sgan": "SGAN",
        "improved_gan": "Improved GAN",
        "feature_matching": "Improved GAN, feature matching",
        "labelled": "Labels known",
    },
    caveats=(
        "SGAN as published has no term for real images without a label, so here its only further evidence is fakes.",
        "All arms have one learning rate; Odena reports the best of a random search for each number of labels.",
        "The supervised arm is a plain classifier; Odena's baseline is SGAN whose generator is never updated.",
    ),
)
