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
    measured,
    paired_values,
    side,
    told_interval,
    told_number,
)
from gansweep.page import Results

PENALISED = {"loss": "Wasserstein", "constraint": "GradientPenalty"}
CLIPPED = {"loss": "Wasserstein", "constraint": "WeightClip"}
STANDARD = {"loss": ("NonSaturating", "Minimax"), "constraint": None}
MIXTURES = ("8 Gaussians", "25 Gaussians")  # levels of studies/value_surfaces
TOYS = (*MIXTURES, "Swiss roll")
TOY_LAMBDA = 0.1  # of the authors' code for toys
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
    """Depth of dents, and peaks at modes, per data set: clipping against the penalty of the authors' code."""
    told, clip_simpler, penalty_simpler = [], [], []
    for data in TOYS:
        clipped = side(results, f"a clipped critic on {data}", {**CLIPPED, "data set": data})
        of = {**PENALISED, "data set": data, "constraint.weight": TOY_LAMBDA}
        penalised = side(results, f"a critic with the penalty, lambda {TOY_LAMBDA:g}, on {data}", of)
        dents = difference(results, clipped, penalised, "surface_dents", diverged_is_worst=False)
        said, more, fewer = f"{data}: depth of dents, {dents}", True, True
        if data in MIXTURES:
            least, most = paired_values(results, clipped, penalised, "surface_modes", diverged_is_worst=False)
            more, fewer = bool((least > 0).all()), bool((most < 0).all())
            said += f", peaks at {told_number(least.min())} to {told_number(most.max())} modes"
        clip_simpler.append(dents.better and more)
        penalty_simpler.append(dents.worse and fewer)
        told.append(said)
    text = f"Penalty, lambda {TOY_LAMBDA:g}, less clipping. {'; '.join(told)}."
    if any(penalty_simpler):
        return CONTRADICTED, text
    return (REPRODUCED if all(clip_simpler) else UNDECIDABLE), text


# ------------------------------------------------------------------------------- S6: gradient norms and weights


def level_gradients(results: Results) -> Answer:
    """The slope of the log gradient norm per layer: how much steeper each bound's is than the penalty's."""
    column = "activation_gradient_slope"
    penalised = side(results, "a critic with the penalty", PENALISED)
    slopes = measured(results, penalised, column)
    penalised = _steepness(results, penalised, column)
    bounds = _settings_of(results, side(results, "a clipped critic", CLIPPED), "constraint.bound")
    steeper, told = [], []
    for bound in bounds:
        clipped = side(results, f"a critic clipped to {bound:g}", {**CLIPPED, "constraint.bound": bound})
        clipped = _steepness(results, clipped, column)
        found = difference(results, penalised, clipped, "steepness", diverged_is_worst=False)
        steeper.append(found)
        told.append(f"c = {bound:g}: {found}")
    mean, low, high = interval_of_mean(slopes)
    text = (
        f"Slope per layer with the penalty {mean:+.3g} {told_interval(low, high)}; how much steeper with clipping, "
        f"{'; '.join(told)}."
    )
    if all(one.worse for one in steeper):
        return CONTRADICTED, text
    level = max(abs(low), abs(high)) <= LEVEL_SLOPE
    return (REPRODUCED if level and all(one.better for one in steeper) else UNDECIDABLE), text


def _steepness(results: Results, trials: pd.DataFrame, column: str) -> pd.DataFrame:
    slope, _ = comparing.values(results, trials, column, diverged_is_worst=False)
    return trials.assign(steepness=np.where(np.isfinite(slope), np.abs(slope), np.nan))


def weights_at_the_bounds(results: Results) -> Answer:
    """The share of weights within 1% of c = 0.01, and whether the penalty's histogram falls away from the middle."""
    clipped = side(results, "a critic clipped to 0.01", {**CLIPPED, "constraint.bound": 0.01})
    shares = measured(results, clipped, "weights_at_bound")
    mean, low, high = interval_of_mean(shares)
    told = (
        f"With c = 0.01, {100 * mean:.3g}% of the weights lie within 1% of the bound "
        f"{told_interval(100 * low, 100 * high, '%')} over {len(shares)} runs; evenly spread it would be 1%."
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
    below the closed form was not trained to the optimum, and only one above it contradicts, with an interval that is
    widened for the number of estimates. An interval that holds 0 beside the closed form tells nothing. The
    Kullback-Leibler divergence, infinite for disjoint lines, is the value of no estimate.
    """
    gan = side(results, "a discriminator on parallel lines", {**STANDARD, **LINES})
    critic = side(results, "a WGAN-GP critic on parallel lines", {**PENALISED, **LINES})
    within, above, told = 0, 0, []
    thetas = _settings_of(results, critic, THETA)
    num = 3 * len(thetas)
    for theta in thetas:
        apart = float(theta != 0)
        truths = {
            "wasserstein": (critic, abs(theta)),
            "estimated_js": (gan, apart * math.log(2)),
            "estimated_tv": (gan, apart),
        }
        for column, (trials, truth) in truths.items():
            at = trials[pd.to_numeric(comparing.setting(results, THETA)[trials.index]) == theta]
            found = measured(results, at, column)
            if len(found) < 2:
                raise NotRecorded(f"one seed says nothing of the error of {column}")
            mean, low, high = interval_of_mean(found)
            fits = _holds(truth, mean, low, high)
            within += fits
            above += column != "wasserstein" and interval_of_mean(found, level=1 - 0.05 / num)[1] > truth
            if not fits:
                interval = f"{mean:.3g} {told_interval(low, high)} for {truth:.3g}"
                told.append(f"{column} at theta = {theta:g}: {interval}, off by {mean - truth:.1g}")
    text = f"{within} of {num} estimates have their closed form, and not 0 for it, in their interval over seeds" + (
        f"; not {'; '.join(told)}." if told else "."
    )
    text += " Kullback-Leibler, infinite where the lines are apart, is not among them: no estimate is infinite."
    if above:
        return CONTRADICTED, text
    return (REPRODUCED if within == num else UNDECIDABLE), text


def _holds(truth: float, mean: float, low: float, high: float) -> bool:
    """Whether an interval holds the closed form and tells it from 0; equal estimates must be it."""
    if not np.isfinite([low, high]).all():
        return math.isclose(mean, truth, rel_tol=1e-6, abs_tol=1e-6)
    return low <= truth <= high and (truth == 0 or low > 0)


# ------------------------------------------------------------------------------------------- S10: two Gaussians


def linear_critic(results: Results) -> Answer:
    """Least slope over the largest where data are: of the standard GAN's discriminator, and of the WGAN's critic.

    The best discriminator between these Gaussians is known to saturate, so one that does not was not at its optimum,
    and a critic beside it need not be at its own.
    """
    gan = side(results, "a standard GAN's discriminator between two Gaussians", {**STANDARD, **GAUSSIANS})
    critic = side(results, "a clipped WGAN critic between two Gaussians", {**CLIPPED, **GAUSSIANS})
    saturation, linearity = measured(results, gan, "surface_saturation"), measured(results, critic, "surface_linearity")
    if min(len(saturation), len(linearity)) < 2:
        raise NotRecorded("one seed does not say what every seed does")
    saturated, linear = saturation < 0.01, linearity > 0.5
    told = (
        f"The discriminator's slope falls below 1% of its largest in {saturated.sum()} of {len(saturated)} runs (least "
        f"over largest at most {saturation.max():.2g}); the critic's stays above half of its largest in {linear.sum()} "
        f"of {len(linear)} (at least {linearity.min():.2g})."
    )
    if not saturated.any():
        return UNDECIDABLE, f"{told} The best discriminator does saturate, so these were not at their optimum."
    if (linearity < 0.01).all():
        return CONTRADICTED, told
    return (REPRODUCED if saturated.all() and linear.all() else UNDECIDABLE), told
