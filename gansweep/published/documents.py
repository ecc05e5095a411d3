"""Where the founding documents of this project differ from the sources that they describe."""

from __future__ import annotations

from gansweep.evidence import Finding, Inconsistency, Value, known

LSGAN_CLASSES = Inconsistency(
    line="Documents 001 and 003 give LSGAN's many-class model 3470 classes; HWDB1.0 has 3740.",
    readings=(
        Value(value=3470, what="classes", evidence=known("S:001") + known("S:003")),
        Value(value=3740, what="classes of HWDB1.0", evidence=known("C:lsgan", "y_dim") + known("X:casia")),
    ),
    kind="document",
    studies=("S15",),
)
WGAN_SIGNS = Inconsistency(
    line="Document 001 has a plus in the gradients of WGAN: the critic's difference has a minus, and the generator "
    "descends the negative mean of the critic.",
    readings=(
        Finding(
            text="Critic: the gradient of the mean of f(x) + f(G(z)); generator: that of the mean of f(G(z)).",
            evidence=known("S:001"),
        ),
        Finding(
            text="Critic: the gradient of the mean of f(x) - f(G(z)); the generator descends that of the mean of "
            "-f(G(z)).",
            evidence=known("P:wgan-alg"),
        ),
    ),
    kind="document",
)
CATGAN_FAKE_CLASS = Inconsistency(
    line="Document 001 gives CatGAN a class for fakes; it has one output per category and none for fakes.",
    readings=(
        Finding(text="The classes include one for fakes.", evidence=known("S:001")),
        Finding(text="Ten outputs for ten categories.", evidence=known("C:catgan")),
    ),
    kind="document",
    studies=("S21",),
)
CATGAN_SIGN = Inconsistency(
    line="Document 001 gives the generator of CatGAN the marginal entropy with a plus; it has a minus, since the "
    "generator maximises it, as the document's own prose says.",
    readings=(
        Finding(text="G minimises + H[p(y)] + E H[p(y|G(z))].", evidence=known("S:001", "formula")),
        Finding(
            text="G minimises - H[p(y)] + E H[p(y|G(z))].", evidence=known("C:catgan") + known("S:001", "its own prose")
        ),
    ),
    kind="document",
    studies=("S21",),
)
ACGAN_SEES_LABELS = Inconsistency(
    line="Document 000 shows AC-GAN's discriminator the class; it does not see it.",
    readings=(
        Finding(text="L_S is of D(x|y) and G(z|y).", evidence=known("S:000")),
        Finding(text="D does not see y: D maximises L_S + L_C, G maximises L_C - L_S.", evidence=known("P:acgan")),
    ),
    kind="document",
)
LSGAN_LABELS = Inconsistency(
    line="Document 002 exchanges the labels of LSGAN and adds one of them: a is the fake label, b the real one, and "
    "both are subtracted.",
    readings=(
        Finding(text="(D(x) - a)^2 and (D(G(z)) + b)^2.", evidence=known("S:002")),
        Finding(text="(D(x) - b)^2 and (D(G(z)) - a)^2.", evidence=known("X:lsgan-digest") + known("S:001")),
    ),
    kind="document",
    studies=("S14",),
)
EARTH_MOVER_EXAMPLE = Inconsistency(
    line="Document 003's example of the earth mover's distance prints P = Q = (3, 2, 1, 4), whose distance is 0, and "
    "states 5, which is that to Q = (1, 2, 4, 3).",
    readings=(
        Value(value=5, what="distance of P = Q = (3, 2, 1, 4), as printed", evidence=known("S:003")),
        Value(value=5, what="distance of (3, 2, 1, 4) and (1, 2, 4, 3)", evidence=known("D:003")),
    ),
    kind="document",
    studies=("S9",),
)
LIPSCHITZ_CONDITION = Inconsistency(
    line="Document 004 asks a 1-Lipschitz function for a gradient norm of 1 almost everywhere; it is at most 1 "
    "everywhere.",
    readings=(
        Finding(text="A gradient norm of 1 almost everywhere is necessary and sufficient.", evidence=known("S:004")),
        Finding(
            text="A differentiable function is 1-Lipschitz if and only if its gradient norm is at most 1 everywhere.",
            evidence=known("P:wgangp", "section 4"),
        ),
    ),
    kind="document",
)
PENALISED_POINTS = Inconsistency(
    line="Document 001 says that WGAN-GP's gradient norm is 1 everywhere; it is so only on segments between pairs of "
    "real and generated examples.",
    readings=(
        Finding(text="The gradient norm is 1 everywhere.", evidence=known("S:001")),
        Finding(
            text="Only on segments between pairs of real and generated examples.",
            evidence=known("P:wgangp", "section 4"),
        ),
    ),
    kind="document",
)
