"""Gulrajani et al. 2017 on architectures: the random set (section 5.1), the penalty's side, the varied ones (5.2)."""

from __future__ import annotations

from gansweep.evidence import (
    Finding,
    Inconsistency,
    PublishedOutcomes,
    PublishedTable,
    Recalled,
    Unstated,
    Value,
    known,
)

PAPER = "wgangp"
RANDOM = known("P:wgangp", "section 5.1")
APPENDIX_B = known("P:wgangp", "appendix B")
APPENDIX_C = known("P:wgangp", "appendix C")
ALGORITHM_1 = known("P:wgangp", "algorithm 1")
STABILITY_SCRIPT = known("C:nn", "experiments/wgan/wgan_imagenet32_stab.py")
SCRIPT_64 = known("C:iwt", "gan_64x64.py")

# ------------------------------------------------------------------------------------------- the set, table 1

NONLINEARITIES = ("ReLU", "LeakyReLU", "softplus(2x + 2)/2 - 1", "tanh")

SET = PublishedTable(
    title="WGAN-GP paper, table 1: the set of architectures",
    columns=("factor", "network", "level"),
    rows=tuple(
        (factor, network, level)
        for factor, levels in (
            ("nonlinearity", NONLINEARITIES),
            ("depth", (4, 8, 12, 20)),
            ("batch norm", (True, False)),
            ("base filter count", (32, 64, 128)),
        )
        for network in ("G", "D")
        for level in levels
    ),
    note="The normalisation of D is layer norm for WGAN-GP.",
    evidence=known("P:wgangp", "section 5.1, table 1"),
)
SET_SIZE = Value(value=9216, what="architectures in the set", evidence=known("D:wgangp", "table 1"))
DRAWN = Value(value=200, what="architectures drawn from the set", evidence=RANDOM)
TRAININGS_EACH = Value(value=2, what="trainings of each architecture, one per objective", evidence=RANDOM)
RUNS = Value(value=400, what="runs", evidence=known("D:wgangp", "section 5.1"))
LEAKY_SLOPE = Value(
    value=0.2, what="slope of LeakyReLU in all the authors' code", evidence=known("C:iwt") + known("C:nn")
)
STARTING_POINT = Finding(text="The set starts from the DCGAN architecture.", evidence=RANDOM)
SMOOTH_ELU = Finding(
    text="softplus(2x + 2)/2 - 1 is the smooth stand-in for ELU, which failed to train under the penalty because its "
    "derivative is continuous but not smooth.",
    evidence=known("P:wgangp", "appendix D"),
)
DRAWING = Unstated(
    what="whether the 200 were drawn with replacement and uniformly, and the seed",
    source=PAPER,
    where="section 5.1",
    studies=("S1",),
)
REPLICATION = Unstated(
    what="a replication by seeds: there is one run per architecture and objective",
    source=PAPER,
    where="section 5.1",
    studies=("S1",),
)

# ------------------------------------------------------------------------------------ the training, appendix B

TRAINING = PublishedTable(
    title="WGAN-GP paper: how the random architectures were trained",
    columns=("item", "gan", "wgan_gp"),
    rows=(
        ("data", "32x32 ImageNet", "32x32 ImageNet"),
        ("generator iterations", 100_000, 100_000),
        ("optimiser", "Adam", "Adam"),
        ("learning rate", 2e-4, 1e-4),
        ("beta1", 0.5, 0.0),
        ("beta2", 0.999, 0.9),
        ("weight decay of D, only where D is normalised", 1e-3, 1e-3),
    ),
    evidence=APPENDIX_B,
)
CRITIC_STEPS = Value(value=5, what="critic steps per generator step of WGAN-GP", evidence=ALGORITHM_1)
PENALTY_WEIGHT = Value(value=10, what="weight lambda of the penalty", evidence=ALGORITHM_1)
GAN_CRITIC_STEPS = Value(
    value=1, what="discriminator steps per generator step of the standard GAN", evidence=known("C:iwt", "disc_iters=1")
)
BATCH = Value(value=64, what="batch size of every ImageNet and CIFAR script", evidence=known("C:iwt") + known("C:nn"))
BATCH_UNSTATED = Unstated(
    what="the batch size of the random architectures", source=PAPER, where="appendix B", studies=("S1", "S2")
)
WEIGHT_DECAY_HELPS = Finding(
    text="Weight decay in a normalised discriminator helps both algorithms slightly.", evidence=APPENDIX_B
)
SCORE_UNSTATED = Unstated(
    what="the number of samples and the classifier of the Inception Score on 32x32 ImageNet",
    source=PAPER,
    where="section 5.1",
    studies=("S1", "S2"),
)

# ------------------------------------------------------------------------------------------ outcomes, table 5

SUCCESS = Finding(text="A run succeeds if its Inception Score is strictly above min_score.", evidence=RANDOM)
REFERENCE_SCORE = Value(value=7.24, what="Inception Score of the standard DCGAN", evidence=RANDOM)

TABLE_5 = PublishedOutcomes(
    title="WGAN-GP paper, table 5",
    arm_a="gan",
    arm_b="wgan_gp",
    score="inception_score",
    cells=200,
    rows=(
        (1.0, 0, 8, 192, 0),
        (1.5, 0, 50, 150, 0),
        (2.0, 0, 60, 140, 0),
        (2.5, 0, 74, 125, 1),
        (3.0, 1, 88, 110, 1),
        (3.5, 0, 111, 86, 3),
        (4.0, 1, 126, 67, 6),
        (4.5, 0, 136, 55, 9),
        (5.0, 0, 147, 42, 11),
        (5.5, 0, 148, 32, 20),
        (6.0, 0, 145, 21, 34),
        (6.5, 1, 131, 11, 57),
        (7.0, 1, 104, 5, 90),
        (7.5, 2, 67, 3, 128),
        (8.0, 1, 34, 0, 165),
        (8.5, 0, 6, 0, 194),
        (9.0, 0, 0, 0, 200),
    ),
    protocol="32x32 ImageNet, 100,000 generator iterations",
    evidence=known("P:wgangp", "table 5 (table 2 is its subset at 1, 3, 5, 7, 9)"),
)
DERIVED = known("D:wgangp", "table 5")
MEDIANS = PublishedTable(
    title="Medians of the Inception Score, between two thresholds of table 5",
    columns=("arm", "above", "not_above"),
    rows=(("gan", 3.0, 3.5), ("wgan_gp", 7.0, 7.5)),
    note="WGAN-GP's is just above 7.0: 109 of 200 runs score more.",
    evidence=DERIVED,
)
ONLY_GAN_AT_MOST = Value(
    value=2, what="architectures that only the standard GAN trains, at most, at any threshold", evidence=DERIVED
)
MCNEMAR = PublishedTable(
    title="McNemar's test on the discordant counts of table 5",
    columns=("threshold", "p_value"),
    rows=((1.0, 7.8e-3), (5.0, 1e-44), (7.0, 5e-30)),
    evidence=DERIVED,
)
SCORE_OF_ONE = Finding(
    text="An Inception Score is never below 1, so the 8 failures of the standard GAN at 1.0 scored exactly 1 (total "
    "collapse) or were not finite.",
    evidence=DERIVED,
)
NOT_REPRESENTATIVE = Finding(
    text="The set is not claimed to be unbiased or representative; it is meant to show a regime in which the method "
    "succeeds.",
    evidence=RANDOM,
)
TRAINS_MANY = Finding(
    text="For most thresholds WGAN-GP trains many architectures that the authors could not train with the standard "
    "GAN objective.",
    evidence=RANDOM,
)
CONFOUNDED = Finding(
    text="The two arms also differ in their optimiser's rate and betas, in five times the critic's work per generator "
    "step, and in the normaliser of D; generator iterations are equal, compute is not.",
    evidence=known("D:wgangp", "appendix B"),
)

# --------------------------------------------------------------------------- what depth means in the networks

DEPTH_UNSTATED = Unstated(
    what="how a depth becomes a network; the released code never had this script",
    source=PAPER,
    where="section 5.1",
    studies=("S1", "S2"),
)
DEPTH_NETWORKS = PublishedTable(
    title="The networks of the authors' stability script, with base filter count F",
    columns=("network", "layer", "what"),
    rows=(
        ("G", 1, "linear 128 to 4x4x4F, norm, activation; z is standard normal of 128 numbers"),
        ("G", 2, "deconv 5x5/2 4F to 2F, norm, activation"),
        ("G", 3, "EXTRA_DEPTH_G times conv 3x3/1 2F to 2F, norm, activation, at 8x8"),
        ("G", 4, "deconv 5x5/2 2F to F, norm, activation"),
        ("G", 5, "deconv 5x5/2 F to 3, tanh"),
        ("D", 1, "conv 5x5/2 3 to F, activation, no norm"),
        ("D", 2, "conv 5x5/2 F to 2F, norm, activation"),
        ("D", 3, "EXTRA_DEPTH_D times conv 3x3/1 2F to 2F, norm, activation, at 8x8"),
        ("D", 4, "conv 5x5/2 2F to 4F, norm, activation"),
        ("D", 5, "flatten, linear to 1"),
    ),
    evidence=STABILITY_SCRIPT,
)
DEPTH_MAPPING = PublishedTable(
    title="Depth and extra layers, inferred from the stability script: depth = 4 + extra",
    columns=("depth", "extra_layers"),
    rows=((4, 0), (8, 4), (12, 8), (20, 16)),
    note="An inference, consistent with the paper's depths; the paper does not say it.",
    evidence=known("D:nn", "experiments/wgan/wgan_imagenet32_stab.py"),
)
OTHER_DEPTHS = Finding(
    text="The same script's other generator, with extra layers in every stage, has 4 + 3k layers and cannot give 8, 12 "
    "or 20. Four stages of 1, 2, 3 or 5 layers would be another consistent reading.",
    evidence=known("D:nn", "experiments/wgan/wgan_imagenet32_stab.py"),
)
STABILITY_SETTINGS = PublishedTable(
    title="Settings of the authors' stability script in May 2017",
    columns=("item", "gan", "wgan_gp"),
    rows=(
        ("batch", 64, 64),
        ("generator batch, times the batch", None, 2),
        ("iterations", 20_000, 20_000),
        ("Adam learning rate", 2e-4, 1e-4),
        ("Adam beta1", 0.5, 0.0),
        ("Adam beta2", None, 0.9),
        ("norm of D", None, "layer norm"),
        ("samples of the rough Inception Score", 200, 200),
        ("iterations between two rough scores", 100, 100),
        ("samples of the final Inception Score", 50_000, 50_000),
    ),
    evidence=STABILITY_SCRIPT,
)
EXTRA_LAYERS_OF_WGAN = Finding(
    text="Arjovsky's own knob, n_extra_layers, puts 3x3 convolutions after D's first convolution and before G's last "
    "deconvolution.",
    evidence=known("C:wgan-c"),
)
INITIALISATION = Finding(
    text="The authors' library draws uniformly with a He-like deviation, sqrt(4/(fan_in + fan_out)) with fan_out "
    "(conv) or fan_in (deconv) divided by the squared stride; linear layers default to Glorot; layer norm is over "
    "channels, height and width with a gain and a bias per channel.",
    evidence=known("C:nn") + known("C:iwt"),
)
NORM_EPSILON = Value(value=1e-5, what="epsilon of batch and layer norm", evidence=known("C:nn") + known("C:iwt"))
REVISION_DATE = Recalled(
    text="The random architectures came into the paper with the revision of late May 2017.",
    about="Gulrajani et al. 2017, its revisions",
    tag="R-hi",
    studies=("S1",),
)
EXTRA_WIDTH_BUG = Inconsistency(
    line="The stability script builds D's extra convolutions with the generator's width, which is harmless there "
    "because both widths are equal.",
    readings=(Finding(text="D's extra convolutions use DIM_G, and DIM_G = DIM_D.", evidence=STABILITY_SCRIPT),),
    kind="code",
    studies=("S1",),
)

# ----------------------------------------------------------------------------- one- or two-sided, appendix C

SIDES_COMPARED = Value(value=174, what="architectures of table 1 trained with both penalties", evidence=APPENDIX_C)
TWO_SIDED_BETTER = Value(value=100, what="architectures better with the two-sided penalty", evidence=APPENDIX_C)
ONE_SIDED_BETTER = Value(value=77, what="architectures better with the one-sided penalty", evidence=APPENDIX_C)
SIDES_LEVEL = Value(
    value=0.05, what="level at which the difference was not statistically significant", evidence=APPENDIX_C
)
SIDES_SIGN_TEST = Value(
    value=0.098, what="p-value of a sign test on 100 against 77", evidence=known("D:wgangp", "appendix C")
)
SIDES_DO_NOT_ADD_UP = Inconsistency(
    line="The paper compares 174 architectures, and its counts of wins, 100 and 77, add up to 177.",
    readings=(SIDES_COMPARED, TWO_SIDED_BETTER, ONE_SIDED_BETTER),
    kind="paper",
    studies=("S2",),
)

# ---------------------------------------------------------------------- varied architectures, figure 2, app. E

VARIED = PublishedTable(
    title="WGAN-GP paper, figure 2: the varied architectures, with F = 64 and z standard normal of 128 numbers",
    columns=("row", "generator", "discriminator", "layers"),
    rows=(
        (
            "baseline",
            "DCGAN",
            "DCGAN",
            "G: linear to 4x4x8F, BN, ReLU; deconv 5x5/2 8F, 4F, 2F, F, 3, BN and ReLU between, tanh. D: conv 5x5/2 3, "
            "F, 2F, 4F, 8F, LeakyReLU 0.2, norm on layers 2 to 4; linear to 1. Weights: deviation 0.02, uniform",
        ),
        (
            "1",
            "no BN, constant number of filters",
            "DCGAN",
            "G: linear to 4x4xF; three deconvs F to F; last F to 3; ReLU; no BN",
        ),
        ("2", "4-layer MLP, 512 units, ReLU", "DCGAN", "G: 128, 512, 512, 512, 512, 12288, tanh"),
        ("3", "DCGAN without norm", "DCGAN without norm", None),
        (
            "4",
            "gated multiplicative nonlinearities",
            "gated multiplicative nonlinearities",
            "channels doubled before the activation, sigmoid(a) * tanh(b) on even and odd channels, norm before the "
            "gate",
        ),
        ("5", "tanh everywhere", "tanh everywhere", "with norm"),
        (
            "6",
            "101-layer ResNet",
            "101-layer ResNet",
            "bottleneck blocks (1x1, 3x3, 1x1, half width), ReLU before, norm only after the third conv, residual "
            "times 0.3; stages of 6, 6, 6, 6, 5 blocks at 4, 8, 16, 32, 64 pixels with widths 8F, 4F, 2F, F, F/2, and "
            "4 blocks that resample; G ends in tanh(x/5), D in x/5",
        ),
    ),
    note='The paper speaks of "six" architectures beside the DCGAN baseline. Samples only, no scores.',
    evidence=known("P:wgangp", "section 5.2, figure 2, appendices E and H") + SCRIPT_64,
)
VARIED_ROWS = Value(value=7, what="architectures, the baseline among them", evidence=known("P:wgangp", "figure 2"))
VARIED_METHODS = Value(value=4, what="methods", evidence=known("P:wgangp", "figure 2"))
VARIED_ITERATIONS = Value(
    value=200_000,
    what="iterations of each run",
    protocol="64x64 LSUN bedrooms",
    evidence=known("P:wgangp", "appendix E"),
)
RESNET_LAYERS = Value(
    value=101, what="layers of the ResNet: 33 blocks of 3, and 2", evidence=known("D:iwt", "gan_64x64.py")
)
VARIED_LAYER_NORM = Finding(
    text="For WGAN-GP any batch normalisation in the discriminator is replaced by layer normalisation.",
    evidence=known("P:wgangp", "section 5.2"),
)
ONLY_WGAN_GP_TRAINS_ALL = Finding(
    text="With one set of hyperparameters every architecture was trained only by WGAN-GP; with every other method some "
    "were unstable or collapsed.",
    evidence=known("P:wgangp", "section 5.2"),
)
VARIED_CELLS_UNSTATED = Unstated(
    what="which architectures failed under which method, other than as images",
    source=PAPER,
    where="figure 2",
    studies=("S3",),
)
SETTING_OF_METHODS = PublishedTable(
    title="WGAN-GP paper, appendix E: the four methods on the varied architectures",
    columns=("method", "optimiser", "learning_rate", "beta1", "beta2", "n_critic", "constraint"),
    rows=(
        ("WGAN-GP", "Adam", 1e-4, 0.5, 0.9, 5, "two-sided penalty, lambda 10, layer norm in D"),
        ("WGAN", "RMSProp", 5e-5, None, None, 5, "all variables of D, biases and BN too, clipped to 0.01"),
        ("DCGAN", "Adam", 2e-4, 0.5, 0.999, 1, None),
        ("LSGAN", "RMSProp", 1e-4, None, None, 1, None),
    ),
    note="beta1 of WGAN-GP is appendix E's; code and Algorithm 1 have another. beta2 of DCGAN is TensorFlow's default.",
    evidence=known("P:wgangp", "appendix E, rates and betas") + known("C:iwt", "gan_64x64.py, the rest"),
)
LSGAN_RATES = PublishedTable(
    title="WGAN-GP paper, appendix E: learning rates searched for LSGAN",
    columns=("learning_rate", "chosen"),
    rows=((0.001, False), (0.0002, False), (0.0001, True)),
    evidence=known("P:wgangp", "appendix E"),
)
LSGAN_LABELS = Finding(
    text="LSGAN has labels 0 and 1: G minimises (D - 1)^2, D half the sum of (D - 1)^2 on real and D^2 on fake "
    "examples.",
    evidence=SCRIPT_64,
)
DCGAN_COST = Finding(
    text="In the DCGAN mode the discriminator's cost is the mean of its two cross-entropies.", evidence=SCRIPT_64
)
LOOP_ORDER = Finding(
    text="Each iteration steps the generator first, but not at iteration 0, and then the discriminator.",
    evidence=SCRIPT_64,
)
BETA1_OF_APPENDIX_E = Inconsistency(
    line="Appendix E gives WGAN-GP a beta1 of 0.5 on the varied architectures; the released 64x64 script and "
    "Algorithm 1 have 0.",
    readings=(
        Value(value=0.5, what="beta1 of WGAN-GP on the varied architectures", evidence=known("P:wgangp", "appendix E")),
        Value(value=0, what="beta1 of WGAN-GP on the varied architectures", evidence=SCRIPT_64),
        Value(value=0, what="default beta1 of WGAN-GP", evidence=ALGORITHM_1),
    ),
    kind="paper and code",
    studies=("S3",),
)
DATA_OF_THE_64_SCRIPT = Inconsistency(
    line="The paper shows LSUN bedrooms; the released script trains on 64x64 ImageNet instead, and says so.",
    readings=(
        Finding(text="64x64 LSUN bedrooms.", evidence=known("P:wgangp", "figure 2")),
        Finding(text="64x64 ImageNet.", evidence=known("C:iwt", "README")),
    ),
    kind="paper and code",
    studies=("S3",),
)
