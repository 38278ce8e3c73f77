"""What commands return: frozen values, each with `as_json` for scripts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from mlflow_nas.redact import redact
from mlflow_nas.types import TrialResult

__all__ = [
    "BoardsResult",
    "CacheReport",
    "DeployResult",
    "DoctorResult",
    "EvaluateResult",
    "Result",
    "Row",
    "SearchResult",
    "SelectResult",
    "SensitivityResult",
    "StatusResult",
]

Row: TypeAlias = Mapping[str, Any]
"""One line of a table: column to plain value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command returns."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values; paths are text, what is not finite is null, passwords are masked."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: object) -> Any:
    if isinstance(value, TrialResult):
        return _plain(value.as_row())
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return redact(str(value)) if isinstance(value, str | Path) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult(Result):
    """Result of `search`.

    Attributes:
        study: its name.
        run_id, experiment_id: of the study's MLflow run; None when MLflow was never reached.
        tracking_uri: of MLflow; `as_json` masks a password in it.
        trials: all of the study, in their order.
        front: the Pareto front, fastest first.
        given: the detector as it was given, the reference; None without one.
        finalists: trained to the end, the baseline first; empty where none were.
        answer: what to ship, how much faster and how accurate it is, in sentences.
        estimate: what an estimator did, as plain values; None without one.
        registry: model, front, aliases and changes of the registered model; None when nothing was registered.
        deployed: the manifest that the device keeps; None when nothing was deployed.
        not_deployed: why the champion was not deployed; None when it was, or without a device.
        report: the study's page, an HTML file.
        charts: address of the study's charts in MLflow; None when MLflow was never reached.
        plan: route, forecast and actual duration of a search with a budget; None without one.
        notes: further sentences for the user.
    """

    study: str
    run_id: str | None
    experiment_id: str | None
    tracking_uri: str
    trials: tuple[TrialResult, ...]
    front: tuple[TrialResult, ...]
    given: TrialResult | None = None
    finalists: tuple[TrialResult, ...] = ()
    answer: tuple[str, ...] = ()
    estimate: Mapping[str, Any] | None = None
    registry: Mapping[str, Any] | None = None
    deployed: Mapping[str, Any] | None = None
    not_deployed: str | None = None
    report: Path | None = None
    charts: str | None = None
    plan: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectResult(Result):
    """Result of `select`.

    Attributes:
        selection: `mlflow_nas.estimate.SelectionResult` as plain values: selected, winner, reason, fallback,
            tau, strategies (a row each, best first) and so on, at the top level of `as_json`.
        study: whose samples the strategies were evaluated on; None for a table.
        run_id, experiment_id: of the selection's run.
        tracking_uri: of MLflow.
    """

    selection: Mapping[str, Any]
    study: str | None
    run_id: str | None
    experiment_id: str | None
    tracking_uri: str

    def as_json(self) -> dict[str, Any]:
        """The selection's values beside the others."""
        plain = Result.as_json(self)
        return {**plain.pop("selection"), **plain}


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityResult(Result):
    """Result of `sensitivity`.

    Attributes:
        layers: rows of `layer`, `operator` and `output_error` (root mean square difference of the output with
            this layer alone in int8, relative to the float output), the most sensitive first; of the worst
            also `map` and `map_50` with this layer alone in int8.
        fp32, int8: the same of the float file, and with all layers in int8.
        detector: the file.
        chart: PNG of the output errors.
        seconds: wall-clock.
    """

    layers: tuple[Row, ...]
    fp32: Mapping[str, float]
    int8: Mapping[str, float]
    detector: str
    chart: Path
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateResult(Result):
    """Result of `evaluate`.

    Attributes:
        metrics: name to value, 0..1, such as map and map_50; at the top level of `as_json`.
        images, boxes: evaluated, augmented copies and ignored boxes included.
        ignored: boxes that count neither as found nor as missed.
        skipped: unreadable images that were left out.
        eval_augmentations: copies of each image among `images`; 1 is the image itself.
        classes: that were evaluated.
        detector: what was evaluated.
        precision: of the detector, int8 or fp32.
        img_size: height and width of its input in pixels.
        data, split, dataset: the data set, its split, and the split's digest.
        seconds: wall-clock.
    """

    metrics: Mapping[str, float]
    images: int
    boxes: int
    ignored: int
    skipped: int
    eval_augmentations: int
    classes: tuple[str, ...]
    detector: str
    precision: str
    img_size: tuple[int, int]
    data: str
    split: str
    dataset: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The metrics beside the others."""
        plain = Result.as_json(self)
        return {**plain.pop("metrics"), **plain}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardsResult(Result):
    """Result of `boards`: a row per device of the inventory."""

    boards: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorResult(Result):
    """Result of `doctor`.

    Attributes:
        board: that was checked.
        ready: no check ended with an error.
        checks: rows of name, state (ok, warning, error), found, remedy.
    """

    board: str
    ready: bool
    checks: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployResult(Result):
    """Result of `deploy` and `rollback`.

    Attributes:
        manifest: what the device keeps of the version that is active now; of a group that of its first
            device. Its entries are at the top level of `as_json`.
        devices: device to manifest where a group was addressed.
    """

    manifest: Mapping[str, Any]
    devices: Mapping[str, Mapping[str, Any]] | None = None

    def as_json(self) -> dict[str, Any]:
        """The manifest, with those of all devices where a group was addressed."""
        plain = _plain(self.manifest)
        return plain if self.devices is None else {**plain, "devices": _plain(self.devices)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResult(Result):
    """Result of `status`.

    Attributes:
        study: its name.
        trials: a row each as `TrialResult.as_row` makes them, in their order.
        running: number of trials that a worker evaluates now.
        waiting: number of trials that are asked for and have no worker.
        front: rows of the Pareto front.
        best: the row with the best first objective; None without a complete trial.
        storage: Optuna's: the path of its journal, or a URL without its password.
    """

    study: str
    trials: tuple[Row, ...]
    running: int
    waiting: int
    front: tuple[Row, ...]
    best: Row | None
    storage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheReport(Result):
    """Result of `cache show` and `cache prune`.

    Attributes:
        folder: of the step cache.
        entries: number of them, after pruning.
        size_bytes: of all, after pruning.
        limit_bytes: that the cache is pruned to.
        steps: step to its entries and bytes.
        removed: number of entries that were removed now.
    """

    folder: Path
    entries: int
    size_bytes: int
    limit_bytes: int
    steps: Mapping[str, tuple[int, int]]
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimesResult(Result):
    """Result of `runtimes install`.

    Attributes:
        runtime: its name.
        folder: of the converters' environment.
        versions: of what compiles and evaluates, by name.
    """

    runtime: str
    folder: Path
    versions: Mapping[str, str]
