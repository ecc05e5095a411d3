"""A trial's health besides losses and scores: how gradients flow, how far weights move, how steep the critic is.

Everything stays on the device until the loop reads its report, and nothing here changes a number of the training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gansweep.data.batches import Batches
from gansweep.losses.constraints import WeightClip, input_gradients, norms

if TYPE_CHECKING:
    from gansweep.data.training_set import TrainingSet
    from gansweep.training import Samples, TrainState
    from gansweep.trial import TrialConfig

AT_BOUND = 0.99  # of the bound: a clipped weight lies on it, one that a momentum has moved since hardly differs
SLOPE_POINTS = 64
REAL_EXAMPLES = 2_000
TINY = 1e-30


class Monitor:
    """The numbers of a report that are read off the networks; made before training, it remembers the last weights.

    - `gradient_norm_ROLE`: Euclidean norm of the last gradient of all parameters.
    - `gradient_slope_ROLE`: least-squares slope of log10 of the weight tensors' gradient norms over their number, from
      the input to the output: 0 where all layers get alike, positive where the gradient fades on its way back to the
      input, negative where it grows (the quantity of Gulrajani et al. 2017, figure 1b, for weights). Only for networks
      with two weight tensors or more.
    - `weight_change_ROLE`: ||w - w'|| / ||w'|| of all parameters since the last report's w'.
    - `clipped_share`: of the parameters that `WeightClip` clips, the share within 1% of the bound.

    With `layers` the norm of each weight tensor follows, as `gradient_norm_ROLE/LAYER`.
    """

    def __init__(self, config: TrialConfig, state: TrainState, *, layers: bool) -> None:
        self.networks = {"generator": state.generator, "discriminator": state.discriminator}
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
        sizes = torch._foreach_norm([gradient for _, gradient in named])
        found = {f"gradient_norm_{role}": torch.linalg.vector_norm(torch.stack(sizes))}
        weights = {name: size for (name, one), size in zip(named, sizes, strict=True) if one.ndim > 1}
        if len(weights) > 1:
            found[f"gradient_slope_{role}"] = _slope(torch.stack(list(weights.values())))
        if self.layers:
            found |= {f"gradient_norm_{role}/{name.removesuffix('.weight')}": size for name, size in weights.items()}
        return found

    def _change(self, role: str, network: nn.Module) -> Tensor:
        last, now = self._last[role], [p.detach() for p in network.parameters()]
        moved, before = (
            torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
            for tensors in (torch._foreach_sub(now, last), last)
        )
        torch._foreach_copy_(last, now)
        return moved / before.clamp(min=TINY)

    def _at_bound(self, clip: WeightClip) -> Tensor:
        clipped = list(clip.clipped(self.networks["discriminator"]))
        on_it = torch.stack([(p.abs() >= AT_BOUND * clip.bound).sum() for p in clipped]).sum()
        return on_it / sum(p.numel() for p in clipped)


def _slope(sizes: Tensor) -> Tensor:
    """Least-squares slope of log10(sizes) over 0, 1, 2, ..."""
    place = torch.arange(len(sizes), dtype=sizes.dtype, device=sizes.device)
    place = place - place.mean()
    return (place * sizes.clamp(min=TINY).log10()).sum() / place.square().sum()


def real_spread(data: TrainingSet, device: torch.device) -> Tensor:
    """The root of the total variance of real examples, of at most 2,000 of them drawn at random."""
    num = min(REAL_EXAMPLES, data.num_rows or REAL_EXAMPLES)
    return spread(Batches(data, num, 0, device, purpose="spread")[0].x)


def spread(x: Tensor) -> Tensor:
    """The root of the total variance of examples [n, *shape]: of the mean square distance from their mean."""
    return (x.flatten(1) - x.flatten(1).mean(dim=0)).square().sum(dim=1).mean().sqrt()


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
      lines between real examples and samples, in evaluation mode. The largest bounds D's Lipschitz constant from below.
    - `wasserstein`: for objectives that estimate it, (E D(x) - E D(G(z))) / lipschitz_max over these examples, positive
      where D ranks real examples higher. Clipping to another c does not change it (trap T-33).
    """
    found = {"sample_diversity": spread(samples.x) / real.clamp(min=TINY)}
    num = min(SLOPE_POINTS, len(samples.x), data.num_rows or SLOPE_POINTS)
    x = Batches(data, num, config.seed, device, purpose="slopes")[0].x
    fake = samples.x[:num]
    given = () if samples.labels is None or not config.discriminator.conditional else (samples.labels[:num],)
    with evaluating(state.discriminator) as discriminator:

        def critic(points: Tensor) -> Tensor:
            return state.objective.score(discriminator(points, *given).float())

        share = torch.linspace(0, 1, num, device=device).reshape(-1, *[1] * (x.ndim - 1))
        sizes = norms(input_gradients(critic, fake + share * (x - fake)).detach())
        found |= {"lipschitz_mean": sizes.mean(), "lipschitz_max": sizes.max()}
        if config.loss.estimates_wasserstein:
            with torch.no_grad():
                gap = critic(x).mean() - critic(fake).mean()
            found["wasserstein"] = gap / sizes.max().clamp(min=TINY)
    return found


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """The network in evaluation mode; afterwards it is back in the mode it was in."""
    was_training = network.training
    network.eval()
    try:
        yield network
    finally:
        network.train(was_training)
