from mlflow import MlflowClient
from mlflow.entities import Param

from mlflow_nas.tracking import describe, finish_selection, log_measurement, log_profile, start_selection


def _log(client: MlflowClient, experiment: str, run_id: str | None) -> str:
    return log_profile(
        client,
        experiment_id=experiment,
        run_id=run_id,
        name="profile of a model",
        params={"board": "local", "threads": ""},
        metrics={"profile_int8_run_ms": 4.5},
        facts={"soc": "i.MX 93"},
        tags={"nas.board": "local"},
    )


def test_a_profile_is_a_finished_run(client: MlflowClient, experiment: str) -> None:
    """Times as metrics, options as params, the board's facts as tags."""
    run = client.get_run(_log(client, experiment, None))
    assert (run.info.status, run.info.run_name) == ("FINISHED", "profile of a model")
    assert run.data.metrics == {"profile_int8_run_ms": 4.5}
    assert run.data.params == {"board": "local", "threads": ""}
    assert run.data.tags.items() >= {"nas.role": "profile", "nas.board.soc": "i.MX 93"}.items()


def test_a_profile_adopts_the_run_of_mlflow_run(client: MlflowClient, experiment: str) -> None:
    """`mlflow run` has logged an empty parameter as two quotation marks, which MLflow lets nobody change."""
    own = client.create_run(experiment).info.run_id
    client.log_batch(own, params=[Param("threads", "''")])
    assert _log(client, experiment, own) == own
    run = client.get_run(own)
    assert run.data.params == {"board": "local", "threads": "''"}
    assert (run.info.run_name, run.data.tags["nas.role"]) == ("profile of a model", "profile")


def test_a_selection_is_opened_before_its_result(client: MlflowClient, experiment: str) -> None:
    """It runs below its study with its options; a number without a value is left out at its end."""
    parent = client.create_run(experiment).info.run_id
    run_id = start_selection(
        client,
        experiment_id=experiment,
        name="select-pf",
        params={"samples": 40},
        tags={"nas.study": "pf"},
        parent_id=parent,
    )
    run = client.get_run(run_id)
    assert (run.info.status, run.data.params) == ("RUNNING", {"samples": "40"})
    assert run.data.tags.items() >= {"nas.role": "selection", "mlflow.parentRunId": parent}.items()
    many = {f"s{number}/tau": 0.5 for number in range(1_100)}
    finish_selection(client, run_id, metrics={**many, "tau": float("nan")}, tags={"nas.selected": "flops"})
    run = client.get_run(run_id)
    assert (run.info.status, len(run.data.metrics), run.data.tags["nas.selected"]) == (
        "FINISHED",
        1_100,
        "flops",
    )


def test_a_measurement_is_added_to_a_run(client: MlflowClient, experiment: str) -> None:
    """Metrics, tags and a description, cut at MLflow's limit."""
    run_id = client.create_run(experiment).info.run_id
    log_measurement(client, run_id, {"map": 0.5}, {"nas.dataset": "pf@01"})
    describe(client, run_id, "# Study\n" + "x" * 9_000)
    data = client.get_run(run_id).data
    assert (data.metrics, data.tags["nas.dataset"]) == ({"map": 0.5}, "pf@01")
    assert len(data.tags["mlflow.note.content"]) == 8_000
