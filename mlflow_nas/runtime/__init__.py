"""Compiled files on this machine: opened, run, and their outputs compared with those of others."""

from mlflow_nas.board.runtime.drift import Drift, allowed_drift, worst_drift
from mlflow_nas.board.runtime.litert import host_file
from mlflow_nas.runtime.classes import class_indexes, names_of_classes, read_metadata
from mlflow_nas.runtime.contract import Placement, Runtime
from mlflow_nas.runtime.converters import converters_folder, has_converters, install_converters
from mlflow_nas.runtime.detector import OnnxDetector
from mlflow_nas.runtime.golden import GOLDEN_FILE, Golden, read_golden, write_golden
from mlflow_nas.runtime.litert import LiteRt
from mlflow_nas.runtime.onnx_runtime import OnnxRuntime
from mlflow_nas.runtime.parity import check_parity, objectness_drift
from mlflow_nas.runtime.table import ENTRY_POINTS, RUNTIMES, get_runtime
from mlflow_nas.runtime.vela import HOST_FILE, Vela

__all__ = [
    "ENTRY_POINTS",
    "GOLDEN_FILE",
    "HOST_FILE",
    "RUNTIMES",
    "Drift",
    "Golden",
    "LiteRt",
    "OnnxDetector",
    "OnnxRuntime",
    "Placement",
    "Runtime",
    "Vela",
    "allowed_drift",
    "check_parity",
    "class_indexes",
    "converters_folder",
    "get_runtime",
    "has_converters",
    "host_file",
    "install_converters",
    "names_of_classes",
    "objectness_drift",
    "read_golden",
    "read_metadata",
    "worst_drift",
    "write_golden",
]
