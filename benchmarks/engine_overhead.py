"""What the engine adds to trials of one second, with full recording, beside the stock recipe.

python benchmarks/engine_overhead.py [--trials 1000] [--stock 40] [--wild 20]

The stock recipe is Ray Tune's function trainable with OptunaSearch and MLflowLoggerCallback on SQLite; it runs the same
trainings with the same evaluations and reports. Ideal is the pure training and evaluation of all trials, over two
workers. Needs a machine that is otherwise quiet: 1,000 trials take nine minutes, 40 stock ones two.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gansweep import records

STUDY = Path(__file__).with_name("engine_study.py")
WORKERS = 2


def launch(home: Path, preset: str, draws: int) -> tuple[records.Results, float]:
    """A launch of the study in a process of its own: its records, and seconds from its start to its end."""
    command = [Path(sys.executable).with_name("gansweep"), "launch", STUDY, "--preset", preset, "--draws", str(draws)]
    began = time.monotonic()
    subprocess.run([*command, "--workers", str(WORKERS), "--home", home, "--no-report"], check=True, stdout=sys.stderr)
    seconds = time.monotonic() - began
    uri = records.default_uri(home)
    return records.read(uri, records.runs(uri, "engine")[0]), seconds


def ours(home: Path, num_trials: int) -> float:
    """Print what ours costs; returns the pure seconds of a trial."""
    results, seconds = launch(home, "second", num_trials // 2)
    trials = results.trials
    assert (trials["status"] == "done").all()
    assert len(results.steps) >= 5 * len(trials) - 4 * (trials["decision"] == "pruned").sum()
    pure = (trials["train_seconds"] + trials["evaluate_seconds"]).sum()
    wall = (trials["ended_at"].max() - trials["started_at"].min()).total_seconds()
    print(
        f"gansweep, {WORKERS} workers: {len(trials)} trials of {pure / len(trials):.2f} s, {len(results.steps)} reports"
    )
    print(f"  first start to last end {wall:.0f} s; / ideal = {wall / (pure / WORKERS):.3f} (wanted: at most 1.10)")
    print(
        f"  the whole command {seconds:.0f} s, with imports, Ray and the last records; / ideal = "
        f"{seconds / (pure / WORKERS):.3f}"
    )
    return float(pure / len(trials))


def wild(home: Path, num_trials: int) -> None:
    """Print what trials cost that diverge."""
    results, _ = launch(home, "wild", num_trials // 2)
    trials = results.trials
    diverged = trials[trials["verdict"] == "diverged"]
    late = diverged["step"] - diverged["verdict_step"]
    print(
        f"diverging: {len(diverged)} of {len(trials)} trials; they went on for {late.max():.0f} iterations at most "
        f"after the first value that was not finite (a report interval has 10), {diverged['train_seconds'].max():.2f}"
        " s at most in all"
    )


def stock(num_trials: int, pure_seconds: float) -> None:
    """Print what the stock recipe costs, in this process."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tuner = tune.Tuner(
            tune.with_resources(train_one, {"cpu": 1}),
            param_space={"lr": tune.loguniform(1e-4, 1e-2), "constraint": tune.choice(["none", "r1"])},
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(metric="modes_captured", mode="max"),
                num_samples=num_trials,
                max_concurrent_trials=WORKERS,
            ),
            run_config=tune.RunConfig(
                storage_path=f"{folder}/ray",
                verbose=0,
                callbacks=[
                    MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="engine")
                ],
            ),
        )
        results = tuner.fit()
        seconds = time.monotonic() - began
        assert not results.errors, results.errors[0]
    ray.shutdown()
    ideal = num_trials * pure_seconds / WORKERS
    print(f"stock recipe: {num_trials} of these trials on {WORKERS} workers")
    print(f"  fit() {seconds:.0f} s; / ideal = {seconds / ideal:.3f}")


def train_one(config: dict) -> None:
    """One training of the study, as a function for Tune."""
    import torch
    from ray import tune

    from gansweep.data.opened import open_data
    from gansweep.metrics.subject import Subject
    from gansweep.selection import load_study
    from gansweep.training import TrainState, evaluator, sample, train

    torch.set_num_threads(1)
    cpu, study = torch.device("cpu"), load_study(STUDY)
    trial = study.resolve({"discriminator_optimizer.lr": config["lr"]}, config["constraint"], seed=0)
    data = open_data(trial.data, None, cpu)
    state = TrainState.build(trial, shape=data.training.shape, device=cpu)
    metric = study.metrics[0]
    judge = metric.load(data, None, cpu)
    for step in train(trial, state, data.training, cpu):
        drawn = sample(trial, state, metric.num_samples, cpu)
        scores = metric.measure(Subject(drawn.x, drawn.labels, evaluator(trial, state), data), judge)
        tune.report({"step": step.step, "images_seen": step.images_seen, **step.scalars, **scores})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="of ours; default 1000")
    parser.add_argument("--stock", type=int, default=40, help="of the stock recipe, 0 for none; default 40")
    parser.add_argument("--wild", type=int, default=20, help="that diverge, 0 for none; default 20")
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", RAY_worker_niceness="0", RAY_USAGE_STATS_ENABLED="0")
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", RAY_AIR_NEW_OUTPUT="0")
    with tempfile.TemporaryDirectory() as folder:
        pure = ours(Path(folder) / "second", arguments.trials)
        if arguments.wild:
            wild(Path(folder) / "wild", arguments.wild)
    if arguments.stock:
        stock(arguments.stock, pure)


if __name__ == "__main__":
    main()
