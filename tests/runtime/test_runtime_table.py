"""Which runtime a device's record names."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.runtime import ENTRY_POINTS, LiteRt, OnnxRuntime, Placement, Vela, get_runtime
from mlflow_nas.types import Device

DEVICE = Device(name="imx93", transport="local", directory="", accelerator="ethos-u65-256")


@pytest.mark.parametrize(
    ("name", "kind", "suffix"),
    [("onnxruntime", OnnxRuntime, ".onnx"), ("litert", LiteRt, ".tflite"), ("vela", Vela, ".tflite")],
)
def test_ours_are_known_by_name(name: str, kind: type, suffix: str) -> None:
    """The name is the one in the inventory, and files end as the runtime says."""
    found = get_runtime(replace(DEVICE, runtime=name))
    assert isinstance(found, kind)
    assert (found.name, found.suffix) == (name, suffix)


def test_another_package_brings_one_by_an_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made of the device; one that can't be made is a sentence."""
    (tmp_path / "own_runtime.py").write_text(
        "class Own:\n    name = 'own'\n    def __init__(self, device):\n        self.device = device\n"
        "def broken(device):\n    raise OSError('no driver')\n"
    )
    info = tmp_path / "own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\nown = own_runtime:Own\nbroken = own_runtime:broken\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    device = replace(DEVICE, runtime="own")
    found = get_runtime(device)
    assert (found.name, vars(found)["device"]) == ("own", device)
    with pytest.raises(ConfigError, match=r"runtime broken of imx93 can't be loaded .*: OSError: no driver"):
        get_runtime(replace(DEVICE, runtime="broken"))
    sys.modules.pop("own_runtime")


def test_an_unknown_runtime_lists_the_known_ones() -> None:
    """With the place of the mistake."""
    with pytest.raises(ConfigError, match=r"runtime 'tflite', known are onnxruntime, litert, vela and those"):
        get_runtime(replace(DEVICE, runtime="tflite"))


def test_a_placement_has_metrics_where_there_is_an_npu() -> None:
    """The share of its operators, and the memory that the compiler planned."""
    found = Placement(operators={"npu": 3, "cpu": 1}, memory={"sram": 1024})
    assert found.metrics == {"npu_share": 0.75, "sram_bytes": 1024.0}
    assert Placement(operators={"cpu": 4}).metrics == {}
