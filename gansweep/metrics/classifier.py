"""The judge of generated images: a part that trains a classifier once and loads it, checksum verified.

    judge = TrainedClassifier()
    path = judge.prepare(images, home / "cache", torch.device("cpu"))    # trained once per data set and seed
    classifier = judge.load(path, device)                                # cheap; every worker does it

A score belongs to the weights that gave it, so the hash of the weights goes into every protocol.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from gansweep.data.cache import Images, to_unit
from gansweep.data.checksums import file_sha256
from gansweep.memory import in_pieces
from gansweep.metrics.entropy import inception_score
from gansweep.metrics.residual import Recipe, ResidualClassifier, computes_bfloat16, train
from gansweep.parts import above, at_least, content_id, describe, one_of, part

CODE_VERSION = 2  # raise it when the same description would train other weights
BATCH_SIZE = 256
_SMALL_SET = 10_000
_log = logging.getLogger(__name__)


class Answers(NamedTuple):
    """What a classifier says of N images: float32 logits [N, K], and the features [N, F] that they are made from."""

    logits: Tensor
    features: Tensor


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier in evaluation mode; `forward` answers for uint8 [n, channels, H, W] on `device`."""

    forward: Callable[[Tensor], Answers]
    name: str
    hash: str
    channels: int
    num_classes: int
    num_features: int
    device: torch.device
    test_accuracy: float | None = None

    @torch.inference_mode()
    def answers(self, images: Tensor, batch_size: int = BATCH_SIZE) -> Answers:
        """Logits and features of uint8 [N, C, H, W] on the classifier's device, whatever `batch_size`.

        Grey images are repeated for a classifier of colour images. `ValueError` unless the images are uint8
        with a fitting number of channels: floats must be quantised first, by the one map of `to_uint8` (trap
        T-24).
        """
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise ValueError(f"{self.name} takes uint8 images [N, C, H, W], not {images.dtype} {tuple(images.shape)}")
        if images.shape[1] not in (1, self.channels):
            raise ValueError(f"{self.name} takes {self.channels} channels, not {images.shape[1]}")
        # TF32, which some GPUs would take for convolutions, has other scores under one protocol
        exact = {"enabled": True, "benchmark": False, "deterministic": False, "allow_tf32": False}
        with torch.backends.cudnn.flags(**exact):
            # with no image there is still one batch, an empty one
            parts = in_pieces(lambda batch: self.forward(self._fitting(batch)), images, size=batch_size)
        return Answers(*(torch.cat(kind).float() for kind in zip(*parts, strict=True)))

    def logits(self, images: Tensor, batch_size: int = BATCH_SIZE) -> Tensor:
        """The logits alone, float32 [N, K]."""
        return self.answers(images, batch_size).logits

    def _fitting(self, batch: Tensor) -> Tensor:
        return batch.to(self.device).expand(-1, self.channels, -1, -1)


@part
class TrainedClassifier:
    """A small residual network trained on the data set itself, where the 2015 Inception network does not fit.

    `epochs` passes over the training images, but at most `max_images` images; batches of `batch_size`,
    smaller for small sets; SGD with Nesterov momentum, one cycle up to `learning_rate`; shifts by a sixteenth
    of the size and, where `mirror` says so (`colour` images by default: mirrored digits and letters are other
    classes), mirror images. `width` None is 16 channels below 10,000 training images and 48 from there on;
    sets of the second kind are trained with bfloat16 convolutions where the CPU has matrix units for them.
    Scores are computed in float32 on every device.
    """

    width: int | None = None
    epochs: int = 10
    max_images: int = 500_000
    batch_size: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    mirror: str = "colour"
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(self, epochs=1, max_images=1, batch_size=2, weight_decay=0, seed=0)
        if self.width is not None:
            at_least(self, width=1)
        above(self, learning_rate=0)
        one_of(self, "mirror", ("colour", "always", "never"))

    def check(self) -> None:
        """Nothing that a data set could lack: it is trained on what there is."""

    @property
    def name(self) -> str:
        """`trained_classifier`."""
        return "trained_classifier"

    @property
    def resize(self) -> str:
        """How images are resized for the network: not at all."""
        return "none"

    @property
    def library(self) -> str:
        """The code that computes the logits."""
        return f"gansweep classifier {CODE_VERSION}"

    def prepare(
        self,
        images: Images,
        cache: Path,
        device: torch.device | str = "cpu",
        report: Callable[[str], None] = _log.info,
    ) -> Path:
        """Train on `images`, unless `cache` holds the result, and return its folder.

        Processes that come at the same time train once. Damaged weights are trained again, with a warning.
        `report` gets a line of progress about ten times.
        """
        key = content_id({"classifier": describe(self), "data": images.content, "code": CODE_VERSION})
        entry = cache / f"classifier-{images.name}-{key}"
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{entry.name}.lock"):
            if entry.exists():
                try:
                    _verified(entry)
                    return entry
                except ValueError as error:
                    _log.warning("%s; training it again", error)
                    shutil.rmtree(entry)
            self._train(images, entry, torch.device(device), report)
        return entry

    def load(self, path: Path, device: torch.device | str = "cpu") -> LoadedClassifier:
        """The classifier in the folder that `prepare` returned; `ValueError` names damaged weights."""
        weights, meta = _verified(path)
        network = _network(meta)
        network.load_state_dict(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True))
        return _loaded(network, meta, torch.device(device))

    def _train(self, images: Images, entry: Path, device: torch.device, report: Callable[[str], None]) -> None:
        start, cpu_start = time.perf_counter(), time.process_time()
        num_images = len(images.train_labels)
        width = self.width or (16 if num_images < _SMALL_SET else 48)
        recipe = self._recipe(images, device)
        shape = {
            "channels": images.channels,
            "classes": len(images.classes),
            "width": width,
            "size": images.size,
        }
        with torch.random.fork_rng(devices=[]):  # the trials' own random streams stay where they are
            torch.manual_seed(self.seed)
            network = _network(shape).to(device)
        train(network, images, recipe, device, report)
        partial = entry.with_name(f".{entry.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            torch.save({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, partial / "weights.pt")
            meta = {**shape, "name": self.name, "sha256": file_sha256(partial / "weights.pt")}
            judged = _judged(_loaded(network, meta, device), images)
            origin = {
                "classifier": describe(self),
                "data": images.name,
                "content": images.content,
                "code": CODE_VERSION,
            }
            made = {
                "seconds": time.perf_counter() - start,
                "cpu_seconds": time.process_time() - cpu_start,
                "trained_in": "bfloat16" if recipe.bfloat16 else "float32",
                "torch": torch.__version__,
            }
            (partial / "meta.json").write_text(json.dumps({**meta, **judged, **origin, **made}, indent=1))
            partial.rename(entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        report(f"classifier for {images.name}: test accuracy {judged['test_accuracy']:.4f}")

    def _recipe(self, images: Images, device: torch.device) -> Recipe:
        return Recipe(
            epochs=self.epochs,
            max_images=self.max_images,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            mirror=self.mirror == "always" or (self.mirror == "colour" and images.channels == 3),
            bfloat16=len(images.train_labels) >= _SMALL_SET and computes_bfloat16(device),
            seed=self.seed,
        )


def _network(shape: dict[str, Any]) -> ResidualClassifier:
    return ResidualClassifier(shape["channels"], shape["classes"], shape["width"], shape["size"])


def _loaded(network: ResidualClassifier, meta: dict[str, Any], device: torch.device) -> LoadedClassifier:
    network = network.to(device).eval().requires_grad_(False)

    def forward(images: Tensor) -> Answers:
        features = network.features(to_unit(images))
        return Answers(network.head(features), features)

    return LoadedClassifier(
        forward=forward,
        name=meta["name"],
        hash=meta["sha256"],
        channels=meta["channels"],
        num_classes=meta["classes"],
        num_features=network.head.in_features,
        device=device,
        test_accuracy=meta.get("test_accuracy"),
    )


def _judged(classifier: LoadedClassifier, images: Images) -> dict[str, Any]:
    # What real data score: all test images, and 2,000 training images as a study would draw them.
    held = classifier.logits(torch.from_numpy(images.test_images)).cpu()
    right = int((held.argmax(1).numpy() == images.test_labels).sum())
    some = some_rows(len(images.train_labels), 2000, seed=0)
    seen = classifier.logits(torch.from_numpy(images.train_images[some])).cpu()
    return {
        "test_accuracy": right / len(held),
        "num_test_images": len(held),
        "test_inception_score": inception_score(held.numpy(), 1)[0] if len(held) > 1 else None,
        "train_inception_score": inception_score(seen.numpy(), 1)[0] if len(seen) > 1 else None,
        "num_train_images_scored": len(seen),
    }


def some_rows(num_images: int, wanted: int, seed: int) -> NDArray[np.int64]:
    """`wanted` different row numbers out of `num_images` (all of them if there are fewer), sorted."""
    rows = np.random.default_rng(seed).permutation(num_images)[:wanted]
    return np.sort(rows)


def read_meta(path: Path) -> dict[str, Any]:
    """What is known of the classifier in a folder that `TrainedClassifier.prepare` returned."""
    try:
        return dict(json.loads((path / "meta.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path / 'meta.json'} is missing or damaged: delete {path} to train again") from error


def _verified(path: Path) -> tuple[bytes, dict[str, Any]]:
    meta = read_meta(path)
    file = path / "weights.pt"
    try:
        weights = file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: delete {path} to train again") from error
    if hashlib.sha256(weights).hexdigest() != meta.get("sha256"):
        raise ValueError(f"{file} does not match its checksum: delete {path} to train again")
    return weights, meta
