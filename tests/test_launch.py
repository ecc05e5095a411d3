"""The sweep from end to end, with the real Ray, Optuna and MLflow, and with real kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from typer.testing import CliRunner

from gansweep import records
from gansweep.cli import app
from gansweep.launch.sweep import Settings, Swept, sweep
from gansweep.selection import Selection

STUDY = str(Path(__file__).parent / "tiny_study.py")
RING = str(Path(__file__).parent / "ring_study.py")  # points, not images: a second for a trial
GANSWEEP = str(Path(sys.executable).with_name("gansweep"))
# what the same trial may report differently when it runs again
TIMINGS = [
    "train_seconds",
    "evaluate_seconds",
    "record_seconds",
    "started_at",
    "ended_at",
    "run_id",
    "attempts",
    "losses",
]


def gansweep(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [GANSWEEP, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, **options)


def asked(*arguments: str | Path) -> str:
    """What the command line answers, in this process."""
    answer = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def launched(home: Path, study: str | Path = STUDY, preset: str = "smoke", executor: str = "inline") -> Swept:
    """A launch in this process, where no process is to be killed."""
    return sweep(Selection(file=str(study), preset=preset), Settings(home=home, executor=executor))


def read(home: Path, run: str = "tiny-smoke") -> records.Results:
    return records.read(records.default_uri(home), run)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the tiny study has run once, inline and undisturbed, as a user launches it."""
    home = tmp_path_factory.mktemp("prepared")
    done = gansweep("launch", STUDY, "--preset", "smoke", "--home", home, "--inline")
    assert done.returncode == 0, done.stdout + done.stderr
    return home


@pytest.fixture
def empty(as_home: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A home in which nothing has run."""
    return as_home(tmp_path / "home")


@pytest.fixture
def home(prepared: Path, empty: Path) -> Path:
    """An empty home with the data and the classifier already prepared."""
    for name in ("data", "classifiers"):
        shutil.copytree(prepared / name, empty / name)
    return empty


def outcomes(home: Path, run: str = "tiny-smoke") -> pd.DataFrame:
    return read(home, run).trials.drop(columns=TIMINGS)


def optuna_trials(home: Path, run: str = "tiny-smoke") -> list[optuna.trial.FrozenTrial]:
    backend = optuna.storages.journal.JournalFileBackend(str(home / "studies" / run / "optuna.journal"))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name=run, storage=storage).get_trials()


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Launch the longer ring study, and do not wait for its end."""
    command = [GANSWEEP, "launch", RING, "--preset", "longer", "--no-report", "--home", str(home), *arguments]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, start_new_session=True, **streams)


def go_on(home: Path) -> None:
    """The same launch again, in this process."""
    assert launched(home, RING, "longer").complete


@pytest.fixture(scope="session")
def undisturbed(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the longer ring study has run undisturbed."""
    home = as_home(tmp_path_factory.mktemp("undisturbed"))
    go_on(home)
    return home


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


def assert_exactly_once(home: Path, run: str) -> None:
    """Every planned trial has one ended run, in MLflow, in Optuna and on disk, and nothing is left running."""
    trials = read(home, run).trials
    assert (trials["status"] == "done").all(), trials[["trial", "status", "error"]]
    assert trials["run_id"].is_unique
    told = [trial.user_attrs["gansweep.trial_id"] for trial in optuna_trials(home, run)]
    assert sorted(told) == sorted(trials["trial"])
    assert all(trial.state.is_finished() for trial in optuna_trials(home, run))
    import sqlite3

    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute(
            "SELECT t.value, r.status FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid"
            " WHERE t.key = 'gansweep.trial_id'"
        ).fetchall()
        repeated = database.execute(
            "SELECT run_uuid, key, step, count(*) FROM metrics GROUP BY run_uuid, key, step HAVING count(*) > 1"
        ).fetchall()
    assert sorted(trial for trial, _ in rows) == sorted(trials["trial"])
    assert {status for _, status in rows} == {"FINISHED"}
    assert not repeated


def test_a_diverged_trial_of_a_sweep_is_told_with_its_page(prepared: Path) -> None:
    told = asked("why", "c000/wild", "--home", prepared)
    assert told.startswith("c000/wild diverged, from step 1")
    assert Path(told.splitlines()[-1]).is_file()


def test_a_study_runs_inline_and_its_counts_add_up(prepared: Path) -> None:
    counted = json.loads(asked("status", STUDY, "--home", prepared, "--json"))
    parts = ("done", "failed", "cancelled", "running", "not_started")
    assert counted["planned"] == 6 == sum(counted[part] for part in parts)
    for arm in ("gan", "wgan_gp", "wild"):
        assert sum(counted["arms"][arm]["verdicts"].values()) == counted["arms"][arm]["done"] == 2


def test_a_diverged_trial_stops_within_one_report_and_every_record_says_why(prepared: Path) -> None:
    results = read(prepared)
    wild = results.trials[results.trials["arm"] == "wild"]
    assert (wild["verdict"] == "diverged").all()
    assert (wild["decision"] == "pruned").all()
    assert (wild["decision_rule"] == "Diverged").all()
    assert wild["inception_score"].isna().all()
    assert (wild["step"] - wild["verdict_step"] < 2).all(), "more than one report interval after the first bad step"
    assert wild["evidence"].str.contains("not finite from step").all()
    by_id = {trial.user_attrs["gansweep.trial_id"]: trial for trial in optuna_trials(prepared)}
    for trial in wild["trial"]:
        assert by_id[trial].state == optuna.trial.TrialState.PRUNED
        assert by_id[trial].user_attrs["gansweep.verdict"] == "diverged"


def test_the_arms_of_a_block_share_data_noise_and_initial_weights(prepared: Path) -> None:
    trials = read(prepared).trials
    for name in ("fingerprint_data", "fingerprint_latent", "fingerprint_init"):
        assert trials[name].notna().all()
        assert (trials.groupby("cell")[name].nunique() == 1).all()
        assert trials[name].nunique() > 1


def test_samples_and_steps_can_be_read_back(prepared: Path) -> None:
    results = read(prepared)
    trained = results.trials[results.trials["arm"] == "gan"].iloc[0]
    png = results.samples(trained["trial"])
    assert png is not None
    assert png.startswith(b"\x89PNG")
    steps = results.steps[results.steps["trial"] == trained["trial"]]
    assert steps["step"].tolist() == [2, 4, 6, 8, 10, 12]
    assert steps["inception_score"].notna().tolist() == [False, True] * 3
    assert steps["inception_score"].iloc[-1] == trained["inception_score"]


def test_the_report_is_written_and_needs_no_network(prepared: Path) -> None:
    page = (prepared / "reports" / "tiny-smoke.html").read_text()
    assert "Does the machinery carry a study" in page
    assert 'src="http' not in page


def test_the_same_command_again_trains_nothing(prepared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (prepared / "studies").rglob("outcome.json")}
    frames = outcomes(prepared)
    assert launched(prepared).complete
    assert "6 of 6 trials had ended" in capfd.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (prepared / "studies").rglob("outcome.json")} == before
    pd.testing.assert_frame_equal(outcomes(prepared), frames)


def test_ray_tune_gives_the_numbers_of_the_inline_executor(prepared: Path, home: Path) -> None:
    assert launched(home, executor="tune").complete
    assert_exactly_once(home, "tiny-smoke")
    pd.testing.assert_frame_equal(outcomes(home), outcomes(prepared))
    first, second = (read(where).steps.drop(columns="seconds") for where in (prepared, home))
    pd.testing.assert_frame_equal(first, second)


def assert_like_undisturbed(home: Path, undisturbed: Path) -> None:
    """Every trial of the longer ring study exactly once, with the numbers of an undisturbed run."""
    assert_exactly_once(home, "ring-longer")
    pd.testing.assert_frame_equal(outcomes(home, "ring-longer"), outcomes(undisturbed, "ring-longer"))
    first, second = (read(where, "ring-longer").steps.drop(columns="seconds") for where in (home, undisturbed))
    pd.testing.assert_frame_equal(first, second)


def lines_of(home: Path, file: str, word: str = "") -> int:
    """How many lines of the trials' files of that name have the word in them."""
    found = (home / "studies" / "ring-longer" / "trials").glob(f"*/{file}")
    return sum(word in line for one in found for line in one.read_text().splitlines())


def test_after_a_sigkill_of_the_driver_the_same_command_ends_every_trial_exactly_once(
    empty: Path, undisturbed: Path
) -> None:
    def ended() -> int:
        return len(list((empty / "studies" / "ring-longer" / "trials").glob("*/outcome.json")))

    driver = start(empty)
    wait_until(lambda: ended() >= 1, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert ended() < 4, "the sweep was over before the kill"
    go_on(empty)
    assert_like_undisturbed(empty, undisturbed)


# a terminal sends SIGINT to the driver and all that it started
def test_a_killed_worker_costs_an_attempt_and_ctrl_c_leaves_a_state_from_which_the_same_command_goes_on(
    empty: Path, undisturbed: Path
) -> None:
    driver = start(empty, "--workers", "1")
    wait_until(lambda: lines_of(empty, "history.jsonl") > 0, driver)
    # only the workers of this sweep: those in the driver's own session
    search = ["pgrep", "-s", str(driver.pid), "-f", "ray::ResourceTrainable"]
    found: list[str] = []

    def seen() -> bool:  # a worker between two calls has another title
        found[:] = subprocess.run(search, capture_output=True, text=True, check=False).stdout.split()
        return bool(found)

    wait_until(seen, driver)
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: lines_of(empty, "losses.jsonl") > 0, driver)
    evaluated = lines_of(empty, "history.jsonl", "modes_captured")
    wait_until(lambda: lines_of(empty, "history.jsonl", "modes_captured") > evaluated, driver)
    os.killpg(driver.pid, signal.SIGINT)
    output = driver.communicate(timeout=200)[0]
    assert driver.returncode == 130, output
    assert_stopped_cleanly(empty, output)
    go_on(empty)
    assert_like_undisturbed(empty, undisturbed)
    trials = read(empty, "ring-longer").trials
    assert trials["attempts"].sum() == 4 + 2
    assert sorted(trials["losses"]) == ['{"lost": 1}', "{}", "{}", "{}"]
    hit = trials.loc[trials["losses"] != "{}"].iloc[0]
    told = asked("why", hit["trial"], "--home", empty, "--no-page").replace("\n", " ")
    assert f"It took {hit['attempts']} attempts; of its workers 1 died." in told


def assert_stopped_cleanly(home: Path, said: str) -> None:
    """A request to stop was met: one trial has its state saved, nothing is left running, and it says how to go on."""
    assert "the same command goes on" in said
    stopped = read(home, "ring-longer").trials
    assert (stopped["status"] == "cancelled").sum() == 1
    assert not (stopped["status"] == "running").any()
    assert len(list((home / "studies" / "ring-longer" / "trials").glob("*/state.pt"))) == 1


# a batch system sends SIGTERM
def test_while_a_launch_runs_a_second_one_is_refused_and_sigterm_stops_the_first_so_that_it_can_go_on(
    empty: Path, undisturbed: Path
) -> None:
    driver = start(empty, "--inline")
    wait_until(lambda: lines_of(empty, "history.jsonl", "modes_captured") > 0, driver)
    with pytest.raises(ValueError, match="another gansweep launch is running ring-longer"):
        go_on(empty)
    driver.send_signal(signal.SIGTERM)
    output = driver.communicate(timeout=200)[0]
    assert driver.returncode == 130, output
    assert_stopped_cleanly(empty, output)
    go_on(empty)
    assert_like_undisturbed(empty, undisturbed)
    assert read(empty, "ring-longer").trials["attempts"].sum() == 4 + 1


def test_a_damaged_state_is_named_and_does_not_become_a_verdict(empty: Path, undisturbed: Path) -> None:
    def interrupt() -> None:
        while not lines_of(empty, "history.jsonl"):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert not launched(empty, RING, "longer").complete
    (state,) = (empty / "studies" / "ring-longer" / "trials").glob("*/state.pt")
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    go_on(empty)
    assert_like_undisturbed(empty, undisturbed)
    assert "is damaged" in (empty / "studies" / "ring-longer" / "launch.log").read_text()


PORTRAITS = (
    "portraits=(CriticSurface(points=9, frames=5), SampleClouds(points=30, frames=99), WeightHistograms(bins=5)),"
)


@pytest.fixture
def portrayed(tmp_path: Path) -> Path:
    """The longer ring study, one cell and a third as long, with portraits of 5 evaluations, of each and of the last."""
    text, longer = Path(RING).read_text(), '"steps": 900, "report_every": 30, "evaluate_every": 60'
    for old, new in (
        ("    Adam,\n", "    Adam, CriticSurface, SampleClouds, WeightHistograms,\n"),
        ("    report=(", f"    {PORTRAITS}\n    report=("),
        ("draws=2,", "draws=1,"),
        (longer, '"steps": 300, "report_every": 10, "evaluate_every": 20'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    study = tmp_path / "ring_study.py"
    study.write_text(text)
    return study


def portraits(home: Path) -> dict[tuple[str, str], dict[str, tuple[Any, ...]]]:
    """Every array of every recorded portrait of the ring study: its type, its shape and its bytes."""
    results = read(home, "ring-longer")
    return {
        (trial, name): {
            key: (array.dtype, array.shape, array.tobytes()) for key, array in results.portraits(trial, name).items()
        }
        for trial in results.trials["trial"]
        for name in ("surface", "samples", "weights")
    }


@pytest.mark.long
def test_portraits_of_a_trial_that_was_killed_and_stopped_on_its_way_are_those_of_an_undisturbed_one(
    empty: Path, portrayed: Path, as_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    def evaluated() -> int:
        return lines_of(empty, "history.jsonl", "modes_captured")

    def interrupt() -> None:
        while evaluated() < 9:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [
        GANSWEEP,
        "launch",
        str(portrayed),
        "--preset",
        "longer",
        "--no-report",
        "--inline",
        "--home",
        str(empty),
    ]
    with subprocess.Popen(command, **options) as driver:
        wait_until(lambda: evaluated() >= 4, driver)
        driver.send_signal(signal.SIGKILL)
    threading.Thread(target=interrupt, daemon=True).start()
    assert not launched(empty, portrayed, "longer").complete
    # and as if the last report had not been written when its portraits had been
    (state,) = (empty / "studies" / "ring-longer" / "trials").glob("*/state.pt")
    history = state.with_name("history.jsonl")
    rows = history.read_text().splitlines(keepends=True)
    history.write_text("".join(rows[: max(i for i, row in enumerate(rows) if "modes_captured" in row)]))
    with np.load(state.with_name("portrait-samples.npz")) as file:
        assert json.loads(rows[-1])["step"] < 300, "the trial was over before it was stopped"
        assert file["step"].max() > json.loads(history.read_text().splitlines()[-1])["step"]
    assert launched(empty, portrayed, "longer").complete
    assert_exactly_once(empty, "ring-longer")

    calm = as_home(tmp_path / "calm")
    assert launched(calm, portrayed, "longer").complete
    assert portraits(empty) == portraits(calm)
    first, second = (
        {(file.parent.name, file.name): file.read_bytes() for file in home.glob("studies/*/trials/*/portrait-*.npz")}
        for home in (empty, calm)
    )
    assert first == second
    steps = [read(home, "ring-longer").steps.drop(columns="seconds") for home in (empty, calm)]
    pd.testing.assert_frame_equal(*steps)
    results = read(empty, "ring-longer")
    (trial,) = results.trials.loc[results.trials["arm"] == "gan", "trial"]
    assert results.portraits(trial, "surface")["step"].tolist() == [60, 120, 180, 240, 300]
    assert results.portraits(trial, "samples")["step"].tolist() == list(range(20, 301, 20))
    assert results.portraits(trial, "weights")["step"].tolist() == [300]


def test_a_changed_study_refuses_with_a_diff(home: Path, tmp_path: Path) -> None:
    study = tmp_path / "tiny_study.py"
    text = Path(STUDY).read_text()
    study.write_text(text)
    assert launched(home, study).complete
    study.write_text(text.replace("batch_size=16", "batch_size=32"))
    refused = gansweep("launch", study, "--preset", "smoke", "--home", home, "--inline", "--no-report")
    assert refused.returncode == 2
    assert "-design.baseline.batch_size = 16" in refused.stderr
    assert "+design.baseline.batch_size = 32" in refused.stderr
    assert "Traceback" not in refused.stderr
    study.write_text(f"{text}\n# the machinery is ours\n")
    assert launched(home, study).complete, "a changed comment is not a changed study"


UNBUILDABLE = """
class Unbuildable(DCGANGenerator):
    # fits its data, as the check before any work finds on the meta device, and fails where it is trained
    def build(self, **given):
        network = super().build(**given)
        if next(network.parameters()).device.type != "meta":
            raise RuntimeError("no kernel for this machine")
        return network
"""


def test_trials_that_all_fail_at_once_stop_the_sweep_and_are_tried_again(home: Path, tmp_path: Path) -> None:
    study = tmp_path / "tiny_study.py"
    text = Path(STUDY).read_text().replace("generator=DCGANGenerator(", "generator=Unbuildable(")
    study.write_text(text.replace("study = Study(", f"{UNBUILDABLE}\n\nstudy = Study(", 1))
    with pytest.raises(RuntimeError, match="no kernel for this machine"):
        launched(home, study)
    assert not list((home / "studies").rglob("outcome.json")), "an infrastructure failure became an outcome"


def test_an_infinite_score_or_loss_is_never_stored_as_a_number(prepared: Path) -> None:
    steps = read(prepared).steps
    numbers = steps.select_dtypes("number").to_numpy(dtype=float)
    assert np.abs(numbers[~np.isnan(numbers)]).max() < 1e300
