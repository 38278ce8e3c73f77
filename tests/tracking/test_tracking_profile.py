from mlflow import MlflowClient
from mlflow.entities import Param

from mlflow_nas.tracking import log_profile


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
    assert run.data.tags["nas.board.soc"] == "i.MX 93"


def test_a_profile_adopts_the_run_of_mlflow_run(client: MlflowClient, experiment: str) -> None:
    """`mlflow run` has logged an empty parameter as two quotation marks, which MLflow lets nobody change."""
    own = client.create_run(experiment).info.run_id
    client.log_batch(own, params=[Param("threads", "''")])
    assert _log(client, experiment, own) == own
    assert client.get_run(own).data.params == {"board": "local", "threads": "''"}
