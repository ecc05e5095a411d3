"""A live page of one study: the same sections as the report, read again every few seconds and filtered at "
"will.

A page is any object with `sections` (parts of `gansweep.sections`) and perhaps a `title`, such as a module of
`dashboards/`. Everything is served from this machine; the page names no outside address.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pandas as pd
from dash import Dash, Input, Output, State, dcc, html, no_update

from gansweep import figures, report
from gansweep.page import Drawing, Results, Section, Table, arm_labels
from gansweep.stability import Verdict

Read = Callable[[], Results]

INDEX = (
    '<!DOCTYPE html><html lang="en"><head>{%metas%}<title>{%title%}</title><link rel="icon" href="data:,">'
    "{%css%}<style>STYLE</style></head><body>{%app_entry%}"
    "<footer>{%config%}{%scripts%}{%renderer%}</footer></body></html>"
)


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
        trials = trials[trials["verdict"].fillna("no verdict").isin(list(outcomes))]
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
    it was and says why. Zoom and hidden traces survive a refresh.
    """
    if not getattr(page, "sections", None):
        raise ValueError(f"the dashboard page {getattr(page, '__name__', page)!r} has no sections = (...)")
    app = Dash(__name__, serve_locally=True, title=getattr(page, "title", "gansweep"), update_title="")
    style = resources.files("gansweep").joinpath("templates", "dashboard.css").read_text(encoding="utf-8")
    app.index_string = INDEX.replace("STYLE", style)
    app.layout = lambda: _layout(read, every_seconds)
    drawn = {"counts": "children", "warning": "children", "sections": "children", "seen": "data"}

    @app.callback(
        [Output(name, prop) for name, prop in drawn.items()],
        [Input("tick", "n_intervals"), Input("arms", "value"), Input("verdicts", "value")],
        State("seen", "data"),
        # No tick while one is being answered: Dash drops an answer that a newer request has overtaken.
        running=[(Output("tick", "disabled"), True, False)],
    )
    def refresh(_: int, arms: list[str], verdicts: list[str], seen: str | None) -> Any:
        try:
            results = read()
            now = f"{fingerprint(results)} {arms} {verdicts}"
            if now == seen:
                return no_update, "", no_update, no_update
            return [*_drawn(results, page, arms, verdicts), now]
        except Exception as error:
            logging.getLogger(__name__).warning("the study could not be read", exc_info=True)
            return no_update, f"Not refreshed: {error}", no_update, no_update

    return app


def serve(read: Read, page: Any, host: str = "127.0.0.1", port: int = 8050) -> None:
    """Serve the page until interrupted. It is open to other machines only if `host` says so."""
    if not 0 < port < 65536:
        raise ValueError(f"port = {port} must lie between 1 and 65535")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    make_app(read, page).run(host=host, port=port, debug=False)


def _drawn(results: Results, page: Any, arms: list[str], verdicts: list[str]) -> list[Any]:
    kept = keep(results, arms, verdicts)
    warning = ""
    if kept is not results:
        warning = (
            f"Filtered: {len(kept.trials)} of {len(results.trials)} trials. Rates below are those of the "
            f"filtered trials "
            "only, not of the study."
        )
    told = [
        html.P(report.counts_sentence(results), className="counts"),
        html.P(report.pairing_sentence(results)),
    ]
    return [told, warning, [_section(s, i) for i, s in enumerate(report.render(kept, page.sections))]]


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


def _section(section: Section, place: int) -> html.Section:
    pictures = [
        html.Figure(
            [
                html.Img(src="data:image/png;base64," + base64.b64encode(p.png).decode(), alt=p.caption),
                html.Figcaption(p.caption),
            ]
        )
        for p in section.pictures
    ]
    return html.Section(
        [
            html.H2(section.title),
            *(html.P(text) for text in section.text),
            *(_figure(d, f"figure-{place}-{i}") for i, d in enumerate(section.figures)),
            *(_table(t) for t in section.tables),
            html.Div(pictures, className="pictures"),
        ],
        key=section.title,
    )


def _figure(drawing: Drawing, name: str) -> html.Figure:
    graph = dcc.Graph(id=name, figure=drawing.figure, config=dict(figures.CONFIG))
    return html.Figure([graph, html.Figcaption(drawing.caption)], key=name)


def _table(table: Table) -> html.Details:
    names = [str(name) for name in table.shown.columns]
    rows = [
        html.Tr([html.Th(str(first), scope="row"), *(html.Td(str(v)) for v in rest)])
        for first, *rest in table.shown.to_numpy().tolist()
    ]
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in names]))
    body = html.Table([html.Caption(table.caption), head, html.Tbody(rows)])
    return html.Details([html.Summary("Table"), html.Div(body, className="scroll")])
