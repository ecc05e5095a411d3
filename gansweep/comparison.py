"""Two runs of one study side by side: what differs in their design, their outcomes, and what became of common trials.

A trial of one run has its partner in the other where cell, seed and arm are the same, the cell by what it drew. Values
of the partners are compared only where their scores have one protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gansweep import analysis, comparing, figures, report, wording
from gansweep.page import Drawing, Results, Section, Table, arm_labels
from gansweep.sections import counts_nothing, nothing

SHOWN = 40  # of trials whose verdict changed


def page(a: Results, b: Results) -> str:
    """The comparison as one HTML document. Runs of two studies are a `ValueError`."""
    plan = b.plan
    head = {
        "study": plan["study"],
        "run": f"{a.plan['run']} and {plan['run']}",
        "question": f"How do two runs differ? {plan['question']}",
        "sentences": [f"{one.plan['run']}: {report.counts_sentence(one)}" for one in (a, b)],
    }
    cards = {one.plan["run"]: report.headline(one)["cards"]["Provenance"] for one in (a, b)}
    return report.fill("comparison.html", sections(a, b), head=head, cards=cards, cards_title="Where they ran")


def markdown(a: Results, b: Results) -> str:
    """The comparison as Markdown."""
    title = f"# {a.plan['run']} and {b.plan['run']}"
    return "\n".join([title, "", *report.markdown_sections(sections(a, b))]).rstrip() + "\n"


def sections(a: Results, b: Results) -> list[Section]:
    """Design, outcomes, paired differences and changed verdicts."""
    if a.plan["study"] != b.plan["study"]:
        raise ValueError(f"{a.plan['run']!r} and {b.plan['run']!r} are runs of two studies, not of one")
    pairs = partners(a, b)
    return [_design(a, b), _outcomes(a, b), _differences(a, b, pairs), _verdicts(a, b, pairs)]


# ------------------------------------------------------------------------------------------------------- design


def changed_fields(a: Mapping[str, Any], b: Mapping[str, Any]) -> pd.DataFrame:
    """Columns field, a, b: what differs between two design cards, by dotted names, in the order of the first."""
    wanted = ("preset", "seed", "draws", "repeats", "thresholds", "score", "arms", "baseline", "factors", "search",
              "pruning", "data", "protocols", "provenance")  # fmt: skip
    flat = [_flat({name: card.get(name) for name in wanted}) for card in (a, b)]
    names = dict.fromkeys([*flat[0], *flat[1]])
    rows = [(name, flat[0].get(name), flat[1].get(name)) for name in names if flat[0].get(name) != flat[1].get(name)]
    return pd.DataFrame(rows, columns=["field", "a", "b"], dtype=object)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value if not isinstance(value, list | tuple) else ", ".join(map(str, value))}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{name}.{key}" if name else str(key))
    return found


def _design(a: Results, b: Results) -> Section:
    found = changed_fields(a.plan, b.plan)
    of_science = found[~found["field"].str.startswith("provenance")]
    text = (
        (f"{len(of_science)} fields of the design differ, and {len(found) - len(of_science)} of where it ran.",)
        if len(found)
        else ("The two runs have the same design, and ran in the same place.",)
    )
    if found.empty:
        return Section(title="What differs in the design", text=text)
    names = {"a": a.plan["run"], "b": b.plan["run"]}
    shown = found.rename(columns=names).map(lambda value: "—" if value is None else str(value))
    table = Table(shown=shown, caption="Fields of the design cards that differ.", numbers=found)
    return Section(title="What differs in the design", text=text, tables=(table,))


# ----------------------------------------------------------------------------------------------------- outcomes


def _outcomes(a: Results, b: Results) -> Section:
    title = "Outcomes side by side"
    common = [arm for arm in a.plan["arms"] if arm in b.plan["arms"]]
    thresholds = sorted({*a.plan["thresholds"]} & {*b.plan["thresholds"]})
    if not common or not thresholds:
        return Section(title=title, text=("Nothing to show: the runs share no arm or no threshold.",))
    labels, names = arm_labels(a.plan), (a.plan["run"], b.plan["run"])
    if why := counts_nothing(a) or counts_nothing(b):
        return nothing(title, why)
    rates = [analysis.success_rates(comparing.units(one), thresholds, one.plan["score"]) for one in (a, b)]
    both = rates[0].merge(rates[1], on=["arm", "threshold"], suffixes=("_a", "_b"))
    rows = []
    for row in both[both["arm"].isin(common)].to_dict("records"):
        told = {"arm": labels[row["arm"]], "score above": f"{row['threshold']:g}"}
        for end, name in zip("ab", names, strict=True):
            rate = wording.with_interval(row[f"rate_{end}"], row[f"rate_low_{end}"], row[f"rate_high_{end}"])
            told[name] = (
                f"{wording.count(row[f'success_{end}'])} of {row[f'known_{end}'] + row[f'stopped_{end}']}, {rate}"
            )
        rows.append(told)
    text = (
        "Success rates of every arm that both runs have, each with its own 95% interval; the cells of the runs need "
        "not be the same. Their protocols are among the fields above where they differ.",
    )
    table = Table(
        shown=pd.DataFrame(rows), caption="Successes of the known trials, per arm and threshold.", numbers=both
    )
    return Section(title=title, text=text, tables=(table,))


# ------------------------------------------------------------------------------------------------ common blocks


def partners(a: Results, b: Results) -> pd.DataFrame:
    """A row per trial that both runs have: cell, seed, arm, and for each run trial, status, verdict and score.

    Columns of the first run end in _a, of the second in _b; `score` is the final one, NaN where a run has none: a trial
    that diverged, that a rule stopped, that was lost or that has not ended.
    """
    factors = [name for name in a.plan["factors"] if name in b.plan["factors"]]
    if set(a.plan["factors"]) != set(b.plan["factors"]):
        return pd.DataFrame(columns=["cell_a", "seed", "arm", "trial_a", "trial_b", "verdict_a", "verdict_b"])
    frames = []
    for one in (a, b):
        told = one.trials[["seed", "arm", *factors]].astype(object)
        told = told.assign(**{name: told[name].map(lambda value: repr(_plain(value))) for name in factors})
        for name in ("cell", "trial", "status", "verdict"):
            told[name] = one.trials[name]
        score = one.plan["score"]
        final = (one.trials["status"] == "done") & ~analysis.diverged(one.trials) & ~analysis.stopped(one.trials)
        told["score"] = pd.to_numeric(one.trials[score]).where(final) if score in one.trials else np.nan
        protocol = f"{score}_protocol"
        told["protocol"] = one.trials.get(protocol)
        frames.append(told)
    return frames[0].merge(frames[1], on=["seed", "arm", *factors], suffixes=("_a", "_b"))


def _plain(value: Any) -> Any:
    if value is None or value != value:
        return None
    value = value.item() if hasattr(value, "item") else value
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _differences(a: Results, b: Results, pairs: pd.DataFrame) -> Section:
    title = "The same trials in both runs"
    if pairs.empty:
        return Section(title=title, text=("The two runs have no trial in common: no cell, seed and arm is in both.",))
    labels, label = arm_labels(a.plan), a.plan["score_label"]
    known = pairs[pairs["score_a"].notna() & pairs["score_b"].notna()]
    same = known["protocol_a"].astype(str) == known["protocol_b"].astype(str)
    text = [f"{len(pairs)} trials are in both runs; {len(known)} of them have a final {label} in both."]
    if not same.all():
        text.append(f"The {label} of the two runs has two protocols, so their scores are not compared.")
        return Section(title=title, text=tuple(text))
    rows, numbers, unit = [], [], comparing.unit_of(a)
    for arm, group in known.groupby("arm", sort=False):
        change = (group["score_b"] - group["score_a"]).astype(float)
        equal = int((change == 0).sum())
        if unit == "cell":
            change = change.groupby(group["cell_a"], sort=False).mean()
        mean, low, high = comparing.interval_of_mean(change.to_numpy())
        numbers.append({"arm": arm, "pairs": len(group), "equal": equal, "mean": mean, "low": low, "high": high})
        interval = f"{low:+.3g} to {high:+.3g}" if np.isfinite([low, high]).all() else "—"
        rows.append((labels.get(str(arm), arm), len(group), equal, f"{mean:+.3g}", interval))
    shown = pd.DataFrame(rows, columns=["arm", "common trials", "equal", "mean difference", "95% interval"])
    names = f"{b.plan['run']} less {a.plan['run']}"
    caption = f"Final {label}, {names}, over the {unit}s that are in both."
    table = Table(shown=shown, caption=caption, numbers=pd.DataFrame(numbers))
    figure = figures.run_against_run(known, list(a.plan["arms"]), labels, label, (a.plan["run"], b.plan["run"]))
    told = f"Final {label} of each common trial in the two runs; on the dashed line nothing has changed."
    drawing = Drawing(figure=figure, caption=told)
    return Section(title=title, text=tuple(text), figures=(drawing,), tables=(table,))


def _verdicts(a: Results, b: Results, pairs: pd.DataFrame) -> Section:
    title = "Verdicts that changed"
    ended = pairs[pairs["verdict_a"].notna() & pairs["verdict_b"].notna()] if len(pairs) else pairs
    changed = ended[ended["verdict_a"] != ended["verdict_b"]] if len(ended) else ended
    if changed.empty:
        return Section(title=title, text=(f"Of {len(ended)} trials with a verdict in both runs none has another one.",))
    labels, names = arm_labels(a.plan), (a.plan["run"], b.plan["run"])
    kinds = changed.groupby(["arm", "verdict_a", "verdict_b"], sort=False).size().rename("trials").reset_index()
    shown = kinds.assign(arm=kinds["arm"].map(lambda arm: labels.get(arm, arm)))
    shown = shown.rename(columns={"verdict_a": names[0], "verdict_b": names[1]})
    single = changed[["cell_a", "seed", "arm", "trial_a", "verdict_a", "trial_b", "verdict_b"]].head(SHOWN)
    runs = dict(zip("ab", names, strict=True))
    called = {f"{name}_{end}": f"{name}, {runs[end]}" for name in ("cell", "trial", "verdict") for end in "ab"}
    shown_single = single.assign(arm=single["arm"].map(lambda arm: labels.get(arm, arm))).astype(str)
    shown_single = shown_single.rename(columns=called)
    text = (f"Of {len(ended)} trials with a verdict in both runs {len(changed)} have another one.",)
    tables = (
        Table(shown=shown, caption="How verdicts changed.", numbers=kinds),
        Table(shown=shown_single, caption=f"The first {len(single)} of these trials.", numbers=changed),
    )
    return Section(title=title, text=text, tables=tables)
