"""Initial weights: the rule of each part, streams by name, and layers under parametrizations."""

from __future__ import annotations

import copy
import itertools
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from gansweep.initialisation import (
    HeNormal,
    HeUniform,
    NormalWeights,
    OrthogonalWeights,
    ScaledUniform,
    UniformWeights,
    fans_of,
)
from gansweep.randomness import stream

PARTS = [
    ScaledUniform(),
    NormalWeights(),
    NormalWeights(gain_std=0.02),
    UniformWeights(),
    OrthogonalWeights(),
    HeNormal(),
    HeUniform(),
]
every_part = pytest.mark.parametrize("part", PARTS, ids=repr)

# every kind of layer with its fans: (inputs of an output, outputs of an input)
LAYERS: list[tuple[Any, float, float]] = [
    (lambda: nn.Linear(128, 96), 128, 96),
    (lambda: nn.Embedding(96, 128), 96, 128),  # the linear layer of a one-hot vector
    (lambda: nn.Conv1d(32, 48, 5, padding=2), 5 * 32, 5 * 48),
    (lambda: nn.Conv2d(16, 32, 3), 9 * 16, 9 * 32),
    (lambda: nn.Conv2d(16, 32, 5, stride=2), 25 * 16, 25 * 32 / 4),
    (lambda: nn.Conv2d(16, 32, 3, groups=4), 9 * 4, 9 * 8),
    (lambda: nn.ConvTranspose2d(32, 16, 5, stride=2), 25 * 32 / 4, 25 * 16),
    (lambda: nn.ConvTranspose1d(32, 48, 4, stride=2), 4 * 32 / 2, 4 * 48),
]
every_layer = pytest.mark.parametrize(("build", "fan_in", "fan_out"), LAYERS, ids=lambda v: "" if callable(v) else v)


def drawn(part: Any, network: nn.Module, seed: int = 0, role: str = "generator") -> dict[str, Tensor]:
    """The network's parameters and buffers after initialisation."""
    part.apply(network, seed, role)
    return {name: value.clone() for name, value in network.state_dict().items()}


def small() -> nn.Module:
    """A bit of everything: layers inside lists and blocks, norms, modules without weights."""
    blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(2)])
    labels = nn.ModuleDict({"embed": nn.Embedding(10, 6)})
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), blocks, nn.GroupNorm(1, 4), labels, nn.Linear(6, 5, bias=False))


# The authors' rule


@every_layer
def test_the_authors_rule_is_uniform_with_their_variance(build: Any, fan_in: float, fan_out: float) -> None:
    layer = build()
    fans = fans_of(layer)
    assert fans is not None
    assert (fans.fan_in, fans.fan_out) == (fan_in, fan_out)
    ScaledUniform().apply(nn.ModuleDict({"layer": layer}), 3, "generator")
    numerator = 2 if isinstance(layer, nn.Linear | nn.Embedding) else 4
    bound = math.sqrt(3) * math.sqrt(numerator / (fan_in + fan_out))
    expected = torch.empty(layer.weight.shape)
    expected.uniform_(-bound, bound, generator=stream("cpu", 3, "initialisation", "generator", "layer"))
    assert torch.equal(layer.weight.detach(), expected)  # bit for bit: a run of last year must start equal
    if getattr(layer, "bias", None) is not None:
        assert not layer.bias.detach().any()


def test_the_authors_rule_still_gives_the_numbers_of_the_first_release() -> None:
    # printed by gansweep 0.1.0 for these layers, seed 3 and role "generator"
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ConvTranspose2d(8, 4, 5, stride=2))
    ScaledUniform().apply(network, 3, "generator")
    assert [layer.weight.flatten()[:3].tolist() for layer in network] == [
        [-0.029930470511317253, -0.19935806095600128, 0.17281204462051392],
        [-0.21852096915245056, -0.27511918544769287, -0.09755238890647888],
    ]


# The other rules


def spread_of(part: Any, build: Any) -> Tensor:
    layer = build()
    part.apply(layer, 0, "discriminator")
    return layer.weight.detach().flatten()


@every_layer
@pytest.mark.parametrize(
    ("part", "rule"),
    [
        (NormalWeights(), lambda fan_in: 0.02),
        (NormalWeights(std=0.5), lambda fan_in: 0.5),
        (HeNormal(), lambda fan_in: math.sqrt(2 / fan_in)),
    ],
    ids=["0.02", "0.5", "he"],
)
def test_normal_weights_have_mean_0_and_the_deviation_of_the_rule(
    part: Any, rule: Any, build: Any, fan_in: float, fan_out: float
) -> None:
    weight, deviation = spread_of(part, build), rule(fan_in)
    num = len(weight)
    # five standard errors of a normal sample: sigma / sqrt(n), sigma / sqrt(2 n), sqrt(96 / n) for the fourth moment
    assert abs(weight.mean().item()) < 5 * deviation / math.sqrt(num)
    assert weight.std().item() == pytest.approx(deviation, rel=5 / math.sqrt(2 * num))
    assert (weight / deviation).pow(4).mean().item() == pytest.approx(3, abs=5 * math.sqrt(96 / num))


@every_layer
@pytest.mark.parametrize(
    ("part", "rule"),
    [(UniformWeights(), lambda fan_in: 0.02), (HeUniform(), lambda fan_in: math.sqrt(2 / fan_in))],
    ids=["0.02", "he"],
)
def test_uniform_weights_have_the_deviation_of_the_rule_and_fill_their_range(
    part: Any, rule: Any, build: Any, fan_in: float, fan_out: float
) -> None:
    weight, bound = spread_of(part, build), math.sqrt(3) * rule(fan_in)
    # a uniform sample's deviation has relative error sqrt(0.2 / n); five of them are allowed
    assert weight.std().item() == pytest.approx(rule(fan_in), rel=5 * math.sqrt(0.2 / len(weight)))
    assert 0.98 * bound < weight.abs().max().item() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Linear(64, 32),
        lambda: nn.Linear(32, 64),
        lambda: nn.Linear(20, 1),
        lambda: nn.Conv2d(3, 16, 3),
        lambda: nn.ConvTranspose2d(16, 8, 4, stride=2),
        lambda: nn.Embedding(10, 6),
    ],
)
@pytest.mark.parametrize("gain", [1.4, 1.0])
def test_orthogonal_weights_times_their_transpose_are_the_gain_squared(build: Any, gain: float) -> None:
    layer = build()
    OrthogonalWeights(gain=gain).apply(layer, 0, "generator")
    outputs_second = isinstance(layer, nn.ConvTranspose2d | nn.Embedding)
    weight = layer.weight.detach()
    matrix = (weight.transpose(0, 1) if outputs_second else weight).flatten(1)
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    torch.testing.assert_close(product, gain**2 * torch.eye(min(rows, columns)), rtol=0, atol=1e-5)


def test_he_weights_keep_the_mean_square_through_deep_relu_layers() -> None:
    network = nn.Sequential(*[nn.Sequential(nn.Linear(512, 512), nn.ReLU()) for _ in range(8)])
    x = torch.randn(64, 512, generator=torch.Generator().manual_seed(0))
    for part in (HeNormal(), HeUniform()):
        part.apply(network, 0, "discriminator")
        # relu(g)^2 has mean 1/2 and variance 5/4, so a layer of 512 doubles what relu halves to within sqrt(5 / 512);
        # eight make 0.28, and a variance of 1 / fan_in would be out by 2^8
        assert abs(math.log(network(x).square().mean().item())) < 5 * math.sqrt(8 * 5 / 512)


@pytest.mark.parametrize(
    "build",
    [lambda: nn.BatchNorm2d(4000), lambda: nn.GroupNorm(1, 4000), lambda: nn.LayerNorm(4000)],
    ids=["batch", "group", "layer"],
)
def test_gains_of_norms_are_drawn_around_1_only_where_asked(build: Any) -> None:
    plain, random = drawn(NormalWeights(), build()), drawn(NormalWeights(gain_std=0.02), build())
    assert (plain["weight"] == 1).all()
    assert not plain["bias"].any()
    assert not random["bias"].any()
    assert random["weight"].mean().item() == pytest.approx(1, abs=5 * 0.02 / math.sqrt(4000))
    assert random["weight"].std().item() == pytest.approx(0.02, rel=5 / math.sqrt(8000))


def test_norms_without_gains_stay_without() -> None:
    assert "weight" not in drawn(NormalWeights(gain_std=0.02), nn.BatchNorm2d(4, affine=False))


# Streams by name


@every_part
def test_weights_depend_on_seed_role_and_name_and_on_nothing_else(part: Any) -> None:
    torch.manual_seed(1)
    first = drawn(part, small())
    torch.manual_seed(2)
    again = drawn(part, small())
    assert all(torch.equal(first[name], again[name]) for name in first)
    weights = [name for name, value in first.items() if value.ndim > 1]
    assert len(weights) == 5
    for other in (drawn(part, small(), seed=1), drawn(part, small(), role="discriminator")):
        assert not [name for name in weights if torch.equal(first[name], other[name])]
    assert not torch.equal(first["1.0.0.weight"], first["1.1.0.weight"])  # one shape, two layers


@every_part
def test_adding_a_layer_changes_no_other_weight(part: Any) -> None:
    network = small()
    before = drawn(part, small())
    network.add_module("extra", nn.Conv2d(3, 3, 3))
    network[1].append(nn.Linear(7, 7))
    changed = drawn(part, network)
    assert changed.keys() > before.keys()
    assert all(torch.equal(value, changed[name]) for name, value in before.items())


@every_part
def test_applying_twice_and_in_any_mode_is_applying_once(part: Any) -> None:
    once, network = drawn(part, small()), small().eval()
    part.apply(network, 5, "generator")
    twice = drawn(part, network)
    assert all(torch.equal(once[name], twice[name]) for name in once)


@every_part
def test_parameters_of_other_modules_are_left_alone(part: Any) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((10, 4), 0.25))

    assert (drawn(part, nn.Sequential(Scaled()))["0.weight"] == 0.25).all()


@every_part
def test_the_random_state_of_torch_is_left_alone(part: Any) -> None:
    network = small()
    before = torch.get_rng_state()
    part.apply(network, 0, "generator")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_in_double_precision_starts_at_the_same_numbers() -> None:
    single, double = drawn(HeNormal(), small()), drawn(HeNormal(), small().double())
    assert all(torch.equal(value.to(double[name].dtype), double[name]) for name, value in single.items())


# Layers under parametrizations

WRAPPED = [
    lambda: nn.Linear(12, 9),
    lambda: nn.Conv2d(3, 8, 3),
    lambda: nn.ConvTranspose2d(8, 3, 4, stride=2),
    lambda: nn.Embedding(10, 6),
]
every_wrapped = pytest.mark.parametrize("build", WRAPPED, ids=["linear", "conv", "transposed", "embedding"])


@every_wrapped
@every_part
def test_under_spectral_norm_the_same_weight_is_drawn_and_then_divided(part: Any, build: Any) -> None:
    bare = drawn(part, nn.Sequential(build()))["0.weight"]
    network = nn.Sequential(spectral_norm(build()))
    state = drawn(part, network)
    assert torch.equal(state["0.parametrizations.weight.original"], bare)
    network.eval()  # no power iteration
    output_axis = 1 if isinstance(network[0], nn.ConvTranspose2d) else 0  # torch's choice of the matrix
    matrix = network[0].weight.detach().movedim(output_axis, 0).flatten(1)
    # fifteen power iterations are near the largest singular value, never above it
    assert 1 - 1e-5 < torch.linalg.matrix_norm(matrix, ord=2).item() < 1.2


@every_wrapped
def test_singular_vectors_are_a_function_of_the_seed_and_not_of_the_global_stream(build: Any) -> None:
    states = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        network = nn.Sequential(spectral_norm(build()))
        network[0].weight  # noqa: B018  (a power iteration in passing)
        states.append(drawn(ScaledUniform(), network))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    u, v = (states[0][f"0.parametrizations.weight.0._{side}"] for side in "uv")
    assert u.norm().item() == pytest.approx(1)
    assert v.norm().item() == pytest.approx(1)
    other = drawn(ScaledUniform(), nn.Sequential(spectral_norm(build())), seed=1)
    assert not torch.allclose(v, other["0.parametrizations.weight.0._v"], atol=1e-3)


def test_singular_vectors_start_as_torch_would_start_them() -> None:
    # torch runs 15 iterations from random vectors when a layer is wrapped; ours must satisfy v = W^T u / |W^T u|
    state = drawn(ScaledUniform(), nn.Sequential(spectral_norm(nn.Linear(12, 9))))
    weight, u, v = (state[f"0.parametrizations.weight.{name}"] for name in ("original", "0._u", "0._v"))
    torch.testing.assert_close(v, nn.functional.normalize(weight.T @ u, dim=0), rtol=0, atol=1e-6)


def test_a_spectrally_normalised_network_trains_and_copies_after_initialisation() -> None:
    network = nn.Sequential(spectral_norm(nn.Linear(6, 4)), nn.ReLU(), spectral_norm(nn.Linear(4, 1)))
    ScaledUniform().apply(network, 0, "discriminator")
    twin = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.ones(3, 6)).sum().backward()
    optimizer.step()
    changed = [not torch.equal(a, b) for a, b in zip(network.parameters(), twin.parameters(), strict=True)]
    assert any(changed)
    assert all(p.is_leaf and p.requires_grad for p in network.parameters())


def test_under_weight_norm_the_effective_weight_is_the_drawn_one() -> None:
    bare = drawn(ScaledUniform(), nn.Sequential(nn.Linear(12, 9)))["0.weight"]
    network = nn.Sequential(weight_norm(nn.Linear(12, 9)))
    ScaledUniform().apply(network, 0, "generator")
    torch.testing.assert_close(network[0].weight.detach(), bare)


# The parts themselves


def test_parts_load_without_torch() -> None:
    code = "import sys, gansweep.initialisation, gansweep.schedules; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"


def test_the_rules_differ() -> None:
    weights = [drawn(part, nn.Linear(8, 8))["weight"] for part in PARTS if part != NormalWeights(gain_std=0.02)]
    assert not [pair for pair in itertools.combinations(weights, 2) if torch.allclose(*pair, rtol=1e-3)]


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (NormalWeights, {"std": 0}, "NormalWeights.std = 0 must be a number > 0"),
        (NormalWeights, {"gain_std": -0.1}, "NormalWeights.gain_std = -0.1 must be a number > 0"),
        (UniformWeights, {"std": True}, "UniformWeights.std = True must be a number > 0"),
        (OrthogonalWeights, {"gain": 0.0}, "OrthogonalWeights.gain = 0.0 must be a number > 0"),
        (ScaledUniform, {"std": 0.02}, "field of ScaledUniform 'std' does not exist"),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_line(kind: Any, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        kind(**fields)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
