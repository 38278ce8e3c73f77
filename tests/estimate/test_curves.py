"""Scores of learning curves on made-up curves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlflow_nas.estimate import UndefinedScoreError, run_strategy, strategy_named
from mlflow_nas.estimate.curves.early import early_stop, tse_e, tse_ema
from mlflow_nas.estimate.curves.extrapolate import extrapolate, fit_family, lce_ensemble
from mlflow_nas.estimate.curves.families import FAMILIES, Family

TRUE: dict[str, tuple[float, ...]] = {
    "pow3": (0.8, 0.6, 0.7),
    "pow4": (0.8, 2.0, 1.0, 0.8),
    "ilog2": (0.9, 0.4),
    "exp4": (0.8, 0.3, -0.4, 0.7),
    "mmf": (0.8, 0.1, 0.3, 1.2),
    "hill3": (0.8, 1.1, 3.0),
    "janoschek": (0.8, 0.1, 0.2, 0.9),
    "weibull": (0.8, 0.1, 0.2, 0.9),
    "logpower": (0.8, 1.0, -1.1),
    "vapour": (-0.3, -1.2, 0.02),
    "loglog-linear": (0.15, 1.3),
}


def _curve(**metrics: list[float]) -> tuple[dict[str, float], ...]:
    return tuple(dict(zip(metrics, values, strict=True)) for values in zip(*metrics.values(), strict=True))


def test_early_stopping_reads_the_last_three_epochs() -> None:
    """The mean of the last three, or of all when there are fewer."""
    assert early_stop(_curve(quality=[0.9, 0.1, 0.2, 0.3]), 10) == pytest.approx(0.2)
    assert early_stop(_curve(quality=[0.1, 0.2]), 10) == pytest.approx(0.15)


def test_a_smaller_last_loss_scores_higher(inputs_of: Any) -> None:
    """TSE-E ranks by the loss of the last epoch alone."""
    inputs = inputs_of(None)
    values = [
        run_strategy(strategy_named("tse_e"), replace(inputs, history=_curve(train_loss=losses))).value
        for losses in ([9.0, 1.0], [1.0, 2.0], [0.5, 3.0])
    ]
    assert values == [-1.0, -2.0, -3.0]
    assert tse_e(_curve(train_loss=[9.0, 1.0]), 10) == 1.0


def test_the_moving_average_is_the_recursion_by_hand() -> None:
    """Three epochs: 4, then .1 x 4 + .9 x 2, then .1 x 2.2 + .9 x 1."""
    assert tse_ema(_curve(train_loss=[4.0, 2.0, 1.0]), 10) == pytest.approx(0.1 * 2.2 + 0.9)


def test_a_curve_without_the_metric_is_refused() -> None:
    """The error names metric and epoch."""
    with pytest.raises(UndefinedScoreError, match=r"quality was not logged in epoch 2"):
        early_stop(({"quality": 0.1}, {"train_loss": 1.0}), 10)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_family_recovers_its_own_curve(family: Family) -> None:
    """From 10 of 100 epochs without noise the value at epoch 100 is off by less than .001."""
    x = np.arange(1, 101, dtype=np.float64)
    curve = family.formula(x, *TRUE[family.name])
    fitted = fit_family(family, curve[:10], 100)
    assert fitted.at_horizon == pytest.approx(float(curve[-1]), abs=1e-3)


def test_the_ensemble_recovers_a_curve_of_a_family() -> None:
    """The family that made the curve fits best by far and outweighs the others."""
    x = np.arange(1, 101, dtype=np.float64)
    curve = 0.8 - 0.6 * x**-0.7
    assert extrapolate(curve[:10], 100) == pytest.approx(float(curve[-1]), abs=1e-3)


def test_a_constant_curve_stays_where_it_is() -> None:
    """What has not moved is not expected to."""
    assert extrapolate(np.full(6, 0.3), 50) == 0.3


def test_a_falling_curve_ends_at_its_last_value() -> None:
    """No family that falls at the horizon counts, nor a flat one that averages the fall."""
    assert extrapolate(np.array([0.9, 0.7, 0.5, 0.3, 0.1, 0.05]), 50) == 0.05


@pytest.mark.parametrize(
    ("epochs", "horizon", "message"),
    [
        (3, 10, r"3 epochs are too few to fit a curve: 4 are needed"),
        (6, 5, r"epoch 5 is before the last known one, 6"),
    ],
)
def test_what_cannot_be_extrapolated_is_refused(epochs: int, horizon: int, message: str) -> None:
    """Too few epochs, or a horizon in the past."""
    with pytest.raises(UndefinedScoreError, match=message):
        lce_ensemble(_curve(quality=[0.1 * epoch for epoch in range(epochs)]), horizon)
