"""Images for predict: paths, files in base64, arrays; one or many."""

import base64
import binascii
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlflow_nas.errors import ConfigError

__all__ = ["read_images"]

COLUMN = "image"
LONGEST_PATH = 4096


def read_images(inputs: Any) -> list[NDArray[np.uint8]]:
    """RGB uint8 [h, w, 3] of each image.

    Args:
        inputs: a DataFrame or a mapping with `image`, a list, or one image. An image is a path, a JPEG or PNG
            file (bytes, or base64), or an array of bytes [h, w, 3], nested lists included; an array
            [n, h, w, 3] is n images.

    Raises:
        ConfigError: there is no image, or one that can't be read.
    """
    images = [_read(image) for image in _each(inputs)]
    if not images:
        raise ConfigError("The input has no image: give at least one.")
    return images


def _each(inputs: Any) -> Iterable[Any]:
    if isinstance(inputs, pd.DataFrame | Mapping):
        if COLUMN not in inputs:
            raise ConfigError(
                f"The input has the columns {list(inputs)}: give a column `{COLUMN}` of paths, "
                "base64 or arrays."
            )
        return _each(list(inputs[COLUMN]))
    if isinstance(inputs, np.ndarray):
        return list(inputs) if inputs.ndim == 4 else [inputs]
    return inputs if isinstance(inputs, list | tuple) else [inputs]


def _read(image: Any) -> NDArray[np.uint8]:
    if isinstance(image, list | tuple | np.ndarray):
        return _from_array(image)
    if isinstance(image, Path) or (isinstance(image, str) and _is_file(image)):
        return _from_file(Path(image))
    return _from_bytes(image if isinstance(image, bytes) else _decoded(image))


def _is_file(text: str) -> bool:
    return len(text) < LONGEST_PATH and Path(text).is_file()


def _from_array(values: Any) -> NDArray[np.uint8]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise ConfigError("The rows of an image have different lengths: give bytes [h, w, 3].") from None
    well_formed = array.ndim == 3 and array.shape[2] == 3 and array.size > 0
    if not well_formed or array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise ConfigError(
            f"An image is {array.dtype}{list(array.shape)}: give whole numbers 0..255 as RGB [h, w, 3]."
        )
    return array.astype(np.uint8)


def _from_file(path: Path) -> NDArray[np.uint8]:
    from mlflow_nas.data import read_image

    return read_image(path)


def _from_bytes(content: bytes) -> NDArray[np.uint8]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "image"
        file.write_bytes(content)
        try:
            return _from_file(file)
        except ConfigError as error:
            raise ConfigError(f"{len(content)} bytes are no image file: give a JPEG or PNG file.") from error


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{str(text)[:80]!r} is neither an image file nor base64.") from None
