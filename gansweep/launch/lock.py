"""One driver per run: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

LOCK = "driver.lock"


@contextlib.contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold the run's lock; a second driver is a `ValueError`."""
    with open(folder / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another gansweep launch is running {folder.name} (it holds {lock.name})") from error
        yield


def is_driven(folder: Path) -> bool:
    """Whether a driver holds the lock of the run in this folder now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with only_driver(folder):
            return False
    except ValueError:
        return True
