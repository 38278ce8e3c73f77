"""Compared images as SVG: the image once, both detectors' boxes over it."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from mlflow_nas.report.compared_images import ComparedImage, ShownBox
from mlflow_nas.report.figures import value
from mlflow_nas.report.page import svg
from mlflow_nas.report.study import StudyReport

__all__ = ["ImagePair", "Side", "image_pairs"]

_LETTER_PX, _TAG_PX = 6.4, 15


class Side(NamedTuple):
    """One detector on an image: its title, counts, figures and boxes."""

    title: str
    counts: str
    figures: str
    boxes: Markup


class ImagePair(NamedTuple):
    """One image and both detectors on it."""

    image: ComparedImage
    sides: tuple[Side, Side]


def image_pairs(report: StudyReport) -> list[ImagePair]:
    """The study's compared images, ready for its page."""
    reference, shown = report.reference, report.shown
    if reference is None or shown is None:
        return []
    figures = [
        f"{report.accuracy} {value(one, report.accuracy, '.3f')}, {value(one, 'latency_ms', '.3g')} ms"
        for one in (reference, shown)
    ]
    return [
        ImagePair(
            image,
            (
                _side("reference", figures[0], image.reference, image),
                _side("champion" if report.champion else "nearest", figures[1], image.champion, image),
            ),
        )
        for image in report.images
    ]


def _side(title: str, figures: str, boxes: Sequence[ShownBox], image: ComparedImage) -> Side:
    kinds = [box.kind for box in boxes]
    counts = f"{kinds.count('hit')} hits, {kinds.count('missed')} missed, {kinds.count('false')} false"
    return Side(title, counts, figures, svg("".join(_box(box, image) for box in boxes)))


def _box(box: ShownBox, image: ComparedImage) -> str:
    """A rectangle, and its tag inside the image."""
    rectangle = (
        f'<rect class="box {box.kind}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"/>'
    )
    if box.kind in ("found", "ignored"):
        return rectangle
    name = box.label if box.kind == "hit" else f"{box.kind} {box.label}"
    text = name if box.score is None else f"{name} {box.score:.2f}"
    width = _LETTER_PX * len(text) + 6
    left = min(max(box.x, 0), max(image.width - width, 0))
    top = min(max(box.y - _TAG_PX, 0), image.height - _TAG_PX)
    return (
        f'{rectangle}<g class="tag {box.kind}" transform="translate({left:.1f} {top:.1f})">'
        f'<rect width="{width:.1f}" height="{_TAG_PX}"/><text x="3" y="11.5">{escape(text)}</text></g>'
    )
