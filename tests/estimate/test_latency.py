"""The latency model on latencies that follow the size, and on latencies that follow nothing."""

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.models.latency import fit_latency


def _sizes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.0, 3.0, (n, 3))


def test_a_latency_that_follows_the_size_is_predicted_and_its_error_reported() -> None:
    """Milliseconds that are a power of the features with 2 % of noise: about 2 % cross-validated error."""
    features = _sizes(40, 0)
    noise = np.random.default_rng(1).normal(0, 0.02, 40)
    model = fit_latency(features, np.exp(features @ [0.5, 1.0, 0.1] + noise))
    assert model.kind == "ridge"
    assert 0.005 < model.error < 0.05
    assert model.tau > 0.9
    fresh = _sizes(20, 2)
    truth = np.exp(fresh @ [0.5, 1.0, 0.1])
    assert np.abs(model.predict(fresh) / truth - 1).max() < 0.08
    assert model.describe().startswith("ridge on 40 measured architectures, cross-validated error")


def test_steps_are_left_to_trees() -> None:
    """A latency that jumps is nothing that a line predicts."""
    features = _sizes(60, 3)
    latency = np.where((features[:, 0] > 2) != (features[:, 1] > 2), 8.0, 2.0)
    assert fit_latency(features, latency).kind == "boosted trees"


def test_the_error_of_a_latency_without_a_cause_is_not_flattered() -> None:
    """Held-out architectures show it: about the spread of the latencies, tau about 0."""
    latency = np.exp(np.random.default_rng(4).normal(0, 0.5, 40))
    model = fit_latency(_sizes(40, 5), latency)
    assert model.error > 0.3
    assert abs(model.tau) < 0.35


def test_too_few_measurements_are_refused() -> None:
    """The sentence names the option."""
    with pytest.raises(ConfigError, match=r"needs at least 10 .* there are 9: raise search.latency_samples"):
        fit_latency(_sizes(9, 0), np.ones(9))
