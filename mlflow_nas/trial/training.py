"""The step `train`: its inputs and its work."""

import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mlflow_nas.space import save_weights
from mlflow_nas.tasks import NetworkRunner, evaluate_outputs
from mlflow_nas.train import default_threads, fit, kept_norms, retake_statistics, torch_threads
from mlflow_nas.trial.candidate import WEIGHTS_FILE, Candidate

__all__ = ["train", "training_inputs"]


def training_inputs(candidate: Candidate) -> Mapping[str, object]:
    """Inputs of `train`: network with its first weights, data, recipe, schedule, teacher."""
    context = candidate.context
    weights = context.weights
    has_teacher = context.teacher(candidate.architecture) is not None
    return {
        "network": candidate.identity,
        "data": [context.train.digest, context.val.digest],
        "img_size": candidate.img_size,
        "batch_size": context.batch_size,
        "epochs": context.epochs,
        "seed": context.seed,
        "recipe": context.recipe,
        "task": context.task.name,
        "parts": context.parts,
        "trainer": context.trainer,
        "unchanged": _unchanged(candidate),
        "teacher": [context.weights_digest, weights.class_indexes] if weights and has_teacher else None,
        **({"retakes_statistics": True} if context.retakes_statistics else {}),
    }


def _unchanged(candidate: Candidate) -> list[str]:
    context = candidate.context
    if context.weights is None or context.space.transfer is None:
        return []
    return sorted(context.weights.unchanged_in(candidate.network))


def train(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    """Train in place, from the checkpoint of an interrupted training if the folder has one."""
    context, unchanged = candidate.context, _unchanged(candidate)
    kept = (
        kept_norms(candidate.network, unchanged=unchanged, trunk=context.parts.trunk)
        if context.recipe.keeps_statistics
        else ()
    )
    found = fit(
        candidate.network,
        candidate.data,
        epochs=context.epochs,
        seed=context.seed,
        recipe=context.recipe,
        task=context.task,
        parts=context.parts,
        trainer=context.trainer,
        unchanged=unchanged,
        teacher=context.teacher(candidate.architecture),
        on_epoch=candidate.listener.epoch,
        checkpoint_dir=folder / "checkpoint",
        threads=context.threads,
    )
    began = time.perf_counter()
    retaken = _retake_statistics(candidate, kept) if context.retakes_statistics else {}
    metrics = {**found.metrics, **retaken}
    save_weights(candidate.network, folder / WEIGHTS_FILE)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    seconds = found.train_s + time.perf_counter() - began
    return {"metrics": metrics, "history": list(found.history), "seconds": seconds}


def _retake_statistics(candidate: Candidate, kept: Collection[str]) -> dict[str, float]:
    """BatchNorm statistics of the final weights, used where the accuracy on train is higher with them.

    Args:
        candidate: after its training.
        kept: paths of the layers that have the seed network's.
    """
    task = candidate.context.task

    def quality(network: nn.Module) -> float:
        batches = candidate.data.batches("train", augmented=False)
        return evaluate_outputs(NetworkRunner(network), batches, task=task)[task.metrics[0]]

    with torch_threads(candidate.context.threads or default_threads()):
        retaken = retake_statistics(candidate.network, candidate.data, quality=quality, kept=kept)
    return {"statistics_retaken": float(retaken)}
