"""What a published number is: its value, where it was read, and how it is known.

A `Fact` carries evidence: a tag and a source of the register. What was only recalled from memory is a `Recalled`, which
is a sentence and nothing else: it has no value, no frame and no evidence, and no fact can be made from its tags. So
what is drawn or counted was read or derived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gansweep.parts import misspelt, one_of, part

if TYPE_CHECKING:
    import pandas as pd

Cell = str | float | int | bool | None

TAGS = {
    "P": "read in the paper's own text",
    "C": "read in the reference code, at the commit that is named",
    "S": "said by a founding document of this project; not confirmed unless another tag stands beside it",
    "X": "read in a secondary source: another paper's table, a README, a blog",
    "D": "derived or computed from the source",
}
RECALLED_TAGS = {
    "R": "recalled, not verified: a hypothesis",
    "R-hi": "recalled with high confidence, not verified: a hypothesis",
    "R-lo": "recalled with low confidence, not verified: a hypothesis",
}
STUDIES = {  # the catalogue of studies, by the ids that claims and notes name
    "S1": "WGAN-GP: random architectures",
    "S2": "WGAN-GP: one- and two-sided penalty",
    "S3": "WGAN-GP: varied architectures",
    "S4": "WGAN-GP: curves of the Inception Score",
    "S5": "WGAN-GP: value surfaces",
    "S6": "WGAN-GP: gradient norms and histograms of weights",
    "S7": "WGAN-GP: character model",
    "S8": "WGAN-GP: overfitting",
    "S9": "WGAN: distances",
    "S10": "WGAN: two Gaussians",
    "S11": "WGAN: robustness to the architecture",
    "S12": "LSGAN: without batch norm",
    "S13": "LSGAN: mixture of Gaussians",
    "S14": "LSGAN: codings",
    "S15": "LSGAN: many classes",
    "S16": "DRAGAN: form of the noise, lambda, c",
    "S17": "DRAGAN: BogoNet",
    "S18": "EBGAN: grid search",
    "S19": "EBGAN: margin and pulling-away term; BEGAN: gamma",
    "S20": "InfoGAN: mutual information and categories",
    "S21": "CatGAN and SGAN: budgets of labels",
    "S22": "Lucic et al.: budgets of the search",
    "n_critic": "critic steps per generator step",
}
UNSTATED_TAG = "∅"  # the source does not state it: a free choice

SOURCES = {
    "wgangp": "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv 1704.00028v3",
    "wgan": "Arjovsky et al. 2017, Wasserstein GAN (sections 2 to 5)",
    "wgan-alg": "Arjovsky et al. 2017, Wasserstein GAN, Algorithm 1",
    "ebgan": "Zhao et al. 2016, Energy-based Generative Adversarial Network, arXiv 1609.03126 (2016 version)",
    "acgan": "Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, arXiv 1610.09585 "
    "(version submitted to ICLR 2017)",
    "sgan": "Odena 2016, Semi-Supervised Learning with Generative Adversarial Networks, arXiv 1606.01583",
    "cgan": "Mirza and Osindero 2014, Conditional Generative Adversarial Nets, arXiv 1411.1784",
    "infogan-p": "Chen et al. 2016, InfoGAN, arXiv 1606.03657",
    "impgan": "Salimans et al. 2016, Improved Techniques for Training GANs, arXiv 1606.03498",
    "lsgan-digest": "a third party's digest of Mao et al., Least Squares GANs, arXiv 1611.04076",
    "blog001": "the later version of founding document 001 (Korean)",
    "pa-table": "the table of best FIDs of Lucic et al., Are GANs Created Equal?, as one paper reprints it",
    "2svae-table": "the table of best FIDs of Lucic et al., Are GANs Created Equal?, as a second paper reprints it",
    "began-x": "theaisummer, section on BEGAN",
    "dragan-readme": "the DRAGAN author's README, version of mid-2017",
    "tpami-abs": "abstract of the journal version of Least Squares GANs (TPAMI), arXiv 1712.06391",
    "is29": "openai/improved-gan, issue 29 (Barratt)",
    "iwt": "code: igul222/improved_wgan_training @ fa66c574 (2017-06-22)",
    "nn": "code: igul222/nn @ d54aafd2 (2017-05-18), the first author's own repository",
    "wgan-c": "code: martinarjovsky/WassersteinGAN @ f7a01e82",
    "dragan-c": "code: kodalinaveen3/DRAGAN @ 5cf95ab3 (notebook)",
    "dragan-t": "code: jfsantos/dragan-pytorch @ c7f78a0d",
    "lsgan": "code: xudonmao/LSGAN @ 3b13d36e",
    "lsgan2": "code: xudonmao/improved_LSGAN @ d49c604",
    "is-c": "code: openai/improved-gan @ 4f5d1ec5",
    "infogan-c": "code: openai/InfoGAN @ 6e412323",
    "began-c": "code: carpedm20/BEGAN-tensorflow @ 722b3f1a",
    "cmp": "code: google/compare_gan v1.0 @ d6c5976, the code of Lucic et al., Are GANs Created Equal?",
    "catgan": "code: xinario/catgan_pytorch @ a02c67b",
    "unrolled": "code: poolio/unrolled_gan @ 67e2c7a",
    "veegan": "code: akashgit/VEEGAN @ 77ec74e",
    "tvi": "code: t-vi/pytorch-tvmisc @ 1807838",
    "erik": "code: eriklindernoren/PyTorch-GAN @ 36d3c77e",
    "znx": "code: znxlwm collections @ 0d183bb5",
    "cao": "code: caogang/wgan-gp @ ae47a185",
    # the founding documents, and sources that the literature notes name in passing
    "000": "founding document 000 (GAN, CGAN, LSGAN, ACGAN)",
    "001": "founding document 001 (CatGAN, SGAN, LSGAN, WGAN, WGAN-GP, DRAGAN)",
    "002": "founding document 002 (LSGAN)",
    "003": "founding document 003 (LSGAN, WGAN)",
    "004": "founding document 004 (WGAN-GP)",
    "lucic-x": "secondary sources on Lucic et al., Are GANs Created Equal?",
    "klory": "a README by klory on the Inception Score",
    "casia": "a reader for the CASIA data sets",
    "dragan-port": "a library's port of DRAGAN that cites the paper",
    "mescheder-abs": "abstract of Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?",
    "tf-rmsprop": "tensorflow.org on RMSProp, and RMSpropTF of timm",
}

KINDS = {  # of inconsistencies: who disagrees
    "paper": "a paper with itself",
    "papers": "two papers, or two reprints, with each other",
    "paper and code": "a paper with its released code",
    "code": "code with itself, or with what it was meant to do",
    "document": "a founding document of this project with the source it describes",
}


@part
class Evidence:
    """How a fact is known: the tag, the source (a key of `SOURCES`) and the place in it.

    Where the tag is D, the source is what the fact was derived from. A recalled tag is a `ValueError`.
    """

    tag: str
    source: str
    where: str = ""

    def __post_init__(self) -> None:
        if self.tag in RECALLED_TAGS:
            raise ValueError(f"{self.tag} is no evidence: what is recalled is kept as Recalled, which nothing draws")
        one_of(self, "tag", TAGS)
        if self.source not in SOURCES:
            raise misspelt("source", self.source, SOURCES)

    def __str__(self) -> str:
        place = f", {self.where}" if self.where else ""
        return f"{SOURCES[self.source]}{place} [{self.tag}]"


def known(by: str, where: str = "") -> tuple[Evidence, ...]:
    """The evidence "TAG:SOURCE" at a place in the source; add several with +."""
    tag, _, source = by.partition(":")
    return (Evidence(tag=tag, source=source, where=where),)


@part
class Fact:
    """What was read or derived: at least one piece of evidence, and the protocol that it was made under."""

    evidence: tuple[Evidence, ...]
    protocol: str = ""

    def __post_init__(self) -> None:
        if not self.evidence or not all(isinstance(e, Evidence) for e in self.evidence):
            raise ValueError(f"a {type(self).__name__} needs evidence, and has {self.evidence!r}")

    @property
    def source(self) -> str:
        """Where it was read, with the tags."""
        return "; ".join(str(e) for e in self.evidence)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag of each piece of evidence."""
        return tuple(e.tag for e in self.evidence)


@part
class Value(Fact):
    """One number: `what` it is, its unit ("%", "" for none), and the spread printed behind ± if there is one."""

    value: float
    what: str
    unit: str = ""
    spread: float | None = None

    def __str__(self) -> str:
        """The number as it is printed: "8.42 ± 0.10"."""
        if self.spread is None:
            return f"{self.value!r}{self.unit}"
        digits = max(_decimals(self.value), _decimals(self.spread))
        return f"{self.value:.{digits}f} ± {self.spread:.{digits}f}{self.unit}"


def _decimals(number: float) -> int:
    return len(str(number).partition(".")[2])


@part
class Finding(Fact):
    """A result or a description without a number of its own, in our words."""

    text: str

    def __str__(self) -> str:
        return self.text


@part
class PublishedTable(Fact):
    """A table: named columns, and a tuple for each row. Raises `ValueError` if a row has another length."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"a column of {self.title!r} is there twice: {', '.join(self.columns)}")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{row!r} of {self.title!r} has {len(row)} cells, not {len(self.columns)}")

    def frame(self) -> pd.DataFrame:
        """A row per row and a column per name in `columns`."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(self.columns))

    def row(self, name: str) -> dict[str, Cell]:
        """The row whose first cell is `name`, by column; an unknown name is a `ValueError` with the nearest one."""
        found = {str(row[0]): row for row in self.rows}
        if name not in found:
            raise misspelt(f"row of {self.title!r}", name, found)
        return dict(zip(self.columns, found[name], strict=True))


@part
class PublishedOutcomes(Fact):
    """An outcome table of two arms on the same cells, one row per threshold.

    `rows` holds (threshold, only A, only B, both, neither); a trial succeeds where its score is strictly
    above the threshold. Raises `ValueError` if a row does not add up to `cells`.
    """

    title: str
    arm_a: str
    arm_b: str
    score: str
    cells: int
    rows: tuple[tuple[float, int, int, int, int], ...]

    def __post_init__(self) -> None:
        super().__post_init__()
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


def _of_studies(ids: tuple[str, ...]) -> None:
    for study in ids:
        if study not in STUDIES:
            raise misspelt("study", study, STUDIES)


@part
class Inconsistency:
    """Where sources disagree with each other or with themselves.

    `line` is one sentence for a report; `readings` are what each side says; `kind` tells who disagrees; `studies` are
    the ids of the studies where it matters.
    """

    line: str
    readings: tuple[Fact, ...]
    kind: str
    studies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of(self, "kind", KINDS)
        _of_studies(self.studies)
        if not self.readings or not all(isinstance(r, Fact) for r in self.readings):
            raise ValueError(f"the readings of {self.line!r} must be facts")


@part
class Recalled:
    """What was recalled and never verified: a sentence, whose text says so. There is no number to draw.

    `about` names the paper and the place where it should be found.
    """

    text: str
    about: str
    tag: str
    studies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of(self, "tag", RECALLED_TAGS)
        _of_studies(self.studies)

    def __str__(self) -> str:
        return f"[{self.tag}, {RECALLED_TAGS[self.tag]}] {self.text} ({self.about})"


@part
class Unstated:
    """What a source does not state: a free choice, which a study must record."""

    what: str
    source: str
    where: str = ""
    studies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise misspelt("source", self.source, SOURCES)
        _of_studies(self.studies)

    def __str__(self) -> str:
        place = f", {self.where}" if self.where else ""
        return f"[{UNSTATED_TAG}] {self.what}: not stated ({SOURCES[self.source]}{place})"


@part
class Agreement:
    """What our result must show for each judgement of a claim, in words.

    `amended` says when and why it was changed after a result had been seen; empty where it never was.
    """

    reproduced: str
    contradicted: str
    undecidable: str
    amended: str = ""


@part
class Claim:
    """What a paper says that one of our studies can check.

    `study` is the id of the study; `rests_on` are the published facts behind the sentence. A claim whose outcome is
    only recalled says so in `recalled`, and is then no published fact that ours could reproduce.
    """

    study: str
    sentence: str
    rests_on: tuple[Fact, ...]
    agreement: Agreement
    recalled: tuple[Recalled, ...] = ()

    def __post_init__(self) -> None:
        one_of(self, "study", STUDIES)
        if not all(isinstance(fact, Fact) for fact in self.rests_on):
            raise ValueError(f"the claim {self.sentence!r} can only rest on facts")
        if not all(isinstance(r, Recalled) for r in self.recalled):
            raise ValueError(f"what is recalled of the claim {self.sentence!r} must be Recalled")
        if not self.rests_on and not self.recalled:
            raise ValueError(f"the claim {self.sentence!r} rests on nothing")

    @property
    def verified(self) -> bool:
        """Whether the published outcome was read: nothing of it is only recalled."""
        return not self.recalled

    def __str__(self) -> str:
        return self.sentence if self.verified else f"[recalled, not verified] {self.sentence}"
