"""Where trials are evaluated: in this process, or in several on this machine.

Other machines are reached by an engine (`search/engines/`).
"""

import logging
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from mlflow_nas.errors import MachineError, NasError
from mlflow_nas.search.context import StudyConfig
from mlflow_nas.search.loop import Callback
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.progress import Progress
from mlflow_nas.search.session import Session, open_session
from mlflow_nas.search.worker_output import EVENTS, send_output, show_output, silenced
from mlflow_nas.trial import Silent

__all__ = ["Executor", "LocalExecutor", "ProcessExecutor"]

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_MAX_RESTARTS = 3

MayBegin = Callable[[int], bool]


class Executor(Protocol):
    """Evaluates the trials of a plan."""

    def run(self, plan: Plan, *, may_begin: MayBegin) -> None:
        """Evaluate trials until the plan is fulfilled, or `may_begin` refuses the next.

        Raises:
            BoardError: two hardware failures in a row; MachineError: this machine can't evaluate.
        """


class LocalExecutor:
    """One worker, in this process.

    Args:
        session: the study.
        progress: a display.
    """

    def __init__(self, session: Session, progress: Progress) -> None:
        self._session, self._progress = session, progress

    def run(self, plan: Plan, *, may_begin: MayBegin) -> None:
        """Evaluate trials in this process."""
        _work(self._session, plan, [self._progress], may_begin)


def _work(session: Session, plan: Plan, callbacks: Sequence[Callback], may_begin: MayBegin) -> None:
    choose = plan.choose(session.store, session.context.space)
    loop = session.loop(callbacks, may_begin=may_begin)
    loop.run(plan.limit, choose=choose, origin=plan.origin)


class ProcessExecutor:
    """Several workers, each a process of its own; their events are shown in one display.

    Args:
        config: of the study, which each worker opens by itself.
        workers: their number.
        progress: a display.
    """

    def __init__(self, config: StudyConfig, workers: int, progress: Progress) -> None:
        self._config, self._workers, self._progress = config, workers, progress
        self._context = multiprocessing.get_context("spawn")
        self._events: Any = self._context.Queue()
        self._stop = self._context.Event()

    def run(self, plan: Plan, *, may_begin: MayBegin) -> None:
        """Start the workers, show their events, and replace workers that were killed."""
        processes = {index: self._start(plan, index) for index in range(self._workers)}
        evaluated, restarts = 0, 0
        failure: NasError | None = None
        try:
            while processes:
                evaluated += self._show_events()
                if not may_begin(evaluated):
                    self._stop.set()
                for index, process in list(processes.items()):
                    if process.exitcode is None:
                        continue
                    del processes[index]
                    if process.exitcode < 0 and restarts < _MAX_RESTARTS:
                        restarts += 1
                        _warn_killed(process.exitcode)
                        processes[index] = self._start(plan, index)
                    elif process.exitcode < 0:
                        raise _killed(process.exitcode, self._workers)
            self._show_events()
            failure = self._failure
        finally:
            self._end(processes.values())
        if failure:
            raise failure

    _failure: NasError | None = None

    def _start(self, plan: Plan, index: int) -> SpawnProcess:
        process = self._context.Process(
            target=_worker,
            args=(self._config, plan, index, os.getpid(), self._events, self._stop, self._workers),
            name=f"worker {index}",
        )
        process.start()
        return process

    def _show_events(self) -> int:
        """Show the events of the workers; the number of trials that have finished."""
        finished = 0
        while True:
            try:
                name, args = self._events.get(timeout=_POLL_S)
            except queue.Empty:
                return finished
            if name == "failure":
                self._failure = self._failure or args[0]
            elif name in EVENTS:
                show_output(*args)
            else:
                getattr(self._progress, name)(*args)
                finished += name == "trial_finished"

    def _end(self, processes: Any) -> None:
        """Interrupt workers as Ctrl-C does; they release their trials."""
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
        for process in processes:
            process.join(timeout=30)
            if process.exitcode is None:
                process.kill()


def _warn_killed(code: int) -> None:
    _log.warning("A worker was killed by %s: another one continues its trial.", signal.Signals(-code).name)


def _killed(code: int, workers: int) -> MachineError:
    return MachineError(
        f"Workers are killed repeatedly, the last by {signal.Signals(-code).name}: {workers} workers "
        "may need more memory than this machine has. Rerun the command with fewer --workers; the study "
        "continues."
    )


class _Sender:
    """A callback that sends a worker's events to its parent."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self._events.put((name, args))


def _worker(
    config: StudyConfig, plan: Plan, index: int, parent: int, events: Any, stop: Any, workers: int
) -> None:
    """The process of one worker."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its parent has died
    try:
        with silenced():
            session = open_session(config, index=index, workers=workers, parent=parent)
        try:
            with silenced():
                session.prepare(Silent())
            with send_output(events):
                _work(session, plan, [_Sender(events)], lambda _evaluated: not stop.is_set())
        finally:
            session.close()
    except KeyboardInterrupt:
        return
    except NasError as error:
        events.put(("failure", (error,)))
