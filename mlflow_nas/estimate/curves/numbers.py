"""The first epochs of a training as features of a model."""

import numpy as np

from mlflow_nas.estimate.contract import Curve, Floats
from mlflow_nas.estimate.curves.early import ACCURACY, LOSS

__all__ = ["curve_numbers"]


def curve_numbers(curve: Curve) -> Floats:
    """Accuracy and training loss as a model sees them; no number for no epoch, NaN for what was not logged.

    Baker et al. (arXiv:1705.10823) take the accuracies and their first and second differences; White et al.
    (arXiv:2104.01177) add mean and standard deviation, and the sum of losses.
    """
    if not curve:
        return np.empty(0)
    accuracy = np.array([epoch.get(ACCURACY, np.nan) for epoch in curve])
    loss = np.array([epoch.get(LOSS, np.nan) for epoch in curve])
    differences = [np.diff(accuracy), np.diff(accuracy, n=2)] if len(curve) > 1 else []
    summary = [accuracy.mean(), accuracy.std(), loss.mean(), loss.std(), loss.sum()]
    return np.concatenate([accuracy, *differences, loss, summary])
