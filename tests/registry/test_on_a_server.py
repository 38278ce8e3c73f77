"""Registry, hooks and deployment on a real server: PostgreSQL, S3, logins, a user who is no administrator."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from mlflow_nas import api
from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.registry import register_model

if TYPE_CHECKING:
    from mlflow_stack import MlflowStack

pytestmark = pytest.mark.services

SECRET = "a secret of the tests"  # noqa: S105 - of the tests
DATA = "synthetic:train=8,val=4,size=128"
SHORT = (
    "training.epochs=1 training.seed_epochs=1 quantization.max_drop=1 data.eval_augmentations=1 seed=1",
    "finalists.count=1 finalists.epochs=1",
)


@pytest.fixture
def client(mlflow_stack: "MlflowStack", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MlflowClient:
    """The user's client, in a folder of the test's own."""
    for name, value in mlflow_stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_NAS_WEBHOOK_SECRET", SECRET)
    monkeypatch.chdir(tmp_path)
    return MlflowClient(mlflow_stack.url)


def _register(client: MlflowClient, model: str, accuracy: float, latency_ms: float) -> str:
    """One more version of a logged model, without files."""
    experiment = client.get_experiment_by_name(model)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(model)
    run_id = client.create_run(experiment_id).info.run_id
    logged = client.create_logged_model(experiment_id, name="int8", source_run_id=run_id)
    tags = {"map": repr(accuracy), "latency_ms": repr(latency_ms), "speedup": repr(10 / latency_ms)}
    tags |= {"nas.precision": "int8", "nas.board": "fake", "nas.dataset": "d@1", "nas.reference_map": "0.5"}
    return register_model(client, model, run_id=run_id, model_id=logged.model_id, tags=tags)


def _until(holds: Callable[[], bool], timeout_s: float = 150.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _champion(client: MlflowClient, model: str) -> str | None:
    found = client.get_registered_model(model).aliases.get("champion")
    return None if found is None else str(found)


def test_a_user_registers_promotes_pins_and_reads_the_record(client: MlflowClient) -> None:
    """Without an administrator's rights; the second promotion changes nothing."""
    first, second = (_register(client, "served", *figures) for figures in ((0.5, 8.0), (0.495, 4.0)))
    promoted = api.promote(model="served", max_drop=0.01)
    assert promoted.aliases["champion"] == int(second)
    assert api.promote(model="served").changes == ()
    assert client.get_run(str(promoted.run_id)).data.tags["nas.role"] == "promotion"
    assert "2.5 times as fast as the reference" in client.get_model_version("served", second).description
    api.pin(model="served", alias="champion", version=int(first))
    api.promote(model="served")
    assert _champion(client, "served") == first


def test_another_user_promotes_after_the_model_is_shared(
    client: MlflowClient, mlflow_stack: "MlflowStack", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the watcher of deploy/README.md; before that the error is the server's, and no lease is left."""
    _register(client, "shared", 0.5, 8.0)
    mlflow_stack.prepare("user", "watcher", text="a password of the watcher\n")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "watcher")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a password of the watcher")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "watched")  # mlflow-nas belongs to whoever came first
    with pytest.raises(RegistryError, match=r"could not reconcile the model registry: .*Permission denied"):
        api.watch(model="shared", once=True)
    mlflow_stack.prepare("share", "shared", "watcher")
    assert len(api.watch(model="shared", once=True).changes) > 0
    assert _champion(client, "shared") == "1"


def test_the_experiment_and_the_registry_of_the_environment_are_used(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, make_store: Callable[[Path], str], tmp_path: Path
) -> None:
    """Runs go to the experiment of MLFLOW_EXPERIMENT_NAME, versions to MLFLOW_REGISTRY_URI."""
    (tmp_path / "elsewhere").mkdir()
    registry = make_store(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", registry)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "promotions")
    elsewhere = MlflowClient(client.tracking_uri, registry)
    _register(elsewhere, "apart", 0.5, 8.0)
    promoted = api.promote(model="apart")
    experiment = client.get_run(str(promoted.run_id)).info.experiment_id
    assert client.get_experiment(experiment).name == "promotions"
    assert _champion(elsewhere, "apart") == "1"
    assert client.search_registered_models("name='apart'") == []


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - a literal http URL
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - a literal http URL
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def receiver(
    client: MlflowClient,  # noqa: ARG001 - it sets the environment
    tmp_path: Path,
) -> Iterator[Callable[[], str]]:
    """Starts `webhook serve` for the model `hooked`, and returns its URL; a second call starts it again."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow_nas",
        "webhook",
        "serve",
        "--model",
        "hooked",
        "--port",
        str(port),
    ]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> str:
        for process in running:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
        with (tmp_path / "receiver.log").open("ab") as log:
            running[:] = [subprocess.Popen(command, env=dict(os.environ), stdout=log, stderr=log)]
        _until(lambda: _is_up(port))
        return f"http://127.0.0.1:{port}/"

    yield start
    for process in running:
        process.kill()
        process.wait(timeout=30)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def as_admin(mlflow_stack: "MlflowStack") -> Callable[[], pytest.MonkeyPatch]:
    """Makes the environment the administrator's: only they may change webhooks."""

    def change() -> pytest.MonkeyPatch:
        patch = pytest.MonkeyPatch()
        for name, value in mlflow_stack.environment(admin=True).items():
            patch.setenv(name, value)
        return patch

    return change


def test_the_servers_events_promote_and_forged_ones_do_not(
    client: MlflowClient, receiver: Callable[[], str], as_admin: Callable[[], pytest.MonkeyPatch]
) -> None:
    """Installed, tested and removed by an administrator; what is missed while it is down is repaired."""
    _register(client, "hooked", 0.5, 8.0)
    url = receiver()
    _until(lambda: _champion(client, "hooked") == "1")
    assert _post(url, b"{}", {"X-MLflow-Signature": "v1,AAAA", "X-MLflow-Delivery-Id": "1"}) == 401
    assert _post(url, b"x" * 300_000, {}) == 413
    admin = as_admin()
    try:
        assert url in api.webhook_install(url=url).message
        assert "answered 200" in api.webhook_test().message
    finally:
        admin.undo()
    _register(client, "hooked", 0.5, 4.0)
    _until(lambda: _champion(client, "hooked") == "2")
    promotions = client.search_runs(
        [client.get_experiment_by_name("mlflow-nas").experiment_id], "tags.`nas.model` = 'hooked'"
    )
    assert {run.data.tags["nas.trigger"] for run in promotions} == {"webhook"}
    admin = as_admin()
    try:
        assert api.webhook_remove().message == "Webhook mlflow-nas is removed."
    finally:
        admin.undo()
    _register(client, "hooked", 0.5, 3.0)
    assert len(api.watch(model="hooked", once=True).changes) > 0
    assert _champion(client, "hooked") == "3"


def test_a_database_sends_no_webhooks(
    client: MlflowClient,  # noqa: ARG001 - it sets the environment
    tracking_uri: str,  # noqa: ARG001 - as above
) -> None:
    """The sentence names the watcher."""
    with pytest.raises(ConfigError, match="sends no webhooks, an MLflow server does: use `mlflow_nas watch`"):
        api.webhook_install()


def _start_worker(folder: Path, model: str, *settings: str) -> subprocess.Popen[bytes]:
    """A search of its own folder, as another machine would run it."""
    folder.mkdir()
    options = {
        "--study": model,
        "--model": model,
        "--experiment": model,
        "--space": f"{Path(__file__).parents[1] / 'tiny_space.py'}:tiny_space",
        "--data": DATA,
        "--board": "fake",
        "--device": "none",
        "--storage": str(folder.parent / f"{model}.journal"),
        "--set": " ".join((*SHORT, *settings)),
    }
    command = [
        sys.executable,
        "-m",
        "mlflow_nas",
        "search",
        *(word for pair in options.items() for word in pair),
    ]
    own = {"MLFLOW_NAS_HOME": str(folder / "home"), "MLFLOW_NAS_WORK": str(folder / "work")}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env={**os.environ, **own}, stdout=log, stderr=log)


def _search(folder: Path, model: str, *settings: str, workers: Sequence[str]) -> None:
    """Run a search with a worker in each folder, as on that many machines."""
    running = {name: _start_worker(folder / name, model, *settings) for name in workers}
    try:
        for name, worker in running.items():
            assert worker.wait(timeout=900) == 0, (folder / name / "log").read_text(encoding="utf-8")
    finally:
        for worker in running.values():
            worker.kill()
            worker.wait()


def _roles(client: MlflowClient, experiment: str) -> Counter[str]:
    """How many finished runs of each role an experiment has."""
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    return Counter(run.data.tags["nas.role"] for run in runs)


@pytest.mark.slow  # trainings, and the imports of two processes
@pytest.mark.timeout(1200)
def test_two_machines_search_and_the_result_is_promoted_deployed_rolled_back_and_reported(
    client: MlflowClient, mlflow_stack: "MlflowStack", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial and finalist once, one version of each, the files on S3; each command leaves its record."""
    _search(tmp_path, "searched", "search.trials=2", workers=("first", "second"))
    versions = sorted(client.search_model_versions("name='searched'"), key=lambda one: int(one.version))
    sources = [version.source for version in versions]
    assert len(set(sources)) == len(sources) >= 2
    assert {"reference", "finalist"} & {version.tags["nas.role"] for version in versions}
    assert any(name.endswith("model.onnx") for name in mlflow_stack.objects())
    assert _roles(client, "searched")["trial"] + _roles(client, "searched")["baseline"] == 2
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "records")
    (file,) = Path(download_artifacts(sources[0], dst_path=str(tmp_path / "own"))).rglob("*.onnx")
    added = api.register(file=file, data=DATA, board="fake", model="searched")
    assert int(added.version) > max(int(version.version) for version in versions)
    assert api.promote(model="searched").changes == ()
    forced = {"device": "fake", "force": True, "max_regression": 1000}
    first = str(versions[0].version)
    for number in (first, added.version):
        api.deploy(model=f"models:/searched/{number}", **forced)
    assert api.rollback(name="searched", device="fake").manifest["version"] == first
    assert client.get_model_version("searched", first).tags["deploy.fake"] == "searched"
    assert _roles(client, "records")["deployment"] == 3
    kept, mirrored = (
        api.report(study="searched", experiment="searched", storage=str(tmp_path / name)).rows
        for name in ("searched.journal", "empty.journal")
    )
    assert kept[0]["trainings"] == 2
    assert kept == mirrored


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A workspace on a server that has them, named in the environment of a user who works in it."""
    from mlflow_stack import running_stack

    with running_stack("--enable-workspaces") as stack:
        stack.prepare("workspace", "vision", stack.user)
        for name, value in {**stack.environment(), "MLFLOW_WORKSPACE": "vision"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield stack.url


@pytest.mark.slow  # a second server, and a search
@pytest.mark.timeout(1200)
def test_a_search_in_a_workspace_is_registered_there(
    workspace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workspace of MLFLOW_WORKSPACE has runs, versions and files; the default one has not."""
    _search(tmp_path, "inside", "search.trials=2", workers=("only",))
    client = MlflowClient(workspace)
    assert _roles(client, "inside")["study"] == 1
    version, *_ = client.search_model_versions("name='inside'")
    assert list(Path(download_artifacts(version.source, dst_path=str(tmp_path / "own"))).rglob("*.onnx"))
    assert api.promote(model="inside").changes == ()
    monkeypatch.delenv("MLFLOW_WORKSPACE")
    assert MlflowClient(workspace).search_registered_models("name='inside'") == []
    monkeypatch.setenv("MLFLOW_WORKSPACE", "nowhere")
    with pytest.raises(RegistryError, match=r"could not reconcile the model registry: .*nowhere"):
        api.promote(model="inside")
