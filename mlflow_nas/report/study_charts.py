"""The charts of a study's page."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mlflow_nas.report.front import front_of, is_measured
from mlflow_nas.report.study import StudyReport
from mlflow_nas.report.svg import Axis, Point, Series, scatter
from mlflow_nas.report.svg_bars import Bar, bars
from mlflow_nas.report.svg_parts import SMALL
from mlflow_nas.types import TrialResult

__all__ = [
    "Chart",
    "flops_chart",
    "front_chart",
    "front_series",
    "hypervolume_chart",
    "importance_charts",
    "int8_chart",
    "layers_chart",
    "selection_chart",
    "tip",
]

_MOST_BARS = 14


class Chart(NamedTuple):
    """An SVG with the series of its legend."""

    svg: str
    series: tuple[Series, ...] = ()


def front_chart(report: StudyReport) -> Chart:
    """The first objective against the second one; with one objective against the trial's number."""
    series = front_series(report)
    svg = scatter(series, _x_axis(report), Axis(report.accuracy), title="Pareto front of the study")
    return Chart(svg, tuple(one for one in series if one.points))


def front_series(report: StudyReport) -> list[Series]:
    """All results with a point, each in one group, what matters most on top."""
    measured = [one for one in report.results if is_measured(one, report.objectives)]
    front = front_of(report.results, report.objectives)
    members = {id(one) for one in front}
    others = [one for one in measured if id(one) not in members]
    stable = [one for one in others if not one.latency_unstable]

    def groups(name: str, kind: str, form: str, found: Iterable[TrialResult], line: str = "") -> Series:
        return Series(name, kind, form, [_point(report, one) for one in found], line)

    references = [one for one in (report.given,) if one is not None and is_measured(one, report.objectives)]
    finalists = [one for one in report.finalists if is_measured(one, report.objectives)]
    best = [one for one in finalists or front if one.key in (report.champion, report.nearest)]
    return [
        groups("dominated", "dominated", "circle", [one for one in stable if one.state == "complete"]),
        groups(
            "outside a limit", "infeasible", "cross", [one for one in stable if one.state == "infeasible"]
        ),
        groups("Pareto front", "front", "square", front, "step" if len(report.objectives) == 2 else ""),
        groups("latency unstable", "unstable", "plus", [one for one in measured if one.latency_unstable]),
        groups("baseline", "baseline", "triangle", [one for one in measured if one.role == "baseline"]),
        groups(
            "finalist, 95 % interval", "finalist", "diamond", [one for one in finalists if one not in best]
        ),
        groups("detector as given", "reference", "triangle", references),
        Series(
            "champion" if report.champion else "nearest to the goal",
            "champion",
            "star",
            [_point(report, one)._replace(label=one.key) for one in best[:1]],
        ),
    ]


def _x_axis(report: StudyReport) -> Axis:
    """Latency has the ratio to the reference model as a second scale."""
    if len(report.objectives) < 2:
        return Axis("trial", whole=True)
    name = report.objectives[1].name
    return Axis(name, _ratio_scale(report)) if name == "latency_ms" else Axis(name)


def _ratio_scale(report: StudyReport) -> tuple[str, float] | None:
    """Milliseconds to the ratio: both are proportional within a study."""
    for one in report.results:
        if one.metrics.get("latency_ms") and "latency_ratio" in one.metrics:
            factor = one.metrics["latency_ratio"] / one.metrics["latency_ms"]
            return "latency_ratio, to the reference model", factor
    return None


def _point(report: StudyReport, result: TrialResult) -> Point:
    x = result.metrics[report.objectives[1].name] if len(report.objectives) > 1 else float(result.number or 0)
    name = report.accuracy
    ends = tuple(
        result.metrics[f"{name}_ci_{end}"] for end in ("low", "high") if f"{name}_ci_{end}" in result.metrics
    )
    interval = (ends[0], ends[1]) if len(ends) == 2 else None
    return Point(x, result.metrics[name], tip(report, result), report.link(result), interval)


def tip(report: StudyReport, result: TrialResult) -> str:
    """Lines beside a point: its name, values and architecture."""
    number = "" if result.number is None else f"trial {result.number}, "
    names = [*(one.name for one in report.objectives), "latency_ratio", "speedup"]
    values = [f"{name} {result.metrics[name]:.4g}" for name in dict.fromkeys(names) if name in result.metrics]
    state = [] if result.state == "complete" else [f"{result.state}: {result.error or 'outside a limit'}"]
    unstable = ["latency unstable"] if result.latency_unstable else []
    choices = [f"{name} = {value}" for name, value in result.architecture.items()]
    return "\n".join([f"{number}{result.role}, {result.key}", *values, *state, *unstable, *choices])


def _of_metrics(report: StudyReport, x: str, y: str, *, unit: float = 1.0) -> list[Series]:
    """Complete trials by two metrics, x in units, the Pareto front apart."""
    complete = [one for one in report.results if one.state == "complete" and {x, y} <= one.metrics.keys()]
    members = {id(one) for one in front_of(report.results, report.objectives)}

    def points(wanted: Callable[[TrialResult], bool]) -> list[Point]:
        return [
            Point(one.metrics[x] / unit, one.metrics[y], tip(report, one), report.link(one))
            for one in complete
            if wanted(one)
        ]

    return [
        Series("trial", "dominated", "circle", points(lambda one: id(one) not in members)),
        Series("Pareto front", "front", "square", points(lambda one: id(one) in members)),
    ]


def flops_chart(report: StudyReport) -> Chart:
    """Measured latency against counted FLOPs."""
    found = _of_metrics(report, "flops", "latency_ms", unit=1e6)
    return Chart(
        scatter(found, Axis("MFLOPs"), Axis("latency_ms"), title="Latency against FLOPs", size=SMALL),
        tuple(found),
    )


def int8_chart(report: StudyReport) -> Chart:
    """Accuracy of the int8 file against that of the float network."""
    float_name = f"{report.accuracy}_fp32"
    found = _of_metrics(report, float_name, report.accuracy)
    svg = scatter(
        found,
        Axis(f"{report.accuracy} of the float network"),
        Axis(f"{report.accuracy} of the int8 file"),
        title="Accuracy in int8 against float",
        diagonal=True,
        size=SMALL,
    )
    return Chart(svg, tuple(found))


def hypervolume_chart(report: StudyReport) -> Chart:
    """The hypervolume of the trials so far."""
    points = [
        Point(number, value, f"after {number} trials\nhypervolume {value:.4f}")
        for number, value in enumerate(report.hypervolume, start=1)
    ]
    series = (Series("hypervolume", "front", "", points, "step"),)
    return Chart(
        scatter(
            series, Axis("finished trials", whole=True), Axis("hypervolume"), title="Hypervolume", size=SMALL
        )
    )


def importance_charts(report: StudyReport) -> dict[str, str]:
    """Objective to bars of the choices' importance."""
    return {
        name: bars(
            [Bar(choice, {"front": share}, f"{share:.0%}") for choice, share in shares.items()],
            title=f"Importance of the choices for {name}",
            size=SMALL,
        )
        for name, shares in report.importance.items()
    }


def layers_chart(report: StudyReport) -> str:
    """Milliseconds of each module, the reference's above the champion's."""
    rows = [
        Bar(
            str(row["module"]),
            {"reference": row["reference_ms"], "champion": row["champion_ms"]},
            f"{row['reference_ms']:.2f} to {row['champion_ms']:.2f} ms",
        )
        for row in _slowest(report.layers)
    ]
    return bars(rows, title="Time of each module")


def _slowest(layers: Sequence[Any]) -> list[Any]:
    return sorted(layers, key=lambda row: -max(row["reference_ms"], row["champion_ms"]))[:_MOST_BARS]


def selection_chart(report: StudyReport) -> str:
    """Kendall's tau of each strategy with its interval, best first."""
    strategies = (report.selection or {}).get("strategies", ())
    known = [row for row in strategies if row.get("tau") is not None][:_MOST_BARS]
    rows = [
        Bar(row["name"], {"front": row["tau"]}, f"tau {row['tau']:.2f}", _interval(row.get("ci")))
        for row in known
    ]
    return bars(rows, title="Rank correlation of the strategies")


def _interval(ends: Sequence[float | None] | None) -> tuple[float, float] | None:
    if ends is None or ends[0] is None or ends[1] is None:
        return None
    return ends[0], ends[1]
