"""What the receiver of MLflow's webhooks accepts, and when it acts."""

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mlflow.webhooks.constants import (
    WEBHOOK_DELIVERY_ID_HEADER,
    WEBHOOK_SIGNATURE_HEADER,
    WEBHOOK_SIGNATURE_VERSION,
    WEBHOOK_TIMESTAMP_HEADER,
)

from mlflow_nas.errors import NasError
from mlflow_nas.registry.plan import UNCOMPARED, Change
from mlflow_nas.registry.state import PINNED

__all__ = ["EVENTS", "MAX_BODY_BYTES", "Receiver", "sign"]

_log = logging.getLogger(__name__)

EVENTS = (
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
)
MAX_BODY_BYTES = 256 * 1024
MAX_AGE_S = 300.0
"""Of a delivery, either way: the clocks of two machines differ."""
MAX_PAUSE_S = 600.0
_OWN_TAGS = {*UNCOMPARED, PINNED}
_OWN_PREFIX = "deploy."


def sign(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """MLflow's signature of a delivery: HMAC-SHA256 over id, time stamp and body."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"{WEBHOOK_SIGNATURE_VERSION},{base64.b64encode(digest).decode()}"


class Receiver:
    """Checks deliveries at once and acts in the background, once for a burst.

    Args:
        secret: shared with the server.
        models: that are acted upon; events of others are accepted and ignored.
        act: reconciles a model, and deploys; returns the changes that it made in the registry.
        quiet_s: how long an event waits for others of its burst, seconds.
        now: the clock, seconds since 1970.
    """

    def __init__(
        self,
        *,
        secret: str,
        models: Collection[str],
        act: Callable[[str], Collection[Change]],
        quiet_s: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secret, self._models, self._act = secret, frozenset(models), act
        self._quiet_s, self._now = quiet_s, now
        self._seen: dict[str, float] = {}
        self._own: set[tuple[str, str, str]] = set()
        self._pending: set[str] = set()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="reconcile", daemon=True)

    def start(self) -> None:
        """Begin to act, first on every model: what happened while the receiver was down is repaired."""
        self._pending |= self._models
        self._thread.start()

    def stop(self) -> None:
        """End after the reconciliation that is running."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def accept(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """The HTTP status and sentence for a delivery; a good one is queued.

        Args:
            headers: of the request, in any capitals.
            body: of the request.
        """
        given = {name.lower(): value for name, value in headers.items()}
        delivery, timestamp, signature = (
            given.get(name.lower(), "")
            for name in (WEBHOOK_DELIVERY_ID_HEADER, WEBHOOK_TIMESTAMP_HEADER, WEBHOOK_SIGNATURE_HEADER)
        )
        expected = sign(self._secret, delivery, timestamp, body)
        if not delivery or not hmac.compare_digest(expected.encode(), signature.encode()):
            return 401, "The signature is missing or wrong."
        if not timestamp.isdecimal() or abs(self._now() - int(timestamp)) > MAX_AGE_S:
            return 401, f"The time stamp is more than {MAX_AGE_S:.0f} s away."
        if self._is_known(delivery):
            return 409, "This delivery was received before."
        try:
            event = json.loads(body)
            subject = str(event["data"]["name"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return 400, "The body is no event of MLflow."
        if subject not in self._models or self._is_own(event):
            return 200, "Ignored."
        with self._changed:
            self._pending.add(subject)
            self._changed.notify()
        return 202, "Accepted."

    def _is_known(self, delivery: str) -> bool:
        """Whether a delivery came before; remembered as long as its time stamp is good."""
        now = self._now()
        with self._changed:
            while self._seen and now - next(iter(self._seen.values())) > 2 * MAX_AGE_S:
                del self._seen[next(iter(self._seen))]
            known = delivery in self._seen
            self._seen.setdefault(delivery, now)
        return known

    def _is_own(self, event: Mapping[str, Any]) -> bool:
        """Whether the event is what a reconciliation wrote."""
        data = event["data"]
        tag = str(data.get("key", ""))
        if tag in _OWN_TAGS or tag.startswith(_OWN_PREFIX):
            return True
        written = (str(data["name"]), str(data.get("alias", "")), str(data.get("version", "")))
        with self._changed:
            return written in self._own

    def _work(self) -> None:
        pause_s = self._quiet_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._pending)
                if self._stopped:
                    return
                self._changed.wait_for(lambda: self._stopped, timeout=pause_s)
                models, self._pending = self._pending, set()
            failed = {model for model in sorted(models) if not self._is_done(model)}
            with self._changed:
                self._pending |= failed
            pause_s = min(2 * pause_s, MAX_PAUSE_S) if failed else self._quiet_s

    def _is_done(self, model: str) -> bool:
        try:
            changes = self._act(model)
        except NasError as error:
            _log.warning("%s", error)
            return False
        aliases = [change for change in changes if change.kind == "alias"]
        with self._changed:
            self._own |= {(model, change.name, change.after or "") for change in aliases}
            self._own -= {(model, change.name, change.before or "") for change in aliases}
        return True
