"""Two machines promote the same model at once."""

import multiprocessing
import random
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_nas.registry import make_plan, reconcile
from mlflow_nas.registry.state import read_state

MODEL = "person-detector"
ROUNDS = 50
VERSIONS = 6


def _promote(tracking_uri: str, seed: int, rounds: int) -> None:
    """Change a measurement and promote, again and again; the process of one machine."""
    client, draw = MlflowClient(tracking_uri), random.Random(seed)
    for _ in range(rounds):
        version = str(draw.randint(1, VERSIONS))
        client.set_model_version_tag(MODEL, version, "latency_ms", f"{draw.uniform(1, 9):.3f}")
        reconcile(client, MODEL, trigger=f"machine {seed}")


@pytest.mark.slow  # a hundred promotions that wait for each other
def test_two_promoters_end_in_the_one_right_state(tracking_uri: str, tmp_path: Path) -> None:
    """No alias is taken for one that was moved by hand, none is left over, and no lease remains."""
    client = MlflowClient(tracking_uri)
    client.create_registered_model(MODEL)
    for number in range(VERSIONS):
        tags = {"map": f"{0.4 + number / 50}", "latency_ms": f"{number + 1}", "nas.reference_map": "0.5"}
        tags |= {"nas.precision": "int8", "nas.board": "pi", "nas.dataset": "d@1"}
        client.create_model_version(MODEL, tmp_path.as_uri(), tags=tags)
    start = multiprocessing.get_context("spawn")
    machines = [start.Process(target=_promote, args=(tracking_uri, seed, ROUNDS)) for seed in (1, 2)]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join(timeout=500)
    assert [machine.exitcode for machine in machines] == [0, 0]
    state = read_state(client, MODEL)
    assert state.pins == {}
    assert not [name for name in state.tags if name.startswith("nas.lease.")]
    assert reconcile(client, MODEL).changes == ()
    wanted = make_plan(state.versions, max_drop=0.01).aliases
    assert {name: state.aliases[name] for name in wanted} == wanted
