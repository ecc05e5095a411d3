"""`gansweep why`: one trial's outcome and evidence, the nearest healthy trial, and where their curves part."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from gansweep import figures, story, telling
from gansweep.records import default_uri
from gansweep.stability import Verdict
from gansweep.testing import MadeUpResults, made_up_results

URI = "sqlite:///records/mlflow.db"
Points = dict[int, float]


def arranged(**columns: Any) -> MadeUpResults:
    """Three cells under two arms, all trained, with these columns of `trials`; trial i has the id made-up-0-0000i."""
    made = made_up_results(draws=3, pruned=False)
    trained = {"verdict": "trained", "evidence": "", "inception_score": [4.0, 5.0, 6.0, 7.0, 8.0, 9.0], "step": 2000}
    trained |= {"inception_score_best": 9.0, "inception_score_best_step": 2000.0}
    for name in made.plan["factors"]:
        trained[name] = made.trials[name].iloc[0]
    return dataclasses.replace(made, trials=made.trials.assign(**{**trained, **columns}))


def planned_as(results: MadeUpResults, **changes: Any) -> MadeUpResults:
    return dataclasses.replace(results, plan={**results.plan, **changes})


def reporting(results: MadeUpResults, *curves: dict[str, Points]) -> MadeUpResults:
    """The results with these reports: columns of steps and values for the first trials."""
    frames = [
        pd.DataFrame({name: pd.Series(points) for name, points in columns.items()})
        .rename_axis("step")
        .reset_index()
        .assign(trial=trial)
        for trial, columns in zip(results.trials["trial"], curves, strict=False)
    ]
    return dataclasses.replace(results, steps=pd.concat(frames, ignore_index=True))


def of(results: MadeUpResults, number: int = 0) -> story.Story:
    return story.tell(results, f"made-up-0-{number:05d}")


FIRST_FAILED = ["collapsed", *["trained"] * 5]


# --- the nearest healthy trial


def test_the_healthy_trial_is_of_the_same_cell_though_others_score_higher() -> None:
    told = of(arranged(verdict=FIRST_FAILED))
    assert told.healthy is not None
    assert story.named(told.healthy) == "c0000/wgan_gp"


def test_scores_of_two_protocols_are_not_set_side_by_side() -> None:
    protocols = ["raw", "average", "average", "average", "average", "average"]
    made = arranged(verdict=FIRST_FAILED, inception_score_protocol=protocols)
    curves = {"inception_score": {100: 1.0, 200: 1.0}, "gradient_norm_generator": {100: 1.0, 200: 50.0}}
    told = of(reporting(made, curves, {"inception_score": {100: 4.0}, "gradient_norm_generator": {100: 1.0, 200: 1.0}}))
    assert told.healthy is not None
    assert told.healthy["inception_score"] is None
    assert "inception_score" not in told.compared
    assert "gradient_norm_generator" in told.compared
    assert [parting["quantity"] for parting in told.partings] == ["gradient_norm_generator"]
    assert "another protocol, so the two are not compared" in told.sentences[-1]
    assert (told.rank, told.ranked) == (1, 1)
    alike = of(arranged(verdict=FIRST_FAILED, inception_score_protocol=["raw", "average", *["raw"] * 4]))
    assert alike.healthy is not None
    assert story.named(alike.healthy) == "c0000/wgan_gp", "the cell decides before the protocol"


def test_without_one_in_the_cell_the_fewest_differing_factors_decide_before_the_score() -> None:
    results = arranged(
        verdict=["collapsed", "diverged", *["trained"] * 4],
        **{"generator.depth": [4, 4, 4, 4, 8, 8], "generator.width": [32, 32, 64, 64, 64, 64]},
    )
    told = of(results)
    assert told.healthy is not None
    assert story.named(told.healthy) == "c0001/gan", "one factor; under the other arm one more"


def test_among_equally_near_trials_the_best_score_decides_and_then_the_plans_order() -> None:
    lost = ["collapsed", "collapsed", "trained", "collapsed", "trained", "collapsed"]
    best = of(arranged(verdict=lost)).healthy
    tied = of(arranged(verdict=lost, inception_score=4.0)).healthy
    (score,) = made_up_results().plan["scores"]
    lower = [{**score, "higher_is_better": False}]
    least = of(planned_as(arranged(verdict=lost), scores=lower)).healthy
    assert [one and story.named(one) for one in (best, tied, least)] == ["c0002/gan", "c0001/gan", "c0001/gan"]


def test_a_trial_that_has_not_ended_is_not_healthy() -> None:
    results = arranged(verdict=FIRST_FAILED, status=["done", "running", "done", "done", "done", "done"])
    told = of(results)
    assert told.healthy is not None
    assert told.healthy["cell"] != "c0000"


def test_the_fields_in_which_the_two_differ_are_named_with_both_values() -> None:
    told = of(arranged(verdict=FIRST_FAILED))
    assert {"field": "n_critic", "here": 1, "there": 5} in told.differs
    assert {"field": "constraint", "here": None, "there": "GradientPenalty"} in told.differs
    assert not {"batch_size", "seed", "generator.depth"} & {one["field"] for one in told.differs}


def test_where_nothing_trained_there_is_none_and_it_is_said() -> None:
    results = arranged(verdict="collapsed")
    assert of(results).healthy is None
    assert "No trial of this run trained" in printed(of(results))
    assert "No trial of this run trained" in telling.page(results, of(results), URI)


# --- where the curves part


@pytest.mark.parametrize(
    ("healthy", "here", "parts"),
    [
        ([2.0, 4.0, 4.0], [2.0, 8.0, 8.1], 300),  # over twice the top
        ([2.0, 4.0, 4.0], [1.0, 0.9, 4.0], 200),  # under half the bottom
        ([-2.0, -4.0, -4.0], [-2.0, -8.0, -8.1], 300),
        ([-2.0, -4.0, -4.0], [-2.0, -0.9, -4.0], 200),
        ([-1.0, 1.0, 1.0], [-2.0, 2.0, 1.0], None),  # a range around 0 is widened about its middle
        ([-1.0, 1.0, 1.0], [1.0, 2.1, 1.0], 200),
        ([2.0, 4.0, 4.0], [4.0, 2.0, 2.0], None),
    ],
)
def test_the_curves_part_at_the_first_report_outside_twice_the_healthy_range(
    healthy: list[float], here: list[float], parts: int | None
) -> None:
    steps = (100, 200, 300)
    curves = [{"gradient_norm_generator": dict(zip(steps, values, strict=True))} for values in (here, healthy)]
    told = of(reporting(arranged(verdict=FIRST_FAILED), *curves))
    assert [one["step"] for one in told.partings] == ([] if parts is None else [parts])


def test_a_score_that_stays_behind_parts_though_the_healthy_one_once_had_it() -> None:
    here = dict.fromkeys(range(100, 900, 100), 1.0)
    healthy = {step: step / 100 for step in range(100, 900, 100)}
    told = of(reporting(arranged(verdict=FIRST_FAILED), {"inception_score": here}, {"inception_score": healthy}))
    (parting,) = told.partings
    # from half the step on the healthy one has step / 200 or more, and 1 is under half of that after step 400
    assert parting == {"quantity": "inception_score", "step": 500, "value": 1.0, "low": 3.0, "high": 8.0}


def test_losses_are_compared_under_one_objective_only() -> None:
    curves = [{"loss_generator": {100: value}, "gradient_norm_generator": {100: value}} for value in (1.0, 9.0)]
    other_arm = of(reporting(arranged(verdict=FIRST_FAILED), *curves))
    verdicts = ["collapsed", "collapsed", "trained", "collapsed", "collapsed", "collapsed"]
    same_arm = of(reporting(arranged(verdict=verdicts), curves[0], {}, curves[1]))
    assert other_arm.compared == ["gradient_norm_generator"]
    assert {one["quantity"] for one in same_arm.partings} == {"loss_generator", "gradient_norm_generator"}


# --- what is said of it


@pytest.mark.parametrize(
    ("columns", "answer", "sentence"),
    [
        ({"verdict": "collapsed", "verdict_step": 150.0}, "collapsed, from step 150", "It ran to its end, step 2000."),
        ({"verdict": "diverged", "verdict_step": 3.0, "evidence": "loss inf"}, "diverged, from step 3", "loss inf."),
        ({"verdict": "below_threshold"}, "ended with a score that is no success", "It exceeds 6 of 17 thresholds"),
        ({"status": "planned", "verdict": None, "step": 0}, "has not started", "It is in the plan"),
        ({"status": "running", "verdict": None, "step": 40}, "is running, at step 40", "Its last Inception Score"),
        ({"status": "cancelled", "verdict": None, "step": 40}, "was stopped by its user, at step 40", "Score is 4"),
        (
            {"status": "failed", "failure": "oom", "verdict": None, "step": 40},
            "ran out of memory at step 40",
            "unknown",
        ),
        (
            {"status": "failed", "failure": "crashed", "verdict": None, "step": 0, "error": "Trace\nKeyError: 'x'\n"},
            "crashed at step 0",
            "The error: KeyError: 'x'",
        ),
        (
            {"verdict": "collapsed", "decision": "audited", "decision_rule": "Collapsed", "decision_step": 90.0},
            "collapsed",
            "The rule Collapsed would have stopped it at step 90",
        ),
        ({"verdict": "collapsed", "inception_score": None}, "collapsed", "It has no Inception Score at the end"),
    ],
)
def test_every_way_to_end_or_not_to_end_is_told_in_words(columns: dict[str, Any], answer: str, sentence: str) -> None:
    results = arranged(**columns)
    told = of(results)
    assert told.answer.startswith(f"c0000/gan {answer}")
    assert sentence in " ".join(told.sentences)
    assert told.answer in printed(told)
    assert told.answer in telling.page(results, told, URI)


def test_every_verdict_has_its_words() -> None:
    assert set(story.VERDICTS) == {str(verdict) for verdict in Verdict}


def test_a_healthy_trial_has_nothing_wrong_and_its_rank_in_its_arm() -> None:
    told = of(arranged(), 2)
    assert told.answer == "c0001/gan trained: nothing is wrong"
    assert (told.rank, told.ranked) == (2, 3)
    assert "number 2 of the 3 trials of its arm" in " ".join(told.sentences)
    assert told.healthy is None
    assert told.partings == []


def test_where_lower_is_better_the_rank_counts_from_below() -> None:
    (score,) = made_up_results().plan["scores"]
    lower = [{**score, "higher_is_better": False}]
    assert of(planned_as(arranged(), scores=lower), 0).rank == 1
    assert of(arranged(), 0).rank == 3


def test_a_study_without_thresholds_says_nothing_of_them() -> None:
    assert "threshold" not in " ".join(of(planned_as(arranged(), thresholds=[])).sentences)


def test_a_running_trial_is_at_its_last_report() -> None:
    results = arranged(status="running", verdict=None, step=float("nan"))
    told = of(reporting(results, {"loss_generator": {100: 1.0, 200: 2.0}}))
    assert told.answer == "c0000/gan is running, at step 200 of 2000"


def test_recorded_events_stand_in_the_order_of_steps_with_the_rules_words() -> None:
    events = [
        {"step": 900, "until": 1100, "rule": "Collapsed", "verdict": "collapsed", "evidence": "score 1.0"},
        {"step": 300, "until": None, "rule": "Exploding", "verdict": "exploding", "evidence": "norm 1e9"},
    ]
    told = of(arranged(events=json.dumps(events), inception_score_best_step=500.0))
    assert [(one["step"], one["what"]) for one in told.events] == [
        (0, "started"),
        (300, "exploding"),
        (500, "best"),
        (900, "collapsed"),
        (2000, "ended"),
    ]
    assert told.events[3] == {"step": 900, "until": 1100, "what": "collapsed", "told": "Collapsed: score 1.0"}
    assert "rules had found: collapsed from step 900, exploding from step 300" in " ".join(told.sentences)


def test_without_recorded_events_the_verdict_is_the_event() -> None:
    told = of(arranged(verdict="collapsed", verdict_step=150.0, evidence="score 1.0"))
    assert {"step": 150, "until": None, "what": "collapsed", "told": "score 1.0"} in told.events


def test_the_numbers_are_those_of_the_first_the_last_and_the_eventful_reports() -> None:
    curves = [{"inception_score": {100: 1.0, 300: 3.0}, "loss_generator": {100: 1.0, 200: 2.0, 300: 3.0, 400: 4.0}}]
    curves.append({"inception_score": {150: 5.0, 350: 6.0}})
    columns = {"verdict": FIRST_FAILED, "verdict_step": 200.0, "decision": "pruned", "decision_rule": "Collapsed"}
    columns["decision_step"] = 300.0
    told = of(reporting(arranged(**columns), *curves))
    assert [one["step"] for one in told.moments] == [100, 200, 300, 400]
    assert [one["inception_score"] for one in told.moments] == [1, 1, 3, 3]
    assert [one["healthy"] for one in told.moments] == [None, 5, 5, 6]


def test_the_arm_is_told_by_its_difference_from_the_baseline() -> None:
    told = of(arranged(), 1)
    assert {"field": "n_critic", "baseline": 1, "here": 5} in told.changes
    assert "constraint" not in [one["field"] for one in of(arranged(), 0).changes]
    assert told.configuration["batch_size"] == 64
    assert told.configuration["constraint.weight"] == 10.0


def test_the_protocol_of_a_score_is_the_one_that_the_trial_names() -> None:
    references = {"digits": {"real_score": 9.5}}
    protocols = {
        name: {"protocol": {"num_samples": n}, "references": references} for name, n in (("abc", 5), ("def", 7))
    }
    told = of(planned_as(arranged(inception_score_protocol="def"), protocols=protocols))
    assert told.protocols == {"inception_score": {"num_samples": 7, "digits real_score": 9.5}}


def test_the_facts_are_json_without_nan() -> None:
    results = made_up_results(draws=6, lost=1, running=1, planned=1)
    for trial in results.trials["trial"]:
        told = json.loads(json.dumps(story.facts(story.tell(results, trial)), allow_nan=False))
        assert told["trial"]["trial"] == trial


# --- which trial is meant


def named_trials() -> pd.DataFrame:
    rows = [
        ("abcd00000001", "c000", "gan", 1),
        ("abcd00000002", "c000", "wgan_gp", 1),
        ("ef0100000003", "c001", "gan", 1),
    ]
    rows += [("ef0200000004", "c002", "gan", 1), ("ef0300000005", "c002", "gan", 2)]
    return pd.DataFrame(rows, columns=["trial", "cell", "arm", "seed"])


@pytest.mark.parametrize("name", ["ef0100000003", "ef01", "c001/gan"])
def test_a_trial_is_meant_by_its_id_by_what_only_it_begins_with_or_by_cell_and_arm(name: str) -> None:
    assert story.match(named_trials(), name) == "ef0100000003"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abcd", r"means 2 trials; .*abcd00000001 \(c000/gan, seed 1\), abcd00000002"),
        ("c002/gan", r"means 2 trials; .*seed 1\), ef0300000005 \(c002/gan, seed 2\)"),
        ("ef0", "too short: give 4"),
    ],
)
def test_a_name_that_means_several_trials_or_is_too_short_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        story.match(named_trials(), name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("ef09", "ef0"), ("ef0100000009", "ef0100000003"), ("c001/gam", "c001/gan"), ("c1/gan", "c001/gan")],
)
def test_a_name_that_means_none_gets_the_nearest_that_does(name: str, nearest: str) -> None:
    assert story.match(named_trials(), name) is None
    assert f"did you mean '{nearest}" in str(story.unknown(name, named_trials()))


# --- in a terminal


def printed(told: story.Story, page: Path | None = None) -> str:
    file = io.StringIO()
    telling.show(told, Console(file=file, width=80), page)
    return file.getvalue()


def test_a_story_fits_80_columns_without_colour_and_ends_with_the_pages_path() -> None:
    results = made_up_results(draws=8, lost=1, running=1, planned=1)
    for trial in results.trials["trial"]:
        text = printed(story.tell(results, trial), Path("home/reports/why.html"))
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text
        assert text.splitlines()[-1] == "home/reports/why.html"


def test_the_end_of_an_error_is_printed_as_it_is() -> None:
    error = "\n".join(f"line {i} [bold]" for i in range(30))
    text = printed(of(arranged(status="failed", failure="crashed", error=error)))
    assert "line 29 [bold]" in text
    assert "line 5 " not in text


def spark(values: list[float], last: int, scale: tuple[float, float], log: bool = False) -> str:
    return telling.spark(pd.Series(range(1, len(values) + 1)), pd.Series(values), last, scale, log=log)


def test_a_sparkline_goes_from_the_lowest_block_to_the_highest() -> None:
    assert spark([float(i // 2) for i in range(14)], 14, (0.0, 6.0)) == "▁▁▂▂▃▃▅▅▆▆▇▇██"


def test_a_sparkline_ends_where_the_trial_did_and_fills_gaps_with_what_came_before() -> None:
    assert spark([0.0, 1.0], 2, (0.0, 1.0)) == "▁" * 7 + "█" * 1 + " " * 6
    assert spark([1.0] * 7, 14, (0.0, 1.0)) == "█" * 7 + " " * 7


def test_a_sparkline_of_norms_is_logarithmic_and_one_of_a_constant_is_flat() -> None:
    logarithmic = spark([1.0, 10.0, 100.0], 3, (1.0, 100.0), log=True)
    assert (logarithmic[0], logarithmic[5], logarithmic[9]) == ("▁", "▅", "█")
    assert set(spark([2.0] * 14, 14, (2.0, 2.0))) == {"▁"}
    assert set(spark([2.0, 2.001] * 7, 14, (2.0, 2.001))) == {"▁"}


# --- as a page


def test_the_page_asks_nothing_of_a_network_and_shows_both_trials() -> None:
    results = made_up_results(draws=8)
    failed = results.trials.loc[results.trials["verdict"] != "trained", "trial"].iloc[0]
    told = story.tell(results, failed)
    text = telling.page(results, told, "http://reader:secret@127.0.0.1:5000")
    own_text = re.sub(r"<script.*?</script>", lambda found: found[0][:200], text, flags=re.DOTALL)
    assert not re.search(r'(src|href)="https?:', own_text)
    assert "secret" not in own_text
    assert text.count("plotly.js v") == 1
    assert own_text.count("<img") == 2
    assert own_text.count("data-figure=") == 1
    for section in ("What happened", "Curves", "Samples", "Beside the nearest healthy trial", "What it was"):
        assert f"<h2>{section}</h2>" in own_text


def test_a_planned_trial_has_a_page_without_a_drawing_library() -> None:
    results = made_up_results(draws=2, planned=4)
    text = telling.page(results, story.tell(results, results.trials["trial"].iloc[-1]), URI)
    assert len(text) < 60_000
    assert "the trial has reported no number" in text


def test_names_from_a_study_cannot_break_the_page() -> None:
    results = planned_as(arranged(verdict="collapsed", evidence="<script>alert(1)</script>"), study="<script>alert")
    assert "<script>alert" not in telling.page(results, of(results), URI)


def test_columns_that_are_not_recorded_are_not_shown_and_new_ones_are() -> None:
    results = reporting(arranged(), {"loss_generator": {1: 1.0, 2: 2.0}, "novelty": {1: 1.0, 2: 2.0}})
    text = telling.page(results, of(results), URI)
    assert "novelty" in text
    assert "gradient norm of the generator" not in text


def test_a_panel_per_quantity_holds_the_trial_solid_and_the_healthy_one_dashed() -> None:
    curves = pd.DataFrame(
        [(run, name, step, 1.0 + step) for run in ("a", "b") for name in ("x", "y", "z") for step in (1, 2)],
        columns=["run", "quantity", "step", "value"],
    )
    titles = {"x": "X", "y": "Y", "z": "Z"}
    drawn = figures.trial_curves(curves, titles, {"a": "gan", "b": "gan"}, ["gan"], log=["y"], marks={2: "pruned"})
    assert [trace.line.dash for trace in drawn.data] == ["solid", "dash"] * 3
    assert drawn.data[0].line.color != drawn.data[1].line.color, "of one arm, and yet told apart"
    assert [drawn.layout[axis].type for axis in ("yaxis", "yaxis2", "yaxis3")] == [None, "log", None]
    assert [shape.x0 for shape in drawn.layout.shapes] == [2, 2, 2]
    assert sum(note.text == "pruned" for note in drawn.layout.annotations) == 1


# --- from the records


def record(home: Path, run: str, results: MadeUpResults) -> None:
    """Every trial of the results as an ended one of a recorded run; ids begin with the run's name."""
    from gansweep.launch.trial_dir import TrialDir
    from gansweep.recorder import Recorder

    known = results.trials.assign(trial=run + results.trials["trial"])
    factors = known[list(results.plan["factors"])].to_dict("records")
    named = known[["trial", "cell", "arm", "seed", "position"]].to_dict("records")
    planned = [{**one, "factors": drawn} for one, drawn in zip(named, factors, strict=True)]
    recorder = Recorder(default_uri(home), home, {**results.plan, "run": run, "launch_id": run, "trials": planned})
    ended = known[["status", "verdict", "verdict_step", "evidence", "decision", "step", "inception_score"]]
    for one, outcome in zip(planned, ended.to_dict("records"), strict=True):
        directory = TrialDir(home / "studies" / run / "trials" / one["trial"])
        directory.begin()
        for step in (100, 200):
            directory.append({"step": step, "time_ms": step, "loss_generator": 1.0})
        (directory.path / "samples.png").write_bytes(b"PNG")
        directory.end({**outcome, "ended_at": 1_700_000_001_000})
        recorder.start(one, dict, directory.path, 1_700_000_000_000)
        recorder.end(one["trial"])
    assert recorder.close(finished=True) == ""


@pytest.fixture(scope="module")
def home(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two recorded runs, `first` and then `last`; in the last one the first trial collapsed."""
    folder = as_home(tmp_path_factory.mktemp("home"))
    record(folder, "first", arranged())
    record(folder, "last", arranged(verdict=FIRST_FAILED, verdict_step=100))
    return folder


@pytest.fixture
def why(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """`gansweep why` in this process: exit code, output and errors."""
    from gansweep.cli import main

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gansweep", "why", *arguments, "--home", str(home)])
        with pytest.raises(SystemExit) as end:
            main()
        output, errors = capsys.readouterr()
        return int(end.value.code or 0), output, errors

    return call


def test_a_cell_and_arm_is_of_the_last_launched_run_and_its_page_is_written(
    home: Path, why: Callable[..., Any]
) -> None:
    code, text, errors = why("c0000/gan")
    assert code == 0, errors
    assert text.startswith("c0000/gan collapsed, from step 100\n")
    page = Path(text.splitlines()[-1])
    assert page == home / "reports" / "why-lastmade-up-0-00000.html"
    own_text = page.read_text("utf-8")
    assert "<h1>c0000/gan collapsed, from step 100</h1>" in own_text
    assert own_text.count("<img") == 2


def test_another_run_is_asked_for_by_its_name(why: Callable[..., Any]) -> None:
    assert why("c0000/gan", "--run", "first", "--no-page")[1].startswith("c0000/gan trained: nothing is wrong\n")


def test_an_id_is_found_in_any_run_and_told_as_json(why: Callable[..., Any]) -> None:
    code, text, errors = why("firstmade-up-0-00003", "--json", "--no-page")
    assert code == 0, errors
    told = json.loads(text)
    assert (told["run"], told["trial"]["cell"], told["trial"]["arm"]) == ("first", "c0001", "wgan_gp")
    assert [row["step"] for row in told["reports"]] == [100, 200]
    assert told["page"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c0000/gam",), "did you mean 'c0000/gan'?"),
        (("firstmade-up-0-00009",), "is not recorded here; did you mean 'firstmade-up-0-0000"),
        (("last",), "means 6 trials"),
        (("abc",), "too short"),
        (("c0000/gan", "--run", "firts"), "recorded run 'firts' does not exist; did you mean 'first'?"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_nearest_and_exit_code_2(
    arguments: tuple[str, ...], message: str, why: Callable[..., Any]
) -> None:
    code, _, errors = why(*arguments)
    assert code == 2
    assert message in errors
    assert len(errors.strip().splitlines()) == 1


def test_an_empty_store_says_how_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gansweep.cli import main

    monkeypatch.setattr(sys, "argv", ["gansweep", "why", "c000/gan", "--home", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "nothing is recorded yet" in capsys.readouterr().err
