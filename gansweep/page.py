"""The pieces of a page: what a section may hold, and how numbers are worded. No pandas and no Plotly at
import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gansweep.parts import part

if TYPE_CHECKING:
    import pandas as pd


class Results(Protocol):
    """What a report is made from.

    The design card, a row per planned trial, a row per trial and step, and samples.
    """

    @property
    def plan(self) -> Mapping[str, Any]:
        """The design card."""

    @property
    def trials(self) -> pd.DataFrame:
        """A row per planned trial, in plan order."""

    @property
    def steps(self) -> pd.DataFrame:
        """A row per trial and step."""

    @property
    def samples(self) -> Callable[[str], bytes | None]:
        """Trial id to the PNG of its last sample grid."""


@part
class Drawing:
    """A figure and the sentence that says in words what it shows."""

    figure: Any
    caption: str


@part
class Table:
    """A table as shown (text, the first column names the row) and its numbers, which may be downloaded."""

    shown: pd.DataFrame
    caption: str
    numbers: pd.DataFrame


@part
class Picture:
    """A PNG and what it shows."""

    png: bytes
    caption: str


@part
class Section:
    """One titled piece of a report: paragraphs, figures, tables and pictures, in this order."""

    title: str
    text: tuple[str, ...] = ()
    figures: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


def arm_labels(plan: Mapping[str, Any]) -> dict[str, str]:
    """What each arm is called in prose, by its name, in plan order."""
    return {name: str(arm.get("label", name)) for name, arm in plan["arms"].items()}
