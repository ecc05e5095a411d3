"""Optimisers as parts: fields are hyperparameters, `build` makes the torch optimiser for one network.

Weight decay is the L2 form (its gradient is added to the loss's), on weights only, never on biases and norms. The
WGAN-GP robustness study uses it in the discriminator if and only if that is normalised (Gulrajani et al. 2017, App. B):
`weight_decay_when="normalised"`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gansweep.parts import above, at_least, one_of, part


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights (two axes and more) with the decay, everything else without."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _decay(optimizer: Adam | RMSProp, normalised: bool) -> float:
    return optimizer.weight_decay if optimizer.weight_decay_when == "always" or normalised else 0.0


@part
class Adam:
    """Adam (Kingma and Ba 2015). `build(network, normalised)` says whether the network has normalisation layers."""

    lr: float = 1e-4
    beta1: float = 0.0
    beta2: float = 0.9
    eps: float = 1e-8
    weight_decay: float = 0.0
    weight_decay_when: str = "always"

    def __post_init__(self) -> None:
        above(self, lr=0, eps=0)
        at_least(self, beta1=0, beta2=0, weight_decay=0)
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise ValueError(f"Adam betas {self.beta1} and {self.beta2} must lie in [0, 1)")
        one_of(self, "weight_decay_when", ("always", "normalised"))

    def build(self, network: nn.Module, normalised: bool) -> torch.optim.Optimizer:
        """The torch optimiser over all parameters of the network."""
        groups = _groups(network, _decay(self, normalised))
        return torch.optim.Adam(groups, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, fused=True)


@part
class RMSProp:
    """RMSProp with PyTorch's semantics: the running square starts at 0 and eps is added outside the root."""

    lr: float = 5e-5
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    weight_decay_when: str = "always"

    def __post_init__(self) -> None:
        above(self, lr=0, eps=0)
        at_least(self, alpha=0, weight_decay=0)
        if self.alpha >= 1:
            raise ValueError(f"RMSProp.alpha = {self.alpha} must lie in [0, 1)")
        one_of(self, "weight_decay_when", ("always", "normalised"))

    def build(self, network: nn.Module, normalised: bool) -> torch.optim.Optimizer:
        """The torch optimiser over all parameters of the network."""
        groups = _groups(network, _decay(self, normalised))
        return torch.optim.RMSprop(groups, lr=self.lr, alpha=self.alpha, eps=self.eps)
