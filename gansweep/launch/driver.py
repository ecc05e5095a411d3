"""The one owner of a sweep: hands out trials, takes reports, decides, and writes every record.

Executors are thin: they ask `next`, pass on what workers say to `take`, and say `lost` when a worker died. Everything
that must survive is in the trials' directories before it is anywhere else, so a new driver goes on where this one was
killed.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from gansweep import trajectory
from gansweep.launch.candidates import Candidates
from gansweep.launch.states import States, StorageAway
from gansweep.launch.tally import Tally
from gansweep.launch.trial_dir import Outcomes, TrialDir
from gansweep.launch.worker import Assignment, Report
from gansweep.plan import Plan, PlannedTrial
from gansweep.randomness import derive_seed
from gansweep.recorder import Recorder
from gansweep.search import Search
from gansweep.stability import Decision, Diverged, Finding, Status, Stream, Verdict, events, first_finding

log = logging.getLogger(__name__)
MAX_LOSSES = 3  # of one trial without a new report in between
MAX_STILLBORN = 3  # attempts in a row that ended before their first new report, by the same error
MAX_LOSSES_IN_A_ROW = 8  # of all trials together, without a new report in between
MAX_EVENTS = 20  # of a trial, on record: the first and the last
PATIENCE_SECONDS = 30.0  # the least that a worker may promise as its time to the next report
UNCOUNTED = ("preempted", "interrupted")  # what may come over a trial any number of times
DEAF_SECONDS = 1.0  # between two looks at the clock: longer, and the driver itself was held up


class Live:
    """A trial that is under way."""

    def __init__(self, planned: PlannedTrial, directory: TrialDir) -> None:
        self.planned, self.directory = planned, directory
        self.rows = directory.history()
        self.stream = Stream(self.rows)
        # what reports say beside their numbers: device, fingerprints, micro-batch; in the rows where it changed
        self.facts: dict[str, Any] = next((row["facts"] for row in reversed(self.rows) if "facts" in row), {})
        self.losses = directory.losses()
        self.recorded_at_start = 0  # of the last attempt, the step from which it went on
        self.audit: dict[str, Any] = {}
        self.started_ms = self.rows[0]["time_ms"] if self.rows else _now_ms()
        # seconds, and on the monotonic clock; a trial whose worker has said nothing yet waits for its place
        self.promise = self.due = math.inf

    @property
    def last_step(self) -> int:
        return self.rows[-1]["step"] if self.rows else 0


class Driver:
    """Runs a plan to its end, one decision at a time. Single-threaded."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        search: Search | Candidates,
        recorder: Recorder,
        protocols: Mapping[str, Mapping[str, str]],
        *,
        patience: float = PATIENCE_SECONDS,
        keep_states: bool = False,
        states: States | None = None,
    ) -> None:
        self.plan, self.study, self.folder = plan, plan.study, folder
        self.patience, self.keep_states = patience, keep_states
        self.states = states or States(str(folder))
        self.search, self.recorder, self.protocols = search, recorder, protocols
        # a run that is not finite is over whatever the study asks for
        self.rules = (Diverged(), *(rule for rule in self.study.rules if not isinstance(rule, Diverged)))
        # the portraits of which more than the last frame is kept
        self.kept = {portrait.name for portrait in self.study.portraits if portrait.frames is not None}
        self.trials = folder / "trials"
        self.outcomes = Outcomes(self.trials)
        score = self.study.metrics[0]
        self.tally = Tally(plan, score.name, higher_is_better=score.higher_is_better)
        self.tally.expect_more(self.study.arms, self._undrawn // len(self.study.arms), self.study.baseline.steps)
        self.live: dict[str, Live] = {}
        self.interrupted: dict[str, Live] = {}
        self.waiting: deque[PlannedTrial] = deque()
        self.losses: Counter[str] = Counter()
        self.losses_in_a_row = 0
        self.stillborn: dict[str, tuple[str, str]] = {}
        self.proven: dict[str, set[str]] = {arm: set() for arm in self.study.arms}
        self.hangs: Counter[str] = Counter()
        self.listened = time.monotonic()
        self.broken = ""
        self.unwritable = False
        self.stopping = False
        self.ended_before = 0
        self._reconcile()

    # --- what executors call

    def next(self) -> Assignment | None:
        """The next attempt to make; None if nothing can start now."""
        if not self.stopping:
            self._skip_fallen_behind()
            if not self.waiting:
                self._ask()
        if self.stopping or not self.waiting:
            return None
        planned = self.waiting[0]
        with self._writing():
            known = planned.id in self.interrupted
            live = self.interrupted[planned.id] if known else self._begin(planned)
            attempt = live.directory.begin()
            with self._meeting():
                self.states.take(planned.id, attempt)
            self.waiting.popleft()
            self.interrupted.pop(planned.id, None)
            self.live[planned.id], live.due = live, math.inf
            live.recorded_at_start = live.last_step
            return Assignment(
                trial=planned.id,
                arm=planned.arm,
                factors=dict(planned.factors),
                seed=planned.config.seed,
                attempt=attempt,
                recorded_step=live.last_step,
                # after a false alarm the next promises are larger
                patience=self.patience * 2.0 ** self.hangs[planned.id],
            )
        return None

    @property
    def finished(self) -> bool:
        """Whether nothing is under way and nothing will start."""
        return not self.live and (self.stopping or not (self.waiting or self._undrawn))

    def placed(self, trial: str, promise: float) -> None:
        """The trial has a worker, whose first report comes within `promise` seconds."""
        live = self.live[trial]
        live.promise, live.due = promise, time.monotonic() + promise

    def take(self, trial: str, report: Report) -> bool:
        """Take a worker's report. True if the trial shall stop."""
        with self._writing():
            if not self.unwritable:  # half a line may have been written, and nothing must come after it
                return self._take(self.live[trial], report)
        # the trial goes on from what could be written, when there is room again
        if trial in self.live:
            self.interrupted[trial] = self.live.pop(trial)
        return True

    def _take(self, live: Live, report: Report) -> bool:
        trial = live.planned.id
        self.placed(trial, report.promise or math.inf)
        if report.note:
            log.warning("trial %s: %s", trial, report.note)
        if report.failure is not None:
            self._failed(live, report.failure, report.error or "")
            return True
        if report.cancelled:
            self.interrupted[trial] = self.live.pop(trial)
            return True
        if report.row is None:
            return False  # a sign of life
        if report.row["step"] > live.last_step:
            self._progressed(trial)
            row = report.row if report.facts == live.facts else {**report.row, "facts": report.facts}
            if report.samples is not None:
                live.directory.show(report.samples)
            for name, frame in report.portraits.items():
                live.directory.portray(name, report.row["step"], frame, keep=name in self.kept)
            live.directory.append(row)
            live.rows.append(row)
            live.facts = report.facts
            self.recorder.news(trial)
            self.search.report(trial, row)
        return self._decide(live, over=report.over)

    def lost(self, trial: str, why: str, kind: str = "lost") -> None:
        """A trial has no worker any more: another attempt, until there were too many without progress.

        `kind` is lost (the worker died), hung (it was ended for its silence), oom (its machine's memory was full),
        preempted (its machine was taken away) or interrupted (another trial's loss ended it): the last two do not
        count. If trials keep losing their workers and none reports, it is the machine: the sweep stops, and nothing is
        judged.
        """
        with self._writing():
            self._lost(self.live[trial], why, kind)
        if trial in self.live:
            self.interrupted[trial] = self.live.pop(trial)

    def _lost(self, live: Live, why: str, kind: str) -> None:
        trial = live.planned.id
        log.warning("trial %s has no worker any more (%s): %s", trial, kind, why)
        counted = kind not in UNCOUNTED
        if kind != "interrupted":
            loss = {"kind": kind, "step": live.last_step, "time_ms": _now_ms(), "why": why[:2000]}
            live.directory.lose(loss)
            live.losses.append(loss)
        self.hangs[trial] += kind == "hung"
        self.losses[trial] += counted
        self.losses_in_a_row += counted
        if self.losses[trial] > MAX_LOSSES and self.losses_in_a_row < MAX_LOSSES_IN_A_ROW and not self.stopping:
            self._end(live, {"status": Status.FAILED, "failure": kind, "error": why[:2000]})
        else:
            self.interrupted[trial] = self.live.pop(trial)
            self.waiting.appendleft(live.planned)
            if self.losses_in_a_row >= MAX_LOSSES_IN_A_ROW:
                last = why.splitlines()[0]
                self._break(f"{self.losses_in_a_row} workers in a row were lost without a report; the last: {last}")

    def overdue(self) -> list[str]:
        """The trials that are silent for longer than they promised. To be asked all the time, many times a second.

        Time in which the driver did not listen (its own machine was busy, stopped or asleep) counts for no trial.
        """
        now = time.monotonic()
        deaf = now - self.listened
        self.listened = now
        if deaf > DEAF_SECONDS:
            for live in self.live.values():
                live.due += deaf
        return [trial for trial, live in self.live.items() if live.due < now]

    def close(self) -> None:
        """Nothing more will be reported: what was interrupted is recorded so."""
        if not self.stopping:
            self._end_stillborn()
        for live in self.interrupted.values():
            self._record_cancelled(live)
        with self._writing():
            self.search.close()

    def stop(self) -> None:
        """Start nothing more, and have every worker save its state at its next report."""
        self.stopping = True
        with self._writing(), self._meeting():
            self.states.ask_to_stop()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A record that cannot be written (a full disk, most of all) stops the sweep; whoever runs it says so."""
        try:
            yield
        except OSError as error:
            log.exception("cannot write")
            self.unwritable = self.stopping = True
            self.broken = self.broken or (
                f"{error.strerror or error} in {self.folder}. Nothing is lost: make room there"
            )

    @contextlib.contextmanager
    def _meeting(self) -> Iterator[None]:
        """Storage on a server that is away costs saved states, so time, and nothing that is recorded."""
        try:
            yield
        except StorageAway as error:
            log.warning("%s", error)

    def counts(self) -> dict[str, int]:
        """How many trials are planned, done, failed, cancelled, running and not started; they add up."""
        states = self.tally.status
        counts = {name: states[name] for name in ("done", "failed")}
        stopped = len(self.interrupted) if self.stopping else 0
        counts |= {"cancelled": stopped, "running": len(self.live)}
        planned = self.plan.num_planned
        return {"planned": planned, **counts, "not_started": planned - sum(counts.values())}

    # --- how a trial goes on

    @property
    def _undrawn(self) -> int:
        """How many trials belong to candidates that are not asked for yet."""
        return self.plan.num_planned - len(self.plan)

    def _ask(self) -> None:
        """Queue the trials of a tuning study's next candidate."""
        try:
            with self._writing():
                if asked := self.search.ask():
                    self.plan = self.plan + asked
                    for planned in asked:
                        self.tally.draw(planned)
                    self.waiting.extend(asked)
        except ValueError as error:
            self._break(f"the search asked for a trial that cannot run: {error}")

    def _skip_fallen_behind(self) -> None:
        """End what waits of a candidate that the study's pruner ended: done by a decision, perhaps before any step."""
        if self.study.pruner is None or self.study.pruner.within_runs:
            return
        with self._writing():
            for planned in [planned for planned in self.waiting if self.search.falls_behind(planned.id)]:
                known = planned.id in self.interrupted
                live = self.live[planned.id] = self.interrupted.pop(planned.id) if known else self._begin(planned)
                self.waiting.remove(planned)
                live.directory.path.mkdir(parents=True, exist_ok=True)
                self._end(live, self._judged(live, None, Decision.PRUNED, self.search.pruner_name))

    def _reconcile(self) -> None:
        """Bring the records to what the trial directories say, then queue what has not ended."""
        with self._meeting():
            self.states.clear()
        under_way: list[PlannedTrial] = []
        fresh: list[PlannedTrial] = []
        self.trials.mkdir(parents=True, exist_ok=True)
        known = set(os.listdir(self.trials))
        for planned in self.plan:
            if planned.id not in known:
                fresh.append(planned)
                continue
            directory = TrialDir(self.trials / planned.id)
            if outcome := directory.outcome():
                self._count(planned, outcome)
                self.ended_before += 1
                if not self.search.has_end(planned.id):
                    self._record_end(self._begin(planned), outcome)
                elif not self.recorder.has_end(planned.id):
                    self._register(planned, directory, outcome["started_at"])
                    self.recorder.end(planned.id)
            elif directory.begun():
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
        live = Live(planned, TrialDir(self.trials / planned.id))
        self._register(planned, live.directory, live.started_ms)
        self.search.start(planned.id, {**planned.factors, "arm": planned.arm}, self.study.space, list(self.study.arms))
        for number, row in enumerate(live.rows, start=1):
            self.search.report(planned.id, row)
            finding = None if live.audit else first_finding(self.rules, Stream(live.rows[:number]), ended=False)
            if finding and number < len(live.rows):
                live.audit = {"decision_rule": finding.rule, "decision_step": row["step"]}
        return live

    def _register(self, planned: PlannedTrial, directory: TrialDir, started_ms: int) -> None:
        """Tell the recorder of a trial; what the trial has reported it reads from the trial's directory."""
        shown: dict[str, Any] = {key: getattr(planned, key) for key in ("cell", "arm", "position")}
        shown["trial"] = planned.id
        if self.study.search.sequential:
            shown["factors"] = planned.factors  # the design card was written before they were known
        self.recorder.start({**shown, "seed": planned.config.seed}, planned.config.flat, directory.path, started_ms)

    def _progressed(self, trial: str) -> None:
        """A new report: the machinery works, so trials that failed at once have failed by themselves."""
        self.losses.pop(trial, None)
        self.losses_in_a_row = 0
        if not self.stopping:
            self._end_stillborn()

    def _failed(self, live: Live, failure: str, error: str) -> None:
        """The code failed. Attempts that report nothing new wait for another trial that gets further.

        If several in a row end in the same error, and not of one arm only while others run, it is not theirs: the sweep
        stops, and they are tried again next time. An error of which trials of the arm were found to fail by themselves
        needs no such proof.
        """
        trial = live.planned.id
        log.error("trial %s failed (%s): %s", trial, failure, error)
        arm, kind = live.planned.arm, _kind(error)
        if live.last_step > live.recorded_at_start or kind in self.proven[arm]:
            self._end(live, {"status": Status.FAILED, "failure": failure, "error": error})
            return
        self.interrupted[trial] = self.live.pop(trial)
        self.stillborn[trial] = (failure, error)
        last = [(self.interrupted[one].planned.arm, _kind(text)) for one, (_, text) in self.stillborn.items()]
        last = last[-MAX_STILLBORN:]
        under_way = (live.planned for live in self.live.values())
        of_arm = {arm} == {of for of, _ in last} and any(one.arm != arm for one in chain(under_way, self.waiting))
        if len(last) == MAX_STILLBORN and {kind} == {of for _, of in last} and not of_arm:
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
        finding = first_finding(self.rules, live.stream, ended=over)
        settled = finding is not None and finding.settled
        stopped = settled and live.last_step < live.planned.config.steps
        rule = finding.rule if finding else self.search.pruner_name
        if not over and self.search.would_prune(live.planned.id):
            if not settled and self._is_audited(live.planned.id):
                live.audit = live.audit or {"decision_rule": rule, "decision_step": live.last_step}
            else:
                over = stopped = True
        if not over and self.search.falls_behind(live.planned.id):
            over = stopped = True
        if over:
            # an audited trial stays one however it ends: leaving out those that diverged would bias the audit
            decision = Decision.AUDITED if live.audit else Decision.PRUNED if stopped else Decision.COMPLETED
            self._end(live, self._judged(live, finding, decision, rule) | live.audit)
        return over

    def _is_audited(self, trial: str) -> bool:
        """A coin that depends on the trial's id only, so that a resumed study tosses it the same.

        A tuning study counts nothing, so it has nothing to audit.
        """
        if self.study.search.sequential:
            return False
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
        if not self.keep_states:
            with self._meeting():
                self.states.drop(live.planned.id)
        del self.live[live.planned.id]
        self._count(live.planned, whole)
        self._record_end(live, whole)

    def _count(self, planned: PlannedTrial, outcome: dict[str, Any]) -> None:
        self.outcomes.add(planned.id)
        self.tally.add(planned, outcome)
        if outcome.get("failure") == "crashed":  # by itself: the next of its arm to do so needs no proof
            self.proven[planned.arm].add(_kind(outcome["error"]))

    def _record_end(self, live: Live, outcome: Mapping[str, Any]) -> None:
        self.recorder.end(live.planned.id)
        self.search.end(live.planned.id, outcome)

    def _record_cancelled(self, live: Live) -> None:
        told = {**self._summary(live), "status": Status.CANCELLED, "events": self._events(live, ended=False)}
        self.recorder.cancel(live.planned.id, told)

    def _summary(self, live: Live) -> dict[str, Any]:
        """The trial's numbers: last report, final and best score, seconds, and what it ran on."""
        last = live.rows[-1] if live.rows else {}
        stream = live.stream
        summary: dict[str, Any] = {
            "step": last.get("step"),
            "images_seen": last.get("images_seen"),
            "train_seconds": last.get("seconds"),
            "evaluate_seconds": last.get("evaluate_seconds"),
            "record_seconds": last.get("record_seconds"),
            "attempts": live.directory.attempts(),
            "losses": dict(sorted(Counter(loss["kind"] for loss in live.losses).items())),
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
