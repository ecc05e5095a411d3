"""What a person sees while a sweep runs: one live table; where the output is no terminal, a line per ended trial."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from gansweep.launch.driver import Driver

REFRESH_SECONDS = 0.5


class LiveTable:
    """A view of the driver. `show` is cheap: it draws at most twice a second."""

    def __init__(self, console: Console, driver: Driver, title: str, workers: int) -> None:
        self.console, self.driver, self.title, self.workers = console, driver, title, max(1, workers)
        self.started, self.drawn, self.told = time.monotonic(), 0.0, set(driver.outcomes)
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
        for trial in [trial for trial in self.driver.outcomes if trial not in self.told]:
            self.told.add(trial)
            outcome, planned = self.driver.outcomes[trial], self._planned(trial)
            score = outcome.get(self.driver.study.metrics[0].name)
            counts = self.driver.counts()
            self.console.print(
                f"{counts['done'] + counts['failed']}/{counts['planned']} {planned.cell} {planned.arm} {trial}: "
                f"{outcome['status']} {outcome.get('verdict') or outcome.get('failure')}"
                + (f", score {score:.2f}" if score is not None else "")
                + f" at step {outcome['step']}; {self._eta()}",
                highlight=False,
            )

    def _planned(self, trial: str):  # type: ignore[no-untyped-def]
        return next(planned for planned in self.driver.plan if planned.id == trial)

    def _picture(self) -> Group:
        counts = self.driver.counts()
        ended = counts["done"] + counts["failed"]
        head = Text.assemble((self.title, "bold"), f"  {ended} of {counts['planned']} ended · {self._eta()}")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("arm", "planned", "done", "failed", "running", "best score", "verdicts so far"):
            table.add_column(name, justify="left" if name in ("arm", "verdicts so far") else "right")
        for arm in self.driver.study.arms:
            table.add_row(*self._row(arm))
        running = Table(box=None, pad_edge=False, show_header=False)
        for live in list(self.driver.live.values())[:8]:
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
        return Group(head, table, running, Text(hint, style="dim"))

    @property
    def _score(self) -> str:
        return self.driver.study.metrics[0].name

    def _row(self, arm: str) -> tuple[str, ...]:
        planned = [trial.id for trial in self.driver.plan if trial.arm == arm]
        ended = [self.driver.outcomes[trial] for trial in planned if trial in self.driver.outcomes]
        status = Counter(str(outcome["status"]) for outcome in ended)
        verdicts = Counter(str(outcome.get("verdict") or outcome.get("failure")) for outcome in ended)
        scores = [outcome[self._score] for outcome in ended if outcome.get(self._score) is not None]
        running = sum(live.planned.arm == arm for live in self.driver.live.values())
        best = f"{max(scores):.2f}" if scores else "-"
        numbers = (len(planned), status["done"], status["failed"], running)
        return arm, *map(str, numbers), best, " ".join(f"{name} {n}" for name, n in verdicts.most_common())

    def _eta(self) -> str:
        """A forecast from the seconds per step of each arm so far."""
        spent: dict[str, list[float]] = {}
        for trial in self.driver.plan:
            outcome = self.driver.outcomes.get(trial.id)
            rows = self.driver.live[trial.id].rows if trial.id in self.driver.live else []
            last = rows[-1] if rows else {}
            seconds = (outcome or {}).get("train_seconds") or last.get("seconds")
            step = (outcome or {}).get("step") or last.get("step")
            if seconds and step:
                extra = (outcome or last).get("evaluate_seconds") or 0.0
                spent.setdefault(trial.arm, []).append((seconds + extra) / step)
        left = 0.0
        for trial in self.driver.plan:
            if trial.id not in self.driver.outcomes:
                if trial.arm not in spent:
                    return "time left unknown yet"
                rows = self.driver.live[trial.id].rows if trial.id in self.driver.live else []
                steps = trial.config.steps - (rows[-1]["step"] if rows else 0)
                left += steps * sum(spent[trial.arm]) / len(spent[trial.arm])
        return f"about {clock(left / self.workers)} left" if left else "no time left"


def clock(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
