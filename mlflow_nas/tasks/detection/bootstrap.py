"""Bootstrap over images: how far an accuracy, or the difference of two, is from chance.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: percentile intervals. Two detectors
are compared on the same draws of images (a paired bootstrap, as Koehn, aclanthology.org/W04-3250, does for
translations).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.tasks.detection.metric import CocoMap

__all__ = ["DRAWS", "bootstrap_map", "interval"]

DRAWS = 200
_LEVEL = 0.95


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
    images = metric.images // copies
    drawn = np.random.default_rng(seed).integers(0, images, (draws, images))
    every = drawn[:, np.newaxis, :] + images * np.arange(copies)[:, np.newaxis]
    return metric.resample(every.reshape(draws, -1))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of draws: (low, high)."""
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
