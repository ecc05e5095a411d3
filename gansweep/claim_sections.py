"""What a report says of the papers: each claim with our judgement, where sources disagree, and what they leave open.

Nothing that was only recalled is shown as a number or a fact; see `evidence`. No pandas before something is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gansweep.evidence import RECALLED_TAGS, UNSTATED_TAG, Claim, Fact, Finding, PublishedOutcomes, PublishedTable
from gansweep.page import Results, Section, Table, arm_labels
from gansweep.parts import part
from gansweep.sections import nothing

NO_CLAIM = "Nothing to show: no published claim is written down for this study."
AGREEMENTS = (
    "Each is judged by a written agreement, whose limits were set before any result unless it is said here that they "
    "were changed."
)
REDUCED = (
    "At this reduced preset only orderings are judged, and what has a closed form; no number here is held against a "
    "published score."
)


def ids_of(results: Results) -> tuple[str, ...]:
    """The ids of the catalogue that the study of these results answers; none for a study of our own."""
    from gansweep.published import IDS_OF_STUDY

    return IDS_OF_STUDY.get(results.plan["study"], ())


def paper_says(claim: Claim) -> str:
    """The published numbers and findings behind a claim, each with its source and tag; what is recalled says so."""
    told = [f"{_fact(fact)} ({fact.source})" for fact in claim.rests_on]
    told += [
        f"The outcome itself is only recalled [{one.tag}] and not verified ({one.about})" for one in claim.recalled
    ]
    return "; ".join(told)


def _fact(fact: Fact) -> str:
    if isinstance(fact, PublishedOutcomes | PublishedTable):
        return fact.title
    return str(fact) if isinstance(fact, Finding) else f"{fact}: {fact.what}"  # type: ignore[attr-defined]


@part
class Claims:
    """Every claim of the papers that the study can check: what the paper says, what ours shows, and the judgement."""

    title: str = "The papers' claims, and what we found"

    def render(self, results: Results) -> Section:
        """A sentence that counts the judgements, and a table with a row per claim."""
        import pandas as pd

        from gansweep import judging

        found = judging.judge(results)
        if not found:
            return nothing(self.title, NO_CLAIM)
        rows = claim_rows(found)
        counts = {name: sum(one.judgement == name for one in found) for name in judging.JUDGEMENTS}
        preset = f"at the preset {results.plan['preset']}" if results.plan["preset"] else "as it is declared"
        text = [
            f"Of {len(found)} claims, judged {preset}: "
            + ", ".join(f"{count} {name}" for name, count in counts.items())
            + f". {AGREEMENTS} The agreements stand in the file gansweep/published/claims.py; the tags in brackets say "
            "how a published fact is known.",
            *amendments(found),
        ]
        if results.plan["preset"] not in (None, "paper"):
            text.append(REDUCED)
        if unsure := sum(not one.claim.verified for one in found):
            text.append(
                f"The outcome of {unsure} of them is only recalled, not read: such a claim is no published fact, "
                "and its judgement says what ours shows of the sentence."
            )
        shown = pd.DataFrame(rows)
        asked = [
            {
                "claim": one.claim.sentence,
                "reproduced if": one.claim.agreement.reproduced,
                "contradicted if": one.claim.agreement.contradicted,
                "undecidable if": one.claim.agreement.undecidable,
            }
            for one in found
        ]
        agreements = pd.DataFrame(asked)
        return Section(
            title=self.title,
            text=tuple(text),
            tables=(
                Table(shown=shown, caption="Each claim, the paper's evidence, ours, and the judgement.", numbers=shown),
                Table(shown=agreements, caption="What each judgement asks for.", numbers=agreements),
            ),
        )


def amendments(judged: Iterable[object]) -> list[str]:
    """A paragraph for each of these `judging.Judgement`s whose agreement was changed after a result had been seen."""
    claims = [one.claim for one in judged]  # type: ignore[attr-defined]
    return [
        f"The agreement on “{claim.sentence}” was changed after a result had been seen. {claim.agreement.amended}"
        for claim in claims
        if claim.agreement.amended
    ]


def claim_rows(judged: Iterable[object]) -> list[dict[str, str]]:
    """A row per `judging.Judgement` as it is shown: claim, judgement, ours, the paper."""
    return [
        {
            "claim": str(one.claim),  # type: ignore[attr-defined]
            "judgement": one.judgement,  # type: ignore[attr-defined]
            "ours": one.evidence,  # type: ignore[attr-defined]
            "the paper": paper_says(one.claim),  # type: ignore[attr-defined]
        }
        for one in judged
    ]


@part
class PublishedNumbers:
    """The published tables and values behind the study's claims as printed, and where their sources disagree."""

    title: str = "What was published"

    def render(self, results: Results) -> Section:
        """A table of the values, each published table, and one of the inconsistencies."""
        from gansweep import published
        from gansweep.evidence import KINDS, Value

        ids = ids_of(results)
        facts = dict.fromkeys(fact for study in ids for claim in published.claims(study) for fact in claim.rests_on)
        clashes = {n: one for study in ids for n, one in published.inconsistencies(study).items()}
        if not facts and not clashes:
            return nothing(self.title, NO_CLAIM)
        tables = []
        values = [fact for fact in facts if isinstance(fact, Value)]
        if values:
            rows = [{"what": one.what, "value": str(one), "source": one.source} for one in values]
            tables.append(_plain_table(rows, "Published values, as printed or derived."))
        labels = arm_labels(results.plan)
        tables += [_published(fact, labels) for fact in facts if isinstance(fact, PublishedTable | PublishedOutcomes)]
        if clashes:
            rows = [
                {
                    "who disagrees": KINDS[one.kind],
                    "where": one.line,
                    "readings": "; ".join(f"{_fact(reading)} ({reading.source})" for reading in one.readings),
                }
                for one in clashes.values()
            ]
            tables.append(_plain_table(rows, "Where sources disagree with each other or with themselves."))
        text = (
            "These numbers were made under the protocols of their papers and are never mixed into ours: compare the "
            "pattern. In brackets behind each source stands how it is known: "
            + "; ".join(f"{tag}, {told}" for tag, told in _tags_of([*facts, *_readings(clashes.values())]).items())
            + ".",
        )
        findings = tuple(f"{fact} ({fact.source})" for fact in facts if isinstance(fact, Finding))
        return Section(title=self.title, text=text + findings, tables=tuple(tables))


def _readings(clashes: Iterable[object]) -> list[Fact]:
    return [reading for one in clashes for reading in one.readings]  # type: ignore[attr-defined]


def _tags_of(facts: Iterable[Fact]) -> dict[str, str]:
    from gansweep.evidence import TAGS

    used = {tag for fact in facts for tag in fact.tags}
    return {tag: told for tag, told in TAGS.items() if tag in used}


def _plain_table(rows: list[dict[str, str]], caption: str) -> Table:
    import pandas as pd

    frame = pd.DataFrame(rows)
    return Table(shown=frame, caption=caption, numbers=frame)


def _published(fact: PublishedTable | PublishedOutcomes, labels: Mapping[str, str]) -> Table:
    """The table with our names for its arms."""
    numbers = fact.frame()
    names = {name: name.replace("_", " ") for name in map(str, numbers.columns)}
    if isinstance(fact, PublishedOutcomes):
        for end, arm in (("a", fact.arm_a), ("b", fact.arm_b)):
            told = labels.get(arm, arm)
            names |= {f"only_{end}": f"only {told}", f"success_{end}": f"{told} succeeds"}
    shown = numbers.replace({"arm": dict(labels)}).astype(object).map(_cell).rename(columns=names)
    note = getattr(fact, "note", "")
    protocol = f" Protocol: {fact.protocol}." if fact.protocol else ""
    return Table(
        shown=shown, caption=f"{fact.title} ({fact.source}).{protocol}{' ' + note if note else ''}", numbers=numbers
    )


def _cell(value: object) -> str:
    if value is None or value != value:
        return "—"
    return f"{value:g}" if isinstance(value, float) else str(value)


@part
class FreeChoices:
    """What the sources of the study do not state, so that it had to be chosen, and what is only recalled of them."""

    title: str = "What the papers do not say"

    def render(self, results: Results) -> Section:
        """A table of what is not stated; recalled sentences are counted and named, never quoted as facts."""
        from gansweep import published
        from gansweep.evidence import SOURCES

        ids = set(ids_of(results))
        if not ids:
            return nothing(self.title, NO_CLAIM)
        open_ones = [one for one in published.unstated().values() if ids & set(one.studies)]
        recalled = [one for one in published.recalled().values() if ids & set(one.studies)]
        rows = [
            {"not stated": one.what, "by": SOURCES[one.source] + (f", {one.where}" if one.where else "")}
            for one in open_ones
        ]
        told = (
            f"What a source leaves open [{UNSTATED_TAG}] is a free choice of ours. The "
            "configuration and the caveats of this study record each one.",
        )
        unsure = tuple(
            f"Not verified [{one.tag}: {RECALLED_TAGS[one.tag]}], so no number of it is shown: {one.about}."
            for one in recalled
        )
        if not rows:
            return Section(title=self.title, text=("Nothing is known that the sources leave open.", *unsure))
        return Section(
            title=self.title, text=told + unsure, tables=(_plain_table(rows, "What the sources do not state."),)
        )
