"""Files of others: shapes, quantization, what their nodes compute."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlflow_nas.errors import ConfigError
from mlflow_nas.export import fix_input_shapes, is_quantized, node_costs, node_modules, random_images


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conv, Relu, Flatten and Gemm of [batch, 3, 8, width], with the names of an older exporter."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.random((4, 3, 3, 3)), "g": rng.random((2, 4 * 8 * 6))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="/body/body.0/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="/body/body.1/Relu"),
        helper.make_node("Flatten", ["r"], ["f"], name="/Flatten"),
        helper.make_node("Gemm", ["f", "g"], ["y"], name="/head/Gemm", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    path = tmp_path_factory.mktemp("foreign") / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_given_shape_goes_through_the_graph(dynamic: Path, tmp_path: Path) -> None:
    """The file runs with it."""
    fixed = fix_input_shapes(dynamic, tmp_path / "fixed.onnx", {"x": [1, 3, 8, 6]})
    session = onnxruntime.InferenceSession(str(fixed))
    assert session.run(None, {"x": random_images(fixed, 1)})[0].shape == (1, 2)


def test_a_file_of_fixed_sizes_stays_itself(small_fp32: Path, tmp_path: Path) -> None:
    """What is profiled is what the user has."""
    assert fix_input_shapes(small_fp32, tmp_path / "fixed.onnx", {}) == small_fp32


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (
            {},
            r"x of foreign.onnx is \?x3x8x\?, of no fixed size: give one, such as --shape x=1x3x8x320",
        ),
        ({"y": [1]}, r"names the input 'y', foreign.onnx has x: name one"),
        ({"x": [1, 3, 8]}, r"x=1x3x8 does not fit foreign.onnx, which declares \?x3x8x\?: Rank mismatch"),
        ({"x": [1, 3, 9, 6]}, r"Can't replace existing fixed size of 8 with 9"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(
    dynamic: Path, tmp_path: Path, shapes: dict[str, list[int]], sentence: str
) -> None:
    """The sentence has what was given and what the file declares."""
    with pytest.raises(ConfigError, match=sentence):
        fix_input_shapes(dynamic, tmp_path / "fixed.onnx", shapes)


def test_costs_are_those_of_the_shapes(dynamic: Path, tmp_path: Path) -> None:
    """Two FLOPs per multiply-accumulate; what may be fused after a node has its cost, too."""
    costs = node_costs(fix_input_shapes(dynamic, tmp_path / "fixed.onnx", {"x": [1, 3, 8, 6]}))
    assert costs["/body/body.0/Conv"] == ("/body/body.0/Conv", "Conv", 2 * 4 * 8 * 6 * 27, 4 * 27 * 4)
    assert costs["/body/body.1/Relu"] == costs["c"] == costs["/body/body.0/Conv"]
    assert costs["/head/Gemm"] == ("/head/Gemm", "Gemm", 2 * 2 * 4 * 8 * 6, 2 * 4 * 8 * 6 * 4)


def test_shapes_that_cant_be_inferred_have_no_cost(dynamic: Path) -> None:
    """Nothing is made up for the sizes that are open."""
    assert node_costs(dynamic) == {}


def test_int8_weights_are_found_behind_their_scale(small_fp32: Path, small_int8: Path) -> None:
    """The same FLOPs as in float, a quarter of the bytes."""
    fp32, int8 = node_costs(small_fp32), node_costs(small_int8)
    name, op, flops, weight_bytes = fp32["head/Conv"]
    assert int8["head/Conv"] == (name, op, flops, weight_bytes // 4)


def test_quantized_files_are_known(small_fp32: Path, small_int8: Path) -> None:
    """By their operators."""
    assert (is_quantized(small_fp32), is_quantized(small_int8)) == (False, True)


def test_modules_stand_in_the_metadata_of_torch(dynamic: Path, tmp_path: Path) -> None:
    """By the names of node and output; what is no list of names is passed over."""
    model = onnx.load(dynamic)
    values = ["['', 'body', 'body.0', 'conv2d']", "[", "['', 'flatten']"]
    for node, value in zip(model.graph.node, values, strict=False):
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=value)
    path = tmp_path / "torch.onnx"
    onnx.save(model, path)
    assert node_modules(path) == {"/body/body.0/Conv": "body.0", "c": "body.0"}
