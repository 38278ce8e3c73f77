"""deploy/device: the agent's example settings and units fit the program."""

import json
import re
import shlex
from pathlib import Path

from mlflow_nas.board.runtime.dispatch import COMMANDS
from mlflow_nas.board.runtime.source import open_source

FOLDER = Path(__file__).parents[2] / "deploy/device"


def test_the_example_settings_open_a_source(tmp_path: Path) -> None:
    """With a key where they say."""
    settings = json.loads((FOLDER / "agent.json").read_text(encoding="utf-8"))
    key = tmp_path / "credentials"
    key.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n", encoding="utf-8")
    source = {**settings["source"], "credentials": str(key)}
    open_source(source, device=settings["device"], name=settings["name"])
    assert settings.keys() == {"device", "name", "source", "limits", "session", "activation"}


def test_the_units_call_commands_that_exist() -> None:
    """The agent's polls once, with its settings; the detector's starts the program of this folder."""
    agent, detect = (
        (FOLDER / f"mlflow-nas-{name}@.service").read_text(encoding="utf-8") for name in ("agent", "detect")
    )
    words = shlex.split(re.findall(r"^ExecStart=(.*)$", agent, flags=re.MULTILINE)[0])
    assert words[2] in COMMANDS
    assert json.loads(words[3]) == {"config": "mlflow_nas/agent/%i.json"}
    assert "ExecStart=/usr/bin/python3 detect.py mlflow_nas/deployed/%i" in detect
