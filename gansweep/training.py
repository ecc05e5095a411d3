"""The one training loop, in the open: `for step in train(config, state, images): ...`.

The loop owns the mathematics; whoever iterates owns evaluation, recording, checkpoints and stopping. Between two
steps the state is complete: saved there and loaded elsewhere, the run goes on bit for bit (same machine, same thread
count).
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gansweep.data.cache import to_unit
from gansweep.models.layers import initialise
from gansweep.randomness import stream

if TYPE_CHECKING:
    from gansweep.trial import Latent, TrialConfig


@dataclass(frozen=True)
class Step:
    """What the loop reports every `report_every` generator iterations: means since the last report.

    `nonfinite_step` is the first iteration with a loss that is not finite, None while there is none. `seconds` is the
    time spent inside the loop, over all attempts.
    """

    step: int
    images_seen: int
    seconds: float
    scalars: dict[str, float]
    nonfinite_step: int | None


@dataclass
class TrainState:
    """Everything that a resumed run needs; the random streams are functions of the counters."""

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    ema: nn.Module | None
    step: int = 0
    discriminator_steps: int = 0
    seconds: float = 0.0

    @classmethod
    def build(cls, config: TrialConfig, *, channels: int, size: int, device: torch.device) -> TrainState:
        """Networks with their initial weights and fresh optimisers."""
        generator = config.generator.build(latent_size=config.latent.size, channels=channels, size=size)
        discriminator = config.discriminator.build(channels=channels, size=size)
        initialise(generator, config.seed, "generator")
        initialise(discriminator, config.seed, "discriminator")
        generator, discriminator = generator.to(device), discriminator.to(device)
        return cls(
            generator=generator,
            discriminator=discriminator,
            generator_optimizer=config.generator_optimizer.build(generator, config.generator.normalised),
            discriminator_optimizer=config.discriminator_optimizer.build(
                discriminator, config.discriminator.normalised
            ),
            ema=copy.deepcopy(generator).requires_grad_(False) if config.ema_decay is not None else None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and strings only, so that it loads with `weights_only=True`."""
        parts = {name: getattr(self, name) for name in self._modules}
        state = {name: part.state_dict() for name, part in parts.items() if part is not None}
        return {
            **state,
            "step": self.step,
            "discriminator_steps": self.discriminator_steps,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state of the same configuration."""
        for name in self._modules:
            if (part := getattr(self, name)) is not None:
                part.load_state_dict(state[name])
        self.step, self.discriminator_steps = state["step"], state["discriminator_steps"]
        self.seconds = state["seconds"]

    @property
    def _modules(self) -> tuple[str, ...]:
        return "generator", "discriminator", "generator_optimizer", "discriminator_optimizer", "ema"


def draw_latent(latent: Latent, num: int, generator: torch.Generator) -> Tensor:
    """z of shape [num, latent.size] on the generator's device."""
    if latent.distribution == "normal":
        return torch.randn(num, latent.size, generator=generator, device=generator.device)
    return torch.rand(num, latent.size, generator=generator, device=generator.device) * 2 - 1


class Batches:
    """Real batches by position; each epoch is a permutation from its own stream, without the incomplete last batch."""

    def __init__(self, images: Tensor, batch_size: int, seed: int) -> None:
        if len(images) < batch_size:
            raise ValueError(f"batch_size = {batch_size} is more than the {len(images)} training images")
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.per_epoch = len(images) // batch_size
        self._epoch, self._order = -1, torch.empty(0)

    def __getitem__(self, position: int) -> Tensor:
        """Batch number `position` as float [batch, channels, height, width] in [-1, 1]."""
        epoch, index = divmod(position, self.per_epoch)
        if epoch != self._epoch:
            order = torch.randperm(len(self.images), generator=stream("cpu", self.seed, "data", epoch))
            self._epoch, self._order = epoch, order.to(self.images.device)
        return to_unit(self.images[self._order[index * self.batch_size : (index + 1) * self.batch_size]])


@torch.inference_mode()
def sample(config: TrialConfig, state: TrainState, num: int, device: torch.device, batch_size: int = 250) -> Tensor:
    """`num` images in [-1, 1] from the generator (its average, where one is kept) in evaluation mode.

    z depends on the cell's seed and the batch number only, so that every evaluation of every arm uses the same.
    """
    network = state.ema if state.ema is not None else state.generator
    was_training = network.training
    network.eval()
    images = []
    for number, start in enumerate(range(0, num, batch_size)):
        z = draw_latent(config.latent, batch_size, stream(device, config.seed, "latent", "evaluation", number))
        images.append(network(z[: num - start]))
    network.train(was_training)
    return torch.cat(images)


def fingerprints(config: TrialConfig, state: TrainState, images: Tensor, device: torch.device) -> dict[str, str]:
    """Short hashes of the first real batch, the first z and the initial weights, to show that a block is paired.

    Call before training. The weights' hash covers drawn tensors (two axes and more) with their names, of both networks.
    """
    first = Batches(images, config.batch_size, config.seed)[0]
    latent = draw_latent(config.latent, config.batch_size, stream(device, config.seed, "latent", "discriminator", 0))
    weights = hashlib.sha256()
    for role in ("generator", "discriminator"):
        for name, parameter in getattr(state, role).named_parameters():
            if parameter.ndim > 1:
                weights.update(f"{role}.{name}".encode() + parameter.detach().cpu().numpy().tobytes())
    return {
        "fingerprint_data": _digest(first),
        "fingerprint_latent": _digest(latent),
        "fingerprint_init": weights.hexdigest()[:12],
    }


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()[:12]


def _gradient_norm(network: nn.Module) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights; buffers (running statistics) are copied (trap T-44)."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for kept, new in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(new)


def train(config: TrialConfig, state: TrainState, images: Tensor, device: torch.device) -> Iterator[Step]:
    """Train from `state` to `config.steps`; `images` is the whole set, uint8 [N, C, H, W], on the device.

    One iteration is n_critic discriminator updates and then one generator update. Nothing is read back from the device
    between two reports. A loss that is not finite is data: its first step is reported and the caller decides.
    """
    # --- set-up: everything below is a function of the configuration and the counters in `state`
    loss, constraint, seed = config.loss, config.constraint, config.seed
    generator, discriminator = state.generator.train(), state.discriminator.train()
    batches = Batches(images, config.batch_size, seed)
    generator_batch = config.batch_size * config.generator_batch_factor
    half = torch.autocast(device.type, torch.bfloat16, enabled=config.autocast == "bf16")
    names = ("loss_discriminator", "loss_generator", "penalty", "output_real", "output_fake")
    totals = torch.zeros(len(names), device=device)
    nonfinite = torch.full((), -1, device=device)
    since, started = state.step, time.perf_counter()

    while state.step < config.steps:
        # --- discriminator
        discriminator.requires_grad_(True)
        for _ in range(config.n_critic):
            position = state.discriminator_steps
            real = batches[position]
            z = draw_latent(config.latent, config.batch_size, stream(device, seed, "latent", "discriminator", position))
            with half:
                with torch.no_grad():
                    fake = generator(z)
                real_output, fake_output = discriminator(real), discriminator(fake)
                discriminator_loss = loss.discriminator(real_output.float(), fake_output.float())
            penalty = torch.zeros((), device=device)
            if constraint is not None:
                # in fp32 whatever the rest runs in: bf16 gradients of gradients are off by percents (trap T-20)
                points = stream(device, seed, "penalty", position)
                added = constraint.penalty(discriminator, real, fake.float(), points)
                penalty = penalty if added is None else added
            state.discriminator_optimizer.zero_grad(set_to_none=True)
            (discriminator_loss + penalty).backward()
            state.discriminator_optimizer.step()
            if constraint is not None:
                constraint.after_step(discriminator)
            state.discriminator_steps += 1

        # --- generator; the discriminator's parameters need no gradient here
        discriminator.requires_grad_(False)
        z = draw_latent(config.latent, generator_batch, stream(device, seed, "latent", "generator", state.step))
        with half:
            generator_loss = loss.generator(discriminator(generator(z)).float())
        state.generator_optimizer.zero_grad(set_to_none=True)
        generator_loss.backward()
        state.generator_optimizer.step()
        if state.ema is not None and config.ema_decay is not None:
            _update_average(state.ema, generator, config.ema_decay)
        state.step += 1

        # --- account, on the device
        scalars = torch.stack([discriminator_loss, generator_loss, penalty, real_output.mean(), fake_output.mean()])
        scalars = scalars.detach()
        totals += scalars
        bad = ~torch.isfinite(scalars).all() & (nonfinite < 0)
        nonfinite = torch.where(bad, state.step, nonfinite)

        # --- report: the one place where the host waits for the device
        if state.step % config.report_every == 0 or state.step == config.steps:
            norms = [_gradient_norm(generator), _gradient_norm(discriminator)]
            *means, norm_g, norm_d, first_bad = torch.stack(
                [*(totals / (state.step - since)), *norms, nonfinite]
            ).tolist()
            totals.zero_()
            since = state.step
            state.seconds += time.perf_counter() - started
            yield Step(
                step=state.step,
                images_seen=state.discriminator_steps * config.batch_size,
                seconds=state.seconds,
                scalars={
                    **dict(zip(names, means, strict=True)),
                    "gradient_norm_generator": norm_g,
                    "gradient_norm_discriminator": norm_d,
                },
                nonfinite_step=int(first_bad) if first_bad >= 0 else None,
            )
            started = time.perf_counter()
