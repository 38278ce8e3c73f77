"""Compiled files on this machine: opened, run, and their outputs compared with those of others."""

from mlflow_nas.board.runtime.drift import Drift, allowed_drift, worst_drift
from mlflow_nas.runtime.classes import class_indexes, names_of_classes, read_metadata
from mlflow_nas.runtime.detector import OnnxDetector
from mlflow_nas.runtime.golden import GOLDEN_FILE, Golden, read_golden, write_golden
from mlflow_nas.runtime.parity import check_parity, objectness_drift

__all__ = [
    "GOLDEN_FILE",
    "Drift",
    "Golden",
    "OnnxDetector",
    "allowed_drift",
    "check_parity",
    "class_indexes",
    "names_of_classes",
    "objectness_drift",
    "read_golden",
    "read_metadata",
    "worst_drift",
    "write_golden",
]
