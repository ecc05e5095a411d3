"""The page of `arch_robustness`: does WGAN-GP train architectures that the standard GAN cannot?

Serve it with: gansweep dashboard dashboards/arch_robustness.py
"""

from gansweep import (
    ArmsByFactor,
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
    Stability,
    Survival,
    WhileRunning,
)

title = "Architecture robustness"

against_the_two = (
    ("gan", "wgan_gp"),
    ("gan", "lsgan"),
    ("gan", "wgan_clip"),
    ("gan", "gan_same_adam"),
    ("gan", "gan_five_steps"),
    ("gan", "wgan_gp_equal_compute"),
    ("wgan_gp", "lsgan"),
    ("wgan_gp", "wgan_clip"),
    ("wgan_gp", "gan_same_adam"),
    ("wgan_gp", "gan_five_steps"),
)

sections = (
    Claims(),
    OutcomeTable(pairs=against_the_two),
    OutcomeFlow(),
    Survival(),
    Ranking(),
    PairedScores(pairs=against_the_two),
    Power(threshold=3.0, pairs=against_the_two),
    WhileRunning(),
    FactorEffects(threshold=3.0),
    ArmsByFactor(threshold=3.0, pairs=against_the_two),
    Interactions(threshold=3.0),
    ScoreCurves(),
    Stability(),
    SampleGrids(per_arm=3),
    Audit(),
    Confounders(),
    PublishedNumbers(),
    FreeChoices(),
)
