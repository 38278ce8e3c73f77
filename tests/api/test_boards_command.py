"""`boards` and `doctor` as a user calls them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlflow_nas.cli import main

INVENTORY = """
devices:
  bare: {transport: local, python: "no-such-python", groups: [gates]}
  qemu: {transport: local, emulated: true}
"""


@pytest.fixture(autouse=True)
def _inventory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two devices beside the built-in ones."""
    (tmp_path / "devices.yaml").write_text(INVENTORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


def test_boards_lists_every_device_with_its_facts() -> None:
    """A line each, and below what keeps one from being used; as JSON the same."""
    done = CliRunner().invoke(main, ["boards"])
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()[1:5]] == ["local", "fake", "bare", "qemu"]
    assert "qemu (emulated)" in done.stdout
    assert "mlflow_nas doctor --board bare" in done.stdout
    rows = json.loads(CliRunner().invoke(main, ["boards", "--json"]).stdout)["boards"]
    assert [row["state"] for row in rows] == ["ready", "ready", "not ready", "ready"]
    assert {"machine", "cores", "memory_mb", "onnxruntime", "providers"} <= rows[0]["facts"].keys()
    assert rows[2]["groups"] == ["gates"]


def test_doctor_gives_the_command_and_exit_code_1() -> None:
    """A script sees that the board can't be used."""
    done = CliRunner().invoke(main, ["doctor", "--board", "bare"])
    assert done.exit_code == 1
    assert "-> sudo apt-get install python3" in done.stdout
    assert "bare can't be used yet." in done.stdout
    answer = json.loads(CliRunner().invoke(main, ["doctor", "--board", "bare", "--json"]).stdout)
    assert answer["ready"] is False
    assert answer["checks"][-1]["name"] == "python"


def test_doctor_is_content_with_this_machine() -> None:
    """Warnings don't keep anybody from measuring."""
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "local is ready." in done.stdout


def test_an_unknown_board_is_one_sentence() -> None:
    """With the names that there are."""
    done = CliRunner().invoke(main, ["doctor", "--board", "imx94"])
    assert done.exit_code == 2
    assert "the device 'imx94' is unknown; the known devices are bare, fake, local, qemu" in done.stderr
