"""What a report shows of factors, alone, together and under two arms; of seeds, of power and of a running sweep.

See `sections`: no pandas and no Plotly before something is rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gansweep.page import Drawing, Results, Section, arm_labels, in_grid
from gansweep.parts import at_least, part
from gansweep.sections import (
    BLOCKS,
    NO_THRESHOLD,
    ONE_ARM,
    RAW,
    Pairs,
    block_count,
    block_of,
    chosen_pairs,
    counts_nothing,
    middle_threshold,
    not_ready,
    nothing,
)

if TYPE_CHECKING:
    import pandas as pd


def _tested_at(results: Results, threshold: float | None, num_factors: int = 1) -> float | str:
    """The threshold at which effects of so many factors are tested; or why none can be."""
    if why := counts_nothing(results):
        return why
    if len(results.plan["factors"]) < num_factors:
        return f"Nothing to show: the study {'draws no factor' if num_factors == 1 else 'does not draw two factors'}."
    threshold = middle_threshold(results.plan) if threshold is None else threshold
    return NO_THRESHOLD if threshold is None else threshold


@part
class FactorEffects:
    """How often training fails at each level of each factor.

    `threshold` defaults to the middle one of the study.
    """

    threshold: float | None = None
    title: str = "What makes training fail"

    def render(self, results: Results) -> Section:
        """Failure rates with intervals, and a seeded Monte Carlo test per factor and arm."""
        from gansweep import analysis, comparing, factors, figures, wording

        plan, labels = results.plan, arm_labels(results.plan)
        threshold = _tested_at(results, self.threshold)
        if isinstance(threshold, str):
            return nothing(self.title, threshold)
        effects = factors.factor_effects(comparing.units(results), plan["factors"], threshold, plan["score"])
        if effects.empty:
            return nothing(self.title, "Nothing to show: the trials name the level of no factor.")
        text = (
            f"Failure here is a final {plan['score_label']} not above {threshold:g}. Levels are drawn "
            "independently for each cell, or crossed in a grid, so each factor is tested on its own: chi-squared with "
            "a Monte Carlo p-value, Holm's correction over all factors and arms.",
            *([RAW] if analysis.stopped(results.trials).any() else []),
        )
        drawn = figures.factor_dots(effects, list(labels), labels)
        caption = "Failure rate with 95% Wilson interval at each level of each factor, per arm."
        return Section(
            title=self.title,
            text=text,
            figures=(Drawing(figure=drawn, caption=caption),),
            tables=(wording.effects_text(effects, labels),),
        )


@part
class Interactions:
    """Whether two factors together make training fail more or less than each of them tells.

    `threshold` defaults to the middle one of the study; the `shown` clearest pairs stand in the table.
    """

    threshold: float | None = None
    shown: int = 10
    resamples: int = 999
    title: str = "What fails only together"

    def __post_init__(self) -> None:
        at_least(self, shown=1, resamples=99)

    def render(self, results: Results) -> Section:
        """A map of all pairs, the levels of the clearest one, and a table."""
        from gansweep import analysis, comparing, effect_figures, factors, wording

        plan, labels = results.plan, arm_labels(results.plan)
        threshold = _tested_at(results, self.threshold, num_factors=2)
        if isinstance(threshold, str):
            return nothing(self.title, threshold)
        trials = comparing.units(results)
        found = factors.interactions(trials, plan["factors"], threshold, plan["score"], resamples=self.resamples)
        if found.empty:
            return nothing(self.title, "Nothing to show: the trials name the levels of no two factors.")
        pairs = found.drop_duplicates(factors.PAIR).reset_index(drop=True)
        text = (
            wording.interaction_finding(pairs, labels),
            f"Failure here is a final {plan['score_label']} not above {threshold:g}; trials of which it is not known "
            "are left out. Two factors interact where the log-odds of failing are not the sum of what each of them "
            "contributes. The p-value is exact: it comes from tables that would be as likely as ours if they were.",
            *([RAW] if analysis.stopped(trials).any() else []),
        )
        table = wording.interactions_text(pairs, found, labels, self.shown, plan["factors"])
        if pairs["size"].isna().all():
            return Section(title=self.title, text=text, tables=(table,))
        top = pairs.sort_values(["p_value", "size"], ascending=[True, False]).iloc[0]
        levels = found[(found["factor_a"] == top["factor_a"]) & (found["factor_b"] == top["factor_b"])]
        drawings = (
            Drawing(
                figure=effect_figures.interaction_map(pairs, list(labels), labels),
                caption="By how many percentage points failure rates depart from what two factors tell one by one "
                "(root mean square), per arm; a star marks p ≤ 0.05 after Holm's correction over all pairs and arms.",
            ),
            Drawing(
                figure=effect_figures.interaction_levels(levels, list(labels), labels),
                caption=f"Failure rate at each level of {top['label_a']} and {top['label_b']}, per arm; the colour is "
                "the excess over what the two tell one by one.",
            ),
        )
        return Section(title=self.title, text=text, figures=drawings, tables=(table,))


@part
class ArmsByFactor:
    """Whether a factor changes by how much two arms differ in how often they fail.

    `threshold` defaults to the middle one of the study, `pairs` of arms to all of them; the `shown` clearest pairs of
    arms and factors stand in the table.
    """

    threshold: float | None = None
    pairs: Pairs = ()
    shown: int = 10
    resamples: int = 999
    title: str = "Where the arms differ more"

    def __post_init__(self) -> None:
        at_least(self, shown=1, resamples=99)

    def render(self, results: Results) -> Section:
        """The differences of the clearest pair of arms at every level, and a table."""
        from gansweep import analysis, comparing, effect_figures, factors, wording

        plan, labels = results.plan, arm_labels(results.plan)
        threshold = _tested_at(results, self.threshold)
        if isinstance(threshold, str):
            return nothing(self.title, threshold)
        arms = [arm for arm in labels if arm in set(results.trials["arm"])]
        if len(arms) < 2:
            return nothing(self.title, ONE_ARM)
        pairs = chosen_pairs(self.pairs, arms)
        trials = comparing.units(results)
        found = factors.arm_interactions(
            trials, plan["factors"], threshold, plan["score"], pairs, resamples=self.resamples
        )
        if found.empty:
            return nothing(self.title, "Nothing to show: the trials name the level of no factor.")
        tests = found.drop_duplicates(factors.COMPARED).reset_index(drop=True)
        text = (
            wording.arm_interaction_finding(tests, found, labels),
            f"Failure here is a final {plan['score_label']} not above {threshold:g}; a cell counts where it is known "
            "of both arms. What is compared at the levels is the paired difference of the two; the p-value is from "
            "shuffles of the levels among the cells.",
            *([RAW] if analysis.stopped(trials).any() else []),
        )
        table = wording.arm_interactions_text(tests, found, labels, self.shown)
        if tests["p_value"].isna().all():
            return Section(title=self.title, text=text, tables=(table,))
        top = tests.sort_values("p_value", kind="stable").iloc[0]
        of_pair = found[(found["arm_a"] == top["arm_a"]) & (found["arm_b"] == top["arm_b"])]
        drawing = Drawing(
            figure=effect_figures.arm_differences(of_pair),
            caption=f"Failure rate of {labels[top['arm_b']]} minus that of {labels[top['arm_a']]} at each level, with "
            "95% intervals; left of the dotted line it fails less often.",
        )
        return Section(title=self.title, text=text, figures=(drawing,), tables=(table,))


@part
class SeedVariance:
    """How much of the differences between scores comes from the arm, the configuration, and the seed alone."""

    title: str = "Is it the arm or the seed?"

    def render(self, results: Results) -> Section:
        """A figure of standard deviations, and the table of the variances."""
        from gansweep import components, effect_figures, wording

        plan, labels = results.plan, arm_labels(results.plan)
        if why := not_ready(results):
            return nothing(self.title, why)
        found = components.variance_components(results.trials, list(plan["factors"]), plan["score"])
        text = (
            wording.components_finding(found, plan["score_label"]),
            "A configuration counts only where every arm has a final score with every seed, so this says nothing of "
            "how often training fails. The intervals take scores for normally distributed.",
        )
        table = wording.components_text(found, labels)
        if found["variance"].isna().all():
            return Section(title=self.title, text=text[:1], tables=(table,))
        drawing = Drawing(
            figure=effect_figures.component_dots(found, list(labels), labels, plan["score_label"]),
            caption=f"Standard deviations of the {plan['score_label']}, with 95% intervals.",
        )
        return Section(title=self.title, text=text, figures=(drawing,), tables=(table,))


@part
class Power:
    """How many cells show a difference of two arms, from the share of cells in which they disagree here.

    `threshold` defaults to the middle one of the study, `pairs` of arms to all of them. Before anything is known the
    share is the largest that unpaired outcomes have.
    """

    differences: tuple[float, ...] = (0.05, 0.1, 0.2)
    threshold: float | None = None
    pairs: Pairs = ()
    title: str = "How many cells are enough?"

    def __post_init__(self) -> None:
        if not self.differences or not all(0.01 <= difference <= 1 for difference in self.differences):
            raise ValueError(f"Power.differences = {self.differences}: each must lie between 0.01 and 1")

    def render(self, results: Results) -> Section:
        """A sentence per pair of arms, a figure for the first, and a table."""
        from gansweep import effect_figures, wording

        plan = results.plan
        if why := counts_nothing(results):
            return nothing(self.title, why)
        threshold = middle_threshold(plan) if self.threshold is None else self.threshold
        if threshold is None:
            return nothing(self.title, NO_THRESHOLD)
        if results.trials["arm"].nunique() < 2:
            return nothing(self.title, ONE_ARM)
        table = power_table(results.trials, plan, threshold, self.differences, self.pairs)
        planned, blocks = int(table["planned"].iloc[0]), BLOCKS[block_of(plan)]
        pairs = table.drop_duplicates(["a", "b"]).to_dict("records")
        drawing = Drawing(
            figure=effect_figures.power_curves(power_curve(table), planned, blocks),
            caption=f"The chance that the exact McNemar test sees a difference between {pairs[0]['a']} and "
            f"{pairs[0]['b']}, over the number of {blocks}.",
        )
        text = (
            f"Success here is a final {plan['score_label']} above {threshold:g}. What is counted is every "
            f"{block_of(plan)}: {block_count(results)}.",
        )
        told = tuple(wording.power_finding(row, planned, blocks) for row in pairs)
        shown = wording.power_text(table, blocks)
        return Section(title=self.title, text=text + told, figures=(drawing,), tables=(shown,))


def power_table(
    trials: pd.DataFrame,
    plan: Mapping[str, Any],
    threshold: float,
    differences: tuple[float, ...],
    pairs: Pairs = (),
) -> pd.DataFrame:
    """A row per pair of arms (all, or those of `pairs`) and difference.

    Columns a, b (labels), arm_a, arm_b, threshold, difference, planned, known, disagree (of the known, under one arm
    only), discordance (that as a share), discordance_low, discordance_high, whence, detectable (with the planned
    cells), cells, cells_high (at discordance_high), power (of the planned cells).
    """
    import pandas as pd

    from gansweep import analysis, power

    labels, rows = arm_labels(plan), []
    table = analysis.outcome_table(trials, [threshold], plan["score"])
    shown = chosen_pairs(pairs, dict.fromkeys([*table["arm_a"], *table["arm_b"]]))
    for row in table.to_dict("records"):
        if (row["arm_a"], row["arm_b"]) not in shown:
            continue
        known, planned = row["planned"] - row["unknown"], row["planned"]
        share, low, high = power.discordance_of(row["only_a"], row["only_b"], known)
        whence = f", as in the {known:g} that are known"
        if not known:
            share, whence = power.unpaired_discordance(min(differences)), ", the most that there can be"
        pair = {"a": labels[row["arm_a"]], "b": labels[row["arm_b"]], "planned": planned, "known": known}
        pair |= {"arm_a": row["arm_a"], "arm_b": row["arm_b"], "threshold": threshold}
        pair["disagree"] = row["only_a"] + row["only_b"]
        pair |= {"discordance": share, "discordance_low": low, "discordance_high": high, "whence": whence}
        pair["detectable"] = power.detectable_difference(planned, share)
        for difference in differences:
            usual = max(share, difference)
            cells = [power.cells_needed(difference, share) for share in (usual, max(high, usual))]
            numbers = {"difference": difference, "cells": cells[0], "cells_high": cells[1]}
            rows.append({**pair, **numbers, "power": power.mcnemar_power(planned, difference, usual)})
    return pd.DataFrame(rows)


def power_curve(table: pd.DataFrame, points: int = 60) -> pd.DataFrame:
    """Columns num_cells, difference, power: of the first pair of a `power_table`, up to twice the planned cells."""
    import numpy as np
    import pandas as pd

    from gansweep import power

    first = table[(table["a"] == table["a"].iloc[0]) & (table["b"] == table["b"].iloc[0])]
    numbers = np.unique(np.linspace(1, 2 * int(first["planned"].iloc[0]), points).round().astype(int)).tolist()
    rows = [
        (n, row["difference"], power.mcnemar_power(n, row["difference"], max(row["discordance"], row["difference"])))
        for row in first.to_dict("records")
        for n in numbers
    ]
    return pd.DataFrame(rows, columns=["num_cells", "difference", "power"])


@part
class WhileRunning:
    """Success rates and their paired differences with intervals that hold at every look at a running sweep."""

    title: str = "What may be said while it runs"

    def render(self, results: Results) -> Section:
        """Two tables; nothing for a grid, whose first cells are no fair sample of all."""
        from gansweep import anytime, wording

        plan, labels = results.plan, arm_labels(results.plan)
        if why := counts_nothing(results):
            return nothing(self.title, why)
        if not plan["thresholds"]:
            return nothing(self.title, NO_THRESHOLD)
        if in_grid(plan):
            why = "the cells of a grid come in an order, so the first of them are no fair sample of all"
            return nothing(self.title, f"Nothing to show: {why}.")
        rates = anytime.anytime_rates(results.trials, plan["thresholds"], plan["score"])
        tables = [wording.anytime_text(rates, labels)]
        if results.trials["arm"].nunique() > 1:
            differences = anytime.anytime_differences(results.trials, plan["thresholds"], plan["score"])
            tables.append(wording.anytime_differences_text(differences, labels))
        return Section(title=self.title, text=(wording.ANYTIME,), tables=tuple(tables))
