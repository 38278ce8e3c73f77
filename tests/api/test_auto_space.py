"""`search --space auto`."""

from pathlib import Path

import pytest

from mlflow_nas.api.auto_space import with_space
from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.data import DetectionDataset
from mlflow_nas.types import Architecture

DATA = "synthetic:train=2,val=1,size=64"


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files and devices stay in the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_NAS_WORK", str(tmp_path / "work"))


def test_the_space_is_suggested_once_and_the_users_choices_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what each choice saves on the board: 4:3 images make the height one of them."""
    monkeypatch.setattr(DetectionDataset, "aspect", 4 / 3)
    measured: list[Architecture] = []

    def latency(architecture: Architecture) -> float:
        measured.append(architecture)
        return float(architecture["img_width"]) * float(architecture["img_height"]) / 320**2

    options = {"data": DATA, "board": "fake", "space": "auto"}
    found = with_space(load_config(SearchConfig, options), latency=latency)
    count = len(measured)
    assert count > 2
    fixed = {one.partition("=")[0]: one.partition("=")[2] for one in found.space.choices}
    assert fixed["img_height"] == "240..320:16"
    assert "img_width" not in fixed
    again = load_config(SearchConfig, {**options, "set": "space.img_width=320"})
    assert "img_width=320" in with_space(again, latency=latency).space.choices
    assert len(measured) == count


def test_a_space_that_is_named_is_not_measured() -> None:
    """Nothing is opened."""
    config = load_config(SearchConfig, {"space": "chain", "data": "coco:/nowhere"})
    assert with_space(config) is config
