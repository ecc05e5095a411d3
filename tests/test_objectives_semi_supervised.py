"""CatGAN, SGAN, the improved GAN and the classifier that they must beat: entropies and likelihoods by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gansweep.data.training_set import ImageSet
from gansweep.losses.semi_supervised import (
    SGAN,
    CatGAN,
    ImprovedGAN,
    Supervised,
    conditional_entropy,
    marginal_entropy,
    mean_distance,
)
from gansweep.outputs import Heads, Output
from gansweep.parts import override
from gansweep.training import TrainState, train
from gansweep.trial import Latent, TrialConfig

K = 4
LOG_K = math.log(K)


def said(*probabilities: list[float]) -> Output:
    """A classifier that gives each example these probabilities, whose logits have an arbitrary constant."""
    return Output(classes=torch.tensor(probabilities, dtype=torch.float64).log() + 3.0)


def sure(labels: Tensor, num: int = K) -> Output:
    """A classifier that gives these classes all the probability, and is right."""
    return Output(classes=80.0 * F.one_hot(labels, num).double(), labels=labels)


def unsure(num: int = 6, classes: int = K) -> Output:
    """A classifier that has no idea."""
    return Output(classes=torch.zeros(num, classes, dtype=torch.float64))


def drawn(columns: int, num: int = 7, seed: int = 0) -> Output:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num, columns, dtype=torch.float64, generator=generator)
    return Output(classes=logits, labels=torch.arange(num) % 3)


# Entropies


def test_entropies_go_from_0_to_log_k() -> None:
    torch.testing.assert_close(conditional_entropy(unsure().classes), torch.full((6,), LOG_K, dtype=torch.float64))
    assert conditional_entropy(sure(torch.arange(K)).classes).abs().max() < 1e-30
    # sure of every example, and all categories equally often
    assert marginal_entropy(sure(torch.arange(K)).classes).item() == pytest.approx(LOG_K)
    # sure of every example, and always the same
    assert marginal_entropy(sure(torch.zeros(5, dtype=torch.int64)).classes).item() == pytest.approx(0, abs=1e-30)


def test_the_marginal_is_the_mean_of_probabilities_and_not_of_logits() -> None:
    output = said([0.9, 0.1], [0.3, 0.7])
    p = 0.6
    assert marginal_entropy(output.classes).item() == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p))
    entropies = [-q * math.log(q) - (1 - q) * math.log(1 - q) for q in (0.9, 0.3)]
    assert conditional_entropy(output.classes).tolist() == pytest.approx(entropies)


@pytest.mark.parametrize("logits", [[1e30, 0.0, -1e30], [-1e4, -1e4, 1e4]])
def test_entropies_of_impossible_classes_are_finite(logits: list[float]) -> None:
    x = torch.tensor([logits, logits], requires_grad=True)
    total = conditional_entropy(x).sum() + marginal_entropy(x)
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


# CatGAN


def test_CatGAN_asks_for_its_categories_and_no_score() -> None:
    assert CatGAN().heads(10, Latent()) == Heads(score=False, classes=10)
    assert CatGAN(num_categories=20).heads(0, Latent()) == Heads(score=False, classes=20)
    assert not CatGAN.penalisable


def test_a_discriminator_that_is_sure_of_real_and_unsure_of_fakes_loses_minus_2_log_k() -> None:
    real = sure(torch.arange(K).repeat(3))
    # -H of the mean = -ln K, + 0 on real examples, - ln K on fakes
    assert CatGAN().discriminator(real, unsure()).item() == pytest.approx(-2 * LOG_K)
    # and without the fakes' part
    assert CatGAN().discriminator(real, sure(torch.arange(K))).item() == pytest.approx(-LOG_K)


def test_one_category_for_everything_is_not_rewarded() -> None:
    always = sure(torch.zeros(8, dtype=torch.int64))
    assert CatGAN().discriminator(always, unsure()).item() == pytest.approx(-LOG_K)
    assert CatGAN().generator(Output(), always).item() == pytest.approx(0, abs=1e-30)


def test_the_generator_is_best_with_sure_fakes_that_are_spread_evenly() -> None:
    # the marginal's entropy has a minus in the generator's loss: it is maximised
    assert CatGAN().generator(Output(), sure(torch.arange(K))).item() == pytest.approx(-LOG_K)
    assert CatGAN().generator(Output(), unsure()).item() == pytest.approx(0, abs=1e-12)


def test_the_generator_uses_the_marginal_of_fakes_and_not_of_real_examples() -> None:
    fake = drawn(K, seed=1)
    alone = CatGAN().generator(Output(), fake)
    assert CatGAN().generator(drawn(K, seed=2), fake) == alone


def test_the_losses_are_those_of_the_entropies_by_hand() -> None:
    real, fake = said([0.5, 0.5], [0.9, 0.1]), said([0.2, 0.8])

    def entropy(p: float) -> float:
        return -p * math.log(p) - (1 - p) * math.log(1 - p)

    expected = -entropy(0.7) + (entropy(0.5) + entropy(0.9)) / 2 - entropy(0.2)
    assert CatGAN().discriminator(real, fake).item() == pytest.approx(expected)
    assert CatGAN().generator(real, fake).item() == pytest.approx(0, abs=1e-12)  # one fake: its own marginal


def test_the_score_of_CatGAN_is_minus_the_entropy() -> None:
    assert CatGAN().score(unsure()).tolist() == pytest.approx([-LOG_K] * 6)
    assert CatGAN().score(sure(torch.arange(K))).tolist() == pytest.approx([0] * K, abs=1e-30)


def test_the_traces_show_how_evenly_the_categories_are_used() -> None:
    traces = CatGAN().traces(sure(torch.arange(K)), sure(torch.zeros(3, dtype=torch.int64)))
    assert list(traces) == ["marginal_entropy_real", "marginal_entropy_fake"]
    assert traces["marginal_entropy_real"].item() == pytest.approx(LOG_K)
    assert traces["marginal_entropy_fake"].item() == pytest.approx(0, abs=1e-30)


# SGAN


def test_SGAN_asks_for_a_class_of_fakes() -> None:
    assert SGAN().heads(10, Latent()) == Heads(score=False, classes=11)


def test_SGAN_is_the_likelihood_of_a_batch_that_is_half_fake() -> None:
    real, fake = drawn(K, seed=1), drawn(K, seed=2)
    labels = torch.full((7,), K - 1)
    both = F.cross_entropy(torch.cat([real.classes, fake.classes]), torch.cat([real.labels, labels]))
    total = SGAN().supervised(real) + SGAN().discriminator(Output(), fake)
    torch.testing.assert_close(total, both, rtol=1e-14, atol=0)


def test_the_generator_of_SGAN_has_exactly_the_negative_loss_of_fakes() -> None:
    fake = drawn(K, seed=2)
    negative = F.cross_entropy(fake.classes, torch.full((7,), K - 1))
    torch.testing.assert_close(SGAN().generator(Output(), fake), -negative, rtol=1e-14, atol=0)
    # it is 2 times the discriminator's half, and saturates where fakes are seen through
    torch.testing.assert_close(SGAN().generator(Output(), fake), -2 * SGAN().discriminator(Output(), fake))
    seen = torch.tensor([[0.0, 0.0, 0.0, 40.0]], dtype=torch.float64, requires_grad=True)
    SGAN().generator(Output(), Output(classes=seen)).backward()
    assert seen.grad is not None
    assert 0 < seen.grad.abs().max() < 1e-16


def test_unlabelled_real_examples_do_not_enter_SGAN() -> None:
    fake = drawn(K, seed=2)
    assert SGAN().discriminator(drawn(K, seed=1), fake) == SGAN().discriminator(Output(), fake)


def test_the_score_of_SGAN_is_the_log_odds_of_real() -> None:
    output = said([0.1, 0.2, 0.3, 0.4], [0.6, 0.2, 0.1, 0.1])
    assert SGAN().score(output).tolist() == pytest.approx([math.log(0.6 / 0.4), math.log(0.9 / 0.1)])


def test_SGAN_names_a_class_of_the_data_even_for_what_it_takes_for_fake() -> None:
    output = said([0.1, 0.2, 0.3, 0.4], [0.6, 0.2, 0.1, 0.1])
    assert SGAN().predict(output).tolist() == [2, 0]
    assert ImprovedGAN().predict(output).tolist() == [3, 0]


# The improved GAN


def improved(**fields: Any) -> ImprovedGAN:
    return ImprovedGAN(**fields)


def test_the_improved_GAN_asks_for_the_classes_of_the_data() -> None:
    assert ImprovedGAN().heads(10, Latent()) == Heads(score=False, classes=10)


def test_the_probability_of_real_is_Z_over_Z_plus_1() -> None:
    output = drawn(K)
    z = output.classes.exp().sum(dim=1)
    torch.testing.assert_close(torch.sigmoid(ImprovedGAN().score(output)), z / (z + 1))
    fake = drawn(K, seed=1)
    z_fake = fake.classes.exp().sum(dim=1)
    expected = -torch.log(z / (z + 1)).mean() - torch.log(1 / (z_fake + 1)).mean()
    torch.testing.assert_close(ImprovedGAN().discriminator(output, fake), expected)
    non_saturating = improved(generator_loss="non_saturating")
    torch.testing.assert_close(non_saturating.generator(Output(), fake), -torch.log(z_fake / (z_fake + 1)).mean())


def test_on_labelled_examples_both_terms_are_the_likelihood_of_k_plus_1_classes_with_the_last_logit_0() -> None:
    # log p(y | x) = log p(y | x, real) + log D(x): Salimans et al. 2016, section 5
    labelled = drawn(K)
    nobody = Output(classes=torch.full((1, K), -800.0, dtype=torch.float64))  # a fake that costs nothing
    together = ImprovedGAN().supervised(labelled) + ImprovedGAN().discriminator(labelled, nobody)
    padded = torch.cat([labelled.classes, torch.zeros(7, 1, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(together, F.cross_entropy(padded, labelled.labels), rtol=1e-13, atol=0)


def test_an_undecided_improved_GAN_loses_2_log_2() -> None:
    # K logits of -ln K have Z = 1, so D = 1/2
    half = Output(classes=torch.full((3, K), -LOG_K, dtype=torch.float64))
    assert ImprovedGAN().score(half).tolist() == pytest.approx([0, 0, 0], abs=1e-15)
    assert ImprovedGAN().discriminator(half, half).item() == pytest.approx(2 * math.log(2))


def test_features_are_matched_in_the_mean() -> None:
    real = torch.tensor([[0.0, 1.0], [2.0, 3.0]], dtype=torch.float64)  # mean (1, 2)
    fake = torch.tensor([[1.0, 4.0], [3.0, 6.0], [2.0, 8.0]], dtype=torch.float64)  # mean (2, 6)
    assert mean_distance(real, fake).item() == 1 + 16
    loss = ImprovedGAN().generator(Output(features=real), Output(features=fake))
    assert loss.item() == 17
    # another batch with the same mean costs nothing, however different its examples are
    assert ImprovedGAN().generator(Output(features=real), Output(features=real.flip(1) + real.new_tensor([-1, 1]))) == 0


def test_the_real_features_are_a_constant_for_the_generator() -> None:
    real, fake = torch.ones(3, 2, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
    ImprovedGAN().generator(Output(features=real), Output(features=fake)).backward()
    assert real.grad is None
    assert fake.grad is not None
    torch.testing.assert_close(fake.grad, torch.full((3, 2), -2 / 3))  # 2 (0 - 1) / 3


# The classifier alone


def test_the_supervised_classifier_asks_for_the_classes_of_the_data() -> None:
    assert Supervised().heads(10, Latent()) == Heads(score=False, classes=10)
    assert Supervised().score(unsure()).tolist() == pytest.approx([-LOG_K] * 6)


def test_images_without_labels_teach_the_supervised_classifier_nothing() -> None:
    real, fake = (drawn(K, seed=seed).classes.requires_grad_() for seed in (1, 2))
    for loss in (Supervised().discriminator, Supervised().generator):
        value = loss(Output(classes=real), Output(classes=fake))
        assert value.item() == 0
        value.backward()
    for logits in (real, fake):
        assert torch.equal(logits.grad, torch.zeros(7, K, dtype=torch.float64))


def test_the_supervised_classifier_is_the_same_whatever_else_it_is_shown(
    tiny: TrialConfig, tiny_images: ImageSet
) -> None:
    """Its training is that of its labelled images; the generator and the other real images change no weight."""
    changes = {"loss": Supervised(), "discriminator.normalised": False, "labelled": 8}
    config = override(tiny, changes)
    trained = []
    for generator_seed in (1, 2):
        state = TrainState.build(config, shape=(1, 16, 16), num_classes=4, device=torch.device("cpu"))
        config.initialisation.apply(state.generator, generator_seed, "generator")
        before = [p.clone() for p in state.generator.parameters()]
        steps = list(train(config, state, tiny_images, torch.device("cpu")))
        assert all(torch.equal(p, q) for p, q in zip(state.generator.parameters(), before, strict=True))
        assert steps[-1].scalars["loss_discriminator"] == 0
        assert steps[-1].scalars["loss_supervised"] < steps[0].scalars["loss_supervised"]
        trained.append(list(state.discriminator.parameters()))
    assert all(torch.equal(p, q) for p, q in zip(*trained, strict=True))


def test_the_supervised_classifier_needs_labels_and_a_norm_that_forgets_other_images(tiny: TrialConfig) -> None:
    with pytest.raises(ValueError, match=r"^Supervised learns from labels only: set labelled"):
        override(tiny, {"loss": Supervised(), "discriminator.normalised": False})
    with pytest.raises(ValueError, match=r"^Supervised must not see images without labels.*normalised=False"):
        override(tiny, {"loss": Supervised(), "labelled": 8})
    with pytest.raises(ValueError, match=r"^Supervised needs data with classes"):
        Supervised().heads(0, Latent())
    layer = override(tiny, {"loss": Supervised(), "labelled": 8, "discriminator.norm": "layer"})
    assert layer.labelled == 8


# The supervised term


@pytest.mark.parametrize(
    ("objective", "share"),
    [(Supervised(), 1.0), (CatGAN(), 1.0), (CatGAN(labelled_weight=0.3), 0.3), (SGAN(), 0.5), (ImprovedGAN(), 1.0)],
)
def test_labels_are_learnt_by_the_likelihood(objective: Any, share: float) -> None:
    labelled = said([0.5, 0.25, 0.25], [0.1, 0.1, 0.8])._replace(labels=torch.tensor([1, 2]))
    expected = share * -(math.log(0.25) + math.log(0.8)) / 2
    assert objective.supervised(labelled).item() == pytest.approx(expected)


@pytest.mark.parametrize("objective", [Supervised(), CatGAN(), SGAN(), ImprovedGAN()], ids=repr)
def test_T_41_a_perfect_classifier_has_no_supervised_loss(objective: Any) -> None:
    assert objective.supervised(sure(torch.arange(K))).item() < 1e-12
