"""The device's folder with links, foreign folders, damaged files and later manifests in it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import DeployedModels, FakeBoard, get_board
from mlflow_nas.errors import BoardError, ConfigError
from mlflow_nas.types import Device

Model = Callable[[int], Path]


def _fake(root: Path, **fields: Any) -> FakeBoard:
    return FakeBoard(root, device=Device(name="fake", transport="fake", directory=str(root), **fields))


@pytest.mark.parametrize("link", ["lock", "staging", "runtime", "deployed"])
def test_links_in_the_devices_folder_are_refused(tmp_path: Path, make_model: Model, link: str) -> None:
    """Nothing is written through them, neither by a deployment nor by a measurement."""
    elsewhere, device = tmp_path / "elsewhere", tmp_path / "device"
    elsewhere.write_text("mine", encoding="utf-8") if link == "lock" else elsewhere.mkdir()
    device.mkdir()
    (device / link).symlink_to(elsewhere)
    board = get_board(Device(name="local", transport="local", directory=str(device)), budget_s=0.05)
    with pytest.raises(BoardError, match=rf"device/{link} is a symbolic link: remove it, then repeat"):
        DeployedModels(board).install("person", make_model(5), {"version": "1"})
    assert (elsewhere.read_text("utf-8") == "mine") if link == "lock" else not list(elsewhere.iterdir())


def test_a_linked_folder_of_uploads_is_not_cleaned(tmp_path: Path, make_model: Model) -> None:
    """Its target keeps its old files."""
    old = tmp_path / "elsewhere/old.txt"
    old.parent.mkdir()
    old.write_text("mine", encoding="utf-8")
    os.utime(old, (0, 0))
    (tmp_path / "device").mkdir()
    (tmp_path / "device/incoming").symlink_to(old.parent)
    with pytest.raises(BoardError, match="incoming is a symbolic link: remove it"):
        DeployedModels(_fake(tmp_path / "device")).install("person", make_model(5), {})
    assert old.is_file()


def test_the_application_learns_that_nothing_is_active(tmp_path: Path, make_model: Model) -> None:
    """After a failed first version `activate` gets an empty version and model; the file still exists."""
    log = tmp_path / "log"
    files = f"ls {tmp_path}/device/deployed/person/models | wc -l >> {log}"
    command = ("sh", "-c", f'echo "$MLFLOW_NAS_NAME:$MLFLOW_NAS_VERSION:$MLFLOW_NAS_MODEL" >> {log}; {files}')
    models = DeployedModels(_fake(tmp_path / "device", activate=command, health=("false",)), health_s=0.1)
    with pytest.raises(BoardError, match="Nothing is active under person, as before"):
        models.install("person", make_model(5), {"version": "1"})
    given, before, taken, still = log.read_text("utf-8").split()
    assert given.startswith("person:1:/")
    assert (before, taken, still) == ("1", "person::", "1")
    assert list((tmp_path / "device/deployed/person/models").iterdir()) == []


def test_a_foreign_folder_among_the_models_stays(tmp_path: Path, make_model: Model) -> None:
    """Deployment and rollback succeed beside it."""
    models = DeployedModels(_fake(tmp_path))
    models.install("person", make_model(5), {"version": "1"})
    (tmp_path / "deployed/person/models/backup").mkdir()
    assert models.install("person", make_model(6), {"version": "2"})["version"] == "2"
    assert models.rollback("person")["version"] == "1"
    assert (tmp_path / "deployed/person/models/backup").is_dir()


def test_a_version_is_never_its_own_previous_one(tmp_path: Path, make_model: Model) -> None:
    """The previous version is deployed again over a damaged active one."""
    models = DeployedModels(_fake(tmp_path))
    models.install("person", make_model(5), {"version": "1"})
    active = models.install("person", make_model(6), {"version": "2"})
    (tmp_path / f"deployed/person/models/{active['sha256']}.onnx").write_bytes(b"damaged")
    assert models.install("person", make_model(5), {"version": "1"})["previous"] is None
    with pytest.raises(ConfigError, match="has no previous version"):
        models.rollback("person")


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"schema": 2}, ConfigError, "has schema 2, this mlflow_nas reads up to 1: upgrade"),
        ({"sha256": "../../../../precious"}, BoardError, "names the file '../../../../precious'"),
    ],
)
def test_an_invalid_previous_manifest_refuses_the_rollback(
    tmp_path: Path, make_model: Model, change: dict[str, object], error: type[Exception], sentence: str
) -> None:
    """The active version stays."""
    models = DeployedModels(_fake(tmp_path))
    models.install("person", make_model(5), {"version": "1"})
    models.install("person", make_model(6), {"version": "2"})
    path = tmp_path / "deployed/person/manifest.json"
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**found, "previous": {**found["previous"], **change}}), encoding="utf-8")
    with pytest.raises(error, match=sentence):
        models.rollback("person")
    assert models.get("person").manifest["version"] == "2"
