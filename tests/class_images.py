"""Folders of classified images for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["write_class_folders"]

COLOURS = {"red": 0, "green": 1, "blue": 2}


def write_class_folders(folder: Path, *, classes: Sequence[str], train: int = 4, val: int = 2) -> Path:
    """Noise that is brightest in the colour of its class, as folder/SPLIT/CLASS/NUMBER.png."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for name in classes:
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 120, (40, 50, 3), dtype=np.uint8)
                image[..., COLOURS[name]] += 120
                Image.fromarray(image).save(place / f"{number}.png")
    return folder
