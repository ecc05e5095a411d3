"""Many trials: sweeps on virtual workers, and what the engine does again for each report."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gansweep import Diverged, choice, log_uniform, records
from gansweep.launch import sweep as launching
from gansweep.launch.console import LiveTable
from gansweep.launch.sweep import Settings, sweep
from gansweep.launch.tally import Tally
from gansweep.search import draw_cells
from gansweep.selection import Selection, load_study
from gansweep.study import Study
from gansweep.testing.simulated import Behaviour, rehearse, run, simulate, unrecorded_driver
from gansweep.training import check_fit

BENCHMARK = str(Path(__file__).parents[1] / "benchmarks" / "engine_study.py")
FAULTS = Behaviour(trained=8.0, untrained=0.0, diverge=0.2, crash=0.05, loss=0.02, hang=0.01)
OF_THE_CLOCK = ("started_at", "ended_at")


def study(draws: int, **changes: Any) -> Study:
    return dataclasses.replace(load_study(BENCHMARK).at("second", draws=draws), **changes)


def outcomes(study: Study, folder: Path, behaviour: Behaviour, workers: int) -> dict[str, dict[str, Any]]:
    driver, _ = rehearse(study, folder, behaviour, workers=workers)
    assert not driver.broken
    return {
        trial: {name: value for name, value in outcome.items() if name not in OF_THE_CLOCK}
        for trial, outcome in driver.outcomes.items()
    }


def test_what_becomes_of_a_trial_does_not_depend_on_how_many_workers_there_are(tmp_path: Path) -> None:
    one, many = (outcomes(study(30), tmp_path / str(n), FAULTS, workers=n) for n in (1, 40))
    assert len(one) == 60
    assert one == many


def test_losses_hangs_crashes_and_divergence_end_in_the_counts_they_should(tmp_path: Path) -> None:
    driver, told = rehearse(study(60), tmp_path / "a", FAULTS, workers=20)
    counts = driver.counts()
    assert counts.pop("planned") == sum(counts.values()) == 120
    assert counts["done"] + counts["failed"] == 120
    ended = list(driver.outcomes.values())
    crashed = [outcome for outcome in ended if outcome["status"] == "failed"]
    assert counts["failed"] == len(crashed) > 0
    assert {outcome["failure"] for outcome in crashed} == {"crashed"}
    verdicts = Counter(outcome["verdict"] for outcome in ended if outcome["status"] == "done")
    assert verdicts["diverged"] == pytest.approx(0.2 * 120, abs=15)
    # every loss is an attempt more, and no report is made twice
    losses = sum((Counter(outcome["losses"]) for outcome in ended), Counter[str]())
    assert min(losses["lost"], losses["hung"]) > 0
    assert sum(outcome["attempts"] for outcome in ended) == 120 + losses.total()
    crashes = len(crashed)
    assert told.reports == sum((outcome["step"] or 0) // 10 for outcome in ended) + crashes


def test_trials_that_lose_every_worker_fail_and_the_others_do_not(tmp_path: Path) -> None:
    deadly = Behaviour(trained=8.0, untrained=0.0, arms={"r1": {"hang": 1.0}})
    driver, _ = rehearse(study(6), tmp_path / "a", deadly, workers=3)
    ended = {driver.tally.trials[trial].arm: outcome for trial, outcome in driver.outcomes.items()}
    assert driver.broken or ended["r1"]["failure"] == "hung"
    assert ended["none"]["status"] == "done"


def test_a_behaviour_is_what_it_says_of_successes(tmp_path: Path) -> None:
    planted = Behaviour(trained=8.0, untrained=0.0, success=0.9, arms={"r1": {"success": 0.3}})
    driver, _ = rehearse(study(60), tmp_path / "a", planted, workers=10)
    arms = driver.tally.arms
    assert arms["none"].verdicts["trained"] == pytest.approx(54, abs=9)
    assert arms["r1"].verdicts["trained"] == pytest.approx(18, abs=12)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"success": 1.5}, "Behaviour.success = 1.5 must lie in [0, 1]"),
        ({"diverge": 0.6, "crash": 0.6}, "must be at most 1"),
        ({"arms": {"a": {"sucess": 0.5}}}, "did you mean 'success'?"),
    ],
)
def test_a_wrong_behaviour_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="Behaviour") as error:
        Behaviour(**fields)
    assert words in str(error.value)


def calls(act: Any) -> Counter[str]:
    """How often each function of gansweep was called, comprehensions too, and how often lines ran in them."""
    found: Counter[str] = Counter()

    def count(frame: Any, event: str, _: Any) -> Any:
        if "gansweep" not in frame.f_code.co_filename:
            return None
        found[event] += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        act()
    finally:
        sys.settrace(before)
    return found


def test_the_driver_and_its_table_do_no_more_for_a_report_of_a_large_study_than_of_a_small_one(tmp_path: Path) -> None:
    def lines_per_report(draws: int) -> float:
        healthy = Behaviour(trained=8.0, untrained=0.0)
        driver = unrecorded_driver(study(draws), tmp_path / str(draws))
        table = LiveTable(Console(file=io.StringIO()), driver, "study", 4)
        told: list[Any] = []
        lines = calls(lambda: told.append(run(driver, healthy, table.show, workers=4)))["line"]
        return lines / told[0].reports

    assert lines_per_report(40) < 1.1 * lines_per_report(10)


def test_the_ids_of_a_plan_are_those_of_its_trials() -> None:
    plan = study(20).plan()
    assert [trial.id for trial in plan] == [trial.config.id for trial in plan]


def test_what_became_of_a_trial_is_read_from_its_folder_and_not_kept(tmp_path: Path) -> None:
    driver, _ = rehearse(study(3), tmp_path / "a", FAULTS, workers=2)
    trial = next(iter(driver.outcomes))
    file = driver.folder / "trials" / trial / "outcome.json"
    assert driver.outcomes[trial] == json.loads(file.read_bytes())
    file.unlink()
    assert trial in driver.outcomes
    assert len(driver.outcomes) == 6
    with pytest.raises(AssertionError, match=f"trial {trial} has ended, and its outcome is gone"):
        driver.outcomes[trial]
    with pytest.raises(KeyError):
        driver.outcomes["another"]


def test_a_run_of_many_reports_is_not_searched_again_for_divergence_at_each(tmp_path: Path) -> None:
    def lines_per_report(steps: int) -> float:
        long = study(1, rules=(Diverged(),))
        long = dataclasses.replace(long, baseline=dataclasses.replace(long.baseline, steps=steps))
        healthy = Behaviour(trained=8.0, untrained=0.0)
        driver = unrecorded_driver(long, tmp_path / str(steps))
        told: list[Any] = []
        lines = calls(lambda: told.append(run(driver, healthy, lambda: None, workers=1)))["line"]
        return lines / told[0].reports

    assert lines_per_report(800) < 1.3 * lines_per_report(200)


def test_networks_that_trials_share_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: Counter[str] = Counter()
    many = study(50, space={"generator.width": choice(8, 16), "discriminator_optimizer.lr": log_uniform(1e-4, 1e-2)})
    from gansweep.data.opened import open_data

    data = open_data(many.baseline.data, None, "cpu").training
    for role in (type(many.baseline.generator), type(many.baseline.discriminator)):
        build = role.build

        def counted(self: Any, *, _build: Any = build, **options: Any) -> Any:
            built[type(self).__name__] += 1
            return _build(self, **options)

        monkeypatch.setattr(role, "build", counted)
    fitting: set[str] = set()
    for trial in many.plan():
        check_fit(trial.config, data, fitting)
    assert built == {"MLPGenerator": 2, "MLPDiscriminator": 1}


def test_the_tally_agrees_with_a_count_of_the_outcomes(tmp_path: Path) -> None:
    driver, _ = rehearse(study(40), tmp_path / "a", FAULTS, workers=10)
    tally: Tally = driver.tally
    for name, arm in tally.arms.items():
        ended = [outcome for trial, outcome in driver.outcomes.items() if tally.trials[trial].arm == name]
        assert arm.planned == len(ended) == 40
        assert arm.status == Counter(str(outcome["status"]) for outcome in ended)
        scores = [outcome["modes_captured"] for outcome in ended if outcome.get("modes_captured") is not None]
        assert arm.best == max(scores)
        assert arm.steps_to_come == 0
    assert tally.seconds_left([]) == 0


def test_cells_are_drawn_as_a_study_of_optuna_draws_them() -> None:
    import optuna

    from gansweep.randomness import derive_seed

    space = {"a": choice("x", 1, None), "b": log_uniform(1e-4, 1.0), "c": choice(3)}
    sampler = optuna.samplers.RandomSampler(seed=derive_seed(7, "cells", bits=31))
    asked = optuna.create_study(sampler=sampler)
    expected = [asked.ask({name: one.distribution() for name, one in space.items()}).params for _ in range(20)]
    assert draw_cells(space, 20, seed=7) == expected


@pytest.fixture(scope="module")
def finished(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a simulated study."""
    home = as_home(tmp_path_factory.mktemp("finished"))
    swept, told = simulate(selection(), Settings(home=home, workers=8), FAULTS)
    assert swept.complete
    assert not swept.unrecorded
    assert told.virtual_seconds > 1
    return home


def selection() -> Selection:
    return Selection(file=BENCHMARK, preset="second", draws=10)


def test_a_simulated_study_is_recorded_like_any_other_and_says_that_it_is_none(finished: Path) -> None:
    results = records.read(records.default_uri(finished), "engine-second-draws10")
    assert len(results.trials) == 20
    assert set(results.trials["status"]) <= {"done", "failed"}
    reported = results.trials[results.trials["step"].notna()]
    assert set(reported["device"]) == {"simulated"}
    last = results.steps.groupby("trial")["step"].max().to_dict()
    assert last == reported.set_index("trial")["step"].to_dict()


def test_what_was_simulated_is_never_taken_for_trained(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="simulated: nothing in it was trained"):
        sweep(selection(), Settings(home=finished, executor="inline"))
    trained = tmp_path / "studies" / "engine-second-draws10" / "trials" / "0123456789ab"
    trained.mkdir(parents=True)
    with pytest.raises(ValueError, match="trained, not simulated"):
        simulate(selection(), Settings(home=tmp_path, workers=1), FAULTS)


def test_a_study_with_nothing_left_to_run_starts_no_executor(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = finished / "studies" / "engine-second-draws10" / "simulated"
    mark.unlink()
    monkeypatch.delitem(sys.modules, "gansweep.launch.tune", raising=False)
    monkeypatch.setattr(launching, "_executor", lambda *_: pytest.fail("an executor was started"))
    try:
        swept = sweep(selection(), Settings(home=finished))
    finally:
        mark.touch()
    assert swept.complete
    assert "gansweep.launch.tune" not in sys.modules
