"""`focus` as a user calls it."""

import json
import os
import shlex
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.config import SearchConfig, load_config
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
    path = _profile(tmp_path, backbone_stage3=6.0, backbone_stage2=0.5, neck_fuse=1.0, backbone_stem=1.0)
    done = CliRunner().invoke(main, ["focus", "--profile", str(path)])
    assert done.exit_code == 0, done.output
    assert "Focused chain: 780 of 252,720 architectures." in done.stdout
    assert "mlflow_nas search --study focused-chain --data DATA --classes person --space chain" in done.stdout
    assert "--board imx93 --set 'space.stage2_depth=4 space.stage2_width=24" in done.stdout
    assert "No parameter of chain acts on: neck.fuse 11.8 %, backbone.stem 11.8 %" in done.stdout
    found = json.loads(CliRunner().invoke(main, ["focus", "--profile", str(path), "--json"]).stdout)
    assert found["bottleneck"][0]["module"] == "backbone.stage3"
    assert {one["space"] for one in found["spaces"]} == {"fastestdet-head", "chain", "multi-branch", "cell"}


def test_the_printed_settings_are_a_space_that_search_takes(tmp_path: Path) -> None:
    """Narrowed with them it has the size that was said."""
    from mlflow_nas.space import load_space, narrow

    suggested = api.focus(profile=_profile(tmp_path, backbone_stage4=5.0, head_box=1.0)).suggested
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
    with pytest.raises(ConfigError, match=r"other\.json is no profile .*profile\.json"):
        api.focus(profile=path)


def test_the_printed_command_searches_on_the_users_data_from_the_users_weights(tmp_path: Path) -> None:
    """With quotes where a shell needs them."""
    path = _profile(tmp_path, backbone_stage3=6.0)
    given = {"data": "coco:my data", "weights": "seed.pth", "classes": "person,traffic light"}
    words = shlex.split(api.focus(profile=path, **given).suggested["command"])
    for option, value in given.items():
        assert words[words.index(f"--{option}") + 1] == value
    chosen = load_config(SearchConfig, {"set": words[words.index("--set") + 1]})
    assert "stage2_depth=4" in chosen.space.choices


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    """Nor is a FIFO, which would be waited for."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"is no file: give the profile\.json"):
            api.focus(profile=path)


@pytest.mark.usefixtures("tracking_uri")
def test_without_a_file_a_profile_is_made_and_not_logged() -> None:
    """Of the architecture that was asked for; MLflow holds no run of it."""
    found = api.focus(board="fake", arch="channels=24,img_width=220")
    assert found.precision == "int8"
    assert found.suggested["share"] > 0
    assert found.suggested["focused_size"] <= found.suggested["size"]
    assert mlflow.search_runs(output_format="list", search_all_experiments=True) == []
