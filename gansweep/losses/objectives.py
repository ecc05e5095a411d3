"""Objectives as pairs of losses on raw discriminator outputs, each as its authors write it.

Outputs are logits or scores of shape [batch], never passed through a sigmoid by the network (trap T-38). Every loss
is a mean over the batch (trap T-6). `discriminator` and `generator` are both minimised.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from gansweep.parts import part


@part
class NonSaturating:
    """The standard GAN as it is trained (Goodfellow et al. 2014, section 3).

    D minimises -E log sigmoid(D(x)) - E log(1 - sigmoid(D(G(z)))); G minimises -E log sigmoid(D(G(z))).
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss."""
        return F.softplus(-fake).mean()


@part
class Minimax:
    """The GAN game as it is stated (Goodfellow et al. 2014, eq. 1): G minimises E log(1 - sigmoid(D(G(z))))."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss."""
        return -F.softplus(fake).mean()


@part
class LeastSquares:
    """LSGAN with fake label a, real label b and generator's target c (Mao et al. 2017, eq. 9; both terms halved)."""

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

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss."""
        return 0.5 * (real - self.b).square().mean() + 0.5 * (fake - self.a).square().mean()

    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss."""
        return 0.5 * (fake - self.c).square().mean()


@part
class Wasserstein:
    """WGAN (Arjovsky et al. 2017, Algorithm 1): the critic maximises E f(x) - E f(G(z)), the generator E f(G(z))."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss, minus the estimate of the Wasserstein distance up to the Lipschitz constant."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss."""
        return -fake.mean()
