import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from relay import Relay
from tracking_samples import OBJECTIVES, VALIDATION, history, runs_of, study_run, trial_result, trial_run

from mlflow_nas.tracking import Mirror, connect, read_results

OpenMirror = Callable[..., Mirror]


def test_results_come_in_order_and_whole(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """Objectives, latency, the rest; state, facts and parent; FINISHED."""
    mirror = open_mirror()
    mirror.start_study()
    mirror.start_trial(trial_run())
    mirror.finish_trial(trial_run(), trial_result())
    assert mirror.flush(20) == 0
    run = runs_of(client)["5eed/3"]
    assert list(run.data.metrics) == [
        "map",
        "latency_ms",
        "train_s",
        "map_50",
        "constraint/latency_ms max 12",
    ]
    assert run.data.tags.items() >= {"nas.state": "complete", "nas.board.soc": "i.MX 93"}.items()
    assert (run.info.status, mirror.run_id(trial_run())) == ("FINISHED", run.info.run_id)
    assert read_results(client, "nas", "pf")[0].metrics == trial_result().metrics


def test_the_curve_is_live_with_its_real_times(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """An epoch is there before the trial ends, at its number, with the time at which it ended."""
    mirror, before = open_mirror(), time.time() * 1_000 - 1
    mirror.start_trial(trial_run())
    mirror.log_epoch(trial_run(), 1, {"loss": 3.0, "map": 0.1})
    time.sleep(0.05)
    mirror.log_epoch(trial_run(), 2, {"loss": 2.0, "map": 0.2})
    assert mirror.flush(20) == 0
    run = runs_of(client)["5eed/3"]
    assert (run.info.status, list(run.data.metrics)) == ("RUNNING", ["epoch/map", "epoch/loss"])
    (first, at_first, _), (second, at_second, _) = history(client, run)["epoch/map"]
    assert (first, second) == (1, 2)
    assert before < at_first < at_second - 40
    epochs = ({"loss": 3.0, "map": 0.1}, {"loss": 2.0, "map": 0.2})
    mirror.finish_trial(trial_run(), trial_result(history=epochs))
    mirror.flush(20)
    assert len(history(client, runs_of(client)["5eed/3"])["epoch/map"]) == 2


def test_values_arrive_by_themselves(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """Nobody needs to flush: a few seconds after the last epoch it is there."""
    mirror = open_mirror()
    mirror.start_trial(trial_run())
    deadline = time.monotonic() + 20
    while "5eed/3" not in runs_of(client) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert runs_of(client)["5eed/3"].info.status == "RUNNING"


def test_files_tables_and_texts_hang_on_their_runs(
    client: MlflowClient, open_mirror: OpenMirror, tmp_path: Path
) -> None:
    """The study's and a trial's, even when the original is gone before the delivery."""
    picture, mirror = tmp_path / "pareto.png", open_mirror()
    picture.write_bytes(b"png")
    mirror.log_artifact(None, picture, "figures")
    picture.unlink()
    mirror.log_table(None, ["trial", "arch.width"], [[0, 24]], "trials.json")
    mirror.log_table(None, ["trial", "arch.width"], [[0, 24], [1, float("nan")]], "trials.json")
    mirror.log_json(trial_run(), {"k": 3}, "estimate/k.json")
    mirror.describe(None, "# Study\n" + "x" * 9_000)
    mirror.set_tags(None, {"nas.selected": "flops"})
    mirror.log_metrics(trial_run(), {"test_map": 0.4})
    assert mirror.flush(20) == 0
    study, trial = (runs_of(client)[uid] for uid in ("5eed/study", "5eed/3"))
    assert [file.path for file in client.list_artifacts(study.info.run_id, "figures")] == [
        "figures/pareto.png"
    ]
    table = Path(client.download_artifacts(study.info.run_id, "trials.json", str(tmp_path))).read_text()
    assert table == '{"columns": ["trial", "arch/width"], "data": [[0, 24], [1, null]]}'
    assert study.data.tags["mlflow.loggedArtifacts"] == '[{"path": "trials.json", "type": "table"}]'
    assert len(study.data.tags["mlflow.note.content"]) == 8_000
    assert study.data.tags["nas.selected"] == "flops"
    assert client.list_artifacts(trial.info.run_id, "estimate")
    assert trial.data.metrics == {"test_map": 0.4}


def test_two_folders_share_the_studys_run(
    client: MlflowClient, open_mirror: OpenMirror, tmp_path: Path
) -> None:
    """A worker elsewhere works below the same run, whoever is faster."""
    mirrors = [open_mirror(folder=tmp_path / name) for name in ("here", "elsewhere")]
    for number, mirror in enumerate(mirrors):
        mirror.start_study()
        mirror.start_trial(trial_run(number))
        mirror.finish_trial(trial_run(number), trial_result(number))
    assert [mirror.flush(20) for mirror in mirrors] == [0, 0]
    runs = runs_of(client)
    assert set(runs) == {"5eed/study", "5eed/0", "5eed/1"}
    parents = {runs[uid].data.tags["mlflow.parentRunId"] for uid in ("5eed/0", "5eed/1")}
    assert parents == {runs["5eed/study"].info.run_id}


def test_a_refused_event_does_not_hold_up_the_others(
    client: MlflowClient, open_mirror: OpenMirror, caplog: pytest.LogCaptureFixture
) -> None:
    """What MLflow will never take is left out with its reason; what follows arrives."""
    mirror = open_mirror()
    mirror.set_tags(None, {"": "a tag without a name"})
    mirror.log_json(None, {}, "fine.json")
    assert mirror.flush(30) == 0
    assert "MLflow at sqlite" in caplog.text
    assert "refuses values of run 5eed/study, which are left out" in caplog.text
    assert client.list_artifacts(runs_of(client)["5eed/study"].info.run_id)


def test_events_for_another_server_stay(
    client: MlflowClient, open_mirror: OpenMirror, tmp_path: Path
) -> None:
    """A dead process's outbox is delivered to the server that it was meant for."""
    elsewhere = open_mirror(tracking_uri="http://127.0.0.1:9")
    elsewhere.start_study()
    elsewhere.close()
    assert open_mirror().flush(20) == 0
    assert runs_of(client) == {}
    assert len(list((tmp_path / "outbox").glob("*/0*.json"))) == 1


def _ended(mirror: Mirror, count: int) -> list[tuple[Any, Any]]:
    results = [(trial_run(number), trial_result(number)) for number in range(count)]
    mirror.start_study()
    for trial, result in results:
        mirror.start_trial(trial, is_new=True)
        mirror.finish_trial(trial, result)
    return results


def test_reconcile_finds_nothing_where_all_is_there(open_mirror: OpenMirror) -> None:
    """It flushes first, then compares."""
    mirror = open_mirror()
    assert mirror.reconcile(_ended(mirror, 3)) == []


def test_reconcile_writes_what_is_missing(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """A trial without a run, one without its end, one with another value; a second call has nothing to do."""
    mirror = open_mirror()
    results = _ended(mirror, 2)
    mirror.start_trial(trial_run(2))
    mirror.flush(20)
    wrong = runs_of(client)["5eed/1"].info.run_id
    client.log_metric(wrong, "map", 0.9)
    history_of_3 = ({"map": 0.1}, {"map": 0.2})
    results += [(trial_run(2), trial_result(2)), (trial_run(3), trial_result(3, history=history_of_3))]
    said = mirror.reconcile(results)
    assert [sentence.partition(" of ")[2] or sentence for sentence in said] == [
        "trial 1 was incomplete in MLflow: it is completed.",
        "trial 2 was incomplete in MLflow: it is completed.",
        "Trial 3 was missing in MLflow: it is written again.",
    ]
    runs = runs_of(client)
    assert {uid: run.data.metrics.get("map") for uid, run in runs.items() if uid != "5eed/study"} == {
        f"5eed/{number}": 0.51 for number in range(4)
    }
    assert [step for step, *_ in history(client, runs["5eed/3"])["epoch/map"]] == [1, 2]
    assert mirror.reconcile(results) == []


def test_reconcile_restores_deleted_runs(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """Of a trial that the study has, with one sentence each."""
    mirror = open_mirror()
    results = _ended(mirror, 2)
    mirror.flush(20)
    run_id = mirror.run_id(trial_run(0))
    client.delete_run(str(run_id))
    assert mirror.reconcile(results) == [f"Run {run_id} of trial 0 was deleted in MLflow: it is restored."]
    assert runs_of(client)["5eed/0"].data.metrics["map"] == 0.51
    assert mirror.reconcile(results) == []


def test_reconcile_ends_what_dead_workers_left_running(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """But not what another worker evaluates now."""
    mirror = open_mirror()
    results = _ended(mirror, 1)
    for number in (1, 2):
        mirror.start_trial(trial_run(number))
    (said,) = mirror.reconcile(results, running=["2"])
    assert "of 5eed/1 was left running by a dead worker: it ends as KILLED" in said
    statuses = {uid: run.info.status for uid, run in runs_of(client).items()}
    assert statuses == {
        "5eed/study": "RUNNING",
        "5eed/0": "FINISHED",
        "5eed/1": "KILLED",
        "5eed/2": "RUNNING",
    }


def test_reconcile_deletes_second_runs(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """Two machines may create one at the same moment; the older stays, its trials' parent is right."""
    mirror = open_mirror()
    results = _ended(mirror, 1)
    mirror.flush(20)
    study, trial = mirror.run_id(None), mirror.run_id(trial_run(0))
    again = client.create_run(mirror.experiment_id, tags={"nas.uid": "5eed/study"}).info.run_id
    client.set_tag(trial, "mlflow.parentRunId", again)
    said = mirror.reconcile(results)
    assert said[0] == f"Run {again} was a second one of 5eed/study: it is deleted."
    assert client.get_run(trial).data.tags["mlflow.parentRunId"] == study
    assert mirror.reconcile(results) == []


def test_an_error_that_is_over_is_taken_back(client: MlflowClient, open_mirror: OpenMirror) -> None:
    """A trial that failed and then succeeded shows no reason any more."""
    mirror = open_mirror()
    mirror.finish_trial(trial_run(), trial_result(state="failed", error="out of memory"))
    mirror.reconcile([(trial_run(), trial_result())])
    (result,) = read_results(client, "nas", "pf") or [None]
    assert result is not None
    assert (result.state, result.error) == ("complete", None)


def test_a_server_that_was_never_there_costs_nothing(
    open_mirror: OpenMirror, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls return at once, one warning is given, the events wait, and no password is shown."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    begun = time.monotonic()
    study = study_run(params={"storage": "postgresql://me:secret@db/nas"})
    mirror = open_mirror(study, tracking_uri="http://me:secret@127.0.0.1:9")
    _ended(mirror, 20)
    assert time.monotonic() - begun < 2
    assert mirror.flush(2) == 41
    assert mirror.run_id(trial_run()) is None
    mirror.close()
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "MLflow at http://me:***@127.0.0.1:9 does not answer" in warning.getMessage()
    assert f"its events wait in {tmp_path / 'outbox'}" in warning.getMessage()
    assert "secret" not in caplog.text
    assert not [path for path in (tmp_path / "outbox").rglob("*.json") if "secret" in path.read_text()]


@pytest.mark.services
def test_a_server_that_stops_for_a_while_gets_everything_later(
    relay: Relay, open_mirror: OpenMirror, caplog: pytest.LogCaptureFixture
) -> None:
    """Trials go on meanwhile; afterwards each has one run with its values; one warning, one all-clear."""
    client, study = connect(relay.url), study_run(experiment="stops", uid="stops")
    mirror = open_mirror(study, tracking_uri=relay.url)
    relay.up()
    _ended(mirror, 2)
    assert mirror.flush(30) == 0
    relay.down()
    results = _ended(mirror, 4)
    assert mirror.flush(1) > 0
    (waits,) = mirror.reconcile(results, timeout_s=0.5)
    assert "events: they wait in" in waits
    relay.up()
    assert mirror.flush(40) == 0
    assert mirror.reconcile(results) == []
    mirror.finish_study()
    mirror.flush(20)
    runs = runs_of(client, "stops")
    assert {uid: run.info.status for uid, run in runs.items()} == {
        "stops/study": "FINISHED",
        **{f"stops/{number}": "FINISHED" for number in range(4)},
    }
    assert [runs[f"stops/{n}"].data.metrics["latency_ms"] for n in range(4)] == [4.25, 5.25, 6.25, 7.25]
    assert list(runs["stops/0"].data.metrics)[:2] == list(OBJECTIVES)
    assert runs["stops/0"].inputs.dataset_inputs[1].dataset.digest == VALIDATION.digest[:36]
    warnings = [record.getMessage() for record in caplog.records if record.name.startswith("mlflow_nas")]
    assert ["does not answer" in text or "answers again" in text for text in warnings] == [True, True]


@pytest.mark.services
def test_a_server_that_is_back_after_the_command_gets_everything_from_the_next(
    relay: Relay, open_mirror: OpenMirror
) -> None:
    """What the first command could not deliver is delivered as soon as another one opens the folder."""
    study = study_run(experiment="gone", uid="gone")
    first = open_mirror(study, tracking_uri=relay.url)
    _ended(first, 2)
    first.flush(0.2)
    first.close()
    relay.up()
    assert open_mirror(study, tracking_uri=relay.url).flush(40) == 0
    runs = runs_of(connect(relay.url), "gone")
    assert {uid: run.info.status for uid, run in runs.items()} == {
        "gone/study": "RUNNING",
        "gone/0": "FINISHED",
        "gone/1": "FINISHED",
    }
