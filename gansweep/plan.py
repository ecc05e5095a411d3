"""A plan is the ordered, frozen list of a study's trials: its cells drawn and numbered, and each block seeded.

What a trial of a cell and an arm is, the study says (`Study.block`); which of them there must be, the plan says.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gansweep.parts import Known, canonical, content_id, describe, part
from gansweep.randomness import derive_seed
from gansweep.space import corners
from gansweep.trial import TrialConfig

if TYPE_CHECKING:
    from gansweep.study import Study

UNDRAWN = "undrawn-"  # begins the placeholder of a trial whose candidate is not asked for yet
# how a study is shown, where it runs and what of it runs unasked: it changes no number
NOT_THE_DESIGN = ("labels", "caveats", "report", "presets", "question", "source", "resources", "optional_arms")


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
class Plan:
    """Every trial that must exist, in the order in which they start: block by block, arm by arm.

    The plan of a sequential search holds the trials of the candidates that were asked for so far.
    """

    study: Study
    trials: tuple[PlannedTrial, ...]

    def __post_init__(self) -> None:
        repeated = len(self.trials) - len({trial.id for trial in self.trials})
        assert not repeated, f"{repeated} trials of the plan share an id"

    @classmethod
    def of(cls, study: Study) -> Plan:
        """Draw the cells of a study and freeze every trial; a sequential search has none yet."""
        from gansweep.search import draw_cells

        if study.search.sequential:
            return cls(study=study, trials=())
        if study.num_cells > study.space_size:
            raise ValueError(
                f"draws = {study.draws} is more than the {study.space_size:.0f} different cells of the space"
            )
        drawn = draw_cells(study.space, study.num_cells, seed=study.seed, search=study.search)
        # what is resampled is a cell: a draw with all its seeds, or, where there is one draw only, a seed
        num_cells = len(drawn) if len(drawn) > 1 else study.repeats
        known = canonical([study.baseline, study.axes])
        trials: list[PlannedTrial] = []
        for (draw, factors), repeat in itertools.product(enumerate(drawn), range(study.repeats)):
            number = draw if len(drawn) > 1 else repeat
            # the first has the seed it would have alone, so that further repeats can be added
            seed = derive_seed(study.seed, "cell", content_id(factors), *([repeat] if repeat else []), bits=31)
            trials += _block(study, _cell_name(number, num_cells), factors, seed, len(trials), known)
        return cls(study=study, trials=tuple(trials))

    def __iter__(self) -> Iterator[PlannedTrial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def __add__(self, trials: tuple[PlannedTrial, ...]) -> Plan:
        """The plan with the trials of another candidate."""
        return Plan(study=self.study, trials=(*self.trials, *trials))

    @property
    def num_planned(self) -> int:
        """How many trials there will be."""
        study = self.study
        return study.num_cells * study.repeats * len(study.arms) if study.search.sequential else len(self)

    def candidate(self, number: int, factors: Mapping[str, Any], occurrence: int = 0) -> tuple[PlannedTrial, ...]:
        """The trials of a sequential search's candidate, seed by seed.

        Every candidate has the same seeds, so that candidates can be compared seed by seed; one that was asked for
        before (`occurrence` times) has further ones, because the same trial again would say nothing new.
        """
        study, trials = self.study, []
        for repeat, seed in enumerate(self.candidate_seeds(occurrence)):
            position = (number * study.repeats + repeat) * len(study.arms)
            trials += _block(study, _cell_name(number, study.num_cells), factors, seed, position)
        return tuple(trials)

    def candidate_seeds(self, occurrence: int = 0) -> list[int]:
        """The seeds of a candidate's trials."""
        study = self.study
        first = occurrence * study.repeats
        return [derive_seed(study.seed, "candidate", n, bits=31) for n in range(first, first + study.repeats)]

    def examples(self) -> Plan:
        """What is checked and prepared before anything runs: the plan, or trials in which all that may be drawn is."""
        if not self.study.search.sequential:
            return self
        tried = {trial.id: trial for cell in corners(self.study.space) for trial in self.candidate(0, cell)}
        return Plan(study=self.study, trials=tuple(tried.values()))

    def slots(self) -> list[dict[str, Any]]:
        """Every trial as the records name it; one whose candidate is not asked for yet has a placeholder for an id."""
        slots: dict[int, dict[str, Any]] = {}
        study = self.study
        for cell in range(study.num_cells if study.search.sequential else 0):
            for repeat, seed in enumerate(self.candidate_seeds()):
                for number, arm in enumerate(study.arms):
                    position = (cell * study.repeats + repeat) * len(study.arms) + number
                    slots[position] = {
                        "trial": f"{UNDRAWN}{position}",
                        "cell": _cell_name(cell, study.num_cells),
                        "arm": arm,
                        "seed": seed,
                        "position": position,
                        "factors": {},
                    }
        for trial in self:
            slots[trial.position] = {
                "trial": trial.id,
                "cell": trial.cell,
                "arm": trial.arm,
                "seed": trial.config.seed,
                "position": trial.position,
                "factors": dict(trial.factors),
            }
        return [slots[position] for position in sorted(slots)]

    def design(self) -> dict[str, Any]:
        """What the design hash covers: everything that was declared, and nothing of how it is shown."""
        described = {key: value for key, value in describe(self.study).items() if key not in NOT_THE_DESIGN}
        if not self.study.portraits:
            del described["portraits"]  # a study without any has the design that it had before there were any
        return described


def _block(
    study: Study, cell: str, factors: Mapping[str, Any], seed: int, position: int, known: Known | None = None
) -> list[PlannedTrial]:
    """The trials of one cell under every arm, the first at this position of the plan."""
    return [
        PlannedTrial(
            id=content_id(config, known=known),
            cell=cell,
            arm=arm,
            position=position + number,
            factors=factors,
            config=config,
        )
        for number, (arm, config) in enumerate(study.block(factors, seed).items())
    ]


def _cell_name(number: int, num_cells: int) -> str:
    return f"c{number:0{max(3, len(str(num_cells - 1)))}d}"
