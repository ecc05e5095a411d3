"""What a report says of the papers, and the list of trials that its numbers open."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse

import numpy as np
import pytest

from gansweep import analysis, published, report, sections, trial_list
from gansweep.claim_sections import Claims, FreeChoices, PublishedNumbers
from gansweep.evidence import Recalled
from gansweep.page import trials_of
from gansweep.published import IDS_OF_STUDY
from gansweep.testing import made_up_results, made_up_run, made_up_table_5

NONE = {"a": {"loss": "Hinge"}}


def text_of(study: str) -> str:
    run = made_up_run(study, NONE, {"score": {"a": [1.0]}})
    return report.markdown(run, (Claims(), PublishedNumbers(), FreeChoices()))


def test_every_claim_stands_with_the_papers_source_and_our_evidence() -> None:
    shown = Claims().render(made_up_table_5()).tables[0].shown
    assert shown["judgement"].tolist() == ["reproduced"] * 3
    assert all("[P]" in told or "[D]" in told for told in shown["the paper"])
    assert "148 of 200" in shown["ours"][0]
    reduced = Claims().render(made_up_results(draws=4))
    assert "only orderings are judged" in reduced.text[1]


@pytest.mark.parametrize("study", IDS_OF_STUDY)
def test_no_recalled_number_is_shown(study: str) -> None:
    text = text_of(study)
    recalled = [one for one in published.recalled().values() if set(one.studies) & set(IDS_OF_STUDY[study])]
    assert all(one.text not in text for one in recalled)
    for claim in (claim for one in IDS_OF_STUDY[study] for claim in published.claims(one)):
        assert (f"[recalled, not verified] {claim.sentence}" in text) == bool(claim.recalled)
    assert not any(isinstance(one, Recalled) for one in published.facts().values())


@pytest.mark.parametrize(
    ("study", "told"),
    [("penalty", "add up to 177"), ("varied_architectures", "beta1 of 0.5"), ("clipping", "lambda = 10")],
)
def test_the_papers_own_inconsistencies_stand_where_they_matter(study: str, told: str) -> None:
    assert told in text_of(study)


def test_what_the_papers_leave_open_is_named() -> None:
    assert "the batch size of the random architectures" in text_of("penalty")
    assert "Nothing to show" in text_of("began_balance")


def test_ours_stands_beside_table_5_threshold_by_threshold() -> None:
    shown = sections.OutcomeTable().render(made_up_table_5())
    beside = next(table for table in shown.tables if "beside" in table.caption).shown
    assert len(beside) == 17
    row = beside[beside["score above"] == "5"].iloc[0]
    assert row["only WGAN-GP: ours"] == row["only WGAN-GP: paper"] == "147 (74%)"


def test_an_outcome_table_says_what_it_counts() -> None:
    assert "every cell: there are 200" in sections.OutcomeTable().render(made_up_table_5()).text[0]
    arms = {"gan": {}, "wgan_gp": {}}
    scores = {"score": {"gan": [1.0, 2.0, 3.0, 4.0], "wgan_gp": [2.0, 3.0, 4.0, 5.0]}}
    run = made_up_run("penalty", arms, scores, cells=[{"w": 1}, {"w": 2}], thresholds=(2.5,))
    shown = sections.OutcomeTable().render(run)
    assert "every seed of a cell: there are 4, of 2 cells" in shown.text[0]
    assert "numbers of seeds of all cells" in shown.tables[0].caption


# ---------------------------------------------------------------------------------------- the list of trials


def unpacked(text: str) -> dict[str, list[object]]:
    """The packed list as columns, by the rules of the page's script."""
    told = json.loads(text)
    found: dict[str, list[object]] = {}
    for name, column in told["columns"].items():
        if "f" in column:
            found[name] = np.frombuffer(base64.b64decode(column["f"]), "<f8").tolist()
        else:
            codes = np.frombuffer(base64.b64decode(column["i"]), f"<u{column['w']}")
            found[name] = [column["v"][code] for code in codes]
    return found


def test_the_list_holds_every_trial_and_what_is_known_of_its_score() -> None:
    results = made_up_results(draws=20, lost=3, planned=4)
    found = unpacked(trial_list.packed(results))
    assert found["trial"] == results.trials["trial"].tolist()
    assert found["generator.depth"] == results.trials["generator.depth"].astype(str).tolist()
    assert found["score"] == pytest.approx(results.trials["inception_score"].tolist(), nan_ok=True)
    known = analysis.success(results.trials, [3.0], "inception_score")[:, 0]
    for state, score, truth in zip(found["state"], found["score"], known, strict=True):
        says = {"scored": float(score > 3), "no score": 0.0}.get(str(state), np.nan)  # type: ignore[operator]
        assert says == pytest.approx(truth, nan_ok=True)
    assert "run_id" not in found
    assert unpacked(trial_list.packed(results, "http://host/{run_id}"))["run_id"][0] == "run-0"


def test_a_question_is_the_query_of_an_address() -> None:
    assert trials_of(arm="gan", above=3.0, verdict=None) == "arm=gan&above=3"
    assert trials_of(arm=("a", "b")) == "arm=a&arm=b"


def test_a_list_cannot_close_the_script_it_stands_in() -> None:
    results = made_up_results(draws=2)
    results.trials["verdict"] = "</script><b>"
    assert "</" not in trial_list.packed(results)


def test_every_number_of_the_outcomes_links_to_as_many_blocks() -> None:
    results = made_up_table_5()
    text = report.page(results, [sections.OutcomeTable()])
    links = re.findall(r'href="#trials\?([^"]*)">(\d+)<', text)
    asked = [(urllib.parse.parse_qs(query.replace("&amp;", "&")), int(number)) for query, number in links]
    only = {q["threshold"][0]: n for q, n in asked if q.get("outcome") == ["only_b"]}
    assert only["5.5"] == 148
    assert len(only) == 17
    counts = {tuple(q.get("arm", ["all"])): n for q, n in asked if "status" not in q and "outcome" not in q}
    assert counts == {("gan",): 200, ("wgan_gp",): 200, ("all",): 400}
