"""A thread that delivers the outbox, retries while the server is unreachable, and adopts other outboxes."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition, Thread
from typing import NamedTuple

from mlflow.exceptions import MlflowException

from mlflow_nas.errors import ConfigError
from mlflow_nas.redact import redact
from mlflow_nas.tracking.delivery import Delivery
from mlflow_nas.tracking.events import Event, one_batch
from mlflow_nas.tracking.outbox import Entry, Outbox, abandoned
from mlflow_nas.tracking.server import one_line

__all__ = ["Sender"]

_log = logging.getLogger(__name__)

LINGER_S = 2.0
"""Values wait this long for more values of their run, to be sent in one request."""
ADOPT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
CLOSE_S = 2.0
MOST_TRIES = 3
"""An event that fails this often while the server answers is dropped as refused."""


class _Queue(NamedTuple):
    box: Outbox
    delivery: Delivery


class Sender:
    """Delivers one process's events in their order; failures are logged, never raised."""

    def __init__(self, box: Outbox, delivery: Delivery, adopt: Callable[[Outbox], Delivery | None]) -> None:
        """Start the thread.

        Args:
            box: this process's outbox.
            delivery: of its events.
            adopt: the delivery of a dead process's outbox; None for one that goes to another server.
        """
        self._own = _Queue(box, delivery)
        self._adopt = adopt
        self._adopted: list[_Queue] = []
        self._set_aside: set[Path] = set()
        self._state = Condition()
        self._stops = self._is_called = False
        self._flushes = 0
        self._tries = 0
        self._is_retry = False
        self._pause_s = 0.0
        self._looked = float("-inf")
        self._thread = Thread(target=self._run, name="mlflow-nas-outbox", daemon=True)
        self._thread.start()

    def call(self) -> None:
        """Wake the thread: the outbox has a new event."""
        with self._state:
            self._is_called = True
            self._state.notify_all()

    def flush(self, timeout_s: float) -> int:
        """Wait until everything is delivered, or nothing was for the time; the number of events that wait."""
        with self._state:
            self._flushes += 1
            self._looked = float("-inf")
            self._is_called = True
            self._state.notify_all()
            waiting = None
            while waiting != self._waiting():
                waiting = self._waiting()
                if self._state.wait_for(self._is_idle, timeout_s):
                    break
            self._flushes -= 1
        return self._waiting()

    def close(self) -> None:
        """Stop the thread; the remaining events wait for the next process."""
        with self._state:
            self._stops = True
            self._state.notify_all()
        self._thread.join(CLOSE_S)
        if (
            not self._thread.is_alive()
        ):  # else its request is under way: the locks last as long as the process
            for queue in (*self._adopted, self._own):
                queue.box.close()

    def _is_idle(self) -> bool:
        adopted_all = self._looked > float("-inf")
        return not self._thread.is_alive() or (adopted_all and self._waiting() == 0)

    def _waiting(self) -> int:
        return sum(len(queue.box) for queue in (*self._adopted, self._own))

    def _run(self) -> None:
        try:
            pause = 0.0
            while not self._rest(pause):
                pause = self._look()
        finally:
            with self._state:
                self._state.notify_all()

    def _rest(self, pause_s: float) -> bool:
        """Wait for an event, a flush or the time; whether to stop."""
        with self._state:
            self._state.notify_all()
            is_out = self._pause_s > 0
            self._state.wait_for(
                lambda: self._stops or (self._is_called and (self._flushes > 0 or not is_out)), pause_s
            )
            self._is_called = False
            return self._stops

    def _look(self) -> float:
        """Deliver what is due; the seconds until the next delivery is due."""
        if time.monotonic() - self._looked > ADOPT_S:
            self._take_abandoned()
            self._looked = time.monotonic()
        for queue in (*self._adopted, self._own):
            pause = self._drain(queue)
            if pause > 0:
                return pause
            if queue is not self._own:
                self._adopted.remove(queue)
                queue.box.close()
        return ADOPT_S

    def _take_abandoned(self) -> None:
        own = self._own.box.folder
        for box in abandoned(
            own.parent, {own, *self._set_aside, *(queue.box.folder for queue in self._adopted)}
        ):
            delivery = self._adopt(box)
            if delivery is None:
                self._set_aside.add(box.folder)
                box.close()
            else:
                self._adopted.append(_Queue(box, delivery))

    def _drain(self, queue: _Queue) -> float:
        """Deliver a queue; 0 when it is empty, else the seconds until its next event is due."""
        while not self._stops and len(queue.box):
            entries = _batch(queue.box)
            if not entries:
                break
            age_s = time.time() - entries[0][1].time_ms / 1_000
            is_done = entries[-1][1].kind not in {"start", "write"} or len(queue.box) > len(entries)
            if not is_done and self._flushes == 0 and 0 <= age_s < LINGER_S:
                return LINGER_S - age_s
            try:
                self._send(queue, entries)
            except Exception as fault:  # noqa: BLE001 - an artifact store raises what its library does
                if self._is_set_aside(queue, fault):
                    break
                return self._pause(queue, fault)
            for entry, _ in entries:
                queue.box.remove(entry.number)
        return 0.0

    def _send(self, queue: _Queue, entries: list[tuple[Entry, Event]]) -> None:
        """Deliver a batch; one that the server refuses is left out with a warning."""
        events = [event for _, event in entries]
        try:
            queue.delivery.deliver(
                events, entries[0][0].files, is_first_try=queue is self._own and not self._is_retry
            )
        except Exception as fault:
            queue.delivery.forget(events[0].uid)
            self._is_retry = True
            self._tries += 1
            if isinstance(fault, ConfigError) or self._tries < MOST_TRIES or not _answers(queue.delivery):
                raise
            _log.warning(
                "MLflow at %s refuses values of run %s, which are left out: %s",
                redact(queue.delivery.client.tracking_uri),
                queue.delivery.uid(events[0].trial),
                one_line(fault),
            )
        self._tries, self._is_retry = 0, False
        self._recover(queue)

    def _pause(self, queue: _Queue, fault: Exception) -> float:
        """The seconds until the next try; the first failure is a warning."""
        is_out = isinstance(fault, ConfigError) or not _answers(queue.delivery)
        if is_out and self._pause_s == 0:
            _log.warning(
                "MLflow at %s does not answer (%s): work continues, its events wait in %s and are "
                "delivered later, by this command or by the next.",
                redact(queue.delivery.client.tracking_uri),
                one_line(fault),
                queue.box.folder.parent,
            )
        if not is_out:
            return FIRST_PAUSE_S
        self._tries = 0
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        return self._pause_s

    def _recover(self, queue: _Queue) -> None:
        if self._pause_s > 0:
            _log.warning("MLflow at %s answers again.", redact(queue.delivery.client.tracking_uri))
        self._pause_s = 0.0

    def _is_set_aside(self, queue: _Queue, fault: Exception) -> bool:
        """Whether an adopted queue can't be delivered for now; the own queue does not wait for it."""
        if queue is self._own or not isinstance(fault, ConfigError):
            return False
        self._set_aside.add(queue.box.folder)
        return True


def _batch(box: Outbox) -> list[tuple[Entry, Event]]:
    """The first entries that are delivered together, with their events."""
    seen: list[Entry] = []

    def events() -> Iterator[Event]:
        for entry in box.entries():
            seen.append(entry)
            yield Event.from_json(entry.event)

    return list(zip(seen, one_batch(events()), strict=False))


def _answers(delivery: Delivery) -> bool:
    try:
        delivery.client.search_experiments(max_results=1)
    except (MlflowException, OSError):
        return False
    return True
