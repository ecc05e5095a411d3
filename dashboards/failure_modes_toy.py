"""The page of `failure_modes_toy`.

Are failing runs named for what is wrong with them, where the right answer is known in closed form?

Serve it with: gansweep dashboard dashboards/failure_modes_toy.py
"""

from gansweep import OutcomeFlow, SampleGrids, VerdictMatrix

title = "Failure modes toy"


sections = (
    VerdictMatrix(),
    OutcomeFlow(),
    SampleGrids(per_arm=2),
)
