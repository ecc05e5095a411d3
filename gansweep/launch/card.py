"""The design card: everything that a reader of the records needs to know of a run, as plain JSON (`plan.json`)."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import gansweep
from gansweep import trajectory
from gansweep.parts import content_id, describe
from gansweep.plan import Plan
from gansweep.selection import Selection
from gansweep.study import Study
from gansweep.tracking import masked

PACKAGES = ("torch", "ray", "optuna", "mlflow", "numpy", "pandas", "plotly")
NUMERIC_SOURCES = (
    *("data", "losses", "metrics", "models"),
    *(
        "diagnostics.py",
        "goals.py",
        "initialisation.py",
        "memory.py",
        "optimizers.py",
        "outputs.py",
        "plan.py",
        "portraits.py",
        "randomness.py",
        "schedules.py",
        "search.py",
        "space.py",
    ),
    *("stability.py", "strategies.py", "study.py", "training.py", "trajectory.py", "trial.py"),
    *("launch/candidates.py", "launch/driver.py", "launch/worker.py"),
)


def design_card(
    plan: Plan, selection: Selection, run: str, data: list[dict[str, Any]], protocols: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The card of one run of a study. `data` says what was prepared for it, `protocols` how its scores are made."""
    study = plan.study
    metric = study.metrics[0]
    size = study.space_size
    preset = study.presets[selection.preset].description if selection.preset else "The study as declared."
    card = {
        "study": study.name,
        "run": run,
        "preset": selection.preset,
        "preset_description": preset,
        "question": study.question,
        "source": study.source,
        "caveats": list(study.caveats),
        "seed": study.seed,
        "draws": study.num_cells,
        "repeats": study.repeats,
        "planned": plan.num_planned,
        "space_size": int(size) if size != float("inf") else None,
        "score": metric.name,
        "scores": [
            {
                "name": one.name,
                "label": study.label(one.name),
                "columns": list(one.columns),
                "higher_is_better": one.higher_is_better,
                "facts": trajectory.facts(one.higher_is_better, () if number else study.thresholds),
            }
            for number, one in enumerate(study.metrics)
        ],
        "score_label": study.label(metric.name),
        "protocols": protocols,
        "thresholds": list(study.thresholds),
        "factors": {name: {"label": study.label(name), "values": values} for name, values in study.factors.items()},
        "search": _search(study),
        "arms": {arm: {"label": study.label(arm), "changes": changes} for arm, changes in study.arm_changes().items()},
        "baseline": study.baseline_fields(),
        "pruning": {"rules": [_words(rule) for rule in study.rules], "audit_fraction": study.audit_fraction},
        "data": data,
        "design": plan.design(),
        "provenance": provenance(),
        "trials": plan.slots(),
    }
    return card | {"design_hash": content_id(design_of(card) | {"code": numeric_code()})}


def _search(study: Study) -> dict[str, Any]:
    """How cells are found, and, where the study tunes, what for."""
    goals = [
        {"name": aim, "label": study.label(aim), "higher_is_better": direction == "maximize"}
        for aim, direction in zip(study.aims, study.directions, strict=True)
    ]
    return {
        "by": _words(study.search),
        "sequential": study.search.sequential,
        "pruner": _words(study.pruner) if study.pruner else None,
        "goals": goals if study.search.sequential else [],
        "failed_scores": dict(study.failed_scores),
        "limits": dict(study.limits),
    }


def design_of(card: dict[str, Any]) -> dict[str, Any]:
    """What a run must keep from launch to launch: nothing measured, which differs in its last digits by machine."""
    protocols = {number: known["protocol"] for number, known in card["protocols"].items()}
    return {"design": card["design"], "data": card["data"], "protocols": protocols}


def _words(rule: Any) -> str:
    fields = {key: value for key, value in describe(rule).items() if key != "part"}
    return f"{type(rule).__name__}({', '.join(f'{key}={value}' for key, value in fields.items())})"


def numeric_code() -> str:
    """A hash of the code that can change a trial's numbers; comments and docstrings do not count."""
    root = Path(gansweep.__file__).parent
    files = [
        file
        for name in NUMERIC_SOURCES
        for file in sorted([root / name] if name.endswith(".py") else (root / name).glob("*.py"))
    ]
    digest = hashlib.sha256()
    for file in files:
        tree = ast.parse(file.read_bytes())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                node.value.value = ""
        digest.update(file.name.encode() + ast.dump(tree).encode())
    return digest.hexdigest()[:12]


def provenance() -> dict[str, Any]:
    """Where and with what this runs."""
    return {
        "commit": _commit(),
        "gansweep": metadata.version("gansweep"),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "hardware": _hardware(),
        "system": f"{platform.system()} {platform.machine()}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": masked(" ".join(["gansweep", *sys.argv[1:]])),
    }


def _commit() -> str:
    """The commit of gansweep's source, marked if files differ from it; "released" outside a checkout."""
    folder = Path(gansweep.__file__).parent
    try:
        ask = {"cwd": folder, "capture_output": True, "text": True, "check": True}
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **ask).stdout.strip()  # type: ignore[call-overload]
        changed = subprocess.run(["git", "status", "--porcelain", "."], **ask).stdout.strip()  # type: ignore[call-overload]
    except (OSError, subprocess.CalledProcessError):
        return "released"
    return f"{commit} with local changes" if changed else str(commit)


def _hardware() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return ", ".join([f"{os.cpu_count()} CPUs ({_cpu_model()})", f"{memory:.0f} GiB", *(gpus or ["no GPU"])])


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
