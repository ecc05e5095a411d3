"""EBGAN and BEGAN: hand-worked energies, the pulling-away term and the balance k."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gansweep.losses.energy import BEGAN, EBGAN, pulling_away_term
from gansweep.outputs import Heads, Output
from gansweep.trial import Latent


def energies(*values: float, features: Tensor | None = None) -> Output:
    return Output(score=torch.tensor(values, dtype=torch.float64), features=features)


def began(**fields: Any) -> Any:
    return BEGAN(**fields).build(torch.device("cpu"))


def test_both_ask_for_a_reconstruction_error_and_no_penalty() -> None:
    for spec in (EBGAN(), BEGAN()):
        assert spec.heads(10, Latent()) == Heads(energy=True)
        assert spec.energy
        assert not spec.penalisable


@pytest.mark.parametrize("objective", [EBGAN(), began()], ids=["EBGAN", "BEGAN"])
def test_less_energy_is_more_real(objective: Any) -> None:
    assert objective.score(energies(1.0, 9.0)).tolist() == [-1, -9]


# EBGAN


def test_the_margin_cuts_the_energy_of_fakes() -> None:
    # E D(x) = 2; fakes: [10 - 4]^+ = 6 and [10 - 12]^+ = 0, mean 3
    assert EBGAN().discriminator(energies(1.0, 3.0), energies(4.0, 12.0)).item() == 5
    assert EBGAN(margin=4.0).discriminator(energies(1.0, 3.0), energies(4.0, 12.0)).item() == 2


def test_T_43_the_margin_is_taken_for_each_fake_and_not_for_their_mean() -> None:
    # on the mean: [10 - 11]^+ = 0, although one fake is below the margin
    assert EBGAN().discriminator(energies(0.0), energies(2.0, 20.0)).item() == 4


def test_fakes_above_the_margin_teach_the_discriminator_nothing() -> None:
    fake = torch.tensor([4.0, 12.0], requires_grad=True)
    EBGAN().discriminator(Output(score=torch.ones(2)), Output(score=fake)).backward()
    assert fake.grad is not None
    assert fake.grad.tolist() == [-0.5, 0]


def test_at_the_equilibrium_a_constant_energy_gives_the_margin() -> None:
    # Zhao et al. 2017, theorem 2: V = m for every constant D in [0, m] where fakes are like real examples
    for constant in (0.0, 3.0, 10.0):
        same = energies(constant, constant)
        assert EBGAN().discriminator(same, same).item() == pytest.approx(10)


def test_the_generator_pays_the_energy_and_a_tenth_of_the_pulling_away_term() -> None:
    fake = energies(2.0, 4.0, features=torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64))
    # one pair, cosine 1 / sqrt(2), squared 1/2
    assert EBGAN().generator(Output(), fake).item() == pytest.approx(3 + 0.1 * 0.5)
    assert EBGAN(pulling_away=0.0).generator(Output(), fake).item() == 3


# The pulling-away term


def test_orthogonal_codes_have_no_pulling_away_term_and_parallel_ones_1() -> None:
    assert pulling_away_term(3 * torch.eye(5, dtype=torch.float64)).item() == 0
    same = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    scales = torch.tensor([[1.0], [0.1], [-7.0], [1e6]], dtype=torch.float64)
    assert pulling_away_term(scales * same).item() == pytest.approx(1)


def test_T_43_the_term_is_the_mean_squared_cosine_of_different_rows() -> None:
    rows = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lists, total = rows.tolist(), 0.0
    for i, one in enumerate(lists):
        for j, other in enumerate(lists):
            if i != j:
                dot = sum(a * b for a, b in zip(one, other, strict=True))
                total += (dot / (math.hypot(*one) * math.hypot(*other))) ** 2
    assert pulling_away_term(rows).item() == pytest.approx(total / (6 * 5), rel=1e-12)


def test_T_43_cosines_are_squared_so_opposite_pairs_do_not_cancel() -> None:
    # cosines +1, -1, -1: their mean would be -1/3
    rows = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    assert pulling_away_term(rows).item() == pytest.approx(1)


def test_T_43_each_row_has_its_own_norm() -> None:
    rows = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scales = torch.logspace(-3, 3, 6, dtype=torch.float64).unsqueeze(1)
    torch.testing.assert_close(pulling_away_term(scales * rows), pulling_away_term(rows), rtol=1e-12, atol=0)


def test_T_6_the_term_is_a_mean_over_pairs() -> None:
    # two orthogonal rows: no parallel pair; each twice: 4 parallel ones among 12; ten times each: 180 of 380
    for times, share in ((1, 0.0), (2, 4 / 12), (10, 180 / 380)):
        assert pulling_away_term(torch.eye(2).repeat(times, 1)).item() == pytest.approx(share)


def test_a_dead_code_has_no_direction_and_finite_gradients() -> None:
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    term = pulling_away_term(rows)
    term.backward()
    assert term.item() == pytest.approx(1 / 3)  # one pair of three
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


def test_the_term_is_taken_in_the_precision_of_the_codes_under_autocast() -> None:
    rows = torch.randn(16, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        half = pulling_away_term(rows)
    assert torch.equal(half, pulling_away_term(rows))


# BEGAN


def test_the_balance_weighs_the_energy_of_fakes() -> None:
    objective = began(initial_balance=0.25)
    real, fake = energies(2.0, 4.0), energies(1.0, 7.0)
    assert objective.discriminator(real, fake).item() == 3 - 0.25 * 4
    assert objective.generator(real, fake).item() == 4


def test_the_balance_moves_by_the_rate_times_the_gap() -> None:
    objective = began(initial_balance=0.25, rate=0.125, gamma=0.5)
    objective.after_step(energies(2.0, 4.0), energies(1.0, 0.0))  # gap 0.5 * 3 - 0.5 = 1
    assert objective.balance.item() == 0.375
    objective.after_step(energies(2.0, 4.0), energies(3.0, 4.0))  # gap 1.5 - 3.5 = -2
    assert objective.balance.item() == 0.125


def test_T_43_the_balance_stays_between_0_and_1() -> None:
    objective = began(rate=0.5)
    for real, fake, limit in ((100.0, 1.0, 1), (1.0, 100.0, 0)):
        for _ in range(3):
            objective.after_step(energies(real), energies(fake))
            assert objective.balance.item() == limit


def test_the_balance_of_energies_that_answer_to_it_settles_at_the_ratio_gamma() -> None:
    # energies that rise with k, as D then cares more for fakes: L(G) = 0.2 + k and L(x) = 1 + k / 2, so that
    # gamma L(x) = L(G) at k = 0.3 / 0.75 = 0.4 for gamma = 1/2
    for start in (0.0, 1.0):
        objective = began(initial_balance=start, rate=0.05)
        for _ in range(600):
            k = objective.balance.item()
            assert 0 <= k <= 1
            real, fake = energies(1 + k / 2), energies(0.2 + k)
            objective.after_step(real, fake)
        assert objective.balance.item() == pytest.approx(0.4, abs=1e-5)
        assert (fake.score.mean() / real.score.mean()).item() == pytest.approx(0.5, abs=1e-5)
        assert objective.traces(real, fake)["convergence"].item() == pytest.approx(1.2, abs=1e-5)  # M = L(x)


def test_the_balance_does_not_move_where_fakes_have_gamma_times_the_energy_of_real_examples() -> None:
    objective = began(initial_balance=0.5, rate=1.0, gamma=0.25)
    objective.after_step(energies(4.0, 8.0), energies(1.0, 2.0))
    assert objective.balance.item() == 0.5
    traces = objective.traces(energies(4.0, 8.0), energies(1.0, 2.0))
    assert traces["convergence"].item() == 6
    assert traces["energy_ratio"].item() == 0.25


def test_the_measure_of_convergence_counts_a_gap_of_either_sign() -> None:
    for fake in (0.5, 1.5):
        traces = began().traces(energies(2.0), energies(fake))
        assert traces["convergence"].item() == 2.5  # 2 + |1 -+ 0.5|
    assert traces["balance"].item() == 0


def test_a_recorded_balance_is_not_changed_by_later_steps() -> None:
    objective = began(rate=0.5)
    before = objective.traces(energies(1.0), energies(0.0))["balance"]
    objective.after_step(energies(1.0), energies(0.0))
    assert before.item() == 0
    assert objective.balance.item() == 0.25


def test_the_balance_is_saved_and_restored() -> None:
    objective, other = began(initial_balance=0.7), began()
    objective.after_step(energies(3.0), energies(2.0))
    state = objective.state_dict()
    assert list(state) == ["balance"]
    other.load_state_dict(state)
    assert other.balance.item() == objective.balance.item() != 0.7
    assert list(objective.parameters()) == []


def test_a_balance_that_is_not_a_number_is_data() -> None:
    objective = began()
    objective.after_step(energies(math.nan), energies(1.0))
    assert math.isnan(objective.balance.item())
