import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mlflow_nas.board.runtime.inputs import image_input
from mlflow_nas.export.naming import name_graph, strip_provenance


def _node(operator: str, inputs: list[str], outputs: list[str], scope: str | None) -> onnx.NodeProto:
    node = helper.make_node(
        operator, inputs, outputs, name=f"node_{outputs[0]}", doc_string="at /home/me/a.py"
    )
    if scope is not None:
        scopes = ["", *scope.split("/"), outputs[0]] if scope else ["", outputs[0]]
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(scopes))
    return node


def _graph(*nodes: onnx.NodeProto) -> onnx.GraphProto:
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 2])
    given = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 2])
    inner = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [1, 2]) for node in nodes[:-1]]
    return helper.make_graph(list(nodes), "main", [taken], [given], value_info=inner)


def test_a_node_is_named_by_its_module_and_operator_and_its_outputs_follow() -> None:
    """Nodes, tensors and value infos agree; the graph's input and output keep their names."""
    graph = _graph(
        _node("Relu", ["images"], ["x"], "neck/neck.chains.0"),
        _node("Relu", ["x"], ["y"], "neck/neck.chains.0"),
        _node("Sigmoid", ["y"], ["detections"], ""),
    )
    name_graph(graph)
    assert [node.name for node in graph.node] == [
        "neck.chains.0/Relu",
        "neck.chains.0/Relu_2",
        "detector/Sigmoid",
    ]
    assert [list(node.input) for node in graph.node] == [
        ["images"],
        ["neck.chains.0/Relu"],
        ["neck.chains.0/Relu_2"],
    ]
    assert graph.node[-1].output[0] == "detections"
    assert [value.name for value in graph.value_info] == ["neck.chains.0/Relu", "neck.chains.0/Relu_2"]


def test_a_node_of_the_optimiser_belongs_to_the_module_that_holds_its_readers() -> None:
    """A Split without a scope is charged to the block that it splits for, not to the block before."""
    graph = _graph(
        _node("Relu", ["images"], ["before"], "stage/stage.0"),
        _node("Split", ["before"], ["left", "right"], None),
        _node("Relu", ["right"], ["branch"], "stage/stage.1/stage.1.branch.0"),
        _node("Concat", ["left", "branch"], ["detections"], "stage/stage.1"),
    )
    name_graph(graph)
    assert graph.node[1].name == "stage.1/Split"
    assert list(graph.node[1].output) == ["stage.1/Split", "stage.1/Split:1"]
    assert list(graph.node[3].input) == ["stage.1/Split", "stage.1.branch.0/Relu"]


def test_modules_whose_names_begin_alike_are_not_mixed_up() -> None:
    """`stage.1` and `stage.10` share `stage`, not `stage.1`."""
    graph = _graph(
        _node("Identity", ["images"], ["shared"], None),
        _node("Relu", ["shared"], ["one"], "stage/stage.1"),
        _node("Relu", ["shared"], ["ten"], "stage/stage.10"),
        _node("Add", ["one", "ten"], ["detections"], ""),
    )
    name_graph(graph)
    assert graph.node[0].name == "stage/Identity"


def test_a_node_that_nothing_tells_of_belongs_to_the_detector() -> None:
    """No scope and no reader: the name is still there and unique."""
    graph = _graph(_node("Identity", ["images"], ["detections"], None))
    name_graph(graph)
    assert graph.node[0].name == "detector/Identity"


def test_nothing_of_the_exporting_machine_is_left() -> None:
    """Metadata and doc strings go, of the model, the graph, its nodes and its values."""
    model = helper.make_model(_graph(_node("Relu", ["images"], ["detections"], "stem")))
    model.doc_string = model.graph.doc_string = model.graph.input[0].doc_string = "/home/me/b.py"
    for part in (model, model.graph, model.graph.output[0]):
        part.metadata_props.add(key="trace", value="/home/me/c.py")
    assert b"/home/me" in model.SerializeToString()
    strip_provenance(model)
    assert b"/home/me" not in model.SerializeToString()
    assert b"pkg.torch" not in model.SerializeToString()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_profile_tells_the_module_of_every_layer(
    precision: str, small_int8: Path, small_images: NDArray[np.float32], tmp_path: Path
) -> None:
    """What ONNX Runtime fuses keeps a module path; only its own layout changes have none."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = onnxruntime.InferenceSession(
        str(small_int8.with_name(f"{precision}.onnx")), options, providers=["CPUExecutionProvider"]
    )
    session.run(None, image_input(session).feed(small_images[:1]))
    events = json.loads(Path(session.end_profiling()).read_text())
    kernels = {
        (event["name"].rpartition("/")[0], event["args"]["op_name"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    }
    nameless = {operator for module, operator in kernels if not module}
    assert nameless <= {"ReorderInput", "ReorderOutput", "Transpose", "QuantizeLinear"}
    modules = {module for module, _ in kernels}
    assert {"blocks.0", "blocks.1", "head", "detector"} <= modules
    assert any(module.startswith("stem") for module in modules)
