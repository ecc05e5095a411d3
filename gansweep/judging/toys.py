"""Judges of the claims on small problems with known answers: S5, S6, S9 and S10."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from gansweep import comparing
from gansweep.comparing import (
    CONTRADICTED,
    REPRODUCED,
    UNDECIDABLE,
    Answer,
    NotRecorded,
    difference,
    interval_of_mean,
    side,
)
from gansweep.page import Results

PENALISED = {"loss": "Wasserstein", "constraint": "GradientPenalty"}
CLIPPED = {"loss": "Wasserstein", "constraint": "WeightClip"}
STANDARD = {"loss": ("NonSaturating", "Minimax"), "constraint": None}
MIXTURES = ("8 Gaussians", "25 Gaussians")  # levels of studies/value_surfaces
TOYS = (*MIXTURES, "Swiss roll")
LINES = {"two distributions": "parallel lines"}  # levels of studies/distances
GAUSSIANS = {"two distributions": "two Gaussians"}
THETA = "generator.density.theta"
LEVEL_SLOPE = 0.2  # of the natural logarithm of the gradient norm per layer: so much still counts as level
UNIFORM_SHARE = 0.01  # of weights within 1% of the bound, if they were spread evenly
BANDS = 5  # in which a histogram of sizes is looked at


def _settings_of(results: Results, trials: pd.DataFrame, field: str) -> list[float]:
    return sorted({float(value) for value in comparing.setting(results, field)[trials.index] if value is not None})


# ------------------------------------------------------------------------------------------ S5: value surfaces


def simpler_surfaces(results: Results) -> Answer:
    """Spread of the slope over the grid, and peaks at modes, per data set: clipping against each penalty."""
    weights = _settings_of(results, side(results, "a critic with the penalty", PENALISED), "constraint.weight")
    told, clip_simpler, penalty_simpler = [], [], []
    for data in TOYS:
        clipped = side(results, f"a clipped critic on {data}", {**CLIPPED, "data set": data})
        for weight in weights:
            of = {**PENALISED, "data set": data, "constraint.weight": weight}
            penalised = side(results, f"a critic with the penalty, lambda {weight:g}, on {data}", of)
            measures = {"variation of the slope": difference(results, clipped, penalised, "surface_slope_variation")}
            if data in MIXTURES:
                measures["modes with a peak"] = difference(results, clipped, penalised, "surface_modes")
            clip_simpler.append(all(one.better for one in measures.values()))
            penalty_simpler.append(all(one.worse for one in measures.values()))
            said = ", ".join(f"{name}: {one}" for name, one in measures.items())
            told.append(f"{data}, lambda {weight:g}: {said}")
    text = f"Penalty less clipping. {'; '.join(told)}."
    if any(penalty_simpler):
        return CONTRADICTED, text
    return (REPRODUCED if all(clip_simpler) else UNDECIDABLE), text


# ------------------------------------------------------------------------------- S6: gradient norms and weights


def level_gradients(results: Results) -> Answer:
    """The slope of the log gradient norm per layer: how much steeper each bound's is than the penalty's."""
    column = "activation_gradient_slope"
    penalised = _steepness(results, side(results, "a critic with the penalty", PENALISED), column)
    bounds = _settings_of(results, side(results, "a clipped critic", CLIPPED), "constraint.bound")
    steeper, told = [], []
    for bound in bounds:
        clipped = side(results, f"a critic clipped to {bound:g}", {**CLIPPED, "constraint.bound": bound})
        found = difference(results, penalised, _steepness(results, clipped, column), "steepness")
        steeper.append(found)
        told.append(f"c = {bound:g}: {found}")
    slopes, _ = comparing.values(results, penalised, column)
    mean, low, high = interval_of_mean(slopes[np.isfinite(slopes)])
    text = (
        f"Slope per layer with the penalty {mean:+.3g} (95%: {low:+.3g} to {high:+.3g}); how much steeper with "
        f"clipping, {'; '.join(told)}."
    )
    if all(one.worse for one in steeper):
        return CONTRADICTED, text
    level = max(abs(low), abs(high)) <= LEVEL_SLOPE
    return (REPRODUCED if level and all(one.better for one in steeper) else UNDECIDABLE), text


def _steepness(results: Results, trials: pd.DataFrame, column: str) -> pd.DataFrame:
    slope, _ = comparing.values(results, trials, column)
    return trials.assign(**{column: np.where(np.isfinite(slope), slope, np.nan), "steepness": np.abs(slope)})


def weights_at_the_bounds(results: Results) -> Answer:
    """The share of weights within 1% of c = 0.01, and whether the penalty's histogram falls away from the middle."""
    clipped = side(results, "a critic clipped to 0.01", {**CLIPPED, "constraint.bound": 0.01})
    shares, _ = comparing.values(results, clipped, "weights_at_bound")
    mean, low, high = interval_of_mean(shares)
    told = (
        f"With c = 0.01, {100 * mean:.3g}% of the weights lie within 1% of the bound (95%: {100 * low:.3g}% to "
        f"{100 * high:.3g}%) over {len(shares)} runs; evenly spread it would be 1%."
    )
    if high < UNIFORM_SHARE:
        return CONTRADICTED, told
    if not low > UNIFORM_SHARE:
        return UNDECIDABLE, told
    penalised = side(results, "a critic with the penalty", PENALISED)
    falls = [_falls_outwards(results, str(trial)) for trial in penalised.loc[penalised["status"] == "done", "trial"]]
    told += f" With the penalty the histogram falls from the middle outwards in {sum(falls)} of {len(falls)} runs."
    return (REPRODUCED if falls and all(falls) else UNDECIDABLE), told


def _falls_outwards(results: Results, trial: str) -> bool:
    arrays = results.portraits(trial, "weights")
    if "counts" not in arrays:
        raise NotRecorded("the histograms of the weights are not recorded")
    counts = np.asarray(arrays["counts"])[-1].sum(axis=0).astype(float)
    middle = np.abs(np.arange(len(counts)) - (len(counts) - 1) / 2)
    bands = np.minimum((middle / (middle.max() + 0.5) * BANDS).astype(int), BANDS - 1)
    density = np.bincount(bands, weights=counts, minlength=BANDS) / np.bincount(bands, minlength=BANDS)
    return bool((np.diff(density) <= 0).all() and density[0] > density[-1])


# ------------------------------------------------------------------------------------------ S9: parallel lines


def closed_forms(results: Results) -> Answer:
    """Each estimate at each theta against its closed form, the error of an estimate being its 95% interval over seeds.

    What a discriminator says of the Jensen-Shannon divergence and of the total variation is a lower bound: an estimate
    below the closed form was not trained to the optimum, and only one above it contradicts. The Kullback-Leibler
    divergence, infinite for disjoint lines, is the value of no estimate.
    """
    gan = side(results, "a discriminator on parallel lines", {**STANDARD, **LINES})
    critic = side(results, "a WGAN-GP critic on parallel lines", {**PENALISED, **LINES})
    within, above, told = 0, 0, []
    for theta in _settings_of(results, critic, THETA):
        apart = float(theta != 0)
        truths = {
            "wasserstein": (critic, abs(theta)),
            "estimated_js": (gan, apart * math.log(2)),
            "estimated_tv": (gan, apart),
        }
        for column, (trials, truth) in truths.items():
            at = trials[pd.to_numeric(comparing.setting(results, THETA)[trials.index]) == theta]
            found, _ = comparing.values(results, at, column)
            if len(found) < 2:
                raise NotRecorded(f"one seed says nothing of the error of {column}")
            mean, low, high = interval_of_mean(found)
            fits = low <= truth <= high
            within += fits
            above += bool(not fits and column != "wasserstein" and low > truth)
            if not fits:
                told.append(f"{column} at theta = {theta:g}: {mean:.3g} (95%: {low:.3g} to {high:.3g}) for {truth:.3g}")
    num = 3 * len(_settings_of(results, critic, THETA))
    text = f"{within} of {num} estimates hold their closed form in their interval over seeds" + (
        f"; not {'; '.join(told)}." if told else "."
    )
    if above:
        return CONTRADICTED, text
    return (REPRODUCED if within == num else UNDECIDABLE), text


# ------------------------------------------------------------------------------------------- S10: two Gaussians


def linear_critic(results: Results) -> Answer:
    """Least slope over the largest where data are: of the standard GAN's discriminator, and of the WGAN's critic."""
    gan = side(results, "a standard GAN's discriminator between two Gaussians", {**STANDARD, **GAUSSIANS})
    critic = side(results, "a clipped WGAN critic between two Gaussians", {**CLIPPED, **GAUSSIANS})
    saturation, _ = comparing.values(results, gan, "surface_saturation")
    linearity, _ = comparing.values(results, critic, "surface_linearity")
    saturated, linear = saturation < 0.01, linearity > 0.5
    told = (
        f"The discriminator's slope falls below 1% of its largest in {saturated.sum()} of {len(saturated)} runs (least "
        f"over largest at most {saturation.max():.2g}); the critic's stays above half of its largest in {linear.sum()} "
        f"of {len(linear)} (at least {linearity.min():.2g})."
    )
    if (linearity < 0.01).all() or not saturated.any():
        return CONTRADICTED, told
    return (REPRODUCED if saturated.all() and linear.all() else UNDECIDABLE), told
