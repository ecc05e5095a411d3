"""How a study searches its space, and the pruners of others: thin parts over Optuna's samplers and pruners.

A *design* (`RandomSearch`, `Sobol`, `Grid`) fixes every cell before anything runs; a *sequential* search (`TPE`, `GP`,
`NSGA2`) asks for one candidate after another and learns from those that have ended. Optuna is imported where a sampler
or a pruner is made, not before: a worker loads study files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gansweep.parts import above, at_least, part
from gansweep.space import Either, Space, grid, parameters

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Cell = dict[str, Any]


@part
class RandomSearch:
    """Cells drawn independently and uniformly; the first n of a longer list are the list of n."""

    sequential = False

    def cells(self, space: Mapping[str, Space], seed: int) -> Iterator[Cell]:
        """An endless stream of cells, with repetitions."""
        import optuna

        # the sampler alone, which asks nothing of a study: a trial of a study for each cell takes ten times as long
        sampler = optuna.samplers.RandomSampler(seed=seed)
        study = optuna.create_study(sampler=sampler)
        unused = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
        every = {name: one.distribution() for name, _, one in parameters(space)}
        while True:
            cell: Cell = {}
            for name, factor, one in parameters(space, cell):
                single = every[name].single()
                cell[factor] = one.first if single else sampler.sample_independent(study, unused, name, every[name])
            yield cell


@part
class Sobol:
    """Cells from a scrambled Sobol sequence, which covers the space more evenly than chance; best 2^k of them.

    Every branch of an `either` has dimensions of its own, of which a cell uses those of its branch.
    """

    sequential = False

    def cells(self, space: Mapping[str, Space], seed: int) -> Iterator[Cell]:
        """An endless stream of cells, with repetitions."""
        import optuna

        every = {name: one.distribution() for name, _, one in parameters(space)}
        spread = {name: distribution for name, distribution in every.items() if not distribution.single()}
        sampler = optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
        study = optuna.create_study(sampler=sampler)
        study.ask(spread)  # the first trial of a QMCSampler is drawn at random and tells it the dimensions
        while True:
            cell: Cell = {}
            drawn = study.ask(spread).params
            for name, factor, one in parameters(space, cell):
                cell[factor] = drawn.get(name, one.first)
            yield cell


@part
class Grid:
    """Every cell of the space once, the last factor changing fastest; ranges need a number of steps."""

    sequential = False

    def cells(self, space: Mapping[str, Space], seed: int) -> Iterator[Cell]:
        """The cells of the grid; the seed changes nothing."""
        return grid(space)

    def size(self, space: Mapping[str, Space]) -> int:
        """How many cells there are."""
        return sum(1 for _ in grid(space))


class _Sequential:
    """A search that asks one candidate after another."""

    sequential = True
    needs_every_score = False  # whether candidates without a value are invisible to it


@part
class TPE(_Sequential):
    """Tree-structured Parzen estimators (Bergstra et al. 2011), over all parameters together.

    The first `startup` candidates are random. Candidates that a rule or a pruner ended are learnt from, as are broken
    constraints; candidates under way count as bad ones, so that parallel workers look in different places.
    """

    startup: int = 10

    def __post_init__(self) -> None:
        at_least(self, startup=1)

    def sampler(self, seed: int, space: Mapping[str, Space]) -> BaseSampler:
        """Optuna's sampler."""
        from optuna.samplers import TPESampler

        branched = any(isinstance(one, Either) for one in space.values())
        return TPESampler(
            seed=seed, n_startup_trials=self.startup, multivariate=True if branched else None, group=branched
        )


@part
class GP(_Sequential):
    """Bayesian optimisation with a Gaussian process; an ask takes seconds from a few hundred candidates on.

    The first `startup` candidates are random. It learns from candidates with a value only, so a study must say what a
    failure counts as. What the branches of an `either` draw is drawn at random.
    """

    startup: int = 10
    needs_every_score = True

    def __post_init__(self) -> None:
        at_least(self, startup=1)

    def sampler(self, seed: int, space: Mapping[str, Space]) -> BaseSampler:
        """Optuna's sampler."""
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, n_startup_trials=self.startup, warn_independent_sampling=False)


@part
class NSGA2(_Sequential):
    """The genetic algorithm of Deb et al. 2002, for several goals; needs some generations of `population` candidates.

    It learns from candidates with a value only. What the branches of an `either` draw is drawn at random.
    """

    population: int = 20
    needs_every_score = True

    def __post_init__(self) -> None:
        at_least(self, population=2)

    def sampler(self, seed: int, space: Mapping[str, Space]) -> BaseSampler:
        """Optuna's sampler."""
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=self.population)


@part
class Hyperband:
    """Successive halving from several starting points (Li et al. 2018): ends runs whose score falls behind.

    A run is compared after `first` generator iterations (None: at its first evaluation), then at every `factor`-th
    multiple.
    """

    first: int | None = None
    factor: int = 3
    within_runs = True

    def __post_init__(self) -> None:
        at_least(self, factor=2)
        if self.first is not None:
            at_least(self, first=1)

    def pruner(self, steps: int, evaluate_every: int) -> BasePruner:
        """Optuna's pruner for runs of so many generator iterations."""
        from optuna.pruners import HyperbandPruner

        first = min(self.first or evaluate_every, steps)
        return HyperbandPruner(min_resource=first, max_resource=steps, reduction_factor=self.factor)


@part
class Median:
    """Ends a run whose best score so far is worse than the median of the others at that iteration.

    Not before `startup` candidates have ended, nor in the first `warmup` generator iterations of a run.
    """

    startup: int = 5
    warmup: int = 0
    within_runs = True

    def __post_init__(self) -> None:
        at_least(self, startup=1, warmup=0)

    def pruner(self, steps: int, evaluate_every: int) -> BasePruner:
        """Optuna's pruner."""
        from optuna.pruners import MedianPruner

        return MedianPruner(n_startup_trials=self.startup, n_warmup_steps=self.warmup)


@part
class Wilcoxon:
    """Ends a candidate between its seeds once it is worse than the best one on the same seeds.

    Wilcoxon's signed-rank test at level `p`, after at least `startup` seeds; with p = 0.1 it takes four to tell.
    """

    p: float = 0.1
    startup: int = 2
    within_runs = False

    def __post_init__(self) -> None:
        above(self, p=0)
        at_least(self, startup=2)
        if self.p >= 1:
            raise ValueError(f"Wilcoxon.p = {self.p!r} must be below 1")

    def pruner(self, steps: int, evaluate_every: int) -> BasePruner:
        """Optuna's pruner."""
        from optuna.pruners import WilcoxonPruner

        return WilcoxonPruner(p_threshold=self.p, n_startup_steps=self.startup)
