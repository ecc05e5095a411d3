"""Studies on several machines: real Ray nodes on this one, which can be killed and need not see the driver's home."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import gansweep as package
from gansweep import Resources, records
from gansweep.data.checksums import Memo
from gansweep.launch.parcels import CHUNK_BYTES, Parcel, node_cache, read_file
from gansweep.launch.resources import check_room, requests
from gansweep.launch.sweep import Settings, sweep
from gansweep.selection import Selection, load_study
from tests.ray_cluster import RayCluster, can_hide
from tests.test_states import Bucket

STUDY = str(Path(__file__).parent / "machines_study.py")
GANSWEEP = str(Path(sys.executable).with_name("gansweep"))
# what the same trial may report differently where and when it runs again
PLACES = ["process", "gpus", "threads", "on_node"]
TIMINGS = ["train_seconds", "evaluate_seconds", "record_seconds", "started_at", "ended_at", "run_id"]
TIMINGS += ["attempts", "losses"]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as bucket:
        yield bucket


def launch(home: Path, *arguments: str, study: str = STUDY, **options: Any) -> subprocess.Popen[str]:
    command = [GANSWEEP, "launch", study, "--home", str(home), "--no-report", *arguments]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, start_new_session=True, **streams, **options)


def ended(process: subprocess.Popen[str], seconds: float = 400) -> str:
    """What it said, once it has ended well."""
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, said
    return said


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


def under_way(home: Path, run: str) -> list[int]:
    """The nodes on which a trial that has not ended was evaluated last."""
    nodes = []
    for file in (home / "studies" / run / "trials").glob("*/history.jsonl"):
        lines = [line for line in file.read_text().split("\n")[:-1] if "on_node" in line]
        if lines and not (file.parent / "outcome.json").exists():
            nodes.append(int(json.loads(lines[-1])["on_node"]))
    return nodes


def frames(home: Path, run: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The study's two frames without what differs from run to run."""
    results = records.read(records.default_uri(home), run)
    left_out = [name for name in results.trials if name in TIMINGS or name.startswith(tuple(PLACES))]
    trials = results.trials.drop(columns=left_out).sort_values("trial").reset_index(drop=True)
    return trials, results.steps.drop(columns=["seconds", *PLACES], errors="ignore")


def assert_same_study(home: Path, reference: Path, run: str) -> None:
    """Every trial ended once and well, with the numbers of an undisturbed run on one machine."""
    for got, wanted in zip(frames(home, run), frames(reference, run), strict=True):
        pd.testing.assert_frame_equal(got, wanted)
    trials = records.read(records.default_uri(home), run).trials
    assert (trials["status"] == "done").all()
    assert trials["run_id"].is_unique


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the long study has run on this machine, one trial after another, undisturbed."""
    home = tmp_path_factory.mktemp("reference")
    ended(launch(home, "--preset", "long", "--inline"))
    return home


# --- what a node lacks


def counted(reads: list[int]) -> Callable[[str, int, int], bytes]:
    def read(path: str, offset: int, size: int) -> bytes:
        reads.append(size)
        return read_file(path, offset, size)

    return read


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A folder with a file of several chunks, an empty one, and links to a folder and a file elsewhere."""
    entry, elsewhere = tmp_path / "home" / "entry", tmp_path / "home" / "elsewhere"
    entry.mkdir(parents=True)
    elsewhere.mkdir()
    (entry / "large.npy").write_bytes(os.urandom(CHUNK_BYTES + 7))
    (entry / "empty").touch()
    (elsewhere / "weights.pt").write_bytes(b"weights")
    (entry / "classifier").symlink_to("../elsewhere")
    (entry / "file").symlink_to("../elsewhere/weights.pt")
    return entry


def files(folder: Path) -> dict[str, bytes]:
    walked = (Path(top) / name for top, _, names in os.walk(folder, followlinks=True) for name in names)
    return {str(file.relative_to(folder)): file.read_bytes() for file in walked}


def test_a_node_that_cannot_see_an_entry_fetches_it_once_with_what_its_links_lead_to(
    entry: Path, tmp_path: Path
) -> None:
    parcel, wanted = Parcel.of(entry, Memo(None)), files(entry)
    assert sorted(wanted) == ["classifier/weights.pt", "empty", "file", "large.npy"]
    (tmp_path / "home").rename(tmp_path / "driver")
    reads: list[int] = []

    def read(path: str, offset: int, size: int) -> bytes:
        return counted(reads)(path.replace("/home/", "/driver/"), offset, size)

    local = parcel.local(tmp_path / "cache", read)
    assert files(local) == wanted
    assert sum(reads) == sum(map(len, wanted.values()))
    assert max(reads) == CHUNK_BYTES
    reads.clear()
    assert parcel.local(tmp_path / "cache", read) == local
    assert not reads


def test_a_node_that_sees_the_very_files_uses_them_in_place_and_no_others(entry: Path, tmp_path: Path) -> None:
    parcel, reads = Parcel.of(entry, Memo(None)), list[int]()
    assert parcel.local(tmp_path / "cache", counted(reads)) == entry
    assert not reads
    os.utime(entry / "empty", ns=(0, 1))
    assert parcel.local(tmp_path / "cache", counted(reads)) != entry
    assert reads


def test_a_single_file_keeps_its_name_and_equal_content_is_kept_once(tmp_path: Path) -> None:
    first, second = tmp_path / "lines.txt", tmp_path / "other" / "lines.txt"
    second.parent.mkdir()
    for file in (first, second):
        file.write_text("a line\n")
    parcels = [Parcel.of(file, Memo(None)) for file in (first, second)]
    for file in (first, second):
        os.utime(file, ns=(0, 1))  # it looks like another machine's
    local = {parcel.local(tmp_path / "cache", read_file) for parcel in parcels}
    assert [path.name for path in local] == ["lines.txt"]
    assert local.pop().read_text() == "a line\n"


def test_a_file_that_changes_on_its_way_is_named_and_nothing_is_kept(entry: Path, tmp_path: Path) -> None:
    parcel = Parcel.of(entry, Memo(None))
    (entry / "large.npy").write_bytes(os.urandom(CHUNK_BYTES + 7))
    with pytest.raises(ValueError, match=r"large\.npy has changed since the launch began"):
        parcel.local(tmp_path / "cache", read_file)
    assert not [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")]


def test_processes_that_come_at_the_same_time_fetch_once(entry: Path, tmp_path: Path) -> None:
    parcel, wanted = Parcel.of(entry, Memo(None)), files(entry)
    os.utime(entry / "empty", ns=(0, 1))
    log = tmp_path / "reads"
    script = (
        "import sys, pickle, os; from pathlib import Path; from gansweep.launch.parcels import read_file\n"
        "def read(path, offset, size):\n"
        "    open(sys.argv[3], 'a').write(path + chr(10))\n"
        "    return read_file(path, offset, size)\n"
        "print(pickle.load(open(sys.argv[1], 'rb')).local(Path(sys.argv[2]), read))\n"
    )
    (tmp_path / "parcel").write_bytes(pickle.dumps(parcel))
    command = [sys.executable, "-c", script, str(tmp_path / "parcel"), str(tmp_path / "cache"), str(log)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    places = {process.communicate()[0].strip() for process in processes}
    assert len(places) == 1
    assert files(Path(places.pop())) == wanted
    assert len(log.read_text().splitlines()) == 4, "two chunks and two small files, by one process"


def test_another_users_cache_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANSWEEP_NODE_CACHE", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = node_cache()
    found.mkdir()
    assert node_cache() == found
    if os.getuid() == 0:
        os.chown(found, 12345, 12345)
        with pytest.raises(ValueError, match="belongs to another user: set GANSWEEP_NODE_CACHE"):
            node_cache()


# --- what trials ask for


def test_an_arm_asks_for_what_the_study_says_and_else_for_what_the_launch_says() -> None:
    study = load_study(STUDY)
    assert requests(study, 0.25) == {
        "gan": {"CPU": 1, "GPU": 0.25},
        "wgan_gp": {"CPU": 1.5, "GPU": 0.5, "memory": 1e7},
    }
    assert requests(study, 0.0)["gan"] == {"CPU": 1}


def test_resources_are_no_part_of_a_design_or_a_trial() -> None:
    study = load_study(STUDY)
    changed = dataclasses.replace(study, resources={"gan": Resources(cpus=3)})
    assert changed.plan().design() == study.plan().design()
    assert [trial.id for trial in changed.plan()] == [trial.id for trial in study.plan()]


def test_resources_for_an_arm_that_is_not_there_are_refused_with_the_nearest_name() -> None:
    study = load_study(STUDY)
    with pytest.raises(ValueError, match=r"resources: arm 'wgan_pg' does not exist; did you mean 'wgan_gp'\?"):
        dataclasses.replace(study, resources={"wgan_pg": Resources()})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cpus": 0}, r"Resources\.cpus = 0 must be a number > 0"),
        ({"gpus": -0.5}, r"Resources\.gpus = -0\.5 must be a number >= 0"),
        ({"gpus": 2}, r"Resources\.gpus = 2 must lie in \[0, 1\]"),
        ({"memory_gb": 0}, r"Resources\.memory_gb = 0 must be a number > 0"),
    ],
)
def test_resources_that_make_no_sense_are_refused(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resources(**fields)


def test_an_arm_that_fits_no_machine_is_one_line_and_two_halves_make_no_whole() -> None:
    asked = {"gan": {"CPU": 1.0}, "wgan_gp": {"CPU": 4.0, "GPU": 0.5, "memory": 2e9}}
    machines = [{"CPU": 8.0, "memory": 4e9}, {"CPU": 2.0, "GPU": 1.0, "memory": 4e9}]
    with pytest.raises(ValueError, match=r"needs 4 CPU, 0\.5 GPU and 2 GB of memory, and") as error:
        check_room(asked, machines, "a node of the cluster")
    assert "\n" not in str(error.value)
    check_room(asked, [*machines, {"CPU": 4.0, "GPU": 1.0, "memory": 2e9}], "a node of the cluster")


def test_a_study_that_this_machine_cannot_hold_is_refused_before_any_work(tmp_path: Path) -> None:
    file = tmp_path / "large.py"
    file.write_text(Path(STUDY).read_text().replace("cpus=1.5", "cpus=1000").replace("gpus=0.5", "gpus=0"))
    with pytest.raises(ValueError, match=r"needs 1000 CPU and .*the most that this machine has is"):
        sweep(Selection(file=str(file)), Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home" / "data").exists()


# --- several real nodes


@pytest.mark.skipif(not can_hide() and "CI" not in os.environ, reason="no mount namespaces here")
@pytest.mark.slow
def test_a_study_over_machines_without_a_shared_home_outlives_one_of_them(
    reference: Path, tmp_path: Path, bucket: Bucket
) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    code, tests = Path(package.__file__).parent, Path(__file__).parent
    hidden = (reference, home, code, tests)
    with closing(RayCluster(cpus=0, env=bucket.env)) as cluster:
        caches = [cluster.folder / "first", cluster.folder / "second"]
        first, second = (
            cluster.add(cpus=2, gpus=1, hidden=hidden, env={"GANSWEEP_NODE_CACHE": str(cache), "MACHINE": str(number)})
            for number, cache in enumerate(caches, start=1)
        )
        arguments = ("--preset", "long", "--address", cluster.address, "--storage", f"s3://{bucket.name}/states")
        driver = launch(home, *arguments, env=cluster.env)
        wait_until(lambda: bool(under_way(home, "machines-long")), driver)
        dies = under_way(home, "machines-long")[0]
        cluster.kill((first, second)[dies - 1])
        said = ended(driver)
        log = (home / "studies" / "machines-long" / "launch.log").read_text()
        # every entry once for all workers of a node: the data, the classifier, and the features with it
        assert len([entry for entry in caches[2 - dies].iterdir() if entry.name[0] != "."]) == 3
    assert "planned 2 = done 2" in said
    assert_same_study(home, reference, "machines-long")
    trials = records.read(records.default_uri(home), "machines-long").trials
    assert trials["attempts"].sum() == len(trials) + 1
    assert "Ray gave it GPU 0" in log
    assert not list((home / "studies" / "machines-long" / "trials").glob("*/state.pt"))
    assert not bucket.objects(), "a state or a token was left behind"


@pytest.mark.slow
def test_ctrl_c_saves_states_in_the_bucket_and_the_same_command_goes_on_from_there(
    reference: Path, tmp_path: Path, bucket: Bucket
) -> None:
    with closing(RayCluster(cpus=2, env={**bucket.env, "MACHINE": "1"})) as cluster:
        cluster.add(cpus=2, gpus=1)
        arguments = ("--preset", "long", "--address", cluster.address, "--storage", f"s3://{bucket.name}/stopped/")
        driver = launch(tmp_path, *arguments, env=cluster.env)
        wait_until(lambda: bool(under_way(tmp_path, "machines-long")), driver)
        os.kill(driver.pid, signal.SIGINT)
        said, _ = driver.communicate(timeout=300)
        assert driver.returncode == 130, said
        saved = [key for key in bucket.objects() if key.endswith("state.pt")]
        assert saved
        assert all(key.startswith("stopped/machines-long-") for key in saved)
        assert any(key.endswith("/cancel") for key in bucket.objects())
        ended(launch(tmp_path, *arguments, env=cluster.env))
    assert not [key for key in bucket.objects() if key.startswith("stopped/")]
    assert_same_study(tmp_path, reference, "machines-long")


@pytest.mark.slow
def test_three_nodes_with_a_shared_home_outlive_one_and_use_the_prepared_files_in_place(
    reference: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with closing(RayCluster(cpus=0, env={"GANSWEEP_NODE_CACHE": str(cache)})) as cluster:
        nodes = [cluster.add(cpus=2, gpus=1, env={"MACHINE": str(number)}) for number in (1, 2, 3)]
        driver = launch(tmp_path / "home", "--preset", "long", "--address", cluster.address, env=cluster.env)
        wait_until(lambda: bool(under_way(tmp_path / "home", "machines-long")), driver)
        cluster.kill(nodes[under_way(tmp_path / "home", "machines-long")[0] - 1])
        ended(driver)
    assert not cache.exists()
    assert_same_study(tmp_path / "home", reference, "machines-long")


@pytest.mark.slow
def test_actors_are_used_again_for_equal_resources_only_and_see_the_gpus_that_they_asked_for(tmp_path: Path) -> None:
    with closing(RayCluster(cpus=0)) as cluster:
        cluster.add(cpus=2, gpus=1)
        file = tmp_path / "parts.py"
        file.write_text(Path(STUDY).read_text().replace("draws=2", "draws=2, repeats=2"))
        ended(launch(tmp_path, "--preset", "smoke", "--address", "auto", study=str(file), env=auto(cluster)))
    trials = records.read(records.default_uri(tmp_path), "machines-smoke").trials
    assert len(trials) == 8
    plain, half = (trials[trials["arm"] == arm] for arm in ("gan", "wgan_gp"))
    assert set(plain["gpus"]) == {0}
    assert set(half["gpus"]) == {1}
    assert set(trials["threads"]) == {1}
    assert not set(plain["process"]) & set(half["process"])
    assert trials["process"].nunique() < len(trials), "no actor was used again"
    assert set(trials["device"]) == {"cpu"}


def auto(cluster: RayCluster) -> dict[str, str]:
    """The environment in which `--address auto` finds this cluster among others of this machine."""
    return {**cluster.env, "RAY_ADDRESS": cluster.address}


@pytest.mark.slow
def test_what_a_cluster_cannot_do_is_one_line_before_any_work(tmp_path: Path) -> None:
    with closing(RayCluster(cpus=2)) as cluster:
        for env, wanted in [
            (cluster.env, "a trial of arm 'wgan_gp' needs 1.5 CPU, 0.5 GPU and 0.01 GB of memory, and the most"),
            ({**cluster.env, "RAY_AUTH_TOKEN": "0" * 64}, "wants its token: set RAY_AUTH_MODE=token"),
            ({**cluster.env, "RAY_AUTH_MODE": "disabled"}, "wants its token: set RAY_AUTH_MODE=token"),
        ]:
            driver = launch(tmp_path, "--address", cluster.address, env=env)
            said, _ = driver.communicate(timeout=200)
            assert driver.returncode == 2, said
            assert wanted in said
            assert len(said.strip().splitlines()) == 1, said
    assert not (tmp_path / "data").exists()
