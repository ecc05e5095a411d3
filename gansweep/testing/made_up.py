"""Made-up results with known answers, for tests, benchmarks and a look at the report before anything has run.

Nothing here was measured. Every made-up study says so in its plan, and so does every report made from it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gansweep.published import WGAN_GP_TABLE_5
from gansweep.records import Arrays, no_portraits

Floats = NDArray[np.float64]

FACTORS: dict[str, dict[str, Any]] = {
    "generator.depth": {"label": "Depth (G)", "values": [4, 8, 12, 20]},
    "discriminator.depth": {"label": "Depth (D)", "values": [4, 8, 12, 20]},
    "generator.width": {"label": "Base filters (G)", "values": [32, 64, 128]},
    "discriminator.width": {"label": "Base filters (D)", "values": [32, 64, 128]},
    "generator.activation": {
        "label": "Nonlinearity (G)",
        "values": ["relu", "leaky_relu", "softplus", "tanh"],
    },
    "discriminator.activation": {
        "label": "Nonlinearity (D)",
        "values": ["relu", "leaky_relu", "softplus", "tanh"],
    },
    "generator.normalized": {"label": "Normalisation (G)", "values": [True, False]},
    "discriminator.normalized": {"label": "Normalisation (D)", "values": [True, False]},
}
ARMS: dict[str, dict[str, Any]] = {
    "gan": {
        "label": "Standard GAN",
        "changes": {
            "loss": "NonSaturating",
            "constraint": None,
            "n_critic": 1,
            "generator_optimizer.lr": 2e-4,
            "generator_optimizer.beta1": 0.5,
            "generator_optimizer.beta2": 0.999,
            "discriminator.norm": "batch",
        },
    },
    "wgan_gp": {
        "label": "WGAN-GP",
        "changes": {
            "loss": "Wasserstein",
            "constraint": "GradientPenalty",
            "constraint.weight": 10.0,
            "n_critic": 5,
            "generator_optimizer.lr": 1e-4,
            "generator_optimizer.beta1": 0.0,
            "generator_optimizer.beta2": 0.9,
            "discriminator.norm": "layer",
        },
    },
    "lsgan": {
        "label": "LSGAN",
        "changes": {
            "loss": "LeastSquares",
            "constraint": None,
            "n_critic": 1,
            "generator_optimizer.lr": 1e-4,
            "generator_optimizer.beta1": 0.5,
            "generator_optimizer.beta2": 0.999,
            "discriminator.norm": "batch",
        },
    },
}
SECONDS_PER_STEP = {"gan": 0.041, "wgan_gp": 0.182, "lsgan": 0.043}
PROTOCOL = "inception_score, n=2000, splits=1, classifier made-up"
THRESHOLDS = tuple(row[0] for row in WGAN_GP_TABLE_5.rows)


@dataclass(frozen=True)
class MadeUpResults:
    """The same fields as results that were read from the records; nothing was portrayed."""

    plan: dict[str, Any]
    trials: pd.DataFrame
    steps: pd.DataFrame
    samples: Callable[[str], bytes | None]
    portraits: Callable[[str, str], Arrays] = no_portraits


def made_up_results(
    draws: int = 24,
    seed: int = 0,
    arms: Sequence[str] = ("gan", "wgan_gp"),
    evaluations: int = 10,
    lost: int = 0,
    running: int = 0,
    planned: int = 0,
    pruned: bool = True,
    unpaired: int = 0,
    preset: str = "laptop",
) -> MadeUpResults:
    """A study of `draws` cells under each arm, the same for the same arguments.

    The last `planned` trials have not started and the `running` before them have not ended; `lost` trials
    failed for no fault of theirs; `unpaired` blocks disagree in their data fingerprint. With `pruned`,
    collapsed runs were stopped early save for an audited few.
    """
    rng = np.random.default_rng(seed)
    trials = _planned_trials(draws, seed, arms, rng)
    score = _drawn_scores(trials, rng)
    trials = _ended(trials, score, evaluations, rng)
    if pruned:
        _prune(trials, rng)
    _not_ended(trials, lost, running, planned, rng)
    if unpaired:
        chosen = trials["cell"].isin(trials["cell"].unique()[:unpaired]) & (trials["arm"] != arms[0])
        trials.loc[chosen, "fingerprint_data"] = "another"
    plan = _plan(draws, seed, arms, preset, 200 * evaluations)
    return MadeUpResults(plan, trials, _curves(trials, evaluations, rng), sample_grid)


def made_up_table_5(seed: int = 0, evaluations: int = 4) -> MadeUpResults:
    """200 cells whose scores regenerate every row of table 5 of the WGAN-GP paper."""
    rng = np.random.default_rng(seed)
    trials = _planned_trials(WGAN_GP_TABLE_5.cells, seed, ("gan", "wgan_gp"), rng)
    levels = _table_5_levels()[rng.permutation(WGAN_GP_TABLE_5.cells)]
    bounds = np.array([0.5, *THRESHOLDS])
    score = bounds[levels].ravel() + rng.uniform(0.02, 0.48, levels.size)
    score[levels.ravel() == 0] = np.nan
    trials = _ended(trials, score, evaluations, rng)
    plan = _plan(WGAN_GP_TABLE_5.cells, seed, ("gan", "wgan_gp"), "paper", 200 * evaluations)
    return MadeUpResults(plan, trials, _curves(trials, evaluations, rng), sample_grid)


def _table_5_levels() -> NDArray[np.int_]:
    """[200, 2]: how many thresholds each cell passes under the two arms.

    At every threshold the cells whose worse arm passes are `both`, those whose better arm fails are
    `neither`. That fixes the worse and the better levels; four cells in which GAN is the better arm explain
    the `only GAN` column.
    """
    table = WGAN_GP_TABLE_5.frame()
    at_least_one, every = table["planned"] - table["neither"], table["both"]
    worse, better = (_levels_of(column.tolist(), WGAN_GP_TABLE_5.cells) for column in (every, at_least_one))
    gan_better = [(THRESHOLDS.index(w) + 1, THRESHOLDS.index(b) + 1) for w, b in _GAN_BETTER]
    for low, high in gan_better:
        worse.remove(low)
        better.remove(high)
    rest = list(zip(sorted(worse), sorted(better), strict=True))
    return np.array([(high, low) for low, high in gan_better] + rest)


_GAN_BETTER = (
    (2.5, 3.0),
    (3.5, 4.0),
    (6.0, 8.0),
    (7.0, 7.5),
)  # the highest thresholds passed by WGAN-GP, by GAN


def _levels_of(passing: list[int], cells: int) -> list[int]:
    exactly = -np.diff([cells, *passing, 0])
    return [level for level, count in enumerate(exactly) for _ in range(count)]


def _planned_trials(draws: int, seed: int, arms: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    drawn = {name: rng.integers(len(f["values"]), size=draws) for name, f in FACTORS.items()}
    cells = pd.DataFrame({name: [FACTORS[name]["values"][i] for i in index] for name, index in drawn.items()})
    cells.insert(0, "cell", [f"c{i:04d}" for i in range(draws)])
    trials = cells.loc[cells.index.repeat(len(arms))].reset_index(drop=True)
    number = np.arange(len(trials))
    trials.insert(0, "trial", [f"made-up-{seed}-{i:05d}" for i in number])
    trials.insert(1, "study", "arch_robustness")
    trials.insert(3, "arm", np.tile(np.array(arms, dtype=object), draws))
    trials.insert(4, "seed", seed)
    trials.insert(5, "position", number)
    return trials


def _drawn_scores(trials: pd.DataFrame, rng: np.random.Generator) -> Floats:
    """Scores in [1, 10) that fall with depth and without normalisation, least under WGAN-GP; NaN: "
    "diverged."""
    depth = trials["generator.depth"].to_numpy(float) / 20 + trials["discriminator.depth"].to_numpy(float) / 20
    bare = 2.0 - trials["generator.normalized"].to_numpy(float) - trials["discriminator.normalized"].to_numpy(float)
    robust = (trials["arm"] == "wgan_gp").to_numpy()
    width = np.log2(trials["generator.width"].to_numpy(float) / 32)
    common = np.repeat(rng.normal(0, 0.5, trials["cell"].nunique()), trials["arm"].nunique())
    noise = common + rng.normal(0, 0.6, len(trials))
    logit = np.where(robust, 1.9 - 0.5 * depth - 0.2 * bare, 1.9 - 1.9 * depth - 0.6 * bare) + 0.15 * width + noise
    score = 1 + 9 / (1 + np.exp(-logit))
    diverged = rng.random(len(trials)) < np.where(robust, 0.01, 0.05 + 0.1 * depth)
    return np.where(diverged, np.nan, np.where(score < 2.0, 1.0, score))


def _ended(trials: pd.DataFrame, score: Floats, evaluations: int, rng: np.random.Generator) -> pd.DataFrame:
    diverged, collapsed = np.isnan(score), score <= 1.0 + 1e-9
    steps = 200 * evaluations
    step = np.where(diverged, 200 * rng.integers(1, max(evaluations, 2), len(score)) - 60, steps)
    verdict = np.select([diverged, collapsed, score < 3], ["diverged", "collapsed", "below_threshold"], "trained")
    started = pd.Timestamp("2026-01-05T09:00:00Z") + pd.to_timedelta(30 * np.arange(len(score)), unit="s")
    per_step = trials["arm"].map(SECONDS_PER_STEP).to_numpy(float) * rng.lognormal(0, 0.1, len(score))
    block = trials["cell"].to_numpy()
    return trials.assign(
        status="done",
        failure=pd.Series(None, index=trials.index, dtype=object),
        verdict=verdict.astype(object),
        verdict_step=step,
        evidence=np.where(diverged, "the discriminator's loss was not finite", ""),
        decision=pd.Series("completed", index=trials.index, dtype=object),
        decision_rule=pd.Series(None, index=trials.index, dtype=object),
        decision_step=np.nan,
        inception_score=score,
        inception_score_low=np.where(diverged, np.nan, score - 0.02 - 0.01 * np.nan_to_num(score)),
        inception_score_high=np.where(diverged, np.nan, score + 0.02 + 0.01 * np.nan_to_num(score)),
        inception_score_best=np.where(diverged, np.nan, score + 0.05),
        inception_score_best_step=np.where(diverged, np.nan, step),
        inception_score_drawdown=np.where(diverged, np.nan, 0.1),
        inception_score_area=np.where(diverged, np.nan, 0.75 * score + 0.25),
        inception_score_protocol=PROTOCOL,
        step=step,
        images_seen=64 * step,
        train_seconds=per_step * step,
        evaluate_seconds=1.5 * evaluations,
        record_seconds=0.2,
        attempts=1,
        losses="{}",
        fingerprint_data=[f"data-{b}" for b in block],
        fingerprint_latent=[f"latent-{b}" for b in block],
        fingerprint_init=[f"init-{b}" for b in block],
        device="cpu",
        micro_batch=np.nan,
        started_at=started,
        ended_at=started + pd.to_timedelta(per_step * step, unit="s"),
        run_id=[f"run-{i}" for i in range(len(score))],
    )


def _prune(trials: pd.DataFrame, rng: np.random.Generator) -> None:
    """Stop collapsed and diverged trials by rule; an audited tenth of the collapsed runs to the end."""
    diverged, collapsed = trials["verdict"] == "diverged", trials["verdict"] == "collapsed"
    audited = collapsed & (rng.random(len(trials)) < 0.25)
    pruned = diverged | (collapsed & ~audited)
    trials.loc[pruned, "decision"], trials.loc[audited, "decision"] = "pruned", "audited"
    trials.loc[diverged, "decision_rule"], trials.loc[collapsed, "decision_rule"] = "Diverged", "Collapsed"
    trials.loc[diverged | collapsed, "decision_step"] = trials["step"] // 2
    stopped = collapsed & ~audited
    trials.loc[stopped, "step"] = trials["step"] // 2
    trials.loc[stopped, "inception_score"] = np.nan


def _not_ended(trials: pd.DataFrame, lost: int, running: int, planned: int, rng: np.random.Generator) -> None:
    last = len(trials) - planned
    failed = rng.choice(max(last - running, 0), size=lost, replace=False)
    status = trials.columns.get_loc("status")
    trials.iloc[failed, status] = "failed"
    trials.loc[trials["status"] == "failed", "failure"] = ["oom", "lost", "hung", "crashed"][lost % 4]
    trials.iloc[last - running : last, status] = "running"
    trials.iloc[last:, status] = "planned"
    unknown = trials["status"] != "done"
    none = ["verdict", "decision", "decision_rule", "inception_score_protocol", "device"]
    trials.loc[unknown, none] = None
    scores = [c for c in trials.columns if c.startswith("inception_score") and not c.endswith("_protocol")]
    trials.loc[unknown, [*scores, "verdict_step", "decision_step"]] = np.nan
    waiting = trials["status"] == "planned"
    trials.loc[waiting, [c for c in trials.columns if c.startswith("fingerprint")] + ["run_id"]] = None
    trials.loc[waiting, ["step", "images_seen", "attempts", "train_seconds", "evaluate_seconds"]] = 0
    trials.loc[waiting, ["started_at", "ended_at"]] = pd.NaT
    trials.loc[trials["status"] == "running", "ended_at"] = pd.NaT


def _curves(trials: pd.DataFrame, evaluations: int, rng: np.random.Generator) -> pd.DataFrame:
    """Two reports per evaluation, up to each trial's last step."""
    at = 100 * np.arange(1, 2 * evaluations + 1)
    number, column = np.meshgrid(np.arange(len(trials)), np.arange(len(at)), indexing="ij")
    kept = at[column] <= trials["step"].to_numpy(float)[number]
    number, step = number[kept], at[column][kept]
    final = trials["inception_score"].fillna(1.3).to_numpy(float)[number]
    progress = 1 - np.exp(-4 * step / (at[-1] if len(at) else 1))
    noise = rng.normal(0, 0.08, (4, len(step)))
    evaluated = step % 200 == 0
    score = np.maximum(1, 1 + (final - 1) * progress + noise[0] * (final - 1))
    return pd.DataFrame(
        {
            "trial": trials["trial"].to_numpy()[number],
            "step": step,
            "images_seen": 64 * step,
            "seconds": 0.05 * step,
            "loss_discriminator": 1.2 - 0.4 * progress + noise[1],
            "loss_generator": 0.7 + 0.5 * progress + noise[2],
            "penalty": np.abs(noise[3]),
            "gradient_norm_generator": np.exp(noise[1]),
            "gradient_norm_discriminator": np.exp(noise[2]),
            "output_real": 0.6 + noise[1],
            "output_fake": -0.6 + noise[2],
            "inception_score": np.where(evaluated, score, np.nan),
            "inception_score_low": np.where(evaluated, score - 0.05, np.nan),
            "inception_score_high": np.where(evaluated, score + 0.05, np.nan),
        }
    )


def _plan(draws: int, seed: int, arms: Sequence[str], preset: str, steps: int) -> dict[str, Any]:
    return {
        "study": "arch_robustness",
        "run": f"arch_robustness-{preset}",
        "preset": preset,
        "question": "Does WGAN-GP train architectures on which the standard GAN fails?",
        "source": "Gulrajani et al. 2017, arXiv 1704.00028v3, section 5.1 and appendix B (made-up results)",
        "caveats": [
            "These results are made up: nothing was trained.",
            "The set of architectures is not claimed to be unbiased or representative.",
            "Equal generator iterations are not equal compute.",
        ],
        "design_hash": "0123456789ab",
        "seed": seed,
        "draws": draws,
        "planned": draws * len(arms),
        "space_size": 9216,
        "score": "inception_score",
        "scores": [
            {
                "name": "inception_score",
                "label": "Inception Score",
                "columns": ["inception_score", "inception_score_low", "inception_score_high"],
                "higher_is_better": True,
                "facts": ["best", "best_step", "drawdown", "area"],
            }
        ],
        "score_label": "Inception Score",
        "protocols": {
            PROTOCOL: {
                "protocol": {
                    "metric": "inception_score",
                    "num_samples": 2000,
                    "num_splits": 1,
                    "classifier": "made-up",
                    "classifier_hash": "none",
                    "dtype": "float64",
                    "generator_mode": "eval",
                },
                "references": {"made-up": {"hash": "none", "test_accuracy": 0.98, "real_score": 9.7, "num_test": 360}},
            }
        },
        "thresholds": list(THRESHOLDS),
        "factors": FACTORS,
        "arms": {name: ARMS[name] for name in arms},
        "baseline": {"loss": "NonSaturating", "constraint": None, "n_critic": 1, "batch_size": 64, "steps": steps},
        "pruning": {"rules": ["Diverged", "Collapsed"], "audit_fraction": 0.1},
        "data": [{"name": "made-up", "content": "none", "images": 0, "size": 16, "channels": 1, "classes": 10}],
        "provenance": {
            "commit": "made-up",
            "gansweep": "0.1.0",
            "python": "3.11",
            "hardware": "none",
            "created": "2026-01-05T09:00:00Z",
            "command": "made_up_results()",
        },
    }


def sample_grid(trial: str) -> bytes | None:
    """A PNG of 4 x 8 made-up images of 16 x 16 pixels, the same for the same trial id."""
    from PIL import Image

    rng = np.random.default_rng(abs(int.from_bytes(trial.encode()[-6:], "big")))
    y, x = np.mgrid[0:16, 0:16] / 15.0
    centre, spread = rng.uniform(0.25, 0.75, (2, 32, 1, 1)), rng.uniform(0.05, 0.2, (32, 1, 1))
    ring = np.abs(np.hypot(x - centre[0], y - centre[1]) - 0.25)
    images = (255 * np.exp(-((ring / spread) ** 2))).reshape(4, 8, 16, 16).swapaxes(1, 2).reshape(64, 128)
    file = io.BytesIO()
    Image.fromarray(images.astype(np.uint8)).resize((256, 128), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()
