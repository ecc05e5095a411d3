"""Zhao et al. 2016: the grid search on MNIST, the margin study, semi-supervised errors."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, PublishedTable, Recalled, Unstated, Value, known

PAPER = "ebgan"
TABLE_1 = known("P:ebgan", "table 1")
GRID_TEXT = known("P:ebgan", "grid search")
SEMI = known("P:ebgan", "semi-supervised results")

PULLING_AWAY_WEIGHT = Value(
    value=0.1, what="weight of the pulling-away term, in the generator's loss only", evidence=known("P:ebgan")
)
NASH = Finding(
    text="At the Nash equilibrium p_G = p_data, V = m, and D is a constant in [0, m].", evidence=known("P:ebgan")
)

GRID = PublishedTable(
    title="EBGAN paper, table 1: the grid on MNIST, fully connected",
    columns=("setting", "model", "level"),
    rows=tuple(
        (setting, model, level)
        for setting, ebgan, gan in (
            ("nLayerG", (2, 3, 4, 5), (2, 3, 4, 5)),
            ("nLayerD", (2, 3, 4, 5), (2, 3, 4, 5)),
            ("sizeG", (400, 800, 1600, 3200), (400, 800, 1600, 3200)),
            ("sizeD", (128, 256, 512, 1024), (128, 256, 512, 1024)),
            ("dropoutD", (True, False), (True, False)),
            ("optimD", ("adam",), ("adam", "sgd")),
            ("optimG", ("adam",), ("adam", "sgd")),
            ("lr", (0.001,), (0.01, 0.001, 0.0001)),
        )
        for model, levels in (("EBGAN", ebgan), ("GAN", gan))
        for level in levels
    ),
    note="nLayerD counts encoder and decoder; the decoder always has 1 layer.",
    evidence=TABLE_1,
)
EBGAN_RUNS = Value(value=512, what="runs of EBGAN", evidence=TABLE_1)
GAN_RUNS = Value(value=6144, what="runs of GAN", evidence=TABLE_1)
GRID_MARGIN = Value(value=10, what="margin of the grid search", evidence=TABLE_1)
GAN_SUB_GRIDS = Value(value=12, what="GAN sub-grids: optimD x optimG x lr", evidence=GRID_TEXT)
SUB_GRID_RUNS = Value(value=512, what="runs of each GAN sub-grid", evidence=GRID_TEXT)
HISTOGRAMS = PublishedTable(
    title="EBGAN paper: the histograms of I', in percent of runs",
    columns=("histogram", "layers_at_most"),
    rows=(("a", None), ("b", 4), ("c", 3)),
    evidence=GRID_TEXT,
)
REVERSED_SCORE = Finding(
    text="I' is the mean over x of KL(p(y) || p(y|x)): the divergence is the reverse of Salimans', and there is no "
    "exponential.",
    evidence=GRID_TEXT,
)
TRAILING_TWO = Inconsistency(
    line="The definition of I' ends in a 2 that is a square or a footnote mark; a footnote says that it is for this "
    "grid search only.",
    readings=(
        Finding(text="Both copies print a 2 behind the definition of I'.", evidence=GRID_TEXT),
        Finding(text="The 2 is ambiguous: a square or a footnote mark.", evidence=known("D:ebgan", "grid search")),
    ),
    kind="paper",
    studies=("S18",),
)
FOOTNOTE_MORE_LIKELY = Recalled(
    text="The 2 behind I' is a footnote mark.", about="Zhao et al. 2016, grid search", tag="R", studies=("S18",)
)
SCORE_UNSTATED = Unstated(
    what="classifier, epochs and number of samples of I' (appendix C was not found)",
    source=PAPER,
    where="appendix C",
    studies=("S18",),
)
PADDED = Finding(
    text="MNIST was padded in the grid search: the appendix says that the ladder-network runs used the unpadded 28x28.",
    evidence=known("P:ebgan", "appendix"),
)
INITIALISATION = Recalled(
    text="BN is everywhere except G's output and D's input; D starts from N(0, .002), G from N(0, .02).",
    about="Zhao et al. 2016, appendix",
    tag="R-lo",
    studies=("S18",),
)

MARGINS = PublishedTable(
    title="EBGAN paper, figure 9: margins",
    columns=("margin",),
    rows=((1,), (2,), (4,), (6,), (8,), (12,), (16,), (32,)),
    protocol="nLayerG 5, nLayerD 2, sizeG 1600, sizeD 1024, dropout 0, Adam 1e-3",
    evidence=known("P:ebgan", "figure 9"),
)
SEMI_SUPERVISED = PublishedTable(
    title="EBGAN paper: semi-supervised errors, in percent",
    columns=("model", "labels", "error", "spread"),
    rows=(
        ("EBGAN-LN", 100, 1.04, 0.12),
        ("EBGAN-LN", 200, 0.99, 0.12),
        ("EBGAN-LN", 1000, 0.89, 0.04),
        ("LN, reproduced", 100, 1.36, 0.21),
        ("LN, reproduced", 200, 1.24, 0.09),
        ("LN, reproduced", 1000, 1.04, 0.06),
    ),
    note="The margin must decay to 0.",
    protocol="15 seeds",
    evidence=SEMI,
)
LARGE_MARGINS = Recalled(text="The margin is 80 on LSUN and 20 on CelebA.", about="Zhao et al. 2016", tag="R")
