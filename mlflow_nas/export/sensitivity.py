"""What each layer's quantization changes in the output, by quantizing one layer at a time."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from mlflow_nas.errors import ConfigError
from mlflow_nas.export.calibrated import CalibratedModel, Quantization
from mlflow_nas.export.model_files import read_model
from mlflow_nas.export.quantize import quantizing

__all__ = ["LayerSensitivity", "calibrated", "layer_sensitivities", "outputs_of"]


class LayerSensitivity(NamedTuple):
    """A layer, alone in int8.

    Attributes:
        layer: name of its node: MODULE.PATH/OPERATOR.
        operator: of the node, such as Conv.
        output_error: root mean square difference of the network's output to the float network's, relative to
            the root mean square of the latter; mean over output channels.
    """

    layer: str
    operator: str
    output_error: float


@contextmanager
def calibrated(
    fp32: Path, calibration: NDArray[np.float32], choices: Quantization | None = None
) -> Iterator[CalibratedModel]:
    """A float file, calibrated, in a temporary folder; it takes floats.

    Raises:
        ConfigError: there is no calibration image, or the file can't be read.
        CandidateError: ONNX Runtime can't quantize the network.
    """
    if not len(calibration):
        raise ConfigError(f"No calibration image for {fp32.name}: give one training image at least.")
    source = read_model(fp32)
    with quantizing(fp32), tempfile.TemporaryDirectory() as folder:
        yield CalibratedModel(source, calibration, choices or Quantization(), Path(folder))


def layer_sensitivities(
    calibrated: CalibratedModel, images: NDArray[np.float32]
) -> Iterator[LayerSensitivity]:
    """Quantize each layer alone and compare the outputs with the float network's, in the order of layers.

    The cheapest of the analyses in Nagel et al., "A White Paper on Neural Network Quantization",
    arXiv:2106.08295, section 3.4; interactions of layers are not seen.

    Args:
        calibrated: the float model.
        images: float32 [n, 3, H, W] in 0..1, on which outputs are compared.
    """
    operators = {node.name: node.op_type for node in calibrated.model.graph.node}
    truth = outputs_of(calibrated.model, images)
    for layer in calibrated.layers:
        found = outputs_of(calibrated.quantized(only=[layer]), images)
        yield LayerSensitivity(layer, operators[layer], _relative_error(found, truth))


def outputs_of(model: onnx.ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """First output [n, ...] of a model on images [n, 3, H, W], one by one."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[np.newaxis]})[0] for image in images])


def _relative_error(found: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Mean over channels (axis 1; the whole of outputs without one) of the relative difference."""
    axes = (0, *range(2, truth.ndim))
    difference = np.sqrt(np.mean(np.square(found - truth, dtype=np.float64), axis=axes))
    size = np.sqrt(np.mean(np.square(truth, dtype=np.float64), axis=axes))
    used = size > 0
    return float(np.mean(difference[used] / size[used])) if used.any() else 0.0
