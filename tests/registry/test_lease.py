"""One writer at a time, without a compare-and-set."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry import lease as lease_module
from mlflow_nas.registry.lease import PREFIX, Lease, one_writer

MODEL = "person-detector"


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """A store with the registered model."""
    client = MlflowClient(tracking_uri)
    client.create_registered_model(MODEL)
    return client


def _leases(client: MlflowClient) -> list[str]:
    return [name for name in client.get_registered_model(MODEL).tags if name.startswith(PREFIX)]


def test_the_second_writer_waits_and_names_the_first(client: MlflowClient) -> None:
    """Its host and process; nothing of the lease is left afterwards."""
    with (
        one_writer(client, MODEL),
        pytest.raises(RegistryError, match=r"for 0 s \(.+:\d+\); wait for it"),
        one_writer(client, MODEL, wait_s=0.2),
    ):
        pass
    assert _leases(client) == []


@pytest.mark.parametrize("text", ["1 0 elsewhere:7", "choosing", "garbage", " ", "99999999999999999999"])
def test_a_dead_writers_lease_is_removed(
    text: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a time without renewal, by the waiting writer's own clock; whatever stands in it."""
    monkeypatch.setattr(lease_module, "STALE_S", 0.2)
    client.set_registered_model_tag(MODEL, f"{PREFIX}dead", text)
    with one_writer(client, MODEL, wait_s=10):
        assert len(_leases(client)) == 1


def test_a_server_that_does_not_answer_is_not_asked_again(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first error leaves at once, and the lease goes stale; one that was answered releases it."""
    asked: list[str] = []

    def release(lease: Lease) -> None:
        asked.append(lease._tag)

    monkeypatch.setattr(Lease, "release", release)
    monkeypatch.setattr(lease_module, "STALE_S", -1.0)  # as after a request that took longer
    with pytest.raises(MlflowException, match="no answer"), one_writer(client, MODEL):
        raise MlflowException("no answer")
    assert asked == []
    monkeypatch.setattr(lease_module, "STALE_S", 30.0)
    client.delete_registered_model_tag(MODEL, *_leases(client))
    with pytest.raises(MlflowException, match="not allowed"), one_writer(client, MODEL):
        raise MlflowException("not allowed")
    assert len(asked) == 1


def test_writers_never_overlap(client: MlflowClient, tracking_uri: str) -> None:
    """Four of them, each with a client of its own, count up a tag that has no other protection."""
    client.set_registered_model_tag(MODEL, "count", "0")

    def count(_: int) -> None:
        own = MlflowClient(tracking_uri)
        with one_writer(own, MODEL):
            before = int(own.get_registered_model(MODEL).tags["count"])
            own.set_registered_model_tag(MODEL, "count", str(before + 1))

    run: Callable[[int], None] = count
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))
    assert client.get_registered_model(MODEL).tags["count"] == "8"
