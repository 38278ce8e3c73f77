"""Scores and features of the first epochs of a training, as they are."""

import statistics

import numpy as np

from mlflow_nas.estimate.contract import Curve, Floats, UndefinedScoreError

__all__ = ["LOSS", "QUALITY", "curve_features", "early_stop", "series", "tse_e", "tse_ema"]

LOSS, QUALITY = "train_loss", "quality"
_SMOOTHED = 3
_NEWEST_SHARE = 0.9


def series(curve: Curve, name: str) -> list[float]:
    """One metric over the epochs.

    Raises:
        UndefinedScoreError: an epoch lacks it.
    """
    missing = [epoch for epoch, metrics in enumerate(curve, start=1) if name not in metrics]
    if missing:
        raise UndefinedScoreError(f"{name} was not logged in epoch {missing[0]}")
    return [metrics[name] for metrics in curve]


def early_stop(curve: Curve, horizon: int) -> float:  # noqa: ARG001 - every score of a curve takes both
    """Quality of the float network, the mean of the last three epochs at most."""
    return statistics.fmean(series(curve, QUALITY)[-_SMOOTHED:])


def tse_e(curve: Curve, horizon: int) -> float:  # noqa: ARG001 - every score of a curve takes both
    """Training loss of the last epoch, the mean over its minibatches (TSE-E, arXiv:2006.04492, E = 1).

    The paper sums over minibatches; their number is the same for all candidates.
    """
    return series(curve, LOSS)[-1]


def tse_ema(curve: Curve, horizon: int) -> float:  # noqa: ARG001 - every score of a curve takes both
    """Moving average of the training loss; the newest epoch's weight is .9 (TSE-EMA, arXiv:2006.04492)."""
    losses = series(curve, LOSS)
    average = losses[0]
    for loss in losses[1:]:
        average = (1 - _NEWEST_SHARE) * average + _NEWEST_SHARE * loss
    return average


def curve_features(curve: Curve) -> Floats:
    """Quality and training loss as features of a model [q]; q is 0 without epochs, NaN is a missing metric.

    Baker et al. (arXiv:1705.10823) take the accuracies and their first and second differences; White et al.
    (arXiv:2104.01177) add mean and standard deviation, and the sum of losses.
    """
    if not curve:
        return np.empty(0)
    quality = np.array([epoch.get(QUALITY, np.nan) for epoch in curve])
    loss = np.array([epoch.get(LOSS, np.nan) for epoch in curve])
    differences = [np.diff(quality), np.diff(quality, n=2)] if len(curve) > 1 else []
    summary = [quality.mean(), quality.std(), loss.mean(), loss.std(), loss.sum()]
    return np.concatenate([quality, *differences, loss, summary])
