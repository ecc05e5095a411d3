"""How each objective is published: the fields that its authors set besides data, networks and length.

A recipe is a frozen mapping of fields of `TrialConfig`: loss, constraint, critic steps, order of the updates and both
optimisers. A study unpacks it, `**WGAN_GP`, into its baseline and into its arms, and what follows in the same brackets
changes it. The tag behind a source is that of `gansweep.evidence`: P was read in the paper, C in its authors' code, and
a free choice is in neither. `gansweep.published` holds the same numbers as data, and a test compares them.

The set that the random architectures are drawn from is published too, so it stands here, as the `space` of a study.

Networks are not part of a recipe, though some go with it: the penalty wants a discriminator without batch
normalisation, so the papers give WGAN-GP layer normalisation in its place (`discriminator.norm="layer"`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gansweep.losses.constraints import DRAGANPenalty, GradientPenalty, WeightClip
from gansweep.losses.objectives import LeastSquares, NonSaturating, Wasserstein
from gansweep.optimizers import Adam, RMSProp, RMSPropTF
from gansweep.space import Space, choice

Recipe = Mapping[str, Any]


def _recipe(
    loss: Any,
    generator_optimizer: Any,
    discriminator_optimizer: Any = None,
    constraint: Any = None,
    n_critic: int = 1,
    update_order: str = "discriminator_first",
) -> Recipe:
    """The fields; both networks have one optimiser if one is given."""
    return MappingProxyType(
        {
            "loss": loss,
            "constraint": constraint,
            "n_critic": n_critic,
            "update_order": update_order,
            "generator_optimizer": generator_optimizer,
            "discriminator_optimizer": discriminator_optimizer or generator_optimizer,
        }
    )


# DCGAN's settings with the generator's loss that does not saturate, the "standard GAN" of the WGAN-GP paper [P:wgangp,
# appendices B and E; n_critic and beta2: C:iwt, gan_64x64.py]. Their code halves D's loss, which Adam does not notice.
STANDARD_GAN = _recipe(NonSaturating(), Adam(lr=2e-4, beta1=0.5, beta2=0.999))

# Algorithm 1's defaults [P:wgangp].
WGAN_GP = _recipe(
    Wasserstein(), Adam(lr=1e-4, beta1=0.0, beta2=0.9), constraint=GradientPenalty(weight=10.0), n_critic=5
)

# The same with beta1 = 0.5 [P:wgangp, appendix E; C:iwt, the scripts for CIFAR-10, MNIST and text]. The released 64x64
# script has 0 instead: paper and code disagree.
WGAN_GP_HALF = _recipe(
    Wasserstein(), Adam(lr=1e-4, beta1=0.5, beta2=0.9), constraint=GradientPenalty(weight=10.0), n_critic=5
)

# Points of the plane: the weight is 0.1, where the paper says 10 for all experiments [C:iwt, gan_toy.py].
WGAN_GP_TOY = _recipe(
    Wasserstein(), Adam(lr=1e-4, beta1=0.5, beta2=0.9), constraint=GradientPenalty(weight=0.1), n_critic=5
)

# Algorithm 1's defaults [P:wgan-alg]; the RMSProp of the authors' code is PyTorch's, and it clips every parameter of
# the critic, biases and norms too [C:wgan-c]. Its hundred critic steps at the start are `critic_warmup`.
WGAN_CLIP = _recipe(Wasserstein(), RMSProp(lr=5e-5), constraint=WeightClip(bound=0.01), n_critic=5)

# Clipping as the WGAN-GP paper compares it: the same numbers with TensorFlow's RMSProp [P:wgangp, appendix E; C:iwt].
WGAN_CLIP_TF = _recipe(Wasserstein(), RMSPropTF(lr=5e-5), constraint=WeightClip(bound=0.01), n_critic=5)

# LSGAN as its authors train 64x64 scenes with Adam, coding 0/1/1 [C:lsgan, stability_comparison, BN_G with Adam]. Their
# scripts sum over the batch where the mean is taken here; Adam and RMSProp hide such a factor.
LSGAN = _recipe(LeastSquares(a=0.0, b=1.0, c=1.0), Adam(lr=2e-4, beta1=0.5, beta2=0.999))

# The same with TensorFlow's RMSProp [C:lsgan, stability_comparison, BN_GD with RMSProp, which has the coding -1/1/0].
LSGAN_RMSPROP = _recipe(LeastSquares(a=0.0, b=1.0, c=1.0), RMSPropTF(lr=2e-4))

# LSGAN as the WGAN-GP paper compares it, at a rate found by a search over three [P:wgangp, appendix E; C:iwt].
LSGAN_BASELINE = _recipe(LeastSquares(a=0.0, b=1.0, c=1.0), RMSPropTF(lr=1e-4))

# The GAN of LSGAN's mixture of Gaussians: D and G are updated at once, G ten times as fast [C:lsgan, mixture_gaussian;
# beta2 is TensorFlow's default].
GAN_MIXTURE = _recipe(
    NonSaturating(),
    Adam(lr=1e-3, beta1=0.5, beta2=0.999),
    Adam(lr=1e-4, beta1=0.5, beta2=0.999),
    update_order="simultaneous",
)
# The same with LSGAN's loss, coding 0/1/1 [C:lsgan, mixture_gaussian].
LSGAN_MIXTURE = MappingProxyType({**GAN_MIXTURE, "loss": LeastSquares(a=0.0, b=1.0, c=1.0)})

# The author's notebook: the standard GAN with a penalty around real examples, by positive noise of half the batch's
# standard deviation [C:dragan-c]. Paper and author give other noises, see `DRAGANPenalty`.
DRAGAN = _recipe(
    NonSaturating(),
    Adam(lr=1e-4, beta1=0.5, beta2=0.9),
    constraint=DRAGANPenalty(weight=10.0, noise="uniform01", scale=0.5),
)

# The set of random architectures, 9,216 of them [P:wgangp, section 5.1, table 1].
RANDOM_ARCHITECTURES: Mapping[str, Space] = MappingProxyType(
    {
        "generator.activation": choice("relu", "leaky_relu", "softplus", "tanh"),
        "discriminator.activation": choice("relu", "leaky_relu", "softplus", "tanh"),
        "generator.depth": choice(4, 8, 12, 20),
        "discriminator.depth": choice(4, 8, 12, 20),
        "generator.normalised": choice(True, False),
        "discriminator.normalised": choice(True, False),
        "generator.width": choice(32, 64, 128),
        "discriminator.width": choice(32, 64, 128),
    }
)
# What that table calls them [P:wgangp, table 1].
RANDOM_ARCHITECTURE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "generator.activation": "Nonlinearity (G)",
        "discriminator.activation": "Nonlinearity (D)",
        "generator.depth": "Depth (G)",
        "discriminator.depth": "Depth (D)",
        "generator.normalised": "Normalisation (G)",
        "discriminator.normalised": "Normalisation (D)",
        "generator.width": "Base filters (G)",
        "discriminator.width": "Base filters (D)",
    }
)
# The GAN of the random architectures: weight decay in D where D is normalised [P:wgangp, appendix B].
RANDOM_GAN = MappingProxyType(
    {
        **STANDARD_GAN,
        "discriminator_optimizer": Adam(
            lr=2e-4, beta1=0.5, beta2=0.999, weight_decay=1e-3, weight_decay_when="normalised"
        ),
    }
)
# WGAN-GP of the random architectures, with the same decay [P:wgangp, appendix B; n_critic and weight: algorithm 1].
RANDOM_WGAN_GP = MappingProxyType(
    {
        **WGAN_GP,
        "discriminator_optimizer": Adam(
            lr=1e-4, beta1=0.0, beta2=0.9, weight_decay=1e-3, weight_decay_when="normalised"
        ),
    }
)
