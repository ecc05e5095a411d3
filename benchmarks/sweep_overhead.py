"""What the engine costs: a sweep's wall clock against its pure training and evaluation, and recording's share.

python benchmarks/sweep_overhead.py [HOME [RUN [WORKERS]]]

Without arguments it runs four cells of the laptop preset in a new home first (some minutes); with a home it reads a
sweep that was run there without interruption. The wall clock is from the first trial's start to the last one's end,
so it has the start of the workers in it, but not the start of Ray and the classifier's training, which a longer sweep
does not repeat.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gansweep import records

STUDY = Path(__file__).parents[1] / "studies" / "arch_robustness.py"


def main(home: Path, run: str | None, workers: int) -> None:
    uri = records.default_uri(home)
    name = run or records.runs(uri, STUDY.stem)[0]
    trials = records.read(uri, name).trials
    if (trials["attempts"] > 1).any() or (trials["status"] != "done").any():
        raise SystemExit(f"{name} was interrupted, or has failed trials: its wall clock says nothing")
    pure = (trials["train_seconds"] + trials["evaluate_seconds"]).sum()
    wall = (trials["ended_at"].max() - trials["started_at"].min()).total_seconds()
    recording = trials["record_seconds"].sum() / pure
    print(f"{name}: {len(trials)} trials, {workers} workers, wall {wall:.0f} s, pure work {pure:.0f} s")
    print(f"wall / (pure work / workers) = {wall / (pure / workers):.3f} (wanted: at most 1.15)")
    print(f"recording / pure work = {recording:.2%} (wanted: at most 3%)")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    count = int(arguments[2]) if len(arguments) > 2 else os.cpu_count() or 1
    if arguments:
        main(Path(arguments[0]), arguments[1] if len(arguments) > 1 else None, count)
    else:
        with tempfile.TemporaryDirectory() as folder:
            command = ["gansweep", "launch", STUDY, "--draws", "4", "--home", folder, "--no-report"]
            subprocess.run([Path(sys.executable).with_name(str(command[0])), *command[1:]], check=True)
            main(Path(folder), None, count)
