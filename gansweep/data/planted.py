"""Data with a planted defect, to see what a study makes of it.

Images are kept as bytes, which are always finite; points are not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gansweep.data.densities import GaussianRing
from gansweep.parts import above, part


@part
class SpoiltRing(GaussianRing):
    """A `GaussianRing` of whose points the share `nan_share`, in (0, 1], is not a number, drawn at random.

    With batches of n points the first spoilt one is met in batch 1 / (n nan_share) on average. Modes and density are
    those of the ring without the defect.
    """

    nan_share: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, nan_share=0)
        if self.nan_share > 1:
            raise ValueError(f"SpoiltRing.nan_share = {self.nan_share!r} must lie in (0, 1]")

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """float32 [num, 2] of the ring without the defect, for scores to compare with."""
        slot = torch.randint(self._num_slots(), (num,), generator=generator, device=generator.device)
        return super()._around(slot, generator)

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        points = super()._around(slot, generator)
        spoilt = torch.rand(len(slot), 1, generator=generator, device=slot.device) < self.nan_share
        return points.masked_fill(spoilt, torch.nan)
