"""Corrections for the winner's curse. B bootstrap draws, s strategies."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.estimate.selection.bootstrap import interval
from mlflow_nas.estimate.selection.ranking import Floats, pairs_of, tau_b

__all__ = [
    "Noise",
    "corrected_tau",
    "holm",
    "indistinguishable",
    "informativeness",
    "noise_of",
    "one_sided_p",
    "probability_best",
]


class Noise(NamedTuple):
    """The noise of training, from architectures that were trained twice.

    Attributes:
        ceiling: tau-b between the two trainings; no strategy can be expected above it.
        deviation: standard deviation of one training's result.
        architectures: number of them.
    """

    ceiling: float
    deviation: float
    architectures: int


def noise_of(first: Floats, second: Floats) -> Noise | None:
    """The noise of training, from the results [m] of m architectures and those of training them again.

    Returns:
        None when fewer than two architectures were trained twice.
    """
    if len(first) < 2:
        return None
    deviation = float(np.sqrt(np.mean((first - second) ** 2) / 2))
    return Noise(tau_b(pairs_of(first), pairs_of(second)), deviation, len(first))


def corrected_tau(in_bag: Floats, out_of_bag: Floats) -> float:
    """BBC: select on the in-bag pairs of a draw, evaluate on the out-of-bag ones; the mean over draws.

    Bootstrap bias corrected cross-validation (Tsamardinos et al. 2018, doi:10.1007/s10994-018-5714-4). With
    one strategy it is that strategy's mean out-of-bag tau.

    Args:
        in_bag: tau-b [B, s].
        out_of_bag: tau-b [B, s] of the same draws.
    """
    chosen = np.nan_to_num(in_bag, nan=-np.inf).argmax(axis=1)
    return float(np.nanmean(np.take_along_axis(out_of_bag, chosen[:, None], axis=1)))


def probability_best(in_bag: Floats) -> Floats:
    """Share of the draws that each strategy wins [s]; ties count proportionally."""
    draws = np.nan_to_num(in_bag, nan=-np.inf)
    first = draws == draws.max(axis=1, keepdims=True)
    return np.asarray((first / first.sum(axis=1, keepdims=True)).mean(axis=0), dtype=np.float64)


def indistinguishable(in_bag: Floats, winner: int) -> NDArray[np.bool_]:
    """Strategies [s] whose paired difference to the winner has a 95 % interval that contains 0."""
    bounds = [interval(in_bag[:, winner] - column) for column in in_bag.T]
    return np.array([low <= 0 <= high for low, high in bounds])


def one_sided_p(draws: Floats) -> Floats:
    """p-values [s] of the hypothesis that the draws [B, s] are not above 0."""
    not_above = ~(draws > 0)  # NaN counts as not above 0
    return np.asarray((1 + not_above.sum(axis=0)) / (1 + len(draws)), dtype=np.float64)


def holm(p_values: Floats) -> Floats:
    """Holm's step-down correction (1979): adjusted p-values [s], in the given order."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def informativeness(scores: Floats, spreads: Floats, seeds: int) -> float | None:
    """Share of the variance of scores that is between architectures and not between weight seeds.

    Args:
        scores: means over the seeds [n]; NaN is missing.
        spreads: standard deviations over the seeds [n]; NaN where there is one seed only.
        seeds: number of weight seeds that a score averages.

    Returns:
        1 for a score without seeds, None when fewer than two architectures have a score.
    """
    known = scores[~np.isnan(scores)]
    if len(known) < 2:
        return None
    if np.isnan(spreads).all():
        return 1.0
    noise = float(np.nanmean(spreads**2)) / seeds
    between = max(float(known.var(ddof=1)) - noise, 0.0)
    return between / (between + noise) if between + noise else 0.0
