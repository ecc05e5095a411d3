"""What a metric may look at: a generator's samples, and the discriminator where it is a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gansweep.data.cache import to_uint8, to_unit
from gansweep.outputs import Output


@dataclass(frozen=True)
class Subject:
    """A generator's samples [num, *shape] with the classes that were asked for, and the discriminator in eval mode.

    `discriminator` maps real examples in the networks' range to an `Output`. `data` is the `OpenData` it trains on.
    """

    samples: Tensor
    labels: Tensor | None
    discriminator: Callable[[Tensor], Output]
    data: Any

    @cached_property
    def finite(self) -> bool:
        """Whether every sample is."""
        return bool(torch.isfinite(self.samples).all())

    @cached_property
    def pixels(self) -> Tensor:
        """The samples as uint8 images."""
        return to_uint8(self.samples)

    def answers(self, images: Tensor, device: torch.device, batch_size: int = 500) -> Output:
        """What the discriminator says of uint8 images [N, C, H, W], in batches."""
        said = [self.discriminator(to_unit(batch.to(device))) for batch in images.split(batch_size)]
        return Output(
            classes=None
            if said[0].classes is None
            else torch.cat([one.classes for one in said if one.classes is not None]),
            codes=tuple(torch.cat(parts) for parts in zip(*(one.codes for one in said), strict=True)),
        )
