"""The networks of the auxiliary-classifier GAN: shapes, parameter counts, dropout and noise, labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep.initialisation import ScaledUniform
from gansweep.models.acgan import ACGANDiscriminator, ACGANGenerator, Noise
from gansweep.models.layers import GENERATOR_NORMS, NORMS
from gansweep.outputs import Heads

HEADS = Heads(classes=3)


def generator(size: int = 32, **fields: Any) -> Any:
    spec = ACGANGenerator(**{"widths": (8, 6, 4), **fields})
    network = spec.build(latent_size=5, shape=(1, size, size), num_classes=3)
    ScaledUniform().apply(network, 0, "generator")
    return network


def discriminator(size: int = 32, **fields: Any) -> Any:
    network = ACGANDiscriminator(**{"width": 2, **fields}).build(shape=(1, size, size), num_classes=3, heads=HEADS)
    ScaledUniform().apply(network, 0, "discriminator")
    return network


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def layers_of(network: nn.Module) -> list[Any]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]


@pytest.mark.parametrize(("size", "widths"), [(16, (4, 2)), (32, (8, 6, 4)), (64, (8, 6, 4, 2)), (128, (8, 6, 4, 2))])
def test_the_pair_makes_and_judges_images_of_any_size_that_halves_often_enough(
    size: int, widths: tuple[int, ...]
) -> None:
    images = generator(size, widths=widths)(torch.randn(3, 5), torch.tensor([0, 1, 2]))
    assert images.shape == (3, 1, size, size)
    assert images.abs().max() <= 1
    output = discriminator(size)(images)
    assert output.score.shape == (3,)
    assert output.classes.shape == (3, 3)
    assert output.features.shape == (3, 64 * (size // 8) ** 2)


def test_the_layers_of_the_discriminator_are_the_published_ones() -> None:
    d = ACGANDiscriminator().build(shape=(3, 32, 32), heads=HEADS)
    convolutions = [layer for layer in layers_of(d) if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [16, 32, 64, 128, 256, 512]
    assert [layer.stride[0] for layer in convolutions] == [2, 1, 2, 1, 2, 1]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    assert [type(layer) for layer in d.layers[:8]] == [
        nn.Conv2d,
        nn.Identity,
        nn.LeakyReLU,
        nn.Dropout,
        nn.Conv2d,
        nn.BatchNorm2d,
        nn.LeakyReLU,
        nn.Dropout,
    ]
    assert sum(isinstance(layer, nn.Dropout) and layer.p == 0.5 for layer in d.layers) == 6


def test_the_numbers_of_parameters_are_the_derived_ones() -> None:
    # 100 + 10 latent numbers, 3x128x128, ten classes. G: linear 111 * 768 * 64; 5x5 768 -> 384: 25 * 768 * 384 + 384;
    # 384 -> 256; 256 -> 192; 192 -> 3; a gain and a bias for each of 768 + 384 + 256 + 192 channels.
    num_g = 5_455_872 + 7_373_184 + 2_457_856 + 1_228_992 + 14_403 + 3_200
    # D: 3x3 3 -> 16: 448, then 4,640, 18,496, 73,856, 295,168 and 1,180,160; a gain and a bias for each of
    # 32 + 64 + 128 + 256 + 512 channels; a linear layer from 512 * 16 * 16 to one score and ten classes.
    num_d = 448 + 4_640 + 18_496 + 73_856 + 295_168 + 1_180_160 + 1_984 + 11 * 131_073
    with torch.device("meta"):
        g = ACGANGenerator().build(latent_size=100, shape=(3, 128, 128), num_classes=10)
        d = ACGANDiscriminator().build(shape=(3, 128, 128), num_classes=10, heads=Heads(classes=10))
    assert num_parameters(g) == num_g == 16_533_507
    assert num_parameters(d) == num_d == 3_016_555


@pytest.mark.parametrize(
    ("build", "size", "message"),
    [
        (generator, 12, "image size 12 must be a multiple of 8 and at least 16 for ACGANGenerator, such as 16"),
        (discriminator, 28, "image size 28 must be a multiple of 8 and at least 16 for ACGANDiscriminator, such as 32"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_with_one_that_does(build: Any, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(size)


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        (ACGANGenerator, {"widths": ()}, r"widths = \(\) must be whole numbers"),
        (ACGANGenerator, {"widths": (8, 0)}, r"widths = \(8, 0\) must be whole numbers"),
        (ACGANGenerator, {"norm": "bach"}, "did you mean 'batch'"),
        (ACGANDiscriminator, {"dropout": 1.0}, "dropout = 1.0 must be below 1"),
        (ACGANDiscriminator, {"noise": -0.1}, "noise = -0.1 must be a number >= 0"),
        (ACGANDiscriminator, {"norm": "none"}, "said by normalised=False"),
    ],
)
def test_fields_that_mean_nothing_are_refused(part: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        part(**fields)


def test_the_generator_needs_classes_and_the_discriminator_sees_none() -> None:
    assert ACGANGenerator().conditional
    assert not ACGANGenerator(condition="none").conditional
    assert not ACGANDiscriminator().conditional
    with pytest.raises(ValueError, match='the data has no classes: set condition="none"'):
        ACGANGenerator().build(latent_size=5, shape=(1, 32, 32))
    g, z = generator().eval(), torch.randn(1, 5).expand(2, 5)
    first, second = g(z, torch.tensor([0, 1]))
    assert not torch.equal(first, second)


# Dropout and noise


def test_the_discriminator_is_stochastic_in_training_and_only_if_it_says_so() -> None:
    x = torch.randn(2, 1, 32, 32)
    for fields, stochastic in (
        ({}, True),
        ({"dropout": 0.0, "noise": 0.1}, True),
        ({"dropout": 0.0}, False),
    ):
        assert ACGANDiscriminator(**fields).stochastic is stochastic
        d = discriminator(normalised=False, **fields)
        assert torch.equal(d(x).score, d(x).score) is not stochastic
        d.eval()
        assert torch.equal(d(x).score, d(x).score)


def test_the_same_default_seed_gives_the_same_masks_and_noise() -> None:
    # this is what makes a resumed run the same: the loop seeds torch's generator by position
    d, x = discriminator(noise=0.1), torch.randn(4, 1, 32, 32)
    scores: list[Tensor] = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(2):
            torch.manual_seed(7)
            scores.append(d(x).score)
    assert torch.equal(*scores)


def test_noise_has_the_asked_deviation() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        added = Noise(0.2)(torch.ones(100_000)) - 1
    # five standard errors: 0.2 / sqrt(n) of the mean, 0.2 / sqrt(2 n) of the deviation
    assert added.mean().item() == pytest.approx(0, abs=5 * 0.2 / 100_000**0.5)
    assert added.std().item() == pytest.approx(0.2, abs=5 * 0.2 / 200_000**0.5)
    x = torch.ones(3)
    assert Noise(0.2).eval()(x) is x


@pytest.mark.parametrize("kind", [None, *GENERATOR_NORMS])
def test_the_pair_trains_with_every_norm(kind: str | None) -> None:
    fields: dict[str, Any] = {"norm": kind} if kind else {"normalised": False}
    g = generator(**fields)
    d = discriminator(**(fields if kind in (None, *NORMS) else {}))
    output = d(g(torch.randn(4, 5), torch.tensor([0, 1, 2, 0])))
    (output.score.mean() + output.classes.square().mean()).backward()
    for network in (g, d):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("kind", NORMS)
def test_an_example_s_score_depends_on_the_others_only_under_batch_norm(kind: str) -> None:
    assert ACGANDiscriminator(norm=kind).uses_batch_norm is (kind == "batch")
    d = discriminator(norm=kind, dropout=0.0)
    x = torch.randn(3, 1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(d(x).score[0], x)
    assert gradient[0].abs().max() > 0
    assert bool(gradient[1:].any()) is (kind == "batch")
