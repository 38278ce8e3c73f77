"""Every task by its name, and the task of an output."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mlflow_nas.data import DetectionDataset
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.networks import Layout, Task, read_layout
from mlflow_nas.tasks.classification import CLASSIFICATION
from mlflow_nas.tasks.detection import DETECTION

__all__ = ["TASKS", "check_output", "check_truth", "get_task", "task_of"]

TASKS: Mapping[str, Task] = {one.name: one for one in (DETECTION, CLASSIFICATION)}


def get_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TASKS:
        raise ConfigError(f"There is no task {name!r}: choose one of {', '.join(TASKS)}.")
    return TASKS[name]


def task_of(layout: Layout) -> Task:
    """The task whose networks give outputs of that layout."""
    return next(task for task in TASKS.values() if layout.kind in task.layouts)


def check_truth(task: Task, dataset: DetectionDataset) -> None:
    """Refuse data of another task.

    Raises:
        ConfigError: value, bound and remedy.
    """
    if dataset.truth != task.truth:
        remedy = {
            "boxes": "give annotated boxes (coco:DIR, voc:DIR, yolo:DIR)",
            "classes": "give folders of classes (folder:DIR)",
        }[task.truth]
        raise ConfigError(
            f"data {dataset.uri!r} has {dataset.truth}, and {task.name} needs {task.truth}: {remedy}, or "
            "choose a space of another task."
        )


def check_output(
    network: nn.Module, task: Task, *, img_size: tuple[int, int], classes: Sequence[str]
) -> None:
    """Run a network once on a black image, and check the shape and the numbers of what it gives.

    Args:
        network: built; its mode is restored.
        task: that it is built for.
        img_size: height and width, pixels.
        classes: names of the data's classes.

    Raises:
        CandidateError: it is not in the task's layout, has other classes, or is not finite.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        output = network(torch.zeros(1, 3, *img_size))
    network.train(was_training)
    name = type(network).__name__
    wanted = f"{task.expected}, here N = {len(classes)} ({', '.join(classes)[:80]})"
    if not isinstance(output, torch.Tensor):
        raise CandidateError(f"{name}.forward gives {type(output).__name__}, expected is {wanted}.")
    layout = read_layout(output.shape)
    shape = list(output.shape)
    if layout is None or layout.kind not in task.layouts or shape[0] != 1 or math.prod(shape) == 0:
        raise CandidateError(f"{name}.forward gives {shape} for one image, expected is {wanted}.")
    if layout.num_classes != len(classes):
        raise CandidateError(
            f"{name}.forward gives {shape}, which is {layout.num_classes} classes, expected is {wanted}: "
            "build it for the number of classes that `build` is given."
        )
    if not output.dtype.is_floating_point or not bool(torch.isfinite(output).all()):
        raise CandidateError(
            f"{name}.forward gives no finite numbers for a black image, expected is {wanted}."
        )
