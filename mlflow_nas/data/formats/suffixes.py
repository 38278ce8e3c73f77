"""Which files are images: those that Pillow decodes by itself, whatever the case of their suffix."""

from functools import cache
from pathlib import Path

from PIL import Image

__all__ = ["image_formats", "is_image"]

_NOT_DECODED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF", "EPS"}
"""Formats that Pillow only identifies, or hands to another program."""


@cache
def image_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that it decodes."""
    Image.init()
    return tuple(sorted(set(Image.OPEN) - _NOT_DECODED))


@cache
def _suffixes() -> frozenset[str]:
    formats = set(image_formats())
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats)


def is_image(path: Path) -> bool:
    """Whether the suffix is that of an image."""
    return path.suffix.lower() in _suffixes()
