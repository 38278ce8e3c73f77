"""Models of an architecture's quality, fitted on tens of samples.

n samples, d features. Features and targets are standardised inside each fit; predictions are in the target's
units. Hyper-parameters are fixed for n about 40: none is tuned except those of `fit_nu_svr`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import sklearn
from lightgbm import LGBMRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import BayesianRidge, RidgeCV
from sklearn.model_selection import KFold
from sklearn.svm import SVR, NuSVR
from threadpoolctl import ThreadpoolController
from xgboost import XGBRegressor

from mlflow_nas.estimate.selection.crossfit import Predict
from mlflow_nas.estimate.selection.ranking import Floats

__all__ = [
    "fit_bayesian_ridge",
    "fit_forest",
    "fit_gaussian_process",
    "fit_lightgbm",
    "fit_nu_svr",
    "fit_ridge",
    "fit_svr",
    "fit_xgboost",
]

SAMPLES_PER_SCALE = 5
NU_SVR_DRAWS = 50
NU_SVR_FOLDS = 3


def fit_bayesian_ridge(features: Floats, target: Floats) -> Predict:
    """Linear model whose two precisions maximize the evidence (MacKay 1992); scikit-learn's defaults."""
    return _standardised(BayesianRidge(), features, target)


def fit_ridge(features: Floats, target: Floats) -> Predict:
    """Ridge regression, its penalty chosen by leave-one-out."""
    return _standardised(RidgeCV(alphas=np.logspace(-3, 2, 6)), features, target)


def fit_gaussian_process(features: Floats, target: Floats) -> Predict:
    """Matern 5/2 and white noise; a length scale per feature where there are five samples for each.

    With fewer, one for all: on 38 one-hot cells of NAS-Bench-201 thirty scales rank by chance (tau .09), one
    scale reaches .5.
    """
    n, d = features.shape
    scales = np.ones(d if n >= SAMPLES_PER_SCALE * d else 1)
    kernel = ConstantKernel() * Matern(scales, length_scale_bounds=(0.1, 1e3), nu=2.5) + WhiteKernel()
    model = GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=0)
    return _standardised(model, features, target)


def fit_svr(features: Floats, target: Floats) -> Predict:
    """Support vector regression, RBF kernel, C 1, epsilon .1."""
    return _standardised(SVR(), features, target)


def fit_forest(features: Floats, target: Floats) -> Predict:
    """300 trees, two samples a leaf, half of the features a split; ties where leaves coincide."""
    model = RandomForestRegressor(300, min_samples_leaf=2, max_features=0.5, random_state=0)
    return _standardised(model, features, target)


def fit_xgboost(features: Floats, target: Floats) -> Predict:
    """100 rounds of depth 2; the field's 500 rounds of depth 6 over-fit at 40 samples."""
    model = XGBRegressor(
        n_estimators=100, max_depth=2, learning_rate=0.1, subsample=0.8, n_jobs=1, random_state=0
    )
    return _standardised(model, features, target)


def fit_lightgbm(features: Floats, target: Floats) -> Predict:
    """100 rounds of at most 7 leaves; the default of 20 samples a leaf can't split 38 samples at all.

    The default of three samples a bin would merge neighbours before the first split.
    """
    model = LGBMRegressor(
        n_estimators=100,
        num_leaves=7,
        min_child_samples=5,
        min_child_weight=0,
        min_data_in_bin=1,
        learning_rate=0.05,
        n_jobs=1,
        random_state=0,
        deterministic=True,
        force_col_wise=True,
        verbosity=-1,
    )
    return _standardised(model, features, target)


def fit_nu_svr(features: Floats, target: Floats) -> Predict:
    """nu-SVR with the best C, gamma and nu of 50 draws by 3-fold cross-validation (Baker, ICLRW 2018)."""
    rng = np.random.default_rng(0)
    draws = [
        {"C": c, "gamma": gamma, "nu": nu}
        for c, gamma, nu in zip(
            10 ** rng.uniform(-5, 1, NU_SVR_DRAWS),
            10 ** rng.uniform(-5, 1, NU_SVR_DRAWS),
            1 - rng.uniform(0, 1, NU_SVR_DRAWS),
            strict=True,
        )
    ]
    folds = list(KFold(NU_SVR_FOLDS, shuffle=True, random_state=0).split(features))
    best = min(draws, key=lambda draw: _held_out_error(draw, features, target, folds))
    return _standardised(NuSVR(**best), features, target)


def _held_out_error(draw: dict[str, float], features: Floats, target: Floats, folds: Any) -> float:
    """Summed squared error of the folds' predictions."""
    return float(
        sum(
            np.square(
                _standardised(NuSVR(**draw), features[train], target[train])(features[test]) - target[test]
            ).sum()
            for train, test in folds
        )
    )


def _standardised(model: Any, features: Floats, target: Floats) -> Predict:
    """Fit a model on standardised features and target; a constant column becomes 0."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1e-12), deviation, 1.0)
    centre, scale = float(target.mean()), float(target.std()) or 1.0
    with _low_overhead(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound: an unused feature
        model.fit((features - mean) / deviation, (target - centre) / scale)

    def predict(queries: Floats) -> Floats:
        with _low_overhead():
            predicted = model.predict((queries - mean) / deviation)
        return np.asarray(predicted, dtype=np.float64) * scale + centre

    return predict


@contextmanager
def _low_overhead() -> Iterator[None]:
    """One thread, without scikit-learn's checks: on 40 samples both take longer than the fit."""
    with (
        _threads().limit(limits=1),
        sklearn.config_context(assume_finite=True, skip_parameter_validation=True),
    ):
        yield


@cache
def _threads() -> ThreadpoolController:
    """The thread pools of the loaded libraries; finding them takes longer than a fit."""
    return ThreadpoolController()
