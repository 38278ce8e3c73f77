import math
from typing import Any

import pytest
from mlflow import MlflowClient

from mlflow_nas.tracking.batch import as_points, limit_of, log_values, metric_name


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("latency_ms<=12", "latency_ms max 12"),
        ("map>=0.5", "map min 0.5"),
        ("mAP@50", "mAP_50"),
        ("map/stop sign", "map/stop sign"),
        ("map/a (b)", "map/a _b_"),
        ("map/../x", "map___x"),
        ("map//x", "map__x"),
    ],
)
def test_names_that_mlflow_refuses_are_changed(
    client: MlflowClient, experiment: str, name: str, accepted: str
) -> None:
    """A refused name would lose the whole batch; MLflow takes each of the new ones."""
    assert metric_name(name) == accepted
    run_id = client.create_run(experiment).info.run_id
    client.log_metric(run_id, accepted, 1.0)


def test_a_limit_is_read_back() -> None:
    """A constraint keeps its limit through MLflow."""
    assert limit_of(metric_name("params<=2e5")) == "params<=2e5"


def test_what_is_no_number_is_absent() -> None:
    """A failed measurement is not 0 and not 1.8e308."""
    points = as_points({"map": 0.5, "latency_ms": math.inf, "map_50": math.nan}, 7, step=2, prefix="epoch/")
    assert points == [("epoch/map", 0.5, 7, 2)]


def test_many_values_take_few_requests(client: MlflowClient, experiment: str) -> None:
    """1,200 points, 120 params and 120 tags arrive in two requests."""
    run_id, requests = client.create_run(experiment).info.run_id, []

    class Counting:
        def log_batch(self, *args: Any, **kwargs: Any) -> None:
            requests.append(args)
            client.log_batch(*args, **kwargs)

    log_values(
        Counting(),  # type: ignore[arg-type]
        run_id,
        points=[("map", 1.0, 7, step) for step in range(1_200)],
        params={f"p{n}": n for n in range(120)},
        tags={f"t{n}": "x" for n in range(120)},
    )
    assert len(requests) == 2
    assert len(client.get_metric_history(run_id, "map")) == 1_200
    assert len(client.get_run(run_id).data.params) == 120


def test_a_password_reaches_no_run(client: MlflowClient, experiment: str) -> None:
    """Params and tags show URLs without it."""
    run_id, url = client.create_run(experiment).info.run_id, "postgresql://me:secret@db/nas?password=hidden"
    log_values(client, run_id, params={"storage": url}, tags={"nas.storage": url})
    data = client.get_run(run_id).data
    assert data.params["storage"] == data.tags["nas.storage"] == "postgresql://me:***@db/nas?password=***"


def test_long_texts_are_cut(client: MlflowClient, experiment: str) -> None:
    """At MLflow's limits, instead of refused."""
    run_id = client.create_run(experiment).info.run_id
    log_values(client, run_id, params={"p": "x" * 9_000}, tags={"t": "x" * 9_000})
    data = client.get_run(run_id).data
    assert (len(data.params["p"]), len(data.tags["t"])) == (6_000, 8_000)
