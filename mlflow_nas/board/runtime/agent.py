"""An agent for devices that nobody can reach: it polls, verifies, proves, switches and reports.

Its settings are a JSON file, ROOT/agent/NAME.json; NAME.state beside it is what it knows. Each release is
tried once: one that is refused is reported, and the active version stays. What only hinders the device, such
as a network that is gone, is tried again at the next poll.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.files import is_intact, refuse_symlink, write_json
from mlflow_nas.board.runtime.install import install
from mlflow_nas.board.runtime.prove import prove
from mlflow_nas.board.runtime.session import session_options
from mlflow_nas.board.runtime.signature import verify_manifest
from mlflow_nas.board.runtime.source import Source, open_source
from mlflow_nas.board.runtime.store import deployment_folder, model_file, read_manifest

__all__ = ["poll"]

SESSION: JsonObject = {"threads": 1, "cores": [], "providers": [["CPUExecutionProvider", {}]]}
ACTIVATION: JsonObject = {"activate": [], "health": [], "activate_s": 60.0, "health_s": 30.0}
VERSIONS = ("onnxruntime", "numpy", "python")
WAIT_S = 600.0  # for a measurement that a host has begun


def poll(config: str) -> JsonObject:
    """Look for a release once, and make it the active version if it is new and stands the proof.

    Args:
        config: path of the settings.

    Returns:
        `state`: "nothing", "unchanged", "active" or "refused"; of the latter two also the report.

    Raises:
        Failure: the source can't be reached, or the settings are wrong: nothing is changed.
    """
    agent = _Agent(Path(config))
    agent.send_report()
    release = agent.source.latest()
    if release is None:
        return {"state": "nothing"}
    if release.get("seal", {}).get("digest") == agent.state.get("digest"):
        return {"state": "unchanged"}
    status = agent.apply(release)
    agent.send_report()
    return {"state": "refused" if status["error"] else "active", **status}


class _Agent:
    """The settings and the state of one deployment's agent.

    Args:
        path: of the settings.
    """

    def __init__(self, path: Path) -> None:
        self._state_file, self._root = path.with_suffix(".state"), path.resolve().parent.parent
        try:
            self._settings: JsonObject = json.loads(path.read_text(encoding="utf-8"))
            self._device, self._name = str(self._settings["device"]), str(self._settings["name"])
            source = dict(self._settings["source"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failure(
                "request",
                f"{path} is no settings of an agent ({type(error).__name__}: {error}): give "
                "device, name and source",
            ) from error
        self.source: Source = open_source(source, device=self._device, name=self._name)
        self.state: JsonObject = {}
        with contextlib.suppress(OSError, ValueError):
            self.state = json.loads(self._state_file.read_text(encoding="utf-8"))
        self._session = {**SESSION, **self._settings.get("session", {})}
        self._lock = {"path": str(self._root / "lock"), "holder": f"agent of {self._name}", "wait_s": WAIT_S}

    def send_report(self) -> None:
        """Report the last release, unless that is done."""
        if "report" in self.state:
            self.source.report(self.state["report"])
            self._remember({name: value for name, value in self.state.items() if name != "report"})

    def apply(self, release: JsonObject) -> JsonObject:
        """Verify, download, prove and install a release; the status that is reported.

        Raises:
            Failure: the device could not try it.
        """
        manifest, seal = release.get("manifest", {}), release.get("seal", {})
        status = {
            "device": self._device,
            "name": self._name,
            **{name: manifest.get(name) for name in ("model", "version", "sha256")},
            "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "error": "",
        }
        published = self.state.get("published", "")
        try:
            self._verify(manifest, seal)
            published = manifest["published"]
            status["verification"] = self._try(manifest, seal)
        except _Refusal as refusal:
            status["error"] = str(refusal)
        self._remember({"digest": seal.get("digest"), "published": published, "report": status})
        return status

    def _verify(self, manifest: JsonObject, seal: JsonObject) -> None:
        """Refuse a manifest that was changed, is not signed, or is older than one that was seen."""
        with _refusing("device", "request", "model"):
            try:
                verify_manifest(str(self._root / "deployed"), manifest, manifest["sha256"], seal)
                published = str(manifest["published"])
                _ = manifest["size_bytes"], manifest["golden"]["sha256"], manifest["golden"]["size_bytes"]
            except (KeyError, TypeError) as error:
                raise Failure("request", f"the release has no {error}: publish it again") from error
            if manifest.get("deployment") != self._name:
                raise Failure(
                    "request",
                    f"the release is of {manifest.get('deployment')}, the agent's name is {self._name}: fix "
                    "one of them",
                )
            if published < self.state.get("published", ""):
                raise Failure(
                    "request",
                    f"it was published at {published}, a later one at {self.state['published']}: publish it "
                    "again",
                )

    def _try(self, manifest: JsonObject, seal: JsonObject) -> JsonObject:
        """Download, prove and install; what the proof found."""
        limits = self._settings.get("limits", {})
        folder = deployment_folder(str(self._root / "deployed"), self._name)
        active = read_manifest(folder)
        sha256, most = manifest["sha256"], limits.get("model_bytes")
        with _refusing("request"):
            if most is not None and manifest["size_bytes"] > most:
                raise Failure("request", f"it has {manifest['size_bytes']} bytes, model_bytes is {most}")
        with self._staging() as staging:
            model, golden = staging / "model.onnx", staging / "golden.npz"
            for path, one in ((model, manifest), (golden, manifest["golden"])):
                self.source.download(path.name, path, one["sha256"], one["size_bytes"])
            rival = _rival(folder, active, sha256)
            with _refusing("model"):
                found = prove(str(model), golden, rival, self._session, self._lock, limits)
            with _refusing("device", "request", "model"):
                install(
                    str(self._root / "deployed"),
                    self._name,
                    {"path": str(model), "sha256": sha256, "max_bytes": most, "found": self._found(found)},
                    manifest,
                    {"signature": None, **seal},
                    self._session,
                    self._lock,
                    {**ACTIVATION, **self._settings.get("activation", {})},
                    replaces=active["sha256"] if active else None,
                )
        return found

    def _found(self, verification: JsonObject) -> JsonObject:
        known = facts()
        return {
            "runtime": "onnxruntime",
            "session": {**self._session, **session_options(known)},
            "versions": {name: known[name] for name in VERSIONS},
            "verification": verification,
        }

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        refuse_symlink(self._root / "staging")
        folder = self._root / "staging" / uuid.uuid4().hex
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _remember(self, state: JsonObject) -> None:
        self.state = state
        write_json(self._state_file.with_suffix(".new"), state).replace(self._state_file)


def _rival(folder: Path, active: JsonObject | None, sha256: str) -> str | None:
    """Path of the active version's file, if it is intact and another one."""
    if active is None or active["sha256"] == sha256:
        return None
    file = model_file(folder, active)
    return str(file) if is_intact(file, active["sha256"]) else None


class _Refusal(Exception):  # noqa: N818 - an answer to the registry, not a programming error
    """The release is refused, for good."""


@contextmanager
def _refusing(*kinds: str) -> Iterator[None]:
    """Turn failures of these kinds into a refusal; others are tried again."""
    try:
        yield
    except Failure as failure:
        if failure.kind not in kinds:
            raise
        raise _Refusal(str(failure)) from failure
