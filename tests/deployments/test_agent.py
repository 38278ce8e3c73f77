"""The agent of devices that pull: it verifies, proves, switches and reports; each release is tried once."""

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from mlflow import MlflowClient

from mlflow_nas.board.runtime import agent as agent_module
from mlflow_nas.board.runtime.agent import poll
from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.sigv4 import Credentials, signed_headers
from mlflow_nas.board.runtime.source import open_source
from mlflow_nas.deployments import publish
from mlflow_nas.errors import ConfigError

Register = Callable[..., str]
URI = "models:/person-detector@champion"
PROVE = importlib.import_module("mlflow_nas.board.runtime.prove")
PUBLISH = importlib.import_module("mlflow_nas.deployments.publish")


class Folder:
    """A source of releases in a folder, as `publish` fills a bucket."""

    def __init__(self, path: Path) -> None:
        self.path, self.reports, self.broken = path, list[JsonObject](), False
        path.mkdir(parents=True)

    def fill(self, _to: str, release: Any, golden: Path, text: str, name: str) -> None:
        """Stands for the upload."""
        for file in (release.file, golden):
            shutil.copy(file, self.path / f"{PUBLISH._sha256(file)}{file.suffix}")
        (self.path / f"{name}.json").write_text(text, encoding="utf-8")

    def latest(self) -> JsonObject | None:
        """The description."""
        path = self.path / "person-detector.json"
        found: JsonObject | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return found

    def download(self, name: str, target: Path, sha256: str, _size_bytes: int) -> None:
        """Copies, or fails as a network does."""
        if self.broken:
            raise Failure("device", "the network is gone")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.path / f"{sha256}{Path(name).suffix}", target)

    def report(self, status: JsonObject) -> None:
        """Collects."""
        if self.broken:
            raise Failure("device", "the network is gone")
        self.reports.append(status)


STABLE = {
    **dict.fromkeys(("p50_ms", "p90_ms", "p99_ms"), 2.0),
    "unstable": False,
    "unstable_cause": "",
}
"""Stands for a measurement, which takes seconds; the services' tests measure."""


class Gate:
    """A device with an agent."""

    def __init__(self, root: Path, source: Folder) -> None:
        self.root, self.source, self.config = root, source, root / "agent/person-detector.json"
        self.settings: JsonObject = {
            "device": "gate",
            "name": "person-detector",
            "source": {},
            "limits": {},
        }
        self.measured: JsonObject = dict(STABLE)

    def poll(self, **limits: object) -> JsonObject:
        """One poll."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.settings["limits"] |= limits
        self.config.write_text(json.dumps(self.settings), encoding="utf-8")
        return poll(str(self.config))

    @property
    def manifest(self) -> JsonObject:
        """Of the active version."""
        found = json.loads((self.root / "deployed/person-detector/manifest.json").read_text(encoding="utf-8"))
        return dict(found)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A device whose agent has found nothing yet."""
    source = Folder(tmp_path / "releases")
    monkeypatch.setattr(PUBLISH, "_to_bucket", source.fill)
    monkeypatch.setattr(agent_module, "open_source", lambda *_args, **_kwargs: source)
    gate = Gate(tmp_path / "gate", source)
    monkeypatch.setattr(PROVE, "time_", lambda *_args, **_kwargs: gate.measured)
    return gate


def _publish(client: MlflowClient, **options: Any) -> JsonObject:
    return publish(client, URI, to="s3://models/edge", **options)


def test_a_release_is_proved_and_becomes_active(client: MlflowClient, gate: Gate) -> None:
    """The manifest has the device's session, versions and verification beside what was published."""
    assert gate.poll() == {"state": "nothing"}
    sent = _publish(client, threshold=0.4)
    done = gate.poll()
    assert (done["state"], done["version"], done["error"]) == ("active", "1", "")
    assert done["verification"]["golden_drift"] == 0
    assert done["verification"]["latency_raw_ms"] == 2
    assert gate.manifest.items() >= sent.items()
    assert gate.manifest["session"]["threads"] == 1
    assert gate.manifest["output"]["score_threshold"] == 0.4
    assert gate.manifest["confirmed"]
    assert [one["version"] for one in gate.source.reports] == ["1"]
    assert gate.poll() == {"state": "unchanged"}
    assert list((gate.root / "staging").iterdir()) == []


def test_a_version_that_differs_is_refused_once(client: MlflowClient, register: Register, gate: Gate) -> None:
    """The active version stays; the report has the reason."""
    _publish(client)
    gate.poll()
    register(drift=0.5)
    _publish(client)
    done = gate.poll()
    assert done["state"] == "refused"
    assert "golden samples give other outputs than on the host: channel 0 differs by 0.5" in done["error"]
    assert (gate.manifest["version"], gate.source.reports[-1]["version"]) == ("1", "2")
    assert gate.poll() == {"state": "unchanged"}


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"latency_ms": 1}, r"it takes 2 ms, latency_ms is 1: publish a faster version"),
        (
            {"regression": 0.2},
            r"takes 1\.50 times the active version's time, regression allows 1\.20 times",
        ),
        ({"model_bytes": 10}, r"it has \d+ bytes, model_bytes is 10"),
    ],
)
def test_limits_of_the_device_refuse(
    client: MlflowClient, gate: Gate, limits: JsonObject, sentence: str
) -> None:
    """Of its settings: the latency, the slowdown, the size of the file."""
    gate.measured["ratio"] = 1.5
    _publish(client)
    done = gate.poll(**limits)
    assert done["state"] == "refused"
    assert re.search(sentence, done["error"])


def test_an_unstable_measurement_is_repeated(client: MlflowClient, gate: Gate) -> None:
    """It refuses nothing and is not reported."""
    gate.measured |= {"unstable": True, "unstable_cause": "the board throttled"}
    _publish(client)
    with pytest.raises(Failure, match=r"latency_ms is 1: .*; but the measurement is unstable .the board thr"):
        gate.poll(latency_ms=1)
    assert gate.source.reports == []
    gate.measured["unstable"] = False
    assert gate.poll(latency_ms=3)["state"] == "active"


def test_a_network_that_is_gone_is_tried_again(client: MlflowClient, gate: Gate) -> None:
    """Also a report that was not sent."""
    _publish(client)
    gate.source.broken = True
    with pytest.raises(Failure, match="network is gone"):
        gate.poll()
    gate.source.broken = False
    report, gate.source.report = gate.source.report, _gone  # type: ignore[method-assign]
    with pytest.raises(Failure, match="network is gone"):
        gate.poll()
    assert gate.manifest["version"] == "1"
    gate.source.report = report  # type: ignore[method-assign]
    assert gate.poll() == {"state": "unchanged"}
    assert [one["error"] for one in gate.source.reports] == [""]


def _gone(_status: JsonObject) -> None:
    raise Failure("device", "the network is gone")


def test_an_application_that_fails_keeps_the_old_version(
    client: MlflowClient, register: Register, gate: Gate
) -> None:
    """The health check fails with the new version: it is refused, and not tried again."""
    _publish(client)
    gate.poll()
    register()
    _publish(client)
    gate.settings["activation"] = {"health": ["false"], "health_s": 0.1}
    done = gate.poll()
    assert done["state"] == "refused"
    assert "health (false) failed with code 1" in done["error"]
    assert gate.manifest["version"] == "1"
    assert gate.poll() == {"state": "unchanged"}


def _change(gate: Gate, **changes: object) -> None:
    path = gate.source.path / "person-detector.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    found["manifest"] |= changes
    path.write_text(json.dumps(found), encoding="utf-8")


def test_a_changed_or_unsigned_release_is_refused(client: MlflowClient, gate: Gate, tmp_path: Path) -> None:
    """By its digest; on a device with signers by the signature, which a right key has made."""
    _publish(client)
    _change(gate, classes=["dog"])
    assert "the manifest has sha256" in gate.poll()["error"]
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)  # noqa: S607
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (gate.root / "allowed_signers").write_text(f"mlflow-nas {public}", encoding="utf-8")
    _publish(client)
    assert "accepts signed manifests only" in gate.poll()["error"]
    _publish(client, signing_key=key)
    assert gate.poll()["state"] == "active"


def test_an_older_release_and_anothers_are_refused(client: MlflowClient, gate: Gate) -> None:
    """Who copies an old description into the bucket, or one of another deployment, changes nothing."""
    _publish(client)
    old = (gate.source.path / "person-detector.json").read_text(encoding="utf-8")
    _publish(client, threshold=0.5)
    assert gate.poll()["state"] == "active"
    (gate.source.path / "person-detector.json").write_text(old, encoding="utf-8")
    assert "a later one at" in gate.poll()["error"]
    _publish(client, name="window")
    shutil.copy(gate.source.path / "window.json", gate.source.path / "person-detector.json")
    assert "the release is of window, the agent's name is person-detector" in gate.poll()["error"]


def test_versions_that_may_not_be_deployed_are_not_published(
    client: MlflowClient, register: Register
) -> None:
    """As by `deploy`: the sentence names the remedy."""
    register(precision="fp32")
    with pytest.raises(ConfigError, match="is fp32, not int8"):
        _publish(client)
    register(golden=False)
    with pytest.raises(ConfigError, match="has no golden samples"):
        _publish(client)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "the agent's source has nothing .*: give bucket, endpoint, region and credentials, or mlflow"),
        ({"mlflow": "http://x", "model": "m", "authorization": "/no"}, "secret /no can't be read"),
        (
            {"bucket": "s3://m", "endpoint": "http://x", "region": "r", "credentials": "{file}"},
            "no .default. with",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(settings: JsonObject, sentence: str, tmp_path: Path) -> None:
    """With the remedy."""
    (tmp_path / "credentials").write_text("[other]\n", encoding="utf-8")
    filled = {name: value.format(file=tmp_path / "credentials") for name, value in settings.items()}
    with pytest.raises(Failure, match=sentence):
        open_source(filled, device="gate", name="door")


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("PUT", b'{"a": 1}')])
def test_requests_are_signed_as_botocore_does(
    method: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same signature for the same moment, key, region and body."""
    url, moment = (
        "https://s3.example.com:9000/models/edge%20v1/door.json",
        datetime(2026, 12, 1, 9, tzinfo=UTC),
    )
    own = signed_headers(method, url, Credentials("KEY", "SECRET", "eu-central-1"), body, moment)
    request = AWSRequest(method=method, url=url, data=body, headers={"host": "s3.example.com:9000"})
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment)
    S3SigV4Auth(BotoCredentials("KEY", "SECRET"), "s3", "eu-central-1").add_auth(request)
    assert own["Authorization"] == request.headers["Authorization"]
