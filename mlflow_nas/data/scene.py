"""One drawn scene: a cluttered background, figures from far to near, exact boxes."""

from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mlflow_nas.data.canvas import Canvas, Point
from mlflow_nas.data.dataset import MemoryImage, Record
from mlflow_nas.data.people import person
from mlflow_nas.data.scenery import CLUTTER, add_noise, backdrop

__all__ = ["draw_scene"]

_Box: TypeAlias = tuple[float, float, float, float]

_SMALLEST, _LARGEST = 1 / 5, 3 / 4
_FIGURES = (0, 1, 1, 2, 2, 3, 3, 4, 5)
_PLACES_TRIED = 8
_MAX_COVERED = 0.35
_MIN_SEEN = 0.25
_OCCLUDERS = (0, 0, 0, 1)


def draw_scene(rng: Generator, *, size_px: int, image_id: str) -> Record:
    """Draw one square scene.

    A box holds exactly the visible pixels of its figure. A figure of which an object in front
    leaves less than a quarter is ignored.

    Args:
        rng: all randomness.
        size_px: height and width.
        image_id: name of the image.
    """
    canvas = Canvas(backdrop(rng, size_px))
    _paint_clutter(rng, canvas, size_px, count=int(rng.integers(3, 7)))
    painted = _paint_figures(rng, canvas, size_px)
    _paint_clutter(rng, canvas, size_px, count=int(rng.choice(_OCCLUDERS)))
    boxes, ignore = _seen_boxes(canvas.owners(), painted)
    image = add_noise(rng, canvas.pixels(), amplitude=int(rng.integers(4, 16)))
    return Record(
        source=MemoryImage(image),
        boxes=boxes,
        labels=np.zeros(len(boxes), dtype=np.int64),
        ignore=ignore,
        image_id=image_id,
    )


def _paint_clutter(rng: Generator, canvas: Canvas, size_px: int, *, count: int) -> None:
    for _ in range(count):
        draw = CLUTTER[int(rng.integers(len(CLUTTER)))]
        foot = (size_px * rng.uniform(0, 1), size_px * rng.uniform(0.3, 1.0))
        canvas.paint(draw(rng), foot=foot, height_px=size_px * rng.uniform(0.08, 0.45))


def _paint_figures(rng: Generator, canvas: Canvas, size_px: int) -> dict[int, int]:
    """Paint the figures, far to near; returns the number of pixels of each when it was painted."""
    count = int(rng.choice(_FIGURES))
    scales = np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST), count))
    taken: list[_Box] = []
    painted = {}
    for owner, height in enumerate(np.sort(scales) * size_px, start=1):
        parts = person(rng)
        foot = _free_place(rng, taken, size_px=size_px, height_px=height)
        if foot is not None:
            canvas.paint(parts, foot=foot, height_px=height, owner=owner)
            painted[owner] = int((canvas.owners() == owner).sum())
    return painted


def _free_place(
    rng: Generator,
    taken: list[_Box],
    *,
    size_px: int,
    height_px: float,
) -> Point | None:
    """A place where the figure covers little of the others, added to ``taken``; None when none is found."""
    for _ in range(_PLACES_TRIED):
        x = size_px * rng.uniform(0.0, 1.0)
        y = rng.uniform(height_px, max(size_px * 1.1, height_px * 1.1))
        place = (x - height_px * 0.2, y - height_px, x + height_px * 0.2, y)
        if all(_covered(place, other) <= _MAX_COVERED for other in taken):
            taken.append(place)
            return x, y
    return None


def _covered(one: _Box, other: _Box) -> float:
    """Overlap of two boxes as a share of the smaller one."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return max(width, 0) * max(height, 0) / min(areas)


def _seen_boxes(
    owners: NDArray[np.uint8], painted: dict[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    boxes, ignore = [], []
    for owner, pixels in painted.items():
        rows, columns = np.nonzero(owners == owner)
        if len(rows):
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            ignore.append(len(rows) < _MIN_SEEN * pixels)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(ignore, dtype=np.bool_)
