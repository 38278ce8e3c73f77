"""ONNX export: fixed batch 1, node names that keep the module path, no paths of the exporting machine."""

import copy
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import cast

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mlflow_nas.errors import CandidateError
from mlflow_nas.export.model_files import INPUT, PRECISION, set_metadata, write_model
from mlflow_nas.export.naming import name_graph, strip_provenance
from mlflow_nas.export.passes import copy_shared_weights, decode_cells, fold_shuffles
from mlflow_nas.types import FLOAT_NCHW

__all__ = ["export_onnx"]

OPSET = 18
"""The exporter's own: any other goes through a version conversion."""


def export_onnx(
    network: nn.Module,
    path: Path,
    *,
    img_size: tuple[int, int],
    metadata: Mapping[str, str],
    output: str = "detections",
    passes: bool = True,
    boxes: bool = False,
) -> Path:
    """Write a network as ONNX with input "images" [1, 3, H, W] and one output.

    The same weights give the same bytes. BatchNorm is folded into the convolution before it, channel shuffles
    into those around them; nodes are named MODULE.PATH/OPERATOR. The network, its mode and the global random
    state stay as they are.

    Args:
        network: on any device.
        path: the file.
        img_size: H and W, pixels.
        metadata: the file's metadata_props; `mlflow_nas.precision` is set to "fp32", `mlflow_nas.input` to
            "float-nchw".
        output: name of the output.
        passes: fold the shuffles; without, the graph is the exporter's.
        boxes: decode FastestDet's map of cells in the file; another output stays.

    Raises:
        CandidateError: a weight is not finite, or torch can't export the network.
        ConfigError: the file can't be written.
    """
    _refuse_not_finite(network)
    model = _export(_folded(network), img_size, output)
    if passes:
        model = fold_shuffles(copy_shared_weights(model))
    name_graph(model.graph)
    if boxes:
        model = decode_cells(model)
    strip_provenance(model)
    set_metadata(model, {**metadata, PRECISION: "fp32", INPUT: FLOAT_NCHW})
    return write_model(model, path)


def _refuse_not_finite(network: nn.Module) -> None:
    for name, value in network.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise CandidateError(
                f"The network can't be exported: {name} holds values that are not finite, so the training "
                "diverged. Lower the learning rate."
            )


def _folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose Conv-BatchNorm pairs are one convolution each.

    The exporter would fold them too, and take 2 s longer.
    """
    folded = copy.deepcopy(network).cpu().eval()
    for block in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for (name, first), (next_name, second) in pairwise(list(block.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(block, name, fuse_conv_bn_eval(first, second))
                setattr(block, next_name, nn.Identity())
    return folded


def _export(network: nn.Module, img_size: tuple[int, int], output: str) -> onnx.ModelProto:
    height, width = img_size
    try:
        program = torch.onnx.export(
            network,
            (torch.zeros(1, 3, height, width),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=[output],
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise CandidateError(
            f"The network can't be exported to ONNX at {height} x {width} px: {reason}. "
            "Change the architecture or the input size."
        ) from error
    return cast("torch.onnx.ONNXProgram", program).model_proto  # None comes of dynamo=False alone
