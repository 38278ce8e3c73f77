"""The loader of MLflow's python_function flavor: images in, the task's answers out.

Logged models name this module as their loader, so its path stays.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.models import Model

from mlflow_nas.deployments.inputs import read_images
from mlflow_nas.networks import THRESHOLD

if TYPE_CHECKING:
    from mlflow_nas.runtime import OnnxDetector

__all__ = ["ImageModel", "model_classes"]


def model_classes(model: "OnnxDetector", folder: Path) -> list[str]:
    """Names of a logged model's classes: of the file's metadata, else of the MLmodel file beside it."""
    written = model.metadata.get("mlflow_nas.classes")
    described = folder / "MLmodel"
    if written is None and described.is_file():
        written = (Model.load(str(folder)).metadata or {}).get("nas.classes")
    return list(json.loads(written or "[]"))


class ImageModel:
    """A logged model file.

    Args:
        path: the ONNX file.
    """

    def __init__(self, path: Path) -> None:
        from mlflow_nas.runtime import OnnxDetector
        from mlflow_nas.tasks import task_of

        self._model = OnnxDetector(path)
        self._task = task_of(self._model.layout)
        self._names = model_classes(self._model, path.parent)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The task's answer for each image, as plain values.

        Args:
            model_input: images as `read_images` takes them; or, as the onnx flavor takes them, a mapping with
                the file's own input, which is run as it is.
            params: `threshold`, the least score that is reported; 0.3 unless given.

        Raises:
            ConfigError: an input is no image.
        """
        taken, given = self._model.names
        if isinstance(model_input, Mapping) and taken in model_input:
            return {given: self._model.run(np.asarray(model_input[taken]))}
        from mlflow_nas.data import resize_image

        threshold = float((params or {}).get("threshold", THRESHOLD))
        answers = []
        for image in read_images(_plain(model_input)):
            output = self._model(resize_image(image, self._model.img_size)[np.newaxis])[0]
            size = (image.shape[0], image.shape[1])
            answers.append(self._task.answer(output, size, self._names, threshold=threshold))
        return answers


def _plain(model_input: Any) -> Any:
    """A table without a column `image` but with one column is that of images; an array of texts is a list."""
    if isinstance(model_input, pd.DataFrame) and len(model_input.columns) == 1:
        return list(model_input.iloc[:, 0])
    if isinstance(model_input, np.ndarray) and model_input.dtype.kind in "OUS":
        return list(model_input.ravel())
    return model_input


def _load_pyfunc(path: str) -> ImageModel:
    """What MLflow calls to load the flavor."""
    return ImageModel(Path(path))
