"""Cluttered backgrounds: sky, ground, noise and objects that are not people."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from mlflow_nas.data.canvas import Colour, Part, box, ellipse, limb
from mlflow_nas.data.people import shade
from mlflow_nas.data.sample import ByteImage

__all__ = ["CLUTTER", "add_noise", "backdrop"]

_BLOTCH_PX = 20


def backdrop(rng: Generator, size_px: int) -> ByteImage:
    """Sky and ground as two gradients with soft blotches, RGB uint8 [size, size, 3]."""
    horizon = int(size_px * rng.uniform(0.25, 0.6))
    sky = _gradient(rng, horizon, low=110, high=235)
    ground = _gradient(rng, size_px - horizon, low=60, high=190)
    rows = np.concatenate([sky, ground])[:, None, :]  # [size, 1, 3]
    cells = size_px // _BLOTCH_PX + 1
    blotches = rng.integers(0, 60, (cells, cells), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(blotches).resize((size_px, size_px), Image.Resampling.BILINEAR))
    return (rows + soft[:, :, None].astype(np.float32) - 30).clip(0, 255).astype(np.uint8)


def add_noise(rng: Generator, image: ByteImage, *, amplitude: int) -> ByteImage:
    """Grey pixel noise of at most ``amplitude`` levels."""
    noise = rng.integers(-amplitude, amplitude + 1, (*image.shape[:2], 1), dtype=np.int16)
    return (image + noise).clip(0, 255).astype(np.uint8)


def _gradient(rng: Generator, rows: int, *, low: int, high: int) -> NDArray[np.float32]:
    """Colours of rows [rows, 3] from one muted colour to another."""
    ends = rng.uniform(low, high, (2, 1)) + rng.uniform(-22, 22, (2, 3))
    share = np.linspace(0, 1, rows)[:, None]
    colours: NDArray[np.float32] = (ends[0] * (1 - share) + ends[1] * share).astype(np.float32)
    return colours


def _muted(rng: Generator, low: int = 50, high: int = 210) -> Colour:
    grey = int(rng.integers(low, high))
    return shade(rng, (grey, grey, grey), 26)


def _house(rng: Generator) -> list[Part]:
    half, window = rng.uniform(0.35, 0.8), _muted(rng)
    parts = [box(-half, 1, half, 0, _muted(rng))]
    for column in np.linspace(-half + 0.12, half - 0.22, 3):
        parts += [box(column, y, column + 0.1, y - 0.13, window) for y in (0.9, 0.6, 0.3)]
    return parts


def _tree(rng: Generator) -> list[Part]:
    bark, leaves = shade(rng, (96, 70, 48)), shade(rng, (70, 120, 60), 36)
    spread = rng.uniform(0.16, 0.34)
    crown = [ellipse(rng.uniform(-0.1, 0.1), y, (spread, 0.2), leaves) for y in (0.8, 0.62)]
    return [limb((0, 0), (0, 0.6), rng.uniform(0.06, 0.12), bark), *crown]


def _lamp(rng: Generator) -> list[Part]:
    metal = _muted(rng, 30, 120)
    head = ellipse(0, 0.93, (0.06, 0.06), shade(rng, (235, 225, 180)))
    return [limb((0, 0), (0, 0.9), 0.035, metal), head]


def _sign(rng: Generator) -> list[Part]:
    post = limb((0, 0), (0, 0.7), 0.05, _muted(rng))
    return [post, box(-0.17, 1, 0.17, 0.66, shade(rng, (160, 120, 110), 80))]


def _car(rng: Generator) -> list[Part]:
    paint, tyre = shade(rng, (130, 120, 125), 90), shade(rng, (30, 30, 32))
    cabin = Part("polygon", ((-0.7, 0.55), (-0.45, 1), (0.4, 1), (0.75, 0.55)), shade(rng, paint))
    wheels = [ellipse(x, 0.2, (0.2, 0.2), tyre) for x in (-0.75, 0.75)]
    return [cabin, box(-1.2, 0.6, 1.2, 0.2, paint), *wheels]


def _bush(rng: Generator) -> list[Part]:
    leaves = shade(rng, (80, 110, 60), 36)
    return [ellipse(x, 0.45, (0.4, rng.uniform(0.35, 0.55)), leaves) for x in (-0.4, 0.0, 0.4)]


def _pillar(rng: Generator) -> list[Part]:
    """As wide and high as a person, with a ball on top: neither size nor outline is enough."""
    half = rng.uniform(0.08, 0.15)
    stone = shade(rng, (150, 130, 120), 80)
    return [box(-half, 0.82, half, 0, stone), ellipse(0, 0.9, (0.08, 0.1), shade(rng, stone, 40))]


def _barrier(rng: Generator) -> list[Part]:
    paint = shade(rng, (180, 110, 70), 60)
    legs = [limb((x, 0), (x, 1), 0.1, paint) for x in (-0.8, 0.8)]
    return [*legs, box(-1, 0.95, 1, 0.7, paint), box(-1, 0.5, 1, 0.3, _muted(rng))]


CLUTTER: tuple[Callable[[Generator], list[Part]], ...] = (
    _house,
    _tree,
    _lamp,
    _sign,
    _car,
    _bush,
    _pillar,
    _barrier,
)
