"""What a detector sees in a photograph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

__all__ = ["draw_detections"]

Found = tuple[NDArray[np.float32], Sequence[float], Sequence[str]]
"""Boxes [n, 4] xyxy in pixels, n scores, n class names."""


def draw_detections(pictures: Sequence[tuple[NDArray[np.uint8], Found]], path: Path) -> Path:
    """Draw boxes, classes and scores on photographs [h, w, 3], side by side, into one PNG."""
    figure = Figure(figsize=(4 * len(pictures), 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (image, (boxes, scores, names)) in zip(
        np.ravel(figure.subplots(1, len(pictures))), pictures, strict=True
    ):
        axes.imshow(image)
        axes.set_axis_off()
        for (left, top, right, bottom), score, name in zip(boxes, scores, names, strict=True):
            box = Rectangle(
                (left, top), right - left, bottom - top, fill=False, edgecolor="#E69F00", linewidth=1.5
            )
            axes.add_patch(box)
            axes.text(left, top, f"{name} {score:.2f}", fontsize=6, color="black", backgroundcolor="#E69F00")
    figure.savefig(path)
    return path
