"""The dashboard: it draws when something changed, only then, and says what it hides."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gansweep import dashboard, sections
from gansweep.testing import MadeUpResults, made_up_results

PAGE = SimpleNamespace(
    title="A page",
    sections=(sections.OutcomeTable(), sections.OutcomeFlow(), sections.SampleGrids(per_arm=1)),
)


class Records:
    """What is on record, which a test may change between two refreshes."""

    def __init__(self, results: MadeUpResults) -> None:
        self.now: MadeUpResults | Exception = results

    def __call__(self) -> MadeUpResults:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


@pytest.fixture
def records() -> Records:
    return Records(made_up_results(draws=8, planned=6))


def refresh(app: Any, seen: Any = None, shown: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    """One refresh as a browser asks for it; `shown` is what the page holds, as an earlier answer gave it."""
    client = app.server.test_client()
    callback = next(c for c in client.get("/_dash-dependencies").get_json() if "sections" in c["output"])
    places = [{"id": name, "property": prop} for name, prop in dashboard.PLACES.items()]
    parts = [
        [{"id": {"part": name, "at": at}, "property": prop} for at in (shown or {}) if at.startswith(name)]
        for name, prop in dashboard.PARTS.items()
    ]
    body = {
        "output": callback["output"],
        "outputs": places + parts,
        "inputs": [
            {"id": "tick", "property": "n_intervals", "value": 1},
            {"id": "arms", "property": "value", "value": values.get("arms", [])},
            {"id": "verdicts", "property": "value", "value": values.get("verdicts", [])},
        ],
        "state": [
            {"id": "seen", "property": "data", "value": seen},
            [
                {"id": {"part": "figure", "at": at}, "property": "relayoutData", "value": (shown or {})[at]}
                for at in (shown or {})
                if at.startswith("figure")
            ],
        ],
        "changedPropIds": ["tick.n_intervals"],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    if answer.status_code == 204:
        return {}
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return {
        key if not key.startswith("{") else json.loads(key)["at"]: value
        for key, value in answer.get_json()["response"].items()
    }


def parts_of(response: dict[str, Any]) -> dict[str, Any]:
    """The places inside the sections of a first answer."""
    found = re.findall(r'"at": "([a-z]+-[\d-]+)"', json.dumps(response["sections"]))
    return dict.fromkeys(found)


def test_the_first_refresh_draws_every_section_with_counts_that_add_up(records: Records) -> None:
    response = refresh(dashboard.make_app(records, PAGE))
    assert len(response["sections"]["children"]) == 3
    told = json.dumps(response["counts"])
    assert "planned 16 = 10 done + 0 failed + 0 cancelled + 0 running + 6 not started" in told


def test_nothing_is_drawn_while_nothing_changes(records: Records) -> None:
    app = dashboard.make_app(records, PAGE)
    first = refresh(app)
    again = refresh(app, seen=first["seen"]["data"], shown=parts_of(first))
    assert set(again) <= {"warning"}


def test_a_changed_study_redraws_its_parts_and_leaves_the_frame_with_its_zoom(records: Records) -> None:
    app = dashboard.make_app(records, PAGE)
    first = refresh(app)
    shown = parts_of(first)
    records.now = made_up_results(draws=8, planned=5)
    second = refresh(app, seen=first["seen"]["data"], shown=shown)
    assert "sections" not in second
    assert set(shown) <= set(second)
    assert second["figure-0-0"]["figure"]["layout"]["uirevision"] == "keep"
    assert "11 done" in json.dumps(second["counts"])


def test_a_zoom_survives_every_refresh_until_the_reader_resets_it(records: Records) -> None:
    app = dashboard.make_app(records, PAGE)
    answer = refresh(app)
    shown = parts_of(answer)
    moves: list[Any] = [{"xaxis.range[0]": 10, "xaxis.range[1]": 40}, {"autosize": True}, {"xaxis.autorange": True}]
    ranges = []
    for planned, move in zip((5, 4, 3), moves, strict=True):
        records.now = made_up_results(draws=8, planned=planned)
        answer = refresh(app, seen=answer["seen"]["data"], shown={**shown, "figure-0-0": move})
        ranges.append(answer["figure-0-0"]["figure"]["layout"]["xaxis"]["range"])
    assert ranges == [[10, 40], [10, 40], [0, 100]]


def test_a_study_that_gets_its_first_results_is_framed_anew() -> None:
    records = Records(made_up_results(draws=4, planned=8))
    app = dashboard.make_app(records, PAGE)
    first = refresh(app)
    records.now = made_up_results(draws=4)
    second = refresh(app, seen=first["seen"]["data"], shown=parts_of(first))
    assert len(second["sections"]["children"]) == 3


def test_a_filter_changes_what_is_drawn_and_says_so_but_not_the_counts(records: Records) -> None:
    app = dashboard.make_app(records, PAGE)
    whole, some = refresh(app), refresh(app, arms=["gan"])
    assert some["counts"] == whole["counts"]
    assert whole["warning"]["children"] == ""
    assert some["warning"]["children"].startswith("Filtered: 8 of 16 trials.")
    assert "An outcome table needs two arms" in json.dumps(some["sections"])


def test_a_filter_keeps_the_trials_of_an_arm_and_verdict_and_their_steps() -> None:
    results = made_up_results(draws=30)
    kept = dashboard.keep(results, ["wgan_gp"], ["trained"])
    assert set(kept.trials["arm"]) == {"wgan_gp"}
    assert set(kept.trials["verdict"]) == {"trained"}
    assert set(kept.steps["trial"]) <= set(kept.trials["trial"])
    assert dashboard.keep(results, [], []) is results


def test_the_digest_changes_with_one_score_and_with_nothing_else() -> None:
    results = made_up_results(draws=4)
    first, trials = dashboard.fingerprint(results), results.trials.copy()
    changed = dataclasses.replace(results, trials=trials)
    assert dashboard.fingerprint(changed) == first
    trials.loc[0, "inception_score"] = 5.4321
    assert dashboard.fingerprint(changed) != first


def test_a_read_that_fails_keeps_the_page_and_says_why(records: Records) -> None:
    app = dashboard.make_app(records, PAGE)
    first = refresh(app)
    records.now = OSError("database is locked")
    after = refresh(app, seen=first["seen"]["data"], shown=parts_of(first))
    assert after == {"warning": {"children": "Not refreshed: database is locked"}}


def test_the_page_and_its_scripts_come_from_this_machine(records: Records) -> None:
    client = dashboard.make_app(records, PAGE).server.test_client()
    index = client.get("/").get_data(as_text=True)
    addresses = re.findall(r'(?:src|href)="([^"]+)"', index)
    assert addresses
    assert all(address.startswith(("/", "data:")) for address in addresses)
    assert "A page" in index


def test_a_page_without_sections_and_a_wrong_port_are_refused(records: Records) -> None:
    with pytest.raises(ValueError, match=r"has no sections = \(...\)"):
        dashboard.make_app(records, SimpleNamespace(title="empty"))
    with pytest.raises(ValueError, match="port = 70000 must lie between 1 and 65535"):
        dashboard.serve(records, PAGE, port=70000)


def load_page(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_arch_robustness_draws_its_study() -> None:
    page = load_page(Path(__file__).parents[1] / "dashboards" / "arch_robustness.py")
    app = dashboard.make_app(Records(made_up_results(draws=12)), page)
    assert len(refresh(app)["sections"]["children"]) == len(page.sections)
