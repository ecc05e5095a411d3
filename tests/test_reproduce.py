"""`gansweep reproduce`: a page over several studies, and none that fails keeps the others from running."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gansweep.cli import app
from gansweep.published import IDS_OF_STUDY, claims
from gansweep.reproduction import Attempt, write
from gansweep.testing import made_up_results
from tests.test_launch import RING, gansweep


def test_the_page_says_what_each_study_found_and_names_the_claims_of_one_that_did_not_run(tmp_path: Path) -> None:
    results = made_up_results(draws=40)
    report = tmp_path / "reports" / "arch_robustness-laptop.html"
    attempts = [
        Attempt("arch_robustness", "Does it?", "arch_robustness-laptop", results, report),
        Attempt("penalty", "Which side?", "penalty-laptop", None, None, "its launch ended with exit code 2"),
    ]
    page, markdown = write(attempts, "laptop", tmp_path / "reports")
    for told in (page.read_text(), markdown.read_text()):
        assert "1 of 2 studies ran to their end, at the preset laptop." in told
        assert "only orderings are judged" in told
        assert "Its launch ended with exit code 2." in told
        assert "planned 80 = 80 done" in told
        assert "The study has no recorded run, so nothing is judged." in told
        for claim in (*claims("S1"), *claims("S2")):
            assert claim.sentence.split("'")[0] in told
    assert 'href="arch_robustness-laptop.html"' in page.read_text()
    assert "[arch_robustness-laptop](arch_robustness-laptop.html)" in markdown.read_text()
    assert "http" not in page.read_text().split("</style>")[1].split("<script")[0].replace("http://www.w3.org", "")


def test_by_default_it_runs_the_studies_that_answer_a_published_claim() -> None:
    told = CliRunner().invoke(app, ["reproduce", "--list"], catch_exceptions=False).stdout
    assert [line for line in told.splitlines() if line.startswith("studies/")] == [
        f"studies/{name}.py" for name in IDS_OF_STUDY if Path("studies", f"{name}.py").is_file()
    ]
    assert sum(line.startswith("  claim: ") for line in told.splitlines()) == sum(
        len(claims(one)) for name, ids in IDS_OF_STUDY.items() if Path("studies", f"{name}.py").is_file() for one in ids
    )


@pytest.mark.long
def test_a_study_that_fails_does_not_stop_the_others_and_the_exit_code_tells(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(Path(RING).read_text().replace('name="ring"', 'name="broken"'))
    home = tmp_path / "home"
    accident = home / "studies" / "broken-smoke" / "design.json"
    accident.parent.mkdir(parents=True)
    accident.write_text("{")
    ended = gansweep("reproduce", broken, RING, "--preset", "smoke", "--inline", "--home", home)
    assert ended.returncode == 1
    assert f"1 of 2: {broken}: exit code 2" in ended.stdout
    assert f"2 of 2: {RING}: done" in ended.stdout
    page = Path(ended.stdout.strip().splitlines()[-1])
    assert "1 of 2 studies ran to their end" in page.read_text()
    assert 'href="ring-smoke.html"' in page.read_text()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("reproduce", "studies/penalti.py"), "did you mean 'studies/penalty.py'?"),
        (("reproduce", "studies/penalty.py", "--preset", "smok"), "preset 'smok' does not exist"),
        (("reproduce", "--folder", "docs"), "no study in 'docs' answers a published claim"),
    ],
)
def test_bad_input_is_told_before_any_work(asked: tuple[str, ...], told: str, tmp_path: Path) -> None:
    ended = gansweep(*asked, "--home", tmp_path / "home")
    assert ended.returncode == 2
    assert told in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "home").exists()
