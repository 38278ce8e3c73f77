"""Trials on an engine, tested without one: calls run in this process."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from studies import open_loop
from user_folder import SMALL, UserFolder

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import BoardError, ConfigError, MachineError
from mlflow_nas.search import LOST, NoProgress, open_session
from mlflow_nas.search.engines import EngineExecutor, Report, make_executor
from mlflow_nas.search.engines.remote import Recorder
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.worker import Worker
from mlflow_nas.trial import Silent

TRIALS = 6


class InlineEngine:
    """Runs a call when it is waited for; calls of some numbers are lost."""

    def __init__(self, *, cpus: float = 1, gpus: float = 0) -> None:
        self.asked = (cpus, gpus)
        self.lose: Callable[[int], bool] = lambda _number: False
        self.started = 0
        self.most_at_once = 0
        self.stopped = False
        self._calls: dict[int, Callable[[], Any]] = {}

    def start(self, call: Callable[[], Any]) -> object:
        """Keep it."""
        self.started += 1
        self._calls[self.started] = call
        self.most_at_once = max(self.most_at_once, len(self._calls))
        return self.started

    def wait(self, timeout_s: float) -> Mapping[object, Any]:
        """Run the first one."""
        del timeout_s
        if not self._calls:
            return {}
        number = min(self._calls)
        call = self._calls.pop(number)
        return {number: LOST if self.lose(number) else call()}

    def stop(self) -> None:
        """Forget them."""
        self.stopped = True
        self._calls.clear()


class _Shown(NoProgress):
    def __init__(self) -> None:
        self.finished: list[int] = []

    def trial_finished(self, claim: Any, result: Any) -> None:
        """Its number."""
        del result
        self.finished.append(claim.number)


def _executor(journal: Path, engine: InlineEngine, *, failure: Any = None) -> tuple[EngineExecutor, _Shown]:
    """Calls evaluate by a formula; one that reports a failure evaluates nothing."""

    def make_call(plan: Plan, index: int) -> Callable[[], Report]:
        def call() -> Report:
            if failure is not None:
                return Report(failure=failure)
            recorder = Recorder()
            open_loop(
                journal, seed=index, callbacks=[recorder], may_begin=lambda done: done < 1, waits=False
            ).run(plan.limit)
            return Report(tuple(recorder.events), evaluated=bool(recorder.events))

        return call

    shown = _Shown()
    claims = open_loop(journal, grace_s=0.0).claims
    return EngineExecutor(engine, claims, make_call, workers=3, progress=shown), shown


def _always(_evaluated: int) -> bool:
    return True


def test_an_engine_evaluates_a_study(tmp_path: Path) -> None:
    """As many calls at once as there are workers, an event of every trial, and the engine is stopped."""
    engine = InlineEngine()
    executor, shown = _executor(tmp_path / "journal", engine)
    executor.run(Plan(limit=TRIALS), may_begin=_always)
    results = open_loop(tmp_path / "journal").claims.store.results()
    assert [one.number for one in results] == sorted(shown.finished) == list(range(TRIALS))
    assert engine.most_at_once == 3
    assert engine.stopped


def test_lost_calls_cost_no_trial(tmp_path: Path) -> None:
    """A trial whose machine died is evaluated by another call, under its number."""
    journal = tmp_path / "journal"
    dead = Worker(name="dead", place="another machine", pid=1, started=1)
    assert open_loop(journal, worker=dead).claims.next(limit=TRIALS) is not None
    engine = InlineEngine()
    engine.lose = lambda number: number in (2, 3)
    executor, shown = _executor(journal, engine)
    executor.run(Plan(limit=TRIALS), may_begin=_always)
    assert sorted(shown.finished) == list(range(TRIALS))
    assert not open_loop(journal).claims.store.unfinished()


def test_calls_that_are_always_lost_end_the_search(tmp_path: Path) -> None:
    """Too little memory, or another version on the machines: the sentence names both."""
    engine = InlineEngine()
    engine.lose = lambda _number: True
    executor, _ = _executor(tmp_path / "journal", engine)
    with pytest.raises(
        MachineError, match=r"10 calls in a row were lost .* more than 3 for each of 3 workers"
    ):
        executor.run(Plan(limit=TRIALS), may_begin=_always)
    assert engine.stopped


def test_a_failure_of_a_call_ends_the_search(tmp_path: Path) -> None:
    """The board's own sentence is raised here."""
    executor, _ = _executor(tmp_path / "journal", InlineEngine(), failure=BoardError("the cable is loose"))
    with pytest.raises(BoardError, match="the cable is loose"):
        executor.run(Plan(limit=TRIALS), may_begin=_always)


def test_a_budget_begins_no_further_trial(tmp_path: Path) -> None:
    """Those that are under way end."""
    executor, shown = _executor(tmp_path / "journal", InlineEngine())
    executor.run(Plan(limit=TRIALS), may_begin=lambda evaluated: evaluated < 2)
    assert 2 <= len(shown.finished) < TRIALS


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("slurm", "There is no engine 'slurm': choose local, ray, or give a class of yours"),
        ("test_engines:NoEngine", "The engine test_engines:NoEngine is no class or function"),
        ("builtins:dict", "has no method start, wait, stop: give it start, wait and stop"),
        ("builtins:len", r"can't be made with cpus=2\.0, gpus=0\.5: TypeError"),
    ],
)
def test_an_unknown_engine_is_one_sentence(engine: str, message: str) -> None:
    """Its name, what there is, or what it lacks."""
    given = {"executor": engine, "set": "search.executor.cpus=2 search.executor.gpus=0.5"}
    session: Any = SimpleNamespace(claims=None)
    with pytest.raises(ConfigError, match=message):
        make_executor(load_config(SearchConfig, given), session, NoProgress())


def test_an_engine_of_ones_own_runs_a_search(user_folder: UserFolder) -> None:
    """By MODULE:NAME; whole trials, each opened from the configuration where it is called."""
    given = {**SMALL, "study": "engine", "executor": "test_engines:InlineEngine", "training.seed_epochs": 1}
    with user_folder.entered():
        config = load_config(SearchConfig, given)
        session = open_session(config)
        session.prepare(Silent())
        make_executor(config, session, NoProgress()).run(Plan(limit=2), may_begin=_always)
        session.close()
    assert [one.state for one in session.store.results()] == ["complete", "complete"]
    assert {run.info.status for run in user_folder.runs("baseline", "trial")} == {"FINISHED"}
