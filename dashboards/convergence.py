"""The page of `convergence`: by iterations or by seconds, which objective gets the better images sooner?

Serve it with: gansweep dashboard dashboards/convergence.py
"""

from gansweep import (
    Claims,
    Confounders,
    Convergence,
    FreeChoices,
    OutcomeFlow,
    PairedScores,
    SampleGrids,
    ScoreCurves,
    Stability,
)

title = "Convergence"


sections = (
    Claims(),
    Convergence(),
    ScoreCurves(),
    Stability(),
    PairedScores(),
    SampleGrids(per_arm=1),
    OutcomeFlow(),
    FreeChoices(),
    Confounders(),
)
