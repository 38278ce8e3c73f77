"""What is missing on a device, and the command that mends it."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlflow_nas.board.inventory import get_transport
from mlflow_nas.board.link import Link
from mlflow_nas.board.transport import UnreachableError, last_output
from mlflow_nas.errors import BoardError, ConfigError, NasError
from mlflow_nas.types import Device

__all__ = ["Check", "examine"]

OLDEST_PYTHON = (3, 9)
LEAST_FREE_BYTES = 200_000_000
MOST_LOAD = 0.5
BAD_FLAGS = 0b1111  # of a Raspberry Pi, as in runtime/facts.py

_VERSION = "import json, sys; print(json.dumps(list(sys.version_info[:3])))"
_TO_PERFORMANCE = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: "ok", "warning" (it works, measurements may suffer) or "error" (nothing works).
        found: what was found.
        remedy: the command that mends it; empty where nothing is wrong.
    """

    name: str
    state: Literal["ok", "warning", "error"]
    found: str
    remedy: str = ""


def examine(device: Device) -> list[Check]:
    """Look at a device from the way to it to its load; an error ends the list, what follows depends on it."""
    if device.transport == "fake":
        return [Check(name="way", state="ok", found="a formula needs no hardware")]
    checks: list[Check] = []
    for check in _examine(device):
        checks.append(check)
        if check.state == "error" and check.name in ("way", "python", "folder"):
            break
    return checks


def _examine(device: Device) -> Iterator[Check]:
    try:
        link = Link(device, get_transport(device))
    except ConfigError as error:
        yield Check(name="way", state="error", found=str(error), remedy="mend the inventory or ~/.ssh/config")
        return
    try:
        yield _way(device, link)
        yield _python(device, link)
        yield _folder(device, link)
        lock = f"{link.root}/lock"
        try:
            seen = link.call("inspect", folder=link.root, lock=lock, cores=list(device.cpu_affinity))
        except NasError as error:
            remedy = _on(device, f"{shlex.join(link.python)} -c 'import numpy, onnxruntime'")
            yield Check(name="runtime", state="error", found=str(error), remedy=remedy)
            return
        yield from _libraries(device, seen)
        yield from _record(device, seen)
        yield from _conditions(device, link.root, seen)
    finally:
        link.close()


def _on(device: Device, command: str) -> str:
    """A command as the user types it here to run it there."""
    if device.transport == "local":
        return command
    where = f"{device.user}@{device.host}" if device.user else str(device.host)
    options = [f"-p {device.port}"] if device.port else []
    options += [f"-i {shlex.quote(str(device.key_file))}"] if device.key_file else []
    return " ".join(["ssh", *options, where, shlex.quote(command)])


def _way(device: Device, link: Link) -> Check:
    try:
        link.run(["true"])
    except UnreachableError as error:
        return Check(name="way", state="error", found=error.sentence.rstrip(":; "), remedy=error.remedy)
    except BoardError as error:
        return Check(name="way", state="error", found=str(error), remedy=_on(device, "true"))
    return Check(name="way", state="ok", found=f"{device.transport} {device.host or ''}".strip())


def _python(device: Device, link: Link) -> Check:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    said = f"the inventory's python, {shlex.join(link.python)!r},"
    install = _on(device, "sudo apt-get install python3")
    remedy = f"{install}  (or set python: of {device.name} in the inventory to a Python {wanted} or later)"
    try:
        done = link.run([*link.python, "-c", _VERSION])
        version = tuple(json.loads(done.stdout))
    except BoardError as error:
        return Check(name="python", state="error", found=f"{said} does not run: {error}", remedy=remedy)
    except ValueError:
        found = f"{said} is no Python that runs: {last_output(done.stderr or done.stdout)}"
        return Check(name="python", state="error", found=found, remedy=remedy)
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        found = f"{said} is {text}, {wanted} is the oldest that works"
        return Check(name="python", state="error", found=found, remedy=remedy)
    return Check(name="python", state="ok", found=text)


def _folder(device: Device, link: Link) -> Check:
    try:
        link.push()
    except UnreachableError as error:
        return Check(name="folder", state="error", found=error.sentence.rstrip(":; "), remedy=error.remedy)
    except BoardError as error:
        folder = shlex.quote(device.directory)
        remedy = _on(device, f"df -h {folder}; sudo mkdir -p {folder} && sudo chown $(id -un) {folder}")
        return Check(name="folder", state="error", found=str(error), remedy=remedy)
    return Check(name="folder", state="ok", found=f"{link.root} can be written")


def _libraries(device: Device, seen: Mapping[str, Any]) -> Iterator[Check]:
    python = shlex.join(device.python) or "python3"
    for name, found in seen["modules"].items():
        if "version" in found:
            yield Check(name=name, state="ok", found=found["version"])
        else:
            remedy = _on(device, f"{python} -m pip install {name}")
            yield Check(name=name, state="error", found=found["error"], remedy=remedy)


def _record(device: Device, seen: Mapping[str, Any]) -> Iterator[Check]:
    """Does the device have what its record in the inventory asks for?"""
    missing = [name for name, _ in device.providers if name not in seen["providers"]]
    if seen["providers"]:
        yield Check(
            name="providers",
            state="error" if missing else "ok",
            found=f"{missing[0]} is missing; there are {', '.join(seen['providers'])}"
            if missing
            else ", ".join(name for name, _ in device.providers),
            remedy=f"install an onnxruntime that has it, or mend providers: of {device.name} in the inventory"
            if missing
            else "",
        )
    absent = [core for core in device.cpu_affinity if core >= seen["cores"]]
    if absent:
        yield Check(
            name="cores",
            state="error",
            found=f"cpu_affinity names core {absent[0]}, there are 0 to {seen['cores'] - 1}",
            remedy=f"mend cpu_affinity: of {device.name} in the inventory",
        )


def _conditions(device: Device, root: str, seen: Mapping[str, Any]) -> Iterator[Check]:
    """What disturbs measurements."""
    now = seen["conditions"]
    free = seen["free_bytes"]
    largest = f"du -xh --max-depth=2 {shlex.quote(root)} / 2>/dev/null | sort -h | tail"
    yield _judged(
        "disk", free >= LEAST_FREE_BYTES, f"{free / 1e6:.0f} MB free in {root}", _on(device, largest)
    )
    if "governor" in now:
        calm = now["governor"] == "performance"
        yield _judged("governor", calm, str(now["governor"]), _on(device, _TO_PERFORMANCE))
    slowed = int(now.get("cooling_state", 0)) or int(now.get("throttle_flags", "0"), 16) & BAD_FLAGS
    if "cooling_state" in now or "throttle_flags" in now:
        found = "the device throttles itself" if slowed else "none now"
        yield _judged("throttling", not slowed, found, "cool it, or give it a stronger power supply")
    if "load_1min" in now:
        load = float(now["load_1min"])
        said = f"{load:.2f} over the last minute"
        yield _judged("load", load <= MOST_LOAD, said, _on(device, "top -bn1 | head -20"))
    process, _, holder = seen["holder"].partition(" ")
    busy = f"process {process} there measures for {holder}" if process else "nobody measures"
    yield _judged("lock", not process, busy, f"wait for it, or: {_on(device, f'kill {process}')}")


def _judged(name: str, fine: bool, found: str, remedy: str) -> Check:
    return Check(name=name, state="ok" if fine else "warning", found=found, remedy="" if fine else remedy)
