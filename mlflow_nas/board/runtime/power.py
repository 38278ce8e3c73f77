"""Power and energy of inferences, on devices with a readable sensor."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mlflow_nas.board.runtime.facts import read
from mlflow_nas.board.runtime.failure import JsonObject
from mlflow_nas.board.runtime.session import Run

__all__ = ["energy"]

Read = Callable[[], float]

SAMPLE_S = 0.02


def energy(run: Run, seconds: float, root: str = "/") -> JsonObject:
    """Run repeatedly for the given time: mean power in W, energy of one run in mJ; empty without a sensor.

    An energy counter is preferred to a power sensor, which is sampled between the runs.
    """
    system = Path(root, "sys")
    for name, counter in _counters(system):
        return {**_by_counter(run, seconds, counter), "sensor": name}
    for name, sensor in _sensors(system):
        return {**_by_samples(run, seconds, sensor), "sensor": name}
    return {}


def _by_counter(run: Run, seconds: float, read_uj: Read) -> JsonObject:
    start, first, runs = time.perf_counter(), read_uj(), 0
    while runs == 0 or time.perf_counter() - start < seconds:
        run()
        runs += 1
    used_uj, took_s = read_uj() - first, time.perf_counter() - start
    if used_uj <= 0:  # the counter was reset
        return {}
    return {"power_w": used_uj / 1e6 / took_s, "energy_mj": used_uj / 1e3 / runs}


def _by_samples(run: Run, seconds: float, read_w: Read) -> JsonObject:
    start, runs = time.perf_counter(), 0
    samples: list[float] = []
    while runs == 0 or time.perf_counter() - start < seconds:
        run()
        runs += 1
        if time.perf_counter() - start > SAMPLE_S * (len(samples) + 1):
            samples.append(read_w())
    took_s = time.perf_counter() - start
    power_w = statistics.fmean(samples or [read_w()])
    return {"power_w": power_w, "energy_mj": power_w * took_s * 1e3 / runs}


def _counters(system: Path) -> Iterator[tuple[str, Read]]:
    """Energy counters: name, and a function that reads microjoules."""
    paths = [*system.glob("class/hwmon/hwmon*/energy*_input"), *system.glob("class/powercap/*/energy_uj")]
    for path in sorted(paths):
        if _number(path) is not None:
            yield _name(path), functools.partial(_product, path, factor=1.0)


def _sensors(system: Path) -> Iterator[tuple[str, Read]]:
    """Power sensors: name, and a function that reads watts; an INA may give only volts and amperes."""
    for path in sorted(system.glob("class/hwmon/hwmon*/power*_input")):
        if _number(path) is not None:
            yield _name(path), functools.partial(_product, path, factor=1e-6)
    for path in sorted(system.glob("class/hwmon/hwmon*/curr*_input")):
        volts = path.with_name(path.name.replace("curr", "in"))
        if _number(path) is not None and _number(volts) is not None:
            yield _name(path), functools.partial(_product, path, volts, factor=1e-6)


def _product(*paths: Path, factor: float) -> float:
    return math.prod(_number(path) or 0.0 for path in paths) * factor


def _name(path: Path) -> str:
    return f"{read(path.parent / 'name') or path.parent.name}/{path.name}"


def _number(path: Path) -> float | None:
    text = read(path, r"^(-?\d+)$")
    return float(text) if text else None
