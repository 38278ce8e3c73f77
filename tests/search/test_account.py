"""The account of a search, by hand."""

import pytest

from mlflow_nas.search.account import found_terms, spent_terms, trained_of
from mlflow_nas.types import Evaluation

BASELINE = {"c": 1}


def _trial(number: int, key: str, state: str = "complete", **metrics: float) -> Evaluation:
    return Evaluation(
        number=number,
        key=key,
        architecture={"c": number + 1},
        state=state,
        metrics={"trial_s": 10.0, **metrics},
    )


SAMPLES = [
    _trial(0, "base", map=0.5, latency_ms=10.0, latency_ratio=1.0),
    _trial(1, "s1", map=0.4, latency_ms=5.0, latency_ratio=0.5),
    _trial(2, "s2", state="failed"),
]
CHOSEN = [
    _trial(3, "a", state="infeasible", latency_ms=20.0),
    _trial(4, "b", map=0.6, latency_ms=8.0, latency_ratio=0.8, trial_s=30.0),
]


def test_what_was_spent_counts_failures_and_not_what_was_refused_untrained() -> None:
    """Three samples, one of them failed; of the list one was trained, and the other took its seconds."""
    assert spent_terms(SAMPLES, CHOSEN) == {
        "samples": 3.0,
        "samples_s": 30.0,
        "chosen": 1.0,
        "post_search_s": 40.0,
        "trainings": 4.0,
        "trial_s": pytest.approx((10 + 10 + 10 + 30) / 4),
    }


def test_a_training_that_was_measured_at_the_second_attempt_counts_once() -> None:
    """With the seconds of the longer one: the other had the training's result already, or no more than it."""
    attempts = [_trial(5, "c", state="failed", trial_s=31.0), _trial(6, "c", map=0.3, trial_s=28.0)]
    terms = spent_terms([], attempts)
    assert (terms["chosen"], terms["trainings"]) == (1.0, 1.0)
    assert (terms["post_search_s"], terms["trial_s"]) == (31.0, 31.0)


def test_what_was_found_is_the_best_of_both() -> None:
    """Best mAP, the lowest latency at the baseline's mAP, and the area by hand."""
    terms = found_terms([*SAMPLES, *CHOSEN], BASELINE)
    assert terms["best_map"] == 0.6
    assert terms["best_latency_ms"] == 8.0
    assert terms["baseline_map"] == 0.5
    assert terms["latency_at_baseline_map_ms"] == 8.0
    assert terms["hypervolume"] == pytest.approx((1.5 - 0.8) * 0.6 + (0.8 - 0.5) * 0.4)
    assert found_terms([SAMPLES[2]], BASELINE) == {}


def test_the_list_is_followed_until_enough_were_trained() -> None:
    """One that missed the limit untrained does not count, and what comes after the last is another's."""
    evaluations = [*SAMPLES, *CHOSEN, _trial(5, "c", map=0.9)]
    assert [one.key for one in trained_of(["a", "b", "c"], evaluations, count=1)] == ["a", "b"]
    assert [one.key for one in trained_of(["a", "x", "b", "c"], evaluations, count=2)] == ["a", "b", "c"]
