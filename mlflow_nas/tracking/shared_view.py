"""A view of MLflow's UI, configured for a study: columns, filter and charts behind one link.

The UI's own share button stores such a view as JSON in a tag of the experiment, `mlflow.sharedViewState.KEY`,
and opens it by `viewStateShareKey=KEY`; what the JSON leaves out keeps its default (tried with MLflow 3.17).
"""

import hashlib
import json
from collections.abc import Sequence

from mlflow import MlflowClient

from mlflow_nas.tracking import names
from mlflow_nas.tracking.server import server_call

__all__ = ["set_view", "view_link", "view_state"]

_TAG = "mlflow.sharedViewState."
_KEY_CHARACTERS = 12
_SECTION, _CHART_PX = "nas", 340
_MOST_CHOICES = 20
"""Columns and axes: more do not fit on a screen, nor into a tag."""


def view_link(experiment_id: str, study: str) -> str:
    """The page of MLflow's UI that opens the study's view, from the # on."""
    return (
        f"#/experiments/{experiment_id}/runs?viewStateShareKey={_key(study)}&compareRunsMode=CHART"
        "&workflowType=machine_learning"
    )


@server_call("store the view of the study")
def set_view(
    client: MlflowClient, run_id: str, study: str, *, objectives: Sequence[str], choices: Sequence[str]
) -> None:
    """Store the study's view as a tag of its experiment; that of an earlier call is replaced.

    Args:
        client: the MLflow client.
        run_id: of the study.
        study: its name.
        objectives: metrics that are optimized, the accuracy first.
        choices: names of the architecture's choices.

    Raises:
        RegistryError: MLflow does not answer.
    """
    text = json.dumps(view_state(study, objectives=objectives, choices=choices), separators=(",", ":"))
    experiment_id = client.get_run(run_id).info.experiment_id
    client.set_experiment_tag(experiment_id, f"{_TAG}{_key(study)}", text)


def view_state(study: str, *, objectives: Sequence[str], choices: Sequence[str]) -> dict[str, object]:
    """What the UI reads: the study's trials by accuracy, two charts before all others."""
    params = [f"{names.ARCHITECTURE}{choice}" for choice in choices][:_MOST_CHOICES]
    metrics = list(dict.fromkeys([*objectives, "latency_ms", "speedup"]))
    charts = [_parallel(params, metrics)]
    if len(objectives) > 1:
        charts.insert(0, _scatter(objectives[1], objectives[0]))
    return {
        "searchFilter": f"tags.`{names.STUDY}` = '{study}' AND tags.`{names.ROLE}` != 'study'",
        "orderByKey": f"metrics.`{objectives[0]}`",
        "orderByAsc": False,
        "selectedColumns": [
            *(f"metrics.`{name}`" for name in metrics),
            *(f"params.`{name}`" for name in params),
            f"tags.`{names.ROLE}`",
        ],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": [
            {
                "uuid": _SECTION,
                "name": f"Study {study}",
                "display": True,
                "isReordered": False,
                "deleted": False,
                "isGenerated": False,
                "columns": 1,
                "cardHeight": _CHART_PX,
            }
        ],
        "isAccordionReordered": True,
    }


def _chart(kind: str, **values: object) -> dict[str, object]:
    common = {"deleted": False, "isGenerated": False, "metricSectionId": _SECTION, "runsCountToCompare": 100}
    return {"type": kind, "uuid": f"{_SECTION}-{kind.lower()}", **common, **values}


def _scatter(x: str, y: str) -> dict[str, object]:
    axes = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return _chart("SCATTER", **axes)


def _parallel(params: Sequence[str], metrics: Sequence[str]) -> dict[str, object]:
    """Its last axis colours the lines."""
    ordered = [*metrics[1:], metrics[0]]
    return _chart(
        "PARALLEL",
        selectedParams=list(params),
        selectedMetrics=ordered,
        showAllRuns=True,
    )


def _key(study: str) -> str:
    """Of the tag: the same for each call of a study."""
    return hashlib.sha256(study.encode()).hexdigest()[:_KEY_CHARACTERS]
