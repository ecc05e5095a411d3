"""A laboratory for GAN stability.

The names here are what a study file may import; each is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "data.sources": "CIFAR10 Digits FashionMNIST ImageFolder ImageNet32 MNIST Parquet",
    "losses.constraints": "GradientPenalty WeightClip",
    "losses.objectives": "LeastSquares Minimax NonSaturating Wasserstein",
    "metrics.classifier": "TrainedClassifier",
    "metrics.inception": "Inception2015",
    "metrics.inception_score": "InceptionScore",
    "models.dcgan": "DCGANDiscriminator DCGANGenerator",
    "optimizers": "Adam RMSProp",
    "sections": "Audit Confounders FactorEffects OutcomeFlow OutcomeTable PairedScores Ranking SampleGrids "
    "ScoreCurves Survival",
    "space": "choice integers log_uniform uniform",
    "stability": "BelowScore Collapsed DeadGradient Diverged Exploding",
    "study": "Preset Study",
    "trial": "Latent TrialConfig",
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'gansweep' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gansweep.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
