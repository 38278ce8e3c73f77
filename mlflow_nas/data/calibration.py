"""Images that quantization is calibrated on."""

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.images import resize_image
from mlflow_nas.data.sample import ImageSize
from mlflow_nas.errors import ConfigError

__all__ = ["calibration_images"]


def calibration_images(
    dataset: DetectionDataset, *, img_size: ImageSize, count: int, seed: int
) -> NDArray[np.float32]:
    """Draw images without replacement and preprocess them as for inference.

    Args:
        dataset: the training images.
        img_size: (height, width) of the network's input, in pixels.
        count: number of images; all of them when the data set has fewer.
        seed: of the draw.

    Returns:
        float32 [n, 3, H, W] in 0..1.

    Raises:
        ConfigError: ``count`` is below 1, or an image can't be decoded.
    """
    if count < 1:
        raise ConfigError(f"{count} calibration images asked for, 1 is the least; give a larger count")
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
    return np.stack([resize_image(dataset[int(index)].image, img_size) for index in chosen])
