"""The way to the MLflow server: a client, and errors that name the address and the remedy."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlflow_nas.errors import ConfigError, RegistryError

__all__ = ["Client", "address", "connect", "default_uri", "server_call"]

Client: TypeAlias = MlflowClient
"""For rooms that pass a client on and need MLflow for nothing else."""

P = ParamSpec("P")
R = TypeVar("R")

SENTENCE_LENGTH = 400


def default_uri() -> str:
    """The tracking URI that MLflow would use: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db."""
    return str(mlflow.get_tracking_uri())


def connect(tracking_uri: str, registry_uri: str | None = None) -> MlflowClient:
    """Make a client; a server over HTTP is first asked with the first call.

    Args:
        tracking_uri: such as `sqlite:///mlflow.db` or `http://host:5000`.
        registry_uri: where models are registered; the tracking URI when None.

    Raises:
        ConfigError: the URI's scheme is unknown, its database driver is missing or the database can't be
            opened.
    """
    try:
        return MlflowClient(tracking_uri, registry_uri or tracking_uri)
    except (MlflowException, ImportError, OSError) as fault:
        raise ConfigError(
            f"MLflow can't use {address(tracking_uri)}: {_one_line(fault, tracking_uri)}; "
            "give a tracking URI such as sqlite:///mlflow.db or http://host:5000"
        ) from fault


def server_call(
    purpose: str, remedy: str = "check that it runs, then rerun the same command: the study continues"
) -> Callable[[Callable[Concatenate[MlflowClient, P], R]], Callable[Concatenate[MlflowClient, P], R]]:
    """Turn what MLflow raises inside a function, after the client's own retries, into a RegistryError.

    Args:
        purpose: completes the sentence "MLflow at ... could not ...".
        remedy: what the user does about it.

    Returns:
        A decorator for functions whose first argument is the client.
    """

    def decorate(
        function: Callable[Concatenate[MlflowClient, P], R],
    ) -> Callable[Concatenate[MlflowClient, P], R]:
        @wraps(function)
        def call(client: MlflowClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(client, *args, **kwargs)
            # Artifact stores raise the transport's errors as they are: requests' and the disk's are OSErrors.
            except (MlflowException, OSError) as fault:
                uri = client.tracking_uri
                raise RegistryError(
                    f"MLflow at {address(uri)} could not {purpose}: {_one_line(fault, uri)}; {remedy}"
                ) from fault

        return call

    return decorate


def address(uri: str) -> str:
    """The URI without its password, for messages."""
    password = urlsplit(uri).password
    return uri.replace(f":{password}@", ":***@") if password else uri


def _one_line(fault: BaseException, uri: str) -> str:
    text = " ".join(str(fault).split()).replace(uri, address(uri))
    return text if len(text) <= SENTENCE_LENGTH else f"{text[:SENTENCE_LENGTH]}..."
