"""One training run, fully specified: every number that can change its result is a field here."""

from __future__ import annotations

from typing import Any

from gansweep.initialisation import ScaledUniform
from gansweep.parts import at_least, content_id, flatten, is_part, one_of, part

# what a part must have to stand in a field: a discriminator for a generator is found out before any work
ABILITIES = {
    "data": "name",
    "generator": "conditional",
    "discriminator": "uses_batch_norm",
    "loss": "heads",
    "constraint": "penalty",
    "generator_optimizer": "adjust",
    "discriminator_optimizer": "adjust",
    "latent": "total",
    "initialisation": "apply",
}
UPDATE_ORDERS = ("discriminator_first", "generator_first", "simultaneous")


@part
class Latent:
    """The generator's input z: `size` independent N(0, 1) or U(-1, 1) numbers, followed by codes.

    `distribution` is "normal", "uniform", or "constant": every number is 1, so that without codes all samples are one.
    `categorical` holds the number of values of each categorical code, equally probable and given as one-hot vectors;
    `continuous` is how many codes ~ U(-1, 1) follow them (Chen et al. 2016, section 5).
    """

    size: int = 128
    distribution: str = "normal"
    categorical: tuple[int, ...] = ()
    continuous: int = 0

    def __post_init__(self) -> None:
        at_least(self, size=1, continuous=0)
        one_of(self, "distribution", ("normal", "uniform", "constant"))
        if not all(isinstance(k, int) and k >= 2 for k in self.categorical):
            raise ValueError(f"Latent.categorical = {self.categorical!r} must hold whole numbers >= 2")

    @property
    def total(self) -> int:
        """How many numbers z has."""
        return self.size + sum(self.categorical) + self.continuous


@part
class TrialConfig:
    """A complete, runnable trial.

    `steps`, `report_every` and `evaluate_every` count generator iterations; an iteration is `n_critic` discriminator
    updates and one generator update, on batches of `batch_size` and `batch_size * generator_batch_factor`.
    `update_order` says which come first; "simultaneous" takes both gradients at the same weights and on the same z.
    `critic_warmup` is the schedule of WGAN's code: 100 critic updates in the first 25 iterations and every 500th.
    `labelled` training images, equally many of each class, keep their labels; None: no supervised term.
    `compile_penalty` takes a gradient penalty through torch.compile, if the worker finds that it gives the same
    gradients there.
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
    critic_warmup: bool = False
    update_order: str = "discriminator_first"
    labelled: int | None = None
    initialisation: Any = ScaledUniform()
    steps: int
    report_every: int = 50
    evaluate_every: int = 500
    ema_decay: float | None = None
    autocast: str = "none"
    compile_penalty: bool = False
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
        one_of(self, "update_order", UPDATE_ORDERS)
        if self.labelled is not None:
            at_least(self, labelled=2)
        if self.update_order == "simultaneous" and (self.n_critic, self.generator_batch_factor) != (1, 1):
            raise ValueError(
                'update_order = "simultaneous" needs n_critic = 1 and generator_batch_factor = 1, '
                f"not {self.n_critic} and {self.generator_batch_factor}"
            )
        if self.critic_warmup and self.update_order != "discriminator_first":
            raise ValueError(f'critic_warmup needs update_order = "discriminator_first", not {self.update_order!r}')
        if self.evaluate_every % self.report_every:
            raise ValueError(
                f"evaluate_every = {self.evaluate_every} must be a multiple of report_every = {self.report_every}"
            )
        if self.evaluate_every > 1000 * self.report_every:  # no rule looks further back, see stability.GAP
            raise ValueError(
                f"evaluate_every = {self.evaluate_every} must be at most 1,000 times report_every = {self.report_every}"
            )
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ValueError(f"ema_decay = {self.ema_decay!r} must lie between 0 and 1, or be None")
        if hasattr(self.generator, "energy"):
            raise ValueError(f"TrialConfig.generator = {self.generator!r} is a discriminator")
        for name, ability in ABILITIES.items():
            value = getattr(self, name)
            if not (is_part(value) and hasattr(value, ability)) and not (name == "constraint" and value is None):
                raise ValueError(
                    f"TrialConfig.{name} = {value!r} must be a part with `{ability}`, such as those in gansweep"
                )
        if not self.generator.trained:
            self._check_fixed()
        if self.discriminator.conditional and not self.generator.conditional:
            raise ValueError("the discriminator sees labels that the generator does not: set generator.condition too")
        self.loss.check(self)
        if self.constraint is not None:
            self.constraint.check(self)

    def _check_fixed(self) -> None:
        """Refuse what has no meaning where the generator is not trained."""
        plain = TrialConfig.__dataclass_fields__
        for name in ("update_order", "generator_batch_factor", "ema_decay"):
            if getattr(self, name) != plain[name].default:
                raise ValueError(
                    f"{name} = {getattr(self, name)!r} has no meaning for {type(self.generator).__name__}, which is "
                    f"not trained: leave it at {plain[name].default!r}"
                )
        if self.latent.total != self.latent.size:
            raise ValueError(f"{type(self.generator).__name__} makes examples without codes: set latent = Latent()")

    @property
    def uses_labels(self) -> bool:
        """Whether the trial needs a data set with labels."""
        return bool(
            self.generator.conditional
            or self.discriminator.conditional
            or self.loss.needs_labels
            or self.labelled is not None
        )

    def num_critic_steps(self, step: int) -> int:
        """How many discriminator updates iteration number `step`, from 0, has."""
        return 100 if self.critic_warmup and (step < 25 or step % 500 == 0) else self.n_critic

    @property
    def id(self) -> str:
        """Twelve hex digits that name this configuration and nothing else."""
        return content_id(self)

    def flat(self) -> dict[str, Any]:
        """Every field by its dotted name, as recorded, and what follows from the objective's."""
        return {**flatten(self), **{f"loss.{name}": value for name, value in self.loss.facts().items()}}
