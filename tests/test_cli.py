"""What the command line says of bad input, and that its interface changes only on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_launch import STUDY, gansweep

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[1]
HELP = Path(__file__).parent / "cli_help.txt"
COMMANDS = ("plan", "launch", "status", "why", "report", "export", "reproduce", "dashboard", "studies", "doctor")


def helped(*command: str) -> str:
    return gansweep(*command, "--help", env={"COLUMNS": "100", "TERM": "dumb", "PATH": "/usr/bin:/bin"}).stdout


def test_the_help_is_what_is_under_version_control() -> None:
    """To accept a change: python -m tests.test_cli."""
    assert all_help() == HELP.read_text()


def all_help() -> str:
    return "\n".join([helped(), *(helped(command) for command in COMMANDS)])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, from the project's folder: exit code, output and errors."""
    from gansweep.cli import main

    monkeypatch.chdir(ROOT)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gansweep", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        output, errors = capfd.readouterr()
        return int(end.value.code or 0), output, errors

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("launch", "tests/tiny_studi.py"), "did you mean 'tests/tiny_study.py'?"),
        (("launch", STUDY, "--preset", "smok"), "preset 'smok' does not exist; did you mean 'smoke'?"),
        (("launch", STUDY, "--preset", "smoke", "--data", "parquet:/no/such"), "/no/such does not exist"),
        (("launch", STUDY, "--preset", "smoke", "--data", "digit"), "did you mean 'digits'?"),
        (("launch", STUDY, "--preset", "smoke", "--tracking-uri", "http://127.0.0.1:9"), "does not answer"),
        (("launch", STUDY, "--preset", "smoke", "--tracking-uri", "mysqlite"), "tracking URI 'mysqlite'"),
        (("launch", STUDY, "--preset", "smoke", "--draws", "9"), "draws = 9 is more than the 4 different cells"),
        (("launch", STUDY, "--preset", "smoke", "--address", "127.0.0.1:9"), "no Ray cluster answers"),
        (
            ("launch", "studies/arch_robustness.py", "--preset", "smoke", "--arms", "gan,lsgn"),
            "study 'arch_robustness': arm 'lsgn' does not exist; did you mean 'lsgan'?",
        ),
        (("status", STUDY, "--arms", "no such arm"), "arm 'no such arm' does not exist"),
        (("status", STUDY), "nothing is recorded yet"),
        (("export", STUDY, "--format", "xls"), "format 'xls' does not exist"),
        (("dashboard", "dashboards/arch_robustnes.py"), "did you mean 'dashboards/arch_robustness.py'?"),
    ],
    ids=lambda value: " ".join(Path(a).name for a in value[:1] + value[2:]) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_that_names_it_and_exit_code_2(
    arguments: tuple[str, ...], message: str, run: Run, tmp_path: Path
) -> None:
    code, _, errors = run(*arguments, "--home", str(tmp_path / "home"))
    assert code == 2
    assert message in errors
    assert len(errors.strip().splitlines()) == 1, errors


def test_a_misspelt_field_in_a_study_file_is_named_with_the_nearest(run: Run, tmp_path: Path) -> None:
    study = tmp_path / "misspelt.py"
    study.write_text(Path(STUDY).read_text().replace("report_every=2", "report_evry=2"))
    code, _, errors = run("plan", str(study))
    assert code == 2
    assert errors.strip() == "gansweep: field of TrialConfig 'report_evry' does not exist; did you mean 'report_every'?"


def test_a_syntax_error_in_a_study_file_is_one_line_with_its_place(run: Run, tmp_path: Path) -> None:
    study = tmp_path / "broken.py"
    study.write_text("study = Study(\n")
    code, _, errors = run("plan", str(study))
    assert code == 2
    assert f"{study}, line 1" in errors
    assert len(errors.strip().splitlines()) == 1


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, gansweep.cli; print([m for m in ('torch','ray','mlflow','plotly','pandas') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_a_plan_shows_every_arm_as_its_difference_from_the_baseline(run: Run, tmp_path: Path) -> None:
    code, shown, errors = run("plan", STUDY, "--preset", "smoke", "--home", str(tmp_path))
    assert code == 0, errors
    assert "2 cells of 4 in the space x 3 arms = 6 trials" in shown
    assert "constraint.weight" in shown
    assert "forecast on cpu" in shown
    assert "80% power (exact McNemar test at 5%): this is too small to show any difference of arms" in shown


def test_a_plan_says_which_difference_of_arms_the_study_would_show(run: Run, tmp_path: Path) -> None:
    asked = ("plan", "studies/arch_robustness.py", "--preset", "paper", "--no-probe", "--home", str(tmp_path))
    code, shown, errors = run(*asked)
    assert code == 0, errors
    assert "this shows a difference of arms of 14 points if two arms disagree in 50% of them, 9 points if" in shown
    code, shown, errors = run(*asked, "--json")
    assert json.loads(shown)["detectable"] == pytest.approx({"0.5": 0.143, "0.2": 0.092}, abs=0.002)


def test_doctor_finds_this_machine_fit(run: Run, tmp_path: Path) -> None:
    code, found, _ = run("doctor", "--home", str(tmp_path))
    assert code == 0, found
    assert "closed-form" in found


if __name__ == "__main__":
    HELP.write_text(all_help())
