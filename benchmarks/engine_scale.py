"""What many trials cost the driver, its search and its records, with virtual workers; and a finished study's launch.

python benchmarks/engine_scale.py [--trials 1000 3000 10000] [--workers 100] [--home HOME]
python benchmarks/engine_scale.py --alone --trials 100000 --workers 1000

For each size, each step in a process of its own: `gansweep plan --no-probe`; the whole study on virtual workers, with
every record real; and `gansweep launch --no-report` of the finished study. Memory is what no file stands behind: a
build of torch with CUDA maps hundreds of MB of libraries besides. With a HOME, what was simulated there before is not
simulated again. With --alone, what each tenth of a sweep costs the driver and its search, with every file and without
MLflow, which takes most of the time otherwise.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from gansweep.testing.simulated import Behaviour

STUDY = Path(__file__).with_name("engine_study.py")
GANSWEEP = str(Path(sys.executable).with_name("gansweep"))
WANTED = {"plan": 10.0, "launch": 15.0}  # seconds, for 10,000 trials
BEHAVIOUR = Behaviour(diverge=0.1, crash=0.01, loss=0.002, hang=0.0005, trained=8.0, untrained=0.0)


def own_memory() -> float:
    """Memory of this process that no file stands behind, in MB: without the libraries that it maps."""
    told = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in told if line.startswith(("Anonymous:", "Swap:"))) / 1024


class Memory(threading.Thread):
    """The most that this process needed."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over, self.most = threading.Event(), 0.0

    def run(self) -> None:
        """Look every two seconds."""
        while not self.over.wait(2.0):
            self.most = max(self.most, own_memory())


def measured(command: list[str]) -> tuple[float, float, str]:
    """Seconds, CPU seconds and last line of output of a process."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        output.seek(0)
        lines = output.read().decode().splitlines()
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime, lines[-1] if lines else ""


def alone(home: Path, trials: int, workers: int) -> None:
    """The driver and its search without MLflow: what each tenth of a simulated sweep costs, and the memory it needs."""
    import logging

    from gansweep.selection import Selection
    from gansweep.testing.simulated import run, unrecorded_driver

    logging.disable(logging.ERROR)  # every loss and every crash is a line
    study = Selection(file=str(STUDY), preset="second", draws=trials // 2).study()
    before, cpu_before = own_memory(), time.process_time()
    driver = unrecorded_driver(study, home / f"alone-{trials}")
    print(f"  planned in {time.process_time() - cpu_before:.0f} s of CPU: {own_memory() - before:.0f} MB", flush=True)
    reports = told = shown = 0
    cpu = time.thread_time()

    def show() -> None:
        nonlocal reports, told, shown, cpu
        reports += 1
        if 10 * len(driver.outcomes) >= (shown + 1) * trials:
            shown, now = shown + 1, time.thread_time()
            cost = 1000 * (now - cpu) / (reports - told)
            told, cpu = reports, now
            print(
                f"  {len(driver.outcomes)} trials ended: {cost:.2f} ms for a report, {own_memory():.0f} MB", flush=True
            )

    taken = run(driver, BEHAVIOUR, show, workers=workers)
    driver.close()
    counts = driver.counts()
    assert counts["done"] + counts["failed"] == trials, counts
    files = sum(file.stat().st_size for file in driver.folder.rglob("*") if file.is_file())
    print(
        f"{trials} trials, {taken.reports} reports, {workers} virtual workers, without MLflow: {counts}\n"
        f"  {1000 * taken.driver_cpu_seconds / taken.reports:.2f} ms of CPU for a report, "
        f"{1000 * taken.driver_seconds / taken.reports:.2f} ms by the clock, {taken.driver_seconds:.0f} s in all; "
        f"{taken.virtual_seconds:.0f} virtual seconds\n"
        f"  memory: {own_memory():.0f} MB, of which imports {before:.0f} MB; files: {files / 1e6:.0f} MB",
        flush=True,
    )


def simulated(home: Path, draws: int, workers: int) -> dict[str, float]:
    """One simulated sweep, in this process."""
    import mlflow.tracking  # noqa: F401

    from gansweep.launch.sweep import Settings
    from gansweep.selection import Selection
    from gansweep.testing.simulated import simulate

    selection = Selection(file=str(STUDY), preset="second", draws=draws)
    memory, before, began = Memory(), own_memory(), time.monotonic()
    memory.start()
    swept, told = simulate(selection, Settings(home=home, workers=workers), BEHAVIOUR)
    memory.over.set()
    assert swept.complete
    assert not swept.unrecorded
    return {
        "reports": told.reports,
        "driver_ms": 1000 * told.driver_cpu_seconds / told.reports,
        "taken_ms": 1000 * told.driver_seconds / told.reports,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time(),
        "memory_mb": memory.most,
        "imports_mb": before,
    }


def of_size(home: Path, trials: int, workers: int) -> dict[str, float]:
    """Every measurement of one size."""
    options = [str(STUDY), "--preset", "second", "--draws", str(trials // 2), "--home", str(home)]
    plan_seconds, plan_cpu, _ = measured([GANSWEEP, "plan", *options, "--no-probe"])
    folder = home / "studies" / f"engine-second-draws{trials // 2}"
    told = folder / "measured.json"
    if not told.exists():
        command = [sys.executable, __file__, "--one", str(trials), "--workers", str(workers), "--home", str(home)]
        told.write_text(measured(command)[2])
    # what was simulated may not be taken for trained: this launch is here to read it, so the mark is taken off
    mark = folder / "simulated"
    mark.unlink()
    try:
        launch_seconds, launch_cpu, _ = measured([GANSWEEP, "launch", *options, "--no-report"])
    finally:
        mark.touch()
    again = {"plan_seconds": plan_seconds, "plan_cpu": plan_cpu}
    again |= {"launch_seconds": launch_seconds, "launch_cpu": launch_cpu}
    return {"trials": trials, **json.loads(told.read_text()), **again}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--alone", action="store_true", help="The driver and its search, without MLflow.")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if arguments.one:
        print(json.dumps(simulated(arguments.home, arguments.one // 2, arguments.workers)))
        return
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.home or Path(folder)).resolve()
        for trials in arguments.trials:
            if arguments.alone:
                alone(home, trials, arguments.workers)
                continue
            m = of_size(home, trials, arguments.workers)
            print(
                f"{trials} trials, {m['reports']:.0f} reports, {arguments.workers} virtual workers\n"
                f"  driver: {m['driver_ms']:.2f} ms of CPU for a report, {m['taken_ms']:.2f} ms by the clock\n"
                f"  whole sweep with records: {m['seconds']:.0f} s, {1000 * m['seconds'] / trials:.1f} ms for a trial; "
                f"{1000 * m['cpu_seconds'] / trials:.1f} ms of CPU\n"
                f"  memory: {m['memory_mb']:.0f} MB, of which imports {m['imports_mb']:.0f} MB\n"
                f"  plan: {m['plan_seconds']:.1f} s ({m['plan_cpu']:.1f} s of CPU); "
                f"launch of the finished study: {m['launch_seconds']:.1f} s ({m['launch_cpu']:.1f} s of CPU)",
                flush=True,
            )
            if trials == 10_000:
                for what, limit in WANTED.items():
                    taken = f"{m[f'{what}_seconds']:.1f} s, {m[f'{what}_cpu']:.1f} s of CPU"
                    print(f"  {what} of 10,000 trials: {taken} (wanted: at most {limit:.0f} s)")


if __name__ == "__main__":
    main()
