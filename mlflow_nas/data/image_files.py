"""Image files: checked when a data set is loaded, decoded when a sample is read."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from mlflow_nas.data.images import to_rgb
from mlflow_nas.data.sample import ByteImage, ImageSize
from mlflow_nas.errors import ConfigError

__all__ = ["DecodedFile", "ImageFile", "inspect_image", "read_image"]

_ORIENTATION_TAG = 0x0112
# EXIF orientations that exchange width and height.
_SIDEWAYS = (5, 6, 7, 8)
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image on disk whose header was read.

    Attributes:
        path: the file.
        size: (height, width) of what ``read`` returns, in pixels.
        upright: whether the EXIF orientation is applied.
    """

    path: Path
    size: ImageSize
    upright: bool

    def read(self) -> ByteImage:
        """Decode the file to RGB uint8 [h, w, 3].

        Raises:
            ConfigError: the file can't be decoded.
        """
        return read_image(self.path, upright=self.upright)

    def content(self) -> bytes:
        """The bytes that identify the image."""
        return self.path.read_bytes()


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

    def content(self) -> bytes:
        """The bytes of the file."""
        return self.file.content()


def read_image(path: Path, *, upright: bool = True) -> ByteImage:
    """Decode any image file to RGB uint8 [h, w, 3].

    Args:
        path: the file; grey, palette, CMYK and 16-bit images become RGB of eight bits.
        upright: apply the EXIF orientation.

    Raises:
        ConfigError: the file is missing or can't be decoded.
    """
    try:
        with Image.open(path) as image:
            return to_rgb(ImageOps.exif_transpose(image) if upright else image)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def inspect_image(
    path: Path, *, annotated_size: ImageSize | None, named_by: Path, upright: bool = False
) -> ImageFile:
    """Read an image's header and determine its orientation.

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
    if not path.is_file():
        raise ConfigError(f"{path}: missing image, named by {named_by}")
    try:
        with Image.open(path) as image:
            stored = (image.height, image.width)
            sideways = image.getexif().get(_ORIENTATION_TAG) in _SIDEWAYS
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if annotated_size is None and upright:
        return ImageFile(path=path, size=stored[::-1] if sideways else stored, upright=True)
    if annotated_size is None or annotated_size == stored:
        return ImageFile(path=path, size=stored, upright=False)
    if sideways and annotated_size == stored[::-1]:
        return ImageFile(path=path, size=annotated_size, upright=True)
    raise ConfigError(
        f"{path}: the image has {stored[1]}x{stored[0]} pixels, {named_by} says "
        f"{annotated_size[1]}x{annotated_size[0]}; correct the annotation"
    )


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path}: not a readable image ({error})")
