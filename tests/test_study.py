"""Studies and their plans: what is refused before any work starts, and what is frozen."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gansweep import (
    GP,
    NSGA2,
    TPE,
    Adam,
    BelowScore,
    Collapsed,
    DCGANDiscriminator,
    Diverged,
    GradientPenalty,
    Grid,
    Hyperband,
    InceptionScore,
    LeastSquares,
    Median,
    NGramDivergence,
    NonSaturating,
    Preset,
    RandomSearch,
    Sobol,
    Study,
    Survival,
    TrialConfig,
    Wasserstein,
    WeightClip,
    Wilcoxon,
    choice,
    either,
    uniform,
)
from gansweep.data.cache import Images
from gansweep.data.image_source import ImageSource
from gansweep.data.opened import OpenData, open_data, prepare_data
from gansweep.data.text import GeneratedSentences, TextFile
from gansweep.data.training_set import ImageSet
from gansweep.parts import content_id, flatten
from gansweep.plan import Plan
from gansweep.selection import Selection, load_study
from gansweep.training import check_fit

STUDIES = Path(__file__).parents[1] / "studies"
GAN: dict[str, Any] = {"loss": NonSaturating(), "constraint": None, "discriminator.norm": "batch"}
WGAN_GP: dict[str, Any] = {
    "loss": Wasserstein(),
    "constraint": GradientPenalty(),
    "discriminator.norm": "layer",
    "n_critic": 5,
}
SPACE = {"generator.depth": choice(4, 8, 12), "generator.width": choice(2, 4)}


@pytest.fixture
def declared(tiny: TrialConfig) -> dict[str, Any]:
    """The fields of a small study; a test changes some and makes a study of them."""
    return {
        "name": "small",
        "question": "Does it plan?",
        "source": "nowhere",
        "baseline": tiny,
        "axes": {"objective": {"gan": GAN, "wgan_gp": WGAN_GP}},
        "space": SPACE,
        "draws": 4,
        "metrics": (InceptionScore(num_samples=100, num_splits=1),),
        "rules": (Diverged(),),
        "presets": {
            "smoke": Preset(description="Small.", overrides={"steps": 4}, draws=2),
            "paper": Preset(description="Large.", space={"generator.width": choice(32)}, draws=3),
        },
        "labels": {"gan": "Standard GAN"},
    }


# What is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a study"}, "Study.name = 'a study' may hold letters, digits and underscores only"),
        ({"question": "It plans."}, "Study.question = 'It plans.' must be a question"),
        ({"draws": 0}, "Study.draws = 0 must be"),
        ({"draws": 2.5}, "Study.draws = 2.5 must be a whole number >= 1"),
        ({"audit_fraction": 1.5}, "Study.audit_fraction = 1.5 must lie in [0, 1]"),
        ({"metrics": ()}, "Study.metrics is empty"),
        (
            {"space": {"generator.dpth": choice(4)}},
            "field of DCGANGenerator 'dpth' does not exist; did you mean 'depth'?",
        ),
        (
            {"space": {"generater.depth": choice(4)}},
            "field of TrialConfig 'generater' does not exist; did you mean 'generator'?",
        ),
        ({"axes": {"objective": {"gan": {"n_crtic": 2}}}}, "'n_crtic' does not exist; did you mean 'n_critic'?"),
        ({"axes": {"objective": {}}}, "axis 'objective' has no arm"),
        (
            {"space": {"discriminator.norm": choice("batch", "layer")}},
            "field 'discriminator.norm' is set by axis 'objective' and by the space",
        ),
        (
            {"axes": {"one": {"a": {"n_critic": 1}}, "two": {"b": {"n_critic": 2}}}},
            "field 'n_critic' is set by axis 'two' and by axis 'one'",
        ),
        ({"axes": {"objective": {"a": GAN, "b": dict(GAN)}}}, "arms 'a' and 'b' are the same trial"),
        ({"axes": {"objective": {"a": {"constraint": GradientPenalty()}}}}, "batch-normalised discriminator"),
        ({"axes": {"objective": {"a": {"constraint.weight": 1.0}}}}, "'weight' cannot be set on None"),
        ({"labels": {"gna": "GAN"}}, "label 'gna' does not exist; did you mean 'gan'?"),
        (
            {"presets": {"smoke": Preset(description=".", overrides={"stpes": 3})}},
            "preset 'smoke': field of TrialConfig 'stpes'",
        ),
        (
            {"presets": {"smoke": Preset(description=".", overrides={"steps": 0})}},
            "preset 'smoke': TrialConfig.steps = 0",
        ),
        (
            {"presets": {"smoke": Preset(description=".", overrides={"n_critic": 2})}},
            "preset 'smoke': field 'n_critic' is set by axis 'objective'",
        ),
        (
            {"presets": {"smoke": Preset(description=".", overrides={"loss.a": 2})}},
            "preset 'smoke': field 'loss.a' is set by axis 'objective'",
        ),
        (
            {"presets": {"smoke": Preset(description=".", overrides={"generator.depth": 4})}},
            "preset 'smoke': field 'generator.depth' is set by the space",
        ),
        ({"presets": {"smoke": Preset(description=".", overrides={"seed": 4})}}, "field 'seed' is set by the plan"),
        (
            {"presets": {"smoke": Preset(description=".", space={"generator.with": choice(2)})}},
            "preset 'smoke': space 'generator.with' does not exist; did you mean 'generator.width'?",
        ),
    ],
)
def test_a_wrong_study_is_refused_in_one_line(changes: dict[str, Any], words: str, declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        Study(**{**declared, **changes})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("owner", ["axis", "space"])
def test_the_seed_of_a_trial_belongs_to_the_plan(owner: str, declared: dict[str, Any]) -> None:
    # the plan sets it for each cell, so whatever else sets it would be overwritten without a word
    if owner == "axis":
        declared["axes"] = {"seed": {"a": {"seed": 1}, "b": {"seed": 2, "n_critic": 2}}}
    else:
        declared["space"] = {"seed": choice(1, 2), **SPACE}
    declared["labels"] = {}
    with pytest.raises(ValueError, match=f"field 'seed' is set by .*{owner}.* and by the plan"):
        Study(**declared)


def test_an_unknown_preset_names_the_nearest_one(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"preset 'smok' does not exist; did you mean 'smoke'\?"):
        Study(**declared).at("smok")


def test_more_draws_than_cells_are_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="draws = 7 is more than the 6 different cells of the space"):
        Study(**{**declared, "draws": 7}).plan()
    assert len(Study(**{**declared, "draws": 6}).plan()) == 12


def test_a_continuous_space_has_no_end(declared: dict[str, Any]) -> None:
    declared["presets"] = {}
    study = Study(**{**declared, "space": {"generator_optimizer.lr": uniform(1e-4, 1e-3)}, "draws": 50})
    assert len(study.plan()) == 100


# Searches

KINDS = either(
    clipping={"constraint": WeightClip(), "constraint.bound": uniform(0.001, 0.1)},
    penalty={"constraint": GradientPenalty(), "constraint.weight": choice(1.0, 10.0)},
)
TUNED: dict[str, Any] = {
    "axes": {"objective": {"wgan": {"loss": Wasserstein(), "discriminator.norm": "layer"}}},
    "space": {"constraint kind": KINDS, "generator.depth": choice(4, 8)},
    "search": TPE(),
    "presets": {},
    "labels": {},
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pruner": Hyperband(), "search": RandomSearch()}, "it would bias the counts"),
        ({"pruner": Wilcoxon(), "search": Sobol()}, "Study.pruner = Wilcoxon(p=0.1, startup=2) needs a sequential"),
        ({"goals": ("failures",), "search": Grid()}, "with Grid, which fixes the cells before anything runs"),
        ({"limits": {"failures": 0.0}, "search": RandomSearch()}, "needs a sequential search such as TPE()"),
        ({"space": {}}, "TPE has nothing to search"),
        (
            {"goals": ("inception_scor",)},
            "Study.goals: 'inception_scor' does not exist; did you mean 'inception_score'?",
        ),
        ({"goals": ("failures", "failures")}, "repeats a goal"),
        ({"failed_scores": {"failures": 1.0}}, "Study.failed_scores: 'failures' does not exist"),
        ({"limits": {"inception_score": 1.0}}, "Study.limits: 'inception_score' does not exist"),
        ({"search": GP()}, "GP learns from candidates with a value only: say what a failed run counts as"),
        ({"search": NSGA2()}, "NSGA2 learns from candidates with a value only"),
        ({"goals": ("inception_score", "failures")}, "a study with several goals learns from candidates with a value"),
        (
            {"goals": ("failures", "seconds_per_step"), "pruner": Hyperband()},
            "Hyperband compares by one score, and Study.goals has 2: set pruner = None",
        ),
        ({"pruner": Median(), "repeats": 3}, "one arm and repeats = 1, not 3 trials for each candidate"),
        ({"pruner": Hyperband(), "goals": ("failures",)}, "it needs a score as the goal"),
        ({"pruner": Wilcoxon()}, "Wilcoxon compares candidates seed by seed: it needs one arm and repeats of 4"),
        ({"space": {"data.size": choice(16, 32)}}, "field 'data.size' cannot be searched one by one"),
        ({"space": {"kind": KINDS}}, "space 'kind' is an either(): name it in words, such as 'constraint kind'"),
        (
            {"space": {"constraint kind": KINDS, "constraint.weight": choice(1.0)}},
            "field 'constraint.weight' is set by two entries of the space; only one may set it",
        ),
        (
            {"axes": {"objective": {"a": {"constraint": None, "loss": Wasserstein(), "discriminator.norm": "layer"}}}},
            "field 'constraint' is set by axis 'objective' and by the space",
        ),
        (
            {"space": {"constraint kind": either(a={"constraint": WeightClip()}, b={"constraint.wight": choice(1.0)})}},
            "branch 'b' of 'constraint kind':",
        ),
        ({"labels": {"constraint.weigth": "lambda"}}, "did you mean 'constraint.weight'?"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_in_one_line(
    changes: dict[str, Any], words: str, declared: dict[str, Any]
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        Study(**{**declared, **TUNED, **changes})
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: either(one={"n_critic": 1}), "either() needs at least two branches"),
        (lambda: either(a={"x y": KINDS}, b={}), "is an either() within an either()"),
        (lambda: uniform(0, 1, steps=1), "steps = 1 needs at least 2 values"),
        (lambda: Hyperband(factor=1), "Hyperband.factor = 1"),
        (lambda: Wilcoxon(p=1.5), "Wilcoxon.p = 1.5 must be below 1"),
        (lambda: TPE(startup=0), "TPE.startup = 0"),
        (lambda: NSGA2(popluation=4), "did you mean 'population'?"),
    ],
)
def test_a_part_of_a_search_with_a_wrong_value_is_refused(build: Any, words: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        build()
    assert words in str(error.value)


def test_a_grid_has_as_many_cells_as_the_product_and_no_other_number(declared: dict[str, Any]) -> None:
    declared["presets"] = {}
    plan = Study(**{**declared, "search": Grid(), "draws": 1}).plan()
    assert len(plan) == plan.num_planned == 6 * 2
    assert len(Study(**{**declared, "search": Grid(), "draws": 6}).plan()) == 12
    with pytest.raises(ValueError, match="draws = 4, but the grid has 6 cells: leave draws unset"):
        Study(**{**declared, "search": Grid(), "draws": 4}).plan()


def test_another_design_draws_other_cells_of_the_same_space(declared: dict[str, Any]) -> None:
    plans = {
        type(search).__name__: {trial.id for trial in Study(**{**declared, "search": search}).plan()}
        for search in (RandomSearch(), Sobol())
    }
    assert plans["RandomSearch"] == {trial.id for trial in Study(**declared).plan()}
    assert plans["Sobol"] != plans["RandomSearch"]


def test_a_tuning_study_plans_its_trials_without_knowing_them(declared: dict[str, Any]) -> None:
    plan = Study(**{**declared, **TUNED, "draws": 5, "repeats": 2}).plan()
    assert (len(plan), plan.num_planned) == (0, 10)
    slots = plan.slots()
    assert [slot["cell"] for slot in slots] == [f"c{n:03d}" for n in range(5) for _ in range(2)]
    assert len({slot["trial"] for slot in slots}) == 10
    grown = plan + plan.candidate(1, {"constraint kind": "penalty", "constraint.weight": 1.0, "generator.depth": 8})
    assert [slot["trial"].startswith("undrawn-") for slot in grown.slots()] == [True] * 2 + [False] * 2 + [True] * 6
    assert [slot["seed"] for slot in grown.slots()] == [slot["seed"] for slot in slots]


def test_everything_that_may_be_drawn_is_checked_before_anything_runs(declared: dict[str, Any]) -> None:
    plan = Study(**{**declared, **TUNED}).plan()
    drawn = [(type(t.config.constraint).__name__, t.config.generator.depth) for t in plan.examples()]
    assert {kind for kind, _ in drawn} == {"WeightClip", "GradientPenalty"}
    assert {depth for _, depth in drawn} == {4, 8}


def test_the_fields_of_branches_are_no_difference_between_the_arms(declared: dict[str, Any]) -> None:
    arms = {"wgan": {"loss": Wasserstein(), "discriminator.norm": "layer"}, "gan": {"discriminator.norm": "layer"}}
    study = Study(**{**declared, **TUNED, "axes": {"objective": arms}})
    assert not [name for name in study.arm_changes()["gan"] if name.startswith("constraint")]
    assert not [name for name in study.baseline_fields() if name.startswith("constraint")]
    assert study.factors == {
        "constraint kind": ["clipping", "penalty"],
        "constraint.bound": None,
        "constraint.weight": [1.0, 10.0],
        "generator.depth": [4, 8],
    }


@pytest.mark.parametrize(
    ("study", "preset", "ends"),
    [
        ("arch_robustness", "laptop", (48, "f2af14241c7b", "39e349c03a8e")),
        ("arch_robustness", "paper", (400, "440238321d26", "be0a282c39b6")),
        ("failure_modes_toy", "laptop", (133, "1edf609a49dd", "3d5775c98d91")),
        ("label_budgets", "paper", (200, "b57c914340bc", "418c38859cb6")),
    ],
)
def test_the_trials_of_published_studies_keep_their_ids(study: str, preset: str, ends: tuple[int, str, str]) -> None:
    # recorded runs are found by these; made by: gansweep plan before searches could be chosen
    plan = load_study(STUDIES / f"{study}.py").at(preset).plan()
    assert (len(plan), plan.trials[0].id, plan.trials[-1].id) == ends


# Arms


def test_two_axes_give_the_product_of_their_arms(declared: dict[str, Any]) -> None:
    declared["axes"]["critic"] = {"one": {"discriminator.width": 2}, "two": {"discriminator.width": 4}}
    declared["labels"] = {}
    arms = Study(**declared).arms
    assert list(arms) == ["gan/one", "gan/two", "wgan_gp/one", "wgan_gp/two"]
    assert arms["wgan_gp/two"] == {**WGAN_GP, "discriminator.width": 4}


def test_a_whole_part_and_one_of_its_fields_go_together_in_either_order(declared: dict[str, Any]) -> None:
    whole, field = {"constraint": WeightClip()}, {"constraint.bound": 0.1}
    for axes in ({"a": {"x": whole}, "b": {"y": field}}, {"a": {"x": field}, "b": {"y": whole}}):
        study = Study(**{**declared, "axes": axes, "labels": {}})
        assert study.resolve({}, "x/y", seed=0).constraint == WeightClip(bound=0.1)


def test_resolving_puts_the_arm_the_cell_and_the_seed_on_the_baseline(
    declared: dict[str, Any], tiny: TrialConfig
) -> None:
    study = Study(**declared)
    config = study.resolve({"generator.depth": 12}, "wgan_gp", seed=9)
    flat, before = flatten(config), flatten(tiny)
    changed = {name for name in flat if name not in before or flat[name] != before[name]}
    assert changed == {
        "loss",
        "constraint",
        "constraint.weight",
        "constraint.target",
        "constraint.one_sided",
        "constraint.allow_batch_norm",
        "constraint.at",
        "discriminator.norm",
        "n_critic",
        "generator.depth",
        "seed",
    }
    assert (config.seed, config.generator.depth, config.n_critic) == (9, 12, 5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"metrics": (InceptionScore(), InceptionScore(num_samples=50))},
            "two metrics give the score 'inception_score'",
        ),
        ({"report": (Survival(), Survival(resamples=200))}, "two sections titled 'Survival of the score'"),
        ({"rules": (BelowScore(score="inception_scor"),)}, "did you mean 'inception_score'?"),
        (
            {"metrics": (NGramDivergence(),), "rules": (), "thresholds": (0.5,)},
            "thresholds are for scores of which more",
        ),
        (
            {"metrics": (NGramDivergence(),), "rules": (Collapsed(score="js_4"),)},
            "Collapsed is for scores of which more",
        ),
        ({"axes": {}}, "axes is empty"),
    ],
)
def test_scores_and_what_is_said_of_them_must_agree(
    changes: dict[str, Any], words: str, declared: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Study(**{**declared, "presets": {}, **changes})


def test_an_unknown_arm_is_no_trial(declared: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        Study(**declared).resolve({}, "no_such_arm", seed=0)


def test_the_changes_of_the_arms_are_the_fields_in_which_any_arm_differs(declared: dict[str, Any]) -> None:
    changes = Study(**declared).arm_changes()
    assert changes["gan"]["loss"] == "NonSaturating"
    assert changes["wgan_gp"]["loss"] == "Wasserstein"
    assert (changes["gan"]["constraint.weight"], changes["wgan_gp"]["constraint.weight"]) == (None, 10.0)
    assert set(changes["gan"]) == set(changes["wgan_gp"])
    assert not {"generator.depth", "generator.width", "seed", "steps"} & set(changes["gan"])


# Plans


def test_a_plan_is_every_cell_under_every_arm_block_by_block(declared: dict[str, Any]) -> None:
    plan = Study(**declared).plan()
    assert len(plan) == 8
    assert [(t.cell, t.arm) for t in plan] == [(f"c{n:03d}", arm) for n in range(4) for arm in ("gan", "wgan_gp")]
    assert [t.position for t in plan] == list(range(8))
    assert len({t.id for t in plan}) == 8
    assert all(t.id == t.config.id for t in plan)


def test_the_trials_of_a_block_share_seed_and_factors_and_blocks_differ_in_both(declared: dict[str, Any]) -> None:
    trials = list(Study(**declared).plan())
    for one, other in zip(trials[::2], trials[1::2], strict=True):
        assert one.config.seed == other.config.seed
        assert one.factors == other.factors
    assert len({t.config.seed for t in trials}) == 4
    assert len({tuple(t.factors.items()) for t in trials}) == 4


def test_a_plan_is_a_function_of_the_study_and_its_seed(declared: dict[str, Any]) -> None:
    study = Study(**declared)
    ids = [t.id for t in study.plan()]
    assert ids == [t.id for t in Study(**declared).plan()]
    other = [t.id for t in study.at(None, seed=1).plan()]
    assert not set(ids) & set(other)


def test_more_draws_extend_a_plan_and_change_none_of_it(declared: dict[str, Any]) -> None:
    study = Study(**declared)
    assert [t.id for t in study.at(None, draws=6).plan()][:8] == [t.id for t in study.plan()]


def test_a_new_arm_changes_no_other_arms_trials(declared: dict[str, Any]) -> None:
    before = {t.id for t in Study(**declared).plan()}
    declared["axes"]["objective"]["lsgan"] = {**GAN, "loss": LeastSquares()}
    assert before < {t.id for t in Study(**declared).plan()}


def test_two_equal_trials_in_a_plan_are_our_own_mistake(declared: dict[str, Any]) -> None:
    plan = Study(**declared).plan()
    with pytest.raises(AssertionError, match="1 trials of the plan share an id"):
        Plan(study=plan.study, trials=(*plan.trials, plan.trials[0]))


# The design's hash: what was declared, and nothing of how it is shown


def design_of(study: Study) -> str:
    return content_id(study.plan().design())


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {}},
        {"caveats": ("Small.",)},
        {"question": "Does it?"},
        {"source": "somewhere"},
        {"presets": {}},
    ],
)
def test_what_is_only_shown_is_no_part_of_the_design(changes: dict[str, Any], declared: dict[str, Any]) -> None:
    assert design_of(Study(**{**declared, **changes})) == design_of(Study(**declared))


@pytest.mark.parametrize(
    "changes",
    [
        {"draws": 3},
        {"seed": 1},
        {"space": {"generator.depth": choice(4, 8, 12, 20), "generator.width": choice(2, 4)}},
        {"thresholds": (2.0,)},
        {"rules": ()},
        {"audit_fraction": 0.5},
        {"metrics": (InceptionScore(num_samples=200, num_splits=1),)},
        {"axes": {"objective": {"gan": GAN, "wgan_gp": {**WGAN_GP, "n_critic": 4}}}},
    ],
)
def test_what_changes_a_result_changes_the_design(changes: dict[str, Any], declared: dict[str, Any]) -> None:
    assert design_of(Study(**{**declared, **changes})) != design_of(Study(**declared))


def test_the_baseline_is_part_of_the_design(declared: dict[str, Any], tiny: TrialConfig) -> None:
    longer = dataclasses.replace(tiny, steps=8)
    assert design_of(Study(**{**declared, "baseline": longer})) != design_of(Study(**declared))


def test_the_design_is_plain_json(declared: dict[str, Any]) -> None:
    design = Study(**declared).plan().design()
    assert json.loads(json.dumps(design)) == design


# Presets and selections


def test_a_preset_changes_fields_spaces_and_draws(declared: dict[str, Any]) -> None:
    study = Study(**declared)
    assert (study.at("smoke").baseline.steps, study.at("smoke").draws) == (4, 2)
    paper = study.at("paper")
    assert (paper.space["generator.width"], paper.space["generator.depth"]) == (choice(32), SPACE["generator.depth"])
    assert list(paper.space) == list(SPACE)  # the order decides what is drawn
    assert (paper.space_size, paper.draws) == (3, 3)
    assert study.at(None).draws == 4


def test_a_preset_changes_further_fields_of_an_arm_and_of_no_other(arch_robustness: Study) -> None:
    paper, laptop = (arch_robustness.at(name).arm_changes() for name in ("paper", "laptop"))
    for arm, rate in {"gan": 2e-4, "wgan_gp": 1e-4}.items():
        for role in ("generator_optimizer.lr", "discriminator_optimizer.lr"):
            assert paper[arm][role] == rate
            assert laptop[arm][role] == pytest.approx(10 * rate)
    assert laptop["wgan_gp"]["generator_optimizer.beta2"] == 0.9


def test_a_preset_for_an_unknown_arm_names_the_nearest_one(arch_robustness: Study) -> None:
    wrong = Preset(description="Wrong.", arms={"wgan_pg": {"n_critic": 2}})
    with pytest.raises(ValueError, match="arm 'wgan_pg' does not exist; did you mean 'wgan_gp'"):
        dataclasses.replace(arch_robustness, presets={"laptop": wrong})


def test_the_command_line_comes_after_the_preset(declared: dict[str, Any]) -> None:
    study = Study(**declared).at("smoke", draws=1, seed=7, data="digits")
    assert (study.draws, study.seed, study.baseline.steps) == (1, 7, 4)
    assert study.baseline.data.name == "digits"


def test_an_unknown_data_set_names_the_nearest_one(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"data set 'digit' does not exist; did you mean 'digits'\?"):
        Study(**declared).at(None, data="digit")


def test_a_run_is_named_after_what_was_selected(declared: dict[str, Any]) -> None:
    study = Study(**declared)
    names = [
        Selection(file="f.py").run_name(study),
        Selection(file="f.py", preset="smoke").run_name(study),
        Selection(file="f.py", preset="smoke", draws=3, seed=0, data="parquet:a/b.parquet").run_name(study),
    ]
    assert names == ["small", "small-smoke", "small-smoke-draws3-seed0-dataparquet_a_b_parquet"]


def test_a_label_is_the_given_one_or_the_name_in_words(declared: dict[str, Any]) -> None:
    study = Study(**declared)
    assert study.label("gan") == "Standard GAN"
    assert study.label("generator.kernel_size") == "generator kernel size"


# Study files


def test_a_missing_study_file_names_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"study file .*did you mean '.*arch_robustness\.py'\?"):
        load_study(STUDIES / "arch_robustnes.py")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "defines no `study = Study(...)`"),
        ("study = 3\n", "defines no `study = Study(...)`"),
        ("x = 1\nstudy = (\n", "line 2"),
        ("from gansweep import Studdy\n", "Studdy"),
        ("study = Studdy()\n", "Studdy"),
        ("from gansweep import Adam\nAdam(lrr=3)\n", "field of Adam 'lrr' does not exist; did you mean 'lr'?"),
    ],
)
def test_a_broken_study_file_is_an_error_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the words are compared below
        load_study(file)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# The random-architectures study


@pytest.fixture(scope="module")
def arch_robustness() -> Study:
    return load_study(STUDIES / "arch_robustness.py")


def test_the_set_of_architectures_has_9216_members(arch_robustness: Study) -> None:
    # Gulrajani et al. 2017, table 1: 4 nonlinearities and 4 depths for each network, norm or not in each, 3 widths each
    assert 4 * 4 * 4 * 4 * 2 * 2 * 3 * 3 == 9_216
    assert arch_robustness.at("paper").space_size == 9_216
    assert arch_robustness.at("paper").draws == 200


def test_the_arms_follow_appendix_b(arch_robustness: Study) -> None:
    study = arch_robustness.at("paper")
    factors = {path: space.first for path, space in study.space.items()}
    gan, wgan_gp = (study.resolve(factors, arm, seed=0) for arm in ("gan", "wgan_gp"))
    decay = {"weight_decay": 1e-3, "weight_decay_when": "normalised"}
    slow, fast = {"lr": 1e-4, "beta1": 0.0, "beta2": 0.9}, {"lr": 2e-4, "beta1": 0.5, "beta2": 0.999}
    assert (gan.loss, gan.constraint, gan.n_critic) == (NonSaturating(), None, 1)
    assert (gan.generator_optimizer, gan.discriminator_optimizer) == (Adam(**fast), Adam(**fast, **decay))
    assert (wgan_gp.loss, wgan_gp.constraint, wgan_gp.n_critic) == (Wasserstein(), GradientPenalty(weight=10.0), 5)
    assert (wgan_gp.generator_optimizer, wgan_gp.discriminator_optimizer) == (Adam(**slow), Adam(**slow, **decay))
    assert (gan.discriminator.norm, wgan_gp.discriminator.norm) == ("batch", "layer")
    for config in (gan, wgan_gp):
        assert (config.steps, config.batch_size, config.latent.size) == (100_000, 64, 128)


def test_every_preset_plans(arch_robustness: Study) -> None:
    for preset in arch_robustness.presets:
        study = arch_robustness.at(preset)
        assert len(study.plan()) == 2 * study.draws


def test_the_arms_of_a_planned_block_share_all_fingerprints(arch_robustness: Study, tiny_images: Any, cpu: Any) -> None:
    from gansweep.training import TrainState, fingerprints

    blocks: dict[str, list[dict[str, str]]] = {}
    for trial in arch_robustness.at("smoke").plan():
        state = TrainState.build(trial.config, shape=(1, 16, 16), num_classes=4, device=cpu)
        blocks.setdefault(trial.cell, []).append(fingerprints(trial.config, state, tiny_images, cpu))
    assert all(one == other for one, other in blocks.values())
    for name in ("fingerprint_data", "fingerprint_latent", "fingerprint_init"):
        assert len({block[0][name] for block in blocks.values()}) == len(blocks) == 2


def test_repeats_are_further_seeds_of_a_draw(declared: dict[str, Any]) -> None:
    once, thrice = Study(**declared).plan(), Study(**{**declared, "repeats": 3}).plan()
    assert len(thrice) == 3 * len(once)
    seeds: dict[str, set[int]] = {}
    for trial in thrice:
        seeds.setdefault(trial.cell, set()).add(trial.config.seed)
    # a cell, which is what statistics resample, is a draw with all its seeds
    assert {cell: len(of_cell) for cell, of_cell in seeds.items()} == {trial.cell: 3 for trial in once}
    # the first repeat is the trial that there was without repeats, so that some can be added
    assert {trial.id for trial in once} < {trial.id for trial in thrice}


def test_a_study_without_a_space_can_repeat_its_one_cell(declared: dict[str, Any]) -> None:
    plan = Study(**{**declared, "space": {}, "draws": 1, "repeats": 4, "presets": {}}).plan()
    assert [trial.cell for trial in plan][:: len(plan.study.arms)] == ["c000", "c001", "c002", "c003"]
    assert len({trial.id for trial in plan}) == len(plan)


def test_a_drawn_architecture_is_the_one_that_is_built(arch_robustness: Study) -> None:
    for trial in arch_robustness.at("paper", draws=10).plan():
        for role in ("generator", "discriminator"):
            spec = getattr(trial.config, role)
            for field in ("depth", "width", "activation", "normalised"):
                assert getattr(spec, field) == trial.factors[f"{role}.{field}"]
        assert isinstance(trial.config.discriminator, DCGANDiscriminator)


# The studies that ship


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.py")), ids=lambda file: file.stem)
@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_every_study_fits_its_data_at_every_size(file: Path, preset: str, tmp_path: Path) -> None:
    study = load_study(file).at(preset)
    assert study.presets[preset].description
    data = study.baseline.data
    if isinstance(data, ImageSource):  # the shape of the real set is enough, and it may have to be downloaded
        shape = (1000, data.channels, data.size, data.size)
        images = ImageSet(torch.zeros(shape, dtype=torch.uint8), torch.arange(1000) % 10, 10)
        opened = OpenData(
            data, data.name, "", images, Images("", *[np.zeros(1000)] * 4, (), "", data.size, data.channels)
        )
    else:
        part = GeneratedSentences() if isinstance(data, TextFile) else data
        opened = open_data(part, prepare_data(part, tmp_path), "cpu")
    known = {data: opened}
    for trial in [*study.plan().trials[:40], *study.plan().trials[-10:]]:
        own = trial.config.data
        if own not in known:
            known[own] = open_data(own, prepare_data(own, tmp_path), "cpu")
        check_fit(trial.config, known[own].training)
        for metric in study.metrics:
            metric.check(trial.config, known[own])
        for portrait in study.portraits:
            portrait.check(trial.config, known[own].training.shape)
