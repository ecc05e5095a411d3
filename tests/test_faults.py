"""What can befall a sweep, injected for real: hung workers, a full disk or memory, a jumping clock, failing arms."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import torch

from gansweep import VerdictMatrix, records
from gansweep.launch.states import States
from gansweep.launch.sweep import Settings, Swept, sweep
from gansweep.selection import Selection
from tests.ray_cluster import RayCluster

RING = Path(__file__).parent / "ring_study.py"
GANSWEEP = str(Path(sys.executable).with_name("gansweep"))
# what the same trial may report differently when it runs again
TIMINGS = ["train_seconds", "evaluate_seconds", "record_seconds", "started_at", "ended_at", "run_id"]


def run(home: Path, preset: str | None = "smoke", study: Path = RING, **settings: Any) -> Swept:
    """A launch in this process."""
    selection = Selection(file=str(study), preset=preset)
    return sweep(selection, Settings(**{"home": home, "executor": "inline", **settings}))


def read(home: Path, name: str) -> records.Results:
    return records.read(records.default_uri(home), name)


def trials_of(home: Path, name: str, besides: tuple[str, ...] = ("attempts", "losses")) -> pd.DataFrame:
    return read(home, name).trials.drop(columns=[*TIMINGS, *besides])


def steps_of(home: Path, name: str) -> pd.DataFrame:
    return read(home, name).steps.drop(columns="seconds")


def optuna_trials(home: Path, name: str) -> dict[str, optuna.trial.FrozenTrial]:
    backend = optuna.storages.journal.JournalFileBackend(str(home / "studies" / name / "optuna.journal"))
    study = optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))
    return {trial.user_attrs["gansweep.trial_id"]: trial for trial in study.get_trials()}


def assert_like_undisturbed(home: Path, calm: Path, name: str) -> None:
    """Both frames, value by value, and nothing is left running in Optuna."""
    pd.testing.assert_frame_equal(trials_of(home, name), trials_of(calm, name))
    pd.testing.assert_frame_equal(steps_of(home, name), steps_of(calm, name))
    told = optuna_trials(home, name)
    assert sorted(told) == sorted(read(home, name).trials["trial"])
    assert all(trial.state.is_finished() for trial in told.values())


@pytest.fixture(scope="module")
def calm(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the ring study has run undisturbed."""
    home = as_home(tmp_path_factory.mktemp("calm"))
    assert run(home).complete
    assert run(home, "long").complete
    return home


@pytest.fixture
def home(as_home: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A home in which nothing has run."""
    return as_home(tmp_path / "home")


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder whose files tell a worker what shall befall it."""
    folder = tmp_path / "trouble"
    folder.mkdir()
    monkeypatch.setenv("GANSWEEP_TROUBLE", str(folder))
    return folder


def needs(found: bool, what: str) -> None:
    """Skip where this machine lacks something, but not in CI."""
    if not found:
        assert not os.environ.get("CI"), f"CI must have {what}"
        pytest.skip(f"no {what} here")


# --- hung workers


def losses_of(home: Path, name: str) -> list[dict[str, Any]]:
    """Every worker that a run has lost."""
    files = (home / "studies" / name / "trials").glob("*/losses.jsonl")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def assert_found_in_time(home: Path, name: str, loss: dict[str, Any], taken: Path) -> None:
    """A hung worker was found within twice what it had promised; it had written down when it hung."""
    assert loss["kind"] == "hung"
    pid, began = taken.read_text().split()
    assert f"(process {pid}, " in loss["why"]
    found = (
        r"(?m)^(\S+ \S+) WARNING .* no report within the (\S+) s that it promised: its worker is ended \(process %s,"
    )
    ((when, promise),) = re.findall(found % pid, (home / "studies" / name / "launch.log").read_text())
    silent = datetime.strptime(when, "%Y-%m-%d %H:%M:%S,%f").timestamp() - float(began)
    assert silent < 2 * float(promise) + 1, loss["why"]


@pytest.mark.long
def test_hung_workers_are_found_in_time_and_their_trials_go_on_elsewhere(calm: Path, trouble: Path, home: Path) -> None:
    for what in ("stop", "loop"):
        (trouble / what).touch()
    assert run(home, "long", executor="tune", workers=1, patience=1.0).complete
    found = losses_of(home, "ring-long")
    losses = {"stop" if "stopped by a signal" in loss["why"] else "loop": loss for loss in found}
    assert sorted(losses) == ["loop", "stop"]
    for what, loss in losses.items():
        assert_found_in_time(home, "ring-long", loss, trouble / f"{what}.taken")
    assert "in loop" in losses["loop"]["why"], "the stack of the worker in its endless loop"
    trials = read(home, "ring-long").trials
    assert sum(json.loads(one).get("hung", 0) for one in trials["losses"]) == 2
    assert_like_undisturbed(home, calm, "ring-long")


NODES = """
import ray
ray.init(logging_level="ERROR")
print(ray.get_runtime_context().get_node_id(), *[n["NodeID"] for n in ray.nodes() if "CPU" in n["Resources"]])
"""


def nodes_of(cluster: RayCluster) -> tuple[str, list[str]]:
    """The node that a driver joins, and those on which trials run."""
    env = {**cluster.env, "RAY_ADDRESS": cluster.address}
    ask: dict[str, Any] = {"env": env, "capture_output": True, "text": True, "check": True}
    own, *others = subprocess.run([sys.executable, "-c", NODES], **ask).stdout.split()
    return own, others


@pytest.mark.slow
def test_a_hung_worker_on_another_node_is_found_in_time_and_killed_there(calm: Path, trouble: Path, home: Path) -> None:
    (trouble / "stop").touch()
    with contextlib.closing(RayCluster(cpus=0)) as cluster:
        cluster.add(cpus=1)
        own, others = nodes_of(cluster)
        assert own not in others
        command = [GANSWEEP, "launch", str(RING), "--preset", "long", "--home", str(home), "--no-report"]
        command += ["--address", cluster.address, "--patience", "1"]
        done = subprocess.run(command, env=cluster.env, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        stopped = int((trouble / "stop.taken").read_text().split()[0])
        assert not Path(f"/proc/{stopped}").exists(), "the worker that was stopped is still there"
    (loss,) = losses_of(home, "ring-long")
    assert_found_in_time(home, "ring-long", loss, trouble / "stop.taken")
    assert f"its process was stopped by a signal (process {stopped}, node {others[0][:12]})" in loss["why"]
    assert_like_undisturbed(home, calm, "ring-long")


# --- several launches at once


@pytest.mark.long
def test_launches_at_the_same_time_share_a_home_that_is_not_there_yet(calm: Path, tmp_path: Path) -> None:
    home, several = tmp_path / "home", []
    for preset in ("smoke", "long"):
        command = [GANSWEEP, "launch", str(RING), "--preset", preset, "--home", str(home), "--inline", "--no-report"]
        several.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    while not (home / "studies").exists():
        assert not any(launch.poll() for launch in several)
        time.sleep(0.05)
    # another study, in this process, which need not import anything first
    other = failing(tmp_path, 2, gan='{"loss": NonSaturating()}', hinge='{"loss": Hinge()}')
    assert run(home, None, other).counts["done"] == 4
    for launch in several:
        said, _ = launch.communicate(timeout=300)
        assert launch.returncode == 0, said
    for name in ("ring-smoke", "ring-long"):
        assert_like_undisturbed(home, calm, name)
    with sqlite3.connect(home / "mlflow.db") as opened:
        runs = opened.execute(
            "SELECT t.value, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid"
            " WHERE t.key = 'gansweep.trial_id' AND r.lifecycle_stage = 'active'"
        ).fetchall()
    planned = [trial for name in ("ring-smoke", "ring-long", "failing") for trial in read(home, name).trials["trial"]]
    assert sorted(trial for trial, _ in runs) == sorted(planned)
    assert len(planned) == 4 + 4 + 4
    assert {status for _, status in runs} == {"FINISHED"}


# --- memory

MONITORED = """
from pathlib import Path
from gansweep.launch.sweep import Settings, sweep
from gansweep.selection import Selection

if __name__ == "__main__":
    sweep(Selection(file={study!r}, preset="long"), Settings(home=Path({home!r}), workers=2))
"""
SPARE_GB = 3.4  # for Ray, two workers and what else this machine does meanwhile


@pytest.mark.slow
def test_rays_memory_monitor_costs_the_worker_that_it_kills_an_attempt_and_nobody_a_trial(
    calm: Path, trouble: Path, home: Path
) -> None:
    memory = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    needs(memory["MemAvailable"] > 8 * 2**20, "8 GiB of free memory")
    used = memory["MemTotal"] - memory["MemAvailable"] + SPARE_GB * 2**20
    monitor = {"RAY_memory_usage_threshold": str(used / memory["MemTotal"]), "RAY_memory_monitor_refresh_ms": "100"}
    (trouble / "allocate").write_text("2000")
    script = MONITORED.format(study=str(RING), home=str(home))
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **monitor}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (home / "studies" / "ring-long" / "launch.log").read_text()
    assert "Tune stopped" in log, "fit() was to raise"
    losses = [json.loads(one) for one in read(home, "ring-long").trials["losses"]]
    assert sum(one.get("oom", 0) for one in losses) >= 1
    assert {kind for one in losses for kind in one} == {"oom"}, "those that were ended with it have lost nothing"
    assert_like_undisturbed(home, calm, "ring-long")


# --- the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    where = tmp_path / "small"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", where], capture_output=True, text=True)
    needs(mounted.returncode == 0, "right to mount a file system")
    yield where
    subprocess.run(["umount", "--lazy", where], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that takes all but so many bytes."""
    room = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize - leave))
    return filler


@pytest.mark.long
def test_a_full_disk_stops_the_sweep_in_one_line_and_the_same_command_goes_on_when_there_is_room(
    as_home: Callable[[Path], Path], calm: Path, small_disk: Path
) -> None:
    home = as_home(small_disk / "home")
    run(home, "smoke")  # so that what is full is not the store, before there is anything to record
    filler = fill(small_disk, 200_000)
    command = ["launch", str(RING), "--preset", "long", "--home", str(home), "--inline", "--no-report"]
    stopped = subprocess.run([GANSWEEP, *command], capture_output=True, text=True, timeout=300)
    assert stopped.returncode == 1, stopped.stderr
    assert len(stopped.stderr.splitlines()) == 1, stopped.stderr
    # said by the driver, or by whoever was the first to need room
    folder = re.escape(str(home / "studies" / "ring-long"))
    assert re.search(rf"(?i)no space left (on device )?in {folder}", stopped.stderr), stopped.stderr
    assert "Nothing is lost: make room there" in stopped.stderr
    assert "the same command goes on" in stopped.stderr
    assert not list(home.rglob(".*.[0-9]*")), "a temporary file was left"
    filler.unlink()
    assert run(home, "long").complete
    assert_like_undisturbed(home, calm, "ring-long")


@pytest.mark.slow
def test_a_disk_that_is_full_again_and_again_wherever_the_sweep_is_costs_nothing(
    as_home: Callable[[Path], Path], calm: Path, small_disk: Path
) -> None:
    home = as_home(small_disk / "home")
    run(home, "smoke")
    for leave in (4_096, 20_000, 40_000, 80_000):
        filler = fill(small_disk, leave)
        with pytest.raises(RuntimeError, match=r"(?i)no space left .* make room there"):
            run(home, "long")
        filler.unlink()
    assert run(home, "long").complete
    assert_like_undisturbed(home, calm, "ring-long")


@pytest.mark.slow
@pytest.mark.parametrize("leave", [20_000, 200_000])
def test_a_disk_that_is_full_under_ray_stops_the_sweep_in_one_line_and_the_same_command_goes_on(
    as_home: Callable[[Path], Path], calm: Path, small_disk: Path, leave: int
) -> None:
    home = as_home(small_disk / "home")
    command = [GANSWEEP, "launch", str(RING), "--preset", "long", "--home", str(home), "--workers", "2", "--no-report"]
    filler = fill(small_disk, leave)
    stopped = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert re.fullmatch(
        r"(?i)gansweep: stopped: no space left.* make room there.* the same command goes on\)?\n", stopped.stderr
    )
    filler.unlink()
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_like_undisturbed(home, calm, "ring-long")


def test_a_worker_that_cannot_save_its_state_says_so_and_trains_on(
    calm: Path, home: Path, monkeypatch: pytest.MonkeyPatch, small_disk: Path
) -> None:
    # another disk than the driver's, as on a cluster
    monkeypatch.setattr("gansweep.launch.worker.STATE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("gansweep.launch.worker.STATE_MAX_SHARE", 1.0)
    states = States(str(small_disk))
    fill(small_disk, 8_192)
    states.take("t", 1)
    with pytest.raises(OSError, match="No space left"):  # the test's own check that states do not fit
        states.save("t", {"weights": torch.zeros(100_000)}, 1)
    assert run(home, storage=str(small_disk)).complete
    log = (home / "studies" / "ring-smoke" / "launch.log").read_text()
    assert "its state cannot be saved" in log
    assert_like_undisturbed(home, calm, "ring-smoke")


@pytest.mark.long
def test_a_rule_stops_a_trial_at_the_same_report_where_reports_travel_together(
    as_home: Callable[[Path], Path], tmp_path: Path
) -> None:
    study = tmp_path / "ring_study.py"
    rules = 'Collapsed(score="modes_captured", limit=9.0, patience=2, after=60)'
    study.write_text(
        RING.read_text()
        .replace("Diverged(), ", f"Diverged(), {rules}, ")
        .replace("    BelowScore,", "    BelowScore,\n    Collapsed,")
    )
    one, many = as_home(tmp_path / "one"), as_home(tmp_path / "many")
    assert run(one, study=study).complete
    assert run(many, study=study, executor="tune").complete
    stopped = read(one, "ring-smoke").trials.query("arm == 'gan'")
    assert (stopped["step"] == 80).all()
    assert (stopped["decision"] == "pruned").all()
    assert_like_undisturbed(many, one, "ring-smoke")


def test_the_states_are_kept_where_asked_and_hold_the_last_step(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(home, keep_states=True).complete
    assert f"training states: {home}/studies/ring-smoke" in capfd.readouterr().out
    states = States(str(home / "studies" / "ring-smoke"))
    for trial in read(home, "ring-smoke").trials.itertuples():
        state = states.load(trial.trial, "cpu")
        assert state is not None
        assert state["train"]["step"] == trial.step


def test_a_trial_whose_reports_a_machine_without_power_took_back_starts_again_and_changes_no_number(
    calm: Path, home: Path
) -> None:
    def interrupt() -> None:
        folder = home / "studies" / "ring-long" / "trials"
        while not any("modes_captured" in file.read_text() for file in folder.glob("*/history.jsonl")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert not run(home, "long").complete
    (state,) = (home / "studies" / "ring-long" / "trials").glob("*/state.pt")
    history = state.with_name("history.jsonl")
    reports = history.read_bytes().splitlines(keepends=True)
    assert len(reports) >= 2
    history.write_bytes(reports[0])  # the file system kept the state, which was waited for, and lost the rest
    assert run(home, "long").complete
    log = (home / "studies" / "ring-long" / "launch.log").read_text()
    assert log.count("the training state is ahead of the reports up to 10; the trial starts again") == 1
    assert_like_undisturbed(home, calm, "ring-long")
    with sqlite3.connect(home / "mlflow.db") as opened:
        twice = "SELECT key, step FROM metrics GROUP BY run_uuid, key, step HAVING count(*) > 1"
        assert opened.execute(twice).fetchall() == []


# --- the clock

# moves the wall clock of one process and leaves the monotonic clock alone, as a real jump does. libfaketime cannot be
# used: where it leaves the monotonic clock alone, Python's time.sleep fails
CLOCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *offset;

__attribute__((constructor)) static void begin(void) {
    void *found = mmap(0, 8, PROT_READ, MAP_SHARED, open(getenv("CLOCK_OFFSET"), O_RDONLY), 0);
    if (found == MAP_FAILED) abort();
    offset = found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *offset;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = syscall(SYS_gettimeofday, now, zone);
    if (!failed && offset) now->tv_sec += *offset;
    return failed;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}
"""
JUMPING = """
import itertools, os, sys, threading, time
from pathlib import Path
from gansweep.launch.sweep import Settings, sweep
from gansweep.selection import Selection

def jump():
    for days in itertools.cycle([400, -2000, 0]):
        with open(os.environ["CLOCK_OFFSET"], "r+b") as file:
            file.write((days * 86_400).to_bytes(8, "little", signed=True))
        time.sleep(0.2)

threading.Thread(target=jump, daemon=True).start()
assert sweep(Selection(file=sys.argv[1], preset="long"), Settings(home=Path(sys.argv[2]), executor="inline")).complete
"""


@pytest.mark.long
def test_a_jumping_clock_changes_no_number(calm: Path, home: Path, tmp_path: Path) -> None:
    needs(bool(shutil.which("cc")), "C compiler")
    shim, source, offset = tmp_path / "clock.so", tmp_path / "clock.c", tmp_path / "offset"
    source.write_text(CLOCK)
    offset.write_bytes(bytes(8))
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source], check=True)
    command = [sys.executable, "-c", JUMPING, str(RING), str(home)]
    environment = {**os.environ, "LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(offset)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_like_undisturbed(home, calm, "ring-long")
    results = read(home, "ring-long")
    for column in ("train_seconds", "evaluate_seconds", "record_seconds"):
        assert results.trials[column].between(0, 600).all()
    assert results.steps["seconds"].between(0, 600).all()
    histories = (home / "studies" / "ring-long" / "trials").glob("*/history.jsonl")
    rows = [json.loads(line) for file in histories for line in file.read_text().splitlines()]
    years = {time.gmtime(row["time_ms"] / 1000).tm_year for row in rows}
    assert len(years) >= 3, "the clock was to jump while trials were under way"


# --- preemption


@pytest.mark.slow
def test_a_node_that_is_taken_away_counts_against_no_trial(home: Path) -> None:
    with contextlib.closing(RayCluster(cpus=0)) as cluster:
        doomed = cluster.add(cpus=1)
        env = {**cluster.env, "RAY_ADDRESS": cluster.address}
        command = [GANSWEEP, "launch", str(RING), "--preset", "longest"]
        command += ["--home", str(home), "--no-report", "--address", cluster.address]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(command, env=env, **pipes) as driver:
            trials = home / "studies" / "ring-longest" / "trials"
            while not any(file.read_text().count("modes_captured") for file in trials.glob("*/history.jsonl")):
                assert driver.poll() is None, driver.communicate()[0]
                time.sleep(0.1)
            _, (node,) = nodes_of(cluster)
            ray = str(Path(sys.executable).with_name("ray"))
            drain = [ray, "drain-node", "--address", cluster.address, "--node-id", node, "--reason-message", "spot"]
            drain += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--deadline-remaining-seconds", "1"]
            subprocess.run(drain, env=env, capture_output=True, check=True)
            time.sleep(1)
            cluster.kill(doomed)
            cluster.add(cpus=1)
            said = driver.communicate(timeout=500)[0]
        assert driver.returncode == 0, said
    losses = [json.loads(one) for one in read(home, "ring-longest").trials["losses"]]
    assert [one for one in losses if one] == [{"preempted": 1}]


# --- trials that fail


FAILING = """
import dataclasses

from gansweep import Hinge, LeastSquares, MLPDiscriminator, NonSaturating, Wasserstein
from gansweep.parts import part
from gansweep.selection import load_study


@part
class Unbuildable(MLPDiscriminator):
    # fits its data, as the check before any work finds on the meta device, and fails where it is trained
    def build(self, **given):
        network = super().build(**given)
        if next(network.parameters()).device.type != "meta":
            raise RuntimeError("no kernel for this network")
        return network


wild = {{"loss": Wasserstein(), "discriminator_optimizer.lr": 1e30}}
arms = {arms}
ring = load_study({ring!r})
study = dataclasses.replace(
    ring, name="failing", space={{}}, draws=1, repeats={repeats}, axes={{"objective": arms}}, presets={{}},
    baseline=dataclasses.replace(ring.baseline, steps=10, report_every=5, evaluate_every=10),
)
"""


def failing(folder: Path, repeats: int, **arms: str) -> Path:
    """A study of that many seeds under the given arms."""
    file = folder / "failing.py"
    given = ", ".join(f"{name!r}: {arm}" for name, arm in arms.items())
    file.write_text(
        '"""Do failures add up?"""\n' + FAILING.format(arms=f"{{{given}}}", ring=str(RING), repeats=repeats)
    )
    return file


@pytest.mark.long
def test_of_a_hundred_trials_of_which_forty_diverge_every_record_counts_forty(home: Path, tmp_path: Path) -> None:
    healthy = {"gan": '{"loss": NonSaturating()}', "lsgan": '{"loss": LeastSquares()}', "hinge": '{"loss": Hinge()}'}
    study = failing(tmp_path, 20, **healthy, wild="wild", wilder='{**wild, "discriminator_optimizer.lr": 1e35}')
    assert run(home, None, study).counts["done"] == 100
    results = read(home, "failing")
    diverged = results.trials[results.trials["verdict"] == "diverged"]
    assert len(results.trials) == 100
    assert sorted(diverged["arm"].unique()) == ["wild", "wilder"]
    assert len(diverged) == 40
    assert (diverged["decision_rule"] == "Diverged").all()
    assert diverged["evidence"].str.contains("not finite from step").all()
    assert diverged["verdict_step"].between(1, 10).all()
    assert (diverged["step"] - diverged["verdict_step"] < 5).all(), (
        "more than one report interval after the first bad step"
    )
    told = optuna_trials(home, "failing")
    assert len(told) == 100
    pruned = {name: one for name, one in told.items() if one.user_attrs["gansweep.verdict"] == "diverged"}
    assert sorted(pruned) == sorted(diverged["trial"])
    for row in diverged.itertuples():
        assert pruned[row.trial].state == optuna.trial.TrialState.PRUNED
        assert pruned[row.trial].user_attrs["gansweep.evidence"] == row.evidence
    (table,) = VerdictMatrix().render(results).tables
    assert table.shown["diverged"].sum() == 40


def test_a_study_of_which_all_trials_of_one_arm_raise_completes_also_when_only_they_are_left(
    home: Path, tmp_path: Path
) -> None:
    arms = {"gan": '{"loss": NonSaturating()}', "broken": '{"discriminator": Unbuildable(depth=2, width=16)}'}
    study = failing(tmp_path, 8, **arms)
    first = run(home, None, study)
    assert (first.counts["done"], first.counts["failed"]) == (8, 8)
    trials = read(home, "failing").trials
    broken = trials[trials["arm"] == "broken"]
    assert (broken["failure"] == "crashed").all()
    assert broken["error"].str.contains("no kernel for this network").all()
    # a driver that is killed when only broken trials are left has no healthy one to prove the machine by
    for trial in broken["trial"].iloc[2:]:
        shutil.rmtree(home / "studies" / "failing" / "trials" / trial)
    assert run(home, None, study).counts == first.counts


def test_several_workers_and_inline_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="workers = 4 and inline: inline is one trial at a time"):
        Settings(home=Path("nowhere"), executor="inline", workers=4)
