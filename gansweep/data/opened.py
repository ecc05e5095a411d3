"""A data set as a process holds it: images from the cache, densities and text as they are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gansweep.data.cache import Images, open_images, prepare
from gansweep.data.image_source import ImageSource
from gansweep.data.text import TextFile
from gansweep.data.training_set import ImageSet, TrainingSet


@dataclass(frozen=True)
class OpenData:
    """A data set's part, what the loop trains on (on the device), and the images where it is a set of images."""

    part: Any
    name: str
    content: str
    training: TrainingSet
    images: Images | None = None

    def describe(self) -> dict[str, Any]:
        """What the records say of it."""
        described: dict[str, Any] = {"name": self.name, "content": self.content, "shape": list(self.training.shape)}
        if self.images is not None:
            described |= {"images": len(self.images.train_labels), "size": self.images.size}
            described |= {"channels": self.images.channels}
        elif self.training.num_rows is not None:
            described["examples"] = self.training.num_rows
        return described | {"classes": self.training.num_classes}


def prepare_data(part: Any, cache: Path, *, verify: bool = True) -> Path | None:
    """Decode a set of images into the cache unless it is there, or find a text file; a density needs nothing: None.

    `ValueError` names what is missing or damaged.
    """
    if isinstance(part, TextFile):
        return Path(part.path).resolve()  # workers may be in another folder
    return prepare(part, cache, verify=verify) if isinstance(part, ImageSource) else None


def open_data(part: Any, path: Path | None, device: torch.device | str) -> OpenData:
    """Open what `prepare_data` returned."""
    if isinstance(part, TextFile):
        part = dataclasses.replace(part, path=str(path))
    if not isinstance(part, ImageSource):
        return OpenData(part, part.name, part.content(), part.open(device))
    assert path is not None
    images = open_images(path)
    training = ImageSet(
        torch.from_numpy(images.train_images).to(device),
        torch.from_numpy(images.train_labels).to(device),
        len(images.classes),
    )
    return OpenData(part, images.name, images.content, training, images)
