"""A story as a person meets it: printed in a terminal, and as one self-contained page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from gansweep.page import Drawing, Picture, Results, Section, Table, arm_labels
from gansweep.story import FIRST_SHOWN, PARTING_FACTOR, Story, in_words, metrics_of, named, number, plain
from gansweep.wording import prose

if TYPE_CHECKING:
    from rich.console import Console

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 14
ERROR_LINES = 8
BOUNDS = ("_std", "_low", "_high")
NOT_A_QUANTITY = ("trial", "step", "images_seen", "seconds")


# --- in a terminal


def show(story: Story, console: Console, page: Path | None = None) -> None:
    """Print the story; it fits 80 columns and needs no colour. `page` is where the whole of it was written."""
    from rich.text import Text

    row, healthy = story.trial, story.healthy
    states = (row["status"], row["failure"], row["verdict"], row["decision"])
    console.print(Text(story.answer, style="bold"))
    about = ", ".join(str(state) for state in states if state)
    console.print(Text(f"trial {row['trial']} of {story.plan['run']}, seed {row['seed']}: {about}", style="dim"))
    for sentence in story.sentences:
        console.print(Text(sentence))
    if story.factors:
        console.print(Text("Drawn: " + ", ".join(f"{name} {in_words(value)}" for name, value in story.factors.items())))
    if story.changes:
        told = ", ".join(f"{one['field']} {in_words(one['here'])}" for one in story.changes)
        console.print(Text(f"Against the baseline, {_label(story, row)} has: {told}"))
    _print(console, "What happened", ["step", "until", "what", ""], [_event_cells(event) for event in story.events])
    if story.moments:
        names = list(story.moments[0])
        lines = [[in_words(moment.get(name)) for name in names] for moment in story.moments]
        _print(console, "Numbers then", [_short(name, story.plan) for name in names], lines, right=True)
    if healthy:
        told = f"Beside it, the nearest healthy trial: {named(healthy)} ({healthy['trial']}), score "
        console.print(Text(f"\n{told}{in_words(healthy.get(story.plan['score']))}"))
        told = ", ".join(
            f"{one['field']} {in_words(one['there'])} (here {in_words(one['here'])})" for one in _wholes(story)
        )
        console.print(Text(f"It has: {told}"))
    elif row["status"] != "planned" and row["verdict"] != "trained":
        console.print(Text("\nNo trial of this run trained, so there is no healthy one to set beside it."))
    _print(console, "Curves", ["", "this trial", "range", "healthy", "range"], _sparks(story))
    parted = [_parting_cells(story, parting) for parting in story.partings]
    _print(console, "Where they part", ["step", "quantity", "here", "healthy around then"], parted)
    if error := row.get("error"):
        console.print(Text("\n" + "\n".join(error.strip().splitlines()[-ERROR_LINES:]), style="dim"))
    if page is not None:
        console.print(Text(f"\n{page}"), soft_wrap=True)


def _print(console: Console, title: str, names: list[str], rows: list[list[str]], right: bool = False) -> None:
    from rich.table import Table as Columns
    from rich.text import Text

    if not rows:
        return
    kept = [i for i in range(len(names)) if any(row[i] not in ("", "—") for row in rows)]
    table = Columns(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for i in kept:
        table.add_column(Text(names[i]), justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(row[i]) for i in kept))
    console.print(Text(f"\n{title}", style="bold"))
    console.print(table)


def _event_cells(event: Mapping[str, Any]) -> list[str]:
    return [str(event["step"]), "" if event["until"] is None else str(event["until"]), event["what"], event["told"]]


def _wholes(story: Story) -> list[dict[str, Any]]:
    """The fields that differ, without those of a part that differs itself."""
    fields = [one["field"] for one in story.differs]
    return [one for one in story.differs if not any(one["field"].startswith(f"{field}.") for field in fields)]


def _sparks(story: Story) -> list[list[str]]:
    """A line per quantity: both curves over one time and, if comparable, on one scale; norms by their logarithm."""
    rows = []
    both = (story.steps, story.beside)
    last = max(frame["step"].max() for frame in both if len(frame)) if len(story.steps) else 0
    for column in (*metrics_of(story.plan), *FIRST_SHOWN):
        if column not in story.steps:
            continue
        cells = [_short(column, story.plan)]
        for frame in both:
            if column not in frame:
                cells += ["", ""]
                continue
            scaled = pd.concat([one[column] for one in both]) if column in story.compared else frame[column]
            line = spark(frame["step"], frame[column], last, (scaled.min(), scaled.max()), log=_is_norm(column))
            cells += [line, f"{number(frame[column].min())} to {number(frame[column].max())}"]
        rows.append(cells)
    return rows


def spark(steps: pd.Series, values: pd.Series, last: int, scale: tuple[float, float], *, log: bool = False) -> str:
    """The values as 14 blocks up to the step `last`: means of equal stretches, an empty one as the one before it.

    The lowest block is the bottom of `scale`, the highest its top; if these are the same to three figures, all are low.
    After the last value there are spaces.
    """
    low, high = scale
    flat = number(low) == number(high)
    if log and low > 0:
        values, low, high = values.map(math.log), math.log(low), math.log(high)
    place = ((steps - 1) * SPARK_WIDTH // last).clip(0, SPARK_WIDTH - 1)
    means = values.groupby(place).mean().dropna()
    filled = means.reindex(range(int(means.index.max()) + 1)).ffill().bfill()
    share = filled * 0 if flat else (filled - low) / (high - low)
    return "".join(BLOCKS[min(int(s * len(BLOCKS)), len(BLOCKS) - 1)] for s in share).ljust(SPARK_WIDTH)


def _is_norm(column: str) -> bool:
    return column.startswith("gradient_norm")


def _parting_cells(story: Story, parting: Mapping[str, Any]) -> list[str]:
    around = f"{number(parting['low'])} to {number(parting['high'])}"
    return [str(parting["step"]), prose(parting["quantity"], story.plan), number(parting["value"]), around]


# --- as a page


def write(results: Results, story: Story, uri: str, path: Path) -> Path:
    """Write the story as one self-contained HTML page to `path` (its folder is made) and return the path.

    `uri` is the tracking store that holds the trial. The page appears whole or not at all.
    """
    from gansweep import report

    return report.write_whole(path, page(results, story, uri))


def page(results: Results, story: Story, uri: str) -> str:
    """The story as one HTML document."""
    from gansweep import report

    told = [section for section in sections(results, story, uri) if section.text or section.tables]
    states = [state for name in ("status", "failure", "verdict", "decision") if (state := story.trial[name])]
    cards: dict[str, Any] = {"cards": _cards(story), "cards_title": "Protocol and record"}
    return report.fill("story.html", told, story=story, states=states, **cards)


def sections(results: Results, story: Story, uri: str) -> list[Section]:
    """The story under its headings; one without a text or a table has nothing to say."""
    return [
        _happened(story),
        _curves(story),
        _samples(results, story),
        _beside(story),
        _was(story),
        _elsewhere(story, uri),
    ]


def _table(rows: list[dict[str, Any]], names: Mapping[str, str], caption: str) -> tuple[Table, ...]:
    """The rows as one table with the columns of `names` that hold anything; no table without rows."""
    numbers = pd.DataFrame(rows)
    if numbers.empty:
        return ()
    kept = [column for column in names if column in numbers and numbers[column].notna().any()]
    shown = numbers[kept].astype(object).map(lambda value: in_words(plain(value))).rename(columns=names)
    return (Table(shown=shown, caption=caption, numbers=numbers),)


def _happened(story: Story) -> Section:
    columns = {column: _short(column, story.plan) for column in (story.moments[0] if story.moments else ())}
    names = {"step": "step", "until": "until", "what": "what", "told": "in words"}
    tables = _table(story.events, names, "What happened, in generator steps.")
    then = (
        "The numbers at the first and the last report and where something happened; a score is the last known one, and "
        "under healthy that of the healthy trial by then."
    )
    return Section(title="What happened", tables=tables + _table(story.moments, columns, then))


def _beside(story: Story) -> Section:
    title = "Beside the nearest healthy trial"
    if story.healthy is None:
        none = story.trial["verdict"] != "trained" and story.trial["status"] != "planned"
        return Section(title=title, text=("No trial of this run trained, so there is none to compare with.",) * none)
    other, label = story.healthy, prose(story.plan["score"], story.plan)
    same = other["cell"] == story.trial["cell"]
    score = in_words(other.get(story.plan["score"]))
    why = "It is of the same cell" if same else "No trial of the same cell trained; this one differs in fewest factors"
    text = [f"{named(other)} (trial {other['trial']}) trained, with a last {label} of {score}. {why}."]
    if not story.partings:
        text.append(f"No quantity leaves the range of the healthy trial's by a factor of {PARTING_FACTOR:g}.")
    parted = [{**one, "quantity": prose(one["quantity"], story.plan)} for one in story.partings]
    names = {"quantity": "quantity", "step": "step", "value": "here", "low": "healthy, least", "high": "healthy, most"}
    apart = (
        f"Where the two part: the first report at which a quantity is over {PARTING_FACTOR:g} times the most or under "
        f"1/{PARTING_FACTOR:g} of the least that the healthy trial reported between half and twice that step (where "
        f"this range holds 0: outside one {PARTING_FACTOR:g} times as wide)."
    )
    fields = {"field": "field", "here": story.name, "there": f"{named(other)}, healthy"}
    tables = _table(parted, names, apart) + _table(story.differs, fields, "The fields in which they differ.")
    return Section(title=title, text=tuple(text), tables=tables)


def _quantities(story: Story) -> list[str]:
    """What is drawn: the scores, losses and norms, then whatever else was reported, no error bars, no single layers."""
    first = ["output_real", "output_fake", "penalty"]
    known = [*metrics_of(story.plan), *FIRST_SHOWN, *first, *story.steps.columns]
    return [
        column
        for column in dict.fromkeys(known)
        if column in story.steps and column not in NOT_A_QUANTITY and not column.endswith(BOUNDS) and "/" not in column
    ]


def _curves(story: Story) -> Section:
    from gansweep import figures

    quantities = _quantities(story)
    if not quantities:
        return Section(title="Curves", text=("Nothing to show: the trial has reported no number.",))
    runs = {story.name: story.trial["arm"]}
    frames = {story.name: story.steps}
    if story.healthy and len(story.beside):
        beside = f"{named(story.healthy)}, healthy"
        runs[beside], frames[beside] = story.healthy["arm"], story.beside
    kept = {run: frame[["step", *(c for c in quantities if c in frame)]] for run, frame in frames.items()}
    long = [frame.melt(id_vars="step", var_name="quantity").assign(run=run) for run, frame in kept.items()]
    curves = pd.concat(long).dropna(subset="value")
    positive = curves.groupby("quantity")["value"].min() > 0
    row = story.trial
    marks = {row["verdict_step"]: "evidence"} if row["verdict"] not in (None, "trained") else {}
    marks |= {row["decision_step"]: str(row["decision"])}
    drawn = figures.trial_curves(
        curves,
        titles={column: prose(column, story.plan) for column in quantities},
        runs=runs,
        arms=list(arm_labels(story.plan)),
        log=[column for column in quantities if _is_norm(column) and positive.get(column, False)],
        marks={step: told for step, told in marks.items() if step is not None},
    )
    with_it = f" and, dashed, of {named(story.healthy)}" if story.healthy else ""
    caption = f"What {story.name} reported over generator steps{with_it}. Gradient norms are on a logarithmic axis."
    text = "Each panel is one quantity of the reports."
    if story.healthy and "loss_generator" not in story.compared:
        text += (
            " The two have different objectives: their losses and outputs are not on one scale, so compare how they "
            "move, not where they are."
        )
    return Section(title="Curves", text=(text,), figures=(Drawing(figure=drawn, caption=caption),))


def _samples(results: Results, story: Story) -> Section:
    pictures = []
    for row in filter(None, (story.trial, story.healthy)):
        if (png := results.samples(row["trial"])) is not None:
            score = row.get(story.plan["score"])
            became = row["verdict"] or row["failure"] or row["status"]
            told = f"{named(row)}, {became}, step {row['step']}: {'no score' if score is None else number(score)}"
            pictures.append(Picture(png=png, caption=told))
    text = "The last recorded sample grid of each." if pictures else "No sample grid has been recorded."
    return Section(title="Samples", text=(text,), pictures=tuple(pictures))


def _was(story: Story) -> Section:
    label, row = _label(story, story.trial), story.trial
    text = (
        f"Study {story.plan['study']}, run {story.plan['run']}, cell {row['cell']}, arm {label}, seed {row['seed']}.",
    )
    drawn = [{"factor": name, "value": value} for name, value in story.factors.items()]
    whole = [{"field": field, "value": value} for field, value in story.configuration.items() if value is not None]
    changed = {"field": "field", "baseline": "baseline", "here": label}
    tables = _table(drawn, {"factor": "factor", "value": "drawn"}, "What was drawn for the cell.")
    tables += _table(story.changes, changed, f"How the arm {label} differs from the baseline.")
    tables += _table(whole, {"field": "field", "value": "value"}, "The whole configuration.")
    return Section(title="What it was", text=text, tables=tables)


def _elsewhere(story: Story, uri: str) -> Section:
    store, row, run = re.sub(r"//[^/@]*@", "//", uri), story.trial, story.plan["run"]  # no password on a page
    rows = [("print this story as JSON", f"gansweep why {row['trial']} --run {run} --tracking-uri {store} --json")]
    if row["run_id"]:
        describe = f"MLFLOW_TRACKING_URI={store} mlflow runs describe --run-id {row['run_id']}"
        browse = store if store.startswith("http") else f"mlflow ui --backend-store-uri {store}"
        rows += [("print its record in MLflow", describe), (f"browse MLflow (run {row['run_id']})", browse)]
    if command := (story.plan.get("provenance") or {}).get("command"):
        rows.append(("go on with the run, or make it again", command))
    commands = [{"to": to, "command": command} for to, command in rows]
    names = {"to": "to", "command": "command"}
    return Section(title="See it elsewhere", tables=_table(commands, names, "The same trial in other places."))


def _cards(story: Story) -> dict[str, dict[str, str]]:
    """Protocols and records, as the small lists at the page's end."""
    row, metrics = story.trial, metrics_of(story.plan)
    about = ("trial", "run_id", "device", "attempts", "losses", "micro_batch", "started_at", "ended_at", "images_seen")
    record = [*about, *(name for name in row if name.endswith("_seconds") or name.startswith("fingerprint_"))]
    scored = [name for name in row if name.startswith(tuple(metrics)) and not name.endswith("_protocol")]
    protocols = {f"Protocol of the {prose(score, story.plan)}": protocol for score, protocol in story.protocols.items()}
    cards = {**protocols, "Scores": {n: row[n] for n in scored}, "Record": {n: row.get(n) for n in record}}
    return {
        title: {name.replace("_", " "): in_words(value) for name, value in card.items() if value is not None}
        for title, card in cards.items()
    }


# --- words


def _label(story: Story, row: Mapping[str, Any]) -> str:
    return arm_labels(story.plan)[row["arm"]]


def _short(column: str, plan: Mapping[str, Any]) -> str:
    return (
        prose(column, plan)
        .replace("gradient norm", "grad.")
        .replace(" of the generator", " G")
        .replace(" of the discriminator", " D")
    )
