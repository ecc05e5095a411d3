"""Berthelot et al. 2017, from secondary sources and code."""

from __future__ import annotations

from gansweep.evidence import Finding, PublishedTable, Recalled, Value, known

PAPER = "Berthelot et al. 2017, BEGAN"
SECONDARY = known("X:blog001") + known("X:began-x")
CODE = known("C:began-c")

BALANCE_RATE = Value(value=0.001, what="lambda_k, the rate of the balance k", evidence=SECONDARY + CODE)
FIRST_BALANCE = Value(value=0, what="k at the start; it is clipped to [0, 1]", evidence=SECONDARY + CODE)
DIVERSITY_RATIO = Finding(
    text="gamma is the ratio of the mean reconstruction errors of generated and of real examples; M_global = L(x) + "
    "|gamma L(x) - L(G(z))|.",
    evidence=SECONDARY,
)
NETWORKS = PublishedTable(
    title="BEGAN: the networks",
    columns=("item", "value"),
    rows=(
        ("kernel of the convolutions, ELU, with stride 2 to halve", 3),
        ("n, the constant width of decoder and G", 128),
        ("n, the other choice", 64),
        ("numbers in z, uniform on (-1, 1)", 64),
        ("batch", 16),
    ),
    note="Encoder widths n(i + 1), a linear layer to h (64), nearest-neighbour upsampling; no BN, dropout or "
    "transposed convolution. Trained with Adam.",
    evidence=SECONDARY + CODE,
)
CODE_SETTINGS = PublishedTable(
    title="BEGAN: settings of the code",
    columns=("item", "value"),
    rows=(
        ("Adam learning rate", 8e-5),
        ("steps after which the rate is halved", 100_000),
        ("gamma", 0.5),
    ),
    note="The reconstruction error is the mean absolute one.",
    evidence=CODE,
)
CIFAR_SCORE = Value(value=5.62, what="Inception Score of BEGAN on CIFAR-10", evidence=known("P:wgangp", "table 3"))
LEARNING_RATE = Recalled(text="The learning rate is 1e-4 in the paper.", about=PAPER, tag="R", studies=("S19",))
HALVING = Recalled(text="The paper halves the rate where M_global stalls.", about=PAPER, tag="R-hi", studies=("S19",))
GAMMAS = Recalled(
    text="The figures have gamma of 0.3, 0.5 and 0.7.", about=f"{PAPER}, figures", tag="R-hi", studies=("S19",)
)
