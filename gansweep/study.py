"""A study is a Python value; its plan is an ordered, frozen list of blocks.

trial = baseline + preset + the cell's drawn values + the arm's changes. The three sets of fields must be disjoint where
they could contradict each other, so what a trial is never depends on an order of application.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import math
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gansweep.parts import at_least, content_id, describe, misspelt, one_of, override, part
from gansweep.randomness import derive_seed
from gansweep.space import Space
from gansweep.trial import TrialConfig

Arms = dict[str, dict[str, Any]]


@part
class Preset:
    """A size at which a study runs: changed fields, reduced spaces, number of draws, metrics and rules.

    `description` is one sentence that the report prints; `space` replaces entries of the study's space, it adds none;
    `arms` changes further fields of the arms it names, beside what they set.
    """

    description: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    space: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    draws: int | None = None
    repeats: int | None = None
    metrics: tuple[Any, ...] | None = None
    rules: tuple[Any, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("draws", "repeats"):
            if getattr(self, name) is not None:
                at_least(self, **{name: 1})


@part
class PlannedTrial:
    """One (cell, arm) of a plan."""

    id: str
    cell: str
    arm: str
    position: int
    factors: Mapping[str, Any]
    config: TrialConfig


@part
class Study:
    """What is asked, what is compared and what is drawn.

    `axes` maps an axis to its arms, and an arm to the fields it sets; several axes give the product of their arms.
    `space` maps dotted fields to what is drawn for each of the `draws`; each is a cell `repeats` times, with a seed of
    its own. `thresholds` are scores a success must exceed.
    `traces` is "summary", or "layers" to record the gradient norm of every weight tensor at every report, too.
    `audit_fraction` of the trials that a rule would prune run to the end, to measure how often the rule is wrong.
    """

    name: str
    question: str
    source: str
    baseline: TrialConfig
    axes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    space: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    draws: int = 1
    repeats: int = 1
    metrics: tuple[Any, ...]
    rules: tuple[Any, ...]
    thresholds: tuple[float, ...] = ()
    audit_fraction: float = 0.1
    traces: str = "summary"
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)
    report: tuple[Any, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(self, draws=1, repeats=1, seed=0, audit_fraction=0)
        one_of(self, "traces", ("summary", "layers"))
        if not self.name.replace("_", "").isalnum():
            raise ValueError(f"Study.name = {self.name!r} may hold letters, digits and underscores only")
        if not self.question.rstrip().endswith("?"):
            raise ValueError(f"Study.question = {self.question!r} must be a question")
        if self.audit_fraction > 1:
            raise ValueError(f"Study.audit_fraction = {self.audit_fraction} must lie in [0, 1]")
        if not self.metrics:
            raise ValueError("Study.metrics is empty: a study needs at least one score")
        self._check_scores()
        owners = self._owners()
        self._check_arms()
        for name, preset in self.presets.items():
            for path in preset.overrides:
                # an override of a part's field is lost as well where an arm sets the whole part
                if taken := [whole for whole in owners if f"{path}.".startswith(f"{whole}.")]:
                    raise ValueError(
                        f"preset {name!r}: field {path!r} is set by {owners[taken[0]]}; only one may set it"
                    )
            arms = [arm for axis in self.axes.values() for arm in axis]
            for arm in preset.arms:
                if arm not in arms:
                    raise misspelt(f"preset {name!r}: arm", arm, arms)
            for axis in self.axes.values():
                if 0 < len(named := set(preset.arms) & set(axis)) < len(axis):
                    others = ", ".join(sorted(set(axis) - named))
                    raise ValueError(f"preset {name!r} changes arms, but not {others}: give it changes too, or {{}}")
            for path in preset.space:
                if path not in self.space:
                    raise misspelt(f"preset {name!r}: space", path, self.space)
            try:
                override(self.baseline, preset.overrides)
            except ValueError as error:
                raise ValueError(f"preset {name!r}: {error}") from error
        metrics = [*self.metrics, *(one for preset in self.presets.values() for one in preset.metrics or ())]
        known = {*self.space, *self.arms, *self.axes, *(metric.name for metric in metrics)}
        for name in self.labels:
            if name not in known:
                raise misspelt("label", name, known)

    def _check_scores(self) -> None:
        """Refuse two metrics with one column, rules on a score that there is not, and thresholds upside down."""
        for where, metrics, rules in [
            ("", self.metrics, self.rules),
            *(
                (f"preset {name!r}: ", p.metrics or self.metrics, p.rules or self.rules)
                for name, p in self.presets.items()
            ),
        ]:
            columns = [column for metric in metrics for column in metric.columns]
            if len(columns) > len(set(columns)):
                twice = next(column for column in columns if columns.count(column) > 1)
                raise ValueError(f"{where}two metrics give the score {twice!r}")
            falling = [metric.name for metric in metrics if not metric.higher_is_better]
            for rule in rules:
                score = getattr(rule, "score", None)
                if score is None:
                    continue
                if score not in columns:
                    raise misspelt(f"{where}{type(rule).__name__}.score =", score, columns)
                if score in falling:
                    raise ValueError(
                        f"{where}{type(rule).__name__} is for scores of which more is better, not {score!r}"
                    )
            if self.thresholds and metrics[0].name in falling:
                raise ValueError(f"{where}thresholds are for scores of which more is better, not {metrics[0].name!r}")

    def _owners(self) -> dict[str, str]:
        """Who sets each field that the baseline leaves to others; two owners of one field are refused."""
        claims = {"the plan": {"seed"}, "the space": set(self.space)}
        for axis, arms in self.axes.items():
            claims[f"axis {axis!r}"] = {path for changes in arms.values() for path in changes}
        owners: dict[str, str] = {}
        for owner, paths in claims.items():
            for path in sorted(paths):
                if path in owners:
                    raise ValueError(f"field {path!r} is set by {owner} and by {owners[path]}; only one may set it")
                owners[path] = owner
        return owners

    def _check_arms(self) -> None:
        """Refuse an axis without arms, fields that do not exist, and arms that are the same trial."""
        if not self.axes:
            raise ValueError("Study.axes is empty: a study needs at least one axis with an arm")
        for axis, arms in self.axes.items():
            if not arms:
                raise ValueError(f"axis {axis!r} has no arm")
            for arm in arms:
                if "/" in arm:
                    raise ValueError(f"arm {arm!r}: a slash parts the arms of several axes; use another sign")
        first = {path: space.first for path, space in self.space.items()}
        ids: dict[str, str] = {}
        for arm in self.arms:
            clash = ids.setdefault(self.resolve(first, arm, seed=0).id, arm)
            if clash != arm:
                raise ValueError(f"arms {clash!r} and {arm!r} are the same trial: no field differs")

    @property
    def arms(self) -> Arms:
        """Every arm by its name, with the fields it sets; the first is the reference."""
        names = [list(arms) for arms in self.axes.values()]
        return {
            "/".join(combination): {
                path: value
                for axis, arm in zip(self.axes, combination, strict=True)
                for path, value in self.axes[axis][arm].items()
            }
            for combination in itertools.product(*names)
        }

    @property
    def space_size(self) -> float:
        """How many different cells the space holds; infinite for a continuous one."""
        return math.prod(space.size for space in self.space.values())

    def label(self, name: str) -> str:
        """What a figure calls an arm, an axis, a factor or a score."""
        return self.labels.get(name, name.replace(".", " ").replace("_", " "))

    def at(
        self,
        preset: str | None,
        *,
        draws: int | None = None,
        seed: int | None = None,
        data: str | None = None,
    ) -> Study:
        """This study at one preset, with the command line's changes; an unknown preset raises with the nearest name."""
        from gansweep.data.sources import named

        if preset is not None and preset not in self.presets:
            raise misspelt("preset", preset, self.presets)
        chosen = self.presets[preset] if preset is not None else Preset(description="The study as declared.")
        baseline = override(self.baseline, chosen.overrides)
        if data is not None:
            baseline = override(baseline, {"data": named(data, size=getattr(baseline.data, "size", None))})
        return dataclasses.replace(
            self,
            baseline=baseline,
            axes={
                axis: {arm: {**changes, **chosen.arms.get(arm, {})} for arm, changes in arms.items()}
                for axis, arms in self.axes.items()
            },
            space={**self.space, **chosen.space},
            draws=draws or chosen.draws or self.draws,
            repeats=chosen.repeats or self.repeats,
            metrics=chosen.metrics or self.metrics,
            rules=chosen.rules or self.rules,
            seed=self.seed if seed is None else seed,
            presets={preset: chosen} if preset is not None else {},
        )

    def resolve(self, factors: Mapping[str, Any], arm: str, seed: int) -> TrialConfig:
        """The trial of one cell (its drawn values and seed) under one arm."""
        return override(self.baseline, {**self.arms[arm], **factors, "seed": seed})

    def baseline_fields(self) -> dict[str, Any]:
        """The baseline by dotted names, without what is drawn."""
        return {
            path: value for path, value in self.baseline.flat().items() if path not in self.space and path != "seed"
        }

    def arm_changes(self) -> dict[str, dict[str, Any]]:
        """Each arm by the dotted fields in which any arm differs from the baseline; None where it has no such field."""
        first = {path: space.first for path, space in self.space.items()}
        fixed = {arm: self.resolve(first, arm, seed=0).flat() for arm in self.arms}
        baseline = self.baseline_fields()
        names = dict.fromkeys(name for fields in (baseline, *fixed.values()) for name in fields)
        changed = [
            name
            for name in names
            if name not in self.space
            and name != "seed"
            and len({repr(f.get(name)) for f in (baseline, *fixed.values())}) > 1
        ]
        return {arm: {name: fields.get(name) for name in changed} for arm, fields in fixed.items()}

    def plan(self) -> Plan:
        """Draw the cells and freeze every trial."""
        from gansweep.search import draw_cells

        if self.draws > self.space_size:
            raise ValueError(
                f"draws = {self.draws} is more than the {self.space_size:.0f} different cells of the space"
            )
        drawn = draw_cells(self.space, self.draws, seed=self.seed)
        # what is resampled is a cell: a draw with all its seeds, or, where there is one draw only, a seed
        num_cells = len(drawn) if len(drawn) > 1 else self.repeats
        width = max(3, len(str(num_cells - 1)))
        trials: list[PlannedTrial] = []
        for (draw, factors), repeat in itertools.product(enumerate(drawn), range(self.repeats)):
            number = draw if len(drawn) > 1 else repeat
            # the first has the seed it would have alone, so that further repeats can be added
            seed = derive_seed(self.seed, "cell", content_id(factors), *([repeat] if repeat else []), bits=31)
            for arm in self.arms:
                config = self.resolve(factors, arm, seed)
                trials.append(
                    PlannedTrial(
                        id=config.id,
                        cell=f"c{number:0{width}d}",
                        arm=arm,
                        position=len(trials),
                        factors=factors,
                        config=config,
                    )
                )
        return Plan(study=self, trials=tuple(trials))


@part
class Plan:
    """Every trial that must exist, in the order in which they start: block by block, arm by arm."""

    study: Study
    trials: tuple[PlannedTrial, ...]

    def __post_init__(self) -> None:
        repeated = len(self.trials) - len({trial.id for trial in self.trials})
        assert not repeated, f"{repeated} trials of the plan share an id"

    def __iter__(self) -> Iterator[PlannedTrial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def design(self) -> dict[str, Any]:
        """What the design hash covers: everything that was declared, and nothing of how it is shown."""
        shown = ("labels", "caveats", "report", "presets", "question", "source")
        return {key: value for key, value in describe(self.study).items() if key not in shown}


@part
class Selection:
    """Which study, at which size: the file, the preset, and what the command line changes of it."""

    file: str
    preset: str | None = None
    draws: int | None = None
    seed: int | None = None
    data: str | None = None

    def study(self) -> Study:
        """The study as it will run."""
        return load_study(self.file).at(self.preset, draws=self.draws, seed=self.seed, data=self.data)

    def absolute(self) -> Selection:
        """The same selection with absolute paths, for a process in another folder."""
        name, colon, path = (self.data or "").partition(":")
        data = f"{name}:{Path(path).resolve()}" if colon else self.data
        return dataclasses.replace(self, file=str(Path(self.file).resolve()), data=data)

    def run_name(self, study: Study) -> str:
        """The name of this run of the study: the same selection goes on with the same run."""
        changes = [f"{key}{value}" for key in ("draws", "seed", "data") if (value := getattr(self, key)) is not None]
        return "-".join(
            re.sub(r"[^A-Za-z0-9_]+", "_", str(name)) for name in (study.name, self.preset, *changes) if name
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
