"""MAP of a detector over draws of the images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.tasks.detection.metric import CocoMap
from mlflow_nas.tasks.resampling import DRAWS, drawn_images

__all__ = ["bootstrap_map"]


def bootstrap_map(record: Path, *, copies: int = 1, draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """MAP of a detector over draws of the images with repetition; equal seeds draw the same images.

    Args:
        record: detections and truth of the images, as `CocoMap.save` writes them: all images, then all in
            their second augmentation, and so on. The copies of an image are drawn together.
        copies: augmented copies of each image.
        draws: their number.
        seed: of the draws.

    Returns:
        [draws], 0..1.
    """
    metric = CocoMap.load(record)
    return metric.resample(drawn_images(metric.images, copies=copies, draws=draws, seed=seed))
