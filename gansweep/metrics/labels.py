"""Do labels mean what they should: those that a generator was asked for, and those that a discriminator gives?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from gansweep.data.opened import OpenData
from gansweep.metrics.classifier import LoadedClassifier, TrainedClassifier
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, one_of, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig


@part
class RequestedLabelAccuracy:
    """The share of `num_samples` generated images that a classifier gives the class that was asked for.

    A generator that ignores its label reaches 1 / classes; real images reach the classifier's test accuracy.
    """

    num_samples: int = 1000
    classifier: TrainedClassifier = TrainedClassifier()
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("requested_label_accuracy",)

    def __post_init__(self) -> None:
        at_least(self, num_samples=1)

    @property
    def name(self) -> str:
        """`requested_label_accuracy`."""
        return "requested_label_accuracy"

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no images, or if the generator is not asked for a class."""
        _check_images(self.name, data)
        if not config.generator.conditional:
            raise ValueError(f"{self.name} needs a generator that is asked for a class: set generator.condition")

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> Path:
        """Train the classifier for the data, or find its weights."""
        assert data.images is not None
        return self.classifier.prepare(data.images, cache, device, say)

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> LoadedClassifier:
        """The classifier that `prepare` returned."""
        assert path is not None
        return self.classifier.load(path, device)

    def reference(self, judge: LoadedClassifier, data: OpenData) -> dict[str, Any]:
        """What is known of the classifier; on real images the score is its test accuracy."""
        return {
            "name": judge.name,
            "hash": judge.hash,
            "test_accuracy": judge.test_accuracy,
            "real_score": judge.test_accuracy,
        }

    def protocol(self, classifier_hash: str, *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "labels": "every class in turn",
            "classifier": self.classifier.name,
            "classifier_hash": classifier_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def measure(self, subject: Subject, judge: LoadedClassifier) -> dict[str, float]:
        """The share of the first `num_samples` samples."""
        assert subject.labels is not None
        given = subject.judged(judge, self.num_samples).logits.argmax(dim=1)
        return {self.name: (given == subject.labels[: self.num_samples]).double().mean().item()}


@part
class DiscriminatorAccuracy:
    """The share of the test images to which the discriminator itself gives the right class.

    `answer` is what it is asked: its class logits ("classes"; a class "fake" beyond the data's is left out) or its
    first categorical code ("codes"). With `matched` each of its categories stands for the class most frequent in it
    among the training images, as unsupervised models are judged (Springenberg 2016; Chen et al. 2016, section 7.2).
    """

    answer: str = "classes"
    matched: bool = False
    higher_is_better: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...]] = ("discriminator_accuracy",)
    num_samples: ClassVar[int] = 0

    def __post_init__(self) -> None:
        one_of(self, "answer", ("classes", "codes"))

    @property
    def name(self) -> str:
        """`discriminator_accuracy`."""
        return "discriminator_accuracy"

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no images, or if the discriminator has no such answer."""
        _check_images(self.name, data)
        heads = config.loss.heads(data.training.num_classes, config.latent)
        if not (heads.classes if self.answer == "classes" else heads.categorical):
            raise ValueError(
                f"{self.name} of {self.answer} needs an objective that asks for them, and {type(config.loss).__name__} "
                "does not"
            )
        if config.discriminator.conditional:
            raise ValueError(f"{self.name} needs a discriminator that is not told the class")

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> None:
        """Nothing to prepare."""

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> torch.device:
        """The device to judge on."""
        return torch.device(device)

    def reference(self, judge: torch.device, data: OpenData) -> dict[str, Any]:
        """The share of the most frequent class, which needs no discriminator."""
        assert data.images is not None
        counts = np.bincount(data.images.test_labels)
        return {
            "name": "the discriminator",
            "hash": data.content,
            "num_test": int(counts.sum()),
            "real_score": None,
            "chance": float(counts.max() / counts.sum()),
        }

    def protocol(self, classifier_hash: str, *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record."""
        return {
            "metric": self.name,
            "images": "all test images",
            "answer": self.answer,
            "matched": self.matched,
            "data": classifier_hash,
            "discriminator_mode": "eval",
        }

    def measure(self, subject: Subject, judge: torch.device) -> dict[str, float]:
        """The share of all test images."""
        images = subject.data.images
        given = self._categories(subject, images.test_images, judge)
        if self.matched:
            seen = self._categories(subject, images.train_images, judge)
            given = meaning(seen, images.train_labels, 1 + int(max(seen.max(), given.max())))[given]
        return {self.name: float((given == images.test_labels).mean())}

    def _categories(self, subject: Subject, images: NDArray[np.uint8], device: torch.device) -> NDArray[Any]:
        output = subject.answers(torch.from_numpy(images), device)
        if self.answer == "codes":
            return output.codes[0].argmax(dim=1).cpu().numpy()
        assert output.classes is not None
        known = output.classes if self.matched else output.classes[:, : subject.data.training.num_classes]
        return known.argmax(dim=1).cpu().numpy()


def _check_images(name: str, data: OpenData) -> None:
    if data.images is None:
        raise ValueError(f"{name} needs images, and {data.name} has none: use another metric or other data")


def meaning(categories: NDArray[Any], labels: NDArray[Any], num: int) -> NDArray[Any]:
    """For each of `num` categories the class most frequent in it: int64 [num]; -1 for one without an image."""
    table = np.zeros((num, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (categories, labels), 1)
    return np.where(table.sum(axis=1) > 0, table.argmax(axis=1), -1)
