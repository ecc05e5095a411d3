"""What of a report goes into a paper: tables as LaTeX or CSV, and every figure as a PNG or SVG file.

Figures are drawn by Kaleido, which needs a Chrome or Chromium on this machine and no network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansweep import report
from gansweep.page import Results, Section, Table
from gansweep.parts import misspelt

FORMATS = ("html", "markdown", "latex", "csv")
KINDS = ("png", "svg")
LONG = 60  # characters from which on a column of a table is a paragraph
WIDTH, SCALE = 900, 2  # pixels of a figure, and how many times as many a PNG has for print
MARKS = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "—": "---",
    "–": "--",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "×": r"$\times$",
    "−": "$-$",
    "∅": r"$\emptyset$",
    "λ": r"$\lambda$",
    "θ": r"$\theta$",
    "γ": r"$\gamma$",
    "β": r"$\beta$",
}


def escaped(text: Any) -> str:
    """Text as LaTeX prints it, in one line."""
    return "".join(MARKS.get(mark, mark) for mark in " ".join(str(text).split()))


def latex(results: Results, sections: Sequence[Any]) -> str:
    """Every table as a LaTeX `table` in the style of booktabs, with its caption and a label such as `tab:outcomes-1`.

    What a section says stands above its tables as comments.
    """
    head = report.headline(results)
    lines = [f"% {head['run']}: {_comment(head['question'])}", *(f"% {_comment(said)}" for said in head["sentences"])]
    lines += ["% Needs \\usepackage{booktabs} and \\usepackage{graphicx}.", ""]
    for section in report.render(results, sections):
        lines += [f"% --- {_comment(section.title)}", *(f"% {_comment(said)}" for said in section.text), ""]
        for number, table in enumerate(section.tables, start=1):
            lines += [*_latex_table(table, f"tab:{report.slug(section.title)}-{number}"), ""]
    return "\n".join(lines).rstrip() + "\n"


def _comment(text: Any) -> str:
    return " ".join(str(text).split())


def _latex_table(table: Table, label: str) -> list[str]:
    rows = table.shown.to_numpy().tolist()
    longest = [max((len(str(row[i])) for row in rows), default=0) for i in range(table.shown.shape[1])]
    wide = f"p{{{0.9 / max(sum(length > LONG for length in longest), 1):.2f}\\linewidth}}"
    columns = "".join(
        wide if length > LONG else "r" if right and number else "l"
        for number, (right, length) in enumerate(zip(report.numeric_columns(table), longest, strict=True))
    )
    return [
        "\\begin{table}",
        f"  \\caption{{{escaped(table.caption)}}}",
        f"  \\label{{{label}}}",
        "  \\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
        f"  \\begin{{tabular}}{{{columns}}}",
        "    \\toprule",
        f"    {_latex_row(table.shown.columns)}",
        "    \\midrule",
        *(f"    {_latex_row(row)}" for row in rows),
        "    \\bottomrule",
        "  \\end{tabular}}",
        "\\end{table}",
    ]


def _latex_row(cells: Sequence[Any]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"


def csv(results: Results, sections: Sequence[Any], folder: Path) -> list[Path]:
    """The numbers of every table as FOLDER/SECTION-NUMBER.csv; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for section in report.render(results, sections):
        for number, table in enumerate(section.tables, start=1):
            path = folder / f"{report.slug(section.title)}-{number}.csv"
            table.numbers.to_csv(path, index=False)
            found.append(path)
    return found


def figures(results: Results, sections: Sequence[Any], folder: Path, kind: str = "png") -> list[Path]:
    """Every figure on white as FOLDER/SECTION-NUMBER.png or .svg; the paths.

    A kind that is not one of `KINDS`, a Kaleido that is not installed, and a browser that is not found or does not
    start are `ValueError`s.
    """
    if kind not in KINDS:
        raise misspelt("kind of figure", kind, KINDS)
    try:
        from kaleido import errors
    except ImportError as error:
        raise ValueError("figures as files need Kaleido: pip install 'gansweep[paper]'") from error
    from plotly.io import write_images

    folder.mkdir(parents=True, exist_ok=True)
    drawn = [one for section in report.render(results, sections) for one in _numbered(section, folder, kind)]
    if not drawn:
        return []
    paths, heights = [path for path, _ in drawn], [figure.layout.height or 440 for _, figure in drawn]
    scale = SCALE if kind == "png" else 1
    try:
        write_images([figure for _, figure in drawn], paths, format=kind, scale=scale, width=WIDTH, height=heights)
    except (errors.BrowserFailedError, errors.BrowserClosedError) as error:
        raise ValueError(
            "the Chrome or Chromium that was found to draw figures with does not start, or ended at once: install "
            "another (apt install chromium), or name one in BROWSER_PATH"
        ) from error
    except RuntimeError as error:
        if not isinstance(error.__context__, errors.ChromeNotFoundError):  # which Plotly replaces
            raise
        named = os.environ.get("BROWSER_PATH")
        found = f"BROWSER_PATH = {named!r} is none" if named else "none was found"
        raise ValueError(
            f"figures as files need a Chrome or Chromium, and {found}: install one (apt install chromium), or name it "
            "in BROWSER_PATH"
        ) from error
    return paths


def _numbered(section: Section, folder: Path, kind: str) -> list[tuple[Path, Any]]:
    found = []
    for number, drawing in enumerate(section.figures, start=1):
        figure = type(drawing.figure)(drawing.figure)  # a copy: the report's own stays transparent
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", font_color="#222222")
        found.append((folder / f"{report.slug(section.title)}-{number}.{kind}", figure))
    return found
