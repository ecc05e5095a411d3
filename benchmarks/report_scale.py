"""How long a report of 10,000 trials takes to make and to open, and how large it is.

python benchmarks/report_scale.py [TRIALS]

The trials are made up, with 20 evaluations each; the sections are those of `studies/arch_robustness.py`. Opening is
timed in Chromium from the navigation to the end of loading, then to the first figure; the page is a local file.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from gansweep import report
from gansweep.selection import load_study
from gansweep.testing import made_up_results

STUDY = Path(__file__).parents[1] / "studies" / "arch_robustness.py"
TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000

results = made_up_results(draws=TRIALS // 2, evaluations=20)
sections = load_study(STUDY).report
report.page(made_up_results(draws=4), sections)  # what is imported once is no part of the measurement

with tempfile.TemporaryDirectory() as folder:
    started, busy = time.perf_counter(), time.process_time()
    path = report.write(results, sections, Path(folder) / "report.html")
    made, busy = time.perf_counter() - started, time.process_time() - busy
    size = path.stat().st_size / 1e6
    print(f"{len(results.trials)} trials, {len(results.steps)} reports of theirs: a page of {size:.1f} MB", end="")
    print(f" made in {made:.1f} s, {busy:.1f} s of one core (wanted: under 20 s)")
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(3):
            page = browser.new_page()
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable")
            started = time.perf_counter()
            page.goto(path.as_uri(), wait_until="load")
            loaded = time.perf_counter() - started
            metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
            page.locator(".plot").first.scroll_into_view_if_needed()
            page.wait_for_selector(".main-svg", state="attached")
            drawn = time.perf_counter() - started
            page.evaluate("location.hash = '#trials?arm=gan&above=3'")
            page.locator("#told").filter(has_text="above 3").wait_for()
            listed = time.perf_counter() - started - drawn
            print(f"opened in {loaded:.2f} s, {metrics['TaskDuration']:.2f} s of tasks (wanted: under 2 s), ", end="")
            print(f"first figure at {drawn:.2f} s, a number's trials listed in {listed:.2f} s")
            page.close()
        browser.close()
