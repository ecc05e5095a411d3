"""What a specification says of its network unless it says otherwise: the facts that the loop and the checks ask for."""

from __future__ import annotations

from typing import ClassVar


class NetworkSpec:
    """A generator, or what a discriminator has in common with one.

    Where a network can be normalised, `normalised` and `norm` are fields; where it can be given the class, `condition`.
    """

    normalised: bool = False
    trained: ClassVar[bool] = True  # whether it has weights to learn; see `models.fixed`

    @property
    def conditional(self) -> bool:
        """Whether it is given the class, as an input or by its normalisation."""
        told = getattr(self, "condition", "none") == "input"
        return told or (self.normalised and getattr(self, "norm", None) == "conditional_batch")

    @property
    def stochastic(self) -> bool:
        """Whether it draws random numbers of its own, such as dropout's."""
        return False


class DiscriminatorSpec(NetworkSpec):
    """A discriminator: whether its examples mix, and what its score is."""

    energy: ClassVar[bool] = False  # whether the score is a reconstruction error

    @property
    def uses_batch_norm(self) -> bool:
        """Whether an example's score depends on the rest of its batch."""
        return self.normalised and getattr(self, "norm", None) == "batch"
