"""Chen et al. 2016, InfoGAN."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Value, known

TEXT = known("P:infogan-p")
APPENDIX_C = known("P:infogan-p", "appendix C")
CODE = known("C:infogan-c")

DISCRETE_LAMBDA = Value(value=1, what="lambda for discrete codes", evidence=TEXT)
CONTINUOUS_LAMBDA = Finding(
    text="For continuous codes lambda is smaller, so that lambda L_I is on the same scale.", evidence=TEXT
)
APPENDIX_LAMBDA = Value(value=1, what="lambda in the appendix", evidence=APPENDIX_C)
MNIST_SETTINGS = PublishedTable(
    title="InfoGAN paper: MNIST",
    columns=("item", "value"),
    rows=(
        ("categories of the discrete code", 10),
        ("continuous codes, uniform on (-1, 1)", 2),
        ("noise", 62),
        ("numbers into G", 74),
        ("Adam learning rate of D", 2e-4),
        ("Adam learning rate of G", 1e-3),
        ("slope of LeakyReLU", 0.1),
    ),
    evidence=APPENDIX_C,
)
CODE_SETTINGS = PublishedTable(
    title="InfoGAN code: MNIST",
    columns=("item", "value"),
    rows=(
        ("Adam beta1", 0.5),
        ("D", "conv 4x4/2 64, conv 4x4/2 128 BN, linear 1024 BN, linear 1"),
        ("Q", "D's, then linear 128 BN, linear to the codes"),
        ("G", "linear 1024 BN, linear 7x7x128 BN, deconv 64 BN, deconv 1, sigmoid"),
        ("batch", 128),
        ("updates per epoch", 100),
        ("epochs", 50),
        ("deviation of the continuous codes, fixed", 1),
    ),
    note="D also receives -lambda L_I.",
    evidence=CODE,
)
MUTUAL_INFORMATION = Value(
    value=2.30, what="H(c) of ten categories in nats, about, which L_I approaches", evidence=TEXT
)
PLAIN_GAN_INFORMATION = Finding(text="Without the term, L_I of a plain GAN stays near 0.", evidence=TEXT)
CLASSIFICATION_ERROR = Value(
    value=5, unit="%", what="error of the discrete code as a classifier, categories matched to digits", evidence=TEXT
)
BEST_OF_RUNS = Value(
    value=5,
    what="runs of which figures 3 and 4 show the best: a selection",
    evidence=known("P:infogan-p", "figures 3 and 4"),
)
CODES = PublishedTable(
    title="InfoGAN paper, appendix C: codes by data",
    columns=("data", "discrete", "categories", "continuous", "noise", "total"),
    rows=(
        ("MNIST", 1, 10, 2, 62, 74),
        ("SVHN", 4, 10, 4, 124, 168),
        ("CelebA", 10, 10, 0, 128, 228),
        ("faces", 0, 0, 5, 128, None),
        ("chairs", 3, 20, 1, 128, 189),
    ),
    evidence=APPENDIX_C,
)
CODES_DISAGREE = Inconsistency(
    line="The main text has four discrete codes of 20 for chairs and two continuous codes for SVHN; the appendix has "
    "three and four.",
    readings=(
        Value(value=4, what="discrete codes of 20 categories for chairs", evidence=TEXT),
        Value(value=3, what="discrete codes of 20 categories for chairs", evidence=APPENDIX_C),
        Value(value=2, what="continuous codes for SVHN", evidence=TEXT),
        Value(value=4, what="continuous codes for SVHN", evidence=APPENDIX_C),
    ),
    kind="paper",
    studies=("S20",),
)
