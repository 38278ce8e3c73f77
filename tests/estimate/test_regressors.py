"""Properties of every model: it learns a line, noise is worth nothing, fits are repeatable."""

from itertools import combinations

import numpy as np
import pytest
from lightgbm import LGBMRegressor

from mlflow_nas.estimate import STRATEGIES, Strategy
from mlflow_nas.estimate.contract import Fit, Floats
from mlflow_nas.estimate.models.regressors import fit_lightgbm
from mlflow_nas.estimate.selection import pairs_of, tau_b

FITS = {row.fit.__name__: row for row in STRATEGIES if row.fit}
"""Each function once, with a row that has it."""
N, D = 40, 3
FRESH = 200
every_fit = pytest.mark.parametrize("strategy", FITS.values(), ids=FITS.keys())


def _fit_of(strategy: Strategy) -> Fit:
    assert strategy.fit is not None
    return strategy.fit


def _left_out_tau(fit: Fit, features: Floats, target: Floats) -> float:
    """Tau-b over every 13th pair, each left out of the fit that ranks it; 0 when all are ties."""
    agreed = []
    for pair in np.array(list(combinations(range(N), 2)))[::13]:
        rest = np.setdiff1d(np.arange(N), pair)
        first, second = fit(features[rest], target[rest])(features[pair])
        agreed.append(np.sign(first - second) * np.sign(target[pair[0]] - target[pair[1]]))
    ranked = sum(one != 0 for one in agreed)
    return float(sum(agreed) / np.sqrt(ranked * len(agreed))) if ranked else 0.0


def _draws(strategy: Strategy) -> int:
    """Fewer of the models that take long."""
    return 5 if strategy.crossfit == "within-folds" else 20


@every_fit
def test_a_line_is_learnt(strategy: Strategy) -> None:
    """Of 40 samples of a line with a little noise, unseen points between them are ranked: tau above .9."""
    rng = np.random.default_rng(1)
    features = rng.permutation(np.linspace(0, 1, N))[:, None]
    target = features[:, 0] + rng.normal(0, 0.001, N)
    unseen = np.linspace(0, 1, N + 1)[:, None]
    predicted = _fit_of(strategy)(features, target)(unseen)
    assert tau_b(pairs_of(predicted), pairs_of(unseen[:, 0])) > 0.9


@every_fit
def test_noise_is_worth_nothing(strategy: Strategy) -> None:
    """Fitted on targets that the features say nothing of, predictions rank unseen ones by chance."""
    rng = np.random.default_rng(1)
    taus = []
    for _ in range(_draws(strategy)):
        predict = _fit_of(strategy)(rng.normal(size=(N, D)), rng.normal(size=N))
        taus.append(tau_b(pairs_of(predict(rng.normal(size=(FRESH, D)))), pairs_of(rng.normal(size=FRESH))))
    assert abs(np.mean(taus)) < 0.05


@every_fit
def test_a_permuted_target_is_worth_nothing(strategy: Strategy) -> None:
    """Shuffling the target of a line leaves nothing to learn: the taus are centred at 0."""
    rng = np.random.default_rng(2)
    features, unseen = rng.normal(size=(N, D)), rng.normal(size=(FRESH, D))
    truth = pairs_of(unseen[:, 0])
    taus = [
        tau_b(pairs_of(_fit_of(strategy)(features, rng.permutation(features[:, 0]))(unseen)), truth)
        for _ in range(_draws(strategy))
    ]
    assert abs(np.mean(taus)) < 3 * np.std(taus) / np.sqrt(len(taus)) + 1e-9


@every_fit
def test_a_fit_repeats_itself_and_touches_nothing(strategy: Strategy) -> None:
    """The same samples give the same predictions to the last bit, and stay as they were."""
    rng = np.random.default_rng(3)
    features, target = rng.normal(size=(N, D)), rng.normal(size=N)
    before = features.copy(), target.copy()
    first, second = (_fit_of(strategy)(features, target)(features) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert np.isfinite(first).all()
    assert np.array_equal(features, before[0])
    assert np.array_equal(target, before[1])


@every_fit
def test_a_constant_target_and_a_constant_feature_are_survived(strategy: Strategy) -> None:
    """There is nothing to learn; the prediction is the constant."""
    features = np.random.default_rng(4).normal(size=(N, D))
    features[:, 1] = 7.0
    predicted = _fit_of(strategy)(features, np.full(N, 0.25))(features)
    assert predicted == pytest.approx(np.full(N, 0.25))


def _library_defaults(features: Floats, target: Floats):  # type: ignore[no-untyped-def]
    model = LGBMRegressor(verbosity=-1, n_jobs=1)
    model.fit(features, target)
    return model.predict


def test_lightgbms_defaults_are_constant_on_38_samples_and_ours_are_not() -> None:
    """The guard: with 20 samples a leaf 38 can't be split, so that all held-out pairs are ties."""
    rng = np.random.default_rng(5)
    features = rng.normal(size=(N, D))
    target = features[:, 0] + rng.normal(0, 0.1, N)
    assert _left_out_tau(_library_defaults, features, target) == 0.0
    assert _left_out_tau(fit_lightgbm, features, target) > 0.6
