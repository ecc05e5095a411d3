"""Judges of the claims on least squares: without batch norm (S12), the mixture (S13) and the codings (S14)."""

from __future__ import annotations

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
    NotRecorded,
    Share,
    difference,
    share,
    side,
)
from gansweep.intervals import mcnemar
from gansweep.page import Results

GAN = {"loss": ("NonSaturating", "Minimax"), "constraint": None}
LSGAN = {"loss": "LeastSquares", "constraint": None}
CLASSIC, PEARSON = {"loss.a": 0.0, "loss.b": 1.0, "loss.c": 1.0}, {"loss.a": -1.0, "loss.b": 1.0, "loss.c": 0.0}
BATCH_NORM = {
    "none in G": "not_in_G",
    "none at all": "neither",
    "everywhere": "both",
}  # levels of studies/lsgan_codings
SEEDS = 10  # the agreements ask for so many seeds


def _higher(results: Results) -> bool:
    return bool(results.plan["scores"][0]["higher_is_better"])


def _sides(results: Results, batch_norm: str, optimizer: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The GAN's and the LSGAN's trials at one place of the grid. Of two codings 0/1/1 is taken, the usual one."""
    place: dict[str, Any] = {"batch norm": BATCH_NORM[batch_norm], "optimiser used": optimizer}
    where = f"with batch norm {batch_norm} and {optimizer}"
    gan = side(results, f"a GAN {where}", {**GAN, **place})
    return gan, side(results, f"an LSGAN, 0/1/1, {where}", {**LSGAN, **CLASSIC, **place})


def _pairs(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The blocks of both: columns a, b, 1 where trained, 0 where not, NaN where stopped, lost or not ended."""
    frames = [one.assign(known=comparing.trained(one)).set_index(["cell", "seed"])["known"] for one in (a, b)]
    return pd.concat(frames, axis=1, keys=["a", "b"], join="inner")


def _trains_in(known: pd.Series) -> tuple[str, Share, Share]:
    """In how many of all seeds training succeeds, in words, and the shares if what is open failed, or succeeded."""
    least, most = (share(known.fillna(value).sum(), len(known)) for value in (0.0, 1.0))
    return str(least) + ("" if least == most else f", or up to {most}"), least, most


def trains_more_often(results: Results) -> Answer:
    """LSGAN against the GAN without batch norm in G, with Adam: exact McNemar test over ten seeds or more.

    A seed of which an outcome is not known counts against the judgement.
    """
    pairs = _pairs(*_sides(results, "none in G", "Adam"))
    (gan, *_), (lsgan, *_) = (_trains_in(pairs[name]) for name in "ab")
    ends = {}
    for judgement, of_gan, of_lsgan in ((REPRODUCED, 1.0, 0.0), (CONTRADICTED, 0.0, 1.0)):
        a, b = pairs["a"].fillna(of_gan), pairs["b"].fillna(of_lsgan)
        ends[judgement] = int((a > b).sum()), int((b > a).sum())
    told = f"LSGAN trains in {lsgan} seeds, the GAN in {gan}; exact McNemar p = " + " or ".join(
        dict.fromkeys(f"{mcnemar(*counts):.2g}" for counts in ends.values())
    )
    if few := _too_few(len(pairs)):
        return UNDECIDABLE, f"{told}. {few}"
    for judgement, sign in ((REPRODUCED, 1), (CONTRADICTED, -1)):
        only_gan, only_lsgan = ends[judgement]
        if sign * (only_lsgan - only_gan) > 0 and mcnemar(only_gan, only_lsgan) < 0.05:
            return judgement, f"{told}."
    return UNDECIDABLE, f"{told}."


def _too_few(num: int) -> str:
    return "" if num >= SEEDS else f"The agreement asks for {SEEDS} seeds."


def both_train(results: Results) -> Answer:
    """Without batch norm in G, with RMSProp: both shares against one half."""
    pairs = _pairs(*_sides(results, "none in G", "RMSProp"))
    (gan, gan_least, gan_most), (lsgan, lsgan_least, lsgan_most) = (_trains_in(pairs[name]) for name in "ab")
    told = f"LSGAN trains in {lsgan} seeds, the GAN in {gan}."
    if few := _too_few(len(pairs)):
        return UNDECIDABLE, f"{told} {few}"
    if min(gan_most.high, lsgan_most.high) < 0.5:
        return CONTRADICTED, told
    return (REPRODUCED if min(gan_least.low, lsgan_least.low) > 0.5 else UNDECIDABLE), told


def both_collapse_slightly(results: Results) -> Answer:
    """Without any batch norm, with Adam: diversity against the same network with batch norm.

    The two placements share no seed, so their runs are paired by number, which leaves the interval valid.
    """
    bare, whole = _sides(results, "none at all", "Adam"), _sides(results, "everywhere", "Adam")
    column, told, found = _diversity(results), [], []
    for name, without, with_it in zip(("GAN", "LSGAN"), bare, whole, strict=True):
        aligned = [_by_number(one) for one in (without, with_it)]
        loss = difference(results, aligned[0], aligned[1], column)
        found.append(loss)
        told.append(f"{name}, with batch norm less without, {column}: {loss}")
    text = "; ".join(told) + "."
    if any(loss.worse for loss in found):
        return CONTRADICTED, text
    return (REPRODUCED if all(loss.better for loss in found) else UNDECIDABLE), text


def _diversity(results: Results) -> str:
    for column in ("modes_captured", "mode_share", "class_share"):
        if column in results.trials and results.trials[column].notna().any():
            return column
    raise NotRecorded("the study records neither modes nor a share of classes at the end of a trial")


def _by_number(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with the number of their seed as their block: cells that differ in a factor have other seeds."""
    return trials.assign(cell="c000", seed=trials["position"].rank(method="first").astype(int))


def higher_without_any(results: Results) -> Answer:
    """Without any batch norm, with RMSProp: LSGAN's score against the GAN's."""
    gan, lsgan = _sides(results, "none at all", "RMSProp")
    found = difference(results, gan, lsgan, results.plan["score"], higher=_higher(results))
    told = f"LSGAN less GAN, {results.plan['score_label']}: {found}."
    if few := _too_few(found.num):
        return UNDECIDABLE, f"{told} {few}"
    if comparing.nothing_trained(gan, lsgan):
        return UNDECIDABLE, f"{told} {NOTHING_TRAINS}"
    return (REPRODUCED if found.better else CONTRADICTED if found.worse else UNDECIDABLE), told


# ------------------------------------------------------------------------------------------ S13: the mixture


def covers_the_modes(results: Results) -> Answer:
    """Modes captured at the end, LSGAN less GAN, and whether LSGAN has all of them in most seeds."""
    gan, lsgan = side(results, "a GAN", GAN), side(results, "an LSGAN", {**LSGAN, **CLASSIC})
    found = difference(results, gan, lsgan, "modes_captured")
    modes = _num_modes(results)
    captured, _ = comparing.values(results, lsgan, "modes_captured")
    whole = share(float((captured >= modes).sum()), len(captured))
    told = f"Modes of {modes}, LSGAN less GAN: {found}; LSGAN captures all in {whole} seeds."
    if few := _too_few(found.num):
        return UNDECIDABLE, f"{told} {few}"
    if found.worse:
        return CONTRADICTED, told
    return (REPRODUCED if found.better and whole.count > whole.num / 2 else UNDECIDABLE), told


def _num_modes(results: Results) -> int:
    known = (results.plan.get("baseline") or {}).get("data.num_modes")
    if known is None:
        raise NotRecorded("the design card does not say how many modes the data have")
    return int(known)


# ------------------------------------------------------------------------------------------ S14: the codings


def codings_alike(results: Results) -> Answer:
    """Whether the interval of the paired difference of the codings lies within 5% of their mean score."""
    classic, pearson = _codings(results)
    found = difference(results, classic, pearson, results.plan["score"], higher=_higher(results))
    both = np.concatenate([comparing.values(results, one, results.plan["score"])[0] for one in (classic, pearson)])
    if not np.isfinite(both).any():
        return UNDECIDABLE, "No run of either coding has a score."
    if comparing.nothing_trained(classic, pearson):
        return UNDECIDABLE, "Neither coding trains in any run, and what learns nothing is alike."
    limit = 0.05 * abs(float(both[np.isfinite(both)].mean()))
    told = f"-1/1/0 less 0/1/1, {results.plan['score_label']}: {found}; 5% of the mean score is {limit:.3g}."
    if found.low > limit or found.high < -limit:
        return CONTRADICTED, told
    return (REPRODUCED if -limit <= found.low and found.high <= limit else UNDECIDABLE), told


def pearson_better(results: Results) -> Answer:
    """The paired difference of the codings against 0."""
    classic, pearson = _codings(results)
    found = difference(results, classic, pearson, results.plan["score"], higher=_higher(results))
    told = f"-1/1/0 less 0/1/1, {results.plan['score_label']}: {found}."
    if comparing.nothing_trained(classic, pearson):
        return UNDECIDABLE, f"{told} {NOTHING_TRAINS}"
    return (REPRODUCED if found.better else CONTRADICTED if found.worse else UNDECIDABLE), told


def _codings(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        side(results, "an LSGAN with the coding 0/1/1", {**LSGAN, **CLASSIC}),
        side(results, "an LSGAN with the coding -1/1/0", {**LSGAN, **PEARSON}),
    )
