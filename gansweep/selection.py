"""Which study, at which size: the study file that a person names, and what the command line changes of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
import traceback
from pathlib import Path

from gansweep.parts import misspelt, part
from gansweep.study import Study


@part
class Selection:
    """A study file, one of its presets, and what the command line changes of it.

    `arms` are the arms of its axes that run, None for those that the study runs by default.
    """

    file: str
    preset: str | None = None
    draws: int | None = None
    seed: int | None = None
    data: str | None = None
    arms: tuple[str, ...] | None = None

    @property
    def names_file_only(self) -> bool:
        """Whether only the file is named."""
        return self == Selection(file=self.file)

    def sized(self) -> Selection:
        """With the default preset, where none is named: laptop, or else the study's first."""
        if self.preset is not None:
            return self
        presets = load_study(self.file).presets
        return dataclasses.replace(self, preset="laptop" if "laptop" in presets else next(iter(presets), None))

    def study(self, *, data_is_here: bool = True) -> Study:
        """The study as it will run; on a machine that need not have the data's files, `data_is_here` is False."""
        study = load_study(self.file)
        return study.at(
            self.preset, draws=self.draws, seed=self.seed, data=self.data, arms=self.arms, data_is_here=data_is_here
        )

    def absolute(self) -> Selection:
        """The same selection with absolute paths, for a process in another folder."""
        name, colon, path = (self.data or "").partition(":")
        data = f"{name}:{Path(path).resolve()}" if colon else self.data
        return dataclasses.replace(self, file=str(Path(self.file).resolve()), data=data)

    def run_name(self, study: Study) -> str:
        """The name of this run of the study: the same selection goes on with the same run."""
        changes = [f"{key}{value}" for key in ("draws", "seed", "data") if (value := getattr(self, key)) is not None]
        arms = ["arms", *study.in_order(self.arms)] if self.arms is not None else []
        return "-".join(
            re.sub(r"[^A-Za-z0-9_]+", "_", str(name)) for name in (study.name, self.preset, *changes, *arms) if name
        )


def load_study(path: str | Path) -> Study:
    """The `study` of a study file. Study files are code and are trusted."""
    file = Path(path)
    if not file.is_file():
        raise misspelt("study file", file, sorted(map(str, file.parent.glob("*.py"))) or ["(no *.py file there)"])
    spec = importlib.util.spec_from_file_location(f"gansweep_study_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ValueError:
        raise
    except Exception as error:
        at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = getattr(error, "lineno", None) or (at[-1] if at else None)
        raise ValueError(f"{file}{f', line {line}' if line else ''}: {error}") from error
    if not isinstance(study := getattr(module, "study", None), Study):
        raise ValueError(f"{file} defines no `study = Study(...)`")
    return study
