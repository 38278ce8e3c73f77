"""deploy/compose.yaml: what it starts is what the tests start, and nothing has a default password."""

import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from mlflow_stack import PREPARE, SERVE, serve_command

from mlflow_nas.cli import main

PROJECT = Path(__file__).parents[2]
COMPOSE = PROJECT / "deploy/compose.yaml"


def _services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"])


def test_the_server_is_started_by_the_command_that_the_tests_start() -> None:
    """But for address and port, with every variable that the script demands."""
    server = _services()["mlflow"]
    script, *options = server["command"]
    assert [str(PROJECT / script), *options[::2]] == [*serve_command(7)[:1], "--host", "--allowed-hosts"]
    assert serve_command(7) == [str(SERVE), "--port", "7", "--workers", "1"]
    demanded = set(re.findall(r'^: "\$\{(\w+):\?', SERVE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert demanded
    assert demanded <= server["environment"].keys()


README = (PROJECT / "deploy/README.md").read_text(encoding="utf-8")
INSIDE = "docker compose -f deploy/compose.yaml exec mlflow python "


def test_the_readmes_steps_are_those_of_the_tests() -> None:
    """Each step of prepare.py is in it, in the form that the fixture runs."""
    lines = [line.removeprefix(INSIDE) for line in README.splitlines() if line.startswith(INSIDE)]
    assert {PROJECT / shlex.split(line)[0] for line in lines} == {PREPARE}
    steps = [shlex.split(line)[1:] for line in lines]
    fixture = (PROJECT / "tests/mlflow_stack.py").read_text(encoding="utf-8")
    assert ["bucket"] in steps
    assert 'stack.prepare("bucket")' in fixture
    assert ["user", "nora"] in steps
    assert 'stack.prepare("user", stack.user, ' in fixture
    started = re.findall(r"compose.yaml up (.*)", README)
    assert {name for line in started for name in line.split() if not name.startswith("--")} == set(
        _services()
    )


@pytest.mark.parametrize("words", [["bucket", "x"], ["user"], ["share", "m"], ["steal"]])
def test_a_step_with_wrong_words_is_refused(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is asked of the server."""
    monkeypatch.setattr(sys, "argv", ["prepare.py", *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PREPARE), run_name="__main__")
    assert ended.value.code == 2
    assert "usage: prepare.py" in capsys.readouterr().err


def test_the_watcher_is_a_command_that_exists() -> None:
    """With the options that it has."""
    python, flag, module, name, *options = _services()["watcher"]["command"]
    assert (python, flag, module) == ("python", "-m", "mlflow_nas")
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_context(name, [options[0], "m"])


def test_images_are_named_by_the_user_and_no_password_has_a_default() -> None:
    """Each variable is demanded at least once, and stands in the example."""
    text = COMPOSE.read_text(encoding="utf-8")
    example = (PROJECT / "deploy/server/.env.example").read_text(encoding="utf-8")
    used, demanded = set(re.findall(r"\$\{(\w+)", text)), set(re.findall(r"\$\{(\w+):\?", text))
    assert used == demanded == set(re.findall(r"^(\w+)=", example, flags=re.MULTILINE))
    images = [service["image"] for service in _services().values() if "image" in service]
    assert all(re.fullmatch(r"\$\{\w+_IMAGE:\?.*\}", image) for image in images)
    filled = re.findall(r"^\w*(?:PASSWORD|KEY)=(.+)$", example, flags=re.MULTILINE)
    assert filled == []


def test_every_service_restarts_and_waits_for_a_healthy_one() -> None:
    """State lies in volumes; what others need has a health check."""
    services = _services()
    needed = {name for service in services.values() for name in service.get("depends_on", {})}
    assert needed == {"postgres", "s3", "mlflow"}
    assert all("healthcheck" in services[name] for name in needed)
    assert all(service["restart"] == "unless-stopped" for service in services.values())
    assert all(services[name]["volumes"] for name in ("postgres", "s3"))
