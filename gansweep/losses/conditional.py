"""AC-GAN: a discriminator that names the class of an example as well as its source.

The conditional games in which the discriminator is told the class, CGAN and the conditional LSGAN, are the objectives
of `gansweep.losses.objectives` with conditional networks.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from gansweep.losses.objective import Composed, Objective
from gansweep.losses.objectives import NonSaturating
from gansweep.outputs import Heads, Output
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    from gansweep.trial import Latent, TrialConfig


def class_loss(output: Output) -> Tensor:
    """-E log p(y | x), in nats, of the labels under logits [batch, K], which no softmax has touched (trap T-41)."""
    assert output.classes is not None
    assert output.labels is not None
    return F.cross_entropy(output.classes, output.labels)


@part
class ACGAN(Composed):
    """ACGAN: every fake is made for a class, and D tells the class beside real from fake, without being told it.

    D: adversarial's + discriminator_weight * (-E log p(y | x) - E log p(y | G(z, y)))
    G: adversarial's + generator_weight * -E log p(y | G(z, y))

    `adversarial` is any objective on scores. The paper's game, in which D maximises L_S + L_C and G maximises
    L_C - L_S, is that with `adversarial=Minimax()`; the default is the same with the generator's loss that does not
    saturate. `classify_fakes=False` leaves the fakes out of D's class loss: with Wasserstein(), a gradient penalty,
    discriminator_weight=1 and generator_weight=0.1 that is the conditional WGAN-GP. Both weights are >= 0. Traces:
    "class_accuracy_real" and "class_accuracy_fake", in [0, 1], are how often D's best guess is the right class.

    Source: Odena et al. 2017, section 3 (L_S and L_C).
    """

    classifies = True
    needs_labels = True

    adversarial: Objective = NonSaturating()
    discriminator_weight: float = 1.0
    generator_weight: float = 1.0
    classify_fakes: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, discriminator_weight=0, generator_weight=0)

    @property
    def coupling(self) -> str | None:
        """That of the objective inside: what is added are means over examples."""
        return self.adversarial.coupling

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """A score and a logit for each class of the data."""
        return dataclasses.replace(self.adversarial.heads(num_classes, latent), classes=num_classes)

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` unless the generator is given a class and the discriminator is not."""
        super().check(config)
        if not config.generator.conditional:
            raise ValueError(
                f"ACGAN asks for fakes of a class, which generator = {type(config.generator).__name__} is not told: "
                "use a conditional generator, such as one with condition='input'"
            )

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss."""
        classes = class_loss(real) + class_loss(fake) if self.classify_fakes else class_loss(real)
        return self.adversarial.discriminator(real, fake) + self.discriminator_weight * classes

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return self.adversarial.generator(real, fake) + self.generator_weight * class_loss(fake)

    def traces(self, real: Output, fake: Output) -> dict[str, Tensor]:
        """How often the class is told right."""
        return {
            **self.adversarial.traces(real, fake),
            **{f"class_accuracy_{kind}": self._accuracy(of) for kind, of in (("real", real), ("fake", fake))},
        }

    def _accuracy(self, output: Output) -> Tensor:
        assert output.labels is not None
        return self.predict(output).eq(output.labels).float().mean()
