"""Checks of a data set between reading and use."""

from mlflow_nas.data.audit.boxes import check_boxes, check_units, find_repeated
from mlflow_nas.data.audit.copies import compare_splits, drop_copies, perceptual_hash
from mlflow_nas.data.audit.names import check_classes
from mlflow_nas.data.audit.page import write_page
from mlflow_nas.data.audit.unused import find_unused

__all__ = [
    "check_boxes",
    "check_classes",
    "check_units",
    "compare_splits",
    "drop_copies",
    "find_repeated",
    "find_unused",
    "perceptual_hash",
    "write_page",
]
