"""What stands on the dashboard's pages: fixed parts, controls and tables. Callbacks of `dashboard` fill the rest."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from dash import dcc, html

from gansweep import live_page, report, sections, story
from gansweep.effect_sections import FactorEffects, WhileRunning
from gansweep.filters import NO_VERDICT, Chosen, levels, to_query
from gansweep.page import Results, arm_labels
from gansweep.stability import Verdict

COUNTS = ("planned", "done", "failed", "cancelled", "running", "not_started")
SECTIONS = (
    sections.OutcomeTable(),
    sections.Survival(),
    sections.ScoreCurves(),
    sections.PairedScores(),
    FactorEffects(),
    sections.OutcomeFlow(),
    sections.SampleGrids(),
    sections.Confounders(),
)
STATUSES = ("planned", "running", "done", "failed", "cancelled")
OVER = {"position": "place in the plan", "train_seconds": "seconds of training", "step": "last step"}
RUNS = 12  # that a page of one links to
FIRST = 3  # sections that a large run is shown with; the others where they are asked for
LARGE = 1_000  # trials
ROWS = 25  # of the table of trials
ORDERS = {"position": "as planned", "ended_at": "last ended", "best": "best score", "worst": "worst score"}


def address(run: str, chosen: Chosen | None = None) -> str:
    """The path and query of a run's page."""
    return f"/{urllib.parse.quote(run, safe='')}{to_query(chosen or Chosen())}"


def sections_of(page: Any, results: Results) -> dict[str, Any]:
    """The parts of a page by their keys; first, while the run goes on, what may be said of it meanwhile."""
    parts = tuple(getattr(page, "sections", SECTIONS))
    if not any(isinstance(part, WhileRunning) for part in parts):
        parts = (WhileRunning(), *parts)
    return {f"section-{number}": part for number, part in enumerate(parts)}


def completed(chosen: Chosen, page: Any, results: Results) -> Chosen:
    """With what is shown where nothing was chosen: of a large run the first sections only."""
    keys = list(sections_of(page, results))
    shown = keys[: FIRST if len(results.trials) > LARGE else None]
    defaults: dict[str, Any] = {"section": tuple(shown), "over": "position", "order": "position", "page": "1"}
    return dataclasses.replace(chosen, **{n: value for n, value in defaults.items() if not getattr(chosen, n)})


def away(error: Exception) -> html.Main:
    told = [html.H1("Nothing can be shown yet"), html.P(str(error), className="warning", role="alert")]
    return html.Main([*told, html.P(["It is tried again. ", dcc.Link("All runs", href="/")])], id="content")


def front(overview: Sequence[Mapping[str, Any]], uri: str) -> html.Main:
    head = ["run", "study", "question", *(name.replace("_", " ") for name in COUNTS)]
    rows = [
        html.Tr(
            [
                html.Th(dcc.Link(row["run"], href=address(row["run"])), scope="row"),
                html.Td(row["study"]),
                html.Td(row["question"]),
                *(html.Td(str(row[name]), className="number") for name in COUNTS),
            ]
        )
        for row in overview
    ]
    table = html.Table(
        [
            html.Caption("Every recorded run, the last launched first; planned is the sum of the other counts."),
            html.Thead(html.Tr([html.Th(name, scope="col") for name in head])),
            html.Tbody(rows),
        ]
    )
    none = html.P("No run is recorded yet; start one with: gansweep launch STUDY")
    told = html.P(f"{len(overview)} runs", className="soft", role="status")
    return html.Main([html.H1("Runs"), told, html.Div(table, className="wide") if rows else none], id="content")


def frame(
    overview: Sequence[Mapping[str, Any]], results: Results, page: Any, chosen: Chosen, every_seconds: float
) -> html.Main:
    """The fixed parts of a run's page; callbacks fill the rest."""
    plan = results.plan
    parts, chosen = sections_of(page, results), completed(chosen, page, results)
    titles = {key: part.title for key, part in parts.items()}
    return html.Main(
        [
            html.Nav(_links(overview, plan["run"]), className="runs", **{"aria-label": "Runs"}),
            html.H1(plan["question"]),
            html.P(f"{plan['study']} · {plan['run']} · {report.preset_sentence(plan)}", className="soft"),
            html.Div(id="away", role="alert", className="warning"),
            html.P(id="told", role="status", className="counts"),
            html.Div(id="counts", className="wide"),
            html.P(id="read", className="soft"),
            html.Div(_controls(results, titles, chosen), className="filters"),
            html.Div(id="filtered", className="warning", role="status"),
            html.Aside(
                [html.Div(id="story"), *(live_page.frame(f"story-{number}", "trial") for number in range(6))],
                id="aside",
                hidden=True,
                tabIndex=-1,
                **{"aria-label": "The open trial"},
            ),
            html.Div(
                [
                    _all_trials(results, chosen),
                    *(live_page.frame(key, "run") for key in parts),
                ],
                id="sections",
                className="sections",
            ),
            dcc.Interval(id="tick", interval=round(1000 * every_seconds)),
            dcc.Store(id={"memory": "run"}),
            dcc.Store(id={"memory": "trial"}),
            dcc.Store(id="version"),
            dcc.Store(id="focused"),
        ],
        id="content",
    )


def _links(overview: Sequence[Mapping[str, Any]], shown: str) -> list[Any]:
    links = [
        html.Strong(row["run"], **{"aria-current": "page"})
        if row["run"] == shown
        else dcc.Link(row["run"], href=address(row["run"]))
        for row in overview[:RUNS]
    ]
    return [dcc.Link("All runs", href="/"), *links]


def _controls(results: Results, titles: Mapping[str, str], chosen: Chosen) -> list[Any]:
    seen = results.trials["verdict"].dropna().astype(str)
    verdicts = dict.fromkeys([*(str(verdict) for verdict in Verdict), *seen, NO_VERDICT])
    factors = [buttons("level", label, of, chosen) for label, of in levels(results).items()]
    return [
        buttons("arm", "Arms", arm_labels(results.plan), chosen),
        buttons("status", "Status", {status: status for status in STATUSES}, chosen),
        buttons("verdict", "Verdicts", {verdict: verdict.replace("_", " ") for verdict in verdicts}, chosen),
        *([html.Details([html.Summary("Factors"), *factors], open=bool(chosen.level))] if factors else []),
        html.Details([html.Summary("Sections"), buttons("section", "Sections", titles, chosen)]),
    ]


def buttons(name: str, legend: str, options: Mapping[str, str], chosen: Chosen) -> html.Fieldset:
    """A button for each option, pressed where it is chosen; Dash's own lists have wrong roles for screen readers."""
    buttons = [
        html.Button(
            told,
            id={"set": name, "value": value},
            type="button",
            **{"aria-pressed": pressed(chosen, name, value)},
        )
        for value, told in options.items()
    ]
    return html.Fieldset([html.Legend(legend), *buttons])


def pressed(chosen: Chosen, name: str, value: str) -> str:
    wanted = getattr(chosen, name)
    return "true" if value == wanted or (isinstance(wanted, tuple) and value in wanted) else "false"


def _all_trials(results: Results, chosen: Chosen) -> html.Section:
    over = {name: label.capitalize() for name, label in OVER.items()}
    over |= {name: str(factor.get("label", name)) for name, factor in results.plan["factors"].items()}
    return html.Section(
        [
            html.H2("Trials"),
            html.P("Choose a point, or a trial of the table, to see its samples, curves and story."),
            html.Details([html.Summary("Horizontal axis"), buttons("over", "Horizontal axis", over, chosen)]),
            live_page.frame("trials", "run"),
            buttons("order", "First come the", ORDERS, chosen),
            html.Div(id="trials", className="wide"),
            html.P(id="place", role="status", className="soft"),
            html.Nav(id="turn", className="turn", **{"aria-label": "Pages of the table of trials"}),
        ],
        id="all-trials",
        tabIndex=-1,
    )


def counts(results: Results) -> html.Table:
    names = [html.Th(name.replace("_", " "), scope="col", className="number") for name in COUNTS]
    head = [html.Th("arm", scope="col"), *names]
    body = [
        html.Tr([html.Th(row["arm"], scope="row"), *(html.Td(str(row[name]), className="number") for name in COUNTS)])
        for row in report.count_rows(results)
    ]
    caption = html.Caption("Trials of each arm; planned is the sum of the other counts.")
    return html.Table([caption, html.Thead(html.Tr(head)), html.Tbody(body)])


def trial_table(results: Results, rows: pd.DataFrame, chosen: Chosen) -> html.Table:
    plan = results.plan
    labels, score = arm_labels(plan), plan["score"]
    head = ["trial", "cell", "arm", "seed", "status", "verdict", "decision", "step", plan["score_label"]]
    body = []
    for row in rows.to_dict("records"):
        became = [story.in_words(story.plain(row[name])) for name in ("status", "verdict", "decision", "step", score)]
        here = address(plan["run"], chosen.switched("trial", row["trial"]))
        opens = dcc.Link(row["trial"], href=here, id={"opens": row["trial"]})
        about = [html.Td(str(one)) for one in (row["cell"], labels[row["arm"]], row["seed"], *became)]
        current = {"aria-current": "true"} if row["trial"] == chosen.trial else {}
        body.append(html.Tr([html.Th(opens, scope="row"), *about], **current))
    caption = html.Caption("The trials that pass the filters; each opens its story.")
    return html.Table([caption, html.Thead(html.Tr([html.Th(name, scope="col") for name in head])), html.Tbody(body)])


def told(results: Results, one: story.Story, chosen: Chosen, close: Any) -> list[Any]:
    """The head of a story: the answer, its sentences, and the other trials of the block."""
    row, trials, labels = one.trial, results.trials, arm_labels(results.plan)
    block = trials[(trials["cell"] == row["cell"]) & (trials["seed"] == row["seed"])]
    block = block[block["trial"] != row["trial"]]
    others: list[Any] = []
    for other in block.to_dict("records"):
        here = address(results.plan["run"], chosen.switched("trial", other["trial"]))
        others += [" ", dcc.Link(labels[other["arm"]], href=here)]
    beside = [html.P(["The same cell and seed under:", *others])] if others else []
    about = html.P(f"trial {row['trial']}, seed {row['seed']}", className="soft")
    return [close, html.H2(one.answer), about, *(html.P(sentence) for sentence in one.sentences), *beside]
