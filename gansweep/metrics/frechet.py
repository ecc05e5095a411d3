"""The Fréchet distance between the features of samples and of real images (FID)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gansweep.metrics.features import Arrays, FeatureMetric
from gansweep.parts import part

ROUNDING = 1e-5  # of the features' root mean square: what float32 arithmetic may add to a direction without spread


def moments(features: Iterator[Tensor]) -> Arrays:
    """Mean [F] and unbiased covariance [F, F] in float64, from chunks of float32 features [n, F]."""
    first = next(features).cpu().double()
    # sums about a point among them: about the origin, digits would be lost to a large mean
    shift = first.mean(dim=0)
    num, total, squares = 0, torch.zeros_like(shift), torch.zeros(len(shift), len(shift), dtype=torch.float64)
    for chunk in itertools.chain([first], features):
        x = chunk.cpu().double() - shift
        num, total = num + len(x), total + x.sum(dim=0)
        squares.addmm_(x.T, x)
    covariance = (squares - torch.outer(total, total) / num) / (num - 1)
    return {"mean": (shift + total / num).numpy(), "covariance": covariance.numpy()}


def factor(covariance: Tensor) -> Tensor:
    """A matrix R [F, F] with R R^T = covariance (symmetric, no eigenvalue below 0 but by rounding)."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()


def frechet_distance(features: Tensor, mean: Tensor, real_factor: Tensor) -> tuple[float, int]:
    """The squared Fréchet distance of Gaussians fitted to features [n, F] and to the real ones, and a rank.

    |m - mean|^2 + tr(S) + tr(C) - 2 tr((S C)^(1/2)), Heusel et al. 2017, with S the unbiased covariance of `features`
    and C = R R^T; `real_factor` is R. In float64. S C has the eigenvalues of the symmetric R^T S R, all of them >= 0,
    so the trace of the root is the sum of their roots, whatever the rank of S. From fewer samples than features, the
    n x n matrix of their inner products has the same ones but for zeros.

    The rank of S counts the directions whose standard deviation is above 1e-5 of the features' root mean square; what
    is below may be rounding. It is at most min(n - 1, F), and 0 if all samples are one.
    """
    x = features.cpu().double()
    n, num_features = x.shape
    centre = x.mean(dim=0)
    x = x - centre
    if n <= num_features:
        covariance, seen = x @ x.T / (n - 1), x @ real_factor
        product = seen @ seen.T / (n - 1)
    else:
        covariance = x.T @ x / (n - 1)
        product = real_factor.T @ covariance @ real_factor
    root = torch.linalg.eigvalsh(product).clamp(min=0).sqrt().sum()
    spread = covariance.trace()
    distance = (centre - mean).square().sum() + spread + real_factor.square().sum() - 2 * root
    mean_square = (centre.square().sum() + spread * (n - 1) / n) / num_features
    rank = (torch.linalg.eigvalsh(covariance) > ROUNDING**2 * mean_square).sum()
    # a distance of 0 comes out as a few units of the last place, on either side
    return max(0.0, distance.item()), int(rank)


@part
class FID(FeatureMetric):
    """The Fréchet distance of features: 0 and upwards, lower is better (Heusel et al. 2017).

    `num_real` None is all images of the split. The distance falls with more samples, so only scores of one
    `num_samples` can be compared, and few held-out images get a high one. `Inception2015` gives the published score.

    `fid_rank` is the rank of the samples' covariance: how collapse shows, which leaves the distance itself finite. It
    is at most `num_samples` - 1, and 0 for a generator of one image.
    """

    columns: ClassVar[tuple[str, ...]] = ("fid", "fid_rank")
    higher_is_better: ClassVar[bool] = False
    condense: ClassVar[Callable[[Iterator[Tensor]], Arrays]] = staticmethod(moments)

    @property
    def estimator(self) -> dict[str, Any]:
        """What the protocol says of the metric's own parameters."""
        return {
            "num_real": self.num_real or "all",
            "covariance": "unbiased",
            "rank_tolerance": ROUNDING,
            "dtype": "uint8 images, float32 features, float64 moments",
        }

    def reference_size(self, available: int) -> int:
        """How many of so many real images are used: `num_real`, or all."""
        return self.num_real or available

    def derive(self, real: Mapping[str, Tensor]) -> Arrays:
        """The factor of the covariance."""
        return {"factor": factor(real["covariance"]).numpy()}

    def score(self, features: Tensor, real: Mapping[str, Tensor]) -> dict[str, float]:
        """`{"fid": distance, "fid_rank": rank}` of features [n, F]."""
        distance, rank = frechet_distance(features, real["mean"], real["factor"])
        return {"fid": distance, "fid_rank": float(rank)}
