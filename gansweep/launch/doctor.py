"""`gansweep doctor`: what this machine has, and what would keep a study from running here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PACKAGES = ("torch", "torchvision", "torch-fidelity", "ray", "optuna", "mlflow", "pandas", "plotly", "dash")
MIN_FREE_GB = 2.0


def examine(home: Path) -> list[dict[str, Any]]:
    """One finding per check: `name`, `ok`, and what was found."""
    checks: dict[str, Callable[[], str]] = {
        "packages": _packages,
        "devices": _devices,
        "home": lambda: _home(home),
        "disk": lambda: _disk(home),
        "double backward": _double_backward,
        "browser": _browser,
    }
    findings = []
    for name, check in checks.items():
        try:
            findings.append({"name": name, "ok": True, "found": check()})
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            findings.append({"name": name, "ok": False, "found": str(error)})
    return findings


def _packages() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{os.cpu_count()} CPUs; " + (", ".join(gpus) or "no GPU: studies run on the CPU")


def _home(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=home):
        return f"{home.resolve()} can be written"


def _disk(home: Path) -> str:
    free = shutil.disk_usage(home).free / 1e9
    if free < MIN_FREE_GB:
        raise OSError(f"only {free:.1f} GB free where {home} is")
    return f"{free:.0f} GB free"


def _double_backward() -> str:
    """The gradient penalty of D(x) = w.x is (||w|| - 1)^2 whatever x is."""
    import torch

    from gansweep.losses.constraints import GradientPenalty

    w = torch.tensor([3.0, 4.0], requires_grad=True)
    x = torch.randn(8, 2)
    penalty = GradientPenalty(weight=1.0).penalty(lambda v: v @ w, x, x + 1, torch.Generator().manual_seed(0))
    assert penalty is not None
    penalty.backward()
    if abs(penalty.item() - 16) > 1e-4 or w.grad is None or not torch.allclose(w.grad, 8 * w / 5, atol=1e-4):
        raise RuntimeError(f"the gradient penalty of a linear critic is {penalty.item():.4f} and must be 16")
    return "a gradient penalty has its closed-form value and gradient"


def _browser() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return f"{found} (needed by tests only)" if found else "no chromium: needed by tests only"


def print_findings(findings: list[dict[str, Any]], console: Console) -> None:
    """The findings for a person."""
    for finding in findings:
        mark = "[green]ok[/]  " if finding["ok"] else "[red]fail[/]"
        console.print(f"{mark} {finding['name']}: {finding['found']}", highlight=False)
