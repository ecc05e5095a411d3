"""What every data set of images does: find its files, check them, and decode them to uint8 arrays.

Nothing is read when a part is made; `files` finds (or downloads) the files, the first step of all work,
so that missing data are named before anything else happens.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gansweep.data.checksums import Memo
from gansweep.data.readers import Rows, fit_all
from gansweep.parts import at_least, one_of, part

# Of train/test splits and of `limit`. Fixed, so that every study sees the same test images.
SPLIT_SEED = 0


@dataclass(frozen=True)
class Decoded:
    """A decoded data set: images uint8 [N, C, H, W], labels int64 [N] that index `classes`."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]


@part
class ImageSource:
    """What all data sets share.

    Images are cropped to their centred square and resized with antialiasing to `size` x `size` pixels.
    `limit` keeps the first so many training images of a seeded shuffle; the test images stay whole. A set
    without a test split gives a seeded, stratified `held_out` share of its images as test images.
    """

    size: int = 32
    channels: int = 3
    limit: int | None = None
    held_out: ClassVar[float] = 0.1

    def __post_init__(self) -> None:
        at_least(self, size=1)
        one_of(self, "channels", (1, 3))
        if self.limit is not None:
            at_least(self, limit=1)

    @property
    def name(self) -> str:
        """The data set's name, as in `--data NAME`."""
        raise NotImplementedError

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The files to read, downloaded below `downloads` if need be; `ValueError` names what is missing."""
        raise NotImplementedError

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """The training rows and, where the files have them, the test rows."""
        raise NotImplementedError

    def source_id(self, downloads: Path | None = None, memo: Path | None = None) -> str:
        """A hash of the names and contents of `files`, whatever folder they are in.

        `memo` is a JSON file that remembers the SHA-256 of a file by its path, size and time of change.
        """
        paths = self.files(downloads)
        root = Path(os.path.commonpath([path.parent for path in paths]))
        with Memo(memo) as known:
            lines = [f"{path.relative_to(root).as_posix()} {known.sha256(path)}" for path in sorted(paths)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def decode(self, downloads: Path | None = None, into: Path | None = None) -> Decoded:
        """Read and resize everything. With `into`, images are written to .npy memory maps in that folder."""
        train, test = self.rows(self.files(downloads))
        rows = np.arange(len(train.labels))
        test_rows = None
        if test is None:
            rows, test_rows = stratified_split(train.labels, self.held_out)
        if self.limit is not None:
            rows = np.random.default_rng(SPLIT_SEED).permutation(rows)[: self.limit]
        held = train.labels[test_rows] if test_rows is not None else test.labels if test else train.labels[:0]
        if len(rows) == 0 or len(held) == 0:
            raise ValueError(f"{self.name} has {len(rows)} training and {len(held)} test images: too few")
        train_out, test_out = (
            self._allocate(count, split, into) for split, count in (("train", len(rows)), ("test", len(held)))
        )
        self._copy(train, [(rows, train_out)] + ([] if test_rows is None else [(test_rows, test_out)]))
        if test is not None:
            self._copy(test, [(np.arange(len(held)), test_out)])
        classes = self._classes(train, held)
        return Decoded(train_out, train.labels[rows], test_out, held, classes)

    def _allocate(self, count: int, split: str, into: Path | None) -> NDArray[np.uint8]:
        shape = (count, self.channels, self.size, self.size)
        if into is None:
            return np.empty(shape, np.uint8)
        return np.lib.format.open_memmap(into / f"{split}_images.npy", mode="w+", dtype=np.uint8, shape=shape)

    def _copy(self, source: Rows, targets: list[tuple[NDArray[np.int64], NDArray[np.uint8]]]) -> None:
        # One pass over the source: row r goes to place[r] of each target that wants it.
        places = []
        for rows, _ in targets:
            place = np.full(len(source.labels), -1)
            place[rows] = np.arange(len(rows))
            places.append(place)
        start = 0
        for chunk in source.chunks():
            end = start + len(chunk)
            for place, (_, out) in zip(places, targets, strict=True):
                wanted = place[start:end] >= 0
                out[place[start:end][wanted]] = fit_all(chunk[wanted], self.size, self.channels)
            start = end
        if start != len(source.labels):
            raise ValueError(f"{self.name} has {len(source.labels)} labels but {start} images")

    def _classes(self, train: Rows, held: NDArray[np.int64]) -> tuple[str, ...]:
        labels = np.concatenate([train.labels, held])
        if labels.min() < 0:
            raise ValueError(f"{self.name} has the label {labels.min()}")
        names = train.classes or tuple(str(i) for i in range(labels.max() + 1))
        if labels.max() >= len(names):
            raise ValueError(f"{self.name} has label {labels.max()}, but only {len(names)} classes")
        return names


def stratified_split(labels: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (train, test), sorted: `share` (one or more) of each class with two images or more is test."""
    rng = np.random.default_rng(SPLIT_SEED)
    test: list[int] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test.extend(rows[: max(1, round(share * len(rows)))] if len(rows) > 1 else [])
    held = np.zeros(len(labels), bool)
    held[test] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
