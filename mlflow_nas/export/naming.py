"""Names of nodes and tensors that keep the module path, so that a profile sums time by module.

Tensors are named too: ONNX Runtime names a fused node after a node or after a tensor.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import takewhile

import onnx

__all__ = ["module_scope", "name_graph", "strip_provenance"]

ROOT = "detector"
_SCOPES = "pkg.torch.onnx.name_scopes"


def name_graph(graph: onnx.GraphProto) -> None:
    """Name each node MODULE.PATH/OPERATOR, and its outputs after it; the graph's own outputs keep theirs.

    A second node of that name gets `_2`. Nodes of no submodule are under "detector". Reads the
    exporter's metadata, so it comes before `strip_provenance`.
    """
    counts: Counter[str] = Counter()
    outputs = {output.name for output in graph.output}
    renamed: dict[str, str] = {}
    for node, path in zip(graph.node, _module_paths(graph), strict=True):
        name = f"{path or ROOT}/{node.op_type}"
        counts[name] += 1
        node.name = name if counts[name] == 1 else f"{name}_{counts[name]}"
        for index, output in enumerate(node.output):
            if output not in outputs:
                renamed[output] = f"{node.name}:{index}" if index else node.name
    _rename_tensors(graph, renamed)


def strip_provenance(model: onnx.ModelProto) -> None:
    """Remove the exporter's metadata: its stack traces hold paths of the exporting machine."""
    graph = model.graph
    described = (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for part in (model, graph, *described):
        del part.metadata_props[:]
        part.doc_string = ""


def _module_paths(graph: onnx.GraphProto) -> list[str]:
    # A node that the optimiser made has no scope: it belongs to the module that holds all of its readers.
    readers: defaultdict[str, list[str]] = defaultdict(list)
    paths: list[str] = []
    for node in reversed(graph.node):
        path = module_scope(node)
        if path is None:
            path = _common(reader for output in node.output for reader in readers[output])
        for name in node.input:
            readers[name].append(path)
        paths.append(path)
    return paths[::-1]


def module_scope(node: onnx.NodeProto) -> str | None:
    """Path of the module in the metadata of torch's exporter; None for a node without readable metadata."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
    try:
        modules = ["", *ast.literal_eval(scopes)[:-1]]  # the last scope is the operation itself
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return str(modules[-1])


def _common(paths: Iterable[str]) -> str:
    levels = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))


def _rename_tensors(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in graph.value_info:
        value.name = renamed.get(value.name, value.name)
