"""Command lines as a user types them: in processes of their own, killed, side by side, by `mlflow run`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import tiny_space
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState
from PIL import Image

from mlflow_nas.search.storage import open_storage

PROJECT = Path(__file__).parents[2]
SMALL = {"data.uri": "synthetic:train=8,val=4,size=96", "training.epochs": 1, "quantization.max_drop": 1}
TINY = ["--space", tiny_space.NAME, "--data", SMALL["data.uri"], "--board", "fake", "--device", "none"]
TINY += [
    "--sampler",
    "random",
    "--set",
    "quantization.max_drop=1 data.eval_augmentations=1 finalists.count=0",
]
TINY += ["--json"]
START_S = 120.0
NAS = [sys.executable, "-m", "mlflow_nas"]


def _settings(**more: object) -> str:
    """Settings of a small search or training, as the parameter `set` takes them."""
    return " ".join(f"{name}={value}" for name, value in {**SMALL, **more}.items())


class Shell:
    """Types commands in the project's folder; what they leave behind stays in the test's.

    Args:
        folder: of MLflow's store, of devices, and of the work folder.
        work: name of the work folder: another one is another machine.
    """

    def __init__(self, folder: Path, work: str = "work") -> None:
        self.folder = folder
        self.work = folder / work
        self.tracking_uri = f"sqlite:///{folder}/mlflow.db"
        self._environment: Mapping[str, str] = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_NAS_WORK": str(self.work),
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
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def nas(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`mlflow_nas` with more words."""
        return self(*NAS, *words, code=code)

    def mlflow_run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`mlflow run . --env-manager local` with more words."""
        return self("mlflow", "run", ".", "--env-manager", "local", *words, code=code)

    def deployments(self, command: str, *words: str, target: str = "nas-edge://local") -> str:
        """`mlflow deployments COMMAND -t nas-edge://local`; what it prints."""
        return self("mlflow", "deployments", command, "-t", target, *words).stdout

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        client = MlflowClient(self.tracking_uri)
        experiments = [one.experiment_id for one in client.search_experiments()]
        return list(client.search_runs(experiments, order_by=["attributes.start_time ASC"]))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell of the module's own."""
    return Shell(tmp_path_factory.mktemp("user"))


def _wait(done: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Until something has happened while a process runs."""
    deadline = time.monotonic() + START_S
    while not done():
        assert process.poll() is None, (process.communicate(), "it ended too early")
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def test_help_and_version_are_there_at_once(shell: Shell) -> None:
    """In groups, with choices and ranges; nothing heavy is imported for them."""
    started = time.monotonic()
    assert re.fullmatch(r"mlflow_nas, version \S+|.*version.*", shell.nas("--version").stdout.strip())
    shown = shell.nas("search", "--help").stdout
    assert "--limit METRIC<=NUMBER" in shown
    assert "Settings of --set, Training" in shown
    assert time.monotonic() - started < 60
    modules = shell(sys.executable, "-X", "importtime", "-m", "mlflow_nas", "--help").stderr
    assert not re.search(r"\| +(torch|mlflow|optuna)$", modules, re.MULTILINE)


@pytest.mark.slow
def test_a_search_that_dies_in_its_first_trial_is_finished_by_the_same_command(tmp_path: Path) -> None:
    """Kill -9: the trial continues after its last epoch, in the same run; nothing stays RUNNING."""
    shell = Shell(tmp_path)
    words = ["search", "--study", "killed", "--trials", "1", "--epochs", "60", *TINY]
    words += ["--set", "training.seed_epochs=0"]
    process = shell.start(*NAS, *words)
    _wait(lambda: list(shell.work.glob("cache/train/*.unfinished/checkpoint/*.ckpt")), process)
    process.kill()
    process.communicate()
    done = json.loads(shell.nas(*words).stdout)
    assert [(row["trial"], row["state"]) for row in done["trials"]] == [(0, "complete")]
    study, baseline, promotion = shell.runs()
    roles = [run.data.tags["nas.role"] for run in (study, baseline, promotion)]
    assert roles == ["study", "baseline", "promotion"]
    assert {run.info.status for run in shell.runs()} == {"FINISHED"}
    history = MlflowClient(shell.tracking_uri).get_metric_history(baseline.info.run_id, "epoch/train_loss")
    assert sorted(point.step for point in history) == list(range(1, 61))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_search_with_a_sentence_and_releases_its_trial(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """The exit code is the signal's; the trial waits for the next call, all runs are KILLED."""
    shell = Shell(tmp_path)
    words = ["search", "--study", "stopped", "--trials", "1", "--epochs", "500", *TINY]
    process = shell.start(*NAS, *words, "--set", "training.seed_epochs=0")
    _wait(lambda: list(shell.work.glob("cache/train/*.unfinished/checkpoint/*.ckpt")), process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said.decode()
    assert "mlflow_nas: interrupted; rerun the same command: a study continues." in said.decode()
    assert "Traceback" not in said.decode()
    storage = open_storage(None, shell.work / "studies/stopped")
    (trial,) = storage.get_all_trials(storage.get_study_id_from_name("stopped"))
    assert trial.state is TrialState.WAITING
    assert {run.info.status for run in shell.runs()} == {"KILLED"}


@pytest.mark.slow
def test_two_machines_share_one_storage(tmp_path: Path) -> None:
    """Started at once: both end well, each architecture is evaluated once, the seed network trained once."""
    machines = [Shell(tmp_path, work) for work in ("one", "two")]
    words = ["search", "--study", "two", "--trials", "4", "--epochs", "1", *TINY]
    words += ["--set", "training.seed_epochs=1", "--storage", f"sqlite:///{tmp_path}/optuna.db"]
    processes = [machine.start(*NAS, *words) for machine in machines]
    ended = [(*process.communicate(timeout=300), process.returncode) for process in processes]
    assert [code for *_, code in ended] == [0, 0], ended
    results = [json.loads(printed) for printed, *_ in ended]
    again = json.loads(machines[0].nas(*words).stdout)
    assert [row["trial"] for row in again["trials"]] == [0, 1, 2, 3]
    assert len({row["key"] for row in again["trials"]}) == 4
    assert {row["state"] for row in again["trials"]} == {"complete"}
    roles = [run.data.tags["nas.role"] for run in machines[0].runs()]
    roles = [role for role in roles if role != "promotion"]
    assert sorted(roles) == ["baseline", "seed", "study", "trial", "trial", "trial"]
    assert {run.info.status for run in machines[0].runs()} == {"FINISHED"}
    assert len({result["run_id"] for result in (*results, again)}) == 1


@pytest.fixture(scope="module")
def searched(shell: Shell) -> subprocess.CompletedProcess[str]:
    """A search by `mlflow run` of the default space, on this machine as the board."""
    small = {"training.seed_epochs": 1, "space.channels": "24", "space.img_width": "220"}
    ends = {"finalists.count": 1, "finalists.epochs": 1, "registry.max_drop": 1}
    settings = _settings(**small, **ends)
    return shell.mlflow_run("-P", "study=typed", "-P", "trials=2", "-P", f"set={settings}")


@pytest.mark.slow
def test_mlflow_run_ends_with_table_front_champion_device_and_the_uis_command(
    shell: Shell, searched: subprocess.CompletedProcess[str]
) -> None:
    """The main entry point prints what the user needs next, and nothing else, on standard output."""
    assert "Trials of study typed (* Pareto front):" in searched.stdout
    assert re.search(r"^[* ]  0      k5-g1-c96-w320  complete", searched.stdout, re.MULTILINE)
    assert "Pareto front, fastest first:" in searched.stdout
    assert "Registered model person-detector:" in searched.stdout, searched.stdout
    assert "person-detector" in searched.stdout
    # One epoch on eight images is noise: the small network may have less than half of the baseline's mAP.
    assert re.search(r"^(Ship k\d-g\d-c24-w220: |Nothing was gained: )", searched.stdout, re.MULTILINE)
    command = r"Open the UI: (\S+) server --backend-store-uri (\S+) .*#/experiments/\d+/runs/\w+"
    serve = re.search(command, searched.stdout)
    assert serve
    assert serve.group(2) == shell.tracking_uri
    assert (PROJECT / serve.group(1)).is_file(), "the command runs without an activated environment"
    assert "2 of 2 trials: trial 1 " in searched.stderr, "a line per trial where there is no terminal"
    runs = [run for run in shell.runs() if run.data.tags.get("nas.study") == "typed"]
    roles = [run.data.tags["nas.role"] for run in runs]
    assert roles[:4] == ["study", "seed", "baseline", "trial"]
    assert "finalist" in roles[4:]
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.usefixtures("searched")
def test_life_of_a_deployment(shell: Shell) -> None:
    """create, list, get, predict, update, delete, each by MLflow's own command."""
    model = ["-m", "models:/person-detector/1", "-C", "force=true"]
    assert "door is created" in shell.deployments("create", "--name", "door", *model)
    assert "door" in shell.deployments("list")
    found = shell.deployments("get", "--name", "door")
    assert "sha256" in found
    assert "input_size" in found
    image = shell.folder / "photo.png"
    Image.new("RGB", (120, 80), "grey").save(image)
    images = shell.folder / "images.json"
    images.write_text(json.dumps({"image": [str(image)]}))
    predicted = json.loads(shell.deployments("predict", "--name", "door", "-I", str(images)))
    (prediction,) = predicted["predictions"]
    assert prediction.keys() == {"boxes", "scores", "classes"}
    assert "updated" in shell.deployments("update", "--name", "door", *model)
    assert "door is deleted" in shell.deployments("delete", "--name", "door")
    assert "door" not in shell.deployments("list")


@pytest.mark.slow
def test_a_training_on_real_images(shell: Shell, penn_fudan: Path, fastestdet_weights: Path) -> None:
    """The project's run is the training's; from the published detector one epoch still finds people."""
    data, weights = (os.path.relpath(path, PROJECT) for path in (penn_fudan, fastestdet_weights))
    before = {run.info.run_id for run in shell.runs()}
    words = ["-P", f"data=coco:{data}", "-P", f"weights={weights}", "-P", "set=training.epochs=1"]
    shell.mlflow_run("-e", "train", *words)
    (run,) = [run for run in shell.runs() if run.info.run_id not in before]
    assert run.data.metrics["map_50"] > 0.8
    assert run.data.tags["nas.dataset"].startswith("coco@")
    assert run.info.status == "FINISHED"


@pytest.mark.slow
def test_a_mistake_ends_the_project_with_one_sentence(shell: Shell) -> None:
    """The run is FAILED, the sentence has value, bound and remedy."""
    done = shell.mlflow_run("-e", "train", "-P", "arch=channels=97", code=1)
    assert "channels=97 is not in the space" in done.stderr
    assert "Traceback" not in done.stderr.partition("channels=97 is not")[0]
    assert shell.runs()[-1].info.status == "FAILED"


@pytest.mark.slow
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
