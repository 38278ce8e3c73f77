"""Where an agent finds releases and reports to: an S3 bucket, or an MLflow server."""

from __future__ import annotations

import base64
import configparser
import json
import re
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.fetch import STEP_S, TIMEOUTS, fetch
from mlflow_nas.board.runtime.sigv4 import Credentials, signed_headers

__all__ = ["RELEASE", "RELEASE_FOLDER", "Source", "open_source"]

RELEASE_FOLDER, RELEASE = "release", "release.json"
"""Folder of a release in the run of its version, and the name of its description there."""

FETCH_S = 1800.0  # 4 MB over 20 kbit/s
MAX_BYTES = 4_000_000  # of a JSON answer
TAG_CHARACTERS = 5_000
MISSING = 404
JSON_BODY = {"Content-Type": "application/json"}  # urllib's default is a form


class Source(Protocol):
    """Releases of one deployment."""

    def latest(self) -> JsonObject | None:
        """The release that this device is to run: `manifest` and `seal`; None without one."""

    def download(self, name: str, target: Path, sha256: str, size_bytes: int) -> None:
        """Download a file of that release; the hash is verified."""

    def report(self, status: JsonObject) -> None:
        """Tell what became of a release."""


def open_source(settings: JsonObject, *, device: str, name: str) -> Source:
    """The source of an agent's settings.

    Args:
        settings: of the bucket (`bucket`, `endpoint`, `region`, `credentials`) or of the server (`mlflow`,
            `model`, `authorization`).
        device: its name, as in the inventory.
        name: of the deployment.
    """
    kind = _Bucket if "bucket" in settings else _Mlflow
    try:
        return kind(device=device, name=name, **settings)
    except TypeError as error:
        raise Failure(
            "request",
            f"the agent's source has {', '.join(settings) or 'nothing'} ({error}): give bucket, endpoint, "
            "region and credentials, or mlflow, model and authorization",
        ) from error


class _Bucket:
    """Objects below s3://NAME/PREFIX: DEPLOYMENT.json, files by their hash, status/DEVICE.DEPLOYMENT.json."""

    def __init__(
        self, *, device: str, name: str, bucket: str, endpoint: str, region: str, credentials: str
    ) -> None:
        self._device, self._name = device, name
        parts = urlsplit(bucket)
        self._base = "/".join([endpoint.rstrip("/"), quote(f"{parts.netloc}{parts.path}".rstrip("/"))])
        self._credentials = _read_credentials(Path(credentials), region)

    def latest(self) -> JsonObject | None:
        """The object of the deployment."""
        return self._call("GET", f"{self._name}.json")

    def download(self, name: str, target: Path, sha256: str, size_bytes: int) -> None:
        """Files lie under their hash."""
        url = f"{self._base}/{sha256}{Path(name).suffix}"
        headers = signed_headers("GET", url, self._credentials)
        fetch(url, str(target), sha256, size_bytes, FETCH_S, headers)

    def report(self, status: JsonObject) -> None:
        """An object per device and deployment."""
        self._call("PUT", f"status/{self._device}.{self._name}.json", status)

    def _call(self, method: str, key: str, content: JsonObject | None = None) -> JsonObject | None:
        url = f"{self._base}/{quote(key)}"
        body = b"" if content is None else json.dumps(content).encode()
        headers = signed_headers(method, url, self._credentials, body)
        return _call(method, url, {**headers, **JSON_BODY}, body)


class _Mlflow:
    """A version of a registered model, its run's folder "release", and tags, by MLflow's REST API."""

    def __init__(self, *, device: str, name: str, mlflow: str, model: str, authorization: str = "") -> None:
        self._device, self._name, self._model = device, name, model
        self._base = mlflow.rstrip("/")
        self._headers = {"Authorization": _authorization(Path(authorization))} if authorization else {}
        self._run_id = ""

    def latest(self) -> JsonObject | None:
        """The release of the champion, of this device's own where there is one; None unless published."""
        found = self._api("GET", "registered-models/get", {"name": self._model}) or {}
        aliases = {one["alias"]: one["version"] for one in found["registered_model"].get("aliases", ())}
        own = "champion-" + re.sub(r"[^\w-]", "-", self._device)
        version = aliases.get(own, aliases.get("champion"))
        if version is None:
            return None
        known = self._api("GET", "model-versions/get", self._versioned(version)) or {}
        tags = {one["key"]: one["value"] for one in known["model_version"].get("tags", ())}
        self._run_id = known["model_version"].get("run_id", "")
        return _call("GET", self._artifact(RELEASE), self._headers) if "nas.published" in tags else None

    def download(self, name: str, target: Path, sha256: str, size_bytes: int) -> None:
        """Files lie in the run's folder."""
        fetch(self._artifact(name), str(target), sha256, size_bytes, FETCH_S, self._headers)

    def report(self, status: JsonObject) -> None:
        """The tags `deploy.DEVICE` of versions, and `nas.followed.DEVICE` of the model."""
        version, tag = str(status["version"]), f"deploy.{self._device}"
        if status["error"]:
            self._tag(version, f"{tag}.error", str(status["error"])[:TAG_CHARACTERS])
        else:
            self._release_claims(version, tag)
            self._tag(version, tag, self._name)
            self._tag(version, f"{tag}.latency_raw_ms", str(status["verification"]["latency_raw_ms"]))
            self._untag(version, f"{tag}.error")
        followed = {"name": self._model, "key": f"nas.followed.{self._device}", "value": version}
        self._api("POST", "registered-models/set-tag", followed)

    def _release_claims(self, version: str, tag: str) -> None:
        """Remove the tags of this device from every other version."""
        wanted = {"filter": f"name='{self._model}' AND tags.`{tag}` = '{self._name}'"}
        found = self._api("GET", "model-versions/search", wanted) or {}
        for one in found.get("model_versions", ()):
            if one["version"] != version:
                for name in (tag, f"{tag}.latency_raw_ms"):
                    self._untag(one["version"], name)

    def _tag(self, version: str, key: str, value: str) -> None:
        self._api("POST", "model-versions/set-tag", {**self._versioned(version), "key": key, "value": value})

    def _untag(self, version: str, key: str) -> None:
        self._api("DELETE", "model-versions/delete-tag", {**self._versioned(version), "key": key})

    def _versioned(self, version: str) -> dict[str, str]:
        return {"name": self._model, "version": version}

    def _artifact(self, name: str) -> str:
        query = urlencode({"run_id": self._run_id, "path": f"{RELEASE_FOLDER}/{name}"})
        return f"{self._base}/get-artifact?{query}"

    def _api(self, method: str, path: str, content: Mapping[str, str]) -> JsonObject | None:
        url = f"{self._base}/api/2.0/mlflow/{path}"
        if method == "GET":
            return _call(method, f"{url}?{urlencode(content)}", self._headers)
        return _call(method, url, {**self._headers, **JSON_BODY}, json.dumps(content).encode())


def _call(method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> JsonObject | None:
    """The JSON object of an answer, {} for an empty one; None where there is nothing."""
    shown = url.partition("?")[0]
    if not url.startswith(("http://", "https://")):
        raise Failure("request", f"the agent's source is reached over http and https only, not {shown}")
    request = Request(url, data=body or None, method=method)  # noqa: S310 - http(s), see above
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    try:
        with urlopen(request, timeout=STEP_S) as answer:  # noqa: S310 - http(s), see above
            text = answer.read(MAX_BYTES)
        found: Any = json.loads(text) if text.strip().startswith(b"{") else {}
    except HTTPError as error:
        if error.code == MISSING:
            return None
        raise Failure(
            "device", f"{shown} returns {error.code} {error.reason}: check the agent's credentials and clock"
        ) from error
    except (URLError, HTTPException, ConnectionError, ValueError, RecursionError, *TIMEOUTS) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise Failure(
            "device", f"{shown} gives no answer: {reason}; check the network and the store"
        ) from error
    result: JsonObject = found
    return result


def _authorization(path: Path) -> str:
    """The header of a file that holds USER:PASSWORD or a token."""
    text = _read(path).strip()
    return f"Basic {base64.b64encode(text.encode()).decode()}" if ":" in text else f"Bearer {text}"


def _read_credentials(path: Path, region: str) -> Credentials:
    """The profile "default" of a file as the AWS tools write it."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_read(path))
        found = parser["default"]
        return Credentials(found["aws_access_key_id"], found["aws_secret_access_key"], region)
    except (KeyError, configparser.Error) as error:
        raise Failure(
            "request",
            f"{path} has no [default] with aws_access_key_id and aws_secret_access_key: write them there",
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Failure("request", f"the agent's secret {path} can't be read: {error}") from error
