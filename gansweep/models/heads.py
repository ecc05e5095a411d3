"""The last layers of a discriminator: one linear layer for each thing that the objective asks for."""

from __future__ import annotations

from torch import Tensor, nn

from gansweep.outputs import Heads, Output


class Judge(nn.Module):
    """A discriminator whose trunk ends in features [batch, F]; subclasses call `add_heads` and end with `judge`."""

    def add_heads(
        self, features: int, heads: Heads, code_hidden: nn.Module | None = None, code_features: int = 0
    ) -> None:
        """One linear layer per head. Codes may have hidden layers of their own, ending in `code_features` numbers.

        `ValueError` if the objective asks for an energy, which this network does not have.
        """
        if heads.energy:
            raise ValueError(f"{type(self).__name__} has no reconstruction error: use an auto-encoder")
        self.output = nn.Linear(features, 1) if heads.score else None
        self.classes = nn.Linear(features, heads.classes) if heads.classes else None
        self.code_hidden = code_hidden
        inputs = code_features if code_hidden is not None else features
        sizes = [*heads.categorical, *([heads.continuous] if heads.continuous else [])]
        self.codes = nn.ModuleList(nn.Linear(inputs, size) for size in sizes)

    def judge(self, features: Tensor) -> Output:
        """Every head's answer."""
        hidden = features if self.code_hidden is None or not len(self.codes) else self.code_hidden(features)
        return Output(
            score=None if self.output is None else self.output(features).squeeze(1),
            classes=None if self.classes is None else self.classes(features),
            codes=tuple(layer(hidden) for layer in self.codes),
            features=features,
        )
