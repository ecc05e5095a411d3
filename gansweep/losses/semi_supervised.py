"""Objectives whose discriminator is a classifier of the data, for which few or no labels are known.

The supervised term is for batches of the labelled images (`TrialConfig.labelled`), whatever else D sees. All logits are
raw (trap T-41), and everything is computed from their logarithmic softmax, so that it is finite for all finite logits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from torch.nn import functional as F

from gansweep.losses.objective import Objective
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, one_of, part

if TYPE_CHECKING:
    from gansweep.trial import Latent, TrialConfig


def conditional_entropy(logits: Tensor) -> Tensor:
    """H[p(y | x)] of each row of [batch, K] in nats, [batch], from 0 to ln K."""
    log_p = logits.log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


def marginal_entropy(logits: Tensor) -> Tensor:
    """H[E p(y | x)] of the batch's mean distribution in nats, a number from 0 to ln K, for logits [batch, K]."""
    log_p = logits.log_softmax(dim=1).logsumexp(dim=0) - math.log(len(logits))
    return -(log_p.exp() * log_p).sum()


def mean_distance(real: Tensor, fake: Tensor) -> Tensor:
    """|E f(x) - E f(G(z))|^2, summed over the F features of two tensors [batch, F]."""
    return (real.flatten(1).mean(dim=0) - fake.flatten(1).mean(dim=0)).square().sum()


def _logits(output: Output) -> Tensor:
    assert output.classes is not None
    return output.classes


class _Classifier(Objective):
    """What they have in common: class logits and no score of their own."""

    scores_only = False
    classifies = True
    semi_supervised = True

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """A logit for each class of the data. `ValueError` if they have no classes."""
        if num_classes < 2:
            raise ValueError(f"{type(self).__name__} needs data with classes: set data to a labelled set")
        return Heads(score=False, classes=num_classes)


@part
class Supervised(_Classifier):
    """Supervised: no game, the discriminator's classifier alone: what semi-supervised objectives have to beat.

    D: -E log p(y | x) on labelled examples
    G: 0

    Neither fakes nor real examples without a label enter, and the generator keeps its initial weights. They still pass
    the discriminator, so with batch norm their statistics would enter what it remembers for evaluation: use another
    norm, or none. The score is minus the entropy of p(y | x); it is recorded and trained by nothing.

    Source: none needed. The baseline of Odena 2016 is another one: SGAN whose generator is never updated, so that its
    discriminator still sees fakes.
    """

    coupling: ClassVar[None] = None
    penalisable = False

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` if no image is labelled, or if statistics of other images would enter."""
        super().check(config)
        if config.labelled is None:
            raise ValueError("Supervised learns from labels only: set labelled, such as labelled=1000")
        if config.discriminator.uses_batch_norm:
            raise ValueError(
                "Supervised must not see images without labels, whose statistics batch norm would remember: "
                "set discriminator.normalised=False, or another norm"
            )

    def score(self, output: Output) -> Tensor:
        """Minus the entropy of p(y | x): 0 where the classifier is sure, -ln K where it has no idea."""
        return -conditional_entropy(_logits(output))

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """0: images without labels teach nothing."""
        return _nothing(real)

    def generator(self, real: Output, fake: Output) -> Tensor:
        """0, with a gradient of 0."""
        return _nothing(fake)

    def supervised(self, labelled: Output) -> Tensor:
        """The class loss on labelled examples."""
        assert labelled.labels is not None
        return F.cross_entropy(_logits(labelled), labelled.labels)


def _nothing(output: Output) -> Tensor:
    """0 that depends on the logits, so that it has a gradient."""
    return (_logits(output) * 0).sum()


@part
class CatGAN(_Classifier):
    """CatGAN: D is a classifier of K categories and no class of fakes: sure of real examples, unsure of fakes.

    D: -H[E p(y | x)] + E H[p(y | x)] - E H[p(y | G(z))]
       + labelled_weight * -E log p(y | x) on labelled examples, where there are any
    G: -H[E p(y | G(z))] + E H[p(y | G(z))]

    H is the entropy; the mean inside it is that of the minibatch. G maximises the entropy of its mean distribution.
    Without labels the categories are clusters. `num_categories` is K, None for as many as the data have classes, which
    it must be where labels are used. `labelled_weight` is >= 0. The score is minus the entropy of p(y | x), which no
    gradient penalty is meant for. Traces: "marginal_entropy_real" and "marginal_entropy_fake", the entropies of the
    mean distributions in nats.

    Source: Springenberg 2016, section 3.
    """

    penalisable = False

    coupling: ClassVar[str] = "CatGAN's entropy of the batch's mean distribution"

    num_categories: int | None = None
    labelled_weight: float = 1.0

    def __post_init__(self) -> None:
        at_least(self, labelled_weight=0)
        if self.num_categories is not None:
            at_least(self, num_categories=2)

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """A logit for each category."""
        if self.num_categories is not None:
            return Heads(score=False, classes=self.num_categories)
        if num_classes < 2:
            raise ValueError("CatGAN.num_categories = None needs data with classes: set a number")
        return Heads(score=False, classes=num_classes)

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` if labels would have to be categories of another number."""
        super().check(config)
        if config.labelled is not None and self.num_categories is not None:
            raise ValueError(
                f"CatGAN.num_categories = {self.num_categories} must be None where labelled = {config.labelled}, "
                "because the categories are then the data's classes"
            )

    def score(self, output: Output) -> Tensor:
        """Minus the entropy of p(y | x): 0 where D is sure, -ln K where it has no idea."""
        return -conditional_entropy(_logits(output))

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The classifier's loss without labels."""
        return self.score(fake).mean() - self.score(real).mean() - marginal_entropy(_logits(real))

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return -self.score(fake).mean() - marginal_entropy(_logits(fake))

    def supervised(self, labelled: Output) -> Tensor:
        """The weighted class loss on labelled examples."""
        assert labelled.labels is not None
        return self.labelled_weight * F.cross_entropy(_logits(labelled), labelled.labels)

    def traces(self, real: Output, fake: Output) -> dict[str, Tensor]:
        """How evenly the categories are used."""
        return {f"marginal_entropy_{kind}": marginal_entropy(_logits(of)) for kind, of in _kinds(real, fake)}


def _kinds(real: Output, fake: Output) -> tuple[tuple[str, Output], tuple[str, Output]]:
    return ("real", real), ("fake", fake)


@part
class SGAN(_Classifier):
    """SGAN: D is one softmax over the N classes of the data and class N + 1, that of fakes.

    D: 1/2 * -E log p(y | x) on labelled examples + 1/2 * -E log p(N + 1 | G(z))
    G: E log p(N + 1 | G(z))

    D's batch is half real and half fake, hence the halves. Real examples without a label do not enter. G maximises the
    loss that D minimises on fakes, and not another one that would not saturate. The score is log p(real) - log p(fake).

    Source: Odena 2016, Algorithm 1.
    """

    coupling: ClassVar[None] = None

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """A logit for each class of the data and one for fakes, the last."""
        return Heads(score=False, classes=super().heads(num_classes, latent).classes + 1)

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` if no image is labelled: D would see fakes only."""
        super().check(config)
        if config.labelled is None:
            raise ValueError("SGAN learns real images from their labels: set labelled, such as labelled=1000")

    def score(self, output: Output) -> Tensor:
        """The logit of being real: log of the sum over classes, minus the logit of fakes."""
        logits = _logits(output)
        return logits[:, :-1].logsumexp(dim=1) - logits[:, -1]

    def predict(self, output: Output) -> Tensor:
        """The most probable class of the data, int64 [batch], given that the example is real."""
        return _logits(output)[:, :-1].argmax(dim=1)

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The half of the classifier's loss that is on fakes."""
        return 0.5 * self._fake_loss(fake)

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return -self._fake_loss(fake)

    def supervised(self, labelled: Output) -> Tensor:
        """The half of the classifier's loss that is on labelled real examples."""
        assert labelled.labels is not None
        return 0.5 * F.cross_entropy(_logits(labelled), labelled.labels)

    def _fake_loss(self, fake: Output) -> Tensor:
        """-E log p(N + 1 | G(z)), which is -E log(1 - sigmoid(score))."""
        return F.softplus(self.score(fake)).mean()


@part
class ImprovedGAN(_Classifier):
    """ImprovedGAN: the semi-supervised GAN with feature matching.

    D: -E log D(x) - E log(1 - D(G(z)))
       + labelled_weight * -E log p(y | x, real) on labelled examples, where there are any
    G: |E f(x) - E f(G(z))|^2, or -E log D(G(z))

    D(x) = Z / (Z + 1), where Z is the sum of exp(logit) over K classes: a softmax over K + 1 classes whose last logit,
    that of fakes, is fixed at 0. `generator_loss` chooses G's loss: "feature_matching", where f is D's last hidden
    layer and E f(x) comes from D's last update, as a constant; or "non_saturating". `labelled_weight` is >= 0. The
    score is log Z, the logit of D(x).

    Source: Salimans et al. 2016, section 5 (D and its loss) and section 3.1 (feature matching).
    """

    generator_loss: str = "feature_matching"
    labelled_weight: float = 1.0

    def __post_init__(self) -> None:
        one_of(self, "generator_loss", ("feature_matching", "non_saturating"))
        at_least(self, labelled_weight=0)

    @property
    def coupling(self) -> str | None:
        """Feature matching's means, whose distance is not a mean of distances."""
        matched = "ImprovedGAN's feature matching, which compares the means of whole batches"
        return matched if self.generator_loss == "feature_matching" else None

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` if features would have to be matched before D has seen any."""
        super().check(config)
        if self.generator_loss == "feature_matching" and config.update_order == "generator_first":
            raise ValueError(
                'ImprovedGAN.generator_loss = "feature_matching" needs the real features of an update of D: '
                'set update_order="discriminator_first"'
            )

    def score(self, output: Output) -> Tensor:
        """The logit of being real, log Z."""
        return _logits(output).logsumexp(dim=1)

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss without labels."""
        return F.softplus(-self.score(real)).mean() + F.softplus(self.score(fake)).mean()

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        if self.generator_loss == "non_saturating":
            return F.softplus(-self.score(fake)).mean()
        assert real.features is not None
        assert fake.features is not None
        return mean_distance(real.features.detach(), fake.features)

    def supervised(self, labelled: Output) -> Tensor:
        """The weighted class loss on labelled examples, given that they are real."""
        assert labelled.labels is not None
        return self.labelled_weight * F.cross_entropy(_logits(labelled), labelled.labels)
