"""Generators that are not trained: what a critic is trained against where only the critic is asked about.

Neither has weights. Its examples come from the trial's own random streams, those from which z comes otherwise, so they
are the same under every arm; the trial's `latent` and its generator's optimiser are not used.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gansweep.models.spec import NetworkSpec
from gansweep.parts import above, part


class AsDrawn(nn.Module):
    """The network of a fixed generator: it hands on the examples [batch, *shape] that were drawn for it."""

    def forward(self, drawn: Tensor, labels: Tensor | None = None) -> Tensor:
        return drawn


class FixedGenerator(NetworkSpec):
    """A generator without weights; subclasses say what is drawn."""

    trained: ClassVar[bool] = False

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> AsDrawn:
        """The network, which has nothing to learn."""
        return AsDrawn()

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        """As many examples as the real ones [batch, *shape], in their shape and on the generator's device."""
        raise NotImplementedError


@part
class RealPlusNoise(FixedGenerator):
    """The real batch itself plus N(0, std^2 I), a fresh draw for each example.

    Gulrajani et al. 2017, section 3.1 (figure 1a), where `std` is 1. In the authors' code, too, each fake is made from
    the real example at its place in the batch, so that the lines of a gradient penalty join pairs.
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        above(self, std=0)

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        """real + std * N(0, I)."""
        return real + self.std * torch.randn(real.shape, generator=generator, device=real.device)


@part
class FixedAt(FixedGenerator):
    """Fresh draws from `density`, independent of the real batch, such as `FixedAt(density=ParallelLines(theta=0.5))`.

    The examples of Arjovsky et al. 2017 with closed forms (section 2 and figure 2): only the critic is trained.
    """

    density: Any

    def __post_init__(self) -> None:
        if not callable(getattr(self.density, "sample", None)):
            raise ValueError(f"FixedAt.density = {self.density!r} must be a density, such as ParallelLines(theta=1.0)")

    def build(self, *, latent_size: int, shape: tuple[int, ...], num_classes: int = 0) -> AsDrawn:
        """The network; `ValueError` if the density's examples are no fakes of these data."""
        if tuple(self.density.shape) != tuple(shape):
            raise ValueError(
                f"FixedAt.density draws examples of shape {list(self.density.shape)}, and the data's is {list(shape)}"
            )
        return AsDrawn()

    def draw(self, real: Tensor, generator: torch.Generator) -> Tensor:
        """Draws from the density, as many as there are real examples."""
        drawn: Tensor = self.density.sample(len(real), generator)
        return drawn
