"""A trial's health besides losses and scores: how gradients flow, how far weights move, how steep the critic is.

Everything stays on the device until the loop reads its report, and nothing here changes a number of the training.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gansweep.data.batches import Batches
from gansweep.losses.constraints import WeightClip, input_gradients

if TYPE_CHECKING:
    from gansweep.data.training_set import TrainingSet
    from gansweep.training import Samples, TrainState
    from gansweep.trial import TrialConfig

AT_BOUND = 0.99  # of the bound: a clipped weight lies on it, one that a momentum has moved since hardly differs
SLOPE_POINTS = 64
REAL_EXAMPLES = 2_000
TINY = torch.finfo(torch.float32).tiny
ROUNDING = 8 * torch.finfo(torch.float32).eps


class Monitor:
    """The numbers of a report that are read off the networks; made before training, it remembers the last weights.

    - `gradient_norm_ROLE`: Euclidean norm of the last gradient of all parameters.
    - `gradient_slope_ROLE`: least-squares slope of log10 of the weight tensors' gradient norms over their number, from
      the input to the output and without shortcuts: 0 where all layers get alike, positive where the gradient fades on
      its way back to the input, negative where it grows (the quantity of Gulrajani et al. 2017, figure 1b, for
      weights). Only for networks with two weight tensors or more.
    - `weight_change_ROLE`: ||w - w'|| / ||w'|| of all parameters since the last report's w'.
    - `clipped_share`: of the parameters that `WeightClip` clips, the share within 1% of the bound.

    With `layers` the norm of each weight tensor follows, as `gradient_norm_ROLE/LAYER`.
    """

    def __init__(self, config: TrialConfig, state: TrainState, *, layers: bool) -> None:
        networks = {"generator": state.generator, "discriminator": state.discriminator}
        # a generator that is not trained has no weights, and nothing here is said of it
        self.networks = {role: network for role, network in networks.items() if any(True for _ in network.parameters())}
        self.constraint, self.layers = config.constraint, layers
        self._last = {role: [p.detach().clone() for p in net.parameters()] for role, net in self.networks.items()}

    @torch.no_grad()
    def read(self) -> dict[str, Tensor]:
        """Every number, without axes, on the device of the networks."""
        found: dict[str, Tensor] = {}
        for role, network in self.networks.items():
            found |= self._gradients(role, network)
        for role, network in self.networks.items():
            found[f"weight_change_{role}"] = self._change(role, network)
        if isinstance(self.constraint, WeightClip):
            found["clipped_share"] = self._at_bound(self.constraint)
        return found

    def _gradients(self, role: str, network: nn.Module) -> dict[str, Tensor]:
        named = [(name, p.grad) for name, p in network.named_parameters() if p.grad is not None]
        sizes = tensor_norms([gradient for _, gradient in named])
        found = {f"gradient_norm_{role}": _norm(sizes)}
        weights = {_layer(name): size for (name, one), size in zip(named, sizes, strict=True) if one.ndim > 1}
        path = [size for name, size in weights.items() if ".shortcut." not in name]
        if len(path) > 1:
            found[f"gradient_slope_{role}"] = _slope(torch.stack(path))
        if self.layers:
            found |= {f"gradient_norm_{role}/{name}": size for name, size in weights.items()}
        return found

    def _change(self, role: str, network: nn.Module) -> Tensor:
        last, now = self._last[role], [p.detach() for p in network.parameters()]
        moved, before = _norm(tensor_norms(list(torch._foreach_sub(now, last)))), _norm(tensor_norms(last))
        torch._foreach_copy_(last, now)
        return moved / before.clamp(min=TINY)

    def _at_bound(self, clip: WeightClip) -> Tensor:
        clipped = list(clip.clipped(self.networks["discriminator"]))
        on_it = torch.stack([(p.abs() >= AT_BOUND * clip.bound).sum() for p in clipped]).sum()
        return on_it / sum(p.numel() for p in clipped)


def _layer(name: str) -> str:
    """The name of a weight tensor's layer; behind a spectral norm the weight has a longer one."""
    return name.removesuffix(".parametrizations.weight.original").removesuffix(".weight")


def tensor_norms(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of each, [n]; scaled first, because squares below 1e-45 and above 1e38 are lost in fp32."""
    largest = torch.stack(torch._foreach_norm(tensors, math.inf)).clamp(min=TINY)
    return torch.stack(torch._foreach_norm(torch._foreach_div(tensors, list(largest.unbind())))) * largest


def _norm(sizes: Tensor) -> Tensor:
    """The Euclidean norm of all from that of each, [n]."""
    largest = sizes.max().clamp(min=TINY)
    return torch.linalg.vector_norm(sizes / largest) * largest


def _slope(sizes: Tensor) -> Tensor:
    """Least-squares slope of log10(sizes) over 0, 1, 2, ..."""
    place = torch.arange(len(sizes), dtype=sizes.dtype, device=sizes.device)
    place = place - place.mean()
    return (place * sizes.clamp(min=TINY).log10()).sum() / place.square().sum()


def real_spread(data: TrainingSet, device: torch.device) -> Tensor:
    """The root of the total variance of real examples, of at most 2,000 finite ones drawn at random."""
    num = min(REAL_EXAMPLES, data.num_rows or REAL_EXAMPLES)
    x = Batches(data, num, 0, device, purpose="spread")[0].x
    return spread(x[_finite(x)])


def spread(x: Tensor) -> Tensor:
    """The root of the total variance of examples [n, *shape]: of the mean square distance from their mean."""
    away = x.flatten(1) - x.flatten(1).mean(dim=0)
    largest = away.abs().max().clamp(min=TINY)  # squares beyond fp32 are lost
    return (away / largest).square().sum(dim=1).mean().sqrt() * largest


def examine(
    config: TrialConfig,
    state: TrainState,
    data: TrainingSet,
    samples: Samples,
    real: Tensor,
    device: torch.device,
) -> dict[str, Tensor]:
    """What an evaluation adds, from its samples [n, *shape]; `real` is `real_spread(data)`. Tensors without axes.

    - `sample_diversity`: the spread of the samples over that of real examples; near 1, and 0 where all are alike.
    - `lipschitz_mean`, `lipschitz_max`: the norm of the score's gradient in its input at points drawn uniformly on
      lines between real examples and samples (of one class, where D is told it), in evaluation mode. The largest bounds
      D's Lipschitz constant from below.
    """
    found = {"sample_diversity": spread(samples.x) / real.clamp(min=TINY)}
    x, fake, given = _opposite(config, data, samples, state.num_classes, device)
    if not len(x):
        return found
    with evaluating(state.discriminator) as discriminator:

        def critic(points: Tensor) -> Tensor:
            return state.objective.score(discriminator(points, *given).precise())

        share = torch.linspace(0, 1, len(x), device=device).reshape(-1, *[1] * (x.ndim - 1))
        gradients = input_gradients(critic, fake + share * (x - fake)).detach().flatten(1)
    largest = gradients.abs().amax(dim=1, keepdim=True).clamp(min=TINY)
    sizes = torch.linalg.vector_norm(gradients / largest, dim=1) * largest.squeeze(1)
    return found | {"lipschitz_mean": sizes.mean(), "lipschitz_max": sizes.max()}


def _opposite(
    config: TrialConfig, data: TrainingSet, samples: Samples, num_classes: int, device: torch.device
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Real examples, samples to set against them, and the classes that D is told, where it is told any."""
    num = min(SLOPE_POINTS, len(samples.x), data.num_rows or SLOPE_POINTS)
    batch = Batches(data, num, config.seed, device, purpose="slopes")[0]
    finite = _finite(batch.x)
    x, rows = batch.x[finite], torch.arange(num, device=device)[finite]
    if not config.discriminator.conditional:
        return x, samples.x[rows], ()
    assert batch.labels is not None
    assert samples.labels is not None
    # sample r was asked for class r % K: take one of the real example's class
    rows = batch.labels[finite] + num_classes * (rows % max(1, len(samples.x) // num_classes))
    rows = rows % len(samples.x)
    return x, samples.x[rows], (samples.labels[rows],)


def _finite(x: Tensor) -> Tensor:
    return x.flatten(1).isfinite().all(dim=1)


def wasserstein(output_real: float, output_fake: float, slope: float) -> float | None:
    """(E D(x) - E D(G(z))) / slope: the Wasserstein-1 distance that a critic with that largest slope estimates.

    Positive where D ranks real examples higher; clipping to another c does not change it (trap T-33). The outputs are
    their means since the last report. None where they differ by rounding only, or where D is flat.
    """
    gap = output_real - output_fake
    certain = abs(gap) >= ROUNDING * max(abs(output_real), abs(output_fake))
    return gap / slope if certain and slope > 0 and math.isfinite(gap / slope) else None


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode; afterwards it is back in the mode it was in."""
    was_training = network.training
    network.eval()
    try:
        yield network
    finally:
        network.train(was_training)
