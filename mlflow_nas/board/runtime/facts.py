"""What the device is and how it fares."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

__all__ = ["CHANGING", "facts"]

CPU = "/sys/devices/system/cpu/cpu0/cpufreq"
CHANGING = ("clock_mhz", "temperature_c", "load_1min")


def _read(path: str | Path, pattern: str = r"(?s)(.+)") -> str | None:
    """What the pattern's group finds in a file of the system; None where it can't be read."""
    try:
        found = re.search(pattern, Path(path).read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip("\0\n ") if found else None


def _scaled(value: str | None, factor: float) -> str | None:
    return f"{float(value) * factor:.0f}" if value else None


def facts() -> dict[str, str]:
    """What the device is and how it fares: processor, load, memory, versions; absent where unreadable."""
    import numpy as np
    import onnxruntime

    zones = [_read(zone) for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp")]
    known = {
        "machine": platform.machine(),
        "soc": _read("/sys/firmware/devicetree/base/model"),
        "cpu": _read("/proc/cpuinfo", r"^model name\s*: (.+)$"),
        "cores": str(os.cpu_count()),
        "governor": _read(f"{CPU}/scaling_governor"),
        "clock_mhz": _scaled(_read(f"{CPU}/scaling_cur_freq"), 1e-3)
        or _read("/proc/cpuinfo", r"^cpu MHz\s*: (.+)$"),
        "temperature_c": _scaled(max((zone for zone in zones if zone), key=float, default=None), 1e-3),
        "load_1min": _read("/proc/loadavg", r"^(\S+)"),
        "memory_mb": _scaled(_read("/proc/meminfo", r"^MemTotal: *(\d+)"), 1 / 1024),
        "memory_free_mb": _scaled(_read("/proc/meminfo", r"^MemAvailable: *(\d+)"), 1 / 1024),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "providers": ",".join(onnxruntime.get_available_providers()),
    }
    return {name: value for name, value in known.items() if value}
