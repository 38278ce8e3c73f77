"""Devices that download the file themselves, from moto's S3 server."""

import contextlib
import hashlib
import importlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from moto.server import ThreadedMotoServer

from mlflow_nas import api
from mlflow_nas.board import DeployedModels, FakeBoard, get_board
from mlflow_nas.config import find_device
from mlflow_nas.deployments import Options, deploy
from mlflow_nas.deployments import pull as pull_module
from mlflow_nas.deployments.release import fetch_release
from mlflow_nas.errors import BoardError, ConfigError
from mlflow_nas.types import Device

Register = Callable[..., str]
Inventory = Callable[..., None]

DEPLOY = importlib.import_module("mlflow_nas.deployments.deploy")  # the package's name of it is the function
fetch_module = importlib.import_module("mlflow_nas.board.runtime.fetch")
VIA = Options(via="s3://models/edge/v1/")
SHA256 = hashlib.sha256(b"0123456789").hexdigest()

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    """An S3 server on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The empty bucket `models`, with credentials in a file for boto3."""
    credentials = tmp_path / "credentials"
    credentials.write_text("[edge]\naws_access_key_id = testing\naws_secret_access_key = secret\n", "utf-8")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "edge")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    client = boto3.Session().client("s3")
    region = {"LocationConstraint": "eu-central-1"}
    if "models" in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        for item in client.list_objects_v2(Bucket="models").get("Contents", ()):
            client.delete_object(Bucket="models", Key=item["Key"])
    else:
        client.create_bucket(Bucket="models", CreateBucketConfiguration=region)
    return client


def _keys(client: Any) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket="models").get("Contents", ())]


def test_the_device_downloads_and_verifies(client: MlflowClient, bucket: Any) -> None:
    """The file is in the bucket under its hash, and is verified like an uploaded one."""
    made = get_deploy_client("nas-edge://fake").create_deployment(
        "door", "models:/person-detector@champion", config={"via": VIA.via}
    )
    assert _keys(bucket) == [f"edge/v1/{made['sha256']}.onnx"]
    assert made["verification"]["golden_drift"] == 0
    found = DeployedModels(get_board(find_device("fake"))).find("door")
    assert found is not None
    assert found.intact
    assert client.get_model_version("person-detector", "1").tags["deploy.fake"] == "door"


def test_the_url_is_good_for_an_hour(client: MlflowClient, bucket: Any, tmp_path: Path) -> None:
    """It is signed, and has no secret key in it."""
    (tmp_path / "release").mkdir()
    release = fetch_release(client, "models:/person-detector@champion", folder=tmp_path / "release")
    query = parse_qs(urlsplit(pull_module.upload(release, "s3://models/edge")()).query)
    assert query["X-Amz-Expires"] == ["3600"]
    assert query.keys() >= {"X-Amz-Signature", "X-Amz-Date"}
    assert "secret" not in str(query)
    assert _keys(bucket) == [f"edge/{release.sha256}.onnx"]


def test_a_process_downloads_without_credentials(bucket: Any, tmp_path: Path) -> None:
    """The device's own Python needs only the URL."""
    bucket.put_object(Bucket="models", Key="file", Body=b"0123456789")
    url = bucket.generate_presigned_url("get_object", Params={"Bucket": "models", "Key": "file"})
    keyless = {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_PROFILE": ""}
    device = Device(name="near", transport="local", directory=str(tmp_path / "near"), environment=keyless)
    with get_board(device).client.fetched(url, sha256=SHA256, size_bytes=10) as path:
        assert Path(path).read_bytes() == b"0123456789"


def test_a_group_shares_one_upload(
    store: MlflowClient, register: Register, bucket: Any, inventory: Inventory
) -> None:
    """Under the hash of the file."""
    inventory(near={"groups": ["all"]}, far={"groups": ["all"]})
    register(**{"nas.board": "near"})
    made = deploy(store, "person-detector", device="group/all", options=VIA)
    assert list(made["devices"]) == ["near", "far"]
    assert len(_keys(bucket)) == 1


def test_a_bucket_needs_no_prefix(client: MlflowClient, bucket: Any) -> None:
    """The key is the hash."""
    made = deploy(client, "person-detector", device="fake", options=Options(via="s3://models"))
    assert _keys(bucket) == [f"{made['sha256']}.onnx"]


def test_another_file_in_the_bucket_is_refused_on_the_device(
    client: MlflowClient, register: Register, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its hash; the active version stays, and the error has no signature."""
    deploy(client, "person-detector", device="fake")
    register()
    upload = pull_module.upload

    def tampered(release: Any, via: str) -> Callable[[], str]:
        address = upload(release, via)
        bucket.put_object(Bucket="models", Key=_keys(bucket)[0], Body=b"another model")
        return address

    monkeypatch.setattr(DEPLOY, "upload", tampered)
    with pytest.raises(
        BoardError, match=r"has 13 bytes with sha256 .*deploy again\. Version 1 is"
    ) as refused:
        deploy(client, "person-detector", device="fake", options=VIA)
    assert "Signature" not in str(refused.value)


def test_a_missing_object_is_named(
    client: MlflowClient, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the store's status."""
    upload = pull_module.upload

    def emptied(release: Any, via: str) -> Callable[[], str]:
        address = upload(release, via)
        bucket.delete_object(Bucket="models", Key=_keys(bucket)[0])
        return address

    monkeypatch.setattr(DEPLOY, "upload", emptied)
    with pytest.raises(BoardError, match=r"\.onnx returns 404 .*check the bucket, and the device's clock"):
        deploy(client, "person-detector", device="fake", options=VIA)


def test_a_missing_bucket_and_missing_credentials_name_the_remedy(
    client: MlflowClient, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the device is changed."""
    assert bucket
    with pytest.raises(
        ConfigError, match=r"bucket s3://nothing/x can't be used: .*NoSuchBucket.*credentials"
    ):
        deploy(client, "person-detector", device="fake", options=Options(via="s3://nothing/x"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"profile \(nobody\) could not be found.*AWS_PROFILE"):
        deploy(client, "person-detector", device="fake", options=VIA)
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(ConfigError, match=r"Unable to locate credentials"):
        deploy(client, "person-detector", device="fake", options=VIA)


@pytest.mark.parametrize("via", ["http://models/x", "s3://", "models/x", "s3://models/x?y"])
def test_an_invalid_bucket_is_refused(via: str) -> None:
    """With the right form."""
    with pytest.raises(ConfigError, match=r"is no bucket: give s3://BUCKET or s3://BUCKET/PREFIX"):
        pull_module.parse_bucket(via)


@pytest.fixture
def board(tmp_path: Path) -> FakeBoard:
    """A device for downloads from the test's servers."""
    return FakeBoard(tmp_path / "fake")


def _serve_once(answer: bytes) -> str:
    """URL of a server that sends these bytes to its first client and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as caller:
            caller.recv(65_536)
            with contextlib.suppress(ConnectionError):  # the client may close first
                caller.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/model.onnx?X-Signature=secret"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000, r"has \d+ bytes with sha256 .*, not 10 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "has 3 bytes|can't fetch .*IncompleteRead"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "returns 403 Forbidden"),
        (b"nonsense\r\n\r\n", "can't fetch http://127.0.0.1.*check its network"),
        (b"", "can't fetch http://127.0.0.1.*check its network"),
    ],
)
def test_a_failed_download_leaves_no_file(board: FakeBoard, answer: bytes, sentence: str) -> None:
    """Too large, too small, refused, no HTTP: the error has no secret."""
    with (
        pytest.raises(BoardError, match=sentence) as refused,
        board.client.fetched(
            _serve_once(answer), sha256=hashlib.sha256(b"0123456789").hexdigest(), size_bytes=10
        ),
    ):
        pass
    assert "secret" not in str(refused.value)
    assert [
        path for path in Path(board.client.root).rglob("*") if "staging" in path.parts and path.is_file()
    ] == []


def test_a_slow_download_times_out(board: FakeBoard) -> None:
    """The whole download has a time limit."""
    address = _serve_once(b"HTTP/1.1 200 OK\r\n\r\n0123456789")
    with (
        pytest.raises(BoardError, match="only 0 of 10 bytes arrived in time"),
        board.client.fetched(address, sha256="0" * 64, size_bytes=10, limit_s=0),
    ):
        pass


def test_a_silent_store_times_out(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read has a time limit, too."""
    monkeypatch.setattr(fetch_module, "STEP_S", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(BoardError, match=r"can't fetch http://127.0.0.1.*timed out; check its network"),
        board.client.fetched(f"http://127.0.0.1:{mute.getsockname()[1]}/x", sha256="0" * 64, size_bytes=10),
    ):
        pass


def test_only_http_is_downloaded(board: FakeBoard, tmp_path: Path) -> None:
    """No local file of the device."""
    with (
        pytest.raises(ConfigError, match="over http and https only, not file:///"),
        board.client.fetched((tmp_path / "x").as_uri(), sha256="0" * 64, size_bytes=10),
    ):
        pass


def test_an_agent_pulls_from_a_bucket(
    client: MlflowClient, register: Register, bucket: Any, s3_address: str, tmp_path: Path
) -> None:
    """A process with a key of the store measures and switches; the next `publish` tags what it reported."""
    credentials = tmp_path / "key"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", encoding="utf-8")
    source = {"bucket": "s3://models/edge", "endpoint": s3_address, "region": "eu-central-1"}
    config = tmp_path / "gate/agent/person-detector.json"
    config.parent.mkdir(parents=True)
    settings = {"device": "gate", "name": "person-detector", "limits": {"budget_s": 0, "regression": None}}
    source["credentials"] = str(credentials)
    config.write_text(json.dumps({**settings, "source": source}), encoding="utf-8")
    program = tmp_path / "mlflow_nas.pyz"
    api.publish(to="s3://models/edge", program=str(program))

    def poll() -> dict[str, Any]:
        command = [sys.executable, "-I", str(program), "poll", json.dumps({"config": str(config)})]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return dict(json.loads(done.stdout))

    done = poll()
    assert done["state"] == "active", done
    assert done["verification"]["latency_raw_ms"] > 0
    register(drift=0.5)
    seen = api.publish(to="s3://models/edge").devices
    assert [(one["device"], one["version"], one["error"]) for one in seen] == [("gate", "1", "")]
    assert client.get_model_version("person-detector", "1").tags["deploy.gate"] == "person-detector"
    assert poll()["state"] == "refused"
    bucket.put_object(Bucket="models", Key="edge/status/odd.person-detector.json", Body=b"nothing")
    api.publish(to="s3://models/edge")
    assert "other outputs" in client.get_model_version("person-detector", "2").tags["deploy.gate.error"]
    assert "edge/status/gate.person-detector.json" in _keys(bucket)
