"""A trial's own directory: what is known of it, in files that survive a kill at any moment.

`history.jsonl` (a report per line, appended by the driver), `losses.jsonl` (a line for each worker that was lost on the
way), `attempt` (how many were started), `samples.png` (the last sample grid), `portrait-NAME.npz` (the frames of a
portrait, see `gansweep.portraits`) and `outcome.json`, whose existence says that the trial has ended. Only the driver
reads and writes these; the training state may be elsewhere, see `States`.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_atomically(path: Path, content: bytes, *, keep: bool = True) -> None:
    """Write beside the target and rename, so that a reader sees the old content or the new, never a part.

    Without `keep` that does not hold where the machine loses its power.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            if keep:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _lines(file: Path) -> list[dict[str, Any]]:
    """What was appended to a file. A last line that a kill or a full disk cut short is removed, without a copy."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(file, len(whole))
    found = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{file} is damaged in line {number}: delete the folder {file.parent}, "
                "and the trial is trained again from its start"
            ) from error
    return found


def _append(file: Path, line: dict[str, Any]) -> None:
    """Add a line, which no kill takes back. A machine that loses its power may: what it did not keep is done again."""
    with open(file, "ab") as opened:
        opened.write(json.dumps(line).encode() + b"\n")


def _keep(file: Path) -> None:
    """Have the disk hold what was appended: to wait for it at every line costs more than all else of a report."""
    if file.exists():
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


class TrialDir:
    """The directory of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def history(self) -> list[dict[str, Any]]:
        """Every report in order; the step of one that was cut short will be reported again.

        Raises:
            ValueError: a line is damaged; the message says which, and what to do.
        """
        return _lines(self.path / "history.jsonl")

    def append(self, row: dict[str, Any]) -> None:
        """Add one report."""
        _append(self.path / "history.jsonl", row)

    def losses(self) -> list[dict[str, Any]]:
        """The workers that were lost: kind, step, time_ms and why of each."""
        return _lines(self.path / "losses.jsonl")

    def lose(self, loss: dict[str, Any]) -> None:
        """Add one lost worker."""
        _append(self.path / "losses.jsonl", loss)

    def outcome(self) -> dict[str, Any] | None:
        """How the trial ended; None if it has not. A damaged file is a `ValueError` that says what to do."""
        file = f"{self.path}/outcome.json"
        try:
            with open(file, "rb") as opened:
                return dict(json.loads(opened.read()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{file} is damaged: delete it, and the trial's end is worked out again from its history"
            ) from error

    def show(self, samples: bytes) -> None:
        """Keep the last sample grid, a PNG."""
        write_atomically(self.path / "samples.png", samples, keep=False)

    def portray(self, name: str, step: int, frame: bytes, *, keep: bool) -> None:
        """Put the frame of a portrait, an NPZ file, in the place of the last one; with `keep` after those before it.

        A frame that is there already is replaced: a worker that was lost before its report was kept takes it again.
        """
        path = self.path / f"portrait-{name}.npz"
        arrays = {key: array[None] for key, array in _arrays(frame).items()} | {"step": np.array([step])}
        if keep and path.exists():
            before = _arrays(path.read_bytes())
            earlier = before["step"] < step
            arrays = {key: np.concatenate([before[key][earlier], array]) for key, array in arrays.items()}
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        write_atomically(path, file.getvalue())

    def end(self, outcome: dict[str, Any]) -> None:
        """Record the end, once the disk holds every report."""
        _keep(self.path / "history.jsonl")
        write_atomically(self.path / "outcome.json", json.dumps(outcome, indent=1).encode())

    def begun(self) -> bool:
        """Whether the trial was ever under way."""
        return (self.path / "history.jsonl").exists() or self.attempts() > 0

    def begin(self) -> int:
        """Start an attempt. Returns its number, from 1."""
        self.path.mkdir(parents=True, exist_ok=True)
        number = self.attempts() + 1
        write_atomically(self.path / "attempt", str(number).encode())
        return number

    def attempts(self) -> int:
        """How many attempts were started. A damaged file is a `ValueError` that says what to do."""
        file = self.path / "attempt"
        if not file.exists():
            return 0
        try:
            return int(file.read_text())
        except ValueError as error:
            raise ValueError(
                f"{file} is damaged: delete it while no launch is running, and the attempts are counted anew"
            ) from error


class Outcomes(Mapping[str, dict[str, Any]]):
    """What became of the trials that have ended, by their ids, in the order in which they did.

    It stays in the trials' folders until it is asked for: of ten thousand trials it would be tens of megabytes.
    """

    def __init__(self, trials: Path) -> None:
        self.trials = trials
        self._ended: dict[str, None] = {}

    def add(self, trial: str) -> None:
        """Count a trial whose outcome is in its folder."""
        self._ended[trial] = None

    def __contains__(self, trial: object) -> bool:
        return trial in self._ended

    def __getitem__(self, trial: str) -> dict[str, Any]:
        if trial not in self:
            raise KeyError(trial)
        outcome = TrialDir(self.trials / trial).outcome()
        assert outcome is not None, f"trial {trial} has ended, and its outcome is gone"
        return outcome

    def __iter__(self) -> Iterator[str]:
        return iter(self._ended)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._ended)

    def __len__(self) -> int:
        return len(self._ended)
