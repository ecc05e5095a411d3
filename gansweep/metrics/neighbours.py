"""Precision, recall, density and coverage: who lies among whose nearest neighbours in feature space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gansweep.metrics.features import Arrays, FeatureMetric
from gansweep.parts import at_least, part

ROWS = 512  # of a distance matrix at a time: it stays in the processor's cache


def _distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of x [n, F] and y [m, F], some rows of x at a time: (which, [rows, m])."""
    y_norms = y.square().sum(dim=1)
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        norms = x[rows].square().sum(dim=1, keepdim=True)
        yield rows, torch.addmm(y_norms, x[rows], y.T, alpha=-2).add_(norms)


def radii(x: Tensor, k: int) -> Tensor:
    """For each of x [n, F] the squared distance to its k-th nearest neighbour among the others: [n]."""
    # a point is its own nearest neighbour
    return torch.cat([squared.topk(k + 1, largest=False).values[:, -1] for _, squared in _distances(x, x)])


def neighbours(fake: Tensor, real: Tensor, real_radii: Tensor, k: int) -> dict[str, float]:
    """The four columns of `PrecisionRecall` for features [n, F] and [m, F]."""
    fake_radii = radii(fake, k)
    precise = torch.zeros((), dtype=torch.int64, device=fake.device)
    inside = torch.zeros_like(precise)
    covered = torch.zeros(len(real), dtype=torch.uint8, device=fake.device)
    recalled = torch.zeros_like(covered)
    for rows, squared in _distances(fake, real):
        in_real = squared <= real_radii
        precise += in_real.any(dim=1).sum()
        inside += in_real.count_nonzero()
        # the largest byte of a column says whether any is true, many times faster than `any`
        covered |= in_real.view(torch.uint8).amax(dim=0)
        recalled |= (squared <= fake_radii[rows, None]).view(torch.uint8).amax(dim=0)
    return {
        "precision": precise.item() / len(fake),
        "recall": recalled.count_nonzero().item() / len(real),
        "density": inside.item() / (k * len(fake)),
        "coverage": covered.count_nonzero().item() / len(real),
    }


@part
class PrecisionRecall(FeatureMetric):
    """How far samples and real images lie within each other's `k` nearest neighbours in feature space.

    An image's ball reaches to its k-th nearest neighbour of its own kind. Higher is better:

    - `precision`, 0 to 1: samples that are in the ball of a real image (Kynkäänniemi et al. 2019).
    - `recall`, 0 to 1: real images that are in the ball of a sample. A few outliers with large balls raise both.
    - `density`, 0 and upwards, 1 on average where both distributions are one: real balls around a sample, over k
      (Naeem et al. 2020, "Reliable fidelity and diversity metrics", equations 4 and 5).
    - `coverage`, 0 to 1: real images with a sample in their ball. It is the score by which generators are ranked.

    All depend on both numbers of images. `num_real` None is as many as there are samples, as is usual.
    """

    k: int = 3
    columns: ClassVar[tuple[str, ...]] = ("precision", "recall", "density", "coverage")
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, k=1)
        super().__post_init__()

    @property
    def name(self) -> str:
        """`coverage`."""
        return "coverage"

    @property
    def fewest(self) -> int:
        """With fewer images none has k neighbours."""
        return self.k + 1

    @property
    def estimator(self) -> dict[str, Any]:
        """What the protocol says of the metric's own parameters."""
        return {"k": self.k, "dtype": "uint8 images, float32 features and distances"}

    def derive(self, real: Mapping[str, Tensor]) -> Arrays:
        """The squared radii of the real images' balls, and the middle of the features."""
        centre = real["features"].mean(dim=0)
        radius = radii(real["features"] - centre, self.k)
        return {"radii": radius.cpu().numpy(), "centre": centre.cpu().numpy()}

    def score(self, features: Tensor, real: Mapping[str, Tensor]) -> dict[str, float]:
        """Every column for features [n, F]."""
        # distances are the same about any point, and lose fewest digits about the middle
        centre = real["centre"]
        return neighbours(features - centre, real["features"] - centre, real["radii"], self.k)
