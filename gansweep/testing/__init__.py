"""What ships for tests, benchmarks and a first look: made-up results, and sweeps on virtual workers (`simulated`).

`gansweep.testing.simulated` is imported by its own name, because it needs the training stack and this package does not.
"""

from gansweep.testing.made_up import (
    ARMS,
    FACTORS,
    SECONDS_PER_STEP,
    THRESHOLDS,
    MadeUpResults,
    made_up_results,
    made_up_table_5,
    sample_grid,
)
from gansweep.testing.made_up_runs import made_up_run

__all__ = [
    "ARMS",
    "FACTORS",
    "SECONDS_PER_STEP",
    "THRESHOLDS",
    "MadeUpResults",
    "made_up_results",
    "made_up_run",
    "made_up_table_5",
    "sample_grid",
]
