"""The page of `character_model`: does WGAN-GP learn to write, character by character, where the standard GAN does not?

Serve it with: gansweep dashboard dashboards/character_model.py
"""

from gansweep import Confounders, OutcomeFlow, SampleGrids, ScoreCurves

title = "Character model"


sections = (
    ScoreCurves(),
    SampleGrids(per_arm=2),
    OutcomeFlow(),
    Confounders(),
)
