"""One page over several studies: each claim of the papers, what the paper says, ours, and the judgement.

The page stands beside the studies' reports and links to them; it needs no network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gansweep import judging, published, report
from gansweep.claim_sections import AGREEMENTS, REDUCED, amendments, claim_rows
from gansweep.comparing import UNDECIDABLE
from gansweep.page import Results, Section, Table

NO_RESULT = "The study has no recorded run, so nothing is judged."


@dataclass(frozen=True)
class Attempt:
    """One study of a reproduction. `wrong` says why its run is not whole, in a line, and is empty where it is."""

    study: str
    question: str
    run: str
    results: Results | None
    report: Path | None
    wrong: str = ""


def write(attempts: Sequence[Attempt], preset: str | None, folder: Path) -> tuple[Path, Path]:
    """Write the page to `folder` as HTML and as Markdown, and return both paths. Each appears whole or not at all."""
    name = f"reproduction-{preset}" if preset else "reproduction"
    judged = {one.study: _judged(one, preset) for one in attempts}
    claims = pd.DataFrame([{"study": study, **row} for study, found in judged.items() for row in claim_rows(found)])
    studies, sentences = _studies(attempts, folder), _sentences(attempts, preset)
    sentences += amendments(one for found in judged.values() for one in found)
    table = Table(shown=claims, caption="Each claim, the paper's evidence, ours, and the judgement.", numbers=claims)
    text = () if len(claims) else ("Nothing to show: no claim is written down for these studies.",)
    section = Section(title="The claims", text=text, tables=(table,) if len(claims) else ())
    about: dict[str, Any] = {"sentences": sentences, "studies": studies, "cards": {}, "cards_title": ""}
    page = report.write_whole(folder / f"{name}.html", report.fill("reproduction.html", [section], **about))
    return page, report.write_whole(folder / f"{name}.md", _markdown(studies, claims, sentences))


def _studies(attempts: Sequence[Attempt], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for one in attempts:
        told = [report.counts_sentence(one.results)] if one.results is not None else []
        told += [f"{one.wrong[0].upper()}{one.wrong[1:]}."] if one.wrong else []
        place = Path(os.path.relpath(one.report, folder)).as_posix() if one.report else None
        row = {"study": one.study, "question": one.question, "told": " ".join(told), "run": one.run, "report": place}
        rows.append(row)
    return rows


def _judged(one: Attempt, preset: str | None) -> Sequence[judging.Judgement]:
    """The claims of a study; those of one without a run are listed too."""
    if one.results is not None:
        return judging.judge(one.results)
    none: dict[str, Any] = {"judgement": UNDECIDABLE, "evidence": NO_RESULT, "preset": preset}
    ids = published.IDS_OF_STUDY.get(one.study, ())
    return [judging.Judgement(claim=claim, **none) for name in ids for claim in published.claims(name)]


def _sentences(attempts: Sequence[Attempt], preset: str | None) -> list[str]:
    whole = sum(not one.wrong for one in attempts)
    size = f"at the preset {preset}" if preset else "as declared"
    told = [f"{whole} of {len(attempts)} studies ran to their end, {size}."]
    if preset not in (None, "paper"):
        told.append(REDUCED)
    return [*told, AGREEMENTS]


def _markdown(studies: Sequence[dict[str, Any]], claims: pd.DataFrame, sentences: Sequence[str]) -> str:
    lines = ["# What the papers say, and what we found", "", *(f"- {sentence}" for sentence in sentences), ""]
    rows = [
        [one["study"], one["question"], one["told"], f"[{one['run']}]({one['report']})" if one["report"] else "none"]
        for one in studies
    ]
    lines += ["## The studies", "", report.markdown_table(["study", "question", "trials", "report"], rows), ""]
    if len(claims):
        table = report.markdown_table(list(claims.columns), claims.to_numpy().tolist())
        lines += ["## The claims", "", table, ""]
    return "\n".join(lines)
