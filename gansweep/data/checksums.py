"""SHA-256 of files, remembered by path, size and time of change."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Memo:
    """A JSON file of known checksums; `None` remembers nothing. It only saves time: losing it is harmless."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, str] = {}
        self._changed = False

    def __enter__(self) -> Memo:
        if self._path is not None:
            try:
                known = json.loads(self._path.read_text())
            except (OSError, ValueError):
                known = {}
            self._known = known if isinstance(known, dict) else {}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._path is None or not self._changed:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        partial.write_text(json.dumps(self._known))
        partial.replace(self._path)

    def sha256(self, path: Path) -> str:
        """The file's SHA-256, read again only if its size, inode or time of change are new."""
        stat = path.stat()
        key = f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
        if key not in self._known:
            self._known[key] = file_sha256(path)
            self._changed = True
        return self._known[key]
