"""By iterations or by seconds, which objective gets the better images sooner?

design  One pair of convolutional networks is trained by the standard GAN, by WGAN with clipping, by WGAN-GP with the
        optimiser and rate of clipping, and by WGAN-GP with Adam. As in the authors' code the discriminator has batch
        normalisation except under the penalty. Cells differ in their seeds; the arms of a cell share data and noise.
after   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", section 5.3 and figure 3, with the settings of
        the authors' code. They agree if with the same optimiser the penalty gets a better score sooner than clipping,
        if Adam is better still, and if the standard GAN is the faster one in seconds but less stable in the end. The
        figure prints no final numbers.
run     gansweep launch studies/convergence.py
took    laptop: 11 minutes on two cores that also did other things.
found   laptop: WGAN-GP with Adam ends at 5.7, with clipping's RMSProp at 5.0, the standard GAN at 3.7, clipping at
        2.8 (Inception Score, means of three seeds; real digits score 9.8). That the penalty gets further than
        clipping, and sooner, and that Adam helps are reproduced with their intervals. That WGAN-GP is slower than the
        standard GAN in seconds but stabler in the end shows in the medians and is not decidable with three seeds.
"""

from gansweep import (
    CIFAR10,
    STANDARD_GAN,
    WGAN_CLIP_TF,
    WGAN_GP_HALF,
    Claims,
    Confounders,
    Convergence,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    Diverged,
    FreeChoices,
    InceptionScore,
    OutcomeFlow,
    PairedScores,
    Preset,
    RMSPropTF,
    SampleGrids,
    ScoreCurves,
    Stability,
    Study,
    TrainedClassifier,
    TrialConfig,
)

study = Study(
    name="convergence",
    question="By iterations or by seconds, which objective gets the better images sooner?",
    source="Gulrajani et al. 2017, Improved Training of Wasserstein GANs, section 5.3 and figure 3",
    baseline=TrialConfig(
        data=CIFAR10(),
        generator=DCGANGenerator(width=128),
        discriminator=DCGANDiscriminator(width=128, activation="leaky_relu"),
        batch_size=64,
        steps=200_000,
        report_every=200,
        evaluate_every=5_000,
        **STANDARD_GAN,
    ),
    repeats=3,
    axes={
        "method": {
            "gan": {**STANDARD_GAN, "discriminator.normalised": True},
            "wgan_clip": {**WGAN_CLIP_TF, "discriminator.normalised": True},
            "wgan_gp_rmsprop": {
                **WGAN_GP_HALF,
                "generator_optimizer": RMSPropTF(lr=5e-5),
                "discriminator_optimizer": RMSPropTF(lr=5e-5),
                "discriminator.normalised": False,
            },
            "wgan_gp_adam": {**WGAN_GP_HALF, "discriminator.normalised": False},
        }
    },
    metrics=(InceptionScore(num_samples=50_000, num_splits=10),),
    thresholds=(2.0, 3.0, 4.0, 5.0, 6.0),
    rules=(Diverged(),),
    audit_fraction=1.0,
    presets={
        "smoke": Preset(
            description="16x16 digits, networks of 4 filters, 20 iterations: shows that the machinery works.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 4,
                "discriminator.width": 4,
                "batch_size": 16,
                "steps": 20,
                "report_every": 10,
                "evaluate_every": 10,
            },
            repeats=1,
            metrics=(InceptionScore(num_samples=500, classifier=TrainedClassifier(width=8, epochs=5)),),
        ),
        "laptop": Preset(
            description="16x16 digits, an eighth of the filters, batches of 32 and 500 iterations, at ten times the "
            "published rates.",
            overrides={
                "data": Digits(size=16),
                "generator.width": 16,
                "discriminator.width": 16,
                "batch_size": 32,
                "steps": 500,
                "report_every": 25,
                "evaluate_every": 25,
            },
            arms={
                "gan": {"generator_optimizer.lr": 2e-3, "discriminator_optimizer.lr": 2e-3},
                "wgan_clip": {"generator_optimizer.lr": 5e-4, "discriminator_optimizer.lr": 5e-4},
                "wgan_gp_rmsprop": {"generator_optimizer.lr": 5e-4, "discriminator_optimizer.lr": 5e-4},
                "wgan_gp_adam": {"generator_optimizer.lr": 1e-3, "discriminator_optimizer.lr": 1e-3},
            },
            repeats=3,
            metrics=(InceptionScore(num_samples=2_000, num_splits=1),),
        ),
        "paper": Preset(
            description="CIFAR-10 and 200,000 generator iterations with 128 filters, as in the authors' code; the "
            "score is of 50,000 samples, theirs on the way was of 1,000.",
        ),
    },
    report=(
        Claims(),
        Convergence(),
        ScoreCurves(),
        Stability(),
        PairedScores(),
        SampleGrids(per_arm=1),
        OutcomeFlow(),
        FreeChoices(),
        Confounders(),
    ),
    labels={
        "inception_score": "Inception Score",
        "gan": "Standard GAN",
        "wgan_clip": "WGAN, clipped, RMSProp",
        "wgan_gp_rmsprop": "WGAN-GP, RMSProp",
        "wgan_gp_adam": "WGAN-GP, Adam",
    },
    caveats=(
        "The authors' code computes its curves from 1,000 samples in ten splits, which caps them at 100 per split and "
        "biases them low; never compare them with scores of 50,000 samples.",
        "WGAN-GP with RMSProp is not in the released code; it is clipping's optimiser at clipping's rate, with the "
        "penalty's other settings.",
        "Seconds are those of training, on a machine that may have had other trials beside.",
        "The Inception Score is that of a classifier trained on the data set itself, not of the 2015 "
        "Inception network.",
    ),
)
