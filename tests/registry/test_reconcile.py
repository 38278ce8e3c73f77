"""Reconcile and register, with an MLflow store on sqlite and with a server."""

import json
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlflow_nas import api
from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.registry import pin, reconcile, register_model, unpin

MODEL = "person-detector"


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """A store with the registered model, without versions."""
    client = MlflowClient(tracking_uri)
    client.create_registered_model(MODEL)
    return client


def _add(
    client: MlflowClient,
    accuracy: float,
    latency_ms: float,
    /,
    *,
    run_id: str | None = None,
    **tags: str | None,
) -> str:
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
    source = Path("nowhere").absolute().as_uri()
    return str(client.create_model_version(MODEL, source, run_id, tags=given).version)


def _aliases(client: MlflowClient) -> dict[str, str]:
    return {name: str(v) for name, v in client.get_registered_model(MODEL).aliases.items()}


def _tag(client: MlflowClient, version: str, name: str) -> str | None:
    return client.get_model_version(MODEL, version).tags.get(name)


def test_the_front_is_tagged_and_named_and_a_second_call_changes_nothing(client: MlflowClient) -> None:
    """The champion is the fastest version within the drop below the reference."""
    slow, quick, poor = _add(client, 0.5, 10), _add(client, 0.495, 6), _add(client, 0.3, 7)
    first = reconcile(client, MODEL)
    assert [row["version"] for row in first.front] == [int(quick), int(slow)]
    plain = {"champion": quick, "fastest": quick, "most-accurate": slow, "knee": str(first.aliases["knee"])}
    assert _aliases(client) == {**plain, **{f"{name}-pi": version for name, version in plain.items()}}
    assert [_tag(client, v, "nas.pareto") for v in (slow, quick, poor)] == ["true", "true", None]
    assert _tag(client, poor, "nas.dominated_by") == quick
    assert reconcile(client, MODEL).changes == ()


def test_a_version_that_is_dominated_later_loses_tag_and_alias_and_stays(client: MlflowClient) -> None:
    """Nothing is deleted."""
    old = _add(client, 0.5, 10)
    reconcile(client, MODEL)
    new = _add(client, 0.55, 8)
    reconcile(client, MODEL)
    assert set(_aliases(client).values()) == {new}
    assert _tag(client, old, "nas.pareto") is None
    assert _tag(client, old, "nas.front") is None
    assert _tag(client, old, "nas.dominated_by") == new


def test_a_dry_run_returns_the_changes_and_writes_nothing(client: MlflowClient) -> None:
    """They are those of the next call."""
    _add(client, 0.5, 10)
    planned = reconcile(client, MODEL, dry_run=True)
    assert planned.changes
    assert (_aliases(client), _tag(client, "1", "nas.pareto")) == ({}, None)
    assert reconcile(client, MODEL).changes == planned.changes


def test_a_pinned_alias_stays_whatever_is_promoted_until_it_is_given_back(client: MlflowClient) -> None:
    """Others move; a version or an alias that does not exist is refused, and so is an unknown model."""
    first, better = _add(client, 0.5, 10), _add(client, 0.6, 5)
    pin(client, MODEL, "champion", int(first))
    reconcile(client, MODEL)
    assert (_aliases(client)["champion"], _aliases(client)["fastest"]) == (first, better)
    assert _tag(client, first, "nas.pinned") == "champion"
    unpin(client, MODEL, "champion")
    assert (_aliases(client)["champion"], _tag(client, first, "nas.pinned")) == (first, None)
    reconcile(client, MODEL)
    assert _aliases(client)["champion"] == better
    with pytest.raises(RegistryError, match=r"no registered model 'cats': known are person-detector"):
        reconcile(client, "cats")
    with pytest.raises(ConfigError, match="person-detector has no version 7: it has 2, the newest is 2"):
        pin(client, MODEL, "champion", 7)
    for alias in ("production", "champion-", "champion-elsewhere"):
        with pytest.raises(ConfigError, match=rf"'{alias}' is no alias of .* each also with -BOARD \(pi\)"):
            pin(client, MODEL, alias, 1)


def test_versions_of_deleted_runs_are_kept_and_reported(client: MlflowClient) -> None:
    """Deleting a run changes no alias."""
    run_id = client.create_run("0").info.run_id
    version = _add(client, 0.5, 10, run_id=run_id)
    reconcile(client, MODEL)
    client.delete_run(run_id)
    result = reconcile(client, MODEL)
    assert result.notes == ("The run of version 1 was deleted in MLflow: the version is kept.",)
    assert (result.changes, _aliases(client)["champion"]) == ((), version)


def test_a_promotion_without_the_right_to_record_it_is_one_all_the_same(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The experiment may be another user's; the registry is changed, and a note says that there is no run."""
    _add(client, 0.5, 10)

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("Permission denied")

    monkeypatch.setattr(MlflowClient, "create_run", refuse)
    result = reconcile(client, MODEL)
    assert (_aliases(client)["champion"], result.run_id) == ("1", None)
    assert result.notes[-1].startswith("The changes are not recorded in a run: MLflow at sqlite:")
    assert "Permission denied" in result.notes[-1]


def test_a_promotion_leaves_a_run_with_a_line_per_change(client: MlflowClient, tmp_path: Path) -> None:
    """What, why, by which trigger; a call without changes leaves none."""
    _add(client, 0.5, 10)
    result = reconcile(client, MODEL, trigger="promote")
    assert reconcile(client, MODEL).run_id is None
    (run,) = client.search_runs([client.get_run(str(result.run_id)).info.experiment_id])
    assert (run.data.tags["nas.role"], run.data.tags["nas.model"]) == ("promotion", MODEL)
    text = Path(client.download_artifacts(run.info.run_id, "changes.jsonl", str(tmp_path))).read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == len(result.changes)
    (champion,) = [line for line in lines if line["name"] == "champion"]
    assert (champion["trigger"], champion["after"], champion["why"]) == (
        "promote",
        "1",
        "map 0.5, latency_ms 10",
    )


def test_more_versions_than_a_page_holds_are_all_compared(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry returns pages."""
    monkeypatch.setattr(sys.modules["mlflow_nas.registry.state"], "PAGE", 2)
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
    tags |= {"nas.reference_map": "0.7"}
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
