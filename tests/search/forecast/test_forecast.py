"""Durations of a search's parts, and the ways through it."""

from dataclasses import replace

import pytest

from mlflow_nas.search.forecast import (
    Span,
    Timings,
    Workload,
    extrapolate,
    format_duration,
    make_routes,
    recommend,
)

TIMINGS = Timings(
    train=Span(30, 25, 40),
    finish=Span(300, 280, 330),
    seed=Span.exactly(0.0),
    steps={"export": 3.0, "quantize": 2.0, "evaluate": 20.0, "measure": 5.0},
    supernet_train=Span(400, 300, 500),
    supernet_query=Span(10, 5, 20),
    queries={"params": 0.05, "zen": 2.0},
)
WORK = Workload(size=2_080, budget_s=8 * 3600.0, finalists=5, has_seed=True, latency_samples=24)


def test_the_rest_of_a_training_is_as_long_as_the_measured_epochs() -> None:
    """After the first ones, which compute features; on a quarter of the steps everything is a quarter."""
    whole = extrapolate([5.0, 4.0, 1.0, 1.2], epochs=10, first=2, share=0.25)
    assert whole.mean == pytest.approx((9 + 8 * 1.1) / 0.25)
    assert (whole.low, whole.high) == pytest.approx(((9 + 8 * 1.0) / 0.25, (9 + 8 * 1.2) / 0.25))


def test_a_training_of_the_measured_epochs_is_not_extrapolated() -> None:
    """It has no interval."""
    assert extrapolate([5.0, 4.0], epochs=2, first=1, share=1.0) == Span.exactly(9.0)
    assert extrapolate([5.0], epochs=1, first=1, share=1.0) == Span.exactly(5.0)


def test_durations_add_up_with_their_intervals() -> None:
    """As people write them."""
    total = Span(60, 50, 80) + Span.exactly(10).times(3)
    assert total == Span(90, 80, 110)
    assert str(total) == "90 s (80 s to 2 min)"
    assert [format_duration(one) for one in (0.25, 5, 720, 8 * 3600)] == ["0.25 s", "5 s", "12 min", "8.0 h"]
    assert Span.from_json(total.as_json()) == total


def test_every_way_has_as_many_trainings_as_fit() -> None:
    """Beside the finalists, the latencies and what an estimate costs before."""
    full, two, supernet = make_routes(TIMINGS, WORK)
    overhead_s = 3 * 10 + 5 * (300 + 30)
    assert full.trials == int((WORK.budget_s - overhead_s) / 60)
    assert full.seconds.mean == pytest.approx(overhead_s + 60 * full.trials)
    assert full.seconds.low < full.seconds.mean < full.seconds.high
    assert two.trials == int((WORK.budget_s - overhead_s - 2_000 * 0.05 - 240) / 60)
    assert (two.estimator, two.chosen) == ("auto", two.trials - 40)
    assert supernet.candidates == 2_000
    assert all(one.fits and one.seconds.mean <= WORK.budget_s for one in (full, two, supernet))


@pytest.mark.parametrize(
    ("budget_s", "size", "way", "estimator", "reason"),
    [
        (8 * 3600, 300, "full", "full", "every architecture can be trained"),
        (8 * 3600, 2_080, "full", "full", "a hundred trainings"),
        (5_400, 2_080, "two-stage", "auto", "enough to fit an estimate"),
        (4_700, 2_080, "supernet", "supernet", "ranks several times as many"),
        (3_000, 2_080, "two-stage", "params", "a few trainings only"),
        (1_800, 2_080, "full", "full", "an estimate would take it"),
        (60, 2_080, "full", "full", "shorter than one training"),
    ],
)
def test_the_budget_decides_the_way(
    budget_s: float, size: int, way: str, estimator: str, reason: str
) -> None:
    """The first rule that applies, with its reason."""
    route, because = recommend(make_routes(TIMINGS, replace(WORK, budget_s=budget_s, size=size)), size)
    assert (route.name, route.estimator) == (way, estimator)
    assert reason in because


def test_a_prepared_study_has_measured_its_references() -> None:
    """Three latencies less."""
    before, after = (make_routes(TIMINGS, replace(WORK, references=count))[0] for count in (3, 0))
    at_equal_trials = after.seconds.mean - 60 * (after.trials - before.trials)
    assert before.seconds.mean - at_equal_trials == pytest.approx(30)


def test_without_a_seed_network_there_is_no_supernet() -> None:
    """Its weights are those of a trained one."""
    names = [one.name for one in make_routes(TIMINGS, replace(WORK, has_seed=False))]
    assert names == ["full", "two-stage"]


def test_a_space_that_is_trained_whole_is_a_grid() -> None:
    """No sampler chooses anything."""
    full = make_routes(TIMINGS, replace(WORK, size=300))[0]
    assert (full.sampler, full.trials) == ("grid", 300)


def test_timings_are_read_back() -> None:
    """As the step cache keeps them."""
    assert Timings.from_json(TIMINGS.as_json()) == TIMINGS
    assert TIMINGS.trial == Span(60, 55, 70)
    assert TIMINGS.latency_s == 10
