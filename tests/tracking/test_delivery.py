import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tracking_samples import (
    OBJECTIVES,
    TRAINING,
    VALIDATION,
    history,
    runs_of,
    study_run,
    trial_result,
    trial_run,
)

from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import Mirror, StudyRun, experiment_id
from mlflow_nas.tracking.delivery import Delivery
from mlflow_nas.tracking.events import Event, finished, one_batch

WRITES = {"create_experiment", "create_run", "log_batch", "log_inputs", "set_terminated", "update_run"}
CURVE = [
    [(f"epoch/{name}", value, 50 + epoch, epoch) for name, value in metrics.items()]
    for epoch, metrics in enumerate(({"map": 0.1, "loss": 3.0}, {"map": 0.2, "loss": 2.0}), start=1)
]


class Killed(BaseException):
    """The process is gone."""


class Client:
    """A client that counts its requests; the process dies when the n-th is done."""

    def __init__(self, client: MlflowClient, *, dies_after: int | None = None) -> None:
        self.tracking_uri = client.tracking_uri
        self.requests: list[str] = []
        self._client = client
        self._dies_after = dies_after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            self.requests.append(name)
            if len([one for one in self.requests if one in WRITES]) == self._dies_after and name in WRITES:
                raise Killed
            return answer

        return call


def _start(trial_number: int | None = 3, **changes: Any) -> Event:
    trial = None if trial_number is None else trial_run(trial_number)
    return Event(kind="start", trial=trial, time_ms=20, **changes)


def _events() -> list[Event]:
    return [
        _start(None, tags=dict(study_run().tags)),
        _start(),
        *(Event(kind="write", trial=trial_run(), time_ms=50, points=points) for points in CURVE),
        finished(trial_run(), trial_result(), objectives=OBJECTIVES, time_ms=90),
        Event(kind="end", trial=None, time_ms=95, status="FINISHED"),
    ]


def _deliver(
    client: Any, events: list[Event], study: StudyRun | None = None, *, slowly: bool = False
) -> Delivery:
    """Deliver in order, by ones or those together that may be; what is delivered is taken out."""
    delivery = Delivery(client, study or study_run(), {"mlflow.user": "me"})
    while events:
        batch = events[:1] if slowly else one_batch(events)
        delivery.deliver(batch)
        del events[: len(batch)]
    return delivery


def _picture(client: MlflowClient, study: str) -> Mapping[str, object]:
    """All that MLflow holds of the study with that uid."""
    found = {}
    for uid, run in runs_of(client).items():
        if uid.startswith(study):
            tags = {
                name: value
                for name, value in run.data.tags.items()
                if name not in {"nas.uid", "mlflow.parentRunId"}
            }
            times = (run.info.start_time, run.info.end_time)
            values = (run.data.params, tags, history(client, run), len(run.inputs.dataset_inputs))
            found[uid.removeprefix(study)] = (run.info.status, times, *values)
    return found


@pytest.mark.parametrize("slowly", [True, False])
def test_a_kill_after_any_request_changes_nothing(client: MlflowClient, slowly: bool) -> None:
    """Whoever delivers the rest makes no second run, and every value and time is the undisturbed one's."""
    counting = Client(client)
    _deliver(counting, _events(), slowly=slowly)
    undisturbed = _picture(client, "5eed")
    assert set(undisturbed) == {"/study", "/3"}
    writes = [name for name in counting.requests if name in WRITES]
    for number, name in enumerate(writes[1:], start=1):  # without the creation of the experiment
        study, left = study_run(uid=f"{number:04x}"), _events()
        with pytest.raises(Killed):
            _deliver(Client(client, dies_after=number), left, study, slowly=slowly)
        _deliver(client, left, study, slowly=slowly)
        assert _picture(client, study.uid) == undisturbed, f"killed after request {number}, {name}"


KILLED = """
    import os, signal, sys, time
    sys.path[:0] = [{tests!r}]
    from pathlib import Path
    from tracking_samples import OBJECTIVES, study_run, trial_result, trial_run
    from mlflow_nas.tracking import Mirror

    mirror = Mirror(
        tracking_uri={uri!r}, folder=Path({folder!r}), study=study_run(), objectives=OBJECTIVES
    )
    mirror.start_study()
    for number in range(6):
        mirror.start_trial(trial_run(number), is_new=True)
        mirror.finish_trial(trial_run(number), trial_result(number))
    while mirror.run_id(trial_run(1)) is None:
        time.sleep(.005)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_its_outbox_to_the_next(
    client: MlflowClient, tracking_uri: str, tmp_path: Path, open_mirror: Callable[..., Mirror]
) -> None:
    """After a real kill -9 amidst the delivery all six trials arrive, each once and ended."""
    tests = str(Path(__file__).parent)
    script = textwrap.dedent(KILLED).format(tests=tests, uri=tracking_uri, folder=str(tmp_path / "outbox"))
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((tmp_path / "outbox").glob("*/*.json"))
    assert open_mirror().flush(30) == 0
    runs = runs_of(client)
    assert sorted(runs) == sorted(["5eed/study", *(f"5eed/{number}" for number in range(6))])
    for number in range(6):
        run = runs[f"5eed/{number}"]
        assert (run.info.status, run.data.metrics["latency_ms"]) == ("FINISHED", 4.25 + number)


def test_a_trial_takes_few_requests(client: MlflowClient) -> None:
    """What happened while the server was busy goes in one batch; a new trial is not even searched for."""
    counting = Client(client)
    delivery = _deliver(counting, [_start(None)])
    counting.requests.clear()
    events = [_start(is_new=True), *_events()[2:5]]
    delivery.deliver(events, is_first_try=True)
    assert counting.requests == ["create_run", "log_inputs", "log_batch", "set_terminated"]


def test_a_trial_is_readable_from_its_start(client: MlflowClient) -> None:
    """Architecture, number, role, key, parent and data sets with their sizes are there while it runs."""
    delivery = _deliver(client, [_start(None), _start()])
    run = runs_of(client)["5eed/3"]
    assert (run.info.status, run.info.run_name, run.info.start_time) == ("RUNNING", "003-k3-c48", 20)
    assert run.data.params == {
        "arch.kernel_size": "3",
        "arch.ratio": "0.5",
        "arch.fusion": "sum",
        "arch.step": "1e-05",
    }
    expected = {"nas.study": "pf", "nas.trial": "3", "nas.role": "trial", "nas.key": "k3-c48"}
    expected |= {"nas.board": "local", "mlflow.user": "me", "mlflow.parentRunId": delivery.run_id(None)}
    assert run.data.tags.items() >= expected.items()
    linked = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}
    assert {context: data.digest for context, data in linked.items()} == {
        "training": TRAINING.digest[:36],
        "validation": VALIDATION.digest[:36],
    }
    assert '"images": 120, "boxes": 301' in linked["training"].profile


def test_an_interrupted_trial_continues_in_its_run(client: MlflowClient) -> None:
    """KILLED, then running again, then ended: one run."""
    kill = Event(kind="end", trial=trial_run(), time_ms=60, status="KILLED")
    delivery = _deliver(client, [_start(), kill])
    assert runs_of(client)["5eed/3"].info.status == "KILLED"
    delivery.deliver([_start()])
    assert runs_of(client)["5eed/3"].info.status == "RUNNING"
    _deliver(client, _events())
    assert runs_of(client)["5eed/3"].info.status == "FINISHED"


def test_a_late_start_does_not_revive_an_ended_trial(client: MlflowClient) -> None:
    """A dead worker's outbox may say that a trial starts which another worker has ended meanwhile."""
    _deliver(client, _events())
    _deliver(client, [_start()])
    assert runs_of(client)["5eed/3"].info.status == "FINISHED"


def test_a_closed_study_is_continued(client: MlflowClient) -> None:
    """The same run runs again; a param that it has keeps its value, a further one is added."""
    _deliver(client, _events())
    _deliver(client, [_start(None)], study_run(params={"trials": 20, "seed": 1}))
    run = runs_of(client)["5eed/study"]
    assert (run.info.status, run.data.params) == ("RUNNING", {"trials": "8", "seed": "1"})


def test_studies_of_one_name_are_told_apart_by_their_uid(client: MlflowClient) -> None:
    """A study that was deleted in the storage and made anew has runs of its own."""
    for uid in ("5eed", "5eed2"):
        _deliver(client, _events(), study_run(uid=uid))
    assert set(runs_of(client)) == {"5eed/study", "5eed/3", "5eed2/study", "5eed2/3"}
    assert len(Delivery(client, study_run(), {}).runs()) == 2


def test_two_machines_that_open_a_study_at_once_share_its_run(client: MlflowClient, experiment: str) -> None:
    """Each looks again after it has created one: the older stays, the other deletes its own."""

    class Contested(Client):
        def create_run(self, *args: Any, **kwargs: Any) -> Any:
            self.others = client.create_run(experiment, 10, {"nas.uid": "5eed/study"}).info.run_id
            return client.create_run(*args, **kwargs)

    contested = Contested(client)
    contested.tracking_uri = "http://tracking:5000"
    assert _deliver(contested, [_start(None)]).run_id(None) == contested.others
    assert runs_of(client)["5eed/study"].info.run_id == contested.others


def test_a_deleted_run_is_restored_when_it_continues(
    client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The study keeps its run, and a sentence tells of it."""
    run_id = _deliver(client, _events()).run_id(None)
    client.delete_run(str(run_id))
    assert _deliver(client, [_start(None)]).run_id(None) == run_id
    assert f"run {run_id} of 5eed/study was deleted in MLflow: it is restored" in caplog.text


def test_the_run_of_mlflow_run_becomes_the_studys(client: MlflowClient, experiment: str) -> None:
    """A param that `mlflow run` has logged with another spelling is left alone."""
    own = client.create_run(experiment, run_name="enthused-foal-42").info.run_id
    client.log_param(own, "trials", "08")
    study = study_run(project_run_id=own, params={"trials": 8, "epochs": 4}, experiment="elsewhere")
    for _ in range(2):  # as after a kill
        _deliver(client, _events(), study)
    run = runs_of(client)["5eed/study"]
    assert (run.info.run_id, run.info.run_name) == (own, "pf")
    assert run.data.params == {"trials": "08", "epochs": "4"}
    assert set(runs_of(client)) == {"5eed/study", "5eed/3"}


def test_the_run_of_mlflow_run_becomes_a_continuation(client: MlflowClient, experiment: str) -> None:
    """When the study has a run already, the project's hangs below it."""
    first = _deliver(client, _events()).run_id(None)
    own = client.create_run(experiment).info.run_id
    assert _deliver(client, [_start(None)], study_run(project_run_id=own)).run_id(None) == first
    expected = {"nas.role": "continuation", "nas.study": "pf", "mlflow.parentRunId": str(first)}
    assert client.get_run(own).data.tags.items() >= expected.items()


def test_a_trial_alone_takes_the_run_of_mlflow_run(client: MlflowClient, experiment: str) -> None:
    """No second run is made and no study is named; the options are its params beside the architecture."""
    own = client.create_run(experiment).info.run_id
    client.log_param(own, "epochs", "''")
    study = study_run(study=None, project_run_id=own, params={"epochs": None, "seed": 1})
    for _ in range(2):
        _deliver(client, _events()[1:5], study)
    (run,) = client.search_runs([experiment])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (own, "003-k3-c48", "FINISHED")
    assert run.data.params.items() >= {"epochs": "''", "seed": "1", "arch.kernel_size": "3"}.items()
    assert not {"nas.study", "mlflow.parentRunId"} & set(run.data.tags)


def test_a_cached_curve_is_added_where_it_is_missing(client: MlflowClient) -> None:
    """Epochs that another worker has logged live get no second point."""
    _deliver(client, [_start(), Event(kind="write", trial=trial_run(), time_ms=50, points=CURVE[0])])
    end = Event(
        kind="end",
        trial=trial_run(),
        time_ms=90,
        status="FINISHED",
        curve=[(name, value, 90, step) for points in CURVE for name, value, _, step in points],
    )
    _deliver(client, [end])
    assert history(client, runs_of(client)["5eed/3"]) == {
        "epoch/map": [(1, 51, 0.1), (2, 90, 0.2)],
        "epoch/loss": [(1, 51, 3.0), (2, 90, 2.0)],
    }


def test_a_deleted_experiment_says_how_to_restore_it(client: MlflowClient, experiment: str) -> None:
    """An experiment in MLflow's bin is not silently replaced."""
    client.delete_experiment(experiment)
    with pytest.raises(ConfigError, match=f"'nas' is deleted; restore it with .* restore -x {experiment}"):
        experiment_id(client, "nas")
