"""What a discriminator is asked for and what it answers: the language that networks and objectives share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Heads:
    """What an objective asks of a discriminator.

    `score` is one raw number per example; `energy` asks for a reconstruction error instead, which only auto-encoders
    have; `classes` is a number of class logits (0: none). `categorical` and `continuous` are the codes whose
    distribution Q(c | x) is asked for: the sizes of the categorical ones and how many continuous ones there are.
    """

    score: bool = True
    energy: bool = False
    classes: int = 0
    categorical: tuple[int, ...] = ()
    continuous: int = 0


class Output(NamedTuple):
    """What a discriminator says of a batch, and what is known of that batch.

    `score` [batch] is raw: a logit, a critic's value or an energy. `classes` [batch, K] are logits. `codes` are Q's
    logits [batch, k] of each categorical code and then the means [batch, n] of the continuous ones. `features`
    [batch, F] is the last hidden layer, or an encoder's code. `labels` [batch] (int64) and `given` (int64 [batch] for
    each categorical code, then [batch, n] floats) are what the batch was made from.
    """

    score: Tensor | None = None
    classes: Tensor | None = None
    codes: tuple[Tensor, ...] = ()
    features: Tensor | None = None
    labels: Tensor | None = None
    given: tuple[Tensor, ...] = ()

    def float(self) -> Output:
        """Everything that the network computed in fp32, whatever it was computed in."""
        return self._replace(
            score=None if self.score is None else self.score.float(),
            classes=None if self.classes is None else self.classes.float(),
            codes=tuple(code.float() for code in self.codes),
            features=None if self.features is None else self.features.float(),
        )

    def detach(self) -> Output:
        """The same without its graph."""
        return self._replace(
            score=None if self.score is None else self.score.detach(),
            classes=None if self.classes is None else self.classes.detach(),
            codes=tuple(code.detach() for code in self.codes),
            features=None if self.features is None else self.features.detach(),
        )
