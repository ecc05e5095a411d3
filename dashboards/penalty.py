"""The page of `penalty`: do the weight, the side and the place of WGAN-GP's penalty decide what it trains?

Serve it with: gansweep dashboard dashboards/penalty.py
"""

from gansweep import (
    ArmsByFactor,
    Audit,
    Claims,
    Confounders,
    FactorEffects,
    FreeChoices,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    Power,
    PublishedNumbers,
    Ranking,
    SampleGrids,
    ScoreCurves,
    Stability,
    Survival,
    WhileRunning,
)

title = "Penalty"

against_published = (
    ("two_sided", "one_sided"),
    ("two_sided", "weight_0.1"),
    ("two_sided", "weight_1"),
    ("two_sided", "weight_100"),
    ("two_sided", "at_real"),
    ("two_sided", "at_fake"),
    ("two_sided", "near_real"),
)

sections = (
    Claims(),
    OutcomeTable(pairs=against_published),
    Survival(),
    Ranking(),
    PairedScores(pairs=against_published),
    Power(threshold=2.0, pairs=against_published),
    WhileRunning(),
    FactorEffects(threshold=2.0),
    ArmsByFactor(threshold=2.0, pairs=against_published),
    ScoreCurves(),
    Stability(),
    SampleGrids(per_arm=2),
    OutcomeFlow(),
    Audit(),
    Confounders(),
    PublishedNumbers(),
    FreeChoices(),
)
