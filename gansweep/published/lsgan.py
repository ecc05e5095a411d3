"""Mao et al. on least squares: codings, networks, stability without batch norm, the mixture, the journal version.

The paper's text was read only through a digest, and its outcomes without batch norm are recalled.
"""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Recalled, Value, known

OBJECTIVE = known("X:lsgan-digest", "the objective") + known("S:001")
ALGEBRA = known("D:lsgan-digest", "the objective")
CODE = known("C:lsgan")
STABILITY = known("C:lsgan", "stability_comparison")
MIXTURE_CODE = known("C:lsgan", "mixture_gaussian")
JOURNAL_CODE = known("C:lsgan2")

# --------------------------------------------------------------------------------------------- codings

CODINGS = PublishedTable(
    title="LSGAN codings: a is the label of fakes for D, b that of real examples, c what G wants D to say",
    columns=("name", "a", "b", "c", "pearson"),
    rows=(("-1/1/0", -1.0, 1.0, 0.0, True), ("0/1/1", 0.0, 1.0, 1.0, False), ("0/1/0.5", 0.0, 1.0, 0.5, False)),
    note="pearson: b - c = 1 and b - a = 2. 0/1/1 was used in the ICCV experiments. 0/1/0.5 is an ablation: -1/1/0 at "
    "half its scale, with the same minimiser and a quarter of the divergence.",
    evidence=OBJECTIVE + ALGEBRA,
)
PEARSON = Finding(
    text="Where b - c = 1 and b - a = 2, twice the generator's cost is the Pearson chi-squared divergence between "
    "p_d + p_g and 2 p_g, which equals the integral of (p_d - p_g)^2/(p_d + p_g).",
    evidence=OBJECTIVE + ALGEBRA,
)
PEARSON_BOUND = Value(
    value=2, what="that divergence for disjoint supports, its largest value: it saturates", evidence=ALGEBRA
)
CODINGS_NAMED = Recalled(
    text="The ICCV paper names only the codings -1/1/0 and 0/1/1.", about="Mao et al., ICCV version", tag="R-hi"
)
ICCV_CODINGS_ALIKE = Finding(
    text="ICCV version: the codings -1/1/0 and 0/1/1 show similar performance.", evidence=known("X:lsgan-digest")
)
JOURNAL_PEARSON_BETTER = Finding(
    text="Journal version: the Pearson coding performs better than the classical one of least squares for "
    "classification.",
    evidence=known("X:tpami-abs"),
)
CODINGS_DISAGREE = Inconsistency(
    line="The ICCV version finds the Pearson coding and 0/1/1 alike; the journal version finds the Pearson coding "
    "better.",
    readings=(ICCV_CODINGS_ALIKE, JOURNAL_PEARSON_BETTER),
    kind="papers",
    studies=("S14",),
)

# -------------------------------------------------------------------------------------------- networks

SCENES_112 = PublishedTable(
    title="LSGAN code: the generator and discriminator of 112x112 images",
    columns=("network", "layer", "output"),
    rows=(
        ("G", "z uniform on (-1, 1)", "1024"),
        ("G", "linear, BN, ReLU", "7x7x256"),
        ("G", "deconv 3x3/2", "14x14x256"),
        ("G", "deconv 3x3/1", "14x14x256"),
        ("G", "deconv 3x3/2", "28x28x256"),
        ("G", "deconv 3x3/1", "28x28x256"),
        ("G", "deconv 3x3/2", "56x56x128"),
        ("G", "deconv 3x3/2", "112x112x64"),
        ("G", "deconv 3x3/1, tanh", "112x112x3"),
        ("D", "conv 5x5/2, LeakyReLU 0.2", "64 maps"),
        ("D", "conv 5x5/2, BN, LeakyReLU 0.2", "128 maps"),
        ("D", "conv 5x5/2, BN, LeakyReLU 0.2", "256 maps"),
        ("D", "conv 5x5/2, BN, LeakyReLU 0.2", "512 maps"),
        ("D", "linear", "1"),
    ),
    note="BN and ReLU between the generator's layers.",
    evidence=CODE,
)
SETTINGS_112 = PublishedTable(
    title="LSGAN code: settings at 112x112, coding 0/1/1",
    columns=("data", "learning_rate", "beta1", "batch"),
    rows=(("scenes", 1e-3, 0.5, 64), ("characters", 2e-4, 0.5, 64)),
    evidence=CODE,
)
MANY_CLASSES = Value(value=3740, what="classes of HWDB1.0", evidence=known("C:lsgan", "y_dim") + known("X:casia"))
MANY_CLASS_NETWORKS = PublishedTable(
    title="LSGAN code: the many-class networks, 28x28x1, each with its own linear map of the label to 256 numbers",
    columns=("network", "layer"),
    rows=(
        ("G", "z of 1024 numbers, and the label's 256"),
        ("G", "linear 7x7x128, BN, ReLU"),
        ("G", "deconv 5x5/2 128, BN, ReLU"),
        ("G", "deconv 5x5/2 1, sigmoid"),
        ("D", "conv 5x5/2, 1 + 256 maps, LeakyReLU, and the label's 256"),
        ("D", "conv 5x5/2, 64 + 256 maps, BN, LeakyReLU"),
        ("D", "flatten, and the label's 256"),
        ("D", "linear 1024, BN, LeakyReLU, and the label's 256"),
        ("D", "linear 1"),
    ),
    note="Coding 0/1/1 with both networks given the label.",
    evidence=CODE,
)
SUMMED_LOSS = Finding(
    text="Every LSGAN script uses half the sum of squares over the batch, not the mean: Adam and RMSProp hide the "
    "scale, but it matters beside a penalty and an epsilon.",
    evidence=CODE,
)

# -------------------------------------------------------------------------------- stability without batch norm

STABILITY_GRID = PublishedTable(
    title="LSGAN: the comparison without batch norm, DCGAN on 64x64 bedrooms",
    columns=("batch_norm", "optimizer", "code_published"),
    rows=(
        ("BN_G: none in G", "Adam", True),
        ("BN_G: none in G", "RMSProp", False),
        ("BN_GD: none in G and D", "Adam", False),
        ("BN_GD: none in G and D", "RMSProp", True),
    ),
    note="Each with LSGAN and with the GAN loss; Adam has beta1 = 0.5.",
    protocol="z of 1024 numbers, uniform on (-1, 1); learning rate 2e-4; batch 64",
    evidence=STABILITY,
)
NO_BN_IN_G_ADAM = Recalled(
    text="Without BN in G, with Adam: LSGAN learns to give relatively good images in 5 of 10 runs; the GAN never "
    "succeeds and collapses severely.",
    about="Mao et al., ICCV version, stability comparison",
    tag="R-hi",
    studies=("S12",),
)
NO_BN_IN_G_RMSPROP = Recalled(
    text="Without BN in G, with RMSProp: LSGAN and GAN both learn.",
    about="Mao et al., ICCV version, stability comparison",
    tag="R-hi",
    studies=("S12",),
)
NO_BN_ADAM = Recalled(
    text="Without BN in G and D, with Adam: LSGAN and GAN both collapse slightly.",
    about="Mao et al., ICCV version, stability comparison",
    tag="R-hi",
    studies=("S12",),
)
NO_BN_RMSPROP = Recalled(
    text="Without BN in G and D, with RMSProp: LSGAN is good, better than the GAN, which collapses slightly.",
    about="Mao et al., ICCV version, stability comparison",
    tag="R-hi",
    studies=("S12",),
)
TWO_CODINGS_IN_ONE_COMPARISON = Inconsistency(
    line="The released scripts of the comparison without batch norm use two codings: -1/1/0 for BN_GD with RMSProp, "
    "0/1/1 for BN_G with Adam.",
    readings=(
        Finding(text="BN_GD with RMSProp: LSGAN with -1/1/0.", evidence=STABILITY),
        Finding(text="BN_G with Adam: LSGAN with 0/1/1.", evidence=STABILITY),
    ),
    kind="code",
    studies=("S12",),
)

# ------------------------------------------------------------------------------------- mixture of Gaussians

MIXTURE_SETTINGS = PublishedTable(
    title="LSGAN code: the mixture of Gaussians, after unrolled_gan",
    columns=("item", "value"),
    rows=(
        ("hidden tanh layers of G and D, then a linear one", 2),
        ("units per hidden layer", 128),
        ("gain of the orthogonal initialisation", 1.4),
        ("numbers in z, standard normal", 256),
        ("batch", 512),
        ("learning rate of D", 1e-4),
        ("learning rate of G", 1e-3),
        ("Adam beta1", 0.5),
        ("steps", 35_000),
        ("steps between two snapshots", 5_000),
        ("repetitions", 10),
        ("sigma", 0.01),
        ("radius", 1),
    ),
    note="D and G are updated at the same time.",
    evidence=MIXTURE_CODE,
)
MIXTURE_MODES = Value(
    value=8, what="distinct modes, one of them with twice the weight", evidence=MIXTURE_CODE + known("D:lsgan")
)
PARENT_MODES = Value(value=7, what="modes of the parent code where it asks for 8", evidence=known("D:unrolled"))
DOUBLE_MODE = Inconsistency(
    line="The mixture's angles come from linspace(0, 2 pi, 9): 8 distinct modes, one with twice the weight; the parent "
    "code, asked for 8, has only 7.",
    readings=(MIXTURE_MODES, PARENT_MODES),
    kind="code",
    studies=("S13",),
)
MIXTURE_OUTCOME = Recalled(
    text="The GAN collapses from step 15,000; LSGAN fits the mixture.",
    about="Mao et al., ICCV version, mixture of Gaussians",
    tag="R-hi",
    studies=("S13",),
)
MIXTURE_COUNTS = Recalled(
    text="Of 100 repetitions the non-saturating GAN fails nearly always, LSGAN in a few percent.",
    about="Mao et al., journal version",
    tag="R-lo",
    studies=("S13",),
)

# -------------------------------------------------------------------------------------- the journal version

LSGAN_GP_SETTINGS = PublishedTable(
    title="LSGAN-GP code: difficult architectures with a penalty around real examples",
    columns=("item", "value"),
    rows=(
        ("lambda", 150),
        ("C, times uniform noise on [0, 1)", 30),
        ("Adam learning rate", 1e-4),
        ("beta1", 0.5),
        ("beta2", 0.9),
        ("critic steps", 1),
        ("critic steps for the ResNet", 2),
        ("iterations", 500_000),
    ),
    note="The seven architectures of the WGAN-GP paper; the penalty is DRAGAN's, alpha uniform per example on the "
    "segment; coding 0/1/1 with summed loss; layer norm in D; the ResNet's D without the division by 5.",
    evidence=JOURNAL_CODE,
)
CONSTANT_NOISE = Inconsistency(
    line="The LSGAN-GP code draws its noise once, when the graph is built, so that the direction of the perturbation "
    "is constant in a run.",
    readings=(Finding(text="The noise is drawn by NumPy as the graph is built.", evidence=JOURNAL_CODE),),
    kind="code",
)
CATS = Finding(text="Cats at 128x128: DCGAN, coding -1/1/0, Adam at 2e-4.", evidence=JOURNAL_CODE)
SMALL_VARIANCE = PublishedTable(
    title="LSGAN code: digits of small variance (the font times, shifted, or shifted and rotated), coding -1/1/0",
    columns=("item", "value"),
    rows=(
        ("maps of D's first convolution", 20),
        ("maps of D's second convolution", 50),
        ("units of D's linear layer", 500),
        ("steps", 50_001),
    ),
    evidence=JOURNAL_CODE,
)
