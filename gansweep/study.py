"""A study is a Python value: what is asked, what is compared and what is drawn.

trial = baseline + preset + the cell's drawn values + the arm's changes. The three sets of fields must be disjoint where
they could contradict each other, so what a trial is never depends on an order of application.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gansweep.goals import MEASURED
from gansweep.parts import above, at_least, misspelt, one_of, override, part
from gansweep.plan import Plan
from gansweep.space import Either, Space, factor_values, field_paths, fields_of, first_cell
from gansweep.strategies import Grid, RandomSearch
from gansweep.trial import TrialConfig

Arms = dict[str, dict[str, Any]]


@part
class Preset:
    """A size at which a study runs: changed fields, reduced spaces, number of draws, metrics, rules and search.

    `description` is one sentence that the report prints; `space` replaces entries of the study's space, it adds none;
    `arms` changes further fields of the arms it names, beside what they set. A field that an arm sets is no field for
    `overrides`, unless `arms` gives it anew to every arm that sets it.
    """

    description: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    space: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    arms: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    draws: int | None = None
    repeats: int | None = None
    metrics: tuple[Any, ...] | None = None
    rules: tuple[Any, ...] | None = None
    search: Any = None

    def __post_init__(self) -> None:
        for name in ("draws", "repeats"):
            if getattr(self, name) is not None:
                at_least(self, **{name: 1})


@part
class Resources:
    """What a trial of an arm takes of a machine. It decides where and when the trial runs, and changes no number.

    `cpus` are kept for it, though it computes on one; `gpus` is a share of one in [0, 1], None for the launch's
    `--gpus-per-trial`; `memory_gb` is kept for it, and not enforced.
    """

    cpus: float = 1
    gpus: float | None = None
    memory_gb: float | None = None

    def __post_init__(self) -> None:
        above(self, cpus=0)
        if self.gpus is not None:
            at_least(self, gpus=0)
            if self.gpus > 1:
                raise ValueError(f"Resources.gpus = {self.gpus} must lie in [0, 1]: a trial trains on one device")
        if self.memory_gb is not None:
            above(self, memory_gb=0)


@part
class Study:
    """What is asked, what is compared and what is drawn.

    `axes` maps an axis to its arms, and an arm to the fields it sets; several axes give the product of their arms.
    `space` maps dotted fields to what is drawn for each of the `draws`, and names in words to an `either`; each draw is
    a cell `repeats` times, with a seed of its own. `thresholds` are scores a success must exceed.
    `traces` is "summary", or "layers" to record the gradient norm of every weight tensor at every report, too.
    `audit_fraction` of the trials that a rule would prune on evidence run to the end, to measure how often the rule is
    wrong and to correct the success rates; with 1 nothing is pruned on evidence.
    `optional_arms` are arms of the axes that run only where they are asked for (`--arms`); the others are the study.

    `search` says how cells are found (see `strategies`). With a design, such as RandomSearch, the study counts and its
    plan is frozen. With a sequential search, such as TPE, it tunes: a cell is a candidate, asked for when a worker is
    free, and tried under every arm with the same `repeats` seeds as all others. `goals` are what candidates are judged
    by: metrics (by name), "failures" (the share of trials with the verdict of a failure) and "seconds_per_step"; by
    default the first metric. A value is the mean over the candidate's trials; a failed run that was ended early or has
    no score counts as `failed_scores[metric]`, or, without one, leaves its candidate without a value. `limits` are
    upper bounds on "failures" and "seconds_per_step" that the search learns to keep. `pruner` ends what falls behind.

    `portraits` are arrays that evaluations record beside the numbers, see `gansweep.portraits`; a trial's id and its
    numbers are the same without them. `resources` says what a trial of an arm takes where that is not one CPU.
    """

    name: str
    question: str
    source: str
    baseline: TrialConfig
    axes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    optional_arms: tuple[str, ...] = ()
    space: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    draws: int = 1
    repeats: int = 1
    search: Any = RandomSearch()
    pruner: Any = None
    goals: tuple[str, ...] = ()
    failed_scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    limits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    metrics: tuple[Any, ...]
    rules: tuple[Any, ...]
    thresholds: tuple[float, ...] = ()
    audit_fraction: float = 0.1
    traces: str = "summary"
    portraits: tuple[Any, ...] = ()
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)
    report: tuple[Any, ...] = ()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    resources: Mapping[str, Resources] = dataclasses.field(default_factory=dict)
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
        names = [portrait.name for portrait in self.portraits]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"Study.portraits has two portraits that are kept as {twice[0]!r}")
        titles = [section.title for section in self.report if hasattr(section, "title")]
        if twice := [title for title in titles if titles.count(title) > 1]:
            raise ValueError(f"Study.report has two sections titled {twice[0]!r}: give one of them another title")
        owners = self._owners()
        self._check_arms()
        self._check_search()
        self._check_presets(owners)
        for arm in self.resources:
            if arm not in self.arms:
                raise misspelt("resources: arm", arm, self.arms)
        metrics = [*self.metrics, *(one for preset in self.presets.values() for one in preset.metrics or ())]
        known = {*self.factors, *self.arms, *self.axes, *MEASURED, *(metric.name for metric in metrics)}
        for name in self.labels:
            if name not in known:
                raise misspelt("label", name, known)

    def _check_presets(self, owners: Mapping[str, str]) -> None:
        """Refuse presets that change what an arm sets, one arm of an axis alone, or fields that do not exist."""
        for name, preset in self.presets.items():
            for path in preset.overrides:
                # an override of a part's field is lost as well where an arm sets the whole part
                taken = [whole for whole in owners if f"{path}.".startswith(f"{whole}.")]
                if taken and not self._set_anew(path, preset):
                    raise ValueError(
                        f"preset {name!r}: field {path!r} is set by {owners[taken[0]]}; only one may set it"
                    )
            for arm in preset.arms:
                if arm not in self.axis_arms:
                    raise misspelt(f"preset {name!r}: arm", arm, self.axis_arms)
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

    def _set_anew(self, path: str, preset: Preset) -> bool:
        """Whether only arms set the field, and the preset gives it to each of them anew, so that no value is lost."""
        setters = [arm for axis in self.axes.values() for arm, changes in axis.items() if path in changes]
        return bool(setters) and all(path in preset.arms.get(arm, {}) for arm in setters)

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
        claims = {"the plan": {"seed"}, "the space": set(drawn := field_paths(self.space))}
        if twice := [path for path in drawn if drawn.count(path) > 1]:
            raise ValueError(f"field {twice[0]!r} is set by two entries of the space; only one may set it")
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
        for name, space in self.space.items():
            if isinstance(space, Either) and " " not in name:
                raise ValueError(f"space {name!r} is an either(): name it in words, such as 'constraint kind'")
        for arm in self.optional_arms:
            if arm not in self.axis_arms:
                raise misspelt("Study.optional_arms:", arm, self.axis_arms)
        for axis, arms in self.axes.items():
            if set(arms) <= set(self.optional_arms):
                raise ValueError(f"axis {axis!r} has optional arms only: one at least must run when none is asked for")
        first = first_cell(self.space)
        ids: dict[str, str] = {}
        for arm in self.arms:
            clash = ids.setdefault(self.resolve(first, arm, seed=0).id, arm)
            if clash != arm:
                raise ValueError(f"arms {clash!r} and {arm!r} are the same trial: no field differs")
        for name, space in self.space.items():
            if not isinstance(space, Either):
                continue
            for label in space.branches:
                for arm in self.arms:
                    try:
                        self.resolve(first_cell({**self.space, name: space.led_by(label)}), arm, seed=0)
                    except ValueError as error:
                        raise ValueError(f"branch {label!r} of {name!r}: {error}") from error

    def _check_search(self) -> None:
        """Refuse what would bias a count, what Optuna cannot do, and goals that are not measured."""
        sequential = self.search.sequential
        if not sequential:
            for field in ("pruner", "goals", "failed_scores", "limits"):
                if getattr(self, field):
                    why = "it would bias the counts" if field == "pruner" else "nothing is searched for"
                    raise ValueError(
                        f"Study.{field} = {getattr(self, field)!r} needs a sequential search such as TPE(): with "
                        f"{type(self.search).__name__}, which fixes the cells before anything runs, {why}"
                    )
            return
        if not self.space:
            raise ValueError(f"Study.space is empty: {type(self.search).__name__} has nothing to search")
        names = [metric.name for metric in self.metrics]
        for goal in self.goals:
            if goal not in (*names, *MEASURED):
                raise misspelt("Study.goals:", goal, (*names, *MEASURED))
        if len(set(self.goals)) < len(self.goals):
            raise ValueError(f"Study.goals = {self.goals!r} repeats a goal")
        for field, valid in (("failed_scores", names), ("limits", MEASURED)):
            for name in getattr(self, field):
                if name not in valid:
                    raise misspelt(f"Study.{field}:", name, valid)
        undeclared = [name for name in self.aims if name in names and name not in self.failed_scores]
        if undeclared and (self.search.needs_every_score or len(self.aims) > 1):
            who = type(self.search).__name__ if self.search.needs_every_score else "a study with several goals"
            raise ValueError(
                f"{who} learns from candidates with a value only: say what a failed run counts as, such as "
                f"failed_scores={{{undeclared[0]!r}: 1.0}}"
            )
        if drawn := [path for path in field_paths(self.space) if path.split(".")[0] == "data"]:
            raise ValueError(f"field {drawn[0]!r} cannot be searched one by one: data is prepared before anything runs")
        self._check_pruner()

    def _check_pruner(self) -> None:
        if self.pruner is None:
            return
        name, per_candidate = type(self.pruner).__name__, self.repeats * len(self.arms)
        if len(self.aims) > 1:
            raise ValueError(f"{name} compares by one score, and Study.goals has {len(self.aims)}: set pruner = None")
        if self.pruner.within_runs and (self.aims[0] in MEASURED or per_candidate > 1):
            raise ValueError(
                f"{name} compares runs on their way by their score: it needs a score as the goal, one arm and "
                f"repeats = 1, not {per_candidate} trials for each candidate; Wilcoxon() compares seed by seed"
            )
        if not self.pruner.within_runs and (len(self.arms) > 1 or self.repeats < 2):
            raise ValueError(f"{name} compares candidates seed by seed: it needs one arm and repeats of 4 or more")

    @property
    def aims(self) -> tuple[str, ...]:
        """The goals, or else the first metric."""
        return self.goals or (self.metrics[0].name,)

    @property
    def directions(self) -> tuple[str, ...]:
        """Of each aim: "maximize" or "minimize"."""
        rising = {metric.name for metric in self.metrics if metric.higher_is_better}
        return tuple("maximize" if aim in rising else "minimize" for aim in self.aims)

    @property
    def factors(self) -> dict[str, list[Any] | None]:
        """Every factor of a cell with its values, or None for a range."""
        return factor_values(self.space)

    @property
    def num_cells(self) -> int:
        """How many cells are drawn or asked for: `draws`, or all of a grid."""
        if not isinstance(self.search, Grid):
            return self.draws
        size = self.search.size(self.space)
        if self.draws not in (1, size):
            raise ValueError(f"draws = {self.draws}, but the grid has {size} cells: leave draws unset")
        return size

    @property
    def axis_arms(self) -> list[str]:
        """The arms of every axis by name, as `--arms` selects among them."""
        return [arm for axis in self.axes.values() for arm in axis]

    def in_order(self, arms: Iterable[str]) -> list[str]:
        """These arms of the axes in the order of their declaration; an unknown one raises with the nearest name."""
        asked = list(arms)
        for arm in asked:
            if arm not in self.axis_arms:
                raise misspelt(f"study {self.name!r}: arm", arm, self.axis_arms)
        return [arm for arm in self.axis_arms if arm in asked]

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
        arms: tuple[str, ...] | None = None,
        data_is_here: bool = True,
    ) -> Study:
        """This study at one preset, with the command line's changes; an unknown preset raises with the nearest name.

        `arms` are those that run, by default all that are not optional; an axis without any of them keeps its own.
        """
        from gansweep.data.sources import named

        if preset is not None and preset not in self.presets:
            raise misspelt("preset", preset, self.presets)
        chosen = self.presets[preset] if preset is not None else Preset(description="The study as declared.")
        baseline = override(self.baseline, chosen.overrides)
        if data is not None:
            size = getattr(baseline.data, "size", None)
            baseline = override(baseline, {"data": named(data, size=size, is_here=data_is_here)})
        selected = self._selected(arms)
        left_out = set(self.axis_arms) - {arm for axis in selected.values() for arm in axis}
        chosen = dataclasses.replace(chosen, arms={a: new for a, new in chosen.arms.items() if a not in left_out})
        axes = {
            axis: {arm: {**changes, **chosen.arms.get(arm, {})} for arm, changes in of_axis.items()}
            for axis, of_axis in selected.items()
        }
        combined = set(map("/".join, itertools.product(*axes.values())))
        return dataclasses.replace(
            self,
            baseline=baseline,
            axes=axes,
            optional_arms=(),
            labels={
                name: label for name, label in self.labels.items() if name not in left_out | set(self.arms) - combined
            },
            resources={arm: takes for arm, takes in self.resources.items() if arm in combined},
            space={**self.space, **chosen.space},
            draws=draws or chosen.draws or self.draws,
            repeats=chosen.repeats or self.repeats,
            metrics=chosen.metrics or self.metrics,
            rules=chosen.rules or self.rules,
            search=chosen.search or self.search,
            seed=self.seed if seed is None else seed,
            presets={preset: chosen} if preset is not None else {},
        )

    def _selected(self, arms: tuple[str, ...] | None) -> dict[str, Mapping[str, Mapping[str, Any]]]:
        """The axes with the arms that run, in the order of their declaration."""
        asked = self.in_order(arms or ())
        selected: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        for axis, of_axis in self.axes.items():
            usual = [arm for arm in of_axis if arm not in self.optional_arms]
            kept = [arm for arm in of_axis if arm in asked] or usual
            selected[axis] = {arm: of_axis[arm] for arm in kept}
        return selected

    def resolve(self, factors: Mapping[str, Any], arm: str, seed: int) -> TrialConfig:
        """The trial of one cell (its drawn values and seed) under one arm."""
        return self._resolve(self.arms[arm], fields_of(self.space, factors), seed)

    def _resolve(self, changes: Mapping[str, Any], drawn: Mapping[str, Any], seed: int) -> TrialConfig:
        return override(self.baseline, {**changes, **drawn, "seed": seed})

    def is_drawn(self, path: str) -> bool:
        """Whether a cell decides the field, or the part that it belongs to."""
        return path == "seed" or any(f"{path}.".startswith(f"{whole}.") for whole in field_paths(self.space))

    def baseline_fields(self) -> dict[str, Any]:
        """The baseline by dotted names, without what is drawn."""
        return {path: value for path, value in self.baseline.flat().items() if not self.is_drawn(path)}

    def arm_changes(self) -> dict[str, dict[str, Any]]:
        """Each arm by the dotted fields in which any arm differs from the baseline; None where it has no such field."""
        first = first_cell(self.space)
        fixed = {arm: self.resolve(first, arm, seed=0).flat() for arm in self.arms}
        baseline = self.baseline_fields()
        names = dict.fromkeys(name for fields in (baseline, *fixed.values()) for name in fields)
        changed = [
            name
            for name in names
            if not self.is_drawn(name) and len({repr(f.get(name)) for f in (baseline, *fixed.values())}) > 1
        ]
        return {arm: {name: fields.get(name) for name in changed} for arm, fields in fixed.items()}

    def block(self, factors: Mapping[str, Any], seed: int) -> dict[str, TrialConfig]:
        """The trials of one cell, by their arms."""
        drawn = fields_of(self.space, factors)
        return {arm: self._resolve(changes, drawn, seed) for arm, changes in self.arms.items()}

    def plan(self) -> Plan:
        """Draw the cells and freeze every trial; of a sequential search, the plan that has no trial yet."""
        return Plan.of(self)
