"""FID, KID, precision and recall: closed forms, torch-fidelity as the judge, and what is kept of real images."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from gansweep.data.cache import Images, prepare, to_unit
from gansweep.data.densities import GaussianRing
from gansweep.data.opened import OpenData, open_data
from gansweep.data.sources import Digits
from gansweep.metrics.classifier import LoadedClassifier, TrainedClassifier, some_rows
from gansweep.metrics.features import FeatureJudge, FeatureMetric, read_arrays
from gansweep.metrics.frechet import FID, factor, frechet_distance, moments
from gansweep.metrics.inception_score import InceptionScore
from gansweep.metrics.kernel import KID
from gansweep.metrics.neighbours import PrecisionRecall, neighbours, radii
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.parts import describe
from gansweep.trial import TrialConfig

QUICK = TrainedClassifier(width=4, epochs=1)
SMALL = {"num_samples": 300, "num_real": 400, "classifier": QUICK, "seed": 5}
METRICS = (FID(**SMALL), KID(num_subsets=5, subset_size=200, **SMALL), PrecisionRecall(**SMALL))


def exactly(mean: Any, covariance: Any, num: int = 50) -> Tensor:
    """Float64 points [num, F] whose mean and unbiased covariance are exactly these."""
    mean, covariance = torch.as_tensor(mean).double(), torch.as_tensor(covariance).double()
    x = torch.randn(num, len(mean), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x - x.mean(dim=0)
    white = torch.linalg.solve_triangular(
        torch.linalg.cholesky(torch.atleast_2d(x.T.cov())).T, x, upper=True, left=False
    )
    return white @ torch.linalg.cholesky(covariance).T + mean


def fid(features: Tensor, mean: Any, covariance: Any) -> float:
    real = factor(torch.as_tensor(covariance).double())
    return frechet_distance(features, torch.as_tensor(mean).double(), real)[0]


# The Fréchet distance


def test_two_gaussians_on_a_line_are_apart_by_their_means_and_standard_deviations() -> None:
    # (3 - 1)^2 + (2 - 0.5)^2
    assert fid(exactly([3.0], [[4.0]]), [1.0], [[0.25]]) == pytest.approx(6.25, rel=1e-12)


def test_with_commuting_covariances_every_direction_adds_its_own_distance() -> None:
    spread, other = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 0.5])
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())[0]
    samples = exactly([0.0, 0.0, 0.0], turn * spread.square() @ turn.T)
    # 1 + 0 + 2.5^2, and the means 2^2
    assert fid(samples, [2.0, 0.0, 0.0], turn * other.square() @ turn.T) == pytest.approx(4 + 7.25, rel=1e-12)


def test_covariances_that_do_not_commute_follow_the_formula_of_two_dimensions() -> None:
    s, c = torch.tensor([[2.0, 1.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    # tr M^(1/2) = (tr M + 2 det(M)^(1/2))^(1/2) for a 2 x 2 matrix M = S C: here tr 5 and det 3
    expected = 3 + 4 - 2 * math.sqrt(5 + 2 * math.sqrt(3))
    assert fid(exactly([0.0, 0.0], s), [0.0, 0.0], c) == pytest.approx(expected, rel=1e-12)


def test_samples_of_a_gaussian_approach_the_distance_of_the_gaussians() -> None:
    stream = torch.Generator().manual_seed(0)
    samples = torch.randn(200_000, 3, generator=stream) * 2 + 1
    # 3 (1^2 + (2 - 1)^2)
    assert fid(samples, torch.zeros(3), torch.eye(3)) == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize("num", [20, 64, 65, 400])
def test_the_distance_of_a_set_to_itself_is_zero_with_more_or_fewer_images_than_features(num: int) -> None:
    x = torch.rand(num, 64, generator=torch.Generator().manual_seed(0))
    own = {k: torch.from_numpy(v) for k, v in moments(iter(x.split(7))).items()}
    assert fid(x, own["mean"], own["covariance"]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("num", [30, 64, 400])
def test_the_distance_is_torch_fidelitys_for_every_number_of_samples(num: int) -> None:
    stream = torch.Generator().manual_seed(0)
    mix = torch.randn(64, 64, generator=stream)
    x, y = (torch.randn(n, 64, generator=stream) @ mix for n in (num, 500))
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (x + 1, y)), False)
    real = moments(iter([y]))
    assert fid(x + 1, real["mean"], real["covariance"]) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)


@pytest.mark.parametrize("num", [10, 200])
def test_T_31_samples_that_are_all_one_have_the_distance_of_a_point_and_no_rank(num: int) -> None:
    point = torch.full((num, 40), 0.3) + 1e-7 * torch.rand(num, 40)  # float32 arithmetic is not exact
    distance, rank = frechet_distance(point, torch.zeros(40).double(), 2 * torch.eye(40).double())
    assert distance == pytest.approx(40 * 0.3**2 + 4 * 40, rel=1e-4)  # |c - m|^2 + tr C
    assert rank == 0


@pytest.mark.parametrize(("num", "different", "rank"), [(50, 50, 49), (500, 500, 60), (500, 7, 6), (40, 2, 1)])
def test_T_31_the_rank_says_how_many_different_samples_span_the_features(num: int, different: int, rank: int) -> None:
    x = torch.rand(different, 60, generator=torch.Generator().manual_seed(0))[torch.arange(num) % different]
    distance, found = frechet_distance(x, torch.zeros(60).double(), torch.eye(60).double())
    assert found == rank
    assert 0 < distance < math.inf


def test_moments_are_those_of_the_whole_whatever_the_chunks_and_however_far_from_zero() -> None:
    x = torch.rand(101, 5, generator=torch.Generator().manual_seed(0)) + 1000
    for size in (2, 40, 101):
        found = moments(iter(x.split(size)))
        assert found["mean"] == pytest.approx(x.double().mean(dim=0).numpy(), rel=1e-14)
        assert found["covariance"] == pytest.approx(x.double().T.cov().numpy(), rel=1e-9)


# The kernel distance


def kid(samples: Tensor, real: Tensor, size: int, subsets: int = 1, seed: int = 0) -> dict[str, float]:
    metric = KID(num_samples=len(samples), num_real=len(real), num_subsets=subsets, subset_size=size, seed=seed)
    kept = {"features": real}
    derived = {k: torch.from_numpy(v) for k, v in metric.derive(kept).items()}
    return metric.score(samples, kept | derived)


def test_the_kernel_distance_of_two_points_follows_from_three_kernel_values() -> None:
    a, b = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 0.0])
    # a.a / 2 = 1, b.b / 2 = 2, a.b / 2 = 1: 2^3 + 3^3 - 2 * 2^3
    assert kid(a.expand(6, 2), b.expand(9, 2), size=4, subsets=3) == {"kid": 19, "kid_std": 0}


def test_the_estimate_leaves_out_what_a_sample_is_to_itself() -> None:
    # samples 1 and -1, real 0 and 2: k(1, -1) = 0; k(0, 2) = 1; (1 + 3^3 + 1 + (-1)^3) / 4 = 7 between
    assert kid(torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.0], [2.0]]), size=2)["kid"] == 0 + 1 - 2 * 7


def test_the_kernel_distance_is_unbiased_from_ten_samples_on() -> None:
    # For x ~ N(0, 1) and y ~ N(1, 1): E (x x' + 1)^3 = 4, E (y y' + 1)^3 = 32, E (x y + 1)^3 = 7; 4 + 32 - 2 * 7
    stream = torch.Generator().manual_seed(0)
    draws = [[torch.randn(10, 1, generator=stream) for _ in range(3)] for _ in range(500)]
    apart = np.array([kid(x, y + 1, 10)["kid"] for x, y, _ in draws])
    same = np.array([kid(x, y, 10)["kid"] for x, y, _ in draws])
    for found, expected in ((apart, 22), (same, 0)):
        assert found.mean() == pytest.approx(expected, abs=4 * found.std() / math.sqrt(len(draws)))
    assert (same < 0).any()


def test_one_subset_has_no_spread() -> None:
    x = torch.rand(20, 3)
    assert set(kid(x, x + 1, size=10, subsets=1)) == {"kid"}
    assert kid(x, x + 1, size=10, subsets=4)["kid_std"] > 0


# Neighbours


def on_a_line(*points: float) -> Tensor:
    return torch.tensor(points)[:, None]


def prdc(samples: Tensor, real: Tensor, k: int) -> list[float]:
    return list(neighbours(samples, real, radii(real, k), k).values())


def test_neighbours_on_a_line_are_as_counted_by_hand() -> None:
    # k = 1. Real balls: 0 +- 1, 1 +- 1, 3 +- 2, 13 +- 10. Sample balls: 1.5 +- 3.5, 5 +- 3.5, 30 +- 25.
    # 1.5 is in three real balls (1, 3, 13 reaches only to 3: so two), 5 in two (3 and 13), 30 in none.
    found = prdc(on_a_line(1.5, 5.0, 30.0), on_a_line(0.0, 1.0, 3.0, 13.0), k=1)
    # precision 2 of 3; recall 0, 1, 3 by the first two samples and 13 by the third; density 4 of 3;
    # covered are 1, 3 and 13, and 0 is not
    assert found == pytest.approx([2 / 3, 1, 4 / 3, 3 / 4])


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equal_sets_have_precision_recall_and_coverage_one(k: int) -> None:
    # whole numbers, so that distances are exact: every ball has its own centre and k neighbours in it
    x = torch.randint(1000, (700, 4), generator=torch.Generator().manual_seed(0)).float()
    assert prdc(x, x, k) == pytest.approx([1, 1, (k + 1) / k, 1], rel=1e-3)


def test_disjoint_sets_have_all_four_zero() -> None:
    x = torch.rand(600, 4, generator=torch.Generator().manual_seed(0))
    assert prdc(x, x + 100, k=3) == [0, 0, 0, 0]


def test_a_generator_of_one_real_image_is_precise_and_covers_only_that_neighbourhood() -> None:
    real = on_a_line(*range(0, 20, 2))  # every ball reaches to the next point
    assert prdc(real[4:5].expand(8, 1), real, k=1) == [1, 1 / 10, 3, 3 / 10]


def test_many_blocks_of_distances_give_what_all_at_once_give() -> None:
    stream = torch.Generator().manual_seed(0)
    x, y = torch.randn(1100, 5, generator=stream), torch.randn(1300, 5, generator=stream) + 0.5
    k = 4
    ball = [torch.cdist(z.double(), z.double()).sort(dim=1).values[:, k] for z in (x, y)]
    between = torch.cdist(x.double(), y.double())
    expected = [
        (between <= ball[1]).any(dim=1).double().mean().item(),
        (between <= ball[0][:, None]).any(dim=0).double().mean().item(),
        (between <= ball[1]).double().sum().item() / (k * len(x)),
        (between <= ball[1]).any(dim=0).double().mean().item(),
    ]
    assert prdc(x, y, k) == pytest.approx(expected, rel=1e-4)


def test_density_is_one_on_average_where_both_distributions_are_one() -> None:
    stream = torch.Generator().manual_seed(0)
    x, y = (torch.randn(4000, 2, generator=stream) for _ in range(2))
    assert prdc(x, y, k=5)[2] == pytest.approx(1, abs=0.05)


# The metrics on images


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> OpenData:
    source = Digits(size=16)
    return open_data(source, prepare(source, tmp_path_factory.mktemp("data")), "cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def quiet(line: str) -> None:
    pass


def judge_of(metric: FeatureMetric, data: OpenData, cache: Path) -> FeatureJudge:
    return metric.load(data, metric.prepare(data, cache, "cpu", quiet), "cpu")


def pixels_of(data: OpenData) -> Tensor:
    """A poor generator's images: real ones with noise on them, uint8 [300, 1, 16, 16]."""
    assert data.images is not None
    stream = torch.Generator().manual_seed(1)
    real = torch.from_numpy(data.images.test_images[:300]).float()
    return (real + 40 * torch.randn(real.shape, generator=stream)).clamp(0, 255).byte()


def subject_of(data: OpenData) -> Subject:
    return Subject(to_unit(pixels_of(data)), None, lambda x: Output(), data)


class Pixels(Dataset[Tensor]):
    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> Tensor:
        return self.pixels[i]


def test_torch_fidelity_gives_the_same_scores_for_the_same_images(data: OpenData, cache: Path) -> None:
    judges = [judge_of(metric, data, cache) for metric in METRICS]
    classifier = judges[0].classifier

    class SameClassifier(FeatureExtractorBase):  # type: ignore[misc]
        def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "logits", "features"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            answers = classifier.answers(images)
            return tuple(getattr(answers, name) for name in self.features_list)

    register_feature_extractor("same-classifier", SameClassifier)
    assert data.images is not None
    rows = some_rows(len(data.images.train_labels), 400, seed=5)
    theirs = calculate_metrics(
        input1=Pixels(pixels_of(data)),
        input2=Pixels(torch.from_numpy(data.images.train_images[rows])),
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="same-classifier",
        isc_splits=3,
        kid_subsets=5,
        kid_subset_size=200,
        prc_neighborhood=3,
        rng_seed=5,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    subject = subject_of(data)
    ours: dict[str, float] = InceptionScore(num_samples=300, num_splits=3, seed=5).measure(subject, classifier)
    for metric, judge in zip(METRICS, judges, strict=True):
        ours |= metric.measure(subject, judge)
    names = {
        "inception_score": "inception_score_mean",
        "inception_score_std": "inception_score_std",
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "kid_std": "kernel_inception_distance_std",
        "precision": "precision",
        "recall": "recall",
    }
    assert {name: ours[name] for name in names} == pytest.approx({k: theirs[v] for k, v in names.items()}, rel=1e-4)
    assert 0 < ours["precision"] < 1
    assert 0 < ours["recall"] < 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_column_is_there_and_no_other(metric: FeatureMetric, data: OpenData, cache: Path) -> None:
    scores = metric.measure(subject_of(data), judge_of(metric, data, cache))
    assert tuple(scores) == metric.columns
    assert all(math.isfinite(value) for value in scores.values())
    assert metric.name in metric.columns


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_scores_do_not_depend_on_the_batches_the_classifier_sees(
    metric: FeatureMetric, data: OpenData, cache: Path
) -> None:
    judge = judge_of(metric, data, cache)
    scores = [metric.score(judge.classifier.answers(pixels_of(data), n).features, judge.real) for n in (1, 37, 300)]
    for one in scores[1:]:
        assert one == pytest.approx(scores[0], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metrics_with_one_classifier_run_it_once(metric: FeatureMetric, data: OpenData, cache: Path) -> None:
    judge, seen = judge_of(metric, data, cache), []

    def counting(images: Tensor) -> Any:
        seen.append(len(images))
        return judge.classifier.forward(images)

    counted = dataclasses.replace(judge, classifier=dataclasses.replace(judge.classifier, forward=counting))
    subject = subject_of(data)
    for _ in range(2):
        metric.measure(subject, counted)
    assert sum(seen) == 300


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_reference_is_what_images_of_the_other_split_get(
    metric: FeatureMetric, data: OpenData, cache: Path
) -> None:
    assert data.images is not None
    judge = judge_of(metric, data, cache)
    reference = metric.reference(judge, data)
    rows = some_rows(len(data.images.test_labels), 300, seed=5)
    held_out = to_unit(torch.from_numpy(data.images.test_images[rows]))
    scores = metric.measure(Subject(held_out, None, lambda x: Output(), data), judge)
    assert reference["real_score"] == pytest.approx(scores[metric.name], rel=1e-4)
    assert all(f"real_{column}" in reference for column in metric.columns if column != metric.name)
    facts = {"real_images": 300, "num_real": 400, "split": "train", "num_features": judge.classifier.num_features}
    assert reference.items() >= facts.items()
    assert (reference["name"], reference["hash"]) == ("trained_classifier", judge.classifier.hash)
    poor = metric.measure(subject_of(data), judge)[metric.name]
    assert (poor < scores[metric.name]) is metric.higher_is_better


def test_fewer_held_out_images_than_samples_are_scored_as_many_as_there_are(data: OpenData, cache: Path) -> None:
    assert data.images is not None
    held_out = len(data.images.test_labels)
    for metric in (
        FID(num_samples=1000, classifier=QUICK),
        KID(num_samples=1000, num_subsets=3, subset_size=1000, classifier=QUICK),
        PrecisionRecall(num_samples=1000, num_real=500, classifier=QUICK),
    ):
        reference = metric.reference(judge_of(metric, data, cache), data)
        assert reference["real_images"] == held_out
        assert math.isfinite(reference["real_score"])
    assert reference["num_real"] == 500
    assert FID().reference_size(7) == 7
    assert KID(num_samples=1500).reference_size(10_000) == 1500


def test_the_test_images_can_be_the_reference(data: OpenData, cache: Path) -> None:
    metric = FID(num_samples=300, split="test", classifier=QUICK)
    reference = metric.reference(judge_of(metric, data, cache), data)
    assert data.images is not None
    assert reference["num_real"] == len(data.images.test_labels)
    assert reference["real_images"] == 300  # of the training images
    assert metric.measure(subject_of(data), judge_of(metric, data, cache))["fid"] > 0


# What is kept


def test_the_second_preparation_looks_at_no_image(data: OpenData, cache: Path) -> None:
    for metric in METRICS:
        path = metric.prepare(data, cache, "cpu", quiet)
        lines: list[str] = []
        assert metric.prepare(data, cache, "cpu", lines.append) == path
        assert lines == []


def test_metrics_share_the_features_of_the_same_real_images(data: OpenData, tmp_path: Path) -> None:
    KID(num_subsets=2, subset_size=50, **SMALL).prepare(data, tmp_path, "cpu", quiet)
    lines: list[str] = []
    PrecisionRecall(**SMALL).prepare(data, tmp_path, "cpu", lines.append)
    assert [line for line in lines if line.startswith("features")] == []
    assert lines[-1].startswith("300 test images of digits")
    lines.clear()
    PrecisionRecall(**{**SMALL, "num_real": 399}).prepare(data, tmp_path, "cpu", lines.append)
    assert lines[0] == "features of digits: 0 of 399 train images"


def test_other_pixels_weights_splits_numbers_and_seeds_are_other_entries(data: OpenData, cache: Path) -> None:
    assert data.images is not None
    other = dataclasses.replace(data, images=Images(**{**vars(data.images), "content": "other"}))
    small = FID(**SMALL)
    kept = {
        read_arrays(metric.prepare(one, cache, "cpu", quiet))[1]["real"]
        for metric, one in [
            (small, data),
            (small, other),
            (dataclasses.replace(small, classifier=TrainedClassifier(width=4, epochs=1, seed=1)), data),
            (dataclasses.replace(small, split="test", num_real=100), data),
            (dataclasses.replace(small, num_real=401), data),
            (dataclasses.replace(small, seed=6), data),
        ]
    }
    assert len(kept) == 6


@pytest.mark.parametrize("file", ["arrays.npz", "meta.json"])
@pytest.mark.parametrize("shared", [True, False], ids=["features", "derived"])
def test_a_damaged_entry_is_named_when_loaded_and_made_again_when_prepared(
    data: OpenData, tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, shared: bool
) -> None:
    metric = PrecisionRecall(**SMALL)
    path = metric.prepare(data, tmp_path, "cpu", quiet)
    good = metric.measure(subject_of(data), metric.load(data, path, "cpu"))
    damaged = (path.parent / read_arrays(path)[1]["real"] if shared else path) / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content if file == "arrays.npz" else content[:-5])
    with pytest.raises(ValueError, match=r"delete .* and prepare it again|delete it and prepare it again"):
        metric.load(data, path, "cpu")
    with caplog.at_level(logging.WARNING):
        assert metric.prepare(data, tmp_path, "cpu", quiet) == path
    assert "making it again" in caplog.text
    assert metric.measure(subject_of(data), metric.load(data, path, "cpu")) == good


def test_who_prepares_at_the_same_time_waits_and_looks_at_the_images_once(data: OpenData, tmp_path: Path) -> None:
    assert data.images is not None
    QUICK.prepare(data.images, tmp_path)
    start, lines = threading.Barrier(3), list[str]()

    def prepare_when_told() -> Path:
        start.wait()
        return METRICS[2].prepare(data, tmp_path, "cpu", lines.append)

    # the lock is on a file, so it holds between threads as it does between processes
    with ThreadPoolExecutor() as pool:
        told = [pool.submit(prepare_when_told) for _ in range(3)]
    assert len({one.result() for one in told}) == 1
    assert sum(line.startswith("features of digits: 0") for line in lines) == 2  # real and held-out images


# Declarations


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_protocols_differ_when_anything_does(metric: FeatureMetric) -> None:
    changes: list[dict[str, Any]] = [
        {"num_samples": 250},
        {"num_real": None},
        {"num_real": 350},
        {"split": "test"},
        {"seed": 6},
    ]
    if isinstance(metric, KID):
        changes += [{"num_subsets": 6}, {"subset_size": 100}]
    if isinstance(metric, PrecisionRecall):
        changes += [{"k": 5}]
    others = [dataclasses.replace(metric, **change).protocol("abc") for change in changes]
    protocols = [metric.protocol("abc"), metric.protocol("abd"), metric.protocol("abc", weights="ema"), *others]
    assert all(a != b for a, b in itertools.combinations(protocols, 2))
    with pytest.raises(ValueError, match="averaged"):
        metric.protocol("abc", weights="averaged")


def test_the_protocol_holds_everything_that_makes_scores_comparable() -> None:
    assert KID(num_samples=1500, split="test").protocol("abc") == {
        "metric": "kid",
        "num_samples": 1500,
        "num_real": 1500,
        "split": "test",
        "seed": 0,
        "num_subsets": 100,
        "subset_size": 1000,
        "kernel": "(x . y / F + 1)^3",
        "estimator": "unbiased",
        "dtype": "uint8 images, float32 features and kernel, float64 sums",
        "classifier": "trained_classifier",
        "classifier_hash": "abc",
        "features": "input of the classifier's last layer",
        "resize": "none",
        "generator_mode": "eval",
        "weights": "raw",
        "library": f"{QUICK.library}, gansweep features 1",
    }
    assert FID().protocol("abc")["num_real"] == "all"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_data_that_do_not_fit_are_refused_before_training(
    metric: FeatureMetric, tiny: TrialConfig, data: OpenData
) -> None:
    metric.check(tiny, data)
    with pytest.raises(ValueError, match=f"{metric.name} needs images, and gaussian_ring has none"):
        metric.check(tiny, open_data(GaussianRing(), None, "cpu"))
    many = dataclasses.replace(metric, num_real=2000)
    with pytest.raises(ValueError, match=rf"needs 2000 train images, and digits has 1438: set {type(metric).__name__}"):
        many.check(tiny, data)
    assert data.images is not None
    one = dataclasses.replace(data, images=Images(**{**vars(data.images), "test_images": data.images.test_images[:1]}))
    with pytest.raises(ValueError, match=f"needs {metric.fewest} test images, and digits has 1"):
        metric.check(tiny, one)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (FID, {"num_samples": 1}, r"FID\.num_samples = 1 must be a whole number >= 2"),
        (FID, {"num_real": 1}, r"FID\.num_real = 1"),
        (FID, {"split": "tset"}, "did you mean 'test'"),
        (FID, {"seed": -1}, r"FID\.seed = -1"),
        (KID, {"num_samples": 500}, r"KID\.subset_size = 1000 must be at most num_samples = 500"),
        (KID, {"num_real": 500}, r"KID\.subset_size = 1000 must be at most num_real = 500"),
        (KID, {"num_subsets": 0}, r"KID\.num_subsets = 0"),
        (PrecisionRecall, {"k": 0}, r"PrecisionRecall\.k = 0"),
        (PrecisionRecall, {"num_samples": 3}, r"PrecisionRecall\.num_samples = 3 must be a whole number >= 4"),
    ],
)
def test_a_wrong_field_is_refused_when_the_metric_is_declared(
    kind: type[FeatureMetric], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**fields)


def test_the_metrics_can_be_recorded() -> None:
    assert [describe(metric)["part"] for metric in METRICS] == ["FID", "KID", "PrecisionRecall"]
    assert all(describe(metric)["classifier"] == describe(QUICK) for metric in METRICS)


def test_a_judge_is_what_the_other_metrics_load(data: OpenData, cache: Path) -> None:
    judge = judge_of(METRICS[0], data, cache)
    assert isinstance(judge.classifier, LoadedClassifier)
    assert judge.classifier.hash == QUICK.load(QUICK.prepare(data.images, cache)).hash
