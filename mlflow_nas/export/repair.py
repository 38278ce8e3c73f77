"""Int8 files of a network that plain quantization harms, from the cheapest repair to the most expensive."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.export.bias_correction import correct_biases
from mlflow_nas.export.calibrated import CalibratedModel, Quantization
from mlflow_nas.export.model_files import read_model
from mlflow_nas.export.quantize import write_int8
from mlflow_nas.export.sensitivity import calibrated, layer_sensitivities

__all__ = ["Repair", "repairs"]

MAX_FLOAT_LAYERS = 8
"""In float at most: each costs latency."""
IMAGES = 16
"""On which layers are compared and biases corrected."""


class Repair(NamedTuple):
    """A repaired file.

    Attributes:
        path: of the int8 file.
        in_float: names of the layers that stay in float beside those of plain quantization.
    """

    path: Path
    in_float: tuple[str, ...]


def repairs(
    fp32: Path,
    folder: Path,
    *,
    calibration: NDArray[np.float32],
    choices: Quantization | None = None,
) -> Iterator[Repair]:
    """Corrected biases; then also the worst layer in float, the worst two, four and eight.

    Each file is made when it is asked for. Layers that lose less than a hundredth of the worst one's output
    error are never left in float.

    Args:
        fp32: the float file.
        folder: of the files.
        calibration: float32 [n, 3, H, W] in 0..1, images of the training split.
        choices: options of the quantization; None for the defaults.

    Raises:
        ConfigError: a file can't be read or written; CandidateError: ONNX Runtime can't quantize the network.
    """
    chosen, images, source = choices or Quantization(), calibration[:IMAGES], read_model(fp32)
    with calibrated(fp32, calibration, chosen) as model:
        worst = _worst_layers(model, images)
        for count in (0, *(2**power for power in range(MAX_FLOAT_LAYERS.bit_length()))):
            if count and count // 2 >= len(worst):
                return
            in_float = tuple(worst[:count])
            fixed = correct_biases(model.model, model.quantized(in_float=in_float), images)
            yield Repair(write_int8(fixed, folder / f"repair-{count}.onnx", source, chosen), in_float)


def _worst_layers(model: CalibratedModel, images: NDArray[np.float32]) -> Sequence[str]:
    found = sorted(layer_sensitivities(model, images), key=lambda one: -one.output_error)
    largest = found[0].output_error if found else 0.0
    return [one.layer for one in found[:MAX_FLOAT_LAYERS] if one.output_error > largest / 100]
