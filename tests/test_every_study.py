"""Every study that ships, as its user runs it: the smallest preset, its counts, and its report in a browser.

The main study runs by Ray. The others run without it, which takes less time; that both executors give the same numbers
is for `test_launch`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gansweep.selection import load_study
from tests.chromium import drawn, nothing_went_wrong, opened

FOLDER = Path(__file__).parents[1] / "studies"
MAIN = FOLDER / "arch_robustness.py"
OTHERS = [file for file in sorted(FOLDER.glob("*.py")) if file != MAIN]
GANSWEEP = str(Path(sys.executable).with_name("gansweep"))


def said(*arguments: str | Path) -> str:
    """What the command line says where all went well."""
    done = subprocess.run([GANSWEEP, *map(str, arguments)], capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: data and classifiers are prepared once."""
    return tmp_path_factory.mktemp("home")


def runs_and_reports(file: Path, home: Path, browser: Browser, *executor: str) -> None:
    launched = said("launch", file, "--preset", "smoke", "--home", home, *executor)
    counts = json.loads(said("status", file, "--preset", "smoke", "--home", home, "--json"))
    parts = ("done", "failed", "cancelled", "running", "not_started")
    assert counts["planned"] == counts["done"] == sum(counts[part] for part in parts) > 0
    report = Path(launched.splitlines()[-1])
    assert report.is_file(), "the last line is the path of the report"
    watched = opened(browser, report)
    assert watched.page.inner_text("h1") == load_study(file).question
    assert drawn(watched) > 0, "a report without a figure"
    nothing_went_wrong(watched)
    markdown = said("report", file, "--preset", "smoke", "--home", home, "--format", "markdown")
    assert load_study(file).question in markdown
    watched.page.close()


def test_the_main_study_runs_and_its_report_opens_without_a_complaint(browser: Browser, home: Path) -> None:
    runs_and_reports(MAIN, home, browser)


@pytest.mark.long
@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.stem)
def test_every_other_study_runs_and_its_report_opens_without_a_complaint(
    file: Path, home: Path, browser: Browser
) -> None:
    runs_and_reports(file, home, browser, "--inline")
