"""Gulrajani et al. 2017 on small problems: surfaces, gradient norms, weights, the character model, overfitting."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Unstated, Value, known

PAPER = "wgangp"
SURFACES = known("P:wgangp", "section 3.1, figure 1a")
TOY_SCRIPT = known("C:iwt", "the toy script")
OLDER_TOY_SCRIPT = known("C:nn", "an older toy script")
GRADIENTS = known("P:wgangp", "section 3.2, figure 1b left")
WEIGHTS = known("P:wgangp", "figure 1b right")
LANGUAGE = known("P:wgangp", "section 5.5")
LANGUAGE_SCRIPT = known("C:iwt", "gan_language.py")
LOSSES = known("P:wgangp", "section 5.6, figure 5")
MNIST_SCRIPT = known("C:iwt", "gan_mnist.py")

# -------------------------------------------------------------------------------- value surfaces, figure 1a

FIXED_GENERATOR = Finding(
    text="The generator is fixed at real data plus standard normal noise, and the critic, without batch norm, is "
    "trained to optimality.",
    evidence=SURFACES,
)
CLIPPING_MISSES_MOMENTS = Finding(
    text="Critics with clipped weights miss the higher moments of the data.",
    evidence=SURFACES,
)
DATA = PublishedTable(
    title="The toy data of the released script",
    columns=("data", "modes", "sigma", "points", "divisor", "definition"),
    rows=(
        ("8 Gaussians", 8, 0.02, None, 1.414, "centres 2 (cos, sin) of 8 equispaced angles"),
        ("25 Gaussians", 25, 0.05, 100_000, 2.828, "grid 2 {-2..2}^2, 4,000 fixed points per mode, shuffled"),
        ("Swiss roll", None, 0.25, None, 7.5, "make_swiss_roll with this noise, columns 0 and 2"),
    ),
    evidence=TOY_SCRIPT,
)
SURFACE_SETTINGS = PublishedTable(
    title="Settings of the released toy script",
    columns=("item", "value"),
    rows=(
        ("hidden ReLU layers of critic and generator, then a linear one", 3),
        ("units per hidden layer", 512),
        ("numbers in z", 2),
        ("batch", 256),
        ("iterations", 100_000),
        ("n_critic", 5),
        ("Adam learning rate", 1e-4),
        ("beta1", 0.5),
        ("beta2", 0.9),
        ("lambda", 0.1),
        ("RMSProp learning rate, clipped", 5e-5),
        ("clipping bound", 0.01),
        ("grid points per side of the critic's contours", 128),
        ("lowest coordinate of the grid", -3),
        ("highest coordinate of the grid", 3),
    ),
    note="He initialisation.",
    evidence=TOY_SCRIPT,
)
OLDER_SURFACE_SETTINGS = PublishedTable(
    title="Settings of the older toy script",
    columns=("item", "value"),
    rows=(
        ("hidden layers of the critic", 2),
        ("units per hidden layer", 1024),
        ("batch", 1024),
        ("n_critic", 10),
        ("lambda", 10),
        ("lowest coordinate of the grid", -2),
        ("highest coordinate of the grid", 2),
    ),
    evidence=OLDER_TOY_SCRIPT,
)
LAMBDA_OF_THE_TOYS = Inconsistency(
    line="The paper says that all its experiments have lambda = 10; the released toy script has 0.1.",
    readings=(
        Value(value=10, what="lambda of all experiments", evidence=known("P:wgangp", "section 4")),
        Value(
            value=0.1,
            what="lambda of the toys: smaller is faster, and not needed with enough critic iterations",
            evidence=TOY_SCRIPT,
        ),
    ),
    kind="paper and code",
    studies=("S5", "S6"),
)

# ------------------------------------------------------------------------- gradient norms, figure 1b left

GRADIENT_LAYERS = Value(
    value=12, what="layers of the ReLU MLPs, generator and critic, without BN, on the Swiss roll", evidence=GRADIENTS
)
GRADIENT_BOUNDS = PublishedTable(
    title="WGAN-GP paper, figure 1b: clipping bounds beside the penalty",
    columns=("bound",),
    rows=((0.1,), (0.01,), (0.001,)),
    evidence=GRADIENTS,
)
GRADIENT_QUANTITY = Finding(
    text="The norm of the gradient of the critic's loss with respect to successive layers of activations, on a log "
    "scale from -20 to 10; the layers are labelled 13, 10, 7, 4, 1.",
    evidence=GRADIENTS,
)
GRADIENTS_EXPLODE_OR_VANISH = Finding(
    text="With clipping the gradient norm grows or decays exponentially on its way back through the layers.",
    evidence=GRADIENTS,
)
GRADIENTS_STAY_FLAT = Finding(
    text="With the penalty the gradient norm is about the same in every layer.", evidence=GRADIENTS
)
GAIN_OF_CLIPPED_LAYERS = PublishedTable(
    title="Clipped layers of 512 units: the largest spectral norm, c n, and the He-like gain, c sqrt(n/2)",
    columns=("bound", "spectral_norm_at_most", "gain_of_random_signs"),
    rows=((0.1, 51, 1.6), (0.01, 5.1, 0.16), (0.001, 0.51, 0.016)),
    note="Weights at the bound with random signs: over 12 layers this explodes or decays exponentially.",
    evidence=known("D:wgangp", "section 3.2"),
)
GRADIENTS_UNSTATED = Unstated(
    what="the width of the 12-layer networks, the iteration of the measurement and the base of the logarithm",
    source=PAPER,
    where="section 3.2",
    studies=("S6",),
)

# ----------------------------------------------------------------------------------- weights, figure 1b right

WEIGHTS_PILE_UP = Finding(
    text="With clipping, weights pile up at plus and minus c; the axis of ±0.02 means c = 0.01.", evidence=WEIGHTS
)
WEIGHTS_BELL = Finding(
    text="With the penalty the histogram of weights has the shape of a bell, on an axis of ±0.5.", evidence=WEIGHTS
)

# ------------------------------------------------------------------------------ characters, section 5.5

LANGUAGE_SETTINGS = PublishedTable(
    title="Settings of the released character model, on Google Billion Word",
    columns=("item", "value"),
    rows=(
        ("characters per sentence, truncated or padded with `", 32),
        ("numbers in z", 128),
        ("channels", 512),
        ("residual blocks: ReLU, conv k5, ReLU, conv k5", 5),
        ("factor of the residual", 0.3),
        ("batch", 64),
        ("iterations", 200_000),
        ("n_critic of the results in the paper", 10),
        ("n_critic that should work", 5),
        ("lambda", 10),
        ("Adam learning rate", 1e-4),
        ("beta1", 0.5),
        ("beta2", 0.9),
        ("lines at most", 10_000_000),
        ("characters of the vocabulary at most, unk among them", 2048),
        ("longest n-gram", 4),
        ("iterations between two measurements", 100),
        ("samples of a measurement", 640),
        ("lines of the held-out baseline", 640),
    ),
    note="G: linear to 32x512, the blocks, conv k1 to the vocabulary, softmax; D mirrors it, then flatten and "
    "linear. The softmax goes straight to the critic, argmax decodes; the only loss is WGAN-GP's. The Jensen-Shannon "
    "divergence of n-grams is in bits, pooled over positions, against the whole corpus; on 640 samples it is biased "
    "up.",
    evidence=LANGUAGE + LANGUAGE_SCRIPT,
)
LANGUAGE_CRITIC_STEPS = Value(
    value=10, what='n_critic of the results in the paper; "5 should work"', evidence=LANGUAGE_SCRIPT
)
LANGUAGE_CLAIM = Finding(
    text="The standard GAN objective could not be made to give comparable results; there is no table of divergences.",
    evidence=LANGUAGE,
)

# -------------------------------------------------------------------------------- loss curves, section 5.6

LSUN_LOSS_FALLS = Finding(
    text="On LSUN the negative critic loss decreases, over 40,000 iterations and on an axis from 0 to 50.",
    evidence=LOSSES,
)
OVERFITTING_IMAGES = Value(value=1000, what="random MNIST images to train on", evidence=LOSSES)
CRITIC_OVERFITS = Finding(
    text="The negative critic loss on training and on validation images diverges with both methods, over 20,000 "
    "iterations; with the penalty the training value rises while the validation value falls, so the critic overfits "
    "faster than the generator.",
    evidence=LOSSES,
)
OVERFITTING_AXES = PublishedTable(
    title="WGAN-GP paper, figure 5b: axis of the negative critic loss, about",
    columns=("method", "low", "high"),
    rows=(("penalty", 0, 10), ("clipping", 0, 0.8)),
    evidence=LOSSES,
)
OVERFITTING_UNSTATED = Unstated(
    what='the networks of the overfitting study, "large unregularized WGANs"', source=PAPER, where="section 5.6"
)
MNIST_SETTINGS = PublishedTable(
    title="Settings of the released MNIST script, with F = 64",
    columns=("item", "value"),
    rows=(
        ("G", "linear to 4x4x4F, deconv 4F to 2F (cropped to 7x7), F, 1, sigmoid"),
        ("D", "conv 1, F, 2F, 4F, LeakyReLU"),
        ("F", 64),
        ("batch", 50),
        ("Adam learning rate", 1e-4),
        ("beta1", 0.5),
        ("beta2", 0.9),
    ),
    note="Batch norm only in the wgan mode, so its dcgan mode has none. The loader's limit applies after a shuffle.",
    evidence=MNIST_SCRIPT,
)

# -------------------------------------------------------------------------------------- defaults, algorithm 1

DEFAULTS = PublishedTable(
    title="WGAN-GP paper, algorithm 1: defaults",
    columns=("item", "value"),
    rows=(("lambda", 10), ("n_critic", 5), ("Adam learning rate", 1e-4), ("beta1", 0.0), ("beta2", 0.9)),
    note="The penalised points lie on segments between a real and a generated example, uniformly, one draw per "
    "example.",
    evidence=known("P:wgangp", "algorithm 1"),
)
AT_MOST_ONE = Finding(
    text="A differentiable function is 1-Lipschitz if and only if its gradient norm is at most 1 everywhere; the "
    "penalty asks for 1 only on segments between real and generated examples.",
    evidence=known("P:wgangp", "section 4"),
)
