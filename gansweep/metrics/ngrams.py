"""How far the n-grams of generated text are from those of the corpus: the metric of a character language model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gansweep.data.opened import OpenData
from gansweep.data.training_set import TextSet
from gansweep.metrics.subject import Subject
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    from gansweep.trial import TrialConfig

_DENSE = 1 << 22  # so many possible n-grams are counted in a table, more by sorting


class Counts(NamedTuple):
    """How often each n-gram occurs: `keys` int64, sorted, are the codes read as one number in base V."""

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]


def ngram_counts(codes: NDArray[Any], order: int, num_symbols: int) -> Counts:
    """The n-grams of `order` symbols in all lines codes [N, length], pooled over positions, padding and all."""
    windows = codes.shape[1] - order + 1
    keys = np.zeros((len(codes), windows), np.int64)
    for i in range(order):
        keys *= num_symbols
        keys += codes[:, i : i + windows]
    if num_symbols**order <= _DENSE:
        table = np.bincount(keys.ravel(), minlength=1)
        return Counts(np.flatnonzero(table), table[table > 0])
    return Counts(*np.unique(keys, return_counts=True))


def js_divergence(few: Counts, many: Counts) -> float:
    """The Jensen-Shannon divergence of two n-gram distributions in bits: 0 if equal, 1 if they share no n-gram.

    (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2 and base-2 logarithms. The time depends on `few` alone: an n-gram
    that only `many` has adds half its probability.
    """
    place = np.searchsorted(many.keys, few.keys).clip(max=len(many.keys) - 1)
    shared = np.where(many.keys[place] == few.keys, many.counts[place], 0)
    total = many.counts.sum()
    p, q = few.counts / few.counts.sum(), shared / total
    both = q > 0
    kl_p = (p * np.log2(2 * p / (p + q))).sum()
    kl_q = (q[both] * np.log2(2 * q[both] / (p + q)[both])).sum() + (total - shared.sum()) / total
    return float((kl_p + kl_q) / 2)


_counted: WeakKeyDictionary[TextSet, dict[int, Counts]] = WeakKeyDictionary()


def _corpus(text: TextSet, order: int) -> Counts:
    """The n-grams of all training lines, counted once per open set."""
    known = _counted.setdefault(text, {})
    if order not in known:
        known[order] = ngram_counts(text.codes.cpu().numpy(), order, len(text.vocabulary))
    return known[order]


@part
class NGramDivergence:
    """The Jensen-Shannon divergence, in bits, between the n-grams of samples and of the whole training corpus.

    `js_n` for each n in `orders`; the longest gives the metric its name. Samples are read by the likeliest character.
    It is the measure of the authors' code of Gulrajani et al. 2017, section 5.5, on 640 samples. Few samples hold few
    of the possible n-grams, so the divergence is above 0 for real lines too, and the more so the longer the n-gram:
    `floor` says how far above.
    """

    num_samples: int = 640
    orders: tuple[int, ...] = (1, 2, 3, 4)
    higher_is_better: ClassVar[bool] = False

    def __post_init__(self) -> None:
        at_least(self, num_samples=1)
        whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in self.orders)
        if not self.orders or not whole or len(set(self.orders)) < len(self.orders):
            raise ValueError(f"NGramDivergence.orders = {self.orders!r} must be different whole numbers >= 1")

    @property
    def name(self) -> str:
        """`js_4`, or whatever the longest n-gram is."""
        return f"js_{max(self.orders)}"

    @property
    def columns(self) -> tuple[str, ...]:
        """`js_1`, `js_2`, ..."""
        return tuple(f"js_{n}" for n in self.orders)

    def score(self, samples: Tensor, text: TextSet) -> dict[str, float]:
        """Every column for the first `num_samples` of samples [n, length, V], one-hot or probabilities.

        All are NaN if one of those samples is not finite. `ValueError` for too few samples or another shape.
        """
        if samples.shape[1:] != text.shape:
            raise ValueError(
                f"{self.name} takes samples [n, {text.shape[0]}, {text.shape[1]}], not {list(samples.shape)}"
            )
        if len(samples) < self.num_samples:
            raise ValueError(f"{self.name} needs {self.num_samples} samples and got {len(samples)}")
        samples = samples[: self.num_samples]
        if not samples.isfinite().all():
            return dict.fromkeys(self.columns, math.nan)
        return self._divergences(samples.argmax(dim=2), text)

    def floor(self, text: TextSet) -> dict[str, float]:
        """What real lines get that were not trained on: the first `num_samples` held-out lines against the corpus.

        `ValueError` if fewer are held out.
        """
        if len(text.held_out) < self.num_samples:
            raise ValueError(
                f"{self.name} needs {self.num_samples} held-out lines and the text has {len(text.held_out)}: "
                "raise held_out or lower num_samples"
            )
        return self._divergences(text.held_out[: self.num_samples], text)

    def _divergences(self, codes: Tensor, text: TextSet) -> dict[str, float]:
        length, num_symbols = text.shape
        longest = max(self.orders)
        if longest > length or num_symbols**longest >= 2**63:
            raise ValueError(f"n-grams of {longest} do not fit lines of {length} characters out of {num_symbols}")
        lines = codes.cpu().numpy()
        return {f"js_{n}": js_divergence(ngram_counts(lines, n, num_symbols), _corpus(text, n)) for n in self.orders}

    def protocol(self, judge_hash: str = "", *, weights: str = "raw") -> dict[str, Any]:
        """How the score is made, for the record; `judge_hash` identifies the text, `weights` the generator's."""
        return {
            "metric": self.name,
            "num_samples": self.num_samples,
            "orders": list(self.orders),
            "unit": "bits",
            "ngrams": "pooled over positions, with padding; samples by argmax; against all training lines",
            "text": judge_hash,
            "generator_mode": "eval",
            "weights": weights,
        }

    def check(self, config: TrialConfig, data: OpenData) -> None:
        """Raise `ValueError` if the data are no text, or if too few of its lines are held out."""
        if not isinstance(data.training, TextSet):
            raise ValueError(f"{self.name} needs text, and {data.name} is none: use another metric or other data")
        self.floor(data.training)

    def prepare(self, data: OpenData, cache: Path, device: str, say: Callable[[str], None]) -> None:
        """Say what held-out lines get."""
        assert isinstance(data.training, TextSet)
        floor = ", ".join(f"{column} {value:.4f}" for column, value in self.floor(data.training).items())
        say(f"{self.num_samples} held-out lines of {data.name} get {floor} bits")

    def load(self, data: OpenData, path: Path | None, device: str | torch.device) -> TextSet:
        """The text itself is the judge."""
        assert isinstance(data.training, TextSet)
        return data.training

    def reference(self, judge: TextSet, data: OpenData) -> dict[str, Any]:
        """What held-out lines get."""
        floor = self.floor(judge)
        others = {f"real_{column}": floor[column] for column in self.columns if column != self.name}
        return {"name": data.name, "hash": data.content, "real_score": floor[self.name], **others}

    def measure(self, subject: Subject, judge: TextSet) -> dict[str, float]:
        """The score of the first `num_samples` samples."""
        return self.score(subject.samples, judge)
