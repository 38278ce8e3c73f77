"""A study, its trials and results, as the tests of tracking use them."""

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from mlflow_nas.tracking import DatasetLink, StudyRun, TrialRun
from mlflow_nas.types import TrialResult

OBJECTIVES = ("map", "latency_ms")
TRAINING = DatasetLink(
    name="penn-fudan", digest="f" * 64, uri="coco:penn-fudan", context="training", images=120, boxes=301
)
VALIDATION = DatasetLink(
    name="penn-fudan", digest="e" * 64, uri="coco:penn-fudan", context="validation", images=50, boxes=122
)


def study_run(**changes: Any) -> StudyRun:
    """The study "pf"."""
    plain: dict[str, Any] = {
        "experiment": "nas",
        "study": "pf",
        "uid": "5eed",
        "params": {"trials": 8},
        "tags": {"nas.board": "local"},
        "datasets": (TRAINING, VALIDATION),
    }
    return StudyRun(**{**plain, **changes})


def trial_run(number: int = 3, **changes: Any) -> TrialRun:
    """A trial of it."""
    plain: dict[str, Any] = {
        "uid": str(number),
        "name": f"{number:03d}-k3-c48",
        "role": "trial",
        "number": number,
        "key": "k3-c48",
        "architecture": {"kernel_size": 3, "ratio": 0.5, "fusion": "sum", "step": 1e-05},
    }
    return TrialRun(**{**plain, **changes})


def trial_result(number: int = 3, **changes: Any) -> TrialResult:
    """What came of it."""
    plain: dict[str, Any] = {
        "key": "k3-c48",
        "architecture": trial_run().architecture,
        "state": "complete",
        "number": number,
        "metrics": {"train_s": 60.0, "map_50": 0.85, "latency_ms": 4.25 + number, "map": 0.51},
        "constraints": {"latency_ms<=12": -7.75},
        "facts": {"soc": "i.MX 93", "threads": "1"},
    }
    return TrialResult(**{**plain, **changes})


def runs_of(client: MlflowClient, experiment: str = "nas") -> dict[str, Run]:
    """The runs of an experiment that are not deleted, by uid; a uid that has two is an error."""
    known = client.get_experiment_by_name(experiment)
    runs = client.search_runs([known.experiment_id], run_view_type=ViewType.ACTIVE_ONLY) if known else []
    found = {run.data.tags["nas.uid"]: run for run in runs}
    assert len(found) == len(runs), f"a uid has two runs: {[run.data.tags['nas.uid'] for run in runs]}"
    return found


def history(client: MlflowClient, run: Run) -> Mapping[str, list[tuple[int, int, float]]]:
    """All points of a run: metric to its steps, time stamps and values."""
    return {
        name: [(p.step, p.timestamp, p.value) for p in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
