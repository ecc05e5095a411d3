"""Debian's Chromium, driven by Playwright: a page, with what it complained of and whom it asked."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; a machine without one skips, but CI fails."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield opened
        opened.close()


class Watched:
    """A page, with what it complained of and whom it asked."""

    def __init__(self, browser: Browser, **context: Any) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1200, "height": 900}, **context)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))


def opened(browser: Browser, path: Path, **context: Any) -> Watched:
    """The page of a file."""
    watched = Watched(browser, **context)
    watched.page.goto(path.resolve().as_uri())
    return watched


def drawn(watched: Watched) -> int:
    """How many figures the page has, each of which was scrolled to and is drawn."""
    figures = watched.page.locator(".plot")
    for number in range(figures.count()):
        figures.nth(number).scroll_into_view_if_needed()
        figures.nth(number).locator(".main-svg").first.wait_for(state="attached")
    return figures.count()


def nothing_went_wrong(watched: Watched) -> None:
    """No complaint, and no request off the machine."""
    assert watched.complaints == []
    assert [url for url in watched.asked if not url.startswith(("file:", "data:", "blob:"))] == []
