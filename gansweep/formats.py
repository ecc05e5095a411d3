"""A recorded run in every format: its report as a page, as text, as tables and as pictures, and its two frames."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gansweep import manuscript, recorder, records, report
from gansweep.page import Results
from gansweep.parts import misspelt

TEXTS = {"markdown": report.markdown, "latex": manuscript.latex}
OF_FRAMES = ("csv", "parquet")


def kind_of(format: str, figures: str | None) -> str:
    """What a report is written as: the pictures, where they are asked for, or else the format.

    A format and a kind of picture that do not exist are `ValueError`s.
    """
    if format not in manuscript.FORMATS:
        raise misspelt("format", format, manuscript.FORMATS)
    if figures is not None and figures not in manuscript.KINDS:
        raise misspelt("kind of figure", figures, manuscript.KINDS)
    return figures or format


def page(uri: str, run: str, sections: Sequence[Any], reports: Path) -> Path:
    """Write the report as REPORTS/RUN.html, keep it with the run's records too, and return the path."""
    results = records.read(uri, run)
    path = report.write(results, sections, reports / f"{run}.html", records.run_page(uri, results.trials))
    recorder.attach(uri, run, path)
    return path


def written(kind: str, uri: str, run: str, sections: Sequence[Any], reports: Path, to: Path | None) -> str:
    """The report as one of `manuscript.FORMATS` or `KINDS`: a text of it, or the paths of its files, one a line.

    Tables and pictures go to the folder `to`, by default REPORTS/RUN.
    """
    if kind == "html":
        return str(page(uri, run, sections, reports))
    results, folder = records.read(uri, run), to or reports / run
    if kind in TEXTS:
        return TEXTS[kind](results, sections)
    if kind == "csv":
        return _listed(manuscript.csv(results, sections, folder))
    return _listed(manuscript.figures(results, sections, folder, kind)) or "no section of this study has a figure yet"


def compared(runs: tuple[str, str], format: str, uri: str, reports: Path) -> str:
    """Two runs side by side: the Markdown, or the path of the page REPORTS/RUN-and-RUN.html."""
    from gansweep import comparison  # statistics and Plotly, which the frames do without

    if format not in ("html", "markdown"):
        raise ValueError(f"--compare writes html or markdown, not {format}")
    a, b = (records.read(uri, run) for run in runs)
    if format == "markdown":
        return comparison.markdown(a, b)
    return str(report.write_whole(reports / f"{runs[0]}-and-{runs[1]}.html", comparison.page(a, b)))


def frames(results: Results, folder: Path, format: str) -> str:
    """Write the design card and the two frames as one of `OF_FRAMES`; the paths of the frames, one a line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(results.plan, indent=1))
    paths = []
    for name in ("trials", "steps"):
        frame, path = getattr(results, name), folder / f"{name}.{format}"
        frame.to_csv(path, index=False) if format == "csv" else frame.to_parquet(path, index=False)
        paths.append(path)
    return _listed(paths)


def _listed(paths: Sequence[Path]) -> str:
    return "\n".join(map(str, paths))
