"""What holds for every objective: derivatives, means, extreme outputs, descriptions, and what it refuses."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansweep import Latent, TrialConfig
from gansweep.losses.conditional import ACGAN
from gansweep.losses.energy import BEGAN, EBGAN
from gansweep.losses.infogan import InfoGAN
from gansweep.losses.objective import Objective
from gansweep.losses.objectives import Hinge, LeastSquares, Minimax, NonSaturating, Wasserstein
from gansweep.losses.semi_supervised import SGAN, CatGAN, ImprovedGAN
from gansweep.models.heads import Judge
from gansweep.outputs import Heads, Output
from gansweep.parts import override, part

CLASSES, BATCH, FEATURES = 3, 5, 4
LATENT = Latent(size=2, categorical=(4, 3), continuous=2)
OBJECTIVES: list[Any] = [
    NonSaturating(),
    Minimax(),
    LeastSquares(),
    LeastSquares(a=-1.0, b=1.0, c=0.0),
    LeastSquares(a=0.0, b=1.0, c=0.5),
    Wasserstein(),
    Hinge(),
    EBGAN(),
    EBGAN(margin=1.0, pulling_away=0.0),
    BEGAN(initial_balance=0.3),
    ACGAN(),
    ACGAN(adversarial=Wasserstein(), generator_weight=0.1, classify_fakes=False),
    InfoGAN(),
    InfoGAN(adversarial=Hinge(), categorical_weight=0.5, continuous_weight=2.0, guide_generator=False),
    CatGAN(),
    CatGAN(num_categories=7),
    SGAN(),
    ImprovedGAN(),
    ImprovedGAN(generator_loss="non_saturating", labelled_weight=0.5),
]
every = pytest.mark.parametrize("spec", OBJECTIVES, ids=repr)
each_class = pytest.mark.parametrize(
    "kind", sorted({type(spec) for spec in OBJECTIVES}, key=lambda kind: kind.__name__)
)


def built(spec: Any) -> Any:
    return spec.build(torch.device("cpu"))


def tensors_of(spec: Any, num: int = BATCH, scale: float = 2.0, seed: int = 0) -> list[Tensor]:
    """What a network with the heads asked for might say of a batch, in float64: score, classes, features, codes."""
    heads, generator = spec.heads(CLASSES, LATENT), torch.Generator().manual_seed(seed)
    sizes = [
        num,
        (num, heads.classes),
        (num, FEATURES),
        *((num, k) for k in heads.categorical),
        (num, heads.continuous),
    ]
    found = [scale * torch.randn(size, dtype=torch.float64, generator=generator) for size in sizes]  # type: ignore[call-overload]
    found[0] = 5 * found[0].abs() if heads.energy else found[0]  # errors on both sides of a margin of 10
    return found


def output_of(spec: Any, tensors: list[Tensor], seed: int = 0) -> Output:
    """The same as an `Output`, without what nobody asked for, with labels and codes that it was made from."""
    heads, generator = spec.heads(CLASSES, LATENT), torch.Generator().manual_seed(seed)
    score, classes, features, *codes = tensors
    num = BATCH
    given = [torch.randint(k, (num,), generator=generator) for k in heads.categorical]
    means = torch.rand(num, heads.continuous, dtype=torch.float64, generator=generator) * 2 - 1
    asked = [*codes[: len(heads.categorical)], *(codes[-1:] if heads.continuous else [])]
    times = len(score) // num
    return Output(
        score=score if heads.score or heads.energy else None,
        classes=classes if heads.classes else None,
        codes=tuple(asked),
        features=features,
        labels=torch.randint(CLASSES, (num,), generator=generator).repeat(times),
        given=tuple(t.repeat(times, *[1] * (t.ndim - 1)) for t in [*given, *([means] if heads.continuous else [])]),
    )


def losses_of(spec: Any) -> list[tuple[str, Callable[[Output, Output], Tensor]]]:
    objective = built(spec)
    losses = [
        ("discriminator", objective.discriminator),
        ("generator", lambda r, f: objective.generator(r.detach(), f)),
    ]
    if spec.semi_supervised:
        losses.append(("supervised", lambda r, f: objective.supervised(r)))
    return losses


def pack(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


def unpack(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    return [t.view_as(m) for t, m in zip(flat.split([m.numel() for m in like]), like, strict=True)]


@every
def test_gradients_agree_with_central_differences(spec: Any) -> None:
    real, fake = tensors_of(spec, seed=1), tensors_of(spec, seed=2)
    point, h = pack([*real, *fake]), 1e-5
    for name, loss in losses_of(spec):

        def function(flat: Tensor, loss: Callable[[Output, Output], Tensor] = loss) -> Tensor:
            parts = unpack(flat, [*real, *fake])
            return loss(output_of(spec, parts[: len(real)], seed=3), output_of(spec, parts[len(real) :], seed=4))

        variable = point.clone().requires_grad_()
        (exact,) = torch.autograd.grad(function(variable), variable)
        numeric = torch.zeros_like(point)
        counted = point.clone()
        if name == "generator":
            counted[: pack(real).numel()] = 0  # what D said of real examples is a constant there
        for index in counted.nonzero().flatten().tolist():
            change = torch.zeros_like(point)
            change[index] = h
            numeric[index] = (function(point + change) - function(point - change)) / (2 * h)
        assert exact.norm() > 0
        assert (exact - numeric).norm() < 1e-6 * exact.norm(), name


# the pulling-away term is a mean over pairs, and a copy of an example makes new pairs: its test is in _energy.py
@pytest.mark.parametrize("spec", [spec for spec in OBJECTIVES if spec != EBGAN()], ids=repr)
def test_T_6_a_loss_is_a_mean_so_a_doubled_batch_changes_nothing(spec: Any) -> None:
    real, fake = tensors_of(spec, seed=1), tensors_of(spec, seed=2)
    for name, loss in losses_of(spec):
        once, twice = (
            loss(*(output_of(spec, [t.repeat(times, *[1] * (t.ndim - 1)) for t in said]) for said in (real, fake)))
            for times in (1, 2)
        )
        torch.testing.assert_close(twice, once, rtol=1e-13, atol=1e-13, msg=name)


@every
@pytest.mark.parametrize("scale", [0.0, 1e-4, 1e4])
def test_T_8_extreme_outputs_give_finite_losses_and_gradients(spec: Any, scale: float) -> None:
    for _, loss in losses_of(spec):
        said = [[t.float().requires_grad_() for t in tensors_of(spec, scale=scale, seed=s)] for s in (1, 2)]
        value = loss(*(output_of(spec, tensors) for tensors in said))
        assert torch.isfinite(value)
        value.backward()
        gradients = [t.grad for tensors in said for t in tensors if t.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


@every
def test_a_loss_and_every_trace_is_one_number_and_traces_keep_their_names(spec: Any) -> None:
    objective = built(spec)
    names = []
    for seed in (1, 2):
        real, fake = (output_of(spec, tensors_of(spec, seed=seed + n)) for n in (0, 10))
        assert all(loss(real, fake).shape == () for _, loss in losses_of(spec))
        objective.after_step(real.detach(), fake.detach())
        traces = objective.traces(real.detach(), fake.detach())
        assert all(trace.shape == () and torch.isfinite(trace) for trace in traces.values())
        assert objective.score(real).shape == (BATCH,)
        names.append(list(traces))
    assert names[0] == names[1]


# With networks


class Plain(Judge):
    """A linear judge of points."""

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, FEATURES)
        self.add_heads(FEATURES, heads)

    def forward(self, x: Tensor) -> Output:
        return self.judge(torch.tanh(self.hidden(x)))


@pytest.mark.parametrize("spec", [spec for spec in OBJECTIVES if not spec.energy], ids=repr)
def test_a_network_with_the_heads_asked_for_is_trained_in_all_of_them(spec: Any) -> None:
    torch.manual_seed(0)
    network, objective = Plain(spec.heads(CLASSES, LATENT)), built(spec)
    known = output_of(spec, tensors_of(spec))
    real, fake = (network(torch.randn(BATCH, 2))._replace(labels=known.labels, given=known.given) for _ in range(2))
    loss = objective.discriminator(real, fake)
    if spec.semi_supervised:
        loss = loss + objective.supervised(real)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("spec", [spec for spec in OBJECTIVES if spec.penalisable], ids=repr)
def test_a_score_that_constraints_may_act_on_depends_on_its_own_example_only(spec: Any) -> None:
    torch.manual_seed(0)
    network, objective = Plain(spec.heads(CLASSES, LATENT)), built(spec)
    x = torch.randn(BATCH, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(objective.score(network(x))[0], x)
    assert gradient[0].norm() > 0
    assert gradient[1:].abs().max() == 0


# What each says of itself


@each_class
def test_a_description_names_the_class_both_losses_and_the_source(kind: type) -> None:
    lines = [line.strip() for line in (kind.__doc__ or "").strip().splitlines()]
    assert re.match(rf"{kind.__name__}: .*\.$", lines[0])
    assert lines[1] == ""
    assert lines[2].startswith("D: ")
    assert [line[:3] for line in lines if line[:3] in ("D: ", "G: ")] == ["D: ", "G: "]
    assert re.match(r"Source: [A-Z].* 20\d\d.*\.$", lines[-1])
    assert lines[-2] == ""


@each_class
def test_a_description_explains_every_field(kind: type) -> None:
    words = set(re.findall(r"`(\w+)[`=]|(\w+) \*", kind.__doc__ or ""))
    explained = {word for pair in words for word in pair}
    assert {field.name for field in dataclasses.fields(kind)} <= explained


# What each refuses


@part
class Points:
    """A discriminator of points as a trial sees it: whether it is told the class and whether it gives an energy."""

    conditional: bool = False
    energy: bool = False
    normalised: bool = False
    uses_batch_norm: bool = False
    stochastic: bool = False


@part
class Clouds:
    """A generator of points as a trial sees it."""

    trained = True
    conditional: bool = False
    normalised: bool = False
    stochastic: bool = False


def trial(tiny: TrialConfig, **changes: Any) -> TrialConfig:
    return override(tiny, {"generator": Clouds(), "discriminator": Points(), **changes})


def refusal(tiny: TrialConfig, **changes: Any) -> str:
    with pytest.raises(ValueError, match=r".+") as error:
        trial(tiny, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_objective_is_taken_where_it_has_a_meaning(tiny: TrialConfig) -> None:
    for spec in OBJECTIVES:
        config = trial(
            tiny,
            loss=spec,
            latent=LATENT,
            generator=Clouds(conditional=spec.needs_labels),
            discriminator=Points(energy=spec.energy),
            labelled=10 if isinstance(spec, SGAN) else None,
        )
        assert config.loss == spec


@pytest.mark.parametrize("spec", [EBGAN(), BEGAN()], ids=repr)
def test_an_energy_needs_an_auto_encoder(tiny: TrialConfig, spec: Any) -> None:
    message = refusal(tiny, loss=spec)
    assert message.startswith(f"{type(spec).__name__} needs a reconstruction error, which discriminator = Points has")
    assert message.endswith("use an auto-encoder")


@pytest.mark.parametrize("spec", [NonSaturating(), Wasserstein(), ImprovedGAN()], ids=repr)
def test_an_auto_encoder_gives_no_score_to_the_other_objectives(tiny: TrialConfig, spec: Any) -> None:
    message = refusal(tiny, loss=spec, discriminator=Points(energy=True))
    assert message.startswith(f"{type(spec).__name__} needs a raw score")


@pytest.mark.parametrize("spec", [ACGAN(), CatGAN(), SGAN(), ImprovedGAN()], ids=repr)
def test_a_discriminator_that_is_asked_for_the_class_must_not_be_told_it(tiny: TrialConfig, spec: Any) -> None:
    told = {"generator": Clouds(conditional=True), "discriminator": Points(conditional=True)}
    message = refusal(tiny, loss=spec, labelled=10 if spec.semi_supervised else None, **told)
    assert "is told it: use an unconditional discriminator" in message
    assert trial(tiny, loss=NonSaturating(), **told).uses_labels  # CGAN


@pytest.mark.parametrize("spec", [NonSaturating(), ACGAN()], ids=repr)
def test_labels_without_a_supervised_term_are_refused(tiny: TrialConfig, spec: Any) -> None:
    message = refusal(tiny, loss=spec, generator=Clouds(conditional=True), labelled=100)
    assert message.startswith(f"labelled = 100 has no meaning for {type(spec).__name__}")
    assert "set labelled=None" in message


def test_ACGAN_needs_a_generator_that_is_told_the_class(tiny: TrialConfig) -> None:
    assert "use a conditional generator" in refusal(tiny, loss=ACGAN())


def test_InfoGAN_needs_codes(tiny: TrialConfig) -> None:
    assert refusal(tiny, loss=InfoGAN()).startswith("InfoGAN needs codes in z: set latent.categorical")
    for latent in (Latent(size=2, categorical=(10,)), Latent(size=2, continuous=1)):
        assert trial(tiny, loss=InfoGAN(), latent=latent).latent == latent


def test_SGAN_needs_labels(tiny: TrialConfig) -> None:
    assert "set labelled" in refusal(tiny, loss=SGAN())


def test_CatGAN_takes_labels_for_the_classes_of_the_data_only(tiny: TrialConfig) -> None:
    assert "must be None where labelled = 100" in refusal(tiny, loss=CatGAN(num_categories=20), labelled=100)
    assert trial(tiny, loss=CatGAN(), labelled=100).labelled == 100


def test_features_are_matched_only_after_the_discriminator_has_seen_real_ones(tiny: TrialConfig) -> None:
    assert "set update_order" in refusal(tiny, loss=ImprovedGAN(), update_order="generator_first")
    trial(tiny, loss=ImprovedGAN(generator_loss="non_saturating"), update_order="generator_first")


@pytest.mark.parametrize("spec", [CatGAN(), SGAN(), ImprovedGAN()], ids=repr)
def test_classifiers_need_data_with_classes(spec: Any) -> None:
    with pytest.raises(ValueError, match=f"^{type(spec).__name__}.* needs data with classes"):
        spec.heads(0, LATENT)


@pytest.mark.parametrize("kind", [ACGAN, InfoGAN])
@pytest.mark.parametrize("inner", [EBGAN(), SGAN(), CatGAN(), ACGAN(), InfoGAN(), "NonSaturating"], ids=repr)
def test_terms_are_added_to_objectives_on_scores_only(kind: Any, inner: Any) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__}\.adversarial = .* must be an objective on scores"):
        kind(adversarial=inner)


@pytest.mark.parametrize("kind", [ACGAN, InfoGAN])
@pytest.mark.parametrize(
    "inner", [NonSaturating(), Minimax(), LeastSquares(a=-1.0, c=0.0), Wasserstein(), Hinge()], ids=repr
)
def test_added_terms_with_no_weight_leave_the_objective_inside(kind: Any, inner: Objective) -> None:
    weights = [field.name for field in dataclasses.fields(kind) if field.name.endswith("weight")]
    spec = kind(adversarial=inner, **dict.fromkeys(weights, 0.0))
    real, fake = (output_of(spec, tensors_of(spec, seed=seed)) for seed in (1, 2))
    torch.testing.assert_close(spec.discriminator(real, fake), inner.discriminator(real, fake), rtol=0, atol=1e-15)
    torch.testing.assert_close(spec.generator(real, fake), inner.generator(real, fake), rtol=0, atol=1e-15)
    assert torch.equal(spec.score(real), inner.score(real))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (EBGAN, {"margin": 0.0}),
        (EBGAN, {"pulling_away": -0.1}),
        (BEGAN, {"gamma": 0.0}),
        (BEGAN, {"gamma": 1.5}),
        (BEGAN, {"rate": -1.0}),
        (BEGAN, {"initial_balance": 2.0}),
        (ACGAN, {"generator_weight": -1.0}),
        (ACGAN, {"discriminator_weight": -1.0}),
        (InfoGAN, {"categorical_weight": -1.0}),
        (InfoGAN, {"continuous_weight": -1.0}),
        (CatGAN, {"num_categories": 1}),
        (CatGAN, {"labelled_weight": -1.0}),
        (ImprovedGAN, {"generator_loss": "feature_machting"}),
        (ImprovedGAN, {"labelled_weight": -1.0}),
    ],
)
def test_meaningless_values_are_refused_by_name(kind: Any, fields: dict[str, Any]) -> None:
    (name,) = fields
    with pytest.raises(ValueError, match=rf"^{kind.__name__}\.{name} ="):
        kind(**fields)
