"""What the receiver of webhooks accepts, and when it acts."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry import Change, Receiver
from mlflow_nas.registry.receiver import sign

SECRET = "a secret of the tests"  # noqa: S105 - of the tests
NOW = 1_800_000_000
MODEL = "person-detector"


class _Acts:
    """Records the models that were reconciled; raises as many errors as `failures` says."""

    def __init__(self) -> None:
        self.models: list[str] = []
        self.failures = 0
        self.changes: tuple[Change, ...] = ()

    def __call__(self, model: str) -> tuple[Change, ...]:
        self.models.append(model)
        if self.failures:
            self.failures -= 1
            raise RegistryError("MLflow does not answer")
        return self.changes

    def reach(self, count: int) -> None:
        """Wait for that many calls."""
        deadline = time.monotonic() + 10
        while len(self.models) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.models) == count


@pytest.fixture
def acts() -> _Acts:
    """What was done."""
    return _Acts()


@pytest.fixture
def receiver(acts: _Acts) -> Iterator[Receiver]:
    """A receiver that has done its first reconciliation."""
    made = Receiver(secret=SECRET, models=[MODEL], act=acts, quiet_s=0.02, now=lambda: NOW)
    made.start()
    acts.reach(1)
    yield made
    made.stop()


def _delivery(number: int = 1, /, *, at: int = NOW, **data: str) -> tuple[dict[str, str], bytes]:
    """Headers and body as MLflow sends them."""
    event = {"entity": "model_version", "action": "created", "data": {"name": MODEL, "version": "1", **data}}
    body, delivery = json.dumps(event).encode(), f"delivery-{number}"
    return {
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": str(at),
        "X-MLflow-Signature": sign(SECRET, delivery, str(at), body),
    }, body


def test_a_signed_event_is_accepted_once(receiver: Receiver, acts: _Acts) -> None:
    """A replay of the same delivery is refused."""
    headers, body = _delivery()
    assert receiver.accept(headers, body) == (202, "Accepted.")
    acts.reach(2)
    assert receiver.accept(headers, body) == (409, "This delivery was received before.")
    assert receiver.accept({name.lower(): value for name, value in _delivery(2)[0].items()}, body)[0] == 202


def _without_signature(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "X-MLflow-Signature"}


@pytest.mark.parametrize(
    "forge",
    [
        _without_signature,
        lambda headers: {**headers, "X-MLflow-Signature": "v1,AAAA"},
        lambda headers: {**headers, "X-MLflow-Signature": "v1,\u00e4"},
        lambda headers: {**headers, "X-MLflow-Delivery-Id": "another"},
        lambda headers: {**headers, "X-MLflow-Timestamp": str(NOW + 1)},
        lambda _: {},
    ],
)
def test_a_wrong_signature_is_refused(
    receiver: Receiver, acts: _Acts, forge: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    """It covers delivery id, time stamp and body; a refused one uses no delivery id up."""
    headers, body = _delivery()
    assert receiver.accept(forge(headers), body) == (401, "The signature is missing or wrong.")
    assert receiver.accept(headers, body + b" ")[0] == 401
    assert acts.models == [MODEL]
    assert receiver.accept(headers, body)[0] == 202


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301])
def test_an_old_or_future_time_stamp_is_refused(receiver: Receiver, at: int) -> None:
    """Though the signature is right."""
    assert receiver.accept(*_delivery(at=at)) == (401, "The time stamp is more than 300 s away.")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"data": 1}', b'{"data": {}}', b"\xff" * 10, b"[" * 100_000]
)
def test_garbage_with_a_right_signature_is_refused(receiver: Receiver, body: bytes) -> None:
    """No exception reaches the server."""
    headers = _delivery()[0] | {"X-MLflow-Signature": sign(SECRET, "delivery-1", str(NOW), body)}
    assert receiver.accept(headers, body) == (400, "The body is no event of MLflow.")


@pytest.mark.parametrize("data", [{"key": "nas.pareto"}, {"key": "deploy.pi"}, {"name": "another-model"}])
def test_events_of_its_own_tags_and_of_other_models_are_ignored(
    receiver: Receiver, acts: _Acts, data: dict[str, str]
) -> None:
    """Or it would feed itself."""
    assert receiver.accept(*_delivery(**data)) == (200, "Ignored.")
    assert acts.models == [MODEL]


def test_nothing_of_an_event_but_its_model_is_used(receiver: Receiver, acts: _Acts) -> None:
    """A forged one could do no more than cause a reconciliation, which reads the registry."""
    data = {"alias": "champion", "version": "7", "source": "file:///etc/passwd", "tags": "x", "run_id": "y"}
    assert receiver.accept(*_delivery(**data)) == (202, "Accepted.")
    acts.reach(2)
    assert acts.models == [MODEL, MODEL]


def test_an_alias_that_it_has_set_is_ignored_and_one_set_by_hand_is_not(
    receiver: Receiver, acts: _Acts
) -> None:
    """The version tells them apart."""
    acts.changes = (Change("alias", "champion", 7, "6", "7"),)
    receiver.accept(*_delivery(1))
    acts.reach(2)
    deadline = time.monotonic() + 5
    while receiver.accept(*_delivery(2, alias="champion", version="7"))[0] == 202:
        assert time.monotonic() < deadline
    assert receiver.accept(*_delivery(3, alias="champion", version="6")) == (202, "Accepted.")


def test_a_burst_of_a_thousand_events_is_one_reconciliation(acts: _Acts) -> None:
    """Each is accepted at once."""
    receiver = Receiver(secret=SECRET, models=[MODEL], act=acts, quiet_s=0.02, now=lambda: NOW)
    assert {receiver.accept(*_delivery(number))[0] for number in range(1000)} == {202}
    receiver.start()
    acts.reach(1)
    receiver.stop()
    assert acts.models == [MODEL]


def test_a_failed_reconciliation_is_repeated(receiver: Receiver, acts: _Acts) -> None:
    """The event is not lost when MLflow does not answer."""
    acts.failures = 2
    receiver.accept(*_delivery())
    acts.reach(4)


def test_a_receiver_that_was_down_catches_up_when_it_starts(acts: _Acts) -> None:
    """MLflow gives a delivery up after three retries."""
    made = Receiver(secret=SECRET, models=["a", "b"], act=acts, quiet_s=0.01)
    made.start()
    acts.reach(2)
    made.stop()
    assert sorted(acts.models) == ["a", "b"]
