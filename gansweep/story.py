"""What happened to one trial: its outcome with the evidence, its curves, and the nearest healthy trial beside it.

`tell` makes a `Story` from results, `facts` gives it as JSON; `telling` prints it and makes a page of it.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gansweep.page import Results
from gansweep.wording import prose

MIN_PREFIX = 4
PARTING_FACTOR = 2.0
# under another objective a loss has another meaning; the norms and the samples keep theirs
COMPARED = (
    *("gradient_norm_generator", "gradient_norm_discriminator", "weight_change_generator"),
    *("weight_change_discriminator", "sample_diversity"),
)
COMPARED_UNDER_ONE_LOSS = (
    *("loss_generator", "loss_discriminator", "output_real", "output_fake"),
    *("discriminator_confidence", "lipschitz_max"),
)
FIRST_SHOWN = ("loss_generator", "loss_discriminator", "gradient_norm_generator", "gradient_norm_discriminator")
VERDICTS = {
    "trained": "trained: nothing is wrong",
    "diverged": "diverged",
    "exploding": "has exploding gradients",
    "frozen": "froze",
    "collapsed": "collapsed",
    "mode_dropping": "dropped modes",
    "saturated": "has a saturated discriminator",
    "oscillating": "oscillates",
    "not_learning": "did not learn",
    "below_threshold": "ended with a score that is no success",
}
FAILURES = {
    "crashed": "crashed",
    "oom": "ran out of memory",
    "lost": "was lost with its worker",
    "hung": "hung and was stopped",
}
LOSSES = {"lost": "died", "hung": "hung", "oom": "were ended for want of memory", "preempted": "lost their machine"}
HEALTHY_SCORE = "healthy"


@dataclass(frozen=True)
class Story:
    """The facts of one trial. Numbers that do not exist are None.

    `trial` and `healthy` are rows of `trials`; `healthy` is None where the trial itself trained, or none of the run
    did. `changes` is the arm's difference from the baseline, `differs` the fields in which the healthy trial differs,
    `events` what happened in the order of steps, `moments` the numbers at those steps, `compared` the columns that mean
    the same in both trials, `partings` where these leave each other, `rank` the trial's place by final score among the
    `ranked` of its arm. `steps` and `beside` are the two trials' reports.
    """

    plan: Mapping[str, Any]
    trial: dict[str, Any]
    answer: str
    sentences: tuple[str, ...]
    factors: dict[str, Any]
    changes: list[dict[str, Any]]
    configuration: dict[str, Any]
    events: list[dict[str, Any]]
    moments: list[dict[str, Any]]
    rank: int | None
    ranked: int
    healthy: dict[str, Any] | None
    differs: list[dict[str, Any]]
    compared: list[str]
    partings: list[dict[str, Any]]
    protocols: dict[str, Any]
    steps: pd.DataFrame
    beside: pd.DataFrame

    @property
    def name(self) -> str:
        """The trial as CELL/ARM."""
        return named(self.trial)


# --- finding the trial


def match(trials: pd.DataFrame, name: str) -> str | None:
    """The id of the trial that `name` means, None if no trial is meant.

    `name` is an id, a prefix of one with at least 4 characters, or CELL/ARM. One that means several trials, or is too
    short, is a `ValueError`.
    """
    cell, slash, arm = name.partition("/")
    if not slash and len(name) < MIN_PREFIX:
        raise ValueError(f"trial {name!r} is too short: give {MIN_PREFIX} digits of its id, or CELL/ARM as in c003/gan")
    meant = (trials["cell"] == cell) & (trials["arm"] == arm) if slash else trials["trial"].str.startswith(name)
    found = trials[meant]
    if len(found) > 1:
        first = found.head(4).to_dict("records")
        told = ", ".join(f"{row['trial']} ({named(row)}, seed {row['seed']})" for row in first)
        raise ValueError(f"trial {name!r} means {len(found)} trials; give the id of one, such as {told}")
    return str(found["trial"].iloc[0]) if len(found) else None


def unknown(name: str, trials: pd.DataFrame) -> ValueError:
    """The error for a name that means none of `trials`: it names the nearest that does."""
    names = list(trials["cell"] + "/" + trials["arm"] if "/" in name else trials["trial"])
    near = max(names, key=lambda one: difflib.SequenceMatcher(None, name, one[: len(name)]).ratio(), default=None)
    hint = "no trial is planned" if near is None else f"did you mean {near!r}?"
    return ValueError(f"trial {name!r} is not recorded here; {hint}")


# --- the facts


def tell(results: Results, trial: str) -> Story:
    """The story of the trial with this id, which the results must hold."""
    plan, row = results.plan, _records(results.trials[results.trials["trial"] == trial])[0]
    healthy = None if row["verdict"] == "trained" else _nearest_healthy(results, row)
    steps, beside = (_steps_of(results, one["trial"] if one else None) for one in (row, healthy))
    apart = [score for score in plan["scores"] if healthy and _protocol(score, healthy) != _protocol(score, row)]
    if healthy and apart:  # scores of two protocols never stand side by side
        healthy = healthy | {column: None for score in apart for column in score["columns"]}
        beside = beside.drop(columns=[column for score in apart for column in score["columns"]], errors="ignore")
    if row["step"] is None and len(steps):  # one that runs has no outcome yet
        row["step"] = int(steps["step"].iloc[-1])
    here, there = _configuration(plan, row), _configuration(plan, healthy) if healthy else {}
    differs = [
        {"field": field, "here": here.get(field), "there": there.get(field)}
        for field in dict.fromkeys([*here, *there])
        if healthy and here.get(field) != there.get(field)
    ]
    same_loss = not any(str(one["field"]).split(".")[0] == "loss" for one in differs)
    compared = [*metrics_of(plan), *COMPARED, *(COMPARED_UNDER_ONE_LOSS if same_loss else ())]
    partings = _partings(steps, beside, compared)
    events, (rank, ranked) = _events(plan, row), _rank(results, row)
    changes, baseline = plan["arms"][row["arm"]].get("changes", {}), plan.get("baseline") or {}
    return Story(
        plan=plan,
        trial=row,
        answer=_answer(row, here),
        sentences=(*_sentences(plan, row, rank, ranked), *map(_not_compared, apart)),
        factors={str(factor.get("label", path)): here.get(path) for path, factor in plan["factors"].items()},
        changes=[
            {"field": field, "baseline": baseline.get(field), "here": value}
            for field, value in changes.items()
            if baseline.get(field) != value
        ],
        configuration=here,
        events=events,
        moments=_moments(plan, steps, beside, [event["step"] for event in events + partings]),
        rank=rank,
        ranked=ranked,
        healthy=healthy,
        differs=differs,
        compared=[column for column in compared if column in steps and column in beside],
        partings=partings,
        protocols=_protocols(plan, row),
        steps=steps,
        beside=beside,
    )


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A cell of a frame as JSON has it: None for what does not exist, a whole number where it is one."""
    if isinstance(value, str | list | dict):
        return value
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat(timespec="seconds")
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) >= 1 else value


def named(row: Mapping[str, Any]) -> str:
    """A row of `trials` as CELL/ARM."""
    return f"{row['cell']}/{row['arm']}"


def _steps_of(results: Results, trial: str | None) -> pd.DataFrame:
    steps = results.steps[results.steps["trial"] == trial]
    return steps.dropna(axis="columns", how="all").reset_index(drop=True)


def metrics_of(plan: Mapping[str, Any]) -> list[str]:
    """The name of every metric, which is its first column."""
    return [str(score["name"]) for score in plan["scores"]]


def _configuration(plan: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the trial by its dotted name; one that its parts do not have is None."""
    drawn = {path: row.get(path) for path in plan["factors"]}
    return {**(plan.get("baseline") or {}), **plan["arms"][row["arm"]].get("changes", {}), **drawn, "seed": row["seed"]}


def _nearest_healthy(results: Results, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """A trained trial of the same cell, else of another; one scored alike, the fewest differing factors, the best.

    The arm counts as one factor, or as one for each axis of the study.
    """
    trials, plan = results.trials, results.plan
    healthy = trials[(trials["status"] == "done") & (trials["verdict"] == "trained")]
    sign = -1 if plan["scores"][0]["higher_is_better"] else 1

    def distance(other: dict[str, Any]) -> tuple[Any, ...]:
        drawn = sum(other.get(path) != row.get(path) for path in plan["factors"])
        arms = sum(a != b for a, b in zip(other["arm"].split("/"), row["arm"].split("/"), strict=True))
        score = other.get(plan["score"])
        worth = math.inf if score is None else sign * score
        apart = _protocol(plan["scores"][0], other) != _protocol(plan["scores"][0], row)
        return other["cell"] != row["cell"], apart, drawn + arms, worth, other["position"]

    return min(_records(healthy), key=distance, default=None)


def _protocol(score: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """How a score of the trial is made; None of one that has not ended."""
    return row.get(f"{score['name']}_protocol")


def _not_compared(score: Mapping[str, Any]) -> str:
    return f"The {score['label']} of the healthy trial beside it has another protocol, so the two are not compared."


def _rank(results: Results, row: Mapping[str, Any]) -> tuple[int | None, int]:
    """The trial's place by final score among the ended trials of its arm that have one, and how many these are."""
    trials, score = results.trials, results.plan["score"]
    alike = (trials["arm"] == row["arm"]) & (trials["status"] == "done")
    if (protocol := f"{score}_protocol") in trials:
        alike &= trials[protocol] == row[protocol]
    known = trials.loc[alike, score].dropna()
    if row["status"] != "done" or row[score] is None:
        return None, len(known)
    higher = results.plan["scores"][0]["higher_is_better"]
    return 1 + int((known > row[score]).sum() if higher else (known < row[score]).sum()), len(known)


def _answer(row: Mapping[str, Any], configuration: Mapping[str, Any]) -> str:
    name, step, verdict = named(row), row["step"] or 0, row["verdict"]
    if row["status"] == "planned":
        return f"{name} has not started"
    if row["status"] in ("running", "cancelled"):
        of = f" of {configuration['steps']}" if "steps" in configuration else ""
        did = "is running" if row["status"] == "running" else "was stopped by its user"
        return f"{name} {did}, at step {step}{of}" if step else f"{name} {did}"
    if row["status"] == "failed":
        return f"{name} {FAILURES.get(row['failure'], row['failure'])} at step {step}"
    if verdict is None:
        return f"{name} ended without a verdict"
    since = f", from step {row['verdict_step']}" if verdict not in ("trained", "below_threshold") else ""
    return f"{name} {VERDICTS.get(verdict, verdict)}{since if row['verdict_step'] is not None else ''}"


def _sentences(plan: Mapping[str, Any], row: Mapping[str, Any], rank: int | None, ranked: int) -> list[str]:
    told = [f"Evidence: {row['evidence']}."] if row["evidence"] and row["verdict"] != "trained" else []
    if row["status"] == "planned":
        return ["It is in the plan; the launch command that made the plan goes on with it."]
    if row["status"] == "failed":
        told.append("The machine or the code failed, not the training: the trial has no outcome and counts as unknown.")
        told += [f"The error: {error.strip().splitlines()[-1]}"] if (error := row.get("error")) else []
    told += _decided(row) if row["status"] == "done" else []
    if row["verdict"] == "trained" and (found := _recorded(row)):
        seen = ", ".join(f"{one['verdict']} from step {one['step']}" for one in found)
        told.append(f"On the way, rules had found: {seen}.")
    label, score = prose(plan["score"], plan), row.get(plan["score"])
    best, best_step = (row.get(f"{plan['score']}_{what}") for what in ("best", "best_step"))
    if score is not None:
        told.append(f"Its last {label} is {number(score)}" + (_best(best, best_step) if best is not None else "") + ".")
    elif row["status"] == "done":
        told.append(f"It has no {label} at the end" + (_best(best, best_step) if best is not None else "") + ".")
    if rank is not None:
        told.append(f"By this it is number {rank} of the {ranked} trials of its arm that have one.")
    if plan["thresholds"] and score is not None:
        passed = [threshold for threshold in plan["thresholds"] if score > threshold]
        if passed:
            told.append(f"It exceeds {len(passed)} of {len(plan['thresholds'])} thresholds, up to {max(passed):g}.")
        else:
            told.append(f"It exceeds no threshold; the lowest is {min(plan['thresholds']):g}.")
    if (row["attempts"] or 0) > 1:
        told.append(f"It took {row['attempts']} attempts{_losses(row)}.")
    if (parts := row.get("micro_batch")) is not None:
        told.append(
            f"Memory was too short for its whole batches: it computed them in parts of at most {parts:g} examples."
        )
    return told


def _losses(row: Mapping[str, Any]) -> str:
    """What befell the workers of its attempts."""
    lost = json.loads(row["losses"]) if row.get("losses") else {}
    named = [f"{times} {LOSSES[kind]}" for kind, times in lost.items()]
    return f"; of its workers {', '.join(named)}" if named else ""


def _decided(row: Mapping[str, Any]) -> list[str]:
    rule, at = row["decision_rule"], "" if row["decision_step"] is None else f" at step {row['decision_step']}"
    return {
        "completed": [f"It ran to its end, step {row['step']}."],
        "pruned": [f"The rule {rule} stopped it{at}."],
        "audited": [f"The rule {rule} would have stopped it{at}; it ran to its end to measure the rule."],
    }.get(row["decision"], [])


def _best(best: float, step: int | None) -> str:
    return f", its best was {number(best)}" + (f" at step {step}" if step is not None else "")


def _recorded(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the rules said on the way, as far as it is recorded."""
    return json.loads(row["events"]) if row.get("events") else []


def _events(plan: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened in the order of steps, each with step, until, what and told."""
    found = _recorded(row)
    if not found and row["verdict"] not in (None, "trained") and row["verdict_step"] is not None:
        found = [{"step": row["verdict_step"], "verdict": row["verdict"], "evidence": row["evidence"]}]
    events = []
    if started := row["started_at"]:
        where = row["device"] or "no recorded device"
        events.append(_event(0, "started", f"{started[:16].replace('T', ' ')} UTC, on {where}"))
    for one in found:
        told = ": ".join(said for said in (one.get("rule"), one["evidence"]) if said)
        events.append(_event(one["step"], one["verdict"], told, one.get("until")))
    for score in metrics_of(plan):
        best, step = row.get(f"{score}_best"), row.get(f"{score}_best_step")
        if best is not None and step is not None:
            events.append(_event(step, "best", f"{prose(score, plan)} {number(best)}"))
    if row["decision_step"] is not None:
        events.append(_event(row["decision_step"], row["decision"], f"by the rule {row['decision_rule']}"))
    if row["status"] not in ("planned", "running"):
        events.append(_event(row["step"] or 0, "ended", f"{row['status']}, {row['failure'] or row['verdict']}"))
    elif row["step"]:
        events.append(_event(row["step"], "last report", row["status"]))
    return sorted(events, key=lambda event: event["step"])


def _event(step: int, what: str, told: str, until: int | None = None) -> dict[str, Any]:
    return {"step": step, "until": until, "what": what, "told": told}


def _partings(steps: pd.DataFrame, beside: pd.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    """The first report at which each column leaves the healthy trial's range by `PARTING_FACTOR`, in order of steps.

    The range is that of the healthy trial's reports between half and twice the step, so that a score that should have
    risen is seen to stay behind. Above 0 a value leaves it over twice its top or under half its bottom; where the range
    holds 0, outside a range twice as wide.
    """
    found = []
    for column in (c for c in columns if c in steps and c in beside):
        healthy = beside[["step", column]].dropna()
        for step, value in steps[["step", column]].dropna().itertuples(index=False):
            near = healthy.loc[healthy["step"].between(step / 2, 2 * step), column]
            if near.empty:
                continue
            low, high = float(near.min()), float(near.max())
            bottom, top = _widened(low, high)
            if not bottom <= value <= top:
                found.append({"quantity": column, "step": int(step), "value": float(value), "low": low, "high": high})
                break
    return sorted(found, key=lambda parting: parting["step"])


def _widened(low: float, high: float) -> tuple[float, float]:
    if low > 0:
        return low / PARTING_FACTOR, high * PARTING_FACTOR
    if high < 0:
        return low * PARTING_FACTOR, high / PARTING_FACTOR
    middle, reach = (low + high) / 2, PARTING_FACTOR * (high - low) / 2
    return middle - reach, middle + reach


def _moments(plan: Mapping[str, Any], steps: pd.DataFrame, beside: pd.DataFrame, at: list[int]) -> list[dict[str, Any]]:
    """The numbers at the first and last report and at those in which something happened; scores are the last known."""
    if steps.empty:
        return []
    score = plan["score"]
    seen = steps.assign(**{score: steps[score].ffill()}) if score in steps else steps
    if score in beside:
        known = beside[["step", score]].dropna().rename(columns={score: HEALTHY_SCORE})
        seen = pd.merge_asof(seen, known, on="step")
    wanted = seen["step"].isin(at)
    wanted.iloc[[0, -1]] = True
    columns = [column for column in ("step", score, HEALTHY_SCORE, *FIRST_SHOWN) if column in seen]
    return _records(seen.loc[wanted, columns]) if len(columns) > 1 else []


def _protocols(plan: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How each score of the trial was made, by metric, with what its judge says of each data set's real examples."""
    known = plan.get("protocols") or {}
    found = {score: known.get(row.get(f"{score}_protocol")) for score in metrics_of(plan)}
    return {
        score: one["protocol"] | {f"{data} {k}": v for data, card in one["references"].items() for k, v in card.items()}
        for score, one in found.items()
        if one
    }


def facts(story: Story) -> dict[str, Any]:
    """The story as plain JSON; `reports` holds the trial's rows of `steps`, and no number is NaN."""
    shown = {name: value for name, value in vars(story).items() if name not in ("plan", "steps", "beside")}
    return {"study": story.plan["study"], "run": story.plan["run"], **shown, "reports": _records(story.steps)}


# --- words for columns and values


def number(value: float) -> str:
    """Three figures."""
    return f"{value:.3g}"


def in_words(value: Any) -> str:
    """A value of a table: a dash for None, four figures of a float."""
    if value is None:
        return "—"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
