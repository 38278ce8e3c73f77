"""The page of a study: what to ship and why, then how it was found."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from mlflow_nas.networks import TASK_METRICS
from mlflow_nas.report.figures import accuracy_text, duration, network_row, signed, size, value
from mlflow_nas.report.image_pairs import image_pairs
from mlflow_nas.report.page import render, svg
from mlflow_nas.report.study import StudyReport
from mlflow_nas.report.study_charts import (
    Chart,
    flops_chart,
    front_chart,
    hypervolume_chart,
    importance_charts,
    int8_chart,
    layers_chart,
    selection_chart,
)
from mlflow_nas.report.tables import table_columns
from mlflow_nas.types import TrialResult

__all__ = ["write_study_page"]

_SPEEDUPS = {
    "strategy": "strategy",
    "searches": "searches",
    "trainings": "trainings",
    "cold_s": "cold s",
    "amortised_s": "amortised s",
    "speedup_cold": "speed-up cold",
    "speedup_amortised": "speed-up amortised",
    "best_quality": "best quality",
    "hypervolume": "hypervolume",
}


class _Tile(NamedTuple):
    label: str
    value: str
    details: tuple[str, ...]


def write_study_page(report: StudyReport, path: Path, *, created: datetime | None = None) -> Path:
    """Write one HTML file that loads nothing: it can be mailed, printed, and opened in MLflow's UI.

    Args:
        report: the study.
        path: of the file.
        created: None for now.
    """
    shown, networks = report.shown, _networks(report)
    page = render(
        "study.html",
        title=f"Study {report.study}",
        report=report,
        created=(created or datetime.now(UTC)).strftime("%d %B %Y, %H:%M UTC"),
        headline=_headline(report),
        tiles=_tiles(report, shown) if shown is not None else [],
        networks=networks,
        ship_row=next(
            (place for place, row in enumerate(networks) if row["network"] == _title(report)), None
        ),
        shown_key=shown.key if shown else "",
        front=_ready(front_chart(report)),
        pairs=image_pairs(report),
        thresholds={name: _rounded(found) for name, found in report.thresholds.items()},
        layers=svg(layers_chart(report)) if report.layers else "",
        hypervolume=_ready(hypervolume_chart(report)),
        flops=_ready(flops_chart(report)),
        int8=_ready(int8_chart(report)),
        importance={name: svg(chart) for name, chart in importance_charts(report).items()},
        complete=sum(one.state == "complete" for one in report.results),
        selection=svg(selection_chart(report)) if report.selection else "",
        seconds=[{"part": name, "time": duration(seconds)} for name, seconds in report.seconds.items()],
        speedups=[
            {title: _cell(row.get(name)) for name, title in _SPEEDUPS.items()} for row in report.speedups
        ],
        environment=[
            {"what": name, "value": found} for name, found in {**report.settings, **report.facts}.items()
        ],
        trials=_trials(report),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


def _headline(report: StudyReport) -> str:
    if report.champion and report.shown is not None:
        return f"Ship {report.champion}"
    if report.answer:
        return "Nothing was gained"
    return "The search has not ended"


def _title(report: StudyReport) -> str:
    return "champion" if report.champion else "nearest to the goal"


def _tiles(report: StudyReport, shown: TrialResult) -> list[_Tile]:
    reference, name = report.reference, report.accuracy
    prefix = "" if report.champion else "Nearest to the goal: "
    speedup = shown.metrics.get("speedup")
    return [
        _Tile(
            f"{prefix}speed",
            "-" if speedup is None else f"{speedup:.2f}x",
            (
                f"{value(shown, 'latency_ms', '#.3g')} ms",
                f"reference {value(reference, 'latency_ms', '#.3g')} ms",
            ),
        ),
        _Tile(f"{prefix}{name}", value(shown, name, ".3f"), tuple(_accuracy_lines(report, shown))),
        _Tile(
            f"{prefix}file",
            size(_size_of(shown)),
            (
                f"reference {size(_size_of(reference))}",
                f"{value(shown, 'params', ',.0f')} parameters",
            ),
        ),
        _Tile(
            "cost of the search",
            duration(sum(report.seconds.values())) if report.seconds else "-",
            (f"{len(report.results)} trials, {len(report.finalists)} trained to the end",),
        ),
    ]


def _size_of(result: TrialResult | None) -> float | None:
    return None if result is None else result.metrics.get("model_size_bytes")


def _accuracy_lines(report: StudyReport, shown: TrialResult) -> list[str]:
    """The interval, the reference's value, and the difference with its interval."""
    name, reference, metrics = report.accuracy, report.reference, shown.metrics
    lines = [f"95 %: {accuracy_text(shown, name).partition('(')[2].rstrip(')')}"]
    if f"{name}_ci_low" not in metrics:
        lines = []
    if reference is not None and name in reference.metrics:
        difference = metrics[name] - reference.metrics[name]
        lines.append(f"reference {value(reference, name, '.3f')}: {signed(difference)}")
    ends = [metrics.get(f"{name}_difference_ci_{end}") for end in ("low", "high")]
    if ends[0] is not None and ends[1] is not None:
        lines.append(f"95 % of it: {signed(ends[0])} to {signed(ends[1])}")
    return lines


def _networks(report: StudyReport) -> list[dict[str, str]]:
    """Reference, baseline and finalists beside each other."""
    also = [name for names in TASK_METRICS.values() if report.accuracy in names for name in names]
    known = report.shown.metrics if report.shown else {}
    names = [name for name in dict.fromkeys((report.accuracy, *also)) if name in known]
    shown, baseline = report.shown, report.baseline
    rows = [("detector as given", report.given)] if report.given else []
    rows += [("baseline", baseline)] if baseline is not None and baseline is not shown else []
    rows += [(_title(report), shown)] if shown is not None else []
    taken = {id(one) for _, one in rows}
    rows += [("finalist", one) for one in report.finalists if id(one) not in taken]
    return [network_row(title, one, list(dict.fromkeys(names))) for title, one in rows if one is not None]


def _trials(report: StudyReport) -> list[dict[str, object]]:
    columns = table_columns(report.results, report.objectives)
    wanted = ["trial", "key", "role", "state", "front", *(one.name for one in report.objectives)]
    wanted += ["latency_ratio", "speedup", "flops", "params", "model_size_bytes", "error"]
    chosen = [name for name in dict.fromkeys(wanted) if any(v is not None for v in columns.get(name, ()))]
    rows = zip(*(columns[name] for name in chosen), strict=True)
    return [dict(zip(chosen, map(_cell, row), strict=True)) for row in rows]


def _cell(found: object) -> str:
    if found is None:
        return "-"
    if isinstance(found, bool):
        return "yes" if found else ""
    return f"{found:.4g}" if isinstance(found, float) and abs(found) < 1e4 else _whole(found)


def _whole(found: object) -> str:
    return f"{found:,.0f}" if isinstance(found, float) else str(found)


def _rounded(found: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{number:.2f}" for name, number in found.items()}


def _ready(chart: Chart) -> Chart:
    return chart._replace(svg=svg(chart.svg))
