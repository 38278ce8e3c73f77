"""One model version per logged model."""

import json
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from mlflow_nas.registry.lock import one_writer
from mlflow_nas.tracking import server_call

__all__ = ["register_model"]

DESCRIPTION = (
    "Int8 ONNX models found by mlflow_nas. The tag `nas.pareto` marks the Pareto front of the objectives on "
    "one board; `mlflow_nas promote` updates tags and aliases."
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
        tags: of the version; later calls update them.

    Returns:
        The version.

    Raises:
        RegistryError: another process is writing, or MLflow does not answer.
    """
    source = f"models:/{model_id}"
    with one_writer(client, model):
        _create(client, model)
        found = client.search_model_versions(f"name='{model}' AND source_path='{source}'")
        known = (
            found[0]
            if found
            else client.create_model_version(model, source, run_id, tags=dict(tags), model_id=model_id)
        )
        version = str(known.version)
        for name, value in tags.items():
            if known.tags.get(name) != value:
                client.set_model_version_tag(model, version, name, value)
        _link(client, model_id, model, version)
    return version


def _create(client: MlflowClient, model: str) -> None:
    if not client.search_registered_models(f"name='{model}'", max_results=1):
        try:
            client.create_registered_model(model, description=DESCRIPTION)
        except MlflowException as error:  # another machine was faster
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _link(client: MlflowClient, model_id: str, model: str, version: str) -> None:
    """Show the version on the logged model's page: a server does that itself, a database does not."""
    versions = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    if (model, version) not in {(each["name"], str(each["version"])) for each in versions}:
        versions.append({"name": model, "version": version})
        client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)})
