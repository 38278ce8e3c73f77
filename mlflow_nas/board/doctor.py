"""What is missing on a device, and the command that fixes it."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlflow_nas.board.client import RuntimeClient
from mlflow_nas.board.inventory import destination, get_transport
from mlflow_nas.board.runtime.facts import throttling
from mlflow_nas.board.transport import UnreachableError, last_output
from mlflow_nas.errors import BoardError, ConfigError, NasError
from mlflow_nas.types import Device

__all__ = ["Check", "check_conditions", "check_device", "check_libraries", "check_record"]

OLDEST_PYTHON = (3, 9)
LEAST_FREE_BYTES = 200_000_000
MAX_LOAD = 0.5

_VERSION = "import json, sys; print(json.dumps(list(sys.version_info[:3])))"
_TO_PERFORMANCE = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Result of one check.

    Attributes:
        name: of the check.
        state: "ok", "warning" (it works, measurements may suffer) or "error" (nothing works).
        found: the finding.
        remedy: the command that fixes it; empty for "ok".
    """

    name: str
    state: Literal["ok", "warning", "error"]
    found: str
    remedy: str = ""


def check_device(device: Device) -> list[Check]:
    """Check a device from the connection to the load; an error of a prerequisite ends the list."""
    if device.transport in ("fake", "none"):
        return [Check(name="connection", state="ok", found=f"{device.name} needs no hardware")]
    checks: list[Check] = []
    for check in _checks(device):
        checks.append(check)
        if check.state == "error" and check.name in ("connection", "python", "directory"):
            break
    return checks


def _checks(device: Device) -> Iterator[Check]:
    try:
        client = RuntimeClient(device, get_transport(device))
    except ConfigError as error:
        remedy = "fix the inventory"
        yield Check(name="connection", state="error", found=str(error), remedy=remedy)
        return
    try:
        yield _check_connection(device, client)
        yield _check_python(device, client)
        yield _check_directory(device, client)
        lock = f"{client.root}/lock"
        try:
            report = client.call(
                "inspect",
                folder=client.root,
                lock=lock,
                cores=list(device.cpu_affinity),
                library=device.library,
            )
        except NasError as error:
            remedy = _on(device, f"{shlex.join(client.python)} -c 'import numpy, onnxruntime'")
            yield Check(name="runtime", state="error", found=str(error), remedy=remedy)
            return
        yield from check_libraries(device, report)
        yield from check_record(device, report)
        yield from check_conditions(device, client.root, report)
    finally:
        client.close()


def _on(device: Device, command: str) -> str:
    """The command line that runs a command on the device."""
    if device.transport == "local":
        return command
    return destination(device).by_hand("ssh", command)


def _check_connection(device: Device, client: RuntimeClient) -> Check:
    try:
        client.run(["true"])
    except NasError as error:
        return _failed("connection", error, _on(device, "true"))
    return Check(name="connection", state="ok", found=f"{device.transport} {device.host or ''}".strip())


def _check_python(device: Device, client: RuntimeClient) -> Check:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    command = f"the inventory's python, {shlex.join(client.python)!r},"
    install = _on(device, "sudo apt-get install python3")
    remedy = f"{install}  (or set python: of {device.name} in the inventory to a Python {oldest} or later)"
    try:
        done = client.run([*client.python, "-c", _VERSION])
        version = tuple(json.loads(done.stdout))
    except BoardError as error:
        return Check(name="python", state="error", found=f"{command} does not run: {error}", remedy=remedy)
    except ValueError:
        found = f"{command} is no working Python: {last_output(done.stderr or done.stdout)}"
        return Check(name="python", state="error", found=found, remedy=remedy)
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        found = f"{command} is {text}, {oldest} is the oldest supported one"
        return Check(name="python", state="error", found=found, remedy=remedy)
    return Check(name="python", state="ok", found=text)


def _check_directory(device: Device, client: RuntimeClient) -> Check:
    try:
        client.push_runtime()
    except BoardError as error:
        folder = shlex.quote(device.directory)
        create = f"df -h {folder}; sudo mkdir -p {folder} && sudo chown $(id -un) {folder}"
        return _failed("directory", error, _on(device, create))
    return Check(name="directory", state="ok", found=f"{client.root} is writable")


def _failed(name: str, error: NasError, remedy: str) -> Check:
    if isinstance(error, UnreachableError):
        return Check(name=name, state="error", found=error.problem.rstrip(":; "), remedy=error.remedy)
    return Check(name=name, state="error", found=str(error), remedy=remedy)


def check_libraries(device: Device, report: Mapping[str, Any]) -> Iterator[Check]:
    """Check numpy and onnxruntime in the runtime's report."""
    python = shlex.join(device.python) or "python3"
    for name, found in report["modules"].items():
        if "version" in found:
            yield Check(name=name, state="ok", found=found["version"])
        else:
            remedy = _on(device, f"{python} -m pip install {name}")
            yield Check(name=name, state="error", found=found["error"], remedy=remedy)


def check_record(device: Device, report: Mapping[str, Any]) -> Iterator[Check]:
    """Check that the device has the providers and cores of its record in the inventory."""
    available = report["providers"]
    missing = [name for name, _ in device.providers if name not in available]
    if available and missing:
        remedy = f"install an onnxruntime that has it, or fix providers: of {device.name} in the inventory"
        found = f"{missing[0]} is missing; available are {', '.join(available)}"
        yield Check(name="providers", state="error", found=found, remedy=remedy)
    elif available:
        yield Check(name="providers", state="ok", found=", ".join(name for name, _ in device.providers))
    absent = [core for core in device.cpu_affinity if core >= report["cores"]]
    if absent:
        yield Check(
            name="cores",
            state="error",
            found=f"cpu_affinity names core {absent[0]}, the device has 0 to {report['cores'] - 1}",
            remedy=f"fix cpu_affinity: of {device.name} in the inventory",
        )


def check_conditions(device: Device, root: str, report: Mapping[str, Any]) -> Iterator[Check]:
    """Check what disturbs measurements: disk, governor, throttling, load, another measurement."""
    now, free = report["conditions"], report["free_bytes"]
    largest = f"du -xh --max-depth=2 {shlex.quote(root)} / 2>/dev/null | sort -h | tail"
    yield _condition(
        "disk", free >= LEAST_FREE_BYTES, f"{free / 1e6:.0f} MB free in {root}", _on(device, largest)
    )
    if "governor" in now:
        steady = now["governor"] == "performance"
        yield _condition("governor", steady, str(now["governor"]), _on(device, _TO_PERFORMANCE))
    if "cooling_state" in now or "throttle_flags" in now:
        reason = throttling(now, now)
        found = f"the device throttles ({reason})" if reason else "none now"
        yield _condition("throttling", not reason, found, "cool it, or give it a stronger power supply")
    if "load_1min" in now:
        load = float(now["load_1min"])
        found = f"{load:.2f} over the last minute"
        yield _condition("load", load <= MAX_LOAD, found, _on(device, "top -bn1 | head -20"))
    process, _, holder = report["holder"].partition(" ")
    busy = f"process {process} measures for {holder}" if process else "no measurement is running"
    yield _condition("lock", not process, busy, f"wait for it, or: {_on(device, f'kill {process}')}")


def _condition(name: str, ok: bool, found: str, remedy: str) -> Check:
    return Check(name=name, state="ok" if ok else "warning", found=found, remedy="" if ok else remedy)
