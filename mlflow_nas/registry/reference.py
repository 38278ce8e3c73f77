"""The registered reference that other versions are timed against."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow import MlflowClient

from mlflow_nas.registry.checks import finite_number, objectives_of
from mlflow_nas.tracking import server_call

__all__ = ["RegisteredReference", "find_reference", "newest_reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredReference:
    """A version with the role "reference".

    Attributes:
        uri: of the version.
        latency_ms: as it was measured.
        accuracies: name to value, as the tags have it.
    """

    uri: str
    latency_ms: float
    accuracies: Mapping[str, str]


@server_call("find the reference", "check that it runs, then rerun the same command")
def find_reference(client: MlflowClient, model: str, tags: Mapping[str, str]) -> RegisteredReference | None:
    """The newest reference whose board, protocol and data set are the given ones; None without one.

    Raises:
        RegistryError: MLflow does not answer.
    """
    references = client.search_model_versions(f"name='{model}' AND tags.`nas.role` = 'reference'")
    # Compared here: the name of a data set may hold what a filter can't quote.
    found = [
        version
        for version in references
        if all(version.tags.get(name) == tags[name] for name in ("nas.board", "nas.protocol", "nas.dataset"))
        and finite_number(version.tags, "latency_ms") is not None
    ]
    if not found:
        return None
    newest = max(found, key=lambda version: int(version.version))
    accuracies = [one.name for one in objectives_of(newest.tags) if one.maximize]
    return RegisteredReference(
        uri=f"models:/{model}/{newest.version}",
        latency_ms=float(newest.tags["latency_ms"]),
        accuracies={name: newest.tags[name] for name in accuracies if name in newest.tags},
    )


@server_call("find the reference", "check that it runs, then rerun the same command")
def newest_reference(client: MlflowClient, model: str) -> str | None:
    """The URI of the newest reference of a model, of any board and data set; None without one.

    Raises:
        RegistryError: MLflow does not answer.
    """
    found = client.search_model_versions(f"name='{model}' AND tags.`nas.role` = 'reference'")
    newest = max((int(version.version) for version in found), default=None)
    return None if newest is None else f"models:/{model}/{newest}"
