"""The step `supernet`: trained once, continued from its checkpoint, then read from the step cache."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mlflow_nas.disk import write_whole
from mlflow_nas.train import default_threads, torch_threads
from mlflow_nas.train.supernet import MemberBatches, SupernetTraining, sandwich
from mlflow_nas.trial.cache import fingerprint
from mlflow_nas.trial.candidate import WEIGHTS_FILE
from mlflow_nas.trial.context import StudyContext
from mlflow_nas.trial.listener import Listener, Silent
from mlflow_nas.trial.supernet.parts import SupernetParts
from mlflow_nas.trial.supernet.scores import Supernet
from mlflow_nas.types import Architecture

__all__ = ["open_supernet", "supernet_steps"]

STEPS_OF_A_TRIAL = 5
"""Steps of the supernet as a multiple of a trial's: 1,000 for the default of 200."""
_CHECKPOINT = "checkpoint.pth"


def supernet_steps(context: StudyContext) -> int:
    """Steps of the training of a study's supernet."""
    return STEPS_OF_A_TRIAL * context.epochs * _epoch_steps(context)


def open_supernet(
    context: StudyContext, *, listener: Listener | None = None, device: torch.device | None = None
) -> Supernet:
    """The supernet of the context's space, trained now where the step cache has none.

    Args:
        context: of the study.
        listener: receives the events; None for no listener.
        device: that trains and measures; None for a GPU where there is one.

    Raises:
        ConfigError: the weights don't fit the space, or the training diverges.
        MachineError: this machine failed.
    """
    chosen = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parts, heard = SupernetParts(context, chosen), listener or Silent()
    heard.step("supernet")
    key = fingerprint(**parts.identity())
    with torch_threads(context.threads or default_threads()):
        entry = context.cache.make("supernet", key, lambda folder: _train(parts, folder, heard))
    return Supernet(parts, entry)


def _epoch_steps(context: StudyContext) -> int:
    return max(len(context.train) // context.batch_size, 1)


def _train(parts: SupernetParts, folder: Path, listener: Listener) -> Mapping[str, Any]:
    context, kept = parts.context, dict[str, MemberBatches]()
    epoch_steps = _epoch_steps(context)
    extremes, pool = parts.extremes(), parts.pool()

    def batches(architecture: Architecture) -> MemberBatches:
        size = str(context.input_size(architecture))
        if size not in kept:
            kept[size] = parts.batches(architecture, with_teacher=bool(parts.recipe.distillation))
        return kept[size]

    training = SupernetTraining(
        members=parts.members,
        batches=batches,
        draw=lambda step: sandwich(step, extremes=extremes, pool=pool, sizes=parts.sizes, seed=context.seed),
        recipe=parts.recipe,
        steps=supernet_steps(context),
        steps_per_epoch=epoch_steps,
        seed=context.seed,
        checkpoint=folder / _CHECKPOINT,
        on_epoch=listener.epoch,
    )
    averaged = training.run()
    content = io.BytesIO()
    torch.save({name: value.cpu() for name, value in averaged.items()}, content)
    write_whole(folder / WEIGHTS_FILE, content.getvalue())
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return {"steps": training.steps}
