import json

from tracking_samples import OBJECTIVES, trial_result, trial_run

from mlflow_nas.tracking.events import Event, curve_points, finished, one_batch, ordered


def _event(kind: str, number: int | None) -> Event:
    return Event(kind=kind, trial=None if number is None else trial_run(number), time_ms=1)  # type: ignore[arg-type]


def test_objectives_come_first_then_the_latency() -> None:
    """MLflow's UI offers metrics in the order of their arrival."""
    metrics = {"flops": 1.0, "latency_ms": 2.0, "map": 3.0, "top1": 4.0}
    assert list(ordered(metrics, ("map", "top1"))) == ["map", "top1", "latency_ms", "flops"]


def test_an_event_survives_the_disk() -> None:
    """What is read back is what was written, but lists for tuples."""
    event = finished(trial_run(), trial_result(), objectives=OBJECTIVES, time_ms=7)
    back = Event.from_json(json.loads(json.dumps(event.as_json())))
    assert back.trial == event.trial
    assert [tuple(point) for point in back.points] == list(event.points)
    assert (back.tags, back.status, back.time_ms) == (event.tags, "FINISHED", 7)


def test_one_run_is_delivered_at_once() -> None:
    """Start, values and end of one run go together; files go alone; another run waits."""
    trial = [_event(kind, 1) for kind in ("start", "write", "end")]
    assert one_batch([*trial, _event("start", 1)]) == trial
    assert one_batch([trial[0], _event("file", 1)]) == trial[:1]
    assert one_batch([_event("file", 1), _event("file", 1)]) == [_event("file", 1)]
    assert one_batch([trial[0], _event("write", None)]) == trial[:1]


def test_only_failed_trials_end_failed() -> None:
    """The status says whether something broke; nas.state says what became of the candidate."""
    for state, status in {"infeasible": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}.items():
        end = finished(trial_run(), trial_result(state=state), objectives=(), time_ms=1)
        assert (end.status, end.tags["nas.state"]) == (status, state)


def test_an_unstable_latency_and_an_error_are_tags() -> None:
    """So that a report can tell why a trial is not to be trusted."""
    result = trial_result(state="failed", latency_unstable=True, error="the network is too large")
    tags = finished(trial_run(), result, objectives=(), time_ms=1).tags
    assert (tags["nas.latency_unstable"], tags["nas.error"]) == ("true", "the network is too large")
    assert tags["nas.board.soc"] == "i.MX 93"


def test_epochs_are_counted_from_one() -> None:
    """The first epoch stands at step 1, the objective first."""
    points = curve_points(({"loss": 3.0, "map": 0.1}, {"loss": 2.0}), objectives=OBJECTIVES, time_ms=5)
    assert points == [("epoch/map", 0.1, 5, 1), ("epoch/loss", 3.0, 5, 1), ("epoch/loss", 2.0, 5, 2)]
