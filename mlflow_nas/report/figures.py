"""The Pareto front as a PNG and as one self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlflow_nas.report.front import front_of, point
from mlflow_nas.types import Evaluation

__all__ = ["pareto_html", "pareto_png"]

# Okabe and Ito's colours, told apart also with colour blindness.
FRONT, OTHER, BASELINE = "#0072B2", "#999999", "#D55E00"
X_LABEL, Y_LABEL = "latency on the board (ms)", "mAP .5:.95 of the measured file"


def _baseline(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    return [
        evaluation for evaluation in evaluations if evaluation.number == 0 and evaluation.state == "complete"
    ]


def _groups(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, list[Evaluation]]]:
    """Label, colour and members of each kind of point."""
    complete = [evaluation for evaluation in evaluations if evaluation.state == "complete"]
    return [
        ("trial", OTHER, complete),
        ("Pareto front", FRONT, front_of(evaluations)),
        ("baseline", BASELINE, _baseline(evaluations)),
    ]


def pareto_png(evaluations: Sequence[Evaluation], path: Path) -> Path:
    """Write map against latency_ms of the complete trials, the front as a step line, as a PNG."""
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for label, colour, members in _groups(evaluations):
        xs, ys = [point(member)[1] for member in members], [point(member)[0] for member in members]
        if label == "Pareto front":
            axes.step(xs, ys, where="post", color=colour, linewidth=1)
            for member, x, y in zip(members, xs, ys, strict=True):
                axes.annotate(member.key, (x, y), xytext=(4, -10), textcoords="offset points", fontsize=7)
        marker = "D" if label == "baseline" else "o"
        axes.scatter(xs, ys, color=colour, label=label, marker=marker, zorder=3, s=30)
    axes.set(xlabel=X_LABEL, ylabel=Y_LABEL)
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    figure.savefig(path)
    return path


def pareto_html(evaluations: Sequence[Evaluation], path: Path) -> Path:
    """Write the same as an interactive page that loads nothing from elsewhere."""
    figure = go.Figure()
    for label, colour, members in _groups(evaluations):
        on_front = label == "Pareto front"
        figure.add_trace(
            go.Scatter(
                x=[point(member)[1] for member in members],
                y=[point(member)[0] for member in members],
                text=[_hover(member) for member in members],
                hovertemplate="%{text}<extra></extra>",
                name=label,
                mode="lines+markers" if on_front else "markers",
                line={"shape": "hv", "color": colour},
                marker={
                    "color": colour,
                    "size": 10,
                    "symbol": "diamond" if label == "baseline" else "circle",
                },
            )
        )
    figure.update_layout(xaxis_title=X_LABEL, yaxis_title=Y_LABEL, template="plotly_white")
    figure.write_html(path, include_plotlyjs=True, full_html=True)
    return path


def _hover(evaluation: Evaluation) -> str:
    accuracy, latency_ms = point(evaluation)
    return f"trial {evaluation.number}: {evaluation.key}<br>mAP {accuracy:.3f}<br>{latency_ms:.2f} ms"
