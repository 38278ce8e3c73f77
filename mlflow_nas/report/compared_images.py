"""Images on which two detectors are compared, chosen for what they show."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlflow_nas.report.matching import ImageMatch, Matches

__all__ = ["ComparedImage", "ShownBox", "choose_images", "compare_images"]

_LONG_SIDE_PX, _QUALITY = 480, 78

ByteImage = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ShownBox:
    """A box on an image.

    Attributes:
        kind: "hit", "false", "missed", "found" (the box that a detection hits) or "ignored".
        label: its class.
        score: of a detection; None for a box of the data.
        x, y, width, height: in pixels of the shown image.
    """

    kind: str
    label: str
    score: float | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class ComparedImage:
    """One image with the boxes of both detectors.

    Attributes:
        name: of the image.
        reason: what it shows.
        jpeg: base64.
        width, height: pixels of the JPEG.
        reference, champion: boxes of each detector and of the data.
    """

    name: str
    reason: str
    jpeg: str
    width: int
    height: int
    reference: tuple[ShownBox, ...]
    champion: tuple[ShownBox, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "ComparedImage":
        """The image read back from `as_json`."""
        boxes = {name: tuple(ShownBox(**box) for box in plain[name]) for name in ("reference", "champion")}
        return cls(**{**plain, **boxes})


_Pair = tuple[ImageMatch, ImageMatch]
"""Reference and champion on one image."""

_REASONS: tuple[tuple[str, Callable[[_Pair], float]], ...] = (
    ("the most objects that both find", lambda pair: min(len(one.hits) for one in pair)),
    ("lost: found by the reference, missed by the champion", lambda pair: _gain(pair[1], pair[0])),
    ("gained: missed by the reference, found by the champion", lambda pair: _gain(pair[0], pair[1])),
    ("the most objects that both miss", lambda pair: min(len(one.missed) for one in pair)),
    ("the most false detections of the champion", lambda pair: len(pair[1].false)),
    ("the most false detections of the reference", lambda pair: len(pair[0].false)),
)


def _gain(worse: ImageMatch, better: ImageMatch) -> float:
    return len(better.hits) - len(worse.hits)


def choose_images(reference: Matches, champion: Matches) -> list[tuple[int, str]]:
    """Indexes of images with the reason of each, at most six; each shows something else.

    Per reason the image in which it is strongest, unless none has it or the image is chosen already.
    """
    pairs = list(zip(reference.images, champion.images, strict=True))
    chosen: dict[int, str] = {}
    for reason, strength in _REASONS:
        free = [index for index in range(len(pairs)) if index not in chosen]
        best = max(free, key=lambda index: strength(pairs[index]), default=None)
        if best is not None and (value := strength(pairs[best])) > 0:
            chosen[best] = f"{reason} ({value:.0f})"
    return list(chosen.items())


def compare_images(
    reference: Matches,
    champion: Matches,
    *,
    read: Callable[[int], tuple[str, ByteImage]],
    classes: Sequence[str],
) -> list[ComparedImage]:
    """The chosen images with all boxes.

    Args:
        reference: on the images.
        champion: on the same images.
        read: index to the image's name and its RGB pixels [h, w, 3].
        classes: names that labels index.
    """
    found = []
    for index, reason in choose_images(reference, champion):
        name, pixels = read(index)
        scale = min(_LONG_SIDE_PX / max(pixels.shape[:2]), 1.0)
        jpeg, width, height = _encode(pixels, scale)
        first, second = (
            tuple(_boxes(matches.images[index], classes, scale)) for matches in (reference, champion)
        )
        found.append(ComparedImage(name, reason, jpeg, width, height, first, second))
    return found


def _encode(pixels: ByteImage, scale: float) -> tuple[str, int, int]:
    """A JPEG as base64, with its width and height."""
    height, width = (max(round(side * scale), 1) for side in pixels.shape[:2])
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii"), width, height


def _boxes(match: ImageMatch, classes: Sequence[str], scale: float) -> Iterator[ShownBox]:
    """The data's boxes first, so that detections are drawn over them."""
    for kind in ("ignored", "found", "missed", "hits", "false"):
        for label, x, y, width, height, score in getattr(match, kind).tolist():
            detected = kind in ("hits", "false")
            yield ShownBox(
                kind="hit" if kind == "hits" else kind,
                label=classes[int(label)],
                score=round(score, 3) if detected else None,
                x=round(x * scale, 1),
                y=round(y * scale, 1),
                width=round(width * scale, 1),
                height=round(height * scale, 1),
            )
