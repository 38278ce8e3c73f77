"""The deployed models of a device: installed, rolled back and run on the device."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.runtime.install import ANY_VERSION
from mlflow_nas.board.runtime.signature import digest
from mlflow_nas.board.runtime.store import model_name
from mlflow_nas.errors import NotFoundError

__all__ = ["Active", "DeployedModels", "Manifest"]

Manifest = dict[str, Any]

ACTIVATE_S = 60.0
"""Longest time of the device's `activate`."""

HEALTH_S = 30.0
"""How long the device's `health` is repeated until it succeeds."""


class Active(NamedTuple):
    """The active version of a deployment.

    Attributes:
        manifest: its manifest.
        path: of its file on the device.
        intact: whether the file exists with the right hash.
    """

    manifest: Manifest
    path: str
    intact: bool


class DeployedModels:
    """The deployed models of one device.

    Args:
        board: the device.
        health_s: how long `health` may fail after a switch.
    """

    def __init__(self, board: DeviceBoard, *, health_s: float = HEALTH_S) -> None:
        self._board = board
        self._call = board.client.call
        self._health_s = health_s

    @property
    def _root(self) -> str:
        return f"{self._board.client.root}/deployed"

    @property
    def _switch_options(self) -> dict[str, Any]:
        """Lock, commands and time limits of `install` and `rollback`."""
        device, lock = self._board.device, self._board.lock
        commands = {"activate": list(device.activate), "health": list(device.health)}
        limits = {"activate_s": ACTIVATE_S, "health_s": self._health_s}
        wait_s = lock["wait_s"] + 2 * ACTIVATE_S + self._health_s
        return {"lock": lock, "activation": {**commands, **limits}, "wait_s": wait_s}

    def install(self, name: str, model: Path, manifest: Mapping[str, Any]) -> Manifest:
        """Upload a file and `install_remote` it."""
        sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        with self._board.client.staged(model) as (path,):
            return self.install_remote(name, path, manifest, sha256=sha256)

    def install_remote(
        self,
        name: str,
        path: str,
        manifest: Mapping[str, Any],
        *,
        sha256: str,
        signature: str | None = None,
        replaces: str | None = ANY_VERSION,
    ) -> Manifest:
        """Make a file on the device the active version of `name`; keep the previous version.

        The device's `activate` and `health` must succeed. After any failure, a power cut on the device
        included, the previous version is active, or the new one.

        Args:
            name: of the deployment.
            path: of the file on the device; it is moved.
            manifest: stored beside it.
            sha256: the file's hash.
            signature: of the manifest; a device with a list of allowed signers accepts none without.
            replaces: hash of the version that must be active now, None for none, "any" for whatever.

        Returns:
            The new manifest.

        Raises:
            BoardError: the device can't be reached, the file is damaged, `activate` or `health` failed, or
                another deployment changed the active version.
            CandidateError: the device refuses the model.
            ConfigError: the name has characters other than letters, digits, `.`, `_`, `-`; the file is larger
                than the device allows; the signature is missing or refused; the active manifest is from a
                later version of mlflow_nas.
        """
        root = self._board.client.root
        return self._call(
            "install",
            root=self._root,
            name=name,
            file={"path": path, "sha256": sha256, "max_bytes": self._board.device.max_model_bytes},
            manifest=dict(manifest),
            seal={"digest": digest(dict(manifest)), "signature": signature},
            session=self._board.session,
            replaces=replaces,
            upload_folders=[f"{root}/staging", f"{root}/incoming"],
            **self._switch_options,
        )

    def find(self, name: str) -> Active | None:
        """The active version of a deployment; None without one.

        Raises:
            BoardError: the device can't be reached, or its manifest is damaged.
            ConfigError: the name is refused, or the manifest is from a later version of mlflow_nas.
        """
        answer = self._call("get", root=self._root, name=name)
        manifest: Manifest | None = answer["manifest"]
        if manifest is None:
            return None
        return Active(manifest, f"{self._root}/{name}/models/{model_name(manifest)}", answer["intact"])

    def get(self, name: str) -> Active:
        """The active version of a deployment that exists.

        Raises:
            BoardError: the device can't be reached.
            NotFoundError: there is no such deployment; the message lists the existing ones.
        """
        found = self.find(name)
        if found is None:
            known = ", ".join(manifest["name"] for manifest in self.list()) or "none"
            raise NotFoundError(
                f"{self._board.name} has no deployment {name!r}: it has {known}; name one, or deploy it."
            )
        return found

    def list(self) -> list[Manifest]:
        """The active manifest of every deployment, by name; of a refused one `name` and `refused`.

        Raises:
            BoardError: the device can't be reached.
        """
        found: list[Manifest] = self._call("list", root=self._root)["manifests"]
        return found

    def infer(self, name: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the active version of `name` on images [n, 3, H, W]; its outputs [n, ...].

        Raises:
            BoardError: the device can't be reached, or its file is damaged.
            ConfigError: there is no such deployment, or the images don't fit.
        """
        found = self.get(name)
        return self._board.infer_remote(found.path, images, sha256=found.manifest["sha256"])

    def rollback(self, name: str) -> Manifest:
        """Make the previous version active again; its manifest.

        Raises:
            BoardError: the device can't be reached, the previous file is damaged, or `activate` or `health`
                failed: then the active version stays.
            ConfigError: there is no previous version.
        """
        return self._call("rollback", root=self._root, name=name, **self._switch_options)

    def delete(self, name: str) -> bool:
        """Remove a deployment; whether it existed.

        Raises:
            BoardError: the device can't be reached.
            ConfigError: the name is refused.
        """
        lock = self._board.lock
        return bool(
            self._call("delete", root=self._root, name=name, lock=lock, wait_s=lock["wait_s"])["deleted"]
        )
