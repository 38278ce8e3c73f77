"""From a trained network to the int8 file that ships."""

from mlflow_nas.export.calibrated import Quantization
from mlflow_nas.export.cost import node_costs, node_modules
from mlflow_nas.export.foreign import (
    copy_of_size,
    fix_input_shapes,
    is_quantized,
    quantize_plain,
    random_images,
)
from mlflow_nas.export.model_files import model_sha256, operator_count
from mlflow_nas.export.onnx import export_onnx
from mlflow_nas.export.quantize import quantize_int8
from mlflow_nas.export.repair import Repair, repairs
from mlflow_nas.export.sensitivity import LayerSensitivity, calibrated, layer_sensitivities
from mlflow_nas.export.tflite import TfliteSource, write_tflite_source

__all__ = [
    "LayerSensitivity",
    "Quantization",
    "Repair",
    "TfliteSource",
    "calibrated",
    "copy_of_size",
    "export_onnx",
    "fix_input_shapes",
    "is_quantized",
    "layer_sensitivities",
    "model_sha256",
    "node_costs",
    "node_modules",
    "operator_count",
    "quantize_int8",
    "quantize_plain",
    "random_images",
    "repairs",
    "write_tflite_source",
]
