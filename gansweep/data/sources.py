"""The data sets of images, and the names they have on the command line."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import HTTPError

import numpy as np

from gansweep.data import readers
from gansweep.data.image_source import ImageSource
from gansweep.data.readers import Rows, reading
from gansweep.data.text import TextFile
from gansweep.parts import misspelt, part

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
_FASHION_CLASSES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"


@part
class Digits(ImageSource):
    """scikit-learn's 1,797 handwritten digits, 8x8 with values 0..16, scaled to 0..255 and resized.

    The set has no test split: a seeded, stratified 20% of it are the test images.
    """

    size: int = 16
    channels: int = 1
    held_out: ClassVar[float] = 0.2

    @property
    def name(self) -> str:
        """`digits`."""
        return "digits"

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The file that scikit-learn ships."""
        spec = find_spec("sklearn")
        folder = Path(spec.origin).parent if spec and spec.origin else Path("sklearn")
        return _existing([folder / "datasets" / "data" / "digits.csv.gz"])

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """All 1,797 images: each line holds 64 pixels and the digit."""
        with reading(files[0]), gzip.open(files[0], "rt") as text:
            table = np.loadtxt(text, delimiter=",")
        pixels = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        names = tuple(str(i) for i in range(10))
        return Rows(table[:, -1].astype(np.int64), lambda: iter([pixels]), names), None


@part
class MNIST(ImageSource):
    """MNIST's 60,000 + 10,000 digits, 28x28: from `folder` (four IDX files, gzipped or not) or downloaded."""

    channels: int = 1
    folder: str | None = None

    @property
    def name(self) -> str:
        """`mnist`."""
        return "mnist"

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The four IDX files: training images and labels, test images and labels."""
        names = [f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
        if folder := self._folder():
            return [_idx_file(folder, name) for name in names]
        folder = _downloads(downloads) / self.name
        for file, md5 in self._published().resources:
            download([mirror + file for mirror in self._published().mirrors], folder / file, md5)
        return [folder / f"{name}.gz" for name in names]

    def _folder(self) -> Path | None:
        return _folder(self.folder) if self.folder else None

    def _published(self) -> Any:
        from torchvision.datasets import MNIST as Published

        return Published

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """The training and the test images."""
        train, test = readers.read_idx_pair(*files[:2]), readers.read_idx_pair(*files[2:])
        return Rows(train.labels, train.chunks, self.class_names()), test

    def class_names(self) -> tuple[str, ...]:
        """The digits."""
        return tuple(str(i) for i in range(10))


@part
class FashionMNIST(MNIST):
    """Fashion-MNIST's 60,000 + 10,000 articles, 28x28: from `folder`, Debian's package, or downloaded."""

    @property
    def name(self) -> str:
        """`fashion_mnist`."""
        return "fashion_mnist"

    def _folder(self) -> Path | None:
        if self.folder:
            return _folder(self.folder)
        return DEBIAN_FASHION_MNIST if DEBIAN_FASHION_MNIST.is_dir() else None

    def _published(self) -> Any:
        from torchvision.datasets import FashionMNIST as Published

        return Published

    def class_names(self) -> tuple[str, ...]:
        """The articles."""
        return tuple(_FASHION_CLASSES.split(","))


@part
class CIFAR10(ImageSource):
    """CIFAR-10's 50,000 + 10,000 images, 32x32.

    `folder` holds the Python version (`cifar-10-batches-py/`, its files, or the unopened
    `cifar-10-python.tar.gz`) or Parquet files; without it the archive is downloaded and its checksum
    verified.
    """

    folder: str | None = None

    @property
    def name(self) -> str:
        """`cifar10`."""
        return "cifar10"

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The batches, the archive that holds them, or the Parquet files."""
        if self.folder is None:
            from torchvision.datasets import CIFAR10 as Published

            archive = _downloads(downloads) / self.name / Published.filename
            download([Published.url], archive, Published.tgz_md5)
            return [archive]
        folder = _folder(self.folder)
        if parquet := sorted(folder.rglob("*.parquet")):
            return parquet
        if (archive := folder / "cifar-10-python.tar.gz").is_file():
            return [archive]
        batches = folder / "cifar-10-batches-py"
        return _existing([(batches if batches.is_dir() else folder) / name for name in _cifar_names()])

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """The training and the test images."""
        if files[0].suffix == ".parquet":
            train, test = _parquet_rows(files, self.size, self.channels)
        else:
            loads = [_cifar_load(files, i, name) for i, name in enumerate(_cifar_names())]
            train, test = readers.read_batches(loads[:-1]), readers.read_batches(loads[-1:])
        return Rows(train.labels, train.chunks, tuple(_CIFAR10_CLASSES.split())), test


def _cifar_names() -> list[str]:
    return [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


def _cifar_load(files: Sequence[Path], i: int, name: str) -> tuple[str, Any]:
    if files[0].name.endswith(".tar.gz"):
        return str(files[0]), partial(readers.load_tar_pickle, files[0], f"cifar-10-batches-py/{name}")
    return str(files[i]), partial(readers.load_pickle, files[i])


@part
class Parquet(ImageSource):
    """Parquet files with encoded images (Hugging Face layout): a folder, or a pattern as in `data/*.parquet`.

    Files named `train*` and `test*` (or `validation*`) are the splits; without a test file a tenth is held
    out.
    """

    path: str

    @property
    def name(self) -> str:
        """`parquet_` and the folder's name."""
        path = Path(self.path)
        return f"parquet_{_slug((path if path.is_dir() else path.parent).name)}"

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The matching files."""
        path = Path(self.path)
        if path.is_dir():
            found = sorted(path.rglob("*.parquet"))
        else:
            found = sorted(path.parent.glob(path.name)) if path.parent.is_dir() else []
        if not found:
            raise ValueError(f"{self.path} does not exist or holds no Parquet files")
        return found

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """The files of each split, in the order of their names."""
        return _parquet_rows(files, self.size, self.channels)


def _parquet_rows(files: Sequence[Path], size: int, channels: int) -> tuple[Rows, Rows | None]:
    test = [f for f in files if f.name.startswith("test")] or [f for f in files if f.name.startswith("val")]
    train = [f for f in files if f.name.startswith("train")] or [f for f in files if f not in test]
    if not train:
        raise ValueError(f"{files[0].parent} holds no training file: only {', '.join(f.name for f in files)}")
    return (
        readers.read_parquet(train, size, channels),
        readers.read_parquet(test, size, channels) if test else None,
    )


@part
class ImageFolder(ImageSource):
    """A folder with a subfolder of images per class, or with such folders in `train/`, `test/` or `val/`."""

    path: str

    @property
    def name(self) -> str:
        """`image_folder_` and the folder's name."""
        return f"image_folder_{_slug(Path(self.path).name)}"

    def _splits(self) -> tuple[Path, Path | None]:
        root = _folder(self.path)
        if not (root / "train").is_dir():
            return root, None
        test = [root / name for name in ("test", "val") if (root / name).is_dir()]
        return root / "train", test[0] if test else None

    def files(self, downloads: Path | None = None) -> list[Path]:
        """Every image file."""
        found = [path for folder in self._splits() if folder for path in readers.image_files(folder)]
        if not found:
            raise ValueError(f"{self.path} holds no image files")
        return found

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """The images by class, classes sorted by name."""
        train, test = self._splits()
        classes = sorted(p.name for p in train.iterdir() if p.is_dir() and readers.image_files(p))
        strange = sorted({p.name for p in test.iterdir() if p.is_dir()} - set(classes)) if test else []
        if strange:
            raise ValueError(f"{test} has the class {strange[0]!r}, which {train} has not")
        shape = (self.size, self.channels)
        return (
            readers.read_image_folder(train, classes, *shape),
            readers.read_image_folder(test, classes, *shape) if test else None,
        )


@part
class ImageNet32(ImageSource):
    """The official downsampled ImageNet 32x32: `train_data_batch_1` ... `_10`, `val_data`, .npz or pickles.

    Labels 1..1000 become 0..999. Pickles are read by an unpickler that can build arrays and plain values
    only.
    """

    path: str

    @property
    def name(self) -> str:
        """`imagenet32`."""
        return "imagenet32"

    def files(self, downloads: Path | None = None) -> list[Path]:
        """The training batches by number, then the validation file if there is one."""
        folder = _folder(self.path)
        batches = [p for i in range(1, 11) if (p := _npz_or_pickle(folder, f"train_data_batch_{i}"))]
        if not batches:
            raise ValueError(f"{folder / 'train_data_batch_1.npz'} does not exist")
        val = _npz_or_pickle(folder, "val_data")
        return batches + ([val] if val else [])

    def rows(self, files: Sequence[Path]) -> tuple[Rows, Rows | None]:
        """The training batches and the validation images."""
        loads: list[tuple[str, Any]] = [(str(path), _batch_load(path)) for path in files]
        has_test = files[-1].name.startswith("val_data")
        train = readers.read_batches(loads[:-1] if has_test else loads, first_label=1)
        classes = tuple(str(i) for i in range(1, 1001))
        return Rows(train.labels, train.chunks, classes), (
            readers.read_batches(loads[-1:], first_label=1) if has_test else None
        )


def _batch_load(path: Path) -> Any:
    return partial(readers.load_npz if path.suffix == ".npz" else readers.load_pickle, path)


def _npz_or_pickle(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"{name}.npz", folder / name) if p.is_file()), None)


# Where files are


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text).strip("_").lower() or "images"


def _folder(path: str) -> Path:
    if not Path(path).is_dir():
        raise ValueError(f"{path} is not a folder")
    return Path(path)


def _existing(paths: list[Path]) -> list[Path]:
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path} does not exist")
    return paths


def _idx_file(folder: Path, name: str) -> Path:
    for place in (folder, folder / "raw", folder / "MNIST" / "raw", folder / "FashionMNIST" / "raw"):
        for path in (place / f"{name}.gz", place / name):
            if path.is_file():
                return path
    raise ValueError(f"{folder / name}.gz does not exist")


def _downloads(folder: Path | None) -> Path:
    return folder or Path(os.environ.get("GANSWEEP_HOME", "gansweep-home")) / "data" / "downloads"


def download(urls: Sequence[str], path: Path, md5: str) -> None:
    """Fetch `path` from the first of `urls` that has it, unless it is there; its MD5 must be `md5`."""
    from torchvision.datasets.utils import (
        check_integrity,
        download_url,
    )

    if check_integrity(path, md5):
        return
    reason: object = None
    for url in urls:
        try:
            download_url(url, path.parent, path.name, md5)
            return
        except (OSError, RuntimeError) as error:
            reason = error
            if isinstance(error, HTTPError):
                error.close()  # or its socket stays open
    raise ValueError(f"{path.name} could not be downloaded ({reason}); give the folder that holds it instead")


# The command line's names

_NAMED: dict[str, tuple[Any, str | None]] = {
    "digits": (Digits, None),
    "mnist": (MNIST, "folder"),
    "fashion_mnist": (FashionMNIST, "folder"),
    "cifar10": (CIFAR10, "folder"),
    "parquet": (Parquet, "path"),
    "image_folder": (ImageFolder, "path"),
    "imagenet32": (ImageNet32, "path"),
    "text": (TextFile, "path"),
}


def named(
    text: str, size: int | None = None, limit: int | None = None, *, is_here: bool = True
) -> ImageSource | TextFile:
    """The data set that `--data NAME[:PATH]` means; `ValueError` for an unknown name or a missing path.

    With `is_here` False the path is one of another machine, and nothing is looked for.
    """
    name, _, path = text.partition(":")
    if name not in _NAMED:
        raise misspelt("data set", name, _NAMED)
    kind, location = _NAMED[name]
    fields: dict[str, Any] = {"limit": limit} | ({"size": size} if issubclass(kind, ImageSource) else {})
    if path and location is None:
        raise ValueError(f"data set {name!r} takes no path, so {path!r} has no meaning")
    if not path and location == "path":
        raise ValueError(f"data set {name!r} needs a path: {name}:PATH")
    if path and location:
        fields[location] = path
    source: ImageSource | TextFile = kind(**{key: value for key, value in fields.items() if value is not None})
    if path and is_here and isinstance(source, ImageSource):
        source.files()
    return source
