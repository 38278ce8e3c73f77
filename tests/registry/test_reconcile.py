"""Reconcile and register, with an MLflow store on sqlite and with a server."""

import json
import re
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.errors import RegistryError
from mlflow_nas.registry import lock as lock_module
from mlflow_nas.registry import reconcile, register_model
from mlflow_nas.registry.lock import lock_file

MODEL = "person-detector"


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """A store with the registered model, without versions."""
    client = MlflowClient(tracking_uri)
    client.create_registered_model(MODEL)
    return client


def _add(client: MlflowClient, accuracy: float, latency_ms: float, /, **tags: str | None) -> str:
    """Register one measured version; a tag of None is left out."""
    known: dict[str, str | None] = {
        "map": repr(accuracy),
        "latency_ms": repr(latency_ms),
        "nas.precision": "int8",
        "nas.board": "pi",
        "nas.dataset": "d@1",
        "nas.reference_map": "0.5",
    }
    known |= {name.replace("__", "."): value for name, value in tags.items()}
    given = {name: value for name, value in known.items() if value is not None}
    return str(client.create_model_version(MODEL, Path("nowhere").absolute().as_uri(), tags=given).version)


def _aliases(client: MlflowClient) -> dict[str, str]:
    return {name: str(v) for name, v in client.get_registered_model(MODEL).aliases.items()}


def _tag(client: MlflowClient, version: str, name: str) -> str | None:
    return client.get_model_version(MODEL, version).tags.get(name)


def test_the_front_is_tagged_and_named_and_a_second_call_changes_nothing(client: MlflowClient) -> None:
    """The champion is the fastest version within the drop below the reference."""
    slow, quick, poor = _add(client, 0.5, 10), _add(client, 0.495, 6), _add(client, 0.3, 7)
    first = reconcile(client, MODEL)
    assert [row["version"] for row in first.front] == [int(quick), int(slow)]
    assert _aliases(client) == {
        "champion": quick,
        "fastest": quick,
        "most-accurate": slow,
        "knee": str(first.aliases["knee"]),
    }
    assert [_tag(client, v, "nas.pareto") for v in (slow, quick, poor)] == ["true", "true", "false"]
    assert _tag(client, poor, "nas.dominated_by") == quick
    assert reconcile(client, MODEL).changes == ()


def test_a_version_that_is_dominated_later_loses_tag_and_alias_and_stays(client: MlflowClient) -> None:
    """Nothing is deleted."""
    old = _add(client, 0.5, 10)
    reconcile(client, MODEL)
    new = _add(client, 0.55, 8)
    reconcile(client, MODEL)
    assert set(_aliases(client).values()) == {new}
    assert _tag(client, old, "nas.pareto") == "false"
    assert _tag(client, old, "nas.front") is None
    assert _tag(client, old, "nas.dominated_by") == new


def test_a_dry_run_returns_the_changes_and_writes_nothing(client: MlflowClient) -> None:
    """They are those of the next call."""
    _add(client, 0.5, 10)
    planned = reconcile(client, MODEL, dry_run=True)
    assert planned.changes
    assert (_aliases(client), _tag(client, "1", "nas.pareto")) == ({}, None)
    assert reconcile(client, MODEL).changes == planned.changes


def test_float_and_unmeasured_versions_are_no_candidates(client: MlflowClient) -> None:
    """A version without latency or with NaN, and a float one, get no tags."""
    good = _add(client, 0.4, 10)
    others = [
        _add(client, 0.9, 1, nas__precision="fp32"),
        _add(client, 0.9, 1, latency_ms=None),
        _add(client, 0.9, 1, map="nan"),
    ]
    reconcile(client, MODEL)
    assert set(_aliases(client).values()) == {good}
    assert [_tag(client, version, "nas.pareto") for version in others] == [None, None, None]


def test_a_version_whose_latency_is_removed_loses_its_tags(client: MlflowClient) -> None:
    """And leaves the front."""
    first, second = _add(client, 0.5, 10), _add(client, 0.6, 11)
    reconcile(client, MODEL)
    client.delete_model_version_tag(MODEL, first, "latency_ms")
    reconcile(client, MODEL)
    assert _tag(client, first, "nas.pareto") is None
    assert set(_aliases(client).values()) == {second}


def test_boards_are_never_compared_and_one_board_can_be_promoted_alone(client: MlflowClient) -> None:
    """The aliases of the other board, and its tags, stay as they are."""
    on_pi = _add(client, 0.5, 10)
    reconcile(client, MODEL)
    on_imx = _add(client, 0.4, 50, nas__board="i.MX 93")
    alone = reconcile(client, MODEL, board="i.MX 93")
    assert {change.version for change in alone.changes if change.kind == "tag"} == {int(on_imx)}
    assert _aliases(client)["champion-i-MX-93"] == on_imx
    reconcile(client, MODEL)
    assert _aliases(client)["champion-pi"] == on_pi
    assert "champion" not in _aliases(client), "the short name would be ambiguous"


def test_the_users_own_aliases_are_left_alone(client: MlflowClient) -> None:
    """Even one that begins like an alias of mlflow_nas."""
    first = _add(client, 0.5, 10)
    client.set_registered_model_alias(MODEL, "champion-2024", first)
    client.set_registered_model_alias(MODEL, "production", first)
    _add(client, 0.6, 5)
    reconcile(client, MODEL)
    assert _aliases(client)["champion-2024"] == _aliases(client)["production"] == first


def test_a_data_set_can_be_named_for_the_aliases(client: MlflowClient) -> None:
    """By default it is the newest version's."""
    first, second = _add(client, 0.5, 10), _add(client, 0.1, 20, nas__dataset="e@2")
    reconcile(client, MODEL)
    assert _aliases(client)["champion"] == second
    reconcile(client, MODEL, dataset="d@1")
    assert _aliases(client)["champion"] == first
    assert _tag(client, second, "nas.pareto") == "true"


def test_unknown_board_data_set_and_model_are_named_with_the_known_ones(client: MlflowClient) -> None:
    """The error has the values for the next call."""
    with pytest.raises(RegistryError, match="has no int8 version with map and latency_ms"):
        reconcile(client, MODEL)
    _add(client, 0.5, 10)
    with pytest.raises(RegistryError, match="measured on board 'imx': known are pi"):
        reconcile(client, MODEL, board="imx")
    with pytest.raises(RegistryError, match="on data set 'e@2': known are d@1"):
        reconcile(client, MODEL, dataset="e@2")
    with pytest.raises(RegistryError, match=r"no registered model 'cats': known are person-detector"):
        reconcile(client, "cats")


def test_one_process_writes_at_a_time(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error after a vain wait has the lock's file."""
    _add(client, 0.5, 10)
    monkeypatch.setattr(lock_module, "WAIT_S", 0.1)
    path = lock_file(client, MODEL)
    with FileLock(path), pytest.raises(RegistryError, match=re.escape(str(path))):
        reconcile(client, MODEL)
    assert reconcile(client, MODEL).changes


def test_more_versions_than_a_page_holds_are_all_compared(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry returns pages."""
    monkeypatch.setattr(sys.modules["mlflow_nas.registry.reconcile"], "PAGE", 2)
    versions = [_add(client, 0.5 - index / 100, 10 - index) for index in range(5)]
    assert {str(row["version"]) for row in reconcile(client, MODEL).front} == set(versions)


def _register_twice(client: MlflowClient, model: str) -> None:
    run_id = client.create_run("0").info.run_id
    logged = client.create_logged_model("0", name="int8", source_run_id=run_id)
    again = {"run_id": run_id, "model_id": logged.model_id}
    first = register_model(client, model, **again, tags={"map": "0.5"})
    assert register_model(client, model, **again, tags={"map": "0.6"}) == first
    (version,) = client.search_model_versions(f"name='{model}'")
    assert version.tags["map"] == "0.6"
    (linked,) = json.loads(client.get_logged_model(logged.model_id).tags["mlflow.modelVersions"])
    assert (linked["name"], str(linked["version"])) == (model, first)


def test_a_logged_model_is_registered_once_and_its_tags_are_updated(client: MlflowClient) -> None:
    """MLflow itself would make a second version; the logged model's page shows the version."""
    _register_twice(client, "fresh")


@pytest.mark.services
def test_register_and_reconcile_on_a_server(mlflow_server: str) -> None:
    """Over HTTP a version needs the logged model's id; tags and aliases are the same as on sqlite."""
    client = MlflowClient(mlflow_server)
    _register_twice(client, "served")
    tags = {"latency_ms": "5", "nas.precision": "int8", "nas.board": "pi", "nas.dataset": "d@1"}
    run_id = client.create_run("0").info.run_id
    logged = client.create_logged_model("0", name="int8", source_run_id=run_id)
    version = register_model(
        client, "served", run_id=run_id, model_id=logged.model_id, tags={"map": "0.7", **tags}
    )
    assert set(reconcile(client, "served").aliases.values()) == {int(version)}
    assert client.get_model_version_by_alias("served", "champion").tags["nas.pareto"] == "true"
    assert reconcile(client, "served").changes == ()


def test_promote_is_the_same_from_python(client: MlflowClient) -> None:
    """`api.promote` takes the options of the command line."""
    _add(client, 0.5, 10)
    dry = api.promote(model=MODEL, dry_run="true")
    assert dry.dry_run is True
    assert _aliases(client) == {}
    api.promote(model=MODEL, max_drop=0.02)
    assert _aliases(client)["champion"] == "1"
