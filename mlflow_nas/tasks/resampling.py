"""Bootstrap over images: how far an accuracy, or the difference of two, is from chance.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: percentile intervals. Two networks
are compared on the same draws of images (a paired bootstrap, as Koehn, aclanthology.org/W04-3250, does for
translations).
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "drawn_images", "interval"]

DRAWS = 200
_LEVEL = 0.95


def drawn_images(images: int, *, copies: int = 1, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Indexes [draws, images] of images drawn with repetition; equal seeds draw the same.

    Args:
        images: their number, augmented copies included: all images, then all in their second augmentation,
            and so on. The copies of an image are drawn together.
        copies: augmented copies of each image.
        draws: their number.
        seed: of the draws.
    """
    originals = images // copies
    drawn = np.random.default_rng(seed).integers(0, originals, (draws, originals))
    every = drawn[:, np.newaxis, :] + originals * np.arange(copies)[:, np.newaxis]
    return every.reshape(draws, -1)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of draws: (low, high)."""
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
