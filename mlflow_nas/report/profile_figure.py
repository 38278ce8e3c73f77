"""Bar chart of a model's time by module."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["profile_png"]

COLOURS = {"fp32": "#999999", "int8": "#0072B2"}  # Okabe and Ito's
MOST_ROWS = 30


def profile_png(
    rows: Sequence[Mapping[str, object]], path: Path, *, title: str, precisions: Sequence[str]
) -> Path:
    """Write a bar per row and precision as a PNG, the first row on top; at most 30 rows.

    Args:
        rows: each with "module" and PRECISION_ms.
        path: of the PNG.
        title: above the bars.
        precisions: "fp32", "int8" or both.
    """
    shown = list(rows)[:MOST_ROWS]
    figure = Figure(figsize=(8, 1.2 + 0.34 * len(shown)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    height = 0.8 / len(precisions)
    for number, precision in enumerate(precisions):
        places = [index + (number - (len(precisions) - 1) / 2) * height for index in range(len(shown))]
        values = [float(str(row[f"{precision}_ms"])) for row in shown]
        axes.barh(places, values, height, color=COLOURS[precision], label=precision)
    axes.set_yticks(range(len(shown)), [str(row["module"]) for row in shown])
    axes.invert_yaxis()
    axes.set(xlabel="time of the nodes (ms)", title=title)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path)
    return path
