"""A trial's own directory: what is known of it, in files that survive a kill at any moment.

`history.jsonl` (a report per line, appended by the driver), `attempt` (a token; only its holder may write the state),
`state.pt` (the training state, written by the worker), `samples.png` (the last sample grid) and `outcome.json`, whose
existence says that the trial has ended.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

DIGEST_BYTES = 32


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target and rename, so that a reader sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class TrialDir:
    """The directory of one trial."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def history(self) -> list[dict[str, Any]]:
        """Every report in order. A last line that a kill cut short is removed: its step will be reported again."""
        file = self.path / "history.jsonl"
        if not file.exists():
            return []
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            write_atomically(file, whole)
        return [json.loads(line) for line in whole.splitlines()]

    def append(self, row: dict[str, Any]) -> None:
        """Add one report."""
        with open(self.path / "history.jsonl", "ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def outcome(self) -> dict[str, Any] | None:
        """How the trial ended; None if it has not."""
        file = self.path / "outcome.json"
        return json.loads(file.read_bytes()) if file.exists() else None

    def end(self, outcome: dict[str, Any]) -> None:
        """Record the end and drop the training state."""
        write_atomically(self.path / "outcome.json", json.dumps(outcome, indent=1).encode())
        (self.path / "state.pt").unlink(missing_ok=True)

    def begin(self) -> int:
        """Start an attempt: count it and take the token. Returns its number, from 1."""
        self.path.mkdir(parents=True, exist_ok=True)
        number = self.attempts() + 1
        write_atomically(self.path / "attempt", str(number).encode())
        return number

    def attempts(self) -> int:
        """How many attempts were started."""
        file = self.path / "attempt"
        return int(file.read_text()) if file.exists() else 0

    def save_state(self, state: dict[str, Any], attempt: int) -> bool:
        """Write the training state with its checksum; False if another attempt has taken over."""
        import torch

        if self.attempts() != attempt:
            return False
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        write_atomically(self.path / "state.pt", payload + hashlib.sha256(payload).digest())
        return True

    def load_state(self, device: Any) -> dict[str, Any] | None:
        """The saved training state; None if there is none. A damaged file is a `ValueError` that names it."""
        import torch

        file = self.path / "state.pt"
        if not file.exists():
            return None
        content = file.read_bytes()
        payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if hashlib.sha256(payload).digest() != digest:
            raise ValueError(f"training state {file} is damaged: its checksum does not match")
        return torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
