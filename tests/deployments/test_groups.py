"""Groups of devices: one at a time, up to the first failure, and rolled back."""

from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from mlflow_nas import api
from mlflow_nas.cli.formats import format_deploy, format_rollback
from mlflow_nas.deployments import Options, deploy, rollback
from mlflow_nas.errors import BoardError, ConfigError

Register = Callable[..., str]
Inventory = Callable[..., None]

REFUSES_2 = "sh -c 'test $MLFLOW_NAS_VERSION = 1'"


@pytest.fixture
def edge(store: MlflowClient, register: Register, inventory: Inventory) -> Any:  # noqa: ARG001 - one store
    """Three gates; version 1 was measured on the second one."""
    inventory(
        gate_a={"groups": ["gates"]},
        gate_b={"groups": ["gates", "doors"], "activate": REFUSES_2},
        gate_c={"groups": ["gates"]},
        other={},
    )
    register(**{"nas.board": "gate-b"})
    return get_deploy_client("nas-edge://group/gates")


def _versions(edge: Any) -> dict[str, str]:
    return {found["device"]: found["version"] for found in edge.list_deployments()}


def test_life_of_a_groups_deployment(edge: Any, store: MlflowClient) -> None:
    """Every device has it; a measurement on one of them counts for all."""
    made = edge.create_deployment("door", "models:/person-detector@champion")
    assert (made["name"], made["flavor"], list(made["devices"])) == (
        "door",
        "onnx",
        ["gate-a", "gate-b", "gate-c"],
    )
    assert _versions(edge) == {"gate-a": "1", "gate-b": "1", "gate-c": "1"}
    tags = store.get_model_version("person-detector", "1").tags
    assert [tags[f"deploy.gate-{letter}"] for letter in "abc"] == ["door"] * 3
    found = edge.get_deployment("door")
    assert found["devices"]["gate-c"]["sha256"] == made["sha256"]
    for _ in range(2):
        edge.delete_deployment("door")
    assert _versions(edge) == {}
    with pytest.raises(MlflowException, match="gate-a has no deployment 'door': it has none"):
        edge.get_deployment("door")


def test_a_measurement_counts_only_within_its_group(edge: Any, store: MlflowClient) -> None:
    """A device outside of it refuses the version."""
    assert edge
    with pytest.raises(ConfigError, match="measured on the board gate-b, not on other"):
        deploy(store, "person-detector", device="other")


def test_a_rollout_stops_at_the_first_failure(edge: Any, store: MlflowClient, register: Register) -> None:
    """The devices before it keep the new version, those after it are not touched; the error lists them."""
    deploy(store, "person-detector", device="group/gates")
    register(**{"nas.board": "gate-a"})
    sentence = (
        r"group/gates stopped at gate-b: .*Version 1 is active.*Changed before: gate-a; not tried: gate-c\.$"
    )
    with pytest.raises(BoardError, match=sentence):
        deploy(store, "person-detector", device="group/gates")
    assert _versions(edge) == {"gate-a": "2", "gate-b": "1", "gate-c": "1"}


def test_an_atomic_rollout_is_rolled_back(edge: Any, store: MlflowClient, register: Register) -> None:
    """Devices have their previous version again, or none; MLflow's tags too."""
    deploy(store, "person-detector", device="group/doors")
    register(**{"nas.board": "gate-a"})
    with pytest.raises(BoardError, match=r"stopped at gate-b: .*not tried: gate-c. gate-a is rolled back\.$"):
        deploy(store, "person-detector", device="group/gates", options=Options(atomic=True))
    assert _versions(edge) == {"gate-b": "1"}
    assert "deploy.gate-a" not in store.get_model_version("person-detector", "2").tags

    deploy(store, "models:/person-detector/1", device="group/gates")
    with pytest.raises(MlflowException, match=r"gate-a is rolled back\.$"):
        edge.update_deployment("person-detector", "models:/person-detector/2", config={"atomic": "true"})
    assert _versions(edge) == {"gate-a": "1", "gate-b": "1", "gate-c": "1"}
    assert "deploy.gate-a" in store.get_model_version("person-detector", "1").tags


def test_an_unchanged_version_is_not_rolled_back(
    edge: Any, store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """A device that already had the version keeps it."""
    register(**{"nas.board": "gate-a"})
    inventory(gate_a={"groups": ["gates"]}, gate_b={"groups": ["gates"], "activate": REFUSES_2})
    deploy(store, "models:/person-detector/1", device="gate-a", options=Options(force=True))
    deploy(store, "models:/person-detector/2", device="gate-a")
    with pytest.raises(BoardError, match="stopped at gate-b"):
        deploy(store, "models:/person-detector/2", device="group/gates", options=Options(atomic=True))
    assert _versions(edge) == {"gate-a": "2"}


def test_a_device_that_cant_be_rolled_back_is_named(
    edge: Any, store: MlflowClient, register: Register, inventory: Inventory
) -> None:
    """With its reason and its active version."""
    deploy(store, "person-detector", device="group/gates")
    register(**{"nas.board": "gate-a"})
    inventory(
        gate_a={"groups": ["gates"], "activate": "sh -c 'test $MLFLOW_NAS_VERSION = 2'"},
        gate_b={"groups": ["gates"], "activate": REFUSES_2},
    )
    with pytest.raises(BoardError, match=r"gate-a is not rolled back: .*activate.*Version 2 is active as"):
        deploy(store, "person-detector", device="group/gates", options=Options(atomic=True))
    assert _versions(edge) == {"gate-a": "2", "gate-b": "1"}


def test_a_group_is_rolled_back_one_device_after_the_other(
    edge: Any, store: MlflowClient, register: Register
) -> None:
    """Up to the first failure; predict needs one device."""
    deploy(store, "person-detector", device="group/gates")
    register(**{"nas.board": "gate-a"})
    for gate in ("gate-a", "gate-c"):
        deploy(store, "person-detector", device=gate, options=Options(force=True))
    with pytest.raises(
        ConfigError, match=r"stopped at gate-b: .*no previous version.*Changed before: gate-a"
    ):
        rollback("group/gates", "person-detector")
    assert _versions(edge) == {"gate-a": "1", "gate-b": "1", "gate-c": "2"}
    with pytest.raises(
        MlflowException, match="predict runs on one device, group/gates has gate-a, gate-b, gate-c"
    ):
        edge.predict("person-detector", {"image": ["photo.jpg"]})


def test_commands_take_groups(edge: Any, register: Register) -> None:
    """`mlflow_nas deploy` and `rollback` list the changed devices, and name their steps before."""
    assert edge
    steps: list[str] = []
    made = api.deploy(device="group/doors", atomic="true", on_step=steps.append)
    assert format_deploy(made).endswith("on gate-b.")
    assert steps[0].startswith("fetch models:/person-detector")
    assert steps[-1] == "verify on gate-b, then switch"
    register(**{"nas.board": "gate-a"})
    api.deploy(model="models:/person-detector/2", device="gate-a")
    api.deploy(model="models:/person-detector/1", device="gate-a", force="true")
    assert format_rollback(api.rollback(device="gate-a")).startswith("person-detector is version 2 of")
    with pytest.raises(
        ConfigError, match="no device is in the group 'nowhere'; the known groups are doors, gates"
    ):
        api.rollback(device="group/nowhere")
    with pytest.raises(ConfigError, match="device"):
        api.deploy(device="crowd/gates")
