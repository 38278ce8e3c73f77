"""The timing protocol: loads, attempts, preemption, the causes of instability, power."""

import gc
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlflow_nas.board import get_board
from mlflow_nas.board.runtime import detect, power
from mlflow_nas.board.runtime.facts import facts, throttling
from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.interleave import RunTimes, interleave
from mlflow_nas.board.runtime.loading import first_load
from mlflow_nas.board.runtime.pipeline import pipeline
from mlflow_nas.board.runtime.scaling import WINDOWS, by_threads, sustained
from mlflow_nas.board.runtime.session import load
from mlflow_nas.board.runtime.timing import best_of_attempts, measure_loads, spread, summarize, time_
from mlflow_nas.types import Device

Model = Callable[[int], Path]
LOCK = {"holder": "test", "wait_s": 0}


def _write(root: Path, files: dict[str, str]) -> Path:
    """A file system for the test."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    return root


@pytest.fixture
def arm(tmp_path: Path) -> Path:
    """System files of a small arm64 board."""
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


@pytest.fixture(autouse=True)
def _small_heap() -> Iterator[None]:
    """A device's process is small; here each collection before a load would take a second or more."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_facts_are_read_from_the_system(arm: Path) -> None:
    """SoC, governor and clock of the chosen core, temperature, load, memory, cooling."""
    found = facts(str(arm), core=1)
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
    ("before", "after", "reason"),
    [
        ({}, {}, ""),
        ({"throttle_count": "3"}, {"throttle_count": "3"}, ""),
        ({"throttle_count": "3"}, {"throttle_count": "4"}, "throttle_count 3 -> 4"),
        ({"cooling_state": "0"}, {"cooling_state": "2"}, "cooling_state 2"),
        ({"throttle_flags": "50000"}, {"throttle_flags": "50000"}, ""),
        ({"throttle_flags": "50000"}, {"throttle_flags": "50005"}, "throttle_flags 50005"),
    ],
)
def test_throttling_is_detected(before: dict[str, str], after: dict[str, str], reason: str) -> None:
    """By a rising counter, an active cooling device, a Raspberry Pi's current flag; not by a past one."""
    assert throttling(before, after) == reason


def test_the_spread_is_robust() -> None:
    """A few outliers are ignored, many are not; of a normal distribution it is the standard deviation."""
    assert spread([0.62, 0.62, 0.62, 0.57, 0.66]) == 0
    assert spread([0.62, 0.57, 0.57, 0.66, 0.66]) > 0.05
    normal = [1 + 0.02 * value for value in NormalDist().samples(999, seed=1)]
    assert spread(normal) == pytest.approx(0.02, rel=0.1)


def _best_of(*attempts: tuple[float, bool]) -> dict[str, Any]:
    """The kept one of attempts with these spreads, disturbed or not."""
    answers = [{"spread": spread, "disturbed": disturbed} for spread, disturbed in attempts]
    return best_of_attempts(lambda: answers.pop(0), attempts=3, max_spread=0.03)


@pytest.mark.parametrize(
    ("spreads", "attempts", "best"), [((0.01,), 1, 0.01), ((0.2, 0.01), 2, 0.01), ((0.3, 0.1, 0.2), 3, 0.1)]
)
def test_a_measurement_with_a_large_spread_is_repeated(
    spreads: tuple[float, ...], attempts: int, best: float
) -> None:
    """Until the loads agree, three times at most; the attempt with the smallest spread is kept."""
    found = _best_of(*((value, False) for value in spreads))
    assert (found["attempts"], found["spread"]) == (attempts, best)


def test_a_disturbed_attempt_is_repeated() -> None:
    """The undisturbed one is kept, whatever its spread."""
    found = _best_of((0.0, True), (0.02, False))
    assert (found["attempts"], found["disturbed"]) == (2, False)


def test_the_number_of_loads_depends_on_their_time() -> None:
    """The maximum for quick loads, the minimum for slow ones; the runs are shared among the loads."""
    shared = {"min_runs": 9, "max_runs": 9, "min_loads": 3, "max_loads": 9}
    quick = measure_loads(lambda: [lambda: None], budget_s=2.0, **shared)
    assert [len(loaded[0].wall) for loaded in quick] == [1] * 9
    slow = measure_loads(lambda: [lambda: time.sleep(0.04)], budget_s=0.25, **shared)
    assert [len(loaded[0].wall) for loaded in slow] == [3] * 3


def _times(*, preempted: bool, factor: float = 1.0) -> RunTimes:
    """Forty runs of 5 ms CPU time, which preemption stretches to 5 to 40 ms of wall-clock time."""
    work = [factor * (5 + 0.01 * (number % 3)) for number in range(40)]
    return RunTimes([value * (1 + number % 8 if preempted else 1) for number, value in enumerate(work)], work)


def test_preempted_runs_are_ignored() -> None:
    """Five of forty remain: enough for a minimum of five, with the median of a quiet machine."""
    found = summarize([[_times(preempted=True)]], min_runs=5, on_cpu=True)
    assert (found["p50_ms"], found["runs"], found["timed"]) == (pytest.approx(5.01), 5, 40)
    assert not found["disturbed"]


def test_with_too_few_undisturbed_runs_cpu_times_are_used() -> None:
    """With an accelerator the wall-clock times."""
    loads = [[_times(preempted=True)]]
    found = summarize(loads, min_runs=20, on_cpu=True)
    assert (found["disturbed"], found["kept"], found["p50_ms"]) == (True, 5, pytest.approx(5.01))
    assert summarize(loads, min_runs=20, on_cpu=False)["p50_ms"] > 15


def test_the_ratio_is_one_of_cpu_times() -> None:
    """Neither preemption of only one of two models changes it, nor one load that slows a model down."""
    loads = [[_times(preempted=False, factor=factor), _times(preempted=True)] for factor in (2, 2, 2.2)]
    found = summarize(loads, min_runs=20, on_cpu=True)
    assert found["ratio"] == pytest.approx(2.0)
    assert (found["loads"], found["spread"]) == (3, pytest.approx(0, abs=1e-6))


def test_runs_are_interleaved_until_the_budget_is_spent() -> None:
    """First, second, first, second; within minimum and maximum, with both clocks."""
    order: list[str] = []

    def first() -> None:
        order.append("first")
        sum(range(20_000))

    def second() -> None:
        order.append("second")
        time.sleep(0.002)

    computing, waiting = interleave([first, second], budget_s=0, min_runs=3, max_runs=9)
    assert order == ["first", "second"] * 3
    assert sum(computing.cpu) > sum(waiting.cpu)
    assert len(waiting.undisturbed()) == 0, "a waiting run has lost the processor"
    order.clear()
    interleave([first], budget_s=60, min_runs=1, max_runs=4)
    assert len(order) == 4


def _time(model: Path, folder: Path, root: Path, **protocol: float) -> dict[str, Any]:
    loads = {"budget_s": 0.1, "min_runs": 5, "max_runs": 50, "min_loads": 1, "max_loads": 1}
    settings = {**loads, "max_spread": 0.5, "attempts": 1, **protocol}
    lock = {**LOCK, "path": str(folder / "lock")}
    return time_(str(model), None, {"threads": 1}, lock, settings, str(root))


def test_an_unstable_measurement_has_its_cause(arm: Path, tmp_path: Path, make_model: Model) -> None:
    """Spread, preemption or throttling, each with its figure; several are all named."""
    model = make_model(5)
    stable = _time(model, tmp_path, arm)
    assert (stable["unstable"], stable["unstable_cause"]) == (False, "")
    assert stable["facts"]["throttled"] == "false"
    varied = _time(model, tmp_path, arm, max_spread=-1.0, attempts=2)
    assert (varied["unstable"], varied["attempts"]) == (True, 2)
    assert varied["unstable_cause"] == "the loads differed by 0.0%, -100.0% is the limit"
    disturbed = _time(model, tmp_path, arm, min_runs=60, max_runs=50)
    assert re.fullmatch(r"only \d+ of 50 runs kept the processor", disturbed["unstable_cause"])
    (arm / "sys/class/thermal/cooling_device0/cur_state").write_text("1")
    hot = _time(model, tmp_path, arm, max_spread=-1.0)
    assert hot["unstable_cause"].endswith("is the limit; the board throttled (cooling_state 1)")
    assert (hot["facts"]["throttled"], hot["facts"]["cooling_state_after"]) == ("true", "1")


def test_the_first_load_is_timed_and_its_memory_found(make_model: Model, tmp_path: Path) -> None:
    """A model whose weights are larger takes more memory; without Linux's files there is no such figure."""
    session = {"threads": 1, "cores": (), "providers": [("CPUExecutionProvider", {})]}
    small = first_load(str(make_model(5)), session)
    large = first_load(str(_with_weights(tmp_path / "large.onnx", megabytes=32)), session)
    assert min(small["load_ms"], small["first_run_ms"]) > 0
    assert large["load_ms"] > small["load_ms"]
    assert large["peak_memory_bytes"] > small["peak_memory_bytes"] + 32e6
    assert first_load(str(make_model(5)), session, str(tmp_path)).keys() == {"load_ms", "first_run_ms"}


def _detector(path: Path, output: list[int | str], taken: list[int]) -> Path:
    """A file that gives zeros of a shape for images."""
    kind = TensorProto.FLOAT
    sizes = [size if isinstance(size, int) else 4 for size in output]
    zeros = helper.make_tensor("zeros", kind, sizes, [0.0] * int(np.prod(sizes)))
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Add", ["zeros", "mean"], ["found"]),
    ]
    infos = [
        helper.make_tensor_value_info("images", kind, taken),
        helper.make_tensor_value_info("found", kind, output),
    ]
    graph = helper.make_graph(nodes, "detector", infos[:1], infos[1:], [zeros])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("output", "taken", "is_timed"),
    [
        ([1, 5, 2, 3], [1, 3, 32, 48], True),
        ([1, 9, 6], [1, 3, 32, 48], True),
        ([1, "found", 6], [1, 3, 32, 48], True),
        ([1, 4], [1, 3, 32, 48], True),
        ([1, 3, 2, 3], [1, 3, 32, 48], False),
        ([1, 5, 2, 3], [1, 1, 32, 48], False),
        ([8, 5, 2, 3], [8, 3, 32, 48], False),
        ([5], [1, 3], False),
    ],
)
def test_the_pipeline_of_detectors_and_classifiers_is_timed(
    output: list[int | str], taken: list[int], is_timed: bool, tmp_path: Path
) -> None:
    """From a JPEG to boxes or classes; of other files there is no such figure."""
    network, _ = load(str(_detector(tmp_path / "model.onnx", output, taken)), threads=1)
    found = pipeline(network, seconds=0.01)
    assert found.keys() == ({"pipeline_ms", "pipeline_image"} if is_timed else set())
    if is_timed:
        assert found["pipeline_ms"] > 0
        assert found["pipeline_image"] == "640x480 JPEG, Pillow"


def test_a_pipeline_needs_no_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the file is a PPM, which NumPy reads and resizes; that takes longer."""
    network, _ = load(str(_detector(tmp_path / "model.onnx", [1, 5, 2, 3], [1, 3, 32, 48])), threads=1)
    monkeypatch.setattr(detect, "Image", None)
    assert pipeline(network, seconds=0.01)["pipeline_image"] == "640x480 PPM, NumPy"


def test_a_file_that_onnxruntime_refuses_is_no_load(tmp_path: Path) -> None:
    """It is the model's failure, as everywhere."""
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(Failure, match="refuses the model"):
        first_load(str(tmp_path / "text.onnx"), {"threads": 1})


def _with_weights(path: Path, *, megabytes: int) -> Path:
    """A model that adds a constant of that size to its input."""
    weights = numpy_helper.from_array(np.ones((megabytes, 250_000), np.float32), "weights")
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 250_000]) for name in "xy"]
    nodes = [
        helper.make_node("Add", ["x", "weights"], ["sum"]),
        helper.make_node("ReduceMax", ["sum"], ["y"], axes=[0], keepdims=1),
    ]
    graph = helper.make_graph(nodes, "sum", tensors[:1], tensors[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_power_is_measured_with_a_sensor(arm: Path, tmp_path: Path, make_model: Model) -> None:
    """An INA's volts and amperes give watts and, with the time, millijoules per run.

    Energy is measured over other runs than the timed ones, which may be faster.
    """
    found = _time(make_model(5), tmp_path, arm)
    assert found["power_w"] == pytest.approx(2.0)
    assert found["energy_mj"] > 0.5 * 2.0 * found["min_ms"]
    assert found["facts"]["power_sensor"] == "ina231/curr1_input"


def test_energy_is_power_times_the_time_of_a_run(arm: Path) -> None:
    """Two watts for at least five milliseconds each, and for at most the whole measurement."""
    runs: list[None] = []

    def run() -> None:
        runs.append(time.sleep(0.005))

    start = time.perf_counter()
    energy_mj = power.energy(run, 0.05, str(arm))["energy_mj"]
    took_ms = 1e3 * (time.perf_counter() - start)
    assert 2.0 * 5 <= energy_mj <= 2.0 * took_ms / len(runs)


def test_a_power_sensor_is_preferred_to_volts_and_amperes(arm: Path) -> None:
    """The sensor has microwatts."""
    _write(arm, {"sys/class/hwmon/hwmon0/power1_input": "3500000"})
    assert power.energy(lambda: time.sleep(0.005), 0.05, str(arm))["power_w"] == pytest.approx(3.5)


def test_an_energy_counter_is_read_before_and_after(arm: Path) -> None:
    """Its difference, divided by the runs; a counter that was reset gives nothing."""
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
    """No value is invented."""
    assert power.energy(lambda: None, 0.01, str(tmp_path)) == {}


def test_an_emulated_board_gives_no_latency(tmp_path: Path, make_model: Model) -> None:
    """Its times have names of their own."""
    device = Device(name="qemu", transport="fake", directory=str(tmp_path / "device"), emulated=True)
    names = get_board(device).measure(make_model(5)).metrics()
    assert "emulated_latency_raw_ms" in names
    assert all(name.startswith("emulated_") for name in names)


def test_a_sustained_load_follows_rate_temperature_and_clock(
    make_model: Model, tmp_path: Path, arm: Path
) -> None:
    """Windows of equal length over the whole time; the facts before and after tell throttling."""
    found = sustained(
        str(make_model(5)),
        {"threads": 1, "cores": ()},
        {**LOCK, "path": str(tmp_path / "lock")},
        0.3,
        str(arm),
    )
    windows = found["windows"]
    assert len(windows) == WINDOWS
    assert windows[-1]["seconds"] >= 0.3
    assert [one["seconds"] for one in windows] == sorted(one["seconds"] for one in windows)
    assert {(one["temperature_c"], one["runs_per_s"] > 0) for one in windows} == {(48.0, True)}
    assert (found["facts"]["throttled"], found["facts"]["temperature_c_after"]) == ("false", "48")


def test_more_threads_than_cores_are_left_out(
    make_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row has the median of every file."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    session = {"threads": 1, "cores": ()}
    models = [str(make_model(5)), str(make_model(6))]
    found = by_threads(
        models, session, {**LOCK, "path": str(tmp_path / "lock")}, (1, 2), budget_s=0, min_runs=3, max_runs=3
    )
    (row,) = found["rows"]
    assert row["threads"] == 1
    assert min(row["ms"]) > 0
