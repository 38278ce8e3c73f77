"""Points over two axes as inline SVG, which a page's style sheet colours and its script makes interactive."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from mlflow_nas.report.svg_parts import LARGE, MARKERS, Size, opening, text

__all__ = ["Axis", "Point", "Series", "scatter"]

_LEFT, _RIGHT, _BOTTOM = 62, 24, 48
_TOP, _TOP_OF_TWO = 14, 44
"""Above a chart, without and with a second scale."""


class Point(NamedTuple):
    """A point of a chart.

    Attributes:
        x, y: its place.
        tip: lines that are shown beside it.
        href: page that a click opens; "" for none.
        interval: of y; None for none.
        label: written beside it; "" for none.
    """

    x: float
    y: float
    tip: str = ""
    href: str = ""
    interval: tuple[float, float] | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind.

    Attributes:
        name: in the legend.
        kind: class of the style sheet.
        form: of the markers, see `MARKERS`; "" for none.
        points: any.
        line: "step", "straight" or "" for none.
    """

    name: str
    kind: str
    form: str
    points: Sequence[Point]
    line: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis.

    Attributes:
        label: with its unit.
        second: label of a second scale at the opposite side, and the factor to it; None for none.
        whole: its ticks are whole numbers.
    """

    label: str
    second: tuple[str, float] | None = None
    whole: bool = False


class _Scale(NamedTuple):
    """Values to pixels, with ticks."""

    ticks: tuple[float, ...]
    to_px: Callable[[float], float]
    low: float
    high: float


def scatter(
    series: Sequence[Series], x: Axis, y: Axis, *, title: str, diagonal: bool = False, size: Size = LARGE
) -> str:
    """Points, intervals and lines over two linear axes.

    Args:
        series: drawn in this order, the last on top.
        x: horizontal.
        y: vertical.
        title: for readers that do not see the chart.
        diagonal: draw the line of equal values.
        size: `LARGE` or `SMALL`.

    Returns:
        An SVG element, or a sentence where no series has a point.
    """
    points = [point for one in series for point in one.points]
    if not points:
        return '<p class="missing">No trial has these values yet.</p>'
    ys = [value for point in points for value in (point.y, *(point.interval or ()))]
    across = _scale([point.x for point in points], _LEFT, _right(size), whole=x.whole)
    up = _scale(ys, _bottom(size), _top(x), whole=y.whole)
    parts = [
        opening(size.width, size.height, title),
        *_grid(across, up, x, y, size),
        *([_diagonal(across, up)] if diagonal else []),
        *(_series(one, across, up, size) for one in series),
        "</svg>",
    ]
    return "".join(parts)


def _scale(values: Iterable[float], start_px: float, end_px: float, *, whole: bool) -> _Scale:
    """A linear scale with about six ticks and some space around the values."""
    known = list(values)
    low, high = min(known), max(known)
    space = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    low, high = low - space if low < 0 or low >= space else 0.0, high + space
    ticks = MaxNLocator(nbins=6, integer=whole).tick_values(low, high)
    shown = tuple(float(tick) for tick in ticks if low <= tick <= high)
    per_unit = (end_px - start_px) / (high - low)
    return _Scale(shown, lambda value: start_px + (value - low) * per_unit, low, high)


def _grid(across: _Scale, up: _Scale, x: Axis, y: Axis, size: Size) -> list[str]:
    bottom, right = _bottom(size), _right(size)
    parts = []
    for tick in across.ticks:
        px = across.to_px(tick)
        parts.append(f'<path class="grid" d="M{px:.1f} {_top(x)}V{bottom}"/>')
        parts.append(text(px, bottom + 16, _number(tick), "middle"))
    for tick in up.ticks:
        px = up.to_px(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {px:.1f}H{right}"/>')
        parts.append(text(_LEFT - 8, px + 4, _number(tick), "end"))
    if x.second is not None:
        parts += _second_scale(across, *x.second, right=right)
    middle = (_top(x) + bottom) / 2
    parts.append(text((_LEFT + right) / 2, size.height - 8, x.label, "middle", "axis"))
    parts.append(
        f'<text class="axis" text-anchor="middle" transform="translate(14 {middle}) rotate(-90)">'
        f"{escape(y.label)}</text>"
    )
    return parts


def _second_scale(across: _Scale, label: str, factor: float, *, right: int) -> list[str]:
    """The same positions in another unit, above the chart."""
    locator = MaxNLocator(nbins=6)
    ticks = locator.tick_values(across.low * factor, across.high * factor)
    shown = [float(tick) for tick in ticks if across.low * factor <= tick <= across.high * factor]
    parts = [
        f'<path class="tick" d="M{across.to_px(tick / factor):.1f} {_TOP_OF_TWO - 5}v5"/>'
        + text(across.to_px(tick / factor), _TOP_OF_TWO - 9, _number(tick), "middle")
        for tick in shown
    ]
    return [*parts, text((_LEFT + right) / 2, 12, label, "middle", "axis")]


def _number(value: float) -> str:
    return f"{value:.6g}" if abs(value) < 1e5 else f"{value:.2g}".replace("e+0", "e")


def _right(size: Size) -> int:
    """End of the x axis."""
    return size.width - _RIGHT


def _top(x: Axis) -> int:
    """End of the y axis, below a second scale."""
    return _TOP if x.second is None else _TOP_OF_TWO


def _bottom(size: Size) -> int:
    """Start of the y axis."""
    return size.height - _BOTTOM


def _diagonal(across: _Scale, up: _Scale) -> str:
    low, high = max(across.low, up.low), min(across.high, up.high)
    start, end = (f"{across.to_px(value):.1f} {up.to_px(value):.1f}" for value in (low, high))
    return f'<path class="diagonal" d="M{start}L{end}"/>' if high > low else ""


def _series(series: Series, across: _Scale, up: _Scale, size: Size) -> str:
    places = [(across.to_px(point.x), up.to_px(point.y)) for point in series.points]
    parts = [f'<g class="series {series.kind}" data-series="{series.kind}">']
    if series.line and len(places) > 1:
        parts.append(f'<path class="line" d="{_line(places, series.line)}"/>')
    parts += [
        _point(point, place, series.form, up, size)
        for point, place in zip(series.points, places, strict=True)
    ]
    return "".join([*parts, "</g>"])


def _line(places: Sequence[tuple[float, float]], kind: str) -> str:
    (first_x, first_y), *rest = places
    step = "H{x:.1f}V{y:.1f}" if kind == "step" else "L{x:.1f} {y:.1f}"
    return f"M{first_x:.1f} {first_y:.1f}" + "".join(step.format(x=x, y=y) for x, y in rest)


def _point(point: Point, place: tuple[float, float], form: str, up: _Scale, size: Size) -> str:
    x, y = place
    parts = []
    if point.interval is not None:
        low, high = (up.to_px(value) for value in point.interval)
        parts.append(
            f'<path class="interval" d="M{x:.1f} {low:.1f}V{high:.1f}m-4 0h8M{x - 4:.1f} {low:.1f}h8"/>'
        )
    if form:
        tip = escape(point.tip)
        drawn = (
            f'<path class="point" transform="translate({x:.1f} {y:.1f})" d="{MARKERS[form]}" '
            f'data-tip="{tip}"><title>{tip}</title></path>'
        )
        link = f'<a href="{escape(point.href)}" target="_blank" rel="noopener">{drawn}</a>'
        parts.append(link if point.href else drawn)
    if point.label:
        end = x > size.width - 160
        parts.append(text(x - 12 if end else x + 12, y - 9, point.label, "end" if end else "start", "label"))
    return "".join(parts)
