"""Optimisers and schedules: torch's own numbers, TensorFlow's recurrence by hand, and nothing remembered in between."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep.optimizers import SGD, Adam, RMSProp, RMSPropTF
from gansweep.schedules import ExponentialDecay, LinearDecay, MomentumRamp, StepDecay

STEPS = 40  # of the small runs here

PLAIN = [
    Adam(lr=1e-2, beta1=0.5),
    SGD(lr=1e-2),
    SGD(lr=1e-2, momentum=0.5),
    RMSProp(lr=1e-2),
    RMSPropTF(lr=1e-2),
    RMSPropTF(lr=1e-2, momentum=0.9),
]
SCHEDULED = [
    Adam(lr=1e-2, schedule=LinearDecay()),
    SGD(lr=1e-2, momentum=0.5, schedule=ExponentialDecay(factor=0.9, floor=1e-4), momentum_schedule=MomentumRamp()),
    RMSProp(lr=1e-2, schedule=StepDecay(every=7)),
    RMSPropTF(lr=1e-2, momentum=0.5, weight_decay=0.1, schedule=LinearDecay(over=25)),
]


def network() -> nn.Module:
    """Weights and biases in two layers, the same at every call."""
    made = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(generator=generator)
    return made


def set_gradients(of: nn.Module, step: int) -> None:
    """Gradients of a loss whose data depend on the step only."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    of.zero_grad()
    of(x).square().mean().backward()


def walk(part: Any, of: nn.Module, made: torch.optim.Optimizer, start: int, stop: int) -> None:
    """The updates `start` to `stop`, as the training loop takes them."""
    for step in range(start, stop):
        set_gradients(of, step)
        part.adjust(made, step, STEPS)
        made.step()


def after(part: Any, num: int = STEPS, normalised: bool = True) -> list[Tensor]:
    """The parameters after so many updates."""
    trained = network()
    walk(part, trained, part.build(trained, normalised), 0, num)
    return [p.detach() for p in trained.parameters()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# Torch's own, bit for bit

OWN: list[tuple[Any, Callable[[Any], torch.optim.Optimizer]]] = [
    (Adam(lr=1e-2, beta1=0.5, beta2=0.99), lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.5, 0.99), fused=True)),
    (Adam(lr=1e-2, beta1=0, beta2=0.9), lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.0, 0.9), fused=True)),
    (RMSProp(lr=1e-2), lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.99, eps=1e-8)),
    (SGD(lr=1e-2), lambda p: torch.optim.SGD(p, lr=1e-2)),
    (SGD(lr=1e-2, momentum=0.5), lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.5)),
    (SGD(lr=1e-2, momentum=0.5, nesterov=True), lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.5, nesterov=True)),
]


@pytest.mark.parametrize(("part", "own"), OWN, ids=lambda value: repr(value) if not callable(value) else "")
def test_an_optimiser_without_a_schedule_is_torchs_bit_for_bit(part: Any, own: Any) -> None:
    trained = network()
    optimizer = own(trained.parameters())
    for step in range(STEPS):
        set_gradients(trained, step)
        optimizer.step()
    assert equal(after(part), [p.detach() for p in trained.parameters()])


@pytest.mark.parametrize("part", PLAIN, ids=repr)
def test_adjusting_without_a_schedule_touches_nothing(part: Any) -> None:
    made = part.build(network(), True)
    before = [{k: v for k, v in group.items() if k != "params"} for group in made.param_groups]
    part.adjust(made, 3, STEPS)
    assert [{k: v for k, v in group.items() if k != "params"} for group in made.param_groups] == before


# TensorFlow's RMSProp


def one_weight(value: float, part: Any) -> tuple[nn.Module, torch.optim.Optimizer]:
    holder = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(holder.weight, value)
    return holder, part.build(holder, True)


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.1), (0.5, 0.1)])
def test_T_17_tensorflows_rmsprop_follows_its_recurrence(momentum: float, weight_decay: float) -> None:
    part = RMSPropTF(lr=0.1, decay=0.8, momentum=momentum, eps=1e-3, weight_decay=weight_decay)
    holder, made = one_weight(2.0, part)
    w, s, m = 2.0, 1.0, 0.0
    for g in (3.0, -1.0, 0.0, 1e-3, 40.0):
        holder.weight.grad = torch.full((1, 1), g, dtype=torch.float64)
        made.step()
        g += weight_decay * w
        s = 0.8 * s + 0.2 * g * g
        m = momentum * m + 0.1 * g / math.sqrt(s + 1e-3)
        w -= m
        assert holder.weight.item() == pytest.approx(w, rel=1e-14)


@pytest.mark.parametrize("g", [1e-3, 1.0, -100.0])
def test_T_17_the_first_steps_of_the_two_rmsprops_differ_by_a_known_factor(g: float) -> None:
    lr, moved = 1e-3, {}
    for part in (RMSProp(lr=lr), RMSPropTF(lr=lr)):
        holder, made = one_weight(0.0, part)
        holder.weight.grad = torch.full((1, 1), g, dtype=torch.float64)
        made.step()
        moved[type(part).__name__] = -holder.weight.item()
    # from 0 any gradient moves the weight by 10 lr; from 1 a small one by lr g / sqrt(0.9), a big one by lr / sqrt(0.1)
    assert moved["RMSProp"] == pytest.approx(lr * g / (math.sqrt(0.01 * g * g) + 1e-8), rel=1e-12)
    assert moved["RMSPropTF"] == pytest.approx(lr * g / math.sqrt(0.9 + 0.1 * g * g + 1e-10), rel=1e-12)
    assert moved["RMSProp"] / moved["RMSPropTF"] == pytest.approx(
        {1e-3: 9486.7, 1.0: 10.0, -100.0: 3.1637}[g], rel=1e-4
    )


def test_T_17_eps_is_inside_the_root() -> None:
    # s = g^2 = 1e-20 without decay: 1e-10 / sqrt(1e-20 + 1e-10) is 1e-5; outside, 1e-10 / (1e-10 + 1e-10) would be 1/2
    holder, made = one_weight(0.0, RMSPropTF(lr=1.0, decay=0.0))
    holder.weight.grad = torch.full((1, 1), 1e-10, dtype=torch.float64)
    made.step()
    assert -holder.weight.item() == pytest.approx(1e-5, rel=1e-9)


def test_T_17_the_kind_of_rmsprop_is_in_the_parts_identity() -> None:
    from gansweep.parts import content_id

    assert len({content_id(part) for part in (RMSProp(), RMSPropTF(), Adam(lr=5e-5))}) == 3


def test_tensorflows_rmsprop_leaves_a_parameter_without_gradient_alone() -> None:
    trained = network()
    made = RMSPropTF(momentum=0.5).build(trained, True)
    made.step()
    assert equal([p.detach() for p in trained.parameters()], [p.detach() for p in network().parameters()])
    assert not made.state_dict()["state"]


# Weight decay


@pytest.mark.parametrize("kind", [Adam, SGD, RMSProp, RMSPropTF])
@pytest.mark.parametrize(
    ("when", "normalised", "decays"),
    [("always", True, True), ("always", False, True), ("normalised", True, True), ("normalised", False, False)],
)
def test_every_optimiser_decays_weights_and_never_biases(kind: Any, when: str, normalised: bool, decays: bool) -> None:
    part = kind(lr=1e-2, weight_decay=0.5, weight_decay_when=when)
    with_decay, without = after(part, 3, normalised), after(kind(lr=1e-2), 3)
    assert equal(with_decay, without) is not decays
    groups = part.build(network(), normalised).param_groups
    assert [{p.ndim for p in group["params"]} for group in groups] == [{2}, {1}]
    assert [group["weight_decay"] for group in groups] == [0.5 if decays else 0.0, 0.0]


def test_decay_is_added_to_the_gradient() -> None:
    holder, made = one_weight(3.0, SGD(lr=0.1, weight_decay=0.5))
    holder.weight.grad = torch.full((1, 1), 2.0, dtype=torch.float64)
    made.step()
    assert holder.weight.item() == pytest.approx(3 - 0.1 * (2 + 0.5 * 3))


# Schedules


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (LinearDecay(), {0: 1.0, 25: 0.75, 50: 0.5, 99: 0.01, 100: 0.0, 130: 0.0}),
        (LinearDecay(over=50), {0: 1.0, 25: 0.5, 50: 0.0, 99: 0.0}),
        (StepDecay(), {0: 1.0, 99_999: 1.0, 100_000: 0.5, 199_999: 0.5, 200_000: 0.25}),
        (StepDecay(every=10, factor=0.1, floor=0.02), {9: 1.0, 10: 0.1, 20: 0.02, 99: 0.02}),
        (ExponentialDecay(factor=0.5, floor=0.1), {0: 1.0, 1: 0.5, 3: 0.125, 4: 0.1, 1000: 0.1}),
        # halved after ln 2 / ln 1.00004 = 17329 steps; 1e-6 of the rate after 345 396
        (ExponentialDecay(), {0: 1.0, 17_329: 0.5, 345_300: 1.0038e-6, 345_500: 1e-6, 10**7: 1e-6}),
    ],
    ids=repr,
)
def test_a_schedule_has_the_rate_of_its_formula(schedule: Any, rates: dict[int, float]) -> None:
    for step, rate in rates.items():
        assert schedule.lr(1.0, step, 100) == pytest.approx(rate, rel=2e-5)


@pytest.mark.parametrize("schedule", [LinearDecay(), StepDecay(every=7), ExponentialDecay(factor=0.9)], ids=repr)
def test_every_schedule_starts_at_the_optimisers_own_rate_and_never_rises(schedule: Any) -> None:
    for lr in (2e-4, 1e-7):  # the second is below the floor, which must not raise it
        rates = [schedule.lr(lr, step, 100) for step in range(120)]
        assert rates[0] == lr
        assert all(later <= earlier for earlier, later in itertools.pairwise(rates))


def test_the_conditional_gans_rate_and_momentum_are_those_of_its_paper() -> None:
    rate, ramp = ExponentialDecay(), MomentumRamp(over=1000)
    assert rate.lr(0.1, 1, 10) == pytest.approx(0.1 / 1.00004, rel=1e-15)
    assert rate.lr(0.1, 10**6, 10) == 1e-6
    assert [ramp.momentum(0.5, step, 10) for step in (0, 500, 1000, 5000)] == pytest.approx([0.5, 0.6, 0.7, 0.7])
    assert [MomentumRamp().momentum(0.5, step, 10) for step in (0, 5, 10)] == pytest.approx([0.5, 0.6, 0.7])


@pytest.mark.parametrize("part", SCHEDULED, ids=repr)
def test_adjusting_sets_rate_and_momentum_of_all_groups_to_plain_numbers(part: Any) -> None:
    made = part.build(network(), True)
    for step in (0, 30, 10):  # in any order: nothing is remembered
        part.adjust(made, step, STEPS)
        for group in made.param_groups:
            assert type(group["lr"]) is float
            assert group["lr"] == part.schedule.lr(part.lr, step, STEPS)
            if isinstance(part, SGD):
                assert group["momentum"] == part.momentum_schedule.momentum(0.5, step, STEPS)


def test_a_scheduled_rate_and_momentum_act_on_the_update() -> None:
    part = SGD(lr=1.0, momentum=0.5, schedule=LinearDecay(), momentum_schedule=MomentumRamp(final=0.9))
    holder, made = one_weight(0.0, part)
    w, v = 0.0, 0.0
    for step, (rate, momentum) in enumerate([(1.0, 0.5), (0.75, 0.6), (0.5, 0.7), (0.25, 0.8)]):
        holder.weight.grad = torch.ones(1, 1, dtype=torch.float64)
        part.adjust(made, step, 4)
        made.step()
        v = momentum * v + 1
        w -= rate * v
        assert holder.weight.item() == pytest.approx(w, rel=1e-14)


@pytest.mark.parametrize("part", SCHEDULED, ids=repr)
def test_a_schedule_changes_the_result(part: Any) -> None:
    assert not equal(after(part), after(type(part)(lr=part.lr, weight_decay=part.weight_decay)))


# Resuming


@pytest.mark.parametrize("part", PLAIN + SCHEDULED, ids=repr)
def test_a_resumed_optimiser_goes_on_bit_for_bit(part: Any) -> None:
    first = network()
    made = part.build(first, True)
    walk(part, first, made, 0, 17)
    saved = io.BytesIO()
    torch.save({"network": first.state_dict(), "optimizer": made.state_dict()}, saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    second = network()
    made = part.build(second, True)
    second.load_state_dict(state["network"])
    made.load_state_dict(state["optimizer"])
    walk(part, second, made, 17, STEPS)
    assert equal([p.detach() for p in second.parameters()], after(part))


# What is refused


@dataclass(frozen=True)
class Stairs:
    """A schedule of somebody else's: any part with the method will do."""

    def lr(self, lr: float, step: int, steps: int) -> float:
        return lr / (1 + step)


def test_a_schedule_from_elsewhere_is_taken() -> None:
    part = Adam(lr=1.0, schedule=Stairs())
    made = part.build(network(), True)
    part.adjust(made, 3, STEPS)
    assert {group["lr"] for group in made.param_groups} == {0.25}


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (SGD, {"momentum": 1.0}, "SGD.momentum = 1.0 must lie in [0, 1)"),
        (SGD, {"lr": 0}, "SGD.lr = 0 must be a number > 0"),
        (SGD, {"nesterov": True}, "SGD.nesterov = True needs SGD.momentum > 0"),
        (SGD, {"momentum_schedule": LinearDecay()}, "must be None or a part such as MomentumRamp"),
        (SGD, {"weight_decay_when": "normalized"}, "did you mean 'normalised'?"),
        (Adam, {"schedule": "linear"}, "Adam.schedule = 'linear' must be None or a part such as LinearDecay"),
        (Adam, {"schedule": MomentumRamp()}, "Adam.schedule = MomentumRamp(final=0.7, over=None) must be"),
        (RMSPropTF, {"decay": 1.0}, "RMSPropTF.decay = 1.0 must lie in [0, 1)"),
        (RMSPropTF, {"eps": 0}, "RMSPropTF.eps = 0 must be a number > 0"),
        (RMSPropTF, {"alpha": 0.9}, "field of RMSPropTF 'alpha' does not exist"),
        (LinearDecay, {"over": 0}, "LinearDecay.over = 0 must be a whole number >= 1"),
        (StepDecay, {"every": 0}, "StepDecay.every = 0 must be a whole number >= 1"),
        (StepDecay, {"factor": 2.0}, "StepDecay.factor = 2.0 must lie in (0, 1]"),
        (ExponentialDecay, {"factor": 1.00004}, "ExponentialDecay.factor = 1.00004 must lie in (0, 1]"),
        (ExponentialDecay, {"floor": -1.0}, "ExponentialDecay.floor = -1.0 must be a number >= 0"),
        (MomentumRamp, {"final": 1.0}, "MomentumRamp.final = 1.0 must lie in [0, 1)"),
        (MomentumRamp, {"over": 2.5}, "MomentumRamp.over = 2.5 must be a whole number >= 1"),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_line(kind: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        kind(**fields)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
