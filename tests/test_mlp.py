"""Fully connected networks: fields for the papers' networks, maxout, labels, ranges, normalisation."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gansweep.models.cgan import CGANDiscriminator, CGANGenerator
from gansweep.models.layers import ACTIVATIONS
from gansweep.models.mlp import Maxout, MLPDiscriminator, MLPGenerator
from gansweep.models.plain import ToUnit, in_range, one_hot, vector_norm
from gansweep.outputs import Heads

MNIST = (1, 28, 28)


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def linear_shapes(network: nn.Module) -> list[tuple[int, int]]:
    """(inputs, outputs) of every linear layer in order."""
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


def generator(latent_size: int = 2, shape: tuple[int, ...] = (2,), num_classes: int = 0, **fields: Any) -> nn.Module:
    return MLPGenerator(**fields).build(latent_size=latent_size, shape=shape, num_classes=num_classes)


def discriminator(
    shape: tuple[int, ...] = (2,), num_classes: int = 0, heads: Heads | None = None, **fields: Any
) -> nn.Module:
    return MLPDiscriminator(**fields).build(shape=shape, num_classes=num_classes, heads=heads or Heads())


# The networks of the papers


def test_the_default_pair_is_that_of_the_toy_densities() -> None:
    # three hidden ReLU layers of 512 and a linear one, for points in the plane
    assert linear_shapes(generator()) == [(2, 512), (512, 512), (512, 512), (512, 2)]
    # 3 * 512 + 2 * (513 * 512) + 513 * 2, and 513 for the score
    assert num_parameters(generator()) == 1_536 + 2 * 262_656 + 1_026
    assert num_parameters(discriminator()) == 1_536 + 2 * 262_656 + 513


@pytest.mark.parametrize("depth", [1, 2, 3, 12])
def test_depth_is_the_number_of_weight_layers(depth: int) -> None:
    assert len(linear_shapes(generator(depth=depth, width=3))) == depth
    assert len(linear_shapes(discriminator(depth=depth, width=3))) == depth


def test_four_hidden_layers_and_tanh_make_the_mlp_that_draws_64x64_images() -> None:
    with torch.device("meta"):
        network = generator(128, (3, 64, 64), depth=5, output="tanh")
    assert linear_shapes(network) == [(128, 512), (512, 512), (512, 512), (512, 512), (512, 12_288)]
    # 129 * 512 + 3 * 513 * 512 + 513 * 12,288
    assert num_parameters(network) == 66_048 + 787_968 + 6_303_744


def test_two_layers_of_128_make_the_mnist_pair_of_dragan() -> None:
    assert linear_shapes(generator(100, MNIST, depth=2, width=128)) == [(100, 128), (128, 784)]
    assert linear_shapes(discriminator(MNIST, depth=2, width=128)) == [(784, 128), (128, 1)]


def test_hidden_layers_stand_in_stages_whose_outputs_can_be_watched() -> None:
    network = discriminator(depth=12, width=4)
    seen: list[tuple[int, ...]] = []
    for stage in network.stages:
        stage.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    network(torch.randn(3, 2))
    assert seen == [(3, 4)] * 11


# What they compute


def test_a_generator_with_set_weights_computes_what_is_worked_out_by_hand() -> None:
    network = generator(depth=2, width=2, output="sigmoid")
    first, last = (m for m in network.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        first.bias.copy_(torch.tensor([0.5, 0.0]))
        last.weight.copy_(torch.tensor([[2.0, 0.0], [1.0, 1.0]]))
        last.bias.copy_(torch.tensor([0.0, -1.0]))
    # z = (1, 3): hidden = relu(1.5, -3) = (1.5, 0); a = (3, 0.5); 2 sigmoid(a) - 1 = tanh(a / 2)
    got = network(torch.tensor([[1.0, 3.0]]))
    torch.testing.assert_close(got.detach(), torch.tensor([[1.5, 0.25]]).tanh())


def test_a_maxout_unit_is_the_largest_of_its_own_pieces() -> None:
    x = torch.tensor([[1.0, 5.0, -2.0, -7.0, -3.0, -4.0]])
    assert Maxout(3)(x).tolist() == [[5.0, -3.0]]
    assert Maxout(2)(x).tolist() == [[5.0, -2.0, -3.0]]


def test_a_maxout_discriminator_has_pieces_times_width_outputs_per_layer() -> None:
    network = discriminator(MNIST, depth=3, width=240, activation="maxout")
    assert linear_shapes(network) == [(784, 1200), (240, 1200), (240, 1)]


def test_sigmoid_means_an_image_between_minus_1_and_1() -> None:
    a = torch.tensor([-50.0, 0.0, 2.0, 50.0])
    torch.testing.assert_close(ToUnit()(a), torch.tensor([-1.0, 0.0, 2 / (1 + 2.718281828**-2) - 1, 1.0]))


@pytest.mark.parametrize(("output", "bounded"), [("linear", False), ("tanh", True), ("sigmoid", True)])
def test_only_a_linear_output_leaves_the_range(output: str, bounded: bool) -> None:
    values = in_range(output)(torch.linspace(-30, 30, 7))
    assert bool((values.abs() <= 1).all()) is bounded
    assert (values.diff() >= 0).all()


@pytest.mark.parametrize("output", ["linear", "tanh", "sigmoid"])
@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 4, 4), (5, 7)])
def test_every_shape_goes_in_and_comes_out(shape: tuple[int, ...], output: str) -> None:
    x = generator(6, shape, depth=3, width=4, output=output)(torch.randn(5, 6))
    assert x.shape == (5, *shape)
    answer = discriminator(shape, depth=3, width=4)(x)
    assert answer.score.shape == (5,)
    assert answer.features.shape == (5, 4)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "maxout"])
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_every_parameter_of_both_networks_has_a_finite_gradient(activation: str, norm: str | None) -> None:
    fields: dict[str, Any] = {"depth": 4, "width": 8, "normalised": norm is not None, "norm": norm or "batch"}
    d = discriminator((1, 4, 4), activation=activation, **fields)
    g = generator(6, (1, 4, 4), activation="relu" if activation == "maxout" else activation, **fields)
    torch.manual_seed(0)
    d(g(torch.randn(16, 6))).score.square().mean().backward()
    for parameter in itertools.chain(g.parameters(), d.parameters()):
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_a_penalty_can_be_differentiated_through_maxout() -> None:
    d = discriminator(depth=3, width=8, activation="maxout").double()
    x = torch.randn(6, 2, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(d(x).score.sum(), x, create_graph=True)
    gradient.square().sum().backward()
    first = next(d.parameters())
    assert first.grad is not None
    assert first.grad.norm() > 0


# Normalisation and dropout


def norms(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.LayerNorm)]


def test_every_hidden_layer_but_the_first_of_a_discriminator_is_normalised() -> None:
    assert len(norms(generator(depth=4, width=3, normalised=True))) == 3
    assert len(norms(discriminator(depth=4, width=3, normalised=True))) == 2
    assert not norms(generator(depth=4, width=3)) + norms(discriminator(depth=4, width=3))


def test_T_42_the_small_number_under_the_root_is_small() -> None:
    for kind in ("batch", "layer"):
        assert vector_norm(kind, 3).eps == 1e-5
        x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
        if kind == "batch":
            expected = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
        else:
            expected = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
        torch.testing.assert_close(vector_norm(kind, 3)(x).detach(), expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": 3, "normalised": True},
        {"depth": 2, "normalised": True},  # nothing stands behind the first layer but the score
        {"depth": 3, "normalised": True, "norm": "layer"},
        {"depth": 3},
    ],
)
def test_uses_batch_norm_says_whether_a_score_depends_on_other_examples(fields: dict[str, Any]) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 2, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(width=8, activation="tanh", **fields).double()(x).score[0], x)
    assert bool((gradient[1:].abs() > 1e-12).any()) is MLPDiscriminator(**fields).uses_batch_norm


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_stochastic_says_whether_training_draws_numbers(dropout: float) -> None:
    spec = MLPDiscriminator(width=64, dropout=dropout)
    network, x = spec.build(shape=(2,), heads=Heads()), torch.randn(8, 2)
    assert torch.equal(network(x).score, network(x).score) is not spec.stochastic
    network.eval()
    assert torch.equal(network(x).score, network(x).score)


def test_a_seed_of_torchs_own_generator_fixes_the_dropped_units() -> None:
    network, x = discriminator(width=64, dropout=0.5), torch.randn(8, 2)
    scores = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        scores.append(network(x).score)
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


# Labels


def test_a_label_is_one_hot_in_the_format_of_what_it_stands_beside() -> None:
    got = one_hot(torch.tensor([2, 0]), 3, torch.zeros(2, 5, dtype=torch.float64))
    assert got.dtype == torch.float64
    assert got.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_conditional_networks_answer_to_the_label_and_others_ignore_it() -> None:
    torch.manual_seed(0)
    z, one, other = torch.randn(4, 6), torch.tensor([0, 1, 2, 3]), torch.tensor([1, 1, 2, 3])
    for condition, matters in (("input", True), ("none", False)):
        g = generator(6, (2,), num_classes=4, width=8, condition=condition)
        d = discriminator((2,), num_classes=4, width=8, condition=condition)
        for first, second in ((g(z, one), g(z, other)), (d(z[:, :2], one).score, d(z[:, :2], other).score)):
            assert torch.equal(first[1:], second[1:])
            assert torch.equal(first[0], second[0]) is not matters
    assert linear_shapes(generator(6, (2,), num_classes=4, condition="input"))[0] == (10, 512)
    assert linear_shapes(discriminator((2,), num_classes=4, condition="input"))[0] == (6, 512)


def test_a_conditional_network_says_when_labels_or_classes_are_missing() -> None:
    with pytest.raises(ValueError, match="MLPGenerator is conditional and the data has no classes"):
        generator(condition="input")
    with pytest.raises(ValueError, match="MLPDiscriminator is conditional and the data has no classes"):
        discriminator(condition="input")
    with pytest.raises(ValueError, match="CGANGenerator takes labels as an input: it needs data with classes"):
        CGANGenerator().build(latent_size=3, shape=(2,))
    with pytest.raises(AssertionError, match="a conditional network needs labels"):
        generator(num_classes=3, condition="input")(torch.randn(2, 2))


# The conditional GAN's own pair


def test_the_conditional_gans_pair_has_the_published_layers() -> None:
    g = CGANGenerator().build(latent_size=100, shape=MNIST, num_classes=10)
    d = CGANDiscriminator().build(shape=MNIST, num_classes=10, heads=Heads())
    assert linear_shapes(g) == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    # maxout layers have units * pieces outputs: 240 * 5, 50 * 5, 240 * 4
    assert linear_shapes(d) == [(784, 1200), (10, 250), (290, 960), (240, 1)]
    # 101 * 200 + 11 * 1000 + 1201 * 1200 + 1201 * 784
    assert num_parameters(g) == 20_200 + 11_000 + 1_441_200 + 941_584
    # 785 * 1200 + 11 * 250 + 291 * 960 + 241
    assert num_parameters(d) == 942_000 + 2_750 + 279_360 + 241


def test_the_conditional_gans_pair_works_at_any_width_and_uses_labels() -> None:
    torch.manual_seed(0)
    g = CGANGenerator(width=0.05, dropout=0.0).build(latent_size=5, shape=(3, 8, 8), num_classes=4)
    d = CGANDiscriminator(width=0.05, dropout=0.0).build(shape=(3, 8, 8), num_classes=4, heads=Heads(classes=4))
    labels, z = torch.tensor([0, 1, 2, 3]), torch.randn(4, 5)
    images = g(z, labels)
    assert images.shape == (4, 3, 8, 8)
    assert images.abs().max() <= 1
    answer = d(images, labels)
    assert answer.score.shape == (4,)
    assert answer.classes.shape == (4, 4)
    assert answer.features.shape == (4, 12)
    assert not torch.equal(answer.score, d(images, labels.flip(0)).score)
    assert not torch.equal(images, g(z, labels.flip(0)))
    (F.softplus(-answer.score).mean() + answer.classes.square().mean()).backward()
    assert all(torch.isfinite(p.grad).all() for p in (*g.parameters(), *d.parameters()))


def test_the_conditional_gan_drops_units_in_training_only() -> None:
    for spec, built in (
        (CGANGenerator(), CGANGenerator().build(latent_size=5, shape=(2,), num_classes=3)),
        (CGANDiscriminator(), CGANDiscriminator().build(shape=(5,), num_classes=3, heads=Heads())),
    ):
        assert spec.stochastic
        assert [m.p for m in built.modules() if isinstance(m, nn.Dropout)] == [0.5] * 3
        x, labels = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])

        def answer(network: nn.Module = built, x: Tensor = x, labels: Tensor = labels) -> Tensor:
            given = network(x, labels)
            return given if isinstance(given, Tensor) else given.score

        assert not torch.equal(answer(), answer())
        built.eval()
        assert torch.equal(answer(), answer())
    assert not CGANGenerator(dropout=0.0).stochastic


# Refusals


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        (MLPGenerator, {"activation": "rellu"}, "MLPGenerator.activation = 'rellu' does not exist; did you mean"),
        (MLPGenerator, {"activation": "gated"}, "MLPGenerator.activation = 'gated' does not exist"),
        (MLPGenerator, {"activation": "maxout"}, "MLPGenerator.activation = 'maxout' does not exist"),
        (MLPGenerator, {"norm": "bacth"}, "did you mean 'batch'"),
        (MLPGenerator, {"output": "tan"}, "did you mean 'tanh'"),
        (MLPGenerator, {"depth": 0}, "MLPGenerator.depth = 0 must be a whole number >= 1"),
        (MLPDiscriminator, {"width": 0}, "MLPDiscriminator.width = 0 must be a whole number >= 1"),
        (MLPDiscriminator, {"condition": "label"}, "MLPDiscriminator.condition = 'label' does not exist"),
        (MLPDiscriminator, {"dropout": 1.0}, "MLPDiscriminator.dropout = 1.0 must be below 1"),
        (MLPDiscriminator, {"dropout": -0.1}, "MLPDiscriminator.dropout = -0.1 must be a number >= 0"),
        (CGANGenerator, {"width": 0}, "CGANGenerator.width = 0 must be a number > 0"),
        (CGANDiscriminator, {"dropout": 2}, "CGANDiscriminator.dropout = 2 must be below 1"),
    ],
)
def test_bad_fields_are_refused_in_one_line(spec: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        spec(**fields)
    assert "\n" not in str(error.value)


def test_a_discriminator_without_a_decoder_refuses_to_answer_with_an_energy() -> None:
    with pytest.raises(ValueError, match="use an auto-encoder"):
        discriminator(heads=Heads(energy=True))


def test_an_objective_gets_the_heads_it_asks_for() -> None:
    heads = Heads(score=False, classes=11, categorical=(10, 3), continuous=2)
    answer = discriminator(width=8, heads=heads)(torch.randn(4, 2))
    assert answer.score is None
    assert answer.classes.shape == (4, 11)
    assert [tuple(code.shape) for code in answer.codes] == [(4, 10), (4, 3), (4, 2)]
