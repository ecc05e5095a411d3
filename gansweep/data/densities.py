"""Toy densities in the plane: data whose answer is known, drawn without end or as a fixed set of points.

    ring = GaussianRing()
    ring.open(device).draw(256, stream(device, 0, "data", 17)).x      # float [256, 2]
    ring.log_density(x)                                               # exact, float64 [n]

Each is a data set: `open` gives a `PointSet`, or with `points` a `FixedPointSet`.
"""

from __future__ import annotations

import functools
import math
import re
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gansweep.data.training_set import FixedPointSet, PointSet, Real, TrainingSet
from gansweep.parts import above, at_least, content_id, part
from gansweep.randomness import stream

_BLOCK = 1_000_000  # numbers in one block of exponents: 8 MB


class Modes(NamedTuple):
    """A mixture of round Gaussians: centres float64 [M, d], their one standard deviation, weights float64 [M]."""

    centres: Tensor
    std: float
    weights: Tensor


@part
class Density:
    """What all densities share.

    `points` None draws afresh for every batch. A number fixes so many points once and for all, the same on every
    device; a mixture then gives each component its exact share, in shuffled order.
    """

    points: int | None = None

    def __post_init__(self) -> None:
        if self.points is not None:
            at_least(self, points=1)

    @property
    def name(self) -> str:
        """The class name in lower case, as in `gaussian_ring`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return (2,)

    @property
    def num_classes(self) -> int:
        """How many classes the draws are labelled with; 0: no labels."""
        return 0

    @property
    def modes(self) -> Modes | None:
        """The components, where it is a mixture of Gaussians."""
        return None

    def draw(self, num: int, generator: torch.Generator) -> Real:
        """float32 [num, *shape] and, where there are classes, labels, on the generator's device."""
        slot = torch.randint(self._num_slots(), (num,), generator=generator, device=generator.device)
        return Real(self._around(slot, generator), self._labels(slot))

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """`draw` without labels."""
        return self.draw(num, generator).x

    def log_density(self, x: Tensor) -> Tensor:
        """Natural logarithm of the density at x [n, d], float64 [n]; `ValueError` where there is none."""
        raise NotImplementedError

    def content(self) -> str:
        """Sixteen hex digits that identify the data."""
        return content_id(self, 16)

    def open(self, device: torch.device | str) -> TrainingSet:
        """The training set on that device."""
        if self.points is None:
            return PointSet(self)
        # on the CPU, so that the points do not depend on the device
        generator = stream("cpu", self.name, "points")
        slot = torch.arange(self.points) % self._num_slots()
        slot = slot[torch.randperm(self.points, generator=generator)]
        labels = self._labels(slot)
        x = self._around(slot, generator).to(device)
        return FixedPointSet(x, None if labels is None else labels.to(device), self)

    def _num_slots(self) -> int:
        """How many equally likely components there are."""
        return 1

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        """One point of each component in `slot` [n]."""
        raise NotImplementedError

    def _labels(self, slot: Tensor) -> Tensor | None:
        return None


# Mixtures of Gaussians


@part
class GaussianMixture(Density):
    """Equally wide round Gaussians: what `GaussianRing` and `GaussianGrid` share.

    Lengths are those of the definition; everything is divided by `divisor` in the end. `labelled` makes the mode's
    index the class of a draw.
    """

    std: float
    divisor: float = 1.0
    labelled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, std=0, divisor=0)

    @property
    def num_classes(self) -> int:
        """The number of modes if they are the labels."""
        return self._num_modes() if self.labelled else 0

    @property
    def modes(self) -> Modes:
        """Where the modes are and how much each weighs."""
        count = self._num_modes()
        slots = torch.arange(self._num_slots()) % count
        weights = torch.bincount(slots, minlength=count).double() / self._num_slots()
        centres = self._unscaled_centres(torch.arange(count, dtype=torch.float64)) / self.divisor
        return Modes(centres, self.std / self.divisor, weights)

    def log_density(self, x: Tensor) -> Tensor:
        """Exact."""
        centres, std, weights = self.modes
        return _log_mixture(_planar(self, x), centres, std, weights.log())

    def _num_modes(self) -> int:
        raise NotImplementedError

    def _unscaled_centres(self, mode: Tensor) -> Tensor:
        """Floating-point mode numbers [n] -> [n, 2]; arithmetic only, so that a draw copies nothing to the device."""
        raise NotImplementedError

    def _num_slots(self) -> int:
        return self._num_modes()

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(len(slot), 2, generator=generator, device=slot.device)
        return (self._unscaled_centres((slot % self._num_modes()).float()) + self.std * noise) / self.divisor

    def _labels(self, slot: Tensor) -> Tensor | None:
        return slot % self._num_modes() if self.labelled else None


@part
class GaussianRing(GaussianMixture):
    """`num_modes` Gaussians on a circle.

    The defaults are the 8 Gaussians of Gulrajani et al. 2017, figure 1a, as in the authors' code. The mixture of the
    LSGAN authors' code is `GaussianRing(radius=1.0, std=0.01, divisor=1.0, double_weighted=True)`: its nine angles
    run from 0 to 2 pi inclusive, so that the first mode counts twice (2/9 against 1/9).
    """

    num_modes: int = 8
    radius: float = 2.0
    std: float = 0.02
    divisor: float = 1.414
    double_weighted: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, num_modes=1)
        above(self, radius=0)

    def _num_modes(self) -> int:
        return self.num_modes

    def _num_slots(self) -> int:
        return self.num_modes + self.double_weighted

    def _unscaled_centres(self, mode: Tensor) -> Tensor:
        angle = mode * (2 * math.pi / self.num_modes)
        return self.radius * torch.stack([angle.cos(), angle.sin()], dim=1)


@part
class GaussianGrid(GaussianMixture):
    """`side` x `side` Gaussians, `spacing` apart, about the origin.

    The defaults are the 25 Gaussians of Gulrajani et al. 2017, figure 1a. The authors' code trains on 100,000 fixed
    points, 4,000 of each mode: `points=100_000`.
    """

    side: int = 5
    spacing: float = 2.0
    std: float = 0.05
    divisor: float = 2.828

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, side=1)
        above(self, spacing=0)

    def _num_modes(self) -> int:
        return self.side**2

    def _unscaled_centres(self, mode: Tensor) -> Tensor:
        row, column = torch.div(mode, self.side, rounding_mode="floor"), mode % self.side
        return self.spacing * (torch.stack([row, column], dim=1) - (self.side - 1) / 2)


# Curves with noise


@part
class SwissRoll(Density):
    """The spiral t (cos t, sin t), t ~ U(1.5 pi, 4.5 pi), plus N(0, noise^2), all divided by `divisor`.

    It is columns 0 and 2 of scikit-learn's `make_swiss_roll(noise=0.25)` divided by 7.5, as in the authors' code of
    Gulrajani et al. 2017, figure 1a.
    """

    noise: float = 0.25
    divisor: float = 7.5

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, noise=0, divisor=0)

    def log_density(self, x: Tensor) -> Tensor:
        """The integral over t of the noise's density, by Gauss-Legendre quadrature.

        A panel is at most 4.2 times `noise` long and has 16 nodes: the error in the logarithm is below 1e-11 where the
        data lie. Within 3 of the origin (defaults), where the logarithm falls to -1500, it is below 0.1.
        """
        t, weights = _swiss_roll_nodes(math.ceil(32 / self.noise))
        centres = _spiral(t) / self.divisor
        return _log_mixture(_planar(self, x), centres, self.noise / self.divisor, weights.log())

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        t = 1.5 * math.pi * (1 + 2 * torch.rand(len(slot), generator=generator, device=slot.device))
        noise = torch.randn(len(slot), 2, generator=generator, device=slot.device)
        return (_spiral(t) + self.noise * noise) / self.divisor


def _spiral(t: Tensor) -> Tensor:
    return torch.stack([t * t.cos(), t * t.sin()], dim=1)


@functools.cache
def _swiss_roll_nodes(num_panels: int) -> tuple[Tensor, Tensor]:
    """t float64 [16 * num_panels] and its weights, which sum to 1."""
    nodes, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(16))
    start = torch.arange(num_panels, dtype=torch.float64)[:, None]
    share = (start + (nodes + 1) / 2) / num_panels
    return 1.5 * math.pi * (1 + 2 * share.flatten()), (weights / 2 / num_panels).repeat(num_panels)


@part
class TwoCircles(Density):
    """Two circles about the origin, equally likely, plus N(0, std^2). The class is the circle, the inner one first.

    The data of the toy experiment of Springenberg 2016 ("CatGAN"). The radii and the noise are free choices.
    """

    inner: float = 0.5
    outer: float = 1.0
    std: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, inner=0, std=0)
        above(self, outer=self.inner)

    @property
    def num_classes(self) -> int:
        """The two circles."""
        return 2

    def log_density(self, x: Tensor) -> Tensor:
        """Exact: the noise averaged over the angle is a Bessel function, exp(-(d^2 + r^2) / 2s^2) I0(d r / s^2)."""
        distance = _planar(self, x).norm(dim=1)
        variance = self.std**2
        circles = [
            # i0e(z) = exp(-z) I0(z), which does not overflow
            torch.special.i0e(distance * r / variance).log() - (distance - r).square() / (2 * variance)
            for r in (self.inner, self.outer)
        ]
        return torch.stack(circles).logsumexp(dim=0) - math.log(2 * 2 * math.pi * variance)

    def _num_slots(self) -> int:
        return 2

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        angle = 2 * math.pi * torch.rand(len(slot), generator=generator, device=slot.device)
        radius = self.inner + (self.outer - self.inner) * slot
        noise = torch.randn(len(slot), 2, generator=generator, device=slot.device)
        return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1) + self.std * noise

    def _labels(self, slot: Tensor) -> Tensor | None:
        return slot


# The examples of Arjovsky et al. 2017


@part
class ParallelLines(Density):
    """(theta, Z) with Z ~ U(0, 1): Arjovsky et al. 2017, example 1, where theta = 0 is the data."""

    theta: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.theta):
            raise ValueError(f"ParallelLines.theta = {self.theta!r} must be a finite number")

    def log_density(self, x: Tensor) -> Tensor:
        """`ValueError`: there is none."""
        raise ValueError("ParallelLines has no density in the plane: all its mass lies on one line")

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        height = torch.rand(len(slot), generator=generator, device=slot.device)
        return torch.stack([torch.full_like(height, self.theta), height], dim=1)


@part
class TwoGaussians(Density):
    """Real data N(mean, std^2 I) against N(fake_mean, fake_std^2 I), with the discriminator that is best between them.

    The setting of Arjovsky et al. 2017, figure 2, which gives neither means nor deviations: all four are free
    choices. The means have one or two coordinates, and so have the examples. As a data set it is the real side.
    """

    mean: tuple[float, ...] = (-2.0,)
    std: float = 1.0
    fake_mean: tuple[float, ...] = (2.0,)
    fake_std: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above(self, std=0, fake_std=0)
        for field in ("mean", "fake_mean"):
            value = getattr(self, field)
            if len(value) not in (1, 2) or not all(math.isfinite(number) for number in value):
                raise ValueError(f"TwoGaussians.{field} = {value!r} must be one or two finite numbers")
        if len(self.mean) != len(self.fake_mean):
            raise ValueError(f"TwoGaussians.fake_mean = {self.fake_mean!r} must be as long as mean = {self.mean!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(1,) or (2,)."""
        return (len(self.mean),)

    def sample_fake(self, num: int, generator: torch.Generator) -> Tensor:
        """float32 [num, d] of the fake side, on the generator's device."""
        return _normal(num, self.fake_mean, self.fake_std, generator)

    def log_density(self, x: Tensor) -> Tensor:
        """log p of the real side, exact."""
        return _log_normal(_planar(self, x), self.mean, self.std)

    def log_density_fake(self, x: Tensor) -> Tensor:
        """log q of the fake side at x [n, d], float64 [n], exact."""
        return _log_normal(_planar(self, x), self.fake_mean, self.fake_std)

    def optimal_discriminator(self, x: Tensor) -> Tensor:
        """D*(x) = p / (p + q) in [0, 1] at x [n, d], float64 [n]: Goodfellow et al. 2014, proposition 1."""
        return torch.sigmoid(self.log_density(x) - self.log_density_fake(x))

    def _around(self, slot: Tensor, generator: torch.Generator) -> Tensor:
        return _normal(len(slot), self.mean, self.std, generator)


# Arithmetic


def _normal(num: int, mean: tuple[float, ...], std: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(num, len(mean), generator=generator, device=generator.device)
    return torch.stack([m + std * noise[:, i] for i, m in enumerate(mean)], dim=1)


def _log_normal(x: Tensor, mean: tuple[float, ...], std: float) -> Tensor:
    centre = torch.tensor([mean], dtype=x.dtype)
    return _log_mixture(x, centre, std, torch.zeros(1, dtype=x.dtype))


def _log_mixture(x: Tensor, centres: Tensor, std: float, log_weights: Tensor) -> Tensor:
    """log sum_i w_i N(x; c_i, std^2 I) for x float64 [n, d] and centres float64 [M, d]: float64 [n]."""
    centres, log_weights = centres.to(x.device), log_weights.to(x.device)
    variance = std**2
    # |x - c|^2 = |x|^2 - 2 x c + |c|^2, of which |x|^2 is the same for all centres
    constant = log_weights - centres.square().sum(dim=1) / (2 * variance)
    blocks = [
        torch.addmm(constant, block, centres.T, alpha=1 / variance).logsumexp(dim=1)
        for block in x.split(max(1, _BLOCK // len(centres)))
    ]
    normaliser = centres.shape[1] / 2 * math.log(2 * math.pi * variance)
    return torch.cat(blocks) - x.square().sum(dim=1) / (2 * variance) - normaliser


def _planar(density: Density, x: Tensor) -> Tensor:
    """x in float64; `ValueError` unless it is [n, d]."""
    if x.ndim != 2 or x.shape[1:] != density.shape:
        raise ValueError(f"{type(density).__name__} takes x of shape [n, {density.shape[0]}], not {list(x.shape)}")
    return x.double()
