"""Boxes drawn on images: detections, or annotations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

__all__ = ["draw_boxes"]

AnnotatedImage = tuple[NDArray[np.uint8], NDArray[np.float32], Sequence[str]]
"""An image [h, w, 3], boxes [n, 4] xyxy in its pixels, n labels."""

_IN_A_ROW = 4


def draw_boxes(images: Sequence[AnnotatedImage], path: Path) -> Path:
    """Draw boxes and labels on images, four in a row, into one PNG."""
    columns = min(len(images), _IN_A_ROW)
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(4 * columns, 4 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    places = np.ravel(figure.subplots(rows, columns))
    for axes in places:
        axes.set_axis_off()
    for axes, (image, boxes, labels) in zip(places, images, strict=False):
        axes.imshow(image)
        for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
            box = Rectangle(
                (left, top), right - left, bottom - top, fill=False, edgecolor="#E69F00", linewidth=1.5
            )
            axes.add_patch(box)
            axes.text(left, top, label, fontsize=6, color="black", backgroundcolor="#E69F00")
    figure.savefig(path)
    return path
