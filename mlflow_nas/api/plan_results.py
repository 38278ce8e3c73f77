"""What the commands return that look ahead: a profile, a focused space, a plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_nas.api.results import Result, Row

__all__ = ["FocusResult", "PlanResult", "ProfileResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileResult(Result):
    """Result of `profile`; tables are rows, the slowest first.

    Attributes:
        board: where it was measured.
        emulated: the board emulates another processor: its times are no latencies.
        files: precision to path, sha256, run_ms, under the profiler profiled_ms and
            nodes_ms, and runs.
        modules: times by module path.
        operators: times by operator.
        nodes: times by node.
        int8_missing: why there is no int8 file; None when there is one.
        facts: of the board.
        threads: median times of each file by the number of threads.
        sustained: of a load without a pause: `precision`, `runs_per_s` at the end and at first, `drop`,
            `throttling`, and `windows` over time; None without one.
        chart, run_id, tracking_uri: PNG file, MLflow run and MLflow; None when the profile was not logged.
    """

    board: str
    emulated: bool
    files: Mapping[str, Row]
    modules: tuple[Row, ...]
    operators: tuple[Row, ...]
    nodes: tuple[Row, ...]
    int8_missing: str | None
    facts: Mapping[str, str]
    threads: tuple[Row, ...] = ()
    sustained: Row | None = None
    chart: Path | None = None
    run_id: str | None = None
    tracking_uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult(Result):
    """Result of `plan`.

    Attributes:
        space: the search space.
        choices: that narrow it.
        size: architectures of the narrowed space.
        budget_s: seconds.
        timings: of a trial, a finalist, each step and each strategy's query, seconds with their intervals.
        routes: the ways through the search, with durations and trainings.
        recommended: the name of one of them.
        because: why it is recommended.
        command: the search that follows it.
        run_id, tracking_uri: of the plan's MLflow run, and of MLflow.
    """

    space: str
    choices: tuple[str, ...]
    size: int
    budget_s: float
    timings: Mapping[str, Any]
    routes: tuple[Row, ...]
    recommended: str
    because: str
    command: str
    run_id: str
    tracking_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusResult(Result):
    """Result of `focus`.

    Attributes:
        board: of the profile.
        emulated: its times are no latencies.
        precision: of the file whose times are shown.
        bottleneck: the slowest modules: module, ms, share of the time.
        fixed: modules that no parameter of the suggested space acts on: module, share.
        spaces: each known space: the share it acts on, and its size.
        suggested: the one that acts on most, what each of its choices saves, its settings, and the command
            that searches there.
    """

    board: str
    emulated: bool
    precision: str
    bottleneck: tuple[Row, ...]
    fixed: tuple[Row, ...]
    spaces: tuple[Row, ...]
    suggested: Mapping[str, Any]
