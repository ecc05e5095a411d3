"""The CIFAR-10 ResNets and the 101-layer bottleneck ResNets: shapes, layer and parameter counts, norms, labels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.initialisation import ScaledUniform
from gansweep.models.bottleneck import BottleneckDiscriminator, BottleneckGenerator
from gansweep.models.layers import (
    GENERATOR_NORMS,
    NORMS,
    ConditionalBatchNorm,
    Conditioned,
    Residual,
)
from gansweep.models.resnet import ResNetDiscriminator, ResNetGenerator
from gansweep.outputs import Heads

NUM_CLASSES = 3
SMALL: dict[Any, dict[str, int]] = {
    ResNetGenerator: {"width": 4},
    ResNetDiscriminator: {"width": 4},
    BottleneckGenerator: {"width": 4, "blocks": 1},
    BottleneckDiscriminator: {"width": 4, "blocks": 1},
}
PAIRS = [(ResNetGenerator, ResNetDiscriminator), (BottleneckGenerator, BottleneckDiscriminator)]
DISCRIMINATORS = [ResNetDiscriminator, BottleneckDiscriminator]
GENERATORS = [ResNetGenerator, BottleneckGenerator]


def generator(part: Any, size: int = 32, latent_size: int = 5, **fields: Any) -> Any:
    spec = part(**{**SMALL[part], **fields})
    network = spec.build(latent_size=latent_size, shape=(1, size, size), num_classes=NUM_CLASSES)
    ScaledUniform().apply(network, 0, "generator")
    return network


def discriminator(part: Any, size: int = 32, heads: Heads | None = None, **fields: Any) -> Any:
    spec = part(**{**SMALL[part], **fields})
    network = spec.build(shape=(1, size, size), num_classes=NUM_CLASSES, heads=heads or Heads())
    ScaledUniform().apply(network, 0, "discriminator")
    return network


def labels(num: int) -> Tensor:
    return torch.arange(num) % NUM_CLASSES


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def weight_layers(network: nn.Module) -> list[Any]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]


def blocks(network: nn.Module) -> list[Residual]:
    return [m for m in network.modules() if isinstance(m, Residual)]


# Shapes


@pytest.mark.parametrize(
    ("size", "start", "doublings"), [(16, 4, 2), (28, 7, 2), (32, 4, 3), (48, 6, 3), (64, 4, 4), (128, 4, 5)]
)
def test_the_resnets_have_a_block_per_doubling_and_the_discriminator_one_halving_less(
    size: int, start: int, doublings: int
) -> None:
    g, d = generator(ResNetGenerator, size), discriminator(ResNetDiscriminator, size)
    assert g.project[1].unflattened_size == (4, start, start)
    images = g(torch.randn(2, 5))
    assert images.shape == (2, 1, size, size)
    assert images.abs().max() <= 1
    output = d(images)
    assert output.score.shape == (2,)
    assert output.features.shape == (2, 4)
    assert len(blocks(g)) == doublings
    assert len(blocks(d)) == doublings - 1 + 2
    assert d.blocks(images).shape == (2, 4, 2 * start, 2 * start)


@pytest.mark.parametrize("size", [32, 48, 64, 128])
def test_the_bottleneck_resnets_have_five_sizes(size: int) -> None:
    g, d = generator(BottleneckGenerator, size), discriminator(BottleneckDiscriminator, size)
    images = g(torch.randn(2, 5))
    assert images.shape == (2, 1, size, size)
    assert images.abs().max() <= 1
    output = d(images)
    assert output.score.shape == (2,)
    assert output.features.shape == (2, 8 * 4 * (size // 16) ** 2)
    assert len(blocks(g)) == len(blocks(d)) == 5 * 1 + 3


@pytest.mark.parametrize(("parts", "sizes"), [(PAIRS[0], (8, 14, 18, 30, 33)), (PAIRS[1], (16, 28, 40))])
def test_a_size_that_does_not_fit_is_refused_with_one_that_does(parts: tuple[Any, Any], sizes: tuple[int, ...]) -> None:
    for size in sizes:
        for build, part in zip((generator, discriminator), parts, strict=True):
            with pytest.raises(ValueError, match=f"image size {size} must be") as refusal:
                build(part, size)
            assert "\n" not in str(refusal.value)
            build(part, int(str(refusal.value).rpartition("such as ")[2]))


@pytest.mark.parametrize("part", [*GENERATORS, *DISCRIMINATORS])
def test_unknown_names_are_refused(part: Any) -> None:
    with pytest.raises(ValueError, match="did you mean 'layer'"):
        part(norm="leyer")
    with pytest.raises(ValueError, match="norm = 'none' is said by normalised=False"):
        part(norm="none")
    with pytest.raises(ValueError, match="did you mean 'input'"):
        part(condition="inputs")
    with pytest.raises(ValueError, match="width = 0 must be"):
        part(width=0)


def test_fields_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(ValueError, match="width = 6 must be a multiple of 4"):
        BottleneckGenerator(width=6)
    with pytest.raises(ValueError, match="'gated' does not exist"):
        ResNetGenerator(activation="gated")
    for part in DISCRIMINATORS:
        with pytest.raises(ValueError, match="'conditional_batch' does not exist"):
            part(norm="conditional_batch")


# Counts


def test_the_main_path_of_the_bottleneck_resnets_has_101_weight_layers() -> None:
    # 6 blocks at each of four sizes and 5 at the fifth, and 4 that change size: 33 blocks of three layers, and one
    # layer at either end. The 4 shortcuts with a convolution stand beside the path.
    assert 3 * (4 * 6 + 5 + 4) + 2 == 101
    with torch.device("meta"):
        g = BottleneckGenerator().build(latent_size=128, shape=(3, 64, 64))
        d = BottleneckDiscriminator().build(shape=(3, 64, 64), heads=Heads())
    for network in (g, d):
        beside = [layer for block in blocks(network) for layer in weight_layers(block.shortcut)]
        assert len(blocks(network)) == 33
        assert len(beside) == 4
        assert len(weight_layers(network)) - len(beside) == 101


@pytest.mark.parametrize("num", [1, 2, 3])
def test_fewer_blocks_give_15_layers_less_each(num: int) -> None:
    d = discriminator(BottleneckDiscriminator, blocks=num)
    assert len(weight_layers(d)) - 4 == 15 * num + 11


def test_the_cifar_resnets_have_the_derived_numbers_of_parameters() -> None:
    # F = 128, 128 latent numbers, 3x32x32. Two 3x3 layers: 2 * (9 * 128^2 + 128) = 295,168; a 1x1: 128^2 + 128.
    two, one = 295_168, 16_512
    # G: linear 129 * 128 * 16; three blocks of two 3x3, a 1x1 and two norms; a norm; 3x3 128 -> 3.
    num_g = 129 * 2_048 + 3 * (two + one + 2 * 256) + 256 + (9 * 128 * 3 + 3)
    # D: 3x3 3 -> 128, 3x3, 1x1 3 -> 128; a halving block; two blocks without 1x1; linear.
    num_d = (27 * 128 + 128 + two // 2 + 3 * 128 + 128) + (two + one) + 2 * two + 129
    with torch.device("meta"):
        g = ResNetGenerator().build(latent_size=128, shape=(3, 32, 32))
        d = ResNetDiscriminator().build(shape=(3, 32, 32), heads=Heads())
        conditional = ResNetGenerator(norm="conditional_batch")
        g10 = conditional.build(latent_size=128, shape=(3, 32, 32), num_classes=10)
        d10 = ResNetDiscriminator().build(shape=(3, 32, 32), num_classes=10, heads=Heads(classes=10))
    assert num_parameters(g) == num_g == 1_204_483
    assert num_parameters(d) == num_d == 1_053_825
    # ten classes: nine further gains and biases in each of six norms (not in the last); ten class logits
    assert num_parameters(g10) == num_g + 6 * 9 * 256
    assert num_parameters(d10) == num_d + 1_290


def bottleneck(inputs: int, outputs: int, shortcut: int = 0) -> int:
    """1x1 and 3x3 with biases, 1x1 without, a norm, and the shortcut's convolution."""
    i, o = inputs // 2, outputs // 2
    return (inputs * i + i) + (9 * i * o + o) + o * outputs + 2 * outputs + shortcut


def test_the_101_layer_resnets_have_the_derived_numbers_of_parameters() -> None:
    # F = 64, 128 latent numbers, 3x64x64
    widths = [512, 256, 128, 64, 32]
    alike = 6 * sum(bottleneck(width, width) for width in widths) - bottleneck(32, 32)
    steps = list(pairwise(widths))
    up = sum(bottleneck(wide, thin, 4 * thin * wide + 4 * thin) for wide, thin in steps)
    down = sum(bottleneck(thin, wide, thin * wide + wide) for wide, thin in steps)
    with torch.device("meta"):
        g = BottleneckGenerator().build(latent_size=128, shape=(3, 64, 64))
        d = BottleneckDiscriminator(norm="layer").build(shape=(3, 64, 64), heads=Heads())
    # linear 129 * 512 * 16 and 1x1 32 -> 3; 1x1 3 -> 32 and linear 512 * 16 + 1
    assert num_parameters(g) == 129 * 8_192 + alike + up + 99 == 9_189_587
    assert num_parameters(d) == 128 + alike + down + 8_193 == 7_618_801


# What the blocks compute


def test_a_residual_block_adds_the_scaled_main_path_to_the_shortcut() -> None:
    block = Residual(nn.Identity(), Conditioned(nn.ReLU()), scale=0.3)
    assert block(torch.tensor([-1.0, 2.0])).tolist() == pytest.approx([-1.0, 2.6])


def test_pooling_and_enlargement_commute_with_the_1x1_of_the_shortcut() -> None:
    # so the cheaper order gives what the authors' order gives
    up, down = blocks(generator(ResNetGenerator))[0].shortcut, blocks(discriminator(ResNetDiscriminator))[0].shortcut
    x, image = torch.randn(2, 4, 6, 6), torch.randn(2, 1, 6, 6)
    torch.testing.assert_close(up(x), up[0](F.interpolate(x, scale_factor=2)))
    torch.testing.assert_close(down(image), F.avg_pool2d(down[1](image), 2))


def test_the_discriminator_s_first_block_has_neither_norm_nor_activation_on_the_image() -> None:
    d = discriminator(ResNetDiscriminator, normalised=True)
    kinds = [[type(layer) for layer in block.main] for block in blocks(d)]
    assert kinds[0] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.AvgPool2d]
    plain = [nn.GroupNorm, nn.ReLU, nn.Conv2d] * 2
    assert kinds[1:] == [[*plain, nn.AvgPool2d], plain, plain]


def test_features_are_the_mean_over_the_places_of_rectified_maps() -> None:
    d = discriminator(ResNetDiscriminator)
    x = torch.randn(2, 1, 32, 32)
    output = d(x)
    torch.testing.assert_close(output.features, d.blocks(x).mean(dim=3).mean(dim=2))
    assert output.features.min() >= 0
    torch.testing.assert_close(output.score, output.features @ d.output.weight[0] + d.output.bias)


def test_bottlenecks_are_normalised_after_the_third_convolution_only() -> None:
    for network in (generator(BottleneckGenerator), discriminator(BottleneckDiscriminator)):
        for block in blocks(network):
            kinds = [type(layer) for layer in block.main]
            assert [kinds[place] for place in (0, 2, 4, 6)] == [nn.ReLU, nn.ReLU, nn.ReLU, nn.BatchNorm2d]
            assert [layer.kernel_size for layer in weight_layers(block.main)] == [(1, 1), (3, 3), (1, 1)]
            assert block.scale == 0.3
        assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == len(blocks(network))


def test_bottleneck_outputs_are_divided_by_5() -> None:
    g, d = generator(BottleneckGenerator).eval(), discriminator(BottleneckDiscriminator).eval()
    z = torch.randn(2, 5)
    images = g(z)
    torch.testing.assert_close(images, torch.tanh(g.output(g.blocks(g.project(z))) / 5))
    output = d(images)
    torch.testing.assert_close(output.score, (output.features @ d.output.weight[0] + d.output.bias) / 5)


# Norms, heads and labels


@pytest.mark.parametrize("parts", PAIRS)
@pytest.mark.parametrize("kind", [None, *GENERATOR_NORMS])
def test_a_pair_trains_with_every_norm(parts: tuple[Any, Any], kind: str | None) -> None:
    fields_g: dict[str, Any] = {"norm": kind, "normalised": True} if kind else {"normalised": False}
    fields_d = {**fields_g, **({"norm": "layer"} if kind == "conditional_batch" else {})}
    g, d = generator(parts[0], **fields_g), discriminator(parts[1], **fields_d)
    images = g(torch.randn(4, 5), labels(4))
    images.retain_grad()
    (slope,) = torch.autograd.grad(d(images).score.sum(), images, create_graph=True)
    (d(images).score.mean() + slope.square().sum()).backward()
    for network in (g, d):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("part", DISCRIMINATORS)
@pytest.mark.parametrize("kind", [None, *NORMS])
def test_an_example_s_score_depends_on_the_others_only_under_batch_norm(part: Any, kind: str | None) -> None:
    fields: dict[str, Any] = {"norm": kind, "normalised": True} if kind else {"normalised": False}
    assert part(**fields).uses_batch_norm is (kind == "batch")
    d = discriminator(part, **fields)
    x = torch.randn(3, 1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(d(x).score[0], x)
    assert gradient[0].abs().max() > 0
    assert bool(gradient[1:].any()) is (kind == "batch")


@pytest.mark.parametrize("part", DISCRIMINATORS)
def test_the_heads_answer_what_is_asked(part: Any) -> None:
    x = torch.randn(2, 1, 32, 32)
    both = discriminator(part, heads=Heads(classes=NUM_CLASSES))(x)
    assert both.score.shape == (2,)
    assert both.classes.shape == (2, NUM_CLASSES)
    classes = discriminator(part, heads=Heads(score=False, classes=NUM_CLASSES + 1))(x)
    assert classes.score is None
    assert classes.classes.shape == (2, NUM_CLASSES + 1)
    codes = discriminator(part, heads=Heads(categorical=(4,), continuous=2))(x).codes
    assert [tuple(code.shape) for code in codes] == [(2, 4), (2, 2)]
    with pytest.raises(ValueError, match="no reconstruction error"):
        discriminator(part, heads=Heads(energy=True))


@pytest.mark.parametrize("part", GENERATORS)
@pytest.mark.parametrize("fields", [{"condition": "input"}, {"norm": "conditional_batch"}])
def test_a_conditional_generator_uses_the_class_and_needs_classes(part: Any, fields: dict[str, Any]) -> None:
    spec = part(**SMALL[part], **fields)
    assert spec.conditional
    with pytest.raises(ValueError, match="is conditional and the data has no classes"):
        spec.build(latent_size=5, shape=(1, 32, 32))
    g = generator(part, **fields).eval()
    with torch.no_grad():
        for layer in g.modules():
            if isinstance(layer, ConditionalBatchNorm):
                layer.gain.uniform_(0.5, 2)
    z = torch.randn(1, 5).expand(2, 5)
    first, second = g(z, torch.tensor([0, 1]))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("part", DISCRIMINATORS)
def test_T_13_a_conditional_discriminator_judges_an_image_by_the_label_it_is_given(part: Any) -> None:
    fields = {"normalised": False, "condition": "input"}
    assert part(**fields).conditional
    d = discriminator(part, **fields)
    x = torch.randn(2, 1, 32, 32)
    right, wrong = d(x, torch.tensor([0, 1])).score, d(x, torch.tensor([2, 1])).score
    assert right[1] == wrong[1]
    assert right[0] != wrong[0]


def test_the_norm_before_the_output_is_not_conditional() -> None:
    g = generator(ResNetGenerator, norm="conditional_batch")
    assert isinstance(g.output[0], nn.BatchNorm2d)
    assert sum(isinstance(m, ConditionalBatchNorm) for m in g.modules()) == 2 * 3


@pytest.mark.parametrize("part", [*GENERATORS, *DISCRIMINATORS])
def test_the_defaults_see_no_labels_draw_nothing_and_have_no_energy(part: Any) -> None:
    spec = part()
    assert not spec.conditional
    assert not spec.stochastic
    assert not getattr(spec, "energy", False)


def test_T_42_every_norm_adds_a_hundred_thousandth_to_the_variance() -> None:
    for part in (*GENERATORS, *DISCRIMINATORS):
        build = generator if part in GENERATORS else discriminator
        for kind in ("batch", "layer", "group", "instance"):
            norms = [
                m.eps
                for m in build(part, norm=kind, normalised=True).modules()
                if isinstance(m, nn.BatchNorm2d | nn.GroupNorm)
            ]
            assert norms
            assert set(norms) == {1e-5}
