"""Where the driver and its workers meet: the trials' training states, who may write them, and the request to stop.

By default that is the run's own folder. A cluster without a shared home gives another place that every node reaches, a
folder or an object store (`s3://bucket/prefix`, or whatever fsspec has a back end for). Nothing else of the driver's
home is needed to carry out a trial, and nothing that is kept here is needed to know how a trial went: losing it costs
time only.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from gansweep.launch.trial_dir import write_atomically

if TYPE_CHECKING:
    import torch

DIGEST_BYTES = 32
LOOK_EVERY_SECONDS = 5.0  # for the request to stop, where a look is a request to a server
AWAY_SECONDS = 60.0  # until the next look at a server that did not answer, which takes seconds to find out


class StorageAway(OSError):
    """A place on a server does not do what it should."""


class States:
    """The training states of one run's trials, each with a token: an attempt may write while the token is its own.

    `url` is a folder or the URL of one. A state is seen whole or not at all: a folder's file is renamed into place, an
    object store shows an object when it is complete, and a checksum finds what a lesser back end tears.

    Every method but `check` may raise `OSError`; whatever another place than a folder answers is a `StorageAway`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            self.files, self.root = fsspec.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise ValueError(f"storage {url!r} cannot be used: {str(error).splitlines()[0]}") from error
        self.local = isinstance(self.files, LocalFileSystem)
        self._look_at = 0.0  # on the monotonic clock
        self._asked = False

    def check(self) -> None:
        """Raise `ValueError` unless something can be written and read back."""
        try:
            self._write("check", b"gansweep")
            same = self._read("check") == b"gansweep"
            self._remove("check")
        except OSError as error:
            raise ValueError(f"storage {self.url!r} cannot be used: {_line(error)}") from error
        if not same:
            raise ValueError(f"storage {self.url!r} does not give back what was written to it")

    # --- a trial's state

    def take(self, trial: str, attempt: int) -> None:
        """Give the token of a trial to this attempt; an earlier one that still runs can write no more."""
        # where a power cut takes the token, no attempt can write: that is as good
        self._write(f"trials/{trial}/token", str(attempt).encode(), keep=False)

    def save(self, trial: str, state: dict[str, Any], attempt: int) -> bool:
        """Write the state with its checksum; False if another attempt has the token."""
        import torch

        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        if self._read(f"trials/{trial}/token") != str(attempt).encode():
            return False
        self._write(f"trials/{trial}/state.pt", payload + hashlib.sha256(payload).digest())
        return True

    def load(self, trial: str, device: torch.device | str) -> dict[str, Any] | None:
        """The saved state; None if there is none. A damaged one is a `ValueError` that names it."""
        import torch

        content = self._read(name := f"trials/{trial}/state.pt")
        if content is None:
            return None
        payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError(f"training state {self.url}/{name} is damaged: its checksum does not match")
        loaded: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
        return loaded

    def drop(self, trial: str) -> None:
        """Remove the state and the token: no attempt can write any more."""
        self._remove(f"trials/{trial}/token")
        self._remove(f"trials/{trial}/state.pt")

    # --- the request to stop

    def ask_to_stop(self) -> None:
        """Have every worker save its states and stop."""
        self._write("cancel", b"")

    def asked_to_stop(self) -> bool:
        """Whether the driver wants every worker to stop; news may be `LOOK_EVERY_SECONDS` old on a server."""
        if self.local or time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + AWAY_SECONDS  # unless it answers
            self._asked = self._read("cancel") is not None
            self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        return self._asked

    def clear(self) -> None:
        """Take the request to stop back; whoever has seen it stops all the same."""
        self._remove("cancel")

    # --- files

    def _write(self, name: str, content: bytes, *, keep: bool = True) -> None:
        path = f"{self.root}/{name}"
        if self.local:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(Path(path), content, keep=keep)
            return
        with self._named():
            self.files.pipe_file(path, content)

    def _read(self, name: str) -> bytes | None:
        """The content; None if there is no such file. Never from a list of files that may be out of date."""
        try:
            with self._named():
                content: bytes = self.files.cat_file(f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._named():
            self.files.rm_file(f"{self.root}/{name}")

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Back ends raise their own errors, such as botocore's; what is not of this machine becomes one of ours."""
        try:
            yield
        except Exception as error:
            if self.local or isinstance(error, FileNotFoundError):
                raise
            raise StorageAway(f"storage {self.url}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
