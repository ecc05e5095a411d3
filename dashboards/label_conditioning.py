"""The page of `label_conditioning`: do the labels that a generator is given decide what it draws?

Serve it with: gansweep dashboard dashboards/label_conditioning.py
"""

from gansweep import Confounders, OutcomeFlow, PairedScores, SampleGrids, ScoreCurves, SeedVariance

title = "Label conditioning"


sections = (
    PairedScores(),
    SeedVariance(),
    ScoreCurves(),
    SampleGrids(per_arm=3),
    OutcomeFlow(),
    Confounders(),
)
