"""The recipes are what is published: each number against the facts with their evidence, and against the notes."""

from __future__ import annotations

import inspect
import itertools
import math
import re
from typing import Any

import pytest

import gansweep
from gansweep import (
    DRAGAN,
    GAN_MIXTURE,
    LSGAN,
    LSGAN_BASELINE,
    LSGAN_MIXTURE,
    LSGAN_RMSPROP,
    RANDOM_ARCHITECTURE_LABELS,
    RANDOM_ARCHITECTURES,
    RANDOM_GAN,
    RANDOM_WGAN_GP,
    STANDARD_GAN,
    WGAN_CLIP,
    WGAN_CLIP_TF,
    WGAN_GP,
    WGAN_GP_HALF,
    WGAN_GP_TOY,
    Adam,
    DCGANDiscriminator,
    DCGANGenerator,
    Digits,
    DRAGANPenalty,
    GradientPenalty,
    LeastSquares,
    NonSaturating,
    RMSProp,
    RMSPropTF,
    TrialConfig,
    Wasserstein,
    WeightClip,
    recipes,
)
from gansweep.evidence import known
from gansweep.published import dragan, lsgan, wgan, wgan_gp, wgan_gp_images, wgan_gp_toys

NAMES = gansweep._HOMES["recipes"].split()
OPTIMISERS = ("generator_optimizer", "discriminator_optimizer")


def items(table: Any, column: str = "value") -> dict[str, Any]:
    """A published table of items as a mapping."""
    frame = table.frame()
    return dict(zip(frame.iloc[:, 0], frame[column], strict=True))


def method(table: Any, name: str) -> dict[str, Any]:
    """The row of a published table of methods, empty cells left out."""
    row = table.frame().set_index("method").loc[name]
    return row[row.notna()].to_dict()


@pytest.mark.parametrize("name", [name for name in NAMES if "ARCHITECTURE" not in name])
def test_a_recipe_is_a_frozen_set_of_fields_that_makes_a_trial(name: str) -> None:
    recipe = getattr(gansweep, name)
    assert set(recipe) == {"loss", "constraint", "n_critic", "update_order", *OPTIMISERS}
    with pytest.raises(TypeError):
        recipe["n_critic"] = 3
    networks = {"generator": DCGANGenerator(stages=2), "discriminator": DCGANDiscriminator(stages=2, norm="layer")}
    config = TrialConfig(data=Digits(), steps=1, **networks, **recipe)
    assert {field: getattr(config, field) for field in recipe} == dict(recipe)


@pytest.mark.parametrize("name", NAMES)
def test_a_comment_above_each_recipe_says_where_it_was_read(name: str) -> None:
    lines = inspect.getsource(recipes).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith((f"{name} = ", f"{name}: ")))
    above = list(itertools.takewhile(lambda line: line.startswith("# "), reversed(lines[:place])))
    told = " ".join(line.removeprefix("# ") for line in reversed(above))
    sources = [source for listed in re.findall(r"\[([^]]+)]", told) for source in re.findall(r"[A-Z]+:[\w-]+", listed)]
    assert sources
    assert all(known(source) for source in sources)


# Gulrajani et al. 2017


def test_the_random_architectures_are_those_of_table_1() -> None:
    roles = {"G": "generator", "D": "discriminator"}
    fields = {"nonlinearity": "activation", "depth": "depth", "batch norm": "normalised", "base filter count": "width"}
    names = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "softplus(2x + 2)/2 - 1": "softplus"}
    published: dict[str, list[Any]] = {}
    for factor, network, level in wgan_gp.SET.rows:
        published.setdefault(f"{roles[network]}.{fields[factor]}", []).append(names.get(level, level))
    assert {path: list(drawn.options) for path, drawn in RANDOM_ARCHITECTURES.items()} == published
    assert math.prod(drawn.size for drawn in RANDOM_ARCHITECTURES.values()) == wgan_gp.SET_SIZE.value
    assert list(RANDOM_ARCHITECTURE_LABELS) == list(RANDOM_ARCHITECTURES)
    for table in (RANDOM_ARCHITECTURES, RANDOM_ARCHITECTURE_LABELS):
        with pytest.raises(TypeError):
            table["generator.depth"] = "more"  # type: ignore[index]


def test_the_random_architectures_are_trained_as_in_appendix_b() -> None:
    for recipe, column in ((RANDOM_GAN, "gan"), (RANDOM_WGAN_GP, "wgan_gp")):
        told = items(wgan_gp.TRAINING, column)
        for role in OPTIMISERS:
            adam = recipe[role]
            assert told["optimiser"] == type(adam).__name__
            assert [told[name] for name in ("learning rate", "beta1", "beta2")] == [adam.lr, adam.beta1, adam.beta2]
        decay = recipe["discriminator_optimizer"]
        assert decay.weight_decay == told["weight decay of D, only where D is normalised"] == 1e-3
        assert decay.weight_decay_when == "normalised"
        assert recipe["generator_optimizer"].weight_decay == 0


def test_wgan_gp_has_the_defaults_of_algorithm_1() -> None:
    assert WGAN_GP["loss"] == Wasserstein()
    assert WGAN_GP["n_critic"] == wgan_gp.CRITIC_STEPS.value == 5
    assert WGAN_GP["constraint"] == GradientPenalty(weight=float(wgan_gp.PENALTY_WEIGHT.value), one_sided=False)
    assert [WGAN_GP[role] for role in OPTIMISERS] == [Adam(lr=1e-4, beta1=0.0, beta2=0.9)] * 2
    assert STANDARD_GAN["n_critic"] == wgan_gp.GAN_CRITIC_STEPS.value == 1
    assert (STANDARD_GAN["loss"], STANDARD_GAN["constraint"]) == (NonSaturating(), None)


@pytest.mark.parametrize(
    ("recipe", "name", "kind"),
    [
        (WGAN_GP_HALF, "WGAN-GP", Adam),
        (WGAN_CLIP_TF, "WGAN", RMSPropTF),
        (STANDARD_GAN, "DCGAN", Adam),
        (LSGAN_BASELINE, "LSGAN", RMSPropTF),
    ],
)
def test_the_four_methods_of_the_varied_architectures_follow_appendix_e(recipe: Any, name: str, kind: type) -> None:
    told = method(wgan_gp.SETTING_OF_METHODS, name)
    assert recipe["n_critic"] == told["n_critic"]
    for role in OPTIMISERS:
        assert type(recipe[role]) is kind
        assert kind.__name__.removesuffix("TF") == told["optimiser"]
        assert recipe[role].lr == told["learning_rate"]
        for beta in ("beta1", "beta2"):
            assert getattr(recipe[role], beta, None) == told.get(beta)
    assert (recipe["constraint"] is None) == ("constraint" not in told)


def test_clipping_takes_every_parameter_to_the_published_bound() -> None:
    told = items(wgan.DEFAULTS)
    for recipe in (WGAN_CLIP, WGAN_CLIP_TF):
        assert recipe["constraint"] == WeightClip(bound=told["clipping bound"], what="all")
        assert recipe["n_critic"] == told["n_critic"] == 5
        assert {recipe[role].lr for role in OPTIMISERS} == {told["RMSProp learning rate"]} == {5e-5}
    assert {type(WGAN_CLIP[role]) for role in OPTIMISERS} == {RMSProp}


def test_the_script_for_cifar_has_the_same_methods() -> None:
    for recipe, name in ((WGAN_GP_HALF, "wgan-gp"), (WGAN_CLIP_TF, "wgan"), (STANDARD_GAN, "dcgan")):
        told = method(wgan_gp_images.CURVE_SETTINGS, name)
        assert recipe["n_critic"] == told["n_critic"]
        assert recipe["generator_optimizer"].lr == told["learning_rate"]
        assert getattr(recipe["generator_optimizer"], "beta1", None) == told.get("beta1")


def test_the_toys_have_a_hundredth_of_the_papers_weight() -> None:
    told = items(wgan_gp_toys.SURFACE_SETTINGS)
    adam = Adam(lr=told["Adam learning rate"], beta1=told["beta1"], beta2=told["beta2"])
    assert [WGAN_GP_TOY[role] for role in OPTIMISERS] == [adam] * 2
    assert WGAN_GP_TOY["constraint"] == GradientPenalty(weight=told["lambda"])
    assert WGAN_GP_TOY["constraint"].weight == WGAN_GP["constraint"].weight / 100
    assert WGAN_GP_TOY["n_critic"] == told["n_critic"]


# Mao et al. 2017 and Kodali et al. 2017


def test_lsgan_has_the_coding_and_the_rates_of_its_authors() -> None:
    frame = lsgan.CODINGS.frame().set_index("name")
    a, b, c = (float(frame.loc["0/1/1", column]) for column in "abc")
    for recipe in (LSGAN, LSGAN_RMSPROP, LSGAN_BASELINE, LSGAN_MIXTURE):
        assert recipe["loss"] == LeastSquares(a=a, b=b, c=c)
        assert (recipe["n_critic"], recipe["constraint"]) == (1, None)
    assert "learning rate 2e-4" in lsgan.STABILITY_GRID.protocol
    assert "beta1 = 0.5" in lsgan.STABILITY_GRID.note
    assert {LSGAN[role] for role in OPTIMISERS} == {Adam(lr=2e-4, beta1=0.5, beta2=0.999)}
    assert {LSGAN_RMSPROP[role] for role in OPTIMISERS} == {RMSPropTF(lr=2e-4)}


def test_both_objectives_of_the_mixture_are_updated_at_once() -> None:
    told = items(lsgan.MIXTURE_SETTINGS)
    for recipe in (GAN_MIXTURE, LSGAN_MIXTURE):
        assert recipe["update_order"] == "simultaneous"
        assert recipe["generator_optimizer"].lr == told["learning rate of G"]
        assert recipe["discriminator_optimizer"].lr == told["learning rate of D"]
        assert {recipe[role].beta1 for role in OPTIMISERS} == {told["Adam beta1"]}
    assert GAN_MIXTURE["loss"] == NonSaturating()


def test_dragan_is_the_notebook_of_its_author() -> None:
    told = items(dragan.NOTEBOOK_SETTINGS)
    noise = told["noise, times the deviation of the batch and uniform noise on [0, 1)"]
    assert DRAGAN["constraint"] == DRAGANPenalty(weight=told["lambda"], noise="uniform01", scale=noise, target=1.0)
    assert DRAGAN["constraint"].target == dragan.TARGET_SLOPE.value
    adam = Adam(lr=told["Adam learning rate"], beta1=told["beta1"], beta2=told["beta2"])
    assert [DRAGAN[role] for role in OPTIMISERS] == [adam] * 2
    assert (DRAGAN["loss"], DRAGAN["n_critic"]) == (NonSaturating(), told["steps of D per step of G"])
