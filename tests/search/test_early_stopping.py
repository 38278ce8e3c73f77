"""MO-ASHA: which trials are paused, continued and pruned."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from studies import OBJECTIVES, metrics_of, open_loop
from user_folder import SMALL, UserFolder

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import ConfigError
from mlflow_nas.search import open_session
from mlflow_nas.search.early_stopping import EarlyStopping, SuccessiveHalving, rungs_of
from mlflow_nas.search.loop import Loop
from mlflow_nas.search.store import PROMOTED, RUNGS, Claim
from mlflow_nas.search.worker import Worker, this_worker
from mlflow_nas.space import fastestdet_head
from mlflow_nas.trial import Listener, Silent
from mlflow_nas.types import Architecture, TrialResult

EPOCHS, RUNGS_AT = 9, (1, 3)
DEAD = Worker(name="dead", place=this_worker().place, pid=2**22 + 1, started=1)


def _learning(architecture: Architecture, epoch: int) -> dict[str, float]:
    """Accuracy after an epoch, on the way to that of the whole training."""
    return {"map_fp32": metrics_of(architecture)["map"] * epoch / EPOCHS}


class _Trainings:
    """Trainings whose checkpoints stay, as in the step cache."""

    def __init__(self) -> None:
        self.saved: Counter[str] = Counter()
        self.epochs = 0

    def evaluate(self, claim: Claim, listener: Listener) -> TrialResult:
        """Continue after the last saved epoch, after the events of those before it."""
        history: list[Mapping[str, float]] = []
        for epoch in range(1, EPOCHS + 1):
            if epoch > self.saved[claim.key]:
                self.saved[claim.key] = epoch
                self.epochs += 1
            history.append(_learning(claim.architecture, epoch))
            listener.epoch(epoch, history[-1])
        return TrialResult(
            key=claim.key,
            architecture=claim.architecture,
            state="complete",
            number=claim.number,
            metrics={**metrics_of(claim.architecture), "trial_s": 1.0},
            history=tuple(history),
        )


def _loop(trainings: _Trainings, storage: Path | None = None, **options: Any) -> Loop:
    """A worker of a study with early stopping."""
    loop = open_loop(storage, evaluate=trainings.evaluate, **options)
    halving = SuccessiveHalving(store=loop.claims.store, rungs=RUNGS_AT, reduction=3)
    loop.claims.halving = halving
    loop.callbacks = [
        EarlyStopping(
            halving=halving,
            objectives=OBJECTIVES,
            baseline=fastestdet_head().baseline,
            screen=lambda architecture: {"latency_ms": metrics_of(architecture)["latency_ms"]},
        )
    ]
    return loop


def test_a_third_continues_beyond_each_rung() -> None:
    """Every trial reaches the first rung; of those that reach a rung about a third continues."""
    trainings = _Trainings()
    loop = _loop(trainings)
    loop.run(27)
    trials = loop.claims.store.study.get_trials()
    states = Counter(one.state for one in trials)
    assert len(trials) == 27
    assert states.keys() == {TrialState.COMPLETE, TrialState.PRUNED}
    reached = {rung: sum(str(rung) in one.user_attrs[RUNGS] for one in trials) for rung in RUNGS_AT}
    assert reached[1] == 27
    assert 27 // 3 <= reached[3] <= 27 // 3 + 3  # asynchronous: some continue before better ones come
    assert 27 // 9 <= states[TrialState.COMPLETE] <= 27 // 9 + 3
    assert trials[0].state is TrialState.COMPLETE
    assert trainings.epochs < 27 * EPOCHS / 2


def test_a_stopped_trial_keeps_its_values() -> None:
    """Optuna has the first objective at each rung; the result has the curve and the latency."""
    loop = _loop(_Trainings())
    loop.run(9)
    store = loop.claims.store
    pruned = next(one for one in store.results() if one.state == "pruned")
    trial = store.study.trials[pruned.number or 0]
    last = int(pruned.metrics["epochs"])
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values[last] == pruned.history[-1]["map_fp32"]
    assert len(pruned.history) == last in RUNGS_AT
    assert {"latency_ms", "map_fp32", "trial_s"} <= pruned.metrics.keys()
    assert "map" not in pruned.metrics


def test_a_paused_trial_continues_after_its_last_epoch() -> None:
    """When others have come that make it one of the best; no epoch is trained twice."""
    trainings = _Trainings()
    loop = _loop(trainings)
    loop.run(30)
    store = loop.claims.store
    resumed = [one for one in store.study.trials if one.user_attrs.get(PROMOTED) and one.number]
    assert resumed
    assert trainings.epochs == sum(len(one.history) for one in store.results())


def test_what_continues_is_not_dominated_by_what_is_pruned() -> None:
    """Within a rung the non-dominated rank decides: a pruned trial is no better in both objectives."""
    loop = _loop(_Trainings())
    loop.run(40)
    results = loop.claims.store.results()[1:]
    for one in (one for one in results if one.state == "complete"):
        assert not any(
            other.state == "pruned"
            and other.metrics["epochs"] == 1
            and metrics_of(other.architecture)["map"] > one.metrics["map"]
            and other.metrics["latency_ms"] < one.metrics["latency_ms"]
            for other in results
        )


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "evolution", "gp"])
def test_samplers_learn_from_paused_trials(sampler: str) -> None:
    """They take paused and pruned trials of two objectives without complaint, and propose nothing twice."""
    loop = _loop(_Trainings(), sampler=sampler)
    loop.run(16)
    loop.run(20)  # it continues with pruned ones
    results = loop.claims.store.results()
    assert len({one.key for one in results}) == 20
    assert "pruned" in {one.state for one in results}


def test_workers_share_the_rungs(tmp_path: Path) -> None:
    """Three on one journal: each trial is trained once to where it ends, and nothing stays paused."""
    trainings = [_Trainings() for _ in range(3)]

    def work(index: int) -> None:
        worker = replace(this_worker(), name=f"worker {index}")
        shared = trainings[index]
        shared.saved = trainings[0].saved
        _loop(shared, tmp_path / "journal", worker=worker, seed=index, lock=tmp_path / "lock").run(18)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = _loop(trainings[0], tmp_path / "journal").claims.store
    results = store.results()
    assert len(results) == 18
    assert not store.unfinished()
    assert sum(one.epochs for one in trainings) == sum(len(one.history) for one in results)


def test_a_worker_that_dies_at_a_rung_leaves_no_trial_behind(tmp_path: Path) -> None:
    """Killed after it stored the rung, or as it returned the trial: another one compares it anew."""
    journal, trainings = tmp_path / "journal", _Trainings()
    _loop(trainings, journal).run(3)
    killed = _loop(trainings, journal, worker=DEAD)
    claim = killed.claims.next(limit=4)
    assert claim is not None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(killed.claims.store), "release_of", lambda *_: None)
        killed._work(claim)
    loop = _loop(trainings, journal)
    loop.run(4)
    assert len(loop.claims.store.results()) == 4
    assert not loop.claims.store.unfinished()


def test_without_early_stopping_paused_trials_are_trained_to_the_end() -> None:
    """A call that was interrupted is continued without the option."""
    trainings = _Trainings()
    loop = _loop(trainings, may_begin=lambda evaluated: evaluated < 5)
    loop.run(5)
    assert any(one.state is TrialState.WAITING for one in loop.claims.store.study.trials)
    loop.claims.halving, loop.callbacks, loop.may_begin = None, [], lambda _evaluated: True
    loop.run(5)
    assert {one.state for one in loop.claims.store.results()} == {"complete"}


def test_rungs_are_spaced_by_the_reduction() -> None:
    """Two by default, fewer in a short training; from the first one given to the end."""
    assert rungs_of(14, reduction=3) == (2, 6)
    assert rungs_of(2, reduction=3) == (1,)
    assert rungs_of(81, reduction=3, first=1) == (1, 3, 9, 27)
    with pytest.raises(
        ConfigError, match=r"The first rung is at 1 epochs, a training has 1: set .*first_rung"
    ):
        rungs_of(1, reduction=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "params"}, "stops trials of a sampler, and --estimator params chooses"),
        ({"budget": "1h"}, "--budget 3600 follows a forecast of whole trainings"),
        ({"objectives": "map,train_s"}, "train_s is known at the end of a training only"),
    ],
)
def test_what_does_not_go_together_is_refused(
    options: dict[str, Any], message: str, user_folder: UserFolder
) -> None:
    """Before anything is trained, with the remedy."""
    with pytest.raises(ConfigError, match=message):
        user_folder.search(study=f"refused-{len(message)}", early_stopping="mo-asha", epochs=3, **options)


def test_trained_trials_are_stopped_and_continued(user_folder: UserFolder) -> None:
    """Stopped runs end as pruned with their curves; continued ones have every epoch once."""
    options = {"study": "halved", "early_stopping": "mo-asha", "sampler": "random", "epochs": 2}
    with user_folder.entered():
        session = open_session(
            load_config(SearchConfig, {**SMALL, **options, "search.early_stopping.reduction": 2})
        )
        session.prepare(Silent())
        session.loop(may_begin=lambda _evaluated: True).run(5)
        session.mirror.flush(60)
        session.close()
    results = session.store.results()
    assert Counter(one.state for one in results).keys() == {"complete", "pruned"}
    assert [len(one.history) for one in results] == [2 if one.state == "complete" else 1 for one in results]
    runs = {run.data.tags["nas.trial"]: run for run in user_folder.runs("baseline", "trial")}
    for one in results:
        run = runs[str(one.number)]
        assert (run.info.status, run.data.tags["nas.state"]) == ("FINISHED", one.state)
        curve = user_folder.client.get_metric_history(run.info.run_id, "epoch/map_fp32")
        assert [point.step for point in curve] == list(range(1, len(one.history) + 1))
