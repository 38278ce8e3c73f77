"""From a trained network to the int8 file that ships."""

from mlflow_nas.export.cost import node_costs, node_modules
from mlflow_nas.export.foreign import fix_input_shapes, is_quantized, random_images
from mlflow_nas.export.model_files import model_sha256
from mlflow_nas.export.onnx import export_onnx
from mlflow_nas.export.quantize import OUTPUT_BRANCHES, Quantization, quantize_int8

__all__ = [
    "OUTPUT_BRANCHES",
    "Quantization",
    "export_onnx",
    "fix_input_shapes",
    "is_quantized",
    "model_sha256",
    "node_costs",
    "node_modules",
    "quantize_int8",
    "random_images",
]
