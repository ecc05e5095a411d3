"""The Inception Score of a table of logits, and how sure it is. numpy only."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
NORMAL_95 = 1.959963984540054


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
    p, log_p = _probabilities(logits, num_splits)
    order = np.random.RandomState(shuffle_seed).permutation(len(p))
    bounds = [i * len(p) // num_splits for i in range(num_splits + 1)]
    parts = [order[a:b] for a, b in itertools.pairwise(bounds)]
    scores = [float(np.exp(_divergences(p[rows], log_p[rows]).mean())) for rows in parts]
    return float(np.mean(scores)), float(np.std(scores))


def score_interval(logits: ArrayLike, num_splits: int = 1, shuffle_seed: int = 0) -> tuple[float, float]:
    """Between which values the score of the generator lies, whatever the number of samples: (low, high), from 1 on.

    `low` is the lower end of the 95% interval of the score that other samples of this number would get; `high` is the
    upper end for infinitely many samples. A threshold between them is too close to call. With n = N / num_splits
    samples a split, C the covariance of p(y|x) over x and p the marginal, to second order in 1 / n:

    - bias of log IS: - sum_k C_kk / (2 n p_k), which is - (K - 1) / 2n for certain predictions of K equal classes;
    - variance of log IS: (Var_x KL(p(y|x) || p) / n + sum_k (C_kk / p_k)^2 / (2 n^2)) / num_splits.

    For N much larger than the number of classes that are seen; the second variance leaves out what classes have in
    common. Errors as for `inception_score`.
    """
    p, log_p = _probabilities(logits, num_splits)
    size = len(p) / num_splits
    marginal = p.mean(axis=0)
    ratio = np.divide(p.var(axis=0), marginal, out=np.zeros_like(marginal), where=marginal > 0)
    bias = ratio.sum() / (2 * size)
    variance = (_divergences(p, log_p).var() / size + (ratio**2).sum() / (2 * size**2)) / num_splits
    score, reach = inception_score(logits, num_splits, shuffle_seed)[0], NORMAL_95 * np.sqrt(variance)
    return float(max(1.0, score * np.exp(-reach))), float(score * np.exp(bias + reach))


def class_share(logits: ArrayLike) -> float:
    """exp(H(p(y))) / K of logits [N, K], in (0, 1]: the share of the classes that the samples fill.

    1 where all classes are equally frequent, m / K for m equal ones. H is the entropy of the mean prediction.
    """
    p, _ = _probabilities(logits, 1)
    marginal = p.mean(axis=0)
    return float(np.exp(-(marginal * _log(marginal)).sum()) / len(marginal))


def _probabilities(logits: ArrayLike, num_splits: int) -> tuple[Floats, Floats]:
    """The softmax and its logarithm."""
    table = np.asarray(logits, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"inception_score takes logits [N, K], not shape {table.shape}")
    if num_splits < 1 or len(table) < 2 * num_splits:
        raise ValueError(f"{len(table)} samples cannot be split into {num_splits} parts of at least 2")
    if not np.isfinite(table).all():
        raise ValueError(f"{int((~np.isfinite(table).all(axis=1)).sum())} of {len(table)} logits are not finite")
    log_p = table - table.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    return np.exp(log_p), log_p


def _divergences(p: Floats, log_p: Floats) -> Floats:
    """KL(p(y|x) || p(y)) of every row."""
    divergences: Floats = (p * (log_p - _log(p.mean(axis=0)))).sum(axis=1)
    return divergences


def _log(marginal: Floats) -> Floats:
    # Where the marginal underflows to 0 every p does too: its terms are 0 by 0 log 0 = 0, whatever stands
    # here.
    return np.log(np.where(marginal > 0, marginal, 1.0))
