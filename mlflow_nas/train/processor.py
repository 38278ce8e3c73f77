"""The processor that trains networks: its name and its free cores."""

import math
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

__all__ = ["default_threads", "free_cores", "torch_threads", "training_processor"]

_INTERVAL_S = 0.2
_IDLE_COLUMNS = (3, 4)  # of /proc/stat: idle, iowait
_GROUP = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 16
_GUEST_COLUMN = 8  # guest time, which user time holds already


def training_processor() -> str:
    """The GPU's name, or the processor's architecture and the number of torch's threads."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def free_cores(interval_s: float = _INTERVAL_S, *, group: Path = _GROUP) -> int:
    """Number of cores that this process may use and that other processes leave free, at least 1.

    Cores are those of the process' affinity, at most as many as its control group's quota (a container's
    `--cpus`); what others use of them is measured over an interval.

    Args:
        interval_s: seconds of the measurement.
        group: folder of the process' control group (version 2).
    """
    cores = os.sched_getaffinity(0)
    start, busy_s, own_s = time.perf_counter(), _busy_s(cores), time.process_time()
    time.sleep(interval_s)
    elapsed_s = time.perf_counter() - start
    others_s = max(_busy_s(cores) - busy_s - (time.process_time() - own_s), 0.0)
    return max(min(len(cores) - round(others_s / elapsed_s), _quota(group)), 1)


def default_threads() -> int:
    """The free cores; no more than torch would use, so that OMP_NUM_THREADS counts."""
    return min(free_cores(), torch.get_num_threads())


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Inside, torch's operations have that number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _quota(group: Path) -> int:
    """Cores that the control group may use, rounded up; a large number without a limit."""
    try:
        limit, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return math.ceil(int(limit) / int(period))
    except (OSError, ValueError):
        return _UNLIMITED


def _busy_s(cores: set[int]) -> float:
    """Seconds that the cores worked since the machine started; 0 where the system does not count them."""
    try:
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    ticks = 0
    for line in lines:
        name, *columns = line.split()
        if name.removeprefix("cpu").isdecimal() and int(name.removeprefix("cpu")) in cores:
            ticks += sum(int(value) for value in columns[:_GUEST_COLUMN])
            ticks -= sum(int(columns[column]) for column in _IDLE_COLUMNS)
    return ticks / os.sysconf("SC_CLK_TCK")
