"""Gulrajani et al. 2017 on CIFAR-10: curves of the Inception Score (figure 3), scores (table 3), the ResNet."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Unstated, Value, known

PAPER = "wgangp"
CURVES = known("P:wgangp", "section 5.3, figure 3")
SCRIPT = known("C:iwt", "gan_cifar.py")
RESNET_SCRIPT = known("C:iwt", "gan_cifar_resnet.py")

# ------------------------------------------------------------------------------------------- curves, figure 3

CURVE_METHODS = PublishedTable(
    title="WGAN-GP paper, figure 3: the four curves",
    columns=("method", "optimiser", "learning_rate"),
    rows=(
        ("WGAN with clipping", "RMSProp", "that of clipping"),
        ("WGAN-GP", "RMSProp", "that of clipping"),
        ("WGAN-GP", "Adam", "higher"),
        ("DCGAN", None, None),
    ),
    evidence=CURVES,
)
CURVE_AXES = PublishedTable(
    title="WGAN-GP paper, figure 3: its axes",
    columns=("axis", "low", "high"),
    rows=(("generator iterations", 0, 200_000), ("seconds", 0, 400_000), ("Inception Score", 1, 7)),
    evidence=CURVES,
)
PENALTY_BEATS_CLIPPING = Finding(
    text="With the same optimiser the penalty converges faster and to a better score than clipping.", evidence=CURVES
)
ADAM_IMPROVES = Finding(text="Adam improves WGAN-GP further.", evidence=CURVES)
DCGAN_FASTER = Finding(
    text="WGAN-GP is slower than DCGAN in wall-clock time, but more stable at convergence.", evidence=CURVES
)
FINAL_SCORES_UNSTATED = Unstated(
    what="the final scores of the four curves, as numbers", source=PAPER, where="section 5.3", studies=("S4",)
)
CURVE_SETTINGS = PublishedTable(
    title="Settings of the released CIFAR-10 script",
    columns=("method", "optimiser", "learning_rate", "beta1", "beta2", "clip", "n_critic", "norm_of_d"),
    rows=(
        ("wgan-gp", "Adam", 1e-4, 0.5, 0.9, None, 5, "none"),
        ("wgan", "RMSProp", 5e-5, None, None, 0.01, 5, "BN on layers 2 and 3"),
        ("dcgan", "Adam", 2e-4, 0.5, None, None, 1, "BN on layers 2 and 3"),
    ),
    protocol="batch 64, 200,000 iterations, width 128",
    evidence=SCRIPT,
)
CURVE_WIDTH = Value(
    value=128, what='width F; the script says it "overfits substantially" and 64 is probably better', evidence=SCRIPT
)
CURVE_NETWORKS = PublishedTable(
    title="The networks of the released CIFAR-10 script, with width F",
    columns=("network", "layers"),
    rows=(
        ("G", "linear to 4x4x4F, BN, ReLU; deconv 5x5/2 4F, 2F, F, 3, with BN"),
        ("D", "conv 5x5/2 3, F, 2F, 4F, LeakyReLU"),
    ),
    evidence=SCRIPT,
)
CURVE_SCORING = PublishedTable(
    title="The Inception Score of the released CIFAR-10 script",
    columns=("item", "value"),
    rows=(("iterations between two scores", 1000), ("samples", 1000), ("splits", 10), ("samples per split", 100)),
    note="Biased low and capped at 100 per split: never to be compared with table 3, which has 50,000 samples.",
    evidence=SCRIPT,
)
NO_RMSPROP_BRANCH = Inconsistency(
    line="Figure 3 has a curve of WGAN-GP with RMSProp; the released script has no such branch.",
    readings=(
        Finding(text="WGAN-GP with RMSProp at the rate of clipping is one of the four curves.", evidence=CURVES),
        Finding(text="WGAN-GP is trained with Adam only.", evidence=SCRIPT),
    ),
    kind="paper and code",
    studies=("S4",),
)

# ------------------------------------------------------------------------------------------- scores, table 3

TABLE_3 = PublishedTable(
    title="WGAN-GP paper, table 3: Inception Scores on CIFAR-10",
    columns=("setting", "method", "score", "spread"),
    rows=(
        ("unsupervised", "ALI", 5.34, 0.05),
        ("unsupervised", "BEGAN", 5.62, None),
        ("unsupervised", "DCGAN", 6.16, 0.07),
        ("unsupervised", "Improved GAN (-L+HA)", 6.86, 0.06),
        ("unsupervised", "EGAN-Ent-VI", 7.07, 0.10),
        ("unsupervised", "DFM", 7.72, 0.13),
        ("unsupervised", "WGAN-GP ResNet", 7.86, 0.07),
        ("supervised", "SteinGAN", 6.35, None),
        ("supervised", "DCGAN with labels", 6.58, None),
        ("supervised", "Improved GAN", 8.09, 0.07),
        ("supervised", "AC-GAN", 8.25, 0.07),
        ("supervised", "SGAN-no-joint", 8.37, 0.08),
        ("supervised", "WGAN-GP ResNet", 8.42, 0.10),
        ("supervised", "SGAN", 8.59, 0.12),
    ),
    note="SGAN is here Stacked GAN (Huang et al.), not the semi-supervised GAN.",
    protocol="CIFAR-10; WGAN-GP's own scores on 50,000 samples",
    evidence=known("P:wgangp", "table 3"),
)
RESNET_UNSUPERVISED = Value(
    value=7.86,
    spread=0.07,
    what="Inception Score of the WGAN-GP ResNet, unsupervised",
    protocol="CIFAR-10, 50,000 samples",
    evidence=known("P:wgangp", "table 3"),
)
RESNET_SUPERVISED = Value(
    value=8.42,
    spread=0.10,
    what="Inception Score of the WGAN-GP ResNet, supervised",
    protocol="CIFAR-10, 50,000 samples",
    evidence=known("P:wgangp", "table 3"),
)

# --------------------------------------------------------------------------------------- the ResNet, appendix F

RESNET = PublishedTable(
    title="WGAN-GP paper, appendix F: the CIFAR-10 ResNet",
    columns=("network", "order", "layer", "output"),
    rows=(
        ("G", 1, "z", "128"),
        ("G", 2, "linear", "128x4x4"),
        ("G", 3, "residual up", "128x8x8"),
        ("G", 4, "residual up", "128x16x16"),
        ("G", 5, "residual up", "128x32x32"),
        ("G", 6, "(BN, ReLU) conv 3x3, tanh", "3x32x32"),
        ("D", 1, "residual down", "128x16x16"),
        ("D", 2, "residual down", "128x8x8"),
        ("D", 3, "residual", "128x8x8"),
        ("D", 4, "residual", "128x8x8"),
        ("D", 5, "ReLU, mean pool", "128"),
        ("D", 6, "linear", "1"),
    ),
    note="Blocks activate before their two 3x3 convolutions; mean pool after the second one in the critic; BN in G, "
    "none in the critic.",
    evidence=known("P:wgangp", "appendix F") + RESNET_SCRIPT,
)
RESNET_SETTINGS = PublishedTable(
    title="Settings of the CIFAR-10 ResNet",
    columns=("item", "value"),
    rows=(
        ("Adam learning rate", 2e-4),
        ("beta1", 0.0),
        ("beta2", 0.9),
        ("generator iterations, over which the rate decays linearly to 0", 100_000),
        ("batch of the critic", 64),
        ("batch of the generator", 128),
        ("n_critic", 5),
        ("lambda", 10),
        ("samples of the Inception Score", 50_000),
        ("iterations between two scores", 1000),
        ("divisor of the pixels", 256),
        ("width of the uniform noise that dequantises", 1 / 128),
        ("weight of the AC-GAN head in D, real images only", 1.0),
        ("weight of the AC-GAN head in G", 0.1),
    ),
    note="D's first block has no first activation, and pools before the 1x1 of its shortcut. With labels, the batch "
    "norm of G is conditional.",
    evidence=RESNET_SCRIPT,
)
SCORED_ITERATION_UNSTATED = Unstated(
    what="whether the best or the last score of a run is reported", source=PAPER, where="appendix F"
)
UPSAMPLING_PLACE = Inconsistency(
    line="The paper's text upsamples before the second convolution of a block; the released code before the first.",
    readings=(
        Finding(
            text="Nearest-neighbour upsampling before the second convolution.", evidence=known("P:wgangp", "appendix F")
        ),
        Finding(text="Upsampling before the first convolution.", evidence=RESNET_SCRIPT),
    ),
    kind="paper and code",
)
