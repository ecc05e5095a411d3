"""The papers' numbers as data, each with its source and its evidence tag.

Tags: `P` read in the paper's own text, `D` derived from such numbers here. Nothing recalled from memory is
kept here. A published number is shown beside ours and never mixed into our tables: it was made under another
protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gansweep.parts import misspelt, one_of, part

if TYPE_CHECKING:
    import pandas as pd

TAGS = ("P", "D")


@part
class Published:
    """One published number: its value, what it is, where it stands and its evidence tag."""

    value: float
    what: str
    source: str
    tag: str

    def __post_init__(self) -> None:
        one_of(self, "tag", TAGS)


@part
class PublishedOutcomes:
    """A published outcome table of two arms on the same cells, one row per threshold.

    `rows` holds (threshold, only A, only B, both, neither); a trial succeeds where its score is strictly
    above the threshold. Raises `ValueError` if a row does not add up to `cells`.
    """

    title: str
    arm_a: str
    arm_b: str
    score: str
    cells: int
    rows: tuple[tuple[float, int, int, int, int], ...]
    protocol: str
    source: str
    tag: str

    def __post_init__(self) -> None:
        one_of(self, "tag", TAGS)
        for threshold, *outcome in self.rows:
            if sum(outcome) != self.cells:
                raise ValueError(f"the outcomes at {threshold} add up to {sum(outcome)}, not {self.cells}")

    def frame(self) -> pd.DataFrame:
        """Columns threshold, only_a, only_b, both, neither, planned; derived: success_a, success_b."""
        import pandas as pd

        frame = pd.DataFrame(self.rows, columns=["threshold", "only_a", "only_b", "both", "neither"])
        return frame.assign(
            success_a=frame["only_a"] + frame["both"],
            success_b=frame["only_b"] + frame["both"],
            planned=self.cells,
        )

    def survival(self) -> pd.DataFrame:
        """Columns arm, threshold, rate: the derived share of cells whose score is above each threshold."""
        import pandas as pd

        frame = self.frame()
        arms = [
            pd.DataFrame({"arm": arm, "threshold": frame["threshold"], "rate": frame[column] / self.cells})
            for arm, column in ((self.arm_a, "success_a"), (self.arm_b, "success_b"))
        ]
        return pd.concat(arms, ignore_index=True)


WGAN_GP = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv 1704.00028v3"

WGAN_GP_TABLE_5 = PublishedOutcomes(
    title="WGAN-GP paper, table 5",
    arm_a="gan",
    arm_b="wgan_gp",
    score="inception_score",
    cells=200,
    rows=(
        (1.0, 0, 8, 192, 0),
        (1.5, 0, 50, 150, 0),
        (2.0, 0, 60, 140, 0),
        (2.5, 0, 74, 125, 1),
        (3.0, 1, 88, 110, 1),
        (3.5, 0, 111, 86, 3),
        (4.0, 1, 126, 67, 6),
        (4.5, 0, 136, 55, 9),
        (5.0, 0, 147, 42, 11),
        (5.5, 0, 148, 32, 20),
        (6.0, 0, 145, 21, 34),
        (6.5, 1, 131, 11, 57),
        (7.0, 1, 104, 5, 90),
        (7.5, 2, 67, 3, 128),
        (8.0, 1, 34, 0, 165),
        (8.5, 0, 6, 0, 194),
        (9.0, 0, 0, 0, 200),
    ),
    protocol="32x32 ImageNet, 100,000 generator iterations",
    source=f"{WGAN_GP}, table 5 (table 2 is its subset at 1, 3, 5, 7, 9)",
    tag="P",
)

NUMBERS = {
    "wgan_gp.set_size": Published(
        value=9216, what="architectures in the set of table 1", source=f"{WGAN_GP}, table 1", tag="D"
    ),
    "wgan_gp.drawn": Published(
        value=200, what="architectures drawn from the set", source=f"{WGAN_GP}, section 5.1", tag="P"
    ),
    "wgan_gp.reference_score": Published(
        value=7.24, what="Inception Score of the standard DCGAN", source=f"{WGAN_GP}, section 5.1", tag="P"
    ),
    "wgan_gp.two_sided_better": Published(
        value=100,
        what="architectures of 174 better with the two-sided penalty (100 + 77 is not 174: the paper's own)",
        source=f"{WGAN_GP}, app. C",
        tag="P",
    ),
    "wgan_gp.one_sided_better": Published(
        value=77,
        what="architectures of 174 better with the one-sided penalty (100 + 77 is not 174: the paper's own)",
        source=f"{WGAN_GP}, app. C",
        tag="P",
    ),
}

OUTCOMES_OF_STUDY = {"arch_robustness": WGAN_GP_TABLE_5}


def number(name: str) -> Published:
    """The published number called `name`; an unknown name is a `ValueError` with the nearest one."""
    if name not in NUMBERS:
        raise misspelt("published number", name, NUMBERS)
    return NUMBERS[name]


def outcomes(study: str, arms: tuple[str, ...], score: str) -> PublishedOutcomes | None:
    """The outcome table that `study` re-makes, or None if there is none or it is of other arms or another score."""
    found = OUTCOMES_OF_STUDY.get(study)
    if found is None or found.score != score or not {found.arm_a, found.arm_b} <= set(arms):
        return None
    return found
