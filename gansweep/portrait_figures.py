"""Figures of portraits, distances and convergence; see `figures`. Arrays and frames in, figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from gansweep.look import INK, TEMPLATE, Labels, blank, faint, go, style_of

Arrays = Mapping[str, NDArray[Any]]

HEIGHTS = ((0.0, "#f4f5f7"), (0.5, "#9cc3de"), (1.0, "#0b4a77"))  # of a surface: light to dark in grey print, too
POINT = "rgba(20,22,26,0.75)"
REAL = "rgba(128,134,145,0.55)"
LEVELS = 14


def value_surfaces(rows: Sequence[tuple[str, Mapping[str, Arrays]]], arms: Sequence[str], labels: Labels) -> go.Figure:
    """The critic over the plane: a row per data set, a column per arm, real examples as points.

    Each entry of `rows` is a title and, by arm, the arrays of `CriticSurface`, of which the last frame is drawn. Every
    panel has the colours from its own lowest to its own highest value, which the hover tells.
    """
    shown = [arm for arm in arms if any(arm in panels for _, panels in rows)]
    figure = make_subplots(
        rows=len(rows),
        cols=len(shown),
        column_titles=[labels[arm] for arm in shown],
        row_titles=[title for title, _ in rows],
        horizontal_spacing=0.02,
        vertical_spacing=0.1 / max(2, len(rows)),
    )
    for i, (_, panels) in enumerate(rows, start=1):
        for j, arm in enumerate(shown, start=1):
            if arm in panels:
                figure.add_traces(_surface(panels[arm]), rows=i, cols=j)
            number = (i - 1) * len(shown) + j
            anchor = "x" if number == 1 else f"x{number}"
            figure.update_yaxes(scaleanchor=anchor, constrain="domain", row=i, col=j)
    side = 860 / max(3, len(shown))
    figure.update_layout(template=TEMPLATE, height=80 + side * len(rows), uirevision="keep", showlegend=False)
    figure.update_layout(margin={"l": 24, "r": 40, "t": 40, "b": 24})
    figure.update_xaxes(showticklabels=False, ticks="", showgrid=False, constrain="domain")
    return figure.update_yaxes(showticklabels=False, ticks="", showgrid=False)


def _surface(arrays: Arrays) -> list[Any]:
    value = arrays["value"][-1].astype(float)
    low, high = float(np.nanmin(value)), float(np.nanmax(value))
    # bytes in place of numbers: a page with nine surfaces stays small, and no eye sees 256 steps
    shade = np.nan_to_num(255 * (value - low) / ((high - low) or 1.0)).round().astype(np.uint8)
    x, y, real = (arrays[name][-1] for name in ("x", "y", "real"))
    contour = go.Contour(
        x=x.round(3),
        y=y.round(3),
        z=shade,
        zmin=0,
        zmax=255,
        colorscale=HEIGHTS,
        showscale=False,
        contours={"start": 0, "end": 255, "size": 255 / LEVELS, "coloring": "heatmap"},
        line={"width": 0.8, "color": "rgba(20,22,26,0.45)"},
        hovertemplate=f"(%{{x:.2f}}, %{{y:.2f}})<br>from {low:.3g} to {high:.3g}<extra></extra>",
    )
    inside = real[(np.abs(real) <= [np.abs(x).max(), np.abs(y).max()]).all(axis=1)].round(3)
    points = go.Scatter(
        x=inside[:, 0], y=inside[:, 1], mode="markers", marker={"size": 3, "color": "#D55E00"}, hoverinfo="skip"
    )
    return [contour, points]


def layer_norms(table: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """Gradient norms over the layers on a logarithmic axis: median per arm, and the extremes as a band.

    `table` as `portrayed.layer_norms` returns it; layer 1 is the example, the last one the score.
    """
    figure = blank(420, x="layer, from the example (1) to the score", y="norm of the gradient in its activations")
    for arm, curve in table.groupby("arm", sort=False):
        colour, dash, marker = style_of(arms, str(arm))
        edge = {"x": curve["layer"], "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
        figure.add_scatter(y=curve["low"], legendgroup=arm, **edge)
        figure.add_scatter(y=curve["high"], fill="tonexty", fillcolor=faint(colour, 0.16), legendgroup=arm, **edge)
        figure.add_scatter(
            x=curve["layer"],
            y=curve["norm"],
            mode="lines+markers",
            name=labels[str(arm)],
            legendgroup=arm,
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"color": colour, "symbol": marker, "size": 8},
            hovertemplate=f"{labels[str(arm)]}, layer %{{x}}: %{{y:.2g}}<extra></extra>",
        )
    figure.update_xaxes(dtick=1)
    return figure.update_yaxes(type="log", exponentformat="power")


def weight_histograms(panels: Mapping[str, Arrays], arms: Sequence[str], labels: Labels) -> go.Figure:
    """The weights of each arm's discriminator, all layers together, as shares per bin; bounds are dotted lines.

    `panels` has the arrays of `WeightHistograms` by arm, of which the last frame is drawn.
    """
    shown = [arm for arm in arms if arm in panels]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    titles = [f"{labels[arm]}{_at_bound(panels[arm])}" for arm in shown]
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, horizontal_spacing=0.1, vertical_spacing=0.32 / rows
    )
    for number, arm in enumerate(shown):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        counts, edges = panels[arm]["counts"][-1].sum(axis=0), panels[arm]["edges"][-1]
        middle, share = (edges[:-1] + edges[1:]) / 2, counts / max(1, counts.sum())
        colour = style_of(arms, arm)[0]
        figure.add_bar(
            x=middle,
            y=share,
            width=np.diff(edges),
            name=labels[arm],
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate="%{x:.3g}: %{y:.2%}<extra></extra>",
            **place,
        )
        figure.update_xaxes(range=[1.05 * edges[0], 1.05 * edges[-1]], **place)
        bound = float(panels[arm]["bound"][-1])
        for side in (-bound, bound) if np.isfinite(bound) else ():
            figure.add_vline(x=side, line={"color": INK, "width": 1, "dash": "dot"}, **place)
    figure.update_layout(template=TEMPLATE, height=80 + 220 * rows, uirevision="keep", showlegend=False, bargap=0)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure.update_xaxes(exponentformat="power")


def _at_bound(arrays: Arrays) -> str:
    if not np.isfinite(arrays["bound"][-1]):
        return ""
    sizes = arrays["counts"][-1].sum(axis=1)
    return f": {100 * np.average(arrays['at_bound'][-1], weights=sizes):.0f}% at the bound"


def convergence(curves: pd.DataFrame, arms: Sequence[str], labels: Labels, score_label: str) -> go.Figure:
    """The score by generator step, left, and by seconds of training, right: median and quartiles per arm.

    `curves` as `portrayed.over_seconds` returns it.
    """
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for arm, curve in curves.groupby("arm", sort=False):
        colour, dash, _ = style_of(arms, str(arm))
        kept = curve.dropna(subset=["low", "high"])
        for column, axis in enumerate(("step", "seconds"), start=1):
            place = {"row": 1, "col": column}
            edge = {"x": kept[axis], "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
            figure.add_scatter(y=kept["low"], legendgroup=arm, **edge, **place)
            fill = {"fill": "tonexty", "fillcolor": faint(colour, 0.16)}
            figure.add_scatter(y=kept["high"], legendgroup=arm, **fill, **edge, **place)
            figure.add_scatter(
                x=curve[axis],
                y=curve["median"],
                mode="lines",
                name=labels[str(arm)],
                legendgroup=arm,
                showlegend=column == 1,
                line={"color": colour, "dash": dash, "width": 2.5},
                hovertemplate=f"{labels[str(arm)]}, {axis} %{{x:.4g}}: %{{y:.3g}}<extra></extra>",
                **place,
            )
    figure.update_layout(template=TEMPLATE, height=420, uirevision="keep")
    figure.update_xaxes(rangemode="tozero").update_xaxes(title_text="generator step", col=1)
    figure.update_xaxes(title_text="seconds of training", col=2)
    return figure.update_yaxes(title_text=score_label, col=1)


def sample_clouds(panels: Mapping[str, Arrays], arms: Sequence[str], labels: Labels, reach: float) -> go.Figure:
    """Samples over real points, a panel per arm, one frame per step: with a slider and a button that plays them.

    `panels` has the arrays of `SampleClouds` by arm; all panels show [-reach, reach] on both axes.
    """
    shown = [arm for arm in arms if arm in panels]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[labels[arm] for arm in shown],
        horizontal_spacing=0.02,
        vertical_spacing=0.2 / rows,
    )
    steps = sorted({int(step) for arm in shown for step in panels[arm]["step"]})
    for number, arm in enumerate(shown):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        real = panels[arm]["real"][-1].round(3)
        common = {"mode": "markers", "hoverinfo": "skip"}
        figure.add_scatter(x=real[:, 0], y=real[:, 1], marker={"size": 3, "color": REAL}, **common, **place)
        samples = _cloud(panels[arm], steps[-1])
        style = {"size": 4, "color": style_of(arms, arm)[0], "opacity": 0.75}
        figure.add_scatter(x=samples[:, 0], y=samples[:, 1], marker=style, **common, **place)
        anchor = "x" if number == 0 else f"x{number + 1}"
        figure.update_yaxes(scaleanchor=anchor, constrain="domain", **place)
    figure.frames = [
        go.Frame(
            name=str(step),
            data=[go.Scatter(x=c[:, 0], y=c[:, 1]) for c in (_cloud(panels[arm], step) for arm in shown)],
            traces=[2 * number + 1 for number in range(len(shown))],
        )
        for step in steps
    ]
    figure.update_layout(
        template=TEMPLATE, height=170 + 900 / max(3, columns) * rows, uirevision="keep", showlegend=False
    )
    figure.update_layout(
        margin={"l": 16, "r": 16, "t": 40, "b": 110}, updatemenus=[_player()], sliders=[_slider(steps)]
    )
    figure.update_xaxes(range=[-reach, reach], showticklabels=False, constrain="domain")
    return figure.update_yaxes(range=[-reach, reach], showticklabels=False)


def _cloud(arrays: Arrays, step: int) -> NDArray[Any]:
    """The samples [n, 2] at the last frame that is not after the step; of a run that began later, the first."""
    number = max(0, int(np.searchsorted(arrays["step"], step, side="right")) - 1)
    cloud: NDArray[Any] = arrays["samples"][number].round(3)
    return cloud


def _player() -> dict[str, Any]:
    play = {"frame": {"duration": 200, "redraw": False}, "transition": {"duration": 0}, "fromcurrent": True}
    stop = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "x": 0,
        "xanchor": "left",
        "y": -0.06,
        "yanchor": "top",
        "buttons": [
            {"label": "Play", "method": "animate", "args": [None, play]},
            {"label": "Pause", "method": "animate", "args": [[None], stop]},
        ],
    }


def _slider(steps: Sequence[int]) -> dict[str, Any]:
    jump = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate", "transition": {"duration": 0}}
    return {
        "active": len(steps) - 1,
        "currentvalue": {"prefix": "generator step "},
        "x": 0.16,
        "len": 0.84,
        "y": -0.02,
        "pad": {"t": 8},
        "steps": [{"label": str(step), "method": "animate", "args": [[str(step)], jump]} for step in steps],
    }


def parallel_distances(
    table: pd.DataFrame, closed: pd.DataFrame, arms: Sequence[str], labels: Labels, names: Labels
) -> go.Figure:
    """Distances of two parallel lines over theta, a panel for each: estimates as points, closed forms dotted.

    `table` as `portrayed.parallel_lines` returns it; `closed` has the columns distance, theta, value, infinite where
    nothing is drawn; `names` says what each column of estimates is called.
    """
    distances = closed["distance"].drop_duplicates().tolist()
    figure = make_subplots(
        rows=-(-len(distances) // 2), cols=2, subplot_titles=distances, horizontal_spacing=0.1, vertical_spacing=0.16
    )
    named: set[str] = set()
    for number, distance in enumerate(distances):
        place = {"row": number // 2 + 1, "col": number % 2 + 1}
        line = closed[(closed["distance"] == distance) & np.isfinite(closed["value"])]
        mode = "lines" if len(line) > 1 else "markers"
        style = {"line": {"color": INK, "dash": "dot", "width": 2}, "marker": {"color": INK, "symbol": "diamond-open"}}
        figure.add_scatter(
            x=line["theta"], y=line["value"], mode=mode, name="closed form", showlegend=number == 0, **style, **place
        )
        if mode == "markers":
            said = {"text": "the closed form is infinite but at 0", "showarrow": False, "font": {"size": 11}}
            figure.add_annotation(x=0.02, y=0.98, xref="x domain", yref="y domain", xanchor="left", **said, **place)
        for (column, arm), points in table[table["distance"] == distance].groupby(["column", "arm"], sort=False):
            exact = column == "earth_mover"
            if exact and arm != table["arm"].iloc[0]:
                continue  # it is of the samples, which are the same under every arm
            colour, _, marker = (INK, "", "circle-open") if exact else style_of(arms, str(arm))
            name = names[str(column)] if exact else f"{labels[str(arm)]}: {names[str(column)]}"
            bars = {"array": points["high"] - points["median"], "arrayminus": points["median"] - points["low"]}
            figure.add_scatter(
                x=points["theta"],
                y=points["median"],
                error_y={"type": "data", "color": colour, "thickness": 1.2, "width": 3, **bars},
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=name not in named,
                marker={"color": colour, "symbol": marker, "size": 9},
                hovertemplate=f"{name}, θ = %{{x:g}}: %{{y:.3g}}<extra></extra>",
                **place,
            )
            named.add(name)
        drawn = np.append(line["value"], table.loc[table["distance"] == distance, "median"])
        low, high = (float(end(drawn, initial=0.0)) for end in (np.min, np.max))
        around = 0.12 * (high - low or 1.0)  # of the middles: one seed's extreme must not hide the others
        figure.update_yaxes(range=[low - around, high + around], **place)
    figure.update_layout(template=TEMPLATE, height=640, uirevision="keep", legend={"y": 1.07}, margin={"t": 110})
    figure.update_xaxes(matches="x").update_xaxes(title_text="θ", row=-(-len(distances) // 2))
    return figure


def between_gaussians(lines: pd.DataFrame, densities: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """What discriminators answer between two Gaussians, and how steep the answer is; the densities above.

    `lines` has the columns arm, cell, x, answer, slope, probability: an answer that is no probability is drawn from 0
    to 1 of its own range, and each slope is relative to its largest. `densities` has x, p, q and best, which is
    p / (p + q).
    """
    titles = ["densities", "answer", "slope of the answer, relative to its largest"]
    figure = make_subplots(
        rows=3, shared_xaxes=True, row_heights=[0.22, 0.42, 0.36], subplot_titles=titles, vertical_spacing=0.09
    )
    for column, name, dash in (("p", "data", "solid"), ("q", "samples", "dash")):
        line = {"color": INK, "dash": dash, "width": 1.5}
        figure.add_scatter(
            x=densities["x"],
            y=densities[column],
            name=name,
            line=line,
            fill="tozeroy",
            fillcolor=faint(INK, 0.12),
            row=1,
            col=1,
        )
    dotted = {"color": INK, "dash": "dot", "width": 2}
    figure.add_scatter(x=densities["x"], y=densities["best"], name="p / (p + q)", line=dotted, row=2, col=1)
    seen: set[str] = set()
    for (arm, _), one in lines.groupby(["arm", "cell"], sort=False):
        colour, dash, _ = style_of(arms, str(arm))
        common = {"mode": "lines", "legendgroup": str(arm), "line": {"color": colour, "dash": dash, "width": 2}}
        shown = one["answer"] if one["probability"].all() else _scaled(one["answer"])
        figure.add_scatter(
            x=one["x"],
            y=shown,
            name=labels[str(arm)],
            showlegend=str(arm) not in seen,
            opacity=0.8,
            row=2,
            col=1,
            **common,
        )
        relative = one["slope"] / (one["slope"].max() or 1.0)
        figure.add_scatter(x=one["x"], y=relative, showlegend=False, opacity=0.8, row=3, col=1, **common)
        seen.add(str(arm))
    figure.update_layout(template=TEMPLATE, height=640, uirevision="keep", legend={"y": 1.07}, margin={"t": 90})
    figure.update_yaxes(range=[-0.03, 1.03], row=2).update_yaxes(range=[-0.03, 1.03], row=3)
    return figure.update_xaxes(title_text="x", row=3)


def _scaled(values: pd.Series) -> pd.Series:
    return (values - values.min()) / ((values.max() - values.min()) or 1.0)
