"""Analysis frames in, Plotly figures out; nothing is computed here. How they look is in `look`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from plotly.subplots import make_subplots

from gansweep.look import BOTH, INK, NEITHER, TEMPLATE, Labels, blank, faint, go, style_of
from gansweep.page import trials_of

MOST_BANDS = 4  # that are told apart where they overlap

# `meta` of a trace is the question to a report's list of trials that a click on a point asks, see `page.trials_of`;
# %{x}, %{y} and %{id} in it stand for the point's own.


def outcome_bars(
    ours: pd.DataFrame,
    arms: Sequence[str],
    labels: Labels,
    theirs: pd.DataFrame | None = None,
) -> go.Figure:
    """Stacked bars of one pair of arms: a bar per threshold, ours left and the published table right.

    `ours` and `theirs` have the columns threshold, only_a, only_b, both, neither, planned; ours also arm_a,
    arm_b and unknown. Bars are shares of the planned cells.
    """
    arm_a, arm_b = ours["arm_a"].iloc[0], ours["arm_b"].iloc[0]
    tables = [("ours", ours)] + ([("paper", theirs)] if theirs is not None else [])
    titles = [f"{name}, {table['planned'].iloc[0]} cells" for name, table in tables]
    figure = make_subplots(cols=len(titles), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.06)
    kinds = {
        "only_a": (f"only {labels[arm_a]}", style_of(arms, arm_a)[0], "/"),
        "both": ("both", BOTH, ""),
        "neither": ("neither", NEITHER, ""),
        "unknown": ("unknown", "rgba(0,0,0,0)", "x"),
        "only_b": (f"only {labels[arm_b]}", style_of(arms, arm_b)[0], ""),
    }
    for column, (_, table) in enumerate(tables, start=1):
        for kind in ("only_a", "both", "only_b", "neither", "unknown"):
            if kind in table and (kind != "unknown" or table[kind].any()):
                asked = trials_of(pair=f"{arm_a},{arm_b}", outcome=kind) + "&threshold=%{y}" if column == 1 else None
                trace = _outcome_trace(table, kind, *kinds[kind])
                figure.add_bar(**trace, meta=asked, showlegend=column == 1, row=1, col=column)
    figure.update_layout(template=TEMPLATE, height=130 + 24 * len(ours), barmode="stack", bargap=0.18)
    figure.update_layout(uirevision="keep", margin={"t": 84}, legend={"y": 1.09, "traceorder": "normal"})
    figure.update_xaxes(range=[0, 100], ticksuffix="%", fixedrange=True)
    figure.update_yaxes(autorange="reversed", type="category", fixedrange=True)
    return figure.update_yaxes(title_text="score above", col=1)


def _outcome_trace(table: pd.DataFrame, kind: str, name: str, colour: str, pattern: str) -> dict[str, Any]:
    return {
        "x": 100 * table[kind] / table["planned"],
        "y": table["threshold"].map("{:g}".format),
        "name": name,
        "legendgroup": kind,
        "orientation": "h",
        "marker": {
            "color": colour,
            "line": {"width": 0},
            "pattern": _hatch(pattern, colour, ink=INK if kind == "unknown" else "#ffffff"),
        },
        "customdata": table[[kind, "planned"]].round(1),
        "hovertemplate": f"{name}: %{{customdata[0]}} of %{{customdata[1]}} above %{{y}}<extra></extra>",
    }


def _hatch(shape: str, colour: str, ink: str = "#ffffff") -> dict[str, Any]:
    return {"shape": shape, "size": 6, "solidity": 0.3, "fgcolor": ink, "bgcolor": colour} if shape else {}


def survival_curves(
    curves: pd.DataFrame,
    arms: Sequence[str],
    labels: Labels,
    score_label: str,
    theirs: pd.DataFrame | None = None,
) -> go.Figure:
    """Share of trials above each score per arm with its simultaneous band; the paper's marginals dotted.

    `curves` as `analysis.survival` returns it, `theirs` with the columns arm, threshold, rate. The axis ends a little
    after the last score, ours or theirs; with more than four arms a click in the legend shows the bands.
    """
    figure = blank(440, x=score_label, y="share of trials above it")
    for arm, curve in curves.groupby("arm", sort=False):
        colour, dash, _ = style_of(arms, str(arm))
        name = labels[str(arm)]
        band = _band(curve["threshold"], curve["band_low"], curve["band_high"], colour, str(arm), "hv")
        _add_band(figure, band, curves["arm"].nunique(), "95% bands")
        line = {"color": colour, "width": 2.5, "dash": dash, "shape": "hv"}
        figure.add_scatter(x=curve["threshold"], y=curve["rate"], name=name, line=line, legendgroup=arm, mode="lines")
        if (curve["best"] - curve["worst"]).max() > 0:
            for side in ("worst", "best"):
                thin = {"color": colour, "width": 1, "dash": "dot", "shape": "hv"}
                hover = f"{name}, {side} case of stopped and unknown trials"
                figure.add_scatter(
                    x=curve["threshold"],
                    y=curve[side],
                    name=hover,
                    line=thin,
                    opacity=0.7,
                    legendgroup=arm,
                    showlegend=False,
                    mode="lines",
                )
    if theirs is not None:
        for arm, curve in theirs.groupby("arm", sort=False):
            colour, _, marker = style_of(arms, str(arm))
            figure.add_scatter(
                x=curve["threshold"],
                y=curve["rate"],
                mode="lines+markers",
                opacity=0.8,
                name=f"{labels[str(arm)]} in the paper (another protocol)",
                line={"color": colour, "width": 1.5, "dash": "dot"},
                marker={"symbol": f"{marker}-open", "size": 7},
            )
    figure.update_layout(hovermode="x unified", legend={"font": {"size": 12}})
    drawn = curves if theirs is None else pd.concat([curves, theirs])
    first, last = curves["threshold"].min(), drawn.loc[drawn["rate"] > 0, "threshold"].max()
    if last > first:
        figure.update_xaxes(range=[first, min(last + 0.08 * (last - first), curves["threshold"].max())])
    return figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%").update_xaxes(hoverformat=".3g")


def _band(x: pd.Series, low: pd.Series, high: pd.Series, colour: str, group: str, shape: str) -> list[go.Scatter]:
    edge = {"width": 0, "shape": shape}
    common: dict[str, Any] = {
        "mode": "lines",
        "line": edge,
        "legendgroup": group,
        "showlegend": False,
        "hoverinfo": "skip",
    }
    return [
        go.Scatter(x=x, y=low, **common),
        go.Scatter(x=x, y=high, fill="tonexty", fillcolor=faint(colour, 0.16), **common),
    ]


def _add_band(figure: go.Figure, band: list[go.Scatter], num_arms: int, name: str) -> None:
    """Add the band of one arm; of more than four arms they would be mud, and one click in the legend shows them all."""
    if num_arms > MOST_BANDS:
        first = not any(trace.legendgroup == name for trace in figure.data)
        for trace in band:
            trace.update(visible="legendonly", legendgroup=name, name=name)
        band[-1].update(showlegend=first)
    figure.add_traces(band)


def paired_scatter(
    scores: pd.DataFrame,
    arm_a: str,
    arm_b: str,
    arms: Sequence[str],
    labels: Labels,
    score_label: str,
    factors: Labels,
) -> go.Figure:
    """Score of arm B against arm A, a point per cell; trials without a score stand in the grey margin.

    The bars above and to the right count the cells by the score of arm A and of arm B.
    Cells at one point, as with scores that are whole numbers, make it larger, and the hover tells how many they are.
    `scores` as `analysis.paired_scores` returns it; `factors` maps factor columns to their labels for the
    hover.
    """
    seen = pd.concat([scores[arm_a], scores[arm_b]]).dropna()
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    margin = 0.09 * (high - low or 1.0)
    figure = blank(560, x=f"{score_label}, {labels[arm_a]}", y=f"{score_label}, {labels[arm_b]}")
    bounds = [low - 1.7 * margin, high + 0.8 * margin]
    for axis in ("x", "y"):
        strip = {f"{axis}0": bounds[0], f"{axis}1": low - 0.5 * margin}
        other = "y" if axis == "x" else "x"
        figure.add_shape(
            type="rect",
            fillcolor=faint(INK, 0.10),
            line_width=0,
            layer="below",
            **strip,
            **{f"{other}0": bounds[0], f"{other}1": bounds[1]},
        )
    figure.add_shape(type="line", x0=low, y0=low, x1=high, y1=high, line={"color": INK, "width": 1, "dash": "dash"})
    for name, chosen, style in _scatter_groups(scores, arm_a, arm_b, arms, labels):
        part = scores[chosen]
        alike = part.groupby([arm_a, arm_b], dropna=False)["cell"].transform("size")
        figure.add_scatter(
            x=part[arm_a].fillna(low - margin),
            y=part[arm_b].fillna(low - margin),
            mode="markers",
            ids=part["cell"],
            meta="cell=%{id}",
            name=f"{name} ({len(part)})",
            marker={**style, "size": [9 + 4 * math.log2(cells) for cells in alike]},
            text=_hover(part.assign(alike=alike), arm_a, arm_b, labels, factors),
            hovertemplate="%{text}<extra></extra>",
        )
    figure.add_annotation(x=high, y=low - margin, text="no score", showarrow=False, font={"size": 11})
    bins = {"start": bounds[0], "end": bounds[1], "size": (bounds[1] - bounds[0]) / 24}
    for arm, axis, other in ((arm_a, "x", "y2"), (arm_b, "y", "x2")):
        place = {axis: scores[arm].fillna(low - margin), f"{axis}bins": bins, "xaxis": "x", "yaxis": "y"}
        place[f"{other[0]}axis"] = other
        count = f"{labels[arm]}: %{{{other[0]}}} cells<extra></extra>"
        colour = faint(style_of(arms, arm)[0], 0.6)
        figure.add_histogram(**place, marker_color=colour, showlegend=False, hovertemplate=count)
    side = {"domain": [0.87, 1.0], "showgrid": False, "showticklabels": False, "title_text": "", "fixedrange": True}
    figure.update_layout(
        legend_itemsizing="constant", bargap=0.08, xaxis2={**side, "anchor": "y"}, yaxis2={**side, "anchor": "x"}
    )
    figure.update_xaxes(selector=0, domain=[0, 0.85], range=bounds, constrain="domain", constraintoward="right")
    figure.update_yaxes(
        selector=0, domain=[0, 0.85], range=bounds, scaleanchor="x", constrain="domain", constraintoward="top"
    )
    return figure


def _scatter_groups(
    scores: pd.DataFrame, arm_a: str, arm_b: str, arms: Sequence[str], labels: Labels
) -> list[tuple[str, pd.Series, dict[str, Any]]]:
    both = scores[arm_a].notna() & scores[arm_b].notna()
    unknown = (scores[f"{arm_a}:state"] == "unknown") | (scores[f"{arm_b}:state"] == "unknown")
    (colour_a, _, mark_a), (colour_b, _, mark_b) = style_of(arms, arm_a), style_of(arms, arm_b)
    a_wins, b_wins = scores[arm_a] > scores[arm_b], scores[arm_b] > scores[arm_a]
    base = {"opacity": 0.85, "line": {"width": 1, "color": "rgba(255,255,255,0.7)"}}
    bare = {"color": INK, "line": {"width": 2}}
    return [
        (f"{labels[arm_b]} higher", both & b_wins, {**base, "color": colour_b, "symbol": mark_b}),
        (f"{labels[arm_a]} higher", both & a_wins, {**base, "color": colour_a, "symbol": mark_a}),
        ("equal", both & ~a_wins & ~b_wins, {**base, "color": BOTH, "symbol": "hexagon"}),
        ("without a score or pruned", ~both & ~unknown, {**bare, "symbol": "x-thin-open"}),
        ("unknown", unknown, {**bare, "symbol": "circle-open"}),
    ]


def _hover(part: pd.DataFrame, arm_a: str, arm_b: str, labels: Labels, factors: Labels) -> list[str]:
    def line(row: dict[str, Any], arm: str) -> str:
        told = f"{row[arm]:.4g}" if pd.notna(row[arm]) else row[f"{arm}:state"]
        return f"{labels[arm]}: {told}"

    return [
        "<br>".join(
            [f"<b>{row['cell']}</b>", line(row, arm_a), line(row, arm_b)]
            + [f"{label}: {row[name]}" for name, label in factors.items() if name in row]
            + ([f"one of {row['alike']} cells at this point"] if row["alike"] > 1 else [])
        )
        for row in part.to_dict("records")
    ]


def run_against_run(
    pairs: pd.DataFrame, arms: Sequence[str], labels: Labels, score_label: str, names: tuple[str, str]
) -> go.Figure:
    """The score of each trial in two runs of a study, a colour per arm; columns arm, cell_a, score_a, score_b."""
    figure = blank(480, x=f"{score_label}, {names[0]}", y=f"{score_label}, {names[1]}")
    ends = [float(pairs[["score_a", "score_b"]].min().min()), float(pairs[["score_a", "score_b"]].max().max())]
    figure.add_shape(type="line", x0=ends[0], y0=ends[0], x1=ends[1], y1=ends[1], line={"color": INK, "dash": "dash"})
    for arm, group in pairs.groupby("arm", sort=False):
        colour, _, marker = style_of(arms, str(arm))
        figure.add_scatter(
            x=group["score_a"],
            y=group["score_b"],
            mode="markers",
            name=labels[str(arm)],
            marker={"color": colour, "symbol": marker, "size": 9, "opacity": 0.8},
            text=group["cell_a"],
            hovertemplate="%{text}: %{x:.4g}, %{y:.4g}<extra>%{fullData.name}</extra>",
        )
    return figure


def factor_dots(effects: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """Failure rate with its interval at each level of each factor, a panel per factor, a colour per arm."""
    names = effects["factor"].drop_duplicates().tolist()
    titles = effects.drop_duplicates("factor")["label"].tolist()
    rows = (len(names) + 1) // 2
    figure = make_subplots(
        rows=rows,
        cols=2,
        subplot_titles=titles,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        vertical_spacing=min(0.12, 0.45 / rows),
    )
    for i, name in enumerate(names):
        for arm, table in effects[effects["factor"] == name].groupby("arm", sort=False):
            trace = _dots(table, str(arm), arms, labels)
            figure.add_trace(trace.update(showlegend=i == 0), row=i // 2 + 1, col=i % 2 + 1)
    figure.update_layout(
        template=TEMPLATE,
        height=90 + 190 * rows,
        uirevision="keep",
        scattermode="group",
        scattergap=0.75,
        margin={"t": 72},
        legend={"y": 1 + 0.13 / rows},
    )
    figure.update_xaxes(type="category", fixedrange=True)
    return figure.update_yaxes(range=[-0.04, 1.04], tickformat=".0%", fixedrange=True)


def _dots(table: pd.DataFrame, arm: str, arms: Sequence[str], labels: Labels) -> go.Scatter:
    colour, _, marker = style_of(arms, arm)
    up, down = table["high"] - table["rate"], table["rate"] - table["low"]
    error = {"type": "data", "array": up, "arrayminus": down, "thickness": 1.5, "width": 3, "color": colour}
    return go.Scatter(
        x=table["level"],
        y=table["rate"],
        mode="markers",
        name=labels[arm],
        legendgroup=arm,
        offsetgroup=arm,
        marker={"color": colour, "symbol": marker, "size": 9},
        error_y=error,
        customdata=table[["failures", "known"]],
        hovertemplate=f"{labels[arm]}, %{{x}}: %{{customdata[0]}} of %{{customdata[1]}} fail<extra></extra>",
    )


def score_curves(
    curves: pd.DataFrame, single: pd.DataFrame, arms: Sequence[str], labels: Labels, score_label: str
) -> go.Figure:
    """The score over generator steps: median, quartile band and single runs as thin lines, per arm.

    `curves` as `analysis.score_curves` returns it; `single` has arm, trial, step, value, a few runs per arm. The axis
    is logarithmic where a value is a hundred times as large as most; with more than four arms a click in the legend
    shows the bands.
    """
    figure = blank(440, x="generator step", y=score_label)
    values = pd.concat([single["value"], curves["median"]]).dropna()
    if len(values) and values.min() > 0 and values.max() > 100 * values.median():
        figure.update_yaxes(type="log", dtick=1, title_text=f"{score_label}, logarithmic")
    for arm, runs in single.groupby("arm", sort=False):
        colour, _, _ = style_of(arms, str(arm))
        x, y = _joined(runs)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            line={"color": faint(colour, 0.22), "width": 1},
            hoverinfo="skip",
            name=f"{labels[str(arm)]}, single runs",
            legendgroup=arm,
            showlegend=False,  # they come and go with the median
        )
    for arm, curve in curves.groupby("arm", sort=False):
        colour, dash, _ = style_of(arms, str(arm))
        kept = curve.dropna(subset=["low", "high"])
        band = _band(kept["step"], kept["low"], kept["high"], colour, str(arm), "linear")
        _add_band(figure, band, curves["arm"].nunique(), "quartiles")
        figure.add_scatter(
            x=curve["step"],
            y=curve["median"],
            name=f"{labels[str(arm)]}, median",
            legendgroup=arm,
            mode="lines",
            line={"color": colour, "width": 3, "dash": dash},
            customdata=curve[["alive", "trials"]],
            hovertemplate="step %{x}: median %{y:.3g}; %{customdata[0]} of %{customdata[1]} runs",
        )
    return figure


def _joined(runs: pd.DataFrame) -> tuple[list[Any], list[Any]]:
    """All runs as one line with gaps: one trace draws faster than forty."""
    x: list[Any] = []
    y: list[Any] = []
    for _, run in runs.groupby("trial", sort=False):
        x += [*run["step"].tolist(), None]
        y += [*run["value"].tolist(), None]
    return x, y


def outcome_flow(flow: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """How the planned trials ended.

    A group of bars per outcome, a colour per arm; pruned trials are hatched.
    """
    order = flow.groupby("outcome", sort=False)["trials"].sum().sort_values(ascending=False).index.tolist()
    pruned = flow["decision"] == "pruned"
    figure = blank(110 + (26 * len(arms) + 14) * len(order), x="trials")
    for arm in arms:
        colour, _, _ = style_of(arms, arm)
        for hatched, rows in ((False, flow[~pruned]), (True, flow[pruned])):
            count = rows[rows["arm"] == arm].groupby("outcome")["trials"].sum().reindex(order, fill_value=0)
            if hatched and not count.any():
                continue
            pattern = _hatch("/" if hatched else "", colour)
            figure.add_bar(
                x=count,
                y=order,
                orientation="h",
                name=labels[arm] + (", pruned" if hatched else ""),
                offsetgroup=arm,
                marker={"color": colour, "pattern": pattern},
                text=count.map(lambda n: str(n) if n else ""),
                textposition="outside" if hatched else "auto",
                hovertemplate="%{y}: %{x}<extra>%{fullData.name}</extra>",
            )
    figure.update_layout(barmode="stack", bargap=0.25)
    return figure.update_yaxes(autorange="reversed", fixedrange=True).update_xaxes(fixedrange=True)


def ranking_dots(ranking: pd.DataFrame, arms: Sequence[str], labels: Labels) -> go.Figure:
    """Mean success rate over the thresholds per arm with its interval, the best on top."""
    figure = blank(110 + 40 * len(ranking), x="mean success rate over the thresholds", showlegend=False)
    for row in ranking.to_dict("records"):
        colour, _, marker = style_of(arms, row["arm"])
        error = {
            "type": "data",
            "array": [row["high"] - row["mean_rate"]],
            "arrayminus": [row["mean_rate"] - row["low"]],
        }
        figure.add_scatter(
            x=[row["mean_rate"]],
            y=[labels[row["arm"]]],
            mode="markers",
            name=labels[row["arm"]],
            marker={"color": colour, "symbol": marker, "size": 11},
            error_x={**error, "color": colour},
        )
    return figure.update_xaxes(range=[0, 1], tickformat=".0%").update_yaxes(autorange="reversed")


def trial_curves(
    curves: pd.DataFrame,
    titles: Labels,
    runs: Mapping[str, str],
    arms: Sequence[str],
    log: Sequence[str] = (),
    marks: Mapping[float, str] | None = None,
) -> go.Figure:
    """A panel per quantity of `titles` with the curve of one trial, solid, and of the one beside it, dashed.

    `curves` has the columns run, quantity, step, value; `runs` maps each run, the trial first, to its arm. Quantities
    in `log` have a logarithmic axis. `marks` are steps with what happened there, told in the first panel.
    """
    rows = (len(titles) + 1) // 2
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=list(titles.values()), horizontal_spacing=0.1, vertical_spacing=0.3 / rows
    )
    for i, quantity in enumerate(titles):
        for j, (run, arm) in enumerate(runs.items()):
            curve = curves[(curves["run"] == run) & (curves["quantity"] == quantity)]
            colour = INK if arm in list(runs.values())[:j] else style_of(arms, arm)[0]
            trace = go.Scatter(
                x=curve["step"],
                y=curve["value"],
                mode="lines+markers",
                name=run,
                legendgroup=run,
                showlegend=i == 0,
                line={"color": colour, "width": 2, "dash": "dash" if j else "solid"},
                marker={"size": 4, "symbol": "circle-open" if j else "circle"},
                hovertemplate="step %{x}: %{y:.4g}",
            )
            figure.add_trace(trace, row=i // 2 + 1, col=i % 2 + 1)
        if quantity in log:
            figure.update_yaxes(type="log", exponentformat="power", row=i // 2 + 1, col=i % 2 + 1)
        for step, told in (marks or {}).items():
            note = {"annotation_text": told, "annotation_textangle": -90, "annotation_position": "top left"}
            line = {"color": INK, "width": 1, "dash": "dot"}
            figure.add_vline(x=step, line=line, row=i // 2 + 1, col=i % 2 + 1, **(note if i == 0 else {}))
    figure.update_layout(template=TEMPLATE, height=110 + 210 * rows, uirevision="keep")
    figure.update_layout(margin={"t": 84}, legend={"y": 1 + 0.2 / rows})
    return figure.update_xaxes(rangemode="tozero")
