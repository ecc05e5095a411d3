"""The report: one file, no network, counts that add up, and no claim that the results do not carry."""

from __future__ import annotations

import dataclasses
import html.parser
import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gansweep import effect_sections, page, report, sections
from gansweep.testing import MadeUpResults, made_up_results, made_up_table_5

EVERY = (
    sections.OutcomeTable(),
    sections.Survival(resamples=200),
    sections.PairedScores(),
    effect_sections.FactorEffects(),
    sections.ScoreCurves(),
    sections.Stability(columns=("gradient_norm_generator", "clipped_share")),
    sections.Traces(columns=("loss_generator", "never_reported")),
    sections.OutcomeFlow(),
    sections.Audit(),
    sections.Ranking(resamples=200),
    sections.VerdictMatrix(),
    sections.SampleGrids(per_arm=3),
    sections.Confounders(),
)


class Elements(html.parser.HTMLParser):
    """Every element of a page with its attributes; scripts are left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(re.sub(r"<script(?! type)[^>]*>.*?</script>", "", text, flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.fixture(scope="module")
def results() -> MadeUpResults:
    return made_up_results(draws=20, lost=3, running=2, planned=4, unpaired=2)


@pytest.fixture(scope="module")
def text(results: MadeUpResults, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.write(results, EVERY, tmp_path_factory.mktemp("report") / "new" / "r.html").read_text("utf-8")


def planned_as(results: MadeUpResults, **changes: object) -> MadeUpResults:
    return dataclasses.replace(results, plan={**results.plan, **changes})


def lower_is_better(results: MadeUpResults) -> MadeUpResults:
    scores = [{"name": "inception_score", "columns": ["inception_score"], "higher_is_better": False}]
    return planned_as(results, scores=scores, thresholds=[])


def without(results: MadeUpResults) -> MadeUpResults:
    return dataclasses.replace(results, trials=results.trials.iloc[:0], steps=results.steps.iloc[:0])


def test_the_page_asks_nothing_of_a_network(text: str) -> None:
    for element in Elements(text).of("a", "img", "link", "script", "iframe"):
        for name in ("href", "src"):
            assert (element.get(name) or "#").startswith(("#", "data:"))
    own_text = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"https?://", own_text)
    assert "@import" not in own_text


def test_the_drawing_library_is_embedded_once(text: str) -> None:
    assert text.count("plotly.js v") == 1
    assert '"showSendToCloud": false' in text


def test_a_page_without_figures_carries_no_drawing_library(results: MadeUpResults) -> None:
    assert len(report.page(results, [sections.Confounders()])) < 60_000


def test_the_header_counts_add_up_and_say_what_is_missing(text: str) -> None:
    told = re.search(
        r"planned (\d+) = (\d+) done \+ (\d+) failed \+ (\d+) cancelled \+ (\d+) running \+ (\d+) not", text
    )
    assert told
    planned, *rest = map(int, told.groups())
    assert planned == sum(rest) == 40
    assert rest == [31, 3, 0, 2, 4]
    assert "9 trials without an outcome count as unknown" in text


def test_a_reduced_preset_never_claims_the_papers_numbers() -> None:
    reduced, full = made_up_results(draws=2).plan, made_up_table_5().plan
    assert "no score or count is comparable with the paper" in report.preset_sentence(reduced)
    assert "comparable" not in report.preset_sentence(full)


def test_the_report_says_paired_only_where_fingerprints_agree(results: MadeUpResults) -> None:
    assert report.pairing_sentence(results).startswith("The arms are paired in 16 of 20 blocks")
    assert "not paired in 2" in report.pairing_sentence(results)
    never = made_up_results(draws=3, unpaired=3)
    assert report.pairing_sentence(never).startswith("The arms are not shown to be paired")


def test_the_report_names_the_fingerprints_that_differ_and_no_cause() -> None:
    results = made_up_results(draws=6, unpaired=2)
    trials, last = results.trials.copy(), results.trials["cell"].unique()[-1]
    trials.loc[(trials["cell"] == last) & (trials["arm"] == "gan"), "fingerprint_init"] = "another"
    told = report.pairing_sentence(dataclasses.replace(results, trials=trials))
    assert "not paired in 3: the fingerprints differ for data order in 2, initial weights in 1." in told
    assert "random numbers" not in told


def test_arms_that_share_no_weights_are_paired_by_the_rest_and_it_is_said() -> None:
    results = made_up_results(draws=4)
    apart = dataclasses.replace(results, trials=results.trials.assign(fingerprint_init="nothing shared"))
    assert report.pairing_sentence(apart) == (
        "The arms are paired in 4 of 4 blocks, by the fingerprints of data order and latents; "
        "the arms share no initial weights."
    )


def test_one_arm_is_not_called_paired() -> None:
    assert report.pairing_sentence(made_up_results(draws=3, arms=("gan",))) == "Pairing: there is only one arm."


def test_a_study_run_as_declared_is_no_preset() -> None:
    declared = planned_as(made_up_results(draws=2), preset=None, preset_description="The study as declared.")
    assert report.preset_sentence(declared.plan) == "No preset: the study ran as it is declared."


def test_trials_whose_metric_gave_no_answer_are_told_beside_the_counts() -> None:
    results = made_up_results(draws=4, pruned=False)
    assert report.counts_sentence(results).endswith("Every planned trial has an outcome.")
    trials = results.trials.assign(verdict="trained", inception_score=[float("nan")] * 3 + [2.0] * 5)
    told = report.counts_sentence(dataclasses.replace(results, trials=trials))
    assert told.endswith("0 not started. 3 done trials that did not diverge have no Inception Score: unknown too.")


def test_the_judge_need_not_be_a_classifier(results: MadeUpResults) -> None:
    card = report.headline(results)["cards"]["Protocol of the Inception Score"]
    assert card["judge hash"] == "none"
    assert card["num samples"] == "2000"


def test_scores_of_two_protocols_are_never_drawn_together_and_both_protocols_are_told(results: MadeUpResults) -> None:
    trials, plan = results.trials.copy(), dict(results.plan)
    trials.loc[trials["inception_score"].first_valid_index(), "inception_score_protocol"] = "another"
    (known,) = plan["protocols"].values()
    other = {"protocol": {**known["protocol"], "num_samples": 500}, "references": known["references"]}
    plan["protocols"] = {**plan["protocols"], "another": other}
    mixed = dataclasses.replace(results, trials=trials, plan=plan)
    for section in EVERY[:5]:
        shown = section.render(mixed)
        assert not shown.figures
        assert not shown.tables
        assert "2 protocols, which never share a table" in shown.text[0]
    assert report.headline(mixed)["cards"]["Protocol of the Inception Score (another)"]["num samples"] == "500"


def test_every_section_figure_and_table_can_be_reached_and_heard(text: str) -> None:
    elements = Elements(text)
    anchors = {e["id"] for e in elements.of("section", "header", "main") if "id" in e}
    links = [e["href"] or "" for e in elements.of("a")]
    assert {link[1:].partition("?")[0] for link in links if link.startswith("#")} <= anchors
    assert len(elements.of("h1")) == 1
    assert all(e.get("alt") for e in elements.of("img"))
    assert len(elements.of("img")) == 6
    assert all(e.get("scope") in ("row", "col") for e in elements.of("th"))
    assert len(elements.of("caption")) == len(elements.of("table"))
    plots = [e for e in elements.of("div") if e.get("class") == "plot"]
    assert len(plots) == 9
    assert all(e.get("role") == "img" and e.get("aria-label") for e in plots)


def test_print_and_dark_readers_are_served(text: str) -> None:
    assert "@media print" in text
    assert "prefers-color-scheme: dark" in text


def test_the_published_table_stands_beside_ours_with_its_source(text: str) -> None:
    assert "WGAN-GP paper, table 5" in text
    assert "another protocol" in text
    alone = report.page(made_up_results(draws=4), [sections.OutcomeTable(published=False)])
    assert "table 5" not in alone


@pytest.mark.parametrize("empty", [made_up_results(draws=5, planned=10), without(made_up_results(draws=5))])
def test_a_study_without_results_renders_and_says_so(empty: MadeUpResults) -> None:
    text = report.page(empty, EVERY)
    assert "Nothing to show yet" in text
    assert "No sample grid has been recorded yet" in text
    assert report.markdown(empty, EVERY).count("Nothing to show yet") >= 5


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_columns_that_hold_nothing_at_all_are_no_trouble(nothing: float | None) -> None:
    results = made_up_results(draws=4, planned=8)
    trials, first = results.trials.copy(), results.trials.columns.get_loc("status")
    for column in trials.columns[first + 1 :]:
        trials[column] = pd.Series([nothing] * len(trials), dtype=object if nothing is None else float)
    text = report.page(dataclasses.replace(results, trials=trials, steps=results.steps.iloc[:0]), EVERY)
    assert "0 done + 0 failed + 0 cancelled + 0 running + 8 not started" in text


def test_a_study_of_one_arm_or_without_thresholds_renders() -> None:
    report.page(made_up_results(draws=6, arms=("gan",)), EVERY)
    bare = made_up_results(draws=6)
    report.page(dataclasses.replace(bare, plan={**bare.plan, "thresholds": [], "factors": {}}), EVERY)


def test_three_arms_are_compared_pair_by_pair() -> None:
    shown = sections.OutcomeTable().render(made_up_results(draws=8, arms=("gan", "wgan_gp", "lsgan")))
    assert len(shown.figures) == 3
    assert len(shown.tables) == 4  # ours for each pair, and the paper's for the pair it has


def test_names_from_a_study_cannot_break_the_page(results: MadeUpResults) -> None:
    plan = {**results.plan, "question": "<script>alert(1)</script> & |?"}
    hostile = dataclasses.replace(results, plan=plan)
    assert "<script>alert" not in report.page(hostile, [sections.Confounders()])
    assert "<script>alert" not in report.markdown(hostile, [])


def test_markdown_tables_have_as_many_cells_in_every_row(results: MadeUpResults) -> None:
    lines = report.markdown(results, EVERY).splitlines()
    for above, below in itertools.pairwise(lines):
        if above.startswith("|") and below.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", above)) == len(re.findall(r"(?<!\\)\|", below))
    assert sum(line.startswith("## ") for line in lines) == len(EVERY) + 3


def test_samples_run_from_the_best_to_a_failed_trial() -> None:
    captions = [p.caption for p in sections.SampleGrids(per_arm=3).render(made_up_table_5()).pictures]
    assert captions[0].startswith("Standard GAN, best of 200: 8.")
    assert captions[2].startswith("Standard GAN, last of 200: no score, diverged")
    assert len(captions) == 6


def test_where_lower_is_better_the_lowest_score_is_the_best_sample() -> None:
    results = lower_is_better(made_up_results(draws=20, pruned=False))
    captions = [p.caption for p in sections.SampleGrids(per_arm=2).render(results).pictures]
    gan = results.trials.loc[results.trials["arm"] == "gan", "inception_score"]
    assert captions[0].startswith(f"Standard GAN, best of 20: {gan.min():.3g}, ")
    assert captions[1].startswith("Standard GAN, last of 20: no score, diverged")


def test_where_lower_is_better_no_share_above_a_score_is_drawn() -> None:
    shown = sections.Survival(resamples=100).render(lower_is_better(made_up_results(draws=4)))
    assert not shown.figures
    assert "lower is better here" in shown.text[0]


@pytest.mark.parametrize(
    ("section", "changes", "reason"),
    [
        (sections.OutcomeTable(), {"thresholds": []}, "declares no threshold"),
        (sections.Ranking(), {"thresholds": []}, "declares no threshold"),
        (effect_sections.FactorEffects(), {"thresholds": []}, "declares no threshold"),
        (effect_sections.FactorEffects(), {"factors": {}}, "draws no factor"),
        (effect_sections.FactorEffects(), {"factors": {"elsewhere": {}}}, "the level of no factor"),
        (sections.Traces(columns=("balance", "energy")), {}, "no run has reported balance or energy"),
    ],
)
def test_a_section_with_nothing_to_show_says_why(section: Any, changes: dict[str, object], reason: str) -> None:
    shown = section.render(planned_as(made_up_results(draws=4), **changes))
    assert reason in shown.text[0]
    assert "no trial has ended" not in shown.text[0]
    assert not shown.figures


def test_cells_of_one_arm_have_nothing_to_be_compared_with() -> None:
    shown = sections.PairedScores().render(made_up_results(draws=4, arms=("gan",)))
    assert shown.text == ("Nothing to show: there is only one arm.",)


@pytest.mark.parametrize(
    ("score", "thresholds", "told"),
    [
        ("inception_score", [0.5, 3.0, 7.0], "score exceeded 3 in the end"),
        ("modes_captured", [0.5, 7.5], "score exceeded 0.5 in the end"),
        ("inception_score", [0.5], "no threshold above 1, so"),
        ("modes_captured", [], "no threshold, so"),
    ],
)
def test_the_audit_takes_the_lowest_threshold_that_the_score_can_miss(
    score: str, thresholds: list[float], told: str
) -> None:
    results = made_up_results(draws=40)
    results = planned_as(results, score=score, thresholds=thresholds)
    results = dataclasses.replace(results, trials=results.trials.rename(columns={"inception_score": score}))
    results = dataclasses.replace(results, steps=results.steps.rename(columns={"inception_score": score}))
    shown = sections.Audit().render(results)
    assert told in " ".join([*shown.text, shown.tables[0].caption])
    assert ("false-prune rate" in shown.tables[0].shown) == ("exceeded" in told)


def test_the_papers_table_is_not_set_beside_another_score() -> None:
    results = planned_as(made_up_results(draws=4), score="modes_captured")
    results = dataclasses.replace(results, trials=results.trials.rename(columns={"inception_score": "modes_captured"}))
    assert "table 5" not in report.page(results, [sections.OutcomeTable(), sections.Survival(resamples=100)])


def test_a_table_holds_the_counts_of_the_paper_when_the_trials_do() -> None:
    shown = sections.OutcomeTable().render(made_up_table_5()).tables[0].shown
    assert shown.iloc[8, :6].tolist() == ["5", "0", "147", "42", "11", 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sections.SampleGrids(per_arm=0), r"SampleGrids.per_arm = 0 must be a .*number >= 1"),
        (lambda: sections.Survival(resample=5), "'resample' does not exist; did you mean 'resamples'"),
        (lambda: sections.Survival(resamples=1), r"Survival.resamples = 1 must be a .*number >= 100"),
    ],
)
def test_a_wrong_field_of_a_section_dies_at_once(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.5, "0.50"), (0.0123, "0.012"), (1.12e-44, "1.1e-44"), (float("nan"), "—"), (0.0, "0.0e+00")],
)
def test_p_values_are_told_with_two_figures(value: float, told: str) -> None:
    from gansweep import wording

    assert wording.p_value(value) == told


def test_a_failed_write_leaves_the_old_report(results: MadeUpResults, tmp_path: Path) -> None:
    old = tmp_path / "r.html"
    old.write_text("old", encoding="utf-8")
    broken = dataclasses.replace(results, plan={k: v for k, v in results.plan.items() if k != "question"})
    with pytest.raises(KeyError):
        report.write(broken, EVERY, old)
    assert old.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_study_files_and_reports_need_no_training_stack() -> None:
    heavy = {"torch", "ray", "mlflow", "optuna"}
    code = (
        "import sys, gansweep.sections as s;"
        "assert not {'pandas', 'plotly', 'numpy'} & set(sys.modules), 'sections imports too much';"
        "import gansweep.report as r, gansweep.testing as t, gansweep.dashboard;"
        "r.page(t.made_up_results(draws=3), [s.OutcomeTable(), s.SampleGrids()]);"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_section_is_text_figures_tables_and_pictures(results: MadeUpResults) -> None:
    for section in report.render(results, EVERY):
        assert isinstance(section, page.Section)
        assert section.text or section.figures or section.tables
        assert all(isinstance(t.caption, str) and len(t.shown) for t in section.tables)


def test_a_reduced_preset_of_one_arm_claims_no_ordering() -> None:
    plan = {"preset": "smoke", "preset_description": "Small.", "arms": {"gan": {}, "wgan_gp": {}}}
    assert "Only the ordering of the arms is a claim" in report.preset_sentence(plan)
    assert "ordering" not in (told := report.preset_sentence({**plan, "arms": {"wgan_gp": {}}}))
    assert "No score or count is comparable" in told
