"""A trial's own directory: what is known of it, in files that survive a kill at any moment.

`history.jsonl` (a report per line, appended by the driver), `losses.jsonl` (a line for each worker that was lost on the
way), `attempt` (how many were started), `samples.png` (the last sample grid) and `outcome.json`, whose existence says
that the trial has ended. Only the driver reads and writes these; the training state may be elsewhere, see `States`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target and rename, so that a reader sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _lines(file: Path) -> list[dict[str, Any]]:
    """What was appended to a file. A last line that a kill or a full disk cut short is removed, without a copy."""
    if not file.exists():
        return []
    content = file.read_bytes()
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
        file = self.path / "outcome.json"
        if not file.exists():
            return None
        try:
            return dict(json.loads(file.read_bytes()))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{file} is damaged: delete it, and the trial's end is worked out again from its history"
            ) from error

    def show(self, samples: bytes) -> None:
        """Keep the last sample grid, a PNG."""
        write_atomically(self.path / "samples.png", samples)

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
