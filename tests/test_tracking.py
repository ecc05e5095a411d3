"""Stores that go away, refuse, answer late or are shared: nothing is lost, nothing is doubled. Every fault is real."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy

from gansweep import recorder, records
from gansweep.launch.sweep import Settings, Swept, sweep
from gansweep.launch.trial_dir import TrialDir
from gansweep.recorder import Recorder
from gansweep.selection import Selection
from gansweep.tracking import TrackingUnreachable, check_reachable, check_usable, connect, engine, masked
from tests.test_launch import TIMINGS
from tests.test_records import CARD, record, row

STUDY = str(Path(__file__).parent / "tiny_study.py")
PASSWORD = "correct-horse-battery"
NOBODY = "http://127.0.0.1:9"  # a port that nothing listens on


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


class Server:
    """A real `mlflow server` on SQLite that asks for a password; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        settings = folder / "auth.ini"
        settings.write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
            f"admin_username = admin\nadmin_password = {PASSWORD}\nauth_cache_ttl_seconds = 600\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        self.environment = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "made up"}
        self.environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # six processes that nothing here needs
        self.bare_uri = f"http://127.0.0.1:{self.port}"
        self.uri = self.at(self.port)

    def at(self, port: int, password: str = PASSWORD) -> str:
        return f"http://admin:{password}@127.0.0.1:{port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1"]
        command += ["--app-name", "basic-auth", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL of the server and its workers."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def server(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(as_home(tmp_path_factory.mktemp("server")))
    made.start()
    yield made
    made.kill()


class Proxy(socketserver.ThreadingTCPServer):
    """A piece of network between client and server that loses or spoils the answers to chosen requests.

    `fault` gets the first line of each request, and says "lose" (the server got it, the client gets no answer),
    "refuse" (the server does not get it, the client is told 503) or nothing.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, fault: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.behind, self.fault = port, fault
        self.port = int(self.server_address[1])


class _Connection(socketserver.StreamRequestHandler):
    """One request on each connection, so that there is never an answer to take for another's."""

    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        head = [self.rfile.readline()]
        while head[-1].strip():
            head.append(self.rfile.readline())
        lengths = [int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length")]
        body = self.rfile.read(*lengths) if lengths else b""
        fault = self.server.fault(head[0].decode())
        if fault == "refuse":
            self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        kept = [line for line in head[:-1] if not line.lower().startswith(b"connection")]
        with socket.create_connection(("127.0.0.1", self.server.behind)) as behind:
            behind.sendall(b"".join([*kept, b"Connection: close\r\n", head[-1], body]))
            answer = b"".join(iter(lambda: behind.recv(65_536), b""))
        if fault != "lose":
            self.wfile.write(answer)


@pytest.fixture
def proxy(server: Server) -> Iterator[Callable[[Callable[[str], str]], Proxy]]:
    opened: list[Proxy] = []

    def build(fault: Callable[[str], str]) -> Proxy:
        opened.append(Proxy(server.port, fault))
        threading.Thread(target=opened[-1].serve_forever, daemon=True).start()
        return opened[-1]

    yield build
    for one in opened:
        one.shutdown()
        one.server_close()


def frames(uri: str, run: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a run's records say, timings aside."""
    results = records.read(uri, run)
    return results.trials.drop(columns=TIMINGS), results.steps.drop(columns="seconds")


def assert_same(first: tuple[pd.DataFrame, pd.DataFrame], second: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    for one, other in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(one, other)


def assert_one_run_each(database: Path, run: str, trials: int) -> None:
    """In an MLflow database of SQLite: a parent, a run for each trial, nothing running, no value twice."""
    with sqlite3.connect(database) as opened:
        parents = opened.execute(
            "SELECT r.run_uuid, r.status FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND r.lifecycle_stage ="
            " 'active' WHERE t.key = 'gansweep.run' AND t.value = ?",
            (run,),
        ).fetchall()
        assert len(parents) == 1
        of_run = (
            " FROM runs r JOIN tags p ON p.run_uuid = r.run_uuid AND p.key = 'mlflow.parentRunId' AND p.value = ?"
            " AND r.lifecycle_stage = 'active' "
        )
        rows = opened.execute(
            f"SELECT t.value, r.status {of_run} JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'gansweep.trial_id'",
            (parents[0][0],),
        ).fetchall()
        twice = opened.execute(
            f"SELECT m.run_uuid, m.key, m.step {of_run} JOIN metrics m ON m.run_uuid = r.run_uuid"
            " GROUP BY m.run_uuid, m.key, m.step HAVING count(*) > 1",
            (parents[0][0],),
        ).fetchall()
    assert len({trial for trial, _ in rows}) == len(rows) == trials
    assert {parents[0][1], *(status for _, status in rows)} == {"FINISHED"}
    assert not twice


def inline(home: Path, uri: str | None = None, seed: int | None = None, **settings: Any) -> Swept:
    selection = Selection(file=STUDY, preset="smoke", seed=seed)
    return sweep(selection, Settings(home=home, tracking_uri=uri, executor="inline", **settings))


@pytest.fixture(scope="module")
def undisturbed(as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the tiny study has run inline, in this process, on SQLite."""
    home = as_home(tmp_path_factory.mktemp("undisturbed"))
    assert inline(home).complete
    return home


@pytest.fixture
def home(undisturbed: Path, tmp_path: Path) -> Path:
    """An empty home with the data and the classifier already prepared, and no store."""
    for name in ("data", "classifiers"):
        shutil.copytree(undisturbed / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def stored(as_home: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A home with an empty store."""
    return as_home(tmp_path / "home")


# --- a server with a password that is killed


def test_a_server_killed_during_a_sweep_and_started_again_ends_with_the_records_of_an_undisturbed_sweep(
    server: Server, undisturbed: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PATIENCE_SECONDS", 300.0)  # the server may take long to start on a busy machine

    def ended() -> int:
        return len(list((home / "studies" / "tiny-smoke" / "trials").glob("*/outcome.json")))

    def kill_and_start_again() -> None:
        wait_until(lambda: ended() >= 1)
        server.kill()
        wait_until(lambda: ended() >= 3)
        server.start()

    fault = threading.Thread(target=kill_and_start_again)
    fault.start()
    swept = inline(home, server.uri)
    fault.join()
    assert (swept.unrecorded, swept.complete) == ("", True)
    assert_same(frames(server.uri, "tiny-smoke"), frames(records.default_uri(undisturbed), "tiny-smoke"))
    assert_one_run_each(server.folder / "mlflow.db", "tiny-smoke", trials=6)
    told = (home / "studies" / "tiny-smoke" / "launch.log").read_text()
    assert told.count("the tracking store takes records again") == 1
    assert "no answer from the tracking store since" in told or "took no record" in told
    written = [file for file in home.rglob("*") if file.is_file()]
    assert not [file for file in written if PASSWORD.encode() in file.read_bytes()], "a password was written"


@pytest.mark.parametrize("given", ["admin:wrong@", "", "nobody:at-all@"])
def test_a_wrong_or_missing_password_is_one_line_at_once_and_the_password_is_not_in_it(
    server: Server, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    started = time.monotonic()
    with pytest.raises(ValueError, match="refuses the user name or the password") as refused:
        inline(tmp_path, f"http://{given}127.0.0.1:{server.port}")
    assert time.monotonic() - started < 20
    assert not isinstance(refused.value, TrackingUnreachable)
    assert "\n" not in str(refused.value)
    assert "wrong" not in str(refused.value)
    assert not (tmp_path / "data").exists(), "work was done before"


def test_a_password_in_the_environment_is_taken(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    check_usable(server.bare_uri)


def test_a_user_who_may_not_write_into_a_study_of_another_is_told_so(server: Server, tmp_path: Path) -> None:
    card = {**CARD, "study": "of_another"}
    assert Recorder(server.uri, tmp_path, card).close(finished=True) == ""
    ask = urllib.request.Request(
        f"{server.bare_uri}/api/2.0/mlflow/users/create",
        data=json.dumps({"username": "guest", "password": "a-password-of-12"}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Basic {base64.b64encode(f'admin:{PASSWORD}'.encode()).decode()}",
        },
    )
    urllib.request.urlopen(ask).close()
    with pytest.raises(ValueError, match="does not allow that to this user") as refused:
        Recorder(f"http://guest:a-password-of-12@127.0.0.1:{server.port}", tmp_path, {**card, "launch_id": "guest"})
    assert "\n" not in str(refused.value)


def test_passwords_are_masked_wherever_a_uri_is_shown() -> None:
    command = "gansweep launch s.py --tracking-uri https://me:p%40ss@host:5000/x --artifacts s3://bucket"
    assert masked(command) == "gansweep launch s.py --tracking-uri https://host:5000/x --artifacts s3://bucket"
    assert masked("postgresql://u:p@ss@host/db and mail@host") == "postgresql://host/db and mail@host"


# --- answers that do not arrive


def test_a_run_whose_creation_was_not_answered_is_found_and_not_created_again(
    server: Server, proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    created: list[str] = []

    def fault(request: str) -> str:
        if "/runs/create" not in request:
            return ""
        created.append(request)
        return "lose" if len(created) in (2, 4) else ""  # the first is the parent's

    card = {**CARD, "study": "lost_answer", "run": "lost_answer-smoke"}
    uri = server.at(proxy(fault).port)
    made = Recorder(uri, tmp_path, card)
    tell(made, tmp_path)
    assert made.close(finished=True) == ""
    assert len(created) == 4, "a run that was there was created again"
    assert_one_run_each(server.folder / "mlflow.db", "lost_answer-smoke", trials=3)


def test_a_server_that_answers_503_for_a_while_gets_everything_later_in_order(
    server: Server, proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    busy = threading.Event()
    card = {**CARD, "study": "busy", "run": "busy-smoke"}
    made = Recorder(server.at(proxy(lambda request: "refuse" if busy.is_set() else "").port), tmp_path, card)
    busy.set()
    tell(made, tmp_path)
    wait_until(lambda: bool(made.behind))
    assert re.match(r"no answer from the tracking store since \d\d:\d\d:\d\d: \d trials? to record later", made.behind)
    busy.clear()
    assert made.close(finished=True) == ""
    assert made.behind == ""
    assert_one_run_each(server.folder / "mlflow.db", "busy-smoke", trials=3)
    steps = records.read(server.uri, "busy-smoke").steps
    assert steps[["trial", "step"]].to_numpy().tolist() == [[t, s] for t in ("t0", "t1", "t2") for s in (10, 20)]


def write_ended(home: Path, *trials: dict[str, Any]) -> None:
    """Write ended trials of the card to their folders."""
    for planned in trials:
        directory = TrialDir(home / "trials" / planned["trial"])
        directory.begin()
        directory.append(row(10, penalty=0.5))
        directory.append(row(20, penalty=0.25))
        directory.end({"status": "done", "step": 20, "ended_at": 1_700_000_001_000})


def tell(made: Recorder, home: Path) -> None:
    """Write the trials of the card to their folders, ended, and tell the recorder."""
    write_ended(home, *CARD["trials"])
    for planned in CARD["trials"]:
        made.start(planned, {"n_critic": 5}.copy, home / "trials" / planned["trial"], 1_700_000_000_000)
        made.end(planned["trial"])


def test_a_server_gives_the_same_frames_as_a_database(server: Server, stored: Path) -> None:
    uri = records.default_uri(stored)
    record(uri, stored)
    record(server.uri, stored)
    ours, theirs = records.read(uri, "made_up-smoke"), records.read(server.uri, "made_up-smoke")
    pd.testing.assert_frame_equal(ours.trials.drop(columns="run_id"), theirs.trials.drop(columns="run_id"))
    pd.testing.assert_frame_equal(ours.steps, theirs.steps)
    assert theirs.samples("t0") == ours.samples("t0") == b"\x89PNG made up"
    assert theirs.plan == ours.plan
    assert records.runs(server.uri, "made_up") == ["made_up-smoke"]
    with pytest.raises(ValueError, match="are kept by its tracking server"):
        records.read(f"sqlite:///{server.folder}/mlflow.db", "made_up-smoke")


# --- a store that stays away


def test_a_fresh_launch_refuses_a_server_that_does_not_answer(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TrackingUnreachable, match=r"http://127\.0\.0\.1:9 does not answer"):
        inline(tmp_path, "http://me:secret@127.0.0.1:9")
    assert time.monotonic() - started < 10
    assert not (tmp_path / "data").exists(), "work was done before"


def test_a_launch_that_goes_on_trains_while_the_server_is_away_and_the_next_one_records_the_rest(
    as_home: Callable[[Path], Path], undisturbed: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_home(home)
    monkeypatch.setattr(recorder, "PATIENCE_SECONDS", 1.0)
    (home / "studies" / "tiny-smoke" / "trials" / "one_that_began").mkdir(parents=True)
    swept = inline(home, NOBODY)
    assert swept.complete
    assert "6 trials not recorded" in swept.unrecorded
    monkeypatch.undo()
    again = inline(home)
    assert (again.unrecorded, again.complete) == ("", True)
    ours, theirs = records.default_uri(home), records.default_uri(undisturbed)
    assert_same(frames(ours, "tiny-smoke"), frames(theirs, "tiny-smoke"))
    assert_one_run_each(home / "mlflow.db", "tiny-smoke", trials=6)


def test_news_of_hours_without_a_server_takes_no_memory_and_no_time(tmp_path: Path) -> None:
    made = Recorder(NOBODY, tmp_path, CARD, resumed=True)
    for planned in CARD["trials"]:
        made.start(planned, dict, tmp_path / planned["trial"], 1_700_000_000_000)
    tracemalloc.start()
    started = time.monotonic()
    for _ in range(100_000):
        made.news("t0")
        made.news("t1")
    assert time.monotonic() - started < 10
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()
    assert "3 trials" in made.behind
    assert "3 trials not recorded" in made.close(finished=False, patience=0.5)


def test_a_notice_of_a_trial_whose_end_is_recorded_already_is_nothing(stored: Path) -> None:
    made = Recorder(records.default_uri(stored), stored, CARD)
    tell(made, stored)
    wait_until(lambda: not made._trials)
    for planned in CARD["trials"]:
        made.news(planned["trial"])
    assert made.close(finished=True, patience=5) == ""
    assert not made.behind


def test_ctrl_c_leaves_a_server_that_is_waited_for(tmp_path: Path) -> None:
    made = Recorder(NOBODY, tmp_path, CARD, resumed=True)
    said: list[str] = []
    # a shell that starts the tests in the background lets them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        assert "not recorded" in made.close(finished=False, say=said.append)
        assert time.monotonic() - started < 20
    finally:
        signal.signal(signal.SIGINT, before)
    (line,) = said
    assert "waiting up to 60 s for it, Ctrl-C to leave it" in line


# --- stores that are shared, and what was doubled


def test_of_two_runs_of_a_trial_the_one_that_says_more_is_kept(stored: Path) -> None:
    uri = records.default_uri(stored)
    record(uri, stored)
    before = frames(uri, "made_up-smoke")
    client = connect(uri)
    for trial in ("t0", "t1"):
        run = client.get_run(records.read(uri, "made_up-smoke").trials.set_index("trial").loc[trial, "run_id"])
        tags = {"gansweep.trial_id": trial, "mlflow.parentRunId": run.data.tags["mlflow.parentRunId"]}
        client.create_run(run.info.experiment_id, tags=tags)
    record(uri, stored)
    assert_same(frames(uri, "made_up-smoke"), before)
    with sqlite3.connect(stored / "mlflow.db") as opened:
        kept = "SELECT count(*) FROM runs WHERE lifecycle_stage = "
        assert opened.execute(kept + "'deleted'").fetchone() == (2,)
        assert opened.execute(kept + "'active'").fetchone() == (3,)


RECORD = """
import json, sys
from pathlib import Path
from gansweep.records import default_uri
from gansweep.recorder import Recorder

home, card = Path(sys.argv[1]), json.loads(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
made = Recorder(default_uri(home), home, card)
for planned in card["trials"]:
    made.start(planned, dict, home / "trials" / planned["trial"], 1_700_000_000_000)
    made.end(planned["trial"])
sys.exit(made.close(finished=True) or 0)
"""


@pytest.mark.slow
def test_launches_that_create_one_database_at_the_same_moment_all_record(tmp_path: Path) -> None:
    names = ["first", "second", "third"]
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    write_ended(tmp_path, *CARD["trials"])
    cards = [json.dumps({**CARD, "run": name, "launch_id": name}) for name in names]
    processes = [
        subprocess.Popen([sys.executable, "-c", RECORD, str(tmp_path), card], text=True, **streams) for card in cards
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, complaints = process.communicate(timeout=300)
        assert process.returncode == 0, complaints
    for name in names:
        assert_one_run_each(tmp_path / "mlflow.db", name, trials=3)


def test_the_ends_of_ten_thousand_trials_are_known_in_seconds(stored: Path) -> None:
    uri = records.default_uri(stored)
    made = Recorder(uri, stored, CARD)
    assert made.close(finished=False) == ""
    with sqlite3.connect(stored / "mlflow.db") as opened:
        (parent, experiment), *_ = opened.execute("SELECT run_uuid, experiment_id FROM runs").fetchall()
        runs = [(f"{number:032x}", f"trial{number}") for number in range(10_000)]
        opened.executemany(
            "INSERT INTO runs (run_uuid, name, status, experiment_id, lifecycle_stage, start_time)"
            " VALUES (?, 'made up', 'FINISHED', ?, 'active', 1)",
            [(run, experiment) for run, _ in runs],
        )
        tags = [("gansweep.ended", "true"), ("mlflow.parentRunId", parent), *((f"gansweep.{n}", "x") for n in "abcdef")]
        opened.executemany(
            "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            [one for run, trial in runs for one in [("gansweep.trial_id", trial, run), *((*tag, run) for tag in tags)]],
        )
    started = time.process_time()
    made = Recorder(uri, stored, CARD)
    assert time.process_time() - started < 2
    assert made.has_end("trial9999")
    assert not made.has_end("t0")
    assert made.close(finished=False) == ""


# --- PostgreSQL and S3


def needed(*programs: str) -> None:
    """Skip where a program is missing, and fail where that must not be."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and "CI" in os.environ:
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


class Database:
    """A PostgreSQL server with a password. It must not run as root, so it then runs as `postgres`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"postgresql://gansweep:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.become = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        (folder / "password").write_text(PASSWORD)
        if self.become:
            shutil.chown(folder, "postgres")
            shutil.chown(folder / "password", "postgres")
        access = ["--username", "gansweep", "--pwfile", str(folder / "password"), "--auth", "scram-sha-256"]
        self._run("initdb", *access, "--no-sync")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self.become, program, "--pgdata", f"{self.folder}/data", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "--wait", "--log", f"{self.folder}/log", "--options", options, "start")

    def kill(self) -> None:
        """End it at once, without a word to its clients, as a crash does."""
        self._run("pg_ctl", "--mode", "immediate", "stop")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin")):  # Debian keeps them out of the way
        os.environ["PATH"] = f"{os.environ['PATH']}:{folder}"
    needed("initdb", "pg_ctl", *(["runuser"] if os.getuid() == 0 else []))
    made = Database(Path(tempfile.mkdtemp()))
    yield made
    made.kill()
    shutil.rmtree(made.folder)


@pytest.fixture
def postgresql(database: Database) -> str:
    return database.uri


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3-compatible server, which keeps what it has while it is stopped, with a bucket called `studies`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="studies")
    yield server
    server.stop()


@pytest.fixture
def bucket(files: Any) -> str:
    return "s3://studies/gan"


@pytest.mark.long
def test_a_study_on_postgresql_and_s3_has_the_records_of_one_on_sqlite(
    postgresql: str, bucket: str, undisturbed: Path, home: Path
) -> None:
    swept = inline(home, postgresql, artifacts=bucket)
    assert (swept.unrecorded, swept.complete) == ("", True)
    ours, theirs = records.read(postgresql, "tiny-smoke"), records.read(records.default_uri(undisturbed), "tiny-smoke")
    assert_same(frames(postgresql, "tiny-smoke"), frames(records.default_uri(undisturbed), "tiny-smoke"))
    trial = theirs.trials["trial"].iloc[0]
    assert ours.samples(trial) == theirs.samples(trial)
    assert ours.samples(trial) is not None
    again = inline(home, postgresql, artifacts=bucket)
    assert (again.unrecorded, again.complete) == ("", True)
    assert len(records.read(postgresql, "tiny-smoke").plan["launches"]) == 1
    assert not (home / "mlflow.db").exists()
    assert not [file for file in home.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]


@pytest.mark.long
def test_a_database_and_a_file_server_that_go_away_and_come_back_lose_and_double_nothing(
    database: Database, files: Any, bucket: str, undisturbed: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PATIENCE_SECONDS", 300.0)
    monkeypatch.setattr(recorder, "LONGEST_PAUSE_SECONDS", 2.0)

    def ended() -> int:
        return len(list((home / "studies" / "tiny-smoke-seed1" / "trials").glob("*/outcome.json")))

    def outages() -> None:
        for count, act in enumerate((database.kill, files.stop, database.start, files.start), start=1):
            wait_until(lambda count=count: ended() >= count)
            act()

    fault = threading.Thread(target=outages)
    fault.start()
    swept = inline(home, database.uri, artifacts=bucket, seed=1)
    fault.join()
    assert (swept.unrecorded, swept.complete) == ("", True)
    assert inline(undisturbed, seed=1).complete
    calm = records.default_uri(undisturbed)
    assert_same(frames(database.uri, "tiny-smoke-seed1"), frames(calm, "tiny-smoke-seed1"))
    ours, theirs = records.read(database.uri, "tiny-smoke-seed1"), records.read(calm, "tiny-smoke-seed1")
    for trial in theirs.trials["trial"]:
        assert ours.samples(trial) == theirs.samples(trial)
    with engine(database.uri).connect() as opened:
        ask = lambda sql: [tuple(row) for row in opened.execute(sqlalchemy.text(sql))]  # noqa: E731
        every = "FROM runs r JOIN tags t USING (run_uuid) WHERE r.lifecycle_stage = 'active' AND t.key ="
        ((parent, status),) = ask(f"SELECT run_uuid, r.status {every} 'gansweep.run' AND t.value = 'tiny-smoke-seed1'")
        assert status == "FINISHED"
        of_it = f"r.run_uuid IN (SELECT run_uuid {every} 'mlflow.parentRunId' AND t.value = '{parent}')"
        runs = ask(f"SELECT t.value, r.status {every} 'gansweep.trial_id' AND {of_it}")
        twice = ask("SELECT key, step FROM metrics GROUP BY run_uuid, key, step HAVING count(*) > 1")
    assert sorted(runs) == sorted((trial, "FINISHED") for trial in theirs.trials["trial"])
    assert not twice
    told = (home / "studies" / "tiny-smoke-seed1" / "launch.log").read_text()
    assert told.count("the tracking store takes records again") >= 1


def test_a_wrong_password_for_postgresql_is_one_line(postgresql: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not let us in: .*password") as refused:
        inline(tmp_path, postgresql.replace(PASSWORD, "wrong"), artifacts="s3://studies")
    assert not isinstance(refused.value, TrackingUnreachable)
    assert "wrong" not in str(refused.value)
    with pytest.raises(TrackingUnreachable, match="does not answer"):
        check_reachable(re.sub(r":\d+/", ":9/", postgresql))


@pytest.mark.parametrize(
    ("artifacts", "complaint"),
    [
        (None, "needs a place for files: give --artifacts s3://BUCKET/PREFIX"),
        ("/tmp/files", "'/tmp/files' must be s3://BUCKET or s3://BUCKET/PREFIX"),
        ("s3://no-such-bucket/x", "s3://no-such-bucket/x cannot be written: .*NoSuchBucket"),
    ],
)
def test_a_place_for_files_that_cannot_be_used_is_refused_before_any_work(
    postgresql: str, bucket: str, tmp_path: Path, artifacts: str | None, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        inline(tmp_path, postgresql, artifacts=artifacts)
    assert not (tmp_path / "data").exists(), "work was done before"


def test_files_of_a_sqlite_store_may_be_kept_on_s3_too(bucket: str, stored: Path) -> None:
    uri = records.default_uri(stored)
    record(uri, stored, artifacts=bucket)
    assert records.read(uri, "made_up-smoke").samples("t0") == b"\x89PNG made up"
    assert not (stored / "artifacts").exists()
    with pytest.raises(ValueError, match="keeps its artifacts in s3://studies/gan, not in s3://elsewhere"):
        Recorder(uri, stored, CARD, artifacts="s3://elsewhere")
