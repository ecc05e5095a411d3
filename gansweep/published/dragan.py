"""Kodali et al. 2017: local penalties and the BogoNet score. The paper's own tables were not found."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Recalled, Unstated, Value, known

PAPER = "Kodali et al. 2017, DRAGAN"
PENALTY = known("X:blog001") + known("C:dragan-c")
NOTEBOOK = known("C:dragan-c", "the notebook")
README = known("X:dragan-readme")

PENALTIES = PublishedTable(
    title="DRAGAN: penalties on the gradient g of D at a real example plus noise",
    columns=("step", "penalty", "note"),
    rows=(
        (1, "lambda E |g|^2", "penalises too much"),
        (2, "lambda E max(0, |g|^2 - k)", None),
        (3, "lambda E (|g| - k)^2", "the final one, with the standard discriminator loss"),
    ),
    note="The noise is normal with covariance c I.",
    evidence=PENALTY,
)
TARGET_SLOPE = Value(value=1, what="k, the slope that the final penalty asks for", evidence=PENALTY)
ADVICE = Finding(
    text="The author advises to keep k = 1, to tune c (perturbed examples must not land on the manifold) and then "
    "lambda; a small c gives quality, a large one stability.",
    evidence=known("C:dragan-c", "README"),
)
PORT_DEFAULTS = PublishedTable(
    title="DRAGAN: defaults of a library's port that cites the paper",
    columns=("item", "value"),
    rows=(("lambda", 10), ("k", 1), ("c", 10)),
    note="c is a variance on pixels whose own scale is not given; the published notebook does not use it.",
    evidence=known("X:dragan-port"),
)
DEFAULTS_RECALLED = Recalled(
    text="lambda is about 10, k is 1, c is about 10.", about=f"{PAPER}, text", tag="R-hi", studies=("S16",)
)

# ------------------------------------------------------------------------------------- noise as implemented

NOTEBOOK_SETTINGS = PublishedTable(
    title="DRAGAN: settings of the author's notebook",
    columns=("item", "value"),
    rows=(
        ("noise, times the deviation of the batch and uniform noise on [0, 1)", 0.5),
        ("lambda", 10),
        ("inputs of D", 784),
        ("hidden units of D", 128),
        ("outputs of D", 1),
        ("numbers in z, uniform on (-1, 1)", 100),
        ("hidden units of G", 128),
        ("outputs of G", 784),
        ("batch", 128),
        ("Adam learning rate", 1e-4),
        ("beta1", 0.5),
        ("beta2", 0.9),
        ("steps of D per step of G", 1),
        ("iterations, about", 200_000),
        ("iterations between two scores", 1000),
    ),
    note="One deviation over the whole minibatch; alpha is uniform per example; the gradient is that of the logits.",
    evidence=NOTEBOOK,
)
NOISE_MODES = PublishedTable(
    title="DRAGAN: three legitimate forms of the noise",
    columns=("noise", "where"),
    rows=(
        ("uniform on [0, 1)", "the published code"),
        ("uniform on [-1, 1]", "the author's advice"),
        ("normal with covariance c I", "the paper"),
    ),
    evidence=NOTEBOOK + README + known("X:blog001"),
)
POSITIVE_NOISE = Inconsistency(
    line="The paper's noise is normal; the published notebook's is uniform and positive, which its author calls a "
    "mistake, together with the deviation over pixels; small normal noise works too.",
    readings=(
        Finding(text="Normal noise with covariance c I.", evidence=known("X:blog001")),
        Finding(text="Noise uniform on [0, 1), times half the deviation of the batch.", evidence=NOTEBOOK),
        Finding(text='The noise "should have used [-1, 1]".', evidence=README),
    ),
    kind="paper and code",
    studies=("S16",),
)
SIGMOID_PENALTY = Finding(
    text="Two ports differentiate the sigmoid's output in place of the logits.",
    evidence=known("C:dragan-t") + known("C:cmp"),
)
SMALL_LAMBDA_PORT = Value(value=0.25, what="lambda of one port", evidence=known("C:znx"))

# ------------------------------------------------------------------------------------------- BogoNet

BOGONET_ARCHITECTURES = Value(
    value=150,
    what="architectures, picked randomly to remove any biases, that the BogoNet score is over",
    evidence=README,
)
BOGONET_CLAIM = Finding(
    text='Preliminary results against WGAN-GP: DRAGAN "beat them in most metrics".',
    evidence=README,
)
BOGONET_PROTOCOL = Recalled(
    text="G and D are chosen independently at random from MLP, ResNet and DCGAN: 100 hard games on CIFAR-10, each "
    "trained with the vanilla GAN, DRAGAN and WGAN-GP for the same number of generator iterations (an advantage for "
    "WGAN-GP), reporting the mean final Inception Score and the mean area under its curve. 50 more games, vanilla "
    "against DRAGAN, are judged blind by two authors, with 5 points per game split by stability, 2.5 each "
    "where they could not be told apart.",
    about=f"{PAPER}, BogoNet",
    tag="R-hi",
    studies=("S17",),
)
BOGONET_VANILLA = Recalled(
    text="Vanilla GAN: final Inception Score 2.91 (1.44), area 277.72 (126.09), 92.5 points.",
    about=f"{PAPER}, BogoNet table",
    tag="R-lo",
    studies=("S17",),
)
BOGONET_DRAGAN = Recalled(
    text="DRAGAN: final Inception Score 3.49 (1.14), area 312.15 (135.35), 157.5 points.",
    about=f"{PAPER}, BogoNet table",
    tag="R-lo",
    studies=("S17",),
)
BOGONET_WGAN_GP = Recalled(
    text="WGAN-GP: final Inception Score 3.49 (1.30), area 300.09 (100.96), no points.",
    about=f"{PAPER}, BogoNet table",
    tag="R-lo",
    studies=("S17",),
)
BOGONET_POOLS = Unstated(
    what="the ranges of the three families of the BogoNet games",
    source="dragan-readme",
    studies=("S17",),
)
MNIST_SCORE = PublishedTable(
    title="DRAGAN: the classifier and samples of the notebook's MNIST score",
    columns=("item", "value"),
    rows=(
        ("learning rate of softmax regression, by SGD", 0.5),
        ("steps", 1000),
        ("batch", 100),
        ("samples", 50_000),
        ("splits", 10),
    ),
    evidence=known("C:dragan-c"),
)
SMALL_LAMBDA_FOR_TOYS = Finding(text="A small lambda works especially well on toys.", evidence=known("S:001"))
SHARP_GRADIENTS = Finding(
    text="Sharp gradients of D around real points accompany a collapse.", evidence=known("X:blog001")
)
