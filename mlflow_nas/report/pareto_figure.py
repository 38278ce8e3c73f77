"""The Pareto front as a PNG.

The first objective is the y axis, the second the x axis; with a single objective x is the trial's number. The
groups of points differ in colour and in marker.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlflow_nas.report.front import front_of, is_measured
from mlflow_nas.types import Objective, TrialResult

__all__ = ["pareto_png"]


class _Group(NamedTuple):
    """Points of one kind, with matplotlib's and plotly's name of their marker."""

    label: str
    colour: str
    marker: str
    symbol: str
    members: list[TrialResult]
    is_front: bool = False


def _groups(results: Sequence[TrialResult], objectives: Sequence[Objective]) -> list[_Group]:
    """The results with a point, each in one group; Okabe and Ito's colours suit colour blindness."""
    measured = [one for one in results if is_measured(one, objectives)]
    front = front_of(results, objectives)
    on_front = {id(one) for one in front}
    reference = [one for one in measured if one.role == "baseline"]
    others = [one for one in measured if one.role != "baseline" and id(one) not in on_front]
    complete = [one for one in others if one.state == "complete"]
    infeasible = [one for one in others if one.state == "infeasible"]
    groups = [
        _Group("dominated", "#999999", "o", "circle", complete),
        _Group("outside a limit", "#CC79A7", "x", "x", infeasible),
        _Group("Pareto front", "#0072B2", "s", "square", front, is_front=True),
        _Group("baseline", "#D55E00", "D", "diamond-open", reference),
    ]
    return [group for group in groups if group.members]


def _title(results: Sequence[TrialResult], objectives: Sequence[Objective]) -> str:
    """The number of results with a point, and of those without one by state."""
    missing = [one.state for one in results if not is_measured(one, objectives)]
    counts = [f"{missing.count(state)} {state}" for state in dict.fromkeys(missing)]
    return f"{len(results) - len(missing)} trials" + (
        f"; without a point: {', '.join(counts)}" if counts else ""
    )


def _xy(result: TrialResult, objectives: Sequence[Objective]) -> tuple[float, float]:
    y = result.metrics[objectives[0].name]
    return (result.metrics[objectives[1].name] if len(objectives) > 1 else float(result.number or 0)), y


def _axes(objectives: Sequence[Objective]) -> tuple[str, str]:
    """Labels of x and y: the metrics' names with their directions."""
    labels = [f"{one.name} ({'higher' if one.maximize else 'lower'} is better)" for one in objectives]
    return (labels[1] if len(labels) > 1 else "trial"), labels[0]


def pareto_png(
    results: Sequence[TrialResult],
    objectives: Sequence[Objective],
    path: Path,
    *,
    finalists: Sequence[TrialResult] = (),
    champion: str | None = None,
    given: TrialResult | None = None,
) -> Path:
    """Write the results as points and the front of two objectives as a step line, as a PNG.

    Args:
        results: of the study's trials.
        objectives: the first is the y axis.
        path: of the file.
        finalists: drawn with the 95 % interval of the first objective.
        champion: key of the network to ship, which is marked; None for none.
        given: the detector as it was given; None for none.
    """
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for group in _groups(results, objectives):
        xs, ys = zip(*(_xy(member, objectives) for member in group.members), strict=True)
        if group.is_front:
            for member, x, y in zip(group.members, xs, ys, strict=True):
                axes.annotate(member.key, (x, y), xytext=(4, -10), textcoords="offset points", fontsize=7)
            if len(objectives) == 2:
                axes.step(xs, ys, where="post", color=group.colour, linewidth=1)
        hollow = group.label == "baseline"  # the reference may be on the front, too
        axes.scatter(
            xs,
            ys,
            s=80 if hollow else 30,
            label=group.label,
            marker=group.marker,
            zorder=3,
            edgecolors=group.colour if group.marker != "x" else None,
            facecolors="none" if hollow else group.colour,
        )
    if given is not None and is_measured(given, objectives):
        axes.scatter(*_xy(given, objectives), s=50, label="as given", marker="^", color="#000000", zorder=4)
    _draw_finalists(axes, [one for one in finalists if is_measured(one, objectives)], objectives, champion)
    x_label, y_label = _axes(objectives)
    axes.set(xlabel=x_label, ylabel=y_label, title=_title(results, objectives))
    axes.grid(alpha=0.3)
    _add_ratio_axis(axes, results, objectives)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best")
    figure.savefig(path)
    return path


def _draw_finalists(
    axes: Axes, finalists: Sequence[TrialResult], objectives: Sequence[Objective], champion: str | None
) -> None:
    name = objectives[0].name
    for one in finalists:
        x, y = _xy(one, objectives)
        is_champion = one.key == champion
        colour, marker = ("#E69F00", "*") if is_champion else ("#009E73", "D")
        ends = [one.metrics.get(f"{name}_ci_{end}", y) for end in ("low", "high")]
        label = "champion" if is_champion else "finalist, 95 % interval"
        known = axes.get_legend_handles_labels()[1]
        axes.errorbar(
            [x],
            [y],
            yerr=[[y - ends[0]], [ends[1] - y]],
            fmt=marker,
            markersize=13 if is_champion else 6,
            color=colour,
            capsize=3,
            zorder=4,
            label=None if label in known else label,
        )


def _add_ratio_axis(axes: Axes, results: Sequence[TrialResult], objectives: Sequence[Objective]) -> None:
    """Above, where x is the latency: its ratio to the reference model's; both are proportional."""
    if len(objectives) < 2 or objectives[1].name != "latency_ms":
        return
    factors = (
        one.metrics["latency_ratio"] / one.metrics["latency_ms"]
        for one in results
        if one.metrics.get("latency_ms") and "latency_ratio" in one.metrics
    )
    factor = next(factors, None)
    if factor:
        upper = axes.twiny()
        upper.set(xlabel="latency_ratio", xlim=[end * factor for end in axes.get_xlim()])
