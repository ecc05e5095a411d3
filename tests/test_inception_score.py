"""The Inception Score: closed forms, the traps of other implementations, and the metric around it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from gansweep.data.cache import Images, to_unit
from gansweep.metrics.classifier import LoadedClassifier, TrainedClassifier
from gansweep.metrics.inception_score import InceptionScore, inception_score, real_score
from gansweep.parts import describe

CERTAIN = 1e4  # a logit so large that the softmax is exactly one-hot in float64


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.eye(num_classes)[labels] * CERTAIN


def pixel_classifier(num_classes: int = 4) -> LoadedClassifier:
    """A judge with a known answer: the class is the first pixel, and it is certain."""

    def forward(images: Tensor) -> Tensor:
        labels = images[:, 0, 0, 0].long() % num_classes
        return torch.nn.functional.one_hot(labels, num_classes).float() * CERTAIN

    return LoadedClassifier(
        forward=forward,
        name="first_pixel",
        hash="0",
        channels=1,
        num_classes=num_classes,
        device=torch.device("cpu"),
    )


def images_of(labels: Tensor) -> Tensor:
    return labels.to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)


def in_batches(samples: Tensor, size: int, _: int) -> Iterator[Tensor]:
    yield from samples.split(size)


# Closed forms


@pytest.mark.parametrize("num_classes", [2, 10, 1008])
def test_certain_predictions_over_all_classes_equally_score_the_number_of_classes(num_classes: int) -> None:
    mean, std = inception_score(one_hot(np.arange(3 * num_classes) % num_classes, num_classes))
    assert mean == pytest.approx(num_classes, rel=1e-12)
    assert std == 0


def test_samples_of_one_class_score_one() -> None:
    assert inception_score(one_hot(np.zeros(50, int), 10)) == (1.0, 0.0)


def test_equal_predictions_score_one_however_uncertain_they_are() -> None:
    assert inception_score(np.tile([0.3, -2.0, 5.0], (40, 1)))[0] == pytest.approx(1, abs=1e-12)


def test_a_collapse_to_m_classes_scores_m() -> None:
    assert inception_score(one_hot(np.arange(300) % 3, 10))[0] == pytest.approx(3)


def test_two_classes_in_unequal_shares_score_the_exponential_of_their_entropy() -> None:
    # Certain predictions: E KL(p(y|x) || p(y)) = H(p(y)) = -(.25 ln .25 + .75 ln .75)
    expected = math.exp(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))
    assert inception_score(one_hot(np.arange(400) % 4 // 3, 2))[0] == pytest.approx(expected)


def test_two_uncertain_predictions_score_what_the_formula_gives() -> None:
    # p = (.8, .2) and (.2, .8): the marginal is (.5, .5) and each KL is .8 ln 1.6 + .2 ln .4
    logits = np.log([[0.8, 0.2], [0.2, 0.8]])
    expected = math.exp(0.8 * math.log(1.6) + 0.2 * math.log(0.4))
    assert inception_score(logits)[0] == pytest.approx(expected)


def test_a_constant_added_to_all_logits_of_a_sample_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(100, 5))
    shifted = logits + rng.normal(size=(100, 1)) * 1e3
    assert inception_score(shifted)[0] == pytest.approx(inception_score(logits)[0], rel=1e-9)


@pytest.mark.parametrize(("num", "mean", "std"), [(20, 7.78, 0.87), (100, 9.56, 0.21), (500, 9.91, 0.04)])
def test_the_bias_of_small_samples_is_the_derived_one(num: int, mean: float, std: float) -> None:
    # A perfect generator of 10 classes, N samples: mean and spread over N of the score, from its derivation.
    rng = np.random.default_rng(1)
    scores = [inception_score(one_hot(rng.integers(10, size=num), 10))[0] for _ in range(400)]
    assert np.mean(scores) == pytest.approx(mean, abs=4 * std / 20 + 0.01)
    assert np.std(scores) == pytest.approx(std, rel=0.25)


@pytest.mark.parametrize("num_splits", [1, 3, 10])
def test_torch_fidelity_gives_the_same_score_for_the_same_logits(num_splits: int) -> None:
    logits = torch.randn(503, 20, generator=torch.Generator().manual_seed(0)) * 3
    theirs = isc_features_to_metric(logits, splits=num_splits, shuffle=True, rng_seed=2020)
    mean, std = inception_score(logits.numpy(), num_splits, shuffle_seed=2020)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-10)
    assert std == pytest.approx(theirs["inception_score_std"], rel=1e-8, abs=1e-12)


# Traps


@pytest.mark.parametrize(("num", "num_splits"), [(1, 1), (19, 10), (0, 1)])
def test_T_23_a_split_of_one_sample_is_refused_because_it_always_scores_one(num: int, num_splits: int) -> None:
    with pytest.raises(ValueError, match=f"{num} samples"):
        inception_score(np.zeros((num, 10)), num_splits)


def test_T_24_the_score_of_an_image_does_not_depend_on_the_batch_it_comes_in() -> None:
    torch.manual_seed(0)
    samples = torch.rand(96, 1, 8, 8) * 0.4 - 0.2
    metric = InceptionScore(num_samples=96)
    scores = []
    for size in (1, 7, 96):
        scores.append(metric.score(partial(in_batches, samples, size), pixel_classifier()))
    assert scores[0] == scores[1] == scores[2]


def test_T_24_floats_are_quantised_by_the_one_map_and_other_numbers_are_refused() -> None:
    pixels = images_of(torch.arange(64) % 4)
    metric, judge = InceptionScore(num_samples=64), pixel_classifier()
    assert metric.score(to_unit(pixels), judge) == metric.score(pixels, judge)
    with pytest.raises(ValueError, match="int64"):
        metric.score(pixels.long(), judge)


def test_T_25_the_protocol_says_which_mode_and_weights_the_generator_had() -> None:
    protocol = InceptionScore().protocol("abc", weights="ema")
    assert (protocol["generator_mode"], protocol["weights"]) == ("eval", "ema")
    with pytest.raises(ValueError, match="averaged"):
        InceptionScore().protocol("abc", weights="averaged")


def test_T_26_scores_of_other_numbers_of_samples_or_splits_have_other_protocols() -> None:
    protocols = [
        metric.protocol("abc")
        for metric in (InceptionScore(), InceptionScore(num_samples=1000), InceptionScore(num_splits=10))
    ]
    assert all(a != b for i, a in enumerate(protocols) for b in protocols[:i])


def test_T_26_few_samples_and_many_splits_score_low() -> None:
    labels = np.random.default_rng(0).integers(100, size=2000)
    one, ten = (inception_score(one_hot(labels, 100), splits)[0] for splits in (1, 10))
    assert 90 < one < 100
    assert ten < 0.9 * one


def test_T_27_class_ordered_samples_score_like_shuffled_ones() -> None:
    ordered = one_hot(np.repeat(np.arange(10), 200), 10)
    mean, _ = inception_score(ordered, num_splits=10)
    assert mean > 9.6  # without the shuffle each tenth holds one class and scores 1
    assert inception_score(ordered, 10, shuffle_seed=3) == inception_score(ordered, 10, shuffle_seed=3)
    assert inception_score(ordered, 10, shuffle_seed=3) != inception_score(ordered, 10, shuffle_seed=4)


def test_T_28_probabilities_that_underflow_to_zero_give_no_nan() -> None:
    logits = np.array([[1e30, -1e30, 0.0], [-1e30, 1e30, 0.0]] * 5, dtype=np.float32)
    assert inception_score(logits) == pytest.approx((2.0, 0.0))


def test_T_28_the_spread_of_one_split_is_zero_and_of_several_the_population_one() -> None:
    logits = np.random.default_rng(0).normal(size=(40, 5)) * 3
    assert inception_score(logits, 1)[1] == 0
    order = np.random.RandomState(0).permutation(40)
    halves = [inception_score(logits[order[a : a + 20]])[0] for a in (0, 20)]
    assert inception_score(logits, 2) == pytest.approx((np.mean(halves), abs(halves[0] - halves[1]) / 2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_are_an_error_not_a_score(bad: float) -> None:
    logits = np.zeros((10, 3))
    logits[4, 1] = bad
    with pytest.raises(ValueError, match="1 of 10 logits are not finite"):
        inception_score(logits)


# The metric


def test_T_29_the_protocol_holds_everything_that_makes_scores_comparable() -> None:
    assert InceptionScore(num_samples=500, num_splits=5, seed=3).protocol("abc") == {
        "metric": "inception_score",
        "num_samples": 500,
        "num_splits": 5,
        "shuffle_seed": 3,
        "classifier": "trained_classifier",
        "classifier_hash": "abc",
        "resize": "none",
        "dtype": "uint8 images, float32 logits, float64 score",
        "generator_mode": "eval",
        "weights": "raw",
        "library": "gansweep classifier 1",
    }


def test_exactly_the_first_samples_are_scored_and_no_more_are_drawn() -> None:
    drawn = []

    def sampler(batch_size: int) -> Iterator[Tensor]:
        while True:
            drawn.append(batch_size)
            yield images_of(torch.full((batch_size,), min(len(drawn) - 1, 3)))

    # 256 of class 0 and the first 44 of the next 256, of class 1
    score = InceptionScore(num_samples=300).score(sampler, pixel_classifier())["inception_score"]
    shares = [256 / 300, 44 / 300]
    assert score == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))
    assert drawn == [256, 256]


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="needs 2000 samples and got 8"):
        InceptionScore().score(images_of(torch.arange(8)), pixel_classifier())


def test_samples_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(ValueError, match="not finite"):
        InceptionScore(num_samples=4).score(torch.full((4, 1, 8, 8), float("nan")), pixel_classifier())


def test_real_images_score_what_a_perfect_generator_would() -> None:
    labels = torch.arange(400) % 4
    pixels = images_of(labels).numpy()
    images = Images(
        name="toy",
        train_images=pixels,
        train_labels=labels.numpy(),
        test_images=pixels[:100],
        test_labels=labels.numpy()[:100],
        classes=("a", "b", "c", "d"),
        content="0",
        size=8,
        channels=1,
    )
    metric, judge = InceptionScore(num_samples=100), pixel_classifier()
    assert real_score(metric, judge, images, "test")["inception_score"] == pytest.approx(4)
    assert 3.7 < real_score(metric, judge, images, "train")["inception_score"] < 4
    with pytest.raises(ValueError, match="needs 100"):
        real_score(metric, judge, Images(**{**vars(images), "test_images": pixels[:50]}), "test")


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"num_samples": 1}, "num_samples"), ({"num_splits": 0}, "num_splits"), ({"splits": 1}, "num_splits")],
)
def test_a_wrong_field_is_refused_when_the_metric_is_declared(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        InceptionScore(**fields)


def test_the_metric_can_be_recorded() -> None:
    assert describe(InceptionScore())["classifier"] == describe(TrainedClassifier())
