"""Auto-encoders as discriminators, EBGAN's and BEGAN's: energies worked out by hand, codes, sizes, refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep.models.autoencoder import DISTANCES, ConvAutoEncoder, MLPAutoEncoder, energy
from gansweep.models.began import BEGANDiscriminator, BEGANGenerator
from gansweep.outputs import Heads

ENERGY = Heads(energy=True)
IMAGE = (2, 16, 16)
SMALL = [
    MLPAutoEncoder(width=6),
    MLPAutoEncoder(depth=4, width=6, norm="layer"),
    MLPAutoEncoder(depth=4, width=6),
    ConvAutoEncoder(width=2),
    ConvAutoEncoder(width=2, stages=2, norm="layer"),
    ConvAutoEncoder(width=2, normalised=False),
    BEGANDiscriminator(width=2, code_size=5),
]


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def images(num: int = 5, shape: tuple[int, ...] = IMAGE) -> Tensor:
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


# Energies


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        ("norm", [5.0, 13.0]),  # sqrt(9 + 16), sqrt(144 + 25)
        ("mean_square", [25 / 4, 169 / 4]),
        ("mean_absolute", [7 / 4, 17 / 4]),
    ],
)
def test_energies_of_known_errors_are_those_worked_out_by_hand(distance: str, expected: list[float]) -> None:
    x = torch.ones(2, 1, 2, 2)
    errors = torch.tensor([[3.0, 0.0, -4.0, 0.0], [0.0, -12.0, 5.0, 0.0]]).view(2, 1, 2, 2)
    torch.testing.assert_close(energy(distance, x + errors, x), torch.tensor(expected))


def test_an_auto_encoder_with_set_weights_has_the_energy_and_code_worked_out_by_hand() -> None:
    network = MLPAutoEncoder(width=2, output="linear").build(shape=(3,), heads=ENERGY)
    first, last = (m for m in network.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, -1.0]]))
        first.bias.copy_(torch.tensor([0.0, 1.0]))
        last.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        last.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
    # x = (1, 2, 3): code = relu(3, -2) = (3, 0); Dec = (3, 0, 2); error (2, -2, -1), norm 3
    # x = (0, 0, 0): code = relu(0, 1) = (0, 1); Dec = (0, 1, 0); error (0, 1, 0), norm 1
    answer = network(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]))
    assert answer.score.tolist() == [3.0, 1.0]
    assert answer.features.tolist() == [[3.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_perfect_reconstruction_has_energy_0_and_a_finite_gradient(distance: str) -> None:
    x = images().requires_grad_()
    got = energy(distance, x.detach().clone(), x)
    got.sum().backward()
    assert got.tolist() == [0.0] * 5
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_energies_are_taken_in_fp32_at_least() -> None:
    x = images()
    for one, other, expected in (
        (torch.bfloat16, torch.bfloat16, torch.float32),
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float64, torch.float64, torch.float64),
    ):
        assert energy("norm", x.to(one) * 0.5, x.to(other)).dtype == expected
    # 512 errors of 0.25: in bf16 a sum of squares would stop growing long before sqrt(512) / 4
    quarter = torch.full((1, 512), 0.25, dtype=torch.bfloat16)
    assert energy("norm", quarter, torch.zeros_like(quarter)).item() == pytest.approx(math.sqrt(512) / 4)


@pytest.mark.parametrize("spec", SMALL, ids=repr)
def test_the_score_is_the_distance_between_an_example_and_its_own_reconstruction(spec: Any) -> None:
    torch.manual_seed(0)
    network, x = spec.build(shape=IMAGE, heads=ENERGY), images()
    network.eval()
    answer = network(x)
    code = network.encoder(x)
    assert network.decoder(code).shape == x.shape
    torch.testing.assert_close(answer.score, energy(spec.distance, network.decoder(code), x))
    torch.testing.assert_close(answer.features, code.flatten(1))
    assert answer.score.shape == (5,)
    assert answer.classes is None
    assert answer.codes == ()
    assert spec.energy is True
    assert spec.conditional is False


@pytest.mark.parametrize("spec", SMALL, ids=repr)
def test_every_parameter_and_the_example_itself_have_finite_gradients(spec: Any) -> None:
    torch.manual_seed(0)
    network, x = spec.build(shape=IMAGE, heads=ENERGY), images().requires_grad_()
    network(x).score.mean().backward()
    for tensor in (x, *network.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0 or tensor.ndim == 1  # a bias in front of a batch norm does nothing


@pytest.mark.parametrize("spec", SMALL, ids=repr)
def test_uses_batch_norm_says_whether_an_energy_depends_on_other_examples(spec: Any) -> None:
    torch.manual_seed(0)
    x = images().double().requires_grad_()
    (gradient,) = torch.autograd.grad(spec.build(shape=IMAGE, heads=ENERGY).double()(x).score[0], x)
    assert bool((gradient[1:].abs() > 1e-12).any()) is spec.uses_batch_norm


# The grid's fully connected auto-encoder


def test_the_decoder_has_one_layer_at_every_depth() -> None:
    for depth in (2, 3, 4, 5):
        network = MLPAutoEncoder(depth=depth, width=16).build(shape=(1, 28, 28), heads=ENERGY)
        counts = [sum(isinstance(m, nn.Linear) for m in part.modules()) for part in (network.encoder, network.decoder)]
        assert counts == [depth - 1, 1]
        # 785 * 16 into the code, 17 * 784 back; each layer between them 17 * 16 and a norm's 2 * 16
        assert num_parameters(network) == 12_560 + 13_328 + (depth - 2) * (272 + 32)


def test_every_field_of_the_grid_can_be_combined() -> None:
    for dropout, normalised, norm in ((0.0, True, "batch"), (0.5, True, "layer"), (0.5, False, "batch")):
        spec = MLPAutoEncoder(depth=3, width=8, dropout=dropout, normalised=normalised, norm=norm)
        network = spec.build(shape=(1, 8, 8), heads=ENERGY)
        x = images(4, (1, 8, 8))
        assert torch.equal(network(x).score, network(x).score) is not spec.stochastic
        assert spec.stochastic is (dropout > 0)
        assert sum(isinstance(m, nn.Dropout) for m in network.modules()) == (2 if dropout else 0)


def test_T_42_norms_of_auto_encoders_keep_the_small_number_small() -> None:
    eps = [
        module.eps
        for spec in SMALL
        for module in spec.build(shape=IMAGE, heads=ENERGY).modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm)
    ]
    assert len(eps) > 8
    assert set(eps) == {1e-5}


# The convolutional one


def test_the_convolutional_auto_encoder_halves_and_doubles_as_often() -> None:
    with torch.device("meta"):
        network = ConvAutoEncoder().build(shape=(3, 64, 64), heads=ENERGY)
    # encoder 4x4: 16*3*64+64, 16*64*128+128, 16*128*256+256; decoder 16*256*128+128, 16*128*64+64, 16*64*3+3;
    # norms on 128, 256 | 128, 64 maps, two numbers each
    encoder, decoder = 3_136 + 131_200 + 524_544, 524_416 + 131_136 + 3_075
    assert num_parameters(network) == encoder + decoder + 2 * (128 + 256 + 128 + 64)


@pytest.mark.parametrize(("stages", "size", "features"), [(1, 16, 3 * 8**2), (3, 32, 12 * 4**2), (4, 16, 24)])
def test_the_code_is_the_last_map_flattened(stages: int, size: int, features: int) -> None:
    network = ConvAutoEncoder(width=3, stages=stages).build(shape=(1, size, size), heads=ENERGY)
    assert network(images(2, (1, size, size))).features.shape == (2, features)


# BEGAN's pair


def test_began_at_64_has_the_published_layers() -> None:
    with torch.device("meta"):
        g = BEGANGenerator(width=64).build(latent_size=64, shape=(3, 64, 64))
        d = BEGANDiscriminator(width=64).build(shape=(3, 64, 64), heads=ENERGY)
    # G: linear 65 * 4096; four resolutions of two 3x3 layers 64 -> 64 (9 * 64^2 + 64 = 36,928); 9 * 64 * 3 + 3
    decoder = 266_240 + 8 * 36_928 + 1_731
    # Enc: 3 -> 64: 1,792; 64: three layers; 64 -> 128: 73,856 and two of 147,584; 128 -> 192: 221,376 and two of
    # 331,968; 192 -> 256: 442,624 and one of 590,080, not halved; linear 8 * 8 * 256 -> 64: 16,384 * 64 + 64
    encoder = 1_792 + 3 * 36_928 + 73_856 + 2 * 147_584 + 221_376 + 2 * 331_968 + 442_624 + 590_080 + 1_048_640
    assert num_parameters(g) == decoder
    assert num_parameters(d) == encoder + decoder


@pytest.mark.parametrize(("size", "halvings"), [(16, 1), (32, 2), (64, 3), (128, 4)])
def test_began_halves_down_to_8x8_and_doubles_up_from_there(size: int, halvings: int) -> None:
    torch.manual_seed(0)
    shape = (1, size, size)
    d = BEGANDiscriminator(width=2, code_size=7).build(shape=shape, heads=ENERGY)
    g = BEGANGenerator(width=2).build(latent_size=4, shape=shape)
    drawn = g(torch.randn(2, 4))
    assert drawn.shape == (2, *shape)
    assert d(drawn).features.shape == (2, 7)
    strided = [m for m in d.encoder.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert [m.out_channels for m in strided] == [2 * (i + 1) for i in range(halvings)]
    for part in (d.decoder, g):
        assert sum(isinstance(m, nn.Upsample) for m in part.modules()) == halvings
        assert not any(isinstance(m, nn.ConvTranspose2d) for m in part.modules())
        # two convolutions at each resolution and the one to the image
        assert sum(isinstance(m, nn.Conv2d) for m in part.modules()) == 2 * (halvings + 1) + 1


def test_the_decoder_of_began_is_the_generator_with_weights_of_its_own() -> None:
    d = BEGANDiscriminator(width=3, code_size=4).build(shape=IMAGE, heads=ENERGY)
    g = BEGANGenerator(width=3).build(latent_size=4, shape=IMAGE)
    one, other = ([tuple(p.shape) for p in part.parameters()] for part in (d.decoder, g))
    assert one == other


@pytest.mark.parametrize(("output", "bounded"), [("linear", False), ("tanh", True), ("sigmoid", True)])
def test_the_range_of_began_images_is_a_field(output: str, bounded: bool) -> None:
    network = BEGANGenerator(width=2, output=output).build(latent_size=4, shape=IMAGE)
    with torch.no_grad():
        *_, last = (m for m in network.modules() if isinstance(m, nn.Conv2d))
        last.bias.fill_(9.0)
    assert bool((network(torch.randn(2, 4)).abs() <= 1).all()) is bounded


# Refusals


@pytest.mark.parametrize("spec", SMALL, ids=repr)
@pytest.mark.parametrize(
    ("heads", "lack"),
    [
        (Heads(), "it has no score$"),
        (Heads(score=False, classes=10), "it has no class logits$"),
        (Heads(classes=10), "it has no score and no class logits$"),
        (Heads(energy=True, categorical=(10,)), "it has no codes$"),
    ],
)
def test_an_auto_encoder_answers_with_an_energy_and_nothing_else(spec: Any, heads: Heads, lack: str) -> None:
    with pytest.raises(ValueError, match=f"{type(spec).__name__} answers with a reconstruction error only: {lack}"):
        spec.build(shape=IMAGE, heads=heads)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLPAutoEncoder(depth=1), "MLPAutoEncoder.depth = 1 must be a whole number >= 2"),
        (lambda: MLPAutoEncoder(distance="nrom"), "did you mean 'norm'"),
        (lambda: MLPAutoEncoder(dropout=1.0), "MLPAutoEncoder.dropout = 1.0 must be below 1"),
        (lambda: MLPAutoEncoder(output="softmax"), "MLPAutoEncoder.output = 'softmax' does not exist"),
        (lambda: ConvAutoEncoder(stages=0), "ConvAutoEncoder.stages = 0 must be a whole number >= 1"),
        (lambda: ConvAutoEncoder(activation="gated"), "ConvAutoEncoder.activation = 'gated' does not exist"),
        (
            lambda: ConvAutoEncoder().build(shape=(1, 28, 28), heads=ENERGY),
            "does not fit the image size 28: multiples of 8 from 8 on do, such as 32",
        ),
        (
            lambda: ConvAutoEncoder().build(shape=(2,), heads=ENERGY),
            r"needs square images \(channels, size, size\), not shape \(2,\)",
        ),
        (lambda: BEGANDiscriminator(code_size=0), "BEGANDiscriminator.code_size = 0"),
        (lambda: BEGANGenerator(output="relu"), "BEGANGenerator.output = 'relu' does not exist"),
        (
            lambda: BEGANGenerator().build(latent_size=4, shape=(1, 28, 28)),
            "does not fit the image size 28: 16, 32, 64, 128 do",
        ),
        (
            lambda: BEGANDiscriminator().build(shape=(32, 27), heads=ENERGY),
            r"needs square images .* not shape \(32, 27\)",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
