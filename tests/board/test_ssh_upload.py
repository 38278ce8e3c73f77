"""The device's scripts of an upload, in this machine's shell."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlflow_nas.board.ssh.upload import LINK, finish_upload, prepare_upload

PYTHON = (sys.executable,)
HASH = hashlib.sha256(b"content").hexdigest()
ENDED = 4_194_305  # no process has this id: it is above the largest one of Linux


def _run(argv: Sequence[str], path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env={"PATH": path}, capture_output=True, text=True, check=False)


def _prepare(folder: Path, process: int = ENDED + 1) -> subprocess.CompletedProcess[str]:
    part, target = folder / f"incoming/{HASH}-{process}.part", folder / "staging/model.onnx"
    return _run(prepare_upload(str(part), str(target), [str(part.parent), str(target.parent)], PYTHON))


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_first_upload_starts_with_nothing(tmp_path: Path) -> None:
    """Both folders are made; there are no bytes yet, and the target has no hash."""
    assert _prepare(tmp_path).stdout.split() == ["0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["incoming", "staging"]


def test_an_upload_of_an_ended_connection_is_taken_over(tmp_path: Path) -> None:
    """It gets the name of the new upload, and its size is printed."""
    old = _write(tmp_path / f"incoming/{HASH}-{ENDED}.part", b"cont")
    assert _prepare(tmp_path).stdout.split() == ["4"]
    assert not old.exists()


def test_an_upload_of_a_living_connection_stays(tmp_path: Path) -> None:
    """Its process runs: two hosts never write one file."""
    other = _write(tmp_path / f"incoming/{HASH}-{os.getpid()}.part", b"cont")
    assert _prepare(tmp_path).stdout.split() == ["0"]
    assert other.read_bytes() == b"cont"


def test_the_hash_of_an_equal_target_is_printed(tmp_path: Path) -> None:
    """It is not sent again."""
    _write(tmp_path / "staging/model.onnx", b"content")
    assert _prepare(tmp_path).stdout.split() == ["0", HASH]


@pytest.mark.parametrize("name", ["incoming", "staging", "staging/model.onnx"])
def test_a_link_is_refused(tmp_path: Path, name: str) -> None:
    """Whether a folder or the file: nothing is written elsewhere."""
    link = tmp_path / "device" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    done = _prepare(tmp_path / "device")
    assert (done.returncode, done.stderr) == (LINK, f"{link} is a symbolic link\n")


@pytest.mark.parametrize(("content", "complete"), [(b"content", True), (b"damaged", False)])
@pytest.mark.parametrize("tools", [("mv", "rm", "cut", "sha256sum"), ("mv", "rm", "cut")])
def test_only_a_complete_upload_gets_to_its_target(
    tmp_path: Path, content: bytes, complete: bool, tools: Sequence[str]
) -> None:
    """By sha256sum, or by the device's Python on a system without it; another one is removed."""
    (tmp_path / "bin").mkdir()
    for tool in tools:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    part, target = _write(tmp_path / "part", content), tmp_path / "target"
    command = finish_upload(str(part), str(target), HASH, PYTHON)
    done = _run([str(shutil.which("sh")), *command[1:]], str(tmp_path / "bin"))
    assert done.stdout.strip() == ("complete" if complete else "")
    assert (target.is_file(), part.exists()) == (complete, False)
