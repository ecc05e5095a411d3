"""What the rules say of recorded runs whose true state is known: judged traces, a confusion matrix, error rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gansweep.intervals import wilson
from gansweep.stability import Stream, Verdict, first_finding

HEALTHY = "healthy"
ABOUT = ("trial", "cell", "arm", "planted", "objective", "data", "label", "steps")


def judge_traces(traces: pd.DataFrame, rules: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A row per trial: what a pruner with these rules would have called it, and when.

    `traces` has a row per report: trial, cell, arm, planted, objective, data, label (the names that count as right,
    apart by spaces), steps (the whole budget), step, and the columns of the stream, empty where a report lacks one.
    `rules` are those for each value of `data`. The answer has what is known of the trial, verdict (`trained` if no rule
    found anything), rule, evidence, found_step (the report at which the run would have stopped), saved (the share of
    its steps that it would not have made), and right (whether the verdict is one of the label's).
    """
    judged = []
    for _, frame in traces.groupby("trial", sort=False):
        known = {name: frame[name].iloc[0] for name in ABOUT}
        judged.append(known | _judge(_rows(frame), rules[known["data"]], known["label"].split(), known["steps"]))
    return pd.DataFrame(judged)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    columns = [name for name in frame.columns if name not in ABOUT]
    return [
        {name: value for name, value in row.items() if not pd.isna(value)} for row in frame[columns].to_dict("records")
    ]


def _judge(rows: list[dict[str, Any]], rules: Sequence[Any], right: Sequence[str], steps: int) -> dict[str, Any]:
    for num in range(1, len(rows) + 1):
        if finding := first_finding(rules, Stream(rows[:num]), ended=False):
            return {
                "verdict": str(finding.verdict),
                "rule": finding.rule,
                "evidence": finding.evidence,
                "found_step": rows[num - 1]["step"],
                "saved": 1 - rows[num - 1]["step"] / steps,
                "right": finding.verdict in right,
            }
    trained = {"verdict": str(Verdict.TRAINED), "rule": None, "evidence": None, "found_step": None, "saved": 0.0}
    return trained | {"right": not right}


def confusion(judged: pd.DataFrame, by: str = "planted") -> pd.DataFrame:
    """How many trials of each value of `by` got each verdict; verdicts that none got are left out."""
    table = pd.crosstab(judged[by], judged["verdict"])
    return table[sorted(table.columns, key=[*map(str, Verdict)].index)]


def rates(judged: pd.DataFrame) -> dict[str, Any]:
    """How often the rules were right, with Wilson's intervals.

    `named_right` of the trials with a label, `found` of them, `false_alarms` of the healthy ones, each with its
    `_low` and `_high` bound, and `median_saved`, of the trials with a label. Trials that are neither healthy nor
    labelled do not count.
    """
    failing, healthy = judged[judged["label"] != ""], judged[judged["planted"] == HEALTHY]
    found = {name: frame["verdict"] != str(Verdict.TRAINED) for name, frame in (("f", failing), ("h", healthy))}
    rows = {"named_right": failing["right"], "found": found["f"], "false_alarms": found["h"]}
    answer: dict[str, Any] = {"failing": len(failing), "healthy": len(healthy)}
    for name, hit in rows.items():
        low, high = wilson(int(hit.sum()), len(hit))
        answer |= {name: float(hit.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}
    return answer | {"median_saved": float(failing["saved"].median())}
