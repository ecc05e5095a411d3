"""What was prepared on the driver's machine, for a machine that cannot see it: fetched once, kept by its content.

Whatever a data set's or a metric's `prepare` returned is a file or a folder, and all that `load` needs is in it (links
are followed). A node that sees the same files, in a shared home or on the driver's own machine, uses them where they
are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from gansweep.data.checksums import Memo
from gansweep.parts import content_id

CHUNK_BYTES = 16 * 2**20
Read = Callable[[str, int, int], bytes]  # a file of the driver's machine, from where, how many bytes


@dataclass(frozen=True)
class Contents:
    """A file: its size in bytes, its time of change in nanoseconds, and its SHA-256."""

    size: int
    changed: int
    sha256: str


@dataclass(frozen=True)
class Parcel:
    """A file or folder of the driver's machine, with what is in it by its path inside (of a file, ".")."""

    path: str
    files: Mapping[str, Contents]

    @classmethod
    def of(cls, path: Path, memo: Memo) -> Parcel:
        """The parcel of what is at `path`. `memo` knows the checksums of files that have not changed."""
        files: dict[str, Contents] = {}
        for inside, file in _files(path):
            stat = file.stat()
            files[inside] = Contents(stat.st_size, stat.st_mtime_ns, memo.sha256(file))
        return cls(str(path), files)

    @property
    def key(self) -> str:
        """Names the content, wherever it is."""
        return content_id({inside: one.sha256 for inside, one in self.files.items()}, 16)

    def is_here(self) -> bool:
        """Whether this machine sees the very same files: of equal size, and changed at the same nanosecond."""
        for inside, one in self.files.items():
            try:
                stat = self._original(inside).stat()
            except OSError:
                return False
            if (stat.st_size, stat.st_mtime_ns) != (one.size, one.changed):
                return False
        return True

    def local(self, cache: Path, read: Read) -> Path:
        """Where it is on this machine: in its place, or in `cache`, into which the first process here fetches it.

        Raises:
            ValueError: a file is another one now than when the launch began.
        """
        if self.is_here():
            return Path(self.path)
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        entry = cache / self.key
        with FileLock(cache / f".{self.key}.lock"):
            if not entry.exists():
                self._fetch(entry, read)
        return entry / Path(self.path).name

    def _fetch(self, entry: Path, read: Read) -> None:
        partial = entry.with_name(f".{entry.name}.partial-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        top = partial / Path(self.path).name
        try:
            for inside, one in self.files.items():
                file = top / inside
                file.parent.mkdir(parents=True, exist_ok=True)
                digest = hashlib.sha256()
                with open(file, "wb") as into:
                    for offset in range(0, one.size, CHUNK_BYTES):
                        chunk = read(str(self._original(inside)), offset, min(CHUNK_BYTES, one.size - offset))
                        into.write(chunk)
                        digest.update(chunk)
                if digest.hexdigest() != one.sha256:
                    raise ValueError(f"{self._original(inside)} has changed since the launch began")
            partial.rename(entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _original(self, inside: str) -> Path:
        return Path(self.path) / inside


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield ".", path
        return
    for folder, folders, names in os.walk(path, followlinks=True):
        folders.sort()
        for name in sorted(names):
            file = Path(folder) / name
            yield file.relative_to(path).as_posix(), file


def read_file(path: str, offset: int, size: int) -> bytes:
    """So many bytes of a file of this machine."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def node_cache() -> Path:
    """Where this machine keeps what it fetched: `GANSWEEP_NODE_CACHE`, else a folder for temporary files."""
    if given := os.environ.get("GANSWEEP_NODE_CACHE"):
        return Path(given)
    found = Path(tempfile.gettempdir()) / f"gansweep-{os.getuid()}"
    if found.exists() and found.stat().st_uid != os.getuid():
        raise ValueError(f"{found} belongs to another user: set GANSWEEP_NODE_CACHE on this machine")
    return found
