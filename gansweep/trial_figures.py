"""The figure of a run in which every trial is a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from gansweep.look import INK, Labels, blank, style_of

MANY = 2_000  # points from which on they are drawn by the graphics card


def trial_dots(
    trials: pd.DataFrame, arms: Sequence[str], labels: Labels, score: str, score_label: str, over: str, over_label: str
) -> Any:
    """The score of every trial over its column `over`, an arm keeping its colour and marker.

    Trials without a score stand in a row below all others. A point's `customdata` is the trial's id.
    """
    figure = blank(400, x=over_label, y=score_label)
    known = pd.to_numeric(trials[score])
    spread = float(known.max() - known.min()) if known.notna().any() else 0.0
    lowest = float(known.min()) if known.notna().any() else 0.0
    floor = lowest - 0.12 * (spread or 1.0)
    draw = figure.add_scattergl if len(trials) > MANY else figure.add_scatter
    for arm in arms:
        part = trials[(trials["arm"] == arm) & trials[over].notna()]
        colour, _, marker = style_of(arms, arm)
        scored = pd.to_numeric(part[score])
        state = part["verdict"].astype(object).fillna(part["status"])
        draw(
            x=part[over],
            y=scored.fillna(floor),
            mode="markers",
            name=labels[arm],
            marker={"color": colour, "symbol": scored.notna().map({True: marker, False: f"{marker}-open"}), "size": 8},
            customdata=part["trial"],
            text=[
                f"{cell}/{arm}: {'no score' if value != value else f'{value:.3g}'}, {became}"
                for cell, value, became in zip(part["cell"], scored, state, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.add_hline(y=floor, line={"color": INK, "width": 1, "dash": "dot"}, annotation_text="no score")
    figure.update_xaxes(type="category" if trials[over].dtype == object else None)
    return figure.update_layout(clickmode="event")
