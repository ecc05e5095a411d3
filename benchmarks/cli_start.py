"""How long `gansweep --help` takes, beside a bare Python. Ratio of medians in one run.

python benchmarks/cli_start.py
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

GANSWEEP = str(Path(sys.executable).with_name("gansweep"))
RUNS = 7


def seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


pairs = [(seconds(GANSWEEP, "--help"), seconds(sys.executable, "-c", "pass")) for _ in range(RUNS)]
ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
print(f"gansweep --help {ours:.3f} s, python {bare:.3f} s, ratio {ours / bare:.1f} (wanted: under 0.5 s)")
