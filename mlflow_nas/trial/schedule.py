"""Default length of a trial's training, and the definition of a short one."""

import math

__all__ = ["default_epochs", "is_short"]

DEFAULT_STEPS = 200
"""With fewer, architectures far from the seed network are ranked too low (docs/results/detector.md)."""
SHORT_STEPS = 400
LEAST_EPOCHS = 3


def default_epochs(images: int, batch_size: int) -> int:
    """Number of epochs of two hundred steps, at least 3."""
    return max(math.ceil(DEFAULT_STEPS / _steps_of(images, batch_size)), LEAST_EPOCHS)


def is_short(epochs: int, images: int, batch_size: int) -> bool:
    """Whether a training is too short to gain from training a transferred backbone."""
    return epochs * _steps_of(images, batch_size) <= SHORT_STEPS


def _steps_of(images: int, batch_size: int) -> int:
    return max(math.ceil(images / batch_size), 1)
