"""Sections and figures of portraits: what is drawn is what was recorded, from arrays that are known."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gansweep import (
    BetweenGaussians,
    Convergence,
    GradientNorms,
    ModesOverTime,
    ParallelDistances,
    ValueSurfaces,
    WeightShapes,
    look,
    portrait_figures,
    portrayed,
)
from gansweep.page import Section
from gansweep.testing import MadeUpResults, made_up_results

ARMS = ["gan", "wgan_gp"]
LABELS = {"gan": "Standard GAN", "wgan_gp": "WGAN-GP"}
LINE = np.linspace(-1, 1, 5)
STEPS = np.array([100, 200])


def surface(arm: str) -> dict[str, Any]:
    x, y = np.meshgrid(LINE, LINE)
    value = (x if arm == "gan" else 100 * y)[None]
    points = np.array([[[0.5, -0.5], [9.0, 9.0]]])
    return {"value": value, "slope": np.ones_like(value), "x": LINE[None], "y": LINE[None], "real": points}


def line(arm: str) -> dict[str, Any]:
    densities = {"p": np.exp(-LINE)[None], "q": np.exp(LINE)[None]}
    return {"value": -2 * LINE[None], "slope": np.full((1, 5), 2.0), "x": LINE[None], "y": LINE[None], **densities}


def norms(arm: str) -> dict[str, Any]:
    return {"layer": np.array([[1, 2, 3]]), "norm": np.array([[1e-30, 1e-15, 1.0] if arm == "gan" else [1, 1, 1]])}


def weights(arm: str) -> dict[str, Any]:
    counts = np.array([[[3, 0, 1], [0, 4, 0]]])
    bound = 1.0 if arm == "gan" else math.nan
    at_bound = np.array([[1.0, 0.0]])
    return {"counts": counts, "edges": np.array([[-1, -0.3, 0.3, 1]]), "at_bound": at_bound, "bound": np.array([bound])}


def clouds(arm: str) -> dict[str, Any]:
    samples = np.array([[[0.0, 0.0]], [[1.0, 2.0]]])
    return {"samples": samples, "real": np.ones((2, 3, 2)), "step": STEPS}


def made(kind: Callable[[str], dict[str, Any]] | None, name: str = "", columns: Any = (), **changes: Any) -> Any:
    """Made-up results of three seeds under two arms, with one portrait of each trial and columns at the last report."""
    found = made_up_results(draws=3, evaluations=2)
    plan = {**found.plan, "factors": {}, **changes}
    arm_of = found.trials.set_index("trial")["arm"].to_dict()

    def portraits(trial: str, asked: str) -> dict[str, Any]:
        return kind(arm_of[trial]) if kind is not None and asked == name else {}

    return MadeUpResults(plan, found.trials, found.steps.assign(**dict(columns)), found.samples, portraits)


def drawn(section: Section, number: int = 0) -> Any:
    (figure,) = [section.figures[number].figure]
    return figure() if callable(figure) else figure


EMPTY = [ValueSurfaces, GradientNorms, WeightShapes, ModesOverTime, BetweenGaussians]


@pytest.mark.parametrize("section", EMPTY)
def test_a_section_without_its_portrait_says_so(section: Any) -> None:
    shown = section().render(made(None))
    assert shown.figures == ()
    assert "Nothing to show yet" in shown.text[0]


def test_distances_without_their_factor_say_so() -> None:
    assert "no trial has a generator.density.theta" in ParallelDistances().render(made(None)).text[0]


def test_every_panel_has_the_colours_of_its_own_range_and_points_on_the_plane_only() -> None:
    results = made(surface, "surface", {"surface_slope_mean": 1.0})
    section = ValueSurfaces().render(results)
    figure = drawn(section)
    first, points, second, _ = figure.data
    assert np.array(first.z)[0].tolist() == [0, 64, 128, 191, 255]  # x from left to right
    assert np.array(second.z)[:, 0].tolist() == [0, 64, 128, 191, 255]  # y from below
    assert "from -100 to 100" in second.hovertemplate
    assert list(points.x) == [0.5]  # the other one is outside
    assert [note.text for note in figure.layout.annotations][:2] == ["Standard GAN", "WGAN-GP"]
    (table,) = section.tables
    assert table.shown.to_dict("list") == {"arm": ["Standard GAN", "WGAN-GP"], "mean slope": ["1", "1"]}


def test_cells_that_differ_in_their_seeds_are_one_row_and_draws_are_rows() -> None:
    alone = made(surface, "surface")
    assert [row.label for row in portrayed.rows(alone, "surface")] == [""]
    factors = {"generator.depth": {"label": "Depth (G)"}}
    results = made(surface, "surface", factors=factors)
    depths = results.trials.drop_duplicates("generator.depth")["generator.depth"]
    assert [row.label for row in portrayed.rows(results, "surface")] == [f"Depth (G) {depth}" for depth in depths]
    assert len(portrayed.rows(results, "surface", every=True)) == 3


def test_gradient_norms_are_drawn_over_the_layers_on_a_logarithmic_axis() -> None:
    results = made(norms, "activation_gradients")
    table = portrayed.layer_norms(results)
    assert table["trials"].tolist() == [3] * 6
    figure = drawn(GradientNorms().render(results))
    shown = {trace.name: list(trace.y) for trace in figure.data if trace.name}
    assert shown == {"Standard GAN": [1e-30, 1e-15, 1.0], "WGAN-GP": [1, 1, 1]}
    assert figure.layout.yaxis.type == "log"


def test_weights_of_all_layers_are_one_histogram_with_the_share_at_the_bound() -> None:
    figure = drawn(WeightShapes().render(made(weights, "weights")))
    assert list(figure.data[0].y) == [3 / 8, 4 / 8, 1 / 8]
    assert [note.text for note in figure.layout.annotations] == ["Standard GAN: 50% at the bound", "WGAN-GP"]
    assert sorted(shape.x0 for shape in figure.layout.shapes) == [-1, 1]  # of the clipped arm only


def test_samples_are_animated_with_a_frame_and_a_slider_step_for_each_moment() -> None:
    figure = drawn(ModesOverTime().render(made(clouds, "samples")))
    assert [frame.name for frame in figure.frames] == ["100", "200"]
    assert [step.label for step in figure.layout.sliders[0].steps] == ["100", "200"]
    assert [trace.x[0] for trace in figure.frames[0].data] == [0, 0]
    assert list(figure.frames[0].traces) == [1, 3]
    assert figure.data[1].x[0] == 1  # the last moment is shown first
    assert [button.label for button in figure.layout.updatemenus[0].buttons] == ["Play", "Pause"]
    assert figure.data[1].marker.color == look.style_of(ARMS, "gan")[0]
    assert figure.layout.xaxis.range == (-1.25, 1.25)
    assert "frames" in json.loads(look.to_json(figure).replace("<\\/", "</"))


def test_an_arm_that_stopped_early_keeps_its_last_samples_in_later_frames() -> None:
    short = {name: array[:1] for name, array in clouds("gan").items()}
    figure = portrait_figures.sample_clouds({"gan": short, "wgan_gp": clouds("")}, ARMS, LABELS, 2.0)
    assert [trace.x[0] for trace in figure.frames[1].data] == [0, 1]


def test_seconds_and_steps_show_the_same_scores() -> None:
    results = made(None)
    curves = portrayed.over_seconds(results)
    assert set(curves.columns) >= {"arm", "step", "seconds", "median"}
    costs = (curves["seconds"] / curves["step"]).groupby(curves["arm"]).median()
    assert costs.to_dict() == pytest.approx({"gan": 0.05, "wgan_gp": 0.05})
    figure = drawn(Convergence().render(results))
    lines = [trace for trace in figure.data if trace.name == "WGAN-GP"]
    assert len(lines) == 2
    assert list(lines[0].y) == list(lines[1].y)
    assert list(lines[0].x) != list(lines[1].x)


def test_the_first_time_above_a_threshold_is_that_of_the_median() -> None:
    curves = pd.DataFrame(
        {"arm": ["a"] * 3, "step": [10, 20, 30], "seconds": [1.0, 2.0, 3.0], "median": [1.0, 3.0, 2.0]}
    )
    found = portrayed.first_above(curves, [2.0, 5.0]).set_index("threshold")
    assert found.loc[2.0, ["step", "seconds"]].tolist() == [20, 2.0]
    assert np.isnan(found.loc[5.0, "seconds"])


def test_distances_stand_beside_their_closed_forms() -> None:
    theta = np.array([-0.5, 0.0, 2.0])
    assert portrayed.closed_form("Wasserstein-1", theta).tolist() == [0.5, 0, 2]
    assert portrayed.closed_form("Jensen-Shannon, nats", theta) == pytest.approx([math.log(2), 0, math.log(2)])
    assert portrayed.closed_form("total variation", theta).tolist() == [1, 0, 1]
    assert portrayed.closed_form("Kullback-Leibler, nats", theta).tolist() == [math.inf, 0, math.inf]


def test_estimates_of_parallel_lines_are_drawn_and_told() -> None:
    results = made(None, columns={"estimated_js": 0.6, "wasserstein": 0.9})
    results = dataclasses.replace(results, trials=results.trials.assign(**{"generator.density.theta": 1.0}))
    section = ParallelDistances().render(results)
    shown = section.tables[0].shown
    told = shown[shown["distance"] == "Jensen-Shannon, nats"][["arm", "theta", "closed form"]]
    assert told.to_numpy().tolist() == [["Standard GAN", "1", "0.693"], ["WGAN-GP", "1", "0.693"]]
    estimates = [trace for trace in drawn(section).data if trace.name == "WGAN-GP: critic's estimate"]
    assert [list(trace.y) for trace in estimates] == [[0.9]]


def test_a_gan_answers_with_a_probability_and_a_critic_with_its_score() -> None:
    results = made(line, "surface")
    assert portrayed.answers_with_probability(results) == {"gan": True, "wgan_gp": False}
    sure, slope = portrayed.answer(line(""), probability=True)
    assert sure == pytest.approx(1 / (1 + np.exp(2 * LINE)))
    assert slope == pytest.approx(2 * sure * (1 - sure))
    figure = drawn(BetweenGaussians().render(results))
    best = next(trace for trace in figure.data if trace.name == "p / (p + q)")
    of_gan = next(trace for trace in figure.data if trace.name == "Standard GAN")
    assert list(of_gan.y) == pytest.approx(list(best.y))  # -2 x is the logarithm of p / q
