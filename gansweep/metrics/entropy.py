"""The Inception Score of a table of logits. numpy only."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray


def inception_score(logits: ArrayLike, num_splits: int = 1, shuffle_seed: int = 0) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))) of logits [N, K]: mean and population standard deviation over `num_splits`.

    Salimans et al. 2016, "Improved techniques for training GANs", section 4. Natural logarithm, in float64
    from the logarithm of the softmax, so that a probability of zero adds exactly zero; p(y) is the mean over
    the split. Samples are shuffled before they are split, as torch-fidelity does it: class-ordered samples
    would otherwise meet a marginal that is not theirs. Range 1 to min(K, N / num_splits). The score is biased
    low for small N: only scores with equal N, splits and classifier can be compared.

    `ValueError` if a split would have fewer than two samples (its score is always 1), or for non-finite
    logits.
    """
    table = np.asarray(logits, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"inception_score takes logits [N, K], not shape {table.shape}")
    if num_splits < 1 or len(table) < 2 * num_splits:
        raise ValueError(f"{len(table)} samples cannot be split into {num_splits} parts of at least 2")
    if not np.isfinite(table).all():
        raise ValueError(f"{int((~np.isfinite(table).all(axis=1)).sum())} of {len(table)} logits are not finite")
    order = np.random.RandomState(shuffle_seed).permutation(len(table))
    bounds = [i * len(table) // num_splits for i in range(num_splits + 1)]
    scores = [_one_split(table[order[a:b]]) for a, b in itertools.pairwise(bounds)]
    return float(np.mean(scores)), float(np.std(scores))


def _one_split(logits: NDArray[np.float64]) -> float:
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    marginal = p.mean(axis=0)
    # Where the marginal underflows to 0 every p does too: its terms are 0 by 0 log 0 = 0, whatever stands
    # here.
    log_marginal = np.log(np.where(marginal > 0, marginal, 1.0))
    return float(np.exp((p * (log_p - log_marginal)).sum(axis=1).mean()))
