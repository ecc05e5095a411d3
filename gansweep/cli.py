"""The command line: parses, calls, exits. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from gansweep.selection import Selection

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
DEFAULT_HOME, DEFAULT_PAGES = Path("gansweep-home"), Path("dashboards")


def _selection(
    study: str, preset: str | None, draws: int | None, seed: int | None, data: str | None, arms: str | None
) -> Selection:
    from gansweep.selection import Selection

    chosen = None if arms is None else tuple(arm.strip() for arm in arms.split(","))
    return Selection(file=study, preset=preset, draws=draws, seed=seed, data=data, arms=chosen)


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=True)


def _uri(home: Path, tracking_uri: str | None) -> str:
    from gansweep.records import default_uri

    return tracking_uri or default_uri(home)


def _reports(home: Path) -> Path:
    return home / "reports"


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

    selection = _selection(study, preset, draws, seed, data, arms).sized()
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
    from gansweep.launch.status import print_end
    from gansweep.launch.sweep import Settings, sweep

    selection = _selection(study, preset, draws, seed, data, arms).sized()
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
    swept, console = sweep(selection, settings), _console()
    print_end(swept, console)
    if swept.unrecorded:
        raise typer.Exit(3)
    if not swept.complete:
        raise typer.Exit(130)
    if report:
        from gansweep import formats

        path = formats.page(settings.uri, swept.run, selection.study().report, _reports(home))
        console.print(str(path), highlight=False)


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
    from gansweep.finding import run_of
    from gansweep.launch.status import count, print_counts
    from gansweep.selection import load_study

    loaded, uri = load_study(study), _uri(home, tracking_uri)
    run = run_of(_selection(study, preset, draws, seed, data, arms), loaded, uri)
    counted = count(loaded.name, run, uri, home)
    if as_json:
        print(json.dumps(counted))
    else:
        print_counts(counted, _console())


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
    from gansweep.finding import trial_of

    uri = _uri(home, tracking_uri)
    results, found = trial_of(trial, run, uri)
    told = story.tell(results, found)
    path = telling.write(results, told, uri, _reports(home) / f"why-{found}.html") if page else None
    if as_json:
        print(json.dumps({**story.facts(told), "page": path and str(path)}))
    else:
        telling.show(told, Console(), path)


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
    from gansweep import formats
    from gansweep.finding import run_of
    from gansweep.selection import load_study

    kind, uri = formats.kind_of(format, figures), _uri(home, tracking_uri)
    if compare is not None:
        print(formats.compared(compare, format, uri, _reports(home)))
        return
    loaded = load_study(study)
    run = run_of(_selection(study, preset, draws, seed, data, arms), loaded, uri)
    print(formats.written(kind, uri, run, loaded.report, _reports(home), to))


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
    from gansweep import formats, records
    from gansweep.finding import run_of
    from gansweep.parts import misspelt
    from gansweep.selection import load_study

    if format not in formats.OF_FRAMES:
        raise misspelt("format", format, formats.OF_FRAMES)
    uri = _uri(home, tracking_uri)
    run = run_of(_selection(study, preset, draws, seed, data, arms), load_study(study), uri)
    print(formats.frames(records.read(uri, run), to or home / "exports" / run, format))


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
    from gansweep.finding import answering
    from gansweep.launch import reproduce as reproduction

    files = study or answering(folder)
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
    ] = DEFAULT_PAGES,
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8050,
) -> None:
    """Serve a live page of every run of a tracking store; they follow the sweeps as trials end."""
    from gansweep.dashboard import load_pages, serve
    from gansweep.following import Store

    of_studies = load_pages(pages) if pages.exists() or pages != DEFAULT_PAGES else {}
    store = Store(_uri(home, tracking_uri))
    for row in store.overview():
        print(f"{row['run']}: http://{host}:{port}/{row['run']}")
    print(f"all runs: http://{host}:{port}/", flush=True)
    serve(store, of_studies, host=host, port=port)


@app.command(epilog="Example: gansweep studies")
def studies(
    folder: Annotated[Path, typer.Argument(help="Folder of study files.")] = Path("studies"),
    home: Home = DEFAULT_HOME,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> None:
    """List the study files of a folder with their questions, presets and recorded runs."""
    from gansweep.finding import studies_in

    recorded = tracking_uri is not None or (home / "mlflow.db").exists()
    rows = studies_in(folder, _uri(home, tracking_uri) if recorded else None)
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
