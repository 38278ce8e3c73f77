"""One model version per logged model."""

import json
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from mlflow_nas.registry.checks import REFERENCE, objectives_of
from mlflow_nas.registry.state import PRIMARY_BOARD, PRIMARY_DATASET
from mlflow_nas.tracking import server_call

__all__ = ["describe_version", "register_model"]

DESCRIPTION = (
    "Int8 ONNX models found by mlflow_nas. The tag `nas.pareto` marks the Pareto front of the objectives on "
    "one board; `mlflow_nas promote` updates tags and aliases."
)
DIGITS = 6
"""Significant digits of a number among the tags."""


@server_call("register the model", "check that it runs, then rerun the same command")
def register_model(
    client: MlflowClient, model: str, *, run_id: str, model_id: str, tags: Mapping[str, str]
) -> str:
    """Make a logged model a version of the registered model; the same logged model makes one version.

    Numbers among the tags are rounded; the version's description says them in words. The first version
    decides the model's primary board and data set.

    Args:
        client: the MLflow client.
        model: the registered model's name; it is created when it is missing.
        run_id: the run that logged it.
        model_id: the logged model.
        tags: of the version; later calls update them.

    Returns:
        The version.

    Raises:
        RegistryError: MLflow does not answer.
    """
    rounded = {name: _rounded(name, value) for name, value in tags.items()}
    _create(client, model)
    _set_primary(client, model, rounded)
    known = _version(client, model, run_id, model_id, rounded)
    version = str(known.version)
    for name, value in rounded.items():
        if known.tags.get(name) != value:
            client.set_model_version_tag(model, version, name, value)
    description = describe_version({**known.tags, **rounded})
    if known.description != description:
        client.update_model_version(model, version, description)
    _link(client, model_id, model, version)
    return version


def describe_version(tags: Mapping[str, str]) -> str:
    """A version in words: speed-up, latency, board, accuracy with its interval, data set, architecture."""
    accuracy = objectives_of(tags)[0].name
    role = tags.get("nas.role", "")
    if role == "reference":  # not compared with itself
        tags = {name: tags[name] for name in tags if name not in ("speedup", f"{REFERENCE}{accuracy}")}
    parts = []
    if "speedup" in tags:
        parts.append(f"{_short(tags['speedup'])} times as fast as the reference")
    if "latency_ms" in tags:
        parts.append(f"{_short(tags['latency_ms'])} ms on {tags.get('nas.board', 'an unnamed board')}")
    if accuracy in tags:
        parts.append(f"{accuracy} {_short(tags[accuracy])}{_interval(tags, accuracy)}")
    speed = ", ".join(parts)
    data = f" on {tags['nas.dataset'].partition('@')[0]}" if "nas.dataset" in tags else ""
    named = {"reference": "The reference: ", "finalist": "Finalist: "}.get(role, "")
    return f"{named}{speed}{data}. Architecture {tags.get('nas.key', 'unknown')}."


def _interval(tags: Mapping[str, str], accuracy: str) -> str:
    """Its 95 % interval, and the reference's accuracy, as far as they are known."""
    low, high, known = (
        tags.get(name) for name in (f"{accuracy}_ci_low", f"{accuracy}_ci_high", f"{REFERENCE}{accuracy}")
    )
    interval = f" (95 % interval {_short(low)} to {_short(high)})" if low and high else ""
    return interval + (f" against {_short(known)} of the reference" if known else "")


def _short(text: str) -> str:
    return f"{float(text):.3g}"


def _rounded(name: str, value: str) -> str:
    """A measured number with six digits; names and hashes as they are."""
    if name.startswith("nas.") and not name.startswith(REFERENCE):
        return value
    try:
        return f"{float(value):.{DIGITS}g}"
    except ValueError:
        return value


def _create(client: MlflowClient, model: str) -> None:
    if not client.search_registered_models(f"name='{model}'", max_results=1):
        try:
            client.create_registered_model(model, description=DESCRIPTION)
        except MlflowException as error:  # another machine was faster
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _set_primary(client: MlflowClient, model: str, tags: Mapping[str, str]) -> None:
    known = client.get_registered_model(model).tags
    for name, value in ((PRIMARY_BOARD, tags.get("nas.board")), (PRIMARY_DATASET, tags.get("nas.dataset"))):
        if value and name not in known:
            client.set_registered_model_tag(model, name, value)


def _version(
    client: MlflowClient, model: str, run_id: str, model_id: str, tags: Mapping[str, str]
) -> ModelVersion:
    """The version of a logged model; of two that machines made at once the earlier one."""
    source = f"models:/{model_id}"
    search = f"name='{model}' AND source_path='{source}'"
    if found := client.search_model_versions(search):
        return min(found, key=_number)
    made = client.create_model_version(
        model, source, run_id, tags=dict(tags), model_id=model_id, description=describe_version(tags)
    )
    first = min(client.search_model_versions(search), key=_number)
    if _number(first) < _number(made):
        client.delete_model_version(model, str(made.version))
    return first


def _number(version: ModelVersion) -> int:
    return int(version.version)


def _link(client: MlflowClient, model_id: str, model: str, version: str) -> None:
    """Show the version on the logged model's page: a server does that itself, a database does not."""
    versions = json.loads(client.get_logged_model(model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    if (model, version) not in {(each["name"], str(each["version"])) for each in versions}:
        versions.append({"name": model, "version": version})
        client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(versions)})
