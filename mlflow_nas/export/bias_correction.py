"""Bias correction of an int8 model: each layer's mean output becomes that of the float model."""

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["correct_biases"]

Floats = NDArray[np.float64]


def correct_biases(
    fp32: onnx.ModelProto, int8: onnx.ModelProto, images: NDArray[np.float32]
) -> onnx.ModelProto:
    """Add to each quantized convolution's bias what its mean output lacks, per channel, layer by layer.

    Rounded weights shift a layer's mean output; a shift does not average out in later layers. Empirical bias
    correction, Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
    arXiv:1906.04721, section 4.2, with images instead of BatchNorm statistics.

    Args:
        fp32: the float model, with the nodes and names of the other one.
        int8: the model with QuantizeLinear and DequantizeLinear; it takes the same floats.
        images: float32 [n, 3, H, W] in 0..1, of the training split.

    Returns:
        A copy of the int8 model. Layers without a quantized bias stay as they are.
    """
    corrected: onnx.ModelProto = onnx.ModelProto.FromString(int8.SerializeToString())
    makers = {output: node for node in corrected.graph.node for output in node.output}
    tensors = {one.name: one for one in corrected.graph.initializer}
    convolutions = {node.name: node for node in fp32.graph.node if node.op_type == "Conv"}
    truth = _channel_means(fp32, [node.output[0] for node in convolutions.values()], images)
    for node in list(corrected.graph.node):
        bias = makers.get(node.input[2]) if node.op_type == "Conv" and len(node.input) > 2 else None
        if node.name not in convolutions or bias is None or bias.op_type != "DequantizeLinear":
            continue
        found = _channel_means(corrected, [node.output[0]], images)[node.output[0]]
        missing = truth[convolutions[node.name].output[0]] - found
        _add(tensors[bias.input[0]], missing / numpy_helper.to_array(tensors[bias.input[1]]))
    return corrected


def _add(tensor: onnx.TensorProto, steps: Floats) -> None:
    """Add quantization steps [C] to an int32 bias [C], rounded."""
    limits = np.iinfo(np.int32)
    values = numpy_helper.to_array(tensor).astype(np.int64) + np.rint(steps).astype(np.int64)
    changed = np.clip(values, limits.min, limits.max).astype(np.int32)
    tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))


def _channel_means(
    model: onnx.ModelProto, names: list[str], images: NDArray[np.float32]
) -> dict[str, Floats]:
    """Mean over images and pixels of tensors [1, C, h, w]: name to [C]."""
    observed: onnx.ModelProto = onnx.ModelProto.FromString(model.SerializeToString())
    del observed.graph.output[:]
    observed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    sums: dict[str, Floats] = {}
    for image in images:
        for name, value in zip(names, session.run(names, {given: image[np.newaxis]}), strict=True):
            mean = value.mean(axis=(0, 2, 3), dtype=np.float64)
            sums[name] = sums[name] + mean if name in sums else mean
    return {name: total / len(images) for name, total in sums.items()}
