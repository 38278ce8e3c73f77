"""A real MLflow server: PostgreSQL, artifacts on an S3 API, logins, started by deploy/server/serve."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError

import boto3
from cryptography.fernet import Fernet
from moto.server import ThreadedMotoServer

__all__ = ["PREPARE", "SERVE", "MlflowStack", "running_stack", "serve_command"]

SERVE = Path(__file__).parents[1] / "deploy/server/serve"
PREPARE = SERVE.with_name("prepare.py")
START_S = 90.0
BUCKET = "mlflow"


@dataclass(frozen=True)
class MlflowStack:
    """A running server.

    Attributes:
        url: without credentials.
        user: who is no administrator.
        password: of the user.
        admin_password: of the administrator `admin`.
        s3: address of the S3 API.
        log: of the server.
        settings: the server's environment.
    """

    url: str
    user: str
    password: str
    admin_password: str
    s3: str
    log: Path
    settings: Mapping[str, str] = field(repr=False)

    def environment(self, *, admin: bool = False) -> dict[str, str]:
        """Variables of a client."""
        return {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_TRACKING_USERNAME": "admin" if admin else self.user,
            "MLFLOW_TRACKING_PASSWORD": self.admin_password if admin else self.password,
        }

    def prepare(self, *words: str, text: str = "") -> None:
        """Run a step of deploy/server/prepare.py, as in the server's container."""
        environment = {**self.settings, "MLFLOW_TRACKING_URI": self.url}
        command = [sys.executable, str(PREPARE), *words]
        done = subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def objects(self) -> list[str]:
        """Keys of the stored artifacts."""
        listed = _s3(self.s3).list_objects_v2(Bucket=BUCKET)
        return [one["Key"] for one in listed.get("Contents", [])]


@contextmanager
def running_stack(*options: str) -> Iterator[MlflowStack]:
    """Start all parts, and prepare a bucket and a user; stop them in the reverse order.

    Args:
        options: further ones of `mlflow server`.
    """
    folder = Path(tempfile.mkdtemp(prefix="mlflow-stack-"))
    folder.chmod(0o755)
    try:
        with _postgres(folder) as database, _bucket() as s3, _server(folder, database, s3, options) as stack:
            yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_postgres() -> bool:
    """Whether PostgreSQL's programs are installed."""
    return any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@contextmanager
def running_postgres() -> Iterator[str]:
    """URI of an empty database of a PostgreSQL server on loopback."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    try:
        with _postgres(folder) as database:
            yield database
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _postgres_program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found:
        raise FileNotFoundError("PostgreSQL is missing (Debian: apt-get install postgresql)")
    return str(found[-1])


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """URI of an empty database, served on loopback with a password."""
    password, port, home = secrets.token_hex(8), _free_port(), folder / "postgres"
    home.mkdir()
    as_owner: list[str] = []
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(home, "postgres", "postgres")
        as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    secret = home / "password"
    secret.write_text(password, encoding="utf-8")
    secret.chmod(0o644)
    data = str(home / "data")
    init = [*as_owner, _postgres_program("initdb"), "-D", data, "-U", "mlflow", "-A", "scram-sha-256"]
    subprocess.run([*init, "--pwfile", str(secret), "--no-sync"], check=True, capture_output=True, cwd=home)
    command = [*as_owner, _postgres_program("postgres"), "-D", data, "-p", str(port), "-k", str(home)]
    fast = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
    process = subprocess.Popen(
        [*command, *fast], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(lambda: _listens(port), process, "PostgreSQL")
        yield f"postgresql+psycopg2://mlflow:{password}@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)  # fast shutdown
        process.wait(timeout=30)


@contextmanager
def _bucket() -> Iterator[str]:
    """Address of an S3 API without buckets."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        yield address
    finally:
        server.stop()


def _s3(address: str):  # type: ignore[no-untyped-def]
    return boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="stack",
        aws_secret_access_key="stack",  # noqa: S106 - moto takes any
    )


def serve_command(port: int) -> list[str]:
    """The command of the server; one worker, since a test's server has one user."""
    return [str(SERVE), "--port", str(port), "--workers", "1"]


@contextmanager
def _server(folder: Path, database: str, s3: str, options: Sequence[str]) -> Iterator[MlflowStack]:
    port, admin_password, log = _free_port(), secrets.token_hex(8), folder / "server.log"
    settings = {
        "NAS_DATABASE_URI": database,
        "NAS_ARTIFACTS": f"s3://{BUCKET}/mlflow",
        "MLFLOW_AUTH_ADMIN_PASSWORD": admin_password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        "MLFLOW_S3_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "stack",
        "AWS_SECRET_ACCESS_KEY": "stack",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    settings = {**os.environ, **settings, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [*serve_command(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=settings,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(lambda: _is_healthy(url), process, "the MLflow server", log)
        stack = MlflowStack(url, "nora", secrets.token_hex(8), admin_password, s3, log, settings)
        stack.prepare("bucket")
        stack.prepare("user", stack.user, text=f"{stack.password}\n")
        yield stack
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 - a literal http URL
            return bool(answer.status == 200)
    except (HTTPError, URLError, ConnectionError, TimeoutError):
        return False


def _wait(ready, process, name, log=None) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            text = log.read_text(encoding="utf-8")[-3000:] if log else ""
            raise RuntimeError(f"{name} did not start: {text}")
        time.sleep(0.1)
