"""Releases for devices that pull: a version with its manifest, in a bucket or in its MLflow run."""

import datetime
import hashlib
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.board import RELEASE, RELEASE_FOLDER, digest
from mlflow_nas.deployments.manifest import sign
from mlflow_nas.deployments.pull import Bucket, bucket_client, explained, parse_bucket
from mlflow_nas.deployments.release import Release, fetch_release, resolve_version
from mlflow_nas.deployments.tags import tag_active, tag_failed
from mlflow_nas.deployments.verify import check_release
from mlflow_nas.errors import RegistryError
from mlflow_nas.networks import THRESHOLD
from mlflow_nas.tracking import log_file, server_call

__all__ = ["MLFLOW", "Status", "publish", "take_reports"]

_log = logging.getLogger(__name__)

MLFLOW = "mlflow"
"""The target that is the version's own run."""

PUBLISHED = "nas.published"
"""Tag of a version: the digest of the manifest that its run holds."""

Status = dict[str, Any]
_STATUS = ("device", "name", "model", "version", "time_utc", "error")


def publish(
    client: MlflowClient,
    model_uri: str,
    *,
    to: str,
    name: str | None = None,
    signing_key: Path | None = None,
    threshold: float = THRESHOLD,
) -> dict[str, Any]:
    """Offer a version to the devices whose agents pull it; they verify and prove it themselves.

    Args:
        client: of the registry.
        model_uri: models:/NAME@ALIAS or models:/NAME/VERSION.
        to: s3://BUCKET/PREFIX, with boto3's credentials, or "mlflow": the version's run, from which devices
            take the champion.
        name: of the deployment; None for the registered model's.
        signing_key: SSH key that signs the manifest; None for none.
        threshold: score from which an application reports a detection.

    Returns:
        The manifest.

    Raises:
        ConfigError: the version may not be deployed, or the bucket or the key can't be used.
        RegistryError: there is no such version, or MLflow does not answer.
    """
    deployment = name or str(resolve_version(client, model_uri).name)
    with tempfile.TemporaryDirectory() as folder:
        release = fetch_release(client, model_uri, folder=Path(folder))
        check_release(release)
        golden = Path(str(release.golden))
        manifest: dict[str, Any] = {
            **release.manifest,
            "output": {**release.manifest["output"], "score_threshold": threshold},
            "deployment": deployment,
            "published": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            "size_bytes": release.file.stat().st_size,
            "golden": {"sha256": _sha256(golden), "size_bytes": golden.stat().st_size},
        }
        signature = sign(manifest, signing_key) if signing_key else None
        seal = {"digest": digest(manifest), "signature": signature}
        text = json.dumps({"manifest": manifest, "seal": seal})
        if to == MLFLOW:
            _to_run(client, release, golden, text)
            _tag_published(client, release, seal["digest"] or "")
        else:
            _to_bucket(to, release, golden, text, deployment)
    return manifest


def _to_run(client: MlflowClient, release: Release, golden: Path, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model, described = Path(folder) / "model.onnx", Path(folder) / RELEASE
        model.write_bytes(release.file.read_bytes())
        described.write_text(text, encoding="utf-8")
        for file in (model, golden, described):
            log_file(client, release.run_id, file, RELEASE_FOLDER)


@server_call("publish the version", "rerun the same command")
def _tag_published(client: MlflowClient, release: Release, value: str) -> None:
    """An agent that finds the tag finds the files."""
    client.set_model_version_tag(release.model, release.version, PUBLISHED, value)


def _to_bucket(to: str, release: Release, golden: Path, text: str, name: str) -> None:
    """The description comes last, in one PUT: an agent sees the old release or the new one."""
    bucket = parse_bucket(to)
    with explained(to):
        store = bucket_client()
        for file in (release.file, golden):
            store.upload_file(str(file), bucket.name, _key(bucket, f"{_sha256(file)}{file.suffix}"))
        store.put_object(Bucket=bucket.name, Key=_key(bucket, f"{name}.json"), Body=text.encode())


def take_reports(client: MlflowClient, to: str, name: str) -> list[Status]:
    """Read what the devices have reported to a bucket, and tag the versions as a deployment does.

    Args:
        client: of the registry.
        to: s3://BUCKET/PREFIX.
        name: of the deployment.

    Returns:
        A status per device: `device`, `model`, `version`, `time_utc`, `error` ("" for the active version),
        `verification`.

    Raises:
        ConfigError: the bucket can't be used.
    """
    bucket = parse_bucket(to)
    with explained(to):
        store = bucket_client()
        listed = store.get_paginator("list_objects_v2").paginate(
            Bucket=bucket.name, Prefix=_key(bucket, "status/")
        )
        keys = [one["Key"] for page in listed for one in page.get("Contents", ())]
        texts = {
            key: store.get_object(Bucket=bucket.name, Key=key)["Body"].read()
            for key in keys
            if key.endswith(f".{name}.json")
        }
    found = [status for key, text in texts.items() if (status := _read_status(key, text)) is not None]
    for status in found:
        _tag(client, status)
    return found


def _read_status(key: str, text: bytes) -> Status | None:
    """None with a warning for what no agent has written: it must not hinder others."""
    try:
        found = dict(json.loads(text))
        return {name: found[name] for name in _STATUS} | {"verification": found.get("verification", {})}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        _log.warning("The report %s can't be read (%s): delete it.", key, type(error).__name__)
        return None


def _tag(client: MlflowClient, status: Status) -> None:
    """The version may be gone: that is a warning."""
    device, version = str(status["device"]), str(status["version"])
    try:
        if status["error"]:
            tag_failed(client, device, str(status["model"]), version, str(status["error"]))
        else:
            tag_active(client, device, status, None)
    except RegistryError as error:
        _log.warning("The report of %s is not recorded: %s", device, error)


def _key(bucket: Bucket, name: str) -> str:
    return f"{bucket.prefix}/{name}".lstrip("/")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
