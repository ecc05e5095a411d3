"""Springenberg 2016, CatGAN, from secondary sources and code; most of its table is recalled."""

from __future__ import annotations

from gansweep.evidence import Finding, PublishedTable, Recalled, Value, known

PAPER = "Springenberg, CatGAN"

OUTPUTS = Finding(
    text="CatGAN has one output per category and no class for fakes, which are pushed to a high conditional entropy.",
    evidence=known("C:catgan", "10 outputs") + known("S:001"),
)
MNIST_UNSUPERVISED = Value(
    value=9.7,
    unit="%",
    what="error on permutation-invariant MNIST, unsupervised, categories matched to classes",
    evidence=known("S:001"),
)
MNIST_100 = Value(
    value=1.91,
    spread=0.10,
    unit="%",
    what="error on permutation-invariant MNIST with 100 labels",
    evidence=known("S:001") + known("X:impgan", "191 ± 10 of 10,000; one copy prints it one column off"),
)
CIFAR_4000 = Value(
    value=19.58, spread=0.46, unit="%", what="error on CIFAR-10 with 4,000 labels", evidence=known("X:impgan")
)
ERRORS = PublishedTable(
    title="CatGAN: errors, in percent",
    columns=("data", "labels", "error", "spread"),
    rows=(("MNIST", 0, 9.7, None), ("MNIST", 100, 1.91, 0.10), ("CIFAR-10", 4000, 19.58, 0.46)),
    note="The unsupervised error needs a matching of categories to classes, and only a founding document has it.",
    evidence=known("S:001") + known("X:impgan"),
)
MNIST_OTHERS = Recalled(
    text="With 1,000 labels the error is 1.73 ± 0.18 %, with all 0.91 %.",
    about=f"{PAPER}, MNIST",
    tag="R",
    studies=("S21",),
)
CONVOLUTIONAL = Recalled(
    text="The convolutional one has 4.27 % unsupervised, 1.39 ± 0.28 % with 100 labels, 0.48 % with all.",
    about=f"{PAPER}, MNIST",
    tag="R",
    studies=("S21",),
)
CATEGORIES = Recalled(
    text="The unsupervised error is with 20 categories.", about=f"{PAPER}, MNIST", tag="R-lo", studies=("S21",)
)
