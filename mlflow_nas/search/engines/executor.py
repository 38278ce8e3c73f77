"""Trials on an engine: each is a call, evaluated where there are resources for it."""

import logging
from collections.abc import Callable

from mlflow_nas.errors import MachineError
from mlflow_nas.search.claims import Claims
from mlflow_nas.search.engines.protocol import LOST, Engine
from mlflow_nas.search.engines.remote import Report
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.progress import Progress

__all__ = ["EngineExecutor"]

_log = logging.getLogger(__name__)

_POLL_S = 1.0
_MOST_LOST = 3
"""Calls in a row, for each of those that run at once, that are lost without a trial in between."""

MakeCall = Callable[[Plan, int], Callable[[], Report]]
"""Takes the plan and the number of the call."""


class EngineExecutor:
    """Keeps calls running on an engine until a plan is fulfilled.

    Calls that die are replaced; their trials are released when their heartbeats have stopped, and
    evaluated by another call.

    Args:
        engine: runs the calls.
        claims: of the study, in this process, which only watches it.
        make_call: makes the call that evaluates one trial.
        workers: calls at once.
        progress: a display.
    """

    def __init__(
        self, engine: Engine, claims: Claims, make_call: MakeCall, *, workers: int, progress: Progress
    ) -> None:
        self._engine, self._claims, self._make_call = engine, claims, make_call
        self._workers, self._progress = workers, progress
        self._calls = 0

    def run(self, plan: Plan, *, may_begin: Callable[[int], bool]) -> None:
        """Evaluate trials until the plan is fulfilled, or `may_begin` refuses the next.

        Raises:
            BoardError, MachineError, ConfigError: what a call ended with; MachineError: calls are lost
                repeatedly.
        """
        running: set[object] = set()
        evaluated, lost, idle, open_to_more = 0, 0, False, True
        try:
            while open_to_more or running:
                idle = self._claims.release_stale() == 0 and idle
                open_to_more = open_to_more and may_begin(evaluated)
                while open_to_more and not idle and len(running) < self._workers:
                    running.add(self._start(plan))
                if not running and idle and not self._claims.others_work():
                    break
                for handle, report in self._engine.wait(_POLL_S).items():
                    running.discard(handle)
                    lost = self._count_lost(lost) if report is LOST else 0
                    if report is not LOST:
                        evaluated += self._show(report)
                        idle = not report.evaluated
        finally:
            self._engine.stop()

    def _start(self, plan: Plan) -> object:
        self._calls += 1
        return self._engine.start(self._make_call(plan, self._calls))

    def _show(self, report: Report) -> int:
        """Show a call's events; the number of trials that have finished.

        Raises:
            NasError: the call's.
        """
        for name, args in report.events:
            getattr(self._progress, name)(*args)
        if report.failure is not None:
            raise report.failure
        return sum(name == "trial_finished" for name, _ in report.events)

    def _count_lost(self, before: int) -> int:
        """The number of lost calls in a row.

        Raises:
            MachineError: too many.
        """
        if before + 1 > _MOST_LOST * self._workers:
            raise MachineError(
                f"{before + 1} calls in a row were lost on the engine, more than {_MOST_LOST} for each of "
                f"{self._workers} workers: look at its log for lacking memory, or a missing mlflow_nas of "
                "this version on its machines, then rerun the command; the study continues."
            )
        _log.warning("The engine lost a call: another one continues its trial.")
        return before + 1
