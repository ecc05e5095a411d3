"""`gansweep plan`: what a launch would run, and a forecast from a few measured iterations."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gansweep.data.opened import open_data, prepare_data
from gansweep.launch.console import clock
from gansweep.launch.pictures import SAMPLES_SHOWN
from gansweep.launch.worker import resolve_device
from gansweep.parts import override
from gansweep.plan import Plan, PlannedTrial
from gansweep.selection import Selection
from gansweep.space import parameters
from gansweep.training import TrainState, check_fit, sample, train

if TYPE_CHECKING:
    from rich.console import Console

PROBED_CELLS = 4
PROBED_STEPS = 3
DISAGREEING = (0.5, 0.2)  # shares of cells; one half is about the most if pairing makes cells agree at all
WORKER_BASE_GB = 0.4  # a worker process with torch and ray before it has a network
REPORT_BYTES = 6_000  # of one report in the store, the history and the journal together, measured on laptop runs


def describe_plan(selection: Selection, home: Path, *, probe: bool) -> dict[str, Any]:
    """The plan as plain JSON: counts, cells, arms as differences from the baseline and, with `probe`, a forecast."""
    study = selection.study()
    plan = study.plan()
    size = study.space_size
    forecast, without = None, "it was not asked for"
    if probe:
        try:
            forecast = _forecast(plan, home.resolve())
        except ValueError as error:
            without = f"{error}"
    return {
        "study": study.name,
        "question": study.question,
        "run": selection.run_name(study),
        "preset": selection.preset,
        "planned": plan.num_planned,
        "cells": plan.num_planned // len(study.arms),
        "space_size": int(size) if size != float("inf") else None,
        "factors": {name: one.shown for name, _, one in parameters(study.space)},
        "baseline": study.baseline_fields(),
        "arms": study.arm_changes(),
        "detectable": _detectable(plan),
        "forecast": forecast,
        "no_forecast": None if forecast else without,
    }


def _detectable(plan: Plan) -> dict[str, float] | None:
    """The least difference of two arms that is seen with a chance of 80%, by the share of cells in which they disagree.

    Without the shares at which no difference would be seen; None where the study does not compare arms by success.
    """
    from gansweep import power

    study = plan.study
    if study.search.sequential or len(study.arms) < 2 or not study.thresholds:
        return None
    blocks = plan.num_planned // len(study.arms)
    found = {share: power.detectable_difference(blocks, share) for share in DISAGREEING}
    return {f"{share:g}": round(value, 3) for share, value in found.items() if value <= share}


def _forecast(plan: Plan, home: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    device = resolve_device("auto")
    workers = os.cpu_count() or 1
    seconds: dict[str, float] = {}
    state_bytes = 0
    num_samples = max(SAMPLES_SHOWN, *(metric.num_samples for metric in plan.study.metrics))
    tried = plan.examples()
    for arm in plan.study.arms:
        trials = [trial for trial in tried if trial.arm == arm]
        chosen = trials[:: max(1, len(trials) // PROBED_CELLS)][:PROBED_CELLS]
        measured = [_probe(trial, num_samples, home, device) for trial in chosen]
        state_bytes = max([state_bytes, *(size for _, size in measured)])
        seconds[arm] = sum(cost for cost, _ in measured) / len(measured)
    share = plan.num_planned / len(tried)  # of a tuning study, only examples are known
    total = share * sum(seconds[trial.arm] for trial in tried)
    reports = share * sum(trial.config.steps / trial.config.report_every for trial in tried)
    return {
        "device": device.type,
        "workers": workers,
        "seconds_per_trial": {arm: round(cost, 1) for arm, cost in seconds.items()},
        "hours": round(total / workers / 3600, 3),
        "disk_gb": round((reports * REPORT_BYTES + workers * state_bytes) / 1e9, 3),
        "memory_gb": round(
            max(WORKER_BASE_GB, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20) * workers, 1
        ),
        "without": "the classifier's share of each evaluation, and preparing data and classifier",
    }


def _probe(trial: PlannedTrial, num_samples: int, home: Path, device: torch.device) -> tuple[float, int]:
    """Seconds of the whole trial, from a few iterations and one set of samples; and the bytes of its state."""
    config = trial.config
    data = open_data(config.data, prepare_data(config.data, home / "data", verify=False), device).training
    check_fit(config, data)
    state = TrainState.build(config, shape=data.shape, num_classes=data.num_classes, device=device)
    short = override(
        config, {"steps": PROBED_STEPS + 1, "report_every": 1, "evaluate_every": 1, "critic_warmup": False}
    )
    steps = [step.seconds for step in train(short, state, data, device)]
    started = time.perf_counter()
    sample(config, state, num_samples, device, data=data)
    evaluation = time.perf_counter() - started
    cost = (steps[-1] - steps[0]) / PROBED_STEPS * config.steps + evaluation * (config.steps // config.evaluate_every)
    parameters = sum(p.numel() for net in (state.generator, state.discriminator) for p in net.parameters())
    return cost, parameters * 4 * 3  # weights and the two moments of Adam


def print_plan(described: dict[str, Any], console: Console) -> None:
    """The plan for a person."""
    from rich.table import Table

    console.print(described["question"], style="bold")
    size = f" of {described['space_size']:,} in the space" if described["space_size"] else ""
    cells = f"{described['cells']} cells{size} x {len(described['arms'])} arms"
    console.print(f"{described['run']}: {cells} = {described['planned']} trials", highlight=False)
    factors = Table(box=None, header_style="dim")
    factors.add_column("drawn for each cell")
    factors.add_column("values")
    for path, values in described["factors"].items():
        factors.add_row(path, ", ".join(map(str, values)))
    console.print(factors)
    arms = Table(box=None, header_style="dim")
    for name in ("differs between arms", "baseline", *described["arms"]):
        arms.add_column(name)
    for field in next(iter(described["arms"].values()), {}):
        base = described["baseline"].get(field)
        shown = [_cell(changes[field], base) for changes in described["arms"].values()]
        arms.add_row(field, str(base), *shown)
    console.print(arms)
    if described["detectable"] is not None:
        told = ", ".join(
            f"{100 * value:.0f} points if two arms disagree in {float(share):.0%} of them"
            for share, value in described["detectable"].items()
        )
        seen = f"shows a difference of arms of {told}" if told else "is too small to show any difference of arms"
        console.print(f"80% power (exact McNemar test at 5%): this {seen}", highlight=False)
    if described["no_forecast"]:
        console.print(f"no forecast: {described['no_forecast']}", highlight=False)
    if forecast := described["forecast"]:
        each = ", ".join(f"{arm} {clock(seconds)}" for arm, seconds in forecast["seconds_per_trial"].items())
        hours, where = clock(forecast["hours"] * 3600), f"{forecast['device']} with {forecast['workers']} workers"
        needs = f"{forecast['disk_gb']:.2f} GB on disk, {forecast['memory_gb']:.1f} GB of memory"
        console.print(f"forecast on {where}: {hours} in all (a trial: {each}), {needs}", highlight=False)
        console.print(f"without {forecast['without']}", style="dim")


def _cell(value: Any, base: Any) -> str:
    return "=" if value == base else "-" if value is None else str(value)
