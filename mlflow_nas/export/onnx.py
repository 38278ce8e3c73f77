"""ONNX export: fixed batch 1, node names that keep the module path, nothing of the exporting machine."""

import ast
import contextlib
import copy
import io
import logging
import warnings
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mlflow_nas.errors import CandidateError
from mlflow_nas.export.files import set_metadata, write_model

__all__ = ["export_onnx"]

OPSET = 18
_SCOPES = "pkg.torch.onnx.name_scopes"
_CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")


def export_onnx(
    network: nn.Module, path: Path, *, img_size: tuple[int, int], metadata: Mapping[str, str]
) -> Path:
    """Write a network as ONNX with input "images" [1, 3, H, W] and output "detections".

    BatchNorm is folded into the convolution before it; nodes are named MODULE.PATH/OPERATOR. The exporter's
    own metadata holds stack traces of this machine and is left out.

    Args:
        network: the detector; it is handed back unchanged.
        path: the file.
        img_size: H and W, pixels.
        metadata: the file's metadata_props.

    Raises:
        CandidateError: torch can't export the network.
        ConfigError: the file can't be written.
    """
    model = _export(_folded(network), img_size)
    _name_nodes(model.graph)
    _strip(model)
    set_metadata(model, metadata)
    onnx.checker.check_model(model)
    return write_model(model, path)


def _folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose Conv-BatchNorm pairs are one convolution each."""
    folded = copy.deepcopy(network).cpu().eval()
    for block in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for (name, first), (next_name, second) in pairwise(list(block.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(block, name, fuse_conv_bn_eval(first, second))
                setattr(block, next_name, nn.Identity())
    return folded


def _export(network: nn.Module, img_size: tuple[int, int]) -> onnx.ModelProto:
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    example = torch.zeros(1, 3, *img_size)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter warns of its own internals
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["detections"],
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise CandidateError(f"The network can't be exported to ONNX at {img_size}: {error}") from error
    if program is None:
        raise CandidateError(f"The network can't be exported to ONNX at {img_size}: torch gave no program.")
    return program.model_proto


def _name_nodes(graph: onnx.GraphProto) -> None:
    count: Counter[str] = Counter()
    for node in graph.node:
        scopes = next((item.value for item in node.metadata_props if item.key == _SCOPES), "['']")
        path = [scope for scope in ast.literal_eval(scopes)[:-1] if scope]
        name = f"{path[-1] if path else 'detector'}/{node.op_type}"
        count[name] += 1
        node.name = name if count[name] == 1 else f"{name}_{count[name]}"


def _strip(model: onnx.ModelProto) -> None:
    graph = model.graph
    del model.metadata_props[:]
    del graph.metadata_props[:]
    model.doc_string = graph.doc_string = ""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
