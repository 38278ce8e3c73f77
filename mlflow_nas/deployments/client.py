"""The client behind `mlflow deployments -t nas-edge://DEVICE`."""

import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import mlflow
from click import ClickException, echo
from mlflow import MlflowClient
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    INVALID_STATE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from mlflow_nas.board import DeployedModels, Manifest, get_board
from mlflow_nas.deployments.deploy import deploy, rollback, verify_locally
from mlflow_nas.deployments.options import Options, parse_options
from mlflow_nas.deployments.predict import predict
from mlflow_nas.deployments.record import recording
from mlflow_nas.deployments.rollout import SCHEME, find_target
from mlflow_nas.deployments.switch import Mode
from mlflow_nas.deployments.tags import tag_removed
from mlflow_nas.errors import (
    AlreadyExistsError,
    BoardError,
    CandidateError,
    ConfigError,
    NasError,
    NotFoundError,
    RegistryError,
)
from mlflow_nas.tracking import connect

__all__ = ["DeploymentError", "EdgeDeploymentClient", "run_local", "target_help"]

_OF_CREATE = ("force", "max_regression", "max_drop", "threshold", "via", "atomic")
_TRIGGER = "mlflow deployments"

P = ParamSpec("P")
R = TypeVar("R")


class DeploymentError(MlflowException, ClickException):  # type: ignore[misc]  # both keep the message
    """MLflow's error for callers; click's for MLflow's command line, which prints it without a traceback."""


def _raises_mlflow(function: Callable[P, R]) -> Callable[P, R]:
    """Turn NasError into DeploymentError."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except NasError as error:
            raise DeploymentError(str(error), error_code=_code(error)) from error

    return call


def _code(error: NasError) -> int:
    """MLflow's code of an error: whose fault it is."""
    codes = {
        NotFoundError: RESOURCE_DOES_NOT_EXIST,
        AlreadyExistsError: RESOURCE_ALREADY_EXISTS,
        ConfigError: INVALID_PARAMETER_VALUE,
        CandidateError: INVALID_STATE,
        BoardError: TEMPORARILY_UNAVAILABLE,
        RegistryError: RESOURCE_DOES_NOT_EXIST,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), INTERNAL_ERROR)


class EdgeDeploymentClient(BaseDeploymentClient):
    """Deployments on a device, or on a group of devices.

    Args:
        target_uri: nas-edge://DEVICE or nas-edge://group/NAME.

    Every method raises DeploymentError, an MlflowException, whose message has value, bound and remedy.
    """

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)  # type: ignore[no-untyped-call]  # MLflow's
        self._target = target_uri.removeprefix(SCHEME).strip("/")

    @_raises_mlflow
    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a model version under a new name.

        Config: force, max_regression, max_drop, threshold, via, atomic.
        """
        _refuse_endpoint(endpoint)
        options = parse_options(config, allowed=_OF_CREATE)
        return self._deploy(name, model_uri, flavor, options, "create")

    @_raises_mlflow
    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Replace the version of a deployment; the previous is kept; config: as create, or rollback."""
        _refuse_endpoint(endpoint)
        options = parse_options(config)
        if options.rollback and model_uri is not None:
            raise ConfigError(f"-C rollback=true and -m {model_uri} exclude each other: give one of them.")
        if options.rollback:
            return _with_flavor(rollback(self._target, name, trigger=_TRIGGER))
        if model_uri is None:
            raise ConfigError(
                "update needs the model: give -m models:/NAME@ALIAS, or -C rollback=true for the "
                "previous version."
            )
        return self._deploy(name, model_uri, flavor, options, "update")

    @_raises_mlflow
    def delete_deployment(
        self, name: str, config: Mapping[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Remove a deployment with its versions; a missing one is no error."""
        _refuse_endpoint(endpoint)
        parse_options(config, allowed=())
        client = _client()
        with recording(client, name, trigger=_TRIGGER) as add:
            for device in find_target(self._target).devices:
                with closing(get_board(device)) as board:
                    removed = _remove(DeployedModels(board), name)
                if removed is not None:
                    add(device.name, removed, None, "deleted")
                    tag_removed(client, device.name, removed)

    @_raises_mlflow
    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """The manifests of all deployments on the device, or on each device of the group, with its name.

        One that can't be read has only `name` and `refused`, the reason.
        """
        _refuse_endpoint(endpoint)
        found = []
        for device in find_target(self._target).devices:
            with closing(get_board(device)) as board:
                manifests = DeployedModels(board).list()
            found += [_with_flavor({**manifest, "device": device.name}) for manifest in manifests]
        return found

    @_raises_mlflow
    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """The manifest of a deployment; of a group the first, with those of all devices under `devices`."""
        _refuse_endpoint(endpoint)
        target = find_target(self._target)
        manifests = {}
        for device in target.devices:
            with closing(get_board(device)) as board:
                manifests[device.name] = DeployedModels(board).get(name).manifest
        first = next(iter(manifests.values()))
        return _with_flavor({**first, "devices": manifests} if target.is_group else first)

    @_raises_mlflow
    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Run the deployed model on the device.

        Args:
            deployment_name: of the deployment.
            inputs: a DataFrame with a column `image`, a list, or one image: paths, JPEG or PNG files as bytes
                or in base64, or arrays of bytes [h, w, 3].
            endpoint: not supported.

        Returns:
            One prediction per image: scores, classes; of a detector also boxes (xyxy, pixels of the image).
        """
        _refuse_endpoint(endpoint)
        if not deployment_name:
            raise ConfigError("predict needs the deployment: give --name.")
        target = find_target(self._target)
        if target.is_group:
            names = ", ".join(device.name for device in target.devices)
            raise ConfigError(f"predict runs on one device, {target.name} has {names}: give one of them.")
        found = predict(target.devices[0], deployment_name, inputs, on_step=_show_step)
        return PredictionsResponse({"predictions": found})

    def _deploy(
        self, name: str, model_uri: str, flavor: str | None, options: Options, mode: Mode
    ) -> dict[str, Any]:
        _refuse_flavor(flavor)
        manifest = deploy(
            _client(),
            model_uri,
            device=self._target,
            name=name,
            options=options,
            mode=mode,
            trigger=_TRIGGER,
            on_step=_show_step,
        )
        return _with_flavor(manifest)


def _show_step(name: str) -> None:
    """A step on standard error, where somebody waits for it: MLflow's command line shows none."""
    if sys.stderr.isatty():
        echo(name, err=True)


def _client() -> MlflowClient:
    return connect(mlflow.get_tracking_uri(), mlflow.get_registry_uri())


def _remove(models: DeployedModels, name: str) -> Manifest | None:
    """Delete a deployment, also one with an unreadable manifest; its manifest, if readable."""
    found = None
    with suppress(NasError):
        found = models.find(name)
    models.delete(name)
    return found and found.manifest


def _with_flavor(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest, "flavor": "onnx"}


def _refuse_flavor(flavor: str | None) -> None:
    if flavor not in (None, "onnx"):
        raise ConfigError(f"The flavor {flavor!r} can't be deployed, devices run onnx: leave --flavor out.")


def _refuse_endpoint(endpoint: str | None) -> None:
    if endpoint is not None:
        raise ConfigError("Devices have no endpoints: leave --endpoint out.")


@_raises_mlflow
def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Verify on this machine what a deployment would: `mlflow deployments run-local -t nas-edge`.

    Nothing is installed, so that it can be repeated.
    """
    _refuse_flavor(flavor)
    options = parse_options(config, allowed=("force",))
    return _with_flavor(verify_locally(_client(), model_uri, name=name, options=options))


def target_help() -> str:
    """What `mlflow deployments help -t nas-edge` prints."""
    return (
        "nas-edge://DEVICE deploys int8 ONNX models to a device of the inventory (local: this\n"
        "machine; fake: for tests). The device verifies the file's sha256, runs the golden samples,\n"
        "measures latency, switches atomically, runs its activate command and its health check; after\n"
        "any failure the previous version is the active one.\n"
        "Models: models:/NAME@ALIAS or models:/NAME/VERSION; with force any other. Options of create and\n"
        "update:\n"
        "  -C force=true           also a version that is not int8, not measured, or measured elsewhere\n"
        "  -C max_regression=0.1   largest slowdown against the active version, as a share\n"
        "  -C max_drop=0.05        largest drop of accuracy below the active version's, on the same data\n"
        "  -C threshold=0.3        score from which predict reports a detection\n"
        "  -C via=s3://BUCKET/P    the device downloads the file from there, by a signed URL\n"
        "  -C atomic=true          a group whose rollout fails midway is rolled back\n"
        "  -C rollback=true        update only, without -m: the previous version\n"
        "nas-edge://group/NAME changes each device of the group, one after the other, and stops at the\n"
        "first failure.\n"
        "predict takes a JSON table with a column `image`: paths, base64 or arrays."
    )
