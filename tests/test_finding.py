"""A name means one recorded run, one trial or the studies of a folder; formats write what is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from gansweep import finding, formats, records
from gansweep.sections import OutcomeFlow, OutcomeTable, Stability
from gansweep.selection import Selection, load_study
from gansweep.study import Study
from tests.test_story import arranged, record

ROOT = Path(__file__).parents[1]
MAIN = str(ROOT / "studies" / "arch_robustness.py")
SECTIONS = (OutcomeTable(), OutcomeFlow())


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(MAIN)


@pytest.fixture(scope="module")
def home(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two recorded runs of the main study, `first` and then `last`."""
    folder = as_home(tmp_path_factory.mktemp("home"))
    for run in ("first", "last"):
        record(folder, run, arranged())
    return folder


@pytest.fixture(scope="module")
def uri(home: Path) -> str:
    return records.default_uri(home)


# --- the run that a selection means


def test_the_file_alone_means_the_run_that_was_launched_last(study: Study, uri: str) -> None:
    assert finding.run_of(Selection(file=MAIN), study, uri) == "last"


@pytest.mark.parametrize(
    ("selected", "run"),
    [
        ({"preset": "smoke"}, "arch_robustness-smoke"),
        ({"seed": 3}, "arch_robustness-laptop-seed3"),
        ({"preset": "paper", "draws": 9}, "arch_robustness-paper-draws9"),
        ({"arms": ("gan", "lsgan")}, "arch_robustness-laptop-arms-gan-lsgan"),  # lsgan is optional
    ],
)
def test_a_selection_means_the_run_that_its_launch_makes(
    selected: dict[str, object], run: str, study: Study, uri: str
) -> None:
    selection = Selection(file=MAIN, **selected)
    assert finding.run_of(selection, study, uri) == run
    assert selection.sized().run_name(study) == run


def test_a_preset_that_does_not_exist_is_named_with_the_nearest(study: Study, uri: str) -> None:
    with pytest.raises(ValueError, match="preset 'smok' does not exist; did you mean 'smoke'"):
        finding.run_of(Selection(file=MAIN, preset="smok"), study, uri)


def test_a_study_without_a_run_says_how_to_start_one(uri: str) -> None:
    other = str(ROOT / "studies" / "penalty.py")
    with pytest.raises(ValueError, match=r"'penalty' has no recorded run yet; .*gansweep launch .*penalty\.py"):
        finding.run_of(Selection(file=other), load_study(other), uri)


# --- the trial that a name means


def test_cell_and_arm_are_of_the_last_run_and_an_id_of_any(uri: str) -> None:
    assert finding.trial_of("c0001/gan", None, uri)[1] == "lastmade-up-0-00002"
    assert finding.trial_of("c0001/gan", "first", uri)[1] == "firstmade-up-0-00002"
    results, trial = finding.trial_of("firstmade-up-0-00003", None, uri)
    assert (results.plan["run"], trial) == ("first", "firstmade-up-0-00003")


def test_a_run_that_cannot_be_read_is_passed_over_and_told(as_home: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = as_home(tmp_path / "home")
    record(folder, "whole", arranged())
    record(folder, "old", arranged())
    uri = records.default_uri(folder)
    (plan,) = (path for path in folder.rglob("plan.json") if json.loads(path.read_text())["run"] == "old")
    plan.write_text("{}")
    assert finding.trial_of("wholemade-up-0-00003", None, uri)[1] == "wholemade-up-0-00003"
    with pytest.raises(ValueError, match=r"did you mean 'wholemade.*\(not read, of an older gansweep: old\)"):
        finding.trial_of("wholemade-up-0-00009", None, uri)


# --- the studies of a folder


def test_the_studies_of_a_folder_are_listed_with_their_runs(tmp_path: Path, study: Study, uri: str) -> None:
    (tmp_path / "main.py").write_text(Path(MAIN).read_text())
    row = {"file": str(tmp_path / "main.py"), "question": study.question, "presets": ["smoke", "laptop", "paper"]}
    assert finding.studies_in(tmp_path, uri) == [{**row, "runs": ["last", "first"]}]
    assert finding.studies_in(tmp_path, None) == [{**row, "runs": []}]
    with pytest.raises(ValueError, match="no study file"):
        finding.studies_in(tmp_path / "none", uri)


def test_studies_that_answer_a_claim_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("penalty.py", "arch_robustness.py", "of_mine.py"):
        (tmp_path / name).touch()
    assert finding.answering(tmp_path) == [str(tmp_path / name) for name in ("arch_robustness.py", "penalty.py")]
    with pytest.raises(ValueError, match=r"answers a published claim: .*arch_robustness"):
        finding.answering(tmp_path / "none")


# --- what is written of a run


@pytest.mark.parametrize(("figures", "kind"), [(None, "latex"), ("svg", "svg")])
def test_pictures_that_are_asked_for_take_the_place_of_the_format(figures: str | None, kind: str) -> None:
    assert formats.kind_of("latex", figures) == kind


@pytest.mark.parametrize(
    ("format", "figures", "message"),
    [("latx", None, "format 'latx' does not exist; did you mean 'latex'"), ("html", "pgn", "did you mean 'png'")],
)
def test_a_misspelt_format_is_named_with_the_nearest(format: str, figures: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        formats.kind_of(format, figures)


def test_a_page_is_kept_with_the_records_too(home: Path, uri: str, tmp_path: Path) -> None:
    path = Path(formats.written("html", uri, "last", SECTIONS, tmp_path, to=None))
    assert path == tmp_path / "last.html"
    source = records.source(uri)
    assert source.artifact(records.parent_runs(uri)["last"], "last.html") == path.read_bytes()


@pytest.mark.parametrize(("kind", "begins"), [("markdown", "# arch_robustness: "), ("latex", "% last: ")])
def test_a_text_is_the_whole_report(kind: str, begins: str, uri: str, tmp_path: Path) -> None:
    assert formats.written(kind, uri, "last", SECTIONS, tmp_path, to=None).startswith(begins)
    assert list(tmp_path.iterdir()) == []


def test_tables_go_to_the_folder_of_the_run_or_to_the_one_that_is_named(uri: str, tmp_path: Path) -> None:
    for to, folder in ((None, tmp_path / "last"), (tmp_path / "here", tmp_path / "here")):
        told = formats.written("csv", uri, "last", SECTIONS, tmp_path, to)
        assert sorted(map(Path, told.splitlines())) == sorted(folder.iterdir())


def test_a_study_without_a_figure_says_so(uri: str, tmp_path: Path) -> None:
    assert formats.written("svg", uri, "last", (Stability(),), tmp_path, to=None).startswith("no section")


def test_two_runs_are_compared_as_a_page_or_as_markdown(uri: str, tmp_path: Path) -> None:
    page = Path(formats.compared(("first", "last"), "html", uri, tmp_path))
    assert page == tmp_path / "first-and-last.html"
    assert formats.compared(("first", "last"), "markdown", uri, tmp_path).startswith("# first and last\n")
    with pytest.raises(ValueError, match="--compare writes html or markdown, not csv"):
        formats.compared(("first", "last"), "csv", uri, tmp_path)


@pytest.mark.parametrize(("format", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_the_frames_of_a_run_are_written_with_its_design_card(
    format: str, read: Callable[[Path], pd.DataFrame], uri: str, tmp_path: Path
) -> None:
    results = records.read(uri, "last")
    paths = [Path(line) for line in formats.frames(results, tmp_path / "new", format).splitlines()]
    assert [path.name for path in paths] == [f"trials.{format}", f"steps.{format}"]
    assert list(read(paths[0])["trial"]) == list(results.trials["trial"])
    assert list(read(paths[1])["loss_generator"]) == list(results.steps["loss_generator"])
    assert json.loads((tmp_path / "new" / "plan.json").read_text()) == results.plan
