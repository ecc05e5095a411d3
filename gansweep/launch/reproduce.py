"""Several studies launched one after another, and one page over all of them.

Each launch is a process of its own: one that fails or dies leaves the others alone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gansweep import records
from gansweep.reproduction import Attempt, write
from gansweep.selection import Selection
from gansweep.study import Study

STOPPED = 130  # the exit code of a launch that its user stopped
LAUNCH = [sys.executable, "-c", "from gansweep.cli import main; main()", "launch"]
TOLD = {None: "not launched", 0: "", STOPPED: "stopped by its user; the same command goes on"}


@dataclass(frozen=True)
class Order:
    """How and where the studies run: the options of `gansweep launch`. `uri` is the store they are recorded in."""

    home: Path
    uri: str
    tracking_uri: str | None = None
    workers: int | None = None
    inline: bool = False

    def options(self) -> list[str]:
        """As they are given on a command line."""
        asked = ["--home", str(self.home), *(["--inline"] if self.inline else [])]
        asked += ["--tracking-uri", self.tracking_uri] if self.tracking_uri else []
        return asked + (["--workers", str(self.workers)] if self.workers else [])


def reproduce(selections: Mapping[str, Selection], order: Order) -> tuple[Path, int]:
    """Launch the selected study of each file, all at one preset, and write the page, also after each of them.

    Returns the page and the exit code: 0 if every study ran to its end, 130 after Ctrl-C, else 1. A file or a preset
    that does not exist is a `ValueError` before any work.
    """
    studies = {file: selection.study() for file, selection in selections.items()}
    preset = next(iter(selections.values())).preset
    options = [*(["--preset", preset] if preset else []), *order.options()]
    codes: dict[str, int] = {}
    page = Path()
    for file, code in _launches(list(selections), options):
        codes[file] = code
        told = "done" if code == 0 else f"exit code {code}"
        print(f"{len(codes)} of {len(selections)}: {file}: {told}", flush=True)
        attempts = [_attempt(studies[one], selection, codes.get(one), order) for one, selection in selections.items()]
        page, _ = write(attempts, preset, order.home / "reports")
    if STOPPED in codes.values():
        return page, STOPPED
    return page, int(any(codes.get(file) != 0 for file in selections))


def _attempt(study: Study, selection: Selection, code: int | None, order: Order) -> Attempt:
    """What a launch with this exit code left; None if it was not launched yet."""
    run, report = selection.run_name(study), order.home / "reports"
    recorded = code is not None and _is_there(order.uri) and run in records.runs(order.uri, study.name)
    file = report / f"{run}.html"
    return Attempt(
        study=study.name,
        question=study.question,
        run=run,
        results=records.read(order.uri, run) if recorded else None,
        report=file if recorded and file.is_file() else None,
        wrong=TOLD.get(code, f"its launch ended with exit code {code}"),
    )


def _is_there(uri: str) -> bool:
    """Whether anything can have been recorded: a launch that failed early creates no database."""
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


def _launches(studies: Sequence[str], options: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Launch each study file and yield it with the launch's exit code; after one that was stopped, none.

    Ctrl-C goes to the launch, which saves its state and ends.
    """
    for study in studies:
        with subprocess.Popen([*LAUNCH, study, *options]) as child, _left_to(child):
            code = child.wait()
        yield study, code
        if code in (STOPPED, -signal.SIGTERM):
            return


class _left_to:
    """While a child runs, it alone answers Ctrl-C, which reaches it too; SIGTERM is handed on."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.answers: dict[int, Callable[[int, Any], None]] = {
            signal.SIGINT: lambda number, frame: None,
            signal.SIGTERM: lambda number, frame: child.send_signal(number),
        }

    def __enter__(self) -> None:
        self.before = {number: signal.signal(number, answer) for number, answer in self.answers.items()}

    def __exit__(self, *_: object) -> None:
        for number, answer in self.before.items():
            signal.signal(number, answer)
