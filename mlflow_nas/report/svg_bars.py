"""Horizontal bars as inline SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow_nas.report.svg_parts import LARGE, Size, opening, text

__all__ = ["Bar", "bars"]

_BAR_PX, _LABEL_PX, _VALUE_PX = 22, 170, 130


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a bar chart.

    Attributes:
        label: at its left.
        values: kind of the style sheet to length.
        text: at its right.
        interval: of the first value; None for none.
    """

    label: str
    values: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    interval: tuple[float, float] | None = None


def bars(rows: Sequence[Bar], *, title: str, size: Size = LARGE) -> str:
    """Horizontal bars, the first row on top; a row with several values has one below the other.

    Args:
        rows: with the same kinds of values.
        title: for readers that do not see the chart.
        size: `LARGE` or `SMALL`; the height is that of the rows.
    """
    if not rows:
        return '<p class="missing">No values yet.</p>'
    ends = [value for row in rows for value in (*row.values.values(), *(row.interval or ()), 0.0)]
    low, high = min(ends), max(ends) or 1.0
    per_unit = (size.width - _LABEL_PX - _VALUE_PX) / (high - low)
    zero = _LABEL_PX - low * per_unit
    parts = [opening(size.width, _BAR_PX * len(rows) + 8, title)]
    for place, row in enumerate(rows):
        top = 4 + place * _BAR_PX
        parts += _bar(row, top, zero, per_unit)
        parts.append(text(size.width - _VALUE_PX + 8, top + 14, row.text, "start"))
    return "".join([*parts, "</svg>"])


def _bar(row: Bar, top: float, zero: float, per_unit: float) -> list[str]:
    """Label, bars and interval of a row, from the x of zero on."""
    parts = [text(_LABEL_PX - 8, top + 14, row.label, "end")]
    thick = (_BAR_PX - 6) / len(row.values)
    for index, (kind, value) in enumerate(row.values.items()):
        left, width = zero + min(value, 0) * per_unit, abs(value) * per_unit
        parts.append(
            f'<rect class="bar {kind}" x="{left:.1f}" y="{top + 1 + index * thick:.1f}" '
            f'width="{width:.1f}" height="{thick - 0.5:.1f}"/>'
        )
    if row.interval is not None:
        start, end = (zero + value * per_unit for value in row.interval)
        parts.append(f'<path class="interval" d="M{start:.1f} {top + 9}H{end:.1f}"/>')
    return parts
