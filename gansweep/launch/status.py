"""`gansweep status`: how far a run is, from its records; and what a launch says when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansweep import records
from gansweep.analysis import tally
from gansweep.launch.lock import is_driven

if TYPE_CHECKING:
    from rich.console import Console

    from gansweep.launch.sweep import Swept

COUNTS = ("planned", "done", "failed", "cancelled", "running", "not_started")


def count(study: str, run: str, uri: str, home: Path) -> dict[str, Any]:
    """The counts of a run as plain JSON, see `analysis.tally`; `driven`: whether a launch of this home runs it now."""
    counted = {"study": study, "run": run, **tally(records.read(uri, run).trials)}
    return {**counted, "driven": is_driven(home.resolve() / "studies" / run)}


def print_counts(counted: dict[str, Any], console: Console) -> None:
    """The counts and the verdicts of each arm for a person."""
    from rich.table import Table

    console.print(counted["run"], style="bold")
    if not counted["driven"] and counted["done"] + counted["failed"] < counted["planned"]:
        console.print("no launch is running it now: the same launch command goes on")
    console.print("  ".join(f"{key.replace('_', ' ')} {counted[key]}" for key in COUNTS), highlight=False)
    table = Table(box=None, header_style="dim")
    for name in ("arm", "verdicts"):
        table.add_column(name)
    for arm, of_arm in counted["arms"].items():
        table.add_row(arm, "  ".join(f"{name} {n}" for name, n in of_arm["verdicts"].items()) or "-")
    console.print(table)


def print_end(swept: Swept, console: Console) -> None:
    """What a launch leaves, for a person: counts that add up, and, where it is not whole, how it goes on."""
    planned, *parts = (f"{key.replace('_', ' ')} {swept.counts[key]}" for key in COUNTS)
    console.print(f"{planned} = {' + '.join(parts)}", highlight=False)
    if swept.unrecorded:
        console.print(
            f"not everything could be recorded ({swept.unrecorded}); nothing is lost: "
            "the same command records the rest",
            style="red",
        )
    elif not swept.complete:
        console.print("stopped before the end; the same command goes on")
