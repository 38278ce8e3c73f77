"""Costs of a search, by hand."""

from typing import Any

import pytest

from mlflow_nas.search.estimation.search_cost import compute_cost, found_terms, trained_of
from mlflow_nas.types import Objective, TrialResult

MAP = Objective("map", "maximize")


def _trial(
    number: int, key: str, *, seconds: float = 10.0, role: Any = "trial", **metrics: float
) -> TrialResult:
    state: Any = metrics.pop("state", "complete")
    return TrialResult(
        number=number,
        key=key,
        architecture={"c": number},
        state=state,
        role=role,
        metrics=metrics,
        seconds={"train": seconds - 1, "measure": 1.0},
    )


def _in_state(state: Any, number: int, key: str, **metrics: float) -> TrialResult:
    return TrialResult(
        number=number,
        key=key,
        architecture={"c": number},
        state=state,
        metrics=metrics,
        seconds={"train": 10.0},
    )


SAMPLES = [
    _trial(0, "base", role="baseline", map=0.5, latency_ms=10.0, latency_ratio=1.0),
    _trial(1, "s1", map=0.4, latency_ms=5.0, latency_ratio=0.5),
    _in_state("failed", 2, "s2"),
]
CHOSEN = [
    _in_state("infeasible", 3, "a", latency_ms=20.0),
    _trial(4, "b", map=0.6, latency_ms=8.0, latency_ratio=0.8, seconds=30.0),
]


def test_costs_count_failures_and_not_trials_without_a_training() -> None:
    """Three samples, one of them failed; one training of the shortlist, and the seconds of all trials."""
    assert compute_cost(SAMPLES, CHOSEN, MAP) == {
        "samples": 3.0,
        "samples_s": 30.0,
        "chosen": 1.0,
        "post_search_s": 40.0,
        "trainings": 4.0,
        "trial_s": pytest.approx((10 + 10 + 10 + 30) / 4),
    }


def test_the_terms_of_what_was_found() -> None:
    """Best quality, the lowest latency at the reference's, and the area by hand."""
    terms = found_terms([*SAMPLES, *CHOSEN], MAP)
    assert terms["best_quality"] == 0.6
    assert terms["best_latency_ms"] == 8.0
    assert terms["reference_quality"] == 0.5
    assert terms["latency_at_reference_quality_ms"] == 8.0
    assert terms["hypervolume"] == pytest.approx((1.5 - 0.8) * 0.6 + (0.8 - 0.5) * 0.4)
    assert found_terms([SAMPLES[2]], MAP) == {}


def test_a_shortlist_is_followed_until_enough_were_trained() -> None:
    """A trial without a training does not count; later members belong to another call."""
    results = [*SAMPLES, *CHOSEN, _trial(5, "c", map=0.9)]
    assert [one.key for one in trained_of(["a", "b", "c"], results, MAP, count=1)] == ["a", "b"]
    assert [one.key for one in trained_of(["a", "x", "b", "c"], results, MAP, count=2)] == ["a", "b", "c"]
