"""The place where driver and workers meet, as a folder and as an object store, each of them real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gansweep.launch import states as module
from gansweep.launch.states import States, StorageAway


class Bucket:
    """A bucket on an S3 server of this machine; who has `env` reaches it."""

    name = "gansweep"

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)

    def __enter__(self) -> Bucket:
        import boto3

        self.server.start()
        _, port = self.server.get_host_and_port()
        self.env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self.client = boto3.client(
            "s3",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=self.name)
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        self.server.stop()

    def objects(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with Bucket() as bucket:
        yield bucket


@pytest.fixture(params=["folder", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh place of each kind."""
    if request.param != "s3":
        return ("file://" if request.param == "file" else "") + str(tmp_path / "states")
    bucket: Bucket = request.getfixturevalue("bucket")
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket.name}/{tmp_path.name}"


STATE = {"train": {"step": 7, "weights": torch.arange(6.0)}, "spent": {"evaluate_seconds": 1.5}}


def test_a_state_comes_back_as_it_was_also_to_another_process_that_looked_before(url: str) -> None:
    driver, worker, other = States(url), States(url), States(url)
    driver.check()
    assert other.load("t", "cpu") is None
    driver.take("t", 1)
    assert worker.save("t", STATE, 1)
    loaded = other.load("t", "cpu")
    assert loaded is not None
    assert loaded["spent"] == STATE["spent"]
    assert torch.equal(loaded["train"]["weights"], torch.arange(6.0))


def test_an_attempt_that_lost_its_token_writes_nothing(url: str) -> None:
    states = States(url)
    assert not states.save("t", STATE, 1), "nobody gave it the token"
    states.take("t", 1)
    assert states.save("t", STATE, 1)
    states.take("t", 2)
    assert not states.save("t", {"train": "an orphan's"}, 1)
    loaded = states.load("t", "cpu")
    assert loaded is not None
    assert loaded["spent"] == STATE["spent"]
    assert states.save("t", {"train": {"step": 8}}, 2)
    assert states.load("t", "cpu") == {"train": {"step": 8}}


def test_what_ended_leaves_nothing_behind_and_nothing_can_be_written_after_it(url: str) -> None:
    states = States(url)
    states.take("t", 1)
    states.save("t", STATE, 1)
    states.drop("t")
    states.drop("t")
    assert states.load("t", "cpu") is None
    assert not states.save("t", STATE, 1)
    assert states.load("t", "cpu") is None


def test_the_request_to_stop_is_seen_and_can_be_taken_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_SECONDS", 0.0)
    driver, worker = States(url), States(url)
    driver.clear()
    assert not worker.asked_to_stop()
    driver.ask_to_stop()
    assert worker.asked_to_stop()
    driver.clear()
    assert not worker.asked_to_stop()


def test_a_look_for_the_request_to_stop_does_not_cost_a_round_trip_each_time(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    states, looks = States(f"s3://{bucket.name}/looks"), 0
    read = states._read

    def counted(name: str) -> bytes | None:
        nonlocal looks
        looks += 1
        return read(name)

    monkeypatch.setattr(states, "_read", counted)
    for _ in range(100):
        states.asked_to_stop()
    assert looks == 1


def test_a_damaged_state_is_named(url: str) -> None:
    states = States(url)
    states.take("t", 1)
    states.save("t", STATE, 1)
    name = f"{states.root}/trials/t/state.pt"
    content = bytearray(states.files.cat_file(name))
    for damaged in (content[:-40], content[: len(content) // 2] + b"x" + content[len(content) // 2 + 1 :], b""):
        states.files.pipe_file(name, bytes(damaged))
        with pytest.raises(ValueError, match=r"training state .*trials/t/state\.pt is damaged"):
            states.load("t", "cpu")


def test_a_reader_sees_a_whole_state_whenever_it_looks(url: str) -> None:
    """A writer replaces a state of 3 MB while a reader reads it."""
    writer, reader = States(url), States(url)
    writer.take("t", 1)
    done = threading.Event()

    def write() -> None:
        for number in range(15):
            writer.save("t", {"number": number, "weights": torch.full((800_000,), float(number))}, 1)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while not done.is_set():
        if loaded := reader.load("t", "cpu"):
            assert (loaded["weights"] == loaded["number"]).all()
            seen.add(loaded["number"])
    thread.join()
    assert seen


def test_a_writer_that_is_killed_leaves_the_last_whole_state(tmp_path: Path) -> None:
    script = (
        "import sys, torch; from gansweep.launch.states import States\n"
        "states = States(sys.argv[1]); states.take('t', 1)\n"
        "for n in range(10**6):\n"
        "    states.save('t', {'number': n, 'weights': torch.full((2_000_000,), float(n))}, 1)\n"
        "    print(n, flush=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(3):
        writer.stdout.readline()
    time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    loaded = States(str(tmp_path)).load("t", "cpu")
    assert loaded is not None
    assert loaded["number"] >= 2
    assert (loaded["weights"] == loaded["number"]).all()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nowhere://x", "storage 'nowhere://x' cannot be used: Protocol not known: nowhere"),
        ("s3://no-such-bucket/x", "storage 's3://no-such-bucket/x' cannot be used: .*bucket does not exist"),
        ("/proc/nowhere", "storage '/proc/nowhere' cannot be used"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(
    url: str, message: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message) as error:
        States(url).check()
    assert "\n" not in str(error.value)


def test_a_server_that_goes_away_is_said_in_one_kind_of_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # by default it takes ten seconds to give up
    with Bucket() as bucket:
        for name, value in bucket.env.items():
            monkeypatch.setenv(name, value)
        states = States(f"s3://{bucket.name}/gone")
        states.take("t", 1)
        assert states.save("t", STATE, 1)
    states.files.clear_instance_cache()
    states = States(states.url)  # with no connection that is still open
    away: list[Any] = [
        lambda: states.save("t", STATE, 1),
        lambda: states.load("t", "cpu"),
        lambda: states.drop("t"),
        states.asked_to_stop,
    ]
    for call in away:
        with pytest.raises(StorageAway, match=r"storage s3://gansweep/gone: "):
            call()
