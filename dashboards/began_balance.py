"""The page of `began_balance`.

Does BEGAN hold the balance that gamma asks for, and does a smaller gamma cost diversity?

Serve it with: gansweep dashboard dashboards/began_balance.py
"""

from gansweep import Confounders, OutcomeFlow, SampleGrids, ScoreCurves, SeedVariance, Traces

title = "BEGAN balance"


sections = (
    Traces(columns=("energy_ratio", "balance", "convergence")),
    SeedVariance(),
    ScoreCurves(),
    SampleGrids(per_arm=2),
    OutcomeFlow(),
    Confounders(),
)
