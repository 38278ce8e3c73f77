"""Out-of-sample pairs of a model that is fitted on the same architectures that it is evaluated on.

Predictions of different fits must not be pooled into one ranking: without a high y_i the mean falls, and a
weak model looks strongly negative (a constant reaches tau -1; doi:10.1145/1882471.1882479). So only
predictions of one fit are compared: of the two architectures left out together, or of one test fold.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.estimate.selection.ranking import Floats, Pairs

__all__ = ["Fit", "Predict", "leave_pair_out", "within_folds"]

Predict: TypeAlias = Callable[[Floats], Floats]
Fit: TypeAlias = Callable[[Floats, Floats], Predict]
Indices: TypeAlias = NDArray[np.intp]

TIED = 1e-9
"""Predictions closer than this, in standard deviations of the target, are one prediction."""


def leave_pair_out(features: Floats, target: Floats, fit: Fit) -> Pairs:
    """Fit on all others for each pair: n (n - 1) / 2 fits, unbiased for uninformative features.

    Args:
        features: [n, d].
        target: [n].
        fit: includes all scaling, feature selection and tuning.
    """
    indices = range(len(target))
    return _ranked(features, target, fit, (np.array(pair) for pair in combinations(indices, 2)))


def within_folds(
    features: Floats, target: Floats, fit: Fit, *, folds: int = 5, repeats: int = 20, seed: int
) -> Pairs:
    """Repeated cross-validation that compares within test folds: folds x repeats fits and a few more.

    Pairs that never shared a test fold, about 2 % at 20 repeats of 5 folds, are left out as pairs.
    Biased by -.02 to -.04, because it trains on four fifths.
    """
    rng = np.random.default_rng(seed)
    n = len(target)
    drawn = [fold for _ in range(repeats) for fold in np.array_split(rng.permutation(n), folds)]
    met = np.eye(n, dtype=bool)
    for fold in drawn:
        met[np.ix_(fold, fold)] = True
    missed = [np.array(pair) for pair in np.argwhere(~met) if pair[0] < pair[1]]
    return _ranked(features, target, fit, iter([*drawn, *missed]))


def _ranked(features: Floats, target: Floats, fit: Fit, tests: Iterator[Indices]) -> Pairs:
    n, tied = len(target), TIED * float(target.std())
    signs, untied, times = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for test in tests:
        rest = np.setdiff1d(np.arange(n), test)
        predicted = fit(features[rest], target[rest])(features[test])
        difference = predicted[:, None] - predicted[None, :]
        sign = np.where(np.abs(difference) > tied, np.sign(difference), 0.0)
        block = np.ix_(test, test)
        signs[block] += sign
        untied[block] += np.abs(sign)
        times[block] += 1
    times = np.maximum(times, 1)
    return Pairs(signs / times, untied / times)
