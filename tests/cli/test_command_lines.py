"""The command lines of README.md, as a user types them: one small search, then everything after it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

PROJECT = Path(__file__).parents[2]
DATA = ["-P", "data=synthetic:train=8,val=4,size=96", "-P", "epochs=1", "-P", "max_int8_drop=1"]

pytestmark = pytest.mark.slow


class Shell:
    """Types commands in the project's folder; what they leave behind stays in the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracking_uri = f"sqlite:///{folder}/mlflow.db"
        self._environment: Mapping[str, str] = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_NAS_WORK": str(folder / "work"),
            "MLFLOW_NAS_HOME": str(folder / "home"),
            "TORCH_HOME": str(folder / "torch"),
        }

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder; it must end with the code."""
        done = subprocess.run(
            words,
            cwd=PROJECT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command without waiting for its end."""
        return subprocess.Popen(
            words,
            cwd=PROJECT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def mlflow_run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`mlflow run . --env-manager local` with more words."""
        return self("mlflow", "run", ".", "--env-manager", "local", *words, code=code)

    def deployments(self, command: str, *words: str, target: str = "nas-edge://local") -> str:
        """`mlflow deployments COMMAND -t nas-edge://local`; what it prints."""
        return self("mlflow", "deployments", command, "-t", target, *words).stdout

    def runs(self) -> list[Run]:
        """All runs of the default experiment, oldest first."""
        client = MlflowClient(self.tracking_uri)
        return list(client.search_runs(["0"], order_by=["attributes.start_time ASC"]))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell of the module's own."""
    return Shell(tmp_path_factory.mktemp("user"))


@pytest.fixture(scope="module")
def searched(shell: Shell) -> subprocess.CompletedProcess[str]:
    """A search by `mlflow run`, on this machine as the board."""
    return shell.mlflow_run(*DATA, "-P", "study=typed", "-P", "trials=2", "-P", "seed_epochs=1")


def test_mlflow_run_ends_with_table_front_champion_device_and_the_uis_command(
    shell: Shell, searched: subprocess.CompletedProcess[str]
) -> None:
    """The main entry point prints what the user needs next, and nothing else, on standard output."""
    assert "Trials of study typed (* Pareto front):" in searched.stdout
    assert re.search(r"^[* ]  0      k5-g1-c96-w320  complete", searched.stdout, re.MULTILINE)
    assert "Pareto front, fastest first:" in searched.stdout
    assert "champion = version" in searched.stdout
    assert "Deployed person-detector version" in searched.stdout
    command = r"Open the UI: (\S+) server --backend-store-uri (\S+) .*#/experiments/0/runs/\w+"
    serve = re.search(command, searched.stdout)
    assert serve
    assert serve.group(2) == shell.tracking_uri
    assert (PROJECT / serve.group(1)).is_file(), "the command runs without an activated environment"
    assert "remaining" in searched.stderr, "the progress bar"
    runs = shell.runs()
    assert [run.data.tags["nas.role"] for run in runs] == ["study", "seed", "baseline", "trial"]
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.usefixtures("searched")
def test_promote_twice_changes_nothing(shell: Shell) -> None:
    """The search has promoted already."""
    for _ in range(2):
        printed = shell.mlflow_run("-e", "promote", "-P", "model=person-detector").stdout
        assert "person-detector: nothing changed." in printed


def test_train_logs_exactly_one_run(shell: Shell) -> None:
    """The run that `mlflow run` made, with the architecture's params and the int8 file's metrics."""
    before = {run.info.run_id for run in shell.runs()}
    choices = ("kernel_size=3", "groups=2", "channels=48", "img_width=256")
    shell.mlflow_run("-e", "train", *(word for choice in choices for word in ("-P", choice)), *DATA)
    (run,) = [run for run in shell.runs() if run.info.run_id not in before]
    assert run.info.status == "FINISHED"
    assert run.data.params["arch.channels"] == "48"
    assert {"map", "map_50", "map_fp32", "latency_ms", "latency_ratio"} <= run.data.metrics.keys()


@pytest.mark.usefixtures("searched")
def test_a_profile_by_mlflow_run_leads_to_a_focused_space(shell: Shell) -> None:
    """Any file of the search is profiled in the project's run; focus reads what it leaves."""
    model = next((shell.folder / "work").rglob("model.int8.onnx"))
    printed = shell.mlflow_run("-e", "profile", "-P", f"model={model}").stdout
    assert "By module, the slowest first:" in printed
    run = shell.runs()[-1]
    assert (run.info.status, run.data.tags["nas.role"]) == ("FINISHED", "profile")
    profile = shell.folder / "work/profile/local/profile.json"
    words = ["-m", "mlflow_nas", "focus", "--profile", str(profile), "--json"]
    assert json.loads(shell(sys.executable, *words).stdout)["suggested"]["focused_size"] > 1


def test_a_mistake_ends_the_project_with_one_sentence(shell: Shell) -> None:
    """The run is FAILED, the sentence has value, bound and remedy."""
    done = shell.mlflow_run("-e", "train", "-P", "channels=97", code=1)
    assert "channels=97 is not in the space" in done.stderr
    assert "Traceback" not in done.stderr.partition("channels=97 is not")[0]
    assert shell.runs()[-1].info.status == "FAILED"


def test_a_killed_search_goes_on_with_the_same_command(shell: Shell) -> None:
    """Kill -9 in the middle of the second trial: nothing is trained twice, nothing stays RUNNING."""
    words = ["-m", "mlflow_nas", "search", "--study", "killed", "--experiment", "killed", "--board", "fake"]
    words += [
        "--data",
        "synthetic:train=8,val=4,size=96",
        "--epochs",
        "1",
        "--seed-epochs",
        "1",
        "--max-int8-drop",
        "1",
    ]
    words += ["--trials", "3", "--device", "fake", "--model", "killed", "--json"]
    process = shell.start(sys.executable, *words)
    client = MlflowClient(shell.tracking_uri)

    def states() -> dict[str, str]:
        experiment = client.get_experiment_by_name("killed")
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
        return {run.data.tags.get("nas.trial", run.data.tags["nas.role"]): run.info.status for run in runs}

    while states().get("1") != "RUNNING":
        assert process.poll() is None, "the search ended before its second trial began"
        time.sleep(0.05)
    process.kill()
    process.wait()
    done = json.loads(shell(sys.executable, *words).stdout)
    complete = [row["key"] for row in done["trials"] if row["state"] == "complete"]
    assert len(set(complete)) == len(complete) == 3
    assert [row["trial"] for row in done["trials"] if row["state"] == "failed"] == [1]
    assert "RUNNING" not in states().values()


def test_a_killed_training_goes_on_to_the_same_bits(shell: Shell, tmp_path: Path) -> None:
    """Kill -9 after its first epoch: the same command trains the others only, and leaves the same network."""
    words = [sys.executable, "-m", "mlflow_nas", "train", "--board", "fake", "--precision", "fp32", "--json"]
    words += ["--data", "synthetic:train=16,val=2,size=96", "--val-views", "1"]
    words += ["--epochs", "3", "--batch-size", "4", "--img-width", "220", "--experiment", "resumed"]
    whole = json.loads(Shell(tmp_path)(*words).stdout)
    checkpoint = shell.folder / "work/train" / whole["key"] / "training.ckpt"
    process = shell.start(*words)
    while not checkpoint.is_file():
        assert process.poll() is None, "the training ended before its first epoch did"
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = torch.load(checkpoint, weights_only=True)
    progress = kept["callbacks"]["Progress"]
    assert 1 <= len(progress["epochs"]) < 3, "it was killed in the middle"
    progress["seconds"] += 86_400  # a day, which shows in the end whether these epochs were taken over
    torch.save(kept, checkpoint)
    resumed = json.loads(shell(*words).stdout)
    assert resumed["metrics"]["train_s"] > 86_400 > whole["metrics"]["train_s"]
    assert resumed["history"] == whole["history"]
    for file in ("weights", "fp32"):
        left, expected = (Path(done["files"][file]).read_bytes() for done in (resumed, whole))
        assert left == expected, file
    assert not checkpoint.exists()


@pytest.mark.usefixtures("searched")
def test_json_is_one_object_on_standard_output(shell: Shell) -> None:
    """Everything else goes to standard error."""
    done = shell(sys.executable, "-m", "mlflow_nas", "promote", "--model", "person-detector", "--json")
    assert json.loads(done.stdout)["model"] == "person-detector"


@pytest.mark.usefixtures("searched")
def test_life_of_a_deployment(shell: Shell) -> None:
    """create, list, get, predict, update, delete, each by MLflow's own command."""
    model = ["-m", "models:/person-detector@champion"]
    assert "door is created" in shell.deployments("create", "--name", "door", *model)
    assert "door" in shell.deployments("list")
    found = shell.deployments("get", "--name", "door")
    assert "sha256" in found
    assert "input_size" in found
    photograph = shell.folder / "photo.png"
    Image.new("RGB", (120, 80), "grey").save(photograph)
    images = shell.folder / "images.json"
    images.write_text(json.dumps({"image": [str(photograph)]}))
    predicted = json.loads(shell.deployments("predict", "--name", "door", "-I", str(images)))
    (prediction,) = predicted["predictions"]
    assert prediction.keys() == {"boxes", "scores", "classes"}
    assert "updated" in shell.deployments("update", "--name", "door", *model)
    assert "door is deleted" in shell.deployments("delete", "--name", "door")
    assert "door" not in shell.deployments("list")


@pytest.mark.usefixtures("searched")
def test_deploy_is_the_same_by_mlflow_run(shell: Shell) -> None:
    """The device keeps the file under its sha256, the manifest and the version before."""
    shell.mlflow_run("-e", "deploy", "-P", "model=person-detector", "-P", "device=local")
    (path,) = (shell.folder / "home").rglob("person-detector/manifest.json")
    manifest = json.loads(path.read_text())
    wanted = {"model", "version", "run_id", "sha256", "input_size", "classes", "metrics", "previous"}
    assert wanted <= manifest.keys()
    assert (path.parent / f"models/{manifest['sha256']}.onnx").is_file()


@pytest.mark.usefixtures("searched")
def test_help_and_run_local(shell: Shell) -> None:
    """The commands without a device in the target."""
    assert "nas-edge://DEVICE" in shell("mlflow", "deployments", "help", "-t", "nas-edge").stdout
    model = ["-m", "models:/person-detector@champion"]
    shell("mlflow", "deployments", "run-local", "-t", "nas-edge", "--name", "here", *model)
    assert "here" in shell.deployments("list")


def test_an_unknown_model_is_one_sentence(shell: Shell) -> None:
    """MLflow's command line prints our MlflowException."""
    words = ["-t", "nas-edge://local", "--name", "cat", "-m", "models:/cat@champion"]
    done = shell("mlflow", "deployments", "create", *words, code=1)
    assert "cat" in done.stderr


def test_a_training_on_photographs(shell: Shell, penn_fudan: Path, fastestdet_weights: Path) -> None:
    """Penn-Fudan from the published detector: after one epoch it still finds people."""
    data, weights = (os.path.relpath(path, PROJECT) for path in (penn_fudan, fastestdet_weights))
    shell.mlflow_run(
        "-e", "train", "-P", f"data=coco:{data}", "-P", f"weights={weights}", "-P", "epochs=1"
    )  # fmt: skip
    run = shell.runs()[-1]
    assert run.data.metrics["map_50"] > 0.8
    assert run.data.tags["nas.dataset"].startswith("coco@")


def test_an_installed_wheel_works_in_another_folder(shell: Shell, tmp_path: Path) -> None:
    """The wheel holds the command under both spellings, the runtime for devices, and the target nas-edge."""
    source = tmp_path / "source"
    shutil.copytree(PROJECT / "mlflow_nas", source / "mlflow_nas")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source / name)
    wheels, site = tmp_path / "dist", tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    shell(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source))
    (wheel,) = wheels.glob("*.whl")
    shell(*pip, "install", "--no-deps", "--target", str(site), str(wheel))
    code = f"""
import pathlib, sys
sys.path.insert(0, {str(site)!r})
from mlflow.deployments import get_deploy_client
from mlflow_nas.board import runtime
assert pathlib.Path(runtime.__file__).is_relative_to({str(site)!r})
print(type(get_deploy_client("nas-edge://local")).__name__)
"""
    assert "EdgeDeploymentClient" in shell(sys.executable, "-c", code).stdout
    assert (site / "bin/mlflow_nas").is_file()
    assert (site / "bin/mlflow-nas").is_file()
