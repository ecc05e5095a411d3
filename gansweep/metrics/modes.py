"""How many modes of a mixture of Gaussians a generator covers, and how well."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gansweep.data.densities import Density, Modes
from gansweep.data.opened import OpenData
from gansweep.metrics.subject import Subject
from gansweep.parts import above, at_least, part
from gansweep.randomness import stream

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig


@part
class ModeCoverage:
    """How `num_samples` samples spread over the modes: the toy measure of Srivastava et al. 2017 ("VEEGAN").

    A sample is of high quality if it lies within `within` standard deviations of the nearest centre: of real points
    1 - exp(-within^2 / 2) do in the plane, 98.9% for 3. The columns:

    - `modes_captured`, 0 to M: modes that are nearest to at least one sample of high quality.
    - `high_quality`, 0 to 1: the share of such samples.
    - `reverse_kl`, in nats: KL(h || w) from h, the shares of all samples by nearest mode, to the modes' weights w. 0 is
      balance, log M one of M equal modes. It compares the modes only: samples between them count for the nearest. Of M
      modes, n real samples get (M - 1) / 2n on average.
    """

    num_samples: int = 2500
    within: float = 3.0
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("modes_captured", "high_quality", "reverse_kl")

    def __post_init__(self) -> None:
        at_least(self, num_samples=1)
        above(self, within=0)

    @property
    def name(self) -> str:
        """`modes_captured`."""
        return "modes_captured"

    def score(self, samples: Tensor, density: Density) -> dict[str, float]:
        """Every column for the first `num_samples` of samples [n, d]; all are NaN if one of those is not finite.

        `ValueError` if there are too few samples or if the density is no mixture of Gaussians.
        """
        modes = _modes(density)
        if len(samples) < self.num_samples:
            raise ValueError(f"{self.name} needs {self.num_samples} samples and got {len(samples)}")
        points = samples[: self.num_samples].detach().cpu().double()
        if not points.isfinite().all():
            return dict.fromkeys(self.columns, math.nan)
        distance, nearest = torch.cdist(points, modes.centres, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
        good = distance <= self.within * modes.std
        share = torch.bincount(nearest, minlength=len(modes.centres)).double() / len(points)
        return {
            "modes_captured": float(nearest[good].unique().numel()),
            "high_quality": good.double().mean().item(),
            # xlogy is 0 where a share is 0
            "reverse_kl": (torch.special.xlogy(share, share) - share * modes.weights.log()).sum().item(),
        }

    def protocol(self, judge_hash: str = "", *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `judge_hash` identifies the density, `weights` the generator's."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "within_stds": self.within,
            "divergence": "KL(samples by nearest mode || weights), nats",
            "density": judge_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no mixture of Gaussians."""
        _modes(data.part)

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> None:
        """Nothing to prepare."""

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> Density:
        """The density itself is the judge."""
        assert isinstance(data.part, Density)
        return data.part

    def reference(self, judge: Density, data: OpenData) -> dict[str, Any]:
        """What as many real points get."""
        real = self.score(judge.sample(self.num_samples, stream("cpu", self.name, "reference")), judge)
        others = {f"real_{column}": real[column] for column in self.columns if column != self.name}
        facts = {"name": judge.name, "hash": data.content, "num_modes": len(_modes(judge).centres)}
        return {**facts, "real_score": real[self.name], **others}

    def measure(self, subject: Subject, judge: Density) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.samples, judge)


def _modes(density: Any) -> Modes:
    if not isinstance(density, Density) or (modes := density.modes) is None:
        raise ValueError(
            f"modes_captured needs a mixture, as GaussianRing is, and {type(density).__name__} has no modes"
        )
    return modes
