"""The published numbers: their sources and tags, what adds up and what does not, and what is never a fact."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gansweep import evidence, published
from gansweep.evidence import (
    SOURCES,
    STUDIES,
    Agreement,
    Claim,
    Fact,
    Finding,
    Inconsistency,
    PublishedOutcomes,
    PublishedTable,
    Recalled,
    Unstated,
    Value,
    known,
)
from gansweep.published import (
    acgan,
    began,
    catgan,
    cgan,
    created_equal,
    documents,
    dragan,
    ebgan,
    improved_gan,
    infogan,
    lsgan,
    ports,
    sgan,
    wgan,
    wgan_gp,
    wgan_gp_images,
    wgan_gp_toys,
)

# the keys of the register in the literature notes, the five founding documents, and what the notes name in passing
# fmt: off
REGISTER = [
    "wgangp", "wgan", "wgan-alg", "ebgan", "acgan", "sgan", "cgan", "infogan-p", "impgan", "lsgan-digest",
    "blog001", "pa-table", "2svae-table", "began-x", "dragan-readme", "tpami-abs", "is29", "iwt", "nn",
    "wgan-c", "dragan-c", "dragan-t", "lsgan", "lsgan2", "is-c", "infogan-c", "began-c", "cmp", "catgan",
    "unrolled", "veegan", "tvi", "erik", "znx", "cao", "000", "001", "002", "003", "004", "lucic-x",
    "klory", "casia", "dragan-port", "mescheder-abs", "tf-rmsprop",
]
# fmt: on

FACTS = published.facts()
RECALLED = published.recalled()
INCONSISTENCIES = published.inconsistencies()
TABLES = {name: fact for name, fact in FACTS.items() if isinstance(fact, (PublishedTable, PublishedOutcomes))}


def readings() -> list[Fact]:
    return [fact for found in INCONSISTENCIES.values() for fact in found.readings]


def cell(table: PublishedTable, row: str, column: str) -> object:
    return table.row(row)[column]


# ------------------------------------------------------------------------------------------- sources and tags


def test_the_register_is_that_of_the_literature_notes() -> None:
    assert sorted(SOURCES) == sorted(REGISTER)


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_has_a_source_of_the_register_and_a_tag(name: str) -> None:
    fact = FACTS[name]
    assert fact.evidence
    assert all(found.source in REGISTER and found.tag in "PCSXD" for found in fact.evidence)
    assert all(SOURCES[found.source] in fact.source and f"[{found.tag}]" in fact.source for found in fact.evidence)


def test_readings_of_inconsistencies_have_a_source_and_a_tag_too() -> None:
    assert all(found.source in REGISTER and found.tag in "PCSXD" for fact in readings() for found in fact.evidence)


PAPERS = {"P": "wgan wgangp wgan-alg ebgan acgan sgan cgan infogan-p impgan", "S": "000 001 002 003 004"}
CODE = "iwt nn wgan-c dragan-c dragan-t lsgan lsgan2 is-c infogan-c began-c cmp catgan unrolled veegan tvi erik znx cao"


def test_a_tag_fits_its_source() -> None:
    every = [found for fact in (*FACTS.values(), *readings()) for found in fact.evidence]
    assert {found.source for found in every if found.tag == "P"} <= set(PAPERS["P"].split())
    assert {found.source for found in every if found.tag == "C"} <= set(CODE.split())
    assert {found.source for found in every if found.tag == "S"} <= set(PAPERS["S"].split())
    second_hand = "lsgan-digest blog001 pa-table 2svae-table began-x dragan-readme tpami-abs is29 klory casia lucic-x"
    allowed = {*second_hand.split(), "dragan-port", "mescheder-abs", "tf-rmsprop", "impgan"}
    assert {found.source for found in every if found.tag == "X"} <= allowed


def test_every_module_of_the_package_is_listed() -> None:
    loaded = {
        name.removeprefix("gansweep.published.") for name in sys.modules if name.startswith("gansweep.published.")
    }
    files = {path.stem for path in Path(published.__file__).parent.glob("*.py")}
    assert files - {"__init__"} == loaded
    assert {module.__name__.rpartition(".")[2] for module in published.MODULES} == files - {"__init__", "claims"}


def test_a_fact_without_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="a Value needs evidence"):
        Value(value=1, what="x", evidence=())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: known("P:wgan_gp"), "source 'wgan_gp' does not exist; did you mean 'wgangp'"),
        (lambda: known("Q:wgangp"), "'Q' does not exist"),
        (lambda: published.fact("wgan_gp.table5"), "did you mean 'wgan_gp.table_5'"),
        (lambda: published.claims("S01"), "study 'S01' does not exist; did you mean"),
        (lambda: published.inconsistencies("n_critics"), "did you mean 'n_critic'"),
        (lambda: sgan.ACCURACIES.row("10000"), "did you mean '1000'"),
        (lambda: Value(valu=1), "field of Value 'valu' does not exist; did you mean 'value'"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()  # type: ignore[operator]


def test_reading_the_numbers_loads_neither_pandas_nor_torch() -> None:
    code = "import sys, gansweep.published; print([n for n in ('pandas', 'torch', 'plotly') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


# ----------------------------------------------------------------------------------------- what is only recalled


@pytest.mark.parametrize("tag", ["R", "R-hi", "R-lo"])
def test_nothing_that_is_drawn_can_be_made_from_a_recalled_tag(tag: str) -> None:
    with pytest.raises(ValueError, match="is no evidence"):
        known(f"{tag}:wgangp")
    said = Recalled(text="It is 3.", about="a paper", tag=tag)
    for kind in (
        lambda: Value(value=3, what="it", evidence=(said,)),
        lambda: PublishedTable(title="t", columns=("a",), rows=((3,),), evidence=(said,)),
        lambda: Finding(text="It is 3.", evidence=(said,)),
    ):
        with pytest.raises(ValueError, match="needs evidence"):
            kind()
    with pytest.raises(ValueError, match="can only rest on facts"):
        Claim(study="S1", sentence="s", rests_on=(said,), agreement=AGREEMENT)
    with pytest.raises(ValueError, match="must be facts"):
        Inconsistency(line="l", readings=(said,), kind="paper")


AGREEMENT = Agreement(reproduced="a", contradicted="b", undecidable="c")


def test_what_is_recalled_has_no_value_and_no_frame_and_says_what_it_is() -> None:
    assert len(RECALLED) > 20
    for said in RECALLED.values():
        assert not isinstance(said, Fact)
        assert {field.name for field in dataclasses.fields(said)} == {"text", "about", "tag", "studies"}
        assert not hasattr(said, "value")
        assert not hasattr(said, "frame")
        assert str(said).startswith(f"[{said.tag}, recalled")
        assert "not verified" in str(said)


def test_a_recalled_tag_is_needed_for_what_is_recalled() -> None:
    with pytest.raises(ValueError, match=r"Recalled\.tag"):
        Recalled(text="It is 3.", about="a paper", tag="P")


def test_facts_and_recalled_are_apart() -> None:
    assert not set(FACTS) & set(RECALLED)
    assert not any(isinstance(fact, (Recalled, Unstated, Inconsistency)) for fact in FACTS.values())


# typed from the notes: what they tag as recalled and no other source has
RECALLED_NUMBERS = (
    *(2.91, 1.44, 277.72, 126.09, 92.5, 3.49, 1.14, 312.15, 135.35, 157.5, 1.30, 300.09, 100.96),  # BogoNet
    *(1.73, 0.91, 4.27, 1.39, 0.48),  # CatGAN
    *(7.54, 6.83, 4.36, 3.87),  # Improved GAN
    *(23.8, 58.7, 155.7, 11.6, 85.7),  # the VAE of Lucic et al.
    132,  # CGAN
)


def test_no_recalled_number_reaches_a_frame_or_a_value() -> None:
    cells = [value for table in TABLES.values() for row in table.frame().to_numpy(object).tolist() for value in row]
    numbers = set(pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").dropna().astype(float))
    values = [fact for fact in (*FACTS.values(), *readings()) if isinstance(fact, Value)]
    numbers |= {float(fact.value) for fact in values} | {fact.spread for fact in values if fact.spread is not None}
    assert {2.0, 7.86, 87.1} <= numbers  # the numbers really were collected
    assert numbers & set(RECALLED_NUMBERS) == set()


def test_no_finding_or_note_says_a_recalled_number() -> None:
    said = [fact.text for fact in (*FACTS.values(), *readings()) if isinstance(fact, Finding)]
    said += [table.note for table in TABLES.values() if isinstance(table, PublishedTable)]
    words = {word for text in said for word in re.findall(r"\d+\.\d+", text)}
    assert not words & {str(number) for number in RECALLED_NUMBERS}
    assert not any("15,000" in text or "5 of 10" in text for text in said)


def test_the_recalled_numbers_are_kept_as_sentences() -> None:
    text = " ".join(str(said) for said in RECALLED.values())
    for number in ("277.72", "312.15", "300.09", "157.5", "4.27", "7.54", "155.7 ± 11.6", "132 ± 1.8"):
        assert number in text


def test_the_vae_s_row_is_not_in_the_table_of_best_fids() -> None:
    assert "VAE" in created_equal.MODELS.frame()["model"].tolist()
    assert "VAE" not in created_equal.BEST_FIDS.frame()["model"].tolist()


# ------------------------------------------------------------------------------------------------------ tables


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_a_frame_with_its_columns_and_no_repeated_row(name: str) -> None:
    table = TABLES[name]
    frame = table.frame()
    assert len(frame) == len(table.rows)
    assert not frame.duplicated().any()
    if isinstance(table, PublishedTable):
        assert frame.columns.tolist() == list(table.columns)


def test_a_row_of_another_length_and_a_repeated_column_are_refused() -> None:
    fields = {"title": "t", "evidence": known("P:wgangp")}
    with pytest.raises(ValueError, match="has 1 cells, not 2"):
        PublishedTable(**fields, columns=("a", "b"), rows=((1,),))
    with pytest.raises(ValueError, match="there twice"):
        PublishedTable(**fields, columns=("a", "a"), rows=())


def test_the_set_s_size_is_the_product_of_its_levels() -> None:
    levels = wgan_gp.SET.frame().groupby(["factor", "network"]).size()
    assert levels.to_dict() == {
        ("nonlinearity", "G"): 4,
        ("nonlinearity", "D"): 4,
        ("depth", "G"): 4,
        ("depth", "D"): 4,
        ("batch norm", "G"): 2,
        ("batch norm", "D"): 2,
        ("base filter count", "G"): 3,
        ("base filter count", "D"): 3,
    }
    assert levels.prod() == wgan_gp.SET_SIZE.value == 9216


def test_table_5_adds_up_and_has_the_derived_marginals() -> None:
    frame = wgan_gp.TABLE_5.frame()
    assert (frame[["only_a", "only_b", "both", "neither"]].sum(axis=1) == 200).all()
    assert frame["success_a"].tolist() == [192, 150, 140, 125, 111, 86, 68, 55, 42, 32, 21, 12, 6, 5, 1, 0, 0]
    assert frame["success_b"].tolist() == [
        *(200, 200, 200, 199, 198, 197, 193, 191, 189, 180, 166, 142, 109, 70, 34, 6, 0),
    ]
    assert frame["threshold"].tolist() == [1 + i / 2 for i in range(17)]
    assert frame["only_a"].max() == wgan_gp.ONLY_GAN_AT_MOST.value


def test_the_derived_p_values_are_those_of_the_counts() -> None:
    from scipy import stats

    frame = wgan_gp.TABLE_5.frame().set_index("threshold")
    for threshold, p in wgan_gp.MCNEMAR.rows:
        found = stats.binomtest(
            int(frame.loc[threshold, "only_a"]), int(frame.loc[threshold, ["only_a", "only_b"]].sum())
        )
        assert found.pvalue == pytest.approx(p, rel=0.15)
    sides = stats.binomtest(77, 177).pvalue
    assert sides == pytest.approx(wgan_gp.SIDES_SIGN_TEST.value, abs=0.001)


def test_the_published_medians_lie_between_their_thresholds() -> None:
    rates = wgan_gp.TABLE_5.survival().set_index(["arm", "threshold"])["rate"]
    for arm, above, not_above in wgan_gp.MEDIANS.rows:
        assert rates[arm, above] > 0.5 > rates[arm, not_above]


def test_the_grid_of_ebgan_has_its_runs() -> None:
    levels = ebgan.GRID.frame().groupby(["model", "setting"]).size()
    assert levels["EBGAN"].prod() == ebgan.EBGAN_RUNS.value == 512
    assert levels["GAN"].prod() == ebgan.GAN_RUNS.value == 6144
    assert ebgan.GAN_SUB_GRIDS.value * ebgan.SUB_GRID_RUNS.value == ebgan.GAN_RUNS.value


def test_the_codes_of_infogan_add_up() -> None:
    codes = infogan.CODES.frame().set_index("data")
    total = codes["discrete"] * codes["categories"] + codes["continuous"] + codes["noise"]
    stated = codes["total"].dropna()
    assert sorted(stated.index) == ["CelebA", "MNIST", "SVHN", "chairs"]
    assert (total[stated.index] == stated).all()


def test_depths_are_four_more_than_the_extra_layers() -> None:
    mapping = wgan_gp.DEPTH_MAPPING.frame()
    assert (mapping["depth"] == mapping["extra_layers"] + 4).all()
    assert mapping["depth"].tolist() == [4, 8, 12, 20]


def test_the_resnet_has_its_101_layers() -> None:
    blocks = sum((6, 6, 6, 6, 5)) + 4  # five stages, and the blocks that resample
    assert blocks * 3 + 2 == wgan_gp.RESNET_LAYERS.value == 101


def test_a_pearson_coding_has_its_two_differences() -> None:
    for name, a, b, c, pearson in lsgan.CODINGS.rows:
        assert (b - c == 1 and b - a == 2) == pearson, name


def test_the_bias_of_the_score_comes_out_of_a_simulation() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    for samples, classes, score, spread in improved_gan.BIAS.rows:
        if classes != 10 or samples > 1000:
            continue
        counts = rng.multinomial(samples, [1 / classes] * classes, size=4000) / samples
        entropy = -(counts * np.log(np.where(counts > 0, counts, 1))).sum(axis=1)
        found = np.exp(entropy)
        assert found.mean() == pytest.approx(score, abs=4 * found.std() / 4000**0.5 + 0.006)
        assert found.std() == pytest.approx(spread, abs=0.02)


def test_the_diverse_classes_of_acgan_are_a_share_of_its_thousand() -> None:
    models, classes = cell(acgan.SETTINGS, "models", "value"), cell(acgan.SETTINGS, "classes per model", "value")
    assert acgan.DIVERSE_COUNT.value / (models * classes) * 100 == acgan.DIVERSE_CLASSES.value  # type: ignore[operator]


def test_the_clipped_layers_have_the_gains_of_their_bound() -> None:
    for bound, spectral, gain in wgan_gp_toys.GAIN_OF_CLIPPED_LAYERS.rows:
        assert spectral == pytest.approx(512 * bound, rel=0.01)  # type: ignore[operator]
        assert gain == pytest.approx(bound * 256**0.5, rel=0.02)  # type: ignore[operator]


# --------------------------------------------------------------------------------------------- inconsistencies

# fmt: off
INCONSISTENT = [
    "acgan.beta2_misprint", "created_equal.lsgan_spread", "created_equal.wgan_gp_celeba",
    "documents.acgan_sees_labels", "documents.catgan_fake_class", "documents.catgan_sign",
    "documents.earth_mover_example", "documents.lipschitz_condition",
    "documents.lsgan_classes", "documents.lsgan_labels", "documents.penalised_points",
    "documents.wgan_signs", "dragan.positive_noise", "ebgan.trailing_two",
    "infogan.codes_disagree", "lsgan.codings_disagree", "lsgan.constant_noise",
    "lsgan.double_mode", "lsgan.two_codings_in_one_comparison", "wgan.clipping_order",
    "wgan.constant_filters", "wgan.extra_steps_not_in_the_paper",
    "wgan.half_of_jensen_shannon", "wgan_gp.beta1_of_appendix_e",
    "wgan_gp.data_of_the_64_script", "wgan_gp.extra_width_bug",
    "wgan_gp.sides_do_not_add_up", "wgan_gp_images.no_rmsprop_branch",
    "wgan_gp_images.upsampling_place", "wgan_gp_toys.lambda_of_the_toys",
]
# fmt: on


def test_the_inconsistencies_are_exactly_the_ones_marked() -> None:
    assert sorted(INCONSISTENCIES) == sorted(INCONSISTENT)


@pytest.mark.parametrize("name", INCONSISTENT)
def test_an_inconsistency_says_in_one_line_what_it_is_and_who_disagrees(name: str) -> None:
    found = INCONSISTENCIES[name]
    assert found.line.endswith((".", '").'))
    assert "\n" not in found.line
    assert found.kind in evidence.KINDS
    assert found.readings
    tags = {tag for reading in found.readings for tag in reading.tags}
    if found.kind == "paper and code":
        assert "C" in tags
        assert tags - {"C"}
    if found.kind == "document":
        assert "S" in tags


def test_the_wins_of_the_two_penalties_do_not_add_up() -> None:
    compared, two_sided, one_sided = wgan_gp.SIDES_DO_NOT_ADD_UP.readings
    assert (compared.value, two_sided.value, one_sided.value) == (174, 100, 77)  # type: ignore[attr-defined]
    assert wgan_gp.SIDES_DO_NOT_ADD_UP.kind == "paper"


def test_the_three_of_the_issue_stand_where_they_matter() -> None:
    assert "wgan_gp.sides_do_not_add_up" in published.inconsistencies("S2")
    assert "wgan_gp.beta1_of_appendix_e" in published.inconsistencies("S3")
    assert "wgan_gp_toys.lambda_of_the_toys" in published.inconsistencies("S5")
    assert published.inconsistencies("S4").keys() == {"wgan_gp_images.no_rmsprop_branch"}
    assert published.inconsistencies("S17") == {}


# ------------------------------------------------------------------------------------------------------ claims

CLAIMED = ["S1", "S2", "S3", "S4", "S5", "S6", "S9", "S10", "S12", "S13", "S14", "n_critic"]


def test_every_study_of_the_issue_has_claims() -> None:
    assert {claim.study for claim in published.CLAIMS} == set(CLAIMED)
    assert {study for ids in published.IDS_OF_STUDY.values() for study in ids} == set(CLAIMED)
    assert set(CLAIMED) < set(STUDIES)
    assert len(published.claims("S1")) == 3
    assert published.claims("S7") == ()


@pytest.mark.parametrize("claim", published.CLAIMS, ids=lambda claim: f"{claim.study}: {claim.sentence[:40]}")
def test_a_claim_rests_on_facts_with_names_and_says_when_it_holds(claim: Claim) -> None:
    named = list(FACTS.values())
    assert all(any(fact is other for other in named) for fact in claim.rests_on)
    assert all(any(said is other for other in RECALLED.values()) for said in claim.recalled)
    agreement = {field.name: getattr(claim.agreement, field.name) for field in dataclasses.fields(Agreement)}
    texts = [text for name, text in {"": claim.sentence, **agreement}.items() if text or name != "amended"]
    assert all(text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


def test_claims_whose_outcome_is_recalled_say_so() -> None:
    unverified = [claim for claim in published.CLAIMS if not claim.verified]
    assert {claim.study for claim in unverified} == {"S12", "S13"}
    assert all(str(claim).startswith("[recalled, not verified]") for claim in unverified)
    assert all(str(claim) == claim.sentence for claim in published.CLAIMS if claim.verified)


def test_a_claim_must_rest_on_something() -> None:
    with pytest.raises(ValueError, match="rests on nothing"):
        Claim(study="S1", sentence="s", rests_on=(), agreement=AGREEMENT)


# ------------------------------------------------------------------------------------------------ free choices


def test_what_the_papers_do_not_state_is_kept_as_a_free_choice() -> None:
    free = published.unstated()
    assert {"wgan_gp.drawing", "wgan_gp.batch_unstated", "wgan_gp.depth_unstated", "wgan_gp.score_unstated"} <= set(
        free
    )
    assert {"wgan.gaussians_unstated", "wgan_gp_toys.gradients_unstated", "ebgan.score_unstated"} <= set(free)
    assert all(str(choice).startswith("[∅]") and choice.source in REGISTER for choice in free.values())


# ------------------------------------------------- spot checks, typed from the literature notes and not from the data


def rows_of(table: PublishedTable | PublishedOutcomes) -> list[list[object]]:
    return [list(row) for row in table.rows]


SCALARS = [
    # the random architectures
    (wgan_gp.SET_SIZE, 9216, "D"),
    (wgan_gp.DRAWN, 200, "P"),
    (wgan_gp.RUNS, 400, "D"),
    (wgan_gp.LEAKY_SLOPE, 0.2, "CC"),
    (wgan_gp.REFERENCE_SCORE, 7.24, "P"),
    (wgan_gp.CRITIC_STEPS, 5, "P"),
    (wgan_gp.PENALTY_WEIGHT, 10, "P"),
    (wgan_gp.GAN_CRITIC_STEPS, 1, "C"),
    (wgan_gp.BATCH, 64, "CC"),
    (wgan_gp.NORM_EPSILON, 1e-5, "CC"),
    (wgan_gp.SIDES_COMPARED, 174, "P"),
    (wgan_gp.TWO_SIDED_BETTER, 100, "P"),
    (wgan_gp.ONE_SIDED_BETTER, 77, "P"),
    (wgan_gp.SIDES_SIGN_TEST, 0.098, "D"),
    (wgan_gp.VARIED_ROWS, 7, "P"),
    (wgan_gp.VARIED_METHODS, 4, "P"),
    (wgan_gp.VARIED_ITERATIONS, 200e3, "P"),
    # CIFAR-10 and the small problems
    (wgan_gp_images.RESNET_UNSUPERVISED, 7.86, "P"),
    (wgan_gp_images.RESNET_SUPERVISED, 8.42, "P"),
    (wgan_gp_images.CURVE_WIDTH, 128, "C"),
    (wgan_gp_toys.GRADIENT_LAYERS, 12, "P"),
    (wgan_gp_toys.OVERFITTING_IMAGES, 1000, "P"),
    (wgan_gp_toys.LANGUAGE_CRITIC_STEPS, 10, "C"),
    (wgan.MEDIAN_FILTER, 101, "C"),
    # LSGAN, DRAGAN
    (lsgan.MANY_CLASSES, 3740, "CX"),
    (lsgan.PEARSON_BOUND, 2, "D"),
    (lsgan.MIXTURE_MODES, 8, "CD"),
    (lsgan.PARENT_MODES, 7, "D"),
    (dragan.TARGET_SLOPE, 1, "XC"),
    (dragan.BOGONET_ARCHITECTURES, 150, "X"),
    (dragan.SMALL_LAMBDA_PORT, 0.25, "C"),
    # EBGAN to CGAN
    (ebgan.PULLING_AWAY_WEIGHT, 0.1, "P"),
    (ebgan.GRID_MARGIN, 10, "P"),
    (began.BALANCE_RATE, 0.001, "XXC"),
    (began.FIRST_BALANCE, 0, "XXC"),
    (began.CIFAR_SCORE, 5.62, "P"),
    (acgan.MORE_DISCRIMINABLE, 84.4, "P"),
    (acgan.DIVERSE_CLASSES, 84.7, "P"),
    (acgan.DIVERSE_COUNT, 847, "P"),
    (acgan.DIVERSITY_THRESHOLD, 0.25, "P"),
    (acgan.CIFAR_SCORE, 8.25, "P"),
    (acgan.CIFAR_GRID, 27, "P"),
    (infogan.DISCRETE_LAMBDA, 1, "P"),
    (infogan.MUTUAL_INFORMATION, 2.30, "P"),
    (infogan.CLASSIFICATION_ERROR, 5, "P"),
    (infogan.BEST_OF_RUNS, 5, "P"),
    (catgan.MNIST_UNSUPERVISED, 9.7, "S"),
    (catgan.MNIST_100, 1.91, "SX"),
    (catgan.CIFAR_4000, 19.58, "X"),
    # scores and searches
    (improved_gan.RECOMMENDED_SAMPLES, 50_000, "P"),
    (improved_gan.CIFAR_TRAIN, 11.24, "X"),
    (created_equal.LOW_BUDGET, 15, "X"),
    (ports.ROOT_EPSILON, 1e-12, "S"),
]


@pytest.mark.parametrize(("value", "number", "tags"), SCALARS, ids=lambda x: x.what if isinstance(x, Value) else str(x))
def test_a_value_is_the_one_in_the_notes(value: Value, number: float, tags: str) -> None:
    assert value.value == number
    assert "".join(value.tags) == tags


def test_values_are_shown_as_they_were_printed() -> None:
    assert str(wgan_gp_images.RESNET_SUPERVISED) == "8.42 ± 0.10"
    assert str(wgan_gp_images.RESNET_UNSUPERVISED) == "7.86 ± 0.07"
    assert str(acgan.CIFAR_SCORE) == "8.25 ± 0.07"
    assert str(catgan.MNIST_100) == "1.91 ± 0.10%"
    assert str(catgan.CIFAR_4000) == "19.58 ± 0.46%"
    assert str(improved_gan.CIFAR_TRAIN) == "11.24 ± 0.12"
    assert str(wgan_gp.DRAWN) == "200"


def test_the_outcomes_are_those_of_table_5() -> None:
    text = """
    1.0 0 8 192 0 | 1.5 0 50 150 0 | 2.0 0 60 140 0 | 2.5 0 74 125 1 | 3.0 1 88 110 1 | 3.5 0 111 86 3
    4.0 1 126 67 6 | 4.5 0 136 55 9 | 5.0 0 147 42 11 | 5.5 0 148 32 20 | 6.0 0 145 21 34 | 6.5 1 131 11 57
    7.0 1 104 5 90 | 7.5 2 67 3 128 | 8.0 1 34 0 165 | 8.5 0 6 0 194 | 9.0 0 0 0 200
    """
    rows = [tuple(map(float, row.split())) for row in text.replace("\n", "|").split("|") if row.strip()]
    assert [tuple(map(float, row)) for row in wgan_gp.TABLE_5.rows] == rows


def test_the_training_of_the_random_architectures_is_that_of_appendix_b() -> None:
    arms = wgan_gp.TRAINING.frame().set_index("item")
    assert arms.loc["generator iterations"].tolist() == [100_000, 100_000]
    assert arms.loc["learning rate"].tolist() == [2e-4, 1e-4]
    assert arms.loc["beta1"].tolist() == [0.5, 0]
    assert arms.loc["beta2"].tolist() == [0.999, 0.9]
    assert arms.iloc[-1].tolist() == [1e-3, 1e-3]


def test_the_stability_script_had_a_fifth_of_the_iterations() -> None:
    script = wgan_gp.STABILITY_SETTINGS
    assert cell(script, "iterations", "gan") == 20_000
    assert cell(script, "samples of the rough Inception Score", "gan") == 200
    assert cell(script, "samples of the final Inception Score", "wgan_gp") == 50_000
    assert rows_of(wgan_gp.DEPTH_MAPPING) == [[4, 0], [8, 4], [12, 8], [20, 16]]


def test_the_methods_on_varied_architectures_have_their_rates() -> None:
    methods = wgan_gp.SETTING_OF_METHODS.frame().set_index("method")
    assert methods["optimiser"].tolist() == ["Adam", "RMSProp", "Adam", "RMSProp"]
    assert methods["learning_rate"].tolist() == [1e-4, 5e-5, 2e-4, 1e-4]
    assert methods["n_critic"].tolist() == [5, 5, 1, 1]
    assert methods.loc["WGAN-GP", ["beta1", "beta2"]].tolist() == [0.5, 0.9]
    assert rows_of(wgan_gp.LSGAN_RATES) == [[0.001, False], [0.0002, False], [0.0001, True]]
    assert [reading.value for reading in wgan_gp.BETA1_OF_APPENDIX_E.readings] == [0.5, 0, 0]  # type: ignore[attr-defined]


def test_the_scores_on_cifar_10_are_those_of_table_3() -> None:
    scores = wgan_gp_images.TABLE_3.frame()
    unsupervised = scores[scores["setting"] == "unsupervised"]
    supervised = scores[scores["setting"] == "supervised"]
    assert unsupervised["method"].tolist() == [
        *("ALI", "BEGAN", "DCGAN", "Improved GAN (-L+HA)", "EGAN-Ent-VI", "DFM", "WGAN-GP ResNet"),
    ]
    assert unsupervised["score"].tolist() == [5.34, 5.62, 6.16, 6.86, 7.07, 7.72, 7.86]
    assert unsupervised["spread"].dropna().tolist() == [0.05, 0.07, 0.06, 0.10, 0.13, 0.07]
    assert supervised["method"].tolist() == [
        *("SteinGAN", "DCGAN with labels", "Improved GAN", "AC-GAN", "SGAN-no-joint", "WGAN-GP ResNet", "SGAN"),
    ]
    assert supervised["score"].tolist() == [6.35, 6.58, 8.09, 8.25, 8.37, 8.42, 8.59]
    assert supervised["spread"].dropna().tolist() == [0.07, 0.07, 0.08, 0.10, 0.12]


def test_the_cifar_scripts_have_their_settings() -> None:
    script = wgan_gp_images.CURVE_SETTINGS.frame().set_index("method")
    assert script["learning_rate"].tolist() == [1e-4, 5e-5, 2e-4]
    assert script["n_critic"].tolist() == [5, 5, 1]
    assert script.loc["wgan", "clip"] == 0.01
    assert [row[1] for row in wgan_gp_images.CURVE_SCORING.rows] == [1000, 1000, 10, 100]
    resnet = wgan_gp_images.RESNET_SETTINGS.frame().set_index("item")["value"]
    assert resnet[["Adam learning rate", "beta1", "beta2", "n_critic", "lambda"]].tolist() == [2e-4, 0, 0.9, 5, 10]
    assert resnet[["batch of the critic", "batch of the generator"]].tolist() == [64, 128]
    assert resnet[["weight of the AC-GAN head in D, real images only", "weight of the AC-GAN head in G"]].tolist() == [
        1,
        0.1,
    ]
    for network in ("G", "D"):
        layers = [row for row in wgan_gp_images.RESNET.rows if row[0] == network]
        assert [row[1] for row in layers] == [1, 2, 3, 4, 5, 6]
    assert resnet["width of the uniform noise that dequantises"] == 1 / 128


def test_the_toys_have_their_data_and_settings() -> None:
    data = wgan_gp_toys.DATA.frame().set_index("data")
    assert data["sigma"].tolist() == [0.02, 0.05, 0.25]
    assert data["divisor"].tolist() == [1.414, 2.828, 7.5]
    assert data.loc["25 Gaussians", "points"] == 100_000
    settings = wgan_gp_toys.SURFACE_SETTINGS
    numbers = [row[1] for row in settings.rows]
    assert numbers == [3, 512, 2, 256, 100_000, 5, 1e-4, 0.5, 0.9, 0.1, 5e-5, 0.01, 128, -3, 3]
    assert [row[1] for row in wgan_gp_toys.OLDER_SURFACE_SETTINGS.rows] == [2, 1024, 1024, 10, 10, -2, 2]
    assert rows_of(wgan_gp_toys.GRADIENT_BOUNDS) == [[0.1], [0.01], [0.001]]
    assert [reading.value for reading in wgan_gp_toys.LAMBDA_OF_THE_TOYS.readings] == [10, 0.1]  # type: ignore[attr-defined]
    language = [row[1] for row in wgan_gp_toys.LANGUAGE_SETTINGS.rows]
    assert language[:10] == [32, 128, 512, 5, 0.3, 64, 200_000, 10, 5, 10]
    assert language[10:] == [1e-4, 0.5, 0.9, 10_000_000, 2048, 4, 100, 640, 640]
    assert rows_of(wgan_gp_toys.OVERFITTING_AXES) == [["penalty", 0, 10], ["clipping", 0, 0.8]]
    assert [row[1] for row in wgan_gp_toys.DEFAULTS.rows] == [10, 5, 1e-4, 0, 0.9]


def test_wgan_has_its_defaults_and_distances() -> None:
    assert [row[1] for row in wgan.DEFAULTS.rows] == [5e-5, 0.01, 64, 5]
    assert [row[1] for row in wgan.EXTRA_CRITIC_STEPS.rows] == [100, 25, 500]
    assert [row[1:] for row in wgan.PARALLEL_LINES.rows] == [
        ("|theta|", "0"),
        ("log 2", "0"),
        ("infinity", "0"),
        ("1", "0"),
    ]
    assert [row[1] for row in wgan.CODE_NETWORKS.rows] == [4, 2, 100, 0.02, 1, 0.02, 3, 512]


def test_lsgan_has_its_codings_and_settings() -> None:
    assert [row[1:4] for row in lsgan.CODINGS.rows] == [(-1, 1, 0), (0, 1, 1), (0, 1, 0.5)]
    assert rows_of(lsgan.SETTINGS_112) == [["scenes", 1e-3, 0.5, 64], ["characters", 2e-4, 0.5, 64]]
    mixture = [row[1] for row in lsgan.MIXTURE_SETTINGS.rows]
    assert mixture == [2, 128, 1.4, 256, 512, 1e-4, 1e-3, 0.5, 35_000, 5_000, 10, 0.01, 1]
    assert [row[1] for row in lsgan.LSGAN_GP_SETTINGS.rows] == [150, 30, 1e-4, 0.5, 0.9, 1, 2, 500_000]
    assert [row[1] for row in lsgan.SMALL_VARIANCE.rows] == [20, 50, 500, 50_001]
    published_code = {
        (norm[:5].rstrip(":"), optimizer) for norm, optimizer, there in lsgan.STABILITY_GRID.rows if there
    }
    assert published_code == {("BN_G", "Adam"), ("BN_GD", "RMSProp")}


def test_dragan_has_its_notebook_s_settings() -> None:
    notebook = [row[1] for row in dragan.NOTEBOOK_SETTINGS.rows]
    assert notebook == [0.5, 10, 784, 128, 1, 100, 128, 784, 128, 1e-4, 0.5, 0.9, 1, 200_000, 1000]
    assert [row[1] for row in dragan.PORT_DEFAULTS.rows] == [10, 1, 10]
    assert [row[1] for row in dragan.MNIST_SCORE.rows] == [0.5, 1000, 100, 50_000, 10]


def test_ebgan_and_began_have_their_numbers() -> None:
    levels = ebgan.GRID.frame().groupby(["model", "setting"])["level"].agg(list)
    assert levels["EBGAN", "sizeG"] == levels["GAN", "sizeG"] == [400, 800, 1600, 3200]
    assert levels["EBGAN", "sizeD"] == [128, 256, 512, 1024]
    assert levels["GAN", "lr"] == [0.01, 0.001, 0.0001]
    assert levels["EBGAN", "lr"] == [0.001]
    for model in ("EBGAN", "GAN"):
        assert levels[model, "nLayerG"] == levels[model, "nLayerD"] == [2, 3, 4, 5]
        assert levels[model, "dropoutD"] == [True, False]
    assert levels["GAN", "sizeD"] == [128, 256, 512, 1024]
    assert levels["GAN", "optimD"] == levels["GAN", "optimG"] == ["adam", "sgd"]
    assert levels["EBGAN", "optimD"] == levels["EBGAN", "optimG"] == ["adam"]
    assert [row[1] for row in ebgan.HISTOGRAMS.rows] == [None, 4, 3]
    assert [row[0] for row in ebgan.MARGINS.rows] == [1, 2, 4, 6, 8, 12, 16, 32]
    errors = ebgan.SEMI_SUPERVISED.frame()
    assert errors["labels"].tolist() == [100, 200, 1000] * 2
    assert errors["error"].tolist() == [1.04, 0.99, 0.89, 1.36, 1.24, 1.04]
    assert errors["spread"].tolist() == [0.12, 0.12, 0.04, 0.21, 0.09, 0.06]
    assert [row[1] for row in began.NETWORKS.rows] == [3, 128, 64, 64, 16]
    assert [row[1] for row in began.CODE_SETTINGS.rows] == [8e-5, 100_000, 0.5]


def test_acgan_infogan_sgan_and_cgan_have_their_numbers() -> None:
    assert rows_of(acgan.ACCURACY_BY_SIZE) == [[128, 10.1, 2.0], [64, 7.0, None], [32, 5.0, None]]
    assert [row[1:] for row in acgan.CIFAR_PROTOCOL.rows] == [(50_000, 10), (25_000, 5)]
    numbers = [row[1] for row in acgan.SETTINGS.rows if not isinstance(row[1], str)]
    assert numbers == [100, 10, 50_000, 100, 110, 768, 0.5, 0.2, 2e-4, 0.5, 0.02]
    assert [row[1] for row in infogan.MNIST_SETTINGS.rows] == [10, 2, 62, 74, 2e-4, 1e-3, 0.1]
    assert rows_of(infogan.CODES)[1:3] == [["SVHN", 4, 10, 4, 124, 168], ["CelebA", 10, 10, 0, 128, 228]]
    assert [reading.value for reading in infogan.CODES_DISAGREE.readings] == [4, 3, 2, 4]  # type: ignore[attr-defined]
    assert rows_of(sgan.ACCURACIES) == [
        [1000, 0.965, 0.964],
        [100, 0.895, 0.928],
        [50, 0.859, 0.883],
        [25, 0.75, 0.802],
    ]
    assert [row[2:] for row in catgan.ERRORS.rows] == [(9.7, None), (1.91, 0.10), (19.58, 0.46)]
    assert [row[1] for row in cgan.SETTINGS.rows] == [100, 0.1, 1.00004, 1e-6, 0.5, 0.7, 0.5]


def test_scores_have_their_protocols() -> None:
    reference = improved_gan.REFERENCE
    assert cell(reference, "outputs", "value") == 1008
    assert cell(reference, "splits, contiguous and not shuffled", "value") == 10
    assert cell(reference, "ddof of the deviation over the splits", "value") == 0
    thousand = [row[2] for row in improved_gan.BIAS.rows if row[1] == 1000]
    assert thousand == [19.7, 93.6, 366, 564, 901]
    ten = [row[2:] for row in improved_gan.BIAS.rows if row[1] == 10]
    assert ten == [(7.78, 0.87), (9.56, 0.21), (9.91, 0.04), (9.955, 0.02), (9.991, 0.004)]
    assert [row[1] for row in improved_gan.MLP_SEARCH_RULES.rows] == [42, 20_000, 1.2, 2_000]
    assert [row[1] for row in improved_gan.COVERAGE.rows] == [3, 2500, 5, 1]
    assert [row[1] for row in improved_gan.STACKED_MNIST.rows] == [26_000, 1000]
    assert [row[1:] for row in improved_gan.CONFIRMED_ROWS.rows] == [(8.09, 0.07), (6.86, 0.06)]


def test_the_best_fids_are_those_of_the_reprints() -> None:
    fids = created_equal.BEST_FIDS.frame().pivot(index="model", columns="data", values=["fid", "spread"])
    order = ["MNIST", "F-MNIST", "CIFAR", "CelebA"]
    typed = {
        "MM GAN": "9.8±0.9 29.6±1.6 72.7±3.6 65.6±4.2",
        "NS GAN": "6.8±0.5 26.5±1.6 58.5±1.9 55.0±3.3",
        "LSGAN": "7.8±0.6 30.7±2.2 87.1±47.5 53.9±2.8",
        "WGAN": "6.7±0.4 21.5±1.6 55.2±2.3 41.3±2.0",
        "WGAN-GP": "20.3±5.0 24.5±2.1 55.8±0.9 30.0±1.0",
        "DRAGAN": "7.6±0.4 27.7±1.2 69.8±2.0 42.3±3.0",
        "BEGAN": "13.1±1.0 22.9±0.9 71.4±1.6 38.9±0.9",
    }
    assert set(fids.index) == set(typed)
    for model, text in typed.items():
        pairs = [tuple(map(float, pair.split("±"))) for pair in text.split()]
        found = fids.loc[model]
        assert [(found["fid", data], found["spread", data]) for data in order] == pairs, model
    spread, other = created_equal.LSGAN_SPREAD.readings
    assert (str(spread), str(other)) == ("87.1 ± 47.5", "87.1 ± 0.9")
    celeba = [reading.value for reading in created_equal.WGAN_GP_CELEBA.readings]  # type: ignore[attr-defined]
    assert celeba == [30.0, 30.3]


def test_the_search_of_lucic_et_al_has_its_ranges() -> None:
    ranges = created_equal.RANGES.frame().set_index(["parameter", "range"])[["low", "high"]]
    assert ranges.loc[("learning rate", "wide")].tolist() == [1e-5, 1e-2]
    assert ranges.loc[("learning rate", "narrow")].tolist() == [1e-4, 1e-3]
    assert ranges.loc[("WGAN clip", "wide")].tolist() == [1e-3, 1]
    assert ranges.loc[("WGAN clip", "narrow")].tolist() == [1e-2, 1]
    assert ranges.loc[("lambda of WGAN-GP and DRAGAN", "wide")].tolist() == [0.1, 100]
    assert ranges.loc[("lambda of WGAN-GP and DRAGAN", "narrow")].tolist() == [0.1, 10]
    assert ranges.loc[("BEGAN gamma", "narrow")].tolist() == [0.6, 0.9]
    assert rows_of(created_equal.PHASES) == [
        [1, "wide", 100, 1],
        [2, "narrow", 50, None],
        [3, "best of phase 1", 1, 50],
    ]
    assert [row[1] for row in created_equal.SETTINGS.rows] == [123, 547, 42, 64, 64, 5, 10_000, 31337, 4242]
    assert [row[1] for row in created_equal.DATA.rows] == [20, 20, 100, 40]


def test_what_documents_and_ports_say_is_kept_with_the_truth() -> None:
    assert [reading.value for reading in documents.LSGAN_CLASSES.readings] == [3470, 3740]  # type: ignore[attr-defined]
    assert [row[1] for row in ports.TF_RMSPROP.rows] == [0.9, 1e-10, 1]
    assert [row[1] for row in ports.WGAN_GP_DEFAULTS.rows] == [2e-4, 0.5, 0.999]
