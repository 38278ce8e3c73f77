"""The view of MLflow's UI that a study's link opens."""

import json

from mlflow import MlflowClient

from mlflow_nas.tracking import experiment_id, set_view, view_link
from mlflow_nas.tracking.shared_view import view_state

MOST_CHARACTERS = 5000  # of an experiment's tag in MLflow


def test_the_view_is_stored_under_the_key_of_its_link(tracking_uri: str) -> None:
    """The UI reads the tag that the address names; a second call replaces it."""
    client = MlflowClient(tracking_uri)
    experiment = experiment_id(client, "views")
    run = client.create_run(experiment)
    for choices in (["groups"], ["channels"]):
        set_view(client, run.info.run_id, "night", objectives=["map", "latency_ms"], choices=choices)
    link = view_link(experiment, "night")
    key = link.partition("viewStateShareKey=")[2].partition("&")[0]
    tags = client.get_experiment(experiment).tags
    state = json.loads(tags[f"mlflow.sharedViewState.{key}"])
    assert "params.`arch.channels`" in state["selectedColumns"]
    assert "params.`arch.groups`" not in state["selectedColumns"]
    assert link.startswith(f"#/experiments/{experiment}/runs?")


def test_the_view_shows_one_study_by_accuracy_and_two_charts() -> None:
    """Latency against accuracy, then parallel coordinates whose last axis colours the lines."""
    state = view_state("night", objectives=["map", "latency_ms"], choices=["channels"])
    assert state["searchFilter"] == "tags.`nas.study` = 'night' AND tags.`nas.role` != 'study'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`map`", False)
    scatter, parallel = state["compareRunCharts"]  # type: ignore[misc]
    assert (scatter["xaxis"]["key"], scatter["yaxis"]["key"]) == ("latency_ms", "map")
    assert parallel["selectedParams"] == ["arch.channels"]
    assert parallel["selectedMetrics"] == ["latency_ms", "speedup", "map"]
    sections = {one["uuid"] for one in state["compareRunSections"]}  # type: ignore[attr-defined]
    assert {scatter["metricSectionId"], parallel["metricSectionId"]} == sections


def test_a_study_of_one_objective_has_no_scatter() -> None:
    """There is nothing to draw it against."""
    charts = view_state("night", objectives=["map"], choices=["channels"])["compareRunCharts"]
    assert [one["type"] for one in charts] == ["PARALLEL"]  # type: ignore[attr-defined]


def test_a_large_space_fits_into_a_tag() -> None:
    """The first choices are shown."""
    choices = [f"layer_{place}_with_a_long_name" for place in range(200)]
    state = view_state("night", objectives=["map", "latency_ms"], choices=choices)
    assert len(json.dumps(state, separators=(",", ":"))) <= MOST_CHARACTERS
