"""The executor without Ray: one trial after another in this process, for debugging and tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from gansweep.launch.driver import Driver
from gansweep.launch.worker import Worker, Workplace


def run(driver: Driver, workplace: Workplace, show: Callable[[], None]) -> None:
    """Carry the driver's plan to its end. `show` is called after every report."""
    worker = Worker(workplace)
    while assignment := driver.next():
        with contextlib.closing(worker.run(assignment)) as reports:
            for report in reports:
                stop = driver.take(assignment.trial, report)
                show()
                if stop:
                    break
