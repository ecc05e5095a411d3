"""One driver per run: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

LOCK = "driver.lock"
ATTEMPTS = 10


@contextlib.contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold the run's lock; a second driver is a `ValueError`."""
    with open(folder / LOCK, "w") as lock:
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not attempts_left:
                    holder = f"another gansweep launch is running {folder.name} (it holds {lock.name})"
                    raise ValueError(holder) from error
                time.sleep(0.1)  # `status` looks at the lock for a moment
        yield


def is_driven(folder: Path) -> bool:
    """Whether a driver holds the lock of the run in this folder now."""
    if not (folder / LOCK).exists():
        return False
    with open(folder / LOCK) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
