"""The compiled penalty: the same numbers as the eager one, and a check that notices when they are not."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gansweep.losses.compiled import NUM_ARCHITECTURES, Penalty, parity, tracked_norm
from gansweep.losses.constraints import (
    DRAGANPenalty,
    GradientConstraint,
    GradientPenalty,
    WeightClip,
    ZeroCentredPenalty,
)
from gansweep.losses.objectives import Wasserstein
from gansweep.outputs import Output
from gansweep.randomness import stream

needs_compiler = pytest.mark.skipif(
    "CI" not in os.environ and shutil.which(os.environ.get("CXX", "g++")) is None, reason="there is no C++ compiler"
)
PENALTIES: list[GradientConstraint] = [
    GradientPenalty(),
    GradientPenalty(one_sided=True, at="real"),
    GradientPenalty(at="fake"),
    ZeroCentredPenalty(),
    DRAGANPenalty(),
    DRAGANPenalty(form="squared_hinge", noise="gaussian", scale=0.1),
]


class Network(nn.Module):
    """A discriminator made of the layers given, with a score for each class where labels count."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        scores = self.layers(x)
        return Output(score=scores[:, 0] if labels is None else scores.gather(1, labels[:, None]).squeeze(1))


class Branching(Network):
    """Which way it goes depends on the numbers, so no trace of it can be right for all."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
        return super().forward(x if x.sum() > 0 else -x, labels)


def convolutional(norm: nn.Module | None = None, *, extra: nn.Module | None = None, seed: int = 0) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Conv2d(1, 2, 3, stride=2, padding=1), norm or nn.GroupNorm(1, 2), nn.LeakyReLU(0.2)]
        return Network(*layers, extra or nn.Identity(), nn.Flatten(), nn.Linear(2 * 16, 3))


def images(seed: int = 0) -> Tensor:
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


REAL, FAKE, LABELS, FAKE_LABELS = images(0), images(1), torch.tensor([0, 1, 2, 1, 0]), torch.tensor([2, 2, 1, 0, 0])
score = Wasserstein().score


def outcome(penalty: Penalty, *labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The value and what `backward` leaves in the parameters."""
    penalty.discriminator.zero_grad()
    value = penalty(REAL, FAKE, stream("cpu", 0, "penalty"), *labels)
    assert value is not None
    value.backward()
    return value.detach(), {
        name: p.grad.clone() for name, p in penalty.discriminator.named_parameters() if p.grad is not None
    }


@pytest.fixture
def uncompiled() -> Iterator[None]:
    """Runs what would be compiled as it stands: `torch.func` without a compiler."""
    with torch.compiler.set_stance("force_eager"):
        yield


# The eager route


@pytest.mark.parametrize("constraint", PENALTIES, ids=repr)
def test_without_compiling_the_penalty_is_the_constraint_s_own(constraint: GradientConstraint) -> None:
    network = convolutional()
    got = Penalty(constraint, network, score)(REAL, FAKE, stream("cpu", 3))
    assert torch.equal(got, constraint.penalty(lambda x: score(network(x)), REAL, FAKE, stream("cpu", 3)))


def test_no_constraint_and_clipping_add_no_penalty_and_have_nothing_to_compile() -> None:
    for constraint in (None, WeightClip()):
        penalty = Penalty(constraint, convolutional(), score, compiled=True)
        assert not penalty.compiled
        assert penalty(REAL, FAKE, stream("cpu", 0)) is None
        assert parity(penalty, REAL, FAKE) is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("constraint", "own"), [(GradientPenalty(), LABELS), (GradientPenalty(at="fake"), FAKE_LABELS)], ids=repr
)
def test_T_13_points_are_judged_by_the_real_labels_unless_they_are_fakes(
    uncompiled: None, constraint: GradientConstraint, own: Tensor, compiled: bool
) -> None:
    network = convolutional()
    value, _ = outcome(Penalty(constraint, network, score, compiled), LABELS, FAKE_LABELS)
    expected = constraint.penalty(lambda x: score(network(x, own)), REAL, FAKE, stream("cpu", 0, "penalty"))
    torch.testing.assert_close(value, expected.detach())


# The functional route, before anything is compiled


@pytest.mark.parametrize("constraint", PENALTIES, ids=repr)
@pytest.mark.parametrize("norm", [nn.GroupNorm(1, 2), nn.InstanceNorm2d(2, affine=True), nn.Identity()], ids=repr)
def test_T_19_the_functional_penalty_gives_the_eager_value_and_parameter_gradients(
    uncompiled: None, constraint: GradientConstraint, norm: nn.Module
) -> None:
    network = convolutional(norm)
    value, gradients = outcome(Penalty(constraint, network, score))
    other, others = outcome(Penalty(constraint, network, score, compiled=True))
    torch.testing.assert_close(other, value)
    torch.testing.assert_close(others, gradients)


@pytest.mark.parametrize("constraint", PENALTIES, ids=repr)
def test_T_20_the_functional_penalty_ignores_an_autocast_region(
    uncompiled: None, constraint: GradientConstraint
) -> None:
    penalty = Penalty(constraint, convolutional(), score, compiled=True)
    value = penalty(REAL, FAKE, stream("cpu", 0))
    with torch.autocast("cpu", torch.bfloat16):
        inside = penalty(REAL, FAKE, stream("cpu", 0))
    assert torch.equal(value, inside)


def test_the_functional_penalty_sends_no_gradient_to_the_generator(uncompiled: None) -> None:
    fake = FAKE.clone().requires_grad_()
    value = Penalty(GradientPenalty(at="fake"), convolutional(), score, compiled=True)(REAL, fake, stream("cpu", 0))
    assert value is not None
    value.backward()
    assert fake.grad is None


def test_T_19_running_statistics_send_the_penalty_the_eager_way() -> None:
    network = convolutional(nn.BatchNorm2d(2))
    penalty = Penalty(GradientPenalty(allow_batch_norm=True), network, score, compiled=True)
    assert not penalty.compiled
    reason = parity(penalty, REAL, FAKE)
    assert reason == "the penalty cannot be compiled: it would move the running statistics of 'layers.1'"
    assert torch.isfinite(outcome(penalty)[0])


def test_T_19_the_reason_torch_func_refuses_running_statistics_in_training_mode(uncompiled: None) -> None:
    network = convolutional(nn.BatchNorm2d(2))
    penalty = Penalty(GradientPenalty(allow_batch_norm=True), network, score, compiled=True)
    with pytest.raises(RuntimeError, match="in-place operation"):
        penalty.compiled_gradients(REAL, None)


def test_only_norms_that_move_statistics_count() -> None:
    assert tracked_norm(convolutional(nn.BatchNorm2d(2))) == "layers.1"
    assert tracked_norm(convolutional(nn.InstanceNorm2d(2, track_running_stats=True))) == "layers.1"
    assert tracked_norm(convolutional(nn.BatchNorm2d(2)).eval()) is None
    for norm in (nn.BatchNorm2d(2, track_running_stats=False), nn.InstanceNorm2d(2), nn.GroupNorm(1, 2)):
        assert tracked_norm(convolutional(norm)) is None


# The self-check


class Everything:
    """What a check must leave as it was."""

    def __init__(self, network: nn.Module) -> None:
        self.random = torch.get_rng_state()
        self.state = {name: value.clone() for name, value in network.state_dict().items()}
        self.gradients = [None if p.grad is None else p.grad.clone() for p in network.parameters()]

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Everything)
        return (
            torch.equal(self.random, other.random)
            and all(torch.equal(value, other.state[name]) for name, value in self.state.items())
            and all(
                a is b if a is None or b is None else torch.equal(a, b)
                for a, b in zip(self.gradients, other.gradients, strict=True)
            )
        )


@pytest.mark.parametrize("constraint", PENALTIES, ids=repr)
@pytest.mark.parametrize("labels", [(), (LABELS, FAKE_LABELS)], ids=["", "labels"])
def test_routes_that_agree_pass_the_check_and_nothing_has_changed(
    uncompiled: None, constraint: GradientConstraint, labels: tuple[Tensor, ...]
) -> None:
    penalty = Penalty(constraint, convolutional(), score, compiled=True)
    outcome(penalty)  # leaves gradients
    before = Everything(penalty.discriminator)
    assert parity(penalty, REAL, FAKE, *labels) is None
    assert Everything(penalty.discriminator) == before


def test_a_spectral_norm_has_the_same_state_in_both_routes_and_afterwards(uncompiled: None) -> None:
    # its power iteration moves a buffer in each call, so the second route would see other weights
    normalised = nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 2, 3, padding=1))
    with torch.no_grad():  # another weight, for which the iteration has not converged
        normalised.parametrizations.weight.original.normal_(generator=torch.Generator().manual_seed(2))
    network = convolutional(extra=normalised)
    before = Everything(network)
    assert parity(Penalty(GradientPenalty(), network, score, compiled=True), REAL, FAKE) is None
    assert Everything(network) == before


def test_a_check_notices_routes_that_differ_and_nothing_has_changed(uncompiled: None) -> None:
    # its slopes are drawn anew in each call
    network = convolutional(extra=nn.RReLU(0.1, 0.9))
    before = Everything(network)
    reason = parity(Penalty(GradientPenalty(), network, score, compiled=True), REAL, FAKE)
    assert reason is not None
    assert reason.startswith("the compiled penalty is off by a relative ")
    assert Everything(network) == before


def test_dropout_is_refused_by_its_name(uncompiled: None) -> None:
    network = convolutional(extra=nn.Dropout(0.5))
    reason = parity(Penalty(GradientPenalty(), network, score, compiled=True), REAL, FAKE)
    assert reason == "the penalty cannot be compiled: dropout would draw other masks"


def test_a_check_is_not_satisfied_by_a_penalty_that_is_0_on_both_routes(uncompiled: None) -> None:
    network = convolutional(extra=nn.RReLU(0.1, 0.9))
    constraint = GradientPenalty(one_sided=True, target=1e6)
    assert outcome(Penalty(constraint, network, score))[0] == 0
    assert parity(Penalty(constraint, network, score, compiled=True), REAL, FAKE) is not None


def test_a_check_does_not_pass_on_numbers_that_are_not_finite(uncompiled: None) -> None:
    network = convolutional()
    with torch.no_grad():
        network.layers[0].weight.fill_(math.nan)  # type: ignore[union-attr, operator]
    reason = parity(Penalty(GradientPenalty(), network, score, compiled=True), REAL, FAKE)
    assert reason == "the compiled penalty is off by a relative inf"


def test_T_19_a_network_that_cannot_be_traced_is_named_by_the_check_and_goes_on_eagerly() -> None:
    network = Branching(nn.Flatten(), nn.Linear(64, 1))
    penalty = Penalty(GradientPenalty(), network, score, compiled=True)
    before = Everything(network)
    reason = parity(penalty, REAL, FAKE)
    assert reason is not None
    assert reason.startswith("the compiled penalty failed with Unsupported: ")
    assert "\n" not in reason
    assert Everything(network) == before
    penalty.compiled = False
    assert torch.isfinite(outcome(penalty)[0])


def test_a_missing_compiler_is_a_reason_and_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # nothing compiled earlier may help
    network = Network(nn.Flatten(), nn.Linear(64, 7), nn.Tanh(), nn.Linear(7, 1))
    penalty = Penalty(GradientPenalty(), network, score, compiled=True)
    before = Everything(network)
    with torch._inductor.config.patch({"cpp.cxx": (str(tmp_path / "no-such-compiler"),)}):
        reason = parity(penalty, REAL, FAKE)
    assert reason is not None
    assert reason.startswith("the compiled penalty failed with ")
    assert Everything(network) == before


# Compiled


@needs_compiler
def test_T_19_the_compiled_penalty_agrees_with_the_eager_one_for_every_constraint_and_network_of_a_shape() -> None:
    first = Penalty(GradientPenalty(), convolutional(), score, compiled=True)
    before = Everything(first.discriminator)
    assert parity(first, REAL, FAKE) is None
    assert Everything(first.discriminator) == before
    # one compilation serves other weights, other constraints and the loop's switching of `requires_grad`
    with torch.compiler.set_stance("fail_on_recompile"):
        for seed, constraint in enumerate(PENALTIES):
            network = convolutional(seed=seed).requires_grad_(False).requires_grad_(True)
            value, gradients = outcome(Penalty(constraint, network, score))
            other, others = outcome(Penalty(constraint, network, score, compiled=True))
            torch.testing.assert_close(other, value)
            torch.testing.assert_close(others, gradients)
        dead = convolutional()
        with torch.no_grad():
            dead.layers[-1].weight.zero_()  # type: ignore[union-attr, operator]
        value, gradients = outcome(Penalty(GradientPenalty(), dead, score, compiled=True))
    assert value.item() == 10.0  # trap T-5: (0 - 1)^2 * 10 with finite gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


@needs_compiler
@pytest.mark.slow
def test_T_19_a_layer_normalised_perceptron_with_labels_agrees_when_compiled() -> None:
    network = Network(nn.Flatten(), nn.Linear(64, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3))
    assert parity(Penalty(DRAGANPenalty(), network, score, compiled=True), REAL, FAKE, LABELS) is None


@needs_compiler
@pytest.mark.slow
def test_a_worker_may_meet_more_architectures_than_torch_keeps_by_default() -> None:
    import torch._dynamo.config

    assert torch._dynamo.config.recompile_limit < 10 < NUM_ARCHITECTURES
    for width in range(1, 11):
        network = Network(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 1))
        assert parity(Penalty(GradientPenalty(), network, score, compiled=True), REAL, FAKE) is None
