"""Scores that read the first epochs as they are."""

import statistics

from mlflow_nas.estimate.contract import Curve, UndefinedScoreError

__all__ = ["ACCURACY", "LOSS", "early_stop_map", "series", "tse_e", "tse_ema"]

ACCURACY, LOSS = "map_fp32", "train_loss"
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


def early_stop_map(curve: Curve, horizon: int) -> float:  # noqa: ARG001 - every score of a curve takes both
    """Accuracy (mAP of the float network), the mean of the last three epochs at most."""
    return statistics.fmean(series(curve, ACCURACY)[-_SMOOTHED:])


def tse_e(curve: Curve, horizon: int) -> float:  # noqa: ARG001 - every score of a curve takes both
    """Training loss of the last epoch, the mean over its minibatches (TSE-E, arXiv:2006.04492, E = 1).

    The paper sums over minibatches; their number is the same for all candidates.
    """
    return series(curve, LOSS)[-1]


def tse_ema(curve: Curve, horizon: int) -> float:  # noqa: ARG001 - every score of a curve takes both
    """Moving average of the training loss in which the newest epoch weighs .9 (TSE-EMA, arXiv:2006.04492)."""
    losses = series(curve, LOSS)
    average = losses[0]
    for loss in losses[1:]:
        average = (1 - _NEWEST_SHARE) * average + _NEWEST_SHARE * loss
    return average
