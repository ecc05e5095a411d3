"""Lucic et al., Are GANs Created Equal?: budgets, ranges and best FIDs. The code was read, the text was not."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Recalled, Value, known

CODE = known("C:cmp")
SECONDARY = known("X:lucic-x")
REPRINTS = known("X:pa-table") + known("X:2svae-table")

MODELS = PublishedTable(
    title="compare_gan v1.0: models",
    columns=("model",),
    rows=(("NS GAN",), ("MM GAN",), ("WGAN",), ("WGAN-GP",), ("DRAGAN",), ("VAE",), ("LSGAN",), ("BEGAN",)),
    evidence=CODE,
)
DATA = PublishedTable(
    title="compare_gan v1.0: data and epochs",
    columns=("data", "epochs", "images_for_the_steps"),
    rows=(
        ("MNIST", 20, 50_000),
        ("F-MNIST", 20, 50_000),
        ("CIFAR-10", 100, None),
        ("CelebA", 40, 162_000),
    ),
    note="And convex polygons.",
    evidence=CODE,
)
PHASES = PublishedTable(
    title="compare_gan v1.0: phases of the search",
    columns=("phase", "ranges", "configurations", "seeds"),
    rows=((1, "wide", 100, 1), (2, "narrow", 50, None), (3, "best of phase 1", 1, 50)),
    note="The first configuration of phase 1 is the published defaults.",
    evidence=CODE,
)
SETTINGS = PublishedTable(
    title="compare_gan v1.0: settings",
    columns=("item", "value"),
    rows=(
        ("seed of the draws", 123),
        ("seed of the data's shuffle", 547),
        ("seed of the evaluation's noise", 42),
        ("batch", 64),
        ("numbers in z, uniform on (-1, 1)", 64),
        ("epochs between two checkpoints", 5),
        ("test images of the FID", 10_000),
        ("sentinel of images that are not numbers", 31337),
        ("sentinel of an FID that failed", 4242),
    ),
    note="Repetition i has the TensorFlow seed i; the score is the lowest FID over checkpoints and configurations. "
    "disc_iters updates G at every k-th batch, so steps are steps of D.",
    evidence=CODE,
)
RANGES = PublishedTable(
    title="compare_gan v1.0: ranges",
    columns=("parameter", "range", "low", "high", "scale"),
    rows=(
        ("beta1", "wide", 0.0, 1.0, "linear"),
        ("beta1", "narrow", 0.5, 0.5, "linear"),
        ("learning rate", "wide", 1e-5, 1e-2, "log"),
        ("learning rate", "narrow", 1e-4, 1e-3, "log"),
        ("WGAN clip", "wide", 1e-3, 1.0, "log"),
        ("WGAN clip", "narrow", 1e-2, 1.0, "log"),
        ("lambda of WGAN-GP and DRAGAN", "wide", 0.1, 100.0, "log"),
        ("lambda of WGAN-GP and DRAGAN", "narrow", 0.1, 10.0, "log"),
        ("BEGAN lambda_k", "wide", 1e-4, 1e-2, "log"),
        ("BEGAN lambda_k", "narrow", 1e-3, 1e-3, "log"),
        ("BEGAN gamma", "wide", 0.0, 1.0, "linear"),
        ("BEGAN gamma", "narrow", 0.6, 0.9, "linear"),
    ),
    evidence=CODE,
)
CHOICES = PublishedTable(
    title="compare_gan v1.0: choices",
    columns=("parameter", "range", "levels"),
    rows=(
        ("disc_iters", "wide", "1, 5"),
        ("disc_iters", "narrow", "1"),
        ("batch norm of D", "wide", "yes, no"),
        ("batch norm of D", "narrow", "yes, no; no for WGAN-GP and DRAGAN"),
    ),
    evidence=CODE,
)
NETWORKS = PublishedTable(
    title="compare_gan v1.0: the networks of every model, InfoGAN-style",
    columns=("network", "layers"),
    rows=(
        ("G", "linear 1024, linear 128 h/4 w/4, deconv 4/2 64, deconv 4/2, with BN, LeakyReLU, sigmoid"),
        ("D", "conv 4/2 64, conv 4/2 128, linear 1024, linear 1"),
    ),
    evidence=CODE,
)
DEVIATIONS = PublishedTable(
    title="compare_gan v1.0: where it deviates from the papers",
    columns=("model", "deviation"),
    rows=(
        ("WGAN", "trained with Adam"),
        ("LSGAN", "squares the sigmoid's output"),
        ("DRAGAN", "penalises the sigmoid's output"),
        ("WGAN-GP", "the slope is sqrt(1e-4 + sum of squares)"),
        ("BEGAN", "k is not clipped"),
    ),
    evidence=CODE,
)

_FIDS: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = (
    ("MM GAN", ((9.8, 0.9), (29.6, 1.6), (72.7, 3.6), (65.6, 4.2))),
    ("NS GAN", ((6.8, 0.5), (26.5, 1.6), (58.5, 1.9), (55.0, 3.3))),
    ("LSGAN", ((7.8, 0.6), (30.7, 2.2), (87.1, 47.5), (53.9, 2.8))),
    ("WGAN", ((6.7, 0.4), (21.5, 1.6), (55.2, 2.3), (41.3, 2.0))),
    ("WGAN-GP", ((20.3, 5.0), (24.5, 2.1), (55.8, 0.9), (30.0, 1.0))),
    ("DRAGAN", ((7.6, 0.4), (27.7, 1.2), (69.8, 2.0), (42.3, 3.0))),
    ("BEGAN", ((13.1, 1.0), (22.9, 0.9), (71.4, 1.6), (38.9, 0.9))),
)
BEST_FIDS = PublishedTable(
    title="Lucic et al.: best FID, mean and deviation",
    columns=("model", "data", "fid", "spread"),
    rows=tuple(
        (model, data, fid, spread)
        for model, scores in _FIDS
        for data, (fid, spread) in zip(("MNIST", "F-MNIST", "CIFAR", "CelebA"), scores, strict=True)
    ),
    note="Outliers (severe collapse) excluded. The reprints differ in LSGAN's spread on CIFAR and in WGAN-GP's FID "
    "on CelebA.",
    evidence=REPRINTS,
)
VAE_FIDS = Recalled(
    text="VAE: MNIST 23.8 ± 0.6, F-MNIST 58.7 ± 1.2, CIFAR 155.7 ± 11.6, CelebA 85.7 ± 3.8.",
    about="Lucic et al., best FIDs",
    tag="R",
    studies=("S22",),
)
LSGAN_SPREAD = Inconsistency(
    line="Two reprints of the best FIDs differ in the spread of LSGAN on CIFAR: 47.5 and 0.9.",
    readings=(
        Value(value=87.1, spread=47.5, what="best FID of LSGAN on CIFAR", evidence=REPRINTS),
        Value(value=87.1, spread=0.9, what="best FID of LSGAN on CIFAR in one of the reprints", evidence=REPRINTS),
    ),
    kind="papers",
    studies=("S22",),
)
WGAN_GP_CELEBA = Inconsistency(
    line="Two reprints of the best FIDs differ in WGAN-GP on CelebA: 30.0 and 30.3.",
    readings=(
        Value(value=30.0, spread=1.0, what="best FID of WGAN-GP on CelebA", evidence=REPRINTS),
        Value(value=30.3, what="best FID of WGAN-GP on CelebA in the other reprint", evidence=REPRINTS),
    ),
    kind="papers",
    studies=("S22",),
)
MOST_ALIKE = Finding(
    text="With enough budget most models reach similar FIDs; the distribution of the lowest FID for a budget should be "
    "reported, not one value.",
    evidence=SECONDARY,
)
LOW_BUDGET = Value(value=15, what="configurations below which the models are not separated", evidence=SECONDARY)
