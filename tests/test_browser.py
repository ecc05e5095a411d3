"""The report in a real browser: no console error, no request off the machine, click-through and keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gansweep.outcomes import outcome_table
from gansweep.report import write
from gansweep.selection import load_study
from gansweep.testing import made_up_results
from tests.chromium import drawn, nothing_went_wrong, opened

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The main study's report of twelve made-up cells, whose records are on a server."""
    sections = load_study(ROOT / "studies" / "arch_robustness.py").report
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write(
        made_up_results(draws=12, lost=1), sections, path, "http://mlflow.example/#/experiments/7/runs/{run_id}"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_draws_every_figure_without_a_complaint_or_a_request(
    browser: Browser, report: Path, scheme: str
) -> None:
    watched = opened(browser, report, color_scheme=scheme)
    assert drawn(watched) >= 5
    nothing_went_wrong(watched)
    assert "Does WGAN-GP train architectures" in watched.page.inner_text("h1")


def test_figures_are_drawn_where_the_reader_is_and_all_of_them_for_print(browser: Browser, report: Path) -> None:
    watched = opened(browser, report)
    drawn, places = watched.page.locator(".js-plotly-plot"), watched.page.locator(".plot").count()
    assert drawn.count() < places
    watched.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert drawn.count() == places
    watched.page.emulate_media(media="print")
    assert watched.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert not watched.page.locator("nav").is_visible()
    nothing_went_wrong(watched)


def test_the_page_is_light_or_dark_as_the_reader_says(browser: Browser, report: Path) -> None:
    watched = opened(browser, report, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = watched.page.evaluate(background)
    button = watched.page.get_by_role("button", name="Light page")
    button.focus()
    watched.page.keyboard.press("Enter")
    assert watched.page.evaluate(background) != dark
    watched.page.emulate_media(media="print")
    assert watched.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    watched.page.emulate_media(media="screen")
    watched.page.get_by_role("button", name="Dark page").click()
    assert watched.page.evaluate(background) == dark
    nothing_went_wrong(watched)


def test_a_number_opens_its_trials_and_a_trial_its_run(browser: Browser, report: Path) -> None:
    watched = opened(browser, report)
    results = made_up_results(draws=12, lost=1)
    table = outcome_table(results.trials, [3.0]).iloc[0]
    link = watched.page.locator("a.open[href*='outcome=neither'][href$='threshold=3']").first
    known = outcome_table(results.trials, [3.0])
    assert int(known["unknown"].iloc[0]) > 0
    told = watched.page.locator("#told")
    unknown = watched.page.locator("a.open[href*='outcome=unknown'][href$='threshold=3']").first
    unknown.click()
    told.filter(has_text="unknown above 3").wait_for()
    stopped = int(table["stopped"])
    assert told.inner_text().startswith(f"{2 * (int(table['unknown']) + stopped)} of 24 trials")
    link.click()
    told.filter(has_text="neither succeeds above 3").wait_for()
    failed = watched.page.locator("a.open[href='#trials?status=failed']")
    assert failed.inner_text() == "1"
    failed.click()
    told.filter(has_text="1 of 24 trials: status failed").wait_for()
    row = watched.page.locator("#trials tbody tr")
    assert row.count() == 1
    (lost,) = results.trials[results.trials["status"] == "failed"].to_dict("records")
    run = row.locator("th a")
    assert run.inner_text() == lost["trial"]
    assert run.get_attribute("href") == f"http://mlflow.example/#/experiments/7/runs/{lost['run_id']}"
    assert f"gansweep why {lost['trial']}" in row.inner_text()
    nothing_went_wrong(watched)


def test_the_list_is_searched_and_turned_by_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    path = write(made_up_results(draws=40), (), tmp_path / "long.html")
    watched = opened(browser, path)
    page = watched.page
    page.locator("#trials").scroll_into_view_if_needed()
    page.locator("#where").filter(has_text="1 to 50 of 80").wait_for()
    page.get_by_role("button", name="Forth").press("Enter")
    assert page.locator("#where").inner_text() == "51 to 80 of 80"
    page.get_by_role("searchbox").fill("c0007 wgan_gp")
    assert page.locator("#trials tbody tr").count() == 1
    assert "containing c0007 wgan_gp" in page.locator("#told").inner_text()
    page.get_by_role("button", name="Show all trials").press("Enter")
    assert page.locator("#where").inner_text() == "1 to 50 of 80"
    nothing_went_wrong(watched)


def test_a_click_on_a_bar_opens_the_blocks_it_counts(browser: Browser, report: Path) -> None:
    watched = opened(browser, report)
    watched.page.evaluate(
        """window.gansweepTrials.clicked({points: [{x: 10, y: "3", id: undefined,
           data: {meta: "pair=gan%2Cwgan_gp&outcome=only_b&threshold=%{y}"}}]})"""
    )
    watched.page.locator("#told").filter(has_text="only WGAN-GP succeeds above 3").wait_for()
    figure = watched.page.locator(".plot").first
    figure.scroll_into_view_if_needed()
    figure.locator(".main-svg").first.wait_for(state="attached")
    assert figure.evaluate("place => place._ev.listenerCount('plotly_click')") == 1
    nothing_went_wrong(watched)
