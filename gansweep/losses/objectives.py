"""Objectives on one score per example, each as its authors write it.

A score is a raw number, never passed through a sigmoid by the network (trap T-38). Every loss is a mean over the batch
(trap T-6), and both losses are minimised. The conditional games have no class of their own, because the label enters
through the networks: CGAN is `Minimax` or `NonSaturating`, and the conditional LSGAN is `LeastSquares`, with a
generator and a discriminator that are given the class.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from gansweep.losses.objective import Objective
from gansweep.outputs import Output
from gansweep.parts import part


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E log sigmoid(real) - E log(1 - sigmoid(fake)), finite for every finite score."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


@part
class NonSaturating(Objective):
    """NonSaturating: the standard GAN as it is trained.

    D: -E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z))))
    G: -E log sigmoid(D(G(z)))

    With networks that are given the class, D(x | y) and G(z | y), this is the CGAN with the generator's loss that does
    not saturate (Mirza and Osindero 2014).

    Source: Goodfellow et al. 2014, section 3.
    """

    coupling: ClassVar[None] = None

    @property
    def indifferent_loss(self) -> float:
        """2 log 2, at D = 1/2."""
        return 2 * math.log(2)

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss."""
        return _cross_entropy(self.score(real), self.score(fake))

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return F.softplus(-self.score(fake)).mean()


@part
class Minimax(Objective):
    """Minimax: the GAN game as it is stated, whose generator's gradient vanishes where D is sure.

    D: -E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z))))
    G: E log(1 - sigmoid(D(G(z))))

    With networks that are given the class, D(x | y) and G(z | y), this is the game of CGAN (Mirza and Osindero 2014).

    Source: Goodfellow et al. 2014, eq. 1.
    """

    coupling: ClassVar[None] = None

    @property
    def indifferent_loss(self) -> float:
        """2 log 2, at D = 1/2."""
        return 2 * math.log(2)

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss."""
        return _cross_entropy(self.score(real), self.score(fake))

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return -F.softplus(self.score(fake)).mean()


@part
class LeastSquares(Objective):
    """LeastSquares: LSGAN, squared distances of the raw score to labels.

    D: 1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2
    G: 1/2 E (D(G(z)) - c)^2

    `a` is the label of fakes, `b` that of real examples and `c` what the generator wants D to say; all are any finite
    numbers with a != b. The two codings of the paper are a=0, b=1, c=1, the default, in which fakes should be taken for
    real, and a=-1, b=1, c=0, in which the generator minimises a Pearson chi-squared divergence. A third one is an
    ablation: a=0, b=1, c=1/2 has the same minimiser at a quarter of the value. Recorded with the fields is whether the
    Pearson condition holds ("is_pearson": b - c = 1 and b - a = 2). The conditional LSGAN is the same loss with
    networks that are given the class.

    Source: Mao et al. 2017, section 3.
    """

    coupling: ClassVar[None] = None

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        for name in ("a", "b", "c"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"LeastSquares.{name} = {getattr(self, name)!r} must be finite")
        if self.a == self.b:
            raise ValueError(f"LeastSquares a = b = {self.a}: real and fake would have the same label")

    @property
    def is_pearson(self) -> bool:
        """Whether b - c = 1 and b - a = 2, where the generator minimises a Pearson chi-squared divergence."""
        return math.isclose(self.b - self.c, 1) and math.isclose(self.b - self.a, 2)

    def facts(self) -> dict[str, Any]:
        """Whether the Pearson condition holds."""
        return {"is_pearson": self.is_pearson}

    @property
    def indifferent_loss(self) -> float:
        """(b - a)^2 / 4, half-way between the labels."""
        return (self.b - self.a) ** 2 / 4

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss."""
        return 0.5 * (self.score(real) - self.b).square().mean() + 0.5 * (self.score(fake) - self.a).square().mean()

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return 0.5 * (self.score(fake) - self.c).square().mean()


@part
class Wasserstein(Objective):
    """Wasserstein: WGAN, and with a gradient penalty WGAN-GP.

    D: E D(G(z)) - E D(x)
    G: -E D(G(z))

    Minus D's loss estimates the Wasserstein-1 distance times the Lipschitz constant that a constraint gives the critic;
    without any constraint the loss has no lower bound.

    Source: Arjovsky et al. 2017, Algorithm 1.
    """

    coupling: ClassVar[None] = None

    @property
    def estimates_wasserstein(self) -> bool:
        """It does, if a constraint bounds the critic's slope."""
        return True

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The critic's loss."""
        return self.score(fake).mean() - self.score(real).mean()

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return -self.score(fake).mean()


@part
class Hinge(Objective):
    """Hinge: the margin loss of Geometric GAN, best known from spectral normalisation.

    D: E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))
    G: -E D(G(z))

    Source: Lim and Ye 2017; Miyato et al. 2018, section 4.
    """

    coupling: ClassVar[None] = None

    @property
    def indifferent_loss(self) -> float:
        """2, at any score in [-1, 1]."""
        return 2.0

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss."""
        return F.relu(1 - self.score(real)).mean() + F.relu(1 + self.score(fake)).mean()

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return -self.score(fake).mean()
