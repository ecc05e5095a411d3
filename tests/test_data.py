"""Every data set from tiny real files, and the cache that several processes share."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import multiprocessing
import os
import pickle
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from gansweep.data import sources
from gansweep.data.cache import open_images, prepare, to_uint8, to_unit
from gansweep.data.image_source import ImageSource, stratified_split
from gansweep.data.sources import (
    CIFAR10,
    MNIST,
    Digits,
    FashionMNIST,
    ImageFolder,
    ImageNet32,
    Parquet,
    named,
)
from gansweep.data.text import TextFile

CIFAR10_PARQUET = Path(
    os.environ.get("GANSWEEP_TEST_CIFAR10", Path(__file__).parents[2] / "shared" / "data" / "cifar10")
)


def some_images(num: int, channels: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, channels, size, size), dtype=np.uint8)


def write_idx(path: Path, array: np.ndarray, zipped: bool = True) -> None:
    data = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if zipped else data)


def mnist_folder(folder: Path, num: int = 12, zipped: bool = True) -> tuple[np.ndarray, np.ndarray]:
    images, labels = some_images(num, 1, 28)[:, 0], (np.arange(num) % 10).astype(np.uint8)
    end = ".gz" if zipped else ""
    for split, rows in (("train", slice(0, 8)), ("t10k", slice(8, num))):
        write_idx(folder / f"{split}-images-idx3-ubyte{end}", images[rows], zipped)
        write_idx(folder / f"{split}-labels-idx1-ubyte{end}", labels[rows], zipped)
    return images, labels


def cifar_folder(folder: Path, per_batch: int = 4) -> np.ndarray:
    batches = folder / "cifar-10-batches-py"
    batches.mkdir()
    images = some_images(6 * per_batch, 3, 32)
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        rows = images[i * per_batch : (i + 1) * per_batch].reshape(per_batch, -1)
        labels = [int(x) for x in np.arange(per_batch) % 10]
        (batches / name).write_bytes(pickle.dumps({"data": rows, "labels": labels}, protocol=2))
    return images


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0) if image.shape[0] == 3 else image[0]).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(
    path: Path, images: np.ndarray, labels: list[int], column: str = "img", names: tuple[str, ...] = ()
) -> None:
    cells = [{"bytes": png(image), "path": f"{i}.png"} for i, image in enumerate(images)]
    table = pa.table({column: cells, "label": labels})
    if names:
        info = {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path)


def image_folder(folder: Path, size: int = 10) -> None:
    for split, num in (("train", 3), ("val", 2)):
        for i, name in enumerate(("cat", "dog")):
            (folder / split / name).mkdir(parents=True)
            for j, image in enumerate(some_images(num, 3, size, seed=i)):
                (folder / split / name / f"{j}.png").write_bytes(png(image))


def imagenet_folder(folder: Path, npz: bool) -> np.ndarray:
    images = some_images(12, 3, 32)
    for i, name in enumerate(("train_data_batch_1", "train_data_batch_2", "val_data")):
        batch: dict[str, Any] = {"data": images[4 * i : 4 * i + 4].reshape(4, -1), "labels": [1, 2, 3, 1000]}
        if npz:
            np.savez(folder / f"{name}.npz", **batch)
        else:
            (folder / name).write_bytes(pickle.dumps({**batch, "mean": np.zeros(3072)}, protocol=4))
    return images


# The data sets


def test_digits_are_scikit_learns_scaled_to_bytes_and_split_the_same_way_each_time() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    decoded = Digits(size=8).decode()
    rows, test_rows = stratified_split(digits.target, 0.2)
    assert np.array_equal(decoded.train_images[:, 0], np.rint(digits.images[rows] * 255 / 16))
    assert np.array_equal(decoded.test_labels, digits.target[test_rows])
    assert decoded.train_images.max() == 255
    assert len(decoded.test_labels) == pytest.approx(0.2 * 1797, abs=5)


def test_a_stratified_split_takes_the_same_share_of_each_class_and_no_image_twice() -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 50, 10, 1])
    train, test = stratified_split(labels, 0.1)
    assert np.bincount(labels[test], minlength=4).tolist() == [10, 5, 1, 0]
    assert sorted([*train, *test]) == list(range(161))


@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_read_from_idx_files(tmp_path: Path, zipped: bool) -> None:
    images, labels = mnist_folder(tmp_path, zipped=zipped)
    decoded = MNIST(folder=str(tmp_path), size=28).decode()
    assert np.array_equal(decoded.train_images[:, 0], images[:8])
    assert np.array_equal(decoded.test_images[:, 0], images[8:])
    assert decoded.train_labels.tolist() == labels[:8].tolist()


def test_fashion_mnist_names_its_articles(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    assert FashionMNIST(folder=str(tmp_path)).decode().classes[9] == "Ankle boot"


@pytest.mark.parametrize("archived", [True, False])
def test_cifar10_is_read_from_the_python_batches(tmp_path: Path, archived: bool) -> None:
    images = cifar_folder(tmp_path)
    if archived:
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
            tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
        (tmp_path / "cifar-10-batches-py").rename(tmp_path / "elsewhere")
    decoded = CIFAR10(folder=str(tmp_path)).decode()
    assert np.array_equal(decoded.train_images, images[:20])
    assert np.array_equal(decoded.test_images, images[20:])
    assert decoded.classes[3] == "cat"


@pytest.mark.parametrize("column", ["img", "image"])
def test_parquet_files_are_split_by_their_names(tmp_path: Path, column: str) -> None:
    images = some_images(5, 3, 16)
    write_parquet(tmp_path / "train-00000-of-00001.parquet", images[:3], [0, 1, 1], column, ("ape", "bee"))
    write_parquet(tmp_path / "test-00000-of-00001.parquet", images[3:], [1, 0], column)
    decoded = Parquet(path=str(tmp_path), size=16).decode()
    assert np.array_equal(decoded.train_images, images[:3])
    assert np.array_equal(decoded.test_images, images[3:])
    assert decoded.train_labels.tolist() == [0, 1, 1]
    assert decoded.classes == ("ape", "bee")


def test_a_parquet_pattern_without_test_files_holds_out_a_tenth(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", some_images(30, 1, 8), [i % 2 for i in range(30)])
    decoded = Parquet(path=str(tmp_path / "*.parquet"), size=8, channels=1).decode()
    assert (len(decoded.train_labels), len(decoded.test_labels)) == (26, 4)  # 1.5 of each 15, rounded
    assert sorted(decoded.test_labels) == [0, 0, 1, 1]


def test_an_image_folder_takes_its_classes_from_the_subfolders(tmp_path: Path) -> None:
    image_folder(tmp_path)
    decoded = ImageFolder(path=str(tmp_path), size=10).decode()
    assert decoded.classes == ("cat", "dog")
    assert decoded.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert decoded.test_labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(decoded.train_images[3:], some_images(3, 3, 10, seed=1))


def test_an_image_folder_without_splits_holds_out_some_of_each_class(tmp_path: Path) -> None:
    image_folder(tmp_path)
    decoded = ImageFolder(path=str(tmp_path / "train"), size=10).decode()
    assert decoded.test_labels.tolist() == [0, 1]
    assert decoded.train_labels.tolist() == [0, 0, 1, 1]


def test_an_image_folder_refuses_a_test_class_that_is_not_trained_on(tmp_path: Path) -> None:
    image_folder(tmp_path)
    (tmp_path / "val" / "emu").mkdir()
    with pytest.raises(ValueError, match="emu"):
        ImageFolder(path=str(tmp_path)).decode()


@pytest.mark.parametrize("npz", [True, False])
def test_imagenet32_is_read_from_npz_files_and_from_pickles(tmp_path: Path, npz: bool) -> None:
    images = imagenet_folder(tmp_path, npz)
    decoded = ImageNet32(path=str(tmp_path)).decode()
    assert np.array_equal(decoded.train_images, images[:8])
    assert np.array_equal(decoded.test_images, images[8:])
    assert decoded.train_labels.tolist() == [0, 1, 2, 999] * 2
    assert len(decoded.classes) == 1000


@pytest.mark.parametrize("size", [16, 64])
def test_every_size_works_for_every_shape_of_image(tmp_path: Path, size: int) -> None:
    image_folder(tmp_path)
    (tmp_path / "train" / "cat" / "wide.png").write_bytes(png(some_images(1, 3, 20)[0, :, :9]))
    decoded = ImageFolder(path=str(tmp_path), size=size).decode()
    assert decoded.train_images.shape == (7, 3, size, size)
    assert Digits(size=size).decode().test_images.shape[1:] == (1, size, size)


def test_images_are_made_smaller_with_antialiasing(tmp_path: Path) -> None:
    # A one-pixel chessboard is grey at half its size; picking single pixels would keep it black and white.
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.stack([board] * 2))
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.stack([board] * 2))
    for split in ("train", "t10k"):
        write_idx(tmp_path / f"{split}-labels-idx1-ubyte.gz", np.zeros(2, np.uint8))
    small = MNIST(folder=str(tmp_path), size=32).decode().train_images
    assert np.abs(small.astype(float) - 127.5).max() < 20


def test_grey_images_become_three_equal_channels_and_colour_ones_grey(tmp_path: Path) -> None:
    colour = Digits(channels=3).decode().train_images
    assert np.array_equal(colour[:, 0], colour[:, 2])
    cifar_folder(tmp_path)
    assert CIFAR10(folder=str(tmp_path), channels=1).decode().train_images.shape[1] == 1


def test_a_smaller_limit_is_the_beginning_of_a_larger_one_and_the_test_images_stay() -> None:
    few, more, whole = (Digits(limit=n).decode() for n in (10, 30, None))
    assert np.array_equal(few.train_images, more.train_images[:10])
    assert np.array_equal(few.test_images, whole.test_images)
    assert len(more.train_labels) == 30
    assert len(set(more.train_labels.tolist())) > 5  # shuffled, not the first rows of the file


@pytest.mark.slow
def test_the_real_cifar10_has_its_published_counts(tmp_path: Path) -> None:
    if not CIFAR10_PARQUET.is_dir():
        pytest.skip("no CIFAR-10 here: set GANSWEEP_TEST_CIFAR10")
    images = open_images(prepare(named(f"cifar10:{CIFAR10_PARQUET}", size=32), tmp_path))
    assert images.train_images.shape == (50_000, 3, 32, 32)
    assert np.bincount(images.train_labels).tolist() == [5_000] * 10
    assert np.bincount(images.test_labels).tolist() == [1_000] * 10
    # Per-channel means of the training images, as published with many CIFAR-10 recipes: .4914 .4822 .4465
    means = images.train_images[::10].mean(axis=(0, 2, 3)) / 255
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.005)


def test_fashion_mnist_is_found_where_debian_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mnist_folder(tmp_path)
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path)
    assert FashionMNIST(size=28).decode().train_images.shape == (8, 1, 28, 28)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of `tmp_path` on this machine."""
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_downloaded_file_must_match_its_published_checksum(tmp_path: Path, site: str) -> None:
    (tmp_path / "there").write_bytes(b"data")
    (url, absent), md5 = (f"{site}/{name}" for name in ("there", "absent")), hashlib.md5(b"data").hexdigest()
    sources.download([absent, url], tmp_path / "new" / "here", md5)
    assert (tmp_path / "new" / "here").read_bytes() == b"data"
    with pytest.raises(ValueError, match="other could not be downloaded"):
        sources.download([url], tmp_path / "other", "0" * 32)


def test_a_set_too_small_to_hold_images_out_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", some_images(2, 3, 8), [0, 1])
    with pytest.raises(ValueError, match="2 training and 0 test images"):
        Parquet(path=str(tmp_path)).decode()


# What is missing or damaged is named


def test_text_is_chosen_on_the_command_line_like_images(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("one line\n" * 30)
    assert named(f"text:{file}", size=32) == TextFile(path=str(file))
    with pytest.raises(ValueError, match="needs a path: text:PATH"):
        named("text")


def test_a_missing_folder_is_named_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^/no/such/folder is not a folder$"):
        named("image_folder:/no/such/folder")
    with pytest.raises(ValueError, match="/no/such/folder"):
        named("parquet:/no/such/folder")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz does not exist"):
        named(f"mnist:{tmp_path}")


@pytest.mark.parametrize(
    ("make", "file", "source"),
    [
        (mnist_folder, "train-images-idx3-ubyte.gz", MNIST),
        (cifar_folder, "cifar-10-batches-py/data_batch_3", CIFAR10),
        (lambda folder: imagenet_folder(folder, True), "train_data_batch_2.npz", ImageNet32),
        (lambda folder: imagenet_folder(folder, False), "train_data_batch_2", ImageNet32),
        (lambda f: write_parquet(f / "a.parquet", some_images(9, 3, 8), [0] * 9), "a.parquet", Parquet),
        (image_folder, "val/dog/1.png", ImageFolder),
    ],
)
def test_a_cut_off_file_is_named_in_one_line_and_leaves_no_cache_entry(
    tmp_path: Path, make: object, file: str, source: type[ImageSource]
) -> None:
    (folder := tmp_path / "source").mkdir()
    make(folder)  # type: ignore[operator]
    data = (folder / file).read_bytes()
    (folder / file).write_bytes(data[: len(data) // 2])
    fields: dict[str, Any] = {"folder" if source in (MNIST, CIFAR10) else "path": str(folder)}
    with pytest.raises(ValueError, match=Path(file).name) as error:
        prepare(source(**fields), tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    cifar_folder(tmp_path)
    marker = tmp_path / "it_ran"
    evil = {"data": Hostile(marker), "labels": [0]}
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(evil, protocol=2))
    with pytest.raises(ValueError, match=r"data_batch_2.*mkdir"):
        CIFAR10(folder=str(tmp_path)).decode()
    assert not marker.exists()


def test_a_hostile_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    imagenet_folder(tmp_path, True)
    marker = tmp_path / "it_ran"
    evil = np.array([Hostile(marker)], dtype=object)
    np.savez(tmp_path / "train_data_batch_1.npz", data=evil, labels=evil)
    with pytest.raises(ValueError, match=r"train_data_batch_1\.npz"):
        ImageNet32(path=str(tmp_path)).decode()
    assert not marker.exists()


def test_idx_labels_that_do_not_fit_the_images_are_refused(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(7, np.uint8))
    with pytest.raises(ValueError, match="do not belong together"):
        MNIST(folder=str(tmp_path)).decode()


# Names on the command line


@pytest.mark.parametrize("text", ["digits", "mnist", "fashion_mnist", "cifar10"])
def test_a_name_gives_the_data_set_of_that_name_at_the_size_asked_for(text: str) -> None:
    source = named(text, size=64, limit=5)
    assert (source.name, source.size, source.limit) == (text, 64, 5)


def test_a_misspelt_name_is_told_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'fashion_mnist'"):
        named("fashionmnist")


@pytest.mark.parametrize(("text", "words"), [("digits:x", "takes no path"), ("parquet", "needs a path")])
def test_a_name_with_too_much_or_too_little_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        named(text)


@pytest.mark.parametrize("fields", [{"size": 0}, {"channels": 2}, {"limit": 0}, {"sise": 16}])
def test_a_wrong_field_is_refused_when_the_data_set_is_declared(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Digits(**fields)


# The cache


def test_the_second_preparation_decodes_nothing(tmp_path: Path) -> None:
    path = prepare(Digits(), tmp_path)
    before = (path / "train_images.npy").stat()
    assert prepare(Digits(), tmp_path) == path
    assert (path / "train_images.npy").stat().st_ino == before.st_ino


def test_opening_is_quick_and_copies_nothing(tmp_path: Path) -> None:
    path = prepare(Digits(), tmp_path)
    start = time.perf_counter()
    images = open_images(path)
    assert time.perf_counter() - start < 0.1  # measured 2 ms; the rest is for a busy machine
    assert isinstance(images.train_images, np.memmap)
    assert (images.name, images.size, images.channels) == ("digits", 16, 1)
    tensor = torch.from_numpy(images.train_images)  # would warn of a read-only array, which is an error here
    assert tensor.data_ptr() == images.train_images.ctypes.data


def test_writing_to_open_images_changes_nothing_on_disk(tmp_path: Path) -> None:
    path = prepare(Digits(), tmp_path)
    open_images(path).train_images[:] = 7
    assert open_images(path).train_images.max() == 255


def test_another_description_is_another_entry_and_the_same_files_elsewhere_are_the_same(
    tmp_path: Path,
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        mnist_folder(tmp_path / name)
    cache = tmp_path / "cache"
    here, there = (prepare(MNIST(folder=str(tmp_path / name)), cache) for name in ("here", "there"))
    assert here == there
    assert prepare(MNIST(folder=str(tmp_path / "here"), size=16), cache) != here


def test_changed_files_are_decoded_again_and_have_another_content_id(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    source, cache = MNIST(folder=str(tmp_path)), tmp_path / "cache"
    first = prepare(source, cache)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(8, np.uint8))
    second = prepare(source, cache)
    assert second != first
    assert open_images(second).content != open_images(first).content


@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy", "meta.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_entry_is_found_said_and_decoded_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, harm: str
) -> None:
    path = prepare(Digits(), tmp_path)
    good = open_images(path).content
    file = path / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x55
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(data if harm == "flip" else data[:-9])
    if harm == "flip" and name == "meta.json":
        file.write_bytes(b"{" + data)
    with caplog.at_level(logging.WARNING):
        assert prepare(Digits(), tmp_path) == path
    assert "damaged" in caplog.text
    assert open_images(path).content == good


def test_an_incomplete_entry_cannot_be_opened(tmp_path: Path) -> None:
    path = prepare(Digits(), tmp_path)
    (path / "test_images.npy").unlink()
    with pytest.raises(ValueError, match=str(path)):
        open_images(path)


def _prepare_when_told(folder: str, cache: str, start: object, inodes: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    path = prepare(MNIST(folder=folder, size=64), Path(cache))
    inodes.put((path / "train_images.npy").stat().st_ino)  # type: ignore[attr-defined]


def test_processes_that_prepare_at_once_decode_once(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    spawn = multiprocessing.get_context("spawn")
    start, inodes = spawn.Barrier(2), spawn.Queue()
    arguments = (str(tmp_path), str(tmp_path / "cache"), start, inodes)
    workers = [spawn.Process(target=_prepare_when_told, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    seen = {inodes.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    assert len(seen) == 1
    entries = [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    assert len(entries) == 1


def test_an_interrupted_preparation_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    path = prepare(Digits(), tmp_path)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    path.rename(partial)
    (partial / "meta.json").unlink()
    assert prepare(Digits(), tmp_path) == path
    assert not partial.exists()


# Pixels


def test_bytes_survive_the_way_to_the_unit_range_and_back() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    unit = to_unit(every)
    assert unit.dtype == torch.float32
    assert (unit.min(), unit.max()) == (-1, 1)
    assert torch.equal(to_uint8(unit), every)


def test_values_outside_the_range_are_clamped() -> None:
    assert to_uint8(torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0])).tolist() == [0, 0, 128, 255, 255]


def test_T_24_a_washed_out_batch_stays_washed_out() -> None:
    grey = torch.tensor([-0.1, 0.1])
    with_black_and_white = torch.tensor([-0.1, 0.1, -1.0, 1.0])
    assert torch.equal(to_uint8(grey), to_uint8(with_black_and_white)[:2])
    assert to_uint8(grey).tolist() == [115, 140]  # (1 -+ 0.1) * 127.5 = 114.75 and 140.25


def test_T_24_images_that_were_quantised_already_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        to_uint8(torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="float32"):
        to_unit(torch.zeros(3))


def test_samples_of_a_diverged_generator_can_be_shown() -> None:
    assert to_uint8(torch.tensor([float("nan"), float("inf"), -float("inf")])).tolist() == [0, 255, 0]
