"""Latency of architectures that nobody measured, from that of some that were.

n measured architectures, d features (the encoding, log MACs, log parameters).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Floats, Predict
from mlflow_nas.estimate.selection import pairs_of, tau_b

__all__ = ["MIN_MEASURED", "LatencyModel", "fit_latency"]

MIN_MEASURED = 10
FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyModel:
    """A fitted model, and how wrong it is on architectures that it did not see.

    Attributes:
        predict: features [m, d] to milliseconds [m].
        kind: ridge or boosted trees, whichever cross-validation preferred.
        samples: how many architectures it was fitted on.
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
        """The model and its error in one sentence."""
        return (
            f"{self.kind} on {self.samples} measured architectures, cross-validated error "
            f"{self.error:.1%} ({self.rmse_ms:.2f} ms root mean square, tau {self.tau:.2f})"
        )


def fit_latency(features: Floats, latency_ms: Floats, *, seed: int = 0) -> LatencyModel:
    """Fit ridge regression or boosted trees to the logarithm of the latency.

    The error is that of the whole procedure on held-out architectures: kind and penalty are chosen inside
    each fold (nested cross-validation; Varma and Simon 2006, doi:10.1186/1471-2105-7-91).

    Args:
        features: [n, d].
        latency_ms: [n], above 0.
        seed: of the folds and of the trees.

    Raises:
        ConfigError: fewer than 10 measured architectures.
    """
    if len(latency_ms) < MIN_MEASURED:
        raise ConfigError(
            f"{len(latency_ms)} measured architectures are too few for a model of the latency, at least "
            f"{MIN_MEASURED} are needed: raise --latency-samples, or measure all with --latency measure."
        )
    folds = KFold(FOLDS, shuffle=True, random_state=seed)
    search, target = _search(folds, seed), np.log(latency_ms)
    held_out = np.exp(cross_val_predict(search, features, target, cv=folds))
    search.fit(features, target)
    return LatencyModel(
        predict=lambda queries: np.exp(np.asarray(search.predict(queries), dtype=np.float64)),
        kind="ridge" if isinstance(search.best_params_["model"], Ridge) else "boosted trees",
        samples=len(latency_ms),
        error=float(np.mean(np.abs(held_out - latency_ms) / latency_ms)),
        rmse_ms=float(np.sqrt(np.mean((held_out - latency_ms) ** 2))),
        tau=tau_b(pairs_of(held_out), pairs_of(np.asarray(latency_ms))),
    )


def _search(folds: KFold, seed: int) -> Any:
    """Both kinds of models, the penalty chosen by cross-validation."""
    pipeline = Pipeline([("scale", StandardScaler()), ("model", Ridge())])
    trees = GradientBoostingRegressor(n_estimators=100, max_depth=2, subsample=0.8, random_state=seed)
    choices = [
        *({"model": [Ridge(alpha=float(alpha))]} for alpha in np.logspace(-3, 2, 6)),
        {"model": [trees]},
    ]
    return GridSearchCV(pipeline, choices, scoring="neg_mean_absolute_error", cv=folds)
