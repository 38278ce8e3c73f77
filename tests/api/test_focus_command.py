"""`focus` as a user calls it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.errors import ConfigError


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files and devices stay in the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


def _profile(folder: Path, **modules_ms: float) -> Path:
    """A profile as `profile` leaves it; of modules with "_" for the dots."""
    named = {name.replace("_", "."): ms for name, ms in modules_ms.items()}
    total = sum(named.values())
    rows = [{"module": name, "int8_ms": ms, "share": ms / total} for name, ms in named.items()]
    found = {"board": "imx93", "emulated": False, "files": {"fp32": {}, "int8": {}}, "modules": rows}
    path = folder / "profile.json"
    path.write_text(json.dumps({**found, "nodes": rows}), encoding="utf-8")
    return path


def test_a_profile_leads_to_a_space_and_its_size(tmp_path: Path) -> None:
    """The stage that is slow stays free, and the command that is printed searches there."""
    path = _profile(tmp_path, backbone_stage3=6.0, backbone_stage2=0.5, neck_fuse=1.0)
    done = CliRunner().invoke(main, ["focus", "--profile", str(path)])
    assert done.exit_code == 0, done.output
    assert "Focused chain: 780 of 252,720 architectures." in done.stdout
    assert "mlflow_nas search --space chain --set stage2_depth=4" in done.stdout
    assert "--board imx93" in done.stdout
    found = json.loads(CliRunner().invoke(main, ["focus", "--profile", str(path), "--json"]).stdout)
    assert found["bottleneck"][0]["module"] == "backbone.stage3"
    assert {one["space"] for one in found["spaces"]} == {"fastestdet-head", "chain", "multi-branch", "cell"}


def test_the_printed_settings_are_a_space_that_search_takes(tmp_path: Path) -> None:
    """Narrowed with them it has the size that was said."""
    from mlflow_nas.space import load_space, narrow

    found: Any = api.focus(profile=_profile(tmp_path, backbone_stage4=5.0, head_box=1.0))
    suggested = found["suggested"]
    assert narrow(load_space(suggested["space"]), suggested["settings"]).size == suggested["focused_size"]


def test_a_foreign_network_has_no_such_space(tmp_path: Path) -> None:
    """The sentence says what the profile has, and that a space of one's own helps."""
    with pytest.raises(ConfigError, match=r"acts on a module of the profile, which has model\.0: .*--space"):
        api.focus(profile=_profile(tmp_path, model_0=1.0))


@pytest.mark.parametrize("text", ["", "[]", '{"board": "local"}'])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    """The sentence names the file that is one."""
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other\.json is no profile: .*profile\.json"):
        api.focus(profile=path)


@pytest.mark.usefixtures("tracking_uri")
def test_without_a_file_a_profile_is_made() -> None:
    """It is a run of its own, of the architecture that was asked for."""
    found: Any = api.focus(board="fake", arch="channels=24,img_width=220")
    assert found["run_id"]
    assert found["precision"] == "int8"
    assert found["suggested"]["share"] > 0
    assert found["suggested"]["focused_size"] <= found["suggested"]["size"]
