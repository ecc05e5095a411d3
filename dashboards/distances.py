"""The page of `distances`: what do a critic and a discriminator say of two distributions whose distances are known?

Serve it with: gansweep dashboard dashboards/distances.py
"""

from gansweep import BetweenGaussians, Claims, Confounders, FreeChoices, OutcomeFlow, ParallelDistances, Traces

title = "Distances"


sections = (
    Claims(),
    ParallelDistances(),
    BetweenGaussians(),
    Traces(columns=("wasserstein", "estimated_js", "estimated_kl", "estimated_tv"), title="While they were trained"),
    OutcomeFlow(),
    FreeChoices(),
    Confounders(),
)
