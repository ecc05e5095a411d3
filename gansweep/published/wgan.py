"""Arjovsky et al. 2017: distances in closed form, critics of two Gaussians, loss and quality, architectures."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Recalled, Unstated, Value, known

EXAMPLE_1 = known("P:wgan", "example 1, figure 1")
FIGURE_2 = known("P:wgan", "figure 2")
LOSS_CURVES = known("P:wgan", "figures 3 and 4")
ROBUSTNESS = known("P:wgan", "figures 5 to 7")
CODE = known("C:wgan-c")

# -------------------------------------------------------------------------------------------- algorithm 1

DEFAULTS = PublishedTable(
    title="WGAN paper, algorithm 1: defaults",
    columns=("item", "value"),
    rows=(("RMSProp learning rate", 5e-5), ("clipping bound", 0.01), ("batch", 64), ("n_critic", 5)),
    note="The critic's weights are clipped after each of its steps.",
    evidence=known("P:wgan-alg"),
)
EXTRA_CRITIC_STEPS = PublishedTable(
    title="Critic steps of the released WGAN code beyond n_critic = 5",
    columns=("item", "value"),
    rows=(
        ("critic steps where there are more", 100),
        ("first generator iterations that have more", 25),
        ("and every so many generator iterations", 500),
    ),
    evidence=known("C:wgan-c", "code and README"),
)
FLIPPED_SIGN = Finding(
    text="The released code flips the sign: D minimises f(x) - f(G(z)). It plots the negative loss of D.", evidence=CODE
)
MEDIAN_FILTER = Value(value=101, what="taps of the median filter over plotted losses", evidence=CODE)
CLIPPING_ORDER = Inconsistency(
    line="Algorithm 1 clips after each critic step; the released code clips before it, all parameters of D.",
    readings=(
        Finding(text="Clipping follows each critic step.", evidence=known("P:wgan-alg")),
        Finding(text="Clipping comes before each critic step and includes all parameters of D.", evidence=CODE),
    ),
    kind="paper and code",
    studies=("S6", "S11"),
)
EXTRA_STEPS_NOT_IN_THE_PAPER = Inconsistency(
    line="The released code takes 100 critic steps in the first 25 generator iterations and in every 500th, which the "
    'paper does not say ("forgot, and will add").',
    readings=(
        Finding(text="n_critic = 5 throughout.", evidence=known("P:wgan-alg")),
        EXTRA_CRITIC_STEPS,
    ),
    kind="paper and code",
    studies=("n_critic", "S11"),
)

# --------------------------------------------------------------------------------- distances, example 1

PARALLEL_LINES = PublishedTable(
    title="WGAN paper, example 1: distances of two parallel lines at a distance theta",
    columns=("distance", "theta_not_0", "theta_0"),
    rows=(
        ("Wasserstein", "|theta|", "0"),
        ("Jensen-Shannon", "log 2", "0"),
        ("Kullback-Leibler, both directions", "infinity", "0"),
        ("total variation", "1", "0"),
    ),
    evidence=EXAMPLE_1,
)
HALF_OF_JENSEN_SHANNON = Inconsistency(
    line="The paper defines the Jensen-Shannon divergence without the factor 1/2, by which two disjoint lines would be "
    "2 log 2 apart, and states log 2.",
    readings=(
        Finding(text="JS = KL(P_r || P_m) + KL(P_g || P_m).", evidence=known("P:wgan", "section 2")),
        PARALLEL_LINES,
        Finding(
            text="With its own definition the value is 2 log 2; with the factor 1/2 it is log 2.",
            evidence=known("D:wgan", "example 1"),
        ),
    ),
    kind="paper",
    studies=("S9",),
)

# ----------------------------------------------------------------------------------- two Gaussians, figure 2

CRITIC_LINEAR = Finding(
    text="Both trained to optimality, the discriminator of a GAN saturates between two Gaussians, and the WGAN "
    "critic is about linear where there are data.",
    evidence=FIGURE_2,
)
GAUSSIANS_UNSTATED = Unstated(
    what="means and variances of the two Gaussians", source="wgan", where="figure 2", studies=("S10",)
)

# ---------------------------------------------------------------------------- loss and quality, figures 3, 4, 8

LOSS_FOLLOWS_QUALITY = Finding(
    text="The Wasserstein estimate falls as samples get better, for an MLP and for a DCGAN generator; it is flat where "
    "both networks are MLPs with a deliberately high learning rate.",
    evidence=LOSS_CURVES,
)
GAN_LOSS_DOES_NOT = Finding(
    text='The lower bound of the Jensen-Shannon divergence "usually stays constant or goes up", close to log 2, about '
    "0.69; figure 8 shows the same with the non-saturating cost of the generator.",
    evidence=LOSS_CURVES + known("P:wgan", "figure 8"),
)
LOWER_BOUND = Recalled(
    text="The lower bound is L(D, g)/2 + log 2.", about="Arjovsky et al. 2017, an image in the text", tag="R-hi"
)

# ------------------------------------------------------------------------ architectures, figures 5 to 7

ARCHITECTURES = PublishedTable(
    title="WGAN paper, figures 5 to 7: generators on 64x64 LSUN, with a DCGAN critic",
    columns=("generator", "gan", "wgan"),
    rows=(
        ("DCGAN", "fine", "fine"),
        ("DCGAN without BN, constant number of filters", "fails", "still produces samples"),
        ("4-layer MLP, 512 ReLU units", "significant mode collapse", "works with lower quality"),
    ),
    note="Without BN and with constant filters, parameters fall by a bit more than an order of magnitude.",
    evidence=ROBUSTNESS,
)
NO_COLLAPSE = Finding(
    text="In no experiment did the authors see evidence of mode collapse for the WGAN algorithm.",
    evidence=known("P:wgan", "section 4"),
)
CODE_NETWORKS = PublishedTable(
    title="Networks of the released WGAN code",
    columns=("item", "value"),
    rows=(
        ("kernel of the convolutions", 4),
        ("stride of the convolutions", 2),
        ("numbers in z, normal", 100),
        ("deviation of the initial weights", 0.02),
        ("mean of the initial BN gains", 1),
        ("deviation of the initial BN gains", 0.02),
        ("hidden layers of MLP_G, then a linear one, no tanh", 3),
        ("units per hidden layer of MLP_G", 512),
    ),
    evidence=CODE,
)
CONSTANT_FILTERS = Inconsistency(
    line="The paper's generator without BN has a constant number of filters; the code's noBN variant keeps DCGAN's "
    "doubling filters and only removes BN.",
    readings=(
        Finding(text="Without BN, with a constant number of filters.", evidence=known("P:wgan", "figure 6")),
        Finding(text="The noBN variant keeps the doubling filters.", evidence=CODE),
    ),
    kind="paper and code",
    studies=("S11",),
)
MOMENTUM_UNSTABLE = Finding(
    text="A critic trained with momentum (Adam with beta1 above 0) or with a high learning rate is sometimes unstable; "
    "the cosine between Adam's step and the gradient turns negative when it blows up.",
    evidence=known("P:wgan"),
)
NOT_GUARANTEED = Finding(
    text="WGAN and WGAN-GP are not guaranteed to converge with finitely many critic steps.",
    evidence=known("X:mescheder-abs"),
)
