"""The programs of deploy/arm64-board without their requirements: one message, and exit code 3."""

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy/arm64-board"
MISSING = 3


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with basic tools, and an apt-get without network."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "grep", "sha256sum", "mkdir", "flock", "cat", "rm", "dpkg"):
        program = subprocess.run(
            ["/bin/sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True
        )
        (folder / name).symlink_to(program.stdout.strip())
    apt = folder / "apt-get"
    apt.write_text("#!/bin/sh\necho no network >&2; exit 100\n", encoding="utf-8")
    apt.chmod(0o755)
    return folder


def _run(program: str, *words: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(path / "bash"), str(FOLDER / program), *words]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_a_build_without_qemu_names_its_package(tools: Path, tmp_path: Path) -> None:
    """And creates no folder."""
    done = _run("build", str(tmp_path / "board"), path=tools)
    assert (done.returncode, done.stdout) == (MISSING, "")
    assert "qemu-aarch64-static is missing: apt-get install qemu-user-static" in done.stderr
    assert not (tmp_path / "board").exists()


def test_a_build_without_packages_makes_no_board(tools: Path, tmp_path: Path) -> None:
    """The output of apt comes before the error; the next build starts again."""
    (tools / "qemu-aarch64-static").symlink_to("/bin/true")
    for _ in range(2):
        done = _run("build", str(tmp_path / "board"), path=tools)
        assert done.returncode == MISSING
        assert done.stderr.splitlines()[-2:] == [
            "no network",
            "arm64-board: apt can't read its sources for arm64: see the lines above",
        ]
    assert not (tmp_path / "board/devices.yaml").exists()


@pytest.mark.parametrize("program", ["build", "serve"])
def test_a_call_without_a_folder_prints_the_usage(tools: Path, program: str) -> None:
    """With exit code 2."""
    done = _run(program, path=tools)
    assert done.returncode == 2
    assert f"{program} FOLDER" in done.stderr
