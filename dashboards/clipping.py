"""The page of `clipping`: what does clipping do to a deep critic's gradients and weights that the penalty does not?

Serve it with: gansweep dashboard dashboards/clipping.py
"""

from gansweep import (
    Claims,
    Confounders,
    FreeChoices,
    GradientNorms,
    OutcomeFlow,
    SampleGrids,
    Stability,
    Traces,
    WeightShapes,
)

title = "Clipping"


sections = (
    Claims(),
    GradientNorms(),
    WeightShapes(),
    Traces(columns=("activation_gradient_slope", "weights_at_bound"), title="While they were trained"),
    Stability(),
    SampleGrids(per_arm=1),
    OutcomeFlow(),
    FreeChoices(),
    Confounders(),
)
