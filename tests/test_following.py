"""A store followed over HTTP while a launch records into it: a real MLflow server that goes away and comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansweep import following, live_page, recorder, sections
from gansweep.following import Store
from gansweep.page import Section
from gansweep.tracking import TrackingUnreachable, check_reachable
from tests.recorded import RUN, Launch
from tests.storm import Server
from tests.test_dashboard import Reader
from tests.test_tracking import wait_until


@pytest.fixture(scope="module")
def server(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(as_home(tmp_path_factory.mktemp("server")))
    wait_until(made.answers)
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "LONGEST_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(recorder, "PATIENCE_SECONDS", 300.0)


def kill(server: Server) -> None:
    """End the server, and wait until nothing listens in its place."""

    def is_away() -> bool:
        try:
            check_reachable(server.uri)
        except TrackingUnreachable:
            return True
        return False

    server.kill()
    wait_until(is_away)


def told(reader: Reader) -> str:
    """What a refresh says of the counts, where it says anything new."""
    return json.dumps(reader.refresh().get("told", ""))


def test_runs_of_a_server_are_followed_until_it_goes_away_and_again_when_it_is_back(
    server: Server, tmp_path: Path
) -> None:
    launch = Launch(server.uri, tmp_path, study="arch_robustness")  # whose page has a few sections only
    launch.begin(0)
    launch.begin(1)
    launch.end(0)
    store = Store(server.uri)
    wait_until(lambda: [store.overview()[0][name] for name in ("done", "running")] == [1, 1])
    (row,) = store.overview()
    assert (row["run"], row["planned"], row["not_started"]) == (RUN, 4, 2)
    front = Reader(store, "/").page
    assert f'"href": "/{RUN}"' in json.dumps(front)
    reader = Reader(store, f"/{RUN}")
    first = reader.refresh()
    assert "planned 4 = 1 done + 0 failed + 0 cancelled + 1 running + 2 not started" in json.dumps(first["told"])
    assert "data:image/png" in json.dumps(first), "no sample was fetched"
    assert "told" not in reader.refresh(), "something was drawn though nothing changed"

    launch.end(1)
    wait_until(lambda: "2 done + 0 failed + 0 cancelled + 0 running" in told(reader))

    kill(server)
    after = reader.refresh()
    assert list(after) == ["away"]
    said = after["away"]["children"]
    assert said.startswith("Not refreshed, tried again every few seconds: ")
    assert f"{server.uri} does not answer" in said
    assert "does not answer" in json.dumps(Reader(store, "/").page)
    assert "does not answer" in json.dumps(Reader(store, f"/{RUN}").page)
    launch.begin(2)
    launch.end(2)
    server.start()
    wait_until(server.answers)
    assert reader.refresh()["away"] == {"children": ""}
    wait_until(lambda: "3 done" in told(Reader(store, f"/{RUN}")))
    assert launch.recorder.close(finished=False) == ""
    assert [row["done"] for row in store.overview()] == [3]


class Outage:
    """A section in the drawing of which the server goes away, once."""

    title = "Outage"

    def __init__(self, server: Server) -> None:
        self.server, self.over = server, False

    def render(self, results: Any) -> Section:
        if not self.over:
            kill(self.server)
            self.over = True
        return Section(title=self.title, text=("The server was here.",))


def opened(reader: Reader) -> dict[str, Any]:
    """What the aside of the chosen trial is told."""
    frames = [{"id": {"frame": f"story-{number}", "of": "trial"}, "property": "children"} for number in range(6)]
    outputs: list[Any] = [
        {"id": name, "property": prop}
        for name, prop in (("story", "children"), ("aside", "hidden"), ("focused", "data"))
    ]
    outputs += [frames, *([] for _ in live_page.PARTS), {"id": {"memory": "trial"}, "property": "data"}]
    states: list[Any] = [
        {"id": "url", "property": "pathname", "value": reader.path},
        {"id": "focused", "property": "data", "value": None},
        {"id": {"memory": "trial"}, "property": "data", "value": None},
        [],
    ]
    inputs = [("version", "data", 1), ("url", "search", reader.search)]
    return reader.ask("story.children", inputs, outputs=outputs, states=states)


def test_what_could_not_be_drawn_since_the_server_went_away_is_drawn_when_it_is_back(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = Launch(server.uri, tmp_path, study="arch_robustness", run="outage-smoke", launch_id="two")
    trial = launch.begin(0)
    launch.end(0)
    assert launch.recorder.close(finished=False) == ""
    page = SimpleNamespace(sections=(Outage(server), sections.SampleGrids(per_arm=1)))
    reader = Reader(Store(server.uri), "/outage-smoke", search=f"?trial={trial}", page=page)
    monkeypatch.setattr(following, "FRESH_SECONDS", 300.0)  # what was read just now is good enough
    why = f"{server.uri} does not answer as an MLflow store"
    assert f"could not be drawn: TrackingUnreachable: {why}" in json.dumps(reader.refresh()["section-2"])
    assert why in json.dumps(opened(reader)["story"])
    monkeypatch.setattr(following, "FRESH_SECONDS", 0.0)
    assert "does not answer" in reader.refresh()["away"]["children"]
    server.start()
    wait_until(server.answers)
    back = reader.refresh()
    assert back["away"] == {"children": ""}
    assert "version" in back, "the open trial is not told again"
    assert "data:image/png" in json.dumps(back)
    assert "data:image/png" in json.dumps(opened(reader))
    assert set(reader.refresh()) <= {"read", "filtered", "away", "tick"}, "it is drawn again and again"
