"""Tables and figures for a paper, and two runs side by side."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from gansweep import comparison, manuscript, sections
from gansweep.testing import MadeUpResults, made_up_results, made_up_run, made_up_table_5

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
