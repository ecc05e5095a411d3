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

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """What the discriminator must answer."""
        return Heads()

    def check(self, config: TrialConfig) -> None:
        """Raise `ValueError` where the trial's other parts make the objective meaningless."""

    def build(self, device: torch.device) -> Any:
        """The object whose methods the loop calls: this part, unless the objective remembers something.

        One that does returns a module whose buffers are saved with the training state.
        """
        return self

    def score(self, output: Output) -> Tensor:
        """How real each example looks, [batch]: what constraints act on and what is recorded."""
        assert output.score is not None
        return output.score

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
