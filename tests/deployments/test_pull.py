"""Devices that fetch the file themselves, from a real S3 interface: moto's server."""

import contextlib
import hashlib
import importlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from moto.server import ThreadedMotoServer

from mlflow_nas.board import DeployedModels, FakeBoard, get_board
from mlflow_nas.config import find_device
from mlflow_nas.deployments import Options, deploy
from mlflow_nas.deployments import pull as pull_module
from mlflow_nas.errors import BoardError, ConfigError

Register = Callable[..., str]
Inventory = Callable[..., None]

DEPLOY = importlib.import_module("mlflow_nas.deployments.deploy")  # the package's name of it is the function
fetch_module = importlib.import_module("mlflow_nas.board.runtime.fetch")
VIA = Options(via="s3://models/edge/v1/")

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    """A server with S3's interface on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The bucket `models`, and credentials where boto3 looks for them: a file of the user's."""
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
    where = {"LocationConstraint": "eu-central-1"}
    if "models" in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        for held in client.list_objects_v2(Bucket="models").get("Contents", ()):
            client.delete_object(Bucket="models", Key=held["Key"])
    else:
        client.create_bucket(Bucket="models", CreateBucketConfiguration=where)
    return client


def _keys(client: Any) -> list[str]:
    return [held["Key"] for held in client.list_objects_v2(Bucket="models").get("Contents", ())]


def test_the_device_fetches_and_verifies(client: MlflowClient, bucket: Any) -> None:
    """The file goes through the bucket under its hash, and is proved like one that was pushed."""
    made = get_deploy_client("nas-edge://fake").create_deployment(
        "door", "models:/person-detector@champion", config={"via": VIA.via}
    )
    assert _keys(bucket) == [f"edge/v1/{made['sha256']}.onnx"]
    assert made["proof"]["golden_drift"] == 0
    found = DeployedModels(get_board(find_device("fake"))).find("door")
    assert found is not None
    assert found.whole
    assert client.get_model_version("person-detector", "1").tags["deploy.fake"] == "door"


def test_a_real_process_fetches_without_credentials(
    store: MlflowClient, register: Register, bucket: Any, inventory: Inventory
) -> None:
    """The local device's own Python needs nothing but the address; a group fetches one upload."""
    keyless = {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_PROFILE": ""}
    inventory(near={"transport": "local", "environment": keyless, "groups": ["all"]}, far={"groups": ["all"]})
    register(**{"nas.board": "near"})
    made = deploy(store, "person-detector", device="group/all", options=VIA)
    assert list(made["devices"]) == ["near", "far"]
    assert len(_keys(bucket)) == 1


def test_a_bucket_without_a_prefix_will_do(client: MlflowClient, bucket: Any) -> None:
    """The hash alone is the key."""
    made = deploy(client, "person-detector", device="fake", options=Options(via="s3://models"))
    assert _keys(bucket) == [f"{made['sha256']}.onnx"]


def test_another_file_in_the_bucket_is_refused_on_the_device(
    client: MlflowClient, register: Register, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives must have the hash; the active version stays, and the signature is not told."""
    deploy(client, "person-detector", device="fake")
    register()
    publish = pull_module.publish

    def tampered(release: Any, via: str) -> Callable[[], str]:
        address = publish(release, via)
        bucket.put_object(Bucket="models", Key=_keys(bucket)[0], Body=b"another model")
        return address

    monkeypatch.setattr(DEPLOY, "publish", tampered)
    with pytest.raises(
        BoardError, match=r"brought 13 bytes with sha256 .*deploy again\. Version 1 is"
    ) as refused:
        deploy(client, "person-detector", device="fake", options=VIA)
    assert "Signature" not in str(refused.value)


def test_an_address_that_has_expired_is_said(
    client: MlflowClient, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store answers, but not with the file."""
    publish = pull_module.publish

    def emptied(release: Any, via: str) -> Callable[[], str]:
        address = publish(release, via)
        bucket.delete_object(Bucket="models", Key=_keys(bucket)[0])
        return address

    monkeypatch.setattr(DEPLOY, "publish", emptied)
    with pytest.raises(BoardError, match=r"\.onnx answers 404 .*check the bucket, and the device's clock"):
        deploy(client, "person-detector", device="fake", options=VIA)


def test_a_missing_bucket_and_missing_credentials_name_the_remedy(
    client: MlflowClient, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything reaches the device."""
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
def test_what_is_no_bucket_is_refused(via: str) -> None:
    """The form is said."""
    with pytest.raises(ConfigError, match=r"is no bucket: give s3://BUCKET or s3://BUCKET/PREFIX"):
        pull_module.parse_bucket(via)


@pytest.fixture
def board(tmp_path: Path) -> FakeBoard:
    """A device that fetches from whatever the test makes up."""
    return FakeBoard(tmp_path / "fake")


def _serve_once(answer: bytes) -> str:
    """The address of a server that sends these bytes to its first caller and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as caller:
            caller.recv(65_536)
            with contextlib.suppress(ConnectionError):  # a caller that has had enough hangs up
                caller.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/model.onnx?X-Signature=secret"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000, r"brought \d+ bytes with sha256 .*, not 10 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "brought 3 bytes|can't fetch .*IncompleteRead"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answers 403 Forbidden"),
        (b"nonsense\r\n\r\n", "can't fetch http://127.0.0.1.*check its network"),
        (b"", "can't fetch http://127.0.0.1.*check its network"),
    ],
)
def test_a_store_that_misbehaves_leaves_nothing(board: FakeBoard, answer: bytes, sentence: str) -> None:
    """Too much, too little, a refusal, no HTTP: no file remains, and no secret is told."""
    with (
        pytest.raises(BoardError, match=sentence) as refused,
        board.pulled(_serve_once(answer), sha256=hashlib.sha256(b"0123456789").hexdigest(), size_bytes=10),
    ):
        pass
    assert "secret" not in str(refused.value)
    assert [path for path in Path(board.root).rglob("*") if "staging" in path.parts and path.is_file()] == []


def test_a_store_that_is_too_slow_is_given_up(board: FakeBoard) -> None:
    """The time of it all is limited."""
    address = _serve_once(b"HTTP/1.1 200 OK\r\n\r\n0123456789")
    with (
        pytest.raises(BoardError, match="only 0 of 10 bytes came in time"),
        board.pulled(address, sha256="0" * 64, size_bytes=10, limit_s=0),
    ):
        pass


def test_a_store_that_falls_silent_is_given_up(board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its answers has its time, too."""
    monkeypatch.setattr(fetch_module, "STEP_S", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(BoardError, match=r"can't fetch http://127.0.0.1.*timed out; check its network"),
        board.pulled(f"http://127.0.0.1:{mute.getsockname()[1]}/x", sha256="0" * 64, size_bytes=10),
    ):
        pass


def test_only_http_is_fetched(board: FakeBoard, tmp_path: Path) -> None:
    """No file of the device itself."""
    with (
        pytest.raises(ConfigError, match="over http and https only, not file:///"),
        board.pulled((tmp_path / "x").as_uri(), sha256="0" * 64, size_bytes=10),
    ):
        pass
