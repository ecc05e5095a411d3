"""The random-architecture set: shapes, depths, parameter counts, normalisation, initialisation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep import DCGANDiscriminator, DCGANGenerator
from gansweep.models.dcgan import PLACEMENTS, Discriminator, Generator
from gansweep.models.layers import ACTIVATIONS, NORMS, ShiftedSoftplus, activation, initialise, norm

DEPTHS = (4, 8, 12, 20)


def generator(size: int = 32, channels: int = 3, latent_size: int = 128, **fields: Any) -> Generator:
    return DCGANGenerator(**fields).build(latent_size=latent_size, channels=channels, size=size)


def discriminator(size: int = 32, channels: int = 3, **fields: Any) -> Discriminator:
    return DCGANDiscriminator(**fields).build(channels=channels, size=size)


def weight_layers(network: nn.Module) -> list[Any]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# Shapes and depths


@pytest.mark.parametrize("extra_layers", PLACEMENTS)
@pytest.mark.parametrize("depth", [4, 8, 12])
@pytest.mark.parametrize(("size", "channels"), [(16, 1), (32, 3), (64, 3)])
def test_images_have_the_asked_shape_and_range_and_scores_are_one_per_example(
    extra_layers: str, depth: int, size: int, channels: int
) -> None:
    fields: dict[str, Any] = {"depth": depth, "width": 2, "extra_layers": extra_layers}
    g, d = generator(size, channels, 5, **fields), discriminator(size, channels, **fields)
    initialise(g, 0, "generator")
    images = g(torch.randn(3, 5))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert d(images).shape == (3,)


@pytest.mark.parametrize("build", [generator, discriminator])
@pytest.mark.parametrize("size", [8, 20, 28])
def test_a_size_that_cannot_be_halved_three_times_is_refused(build: Any, size: int) -> None:
    with pytest.raises(ValueError, match=f"image size {size} must be a multiple of 8 and at least 16"):
        build(size)


@pytest.mark.parametrize("extra_layers", PLACEMENTS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_is_the_number_of_weight_layers_in_both_placements(extra_layers: str, depth: int) -> None:
    fields: dict[str, Any] = {"depth": depth, "width": 1, "extra_layers": extra_layers}
    assert len(weight_layers(generator(**fields))) == depth
    assert len(weight_layers(discriminator(**fields))) == depth


def test_any_depth_from_four_on_can_stand_in_the_middle() -> None:
    assert [len(weight_layers(generator(width=1, depth=depth))) for depth in (4, 5, 7)] == [4, 5, 7]


def resolutions(network: nn.Module, argument: Tensor) -> list[int]:
    """The heights of the outputs of all 3x3 convolutions, in order."""
    seen: list[int] = []
    for layer in weight_layers(network):
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1]))
    network(argument)
    return seen


def test_layers_in_the_middle_stand_at_8x8_for_images_of_32x32() -> None:
    # Inferred from igul222/nn, wgan_imagenet32_stab.py: EXTRA_DEPTH convolutions of 2F at 8x8 in each network.
    g, d = generator(width=1, depth=8), discriminator(width=1, depth=8)
    assert resolutions(g, torch.randn(2, 128)) == [8] * 4
    assert resolutions(d, torch.randn(2, 3, 32, 32)) == [8] * 4
    assert [tuple(m.weight.shape) for m in weight_layers(g)[2:6]] == [(2, 2, 3, 3)] * 4
    assert [tuple(m.weight.shape) for m in weight_layers(d)[2:6]] == [(2, 2, 3, 3)] * 4


def test_spread_layers_stand_equally_at_the_four_stages() -> None:
    # G: one at 4x4, 8x8 and 16x16, and the output convolution at 32x32. D: at 16x16, 8x8, and two at 4x4, because its
    # last stage is the linear layer behind 4x4.
    fields: dict[str, Any] = {"width": 1, "depth": 8, "extra_layers": "spread"}
    g, d = generator(**fields), discriminator(**fields)
    assert resolutions(g, torch.randn(2, 128)) == [4, 8, 16, 32]
    assert resolutions(d, torch.randn(2, 3, 32, 32)) == [16, 8, 4, 4]


# Parameter counts, worked out for F = 64, 128 latent numbers and 3x32x32 images (4x4 at the start)

# G, depth 4: linear (128 + 1) * 256 * 16 = 528,384; 5x5 256 -> 128: 25 * 256 * 128 + 128 = 819,328;
# 5x5 128 -> 64: 204,864; 5x5 64 -> 3: 4,803; a gain and a bias for each of 256 + 128 + 64 channels: 896.
GENERATOR_4 = 528_384 + 819_328 + 204_864 + 4_803 + 896
# D, depth 4: 5x5 3 -> 64: 25 * 3 * 64 + 64 = 4,864; 64 -> 128: 204,928; 128 -> 256: 819,456; linear 256 * 16 + 1;
# gains and biases for 128 + 256 channels: 768.
DISCRIMINATOR_4 = 4_864 + 204_928 + 819_456 + 4_097 + 768
# One 3x3 layer of n channels with its norm: 9 n^2 + n + 2 n.
LAYER = {n: 9 * n * n + 3 * n for n in (64, 128, 256)}
# Spread to depth 8, G's last stage becomes 5x5 64 -> 64 with norm and 3x3 64 -> 3, instead of 5x5 64 -> 3.
LAST_STAGE = (25 * 64 * 64 + 64 + 128) + (9 * 64 * 3 + 3) - 4_803


@pytest.mark.parametrize(
    ("depth", "extra_layers", "num_g", "num_d"),
    [
        (4, "middle", 1_558_275, 1_034_113),
        (4, "spread", GENERATOR_4, DISCRIMINATOR_4),
        (8, "middle", GENERATOR_4 + 4 * LAYER[128], DISCRIMINATOR_4 + 4 * LAYER[128]),
        (20, "middle", 3_923_715, 3_399_553),
        (
            8,
            "spread",
            GENERATOR_4 + LAYER[256] + LAYER[128] + LAYER[64] + LAST_STAGE,
            DISCRIMINATOR_4 + LAYER[64] + LAYER[128] + 2 * LAYER[256],
        ),
    ],
)
@pytest.mark.parametrize("kind", NORMS)
def test_the_numbers_of_parameters_are_the_derived_ones(
    depth: int, extra_layers: str, num_g: int, num_d: int, kind: str
) -> None:
    fields: dict[str, Any] = {"depth": depth, "extra_layers": extra_layers, "norm": kind}
    with torch.device("meta"):
        assert num_parameters(generator(**fields)) == num_g
        assert num_parameters(discriminator(**fields)) == num_d


def test_without_normalisation_only_the_gains_and_biases_are_missing() -> None:
    with torch.device("meta"):
        assert num_parameters(generator(normalised=False)) == GENERATOR_4 - 896
        assert num_parameters(discriminator(normalised=False)) == DISCRIMINATOR_4 - 768


# Nonlinearities


def test_the_shifted_softplus_has_its_closed_form_values() -> None:
    x = torch.tensor([-1.0, 0.0, -30.0, 300.0], dtype=torch.float64)
    expected = [math.log(2) / 2 - 1, math.log(1 + math.e**2) / 2 - 1, -1.0, 300.0]
    torch.testing.assert_close(ShiftedSoftplus()(x), torch.tensor(expected, dtype=torch.float64))


def test_the_shifted_softplus_is_smooth() -> None:
    # ELU's second derivative jumps at 0; this one's is 2 s(1 - s) with s = sigmoid(2x + 2), everywhere
    x = torch.linspace(-4, 4, 81, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(ShiftedSoftplus()(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    s = torch.sigmoid(2 * x.detach() + 2)
    torch.testing.assert_close(first.detach(), s)
    torch.testing.assert_close(second, 2 * s * (1 - s))


def test_the_leaky_slope_is_a_fifth_and_the_names_mean_what_they_say() -> None:
    x = torch.tensor([-2.0, 3.0])
    expected = {"relu": [0.0, 3.0], "leaky_relu": [-0.4, 3.0], "tanh": [math.tanh(-2), math.tanh(3)]}
    for name, values in expected.items():
        torch.testing.assert_close(activation(name)(x), torch.tensor(values))
    assert set(ACTIVATIONS) == {*expected, "softplus"}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_hidden_layer_has_the_chosen_nonlinearity_and_the_output_its_own(name: str) -> None:
    kind = type(activation(name))
    g = generator(width=1, depth=8, activation=name)
    d = discriminator(width=1, depth=8, activation=name)
    assert sum(isinstance(m, kind) for m in g.stages.modules()) == 7
    assert isinstance(g.output[-1], nn.Tanh)
    assert sum(isinstance(m, kind) for m in d.modules()) == 7


# Normalisation


def test_layer_norm_normalises_each_example_over_channels_height_and_width() -> None:
    layer: Any = norm("layer", 5)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5))
        layer.bias.copy_(torch.randn(5))
    x = 3 * torch.randn(4, 5, 6, 7) + 2
    flat = x.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    normal = (centred / (flat.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()).view_as(x)
    torch.testing.assert_close(layer(x), normal * layer.weight.view(5, 1, 1) + layer.bias.view(5, 1, 1))
    torch.testing.assert_close(norm("layer", 5)(x), F.layer_norm(x, x.shape[1:], eps=1e-5))


def test_batch_norm_normalises_each_channel_over_the_batch() -> None:
    x = 3 * torch.randn(4, 5, 6, 7) + 2
    y = norm("batch", 5)(x).detach()
    torch.testing.assert_close(y.mean(dim=(0, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(dim=(0, 2, 3), unbiased=False), torch.ones(5), atol=1e-4, rtol=0)


def test_no_norm_changes_nothing() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert norm(None, 3)(x) is x


def normalised(network: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for m in network.modules())


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize("depth", [4, 8])
def test_every_layer_is_normalised_save_the_output_and_the_first_of_the_discriminator(kind: str, depth: int) -> None:
    assert normalised(generator(width=1, depth=depth, norm=kind)) == depth - 1
    assert normalised(discriminator(width=1, depth=depth, norm=kind)) == depth - 2
    first: Any = discriminator(width=1, depth=depth, norm=kind).stages[0]
    assert isinstance(first[1], nn.Identity)


def test_an_unnormalised_network_has_no_norm() -> None:
    assert normalised(generator(width=1, normalised=False)) == normalised(discriminator(width=1, normalised=False)) == 0


@pytest.mark.parametrize(
    ("fields", "mixes"),
    [({}, True), ({"norm": "layer"}, False), ({"normalised": False}, False)],
)
def test_a_discriminator_says_whether_it_mixes_examples(fields: dict[str, Any], mixes: bool) -> None:
    assert DCGANDiscriminator(**fields).uses_batch_norm is mixes
    d = discriminator(16, 1, width=2, **fields)
    initialise(d, 0, "discriminator")
    x = torch.randn(4, 1, 16, 16)
    changed = torch.cat([x[:1], torch.randn(3, 1, 16, 16)])
    assert torch.allclose(d(x)[0], d(changed)[0], atol=1e-6) is not mixes


def test_T_38_the_discriminator_gives_raw_scores() -> None:
    # a sigmoid or a tanh at the end would keep the scores within 1; they scale with the last weights without bound
    d = discriminator(16, 1, width=2)
    initialise(d, 0, "discriminator")
    x = torch.randn(4, 1, 16, 16)
    before = d(x)
    with torch.no_grad():
        d.output.weight.mul_(1000)
    torch.testing.assert_close(d(x), 1000 * before, rtol=1e-4, atol=0)
    assert d(x).abs().max() > 1


# Initialisation: the authors' rule, layer by layer, for F = 64 and 3x32x32 images

GENERATOR_VARIANCES = [
    2 / (128 + 4096),  # linear 128 -> 256 * 16
    4 / (25 * 256 / 4 + 25 * 128),  # 5x5 / 2 transposed: the fan in over stride^2
    4 / (9 * 128 + 9 * 128),  # 3x3 in the middle
    4 / (25 * 128 / 4 + 25 * 64),
    4 / (25 * 64 / 4 + 25 * 3),
]
DISCRIMINATOR_VARIANCES = [
    4 / (25 * 3 + 25 * 64 / 4),  # 5x5 / 2: the fan out over stride^2
    4 / (25 * 64 + 25 * 128 / 4),
    4 / (9 * 128 + 9 * 128),
    4 / (25 * 128 + 25 * 256 / 4),
    2 / (4096 + 1),  # linear 256 * 16 -> 1
]


@pytest.mark.parametrize(
    ("build", "variances"), [(generator, GENERATOR_VARIANCES), (discriminator, DISCRIMINATOR_VARIANCES)]
)
def test_initial_weights_are_uniform_with_the_variance_of_the_rule(build: Any, variances: list[float]) -> None:
    network = build(depth=5)
    initialise(network, 0, "role")
    layers = weight_layers(network)
    assert len(layers) == len(variances)
    for layer, variance in zip(layers, variances, strict=True):
        weight, deviation = layer.weight.detach(), math.sqrt(variance)
        # a uniform sample's standard deviation has relative error sqrt(0.2 / n); five of them are allowed
        tolerance = 5 * math.sqrt(0.2 / weight.numel())
        assert weight.std().item() == pytest.approx(deviation, rel=tolerance)
        assert weight.abs().max().item() <= math.sqrt(3) * deviation * (1 + 1e-6)
        assert weight.abs().max().item() > 0.99 * math.sqrt(3) * deviation
        assert not layer.bias.any()


def test_initial_gains_are_one_and_shifts_zero() -> None:
    network = generator(width=2)
    initialise(network, 0, "generator")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()


def drawn(network: nn.Module, seed: int = 0, role: str = "generator") -> dict[str, Tensor]:
    initialise(network, seed, role)
    return {name: p.detach().clone() for name, p in network.named_parameters() if p.ndim > 1}


def test_initial_weights_depend_on_seed_role_and_layer_and_on_nothing_else() -> None:
    torch.manual_seed(1)
    first = drawn(generator(width=2))
    torch.manual_seed(2)
    assert all(torch.equal(first[name], other) for name, other in drawn(generator(width=2)).items())
    for other in (drawn(generator(width=2), seed=1), drawn(generator(width=2), role="discriminator")):
        assert all(not torch.equal(first[name], other[name]) for name in first)
    middle = drawn(generator(width=2, depth=6))
    # two layers of one shape are drawn apart (torch.equal is False where shapes differ)
    assert not [pair for pair in itertools.combinations(middle, 2) if torch.equal(*(middle[name] for name in pair))]
    assert middle["stages.1.3.weight"].shape == middle["stages.1.6.weight"].shape


@pytest.mark.parametrize("changes", [{"norm": "layer"}, {"normalised": False}, {"activation": "tanh"}])
def test_networks_that_differ_in_norm_or_nonlinearity_share_every_initial_weight(changes: dict[str, Any]) -> None:
    one, other = drawn(generator(width=2)), drawn(generator(width=2, **changes))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_networks_of_other_depth_share_the_layers_that_agree_in_name_and_shape() -> None:
    one, other = drawn(generator(width=2, depth=4)), drawn(generator(width=2, depth=8))
    assert set(one) < set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
