"""Images of every kind become RGB bytes."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlflow_nas.data import read_image
from mlflow_nas.errors import ConfigError

COLOUR = (200, 120, 40)


def _palette(*, transparent: bool) -> Image.Image:
    image = Image.new("RGB", (8, 6), COLOUR).quantize(4)
    if transparent:
        image.info["transparency"] = bytes([128, 255, 255, 255])
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (Image.new("L", (8, 6), 90), ".png", (90, 90, 90)),
        (Image.new("LA", (8, 6), (90, 10)), ".png", (90, 90, 90)),
        (Image.new("1", (8, 6), 1), ".png", (255, 255, 255)),
        (Image.new("RGBA", (8, 6), (*COLOUR, 5)), ".png", COLOUR),
        (_palette(transparent=False), ".png", COLOUR),
        (_palette(transparent=True), ".png", COLOUR),
        (Image.new("CMYK", (8, 6), (55, 135, 215, 0)), ".tiff", COLOUR),
        (Image.new("CMYK", (8, 6), (55, 135, 215, 0)), ".jpg", COLOUR),
        (Image.fromarray(np.full((6, 8), 90 * 256 + 17, dtype=np.uint16)), ".png", (90, 90, 90)),
    ],
    ids=["grey", "grey-alpha", "bits", "alpha", "palette", "palette-alpha", "cmyk", "cmyk-jpeg", "16-bit"],
)
def test_any_mode_becomes_rgb(
    image: Image.Image, suffix: str, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    """Colours stay, 16 bits become their upper eight, transparency is dropped; there is no warning."""
    path = tmp_path / f"photo{suffix}"
    image.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = read_image(path)
    assert pixels.shape == (6, 8, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, (6, 8, 3)), atol=3)


def test_pixels_of_unknown_range_are_refused(tmp_path: Path) -> None:
    """Floats may be anything."""
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "depth.tiff")
    with pytest.raises(ConfigError, match=r"depth.tiff: not a readable image .*floats of unknown range"):
        read_image(tmp_path / "depth.tiff")
