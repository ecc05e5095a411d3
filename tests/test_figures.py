"""The figures: what they draw is what the frames say, in one visual language."""

from __future__ import annotations

import itertools
import json
import re
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from gansweep import analysis, factors, figures, look, published
from gansweep.testing import THRESHOLDS, made_up_results, made_up_table_5

ARMS = ["gan", "wgan_gp"]
LABELS = {"gan": "Standard GAN", "wgan_gp": "WGAN-GP", "lsgan": "LSGAN"}
RESULTS = made_up_results(draws=20, lost=2, planned=2)


def outcome_figure() -> figures.go.Figure:
    ours = analysis.outcome_table(made_up_table_5().trials, THRESHOLDS)
    return figures.outcome_bars(ours, ARMS, LABELS, published.WGAN_GP_TABLE_5.frame())


def survival_figure() -> figures.go.Figure:
    curves = analysis.survival(RESULTS.trials, thresholds=THRESHOLDS, resamples=100)
    theirs = published.WGAN_GP_TABLE_5.survival()
    return figures.survival_curves(curves, ARMS, LABELS, "Inception Score", theirs)


def scatter_figure() -> figures.go.Figure:
    scores = analysis.paired_scores(RESULTS.trials, factors=["generator.depth"])
    return figures.paired_scatter(
        scores, "gan", "wgan_gp", ARMS, LABELS, "Inception Score", {"generator.depth": "Depth (G)"}
    )


def factor_figure() -> figures.go.Figure:
    return figures.factor_dots(factors.factor_effects(RESULTS.trials, RESULTS.plan["factors"], 3.0), ARMS, LABELS)


def curve_figure() -> figures.go.Figure:
    curves = analysis.score_curves(RESULTS.steps, RESULTS.trials)
    single = RESULTS.steps.dropna(subset=["inception_score"]).merge(RESULTS.trials[["trial", "arm"]], on="trial")
    single = single.rename(columns={"inception_score": "value"})
    return figures.score_curves(curves, single, ARMS, LABELS, "Inception Score")


def flow_figure() -> figures.go.Figure:
    return figures.outcome_flow(analysis.outcome_flow(RESULTS.trials), ARMS, LABELS)


ALL = [outcome_figure, survival_figure, scatter_figure, factor_figure, curve_figure, flow_figure]


@pytest.mark.parametrize("make", ALL)
def test_a_figure_is_transparent_keeps_its_zoom_and_is_valid_json(make: object) -> None:
    figure = make()  # type: ignore[operator]
    drawn = json.loads(look.to_json(figure).replace("<\\/", "</"))
    assert drawn["layout"]["uirevision"] == "keep"
    assert figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.height > 0
    assert drawn["data"]


def test_an_arm_has_its_colour_in_every_figure_also_when_it_is_alone() -> None:
    survival = {t.legendgroup: t.line.color for t in survival_figure().data if t.name in LABELS.values()}
    dots = {t.legendgroup: t.marker.color for t in factor_figure().data}
    assert survival == dots == dict(zip(ARMS, look.COLOURS, strict=False))
    alone = RESULTS.trials[RESULTS.trials["arm"] == "wgan_gp"]
    flow = figures.outcome_flow(analysis.outcome_flow(alone), ARMS, LABELS)
    assert {t.marker.color for t in flow.data if sum(t.x)} == {look.COLOURS[1]}


@pytest.mark.parametrize("num", [4, 5])
def test_the_bands_of_more_than_four_arms_wait_for_one_click(num: int) -> None:
    arms = [f"arm {i}" for i in range(num)]
    curves = pd.concat(
        [analysis.survival(RESULTS.trials[RESULTS.trials["arm"] == "gan"]).assign(arm=arm) for arm in arms]
    )
    figure = figures.survival_curves(curves, arms, {arm: arm for arm in arms}, "score")
    bands = [trace for trace in figure.data if trace.fill == "tonexty"]
    assert len(bands) == num
    hidden = [trace for trace in bands if trace.visible == "legendonly"]
    assert len(hidden) == (num if num > 4 else 0)
    assert {trace.legendgroup for trace in hidden} == ({"95% bands"} if hidden else set())
    assert sum(bool(trace.showlegend) for trace in hidden) == (1 if hidden else 0)


def test_a_survival_ends_a_little_after_the_last_score() -> None:
    gan = RESULTS.trials[RESULTS.trials["arm"] == "gan"]
    last = gan["inception_score"].max()
    figure = figures.survival_curves(analysis.survival(gan, thresholds=[1.0, 90.0]), ["gan"], LABELS, "score")
    assert last < figure.layout.xaxis.range[1] < last + 0.2 * (last - 1)


@pytest.mark.parametrize(("top", "kind"), [(50.0, None), (5000.0, "log"), (-5000.0, None)])
def test_an_axis_is_logarithmic_where_one_value_would_flatten_all_others(top: float, kind: str | None) -> None:
    single = pd.DataFrame({"arm": "gan", "trial": "t", "step": [1, 2, 3, 4], "value": [1.0, 2.0, 3.0, top]})
    curves = single.rename(columns={"value": "median"}).assign(low=1.0, high=2.0, alive=1, trials=1)
    figure = figures.score_curves(curves, single, ["gan"], LABELS, "slope")
    assert figure.layout.yaxis.type == kind
    assert figure.layout.yaxis.title.text == ("slope, logarithmic" if kind else "slope")


def test_the_bars_are_the_counts_of_ours_and_of_the_paper() -> None:
    figure = outcome_figure()
    by_panel = {panel: [t for t in figure.data if t.xaxis == panel] for panel in ("x", "x2")}
    for traces in by_panel.values():
        only_b = next(t for t in traces if t.legendgroup == "only_b")
        assert list(only_b.x)[:3] == [4.0, 25.0, 30.0]  # 8, 50 and 60 of 200
        assert [sum(t.x[i] for t in traces) for i in range(17)] == pytest.approx([100] * 17)
    assert {a.text for a in figure.layout.annotations} == {"ours, 200 cells", "paper, 200 cells"}


def test_the_papers_curve_is_dotted_and_marked_as_another_protocol() -> None:
    theirs = [t for t in survival_figure().data if t.name and "paper" in t.name]
    assert len(theirs) == 2
    assert all(t.line.dash == "dot" and "another protocol" in t.name for t in theirs)


def test_every_cell_is_a_point_in_the_scatter_with_its_factors() -> None:
    figure = scatter_figure()
    points = list(figure.select_traces({"type": "scatter"}))
    assert sum(len(t.x) for t in points) == 20
    assert all("Depth (G): " in text for t in points for text in t.text)
    assert all(value is not None and value == value for t in points for value in (*t.x, *t.y))
    above, beside = figure.select_traces({"type": "histogram"})
    assert sorted(above.x) == sorted(x for t in points for x in t.x), "a cell is missing above the scatter"
    assert sorted(beside.y) == sorted(y for t in points for y in t.y), "a cell is missing beside the scatter"


def test_equal_scores_are_no_wins_and_cells_at_one_point_are_told() -> None:
    scores = pd.DataFrame({"cell": list("stuvwx"), "gan": [8, 8, 8, 7, 8, 6], "wgan_gp": [8, 8, 8, 8, 7, np.nan]})
    scores = scores.assign(**{"gan:state": "scored", "wgan_gp:state": ["scored"] * 5 + ["no score"]})
    figure = figures.paired_scatter(scores, "gan", "wgan_gp", ARMS, LABELS, "modes captured", {})
    drawn = {t.name: t for t in figure.select_traces({"type": "scatter"}) if len(t.x)}
    assert list(drawn) == [
        "WGAN-GP higher (1)",
        "Standard GAN higher (1)",
        "equal (3)",
        "without a score or pruned (1)",
    ]
    assert all("one of 3 cells at this point" in text for text in drawn["equal (3)"].text)
    assert "at this point" not in drawn["WGAN-GP higher (1)"].text[0]
    assert min(drawn["equal (3)"].marker.size) > max(drawn["WGAN-GP higher (1)"].marker.size)


def test_small_scores_are_told_with_their_figures() -> None:
    scores = pd.DataFrame({"cell": ["c"], "gan": [0.001234], "wgan_gp": [0.001111]})
    scores = scores.assign(**{"gan:state": "scored", "wgan_gp:state": "scored"})
    figure = figures.paired_scatter(scores, "gan", "wgan_gp", ARMS, LABELS, "js_4", {})
    assert "Standard GAN: 0.001234" in next(t.text[0] for t in figure.select_traces({"type": "scatter"}) if len(t.x))
    assert survival_figure().layout.xaxis.hoverformat == ".3g"
    medians = [t.hovertemplate for t in curve_figure().data if t.name and "median" in t.name]
    assert all("%{y:.3g}" in told and "with a score" not in told for told in medians)


def test_the_outcome_flow_draws_every_planned_trial() -> None:
    assert sum(sum(t.x) for t in flow_figure().data) == 40


def test_dots_carry_the_interval_of_the_frame() -> None:
    effects = factors.factor_effects(RESULTS.trials, RESULTS.plan["factors"], 3.0)
    first = effects[(effects["factor"] == "generator.depth") & (effects["arm"] == "gan")]
    dots = next(t for t in factor_figure().data if t.legendgroup == "gan")
    assert list(dots.y + dots.error_y.array) == pytest.approx(first["high"].tolist())
    assert list(dots.y - dots.error_y.arrayminus) == pytest.approx(first["low"].tolist())


def test_no_chart_is_offered_to_a_cloud() -> None:
    assert json.loads(look.config_json()) == {
        "showSendToCloud": False, "displaylogo": False, "responsive": True
    }  # fmt: skip


def test_json_cannot_close_the_script_it_stands_in() -> None:
    figure = scatter_figure()
    figure.update_layout(title_text="</script><b>")
    assert "</" not in look.to_json(figure)


# ------------------------------------------------------------------------------------- one visual language

CLASSIC = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
VISIONS = {  # Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    """sRGB as linear light, [3] in [0, 1]."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65."""
    x = CLASSIC @ np.clip(light, 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(a: str, b: str) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""
    dim, bright = sorted(float(CLASSIC[1] @ linear(colour)) for colour in (a, b))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_stay_apart_for_every_reader(vision: str) -> None:
    seen = [lab(np.array(VISIONS[vision]) @ linear(colour)) for colour in look.COLOURS]
    apart = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(apart) > 15  # of CIE76; 2.3 is just noticeable
    assert np.linalg.norm(lab(linear("#ffffff")) - lab(linear("#000000"))) == pytest.approx(100, abs=0.01)


def test_colours_stand_out_on_a_light_and_on_a_dark_page() -> None:
    template = resources.files("gansweep").joinpath("templates", "page.html").read_text("utf-8")
    light, dark = (re.findall(r"--card: (#[0-9a-f]{6})", template)[i] for i in (0, 1))
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for number, colour in enumerate(look.COLOURS):
        assert min(contrast(colour, light), contrast(colour, dark)) > (2.9 if number < 4 else 2.1)
    assert min(contrast(look.INK, light), contrast(look.INK, dark)) > 3


def test_no_two_of_thirty_six_arms_look_alike_and_the_first_six_differ_in_everything() -> None:
    arms = [f"arm_{i}" for i in range(36)]
    styles = [look.style_of(arms, arm) for arm in arms]
    assert len({style[:2] for style in styles}) == len({(c, m) for c, _, m in styles}) == 36
    assert all(len(set(column)) == 6 for column in zip(*styles[:6], strict=True))


def test_a_well_known_arm_has_its_style_in_every_study() -> None:
    first = look.style_of(["gan", "wgan_gp"], "wgan_gp")
    assert look.style_of(["gan", "lsgan", "wgan_gp"], "wgan_gp") == first
    assert look.style_of(["penalty_0.1", "wgan_gp"], "wgan_gp") == first
    assert look.style_of(["wgan_gp", "gan"], "gan") == look.style_of(["gan"], "gan")
    alike = ["gan", "dcgan", "x"]  # two arms of one reserved style still differ
    assert len({look.style_of(alike, arm) for arm in alike}) == 3


def test_points_and_bars_ask_for_the_trials_behind_them() -> None:
    asked = {t.meta for t in outcome_figure().data if t.xaxis == "x"}
    assert "pair=gan%2Cwgan_gp&outcome=only_b&threshold=%{y}" in asked
    assert {t.meta for t in outcome_figure().data if t.xaxis == "x2"} == {None}  # the paper's trials are not ours
    points = [t for t in scatter_figure().select_traces({"type": "scatter"}) if len(t.x)]
    assert sorted(cell for t in points for cell in t.ids) == sorted(RESULTS.trials["cell"].unique())
