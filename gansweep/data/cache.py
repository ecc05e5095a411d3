"""Decoded data sets on disk, opened as memory maps.

    path = prepare(Digits(size=16), home / "data")     # once, by whoever comes first
    images = open_images(path)                         # milliseconds, no hashing, nothing copied

An entry is a folder `<name>-<key>` with four .npy files and a `meta.json` that holds their checksums. It
appears under its final name only when complete.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from gansweep.data.checksums import file_sha256
from gansweep.data.image_source import ImageSource
from gansweep.parts import content_id, describe

if TYPE_CHECKING:
    from torch import Tensor

DECODER_VERSION = 1  # raise it when the same files would decode to other pixels, labels or splits
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Images:
    """An open data set: images uint8 [N, C, H, W] as memory maps, labels int64 [N].

    `content` identifies pixels, labels and class names, wherever they came from. The maps are copy-on-write:
    writing to them changes nothing on disk.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    content: str
    size: int
    channels: int


def prepare(dataset: ImageSource, cache: Path, *, verify: bool = True) -> Path:
    """Decode `dataset` into `cache` unless it is there, and return its folder.

    Processes that come at the same time decode once. With `verify` the checksums of an existing entry are
    compared; a damaged one is decoded again, with a warning. `ValueError` names a file that is missing or
    cannot be read.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{dataset.name}.lock"):  # one at a time from the start: files may be downloaded
        source = dataset.source_id(cache / "downloads", cache / "checksums.json")
        entry = cache / f"{dataset.name}-{_key(dataset, source)}"
        if entry.exists():
            problem = _problem(entry, verify)
            if problem is None:
                return entry
            _log.warning("%s is damaged (%s): decoding it again", entry, problem)
            shutil.rmtree(entry)
        _build(dataset, source, cache, entry)
    return entry


def open_images(path: Path) -> Images:
    """Open the folder that `prepare` returned; `ValueError` names it if it is not a complete entry."""
    try:
        meta = json.loads((path / "meta.json").read_text())
        arrays = {name: np.load(path / f"{name}.npy", mmap_mode="c") for name in ARRAYS}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} is not a complete data cache entry: delete it and prepare it again") from error
    _, channels, size, _ = arrays["train_images"].shape
    classes = tuple(meta["classes"])
    return Images(name=meta["name"], **arrays, classes=classes, content=meta["content"], size=size, channels=channels)


def to_unit(images: Tensor) -> Tensor:
    """uint8 [...] in 0..255 -> float32 in [-1, 1]: x / 127.5 - 1, whatever else is in the batch (T-24)."""
    if str(images.dtype) != "torch.uint8":
        raise ValueError(f"to_unit takes uint8 images, not {images.dtype}")
    return images.float().div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """float in [-1, 1] -> uint8: round((x + 1) * 127.5), values outside clamped; the inverse of `to_unit`.

    `ValueError` for whole numbers, which have been quantised already. NaN becomes 0, so that the samples of a
    diverged generator can be shown. A score must look for NaN first, as `InceptionScore.score` does.
    """
    if not images.is_floating_point():
        raise ValueError(f"to_uint8 takes floats in [-1, 1], not {images.dtype}")
    pixels = images.detach().float().add(1.0).mul_(127.5).round_().clamp_(0, 255)
    return pixels.nan_to_num_(nan=0.0).byte()


def _key(dataset: ImageSource, source: str) -> str:
    # The files' contents are in `source`, so the same files in another folder are the same entry.
    return content_id({"dataset": _placeless(describe(dataset)), "source": source, "decoder": DECODER_VERSION})


def _placeless(described: dict[str, Any]) -> dict[str, Any]:
    """Without the paths, also those of a data set inside the data set."""
    return {
        key: _placeless(value) if isinstance(value, dict) else value
        for key, value in described.items()
        if key not in ("path", "folder")
    }


def _problem(entry: Path, verify: bool) -> str | None:
    try:
        meta = json.loads((entry / "meta.json").read_text())
        for name in ARRAYS:
            file = entry / f"{name}.npy"
            if file.stat().st_size != meta["bytes"][name]:
                return f"{file.name} has the wrong length"
            if verify and file_sha256(file) != meta["sha256"][name]:
                return f"{file.name} does not match its checksum"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _build(dataset: ImageSource, source: str, cache: Path, entry: Path) -> None:
    partial = cache / f".{entry.name}.partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        decoded = dataset.decode(cache / "downloads", into=partial)
        for name in ARRAYS:
            array = getattr(decoded, name)
            if isinstance(array, np.memmap):
                array.flush()
            else:
                np.save(partial / f"{name}.npy", array)
        meta = _meta(dataset, source, partial, decoded.classes)
        (partial / "meta.json").write_text(json.dumps(meta, indent=1))
        partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _meta(dataset: ImageSource, source: str, folder: Path, classes: tuple[str, ...]) -> dict[str, Any]:
    sums = {name: file_sha256(folder / f"{name}.npy") for name in ARRAYS}
    identity = json.dumps([[sums[name] for name in ARRAYS], list(classes)])
    return {
        "name": dataset.name,
        "dataset": describe(dataset),
        "classes": list(classes),
        "content": hashlib.sha256(identity.encode()).hexdigest()[:16],
        "source_id": source,
        "shapes": {name: list(np.load(folder / f"{name}.npy", mmap_mode="r").shape) for name in ARRAYS},
        "bytes": {name: (folder / f"{name}.npy").stat().st_size for name in ARRAYS},
        "sha256": sums,
        "decoder_version": DECODER_VERSION,
        "gansweep": version("gansweep"),
    }
