"""File formats as labelled images: IDX, Python pickles (restricted), npz, Parquet and image folders.

A reader checks what it reads and names the file in a one-line `ValueError` when it is missing or damaged. It
gives `Rows`: every label at once (small) and the images in chunks (large), so that no set has to fit into
memory.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
_IDX_UINT8 = 0x08
_CHUNK = 1024


@dataclass(frozen=True)
class Rows:
    """One split as read: `labels` int64 [N]; `chunks()` yields the images in order, uint8 [n, C, H, W]."""

    labels: NDArray[np.int64]
    chunks: Callable[[], Iterator[NDArray[np.uint8]]]
    classes: tuple[str, ...] = ()


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn whatever a damaged file raises into one `ValueError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename or path} does not exist") from error
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, SyntaxError) as error:
        raise _damaged(path, error) from error
    except (zlib.error, zipfile.BadZipFile, tarfile.TarError, pickle.UnpicklingError, struct.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path | str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(reason if str(path) in reason else f"{path} cannot be read as data: {reason}")


def fit(image: Image.Image, size: int, channels: int) -> NDArray[np.uint8]:
    """The largest centred square, resized with antialiasing (bilinear): uint8 [channels, size, size]."""
    image = image.convert("L" if channels == 1 else "RGB")
    if image.width != image.height:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if image.width != size:
        # Pillow widens the filter when it shrinks an image, which is the antialiasing.
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def fit_all(images: NDArray[np.uint8], size: int, channels: int) -> NDArray[np.uint8]:
    """`fit` over uint8 [n, C, H, W] with C 1 or 3; images of the right shape are returned as they are."""
    if images.shape[1:] == (channels, size, size):
        return images
    grey = images.shape[1] == 1
    pixels = images[:, 0] if grey else np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    fitted = np.empty((len(images), channels, size, size), np.uint8)
    for i, image in enumerate(pixels):
        fitted[i] = fit(Image.fromarray(image), size, channels)
    return fitted


# IDX (MNIST, Fashion-MNIST)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, gzipped or not: two zero bytes, type, rank, big-endian sizes, data."""
    with reading(path):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read()
        zero, kind, rank = struct.unpack(">HBB", data[:4])
        if zero != 0 or kind != _IDX_UINT8:
            raise ValueError("not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
        values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
        if values.size != np.prod(shape):
            raise ValueError(f"{values.size} bytes of data, but its header promises {np.prod(shape)}")
        return values.reshape(shape)


def read_idx_pair(images: Path, labels: Path) -> Rows:
    """Images [N, H, W] and labels [N] from two IDX files."""
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or classes.ndim != 1 or len(pixels) != len(classes):
        raise ValueError(f"{images} has shape {pixels.shape} and {labels} {classes.shape}: they do not belong together")
    return Rows(classes.astype(np.int64), lambda: iter([pixels[:, None]]))


# Python pickles (CIFAR-10, ImageNet 32x32)


def _latin1(text: str, encoding: str) -> bytes:
    # Python 3 writes bytes into old pickle protocols as _codecs.encode(text, "latin1"); no other codec is
    # reachable.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"codec {encoding!r} is not allowed in a data file")
    return text.encode("latin1")


_array_parts: Any = np.zeros(1).__reduce__()
_frombuffer: Any = np.zeros(1).__reduce_ex__(5)[0]
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _array_parts[0] for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
}


class ArraysOnly(pickle.Unpickler):
    """An unpickler that builds arrays, lists, dicts, numbers, strings and bytes, and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """The allowed object of that name; `UnpicklingError` for any other."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays and plain values are read")
        return _ALLOWED[module, name]


def read_pickle(file: IO[bytes]) -> dict[str, Any]:
    """The dict in a pickle of arrays and plain values; keys as text."""
    value = ArraysOnly(file, encoding="latin1").load()
    if not isinstance(value, dict):
        raise ValueError(f"holds a {type(value).__name__}, not a dict")
    return {key.decode() if isinstance(key, bytes) else str(key): item for key, item in value.items()}


def flat_rgb(data: Any) -> NDArray[np.uint8]:
    """uint8 [N, 3·S·S] with all red values first, as CIFAR and ImageNet 32x32 store it -> [N, 3, S, S]."""
    array = np.asarray(data)
    side = round((array.shape[-1] / 3) ** 0.5) if array.ndim == 2 else 0
    if array.dtype != np.uint8 or array.ndim != 2 or 3 * side * side != array.shape[1]:
        raise ValueError(f"its data are {array.dtype} {array.shape}, not uint8 [N, 3*S*S]")
    return array.reshape(-1, 3, side, side)


def read_batches(opened: Sequence[tuple[str, Callable[[str], Any]]], first_label: int = 0) -> Rows:
    """Files of `data` and `labels`, one after the other, each as (its path, how to read a key)."""

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for path, load in opened:
            with reading(path):
                images = flat_rgb(load("data"))
            yield images

    labels = []
    for path, load in opened:
        with reading(path):
            labels.append(np.asarray(load("labels"), dtype=np.int64).reshape(-1) - first_label)
    return Rows(np.concatenate(labels), chunks)


def load_pickle(path: Path, key: str) -> Any:
    """One value of a pickled dict, by `read_pickle`."""
    with path.open("rb") as file:
        return read_pickle(file)[key]


def load_tar_pickle(archive: Path, member: str, key: str) -> Any:
    """One value of a pickled dict inside an archive, without unpacking anything to disk."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile(member)
        if file is None:
            raise ValueError(f"{member} is not a file")
        return read_pickle(io.BytesIO(file.read()))[key]


def load_npz(path: Path, key: str) -> NDArray[Any]:
    """One array of an npz file; object arrays, which are pickles, are refused."""
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
        array: NDArray[Any] = arrays[key]
        return array


# Parquet (Hugging Face layout)


def read_parquet(files: Sequence[Path], size: int, channels: int) -> Rows:
    """Columns `image` or `img` ({bytes, path}) and `label`; class names from the file where it has them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels, columns = [], []
    classes: tuple[str, ...] = ()
    for path in files:
        with reading(path):
            schema = pq.read_schema(path)
            columns.append(_only(schema.names, ("image", "img")))
            table = pq.read_table(path, columns=[_only(schema.names, ("label", "labels", "fine_label"))])
            if not pa.types.is_integer(table.schema.types[0]) or table.column(0).null_count:
                raise ValueError("its labels are not whole numbers")
            labels.append(table.column(0).to_numpy().astype(np.int64))
            classes = classes or _parquet_classes(schema.metadata or {}, table.schema.names[0])

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for path, column in zip(files, columns, strict=True):
            with reading(path):
                yield from _parquet_images(pq.ParquetFile(path), column, size, channels)

    return Rows(np.concatenate(labels), chunks, classes)


def _only(names: Sequence[str], wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in names:
            return name
    raise ValueError(f"no column {' or '.join(map(repr, wanted))}; it has {', '.join(names)}")


def _parquet_classes(metadata: dict[bytes, bytes], column: str) -> tuple[str, ...]:
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    return tuple(features.get(column, {}).get("names", ()))


def _parquet_images(file: Any, column: str, size: int, channels: int) -> Iterator[NDArray[np.uint8]]:
    for batch in file.iter_batches(batch_size=_CHUNK, columns=[column]):
        rows = batch.column(0).to_pylist()
        encoded = [row["bytes"] if isinstance(row, dict) else row for row in rows]
        yield np.stack([fit(Image.open(io.BytesIO(data)), size, channels) for data in encoded])


# Image folders


def read_image_folder(folder: Path, classes: Sequence[str], size: int, channels: int) -> Rows:
    """Image files in the subfolders of `folder` that `classes` names, sorted by path."""
    files = [(path, i) for i, name in enumerate(classes) for path in image_files(folder / name)]
    if not files:
        raise ValueError(f"{folder} holds no images: it needs a subfolder of images for each class")

    def one(path: Path) -> NDArray[np.uint8]:
        with reading(path), Image.open(path) as image:
            return fit(image, size, channels)

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(files), _CHUNK):
            yield np.stack([one(path) for path, _ in files[start : start + _CHUNK]])

    return Rows(np.array([label for _, label in files], dtype=np.int64), chunks, tuple(classes))


def image_files(folder: Path) -> list[Path]:
    """All image files under `folder`, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
