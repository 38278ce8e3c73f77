"""Images of every kind become RGB bytes."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from layouts import PERSON, DrawnImage, write_coco
from PIL import Image

from mlflow_nas.data import load_dataset, read_image
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


@pytest.mark.parametrize(("bits", "expected"), [(8, 90), (12, 90), (16, 90)])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_values_of_fewer_bits_in_16_are_scaled(bits: int, expected: int, suffix: str, tmp_path: Path) -> None:
    """By the brightest pixel; a finding names the images, whose range is guessed."""
    grey = np.full((48, 64), 90 << (bits - 8), dtype=np.uint16)
    grey[0, 0] = 255 << (bits - 8)
    drawn = DrawnImage(f"a{suffix}", PERSON.objects, image=Image.fromarray(grey))
    dataset = load_dataset(write_coco(tmp_path, {"train": [drawn]}))
    assert dataset[0].image[5, 5].tolist() == [expected] * 3
    assert dataset.findings.counts == ({} if bits == 16 else {"bits-guessed": 1})


def _png_of_16_bit_colours(value: int) -> bytes:
    """Pillow writes none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    rows = (b"\0" + struct.pack(">H", value) * 24) * 6
    header = struct.pack(">IIBBBBB", 8, 6, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_colours_of_12_bits_in_16_are_refused(tmp_path: Path) -> None:
    """Pillow keeps their upper eight bits, which are nearly black; those of 16 bits are right."""
    path = tmp_path / "wide.png"
    path.write_bytes(_png_of_16_bit_colours(90 << 8))
    assert read_image(path).max() == 90
    path.write_bytes(_png_of_16_bit_colours(90 << 4))
    with pytest.raises(
        ConfigError, match=r"wide\.png: not a readable image \(its colours of 16 bits hold values"
    ):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_a_huge_image_is_used_at_a_smaller_size(suffix: str, tmp_path: Path) -> None:
    """Its boxes shrink with it; its annotated size is the full one."""
    huge = Image.new("L", (4200, 4100), 30)
    huge.paste(220, (1000, 2000, 2000, 3000))
    objects = [("person", (1000.0, 2000.0, 2000.0, 3000.0), False)]
    drawn = DrawnImage(f"huge{suffix}", objects, (4200, 4100), huge)
    dataset = load_dataset(write_coco(tmp_path, {"train": [drawn]}))
    (sample,) = dataset
    assert sample.image.shape == (2050, 2100, 3)
    assert sample.boxes.tolist() == [[500, 1000, 1000, 1500]]
    assert sample.image[1010:1490, 510:990].min() > 200
    assert dataset.findings.counts == {"image-reduced": 1}
    np.testing.assert_array_equal(dataset.records[0].source.file.read(), sample.image)  # type: ignore[attr-defined]
    assert read_image(tmp_path / f"images/huge{suffix}").shape == (4100, 4200, 3)
