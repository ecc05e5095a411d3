"""Lines of characters as one-hot data: any text file, or sentences of a small grammar with known statistics.

    text = GeneratedSentences().open(device)
    text.rows(index).x                          # float [batch, 32, V], one-hot
    text.decode(x)                              # ["the sly cat sees a dog.", ...]

A line becomes `length` characters, cut or padded with "`". The protocol is that of the character language model of
Gulrajani et al. 2017, section 5.5, and the authors' code, but held-out lines are not trained on here.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gansweep.data.checksums import file_sha256
from gansweep.data.image_source import SPLIT_SEED
from gansweep.data.training_set import PADDING, UNKNOWN, TextSet
from gansweep.parts import at_least, content_id, describe, part
from gansweep.randomness import derive_seed

_BLOCK_BYTES = 1 << 24
_NUM_CODE_POINTS = 0x110000

Characters = NDArray[np.uint32]
"""Code points [num_lines, length]."""

MOST_SYMBOLS = 32_767  # codes are kept as int16


@part
class Text:
    """What all texts share.

    The lines are shuffled with a fixed seed. The first `held_out` of them are kept apart, to show what score new real
    lines get; the next ones, at most `limit`, are trained on. Repeated lines are kept, so that a held-out line can also
    be a training line. The vocabulary is the unknown character, the padding and then the training lines' characters,
    most frequent first (equally frequent: by code point), `max_vocabulary` in all.
    """

    length: int = 32
    max_vocabulary: int = 2048
    limit: int | None = None
    held_out: int = 640

    def __post_init__(self) -> None:
        at_least(self, length=1, max_vocabulary=3, held_out=1)
        if self.max_vocabulary > MOST_SYMBOLS:
            raise ValueError(
                f"{type(self).__name__}.max_vocabulary = {self.max_vocabulary} must be at most {MOST_SYMBOLS}"
            )
        if self.limit is not None:
            at_least(self, limit=1)

    @property
    def name(self) -> str:
        """The name of the data set."""
        raise NotImplementedError

    def content(self) -> str:
        """Sixteen hex digits that identify the data."""
        return content_id(self, 16)

    def open(self, device: torch.device | str) -> TextSet:
        """The encoded lines on that device; `ValueError` names what is wrong with the file or the numbers."""
        lines = self._lines()
        if len(lines) <= self.held_out:
            raise ValueError(f"{self.name} has {len(lines)} lines, too few for held_out = {self.held_out}")
        order = np.random.default_rng(SPLIT_SEED).permutation(len(lines))
        held, kept = order[: self.held_out], order[self.held_out :][: self.limit]
        train = lines[kept]
        vocabulary = _vocabulary(train, self.max_vocabulary)
        small = len(vocabulary) <= 256
        table = np.zeros(_NUM_CODE_POINTS, np.uint8 if small else np.int16)  # code 0 is the unknown character
        table[vocabulary] = np.arange(len(vocabulary))
        return TextSet(
            torch.from_numpy(table[train]).to(device),
            torch.from_numpy(table[lines[held]]),
            "".join(map(chr, vocabulary)),
        )

    def _lines(self) -> Characters:
        raise NotImplementedError


@part
class TextFile(Text):
    """A UTF-8 file with a sentence on each line. Empty lines are left out."""

    path: str

    @property
    def name(self) -> str:
        """`text_` and the file's name."""
        return f"text_{'_'.join(re.findall('[a-z0-9]+', Path(self.path).stem.lower())) or 'file'}"

    def content(self) -> str:
        """A hash of the file's bytes and of the fields, wherever the file is."""
        fields = {name: value for name, value in describe(self).items() if name != "path"}
        return content_id({"text": fields, "file": file_sha256(self._file())}, 16)

    def _file(self) -> Path:
        if not (path := Path(self.path)).is_file():
            raise ValueError(f"TextFile.path = {self.path!r} is not a file")
        return path

    def _lines(self) -> Characters:
        rows, num_read = [], 0
        with self._file().open("rb") as file:
            while block := file.readlines(_BLOCK_BYTES):
                data = b"".join(block)
                if num_read == 0:
                    data = data.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of some editors
                try:
                    text = data.decode("utf-8")
                except UnicodeDecodeError as error:
                    line = num_read + 1 + data.count(b"\n", 0, error.start)
                    raise ValueError(f"{self.path} is not UTF-8 text: line {line} has other bytes") from error
                rows.append(_padded(text, self.length))
                num_read += len(block)
        if not any(len(part) for part in rows):
            raise ValueError(f"{self.path} holds no line of text")
        return np.concatenate(rows)


def _padded(text: str, length: int) -> Characters:
    """The lines of `text` that are not empty, cut or padded to `length`."""
    points = np.frombuffer((text.replace("\r\n", "\n").rstrip("\n") + "\n").encode("utf-32-le"), np.uint32)
    ends = np.flatnonzero(points == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    full = ends > starts
    starts, ends = starts[full], ends[full]
    place = starts[:, None] + np.arange(length)
    return np.where(place < ends[:, None], points[np.minimum(place, len(points) - 1)], np.uint32(ord(PADDING)))


def _vocabulary(lines: Characters, most: int) -> NDArray[np.int64]:
    """Code points by code: unknown, padding, then by frequency."""
    counts = np.bincount(lines.ravel(), minlength=_NUM_CODE_POINTS)
    first = [ord(UNKNOWN), ord(PADDING)]
    counts[first] = 0
    seen = np.flatnonzero(counts)
    ranked = seen[np.argsort(-counts[seen], kind="stable")]
    return np.concatenate([first, ranked])[:most]


# A language whose every sentence has a known probability

_DETERMINERS = {"the ": 0.6, "a ": 0.4}
_ADJECTIVES = {"": 0.6, "big ": 0.15, "red ": 0.1, "sly ": 0.1, "shy ": 0.05}
_NOUNS = {"cat": 0.3, "dog": 0.25, "king": 0.2, "moon": 0.15, "fox": 0.1}
_VERBS = {" sees ": 0.4, " likes ": 0.3, " finds ": 0.2, " fears ": 0.1}
_SLOTS = (_DETERMINERS, _ADJECTIVES, _NOUNS, _VERBS, _DETERMINERS, _ADJECTIVES, _NOUNS, {".": 1.0})


@functools.cache
def sentence_probabilities() -> dict[str, float]:
    """All 10,000 sentences of the grammar and their probabilities, which sum to 1.

    A sentence is a noun phrase, a verb and a noun phrase; a phrase is a determiner, perhaps an adjective, and a noun.
    The words are drawn independently, and no two choices give one sentence, so its probability is a product. No
    sentence is longer than 32 characters.
    """
    return {
        "".join(words): math.prod(slot[word] for slot, word in zip(_SLOTS, words, strict=True))
        for words in itertools.product(*_SLOTS)
    }


@part
class GeneratedSentences(Text):
    """`num` independent sentences of a small English grammar (`sentence_probabilities`). Nothing to download.

    Its statistics are known exactly, and a sample can be looked up: it is a sentence of the language or it is not.
    """

    num: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, num=2, seed=0)

    @property
    def name(self) -> str:
        """`generated_sentences`."""
        return "generated_sentences"

    def content(self) -> str:
        """A hash of the fields and of the grammar."""
        language = hashlib.sha256(repr(_SLOTS).encode()).hexdigest()
        return content_id({"text": describe(self), "language": language}, 16)

    def _lines(self) -> Characters:
        known = sentence_probabilities()
        rng = np.random.default_rng(derive_seed(self.seed, self.name))
        chosen = rng.choice(len(known), self.num, p=np.fromiter(known.values(), np.float64))
        return _padded("\n".join(known), self.length)[chosen]
