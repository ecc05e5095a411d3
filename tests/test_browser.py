"""The report and the dashboard in a real browser: no console error, no request off the machine, live update seen."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from gansweep.report import write
from gansweep.study import load_study
from gansweep.testing import made_up_results

ROOT = Path(__file__).parents[1]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


class Watched:
    """A page, with what it complained of and whom it asked."""

    def __init__(self, browser: Browser) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1200, "height": 900})
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))


def test_the_report_draws_every_figure_without_a_complaint_or_a_request(browser: Browser, tmp_path: Path) -> None:
    sections = load_study(ROOT / "studies" / "arch_robustness.py").report
    path = write(made_up_results(draws=12), sections, tmp_path / "report.html")
    watched = Watched(browser)
    watched.page.goto(path.as_uri())
    watched.page.wait_for_selector(".main-svg")
    figures = watched.page.locator(".js-plotly-plot").count()
    assert figures >= 5
    for number in range(figures):
        figure = watched.page.locator(".js-plotly-plot").nth(number)
        figure.scroll_into_view_if_needed()
        assert figure.locator(".main-svg").count() > 0
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert "Does WGAN-GP train architectures" in watched.page.inner_text("h1")


def test_the_main_study_runs_and_its_report_opens_without_a_complaint(browser: Browser, tmp_path: Path) -> None:
    """`make demo`, the counts of `status --json`, and the page of a real run."""
    gansweep = str(Path(sys.executable).with_name("gansweep"))
    study = str(ROOT / "studies" / "arch_robustness.py")
    launched = subprocess.run(
        [gansweep, "launch", study, "--preset", "smoke", "--home", str(tmp_path)], capture_output=True, text=True
    )
    assert launched.returncode == 0, launched.stdout + launched.stderr
    status = subprocess.run(
        [gansweep, "status", study, "--home", str(tmp_path), "--json"], capture_output=True, text=True, check=True
    )
    counts = json.loads(status.stdout)
    parts = ("done", "failed", "cancelled", "running", "not_started")
    assert counts["planned"] == counts["done"] == sum(counts[part] for part in parts) == 4
    report = Path(launched.stdout.strip().splitlines()[-1])
    assert report.is_file(), "the last line is the path of the report"
    watched = Watched(browser)
    watched.page.goto(report.resolve().as_uri())
    watched.page.wait_for_selector(".main-svg")
    assert watched.page.locator("img").count() > 0, "no sample grid"
    assert watched.complaints == []


SERVER = """
import importlib.util, sys
from pathlib import Path
from gansweep.dashboard import serve
from gansweep.testing import made_up_results

flag, page, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
spec = importlib.util.spec_from_file_location("page", page)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
serve(lambda: made_up_results(draws=6, planned=0 if flag.exists() else 8), module, port=port)
"""


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A served dashboard whose study goes on once the flag file exists."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flag, script = tmp_path / "flag", tmp_path / "server.py"
    script.write_text(SERVER)
    page = ROOT / "dashboards" / "arch_robustness.py"
    process = subprocess.Popen([sys.executable, str(script), str(flag), str(page), str(port)])
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the dashboard did not start"
                time.sleep(0.1)
        yield url, flag
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_the_dashboard_follows_the_sweep_and_asks_this_machine_only(
    browser: Browser, dashboard: tuple[str, Path]
) -> None:
    url, flag = dashboard
    watched = Watched(browser)
    watched.page.goto(url)
    watched.page.wait_for_selector(".js-plotly-plot .main-svg", timeout=30_000)
    before = watched.page.inner_text("body")
    flag.touch()
    watched.page.wait_for_function("old => document.body.innerText !== old", arg=before, timeout=30_000)
    watched.page.wait_for_selector(".js-plotly-plot .main-svg")
    assert watched.complaints == []
    assert [asked for asked in watched.asked if not asked.startswith((url, "data:", "blob:"))] == []


def test_a_dashboard_file_is_a_module_with_a_title_and_sections() -> None:
    for file in (ROOT / "dashboards").glob("*.py"):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.title
        assert module.sections
