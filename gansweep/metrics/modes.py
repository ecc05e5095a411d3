"""How many modes a generator covers, and how well: of a mixture of Gaussians, and of the 1,000 stacked digits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gansweep.data.cache import Images
from gansweep.data.densities import Density, Modes
from gansweep.data.opened import OpenData
from gansweep.data.stacked import STACK, StackedDigits, num_single_classes, single_digits, single_labels
from gansweep.metrics.classifier import LoadedClassifier, TrainedClassifier, some_rows
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
    - `mode_share`, 0 to 1: that number divided by M.
    - `high_quality`, 0 to 1: the share of such samples.
    - `reverse_kl`, in nats: KL(h || w) from h, the shares of all samples by nearest mode, to the modes' weights w. 0 is
      balance, log M one of M equal modes. It compares the modes only: samples between them count for the nearest. Of M
      modes, n real samples get (M - 1) / 2n on average.
    """

    num_samples: int = 2500
    within: float = 3.0
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("modes_captured", "mode_share", "high_quality", "reverse_kl")

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
        captured = nearest[good].unique().numel()
        return {
            "modes_captured": float(captured),
            "mode_share": captured / len(modes.centres),
            "high_quality": good.double().mean().item(),
            "reverse_kl": _kl(share, modes.weights),
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


def _kl(share: Tensor, weights: Tensor) -> float:
    """KL(share || weights) in nats for float64 [M], all weights above 0."""
    # xlogy is 0 where a share is 0
    return (torch.special.xlogy(share, share) - share * weights.log()).sum().item()


def _modes(density: Any) -> Modes:
    if not isinstance(density, Density) or (modes := density.modes) is None:
        raise ValueError(
            f"modes_captured needs a mixture, as GaussianRing is, and {type(density).__name__} has no modes"
        )
    return modes


class StackJudge(NamedTuple):
    """A classifier of one channel, and how often each of the K^3 stacks occurs in the data: float64, sums to 1."""

    classifier: LoadedClassifier
    weights: Tensor


@part
class StackedModes:
    """How `num_samples` generated stacks spread over the classes of `StackedDigits`, by a classifier of one channel.

    The test of Metz et al. 2017 ("Unrolled GANs") and Srivastava et al. 2017 ("VEEGAN"), who take 26,000 samples of the
    1,000 classes. A sample is of high quality if each of its channels gets a class with a probability of `confidence`
    or more. The columns:

    - `stacked_modes`, 0 to 1,000: classes that at least one sample gets, whatever its quality.
    - `stacked_mode_share`, 0 to 1: that number divided by 1,000.
    - `stacked_high_quality`, 0 to 1: the share of samples of high quality.
    - `stacked_reverse_kl`, in nats: KL(h || w) from h, the shares of samples by class, to w, the product of the digits'
      shares in the training set. Of M classes, n real samples get (M - 1) / 2n on average, if n is large.

    Fewer samples than about ten times the classes miss some by chance: `real_score` says how many are found. The
    classifier sees three images for each sample.
    """

    num_samples: int = 26_000
    confidence: float = 0.9
    classifier: TrainedClassifier = TrainedClassifier()
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = (
        "stacked_modes",
        "stacked_mode_share",
        "stacked_high_quality",
        "stacked_reverse_kl",
    )

    def __post_init__(self) -> None:
        at_least(self, num_samples=1, confidence=0, seed=0)
        if self.confidence > 1:
            raise ValueError(f"StackedModes.confidence = {self.confidence!r} must be a number from 0 to 1")

    @property
    def name(self) -> str:
        """`stacked_modes`."""
        return "stacked_modes"

    def score(self, pixels: Tensor, judge: StackJudge) -> dict[str, float]:
        """Every column for the first `num_samples` of uint8 images [n, 3, H, W]; `ValueError` for too few."""
        if len(pixels) < self.num_samples:
            raise ValueError(f"{self.name} needs {self.num_samples} samples and got {len(pixels)}")
        channels = pixels[: self.num_samples].flatten(0, 1).unsqueeze(1)
        said = judge.classifier.logits(channels).softmax(dim=1).max(dim=1)
        digits = said.indices.view(-1, STACK).cpu()
        stacks = digits @ judge.classifier.num_classes ** torch.arange(STACK - 1, -1, -1)
        share = torch.bincount(stacks, minlength=len(judge.weights)).double() / self.num_samples
        found = stacks.unique().numel()
        sure = (said.values.view(-1, STACK) >= self.confidence).all(dim=1)
        return {
            "stacked_modes": float(found),
            "stacked_mode_share": found / len(judge.weights),
            "stacked_high_quality": sure.double().mean().item(),
            "stacked_reverse_kl": _kl(share, judge.weights),
        }

    def protocol(self, classifier_hash: str, *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `weights` is the generator's."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "confidence": self.confidence,
            "divergence": "KL(samples by class || product of the digits' shares), nats",
            "classifier": f"{self.classifier.name}, one channel",
            "classifier_hash": classifier_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no stacks, or if a digit does not occur in them."""
        if not isinstance(data.part, StackedDigits):
            raise ValueError(f"{self.name} needs StackedDigits, and {data.name} is another data set")
        assert data.images is not None
        if not _stack_weights(data.images).all():
            raise ValueError(f"{self.name} needs every digit in {data.name}: raise num_images")

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> Path:
        """Train the classifier of one channel, or find its weights."""
        assert data.images is not None
        return self.classifier.prepare(single_digits(data.images), cache, device, say)

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> StackJudge:
        """The classifier that `prepare` returned, and the shares of the stacks."""
        assert path is not None
        assert data.images is not None
        return StackJudge(self.classifier.load(path, device), _stack_weights(data.images))

    def reference(self, judge: StackJudge, data: OpenData) -> dict[str, Any]:
        """What is known of the classifier, and what as many training images get, or all if there are fewer."""
        assert data.images is not None
        rows = some_rows(len(data.images.train_labels), self.num_samples, self.seed)
        pixels = torch.from_numpy(data.images.train_images[rows])
        real = dataclasses.replace(self, num_samples=len(rows)).score(pixels, judge)
        return {
            "name": judge.classifier.name,
            "hash": judge.classifier.hash,
            "test_accuracy": judge.classifier.test_accuracy,
            "num_modes": len(judge.weights),
            "real_images": len(rows),
            "real_score": real[self.name],
            **{f"real_{column}": real[column] for column in self.columns if column != self.name},
        }

    def measure(self, subject: Subject, judge: StackJudge) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.pixels, judge)


def _stack_weights(images: Images) -> Tensor:
    """The probability of each stack whose channels are drawn like the digits of these images: float64 [K^3]."""
    num_classes = num_single_classes(images)
    counts = np.bincount(single_labels(images.train_labels, num_classes).ravel(), minlength=num_classes)
    share = torch.from_numpy(counts / counts.sum())
    return torch.einsum("i,j,k->ijk", share, share, share).flatten()
