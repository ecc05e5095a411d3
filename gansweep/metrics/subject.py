"""What a metric may look at: a generator's samples, and the discriminator where it is a classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gansweep.data.cache import to_uint8, to_unit
from gansweep.memory import in_pieces
from gansweep.outputs import Output

if TYPE_CHECKING:
    from gansweep.metrics.classifier import Answers, LoadedClassifier


@dataclass(frozen=True)
class Subject:
    """A generator's samples [num, *shape] with the classes that were asked for, and the discriminator in eval mode.

    `discriminator` maps real examples in the networks' range to an `Output`. `data` is the `OpenData` it trains on.
    """

    samples: Tensor
    labels: Tensor | None
    discriminator: Callable[[Tensor], Output]
    data: Any
    _judged: dict[str, Answers] = field(default_factory=dict, init=False)

    @cached_property
    def finite(self) -> bool:
        """Whether every sample is."""
        return bool(torch.isfinite(self.samples).all())

    @cached_property
    def pixels(self) -> Tensor:
        """The samples as uint8 images."""
        return to_uint8(self.samples)

    def judged(self, judge: LoadedClassifier, num: int) -> Answers:
        """What a classifier says of the first `num` samples; metrics with one classifier ask it once."""
        if len(self.samples) < num:
            raise ValueError(f"{num} samples are needed, and there are {len(self.samples)}")
        known = self._judged.get(judge.hash)
        asked = 0 if known is None else len(known.logits)
        if known is None or asked < num:
            new = judge.answers(self.pixels[asked:num])
            known = new if known is None else type(new)(*map(torch.cat, zip(known, new, strict=True)))
            self._judged[judge.hash] = known
        return type(known)(*(kind[:num] for kind in known))

    def answers(self, images: Tensor, device: torch.device, batch_size: int = 500) -> Output:
        """What the discriminator says of uint8 images [N, C, H, W], in batches."""
        said = in_pieces(lambda batch: self.discriminator(to_unit(batch.to(device))), images, size=batch_size)
        return Output(
            classes=None
            if said[0].classes is None
            else torch.cat([one.classes for one in said if one.classes is not None]),
            codes=tuple(torch.cat(parts) for parts in zip(*(one.codes for one in said), strict=True)),
        )
