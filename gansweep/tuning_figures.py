"""Figures of a search and its candidates; see `figures`. Frames of `tuning` in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gansweep.look import COLOURS, GRID, INK, blank, go

STATES = {"evaluated": "circle", "ended early": "triangle-down-open", "failed": "x", "lost": "cross-thin-open"}


def search_history(found: pd.DataFrame, best: pd.Series, goal: Mapping[str, Any]) -> go.Figure:
    """A point per candidate of `tuning.candidates` over its number, and the best so far as a line.

    Candidates without a value for the goal stand in a row below all others.
    """
    figure = blank(360, x="candidate", y=str(goal["label"]))
    values = found[goal["name"]]
    spread = float(values.max() - values.min()) or 1.0
    floor = float(values.min()) - 0.1 * spread
    for i, (state, marker) in enumerate(STATES.items()):
        part = found[found["state"] == state]
        if part.empty:
            continue
        figure.add_scatter(
            x=part["number"],
            y=part[goal["name"]].fillna(floor),
            mode="markers",
            name=state,
            marker={"color": COLOURS[i % len(COLOURS)], "symbol": marker, "size": 8},
            text=part["cell"],
            hovertemplate="%{text}: %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    line = {"color": INK, "shape": "hv"}
    figure.add_scatter(x=found["number"], y=best, mode="lines", name="best so far", line=line, hoverinfo="skip")
    return figure


def pareto_front(found: pd.DataFrame, front: pd.DataFrame, goals: Sequence[Mapping[str, Any]]) -> go.Figure:
    """The evaluated candidates of `tuning.candidates` by two goals, and the front as a stepped line."""
    x, y = (goal["name"] for goal in goals)
    figure = blank(400, x=str(goals[0]["label"]), y=str(goals[1]["label"]))
    known = found[found["state"] == "evaluated"]
    for name, part, colour, size in (("candidate", known, GRID, 8), ("on the front", front, COLOURS[0], 10)):
        figure.add_scatter(
            x=part[x],
            y=part[y],
            mode="markers",
            name=name,
            marker={"color": colour, "size": size, "line": {"color": INK, "width": 1}},
            text=part["cell"],
            hovertemplate="%{text}: %{x:.3g}, %{y:.3g}<extra></extra>",
        )
    # what a step of the front leaves out is beaten by its ends
    line = {"color": COLOURS[0], "shape": "vh" if goals[0]["higher_is_better"] else "hv"}
    figure.add_scatter(x=front[x], y=front[y], mode="lines", showlegend=False, line=line)
    return figure


def explained_bars(table: pd.DataFrame) -> go.Figure:
    """A horizontal bar per factor of `tuning.explained`."""
    figure = blank(120 + 28 * len(table), x="share of the differences")
    figure.add_bar(x=table["share"], y=table["label"], orientation="h", name="found", marker={"color": COLOURS[0]})
    mark = {"symbol": "line-ns-open", "size": 18, "color": INK}
    figure.add_scatter(x=table["chance"], y=table["label"], mode="markers", name="by chance", marker=mark)
    return figure.update_yaxes(autorange="reversed").update_xaxes(range=[0, 1])
