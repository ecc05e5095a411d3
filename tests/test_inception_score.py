"""The Inception Score: closed forms, the traps of other implementations, and the metric around it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from gansweep.data.cache import Images, to_unit
from gansweep.metrics.classifier import Answers, LoadedClassifier, TrainedClassifier
from gansweep.metrics.entropy import Predictions, inception_score
from gansweep.metrics.inception_score import InceptionScore, real_score
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.parts import describe

CERTAIN = 1e4  # a logit so large that the softmax is exactly one-hot in float64


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.eye(num_classes)[labels] * CERTAIN


def pixel_classifier(num_classes: int = 4) -> LoadedClassifier:
    """A judge with a known answer: the class is the first pixel, and it is certain."""

    def forward(images: Tensor) -> Answers:
        labels = images[:, 0, 0, 0].long() % num_classes
        return Answers(torch.nn.functional.one_hot(labels, num_classes).float() * CERTAIN, images[:, 0, 0].float())

    return LoadedClassifier(
        forward=forward,
        name="first_pixel",
        hash="0",
        channels=1,
        num_classes=num_classes,
        num_features=8,
        device=torch.device("cpu"),
    )


def images_of(labels: Tensor) -> Tensor:
    return labels.to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)


def subject_of(samples: Tensor) -> Subject:
    """Samples alone; the score looks at nothing else."""
    return Subject(samples, None, lambda x: Output(), None)


def score_of(samples: Tensor, judge: LoadedClassifier | None = None) -> float:
    return InceptionScore(num_samples=len(samples)).measure(subject_of(samples), judge or pixel_classifier())[
        "inception_score"
    ]


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


@pytest.mark.parametrize(
    ("num_classes", "num", "mean"),
    [
        *((10, n, mean) for n, mean in [(20, 7.78), (100, 9.56), (500, 9.91), (1000, 9.955), (5000, 9.991)]),
        *((1000, n, mean) for n, mean in [(20, 19.7), (100, 93.6), (500, 366.0), (1000, 564.0), (5000, 901.0)]),
    ],
)
def test_the_bias_of_small_samples_is_the_derived_one(num_classes: int, num: int, mean: float) -> None:
    # A perfect generator, N certain samples of classes drawn uniformly: the mean of the score, from its derivation.
    rng = np.random.default_rng(1)
    repeats = 400 if num_classes == 10 else max(6, 4000 // num)
    drawn = [rng.integers(num_classes, size=num) for _ in range(repeats)]
    scores = [inception_score(one_hot(labels, num_classes))[0] for labels in drawn]
    rounded = 0.5 * 10.0 ** (1 - len(f"{mean:g}".partition(".")[2])) / 10
    assert np.mean(scores) == pytest.approx(mean, abs=4 * np.std(scores) / math.sqrt(repeats) + rounded)


@pytest.mark.parametrize(("num", "std"), [(20, 0.87), (100, 0.21), (500, 0.04), (1000, 0.02), (5000, 0.004)])
def test_the_spread_of_small_samples_is_the_derived_one(num: int, std: float) -> None:
    rng = np.random.default_rng(1)
    scores = [inception_score(one_hot(rng.integers(10, size=num), 10))[0] for _ in range(400)]
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


def test_T_24_what_the_judge_says_of_an_image_does_not_depend_on_the_batch_it_comes_in() -> None:
    pixels = torch.randint(0, 256, (96, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    said = [pixel_classifier().logits(pixels, batch_size=size) for size in (1, 7, 96)]
    assert said[0].equal(said[1])
    assert said[0].equal(said[2])


def test_T_24_floats_are_quantised_by_the_one_map_and_other_numbers_are_refused() -> None:
    pixels = images_of(torch.arange(64) % 4)
    assert score_of(to_unit(pixels)) == score_of(to_unit(pixels) + 1e-4) == pytest.approx(4)
    with pytest.raises(ValueError, match="int64"):
        pixel_classifier().logits(pixels.long())


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
        "library": "gansweep classifier 2",
    }


def test_exactly_the_first_samples_are_scored() -> None:
    # of 300 samples 256 are of class 0 and 44 of class 1; what follows is of class 2
    samples = to_unit(images_of(torch.cat([torch.zeros(256), torch.ones(44), torch.full((100,), 2)])))
    score = InceptionScore(num_samples=300).measure(subject_of(samples), pixel_classifier())["inception_score"]
    shares = [256 / 300, 44 / 300]
    assert score == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)))


def test_metrics_with_one_classifier_ask_it_once_for_each_sample() -> None:
    asked = []
    judge = pixel_classifier()
    watched = dataclasses.replace(judge, forward=lambda images: asked.append(len(images)) or judge.forward(images))
    subject = subject_of(to_unit(images_of(torch.arange(40) % 4)))
    few, many = (InceptionScore(num_samples=n).measure(subject, watched) for n in (20, 40))
    assert asked == [20, 20]
    assert few == InceptionScore(num_samples=20).measure(subject, judge)
    assert many == InceptionScore(num_samples=40).measure(subject_of(subject.samples), judge)


def test_too_few_samples_are_an_error() -> None:
    with pytest.raises(ValueError, match="2000 samples are needed, and there are 8"):
        InceptionScore().measure(subject_of(to_unit(images_of(torch.arange(8)))), pixel_classifier())


# How sure the score is


def score_interval(logits: np.ndarray, num_splits: int = 1) -> tuple[float, float]:
    predicted = Predictions.of(logits)
    return predicted.interval(predicted.score(num_splits)[0], num_splits)


def test_the_interval_of_certain_predictions_is_the_closed_form() -> None:
    # m equal classes of ten, n samples: C_kk / p_k = 1 - 1/m, so the bias is (m - 1) / 2n; all divergences are log m
    m, num = 3, 600
    low, high = score_interval(one_hot(np.arange(num) % m, 10))
    reach = 1.959964 * math.sqrt(m * (1 - 1 / m) ** 2 / (2 * num**2))
    bias = (m - 1) / (2 * num)
    assert low == pytest.approx(m * math.exp(-reach), rel=1e-6)
    assert high == pytest.approx(m * math.exp(bias + bias**2 / 3 + reach), rel=1e-6)


@pytest.mark.parametrize(("num", "num_splits"), [(1_000, 1), (2_000, 1), (50_000, 10), (50_000, 1)])
def test_with_too_few_samples_for_a_thousand_classes_the_interval_reaches_to_their_number(
    num: int, num_splits: int
) -> None:
    rng = np.random.default_rng(4)
    times = 3 if num < 10_000 else 1  # fifty million logits take seconds
    found = np.array([score_interval(one_hot(rng.integers(1000, size=num), 1000), num_splits) for _ in range(times)])
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[:, 1] >= 0.998 * 1000).all()
    assert (found[:, 1] <= 1000).all()


def test_a_collapsed_generator_is_sure_to_score_one() -> None:
    assert score_interval(one_hot(np.zeros(50, int), 10)) == (1.0, 1.0)


def test_splits_widen_the_interval_upwards_because_each_is_biased_more() -> None:
    logits = np.random.default_rng(0).normal(size=(1000, 10)) * 4
    (low, high), (low_of_ten, high_of_ten) = (score_interval(logits, n) for n in (1, 10))
    assert high_of_ten - inception_score(logits, 10)[0] > high - inception_score(logits)[0]
    assert low_of_ten < low


@pytest.mark.parametrize("sharpness", [1.0, 3.0, 30.0])
@pytest.mark.parametrize("num_splits", [1, 5])
def test_the_interval_holds_the_score_of_endless_samples_and_of_other_ones_as_often_as_it_says(
    sharpness: float, num_splits: int
) -> None:
    # classes of unequal shares, predictions from vague to certain
    rng = np.random.default_rng(2)
    shares = np.array([0.3, 0.25, 0.2, 0.15, 0.1])

    def logits(num: int) -> np.ndarray:
        return (np.eye(5)[rng.choice(5, size=num, p=shares)] + 0.3 * rng.normal(size=(num, 5))) * sharpness

    limit = inception_score(logits(400_000))[0]
    same_protocol = np.mean([inception_score(logits(500), num_splits)[0] for _ in range(300)])
    found = np.array([score_interval(logits(500), num_splits) for _ in range(400)])
    # each end is one side of a 95% interval: right 97.5% of the time; 400 draws have a standard error of 0.8%
    assert (found[:, 0] <= same_protocol).mean() > 0.95
    assert (found[:, 1] >= limit).mean() > 0.95
    assert ((found[:, 0] <= limit) & (limit <= found[:, 1])).mean() > 0.92
    # and it is not wide for nothing: some are wrong, or bias alone covers it
    assert (found[:, 1] - found[:, 0]).mean() < 0.35 * limit


def test_the_share_of_classes_is_that_of_the_classes_that_samples_fill() -> None:
    assert Predictions.of(one_hot(np.arange(300) % 3, 10)).class_share == pytest.approx(0.3)
    assert Predictions.of(one_hot(np.zeros(20, int), 10)).class_share == pytest.approx(0.1)
    assert Predictions.of(np.zeros((20, 10))).class_share == pytest.approx(1)


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
