"""The sections on interactions, seeds, power and running sweeps, and their figures: what they say is in the frames."""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.parse

import numpy as np
import pandas as pd
import pytest

from gansweep import (
    analysis,
    anytime,
    components,
    effect_figures,
    effect_sections,
    factors,
    look,
    power,
    report,
    sections,
)
from gansweep.page import in_list
from gansweep.testing import MadeUpResults, made_up_results, made_up_run

LABELS = {"gan": "Standard GAN", "wgan_gp": "WGAN-GP"}
FOUR = ["generator.depth", "discriminator.depth", "generator.normalized", "discriminator.normalized"]


@pytest.fixture(scope="module")
def results() -> MadeUpResults:
    made = made_up_results(draws=48, lost=2, planned=6, pruned=False)
    made.plan["factors"] = {name: made.plan["factors"][name] for name in FOUR}
    return made


@pytest.fixture(scope="module")
def repeated() -> MadeUpResults:
    """The same with three seeds of each cell, whose scores differ by a known noise."""
    made = made_up_results(draws=30, pruned=False)
    rng, trials = np.random.default_rng(0), made.trials
    noisy = [
        trials.assign(
            seed=trials["seed"] + seed,
            trial=trials["trial"] + f"-{seed}",
            inception_score=trials["inception_score"].fillna(1.0) + rng.normal(0, 0.5, len(trials)),
            verdict="trained",
        )
        for seed in range(3)
    ]
    return MadeUpResults(made.plan, pd.concat(noisy, ignore_index=True), made.steps, made.samples)


def test_every_section_stands_in_a_report_and_its_figures_are_valid(results: MadeUpResults) -> None:
    parts = (
        effect_sections.Interactions(resamples=99),
        effect_sections.ArmsByFactor(resamples=99),
        effect_sections.SeedVariance(),
        effect_sections.Power(),
        effect_sections.WhileRunning(),
    )
    page = report.page(results, list(parts))
    for one in parts:
        assert one.title in page
        for drawing in one.render(results).figures:
            drawn = json.loads(look.to_json(drawing.figure).replace("<\\/", "</"))
            assert drawn["layout"]["uirevision"] == "keep"
            assert drawing.figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_the_map_has_every_pair_once_per_arm_with_its_size(results: MadeUpResults) -> None:
    found = factors.interactions(results.trials, results.plan["factors"], 3.0, resamples=99)
    pairs = found.drop_duplicates(factors.PAIR)
    drawn = effect_figures.interaction_map(pairs, list(LABELS), LABELS)
    assert [title.text for title in drawn.layout.annotations] == list(LABELS.values())
    for trace, arm in zip(drawn.data, LABELS, strict=True):
        shown = np.array(trace.z, dtype=float)
        assert np.isfinite(shown).sum() == 6
        assert np.nansum(shown) == pytest.approx(100 * pairs.loc[pairs["arm"] == arm, "size"].sum())
        assert (
            sum("*" in text for row in trace.text for text in row)
            == (pairs.loc[pairs["arm"] == arm, "p_holm"] <= 0.05).sum()
        )


def test_the_levels_of_a_pair_are_drawn_where_they_belong(results: MadeUpResults) -> None:
    found = factors.interactions(results.trials, results.plan["factors"], 3.0, resamples=99)
    levels = found[(found["factor_a"] == FOUR[0]) & (found["factor_b"] == FOUR[2])]
    trace = effect_figures.interaction_levels(levels, list(LABELS), LABELS).data[0]
    row = levels[(levels["arm"] == "gan") & (levels["level_a"] == "12") & (levels["level_b"] == "False")].iloc[0]
    at = list(trace.y).index("12"), list(trace.x).index("False")
    assert trace.z[at] == pytest.approx(100 * row["excess"])
    assert trace.text[at] == f"{100 * row['rate']:.0f}%"


def test_the_factor_that_favours_an_arm_most_is_named_drawn_and_first_in_the_table(results: MadeUpResults) -> None:
    section = effect_sections.ArmsByFactor(threshold=3.0).render(results)
    found = factors.arm_interactions(results.trials, results.plan["factors"], 3.0)
    pd.testing.assert_frame_equal(section.tables[0].numbers, found)
    tests = found.drop_duplicates(factors.COMPARED)
    top = tests.loc[tests["p_value"].idxmin()]
    assert f"The clearest is {top['label']}: the failure rate of WGAN-GP minus that of Standard GAN" in section.text[0]
    assert section.tables[0].shown["factor"].iloc[0] == top["label"]
    assert len(section.tables[0].shown) == len(FOUR)
    drawn = {trace.name: trace for trace in section.figures[0].figure.data}
    rows = found[(found["factor"] == top["factor"]) & (found["cells"] > 0)]
    assert drawn[top["label"]].x.tolist() == pytest.approx((100 * rows["difference"]).tolist())
    assert list(drawn[top["label"]].y[1]) == rows["level"].tolist()


def test_arms_are_not_set_side_by_side_where_there_is_nothing_to_compare(results: MadeUpResults) -> None:
    one = results.trials[results.trials["arm"] == "gan"]
    alone = dataclasses.replace(results, trials=one)
    assert effect_sections.ArmsByFactor().render(alone).text == ("Nothing to show: there is only one arm.",)
    for plan, why in (({"factors": {}}, "draws no factor"), ({"thresholds": []}, "declares no threshold")):
        given = dataclasses.replace(results, plan={**results.plan, **plan})
        assert why in effect_sections.ArmsByFactor().render(given).text[0]


def test_seeds_are_compared_with_arms_in_words_and_numbers(repeated: MadeUpResults) -> None:
    section = effect_sections.SeedVariance().render(repeated)
    found = section.tables[0].numbers.set_index(["component", "arm"])["variance"]
    assert found["seeds", ""] == pytest.approx(0.25, rel=0.35)
    assert "a seed makes a run differ less than the arms do" in section.text[0]
    drawn = section.figures[0].figure
    dots = {trace.name: trace.x[0] for trace in drawn.data}
    assert dots["seeds"] == pytest.approx(found["seeds", ""] ** 0.5)
    assert dots["seeds, WGAN-GP"] == pytest.approx(found["seeds", "wgan_gp"] ** 0.5)
    of_arm = next(trace for trace in drawn.data if trace.name == "seeds, WGAN-GP")
    assert of_arm.marker.color == look.COLOURS[1]


def test_one_seed_is_said_and_not_drawn_for_seeds(results: MadeUpResults) -> None:
    section = effect_sections.SeedVariance().render(results)
    assert components.ONE_SEED in section.text[0]
    assert all("seeds" not in trace.name for drawing in section.figures for trace in drawing.figure.data)


def test_the_power_table_is_that_of_the_cells_that_disagree(results: MadeUpResults) -> None:
    table = effect_sections.Power(threshold=3.0).render(results).tables[0].numbers.set_index("difference")
    row = table.loc[0.2]
    assert row["planned"] == 48
    assert row["cells"] == power.cells_needed(0.2, max(row["discordance"], 0.2))
    assert row["power"] == power.mcnemar_power(48, 0.2, max(row["discordance"], 0.2))
    assert row["cells"] <= row["cells_high"]
    curve = effect_sections.power_curve(table.reset_index())
    assert curve.loc[curve["difference"] == 0.2, "power"].iloc[-1] > row["power"]


def asked(results: MadeUpResults, question: str) -> pd.DataFrame:
    """The trials that a question without an outcome names, by the rules of the page's script."""
    chosen = results.trials
    for name, values in urllib.parse.parse_qs(question).items():
        chosen = chosen[chosen[name].map(in_list).isin(values)]
    return chosen


def test_the_levels_furthest_off_open_the_trials_that_are_counted_there(results: MadeUpResults) -> None:
    table = effect_sections.Interactions(resamples=99, threshold=3.0).render(results).tables[0]
    links = {row: question for row, column, question in table.trials if column == "furthest off"}
    assert len(links) == len(table.shown)
    for row, told in enumerate(table.shown["furthest off"]):
        failures, known = map(int, re.search(r": (\d+) of (\d+) fail", told).groups())  # type: ignore[union-attr]
        chosen = asked(results, links[row])
        ended = chosen[chosen["status"] == "done"]
        assert (len(ended), (~(ended["inception_score"] > 3.0)).sum()) == (known, failures)


def test_the_cells_that_disagree_open_as_two_outcomes(results: MadeUpResults) -> None:
    table = effect_sections.Power(threshold=3.0).render(results).tables[0]
    assert table.trials[0] == (0, "disagree so far", "pair=gan%2Cwgan_gp&outcome=only_a&outcome=only_b&threshold=3")
    counts = analysis.outcome_table(results.trials, [3.0]).iloc[0]
    disagree, known = counts["only_a"] + counts["only_b"], counts["planned"] - counts["unknown"]
    assert table.shown["disagree so far"][0] == f"{disagree:.0f} of {known}"


def test_variances_open_their_trials_where_every_configuration_is_in_them(repeated: MadeUpResults) -> None:
    table = effect_sections.SeedVariance().render(repeated).tables[0]
    opened = dict(zip(table.shown["from"], [question for _, _, question in table.trials], strict=True))
    assert (opened["seeds"], opened["seeds, WGAN-GP"]) == ("state=scored", "arm=wgan_gp&state=scored")
    repeated = dataclasses.replace(repeated, trials=repeated.trials.copy())
    repeated.trials.loc[0, ["decision", "verdict"]] = ["pruned", "collapsed"]  # it has a score, and no final one
    fewer = effect_sections.SeedVariance().render(repeated).tables[0]
    assert "29 of 30 configurations" in fewer.caption
    assert fewer.trials == ()


def test_in_a_grid_seeds_are_what_is_counted_and_in_drawn_cells_they_are_not() -> None:
    cells = [{"depth": depth, "norm": norm} for depth in (4, 8) for norm in ("batch", "none")]
    fails = {(4, "batch"): 0, (4, "none"): 10, (8, "batch"): 9, (8, "none"): 1}
    scores = [1.0 if i < fails[cell["depth"], cell["norm"]] else 5.0 for cell in cells for i in range(10)]  # type: ignore[index]
    told = {}
    for grid in (True, False):
        numbers = {"score": {"gan": scores, "gp": scores}}
        arms: dict[str, dict[str, str]] = {"gan": {}, "gp": {}}
        run = made_up_run("ours", arms, numbers, cells=cells, grid=grid, thresholds=(2.0,))
        section = effect_sections.Interactions(resamples=99).render(run)
        told[grid] = section.tables[0].numbers.iloc[0]
        effects = effect_sections.FactorEffects().render(run).tables[0].numbers
        assert (effects["known"] == 20).all()
        outcomes = sections.OutcomeTable().render(run).text[0]
        assert ("the same shares among 4 blocks" in outcomes) == (not grid)
        assert ("of the 4 cells of a grid" in outcomes) == grid
        assert sections.Ranking().render(run).tables[0].caption.endswith("resampled seeds." if grid else "cells.")
    assert (told[True]["known"], told[True]["p_value"]) == (10, pytest.approx(0.01))
    assert told[False]["known"] == 1


def test_a_difference_that_no_study_could_see_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Power.differences = \(0.0,\)"):
        effect_sections.Power(differences=(0.0,))


def test_a_running_sweep_tells_its_intervals_and_a_grid_does_not(results: MadeUpResults) -> None:
    section = effect_sections.WhileRunning().render(results)
    rates = anytime.anytime_rates(results.trials, results.plan["thresholds"], results.plan["score"])
    pd.testing.assert_frame_equal(section.tables[0].numbers, rates)
    assert "hold at every look" in section.text[0]
    grid = MadeUpResults({**results.plan, "search": {"by": "Grid()"}}, results.trials, results.steps, results.samples)
    assert "no fair sample" in effect_sections.WhileRunning().render(grid).text[0]


def test_before_anything_has_ended_every_section_says_so() -> None:
    empty = made_up_results(draws=3, planned=6)
    of_factors = (effect_sections.Interactions(), effect_sections.ArmsByFactor())
    for one in (*of_factors, effect_sections.SeedVariance(), effect_sections.Power()):
        assert one.render(empty).text == ("Nothing to show yet: no trial has ended.",)
