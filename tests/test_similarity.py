"""MS-SSIM of images whose value is known, and the diversity of generators that were planned."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gansweep.data.cache import Images
from gansweep.data.densities import SwissRoll
from gansweep.data.opened import OpenData, open_data
from gansweep.data.sources import Digits
from gansweep.data.training_set import ImageSet
from gansweep.metrics.similarity import ClassSimilarity, class_similarity, ms_ssim, num_scales
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.parts import override
from gansweep.trial import TrialConfig

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first


def flat(value: float, size: int) -> Tensor:
    return torch.full((1, 1, size, size), value)


def chess(mean: float, amplitude: float, size: int, square: int = 1) -> Tensor:
    """A chessboard of mean +- amplitude."""
    field = torch.arange(size) // square
    return mean + amplitude * (1 - 2 * ((field[:, None] + field) % 2)).view(1, 1, size, size).float()


def some_images(num: int, size: int, channels: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num, channels, size, size), dtype=torch.uint8, generator=generator)


# The measure


@pytest.mark.parametrize(
    ("size", "scales"), [(10, 0), (11, 1), (16, 1), (28, 2), (32, 2), (64, 3), (88, 4), (176, 5), (999, 5)]
)
def test_there_are_as_many_scales_as_hold_a_window_of_eleven_pixels(size: int, scales: int) -> None:
    assert num_scales(size) == scales


@pytest.mark.parametrize("size", [11, 16, 32, 64, 176])
def test_identical_images_have_similarity_one_and_the_order_does_not_matter(size: int) -> None:
    x, y = some_images(2, size, 3), some_images(2, size, 3, seed=1)
    assert ms_ssim(x, x).tolist() == pytest.approx([1, 1])
    assert ms_ssim(flat(0, size), flat(0, size)).item() == pytest.approx(1)
    assert ms_ssim(x, y).tolist() == pytest.approx(ms_ssim(y, x).tolist())
    assert (ms_ssim(x, y) < 0.5).all()


@pytest.mark.parametrize(("size", "scales"), [(16, 1), (32, 2), (64, 3), (176, 5)])
def test_flat_images_differ_in_the_luminance_of_the_coarsest_scale_alone(size: int, scales: int) -> None:
    luminance = (2 * 50 * 200 + C1) / (50**2 + 200**2 + C1)
    weight = WEIGHTS[scales - 1] / sum(WEIGHTS[:scales])
    assert ms_ssim(flat(50, size), flat(200, size)).item() == pytest.approx(luminance**weight)


@pytest.mark.parametrize(("size", "scales"), [(32, 2), (64, 3), (176, 5)])
def test_fine_chessboards_differ_in_the_contrast_of_the_finest_scale_alone(size: int, scales: int) -> None:
    # a 2 x 2 mean wipes them out; within the window their variance is the amplitude squared
    contrast = (2 * 20 * 80 + C2) / (20**2 + 80**2 + C2)
    weight = WEIGHTS[0] / sum(WEIGHTS[:scales])
    got = ms_ssim(chess(100, 20, size), chess(100, 80, size)).item()
    assert got == pytest.approx(contrast**weight, rel=1e-4)


def test_chessboards_of_two_pixels_keep_their_contrast_for_one_scale_more() -> None:
    # at 64 pixels there are three scales; halved once it is the fine chessboard, whose variance is flat
    x, y = chess(100, 20, 64, 2), chess(100, 80, 64, 2)
    contrast = (2 * 20 * 80 + C2) / (20**2 + 80**2 + C2)
    weights = np.array(WEIGHTS[:3]) / sum(WEIGHTS[:3])
    # on the finest scale the windowed mean is not flat, so it is within the amplitudes' contrast, not equal to it
    assert ms_ssim(x, y).item() == pytest.approx(contrast ** weights[:2].sum(), rel=0.02)


def test_an_inverted_image_has_similarity_zero() -> None:
    x = chess(127.5, 100, 32)
    assert ms_ssim(x, 255 - x).item() == 0


def test_channels_count_equally() -> None:
    x, y = some_images(5, 32, 3), some_images(5, 32, 3, seed=1)
    y[:, 0] = x[:, 0]
    y[:, 1] = x[:, 1] // 2
    single = [ms_ssim(x[:, c : c + 1], y[:, c : c + 1]) for c in range(3)]
    assert single[0].tolist() == pytest.approx([1] * 5)
    assert ms_ssim(x, y).tolist() == pytest.approx(torch.stack(single).mean(dim=0).tolist())


def test_the_value_is_that_of_the_published_formula_pixel_by_pixel() -> None:
    # one scale, one place: the weighted moments of an 11 x 11 image, in float64
    x, y = some_images(1, 11).double(), some_images(1, 11, seed=1).double() * 0.5 + 20
    one = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = torch.from_numpy(np.outer(one, one) / np.outer(one, one).sum())
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy, cov = (
        (window * a * b).sum() - ma * mb for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
    )
    exact = (2 * mx * my + C1) / (mx**2 + my**2 + C1) * (2 * cov + C2) / (vx + vy + C2)
    assert ms_ssim(x, y).item() == pytest.approx(max(0.0, exact.item()))
    assert ms_ssim(x, x // 2 + y / 4).item() > 0.3


def test_images_below_the_window_are_refused() -> None:
    with pytest.raises(ValueError, match="MS-SSIM needs images of 11x11 pixels, not 10x10"):
        ms_ssim(flat(0, 10), flat(0, 10))


# Within a class


def test_each_class_is_compared_with_itself() -> None:
    # class 0 is one image again and again, class 1 is flat black or white, class 2 is noise
    one, noise = some_images(1, 16), some_images(20, 16, seed=1)
    flats = torch.cat([flat(0, 16), flat(255, 16)]).byte()
    pixels = torch.cat([one.repeat(5, 1, 1, 1), flats, noise])
    labels = np.repeat([0, 1, 2], [5, 2, 20])
    order = np.random.default_rng(0).permutation(len(labels))
    got = class_similarity(pixels[order], labels[order], 3, 30, seed=0)
    # two images make one pair, black and white: the luminance is C1 / (255^2 + C1)
    assert got[:2] == pytest.approx([1, C1 / (255**2 + C1)])
    assert got[2] < 0.1


def test_pairs_are_of_different_images_and_all_occur() -> None:
    # four flat greys: six kinds of pairs, equally likely
    pixels = torch.cat([flat(v, 16) for v in (0, 10, 255, 245)]).byte()
    kinds = [ms_ssim(pixels[a : a + 1], pixels[b : b + 1]).item() for a, b in itertools.combinations(range(4), 2)]
    got = class_similarity(pixels, np.zeros(4, int), 1, 3000, seed=0)[0]
    assert got == pytest.approx(np.mean(kinds), abs=4 * np.std(kinds) / math.sqrt(3000))


def test_the_pairs_of_a_class_do_not_depend_on_the_other_classes() -> None:
    pixels = some_images(40, 16)
    alone = class_similarity(pixels[:20], np.zeros(20, int), 1, 10, seed=5)
    both = class_similarity(pixels, np.repeat([0, 1], 20), 2, 10, seed=5)
    assert both[0] == alone[0]
    assert class_similarity(pixels[:20], np.zeros(20, int), 1, 10, seed=6) != alone
    # nor are they the same places in each class
    same = class_similarity(pixels[:20].repeat(2, 1, 1, 1), np.repeat([0, 1], 20), 2, 10, seed=5)
    assert same[0] != same[1]


def test_a_class_of_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="needs two images, and class 1 has 1"):
        class_similarity(some_images(4, 16), np.array([0, 0, 0, 1]), 2, 10, seed=0)


# The metric


def data_of(pixels: Tensor, labels: np.ndarray, num_classes: int) -> OpenData:
    images = Images(
        name="made",
        train_images=pixels.numpy(),
        train_labels=labels,
        test_images=pixels.numpy()[:1],
        test_labels=labels[:1],
        classes=tuple("abcdef"[:num_classes]),
        content="made up",
        size=pixels.shape[2],
        channels=pixels.shape[1],
    )
    return OpenData(Digits(), "made", "made up", ImageSet(pixels, torch.from_numpy(labels), num_classes), images)


def unlike(num: int, share: float, seed: int) -> Tensor:
    """Images that have a share of noise over one grey pattern: the less noise, the more alike."""
    noise = some_images(num, 16, seed=seed).float()
    return (share * noise + (1 - share) * chess(127, 100, 16, 4)).byte()


# classes a and b: alike and less alike
REAL = data_of(torch.cat([unlike(50, 0.3, 1), unlike(50, 0.6, 2)]), np.repeat([0, 1], 50), 2)
METRIC = ClassSimilarity(num_samples=100, pairs_per_class=50)


@functools.cache
def judge_of_real() -> Any:
    with tempfile.TemporaryDirectory() as cache:
        return METRIC.load(REAL, METRIC.prepare(REAL, Path(cache), "cpu", lambda line: None), "cpu")


def measured(a: float, b: float) -> dict[str, float]:
    """The columns for a generator that has these shares of noise in its classes."""
    samples = torch.stack([unlike(50, a, 3), unlike(50, b, 4)], dim=1).flatten(0, 1)
    subject = Subject(samples / 127.5 - 1, torch.arange(100) % 2, lambda x: Output(), REAL)
    return METRIC.measure(subject, judge_of_real())


def test_a_generator_of_one_image_per_class_has_similarity_one() -> None:
    assert measured(0, 0) == {
        "ms_ssim": pytest.approx(1),
        "less_diverse_than_class": 1.0,
        "less_diverse_than_any": 1.0,
    }


def test_the_two_shares_compare_with_the_own_class_and_with_the_least_diverse_one() -> None:
    shares = [
        {k: v for k, v in measured(*noise).items() if k != "ms_ssim"} for noise in ((0.5, 0.8), (0.5, 0.5), (0.2, 0.5))
    ]
    # more noise than the real images in both classes; class b below its own and above class a; class a below both
    assert [one["less_diverse_than_class"] for one in shares] == [0, 0.5, 1]
    assert [one["less_diverse_than_any"] for one in shares] == [0, 0, 0.5]


def test_the_reference_is_the_similarity_of_the_real_images() -> None:
    judge = judge_of_real()
    reference = METRIC.reference(judge, REAL)
    assert judge[0] > judge[1]
    assert reference["real_score"] == pytest.approx(judge.mean())
    assert reference["real_least_diverse"] == judge[0]
    assert reference["num_scales"] == 1
    # a generator like the data gets about as much
    assert measured(0.3, 0.6)["ms_ssim"] == pytest.approx(reference["real_score"], abs=0.05)
    assert METRIC.protocol(reference["hash"])["images"] == "made up"


def test_only_the_first_samples_count_and_too_few_are_refused() -> None:
    judge, pixels, labels = judge_of_real(), unlike(101, 0.5, 7), torch.arange(101) % 2
    assert METRIC.score(pixels, labels, judge) == METRIC.score(pixels[:100], labels[:100], judge)
    with pytest.raises(ValueError, match="ms_ssim needs 100 samples and got 99"):
        METRIC.score(pixels[:99], labels[:99], judge)


@pytest.fixture(scope="module")
def conditional(tiny: TrialConfig) -> TrialConfig:
    return override(tiny, {"generator.condition": "input"})


def test_what_cannot_be_measured_is_refused_before_training(tiny: TrialConfig, conditional: TrialConfig) -> None:
    METRIC.check(conditional, REAL)
    for metric, config, data, words in [
        (METRIC, tiny, REAL, "needs a generator that is asked for a class"),
        (METRIC, conditional, open_data(SwissRoll(), None, "cpu"), "needs images, and swiss_roll has none"),
        (
            METRIC,
            conditional,
            data_of(some_images(4, 10), np.arange(4) % 2, 2),
            "images of 11 pixels or more, and made has 10",
        ),
        (dataclasses.replace(METRIC, num_samples=3), conditional, REAL, "two samples of each of 2 classes"),
        (METRIC, conditional, data_of(some_images(3, 16), np.array([0, 1, 0]), 2), "two images of class 'b'"),
    ]:
        with pytest.raises(ValueError, match=words):
            metric.check(config, data)


def test_wrong_fields_are_named() -> None:
    with pytest.raises(ValueError, match=r"ClassSimilarity\.pairs_per_class = 0 must be a whole number >= 1"):
        ClassSimilarity(pairs_per_class=0)
    assert not ClassSimilarity().higher_is_better
