"""Portraits: what an evaluation records beyond single numbers, as arrays, where a study asks for it.

    Study(..., portraits=(CriticSurface(points=128, reach=3.0), WeightHistograms()))

A portrait is taken at evaluations, from the networks in evaluation mode, and changes no number of the training. Its
arrays are one file of the trial, `portrait-NAME.npz`: every array has a first axis of frames, and `step` [frames] says
when each was taken. Without `frames` the last evaluation alone is kept; with it about so many, spread evenly over the
trial. Beside the arrays a portrait gives single numbers, which are columns of `steps` like any other.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gansweep.data.batches import Batches
from gansweep.data.densities import TwoGaussians
from gansweep.diagnostics import AT_BOUND, TINY, evaluating, tensor_norms
from gansweep.losses.constraints import WeightClip, input_gradients
from gansweep.losses.objectives import Minimax, NonSaturating
from gansweep.memory import in_pieces
from gansweep.outputs import Output
from gansweep.parts import above, at_least, part

if TYPE_CHECKING:
    from gansweep.data.training_set import TrainingSet
    from gansweep.training import Samples, TrainState
    from gansweep.trial import TrialConfig

Array = NDArray[Any]

SHOWN_POINTS = 256  # real examples and samples beside a surface
MEASURED_POINTS = 512  # real examples and samples where slopes and gradients are measured
PIECE = 4_096  # points of a grid that are judged at once


class Taken(NamedTuple):
    """One portrait: numbers for the report's row, and arrays for the trial's file."""

    numbers: dict[str, float]
    arrays: dict[str, Array]

    def packed(self) -> bytes:
        """The arrays as a compressed NPZ file; the same bytes for the same arrays."""
        file = io.BytesIO()
        np.savez_compressed(file, **self.arrays)  # type: ignore[arg-type]
        return file.getvalue()


@dataclass(frozen=True)
class Sitter:
    """What a portrait looks at: a trial's networks, its data on the device, and the samples of this evaluation."""

    config: TrialConfig
    state: TrainState
    data: TrainingSet
    samples: Samples
    device: torch.device

    def score(self, x: Tensor) -> Tensor:
        """The raw score [n] of examples [n, *shape] by the unconditional discriminator as it stands."""
        score: Tensor = self.state.objective.score(self.state.discriminator(x).precise())
        return score

    def real(self, num: int) -> Tensor:
        """So many real examples, or all if there are fewer; the same at every evaluation of every arm."""
        num = min(num, self.data.num_rows or num)
        return Batches(self.data, num, self.config.seed, self.device, purpose="portrait")[0].x


class Portrait:
    """What all portraits share; subclasses are parts with a name and `take`."""

    name: ClassVar[str]
    frames: int | None

    def check(self, config: TrialConfig, shape: tuple[int, ...]) -> None:
        """Raise `ValueError` where the trial's parts or its data's shape leave nothing to be portrayed."""

    def due(self, step: int, config: TrialConfig) -> bool:
        """Whether the evaluation at this step is kept."""
        if self.frames is None or step == config.steps:
            return True
        before = max(0, step - config.evaluate_every)
        return step * self.frames // config.steps > before * self.frames // config.steps

    def take(self, sitter: Sitter) -> Taken:
        """The portrait; both networks are in evaluation mode."""
        raise NotImplementedError


def take_all(portraits: tuple[Portrait, ...], sitter: Sitter, step: int) -> tuple[dict[str, float], dict[str, bytes]]:
    """The numbers of the portraits that are due, and each one's file of this frame by its name."""
    numbers: dict[str, float] = {}
    files: dict[str, bytes] = {}
    with evaluating(sitter.state.discriminator), evaluating(sitter.state.generator):
        for portrait in portraits:
            if portrait.due(step, sitter.config):
                taken = portrait.take(sitter)
                numbers |= taken.numbers
                files[portrait.name] = taken.packed()
    return numbers, files


def _unconditional(portrait: Portrait, config: TrialConfig) -> None:
    if config.discriminator.conditional:
        raise ValueError(f"{type(portrait).__name__} asks the discriminator about points alone, and it needs a class")


def _check_frames(portrait: Portrait) -> None:
    if portrait.frames is not None:
        at_least(portrait, frames=1)


def _array(x: Tensor) -> Array:
    return x.detach().cpu().numpy()


# --- the critic over the data's space


@part
class CriticSurface(Portrait):
    """The critic over the plane, or over a line where examples have one coordinate (Gulrajani et al. 2017, figure 1a).

    `points` along each axis cover [-reach, reach]. Arrays: `value` and `slope` [H, W] or [W] are the raw score and the
    Euclidean norm of its gradient in the input; `x` [W] and `y` [H] the coordinates; `real` and `samples` up to 256
    examples; where a fixed generator draws from `TwoGaussians`, `p` and `q` are the densities of data and samples. The
    numbers:

    - `surface_slope_mean`, `surface_slope_variation`: mean of the slope over the grid, and its standard deviation
      over that mean.
    - `surface_dents`, 0 to 1, in the plane: how far the surface is from one hill, see `dents`.
    - `surface_modes`, for mixtures in the plane: modes at which the critic has a peak, see `resolved`.
    - `surface_linearity`, 0 to 1: the least slope over the largest where data are, at 512 real examples and as many
      samples; 1 for a linear critic.
    - `surface_saturation`, 0 to 1: the same of the slope of sigmoid(score), which is what the standard GAN's
      discriminator answers; near 0 where it is sure of some examples.
    """

    name: ClassVar[str] = "surface"

    points: int = 128
    reach: float = 3.0
    frames: int | None = None

    def __post_init__(self) -> None:
        at_least(self, points=3)
        above(self, reach=0)
        _check_frames(self)

    def check(self, config: TrialConfig, shape: tuple[int, ...]) -> None:
        """Refuse images and text, and a discriminator that needs a class."""
        if shape not in ((1,), (2,)):
            raise ValueError(f"CriticSurface needs examples with one or two coordinates, not of shape {list(shape)}")
        _unconditional(self, config)

    def take(self, sitter: Sitter) -> Taken:
        """Values and slopes on the grid and at the data."""
        axis = torch.linspace(-self.reach, self.reach, self.points, device=sitter.device)
        shape = (self.points,) * sitter.data.shape[0]
        # the last coordinate is that of the rows
        grid = torch.stack(torch.meshgrid(*[axis] * len(shape), indexing="xy"), dim=-1).flatten(0, -2)
        value, slope = (_array(one).reshape(shape) for one in values_and_slopes(sitter, grid))
        real, samples = sitter.real(MEASURED_POINTS), sitter.samples.x[:MEASURED_POINTS]
        at_data, slope_at_data = values_and_slopes(sitter, torch.cat([real, samples]))
        sure = at_data.sigmoid()
        numbers = {
            "surface_slope_mean": float(slope.mean()),
            "surface_slope_variation": float(slope.std() / max(slope.mean(), TINY)),
            "surface_linearity": _least_over_largest(slope_at_data),
            "surface_saturation": _least_over_largest(sure * (1 - sure) * slope_at_data),
        }
        line = _array(axis)
        if len(shape) == 2:
            numbers["surface_dents"] = dents(value)
        modes = getattr(sitter.config.data, "modes", None)
        if modes is not None and len(shape) == 2:
            numbers["surface_modes"] = float(resolved(line, line, value, _array(modes.centres)).sum())
        arrays = {"value": value, "slope": slope, "x": line, "y": line}
        arrays |= {"real": _array(real[:SHOWN_POINTS]), "samples": _array(samples[:SHOWN_POINTS])}
        of_samples = getattr(sitter.config.generator, "density", None)
        if isinstance(of_samples, TwoGaussians):
            logs = sitter.config.data.log_density(grid), of_samples.log_density(grid)
            arrays |= {name: _array(log.exp()).reshape(shape) for name, log in zip(("p", "q"), logs, strict=True)}
        return Taken(numbers, arrays)


def values_and_slopes(sitter: Sitter, x: Tensor) -> tuple[Tensor, Tensor]:
    """The raw score and the norm of its gradient in the input at examples [n, *shape]: [n] each."""

    def judged(batch: Tensor) -> Tensor:
        gradients = input_gradients(sitter.score, batch).detach().flatten(1)
        largest = gradients.abs().amax(dim=1, keepdim=True).clamp(min=TINY)  # squares beyond fp32 are lost
        slopes = torch.linalg.vector_norm(gradients / largest, dim=1) * largest.squeeze(1)
        with torch.no_grad():
            return torch.stack([sitter.score(batch), slopes], dim=1)

    value, slope = torch.cat(in_pieces(judged, x, size=PIECE)).unbind(dim=1)
    return value, slope


def _least_over_largest(slopes: Tensor) -> float:
    return (slopes.min() / slopes.max().clamp(min=TINY)).item()


def peaks(value: Array) -> NDArray[np.bool_]:
    """Where a surface [H, W] is not below its neighbours, eight or fewer, and above one of them: bool [H, W]."""
    around = np.pad(value, 1, constant_values=-np.inf)
    height, width = value.shape
    shifted = np.stack(
        [
            around[1 + i : 1 + i + height, 1 + j : 1 + j + width]
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
            if (i, j) != (0, 0)
        ]
    )
    lowest = np.where(np.isfinite(shifted), shifted, np.inf).min(axis=0)
    found: NDArray[np.bool_] = (value >= shifted.max(axis=0)) & (value > lowest)
    return found


def dents(value: Array) -> float:
    """How much water a surface [H, W] would hold along its rows and its columns: their mean depth over its range.

    The depth at a point of a line is how far it lies below the lower of the highest points to either side. 0 where the
    surface only falls from one top along each of these lines, and for a level one; it does not depend on the scale.
    """
    surface = np.asarray(value, float)
    depths = []
    for lines in (surface, surface.T):
        before = np.maximum.accumulate(lines, axis=1)
        after = np.maximum.accumulate(lines[:, ::-1], axis=1)[:, ::-1]
        depths.append((np.minimum(before, after) - lines).mean())
    return float(np.mean(depths) / max(np.ptp(surface), TINY))


def resolved(x: Array, y: Array, value: Array, centres: Array) -> NDArray[np.bool_]:
    """Whether the surface [H, W] over x [W] and y [H] has a peak near each of the centres [M, 2]: bool [M].

    Near is within a quarter of the distance to the nearest other centre. A peak on the grid's rim does not count.
    """
    rows, columns = np.nonzero(peaks(value)[1:-1, 1:-1])
    found = np.column_stack([np.asarray(x, float)[columns + 1], np.asarray(y, float)[rows + 1]])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2) + np.diag(np.full(len(centres), np.inf))
    near: NDArray[np.bool_] = (
        np.linalg.norm(centres[:, None] - found[None], axis=2) <= apart.min(axis=1, keepdims=True) / 4
    ).any(axis=1)
    return near


# --- gradients through the layers


@part
class ActivationGradients(Portrait):
    """The norm of the gradient of the critic's loss in successive activations (Gulrajani et al. 2017, figure 1b left).

    The loss is the objective's, without a penalty, on up to 512 real examples and as many samples. Arrays: `norm` [L+1]
    is the Euclidean norm of its gradient in the input of each of the L layers with weights, the examples first, and in
    the score; `layer` [L+1] counts them from 1, as the paper's axis does. Layers of shortcuts are left out.

    `activation_gradient_slope` is the least-squares slope of the natural logarithm of the norm over `layer`: 0 where
    all layers get alike, positive where the gradient fades on its way back to the input, negative where it grows.
    """

    name: ClassVar[str] = "activation_gradients"

    frames: int | None = None

    def __post_init__(self) -> None:
        _check_frames(self)

    def check(self, config: TrialConfig, shape: tuple[int, ...]) -> None:
        """Refuse a discriminator that needs a class, and an objective that needs more than a score."""
        _unconditional(self, config)
        if not config.loss.scores_only:
            raise ValueError(
                f"ActivationGradients needs an objective on a score, and {type(config.loss).__name__} is not"
            )

    def take(self, sitter: Sitter) -> Taken:
        """One pass forward and back."""
        discriminator = sitter.state.discriminator
        said: list[Output] = []
        met: list[list[Tensor]] = []
        for x in (sitter.real(MEASURED_POINTS), sitter.samples.x[:MEASURED_POINTS]):
            inputs: list[Tensor] = []
            hooks = [
                layer.register_forward_pre_hook(lambda _, given, kept=inputs: kept.append(given[0]))
                for layer in _weighted(discriminator)
            ]
            try:
                # a copy, since samples were drawn in inference mode
                output: Output = discriminator(x.clone().requires_grad_()).precise()
            finally:
                for hook in hooks:
                    hook.remove()
            said.append(output)
            met.append([*inputs, sitter.state.objective.score(output)])
        real, fake = said
        loss = sitter.state.objective.discriminator(real, fake)
        gradients = torch.autograd.grad(loss, [*met[0], *met[1]])
        of_real, of_fake = (tensor_norms(list(half)) for half in (gradients[: len(met[0])], gradients[len(met[0]) :]))
        norms = torch.hypot(of_real, of_fake)
        layer = torch.arange(1, len(norms) + 1)
        return Taken(
            {"activation_gradient_slope": log_slope(_array(norms))}, {"norm": _array(norms), "layer": _array(layer)}
        )


def _weighted(network: nn.Module) -> Iterator[nn.Module]:
    """The layers with weights in the order of the forward pass, without those of shortcuts."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) and "shortcut" not in name:
            yield module


def log_slope(norms: Array) -> float:
    """The least-squares slope of log(norms) [n] over 1, 2, ..., n."""
    return float(np.polyfit(np.arange(len(norms)), np.log(np.maximum(norms, TINY).astype(float)), 1)[0])


# --- weights


@part
class WeightHistograms(Portrait):
    """The weights of each layer of the discriminator as a histogram (Gulrajani et al. 2017, figure 1b right).

    Weights are tensors with two axes or more, not biases or gains. Arrays: `counts` [L, bins]; `edges` [bins + 1],
    common to all layers, from minus to plus the largest size of any; `at_bound` [L], the share of each layer's weights
    within 1% of the bound, and `bound` (), NaN without clipping. The numbers:

    - `weights_at_bound`: that share of all weights, where they are clipped; the recorded `clipped_share` has biases
      and gains too.
    - `weights_kurtosis`: the excess kurtosis of all weights: -2 where they sit at two values, -1.2 if they spread
      evenly, 0 for a normal distribution.
    """

    name: ClassVar[str] = "weights"

    bins: int = 101
    frames: int | None = None

    def __post_init__(self) -> None:
        at_least(self, bins=2)
        _check_frames(self)

    def take(self, sitter: Sitter) -> Taken:
        """Counts per layer."""
        layers = [_array(p).ravel() for p in sitter.state.discriminator.parameters() if p.ndim > 1]
        every = np.concatenate(layers).astype(float)
        constraint = sitter.config.constraint
        bound = constraint.bound if isinstance(constraint, WeightClip) else math.nan
        largest = float(np.abs(every).max()) or 1.0
        edges = np.linspace(-largest, largest, self.bins + 1)
        counts = np.stack([np.histogram(layer, bins=edges)[0] for layer in layers])
        at_bound = np.array([(np.abs(layer) >= AT_BOUND * bound).mean() for layer in layers])
        numbers = {"weights_kurtosis": kurtosis(every)}
        if isinstance(constraint, WeightClip):
            numbers["weights_at_bound"] = float((np.abs(every) >= AT_BOUND * bound).mean())
        return Taken(numbers, {"counts": counts, "edges": edges, "at_bound": at_bound, "bound": np.array(bound)})


def kurtosis(values: Array) -> float:
    """The excess kurtosis of values [n]: 0 for a normal distribution; NaN where all are one value."""
    away = np.asarray(values, float) - np.mean(values)
    variance = np.square(away).mean()
    return float((away**4).mean() / variance**2 - 3) if variance > 0 else math.nan


# --- samples


@part
class SampleClouds(Portrait):
    """`points` samples in the plane at about `frames` moments, to see modes come and go.

    Arrays: `samples` [n, 2] and, to set beside them, `real` [n, 2]. No numbers.
    """

    name: ClassVar[str] = "samples"

    points: int = 500
    frames: int | None = 30

    def __post_init__(self) -> None:
        at_least(self, points=1)
        _check_frames(self)

    def check(self, config: TrialConfig, shape: tuple[int, ...]) -> None:
        """Refuse what is not in the plane."""
        if shape != (2,):
            raise ValueError(f"SampleClouds needs points of the plane, not examples of shape {list(shape)}")

    def take(self, sitter: Sitter) -> Taken:
        """The first samples of the evaluation, whose z are the same every time."""
        samples, real = sitter.samples.x[: self.points], sitter.real(self.points)
        return Taken({}, {"samples": _array(samples), "real": _array(real)})


# --- distances that a discriminator estimates


@part
class EstimatedDivergences(Portrait):
    """What the discriminator of a standard GAN says of the divergences between data p and samples q.

    With D = sigmoid(score) and `points` fresh examples of each, in natural units:

    - `estimated_js`: log 2 + (E_p log D + E_q log(1 - D)) / 2, at most the Jensen-Shannon divergence and equal to it at
      the best D (Goodfellow et al. 2014, theorem 1).
    - `estimated_kl`: E_p score - log E_q exp(score), at most KL(p || q) and equal to it at the best D, whose score is
      log p / q (Donsker and Varadhan's bound).
    - `estimated_tv`: P_p(D > 1/2) - P_q(D > 1/2), at most the total variation and equal to it at the best D.

    Of another objective it says nothing. No arrays beside the scores: `real` and `fake` [n].
    """

    name: ClassVar[str] = "divergences"

    points: int = 2_000
    frames: int | None = None

    def __post_init__(self) -> None:
        at_least(self, points=1)
        _check_frames(self)

    def check(self, config: TrialConfig, shape: tuple[int, ...]) -> None:
        """Refuse a discriminator that needs a class."""
        _unconditional(self, config)

    def take(self, sitter: Sitter) -> Taken:
        """The three bounds."""
        with torch.no_grad():
            pairs = sitter.real(self.points), sitter.samples.x[: self.points]
            real, fake = (torch.cat(in_pieces(sitter.score, x, size=PIECE)).double() for x in pairs)
        arrays = {"real": _array(real.float()), "fake": _array(fake.float())}
        if not isinstance(sitter.config.loss, NonSaturating | Minimax):
            return Taken({}, arrays)
        log_sigmoid = torch.nn.functional.logsigmoid
        numbers = {
            "estimated_js": math.log(2) + ((log_sigmoid(real).mean() + log_sigmoid(-fake).mean()) / 2).item(),
            "estimated_kl": (real.mean() - fake.logsumexp(dim=0) + math.log(len(fake))).item(),
            "estimated_tv": ((real > 0).double().mean() - (fake > 0).double().mean()).item(),
        }
        return Taken(numbers, arrays)
