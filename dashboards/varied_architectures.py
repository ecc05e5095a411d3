"""The page of `varied_architectures`.

Is WGAN-GP the only method that trains every one of seven very different architectures?

Serve it with: gansweep dashboard dashboards/varied_architectures.py
"""

from gansweep import (
    Audit,
    Claims,
    Confounders,
    FactorEffects,
    FreeChoices,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    PublishedNumbers,
    Ranking,
    SampleGrids,
    ScoreCurves,
    SeedVariance,
    Stability,
    VerdictMatrix,
)

title = "Varied architectures"

against_wgan_gp = (
    ("wgan_gp", "wgan_clip"),
    ("wgan_gp", "dcgan"),
    ("wgan_gp", "lsgan"),
    ("wgan_gp", "wgan_gp_script"),
)

sections = (
    Claims(),
    VerdictMatrix(),
    OutcomeTable(pairs=against_wgan_gp),
    Ranking(),
    FactorEffects(threshold=2.0),
    PairedScores(pairs=against_wgan_gp),
    SeedVariance(),
    ScoreCurves(),
    Stability(),
    SampleGrids(per_arm=7),
    OutcomeFlow(),
    Audit(),
    Confounders(),
    PublishedNumbers(),
    FreeChoices(),
)
