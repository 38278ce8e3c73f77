"""One annotated image, or a batch of them as tensors."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Batch", "ByteImage", "ImageSize", "RawBatch", "Sample", "Split", "Truth"]

ByteImage: TypeAlias = NDArray[np.uint8]
ImageSize: TypeAlias = tuple[int, int]
Split: TypeAlias = Literal["train", "val", "test"]
Truth: TypeAlias = Literal["boxes", "classes"]
"""What is known of the images of a data set: boxes of objects, or one class of each image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image with its boxes.

    Attributes:
        image: RGB uint8 [h, w, 3].
        boxes: float32 [n, 4], xyxy in pixels, inside the image, none empty.
        labels: int64 [n], indexes into the data set's classes.
        ignore: bool [n], true for boxes that the metric ignores (difficult, crowd).
        image_id: names the image in its data set.
    """

    image: ByteImage
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    image_id: str


class RawBatch(NamedTuple):
    """A batch of the loaders: images in bytes, so that little is moved to the device.

    Attributes:
        images: uint8 [b, 3, H, W].
        targets: as in ``Batch``.
        sizes: as in ``Batch``.
        seed: of this batch's augmentation; None leaves the batch as it is.
    """

    images: Tensor
    targets: Tensor
    sizes: Tensor
    seed: int | None


class Batch(NamedTuple):
    """A batch as networks are trained and evaluated on.

    Attributes:
        images: float32 [b, 3, H, W], RGB in 0..1.
        targets: float32 [m, 7], rows of (index in the batch, class, cx, cy, w, h, ignore); the box is
            normalised to 0..1, ignore is 0 or 1.
        sizes: int64 [b, 2], (height, width) of the images before resizing, in pixels.
    """

    images: Tensor
    targets: Tensor
    sizes: Tensor
