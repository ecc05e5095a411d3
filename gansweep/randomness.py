"""Random streams derived from names, so that no number depends on what was drawn before it.

A stream is a seed, a purpose and a position: the batch of z for critic update 17 is the same whether the run was
resumed, which arm of the block asks for it, and what else ran in the process. Nothing here holds state, so nothing
has to be saved.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(*names: int | str, bits: int = 63) -> int:
    """A non-negative integer below 2**bits that depends on all names and their order."""
    digest = hashlib.blake2b("/".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - bits)


def stream(device: torch.device | str, *names: int | str) -> torch.Generator:
    """A fresh torch generator on `device`, seeded from the names."""
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(*names))
