"""The Inception Score as a metric: how many samples, which classifier, and the protocol that says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from gansweep.data.cache import Images
from gansweep.data.opened import OpenData
from gansweep.metrics.classifier import LoadedClassifier, TrainedClassifier, some_rows
from gansweep.metrics.entropy import Predictions
from gansweep.metrics.inception import Inception2015
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig


@part
class InceptionScore:
    """The Inception Score of `num_samples` images over `num_splits` splits, shuffled with `seed`.

    With a `TrainedClassifier` it is the score of a data set's own classes (at most their number) and cannot
    be compared with published scores; `Inception2015(weights=PATH)` is the published network. The columns:

    - `inception_score`: the mean over the splits; `inception_score_std`: their spread (NaN for one split).
    - `inception_score_low`, `inception_score_high`: between which the score lies, whatever the number of samples; a
      threshold between them is too close to call.
    - `class_share`, in (0, 1]: how many of the data's classes the samples fill, exp(H(p(y))) / K, where the classifier
      was trained on them.
    """

    num_samples: int = 2000
    num_splits: int = 1
    classifier: TrainedClassifier | Inception2015 = TrainedClassifier()
    seed: int = 0
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = (
        "inception_score",
        "inception_score_std",
        "inception_score_low",
        "inception_score_high",
        "class_share",
    )

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
        if (num := len(data.images.train_labels)) < 2 * self.num_splits:
            raise ValueError(
                f"{self.name} with num_splits = {self.num_splits} needs {2 * self.num_splits} training images, "
                f"and {data.name} has {num}"
            )
        self.classifier.check()

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
        """Every column for the first `num_samples` samples, which are finite."""
        return self.of_logits(subject.judged(judge, self.num_samples).logits)

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

    def of_logits(self, logits: Tensor) -> dict[str, float]:
        """Every column for the first `num_samples` of logits [N, K]; `ValueError` if there are fewer."""
        if len(logits) < self.num_samples:
            raise ValueError(f"{self.name} needs {self.num_samples} samples and got {len(logits)}")
        predicted = Predictions.of(logits[: self.num_samples].cpu().numpy())
        mean, std = predicted.score(self.num_splits, self.seed)
        low, high = predicted.interval(mean, self.num_splits)
        found = {self.name: mean, f"{self.name}_low": low, f"{self.name}_high": high}
        if isinstance(self.classifier, TrainedClassifier):  # the 2015 network's classes are not those of the data
            found["class_share"] = predicted.class_share
        # one split has no spread, and 0 would say that the score is exact
        return found | ({f"{self.name}_std": std} if self.num_splits > 1 else {})


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
    return metric.of_logits(classifier.logits(torch.from_numpy(pixels[rows])))
