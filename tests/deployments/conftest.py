"""A registry on sqlite with small detectors, and an inventory of fake devices."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from small_detectors import write_golden_samples, write_model
from tflite_samples import write_detector

Register = Callable[..., str]
"""register(img_size=(32, 48), precision=..., sha256=..., drift=..., golden=..., tags=...) -> version"""


@pytest.fixture
def store(tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """An empty registry."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    return MlflowClient(tracking_uri)


@pytest.fixture
def register(store: MlflowClient, tmp_path: Path) -> Register:
    """Registers one more version, which becomes the champion."""

    def add(
        *,
        img_size: tuple[int, int] = (32, 48),
        precision: str = "int8",
        sha256: str = "",
        drift: float = 0.0,
        golden: bool = True,
        suffix: str = ".onnx",
        **tags: str | None,
    ) -> str:
        count = len(store.search_model_versions("name='person-detector'"))
        file = tmp_path / f"registered-{count}" / f"model{suffix}"
        file.parent.mkdir()
        if suffix == ".onnx":
            write_model(file, precision, img_size, 0.01 * (count + 1))
        else:
            write_detector(file, size=img_size[0])
        if golden:
            write_golden_samples(file, img_size, drift)
        if not store.search_registered_models("name='person-detector'"):
            store.create_registered_model("person-detector")
        known = {"nas.sha256": sha256 or hashlib.sha256(file.read_bytes()).hexdigest(), "nas.board": "fake"}
        known |= {"map": "0.5", "map_50": "0.8", "latency_ms": "4.5", "latency_raw_ms": "5.0"}
        given = {name: value for name, value in (known | tags).items() if value is not None}
        run = store.create_run("0").info
        made = store.create_model_version("person-detector", file.parent.as_uri(), run.run_id, tags=given)
        store.set_registered_model_alias("person-detector", "champion", made.version)
        return str(made.version)

    return add


@pytest.fixture
def client(store: MlflowClient, register: Register) -> MlflowClient:
    """A registry whose champion, version 1, is an int8 detector that was measured on `fake`."""
    register()
    return store


@pytest.fixture
def inventory(tmp_path: Path, store: MlflowClient) -> Callable[..., None]:  # noqa: ARG001 - it changes the folder
    """Writes ./devices.yaml of fake devices: a keyword per device, with its further fields."""

    def write(**devices: dict[str, object]) -> None:
        entries = {
            name.replace("_", "-"): {"transport": "fake", "directory": str(tmp_path / name), **fields}
            for name, fields in devices.items()
        }
        (tmp_path / "devices.yaml").write_text(
            yaml.safe_dump({"devices": entries}, sort_keys=False), encoding="utf-8"
        )

    return write
