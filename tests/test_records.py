"""The bridge: what is written to MLflow comes back as the two frames, whatever way it is read."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gansweep import records
from gansweep.launch.trial_dir import TrialDir
from gansweep.recorder import Recorder
from gansweep.records import OUTCOME_COLUMNS, STEP_COLUMNS
from gansweep.tracking import TrackingUnreachable

CARD: dict[str, Any] = {
    "study": "made_up",
    "run": "made_up-smoke",
    "question": "Does it come back?",
    "design_hash": "abc",
    "protocols": {},
    "launch_id": "one",
    "provenance": {"commit": "abc"},
    "factors": {"generator.depth": {"label": "Depth", "values": [4, 8]}},
    "scores": [
        {
            "name": "inception_score",
            "columns": ["inception_score", "inception_score_std"],
            "higher_is_better": True,
            "facts": ["best", "best_step", "drawdown", "area", "step_above_2"],
        }
    ],
    "trials": [
        {"trial": "t0", "cell": "c000", "arm": "gan", "seed": 1, "position": 0, "factors": {"generator.depth": 4}},
        {"trial": "t1", "cell": "c000", "arm": "wgan", "seed": 1, "position": 1, "factors": {"generator.depth": 4}},
        {"trial": "t2", "cell": "c001", "arm": "gan", "seed": 2, "position": 2, "factors": {"generator.depth": 8}},
    ],
}


def row(step: int, **values: Any) -> dict[str, Any]:
    return {"step": step, "images_seen": 64 * step, "seconds": step / 10, "time_ms": 1_700_000_000_000 + step, **values}


def record(uri: str, home: Path, times: int = 1, **options: Any) -> None:
    """One ended trial, one under way, one not started; `times` over, as after interruptions."""
    reports = [
        row(10, penalty=0.5, loss_generator=math.inf),
        row(20, inception_score=2.5, inception_score_std=0.1, mutual_information=2),
    ]
    ended = {"status": "done", "verdict": "trained", "decision": "completed", "inception_score": 2.5, "step": 20}
    course = {"best": 2.5, "best_step": 20, "drawdown": 0.25, "area": 2.0, "step_above_2": 15}
    ended |= {f"inception_score_{name}": value for name, value in course.items()}
    ended |= {"inception_score_protocol": "p", "ended_at": 1_700_000_001_000}
    directories = {planned["trial"]: TrialDir(home / "trials" / planned["trial"]) for planned in CARD["trials"][:2]}
    for directory in directories.values():
        if not directory.begun():
            directory.begin()
            for report in reports:
                directory.append(report)
            (directory.path / "samples.png").write_bytes(b"\x89PNG made up")
    directories["t0"].end(ended)
    for _ in range(times):
        recorder = Recorder(uri, home, CARD, **options)
        for planned in CARD["trials"][:2]:
            fields = {"loss": "NonSaturating", "n_critic": 5}
            recorder.start(planned, fields.copy, directories[planned["trial"]].path, 1_700_000_000_000)
        recorder.end("t0")
        assert recorder.close(finished=False) == ""


@pytest.fixture(scope="module")
def store(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    home = as_home(tmp_path_factory.mktemp("store"))
    uri = records.default_uri(home)
    record(uri, home, times=2)
    return uri, home


def test_every_planned_trial_is_a_row_whether_or_not_it_started(store: tuple[str, Path]) -> None:
    trials = records.read(store[0], "made_up-smoke").trials
    assert trials["trial"].tolist() == ["t0", "t1", "t2"]
    assert trials["status"].tolist() == ["done", "running", "planned"]
    assert trials["generator.depth"].tolist() == [4, 4, 8]
    assert trials["inception_score"].tolist()[:1] == [2.5]
    assert trials["inception_score"].isna().tolist() == [False, True, True]


def test_the_columns_are_the_documented_ones(store: tuple[str, Path]) -> None:
    results = records.read(store[0], "made_up-smoke")
    first = ["trial", "study", "cell", "arm", "seed", "position", "generator.depth"]
    scores = ["inception_score", "inception_score_std"]
    course = [f"inception_score_{name}" for name in ("best", "best_step", "drawdown", "area", "step_above_2")]
    protocol = "inception_score_protocol"
    assert results.trials.columns.tolist() == [*first, *scores, *course, protocol, *OUTCOME_COLUMNS, "run_id"]
    assert results.steps.columns.tolist() == ["trial", "step", *STEP_COLUMNS, *scores, "mutual_information"]
    for name in (*OUTCOME_COLUMNS, *STEP_COLUMNS, *scores, *course[:-1], "inception_score_step_above_T", protocol):
        assert name in (records.__doc__ or ""), f"{name} is not documented"


def test_the_course_of_a_score_is_a_column_and_a_metric_of_the_run_and_no_step(store: tuple[str, Path]) -> None:
    results = records.read(store[0], "made_up-smoke")
    ended = results.trials.iloc[0]
    assert (ended["inception_score_drawdown"], ended["inception_score_step_above_2"]) == (0.25, 15)
    assert ended["inception_score_protocol"] == "p"
    assert not any(name.startswith("inception_score_step") for name in results.steps)
    from mlflow import MlflowClient

    metrics = MlflowClient(tracking_uri=store[0]).get_run(ended["run_id"]).data.metrics
    assert (metrics["inception_score_area"], metrics["inception_score_step_above_2"]) == (2.0, 15)


def test_an_outcome_that_is_too_long_for_a_tag_is_shortened_and_still_read(
    as_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    uri = records.default_uri(as_home(tmp_path))
    recorder = Recorder(uri, tmp_path, CARD)
    event = {"step": 1, "until": 2, "rule": "Exploding", "verdict": "exploding", "evidence": 'a "quoted" word ' * 10}
    errors = {"t0": "line\n" * 1000, "t1": None}
    for planned in CARD["trials"][:2]:
        directory = TrialDir(tmp_path / "trials" / planned["trial"])
        directory.begin()
        ended = {"status": "failed", "failure": "crashed", "step": 20, "ended_at": 1_700_000_001_000}
        ended |= {"error": errors[planned["trial"]], "events": [event] * (20 if planned["trial"] == "t0" else 60)}
        directory.end(ended)
        recorder.start(planned, dict, directory.path, 1_700_000_000_000)
        recorder.end(planned["trial"])
    assert recorder.close(finished=True) == ""
    trials = records.read(uri, "made_up-smoke").trials.set_index("trial")
    assert trials["status"].tolist() == ["failed", "failed", "planned"]
    assert json.loads(trials.loc["t0", "events"]) == [event] * 20
    assert trials.loc["t0", "error"] != "line\n" * 1000
    assert json.loads(trials.loc["t1", "events"]) == []


def test_recording_everything_a_second_time_doubles_nothing(store: tuple[str, Path]) -> None:
    results = records.read(store[0], "made_up-smoke")
    assert results.steps[["trial", "step"]].to_numpy().tolist() == [["t0", 10], ["t0", 20], ["t1", 10], ["t1", 20]]
    assert results.trials["run_id"].nunique() == 2


def test_a_second_launch_keeps_the_first_ones_provenance_and_is_listed(store: tuple[str, Path]) -> None:
    plan = records.read(store[0], "made_up-smoke").plan
    assert plan["provenance"] == CARD["provenance"]
    assert len(plan["launches"]) == 1


def test_a_value_that_is_not_finite_becomes_a_tag_and_no_number(store: tuple[str, Path]) -> None:
    assert records.read(store[0], "made_up-smoke").steps["loss_generator"].isna().all()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store[0])
    experiment = client.get_experiment_by_name("made_up")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`gansweep.trial_id` = 't0'")
    assert runs[0].data.tags["gansweep.nonfinite.loss_generator"] == "inf at step 10"
    assert runs[0].data.params["n_critic"] == "5"


def test_the_last_sample_grid_comes_back(store: tuple[str, Path]) -> None:
    results = records.read(store[0], "made_up-smoke")
    assert results.samples("t0") == b"\x89PNG made up"
    assert results.samples("t2") is None


def test_an_unknown_run_names_the_nearest(store: tuple[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"'made_up-smok' does not exist; did you mean 'made_up-smoke'"):
        records.read(store[0], "made_up-smok")


def test_a_server_that_does_not_answer_is_named_in_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TrackingUnreachable, match=r"http://127\.0\.0\.1:9 does not answer"):
        Recorder("http://127.0.0.1:9", tmp_path, CARD)
    assert time.monotonic() - started < 10
