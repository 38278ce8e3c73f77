"""Preflight and verification of a version before it becomes the active one."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_nas.board import DeployedModels, DeviceBoard, FakeBoard, get_board
from mlflow_nas.config import find_device
from mlflow_nas.deployments import Options, deploy
from mlflow_nas.deployments import switch as switch_module
from mlflow_nas.errors import BoardError, CandidateError, ConfigError, NasError, RegistryError
from mlflow_nas.types import Device

Register = Callable[..., str]
Inventory = Callable[..., None]


def _active(device: str = "fake") -> str | None:
    found = DeployedModels(get_board(find_device(device))).find("person-detector")
    assert found is None or found.intact
    return found and str(found.manifest["version"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"precision": "fp32"}, "Version 2 of person-detector is fp32, not int8: quantize it, or give force"),
        (
            {"latency_ms": None, "latency_raw_ms": None},
            "has no measured latency: measure it, or give force=true",
        ),
        ({"nas.board": "nano"}, "was measured on the board nano, not on fake: search with --board fake, or"),
        ({"golden": False}, "has no golden samples: log the model again, or give force=true"),
        (
            {"nas.latency_unstable": "true"},
            "is refused: its latency is unstable. Deploy another one, or give",
        ),
        (
            {"map": "2e-05", "nas.reference_map": "0.512"},
            "is refused: map is 2e-05, less than half of the reference's 0.512. Deploy another one, or give",
        ),
        ({"latency_ms": "-1"}, "is refused: latency_ms is -1, a measured one is above 0"),
    ],
)
def test_an_unmeasured_version_needs_force(
    client: MlflowClient, register: Register, fields: dict[str, object], sentence: str
) -> None:
    """Not int8, not measured, measured elsewhere, without golden samples, or refused by the registry."""
    deploy(client, "person-detector", device="fake")
    register(**fields)
    with pytest.raises(ConfigError, match=sentence):
        deploy(client, "person-detector", device="fake")
    assert _active() == "1"
    made = deploy(client, "person-detector", device="fake", options=Options(force=True))
    assert made["version"] == _active() == "2"
    assert "latency_raw_ms" in made["verification"]


def test_a_version_without_raw_latency_is_deployed(client: MlflowClient, register: Register) -> None:
    """Older versions have `latency_ms` only; newer ones without a reference have `latency_raw_ms` only."""
    for missing in ("latency_raw_ms", "latency_ms"):
        version = register(**{missing: None})
        made = deploy(client, "person-detector", device="fake")
        assert made["version"] == version
        assert missing not in made["metrics"]


def test_damaged_golden_samples_need_force(client: MlflowClient, register: Register, tmp_path: Path) -> None:
    """Without them nothing is compared."""
    register()
    (tmp_path / "registered-1/golden.npz").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"golden.npz can't be read.*give force=true"):
        deploy(client, "person-detector", device="fake")
    assert "golden_drift" not in deploy(
        client, "person-detector", device="fake", options=Options(force=True)
    )["verification"]  # fmt: skip


def test_a_changed_file_is_refused_and_the_old_version_stays(
    client: MlflowClient, register: Register
) -> None:
    """A file with another sha256 than the measured one is not sent."""
    deploy(client, "person-detector", device="fake")
    register(sha256="0" * 64)
    with pytest.raises(RegistryError, match="it was changed since"):
        deploy(client, "person-detector", device="fake", options=Options(force=True))
    assert _active() == "1"


def test_different_outputs_on_the_device_are_refused(client: MlflowClient, register: Register) -> None:
    """By the golden samples, with the numbers, also with force."""
    assert deploy(client, "person-detector", device="fake")["verification"]["golden_drift"] == 0
    register(drift=0.01)
    with pytest.raises(
        CandidateError,
        match=r"channel 0 differs by 0.01 .*allowed is 0.001.*doctor --board fake. Version 1 is active",
    ):
        deploy(client, "person-detector", device="fake", options=Options(force=True))
    assert _active() == "1"


def test_a_model_over_the_latency_limit_is_refused(
    store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """The device's limit is compared with the wall-clock time measured on it now."""
    inventory(gate={"latency_limit_ms": 1.0})
    register(**{"nas.board": "gate"})
    deploy(store, "person-detector", device="gate")
    register(img_size=(320, 480), **{"nas.board": "gate"})
    with pytest.raises(
        CandidateError, match=r"takes 2.04 ms on gate, latency_limit_ms is 1: deploy a faster"
    ):
        deploy(store, "person-detector", device="gate", options=Options(max_regression=None))
    assert _active("gate") == "1"


def test_a_model_over_the_size_limit_is_refused_by_the_preflight(
    store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """Also with force: the device has no space."""
    inventory(gate={"max_model_bytes": 100})
    register(**{"nas.board": "gate"})
    with pytest.raises(ConfigError, match=r"has \d+ bytes, max_model_bytes of gate is 100: deploy a smaller"):
        deploy(store, "person-detector", device="gate", options=Options(force=True))


def test_a_slower_version_than_the_active_one_is_refused(client: MlflowClient, register: Register) -> None:
    """By default if more than a tenth slower; the error has the option that allows it."""
    deploy(client, "person-detector", device="fake")
    register(img_size=(320, 480))
    sentence = r"3.95 times the active version 1, max_regression allows 1.10 times: .*max_regression=3.0"
    with pytest.raises(CandidateError, match=sentence):
        deploy(client, "person-detector", device="fake")
    assert _active() == "1"
    made = deploy(client, "person-detector", device="fake", options=Options(max_regression=3.0))
    assert made["verification"]["ratio_to_active"] == pytest.approx(3.95, abs=0.01)
    assert made["previous"]["version"] == "1"


def test_an_unstable_measurement_over_a_limit_is_a_board_error(
    client: MlflowClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its cause; below the limits the manifest records that it is unstable."""

    def unstable(device: Device) -> DeviceBoard:
        board = FakeBoard(Path(device.directory), device=device)
        board.unstable_cause = "only 3 of 40 runs kept the processor"
        return board

    deploy(client, "person-detector", device="fake")
    register(img_size=(320, 480))
    monkeypatch.setattr(switch_module, "get_board", unstable)
    message = (
        r"max_regression allows .*But the measurement is unstable \(only 3 of 40 runs kept the processor"
    )
    with pytest.raises(BoardError, match=message):
        deploy(client, "person-detector", device="fake")
    made = deploy(client, "person-detector", device="fake", options=Options(max_regression=None))
    assert made["verification"]["latency_unstable"]


def test_an_emulated_device_measures_nothing(
    store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """Its times are no latencies: golden samples are compared, limits are not checked."""
    inventory(arm={"emulated": True, "latency_limit_ms": 0.001})
    register(latency_ms=None, latency_raw_ms=None)
    made = deploy(store, "person-detector", device="arm", options=Options(force=True))
    assert made["verification"] == {"golden_drift": 0}


def test_a_damaged_active_file_is_not_timed(client: MlflowClient, register: Register, tmp_path: Path) -> None:
    """A deployment replaces it."""
    made = deploy(client, "person-detector", device="fake")
    (file,) = (tmp_path / "home").rglob(f"{made['sha256']}.onnx")
    file.write_bytes(b"bits fell over")
    register(img_size=(320, 480))
    assert deploy(client, "person-detector", device="fake")["version"] == "2"


@pytest.mark.parametrize("command", ["infer", "time", "install"])
def test_a_failure_at_any_step_keeps_the_active_version(
    client: MlflowClient, register: Register, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The golden samples, the measurement, the switch; the error names it."""
    deploy(client, "person-detector", device="fake")
    register()

    def failing(device: Device) -> DeviceBoard:
        return FakeBoard(Path(device.directory), device=device, fail_on={command: BoardError("unplugged")})

    monkeypatch.setattr(switch_module, "get_board", failing)
    with pytest.raises(BoardError, match=r"unplugged\. Version 1 is active as person-detector on fake"):
        deploy(client, "person-detector", device="fake")
    assert _active() == "1"


KILLED_INSTALL = """
import os, runpy, signal, sys
if sys.argv[2] == "install":
    os.kill(os.getpid(), signal.SIGKILL)
sys.argv[:] = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_killed_process_on_the_device_keeps_the_active_version(
    store: MlflowClient,
    register: Register,
    inventory: Inventory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kill -9 of the device's last process; `test_deployed.py` kills at each step of the switch."""
    script, root = tmp_path / "python.py", tmp_path / "gate"
    script.write_text(KILLED_INSTALL, encoding="utf-8")
    inventory(gate={"transport": "local", "directory": str(root), "python": [sys.executable, str(script)]})
    register(**{"nas.board": "gate"})
    models = DeployedModels(FakeBoard(root))
    models.install("person-detector", tmp_path / "registered-0/model.onnx", {"version": "1"})
    register(**{"nas.board": "gate"})
    monkeypatch.setattr(switch_module, "get_board", lambda device: get_board(device, budget_s=0.05))
    message = r"gate, install: .*code -9 without an answer.*Version 1 is active as person-detector on gate"
    with pytest.raises(BoardError, match=message):
        deploy(store, "person-detector", device="gate", options=Options(max_regression=None))
    assert models.get("person-detector").manifest["version"] == "1"


def test_an_unconfirmed_switch_is_named(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a lost connection the health check may still be running."""
    deploy(client, "person-detector", device="fake")
    (path,) = (tmp_path / "home").rglob("manifest.json")

    def failing(device: Device) -> DeviceBoard:
        path.write_text(path.read_text("utf-8").replace('"confirmed": true', '"confirmed": false'), "utf-8")
        return FakeBoard(Path(device.directory), device=device, fail_on={"install": BoardError("lost")})

    monkeypatch.setattr(switch_module, "get_board", failing)
    with pytest.raises(BoardError, match=r"lost\. Version 1 is active as .* not yet confirmed: query"):
        deploy(client, "person-detector", device="fake")


def test_after_a_lost_device_the_active_version_is_unknown(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the command that queries it."""
    broken: dict[str, NasError] = {"another command": BoardError("not this one")}

    def failing(device: Device) -> DeviceBoard:
        return FakeBoard(Path(device.directory), device=device, fail_on=broken)

    def pull(*_: object, **__: object) -> None:
        broken.update(dict.fromkeys(("infer", "get"), BoardError("unplugged")))

    monkeypatch.setattr(switch_module, "get_board", failing)
    monkeypatch.setattr(switch_module, "_check_mode", pull)
    with pytest.raises(BoardError, match=r"unplugged\. The active version on fake is unknown: query"):
        deploy(client, "person-detector", device="fake")


def test_a_failing_health_check_restores_the_old_version(
    store: MlflowClient, register: Register, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the active version."""
    inventory(gate={"health": "sh -c 'test $MLFLOW_NAS_VERSION = 1'", "activate": "true"})
    register(**{"nas.board": "gate"})
    assert deploy(store, "person-detector", device="gate")["confirmed"]
    register(**{"nas.board": "gate"})
    monkeypatch.setitem(DeployedModels.__init__.__kwdefaults__, "health_s", 0.2)
    with pytest.raises(BoardError, match=r"health \(sh .*Version 1 is active again. Version 1 is active as"):
        deploy(store, "person-detector", device="gate")
    assert _active("gate") == "1"
