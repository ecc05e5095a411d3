"""Tuning studies: candidates that are asked for one by one, judged honestly, ended early, and never asked for twice."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from gansweep import (
    GP,
    NSGA2,
    TPE,
    BelowScore,
    Diverged,
    Hyperband,
    Median,
    NonSaturating,
    Wilcoxon,
    records,
    tuning,
    uniform,
)
from gansweep.launch.candidates import Candidates
from gansweep.launch.card import design_card
from gansweep.launch.driver import Driver
from gansweep.launch.sweep import Settings, sweep
from gansweep.launch.worker import Assignment, Report
from gansweep.recorder import Recorder
from gansweep.search import CandidateSearch
from gansweep.selection import Selection, load_study
from gansweep.study import Study

STUDY = Path(__file__).parent / "tuned_study.py"
FACTS = {"device": "cpu", "fingerprint_data": "a", "fingerprint_latent": "b", "fingerprint_init": "c"}
SPACE = {"discriminator_optimizer.beta1": uniform(0.0, 0.9), "generator_optimizer.beta1": uniform(0.0, 0.9)}
WORST = {"inception_score": 1.0}
Make = Callable[..., Driver]
Score = Callable[[Assignment, int], float]


@pytest.fixture(scope="module")
def store(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """One tracking store for all tests."""
    return records.default_uri(as_home(tmp_path_factory.mktemp("store")))


@pytest.fixture
def make(store: str, tmp_path: Path) -> Iterator[Make]:
    """Drivers of a tuning study; each call on the same folder is another launch. Nothing is trained."""
    recorders: list[Recorder] = []

    def build(folder: str = "run", **changes: Any) -> Driver:
        study: Study = dataclasses.replace(load_study(STUDY).at("smoke"), **{"draws": 7, **changes})
        home = tmp_path / folder
        (home / "trials").mkdir(parents=True, exist_ok=True)
        card = design_card(
            study.plan(), Selection(file=str(STUDY), preset="smoke"), f"{tmp_path.name}-{folder}", [], {}
        )
        recorders.append(Recorder(store, home, card | {"launch_id": f"{tmp_path.name}-{folder}"}))
        protocols: dict[str, dict[str, str]] = {}

        def admit(trial: Any, *, check: bool) -> None:
            protocols[trial.id] = {"inception_score_protocol": "p"}

        candidates = Candidates(study, home, "tuned", admit)
        return Driver(candidates.plan, home, candidates, recorders[-1], protocols)

    yield build
    for recorder in recorders:
        assert recorder.close(finished=True) == ""


def quality(assignment: Assignment, step: int) -> float:
    """A score with one best place, which every run approaches; every seed has its own level."""
    far = sum((value - 0.5) ** 2 for value in assignment.factors.values() if isinstance(value, float) and value < 1)
    return 5 - 4 * far + (assignment.seed % 7) / 10 - 1 / step


def row(step: int, **values: Any) -> dict[str, Any]:
    spent = {"seconds": 0.5 * step, "evaluate_seconds": 0.0, "record_seconds": 0.0}
    whole = {"step": step, "images_seen": step, "time_ms": 1_700_000_000_000 + step, "nonfinite_step": None}
    return whole | spent | values


def carry(driver: Driver, assignment: Assignment, score: Score = quality) -> None:
    """One trial to its end; a score that is NaN is a loss that is not finite."""
    steps = driver.study.baseline.steps
    for step in range(2, steps + 1, 2):
        value = score(assignment, step)
        lost = {"nonfinite_step": step, "loss_generator": value} if math.isnan(value) else {"inception_score": value}
        over = step == steps or math.isnan(value)
        if driver.take(assignment.trial, Report(row=row(step, **lost), facts=FACTS, over=over)):
            return
    raise AssertionError("the trial did not end")


def run(driver: Driver, score: Score = quality, stop_after: int | None = None) -> int:
    """The driver to its end, or until it has handed out so many trials; how many it did."""
    handed = 0
    while handed != stop_after and (assignment := driver.next()):
        assert_counts_add_up(driver)
        carry(driver, assignment, score)
        handed += 1
    if stop_after is None:
        assert driver.finished
        driver.close()
    return handed


def assert_counts_add_up(driver: Driver) -> None:
    counts = driver.counts()
    assert counts.pop("planned") == sum(counts.values())
    assert min(counts.values()) >= 0


def candidates_of(driver: Driver) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (driver.folder / "candidates.jsonl").read_text().splitlines()]


def optuna_trials(driver: Driver) -> list[FrozenTrial]:
    return driver.search.search.study.get_trials()  # type: ignore[union-attr]


def values_of(driver: Driver) -> list[Any]:
    return [(trial.state.name, trial.values, trial.params, trial.constraints) for trial in optuna_trials(driver)]


FORMS: dict[str, dict[str, Any]] = {
    "tpe": {"search": TPE(startup=3)},
    "gp": {"search": GP(startup=3), "space": SPACE, "failed_scores": WORST},
    "nsga2": {
        "search": NSGA2(population=4),
        "space": SPACE,
        "goals": ("inception_score", "failures"),
        "failed_scores": WORST,
    },
    "hyperband": {"search": TPE(startup=3), "space": SPACE, "pruner": Hyperband(factor=2)},
    "median": {"search": TPE(startup=3), "space": SPACE, "pruner": Median(startup=2)},
    "wilcoxon": {"search": TPE(startup=3), "space": SPACE, "pruner": Wilcoxon(), "repeats": 5, "draws": 4},
}


# Asking


@pytest.mark.parametrize("form", FORMS)
def test_a_tuning_study_runs_to_its_end_and_every_trial_and_candidate_is_told(form: str, make: Make) -> None:
    driver = make(**FORMS[form])
    planned = driver.study.draws * driver.study.repeats
    assert driver.counts() == dict.fromkeys(driver.counts(), 0) | {"planned": planned, "not_started": planned}
    run(driver)
    assert driver.counts()["done"] == len(driver.outcomes) == planned
    trials = optuna_trials(driver)
    names = [f"c{n:03d}" for n in range(driver.study.draws)]
    assert [trial.user_attrs["gansweep.candidate"] for trial in trials] == names
    assert all(trial.state.is_finished() for trial in trials)
    assert sorted(name for trial in trials for name in trial.user_attrs["gansweep.trials"]) == sorted(driver.outcomes)


@pytest.mark.parametrize(
    "form",
    [
        f
        if f == "tpe"
        else pytest.param(f, marks=pytest.mark.slow if f in ("gp", "median", "hyperband") else pytest.mark.long)
        for f in FORMS
    ],
)
def test_a_search_that_is_killed_anywhere_asks_for_the_same_candidates(form: str, make: Make) -> None:
    undisturbed = make("whole", **FORMS[form])
    run(undisturbed)
    handed = 0
    for _ in range(20):
        driver = make("torn", **FORMS[form])  # the one before was killed: nobody closed it
        file = driver.folder / "candidates.jsonl"
        if (made := run(driver, stop_after=3)) < 3:
            handed += made
            break
        handed += made
        file.write_bytes(file.read_bytes() + b'{"factors": {"gener')  # the kill came while it was writing
    else:
        raise AssertionError("it does not end")
    assert candidates_of(driver) == candidates_of(undisturbed)
    assert values_of(driver) == values_of(undisturbed)
    assert handed == sum(outcome["attempts"] > 0 for outcome in undisturbed.outcomes.values())  # none was run twice
    strip = ("started_at", "ended_at")
    told = [
        {trial: {k: v for k, v in one.items() if k not in strip} for trial, one in found.outcomes.items()}
        for found in (driver, undisturbed)
    ]
    assert told[0] == told[1]


def test_a_candidate_is_written_down_before_any_of_its_trials_starts(make: Make) -> None:
    driver = make(space=SPACE, repeats=2)
    first = driver.next()
    assert first is not None
    (asked,) = candidates_of(driver)
    assert asked["factors"] == first.factors
    again = make(space=SPACE, repeats=2)  # killed before the worker said anything
    both = [again.next(), again.next()]
    assert [one and one.factors for one in both] == [first.factors] * 2
    assert first.trial in [one.trial for one in both if one]
    assert len(candidates_of(again)) == 1


def test_a_candidate_that_the_journal_does_not_know_yet_is_told_to_it(make: Make) -> None:
    driver = make(space=SPACE)
    run(driver, stop_after=3)
    journal = driver.folder / "optuna.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0])  # the study, and none of its trials
    again = make(space=SPACE)
    run(again)
    undisturbed = make("whole", space=SPACE)
    run(undisturbed)
    assert candidates_of(again) == candidates_of(undisturbed)
    assert values_of(again) == values_of(undisturbed)


def test_two_workers_are_given_different_candidates_at_the_same_time(make: Make) -> None:
    driver = make(space=SPACE, search=TPE(startup=1))
    first, second = driver.next(), driver.next()
    assert first is not None
    assert second is not None
    assert first.factors != second.factors
    carry(driver, second)
    carry(driver, first)
    run(driver)
    assert {trial.state.name for trial in optuna_trials(driver)} == {"COMPLETE"}


def test_candidates_share_their_seeds_and_one_that_comes_again_has_further_ones(make: Make) -> None:
    from gansweep import choice

    driver = make(space={"n_critic": choice(1, 2)}, draws=6, repeats=2)
    run(driver)
    seeds: dict[str, list[int]] = {}
    for planned in driver.plan:
        seeds.setdefault(planned.cell, []).append(planned.config.seed)
    asked = [one["occurrence"] for one in candidates_of(driver)]
    assert max(asked) >= 2  # two different points, asked for six times
    assert len({tuple(seeds[f"c{n:03d}"]) for n, times in enumerate(asked) if times == 0}) == 1
    assert len({planned.id for planned in driver.plan}) == 12


# What a candidate is worth


def test_the_value_of_a_candidate_is_the_mean_over_its_seeds(make: Make) -> None:
    driver = make(space=SPACE, repeats=3, draws=2)
    run(driver)
    for trial in optuna_trials(driver):
        scores = [driver.outcomes[name]["inception_score"] for name in trial.user_attrs["gansweep.trials"]]
        assert trial.value == pytest.approx(sum(scores) / 3)
        assert trial.user_attrs["gansweep.verdict"] == "trained 3"


def diverging(assignment: Assignment, step: int) -> float:
    """The larger beta does not survive."""
    return math.nan if assignment.factors["generator_optimizer.beta1"] > 0.45 else quality(assignment, step)


def test_a_diverged_candidate_is_pruned_with_its_reason_and_breaks_the_limit(make: Make) -> None:
    driver = make(space=SPACE)
    run(driver, diverging)
    found = Counter(trial.state.name for trial in optuna_trials(driver))
    verdicts = Counter(outcome["verdict"] for outcome in driver.outcomes.values())
    assert found["PRUNED"] == verdicts["diverged"] > 0
    assert found["COMPLETE"] == verdicts["trained"] > 0
    for trial in optuna_trials(driver):
        bad = trial.params["generator_optimizer.beta1"] > 0.45
        assert trial.constraints == {"failures": 1.0 if bad else 0.0}
        if bad:
            assert trial.user_attrs["gansweep.verdict"] == "diverged"
            assert "not finite" in trial.user_attrs["gansweep.evidence"]
            assert "a rule ended it" in trial.user_attrs["gansweep.reason"]
            assert trial.value is None


@pytest.mark.parametrize(
    ("search", "state"),
    [(TPE(startup=8), "PRUNED"), pytest.param(GP(startup=8), "COMPLETE", marks=pytest.mark.slow)],
)
def test_failures_are_learnt_from(search: Any, state: str, tmp_path: Path) -> None:
    # two thirds of the space diverge, and everything else is worth the same
    asked = CandidateSearch(
        tmp_path / "journal", "run", directions=["maximize"], space=SPACE, search=search, pruner=None, seed=0
    )
    bad = []
    for number in range(40):
        candidate = asked.ask()
        asked.add(f"c{number}", candidate)
        bad.append(candidate["factors"]["generator_optimizer.beta1"] > 0.3)
        value = None if bad[-1] and state == "PRUNED" else [1.0 if bad[-1] else 3.0]
        told = TrialState[state] if bad[-1] else TrialState.COMPLETE
        asked.end(f"c{number}", told, value, {"failures": float(bad[-1])}, {})
    # of twenty random candidates fourteen would fail, with a standard deviation of two
    assert sum(bad[20:]) <= 8


def test_a_failed_run_counts_as_the_study_says_it_does(make: Make) -> None:
    driver = make(space=SPACE, repeats=2, failed_scores=WORST)
    run(driver, lambda assignment, step: math.nan if assignment.seed % 2 else quality(assignment, step))
    parities = [planned.config.seed % 2 for planned in driver.plan][:2]
    share = sum(parities) / 2
    for trial in optuna_trials(driver):
        scores = [driver.outcomes[name].get("inception_score", 1.0) for name in trial.user_attrs["gansweep.trials"]]
        assert (trial.state.name, trial.value) == ("COMPLETE", pytest.approx(sum(scores) / 2))
        assert trial.constraints == {"failures": share}


def test_a_candidate_with_a_failed_seed_has_no_mean_over_the_survivors(make: Make) -> None:
    driver = make(space=SPACE, repeats=4, draws=2)
    seeds = driver.plan.candidate_seeds()
    run(driver, lambda assignment, step: math.nan if assignment.seed == seeds[1] else quality(assignment, step))
    assert [(trial.state.name, trial.values) for trial in optuna_trials(driver)] == [("PRUNED", None)] * 2


def test_a_candidate_that_the_machine_lost_is_failed_and_not_judged(make: Make) -> None:
    driver = make(space=SPACE, draws=3)
    first = driver.next()
    assert first is not None
    driver.take(first.trial, Report(row=row(2, inception_score=2.0), facts=FACTS))
    driver.take(first.trial, Report(over=True, failure="crashed", error="Traceback:\nValueError: no"))
    run(driver)
    trials = optuna_trials(driver)
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[0].user_attrs["gansweep.failure"] == "crashed"
    assert driver.counts()["failed"] == 1


def test_several_arms_of_a_candidate_are_averaged(make: Make) -> None:
    axes = {"objective": {"wgan": {}, "gan": {"loss": NonSaturating()}}}
    driver = make(space=SPACE, axes=axes, draws=2)
    run(driver, lambda assignment, step: 2.0 if assignment.arm == "gan" else 4.0)
    assert [trial.value for trial in optuna_trials(driver)] == [3.0, 3.0]
    assert len(driver.outcomes) == 4


# Stock pruners


def test_wilcoxon_ends_a_candidate_between_its_seeds_and_the_counts_add_up(make: Make) -> None:
    driver = make(**FORMS["wilcoxon"] | {"draws": 3, "repeats": 6})
    order = iter((3.0, 1.0, 2.0))
    levels: dict[str, float] = {}

    def fixed(assignment: Assignment, step: int) -> float:
        level = levels.setdefault(json.dumps(assignment.factors), 0.0) or next(order)
        levels[json.dumps(assignment.factors)] = level
        return level + (assignment.seed % 7) / 100

    run(driver, fixed)
    best, worse, second = optuna_trials(driver)
    assert [trial.state.name for trial in (best, worse, second)] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert worse.user_attrs["gansweep.reason"] == "ended by Wilcoxon"
    ended = [driver.outcomes[name] for name in worse.user_attrs["gansweep.trials"]]
    assert [one["decision"] for one in ended] == ["completed"] * 4 + ["pruned"] * 2
    for one in ended[4:]:  # four seeds suffice at p < 0.1
        assert (one["status"], one["decision_rule"], one["decision_step"]) == ("done", "Wilcoxon", 0)
        assert one.get("verdict") is None
        assert one["attempts"] == 0
    assert driver.counts() == dict.fromkeys(driver.counts(), 0) | {"planned": 18, "done": 18}


def test_hyperband_ends_runs_that_fall_behind_and_invents_no_verdict(make: Make) -> None:
    driver = make(**FORMS["hyperband"], draws=12)
    run(driver)
    cut = [one for one in driver.outcomes.values() if one.get("decision") == "pruned"]
    assert 0 < len(cut) < 12
    for one in cut:
        assert (one["decision_rule"], one.get("verdict"), one["status"]) == ("Hyperband", None, "done")
        assert 0 < one["step"] == one["decision_step"] < 6
    states = Counter(trial.state.name for trial in optuna_trials(driver))
    assert states == {"PRUNED": len(cut), "COMPLETE": 12 - len(cut)}


def test_our_rules_act_before_a_stock_pruner(make: Make) -> None:
    driver = make(**FORMS["hyperband"])
    run(driver, diverging)
    for one in driver.outcomes.values():
        if one.get("verdict") == "diverged":
            assert one["decision_rule"] == "Diverged"


# Several goals


def test_two_goals_are_told_for_every_candidate_and_rules_still_end_runs(make: Make) -> None:
    driver = make(**FORMS["nsga2"], repeats=2, rules=(Diverged(), BelowScore(minimum=4.5)))
    run(driver, diverging)
    trials = optuna_trials(driver)
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for trial in trials:
        ended = [driver.outcomes[name] for name in trial.user_attrs["gansweep.trials"]]
        share = sum(one["verdict"] != "trained" for one in ended) / 2
        assert trial.values[1] == share
        if ended[0]["verdict"] == "diverged":
            assert trial.values == [1.0, 1.0]
            assert ended[0]["step"] == 2  # within one report
    study = driver.search.search.study  # type: ignore[union-attr]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]


# What the records say


def test_the_frames_have_a_row_for_every_trial_also_of_candidates_that_are_not_asked_for_yet(
    make: Make, store: str, tmp_path: Path
) -> None:
    driver = make()
    run(driver, stop_after=3)
    driver.recorder.close(finished=False)
    results = records.read(store, f"{tmp_path.name}-run")
    assert list(results.trials["position"]) == list(range(7))
    assert list(results.trials["status"]) == ["done"] * 3 + ["planned"] * 4
    assert results.trials["trial"].is_unique
    assert results.trials["trial"].str.startswith("undrawn-").tolist() == [False] * 3 + [True] * 4
    for planned, (_, told) in zip(driver.plan, results.trials.iterrows(), strict=False):
        for factor in driver.study.factors:
            drawn = planned.factors.get(factor)
            assert told[factor] == drawn if drawn is not None else told.isna()[factor]


# Real processes


def optuna_states(home: Path, run_name: str) -> list[tuple[str, Any]]:
    journal = JournalStorage(JournalFileBackend(str(home / "studies" / run_name / "optuna.journal")))
    study = optuna.load_study(study_name=run_name, storage=journal)
    return [(trial.state.name, trial.params) for trial in study.trials]


def frames_without_clock(home: Path, run_name: str) -> tuple[str, str]:
    """The exported frames, without what a clock says."""
    results = records.read(records.default_uri(home), run_name)
    clock = [c for c in results.trials if c.endswith("_seconds")]
    clock += ["started_at", "ended_at", "attempts", "losses", "run_id"]
    return results.trials.drop(columns=clock).to_csv(), results.steps.drop(columns="seconds").to_csv()


@pytest.mark.long
def test_a_search_whose_driver_was_killed_ends_as_an_undisturbed_one(
    as_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    selection, homes = (
        Selection(file=str(STUDY), preset="long"),
        [as_home(tmp_path / name) for name in ("killed", "whole")],
    )
    command = [str(Path(sys.executable).with_name("gansweep")), "launch", str(STUDY), "--preset", "long", "--inline"]
    process = subprocess.Popen([*command, "--home", str(homes[0])], stdout=subprocess.DEVNULL)
    folder = homes[0] / "studies" / "tuned-long"
    asked, deadline = folder / "candidates.jsonl", time.monotonic() + 300
    while not asked.exists() or len(asked.read_bytes().splitlines()) < 2:  # in the midst of the second
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert len(list(folder.glob("trials/*/outcome.json"))) < 5
    for name in ("data", "classifiers"):
        shutil.copytree(homes[0] / name, homes[1] / name)
    for home in homes:
        swept = sweep(selection, Settings(home=home, executor="inline"))
        assert swept.complete
        assert swept.counts["planned"] == swept.counts["done"] == 5
    candidates = [(home / "studies" / "tuned-long" / "candidates.jsonl").read_text() for home in homes]
    assert candidates[0] == candidates[1]
    assert optuna_states(homes[0], "tuned-long") == optuna_states(homes[1], "tuned-long")
    assert frames_without_clock(homes[0], "tuned-long") == frames_without_clock(homes[1], "tuned-long")
    again = sweep(selection, Settings(home=homes[0], executor="inline"))  # nothing is left to do
    assert again.counts == swept.counts
    assert len(optuna_states(homes[0], "tuned-long")) == 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tune_wgan_gp", "tune_wgan_gp_failures"])
def test_both_forms_run_on_ray_and_show_in_the_dashboard_of_optuna(name: str, tmp_path: Path) -> None:
    file = STUDY.parents[1] / "studies" / f"{name}.py"
    swept = sweep(Selection(file=str(file), preset="smoke"), Settings(home=tmp_path, executor="tune", workers=2))
    assert swept.complete
    journal = tmp_path / "studies" / f"{name}-smoke" / "optuna.journal"
    port = free_port()
    command = [str(Path(sys.executable).with_name("optuna-dashboard")), str(journal), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        shown = ask(f"http://127.0.0.1:{port}/api/studies/0")
    finally:
        process.terminate()
        process.wait()
    results = records.read(records.default_uri(tmp_path), f"{name}-smoke")
    found = tuning.candidates(results.trials, results.plan)
    expected = {"evaluated": "Complete", "ended early": "Pruned", "failed": "Pruned", "lost": "Fail"}
    assert [trial["state"] for trial in shown["trials"]] == [expected[state] for state in found["state"]]
    for trial, (_, candidate) in zip(shown["trials"], found.iterrows(), strict=True):
        if trial["state"] == "Complete":
            told = [candidate[goal["name"]] for goal in results.plan["search"]["goals"]]
            assert trial["values"] == pytest.approx(told)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def ask(url: str) -> Any:
    """What a server that is starting answers."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
