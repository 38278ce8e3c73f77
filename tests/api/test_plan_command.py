"""`plan` as a user calls it."""

import shlex
from typing import Any

import pytest
from user_folder import SMALL, UserFolder

from mlflow_nas import api
from mlflow_nas.api.planning import with_route
from mlflow_nas.cli.formats import format_plan
from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import ConfigError
from mlflow_nas.search.forecast import Route, Span

ROUTE = Route(
    name="two-stage",
    estimator="auto",
    sampler="random",
    trials=60,
    candidates=900,
    seconds=Span.exactly(1.0),
    finalists=Span.exactly(0.0),
    fits=True,
    because="",
)


def test_a_plan_is_measured_logged_and_says_what_to_run(user_folder: UserFolder) -> None:
    """Nothing is trained to the end; the command that it prints has everything that was set."""
    options: dict[str, Any] = {**SMALL, "training.seed_epochs": 0, "finalists": 2}
    with user_folder.entered():
        result = api.plan(budget="30m", **options)
    assert (result.size, result.budget_s) == (18, 1800)
    assert result.recommended == "full"
    assert "every architecture can be trained" in result.because
    full = next(one for one in result.routes if one["name"] == "full")
    assert (full["sampler"], full["trials"], full["fits"]) == ("grid", 18, True)
    assert 0 < full["seconds"]["low"] <= full["seconds"]["mean"] < 1800
    run = user_folder.client.get_run(result.run_id)
    assert run.data.tags["nas.role"] == "plan"
    assert run.data.metrics["plan.full/seconds"] == pytest.approx(full["seconds"]["mean"])
    assert run.data.metrics["plan.query_s/macs"] > 0
    words = shlex.split(result.command)
    assert words[:3] == ["mlflow_nas", "search", "--study"]
    assert words[words.index("--budget") + 1] == "1800"
    settings = words[words.index("--set") + 1]
    assert "training.epochs=1" in settings
    assert "quantization.max_drop=1" in settings
    shown = format_plan(result)
    assert "Recommended: full, since every architecture can be trained" in shown
    assert not [one for one in user_folder.cached() if one.startswith("train/")]


def test_a_plan_needs_a_budget() -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigError, match="A plan needs the time of the search: give --budget"):
        api.plan(data="coco:/nowhere")


@pytest.mark.parametrize(
    ("text", "seconds"), [("8h", 28_800), ("1.5h", 5_400), ("30m", 1_800), ("45s", 45), ("45", 45), (45, 45)]
)
def test_a_budget_is_written_in_hours_minutes_or_seconds(text: object, seconds: float) -> None:
    """A number alone is seconds."""
    assert load_config(SearchConfig, {"budget": text}).search.budget_s == seconds


@pytest.mark.parametrize("text", ["8 hours", "-1h", "0", "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The sentence says how one is written."""
    with pytest.raises(ConfigError, match=r"--budget .*(is no duration, write 8h, 30m|greater than 0)"):
        load_config(SearchConfig, {"budget": text})


def test_a_search_follows_its_plan_and_what_was_set_stays() -> None:
    """A route of two stages sets estimator, candidates and trainings; an explicit option wins."""
    planned = with_route(load_config(SearchConfig, {}), ROUTE).search
    assert (planned.estimator, planned.candidates, planned.top_k) == ("auto", 900, 20)
    kept = with_route(load_config(SearchConfig, {"search.top_k": 3, "estimator": "macs"}), ROUTE).search
    assert (kept.estimator, kept.candidates, kept.top_k) == ("macs", 900, 3)
