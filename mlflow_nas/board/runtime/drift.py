"""Tolerance of the difference between another machine's outputs and the host's.

The tolerance is what quantization itself changes: the root mean square difference of float and int8 on the
host, per output channel. Kernels of another processor round differently, by far less than that.

Shapes: n images, C channels: [n, C, h, w] of the layout "cells", [n, boxes, C] and [n, C] of the others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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


def allowed_drift(*, fp32: np.ndarray, int8: np.ndarray) -> np.ndarray:
    """The tolerance per channel: outputs of both files on the host -> [C]."""
    largest: np.ndarray = np.maximum(_rms(fp32 - int8), FLOOR)
    return largest


def worst_drift(*, device: np.ndarray, host: np.ndarray, allowed: np.ndarray) -> Drift:
    """Outputs of one file on two machines, against the tolerance [C]."""
    drift = _rms(device - host)
    worst = int(np.argmax(np.nan_to_num(drift / allowed, nan=np.inf)))
    return Drift(worst, float(drift[worst]), float(allowed[worst]))


def _rms(difference: np.ndarray) -> np.ndarray:
    """Per channel -> [C]."""
    others = (0, 2, 3) if difference.ndim == 4 else tuple(range(difference.ndim - 1))
    found: np.ndarray = np.sqrt(np.mean(np.square(difference, dtype=np.float64), axis=others))
    return found
