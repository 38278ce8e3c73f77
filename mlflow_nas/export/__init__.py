"""From a trained network to the int8 file that ships."""

from mlflow_nas.export.cost import node_costs
from mlflow_nas.export.detector import OnnxDetector
from mlflow_nas.export.drift import Drift, allowed_drift, worst_drift
from mlflow_nas.export.files import model_sha256
from mlflow_nas.export.foreign import fix_input_shapes, is_quantized, random_images
from mlflow_nas.export.golden import GOLDEN_FILE, Golden, read_golden, write_golden
from mlflow_nas.export.onnx import export_onnx
from mlflow_nas.export.parity import check_parity, objectness_drift
from mlflow_nas.export.quantize import OUTPUT_BRANCHES, Quantization, quantize_int8

__all__ = [
    "GOLDEN_FILE",
    "OUTPUT_BRANCHES",
    "Drift",
    "Golden",
    "OnnxDetector",
    "Quantization",
    "allowed_drift",
    "check_parity",
    "export_onnx",
    "fix_input_shapes",
    "is_quantized",
    "model_sha256",
    "node_costs",
    "objectness_drift",
    "quantize_int8",
    "random_images",
    "read_golden",
    "worst_drift",
    "write_golden",
]
