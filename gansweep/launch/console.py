"""What a person sees while a sweep runs: one live table; where the output is no terminal, a line per ended trial."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gansweep.launch.tally import in_a_word

if TYPE_CHECKING:
    from gansweep.launch.driver import Driver

REFRESH_SECONDS = 0.5
SHOWN_RUNNING = 8


class LiveTable:
    """A view of the driver. `show` is cheap: it draws at most twice a second, from what the driver has counted."""

    def __init__(self, console: Console, driver: Driver, title: str, workers: int) -> None:
        self.console, self.driver, self.title, self.workers = console, driver, title, max(1, workers)
        self.drawn, self.told = 0.0, len(driver.outcomes)
        self.behind = False
        self.live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None

    def __enter__(self) -> LiveTable:
        if self.live:
            self.live.__enter__()
        self.show(force=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.show(force=True)
        if self.live:
            self.live.__exit__(None, None, None)

    def show(self, force: bool = False) -> None:
        """Draw, if it is time."""
        if self.live is None:
            self._lines()
        elif force or time.monotonic() - self.drawn > REFRESH_SECONDS:
            self.live.update(self._picture(), refresh=True)
            self.drawn = time.monotonic()

    def _lines(self) -> None:
        """A line for each trial that has ended since the last look: the newest of the outcomes, which are in order.

        And one where the tracking store goes away or comes back.
        """
        if bool(behind := self.driver.recorder.behind) != self.behind:
            self.behind = bool(behind)
            self.console.print(behind or "the tracking store takes records again", highlight=False)
        news = list(itertools.islice(reversed(self.driver.outcomes), len(self.driver.outcomes) - self.told))
        for trial in reversed(news):
            self.told += 1
            outcome, planned = self.driver.outcomes[trial], self.driver.tally.trials[trial]
            score = outcome.get(self._score)
            self.console.print(
                f"{self.told}/{self.driver.plan.num_planned} {planned.cell} {planned.arm} {trial}: "
                f"{outcome['status']} {in_a_word(outcome)}"
                + (f", score {score:.2f}" if score is not None else "")
                + f" at step {outcome['step']}; {self._eta()}",
                highlight=False,
            )

    def _picture(self) -> Group:
        counts = self.driver.counts()
        ended = counts["done"] + counts["failed"]
        head = Text.assemble((self.title, "bold"), f"  {ended} of {counts['planned']} ended · {self._eta()}")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("arm", "planned", "done", "failed", "running", "best score", "verdicts so far"):
            table.add_column(name, justify="left" if name in ("arm", "verdicts so far") else "right")
        running_in = Counter(live.planned.arm for live in self.driver.live.values())
        for arm in self.driver.study.arms:
            table.add_row(*self._row(arm, running_in[arm]))
        running = Table(box=None, pad_edge=False, show_header=False)
        for live in itertools.islice(self.driver.live.values(), SHOWN_RUNNING):
            steps = live.planned.config.steps
            row = live.rows[-1] if live.rows else {}
            score = next((r[m] for r in reversed(live.rows) for m in [self._score] if m in r), None)
            running.add_row(
                f"{live.planned.cell} {live.planned.arm}",
                ProgressBar(total=steps, completed=row.get("step", 0), width=20),
                f"{row.get('step', 0)}/{steps}",
                f"score {score:.2f}" if score is not None else "",
            )
        hint = "Ctrl-C stops cleanly; the same command goes on" if not self.driver.stopping else "stopping ..."
        behind = self.driver.recorder.behind
        return Group(head, table, running, *([Text(behind, style="yellow")] if behind else []), Text(hint, style="dim"))

    @property
    def _score(self) -> str:
        return self.driver.study.metrics[0].name

    def _row(self, name: str, running: int) -> tuple[str, ...]:
        arm = self.driver.tally.arms[name]
        best = f"{arm.best:.2f}" if arm.best is not None else "-"
        numbers = (arm.planned, arm.status["done"], arm.status["failed"], running)
        return name, *map(str, numbers), best, " ".join(f"{name} {n}" for name, n in arm.verdicts.most_common())

    def _eta(self) -> str:
        """A forecast from the seconds per step of each arm so far."""
        under_way = ((live.planned, live.rows[-1] if live.rows else {}) for live in self.driver.live.values())
        left = self.driver.tally.seconds_left(under_way)
        if left is None:
            return "time left unknown yet"
        return f"about {clock(left / self.workers)} left" if left else "no time left"


def clock(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
