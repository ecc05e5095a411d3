"""Whether our results reproduce what the papers say: each claim judged by its own written agreement.

`judge(results)` gives a `Judgement` for every claim that the study can check, never fewer: what cannot be judged is
undecidable, and its evidence says why. The limits are those of `published.claims`, set before any result was judged by
them. At a reduced preset an agreement's words on absolute numbers are left out; orderings are judged at every preset.
"""

from __future__ import annotations

from collections.abc import Callable

from gansweep.comparing import CONTRADICTED, REPRODUCED, UNDECIDABLE, Answer, NotRecorded
from gansweep.evidence import Claim
from gansweep.judging import architectures, codings, toys
from gansweep.page import Results
from gansweep.parts import one_of, part
from gansweep.published import IDS_OF_STUDY, claims
from gansweep.published.claims import (
    CODINGS,
    CONVERGENCE,
    CRITIC_STEPS,
    DISTANCES,
    GRADIENTS_AND_WEIGHTS,
    MIXTURE,
    PENALTY_SIDES,
    RANDOM_ARCHITECTURES,
    VALUE_SURFACES,
    VARIED_ARCHITECTURES,
    WITHOUT_BATCH_NORM,
)

JUDGEMENTS = {
    REPRODUCED: "our result is what the claim says, by the agreement written down for it",
    CONTRADICTED: "our result is the opposite of what the claim says, by that agreement",
    UNDECIDABLE: "neither: too few runs, too small a scale, or what is needed is not recorded",
}

JUDGES: tuple[tuple[tuple[Claim, ...], tuple[Callable[[Results], Answer], ...]], ...] = (
    (
        RANDOM_ARCHITECTURES,
        (architectures.trains_many, architectures.hardly_only_gan, architectures.scores_higher),
    ),
    (PENALTY_SIDES, (architectures.sides_level,)),
    (VARIED_ARCHITECTURES, (architectures.only_wgan_gp_trains_all,)),
    (
        CONVERGENCE,
        (architectures.penalty_beats_clipping, architectures.adam_improves, architectures.slower_but_more_stable),
    ),
    (VALUE_SURFACES, (toys.simpler_surfaces,)),
    (GRADIENTS_AND_WEIGHTS, (toys.level_gradients, toys.weights_at_the_bounds)),
    (DISTANCES, (toys.closed_forms, toys.linear_critic)),
    (
        WITHOUT_BATCH_NORM,
        (
            codings.trains_more_often,
            codings.both_train,
            codings.both_collapse_slightly,
            codings.higher_without_any,
        ),
    ),
    (MIXTURE, (codings.covers_the_modes,)),
    (CODINGS, (codings.codings_alike, codings.pearson_better)),
    (CRITIC_STEPS, (architectures.five_are_enough, architectures.no_guarantee)),
)
JUDGE_OF = {claim: judge for group, judges in JUDGES for claim, judge in zip(group, judges, strict=True)}


@part
class Judgement:
    """What our result says of a claim: `judgement` is a key of `JUDGEMENTS`, `evidence` a sentence with the numbers.

    `preset` is the size at which it was judged; None for a study as it is declared.
    """

    claim: Claim
    judgement: str
    evidence: str
    preset: str | None

    def __post_init__(self) -> None:
        one_of(self, "judgement", JUDGEMENTS)


def judge(results: Results) -> tuple[Judgement, ...]:
    """A judgement for every claim that the study of these results can check; none for a study that checks none."""
    found = []
    for study in IDS_OF_STUDY.get(results.plan["study"], ()):
        for claim in claims(study):
            judgement, evidence = _answer(results, claim)
            found.append(Judgement(claim=claim, judgement=judgement, evidence=evidence, preset=results.plan["preset"]))
    return tuple(found)


def _answer(results: Results, claim: Claim) -> Answer:
    if not (results.trials["status"] == "done").any():
        return UNDECIDABLE, "No trial has ended."
    try:
        return JUDGE_OF[claim](results)
    except NotRecorded as why:
        return UNDECIDABLE, f"{str(why)[0].upper()}{str(why)[1:]}."
