"""Parametric families of learning curves (Domhan et al., IJCAI 2015, table 1).

Each maps epochs x >= 1 and parameters to accuracy; within the bounds it is defined for every x >= 1.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from mlflow_nas.estimate.contract import Floats

__all__ = ["FAMILIES", "Family"]

Formula: TypeAlias = Callable[..., Floats]


class Family(NamedTuple):
    """A formula with the bounds of its parameters."""

    name: str
    formula: Formula
    low: tuple[float, ...]
    high: tuple[float, ...]


def _pow3(x: Floats, c: float, a: float, alpha: float) -> Floats:
    return c - a * x**-alpha


def _pow4(x: Floats, c: float, a: float, b: float, alpha: float) -> Floats:
    return c - (a * x + b) ** -alpha


def _ilog2(x: Floats, c: float, a: float) -> Floats:
    return np.asarray(c - a / np.log(x + 1))


def _exp4(x: Floats, c: float, a: float, b: float, alpha: float) -> Floats:
    return c - np.exp(-a * x**alpha + b)


def _mmf(x: Floats, alpha: float, beta: float, kappa: float, delta: float) -> Floats:
    return np.asarray(alpha - (alpha - beta) / (1 + (kappa * x) ** delta))


def _hill3(x: Floats, y: float, eta: float, kappa: float) -> Floats:
    return np.asarray(y * x**eta / (kappa**eta + x**eta))


def _janoschek(x: Floats, alpha: float, beta: float, kappa: float, delta: float) -> Floats:
    return alpha - (alpha - beta) * np.exp(-kappa * x**delta)


def _weibull(x: Floats, alpha: float, beta: float, kappa: float, delta: float) -> Floats:
    return alpha - (alpha - beta) * np.exp(-((kappa * x) ** delta))


def _logpower(x: Floats, a: float, b: float, c: float) -> Floats:
    return np.asarray(a / (1 + (x / np.exp(b)) ** c))


def _vapour(x: Floats, a: float, b: float, c: float) -> Floats:
    return np.exp(a + b / x + c * np.log(x))


def _loglog_linear(x: Floats, a: float, b: float) -> Floats:
    return np.log(np.maximum(a * np.log(x) + b, 1e-12))


FAMILIES: tuple[Family, ...] = (
    Family("pow3", _pow3, (0, 0, 0), (1, 2, 5)),
    Family("pow4", _pow4, (0, 1e-3, 1e-3, 0), (1, 10, 10, 5)),
    Family("ilog2", _ilog2, (0, 0), (2, 2)),
    Family("exp4", _exp4, (0, 1e-3, -5, 1e-2), (1, 5, 2, 2)),
    Family("mmf", _mmf, (0, 0, 1e-3, 0), (1, 1, 10, 5)),
    Family("hill3", _hill3, (0, 0, 1e-3), (1, 5, 100)),
    Family("janoschek", _janoschek, (0, 0, 1e-3, 0), (1, 1, 5, 3)),
    Family("weibull", _weibull, (0, 0, 1e-3, 0), (1, 1, 5, 3)),
    Family("logpower", _logpower, (0, -5, -5), (1, 5, 0)),
    Family("vapour", _vapour, (-10, -10, -1), (1, 0, 1)),
    Family("loglog-linear", _loglog_linear, (0, 1), (1, 3)),
)
