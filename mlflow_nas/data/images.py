"""Images as RGB bytes, and the one preprocessing that every room uses."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mlflow_nas.data.sample import ByteImage, ImageSize

__all__ = ["resize_image", "resize_to_bytes", "to_rgb", "used_bits"]

_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_CONTAINER_BITS = 16
_LESS_BITS = (8, 12)
"""What cameras write into 16 bits, least first."""


def used_bits(image: Image.Image) -> int:
    """Bits of a grey image's values: 8 in files of 8 bits; in those of 16 bits 8, 12 or 16, by the brightest.

    Raises:
        ValueError: a value is negative, or larger than 16 bits.
    """
    if image.mode not in _WIDE_MODES:
        return 8
    low, high = np.asarray(image).min(), np.asarray(image).max()
    if low < 0 or high >= 1 << _CONTAINER_BITS:
        raise ValueError(f"its values reach from {low} to {high}, 0 to 65535 are allowed; scale them")
    return next((bits for bits in _LESS_BITS if high < 1 << bits), _CONTAINER_BITS)


def to_rgb(image: Image.Image) -> ByteImage:
    """Any image as RGB uint8 [h, w, 3], which may not be writable; transparency is dropped.

    Pillow clips 16-bit grey values at 255 when it converts them, which whitens the image: here
    the upper eight of the `used_bits` are taken.

    Raises:
        ValueError: the pixels are floats, whose range is not known, or out of 16 bits.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range; save it with 8 bits")
    if image.mode in _WIDE_MODES:
        grey = (np.asarray(image) >> (used_bits(image) - 8)).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "P":
        # Pillow warns when transparent palettes go straight to RGB.
        image = image.convert("RGBA")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def resize_to_bytes(image: ByteImage, img_size: ImageSize) -> Tensor:
    """Stretch an image to the network's input, in bytes.

    Pillow's bilinear filter, which averages where an image shrinks: the published figures were reached with
    it. Rounding to bytes makes a cached image equal to one resized on the fly.

    Args:
        image: RGB uint8 [h, w, 3].
        img_size: (height, width) of the result, in pixels.

    Returns:
        uint8 [3, H, W].
    """
    height, width = img_size
    resized = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(resized).permute(2, 0, 1).contiguous()


def resize_image(image: ByteImage, img_size: ImageSize) -> NDArray[np.float32]:
    """The preprocessing of training, calibration, evaluation and deployment.

    Args:
        image: RGB uint8 [h, w, 3].
        img_size: (height, width) of the result, in pixels.

    Returns:
        float32 [3, H, W] in 0..1, in steps of 1/255.
    """
    resized: NDArray[np.float32] = (resize_to_bytes(image, img_size).float() / 255).numpy()
    return resized
