"""An arm64 board without hardware: real arm64 kernels under QEMU, reached over real SSH."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import nn

from mlflow_nas import api
from mlflow_nas.board import DeviceBoard, get_board
from mlflow_nas.cli import main
from mlflow_nas.config import find_device
from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import OnnxDetector
from mlflow_nas.search import Workbench
from mlflow_nas.search.agreement import check_board_outputs
from mlflow_nas.search.artefact import Artefact, make_artefact
from mlflow_nas.space import fastestdet_head
from mlflow_nas.train import Recipe

Model = Callable[[int], Path]

pytestmark = [pytest.mark.board, pytest.mark.services, pytest.mark.usefixtures("ssh_home")]

BUILD = Path(__file__).parents[2] / "deploy/arm64-board/build"
SMALL = {"kernel_size": 3, "groups": 4, "channels": 24, "img_width": 220}


def test_its_packages_come_the_way_that_the_user_set_up(users_environment: dict[str, str]) -> None:
    """Not the way into nothing that tests take, in a worker of pytest-xdist, either."""
    proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    assert [name for name in proxies if users_environment.get(name) == os.environ[name]] == []


@pytest.fixture
def board(arm64_inventory: Path) -> Iterator[DeviceBoard]:
    """The emulated board."""
    board = get_board(find_device("arm64", arm64_inventory), budget_s=0.1)
    yield board
    board.close()


@pytest.fixture
def bench(board: DeviceBoard, tmp_path: Path) -> Workbench:
    """A small study on generated scenes."""
    return Workbench(
        space=fastestdet_head(),
        train=load_dataset("synthetic:train=8,val=4,size=96", "train", ("person",)),
        val=load_dataset("synthetic:train=8,val=4,size=96", "val", ("person",)),
        board=board,
        folder=tmp_path,
        epochs=1,
        batch_size=4,
        seed=0,
        recipe=Recipe(),
    )


@pytest.fixture
def artefact(bench: Workbench, tmp_path: Path) -> Artefact:
    """The smallest detector of the space with weights that keep the signal's size, in float and int8."""
    network, random = bench.build(SMALL), torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=random)
    return make_artefact(network, SMALL, bench=bench, folder=tmp_path)


def test_it_is_reached_as_a_real_board(arm64_inventory: Path) -> None:
    """The inventory goes over SSH, and only its `python` knows of the emulator."""
    (entry,) = yaml.safe_load(arm64_inventory.read_text(encoding="utf-8"))["devices"].values()
    assert (entry["transport"], entry["emulated"]) == ("ssh", True)
    assert "qemu-aarch64-static" in entry["python"]


def test_what_is_built_is_kept(arm64_inventory: Path) -> None:
    """A second build says so and changes nothing."""
    before = arm64_inventory.stat().st_mtime_ns
    command = [str(BUILD), str(arm64_inventory.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("is up to date")
    assert arm64_inventory.stat().st_mtime_ns == before


def test_its_times_are_labelled(board: DeviceBoard, make_model: Model) -> None:
    """The facts are the emulated processor's; its times never stand under a latency's name."""
    found = board.measure(make_model(5))
    assert (found.facts["machine"], found.emulated) == ("aarch64", True)
    assert found.p50_ms > 0
    assert all(name.startswith("emulated_") for name in found.metrics())


def test_arm64_kernels_compute_what_was_evaluated(
    board: DeviceBoard, bench: Workbench, artefact: Artefact
) -> None:
    """The int8 detector's outputs are the host's within what int8 itself changes; float's not to the bit."""
    images = bench.real_images(SMALL, 1)
    assert check_board_outputs(board, artefact, images) < 1
    difference = np.abs(board.infer(artefact.fp32, images) - OnnxDetector(artefact.fp32)(images))
    assert 0 < difference.max() < 1e-3


@pytest.mark.usefixtures("tracking_uri")
def test_it_is_profiled_under_names_of_its_own(arm64_inventory: Path, make_model: Model) -> None:
    """The profiler's times are those of arm64 kernels, labelled in the words, the JSON and the run."""
    words = ["profile", "--board", "arm64", "--devices", str(arm64_inventory), "--model", str(make_model(5))]
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["emulated"], found["facts"]["machine"]) == (True, "aarch64")
    assert {row["operator"] for row in found["operators"]} >= {"Conv"}
    assert found["files"].keys() == {"fp32", "int8"}
    metrics = mlflow.MlflowClient().get_run(found["run_id"]).data.metrics
    assert metrics["emulated_profile_int8_run_ms"] > 0
    assert all(name.startswith("emulated_") for name in metrics)


@pytest.mark.usefixtures("tracking_uri")
def test_no_search_takes_its_times_for_latency(arm64_inventory: Path) -> None:
    """Search and train refuse it before anything is done; the sentence says what works with it."""
    options = {"board": "arm64", "devices": str(arm64_inventory), "data": "synthetic:train=8,val=4,size=96"}
    sentence = (
        r"board arm64 is emulated: its times are no latencies. Search on another one; `mlflow_nas profile`"
    )
    for command in (api.search, api.train):
        with pytest.raises(ConfigError, match=sentence):
            command(**options)
