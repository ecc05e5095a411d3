"""Text files and generated sentences: encoding, vocabulary, splits and what is refused."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gansweep.data.text import GeneratedSentences, TextFile, sentence_probabilities
from gansweep.data.training_set import PADDING, UNKNOWN, TextSet
from gansweep.parts import describe


def write(folder: Path, text: str | bytes, name: str = "lines.txt") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def opened(folder: Path, text: str | bytes, length: int = 6, held_out: int = 1, **fields: int) -> TextSet:
    return TextFile(path=write(folder, text), length=length, held_out=held_out, **fields).open("cpu")


def everything(text: TextSet) -> list[str]:
    """All training lines, decoded from their one-hot form."""
    return text.decode(text.rows(torch.arange(len(text.codes))).x)


def held_lines(text: TextSet) -> list[str]:
    return ["".join(text.vocabulary[code] for code in line).rstrip(PADDING) for line in text.held_out.tolist()]


# Encoding


def test_lines_are_cut_and_padded_and_come_back(tmp_path: Path) -> None:
    text = opened(tmp_path, "one\nfour\nseventeen\nsix six\n" * 5)
    assert len(text.codes) == 19
    assert set(everything(text)) == {"four", "one", "sevent", "six si"}
    assert text.shape == (6, len(text.vocabulary))


def test_a_batch_is_one_hot(tmp_path: Path) -> None:
    text = opened(tmp_path, "ab\nab\n", length=4)
    x, labels = text.rows(torch.tensor([0, 0, 0]))
    assert labels is None
    assert x.shape == (3, 4, len(text.vocabulary))
    assert x.dtype == torch.float32
    assert torch.equal(x.sum(dim=2), torch.ones(3, 4))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    codes = [text.vocabulary.index(c) for c in f"ab{PADDING}{PADDING}"]
    assert x[0].argmax(dim=1).tolist() == codes


def test_decoding_takes_the_likeliest_character(tmp_path: Path) -> None:
    text = opened(tmp_path, "ab\nab\n", length=2)
    a, b = (text.vocabulary.index(c) for c in "ab")
    x = torch.full((1, 2, len(text.vocabulary)), 0.1)
    x[0, 0, b], x[0, 1, a] = 0.4, 0.5
    assert text.decode(x) == ["ba"]


def test_the_vocabulary_is_unknown_and_padding_and_then_by_frequency(tmp_path: Path) -> None:
    text = opened(tmp_path, "ccab\nccab\n", length=8)
    assert text.vocabulary == f"{UNKNOWN}{PADDING}cab"


def test_characters_beyond_the_vocabulary_become_the_unknown_one(tmp_path: Path) -> None:
    text = opened(tmp_path, "ccab\nccab\n", length=4, max_vocabulary=4)
    assert text.vocabulary == f"{UNKNOWN}{PADDING}ca"
    assert everything(text) == [f"cca{UNKNOWN}"]


def test_held_out_characters_that_training_lacks_are_unknown(tmp_path: Path) -> None:
    lines = [f"{i}" for i in range(8)]
    text = opened(tmp_path, "\n".join(lines), length=2)
    assert held_lines(text) == [UNKNOWN]
    assert len(text.vocabulary) == 2 + 7


def test_every_line_is_kept_once_in_training_or_held_out(tmp_path: Path) -> None:
    lines = [f"line {i}" for i in range(50)]
    text = TextFile(path=write(tmp_path, "\n".join(lines)), length=7, held_out=20).open("cpu")
    assert len(text.held_out) == 20
    assert text.num_rows == 30
    assert everything(text) != sorted(everything(text))  # shuffled, so that the held-out lines are like the others
    assert sorted(everything(text) + held_lines(text)) == sorted(lines)


def test_limit_keeps_the_held_out_lines_and_the_first_of_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join(f"line {i}" for i in range(500)))
    whole, part = (TextFile(path=path, length=8, held_out=20, limit=limit).open("cpu") for limit in (None, 100))
    assert held_lines(whole) == held_lines(part)
    assert everything(part) == everything(whole)[:100]


def test_line_ends_blank_lines_and_a_byte_order_mark_are_no_text(tmp_path: Path) -> None:
    text = opened(tmp_path, b"\xef\xbb\xbfone\r\n\r\ntwo\r\n\n\nsix\n\n", length=3)
    assert set("".join(everything(text) + held_lines(text))) <= set(f"onetwsix{UNKNOWN}")
    assert len(text.codes) + len(text.held_out) == 3


@pytest.mark.parametrize("line", ["żółć 猫", "a\u2028b", "\x85x", "🙂🙃"])
def test_characters_outside_ascii_are_one_symbol_each(tmp_path: Path, line: str) -> None:
    text = opened(tmp_path, f"{line}\n{line}\n", length=9)
    assert everything(text) == [line]
    assert len(text.vocabulary) == 2 + len(set(line))


def test_more_than_256_symbols_are_told_apart(tmp_path: Path) -> None:
    line = "".join(map(chr, range(0x4E00, 0x4E00 + 400)))
    assert everything(opened(tmp_path, f"{line}\n{line}\n", length=400)) == [line]


def test_a_file_longer_than_a_block_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"line {i}\n" for i in range(300))
    whole = opened(tmp_path, text, length=8)
    monkeypatch.setattr("gansweep.data.text._BLOCK_BYTES", 100)
    assert torch.equal(opened(tmp_path, text, length=8).codes, whole.codes)
    with pytest.raises(ValueError, match="line 301"):
        opened(tmp_path, text.encode() + b"\xff\n")


# What a file must be


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    text = TextFile(path=str(tmp_path / "nowhere.txt"))
    for ask in (text.content, lambda: text.open("cpu")):
        with pytest.raises(ValueError, match=r"nowhere\.txt' is not a file"):
            ask()


@pytest.mark.parametrize("nothing", ["", "\n\n\r\n"])
def test_a_file_without_text_is_named(tmp_path: Path, nothing: str) -> None:
    with pytest.raises(ValueError, match=r"lines\.txt holds no line of text"):
        opened(tmp_path, nothing)


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lines\.txt is not UTF-8 text: line 3 has other bytes"):
        opened(tmp_path, b"one\ntwo\ncaf\xe9\nfour\n")


def test_too_few_lines_to_hold_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="text_lines has 3 lines, too few for held_out = 3"):
        opened(tmp_path, "a\nb\nc\n", held_out=3)


def test_wrong_fields_are_named() -> None:
    with pytest.raises(ValueError, match=r"TextFile\.length = 0 must be a whole number >= 1"):
        TextFile(path="x", length=0)
    with pytest.raises(ValueError, match="did you mean 'held_out'"):
        GeneratedSentences(heldout=3)  # type: ignore[call-arg]


# Identity


def test_the_content_is_that_of_the_bytes_and_fields_wherever_the_file_is(tmp_path: Path) -> None:
    first, moved, other = (
        TextFile(path=write(tmp_path, text, name)).content()
        for text, name in (("a\nb\n", "one.txt"), ("a\nb\n", "two.txt"), ("a\nc\n", "three.txt"))
    )
    assert first == moved != other
    assert len(first) == 16
    assert TextFile(path=str(tmp_path / "one.txt"), length=8).content() != first


def test_names_are_fit_for_a_file(tmp_path: Path) -> None:
    assert TextFile(path="some/Billion Words (v2).txt").name == "text_billion_words_v2"
    assert TextFile(path="猫.txt").name == "text_file"
    assert describe(GeneratedSentences())["part"] == "GeneratedSentences"


# The generated language


def letters(lines: list[str]) -> Counter[str]:
    return Counter("".join(lines))


def test_the_grammar_has_ten_thousand_sentences_of_at_most_32_characters() -> None:
    known = sentence_probabilities()
    assert len(known) == 2 * 5 * 5 * 4 * 2 * 5 * 5
    assert math.fsum(known.values()) == pytest.approx(1, abs=1e-12)
    assert max(map(len, known)) == 32
    assert known["the cat sees a big dog."] == pytest.approx(0.6 * 0.6 * 0.3 * 0.4 * 0.4 * 0.15 * 0.25)


def test_generated_sentences_are_of_the_language_and_as_frequent_as_it_says() -> None:
    lines = everything(GeneratedSentences(num=20_640).open("cpu"))
    known = sentence_probabilities()
    assert set(lines) <= set(known)
    # the mean of -log p over sentences is the entropy of the language
    entropy = -math.fsum(p * math.log(p) for p in known.values())
    surprise = torch.tensor([-math.log(known[line]) for line in lines], dtype=torch.float64)
    assert surprise.mean().item() == pytest.approx(entropy, abs=4 * surprise.std().item() / math.sqrt(len(lines)))


def test_letters_of_generated_sentences_are_as_frequent_as_the_language_says() -> None:
    lines = everything(GeneratedSentences(num=20_640).open("cpu"))
    known = sentence_probabilities()
    for letter in "tkx.":
        count = {line: line.count(letter) for line in known}
        mean = math.fsum(p * count[line] for line, p in known.items())
        variance = math.fsum(p * (count[line] - mean) ** 2 for line, p in known.items())
        error = math.sqrt(variance / len(lines))
        assert letters(lines)[letter] / len(lines) == pytest.approx(mean, abs=4 * error + 1e-12)


def test_generated_sentences_follow_the_seed() -> None:
    def codes(seed: int) -> Tensor:
        return GeneratedSentences(num=700, seed=seed).open("cpu").codes

    assert torch.equal(codes(1), codes(1))
    assert not torch.equal(codes(1), codes(2))
    assert GeneratedSentences(seed=1).content() != GeneratedSentences(seed=2).content()


def test_text_has_rows_and_no_labels() -> None:
    text = GeneratedSentences(num=700).open("cpu")
    assert (text.num_rows, text.num_classes, text.row_labels()) == (60, 0, None)
    assert text.shape[0] == 32
