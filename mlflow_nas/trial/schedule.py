"""Default length of a trial's training, and the definition of a short one."""

import math

__all__ = ["default_epochs", "finishing_epochs", "is_short"]

DEFAULT_STEPS = 200
"""With fewer, architectures far from the seed network are ranked too low (docs/results/detector.md)."""
FINISHING_STEPS = 900
"""60 epochs of 120 images, 15 of 480: longer ones gained nothing (docs/results/detector.md)."""
SHORT_STEPS = 400
LEAST_EPOCHS = 3


def default_epochs(images: int, batch_size: int) -> int:
    """Number of epochs of two hundred steps, at least 3."""
    return max(math.ceil(DEFAULT_STEPS / _steps_of(images, batch_size)), LEAST_EPOCHS)


def finishing_epochs(images: int, batch_size: int) -> int:
    """Number of epochs of nine hundred steps, at least 3: a training to the end."""
    return max(math.ceil(FINISHING_STEPS / _steps_of(images, batch_size)), LEAST_EPOCHS)


def is_short(epochs: int, images: int, batch_size: int) -> bool:
    """Whether a training is too short to gain from training a transferred backbone."""
    return epochs * _steps_of(images, batch_size) <= SHORT_STEPS


def _steps_of(images: int, batch_size: int) -> int:
    return max(math.ceil(images / batch_size), 1)
