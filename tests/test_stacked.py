"""Stacks of three digits: how they are made, and how many a generator leaves out."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gansweep.data.cache import Images, open_images, prepare, to_unit
from gansweep.data.image_source import Decoded
from gansweep.data.opened import OpenData, open_data, prepare_data
from gansweep.data.sources import Digits, FashionMNIST
from gansweep.data.stacked import StackedDigits, single_digits, single_labels, stacked_label
from gansweep.metrics.classifier import Answers, LoadedClassifier, TrainedClassifier
from gansweep.metrics.modes import StackedModes, StackJudge
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.parts import override
from gansweep.trial import TrialConfig

STACKS = StackedDigits(digits=Digits(size=8), num_images=500)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> OpenData:
    path = prepare_data(STACKS, tmp_path_factory.mktemp("cache"))
    return open_data(STACKS, path, "cpu")


def images_of(data: OpenData) -> Images:
    assert data.images is not None
    return data.images


# The data


def test_the_class_is_the_number_that_the_three_digits_spell() -> None:
    digits = np.array([[0, 0, 0], [0, 0, 7], [4, 2, 0], [9, 9, 9]])
    assert stacked_label(digits, 10).tolist() == [0, 7, 420, 999]
    assert single_labels(np.array([0, 7, 420, 999]), 10).tolist() == digits.tolist()
    assert stacked_label(np.array([[1, 0, 2]]), 3).tolist() == [11]


def test_each_channel_is_a_digit_of_its_class_and_of_its_split(stacks: OpenData) -> None:
    images, digits = images_of(stacks), STACKS.digits.decode()
    assert images.train_images.shape == (500, 3, 8, 8)
    assert images.test_images.shape == (100, 3, 8, 8)
    assert images.classes == tuple(f"{i:03}" for i in range(1000))
    for split in ("train", "test"):
        known = {
            pixels.tobytes(): label
            for pixels, label in zip(
                getattr(digits, f"{split}_images"), getattr(digits, f"{split}_labels"), strict=True
            )
        }
        for stack, label in zip(getattr(images, f"{split}_images"), getattr(images, f"{split}_labels"), strict=True):
            assert f"{label:03}" == "".join(str(known[channel.tobytes()]) for channel in stack)


def test_digits_are_drawn_independently_and_equally_often() -> None:
    many = dataclasses.replace(STACKS, num_images=30_000).decode()
    digits = single_labels(many.train_labels, 10)
    assert len(np.unique(many.train_labels)) == 1000  # each is expected 30 times
    shares = np.stack([np.bincount(channel, minlength=10) for channel in digits.T]) / len(digits)
    assert shares == pytest.approx(np.full((3, 10), 0.1), abs=0.012)
    together = np.histogram2d(digits[:, 0], digits[:, 1], bins=10)[0] / len(digits)
    assert together == pytest.approx(np.outer(shares[0], shares[1]), abs=0.004)


def test_the_same_description_gives_the_same_stacks_and_another_seed_others(stacks: OpenData, tmp_path: Path) -> None:
    again = open_images(prepare(STACKS, tmp_path))
    assert again.content == stacks.content
    assert np.array_equal(again.train_images, images_of(stacks).train_images)
    other = open_images(prepare(dataclasses.replace(STACKS, seed=1), tmp_path))
    assert other.content != stacks.content
    assert not np.array_equal(other.train_labels, again.train_labels)


def test_a_set_larger_than_a_block_is_written_whole_and_the_same_in_memory_and_on_disk(tmp_path: Path) -> None:
    large = dataclasses.replace(STACKS, num_images=2500)
    in_memory = large.decode()
    on_disk = open_images(prepare(large, tmp_path))
    for name in [field.name for field in dataclasses.fields(Decoded) if field.name != "classes"]:
        assert np.array_equal(getattr(in_memory, name), getattr(on_disk, name))
    assert in_memory.train_images.reshape(7500, -1).any(axis=1).all()  # no image was left empty


def test_it_trains_like_any_set_of_images(stacks: OpenData) -> None:
    described = stacks.describe()
    assert described["name"] == "stacked_digits"
    assert (described["shape"], described["classes"], described["images"]) == ([3, 8, 8], 1000, 500)
    batch = stacks.training.rows(torch.tensor([4, 2]))
    assert batch.x.equal(to_unit(torch.from_numpy(images_of(stacks).train_images[[4, 2]])))


def test_the_size_is_that_of_the_digits_and_cannot_be_said_twice() -> None:
    assert override(STACKS, {"digits.size": 12}).size == 12
    assert override(STACKS, {"digits.size": 12}).decode().train_images.shape == (500, 3, 12, 12)
    with pytest.raises(ValueError, match="field of StackedDigits 'size' does not exist"):
        StackedDigits(size=12)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"digits": Digits(channels=3)}, "must be grey images: channels=1"),
        ({"digits": "mnist"}, "StackedDigits.digits = 'mnist' must be grey images"),
        ({"num_images": 0}, "StackedDigits.num_images = 0 must be a whole number >= 1"),
        ({"seed": 0.5}, "StackedDigits.seed = 0.5 must be a whole number"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StackedDigits(**fields)


def test_any_grey_set_can_be_stacked() -> None:
    fashion = StackedDigits(digits=FashionMNIST(folder="somewhere"))
    assert fashion.name == "stacked_fashion_mnist"
    assert fashion.size == 32
    with pytest.raises(ValueError, match="somewhere is not a folder"):
        fashion.files()


def test_the_digits_of_the_stacks_are_each_there_once_with_their_class(stacks: OpenData) -> None:
    single = single_digits(images_of(stacks))
    source = STACKS.digits.decode()
    known = {pixels.tobytes(): label for pixels, label in zip(source.train_images, source.train_labels, strict=True)}
    found = {pixels.tobytes(): label for pixels, label in zip(single.train_images, single.train_labels, strict=True)}
    assert len(found) == len(single.train_labels) > 800  # of 1,438, 1,500 draws find about 65%
    assert found.items() <= known.items()
    assert (single.channels, single.size, single.classes) == (1, 8, tuple("0123456789"))
    assert single.content != stacks.content


# The count of modes

# grey level 25 d is the digit d; a classifier that is sure of it, or not sure at all
LEVELS = 25


def grey_classifier(sure: float) -> LoadedClassifier:
    """Gives the digit of the grey level the probability `sure`, and the other nine the rest; level 255 is even."""

    def forward(images: Tensor) -> Answers:
        level = images[:, 0, 0, 0].long()
        right = F.one_hot((level // LEVELS).clamp(max=9), 10).double()
        probability = torch.where(level[:, None] == 255, 0.1, right * sure + (1 - right) * (1 - sure) / 9)
        return Answers(probability.log(), right)

    return LoadedClassifier(forward, "grey", "hash", 1, 10, 10, torch.device("cpu"), 0.99)


UNIFORM = torch.full((1000,), 1e-3, dtype=torch.float64)


def stack(*numbers: str) -> Tensor:
    """uint8 [n, 3, 4, 4] whose channels have the grey levels of these digits; "x" is a channel of no digit."""
    levels = [[255 if digit == "x" else LEVELS * int(digit) for digit in number] for number in numbers]
    return torch.tensor(levels, dtype=torch.uint8)[:, :, None, None].expand(-1, -1, 4, 4)


def counted(pixels: Tensor, weights: Tensor = UNIFORM, sure: float = 0.99, **fields: Any) -> dict[str, float]:
    return StackedModes(num_samples=len(pixels), **fields).score(pixels, StackJudge(grey_classifier(sure), weights))


def test_every_stack_once_is_every_mode_in_balance() -> None:
    got = counted(stack(*(f"{i:03}" for i in range(1000))))
    assert got == {
        "stacked_modes": 1000.0,
        "stacked_mode_share": 1.0,
        "stacked_high_quality": 1.0,
        "stacked_reverse_kl": pytest.approx(0, abs=1e-12),
    }


def test_one_stack_is_one_mode_at_a_divergence_of_log_1000() -> None:
    got = counted(stack(*["417"] * 50))
    assert got == {
        "stacked_modes": 1.0,
        "stacked_mode_share": 0.001,
        "stacked_high_quality": 1.0,
        "stacked_reverse_kl": pytest.approx(math.log(1000)),
    }


def test_the_order_of_the_channels_makes_another_mode() -> None:
    got = counted(stack("123", "321", "213", "123"))
    assert got["stacked_modes"] == 3
    # shares 1/2, 1/4, 1/4 against 1/1000 each
    assert got["stacked_reverse_kl"] == pytest.approx(math.log(1000) - 1.5 * math.log(2))


def test_a_frequent_stack_may_be_generated_frequently() -> None:
    weights = torch.full((1000,), 0.25 / 999, dtype=torch.float64)
    weights[321] = 0.75
    got = counted(stack("321", "321", "321", "123"), weights)
    assert got["stacked_reverse_kl"] == pytest.approx(0.25 * math.log(0.25 / (0.25 / 999)))


def test_a_sample_of_high_quality_is_sure_in_each_of_its_channels() -> None:
    pixels = stack("123", "12x", "xxx", "456")
    assert counted(pixels)["stacked_high_quality"] == 0.5
    assert counted(pixels, sure=0.89)["stacked_high_quality"] == 0
    assert counted(pixels, sure=0.89, confidence=0.88)["stacked_high_quality"] == 0.5
    assert counted(pixels, confidence=0)["stacked_high_quality"] == 1
    # what is not of high quality counts as the class it resembles most
    assert counted(pixels)["stacked_modes"] == 4


def test_only_the_first_samples_count_and_too_few_are_refused() -> None:
    metric, judge = StackedModes(num_samples=2), StackJudge(grey_classifier(0.99), UNIFORM)
    assert metric.score(stack("123", "321", "213"), judge)["stacked_modes"] == 2
    with pytest.raises(ValueError, match="stacked_modes needs 2 samples and got 1"):
        metric.score(stack("123"), judge)


def test_a_trials_samples_are_measured(stacks: OpenData) -> None:
    samples = to_unit(stack("123", "321"))
    subject = Subject(samples, None, lambda x: Output(), stacks)
    judge = StackJudge(grey_classifier(0.99), UNIFORM)
    assert StackedModes(num_samples=2).measure(subject, judge)["stacked_modes"] == 2


def test_real_stacks_are_found_by_the_classifier_of_their_channels(tmp_path: Path) -> None:
    part = StackedDigits(digits=Digits(size=8), num_images=6000)
    data = open_data(part, prepare_data(part, tmp_path), "cpu")
    metric = StackedModes(classifier=TrainedClassifier(width=4, epochs=4), num_samples=8000)
    path = metric.prepare(data, tmp_path, "cpu", lambda line: None)
    judge = metric.load(data, path, "cpu")
    assert judge.weights.sum().item() == pytest.approx(1)
    assert judge.weights.min() > 0.0005
    reference = metric.reference(judge, data)
    assert reference["test_accuracy"] > 0.9
    assert reference["real_images"] == 6000
    assert reference["real_score"] > 980  # of 1,000, 6,000 draws find 997.5
    assert reference["real_stacked_mode_share"] == reference["real_score"] / 1000
    # (M - 1) / 2n = 0.083 for the draws, and a little for the classifier's mistakes
    assert 0.06 < reference["real_stacked_reverse_kl"] < 0.15
    assert reference["hash"] == metric.protocol(reference["hash"])["classifier_hash"] == judge.classifier.hash
    # half of the digits: an eighth of the modes
    images = images_of(data)
    few = (single_labels(images.train_labels, 10) < 5).all(axis=1)
    got = dataclasses.replace(metric, num_samples=int(few.sum())).score(
        torch.from_numpy(images.train_images[few]), judge
    )
    assert 0.1 < got["stacked_mode_share"] < 0.25
    assert got["stacked_reverse_kl"] > 1.7  # log 8 = 2.08, less the mistakes


def test_other_data_are_refused_before_training(tiny: TrialConfig, stacks: OpenData, tmp_path: Path) -> None:
    metric = StackedModes()
    metric.check(tiny, stacks)
    digits = open_data(Digits(size=8), prepare_data(Digits(size=8), tmp_path), "cpu")
    with pytest.raises(ValueError, match="stacked_modes needs StackedDigits, and digits is another data set"):
        metric.check(tiny, digits)
    few = dataclasses.replace(STACKS, num_images=2)
    with pytest.raises(ValueError, match="needs every digit in stacked_digits: raise num_images"):
        metric.check(tiny, open_data(few, prepare_data(few, tmp_path), "cpu"))


def test_wrong_fields_of_the_metric_are_named() -> None:
    with pytest.raises(ValueError, match=r"StackedModes\.confidence = 1\.5 must be a number from 0 to 1"):
        StackedModes(confidence=1.5)
    with pytest.raises(ValueError, match=r"StackedModes\.num_samples = 0 must be a whole number >= 1"):
        StackedModes(num_samples=0)
