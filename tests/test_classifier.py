"""The judges: trained once and found again by checksum; the published network, really loaded."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gansweep.data.cache import Images, open_images, prepare, to_unit
from gansweep.data.sources import Digits
from gansweep.metrics.classifier import TrainedClassifier, read_meta, some_rows
from gansweep.metrics.entropy import inception_score
from gansweep.metrics.residual import Recipe, ResidualClassifier, augment, computes_bfloat16, train

QUICK = TrainedClassifier(width=4, epochs=1)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return open_images(prepare(Digits(size=16), tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


# The trained classifier


@pytest.mark.parametrize("size", [pytest.param(8, marks=pytest.mark.slow), 16])
def test_the_default_classifier_reads_the_digits(size: int, tmp_path: Path) -> None:
    digits = open_images(prepare(Digits(size=size), tmp_path))
    judge = TrainedClassifier()
    lines: list[str] = []
    path = judge.prepare(digits, tmp_path, report=lines.append)
    classifier, meta = judge.load(path), read_meta(path)
    right = classifier.logits(torch.from_numpy(digits.test_images)).argmax(1).numpy() == digits.test_labels
    assert right.mean() >= 0.97
    assert classifier.test_accuracy == pytest.approx(right.mean())
    assert meta["num_test_images"] == len(digits.test_labels)
    assert meta["sha256"] == classifier.hash
    assert meta["seconds"] > 0
    assert 8 < meta["test_inception_score"] <= 10  # ten classes: at most 10
    assert 8 < meta["train_inception_score"] <= 10
    assert "step 0 of" in lines[0]
    assert "test accuracy" in lines[-1]


def test_the_second_preparation_trains_nothing(digits: Images, tmp_path: Path) -> None:
    path = QUICK.prepare(digits, tmp_path)
    lines: list[str] = []
    assert QUICK.prepare(digits, tmp_path, report=lines.append) == path
    assert lines == []


def test_a_loaded_classifier_gives_the_same_logits_for_every_batch_size(digits: Images, cache: Path) -> None:
    classifier = QUICK.load(QUICK.prepare(digits, cache))
    images = torch.from_numpy(digits.test_images[:50])
    whole = classifier.logits(images)
    assert whole.shape == (50, 10)
    for size in (1, 7):
        assert torch.allclose(classifier.logits(images, size), whole, atol=1e-4)


def test_the_score_of_the_same_images_does_not_depend_on_the_batch_size(digits: Images, cache: Path) -> None:
    classifier = QUICK.load(QUICK.prepare(digits, cache))
    images = torch.from_numpy(digits.test_images)
    scores = [inception_score(classifier.logits(images, size).numpy())[0] for size in (1, 64, 359)]
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-5)


def test_another_seed_recipe_or_data_set_is_another_classifier(digits: Images, tmp_path: Path) -> None:
    other_data = Images(**{**vars(digits), "content": "other"})
    paths = {
        QUICK.prepare(digits, tmp_path),
        TrainedClassifier(width=4, epochs=1, seed=1).prepare(digits, tmp_path),
        TrainedClassifier(width=4, epochs=2).prepare(digits, tmp_path),
        QUICK.prepare(other_data, tmp_path),
    }
    assert len(paths) == 4
    assert len({read_meta(path)["sha256"] for path in paths}) == 3  # the same pixels train the same weights


def test_training_leaves_the_random_streams_of_trials_alone(digits: Images, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    QUICK.prepare(digits, tmp_path)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("file", ["weights.pt", "meta.json"])
def test_damaged_weights_are_named_when_loaded_and_trained_again_when_prepared(
    digits: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    path = QUICK.prepare(digits, tmp_path)
    good = QUICK.load(path).hash
    data = bytearray((path / file).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (path / file).write_bytes(data if file == "weights.pt" else data[:-5])
    with pytest.raises(ValueError, match=rf"{file}.*delete"):
        QUICK.load(path)
    with caplog.at_level(logging.WARNING):
        QUICK.prepare(digits, tmp_path)
    assert "training it again" in caplog.text
    assert QUICK.load(path).hash == good


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_weights_that_would_run_code_are_refused_even_with_a_right_checksum(digits: Images, tmp_path: Path) -> None:
    path = QUICK.prepare(digits, tmp_path)
    torch.save({"evil": Hostile(tmp_path / "it_ran")}, path / "weights.pt")
    digest = hashlib.sha256((path / "weights.pt").read_bytes()).hexdigest()
    (path / "meta.json").write_text(json.dumps({**read_meta(path), "sha256": digest}))
    with pytest.raises(pickle.UnpicklingError):
        QUICK.load(path)
    assert not (tmp_path / "it_ran").exists()


def _prepare_when_told(data: str, cache: str, start: Any, trained: Any) -> None:
    torch.set_num_threads(1)
    start.wait()
    lines: list[str] = []
    QUICK.prepare(open_images(Path(data)), Path(cache), report=lines.append)
    trained.put(len(lines))


def test_workers_that_prepare_at_once_train_once(tmp_path: Path) -> None:
    data = prepare(Digits(size=16), tmp_path)
    spawn = multiprocessing.get_context("spawn")
    start, trained = spawn.Barrier(2), spawn.Queue()
    arguments = (str(data), str(tmp_path / "cache"), start, trained)
    workers = [spawn.Process(target=_prepare_when_told, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=600)
        assert worker.exitcode == 0
    lines = sorted(trained.get(timeout=60) for _ in workers)
    assert lines[0] == 0
    assert lines[1] > 0


def test_images_of_another_kind_are_refused(digits: Images, cache: Path) -> None:
    classifier = QUICK.load(QUICK.prepare(digits, cache))
    images = torch.from_numpy(digits.test_images[:2])
    with pytest.raises(ValueError, match="float32"):
        classifier.logits(to_unit(images))
    with pytest.raises(ValueError, match="takes 1 channels, not 3"):
        classifier.logits(images.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("size", [1, 8, 12, 16, 28, 32, 50, 128])
def test_the_network_takes_every_size(size: int) -> None:
    network = ResidualClassifier(channels=3, num_classes=7, width=4, size=size)
    images = torch.zeros(2, 3, size, size)
    assert network(images).shape == (2, 7)
    assert network.features(images).shape == (2, 16)  # four times the width
    assert max(network.stages(network.stem(images)).shape[2:]) <= 4


def test_images_of_24_pixels_and_more_are_halved_at_once() -> None:
    for size, seen in [(23, 23), (24, 12), (32, 16)]:
        network = ResidualClassifier(channels=1, num_classes=2, width=4, size=size)
        assert network.stem(torch.zeros(2, 1, size, size)).shape == (2, 4, seen, seen)


def recipe_of(**changes: Any) -> Recipe:
    fields = {"epochs": 1, "max_images": 10_000, "batch_size": 128, "learning_rate": 0.1, "weight_decay": 0.0}
    return Recipe(**{**fields, "mirror": False, "bfloat16": False, "seed": 0, **changes})


def test_the_budget_of_images_bounds_the_epochs() -> None:
    recipe = recipe_of(epochs=8, max_images=400_000)
    assert recipe.num_steps(50_000) == 3125  # 8 epochs are 400,000 images
    assert recipe.num_steps(1_281_167) == 3125
    assert recipe.batch_of(1438) == 71  # a twentieth, so that an epoch has twenty steps
    assert recipe.num_steps(1438) == 163


def test_augmentation_shifts_whole_images_and_mirrors_half_of_them() -> None:
    stream = torch.Generator().manual_seed(0)
    ramp = torch.arange(16).expand(400, 2, 16, 16).contiguous()  # each row counts its columns
    shifted = augment(ramp, mirror=False, stream=stream)
    assert shifted.shape == ramp.shape
    assert set(shifted[:, 0, 0, 8].tolist()) == {7, 8, 9}  # a sixteenth of 16 pixels
    assert torch.equal(shifted[:, 0], shifted[:, 1])
    mirrored = augment(ramp, mirror=True, stream=stream)
    falling = (mirrored[:, 0, 0, 15] < mirrored[:, 0, 0, 0]).float().mean()
    assert 0.4 < falling < 0.6


def shades(num: int) -> Images:
    """4x4 images of two classes, dark and bright."""
    labels = np.arange(num) % 2
    pixels = np.repeat((labels * 100 + 50).astype(np.uint8), 16).reshape(num, 1, 4, 4)
    splits = {"train_images": pixels, "train_labels": labels, "test_images": pixels, "test_labels": labels}
    return Images(name="shades", **splits, classes=("dark", "bright"), content=f"shades{num}", size=4, channels=1)


def test_bfloat16_reaches_the_convolutions_and_leaves_float32_weights() -> None:
    torch.manual_seed(0)
    network = ResidualClassifier(channels=1, num_classes=2, width=4, size=4)
    seen: list[tuple[torch.dtype, torch.dtype]] = []
    network.stages.register_forward_hook(lambda _, __, maps: seen.append((maps.dtype, network.head.weight.dtype)))
    train(network, shades(400), recipe_of(epochs=5, bfloat16=True), torch.device("cpu"), lambda _: None)
    assert set(seen) == {(torch.bfloat16, torch.float32)}
    assert not network.training
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32, torch.int64}  # 64: batches seen
    images = torch.from_numpy(shades(2).test_images)
    assert network(to_unit(images)).argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize(("num", "width"), [(9_999, 16), (10_000, 48)])
def test_large_sets_get_a_wider_network_and_the_fast_arithmetic_of_the_cpu(
    num: int, width: int, tmp_path: Path
) -> None:
    judge = TrainedClassifier(max_images=1280)
    path = judge.prepare(shades(num), tmp_path)
    meta = read_meta(path)
    fast = num == 10_000 and computes_bfloat16(torch.device("cpu"))
    assert (meta["width"], meta["trained_in"]) == (width, "bfloat16" if fast else "float32")
    assert judge.load(path).logits(torch.from_numpy(shades(4).test_images)).dtype == torch.float32
    assert meta["cpu_seconds"] > 0


def test_bfloat16_is_for_cpus_with_matrix_units_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {"amx_bf16": has})
        assert computes_bfloat16(torch.device("cpu")) is has
        assert not computes_bfloat16(torch.device("cuda"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # a processor of another kind does not list them
    assert not computes_bfloat16(torch.device("cpu"))


def test_random_rows_are_different_sorted_and_the_same_each_time() -> None:
    rows = some_rows(100, 30, seed=1)
    assert len(set(rows.tolist())) == 30
    assert np.array_equal(rows, np.sort(rows))
    assert np.array_equal(rows, some_rows(100, 30, seed=1))
    assert len(some_rows(5, 30, seed=1)) == 5


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"width": 0}, "width"), ({"learning_rate": 0}, "learning_rate"), ({"mirror": "color"}, "colour")],
)
def test_a_wrong_field_is_refused_when_the_classifier_is_declared(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        TrainedClassifier(**fields)
