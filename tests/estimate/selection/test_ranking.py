import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from mlflow_nas.estimate.selection import Floats, pairs_of, spearman, tau_b
from mlflow_nas.estimate.selection.ranking import minimum_keeping_ratio, precision_at, regret_at

SCORES = np.array([3.0, 1.0, 1.0, 2.0, 5.0, 2.0])
TARGET = np.array([0.3, 0.1, 0.2, 0.2, 0.4, 0.5])


def _tau(scores: Floats, target: Floats) -> float:
    return tau_b(pairs_of(scores), pairs_of(target))


def test_tau_b_with_ties_is_scipys() -> None:
    """A hand case with ties on both sides gives Kendall's tau-b."""
    assert _tau(SCORES, TARGET) == pytest.approx(kendalltau(SCORES, TARGET, variant="b").statistic)


def test_spearman_with_ties_is_scipys() -> None:
    """Average ranks are correlated as SciPy does it."""
    assert spearman(SCORES, TARGET) == pytest.approx(spearmanr(SCORES, TARGET).statistic)


def test_a_constant_score_has_tau_zero_and_a_flag() -> None:
    """A strategy whose pairs are all ties has tau 0."""
    constant = pairs_of(np.full(6, 7.0))
    assert constant.constant
    assert tau_b(constant, pairs_of(TARGET)) == 0.0
    assert spearman(np.full(6, 7.0), TARGET) == 0.0


def test_missing_scores_are_tied_worst() -> None:
    """NaN ranks below every number and ties with every other NaN."""
    gaps = np.array([3.0, np.nan, np.nan, 2.0, 5.0, -1e6])
    filled = np.array([3.0, -1e9, -1e9, 2.0, 5.0, -1e6])
    assert _tau(gaps, TARGET) == pytest.approx(kendalltau(filled, TARGET).statistic)


def test_precision_counts_ties_at_the_border_in_parts() -> None:
    """Two scores that share the last place count half each."""
    assert precision_at(2, np.array([4.0, 1.0, 1.0, 0.0]), np.array([9.0, 8.0, 1.0, 0.0])) == 0.75
    assert precision_at(2, np.zeros(4), np.arange(4.0)) == 0.5


def test_regret_takes_the_worse_of_tied_scores() -> None:
    """A constant score may lead to the worst architectures."""
    target = np.array([0.1, 0.5, 0.3, 0.9])
    assert regret_at(2, np.array([1.0, 2.0, 3.0, 0.0]), target) == pytest.approx(0.4)
    assert regret_at(1, np.zeros(4), target) == pytest.approx(0.8)


def test_the_keeping_ratio_reaches_down_to_the_best_architecture() -> None:
    """The best by target in third place of four needs three quarters of the ranking."""
    assert minimum_keeping_ratio(np.array([4.0, 3.0, 2.0, 1.0]), np.array([0.1, 0.2, 0.9, 0.3])) == 0.75
