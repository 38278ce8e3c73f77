"""Bar chart of what int8 costs in each layer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["sensitivity_png"]

MOST_ROWS = 40


def sensitivity_png(rows: Sequence[Mapping[str, object]], path: Path, *, title: str) -> Path:
    """Write a bar per layer as a PNG, the first row on top; at most 40 rows.

    Args:
        rows: each with "layer" and "output_error".
        path: of the PNG.
        title: above the bars.
    """
    shown = list(rows)[:MOST_ROWS]
    figure = Figure(figsize=(8, 1.2 + 0.24 * len(shown)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.barh(range(len(shown)), [float(str(row["output_error"])) for row in shown], 0.7, color="#0072B2")
    axes.set_yticks(range(len(shown)), [str(row["layer"]) for row in shown])
    axes.invert_yaxis()
    axes.set(xlabel="output error with this layer alone in int8 (relative RMS)", title=title)
    axes.grid(axis="x", alpha=0.3)
    figure.savefig(path)
    return path
