"""The Inception Score as a metric: how many samples, which classifier, and the protocol that says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gansweep.data.cache import Images, to_uint8
from gansweep.data.opened import OpenData
from gansweep.metrics.classifier import BATCH_SIZE, LoadedClassifier, TrainedClassifier, some_rows
from gansweep.metrics.entropy import inception_score
from gansweep.metrics.inception import Inception2015
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

__all__ = ["InceptionScore", "Sampler", "inception_score", "real_score"]

Sampler = Callable[[int], Iterator[Tensor]]
"""Given a batch size, yields batches of images [n, C, H, W]: uint8, or floats in [-1, 1]."""


@part
class InceptionScore:
    """The Inception Score of `num_samples` images over `num_splits` splits, shuffled with `seed`.

    With a `TrainedClassifier` it is the score of a data set's own classes (at most their number) and cannot
    be compared with published scores; `Inception2015(weights=PATH)` is the published network.
    """

    num_samples: int = 2000
    num_splits: int = 1
    classifier: TrainedClassifier | Inception2015 = TrainedClassifier()
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("inception_score", "inception_score_std")

    def __post_init__(self) -> None:
        at_least(self, num_splits=1, seed=0)
        at_least(self, num_samples=2 * self.num_splits)

    @property
    def name(self) -> str:
        """`inception_score`."""
        return "inception_score"

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no images."""
        if data.images is None:
            raise ValueError(f"{self.name} needs images, and {data.name} has none: use another metric or other data")

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> Path:
        """Train the classifier for the data, or find its weights."""
        assert data.images is not None
        return self.classifier.prepare(data.images, cache, device, say)

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> LoadedClassifier:
        """The classifier that `prepare` returned."""
        assert path is not None
        return self.classifier.load(path, device)

    def reference(self, judge: LoadedClassifier, data: OpenData) -> dict[str, Any]:
        """What is known of the classifier, and the score that real images get from it."""
        assert data.images is not None
        # a set smaller than the protocol's n is scored whole; the number is recorded beside the score
        num_real = min(self.num_samples, len(data.images.train_labels))
        return {
            "name": judge.name,
            "hash": judge.hash,
            "test_accuracy": judge.test_accuracy,
            "num_test": len(data.images.test_labels),
            "real_score": real_score(dataclasses.replace(self, num_samples=num_real), judge, data.images)[self.name],
            "real_images": num_real,
        }

    def measure(self, subject: Subject, judge: LoadedClassifier) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.pixels[: self.num_samples], judge)

    def protocol(self, classifier_hash: str, *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `weights` is `raw` or `ema` (averaged generator).

        Scores with different protocols are different quantities.
        """
        if weights not in ("raw", "ema"):
            raise ValueError(f"weights = {weights!r} must be 'raw' or 'ema'")
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "num_splits": self.num_splits,
            "shuffle_seed": self.seed,
            "classifier": self.classifier.name,
            "classifier_hash": classifier_hash,
            "resize": self.classifier.resize,
            "dtype": "uint8 images, float32 logits, float64 score",
            "generator_mode": "eval",
            "weights": weights,
            "library": self.classifier.library,
        }

    def score(self, samples: Tensor | Sampler, classifier: LoadedClassifier) -> dict[str, float]:
        """`{"inception_score": mean, "inception_score_std": std}` of the first `num_samples` samples.

        `samples` is a tensor of images [N, C, H, W] or a function that yields them in batches: uint8, or
        floats in [-1, 1], which are quantised first. The caller puts the generator into evaluation mode.
        `ValueError` if there are too few samples or if any is not finite. The logits cross to the host once.
        """
        batches = samples(BATCH_SIZE) if callable(samples) else iter(samples.split(BATCH_SIZE))
        mean, std = inception_score(self._logits(batches, classifier).cpu().numpy(), self.num_splits, self.seed)
        # one split has no spread, and 0 would say that the score is exact
        return {self.name: mean} | ({f"{self.name}_std": std} if self.num_splits > 1 else {})

    @torch.inference_mode()
    def _logits(self, batches: Iterator[Tensor], classifier: LoadedClassifier) -> Tensor:
        rows, missing = [], self.num_samples
        finite = torch.ones((), dtype=torch.bool, device=classifier.device)
        for batch in batches:
            images = batch[:missing]
            if images.is_floating_point():
                finite &= images.isfinite().all().to(finite.device)
                images = to_uint8(images)
            rows.append(classifier.logits(images))
            missing -= len(images)
            if missing == 0:
                # A sample that is not finite has no score. Asked on the device, which is waited for once.
                return torch.cat(rows).where(finite, torch.nan)
        raise ValueError(f"{self.name} needs {self.num_samples} samples and got {self.num_samples - missing}")


def real_score(
    metric: InceptionScore, classifier: LoadedClassifier, images: Images, split: str = "train"
) -> dict[str, float]:
    """The score of real images (`split`: `train` or `test`) under the metric's own samples and splits.

    It is what a perfect generator would reach. `ValueError` if the split has fewer images than `num_samples`.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split = {split!r} must be 'train' or 'test'")
    pixels = images.train_images if split == "train" else images.test_images
    rows = some_rows(len(pixels), metric.num_samples, metric.seed)
    return metric.score(torch.from_numpy(pixels[rows]), classifier)
