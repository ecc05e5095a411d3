"""A batch in parts has the update of the whole batch, or is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from gansweep import (
    EBGAN,
    SGD,
    CatGAN,
    GradientPenalty,
    ImprovedGAN,
    ZeroCentredPenalty,
    records,
    report,
    story,
)
from gansweep import training as loop
from gansweep.data.densities import GaussianRing
from gansweep.data.training_set import Real, TrainingSet
from gansweep.launch.room import Room
from gansweep.launch.worker import Assignment, Worker, Workplace
from gansweep.losses.constraints import Constraint, GradientConstraint
from gansweep.losses.objective import Objective
from gansweep.losses.semi_supervised import Supervised
from gansweep.memory import exhausted, in_pieces
from gansweep.outputs import Output
from gansweep.parts import content_id, override
from gansweep.selection import Selection
from gansweep.training import Part, TrainState, indivisible, train
from gansweep.trial import TrialConfig
from tests import test_matrix as matrix
from tests.test_objectives_every import BATCH, OBJECTIVES, losses_of, output_of, tensors_of

CPU = torch.device("cpu")
SIZE = 8  # of a batch; parts of at most 1, 3 and 4 examples are 8, 3 uneven and 2 parts
ROLES = ("generator", "discriminator")
TOGETHER = [spec for spec in OBJECTIVES if spec.coupling is not None]
data = matrix.data  # the fixture


# The losses


def halves(output: Output) -> list[Output]:
    """The first two of the five examples, and the others."""
    return [
        Output(*(None if kind is None else rows(kind, ends) for kind in output)) for ends in (slice(2), slice(2, None))
    ]


def rows(kind: Any, ends: slice) -> Any:
    return kind[ends] if isinstance(kind, Tensor) else tuple(one[ends] for one in kind)


def means(spec: Any) -> list[tuple[str, Tensor, Tensor]]:
    """Each loss of a whole batch, and the mean of the losses of its parts, both with their gradients, in float64."""
    found = []
    for name, loss in losses_of(spec):
        values = []
        for whole in (True, False):
            said = [[t.requires_grad_() for t in tensors_of(spec, seed=seed)] for seed in (1, 2)]
            real, fake = (output_of(spec, tensors, seed=seed) for tensors, seed in zip(said, (3, 4), strict=True))
            if whole:
                value = loss(real, fake)
            else:
                parts = zip(halves(real), halves(fake), (2 / BATCH, 3 / BATCH), strict=True)
                value = sum((share * loss(*part) for *part, share in parts), torch.zeros((), dtype=torch.float64))
            leaves = [t for tensors in said for t in tensors]
            gradients = torch.autograd.grad(value, leaves, materialize_grads=True, allow_unused=True)
            values.append(torch.cat([value.detach().flatten(), *(g.flatten() for g in gradients)]))
        found.append((name, *values))
    return found


@pytest.mark.parametrize("spec", OBJECTIVES, ids=repr)
def test_an_objective_says_that_nothing_couples_its_examples_just_where_parts_have_the_mean_of_the_whole(
    spec: Any,
) -> None:
    differ = [name for name, whole, parts in means(spec) if (whole - parts).norm() > 1e-12 * whole.norm()]
    assert bool(differ) == (spec.coupling is not None), differ


def test_the_objectives_whose_examples_are_coupled_are_those_with_such_a_term() -> None:
    assert [EBGAN(), CatGAN(), CatGAN(num_categories=7), ImprovedGAN()] == TOGETHER
    assert EBGAN().coupling == "EBGAN's pulling-away term, which compares every two fakes of a batch"
    assert Supervised().coupling is None  # it learns from labels only, and is not among those


@pytest.mark.parametrize("constraint", [c for c in matrix.CONSTRAINTS if isinstance(c, GradientConstraint)], ids=repr)
def test_the_value_of_every_gradient_penalty_is_a_mean_over_its_points(constraint: Any) -> None:
    gradients = torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parts = 2 / 5 * constraint.value(gradients[:2]) + 3 / 5 * constraint.value(gradients[2:])
    torch.testing.assert_close(parts, constraint.value(gradients), rtol=1e-13, atol=1e-13)
    assert constraint.coupling is None


def test_an_objective_or_a_constraint_that_says_nothing_is_not_divided() -> None:
    assert Objective().coupling == "Objective, whose losses are not known to be means of a term per example"
    assert Constraint().coupling == "Constraint, whose penalty is not known to be a mean of a term per example"
    assert GradientConstraint().coupling is not None


# The parts


@pytest.mark.parametrize("num", [1, 5, 8, 64])
@pytest.mark.parametrize("of", [2, 3, 8])
def test_parts_hold_every_row_once_or_a_row_without_weight(num: int, of: int) -> None:
    whole = torch.arange(num)
    parts = [Part(number, of) for number in range(of)]
    shares = [each.weigh(torch.ones((), dtype=torch.float64), num).item() for each in parts]
    assert sum(shares) == pytest.approx(1)
    assert all(len(each.cut(whole)) > 0 for each in parts)
    assert max(len(each.cut(whole)) for each in parts) == -(-num // of)
    weights = torch.zeros(num, dtype=torch.float64)
    for each, share in zip(parts, shares, strict=True):
        weights[each.cut(whole)] += share / len(each.cut(whole))
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / num))


# The updates


class Precise:
    """A set whose examples are in float64."""

    def __init__(self, data: TrainingSet) -> None:
        self.data, self.shape = data, data.shape
        self.num_classes, self.num_rows = data.num_classes, data.num_rows

    def rows(self, index: Tensor) -> Real:
        x, labels = self.data.rows(index)
        return Real(x.double(), labels)

    def draw(self, num: int, generator: torch.Generator) -> Real:
        x, labels = self.data.draw(num, generator)
        return Real(x.double(), labels)

    def row_labels(self) -> Tensor | None:
        return self.data.row_labels()


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """What is drawn and built is in float64, so that the order of a sum says nothing."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def examples(data: dict[str, TrainingSet]) -> dict[str, TrainingSet]:
    return {kind: Precise(each) for kind, each in data.items()}


def trained(config: TrialConfig, examples: TrainingSet, micro_batch: int | None) -> tuple[TrainState, dict[str, float]]:
    state = matrix.built(config, examples)
    *_, last = train(config, state, examples, CPU, micro_batch=micro_batch)
    return state, last.scalars


def game(name: str, constraint: Any, pair: str, **changes: Any) -> TrialConfig:
    """A trial of the matrix with plain gradient descent, which adds nothing to a difference of gradients."""
    rates = {"generator_optimizer": SGD(lr=1e-2), "discriminator_optimizer": SGD(lr=1e-2)}
    return matrix.trial(matrix.GAMES[name], constraint, matrix.PAIRS[pair], **{"batch_size": SIZE, **rates, **changes})


def apart(one: TrainState, other: TrainState) -> dict[str, float]:
    """The relative distance of the last gradients of each network, and of everything that a network keeps."""
    found = {}
    for role in ROLES:
        networks = getattr(one, role), getattr(other, role)
        gradients = [torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]) for net in networks]
        kept = [torch.cat([t.flatten() for t in net.state_dict().values()]) for net in networks]
        for what, (a, b) in {"gradients": gradients, "state": kept}.items():
            found[f"{role}'s {what}"] = ((a - b).norm() / a.norm().clamp(min=1e-12)).item()
    return found


def complaints(config: TrialConfig, examples: TrainingSet, sizes: tuple[int, ...], limit: float = 1e-9) -> list[str]:
    """Where the parts' update is another one than the whole batch's."""
    whole, scalars = trained(config, examples, None)
    wrong = []
    for size in sizes:
        parts, others = trained(config, examples, size)
        wrong += [f"{size}: {what} by {by:.1e}" for what, by in apart(whole, parts).items() if not by <= limit]
        if list(scalars) != list(others) or others != pytest.approx(scalars, rel=1e-6, abs=1e-6):
            wrong.append(f"{size}: {scalars} against {others}")
    return wrong


@pytest.mark.parametrize("name", matrix.LEGAL)
def test_every_objective_with_every_constraint_has_the_gradients_of_the_whole_batch_or_is_refused(
    name: str, examples: dict[str, TrainingSet]
) -> None:
    home = matrix.home_of(name)
    pair, wrong, tried = matrix.PAIRS[home], [], 0
    for constraint in matrix.CONSTRAINTS:
        if matrix.reasons(matrix.GAMES[name], constraint, pair):
            continue
        config, tried = game(name, constraint, home, n_critic=1), tried + 1
        if config.loss.coupling is None:
            sizes = (1, 3, SIZE // 2) if constraint in matrix.KINDS_OF_CONSTRAINT else (3,)
            wrong += [f"{constraint}: {each}" for each in complaints(config, examples[pair.data], sizes)]
        else:
            reason = re.escape(config.loss.coupling)
            with pytest.raises(ValueError, match=f"^micro_batch = 3 must be None: .* because of {reason}$"):
                trained(config, examples[pair.data], 3)
    assert tried
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", matrix.TRAINABLE)
def test_every_pair_of_networks_is_divided_exactly_or_refused_for_what_couples_its_examples(
    name: str, examples: dict[str, TrainingSet]
) -> None:
    pair = matrix.PAIRS[name]
    constraint = None if pair.energy else GradientPenalty(allow_batch_norm=True)
    config = game(
        "EBGAN alone" if pair.energy else matrix.first_game_of(name, constraint), constraint, name, n_critic=1
    )
    why = indivisible(config, matrix.built(config, examples[pair.data]))
    assert (why is None) == divisible(pair), why
    if why is None:
        assert complaints(config, examples[pair.data], (3,)) == []


def divisible(pair: matrix.Pair) -> bool:
    """What a person who knows the networks says."""
    generator = pair.generator
    mixing = generator.normalised and generator.norm in ("batch", "conditional_batch")
    return not (mixing or pair.batch_norm or generator.stochastic or pair.discriminator.stochastic)


def test_the_reason_names_the_layer_or_the_draws(examples: dict[str, TrainingSet]) -> None:
    def why(pair: str) -> str | None:
        config = game(matrix.first_game_of(pair), None, pair)
        return indivisible(config, matrix.built(config, examples[matrix.PAIRS[pair].data]))

    assert why("DCGAN, batch") == "BatchNorm2d in the generator (stages.0.1)"
    assert why("CGAN") == "random numbers that the generator draws for the whole batch, such as dropout's"
    assert why("MLP, maxout and dropout") == (
        "random numbers that the discriminator draws for the whole batch, such as dropout's"
    )
    assert why("DCGAN, spectral") is None


# what is refused is refused for a reason: with the refusal switched off the update is another one
@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("non-saturating", "MLP of points, batch"),
        ("non-saturating", "DCGAN, batch"),
        ("non-saturating", "MLP, maxout and dropout"),
        ("EBGAN", "MLP auto-encoder, layer"),
        ("CatGAN, clusters", "MLP of points, layer"),
        ("Improved GAN", "MLP of points, layer"),
    ],
)
def test_what_is_refused_would_have_another_update(
    name: str, pair: str, examples: dict[str, TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "indivisible", lambda config, state: None)
    found = complaints(game(name, None, pair), examples[matrix.PAIRS[pair].data], (4,), limit=1e-3)
    assert any("gradients" in each for each in found)


SETTINGS: dict[str, dict[str, Any]] = {
    "generator first": {"update_order": "generator_first"},
    "simultaneous": {"update_order": "simultaneous", "n_critic": 1},
    "a larger batch for the generator": {"generator_batch_factor": 2},
    "averaged weights": {"ema_decay": 0.9},
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(
    ("name", "constraint", "pair"),
    [
        ("Wasserstein", GradientPenalty(), "MLP of points, layer"),
        ("ACGAN", ZeroCentredPenalty(at="fake"), "MLP of points, generator told"),
        ("hinge", GradientPenalty(), "MLP of points, both told"),
        ("hinge", GradientPenalty(), "DCGAN, spectral"),
        ("BEGAN", None, "BEGAN"),
    ],
)
def test_it_holds_over_iterations_in_every_order_of_updates(
    name: str, constraint: Any, pair: str, changes: dict[str, Any], examples: dict[str, TrainingSet]
) -> None:
    config = game(name, constraint, pair, steps=2, **changes)
    assert complaints(config, examples[matrix.PAIRS[pair].data], (3,)) == []


def test_what_BEGAN_remembers_moves_by_the_means_of_the_whole_batch(examples: dict[str, TrainingSet]) -> None:
    config = game("BEGAN", None, "BEGAN", steps=3)
    whole, parts = (trained(config, examples["images"], size)[0].objective.balance for size in (None, 3))
    assert whole != config.loss.initial_balance
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=0)


@pytest.mark.parametrize("labelled", [2, 5, 40])
@pytest.mark.parametrize("pair", ["MLP of points, layer", "DCGAN, spectral"])
def test_labelled_images_are_divided_too_however_few_there_are(
    labelled: int, pair: str, examples: dict[str, TrainingSet]
) -> None:
    config = game("SGAN", None, pair, labelled=labelled)
    assert complaints(config, examples[matrix.PAIRS[pair].data], (1, 3)) == []


def test_it_holds_in_bf16_to_its_precision(examples: dict[str, TrainingSet], data: dict[str, TrainingSet]) -> None:
    torch.set_default_dtype(torch.float32)
    config = game("Wasserstein", GradientPenalty(), "DCGAN, layer", autocast="bf16", n_critic=1)
    states = [trained(config, data["images"], size)[0] for size in (None, 4)]
    assert max(apart(*states).values()) < 2e-2


def test_it_holds_with_a_compiled_penalty(examples: dict[str, TrainingSet]) -> None:
    config = game("Wasserstein", GradientPenalty(), "MLP of points, layer")
    states = []
    with torch.compiler.set_stance("force_eager"):  # the route of the compiled penalty, without the compiler
        for size in (None, 3):
            state = matrix.built(config, examples["points"])
            list(train(config, state, examples["points"], CPU, compiled=True, micro_batch=size))
            states.append(state)
    assert max(apart(*states).values()) < 1e-9


def test_a_micro_batch_of_nothing_is_refused(examples: dict[str, TrainingSet]) -> None:
    with pytest.raises(ValueError, match=r"^micro_batch = 0 must be at least 1, or None$"):
        trained(game("hinge", None, "MLP of points, layer"), examples["points"], 0)


def test_no_network_sees_more_examples_at_once_than_the_micro_batch(examples: dict[str, TrainingSet]) -> None:
    config = game("Wasserstein", GradientPenalty(), "MLP of points, layer", generator_batch_factor=2)
    state, seen = matrix.built(config, examples["points"]), []
    for role in ROLES:
        getattr(state, role).register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    list(train(config, state, examples["points"], CPU, micro_batch=3))
    assert set(seen) == {2, 3}


# Running out of memory


STUDY = '''"""Does a trial that does not fit go on in parts?"""

from gansweep import Adam, GaussianRing, Hinge, Latent, MLPDiscriminator, MLPGenerator, ModeCoverage, Preset, Study
from gansweep import TrialConfig

study = Study(
    name="large",
    question="Does a trial that does not fit go on in parts?",
    source="tests",
    baseline=TrialConfig(
        data=GaussianRing(),
        generator=MLPGenerator(depth=2, width=8),
        discriminator=MLPDiscriminator(depth=4, width=64, normalised=True, norm="layer"),
        loss=Hinge(),
        generator_optimizer=Adam(),
        discriminator_optimizer=Adam(),
        latent=Latent(size=2),
        batch_size=24_000,
        steps=3,
        report_every=1,
        evaluate_every=3,
    ),
    axes={"norm": {"layer": {"discriminator.norm": "layer"}, "batch": {"discriminator.norm": "batch"}}},
    metrics=(ModeCoverage(num_samples=100),),
    rules=(),
    presets={"free": Preset(description="As declared."), "tight": Preset(description="As declared.")},
)
'''

# the address space holds what there is and four fifths of what a whole batch needed: real allocations fail
CHILD = """
import json, resource, sys
from pathlib import Path

from gansweep.data.densities import GaussianRing
from gansweep.launch.states import States
from gansweep.launch.sweep import Settings, sweep
from gansweep.launch import worker as worker_module
from gansweep.launch.worker import Assignment, Worker, Workplace
from gansweep.parts import content_id
from gansweep.selection import Selection

folder = Path(sys.argv[1])
free, tight = (Selection(file=str(folder / "large.py"), preset=preset) for preset in ("free", "tight"))
settings = Settings(home=folder, executor="inline")


def size(name):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return 1024 * int(line.split()[1])


def limit(number):
    resource.setrlimit(resource.RLIMIT_AS, (number, resource.RLIM_INFINITY))


sweep(free, settings)
little = size("VmSize") + int(0.7 * (size("VmPeak") - size("VmSize")))
limit(little)
sweep(tight, settings)

limit(resource.RLIM_INFINITY)
worker_module.STATE_EVERY_SECONDS, worker_module.STATE_MAX_SHARE = 0.0, float("inf")  # a state after every report
key = content_id(GaussianRing())
workplace = Workplace(free, str(folder / "alone"), {key: None}, {key: (None,)}, "cpu")
worker = Worker(workplace)
trial = next(trial for trial in worker.study.plan() if trial.arm == "layer")
States(str(folder / "alone")).take(trial.id, 1)
told = []
for report in worker.run(Assignment(trial.id, "layer", {}, trial.config.seed, attempt=1, recorded_step=0)):
    told.append({"row": report.row, "micro_batch": report.facts.get("micro_batch"), "note": report.note})
    limit(little)  # from the first report on
(folder / "told.json").write_text(json.dumps(told))

limit(resource.RLIM_INFINITY)
for name in ("roomy", "once", "always"):
    sweep(Selection(file=str(folder / f"{name}.py")), settings)
"""

# a metric that needs a quarter of a gigabyte, for which there is no room at some of its evaluations
HUNGRY = '''"""What becomes of a trial whose evaluation finds no memory?"""

import dataclasses
import resource
from pathlib import Path

import torch

from gansweep import ModeCoverage
from gansweep.parts import part
from gansweep.selection import load_study

evaluations = []


@part
class Hungry(ModeCoverage):
    """Counts the modes, and needs a lot of memory for it."""

    def measure(self, subject, judge):
        evaluations.append(subject)
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmSize")]
        scarce = 1024 * int(line.split()[1]) + 2**24 if len(evaluations) in {scarce} else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_AS, (scarce, resource.RLIM_INFINITY))
        try:
            torch.ones(2**26)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return super().measure(subject, judge)


large = load_study({study!r})
small = dataclasses.replace(large.baseline, batch_size=32, steps=6, evaluate_every=2)
study = dataclasses.replace(
    large, name={name!r}, baseline=small, metrics=(Hungry(num_samples=100),), presets={{}},
)
'''


@pytest.fixture(scope="module")
def launched(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study run with all the memory there is, with too little, and with too little from step 1 on.

    And a smaller one, run with enough for its evaluations, with too little for the first, and with too little for all.
    """
    folder = tmp_path_factory.mktemp("large")
    as_home(folder)
    (folder / "large.py").write_text(STUDY)
    for name, scarce in (("roomy", "()"), ("once", "(1,)"), ("always", "range(100)")):
        (folder / f"{name}.py").write_text(HUNGRY.format(study=str(folder / "large.py"), name=name, scarce=scarce))
    # so that freed memory is given back at once, and none is reserved in advance
    malloc = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    child = [sys.executable, "-c", CHILD, str(folder)]
    done = subprocess.run(child, env={**os.environ, **malloc}, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def recorded(home: Path, run: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    results = records.read(records.default_uri(home), run)
    return results.trials.set_index("arm"), results.steps


def test_a_trial_that_does_not_fit_into_memory_goes_on_in_micro_batches_with_the_same_numbers(launched: Path) -> None:
    (free, free_steps), (tight, tight_steps) = recorded(launched, "large-free"), recorded(launched, "large-tight")
    assert list(free["status"]) == ["done", "done"]
    assert free["micro_batch"].isna().all()
    assert tight.loc["layer", "status"] == "done"
    assert tight.loc["layer", "micro_batch"] == 12_000
    assert tight.loc["layer", "attempts"] == 1
    whole, parts = (
        steps[steps["trial"] == free.loc["layer", "trial"]].drop(columns=["trial", "seconds"])
        for steps in (free_steps, tight_steps)
    )
    assert list(whole["step"]) == [1, 2, 3]
    pd.testing.assert_frame_equal(parts[whole.columns], whole, rtol=1e-3, atol=1e-5, check_index_type=False)


def test_a_trial_that_cannot_be_divided_fails_for_want_of_memory_and_says_why(launched: Path) -> None:
    tight, _ = recorded(launched, "large-tight")
    row = tight.loc["batch"]
    assert (row["status"], row["failure"]) == ("failed", "oom")
    assert pd.isna(row["verdict"])
    assert row["error"].startswith(
        "out of memory with batches of 24000, which cannot be computed in micro-batches because of BatchNorm1d in the "
        "discriminator (stages.1.1); try fewer workers (--workers), or a smaller batch_size or network. It said: "
    )
    assert "can't allocate memory" in row["error"]


def test_rows_that_were_reported_before_memory_ran_out_keep_their_numbers(launched: Path) -> None:
    told = json.loads((launched / "told.json").read_text())
    rows = [one for one in told if one["row"] is not None]
    assert [one["row"]["step"] for one in rows] == [1, 2, 3]
    assert [one["micro_batch"] for one in rows] == [None, 12_000, 12_000]
    # it goes on from the state of step 1, so nothing else comes without a row: nothing was computed again
    assert [one["note"] for one in told if one["note"] or one["row"] is None] == [
        "out of memory while training: tried again unchanged, with everything freed",
        "out of memory: its batches of 24000 go on in micro-batches of 12000",
    ]
    free, steps = recorded(launched, "large-free")
    whole = steps[steps["trial"] == free.loc["layer", "trial"]].set_index("step")
    for one in rows:
        row = one["row"]
        assert row["loss_generator"] == pytest.approx(whole.loc[row["step"], "loss_generator"], rel=1e-3)
    assert rows[0]["row"]["loss_generator"] == whole.loc[1, "loss_generator"]


def test_a_saved_state_remembers_the_micro_batch(launched: Path, tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float32)
    key, selection = content_id(GaussianRing()), Selection(file=str(launched / "large.py"), preset="free")
    worker = Worker(Workplace(selection, str(tmp_path), {key: None}, {key: (None,)}, "cpu"))
    planned = next(trial for trial in worker.study.plan() if trial.arm == "layer")
    state = TrainState.build(planned.config, shape=(2,), device=CPU)
    list(train(override(planned.config, {"steps": 1}), state, GaussianRing().open(CPU), CPU, micro_batch=9_000))
    spent = {"evaluate_seconds": 0.0, "record_seconds": 0.0}
    worker.states.take(planned.id, 2)
    worker.states.save(planned.id, {"train": state.state_dict(), "spent": spent, "micro_batch": 9_000}, 2)
    told = list(worker.run(Assignment(planned.id, "layer", {}, planned.config.seed, attempt=2, recorded_step=1)))
    assert [one.row["step"] for one in told if one.row] == [2, 3]
    assert {one.facts["micro_batch"] for one in told if one.row} == {9_000}


def test_a_story_and_a_report_tell_of_micro_batches(launched: Path) -> None:
    results = records.read(records.default_uri(launched), "large-tight")
    row = results.trials.iloc[0]
    told = story.tell(results, row["trial"])
    assert any("in parts of at most 12000 examples" in sentence for sentence in told.sentences)
    assert "1 computed their batches in parts" in report.counts_sentence(results)


def test_an_evaluation_that_finds_no_memory_is_made_again_with_everything_freed_and_changes_no_number(
    launched: Path,
) -> None:
    (roomy, roomy_steps), (once, once_steps) = recorded(launched, "roomy"), recorded(launched, "once")
    assert list(once["status"]) == ["done"] * 2
    assert list(once["attempts"]) == [1] * 2
    assert once["micro_batch"].isna().all()
    pd.testing.assert_frame_equal(once_steps.drop(columns="seconds"), roomy_steps.drop(columns="seconds"))
    pd.testing.assert_series_equal(once["modes_captured"], roomy["modes_captured"])
    log = (launched / "studies" / "once" / "launch.log").read_text()
    assert log.count("out of memory while evaluating: tried again unchanged, with everything freed") == 1


def test_an_evaluation_that_never_finds_memory_fails_its_trial_and_says_what_would_help(launched: Path) -> None:
    always, steps = recorded(launched, "always")
    assert list(always["status"]) == ["failed"] * 2
    assert list(always["failure"]) == ["oom"] * 2
    assert always["verdict"].isna().all()
    for error in always["error"]:
        assert error.startswith(
            "out of memory while evaluating, where smaller batches would not help; try fewer workers (--workers), or a "
        )
        assert "can't allocate memory" in error
    assert sorted(steps["step"]) == [1, 1], "what was reported before is kept, and no more"


# Smaller pieces of an evaluation


def too_large(piece: Tensor, limit: int, error: Exception) -> int:
    if len(piece) > limit:
        raise error
    return len(piece)


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    MemoryError(),
]


def test_pieces_that_do_not_fit_are_halved_and_everything_is_computed_once() -> None:
    error = MEMORY_ERRORS[0]
    assert in_pieces(lambda piece: too_large(piece, 99, error), torch.zeros(20), size=8) == [8, 8, 4]
    assert in_pieces(lambda piece: too_large(piece, 3, error), torch.zeros(20), size=10) == [3] * 6 + [2]
    with pytest.raises(torch.OutOfMemoryError):
        in_pieces(lambda piece: too_large(piece, 0, error), torch.zeros(20), size=2)


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=str)
def test_a_lack_of_memory_is_told_by_what_allocators_raise(error: Exception) -> None:
    assert exhausted(error)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    for error in (RuntimeError("shape mismatch"), ValueError("out of memory"), KeyError("out of memory")):
        assert not exhausted(error)
        with pytest.raises(type(error)):
            in_pieces(lambda piece, error=error: too_large(piece, 3, error), torch.zeros(20), size=10)


# What is tried in which order


def test_the_whole_batch_is_tried_once_more_and_then_halved_to_single_examples() -> None:
    room = Room(0, CPU, batch_size=10, doing="training")
    notes, sizes = [], []
    while (note := room.retry()) is not None:
        notes.append(note)
        sizes.append(room.micro_batch)
    assert sizes == [None, 5, 3, 2, 1]
    assert notes[1] == "out of memory: its batches of 10 go on in micro-batches of 5"
    assert room.verdict("CUDA out of memory.\nmore").startswith(
        "out of memory with batches of 10, even in micro-batches of 1"
    )
    assert room.verdict("CUDA out of memory.\nmore").endswith("It said: CUDA out of memory.")


def test_memory_that_runs_out_elsewhere_is_no_reason_for_smaller_batches() -> None:
    for doing in ("loading", "evaluating"):
        room = Room(0, torch.device("cuda"), batch_size=10, doing=doing)
        assert room.retry() is not None
        assert room.retry() is None
        assert room.micro_batch is None
        assert f"while {doing}, where smaller batches would not help" in room.verdict("")
        assert "fewer trials per GPU (--gpus-per-trial)" in room.verdict("")
