"""What FID, KID and precision/recall share: a classifier's features of real images, computed once and kept on disk.

`prepare` leaves two entries in the cache. The first holds what the network says of the real images and depends on
pixels and weights only, so metrics share it. The second holds what one metric makes of it, and where the weights are.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from gansweep.data.cache import Images
from gansweep.data.checksums import file_sha256
from gansweep.data.opened import OpenData
from gansweep.metrics.classifier import LoadedClassifier, TrainedClassifier, some_rows
from gansweep.metrics.inception import Inception2015
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, content_id, describe, one_of, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

CODE_VERSION = 1  # raise it when the same images and weights would be kept as other numbers
CHUNK = 2048  # images whose features are in memory at once, where not all are needed
Arrays = dict[str, NDArray[Any]]
_OTHER = {"train": "test", "test": "train"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureJudge:
    """The classifier, what is kept of the real images, and the facts that go on record with the scores."""

    classifier: LoadedClassifier
    real: Mapping[str, Tensor]
    facts: dict[str, Any]


def stack(features: Iterator[Tensor]) -> Arrays:
    """All features, float32 [N, F], from chunks of them."""
    return {"features": torch.cat(list(features)).cpu().numpy()}


@part
class FeatureMetric:
    """A comparison of the features of `num_samples` samples with those of `num_real` images of one `split`.

    Features are what the classifier's last layer sees. `seed` draws the real images where not all are used. What real
    images get is said of the other split, which shares no image with the reference, under the same `num_samples` or as
    many as there are; the record says how many.
    """

    num_samples: int = 2000
    num_real: int | None = None
    split: str = "train"
    classifier: TrainedClassifier | Inception2015 = TrainedClassifier()
    seed: int = 0
    columns: ClassVar[tuple[str, ...]]
    higher_is_better: ClassVar[bool]
    condense: ClassVar[Callable[[Iterator[Tensor]], Arrays]] = staticmethod(stack)

    def __post_init__(self) -> None:
        at_least(self, num_samples=self.fewest, seed=0)
        if self.num_real is not None:
            at_least(self, num_real=self.fewest)
        one_of(self, "split", _OTHER)

    @property
    def name(self) -> str:
        """The column that ranks generators."""
        return self.columns[0]

    @property
    def fewest(self) -> int:
        """With fewer images there is no score."""
        return 2

    @property
    def estimator(self) -> dict[str, Any]:
        """What the protocol says of the metric's own parameters."""
        raise NotImplementedError

    def reference_size(self, available: int) -> int:
        """How many of so many real images are used: `num_real`, or as many as there are samples."""
        return self.num_real or self.num_samples

    def derive(self, real: Mapping[str, Tensor]) -> Arrays:
        """What every evaluation needs of the real images, worked out once."""
        raise NotImplementedError

    def score(self, features: Tensor, real: Mapping[str, Tensor]) -> dict[str, float]:
        """Every column for float32 features [num_samples, F]; `real` has what `condense` and `derive` made."""
        raise NotImplementedError

    def real_scores(self, features: Tensor, real: Mapping[str, Tensor]) -> dict[str, float]:
        """Every column for the features of held-out images, at most `num_samples` of them."""
        return self.score(features, real)

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no images, or too few."""
        if data.images is None:
            raise ValueError(f"{self.name} needs images, and {data.name} has none: use another metric or other data")
        available = len(_pixels(data.images, self.split))
        wanted = max(self.fewest, self.reference_size(available))
        if available < wanted:
            raise ValueError(
                f"{self.name} needs {wanted} {self.split} images, and {data.name} has {available}: "
                f"set {type(self).__name__}.num_real"
            )
        self.classifier.check()
        held_out = len(_pixels(data.images, _OTHER[self.split]))
        if held_out < self.fewest:
            other = _OTHER[self.split]
            raise ValueError(f"{self.name} needs {self.fewest} {other} images, and {data.name} has {held_out}")

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> Path:
        """Find or make the classifier, what is kept of the real images, and what held-out images get.

        Processes that come at the same time do it once. Damaged entries are made again, with a warning.
        """
        images = data.images
        assert images is not None
        weights = self.classifier.prepare(images, cache, device, say)
        classifier = self.classifier.load(weights, device)
        num_real = self.reference_size(len(_pixels(images, self.split)))
        look = partial(_look, cache, classifier, images, self.seed, say)
        entry = look(self.split, num_real, type(self).condense)

        def make() -> tuple[Arrays, dict[str, Any]]:
            real = _on(classifier.device, read_arrays(entry)[0])
            derived = self.derive(real)
            other = _OTHER[self.split]
            held_out, _ = read_arrays(look(other, self.num_samples, stack))
            features = _on(classifier.device, held_out)["features"]
            scores = self.real_scores(features, real | _on(classifier.device, derived))
            got = ", ".join(f"{column} {value:.4g}" for column, value in scores.items())
            say(f"{len(features)} {other} images of {images.name} get {got} against {num_real} {self.split} images")
            facts = {"num_real": num_real, "split": self.split, "real_images": len(features), "real_scores": scores}
            return derived, {"facts": facts, "classifier": str(weights), "real": entry.name}

        key = {"metric": self, "real": entry.name, "classifier": str(weights)}
        made = keep_arrays(cache, f"{self.name}-{images.name}", key, make)
        # with links to the rest, the folder holds all that `load` needs, also for another machine
        for name, target in {"real": entry, "classifier": weights}.items():
            if not (made / name).exists():
                new = made / f".{name}.{os.getpid()}"
                new.symlink_to(os.path.relpath(target, made))
                os.replace(new, made / name)
        return made

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> FeatureJudge:
        """What `prepare` left, on the device; `ValueError` names a damaged entry."""
        assert path is not None
        derived, meta = read_arrays(path)
        known, _ = read_arrays((path / "real").resolve())
        classifier = self.classifier.load((path / "classifier").resolve(), device)
        return FeatureJudge(classifier, _on(classifier.device, known | derived), meta["facts"])

    def reference(self, judge: FeatureJudge, data: OpenData) -> dict[str, Any]:
        """What is known of the classifier and the reference, and what held-out images get from both."""
        assert data.images is not None
        scores = judge.facts["real_scores"]
        others = {f"real_{column}": value for column, value in scores.items() if column != self.name}
        return {
            "name": judge.classifier.name,
            "hash": judge.classifier.hash,
            "test_accuracy": judge.classifier.test_accuracy,
            "num_test": len(data.images.test_labels),
            "num_features": judge.classifier.num_features,
            "split": judge.facts["split"],
            "num_real": judge.facts["num_real"],
            "real_images": judge.facts["real_images"],
            "against": data.images.content,
            "real_score": scores[self.name],
            **others,
        }

    def measure(self, subject: Subject, judge: FeatureJudge) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.judged(judge.classifier, self.num_samples).features, judge.real)

    def protocol(self, classifier_hash: str, *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `weights` is `raw` or `ema` (averaged generator).

        Scores with different protocols are different quantities.
        """
        if weights not in ("raw", "ema"):
            raise ValueError(f"weights = {weights!r} must be 'raw' or 'ema'")
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "num_real": self.num_real or self.num_samples,
            "split": self.split,
            "seed": self.seed,
            **self.estimator,
            "classifier": self.classifier.name,
            "classifier_hash": classifier_hash,
            "features": "input of the classifier's last layer",
            "resize": self.classifier.resize,
            "generator_mode": "eval",
            "weights": weights,
            "library": f"{self.classifier.library}, gansweep features {CODE_VERSION}",
        }


def keep_arrays(cache: Path, name: str, key: Any, make: Callable[[], tuple[Arrays, dict[str, Any]]]) -> Path:
    """The cache entry `name` of that key, with the arrays and facts that `make` gives, unless it is there.

    Processes that come at the same time make it once. A damaged entry is made again, with a warning.
    """
    entry = cache / f"{name}-{content_id({'key': key, 'code': CODE_VERSION})}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{entry.name}.lock"):
        if entry.exists():
            try:
                read_arrays(entry)
                return entry
            except ValueError as error:
                _log.warning("%s; making it again", error)
                shutil.rmtree(entry)
        arrays, facts = make()
        unfinished = entry.with_name(f".{entry.name}.partial-{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            np.savez(unfinished / "arrays.npz", allow_pickle=False, **arrays)
            digest = file_sha256(unfinished / "arrays.npz")
            (unfinished / "meta.json").write_text(json.dumps({**facts, "key": describe(key), "sha256": digest}))
            unfinished.rename(entry)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return entry


def read_arrays(entry: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and facts of an entry that `keep_arrays` returned; `ValueError` names a damaged one."""
    try:
        meta = dict(json.loads((entry / "meta.json").read_text()))
        data = (entry / "arrays.npz").read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{entry} is not a complete entry: delete it and prepare it again") from error
    if hashlib.sha256(data).hexdigest() != meta.get("sha256"):
        raise ValueError(f"{entry / 'arrays.npz'} does not match its checksum: delete {entry} and prepare it again")
    with np.load(io.BytesIO(data)) as arrays:
        return dict(arrays), meta


def _look(
    cache: Path,
    classifier: LoadedClassifier,
    images: Images,
    seed: int,
    say: Callable[[str], None],
    split: str,
    wanted: int,
    condense: Callable[[Iterator[Tensor]], Arrays],
) -> Path:
    """What `condense` makes of the classifier's features of `wanted` images of a split, once for all metrics."""
    pixels = _pixels(images, split)
    rows = some_rows(len(pixels), wanted, seed)

    def looked_at() -> Iterator[Tensor]:
        starts = range(0, len(rows), CHUNK)
        for i, start in enumerate(starts):
            if i % max(1, len(starts) // 10) == 0:
                say(f"features of {images.name}: {start} of {len(rows)} {split} images")
            yield classifier.answers(torch.from_numpy(pixels[rows[start : start + CHUNK]])).features

    def make() -> tuple[Arrays, dict[str, Any]]:
        return condense(looked_at()), {"data": images.name}

    key = {
        "condensed": condense.__name__,
        "data": images.content,
        "classifier": classifier.hash,
        "split": split,
        "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
    }
    return keep_arrays(cache, f"{condense.__name__}-{images.name}", key, make)


def _pixels(images: Images, split: str) -> NDArray[np.uint8]:
    return images.train_images if split == "train" else images.test_images


def _on(device: torch.device, arrays: Arrays) -> dict[str, Tensor]:
    # what is in double precision stays where every machine has it
    return {k: torch.from_numpy(v).to("cpu" if v.dtype == np.float64 else device) for k, v in arrays.items()}
