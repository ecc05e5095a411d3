"""What a discriminator is asked for and what it answers: the language that networks and objectives share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
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

    def precise(self) -> Output:
        """Everything that the network computed in fp32, whatever it was computed in; in float64 where it was that."""
        return self._replace(
            score=None if self.score is None else precise(self.score),
            classes=None if self.classes is None else precise(self.classes),
            codes=tuple(precise(code) for code in self.codes),
            features=None if self.features is None else precise(self.features),
        )

    def detach(self) -> Output:
        """The same without its graph."""
        return self._replace(
            score=None if self.score is None else self.score.detach(),
            classes=None if self.classes is None else self.classes.detach(),
            codes=tuple(code.detach() for code in self.codes),
            features=None if self.features is None else self.features.detach(),
        )

    @classmethod
    def joined(cls, parts: Sequence[Output]) -> Output:
        """What was said of the parts of a batch, in their order, as of the whole."""
        if len(parts) == 1:
            return parts[0]
        score, classes, codes, features, labels, given = zip(*parts, strict=True)
        return cls(_rows(score), _rows(classes), _columns(codes), _rows(features), _rows(labels), _columns(given))


def precise(x: Tensor) -> Tensor:
    """`x` in fp32, unless it is in float64."""
    return x if x.dtype == torch.float64 else x.float()


def _rows(parts: Sequence[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if known else None


def _columns(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))
