"""What a report shows: a study lists these parts in `report=(...)`, and each renders results into a
`Section`.

A worker loads study files, so this module imports no pandas and no Plotly until something is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from gansweep.page import Drawing, Picture, Results, Section, Table, arm_labels, in_grid, trials_of
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    import pandas as pd

    from gansweep.published import PublishedOutcomes


Pairs = tuple[tuple[str, str], ...]
BLOCKS = {"cell": "cells", "seed": "seeds", "seed of a cell": "seeds of all cells"}  # what is counted, one and many

NOT_ENDED = "Nothing to show yet: no trial has ended."
NO_THRESHOLD = "Nothing to show: the study declares no threshold above which a trial succeeds."
ONE_ARM = "Nothing to show: there is only one arm."
RAW = "A trial that a rule stopped counts by the score it had then; these rates are not corrected."
TUNES = (
    "Nothing to show: this study tunes. Its cells were chosen by the scores of earlier ones, and what fell behind was "
    "stopped, so a success rate of these trials would be that of no set of cells."
)


def nothing(title: str, why: str) -> Section:
    """A section that says why it is empty."""
    return Section(title=title, text=(why,))


def not_ready(results: Results) -> str | None:
    """Why no trial's score can be compared with another's yet; None if they can."""
    from gansweep import analysis

    if not len(results.trials) or not (results.trials["status"] == "done").any():
        return NOT_ENDED
    try:
        analysis.check_protocol(results.trials, results.plan["score"])
    except ValueError as error:
        return f"Nothing to show: {error}."
    return None


def counts_nothing(results: Results) -> str | None:
    """Why no success can be counted yet, or ever; None if it can."""
    return TUNES if results.plan.get("search", {}).get("sequential") else not_ready(results)


def chosen_pairs(pairs: Pairs, arms: Iterable[str]) -> list[tuple[str, str]]:
    """Of all pairs of the arms, in their order, those that are named; all of them if none is, or none of these ran."""
    every, named = list(combinations(arms, 2)), {frozenset(pair) for pair in pairs}
    return [pair for pair in every if frozenset(pair) in named] or every


def middle_threshold(plan: Mapping[str, Any]) -> float | None:
    """The middle one of the study's thresholds; None if it declares none."""
    declared = sorted(plan["thresholds"])
    return declared[len(declared) // 2] if declared else None


@part
class OutcomeTable:
    """Which cells only one arm, both or neither train, at each threshold, beside the paper's table if there
    is one.

    `thresholds` defaults to the study's own, `pairs` of arms to all of them.
    """

    thresholds: tuple[float, ...] = ()
    pairs: Pairs = ()
    published: bool = True
    title: str = "Outcomes"

    def render(self, results: Results) -> Section:
        """Counts of blocks per pair of arms and threshold, intervals and exact McNemar tests."""
        from gansweep import analysis, comparing, wording

        plan, labels = results.plan, arm_labels(results.plan)
        thresholds = self.thresholds or tuple(plan["thresholds"])
        if why := counts_nothing(results):
            return nothing(self.title, why)
        if not thresholds:
            return nothing(self.title, NO_THRESHOLD)
        if results.trials["arm"].nunique() < 2:
            return Section(title=self.title, text=("An outcome table needs two arms.",))
        table = analysis.outcome_table(comparing.units(results), thresholds, plan["score"])
        paper = _paper(plan) if self.published else None
        figures, tables = [], []
        shown = chosen_pairs(self.pairs, dict.fromkeys([*table["arm_a"], *table["arm_b"]]))
        text = [
            f"What is counted is every {block_of(plan)}: {block_count(results)}. "
            f"A trial succeeds where its final {plan['score_label']} is strictly above the threshold; a diverged trial "
            "fails everywhere; a trial that has not ended, that the machine lost, or that has no score though it did "
            "not diverge, is unknown.",
        ]
        if analysis.stopped(results.trials).any():
            text.append(wording.STOPPED)
        for (a, b), pair in table.groupby(["arm_a", "arm_b"], sort=False):
            if (a, b) not in shown:
                continue
            text.append(wording.finding(pair, labels[a], labels[b], BLOCKS[block_of(plan)]))
            beside = paper if paper and (paper.arm_a, paper.arm_b) == (a, b) else None
            figures.append(_outcome_drawing(pair, labels, beside, BLOCKS[block_of(plan)]))
            tables.append(wording.outcome_text(pair, labels[a], labels[b], BLOCKS[block_of(plan)]))
            if beside:
                tables.append(wording.side_by_side_text(pair, beside, labels[a], labels[b]))
        if len(shown) < table.groupby(["arm_a", "arm_b"]).ngroups:
            middle = sorted(thresholds)[len(thresholds) // 2]
            tables.append(wording.every_pair_text(table[table["threshold"] == middle], labels))
        if paper:
            text.append(
                f"The paper's counts ({paper.source}) were made under another protocol ({paper.protocol}), "
                "with another classifier: compare the pattern, not the numbers."
            )
        return Section(title=self.title, text=tuple(text), figures=tuple(figures), tables=tuple(tables))


def block_of(plan: Mapping[str, Any]) -> str:
    """What an outcome table counts: a cell, or with several seeds each of them."""
    repeats, cells = plan.get("repeats", 1), plan["draws"]
    if repeats == 1:
        return "cell"
    return "seed" if cells == 1 else "seed of a cell"


def block_count(results: Results) -> str:
    """How many cells and seeds stand behind the counts, and what is taken to be independent."""
    blocks = results.trials[["cell", "seed"]].drop_duplicates()
    cells = blocks["cell"].nunique()
    if cells == len(blocks):
        return f"there are {len(blocks)}"
    if in_grid(results.plan):
        return f"there are {len(blocks)}, of the {cells} cells of a grid, which are all that there are"
    return (
        f"there are {len(blocks)}, of {cells} cells; seeds of one cell resemble each other, so intervals and tests are "
        f"those of the same shares among {cells} blocks"
    )


def _paper(plan: Mapping[str, Any]) -> PublishedOutcomes | None:
    from gansweep import published

    return published.outcomes(plan["study"], tuple(plan["arms"]), plan["score"])


def _outcome_drawing(pair: pd.DataFrame, labels: Mapping[str, str], paper: Any, blocks: str) -> Drawing:
    from gansweep import figures

    theirs = paper.frame() if paper else None
    drawn = figures.outcome_bars(pair, list(labels), labels, theirs)
    a, b = labels[pair["arm_a"].iloc[0]], labels[pair["arm_b"].iloc[0]]
    beside = f", beside {paper.title} (another protocol)" if paper else ""
    return Drawing(
        figure=drawn,
        caption=f"Share of {blocks} in which only {a}, only {b}, both or neither succeed, per threshold{beside}.",
    )


@part
class Survival:
    """The share of trials above each score, per arm, with a simultaneous band."""

    resamples: int = 2000
    published: bool = True
    title: str = "Survival of the score"

    def __post_init__(self) -> None:
        at_least(self, resamples=100)

    def render(self, results: Results) -> Section:
        """One figure; the paper's derived marginals are dotted if the study re-makes its table."""
        from gansweep import analysis, comparing, figures

        plan, labels = results.plan, arm_labels(results.plan)
        if why := counts_nothing(results):
            return nothing(self.title, why)
        if not _higher_is_better(plan):
            why = "lower is better here, and in the share above a value runs without a score would stand as good ones"
            return nothing(self.title, f"Nothing to show: {why}.")
        curves = analysis.survival(comparing.units(results), plan["score"], plan["thresholds"], self.resamples)
        paper = _paper(plan) if self.published else None
        theirs = paper.survival() if paper else None
        drawn = figures.survival_curves(curves, list(labels), labels, plan["score_label"], theirs)
        dotted = f" The dotted lines are the marginals derived from {paper.title}." if paper else ""
        unit = comparing.unit_of(results)
        resampled = (
            f" Where a rule stopped trials it is widened by resampling whole {unit}s {self.resamples:,} times."
            if analysis.stopped(results.trials).any()
            else ""
        )
        reach = (curves["band_high"] - curves["rate"]).combine(curves["rate"] - curves["band_low"], max).max()
        text = (
            f"The band holds for the whole curve at once (95%, Kolmogorov's exact one) and reaches up to "
            f"{100 * reach:.0f} points to either side.{resampled}{dotted}",
        )
        caption = f"Share of trials whose {plan['score_label']} is above the value on the horizontal axis, per arm."
        return Section(title=self.title, text=text, figures=(Drawing(figure=drawn, caption=caption),))


@part
class PairedScores:
    """Score of one arm against another, a point per cell; of the `pairs` of arms, by default of all."""

    pairs: Pairs = ()
    title: str = "Cell by cell"

    def render(self, results: Results) -> Section:
        """A scatter per pair of arms; cells without a score stand in the margin."""
        from gansweep import analysis, figures

        plan, labels = results.plan, arm_labels(results.plan)
        arms = [arm for arm in labels if arm in set(results.trials["arm"])]
        if why := not_ready(results):
            return nothing(self.title, why)
        if len(arms) < 2:
            return nothing(self.title, ONE_ARM)
        factors = {name: str(f.get("label", name)) for name, f in plan["factors"].items()}
        scores = analysis.paired_scores(results.trials, plan["score"], list(factors))
        drawings = tuple(
            Drawing(
                figure=figures.paired_scatter(scores, a, b, list(labels), labels, plan["score_label"], factors),
                caption=f"Final {plan['score_label']} of {labels[b]} against {labels[a]}, a point per "
                f"{block_of(plan)}. On the dashed line they are equal; the grey margin holds runs without a score.",
            )
            for a, b in chosen_pairs(self.pairs, arms)
        )
        return Section(title=self.title, figures=drawings)


@part
class ScoreCurves:
    """The score over generator steps: median, quartiles and `single` runs per arm as thin lines."""

    single: int = 30
    title: str = "The score during training"

    def __post_init__(self) -> None:
        at_least(self, single=0)

    def render(self, results: Results) -> Section:
        """One figure; runs that ended without a score rank below all others."""
        from gansweep import analysis, figures

        plan, labels, score = results.plan, arm_labels(results.plan), results.plan["score"]
        if (why := not_ready(results)) and why != NOT_ENDED:
            return nothing(self.title, why)
        higher = _higher_is_better(plan)
        lost = float("-inf" if higher else "inf")
        curves = analysis.score_curves(results.steps, results.trials, score, lost)
        if curves.empty:
            return nothing(self.title, f"Nothing to show yet: no run has reported {score}.")
        single = _single_runs(results, score, self.single)
        drawn = figures.score_curves(curves, single, list(labels), labels, plan["score_label"])
        text = (
            "A run that diverged or was pruned counts as worse than every score from then on, so a curve does not get "
            "better because the bad runs left it; where more than half of an arm has ended like that, its median stops."
            + ("" if higher else " Lower is better."),
        )
        caption = f"{plan['score_label']} over generator steps: median and quartiles per arm, and single runs."
        return Section(title=self.title, text=text, figures=(Drawing(figure=drawn, caption=caption),))


def _higher_is_better(plan: Mapping[str, Any]) -> bool:
    return bool(plan["scores"][0]["higher_is_better"])


def _single_runs(results: Results, column: str, num: int) -> pd.DataFrame:
    """Columns trial, step, value, arm: what the first `num` runs of each arm reported in the column."""
    chosen = results.trials.groupby("arm", sort=False).head(num)[["trial", "arm"]]
    single = results.steps.loc[results.steps[column].notna(), ["trial", "step", column]]
    return single.merge(chosen, on="trial").rename(columns={column: "value"})


@part
class Stability:
    """How the score went in each arm, how soon it passed each threshold, and the health of the networks meanwhile.

    `columns` of `steps` are drawn over generator steps, those that any run has; see `gansweep.diagnostics`.
    """

    columns: tuple[str, ...] = (
        "sample_diversity",
        "discriminator_confidence",
        "lipschitz_max",
        "wasserstein",
        "clipped_share",
        "gradient_norm_generator",
        "gradient_norm_discriminator",
        "weight_change_generator",
        "weight_change_discriminator",
    )
    single: int = 30
    title: str = "Stability"

    def __post_init__(self) -> None:
        at_least(self, single=0)

    def render(self, results: Results) -> Section:
        """Two tables, and a figure for each column."""
        from gansweep import analysis, wording

        plan, labels = results.plan, arm_labels(results.plan)
        if why := not_ready(results):
            return nothing(self.title, why)
        tables = [wording.courses_text(analysis.courses(results.trials, plan["score"]), labels, plan["score_label"])]
        if plan["thresholds"] and _higher_is_better(plan):
            found = analysis.reached(results.trials, plan["thresholds"], plan["score"])
            tables.append(wording.reached_text(found, labels, plan["score_label"]))
        drawings = _column_drawings(results, self.columns, self.single)
        text = (
            "Best is the best evaluation of a run, drawdown how far its score got behind the best so far, area its "
            "mean over the steps. Runs that diverged have no final score and are left out of these medians; the "
            "outcomes count them.",
        )
        return Section(title=self.title, text=text, figures=drawings, tables=tuple(tables))


@part
class Traces:
    """Other columns of `steps` over generator steps, such as what an objective records; `single` runs as thin lines."""

    columns: tuple[str, ...]
    single: int = 30
    title: str = "What the objective recorded"

    def __post_init__(self) -> None:
        at_least(self, single=0)

    def render(self, results: Results) -> Section:
        """A figure per column that any run reported."""
        drawings = _column_drawings(results, self.columns, self.single)
        if not drawings:
            return nothing(self.title, f"Nothing to show yet: no run has reported {' or '.join(self.columns)}.")
        return Section(title=self.title, figures=drawings)


def _column_drawings(results: Results, columns: tuple[str, ...], num_single: int) -> tuple[Drawing, ...]:
    """A figure for each column of `steps` that any run reported."""
    from gansweep import analysis, figures, wording

    labels, drawings = arm_labels(results.plan), []
    for column in columns:
        if column not in results.steps or results.steps[column].isna().all():
            continue
        curves = analysis.curves(results.steps, results.trials, column)
        single, name = _single_runs(results, column, num_single), wording.prose(column, results.plan)
        drawn = figures.score_curves(curves, single, list(labels), labels, name)
        caption = f"The {name} over generator steps: median and quartiles per arm, and single runs."
        drawings.append(Drawing(figure=drawn, caption=caption))
    return tuple(drawings)


@part
class OutcomeFlow:
    """What became of every planned trial."""

    title: str = "How the trials ended"

    def render(self, results: Results) -> Section:
        """Counts by status, verdict and decision; they add up to what was planned."""
        from gansweep import analysis, figures

        if not len(results.trials):
            return Section(title=self.title, text=("No trial is planned.",))
        labels = arm_labels(results.plan)
        flow = analysis.outcome_flow(results.trials)
        drawn = figures.outcome_flow(flow, list(labels), labels)
        wide = flow.pivot_table(index=["status", "outcome", "decision"], columns="arm", values="trials", fill_value=0)
        shown = wide.reindex(columns=[a for a in labels if a in wide]).rename(columns=labels).astype(int)
        shown = shown.rename_axis(columns=None).reset_index()
        links = [
            (i, labels[arm], trials_of(arm=arm, **_as_listed(row)))
            for i, row in enumerate(shown.to_dict("records"))
            for arm in labels
            if labels[arm] in shown
        ]
        caption = "Every planned trial by status, outcome and decision."
        table = Table(shown=shown, caption=caption, numbers=flow, trials=tuple(links))
        caption = "Number of trials per outcome and arm; hatched trials were stopped by a pruning rule."
        return Section(title=self.title, figures=(Drawing(figure=drawn, caption=caption),), tables=(table,))


def _as_listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the flow of outcomes as a question to the list of trials."""
    told: dict[str, Any] = {"status": row["status"], "decision": "" if row["decision"] == "none" else row["decision"]}
    if row["status"] == "done":
        told["verdict"] = "" if row["outcome"] == "no verdict" else row["outcome"]
    if row["status"] == "failed" and "unknown reason" not in row["outcome"]:
        told["failure"] = row["outcome"].removeprefix("failed: ")
    return told


@part
class VerdictMatrix:
    """How many trials of each arm got each verdict: where failures are planted, whether they get their own names."""

    title: str = "Verdicts"

    def render(self, results: Results) -> Section:
        """One table; trials that another pruner than ours stopped have no verdict and are left out."""
        from gansweep import verdicts

        judged = results.trials[results.trials["verdict"].notna()]
        if not len(judged):
            return nothing(self.title, NOT_ENDED)
        labels = arm_labels(results.plan)
        counted = verdicts.confusion(judged, by="arm")
        arms = [arm for arm in labels if arm in counted.index]
        shown = counted.reindex(arms).rename(index=labels).rename_axis(index="arm", columns=None).reset_index()
        links = [
            (i, verdict, trials_of(arm=arm, verdict=verdict))
            for i, arm in enumerate(arms)
            for verdict in shown.columns[1:]
        ]
        caption = "Number of trials by arm and verdict."
        table = Table(shown=shown, caption=caption, numbers=shown, trials=tuple(links))
        return Section(title=self.title, tables=(table,))


@part
class Ranking:
    """Arms by their mean success rate over the thresholds, with the uncertainty of their rank."""

    resamples: int = 2000
    title: str = "Ranking"

    def __post_init__(self) -> None:
        at_least(self, resamples=100)

    def render(self, results: Results) -> Section:
        """Intervals of the rate and of the rank from resampled cells, or seeds where cells are a grid's."""
        from gansweep import analysis, comparing, figures, wording

        plan, labels = results.plan, arm_labels(results.plan)
        if why := counts_nothing(results):
            return nothing(self.title, why)
        if not plan["thresholds"]:
            return nothing(self.title, NO_THRESHOLD)
        found = analysis.ranking(comparing.units(results), plan["thresholds"], plan["score"], self.resamples)
        shown = found.assign(arm=found["arm"].map(labels))[["arm"]]
        shown["mean success rate"] = [
            wording.with_interval(r["mean_rate"], r["low"], r["high"]) for r in found.to_dict("records")
        ]
        shown["rank"] = [f"{r['rank']:g} ({r['rank_low']:g} to {r['rank_high']:g})" for r in found.to_dict("records")]
        caption = "Mean success rate over the thresholds and rank, with 95% intervals from resampled "
        caption += f"{comparing.unit_of(results)}s."
        links = tuple((i, "", trials_of(arm=arm)) for i, arm in enumerate(found["arm"]))
        return Section(
            title=self.title,
            figures=(Drawing(figure=figures.ranking_dots(found, list(labels), labels), caption=caption),),
            tables=(Table(shown=shown, caption=caption, numbers=found, trials=links),),
        )


@part
class Audit:
    """Whether pruning was fair: how often the rules were wrong, what they saved, and the rates without their bias.

    The false-prune rate is that of audited trials whose score in the end exceeded `threshold`. The default is the
    study's lowest threshold; of those for an Inception Score the lowest above 1, the least there is. Without any, the
    trials are counted and no rate is given.
    """

    threshold: float | None = None
    title: str = "Was pruning fair?"

    def render(self, results: Results) -> Section:
        """The rules with their false-prune rates, then the success rates, raw and corrected."""
        from gansweep import analysis, comparing, wording

        plan, trials = results.plan, results.trials
        if results.plan.get("search", {}).get("sequential"):
            return nothing(self.title, TUNES)
        declared = [t for t in plan["thresholds"] if t > 1 or plan["score"] != "inception_score"]
        threshold = self.threshold if self.threshold is not None else min(declared, default=None)
        if not trials["decision"].isin(["pruned", "audited"]).any():
            return Section(title=self.title, text=("No trial was pruned.",))
        steps, thresholds = _planned_steps(plan), tuple(plan["thresholds"])
        found = analysis.audit(trials, results.steps, threshold, thresholds, plan["score"], steps)
        text, tables = [wording.saved(found)], [wording.audit_text(found, threshold)]
        if threshold is None and found["audited"].any():
            above = " above 1" if plan["thresholds"] else ""
            text.append(f"The study declares no threshold{above}, so how often a rule was wrong is not said.")
        if analysis.stopped(trials).any():
            text.append(wording.STOPPED)
            if thresholds:
                rates = analysis.success_rates(comparing.units(results), thresholds, plan["score"])
                tables.append(wording.corrected_text(rates, arm_labels(plan)))
        return Section(title=self.title, text=tuple(text), tables=tuple(tables))


def _planned_steps(plan: Mapping[str, Any]) -> dict[str, float]:
    """The generator steps of a whole trial of each arm; NaN where cells differ in them."""
    usual = float("nan") if "steps" in plan["factors"] else plan["baseline"].get("steps", float("nan"))
    return {arm: float(told.get("changes", {}).get("steps", usual)) for arm, told in plan["arms"].items()}


@part
class Confounders:
    """What differs between the arms besides the loss, compute included."""

    title: str = "What else differs between the arms"

    def render(self, results: Results) -> Section:
        """A table made from the plan, with the measured seconds per generator step."""
        from gansweep import analysis

        labels = arm_labels(results.plan)
        found = analysis.confounders(results.plan, results.trials if len(results.trials) else None)
        if found.empty:
            return Section(title=self.title, text=("The plan names no field that differs between the arms.",))
        kinds = [k for k in dict.fromkeys(found["kind"]) if k != "loss"]
        shown = found[["field", "kind", *labels]].rename(columns=labels)
        for label in labels.values():
            shown[label] = found.rename(columns=labels)[label].map(_setting)
        told = ", ".join(kinds) or "nothing"
        text = (
            f"A difference between the arms may come from any of these rows. Besides the loss they differ in: {told}.",
        )
        table = Table(shown=shown, caption="Fields that differ between the arms.", numbers=found)
        return Section(title=self.title, text=text, tables=(table,))


def _setting(value: Any) -> str:
    if value is None or value != value:
        return "—"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@part
class SampleGrids:
    """`per_arm` sample grids of each arm, from its best trial through the median to a failed one."""

    per_arm: int = 3
    title: str = "Samples"

    def __post_init__(self) -> None:
        at_least(self, per_arm=1)

    def render(self, results: Results) -> Section:
        """Trials are ranked by final score, those without one last; evenly spaced ranks are shown."""
        labels = arm_labels(results.plan)
        pictures = [picture for arm in labels for picture in _pictures(results, arm, labels[arm], self.per_arm)]
        if not pictures:
            return Section(title=self.title, text=("No sample grid has been recorded yet.",))
        text = ("Evenly spaced ranks of each arm, the best first; runs without a score rank last.",)
        return Section(title=self.title, text=text, pictures=tuple(pictures))


def _pictures(results: Results, arm: str, label: str, number: int) -> list[Picture]:
    score, trials = results.plan["score"], results.trials
    if score not in trials.columns:
        return []
    ended = trials[(trials["arm"] == arm) & (trials["status"] == "done")]
    rising = not _higher_is_better(results.plan)
    ranked = ended.sort_values(score, ascending=rising, na_position="last", kind="stable").to_dict("records")
    places = sorted({round(i * (len(ranked) - 1) / max(number - 1, 1)) for i in range(number)}) if ranked else []
    found = []
    for place in places:
        row = ranked[place]
        if (png := results.samples(row["trial"])) is not None:
            where = "best" if place == 0 else "last" if place == len(ranked) - 1 else f"rank {place + 1}"
            told = f"{row[score]:.3g}" if row[score] == row[score] else "no score"
            verdict = row["verdict"] if isinstance(row["verdict"], str) else "no verdict"
            caption = f"{label}, {where} of {len(ranked)}: {told}, {verdict} ({row['cell']})"
            found.append(Picture(png=png, caption=caption))
    return found
