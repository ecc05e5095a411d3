"""The page of `tune_wgan_gp`: which penalty weight, critic steps and optimiser give WGAN-GP its best score?

Serve it with: gansweep dashboard dashboards/tune_wgan_gp.py
"""

from gansweep import Importance, OutcomeFlow, SampleGrids, ScoreCurves, SearchHistory

title = "Tune WGAN-GP"


sections = (
    SearchHistory(),
    Importance(),
    OutcomeFlow(),
    ScoreCurves(),
    SampleGrids(per_arm=3),
)
