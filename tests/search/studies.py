"""Studies without training: an architecture's result is a formula."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, InMemoryStorage

from mlflow_nas.search.claims import Claims
from mlflow_nas.search.loop import Loop
from mlflow_nas.search.samplers import Proposer, Sampling, make_sampler
from mlflow_nas.search.storage import open_storage
from mlflow_nas.search.store import Claim, StudyStore, open_study
from mlflow_nas.search.worker import StaleWatch, Worker
from mlflow_nas.space import SearchSpace, fastestdet_head
from mlflow_nas.trial import Listener
from mlflow_nas.types import Architecture, Objective, TrialResult

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))


def metrics_of(architecture: Architecture) -> dict[str, float]:
    """Larger networks are slower and better."""
    size = float(architecture["channels"]) * float(architecture["img_width"]) / 96 / 320
    return {"map": 0.6 * size**0.5, "latency_ms": 10 * size}


def evaluate(claim: Claim, listener: Listener) -> TrialResult:
    """The formula, as a trial of one epoch."""
    listener.step("train")
    listener.epoch(1, {"train_loss": 1.0})
    return TrialResult(
        key=claim.key,
        architecture=claim.architecture,
        state="complete",
        number=claim.number,
        metrics=metrics_of(claim.architecture),
    )


def open_loop(
    storage: BaseStorage | Path | None = None,
    *,
    space: SearchSpace | None = None,
    worker: Worker | None = None,
    sampler: str = "random",
    seed: int = 0,
    objectives: tuple[Objective, ...] = OBJECTIVES,
    grace_s: float = 60.0,
    lock: Path | None = None,
    evaluate: Callable[[Claim, Listener], TrialResult] = evaluate,
    **options: Any,
) -> Loop:
    """A worker of the study "test" in a storage; a path is a journal file."""
    chosen = space or fastestdet_head()
    opened = open_storage(str(storage), storage.parent) if isinstance(storage, Path) else storage
    sampling = Sampling(chosen, 20, seed, len(objectives))
    proposer = Proposer(make_sampler(sampler, sampling), chosen, seed=seed)
    study = open_study("test", storage=opened or InMemoryStorage(), objectives=objectives)
    store = StudyStore(study=study, **({"worker": worker} if worker else {}))
    claims = Claims(
        store=store, space=chosen, proposer=proposer, watch=StaleWatch(grace_s=grace_s), lock=lock
    )
    return Loop(claims=claims, evaluate=evaluate, board="fake", **options)
