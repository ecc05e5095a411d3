"""Sections of results become one self-contained HTML page, or Markdown.

The page needs no network: Plotly is embedded once, pictures are base64 and no address outside the page is
named. An interrupted or empty study renders too and says what is missing.
"""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from gansweep.page import Picture, Results, Section, Table, arm_labels, listed, trials_of


def render(results: Results, sections: Sequence[Any]) -> list[Section]:
    """Every section of a study's `report=(...)` as titled text, figures, tables and pictures."""
    return [section.render(results) for section in sections]


def write(results: Results, sections: Sequence[Any], path: str | Path, run_page: str | None = None) -> Path:
    """Write one self-contained HTML page to `path` (its folder is made) and return the path.

    `sections` are the parts of `gansweep.sections`; `run_page` is the address of a trial's MLflow run with `{run_id}`
    in it, where the store is a server. The page appears whole or not at all.
    """
    return write_whole(path, page(results, sections, run_page))


def write_whole(path: str | Path, text: str) -> Path:
    """Write a page, or leave what was there: nobody reads half of one."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part_written = target.with_name(f".{target.name}.{os.getpid()}")
    part_written.write_text(text, encoding="utf-8")
    return part_written.replace(target)


def page(results: Results, sections: Sequence[Any], run_page: str | None = None) -> str:
    """The report as one HTML document, with the list of its trials."""
    from gansweep import trial_list

    head = headline(results)
    cards = {"cards": head["cards"], "cards_title": "How this was made"}
    trials = trial_list.packed(results, run_page) if len(results.trials) else ""
    return fill("report.html", render(results, sections), trials=trials, head=head, **cards)


def fill(template: str, sections: Sequence[Section], trials: str = "", **values: Any) -> str:
    """A page from one of gansweep's templates, with Plotly embedded where a section has a figure.

    `trials` is the packed list of trials that numbers link to; without one there are no such links.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from gansweep import look

    environment = Environment(
        loader=PackageLoader("gansweep"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = slug
    environment.filters["data_uri"] = data_uri
    environment.filters["csv_uri"] = csv_uri
    environment.filters["numeric_columns"] = numeric_columns
    environment.filters["figure_json"] = look.to_json
    environment.filters["links"] = lambda table: {(row, column): asked for row, column, asked in table.trials}
    return environment.get_template(template).render(
        sections=sections,
        trials=trials,
        page_js=resources.files("gansweep").joinpath("templates", "page.js").read_text(encoding="utf-8"),
        plotly_js=look.plotly_js() if any(section.figures for section in sections) else "",
        config=look.config_json(),
        **values,
    )


def markdown(results: Results, sections: Sequence[Any]) -> str:
    """The report as Markdown: every sentence and table; figures are named by their captions."""
    head = headline(results)
    lines = [
        f"# {head['study']}: {_cell(head['question'])}",
        "",
        *(f"{_cell(s)}\n" for s in head["sentences"]),
    ]
    lines += [f"*After {_cell(head['source'])}*\n", *(f"- {_cell(caveat)}" for caveat in head["caveats"]), ""]
    for title, card in head["cards"].items():
        lines += [f"## {title}", "", markdown_table(["field", "value"], list(card.items())), ""]
    return "\n".join([*lines, *markdown_sections(render(results, sections))]).rstrip() + "\n"


def markdown_sections(sections: Sequence[Section]) -> list[str]:
    """Rendered sections as lines of Markdown."""
    lines: list[str] = []
    for section in sections:
        lines += [f"## {section.title}", "", *(f"{_cell(t)}\n" for t in section.text)]
        lines += [f"*Figure: {_cell(d.caption)}*\n" for d in section.figures]
        for table in section.tables:
            rows = table.shown.astype(str).to_numpy().tolist()
            lines += [markdown_table(list(table.shown.columns), rows), "", f"*{_cell(table.caption)}*", ""]
        lines += [f"*Picture: {_cell(p.caption)}*\n" for p in section.pictures]
    return lines


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown, a cell a line of text."""
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    return html.escape(text, quote=False).replace("|", "\\|")


def headline(results: Results) -> dict[str, Any]:
    """What every report opens with: the question, sentences on counts, preset and pairing, and the cards."""
    plan = results.plan
    return {
        "study": plan["study"],
        "run": plan.get("run", plan["study"]),
        "question": plan["question"],
        "source": plan.get("source", ""),
        "caveats": list(plan.get("caveats", [])),
        "counts": count_rows(results),
        "sentences": [
            counts_sentence(results),
            design_sentence(plan),
            preset_sentence(plan),
            pairing_sentence(results),
        ],
        "cards": {
            **_protocol_cards(plan),
            "Data": _plain(_each(plan.get("data", []))),
            "Provenance": _plain({"design": plan.get("design_hash"), **plan.get("provenance", {})}),
        },
    }


def _protocol_cards(plan: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """How each score is made, and what real examples get; scores of two protocols are told apart by what they judge."""
    told = {score["name"]: score["label"] for score in plan["scores"]}
    cards: dict[str, dict[str, str]] = {}
    for number, known in plan["protocols"].items():
        protocol = known["protocol"]
        title = f"Protocol of the {told[protocol['metric']]}"
        title = f"{title} ({number})" if title in cards else title
        cards[title] = _plain(
            {**protocol, **_each([{"name": k, **v} for k, v in known["references"].items()], "judge ")}
        )
    return cards


def _each(described: Sequence[Mapping[str, Any]], what: str = "") -> dict[str, Any]:
    """The facts of one data set, or of several with their names before them."""
    several = len(described) > 1
    return {f"{one['name']}: {k}" if several else f"{what}{k}": v for one in described for k, v in one.items()}


def _plain(card: Mapping[str, Any]) -> dict[str, str]:
    def told(value: Any) -> str:
        if value is None:
            return "not recorded"
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

    return {key.replace("_", " "): told(value) for key, value in card.items()}


def count_rows(results: Results) -> list[dict[str, Any]]:
    """A row per arm and for all: planned, done, failed, cancelled, running, not_started, under the arm's
    label."""
    from gansweep import analysis

    labels = {**arm_labels(results.plan), "all": "all arms"}
    rows = analysis.counts(results.trials).to_dict("records")
    asked = {
        "done": "done",
        "failed": "failed",
        "cancelled": "cancelled",
        "running": "running",
        "not_started": "planned",
    }
    found = []
    for row in rows:
        arm = None if row["arm"] == "all" else row["arm"]
        links = {name: trials_of(arm=arm, status=status) for name, status in asked.items()}
        found.append(
            {**row, "arm": labels.get(row["arm"], row["arm"]), "links": {"planned": trials_of(arm=arm), **links}}
        )
    return found


def counts_sentence(results: Results) -> str:
    """`planned 48 = 40 done + ...`, and what is missing if the study has not ended."""
    all_arms = count_rows(results)[-1]
    told = (
        f"planned {all_arms['planned']} = {all_arms['done']} done + {all_arms['failed']} failed + "
        f"{all_arms['cancelled']} "
        f"cancelled + {all_arms['running']} running + {all_arms['not_started']} not started"
    )
    missing = all_arms["planned"] - all_arms["done"]
    if not all_arms["planned"]:
        return f"{told}. No trial is recorded, so there is nothing to count yet."
    if missing:
        those = "One trial without an outcome counts" if missing == 1 else f"{missing} trials without an outcome count"
        told += f". {those} as unknown and widen{'s' * (missing == 1)} the bounds"
    if without := _without_an_answer(results):
        told += f". {without} done trials that did not diverge have no {results.plan['score_label']}: unknown too"
    if (stopped := _stopped(results)) and not results.plan.get("search", {}).get("sequential"):
        told += f". A rule stopped {stopped} of the done trials on evidence: their successes are estimated by an audit"
    told += "" if missing or without or stopped else ". Every planned trial has an outcome"
    if parts := int(results.trials["micro_batch"].notna().sum()):
        told += f". For want of memory {parts} computed their batches in parts, with the same updates but for rounding"
    return f"{told}."


def _stopped(results: Results) -> int:
    from gansweep import analysis

    return int(analysis.stopped(results.trials).sum())


def _without_an_answer(results: Results) -> int:
    from gansweep import analysis

    score = results.plan["score"]
    return int(analysis.unanswered(results.trials, score).sum()) if score in results.trials else 0


def design_sentence(plan: Mapping[str, Any]) -> str:
    """How many cells were drawn from how large a set, and met by which arms."""
    arms = listed(arm_labels(plan).values())
    size = f" from a set of {plan['space_size']:,.0f}" if plan.get("space_size") else ""
    repeats = plan.get("repeats", 1)
    if not plan["factors"]:
        cells = f"{repeats} cells that differ in their seeds only" if repeats > 1 else "One cell"
        return f"{cells} (seed {plan['seed']}), trained under {arms}."
    seeds = f", each with {repeats} seeds" if repeats > 1 else ""
    if (search := plan.get("search", {})).get("sequential"):
        asked = f"{plan['draws']} candidates{size}, asked for one after another by {search['by']} (seed {plan['seed']})"
        return f"{asked}{seeds and f'{seeds} that all share'}, each trained under {arms}."
    return f"{plan['draws']} cells drawn{size} (seed {plan['seed']}){seeds}, each trained under {arms}."


def preset_sentence(plan: Mapping[str, Any]) -> str:
    """Which preset ran, if any, and what a reduced one supports: the ordering of arms, where there are several."""
    if plan["preset"] is None:
        return "No preset: the study ran as it is declared."
    if plan["preset"] == "paper":
        return f"Preset paper. {plan.get('preset_description', '')} The caveats list what differs from the paper."
    claim = "Only the ordering of the arms is a claim here; no" if len(plan["arms"]) > 1 else "No"
    return (
        f"Preset {plan['preset']}: a reduced version of the published protocol. "
        f"{plan.get('preset_description', '')} {claim} score or count is comparable with the paper's absolute numbers."
    )


def pairing_sentence(results: Results) -> str:
    """In how many blocks the arms saw the same data, latents and shared initial weights, by their
    fingerprints, and which of these differ elsewhere."""
    from gansweep import analysis

    if not len(results.trials):
        return "Pairing: no block is recorded."
    if results.trials["arm"].nunique() < 2:
        return "Pairing: there is only one arm."
    blocks = analysis.pairing(results.trials)
    found = blocks["paired"].value_counts()
    yes, no, unknown = (int(found.get(key, 0)) for key in ("yes", "no", "unknown"))
    apart = int((blocks["init"] == analysis.NOTHING_SHARED).sum())
    by = "data order and latents" if apart == len(blocks) else "data order, latents and shared initial weights"
    told = f"paired in {yes} of {len(blocks)} blocks, by the fingerprints of {by}"
    if apart:
        told += "; the arms share no initial weights" + ("" if apart == len(blocks) else f" in {apart} blocks")
    if no:
        names = {"data": "data order", "latent": "latents", "init": "initial weights"}
        counted = {name: int((blocks[column] == "no").sum()) for column, name in names.items()}
        differ = ", ".join(f"{name} in {count}" for name, count in counted.items() if count)
        told += f"; not paired in {no}: the fingerprints differ for {differ}"
    if unknown:
        told += f"; not known yet in {unknown}"
    return f"The arms are {told}." if yes else f"The arms are not shown to be paired: {told}."


def slug(title: str) -> str:
    """The title as an anchor name."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def data_uri(picture: Picture) -> str:
    """The PNG inside its own address."""
    return "data:image/png;base64," + base64.b64encode(picture.png).decode()


def csv_uri(table: Table) -> str:
    """The table's numbers as CSV inside their own address."""
    return "data:text/csv;base64," + base64.b64encode(table.numbers.to_csv(index=False).encode()).decode()


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold nothing but numbers, alone or with an interval, and are aligned right."""
    number = re.compile(r"^(—|[-+\d][\d.,]*(e-?\d+)?%?( [(\[].*)?)$")
    return [all(number.match(str(value)) for value in table.shown.iloc[:, i]) for i in range(table.shown.shape[1])]
