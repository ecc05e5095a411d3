"""Distances between distributions: between two sets of points, and between histograms. As metrics, for toy densities.

EarthMover(num_samples=1000)          # exact Wasserstein-1 to as many real points
DensityDivergence(num_samples=10_000) # Jensen-Shannon and others to the exact mass of each bin
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import rel_entr
from torch import Tensor

from gansweep.data.densities import Density
from gansweep.data.opened import OpenData
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, part
from gansweep.randomness import stream

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

Array = NDArray[np.float64]

_FLOORS = 8  # sets of real points whose scores are averaged for the reference
_NODES = (6, 9, 14, 21, 32, 48)  # of the quadrature in a bin, along one side
_TOLERANCE = 1e-6


# Between histograms


def kl_divergence(p: Array, q: Array) -> float:
    """KL(p || q) in nats of probabilities of one shape; infinite where p has mass and q has none."""
    p, q = _probabilities(p, q)
    return float(rel_entr(p, q).sum())


def js_divergence(p: Array, q: Array) -> float:
    """The Jensen-Shannon divergence in nats, 0 to log 2: (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2.

    Arjovsky et al. 2017 leave out the half in the definition but not in the value log 2 of their example.
    """
    p, q = _probabilities(p, q)
    return (kl_divergence(p, (p + q) / 2) + kl_divergence(q, (p + q) / 2)) / 2


def total_variation(p: Array, q: Array) -> float:
    """Half the sum of |p - q|: 0 to 1, the largest difference in the probability of any event."""
    p, q = _probabilities(p, q)
    return float(np.abs(p - q).sum() / 2)


def pearson_chi2(p: Array, q: Array) -> float:
    """The sum of (p - q)^2 / q; infinite where p has mass and q has none."""
    p, q = _probabilities(p, q)
    if (p[q == 0] > 0).any():
        return math.inf
    return float((np.square(p - q)[q > 0] / q[q > 0]).sum())


def least_squares_divergence(p: Array, q: Array) -> float:
    """What LSGAN minimises at (a, b, c) = (-1, 1, 0): the sum of (p - q)^2 / (p + q), 0 to 2.

    Mao et al. 2017, section 3.2: the Pearson divergence between p + q and 2q.
    """
    p, q = _probabilities(p, q)
    return 2 * pearson_chi2(q, (p + q) / 2)


def _probabilities(p: Array, q: Array) -> tuple[Array, Array]:
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if p.shape != q.shape:
        raise ValueError(f"probabilities of shapes {p.shape} and {q.shape} cannot be compared")
    for one in (p, q):
        if not (one >= 0).all() or not math.isclose(one.sum(), 1, abs_tol=1e-6):
            raise ValueError(f"probabilities must be >= 0 and sum to 1, not from {one.min():g} with sum {one.sum():g}")
    return p, q


# Between points


def wasserstein(x: Array, y: Array, p: int = 1, a: Array | None = None, b: Array | None = None) -> float:
    """The exact Wasserstein-p distance (p 1 or 2) of points [n, d] and [m, d] with Euclidean cost.

    Weights `a` [n] and `b` [m] sum to 1; None is equal weights. In more than one dimension POT solves the linear
    program, whose time grows with about the cube of n and whose memory grows with n * m.
    """
    x, y = _points(x, y, p)
    a, b = (np.full(len(z), 1 / len(z)) if w is None else w for z, w in ((x, a), (y, b)))
    for weights, points in ((a, x), (b, y)):
        _probabilities(weights, np.full(len(points), 1 / len(points)))
    import ot  # takes seconds, and few studies need it

    if x.shape[1] == 1:
        cost = ot.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=p)
    else:
        cost, log = ot.emd2(a, b, cdist(x, y) ** p, numItermax=10**8, log=True)
        if log["warning"]:
            raise RuntimeError(f"the exact distance of {len(x)} and {len(y)} points was not found: {log['warning']}")
    return float(cost) ** (1 / p)


def sliced_wasserstein(x: Array, y: Array, p: int = 1, num_projections: int = 200, seed: int = 0) -> float:
    """The Wasserstein-p distance (p 1 or 2) averaged over random directions, as (mean W_p^p)^(1/p): for large n.

    Points are [n, d] and [m, d]. It is at most the exact distance; of two points it is E|cos|^p of theirs: in the plane
    2 / pi of it for p = 1.
    """
    x, y = _points(x, y, p)
    import ot

    return float(ot.sliced_wasserstein_distance(x, y, n_projections=num_projections, p=p, seed=seed))


def _points(x: Array, y: Array, p: int) -> tuple[Array, Array]:
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or 0 in (*x.shape, *y.shape):
        raise ValueError(f"points must be [n, d] and [m, d], not {list(x.shape)} and {list(y.shape)}")
    if p not in (1, 2):
        raise ValueError(f"p = {p!r} must be 1 or 2")
    return x, y


@part
class EarthMover:
    """The earth mover's distance, exact Wasserstein-1, between `num_samples` samples and as many real points.

    The unit is that of the data. The real points are fresh, not those of a finite training set, and the same at every
    evaluation. Finite sets are apart even if both are real: `real_score` is the mean over eight such sets. The time
    grows with about the cube of `num_samples`.
    """

    num_samples: int = 1000
    higher_is_better: ClassVar[bool] = False
    columns: ClassVar[tuple[str, ...]] = ("earth_mover",)

    def __post_init__(self) -> None:
        at_least(self, num_samples=1)

    @property
    def name(self) -> str:
        """`earth_mover`."""
        return "earth_mover"

    def score(self, samples: Tensor, real: Array) -> dict[str, float]:
        """The distance of the first `num_samples` of samples [n, d] to the points real [m, d].

        NaN if one of those samples is not finite. `ValueError` for too few samples or another d.
        """
        points = _first(self, samples)
        return {self.name: wasserstein(points, real) if np.isfinite(points).all() else math.nan}

    def protocol(self, judge_hash: str = "", *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `judge_hash` identifies the density, `weights` the generator's."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "distance": "exact Wasserstein-1, Euclidean cost, to as many fresh real points",
            "density": judge_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no density."""
        _density(self.name, data)

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> None:
        """Nothing to prepare."""

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> Array:
        """The real points, float64 [num_samples, d]."""
        return _real_points(self, data, "judge")

    def reference(self, judge: Array, data: OpenData) -> dict[str, Any]:
        """What other real points get, and the standard deviation over their sets."""
        scores = [wasserstein(_real_points(self, data, i), judge) for i in range(_FLOORS)]
        real = {"real_score": float(np.mean(scores)), "real_score_std": float(np.std(scores))}
        return {"name": data.name, "hash": data.content, **real}

    def measure(self, subject: Subject, judge: Array) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.samples, judge)


# On a grid


class Grid(NamedTuple):
    """The bins of a density: `edges` float64 [bins + 1] along each axis, `held` bool [bins] * d marks those that count.

    `masses` float64 [number held + 1] are their probabilities, and last that of everything else.
    """

    edges: tuple[Array, ...]
    held: NDArray[np.bool_]
    masses: Array


@functools.cache
def density_grid(density: Density, bins: int) -> Grid:
    """`bins` along each axis over the extent of 100,000 real points; those without any such point count as one bin.

    The probability of a bin is the density integrated by Gauss-Legendre quadrature, with more nodes until it changes by
    less than 1e-6. `ValueError` if there is no density, or if the bins are too large for its finest detail.
    """
    points = density.sample(100_000, stream("cpu", "density_grid")).double().numpy()
    counts, edges = np.histogramdd(points, bins=bins)
    held = counts > 0
    corners = np.stack([edge[i] for edge, i in zip(edges, np.nonzero(held), strict=True)], axis=1)
    masses = _masses(density, corners, np.array([edge[1] - edge[0] for edge in edges]))
    # the mass of the bins without a point is about the share of the points that are alone in theirs (Good-Turing)
    missed = (counts == 1).sum() / len(points)
    if masses is None or abs(masses.sum() + missed - 1) > 0.01:
        raise ValueError(f"{bins} bins are too few for {density.name}, whose details are smaller: raise bins")
    return Grid(tuple(edges), held, np.append(masses, max(0.0, 1 - masses.sum())))


def _masses(density: Density, corners: Array, width: Array) -> Array | None:
    """The integrals [n] over boxes with these lower corners [n, d] and this width [d]; None if some do not settle."""
    masses = np.full(len(corners), np.inf)
    unsettled = np.arange(len(corners))
    for num_nodes in _NODES:
        node, weight = np.polynomial.legendre.leggauss(num_nodes)
        nodes = np.array(list(itertools.product((node + 1) / 2, repeat=len(width)))) * width
        weights = np.prod(list(itertools.product(weight / 2, repeat=len(width))), axis=1) * width.prod()
        x = torch.from_numpy(corners[unsettled, None] + nodes)
        new = density.log_density(x.flatten(0, 1)).exp().view(x.shape[:2]).numpy() @ weights
        changed = np.abs(new - masses[unsettled]) > _TOLERANCE
        masses[unsettled] = new
        unsettled = unsettled[changed]
    return masses if len(unsettled) == 0 else None


@part
class DensityDivergence:
    """Divergences between the histogram of `num_samples` samples and the exact probabilities of the bins.

    `bins` along each axis cover the data; what lies off the data is one more bin. Each column is what an objective
    would minimise with the best discriminator:

    - `density_js`, 0 to log 2, in nats: the Jensen-Shannon divergence, of the minimax objective.
    - `density_chi2`, 0 to 2: the Pearson divergence of LSGAN, `least_squares_divergence`.
    - `density_tv`, 0 to 1: the total variation, of energy-based objectives.

    There is no Kullback-Leibler divergence: it is infinite, in one direction as soon as a bin has no sample, in the
    other as soon as a sample lies far from the data. n real samples are above 0 as well: `real_score` is the mean over
    eight sets, about (occupied bins - 1) / 8n for the first column.
    """

    num_samples: int = 10_000
    bins: int = 32
    higher_is_better: ClassVar[bool] = False
    columns: ClassVar[tuple[str, ...]] = ("density_js", "density_chi2", "density_tv")

    def __post_init__(self) -> None:
        at_least(self, num_samples=1, bins=2)

    @property
    def name(self) -> str:
        """`density_js`."""
        return "density_js"

    def score(self, samples: Tensor, grid: Grid) -> dict[str, float]:
        """Every column for the first `num_samples` of samples [n, d]; all are NaN if one of those is not finite.

        `ValueError` for too few samples or another d.
        """
        points = _first(self, samples)
        if not np.isfinite(points).all():
            return dict.fromkeys(self.columns, math.nan)
        return self._divergences(points, grid)

    def _divergences(self, points: Array, grid: Grid) -> dict[str, float]:
        counts, _ = np.histogramdd(points, bins=list(grid.edges))
        inside = counts[grid.held]
        p, q = grid.masses / grid.masses.sum(), np.append(inside, len(points) - inside.sum()) / len(points)
        return {
            "density_js": js_divergence(p, q),
            "density_chi2": least_squares_divergence(p, q),
            "density_tv": total_variation(p, q),
        }

    def protocol(self, judge_hash: str = "", *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `judge_hash` identifies the density, `weights` the generator's."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "bins": self.bins,
            "unit": "nats",
            "divergence": "histogram of the samples against the density integrated over each bin, one bin for the rest",
            "density": judge_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no density, or one that cannot be integrated over these bins."""
        density_grid(_density(self.name, data), self.bins)

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> None:
        """Nothing to prepare."""

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> Grid:
        """The bins and their probabilities."""
        return density_grid(_density(self.name, data), self.bins)

    def reference(self, judge: Grid, data: OpenData) -> dict[str, Any]:
        """What real points get."""
        sets = [self._divergences(_real_points(self, data, i), judge) for i in range(_FLOORS)]
        real = {column: float(np.mean([one[column] for one in sets])) for column in self.columns}
        others = {f"real_{column}": real[column] for column in self.columns if column != self.name}
        return {"name": data.name, "hash": data.content, "real_score": real[self.name], **others}

    def measure(self, subject: Subject, judge: Grid) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.samples, judge)


def _density(name: str, data: OpenData) -> Density:
    if not isinstance(data.part, Density):
        raise ValueError(f"{name} needs a density, as GaussianRing is, and {data.name} is none: use another metric")
    return data.part


def _first(metric: EarthMover | DensityDivergence, samples: Tensor) -> Array:
    if len(samples) < metric.num_samples:
        raise ValueError(f"{metric.name} needs {metric.num_samples} samples and got {len(samples)}")
    points: Array = samples[: metric.num_samples].detach().cpu().double().numpy()
    return points


def _real_points(metric: EarthMover | DensityDivergence, data: OpenData, number: int | str) -> Array:
    density = _density(metric.name, data)
    points: Array = density.sample(metric.num_samples, stream("cpu", metric.name, number)).double().numpy()
    return points
