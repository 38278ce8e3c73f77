"""Image files: read once and checked when a data set is loaded, decoded again where memory is short."""

import hashlib
import math
import threading
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from mlflow_nas.data.formats.files import is_file
from mlflow_nas.data.formats.suffixes import image_formats
from mlflow_nas.data.images import to_rgb, used_bits
from mlflow_nas.data.sample import ByteImage, ImageSize
from mlflow_nas.errors import ConfigError

__all__ = ["MAX_PIXELS", "DecodedFile", "ImageFile", "LoadedImage", "load_image", "read_image"]

MAX_PIXELS = 4096 * 4096
"""Larger images are used at a smaller size: no network's input comes near this one."""

_ORIENTATION_TAG = 0x0112
# EXIF orientations that exchange width and height.
_SIDEWAYS = (5, 6, 7, 8)
_LOST_BITS = 4
_RESIZED_AS_STORED = {"L", "RGB", "YCbCr", "CMYK"}
# Pillow's advice about large images: here they are reduced, and counted.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
_huge = threading.Lock()
"""Held while a huge image is decoded: one at a time fits into memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image on disk that was decoded once.

    Attributes:
        path: the file.
        size: (height, width) of what ``read`` returns, in pixels.
        upright: whether the EXIF orientation is applied.
        digest: SHA-256 of the file.
    """

    path: Path
    size: ImageSize
    upright: bool
    digest: bytes

    def read(self) -> ByteImage:
        """Decode the file to RGB uint8 [h, w, 3].

        Raises:
            ConfigError: the file can't be decoded.
        """
        return read_image(self.path, upright=self.upright, max_pixels=MAX_PIXELS)

    def sha256(self) -> bytes:
        """SHA-256 of the file as it was loaded."""
        return self.digest


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """An image on disk that was decoded once and stays in memory."""

    file: ImageFile
    image: ByteImage

    @property
    def size(self) -> ImageSize:
        """(height, width) in pixels."""
        return self.file.size

    def read(self) -> ByteImage:
        """A copy of the image."""
        return self.image.copy()

    def sha256(self) -> bytes:
        """SHA-256 of the file."""
        return self.file.digest


class LoadedImage(NamedTuple):
    """An image file, its pixels, and what is special about them.

    Attributes:
        file: the image on disk.
        image: its pixels, RGB uint8 [h, w, 3], not to be changed.
        full_size: (height, width) before a huge image is reduced; that of the boxes.
        guessed_bits: of a file of 16 bits whose values are smaller; None otherwise.
    """

    file: ImageFile
    image: ByteImage
    full_size: ImageSize
    guessed_bits: int | None


def read_image(path: Path, *, upright: bool = True, max_pixels: int | None = None) -> ByteImage:
    """Decode any image file to RGB uint8 [h, w, 3].

    Args:
        path: the file; grey, palette, CMYK and 16-bit images become RGB of eight bits.
        upright: apply the EXIF orientation.
        max_pixels: an image that has more is reduced by a whole number; None: it is given as it is.

    Raises:
        ConfigError: the file is missing or can't be decoded.
    """
    try:
        with Image.open(path, formats=image_formats()) as image:
            return np.require(_decode(image, upright=upright, max_pixels=max_pixels)[0], requirements="W")
    except (ConfigError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes Pillow's decoders raise nearly anything
        raise _unreadable(path, error) from error


def load_image(
    path: Path, *, annotated_size: ImageSize | None, named_by: Path, upright: bool = False
) -> LoadedImage:
    """Read an image, determine its orientation and its digest.

    Boxes are drawn on the stored pixels unless the annotated size is that of the upright image. A square
    image stays as stored: its size fits both.

    Args:
        path: the image.
        annotated_size: (height, width) that the annotations name; None when they name none.
        named_by: the annotation file that names the image, for the error.
        upright: whether boxes without an annotated size were drawn on the upright image.

    Raises:
        ConfigError: the file is missing, is no image, or has another size than annotated.
    """
    if not is_file(path):
        raise ConfigError(f"{str(path)[:300]}: missing image, named by {named_by}")
    try:
        content = path.read_bytes()
        with Image.open(BytesIO(content), formats=image_formats()) as image:
            stored = (image.height, image.width)
            sideways = image.getexif().get(_ORIENTATION_TAG) in _SIDEWAYS
            upright = _is_upright(path, stored, sideways, annotated_size, named_by, upright)
            pixels, bits = _decode(image, upright=upright, max_pixels=MAX_PIXELS)
    except (ConfigError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes Pillow's decoders raise nearly anything
        raise _unreadable(path, error) from error
    size = pixels.shape[0], pixels.shape[1]
    file = ImageFile(path=path, size=size, upright=upright, digest=hashlib.sha256(content).digest())
    return LoadedImage(file, pixels, stored[::-1] if upright and sideways else stored, bits)


def _is_upright(
    path: Path,
    stored: ImageSize,
    sideways: bool,
    annotated: ImageSize | None,
    named_by: Path,
    default: bool,
) -> bool:
    if annotated is None:
        return default
    if annotated == stored:
        return False
    if sideways and annotated == stored[::-1]:
        return True
    raise ConfigError(
        f"{path}: the image has {stored[1]}x{stored[0]} pixels, {named_by} says "
        f"{annotated[1]}x{annotated[0]}; correct the annotation"
    )


def _decode(image: Image.Image, *, upright: bool, max_pixels: int | None) -> tuple[ByteImage, int | None]:
    """Pixels, and the bits of a file of 16 bits whose values are smaller."""
    pixels = image.width * image.height
    with _huge if pixels > MAX_PIXELS else nullcontext():
        size = image.size
        if max_pixels is not None and pixels > max_pixels:
            factor = math.ceil(math.sqrt(pixels / max_pixels))
            size = math.ceil(image.width / factor), math.ceil(image.height / factor)
            image.draft("RGB", size)  # a JPEG is decoded at 1/2, 1/4 or 1/8
        wide = ";16" in str(getattr(image, "tile", ""))
        image.load()
        bits = used_bits(image)
        if upright:
            image, size = _transposed(image, size)
        if image.size != size and bits == 8 and image.mode != "P":
            # Before it is copied: three channels of a huge grey image, or a second copy, may be too much.
            as_stored = image if image.mode in _RESIZED_AS_STORED else image.convert("RGB")
            image = as_stored.resize(size, Image.Resampling.BOX)
        found = to_rgb(image)
    if wide and bits == 8 and image.mode == "RGB" and found.max(initial=0) < 1 << _LOST_BITS:
        raise ValueError("its colours of 16 bits hold values of 12 or less; save it with 8 bits")
    if found.shape[1::-1] != size:
        found = np.array(Image.fromarray(found).resize(size, Image.Resampling.BOX))
    return found, bits if image.mode.startswith("I") and bits < 16 else None


def _transposed(image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    sideways = image.getexif().get(_ORIENTATION_TAG) in _SIDEWAYS
    return ImageOps.exif_transpose(image), size[::-1] if sideways else size


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{str(path)[:300]}: not a readable image ({str(error)[:200]})")
