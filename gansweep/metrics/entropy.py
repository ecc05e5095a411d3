"""The Inception Score of a table of logits, and how sure it is. numpy only."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicts for N samples: p(y|x) and its logarithm, both [N, K] in float64.

    Made `of` logits, from the logarithm of the softmax, so that a probability of zero adds exactly zero.
    """

    p: Floats
    log_p: Floats

    @classmethod
    def of(cls, logits: ArrayLike) -> Predictions:
        """Predictions from logits [N, K]; `ValueError` for another shape or for logits that are not finite."""
        table = np.asarray(logits, dtype=np.float64)
        if table.ndim != 2:
            raise ValueError(f"inception_score takes logits [N, K], not shape {table.shape}")
        if not np.isfinite(table).all():
            raise ValueError(f"{int((~np.isfinite(table).all(axis=1)).sum())} of {len(table)} logits are not finite")
        log_p = table - table.max(axis=1, keepdims=True)
        p = np.exp(log_p)
        total = p.sum(axis=1, keepdims=True)
        log_p -= np.log(total)
        p /= total
        return cls(p, log_p)

    def score(self, num_splits: int = 1, shuffle_seed: int = 0) -> tuple[float, float]:
        """exp(E_x KL(p(y|x) || p(y))): mean and population standard deviation over `num_splits`.

        Salimans et al. 2016, "Improved techniques for training GANs", section 4. Natural logarithm; p(y) is the mean
        over the split. Samples are shuffled before they are split, as torch-fidelity does it: class-ordered samples
        would otherwise meet a marginal that is not theirs. Range 1 to min(K, N / num_splits). The score is biased low
        for small N: only scores with equal N, splits and classifier can be compared. `ValueError` if a split would
        have fewer than two samples (its score is always 1).
        """
        num = len(self.p)
        if num_splits < 1 or num < 2 * num_splits:
            raise ValueError(f"{num} samples cannot be split into {num_splits} parts of at least 2")
        if num_splits == 1:
            return float(np.exp(_divergences(self.p, self.log_p).mean())), 0.0
        order = np.random.RandomState(shuffle_seed).permutation(num)
        bounds = [i * num // num_splits for i in range(num_splits + 1)]
        parts = [order[a:b] for a, b in itertools.pairwise(bounds)]
        scores = [float(np.exp(_divergences(self.p[rows], self.log_p[rows]).mean())) for rows in parts]
        return float(np.mean(scores)), float(np.std(scores))

    def interval(self, score: float, num_splits: int = 1) -> tuple[float, float]:
        """Between which values `score`, made with `num_splits`, lies whatever the number of samples: (low, high).

        `low`, at least 1, is the lower end of the 95% interval of the score that other samples of this number would
        get; `high` is the upper end for infinitely many samples. A threshold between them is too close to call. With
        n = N / num_splits samples a split, C the covariance of p(y|x) over x and p the marginal, to second order in
        1 / n:

        - bias of log IS: - sum_k C_kk / (2 n p_k), which is - (K - 1) / 2n for certain predictions of K equal classes;
        - variance of log IS: (Var_x KL(p(y|x) || p) / n + sum_k (C_kk / p_k)^2 / (2 n^2)) / num_splits.

        The second variance leaves out what classes have in common. The next order of the bias is its square over 3,
        for certain predictions; beyond a bias of 0.1, with too few samples for the number of classes, `high` is K, the
        only bound that is known.
        """
        size, marginal = len(self.p) / num_splits, self.p.mean(axis=0)
        ratio = np.divide(self.p.var(axis=0), marginal, out=np.zeros_like(marginal), where=marginal > 0)
        bias = ratio.sum() / (2 * size)
        spread = _divergences(self.p, self.log_p).var()
        reach = NORMAL_95 * np.sqrt((spread / size + (ratio**2).sum() / (2 * size**2)) / num_splits)
        high = score * np.exp(bias + bias**2 / 3 + reach) if bias <= 0.1 else float(self.p.shape[1])
        return float(max(1.0, score * np.exp(-reach))), float(min(high, self.p.shape[1]))

    @property
    def class_share(self) -> float:
        """exp(H(p(y))) / K, in (0, 1]: the share of the classes that the samples fill.

        1 where all classes are equally frequent, m / K for m equal ones. H is the entropy of the mean prediction.
        """
        marginal = self.p.mean(axis=0)
        return float(np.exp(-(marginal * _log(marginal)).sum()) / len(marginal))


def inception_score(logits: ArrayLike, num_splits: int = 1, shuffle_seed: int = 0) -> tuple[float, float]:
    """`Predictions.score` of logits [N, K]."""
    return Predictions.of(logits).score(num_splits, shuffle_seed)


def _divergences(p: Floats, log_p: Floats) -> Floats:
    """KL(p(y|x) || p(y)) of every row."""
    divergences: Floats = (p * (log_p - _log(p.mean(axis=0)))).sum(axis=1)
    return divergences


def _log(marginal: Floats) -> Floats:
    # Where the marginal underflows to 0 every p does too: its terms are 0 by 0 log 0 = 0, whatever stands
    # here.
    return np.log(np.where(marginal > 0, marginal, 1.0))
