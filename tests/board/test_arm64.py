"""An arm64 board without hardware: arm64 kernels under QEMU, reached over SSH."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from mlflow_nas.board import DeviceBoard, get_board
from mlflow_nas.config import find_device
from mlflow_nas.errors import ConfigError

Model = Callable[[int], Path]

pytestmark = [pytest.mark.board, pytest.mark.usefixtures("ssh_home")]

BUILD = Path(__file__).parents[2] / "deploy/arm64-board/build"
SMALL = {"kernel_size": 3, "groups": 4, "channels": 24, "img_width": 220}


def test_its_packages_come_through_the_users_proxies(users_environment: dict[str, str]) -> None:
    """Not through the dead proxy of the tests, in a worker of pytest-xdist neither."""
    proxies = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    assert [name for name in proxies if users_environment.get(name) == os.environ[name]] == []


@pytest.fixture
def board(arm64_inventory: Path) -> Iterator[DeviceBoard]:
    """The emulated board."""
    board = get_board(find_device("arm64", arm64_inventory), budget_s=0.1)
    yield board
    board.close()


class Detector(NamedTuple):
    """A detector's files and an image for it."""

    fp32: Path
    int8: Path
    images: NDArray[np.float32]


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    """The smallest detector of the space, with weights that keep the signal's magnitude."""
    import torch
    from torch import nn

    from mlflow_nas.data import calibration_images, load_dataset
    from mlflow_nas.export import export_onnx, quantize_int8
    from mlflow_nas.space import fastestdet_head

    space, random = fastestdet_head(), torch.Generator().manual_seed(0)
    network, size = space.build(SMALL, 1), space.input_size(SMALL)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=random)
    scenes = load_dataset("synthetic:train=8,val=4,size=96", "train", ("person",))
    images = calibration_images(scenes, img_size=size, count=8, seed=0)
    fp32 = export_onnx(network, tmp_path / "fp32.onnx", img_size=size, metadata={})
    return Detector(fp32, quantize_int8(fp32, tmp_path / "int8.onnx", calibration=images), images[:1])


def test_its_inventory_is_that_of_a_real_board(arm64_inventory: Path) -> None:
    """Its transport is SSH, and only its `python` starts the emulator."""
    (entry,) = yaml.safe_load(arm64_inventory.read_text(encoding="utf-8"))["devices"].values()
    assert (entry["transport"], entry["emulated"]) == ("ssh", True)
    assert "qemu-aarch64-static" in entry["python"]


def test_a_second_build_changes_nothing(arm64_inventory: Path) -> None:
    """It reports that the board is up to date."""
    before = arm64_inventory.stat().st_mtime_ns
    command = [str(BUILD), str(arm64_inventory.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("is up to date")
    assert arm64_inventory.stat().st_mtime_ns == before


def test_its_times_are_labelled(board: DeviceBoard, make_model: Model) -> None:
    """The facts are the emulated processor's; no metric has the name of a latency."""
    found = board.measure(make_model(5))
    assert (found.facts["machine"], found.emulated) == ("aarch64", True)
    assert found.p50_ms > 0
    assert all(name.startswith("emulated_") for name in found.metrics())


def test_arm64_kernels_agree_with_the_host(board: DeviceBoard, detector: Detector) -> None:
    """The int8 outputs within the error of int8 itself; the float outputs not to the bit."""
    from mlflow_nas.runtime import OnnxDetector, allowed_drift, worst_drift

    fp32, int8 = (OnnxDetector(file)(detector.images) for file in (detector.fp32, detector.int8))
    on_board = board.infer(detector.int8, detector.images)
    assert worst_drift(device=on_board, host=int8, allowed=allowed_drift(fp32=fp32, int8=int8)).is_allowed
    assert 0 < np.abs(board.infer(detector.fp32, detector.images) - fp32).max() < 1e-3


@pytest.mark.usefixtures("tracking_uri")
def test_its_profile_has_names_of_its_own(arm64_inventory: Path, make_model: Model) -> None:
    """The profiler's times are those of arm64 kernels, labelled in the JSON and in the run."""
    from click.testing import CliRunner
    from mlflow import MlflowClient

    from mlflow_nas.cli import main

    words = ["profile", "--board", "arm64", "--devices", str(arm64_inventory), "--model", str(make_model(5))]
    done = CliRunner().invoke(main, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["emulated"], found["facts"]["machine"]) == (True, "aarch64")
    assert {row["operator"] for row in found["operators"]} >= {"Conv"}
    assert found["files"].keys() == {"fp32", "int8"}
    metrics = MlflowClient().get_run(found["run_id"]).data.metrics
    assert metrics["emulated_profile_int8_run_ms"] > 0
    assert all(name.startswith("emulated_") for name in metrics)


@pytest.mark.usefixtures("tracking_uri")
def test_no_search_measures_on_it(arm64_inventory: Path) -> None:
    """Search and train refuse it first; the error names the commands that work with it."""
    from mlflow_nas import api

    options = {"board": "arm64", "devices": str(arm64_inventory), "data": "synthetic:train=8,val=4,size=96"}
    message = (
        r"board arm64 is emulated: its times are no latencies. Search on another one; `mlflow_nas profile`"
    )
    for command in (api.search, api.train):
        with pytest.raises(ConfigError, match=message):
            command(**options)
