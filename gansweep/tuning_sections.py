"""What the report of a tuning study shows; see `sections`. No pandas and no Plotly before something is rendered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gansweep.page import Drawing, Results, Section, Table
from gansweep.parts import at_least, part

if TYPE_CHECKING:
    import pandas as pd

NO_TUNING = "Nothing to show: the study counts and does not tune."
NOT_YET = "Nothing to show yet: no candidate has been evaluated."


def _found(results: Results) -> pd.DataFrame | str:
    """The candidates, or why there is nothing to show."""
    from gansweep import tuning

    if not results.plan.get("search", {}).get("sequential"):
        return NO_TUNING
    found = tuning.candidates(results.trials, results.plan)
    return found if (found["state"] == "evaluated").any() else NOT_YET


@part
class SearchHistory:
    """Every candidate in the order in which it was asked for, the best so far, and a table of the `shown` best."""

    shown: int = 10
    title: str = "The search"

    def __post_init__(self) -> None:
        at_least(self, shown=1)

    def render(self, results: Results) -> Section:
        """A figure per goal, and the best candidates with what they drew."""
        from gansweep import tuning, tuning_figures

        found, plan = _found(results), results.plan
        if isinstance(found, str):
            return Section(title=self.title, text=(found,))
        search = plan["search"]
        counted = ", ".join(f"{number} {state}" for state, number in found["state"].value_counts().items())
        pruner = (
            f" Candidates or runs that fall behind are ended early by {search['pruner']}." if search["pruner"] else ""
        )
        unscored = "; ".join(f"{name} {value:g}" for name, value in search["failed_scores"].items())
        failed = (
            f"A failed run that did not reach its end, or has no score, counts as {unscored}."
            if unscored
            else "A candidate with a failed run that has no final score has no value."
        )
        seeds, arms = plan.get("repeats", 1), len(plan["arms"])
        over = " and ".join(f"{num} {what}" for num, what in ((seeds, "seeds"), (arms, "arms")) if num > 1)
        worth = f"the mean over its trials ({over})" if over else "that of its one trial"
        text = (
            f"{len(found)} of {plan['draws']} candidates were asked for, by {search['by']}: {counted}.{pruner}",
            f"A candidate's value is {worth}. {failed} The best of many candidates on few seeds looks better than it "
            "is: only further seeds tell.",
        )
        drawings = tuple(
            Drawing(
                figure=tuning_figures.search_history(found, tuning.best_so_far(found, goal), goal),
                caption=f"{goal['label']} of each candidate in the order of asking, and the best so far.",
            )
            for goal in search["goals"]
        )
        return Section(title=self.title, text=text, figures=drawings, tables=(self._best(found, plan),))

    def _best(self, found: pd.DataFrame, plan: Any) -> Table:
        goal = plan["search"]["goals"][0]
        known = found[found["state"] == "evaluated"]
        best = known.sort_values(goal["name"], ascending=not goal["higher_is_better"]).head(self.shown)
        return _table(best, plan, f"The {len(best)} best candidates by {goal['label']}.")


def _table(found: pd.DataFrame, plan: Any, caption: str) -> Table:
    """Candidates with their goals and factors; what a candidate does not draw is a dash."""
    goals = [(goal["name"], goal["label"]) for goal in plan["search"]["goals"]]
    factors = [(name, factor["label"]) for name, factor in plan["factors"].items()]
    shown = found[["cell", *(name for name, _ in (*goals, *factors))]].map(_told)
    return Table(shown=shown.rename(columns=dict([*goals, *factors])), caption=caption, numbers=found)


def _told(value: Any) -> str:
    if value is None or value != value:
        return "—"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@part
class ParetoFront:
    """The candidates of a study with two goals, and the front of those that no other beats in both."""

    title: str = "What can be had together"

    def render(self, results: Results) -> Section:
        """A figure and a table of the front."""
        from gansweep import tuning, tuning_figures

        found = _found(results)
        if isinstance(found, str):
            return Section(title=self.title, text=(found,))
        goals = results.plan["search"]["goals"]
        if len(goals) != 2:
            return Section(title=self.title, text=(f"Nothing to show: the study has {len(goals)} goals, not two.",))
        best = tuning.front(found, goals)
        told = " and ".join(
            f"{goal['label']} ({'higher' if goal['higher_is_better'] else 'lower'} is better)" for goal in goals
        )
        text = (f"The goals are {told}. {len(best)} candidates are beaten by no other in both.",)
        drawing = Drawing(
            figure=tuning_figures.pareto_front(found, best, goals),
            caption=f"{goals[1]['label']} over {goals[0]['label']}, a point per candidate; the line joins the front.",
        )
        table = _table(best, results.plan, "The candidates on the front.")
        return Section(title=self.title, text=text, figures=(drawing,), tables=(table,))


@part
class Importance:
    """How much of the differences between candidates goes with each factor."""

    title: str = "Which factors matter"

    def render(self, results: Results) -> Section:
        """A bar per factor and a table, for the first goal."""
        import pandas as pd

        from gansweep import tuning, tuning_figures, wording

        found = _found(results)
        if isinstance(found, str):
            return Section(title=self.title, text=(found,))
        goal = results.plan["search"]["goals"][0]
        table = tuning.explained(found, results.plan, goal["name"])
        text = (
            f"The part of the differences in {goal['label']} (of its ranks) that lies between the options of a factor, "
            "or thirds of its range, among evaluated candidates, beside what chance alone would give; p-values by "
            "permutation, Holm's correction over the factors. A search looks more often where it has found good "
            "values, so these are hints and no effects of an experiment.",
        )
        drawing = Drawing(
            figure=tuning_figures.explained_bars(table),
            caption=f"Share of the differences in {goal['label']} that goes with each factor, and (marked) by chance.",
        )
        rows = [
            (
                *(row["label"], row["known"], _told(row["share"]), _told(row["chance"])),
                *(wording.p_value(row[p]) for p in ("p_value", "p_holm")),
            )
            for row in table.to_dict("records")
        ]
        shown = pd.DataFrame(rows, columns=["factor", "candidates", "share", "by chance", "p", "p (Holm)"])
        told = Table(shown=shown, caption="What each factor goes with.", numbers=table)
        return Section(title=self.title, text=text, figures=(drawing,), tables=(told,))
