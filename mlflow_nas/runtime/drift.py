"""Tolerance of the difference between another machine's outputs and the host's.

The tolerance is what quantization itself changes: the root mean square difference of float and int8 on the
host, per output channel. Kernels of another processor round differently, by far less than that.

Shapes: n images, C channels: [n, C, h, w] of the layout "cells", [n, boxes, C] and [n, C] of the others.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift", "allowed_drift", "worst_drift"]

FLOOR = 1e-3
"""Differences below are rounding, also of a channel that quantization leaves untouched."""


class Drift(NamedTuple):
    """The channel with the largest difference relative to its tolerance; both are root mean squares."""

    channel: int
    found: float
    allowed: float

    @property
    def is_allowed(self) -> bool:
        """Whether it is within the tolerance; NaN is not."""
        return self.found <= self.allowed


def allowed_drift(*, fp32: NDArray[np.float32], int8: NDArray[np.float32]) -> NDArray[np.float64]:
    """The tolerance per channel: outputs of both files on the host -> [C]."""
    return np.maximum(_rms(fp32 - int8), FLOOR)


def worst_drift(
    *, device: NDArray[np.float32], host: NDArray[np.float32], allowed: NDArray[np.float64]
) -> Drift:
    """Outputs of one file on two machines, against the tolerance [C]."""
    drift = _rms(device - host)
    worst = int(np.argmax(np.nan_to_num(drift / allowed, nan=np.inf)))
    return Drift(worst, float(drift[worst]), float(allowed[worst]))


def _rms(difference: NDArray[np.float32]) -> NDArray[np.float64]:
    """Per channel -> [C]."""
    others = (0, 2, 3) if difference.ndim == 4 else tuple(range(difference.ndim - 1))
    squares: NDArray[np.float64] = np.mean(np.square(difference, dtype=np.float64), axis=others)
    return np.sqrt(squares)
