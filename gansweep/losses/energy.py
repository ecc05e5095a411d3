"""Objectives whose discriminator is an auto-encoder: its reconstruction error is an energy, low on real examples.

What an error is (a Euclidean norm, a mean square, a mean absolute value) is the network's business; a margin is in its
units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.losses.objective import Objective
from gansweep.outputs import Heads, Output
from gansweep.parts import above, at_least, part

if TYPE_CHECKING:
    from gansweep.trial import Latent


def pulling_away_term(features: Tensor) -> Tensor:
    """The mean squared cosine between two different rows of [batch, F]: 0 for orthogonal rows, 1 for parallel ones.

    1 / (N (N - 1)) * sum over i != j of (s_i . s_j / (|s_i| |s_j|))^2 for N >= 2 rows (Zhao et al. 2017, section 2.4).
    Each row has its own norm, and the diagonal does not count (trap T-43). A row of zeros is orthogonal to all.
    """
    with torch.autocast(features.device.type, enabled=False):  # bf16 would lose the small cosines
        rows = F.normalize(features.flatten(1), dim=1)
        squares = (rows @ rows.T).square()
    num = len(rows)
    return (squares.sum() - squares.diagonal().sum()) / (num * (num - 1))


class _Energy(Objective):
    """What both have in common: the score is an energy, so that more real is less."""

    energy = True
    penalisable = False
    scores_only = False

    def heads(self, num_classes: int, latent: Latent) -> Heads:
        """A reconstruction error per example."""
        return Heads(energy=True)

    def score(self, output: Output) -> Tensor:
        """Minus the energy of each example."""
        return -_energy(output)


def _energy(output: Output) -> Tensor:
    assert output.score is not None
    return output.score


@part
class EBGAN(_Energy):
    """EBGAN: an energy that is pulled down on real examples and pushed up to a margin on fakes.

    D: E D(x) + E max(0, m - D(G(z)))
    G: E D(G(z)) + pulling_away * PT(S)

    D(x) is the reconstruction error of x. `margin` m > 0 is in the units of that error, and the maximum is taken for
    each fake before the mean. S are the encoder's outputs for the fakes and PT is the mean squared cosine between two
    of them; its weight `pulling_away` >= 0 is 0 for EBGAN without it.

    Source: Zhao et al. 2017, eqs. 1 and 2; the pulling-away term is from section 2.4.
    """

    margin: float = 10.0
    pulling_away: float = 0.1

    def __post_init__(self) -> None:
        above(self, margin=0)
        at_least(self, pulling_away=0)

    @property
    def coupling(self) -> str | None:
        """The pulling-away term, a mean over pairs of fakes."""
        return "EBGAN's pulling-away term, which compares every two fakes of a batch" if self.pulling_away else None

    @property
    def indifferent_loss(self) -> float:
        """The margin, at one energy up to the margin for all."""
        return self.margin

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The auto-encoder's loss."""
        return _energy(real).mean() + F.relu(self.margin - _energy(fake)).mean()

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        loss = _energy(fake).mean()
        if self.pulling_away == 0:
            return loss
        assert fake.features is not None
        return loss + self.pulling_away * pulling_away_term(fake.features)


@part
class BEGAN(_Energy):
    """BEGAN: an energy whose weight on fakes is controlled so that fakes and real examples keep a fixed ratio.

    D: E L(x) - k E L(G(z))
    G: E L(G(z))

    L is the reconstruction error. After each iteration k moves by rate * (gamma E L(x) - E L(G(z))) and is cut to
    [0, 1]; it starts at `initial_balance`. So `gamma`, in (0, 1], is the ratio E L(G(z)) / E L(x) at equilibrium: less
    for sharper samples, more for more varied ones; the authors show results for several values. `rate` >= 0 is their
    lambda_k. Traces: "balance" is k, "energy_ratio" is E L(G(z)) / E L(x), and "convergence" is M_global = E L(x) +
    |gamma E L(x) - E L(G(z))|, which the authors propose as a measure of convergence (section 3).

    Source: Berthelot et al. 2017, section 3.
    """

    coupling: ClassVar[None] = None  # k moves after the update, by the means of the whole batch

    gamma: float = 0.5
    rate: float = 0.001
    initial_balance: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, gamma=0, rate=0, initial_balance=0)
        if not 0 < self.gamma <= 1:
            raise ValueError(f"BEGAN.gamma = {self.gamma!r} must lie above 0 and not above 1")
        if self.initial_balance > 1:
            raise ValueError(f"BEGAN.initial_balance = {self.initial_balance!r} must lie between 0 and 1")

    def build(self, device: torch.device) -> Balanced:
        """The objective with its memory, k, on the device."""
        return Balanced(self, device)


class Balanced(nn.Module, _Energy):
    """BEGAN in training: its buffer `balance` is k, a number without axes that is saved with the training state."""

    balance: Tensor

    def __init__(self, spec: BEGAN, device: torch.device) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("balance", torch.tensor(float(spec.initial_balance), device=device))

    def discriminator(self, real: Output, fake: Output) -> Tensor:
        """The auto-encoder's loss."""
        return _energy(real).mean() - self.balance * _energy(fake).mean()

    def generator(self, real: Output, fake: Output) -> Tensor:
        """The generator's loss."""
        return _energy(fake).mean()

    @torch.no_grad()
    def after_step(self, real: Output, fake: Output) -> None:
        """Move k, on the device."""
        self.balance.add_(self.spec.rate * self._gap(real, fake)).clamp_(0, 1)

    @torch.no_grad()
    def traces(self, real: Output, fake: Output) -> dict[str, Tensor]:
        """k, what it controls, and the measure of convergence."""
        of_real, of_fakes = _energy(real).mean(), _energy(fake).mean()
        return {
            "balance": self.balance.clone(),
            "energy_ratio": of_fakes / of_real.clamp(min=torch.finfo(torch.float32).tiny),
            "convergence": of_real + self._gap(real, fake).abs(),
        }

    def _gap(self, real: Output, fake: Output) -> Tensor:
        """How far fakes are below their share of the energy: gamma E L(x) - E L(G(z))."""
        return self.spec.gamma * _energy(real).mean() - _energy(fake).mean()
