"""Accuracy of a model over a split: a network in torch, or a file in a runtime."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlflow_nas.data import Batch, DetectionDataModule
from mlflow_nas.networks import Runner, Task
from mlflow_nas.tasks.detection import DETECTION

__all__ = ["NetworkRunner", "evaluate_network", "evaluate_outputs"]


class NetworkRunner:
    """Runs a network in torch on the CPU, in eval mode."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.cpu().eval()

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [b, 3, H, W] in 0..1 -> float32 [b, ...]."""
        with torch.inference_mode():
            output: NDArray[np.float32] = self._network(torch.from_numpy(images)).numpy()
        return output


def evaluate_outputs(
    runner: Runner,
    batches: Iterable[Batch],
    *,
    task: Task = DETECTION,
    names: Sequence[str] = (),
    classes: Sequence[int] | None = None,
    record: Path | None = None,
) -> dict[str, float]:
    """The task's metrics of a model over a split, 0..1.

    Args:
        runner: runs the model.
        batches: the split.
        task: whose metrics.
        names: of the split's classes; of several each has a metric.
        classes: for each class of the split the model's index of it; None where both have the same.
        record: file that receives outputs and truth, for `Task.bootstrap`; None for none.
    """
    meter = task.meter()
    for batch in batches:
        meter.add(torch.from_numpy(runner(batch.images.numpy())), batch, classes=classes)
    if record is not None:
        meter.save(record)
    return meter.compute(names)


def evaluate_network(
    network: nn.Module,
    data: DetectionDataModule,
    *,
    task: Task = DETECTION,
    classes: Sequence[int] | None = None,
) -> dict[str, float]:
    """The task's metrics of a trained network on the validation split with its augmentations, on the CPU.

    Args:
        network: trained.
        data: the splits at its input size.
        task: whose metrics.
        classes: for each class of the split the network's index of it; None where both have the same.

    Returns:
        Such as {"map_fp32": 0..1, "map_50_fp32": 0..1}.
    """
    accuracy = evaluate_outputs(NetworkRunner(network), data.batches("val"), task=task, classes=classes)
    return {f"{name}_fp32": value for name, value in accuracy.items()}
