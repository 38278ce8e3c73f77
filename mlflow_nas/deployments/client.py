"""The client behind `mlflow deployments -t nas-edge://DEVICE`."""

import base64
import binascii
import tempfile
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import mlflow
import pandas as pd
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse
from mlflow.exceptions import MlflowException

from mlflow_nas.board import DeviceBoard
from mlflow_nas.deployments.deploy import deploy, device_board
from mlflow_nas.errors import ConfigError, NasError
from mlflow_nas.tracking import connect

__all__ = ["EdgeDeploymentClient", "run_local", "target_help"]

P = ParamSpec("P")
R = TypeVar("R")
SCHEME = "nas-edge://"
OPTIONS = ("force",)
SCORE_THRESHOLD = 0.3


def _raises_mlflow(function: Callable[P, R]) -> Callable[P, R]:
    """Our errors become MLflow's, which its command line prints without a traceback."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except NasError as error:
            raise MlflowException(str(error)) from error

    return call


class EdgeDeploymentClient(BaseDeploymentClient):
    """Deployments on one device.

    Args:
        target_uri: nas-edge://DEVICE.

    Every method raises MlflowException with one sentence that names value, bound and remedy.
    """

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)  # type: ignore[no-untyped-call]  # MLflow's
        self._device = target_uri.removeprefix(SCHEME).strip("/")

    @_raises_mlflow
    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a model version under a new name; config: force=true."""
        _refuse_endpoint(endpoint)
        return self._deploy(name, model_uri, flavor, config, "create")

    @_raises_mlflow
    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Mapping[str, Any] | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Replace the version behind a name; the one before is kept on the device."""
        _refuse_endpoint(endpoint)
        if model_uri is None:
            raise ConfigError("update needs the model: give -m models:/NAME@ALIAS.")
        return self._deploy(name, model_uri, flavor, config, "update")

    @_raises_mlflow
    def delete_deployment(
        self, name: str, config: Mapping[str, Any] | None = None, endpoint: str | None = None
    ) -> None:
        """Remove a name with its versions; one that is not there is no error."""
        _refuse_endpoint(endpoint)
        _options(config)
        self._board().delete_model(name)

    @_raises_mlflow
    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """The manifests of all names on the device."""
        _refuse_endpoint(endpoint)
        return [_described(manifest) for manifest in self._board().list_models()]

    @_raises_mlflow
    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """The manifest of one name."""
        _refuse_endpoint(endpoint)
        return _described(self._manifest(name))

    @_raises_mlflow
    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Detect on the device.

        Args:
            deployment_name: the name on the device.
            inputs: a DataFrame with a column `image`: paths, or JPEG or PNG files in base64.
            endpoint: not supported.

        Returns:
            One prediction per image: boxes (xyxy, pixels of the photograph), scores, classes.
        """
        _refuse_endpoint(endpoint)
        if not deployment_name:
            raise ConfigError("predict needs the deployment: give --name.")
        manifest = self._manifest(deployment_name)
        images = _images(inputs)
        found = [self._detect(deployment_name, manifest, image) for image in images]
        return PredictionsResponse({"predictions": found})

    def _detect(self, name: str, manifest: Mapping[str, Any], image: str) -> dict[str, Any]:
        from mlflow_nas.data import read_image
        from mlflow_nas.train import predict_boxes

        with tempfile.TemporaryDirectory() as folder:
            pixels = read_image(_as_file(image, Path(folder)))
        height, width = manifest["input_size"]
        detections = predict_boxes(
            lambda batch: self._board().infer_deployed(name, batch),
            pixels,
            img_size=(height, width),
            score_threshold=SCORE_THRESHOLD,
        )
        classes = manifest["classes"]
        return {
            "boxes": detections.boxes.tolist(),
            "scores": detections.scores.tolist(),
            "classes": [classes[label] for label in detections.labels.tolist()],
        }

    def _board(self) -> DeviceBoard:
        return device_board(self._device)

    def _manifest(self, name: str) -> dict[str, Any]:
        manifest = self._board().get_model(name)
        if manifest is None:
            known = ", ".join(found["name"] for found in self._board().list_models()) or "none"
            raise ConfigError(f"{self._device} has no deployment {name!r}: it has {known}.")
        return manifest

    def _deploy(
        self,
        name: str,
        model_uri: str,
        flavor: str | None,
        config: Mapping[str, Any] | None,
        mode: Any,
    ) -> dict[str, Any]:
        if flavor not in (None, "onnx"):
            raise ConfigError(f"The flavor {flavor!r} can't be deployed: only onnx runs on devices.")
        options = _options(config)
        client = connect(mlflow.get_tracking_uri(), mlflow.get_registry_uri())
        force = options.get("force") == "true"
        return _described(deploy(client, model_uri, device=self._device, name=name, force=force, mode=mode))


def _described(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest, "flavor": "onnx"}


def _refuse_endpoint(endpoint: str | None) -> None:
    if endpoint is not None:
        raise ConfigError("Devices have no endpoints: leave --endpoint out.")


def _options(config: Mapping[str, Any] | None) -> dict[str, str]:
    """The -C options as lower-case strings.

    Raises:
        ConfigError: an unknown option, or a value other than true and false.
    """
    options = {name: str(value).lower() for name, value in (config or {}).items()}
    for name, value in options.items():
        if name not in OPTIONS:
            raise ConfigError(f"Unknown option -C {name}: known are {', '.join(OPTIONS)}.")
        if value not in {"true", "false"}:
            raise ConfigError(f"-C {name}={value}: give true or false.")
    return options


def _images(inputs: Any) -> list[str]:
    frame = inputs if isinstance(inputs, pd.DataFrame) else pd.DataFrame(inputs)
    if "image" not in frame.columns:
        raise ConfigError(
            f"The input has the columns {list(frame.columns)}: give a column `image` of paths or base64."
        )
    return [str(image) for image in frame["image"]]


def _as_file(image: str, folder: Path) -> Path:
    """The path itself, or a file with the decoded base64."""
    if len(image) < 4096 and Path(image).is_file():
        return Path(image)
    try:
        content = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{image[:80]!r} is neither an image file nor base64.") from None
    file = folder / "image"
    file.write_bytes(content)
    return file


@_raises_mlflow
def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Deploy to this machine: what `mlflow deployments run-local -t nas-edge` calls."""
    return EdgeDeploymentClient(f"{SCHEME}local").create_deployment(name, model_uri, flavor, config)


def target_help() -> str:
    """What `mlflow deployments help -t nas-edge` prints."""
    return (
        "nas-edge://DEVICE deploys int8 ONNX detectors to a device (local: this machine; fake: for tests).\n"
        "The device verifies the file's sha256, runs it once and switches atomically.\n"
        "Models: models:/NAME@ALIAS or models:/NAME/VERSION. Option: -C force=true deploys also what is not\n"
        "int8 or was not measured. predict takes a JSON table with a column `image`: paths or base64."
    )
