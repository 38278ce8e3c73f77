"""What is refused, and what must be shown on the device, before a version becomes the active one."""

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
    assert found is None or found.whole
    return found and str(found.manifest["version"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"precision": "fp32"}, "Version 2 of person-detector is fp32, not int8: quantize it, or give force"),
        ({"latency_ms": None}, "has no measured latency: measure it, or give force=true"),
        ({"nas.board": "nano"}, "was measured on the board nano, not on fake: search with --board fake, or"),
        ({"golden": False}, "has no golden samples: log the model anew, or give force=true"),
    ],
)
def test_what_is_not_known_well_enough_needs_force(
    client: MlflowClient, register: Register, fields: dict[str, object], sentence: str
) -> None:
    """Not int8, not measured, measured elsewhere, without golden samples."""
    deploy(client, "person-detector", device="fake")
    register(**fields)
    with pytest.raises(ConfigError, match=sentence):
        deploy(client, "person-detector", device="fake")
    assert _active() == "1"
    made = deploy(client, "person-detector", device="fake", options=Options(force=True))
    assert made["version"] == _active() == "2"
    assert "latency_ms" in made["proof"]


def test_damaged_golden_samples_need_force(client: MlflowClient, register: Register, tmp_path: Path) -> None:
    """They can't be compared with anything."""
    register()
    (tmp_path / "registered-1/golden.npz").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"golden.npz can't be read.*give force=true"):
        deploy(client, "person-detector", device="fake")
    assert "golden_drift" not in deploy(
        client, "person-detector", device="fake", options=Options(force=True)
    )["proof"]  # fmt: skip


def test_a_changed_file_is_refused_and_the_old_version_stays(
    client: MlflowClient, register: Register
) -> None:
    """A file whose sha256 is not the measured one never reaches the device."""
    deploy(client, "person-detector", device="fake")
    register(sha256="0" * 64)
    with pytest.raises(RegistryError, match="it was changed since"):
        deploy(client, "person-detector", device="fake", options=Options(force=True))
    assert _active() == "1"


def test_a_device_that_computes_something_else_is_not_deployed_to(
    client: MlflowClient, register: Register
) -> None:
    """The golden samples tell, with the numbers, and no force helps."""
    assert deploy(client, "person-detector", device="fake")["proof"]["golden_drift"] == 0
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
    """The device's limit is held against what was measured there just now; the size limit, too."""
    inventory(gate={"latency_limit_ms": 1.0})
    register(**{"nas.board": "gate"})
    deploy(store, "person-detector", device="gate")
    register(img_size=(320, 480), **{"nas.board": "gate"})
    with pytest.raises(
        CandidateError, match=r"takes 2.04 ms on gate, latency_limit_ms is 1: deploy a faster"
    ):
        deploy(store, "person-detector", device="gate", options=Options(max_regression=None))
    assert _active("gate") == "1"


def test_a_model_over_the_size_limit_is_refused_before_it_is_sent(
    store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """No force helps: the device has no room."""
    inventory(gate={"max_model_bytes": 100})
    register(**{"nas.board": "gate"})
    with pytest.raises(ConfigError, match=r"has \d+ bytes, max_model_bytes of gate is 100: deploy a smaller"):
        deploy(store, "person-detector", device="gate", options=Options(force=True))


def test_a_slower_version_than_the_active_one_is_refused(client: MlflowClient, register: Register) -> None:
    """By default more than a tenth slower; the limit is an option, and the remedy is said."""
    deploy(client, "person-detector", device="fake")
    register(img_size=(320, 480))
    sentence = r"3.95 times the active version 1, max_regression allows 1.10 times: .*max_regression=3.0"
    with pytest.raises(CandidateError, match=sentence):
        deploy(client, "person-detector", device="fake")
    assert _active() == "1"
    made = deploy(client, "person-detector", device="fake", options=Options(max_regression=3.0))
    assert made["proof"]["ratio_to_active"] == pytest.approx(3.95, abs=0.01)
    assert made["previous"]["version"] == "1"


def test_a_measurement_that_varies_refuses_as_the_boards_fault(
    client: MlflowClient, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a limit it is no proof of slowness; below, the manifest says that it varies."""
    from mlflow_nas.board import fake

    deploy(client, "person-detector", device="fake")
    register(img_size=(320, 480))
    steady = fake._time
    monkeypatch.setattr(
        fake, "_time", lambda **options: {**steady(**options), "unstable": True, "spread": 0.2}
    )
    with pytest.raises(BoardError, match=r"max_regression allows .*But the measurement varies by 20.0%: see"):
        deploy(client, "person-detector", device="fake")
    made = deploy(client, "person-detector", device="fake", options=Options(max_regression=None))
    assert made["proof"]["latency_unstable"]


def test_an_emulated_device_measures_nothing(
    store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """Its times are no latencies: golden samples are compared, limits are not."""
    inventory(arm={"emulated": True, "latency_limit_ms": 0.001})
    register(latency_ms=None)
    made = deploy(store, "person-detector", device="arm", options=Options(force=True))
    assert made["proof"] == {"golden_drift": 0}


def test_a_damaged_active_file_is_no_rival(client: MlflowClient, register: Register, tmp_path: Path) -> None:
    """A device whose file is broken can be mended by a deployment."""
    made = deploy(client, "person-detector", device="fake")
    (file,) = (tmp_path / "home").rglob(f"{made['sha256']}.onnx")
    file.write_bytes(b"bits fell over")
    register(img_size=(320, 480))
    assert deploy(client, "person-detector", device="fake")["version"] == "2"


@pytest.mark.parametrize("command", ["infer", "time", "install"])
def test_a_device_that_fails_at_any_step_keeps_its_version_and_says_so(
    client: MlflowClient, register: Register, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The golden samples, the measurement, the switch."""
    deploy(client, "person-detector", device="fake")
    register()

    def failing(device: Device) -> DeviceBoard:
        return FakeBoard(Path(device.directory), device=device, fail_on={command: BoardError("unplugged")})

    monkeypatch.setattr(switch_module, "get_board", failing)
    with pytest.raises(BoardError, match=r"unplugged\. Version 1 is active as person-detector on fake"):
        deploy(client, "person-detector", device="fake")
    assert _active() == "1"


DEADLY = """
import os, runpy, signal, sys
if sys.argv[2] == os.environ.get("DEADLY"):
    os.kill(os.getpid(), signal.SIGKILL)
sys.argv[:] = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_process_that_is_killed_on_the_device_leaves_the_version(
    store: MlflowClient,
    register: Register,
    inventory: Inventory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kill -9 of each of the device's processes in turn; `test_deployed.py` kills within the switch."""
    script = tmp_path / "python.py"
    script.write_text(DEADLY, encoding="utf-8")
    fields = {
        "transport": "local",
        "directory": str(tmp_path / "gate"),
        "python": [sys.executable, str(script)],
    }
    options = Options(max_regression=None)
    monkeypatch.setattr(switch_module, "get_board", lambda device: get_board(device, budget_s=0.1))
    inventory(gate=fields)
    register(**{"nas.board": "gate"})
    deploy(store, "person-detector", device="gate", options=options)
    register(**{"nas.board": "gate"})
    for command in ("infer", "time", "install"):
        inventory(gate={**fields, "environment": {"DEADLY": command}})
        sentence = rf"gate, {command}: .*code -9 without an answer.*Version 1 is active as person-detector on"
        with pytest.raises(BoardError, match=sentence):
            deploy(store, "person-detector", device="gate", options=options)
    assert _active("gate") == "1"
    inventory(gate=fields)
    assert deploy(store, "person-detector", device="gate", options=options)["previous"]["version"] == "1"


def test_a_switch_that_is_still_under_way_is_said(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a lost connection the device may still ask for the application's health."""
    deploy(client, "person-detector", device="fake")
    (path,) = (tmp_path / "home").rglob("manifest.json")

    def failing(device: Device) -> DeviceBoard:
        path.write_text(path.read_text("utf-8").replace('"confirmed": true', '"confirmed": false'), "utf-8")
        return FakeBoard(Path(device.directory), device=device, fail_on={"install": BoardError("lost")})

    monkeypatch.setattr(switch_module, "get_board", failing)
    with pytest.raises(BoardError, match=r"lost\. Version 1 is active as .* not yet confirmed: ask again"):
        deploy(client, "person-detector", device="fake")


def test_a_device_that_is_gone_says_how_to_ask_later(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is active now is not guessed."""
    broken: dict[str, NasError] = {"another command": BoardError("well so far")}

    def failing(device: Device) -> DeviceBoard:
        return FakeBoard(Path(device.directory), device=device, fail_on=broken)

    def pull(*_: object, **__: object) -> None:
        broken.update(dict.fromkeys(("infer", "get"), BoardError("unplugged")))

    monkeypatch.setattr(switch_module, "get_board", failing)
    monkeypatch.setattr(switch_module, "_check_mode", pull)
    with pytest.raises(BoardError, match=r"unplugged\. fake can't be asked what is active now: ask it with"):
        deploy(client, "person-detector", device="fake")


def test_an_application_that_is_not_well_has_the_old_version_again(
    store: MlflowClient, register: Register, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its health check decides, and the sentence says what is active."""
    inventory(gate={"health": "sh -c 'test $MLFLOW_NAS_VERSION = 1'", "activate": "true"})
    register(**{"nas.board": "gate"})
    assert deploy(store, "person-detector", device="gate")["confirmed"]
    register(**{"nas.board": "gate"})
    monkeypatch.setitem(DeployedModels.__init__.__kwdefaults__, "health_s", 0.2)
    with pytest.raises(BoardError, match=r"health \(sh .*Version 1 is active again. Version 1 is active as"):
        deploy(store, "person-detector", device="gate")
    assert _active("gate") == "1"
