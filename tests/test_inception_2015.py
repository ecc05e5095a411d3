"""The published network: features and logits of one pass, where its weights come from, and scores with it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as theirs

from gansweep.data.cache import Images
from gansweep.data.opened import OpenData, open_data, prepare_data
from gansweep.data.sources import Digits
from gansweep.metrics.classifier import LoadedClassifier
from gansweep.metrics.features import read_arrays
from gansweep.metrics.inception import Inception2015
from gansweep.metrics.inception_score import InceptionScore
from gansweep.metrics.kernel import KID
from tests.test_classifier import Hostile


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the layout of the published weights and random numbers in it, named by its hash."""

    class Unloaded(theirs.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *_: Any) -> None:  # keeps the random initial weights
            pass

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("inception")
    torch.save(Unloaded("random", ["logits_unbiased"], nothing).state_dict(), folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()
    return (folder / "made.pth").rename(folder / f"weights-inception-2015-12-05-{digest[:8]}.pth")


@pytest.fixture(scope="module")
def loaded(weights: Path) -> LoadedClassifier:
    return Inception2015(weights=str(weights)).load(weights)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> OpenData:
    """Four training and three test images: each takes a tenth of a second."""
    source = Digits(size=16, limit=100)
    data = open_data(source, prepare_data(source, tmp_path_factory.mktemp("data")), "cpu")
    assert data.images is not None
    fewer = {name: getattr(data.images, f"train_{name}")[:4] for name in ("images", "labels")}
    held_out = {name: getattr(data.images, f"test_{name}")[:3] for name in ("images", "labels")}
    arrays = {f"train_{k}": v for k, v in fewer.items()} | {f"test_{k}": v for k, v in held_out.items()}
    return dataclasses.replace(data, images=Images(**{**vars(data.images), **arrays, "content": "few"}))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch.hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def quiet(line: str) -> None:
    pass


# One pass


def test_one_pass_gives_2048_features_and_the_logits_that_they_make(loaded: LoadedClassifier, weights: Path) -> None:
    seen = []

    def counting(images: torch.Tensor) -> Any:
        seen.append(len(images))
        return loaded.forward(images)

    images = torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    answers = dataclasses.replace(loaded, forward=counting).answers(images)
    assert seen == [3]
    assert (answers.features.shape, answers.logits.shape) == ((3, 2048), (3, 1008))
    assert loaded.num_features == 2048
    last = torch.load(weights, weights_only=True)["fc.weight"]
    assert torch.allclose(answers.logits, answers.features @ last.T, atol=1e-5)
    assert not torch.allclose(answers.features[0], answers.features[1])


def test_features_and_logits_are_those_of_torch_fidelity(loaded: LoadedClassifier, weights: Path) -> None:
    images = torch.randint(256, (2, 3, 32, 32), generator=torch.Generator().manual_seed(1)).byte()
    extractor = theirs.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(weights))
    features, logits = extractor(images)
    answers = loaded.answers(images, batch_size=1)
    assert torch.allclose(answers.features, features, rtol=1e-4, atol=1e-6)
    assert torch.allclose(answers.logits, logits, rtol=1e-4, atol=1e-5)


# Where the weights come from


def test_a_download_is_checked_against_its_name_and_made_once(
    weights: Path, few: OpenData, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "URL_INCEPTION_V3", weights.as_uri())
    judge, lines = Inception2015(download=True), list[str]()
    assert few.images is not None
    path = judge.prepare(few.images, tmp_path, report=lines.append)
    assert path == hub / weights.name
    assert path.read_bytes() == weights.read_bytes()
    assert lines[0] == f"downloading {weights.as_uri()}"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert lines[1] == f"Inception weights {weights.name}, SHA-256 {digest}"
    lines.clear()
    monkeypatch.setattr(theirs, "URL_INCEPTION_V3", f"file:///no/such/{weights.name}")
    assert judge.prepare(few.images, tmp_path, report=lines.append) == path
    assert [line for line in lines if line.startswith("downloading")] == []


def test_a_damaged_file_in_the_cache_is_fetched_again(
    weights: Path,
    few: OpenData,
    hub: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(theirs, "URL_INCEPTION_V3", weights.as_uri())
    hub.mkdir(parents=True)
    (hub / weights.name).write_bytes(weights.read_bytes()[:-1])
    assert few.images is not None
    with caplog.at_level(logging.WARNING):
        path = Inception2015(download=True).prepare(few.images, tmp_path)
    assert "downloading it again" in caplog.text
    assert path.read_bytes() == weights.read_bytes()


def test_a_download_of_something_else_is_refused(
    few: OpenData, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    wrong.write_bytes(b"something else")
    monkeypatch.setattr(theirs, "URL_INCEPTION_V3", wrong.as_uri())
    assert few.images is not None
    with pytest.raises(ValueError, match=r"6726825d\.pth could not be downloaded \(invalid hash value.*weights=PATH"):
        Inception2015(download=True).prepare(few.images, tmp_path)
    assert list(hub.iterdir()) == []


def test_without_a_network_one_line_says_what_to_do(
    few: OpenData, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(theirs, "URL_INCEPTION_V3", f"file:///no/such/{Path(theirs.URL_INCEPTION_V3).name}")
    assert few.images is not None
    with pytest.raises(ValueError, match=r"6726825d\.pth could not be downloaded .*weights=PATH") as caught:
        Inception2015(download=True).prepare(few.images, tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"needs download=True, or weights=PATH of .*6726825d\.pth"):
        Inception2015().prepare(few.images, tmp_path)


def test_a_path_and_a_download_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"download = True has no meaning with weights = 'here\.pth'"):
        Inception2015(weights="here.pth", download=True)


def test_a_relative_path_is_found_by_workers_in_another_folder(
    weights: Path, few: OpenData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    assert few.images is not None
    assert Inception2015(weights=weights.name).prepare(few.images, tmp_path) == weights.resolve()


# Scores


def test_the_features_of_real_images_outlive_a_move_of_the_weights(
    weights: Path, few: OpenData, tmp_path: Path
) -> None:
    metric = KID(num_samples=3, num_subsets=2, subset_size=2, classifier=Inception2015(weights=str(weights)))
    path = metric.prepare(few, tmp_path / "cache", "cpu", quiet)
    judge = metric.load(few, path, "cpu")
    reference = metric.reference(judge, few)
    assert (reference["name"], reference["num_features"]) == ("inception_2015", 2048)
    assert reference["hash"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert math.isfinite(reference["real_score"])
    moved = shutil.copy(weights, tmp_path / "moved.pth")
    lines: list[str] = []
    elsewhere = dataclasses.replace(metric, classifier=Inception2015(weights=str(moved)))
    again = elsewhere.prepare(few, tmp_path / "cache", "cpu", lines.append)
    assert [line for line in lines if line.startswith("features")] == []
    assert read_arrays(again)[1]["facts"] == read_arrays(path)[1]["facts"]
    assert read_arrays(again)[1]["classifier"] == str(moved)


def test_the_protocol_names_the_network_and_how_it_resizes() -> None:
    protocol = KID(classifier=Inception2015(download=True)).protocol("abc")
    assert protocol["classifier"] == "inception_2015"
    assert protocol["resize"].startswith("299x299")
    assert protocol["library"].startswith("torch-fidelity")


# What the loaded network answers


def test_the_published_layout_is_loaded_without_a_download(few: OpenData, weights: Path, tmp_path: Path) -> None:
    images = few.images
    assert images is not None
    judge = Inception2015(weights=str(weights))
    classifier = judge.load(judge.prepare(images, tmp_path))
    grey = torch.from_numpy(images.test_images[:3])
    logits = classifier.logits(grey)
    assert logits.shape == (3, 1008)
    assert torch.allclose(logits, classifier.logits(grey.expand(-1, 3, -1, -1)), atol=1e-5)
    assert classifier.hash == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_the_published_logits_leave_the_bias_of_the_last_layer_out(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    torch.save({**state, "fc.bias": state["fc.bias"] + 100}, tmp_path / "shifted.pth")
    image = torch.arange(3 * 32 * 32).reshape(1, 3, 32, 32).byte()
    judge = Inception2015()
    shifted, plain = judge.load(tmp_path / "shifted.pth"), judge.load(weights)
    assert torch.allclose(shifted.logits(image), plain.logits(image))
    assert shifted.hash != plain.hash


def test_the_score_of_the_published_network_says_so_in_its_protocol(weights: Path) -> None:
    protocol = InceptionScore(classifier=Inception2015(weights=str(weights))).protocol("abc")
    assert protocol["classifier"] == "inception_2015"
    assert protocol["resize"].startswith("299x299")
    assert protocol["library"].startswith("torch-fidelity")


@pytest.mark.parametrize("path", [None, "/no/such/file.pth"])
def test_missing_weights_are_an_error_that_says_which_file_to_get(
    few: OpenData, tmp_path: Path, path: str | None
) -> None:
    assert few.images is not None
    with pytest.raises(ValueError, match=r"weights-inception-2015-12-05-6726825d\.pth"):
        Inception2015(weights=path).prepare(few.images, tmp_path)


def test_a_file_that_is_no_network_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    judge = Inception2015(weights=str(path))
    path.write_bytes(b"not weights")
    with pytest.raises(ValueError, match=str(path)):
        judge.load(path)
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match=str(path)):
        judge.load(path)


def test_an_inception_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"fc.weight": Hostile(tmp_path / "it_ran")}, path)
    with pytest.raises(ValueError, match=str(path)):
        Inception2015(weights=str(path)).load(path)
    assert not (tmp_path / "it_ran").exists()
