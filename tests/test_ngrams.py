"""n-gram divergences worked out by hand, and against a slow count by the definition."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gansweep.data.densities import GaussianRing
from gansweep.data.opened import open_data
from gansweep.data.text import GeneratedSentences
from gansweep.data.training_set import TextSet
from gansweep.metrics.ngrams import Counts, NGramDivergence, js_divergence, ngram_counts
from gansweep.metrics.subject import Subject
from gansweep.outputs import Output
from gansweep.trial import TrialConfig

SYMBOLS = "?`abcd"


def codes_of(*lines: str) -> Tensor:
    return torch.tensor([[SYMBOLS.index(c) for c in line] for line in lines])


def corpus(*lines: str, held_out: tuple[str, ...] = ("aaaa",)) -> TextSet:
    return TextSet(codes_of(*lines), codes_of(*held_out), SYMBOLS)


def score(samples: tuple[str, ...], text: TextSet, orders: tuple[int, ...] = (1, 2, 3, 4)) -> dict[str, float]:
    metric = NGramDivergence(num_samples=len(samples), orders=orders)
    return metric.score(F.one_hot(codes_of(*samples), len(SYMBOLS)).float(), text)


def by_definition(samples: Tensor, lines: Tensor, order: int) -> float:
    """(KL(p || m) + KL(q || m)) / (2 ln 2), one n-gram at a time."""

    def shares(rows: Tensor) -> dict[tuple[int, ...], float]:
        grams = Counter(tuple(r[i : i + order]) for r in rows.tolist() for i in range(len(r) - order + 1))
        return {gram: count / grams.total() for gram, count in grams.items()}

    p, q = shares(samples), shares(lines)
    kl = 0.0
    for one, other in ((p, q), (q, p)):
        kl += math.fsum(v * math.log(v / ((v + other.get(gram, 0.0)) / 2)) for gram, v in one.items())
    return kl / (2 * math.log(2))


# By hand


def test_identical_texts_are_0_bits_apart() -> None:
    assert score(("abca", "dddd"), corpus("dddd", "abca")) == {f"js_{n}": 0.0 for n in (1, 2, 3, 4)}


def test_texts_that_share_nothing_are_1_bit_apart() -> None:
    assert score(("aaaa", "aabb"), corpus("cccc", "cddd")) == {f"js_{n}": pytest.approx(1) for n in (1, 2, 3, 4)}


def test_a_text_of_one_letter_against_half_of_it() -> None:
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4):
    # KL(p || m) = log2(4/3), KL(q || m) = log2(2/3) / 2 + log2(2) / 2
    expected = (math.log2(4 / 3) + math.log2(2 / 3) / 2 + 0.5) / 2
    assert score(("aaaa",), corpus("aabb"), orders=(1,))["js_1"] == pytest.approx(expected)


def test_the_same_letters_in_another_order_differ_in_pairs_only() -> None:
    got = score(("abab",), corpus("baba"), orders=(1, 2))
    # pairs ab, ba, ab against ba, ab, ba: p = (2/3, 1/3), q = (1/3, 2/3), m = 1/2 each
    expected = 2 / 3 * math.log2(4 / 3) + 1 / 3 * math.log2(2 / 3)
    assert got == {"js_1": 0.0, "js_2": pytest.approx(expected)}


def test_positions_are_pooled_and_padding_counts() -> None:
    assert score(("ab``",), corpus("``ab"), orders=(1,))["js_1"] == 0
    assert score(("ab``",), corpus("abab"), orders=(1,))["js_1"] > 0


def test_ngrams_are_counted_as_numbers_in_the_base_of_the_vocabulary() -> None:
    keys, counts = ngram_counts(np.array([[1, 2, 1, 2], [1, 2, 2, 0]], np.uint8), 2, 3)
    # 12: 3 times, 21: once, 22: once, 20: once
    assert dict(zip(keys.tolist(), counts.tolist(), strict=True)) == {5: 3, 7: 1, 8: 1, 6: 1}


# Against the definition


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("symbols", [5, 60, 2048])
def test_the_divergence_is_that_of_the_definition(order: int, symbols: int) -> None:
    rng = np.random.default_rng(order)
    # squared uniforms: some symbols are frequent, most are rare
    few, many = (torch.from_numpy((rng.random((n, 9)) ** 2 * symbols).astype(np.int16)) for n in (20, 300))
    got = js_divergence(*(ngram_counts(codes.numpy(), order, symbols) for codes in (few, many)))
    assert got == pytest.approx(by_definition(few, many, order), abs=1e-12)
    assert 0 <= got <= 1 + 1e-12


def test_the_divergence_is_symmetric() -> None:
    one = Counts(np.array([0, 3, 7]), np.array([2, 1, 1]))
    other = Counts(np.array([3, 8]), np.array([5, 1]))
    assert js_divergence(one, other) == pytest.approx(js_divergence(other, one))


# On real lines


def test_the_floor_of_real_lines_is_small_and_grows_with_the_order() -> None:
    floor = NGramDivergence().floor(GeneratedSentences().open("cpu"))
    values = list(floor.values())
    assert values == sorted(values)
    assert 0 < values[0] < 0.001
    assert values[-1] < 0.005


def test_the_floor_takes_the_first_held_out_lines() -> None:
    text = corpus("abab", "cdcd", held_out=("aaaa", "bbbb"))
    assert NGramDivergence(num_samples=1).floor(text) == score(("aaaa",), text)
    with pytest.raises(ValueError, match="js_4 needs 3 held-out lines and the text has 2"):
        NGramDivergence(num_samples=3).floor(text)


def test_noise_is_far_from_text_and_probabilities_are_read_by_the_likeliest_character() -> None:
    text = GeneratedSentences(num=2000).open("cpu")
    noise = torch.rand(640, *text.shape, generator=torch.Generator().manual_seed(0)).softmax(dim=2)
    assert NGramDivergence().score(noise, text)["js_4"] > 0.95
    real = text.rows(torch.arange(640)).x
    assert NGramDivergence().score(real * 0.3 + 0.1, text) == NGramDivergence().score(real, text)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_T_35_one_sample_that_is_not_finite_makes_every_column_nan(bad: float) -> None:
    samples = F.one_hot(codes_of("aaaa", "abab"), len(SYMBOLS)).float()
    samples[1, 2, 0] = bad
    metric = NGramDivergence(num_samples=2)
    got = metric.score(samples, corpus("abab"))
    assert tuple(got) == metric.columns
    assert all(math.isnan(value) for value in got.values())


# As a metric


def test_the_name_is_that_of_the_longest_ngram() -> None:
    assert NGramDivergence().name == "js_4"
    assert NGramDivergence().columns == ("js_1", "js_2", "js_3", "js_4")
    assert NGramDivergence(orders=(3, 2)).name == "js_3"
    assert NGramDivergence().protocol("beef")["text"] == "beef"


def test_a_text_is_prepared_referred_to_and_measured() -> None:
    metric = NGramDivergence(num_samples=50, orders=(1, 2))
    data = open_data(GeneratedSentences(num=1000), None, "cpu")
    said: list[str] = []
    metric.prepare(data, Path(), "cpu", said.append)
    judge = metric.load(data, None, "cpu")
    floor = metric.floor(judge)
    assert f"js_2 {floor['js_2']:.4f}" in said[0]
    reference = metric.reference(judge, data)
    assert reference["real_score"] == floor["js_2"]
    assert reference["real_js_1"] == floor["js_1"]
    held_out = F.one_hot(judge.held_out[:50].long(), judge.shape[1]).float()
    assert metric.measure(Subject(held_out, None, lambda x: Output(), data), judge) == floor


def test_data_that_are_no_text_are_refused_before_training(tiny: TrialConfig) -> None:
    data = open_data(GaussianRing(), None, "cpu")
    with pytest.raises(ValueError, match="js_4 needs text, and gaussian_ring is none: use another metric"):
        NGramDivergence().check(tiny, data)


def test_samples_of_another_shape_or_too_few_are_refused() -> None:
    text = corpus("abab")
    with pytest.raises(ValueError, match=r"js_4 takes samples \[n, 4, 6\], not \[2, 4, 5\]"):
        NGramDivergence(num_samples=2).score(torch.zeros(2, 4, 5), text)
    with pytest.raises(ValueError, match="js_4 needs 3 samples and got 2"):
        NGramDivergence(num_samples=3).score(torch.zeros(2, 4, 6), text)
    with pytest.raises(ValueError, match="n-grams of 5 do not fit lines of 4 characters"):
        score(("abab",), text, orders=(5,))


@pytest.mark.parametrize("orders", [(), (0,), (1, 1), (1.5,)])
def test_wrong_orders_are_named(orders: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"NGramDivergence\.orders = .* must be different whole numbers >= 1"):
        NGramDivergence(orders=orders)
