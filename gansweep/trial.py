"""One training run, fully specified: every number that can change its result is a field here."""

from __future__ import annotations

from typing import Any

from gansweep.parts import at_least, content_id, flatten, is_part, one_of, part


@part
class Latent:
    """The generator's input z: `size` independent N(0, 1) or U(-1, 1) numbers."""

    size: int = 128
    distribution: str = "normal"

    def __post_init__(self) -> None:
        at_least(self, size=1)
        one_of(self, "distribution", ("normal", "uniform"))


@part
class TrialConfig:
    """A complete, runnable trial.

    `steps`, `report_every` and `evaluate_every` count generator iterations; an iteration is `n_critic` discriminator
    updates followed by one generator update, on batches of `batch_size` and `batch_size * generator_batch_factor`.
    """

    data: Any
    generator: Any
    discriminator: Any
    loss: Any
    constraint: Any = None
    generator_optimizer: Any
    discriminator_optimizer: Any
    latent: Latent = Latent()
    batch_size: int = 64
    generator_batch_factor: int = 1
    n_critic: int = 1
    steps: int
    report_every: int = 50
    evaluate_every: int = 500
    ema_decay: float | None = None
    autocast: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(
            self,
            batch_size=2,
            generator_batch_factor=1,
            n_critic=1,
            steps=1,
            report_every=1,
            evaluate_every=1,
            seed=0,
        )
        one_of(self, "autocast", ("none", "bf16"))
        if self.evaluate_every % self.report_every:
            raise ValueError(
                f"evaluate_every = {self.evaluate_every} must be a multiple of report_every = {self.report_every}"
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay = {self.ema_decay!r} must lie between 0 and 1, or be None")
        for name in (
            "data",
            "generator",
            "discriminator",
            "loss",
            "generator_optimizer",
            "discriminator_optimizer",
        ):
            if not is_part(getattr(self, name)):
                raise ValueError(
                    f"TrialConfig.{name} = {getattr(self, name)!r} must be a part, such as those in gansweep"
                )
        if self.constraint is not None:
            self.constraint.check(self)

    @property
    def id(self) -> str:
        """Twelve hex digits that name this configuration and nothing else."""
        return content_id(self)

    def flat(self) -> dict[str, Any]:
        """Every field by its dotted name, as recorded."""
        return flatten(self)
