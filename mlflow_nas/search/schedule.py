"""How long a trial trains unless told otherwise, and what counts as short."""

import math

__all__ = ["default_epochs", "is_short"]

DEFAULT_STEPS = 200
"""Fewer leave architectures behind that are far from the seed network (docs/results/detector.md)."""
SHORT_STEPS = 400
LEAST_EPOCHS = 3


def default_epochs(images: int, batch_size: int) -> int:
    """Epochs that make two hundred steps, at least 3."""
    return max(math.ceil(DEFAULT_STEPS / _steps_of(images, batch_size)), LEAST_EPOCHS)


def is_short(epochs: int, images: int, batch_size: int) -> bool:
    """Whether a training is too short to gain by changing a backbone that was inherited whole."""
    return epochs * _steps_of(images, batch_size) <= SHORT_STEPS


def _steps_of(images: int, batch_size: int) -> int:
    return max(math.ceil(images / batch_size), 1)
