"""Tables and figures for a paper, and two runs side by side."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from gansweep import comparison, manuscript, records, sections
from gansweep.testing import MadeUpResults, made_up_results, made_up_run, made_up_table_5
from tests.recorded import Launch
from tests.test_launch import RING

PARTS = (sections.OutcomeTable(), sections.OutcomeFlow(), sections.Confounders())


# ------------------------------------------------------------------------------------------------ for a paper


def test_every_table_is_a_latex_table_with_as_many_cells_in_every_row() -> None:
    text = manuscript.latex(made_up_table_5(), PARTS)
    bodies = re.findall(r"\\begin\{tabular\}\{([^\n]*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(bodies) == text.count("\\begin{table}") == text.count("\\end{table}") == 4
    for columns, body in bodies:
        widths = {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")}
        assert widths == {len(re.findall(r"[lr]|p\{[^}]*\}", columns)) - 1}
    assert r"\label{tab:outcomes-1}" in text
    assert "148" in text


def test_nothing_of_a_text_is_a_command_of_latex() -> None:
    assert manuscript.escaped("50% of a_b & c #1 {x} $y") == r"50\% of a\_b \& c \#1 \{x\} \$y"
    assert manuscript.escaped("~ ^ \\") == r"\textasciitilde{} \textasciicircum{} \textbackslash{}"
    hostile = made_up_results(draws=3)
    hostile = dataclasses.replace(hostile, plan={**hostile.plan, "question": "a\n\\input{secret}"})
    lines = manuscript.latex(hostile, ()).splitlines()
    assert all(line.startswith("%") for line in lines)


def test_every_tables_numbers_are_a_csv_file(tmp_path: Path) -> None:
    paths = manuscript.csv(made_up_table_5(), PARTS, tmp_path / "new")
    assert [path.name for path in paths] == [
        "outcomes-1.csv",
        "outcomes-2.csv",
        "how-the-trials-ended-1.csv",
        "what-else-differs-between-the-arms-1.csv",
    ]
    ours = pd.read_csv(paths[0])
    assert ours["only_b"].tolist()[:3] == [8, 50, 60]
    beside = pd.read_csv(paths[1])
    assert beside["paper_only_b"].tolist() == beside["only_b"].tolist()


def test_figures_are_files_that_can_be_printed(tmp_path: Path) -> None:
    if "CI" not in os.environ:
        pytest.importorskip("kaleido")
    results = made_up_results(draws=6)
    (bars, flow) = manuscript.figures(results, PARTS, tmp_path, "svg")
    assert (bars.name, flow.name) == ("outcomes-1.svg", "how-the-trials-ended-1.svg")
    assert bars.read_text("utf-8").startswith("<svg")
    assert "only WGAN-GP" in bars.read_text("utf-8")
    png = manuscript.figures(results, PARTS[:1], tmp_path, "png")[0].read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20]) == 2 * manuscript.WIDTH
    assert PARTS[0].render(results).figures[0].figure.layout.paper_bgcolor is None  # the report's own stays transparent


def test_what_figures_need_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="kind of figure 'jpg'"):
        manuscript.figures(made_up_results(draws=2), PARTS, tmp_path, "jpg")
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(ValueError, match=r"pip install 'gansweep\[paper\]'"):
        manuscript.figures(made_up_results(draws=2), PARTS, tmp_path, "png")


Reported = Callable[[], tuple[int, str]]


@pytest.fixture
def reported(
    as_home: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Reported:
    """`gansweep report --figures png` of a recorded run, in this process: exit code and errors."""
    from gansweep.cli import main

    home = as_home(tmp_path / "home")
    launch = Launch(records.default_uri(home), home)
    for number in range(4):
        launch.begin(number)
        launch.end(number)
    assert launch.recorder.close(finished=True) == ""

    def call() -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["gansweep", "report", RING, "--figures", "png", "--home", str(home)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capfd.readouterr().err

    return call


def test_figures_on_a_machine_without_kaleido_or_a_browser_are_one_line_that_says_what_to_install(
    reported: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chromium = pytest.importorskip("choreographer.browsers.chromium")
    needs = "gansweep: figures as files need a Chrome or Chromium, and"
    install = ": install one (apt install chromium), or name it in BROWSER_PATH\n"
    with monkeypatch.context() as machine:
        # without one where Kaleido looks: on the path, where systems put it, and where it puts its own
        machine.setenv("PATH", str(tmp_path))
        machine.delenv("BROWSER_PATH", raising=False)
        known = chromium.chromium_based_browsers.items()
        nowhere = {name: dataclasses.replace(browser, typical_paths=()) for name, browser in known}
        machine.setattr(chromium, "chromium_based_browsers", nowhere)
        for place in ("get_chrome_download_path", "get_old_chrome_download_path"):
            machine.setattr(chromium, place, lambda **options: None)
        assert reported() == (2, f"{needs} none was found{install}")
        machine.setenv("BROWSER_PATH", "/no/such")
        assert reported() == (2, f"{needs} BROWSER_PATH = '/no/such' is none{install}")
        machine.setenv("BROWSER_PATH", "/bin/false")
        code, errors = reported()
        assert code == 2
        assert "that was found to draw figures with does not start" in errors.splitlines()[-1]
        assert "Traceback" not in errors
    monkeypatch.setitem(sys.modules, "kaleido", None)
    assert reported() == (2, "gansweep: figures as files need Kaleido: pip install 'gansweep[paper]'\n")


# -------------------------------------------------------------------------------------------------- two runs


def runs() -> tuple[MadeUpResults, MadeUpResults]:
    """Two runs of four cells that share three of them; in the second every score of arm b is higher by 1."""
    arms = {"a": {"n_critic": 1}, "b": {"n_critic": 5}}
    widths = [{"width": width} for width in (4, 8, 16, 32)]
    first = made_up_run(
        "penalty",
        arms,
        {"score": {"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 3.0, 4.0, 5.0]}},
        cells=widths,
        thresholds=(2.5,),
    )
    other = [{"width": width} for width in (8, 16, 32, 64)]
    scores = {"a": [2.0, 3.0, 4.0, 9.0], "b": [4.0, 5.0, float("nan"), 9.0]}
    second = made_up_run(
        "penalty", {**arms, "b": {"n_critic": 10}}, {"score": scores}, cells=other, preset="paper", thresholds=(2.5,)
    )
    return first, second


def test_the_fields_that_differ_are_named() -> None:
    a, b = runs()
    found = comparison.changed_fields(a.plan, b.plan).set_index("field")
    assert found.loc["arms.b.changes.n_critic"].tolist() == [5, 10]
    assert found.loc["preset"].tolist() == ["laptop", "paper"]
    assert "arms.a.changes.n_critic" not in found.index
    assert comparison.changed_fields(a.plan, a.plan).empty


def test_partners_are_trials_of_one_cell_seed_and_arm_whatever_the_cells_are_called() -> None:
    a, b = runs()
    pairs = comparison.partners(a, b)
    assert len(pairs) == 6
    of_b = pairs[pairs["arm"] == "b"]
    assert of_b[["cell_a", "cell_b"]].iloc[0].tolist() == ["c001", "c000"]
    assert (of_b["score_b"] - of_b["score_a"]).dropna().tolist() == [1.0, 1.0]


def test_two_runs_are_set_side_by_side() -> None:
    design, outcomes, same, verdicts = comparison.sections(*runs())
    assert "2 fields of the design differ" not in design.text[0]
    assert outcomes.tables[0].shown.iloc[1, 2:].tolist() == ["3 of 4, 75% (30 to 95)", "3 of 4, 75% (30 to 95)"]
    row = same.tables[0].numbers.set_index("arm")
    assert row.loc["a", ["pairs", "equal", "mean"]].tolist() == [3, 3, 0.0]
    assert row.loc["b", ["pairs", "equal", "mean"]].tolist() == [2, 0, 1.0]
    assert verdicts.tables[0].shown.to_numpy().tolist() == [["b", "trained", "diverged", 1]]
    page = comparison.page(*runs())
    assert page.count("data-figure=") == 1
    assert "penalty-laptop and penalty-paper" in page
    assert "#trials" not in re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


def test_what_a_run_had_at_a_stop_is_no_final_score_and_a_cell_counts_once() -> None:
    cells, arms = [{"width": 4}, {"width": 8}], {"a": {"n_critic": 1}}
    of = {"cells": cells, "thresholds": (2.5,)}
    a = made_up_run("penalty", arms, {"score": {"a": [1.0, 1.0, 1.0, 1.0]}}, **of)  # type: ignore[arg-type]
    b = made_up_run("penalty", arms, {"score": {"a": [2.0, 4.0, 5.0, 5.0]}}, preset="of_b_a", **of)  # type: ignore[arg-type]
    row = comparison.sections(a, b)[2].tables[0].numbers.iloc[0]
    half = 12.7062 * 1 / 2  # Student's, of the means 2 and 4 of two cells: one degree of freedom, deviation sqrt(2)
    assert (row["mean"], row["low"]) == (3.0, pytest.approx(3 - 2 * half, rel=1e-4))
    b.trials.loc[3, ["decision", "verdict"]] = ["pruned", "collapsed"]
    same, changed = comparison.sections(a, b)[2:]
    assert same.tables[0].numbers["pairs"].tolist() == [3]
    single = changed.tables[1].shown
    assert {"cell, penalty-laptop", "trial, penalty-of_b_a", "verdict, penalty-of_b_a", "arm"} <= set(single.columns)
    assert comparison.sections(a, dataclasses.replace(b, trials=b.trials.assign(status="failed")))[2].tables


def test_success_rates_of_a_tuning_study_are_not_set_side_by_side() -> None:
    a, b = runs()
    a.plan["search"] = {"by": "TPE()", "sequential": True}
    assert "this study tunes" in comparison.sections(a, b)[1].text[0]


def test_scores_of_two_protocols_are_not_compared_and_runs_of_two_studies_neither() -> None:
    a, b = runs()
    other = dataclasses.replace(b, trials=b.trials.assign(score_protocol="another"))
    assert "two protocols" in comparison.sections(a, other)[2].text[1]
    assert not comparison.sections(a, other)[2].tables
    with pytest.raises(ValueError, match="two studies"):
        comparison.sections(a, made_up_results(draws=2))


def test_runs_without_a_common_trial_say_so() -> None:
    a, _ = runs()
    far = made_up_run("penalty", {"a": {}}, {"score": {"a": [1.0]}}, cells=[{"depth": 3}])
    assert "no trial in common" in comparison.sections(a, far)[2].text[0]
    assert "share no arm or no threshold" in comparison.sections(a, far)[1].text[0]
