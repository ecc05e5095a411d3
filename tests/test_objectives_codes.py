"""ACGAN and InfoGAN: what is added to a score's objective, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gansweep.losses.conditional import ACGAN, class_loss
from gansweep.losses.infogan import InfoGAN, categorical_information, continuous_information
from gansweep.losses.objectives import Minimax, NonSaturating, Wasserstein
from gansweep.outputs import Heads, Output
from gansweep.trial import Latent


def sure(labels: Tensor, num: int, scale: float = 60.0) -> Tensor:
    """Logits of a classifier that gives the labels' classes all the probability."""
    return scale * F.one_hot(labels, num).double()


def zeros(*size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.float64)


# ACGAN


def judged(score: float, classes: Tensor, *labels: int) -> Output:
    return Output(
        score=torch.full((len(labels),), score, dtype=torch.float64), classes=classes, labels=torch.tensor(labels)
    )


def test_ACGAN_asks_for_a_score_and_a_logit_for_each_class() -> None:
    assert ACGAN().heads(10, Latent()) == Heads(score=True, classes=10)
    assert ACGAN.needs_labels


def test_a_classifier_without_an_idea_costs_both_networks_log_k() -> None:
    real, fake = judged(0.0, zeros(4, 5), 0, 1, 2, 3), judged(0.0, zeros(2, 5), 4, 4)
    log_2, log_5 = math.log(2), math.log(5)
    assert ACGAN().discriminator(real, fake).item() == pytest.approx(2 * log_2 + 2 * log_5)
    assert ACGAN().generator(real, fake).item() == pytest.approx(log_2 + log_5)
    assert ACGAN(classify_fakes=False).discriminator(real, fake).item() == pytest.approx(2 * log_2 + log_5)


def test_the_game_as_stated_is_that_of_L_S_and_L_C() -> None:
    # two classes; D says p(real | x) = 3/4, p(real | fake) = 1/3, p(y | x) = 4/5, p(y | fake) = 3/5
    def logits(p: float) -> Tensor:
        return torch.tensor([[math.log(p), math.log(1 - p)]], dtype=torch.float64)

    real, fake = judged(math.log(3), logits(4 / 5), 0), judged(-math.log(2), logits(3 / 5), 0)
    sources = math.log(3 / 4) + math.log(2 / 3)
    of_fakes = math.log(3 / 5)
    classes = math.log(4 / 5) + of_fakes
    objective = ACGAN(adversarial=Minimax())
    assert objective.discriminator(real, fake).item() == pytest.approx(-(sources + classes))
    # G maximises L_C - L_S, of which it can change the terms of its own samples
    assert objective.generator(real, fake).item() == pytest.approx(-(of_fakes - math.log(2 / 3)))


def test_the_conditional_critic_is_weighed_by_a_tenth_for_the_generator_and_never_sees_classes_of_fakes() -> None:
    objective = ACGAN(adversarial=Wasserstein(), discriminator_weight=1.0, generator_weight=0.1, classify_fakes=False)
    real, fake = judged(7.0, zeros(2, 4), 0, 1), judged(2.0, zeros(2, 4), 2, 3)
    assert objective.discriminator(real, fake).item() == pytest.approx(2 - 7 + math.log(4))
    assert objective.generator(real, fake).item() == pytest.approx(-2 + 0.1 * math.log(4))
    assert objective.discriminator(real, fake._replace(classes=None)).item() == pytest.approx(2 - 7 + math.log(4))


def test_T_41_a_perfect_classifier_costs_nothing() -> None:
    # a softmax of a softmax could not do better than 1.461 for ten classes
    labels = torch.arange(10)
    assert class_loss(Output(classes=sure(labels, 10), labels=labels)).item() < 1e-12
    softmax = sure(labels, 10).softmax(dim=1)
    assert class_loss(Output(classes=softmax, labels=labels)).item() == pytest.approx(1.461, abs=5e-4)


def test_the_accuracies_are_shares_of_right_guesses() -> None:
    hits = sure(torch.tensor([0, 1, 2, 2]), 3)
    traces = ACGAN().traces(judged(0.0, hits, 0, 1, 2, 2), judged(0.0, hits, 0, 0, 0, 0))
    assert {name: value.item() for name, value in traces.items()} == {
        "class_accuracy_real": 1,
        "class_accuracy_fake": 0.25,
    }


# InfoGAN


def drawn(num: int = 600) -> tuple[Tensor, Tensor, Tensor]:
    """Equally many of each value of a code of 10 and one of 3, and two continuous codes that fill [-1, 1] evenly."""
    index = torch.arange(num)
    even = (2 * index.double() + 1) / num - 1
    return index % 10, index % 3, torch.stack([even, even.flip(0)], dim=1)


def of(codes: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> Output:
    return Output(score=torch.zeros(len(given[0]), dtype=torch.float64), codes=codes, given=given)


def test_InfoGAN_asks_for_an_answer_to_every_code() -> None:
    latent = Latent(size=62, categorical=(10, 3), continuous=2)
    assert InfoGAN().heads(0, latent) == Heads(score=True, categorical=(10, 3), continuous=2)


def test_a_perfect_Q_finds_the_entropy_of_every_code() -> None:
    ten, three, _ = drawn()
    assert categorical_information(sure(ten, 10), ten).item() == pytest.approx(math.log(10))
    traces = InfoGAN().traces(Output(), of((sure(ten, 10), sure(three, 3)), (ten, three)))
    assert list(traces) == ["mutual_information"]
    assert traces["mutual_information"].item() == pytest.approx(math.log(10) + math.log(3))


def test_an_uninformed_Q_finds_nothing_and_a_wrong_one_less() -> None:
    ten, three, _ = drawn()
    nothing = InfoGAN().traces(Output(), of((zeros(600, 10), zeros(600, 3)), (ten, three)))
    assert nothing["mutual_information"].item() == pytest.approx(0, abs=1e-12)
    assert categorical_information(sure((ten + 1) % 10, 10, scale=5.0), ten).item() < -2


def test_a_noisy_channel_is_measured_by_its_mutual_information() -> None:
    # the sample shows the value of a binary code with probability 3/4: I = ln 2 - H(3/4), and the best Q says 3/4
    values = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0])
    shown = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    best = torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=torch.float64).log()
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert categorical_information(best[shown], values).item() == pytest.approx(math.log(2) - entropy)


def test_exact_means_of_continuous_codes_reach_the_bound_of_unit_variance() -> None:
    *_, both = drawn()
    exact = continuous_information(both, both).item()
    assert exact == pytest.approx(2 * (math.log(2) - 0.5 * math.log(2 * math.pi)))
    assert exact / 2 == pytest.approx(-0.226, abs=5e-4)
    # knowing nothing costs half the variance of U(-1, 1), 1/6, for each code
    assert continuous_information(0 * both, both).item() == pytest.approx(exact - 2 / 6, abs=1e-5)


def test_both_networks_minimise_their_loss_less_the_weighted_information() -> None:
    ten, three, both = drawn()
    fake = of((sure(ten, 10), zeros(600, 3), both + 1), (ten, three, both))
    real = Output(score=torch.zeros(4, dtype=torch.float64))
    continuous = 2 * (math.log(2) - 0.5 * math.log(2 * math.pi) - 0.5)
    for weights, information in (
        ({}, math.log(10) + continuous),
        ({"categorical_weight": 2.0, "continuous_weight": 0.1}, 2 * math.log(10) + 0.1 * continuous),
    ):
        objective = InfoGAN(**weights)  # type: ignore[arg-type]
        assert objective.discriminator(real, fake).item() == pytest.approx(2 * math.log(2) - information)
        assert objective.generator(real, fake).item() == pytest.approx(math.log(2) - information)
        unguided = InfoGAN(guide_generator=False, **weights)  # type: ignore[arg-type]
        assert unguided.discriminator(real, fake).item() == pytest.approx(2 * math.log(2) - information)
        assert unguided.generator(real, fake).item() == NonSaturating().generator(real, fake).item()
        traces = {name: value.item() for name, value in objective.traces(real, fake).items()}
        assert traces == {
            "mutual_information": pytest.approx(math.log(10)),
            "mutual_information_continuous": pytest.approx(continuous),
        }


def test_traces_of_continuous_codes_alone_have_no_categorical_part() -> None:
    *_, both = drawn()
    assert list(InfoGAN().traces(Output(), of((both,), (both,)))) == ["mutual_information_continuous"]


@pytest.mark.parametrize("objective", [InfoGAN(), InfoGAN(guide_generator=False)], ids=repr)
def test_Q_learns_in_the_turn_of_the_discriminator(objective: Any) -> None:
    values = torch.tensor([0, 1, 2])
    logits = zeros(3, 3).requires_grad_()
    objective.discriminator(Output(score=zeros(3)), of((logits,), (values,))).backward()
    # d CE / d logits = (1/3 - one-hot) / batch
    torch.testing.assert_close(logits.grad, (1 / 3 - F.one_hot(values, 3).double()) / 3)
