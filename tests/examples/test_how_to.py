"""docs/how-to/own-network.md: every command is run as it stands there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from class_images import write_class_folders
from foreign_space import AnchorFree

from mlflow_nas.export import export_onnx

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs/how-to/own-network.md"
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a user works: the examples, classified images, and a file of a detector."""
    path = tmp_path_factory.mktemp("how-to")
    (path / "examples").symlink_to(PROJECT / "examples")
    write_class_folders(path / "DATA", classes=("red", "green"))
    torch.manual_seed(0)
    network = AnchorFree(1, width=4, depth=0).eval()
    export_onnx(network, path / "own.onnx", img_size=(64, 64), metadata={})
    return path


def test_the_page_has_commands() -> None:
    """One for each of its sections after the first."""
    assert len(COMMANDS) == 8
    assert all(command.startswith("mlflow_nas ") for command in COMMANDS)


@pytest.mark.slow  # a search and two trainings, each in a process of its own
def test_every_command_of_the_page_runs(folder: Path) -> None:
    """In their order; the python of the page loads what they registered."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_NAS_HOME": str(folder / "home"),
        "MLFLOW_NAS_WORK": str(folder / "work"),
        "TORCH_HOME": str(folder / "torch"),
    }
    for command in COMMANDS:
        words = [sys.executable, "-m", *shlex.split(command)]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
