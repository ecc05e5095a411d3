"""The page of `label_budgets`.

Do semi-supervised GANs classify better than the same network without a game when 50 labels are known?

Serve it with: gansweep dashboard dashboards/label_budgets.py
"""

from gansweep import Confounders, OutcomeFlow, PairedScores, SampleGrids, ScoreCurves, SeedVariance

title = "Label budgets"


sections = (
    PairedScores(),
    SeedVariance(),
    ScoreCurves(),
    SampleGrids(per_arm=3),
    OutcomeFlow(),
    Confounders(),
)
