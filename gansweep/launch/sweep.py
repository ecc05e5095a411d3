"""From a study file to an ended sweep: prepare, check, hand out, record. The same call goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import errno
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

from gansweep import records, tracking
from gansweep.data.opened import OpenData, open_data, prepare_data
from gansweep.launch import inline
from gansweep.launch.candidates import Admit, Candidates
from gansweep.launch.card import design_card, design_of
from gansweep.launch.console import LiveTable
from gansweep.launch.driver import PATIENCE_SECONDS, Driver
from gansweep.launch.lock import only_driver
from gansweep.launch.resources import Requests, check_room, requests
from gansweep.launch.states import States
from gansweep.launch.trial_dir import write_atomically
from gansweep.launch.worker import Workplace, resolve_device
from gansweep.parts import content_id, flatten, is_part
from gansweep.plan import Plan, PlannedTrial
from gansweep.recorder import Recorder
from gansweep.search import Search, VerdictPruner
from gansweep.selection import Selection
from gansweep.study import Study
from gansweep.training import check_fit
from gansweep.trial import TrialConfig

log = logging.getLogger(__name__)
# what a metric's check does not look at: how a trial trains, and what samples are never shown to
UNMEASURED = ("discriminator", "generator_optimizer", "discriminator_optimizer", "initialisation", "constraint", "seed")
# what no check of a trial against its data looks at
UNFITTED = ("generator_optimizer", "discriminator_optimizer", "initialisation", "constraint", "seed")
FULL_DISK_SECONDS = 5.0
Execute = Callable[[Driver, Workplace, Callable[[], None]], None]


@dataclass(frozen=True)
class Settings:
    """Where and how to run; nothing here changes a number on one kind of device.

    `workers` None: one per CPU, or as many as share the GPUs; on a cluster all there is room for. `gpus_per_trial`
    None: half of a GPU where this machine has one. `artifacts` is where a new study's files are kept, such as
    s3://bucket/prefix, for a tracking store that is a database. `storage` is where training states are kept, a folder
    or URL that every node of a cluster reaches; by default the home. `patience` is the time in seconds for which a
    worker may be silent at least. With `keep_states` each trial's last training state stays when it ends.
    """

    home: Path
    tracking_uri: str | None = None
    artifacts: str | None = None
    executor: str = "tune"
    workers: int | None = None
    gpus_per_trial: float | None = None
    address: str | None = None
    storage: str | None = None
    patience: float = PATIENCE_SECONDS
    keep_states: bool = False

    def __post_init__(self) -> None:
        if self.executor == "inline" and self.workers not in (None, 1):
            raise ValueError(f"workers = {self.workers} and inline: inline is one trial at a time, in this process")
        if self.patience <= 0:
            raise ValueError(f"patience = {self.patience:g} seconds must be above 0")

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

    def machine(self) -> dict[str, float]:
        """What there is on this machine for trials, by Ray's names."""
        cpus = max(os.cpu_count() or 1, self.workers or 1)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return {"CPU": cpus, "GPU": torch.cuda.device_count(), "memory": memory}


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


def sweep(selection: Selection, settings: Settings, simulated: Execute | None = None) -> Swept:
    """Carry out a study. Bad input is a `ValueError` before any work; Ctrl-C ends it early, with everything saved.

    `simulated` takes the place of the executor, see `gansweep.testing.simulated`.
    """
    # a classifier's weights, and so its hash, depend on the order of sums; and two threads on busy cores are far slower
    torch.set_num_threads(1)
    # a trial's id has the path of its data in it, and workers may be in another folder
    selection, given = selection.absolute(), selection
    study = selection.study()
    plan = study.plan()
    if settings.address is not None:
        _check_address(settings.address)
    if settings.storage is not None:
        States(settings.storage).check()
    workers, gpus = settings.allotment()
    asked = requests(study, gpus)
    if settings.address is None and settings.executor != "inline" and simulated is None:
        check_room(asked, [settings.machine()], "this machine")
    # the driver prepares classifiers, on a head node perhaps without a GPU; the workers get what was asked for
    device = resolve_device("auto" if any("GPU" in request for request in asked.values()) else "cpu")
    run = given.run_name(study)
    folder = settings.home.resolve() / "studies" / run
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    _check_kind(folder, simulated is not None)
    begun = any((folder / "trials").iterdir())
    _check_records(settings, begun)
    with _room(folder), only_driver(folder), _log_file(folder / "launch.log") as console:
        say = lambda text: console.print(text, style="dim", highlight=False)  # noqa: E731
        if settings.address is not None:
            _check_cluster(settings.address, asked)
        workplace, card, protocols, admit = _prepare(
            plan,
            selection,
            settings.home.resolve(),
            folder,
            str(device),
            "cuda" if gpus else "cpu",
            settings.keep_states,
            say,
        )
        card["launch_id"] = _check_design(folder / "design.json", card)
        # the same run of two homes is two runs in a storage that they share
        states = _states(settings.storage, folder, card["launch_id"])
        workplace = dataclasses.replace(workplace, states=states.url)
        recorder = Recorder(settings.uri, settings.home, card, artifacts=settings.artifacts, resumed=begun)
        try:
            search = _search(study, folder, run, admit)
            if isinstance(search, Candidates):
                plan = search.plan
            driver = Driver(
                plan,
                folder,
                search,
                recorder,
                protocols,
                patience=settings.patience,
                keep_states=settings.keep_states,
                states=states,
            )
        except BaseException:
            recorder.close(finished=False, patience=0.0)
            raise
        if driver.ended_before:
            say(f"going on: {driver.ended_before} of {plan.num_planned} trials had ended")
        # where nothing is left to run, nothing is started for it
        parts = (settings, study, workplace, folder, say, simulated)
        carried = contextlib.nullcontext() if driver.finished else _executor(*parts)
        try:
            table = LiveTable(console, driver, run, workers or 1)
            with carried as execute, _interruptible(driver, say), table:
                if execute:
                    execute(driver, table.show)
        finally:
            driver.close()
            swept = Swept(run, driver.counts(), "")
            # where the disk is full, a store on it takes nothing, however long one waits
            patience = FULL_DISK_SECONDS if driver.unwritable else None
            unrecorded = recorder.close(finished=swept.complete, say=say, patience=patience)
        if driver.broken:
            where = folder / "launch.log"
            raise RuntimeError(f"stopped: {driver.broken} (see {where}; the same command goes on)")
        if settings.keep_states:
            say(f"training states: {states.url}/trials/*/state.pt")
        return dataclasses.replace(swept, unrecorded=unrecorded)


def _prepare(
    plan: Plan,
    selection: Selection,
    home: Path,
    folder: Path,
    device: str,
    worker_device: str,
    keep_states: bool,
    say: Callable[[str], None],
) -> tuple[Workplace, dict[str, Any], dict[str, dict[str, str]], Admit]:
    """Decode every data set and train every judge that the plan needs, unless the caches hold them.

    What is returned last takes a trial that was drawn later: it checks that it fits, and notes its protocols.
    """
    metrics, tried = plan.study.metrics, plan.examples()
    data: dict[str, Path | None] = {}
    judges: dict[str, tuple[Path | None, ...]] = {}
    opened: dict[str, OpenData] = {}
    datasets = {id(trial.config.data): trial.config.data for trial in tried}  # few, for content_id is slow
    for key, dataset in {content_id(dataset): dataset for dataset in datasets.values()}.items():
        data[key] = prepare_data(dataset, home / "data")
        opened[key] = open_data(dataset, data[key], device)
        described = opened[key].describe()
        examples = described.get("images", described.get("examples", "endless"))
        say(f"data: {described['name']}, {examples} training examples of {'x'.join(map(str, described['shape']))}")
    _check_fit(tried, opened)
    for key, one in opened.items():
        judges[key] = tuple(metric.prepare(one, home / "classifiers", device, say) for metric in metrics)
    workplace = Workplace(selection, str(folder), data, judges, worker_device, keep_states)
    protocols, columns, of_trial = _protocols(tried, opened, judges, device)
    card = design_card(plan, selection, folder.name, [one.describe() for one in opened.values()], protocols)

    def admit(trial: PlannedTrial, *, check: bool) -> None:
        if check:
            _check_fit(Plan(study=plan.study, trials=(trial,)), opened)
        of_trial[trial.id] = columns[_scored_as(trial.config)]

    return workplace, card, of_trial, admit


def _search(study: Study, folder: Path, run: str, admit: Admit) -> Search | Candidates:
    """Optuna's side of the run: a trial for each of the plan's, or for each candidate of a tuning study."""
    if study.search.sequential:
        return Candidates(study, folder, run, admit)
    pruner = VerdictPruner(*study.rules, score=study.metrics[0].name)
    return Search(folder / "optuna.journal", run, pruner, study.metrics[0])


def _scored_as(config: TrialConfig) -> tuple[str, str]:
    """What a score's protocol depends on in a trial: its data, and whether averaged weights are judged."""
    return content_id(config.data), "raw" if config.ema_decay is None else "ema"


def _protocols(
    plan: Plan, opened: Mapping[str, OpenData], judges: Mapping[str, tuple[Path | None, ...]], device: str
) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], dict[str, str]], dict[str, dict[str, str]]]:
    """Every protocol by its id, with what each data set's real examples get.

    Then those of every metric, by what they depend on, and by the trial's id.
    """
    protocols: dict[str, dict[str, Any]] = {}
    columns: dict[tuple[str, str], dict[str, str]] = {}
    of_trial: dict[str, dict[str, str]] = {}
    references: dict[tuple[str, str], dict[str, Any]] = {}
    scored_as: dict[tuple[int, float | None], tuple[str, str]] = {}
    for trial in plan:
        same = id(trial.config.data), trial.config.ema_decay
        if same not in scored_as:
            scored_as[same] = _scored_as(trial.config)
        key, weights = scored_as[same]
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
    return protocols, columns, of_trial


def _check_fit(plan: Plan, opened: Mapping[str, OpenData]) -> None:
    """Raise `ValueError` if any trial does not fit its data; nothing is allocated."""
    fitting: dict[str, set[str]] = {key: set() for key in opened}
    measured, fits = set(), set()
    for trial in plan:
        config = trial.config
        # by the identity of its parts, which most trials of a study share: to describe them takes far longer
        same = tuple(id(v) if is_part(v) else v for name, v in vars(config).items() if name not in UNFITTED)
        if same in fits:
            continue
        of_data = content_id(config.data)
        # all of a trial that a metric's check may look at
        told = {name: value for name, value in vars(config).items() if name not in UNMEASURED}
        try:
            check_fit(config, opened[of_data].training, fitting[of_data])
            for portrait in plan.study.portraits:
                portrait.check(config, opened[of_data].training.shape)
            if (key := content_id(told)) not in measured:
                for metric in plan.study.metrics:
                    metric.check(config, opened[of_data])
                measured.add(key)
        except ValueError as error:
            raise ValueError(f"arm {trial.arm!r}, cell {trial.cell}: {error}") from error
        fits.add(same)


@contextlib.contextmanager
def _executor(
    settings: Settings,
    study: Study,
    workplace: Workplace,
    folder: Path,
    say: Callable[[str], None],
    simulated: Execute | None,
) -> Iterator[Callable[[Driver, Callable[[], None]], None]]:
    """The function that carries a driver's plan to its end, with Ray started and stopped around it where it is used."""
    if simulated is not None:
        yield lambda driver, show: simulated(driver, workplace, show)
        return
    if settings.executor == "inline":
        yield lambda driver, show: inline.run(driver, workplace, show)
        return
    from gansweep.launch import tune

    say("starting Ray")
    workers, gpus = settings.allotment()
    asked = requests(study, gpus)
    if settings.address is None:
        tune.start(workers or 1, asked)
    else:
        env = tune.cluster.runtime_env(Path(workplace.selection.file), folder / "shipped")
        tune.connect(settings.address, asked, env)
    try:
        given = tune.cluster.Shipment.of(workplace, settings.home.resolve()) if settings.address else workplace
        yield lambda driver, show: tune.run(driver, given, show, workers=workers, asked=asked, scratch=folder)
    finally:
        tune.stop()


def _check_cluster(address: str, asked: Requests) -> None:
    """Connect for a moment: whether the cluster has room for the study should be known before any work."""
    from gansweep.launch import tune

    tune.connect(address, asked)
    tune.stop()


def _states(storage: str | None, folder: Path, launch_id: str) -> States:
    if storage is None:
        return States(str(folder))
    place = storage.rstrip("/") if "://" in storage else Path(storage).resolve()  # workers may be in another folder
    return States(f"{place}/{folder.name}-{launch_id[:12]}")


def _check_records(settings: Settings, begun: bool) -> None:
    """Find a tracking store that cannot be used before any work.

    A launch that goes on waits for one that is only away, as it does where it goes away later: all that is reported
    waits in the trials' folders, and a sweep that a cluster restarts at night should train.
    """
    try:
        tracking.check_usable(settings.uri)
        tracking.check_artifacts(settings.uri, settings.artifacts)
    except tracking.TrackingUnreachable:
        if not begun:
            raise


def _check_kind(folder: Path, simulated: bool) -> None:
    """Refuse to go on with made-up trials as if they were real, and the other way round."""
    mark = folder / "simulated"
    if simulated and not any((folder / "trials").iterdir()):
        mark.touch()
    if mark.exists() != simulated:
        kind = "simulated: nothing in it was trained" if mark.exists() else "trained, not simulated"
        raise ValueError(f"{folder.name} in this home was {kind}; give another --home")


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
def _room(folder: Path) -> Iterator[None]:
    """A disk that is full before anything could be recorded is told like one that fills up later."""
    try:
        yield
    except Exception as error:
        if not _is_full(error):
            raise
        advice = "Nothing is lost: make room there; the same command goes on"
        raise RuntimeError(f"stopped: no space left in {folder}. {advice}") from error


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is at the bottom of it; SQLite has words of its own for that."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


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
