"""The loop of a worker: claim a trial, evaluate it, store its result."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

from mlflow_nas.errors import BoardError, CandidateError, MemoryShortageError, NasError
from mlflow_nas.search.claims import Choose, Claims
from mlflow_nas.search.early_stopping import TrialPaused
from mlflow_nas.search.store import Claim
from mlflow_nas.train import TrainingInterrupt
from mlflow_nas.trial import Listener
from mlflow_nas.types import TrialResult

__all__ = ["Callback", "Evaluate", "Loop", "TrialLost"]

_log = logging.getLogger(__name__)

MAX_BOARD_FAILURES = 2
"""Hardware failures in a row that stop a search."""
_POLL_S = 0.5

Evaluate = Callable[[Claim, Listener], TrialResult]
"""Evaluates a claimed trial; raises BoardError or MachineError where hardware failed."""


class TrialLost(TrainingInterrupt):
    """Another worker has taken over the trial, because this one's heartbeat stopped."""


class Callback(Protocol):
    """Receives the events of a worker's trials."""

    def trial_started(self, claim: Claim) -> None:
        """The trial is evaluated from now on, perhaps not for the first time."""

    def step(self, claim: Claim, name: str) -> None:
        """A step of the trial begins."""

    def epoch(self, claim: Claim, number: int, metrics: Mapping[str, float]) -> None:
        """An epoch of its training has ended, counted from 1."""

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:
        """Its result is in the storage."""

    def trial_interrupted(self, claim: Claim) -> None:
        """It waits for a worker again."""


@dataclass(frozen=True, slots=True)
class _Events:
    """A trial's events, to all callbacks; raises in a trial that another worker has."""

    claim: Claim
    callbacks: Sequence[Callback]
    lost: Event

    def step(self, name: str) -> None:
        self._check()
        for callback in self.callbacks:
            callback.step(self.claim, name)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        self._check()
        for callback in self.callbacks:
            callback.epoch(self.claim, number, metrics)

    def _check(self) -> None:
        if self.lost.is_set():
            raise TrialLost


@dataclass(kw_only=True)
class Loop:
    """A worker of a study.

    Attributes:
        claims: of the study.
        evaluate: evaluates one trial.
        callbacks: receive the events.
        may_begin: whether there is time for one more trial; takes the number that this call has evaluated.
        board: its name, for messages.
        waits: whether it waits for trials of other workers, which may die.
    """

    claims: Claims
    evaluate: Evaluate
    callbacks: Sequence[Callback] = ()
    may_begin: Callable[[int], bool] = lambda _evaluated: True
    board: str = ""
    waits: bool = True
    _failures: dict[int, int] = field(default_factory=dict, init=False)
    _in_a_row: int = field(default=0, init=False)

    def run(
        self, limit: int, *, choose: Choose | None = None, origin: Mapping[str, Any] | None = None
    ) -> None:
        """Evaluate trials until the study has `limit` finished ones, of all workers together.

        Args:
            limit: trials of the study, failed ones included.
            choose: chooses new architectures; None for the sampler.
            origin: of new trials: what chooses them.

        Raises:
            BoardError: two hardware failures in a row; MachineError: this machine can't evaluate.
                Trials without a result wait for the next call.
        """
        evaluated = 0
        while self.may_begin(evaluated):
            claim = self.claims.next(limit=limit, choose=choose, origin=origin, skip=self._skipped())
            if claim is not None:
                self._work(claim)
                evaluated += 1
            elif self.waits and self.claims.others_work(self._failures):
                time.sleep(_POLL_S)  # one of them may die before its trial has a result
            else:
                self._prune()
                break

    def _prune(self) -> None:
        """End the trials that early stopping has paused for good."""
        for claim, result in self.claims.prune():
            for callback in self.callbacks:
                callback.trial_started(claim)
                callback.trial_finished(claim, result)

    def _skipped(self) -> set[int]:
        """Trials that the board failed to measure: postponed until another is evaluated, at most twice."""
        most = 0 if self._in_a_row else MAX_BOARD_FAILURES - 1
        return {number for number, times in self._failures.items() if times > most}

    def _work(self, claim: Claim) -> None:
        store = self.claims.store
        for callback in self.callbacks:
            callback.trial_started(claim)
        try:
            with store.beating(claim) as lost:
                result = self._evaluate(claim, lost)
            self._finish(claim, result)
        except TrialLost:
            _log.warning("Trial %d was taken over by another worker, which evaluates it.", claim.number)
        except TrialPaused as paused:
            self._in_a_row = 0
            store.pause(claim, paused.rung, paused.result)
            self._interrupt(claim)
        except BoardError as error:
            self._release(claim, "board")
            self._count_failure(claim, error)
        except BaseException as error:
            with suppress(NasError):  # the first cause is raised; a dead worker's trial is taken over, too
                self._release(claim, "memory" if isinstance(error, MemoryShortageError) else None)
            raise

    def _finish(self, claim: Claim, result: TrialResult) -> None:
        self._in_a_row = 0
        if self.claims.store.finish(claim, result):
            for callback in self.callbacks:
                callback.trial_finished(claim, result)

    def _interrupt(self, claim: Claim) -> None:
        for callback in self.callbacks:
            callback.trial_interrupted(claim)

    def _evaluate(self, claim: Claim, lost: Event) -> TrialResult:
        try:
            return self.evaluate(claim, _Events(claim, self.callbacks, lost))
        except CandidateError as error:
            return _failed(claim, f"CandidateError: {error}")
        except MemoryShortageError as error:
            if "memory" in claim.failures:
                return _failed(claim, f"Out of memory for the second time: {error}")
            raise

    def _release(self, claim: Claim, failure: str | None) -> None:
        self.claims.store.release(claim, failure=failure)
        self._interrupt(claim)

    def _count_failure(self, claim: Claim, error: BoardError) -> None:
        self._failures[claim.number] = self._failures.get(claim.number, 0) + 1
        self._in_a_row += 1
        if self._in_a_row == MAX_BOARD_FAILURES:
            raise BoardError(
                f"{MAX_BOARD_FAILURES} hardware failures in a row on board {self.board}, the last: {error} "
                "Fix the board and rerun the command; the study resumes."
            ) from error


def _failed(claim: Claim, error: str) -> TrialResult:
    return TrialResult(
        key=claim.key, architecture=claim.architecture, state="failed", number=claim.number, error=error
    )
