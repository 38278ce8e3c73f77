"""Access to the MLflow server: a client, its experiment, and errors that name the address and the remedy."""

import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeAlias, TypeVar

import mlflow
from filelock import BaseFileLock, FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.redact import redact

__all__ = [
    "DEFAULT_EXPERIMENT",
    "Client",
    "connect",
    "default_uri",
    "experiment_id",
    "experiment_of",
    "find_experiment",
    "machine_lock",
    "one_line",
    "server_call",
]

Client: TypeAlias = MlflowClient
"""The client's type, for modules that only pass it on."""

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_EXPERIMENT: Final = "mlflow-nas"
SETTINGS: Final = {
    # MLflow's own defaults wait 16 minutes for an unreachable server.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    # A proxy that answers 503 names pauses of any length in its header.
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    # Otherwise each run that ends costs one more request, and prints two lines into a command's output.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Of MLflow, where the user has set nothing else."""
SENTENCE_LENGTH = 400
NOTICE_S = 10.0
"""Until a call that takes long is mentioned."""
_SLOW = "MLflow at %s is asked to %s, and has not finished after 10 s: still waiting."


def default_uri() -> str:
    """The tracking URI that MLflow would use: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db."""
    return str(mlflow.get_tracking_uri())


def connect(tracking_uri: str, registry_uri: str | None = None) -> MlflowClient:
    """Make a client; a server over HTTP is first asked with the first call.

    Args:
        tracking_uri: such as `sqlite:///mlflow.db` or `http://host:5000`.
        registry_uri: where models are registered; None for MLFLOW_REGISTRY_URI, else the tracking URI.

    Raises:
        ConfigError: the URI's scheme is unknown, its database driver is missing or the database can't be
            opened.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        _create_database(tracking_uri)
        return MlflowClient(tracking_uri, registry_uri or _registry_uri(tracking_uri))
    except (MlflowException, ImportError, OSError) as fault:
        raise ConfigError(
            f"MLflow can't use {redact(tracking_uri)}: {one_line(fault)}; "
            "give a tracking URI such as sqlite:///mlflow.db or http://host:5000"
        ) from fault


def _registry_uri(tracking_uri: str) -> str:
    named = str(mlflow.get_registry_uri())
    return (
        tracking_uri if named == default_uri() else named
    )  # MLflow answers with its default where none is set


def _create_database(uri: str) -> None:
    """Create a SQLite database under another name and rename it: MLflow can't use a half-created one."""
    path = _sqlite_file(uri)
    if path is None or _has_content(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with machine_lock(str(path)):
        if _has_content(path):
            return
        for left in path.parent.glob(f".{path.name}.new*"):
            left.unlink()
        fresh = path.with_name(f".{path.name}.new")
        MlflowClient(f"sqlite:///{fresh}").search_experiments(max_results=1)
        if not _has_content(path):
            fresh.replace(path)


def _sqlite_file(uri: str) -> Path | None:
    try:
        url = make_url(uri)
    except ArgumentError:
        return None
    in_memory = not url.database or url.database == ":memory:" or url.database.startswith("file:")
    return (
        None if not url.drivername.startswith("sqlite") or in_memory else Path(str(url.database)).absolute()
    )


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def machine_lock(name: str) -> BaseFileLock:
    """The lock of that name, held by one process of this user on this machine at a time."""
    # Per user: in a shared /tmp other users' files can't be opened.
    folder = Path(tempfile.gettempdir()) / f"mlflow-nas-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f"tracking-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock")


def server_call(
    purpose: str, remedy: str = "check that it runs, then rerun the same command: the study continues"
) -> Callable[[Callable[Concatenate[MlflowClient, P], R]], Callable[Concatenate[MlflowClient, P], R]]:
    """Turn MLflow's errors inside a function, after the client's own retries, into a RegistryError.

    Args:
        purpose: completes the sentence "MLflow at ... could not ...".
        remedy: the user's next step.

    Returns:
        A decorator for functions whose first argument is the client.
    """

    def decorate(
        function: Callable[Concatenate[MlflowClient, P], R],
    ) -> Callable[Concatenate[MlflowClient, P], R]:
        @wraps(function)
        def call(client: MlflowClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
            notice = threading.Timer(NOTICE_S, _log.warning, (_SLOW, redact(client.tracking_uri), purpose))
            notice.daemon = True
            notice.start()
            try:
                return function(client, *args, **kwargs)
            # Artifact stores raise the transport's errors as they are: requests' and the disk's are OSErrors.
            except (MlflowException, OSError) as fault:
                where = redact(client.tracking_uri)
                raise RegistryError(
                    f"MLflow at {where} could not {purpose}: {one_line(fault)}; {remedy}"
                ) from fault
            finally:
                notice.cancel()

        return call

    return decorate


@server_call("find the experiment")
def find_experiment(client: MlflowClient, name: str) -> str | None:
    """Id of the experiment; None where there is none of that name.

    Args:
        client: the MLflow client.
        name: as for `experiment_id`.

    Raises:
        RegistryError: MLflow does not answer.
    """
    name, known = _of_environment(name)
    if known:
        return known
    found = client.get_experiment_by_name(name)
    return None if found is None else str(found.experiment_id)


def _of_environment(name: str) -> tuple[str, str | None]:
    """The name that counts, and the id that MLFLOW_EXPERIMENT_ID gives the default one."""
    if name != DEFAULT_EXPERIMENT:
        return name, None
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    return name, os.environ.get("MLFLOW_EXPERIMENT_ID") if name == DEFAULT_EXPERIMENT else None


@server_call("find or create the experiment")
def experiment_id(client: MlflowClient, name: str) -> str:
    """Id of the experiment, created when there is none of that name.

    Args:
        client: the MLflow client.
        name: of the experiment; for DEFAULT_EXPERIMENT the variables MLFLOW_EXPERIMENT_NAME and _ID count.

    Raises:
        ConfigError: the experiment is deleted.
        RegistryError: MLflow does not answer.
    """
    name, known = _of_environment(name)
    if known:
        return str(client.get_experiment(known).experiment_id)
    found = client.get_experiment_by_name(name)
    if found is None:
        return _create_experiment(client, name)
    if found.lifecycle_stage != "active":
        raise ConfigError(
            f"experiment {name!r} is deleted; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}` or choose another name"
        )
    return str(found.experiment_id)


def _create_experiment(client: MlflowClient, name: str) -> str:
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        found = client.get_experiment_by_name(name)
        if found is None:  # else another worker was faster
            raise
        return str(found.experiment_id)


@server_call("find the run")
def experiment_of(client: MlflowClient, run_id: str) -> str:
    """Id of the experiment that holds a run, such as the one that `mlflow run` created.

    Raises:
        RegistryError: MLflow does not answer or has no such run.
    """
    return str(client.get_run(run_id).info.experiment_id)


def one_line(fault: BaseException) -> str:
    """The message of an exception in one short line, without passwords."""
    text = redact(" ".join(str(fault).split()))
    return text if len(text) <= SENTENCE_LENGTH else f"{text[:SENTENCE_LENGTH]}..."
