"""The protocol of a measurement: repeated when it varies, flagged, kept, with its power."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from mlflow_nas.board import DeviceBoard, get_board
from mlflow_nas.board.runtime import facts as device_facts
from mlflow_nas.board.runtime import power, timing
from mlflow_nas.board.runtime.facts import is_throttled
from mlflow_nas.board.runtime.timing import spread, time_
from mlflow_nas.board.runtime.turns import Clocked, take_turns
from mlflow_nas.types import Device

Model = Callable[[int], Path]


def _write(root: Path, files: dict[str, str]) -> Path:
    """A file system of the test's own."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    return root


@pytest.fixture
def arm(tmp_path: Path) -> Path:
    """What a small arm64 board shows of itself."""
    return _write(
        tmp_path / "system",
        {
            "sys/firmware/devicetree/base/model": "NXP i.MX93 11X11 EVK board\0",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1700000",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_max_freq": "1700000",
            "sys/class/thermal/thermal_zone0/temp": "48500",
            "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0",
            "sys/class/thermal/cooling_device0/cur_state": "0",
            "sys/class/hwmon/hwmon0/name": "ina231",
            "sys/class/hwmon/hwmon0/curr1_input": "400",
            "sys/class/hwmon/hwmon0/in1_input": "5000",
            "proc/loadavg": "0.31 0.20 0.10 1/100 1234",
            "proc/meminfo": "MemTotal:        2048000 kB\nMemAvailable:    1024000 kB",
        },
    )


def test_facts_are_read_from_the_system(arm: Path) -> None:
    """SoC, governor and clock of the core that counts, temperature, load, memory, cooling."""
    found = device_facts(str(arm), core=1)
    expected = {
        "soc": "NXP i.MX93 11X11 EVK board",
        "governor": "performance",
        "clock_mhz": "1700",
        "temperature_c": "48",
        "cooling_state": "0",
        "load_1min": "0.31",
        "memory_mb": "2000",
        "memory_free_mb": "1000",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "throttle_count" not in found, "absent where unreadable"


@pytest.mark.parametrize(
    ("before", "after", "throttled"),
    [
        ({}, {}, False),
        ({"throttle_count": "3"}, {"throttle_count": "3"}, False),
        ({"throttle_count": "3"}, {"throttle_count": "4"}, True),
        ({"cooling_state": "0"}, {"cooling_state": "2"}, True),
        ({"throttle_flags": "50000"}, {"throttle_flags": "50000"}, False),
        ({"throttle_flags": "50000"}, {"throttle_flags": "50005"}, True),
    ],
)
def test_throttling_is_noticed(before: dict[str, str], after: dict[str, str], throttled: bool) -> None:
    """A counter that rises, a cooler at work, a Raspberry Pi's flag of now; not one of the past."""
    assert is_throttled(before, after) is throttled


def test_spread_is_that_of_most_loads() -> None:
    """A deviation of a few is passed over, that of many is not; a normal distribution gives its own."""
    assert spread([0.62, 0.62, 0.62, 0.57, 0.66]) == 0
    assert spread([0.62, 0.57, 0.57, 0.66, 0.66]) > 0.05
    normal = [1 + 0.02 * value for value in NormalDist().samples(999, seed=1)]
    assert spread(normal) == pytest.approx(0.02, rel=0.1)


PROTOCOL = {
    "budget_s": 0.1,
    "min_runs": 1,
    "max_runs": 5,
    "min_loads": 1,
    "max_loads": 1,
    "max_spread": 0.03,
    "attempts": 3,
}


def _found(monkeypatch: pytest.MonkeyPatch, *attempts: tuple[float, bool]) -> dict[str, Any]:
    """What is kept of attempts with these spreads, disturbed or not."""
    answers = [{"spread": spread, "disturbed": disturbed} for spread, disturbed in attempts]
    monkeypatch.setattr(timing, "_summary", lambda *_: answers.pop(0))
    return timing._best_of_attempts(lambda: [lambda: None], **PROTOCOL, on_cpu=True)


@pytest.mark.parametrize(
    ("spreads", "attempts", "kept"), [((0.01,), 1, 0.01), ((0.2, 0.01), 2, 0.01), ((0.3, 0.1, 0.2), 3, 0.1)]
)
def test_a_measurement_that_varies_is_repeated(
    monkeypatch: pytest.MonkeyPatch, spreads: tuple[float, ...], attempts: int, kept: float
) -> None:
    """Until it agrees with itself, three times at most; the best attempt counts."""
    found = _found(monkeypatch, *((value, False) for value in spreads))
    assert (found["attempts"], found["spread"]) == (attempts, kept)


def test_a_disturbed_attempt_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quieter one counts, whatever its spread."""
    found = _found(monkeypatch, (0.0, True), (0.02, False))
    assert (found["attempts"], found["disturbed"]) == (2, False)


def test_models_are_loaded_anew_within_the_budget() -> None:
    """As often as asked where loading is quick, as often as needed where it is slow; the runs are shared."""
    shared = {"min_runs": 9, "max_runs": 9, "min_loads": 3, "max_loads": 9}
    quick = timing._measure(lambda: [lambda: None], budget_s=2.0, **shared)
    assert [len(loaded[0].wall) for loaded in quick] == [1] * 9
    slow = timing._measure(lambda: [lambda: time.sleep(0.04)], budget_s=0.25, **shared)
    assert [len(loaded[0].wall) for loaded in slow] == [3] * 3


def _clocked(*, preempted: bool, factor: float = 1.0) -> Clocked:
    """Forty runs of 5 ms of work, which other processes stretch to 5 to 40 ms by the wall's clock."""
    work = [factor * (5 + 0.01 * (number % 3)) for number in range(40)]
    return Clocked([value * (1 + number % 8 if preempted else 1) for number, value in enumerate(work)], work)


def test_runs_that_lost_the_processor_do_not_count() -> None:
    """Five of forty kept it: enough for a minimum of five, whose median is that of a quiet machine."""
    found = timing._summary([[_clocked(preempted=True)]], min_runs=5, on_cpu=True)
    assert (found["p50_ms"], found["runs"], found["preempted"]) == (pytest.approx(5.01), 5, 0.875)
    assert not found["disturbed"]


def test_too_few_undisturbed_runs_are_said() -> None:
    """The processor's clock then gives the times; with an accelerator nothing but the wall's can."""
    loads = [[_clocked(preempted=True)]]
    found = timing._summary(loads, min_runs=20, on_cpu=True)
    assert (found["disturbed"], found["p50_ms"]) == (True, pytest.approx(5.01))
    assert timing._summary(loads, min_runs=20, on_cpu=False)["p50_ms"] > 15


def test_the_ratio_is_one_of_work() -> None:
    """Neither other processes that hit only one of two models change it, nor a load that slows one down."""
    loads = [[_clocked(preempted=False, factor=factor), _clocked(preempted=True)] for factor in (2, 2, 2.2)]
    found = timing._summary(loads, min_runs=20, on_cpu=True)
    assert found["ratio"] == pytest.approx(2.0)
    assert (found["loads"], found["spread"]) == (3, pytest.approx(0, abs=1e-6))


def test_runs_take_turns_until_the_budget_is_used() -> None:
    """First, second, first, second; at least and at most so often, and both clocks tick."""
    order: list[str] = []

    def first() -> None:
        order.append("first")
        sum(range(20_000))

    def second() -> None:
        order.append("second")
        time.sleep(0.002)

    computing, waiting = take_turns([first, second], budget_s=0, least=3, most=9)
    assert order == ["first", "second"] * 3
    assert sum(computing.processor) > sum(waiting.processor)
    assert len(waiting.undisturbed()) == 0, "who waits has lost the processor"
    order.clear()
    take_turns([first], budget_s=60, least=1, most=4)
    assert len(order) == 4


def _time(model: Path, folder: Path, root: Path, **protocol: float) -> dict[str, Any]:
    settings = {**PROTOCOL, "min_runs": 5, "max_runs": 50, "max_spread": 0.5, "attempts": 1, **protocol}
    lock = {"path": str(folder / "lock"), "holder": "test", "wait_s": 0}
    return time_(str(model), None, {"threads": 1}, lock, settings, str(root))


def test_the_unstable_are_flagged(arm: Path, tmp_path: Path, make_model: Model) -> None:
    """Too much variation after all attempts, or throttling: never silently used."""
    steady = _time(make_model(5), tmp_path, arm)
    assert (steady["unstable"], steady["facts"]["throttled"]) == (False, "false")
    varied = _time(make_model(5), tmp_path, arm, max_spread=-1.0, attempts=2)
    assert (varied["unstable"], varied["attempts"]) == (True, 2)
    (arm / "sys/class/thermal/cooling_device0/cur_state").write_text("1")
    hot = _time(make_model(5), tmp_path, arm)
    assert (hot["unstable"], hot["facts"]["throttled"]) == (True, "true")
    assert hot["facts"]["cooling_state_after"] == "1"


def test_power_is_measured_where_a_sensor_is(arm: Path, tmp_path: Path, make_model: Model) -> None:
    """An INA's volts and amperes give watts and, with the time, millijoules a run.

    The runs whose energy is taken are others than the timed ones: where they take microseconds, they may take
    less than the fastest of those.
    """
    found = _time(make_model(5), tmp_path, arm)
    assert found["power_w"] == pytest.approx(2.0)
    assert found["energy_mj"] > 0.5 * 2.0 * found["min_ms"]
    assert found["facts"]["power_sensor"] == "ina231/curr1_input"


def test_energy_is_power_times_the_time_of_a_run(arm: Path) -> None:
    """Two watts for at least five milliseconds each, and for no longer than all of it took."""
    runs: list[None] = []

    def run() -> None:
        runs.append(time.sleep(0.005))

    start = time.perf_counter()
    energy_mj = power.energy(run, 0.05, str(arm))["energy_mj"]
    took_ms = 1e3 * (time.perf_counter() - start)
    assert 2.0 * 5 <= energy_mj <= 2.0 * took_ms / len(runs)


def test_a_power_sensor_goes_before_volts_and_amperes(arm: Path) -> None:
    """The sensor says microwatts itself."""
    _write(arm, {"sys/class/hwmon/hwmon0/power1_input": "3500000"})
    assert power.energy(lambda: time.sleep(0.005), 0.05, str(arm))["power_w"] == pytest.approx(3.5)


def test_an_energy_counter_is_read_before_and_after(arm: Path) -> None:
    """Its difference, shared among the runs; one that began anew says nothing."""
    counter = arm / "sys/class/powercap/intel-rapl:0/energy_uj"
    _write(arm, {"sys/class/powercap/intel-rapl:0/energy_uj": "1000"})

    def run() -> None:
        counter.write_text(str(int(counter.read_text()) + 2500))
        time.sleep(0.001)

    assert power.energy(run, 0.05, str(arm))["energy_mj"] == pytest.approx(2.5)
    assert power.energy(lambda: counter.write_text("0"), 0.0, str(arm)) == {
        "sensor": "intel-rapl:0/energy_uj"
    }


def test_without_a_sensor_power_is_absent(tmp_path: Path) -> None:
    """Nothing stands in for it."""
    assert power.energy(lambda: None, 0.01, str(tmp_path)) == {}


@pytest.fixture
def board(tmp_path: Path) -> DeviceBoard:
    """This machine, which keeps its measurements."""
    device = Device(name="local", transport="local", directory=str(tmp_path / "device"))
    return get_board(device, budget_s=0.1, max_spread=9.0, cache=tmp_path / "cache")


def test_measurements_are_not_repeated(board: DeviceBoard, tmp_path: Path, make_model: Model) -> None:
    """The same files, device and way give the same numbers; another baseline is another measurement."""
    first = board.measure(make_model(5), baseline=make_model(6))
    assert board.measure(make_model(5), baseline=make_model(6)) == first
    assert board.measure(make_model(5)) != first
    assert len(list((tmp_path / "cache").glob("*.json"))) == 2


def test_an_unstable_measurement_is_not_kept(tmp_path: Path, make_model: Model) -> None:
    """The next trial of the same file measures again."""
    device = Device(name="local", transport="local", directory=str(tmp_path / "device"))
    board = get_board(device, budget_s=0.1, max_spread=-1.0, cache=tmp_path / "cache")
    assert board.measure(make_model(5)).unstable
    assert not (tmp_path / "cache").exists()


def test_an_emulated_board_gives_no_latency(tmp_path: Path, make_model: Model) -> None:
    """Its times stand under names that nothing takes for a latency."""
    device = Device(name="qemu", transport="local", directory=str(tmp_path / "device"), emulated=True)
    names = get_board(device, budget_s=0.1).measure(make_model(5)).metrics()
    assert "emulated_latency_ms" in names
    assert all(name.startswith("emulated_") for name in names)
