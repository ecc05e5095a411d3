"""The page of `failure_modes`: are failing runs named for what is wrong with them?

Serve it with: gansweep dashboard dashboards/failure_modes.py
"""

from gansweep import OutcomeFlow, SampleGrids, VerdictMatrix

title = "Failure modes"


sections = (
    VerdictMatrix(),
    OutcomeFlow(),
    SampleGrids(per_arm=2),
)
