"""The pieces of a page: what a section may hold, and how numbers are worded. No pandas and no Plotly at
import."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Mapping
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

    @property
    def portraits(self) -> Callable[[str, str], Mapping[str, Any]]:
        """Trial id and portrait to its arrays, see `records.Results`."""


@part
class Drawing:
    """A figure and the sentence that says in words what it shows."""

    figure: Any
    caption: str


@part
class Table:
    """A table as shown (text, the first column names the row) and its numbers, which may be downloaded.

    `trials` are (row, column, question) for the cells whose number can be opened as the trials behind it; the column ""
    stands for every cell of the row that has no question of its own. See `trials_of`.
    """

    shown: pd.DataFrame
    caption: str
    numbers: pd.DataFrame
    trials: tuple[tuple[int, str, str], ...] = ()


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


def trials_of(**asked: Any) -> str:
    """A question to a report's list of trials: every name must hold, of several values of one name any.

    Names: a column of the list (see `trial_list`) or a factor; `above` and `notabove`, a threshold of the final score;
    `outcome` (only_a, only_b, both, neither, unknown) with `pair` (two arms) and `threshold`. None leaves a name out.
    """
    told = [(name, one) for name, value in asked.items() for one in (value if isinstance(value, tuple) else (value,))]
    return urllib.parse.urlencode([(name, in_list(value)) for name, value in told if value is not None])


def in_list(value: Any) -> str:
    """A value as the list of trials writes it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def listed(names: Iterable[str]) -> str:
    """Names that may have commas in them as part of a sentence: A and B; A; B; and C."""
    first = list(names)
    last = first.pop()
    return f"{'; '.join(first)}{'; and' if len(first) > 1 else ' and' if first else ''} {last}".strip()


def arm_labels(plan: Mapping[str, Any]) -> dict[str, str]:
    """What each arm is called in prose, by its name, in plan order."""
    return {name: str(arm.get("label", name)) for name, arm in plan["arms"].items()}


def in_grid(plan: Mapping[str, Any]) -> bool:
    """Whether the cells are those of a grid: then they are all there are, and what is drawn at random is a seed."""
    return str(plan.get("search", {}).get("by", "")).startswith("Grid(")
