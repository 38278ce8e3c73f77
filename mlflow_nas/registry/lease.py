"""One writer at a time, on any machine: a lock made of tags of the registered model.

MLflow sets tags without a compare-and-set, so this is the bakery algorithm (Lamport 1974,
doi:10.1145/361082.361093): each writer has a tag of its own, takes the number after the largest that it sees,
and waits for smaller ones. A tag that its writer does not renew is removed.
"""

import math
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry.state import store_of

__all__ = ["Lease", "one_writer"]

PREFIX = "nas.lease."
CHOOSING = "choosing"
STALE_S = 30.0
"""After this time without renewal a writer is dead. Each waiter measures it with its own clock."""
RENEW_S = 5.0
WAIT_S = 600.0
POLL_S = (0.05, 0.5)
"""Between two looks, growing from the first to the last: waiting writers must not keep the server busy."""


class Lease:
    """The right to write a registered model, renewed while it is used.

    Args:
        client: the MLflow client.
        model: the registered model.
    """

    def __init__(self, client: MlflowClient, model: str) -> None:
        self._client, self._model = store_of(client), model
        self._tag = f"{PREFIX}{uuid.uuid4().hex[:12]}"
        self._number, self._renewals, self._renewed = 0, 0, -math.inf
        self._seen: dict[str, tuple[str, float]] = {}

    def acquire(self, wait_s: float) -> None:
        """Wait for the turn.

        Raises:
            RegistryError: another writer renewed its lease all the while.
        """
        self._set(CHOOSING)
        self._number = 1 + max((_number(text) for text in self._others().values()), default=0)
        self._write()
        deadline, pause_s = time.monotonic() + wait_s, POLL_S[0]
        while first := self._before():
            if time.monotonic() > deadline:
                raise RegistryError(
                    f"another process has been writing the registered model {self._model!r} for "
                    f"{wait_s:.0f} s ({_holder(first)}); wait for it to end, or stop it, and rerun the "
                    "same command"
                )
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, POLL_S[1])
            self.renew()

    def renew(self) -> None:
        """Show that the writer is alive; to be called between writes."""
        if time.monotonic() - self._renewed > RENEW_S:
            self._renewals += 1
            self._write()

    @property
    def is_stale(self) -> bool:
        """Whether others may have removed the lease: so long has the last renewal been ago."""
        return time.monotonic() - self._renewed > STALE_S

    def release(self) -> None:
        """End the right."""
        with suppress(MlflowException):  # it must not hide the first error, and goes stale by itself
            self._client.delete_registered_model_tag(self._model, self._tag)

    def _write(self) -> None:
        self._set(f"{self._number} {self._renewals} {socket.gethostname()}:{os.getpid()}")

    def _set(self, text: str) -> None:
        self._client.set_registered_model_tag(self._model, self._tag, text)
        self._renewed = time.monotonic()

    def _before(self) -> str:
        """The lease of a writer whose turn is earlier; "" without one."""
        mine = (self._number, self._tag)
        ahead = [
            text for tag, text in self._others().items() if text == CHOOSING or (_number(text), tag) < mine
        ]
        return min(ahead, default="")

    def _others(self) -> dict[str, str]:
        """The leases of living writers; a dead one's is removed."""
        tags = self._client.get_registered_model(self._model).tags
        found = {tag: text for tag, text in tags.items() if tag.startswith(PREFIX) and tag != self._tag}
        now = time.monotonic()
        self._seen = {
            tag: self._seen[tag] if self._seen.get(tag, ("",))[0] == text else (text, now)
            for tag, text in found.items()
        }
        for tag in [tag for tag, (_, since) in self._seen.items() if now - since > STALE_S]:
            self._client.delete_registered_model_tag(self._model, tag)
            del found[tag]
        return found


@contextmanager
def one_writer(client: MlflowClient, model: str, *, wait_s: float = WAIT_S) -> Iterator[Lease]:
    """Exclude every other process that writes the same registered model, on this machine or another.

    Raises:
        RegistryError: another process wrote all the while.
    """
    lease = Lease(client, model)
    try:
        lease.acquire(wait_s)
        yield lease
    except MlflowException:
        if not lease.is_stale:  # else the server does not answer: asking again would double the wait
            lease.release()
        raise
    except BaseException:
        lease.release()
        raise
    lease.release()


def _number(text: str) -> int:
    """The number of a lease; 0 for one that is taking its turn, and for what is no lease: it goes stale."""
    first = text.partition(" ")[0]
    return int(first) if first.isdecimal() else 0


def _holder(text: str) -> str:
    return "it is taking its turn" if text == CHOOSING else text.rpartition(" ")[2]
