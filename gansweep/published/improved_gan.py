"""Salimans et al. 2016, Improved Techniques: the Inception Score, its critique and its bias, MNIST-like scores."""

from __future__ import annotations

from gansweep.evidence import Finding, PublishedTable, Recalled, Value, known

TEXT = known("P:impgan")
CODE = known("C:is-c")
SEARCH = known("C:nn", "mlp_gan_search.py")

# ------------------------------------------------------------------------------------------ the score

RECOMMENDED_SAMPLES = Value(value=50_000, what="samples to evaluate the score on", evidence=TEXT)
ROUGH_GUIDE = Finding(
    text='The score is "a rough guide"; optimising it directly gives adversarial examples.', evidence=TEXT
)
SEMI_SUPERVISED_FORM = Finding(
    text="The loss is a supervised and an unsupervised one; with the logit of the fake class fixed at 0, D = Z/(Z + "
    "1), Z being the sum of the exponentials of the K logits.",
    evidence=TEXT,
)
REFERENCE = PublishedTable(
    title="The reference implementation of the Inception Score",
    columns=("item", "value"),
    rows=(
        ("network", "the graph inception-2015-12-05"),
        ("lowest pixel", 0),
        ("highest pixel", 255),
        ("outputs", 1008),
        ("bias of the last layer", "left out"),
        ("splits, contiguous and not shuffled", 10),
        ("marginal", "the mean over the split's generated samples"),
        ("score", "the mean over the splits"),
        ("ddof of the deviation over the splits", 0),
        ("epsilon in the logarithm", "none, so that 0 log 0 is not a number"),
    ),
    evidence=CODE,
)
CIFAR_TRAIN = Value(
    value=11.24, spread=0.12, what="Inception Score of the CIFAR-10 training images", evidence=known("X:klory")
)
CRITIQUE = Finding(
    text="The 1008-way network is outdated, the divergence is computed unstably, and the mean of exponentials over "
    "splits over-estimates the exponential of the mean.",
    evidence=known("X:is29"),
)
DROP_EXPONENTIAL = Recalled(
    text="The note recommends to drop the exponential and the splits.",
    about="Barratt and Sharma, A note on the Inception Score",
    tag="R-hi",
)

# ---------------------------------------------------------------------------- its bias in the sample size

BIAS = PublishedTable(
    title="Expected Inception Score of one split, of perfect, hard, uniform predictions over K classes",
    columns=("samples", "classes", "score", "spread"),
    rows=(
        (20, 10, 7.78, 0.87),
        (20, 1000, 19.7, None),
        (100, 10, 9.56, 0.21),
        (100, 1000, 93.6, None),
        (500, 10, 9.91, 0.04),
        (500, 1000, 366, None),
        (1000, 10, 9.955, 0.02),
        (1000, 1000, 564, None),
        (5000, 10, 9.991, 0.004),
        (5000, 1000, 901, None),
    ),
    evidence=known("D:impgan", "the definition of the score"),
)
BIAS_RULE = Finding(
    text="For many more samples N than classes K the mean of ln IS is about ln K - (K - 1)/(2N); a score is at most "
    "min(N, K), and at most m where m of K classes are left.",
    evidence=known("D:impgan", "the definition of the score"),
)
SAMPLES_FOR_TEN = Value(
    value=1000, what="samples per split to use at least for 10 classes", evidence=known("D:impgan", "the score")
)

# --------------------------------------------------------------------------------- MNIST-like scores

MNIST_SCORES = PublishedTable(
    title="MNIST-like scores in published code",
    columns=("who", "classifier", "samples", "splits"),
    rows=(
        (
            "Gulrajani",
            "small ResNet (32, 32, 64, 64, ELU, BN, average pool), Adam 1e-3, batch 500, about 9 epochs",
            10_000,
            None,
        ),
        ("DRAGAN", "softmax regression", 50_000, 10),
    ),
    evidence=known("C:nn") + known("C:dragan-c"),
)
MLP_SEARCH = PublishedTable(
    title="Gulrajani's random search over MLP GANs on MNIST, November 2016",
    columns=("factor", "levels"),
    rows=(
        ("nonlinearity of G and of D", "relu, leaky, elu"),
        ("width", "256, 512, 1024, 2048"),
        ("hidden layers", "1, 3, 5"),
        ("learning rate", "1e-4, 2e-4, 5e-4, 1e-3"),
        ("beta1", "0.5, 0.9"),
        ("weight norm", None),
        ("minibatch discrimination b, c", "16, 32, 64"),
        ("batch", "50, 100"),
    ),
    note="The full product, shuffled with seed 42.",
    evidence=SEARCH,
)
MLP_SEARCH_RULES = PublishedTable(
    title="Gulrajani's random search: its length and its rule to abort",
    columns=("item", "value"),
    rows=(
        ("seed of the shuffle", 42),
        ("iterations", 20_000),
        ("score below which a run is aborted", 1.2),
        ("iterations after which that is asked", 2_000),
    ),
    evidence=SEARCH,
)
MODE_SCORE = Recalled(
    text="The mode score is exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*(y))).", about="the mode score", tag="R"
)
MODE_SCORE_USELESS = Finding(
    text="E KL(p(y|x) || p*) - KL(p(y) || p*) is the logarithm of the Inception Score: it adds nothing.",
    evidence=known("D:impgan", "the definition of the score"),
)
COVERAGE = PublishedTable(
    title="VEEGAN code: coverage of toy modes",
    columns=("item", "value"),
    rows=(
        ("deviations from the nearest mode that are high quality, at most", 3),
        ("samples", 2500),
        ("runs", 5),
        ("high-quality samples that capture a mode, at least", 1),
    ),
    evidence=known("C:veegan"),
)
STACKED_MNIST = PublishedTable(
    title="VEEGAN code: Stacked MNIST",
    columns=("item", "value"),
    rows=(("samples", 26_000), ("modes", 1000)),
    evidence=known("C:veegan"),
)

# ------------------------------------------------------------------------------------------- table 3

CONFIRMED_ROWS = PublishedTable(
    title="Improved-GAN paper, table 3: the rows that the WGAN-GP paper confirms, Inception Scores on CIFAR-10",
    columns=("method", "score", "spread"),
    rows=(("our methods", 8.09, 0.07), ("-L+HA", 6.86, 0.06)),
    evidence=known("P:wgangp", "table 3"),
)
OTHER_ROWS = Recalled(
    text="-VBN+BN 7.54 ± .07, -LS 6.83 ± .06, -L 4.36 ± .04, -MBF 3.87 ± .03.",
    about="Salimans et al. 2016, table 3",
    tag="R-hi",
)
