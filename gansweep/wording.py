"""Numbers as words: shares, intervals, p-values, and the tables a report shows as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gansweep.page import Table
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


def p_value(value: float) -> str:
    """A p-value with two figures, never zero."""
    if value != value:
        return "—"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def finding(pair: pd.DataFrame, a: str, b: str) -> str:
    """The threshold at which a pair of arms differs most, as one sentence."""
    top = pair.loc[(pair["only_b"] - pair["only_a"]).abs().idxmax()]
    lost = f"; {top['unknown']} unknown" if top["unknown"] else ""
    close = int(top["close_a"] + top["close_b"])
    near = f" {close} scores are too close to that threshold to call." if close else ""
    return (
        f"{a} and {b} differ most above {top['threshold']:g}: only {b} succeeds in {top['only_b']} of "
        f"{top['planned']} cells, only {a} in {top['only_a']}, both in {top['both']}, neither in "
        f"{top['neither']}"
        f"{lost} (exact McNemar test, p = {p_value(top['p_value'])}; {p_value(top['p_holm'])} after Holm's "
        f"correction over the thresholds).{near}"
    )


def outcome_text(pair: pd.DataFrame, a: str, b: str) -> Table:
    """One pair of `analysis.outcome_table` with arms called a and b."""

    def succeeds(row: Any, arm: str) -> str:
        told = with_interval(row[f"rate_{arm}"], row[f"rate_{arm}_low"], row[f"rate_{arm}_high"])
        worst, best = row[f"worst_{arm}"], row[f"best_{arm}"]
        return told if worst == best else f"{told} [{100 * worst:.0f} to {100 * best:.0f}]"

    rows = [
        {
            "score above": f"{row['threshold']:g}",
            f"only {a}": row["only_a"],
            f"only {b}": row["only_b"],
            "both": row["both"],
            "neither": row["neither"],
            "unknown": row["unknown"],
            f"{a}": succeeds(row, "a"),
            f"{b}": succeeds(row, "b"),
            "difference": with_interval(row["difference"], row["difference_low"], row["difference_high"]),
            "p": p_value(row["p_value"]),
            "p (Holm)": p_value(row["p_holm"]),
        }
        for row in pair.to_dict("records")
    ]
    caption = (
        f"Outcomes of {a} and {b}: numbers of cells, then the success rate of each. "
        f"(Intervals) are 95%: Wilson's, and Newcombe's for the paired difference, {b} minus {a}. [Bounds] "
        "hold whatever the unknown trials would have done. p is McNemar's exact test."
    )
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=pair)


def published_text(paper: PublishedOutcomes, a: str, b: str) -> Table:
    """A published outcome table with arms called a and b, its counts as printed."""
    numbers = paper.frame()
    names = {"threshold": "score above", "only_a": f"only {a}", "only_b": f"only {b}"}
    derived = {"success_a": f"{a} (derived)", "success_b": f"{b} (derived)"}
    shown = numbers.rename(columns={**names, **derived}).drop(columns="planned")
    shown["score above"] = shown["score above"].map("{:g}".format)
    return Table(shown=shown, caption=f"{paper.title}: {paper.source}; {paper.cells} cells.", numbers=numbers)


def effects_text(effects: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    """`analysis.factor_effects` with a row per factor and arm."""
    rows = []
    for (label, arm), group in effects.groupby(["label", "arm"], sort=False):
        known = group[group["known"] > 0]
        told = ", ".join(f"{r['level']}: {r['failures']} of {r['known']}" for r in known.to_dict("records"))
        first = group.iloc[0]
        rows.append((label, labels[arm], told, p_value(first["p_value"]), p_value(first["p_holm"])))
    shown = pd.DataFrame(rows, columns=["factor", "arm", "failures by level", "p", "p (Holm)"])
    return Table(shown=shown, caption="Failures at each level, and whether they depend on it.", numbers=effects)


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
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=courses)


def reached_text(reached: pd.DataFrame, labels: Mapping[str, str], score: str) -> Table:
    """`analysis.reached` with a row per threshold and a column per arm."""
    rows = []
    for threshold, group in reached.groupby("threshold", sort=True):
        told = {"score above": f"{threshold:g}"}
        for row in group.to_dict("records"):
            by = "" if row["median_step"] != row["median_step"] else f", half by step {row['median_step']:g}"
            told[labels[row["arm"]]] = f"{row['reached']} of {row['ended']}{by}"
        rows.append(told)
    caption = f"How many ended runs had a {score} above each threshold at any evaluation, and how soon."
    return Table(shown=pd.DataFrame(rows), caption=caption, numbers=reached)
