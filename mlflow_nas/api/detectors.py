"""The detector and the split that the options of `evaluate` name."""

from dataclasses import dataclass
from pathlib import Path

from mlflow_nas.config import EvaluateConfig
from mlflow_nas.data import DetectionDataset, load_dataset, load_held_out, with_eval_augmentations
from mlflow_nas.deployments.release import fetch_release
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import is_quantized
from mlflow_nas.networks import Runner, Task
from mlflow_nas.runtime import OnnxDetector, class_indexes, names_of_classes, read_metadata
from mlflow_nas.space import (
    build_detector,
    input_size,
    load_seed_weights,
    open_space,
    read_architecture,
)
from mlflow_nas.tasks import NetworkRunner, get_task, task_of
from mlflow_nas.tracking import connect, default_uri, fetch_model

__all__ = ["LoadedDetector", "load_split", "open_detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedDetector:
    """A detector that is ready to run.

    Attributes:
        detector: runs on images of `img_size`.
        img_size: height and width in pixels.
        indexes: for each class asked for the detector's index of it.
        task: that it does.
        precision: "fp32" or "int8".
        source: what was opened, as messages name it.
        eval_augmentations: copies of each val image in the search that made its ONNX file.
    """

    detector: Runner
    img_size: tuple[int, int]
    indexes: tuple[int, ...]
    task: Task
    precision: str
    source: str
    eval_augmentations: int = 1


def open_detector(config: EvaluateConfig, *, folder: Path) -> LoadedDetector:
    """Open the one detector that the options name.

    Args:
        config: the options.
        folder: where a model of MLflow is downloaded to.

    Raises:
        ConfigError: a file can't be read, or its detector lacks a class.
        RegistryError: MLflow has no such model.
    """
    if config.weights is not None:
        return _open_weights(config, config.weights)
    if config.onnx is not None:
        return _open_onnx(config, config.onnx, str(config.onnx))
    return _open_onnx(config, _fetch(str(config.model), folder), str(config.model))


def load_split(config: EvaluateConfig, *, eval_augmentations: int) -> DetectionDataset:
    """The split that the options name.

    Args:
        config: the options.
        eval_augmentations: copies of each val image where the configuration leaves that open.

    Raises:
        ConfigError: the data can't be used, or has no such split.
    """
    found: DetectionDataset | None
    data = config.data
    if config.split == "train" or (config.split == "val" and not data.test_fraction):
        found = load_dataset(data.uri, config.split, data.classes, on_bad_image=data.on_bad_image)
    else:
        val, test = load_held_out(
            data.uri, data.classes, on_bad_image=data.on_bad_image, test_fraction=data.test_fraction
        )
        found = val if config.split == "val" else test
    if found is None:
        raise ConfigError(
            f"data {data.uri!r} has no test split: take one from val with --set data.test_fraction=0.3."
        )
    copies = eval_augmentations if data.eval_augmentations is None else data.eval_augmentations
    return with_eval_augmentations(found, copies) if config.split == "val" else found


def _fetch(model: str, folder: Path) -> Path:
    """The ONNX file of an MLflow model; a registered one must still be the file that was measured."""
    client = connect(default_uri())
    uri = model if ":" in model else f"models:/{model}@champion"
    name = uri.removeprefix("models:/")
    if uri.startswith("models:/") and ("@" in name or "/" in name):
        return fetch_release(client, uri, folder=folder).file
    return fetch_model(client, uri, folder)


def _open_weights(config: EvaluateConfig, path: Path) -> LoadedDetector:
    weights, aspect = load_seed_weights(path), config.space.aspect_number()
    space = open_space(config.space.name, aspect=aspect, arch=config.arch)
    architecture = space.validate(read_architecture(space, config.arch) if config.arch else space.baseline)
    num_classes = weights.num_classes or len(config.data.classes)
    network = build_detector(architecture, num_classes=num_classes, space=space)
    weights.fill(network)
    return LoadedDetector(
        detector=NetworkRunner(network),
        img_size=_wanted_size(config) or space.input_size(architecture, aspect),
        indexes=class_indexes(
            config.data.classes, names_of_classes(num_classes, config.data.classes), str(path)
        ),
        task=get_task(space.task),
        precision="fp32",
        source=str(path),
    )


def _open_onnx(config: EvaluateConfig, path: Path, source: str) -> LoadedDetector:
    detector = OnnxDetector(path, img_size=_wanted_size(config))
    written, copies = read_metadata(detector.metadata, source)
    names = written or names_of_classes(detector.layout.num_classes, config.data.classes)
    return LoadedDetector(
        detector=detector,
        img_size=detector.img_size,
        indexes=class_indexes(config.data.classes, names, source),
        task=task_of(detector.layout),
        precision="int8" if is_quantized(path) else "fp32",
        source=source,
        eval_augmentations=copies,
    )


def _wanted_size(config: EvaluateConfig) -> tuple[int, int] | None:
    """Height and width that the options ask for; None where they leave them open."""
    if config.img_width is None:
        return None
    return config.img_height or input_size(config.img_width, config.space.aspect_number())[
        0
    ], config.img_width
