"""The driver's decisions, with reports made by hand and every record real."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from gansweep import BelowScore, Exploding, records
from gansweep.launch.driver import (
    DEAF_SECONDS,
    MAX_EVENTS,
    MAX_LOSSES,
    MAX_LOSSES_IN_A_ROW,
    MAX_STILLBORN,
    PATIENCE_SECONDS,
    Driver,
)
from gansweep.launch.tune import Assignments, Process
from gansweep.launch.worker import Report
from gansweep.plan import Plan
from gansweep.recorder import Recorder
from gansweep.search import Search, VerdictPruner
from gansweep.selection import load_study

STUDY = Path(__file__).parent / "tiny_study.py"
FACTS = {"device": "cpu", "fingerprint_data": "a", "fingerprint_latent": "b", "fingerprint_init": "c"}
Make = Callable[..., Driver]


@pytest.fixture(scope="module")
def store(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """One tracking store for all tests."""
    return records.default_uri(as_home(tmp_path_factory.mktemp("store")))


@pytest.fixture
def make(store: str, tmp_path: Path) -> Iterator[Make]:
    """Drivers on one folder; each call is another launch."""
    recorders: list[Recorder] = []

    def build(**changes: Any) -> Driver:
        study = dataclasses.replace(load_study(STUDY).at("smoke"), **changes)
        plan: Plan = study.plan()
        trials = [
            {"trial": t.id, "cell": t.cell, "arm": t.arm, "seed": 0, "position": t.position, "factors": dict(t.factors)}
            for t in plan
        ]
        card = {"study": "tiny", "run": "tiny-smoke", "question": "?", "design_hash": "x", "provenance": {}}
        card |= {"launch_id": tmp_path.name, "factors": {}, "trials": trials, "scores": []}
        (tmp_path / "trials").mkdir(exist_ok=True)
        recorders.append(Recorder(store, tmp_path, card))
        search = Search(tmp_path / "optuna.journal", "tiny", VerdictPruner(*study.rules), study.metrics[0])
        return Driver(plan, tmp_path, search, recorders[-1], {t.id: {"inception_score_protocol": "p"} for t in plan})

    yield build
    for recorder in recorders:
        assert recorder.close(finished=True) == ""


def row(step: int, **values: Any) -> dict[str, Any]:
    spent = {"seconds": 1.0, "evaluate_seconds": 0.0, "record_seconds": 0.0}
    return {
        "step": step,
        "images_seen": step,
        "time_ms": 1_700_000_000_000 + step,
        "nonfinite_step": None,
        **spent,
    } | values


def reports(driver: Driver, trial: str, *rows: dict[str, Any]) -> bool:
    """Pass rows on until the driver stops the trial; whether it did."""
    last = rows[-1]["step"] == driver.study.baseline.steps
    for number, one in enumerate(rows):
        over = one["nonfinite_step"] is not None or (last and number == len(rows) - 1)
        if driver.take(trial, Report(row=one, facts=FACTS, over=over)):
            return True
    return False


def begin(driver: Driver) -> str:
    assignment = driver.next()
    assert assignment is not None
    return assignment.trial


def crash(driver: Driver, where: str = "worker.py", what: str = "ValueError: no") -> str:
    trial = begin(driver)
    error = f'Traceback:\n  File "{where}", line 1\n    raise\n{what} {trial}'
    assert driver.take(trial, Report(over=True, failure="crashed", error=error))
    return trial


def assert_counts_add_up(driver: Driver) -> None:
    counts = driver.counts()
    assert counts.pop("planned") == sum(counts.values())
    assert min(counts.values()) >= 0


def test_a_worker_that_is_told_as_lost_before_its_start_is_told_counts_once(make: Make) -> None:
    """Ray tells of an actor that dies as it changes over to another trial in either order."""
    driver = make()
    assignments = Assignments(driver, {})

    def of_tune(name: str) -> Any:
        state = SimpleNamespace(ray_actor=SimpleNamespace(_actor_id="warm"))
        return SimpleNamespace(trial_id=name, config=assignments.suggest(name), temporary_state=state)

    assignments.heard(of_tune("first"), Process(node="here", pid=1, started=None, stack=2))
    second = of_tune("second")
    lost = assignments.forget("second")
    assert lost is not None
    driver.lost(lost, "its worker died")
    assignments.started(second)
    assert "second" not in assignments.processes
    assert driver.counts()["running"] == 1
    assert_counts_add_up(driver)


def test_a_machine_that_kills_every_worker_stops_the_sweep_and_judges_nothing(make: Make) -> None:
    driver = make()
    for _ in range(MAX_LOSSES_IN_A_ROW):
        driver.lost(begin(driver), "killed")
    assert "workers in a row were lost" in driver.broken
    assert driver.next() is None
    assert driver.finished
    assert sum(outcome["failure"] == "lost" for outcome in driver.outcomes.values()) <= 1
    assert_counts_add_up(driver)
    driver.close()


def test_T_36_a_trial_that_kills_its_workers_fails_alone_after_a_bounded_number_of_attempts(make: Make) -> None:
    driver = make()
    bad, good = begin(driver), begin(driver)
    for number in range(MAX_LOSSES + 1):
        driver.lost(bad, "killed")
        reports(driver, good, row(2 * number + 2, loss_generator=1.0))
        if bad not in driver.outcomes:
            assert begin(driver) == bad, "an interrupted trial goes first"
    assert driver.outcomes[bad]["failure"] == "lost"
    assert driver.outcomes[bad]["status"] == "failed"
    assert not driver.broken
    assert_counts_add_up(driver)


def test_losses_are_forgiven_by_progress(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    for number in range(2 * MAX_LOSSES + 2):
        reports(driver, trial, row(number + 1, loss_generator=1.0))
        driver.lost(trial, "preempted")
        assert begin(driver) == trial
    assert trial not in driver.outcomes


def test_the_same_error_at_the_start_of_several_trials_is_not_theirs(make: Make) -> None:
    driver = make()
    healthy = begin(driver)
    crash(driver, "elsewhere.py", "KeyError: one odd trial")
    failed = [crash(driver) for _ in range(MAX_STILLBORN)]
    assert f"{MAX_STILLBORN} trials in a row failed before their first report" in driver.broken
    reports(driver, healthy, row(2, loss_generator=1.0))
    driver.close()
    assert not driver.outcomes, "a healthy trial's report must not turn the others into failures"
    again = make()
    assert {again.next().trial for _ in range(5)} >= set(failed)  # type: ignore[union-attr]


def test_a_trial_that_fails_at_once_by_itself_has_failed(make: Make) -> None:
    driver = make()
    failed, healthy = crash(driver), begin(driver)
    assert failed not in driver.outcomes
    reports(driver, healthy, row(2, loss_generator=1.0))
    assert driver.outcomes[failed]["status"] == "failed"
    assert driver.outcomes[failed]["failure"] == "crashed"
    assert_counts_add_up(driver)


def test_a_resumed_trial_that_fails_before_a_new_report_is_not_judged_by_it(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    reports(driver, trial, row(2, loss_generator=1.0))
    driver.stop()
    driver.take(trial, Report(over=True, cancelled=True))
    driver.close()
    again = make()
    assert crash(again) == trial
    assert trial not in again.outcomes


def test_a_stopped_trial_keeps_the_score_of_its_last_evaluation(make: Make) -> None:
    driver = make(rules=(Exploding(limit=10.0, patience=2),), audit_fraction=0.0)
    trial = begin(driver)
    huge = {"gradient_norm_generator": 1e3}
    scored = row(4, inception_score=1.7, inception_score_std=0.1)
    assert reports(driver, trial, row(2), scored, row(6, **huge), row(8, **huge))
    outcome = driver.outcomes[trial]
    assert (outcome["decision"], outcome["decision_rule"], outcome["decision_step"]) == ("pruned", "Exploding", 8)
    assert (outcome["verdict"], outcome["inception_score"]) == ("exploding", 1.7)
    assert outcome["inception_score_protocol"] == "p"
    (event,) = outcome["events"]
    assert (event["rule"], event["step"], event["verdict"]) == ("Exploding", 6, "exploding")


def test_of_a_long_list_of_events_the_first_and_the_last_are_kept_and_fit_into_the_record(make: Make) -> None:
    driver = make(rules=(Exploding(limit=10.0, patience=1),), audit_fraction=1.0)
    trial = begin(driver)
    on_and_off = [row(2 * n, gradient_norm_generator=1e3 if n % 2 else 1.0) for n in range(1, 60)]
    reports(driver, trial, *on_and_off, row(200, nonfinite_step=200))
    told = driver.outcomes[trial]["events"]
    assert len(told) == MAX_EVENTS
    assert (told[0]["step"], told[-1]["rule"]) == (2, "Diverged")


def test_a_trial_that_a_rule_stopped_is_not_told_that_it_ended_below_a_threshold(make: Make) -> None:
    driver = make(rules=(Exploding(limit=10.0, patience=1), BelowScore(minimum=2.0)), audit_fraction=0.0)
    trial = begin(driver)
    assert reports(driver, trial, row(2, inception_score=1.0), row(4, gradient_norm_generator=1e3))
    assert [event["rule"] for event in driver.outcomes[trial]["events"]] == ["Exploding"]


def test_an_audited_trial_stays_audited_when_it_diverges(make: Make) -> None:
    driver = make(rules=(Exploding(limit=10.0, patience=1),), audit_fraction=1.0)
    trial = begin(driver)
    reports(driver, trial, row(2, gradient_norm_generator=1e3))
    assert reports(driver, trial, row(4, nonfinite_step=3))
    outcome = driver.outcomes[trial]
    assert (outcome["decision"], outcome["decision_rule"], outcome["decision_step"]) == ("audited", "Exploding", 2)
    assert outcome["verdict"] == "diverged"
    assert "inception_score" not in outcome


def test_a_run_that_is_not_finite_is_diverged_even_if_the_study_asks_for_no_such_rule(make: Make) -> None:
    driver = make(rules=(Exploding(),))
    trial = begin(driver)
    assert reports(driver, trial, row(2), row(4, nonfinite_step=3))
    assert driver.outcomes[trial]["verdict"] == "diverged"
    assert driver.outcomes[trial]["decision"] == "pruned"


def test_a_driver_that_died_before_the_outcome_was_written_ends_the_trial_without_training(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    live = driver.live[trial]
    live.directory.append(row(12, inception_score=1.5) | {"facts": FACTS})
    again = make()
    assert again.outcomes[trial]["verdict"] == "trained"
    assert again.outcomes[trial]["inception_score"] == 1.5


def test_a_line_that_a_kill_cut_short_is_reported_again(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    reports(driver, trial, row(2, loss_generator=1.0), row(4, loss_generator=1.0))
    file = driver.live[trial].directory.path / "history.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    again = make()
    assignment = again.next()
    assert assignment is not None
    assert (assignment.trial, assignment.recorded_step) == (trial, 2)


def test_the_micro_batch_of_the_last_report_is_on_record_also_after_a_new_launch(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    for step, micro_batch in ((2, None), (4, 8), (6, 8)):
        assert not driver.take(
            trial, Report(row=row(step, inception_score=2.0), facts={**FACTS, "micro_batch": micro_batch})
        )
    assert driver.live[trial].facts["micro_batch"] == 8
    again = make()
    assert begin(again) == trial
    assert [one.get("facts") is not None for one in again.live[trial].rows] == [True, True, False]
    again.take(trial, Report(row=row(12, inception_score=2.0), facts={**FACTS, "micro_batch": 8}, over=True))
    assert again.outcomes[trial]["micro_batch"] == 8
    assert again.outcomes[trial]["device"] == "cpu"


def test_a_worker_is_overdue_when_it_is_silent_for_longer_than_it_promised(make: Make) -> None:
    driver = make()
    waiting, late, early = begin(driver), begin(driver), begin(driver)
    driver.take(late, Report(promise=0.05))
    driver.take(early, Report(promise=30.0))
    assert driver.overdue() == []
    time.sleep(0.1)
    assert driver.overdue() == [late], "a trial whose worker has said nothing yet waits for a place"
    assert waiting in driver.live


def test_time_in_which_the_driver_did_not_listen_counts_for_no_worker(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    driver.overdue()
    driver.take(trial, Report(promise=0.5))
    time.sleep(DEAF_SECONDS + 0.2)
    assert driver.overdue() == []
    time.sleep(0.6)
    assert driver.overdue() == [trial]


def test_a_trial_that_hangs_again_and_again_has_failed_and_was_given_more_time_each_time(make: Make) -> None:
    driver = make()
    bad, good = begin(driver), begin(driver)
    patience = [PATIENCE_SECONDS]
    for number in range(MAX_LOSSES + 1):
        driver.lost(bad, "no report within the 30.0 s that it promised", "hung")
        reports(driver, good, row(2 * number + 2, loss_generator=1.0))
        if bad not in driver.outcomes:
            assignment = driver.next()
            assert assignment is not None
            assert assignment.trial == bad
            patience.append(assignment.patience)
    assert patience == [PATIENCE_SECONDS * 2**number for number in range(MAX_LOSSES + 1)]
    outcome = driver.outcomes[bad]
    assert (outcome["status"], outcome["failure"]) == ("failed", "hung")
    assert outcome["losses"] == {"hung": MAX_LOSSES + 1}
    assert "verdict" not in outcome
    assert_counts_add_up(driver)


def test_preemption_is_on_record_and_counts_against_nobody(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    for _ in range(2 * MAX_LOSSES_IN_A_ROW):
        driver.lost(trial, "its node was taken away", "preempted")
        driver.lost(begin(driver), "Ray Tune ended for another trial's loss", "interrupted")
        assert begin(driver) == trial
    assert not driver.broken
    again = make()
    assert begin(again) == trial, "what was lost is known to the next launch, too"
    reports(again, trial, row(12, inception_score=1.5))
    assert again.outcomes[trial]["losses"] == {"preempted": 2 * MAX_LOSSES_IN_A_ROW}


def test_errors_of_one_arm_wait_for_another_and_are_known_at_the_next_launch(make: Make) -> None:
    driver = make(draws=4)
    by_arm: dict[str, list[str]] = {}
    while assignment := driver.next():
        by_arm.setdefault(assignment.arm, []).append(assignment.trial)
    error = Report(over=True, failure="crashed", error='  File "model.py", line 1\nRuntimeError: no kernel')
    for trial in by_arm["wild"]:
        driver.take(trial, error)
    assert len(by_arm["wild"]) > MAX_STILLBORN
    assert not driver.broken, "the other arms may yet show that the machine is sound"
    reports(driver, by_arm["gan"][0], row(2, loss_generator=1.0))
    assert {driver.outcomes[trial]["failure"] for trial in by_arm["wild"]} == {"crashed"}


DAMAGED = [
    ("outcome.json", "delete it, and the trial's end is worked out again from its history"),
    ("attempt", "delete it while no launch is running"),
    ("history.jsonl", "is damaged in line 1: delete the folder"),
    ("losses.jsonl", "is damaged in line 1: delete the folder"),
]


@pytest.mark.parametrize(("name", "advice"), DAMAGED)
def test_a_damaged_file_is_named_in_one_line_that_says_what_to_do(make: Make, name: str, advice: str) -> None:
    driver = make()
    trial = begin(driver)
    driver.lost(trial, "killed")
    assert begin(driver) == trial
    reports(driver, trial, row(2, loss_generator=1.0), row(12, inception_score=1.5))
    first = driver.outcomes[trial]
    driver.recorder.close(finished=False)
    folder = driver.folder / "trials" / trial
    if name != "outcome.json":
        (folder / "outcome.json").unlink()
    (folder / name).write_bytes(b"\x00\xff garbage\n")
    with pytest.raises(ValueError, match=advice) as named:
        make()
    assert str(folder / name) in str(named.value)
    assert len(str(named.value).splitlines()) == 1
    shutil.rmtree(folder) if "folder" in advice else (folder / name).unlink()
    again = make()
    if "folder" in advice:
        assert begin(again) == trial
    else:
        assert again.outcomes[trial]["verdict"] == first["verdict"]
        assert again.outcomes[trial]["inception_score"] == 1.5


def test_a_damaged_journal_of_optuna_is_named_and_built_again_from_the_trials(make: Make) -> None:
    driver = make()
    trial = begin(driver)
    reports(driver, trial, row(2, loss_generator=1.0), row(12, inception_score=1.5))
    driver.recorder.close(finished=False)
    journal = driver.folder / "optuna.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"\x00\xff garbage\n", *lines[3:]]))
    with pytest.raises(ValueError, match=r"optuna\.journal is damaged in line 4: delete it") as named:
        make()
    assert len(str(named.value).splitlines()) == 1
    journal.unlink()
    (told,) = make().search.study.get_trials()
    assert told.user_attrs["gansweep.trial_id"] == trial
    assert told.state == optuna.trial.TrialState.COMPLETE
    assert told.intermediate_values == {12: 1.5}
