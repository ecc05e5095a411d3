"""The storm: one study on a Ray cluster and a tracking server, with SIGKILLs of everything at random moments.

    python tests/storm.py --kills 30 --seed 0

A storm is over when the planned number of kills was made and the study has ended. Then every planned trial must have
exactly one ended run in MLflow and one ended trial in Optuna, and the exported frames must equal those of an
undisturbed run byte for byte, but for the columns that say how long things took and how often they were tried.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from mlflow import MlflowClient
from typer.testing import CliRunner

from gansweep import records, tracking
from gansweep.cli import app
from gansweep.launch.sweep import Settings, sweep
from gansweep.selection import Selection

os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

STUDY = str(Path(__file__).with_name("storm_study.py"))
GANSWEEP = str(Path(sys.executable).with_name("gansweep"))
MLFLOW = str(Path(sys.executable).with_name("mlflow"))
KINDS = ("worker", "driver", "node", "server")
# what the same trial may report differently where it was tried again
NOT_COMPARED = [
    *("train_seconds", "evaluate_seconds", "record_seconds", "seconds"),
    *("started_at", "ended_at", "run_id", "attempts", "losses"),
]


class Server:
    """A tracking server on the SQLite store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.back_at = float("inf")
        self.start()

    def start(self) -> None:
        """Start it, without waiting until it answers."""
        command = [MLFLOW, "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # six processes that nothing here needs
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        self.back_at = float("inf")

    def answers(self) -> bool:
        """Whether it is up."""
        assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Storm:
    """A cluster of two nodes under a head without CPUs, a tracking server, and a driver that is started again."""

    def __init__(self, folder: Path, preset: str, seed: int, say: Callable[[str], None]) -> None:
        from ray.cluster_utils import Cluster

        self.home, self.preset, self.say = folder / "home", preset, say
        self.random, self.kills = random.Random(seed), Counter[str]()
        self.server = Server(folder / "server")
        # a few CPUs fewer than a real head's: nothing of the study runs on it
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **self._node()})
        self.nodes = [self.cluster.add_node(num_cpus=1, **self._node()) for _ in range(2)]
        self.launches = 0
        wait_until(self.server.answers, 120)
        self.driver = self._launch()

    @staticmethod
    def _node() -> dict[str, Any]:
        return {"include_dashboard": False, "object_store_memory": 100 * 2**20}

    def _launch(self) -> subprocess.Popen[str]:
        self.launches += 1
        command = [GANSWEEP, "launch", STUDY, "--preset", self.preset, "--home", str(self.home), "--no-report"]
        command += ["--address", self.cluster.address, "--tracking-uri", self.server.uri]
        self.home.mkdir(exist_ok=True)
        with open(self.home / "driver.log", "a") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    @property
    def trials(self) -> Path:
        """The folder of the trials' directories."""
        return self.home / "studies" / f"storm-{self.preset}" / "trials"

    def _reports(self) -> int:
        return sum(file.read_bytes().count(b"\n") for file in self.trials.glob("*/history.jsonl"))

    def strike(self) -> str | None:
        """Kill something that runs; None if there was no such thing just now."""
        kind = min(self.random.sample(KINDS, k=len(KINDS)), key=lambda one: self.kills[one])
        if not getattr(self, f"_kill_{kind}")():
            return None
        self.kills[kind] += 1
        self.say(f"killed a {kind} ({self.kills.total()}), {self._reports()} reports so far")
        return kind

    def _kill_worker(self) -> bool:
        raylets = [node.all_processes["raylet"][0].process.pid for node in self.nodes]
        # Ray's agents are called ray:: too; without its agents a node ends
        ask = ["pgrep", "-f", "^ray::ResourceTrainable", "-P", ",".join(map(str, raylets))]
        workers = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.split()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.random.choice(workers)), signal.SIGKILL)
        return bool(workers)

    def _kill_driver(self) -> bool:
        if self.driver.poll() is not None:
            return False
        self.driver.kill()
        self.driver.wait()
        return True

    def _kill_node(self) -> bool:
        node = self.nodes.pop(self.random.randrange(len(self.nodes)))
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes.append(self.cluster.add_node(num_cpus=1, **self._node()))
        return True

    def _mend_nodes(self) -> None:
        """On a busy machine a node may end by itself; in place of each there is a new one, as in a real cluster."""
        for node in [node for node in self.nodes if node.all_processes["raylet"][0].process.poll() is not None]:
            self.say("a node has ended by itself")
            self.nodes.remove(node)
            self.cluster.remove_node(node, allow_graceful=False)
            self.nodes.append(self.cluster.add_node(num_cpus=1, **self._node()))

    def _kill_server(self) -> bool:
        if self.server.process.poll() is not None or not self.server.answers():
            return False
        self.server.kill()
        self.server.back_at = time.monotonic() + self.random.uniform(0, 8)
        return True

    def _mend_server(self) -> None:
        if time.monotonic() > self.server.back_at:
            self.server.start()

    def run(self, kills: int, pause: tuple[float, float], limit: float) -> None:
        """Strike from the first report on, `pause` seconds apart, until `kills` were made, then wait for the end.

        A driver that died is started again, with the same command.
        """
        began, next_strike = time.monotonic(), float("inf")
        while True:
            assert time.monotonic() - began < limit, f"the storm has not ended in {limit:.0f} s\n{self._tail()}"
            if (code := self.driver.poll()) is not None:
                if code == 0:
                    break
                # killed, no server at its start, too many losses in a row, or records that the server did not take
                assert code in (-signal.SIGKILL, 1, 2, 3), f"the driver ended with {code}\n{self._tail()}"
                self.driver = self._launch()
            self._mend_nodes()
            self._mend_server()
            if next_strike == float("inf") and self._reports():
                next_strike = time.monotonic()
            if self.kills.total() < kills and time.monotonic() > next_strike and self.strike():
                next_strike = time.monotonic() + self.random.uniform(*pause)
            time.sleep(0.2)
        if self.server.back_at < float("inf"):
            self.server.start()
        wait_until(self.server.answers, 120)
        assert self.kills.total() >= kills, f"the study was over after {self.kills.total()} kills: {dict(self.kills)}"

    def _tail(self) -> str:
        return (self.home / "driver.log").read_text()[-4000:]

    def close(self) -> None:
        """End everything."""
        self.driver.kill()
        self.driver.wait()
        self.cluster.shutdown()
        self.server.kill()


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Raise `AssertionError` if it does not come to that."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"it did not come to that in {seconds:.0f} s"
        time.sleep(0.1)


def check_exactly_once(uri: str, home: Path, run: str) -> None:
    """Every planned trial has one ended run in MLflow and one ended trial in Optuna, nothing is left running, and the
    counts add up."""
    results = records.read(uri, run)
    planned = sorted(results.trials["trial"])
    ended = results.trials["status"].isin(["done", "failed"])
    assert ended.all(), results.trials.loc[~ended, ["trial", "status", "error"]]
    assert (results.trials["status"] == "done").all(), results.trials[["trial", "status", "failure", "error"]]

    client = MlflowClient(tracking_uri=uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    every = client.search_runs(experiments, max_results=5000)
    assert [one for one in every if one.info.status == "RUNNING"] == []
    children = [one for one in every if "gansweep.trial_id" in one.data.tags]
    assert sorted(one.data.tags["gansweep.trial_id"] for one in children) == planned
    assert {one.info.status for one in children} == {"FINISHED"}
    assert len(every) == len(children) + 1, "more than one run of the study"

    journal = optuna.storages.journal.JournalFileBackend(str(home / "studies" / run / "optuna.journal"))
    study = optuna.load_study(study_name=run, storage=optuna.storages.JournalStorage(journal))
    assert sorted(trial.user_attrs["gansweep.trial_id"] for trial in study.get_trials()) == planned
    assert all(trial.state.is_finished() for trial in study.get_trials())


def exported(uri: str, home: Path, preset: str, to: Path) -> dict[str, bytes]:
    """The exported frames as files, without the columns that may differ."""
    command = ["export", STUDY, "--preset", preset, "--home", str(home), "--to", str(to), "--tracking-uri", uri]
    CliRunner().invoke(app, command, catch_exceptions=False)
    files = {}
    for name in ("trials", "steps"):
        frame = pd.read_csv(to / f"{name}.csv", dtype=str, keep_default_na=False)
        files[name] = frame.drop(columns=NOT_COMPARED, errors="ignore").to_csv(index=False).encode()
    return files


@contextlib.contextmanager
def storm(folder: Path, preset: str, seed: int, say: Callable[[str], None] = print) -> Iterator[Storm]:
    """A storm that is about to start in a folder; whatever happens, its processes are ended."""
    started = Storm(folder, preset, seed, say)
    try:
        yield started
    finally:
        started.close()


def weather(
    folder: Path,
    preset: str,
    kills: int,
    seed: int,
    pause: tuple[float, float],
    limit: float,
    executor: str,
    say: Any = print,
) -> Storm:
    """A storm and an undisturbed run of the same study, which the executor carries; `AssertionError` if they differ."""
    calm = folder / "calm"
    (folder / "server").mkdir()
    tracking.connect(records.default_uri(calm))
    shutil.copy(calm / "mlflow.db", folder / "server")  # creating the tables of a store takes seconds
    assert sweep(Selection(file=STUDY, preset=preset), Settings(home=calm, executor=executor)).complete
    say("the undisturbed run has ended")
    run = f"storm-{preset}"
    with storm(folder, preset, seed, say) as struck:
        struck.run(kills, pause, limit)
        check_exactly_once(struck.server.uri, struck.home, run)
        one = exported(struck.server.uri, struck.home, preset, folder / "struck")
    other = exported(records.default_uri(calm), calm, preset, folder / "undisturbed")
    for name, content in other.items():
        assert one[name] == content, f"the {name} differ from those of the undisturbed run"
    return struck


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="how many, over all kinds")
    parser.add_argument("--seed", type=int, default=0, help="of the order and the pauses")
    parser.add_argument("--preset", default="long", help="of tests/storm_study.py")
    parser.add_argument("--keep", action="store_true", help="leave the folder, to look at it")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    began = time.monotonic()
    tell = lambda text: print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)  # noqa: E731
    tell(f"in {folder}")
    struck = weather(folder, chosen.preset, chosen.kills, chosen.seed, (3.0, 9.0), 3600, "tune", tell)
    counts = ", ".join(f"{number} x {kind}" for kind, number in sorted(struck.kills.items()))
    trials = len(records.read(records.default_uri(folder / "calm"), f"storm-{chosen.preset}").trials)
    tell(f"survived {struck.kills.total()} kills ({counts}) in {struck.launches} launches of {trials} trials:")
    tell("each once in MLflow and in Optuna, and the exported frames equal those of the undisturbed run")
    if not chosen.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
