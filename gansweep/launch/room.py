"""What a trial that runs out of memory does next."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Room:
    """What one attempt at a trial has found out about memory. The worker fills it in as it goes.

    `doing` is "loading", "training" or "evaluating"; `micro_batch` None is the whole batch of `batch_size`, which may
    be `indivisible`, and why. `recorded_step` is the last step reported.
    """

    recorded_step: int
    device: torch.device
    batch_size: int = 0
    micro_batch: int | None = None
    indivisible: str | None = None
    doing: str = "loading"
    again: bool = False

    def retry(self) -> str | None:
        """Change what can be changed after memory ran out, and say what; None if nothing is left to try.

        The first time nothing is changed: what ran before in this process, or beside it on the device, may be gone.
        """
        if not self.again:
            self.again = True
            return f"out of memory while {self.doing}: tried again unchanged, with everything freed"
        if self.doing != "training" or self.indivisible is not None or self.micro_batch == 1:
            return None
        self.micro_batch = ((self.micro_batch or self.batch_size) + 1) // 2
        return f"out of memory: its batches of {self.batch_size} go on in micro-batches of {self.micro_batch}"

    def verdict(self, said: str) -> str:
        """Why nothing is left to try and what a person can do, in one line that ends with the allocator's words."""
        batches = f"with batches of {self.batch_size}"
        if self.doing != "training":
            what = f"while {self.doing}, where smaller batches would not help"
        elif self.indivisible is not None:
            what = f"{batches}, which cannot be computed in micro-batches because of {self.indivisible}"
        else:
            what = f"{batches}, even in micro-batches of {self.micro_batch}"
        remedy = "fewer workers (--workers)" if self.device.type == "cpu" else "fewer trials per GPU (--gpus-per-trial)"
        first = next(iter(said.strip().splitlines()), "no message")
        return f"out of memory {what}; try {remedy}, or a smaller batch_size or network. It said: {first[:300]}"
