import dataclasses
import math
from typing import Any

import pytest
from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking import (
    evaluation_of,
    fail_stale,
    finish_trial,
    learning_curve,
    open_study,
    start_trial,
    trial_runs,
)
from mlflow_nas.types import Evaluation

COMPLETE = Evaluation(
    number=3,
    key="k3-g2-c48-w256",
    architecture={"kernel_size": 3, "groups": 2, "ratio": 0.5, "fusion": "sum", "step": 1e-05},
    state="complete",
    metrics={"map": 0.51, "map_50": 0.85, "latency_ms": 4.25},
    constraints={"latency_ms": -1.75},
    history=({"train_loss": 3.0, "map": 0.1}, {"train_loss": 2.0, "map": 0.9}),
    facts={"soc": "i.MX 93", "threads": "1"},
)


@pytest.fixture
def study(client: MlflowClient, experiment: str) -> str:
    """An open study."""
    return open_study(client, experiment_id=experiment, study="pf", tags={}, params={})


def _start(client: MlflowClient, experiment: str, study: str | None, number: int = 3, **extra: Any) -> str:
    return start_trial(
        client,
        experiment_id=experiment,
        parent_id=study,
        study="pf" if study else None,
        number=number,
        role="baseline" if number == 0 else "trial",
        name="k3-g2-c48-w256",
        tags={"nas.board": "local"},
        **extra,
    )


def test_a_trial_starts_as_a_child_of_its_study(client: MlflowClient, experiment: str, study: str) -> None:
    """The run has the study above it, its number, its role and its name from the start."""
    run = client.get_run(_start(client, experiment, study))
    expected = {
        "mlflow.parentRunId": study,
        "nas.study": "pf",
        "nas.trial": "3",
        "nas.role": "trial",
        "nas.board": "local",
    }
    assert run.data.tags.items() >= expected.items()
    assert (run.info.run_name, run.info.status) == ("k3-g2-c48-w256", "RUNNING")


def test_a_single_trial_adopts_the_run_of_mlflow_run(client: MlflowClient, experiment: str) -> None:
    """No second run is made, and no study is named."""
    own = client.create_run(experiment).info.run_id
    assert _start(client, experiment, None, run_id=own) == own
    finish_trial(client, own, COMPLETE)
    runs = client.search_runs([experiment])
    assert [run.info.run_id for run in runs] == [own]
    assert runs[0].info.run_name == "k3-g2-c48-w256"
    assert "nas.study" not in runs[0].data.tags


def test_an_evaluation_comes_back_from_its_run(client: MlflowClient, experiment: str, study: str) -> None:
    """All but files and learning curve survive, whole numbers as int."""
    run_id = _start(client, experiment, study)
    finish_trial(client, run_id, COMPLETE)
    back = evaluation_of(client.get_run(run_id))
    assert back == dataclasses.replace(COMPLETE, history=(), run_id=run_id)
    assert [type(value) for value in back.architecture.values()] == [int, int, float, str, float]


def test_a_trial_is_written_in_one_batch(
    client: MlflowClient, experiment: str, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Params, metrics, curve and tags take one call of log_batch and one that ends the run."""
    run_id = _start(client, experiment, study)
    calls: list[str] = []
    for name in ("log_batch", "log_metric", "log_param", "set_tag", "set_terminated"):
        original = getattr(client, name)

        def spy(*args: Any, _original: Any = original, _name: str = name, **kwargs: Any) -> Any:
            calls.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(client, name, spy)
    finish_trial(client, run_id, COMPLETE, tags={"nas.space": "fastestdet-head"})
    assert calls == ["log_batch", "set_terminated"]
    assert client.get_run(run_id).data.tags["nas.space"] == "fastestdet-head"


def test_the_curve_does_not_hide_the_result(client: MlflowClient, experiment: str, study: str) -> None:
    """An epoch's map stands under epoch/ by its number, the int8 file's map under its own name."""
    run_id = _start(client, experiment, study)
    finish_trial(client, run_id, COMPLETE)
    curve = client.get_metric_history(run_id, "epoch/map")
    assert [(point.step, point.value) for point in curve] == [(1, 0.1), (2, 0.9)]
    assert client.get_run(run_id).data.metrics["map"] == 0.51


def test_a_long_curve_is_kept_whole(client: MlflowClient, experiment: str, study: str) -> None:
    """More points than one request of MLflow takes arrive all the same."""
    run_id = _start(client, experiment, study)
    history = tuple({"train_loss": float(epoch)} for epoch in range(1_200))
    finish_trial(client, run_id, dataclasses.replace(COMPLETE, history=history))
    assert len(client.get_metric_history(run_id, "epoch/train_loss")) == 1_200


def test_what_is_no_number_is_absent(client: MlflowClient, experiment: str, study: str) -> None:
    """NaN and infinity are left out instead of stored as 0 or 1.8e308."""
    run_id = _start(client, experiment, study)
    metrics = {"map": 0.5, "latency_ms": math.inf, "map_50": math.nan}
    finish_trial(client, run_id, dataclasses.replace(COMPLETE, metrics=metrics))
    assert evaluation_of(client.get_run(run_id)).metrics == {"map": 0.5}


@pytest.mark.parametrize(
    ("state", "status"),
    [("complete", "FINISHED"), ("infeasible", "FINISHED"), ("pruned", "FINISHED"), ("failed", "FAILED")],
)
def test_only_failed_trials_end_failed(
    client: MlflowClient, experiment: str, study: str, state: Any, status: str
) -> None:
    """The run's status says whether something broke; nas.state says what became of the candidate."""
    run_id = _start(client, experiment, study)
    finish_trial(client, run_id, dataclasses.replace(COMPLETE, state=state))
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["nas.state"]) == (status, state)


def test_an_error_is_kept_as_far_as_mlflow_takes_it(
    client: MlflowClient, experiment: str, study: str
) -> None:
    """The first 8,000 characters of the error are a tag."""
    run_id = _start(client, experiment, study)
    finish_trial(client, run_id, dataclasses.replace(COMPLETE, state="failed", error="x" * 9_000))
    assert evaluation_of(client.get_run(run_id)).error == "x" * 8_000


def test_trials_are_listed_page_by_page_without_continuations(
    client: MlflowClient, experiment: str, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trial and the baseline, in order; other runs below the study are left out."""
    monkeypatch.setattr("mlflow_nas.tracking.read.PAGE", 2)
    made = [_start(client, experiment, study, number) for number in range(5)]
    own = client.create_run(experiment).info.run_id
    open_study(client, experiment_id=experiment, study="pf", tags={}, params={}, run_id=own)
    listed = [run.info.run_id for run in trial_runs(client, experiment, study)]
    assert sorted(listed) == sorted(made)


def test_trials_of_a_killed_process_are_ended(client: MlflowClient, experiment: str, study: str) -> None:
    """Running trials become killed and failed; ended ones and the continuation stay as they are."""
    stale, done = _start(client, experiment, study, 1), _start(client, experiment, study, 2)
    finish_trial(client, done, COMPLETE)
    own = client.create_run(experiment).info.run_id
    open_study(client, experiment_id=experiment, study="pf", tags={}, params={}, run_id=own)

    assert fail_stale(client, experiment, study) == [stale]
    ended = client.get_run(stale)
    assert (ended.info.status, evaluation_of(ended).state) == ("KILLED", "failed")
    assert evaluation_of(ended).error == "the process ended before the trial did"
    assert client.get_run(done).info.status == "FINISHED"
    assert client.get_run(own).info.status == "RUNNING"
    assert fail_stale(client, experiment, study) == []


def test_a_running_trial_is_no_evaluation(client: MlflowClient, experiment: str, study: str) -> None:
    """A run without a state is refused with what it has and what it needs."""
    run = client.get_run(_start(client, experiment, study))
    with pytest.raises(RegistryError, match=r"nas\.trial='3' and nas\.state='', an ended trial has a number"):
        evaluation_of(run)


def test_the_learning_curve_is_read_back(client: MlflowClient, experiment: str, study: str) -> None:
    """An epoch each, as it was written; a trial that was not trained has none."""
    trained = _start(client, experiment, study)
    finish_trial(client, trained, dataclasses.replace(COMPLETE, run_id=trained))
    assert learning_curve(client, trained) == COMPLETE.history
    assert learning_curve(client, _start(client, experiment, study, number=4)) == ()
    with pytest.raises(RegistryError, match="could not read the learning curve"):
        learning_curve(client, "0" * 32)
