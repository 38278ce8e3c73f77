"""What the tests of every room share: an offline machine, real data, an MLflow store, a server, a browser."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import pytest
from ssh_server import MISSING, SshServer, running_ssh_server

if TYPE_CHECKING:
    from mlflow_stack import MlflowStack
    from user_folder import UserFolder

PROJECT = Path(__file__).parents[1]
SHARED = PROJECT.parent / "shared"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
SERVER_START_S = 60.0

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
EXEMPT = ("no_proxy", "NO_PROXY")
# Kept for workers of pytest-xdist: they begin with the environment that their controller has changed.
os.environ.setdefault(
    "NAS_TESTS_USERS_PROXIES",
    json.dumps({name: os.environ[name] for name in (*PROXIES, *EXEMPT) if name in os.environ}),
)

for setting in [name for name in os.environ if name.startswith("MLFLOW_")]:
    del os.environ[setting]  # the user's own server and experiment stay out of the tests
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MPLBACKEND"] = "agg"
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # `nohup make test`
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # `make test &` of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Before any test imports torch: sums, and so results, then don't depend on how many cores a machine has, and
# tests that run side by side (`make test`) don't take the cores from each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A child process that wants something from outside fails at once, on every machine alike.
os.environ.update(dict.fromkeys(PROXIES, "http://127.0.0.1:9"))
os.environ.update(dict.fromkeys(EXEMPT, ",".join(sorted(LOOPBACK))))


class _LoopbackSocket(socket.socket):
    """A socket that reaches only this machine."""

    def connect(self, address: Any) -> None:
        """Connect, or refuse an address outside this machine."""
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise ConnectionRefusedError(f"tests use no network, but something wants {address}")
        super().connect(address)


@pytest.fixture(autouse=True)
def _offline_machine_without_a_past(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, no downloaded weights, no models that were deployed here before."""
    monkeypatch.setattr(socket, "socket", _LoopbackSocket)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


@pytest.fixture(autouse=True)
def _drawn_anew() -> None:
    """Random tensors of a test don't depend on which tests ran before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def users_environment() -> dict[str, str]:
    """Variables of a child process that may reach the package registry, the way the user set it up."""
    others = {name: value for name, value in os.environ.items() if name not in (*PROXIES, *EXEMPT)}
    return others | json.loads(os.environ["NAS_TESTS_USERS_PROXIES"])


def _shared(path: str) -> Path:
    """A file or folder of the shared data; the test skips where it is missing."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"real data is missing: ../shared/{path}")
    return found


@pytest.fixture(scope="session")
def penn_fudan() -> Path:
    """Street photographs in COCO layout: 120 to train, 50 to validate, category 1 = person."""
    return _shared("data/penn-fudan")


@pytest.fixture(scope="session")
def voc_persons() -> Path:
    """Photographs in PASCAL VOC 2012 layout: the VOCdevkit folder."""
    return _shared("data/voc-persons/VOCdevkit")


@pytest.fixture(scope="session")
def fastestdet_weights() -> Path:
    """The published COCO detector: the backbone in torchvision's names, neck and head in their own."""
    return _shared("weights/fastestdet_coco.pth")


@pytest.fixture(scope="session")
def nasbench() -> Path:
    """Public tables of NAS-Bench-201: accuracies, operations, zero-cost scores, their published taus."""
    return _shared("data/nasbench")


@pytest.fixture(scope="session")
def backbone_weights() -> Path:
    """The published ImageNet backbone in torchvision's names."""
    return _shared("weights/shufflenet_v2_x0_5_imagenet_backbone.pth")


@pytest.fixture(scope="session")
def _empty_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: creating its tables takes seconds, copying it does not."""
    from mlflow import MlflowClient  # here, so that only the tests of MLflow wait for its import

    database = tmp_path_factory.mktemp("mlflow-template") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture(scope="session")
def make_store(_empty_mlflow_database: Path) -> Callable[[Path], str]:
    """Makes an MLflow store in a folder; its tracking URI."""

    def make(folder: Path) -> str:
        database = folder / "mlflow.db"
        shutil.copy(_empty_mlflow_database, database)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", (str(folder / "mlruns/0"),))
        return f"sqlite:///{database}"

    return make


@pytest.fixture
def tracking_uri(make_store: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An MLflow store of the test's own, in its folder, which is also the working directory."""
    uri = make_store(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture(scope="module")
def user_folder(make_store: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> "UserFolder":
    """A folder for searches whose results many tests look at."""
    from user_folder import UserFolder  # here, so that only the tests of searches wait for its imports

    folder = tmp_path_factory.mktemp("user")
    return UserFolder(folder, make_store(folder))


def _answers(url: str) -> bool:
    """Whether an MLflow server is up."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 - a literal http URL
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an MLflow server on this machine, started the way deploy/local-server does it."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(PROJECT / "deploy/local-server/serve"), str(folder), "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + SERVER_START_S
        while not _answers(f"http://127.0.0.1:{port}"):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the MLflow server did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def mlflow_stack() -> Iterator["MlflowStack"]:
    """A server with logins on PostgreSQL and an S3 API; in CI its absence is a failure, elsewhere a skip."""
    from mlflow_stack import has_postgres, running_stack  # here, so that only its tests wait for the imports

    if not has_postgres() and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is missing (Debian: apt-get install postgresql)")
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An OpenSSH server on this machine."""
    with running_ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def ssh_home(ssh_server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder whose ~/.ssh knows the server, as `board` too."""
    home = tmp_path / "home"
    ssh_server.write_home(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        message = "a small tmpfs can't be mounted: that takes root, and a container that may mount"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    yield folder
    unmount = ["umount", str(folder)]
    subprocess.run(unmount, check=True)


@pytest.fixture(scope="session")
def arm64_inventory(users_environment: dict[str, str]) -> Path:
    """Inventory of the emulated arm64 board, built once; without QEMU or packages a skip, in CI a failure."""
    folder = PROJECT / ".nas/arm64-board"
    command = [str(PROJECT / "deploy/arm64-board/build"), str(folder)]
    done = subprocess.run(command, env=users_environment, capture_output=True, text=True, check=False)
    if done.returncode == MISSING and not os.environ.get("CI"):
        pytest.skip(done.stderr.strip().splitlines()[-1])
    if done.returncode != 0:
        pytest.fail(f"the arm64 board can't be built:\n{done.stderr}")
    return folder / "devices.yaml"


@pytest.fixture
def converters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The converters in NAS_TESTS_RUNTIMES, else .nas/runtimes; without them a skip, in CI a failure."""
    from mlflow_nas.runtime import converters_folder, has_converters

    monkeypatch.setenv(
        "MLFLOW_NAS_RUNTIMES", os.environ.get("NAS_TESTS_RUNTIMES", str(PROJECT / ".nas/runtimes"))
    )
    if has_converters():
        return
    message = f"the converters to TFLite are not in {converters_folder()}: see .ci/run"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; in CI its absence, or its driver's, is a failure, elsewhere a skip."""
    found = shutil.which("chromium")
    if found is not None and shutil.which("chromedriver"):
        return found
    message = "chromium or its driver is missing (Debian: apt-get install chromium chromium-driver)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
