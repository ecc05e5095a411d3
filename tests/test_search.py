"""Optuna behind one door: cells that are drawn once, pruners that work in stock studies, a journal that goes on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from gansweep import (
    Collapsed,
    Diverged,
    Frozen,
    GradientPenalty,
    Grid,
    InceptionScore,
    NGramDivergence,
    Sobol,
    WeightClip,
    choice,
    either,
    integers,
    log_uniform,
    uniform,
)
from gansweep.search import Search, VerdictPruner, draw_cells, ending
from gansweep.space import corners, factor_values, fields_of, parameters

SPACE = {"depth": choice(4, 8, 12), "width": integers(1, 4), "norm": choice(True, False)}  # 24 cells
RULES = (Diverged(), Frozen(patience=3), Collapsed(patience=3))
ARMS = ("gan", "wgan_gp")


def keys(cells: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(sorted(cell.items())) for cell in cells]


# Drawing cells


def test_a_shorter_draw_is_the_beginning_of_a_longer_one() -> None:
    longest = draw_cells(SPACE, 24, seed=0)
    for draws in (1, 5, 23):
        assert draw_cells(SPACE, draws, seed=0) == longest[:draws]


def test_cells_are_drawn_without_replacement_until_the_space_is_exhausted() -> None:
    cells = keys(draw_cells(SPACE, 24, seed=1))
    every = {(("depth", d), ("norm", n), ("width", w)) for d in (4, 8, 12) for n in (True, False) for w in range(1, 5)}
    assert len(cells) == 24
    assert set(cells) == every


def test_cells_depend_on_the_seed_and_on_nothing_else() -> None:
    assert draw_cells(SPACE, 10, seed=2) == draw_cells(SPACE, 10, seed=2)
    assert draw_cells(SPACE, 10, seed=2) != draw_cells(SPACE, 10, seed=3)


def test_every_option_is_equally_likely() -> None:
    # 2,000 draws: each third has standard error sqrt(2/9 / 2000) = 0.0105; four are allowed
    space = {"kind": choice("a", "b", "c"), "tag": uniform(0, 1)}
    counts = Counter(cell["kind"] for cell in draw_cells(space, 2000, seed=0))
    assert all(count / 2000 == pytest.approx(1 / 3, abs=0.042) for count in counts.values())
    assert set(counts) == {"a", "b", "c"}


def test_ranges_are_kept_and_a_logarithmic_one_is_uniform_in_the_logarithm() -> None:
    space = {"lr": log_uniform(1e-4, 1e-2), "size": uniform(-1, 1), "num": integers(2, 5)}
    cells = draw_cells(space, 1000, seed=0)
    assert all(1e-4 <= c["lr"] <= 1e-2 and -1 <= c["size"] <= 1 and c["num"] in (2, 3, 4, 5) for c in cells)
    # half of the draws below the geometric mean; standard error sqrt(0.25 / 1000) = 0.016
    assert sum(c["lr"] < 1e-3 for c in cells) / 1000 == pytest.approx(0.5, abs=0.064)


def test_without_a_space_there_is_one_empty_cell() -> None:
    assert draw_cells({}, 1, seed=0) == [{}]


# Branches

BRANCHED = {
    "depth": choice(4, 8),
    "constraint kind": either(
        clipping={"constraint": WeightClip(), "constraint.bound": log_uniform(1e-3, 0.1)},
        penalty={"constraint": GradientPenalty(), "constraint.weight": choice(1, 10, 100)},
        none={"constraint": None},
    ),
}


def test_a_cell_draws_what_its_branch_draws_and_nothing_else() -> None:
    cells = draw_cells(BRANCHED, 200, seed=0)
    drawn = {"clipping": "constraint.bound", "penalty": "constraint.weight", "none": None}
    for cell in cells:
        expected = {"depth", "constraint kind", drawn[cell["constraint kind"]]} - {None}
        assert set(cell) == expected
    # the space has 2 x (infinitely many + 3 + 1) cells; all eight of the finite branches come in 200 draws
    counts = Counter(cell["constraint kind"] for cell in cells)
    assert (counts["penalty"], counts["none"]) == (6, 2)


def test_a_branch_sets_its_fixed_fields_beside_what_it_draws() -> None:
    fields = fields_of(BRANCHED, {"depth": 4, "constraint kind": "penalty", "constraint.weight": 10})
    assert fields == {"depth": 4, "constraint": GradientPenalty(), "constraint.weight": 10}


def test_parameters_of_different_branches_have_names_of_their_own() -> None:
    space = {"kind of rate": either(low={"lr": log_uniform(1e-5, 1e-4)}, high={"lr": log_uniform(1e-3, 1e-2)})}
    assert [name for name, _, _ in parameters(space)] == ["kind of rate", "lr (low)", "lr (high)"]
    assert {tuple(cell) for cell in draw_cells(space, 10, seed=0)} == {("kind of rate", "lr")}
    assert factor_values(space) == {"kind of rate": ["low", "high"], "lr": None}


def test_the_first_cells_of_branches_come_with_every_other_option() -> None:
    kinds = [cell["constraint kind"] for cell in corners(BRANCHED)]
    assert set(kinds) == {"clipping", "penalty", "none"}
    assert {cell.get("constraint.weight") for cell in corners(BRANCHED)} == {None, 1, 10, 100}
    assert {cell["depth"] for cell in corners(BRANCHED)} == {4, 8}


def test_an_optuna_trial_of_a_branch_has_the_parameters_of_that_branch(tmp_path: Path) -> None:
    search = Search(tmp_path / "journal", "run", VerdictPruner(*RULES), InceptionScore())
    cells = {cell["constraint kind"]: cell for cell in draw_cells(BRANCHED, 20, seed=0)}
    for name, cell in cells.items():
        search.start(name, {**cell, "arm": "gan"}, BRANCHED, ARMS)
    found = {trial.user_attrs["gansweep.trial_id"]: trial.params for trial in search.study.get_trials()}
    assert set(found["clipping"]) == {"depth", "constraint kind", "constraint.bound (clipping)", "arm"}
    assert set(found["none"]) == {"depth", "constraint kind", "arm"}


# Designs


def test_a_sobol_sequence_covers_the_space_more_evenly_than_chance() -> None:
    space = {"x": uniform(0, 1), "y": log_uniform(1e-4, 1), "kind": choice("a", "b", "c", "d")}
    cells = draw_cells(space, 64, seed=0, search=Sobol())
    assert cells == draw_cells(space, 64, seed=0, search=Sobol())
    assert cells[:10] == draw_cells(space, 10, seed=0, search=Sobol())
    assert cells != draw_cells(space, 64, seed=1, search=Sobol())
    # by chance 16 +- 3.5 of 64 cells have each option; the discrepancy of 64 random points is about 0.02
    assert set(Counter(cell["kind"] for cell in cells).values()) <= {15, 16, 17}
    points = np.array([[cell["x"], 1 + math.log10(cell["y"]) / 4] for cell in cells])
    chance = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(points) < qmc.discrepancy(chance) / 4


def test_a_sobol_sequence_has_branches_and_constants() -> None:
    cells = draw_cells({**BRANCHED, "one": choice(7)}, 8, seed=0, search=Sobol())
    assert {cell["constraint kind"] for cell in cells} == {"clipping", "penalty", "none"}
    assert {cell["one"] for cell in cells} == {7}


def test_a_grid_is_the_product_in_the_order_of_the_space() -> None:
    space = {"depth": choice(4, 8), "num": integers(1, 3), "lr": log_uniform(1e-4, 1e-2, steps=3)}
    cells = draw_cells(space, 18, seed=5, search=Grid())
    assert len(cells) == 18
    assert [cell["lr"] for cell in cells[:3]] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert [(cell["depth"], cell["num"]) for cell in cells[::3]] == [(d, n) for d in (4, 8) for n in (1, 2, 3)]


def test_a_grid_goes_through_every_branch() -> None:
    space = {"kind of x": either(a={"x": choice(1, 2)}, b={"y": integers(0, 8, steps=3)}, c={})}
    found = draw_cells(space, 6, seed=0, search=Grid())
    assert [cell.get("x") for cell in found] == [1, 2, None, None, None, None]
    assert [cell.get("y") for cell in found] == [None, None, 0, 4, 8, None]


def test_a_range_without_steps_has_no_grid() -> None:
    with pytest.raises(ValueError, match="a grid needs the number of steps of the range 0 to 1"):
        draw_cells({"x": uniform(0, 1)}, 3, seed=0, search=Grid())


# Our rules in a stock Optuna study


def outcome_of(objective: Callable[[optuna.Trial], float], pruner: BasePruner) -> FrozenTrial:
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=1)
    return study.trials[0]


def reporting(score: Callable[[int], float], steps: int = 10) -> Callable[[optuna.Trial], float]:
    def objective(trial: optuna.Trial) -> float:
        for step in range(1, steps + 1):
            trial.report(score(step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 5.0

    return objective


def test_our_pruner_stops_a_stock_trial_at_its_first_nan() -> None:
    trial = outcome_of(reporting(lambda step: math.nan if step >= 4 else 3.0), VerdictPruner(*RULES))
    assert trial.state == TrialState.PRUNED
    assert max(trial.intermediate_values) == 4


def test_our_pruner_stops_a_stock_trial_whose_score_stays_1() -> None:
    trial = outcome_of(reporting(lambda step: 1.0), VerdictPruner(*RULES))
    assert trial.state == TrialState.PRUNED
    assert max(trial.intermediate_values) == 3  # the patience of the rule


def test_our_pruner_lets_a_healthy_stock_trial_run() -> None:
    trial = outcome_of(reporting(lambda step: 1.0 + 0.2 * step), VerdictPruner(*RULES))
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 5.0)


def test_the_pruner_says_what_it_found() -> None:
    pruner = VerdictPruner(*RULES)
    trial = outcome_of(reporting(lambda step: 1.0), pruner)
    finding = pruner.finding(trial)
    assert finding is not None
    assert (finding.verdict.value, finding.step, finding.rule) == ("collapsed", 1, "Collapsed")


def test_the_reported_value_can_be_another_score() -> None:
    pruner = VerdictPruner(Collapsed(score="precision", limit=0.1), score="precision")
    assert outcome_of(reporting(lambda step: 0.05), pruner).state == TrialState.PRUNED


# A search


def opened(path: Path, pruner: BasePruner | None = None) -> Search:
    return Search(path / "journal", "run", pruner or VerdictPruner(*RULES), InceptionScore())


def begin(search: Search, trial: str, depth: int = 4, arm: str = "gan") -> None:
    search.start(trial, {"depth": depth, "arm": arm}, {"depth": choice(4, 8)}, ARMS)


def row(step: int, score: float | None = 3.0, **columns: Any) -> dict[str, Any]:
    scored = {} if score is None else {"inception_score": score}
    healthy = {"loss_generator": 0.5, "gradient_norm_generator": 1.0, "nonfinite_step": None}
    return {"step": step, **healthy, **scored, **columns}


def frozen(search: Search, number: int = 0) -> FrozenTrial:
    return search.study.get_trials()[number]


def test_a_trial_carries_its_cell_its_arm_and_its_id(tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa", depth=8, arm="wgan_gp")
    begin(search, "bb", depth=4, arm="gan")
    assert [t.params for t in search.study.get_trials()] == [{"depth": 8, "arm": "wgan_gp"}, {"depth": 4, "arm": "gan"}]
    assert [t.user_attrs["gansweep.trial_id"] for t in search.study.get_trials()] == ["aa", "bb"]
    assert {t.state for t in search.study.get_trials()} == {TrialState.RUNNING}
    assert not search.has_end("aa")
    assert not search.has_end("cc")


def test_starting_twice_makes_one_trial(tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    begin(search, "aa")
    assert len(search.study.get_trials()) == 1


def test_T_32_losses_feed_the_rules_and_are_never_the_value_that_is_searched(tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    for step in (10, 20, 30):
        search.report("aa", row(step, score=None, gradient_norm_generator=0.0))
    assert frozen(search).intermediate_values == {}
    assert search.would_prune("aa")


@pytest.mark.parametrize(
    ("bad", "prunes"),
    [
        ({}, False),
        ({"loss_generator": math.nan}, True),
        ({"nonfinite_step": 7}, True),
        ({"inception_score": math.nan}, True),
    ],
)
def test_a_diverged_trial_is_pruned_within_one_report(bad: dict[str, Any], prunes: bool, tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    search.report("aa", row(10))
    assert not search.would_prune("aa")
    search.report("aa", row(20, **bad))
    assert search.would_prune("aa") is prunes
    again = opened(tmp_path)
    for one in (row(10), row(20, **bad)):  # as a new driver does, from the trial's directory
        again.report("aa", one)
    assert again.would_prune("aa") is prunes


def test_a_repeated_or_older_report_is_left_as_it_is(tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    for step, score in ((10, 2.0), (20, 3.0), (20, 9.0), (10, 9.0)):
        search.report("aa", row(step, score))
    assert frozen(search).intermediate_values == {10: 2.0, 20: 3.0}
    assert [one["inception_score"] for one in search.rows["aa"]] == [2.0, 3.0]


def test_reports_are_kept_while_their_trial_runs_and_never_in_the_journal(tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    begin(search, "bb")
    for step in range(1, 50):
        search.report("aa", row(step, score=None))
    assert len(search.rows["aa"]) == 49
    assert len((tmp_path / "journal").read_bytes().splitlines()) == 3  # the study and two trials
    search.end("aa", ended("done", decision="pruned"))
    assert list(search.rows) == ["bb"]


def ended(status: str = "done", score: float | None = None, **columns: Any) -> dict[str, Any]:
    return {"status": status, "inception_score": score, **columns}


def test_a_search_that_is_opened_again_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    first = opened(tmp_path)
    begin(first, "aa")
    begin(first, "bb", depth=8)
    first.report("aa", row(10, 2.0))
    first.report("bb", row(10, 2.5))
    first.end("bb", ended(score=2.5, verdict="trained"))

    again = opened(tmp_path)
    assert (again.has_end("aa"), again.has_end("bb")) == (False, True)
    begin(again, "aa")
    begin(again, "bb", depth=8)
    begin(again, "cc")
    again.report("aa", row(10, 9.0))
    again.report("aa", row(20, 3.0))
    again.end("aa", ended(score=3.0, verdict="trained"))
    again.end("bb", ended("failed", failure="lost"))  # it has ended: nothing happens

    trials = opened(tmp_path).study.get_trials()
    assert [t.user_attrs["gansweep.trial_id"] for t in trials] == ["aa", "bb", "cc"]
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING]
    assert trials[0].intermediate_values == {10: 2.0, 20: 3.0}
    assert trials[1].user_attrs["gansweep.verdict"] == "trained"


def test_a_kill_after_any_line_of_the_journal_leaves_a_search_that_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    search = opened(whole)
    begin(search, "aa")
    search.report("aa", row(10, 2.0))
    search.end("aa", ended(score=2.0, verdict="trained"))
    lines = (whole / "journal").read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines) + 1):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "journal").write_bytes(b"".join(lines[:kept]))
        rest = opened(folder)
        begin(rest, "aa")
        rest.report("aa", row(10, 2.0))
        rest.end("aa", ended(score=2.0, verdict="trained"))
        (trial,) = rest.study.get_trials()
        assert (trial.state, trial.value, trial.params) == (TrialState.COMPLETE, 2.0, {"depth": 4, "arm": "gan"})
        assert trial.intermediate_values == {10: 2.0}
        assert trial.user_attrs["gansweep.verdict"] == "trained"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (ended(score=2.0), TrialState.COMPLETE),
        (ended(score=2.0, decision="pruned"), TrialState.PRUNED),
        (ended("failed", failure="oom"), TrialState.FAIL),
    ],
)
def test_every_end_is_told_once_with_its_reason(outcome: dict[str, Any], state: TrialState, tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    search.report("aa", row(10, 2.0))
    for _ in range(2):
        search.end("aa", {**outcome, "verdict": "collapsed", "evidence": "all alike"})
    trial = frozen(search)
    assert trial.state == state
    assert trial.user_attrs["gansweep.evidence"] == "all alike"
    assert search.has_end("aa")


def test_a_pruned_trial_with_a_nan_ends_as_pruned(tmp_path: Path) -> None:
    search = opened(tmp_path)
    begin(search, "aa")
    search.report("aa", row(10, math.nan))
    search.end("aa", ended(score=math.nan, decision="pruned", verdict="diverged"))
    assert opened(tmp_path).study.get_trials()[0].state == TrialState.PRUNED


@pytest.mark.parametrize(
    ("status", "decision", "score", "state"),
    [
        ("done", "completed", 3.0, TrialState.COMPLETE),
        ("done", "audited", 1.0, TrialState.COMPLETE),
        ("done", "pruned", 1.0, TrialState.PRUNED),
        ("done", "completed", math.nan, TrialState.FAIL),
        ("done", "completed", None, TrialState.FAIL),
        ("failed", None, 3.0, TrialState.FAIL),
        ("cancelled", None, None, TrialState.FAIL),
    ],
)
def test_the_optuna_state_says_what_happened(
    status: str, decision: str | None, score: float | None, state: TrialState
) -> None:
    assert ending(status, decision, score) == state


def test_a_stock_median_pruner_works_here(tmp_path: Path) -> None:
    search = opened(tmp_path, optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=0))
    for number, score in enumerate((5.0, 6.0)):
        begin(search, f"good{number}")
        for step in (10, 20):
            search.report(f"good{number}", row(step, score))
        search.end(f"good{number}", ended(score=score))
    begin(search, "bad")
    search.report("bad", row(10, score=None))
    assert not search.would_prune("bad")  # nothing was scored yet
    search.report("bad", row(20, 1.5))
    assert search.would_prune("bad")
    begin(search, "best")
    search.report("best", row(10, 7.0))
    assert not search.would_prune("best")


def test_a_score_of_which_less_is_better_is_minimised(tmp_path: Path) -> None:
    directions = {
        metric.name: Search(tmp_path / metric.name, "run", VerdictPruner(*RULES), metric).study.direction.name
        for metric in (InceptionScore(), NGramDivergence())
    }
    assert directions == {"inception_score": "MAXIMIZE", "js_4": "MINIMIZE"}


# A journal that was closed


def with_one_ended(path: Path) -> Search:
    search = opened(path)
    begin(search, "aa")
    search.report("aa", row(10))
    search.end("aa", ended())
    begin(search, "bb")
    search.close()
    return search


def test_a_closed_journal_is_read_again_only_where_something_is_to_be_added(tmp_path: Path) -> None:
    with_one_ended(tmp_path)
    journal = (tmp_path / "journal").read_bytes()
    again = opened(tmp_path)
    assert (again.has_end("aa"), again.has_end("bb")) == (True, False)
    begin(again, "aa")
    assert "_storage" not in vars(again)  # nothing has opened it
    again.close()
    assert (tmp_path / "journal").read_bytes() == journal
    third = opened(tmp_path)
    begin(third, "bb")
    assert len(third.study.get_trials()) == 2
    third.report("bb", row(10))
    third.end("bb", ended())
    third.close()
    assert opened(tmp_path).has_end("bb")


def lengthened(journal: Path) -> None:
    # a driver that was killed before it closed the journal
    begin(opened(journal.parent), "cc")


def deleted(journal: Path) -> None:
    journal.unlink()


def mark_torn(journal: Path) -> None:
    # a machine that lost its power
    mark = journal.with_suffix(".ended")
    mark.write_bytes(mark.read_bytes()[:20])


@pytest.mark.parametrize(("change", "known"), [(lengthened, True), (deleted, False), (mark_torn, True)])
def test_a_journal_that_is_not_as_it_was_closed_is_read(
    change: Callable[[Path], None], known: bool, tmp_path: Path
) -> None:
    with_one_ended(tmp_path)
    change(tmp_path / "journal")
    again = opened(tmp_path)
    assert "_storage" in vars(again)
    assert again.has_end("aa") is known
    assert not again.has_end("bb")
