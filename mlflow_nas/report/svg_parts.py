"""Parts that the charts of a page share: sizes, markers, texts."""

from html import escape
from typing import NamedTuple

__all__ = ["LARGE", "MARKERS", "SMALL", "Size", "marker", "opening", "text"]

MARKERS = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "square": "M-4.5 -4.5h9v9h-9z",
    "diamond": "M0 -7L7 0L0 7L-7 0z",
    "triangle": "M0 -6L6 5H-6z",
    "star": "M0 -10L2.5 -3.2L9.5 -3.1L3.9 1.2L5.9 8.1L0 4L-5.9 8.1L-3.9 1.2L-9.5 -3.1L-2.5 -3.2z",
    "cross": "M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5",
    "plus": "M0 -6V6M-6 0H6",
}
"""Paths around the origin: series differ in their form, not in colour alone."""


class Size(NamedTuple):
    """Width and height of a chart, whose texts keep their size."""

    width: int = 800
    height: int = 430


LARGE, SMALL = Size(), Size(520, 330)
"""For a chart of its own row, and for one of two."""


def opening(width: float, height: float, title: str) -> str:
    """The start of a chart; the title is for readers that do not see it."""
    label = escape(title)
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'


def text(x: float, y: float, found: str, anchor: str, kind: str = "tick") -> str:
    """A text; the anchor is start, middle or end."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(found)}</text>'


def marker(form: str, kind: str) -> str:
    """A marker alone, for a legend."""
    return (
        f'<svg class="key series {kind}" viewBox="-12 -12 24 24" aria-hidden="true">'
        f'<path class="point" d="{MARKERS[form]}"/></svg>'
    )
