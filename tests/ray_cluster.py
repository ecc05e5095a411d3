"""A Ray cluster of real nodes on this machine, each in a process group of its own that can be killed like a machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

RAY = str(Path(sys.executable).with_name("ray"))
# what a node does first of all, as root in a mount namespace of its own: the folders are empty to it
HIDE = 'mount --make-rprivate / && for place in $HIDDEN; do mount -t tmpfs none "$place" || exit 1; done; exec "$@"'


def can_hide() -> bool:
    """Whether a process can be kept from seeing a folder here."""
    test = ["unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && mount -t tmpfs none "$HIDDEN"']
    with tempfile.TemporaryDirectory() as folder:
        try:
            return subprocess.run(test, env={**os.environ, "HIDDEN": folder}, capture_output=True).returncode == 0
        except FileNotFoundError:
            return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class RayCluster:
    """A head and as many nodes as are added. What a driver needs to join is in `address` and `env`."""

    def __init__(self, *, cpus: int, env: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gs", dir="/tmp"))  # sockets need a short path
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        quiet = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
        self.env = {**os.environ, **auth, **quiet, "TMPDIR": str(self.folder), **(env or {})}
        self.nodes: list[subprocess.Popen[bytes]] = []
        arguments = ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        self.head = self._started(arguments, cpus, {}, ())

    def add(
        self,
        *,
        cpus: int,
        gpus: int = 0,
        env: dict[str, str] | None = None,
        hidden: Sequence[Path] = (),
    ) -> subprocess.Popen[bytes]:
        """Another node, which cannot see the folders in `hidden`; it has joined when this returns."""
        return self._started([f"--address={self.address}", f"--num-gpus={gpus}"], cpus, env or {}, hidden)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """End a node and everything on it, as if its power were cut."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        self.nodes.remove(node)

    def close(self) -> None:
        for node in list(self.nodes):
            self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(
        self, arguments: list[str], cpus: int, env: dict[str, str], hidden: Sequence[Path]
    ) -> subprocess.Popen[bytes]:
        """A node that has joined. On a busy machine Ray may give its own processes up after 30 seconds: then again."""
        for _ in range(3):
            node = self._start(arguments, cpus, env, hidden)
            log = self.folder / f"node{node.pid}.log"
            while node.poll() is None:
                if "terminated by a signal" in log.read_text():
                    return node
                time.sleep(0.1)
            self.kill(node)
            if "timed out during startup" not in log.read_text():
                break
        raise AssertionError(log.read_text())

    def _start(
        self, arguments: list[str], cpus: int, env: dict[str, str], hidden: Sequence[Path]
    ) -> subprocess.Popen[bytes]:
        command = [RAY, "start", *arguments, f"--num-cpus={cpus}", "--node-ip-address=127.0.0.1", "--block"]
        command += ["--object-store-memory=100000000", "--disable-usage-stats"]
        if hidden:
            command = ["unshare", "--mount", "sh", "-c", HIDE, "node", *command]
        env = {**self.env, **env, "HIDDEN": " ".join(map(str, hidden))}
        said = self.folder / "starting.log"
        with open(said, "wb") as log:
            node = subprocess.Popen(command, env=env, start_new_session=True, stdout=log, stderr=subprocess.STDOUT)
        said.rename(self.folder / f"node{node.pid}.log")
        self.nodes.append(node)
        return node
