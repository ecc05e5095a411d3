"""From a study file to an ended sweep: prepare, check, hand out, record. The same call goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from gansweep import records
from gansweep.data.opened import OpenData, open_data, prepare_data
from gansweep.launch import inline
from gansweep.launch.card import design_card, design_of
from gansweep.launch.console import LiveTable
from gansweep.launch.driver import Driver
from gansweep.launch.lock import only_driver
from gansweep.launch.trial_dir import write_atomically
from gansweep.launch.worker import Workplace, resolve_device
from gansweep.parts import content_id, describe, flatten
from gansweep.recorder import Recorder
from gansweep.search import Search, VerdictPruner
from gansweep.study import Plan, Selection
from gansweep.training import check_fit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Where and how to run; nothing here changes a number on one kind of device.

    `workers` None: one per CPU, or as many as share the GPUs; on a cluster all there is room for. `gpus_per_trial`
    None: half of a GPU where this machine has one.
    """

    home: Path
    tracking_uri: str | None = None
    executor: str = "tune"
    workers: int | None = None
    gpus_per_trial: float | None = None
    address: str | None = None

    @property
    def uri(self) -> str:
        """The tracking store."""
        return self.tracking_uri or records.default_uri(self.home)

    def allotment(self) -> tuple[int | None, float]:
        """Trials at a time (None: what a cluster holds) and GPUs for each."""
        here = torch.cuda.device_count() if self.address is None else 0
        gpus = self.gpus_per_trial if self.gpus_per_trial is not None else 0.5 if here else 0.0
        if self.address is None and gpus > here:
            raise ValueError(f"gpus_per_trial = {gpus:g} is more than the {here} GPUs of this machine")
        if self.workers is not None or self.address is not None:
            return self.workers, gpus
        return int(here / gpus) if gpus and here else os.cpu_count() or 1, gpus


@dataclass(frozen=True)
class Swept:
    """What a launch leaves: the run's name, its counts, and what the tracking server refused, if anything."""

    run: str
    counts: dict[str, int]
    unrecorded: str

    @property
    def complete(self) -> bool:
        """Whether every trial has ended."""
        return self.counts["done"] + self.counts["failed"] == self.counts["planned"]


def sweep(selection: Selection, settings: Settings) -> Swept:
    """Carry out a study. Bad input is a `ValueError` before any work; Ctrl-C ends it early, with everything saved."""
    # a classifier's weights, and so its hash, depend on the order of sums; and two threads on busy cores are far slower
    torch.set_num_threads(1)
    # a trial's id has the path of its data in it, and workers may be in another folder
    selection, given = selection.absolute(), selection
    study = selection.study()
    plan = study.plan()
    if settings.tracking_uri is not None:
        records.check_reachable(settings.tracking_uri)
    if settings.address is not None:
        _check_address(settings.address)
    workers, gpus = settings.allotment()
    # the driver prepares classifiers, on a head node perhaps without a GPU; the workers get what was asked for
    device = resolve_device("auto" if gpus else "cpu")
    run = given.run_name(study)
    folder = settings.home.resolve() / "studies" / run
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    with only_driver(folder), _log_file(folder / "launch.log") as console:
        say = lambda text: console.print(text, style="dim", highlight=False)  # noqa: E731
        workplace, card, protocols = _prepare(
            plan, selection, settings.home.resolve(), folder, str(device), "cuda" if gpus else "cpu", say
        )
        card["launch_id"] = _check_design(folder / "design.json", card)
        with _executor(settings, workplace, folder, say) as execute:
            recorder = Recorder(settings.uri, settings.home, card)
            pruner = VerdictPruner(*study.rules, score=study.metrics[0].name)
            search = Search(folder / "optuna.journal", run, pruner, study.metrics[0])
            driver = Driver(plan, folder, search, recorder, protocols)
            if driver.ended_before:
                say(f"going on: {driver.ended_before} of {len(plan)} trials had ended")
            try:
                with _interruptible(driver, say), LiveTable(console, driver, run, workers or 1) as table:
                    execute(driver, table.show)
            finally:
                driver.close()
                swept = Swept(run, driver.counts(), "")
                unrecorded = recorder.close(finished=swept.complete)
        if driver.broken:
            where = folder / "launch.log"
            raise RuntimeError(f"stopped: {driver.broken} (see {where}; the same command goes on)")
        return dataclasses.replace(swept, unrecorded=unrecorded)


def _prepare(
    plan: Plan,
    selection: Selection,
    home: Path,
    folder: Path,
    device: str,
    worker_device: str,
    say: Callable[[str], None],
) -> tuple[Workplace, dict[str, Any], dict[str, dict[str, str]]]:
    """Decode every data set and train every judge that the plan needs, unless the caches hold them."""
    metrics = plan.study.metrics
    data: dict[str, Path | None] = {}
    judges: dict[str, tuple[Path | None, ...]] = {}
    opened: dict[str, OpenData] = {}
    for dataset in {content_id(trial.config.data): trial.config.data for trial in plan}.values():
        key = content_id(dataset)
        data[key] = prepare_data(dataset, home / "data")
        opened[key] = open_data(dataset, data[key], device)
        described = opened[key].describe()
        examples = described.get("images", described.get("examples", "endless"))
        say(f"data: {described['name']}, {examples} training examples of {'x'.join(map(str, described['shape']))}")
    _check_fit(plan, opened)
    for key, one in opened.items():
        judges[key] = tuple(metric.prepare(one, home / "classifiers", device, say) for metric in metrics)
    workplace = Workplace(selection, folder, data, judges, worker_device)
    protocols, of_trial = _protocols(plan, opened, judges, device)
    card = design_card(plan, selection, folder.name, [one.describe() for one in opened.values()], protocols)
    return workplace, card, of_trial


def _protocols(
    plan: Plan, opened: Mapping[str, OpenData], judges: Mapping[str, tuple[Path | None, ...]], device: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, str]]]:
    """Every protocol by its id, with what each data set's real examples get; and those of each trial, by its id."""
    protocols: dict[str, dict[str, Any]] = {}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    of_trial: dict[str, dict[str, str]] = {}
    references: dict[tuple[str, str], dict[str, Any]] = {}
    for trial in plan:
        key, weights = content_id(trial.config.data), "raw" if trial.config.ema_decay is None else "ema"
        if (key, weights) not in columns:
            found = {}
            for metric, path in zip(plan.study.metrics, judges[key], strict=True):
                if (key, metric.name) not in references:
                    judge = metric.load(opened[key], path, device)
                    references[key, metric.name] = metric.reference(judge, opened[key])
                reference = references[key, metric.name]
                protocol = metric.protocol(reference["hash"], weights=weights)
                if "against" in reference:  # scores against other real examples are other scores
                    protocol["against"] = reference["against"]
                known = protocols.setdefault(content_id(protocol), {"protocol": protocol, "references": {}})
                known["references"][opened[key].name] = reference
                found[f"{metric.name}_protocol"] = content_id(protocol)
            columns[key, weights] = found
        of_trial[trial.id] = columns[key, weights]
    return protocols, of_trial


def _check_fit(plan: Plan, opened: Mapping[str, OpenData]) -> None:
    """Raise `ValueError` if any trial does not fit its data; nothing is allocated."""
    checked = set()
    for trial in plan:
        config, data = trial.config, opened[content_id(trial.config.data)]
        key = content_id({**describe(config), "seed": 0})
        if key not in checked:
            checked.add(key)
            try:
                check_fit(config, data.training)
                for metric in plan.study.metrics:
                    metric.check(config, data)
            except ValueError as error:
                raise ValueError(f"arm {trial.arm!r}, cell {trial.cell}: {error}") from error


@contextlib.contextmanager
def _executor(
    settings: Settings, workplace: Workplace, folder: Path, say: Callable[[str], None]
) -> Iterator[Callable[[Driver, Callable[[], None]], None]]:
    """The function that carries a driver's plan to its end, with Ray started and stopped around it where it is used."""
    if settings.executor == "inline":
        yield lambda driver, show: inline.run(driver, workplace, show)
        return
    from gansweep.launch import tune

    say("starting Ray")
    workers, gpus = settings.allotment()
    tune.start(settings.address, workers or 1, gpus)
    try:
        yield lambda driver, show: tune.run(driver, workplace, show, workers=workers, gpus=gpus, scratch=folder)
    finally:
        tune.stop()


def _check_design(file: Path, card: dict[str, Any]) -> str:
    """Refuse to mix two designs under one name: name what differs and how to go on. Returns the run's own id."""
    # as it will be read back, so that what is equal looks equal
    now: dict[str, Any] = json.loads(
        json.dumps({**design_of(card), "design_hash": card["design_hash"]}, sort_keys=True)
    )
    if not file.exists():
        now["launch_id"] = uuid.uuid4().hex
        write_atomically(file, json.dumps(now, indent=1, sort_keys=True).encode())
        return str(now["launch_id"])
    before = json.loads(file.read_bytes())
    if before["design_hash"] == now["design_hash"]:
        return str(before["launch_id"])
    old, new = (
        [f"{k} = {v}" for k, v in sorted(flatten(d).items()) if k not in ("design_hash", "launch_id")]
        for d in (before, now)
    )
    changed = [
        line
        for line in difflib.unified_diff(old, new, lineterm="", n=0)
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    what = "\n  ".join(changed[:20]) or "the code that makes the numbers (losses, models, training, data or metrics)"
    raise ValueError(
        f"the design of {card['run']} has changed since it was started:\n  {what}\n"
        "restore it to go on, or start anew with another --home"
    )


def _check_address(address: str) -> None:
    """Raise `ValueError` in seconds if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    if address.startswith("ray://"):
        raise ValueError(f"address {address!r} is for Ray Client; give HOST:6379, or auto on a node of the cluster")
    host, _, port = address.rpartition(":")
    if address in ("auto", "local"):
        return
    if not host or not port.isdigit():
        raise ValueError(f"address {address!r} must be HOST:PORT, or auto on a node of the cluster")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ValueError(f"no Ray cluster answers at {address!r}: {error}") from error


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[Console]:
    """Send logging, warnings and whatever Ray's processes print to the log file; yield a console that is not sent."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(path, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        with os.fdopen(os.dup(kept[0]), "w") as screen:
            yield Console(file=screen, soft_wrap=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in zip((1, 2), kept, strict=True):
            os.dup2(saved, number)
            os.close(saved)
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _interruptible(driver: Driver, say: Callable[[str], None]) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) stops at the next reports, the second at once."""

    def stop(number: int, frame: Any) -> None:
        if driver.stopping:
            raise KeyboardInterrupt
        driver.stop()
        say("stopping: every running trial saves its state at its next report; Ctrl-C again stops at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
