"""The command line: parses, calls, exits. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from gansweep.records import Results
    from gansweep.study import Selection, Study

app = typer.Typer(
    name="gansweep",
    help="A laboratory for GAN stability: declared studies, paired sweeps, honest statistics.",
    epilog="Start with: gansweep launch studies/arch_robustness.py --preset smoke",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyFile = Annotated[
    str, typer.Argument(help="Path of a study file, such as studies/arch_robustness.py.", metavar="STUDY")
]
Home = Annotated[
    Path,
    typer.Option(
        help="Folder for everything that is written: records, data cache, logs, reports.",
        envvar="GANSWEEP_HOME",
    ),
]
Preset = Annotated[
    str | None, typer.Option(help="Size of the study, such as smoke, laptop (the default of plan and launch) or paper.")
]
Draws = Annotated[int | None, typer.Option(min=1, help="Number of cells, instead of the preset's.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the study, instead of its own.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="Data set instead of the preset's: digits, mnist, fashion_mnist, cifar10[:FOLDER], parquet:PATH, "
        "image_folder:PATH, imagenet32:PATH, text:PATH."
    ),
]
Arms = Annotated[
    str | None,
    typer.Option(help="Arms to compare, such as gan,wgan_gp,lsgan, instead of those that the study runs by default."),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        help="MLflow tracking store instead of HOME/mlflow.db: sqlite:///, postgresql://, http:// or https://."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_HOME = Path("gansweep-home")


def _selection(
    study: str, preset: str | None, draws: int | None, seed: int | None, data: str | None, arms: str | None
) -> Selection:
    from gansweep.study import Selection

    chosen = None if arms is None else tuple(arm.strip() for arm in arms.split(","))
    return Selection(file=study, preset=preset, draws=draws, seed=seed, data=data, arms=chosen)


def _sized(selection: Selection) -> Selection:
    """With the default preset, where none was named: laptop, or else the study's first."""
    import dataclasses

    from gansweep.study import load_study

    if selection.preset is not None:
        return selection
    presets = load_study(selection.file).presets
    return dataclasses.replace(selection, preset="laptop" if "laptop" in presets else next(iter(presets), None))


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=True)


def _uri(home: Path, tracking_uri: str | None) -> str:
    from gansweep.records import default_uri

    return tracking_uri or default_uri(home)


@app.command(epilog="Example: gansweep plan studies/arch_robustness.py --preset laptop")
def plan(
    study: StudyFile,
    preset: Preset = None,
    draws: Draws = None,
    seed: Seed = None,
    data: Data = None,
    arms: Arms = None,
    home: Home = DEFAULT_HOME,
    probe: Annotated[bool, typer.Option(help="Measure a few iterations to forecast time, disk and memory.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show what a launch would run: cells, arms and their differences, counts, and a forecast."""
    from gansweep.launch.forecast import describe_plan, print_plan

    selection = _sized(_selection(study, preset, draws, seed, data, arms))
    described = describe_plan(selection, home, probe=probe)
    if as_json:
        print(json.dumps(described))
    else:
        print_plan(described, _console())


@app.command(
    epilog="Examples: gansweep launch studies/arch_robustness.py  |  "
    "gansweep launch studies/arch_robustness.py --preset smoke --workers 2  |  "
    "gansweep launch studies/arch_robustness.py --preset paper --address auto --gpus-per-trial 0.25"
)
def launch(
    study: StudyFile,
    preset: Preset = None,
    draws: Draws = None,
    seed: Seed = None,
    data: Data = None,
    arms: Arms = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at a time; default one per CPU.")] = None,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs for each trial, such as 0.25; default half of one where there is one."),
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to use, such as auto or HOST:6379.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Where training states are kept, such as s3://BUCKET/PREFIX: a place that every node of a cluster "
            "reaches; needed where the home is not one.",
        ),
    ] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Without Ray, one trial after another in this process.")
    ] = False,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    artifacts: Annotated[
        str | None,
        typer.Option(
            help="Where a new study's files are kept, such as s3://BUCKET/PREFIX; needed for postgresql://.",
        ),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Seconds for which a worker may be silent at least; one that is silent for longer, and for five times "
            "its slowest report, has hung.",
        ),
    ] = 30.0,
    keep_states: Annotated[
        bool, typer.Option("--keep-states", help="Keep each trial's last training state when it ends.")
    ] = False,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
) -> None:
    """Run a study. The same command again goes on where it stopped and trains nothing twice."""
    from gansweep.launch.sweep import Settings, sweep

    selection = _sized(_selection(study, preset, draws, seed, data, arms))
    settings = Settings(
        home=home,
        tracking_uri=tracking_uri,
        artifacts=artifacts,
        executor="inline" if inline else "tune",
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        storage=storage,
        patience=patience,
        keep_states=keep_states,
    )
    swept = sweep(selection, settings)
    counts, console = swept.counts, _console()
    console.print(
        f"planned {counts['planned']} = done {counts['done']} + failed {counts['failed']}"
        f" + cancelled {counts['cancelled']} + running {counts['running']} + not started {counts['not_started']}",
        highlight=False,
    )
    if swept.unrecorded:
        console.print(
            f"not everything could be recorded ({swept.unrecorded}); nothing is lost: "
            "the same command records the rest",
            style="red",
        )
        raise typer.Exit(3)
    if not swept.complete:
        console.print("stopped before the end; the same command goes on")
        raise typer.Exit(130)
    if report:
        console.print(str(_write_report(selection.study(), swept.run, settings.uri, home)), highlight=False)


def _write_report(study: Study, run: str, uri: str, home: Path) -> Path:
    from gansweep import recorder, records
    from gansweep.report import write

    results = records.read(uri, run)
    path = write(results, study.report, home / "reports" / f"{run}.html", records.run_page(uri, results.trials))
    recorder.attach(uri, run, path)
    return path


def _run(study: Study, selection: Selection, uri: str) -> str:
    """The run that a reading command means: the selected one, else the last launched of this study."""
    from gansweep import records

    if any(getattr(selection, name) is not None for name in ("preset", "draws", "seed", "data", "arms")):
        return _sized(selection).run_name(study)
    found = records.runs(uri, study.name)
    if not found:
        raise ValueError(
            f"study {study.name!r} has no recorded run yet; start it with: gansweep launch {selection.file}"
        )
    return found[0]


@app.command(epilog="Example: gansweep status studies/arch_robustness.py --json")
def status(
    study: StudyFile,
    preset: Preset = None,
    draws: Draws = None,
    seed: Seed = None,
    data: Data = None,
    arms: Arms = None,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """Show the counts of a run and the verdicts of each arm. Default: the last launched run."""
    from gansweep import records
    from gansweep.analysis import tally
    from gansweep.launch.lock import is_driven
    from gansweep.study import load_study

    loaded = load_study(study)
    uri = _uri(home, tracking_uri)
    run = _run(loaded, _selection(study, preset, draws, seed, data, arms), uri)
    counted = {"study": loaded.name, "run": run, **tally(records.read(uri, run).trials)}
    counted["driven"] = is_driven(home.resolve() / "studies" / run)
    if as_json:
        print(json.dumps(counted))
    else:
        _print_counts(counted)


def _print_counts(counted: dict[str, Any]) -> None:
    from rich.table import Table

    console = _console()
    keys = ("planned", "done", "failed", "cancelled", "running", "not_started")
    console.print(counted["run"], style="bold")
    if not counted["driven"] and counted["done"] + counted["failed"] < counted["planned"]:
        console.print("no launch is running it now: the same launch command goes on")
    console.print("  ".join(f"{key.replace('_', ' ')} {counted[key]}" for key in keys), highlight=False)
    table = Table(box=None, header_style="dim")
    for name in ("arm", "verdicts"):
        table.add_column(name)
    for arm, of_arm in counted["arms"].items():
        table.add_row(arm, "  ".join(f"{name} {n}" for name, n in of_arm["verdicts"].items()) or "-")
    console.print(table)


@app.command(epilog="Examples: gansweep why c003/gan  |  gansweep why 5f3a --run arch_robustness-laptop --json")
def why(
    trial: Annotated[
        str,
        typer.Argument(
            help="Id of a trial, 4 or more digits it begins with, or CELL/ARM such as c003/gan.", metavar="TRIAL"
        ),
    ],
    run: Annotated[
        str | None, typer.Option(help="Name of the run; default the last launched, for an id every run of the store.")
    ] = None,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
    page: Annotated[bool, typer.Option(help="Write the page HOME/reports/why-TRIAL.html.")] = True,
) -> None:
    """Tell what became of a trial, and why. Beside it stands the nearest healthy trial of its run."""
    from rich.console import Console

    from gansweep import story, telling

    uri = _uri(home, tracking_uri)
    results, found = _find_trial(uri, trial, run)
    told = story.tell(results, found)
    path = telling.write(results, told, uri, home / "reports" / f"why-{found}.html") if page else None
    if as_json:
        print(json.dumps({**story.facts(told), "page": path and str(path)}))
    else:
        telling.show(told, Console(), path)


def _find_trial(uri: str, name: str, run: str | None) -> tuple[Results, str]:
    """The run that holds the trial, and its id; an id is looked for in every run, the last launched first."""
    import pandas as pd

    from gansweep import records, story

    recorded = list(records.parent_runs(uri))
    if not recorded:
        raise ValueError("no run is recorded yet; start one with: gansweep launch STUDY")
    seen, unread = [], []
    for one in [run] if run else recorded[:1] if "/" in name else recorded:
        try:
            results = records.read(uri, one)
        except ValueError:
            if run:
                raise
            unread.append(one)  # of an older gansweep, or without its plan: another run may hold the trial
            continue
        if (found := story.match(results.trials, name)) is not None:
            return results, found
        seen.append(results.trials)
    not_asked = f" (not read, of an older gansweep: {', '.join(unread)})" if unread else ""
    if not seen:
        raise ValueError(f"no recorded run can be read{not_asked}; start one with: gansweep launch STUDY")
    raise ValueError(f"{story.unknown(name, pd.concat(seen))}{not_asked}")


@app.command(
    epilog="Examples: gansweep report studies/arch_robustness.py --preset laptop  |  "
    "gansweep report studies/arch_robustness.py --format latex  |  "
    "gansweep report studies/arch_robustness.py --figures svg  |  "
    "gansweep report studies/arch_robustness.py --compare arch_robustness-laptop arch_robustness-laptop-seed1"
)
def report(
    study: StudyFile,
    preset: Preset = None,
    draws: Draws = None,
    seed: Seed = None,
    data: Data = None,
    arms: Arms = None,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    format: Annotated[
        str,
        typer.Option(help="html, the page; markdown or latex, printed; csv, a file of numbers for each table."),
    ] = "html",
    figures: Annotated[
        str | None, typer.Option(help="Write every figure as a file instead: png or svg; needs Chromium.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the files of csv and of figures; default HOME/reports/RUN.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Set two recorded runs of the study side by side, by their names.", metavar="RUN RUN"),
    ] = None,
) -> None:
    """Write the report of a run, whether or not it has ended. Default: the last launched run."""
    from gansweep import manuscript, records
    from gansweep.parts import misspelt
    from gansweep.report import markdown as as_markdown

    if format not in manuscript.FORMATS:
        raise misspelt("format", format, manuscript.FORMATS)
    if figures is not None and figures not in manuscript.KINDS:
        raise misspelt("kind of figure", figures, manuscript.KINDS)
    if compare is not None:
        print(_comparison(compare, format, _uri(home, tracking_uri), home))
        return
    selection = _selection(study, preset, draws, seed, data, arms)
    uri = _uri(home, tracking_uri)
    loaded = selection.study() if preset else _selection(study, None, None, None, None, None).study()
    run = _run(loaded, selection, uri)
    folder = to or home / "reports" / run
    if figures is not None:
        paths = manuscript.figures(records.read(uri, run), loaded.report, folder, figures)
        print("\n".join(map(str, paths)) or "no section of this study has a figure yet")
    elif format == "html":
        print(_write_report(loaded, run, uri, home))
    elif format == "csv":
        print("\n".join(map(str, manuscript.csv(records.read(uri, run), loaded.report, folder))))
    else:
        told = as_markdown if format == "markdown" else manuscript.latex
        print(told(records.read(uri, run), loaded.report))


def _comparison(runs: tuple[str, str], format: str, uri: str, home: Path) -> str:
    """The Markdown of two runs side by side, or the path of the page."""
    from gansweep import comparison, records
    from gansweep.report import write_whole

    if format not in ("html", "markdown"):
        raise ValueError(f"--compare writes html or markdown, not {format}")
    a, b = (records.read(uri, run) for run in runs)
    if format == "markdown":
        return comparison.markdown(a, b)
    return str(write_whole(home / "reports" / f"{runs[0]}-and-{runs[1]}.html", comparison.page(a, b)))


@app.command(epilog="Example: gansweep export studies/arch_robustness.py --format parquet --to results")
def export(
    study: StudyFile,
    preset: Preset = None,
    draws: Draws = None,
    seed: Seed = None,
    data: Data = None,
    arms: Arms = None,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the files; default HOME/exports/RUN.")] = None,
    format: Annotated[str, typer.Option(help="csv or parquet.")] = "csv",
) -> None:
    """Write the two frames of a run, trials and steps, and its design card."""
    from gansweep import records
    from gansweep.parts import misspelt
    from gansweep.study import load_study

    if format not in ("csv", "parquet"):
        raise misspelt("format", format, ("csv", "parquet"))
    uri = _uri(home, tracking_uri)
    run = _run(load_study(study), _selection(study, preset, draws, seed, data, arms), uri)
    results = records.read(uri, run)
    folder = to or home / "exports" / run
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(results.plan, indent=1))
    for name in ("trials", "steps"):
        frame, path = getattr(results, name), folder / f"{name}.{format}"
        frame.to_csv(path, index=False) if format == "csv" else frame.to_parquet(path, index=False)
        print(path)


@app.command(
    epilog="Examples: gansweep reproduce  |  gansweep reproduce --list  |  "
    "gansweep reproduce studies/penalty.py studies/clipping.py --preset smoke"
)
def reproduce(
    study: Annotated[
        list[str] | None,
        typer.Argument(
            help="Paths of study files; default those of --folder that answer a published claim.", metavar="[STUDY ...]"
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Size of every study.")] = "laptop",
    folder: Annotated[Path, typer.Option(help="Folder of study files.")] = Path("studies"),
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at a time; default one per CPU.")] = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Without Ray, one trial after another in the launch's process.")
    ] = False,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    only_list: Annotated[bool, typer.Option("--list", help="List the studies and their claims, and run none.")] = False,
) -> None:
    """Run studies one after another and write one page: each claim, the paper's number, ours, and the judgement.

    The same command again goes on where it stopped. A study that fails does not stop the others; then the exit code
    is 1.
    """
    from gansweep import published
    from gansweep.launch import reproduce as reproduction

    answering = [str(folder / f"{name}.py") for name in published.IDS_OF_STUDY if (folder / f"{name}.py").is_file()]
    files = study or answering
    if not files:
        raise ValueError(f"no study in {str(folder)!r} answers a published claim: {', '.join(published.IDS_OF_STUDY)}")
    selections = {file: _selection(file, preset, None, None, None, None) for file in files}
    if only_list:
        for file, selection in selections.items():
            one = selection.study()
            claims = [claim for name in published.IDS_OF_STUDY.get(one.name, ()) for claim in published.claims(name)]
            print("\n  ".join([file, one.question, *(f"claim: {claim}" for claim in claims)]))
        return
    uri = _uri(home, tracking_uri)
    order = reproduction.Order(home=home, uri=uri, tracking_uri=tracking_uri, workers=workers, inline=inline)
    index, code = reproduction.reproduce(selections, order)
    print(index)
    if code:
        raise typer.Exit(code)


@app.command(epilog="Examples: gansweep dashboard  |  gansweep dashboard dashboards/arch_robustness.py --port 8051")
def dashboard(
    pages: Annotated[
        Path,
        typer.Argument(
            help="Folder of dashboard files, a page for each study, or one such file. Studies without one get a "
            "general page."
        ),
    ] = Path("dashboards"),
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8050,
) -> None:
    """Serve a live page of every run of a tracking store; they follow the sweeps as trials end."""
    from gansweep.dashboard import serve
    from gansweep.following import Store
    from gansweep.parts import misspelt

    if not pages.exists() and pages != Path("dashboards"):
        known = sorted(map(str, pages.parent.glob("*.py"))) or ["(no *.py file there)"]
        raise misspelt("dashboard file", str(pages), known)
    files = sorted(pages.glob("*.py")) if pages.is_dir() else [pages] if pages.exists() else []
    store = Store(_uri(home, tracking_uri))
    for row in store.overview():
        print(f"{row['run']}: http://{host}:{port}/{row['run']}")
    print(f"all runs: http://{host}:{port}/", flush=True)
    serve(store, {file.stem: _module(file) for file in files}, host=host, port=port)


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"gansweep_dashboard_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@app.command(epilog="Example: gansweep studies")
def studies(
    folder: Annotated[Path, typer.Argument(help="Folder of study files.")] = Path("studies"),
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """List the study files of a folder with their questions, presets and recorded runs."""
    from gansweep import records
    from gansweep.study import load_study

    uri = _uri(home, tracking_uri)
    recorded = not (tracking_uri is None and not (home / "mlflow.db").exists())
    rows = []
    for file in sorted(folder.glob("*.py")):
        study = load_study(file)
        runs = records.runs(uri, study.name) if recorded else []
        rows.append({"file": str(file), "question": study.question, "presets": list(study.presets), "runs": runs})
    if not rows:
        raise ValueError(f"no study file in {str(folder)!r}")
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['file']}\n  {row['question']}\n  presets: {', '.join(row['presets'])}")
        print(f"  runs: {', '.join(row['runs']) or 'none yet'}")


@app.command(epilog="Example: gansweep doctor")
def doctor(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Check this machine: packages, devices, disk, and whether the home can be written."""
    from gansweep.launch.doctor import examine, print_findings

    findings = examine(home)
    if as_json:
        print(json.dumps(findings))
    else:
        print_findings(findings, _console())
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """The console script: a bad input is one line on standard error and exit code 2."""
    try:
        app()
    except ValueError as error:
        print(f"gansweep: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"gansweep: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        sys.exit(2)
    except RuntimeError as error:
        if not str(error).startswith("stopped:"):
            raise
        print(f"gansweep: {error}", file=sys.stderr)
        sys.exit(1)
