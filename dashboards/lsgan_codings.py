"""The page of `lsgan_codings`.

Which coding should LSGAN have, and does it need batch normalisation less than the GAN does?

Serve it with: gansweep dashboard dashboards/lsgan_codings.py
"""

from gansweep import (
    Audit,
    Claims,
    Confounders,
    FactorEffects,
    FreeChoices,
    Interactions,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    Power,
    PublishedNumbers,
    Ranking,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Stability,
    Survival,
)

title = "LSGAN codings"


sections = (
    Claims(),
    OutcomeTable(),
    Survival(),
    Ranking(),
    PairedScores(),
    FactorEffects(threshold=2.0),
    Interactions(threshold=2.0),
    SeedVariance(),
    Power(threshold=2.0),
    ScoreCurves(),
    Stability(),
    SampleGrids(per_arm=3),
    OutcomeFlow(),
    Audit(),
    Confounders(),
    PublishedNumbers(),
    FreeChoices(),
)
