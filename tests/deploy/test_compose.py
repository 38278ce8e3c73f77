"""deploy/compose.yaml: what it starts is what the tests start, and nothing has a default password."""

import re
from pathlib import Path
from typing import Any

import click
import yaml
from mlflow_stack import SERVE

from mlflow_nas.cli import main

PROJECT = Path(__file__).parents[2]
COMPOSE = PROJECT / "deploy/compose.yaml"


def _services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"])


def test_the_server_is_started_by_the_script_that_the_tests_start() -> None:
    """With every variable that the script demands."""
    server = _services()["mlflow"]
    assert PROJECT / server["command"][0] == SERVE
    demanded = set(re.findall(r'^: "\$\{(\w+):\?', SERVE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert demanded
    assert demanded <= server["environment"].keys()


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
