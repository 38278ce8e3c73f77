"""From the options of `evaluate` to something that runs on images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow_nas.config import EvaluateConfig
from mlflow_nas.data import DetectionDataset, load_dataset, load_held_out, with_views
from mlflow_nas.deployments.release import fetch_release
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import OnnxDetector, is_quantized
from mlflow_nas.space import COCO_CLASSES, input_size, load_seed_weights, load_space, read_architecture
from mlflow_nas.tracking import connect, default_uri, fetch_model
from mlflow_nas.train import Detector, NetworkDetector

__all__ = ["Opened", "load_split", "open_detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A detector that is ready to run.

    Attributes:
        detector: runs on images of `img_size`.
        img_size: height and width in pixels.
        indexes: for each class asked for the detector's index of it.
        precision: "fp32" or "int8".
        source: what was opened, for people.
        val_views: on how many views of val its ONNX file says that a search measured it.
    """

    detector: Detector
    img_size: tuple[int, int]
    indexes: tuple[int, ...]
    precision: str
    source: str
    val_views: int = 1


def open_detector(config: EvaluateConfig, *, folder: Path) -> Opened:
    """Open the one detector that the options name.

    Args:
        config: the options.
        folder: where a model of MLflow is downloaded to.

    Raises:
        ConfigError: none or several are named, a file can't be read, or it does not tell the classes apart.
        RegistryError: MLflow has no such model.
    """
    named = {"--weights": config.weights, "--model": config.model, "--onnx": config.onnx}
    given = [option for option, value in named.items() if value is not None]
    if len(given) != 1:
        raise ConfigError(
            f"{' and '.join(given) or 'No detector'} given: name exactly one with {', '.join(named)}."
        )
    if config.weights is not None:
        return _open_weights(config, config.weights)
    if config.onnx is not None:
        return _open_onnx(config, config.onnx, str(config.onnx))
    return _open_onnx(config, _fetch(str(config.model), folder), str(config.model))


def load_split(config: EvaluateConfig, *, val_views: int) -> DetectionDataset:
    """The split that the options name.

    Args:
        config: the options.
        val_views: how many views of each image of val are measured where the options leave that open.

    Raises:
        ConfigError: the data can't be used, or has no such split.
    """
    found: DetectionDataset | None
    if config.split == "train" or (config.split == "val" and not config.test_fraction):
        found = load_dataset(config.data, config.split, config.classes, on_bad_image=config.on_bad_image)
    else:
        val, test = load_held_out(
            config.data, config.classes, on_bad_image=config.on_bad_image, test_fraction=config.test_fraction
        )
        found = val if config.split == "val" else test
    if found is None:
        raise ConfigError(
            f"data {config.data!r} has no test split: give --test-fraction to take one from val."
        )
    views = val_views if config.val_views is None else config.val_views
    return with_views(found, views) if config.split == "val" else found


def _fetch(model: str, folder: Path) -> Path:
    """The ONNX file of an MLflow model; a registered one must still be the file that was measured."""
    client = connect(default_uri())
    uri = model if ":" in model else f"models:/{model}@champion"
    name = uri.removeprefix("models:/")
    if uri.startswith("models:/") and ("@" in name or "/" in name):
        return fetch_release(client, uri, folder=folder).file
    return fetch_model(client, uri, folder)


def _open_weights(config: EvaluateConfig, path: Path) -> Opened:
    weights, space = load_seed_weights(path), load_space(config.space)
    architecture = space.validate(read_architecture(space, config.arch) if config.arch else space.baseline)
    network = space.build(architecture, weights.num_classes)
    weights.fill(network)
    return Opened(
        detector=NetworkDetector(network),
        img_size=input_size(config.img_width or space.width_of(architecture), config.aspect),
        indexes=_indexes(config.classes, _names(weights.num_classes, config.classes), str(path)),
        precision="fp32",
        source=str(path),
    )


def _open_onnx(config: EvaluateConfig, path: Path, source: str) -> Opened:
    wanted = input_size(config.img_width, config.aspect) if config.img_width else None
    detector = OnnxDetector(path, img_size=wanted)
    written = detector.metadata.get("mlflow_nas.classes")
    names = tuple(json.loads(written)) if written else _names(detector.num_classes, config.classes)
    return Opened(
        detector=detector,
        img_size=detector.img_size,
        indexes=_indexes(config.classes, names, source),
        precision="int8" if is_quantized(path) else "fp32",
        source=source,
        val_views=int(detector.metadata.get("mlflow_nas.val_views", 1)),
    )


def _names(count: int, wanted: Sequence[str]) -> tuple[str, ...]:
    """The classes of a detector that does not name them: those of COCO, or those asked for in their order."""
    if count == len(COCO_CLASSES):
        return COCO_CLASSES
    return tuple(wanted) if count == len(wanted) else tuple(f"number {index}" for index in range(count))


def _indexes(wanted: Sequence[str], known: Sequence[str], source: str) -> tuple[int, ...]:
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"{source} tells {len(known)} classes apart, and {name!r} is none of them: "
                f"choose --classes from {', '.join(known[:90])}."
            )
    return tuple(known.index(name) for name in wanted)
