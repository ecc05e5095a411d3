"""The kernel distance between the features of samples and of real images (KID)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gansweep.metrics.features import Arrays, FeatureMetric
from gansweep.parts import at_least, part

DEGREE = 3


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """(x . y / F + 1)^3 of every pair: [n, F], [m, F] -> [n, m]."""
    return torch.addmm(x.new_ones(1), x, y.T, alpha=1 / x.shape[1]).pow_(DEGREE)


def _within(x: Tensor) -> Tensor:
    """For each row of x [m, F] the sum of the kernel with the other rows: [m]."""
    kernel = _kernel(x, x)
    return kernel.sum(dim=1) - kernel.diagonal()


@part
class KID(FeatureMetric):
    """The kernel distance of features: the unbiased squared MMD of a cubic kernel (Binkowski et al. 2018).

    The mean over `num_subsets` pairs of subsets of `subset_size` samples and as many real images, drawn with `seed`
    without replacement, as torch-fidelity draws them; `kid_std` is the standard deviation over subsets. Lower is
    better. Where both distributions are one it is 0 on average, so it may fall below 0; its mean does not depend on
    the number of samples. `num_real` None is as many as there are samples.
    """

    num_subsets: int = 100
    subset_size: int = 1000
    columns: ClassVar[tuple[str, ...]] = ("kid", "kid_std")
    higher_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, num_subsets=1, subset_size=2)
        for field in ("num_samples", "num_real"):
            num = getattr(self, field)
            if num is not None and num < self.subset_size:
                raise ValueError(f"KID.subset_size = {self.subset_size} must be at most {field} = {num}")

    @property
    def estimator(self) -> dict[str, Any]:
        """What the protocol says of the metric's own parameters."""
        return {
            "num_subsets": self.num_subsets,
            "subset_size": self.subset_size,
            "kernel": f"(x . y / F + 1)^{DEGREE}",
            "estimator": "unbiased",
            "dtype": "uint8 images, float32 features and kernel, float64 sums",
        }

    def derive(self, real: Mapping[str, Tensor]) -> Arrays:
        """The part of every subset's distance that depends on real images alone: [num_subsets]."""
        features = real["features"]
        rows = [_within(features[chosen]) for _, chosen in self._subsets(self.num_samples, len(features))]
        return {"within": _total(rows)}

    def score(self, features: Tensor, real: Mapping[str, Tensor]) -> dict[str, float]:
        """`{"kid": mean, "kid_std": std}` of features [num_samples, F]; one subset has no spread."""
        within, between = [], []
        for mine, theirs in self._subsets(len(features), len(real["features"])):
            x = features[mine]
            within.append(_within(x))
            between.append(_kernel(x, real["features"][theirs]).sum(dim=1))
        m = self.subset_size
        distances = (_total(within) + real["within"].numpy()) / (m * (m - 1)) - 2 * _total(between) / m**2
        spread = {"kid_std": float(distances.std())} if self.num_subsets > 1 else {}
        return {"kid": float(distances.mean())} | spread

    def real_scores(self, features: Tensor, real: Mapping[str, Tensor]) -> dict[str, float]:
        """As `score`, with smaller subsets if there are fewer held-out images than in one."""
        few = min(self.subset_size, len(features))
        fitted = dataclasses.replace(self, num_samples=len(features), subset_size=few)
        within = torch.from_numpy(fitted.derive(real)["within"])
        return fitted.score(features, {**real, "within": within})

    def _subsets(self, num_samples: int, num_real: int) -> Iterator[tuple[Tensor, Tensor]]:
        stream = np.random.RandomState(self.seed)
        for _ in range(self.num_subsets):
            mine, theirs = (stream.choice(n, self.subset_size, replace=False) for n in (num_samples, num_real))
            yield torch.from_numpy(mine), torch.from_numpy(theirs)


def _total(rows: list[Tensor]) -> NDArray[np.float64]:
    # one transfer; the sums of millions of kernel values need double precision
    total: NDArray[np.float64] = torch.stack(rows).cpu().double().sum(dim=1).numpy()
    return total
