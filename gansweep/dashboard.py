"""A live page of every run of a tracking store: `/` lists them, `/RUN` shows one, read again every few seconds.

What is shown of a run comes from the page of its study, any object with `sections` (parts of `gansweep.sections`), such
as a module of `dashboards/`; a study without one gets `layouts.SECTIONS`. What a reader has chosen stands in the
address, so that it can be shared. Everything is served from this machine; the page names no outside address.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import logging
import math
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pandas as pd
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from gansweep import layouts, live_page, report, story, telling, trial_figures
from gansweep.effect_sections import WhileRunning
from gansweep.filters import Chosen, from_query, keep, to_query
from gansweep.page import Drawing, Results, Section, arm_labels
from gansweep.parts import misspelt

INDEX = (
    '<!DOCTYPE html><html lang="en"><head>{%metas%}<title>{%title%}</title><link rel="icon" href="data:,">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "{%css%}<style>STYLE</style></head><body>{%app_entry%}"
    "<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>"
)
SHARE = 0.2  # of the time, at most, that a page takes from the sweep
AT_ONCE = 0.5  # seconds after which a page shows the sections that it has drawn, before it draws the next
log = logging.getLogger(__name__)


class Store(Protocol):
    """Where runs are read from, such as `gansweep.following.Store`. What cannot be read is a ValueError or OSError."""

    uri: str

    def overview(self) -> list[dict[str, Any]]:
        """Every run, the last launched first, with its counts."""

    def read(self, run: str) -> tuple[int, Results]:
        """A run as it is now, and a number that changes when it does."""


def make_app(store: Store, pages: Mapping[str, Any] | None = None, every_seconds: float = 3.0) -> Dash:
    """The Dash app of a store. `pages` are those of studies by name.

    A refresh takes place every `every_seconds`, or more seldom where it takes long. Where the store does not answer,
    the page stays as it was and says so.
    """
    pages = pages or {}
    for study, page in pages.items():
        if not getattr(page, "sections", None):
            raise ValueError(f"the dashboard page of {study!r} has no sections = (...)")
    app = Dash(__name__, serve_locally=True, title="gansweep", update_title="", suppress_callback_exceptions=True)
    style = resources.files("gansweep").joinpath("templates", "dashboard.css").read_text(encoding="utf-8")
    app.index_string = INDEX.replace("STYLE", style)
    app.layout = html.Div(
        [
            html.A("Skip to the content", href="#content", className="skip"),
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Interval(id="retry", interval=round(1000 * every_seconds), disabled=True),
            html.Div(id="page"),
        ]
    )
    _pages(app, store, pages, every_seconds)
    _choices(app, store, pages)
    _run(app, store, pages, every_seconds)
    _trials(app, store)
    _trial(app, store)
    _in_the_browser(app)
    return app


def load_pages(path: Path) -> dict[str, ModuleType]:
    """The pages of a folder of dashboard files, or of one such file, by the names of the files, which are studies'.

    Dashboard files are code and are trusted. A path that does not exist is a `ValueError` with the nearest file.
    """
    if not path.exists():
        raise misspelt("dashboard file", path, sorted(map(str, path.parent.glob("*.py"))) or ["(no *.py file there)"])
    return {file.stem: _page(file) for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])}


def _page(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"gansweep_dashboard_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(store: Store, pages: Mapping[str, Any], host: str = "127.0.0.1", port: int = 8050) -> None:
    """Serve the page until interrupted. It is open to other machines only if `host` says so."""
    if not 0 < port < 65536:
        raise ValueError(f"port = {port} must lie between 1 and 65535")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    make_app(store, pages).run(host=host, port=port, debug=False)


def _run_of(pathname: str | None) -> str:
    return urllib.parse.unquote((pathname or "/").strip("/"))


# --- the pages


def _pages(app: Dash, store: Store, pages: Mapping[str, Any], every_seconds: float) -> None:
    @app.callback(
        Output("page", "children"),
        Output("retry", "disabled"),
        [Input("url", "pathname"), Input("retry", "n_intervals")],
        State("url", "search"),
    )
    def show(pathname: str, _: int | None, search: str) -> Any:
        run = _run_of(pathname)
        try:
            overview = store.overview()
            if not run:
                return layouts.front(overview, store.uri), False
            if ctx.triggered_id == "retry" and not any(row["run"] == run for row in overview):
                return no_update, False
            _, results = store.read(run)
        except (ValueError, OSError) as error:
            return layouts.away(error), False
        page = pages.get(results.plan["study"])
        return layouts.frame(overview, results, page, from_query(search), every_seconds), True


# --- what a reader chooses


def _choices(app: Dash, store: Store, pages: Mapping[str, Any]) -> None:
    def now(pathname: str, search: str) -> tuple[Results, Chosen]:
        """The run, and what is chosen of it by the address."""
        _, results = store.read(_run_of(pathname))
        return results, layouts.completed(from_query(search), pages.get(results.plan["study"]), results)

    here = [State("url", "pathname"), State("url", "search")]

    @app.callback(
        Output("url", "search"), Input({"set": ALL, "value": ALL}, "n_clicks"), *here, prevent_initial_call=True
    )
    def switch(clicks: list[int | None], pathname: str, search: str) -> Any:
        """A button was pressed: the address follows, and everything else the address."""
        if not any(clicks) or not ctx.triggered_id:
            return no_update
        name, value = ctx.triggered_id["set"], ctx.triggered_id["value"]
        chosen = from_query(search)
        if name == "section" and not chosen.section:
            try:
                chosen = dataclasses.replace(chosen, section=now(pathname, search)[1].section)
            except (ValueError, OSError):
                return no_update  # the next refresh says that the store is away
        return to_query(chosen.switched(name, value))

    @app.callback(
        Output({"set": ALL, "value": ALL}, "aria-pressed"), Input("url", "search"), here[0], prevent_initial_call=True
    )
    def press(search: str, pathname: str) -> Any:
        """The buttons show what the address says, also after a step back."""
        buttons = [place["id"] for place in ctx.outputs_list]
        if not buttons:
            return []
        try:
            _, chosen = now(pathname, search)
        except (ValueError, OSError):
            return [no_update] * len(buttons)
        return [layouts.pressed(chosen, button["set"], button["value"]) for button in buttons]

    @app.callback(
        [
            Output("url", "search", allow_duplicate=True),
            Output({"part": "figure", "of": "run", "at": ALL}, "clickData"),
        ],
        Input({"part": "figure", "of": "run", "at": ALL}, "clickData"),
        *here,
        prevent_initial_call=True,
    )
    def open_point(clicks: list[dict[str, Any] | None], pathname: str, search: str) -> Any:
        """Open the trial of the point that was clicked, if it is one's."""
        points = [point for click in clicks if click for point in click["points"]]
        try:
            trial = trial_of(points[0], now(pathname, search)[0].trials) if points else None
        except (ValueError, OSError):
            trial = None
        if trial is None:
            return no_update, [no_update] * len(clicks)
        # the click is forgotten, so that a second one on the same point is seen too
        return to_query(from_query(search).switched("trial", trial)), [None] * len(clicks)


def trial_of(point: Mapping[str, Any], trials: pd.DataFrame) -> str | None:
    """The trial that a point of a figure names in its customdata, if any."""
    named = point.get("customdata")
    known = set(trials["trial"])
    return next((one for one in (named if isinstance(named, list) else [named]) if one in known), None)


# --- a run


def _run(app: Dash, store: Store, pages: Mapping[str, Any], every_seconds: float) -> None:
    places = [Output(name, "children") for name in ("told", "counts", "read", "filtered", "away")]
    places += [Output("version", "data"), Output("tick", "interval")]

    @app.callback(
        [*places, *live_page.outputs("run")],
        [Input("tick", "n_intervals"), Input("url", "search")],
        [State("url", "pathname"), State("version", "data"), *live_page.states("run")],
        # no tick while one is being answered: Dash drops an answer that a newer request has overtaken
        running=[(Output("tick", "disabled"), True, False)],
    )
    def refresh(_: int | None, search: str, pathname: str, before: int | None, memory: Any, moves: list[Any]) -> Any:
        began = datetime.now()
        asked = ctx.outputs_list[len(places) :]
        try:
            version, results = store.read(_run_of(pathname))
        except (ValueError, OSError) as error:
            log.warning("the store could not be read: %s", error)
            told = f"Not refreshed, tried again every few seconds: {error}"
            return [*[no_update] * 4, told, no_update, no_update, *live_page.kept(asked)]
        page = pages.get(results.plan["study"])
        chosen = layouts.completed(from_query(search), page, results)
        drawn = live_page.refreshed(_wanted(results, version, chosen, page), memory, _moves(moves), asked, AT_ONCE)
        behind, spent = drawn[-1]["behind"], drawn[-1]["spent"]
        place = re.sub(r"(?<=://)[^/\s]*@", "", store.uri)  # no password on a page
        read = f"Read at {began:%H:%M:%S} from {place}"
        read += f"; {behind} more {'section is' if behind == 1 else 'sections are'} being drawn" if behind else ""
        pause = 1 if behind else round(1000 * max(every_seconds, spent / SHARE))
        rest = [read, _filtered(results, chosen), ""]
        if before == version:
            return [no_update, no_update, *rest, no_update, pause, *drawn]
        told = f"{report.counts_sentence(results)} {report.pairing_sentence(results)}"
        return [told, layouts.counts(results), *rest, version, pause, *drawn]


def _moves(moves: Sequence[Any]) -> dict[str, Any]:
    """How each figure was moved; the callback's last state."""
    places = ctx.states_list[-1]
    return {place["id"]["at"]: move for place, move in zip(places, moves, strict=True)}


def _wanted(results: Results, version: int, chosen: Chosen, page: Any) -> dict[str, tuple[str, Callable[[], Section]]]:
    """The sections to show, and what each is made from."""
    kept, over = keep(results, chosen), chosen.over
    made_from = f"{version} {chosen.filters}"
    wanted: dict[str, tuple[str, Callable[[], Section]]] = {
        "trials": (f"{made_from} {over}", lambda: _dots(kept, over))
    }
    for key, part in layouts.sections_of(page, results).items():
        if key in chosen.section:
            # what holds at every look holds for the trials in the order of the plan, not for those a reader picks
            live = isinstance(part, WhileRunning)
            of = results if live else kept
            wanted[key] = (str(version) if live else made_from, functools.partial(part.render, of))
    return wanted


def _filtered(results: Results, chosen: Chosen) -> str:
    if not any(chosen.filters):
        return ""
    return (
        f"Filtered: {len(keep(results, chosen).trials)} of {len(results.trials)} trials. The rates below are those of "
        "the filtered trials, not of the study."
    )


def _dots(results: Results, over: str) -> Section:
    plan, trials = results.plan, results.trials
    labels = arm_labels(plan)
    if trials.empty:
        return Section(title="Every trial", text=("No trial passes the filters.",))
    if over not in trials:
        return Section(title="Every trial", text=(f"The trials have no column {over!r}.",))
    label = layouts.OVER.get(over) or str(plan["factors"].get(over, {}).get("label", over))
    arms, score = list(labels), plan["score"]
    drawn = trial_figures.trial_dots(trials, arms, labels, score, plan["score_label"], over, label)
    caption = f"The last {plan['score_label']} of every trial over its {label}; without a score on the dotted line."
    return Section(title="Every trial", figures=(Drawing(figure=drawn, caption=caption),))


# --- the table of trials


def _trials(app: Dash, store: Store) -> None:
    @app.callback(
        [Output(name, "children") for name in ("trials", "place", "turn")],
        [Input("version", "data"), Input("url", "search")],
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def turn(_: int, search: str, pathname: str) -> Any:
        try:
            _, results = store.read(_run_of(pathname))
        except (ValueError, OSError):
            return [no_update] * 3  # the next refresh says that the store is away
        chosen = from_query(search)
        rows = _ordered(keep(results, chosen), chosen.order)
        last = max(1, math.ceil(len(rows) / layouts.ROWS))
        page = min(max(1, int(chosen.page) if chosen.page.isdecimal() else 1), last)
        first = layouts.ROWS * (page - 1)
        place = (
            f"{first + 1} to {min(first + layouts.ROWS, len(rows))} of {len(rows)} trials" if len(rows) else "no trial"
        )
        there = {"Previous": page - 1, "Next": page + 1}
        turns = [
            dcc.Link(told, href=layouts.address(results.plan["run"], chosen.switched("page", str(number))))
            for told, number in there.items()
            if 1 <= number <= last
        ]
        return layouts.trial_table(results, rows.iloc[first : first + layouts.ROWS], chosen), place, turns


def _ordered(results: Results, order: str) -> pd.DataFrame:
    """The trials in the chosen order, in that of the plan where it is none of `layouts.ORDERS`."""
    trials, score, higher = results.trials, results.plan["score"], results.plan["scores"][0]["higher_is_better"]
    by, rising = {
        "ended_at": ("ended_at", False),
        "best": (score, not higher),
        "worst": (score, higher),
    }.get(order, ("position", True))
    return trials.sort_values(by, ascending=rising, na_position="last", kind="stable")


# --- the open trial


def _trial(app: Dash, store: Store) -> None:
    places = [Output("story", "children"), Output("aside", "hidden"), Output("focused", "data")]

    @app.callback(
        [*places, *live_page.outputs("trial")],
        [Input("version", "data"), Input("url", "search")],
        [State("url", "pathname"), State("focused", "data"), *live_page.states("trial")],
        prevent_initial_call=True,
    )
    def tell(_: int, search: str, pathname: str, open_now: str | None, memory: Any, moves: list[Any]) -> Any:
        asked = ctx.outputs_list[len(places) :]
        chosen = from_query(search)
        if not chosen.trial:
            return [[], True, None, *live_page.refreshed({}, memory, {}, asked)]
        try:
            _, results = store.read(_run_of(pathname))
            found = story.match(results.trials, chosen.trial)
            one = None if found is None else story.tell(results, found)
            parts = [] if one is None else telling.sections(results, one, store.uri)  # with samples from the store
        except (ValueError, OSError) as error:
            return [html.P(str(error)), False, no_update, *live_page.kept(asked)]
        close = dcc.Link("Close", href=layouts.address(results.plan["run"], chosen.switched("trial", "")))
        if one is None:
            told = html.P(str(story.unknown(chosen.trial, results.trials)))
            return [[told, close], False, no_update, *live_page.refreshed({}, memory, {}, asked)]
        seen = json.dumps([one.trial, one.healthy, len(one.steps), len(one.beside)], default=str)
        shown = [part for part in parts if part.text or part.tables]
        wanted = {f"story-{i}": (f"{seen} {part.title}", lambda part=part: part) for i, part in enumerate(shown)}
        moved = _moves(moves) if open_now == found else {}
        memory = memory if open_now == found else {**(memory or live_page.NEW_MEMORY), "zoom": {}}
        drawn = live_page.refreshed(wanted, memory, moved, asked)
        return [layouts.told(results, one, chosen, close), False, found, *drawn]


# --- what the browser does alone


def _in_the_browser(app: Dash) -> None:
    # who opens a trial goes on reading there, and who closes it where it was opened
    app.clientside_callback(
        """function (trial) {
            const before = window.gansweepOpen;
            window.gansweepOpen = trial;
            if (trial && trial !== before) {
                setTimeout(() => document.getElementById('aside')?.focus(), 0);
            } else if (!trial && before) {
                const link = [...document.querySelectorAll('#trials a')].find(one => one.textContent === before);
                (link || document.getElementById('all-trials'))?.focus();
            }
            return window.dash_clientside.no_update;
        }""",
        Output("aside", "title"),
        Input("focused", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        """function (pathname) {
            const run = decodeURIComponent((pathname || '').replace(/^[/]/, ''));
            document.title = run ? run + ' · gansweep' : 'gansweep';
            return window.dash_clientside.no_update;
        }""",
        Output("page", "title"),
        Input("url", "pathname"),
    )
