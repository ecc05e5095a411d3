"""The Inception network of December 2015, the classifier of published Inception Scores, from its weights."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gansweep.data.cache import Images
from gansweep.data.checksums import Memo
from gansweep.metrics.classifier import Answers, LoadedClassifier
from gansweep.parts import part

WEIGHTS_FILE = "weights-inception-2015-12-05-6726825d.pth"
NUM_CLASSES = 1008
NUM_FEATURES = 2048
_log = logging.getLogger(__name__)


@part
class Inception2015:
    """TensorFlow's inception-2015-12-05 graph as torch-fidelity rebuilt it: 1008 logits without the bias.

    `weights` is the path of torch-fidelity's converted file. It is never downloaded. Grey images are repeated
    to three channels; all are resized to 299 x 299 as TensorFlow 1 did it.
    """

    weights: str | None = None

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
        if self.weights is None:
            raise ValueError(
                f"Inception2015 needs weights=PATH: get {WEIGHTS_FILE} from the releases of torch-fidelity (v0.2.0)"
            )
        path = Path(self.weights)
        if not path.is_file():
            raise ValueError(f"Inception2015.weights = {self.weights!r} is not a file: get {WEIGHTS_FILE}")
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
