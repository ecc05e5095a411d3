"""What the stability record costs: seconds of `Monitor.read` and `examine` over seconds of training, in one run.

    python benchmarks/stability_record.py [--iterations 150]

Every arm of the architecture study (laptop size, its first cell) and of the mixture study is trained; what a trial
records at the study's own intervals is timed inside the same run, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from gansweep.data.opened import open_data, prepare_data
from gansweep.diagnostics import Monitor, examine, real_spread
from gansweep.parts import override
from gansweep.selection import load_study
from gansweep.training import TrainState, sample, train

CPU = torch.device("cpu")


def measured(config: Any, iterations: int, cache: Path) -> tuple[float, float, float]:
    """Seconds of training for each iteration, of one `read` and of one `examine`."""
    data = open_data(config.data, prepare_data(config.data, cache), CPU).training
    config = override(config, {"steps": iterations, "report_every": 10, "evaluate_every": iterations // 10 * 10})
    state = TrainState.build(config, shape=data.shape, num_classes=data.num_classes, device=CPU)
    monitor = Monitor(config, state, layers=False)
    drawn, real = sample(config, state, 500, CPU), real_spread(data, CPU)
    reading = examining = 0.0
    reports, seconds = 0, 0.0
    for step in train(config, state, data, CPU):
        started = time.perf_counter()
        monitor.read()
        between = time.perf_counter()
        examine(config, state, data, drawn, real, CPU)
        reading, examining = reading + between - started, examining + time.perf_counter() - between
        reports, seconds = reports + 1, step.seconds
    return seconds / iterations, reading / reports, examining / reports


def main() -> None:
    """Print one line for each arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=150)
    iterations = parser.parse_args().iterations
    torch.set_num_threads(1)
    print("| trial | ms an iteration | ms a report | ms an evaluation | share of training |\n|---|---|---|---|---|")
    with TemporaryDirectory() as cache:
        for name in ("arch_robustness", "mixture_collapse"):
            study = load_study(Path(__file__).parent.parent / "studies" / f"{name}.py").at("laptop")
            plan = study.plan()
            for planned in plan.trials[: len(study.arms)]:
                config = planned.config
                step, report, evaluation = measured(config, iterations, Path(cache))
                share = (report / config.report_every + evaluation / config.evaluate_every) / step
                numbers = f"{1e3 * step:.1f} | {1e3 * report:.2f} | {1e3 * evaluation:.2f}"
                print(f"| {name} {planned.arm} | {numbers} | {share:.2%} |", flush=True)


if __name__ == "__main__":
    main()
