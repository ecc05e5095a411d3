"""What trials ask of machines, by Ray's names: CPU, GPU, and memory in bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gansweep.study import Resources, Study

UNITS = {"CPU": ("CPU", 1.0), "GPU": ("GPU", 1.0), "memory": ("GB of memory", 1e9)}
Requests = Mapping[str, Mapping[str, float]]


def requests(study: Study, gpus: float) -> dict[str, dict[str, float]]:
    """What a trial of each arm asks for; `gpus` where the study does not say how much of a GPU."""
    found = {}
    for arm in study.arms:
        asked = study.resources.get(arm, Resources())
        wanted = {"CPU": asked.cpus, "GPU": gpus if asked.gpus is None else asked.gpus}
        wanted["memory"] = 1e9 * (asked.memory_gb or 0)
        found[arm] = {name: amount for name, amount in wanted.items() if amount}
    return found


def check_room(asked: Requests, machines: Iterable[Mapping[str, float]], where: str) -> None:
    """Raise `ValueError` if there is an arm no trial of which fits any of the machines, which are what `where` says."""
    machines = list(machines)
    for arm, request in asked.items():
        if not any(all(one.get(name, 0.0) >= wanted for name, wanted in request.items()) for one in machines):
            most = {name: max((one.get(name, 0.0) for one in machines), default=0.0) for name in request}
            raise ValueError(
                f"a trial of arm {arm!r} needs {_said(request)}, and the most that {where} has is {_said(most)}: "
                "change Study.resources or --gpus-per-trial"
            )


def _said(resources: Mapping[str, float]) -> str:
    """Such as "1 CPU, 0.5 GPU and 4 GB of memory"."""
    parts = [f"{amount / UNITS[name][1]:.4g} {UNITS[name][0]}" for name, amount in resources.items()]
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
