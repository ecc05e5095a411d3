"""Arms that run where they are asked for: selected by name, in the order of their declaration, a run of their own."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from gansweep import Diverged, GradientPenalty, InceptionScore, LeastSquares, NonSaturating, Preset, Study, Wasserstein
from gansweep.data.opened import open_data, prepare_data
from gansweep.parts import content_id, override
from gansweep.sections import chosen_pairs
from gansweep.selection import Selection, load_study
from gansweep.space import corners, first_cell
from gansweep.study import Resources
from gansweep.training import TrainState, train
from gansweep.trial import TrialConfig

STUDIES = sorted((Path(__file__).parents[1] / "studies").glob("*.py"))
PLANTED = ("overflow-", "nan_data-")  # arms of failure_modes whose numbers are meant not to stay finite


@pytest.fixture
def study(tiny: TrialConfig) -> Study:
    wgan_gp = {"loss": Wasserstein(), "constraint": GradientPenalty(), "discriminator.norm": "layer"}
    return Study(
        name="small",
        question="Does it plan?",
        source="nowhere",
        baseline=tiny,
        axes={
            "objective": {
                "gan": {"loss": NonSaturating()},
                "lsgan": {"loss": LeastSquares()},
                "wgan_gp": wgan_gp,
                "wgan_gp_short": {**wgan_gp, "steps": 3},
            },
            "critic": {"one": {"n_critic": 1}, "two": {"n_critic": 2}},
        },
        optional_arms=("lsgan", "wgan_gp_short", "two"),
        metrics=(InceptionScore(num_samples=100, num_splits=1),),
        rules=(Diverged(),),
        presets={
            "smoke": Preset(
                description="Small.",
                overrides={"steps": 4},
                arms={"gan": {}, "lsgan": {}, "wgan_gp": {}, "wgan_gp_short": {"steps": 2}},
            )
        },
        labels={"gan/one": "Standard GAN", "lsgan/one": "LSGAN", "wgan_gp_short/two": "short"},
        resources={"gan/one": Resources(cpus=2), "lsgan/one": Resources(cpus=2)},
    )


def test_optional_arms_run_only_where_they_are_asked_for(study: Study) -> None:
    assert list(study.at("smoke").arms) == ["gan/one", "wgan_gp/one"]
    assert list(study.at("smoke", arms=("lsgan", "gan")).arms) == ["gan/one", "lsgan/one"]
    assert list(study.at("smoke", arms=("two", "wgan_gp", "one")).arms) == ["wgan_gp/one", "wgan_gp/two"]
    assert list(study.at("smoke", arms=("two",)).arms) == ["gan/two", "wgan_gp/two"]


def test_an_arm_is_the_same_trial_with_whichever_others_it_runs(study: Study) -> None:
    every = study.at("smoke", arms=tuple(study.axis_arms)).plan()
    ids = {trial.arm: trial.id for trial in every}
    assert len(ids) == 8
    for arms in (None, ("lsgan",), ("wgan_gp_short", "gan", "two")):
        for trial in study.at("smoke", arms=arms).plan():
            assert ids[trial.arm] == trial.id


def test_what_may_be_asked_for_changes_nothing_of_what_runs(study: Study) -> None:
    kept = {"objective": {name: study.axes["objective"][name] for name in ("gan", "wgan_gp")}}
    kept["critic"] = {"one": study.axes["critic"]["one"]}
    bare = dataclasses.replace(
        study, axes=kept, optional_arms=(), labels={"gan/one": "Standard GAN"}, resources={}, presets={}
    )
    with_them, without = study.at(None).plan(), bare.at(None).plan()
    assert [trial.id for trial in with_them] == [trial.id for trial in without]
    assert content_id(with_them.design()) == content_id(without.design())
    assert study.at(None).labels == {"gan/one": "Standard GAN"}
    assert set(study.at(None).resources) == {"gan/one"}


def test_a_preset_may_set_a_field_that_it_gives_anew_to_every_arm_that_sets_it(study: Study) -> None:
    plan = study.at("smoke", arms=tuple(study.axis_arms)).plan()
    assert {(trial.arm.split("/")[0], trial.config.steps) for trial in plan} == {
        ("gan", 4),
        ("lsgan", 4),
        ("wgan_gp", 4),
        ("wgan_gp_short", 2),
    }
    lost = dataclasses.replace(study.presets["smoke"], arms={})
    with pytest.raises(ValueError, match="field 'steps' is set by axis 'objective'; only one may set it"):
        dataclasses.replace(study, presets={"smoke": lost})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optional_arms": ("lsgn",)}, "Study.optional_arms: 'lsgn' does not exist; did you mean 'lsgan'?"),
        ({"optional_arms": ("one", "two")}, "axis 'critic' has optional arms only: one at least must run"),
    ],
)
def test_wrong_optional_arms_are_refused(changes: dict[str, Any], words: str, study: Study) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        dataclasses.replace(study, **changes)


def test_an_unknown_arm_names_the_nearest_one(study: Study) -> None:
    words = re.escape("study 'small': arm 'wgan_pg' does not exist; did you mean 'wgan_gp'?")
    with pytest.raises(ValueError, match=words):
        study.at("smoke", arms=("gan", "wgan_pg"))
    with pytest.raises(ValueError, match=words):
        Selection(file="f.py", preset="smoke", arms=("wgan_pg",)).run_name(study)


def test_a_selection_of_arms_is_a_run_of_its_own_in_whatever_order_it_is_asked_for(study: Study) -> None:
    names = {
        Selection(file="f.py", preset="smoke", draws=2, arms=arms).run_name(sized)
        for arms in (("two", "lsgan", "gan"), ("gan", "lsgan", "two"))
        for sized in (study, study.at("smoke", arms=arms))
    }
    assert names == {"small-smoke-draws2-arms-gan-lsgan-two"}
    assert Selection(file="f.py", preset="smoke").run_name(study) == "small-smoke"


def test_sections_can_show_some_pairs_of_arms() -> None:
    arms = ["a", "b", "c"]
    assert chosen_pairs((), arms) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert chosen_pairs((("c", "a"), ("b", "d")), arms) == [("a", "c")]
    assert chosen_pairs((("d", "e"),), arms) == chosen_pairs((), arms)


# The studies that ship


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def three_steps(config: TrialConfig, opened: Any, cpu: Any) -> None:
    """Train for three iterations with small batches; every number that is reported must be finite."""
    small = {"batch_size": min(config.batch_size, config.labelled or 8)}
    short = override(config, {"steps": 3, "report_every": 1, "evaluate_every": 1, "critic_warmup": False, **small})
    data = opened.training
    state = TrainState.build(short, shape=data.shape, num_classes=data.num_classes, device=cpu)
    steps = list(train(short, state, data, cpu))
    assert [step.step for step in steps] == [1, 2, 3]
    assert all(step.nonfinite_step is None for step in steps)


def passes(config: TrialConfig) -> int:
    """Passes of a network over a batch in one iteration, forward or backward: 5 a discriminator update (G, D on real
    and fake; back through D for both), 4 more with a gradient penalty (D, back to its input, back through both), 4 the
    generator's update (G, D; back through both)."""
    return config.n_critic * (9 if isinstance(config.constraint, GradientPenalty) else 5) + 4


@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
@pytest.mark.parametrize(
    ("name", "arm", "reference"),
    [
        ("arch_robustness", "wgan_gp_equal_compute", "gan"),
        *(("critic_steps", f"gan_{num}_same_cost", "gan_1") for num in (2, 5, 10)),
        *(("critic_steps", f"wgan_gp_{num}_same_cost", "wgan_gp_5") for num in (1, 2, 10)),
    ],
)
def test_arms_of_equal_compute_have_as_many_passes_as_their_reference(
    name: str, arm: str, reference: str, preset: str
) -> None:
    study = load_study(STUDIES[0].parent / f"{name}.py")
    study = study.at(preset, arms=(arm, reference))
    cell = first_cell(study.space)
    ours, theirs = (study.resolve(cell, one, seed=0) for one in (arm, reference))
    # the number of iterations is rounded to a whole one
    assert abs(ours.steps * passes(ours) - theirs.steps * passes(theirs)) <= passes(ours) / 2


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_arm_of_every_study_takes_three_finite_steps(file: Path, prepared: Path, cpu: Any) -> None:
    study = load_study(file)
    study = study.at("smoke", arms=tuple(study.axis_arms))
    opened = open_data(study.baseline.data, prepare_data(study.baseline.data, prepared), cpu)
    for arm in study.arms:
        config = study.resolve(first_cell(study.space), arm, seed=0)
        if config.data == study.baseline.data and not arm.startswith(PLANTED):
            three_steps(config, opened, cpu)


@pytest.mark.slow
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_whatever_a_study_draws_takes_three_finite_steps(file: Path, prepared: Path, cpu: Any) -> None:
    study = load_study(file).at("smoke")
    opened = open_data(study.baseline.data, prepare_data(study.baseline.data, prepared), cpu)
    for cell in corners(study.space):
        three_steps(study.resolve(cell, next(iter(study.arms)), seed=0), opened, cpu)
