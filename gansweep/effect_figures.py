"""Figures of what factors, arms and seeds do; see `figures`. Frames in, figures out, nothing is computed here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from plotly.subplots import make_subplots

from gansweep.look import COLOURS, DASHES, INK, TEMPLATE, Labels, blank, go, style_of

# blue over a neutral grey to orange: apart for colour-blind readers, and light and dark in grey print
LESS_TO_MORE = ((0.0, "#0072B2"), (0.5, "#d9dce1"), (1.0, "#D55E00"))
NONE_TO_MUCH = ((0.0, "#e6e8eb"), (1.0, "#0072B2"))


def interaction_map(pairs: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """How strong the interaction of each pair of factors is: a triangle per arm.

    `pairs` has a row per arm and pair of `factors.interactions`. The number is the size in percentage points; a star
    marks p <= 0.05 after Holm's correction.
    """
    names = list(dict.fromkeys([*pairs["label_a"], *pairs["label_b"]]))
    shown = [arm for arm in arms if arm in set(pairs["arm"])]
    figure = make_subplots(cols=len(shown), shared_yaxes=True, subplot_titles=[labels[arm] for arm in shown])
    for column, arm in enumerate(shown, start=1):
        of_arm = pairs[pairs["arm"] == arm]
        found = {(row["label_a"], row["label_b"]): row for row in of_arm.to_dict("records")}
        rows = [[found.get((a, b), {}) for a in names[:-1]] for b in names[1:]]
        trace = go.Heatmap(
            x=names[:-1],
            y=names[1:],
            z=[[100 * row.get("size", float("nan")) for row in line] for line in rows],
            text=[[_starred(row) for row in line] for line in rows],
            customdata=[[_told(row) for row in line] for line in rows],
            texttemplate="%{text}",
            hovertemplate="%{x} with %{y}: %{customdata}<extra></extra>",
            hoverongaps=False,
            coloraxis="coloraxis",
        )
        figure.add_trace(trace, row=1, col=column)
        if of_arm["size"].isna().all():
            why = "<br>".join(textwrap.wrap(f"{of_arm['reason'].iloc[0]}", 24))
            figure.add_annotation(
                text=why, x=0.5, y=0.5, xref="x domain", yref="y domain", showarrow=False, row=1, col=column
            )
    bar = {"title": {"text": "points"}, "thickness": 12}
    figure.update_layout(template=TEMPLATE, height=190 + 36 * len(names), uirevision="keep")
    figure.update_layout(coloraxis={"colorscale": NONE_TO_MUCH, "cmin": 0, "colorbar": bar})
    return figure.update_xaxes(showgrid=False, tickangle=-40).update_yaxes(showgrid=False, autorange="reversed")


def _starred(row: dict[str, Any]) -> str:
    if not row or row["size"] != row["size"]:
        return ""
    return f"{100 * row['size']:.0f}" + (" *" if row["p_holm"] <= 0.05 else "")


def _told(row: dict[str, Any]) -> str:
    if not row:
        return ""
    if row["reason"]:
        return str(row["reason"])
    by_chance = f"{100 * row['size']:.1f} points, {100 * row['chance']:.1f} by chance"
    return f"{by_chance}; p = {row['p_value']:.3g}, {row['p_holm']:.3g} after Holm's correction"


def interaction_levels(levels: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """One pair of factors, a panel per arm: the failure rate at each pair of levels, coloured by its excess.

    `levels` are the rows of `factors.interactions` of that pair.
    """
    shown = [arm for arm in arms if arm in set(levels["arm"])]
    figure = make_subplots(cols=len(shown), shared_yaxes=True, subplot_titles=[labels[arm] for arm in shown])
    widest = float(100 * levels["excess"].abs().max()) or 1.0
    for column, arm in enumerate(shown, start=1):
        rows = levels[levels["arm"] == arm]
        told = rows[["rate", "expected", "known", "excess_low", "excess_high"]]
        a, b = rows["level_a"].nunique(), rows["level_b"].nunique()
        trace = go.Heatmap(
            x=rows["level_b"].unique(),
            y=rows["level_a"].unique(),
            z=(100 * rows["excess"]).to_numpy().reshape(a, b),
            text=rows["rate"].map(lambda rate: "" if rate != rate else f"{100 * rate:.0f}%").to_numpy().reshape(a, b),
            customdata=told.to_numpy().reshape(a, b, told.shape[1]),
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}: %{customdata[0]:.0%} of %{customdata[2]:.0f} cells fail, %{customdata[1]:.0%} "
            "expected; excess %{z:.0f} points (95%: %{customdata[3]:.0%} to %{customdata[4]:.0%})<extra></extra>",
            hoverongaps=False,
            coloraxis="coloraxis",
        )
        figure.add_trace(trace, row=1, col=column)
    bar = {"title": {"text": "points beyond<br>the two alone"}, "thickness": 12}
    figure.update_layout(template=TEMPLATE, height=170 + 44 * levels["level_a"].nunique(), uirevision="keep")
    figure.update_layout(coloraxis={"colorscale": LESS_TO_MORE, "cmin": -widest, "cmax": widest, "colorbar": bar})
    figure.update_xaxes(type="category", title_text=levels["label_b"].iloc[0], showgrid=False)
    figure.update_yaxes(type="category", showgrid=False)
    return figure.update_yaxes(title_text=levels["label_a"].iloc[0], col=1)


def arm_differences(levels: pd.DataFrame) -> go.Figure:
    """One pair of arms: the difference of their failure rates at each level of each factor, with its interval.

    `levels` are the rows of `factors.arm_interactions` of that pair; a level without a known cell is left out.
    """
    known = levels[levels["cells"] > 0]
    figure = blank(130 + 22 * len(known), x="difference of the failure rates, points", showlegend=False)
    for label, rows in known.groupby("label", sort=False):
        value = 100 * rows["difference"]
        ends = {"array": 100 * rows["high"] - value, "arrayminus": value - 100 * rows["low"]}
        figure.add_scatter(
            x=value,
            y=[[label] * len(rows), rows["level"].tolist()],
            mode="markers",
            name=str(label),
            marker={"color": INK, "size": 9},  # colours are the arms'
            error_x={"type": "data", **ends, "color": INK},
            customdata=rows[["cells", "rate_a", "rate_b"]],
            hovertemplate="%{y}: %{x:.0f} points of %{customdata[0]} cells; %{customdata[1]:.0%} and "
            "%{customdata[2]:.0%} fail<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": INK, "width": 1, "dash": "dot"})
    return figure.update_yaxes(autorange="reversed")


def component_dots(components: pd.DataFrame, arms: Sequence[str], labels: Labels, score_label: str) -> go.Figure:
    """Each variance component as a standard deviation with its interval; the seeds' once more for each arm.

    `components` as `components.variance_components` returns it; rows without an estimate are left out.
    """
    known = components[components["variance"].notna()]
    figure = blank(130 + 34 * len(known), x=f"standard deviation of the {score_label}", showlegend=False)
    for row in known.to_dict("records"):
        colour, _, marker = style_of(arms, row["arm"]) if row["arm"] else (INK, "", "circle")
        name = f"seeds, {labels[row['arm']]}" if row["arm"] else row["component"]
        value, low, high = (max(row[end], 0) ** 0.5 for end in ("variance", "low", "high"))
        figure.add_scatter(
            x=[value],
            y=[name],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": marker, "size": 11},
            error_x={"type": "data", "array": [high - value], "arrayminus": [value - low], "color": colour},
            hovertemplate=f"{name}: {value:.3g} ({low:.3g} to {high:.3g})<extra></extra>",
        )
    return figure.update_xaxes(rangemode="tozero").update_yaxes(autorange="reversed")


def power_curves(curves: pd.DataFrame, planned: int, blocks: str = "cells") -> go.Figure:
    """The chance of seeing each difference over the number of cells (`blocks`); a line at the number that is planned.

    Columns num_cells, difference, power.
    """
    figure = blank(360, x=blocks, y="chance of p ≤ 0.05")
    for i, (difference, curve) in enumerate(curves.groupby("difference", sort=True)):
        line = {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)], "width": 2.5}
        name = f"{100 * float(difference):.0f} points"
        figure.add_scatter(x=curve["num_cells"], y=curve["power"], mode="lines", name=name, line=line)
    dotted = {"color": INK, "width": 1, "dash": "dot"}
    figure.add_vline(x=planned, line=dotted, annotation_text=f"planned: {planned}")
    figure.add_hline(y=0.8, line=dotted)
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%").update_xaxes(rangemode="tozero")
