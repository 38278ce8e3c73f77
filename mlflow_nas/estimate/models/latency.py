"""A model of latency, fitted on a few measured architectures.

n measured architectures, d features (the encoding, log MACs, log parameters).
"""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Fit, Floats, Predict
from mlflow_nas.estimate.models.regressors import fit_ridge, fit_xgboost
from mlflow_nas.estimate.selection import pairs_of, tau_b

__all__ = ["MIN_MEASURED", "LatencyModel", "fit_latency"]

MIN_MEASURED = 10
FOLDS = 5
KINDS: dict[str, Fit] = {"ridge": fit_ridge, "boosted trees": fit_xgboost}


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyModel:
    """A fitted model with its out-of-sample error.

    Attributes:
        predict: features [m, d] to milliseconds [m].
        kind: ridge or boosted trees, chosen by cross-validation.
        samples: number of architectures that it was fitted on.
        error: mean absolute error as a share of the latency, cross-validated, the choice of kind included.
        rmse_ms: root mean square error, milliseconds, likewise.
        tau: tau-b of predicted and measured latency, likewise.
    """

    predict: Predict
    kind: str
    samples: int
    error: float
    rmse_ms: float
    tau: float

    def describe(self) -> str:
        """Kind and error in one sentence."""
        return (
            f"{self.kind} on {self.samples} measured architectures, cross-validated error "
            f"{self.error:.1%} ({self.rmse_ms:.2f} ms root mean square, tau {self.tau:.2f})"
        )


def fit_latency(features: Floats, latency_ms: Floats, *, seed: int = 0) -> LatencyModel:
    """Fit ridge regression or boosted trees to the logarithm of the latency.

    The error is that of the whole procedure on held-out architectures: the kind is chosen inside each fold
    (nested cross-validation; Varma and Simon 2006, doi:10.1186/1471-2105-7-91).

    Args:
        features: [n, d].
        latency_ms: [n], above 0.
        seed: of the folds.

    Raises:
        ConfigError: fewer than 10 measured architectures.
    """
    if len(latency_ms) < MIN_MEASURED:
        raise ConfigError(
            f"A latency model needs at least {MIN_MEASURED} measured architectures, there are "
            f"{len(latency_ms)}: raise search.latency_samples, or set search.latency=measure."
        )
    target = np.log(latency_ms)
    held_out = np.exp(_held_out(lambda x, y: KINDS[_best_kind(x, y, seed)](x, y), features, target, seed))
    kind = _best_kind(features, target, seed)
    predict_log = KINDS[kind](features, target)
    return LatencyModel(
        predict=lambda queries: np.exp(predict_log(queries)),
        kind=kind,
        samples=len(latency_ms),
        error=float(np.mean(np.abs(held_out - latency_ms) / latency_ms)),
        rmse_ms=float(np.sqrt(np.mean((held_out - latency_ms) ** 2))),
        tau=tau_b(pairs_of(held_out), pairs_of(np.asarray(latency_ms))),
    )


def _best_kind(features: Floats, target: Floats, seed: int) -> str:
    """The kind with the smallest cross-validated mean absolute error."""
    errors = {
        kind: np.abs(_held_out(fit, features, target, seed) - target).mean() for kind, fit in KINDS.items()
    }
    return min(errors, key=lambda kind: float(errors[kind]))


def _held_out(fit: Fit, features: Floats, target: Floats, seed: int) -> Floats:
    """Out-of-fold predictions [n]."""
    predicted = np.empty(len(target))
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(features):
        predicted[test] = fit(features[train], target[train])(features[test])
    return predicted
