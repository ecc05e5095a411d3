"""Mirza and Osindero 2014, conditional GANs."""

from __future__ import annotations

from gansweep.evidence import PublishedTable, Recalled, known

NETWORKS = PublishedTable(
    title="CGAN paper: the networks on MNIST",
    columns=("network", "layer"),
    rows=(
        ("G", "z uniform, 100 numbers, to 200 ReLU"),
        ("G", "y to 1000 ReLU"),
        ("G", "joint, 1200 ReLU"),
        ("G", "784 sigmoid"),
        ("D", "x, maxout 240 units of 5 pieces"),
        ("D", "y, maxout 50 units of 5 pieces"),
        ("D", "joint, maxout 240 units of 4 pieces"),
        ("D", "sigmoid"),
    ),
    evidence=known("P:cgan"),
)
SETTINGS = PublishedTable(
    title="CGAN paper: training on MNIST, by SGD",
    columns=("item", "value"),
    rows=(
        ("batch", 100),
        ("first learning rate", 0.1),
        ("divisor of the rate per step", 1.00004),
        ("lowest learning rate", 1e-6),
        ("first momentum", 0.5),
        ("last momentum", 0.7),
        ("dropout", 0.5),
    ),
    evidence=known("P:cgan"),
)
LIKELIHOOD = Recalled(
    text="The Parzen log-likelihood on MNIST is 132 ± 1.8.",
    about="Mirza and Osindero 2014, the table, which the copy read shows as an image",
    tag="R-hi",
)
