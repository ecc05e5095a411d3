"""A live page of one study: the same sections as the report, read again every few seconds and filtered at
will.

A page is any object with `sections` (parts of `gansweep.sections`) and perhaps a `title`, such as a module of
`dashboards/`. Everything is served from this machine; the page names no outside address.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from gansweep import figures, report
from gansweep.page import Drawing, Picture, Results, Section, Table, arm_labels
from gansweep.stability import Verdict

Read = Callable[[], Results]

INDEX = (
    '<!DOCTYPE html><html lang="en"><head>{%metas%}<title>{%title%}</title><link rel="icon" href="data:,">'
    "{%css%}<style>STYLE</style></head><body>{%app_entry%}"
    "<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>"
)


PLACES = {"counts": "children", "warning": "children", "sections": "children", "seen": "data"}
PARTS = {"text": "children", "figure": "figure", "table": "children", "pictures": "children"}


@dataclass(frozen=True)
class Filtered:
    """Results restricted to some trials; the plan is the whole study's."""

    plan: Any
    trials: pd.DataFrame
    steps: pd.DataFrame
    samples: Callable[[str], bytes | None]


def keep(results: Results, arms: Sequence[str], outcomes: Sequence[str]) -> Results:
    """The results of these arms whose outcome (verdict, or `no verdict`) is one of these; empty means all."""
    trials = results.trials
    if arms:
        trials = trials[trials["arm"].isin(list(arms))]
    if outcomes:
        trials = trials[trials["verdict"].astype(object).fillna("no verdict").isin(list(outcomes))]
    if len(trials) == len(results.trials):
        return results
    steps = results.steps[results.steps["trial"].isin(trials["trial"])]
    return Filtered(results.plan, trials, steps, results.samples)


def fingerprint(results: Results) -> str:
    """A digest of both frames and the design: the page is drawn again only when it changes."""
    frames = (results.trials, results.steps)
    hashes = [int(pd.util.hash_pandas_object(f.astype(str), index=False).sum()) for f in frames]
    return f"{results.plan.get('design_hash')}-{len(frames[0])}-{len(frames[1])}-{hashes[0]}-{hashes[1]}"


def make_app(read: Read, page: Any, every_seconds: float = 3.0) -> Dash:
    """The Dash app of one study.

    `read` returns the results as they are now; it is called for every refresh. If it fails, the page stays as
    it was and says why. Zoom survives a refresh.
    """
    if not getattr(page, "sections", None):
        raise ValueError(f"the dashboard page {getattr(page, '__name__', page)!r} has no sections = (...)")
    app = Dash(__name__, serve_locally=True, title=getattr(page, "title", "gansweep"), update_title="")
    style = resources.files("gansweep").joinpath("templates", "dashboard.css").read_text(encoding="utf-8")
    app.index_string = INDEX.replace("STYLE", style)
    app.layout = lambda: _layout(read, every_seconds)
    outputs = [Output(name, prop) for name, prop in PLACES.items()]
    outputs += [Output({"part": name, "at": ALL}, prop) for name, prop in PARTS.items()]

    @app.callback(
        outputs,
        [Input("tick", "n_intervals"), Input("arms", "value"), Input("verdicts", "value")],
        [State("seen", "data"), State({"part": "figure", "at": ALL}, "relayoutData")],
        # No tick while one is being answered: Dash drops an answer that a newer request has overtaken.
        running=[(Output("tick", "disabled"), True, False)],
    )
    def refresh(_: int, arms: list[str], verdicts: list[str], seen: dict[str, Any] | None, moves: list[Any]) -> Any:
        shown = [[place["id"]["at"] for place in places] for places in ctx.outputs_list[len(PLACES) :]]
        moved = {place["id"]["at"]: move for place, move in zip(ctx.states_list[1], moves, strict=True)}
        try:
            results = read()
            now = f"{fingerprint(results)} {arms} {verdicts}"
            if seen and now == seen["now"]:
                return [no_update, "", no_update, no_update, *_kept(shown)]
            zoom = zoomed((seen or {}).get("zoom", {}), moved)
            memory = {"now": now, "shape": (seen or {}).get("shape"), "zoom": zoom}
            return _drawn(results, page, arms, verdicts, memory, shown)
        except Exception as error:
            logging.getLogger(__name__).warning("the study could not be read", exc_info=True)
            return [no_update, f"Not refreshed: {error}", no_update, no_update, *_kept(shown)]

    return app


def serve(read: Read, page: Any, host: str = "127.0.0.1", port: int = 8050) -> None:
    """Serve the page until interrupted. It is open to other machines only if `host` says so."""
    if not 0 < port < 65536:
        raise ValueError(f"port = {port} must lie between 1 and 65535")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    make_app(read, page).run(host=host, port=port, debug=False)


def _kept(shown: list[list[str]]) -> list[list[Any]]:
    return [[no_update] * len(places) for places in shown]


def zoomed(zoom: dict[str, Any], moved: dict[str, Any]) -> dict[str, Any]:
    """The axis ranges a reader has chosen, by figure and axis: `zoom` updated with each figure's last move.

    Plotly's uirevision should keep them, but does not when a Dash callback brings the new figure (measured
    with Dash 4.4).
    """
    kept = {at: dict(axes) for at, axes in zoom.items()}
    for at, move in moved.items():
        for key, value in (move or {}).items():
            axis, _, what = key.partition(".")
            if what == "autorange":
                kept.get(at, {}).pop(axis, None)
            elif what == "range[0]":
                kept.setdefault(at, {})[axis] = [value, move[f"{axis}.range[1]"]]
    return kept


def _drawn(
    results: Results,
    page: Any,
    arms: list[str],
    verdicts: list[str],
    memory: dict[str, Any],
    shown: list[list[str]],
) -> list[Any]:
    """The outputs of a refresh.

    Dash builds anew whatever is inside a replaced container, and a figure built anew forgets its zoom. So the
    frame of the page is replaced only when its shape changes, and otherwise each part on its own.
    """
    kept = keep(results, arms, verdicts)
    warning = ""
    if kept is not results:
        warning = (
            f"Filtered: {len(kept.trials)} of {len(results.trials)} trials. The rates below are those of "
            "the filtered trials, not of the study."
        )
    told = [
        html.P(report.counts_sentence(results), className="counts"),
        html.P(report.pairing_sentence(results)),
    ]
    sections = report.render(kept, page.sections)
    shape = [[len(section.figures), len(section.tables)] for section in sections]
    same, memory = memory["shape"] == shape, {**memory, "shape": shape}
    if not same:
        return [told, warning, [_section(s, i) for i, s in enumerate(sections)], memory, *_kept(shown)]
    new = _parts(sections)
    for at in memory["zoom"].keys() & new.keys():
        for axis, chosen in memory["zoom"][at].items():
            new[at].layout[axis].range = chosen
    return [told, warning, no_update, memory, *([new[at] for at in places] for places in shown)]


def _layout(read: Read, every_seconds: float) -> html.Main:
    results = read()
    labels, plan = arm_labels(results.plan), results.plan
    seen = results.trials["verdict"].dropna().astype(str)
    verdicts = [*dict.fromkeys([*(str(verdict) for verdict in Verdict), *seen]), "no verdict"]
    choose_arm = dcc.Checklist(id="arms", options=labels, value=[], inline=True)
    choose_verdict = dcc.Checklist(id="verdicts", options=verdicts, value=[], inline=True)
    return html.Main(
        [
            html.P(f"{plan['study']} · {plan.get('run', '')}", className="soft"),
            html.H1(plan["question"]),
            html.P(report.preset_sentence(plan), className="soft"),
            html.Div(id="counts"),
            html.Div(
                [
                    html.Fieldset([html.Legend("Arms"), choose_arm]),
                    html.Fieldset([html.Legend("Verdicts"), choose_verdict]),
                ],
                className="filters",
            ),
            html.Div(id="warning", className="warning", role="status"),
            html.Div(id="sections", className="sections"),
            dcc.Interval(id="tick", interval=round(1000 * every_seconds)),
            dcc.Store(id="seen"),
        ]
    )


def _parts(sections: Sequence[Section]) -> dict[str, Any]:
    """Everything on the page that a refresh can change, by its place."""
    parts: dict[str, Any] = {}
    for i, section in enumerate(sections):
        parts[f"text-{i}"] = [html.P(text) for text in section.text]
        parts[f"pictures-{i}"] = [_picture(picture) for picture in section.pictures]
        parts |= {f"figure-{i}-{j}": drawing.figure for j, drawing in enumerate(section.figures)}
        parts |= {f"table-{i}-{j}": _table(table) for j, table in enumerate(section.tables)}
    return parts


def _section(section: Section, place: int) -> html.Section:
    parts = _parts([section])

    def box(name: str, at: str, first: str, **more: Any) -> html.Div:
        return html.Div(parts[first], id={"part": name, "at": at}, **more)

    figures_shown = [
        _figure(drawing, parts[f"figure-0-{j}"], f"figure-{place}-{j}") for j, drawing in enumerate(section.figures)
    ]
    tables = [
        html.Details([html.Summary("Table"), box("table", f"table-{place}-{j}", f"table-0-{j}", className="scroll")])
        for j in range(len(section.tables))
    ]
    return html.Section(
        [
            html.H2(section.title),
            box("text", f"text-{place}", "text-0"),
            *figures_shown,
            *tables,
            box("pictures", f"pictures-{place}", "pictures-0", className="pictures"),
        ]
    )


def _figure(drawing: Drawing, figure: Any, at: str) -> html.Figure:
    graph = dcc.Graph(id={"part": "figure", "at": at}, figure=figure, config=dict(figures.CONFIG))
    return html.Figure([graph, html.Figcaption(drawing.caption)])


def _picture(picture: Picture) -> html.Figure:
    return html.Figure([html.Img(src=report.data_uri(picture), alt=picture.caption), html.Figcaption(picture.caption)])


def _table(table: Table) -> html.Table:
    rows = [
        html.Tr([html.Th(str(first), scope="row"), *(html.Td(str(value)) for value in rest)])
        for first, *rest in table.shown.to_numpy().tolist()
    ]
    head = html.Tr([html.Th(str(name), scope="col") for name in table.shown.columns])
    return html.Table([html.Caption(table.caption), html.Thead(head), html.Tbody(rows)])
