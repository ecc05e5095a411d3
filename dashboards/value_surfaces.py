"""The page of `value_surfaces`.

Do critics with clipped weights miss what critics with a gradient penalty see of the data?

Serve it with: gansweep dashboard dashboards/value_surfaces.py
"""

from gansweep import Claims, Confounders, FreeChoices, OutcomeFlow, Traces, ValueSurfaces

title = "Value surfaces"


sections = (
    Claims(),
    ValueSurfaces(),
    Traces(columns=("surface_slope_mean", "surface_dents", "wasserstein"), title="While it was trained"),
    OutcomeFlow(),
    FreeChoices(),
    Confounders(),
)
