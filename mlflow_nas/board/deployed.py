"""The models that a device keeps: switched, rolled back and run there."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board import runtime
from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.errors import ConfigError

__all__ = ["Active", "DeployedModels", "Manifest"]

Manifest = dict[str, Any]

ACTIVATE_S = 60.0
"""Longest time of the device's `activate`."""

HEALTH_S = 30.0
"""How long the device's `health` is asked until it succeeds."""


class Active(NamedTuple):
    """What is deployed under a name.

    Attributes:
        manifest: the active one.
        path: of its file on the device.
        whole: whether the file is there and its hash is right.
    """

    manifest: Manifest
    path: str
    whole: bool


class DeployedModels:
    """The deployed models of one device.

    Args:
        board: the device.
        health_s: how long the application may take to be well after a switch.
    """

    def __init__(self, board: DeviceBoard, *, health_s: float = HEALTH_S) -> None:
        self._board = board
        self._health_s = health_s

    @property
    def _root(self) -> str:
        return f"{self._board.root}/deployed"

    @property
    def _switch(self) -> dict[str, Any]:
        """What `install` and `rollback` need beside a version."""
        device = self._board.device
        commands = {"activate": list(device.activate), "health": list(device.health)}
        limits = {"activate_s": ACTIVATE_S, "health_s": self._health_s}
        return {
            "lock": self._board.lock,
            "activation": {**commands, **limits},
            "wait_s": self._board.lock["wait_s"] + 2 * ACTIVATE_S + self._health_s,
        }

    def install(self, name: str, model: Path, manifest: Mapping[str, Any]) -> Manifest:
        """Copy a file to the device and `install_there`."""
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        with self._board.staged(model) as (path,):
            return self.install_there(name, path, manifest, sha256=sha256)

    def install_there(
        self,
        name: str,
        path: str,
        manifest: Mapping[str, Any],
        *,
        sha256: str,
        replaces: str | None = runtime.ANY_VERSION,
    ) -> Manifest:
        """Make a file on the device the active version of `name`, keeping the version before.

        The device's `activate` and `health` must succeed. Any failure, a power cut on the device included,
        leaves the version before active, or the new one.

        Args:
            name: of the deployment.
            path: of the file on the device; it is moved.
            manifest: what is kept beside it.
            sha256: the file's hash.
            replaces: hash of the version that must be active until now, None for none, "any" for whatever.

        Returns:
            The new manifest.

        Raises:
            BoardError: the device can't be reached, the file is damaged, `activate` or `health` failed, or
                somebody else has changed the deployment.
            CandidateError: the device refuses the model.
            ConfigError: the name has characters other than letters, digits, `.`, `_`, `-`; the file is larger
                than the device allows; the active manifest is from a later version of mlflow_nas.
        """
        return self._board.call(
            "install",
            root=self._root,
            name=name,
            file={"path": path, "sha256": sha256, "max_bytes": self._board.device.max_model_bytes},
            manifest=dict(manifest),
            session=self._board.session,
            replaces=replaces,
            passages=[f"{self._board.root}/{folder}" for folder in ("staging", "incoming")],
            **self._switch,
        )

    def find(self, name: str) -> Active | None:
        """What is deployed under the name; None when nothing is.

        Raises:
            BoardError: the device can't be reached, or its manifest is damaged.
            ConfigError: the name is refused, or the manifest is from a later version of mlflow_nas.
        """
        answer = self._board.call("get", root=self._root, name=name)
        manifest: Manifest | None = answer["manifest"]
        if manifest is None:
            return None
        return Active(manifest, f"{self._root}/{name}/models/{manifest['sha256']}.onnx", answer["whole"])

    def get(self, name: str) -> Manifest:
        """The active manifest of a deployment.

        Raises:
            BoardError: the device can't be reached.
            ConfigError: nothing is deployed under the name; the sentence lists what is.
        """
        return self._get(name).manifest

    def _get(self, name: str) -> Active:
        found = self.find(name)
        if found is None:
            known = ", ".join(manifest["name"] for manifest in self.list()) or "none"
            raise ConfigError(f"{self._board.name} has no deployment {name!r}: it has {known}.")
        return found

    def list(self) -> list[Manifest]:
        """The active manifest of every deployment, by name; of one that is refused `name` and `refused`.

        Raises:
            BoardError: the device can't be reached.
        """
        found: list[Manifest] = self._board.call("list", root=self._root)["manifests"]
        return found

    def infer(self, name: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the active version of `name` on images [n, 3, H, W]; its outputs [n, ...].

        Raises:
            BoardError: the device can't be reached, or its file is damaged.
            ConfigError: nothing is deployed under the name, or the images don't fit.
        """
        found = self._get(name)
        return self._board.infer_there(found.path, images, sha256=found.manifest["sha256"])

    def rollback(self, name: str) -> Manifest:
        """Make the previous version active again; its manifest.

        Raises:
            BoardError: the device can't be reached, the previous file is damaged, or the application is not
                well with it: then the version before is active again.
            ConfigError: there is no previous version.
        """
        return self._board.call("rollback", root=self._root, name=name, **self._switch)

    def delete(self, name: str) -> bool:
        """Remove a deployment; whether there was one.

        Raises:
            BoardError: the device can't be reached.
            ConfigError: the name is refused.
        """
        lock = self._board.lock
        answer = self._board.call("delete", root=self._root, name=name, lock=lock, wait_s=lock["wait_s"])
        return bool(answer["deleted"])
