"""Hardware, versions, load and throttling of the device."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from pathlib import Path

from mlflow_nas.board.runtime.litert import import_interpreter, is_tflite, litert_version

__all__ = [
    "CHANGING",
    "LITERT",
    "ONNXRUNTIME",
    "before_and_after",
    "conditions",
    "facts",
    "library_of",
    "processor",
    "read",
    "throttling",
]

CHANGING = (
    "governor",
    "clock_mhz",
    "temperature_c",
    "load_1min",
    "memory_free_mb",
    "throttle_count",
    "cooling_state",
    "throttle_flags",
)
"""Facts that are read again after a measurement."""

ONNXRUNTIME, LITERT = "onnxruntime", "litert"

INT8_INSTRUCTIONS = ("avx2", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")
"""Flags of /proc/cpuinfo that decide how fast int8 is."""

BAD_FLAGS = 0b1111  # of a Raspberry Pi: under-voltage, capped, throttled, soft limit, each of them now


def read(path: Path, pattern: str = r"(?s)(.+)") -> str | None:
    """The pattern's group in a system file; None where the file can't be read."""
    try:
        found = re.search(pattern, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip("\0\n ") if found else None


def facts(root: str = "/", core: int = 0, library: str = ONNXRUNTIME) -> dict[str, str]:
    """Processor, load, memory and versions; absent where unreadable.

    Args:
        root: of the file system, for tests.
        core: the processor core whose clock and governor are read.
        library: that runs the models, ONNXRUNTIME or LITERT.
    """
    import numpy as np

    return {
        **conditions(root, core),
        "python": platform.python_version(),
        "numpy": np.__version__,
        **(_litert() if library == LITERT else _onnxruntime()),
        "clock_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def library_of(model: str) -> str:
    """The library that runs a model file."""
    return LITERT if Path(model).is_file() and is_tflite(model) else ONNXRUNTIME


def _onnxruntime() -> dict[str, str]:
    import onnxruntime

    return {
        "onnxruntime": onnxruntime.__version__,
        "providers": ",".join(onnxruntime.get_available_providers()),
    }


def _litert() -> dict[str, str]:
    import_interpreter()
    return {"litert": litert_version()}


def conditions(root: str = "/", core: int = 0) -> dict[str, str]:
    """The facts that need no library; `facts` has the arguments."""
    proc, sys = Path(root, "proc"), Path(root, "sys")
    clocks = sys / f"devices/system/cpu/cpu{core}/cpufreq"
    known = {
        **processor(root),
        "soc": read(sys / "firmware/devicetree/base/model"),
        "cpu": read(proc / "cpuinfo", r"^model name\s*: (.+)$"),
        "cores": str(os.cpu_count()),
        "governor": read(clocks / "scaling_governor"),
        "clock_mhz": _scaled(read(clocks / "scaling_cur_freq"), 1e-3)
        or read(proc / "cpuinfo", r"^cpu MHz\s*: (.+)$"),
        "clock_max_mhz": _scaled(read(clocks / "scaling_max_freq"), 1e-3),
        "temperature_c": _scaled(_largest(sys.glob("class/thermal/thermal_zone*/temp")), 1e-3),
        **_throttling(sys),
        "load_1min": read(proc / "loadavg", r"^(\S+)"),
        "memory_mb": _scaled(read(proc / "meminfo", r"^MemTotal: *(\d+)"), 1 / 1024),
        "memory_free_mb": _scaled(read(proc / "meminfo", r"^MemAvailable: *(\d+)"), 1 / 1024),
    }
    return {name: value for name, value in known.items() if value}


def processor(root: str = "/") -> dict[str, str]:
    """The machine's architecture, and its int8 instructions where it has any; `facts` has the argument."""
    flags = (read(Path(root, "proc/cpuinfo"), r"^(?:flags|Features)\s*: (.+)$") or "").split()
    found = {
        "machine": platform.machine(),
        "int8": ",".join(name for name in INT8_INSTRUCTIONS if name in flags),
    }
    return {name: value for name, value in found.items() if value}


def throttling(before: dict[str, str], after: dict[str, str]) -> str:
    """The fact that shows throttling between two readings, with its value; "" without throttling."""
    count, count_after = (int(reading.get("throttle_count", 0)) for reading in (before, after))
    if count_after > count:
        return f"throttle_count {count} -> {count_after}"
    if int(after.get("cooling_state", 0)) > 0:
        return f"cooling_state {after['cooling_state']}"
    flags = after.get("throttle_flags", "0")
    return f"throttle_flags {flags}" if int(flags, 16) & BAD_FLAGS else ""


def before_and_after(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    """The facts before a measurement, the changing ones also after it, and whether the device throttled."""
    changed = {f"{name}_after": after[name] for name in CHANGING if name in after}
    return {**before, **changed, "throttled": str(bool(throttling(before, after))).lower()}


def _throttling(sys: Path) -> dict[str, str | None]:
    """Throttle events of x86 cores, state of the processor's cooling device, flags of a Raspberry Pi."""
    counts = [read(path) for path in sys.glob("devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")]
    coolers = [
        path / "cur_state"
        for path in sys.glob("class/thermal/cooling_device*")
        if re.search("cpu|processor", read(path / "type") or "", re.IGNORECASE)
    ]
    return {
        "throttle_count": str(sum(int(count) for count in counts if count)) if any(counts) else None,
        "cooling_state": _largest(coolers),
        "throttle_flags": read(sys / "devices/platform/soc/soc:firmware/get_throttled"),
    }


def _largest(paths: Iterable[Path]) -> str | None:
    return max((value for value in map(read, paths) if value), key=float, default=None)


def _scaled(value: str | None, factor: float) -> str | None:
    return f"{float(value) * factor:.0f}" if value else None
