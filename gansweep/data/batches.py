"""Batches as functions of their position, so that a resumed run meets the same ones, and budgets of labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gansweep.data.training_set import Real, TrainingSet
from gansweep.randomness import stream


class Batches:
    """Real batches by position; each epoch is a permutation from its own stream, without the incomplete last batch.

    A density has no epochs: each batch is drawn from its own stream. `rows` restricts the set to some of its rows.
    """

    def __init__(
        self,
        data: TrainingSet,
        batch_size: int,
        seed: int,
        device: torch.device,
        *,
        rows: Tensor | None = None,
        purpose: str = "data",
    ) -> None:
        self.data, self.batch_size, self.seed, self.device = data, batch_size, seed, device
        self.chosen, self.purpose = rows, purpose
        self.num_rows = data.num_rows if rows is None else len(rows)
        assert self.num_rows is None or self.num_rows >= batch_size
        self._epoch, self._order = -1, torch.empty(0)

    def __getitem__(self, position: int) -> Real:
        """Batch number `position`."""
        if self.num_rows is None:
            return self.data.draw(self.batch_size, stream(self.device, self.seed, self.purpose, position))
        epoch, index = divmod(position, self.num_rows // self.batch_size)
        if epoch != self._epoch:
            order = torch.randperm(self.num_rows, generator=stream("cpu", self.seed, self.purpose, epoch))
            order = order if self.chosen is None else self.chosen[order]
            if self.device.type == "cuda":  # from pinned memory the host need not wait for the copy
                order = order.pin_memory()
            self._epoch, self._order = epoch, order.to(self.device, non_blocking=True)
        return self.data.rows(self._order[index * self.batch_size : (index + 1) * self.batch_size])


def labelled_rows(labels: Tensor, num: int, seed: int) -> Tensor:
    """Rows of `num` examples, equally many of each class up to one, drawn from the seed: int64 on the CPU."""
    of_row = labels.cpu().numpy()
    order = torch.randperm(len(of_row), generator=stream("cpu", seed, "labelled rows")).numpy()
    rank = np.empty(len(order), dtype=np.int64)  # of each drawn row among those of its class
    for label in np.unique(of_row):
        members = of_row[order] == label
        rank[members] = np.arange(members.sum())
    return torch.from_numpy(order[np.argsort(rank, kind="stable")][:num].copy())
