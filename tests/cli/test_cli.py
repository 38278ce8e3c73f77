import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.errors import BoardError, ConfigError


@pytest.mark.parametrize(
    "command",
    ["search", "select", "train", "evaluate", "profile", "focus", "boards", "doctor", "promote", "deploy"],
)
def test_every_command_explains_its_options(command: str) -> None:
    """Each option has a sentence and a default."""
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output
    assert "[default:" in result.output


def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    """No traceback, nothing on standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "mlflow_nas", "search", "--trials", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--trials '0': Input should be greater than or equal to 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_is_one_object_on_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """What libraries print goes to standard error."""

    def promote(**_: object) -> dict[str, object]:
        print("a library's chatter")  # noqa: T201 - that is the test
        return {"model": "m", "changes": []}

    monkeypatch.setattr(api, "promote", promote)
    result = CliRunner().invoke(main, ["promote", "--json"])
    assert json.loads(result.stdout) == {"model": "m", "changes": []}
    assert "chatter" in result.stderr


@pytest.mark.parametrize(("error", "code"), [(ConfigError("no"), 2), (BoardError("dead"), 1)])
def test_exit_codes_say_whose_fault_it_is(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """2 is the user's, 1 is everything else that is foreseen."""

    def deploy(**_: object) -> dict[str, object]:
        raise error

    monkeypatch.setattr(api, "deploy", deploy)
    result = CliRunner().invoke(main, ["deploy"])
    assert result.exit_code == code
    assert str(error) in result.stderr


def test_a_switch_may_be_given_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """--dry-run is --dry-run true, which is what MLproject passes."""
    seen: list[object] = []

    def promote(**options: object) -> dict[str, object]:
        seen.append(options["dry_run"])
        return {"model": "m", "changes": [], "front": [{"version": 1, "aliases": []}], "dry_run": True}

    monkeypatch.setattr(api, "promote", promote)
    for arguments in (["--dry-run"], ["--dry-run", "true"], []):
        assert CliRunner().invoke(main, ["promote", *arguments]).exit_code == 0
    assert seen == ["true", "true", "false"]
