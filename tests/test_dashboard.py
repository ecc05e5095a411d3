"""The dashboard: it draws what changed, only then, says what it hides, and its address says what is chosen."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gansweep import dashboard, filters, layouts, live_page, sections
from gansweep.analysis import tally
from gansweep.dashboard import load_pages
from gansweep.filters import Chosen
from gansweep.page import Section
from gansweep.selection import load_study
from gansweep.testing import MadeUpResults, made_up_results

ROOT = Path(__file__).parents[1]
RUN = "arch_robustness-laptop"
PAGE = SimpleNamespace(sections=(sections.OutcomeTable(), sections.OutcomeFlow(), sections.SampleGrids(per_arm=1)))


class Held:
    """What is on record, which a test may change between two refreshes."""

    uri = "http://someone:secret@127.0.0.1:5000"

    def __init__(self, results: MadeUpResults) -> None:
        self.now: MadeUpResults | Exception = results
        self.version = 1

    def change(self, now: MadeUpResults | Exception) -> None:
        self.now, self.version = now, self.version + 1

    def read(self, run: str) -> tuple[int, MadeUpResults]:
        if isinstance(self.now, Exception):
            raise self.now
        if run != self.now.plan["run"]:
            raise ValueError(f"recorded run {run!r} does not exist")
        return self.version, self.now

    def overview(self) -> list[dict[str, Any]]:
        plan = self.read(RUN)[1].plan
        counts = {name: count for name, count in tally(self.read(RUN)[1].trials).items() if name != "arms"}
        return [{"run": RUN, "study": plan["study"], "question": plan["question"], **counts}]


@pytest.fixture
def held() -> Held:
    return Held(made_up_results(draws=8, planned=6))


class Reader:
    """A page as a browser holds it: it asks callbacks, and keeps what they answer."""

    def __init__(self, held: Held, path: str = f"/{RUN}", search: str = "", page: Any = PAGE) -> None:
        self.client = dashboard.make_app(held, {"arch_robustness": page}).server.test_client()
        self.path, self.search = path, search
        self.memory: dict[str, Any] = {}
        self.frames: list[str] = []
        self.parts: dict[str, Any] = {}
        self.version: int | None = None
        self.page = self.ask("page.children", [("url", "pathname", path), ("retry", "n_intervals", None)])
        self.frames = re.findall(r'"frame": "([\w-]+)", "of": "run"', json.dumps(self.page))

    def ask(self, output: str, inputs: list[tuple[str, str, Any]], **more: Any) -> dict[str, Any]:
        known = next(c for c in self.client.get("/_dash-dependencies").get_json() if output in c["output"])
        plain = [part for part in known["output"].strip(".").split("...") if not part.startswith("{")]
        outputs: list[Any] = [{"id": p.rsplit(".", 1)[0], "property": p.rsplit(".", 1)[1]} for p in plain]
        states = [
            {"id": s["id"], "property": s["property"], "value": getattr(self, s["property"], self.search)}
            for s in known["state"]
        ]
        body = {
            "output": known["output"],
            "outputs": more.get("outputs", outputs if len(outputs) > 1 or ".." in known["output"] else outputs[0]),
            "inputs": [{"id": i, "property": prop, "value": value} for i, prop, value in inputs],
            "state": more.get("states", states),
            "changedPropIds": [f"{inputs[0][0]}.{inputs[0][1]}"],
        }
        answer = self.client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
        if answer.status_code == 204:
            return {}
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return dict(answer.get_json()["response"])

    def refresh(self, moves: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ticks until every section is drawn, or the store is away: what they change."""
        changed = last = self.tick(moves)
        while self.memory.get("behind") and not last["away"]["children"]:
            last = self.tick(moves)
            changed = changed | last
        return changed

    def tick(self, moves: dict[str, Any] | None = None) -> dict[str, Any]:
        """A tick: what it changes, by the ids of the places, without those of sections that stay as they are."""
        names = ("told", "counts", "read", "filtered", "away")
        outputs: list[Any] = [{"id": name, "property": "children"} for name in names]
        outputs += [{"id": "version", "property": "data"}, {"id": "tick", "property": "interval"}]
        outputs += [[{"id": {"frame": key, "of": "run"}, "property": "children"} for key in self.frames]]
        for part, prop in live_page.PARTS.items():
            at = [at for at in self.parts if at.split(":")[2].startswith(part)]
            outputs += [[{"id": {"part": part, "of": "run", "at": one}, "property": prop} for one in at]]
        outputs += [{"id": {"memory": "run"}, "property": "data"}]
        figures = [at for at in self.parts if at.split(":")[2].startswith("figure")]
        moved = [
            {
                "id": {"part": "figure", "of": "run", "at": at},
                "property": "relayoutData",
                "value": (moves or {}).get(at),
            }
            for at in figures
        ]
        states: list[Any] = [
            {"id": "url", "property": "pathname", "value": self.path},
            {"id": "version", "property": "data", "value": self.version},
            {"id": {"memory": "run"}, "property": "data", "value": self.memory or None},
            moved,
        ]
        inputs = [("tick", "n_intervals", 1), ("url", "search", self.search)]
        found = self.ask("told.children", inputs, outputs=outputs, states=states)
        changed = {}
        for key, value in found.items():
            place = json.loads(key) if key.startswith("{") else key
            changed[
                place
                if isinstance(place, str)
                else next(iter(place.get(k) for k in ("frame", "at", "memory") if k in place))
            ] = value
        self.memory = changed.pop("run", {}).get("data", self.memory)
        self.version = changed.get("version", {}).get("data", self.version)
        for key in re.findall(r'"at": "([\w:-]+)"', json.dumps(changed)):
            self.parts.setdefault(key, None)
        return changed


def test_the_first_refresh_draws_every_section_with_counts_that_add_up(held: Held) -> None:
    reader = Reader(held)
    found = reader.refresh()
    assert {"trials", "section-0", "section-1", "section-2", "section-3"} <= set(found)
    told = json.dumps(found["told"])
    assert "planned 16 = 10 done + 0 failed + 0 cancelled + 0 running + 6 not started" in told
    cells = re.findall(r'"children": "(\d+)"', json.dumps(found["counts"]))
    assert cells[-6:] == ["16", "10", "0", "0", "0", "6"]


def test_a_page_shows_what_is_drawn_before_it_draws_the_rest(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "AT_ONCE", 0.0)
    reader, every = Reader(held), ["trials", "section-0", "section-1", "section-2", "section-3"]
    for number, key in enumerate(every, start=1):
        changed = reader.tick()
        assert set(every) & set(changed) == {key}
        assert ("being drawn" in changed["read"]["children"]) == (number < len(every))
        assert (changed["tick"]["interval"] == 1) == (number < len(every))
    assert not set(every) & set(reader.tick())


def test_nothing_is_drawn_while_nothing_changes(held: Held) -> None:
    reader = Reader(held)
    reader.refresh()
    assert set(reader.refresh()) <= {"read", "filtered", "away", "tick"}


def test_a_changed_run_redraws_its_parts_and_leaves_the_frames_that_a_reader_is_in(held: Held) -> None:
    reader = Reader(held)
    reader.refresh()
    held.change(made_up_results(draws=8, planned=5))
    second = reader.refresh()
    assert not {"trials", "section-1", "section-2"} & set(second)
    assert {"run:section-1:figure-0", "run:section-1:table-0", "run:trials:figure-0"} <= set(second)
    assert "11 done" in json.dumps(second["told"])


def test_a_zoom_survives_every_refresh_until_the_reader_resets_it(held: Held) -> None:
    reader = Reader(held)
    reader.refresh()
    at = "run:section-1:figure-0"
    moves: list[Any] = [{"xaxis.range[0]": 10, "xaxis.range[1]": 40}, {"autosize": True}, {"xaxis.autorange": True}]
    ranges = []
    for planned, move in zip((5, 4, 3), moves, strict=True):
        held.change(made_up_results(draws=8, planned=planned))
        ranges.append(reader.refresh({at: move})[at]["figure"]["layout"]["xaxis"]["range"])
    assert ranges == [[10, 40], [10, 40], [0, 100]]


def test_a_run_that_gets_its_first_results_is_framed_anew() -> None:
    held = Held(made_up_results(draws=4, planned=8))
    reader = Reader(held)
    reader.refresh()
    held.change(made_up_results(draws=4))
    assert "section-1" in reader.refresh()


def test_a_filter_changes_what_is_drawn_and_says_so_but_not_the_counts_nor_what_holds_at_every_look(held: Held) -> None:
    whole, some = Reader(held).refresh(), Reader(held, search="?arm=gan").refresh()
    assert some["told"] == whole["told"]
    assert some["section-0"] == whole["section-0"]
    assert "say while" in json.dumps(whole["section-0"]) or "while it runs" in json.dumps(whole["section-0"])
    assert whole["filtered"]["children"] == ""
    assert some["filtered"]["children"].startswith("Filtered: 8 of 16 trials.")
    assert "An outcome table needs two arms" in json.dumps(some["section-1"])


def test_a_store_that_is_away_keeps_the_page_and_says_why(held: Held) -> None:
    reader = Reader(held)
    reader.refresh()
    held.change(ValueError("database is locked"))
    after = reader.refresh()
    assert after == {"away": {"children": "Not refreshed, tried again every few seconds: database is locked"}}
    held.change(made_up_results(draws=8, planned=6))
    assert reader.refresh()["away"] == {"children": ""}


def test_a_section_that_cannot_be_drawn_says_so_and_the_others_stand(held: Held) -> None:
    class Broken:
        title = "Broken"

        def render(self, results: Any) -> Section:
            raise ZeroDivisionError("nothing to divide by")

    found = Reader(held, page=SimpleNamespace(sections=(Broken(), sections.OutcomeFlow()))).refresh()
    assert "could not be drawn: ZeroDivisionError: nothing to divide by" in json.dumps(found["section-1"])
    assert "figure-0" in json.dumps(found["section-2"])


def test_a_run_or_a_store_that_is_not_there_is_told_with_a_way_back(held: Held) -> None:
    assert "recorded run 'nothing' does not exist" in json.dumps(Reader(held, "/nothing").page)
    front = json.dumps(Reader(held, "/").page)
    assert f'"href": "/{RUN}"' in front
    assert "planned is the sum" in front
    held.change(OSError("no such store"))
    assert "no such store" in json.dumps(Reader(held, "/").page)


def test_no_password_of_a_store_is_on_the_page(held: Held) -> None:
    found = json.dumps(Reader(held).refresh()["read"])
    assert "127.0.0.1:5000" in found
    assert "secret" not in found


def test_the_page_and_its_scripts_come_from_this_machine(held: Held) -> None:
    index = Reader(held).client.get(f"/{RUN}").get_data(as_text=True)
    addresses = re.findall(r'(?:src|href)="([^"]+)"', index)
    assert addresses
    assert all(address.startswith(("/", "data:")) for address in addresses)


def test_a_page_without_sections_and_a_wrong_port_are_refused(held: Held) -> None:
    with pytest.raises(ValueError, match=r"'tiny' has no sections = \(...\)"):
        dashboard.make_app(held, {"tiny": SimpleNamespace(title="empty")})
    with pytest.raises(ValueError, match="port = 70000 must lie between 1 and 65535"):
        dashboard.serve(held, {}, port=70000)


# --- what is chosen


def test_an_address_and_what_is_chosen_are_the_same_thing() -> None:
    chosen = Chosen(arm=("gan", "wgan gp"), level=('["generator.depth", 4]',), trial="5f3a", page="2")
    assert filters.from_query(filters.to_query(chosen)) == chosen
    assert filters.to_query(Chosen()) == ""
    assert filters.from_query("?level=4&level=[1,2]&colour=red") == Chosen()


def test_a_button_switches_its_value_and_begins_at_the_first_page_but_keeps_the_open_trial() -> None:
    chosen = Chosen(arm=("gan",), page="3", trial="5f3a")
    assert chosen.switched("arm", "gan") == Chosen(trial="5f3a")
    assert chosen.switched("arm", "wgan_gp").arm == ("gan", "wgan_gp")
    assert chosen.switched("trial", "77aa") == dataclasses.replace(chosen, trial="77aa")


def test_a_filter_keeps_the_trials_of_an_arm_a_verdict_a_status_and_a_level_and_their_steps() -> None:
    results = made_up_results(draws=30, planned=4)
    kept = filters.keep(results, Chosen(arm=("wgan_gp",), verdict=("trained",), status=("done",)))
    assert set(kept.trials["arm"]) == {"wgan_gp"}
    assert set(kept.trials["verdict"]) == {"trained"}
    assert set(kept.steps["trial"]) <= set(kept.trials["trial"])
    assert len(filters.keep(results, Chosen(status=("planned",))).trials) == 4
    assert filters.keep(results, Chosen()) is results


def test_of_one_factor_any_level_may_hold_and_of_several_each_must() -> None:
    results = made_up_results(draws=40)
    depth, wide = '["generator.depth", 4]', '["generator.width", 128]'
    shallow = filters.keep(results, Chosen(level=(depth, '["generator.depth", 8]'))).trials
    assert set(shallow["generator.depth"]) == {4, 8}
    both = filters.keep(results, Chosen(level=(depth, wide))).trials
    assert set(both["generator.depth"]) == {4}
    assert set(both["generator.width"]) == {128}
    told = filters.levels(results)
    assert told["Depth (G)"][depth] == "4"


def test_a_factor_drawn_from_a_range_is_filtered_by_stretches_that_hold_as_many_trials() -> None:
    made = made_up_results(draws=40)
    trials = made.trials.assign(rate=[0.001 * (i + 1) for i in range(len(made.trials))])
    plan = {**made.plan, "factors": {"rate": {"label": "Rate", "values": None}}}
    results = dataclasses.replace(made, plan=plan, trials=trials)
    found = list(filters.levels(results)["Rate"])
    assert len(found) == 4
    sizes = [len(filters.keep(results, Chosen(level=(one,))).trials) for one in found]
    assert min(sizes) >= 20
    assert max(sizes) <= 21


def test_a_truth_value_is_not_taken_for_a_number() -> None:
    made = made_up_results(draws=4)
    results = dataclasses.replace(made, trials=made.trials.assign(flag=[True, 1] * 4))
    assert len(filters.keep(results, Chosen(level=('["flag", true]',))).trials) in (0, 4)


def test_a_point_names_its_trial_in_its_customdata(held: Held) -> None:
    results = held.read(RUN)[1]
    one = results.trials["trial"].iloc[3]
    figure = dashboard._dots(results, "position").figures[0].figure
    assert [point for trace in figure.data for point in trace.customdata if point == one] == [one]
    assert dashboard.trial_of({"customdata": one}, results.trials) == one
    assert dashboard.trial_of({"customdata": [4, one]}, results.trials) == one
    assert dashboard.trial_of({"customdata": [4, 5]}, results.trials) is None
    assert dashboard.trial_of({}, results.trials) is None


def test_a_figure_without_a_table_gets_one_of_its_points() -> None:
    section = sections.ScoreCurves().render(made_up_results(draws=6))
    assert not section.tables
    (table,) = live_page._tables(section)
    assert list(table.shown.columns) == ["curve", "x", "y"]
    assert len(table.shown) == live_page.ROWS
    assert f"the first {live_page.ROWS} of" in table.caption


def test_a_large_run_is_shown_with_its_first_sections_and_others_where_they_are_asked_for() -> None:
    small, large = made_up_results(draws=10), made_up_results(draws=600, evaluations=1)
    every = tuple(layouts.sections_of(None, small))
    assert layouts.completed(Chosen(), None, small).section == every
    assert layouts.completed(Chosen(), None, large).section == every[: layouts.FIRST]
    assert layouts.completed(Chosen(section=("section-7",)), None, large).section == ("section-7",)


# --- the pages of the studies

PAGES, STUDIES = ({file.stem: file for file in (ROOT / name).glob("*.py")} for name in ("dashboards", "studies"))


def load_page(path: Path) -> ModuleType:
    return load_pages(path)[path.stem]


def test_every_study_has_a_page() -> None:
    assert set(PAGES) == set(STUDIES)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_has_the_sections_of_its_studys_report(name: str) -> None:
    # said twice, since a study file imports torch, which a dashboard starts without
    assert tuple(load_page(PAGES[name]).sections) == tuple(load_study(STUDIES[name]).report)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_of_a_study_builds_its_layout(name: str) -> None:
    page, results = load_page(PAGES[name]), made_up_results(draws=4)
    told = str(layouts.frame([], results, page, Chosen(), 3.0))
    for part in page.sections:
        assert part.title in told
    assert page.title


def test_the_page_of_arch_robustness_draws_its_study() -> None:
    page = load_page(PAGES["arch_robustness"])
    found = Reader(Held(made_up_results(draws=12)), page=page).refresh()
    drawn = [value for key, value in found.items() if key.startswith("section-")]
    assert len(drawn) == len(layouts.sections_of(page, made_up_results(draws=2)))
    assert "could not be drawn" not in json.dumps(drawn)
