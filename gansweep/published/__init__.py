"""The papers' numbers as data, each with its source and its evidence tag; a module per paper.

A published number is shown beside ours and never mixed into our tables: it was made under another protocol. What is
only recalled is kept apart, as sentences (`recalled`), and is no fact. A name is that of its module and its constant,
"wgan_gp.table_5".
"""

from __future__ import annotations

from types import ModuleType
from typing import TypeVar

from gansweep.evidence import (
    STUDIES,
    Claim,
    Fact,
    Inconsistency,
    PublishedOutcomes,
    Recalled,
    Unstated,
)
from gansweep.parts import misspelt
from gansweep.published import (
    acgan,
    began,
    catgan,
    cgan,
    created_equal,
    documents,
    dragan,
    ebgan,
    gan,
    improved_gan,
    infogan,
    lsgan,
    ports,
    sgan,
    wgan,
    wgan_gp,
    wgan_gp_images,
    wgan_gp_toys,
)
from gansweep.published.claims import CLAIMS

__all__ = [
    "CLAIMS",
    "IDS_OF_STUDY",
    "OUTCOMES_OF_STUDY",
    "WGAN_GP_TABLE_5",
    "PublishedOutcomes",
    "claims",
    "fact",
    "facts",
    "inconsistencies",
    "outcomes",
    "recalled",
    "unstated",
]

T = TypeVar("T")

MODULES = (
    wgan_gp,
    wgan_gp_images,
    wgan_gp_toys,
    wgan,
    lsgan,
    dragan,
    ebgan,
    began,
    acgan,
    infogan,
    catgan,
    sgan,
    cgan,
    gan,
    improved_gan,
    created_equal,
    documents,
    ports,
)

WGAN_GP_TABLE_5 = wgan_gp.TABLE_5

OUTCOMES_OF_STUDY = {"arch_robustness": WGAN_GP_TABLE_5}

IDS_OF_STUDY = {
    "arch_robustness": ("S1",),
    "penalty": ("S2",),
    "clipping": ("S6",),
    "critic_steps": ("n_critic",),
    "lsgan_codings": ("S14", "S12"),
    "varied_architectures": ("S3",),
    "value_surfaces": ("S5",),
    "mixture_collapse": ("S13",),
    "distances": ("S9", "S10"),
    "convergence": ("S4",),
}


def _named(module: ModuleType, kind: type[T]) -> dict[str, T]:
    paper = module.__name__.rpartition(".")[2]
    return {f"{paper}.{name.lower()}": value for name, value in vars(module).items() if isinstance(value, kind)}


def _all(kind: type[T]) -> dict[str, T]:
    return {name: value for module in MODULES for name, value in _named(module, kind).items()}


def facts() -> dict[str, Fact]:
    """Every published value, table and finding by its name. Nothing recalled is among them."""
    return _all(Fact)


def fact(name: str) -> Fact:
    """The published fact called `name`; an unknown name is a `ValueError` with the nearest one."""
    every = facts()
    if name not in every:
        raise misspelt("published fact", name, every)
    return every[name]


def recalled() -> dict[str, Recalled]:
    """What was only recalled, by its name: sentences to check, which are never shown as facts."""
    return _all(Recalled)


def unstated() -> dict[str, Unstated]:
    """What the sources do not state, by its name: the free choices of a reproduction."""
    return _all(Unstated)


def inconsistencies(study: str | None = None) -> dict[str, Inconsistency]:
    """Where sources disagree, by its name: all of them, or those that matter to the study with this id."""
    if study is not None and study not in STUDIES:
        raise misspelt("study", study, STUDIES)
    return {name: found for name, found in _all(Inconsistency).items() if study is None or study in found.studies}


def claims(study: str) -> tuple[Claim, ...]:
    """The claims that the study with this id ("S1") can check, none if nothing is written down for it."""
    if study not in STUDIES:
        raise misspelt("study", study, STUDIES)
    return tuple(claim for claim in CLAIMS if claim.study == study)


def outcomes(study: str, arms: tuple[str, ...], score: str) -> PublishedOutcomes | None:
    """The outcome table that `study` re-makes, or None if there is none or it is of other arms or another score."""
    found = OUTCOMES_OF_STUDY.get(study)
    if found is None or found.score != score or not {found.arm_a, found.arm_b} <= set(arms):
        return None
    return found
