"""Figure and description of a selection of an estimation strategy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["selection_description", "selection_png"]

Row: TypeAlias = Mapping[str, Any]
"""A strategy: name, family, tau, ci, tau_bbc, seconds, indistinguishable, excluded."""

# Okabe and Ito's colours suit colour blindness.
COLOURS = {
    "zero-cost": "#0072B2",
    "learning-curve": "#E69F00",
    "model-based": "#009E73",
    "hybrid": "#CC79A7",
    "aggregation": "#56B4E9",
    "one-shot": "#D55E00",
}
OTHER = "#999999"
FASTEST_S = 1e-6
SHOWN = 40


def selection_png(result: Row, path: Path) -> Path:
    """Write tau with its interval per strategy, and against the seconds per candidate, as a PNG.

    Args:
        result: the selection as plain values; its strategies best first.
        path: of the PNG.
    """
    rows = [row for row in result["strategies"] if row["missing"] < 1][:SHOWN]
    figure = Figure(figsize=(12, 1.6 + 0.22 * max(len(rows), 12)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _intervals(left, rows, result)
    _costs(right, rows)
    figure.suptitle(result["reason"], fontsize=10, wrap=True)
    figure.savefig(path)
    return path


def _intervals(axes: Axes, rows: Sequence[Row], result: Row) -> None:
    for place, row in enumerate(rows):
        axes.errorbar(
            row["tau"],
            place,
            xerr=[[max(row["tau"] - row["ci"][0], 0)], [max(row["ci"][1] - row["tau"], 0)]],
            fmt="o" if row["excluded"] is None else "x",
            color=_colour(row),
            markersize=4,
            linewidth=1,
        )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.5)
    if result["noise_ceiling"] is not None:
        axes.axvline(result["noise_ceiling"], color="black", linestyle=":", label="noise ceiling")
    if result["tau_bbc"] is not None:
        axes.axvline(result["tau_bbc"], color="black", linestyle="--", label="corrected tau of the choice")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize=7)
    axes.set(xlabel=f"tau-b on {result['samples']} architectures, 95 % interval")
    axes.grid(axis="x", alpha=0.3)


def _label(row: Row) -> str:
    """The name, with a star when the strategy is indistinguishable from the winner."""
    return f"{row['name']} *" if row["indistinguishable"] else str(row["name"])


def _costs(axes: Axes, rows: Sequence[Row]) -> None:
    known = [row for row in rows if row["seconds"] is not None]
    for family in dict.fromkeys(row["family"] for row in known):
        members = [row for row in known if row["family"] == family]
        seconds = [max(row["seconds"], FASTEST_S) for row in members]
        axes.errorbar(
            seconds,
            [row["tau"] for row in members],
            yerr=[
                [max(row["tau"] - row["ci"][0], 0) for row in members],
                [max(row["ci"][1] - row["tau"], 0) for row in members],
            ],
            fmt="o",
            color=_colour(members[0]),
            label=family,
            markersize=4,
            linewidth=0.6,
        )
        for row, second in zip(members, seconds, strict=True):
            place = (second, row["tau"])
            axes.annotate(row["name"], place, xytext=(4, 2), textcoords="offset points", fontsize=6)
    if known:
        axes.set_xscale("log")
        axes.legend(loc="best", fontsize=7)
    else:
        axes.text(0.5, 0.5, "costs unknown", ha="center", transform=axes.transAxes)
    axes.set(xlabel="seconds per candidate", ylabel="tau-b")
    axes.grid(alpha=0.3)


def _colour(row: Row) -> str:
    return COLOURS.get(row["family"], OTHER)


def selection_description(result: Row) -> str:
    """Markdown for the selection's run: the decision, and the strategies best first."""
    lines = [
        f"**{result['reason']}** (selection of a strategy on {result['samples']} architectures).  ",
        "Indistinguishable from the winner (*): " + (", ".join(result["indistinguishable"]) or "-") + ".",
        "",
        "| strategy | family | tau | 95 % | corrected | P(best) | s / candidate |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["strategies"]:
        cells = [
            _label(row),
            row["family"],
            f"{row['tau']:.2f}",
            f"{row['ci'][0]:.2f}..{row['ci'][1]:.2f}",
            f"{row['tau_bbc']:.2f}",
            f"{row['probability_best']:.2f}",
            "-" if row["seconds"] is None else f"{row['seconds']:.2g}",
        ]
        lines.append(f"| {' | '.join(cells)} |{' ' + row['excluded'] if row['excluded'] else ''}")
    return "\n".join(lines)
