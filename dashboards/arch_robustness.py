"""The page of `arch_robustness`: which architectures each objective can train.

Serve it with: gansweep dashboard dashboards/arch_robustness.py
"""

from gansweep.sections import (
    Audit,
    Confounders,
    FactorEffects,
    OutcomeFlow,
    OutcomeTable,
    PairedScores,
    SampleGrids,
    ScoreCurves,
    Survival,
)

title = "Architecture robustness"

sections = (
    OutcomeTable(),
    Survival(),
    ScoreCurves(),
    PairedScores(),
    FactorEffects(),
    OutcomeFlow(),
    Audit(),
    SampleGrids(per_arm=3),
    Confounders(),
)
