"""The page of `critic_steps`: how many critic steps does a generator step need?

Serve it with: gansweep dashboard dashboards/critic_steps.py
"""

from gansweep import (
    Audit,
    Claims,
    Confounders,
    FreeChoices,
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

title = "Critic steps"

against_published = (
    ("gan_1", "gan_2"),
    ("gan_1", "gan_5"),
    ("gan_1", "gan_10"),
    ("gan_1", "gan_2_same_cost"),
    ("gan_1", "gan_5_same_cost"),
    ("gan_1", "gan_10_same_cost"),
    ("wgan_gp_5", "wgan_gp_1"),
    ("wgan_gp_5", "wgan_gp_2"),
    ("wgan_gp_5", "wgan_gp_10"),
    ("wgan_gp_5", "wgan_gp_1_same_cost"),
    ("wgan_gp_5", "wgan_gp_2_same_cost"),
    ("wgan_gp_5", "wgan_gp_10_same_cost"),
    ("wgan_clip_5", "wgan_clip_1"),
    ("wgan_clip_5", "wgan_clip_2"),
    ("wgan_clip_5", "wgan_clip_10"),
)

sections = (
    Claims(),
    Ranking(),
    OutcomeTable(pairs=against_published),
    Survival(),
    PairedScores(pairs=against_published),
    Power(threshold=2.0, pairs=against_published),
    SeedVariance(),
    ScoreCurves(),
    Stability(),
    SampleGrids(per_arm=1),
    OutcomeFlow(),
    Audit(),
    Confounders(),
    PublishedNumbers(),
    FreeChoices(),
)
