"""Frames of two detectors side by side, and GIF files of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["FramePanel", "draw_frame", "panel_height", "write_gif"]

_PANEL_PX, _CAPTION_PX, _GAP_PX = 480, 34, 6
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#ffffff")
"""Okabe and Ito's, one per class."""


@dataclass(frozen=True, slots=True)
class FramePanel:
    """One detector on one frame.

    Attributes:
        caption: below the image.
        boxes: [n, 4], xyxy in pixels of the frame.
        scores: [n].
        labels: [n], indexes of the classes.
    """

    caption: str
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: Sequence[int]


def draw_frame(
    pixels: NDArray[np.uint8],
    panels: Sequence[FramePanel],
    *,
    classes: Sequence[str],
    height: int | None = None,
) -> Image.Image:
    """The frame once per detector, side by side, with boxes and captions.

    Args:
        pixels: RGB [h, w, 3].
        panels: from left to right.
        classes: names that labels index; with one class boxes have scores alone.
        height: of a panel, into which the image is fitted, pixels; None for the image's own shape.
    """
    scale = _PANEL_PX / pixels.shape[1]
    height = height or panel_height(pixels)
    scale = min(scale, height / pixels.shape[0])
    fitted = [max(round(side * scale), 1) for side in (pixels.shape[1], pixels.shape[0])]
    photo = Image.fromarray(pixels).resize((fitted[0], fitted[1]))
    width = len(panels) * (_PANEL_PX + _GAP_PX) - _GAP_PX
    # Video codecs take even sizes.
    frame = Image.new("RGB", (width + width % 2, (height + _CAPTION_PX + 1) // 2 * 2), "#12171c")
    for place, panel in enumerate(panels):
        shown = photo.copy()
        _draw_boxes(ImageDraw.Draw(shown), panel, scale, classes)
        left = place * (_PANEL_PX + _GAP_PX)
        frame.paste(shown, (left, 0))
        ImageDraw.Draw(frame).text(
            (left + 6, height + 7), panel.caption, fill="#ffffff", font=ImageFont.load_default(16)
        )
    return frame


def panel_height(pixels: NDArray[np.uint8]) -> int:
    """The height of a panel that an image fills, pixels."""
    height, width = (int(side) for side in pixels.shape[:2])
    return round(height * _PANEL_PX / width)


def _draw_boxes(draw: ImageDraw.ImageDraw, panel: FramePanel, scale: float, classes: Sequence[str]) -> None:
    font = ImageFont.load_default(12)
    for box, score, label in zip(panel.boxes, panel.scores, panel.labels, strict=True):
        left, top, right, bottom = (float(value) * scale for value in box)
        colour = _COLOURS[label % len(_COLOURS)]
        draw.rectangle((left, top, right, bottom), outline=colour, width=3)
        text = f"{score:.2f}" if len(classes) == 1 else f"{classes[label]} {score:.2f}"
        place = (left, max(top - 15, 0))
        draw.rectangle(draw.textbbox(place, text, font=font), fill="#000000")
        draw.text(place, text, fill=colour, font=font)


def write_gif(frames: Iterable[Image.Image], path: Path, *, frame_s: float) -> int:
    """Write a GIF that repeats; the number of frames.

    Args:
        frames: at least one.
        path: of the file.
        frame_s: seconds of each.
    """
    shown = [frame.quantize(128) for frame in frames]
    first, *rest = shown
    first.save(path, save_all=True, append_images=rest, duration=round(frame_s * 1000), loop=0)
    return len(shown)
