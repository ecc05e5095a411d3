"""The one training loop, in the open: `for step in train(config, state, data): ...`.

The loop owns the mathematics; whoever iterates owns evaluation, recording, checkpoints and stopping. Between two
steps the state is complete: saved there and loaded elsewhere, the run goes on bit for bit (same machine, same thread
count).
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import time
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from gansweep.data.batches import Batches, labelled_rows
from gansweep.data.training_set import TrainingSet
from gansweep.diagnostics import Monitor, evaluating
from gansweep.losses.compiled import Penalty, parity
from gansweep.outputs import Output
from gansweep.randomness import derive_seed, stream

if TYPE_CHECKING:
    from gansweep.trial import Latent, TrialConfig


ROLES = ("generator", "discriminator")


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
    objective: Any
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    ema: nn.Module | None
    num_classes: int
    step: int = 0
    discriminator_steps: int = 0
    seconds: float = 0.0

    @classmethod
    def build(
        cls, config: TrialConfig, *, shape: tuple[int, ...], num_classes: int = 0, device: torch.device
    ) -> TrainState:
        """Networks with their initial weights and fresh optimisers, for examples of `shape` of `num_classes` classes.

        `ValueError` if the networks cannot have that shape, or if the trial needs labels that the data lack.
        """
        generator, discriminator = _networks(config, shape, num_classes)
        config.initialisation.apply(generator, config.seed, "generator")
        config.initialisation.apply(discriminator, config.seed, "discriminator")
        generator, discriminator = generator.to(device), discriminator.to(device)
        return cls(
            generator=generator,
            discriminator=discriminator,
            objective=config.loss.build(device),
            generator_optimizer=config.generator_optimizer.build(generator, config.generator.normalised),
            discriminator_optimizer=config.discriminator_optimizer.build(
                discriminator, config.discriminator.normalised
            ),
            ema=copy.deepcopy(generator).requires_grad_(False) if config.ema_decay is not None else None,
            num_classes=num_classes,
        )

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and strings only, so that it loads with `weights_only=True`."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        return {
            **state,
            "step": self.step,
            "discriminator_steps": self.discriminator_steps,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state of the same configuration."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step, self.discriminator_steps = state["step"], state["discriminator_steps"]
        self.seconds = state["seconds"]

    def _parts(self) -> dict[str, Any]:
        """Everything with a state of its own; most objectives have none."""
        names = ("generator", "discriminator", "objective", "generator_optimizer", "discriminator_optimizer", "ema")
        return {name: part for name in names if hasattr(part := getattr(self, name), "state_dict")}


def check_fit(config: TrialConfig, data: TrainingSet) -> None:
    """Raise `ValueError` where training would, if the trial and its data do not fit; allocates and draws nothing."""
    with torch.device("meta"):
        _networks(config, data.shape, data.num_classes)
    if config.labelled is not None and data.row_labels() is None:
        raise ValueError(f"labelled = {config.labelled} needs a finite set of labelled examples")
    for name in ("batch_size", "labelled"):
        if data.num_rows is not None and (getattr(config, name) or 0) > data.num_rows:
            raise ValueError(f"{name} = {getattr(config, name)} is more than the {data.num_rows} training examples")


def _networks(config: TrialConfig, shape: tuple[int, ...], num_classes: int) -> tuple[nn.Module, nn.Module]:
    if config.uses_labels and not num_classes:
        raise ValueError(
            f"the trial needs labels, and {type(config.data).__name__} has none: use a set with classes, or networks "
            'with condition="none" and an objective without labels'
        )
    heads = config.loss.heads(num_classes, config.latent)
    return (
        config.generator.build(latent_size=config.latent.total, shape=shape, num_classes=num_classes),
        config.discriminator.build(shape=shape, num_classes=num_classes, heads=heads),
    )


def draw_latent(latent: Latent, num: int, generator: torch.Generator) -> Tensor:
    """z of shape [num, latent.total] on the generator's device: noise, one-hot codes, continuous codes."""
    device = generator.device
    if latent.distribution == "normal":
        noise = torch.randn(num, latent.size, generator=generator, device=device)
    elif latent.distribution == "constant":
        noise = torch.ones(num, latent.size, device=device)
    else:
        noise = torch.rand(num, latent.size, generator=generator, device=device) * 2 - 1
    if latent.total == latent.size:
        return noise
    values = [torch.randint(k, (num,), generator=generator, device=device) for k in latent.categorical]
    # not F.one_hot, which on some devices reads the values back to check them
    hot = [torch.eye(k, device=device)[value] for value, k in zip(values, latent.categorical, strict=True)]
    continuous = torch.rand(num, latent.continuous, generator=generator, device=device) * 2 - 1
    return torch.cat([noise, *hot, continuous], dim=1)


def codes_in(latent: Latent, z: Tensor) -> tuple[Tensor, ...]:
    """The codes that z holds, as `Output.given`: int64 [num] for each categorical one, then [num, continuous]."""
    if latent.total == latent.size:
        return ()
    _, *hot, continuous = z.split([latent.size, *latent.categorical, latent.continuous], dim=1)
    return (*(one.argmax(dim=1) for one in hot), *([continuous] if latent.continuous else []))


class Samples(NamedTuple):
    """Samples [num, *shape] of a generator and the classes they were asked for, int64 [num]; None without classes."""

    x: Tensor
    labels: Tensor | None


@torch.inference_mode()
def sample(config: TrialConfig, state: TrainState, num: int, device: torch.device, batch_size: int = 250) -> Samples:
    """`num` samples from the generator (its average, where one is kept) in evaluation mode.

    z depends on the cell's seed and the batch number only, so that every evaluation of every arm uses the same. A
    conditional generator is asked for the classes in turn.
    """
    labels = torch.arange(num, device=device) % state.num_classes if config.generator.conditional else None
    samples = []
    with evaluating(state.ema if state.ema is not None else state.generator) as network:
        for number, start in enumerate(range(0, num, batch_size)):
            z = draw_latent(config.latent, batch_size, stream(device, config.seed, "latent", "evaluation", number))
            z = z[: num - start]
            given = (z,) if labels is None else (z, labels[start : start + batch_size])
            samples.append(network(*given))
    return Samples(torch.cat(samples), labels)


def evaluator(config: TrialConfig, state: TrainState) -> Callable[[Tensor], Output]:
    """The discriminator, unless it is conditional, as a function of real examples, in evaluation mode."""

    @torch.inference_mode()
    def answer(x: Tensor) -> Output:
        assert not config.discriminator.conditional
        with evaluating(state.discriminator) as discriminator:
            output: Output = discriminator(x)
        return output

    return answer


def shared_weights(configs: Iterable[TrialConfig], data: TrainingSet) -> set[str]:
    """The drawn tensors (two axes and more) that have one name and one shape in all of these trials."""
    with torch.device("meta"):
        pairs = [_networks(config, data.shape, data.num_classes) for config in configs]
    return set.intersection(
        *(
            {name for network, role in zip(pair, ROLES, strict=True) for name, _ in _drawn(network, role)}
            for pair in pairs
        )
    )


def _drawn(network: nn.Module, role: str) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            # the weight behind a spectral norm is drawn like one without
            plain = name.replace(".parametrizations.weight.original", ".weight")
            yield f"{role}.{plain} {tuple(parameter.shape)}", parameter


def fingerprints(
    config: TrialConfig,
    state: TrainState,
    data: TrainingSet,
    device: torch.device,
    shared: Container[str] | None = None,
) -> dict[str, str]:
    """Short hashes of the first real batch, the first z and the initial weights, to show that a block is paired.

    Call before training. The weights' hash covers the drawn tensors of both networks, or those that are in `shared`.
    """
    first = Batches(data, config.batch_size, config.seed, device)[0].x
    latent = draw_latent(config.latent, config.batch_size, stream(device, config.seed, "latent", "discriminator", 0))
    weights = hashlib.sha256()
    for role in ROLES:
        for name, parameter in _drawn(getattr(state, role), role):
            if shared is None or name in shared:
                weights.update(name.encode() + parameter.detach().cpu().numpy().tobytes())
    return {
        "fingerprint_data": _digest(first),
        "fingerprint_latent": _digest(latent),
        "fingerprint_init": weights.hexdigest()[:12] if shared is None or shared else "nothing shared",
    }


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.cpu().numpy().tobytes()).hexdigest()[:12]


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights; buffers (running statistics) are copied (trap T-44)."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)
    for kept, new in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(new)


@contextlib.contextmanager
def _own_dropout(config: TrialConfig, device: torch.device, role: str, position: int) -> Iterator[None]:
    """Dropout draws from torch's default stream: inside, that is a function of the update's number and nothing else."""
    if not (config.generator.stochastic or config.discriminator.stochastic):
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(config.seed, "dropout", role, position))
        yield


def penalty_parity(config: TrialConfig, state: TrainState, data: TrainingSet, device: torch.device) -> str | None:
    """Why the trial's penalty must not be compiled here, or None if it gives the same gradients; changes nothing."""
    penalty = Penalty(config.constraint, state.discriminator.train(), state.objective.score, compiled=True)
    real = Batches(data, config.batch_size, config.seed, device)[0]
    noise = torch.rand(real.x.shape, generator=stream(device, config.seed, "parity"), device=device) * 2 - 1
    labels = real.labels if config.discriminator.conditional else None
    return parity(penalty, real.x, noise, labels, labels)


def train(
    config: TrialConfig,
    state: TrainState,
    data: TrainingSet,
    device: torch.device,
    *,
    compiled: bool = False,
    layers: bool = False,
) -> Iterator[Step]:
    """Train from `state` to `config.steps`; `data` is on the device, `compiled` says how the penalty is computed.

    With `layers` each report has the gradient norm of every weight tensor, too.

    One iteration is n_critic discriminator updates and one generator update. Nothing is read back from the device
    between two reports. A loss that is not finite is data: its first step is reported and the caller decides.
    """
    # --- set-up: everything below is a function of the configuration and the counters in `state`
    objective, seed, latent = state.objective, config.seed, config.latent
    generator, discriminator = state.generator.train(), state.discriminator.train()
    batches = Batches(data, config.batch_size, seed, device)
    labelled = None
    if config.labelled is not None:
        of_row = data.row_labels()
        assert of_row is not None
        rows = labelled_rows(of_row, config.labelled, seed)
        size = min(config.batch_size, config.labelled)
        labelled = Batches(data, size, seed, device, rows=rows, purpose="labelled")
    penalty = Penalty(config.constraint, discriminator, objective.score, compiled)
    monitor = Monitor(config, state, layers=layers)
    half = torch.autocast(device.type, torch.bfloat16, enabled=config.autocast == "bf16")
    simultaneous = config.update_order == "simultaneous"

    def fakes(num: int, role: str, position: int, asked: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """z, the classes that are asked for (without `asked` they are drawn), and G(z)."""
        z = draw_latent(latent, num, stream(device, seed, "latent", role, position))
        if not config.generator.conditional:
            return z, None, generator(z)
        if asked is None:
            drawn = stream(device, seed, "labels", role, position)
            asked = torch.randint(state.num_classes, (num,), generator=drawn, device=device)
        return z, asked, generator(z, asked)

    def judge(x: Tensor, classes: Tensor | None) -> Output:
        """What the discriminator says, in fp32, beside what is known."""
        output = discriminator(x, classes) if config.discriminator.conditional else discriminator(x)
        return output.float()._replace(labels=classes)

    def discriminator_gradients() -> tuple[Output, Output, dict[str, Tensor]]:
        position = state.discriminator_steps
        discriminator.requires_grad_(True)
        batch = batches[position]
        with _own_dropout(config, device, "discriminator", position):
            with half:
                with torch.no_grad():
                    # for the classes of the real batch, so that a point between the two belongs to one class
                    z, asked, fake = fakes(config.batch_size, "discriminator", position, batch.labels)
                real_output = judge(batch.x, batch.labels)
                fake_output = judge(fake, asked)._replace(given=codes_in(latent, z))
                known_output = judge(*labelled[position]) if labelled is not None else None
            loss = objective.discriminator(real_output, fake_output)
            scalars = {"loss_discriminator": loss.detach()}
            if known_output is not None:
                supervised = objective.supervised(known_output)
                scalars["loss_supervised"] = supervised.detach()
                loss = loss + supervised
            labels = (batch.labels, asked) if config.discriminator.conditional else ()
            added = penalty(batch.x, fake.float(), stream(device, seed, "penalty", position), *labels)
            scalars["penalty"] = torch.zeros((), device=device) if added is None else added.detach()
            loss = loss if added is None else loss + added
        scalars["output_real"] = objective.score(real_output).detach().mean()
        scalars["output_fake"] = objective.score(fake_output).detach().mean()
        state.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return real_output.detach(), fake_output.detach(), scalars

    def discriminator_step() -> None:
        config.discriminator_optimizer.adjust(state.discriminator_optimizer, state.step, config.steps)
        state.discriminator_optimizer.step()
        if config.constraint is not None:
            config.constraint.after_step(discriminator)
        state.discriminator_steps += 1

    def generator_gradients(real_output: Output) -> tuple[Output, dict[str, Tensor]]:
        discriminator.requires_grad_(False)
        num = config.batch_size * config.generator_batch_factor
        role, position = ("discriminator", state.discriminator_steps) if simultaneous else ("generator", state.step)
        with _own_dropout(config, device, "generator", state.step), half:
            z, asked, fake = fakes(num, role, position)
            fake_output = judge(fake, asked)._replace(given=codes_in(latent, z))
        loss = objective.generator(real_output, fake_output)
        state.generator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return fake_output.detach(), {"loss_generator": loss.detach()}

    def generator_step() -> None:
        config.generator_optimizer.adjust(state.generator_optimizer, state.step, config.steps)
        state.generator_optimizer.step()
        if state.ema is not None and config.ema_decay is not None:
            _update_average(state.ema, generator, config.ema_decay)

    names: list[str] = []
    totals = torch.zeros(())
    nonfinite = torch.full((), -1, device=device)
    since, started = state.step, time.perf_counter()

    while state.step < config.steps:
        # --- the updates, in their order
        if config.update_order == "generator_first":
            fake, of_generator = generator_gradients(Output())
            generator_step()
        for _ in range(config.num_critic_steps(state.step)):
            real, _, of_discriminator = discriminator_gradients()
            if not simultaneous:
                discriminator_step()
        if config.update_order != "generator_first":
            fake, of_generator = generator_gradients(real)
            if simultaneous:
                discriminator_step()
            generator_step()
        state.step += 1
        objective.after_step(real, fake)

        # --- account, on the device
        scalars = {**of_discriminator, **of_generator, **objective.traces(real, fake)}
        names = names or list(scalars)
        values = torch.stack([scalars[name] for name in names]).detach()
        totals = totals + values if state.step - 1 > since else values
        bad = ~torch.isfinite(values).all() & (nonfinite < 0)
        nonfinite = torch.where(bad, state.step, nonfinite)

        # --- report: the one place where the host waits for the device
        if state.step % config.report_every == 0 or state.step == config.steps:
            health = monitor.read()
            first_bad, *read = torch.stack([nonfinite, *(totals / (state.step - since)), *health.values()]).tolist()
            scalars_read = dict(zip([*names, *health], read, strict=True))
            if config.loss.indifferent_loss is not None:
                confidence = 1 - scalars_read["loss_discriminator"] / config.loss.indifferent_loss
                scalars_read["discriminator_confidence"] = confidence
            since = state.step
            state.seconds += time.perf_counter() - started
            yield Step(
                step=state.step,
                images_seen=state.discriminator_steps * config.batch_size,
                seconds=state.seconds,
                scalars=scalars_read,
                nonfinite_step=int(first_bad) if first_bad >= 0 else None,
            )
            started = time.perf_counter()
