"""Does a measured latency repeat?

Measures one candidate against the baseline in so many sessions, each in a process of its own and without the
cache, first on the machine as it is, then with one core kept busy. Prints the coefficient of variation of the
ratio to the baseline, which searches compare, and of the plain median beside it.

    python benchmarks/latency_repeats.py --sessions 15
"""

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from common import Goal, end, table

from mlflow_nas.api.models import detector_files
from mlflow_nas.board import get_board
from mlflow_nas.config import find_device, load_config
from mlflow_nas.config.commands import ProfileConfig
from mlflow_nas.types import Latency

LIMITS = {"quiet": 0.01, "one core busy": 0.02}
SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"


@contextmanager
def busy_core() -> Iterator[None]:
    """A process that keeps one core busy, wherever the system puts it, as long as this one lives."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(options: argparse.Namespace, model: Path, baseline: Path) -> list[Latency]:
    """One measurement per session."""
    device = find_device(options.board, options.devices)
    found = []
    for number in range(options.sessions):
        board = get_board(device, threads=options.threads, budget_s=options.budget_s)
        found.append(board.measure(model, reference=baseline))
        board.close()
        sys.stderr.write(f"session {number}: {found[-1].ratio:.4f}, {found[-1].p50_ms:.3f} ms\n")
    return found


def variation(values: Sequence[float]) -> float:
    """Coefficient of variation: standard deviation of the sample / mean."""
    return statistics.stdev(values) / statistics.fmean(values)


def judge(condition: str, found: Sequence[Latency]) -> Goal:
    """Whether the ratios of one condition's sessions agree."""
    spread = variation([float(latency.ratio or 0) for latency in found])
    return Goal(f"CV of the ratio, {condition}", spread, LIMITS[condition], at_most=True)


def row(condition: str, found: Sequence[Latency]) -> tuple[object, ...]:
    """What the sessions of one condition agree on."""
    ratios = [float(latency.ratio or 0) for latency in found]
    medians = [latency.p50_ms for latency in found]
    return (
        condition,
        f"{statistics.fmean(ratios):.4f}",
        f"{100 * variation(ratios):.2f} %",
        f"{100 * variation(medians):.2f} %",
        sum(latency.unstable for latency in found),
    )


def main() -> None:
    """Measure, then print the table with the command that repeats it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=15)
    parser.add_argument("--board", default="local", help="device of the inventory")
    parser.add_argument("--devices", type=Path, default=None, help="the inventory")
    parser.add_argument("--threads", type=int, default=None, help="of one inference")
    parser.add_argument("--budget-s", type=float, default=2.5, help="of timed runs per session")
    parser.add_argument("--arch", default="kernel_size=3,groups=2,channels=48,img_width=256")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        candidate, baseline = (
            detector_files(load_config(ProfileConfig, chosen), Path(folder) / name)["int8"]
            for name, chosen in (("candidate", {"arch": options.arch}), ("baseline", {}))
        )
        quiet = measure(options, candidate, baseline)
        with busy_core():
            busy = measure(options, candidate, baseline)
    facts, head = quiet[0].facts, ("machine", "mean ratio", "CV of the ratio", "CV of the median", "flagged")
    found = dict(zip(LIMITS, (quiet, busy), strict=True))
    report = (
        table(head, [row(condition, latencies) for condition, latencies in found.items()])
        + f"{options.sessions} sessions of {options.arch} on {facts.get('cpu', facts['machine'])}, "
        + f"{os.cpu_count()} cores here, load before {facts.get('load_1min', 'unknown')}.\n"
        + f"Repeat with: python {shlex.join(sys.argv)}\n"
    )
    end(report, *(judge(condition, latencies) for condition, latencies in found.items()))


if __name__ == "__main__":
    main()
