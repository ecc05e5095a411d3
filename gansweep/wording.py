"""Numbers as words: shares, intervals, p-values, and the tables a report shows as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gansweep.page import Table, trials_of
from gansweep.published import PublishedOutcomes

COLUMNS = {  # of `steps`, where the name alone does not say it
    "sample_diversity": "diversity of the samples",
    "discriminator_confidence": "confidence of the discriminator",
    "lipschitz_mean": "mean slope of the discriminator",
    "lipschitz_max": "largest slope of the discriminator",
    "wasserstein": "Wasserstein estimate",
    "clipped_share": "share of clipped weights at the bound",
    "output_real": "output for real examples",
    "output_fake": "output for samples",
}


STOPPED = (
    "A trial that a rule stopped on evidence has no final score. A random share of the trials that the rules would "
    "have stopped ran to their ends all the same: these audited ones tell how many of the stopped of their arm would "
    "have succeeded. The rates are corrected by that, and their intervals are wider by what the audit leaves open. Raw "
    "rates count a stopped trial by the score it had then."
)


def prose(column: str, plan: Mapping[str, Any]) -> str:
    """A column of `steps` in prose: a score by its label, `loss_generator` as loss of the generator."""
    for score in plan["scores"]:
        if column == score["name"]:
            return str(score["label"])
    if column in COLUMNS:
        return COLUMNS[column]
    for role in ("generator", "discriminator"):
        if column.endswith(f"_{role}"):
            return f"{column.removesuffix(f'_{role}').replace('_', ' ')} of the {role}"
    return column.replace("_", " ")


def percent(value: float) -> str:
    """A share as a whole percentage; an em dash for NaN."""
    return "—" if value != value else f"{100 * value:.0f}%"


def with_interval(value: float, low: float, high: float) -> str:
    """A share with its interval, such as `54% (41 to 66)`."""
    return "—" if value != value else f"{percent(value)} ({100 * low:.0f} to {100 * high:.0f})"


def count(value: float) -> str:
    """A number of cells, with one decimal where it is an estimate."""
    return f"{value:.0f}" if abs(value - round(value)) < 1e-6 else f"{value:.1f}"


def p_value(value: float) -> str:
    """A p-value with two figures, never zero."""
    if value != value:
        return "—"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def finding(pair: pd.DataFrame, a: str, b: str, blocks: str = "cells") -> str:
    """The threshold at which a pair of arms differs most, as one sentence; `blocks` says what is counted."""
    top = pair.loc[(pair["only_b"] - pair["only_a"]).abs().idxmax()]
    if not pair[["only_a", "only_b", "unknown"]].to_numpy().any():
        return f"{a} and {b} never differ: of {top['planned']} {blocks} both or neither succeed, at every threshold."
    only_b, only_a, both, neither = (count(top[column]) for column in ("only_b", "only_a", "both", "neither"))
    lost = f"; {top['unknown']} unknown" if top["unknown"] else ""
    estimated = f"; {top['stopped']} of them estimated, as a rule stopped a trial" if top["stopped"] else ""
    test = "McNemar test, widened by the audit" if top["stopped"] else "exact McNemar test"
    close = int(top["close_a"] + top["close_b"])
    near = f" {close} scores are too close to that threshold to call." if close else ""
    return (
        f"{a} and {b} differ most above {top['threshold']:g}: only {b} succeeds in {only_b} of "
        f"{top['planned']} {blocks}, only {a} in {only_a}, both in {both}, neither in {neither}"
        f"{lost}{estimated} ({test}, p = {p_value(top['p_value'])}; {p_value(top['p_holm'])} after Holm's "
        f"correction over the thresholds).{near}"
    )


def outcome_text(pair: pd.DataFrame, a: str, b: str, blocks: str = "cells") -> Table:
    """One pair of `analysis.outcome_table` with arms called a and b; `blocks` says what is counted."""

    def succeeds(row: Any, arm: str) -> str:
        told = with_interval(row[f"rate_{arm}"], row[f"rate_{arm}_low"], row[f"rate_{arm}_high"])
        worst, best = row[f"worst_{arm}"], row[f"best_{arm}"]
        return told if worst == best else f"{told} [{100 * worst:.0f} to {100 * best:.0f}]"

    estimated = bool(pair["stopped"].any())
    raw = {arm: name for arm, name in (("a", a), ("b", b)) if (pair[f"stopped_{arm}"] > 0).any()}
    rows = [
        {
            "score above": f"{row['threshold']:g}",
            f"only {a}": count(row["only_a"]),
            f"only {b}": count(row["only_b"]),
            "both": count(row["both"]),
            "neither": count(row["neither"]),
            "unknown": row["unknown"],
            **({"estimated": row["stopped"]} if estimated else {}),
            f"{a}": succeeds(row, "a"),
            f"{b}": succeeds(row, "b"),
            **{f"{name}, raw": percent(row[f"raw_{arm}"]) for arm, name in raw.items()},
            "difference": with_interval(row["difference"], row["difference_low"], row["difference_high"]),
            "p": p_value(row["p_value"]),
            "p (Holm)": p_value(row["p_holm"]),
        }
        for row in pair.to_dict("records")
    ]
    links = []
    for i, row in enumerate(pair.to_dict("records")):
        whom, limit = (row["arm_a"], row["arm_b"]), row["threshold"]
        columns = {"only_a": f"only {a}", "only_b": f"only {b}", "both": "both", "neither": "neither"}
        for outcome, column in {**columns, "unknown": "unknown"}.items():
            links.append((i, column, trials_of(pair=",".join(whom), outcome=outcome, threshold=limit)))
        links += [(i, name, trials_of(arm=arm, above=limit)) for name, arm in zip((a, b), whom, strict=True)]
    caption = (
        f"Outcomes of {a} and {b}: numbers of {blocks}, then the success rate of each. "
        f"(Intervals) are 95%: Wilson's, and Newcombe's for the paired difference, {b} minus {a}"
    )
    if estimated:
        caption += (
            ", both widened by what the audit leaves open. In the estimated cells a rule stopped a trial; they are "
            "shared among the four outcomes as the audited trials were. Raw counts stopped trials by their score then. "
            "[Bounds] hold whatever the stopped and unknown trials would have done. p is McNemar's exact test of these "
            "numbers, and not below the level at which the interval of the difference begins to leave out 0."
        )
    else:
        caption += ". [Bounds] hold whatever the unknown trials would have done. p is McNemar's exact test."
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=pair, trials=tuple(links))


def saved(audit: pd.DataFrame) -> str:
    """How many trials were stopped by settled rules and on evidence, and the share of the steps that this saved."""
    whole = audit.set_index("rule").loc["all rules"]
    settled = audit[audit["settled"]]
    told = (
        f"Trials stopped because a rule had proved that they fail: {settled['stopped'].sum()}; stopped on evidence: "
        f"{whole['stopped']}; audited, that is, run to their ends though a rule spoke: {whole['audited']}."
    )
    share = settled["saved"].sum() + whole["saved"]
    return told if share != share else f"{told} Stopping saved {percent(share)} of all planned generator iterations."


def audit_text(audit: pd.DataFrame, threshold: float | None) -> Table:
    """`analysis.audit` with a row per rule."""
    rows = []
    for row in audit.to_dict("records"):
        if row["rule"] == "all rules" and not (row["stopped"] or row["audited"]):
            continue
        told = {"rule": f"{row['rule']} (settled)" if row["settled"] else row["rule"]}
        told |= {"stopped": row["stopped"], "audited": row["audited"], "iterations saved": percent(row["saved"])}
        if threshold is not None:
            told["audited and passed"] = row["passed"]
            told["false-prune rate"] = with_interval(row["rate"], row["low"], row["high"])
            told["outcome changed"] = with_interval(row["changed_rate"], row["changed_low"], row["changed_high"])
        rows.append(told)
    caption = "Stopped and audited trials per rule"
    if threshold is not None:
        caption += (
            f". The false-prune rate is the share of audited trials whose score exceeded {threshold:g} in the end; "
            "the outcome changed where the final score lies on another side of any reported threshold than the score "
            "at which the rule would have stopped the trial (95% Wilson intervals)"
        )
    links = []
    for i, row in enumerate(rows):
        rule = str(row["rule"]).removesuffix(" (settled)")
        named = None if rule == "all rules" else rule
        links.append((i, "stopped", trials_of(decision="pruned", decision_rule=named)))
        links.append((i, "audited", trials_of(decision="audited", decision_rule=named)))
    return Table(shown=pd.DataFrame(rows), caption=f"{caption}.", numbers=audit, trials=tuple(links))


def corrected_text(rates: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """`analysis.success_rates` with a row per threshold, of the arms in which a trial was stopped."""
    rows = []
    of_arms = rates[rates["stopped"] > 0]
    for threshold, group in of_arms.groupby("threshold", sort=True):
        told = {"score above": f"{threshold:g}"}
        for row in group.to_dict("records"):
            name = labels[row["arm"]]
            told[f"{name}, audited and passed"] = f"{row['audited_passed']} of {row['audited']}"
            told[f"{name}, raw"] = percent(row["raw"])
            told[f"{name}, corrected"] = with_interval(row["rate"], row["rate_low"], row["rate_high"])
        rows.append(told)
    caption = "Success rates, raw and corrected by the audit, with 95% intervals, of every arm with stopped trials."
    links = []
    for i in range(len(rows)):
        for arm in of_arms["arm"].unique():
            links.append((i, f"{labels[arm]}, audited and passed", trials_of(arm=arm, decision="audited")))
            links.append((i, f"{labels[arm]}, raw", trials_of(arm=arm, state="stopped")))
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=rates, trials=tuple(links))


def every_pair_text(table: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """A row per pair of arms of `analysis.outcome_table` at one threshold."""
    rows = [
        {
            "arms": f"{labels[row['arm_b']]} minus {labels[row['arm_a']]}",
            "only the first": count(row["only_b"]),
            "only the second": count(row["only_a"]),
            "difference": with_interval(row["difference"], row["difference_low"], row["difference_high"]),
            "p": p_value(row["p_value"]),
        }
        for row in table.to_dict("records")
    ]
    caption = (
        f"Every pair of arms, successes above {table['threshold'].iloc[0]:g}: paired differences with 95% intervals, "
        "and p of McNemar's exact test, not corrected for the number of pairs."
    )
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=table)


def side_by_side_text(pair: pd.DataFrame, paper: PublishedOutcomes, a: str, b: str) -> Table:
    """Our outcomes of two arms beside a published table of the same two, threshold by threshold, as counts and shares.

    `pair` are the rows of `analysis.outcome_table` of that pair; a threshold that only one of the two has is left open.
    """
    ours = pair.set_index("threshold")
    theirs = paper.frame().set_index("threshold")
    names = {"only_a": f"only {a}", "only_b": f"only {b}", "both": "both", "neither": "neither"}
    rows, links = [], []
    for i, threshold in enumerate(sorted({*ours.index, *theirs.index})):
        told: dict[str, Any] = {"score above": f"{threshold:g}"}
        for outcome, name in names.items():
            told[f"{name}: ours"] = _of(ours, threshold, outcome)
            told[f"{name}: paper"] = _of(theirs, threshold, outcome)
            question = trials_of(pair=f"{paper.arm_a},{paper.arm_b}", outcome=outcome, threshold=threshold)
            links += [(i, f"{name}: ours", question)] if threshold in ours.index else []
        rows.append(told)
    caption = (
        f"Ours beside {paper.title}, of {paper.cells} cells ({paper.source}): counts, and shares of all planned cells. "
        f"The paper's were made under another protocol ({paper.protocol})."
    )
    derived = paper.frame().add_prefix("paper_").rename(columns={"paper_threshold": "threshold"})
    numbers = pair.merge(derived, on="threshold", how="outer")
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=numbers, trials=tuple(links))


def _of(table: pd.DataFrame, threshold: float, outcome: str) -> str:
    if threshold not in table.index:
        return "—"
    row = table.loc[threshold]
    return f"{count(row[outcome])} ({percent(row[outcome] / row['planned'])})"


def effects_text(effects: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """`factors.factor_effects` with a row per factor and arm."""
    rows = []
    for (label, arm), group in effects.groupby(["label", "arm"], sort=False):
        known = group[group["known"] > 0]
        told = ", ".join(f"{r['level']}: {r['failures']} of {r['known']}" for r in known.to_dict("records"))
        first = group.iloc[0]
        rows.append((label, labels[arm], told, p_value(first["p_value"]), p_value(first["p_holm"])))
    shown = pd.DataFrame(rows, columns=["factor", "arm", "failures by level", "p", "p (Holm)"])
    caption = "Failures at each level, and whether they depend on it."
    arms = [arm for (_, arm), _ in effects.groupby(["label", "arm"], sort=False)]
    links = [(i, "failures by level", trials_of(arm=arm)) for i, arm in enumerate(arms)]
    return Table(shown=shown, caption=caption, numbers=effects, trials=tuple(links))


def courses_text(courses: pd.DataFrame, labels: Mapping[str, str], score: str) -> Table:
    """`analysis.courses` with a row per arm."""
    rows = []
    for arm, group in courses.groupby("arm", sort=False):
        told = {"arm": labels[arm], "runs with a score": group["scored"].iloc[0]}
        for row in group.to_dict("records"):
            value, low, high = row["median"], row["low"], row["high"]
            told[row["fact"]] = "—" if value != value else f"{value:.3g} ({low:.3g} to {high:.3g})"
        rows.append(told)
    caption = f"The course of the {score}: medians over the runs that ended with one (quartiles)."
    links = [(i, "", trials_of(arm=arm, state="scored")) for i, arm in enumerate(courses["arm"].unique())]
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=courses, trials=tuple(links))


def reached_text(reached: pd.DataFrame, labels: Mapping[str, str], score: str) -> Table:
    """`analysis.reached` with a row per threshold and a column per arm."""
    rows = []
    for threshold, group in reached.groupby("threshold", sort=True):
        told = {"score above": f"{threshold:g}"}
        for row in group.to_dict("records"):
            by = "" if row["median_step"] != row["median_step"] else f", half by step {row['median_step']:g}"
            told[labels[row["arm"]]] = f"{row['reached']} of {row['ended']}{by}"
        rows.append(told)
    caption = f"How many ended runs had the {score} above each threshold at any evaluation, and how soon."
    every = range(len(rows))
    links = [(i, labels[arm], trials_of(arm=arm, status="done")) for i in every for arm in reached["arm"].unique()]
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=reached, trials=tuple(links))


def interaction_finding(pairs: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """The strongest interaction of a row per arm and pair of `factors.interactions`, as one sentence."""
    tested = pairs[pairs["p_value"].notna()]
    if tested.empty:
        return f"No interaction can be tested: {pairs['reason'].iloc[0]}."
    top = tested.sort_values(["p_value", "size"], ascending=[True, False]).iloc[0]
    sure = int((tested["p_holm"] <= 0.05).sum())
    return (
        f"{sure} of {len(tested)} tested pairs interact (p ≤ 0.05 after Holm's correction). The clearest is "
        f"{top['label_a']} with {top['label_b']} under {labels[top['arm']]}: failure rates are off by "
        f"{100 * top['size']:.0f} points from what the two tell one by one, {100 * top['chance']:.0f} of which chance "
        f"alone would give (p = {p_value(top['p_value'])}; {p_value(top['p_holm'])} corrected)."
    )


def interactions_text(
    pairs: pd.DataFrame, numbers: pd.DataFrame, labels: Mapping[str, str], shown: int, factors: Mapping[str, Any]
) -> Table:
    """The `shown` clearest pairs of `factors.interactions`, with all of it as numbers; `factors` are the plan's."""
    rows, links, pair = [], [], ["arm", "factor_a", "factor_b"]
    for i, row in enumerate(pairs.sort_values("p_value", kind="stable").head(shown).to_dict("records")):
        of_pair = (numbers[pair] == [row[name] for name in pair]).all(axis=1)
        known = numbers[of_pair & (numbers["known"] > 0)]
        off = known.loc[known["excess"].abs().idxmax()] if len(known) else None
        rows.append(
            {
                "factors": f"{row['label_a']} with {row['label_b']}",
                "arm": labels[row["arm"]],
                "size": f"{100 * row['size']:.1f} points" if row["size"] == row["size"] else row["reason"],
                "by chance": "—" if row["chance"] != row["chance"] else f"{100 * row['chance']:.1f} points",
                "furthest off": "—" if off is None else _furthest(off),
                "p": p_value(row["p_value"]),
                "p (Holm)": p_value(row["p_holm"]),
            }
        )
        links.append((i, "arm", trials_of(arm=row["arm"])))
        if off is not None and (question := _at_levels(off, factors)):
            links.append((i, "furthest off", question))
    caption = (
        f"The {len(rows)} clearest of {len(pairs)} pairs: by how much failure rates depart from what the two factors "
        "tell one by one (root mean square over cells), what chance alone would give, and the levels at which they "
        "depart most, with the failures there."
    )
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=numbers, trials=tuple(links))


def _furthest(row: Any) -> str:
    counted = f"{count(row['failures'])} of {count(row['known'])} fail"
    return f"{row['level_a']} with {row['level_b']}: {counted}, {percent(row['expected'])} expected"


def _at_levels(row: Any, factors: Mapping[str, Any]) -> str | None:
    """The question for the trials of an arm at two declared levels; None where a level is a range of values."""
    asked = {}
    for end in "ab":
        declared = {str(value): value for value in factors[row[f"factor_{end}"]].get("values") or ()}
        if row[f"level_{end}"] not in declared:
            return None
        asked[row[f"factor_{end}"]] = declared[row[f"level_{end}"]]
    return trials_of(arm=row["arm"], **asked)


def arm_interaction_finding(tests: pd.DataFrame, numbers: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """The clearest of a row per pair of arms and factor of `factors.arm_interactions`, as one sentence."""
    tested = tests[tests["p_value"].notna()]
    if tested.empty:
        return f"Whether a factor favours an arm cannot be tested: {tests['reason'].iloc[0]}."
    top = tested.sort_values("p_value", kind="stable").iloc[0]
    sure = int((tested["p_holm"] <= 0.05).sum())
    a, b = labels[top["arm_a"]], labels[top["arm_b"]]
    return (
        f"In {sure} of {len(tested)} tested pairs of arms and factors the difference of the arms depends on the factor "
        f"(p ≤ 0.05 after Holm's correction). The clearest is {top['label']}: the failure rate of {b} minus that of "
        f"{a} in points is {_by_level(_levels_of(numbers, top))} (p = {p_value(top['p_value'])}; "
        f"{p_value(top['p_holm'])} corrected)."
    )


def _levels_of(numbers: pd.DataFrame, test: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = ["arm_a", "arm_b", "factor"]
    of_test = (numbers[columns] == [test[column] for column in columns]).all(axis=1)
    return numbers[of_test & (numbers["cells"] > 0)].to_dict("records")


def _by_level(rows: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{100 * row['difference']:.0f} ({100 * row['low']:.0f} to {100 * row['high']:.0f}) at {row['level']}"
        for row in rows
    )


def arm_interactions_text(tests: pd.DataFrame, numbers: pd.DataFrame, labels: Mapping[str, str], shown: int) -> Table:
    """The `shown` clearest pairs of arms and factors of `factors.arm_interactions`, with all of it as numbers."""
    rows = [
        {
            "arms": f"{labels[row['arm_b']]} minus {labels[row['arm_a']]}",
            "factor": row["label"],
            "difference at each level, points": _by_level(_levels_of(numbers, row)) or row["reason"],
            "p": p_value(row["p_value"]),
            "p (Holm)": p_value(row["p_holm"]),
        }
        for row in tests.sort_values("p_value", kind="stable").head(shown).to_dict("records")
    ]
    caption = (
        f"The {len(rows)} clearest of {len(tests)} pairs of arms and factors: paired differences of the failure rates "
        "with 95% intervals, and whether they depend on the level."
    )
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=numbers)


def components_finding(components: pd.DataFrame, score: str) -> str:
    """`components.variance_components` as one sentence: the arms' spread beside the seeds'."""
    whole = components[components["arm"] == ""].set_index("component")
    seeds, arms = whole.loc["seeds"], whole.loc["arms"]
    if seeds["reason"]:
        return f"What the seed alone does is not known: {seeds['reason']}."
    told = (
        f"From seed to seed, in one configuration under one arm, the {score} has a standard deviation of {_sd(seeds)}"
    )
    if arms["reason"]:
        return f"{told}; {arms['reason']}."
    beside = (
        "more than one arm differs from another" if seeds["variance"] > arms["variance"] else "less than the arms do"
    )
    return f"{told}; the means of the arms have one of {_sd(arms)}: a seed makes a run differ {beside}."


def _sd(row: Any) -> str:
    value, low, high = (max(row[end], 0) ** 0.5 for end in ("variance", "low", "high"))
    return f"{value:.3g} ({low:.3g} to {high:.3g})"


def components_text(components: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """`components.variance_components` with a row per component."""
    used, planned, seeds = (components.attrs[name] for name in ("used", "planned", "seeds"))
    rows = [
        {
            "from": row["component"] if not row["arm"] else f"seeds, {labels[row['arm']]}",
            "standard deviation": row["reason"] or _sd(row),
            "variance": "—" if row["reason"] else f"{row['variance']:.3g} ({row['low']:.3g} to {row['high']:.3g})",
        }
        for row in components.to_dict("records")
    ]
    caption = (
        f"Where differences between final scores come from, with 95% intervals: {used} of {planned} configurations, "
        f"those with a score for every arm and all seeds ({seeds})."
    )
    links = []
    if used == planned:  # else the trials of incomplete configurations have a score and are not in it
        arms = [row["arm"] or None for row in components.to_dict("records")]
        links = [(i, "", trials_of(arm=arm, state="scored")) for i, arm in enumerate(arms)]
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=components, trials=tuple(links))


def power_finding(row: Mapping[str, Any], planned: int, blocks: str = "cells") -> str:
    """A row of `effect_sections.power_table` as one sentence; `blocks` says what is counted."""
    told = (
        f"{planned} {blocks} show a difference of {100 * row['detectable']:.0f} points or more"
        if row["detectable"] == row["detectable"]
        else f"{planned} {blocks} are too few to show any difference"
    )
    return (
        f"{told} between {row['a']} and {row['b']} with a chance of 80% (exact McNemar test at 5%, if "
        f"{percent(row['discordance'])} of the {blocks} succeed under one of the two only{row['whence']})."
    )


def power_text(table: pd.DataFrame, blocks: str = "cells") -> Table:
    """`effect_sections.power_table` with a row per pair of arms and difference; `blocks` says what is counted."""
    rows = [
        {
            "arms": f"{row['a']}, {row['b']}",
            "difference": f"{100 * row['difference']:.0f} points",
            "disagree so far": f"{count(row['disagree'])} of {row['known']}",
            f"{blocks} for 80%": f"{row['cells']:,}",
            "if more disagree": f"{row['cells_high']:,}",
            "chance with the planned": percent(row["power"]),
        }
        for row in table.to_dict("records")
    ]
    caption = (
        f"How many {blocks} show a difference of success rates with a chance of 80% (exact power of the exact McNemar "
        "test at 5%), at the share that disagrees so far and at the upper end of its 95% interval."
    )
    links = [
        (
            i,
            "disagree so far",
            trials_of(pair=f"{row['arm_a']},{row['arm_b']}", outcome=("only_a", "only_b"), threshold=row["threshold"]),
        )
        for i, row in enumerate(table.to_dict("records"))
    ]
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=table, trials=tuple(links))


ANYTIME = (
    "These intervals and p-values hold at every look: over the whole sweep the chance that any one of them ever leaves "
    "out the truth is 5% at most, so the sweep may be watched and stopped when it has told enough. They are wider than "
    "those of a finished sweep for it. Cells count in the order of the plan; one that has not ended, was stopped by a "
    "rule or was lost stands as anything between failure and success, because failing runs end early."
)


def anytime_text(rates: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """`anytime.anytime_rates` with a row per threshold and a column per arm."""
    rows = []
    for threshold, group in rates.groupby("threshold", sort=True):
        told = {"score above": f"{threshold:g}", "cells": int(group["cells"].iloc[0])}
        for row in group.to_dict("records"):
            told[labels[row["arm"]]] = f"{100 * row['low']:.0f} to {percent(row['high'])}"
        rows.append(told)
    caption = "Success rates so far: 95% intervals that hold at every look."
    links = [
        (i, labels[arm], trials_of(arm=arm, above=threshold))
        for i, threshold in enumerate(sorted(rates["threshold"].unique().tolist()))
        for arm in rates["arm"].unique()
    ]
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=rates, trials=tuple(links))


def anytime_differences_text(differences: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """`anytime.anytime_differences` with a row per pair and threshold."""
    rows = [
        {
            "arms": f"{labels[row['arm_b']]} minus {labels[row['arm_a']]}",
            "score above": f"{row['threshold']:g}",
            "difference": f"{100 * row['low']:.0f} to {100 * row['high']:.0f} points",
            "p": p_value(row["p_value"]),
            "p (Holm)": p_value(row["p_holm"]),
        }
        for row in differences.to_dict("records")
    ]
    caption = "Paired differences of the success rates so far: 95% intervals and p-values that hold at every look."
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=differences)
