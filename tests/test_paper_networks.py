"""The networks of single papers: LSGAN, InfoGAN, WGAN-GP's MNIST and character pairs, and what all pairs promise."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep.models.began import BEGANDiscriminator, BEGANGenerator
from gansweep.models.cgan import CGANDiscriminator, CGANGenerator
from gansweep.models.char_cnn import CharCNNDiscriminator, CharCNNGenerator, Residual
from gansweep.models.infogan import InfoGANDiscriminator, InfoGANGenerator
from gansweep.models.lsgan import LSGANDiscriminator, LSGANGenerator, ManyClassDiscriminator, ManyClassGenerator
from gansweep.models.mlp import MLPDiscriminator, MLPGenerator
from gansweep.models.mnist import MNISTDiscriminator, MNISTGenerator
from gansweep.outputs import Heads, Output

MNIST = (1, 28, 28)
LATENT, CLASSES = 6, 4


@dataclass(frozen=True)
class Pair:
    """A generator and a discriminator made small, and a shape that both fit."""

    generator: Any
    discriminator: Any
    shape: tuple[int, ...]

    @property
    def heads(self) -> Heads:
        return Heads(energy=self.discriminator.energy)

    def build(self) -> tuple[nn.Module, nn.Module]:
        torch.manual_seed(0)
        return (
            self.generator.build(latent_size=LATENT, shape=self.shape, num_classes=CLASSES),
            self.discriminator.build(shape=self.shape, num_classes=CLASSES, heads=self.heads),
        )


PAIRS = {
    "mlp": Pair(MLPGenerator(width=8, normalised=True), MLPDiscriminator(width=8, normalised=True, dropout=0.5), (2,)),
    "mlp_labels": Pair(
        MLPGenerator(width=8, condition="input", output="tanh"), MLPDiscriminator(width=8, condition="input"), MNIST
    ),
    "cgan": Pair(CGANGenerator(width=0.05), CGANDiscriminator(width=0.05), MNIST),
    "lsgan": Pair(LSGANGenerator(width=0.03), LSGANDiscriminator(width=2), (3, 32, 32)),
    "lsgan_layer": Pair(
        LSGANGenerator(width=0.03, norm="layer"), LSGANDiscriminator(width=2, norm="layer"), (1, 16, 16)
    ),
    "many_class": Pair(
        ManyClassGenerator(width=0.05, label_units=5), ManyClassDiscriminator(width=0.05, label_units=5), MNIST
    ),
    "many_class_layer": Pair(
        ManyClassGenerator(width=0.05, label_units=None, norm="layer"),
        ManyClassDiscriminator(width=0.05, label_units=None, norm="layer"),
        (3, 16, 16),
    ),
    "infogan": Pair(InfoGANGenerator(width=0.05), InfoGANDiscriminator(width=0.05), MNIST),
    "infogan_layer": Pair(
        InfoGANGenerator(width=0.05, norm="layer"), InfoGANDiscriminator(width=0.05, norm="layer"), (3, 16, 16)
    ),
    "mnist": Pair(MNISTGenerator(width=3), MNISTDiscriminator(width=3), MNIST),
    "mnist_batch": Pair(MNISTGenerator(width=3, normalised=True), MNISTDiscriminator(width=3, normalised=True), MNIST),
    "began": Pair(BEGANGenerator(width=2, output="tanh"), BEGANDiscriminator(width=2), (1, 16, 16)),
    "char_cnn": Pair(CharCNNGenerator(width=8), CharCNNDiscriminator(width=8), (12, 7)),
}
each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def batch(num: int = 6) -> tuple[Tensor, Tensor]:
    """z and labels."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num, LATENT, generator=generator), torch.arange(num) % CLASSES


# What all pairs promise


@each_pair
def test_examples_have_the_asked_shape_and_range_and_one_score_each(pair: Pair) -> None:
    g, d = pair.build()
    z, labels = batch()
    x = g(z, labels)
    assert x.shape == (6, *pair.shape)
    if len(pair.shape) > 1:
        assert x.abs().max() <= 1
    answer = d(x, labels)
    assert isinstance(answer, Output)
    assert answer.score is not None
    assert answer.score.shape == (6,)
    assert answer.features is not None
    assert answer.features.shape[0] == 6
    assert answer.features.ndim == 2


@each_pair
def test_one_backward_pass_gives_every_parameter_a_finite_gradient(pair: Pair) -> None:
    g, d = pair.build()
    z, labels = batch()
    d(g(z, labels), labels).score.square().mean().backward()
    for name, parameter in itertools.chain(g.named_parameters(), d.named_parameters()):
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0 or parameter.ndim == 1, name  # a bias before a batch norm does nothing


@each_pair
def test_networks_need_labels_exactly_where_they_say_so(pair: Pair) -> None:
    g, d = pair.build()
    z, labels = batch()
    x = g(z, labels).detach()
    for spec, network, argument in ((pair.generator, g, z), (pair.discriminator, d, x)):
        if spec.conditional:
            with pytest.raises(AssertionError, match="a conditional network needs labels"):
                network(argument)
        else:
            network(argument)


@each_pair
def test_labels_change_the_answer_of_conditional_networks_only(pair: Pair) -> None:
    g, d = pair.build()
    g.eval(), d.eval()
    z, labels = batch()
    x = g(z, labels).detach()
    assert torch.equal(x, g(z, (labels + 1) % CLASSES)) is not pair.generator.conditional
    assert torch.equal(d(x, labels).score, d(x, (labels + 1) % CLASSES).score) is not pair.discriminator.conditional


@each_pair
def test_uses_batch_norm_says_whether_examples_of_a_batch_mix(pair: Pair) -> None:
    g, d = (network.double() for network in pair.build())
    z, labels = batch()
    x = g(z.double(), labels).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(d(x, labels).score[0], x)
    assert bool((gradient.flatten(1)[1:].abs() > 1e-12).any()) is pair.discriminator.uses_batch_norm
    assert gradient[0].abs().sum() > 0


@each_pair
def test_stochastic_says_whether_training_draws_numbers(pair: Pair) -> None:
    g, d = pair.build()
    z, labels = batch()
    x = g(z, labels).detach()
    assert torch.equal(g(z, labels), g(z, labels)) is not pair.generator.stochastic
    assert torch.equal(d(x, labels).score, d(x, labels).score) is not pair.discriminator.stochastic


@each_pair
def test_copies_and_saved_states_answer_alike(pair: Pair) -> None:
    g, d = pair.build()
    again, other = pair.build()
    z, labels = batch()
    for parameter in itertools.chain(g.parameters(), d.parameters()):
        nn.init.uniform_(parameter, -0.3, 0.3)
    again.load_state_dict(g.state_dict())
    other.load_state_dict(d.state_dict())
    for network in (g, d, again, other):
        network.eval()
    x = g(z, labels)
    assert torch.equal(again(z, labels), x)
    assert torch.equal(copy.deepcopy(g)(z, labels), x)
    assert torch.equal(other(x, labels).score, d(x, labels).score)


@each_pair
def test_T_42_every_norm_has_the_usual_small_number(pair: Pair) -> None:
    kinds = nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm
    for spec, network in zip((pair.generator, pair.discriminator), pair.build(), strict=True):
        eps = [module.eps for module in network.modules() if isinstance(module, kinds)]
        assert set(eps) == ({1e-5} if spec.normalised else set())


# LSGAN at 112x112


def test_the_lsgan_pair_at_112_has_the_published_layers() -> None:
    with torch.device("meta"):
        g = LSGANGenerator().build(latent_size=1024, shape=(3, 112, 112))
        d = LSGANDiscriminator().build(shape=(3, 112, 112), heads=Heads())
    # linear 1025 * 7 * 7 * 256; four 3x3 layers 256 -> 256, 256 -> 128, 128 -> 64, 64 -> 3;
    # norms on five times 256, on 128 and on 64 maps
    up = 12_857_600 + 4 * 590_080 + 295_040 + 73_792 + 1_731
    assert num_parameters(g) == up + 2 * (5 * 256 + 128 + 64)
    # 5x5: 25*3*64+64, 25*64*128+128, 25*128*256+256, 25*256*512+512; norms on 128, 256, 512; 7*7*512 + 1
    assert num_parameters(d) == 4_864 + 204_928 + 819_456 + 3_277_312 + 2 * 896 + 25_089


def test_the_lsgan_generator_grows_by_doubling_with_layers_between() -> None:
    g = LSGANGenerator(width=0.02).build(latent_size=3, shape=(3, 112, 112))
    sizes: list[int] = []
    for module in g.modules():
        if isinstance(module, nn.ConvTranspose2d):
            module.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    g(torch.randn(2, 3))
    assert sizes == [14, 14, 28, 28, 56, 112, 112]


# LSGAN for many classes


def test_the_many_class_pair_has_the_published_layers() -> None:
    with torch.device("meta"):
        g = ManyClassGenerator().build(latent_size=1024, shape=MNIST, num_classes=3740)
        d = ManyClassDiscriminator().build(shape=MNIST, num_classes=3740, heads=Heads())
    phi = 3_740 * 256 + 256
    # linear 1024 + 256 -> 7 * 7 * 128 with a norm per unit; 25*128*128+128 with its norm; 25*128+1
    assert num_parameters(g) == phi + 1_281 * 6_272 + 2 * 6_272 + 409_728 + 256 + 3_201
    # 5x5 1 -> 257; 257 + 256 -> 320 with norm; 320 * 49 + 256 -> 1024 with norm; 1024 + 256 -> 1
    first, second = 25 * 257 + 257, 25 * 513 * 320 + 320 + 640
    assert num_parameters(d) == phi + first + second + 15_937 * 1_024 + 2_048 + 1_281


def test_the_label_map_is_linear_and_each_network_has_its_own() -> None:
    g, d = PAIRS["many_class"].build()
    labels = torch.tensor([2, 0])
    maps = []
    for network in (g, d):
        weight, bias = network.label.map.weight, network.label.map.bias
        torch.testing.assert_close(network.label(labels, torch.zeros(1)), weight.T[labels] + bias)
        maps.append(weight)
    assert not torch.equal(maps[0], maps[1])


def test_the_label_stands_beside_the_input_of_every_layer_but_the_first() -> None:
    _, d = PAIRS["many_class"].build()
    labels = torch.tensor([2, 0])
    seen: list[Tensor] = []
    for layer in (d.first, d.second, d.third, d.output):
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    d(torch.rand(2, *MNIST), labels)
    phi = d.label(labels, torch.zeros(1)).detach()
    assert seen[0].shape == (2, *MNIST)
    # 1 + 5 maps of 14x14 and Phi; (3 + 5) * 7 * 7 numbers and Phi; 51 units and Phi
    assert [tuple(x.shape[1:]) for x in seen[1:]] == [(6 + 5, 14, 14), (8 * 49 + 5,), (51 + 5,)]
    for x in seen[1:]:
        beside = x.flatten(2)[:, -5:] if x.ndim == 4 else x[:, -5:, None]
        assert torch.equal(beside, phi[:, :, None].expand_as(beside))


def test_without_a_label_map_the_one_hot_label_takes_its_place() -> None:
    d = ManyClassDiscriminator(width=0.05, label_units=None).build(shape=MNIST, num_classes=3, heads=Heads())
    assert not list(d.label.parameters())
    assert d.label(torch.tensor([2, 0]), torch.zeros(1)).tolist() == [[0, 0, 1], [1, 0, 0]]
    # 1024 * 0.05 = 51 hidden units, and the label
    answer = d(torch.zeros(2, *MNIST), torch.tensor([2, 0]))
    assert answer.features.shape == (2, 51 + 3)
    assert answer.features[:, 51:].tolist() == [[0, 0, 1], [1, 0, 0]]


# InfoGAN


def test_the_infogan_pair_at_28_has_the_published_layers() -> None:
    with torch.device("meta"):
        g = InfoGANGenerator().build(latent_size=74, shape=MNIST)
        d = InfoGANDiscriminator().build(shape=MNIST, heads=Heads())
        with_q = InfoGANDiscriminator().build(shape=MNIST, heads=Heads(categorical=(10,), continuous=2))
    # 75 * 1024; 1025 * 6272; 4x4: 16*128*64+64, 16*64+1; norms on 1024 and 6272 units and on 64 maps
    assert num_parameters(g) == 76_800 + 6_428_800 + 131_136 + 1_025 + 2 * (1_024 + 6_272 + 64)
    # 4x4: 16*64+64, 16*64*128+128; 6273 * 1024; norms on 128 maps and 1024 units; 1025
    assert num_parameters(d) == 1_088 + 131_200 + 6_423_552 + 2 * (128 + 1_024) + 1_025
    # Q: 1025 * 128 with a norm, 129 * 10 logits, 129 * 2 means
    assert num_parameters(with_q) == num_parameters(d) + 131_200 + 256 + 1_290 + 258


def test_q_shares_the_trunk_and_has_a_hidden_layer_of_its_own() -> None:
    torch.manual_seed(0)
    d = InfoGANDiscriminator(width=0.05).build(shape=MNIST, heads=Heads(categorical=(10, 3), continuous=2))
    answer = d(torch.rand(4, *MNIST))
    assert [tuple(code.shape) for code in answer.codes] == [(4, 10), (4, 3), (4, 2)]
    sum(code.square().mean() for code in answer.codes).backward()
    given = {name for name, parameter in d.named_parameters() if parameter.grad is not None}
    assert given == {name for name, _ in d.named_parameters()} - {"output.weight", "output.bias"}
    # 128 * 0.05 = 6 units
    assert {m.in_features for m in d.codes} == {6}


def test_the_slope_of_the_infogan_discriminator_is_a_tenth() -> None:
    d = InfoGANDiscriminator(width=0.05).build(shape=MNIST, heads=Heads(continuous=1))
    slopes = [m.negative_slope for m in d.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.1] * 4


# WGAN-GP's MNIST pair


def test_the_mnist_pair_has_the_published_layers() -> None:
    with torch.device("meta"):
        g = MNISTGenerator().build(latent_size=128, shape=MNIST)
        d = MNISTDiscriminator().build(shape=MNIST, heads=Heads())
    # 129 * 4 * 4 * 256; 5x5: 25*256*128+128, 25*128*64+64, 25*64+1
    assert num_parameters(g) == 528_384 + 819_328 + 204_864 + 1_601
    # 25*64+64, 25*64*128+128, 25*128*256+256; 4 * 4 * 256 + 1
    assert num_parameters(d) == 1_664 + 204_928 + 819_456 + 4_097


def test_maps_of_8x8_are_cropped_to_7x7_on_the_way_to_28() -> None:
    g = MNISTGenerator(width=2).build(latent_size=3, shape=MNIST)
    sizes: list[int] = []
    for stage in g.stages:
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    g(torch.randn(2, 3))
    assert sizes == [8 * 4 * 4, 4, 7, 14, 28]


@pytest.mark.parametrize("size", [8, 12, 16, 20, 28, 32])
def test_the_pairs_for_multiples_of_four_fit_them_all(size: int) -> None:
    shape = (2, size, size)
    for g, d in (
        (MNISTGenerator(width=1), MNISTDiscriminator(width=1)),
        (InfoGANGenerator(width=0.02), InfoGANDiscriminator(width=0.02)),
        (ManyClassGenerator(width=0.02, label_units=2), ManyClassDiscriminator(width=0.02, label_units=2)),
    ):
        labels = torch.tensor([0, 1])
        x = g.build(latent_size=3, shape=shape, num_classes=2)(torch.randn(2, 3), labels)
        assert x.shape == (2, *shape)
        assert d.build(shape=shape, num_classes=2, heads=Heads())(x, labels).score.shape == (2,)


# The character pair


def test_the_character_pair_has_the_published_layers() -> None:
    with torch.device("meta"):
        g = CharCNNGenerator().build(latent_size=128, shape=(32, 2048))
        d = CharCNNDiscriminator().build(shape=(32, 2048), heads=Heads())
    blocks = 5 * 2 * (5 * 512 * 512 + 512)
    # 129 * 32 * 512; 512 * 2048 + 2048
    assert num_parameters(g) == 2_113_536 + blocks + 1_050_624
    # 2048 * 512 + 512; 32 * 512 + 1
    assert num_parameters(d) == 1_049_088 + blocks + 16_385


def test_generated_text_is_a_distribution_over_the_vocabulary_at_each_position() -> None:
    g, _ = PAIRS["char_cnn"].build()
    text = g(batch()[0])
    assert text.shape == (6, 12, 7)
    assert text.min() > 0
    torch.testing.assert_close(text.sum(dim=2), torch.ones(6, 12))


def test_a_residual_block_adds_three_tenths_of_its_branch() -> None:
    block = Residual(2, 5, 0.3)
    x = torch.randn(3, 2, 9)
    branch = block.second(block.first(x.clamp(min=0)).clamp(min=0))
    torch.testing.assert_close(block(x), x + 0.3 * branch)
    nn.init.zeros_(block.second.weight)
    nn.init.ones_(block.second.bias)
    torch.testing.assert_close(block(x), x + 0.3)


def test_the_text_critic_sees_where_a_character_stands() -> None:
    _, d = PAIRS["char_cnn"].build()
    sentence = torch.eye(7)[torch.tensor([[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]])]
    assert d(sentence).features.shape == (1, 8 * 12)
    assert not torch.allclose(d(sentence).score, d(sentence.flip(1)).score)


# Refusals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSGANGenerator(width=0), "LSGANGenerator.width = 0 must be a number > 0"),
        (lambda: LSGANDiscriminator(width=0), "LSGANDiscriminator.width = 0 must be a whole number >= 1"),
        (lambda: LSGANDiscriminator(norm="spectral"), "LSGANDiscriminator.norm = 'spectral' does not exist"),
        (
            lambda: LSGANGenerator().build(latent_size=3, shape=(3, 100, 100)),
            "LSGANGenerator does not fit the image size 100: multiples of 16 from 16 on do, such as 96",
        ),
        (lambda: ManyClassGenerator(label_units=0), "ManyClassGenerator.label_units = 0 must be a whole number >= 1"),
        (lambda: ManyClassGenerator().build(latent_size=3, shape=MNIST), "needs data with classes"),
        (
            lambda: ManyClassDiscriminator().build(shape=(1, 30, 30), num_classes=2, heads=Heads()),
            "ManyClassDiscriminator does not fit the image size 30: multiples of 4 from 4 on do, such as",
        ),
        (lambda: InfoGANDiscriminator(width=-1.0), "InfoGANDiscriminator.width = -1.0 must be a number > 0"),
        (
            lambda: InfoGANGenerator().build(latent_size=3, shape=(2,)),
            r"InfoGANGenerator needs square images \(channels, size, size\), not shape \(2,\)",
        ),
        (lambda: MNISTGenerator().build(latent_size=3, shape=(1, 4, 4)), "multiples of 4 from 8 on do, such as 8"),
        (
            lambda: MNISTDiscriminator().build(shape=(1, 28, 32), heads=Heads()),
            r"needs square images .* not shape \(1, 28, 32\)",
        ),
        (lambda: CharCNNGenerator(kernel_size=4), "CharCNNGenerator.kernel_size = 4 must be odd"),
        (lambda: CharCNNDiscriminator(residual_scale=0), "CharCNNDiscriminator.residual_scale = 0 must be a number"),
        (
            lambda: CharCNNGenerator().build(latent_size=3, shape=MNIST),
            r"CharCNNGenerator is for text \(length, vocabulary\), not for the shape \(1, 28, 28\)",
        ),
        (lambda: InfoGANDiscriminator().build(shape=MNIST, heads=Heads(energy=True)), "use an auto-encoder"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
