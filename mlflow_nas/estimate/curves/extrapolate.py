"""From the first epochs of a learning curve to its end (Domhan et al., IJCAI 2015)."""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from mlflow_nas.estimate.contract import Curve, Floats, UndefinedScoreError
from mlflow_nas.estimate.curves.early import ACCURACY, series
from mlflow_nas.estimate.curves.families import FAMILIES, Family

__all__ = ["extrapolate", "fit_family", "lce_ensemble"]

_STARTS = 5
_LEAST_EPOCHS = 4
_MAY_FALL = 0.02
_NOISE_FLOOR = 1e-12


class Fitted(NamedTuple):
    """A family's value at the horizon, its slope there, and how well it fits (lower is better)."""

    at_horizon: float
    rises: bool
    bic: float


def lce_ensemble(curve: Curve, horizon: int) -> float:
    """Accuracy (mAP) at the end of the training, extrapolated from the first epochs.

    Raises:
        UndefinedScoreError: fewer than 4 epochs, or a horizon that lies before the last of them.
    """
    return extrapolate(np.array(series(curve, ACCURACY), dtype=np.float64), horizon)


def extrapolate(accuracy: Floats, horizon: int) -> float:
    """Mean of the families' values at the horizon, weighted by softmax(-BIC / 2).

    A family counts when it does not fall there and predicts at least the last value less .02 and at most 1;
    without any, and for a curve that does not rise, the last value stands.

    Args:
        accuracy: [k] in 0..1, one value per epoch from the first.
        horizon: the epoch to predict.

    Raises:
        UndefinedScoreError: see `lce_ensemble`.
    """
    if len(accuracy) < _LEAST_EPOCHS:
        raise UndefinedScoreError(
            f"{len(accuracy)} epochs are too few to fit a curve: {_LEAST_EPOCHS} are needed"
        )
    if horizon < len(accuracy):
        raise UndefinedScoreError(f"epoch {horizon} lies before the last known one, {len(accuracy)}")
    last = float(accuracy[-1])
    if _slope(accuracy) <= 0:
        return last
    fits = [fit_family(family, accuracy, horizon) for family in FAMILIES if len(family.low) < len(accuracy)]
    usable = [fit for fit in fits if fit.rises and last - _MAY_FALL <= fit.at_horizon <= 1]
    if not usable:
        return last
    bics = np.array([fit.bic for fit in usable])
    weight = np.exp((bics.min() - bics) / 2)
    return float(weight @ np.array([fit.at_horizon for fit in usable]) / weight.sum())


def _slope(accuracy: Floats) -> float:
    """Sign and size of the straight line's slope through the curve, up to a positive factor."""
    steps = np.arange(len(accuracy)) - (len(accuracy) - 1) / 2
    return float(steps @ (accuracy - accuracy[-1]))


def fit_family(family: Family, accuracy: Floats, horizon: int) -> Fitted:
    """Bounded least squares with a soft L1 loss, the best of 5 starts; the same data give the same fit."""
    x = np.arange(1, len(accuracy) + 1, dtype=np.float64)
    low, high = np.array(family.low), np.array(family.high)
    rng = np.random.default_rng(0)
    starts = [(low + high) / 2, *(rng.uniform(low, high) for _ in range(_STARTS - 1))]
    best = min(
        (
            least_squares(
                lambda parameters: family.formula(x, *parameters) - accuracy,
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
    squares = float(np.square(family.formula(x, *best.x) - accuracy).sum())
    bic = len(x) * math.log(max(squares / len(x), _NOISE_FLOOR)) + len(low) * math.log(len(x))
    before, end = family.formula(np.array([horizon - 1.0, float(horizon)]), *best.x)
    return Fitted(at_horizon=float(end), rises=bool(end >= before), bic=bic)
