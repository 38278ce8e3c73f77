"""An ONNX file as a detector."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlflow_nas.errors import ConfigError

__all__ = ["OnnxDetector"]


class OnnxDetector:
    """Runs an ONNX file with ONNX Runtime on this machine's CPU.

    Args:
        path: a detector file with one input [1, 3, H, W].
        threads: of one inference.

    Attributes:
        img_size: (H, W) in pixels.
        metadata: the file's metadata_props.
        num_classes: how many classes it tells apart.

    Raises:
        ConfigError: the file is missing or ONNX Runtime can't read it.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ConfigError(f"ONNX Runtime can't read the model file {path}: {error}") from error
        self._input = self._session.get_inputs()[0]
        self.img_size = (int(self._input.shape[2]), int(self._input.shape[3]))
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        self.num_classes = max(int(self._session.get_outputs()[0].shape[1]) - 5, 1)

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, 3, H, W] in 0..1 -> float32 [n, 5 + N, h, w], one image after the other.

        Raises:
            ConfigError: the images are of another size.
        """
        if images.shape[1:] != (3, *self.img_size):
            raise ConfigError(
                f"The model takes images of 3 x {self.img_size[0]} x {self.img_size[1]}, got "
                f"{' x '.join(map(str, images.shape[1:]))}: resize them first."
            )
        outputs = [self._session.run(None, {self._input.name: image[np.newaxis]})[0] for image in images]
        return np.concatenate(outputs)
