"""A search on a Ray cluster of two nodes; one dies."""

import os
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from studies import evaluate, open_loop
from user_folder import SMALL, UserFolder

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.errors import ConfigError
from mlflow_nas.search import NoProgress, make_executor, open_session
from mlflow_nas.search.engines import EngineExecutor, Report
from mlflow_nas.search.engines.remote import Recorder
from mlflow_nas.search.plan import Plan
from mlflow_nas.search.store import Claim
from mlflow_nas.trial import Listener, Silent
from mlflow_nas.types import TrialResult

ray = pytest.importorskip("ray", reason="Ray is missing (pip install 'mlflow-nas[ray]')")
pytestmark = pytest.mark.services

TRIALS = 6
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that reaches the boards, and a second node; both on this machine."""
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join([str(HERE.parents[1]), str(HERE), str(HERE.parent)])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", paths)
        patched.setenv("RAY_worker_niceness", "0")  # Ray's is 15: a busy machine would starve the workers
        started = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "resources": {"board:fake": 1}, "include_dashboard": False},
        )
        started.second = started.add_node(num_cpus=1, resources={"second": 1})
        patched.setenv("RAY_ADDRESS", started.address)
        yield started
        ray.shutdown()
        started.shutdown()


class Trial:
    """A call that evaluates a trial by a formula; on one node it never ends, and the others wait for it."""

    def __init__(self, journal: Path, folder: Path, stuck: str, plan: Plan, index: int) -> None:
        self.journal, self.folder, self.stuck = journal, folder, stuck
        self.plan, self.index = plan, index

    def __call__(self) -> Report:
        """Evaluate it; a file says on which node."""
        recorder = Recorder()
        node = ray.get_runtime_context().get_node_id()

        def slowly(claim: Claim, listener: Listener) -> TrialResult:
            (self.folder / f"{node}-{claim.number}").touch()
            if node == self.stuck:
                time.sleep(3600)
            while not list(self.folder.glob(f"{self.stuck}-*")):
                time.sleep(0.02)
            return evaluate(claim, listener)

        loop = open_loop(self.journal, seed=self.index, callbacks=[recorder], evaluate=slowly, waits=False)
        loop.may_begin = lambda evaluated: evaluated < 1
        loop.run(self.plan.limit)
        return Report(tuple(recorder.events), evaluated=bool(recorder.events))


def _engine(**options: Any) -> Any:
    from mlflow_nas.search.engines.ray_engine import RayEngine

    given = {"cpus": 1.0, "gpus": 0.0, "board": "fake", "environment": {}, "is_shared": False}
    return RayEngine("auto", **{**given, **options})


def test_a_board_that_no_node_has_is_refused(cluster: Any) -> None:
    """The sentence has the command that gives a node the resource."""
    del cluster
    with pytest.raises(ConfigError, match=r"No node .* has the resource board:rpi5: .*ray start --resources"):
        _engine(board="rpi5")


def test_a_board_is_used_by_one_task_at_a_time(cluster: Any) -> None:
    """Tasks that need the resource of one board follow each other, though processors are free."""
    from mlflow_nas.search.engines.ray_engine import board_resource

    del cluster
    _engine()

    @ray.remote(num_cpus=0, resources={board_resource("fake"): 1})
    def timed() -> tuple[float, float]:
        began = time.time()
        time.sleep(0.3)
        return began, time.time()

    spans = sorted(ray.get([timed.remote() for _ in range(3)]))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_a_whole_trial_runs_as_a_task(cluster: Any, user_folder: UserFolder) -> None:
    """Opened from the configuration on the node, timed on the board's node, mirrored to MLflow."""
    del cluster
    given = {**SMALL, "study": "on-ray", "executor": "ray", "training.seed_epochs": 1, "workers": 2}
    with user_folder.entered():
        config = load_config(SearchConfig, given)
        session = open_session(config)
        executor = make_executor(config, session, NoProgress())
        session.prepare(Silent())
        executor.run(Plan(limit=2), may_begin=lambda _evaluated: True)
        session.close()
    results = session.store.results()
    assert [one.state for one in results] == ["complete", "complete"]
    assert all(one.metrics["latency_ms"] > 0 for one in results)
    runs = user_folder.runs("baseline", "trial")
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]


def test_a_node_that_dies_costs_no_trial(cluster: Any, tmp_path: Path) -> None:
    """The other one evaluates the trial that died with it, and nothing stays running."""
    journal, folder = tmp_path / "journal", tmp_path / "nodes"
    folder.mkdir()
    claims = open_loop(journal, grace_s=3.0).claims
    second = cluster.second.node_id
    executor = EngineExecutor(
        _engine(),
        claims,
        lambda plan, index: Trial(journal, folder, second, plan, index),
        workers=2,
        progress=NoProgress(),
    )

    def kill_when_it_works() -> None:
        while not list(folder.glob(f"{second}-*")):
            time.sleep(0.02)
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=kill_when_it_works, daemon=True)
    killer.start()
    executor.run(Plan(limit=TRIALS), may_begin=lambda _evaluated: True)
    killer.join(60)
    results = open_loop(journal).claims.store.results()
    assert [one.number for one in results] == list(range(TRIALS))
    assert not open_loop(journal).claims.store.unfinished()
    places = [one.name.partition("-") for one in folder.iterdir()]
    (lost,) = [number for node, _, number in places if node == second]
    assert [node for node, _, number in places if number == lost and node != second]
