"""Deploy on promotion."""

from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.config import find_device
from mlflow_nas.deployments import deploy, follow, rollback

Register = Callable[..., str]
Inventory = Callable[..., None]
MODEL = "person-detector"


def _active(device: str = "fake") -> str | None:
    found = DeployedModels(get_board(find_device(device))).find(MODEL)
    return found and str(found.manifest["version"])


def _claimants(client: MlflowClient, device: str = "fake") -> list[str]:
    found = client.search_model_versions(f"name='{MODEL}'")
    return [str(version.version) for version in found if version.tags.get(f"deploy.{device}")]


def test_a_device_gets_each_champion_once_and_an_operators_rollback_stays(
    client: MlflowClient, register: Register
) -> None:
    """A second call changes nothing; the next champion is deployed again."""
    assert set(follow(client, MODEL, device="fake")) == {"fake"}
    register()
    follow(client, MODEL, device="fake")
    assert _active() == "2"
    rollback("fake", MODEL)
    assert (follow(client, MODEL, device="fake"), _active(), _claimants(client)) == ({}, "1", ["1"])
    register()
    assert (set(follow(client, MODEL, device="fake")), _active()) == ({"fake"}, "3")


def test_a_champion_that_fails_on_the_device_is_recorded_and_not_tried_again(
    client: MlflowClient, register: Register
) -> None:
    """The earlier version stays active."""
    follow(client, MODEL, device="fake")
    register(drift=5.0)
    assert follow(client, MODEL, device="fake") == {}
    assert (_active(), _claimants(client)) == ("1", ["1"])
    assert (
        "golden samples give other outputs" in client.get_model_version(MODEL, "2").tags["deploy.fake.error"]
    )
    assert follow(client, MODEL, device="fake") == {}


def test_two_versions_never_claim_a_device(client: MlflowClient, register: Register) -> None:
    """The manifest says which is active, also after a host that died between switch and record."""
    deploy(client, MODEL, device="fake")
    register()
    follow(client, MODEL, device="fake")
    client.set_model_version_tag(MODEL, "1", "deploy.fake", MODEL)
    assert _claimants(client) == ["1", "2"] or _claimants(client) == ["2", "1"]
    follow(client, MODEL, device="fake")
    assert _claimants(client) == ["2"]


def test_watch_promotes_and_deploys(client: MlflowClient, register: Register) -> None:
    """The champion of the watcher is that of the front, on the device that was named."""
    for version in ("1", register()):
        for name, value in {
            "nas.precision": "int8",
            "nas.dataset": "d@1",
            "nas.reference_map": "0.5",
        }.items():
            client.set_model_version_tag(MODEL, version, name, value)
    client.set_model_version_tag(MODEL, "2", "latency_ms", "4")
    client.delete_registered_model_alias(MODEL, "champion")
    result = api.watch(model=MODEL, deploy="device=fake", once=True)
    assert (set(result.deployed), _active()) == ({"fake"}, "2")
    again = api.watch(model=MODEL, deploy="device=fake", once=True)
    assert (again.changes, again.deployed) == ((), {})


@pytest.mark.parametrize("target", ["fake", "device=", "device=a b"])
def test_watch_refuses_a_target_without_its_form(target: str) -> None:
    """The sentence names the option."""
    with pytest.raises(Exception, match="deploy"):
        api.watch(model=MODEL, deploy=target, once=True)
