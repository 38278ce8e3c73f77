"""Workers killed at random moments: the study is finished, once, and MLflow shows it."""

from collections import Counter
from pathlib import Path

import mlflow
import pytest
from killed_studies import TRIALS, kill, kill_at_random, start
from optuna.trial import TrialState
from studies import open_loop


def _check(storage: Path, tracking_uri: str, folder: Path) -> None:
    """Every trial once, in Optuna and in MLflow; nothing is left running."""
    store = open_loop(storage).claims.store
    results = store.results()
    assert [one.number for one in results] == list(range(TRIALS))
    assert len({one.key for one in results}) == TRIALS
    assert not store.study.get_trials(states=[TrialState.RUNNING, TrialState.WAITING])
    assert not (folder / "twice").exists(), (folder / "twice").read_text()
    client = mlflow.MlflowClient(tracking_uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    studies = [run for run in runs if run.data.tags["nas.role"] == "study"]
    trials = [run for run in runs if run.data.tags["nas.role"] in ("trial", "baseline")]
    assert len(studies) == 1
    assert Counter(run.data.tags["nas.trial"] for run in trials) == {str(one.number): 1 for one in results}
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in trials:
        result = next(one for one in results if str(one.number) == run.data.tags["nas.trial"])
        assert run.data.metrics["map"] == pytest.approx(result.metrics["map"])
        # Two workers that end at once may both write a value: it is the same.
        history = client.get_metric_history(run.info.run_id, "map")
        assert {point.value for point in history} == {run.data.metrics["map"]}


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_twenty_kills_cost_no_trial(tmp_path: Path, workers: int, tracking_uri: str) -> None:
    """Workers of one folder, killed twenty times from the first trial on."""
    storage, folder = tmp_path / "journal", tmp_path / "work"
    kill_at_random(storage, [folder] * workers, tracking_uri, times=20, seed=workers)
    processes = [start(storage, folder, tracking_uri) for _ in range(workers)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    _check(storage, tracking_uri, tmp_path)


def test_of_two_folders_one_dies(tmp_path: Path, tracking_uri: str) -> None:
    """Two machines share a storage; one dies for good, and the other one finishes its trials.

    A last call of the survivor's command closes the study's run, which a worker may open after its end.
    """
    storage = tmp_path / "journal"
    survivor = start(storage, tmp_path / "a", tracking_uri)
    for _ in range(3):
        other = start(storage, tmp_path / "b", tracking_uri)
        other.join(0.3)
        kill([other])
    for process in (survivor, start(storage, tmp_path / "a", tracking_uri)):
        process.join(60)
        assert process.exitcode == 0
    _check(storage, tracking_uri, tmp_path)
