"""An existing Ray cluster: what goes to its nodes, and whether there is room for a study's trials.

Every worker gets this gansweep and the study file from Ray (`runtime_env`), so the nodes need the packages that
gansweep needs and nothing else. What was prepared, data sets and classifiers, goes through Ray's object store when the
first worker of a node asks for it.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._private.state import state as ray_state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import gansweep
from gansweep.data.checksums import Memo
from gansweep.launch.parcels import Parcel, node_cache, read_file
from gansweep.launch.worker import Workplace

# what says where something is or how sums are made. Never a key: Ray shows and logs these
PASSED_ON = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"),
    *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "GANSWEEP_NODE_CACHE"),
)


def runtime_env(study_file: Path, shipped: Path) -> dict[str, Any]:
    """What Ray brings to every worker: this package, and a copy of the study file, which it is started beside.

    `shipped` is a folder for the copy, and for nothing else: Ray sends all of it.
    """
    shutil.rmtree(shipped, ignore_errors=True)
    shipped.mkdir(parents=True)
    shutil.copy(study_file, shipped / study_file.name)
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    # sums of several threads have no fixed order; Ray would give an arm of two CPUs two threads
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    return {
        "py_modules": [str(Path(gansweep.__file__).parent)],
        "working_dir": str(shipped),
        "excludes": ["__pycache__/"],
        "env_vars": {"RAY_CHDIR_TO_TRIAL_DIR": "0", **threads, **passed},
    }


def machines() -> list[Mapping[str, float]]:
    """The resources of every node, and of those that the cluster may start."""
    found: list[Mapping[str, float]] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if (config := ray_state.get_cluster_config()) is not None:
        found += [dict(group.resources) for group in config.node_group_configs if group.max_count != 0]
    return found


@dataclass(frozen=True)
class Shipment:
    """A workplace for other machines: how each finds the study file and what was prepared."""

    workplace: Workplace
    node: str  # the driver's
    parcels: Mapping[Path, Parcel]

    @classmethod
    def of(cls, workplace: Workplace, home: Path) -> Shipment:
        """The shipment of this machine's workplace, whose study file `runtime_env` brings. Reads what is new once."""
        study_file = Path(workplace.selection.file)
        selection = dataclasses.replace(workplace.selection, file=study_file.name)
        paths = [*workplace.data.values(), *(path for paths in workplace.judges.values() for path in paths)]
        with Memo(home / "data" / "checksums.json") as memo:
            parcels = {path: Parcel.of(path, memo) for path in paths if path is not None}
        at_home = dataclasses.replace(workplace, selection=selection)
        return cls(at_home, ray.get_runtime_context().get_node_id(), parcels)

    def unpacked(self) -> Workplace:
        """The workplace on this machine; what is not here is fetched, once for all workers."""
        there = NodeAffinitySchedulingStrategy(node_id=self.node, soft=False)
        remote = ray.remote(num_cpus=0, scheduling_strategy=there)(read_file)
        read: Callable[[str, int, int], bytes] = lambda *what: ray.get(remote.remote(*what))  # noqa: E731
        local = {path: parcel.local(node_cache(), read) for path, parcel in self.parcels.items()}
        here: Callable[[Path | None], Path | None] = lambda path: None if path is None else local[path]  # noqa: E731
        return dataclasses.replace(
            self.workplace,
            data={key: here(path) for key, path in self.workplace.data.items()},
            judges={key: tuple(map(here, paths)) for key, paths in self.workplace.judges.items()},
        )
