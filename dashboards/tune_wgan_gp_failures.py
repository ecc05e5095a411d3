"""The page of `tune_wgan_gp_failures`: what does a better score of WGAN-GP cost in failed runs?

Serve it with: gansweep dashboard dashboards/tune_wgan_gp_failures.py
"""

from gansweep import Importance, OutcomeFlow, ParetoFront, SampleGrids, SearchHistory

title = "Tune WGAN-GP failures"


sections = (
    ParetoFront(),
    SearchHistory(),
    Importance(),
    OutcomeFlow(),
    SampleGrids(per_arm=3),
)
