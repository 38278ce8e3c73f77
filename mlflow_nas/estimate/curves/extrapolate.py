"""From the first epochs of a learning curve to its end (Domhan et al., IJCAI 2015)."""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from mlflow_nas.estimate.contract import Curve, Floats, UndefinedScoreError
from mlflow_nas.estimate.curves.early import QUALITY, series
from mlflow_nas.estimate.curves.families import FAMILIES, Family

__all__ = ["extrapolate", "fit_family", "lce_ensemble"]

_STARTS = 5
_LEAST_EPOCHS = 4
_MAY_FALL = 0.02
_NOISE_FLOOR = 1e-12


class FamilyFit(NamedTuple):
    """A family's value at the horizon, its slope there, and how well it fits (lower is better)."""

    at_horizon: float
    rises: bool
    bic: float


def lce_ensemble(curve: Curve, horizon: int) -> float:
    """Quality at the end of the training, extrapolated from the first epochs.

    Raises:
        UndefinedScoreError: fewer than 4 epochs, or a horizon before the last of them.
    """
    return extrapolate(np.array(series(curve, QUALITY), dtype=np.float64), horizon)


def extrapolate(quality: Floats, horizon: int) -> float:
    """Mean of the families' values at the horizon, weighted by softmax(-BIC / 2).

    A family is used when it does not fall there and predicts at least the last value less .02 and at most 1;
    without any, and for a curve that does not rise, the last value is returned.

    Args:
        quality: [k] in 0..1, one value per epoch from the first.
        horizon: the epoch to predict.

    Raises:
        UndefinedScoreError: see `lce_ensemble`.
    """
    if len(quality) < _LEAST_EPOCHS:
        raise UndefinedScoreError(
            f"{len(quality)} epochs are too few to fit a curve: {_LEAST_EPOCHS} are needed"
        )
    if horizon < len(quality):
        raise UndefinedScoreError(f"epoch {horizon} is before the last known one, {len(quality)}")
    last = float(quality[-1])
    if _slope(quality) <= 0:
        return last
    fits = [fit_family(family, quality, horizon) for family in FAMILIES if len(family.low) < len(quality)]
    usable = [fit for fit in fits if fit.rises and last - _MAY_FALL <= fit.at_horizon <= 1]
    if not usable:
        return last
    bics = np.array([fit.bic for fit in usable])
    weight = np.exp((bics.min() - bics) / 2)
    return float(weight @ np.array([fit.at_horizon for fit in usable]) / weight.sum())


def _slope(quality: Floats) -> float:
    """Sign and size of the straight line's slope through the curve, up to a positive factor."""
    steps = np.arange(len(quality)) - (len(quality) - 1) / 2
    return float(steps @ (quality - quality[-1]))


def fit_family(family: Family, quality: Floats, horizon: int) -> FamilyFit:
    """Bounded least squares with a soft L1 loss, the best of 5 starts; the same data give the same fit."""
    x = np.arange(1, len(quality) + 1, dtype=np.float64)
    low, high = np.array(family.low), np.array(family.high)
    rng = np.random.default_rng(0)
    starts = [(low + high) / 2, *(rng.uniform(low, high) for _ in range(_STARTS - 1))]
    best = min(
        (
            least_squares(
                lambda parameters: family.formula(x, *parameters) - quality,
                start,
                bounds=(low, high),
                loss="soft_l1",
                f_scale=0.1,
                xtol=1e-12,
                ftol=1e-12,
                gtol=1e-12,
            )
            for start in starts
        ),
        key=lambda solution: float(solution.cost),
    )
    squares = float(np.square(family.formula(x, *best.x) - quality).sum())
    bic = len(x) * math.log(max(squares / len(x), _NOISE_FLOOR)) + len(low) * math.log(len(x))
    before, end = family.formula(np.array([horizon - 1.0, float(horizon)]), *best.x)
    return FamilyFit(at_horizon=float(end), rises=bool(end >= before), bic=bic)
