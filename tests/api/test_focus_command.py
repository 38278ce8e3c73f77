"""`focus` as a user calls it."""

import json
import os
import shlex
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from tiny_space import NAME as TINY

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.data import DetectionDataset
from mlflow_nas.errors import ConfigError
from mlflow_nas.space import open_space
from mlflow_nas.types import Architecture


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
    found = {"board": "fake", "emulated": False, "files": {"fp32": {}, "int8": {}}, "modules": rows}
    path = folder / "profile.json"
    path.write_text(json.dumps({**found, "nodes": rows}), encoding="utf-8")
    return path


def _pixels(architecture: Architecture) -> float:
    """A latency of the input's pixels alone."""
    return float(architecture["img_width"]) * float(architecture.get("img_height", 128)) / 128**2


def test_the_printed_command_is_a_search_of_what_was_focused(tmp_path: Path) -> None:
    """On the user's data, from the user's weights, quoted for a shell; 4:3 images add the height."""
    path = _profile(tmp_path, head_0=6.0)
    given = {"data": "synthetic:train=2,val=1,size=64", "weights": "my seed.pth", "classes": "person"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DetectionDataset, "aspect", 4 / 3)
        found = api.focus(profile=path, board="fake", space=TINY, latency=_pixels, **given)
    suggested = found.suggested
    words = shlex.split(suggested["command"])
    for option, value in given.items():
        assert words[words.index(f"--{option}") + 1] == value
    chosen = load_config(SearchConfig, {"set": words[words.index("--set") + 1]})
    assert chosen.space.choices == ("channels=24", "kernel_size=3", "img_height=96..128:16")
    assert open_space(TINY, chosen.space.choices).size == suggested["focused_size"] == 9
    assert [one["saving"] for one in suggested["parameters"][:2]] == [0.5, 0.25]


def test_a_profile_of_another_board_is_refused(tmp_path: Path) -> None:
    """Savings would be those of another machine."""
    with pytest.raises(ConfigError, match=r"of the board fake, and savings .* on local: give --board fake"):
        api.focus(profile=_profile(tmp_path, neck_fuse=6.0))


def test_a_foreign_network_has_no_such_space(tmp_path: Path) -> None:
    """The sentence says what the profile has, and that a space of one's own helps."""
    with pytest.raises(ConfigError, match=r"acts on a module of the profile, which has model\.0: .*--space"):
        api.focus(profile=_profile(tmp_path, model_0=1.0), board="fake")


@pytest.mark.parametrize("text", ["", "[]", '{"board": "local"}'])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    """The sentence names the file that is one."""
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"other\.json is no profile .*profile\.json"):
        api.focus(profile=path)


def test_a_folder_is_no_profile(tmp_path: Path) -> None:
    """Nor is a FIFO, which would be waited for."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"is no file: give the profile\.json"):
            api.focus(profile=path)


@pytest.mark.usefixtures("tracking_uri")
def test_without_a_file_a_profile_is_made_and_not_logged() -> None:
    """The fake board's latency is mostly one of pixels: the width alone stays; MLflow holds no run of it."""
    done = CliRunner().invoke(main, ["focus", "--board", "fake", "--space", TINY])
    assert done.exit_code == 0, done.output
    assert f"Focused {TINY}: 3 of 18 architectures." in done.stdout
    rows = done.stdout.partition("saves")[2].splitlines()[1:4]
    assert sorted(row.split()[0] for row in rows[1:]) == ["channels", "kernel_size"]
    assert rows[0].split()[0] == "img_width"
    assert [row.rstrip().endswith("(the baseline's)") for row in rows] == [False, True, True]
    assert "mlflow_nas search --study focused-tiny --data DATA --classes person" in done.stdout
    assert f"No parameter of {TINY} acts on: detector " in done.stdout
    assert mlflow.search_runs(output_format="list", search_all_experiments=True) == []
