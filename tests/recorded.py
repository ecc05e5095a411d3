"""A run of the ring study as a launch records it, trial by trial; nothing is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gansweep.launch.card import design_card
from gansweep.launch.trial_dir import TrialDir
from gansweep.recorder import Recorder
from gansweep.selection import Selection
from tests.test_launch import RING

RUN = "ring-smoke"


class Launch:
    """What a launch tells the recorder."""

    def __init__(self, uri: str, home: Path, **card: Any) -> None:
        selection = Selection(file=RING, preset="smoke")
        self.card = design_card(selection.study().plan(), selection, RUN, [], {}) | {"launch_id": "one"} | card
        self.home, self.recorder = home, Recorder(uri, home, self.card)

    def begin(self, number: int) -> str:
        """Start the trial of that number, which reports once; its id."""
        planned = self.card["trials"][number]
        folder = TrialDir(self.home / "trials" / planned["trial"])
        folder.begin()
        folder.append({"step": 20, "images_seen": 320, "seconds": 1.0, "time_ms": 1_700_000_000_000, "penalty": 0.5})
        folder.show(b"\x89PNG made up")
        self.recorder.start(planned, dict, folder.path, 1_700_000_000_000)
        return str(planned["trial"])

    def end(self, number: int) -> None:
        """End it, trained."""
        trial = self.card["trials"][number]["trial"]
        ended = {"status": "done", "verdict": "trained", "decision": "completed", "modes_captured": 8.0}
        ended |= {"step": 20, "started_at": 1_700_000_000_000, "ended_at": 1_700_000_001_000}
        TrialDir(self.home / "trials" / trial).end(ended)
        self.recorder.end(trial)
