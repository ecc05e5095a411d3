"""Every objective x constraint x network x norm: a combination trains a step as it should, or is refused by name.

The whole product would take hours, so it is covered by two planes: all constraints x all objectives on three small
pairs of networks, and all networks, with each of their norms, x all objectives under one constraint (or none), which is
another for the next objective and the next network; where that is refused, without a constraint too. Of the slow
families, both ResNets and the AC-GAN's, all but one member meet one objective for each set of heads only. In both
planes `reasons`, written by hand from what the parts mean, lists why a combination is refused: it must train if there
is no reason, and otherwise the error must be one of those listed. Further planes: objectives x orders of the updates;
networks x bf16; both x resuming; conditional generators x samples.
"""

from __future__ import annotations

import copy
import io
import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansweep import (
    ACGAN,
    BEGAN,
    EBGAN,
    SGAN,
    SGD,
    ACGANDiscriminator,
    ACGANGenerator,
    Adam,
    BEGANDiscriminator,
    BEGANGenerator,
    BottleneckDiscriminator,
    BottleneckGenerator,
    CatGAN,
    CGANDiscriminator,
    CGANGenerator,
    CharCNNDiscriminator,
    CharCNNGenerator,
    ConvAutoEncoder,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    DRAGANPenalty,
    GaussianRing,
    GeneratedSentences,
    GradientPenalty,
    Hinge,
    ImprovedGAN,
    InfoGAN,
    InfoGANDiscriminator,
    InfoGANGenerator,
    Latent,
    LeastSquares,
    LSGANDiscriminator,
    LSGANGenerator,
    ManyClassDiscriminator,
    ManyClassGenerator,
    Minimax,
    MLPAutoEncoder,
    MLPDiscriminator,
    MLPGenerator,
    MNISTDiscriminator,
    MNISTGenerator,
    NonSaturating,
    ResNetDiscriminator,
    ResNetGenerator,
    SwissRoll,
    TrialConfig,
    Wasserstein,
    WeightClip,
    ZeroCentredPenalty,
)
from gansweep.data.batches import labelled_rows
from gansweep.data.training_set import ImageSet, TextSet, TrainingSet
from gansweep.losses.semi_supervised import Supervised
from gansweep.parts import override
from gansweep.training import Step, TrainState, check_fit, sample, train

CPU = torch.device("cpu")
BATCH = 6
CODES = Latent(size=5, categorical=(3, 2), continuous=2)


# What is crossed


class Game(NamedTuple):
    """An objective with the fields of the trial that go with it, and the traces that it promises."""

    loss: Any
    changes: Mapping[str, Any] = MappingProxyType({})
    traces: tuple[str, ...] = ()


ACCURACIES = ("class_accuracy_real", "class_accuracy_fake")
INFORMATION = ("mutual_information", "mutual_information_continuous")
ENTROPIES = ("marginal_entropy_real", "marginal_entropy_fake")
LABELLED = {"labelled": 8}
GAMES = {
    "non-saturating": Game(NonSaturating()),
    "minimax": Game(Minimax()),
    "least squares": Game(LeastSquares()),
    "least squares, Pearson": Game(LeastSquares(a=-1.0, b=1.0, c=0.0)),
    "Wasserstein": Game(Wasserstein()),
    "hinge": Game(Hinge()),
    "EBGAN": Game(EBGAN()),
    "EBGAN alone": Game(EBGAN(margin=20.0, pulling_away=0.0)),
    "BEGAN": Game(BEGAN(initial_balance=0.5), {}, ("balance", "energy_ratio", "convergence")),
    "ACGAN": Game(ACGAN(), {}, ACCURACIES),
    "conditional WGAN": Game(
        ACGAN(adversarial=Wasserstein(), generator_weight=0.1, classify_fakes=False), {}, ACCURACIES
    ),
    "InfoGAN": Game(InfoGAN(), {"latent": CODES}, INFORMATION),
    "InfoGAN, only measured": Game(
        InfoGAN(adversarial=Hinge(), guide_generator=False),
        {"latent": Latent(size=5, categorical=(3,))},
        INFORMATION[:1],
    ),
    "CatGAN, clusters": Game(CatGAN(num_categories=5), {}, ENTROPIES),
    "CatGAN, classes": Game(CatGAN(), {}, ENTROPIES),
    "CatGAN, labelled": Game(CatGAN(), LABELLED, ENTROPIES),
    "SGAN": Game(SGAN(), LABELLED),
    "Improved GAN": Game(ImprovedGAN(), LABELLED),
    "Improved GAN, unlabelled": Game(ImprovedGAN(generator_loss="non_saturating")),
    "supervised": Game(Supervised(), LABELLED),
    # legal nowhere
    "non-saturating, labelled": Game(NonSaturating(), LABELLED),
    "InfoGAN without codes": Game(InfoGAN()),
    "CatGAN, labelled clusters": Game(CatGAN(num_categories=7), LABELLED, ENTROPIES),
    "SGAN without labels": Game(SGAN()),
    "supervised without labels": Game(Supervised()),
}

CLIPS = [WeightClip(bound=0.1, what=what) for what in ("all", "weights_and_biases", "weights")]
CONSTRAINTS = [
    None,
    *(GradientPenalty(at=at) for at in ("lines", "real", "fake")),
    GradientPenalty(one_sided=True, target=0.0),
    GradientPenalty(allow_batch_norm=True),
    *(
        DRAGANPenalty(form=form, noise=noise, target=target)
        for form, target in (("squared_norm", 1.0), ("squared_hinge", 1e-4), ("distance", 1.0))
        for noise in ("uniform01", "uniform11", "gaussian")
    ),
    DRAGANPenalty(allow_batch_norm=True),
    ZeroCentredPenalty(at="real"),
    ZeroCentredPenalty(at="fake"),
    ZeroCentredPenalty(allow_batch_norm=True),
    *CLIPS,
]
KINDS_OF_CONSTRAINT = [
    None,
    GradientPenalty(),
    CLIPS[0],
    ZeroCentredPenalty(at="fake"),
    GradientPenalty(allow_batch_norm=True),
]


class Pair(NamedTuple):
    """A generator and a discriminator, with what a person who knows them would say of them.

    `told` is who is given the class. `batch_norm`: whether the discriminator normalises over the batch. `misfit` is
    how the error for data of the wrong shape begins.
    """

    generator: Any
    discriminator: Any
    data: str = "images"
    told: str = "nobody"
    batch_norm: bool = False
    energy: bool = False
    misfit: str = ""


def pairs() -> Iterator[tuple[str, Pair]]:
    """All pairs of networks with each of their norms, tiny."""
    five = ("batch", "layer", "group", "instance", "spectral")
    told = {"nobody": ("none", "none"), "generator": ("input", "none"), "both": ("input", "input")}
    bare = {"normalised": False}

    for norm in five:
        batch = norm == "batch"
        fields = {"stages": 2, "width": 4, "norm": norm}
        yield f"DCGAN, {norm}", Pair(DCGANGenerator(**fields), DCGANDiscriminator(**fields), batch_norm=batch)
        fields = {"width": 4, "normalised": True, "norm": norm}
        yield f"ResNet, {norm}", Pair(ResNetGenerator(**fields), ResNetDiscriminator(**fields), batch_norm=batch)
        fields = {"blocks": 1, "width": 4, "norm": norm}
        networks = BottleneckGenerator(**fields), BottleneckDiscriminator(**fields)
        yield f"bottleneck, {norm}", Pair(*networks, data="large images", batch_norm=batch)
        networks = ACGANGenerator(widths=(8, 4), norm=norm), ACGANDiscriminator(width=1, norm=norm, dropout=0.3)
        yield f"ACGAN, {norm}", Pair(*networks, told="generator", batch_norm=batch)
    yield "DCGAN, bare", Pair(DCGANGenerator(stages=2, width=4, **bare), DCGANDiscriminator(stages=2, width=4, **bare))
    yield "ResNet, bare", Pair(ResNetGenerator(width=4, **bare), ResNetDiscriminator(width=4))
    networks = BottleneckGenerator(blocks=1, width=4, **bare), BottleneckDiscriminator(blocks=1, width=4, **bare)
    yield "bottleneck, bare", Pair(*networks, data="large images")
    yield (
        "DCGAN of the robustness study",
        Pair(
            DCGANGenerator(stages=2, depth=6, width=2, activation="gated", extra_layers="spread"),
            DCGANDiscriminator(
                stages=2, depth=6, width=2, constant_width=True, activation="softplus", extra_layers="outer"
            ),
            batch_norm=True,
        ),
    )
    networks = ACGANGenerator(widths=(8, 4), **bare), ACGANDiscriminator(width=2, dropout=0.0, noise=0.3, **bare)
    yield "ACGAN, bare and noisy", Pair(*networks, told="generator")

    conditional = {"norm": "conditional_batch", "width": 4}
    for who in ("generator", "both"):
        of_g, of_d = told[who]
        networks = (
            DCGANGenerator(stages=2, width=4, condition=of_g),
            DCGANDiscriminator(stages=2, width=4, norm="layer", condition=of_d),
        )
        yield f"DCGAN, {who} told", Pair(*networks, told=who)
        networks = ResNetGenerator(**conditional), ResNetDiscriminator(width=4, condition=of_d)
        yield f"ResNet, {who} told", Pair(*networks, told=who)
        networks = MLPGenerator(width=8, depth=3, condition=of_g), MLPDiscriminator(width=8, depth=3, condition=of_d)
        yield f"MLP of points, {who} told", Pair(*networks, data="points", told=who)
    networks = DCGANGenerator(stages=2, **conditional), DCGANDiscriminator(stages=2, width=4)
    yield "DCGAN, conditional batch norm", Pair(*networks, told="generator", batch_norm=True)
    networks = (
        BottleneckGenerator(blocks=1, **conditional),
        BottleneckDiscriminator(blocks=1, width=4, norm="layer", condition="input"),
    )
    yield "bottleneck, both told", Pair(*networks, data="large images", told="both")
    yield (
        "ACGAN, conditional batch norm",
        Pair(
            ACGANGenerator(widths=(8, 4), norm="conditional_batch", condition="none"),
            ACGANDiscriminator(width=2, norm="layer"),
            told="generator",
        ),
    )
    yield "CGAN", Pair(CGANGenerator(width=0.02), CGANDiscriminator(width=0.03), told="both")

    for norm in ("batch", "layer", "none"):
        batch = norm == "batch"
        fields = bare if norm == "none" else {"normalised": True, "norm": norm}
        networks = InfoGANGenerator(width=0.03, **fields), InfoGANDiscriminator(width=0.03, **fields)
        yield f"InfoGAN, {norm}", Pair(*networks, batch_norm=batch)
        networks = MNISTGenerator(width=3, **fields), MNISTDiscriminator(width=3, **fields)
        yield f"MNIST, {norm}", Pair(*networks, batch_norm=batch)
        networks = LSGANGenerator(width=0.03, **fields), LSGANDiscriminator(width=3, **fields)
        yield f"LSGAN, {norm}", Pair(*networks, batch_norm=batch)
        units = None if norm == "none" else 3
        networks = (
            ManyClassGenerator(width=0.05, label_units=units, **fields),
            ManyClassDiscriminator(width=0.05, label_units=units, **fields),
        )
        yield f"many classes, {norm}", Pair(*networks, told="both", batch_norm=batch)
        networks = MLPGenerator(width=8, output="tanh", **fields), MLPDiscriminator(width=8, depth=3, **fields)
        yield f"MLP of images, {norm}", Pair(*networks, batch_norm=batch)
        networks = MLPGenerator(width=8, depth=3, **fields), MLPDiscriminator(width=8, depth=3, **fields)
        yield f"MLP of points, {norm}", Pair(*networks, data="points", batch_norm=batch)
        networks = MLPGenerator(width=8), MLPAutoEncoder(depth=3, width=8, **fields)
        yield f"MLP auto-encoder, {norm}", Pair(*networks, batch_norm=batch, energy=True)
        networks = DCGANGenerator(stages=2, width=4), ConvAutoEncoder(stages=2, width=4, **fields)
        yield f"convolutional auto-encoder, {norm}", Pair(*networks, batch_norm=batch, energy=True)
    networks = MLPGenerator(width=8), MLPDiscriminator(width=8, depth=3, activation="maxout", dropout=0.2)
    yield "MLP, maxout and dropout", Pair(*networks, data="draws")
    yield "BEGAN", Pair(BEGANGenerator(width=3), BEGANDiscriminator(width=3, code_size=4), energy=True)
    yield "CharCNN", Pair(CharCNNGenerator(width=6, blocks=2), CharCNNDiscriminator(width=6, blocks=2), data="text")
    yield "MLP of unlabelled points", Pair(MLPGenerator(width=8), MLPDiscriminator(width=8), data="unlabelled")

    # legal nowhere
    yield (
        "only the discriminator told",
        Pair(MLPGenerator(width=8), CGANDiscriminator(width=0.03), told="discriminator"),
    )
    small, points, images = "image size 16", r"\w+ needs square images", r"\w+ is for text"
    fields = {"stages": 2, "width": 4, "norm": "layer"}
    networks = DCGANGenerator(**fields), DCGANDiscriminator(**fields)
    yield "DCGAN on points", Pair(*networks, data="points", misfit=points)
    yield "ResNet on points", Pair(ResNetGenerator(width=4), ResNetDiscriminator(width=4), "points", misfit=points)
    networks = BottleneckGenerator(blocks=1, width=4), BottleneckDiscriminator(blocks=1, width=4, norm="layer")
    yield "bottleneck on small images", Pair(*networks, misfit=small)
    networks = ACGANGenerator(widths=(8, 4, 4, 4)), ACGANDiscriminator(width=2, norm="layer")
    yield "deep ACGAN on small images", Pair(*networks, told="generator", misfit=small)
    networks = CharCNNGenerator(width=6), CharCNNDiscriminator(width=6)
    yield "CharCNN on images", Pair(*networks, misfit=images)
    networks = DCGANGenerator(**fields), BEGANDiscriminator(width=3)
    yield "BEGAN on text", Pair(*networks, "text", energy=True, misfit=points)


PAIRS = dict(pairs())
NOWHERE = ("only the discriminator told", *(name for name, pair in PAIRS.items() if pair.misfit))
ONE_OF_EACH_HEAD = ("non-saturating", "EBGAN", "ACGAN", "InfoGAN", "SGAN", "Improved GAN, unlabelled")
SMALL = ("MLP of points, layer", "MLP of points, batch", "MLP auto-encoder, none")


# What is legal


def reasons(game: Game, constraint: Any, pair: Pair, order: str = "discriminator_first") -> list[str]:
    """Why this combination has no meaning, as patterns of the errors that may say so; empty if it has one."""
    loss, network, found = type(game.loss).__name__, type(pair.discriminator).__name__, []
    labelled = "labelled" in game.changes
    semi_supervised = loss in ("CatGAN", "SGAN", "ImprovedGAN", "Supervised")

    # the objective and what the discriminator answers
    if loss in ("EBGAN", "BEGAN") and not pair.energy:
        found.append(f"^{loss} needs a reconstruction error, which discriminator = {network} has not: use an auto-enc")
    if pair.energy and loss not in ("EBGAN", "BEGAN"):
        found.append(f"^{loss} needs a raw score, and discriminator = {network} gives .*: use EBGAN or BEGAN, or anoth")

    # who may know the class
    if pair.told in ("both", "discriminator") and (loss == "ACGAN" or semi_supervised):
        found.append(f"^{loss} asks the discriminator for the class, and discriminator = {network} is told it: use an")
    if pair.told == "discriminator":
        found.append("^the discriminator sees labels that the generator does not: set generator.condition too")
    if loss == "ACGAN" and pair.told not in ("generator", "both"):
        found.append(f"^ACGAN asks for fakes of a class, .* generator = {type(pair.generator).__name__} .*: use a cond")

    # labels
    if labelled and not semi_supervised:
        found.append(f"^labelled = 8 has no meaning for {loss}.*: set labelled=None")
    if not labelled and loss in ("SGAN", "Supervised"):
        found.append(f"^{loss} .*: set labelled, such as ")
    if labelled and loss == "CatGAN" and game.loss.num_categories is not None:
        found.append("^CatGAN.num_categories = 7 must be None where labelled = 8")
    if labelled and pair.data == "draws":
        found.append("^labelled = 8 needs a finite set of labelled examples$")
    if pair.data in ("text", "unlabelled"):
        if labelled or loss == "ACGAN" or pair.told != "nobody":
            found.append(r"^the trial needs labels, and \w+ has none")
        if semi_supervised and getattr(game.loss, "num_categories", None) is None:
            found.append(f"^{loss}.* needs data with classes")

    # the rest of the trial
    if loss == "InfoGAN" and "latent" not in game.changes:
        found.append("^InfoGAN needs codes in z: set latent.categorical")
    if order == "generator_first" and loss == "ImprovedGAN" and game.loss.generator_loss == "feature_matching":
        found.append('^ImprovedGAN.generator_loss = "feature_matching" .*: set update_order="discriminator_first"')
    if loss == "Supervised" and pair.batch_norm:
        found.append("^Supervised must not see images without labels.*: set discriminator.normalised=False")
    if isinstance(constraint, GradientPenalty | DRAGANPenalty | ZeroCentredPenalty):
        name = type(constraint).__name__
        if loss in ("EBGAN", "BEGAN", "CatGAN", "Supervised"):
            found.append(f"^{name} prescribes the gradient of a raw score, which {loss} does not have: set constr")
        if pair.batch_norm and not constraint.allow_batch_norm:
            found.append(
                f'^{name} with a batch-normalised .*: set discriminator.norm="layer", or allow_batch_norm=True'
            )
    spectral = pair.discriminator.normalised and getattr(pair.discriminator, "norm", "") == "spectral"
    if isinstance(constraint, WeightClip) and spectral:
        found.append("^WeightClip has no effect on spectrally normalised weights: set constraint=None")
    if pair.misfit:
        found.append(f"^{pair.misfit}")
    return found


# Building and training


@pytest.fixture(scope="module")
def data(tiny_images: ImageSet) -> dict[str, TrainingSet]:
    """Every kind of data that a pair may have, of four classes except for the text and the unlabelled points."""
    ring = GaussianRing(num_modes=4, labelled=True)
    codes = torch.randint(2, 6, (40, 4), generator=torch.Generator().manual_seed(0))
    large = tiny_images.images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return {
        "images": tiny_images,
        "large images": ImageSet(large, tiny_images.labels, 4),
        "points": override(ring, {"points": 40}).open(CPU),
        "draws": ring.open(CPU),
        "unlabelled": SwissRoll(points=40).open(CPU),
        "text": TextSet(codes, codes[:4], "?`abcd"),
    }


DATA = {
    "images": Digits(size=16),
    "large images": Digits(size=32),
    "points": GaussianRing(num_modes=4, labelled=True, points=40),
    "draws": GaussianRing(num_modes=4, labelled=True),
    "unlabelled": SwissRoll(points=40),
    "text": GeneratedSentences(length=4),
}


def trial(game: Game, constraint: Any, pair: Pair, **changes: Any) -> TrialConfig:
    """One iteration of two discriminator updates."""
    fields: dict[str, Any] = {
        "data": DATA[pair.data],
        "generator": pair.generator,
        "discriminator": pair.discriminator,
        "loss": game.loss,
        "constraint": constraint,
        "generator_optimizer": Adam(lr=1e-2),
        "discriminator_optimizer": Adam(lr=1e-2),
        "latent": Latent(size=5),
        "batch_size": BATCH,
        "n_critic": 2,
        "steps": 1,
        "report_every": 1,
        "evaluate_every": 1,
        **game.changes,
        **changes,
    }
    return TrialConfig(**fields)


def built(config: TrialConfig, examples: TrainingSet) -> TrainState:
    return TrainState.build(config, shape=examples.shape, num_classes=examples.num_classes, device=CPU)


def fresh(config: TrialConfig, examples: TrainingSet) -> TrainState:
    """As a worker does it."""
    check_fit(config, examples)
    return built(config, examples)


def optimiser_steps(optimizer: torch.optim.Optimizer) -> set[int]:
    return {int(state["step"]) for state in optimizer.state_dict()["state"].values()}


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}


def batches_normed(network: nn.Module) -> set[int]:
    """How many batches each norm that keeps running statistics has seen."""
    kept = (m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))
    return {int(m.num_batches_tracked) for m in kept if m.num_batches_tracked is not None}


def clipped(discriminator: nn.Module, what: str) -> dict[str, Tensor]:
    """The parameters that a clipping policy is about; a spectrally normalised layer's weight is the one before it."""
    found = {}
    for name, module in discriminator.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            whole = parametrize.is_parametrized(module, "weight")
            found[f"{name}.weight"] = module.parametrizations.weight.original if whole else module.weight  # type: ignore[union-attr]
            if module.bias is not None and what != "weights":
                found[f"{name}.bias"] = module.bias
    return dict(discriminator.named_parameters()) if what == "all" else found


def complaints(
    config: TrialConfig, game: Game, state: TrainState, before: dict[str, dict[str, Tensor]], steps: list[Step]
) -> Iterator[str]:
    """What is wrong with the state after one iteration."""
    (step,) = steps
    scalars, constraint, n = step.scalars, config.constraint, config.n_critic

    # both networks were updated, as often as they should have been
    if state.step != 1 or state.discriminator_steps != n:
        yield f"{state.discriminator_steps} discriminator updates in {state.step} iterations"
    for role, times in (("generator", 1), ("discriminator", n)):
        if optimiser_steps(getattr(state, f"{role}_optimizer")) != {times}:
            yield f"the {role}'s optimiser did not take {times} steps with every parameter"
        matrices = {name for name, tensor in before[role].items() if tensor.ndim > 1}
        moved = changed(getattr(state, role), before[role])
        if role == "generator" and isinstance(config.loss, Supervised):
            if moved:
                yield f"the generator has no loss and changed in {sorted(moved)}"
        elif matrices - moved:
            yield f"the {role} did not change in {sorted(matrices - moved)}"

    # batch normalisation met every batch: real, fake, labelled and the penalty's points, then the generator's
    penalised = isinstance(constraint, GradientPenalty | DRAGANPenalty | ZeroCentredPenalty)
    met = n * (2 + penalised + (config.labelled is not None)) + 1
    if batches_normed(state.discriminator) - {met}:
        yield f"the discriminator's norms met {batches_normed(state.discriminator)} batches, not {met}"
    if batches_normed(state.generator) - {n + 1}:
        yield f"the generator's norms met {batches_normed(state.generator)} batches, not {n + 1}"

    # what was reported
    expected = {"loss_discriminator", "loss_generator", "penalty", "output_real", "output_fake", *game.traces}
    health = ("gradient_norm", "gradient_slope", "weight_change")
    expected |= {f"{name}_{role}" for name in health for role in ("generator", "discriminator")}
    expected |= {"clipped_share"} if isinstance(constraint, WeightClip) else set()
    expected |= {"discriminator_confidence"} if config.loss.indifferent_loss is not None else set()
    expected |= {"loss_supervised"} if config.labelled is not None else set()
    if scalars.keys() != expected:
        yield f"reported {sorted(scalars.keys() ^ expected)} too many or too few"
    if bad := [name for name, value in scalars.items() if not math.isfinite(value)]:
        yield f"{bad} not finite"
    if step.nonfinite_step is not None or step.images_seen != n * config.batch_size:
        yield f"reported {step.nonfinite_step} and {step.images_seen}"
    if any(not 0 <= scalars.get(name, 0) <= 1 for name in (*ACCURACIES, "balance")):
        yield "a share outside [0, 1]"
    if penalised != (scalars["penalty"] > 0) or scalars["penalty"] < 0:
        yield f"a penalty of {scalars['penalty']}"

    # clipping
    if isinstance(constraint, WeightClip):
        bound = torch.tensor(constraint.bound)
        held = clipped(state.discriminator, constraint.what)
        if beyond := [name for name, p in held.items() if (p.abs() > bound).any()]:
            yield f"{beyond} beyond the bound"
        if not any((p.abs() == bound).any() for p in held.values()):
            yield "nothing was clipped"


class Bench:
    """One objective on one pair of networks, built once and trained under `num` constraints."""

    def __init__(self, game: str, pair: str, data: dict[str, TrainingSet], num: int = 1) -> None:
        self.num = num
        self.game, self.pair, self.examples = GAMES[game], PAIRS[pair], data[PAIRS[pair].data]
        self.state: TrainState | None = None

    def attempt(self, constraint: Any, **changes: Any) -> tuple[bool, list[str]]:
        """Whether it trained, and what is wrong with that."""
        expected = reasons(self.game, constraint, self.pair, changes.get("update_order", "discriminator_first"))
        try:
            config = trial(self.game, constraint, self.pair, **changes)
            self.state = self.state or (fresh if expected else built)(config, self.examples)
        except ValueError as error:
            if not expected:
                return False, [f"refused though it has a meaning: {error}"]
            told = "\n" not in str(error) and any(re.search(pattern, str(error)) for pattern in expected)
            return False, [] if told else [f"refused by {str(error)!r} and not by {expected}"]
        if expected:
            return False, [f"accepted in spite of {expected}"]
        state = copy.deepcopy(self.state) if self.num > 1 else self.state
        before = {role: weights(getattr(state, role)) for role in ("generator", "discriminator")}
        random = torch.get_rng_state()
        steps = list(train(config, state, self.examples, CPU))
        wrong = list(complaints(config, self.game, state, before, steps))
        if not torch.equal(random, torch.get_rng_state()):
            wrong.append("drew from the global random stream")
        return True, wrong


def show(constraint: Any) -> str:
    return "no constraint" if constraint is None else repr(constraint)


# The two planes


def met_by(name: str, game: str) -> list[Any]:
    """The constraints under which the pair of networks meets the objective."""
    slow = name.startswith(("bottleneck", "ResNet", "ACGAN")) and name not in ("ResNet, layer", "ACGAN, layer")
    if slow and game not in ONE_OF_EACH_HEAD:
        return []
    turn = list(PAIRS).index(name) + list(GAMES).index(game)
    constraint = KINDS_OF_CONSTRAINT[turn % len(KINDS_OF_CONSTRAINT)]
    return [constraint, None] if reasons(GAMES[game], constraint, PAIRS[name]) else [constraint]


@pytest.mark.parametrize("game", GAMES)
def test_every_constraint_and_every_objective_train_together_or_are_refused_by_name(
    game: str, data: dict[str, TrainingSet]
) -> None:
    wrong = []
    for name in SMALL:
        bench = Bench(game, name, data, len(CONSTRAINTS))
        for constraint in CONSTRAINTS:
            wrong += [f"{name}, {show(constraint)}: {each}" for each in bench.attempt(constraint)[1]]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PAIRS)
def test_every_network_and_norm_and_every_objective_train_together_or_are_refused_by_name(
    name: str, data: dict[str, TrainingSet]
) -> None:
    wrong = []
    for game in GAMES:
        bench = Bench(game, name, data)
        for constraint in met_by(name, game):
            wrong += [f"{game}, {show(constraint)}: {each}" for each in bench.attempt(constraint)[1]]
    assert not wrong, "\n".join(wrong)


def test_the_planes_hold_every_part_in_a_combination_that_trains() -> None:
    small = [(g, c, PAIRS[p]) for g in GAMES for p in SMALL for c in CONSTRAINTS]
    wide = [(g, c, PAIRS[p]) for p in PAIRS for g in GAMES for c in met_by(p, g)]
    legal = [
        (game, constraint, pair)
        for game, constraint, pair in small + wide
        if not reasons(GAMES[game], constraint, pair)
    ]
    assert {game for game, _, _ in legal} == set(list(GAMES)[: list(GAMES).index("non-saturating, labelled")])
    assert {constraint for _, constraint, _ in legal} == set(CONSTRAINTS)
    assert {pair for _, _, pair in legal} == {pair for name, pair in PAIRS.items() if name not in NOWHERE}
    assert len(legal) > 800
    assert len(small) + len(wide) - len(legal) > 800


# The order of the updates


LEGAL = list(GAMES)[: list(GAMES).index("non-saturating, labelled")]
HOMES = ("MLP of points, layer", "MLP of points, generator told", "MLP auto-encoder, none")


def home_of(game: str) -> str:
    """A small pair of networks on which the objective has a meaning."""
    return next(name for name in HOMES if not reasons(GAMES[game], None, PAIRS[name]))


def first_game_of(name: str, constraint: Any = None) -> str:
    return next(game for game in LEGAL if not reasons(GAMES[game], constraint, PAIRS[name]))


@pytest.mark.parametrize("order", ["discriminator_first", "generator_first", "simultaneous"])
def test_the_order_of_the_updates_decides_who_meets_whose_new_weights(order: str, data: dict[str, TrainingSet]) -> None:
    wrong = []
    for game in LEGAL:
        bench = Bench(game, home_of(game), data)
        n_critic = 1 if order == "simultaneous" else 2
        done, found = bench.attempt(None, update_order=order, n_critic=n_critic)
        wrong += [f"{game}: {each}" for each in found]
        if not done or game == "supervised":  # whose networks have nothing to do with each other
            continue
        plain, other_d, other_g = (
            one_iteration(game, data, {"update_order": order, "n_critic": 1}, *rates)
            for rates in ((0.1, 0.1), (0.1, 0.2), (0.2, 0.1))
        )
        if (plain["generator"] == other_d["generator"]) != (order != "discriminator_first"):
            wrong.append(f"{game}: the generator met the wrong discriminator")
        if (plain["discriminator"] == other_g["discriminator"]) != (order != "generator_first"):
            wrong.append(f"{game}: the discriminator met the wrong generator")
    assert not wrong, "\n".join(wrong)


def one_iteration(game: str, data: dict[str, TrainingSet], changes: dict[str, Any], g: float, d: float) -> Any:
    """Both networks' weights as plain numbers after an iteration at these learning rates."""
    pair = PAIRS[home_of(game)]
    rates = {"generator_optimizer": SGD(lr=g), "discriminator_optimizer": SGD(lr=d)}
    config = trial(GAMES[game], None, pair, **changes, **rates)
    state = fresh(config, data[pair.data])
    list(train(config, state, data[pair.data], CPU))
    roles = ("generator", "discriminator")
    return {role: [p.tolist() for p in getattr(state, role).parameters()] for role in roles}


def test_the_warm_up_gives_the_critic_a_hundred_updates_in_an_iteration(data: dict[str, TrainingSet]) -> None:
    pair, fields = PAIRS["MLP of points, layer"], {"critic_warmup": True, "report_every": 1}
    config = trial(GAMES["Wasserstein"], CLIPS[0], pair, **fields, steps=1)
    state = fresh(config, data["points"])
    (step,) = train(config, state, data["points"], CPU)
    assert state.discriminator_steps == 100
    assert optimiser_steps(state.discriminator_optimizer) == {100}
    assert optimiser_steps(state.generator_optimizer) == {1}
    assert step.images_seen == 100 * BATCH
    state.step = 25
    list(train(override(config, {"steps": 26}), state, data["points"], CPU))
    assert optimiser_steps(state.discriminator_optimizer) == {102}


# Labels


@pytest.mark.parametrize("labelled", [4, 10, 40])
@pytest.mark.parametrize("game", ["CatGAN, labelled", "SGAN", "Improved GAN", "supervised"])
def test_only_the_budgeted_labels_are_used_and_every_class_has_its_share(
    game: str, labelled: int, data: dict[str, TrainingSet], tiny_images: ImageSet
) -> None:
    pair = PAIRS["MLP of images, none"]
    config = trial(GAMES[game], None, pair, steps=8, labelled=labelled)
    state, seen = fresh(config, tiny_images), []
    state.discriminator.register_forward_pre_hook(lambda module, given: seen.append(given[0].detach().clone()))
    list(train(config, state, tiny_images, CPU))
    rows = labelled_rows(tiny_images.labels, labelled, config.seed)  # type: ignore[arg-type]
    per_class = tiny_images.labels[rows].bincount(minlength=4)  # type: ignore[index]
    assert len(rows.unique()) == labelled
    assert per_class.max() - per_class.min() <= 1
    calls = [seen[7 * iteration + update * 3 + 2] for iteration in range(8) for update in range(2)]
    known = {tuple(x.flatten().tolist()) for x in tiny_images.rows(rows).x}
    used = {tuple(x.flatten().tolist()) for call in calls for x in call}
    assert used <= known
    assert len(used) >= 0.9 * len(known)  # 16 batches go round even the largest budget twice


@pytest.mark.parametrize("constraint", CONSTRAINTS[1:4], ids=lambda constraint: constraint.at)
def test_T_13_the_points_of_a_penalty_are_judged_with_their_own_labels(
    constraint: GradientPenalty, data: dict[str, TrainingSet], tiny_images: ImageSet
) -> None:
    config = trial(GAMES["Wasserstein"], constraint, PAIRS["CGAN"], n_critic=1)
    state, seen = fresh(config, tiny_images), []
    state.discriminator.register_forward_pre_hook(lambda module, given: seen.append(given))
    list(train(config, state, tiny_images, CPU))
    (real, real_labels), (fake, fake_labels), (points, labels) = seen[:3]
    assert torch.equal(real_labels, fake_labels)  # so that a point between the two belongs to one class
    assert torch.equal(labels, fake_labels if constraint.at == "fake" else real_labels)
    assert torch.equal(points, {"real": real, "fake": fake}.get(constraint.at, points))


TOLD = [name for name, pair in PAIRS.items() if pair.told in ("generator", "both") and not pair.misfit]


@pytest.mark.parametrize("name", TOLD)
def test_a_conditional_generator_is_asked_for_the_classes_in_turn(name: str, data: dict[str, TrainingSet]) -> None:
    pair = PAIRS[name]
    config = trial(GAMES[first_game_of(name)], None, pair)
    state, asked = fresh(config, data[pair.data]), []
    state.generator.register_forward_pre_hook(lambda module, given: asked.append(given[1].clone()))
    random = torch.get_rng_state()
    samples = sample(config, state, 7, CPU, batch_size=5)
    assert torch.equal(random, torch.get_rng_state())
    assert samples.x.shape == (7, *data[pair.data].shape)
    assert samples.labels is not None
    assert samples.labels.tolist() == torch.cat(asked).tolist() == [0, 1, 2, 3, 0, 1, 2]


# Half precision, and resuming


TRAINABLE = [name for name in PAIRS if name not in NOWHERE]


@pytest.mark.parametrize("name", TRAINABLE)
def test_T_20_every_network_trains_in_bf16_and_keeps_its_weights_in_fp32(
    name: str, data: dict[str, TrainingSet]
) -> None:
    pair = PAIRS[name]
    constraint = None if pair.energy else GradientPenalty(allow_batch_norm=True)
    bench = Bench(first_game_of(name, constraint), name, data)
    done, wrong = bench.attempt(constraint, autocast="bf16")
    assert done
    assert not wrong
    assert bench.state is not None
    networks = bench.state.generator, bench.state.discriminator
    assert {p.dtype for network in networks for p in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("game", "name"),
    [*((game, home_of(game)) for game in LEGAL), *((first_game_of(name), name) for name in TRAINABLE)],
)
def test_T_37_every_objective_and_every_network_goes_on_bit_for_bit_from_what_was_saved(
    game: str, name: str, data: dict[str, TrainingSet]
) -> None:
    examples = data[PAIRS[name].data]
    config = trial(GAMES[game], None, PAIRS[name], n_critic=1, steps=2)
    whole = fresh(config, examples)
    training, file = train(config, whole, examples, CPU), io.BytesIO()
    next(training)
    torch.save(whole.state_dict(), file)
    last = next(training)

    file.seek(0)
    resumed = fresh(override(config, {"seed": 1}), examples)  # whose own weights are others
    resumed.load_state_dict(torch.load(file, weights_only=True))
    torch.manual_seed(99)
    (again,) = train(config, resumed, examples, CPU)
    assert again.scalars == last.scalars
    one, other = (dict(flat(state.state_dict())) for state in (whole, resumed))
    assert one.keys() == other.keys()
    different = [path for path, value in one.items() if not torch.equal(value, other[path])]
    assert [path for path in different if path != "/seconds"] == []


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every number and tensor of a nested state, by its path."""
    if isinstance(value, dict | list | tuple):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(child, f"{path}/{key}")
    elif value is not None:
        yield path, torch.as_tensor(value)


def test_the_published_pair_of_LSGAN_fits_its_scenes_of_112_pixels() -> None:
    images = torch.randint(256, (8, 3, 112, 112), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pair = Pair(LSGANGenerator(width=0.02), LSGANDiscriminator(width=2), batch_norm=True)
    config = trial(GAMES["least squares"], None, pair, batch_size=4)
    state = fresh(config, ImageSet(images))
    before = {role: weights(getattr(state, role)) for role in ("generator", "discriminator")}
    steps = list(train(config, state, ImageSet(images), CPU))
    assert list(complaints(config, GAMES["least squares"], state, before, steps)) == []
    assert sample(config, state, 3, CPU).x.shape == (3, 3, 112, 112)
