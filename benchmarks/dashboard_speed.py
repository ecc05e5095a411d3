"""What a dashboard costs at 10,000 recorded trials: the first reading, a reading when nothing or little is new, a page.

python benchmarks/dashboard_speed.py [DRAWS [EVALUATIONS]]
"""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report_speed import fill

from gansweep import following, records
from gansweep.testing import made_up_results


def timed(what: str, act: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    found = act()
    print(f"{what:<60} {time.perf_counter() - start:6.2f} s", flush=True)
    return found


def main() -> None:
    draws, evaluations = (int(argument) for argument in (sys.argv[1:] + ["5000", "10"][len(sys.argv) - 1 :])[:2])
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        results = made_up_results(draws=draws, evaluations=evaluations)
        fill(home, results)
        uri, run = records.default_uri(home), results.plan["run"]
        following.FRESH_SECONDS = 0.0
        store = following.Store(uri)
        print(f"{len(results.trials)} trials, {len(results.steps)} reports")
        timed("reading the whole run once", lambda: records.read(uri, run))
        version, _ = timed("following: the first reading", lambda: store.read(run))
        assert timed("following: nothing is new", lambda: store.read(run))[0] == version
        with sqlite3.connect(home / "mlflow.db") as database:
            two = [row["trial"] for row in results.trials.tail(2).to_dict("records")]
            database.execute("DELETE FROM tags WHERE key = 'gansweep.ended' AND run_uuid IN (?, ?)", two)
        store = following.Store(uri)
        version, _ = store.read(run)
        with sqlite3.connect(home / "mlflow.db") as database:
            database.execute(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
                ("loss_generator", 1.0, 0, two[0], 10**6, 0),
            )
        assert timed("following: a report more of two running trials", lambda: store.read(run))[0] == version + 1
        timed("the overview of the store", store.overview)


if __name__ == "__main__":
    main()
