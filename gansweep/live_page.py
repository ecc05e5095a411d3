"""Sections as components of a page that is drawn again while it is read.

Dash builds anew whatever is inside a replaced container, and what is built anew forgets its zoom, its open tables and
where the reader was. So a section's frame is replaced only when its shape changes, and else each part on its own, if
its content has changed.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from dash import ALL, Output, State, dcc, html, no_update

from gansweep import look, report
from gansweep.page import Drawing, Picture, Section, Table

PARTS = {"text": "children", "figure": "figure", "table": "children", "pictures": "children"}
ROWS = 100  # of a table that repeats a figure
NEW_MEMORY: dict[str, Any] = {"digests": {}, "shapes": {}, "zoom": {}, "behind": 0, "spent": 0.0}

SCROLLED: dict[str, Any] = {"tabIndex": 0, "role": "region"}  # by the keyboard too

Wanted = Mapping[str, tuple[str, Callable[[], Section]]]
Places = Sequence[Sequence[Mapping[str, Any]]]
log = logging.getLogger(__name__)


def frame(key: str, of: str) -> html.Section:
    """Where the section called `key` will stand; `of` is what it belongs to, "run" or "trial"."""
    return html.Section(id={"frame": key, "of": of})


def outputs(of: str) -> list[Output]:
    """What a callback that refreshes the sections of `of` sets: `refreshed` returns the values."""
    parts = [Output({"part": name, "of": of, "at": ALL}, prop) for name, prop in PARTS.items()]
    return [Output({"frame": ALL, "of": of}, "children"), *parts, Output({"memory": of}, "data")]


def states(of: str) -> list[State]:
    """What such a callback has to be told: its memory, and how the reader has moved each figure."""
    return [State({"memory": of}, "data"), State({"part": "figure", "of": of, "at": ALL}, "relayoutData")]


def refreshed(
    wanted: Wanted,
    memory: dict[str, Any] | None,
    moves: Mapping[str, Any],
    asked: Places,
    seconds: float = math.inf,
) -> list[Any]:
    """The values for `outputs`: what has changed, and nothing for the rest.

    `wanted` are the sections by their keys, each with a digest of what it is made from; one whose digest is as before
    is not drawn. `moves` are the figures' last moves and `asked` the places, as Dash tells them. No section but the
    first is begun after so many `seconds`: those that are still to be drawn stay as they are, and the memory says how
    many they are (`behind`) and how long the others took since none was (`spent`, seconds).
    """
    before, began, drawn, behind = memory or NEW_MEMORY, time.perf_counter(), 0, 0
    zoom = zoomed(before["zoom"], moves)
    frames: dict[str, Any] = {key: [] for key in before["shapes"] if key not in wanted}
    parts: dict[str, Any] = {}
    digests: dict[str, str] = {}
    shapes: dict[str, Any] = {}
    for key, (digest, draw) in wanted.items():
        late = drawn > 0 and time.perf_counter() - began > seconds
        if late or before["digests"].get(key) == digest:
            behind += before["digests"].get(key) != digest
            digests |= {key: before["digests"][key]} if key in before["digests"] else {}
            shapes |= {key: before["shapes"][key]} if key in before["shapes"] else {}
            continue
        section, digests[key], drawn = _drawn(key, draw), digest, drawn + 1
        new = _parts(section, key, zoom)
        shapes[key] = [section.title, len(section.figures), len(_tables(section))]
        if shapes[key] == before["shapes"].get(key):
            parts |= new
        else:
            frames[key] = _framed(section, key, new)
    places, *of_parts = asked[: 1 + len(PARTS)]
    return [
        [frames.get(place["id"]["frame"], no_update) for place in places],
        *([parts.get(place["id"]["at"], no_update) for place in one] for one in of_parts),
        {
            "digests": digests,
            "shapes": shapes,
            "zoom": zoom,
            "behind": behind,
            "spent": time.perf_counter() - began + (before["spent"] if before["behind"] else 0.0),
        },
    ]


def kept(asked: Places) -> list[Any]:
    """The values for `outputs` that leave everything as it is."""
    return [*([no_update] * len(places) for places in asked[: 1 + len(PARTS)]), no_update]


def zoomed(zoom: Mapping[str, Mapping[str, Any]], moves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The axis ranges a reader has chosen, by figure and axis: `zoom` updated with each figure's last move.

    Plotly's uirevision should keep them, but does not when a Dash callback brings the new figure (measured
    with Dash 4.4).
    """
    found = {at: dict(axes) for at, axes in zoom.items()}
    for at, move in moves.items():
        for key, value in (move or {}).items():
            axis, _, what = key.partition(".")
            if what == "autorange":
                found.get(at, {}).pop(axis, None)
            elif what in ("range", "range[0]"):
                ends = value if what == "range" else [value, move[f"{axis}.range[1]"]]
                found.setdefault(at, {})[axis] = ends
    return found


def _drawn(key: str, draw: Callable[[], Section]) -> Section:
    """The section; one that cannot be drawn says so in its place, and the others stand."""
    try:
        return draw()
    except Exception as error:
        log.exception("the section %s could not be drawn", key)
        return Section(title=key, text=(f"This section could not be drawn: {type(error).__name__}: {error}",))


def _id(part: str, at: str) -> dict[str, str]:
    return {"part": part, "of": at.partition(":")[0], "at": at}


def _parts(section: Section, key: str, zoom: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Everything in a section that a refresh can change, by its place."""
    of = "trial" if key.startswith("story") else "run"
    parts: dict[str, Any] = {
        f"{of}:{key}:text": [html.P(text) for text in section.text],
        f"{of}:{key}:pictures": [_picture(picture) for picture in section.pictures],
    }
    for j, drawing in enumerate(section.figures):
        at = f"{of}:{key}:figure-{j}"
        parts[at] = drawing.figure
        for axis, chosen in zoom.get(at, {}).items():
            drawing.figure.layout[axis].range = chosen
    return parts | {f"{of}:{key}:table-{j}": table_of(table) for j, table in enumerate(_tables(section))}


def _framed(section: Section, key: str, parts: Mapping[str, Any]) -> list[Any]:
    """The whole of a section. A heading, what it says, its figures, then the tables behind them, closed."""
    at = {place.rpartition(":")[2]: place for place in parts}

    def box(part: str, name: str, **more: Any) -> html.Div:
        return html.Div(parts[at[name]], id=_id(part, at[name]), **more)

    drawn = [
        _figure(drawing, parts[at[f"figure-{j}"]], _id("figure", at[f"figure-{j}"]))
        for j, drawing in enumerate(section.figures)
    ]
    tables = [
        html.Details(
            [
                html.Summary(f"Table: {table.caption}"),
                box("table", f"table-{j}", className="scroll", **SCROLLED, **{"aria-label": table.caption}),
            ]
        )
        for j, table in enumerate(_tables(section))
    ]
    heading = html.H3(section.title) if key.startswith("story") else html.H2(section.title)
    return [heading, box("text", "text"), *drawn, *tables, box("pictures", "pictures", className="pictures")]


def _figure(drawing: Drawing, figure: Any, place: Mapping[str, str]) -> html.Figure:
    graph = dcc.Graph(id=dict(place), figure=figure, config=dict(look.CONFIG))
    return html.Figure([graph, html.Figcaption(drawing.caption)])


def _picture(picture: Picture) -> html.Figure:
    return html.Figure([html.Img(src=report.data_uri(picture), alt=picture.caption), html.Figcaption(picture.caption)])


def _tables(section: Section) -> list[Table]:
    """The section's tables; where there are fewer than figures, also what each figure draws."""
    if len(section.tables) >= len(section.figures):
        return list(section.tables)
    return [*section.tables, *(_behind(drawing) for drawing in section.figures)]


def _behind(drawing: Drawing) -> Table:
    """The points of a figure as a table, for who cannot see it."""
    rows = []
    for trace in drawing.figure.data:
        x, y = (() if getattr(trace, axis, None) is None else getattr(trace, axis) for axis in "xy")
        rows += [(trace.name or "", a, b) for a, b in zip(x, y, strict=False)] if len(x) == len(y) else []
    points = pd.DataFrame(rows, columns=["curve", "x", "y"])
    first = f", the first {ROWS} of {len(points):,} points" if len(points) > ROWS else ""
    shown = points.head(ROWS).map(lambda value: f"{value:.4g}" if isinstance(value, float) else str(value))
    return Table(shown=shown, caption=f"What the figure shows{first}", numbers=points)


def table_of(table: Table) -> html.Table:
    """A table with its caption; the first column names the row."""
    rows = [
        html.Tr([html.Th(str(first), scope="row"), *(html.Td(str(value)) for value in rest)])
        for first, *rest in table.shown.to_numpy().tolist()
    ]
    head = html.Tr([html.Th(str(name), scope="col") for name in table.shown.columns])
    return html.Table([html.Caption(table.caption), html.Thead(head), html.Tbody(rows)])
