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

_LETTER_PX, _TAG_PX = 6.0, 13
_SHOWN_PX = 520
"""Width of an image on a wide screen: tags have one size on images of any width."""


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
        f"{report.accuracy} {value(one, report.accuracy, '.3f')}, {value(one, 'latency_ms', '#.3g')} ms"
        for one in (reference, shown)
    ]
    title = "champion" if report.champion else "nearest"
    labels = {box.label for image in report.images for box in (*image.reference, *image.champion)}
    named = len(labels) > 1
    return [
        ImagePair(
            image,
            (
                _side("reference", figures[0], image.reference, image, named=named),
                _side(title, figures[1], image.champion, image, named=named),
            ),
        )
        for image in report.images
    ]


def _side(title: str, figures: str, boxes: Sequence[ShownBox], image: ComparedImage, *, named: bool) -> Side:
    kinds = [box.kind for box in boxes]
    counts = f"{kinds.count('hit')} hits, {kinds.count('missed')} missed, {kinds.count('false')} false"
    return Side(title, counts, figures, svg("".join(_box(box, image, named=named) for box in boxes)))


def _box(box: ShownBox, image: ComparedImage, *, named: bool) -> str:
    """A rectangle, and its tag inside the image, with the class where there are several."""
    rectangle = (
        f'<rect class="box {box.kind}" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"/>'
    )
    if box.kind in ("found", "ignored"):
        return rectangle
    parts = [
        *([box.kind] if box.kind != "hit" else []),
        *([box.label] if named else []),
        *([f"{box.score:.2f}"] if box.score is not None else []),
    ]
    text, scale = " ".join(parts), image.width / _SHOWN_PX
    width = _LETTER_PX * len(text) + 6
    left = min(max(box.x, 0), max(image.width - width * scale, 0))
    top = min(max(box.y - _TAG_PX * scale, 0), image.height - _TAG_PX * scale)
    return (
        f'{rectangle}<g class="tag {box.kind}" transform="translate({left:.1f} {top:.1f}) '
        f'scale({scale:.3f})">'
        f'<rect width="{width:.1f}" height="{_TAG_PX}"/><text x="3" y="10">{escape(text)}</text></g>'
    )
