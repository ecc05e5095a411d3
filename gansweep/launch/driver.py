"""The one owner of a sweep: hands out trials, takes reports, decides, and writes every record.

Executors are thin: they ask `next`, pass on what workers say to `take`, and say `lost` when a worker died. Everything
that must survive is in the trials' directories before it is anywhere else, so a new driver goes on where this one was
killed.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gansweep import trajectory
from gansweep.launch.trial_dir import TrialDir
from gansweep.launch.worker import Assignment, Report
from gansweep.randomness import derive_seed
from gansweep.recorder import Recorder
from gansweep.search import Search, ending
from gansweep.stability import Decision, Diverged, Finding, Status, Stream, Verdict, events, first_finding
from gansweep.study import Plan, PlannedTrial

log = logging.getLogger(__name__)
MAX_LOSSES = 3  # of one trial without a new report in between
MAX_STILLBORN = 3  # attempts in a row that ended before their first new report, by the same error
MAX_LOSSES_IN_A_ROW = 8  # of all trials together, without a new report in between
MAX_EVENTS = 20  # of a trial, on record: the first and the last


class Live:
    """A trial that is under way."""

    def __init__(self, planned: PlannedTrial, directory: TrialDir) -> None:
        self.planned, self.directory = planned, directory
        self.rows = directory.history()
        self.audit: dict[str, Any] = {}
        self.started_ms = self.rows[0]["time_ms"] if self.rows else _now_ms()

    @property
    def facts(self) -> dict[str, Any]:
        """What the first report says beside its numbers: device and fingerprints."""
        return self.rows[0]["facts"] if self.rows else {}

    @property
    def last_step(self) -> int:
        return self.rows[-1]["step"] if self.rows else 0


class Driver:
    """Runs a plan to its end, one decision at a time. Single-threaded."""

    def __init__(
        self, plan: Plan, folder: Path, search: Search, recorder: Recorder, protocols: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.plan, self.study, self.folder = plan, plan.study, folder
        self.search, self.recorder, self.protocols = search, recorder, protocols
        # a run that is not finite is over whatever the study asks for
        self.rules = (Diverged(), *(rule for rule in self.study.rules if not isinstance(rule, Diverged)))
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.live: dict[str, Live] = {}
        self.interrupted: dict[str, Live] = {}
        self.waiting: deque[PlannedTrial] = deque()
        self.losses: Counter[str] = Counter()
        self.losses_in_a_row = 0
        self.stillborn: dict[str, tuple[str, str]] = {}
        self.recorded_at_start: dict[str, int] = {}
        self.broken = ""
        self.stopping = False
        self.ended_before = 0
        self._reconcile()

    # --- what executors call

    def next(self) -> Assignment | None:
        """The next attempt to make; None if nothing can start now."""
        if self.stopping or not self.waiting:
            return None
        planned = self.waiting.popleft()
        known = planned.id in self.interrupted
        live = self.live[planned.id] = self.interrupted.pop(planned.id) if known else self._begin(planned)
        self.recorded_at_start[planned.id] = live.last_step
        return Assignment(
            trial=planned.id,
            arm=planned.arm,
            factors=dict(planned.factors),
            seed=planned.config.seed,
            attempt=live.directory.begin(),
            recorded_step=live.last_step,
        )

    @property
    def finished(self) -> bool:
        """Whether nothing is under way and nothing will start."""
        return not self.live and (self.stopping or not self.waiting)

    def take(self, trial: str, report: Report) -> bool:
        """Take a worker's report. True if the trial shall stop."""
        live = self.live[trial]
        if report.failure is not None:
            self._failed(live, report.failure, report.error or "")
            return True
        if report.cancelled:
            self.interrupted[trial] = self.live.pop(trial)
            return True
        if report.note:
            log.warning("trial %s: %s", trial, report.note)
        assert report.row is not None
        if report.row["step"] > live.last_step:
            self._progressed(trial)
            row = report.row if live.rows else {**report.row, "facts": report.facts}
            live.rows.append(row)
            live.directory.append(row)
            samples = (live.directory.path / "samples.png").read_bytes() if report.samples else None
            self.recorder.report(trial, row, samples)
            self.search.report(trial, row)
        return self._decide(live, over=report.over)

    def lost(self, trial: str, why: str) -> None:
        """The worker of a trial died: another attempt, until there were too many without progress.

        If trials keep losing their workers and none reports, it is the machine: the sweep stops, and nothing is judged.
        """
        live = self.live[trial]
        log.warning("trial %s lost its worker: %s", trial, why)
        self.losses[trial] += 1
        self.losses_in_a_row += 1
        if self.losses[trial] > MAX_LOSSES and self.losses_in_a_row < MAX_LOSSES_IN_A_ROW and not self.stopping:
            self._end(live, {"status": Status.FAILED, "failure": "lost", "error": why[-2000:]})
            return
        self.interrupted[trial] = self.live.pop(trial)
        if self.losses_in_a_row >= MAX_LOSSES_IN_A_ROW:
            self._break(f"{self.losses_in_a_row} workers in a row died without a report; the last: {why}")
        self.waiting.appendleft(live.planned)

    def close(self) -> None:
        """Nothing more will be reported: what was interrupted is recorded so."""
        if not self.stopping:
            self._end_stillborn()
        for live in self.interrupted.values():
            self._record_cancelled(live)

    def stop(self) -> None:
        """Start nothing more, and have every worker save its state at its next report."""
        self.stopping = True
        (self.folder / "cancel").touch()

    def counts(self) -> dict[str, int]:
        """How many trials are planned, done, failed, cancelled, running and not started; they add up."""
        states = Counter(str(outcome["status"]) for outcome in self.outcomes.values())
        counts = {name: states[name] for name in ("done", "failed")}
        stopped = len(self.interrupted) if self.stopping else 0
        counts |= {"cancelled": stopped, "running": len(self.live)}
        return {"planned": len(self.plan), **counts, "not_started": len(self.plan) - sum(counts.values())}

    # --- how a trial goes on

    def _reconcile(self) -> None:
        """Bring the records to what the trial directories say, then queue what has not ended."""
        (self.folder / "cancel").unlink(missing_ok=True)
        under_way: list[PlannedTrial] = []
        fresh: list[PlannedTrial] = []
        for planned in self.plan:
            directory = TrialDir(self.folder / "trials" / planned.id)
            if outcome := directory.outcome():
                self.outcomes[planned.id] = outcome
                self.ended_before += 1
                if not self.recorder.has_end(planned.id) or planned.id in self.search.running:
                    self._record_end(self._begin(planned), outcome)
            elif directory.attempts():
                live = self.live[planned.id] = self._begin(planned)
                over = bool(live.rows) and self._is_over(live)
                if not (live.rows and self._decide(live, over=over)):
                    self.interrupted[planned.id] = self.live.pop(planned.id)
                    under_way.append(planned)
            else:
                fresh.append(planned)
        self.waiting.extend([*under_way, *fresh])

    def _begin(self, planned: PlannedTrial) -> Live:
        """A trial's live form, with everything it has reported so far in every record."""
        live = Live(planned, TrialDir(self.folder / "trials" / planned.id))
        shown = {"trial": planned.id, "cell": planned.cell, "arm": planned.arm, "position": planned.position}
        self.recorder.start({**shown, "seed": planned.config.seed}, planned.config.flat(), live.started_ms)
        self.search.start(planned.id, {**planned.factors, "arm": planned.arm}, self.study.space, list(self.study.arms))
        grid = live.directory.path / "samples.png"
        samples = grid.read_bytes() if live.rows and grid.exists() else None
        for number, row in enumerate(live.rows, start=1):
            self.recorder.report(planned.id, row, samples if number == len(live.rows) else None)
            self.search.report(planned.id, row)
            finding = None if live.audit else first_finding(self.rules, Stream(live.rows[:number]), ended=False)
            if finding and number < len(live.rows):
                live.audit = {"decision_rule": finding.rule, "decision_step": row["step"]}
        return live

    def _progressed(self, trial: str) -> None:
        """A new report: the machinery works, so trials that failed at once have failed by themselves."""
        self.losses.pop(trial, None)
        self.losses_in_a_row = 0
        if not self.stopping:
            self._end_stillborn()

    def _failed(self, live: Live, failure: str, error: str) -> None:
        """The code failed. Attempts that report nothing new wait for another trial that gets further.

        If several in a row end in the same error, it is not theirs: the sweep stops, and they are tried again next
        time.
        """
        trial = live.planned.id
        log.error("trial %s failed (%s): %s", trial, failure, error)
        if live.last_step > self.recorded_at_start[trial]:
            self._end(live, {"status": Status.FAILED, "failure": failure, "error": error})
            return
        self.interrupted[trial] = self.live.pop(trial)
        self.stillborn[trial] = (failure, error)
        last = [_kind(text) for _, text in self.stillborn.values()][-MAX_STILLBORN:]
        if len(last) == MAX_STILLBORN and len(set(last)) == 1:
            final = error.strip().splitlines()[-1]
            self._break(f"{len(last)} trials in a row failed before their first report with the same error: {final}")

    def _break(self, why: str) -> None:
        self.broken = self.broken or why
        self.stop()

    def _end_stillborn(self) -> None:
        for trial, (failure, error) in list(self.stillborn.items()):
            self.live[trial] = self.interrupted.pop(trial)
            self._end(self.live[trial], {"status": Status.FAILED, "failure": failure, "error": error})
        self.stillborn.clear()

    def _is_over(self, live: Live) -> bool:
        last = live.rows[-1]
        return last["step"] == live.planned.config.steps or last.get("nonfinite_step") is not None

    def _decide(self, live: Live, *, over: bool) -> bool:
        """End the trial if it is over or a rule says so. True if it has ended."""
        finding = first_finding(self.rules, Stream(live.rows), ended=over)
        settled = finding is not None and finding.settled
        stopped = settled and live.last_step < live.planned.config.steps
        rule = finding.rule if finding else type(self.search.study.pruner).__name__
        if not over and self.search.would_prune(live.planned.id):
            if not settled and self._is_audited(live.planned.id):
                live.audit = live.audit or {"decision_rule": rule, "decision_step": live.last_step}
            else:
                over = stopped = True
        if over:
            # an audited trial stays one however it ends: leaving out those that diverged would bias the audit
            decision = Decision.AUDITED if live.audit else Decision.PRUNED if stopped else Decision.COMPLETED
            self._end(live, self._judged(live, finding, decision, rule) | live.audit)
        return over

    def _is_audited(self, trial: str) -> bool:
        """A coin that depends on the trial's id only, so that a resumed study tosses it the same."""
        return derive_seed(trial, "audit", bits=32) / 2**32 < self.study.audit_fraction

    def _judged(self, live: Live, finding: Finding | None, decision: Decision, rule: str) -> dict[str, Any]:
        judged: dict[str, Any] = {"status": Status.DONE, "decision": decision}
        if not (finding and finding.settled):
            judged |= self._last_scores(live)
        if finding:
            judged |= {"verdict": finding.verdict, "verdict_step": finding.step, "evidence": finding.evidence}
        elif decision is not Decision.PRUNED:
            evidence = "ran to the end, and no rule found a failure"
            judged |= {"verdict": Verdict.TRAINED, "verdict_step": live.last_step, "evidence": evidence}
        if decision is Decision.PRUNED:
            judged |= {"decision_rule": rule, "decision_step": live.last_step}
        return judged

    def _last_scores(self, live: Live) -> dict[str, Any]:
        """The scores of the last evaluation: the final ones, or those at which a rule stopped the trial."""
        scores: dict[str, Any] = {}
        for metric in self.study.metrics:
            if row := next((row for row in reversed(live.rows) if row.get(metric.name) is not None), None):
                scores |= {column: row.get(column) for column in metric.columns}
        return scores

    def _end(self, live: Live, outcome: Mapping[str, Any]) -> None:
        """Write the end to the trial's directory first, then to every record."""
        over = bool(live.rows) and self._is_over(live)
        whole = {**self._summary(live), **outcome, "events": self._events(live, ended=over)}
        live.directory.end(whole)
        self._record_end(live, whole)
        del self.live[live.planned.id]
        self.outcomes[live.planned.id] = whole

    def _record_end(self, live: Live, outcome: Mapping[str, Any]) -> None:
        trial, score = live.planned.id, outcome.get(self.study.metrics[0].name)
        self.recorder.end(trial, outcome, outcome["ended_at"])
        shown = ("status", "failure", "verdict", "evidence", "decision", "decision_rule")
        why = {name: str(outcome[name]) for name in shown if outcome.get(name)}
        state = ending(outcome["status"], outcome.get("decision"), score)
        self.search.end(trial, state, score, why)

    def _record_cancelled(self, live: Live) -> None:
        told = {**self._summary(live), "status": Status.CANCELLED, "events": self._events(live, ended=False)}
        self.recorder.end(live.planned.id, told, _now_ms())

    def _summary(self, live: Live) -> dict[str, Any]:
        """The trial's numbers: last report, final and best score, seconds, and what it ran on."""
        last = live.rows[-1] if live.rows else {}
        stream = Stream(live.rows)
        summary: dict[str, Any] = {
            "step": last.get("step"),
            "images_seen": last.get("images_seen"),
            "train_seconds": last.get("seconds"),
            "evaluate_seconds": last.get("evaluate_seconds"),
            "record_seconds": last.get("record_seconds"),
            "attempts": live.directory.attempts(),
            "started_at": live.started_ms,
            "ended_at": _now_ms(),
            **live.facts,
        }
        for number, metric in enumerate(self.study.metrics):
            found = trajectory.summary(
                stream["step"],
                stream[metric.name],
                higher_is_better=metric.higher_is_better,
                thresholds=() if number else self.study.thresholds,
            )
            summary |= {f"{metric.name}_{name}": value for name, value in found.items()}
        return {**summary, **self.protocols[live.planned.id]}

    def _events(self, live: Live, *, ended: bool) -> list[dict[str, Any]]:
        """What the rules said on the way, also where another spoke first or it did not last; not all of a long list."""
        found = events(self.rules, live.rows, ended=ended)
        return found if len(found) <= MAX_EVENTS else [*found[: MAX_EVENTS // 2], *found[-MAX_EVENTS // 2 :]]


def _kind(error: str) -> str:
    """What makes two errors the same: the exception's type and where it was raised, not what it says."""
    lines = error.strip().splitlines()
    places = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    return f"{lines[-1].split(':')[0] if lines else ''} {places[-1] if places else ''}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
