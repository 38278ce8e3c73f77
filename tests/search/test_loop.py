"""The loop of workers, tested without training."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from studies import OBJECTIVES, evaluate, open_loop

from mlflow_nas.errors import BoardError, CandidateError, MachineError, MemoryShortageError
from mlflow_nas.search.store import OWNER, RESULT, Claim
from mlflow_nas.search.worker import Worker, this_worker
from mlflow_nas.space import fastestdet_head, narrow
from mlflow_nas.trial import Listener
from mlflow_nas.types import TrialResult

DEAD = Worker(name="dead", place=this_worker().place, pid=2**22 + 1, started=1)
ELSEWHERE = Worker(name="elsewhere", place="another machine", pid=1, started=1)
SMALL = narrow(fastestdet_head(), ["kernel_size=5", "groups=1", "channels=80..96:8", "img_width=316..320:4"])


def test_a_study_ends_at_its_trials_with_the_baseline_first() -> None:
    """Trials are numbered from 0, the baseline is the first, and no architecture is evaluated twice."""
    loop = open_loop()
    loop.run(10)
    results = loop.claims.store.results()
    assert [one.number for one in results] == list(range(10))
    assert results[0].architecture == fastestdet_head().baseline
    assert len({one.key for one in results}) == 10
    loop.run(10)
    assert len(loop.claims.store.results()) == 10


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_a_finite_space_is_asked_once(sampler: str) -> None:
    """Every architecture is evaluated once, repetitions are not stored, and the loop ends."""
    loop = open_loop(space=SMALL, sampler=sampler)
    loop.run(100)
    trials = loop.claims.store.study.get_trials()
    assert len(trials) == SMALL.size == 6
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert len({trial.user_attrs["nas.key"] for trial in trials}) == 6


def test_a_baseline_outside_of_the_choices_is_evaluated_and_teaches_no_sampler() -> None:
    """It has a result, and no params in Optuna."""
    loop = open_loop(space=narrow(fastestdet_head(), ["channels=24..64:8"]), sampler="tpe")
    loop.run(5)
    results = loop.claims.store.results()
    assert results[0].architecture["channels"] == 96
    assert loop.claims.store.study.trials[0].params == {}
    assert all(one.architecture["channels"] <= 64 for one in results[1:])


def test_a_trial_of_a_dead_worker_is_taken_over_in_place(tmp_path: Path) -> None:
    """The next worker evaluates it under its number, at once where the process is known to be gone."""
    journal = tmp_path / "journal"
    killed = open_loop(journal, worker=DEAD)
    claim = killed.claims.next(limit=4)
    assert claim is not None
    loop = open_loop(journal)
    loop.run(4)
    trials = loop.claims.store.study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert loop.claims.store.results()[0].key == claim.key


def test_a_worker_elsewhere_is_dead_when_its_heartbeat_stops(tmp_path: Path) -> None:
    """Its trial is left alone while it beats, and taken over after the grace period."""
    journal = tmp_path / "journal"
    other = open_loop(journal, worker=ELSEWHERE)
    claim = other.claims.next(limit=2)
    assert claim is not None
    loop = open_loop(journal, grace_s=0.3)
    loop.run(2)
    assert [one.number for one in loop.claims.store.results()] == [0, 1]
    assert not other.claims.store.is_mine(claim)


def test_a_late_result_is_refused_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A paused worker whose trial was taken over loses nothing of the study and ends without a traceback."""
    journal = tmp_path / "journal"
    paused = open_loop(journal, worker=ELSEWHERE)
    claim = paused.claims.next(limit=1)
    assert claim is not None
    loop = open_loop(journal, grace_s=0.0)
    loop.run(1)
    first = loop.claims.store.results()
    late = replace(evaluate(claim, _Nothing()), metrics={"map": 0.9, "latency_ms": 1.0})
    assert not paused.claims.store.finish(claim, late)
    assert "taken over" in caplog.text
    assert loop.claims.store.results() == first
    assert paused.claims.store.value("nas.late.0.elsewhere")["metrics"]["map"] == 0.9


class _Nothing:
    def step(self, name: str) -> None:
        """Nothing."""

    def epoch(self, number: int, metrics: object) -> None:
        """Nothing."""


def test_what_was_evaluated_and_not_told_is_told(tmp_path: Path) -> None:
    """A worker killed between its two last writes loses no result: nothing is evaluated again."""
    journal = tmp_path / "journal"
    killed = open_loop(journal, worker=DEAD)
    claim = killed.claims.next(limit=1)
    assert claim is not None
    killed.claims.store.set_attr(0, RESULT, json.dumps(evaluate(claim, _Nothing()).as_json()))
    evaluated: list[int] = []
    loop = open_loop(
        journal, evaluate=lambda one, events: evaluated.append(one.number) or evaluate(one, events)
    )
    loop.run(2)
    assert evaluated == [1]
    assert [one.number for one in loop.claims.store.results()] == [0, 1]
    assert loop.claims.store.study.trials[0].values is not None


def test_a_kill_while_the_sampler_is_asked_costs_nothing(tmp_path: Path) -> None:
    """A trial without an architecture is void, is not counted, and nothing stays running."""
    journal = tmp_path / "journal"
    open_loop(journal).run(1)
    killed = open_loop(journal, worker=DEAD)
    template = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={OWNER: DEAD.as_json()})
    killed.claims.store.storage.create_new_trial(killed.claims.store.study_id, template)
    loop = open_loop(journal)
    loop.run(3)
    assert len(loop.claims.store.results()) == 3
    assert not loop.claims.store.study.get_trials(states=[TrialState.RUNNING, TrialState.WAITING])


def test_workers_that_start_at_once_share_the_trials(tmp_path: Path) -> None:
    """Four workers on one journal: one baseline, each architecture once, nothing running."""
    journal = tmp_path / "journal"
    evaluated: list[str] = []

    def slowly(claim: Claim, listener: Listener) -> TrialResult:
        time.sleep(0.01)
        evaluated.append(claim.key)
        return evaluate(claim, listener)

    def work(index: int) -> None:
        worker = replace(this_worker(), name=f"worker {index}")
        loop = open_loop(
            journal, worker=worker, seed=index, lock=tmp_path / "lock", evaluate=slowly, sampler="tpe"
        )
        loop.run(24)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(evaluated) == 24
    assert max(Counter(evaluated).values()) == 1
    store = open_loop(journal).claims.store
    assert len(store.results()) == 24
    assert not store.unfinished()


def test_a_candidate_that_fails_is_a_failed_trial_with_its_reason() -> None:
    """The search continues, and Optuna knows the failure."""

    def failing(claim: Claim, listener: Listener) -> TrialResult:
        if claim.number == 1:
            raise CandidateError("it diverged: lower the learning rate")
        return evaluate(claim, listener)

    loop = open_loop(evaluate=failing)
    loop.run(3)
    results = loop.claims.store.results()
    assert [one.state for one in results] == ["complete", "failed", "complete"]
    assert results[1].error == "CandidateError: it diverged: lower the learning rate"
    assert loop.claims.store.study.trials[1].state is TrialState.FAIL


def test_a_full_disk_fails_no_trial() -> None:
    """The search stops with the machine's sentence, and the same trial is evaluated by the next call."""
    full = [True]

    def evaluate_on_a_disk(claim: Claim, listener: Listener) -> TrialResult:
        if full and claim.number == 1:
            raise MachineError("No space left on device: free some")
        return evaluate(claim, listener)

    loop = open_loop(evaluate=evaluate_on_a_disk)
    with pytest.raises(MachineError, match="No space left"):
        loop.run(3)
    full.clear()
    loop.run(3)
    assert [one.state for one in loop.claims.store.results()] == ["complete"] * 3


def test_one_board_failure_is_measured_later_and_two_in_a_row_stop() -> None:
    """A trial that the board failed to measure comes after another one; a dead board ends the search."""
    order: list[int] = []
    dead: list[int] = [1]

    def on_a_board(claim: Claim, listener: Listener) -> TrialResult:
        order.append(claim.number)
        if claim.number in dead and (len(dead) > 1 or order.count(claim.number) == 1):
            raise BoardError("the cable is loose.")
        return evaluate(claim, listener)

    loop = open_loop(evaluate=on_a_board)
    loop.run(4)
    assert order == [0, 1, 2, 1, 3]
    dead[:] = [4, 5]
    with pytest.raises(BoardError, match=r"2 hardware failures in a row on board fake.*cable.*Fix the board"):
        loop.run(8)
    dead.clear()
    open_again = loop.claims.store
    loop._in_a_row = 0
    loop.run(8)
    assert [one.state for one in open_again.results()] == ["complete"] * 8


def test_an_interrupted_trial_waits_for_the_next_call(tmp_path: Path) -> None:
    """Ctrl-C: nothing is left running, and the trial is the next one."""

    def interrupted(_claim: Claim, _listener: Listener) -> TrialResult:
        raise KeyboardInterrupt

    journal = tmp_path / "journal"
    loop = open_loop(journal, evaluate=interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run(2)
    assert loop.claims.store.study.trials[0].state is TrialState.WAITING
    again = open_loop(journal)
    again.run(2)
    assert [one.number for one in again.claims.store.results()] == [0, 1]


def test_an_enqueued_architecture_is_evaluated() -> None:
    """What a user of Optuna enqueues counts as a trial of the study."""
    loop = open_loop()
    loop.run(1)
    wanted = {"kernel_size": 3, "groups": 2, "channels": 48, "img_width": 256}
    loop.claims.store.study.enqueue_trial(wanted)
    loop.run(2)
    assert loop.claims.store.results()[1].architecture == wanted


def test_a_list_is_evaluated_in_its_order() -> None:
    """After the baseline, until the list is at its end."""
    wanted = [{"kernel_size": 3, "groups": g, "channels": 48, "img_width": 256} for g in (1, 2, 4)]
    keys = [fastestdet_head().key(one) for one in wanted]
    loop = open_loop()
    loop.run(
        10,
        choose=lambda known: next(
            (one for one, key in zip(wanted, keys, strict=True) if key not in known), None
        ),
    )
    assert [one.key for one in loop.claims.store.results()][1:] == keys
    assert OBJECTIVES[0].maximize


def test_a_shortage_of_memory_is_the_machines_fault_once() -> None:
    """The first time the search stops and nothing fails; a trial that runs out of memory twice has failed."""

    def hungry(claim: Claim, listener: Listener) -> TrialResult:
        if claim.number == 1:
            raise MemoryShortageError("The machine failed: out of memory")
        return evaluate(claim, listener)

    loop = open_loop(evaluate=hungry)
    with pytest.raises(MemoryShortageError):
        loop.run(3)
    loop.run(3)
    results = loop.claims.store.results()
    assert [one.state for one in results] == ["complete", "failed", "complete"]
    assert "Out of memory for the second time" in str(results[1].error)
