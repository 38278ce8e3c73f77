"""A search: its trials evaluated by an executor, its results read back from Optuna's storage."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow_nas.search.executors import Executor
from mlflow_nas.search.finalists import keep_better
from mlflow_nas.search.mirroring import trial_run
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.progress import Progress
from mlflow_nas.search.seed import seed_seconds
from mlflow_nas.search.session import Session
from mlflow_nas.search.store import ORIGIN
from mlflow_nas.trial import (
    FROM_SUPERNET,
    StudyContext,
    Supernet,
    open_supernet,
    run_trial,
    screen,
    start_of,
)
from mlflow_nas.types import Architecture, Role, TrialResult

__all__ = ["Search", "StageListener"]

_HAS_SUPERNET = "nas.supernet"
"""Attribute of the study: a strategy has trained the space's supernet."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StageListener:
    """Shows the events of work outside of trials."""

    display: Progress

    def step(self, name: str) -> None:
        """A step of the stage begins."""
        self.display.step(None, name)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """An epoch of the stage has ended."""
        self.display.epoch(None, number, metrics)


@dataclass(kw_only=True)
class Search:
    """A study whose trials are evaluated.

    Attributes:
        session: the study.
        executor: evaluates trials.
        display: shows the progress.
        deadline: no trial begins that would end later, by the monotonic clock; None for no end.
    """

    session: Session
    executor: Executor
    display: Progress
    deadline: float | None = None
    _began: float = field(default=0.0, init=False)

    @property
    def progress(self) -> StageListener:
        """Shows the events of work outside of trials."""
        return StageListener(self.display)

    @property
    def context(self) -> StudyContext:
        """What the trials share."""
        return self.session.context

    def prepare(self) -> None:
        """Train the seed network and time the reference model, once per study."""
        self.display.stage("preparation", epochs=self.session.config.training.seed_epochs)
        self.session.prepare(self.progress)

    def run(self, trials: int) -> list[TrialResult]:
        """Evaluate trials until the study has this number, the baseline and failed ones included.

        Returns:
            Every result of the study, also those of earlier calls.

        Raises:
            BoardError: two hardware failures in a row; MachineError: this machine can't evaluate.
        """
        self._execute(Plan(limit=trials, random=self.session.sampler.choice == "random"), trials)
        return self.results()

    def train(
        self, wanted: Sequence[Architecture], *, count: int, chosen_by: str | None = None
    ) -> list[TrialResult]:
        """Evaluate the baseline, then the first of a list until `count` of it are trained.

        Args:
            wanted: best first; longer than `count`, as some may violate a limit before their training.
            count: of the list that are trained, counting those of earlier calls.
            chosen_by: the strategy that made the list; None for a random draw.

        Returns:
            Every result of the study.

        Raises:
            BoardError: two hardware failures in a row; MachineError: this machine can't evaluate.
        """
        known = len(self.session.store.trials())
        plan = Plan(
            limit=known + 1 + len(wanted),
            wanted=tuple(wanted),
            count=count,
            chosen_by=chosen_by,
            random=chosen_by is None,
        )
        self._execute(plan, known + count)
        return self.results()

    def _execute(self, plan: Plan, trials: int) -> None:
        known = self.results()
        self.display.study(
            trials=trials, epochs=self.context.epochs, objectives=self.context.objectives, known=known
        )
        self._began = time.monotonic()
        self.executor.run(plan, may_begin=self._may_begin)
        if plan.wanted is None and self.deadline is None and len(self.results()) < plan.limit:
            _log.warning("All %d architectures of the space are evaluated.", self.context.space.size)

    def _may_begin(self, evaluated: int) -> bool:
        """Whether one more trial, as long as the earlier ones, ends before the deadline."""
        if self.deadline is None or evaluated == 0:
            return True
        now = time.monotonic()
        if now + (now - self._began) / evaluated <= self.deadline:
            return True
        _log.warning("The budget ends the search after %d trials.", evaluated)
        return False

    def screen(self, architecture: Architecture) -> dict[str, float]:
        """Counts and latency metrics of the untrained int8 file on the board, through the step cache.

        Raises:
            CandidateError: the network can't be built, exported or run; BoardError: the board failed.
        """
        return screen(self.context, architecture)

    def supernet(self) -> Supernet:
        """The space's supernet, trained where the step cache has none.

        Raises:
            ConfigError: the weights don't fit the space; MachineError: this machine failed.
        """
        self.display.stage("supernet")
        self.set(_HAS_SUPERNET, value=True)
        return open_supernet(self.context, listener=self.progress)

    def results(self) -> list[TrialResult]:
        """The finished trials, by number."""
        return self.session.store.results()

    def sampled(self) -> list[TrialResult]:
        """Those that no estimate chose: strategies are evaluated and fitted on them."""
        return self._of_origin(lambda origin: not origin.get("chosen_by"))

    def drawn(self) -> list[TrialResult]:
        """Those that were drawn at random: an unbiased sample of the space."""
        return self._of_origin(lambda origin: bool(origin.get("random")) and not origin.get("chosen_by"))

    def _of_origin(self, wanted: Any) -> list[TrialResult]:
        origins: dict[int | None, Any] = {
            one.number: one.user_attrs.get(ORIGIN, {}) for one in self.session.store.trials()
        }
        return [one for one in self.results() if wanted(origins[one.number])]

    def repeat(self, result: TrialResult) -> TrialResult:
        """A second training of a trial, with the next seed; once per study.

        Raises:
            BoardError: the board failed; MachineError: this machine can't evaluate.
        """
        context = replace(self.context, seed=self.context.seed + 1)
        return self._train_again(result, context, "repeat", f"second training of {result.key}")

    def finish(self, results: Sequence[TrialResult], *, epochs: int) -> list[TrialResult]:
        """Train architectures to the end, each once per study.

        Args:
            results: of their trials.
            epochs: of the training of the whole network.

        Raises:
            BoardError: the board failed; MachineError: this machine can't evaluate.
        """
        found = []
        for place, one in enumerate(results, start=1):
            stage = f"finalist {place} of {len(results)}, {one.key}"
            found.append(self.finished(one) or self._finish(one, epochs, stage))
        return found

    def _finish(self, result: TrialResult, epochs: int, stage: str) -> TrialResult:
        context, added = self.context.finishing(epochs), {}
        if self.get(_HAS_SUPERNET):
            self.display.stage(f"start of {stage}")
            context = replace(context, starts=start_of(self.context, result, listener=self.progress))
            added = {FROM_SUPERNET: float(bool(context.starts))}
        return self._train_again(result, context, "finalist", stage, added)

    def finished(self, result: TrialResult) -> TrialResult | None:
        """The training to the end of a trial's architecture; None before it."""
        known = self.get(f"nas.finalist.{result.key}")
        return None if known is None else TrialResult.from_json(known)

    def _train_again(
        self,
        result: TrialResult,
        context: StudyContext,
        role: Role,
        stage: str,
        added: Mapping[str, float] | None = None,
    ) -> TrialResult:
        """A further training of a trial's architecture, with further metrics; once per study."""
        name = f"nas.{role}.{result.key}"
        known = self.get(name)
        if known is not None:
            return TrialResult.from_json(known)
        run = trial_run(context, result.architecture, role=role, number=result.number)
        mirror = self.session.mirror
        mirror.start_trial(run)
        self.display.stage(stage, epochs=context.epochs)
        try:
            found = run_trial(
                context, result.architecture, role=role, number=result.number, listener=self.progress
            )
        except BaseException:
            mirror.interrupt_trial(run)
            raise
        found = replace(found, metrics={**found.metrics, **(added or {})})
        if role == "finalist":
            found = keep_better(result, found, context.objectives)
        mirror.finish_trial(run, found)
        self.set(name, found.as_json())
        return found

    def get(self, key: str) -> Any:
        """A value of the study; None where there is none."""
        return self.session.store.value(key)

    def set(self, key: str, value: object) -> None:
        """Store a value of the study, as plain JSON."""
        self.session.store.keep(key, value)

    @property
    def seed_s(self) -> float:
        """Seconds that the seed network's training took; 0 without one."""
        return seed_seconds(self.session.store)
