"""DCGAN and the random-architecture set: shapes, depths, parameter counts, normalisation, labels, initialisation."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.initialisation import ScaledUniform
from gansweep.models.dcgan import PLACEMENTS, DCGANDiscriminator, DCGANGenerator, Discriminator, Generator
from gansweep.models.layers import (
    ACTIVATIONS,
    GATED_ACTIVATIONS,
    NORMS,
    ConditionalBatchNorm,
    Gate,
    ShiftedSoftplus,
    activation,
    norm,
)
from gansweep.outputs import Heads

DEPTHS = (4, 8, 12, 20)
NORMS_WITH_GAINS = [kind for kind in NORMS if kind != "spectral"]


def generator(
    size: int = 32, channels: int = 3, latent_size: int = 128, num_classes: int = 0, **fields: Any
) -> Generator:
    spec = DCGANGenerator(**fields)
    return spec.build(latent_size=latent_size, shape=(channels, size, size), num_classes=num_classes)


def discriminator(size: int = 32, channels: int = 3, num_classes: int = 0, **fields: Any) -> Discriminator:
    return DCGANDiscriminator(**fields).build(shape=(channels, size, size), num_classes=num_classes, heads=Heads())


def initialise(network: nn.Module, seed: int, role: str) -> None:
    ScaledUniform().apply(network, seed, role)


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
    assert d(images).score.shape == (3,)


@pytest.mark.parametrize(("size", "stages"), [(16, 2), (28, 2), (32, 3), (64, 4), (128, 5)])
def test_stages_fit_the_size_and_leave_maps_of_four_or_seven_pixels(size: int, stages: int) -> None:
    g, d = generator(size, 1, 5, stages=stages, width=1), discriminator(size, 1, stages=stages, width=1)
    start = 7 if size == 28 else 4
    project: Any = g.stages[0][0]
    assert project[1].unflattened_size == (2 ** (stages - 1), start, start)
    images = g(torch.randn(2, 5))
    assert images.shape == (2, 1, size, size)
    assert d(images).features.shape == (2, 2 ** (stages - 1) * start**2)
    assert len(weight_layers(g)) == len(weight_layers(d)) == stages + 1


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
def test_even_and_odd_kernels_double_and_halve_the_size(kernel_size: int) -> None:
    # 4x4 as in the code of Arjovsky et al. 2017, 5x5 as in that of Gulrajani et al. 2017
    images = generator(16, 1, 5, width=1, kernel_size=kernel_size)(torch.randn(2, 5))
    assert images.shape == (2, 1, 16, 16)
    assert discriminator(16, 1, width=1, kernel_size=kernel_size).stages(images).shape == (2, 4, 2, 2)


@pytest.mark.parametrize("build", [generator, discriminator])
@pytest.mark.parametrize("size", [8, 20, 28])
def test_a_size_that_cannot_be_halved_three_times_is_refused(build: Any, size: int) -> None:
    with pytest.raises(ValueError, match=f"image size {size} must be a multiple of 8 and at least 16") as refusal:
        build(size)
    build(int(str(refusal.value).rpartition("such as ")[2]), width=1)


@pytest.mark.parametrize("shape", [(3, 32, 16), (2,), (32, 27)])
def test_a_shape_that_is_no_square_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="needs square images"):
        DCGANGenerator().build(latent_size=2, shape=shape)
    with pytest.raises(ValueError, match="needs square images"):
        DCGANDiscriminator().build(shape=shape, heads=Heads())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"norm": "none"}, "norm = 'none' is said by normalised=False"),
        ({"norm": "instanse"}, "did you mean 'instance'"),
        ({"stages": 1}, "stages = 1 must be a whole number >= 2"),
        ({"stages": 5, "depth": 5}, "depth = 5 must be a whole number >= 6"),
        ({"stages": 4, "depth": 8, "extra_layers": "spread"}, "cannot be spread evenly over 5 stages"),
        ({"condition": "inputs"}, "did you mean 'input'"),
    ],
)
def test_fields_that_mean_nothing_are_refused_by_both(fields: dict[str, Any], message: str) -> None:
    for part in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match=message):
            part(**fields)


def test_a_discriminator_has_no_norm_that_sees_the_class() -> None:
    with pytest.raises(ValueError, match="'conditional_batch' does not exist"):
        DCGANDiscriminator(norm="conditional_batch")


@pytest.mark.parametrize("extra_layers", PLACEMENTS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_depth_is_the_number_of_weight_layers_in_both_placements(extra_layers: str, depth: int) -> None:
    fields: dict[str, Any] = {"depth": depth, "width": 1, "extra_layers": extra_layers}
    assert len(weight_layers(generator(**fields))) == depth
    assert len(weight_layers(discriminator(**fields))) == depth


def test_depth_none_is_one_layer_more_than_there_are_stages() -> None:
    for stages in (2, 3, 5):
        for extra_layers in PLACEMENTS:
            g = generator(64, width=1, stages=stages, extra_layers=extra_layers)
            assert len(weight_layers(g)) == stages + 1


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


@pytest.mark.parametrize(("stages", "size"), [(2, 16), (4, 64)])
def test_layers_in_the_middle_stand_at_a_quarter_of_any_size(stages: int, size: int) -> None:
    fields: dict[str, Any] = {"width": 1, "stages": stages, "depth": stages + 3}
    assert resolutions(generator(size, 1, 5, **fields), torch.randn(2, 5)) == [size // 4] * 2
    assert resolutions(discriminator(size, 1, **fields), torch.randn(2, 1, size, size)) == [size // 4] * 2


def test_outer_layers_stand_at_half_the_size() -> None:
    # n_extra_layers of martinarjovsky/WassersteinGAN: before G's last and after D's first strided layer
    fields: dict[str, Any] = {"width": 1, "depth": 6, "extra_layers": "outer"}
    g, d = generator(**fields), discriminator(**fields)
    assert resolutions(g, torch.randn(2, 128)) == resolutions(d, torch.randn(2, 3, 32, 32)) == [16, 16]
    assert isinstance(weight_layers(g)[-1], nn.ConvTranspose2d)


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
@pytest.mark.parametrize("kind", NORMS_WITH_GAINS)
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


# The DCGANs for 3x64x64 images of Gulrajani et al. 2017, App. E: four stages from 4x4, F = 64, 128 latent numbers.
# G: linear 129 * 512 * 16; 5x5 512 -> 256: 25 * 512 * 256 + 256; then as above from 256 on, 896 + 2 * 512 in norms.
GENERATOR_64 = 1_056_768 + 3_277_056 + 819_328 + 204_864 + 4_803 + 896 + 1_024
# D: as above up to 256; 256 -> 512: 25 * 256 * 512 + 512; linear 512 * 16 + 1; 768 + 2 * 512 in norms.
DISCRIMINATOR_64 = 4_864 + 204_928 + 819_456 + 3_277_312 + 8_193 + 768 + 1_024
# Without norms and 64 wide throughout: linear 129 * 64 * 16; three times 5x5 64 -> 64 with bias; 5x5 64 -> 3.
GENERATOR_64_CONSTANT = 132_096 + 3 * 102_464 + 4_803
# Gated, every layer but the last gives twice the channels, and so has twice the parameters.
GENERATOR_64_GATED = 2 * (GENERATOR_64 - 4_803) + 4_803
DISCRIMINATOR_64_GATED = 2 * (DISCRIMINATOR_64 - 8_193) + 8_193


@pytest.mark.parametrize(
    ("fields_g", "fields_d", "num_g", "num_d"),
    [
        ({}, {"norm": "layer"}, 5_364_739, 4_316_545),
        ({"normalised": False, "constant_width": True}, {}, 444_291, DISCRIMINATOR_64),
        ({"normalised": False}, {"normalised": False}, GENERATOR_64 - 1_920, DISCRIMINATOR_64 - 1_792),
        ({"activation": "gated"}, {"activation": "gated"}, GENERATOR_64_GATED, DISCRIMINATOR_64_GATED),
        ({"activation": "tanh"}, {"activation": "tanh"}, GENERATOR_64, DISCRIMINATOR_64),
    ],
)
def test_the_bedroom_architectures_have_the_derived_numbers_of_parameters(
    fields_g: dict[str, Any], fields_d: dict[str, Any], num_g: int, num_d: int
) -> None:
    with torch.device("meta"):
        assert num_parameters(generator(64, stages=4, **fields_g)) == num_g
        assert num_parameters(discriminator(64, stages=4, **fields_d)) == num_d
    assert (GENERATOR_64, DISCRIMINATOR_64, GENERATOR_64_CONSTANT) == (5_364_739, 4_316_545, 444_291)


def test_a_constant_width_leaves_a_bit_less_than_a_tenth_of_the_parameters() -> None:
    # Arjovsky et al. 2017: a bit more than an order of magnitude fewer
    assert 10 < GENERATOR_64 / GENERATOR_64_CONSTANT < 15


# Nonlinearities


def test_the_gate_multiplies_the_sigmoid_of_even_channels_with_the_tanh_of_odd_ones() -> None:
    a, b, c, d = 0.5, -1.0, 2.0, 3.0
    expected = [math.tanh(b) / (1 + math.exp(-a)), math.tanh(d) / (1 + math.exp(-c))]
    x = torch.tensor([a, b, c, d], dtype=torch.float64)
    torch.testing.assert_close(Gate()(x[None])[0], torch.tensor(expected, dtype=torch.float64))
    maps = x[None, :, None, None].expand(3, 4, 5, 6)
    torch.testing.assert_close(Gate()(maps)[2, :, 4, 5], torch.tensor(expected, dtype=torch.float64))


def test_the_norm_stands_before_the_gate_and_has_twice_the_channels() -> None:
    first: Any = generator(width=2, activation="gated").stages[1]
    assert [type(layer) for layer in first] == [nn.ConvTranspose2d, nn.BatchNorm2d, Gate]
    assert first[1].num_features == 2 * 2 * 2


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
    expected = {
        "relu": [0.0, 3.0],
        "leaky_relu": [-0.4, 3.0],
        "tanh": [math.tanh(-2), math.tanh(3)],
        "elu": [math.exp(-2) - 1, 3.0],
    }
    for name, values in expected.items():
        torch.testing.assert_close(activation(name)(x), torch.tensor(values))
    assert set(ACTIVATIONS) == {*expected, "softplus"}


@pytest.mark.parametrize("name", GATED_ACTIVATIONS)
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


def test_instance_norm_normalises_each_channel_of_each_example() -> None:
    x = 3 * torch.randn(4, 5, 6, 7) + 2
    torch.testing.assert_close(norm("instance", 5)(x), F.instance_norm(x, eps=1e-5))


@pytest.mark.parametrize(("channels", "groups"), [(64, 4), (16, 1), (8, 1), (24, 3), (48, 3), (6, 3)])
def test_group_norm_normalises_sixteen_channels_of_each_example_or_the_largest_power_of_two_that_divides(
    channels: int, groups: int
) -> None:
    x = 3 * torch.randn(2, channels, 3, 3) + 2
    grouped = x.view(2, groups, -1)
    centred = grouped - grouped.mean(dim=2, keepdim=True)
    normal = centred / (grouped.var(dim=2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm("group", channels)(x), normal.view_as(x))


def test_no_norm_changes_nothing() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert norm(None, 3)(x) is x
    assert norm("spectral", 3)(x) is x


def test_T_42_every_norm_adds_a_hundred_thousandth_to_the_variance() -> None:
    for kind in NORMS_WITH_GAINS:
        assert norm(kind, 4).eps == 1e-5
    conditional: Any = norm("conditional_batch", 4, 3)
    assert conditional.normal.eps == 1e-5


def test_conditional_batch_norm_starts_as_batch_norm_and_has_a_gain_and_a_bias_per_class() -> None:
    layer, labels = ConditionalBatchNorm(2, 3), torch.tensor([2, 0, 2, 1])
    x = 3 * torch.randn(4, 2, 5, 5) + 2
    plain = norm("batch", 2)(x)
    torch.testing.assert_close(layer(x, labels), plain)
    with torch.no_grad():
        layer.gain.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))  # class by class
        layer.bias.copy_(torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]))
    changed = layer(x, labels)
    torch.testing.assert_close(changed[0, 1], 6 * plain[0, 1] + 0.5)
    torch.testing.assert_close(changed[1, 0], plain[1, 0])
    torch.testing.assert_close(changed[3, 0], 3 * plain[3, 0] + 0.2)


def test_conditional_gains_are_neither_decayed_nor_drawn() -> None:
    # optimisers decay parameters of two axes and more; norms' gains never (Adam._groups)
    g = generator(16, 1, 5, num_classes=3, width=2, norm="conditional_batch")
    initialise(g, 0, "generator")
    layers = [m for m in g.modules() if isinstance(m, ConditionalBatchNorm)]
    assert len(layers) == 3
    for layer in layers:
        assert [p.ndim for p in layer.parameters()] == [1, 1]
        assert (layer.gain == 1).all()
        assert (layer.bias == 0).all()


def spectral_pair() -> tuple[Generator, Discriminator]:
    g, d = generator(16, 1, 5, width=2, norm="spectral"), discriminator(16, 1, width=2, norm="spectral")
    initialise(g, 0, "generator")
    initialise(d, 0, "discriminator")
    return g, d


def largest_singular_values(network: nn.Module) -> list[float]:
    values = []
    for layer in weight_layers(network):
        weight = layer.weight.detach()
        matrix = (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)
        values.append(torch.linalg.matrix_norm(matrix, 2).item())
    return values


def test_spectral_normalisation_brings_the_largest_singular_value_of_every_layer_to_1() -> None:
    for network, argument in zip(spectral_pair(), (torch.randn(4, 5), torch.randn(4, 1, 16, 16)), strict=True):
        for _ in range(100):  # a step of power iteration each
            network(argument)
        assert largest_singular_values(network.eval()) == pytest.approx([1.0] * 4, rel=0.01)


def test_spectral_vectors_move_in_training_only_and_are_copied_and_saved() -> None:
    _, d = spectral_pair()
    x = torch.randn(4, 1, 16, 16)
    twin, other = copy.deepcopy(d), discriminator(16, 1, width=2, norm="spectral")
    other.load_state_dict(d.state_dict())
    before = {name: buffer.clone() for name, buffer in d.named_buffers()}
    d.eval()
    d(x)
    assert all(torch.equal(before[name], buffer) for name, buffer in d.named_buffers())
    d.train()
    scores = d(x).score
    assert not all(torch.equal(before[name], buffer) for name, buffer in d.named_buffers())
    assert torch.equal(twin(x).score, scores)
    assert torch.equal(other(x).score, scores)


def test_spectral_networks_start_from_the_weights_that_others_start_from() -> None:
    _, d = spectral_pair()
    plain = discriminator(16, 1, width=2, normalised=False)
    initialise(plain, 0, "discriminator")
    for layer, other in zip(weight_layers(d), weight_layers(plain), strict=True):
        assert torch.equal(layer.parametrizations.weight.original, other.weight)


def test_a_penalty_on_gradients_reaches_every_spectrally_normalised_weight() -> None:
    _, d = spectral_pair()
    x = torch.randn(4, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(d(x).score.sum(), x, create_graph=True)
    gradient.square().sum().backward()
    for layer in weight_layers(d):
        reached = layer.parametrizations.weight.original.grad
        assert reached.isfinite().all()
        assert reached.abs().max() > 0


# Labels


def test_a_label_is_appended_to_z_as_a_one_hot_vector() -> None:
    g = generator(16, 1, 5, num_classes=3, width=2, condition="input")
    initialise(g, 0, "generator")
    first: Any = g.stages[0]
    seen: list[Tensor] = []
    first[0][0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    z = torch.randn(2, 5)
    g(z, torch.tensor([2, 0]))
    assert torch.equal(seen[0], torch.cat([z, torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])], dim=1))


def test_a_label_is_appended_to_an_image_as_constant_maps() -> None:
    d = discriminator(16, 1, num_classes=3, width=2, condition="input")
    first: Any = d.stages[0]
    seen: list[Tensor] = []
    first[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.randn(2, 1, 16, 16)
    d(x, torch.tensor([2, 0]))
    assert torch.equal(seen[0][:, :1], x)
    assert seen[0][:, 1:].sum(dim=(2, 3)).tolist() == [[0, 0, 256], [256, 0, 0]]
    assert (seen[0][0, 3] == 1).all()


def test_T_13_a_conditional_discriminator_judges_an_image_by_the_label_it_is_given() -> None:
    d = discriminator(16, 1, num_classes=3, width=2, condition="input", norm="layer")
    initialise(d, 0, "discriminator")
    x = torch.randn(2, 1, 16, 16)
    right, wrong = d(x, torch.tensor([0, 1])).score, d(x, torch.tensor([2, 1])).score
    assert right[1] == wrong[1]
    assert right[0] != wrong[0]


@pytest.mark.parametrize("fields", [{"condition": "input"}, {"norm": "conditional_batch"}])
def test_a_conditional_generator_says_so_and_needs_classes(fields: dict[str, Any]) -> None:
    spec = DCGANGenerator(width=1, **fields)
    assert spec.conditional
    with pytest.raises(ValueError, match=r"DCGANGenerator is conditional and the data has no classes: set (cond|norm)"):
        spec.build(latent_size=2, shape=(1, 16, 16))
    g = spec.build(latent_size=2, shape=(1, 16, 16), num_classes=3)
    assert g(torch.randn(4, 2), torch.tensor([0, 1, 2, 0])).shape == (4, 1, 16, 16)


def test_a_conditional_discriminator_says_so_and_needs_classes() -> None:
    spec = DCGANDiscriminator(width=1, condition="input")
    assert spec.conditional
    with pytest.raises(ValueError, match='the data has no classes: set condition="none"'):
        spec.build(shape=(1, 16, 16), heads=Heads())


def test_other_networks_do_not_look_at_labels() -> None:
    assert not DCGANGenerator(normalised=False, norm="conditional_batch").conditional
    assert not DCGANGenerator().conditional
    assert not DCGANDiscriminator().conditional
    g, d = generator(16, 1, 5, num_classes=3, width=2), discriminator(16, 1, num_classes=3, width=2)
    z = torch.randn(4, 5)
    assert torch.equal(g(z, torch.tensor([0, 1, 2, 0])), g(z))
    assert torch.equal(d(g(z), torch.tensor([0, 1, 2, 0])).score, d(g(z)).score)


# Where norms stand, and what they mix


def normalised(network: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for m in network.modules())


@pytest.mark.parametrize("kind", NORMS_WITH_GAINS)
@pytest.mark.parametrize("depth", [4, 8])
def test_every_layer_is_normalised_save_the_output_and_the_first_of_the_discriminator(kind: str, depth: int) -> None:
    assert normalised(generator(width=1, depth=depth, norm=kind)) == depth - 1
    assert normalised(discriminator(width=1, depth=depth, norm=kind)) == depth - 2
    first: Any = discriminator(width=1, depth=depth, norm=kind).stages[0]
    assert isinstance(first[1], nn.Identity)


def test_an_unnormalised_network_has_no_norm() -> None:
    assert normalised(generator(width=1, normalised=False)) == normalised(discriminator(width=1, normalised=False)) == 0


@pytest.mark.parametrize("activation_name", ["leaky_relu", "gated"])
@pytest.mark.parametrize("kind", [None, *NORMS])
def test_an_example_s_score_depends_on_the_others_only_under_batch_norm(kind: str | None, activation_name: str) -> None:
    fields: dict[str, Any] = {"norm": kind} if kind else {"normalised": False}
    assert DCGANDiscriminator(**fields).uses_batch_norm is (kind == "batch")
    d = discriminator(16, 1, width=2, activation=activation_name, **fields)
    initialise(d, 0, "discriminator")
    x = torch.randn(4, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(d(x).score[0], x)
    assert gradient[0].abs().max() > 0
    assert bool(gradient[1:].any()) is (kind == "batch")


def test_T_38_the_discriminator_gives_raw_scores() -> None:
    # a sigmoid or a tanh at the end would keep the scores within 1; they scale with the last weights without bound
    d = discriminator(16, 1, width=2)
    initialise(d, 0, "discriminator")
    x = torch.randn(4, 1, 16, 16)
    before = d(x).score
    with torch.no_grad():
        d.output.weight.mul_(1000)
    torch.testing.assert_close(d(x).score, 1000 * before, rtol=1e-4, atol=0)
    assert d(x).score.abs().max() > 1


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


@pytest.mark.parametrize(
    "changes", [{"norm": "layer"}, {"norm": "group"}, {"normalised": False}, {"activation": "tanh"}]
)
def test_networks_that_differ_in_norm_or_nonlinearity_share_every_initial_weight(changes: dict[str, Any]) -> None:
    one, other = drawn(generator(width=2)), drawn(generator(width=2, **changes))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_networks_of_other_depth_share_the_layers_that_agree_in_name_and_shape() -> None:
    one, other = drawn(generator(width=2, depth=4)), drawn(generator(width=2, depth=8))
    assert set(one) < set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
