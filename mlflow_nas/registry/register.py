"""One model version per logged model."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlflow_nas.registry.lock import one_writer
from mlflow_nas.tracking import server_call

__all__ = ["register_model"]

DESCRIPTION = (
    "Int8 ONNX detectors found by mlflow_nas. Tag `nas.pareto` marks the Pareto front of mAP and latency on "
    "one board; `mlflow_nas promote` keeps tags and aliases true."
)


@server_call("register the model", "check that it runs, then rerun the same command")
def register_model(
    client: MlflowClient, model: str, *, run_id: str, model_id: str, tags: Mapping[str, str]
) -> str:
    """Make a logged model a version of the registered model; the same logged model makes one version.

    Args:
        client: the MLflow client.
        model: the registered model's name; it is created when it is missing.
        run_id: the run that logged it.
        model_id: the logged model.
        tags: of the version; later calls bring them up to date.

    Returns:
        The version.

    Raises:
        RegistryError: another process is writing, or MLflow does not answer.
    """
    source = f"models:/{model_id}"
    with one_writer(client, model):
        _create(client, model)
        known = client.search_model_versions(f"name='{model}' AND source_path='{source}'")
        if not known:
            return str(client.create_model_version(model, source, run_id, tags=dict(tags)).version)
        version = str(known[0].version)
        for name, value in tags.items():
            if known[0].tags.get(name) != value:
                client.set_model_version_tag(model, version, name, value)
    return version


def _create(client: MlflowClient, model: str) -> None:
    if not client.search_registered_models(f"name='{model}'", max_results=1):
        try:
            client.create_registered_model(model, description=DESCRIPTION)
        except MlflowException as error:  # another machine was faster
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
