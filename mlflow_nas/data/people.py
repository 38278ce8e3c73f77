"""People-like figures: head, torso, arms and legs in many colours and poses."""

from numpy.random import Generator

from mlflow_nas.data.canvas import Colour, Part, Point, ellipse, limb

__all__ = ["person", "shade"]

_SKIN: tuple[Colour, ...] = (
    (255, 224, 196),
    (241, 194, 160),
    (224, 172, 125),
    (198, 134, 96),
    (141, 85, 54),
    (96, 62, 42),
)
_HAIR: tuple[Colour, ...] = ((32, 24, 20), (72, 46, 28), (140, 96, 52), (212, 180, 110), (150, 150, 152))
_CLOTHES: tuple[Colour, ...] = (
    (200, 40, 44),
    (36, 70, 170),
    (30, 120, 70),
    (232, 190, 40),
    (238, 238, 234),
    (28, 30, 36),
    (120, 60, 140),
    (236, 120, 40),
    (90, 150, 210),
    (220, 120, 160),
)
_HIP_Y, _KNEE_Y, _SHOULDER_Y, _HEAD_Y = 0.50, 0.26, 0.80, 0.905


def shade(rng: Generator, colour: Colour, spread: int = 18) -> Colour:
    """The colour, a little brighter or darker in each channel."""
    red, green, blue = (min(255, max(0, c + int(rng.integers(-spread, spread + 1)))) for c in colour)
    return red, green, blue


def _pick(rng: Generator, colours: tuple[Colour, ...]) -> Colour:
    return shade(rng, colours[int(rng.integers(len(colours)))])


def person(rng: Generator) -> list[Part]:
    """Shapes of one figure, 1 high, back to front."""
    skin, top, trousers = _pick(rng, _SKIN), _pick(rng, _CLOTHES), _pick(rng, _CLOTHES)
    width = rng.uniform(0.75, 1.15)
    sleeve = skin if rng.random() < 0.5 else top
    left, right = (_arm(rng, side, width, (top, sleeve, skin)) for side in (-1, 1))
    behind, before = (left, right) if rng.random() < 0.5 else ([], [*left, *right])
    return [*behind, *_legs(rng, width, trousers), *_torso(width, top), *_head(rng, skin), *before]


def _torso(width: float, colour: Colour) -> list[Part]:
    shoulder, waist = 0.125 * width, 0.092 * width
    corners: tuple[Point, ...] = (
        (-shoulder, _SHOULDER_Y + 0.01),
        (-0.04, 0.84),
        (0.04, 0.84),
        (shoulder, _SHOULDER_Y + 0.01),
        (waist, _HIP_Y - 0.03),
        (-waist, _HIP_Y - 0.03),
    )
    return [Part("polygon", corners, colour)]


def _head(rng: Generator, skin: Colour) -> list[Part]:
    lean = rng.uniform(-0.015, 0.015)
    hair = _pick(rng, _HAIR)
    neck = limb((0, 0.82), (lean, _HEAD_Y), 0.055, skin)
    crown = ellipse(lean, _HEAD_Y + 0.018, (0.070, 0.077), hair)
    face = ellipse(lean + rng.uniform(-0.02, 0.02), _HEAD_Y - 0.012, (0.056, 0.066), skin)
    return [neck, crown, face]


def _legs(rng: Generator, width: float, trousers: Colour) -> list[Part]:
    shoe = shade(rng, (40, 34, 32))
    stride = rng.uniform(0.02, 0.16)
    parts = []
    for side in (-1, 1):
        hip = (side * 0.045 * width, _HIP_Y)
        knee = (side * (0.05 * width + stride * 0.45) + rng.uniform(-0.02, 0.02), _KNEE_Y)
        foot = (side * (0.045 * width + stride), 0.025)
        parts += [limb(hip, knee, 0.095 * width, trousers), limb(knee, foot, 0.075 * width, trousers)]
        parts.append(ellipse(foot[0] + 0.015 * side, 0.022, (0.048, 0.022), shoe))
    return parts


def _arm(rng: Generator, side: int, width: float, colours: tuple[Colour, Colour, Colour]) -> list[Part]:
    """One arm, hanging or raised; colours of its upper half, its lower half and the hand."""
    shoulder = (side * 0.112 * width, _SHOULDER_Y - 0.02)
    elbow = (side * (0.12 * width + rng.uniform(0.01, 0.09)), rng.uniform(0.60, 0.68))
    raised = rng.random() < 0.15
    hand_y = rng.uniform(0.76, 0.92) if raised else rng.uniform(0.43, 0.54)
    hand = (elbow[0] + side * rng.uniform(-0.05, 0.06), hand_y)
    return [
        limb(shoulder, elbow, 0.062 * width, colours[0]),
        limb(elbow, hand, 0.05 * width, colours[1]),
        ellipse(hand[0], hand[1], (0.026, 0.028), colours[2]),
    ]
