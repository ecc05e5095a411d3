"""What a person means by a name: which recorded run of a study, which trial of which run, which studies of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from gansweep import published, records, story
from gansweep.page import Results
from gansweep.parts import misspelt
from gansweep.selection import Selection, load_study
from gansweep.study import Study


def run_of(selection: Selection, study: Study, uri: str) -> str:
    """The run that a selection means: its own, or, where only the file is named, the study's last launched.

    A preset or an arm that does not exist, and a study without a run, are `ValueError`s.
    """
    if not selection.names_file_only:
        if selection.preset is not None and selection.preset not in study.presets:
            raise misspelt("preset", selection.preset, study.presets)
        return selection.sized().run_name(study)
    found = records.runs(uri, study.name)
    if not found:
        raise ValueError(
            f"study {study.name!r} has no recorded run yet; start it with: gansweep launch {selection.file}"
        )
    return found[0]


def trial_of(name: str, run: str | None, uri: str) -> tuple[Results, str]:
    """The run that holds the trial, and the trial's id, from a name as `story.match` takes it.

    Without a run, CELL/ARM is a trial of the run that was launched last, and an id is looked for in every run, the last
    launched first. A name that no trial has is a `ValueError` with the nearest one.
    """
    recorded = list(records.parent_runs(uri))
    if not recorded:
        raise ValueError("no run is recorded yet; start one with: gansweep launch STUDY")
    seen, unread = [], []
    for one in [run] if run else recorded[:1] if "/" in name else recorded:
        try:
            results = records.read(uri, one)
        except ValueError:
            if run:
                raise
            unread.append(one)  # of an older gansweep, or without its plan: another run may hold the trial
            continue
        if (found := story.match(results.trials, name)) is not None:
            return results, found
        seen.append(results.trials)
    not_asked = f" (not read, of an older gansweep: {', '.join(unread)})" if unread else ""
    if not seen:
        raise ValueError(f"no recorded run can be read{not_asked}; start one with: gansweep launch STUDY")
    raise ValueError(f"{story.unknown(name, pd.concat(seen))}{not_asked}")


def answering(folder: Path) -> list[str]:
    """The study files of a folder that answer a claim of the papers. None is a `ValueError`."""
    files = [file for name in published.IDS_OF_STUDY if (file := folder / f"{name}.py").is_file()]
    if not files:
        raise ValueError(f"no study in {str(folder)!r} answers a published claim: {', '.join(published.IDS_OF_STUDY)}")
    return list(map(str, files))


def studies_in(folder: Path, uri: str | None) -> list[dict[str, Any]]:
    """A row per study file: `file`, `question`, `presets` and recorded `runs`, none without a store.

    A folder without study files is a `ValueError`.
    """
    studies = {file: load_study(file) for file in sorted(folder.glob("*.py"))}
    if not studies:
        raise ValueError(f"no study file in {str(folder)!r}")
    return [
        {
            "file": str(file),
            "question": study.question,
            "presets": list(study.presets),
            "runs": records.runs(uri, study.name) if uri else [],
        }
        for file, study in studies.items()
    ]
