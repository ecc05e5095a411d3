"""What can be done where memory runs out: notice it, give back what nothing needs, compute fewer rows at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

# torch has a class of its own for CUDA and XPU only; the CPU's allocator, MPS and libraries raise a RuntimeError
SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")

Result = TypeVar("Result")


def exhausted(error: BaseException) -> bool:
    """Whether the error says that the device or the machine has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def release() -> None:
    """Give memory that nothing refers to any more back to the device, where other processes may want it.

    Call it outside the `except` clause: inside, the traceback still refers to what the failed call had allocated.
    """
    gc.collect()
    torch.accelerator.empty_cache()  # nothing to do without an accelerator


def in_pieces(compute: Callable[..., Result], *tensors: Tensor, size: int) -> list[Result]:
    """What `compute` gives for each `size` rows of the tensors [num, ...], in order; for half as many where they do
    not fit into memory. Tensors without rows are one piece."""
    results: list[Result] = []
    start = 0
    while start < len(tensors[0]) or not results:
        try:
            results.append(compute(*(tensor[start : start + size] for tensor in tensors)))
            start += size
            continue
        except Exception as error:
            if size == 1 or not exhausted(error):
                raise
        release()
        size = (size + 1) // 2
    return results
