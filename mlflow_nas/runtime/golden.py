"""Golden samples: a few real images and a model file's outputs for them on the host.

They ship with the model, so that a device's outputs can be compared before it switches to it.
"""

from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.runtime.drift import allowed_drift
from mlflow_nas.errors import ConfigError
from mlflow_nas.runtime.detector import OnnxDetector

__all__ = ["GOLDEN_FILE", "Golden", "read_golden", "write_golden"]

GOLDEN_FILE = "golden.npz"
"""Its name beside the ONNX file."""


class Golden(NamedTuple):
    """Inputs and the host's outputs.

    Attributes:
        images: float32 [n, 3, H, W] in 0..1.
        outputs: float32 [n, ...], in the file's layout.
        allowed: float64 [C], the tolerance of a device's outputs (root mean square).
    """

    images: NDArray[np.float32]
    outputs: NDArray[np.float32]
    allowed: NDArray[np.float64]


def write_golden(path: Path, model: Path, images: NDArray[np.uint8], *, fp32: Path) -> Path:
    """Run a model file on images and store both, with the tolerance.

    Args:
        path: the .npz file to write; it holds `images`, uint8 as given, `outputs`, float32, and `allowed`.
        model: a model file.
        images: RGB uint8 [n, 3, H, W] at the model's input size.
        fp32: the file before quantization; its difference to the model is the tolerance.

    Raises:
        ConfigError: no image, images of another size, or a file of another layout.
    """
    outputs = OnnxDetector(model)(_unit(images))
    allowed = allowed_drift(fp32=OnnxDetector(fp32)(_unit(images)), int8=outputs)
    np.savez_compressed(path, images=images, outputs=outputs, allowed=allowed)
    return path


def read_golden(path: Path) -> Golden:
    """Read what `write_golden` wrote.

    Raises:
        ConfigError: the file can't be read, or does not hold images, outputs and tolerance.
    """
    try:
        with np.load(path) as stored:
            images, outputs, allowed = stored["images"], stored["outputs"], stored["allowed"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ConfigError(
            f"The golden samples {path.name} can't be read: {error}. Log the model anew, or give force=true."
        ) from error
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(outputs) or not len(images):
        raise ConfigError(
            f"The golden samples {path.name} hold images {images.dtype}{list(images.shape)} and "
            f"{len(outputs)} outputs, not n >= 1 of uint8 [n, 3, H, W] with an output each. "
            "Log the model anew, or give force=true."
        )
    return Golden(_unit(images), outputs, allowed)


def _unit(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes as the network takes them: 0..1, in steps of 1/255."""
    return images.astype(np.float32) / np.float32(255)
