"""How long the report of 1,000 trials with 50 evaluations each takes.

python benchmarks/report_speed.py
"""

import tempfile
import time
from pathlib import Path

from gansweep.report import write
from gansweep.study import load_study
from gansweep.testing import made_up_results

sections = load_study(Path(__file__).parents[1] / "studies" / "arch_robustness.py").report
results = made_up_results(draws=500, evaluations=50)
with tempfile.TemporaryDirectory() as folder:
    started = time.perf_counter()
    path = write(results, sections, Path(folder) / "report.html")
    spent = time.perf_counter() - started
    size = path.stat().st_size / 1e6
print(f"{len(results.trials)} trials, {len(results.steps)} steps: {spent:.1f} s, {size:.1f} MB (wanted: under 20 s)")
