"""The page of `mixture_collapse`: which objectives keep all eight modes of a ring of Gaussians?

Serve it with: gansweep dashboard dashboards/mixture_collapse.py
"""

from gansweep import (
    Claims,
    Confounders,
    FreeChoices,
    ModesOverTime,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    Power,
    PublishedNumbers,
    Ranking,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Survival,
    Traces,
)

title = "Mixture collapse"


sections = (
    Claims(),
    OutcomeTable(),
    Survival(),
    Ranking(),
    PairedScores(),
    SeedVariance(),
    Power(threshold=7.0),
    ScoreCurves(),
    Traces(columns=("high_quality", "reverse_kl"), title="Width and balance of the modes"),
    ModesOverTime(),
    SampleGrids(per_arm=3),
    OutcomeFlow(),
    Confounders(),
    PublishedNumbers(),
    FreeChoices(),
)
