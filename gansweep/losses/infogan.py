"""InfoGAN: codes in z that the sample must reveal, and the lower bound of the information that it does."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from gansweep.losses.objective import Composed, Objective
from gansweep.losses.objectives import NonSaturating
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    from gansweep.trial import Latent, TrialConfig


def categorical_information(logits: Tensor, values: Tensor) -> Tensor:
    """H(c) + E log Q(c | x) in nats for logits [batch, K] and codes int64 [batch] with K equally probable values.

    At most ln K, where Q is sure and right; 0 where Q says that all are equally probable.
    """
    return math.log(logits.shape[1]) - F.cross_entropy(logits, values)


def continuous_information(means: Tensor, values: Tensor) -> Tensor:
    """H(c) + E log Q(c | x) in nats, summed over the n codes of [batch, n], where c ~ U(-1, 1) and Q = N(mean, 1).

    H(c) = ln 2 for each code. With unit variance the sum is at most n (ln 2 - 1/2 ln 2 pi) = -0.226 n, where the mean
    is exact, so that its changes say more than its value.
    """
    log_q = -0.5 * (values - means).square() - 0.5 * math.log(2 * math.pi)
    return (math.log(2) + log_q).sum(dim=1).mean()


@part
class InfoGAN(Composed):
    """InfoGAN: some of z are codes c, and Q, which shares D's layers, reads them off the sample.

    D: adversarial's - categorical_weight * L_I - continuous_weight * L_I'
    G: adversarial's - categorical_weight * L_I - continuous_weight * L_I'

    `adversarial` is any objective on scores. L_I is the sum over categorical codes, and L_I' that over continuous ones,
    of H(c) + E log Q(c | G(z, c)), a lower bound of the mutual information of c and G(z, c). Q(c | x) is a softmax for
    a categorical code and a normal distribution of fixed variance 1 for a continuous one, whose prior is U(-1, 1). Q
    learns in D's turn, in which the layers that it shares with D learn from it too, as in the authors' code. Both
    weights are >= 0. `guide_generator=False` leaves L_I and L_I' out of G's loss: a plain GAN whose information is
    measured by the same Q. Traces, in nats, where there are such codes: "mutual_information" is L_I, which rises to the
    sum of ln K, and "mutual_information_continuous" is L_I'.

    Source: Chen et al. 2016, eqs. 5 and 6.
    """

    adversarial: Objective = NonSaturating()
    categorical_weight: float = 1.0
    continuous_weight: float = 1.0
    guide_generator: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, categorical_weight=0, continuous_weight=0)

    @property
    def coupling(self) -> str | None:
        """That of the objective inside: what is added are means over examples."""
        return self.adversarial.coupling

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """A score and Q's answer for each code of the latent."""
        heads = self.adversarial.heads(num_classes, latent)
        return dataclasses.replace(heads, categorical=latent.categorical, continuous=latent.continuous)

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` if z holds no codes."""
        super().check(config)
        if not config.latent.categorical and not config.latent.continuous:
            raise ValueError("InfoGAN needs codes in z: set latent.categorical, such as (10,), or latent.continuous")

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The loss of the discriminator and of Q."""
        return self.adversarial.discriminator(real, fake) - self._information(fake)

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        loss = self.adversarial.generator(real, fake)
        return loss - self._information(fake) if self.guide_generator else loss

    @torch.no_grad()
    def traces(self, real: Output, fake: Output) -> dict[str, Tensor]:
        """The information that fakes hold about their codes."""
        categorical, continuous = _terms(fake)
        traces = self.adversarial.traces(real, fake)
        if categorical:
            traces = {**traces, "mutual_information": torch.stack(categorical).sum()}
        if continuous:
            traces = {**traces, "mutual_information_continuous": torch.stack(continuous).sum()}
        return traces

    def _information(self, fake: Output) -> Tensor:
        """The weighted L_I."""
        categorical, continuous = _terms(fake)
        weighted = [self.categorical_weight * term for term in categorical]
        weighted += [self.continuous_weight * term for term in continuous]
        return torch.stack(weighted).sum()


def _terms(fake: Output) -> tuple[list[Tensor], list[Tensor]]:
    """L_I of each categorical code, and of all continuous ones together; what was given says which is which."""
    pairs = list(zip(fake.codes, fake.given, strict=True))
    categorical = [categorical_information(code, given) for code, given in pairs if given.ndim == 1]
    continuous = [continuous_information(code, given) for code, given in pairs if given.ndim == 2]
    return categorical, continuous
