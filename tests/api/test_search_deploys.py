"""Where a search's champion goes."""

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_nas import deployments
from mlflow_nas.cli.words import searched_words
from mlflow_nas.config import SearchConfig
from mlflow_nas.errors import BoardError, ConfigError

SEARCH = importlib.import_module("mlflow_nas.api.search")  # the package's name of it is the function
CONCLUSION: Any = SimpleNamespace(registry=SimpleNamespace(aliases={"champion": 1}))
BOOK: Any = SimpleNamespace(client=None)


@pytest.mark.parametrize(
    ("options", "device"),
    [
        ({"board": "nano"}, "nano"),
        ({"board": "nano", "device": "nano"}, "nano"),
        ({"board": "nano", "device": "none"}, None),
        ({}, "local"),
    ],
)
def test_the_champion_goes_to_the_board_where_it_was_measured(
    options: dict[str, str], device: str | None
) -> None:
    """Unless there should be no device."""
    assert SEARCH._receiver(SearchConfig.model_validate(options)) == device


def test_another_device_is_refused_before_the_search() -> None:
    """It would refuse the champion hours later."""
    with pytest.raises(
        ConfigError, match=r"device=local would refuse the champion.* on board=nano: name one"
    ):
        SEARCH._receiver(SearchConfig.model_validate({"board": "nano", "device": "local"}))


def test_a_deployment_that_fails_costs_nobody_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search's result says why; it is printed after the tables."""

    def fail(*_: object, **__: object) -> None:
        raise BoardError("unplugged")

    monkeypatch.setattr(deployments, "deploy", fail)
    found = SEARCH._deploy(SearchConfig(), "local", CONCLUSION, BOOK)
    assert found == {"deployed": None, "not_deployed": "unplugged"}
    result = {
        "study": "demo",
        "trials": [{}],
        "front": [],
        "registry": None,
        "run_id": "r",
        "experiment_id": "0",
    }
    for row in result["trials"]:
        row.update(trial=0, key="k", state="complete")  # type: ignore[attr-defined]
    words = searched_words({**result, "estimate": None, "tracking_uri": "http://localhost:5000", **found})
    assert "Not deployed: unplugged" in words


def test_the_studys_own_limit_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion may be slower than what another study has deployed."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(deployments, "deploy", lambda *_, **options: seen.update(options) or {"version": "1"})
    assert SEARCH._deploy(SearchConfig(), "local", CONCLUSION, BOOK) == {"deployed": {"version": "1"}}
    assert seen["options"].max_regression is None
    assert SEARCH._deploy(SearchConfig(), None, CONCLUSION, BOOK) == {"deployed": None}
