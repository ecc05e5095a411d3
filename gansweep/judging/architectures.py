"""Judges of the claims on architectures, penalties and critic steps: S1, S2, S3, S4 and n_critic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gansweep import comparing
from gansweep.comparing import (
    CONTRADICTED,
    NOTHING_TRAINS,
    REPRODUCED,
    UNDECIDABLE,
    Answer,
    Difference,
    NotRecorded,
    difference,
    share,
    side,
)
from gansweep.intervals import expected_pairs, mcnemar, wilson
from gansweep.outcomes import arms_of, holm, outcome_table, outcomes_of, stopped
from gansweep.page import Results, arm_labels
from gansweep.published import wgan_gp

WGAN_GP = {"loss": "Wasserstein", "constraint": "GradientPenalty", "constraint.at": "lines"}
CLIPPED = {"loss": "Wasserstein", "constraint": "WeightClip"}
METHODS = ("wgan_gp", "wgan_clip", "dcgan", "lsgan")  # the arms of studies/varied_architectures, as in figure 2
RMSPROP = ("RMSProp", "RMSPropTF")
STANDARD = {"loss": ("NonSaturating", "Minimax"), "constraint": None}


def higher_is_better(results: Results) -> bool:
    """Whether more of the study's score is better."""
    return bool(results.plan["scores"][0]["higher_is_better"])


# ------------------------------------------------------------------------------- S1: random architectures


def _published_arms(results: Results) -> pd.DataFrame:
    """One trial per cell of the arms of table 5; of a cell with several seeds the first, so that cells are counted."""
    table = wgan_gp.TABLE_5
    trials = pd.concat([comparing.named_arm(results, arm) for arm in (table.arm_a, table.arm_b)])
    if not results.plan["thresholds"]:
        raise NotRecorded("the study declares no threshold above which a trial succeeds")
    comparing.values(results, trials, results.plan["score"])
    first = trials.sort_values("position").drop_duplicates(["cell", "arm"])
    return first.sort_values("position")


def trains_many(results: Results) -> Answer:
    """More cells succeed only under WGAN-GP wherever the arms differ, and the corrected McNemar test sees it.

    It must see it also if every cell that is not known spoke against it.
    """
    table = outcome_table(
        _published_arms(results), results.plan["thresholds"], results.plan["score"], ("gan", "wgan_gp")
    )
    worst = [_with_unknown_against(row) for row in table.to_dict("records")]
    table = table.assign(p_worst=worst, p_worst_holm=holm(worst))
    differ = table[table["only_a"] + table["only_b"] > 0]
    planned = int(table["planned"].iloc[0])
    if differ.empty:
        return UNDECIDABLE, f"The two arms differ in none of {planned} cells at any threshold."
    for_b, for_a = differ["only_b"] > differ["only_a"], differ["only_a"] > differ["only_b"]
    sure = differ["p_worst_holm"] < 0.05
    ahead = differ[for_a & sure] if (for_a & sure).any() else differ
    clearest = ahead.sort_values(["p_value", "threshold"]).iloc[0]
    told = (
        f"More cells succeed only under WGAN-GP at {for_b.sum()} of the {len(differ)} thresholds at which the arms "
        f"differ. Clearest above {clearest['threshold']:g}: {clearest['only_b']:.3g} of {planned} cells only under "
        f"WGAN-GP, {clearest['only_a']:.3g} only under the GAN, {clearest['unknown']:g} unknown; difference of the "
        f"success rates {100 * clearest['difference']:+.0f} points (95%: {100 * clearest['difference_low']:.0f} to "
        f"{100 * clearest['difference_high']:.0f}), exact McNemar p = {clearest['p_value']:.2g}, "
        f"{clearest['p_holm']:.2g} after Holm's correction"
        + (f"; {clearest['p_worst_holm']:.2g} if all unknown cells spoke against it." if clearest["unknown"] else ".")
    )
    if (for_a & sure).any():
        return CONTRADICTED, told
    return (REPRODUCED if for_b.all() and sure.any() else UNDECIDABLE), told


def _with_unknown_against(row: Mapping[str, Any]) -> float:
    """The p-value of a row of an outcome table if every unknown cell succeeded only under the arm that is behind."""
    ahead, behind = max(row["only_a"], row["only_b"]), min(row["only_a"], row["only_b"]) + row["unknown"]
    if behind >= ahead:
        return 1.0
    return max(row["p_value"], float(mcnemar(behind, ahead)))


def hardly_only_gan(results: Results) -> Answer:
    """The interval of the share that only the GAN trains against 5%, at every threshold.

    What stopped and unknown trials would have done is taken at the worst that the audit allows: for the upper end as
    successes of the GAN and failures of WGAN-GP, for the lower end the other way round. One threshold can contradict,
    so the lower ends for that hold at all of them at once (Bonferroni); to agree, all upper ends must lie below.
    """
    thresholds = list(results.plan["thresholds"])
    trials = _published_arms(results)
    found = outcomes_of(trials, thresholds, results.plan["score"])
    a, b = (arms_of(trials).index(arm) for arm in ("gan", "wgan_gp"))
    joint, num = found.joint(a, b), len(found.blocks)
    (low_a, high_a), (low_b, high_b) = (found.audits[arm].bounds() for arm in (a, b))
    unknown = num - joint.sum(axis=(0, 1))
    most = expected_pairs(joint, high_a, low_b)[1] + unknown
    least = expected_pairs(joint, low_a, high_b)[1]
    low, high = wilson(least, num)[0], wilson(most, num)[1]
    surely = wilson(least, num, 0.05 / len(thresholds))[0]
    worst = int(np.argmax(high if (low <= 0.05).all() else low))
    counted = f"{least[worst]:.3g}" if most[worst] - least[worst] < 1e-6 else f"{least[worst]:.3g} to {most[worst]:.3g}"
    told = (
        f"At most above {thresholds[worst]:g}: {counted} of {num} cells succeed only under the GAN "
        f"(95%: {100 * low[worst]:.1f}% to {100 * high[worst]:.1f}%)."
    )
    if (low > 0.05).any():
        told += f" With all {len(thresholds)} thresholds corrected for, at least {100 * surely.max():.1f}%."
    if (surely > 0.05).any():
        return CONTRADICTED, told
    return (REPRODUCED if (high < 0.05).all() else UNDECIDABLE), told


def scores_higher(results: Results) -> Answer:
    """The median of the paired differences, and at the preset paper the medians against the published thresholds."""
    gan, gp = (comparing.named_arm(results, arm) for arm in ("gan", "wgan_gp"))
    score = results.plan["score"]
    found = difference(results, gan, gp, score, higher=higher_is_better(results), middle="median")
    told = f"WGAN-GP less GAN, {results.plan['score_label']}: {found}."
    if comparing.nothing_trained(gan, gp):
        return UNDECIDABLE, f"{told} {NOTHING_TRAINS}"
    if found.worse:
        return CONTRADICTED, told
    if not found.better:
        return UNDECIDABLE, told
    if results.plan["preset"] != "paper":
        return REPRODUCED, f"{told} Only the ordering is judged at this preset."
    within, medians = True, []
    for arm, trials in (("gan", gan), ("wgan_gp", gp)):
        published = wgan_gp.MEDIANS.row(arm)
        least, most = (float(np.median(ends)) for ends in comparing.values(results, trials, score))
        within &= published["above"] < least and most <= published["not_above"]  # type: ignore[operator]
        medians.append(f"{least:.3g}" + ("" if least == most else f" to {most:.3g}"))
    told += f" Medians {' and '.join(medians)}" + ("." if within else ", which are not between the published ones.")
    return (REPRODUCED if within else UNDECIDABLE), told


# ----------------------------------------------------------------------------------- S2: sides of the penalty


def sides_level(results: Results) -> Answer:
    """The sign test on paired wins of the two sides of the penalty, lambda 10 on lines, and the share of the wins."""
    of = {**WGAN_GP, "constraint.weight": 10.0}
    two = side(results, "WGAN-GP with a two-sided penalty, lambda 10", {**of, "constraint.one_sided": False})
    one = side(results, "WGAN-GP with a one-sided penalty, lambda 10", {**of, "constraint.one_sided": True})
    higher = higher_is_better(results)
    least, most = comparing.paired_values(results, one, two, results.plan["score"], higher=higher)
    wins, losses, ties = int((least > 0).sum()), int((most < 0).sum()), int(((least == 0) & (most == 0)).sum())
    open_ended = len(least) - wins - losses - ties
    if not wins + losses:
        return UNDECIDABLE, f"No {comparing.unit_of(results)} of {len(least)} has a winner."
    of_two, num = share(wins, wins + losses), wins + losses + open_ended
    tests = [mcnemar(wins + more, losses + open_ended - more) for more in (0, open_ended)]
    told = (
        f"The two-sided penalty is better in {of_two}, equal in {ties}, not known in {open_ended}; "
        f"sign test p = {mcnemar(wins, losses):.2g}."
    )
    if max(tests) < 0.05 and min(wins, losses) + open_ended < max(wins, losses):
        return CONTRADICTED, told
    lowest, highest = share(wins, num).low, share(wins + open_ended, num).high
    return (REPRODUCED if min(tests) >= 0.05 and lowest >= 0.35 and highest <= 0.65 else UNDECIDABLE), told


# --------------------------------------------------------------------------------- S3: varied architectures


def only_wgan_gp_trains_all(results: Results) -> Answer:
    """How many seeds of each row each method trains: a row is a cell, and trained is the verdict."""
    methods = [arm for arm in METHODS if (results.trials["arm"] == arm).any()]
    if len(methods) < len(METHODS):
        raise NotRecorded(f"this run lacks the methods {', '.join(arm for arm in METHODS if arm not in methods)}")
    rows = results.trials["cell"].nunique()
    if rows != wgan_gp.VARIED_ROWS.value:
        raise NotRecorded(f"this run has {rows} rows and the claim {wgan_gp.VARIED_ROWS.value:g}")
    most: dict[str, tuple[int, int]] = {}
    for arm in METHODS:
        trials = comparing.named_arm(results, arm)
        known = pd.DataFrame({"cell": trials["cell"], "trained": comparing.trained(trials)}).groupby("cell")["trained"]
        seeds, sure, open_ended = known.size(), known.sum(), known.size() - known.count()
        most[arm] = int((sure > seeds / 2).sum()), int((sure + open_ended > seeds / 2).sum())
    labels, repeats = arm_labels(results.plan), results.trials.groupby(["cell", "arm"]).size().max()
    where = f" in most of {repeats} seeds" if repeats > 1 else ", each with one seed"
    told = "; ".join(
        f"{labels[arm]} trains {least} of {rows} rows{where}" + ("" if least == best else f", or up to {best}")
        for arm, (least, best) in most.items()
    )
    ours, others = most["wgan_gp"], [most[arm] for arm in METHODS if arm != "wgan_gp"]
    if ours[0] == rows and all(best < rows for _, best in others):
        return REPRODUCED, f"{told}."
    if ours[1] < rows and any(least == rows for least, _ in others):
        return CONTRADICTED, f"{told}."
    return UNDECIDABLE, f"{told}."


# ------------------------------------------------------------------------------------ S4: curves of the score


def penalty_beats_clipping(results: Results) -> Answer:
    """Area and final score of WGAN-GP against clipping, both with RMSProp at one rate."""
    score, higher = results.plan["score"], higher_is_better(results)
    clip = side(results, "clipped WGAN with RMSProp", {**CLIPPED, "discriminator_optimizer": RMSPROP})
    penalty = side(results, "WGAN-GP with RMSProp", {**WGAN_GP, "discriminator_optimizer": RMSPROP})
    rates = [set(comparing.setting(results, "discriminator_optimizer.lr")[one.index]) for one in (clip, penalty)]
    if rates[0] != rates[1]:
        raise NotRecorded(f"clipping and the penalty do not share a learning rate here: {rates[0]} and {rates[1]}")
    area = difference(results, clip, penalty, f"{score}_area", higher=higher)
    final = difference(results, clip, penalty, score, higher=higher)
    told = f"WGAN-GP less clipping, both with RMSProp: area under the curve, {area}; final score, {final}."
    if comparing.nothing_trained(clip, penalty):
        return UNDECIDABLE, f"{told} {NOTHING_TRAINS}"
    if final.worse:
        return CONTRADICTED, told
    return (REPRODUCED if area.better and final.better else UNDECIDABLE), told


def adam_improves(results: Results) -> Answer:
    """WGAN-GP's final score with Adam against RMSProp."""
    rms = side(results, "WGAN-GP with RMSProp", {**WGAN_GP, "discriminator_optimizer": RMSPROP})
    adam = side(results, "WGAN-GP with Adam", {**WGAN_GP, "discriminator_optimizer": "Adam"})
    found = difference(results, rms, adam, results.plan["score"], higher=higher_is_better(results))
    return by_sign(found, f"WGAN-GP with Adam less with RMSProp, final {results.plan['score_label']}", rms, adam)


def by_sign(found: Difference, what: str, *sides: pd.DataFrame) -> Answer:
    """Reproduced where the whole interval is above 0, contradicted where it is below, if any trial trained."""
    if comparing.nothing_trained(*sides):
        return UNDECIDABLE, f"{what}: {found}. {NOTHING_TRAINS}"
    judged = REPRODUCED if found.better else CONTRADICTED if found.worse else UNDECIDABLE
    return judged, f"{what}: {found}."


def slower_but_more_stable(results: Results) -> Answer:
    """Seconds to the score that both reach, and how far each ends behind its best: DCGAN against WGAN-GP with Adam."""
    score, higher = results.plan["score"], higher_is_better(results)
    dcgan = side(results, "a DCGAN with the standard loss", STANDARD)
    gp = side(results, "WGAN-GP with Adam", {**WGAN_GP, "discriminator_optimizer": "Adam"})
    seconds = _seconds_to_both(results, dcgan, gp, score, 1 if higher else -1)
    mean, low, high = comparing.interval_of_mean(seconds)
    faster = Difference(mean, low, high, len(seconds), comparing.unit_of(results), "mean", seconds)
    if f"{score}_best" not in results.trials:
        raise NotRecorded(f"no trial has recorded {score}_best")
    falls = pd.concat([dcgan, gp])
    falls = falls.assign(fall=(falls[f"{score}_best"] - falls[score]) * (1 if higher else -1))
    dcgan_falls, gp_falls = (falls.loc[one.index] for one in (dcgan, gp))
    fall = difference(results, dcgan_falls, gp_falls, "fall", higher=False)
    told = (
        f"Seconds to the score that both reach, WGAN-GP less DCGAN: {faster}; how much further DCGAN ends behind its "
        f"best than WGAN-GP: {fall}. Seconds are those of the machine with whatever else it did."
    )
    if comparing.nothing_trained(dcgan, gp):
        return UNDECIDABLE, f"{told} {NOTHING_TRAINS}"
    if faster.better and fall.better:
        return REPRODUCED, told
    return (CONTRADICTED if faster.worse or fall.worse else UNDECIDABLE), told


def _seconds_to_both(results: Results, a: pd.DataFrame, b: pd.DataFrame, score: str, sign: int) -> np.ndarray:
    """Per block by how many more seconds B first has the score that both reach: the smaller one of their bests.

    Of blocks in which both runs went to their end or diverged: one that was cut short had no time for its best.
    """
    steps = results.steps.loc[results.steps[score].notna(), ["trial", "seconds", score]]
    runs = {
        str(trial): (run["seconds"].to_numpy(), sign * run[score].to_numpy()) for trial, run in steps.groupby("trial")
    }
    found = []
    whole = [one[(one["status"] == "done") & ~stopped(one)] for one in (a, b)]
    keyed = [one.set_index(["cell", "seed"])[["trial"]] for one in whole]
    blocks = keyed[0].join(keyed[1].add_suffix("_b"), how="inner")
    for first, second in blocks.itertuples(index=False):
        if first in runs and second in runs:
            reached = min(runs[first][1].max(), runs[second][1].max())
            at = [seconds[np.argmax(values >= reached)] for seconds, values in (runs[first], runs[second])]
            found.append(at[1] - at[0])
    if not found:
        raise NotRecorded("no pair of runs has reported the score with its seconds")
    return np.array(found, dtype=float)


# ---------------------------------------------------------------------------------------------- critic steps


def five_are_enough(results: Results) -> Answer:
    """WGAN-GP's score with five critic steps against 95% of that with ten, at equal generator steps."""
    score, higher = results.plan["score"], higher_is_better(results)
    five = side(results, "WGAN-GP with five critic steps", {**WGAN_GP, "n_critic": 5})
    if (steps := comparing.setting(results, "steps")[five.index].iloc[0]) is None:
        raise NotRecorded("the design card does not say how many generator steps there are")
    five, ten = (
        side(
            results,
            f"WGAN-GP with {num} critic steps, {steps} generator steps",
            {**WGAN_GP, "n_critic": num, "steps": steps},
        )
        for num in (5, 10)
    )
    allowed = 0.95 if higher else 1.05
    shrunk = ten.assign(**{score: allowed * ten[score]})
    found = difference(results, shrunk, five, score, higher=higher)
    limit = "95%" if higher else "105%"
    what = f"Five critic steps less {limit} of ten, at {steps} generator steps, {results.plan['score_label']}"
    return by_sign(found, what, five, ten)


def no_guarantee(results: Results) -> Answer:
    """Whether runs of both kinds keep their distance from a known answer to the end, in every seed."""
    name, score = results.plan["score"], results.plan["scores"][0]
    if score["higher_is_better"] or name not in results.steps:
        raise NotRecorded(f"the study's score, {results.plan['score_label']}, is no distance from a known answer")
    kinds = {
        "WGAN": side(results, "a clipped WGAN", CLIPPED),
        "WGAN-GP": side(results, "a WGAN-GP", WGAN_GP),
    }
    kept, told = [], []
    for kind, trials in kinds.items():
        ended = trials.loc[(trials["status"] == "done") & ~stopped(trials), "trial"]
        stays = [one for trial in ended if (one := _stays(results.steps, str(trial), name)) is not None]
        if not stays:
            raise NotRecorded(f"no run of {kind} has reported its distance twice in each half")
        kept.append(all(stays))
        told.append(
            f"{sum(stays)} of {len(stays)} runs of {kind} are no nearer in their second half than in their first, or "
            "than they were at first"
        )
    return (REPRODUCED if all(kept) else UNDECIDABLE), f"{'; '.join(told)}."


def _stays(steps: pd.DataFrame, trial: str, column: str) -> bool | None:
    """Whether the median distance of a run's second half is at least that of its first; None with too few reports.

    And at least the first distance of all, so that a run which arrived early and stayed there does not count.
    """
    run = steps.loc[(steps["trial"] == trial) & steps[column].notna(), ["step", column]]
    if len(run) < 4:
        return None
    late = run["step"] > run["step"].max() / 2
    if late.sum() < 2 or (~late).sum() < 2:
        return None
    first = run.sort_values("step")[column].iloc[0]
    return bool(run.loc[late, column].median() >= max(run.loc[~late, column].median(), first))
