"""The page of two studies: other settings, or the same on two boards."""

from datetime import UTC, datetime
from pathlib import Path

from mlflow_nas.report.figures import network_row, value
from mlflow_nas.report.front import front_of, is_measured
from mlflow_nas.report.page import render, svg
from mlflow_nas.report.study import StudyReport
from mlflow_nas.report.study_charts import tip
from mlflow_nas.report.svg import Axis, Point, Series, scatter
from mlflow_nas.types import TrialResult

__all__ = ["write_comparison_page"]


def write_comparison_page(
    first: StudyReport, second: StudyReport, path: Path, *, created: datetime | None = None
) -> Path:
    """Write one self-contained HTML file.

    Args:
        first: a study.
        second: another one of the same objectives.
        path: of the file.
        created: None for now.
    """
    series = [*_series(first, "front", "square"), *_series(second, "champion", "diamond")]
    x_name = first.objectives[1].name if len(first.objectives) > 1 else "trial"
    page = render(
        "comparison.html",
        title=f"{first.study} and {second.study}",
        created=(created or datetime.now(UTC)).strftime("%d %B %Y, %H:%M UTC"),
        studies=(first, second),
        networks=[row for one in (first, second) for row in _networks(one)],
        series=series,
        chart=svg(scatter(series, Axis(x_name), Axis(first.accuracy), title="Both studies")),
        shared=_shared(first, second),
        differences=_differences(first, second),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _series(report: StudyReport, kind: str, form: str) -> list[Series]:
    """The study's front as a line, its other trials as small marks of the same colour."""
    front = front_of(report.results, report.objectives)
    members = {id(one) for one in front}
    others = [one for one in report.results if is_measured(one, report.objectives) and id(one) not in members]
    name = f"{report.study} ({report.settings.get('board', 'unknown board')})"
    return [
        Series(f"{name}, dominated", f"{kind} faint", "circle", [_point(report, one) for one in others]),
        Series(f"{name}, Pareto front", kind, form, [_point(report, one) for one in front], "step"),
    ]


def _point(report: StudyReport, result: TrialResult) -> Point:
    x = result.metrics[report.objectives[1].name] if len(report.objectives) > 1 else float(result.number or 0)
    return Point(
        x,
        result.metrics[report.accuracy],
        f"{report.study}\n{tip(report, result)}",
        report.link(result),
    )


def _networks(report: StudyReport) -> list[dict[str, str]]:
    """What each study compares with, and ships."""
    title = "champion" if report.champion else "nearest to the goal"
    rows = [("reference", report.reference), (title, report.shown)]
    return [
        {"study": report.study, **network_row(name, one, [report.accuracy])}
        for name, one in rows
        if one is not None
    ]


def _shared(first: StudyReport, second: StudyReport) -> list[dict[str, str]]:
    """Architectures that both have: on two boards their ratios tell whether one search serves both."""
    others = {one.key: one for one in second.results if one.state == "complete"}
    return [
        {
            "architecture": one.key,
            **{
                f"{name}, {report.study}": value(result, name)
                for name in (first.accuracy, "latency_ratio", "latency_ms")
                for report, result in ((first, one), (second, others[one.key]))
            },
        }
        for one in first.results
        if one.state == "complete" and one.key in others
    ]


def _differences(first: StudyReport, second: StudyReport) -> list[dict[str, str]]:
    """Settings and facts of the board that differ."""
    known = [{**one.settings, **one.facts} for one in (first, second)]
    names = dict.fromkeys([*known[0], *known[1]])
    return [
        {"what": name, first.study: known[0].get(name, "-"), f"{second.study} ": known[1].get(name, "-")}
        for name in names
        if known[0].get(name) != known[1].get(name)
    ]
