"""Coloured shapes in units of their object's height, and a canvas with the owner of each pixel."""

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mlflow_nas.data.sample import ByteImage

__all__ = ["Canvas", "Colour", "Part", "Point", "box", "ellipse", "limb"]

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]


class Part(NamedTuple):
    """One shape of an object that stands on (0, 0) and is 1 high; y points up.

    Attributes:
        kind: "polygon" takes its corners, "ellipse" the left top and the right bottom of its frame.
        points: (x, y) in heights of the object.
        colour: RGB, 0..255.
    """

    kind: Literal["polygon", "ellipse"]
    points: tuple[Point, ...]
    colour: Colour


def box(left: float, top: float, right: float, bottom: float, colour: Colour) -> Part:
    """An upright rectangle."""
    return Part("polygon", ((left, top), (right, top), (right, bottom), (left, bottom)), colour)


def ellipse(x: float, y: float, radii: Point, colour: Colour) -> Part:
    """An ellipse around (x, y) with radii (horizontal, vertical)."""
    return Part("ellipse", ((x - radii[0], y + radii[1]), (x + radii[0], y - radii[1])), colour)


def limb(start: Point, end: Point, thickness: float, colour: Colour) -> Part:
    """A thick line from one joint to another."""
    across, up = end[0] - start[0], end[1] - start[1]
    scale = thickness / 2 / max((across**2 + up**2) ** 0.5, 1e-6)
    dx, dy = -up * scale, across * scale
    corners = (
        (start[0] + dx, start[1] + dy),
        (end[0] + dx, end[1] + dy),
        (end[0] - dx, end[1] - dy),
        (start[0] - dx, start[1] - dy),
    )
    return Part("polygon", corners, colour)


class Canvas:
    """An image and, pixel by pixel, the number of the figure that was painted there last.

    Args:
        background: RGB uint8 [h, w, 3].
    """

    def __init__(self, background: ByteImage) -> None:
        self._image = Image.fromarray(background)
        self._owners = Image.new("L", self._image.size, 0)
        self._image_pen = ImageDraw.Draw(self._image)
        self._owner_pen = ImageDraw.Draw(self._owners)

    def paint(self, parts: Iterable[Part], *, foot: Point, height_px: float, owner: int = 0) -> None:
        """Paint an object over the earlier ones.

        Args:
            parts: shapes, back to front.
            foot: (x, y) of the object's origin in pixels, y down.
            height_px: height of the object.
            owner: number of the figure, 1..255; 0 for everything that is no figure.
        """
        for part in parts:
            points = [
                (round(foot[0] + x * height_px), round(foot[1] - y * height_px)) for x, y in part.points
            ]
            if part.kind == "ellipse":
                self._image_pen.ellipse(points, fill=part.colour)
                self._owner_pen.ellipse(points, fill=owner)
            else:
                self._image_pen.polygon(points, fill=part.colour)
                self._owner_pen.polygon(points, fill=owner)

    def pixels(self) -> ByteImage:
        """The image, RGB uint8 [h, w, 3]."""
        return np.array(self._image)

    def owners(self) -> NDArray[np.uint8]:
        """Number of the visible figure at each pixel [h, w]; 0 where there is none."""
        return np.array(self._owners)
