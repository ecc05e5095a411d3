"""Sections of a report that show portraits, distances and convergence; see `sections` and `gansweep.portraits`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from gansweep.page import Drawing, Results, Section, Table, arm_labels
from gansweep.parts import above, part
from gansweep.sections import not_ready, nothing

if TYPE_CHECKING:
    import pandas as pd

NO_PORTRAIT = "Nothing to show yet: no trial has left this portrait."
SPREAD = "The median over cells, with the lowest and the highest in brackets."


def _spread_table(
    results: Results, columns: Mapping[str, str], caption: str, cells: Collection[str] | None = None
) -> tuple[Table, ...]:
    """The last values of columns of `steps`, a row per combination of factors and arm; none if nothing was reported.

    With `cells` only theirs.
    """
    from gansweep import portrayed

    found, labels = portrayed.summary(results, list(columns), cells), arm_labels(results.plan)
    if found.empty:
        return ()
    told = found.assign(
        text=[_spread(row) for row in found.to_dict("records")],
        arm=found["arm"].map(labels),
        column=found["column"].map(columns),
    )
    keys = ["label", "arm"] if found["label"].any() else ["arm"]
    shown = told.pivot_table(index=keys, columns="column", values="text", aggfunc="first", sort=False, observed=True)
    shown = shown.reindex(columns=[name for name in columns.values() if name in shown]).fillna("—")
    shown = shown.rename_axis(columns=None).reset_index().rename(columns={"label": "drawn"})
    return (Table(shown=shown, caption=f"{caption} {SPREAD}", numbers=found),)


def _spread(row: Mapping[str, Any]) -> str:
    if row["trials"] == 1 or row["low"] == row["high"]:
        return f"{row['median']:.3g}"
    return f"{row['median']:.3g} ({row['low']:.3g} to {row['high']:.3g})"


@part
class ValueSurfaces:
    """The critic over the plane, a row per data set and a column per arm; needs `CriticSurface`.

    Of cells that differ in their seeds only the first is drawn; the table has all.
    """

    title: str = "Value surfaces"

    def render(self, results: Results) -> Section:
        """One figure and a table of the slopes and of the modes that were found."""
        from gansweep import portrait_figures, portrayed

        rows = portrayed.rows(results, "surface")
        planar = [(row.label, row.panels) for row in rows if all(p["value"].ndim == 3 for p in row.panels.values())]
        if not planar:
            return nothing(self.title, NO_PORTRAIT)
        labels = arm_labels(results.plan)
        drawn = portrait_figures.value_surfaces(planar, list(labels), labels)
        reach = float(next(iter(planar[0][1].values()))["x"].max())
        text = (
            "Lines are level curves of the critic; darker is higher, that is more real. Each panel is coloured from "
            "its own lowest to its own highest value, since a clipped critic is smaller by orders of magnitude. A mode "
            "is found where the critic has a peak within a quarter of the distance to the next mode. Dents are what "
            "keeps a surface from being one hill: the mean depth of the water that it would hold along rows and "
            "columns, as a share of its range.",
        )
        columns = {
            "surface_slope_mean": "mean slope",
            "surface_slope_variation": "its variation over the plane",
            "surface_dents": "depth of dents",
            "surface_modes": "modes found",
        }
        caption = f"The critic on [-{reach:g}, {reach:g}]² at the last evaluation, with real examples as points."
        return Section(
            title=self.title,
            text=text,
            figures=(Drawing(figure=drawn, caption=caption),),
            tables=_spread_table(results, columns, "The critic over the plane at the last evaluation."),
        )


@part
class GradientNorms:
    """The norm of the gradient of the critic's loss in successive activations; needs `ActivationGradients`."""

    title: str = "Gradients through the layers"

    def render(self, results: Results) -> Section:
        """One figure on a logarithmic axis, and the slopes."""
        from gansweep import portrait_figures, portrayed

        norms, labels = portrayed.layer_norms(results), arm_labels(results.plan)
        if norms.empty:
            return nothing(self.title, NO_PORTRAIT)
        drawn = portrait_figures.layer_norms(norms, list(labels), labels)
        text = (
            "The loss is the objective's, without a penalty, at the last evaluation. The slope is that of the natural "
            "logarithm of the norm over the layers: 0 is level, above 0 the gradient fades on its way back to the "
            "example, below 0 it grows.",
        )
        caption = "Norm of the gradient of the critic's loss in the input of each layer, and in the score: median over "
        caption += "trials and their extremes, per arm."
        columns = {"activation_gradient_slope": "slope per layer"}
        return Section(
            title=self.title,
            text=text,
            figures=(Drawing(figure=drawn, caption=caption),),
            tables=_spread_table(results, columns, "How the gradient changes from layer to layer."),
        )


@part
class WeightShapes:
    """The weights of each arm's critic as histograms; needs `WeightHistograms`."""

    title: str = "Weights"

    def render(self, results: Results) -> Section:
        """A panel per arm from its first cell, and the shares at the bound of all."""
        from gansweep import portrait_figures, portrayed

        rows = portrayed.rows(results, "weights")
        if not rows:
            return nothing(self.title, NO_PORTRAIT)
        labels = arm_labels(results.plan)
        drawings = tuple(
            Drawing(
                figure=portrait_figures.weight_histograms(row.panels, list(labels), labels),
                caption="Share of the critic's weights per bin, all layers together"
                + (f", {row.label}" if row.label else "")
                + "; dotted lines are the bounds of clipping.",
            )
            for row in rows
        )
        text = (
            "At the bound is a weight of at least 99% of it. Excess kurtosis is -2 where weights sit at two values, "
            "-1.2 where they spread evenly, and 0 for a normal distribution.",
        )
        columns = {"weights_at_bound": "share at the bound", "weights_kurtosis": "excess kurtosis"}
        return Section(
            title=self.title,
            text=text,
            figures=drawings,
            tables=_spread_table(results, columns, "The critic's weights at the last evaluation."),
        )


@part
class ModesOverTime:
    """Samples over real points while the generators learn, animated; needs `SampleClouds`.

    `reach` is half the side of what is shown; None is that of the real points widened by a quarter.
    """

    reach: float | None = None
    title: str = "Samples over time"

    def __post_init__(self) -> None:
        if self.reach is not None:
            above(self, reach=0)

    def render(self, results: Results) -> Section:
        """A figure per combination of factors, from its first cell."""
        import numpy as np

        from gansweep import portrait_figures, portrayed

        rows = portrayed.rows(results, "samples")
        if not rows:
            return nothing(self.title, NO_PORTRAIT)
        labels = arm_labels(results.plan)
        drawings = []
        for row in rows:
            real = next(iter(row.panels.values()))["real"][-1]
            reach = self.reach or 1.25 * float(np.abs(real).max())
            drawn = portrait_figures.sample_clouds(row.panels, list(labels), labels, reach)
            caption = f"Samples (coloured) over real points (grey) in cell {row.cell}"
            caption += (f", {row.label}" if row.label else "") + ", from the same z at every step."
            drawings.append(Drawing(figure=drawn, caption=caption))
        text = (
            "Play it, or move the slider to a generator step. Of cells that differ in their seeds the first is shown.",
        )
        return Section(title=self.title, text=text, figures=tuple(drawings))


@part
class Convergence:
    """The score by generator step and by seconds of training, side by side.

    A step of one arm may cost several times that of another. Seconds are those inside the training loop, over all
    attempts, on machines as they were: compare them where trials ran alone or side by side with their like.
    """

    title: str = "Convergence by steps and by seconds"

    def render(self, results: Results) -> Section:
        """One figure with two panels, and when each threshold was first exceeded."""
        from gansweep import portrait_figures, portrayed

        plan, labels = results.plan, arm_labels(results.plan)
        if why := not_ready(results):
            return nothing(self.title, why)
        curves = portrayed.over_seconds(results)
        if curves.empty:
            return nothing(self.title, f"Nothing to show yet: no run has reported {plan['score']}.")
        drawn = portrait_figures.convergence(curves, list(labels), labels, plan["score_label"])
        caption = f"{plan['score_label']} by generator step and by seconds of training: median and quartiles per arm. "
        caption += "The seconds are the median ones at which an arm's runs reached the step."
        tables: tuple[Table, ...] = ()
        if plan["thresholds"] and plan["scores"][0]["higher_is_better"]:
            tables = (_first_above(portrayed.first_above(curves, plan["thresholds"]), labels, plan["score_label"]),)
        text = (
            "A step is an update of the generator with the critic updates that go with it, so arms differ in what a "
            "step costs. A run that diverged or was pruned counts as worse than every score from then on.",
        )
        return Section(title=self.title, text=text, figures=(Drawing(figure=drawn, caption=caption),), tables=tables)


def _first_above(found: pd.DataFrame, labels: Mapping[str, str], score: str) -> Table:
    told = [
        "—" if row["step"] != row["step"] else f"step {row['step']:.0f}, {row['seconds']:.0f} s"
        for row in found.to_dict("records")
    ]
    wide = found.assign(told=told).pivot(index="threshold", columns="arm", values="told")
    shown = wide[[arm for arm in labels if arm in wide]].rename(columns=labels).rename_axis(columns=None).reset_index()
    shown["threshold"] = shown["threshold"].map("{:g}".format)
    shown = shown.rename(columns={"threshold": "above"})
    return Table(shown=shown, caption=f"When the median {score} of each arm was first above a value.", numbers=found)


@part
class ParallelDistances:
    """Distances of two parallel lines as critics estimate them, over theta; needs `EstimatedDivergences`.

    `theta` names the factor that holds the distance of the lines.
    """

    theta: str = "generator.density.theta"
    title: str = "Parallel lines"

    def render(self, results: Results) -> Section:
        """A panel per distance with its closed form, and a table."""
        import numpy as np
        import pandas as pd

        from gansweep import portrait_figures, portrayed

        if self.theta not in results.trials or not len(results.steps):
            return nothing(self.title, f"Nothing to show yet: no trial has a {self.theta}.")
        found, labels = portrayed.parallel_lines(results, self.theta), arm_labels(results.plan)
        if found.empty:
            return nothing(self.title, NO_PORTRAIT)
        reach = float(np.abs(found["theta"]).max()) or 1.0
        # close to 0 on both sides, where all but the first jump
        theta = np.array([*np.linspace(-reach, -1e-6, 50), 0.0, *np.linspace(1e-6, reach, 50)])
        closed = pd.concat(
            [
                pd.DataFrame({"distance": name, "theta": theta, "value": portrayed.closed_form(name, theta)})
                for name in portrayed.DISTANCES
            ]
        )
        drawn = portrait_figures.parallel_distances(found, closed, list(labels), labels, ESTIMATES)
        text = (
            "Only critics are trained; the generator is fixed at the line theta. The Wasserstein distance is what a "
            "critic estimates, E D(x) - E D(G(z)), over its largest slope between the lines; the others are lower "
            "bounds from the discriminator of the standard GAN, at fresh points. Kullback-Leibler is infinite but at "
            "0, so its estimate grows for as long as the discriminator is trained.",
        )
        caption = "Estimates (median and extremes over seeds) beside the closed forms of Arjovsky et al. 2017, "
        caption += "example 1, with the half in the Jensen-Shannon divergence that its value log 2 needs. "
        caption += "A bar that leaves its panel is whole in the table."
        return Section(
            title=self.title,
            text=text,
            figures=(Drawing(figure=drawn, caption=caption),),
            tables=(_distance_table(found, labels),),
        )


ESTIMATES = {
    "wasserstein": "critic's estimate",
    "earth_mover": "exact, between samples",
    "estimated_js": "lower bound",
    "estimated_tv": "lower bound",
    "estimated_kl": "lower bound",
}


def _distance_table(found: pd.DataFrame, labels: Mapping[str, str]) -> Table:
    from gansweep import portrayed

    table = found[found["column"] != "earth_mover"].copy()
    pairs = zip(table["distance"], table["theta"], strict=True)
    table["closed_form"] = [float(portrayed.closed_form(name, theta)) for name, theta in pairs]
    shown = table.assign(
        arm=table["arm"].map(labels),
        estimate=[f"{r['median']:.3g} ({r['low']:.3g} to {r['high']:.3g})" for r in table.to_dict("records")],
        closed=table["closed_form"].map("{:.3g}".format),
    )[["distance", "arm", "theta", "estimate", "closed"]].rename(columns={"closed": "closed form"})
    shown["theta"] = shown["theta"].map("{:g}".format)
    return Table(shown=shown, caption="Estimates over seeds beside the closed forms.", numbers=table)


@part
class BetweenGaussians:
    """What discriminators answer between two Gaussians; needs `CriticSurface` on data with one coordinate."""

    title: str = "Between two Gaussians"

    def render(self, results: Results) -> Section:
        """Three panels: densities, answers, slopes; and the least slope where data are."""
        import pandas as pd

        from gansweep import portrait_figures, portrayed

        sure = portrayed.answers_with_probability(results)
        lines, known = [], None
        for row in portrayed.rows(results, "surface", every=True):
            for arm, arrays in row.panels.items():
                if "p" not in arrays:
                    continue
                answer, slope = portrayed.answer(arrays, sure[arm])
                known = arrays
                frame = {"x": arrays["x"][-1], "answer": answer, "slope": slope, "arm": arm, "cell": row.cell}
                lines.append(pd.DataFrame({**frame, "probability": sure[arm]}))
        if known is None:
            return nothing(self.title, NO_PORTRAIT)
        labels = arm_labels(results.plan)
        drawn_cells = {str(line["cell"].iloc[0]) for line in lines}
        densities = pd.DataFrame({name: known[name][-1] for name in ("x", "p", "q")})
        densities["best"] = densities["p"] / (densities["p"] + densities["q"])
        drawn = portrait_figures.between_gaussians(pd.concat(lines), densities, list(labels), labels)
        text = (
            "A standard GAN's discriminator answers with a probability, the best one being p / (p + q); a critic "
            "answers with any number, drawn here from 0 to 1 of its own range. Where an answer is level it tells the "
            "generator nothing.",
        )
        caption = "Densities of data and samples, the answers of every trial, and their slopes relative to the largest."
        columns = {
            "surface_saturation": "least slope of sigmoid(score) over the largest",
            "surface_linearity": "least slope of the score over the largest",
        }
        return Section(
            title=self.title,
            text=text,
            figures=(Drawing(figure=drawn, caption=caption),),
            tables=_spread_table(results, columns, "Slopes where data and samples are.", drawn_cells),
        )
