"""The Inception network of December 2015, the classifier of published Inception Scores, from its weights."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import torch
from torch import Tensor

from gansweep.data.cache import Images
from gansweep.data.checksums import Memo, file_sha256
from gansweep.metrics.classifier import Answers, LoadedClassifier
from gansweep.parts import part

WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"
NUM_CLASSES = 1008
NUM_FEATURES = 2048
_log = logging.getLogger(__name__)


@part
class Inception2015:
    """TensorFlow's inception-2015-12-05 graph as torch-fidelity rebuilt it: 1008 logits without the bias.

    `weights` is the path of torch-fidelity's converted file. With `download` instead it is the one in the cache of
    torch.hub, fetched from where torch-fidelity fetches it (96 MB) unless it is there, and checked against the hash in
    its name. Grey images are repeated to three channels; all are resized to 299 x 299 as TensorFlow 1 did it.
    """

    weights: str | None = None
    download: bool = False

    def __post_init__(self) -> None:
        if self.download and self.weights is not None:
            raise ValueError(f"Inception2015.download = True has no meaning with weights = {self.weights!r}")

    def check(self) -> None:
        """Raise `ValueError` if there are no weights and none will be fetched."""
        if self.weights is None and not self.download:
            raise ValueError(
                f"Inception2015 needs download=True, or weights=PATH of {WEIGHTS_FILE} from torch-fidelity's releases"
            )
        if self.weights is not None and not Path(self.weights).is_file():
            raise ValueError(f"Inception2015.weights = {self.weights!r} is not a file: get {WEIGHTS_FILE}")

    @property
    def name(self) -> str:
        """`inception_2015`."""
        return "inception_2015"

    @property
    def resize(self) -> str:
        """How images are resized for the network."""
        return "299x299 bilinear (TensorFlow 1)"

    @property
    def library(self) -> str:
        """The code that computes the logits."""
        return f"torch-fidelity {version('torch-fidelity')}"

    def prepare(
        self,
        images: Images,
        cache: Path,
        device: torch.device | str = "cpu",
        report: Callable[[str], None] = _log.info,
    ) -> Path:
        """The path of the weights; `ValueError` says how to get them if they are not there."""
        self.check()
        # workers may be in another folder
        path = _downloaded(report) if self.weights is None else Path(self.weights).resolve()
        with Memo(cache / "checksums.json") as known:
            digest = known.sha256(path)
        report(f"Inception weights {path.name}, SHA-256 {digest}")
        return path

    def load(self, path: Path, device: torch.device | str = "cpu") -> LoadedClassifier:
        """The network with the weights of that file; `ValueError` names a file that holds anything else."""
        data = path.read_bytes()
        extractor = _extractor(path, _state(path, data)).to(torch.device(device))

        def forward(images: Tensor) -> Answers:
            features, logits = extractor(images)
            return Answers(logits, features)

        return LoadedClassifier(
            forward=forward,
            name=self.name,
            hash=hashlib.sha256(data).hexdigest(),
            channels=3,
            num_classes=NUM_CLASSES,
            num_features=NUM_FEATURES,
            device=torch.device(device),
        )


def _downloaded(report: Callable[[str], None]) -> Path:
    """torch-fidelity's weights in the cache of torch.hub, as its own loading would leave them there."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3 as url

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    start_of_hash = path.stem.rpartition("-")[2]
    if path.is_file():
        if file_sha256(path).startswith(start_of_hash):
            return path
        _log.warning("%s does not match the hash in its name; downloading it again", path)
    report(f"downloading {url}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), start_of_hash, progress=False)
    except (OSError, RuntimeError) as error:
        if isinstance(error, HTTPError):
            error.close()  # or its socket stays open
        raise ValueError(f"{url} could not be downloaded ({error}): get it elsewhere and give weights=PATH") from error
    return path


def _state(path: Path, data: bytes) -> dict[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds for a damaged file; all mean the same here
        raise ValueError(f"{path} is not a file of weights: get {WEIGHTS_FILE} again") from error
    if not isinstance(state, dict) or "fc.weight" not in state:
        raise ValueError(f"{path} does not hold the weights of the 2015 Inception network")
    return state


def _extractor(path: Path, state: dict[str, Tensor]) -> Any:
    from torch_fidelity.feature_extractor_inceptionv3 import (
        FeatureExtractorInceptionV3,
    )

    # Its constructor unpickles the file it is given without restriction, so it gets a copy that we wrote
    # ourselves.
    safe = io.BytesIO()
    torch.save(state, safe)
    safe.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], safe)
    except RuntimeError as error:
        raise ValueError(f"{path} does not hold the weights of the 2015 Inception network") from error
