"""The one training loop, in the open: `for step in train(config, state, data): ...`.

The loop owns the mathematics; whoever iterates owns evaluation, recording, checkpoints and stopping. Between two
steps the state is complete: saved there and loaded elsewhere, the run goes on bit for bit (same machine, same thread
count).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import math
import time
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gansweep.data.batches import Batches, labelled_rows
from gansweep.data.training_set import TrainingSet
from gansweep.diagnostics import Monitor, evaluating
from gansweep.losses.compiled import Penalty, parity
from gansweep.memory import in_pieces
from gansweep.outputs import Output, precise
from gansweep.parts import content_id
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


def check_fit(config: TrialConfig, data: TrainingSet, fitting: set[str] | None = None) -> None:
    """Raise `ValueError` where training would, if the trial and its data do not fit; allocates and draws nothing.

    `fitting`, for calls with many trials of the same data, holds the networks that were found to fit: each is built
    once.
    """
    fitting = set() if fitting is None else fitting
    _check_labels(config, data.num_classes)
    decides: list[tuple[Callable[..., nn.Module], tuple[Any, ...]]] = [
        (_generator, (config.generator, config.latent)),
        (_discriminator, (config.discriminator, config.loss, config.latent)),
    ]
    for build, parts in decides:
        key = content_id([build.__name__, *parts])
        if key not in fitting:
            with torch.device("meta"):
                build(config, data.shape, data.num_classes)
            fitting.add(key)
    if config.labelled is not None and data.row_labels() is None:
        raise ValueError(f"labelled = {config.labelled} needs a finite set of labelled examples")
    for name in ("batch_size", "labelled"):
        if data.num_rows is not None and (getattr(config, name) or 0) > data.num_rows:
            raise ValueError(f"{name} = {getattr(config, name)} is more than the {data.num_rows} training examples")


def _networks(config: TrialConfig, shape: tuple[int, ...], num_classes: int) -> tuple[nn.Module, nn.Module]:
    _check_labels(config, num_classes)
    return _generator(config, shape, num_classes), _discriminator(config, shape, num_classes)


def _check_labels(config: TrialConfig, num_classes: int) -> None:
    if config.uses_labels and not num_classes:
        raise ValueError(
            f"the trial needs labels, and {type(config.data).__name__} has none: use a set with classes, or networks "
            'with condition="none" and an objective without labels'
        )


def _generator(config: TrialConfig, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    network: nn.Module = config.generator.build(latent_size=config.latent.total, shape=shape, num_classes=num_classes)
    return network


def _discriminator(config: TrialConfig, shape: tuple[int, ...], num_classes: int) -> nn.Module:
    heads = config.loss.heads(num_classes, config.latent)
    network: nn.Module = config.discriminator.build(shape=shape, num_classes=num_classes, heads=heads)
    return network


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
def sample(
    config: TrialConfig,
    state: TrainState,
    num: int,
    device: torch.device,
    batch_size: int = 250,
    data: TrainingSet | None = None,
) -> Samples:
    """`num` samples from the generator (its average, where one is kept) in evaluation mode.

    z depends on the cell's seed and the batch number only, so that every evaluation of every arm uses the same. A
    conditional generator is asked for the classes in turn. One that is not trained needs the real examples of `data`.
    """
    if not config.generator.trained:
        assert data is not None, "a generator that is not trained is a function of real examples"
        return Samples(_fixed(config, data, num, device, batch_size), None)
    labels = torch.arange(num, device=device) % state.num_classes if config.generator.conditional else None
    samples: list[Tensor] = []
    with evaluating(state.ema if state.ema is not None else state.generator) as network:
        for number, start in enumerate(range(0, num, batch_size)):
            z = draw_latent(config.latent, batch_size, stream(device, config.seed, "latent", "evaluation", number))
            z = z[: num - start]
            given = (z,) if labels is None else (z, labels[start : start + batch_size])
            samples += in_pieces(network, *given, size=batch_size)
    return Samples(torch.cat(samples), labels)


def _fixed(config: TrialConfig, data: TrainingSet, num: int, device: torch.device, batch_size: int) -> Tensor:
    """`num` examples of a generator that is not trained, beside real examples of a stream of their own."""
    size = min(batch_size, data.num_rows or batch_size)
    real = Batches(data, size, config.seed, device, purpose="evaluation")
    drawn = [
        config.generator.draw(real[number].x, stream(device, config.seed, "latent", "evaluation", number))
        for number in range(math.ceil(num / size))
    ]
    return torch.cat(drawn)[:num]


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


def penalty_parity(
    config: TrialConfig, state: TrainState, data: TrainingSet, device: torch.device, micro_batch: int | None = None
) -> str | None:
    """Why the trial's penalty must not be compiled here, or None if it gives the same gradients; changes nothing."""
    penalty = Penalty(config.constraint, state.discriminator.train(), state.objective.score, compiled=True)
    real = Batches(data, config.batch_size, config.seed, device)[0]
    x = real.x[:micro_batch]
    noise = torch.rand(x.shape, generator=stream(device, config.seed, "parity"), device=device) * 2 - 1
    labels = real.labels[:micro_batch] if config.discriminator.conditional and real.labels is not None else None
    return parity(penalty, x, noise, labels, labels)


# Batches in parts


def indivisible(config: TrialConfig, state: TrainState) -> str | None:
    """What keeps a batch of this trial from being computed in parts with the same update; None if nothing does."""
    for role in ROLES:
        if getattr(config, role).stochastic:
            return f"random numbers that the {role} draws for the whole batch, such as dropout's"
        for name, module in getattr(state, role).named_modules():
            if isinstance(module, _BatchNorm) or getattr(module, "track_running_stats", False):
                return f"{type(module).__name__} in the {role} ({name})"
    if config.discriminator.uses_batch_norm:
        return "a discriminator whose answer on an example depends on the rest of the batch"
    coupled = [part.coupling for part in (config.loss, config.constraint) if part is not None]
    return next((coupling for coupling in coupled if coupling is not None), None)


MaybeTensor = TypeVar("MaybeTensor", Tensor, Tensor | None)


class Part(NamedTuple):
    """Part `number` of the `of` in which a batch is computed; with one, a batch is used as it is."""

    number: int
    of: int

    def cut(self, whole: MaybeTensor) -> MaybeTensor:
        """The part of a tensor [num, ...]: parts differ by one row at most, and none is empty."""
        if whole is None or self.of == 1:
            return whole
        start, end = self._ends(len(whole))
        return whole[start : max(end, start + 1)]

    def weigh(self, mean: Tensor, num: int) -> Tensor:
        """What the mean of a part adds to that of `num` rows: nothing, where these are too few for all parts."""
        if self.of == 1:
            return mean
        start, end = self._ends(num)
        return mean * ((end - start) / num)

    def _ends(self, num: int) -> tuple[int, int]:
        return num * self.number // self.of, num * (self.number + 1) // self.of


def _count(totals: dict[str, Tensor], terms: dict[str, Tensor]) -> None:
    """Add up what each part says of the batch."""
    for name, term in terms.items():
        totals[name] = totals[name] + term.detach() if name in totals else term.detach()


def train(
    config: TrialConfig,
    state: TrainState,
    data: TrainingSet,
    device: torch.device,
    *,
    compiled: bool = False,
    layers: bool = False,
    micro_batch: int | None = None,
) -> Iterator[Step]:
    """Train from `state` to `config.steps`; `data` is on the device, `compiled` says how the penalty is computed.

    With `layers` each report has the gradient norm of every weight tensor, too. With `micro_batch` a batch is computed
    in parts of at most so many examples, to save memory: the same updates but for the order of sums. `ValueError` where
    they would be others (see `indivisible`).

    One iteration is n_critic discriminator updates and one generator update. Nothing is read back from the device
    between two reports. A loss that is not finite is data: its first step is reported and the caller decides.
    """
    # --- set-up: everything below is a function of the configuration and the counters in `state`
    if micro_batch is not None:
        if micro_batch < 1:
            raise ValueError(f"micro_batch = {micro_batch} must be at least 1, or None")
        if (why := indivisible(config, state)) is not None:
            raise ValueError(f"micro_batch = {micro_batch} must be None: no batch can be divided because of {why}")
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

    def parts(num: int, *networks: nn.Module) -> Iterator[Part]:
        """The parts of a batch; one, unless memory is short.

        Each meets the networks' buffers as the first did, since a spectral norm moves its vectors in every call.
        """
        of = 1 if micro_batch is None else math.ceil(num / micro_batch)
        kept = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()] if of > 1 else []
        for number in range(of):
            for buffer, value in kept:
                buffer.copy_(value)
            yield Part(number, of)

    def ask(num: int, role: str, position: int, asked: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """z, and the classes that the generator is asked for, which are drawn without `asked`."""
        z = draw_latent(latent, num, stream(device, seed, "latent", role, position))
        if not config.generator.conditional:
            return z, None
        if asked is None:
            drawn = stream(device, seed, "labels", role, position)
            asked = torch.randint(state.num_classes, (num,), generator=drawn, device=device)
        return z, asked

    def make(z: Tensor, asked: Tensor | None) -> Tensor:
        """G(z)."""
        fake: Tensor = generator(z) if asked is None else generator(z, asked)
        return fake

    def judge(x: Tensor, classes: Tensor | None) -> Output:
        """What the discriminator says, in fp32, beside what is known."""
        output = discriminator(x, classes) if config.discriminator.conditional else discriminator(x)
        return output.precise()._replace(labels=classes)

    def discriminator_gradients() -> tuple[Output, Output, dict[str, Tensor]]:
        position, num = state.discriminator_steps, config.batch_size
        discriminator.requires_grad_(True)
        state.discriminator_optimizer.zero_grad(set_to_none=True)
        batch = batches[position]
        known = labelled[position] if labelled is not None else None
        said: list[tuple[Output, Output]] = []
        scalars: dict[str, Tensor] = {}
        with _own_dropout(config, device, "discriminator", position):
            with half, torch.no_grad():
                # for the classes of the real batch, so that a point between the two belongs to one class
                if config.generator.trained:
                    z, asked = ask(num, "discriminator", position, batch.labels)
                else:
                    z = config.generator.draw(batch.x, stream(device, seed, "latent", "discriminator", position))
                    asked = None
                made = [make(part.cut(z), part.cut(asked)) for part in parts(num, generator)]
                fake = made[0] if len(made) == 1 else torch.cat(made)
            drawn = stream(device, seed, "penalty", position)
            points = None if micro_batch is None else penalty.points(batch.x, precise(fake), drawn)
            for part in parts(num, discriminator):
                real_x, real_labels = part.cut(batch.x), part.cut(batch.labels)
                fake_x, fake_labels = part.cut(fake), part.cut(asked)
                with half:
                    real_output = judge(real_x, real_labels)
                    fake_output = judge(fake_x, fake_labels)._replace(given=codes_in(latent, part.cut(z)))
                    known_output = judge(part.cut(known.x), part.cut(known.labels)) if known is not None else None
                terms = {"loss_discriminator": part.weigh(objective.discriminator(real_output, fake_output), num)}
                if known is not None:
                    terms["loss_supervised"] = part.weigh(objective.supervised(known_output), len(known.x))
                labels = (real_labels, fake_labels) if config.discriminator.conditional else (None, None)
                added = penalty(real_x, precise(fake_x), drawn, *labels, part.cut(points))
                if added is not None:
                    terms["penalty"] = part.weigh(added, num)
                functools.reduce(torch.add, terms.values()).backward()
                _count(scalars, terms)
                said.append((real_output.detach(), fake_output.detach()))
        real, fakes = (Output.joined(outputs) for outputs in zip(*said, strict=True))
        scalars.setdefault("penalty", torch.zeros((), device=device))
        scalars["output_real"] = objective.score(real).mean()
        scalars["output_fake"] = objective.score(fakes).mean()
        return real, fakes, scalars

    def discriminator_step() -> None:
        config.discriminator_optimizer.adjust(state.discriminator_optimizer, state.step, config.steps)
        state.discriminator_optimizer.step()
        if config.constraint is not None:
            config.constraint.after_step(discriminator)
        state.discriminator_steps += 1

    def generator_gradients(real: Output) -> tuple[Output, dict[str, Tensor]]:
        discriminator.requires_grad_(False)
        state.generator_optimizer.zero_grad(set_to_none=True)
        num = config.batch_size * config.generator_batch_factor
        role, position = ("discriminator", state.discriminator_steps) if simultaneous else ("generator", state.step)
        z, asked = ask(num, role, position)
        said: list[Output] = []
        scalars: dict[str, Tensor] = {}
        with _own_dropout(config, device, "generator", state.step):
            for part in parts(num, generator, discriminator):
                part_z, part_asked = part.cut(z), part.cut(asked)
                with half:
                    fake_output = judge(make(part_z, part_asked), part_asked)._replace(given=codes_in(latent, part_z))
                loss = part.weigh(objective.generator(real, fake_output), num)
                loss.backward()
                _count(scalars, {"loss_generator": loss})
                said.append(fake_output.detach())
        return Output.joined(said), scalars

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
            real, fake_said, of_discriminator = discriminator_gradients()
            if not simultaneous:
                discriminator_step()
        if not config.generator.trained:
            fake, of_generator = fake_said, {}
        elif config.update_order != "generator_first":
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
