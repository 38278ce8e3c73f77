"""The receiver as a server on loopback: what it answers over HTTP, and what it does then."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager

import pytest
import uvicorn

from mlflow_nas.errors import ConfigError
from mlflow_nas.registry import Change, Receiver, serve_webhook
from mlflow_nas.registry.receiver import MAX_BODY_BYTES, sign
from mlflow_nas.registry.webhook import make_app

SECRET = "a secret of the tests"  # noqa: S105 - of the tests
MODEL = "person-detector"


class Registry:
    """Stands for the registry: counts reconciliations, and whether what happened is known to the last one."""

    def __init__(self) -> None:
        self.events = 0
        self.seen = 0
        self.calls = 0

    def reconcile(self, _: str) -> Collection[Change]:
        """Read everything."""
        self.calls += 1
        self.seen = self.events
        return ()

    def settle(self) -> int:
        """Wait until all events are known, and nothing else happens; the number of reconciliations."""
        deadline = time.monotonic() + 20
        while self.seen < self.events and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.seen == self.events
        time.sleep(0.2)
        return self.calls


class Sender:
    """One connection to the receiver."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.count = 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def post(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status of a request."""
        self._connection.request("POST", "/", body, dict(headers))
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def delivery(self, secret: str = SECRET) -> tuple[dict[str, str], bytes]:
        """Headers and body of a new event, as MLflow sends them."""
        self.count += 1
        body = json.dumps({"entity": "model_version", "data": {"name": MODEL, "version": "1"}}).encode()
        identity, now = f"delivery-{self.count}", str(int(time.time()))
        return {
            "X-MLflow-Delivery-Id": identity,
            "X-MLflow-Timestamp": now,
            "X-MLflow-Signature": sign(secret, identity, now, body),
        }, body


@contextmanager
def _serving(registry: Registry) -> Iterator[int]:
    """A running receiver; its port."""
    receiver = Receiver(secret=SECRET, models=[MODEL], act=registry.reconcile, quiet_s=0.1)
    config = uvicorn.Config(make_app(receiver), host="127.0.0.1", port=0, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def registry() -> Registry:
    """One without events."""
    return Registry()


def test_wrong_deliveries_do_nothing_and_right_ones_act_once(registry: Registry) -> None:
    """Forged, unsigned, replayed, changed, too large, and garbage; the server answers on."""
    with _serving(registry) as port, closing(Sender(port)) as sender, closing(Sender(port)) as other:
        registry.settle()
        headers, body = sender.delivery()
        assert sender.post(*sender.delivery(secret="another secret")) == 401  # noqa: S106 - of the tests
        assert sender.post({}, body) == 401
        assert sender.post(headers, body.replace(b'"1"', b'"2"')) == 401
        assert sender.post({**headers, "X-MLflow-Timestamp": "1"}, body) == 401
        assert other.post(headers, b"\0" * (MAX_BODY_BYTES + 1)) == 413
        garbage = {**headers, "X-MLflow-Signature": sign(SECRET, *list(headers.values())[:2], b"\xff{")}
        before = registry.calls
        registry.events += 1
        assert sender.post(headers, body) == 202
        assert sender.post(headers, body) == 409
        assert sender.post(garbage, b"\xff{") == 409
        assert registry.settle() == before + 1


def test_a_burst_of_a_thousand_events_is_few_reconciliations(registry: Registry) -> None:
    """Each is answered at once; the last reconciliation knows all of them."""
    with _serving(registry) as port, closing(Sender(port)) as sender:
        registry.settle()
        start = time.monotonic()
        for _ in range(1000):
            registry.events += 1
            assert sender.post(*sender.delivery()) == 202
        took_s = time.monotonic() - start
        assert registry.settle() <= 3 + took_s / 0.1


def test_events_while_the_receiver_is_down_are_repaired_by_its_start(registry: Registry) -> None:
    """It reads the registry, whatever was delivered."""
    with _serving(registry):
        registry.settle()
    registry.events += 5
    with _serving(registry) as port, closing(Sender(port)) as sender:
        assert registry.settle() == 2
        registry.events += 1
        assert sender.post(*sender.delivery()) == 202
        registry.settle()


@pytest.mark.parametrize("host", ["127.0.0.1", "203.0.113.7", "no such host"])
def test_an_address_that_is_taken_or_elsewhere_is_one_sentence(host: str, registry: Registry) -> None:
    """Before anything is reconciled."""
    receiver = Receiver(secret=SECRET, models=[MODEL], act=registry.reconcile)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"{host}:{port} can't be listened on \(.+\): give another --port"
        ):
            serve_webhook(receiver, host=host, port=port)
    assert registry.calls == 0
