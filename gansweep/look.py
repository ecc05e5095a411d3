"""How every figure looks, and how it goes into a page. With the modules of figures, the only door to Plotly.

One visual language: an arm keeps its colour, dash and marker in every figure (Okabe and Ito's colours, which
stay apart for colour-blind readers and in grey print), ties and unknowns are grey, ours is solid and the
paper's is dotted. Backgrounds are transparent and ink is a neutral grey, so a figure reads on light, dark and
paper.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dashdot", "longdash", "longdashdot", "dot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "star")
WELL_KNOWN = (  # arms that have the same style in every study
    ("gan", "dcgan"),
    ("wgan_gp", "penalty", "wgan_gp_adam"),
    ("lsgan", "lsgan_011"),
    ("wgan_clip", "clip", "clip_0.01"),
)
INK, GRID = "#767b84", "rgba(128,134,145,0.22)"
BOTH, NEITHER = "#6f7682", "rgba(128,134,145,0.30)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": COLOURS,
        "margin": {"l": 56, "r": 24, "t": 48, "b": 52},
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        "xaxis": {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "automargin": True},
        "yaxis": {"gridcolor": GRID, "zeroline": False, "linecolor": GRID, "automargin": True},
    }
)

Labels = Mapping[str, str]


def plotly_js() -> str:
    """The drawing library, to be embedded once in a page."""
    return str(get_plotlyjs())


def to_json(figure: go.Figure) -> str:
    """The figure's data and layout as JSON that may stand inside a script element."""
    return str(figure.to_json()).replace("</", "<\\/")


def config_json() -> str:
    """The figures' configuration as JSON."""
    return json.dumps(CONFIG)


def blank(height: int, x: str = "", y: str = "", **layout: Any) -> go.Figure:
    """An empty figure in our visual language."""
    figure = go.Figure()
    figure.update_layout(template=TEMPLATE, height=height, uirevision="keep", **layout)
    return figure.update_xaxes(title_text=x).update_yaxes(title_text=y)


def style_of(arms: Sequence[str], arm: str) -> tuple[str, str, str]:
    """The arm's colour, dash and marker: the same in every figure, and of the well-known arms in every study.

    The first six arms differ in all three; with more, no two of 36 share both colour and dash.
    """
    place = _places(tuple(arms))[arm]
    turn = place + place // len(COLOURS)
    return COLOURS[place % len(COLOURS)], DASHES[turn % len(DASHES)], MARKERS[turn % len(MARKERS)]


@cache
def _places(arms: tuple[str, ...]) -> dict[str, int]:
    """The number of each arm's style: reserved for a well-known one, and else the first that is free."""
    found: dict[str, int] = {}
    for arm in arms:
        place = next((i for i, names in enumerate(WELL_KNOWN) if arm in names), None)
        if place is not None and place not in found.values():
            found[arm] = place
    free = [i for i in range(len(arms) + len(WELL_KNOWN)) if i not in found.values()]
    rest = [arm for arm in arms if arm not in found]
    return found | dict(zip(rest, free, strict=False))


def faint(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
