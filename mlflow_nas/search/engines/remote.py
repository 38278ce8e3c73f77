"""The call that an engine runs in another process: evaluate one trial of a study."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from mlflow_nas.errors import NasError
from mlflow_nas.search.context import StudyConfig
from mlflow_nas.search.loop import Loop
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.session import Session, open_session
from mlflow_nas.trial import Silent
from mlflow_nas.types import Board

__all__ = ["Recorder", "Report", "TrialCall"]

_FLUSH_S = 30.0

Event = tuple[str, tuple[Any, ...]]
"""A method of `Progress`, and its arguments."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a call did.

    Attributes:
        events: of its trial.
        evaluated: whether there was a trial to evaluate.
        failure: of hardware, machine or configuration; None for none.
    """

    events: tuple[Event, ...] = ()
    evaluated: bool = False
    failure: NasError | None = None


@dataclass
class Recorder:
    """A callback that keeps a trial's events, but not those of its epochs."""

    events: list[Event] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        kept = name in ("trial_started", "trial_finished", "trial_interrupted")
        return lambda *args: self.events.append((name, args)) if kept else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCall:
    """Evaluates one trial where it is called.

    Attributes:
        config: of the study, which each process opens once.
        plan: the trials to evaluate.
        index: of the call: processes that open the study at once draw with other seeds.
        folder: working directory of the command; relative paths of the configuration start there.
        threads: of a training.
        board: the study's board as the engine reaches it; None for the configuration's.
    """

    config: StudyConfig
    plan: Plan
    index: int
    folder: Path
    threads: int
    board: Board | None = None

    def __call__(self) -> Report:
        """Evaluate a trial, unless there is none to evaluate; errors are in the report."""
        events: list[Event] = []
        try:
            worker, plan = self._worker(), self.plan
            worker.recorder.events, session = events, worker.session
            choose = plan.choose(session.store, session.context.space)
            worker.loop.run(plan.limit, choose=choose, origin=plan.origin)
            session.mirror.flush(_FLUSH_S)  # the engine may end this process at any time
        except NasError as error:
            return Report(tuple(events), failure=error)
        return Report(tuple(events), evaluated=bool(events))

    def _worker(self) -> "_Worker":
        key = f"{self.folder} {self.config!r}"
        if key not in _workers:
            if self.folder.is_dir():
                os.chdir(self.folder)
            session = open_session(self.config, index=self.index)
            context = session.context
            session.context = replace(
                context, threads=context.threads or self.threads, board=self.board or context.board
            )
            session.prepare(Silent())
            recorder = Recorder()
            loop = session.loop([recorder], may_begin=lambda evaluated: evaluated < 1, waits=False)
            _workers[key] = _Worker(session, loop, recorder)
        return _workers[key]


class _Worker(NamedTuple):
    """A study that this process has opened; its loop remembers failures of the board."""

    session: Session
    loop: Loop
    recorder: Recorder


_workers: dict[str, _Worker] = {}
"""By command: an engine uses a process for several calls, and data are read once."""
