"""The page of `infogan_codes`: do InfoGAN's codes come to mean something, and a plain GAN's not?

Serve it with: gansweep dashboard dashboards/infogan_codes.py
"""

from gansweep import Confounders, OutcomeFlow, PairedScores, SampleGrids, ScoreCurves, SeedVariance, Traces

title = "InfoGAN codes"


sections = (
    PairedScores(),
    SeedVariance(),
    Traces(columns=("mutual_information",)),
    ScoreCurves(),
    SampleGrids(per_arm=3),
    OutcomeFlow(),
    Confounders(),
)
