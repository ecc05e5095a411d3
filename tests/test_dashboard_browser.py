"""The dashboard in a real browser: every run of a store, a sweep that goes on meanwhile, by mouse and by keyboard."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.chromium import Watched
from tests.test_launch import GANSWEEP, RING, launched

PLOT = "document.querySelector('#all-trials .js-plotly-plot')"
PATIENCE = 120_000  # milliseconds: the browser, the server and the sweep share the cores


@pytest.fixture(scope="module")
def home(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one run has ended."""
    home = as_home(tmp_path_factory.mktemp("home") / "home")
    launched(home, RING)
    return home


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[str]:
    """The address of `gansweep dashboard`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([GANSWEEP, "dashboard", "--home", str(home), "--port", str(port)])
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the dashboard did not start"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def watched(browser: Browser, served: str) -> Iterator[Watched]:
    """A page; at its end nothing was complained of, and nobody but this machine was asked."""
    watched = Watched(browser)
    watched.page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield watched
    assert watched.complaints == []
    assert [asked for asked in watched.asked if not asked.startswith((served, "data:", "blob:"))] == []
    watched.page.close()


def test_a_reader_follows_a_sweep_without_losing_filter_zoom_or_open_trial(
    watched: Watched, served: str, home: Path
) -> None:
    page = watched.page
    page.goto(served)
    expect(page.get_by_role("link", name="ring-smoke")).to_be_visible()
    page.goto(f"{served}ring-longest")
    expect(page.get_by_text("recorded run 'ring-longest' does not exist")).to_be_visible()
    sweep = subprocess.Popen(
        [GANSWEEP, "launch", RING, "--preset", "longest", "--inline", "--no-report", "--home", str(home)],
        stdout=subprocess.DEVNULL,
    )
    try:
        arm = page.get_by_role("group", name="Arms").get_by_role("button", name="gan")
        arm.click()
        expect(page).to_have_url(re.compile(r"/ring-longest\?arm=gan$"))
        page.locator("#trials a").first.click()
        expect(page.locator("#aside h2")).to_contain_text("/gan")
        opened = page.url
        expect(page.locator("#all-trials .js-plotly-plot")).to_be_visible()
        page.evaluate(f"Plotly.relayout({PLOT}, {{'xaxis.range[0]': -3, 'xaxis.range[1]': 9}})")  # as dragging does
        at_first = page.inner_text("#told")
        expect(page.locator("#told")).not_to_have_text(at_first)
        planned, *counts = map(int, re.findall(r"\d+", page.inner_text("#told"))[:6])
        assert planned == sum(counts) == 4
        page.wait_for_timeout(4_000)  # another refresh
        assert page.evaluate(f"{PLOT}.layout.xaxis.range") == [-3, 9]
        assert page.url == opened
        expect(arm).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#aside h2")).to_contain_text("/gan")
        expect(page.locator("#filtered")).to_contain_text("Filtered: 2 of 4 trials")
    finally:
        sweep.terminate()
        assert sweep.wait(timeout=120) in (0, 130)


def test_a_point_opens_its_trial_and_a_link_shares_it(watched: Watched, served: str) -> None:
    page = watched.page
    page.goto(f"{served}ring-smoke")
    page.locator("#all-trials .scatterlayer path.point").first.click(force=True)
    expect(page).to_have_url(re.compile(r"/ring-smoke\?trial=[0-9a-f]+$"))
    told = page.locator("#aside h2").inner_text()
    assert page.locator("#aside img").count() > 0, "no samples"
    assert page.locator("#aside .js-plotly-plot").count() > 0, "no curves"
    shared = page.url
    page.go_back()
    expect(page.locator("#aside")).to_be_hidden()
    page.goto(shared)
    expect(page.locator("#aside h2")).to_have_text(told)


def test_a_trial_is_opened_and_closed_by_keyboard_alone(watched: Watched, served: str) -> None:
    page = watched.page
    page.goto(f"{served}ring-smoke")
    expect(page.locator("#trials a").first).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    first = page.locator("#trials a").first.inner_text()
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == first:
            break
    page.keyboard.press("Enter")
    expect(page.locator("#aside")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Close"
    page.keyboard.press("Enter")
    expect(page.locator("#aside")).to_be_hidden()
    expect(page.locator("#trials a").first).to_be_focused()


def test_every_control_is_named_and_every_figure_has_a_caption_and_a_table(watched: Watched, served: str) -> None:
    page = watched.page
    page.goto(f"{served}ring-smoke")
    page.locator("#trials a").first.click()
    expect(page.locator("#aside .js-plotly-plot").first).to_be_visible()
    for section in page.locator("section:has(.js-plotly-plot)").all():
        assert section.locator("details table").count() > 0, section.inner_text()[:80]
    assert page.locator("figure:not(:has(figcaption))").count() == 0
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("[aria-pressed]:not(fieldset:has(legend) button)").count() == 0


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_the_pages(watched: Watched, served: str, colours: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ModuleNotFoundError:
        if "CI" in os.environ:
            pytest.fail("axe-playwright-python is not installed")
        pytest.skip("axe-playwright-python is not installed")
    page = watched.page
    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
    for path, awaited in (("", "table a"), ("ring-smoke", "#all-trials .js-plotly-plot")):
        page.goto(served + path)
        page.wait_for_selector(awaited)
        if path:
            page.locator("#trials a").first.click()
            expect(page.locator("#aside .js-plotly-plot").first).to_be_visible()
        found = Axe().run(page).response["violations"]
        assert found == [], [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
