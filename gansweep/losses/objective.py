"""What every objective is: two losses on a discriminator's outputs, and what it needs for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from gansweep.outputs import Heads, Output

if TYPE_CHECKING:
    import torch

    from gansweep.trial import Latent, TrialConfig


class Objective:
    """The defaults of an objective: a score per example, no labels, no codes, nothing to remember.

    `discriminator` and `generator` are both minimised and are means over the batch (trap T-6). In the generator's turn
    `real` is what the discriminator said in its last update, without a graph.
    """

    energy: ClassVar[bool] = False  # whether the score is an auto-encoder's reconstruction error
    penalisable: ClassVar[bool] = True  # whether the score is one whose input gradient a penalty may prescribe
    needs_labels: ClassVar[bool] = False  # whether real images must have labels (and fakes are given one)
    semi_supervised: ClassVar[bool] = False  # whether it can use `TrialConfig.labelled`
    classifies: ClassVar[bool] = False  # whether the discriminator names classes, so that it must not be told them
    scores_only: ClassVar[bool] = True  # whether it needs one score per example only, so that others can add to it

    @property
    def indifferent_loss(self) -> float | None:
        """The least discriminator's loss of a score that is one number for all; None where 0 is not the floor besides.

        The recorded `discriminator_confidence` is 1 - loss / indifferent_loss: 0 for a discriminator that cannot tell
        real from fake, 1 for one whose loss is 0, negative for one that is wrong.
        """
        return None

    @property
    def estimates_wasserstein(self) -> bool:
        """Whether E D(x) - E D(G(z)) estimates a Wasserstein distance, times D's Lipschitz constant."""
        return False

    @property
    def coupling(self) -> str | None:
        """What ties the examples of a batch together; None if every loss is a mean of one term per example.

        Then a batch can be computed in parts: its losses and their gradients are the means of those of the parts. What
        `after_step` and `traces` do does not count, since they are given the outputs of the whole batch.
        """
        return f"{type(self).__name__}, whose losses are not known to be means of a term per example"

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """What the discriminator must answer."""
        return Heads()

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` where the trial's other parts make the objective meaningless."""
        name, discriminator = type(self).__name__, config.discriminator
        if self.energy and not discriminator.energy:
            raise ValueError(
                f"{name} needs a reconstruction error, which discriminator = {type(discriminator).__name__} has not: "
                "use an auto-encoder"
            )
        if discriminator.energy and not self.energy:
            raise ValueError(
                f"{name} needs a raw score, and discriminator = {type(discriminator).__name__} gives a reconstruction "
                "error: use EBGAN or BEGAN, or another discriminator"
            )
        if self.classifies and discriminator.conditional:
            raise ValueError(
                f"{name} asks the discriminator for the class, and discriminator = {type(discriminator).__name__} is "
                "told it: use an unconditional discriminator, such as one with condition='none'"
            )
        if config.labelled is not None and not self.semi_supervised:
            raise ValueError(
                f"labelled = {config.labelled} has no meaning for {name}, which has no supervised term: "
                "set labelled=None, or use CatGAN, SGAN or ImprovedGAN"
            )

    def facts(self) -> dict[str, Any]:
        """What follows from the fields and is worth a record of its own, by name."""
        return {}

    def build(self, device: torch.device) -> Any:
        """The object whose methods the loop calls: this part, unless the objective remembers something.

        One that does returns a module whose buffers are saved with the training state.
        """
        return self

    def score(self, output: Output) -> Tensor:
        """How real each example looks, [batch], more for more: what constraints act on and what is recorded."""
        assert output.score is not None
        return output.score

    def predict(self, output: Output) -> Tensor:
        """The most probable class of each example, int64 [batch], where the discriminator names classes."""
        assert output.classes is not None
        return output.classes.argmax(dim=1)

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The discriminator's loss."""
        raise NotImplementedError

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        raise NotImplementedError

    def supervised(self, labelled: Output) -> Tensor:
        """What is added to the discriminator's loss for a batch of the labelled images."""
        raise NotImplementedError

    def after_step(self, real: Output, fake: Output) -> None:
        """Called after the generator's update with both outputs, without graphs."""

    def traces(self, real: Output, fake: Output) -> dict[str, Tensor]:
        """Further numbers to record, each without axes; always the same names."""
        return {}


class Composed(Objective):
    """An objective that adds terms of its own to those of `adversarial`, an objective on scores.

    `ValueError` if `adversarial` asks for something else than a score, such as an energy.
    """

    adversarial: Objective
    scores_only = False

    def __post_init__(self) -> None:
        if not isinstance(self.adversarial, Objective) or not self.adversarial.scores_only:
            raise ValueError(
                f"{type(self).__name__}.adversarial = {self.adversarial!r} must be an objective on scores, "
                "such as NonSaturating()"
            )

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` where this objective or the one inside it would be meaningless."""
        super().check(config)
        self.adversarial.check(config)

    def facts(self) -> dict[str, Any]:
        """Those of the objective inside."""
        return {f"adversarial.{name}": value for name, value in self.adversarial.facts().items()}

    @property
    def estimates_wasserstein(self) -> bool:
        """Whether the objective inside does."""
        return self.adversarial.estimates_wasserstein

    def score(self, output: Output) -> Tensor:
        """How real each example looks to the objective inside."""
        return self.adversarial.score(output)
