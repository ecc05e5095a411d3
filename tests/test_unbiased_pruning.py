"""Stopping trials does not bias a count: corrected rates against planted ones, where plain ASHA's are wrong."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from gansweep import NotLearning, analysis, effect_sections, records, sections
from gansweep.intervals import (
    Audit,
    corrected_difference,
    corrected_rate,
    difference_p_value,
    paired_difference,
    wilson,
)
from gansweep.launch.sweep import Settings
from gansweep.randomness import derive_seed
from gansweep.report import csv_uri, markdown
from gansweep.search import VerdictPruner
from gansweep.selection import Selection
from gansweep.testing import made_up_results
from gansweep.testing.simulated import Behaviour, VirtualTrial, simulate

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
TINY = Path(__file__).parent / "tiny_study.py"
STEPS, THRESHOLD = 8, 3.0
RULE = NotLearning(limit=1.5, patience=2, after=3)  # wrong for every slow starter
NOBODY = Audit(stopped=0, audited=0, passed=0, guess=0.0)


@dataclasses.dataclass(frozen=True)
class Planted:
    """An arm: `rate` of its trials end above the threshold.

    The share `slow` of these leaves the floor after the rule has spoken; of the others the share `floor` never does.
    """

    rate: float
    slow: float
    floor: float


def curves(arm: Planted, luck: Floats, rng: np.random.Generator) -> Floats:
    """[trial, step] scores of an arm; `luck`, uniform on [0, 1], decides who succeeds."""
    succeeds, draw = luck < arm.rate, rng.random(len(luck))
    step = np.arange(1, STEPS + 1)
    early = 1 + 4 * step / STEPS
    kinds = {
        "early": early,
        "slow": np.where(step < 6, 1.0, 5.0),
        "floor": np.ones(STEPS),
        "lost again": np.where(step < STEPS, early, 1.2),
    }
    kind = np.where(
        succeeds, np.where(draw < arm.slow, "slow", "early"), np.where(draw < arm.floor, "floor", "lost again")
    )
    return np.array([kinds[k] for k in kind]) + rng.normal(0, 0.02, (len(luck), STEPS))


def flagged_at(scores: Floats) -> NDArray[np.int_]:
    """[trial]: the step at which `RULE` would stop it, 0 for never. What the real pruner says, in numpy."""
    low = scores < RULE.limit
    flag = low[:, :-1] & low[:, 1:]  # at steps 2 ... STEPS
    flag[:, : RULE.after - 1] = False
    flag[:, -1] = False  # a run that is over is not stopped
    return np.where(flag.any(axis=1), flag.argmax(axis=1) + 2, 0)


def coin(trial: str, audit_fraction: float) -> bool:
    """Whether a flagged trial is audited: the driver's coin."""
    return derive_seed(trial, "audit", bits=32) / 2**32 < audit_fraction


def asked(study: optuna.Study, scores: Floats) -> int:
    """Report a curve to a stock study until its pruner says stop: that step, 0 for never."""
    trial = study.ask()
    for step, score in enumerate(scores[: STEPS - 1], start=1):
        trial.report(float(score), step)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return step
    study.tell(trial, float(scores[-1]))
    return 0


def stock_study(pruner: optuna.pruners.BasePruner) -> optuna.Study:
    return optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))


def audit_of(passed: Bools, flagged: Bools, audited: Bools) -> tuple[NDArray[np.int_], NDArray[np.int_], Audit]:
    """What an analysis sees of [..., trial]: successes and trials whose outcome is known, and the audit."""
    stopped = flagged & ~audited
    audit = Audit(
        stopped=stopped.sum(-1),
        audited=(flagged & audited).sum(-1),
        passed=(passed & flagged & audited).sum(-1),
        guess=0.0,  # where the rule speaks the score is at the floor
    )
    return (passed & ~stopped).sum(-1), (~stopped).sum(-1), audit


def joint_of(passed: tuple[Bools, Bools], stopped: tuple[Bools, Bools]) -> Floats:
    kinds = [[~p & ~s, p & ~s, s] for p, s in zip(passed, stopped, strict=True)]
    return np.array([[(x & y).sum(-1) for y in kinds[1]] for x in kinds[0]], dtype=float)


def holds(low: Floats, truth: float, high: Floats) -> Bools:
    return (low <= truth + 1e-12) & (truth - 1e-12 <= high)


def wilsons_own_coverage(num: int, rate: float) -> float:
    """How often Wilson's interval holds the rate if every trial runs to its end."""
    count = np.arange(num + 1)
    return float(stats.binom.pmf(count, num, rate)[holds(wilson(count, num)[0], rate, wilson(count, num)[1])].sum())


# --- what the numpy version stands for


def test_the_real_pruner_stops_where_its_copy_in_numpy_does() -> None:
    rng = np.random.default_rng(0)
    scores = curves(Planted(rate=0.5, slow=0.5, floor=0.6), rng.random(80), rng)
    study = stock_study(VerdictPruner(RULE))
    told = [asked(study, one) for one in scores]
    assert told == flagged_at(scores).tolist()
    assert set(told) == {0, 4}


STUDY = f"""
import dataclasses
from gansweep import Diverged, NotLearning
from gansweep.selection import load_study

tiny = load_study({str(TINY)!r})
arms = {{name: arm for name, arm in tiny.axes["objective"].items() if name != "wild"}}
rules = (Diverged(), NotLearning(limit=2.0, patience=1, after=4))
study = dataclasses.replace(
    tiny, axes={{"objective": arms}}, repeats=8, draws=4, rules=rules, thresholds=(1.0, 3.0), audit_fraction=0.3
)
"""
BEHAVIOUR = Behaviour(success=0.7, spread=1.0, agreement=0.5, arms={"gan": {"half": 0.6, "diverge": 0.2}})


@pytest.fixture(scope="module")
def swept(
    as_home: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[records.Results, pd.DataFrame]:
    """64 virtual trials through the real driver and records, and what each would do if nothing stopped it."""
    home = as_home(tmp_path_factory.mktemp("swept"))
    (home / "study.py").write_text(STUDY)
    selection = Selection(file=str(home / "study.py"), preset="smoke")
    simulate(selection, Settings(home=home, workers=4), BEHAVIOUR)
    fates = []
    for planned in selection.study().plan():
        virtual = VirtualTrial(BEHAVIOUR, planned, {"inception_score": True, "inception_score_std": False})
        rows = [virtual.row(step, 0) for step in virtual.steps]
        lost = virtual.diverges_at or 13
        flags = [r["step"] for r in rows if 4 <= r["step"] < min(12, lost) and r.get("inception_score", 9.0) < 2.0]
        final = rows[-1].get("inception_score", np.nan)
        fates.append({"trial": planned.id, "arm": planned.arm, "flagged": bool(flags), "final": final})
    return records.read(records.default_uri(home), "tiny-smoke"), pd.DataFrame(fates).set_index("trial")


def test_the_driver_stops_the_flagged_trials_that_the_coin_leaves_and_no_other(
    swept: tuple[records.Results, pd.DataFrame],
) -> None:
    trials, fates = swept[0].trials.set_index("trial"), swept[1]
    flagged = fates.index[fates["flagged"]]
    assert len(flagged) > 20
    audited = [trial for trial in flagged if coin(trial, 0.3)]
    assert trials.index[trials["decision"] == "audited"].tolist() == audited
    assert trials.index[analysis.stopped(trials)].tolist() == [trial for trial in flagged if trial not in audited]
    ran_on = ~analysis.stopped(trials)
    assert trials.loc[ran_on, "inception_score"].to_numpy() == pytest.approx(
        fates.loc[trials.index[ran_on], "final"].to_numpy(), nan_ok=True
    )


def test_the_corrected_rate_of_a_sweep_holds_what_would_have_happened(
    swept: tuple[records.Results, pd.DataFrame],
) -> None:
    results, fates = swept
    for row in analysis.success_rates(results.trials, (1.0, 3.0)).to_dict("records"):
        truth = (fates.loc[fates["arm"] == row["arm"], "final"] > row["threshold"]).mean()
        assert row["stopped"] > 0
        assert row["rate_low"] <= truth <= row["rate_high"]
        assert row["worst"] <= truth <= row["best"]
        if row["threshold"] == 3.0:
            assert row["raw"] < truth  # slow starters that were stopped count as failures


def test_the_report_says_what_was_stopped_saved_and_corrected(swept: tuple[records.Results, pd.DataFrame]) -> None:
    some, _ = swept
    shown = sections.Audit().render(some)
    rules, rates = shown.tables
    assert rules.shown["rule"].tolist() == ["all rules", "NotLearning", "Diverged (settled)"]
    pruned = some.trials[some.trials["decision"] == "pruned"]
    spared = (12 - pruned["step"]).sum() / (12 * len(some.trials))
    assert rules.numbers["saved"].iloc[1:].sum() == pytest.approx(spared)
    assert f"saved {100 * spared:.0f}% of all planned generator iterations" in shown.text[0]
    assert [name for name in rates.shown if "raw" in name] == ["gan, raw", "wgan gp, raw"]
    assert [name for name in rates.shown if "corrected" in name] == [
        "gan, corrected",
        "wgan gp, corrected",
    ]
    outcomes = sections.OutcomeTable(published=False).render(some)
    assert {"estimated", "gan, raw"} <= set(outcomes.tables[0].shown)
    assert "gan, corrected" in markdown(some, [sections.Audit()])
    assert csv_uri(rates).startswith("data:text/csv")
    assert {"rate", "rate_low", "rate_high", "raw", "audited_passed"} <= set(rates.numbers)


# --- coverage


ARMS = (Planted(rate=0.4, slow=0.6, floor=1.0), Planted(rate=0.6, slow=0.6, floor=1.0))


def test_plain_asha_misses_the_planted_rates_and_the_audited_rules_hold_them() -> None:
    """60 cells under two arms, 20 times over, with Optuna's own pruner and with ours in a stock study."""
    rng = np.random.default_rng(0)
    num, times = 60, 20
    naive, survivors, ours, differences = [], [], [], []
    for time in range(times):
        luck = rng.random(num)
        scores = [curves(arm, luck, rng) for arm in ARMS]
        asha = stock_study(optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2))
        rules = stock_study(VerdictPruner(RULE))
        stop = np.array([[[asked(study, a[i]) for a in scores] for i in range(num)] for study in (asha, rules)])
        seen = []
        for number, (arm, score) in enumerate(zip(ARMS, scores, strict=True)):
            cut = stop[0, :, number]
            kept = score[np.arange(num), np.where(cut > 0, cut, STEPS) - 1] > THRESHOLD
            naive.append(holds(wilson(kept.sum(), num)[0], arm.rate, wilson(kept.sum(), num)[1]))
            ran, good = (cut == 0).sum(), kept[cut == 0].sum()
            survivors.append(holds(wilson(good, ran)[0], arm.rate, wilson(good, ran)[1]))
            flagged = stop[1, :, number] > 0
            audited = flagged & np.array([coin(f"{time}-{number}-{i}", 0.25) for i in range(num)])
            passed = score[:, -1] > THRESHOLD
            _, low, high = corrected_rate(*audit_of(passed, flagged, audited))
            ours.append(holds(low, arm.rate, high))
            seen.append((passed, flagged, audited))
        joint = joint_of(
            (seen[0][0], seen[1][0]),
            tuple(flagged & ~audited for _, flagged, audited in seen),
        )
        _, low, high = corrected_difference(joint, *(audit_of(*one)[2] for one in seen))
        differences.append(holds(low, ARMS[1].rate - ARMS[0].rate, high))
    assert np.mean(naive) < 0.5
    assert np.mean(survivors) < 0.5
    assert np.mean(ours) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(ours))
    assert np.mean(differences) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(differences))


def coverage_of_rates(nums: tuple[int, ...], times: int) -> None:
    """Never clearly below 95%, or below what Wilson's interval covers at that rate if every trial runs to its end."""
    rng = np.random.default_rng(1)
    covered, margin = [], []
    shapes = ((0.0, 0.9), (0.2, 0.9), (0.9, 0.9), (0.6, 0.2))
    for num, rate, (slow, floor), fraction in itertools.product(
        nums, (0.02, 0.2, 0.5, 0.8, 0.98), shapes, (0.05, 0.2, 0.5)
    ):
        scores = curves(Planted(rate=rate, slow=slow, floor=floor), rng.random(times * num), rng)
        passed, flagged = scores[:, -1] > THRESHOLD, flagged_at(scores) > 0
        audited = flagged & (rng.random(times * num) < fraction)
        seen = (what.reshape(times, num) for what in (passed, flagged, audited))
        _, low, high = corrected_rate(*audit_of(*seen))
        covered.append(holds(low, rate, high).mean())
        expected = min(0.95, wilsons_own_coverage(num, rate))
        margin.append((covered[-1] - expected) / np.sqrt(expected * (1 - expected) / times))
    assert min(margin) > -3.5
    assert np.mean(covered) > 0.95


def test_the_corrected_interval_covers_the_planted_rate() -> None:
    coverage_of_rates(nums=(24, 60), times=250)


@pytest.mark.slow
def test_the_corrected_interval_covers_the_planted_rate_in_large_studies_and_many_repetitions() -> None:
    coverage_of_rates(nums=(24, 48, 100, 200), times=2000)


def coverage_of_differences(nums: tuple[int, ...], times: int) -> None:
    rng = np.random.default_rng(2)
    covered, margin = [], []
    shapes = ((0.0, 0.9), (0.5, 0.9))
    for num, rates, (slow, floor), fraction in itertools.product(
        nums, ((0.5, 0.5), (0.1, 0.7), (0.5, 0.95)), shapes, (0.05, 0.3)
    ):
        shared, seen = rng.standard_normal(times * num), []
        for rate in rates:
            luck = stats.norm.cdf(np.sqrt(0.5) * (shared + rng.standard_normal(times * num)))
            scores = curves(Planted(rate=rate, slow=slow, floor=floor), luck, rng)
            passed, flagged = scores[:, -1] > THRESHOLD, flagged_at(scores) > 0
            audited = flagged & (rng.random(times * num) < fraction)
            seen.append([what.reshape(times, num) for what in (passed, flagged, audited)])
        passed_a, passed_b = seen[0][0], seen[1][0]
        stopped = (seen[0][1] & ~seen[0][2], seen[1][1] & ~seen[1][2])
        audits = [audit_of(*one)[2] for one in seen]
        truth = rates[1] - rates[0]
        _, low, high = corrected_difference(joint_of((passed_a, passed_b), stopped), *audits)
        covered.append(holds(low, truth, high).mean())
        whole = joint_of((passed_a, passed_b), (np.zeros_like(passed_a), np.zeros_like(passed_a)))
        _, low, high = paired_difference(whole[1, 1], whole[1, 0], whole[0, 1], whole[0, 0])
        expected = min(0.95, holds(low, truth, high).mean())
        margin.append((covered[-1] - expected) / np.sqrt(expected * (1 - expected) / times))
    assert min(margin) > -3.5
    assert np.mean(covered) > 0.95


def test_the_corrected_difference_covers_the_planted_one() -> None:
    coverage_of_differences(nums=(24, 60), times=200)


@pytest.mark.slow
def test_the_corrected_difference_covers_the_planted_one_in_large_studies() -> None:
    coverage_of_differences(nums=(24, 100, 200), times=1000)


def test_arms_that_succeed_equally_often_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(3)
    seen = []
    for slow in (0.0, 0.8):  # the rule is right for one arm and wrong for the other
        scores = curves(Planted(rate=0.5, slow=slow, floor=0.9), rng.random(200 * 24), rng)
        passed, flagged = scores[:, -1] > THRESHOLD, flagged_at(scores) > 0
        audited = flagged & (rng.random(200 * 24) < 0.3)
        seen.append([what.reshape(200, 24) for what in (passed, flagged, audited)])
    stopped = (seen[0][1] & ~seen[0][2], seen[1][1] & ~seen[1][2])
    joint = joint_of((seen[0][0], seen[1][0]), stopped)
    assert (difference_p_value(joint, *(audit_of(*one)[2] for one in seen)) < 0.05).mean() < 0.05
    nothing_corrected = joint_of((seen[0][0] & ~stopped[0], seen[1][0] & ~stopped[1]), (stopped[0] & False,) * 2)
    assert (difference_p_value(nothing_corrected, NOBODY, NOBODY) < 0.05).mean() > 0.3


# --- closed forms


def test_without_stopped_trials_everything_is_wilsons_newcombes_and_mcnemars() -> None:
    joint = np.zeros((3, 3, 2))
    joint[:2, :2] = np.array([[5, 12], [1, 4]])[:, :, None]
    audited = Audit(stopped=0, audited=7, passed=np.array([3, 0]), guess=0.0)
    rate, low, high = corrected_rate(np.array([5, 16]), 22, audited)
    assert rate.tolist() == [5 / 22, 16 / 22]
    assert [low.tolist(), high.tolist()] == [end.tolist() for end in wilson(np.array([5, 16]), 22)]
    found = corrected_difference(joint, audited, audited)
    assert [part.tolist() for part in found] == [[float(x)] * 2 for x in paired_difference(4, 1, 12, 5)]
    exact = mcnemar([[4, 1], [12, 5]], exact=True).pvalue
    assert difference_p_value(joint, audited, audited) == pytest.approx([exact, exact])


def test_where_nothing_was_audited_the_stopped_may_all_have_failed_or_succeeded() -> None:
    rate, low, high = corrected_rate(6, 14, Audit(stopped=10, audited=0, passed=0, guess=0.3))
    assert rate == (6 + 3) / 24  # a guess, by the scores at the stop
    assert (low, high) == (wilson(6, 24)[0], wilson(16, 24)[1])


def test_what_an_audit_of_three_leaves_open_is_hypergeometric() -> None:
    """If K of 9 flagged trials succeed, none of 3 audited does with probability C(9-K, 3) / C(9, 3)."""
    low, high = Audit(stopped=6, audited=3, passed=0, guess=0.0).bounds()
    assert low == 0
    assert high == 5 / 6  # 5: C(4, 3) / 84 = 0.048 > 0.025; 6: 1 / 84 = 0.012
    assert Audit(stopped=6, audited=3, passed=0, guess=0.0).bounds(alpha=0.02)[1] == 1


def test_more_audited_trials_narrow_the_interval() -> None:
    widths = []
    for audited in (0, 2, 5, 10, 20):
        _, low, high = corrected_rate(30, 40 + audited, Audit(stopped=20 - audited, audited=audited, passed=0, guess=0))
        widths.append(float(high - low))
    assert widths == sorted(widths, reverse=True)


# --- frames


def stopped_study() -> tuple[pd.DataFrame, pd.DataFrame]:
    """An arm of eight trials: two completed, one diverged, two stopped, three audited."""
    score = [5.0, 1.0, np.nan, 1.2, 2.5, 5.0, 1.1, np.nan]
    trials = pd.DataFrame(
        {
            "trial": [f"t{i}" for i in range(8)],
            "cell": [f"c{i}" for i in range(8)],
            "seed": 0,
            "arm": "a",
            "status": "done",
            "verdict": ["trained", "trained", "diverged", *["collapsed"] * 4, "diverged"],
            "decision": ["completed"] * 2 + ["pruned"] * 3 + ["audited"] * 3,
            "decision_rule": [None, None, "Diverged", "Collapsed", "Exploding", "Collapsed", "Collapsed", "Exploding"],
            "decision_step": [np.nan, np.nan, 20.0, 50.0, 60.0, 50.0, 50.0, 60.0],
            "step": [100, 100, 20, 50, 60, 100, 100, 80],
            "inception_score": score,
        }
    )
    rows = [("t5", 50, 1.1), ("t5", 100, 5.0), ("t6", 40, 1.3), ("t6", 60, 9.0), ("t6", 100, 1.1), ("t7", 60, 2.5)]
    return trials, pd.DataFrame(rows, columns=["trial", "step", "inception_score"])


def test_stopped_trials_take_the_share_of_the_audited_and_diverged_ones_fail() -> None:
    row = analysis.success_rates(stopped_study()[0], [2.0]).iloc[0]
    told = row[["known", "stopped", "audited", "audited_passed"]].tolist()
    assert told == [6, 2, 3, 1]
    assert row["success"] == pytest.approx(2 + 2 / 3)  # two passed, and a third of the two stopped
    assert row["rate"] == pytest.approx((2 + 2 / 3) / 8)
    assert row["raw"] == 3 / 8  # one was stopped at a score of 2.5
    assert (row["worst"], row["best"]) == (2 / 8, 4 / 8)
    assert row["rate_low"] <= row["rate"] <= row["rate_high"]


def test_the_false_prune_rate_is_that_of_the_audited_trials() -> None:
    trials, steps = stopped_study()
    found = analysis.audit(trials, steps, 2.0, (1.2, 2.0), planned_steps={"a": 100}).set_index("rule")
    assert found.index.tolist() == ["all rules", "Collapsed", "Exploding", "Diverged"]
    assert found["settled"].tolist() == [False, False, False, True]
    assert found["stopped"].tolist() == [2, 1, 1, 1]
    assert found.loc["all rules", ["audited", "known", "passed"]].tolist() == [3, 3, 1]
    assert found.loc["all rules", ["low", "high"]].tolist() == [float(x) for x in wilson(1, 3)]
    # t5 was at 1.1 and passed both; t6 was at 1.3, above the lower one, and ended below it; t7 was at 2.5 and diverged
    assert found.loc["all rules", "changed"] == 3
    assert found.loc["Collapsed", ["changed_low", "changed_high"]].tolist() == [float(x) for x in wilson(2, 2)]
    assert found["saved"].tolist() == pytest.approx([0.9 / 8, 0.5 / 8, 0.4 / 8, 0.8 / 8])


def test_without_a_threshold_the_audit_counts_and_gives_no_rate() -> None:
    found = analysis.audit(*stopped_study(), None).set_index("rule")
    assert found.loc["Collapsed", ["stopped", "audited", "known"]].tolist() == [1, 2, 0]
    assert np.isnan(found.loc["Collapsed", ["rate", "changed_rate", "saved"]].astype(float)).all()


def test_a_paired_table_is_corrected_and_its_counts_still_add_up() -> None:
    trials, _ = stopped_study()
    other = trials.assign(arm="b", decision="completed", decision_rule=None, trial="b" + trials["trial"])
    other["inception_score"] = 5.0
    row = analysis.outcome_table(pd.concat([trials, other], ignore_index=True), [2.0]).iloc[0]
    assert row[["only_a", "only_b", "both", "neither"]].sum() == pytest.approx(8)
    assert (row["stopped"], row["unknown"], row["stopped_a"], row["stopped_b"]) == (2, 0, 2, 0)
    assert row["both"] == pytest.approx(2 + 2 / 3)
    assert row["difference"] == pytest.approx(row["rate_b"] - row["rate_a"])
    assert row["difference_worst"] <= row["difference"] <= row["difference_best"]
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_the_curve_and_the_ranking_are_corrected_too() -> None:
    trials = made_up_results(draws=60, seed=2).trials
    rates = analysis.success_rates(trials, [3.0]).set_index("arm")
    assert (rates["stopped"] > 0).any()
    curve = analysis.survival(trials, thresholds=[3.0], resamples=200)
    at = curve[curve["threshold"] == 3.0].set_index("arm")
    assert at["rate"].tolist() == rates["rate"].tolist()
    assert (at["band_low"] <= rates["rate_low"]).all()
    assert (at["band_high"] >= rates["rate_high"]).all()
    ranked = analysis.ranking(trials, [3.0], resamples=200).set_index("arm")
    assert ranked.loc[rates.index, "mean_rate"].tolist() == pytest.approx(rates["rate"].tolist())


@pytest.mark.parametrize(
    "section",
    [
        sections.OutcomeTable(),
        sections.Survival(resamples=100),
        effect_sections.FactorEffects(),
        sections.Ranking(resamples=100),
        sections.Audit(),
    ],
)
def test_nothing_is_counted_in_a_tuning_study(section: sections.Audit) -> None:
    results = made_up_results(draws=8)
    tuning = dataclasses.replace(results, plan={**results.plan, "search": {"by": "TPE()", "sequential": True}})
    shown = section.render(tuning)
    assert shown.text == (sections.TUNES,)
    assert not shown.tables
    assert not shown.figures
