"""A laboratory for GAN stability.

The names here are what a study file may import; each is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "claim_sections": "Claims FreeChoices PublishedNumbers",
    "data.densities": "GaussianGrid GaussianRing ParallelLines SwissRoll TwoCircles TwoGaussians",
    "data.planted": "SpoiltRing",
    "data.sources": "CIFAR10 Digits FashionMNIST ImageFolder ImageNet32 MNIST Parquet",
    "data.stacked": "StackedDigits",
    "data.text": "GeneratedSentences TextFile",
    "effect_sections": "ArmsByFactor FactorEffects Interactions Power SeedVariance WhileRunning",
    "initialisation": "HeNormal HeUniform NormalWeights OrthogonalWeights ScaledUniform UniformWeights",
    "losses.conditional": "ACGAN",
    "losses.constraints": "DRAGANPenalty GradientPenalty WeightClip ZeroCentredPenalty",
    "losses.energy": "BEGAN EBGAN",
    "losses.infogan": "InfoGAN",
    "losses.objectives": "Hinge LeastSquares Minimax NonSaturating Wasserstein",
    "losses.semi_supervised": "CatGAN ImprovedGAN SGAN Supervised",
    "metrics.classifier": "TrainedClassifier",
    "metrics.distances": "DensityDivergence EarthMover",
    "metrics.frechet": "FID",
    "metrics.inception": "Inception2015",
    "metrics.inception_score": "InceptionScore",
    "metrics.kernel": "KID",
    "metrics.labels": "DiscriminatorAccuracy RequestedLabelAccuracy",
    "metrics.modes": "ModeCoverage StackedModes",
    "metrics.neighbours": "PrecisionRecall",
    "metrics.ngrams": "NGramDivergence",
    "metrics.similarity": "ClassSimilarity",
    "models.acgan": "ACGANDiscriminator ACGANGenerator",
    "models.autoencoder": "ConvAutoEncoder MLPAutoEncoder",
    "models.began": "BEGANDiscriminator BEGANGenerator",
    "models.bottleneck": "BottleneckDiscriminator BottleneckGenerator",
    "models.cgan": "CGANDiscriminator CGANGenerator",
    "models.char_cnn": "CharCNNDiscriminator CharCNNGenerator",
    "models.dcgan": "DCGANDiscriminator DCGANGenerator",
    "models.fixed": "FixedAt RealPlusNoise",
    "models.infogan": "InfoGANDiscriminator InfoGANGenerator",
    "models.lsgan": "LSGANDiscriminator LSGANGenerator ManyClassDiscriminator ManyClassGenerator",
    "models.mlp": "MLPDiscriminator MLPGenerator",
    "models.mnist": "MNISTDiscriminator MNISTGenerator",
    "models.resnet": "ResNetDiscriminator ResNetGenerator",
    "optimizers": "Adam RMSProp RMSPropTF SGD",
    "portrait_sections": "BetweenGaussians Convergence GradientNorms ModesOverTime ParallelDistances ValueSurfaces "
    "WeightShapes",
    "portraits": "ActivationGradients CriticSurface EstimatedDivergences SampleClouds WeightHistograms",
    "recipes": "DRAGAN GAN_MIXTURE LSGAN LSGAN_BASELINE LSGAN_MIXTURE LSGAN_RMSPROP "
    "RANDOM_ARCHITECTURE_LABELS RANDOM_ARCHITECTURES RANDOM_GAN RANDOM_WGAN_GP STANDARD_GAN WGAN_CLIP "
    "WGAN_CLIP_TF WGAN_GP WGAN_GP_HALF WGAN_GP_TOY",
    "schedules": "ExponentialDecay LinearDecay MomentumRamp StepDecay",
    "sections": "Audit Confounders OutcomeFlow OutcomeTable PairedScores Ranking SampleGrids ScoreCurves "
    "Stability Survival Traces VerdictMatrix",
    "space": "choice either integers log_uniform uniform",
    "stability": "BelowScore Collapsed Diverged Exploding Frozen ModeDropping NotLearning Oscillating Saturated "
    "detectors",
    "strategies": "GP Grid Hyperband Median NSGA2 RandomSearch Sobol TPE Wilcoxon",
    "study": "Preset Resources Study",
    "trial": "Latent TrialConfig",
    "tuning_sections": "Importance ParetoFront SearchHistory",
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'gansweep' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gansweep.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
