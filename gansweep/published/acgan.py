"""Odena et al., AC-GAN, the version submitted to ICLR 2017."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Recalled, Value, known

TEXT = known("P:acgan")
APPENDIX_A = known("P:acgan", "text and appendix A")
CIFAR = known("P:acgan", "CIFAR-10")

OBJECTIVE = Finding(text="D maximises L_S + L_C and G maximises L_C - L_S; D does not see the class.", evidence=TEXT)
SETTINGS = PublishedTable(
    title="AC-GAN paper: settings on ImageNet",
    columns=("item", "value"),
    rows=(
        ("models", 100),
        ("classes per model", 10),
        ("minibatches", 50_000),
        ("batch", 100),
        ("numbers into G", 110),
        ("units of G's first layer", 768),
        ("maps of G's transposed convolutions 5x5/2", "384, 256, 192, 3"),
        ("maps and strides of D's 3x3 convolutions", "16/2, 32, 64/2, 128, 256/2, 512"),
        ("dropout of D", 0.5),
        ("slope of LeakyReLU", 0.2),
        ("Adam learning rate", 2e-4),
        ("beta1", 0.5),
        ("deviation of the initial weights", 0.02),
    ),
    note="D has BN from its second layer and noise on its activations.",
    evidence=APPENDIX_A,
)
BETA2_MISPRINT = Inconsistency(
    line='The paper prints Adam\'s beta2 as "10^-3".',
    readings=(Value(value=1e-3, what="beta2 of Adam, as printed", evidence=APPENDIX_A),),
    kind="paper",
)
BETA2_INTENDED = Recalled(text="0.999 is meant.", about="Odena et al., AC-GAN, beta2 of Adam", tag="R")

ACCURACY_BY_SIZE = PublishedTable(
    title="AC-GAN paper: Inception accuracy of samples by resolution, in percent",
    columns=("resolution", "accuracy", "spread"),
    rows=((128, 10.1, 2.0), (64, 7.0, None), (32, 5.0, None)),
    evidence=TEXT,
)
MORE_DISCRIMINABLE = Value(
    value=84.4, unit="%", what="classes whose samples are more discriminable at 128", evidence=TEXT
)
DIVERSE_CLASSES = Value(value=84.7, unit="%", what="classes with a mean MS-SSIM below 0.25", evidence=TEXT)
DIVERSE_COUNT = Value(value=847, what="classes with a mean MS-SSIM below 0.25", evidence=TEXT)
DIVERSITY_THRESHOLD = Value(value=0.25, what="mean MS-SSIM below which a class counts as diverse", evidence=TEXT)

CIFAR_SCORE = Value(
    value=8.25,
    spread=0.07,
    what="Inception Score on CIFAR-10",
    protocol="25,000 fresh samples in 5 groups, of the best of 27 configurations on 50,000 others",
    evidence=CIFAR,
)
CIFAR_PROTOCOL = PublishedTable(
    title="AC-GAN paper: how the Inception Score on CIFAR-10 was selected and reported",
    columns=("purpose", "samples", "groups"),
    rows=(("selection", 50_000, 10), ("report, on fresh samples", 25_000, 5)),
    note="Selected from a grid of 27 points; the groups are random.",
    evidence=CIFAR,
)
CIFAR_GRID = Value(value=27, what="points of the grid on CIFAR-10", evidence=CIFAR)
