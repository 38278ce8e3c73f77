"""Graph passes: each takes an ONNX model and returns one that computes the same, or the model itself.

A pass that does not find its pattern changes nothing.
"""

from mlflow_nas.export.passes.decode import decode_cells
from mlflow_nas.export.passes.input_contract import BYTE_SCALE, accept_bytes
from mlflow_nas.export.passes.outputs import SplitOutput, split_output
from mlflow_nas.export.passes.pools import pad_pools, pools_as_convolutions
from mlflow_nas.export.passes.shared_weights import copy_shared_weights
from mlflow_nas.export.passes.shuffles import fold_shuffles
from mlflow_nas.export.passes.stem import PADDED, pad_stem

__all__ = [
    "BYTE_SCALE",
    "PADDED",
    "SplitOutput",
    "accept_bytes",
    "copy_shared_weights",
    "decode_cells",
    "fold_shuffles",
    "pad_pools",
    "pad_stem",
    "pools_as_convolutions",
    "split_output",
]
