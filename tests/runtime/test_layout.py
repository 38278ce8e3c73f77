"""TFLite graphs in NHWC: what is moved, fused and dropped, and that the outputs stay the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tflite_samples import TfliteNet

from mlflow_nas.runtime.converter import layout

OP = schema.BuiltinOperator


def _transpose(net: TfliteNet, source: int, permutation: list[int], name: str) -> int:
    shape = [int(size) for size in net.graph.tensors[source].shape]
    axes = net.tensor(f"{name}_perm", (4,), "i4", value=np.array(permutation))
    made = net.tensor(name, tuple(shape[axis] for axis in permutation))
    net.add(OP.TRANSPOSE, [source, axes], [made], schema.TransposeOptionsT())
    return made


def _convolution(net: TfliteNet, source: int, channels: int, name: str) -> int:
    """A 1 x 1 convolution [1, 4, 6, inputs] -> [1, 4, 6, channels]."""
    inputs = int(net.graph.tensors[source].shape[3])
    rng = np.random.default_rng(channels)
    weight = net.tensor(f"{name}_w", (channels, 1, 1, inputs), value=rng.normal(size=(channels, inputs)))
    bias = net.tensor(f"{name}_b", (channels,), value=rng.normal(size=channels))
    made, options = net.tensor(name, (1, 4, 6, channels)), schema.Conv2DOptionsT()
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    net.add(OP.CONV_2D, [source, weight, bias], [made], options)
    return made


def _slice(net: TfliteNet, source: int, first: int, count: int, name: str) -> int:
    """Channels of a tensor [1, C, 4, 6]."""
    begin = net.tensor(f"{name}_begin", (4,), "i4", value=np.array([0, first, 0, 0]))
    extent = net.tensor(f"{name}_size", (4,), "i4", value=np.array([1, count, 4, 6]))
    made = net.tensor(name, (1, count, 4, 6))
    net.add(OP.SLICE, [source, begin, extent], [made], schema.SliceOptionsT())
    return made


def _island(*, needs_nchw: bool = False) -> bytes:
    """Convolution, an island in NCHW (ReLU, two slices, concatenation), convolution."""
    net = TfliteNet()
    image = net.tensor("images", (1, 4, 6, 3))
    planes = _transpose(net, _convolution(net, image, 8, "first"), [0, 3, 1, 2], "planes")
    active = net.tensor("active", (1, 8, 4, 6))
    net.add(OP.RELU, [planes], [active])
    parts = [_slice(net, active, 6, 2, "last_two"), _slice(net, active, 0, 6, "first_six")]
    joined, options = net.tensor("joined", (1, 8, 4, 6)), schema.ConcatenationOptionsT()
    options.axis = 1
    net.add(OP.CONCATENATION, parts, [joined], options)
    outputs = [_convolution(net, _transpose(net, joined, [0, 2, 3, 1], "pixels"), 5, "detections")]
    if needs_nchw:  # a softmax over the last axis of NCHW is another one in NHWC
        made, softmax = net.tensor("rows", (1, 8, 4, 6)), schema.SoftmaxOptionsT()
        softmax.beta = 1.0
        net.add(OP.SOFTMAX, [joined], [made], softmax)
        outputs.append(made)
    return net.content([image], outputs)


def _outputs(content: bytes) -> list[NDArray[np.float32]]:
    network = Interpreter(model_content=content, num_threads=1)
    network.allocate_tensors()
    image = np.random.default_rng(1).normal(size=(1, 4, 6, 3)).astype(np.float32)
    network.set_tensor(network.get_input_details()[0]["index"], image)
    network.invoke()
    return [network.get_tensor(detail["index"]) for detail in network.get_output_details()]


def _kinds(model: Any) -> list[int]:
    return [model.operatorCodes[one.opcodeIndex].builtinCode for one in model.subgraphs[0].operators]


def test_an_island_in_nchw_is_moved_and_its_activation_fused() -> None:
    """No Transpose and no ReLU is left, and the output is the same to the rounding."""
    content = _island()
    model = layout.read(content)
    layout.move_to_nhwc(model)
    layout.fuse_activations(model)
    assert _kinds(model) == [OP.CONV_2D, OP.SLICE, OP.SLICE, OP.CONCATENATION, OP.CONV_2D]
    (before,), (after,) = _outputs(content), _outputs(layout.serialize(model))
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_an_operator_that_needs_nchw_gets_it_back() -> None:
    """Softmax over the last axis reads a tensor that is transposed again."""
    content = _island(needs_nchw=True)
    model = layout.read(content)
    layout.move_to_nhwc(model)
    assert _kinds(model).count(OP.TRANSPOSE) == 1
    for before, after in zip(_outputs(content), _outputs(layout.serialize(model)), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_slice_that_was_permuted_without_its_input_is_repaired() -> None:
    """By the sizes in the ONNX file; the sizes of what follows are corrected, other slices stay."""

    def cut(begin: list[int], amount: list[int], wrong: tuple[int, ...]) -> bytes:
        net = TfliteNet()
        image = net.tensor("images", (1, 4, 6, 3))
        planes = _transpose(net, _convolution(net, image, 8, "made"), [0, 3, 1, 2], "planes")
        parts = [_slice(net, planes, 0, 7, "seven"), net.tensor("one", wrong)]
        bounds = [net.tensor(f"b{value}", (4,), "i4", value=np.array(value)) for value in (begin, amount)]
        net.add(OP.SLICE, [planes, *bounds], [parts[1]], schema.SliceOptionsT())
        joined, options = net.tensor("joined", (1, 8, 4, 6)), schema.ConcatenationOptionsT()
        options.axis = 1
        net.add(OP.CONCATENATION, parts, [joined], options)
        return net.content([image], [joined])

    right = cut([0, 7, 0, 0], [-1, 1, -1, -1], (1, 1, 4, 6))
    model = layout.read(cut([0, 0, 0, 7], [-1, -1, -1, 1], (1, 8, 4, 1)))
    layout.repair_slices(
        model, {"planes": [1, 8, 4, 6], "seven": [1, 7, 4, 6], "one": [1, 1, 4, 6], "joined": [1, 8, 4, 6]}
    )
    np.testing.assert_array_equal(_outputs(layout.serialize(model))[0], _outputs(right)[0])
    layout.move_to_nhwc(model)
    moved = _outputs(layout.serialize(model))[0].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(moved, _outputs(right)[0])


def test_an_output_in_nchw_becomes_nhwc_under_its_name() -> None:
    """The last Transpose goes too."""
    net = TfliteNet()
    image = net.tensor("images", (1, 4, 6, 3))
    output = _transpose(net, _convolution(net, image, 5, "pixels"), [0, 3, 1, 2], "detections")
    content = net.content([image], [output])
    model = layout.read(content)
    layout.move_to_nhwc(model)
    changed = layout.serialize(model)
    assert _kinds(model) == [OP.CONV_2D]
    assert layout.read(changed).subgraphs[0].tensors[-1].name == b"detections"
    np.testing.assert_array_equal(_outputs(changed)[0], _outputs(content)[0].transpose(0, 2, 3, 1))


@pytest.mark.parametrize("others", [1, 2])
def test_an_activation_is_fused_where_it_alone_reads_the_convolution(others: int) -> None:
    """With a second reader both stay."""
    net = TfliteNet()
    image = net.tensor("images", (1, 4, 6, 3))
    made = _convolution(net, image, 5, "made")
    active = [net.tensor(f"active{index}", (1, 4, 6, 5)) for index in range(others)]
    for one in active:
        net.add(OP.RELU, [made], [one])
    content = net.content([image], active)
    model = layout.read(content)
    layout.fuse_activations(model)
    assert _kinds(model).count(OP.RELU) == (0 if others == 1 else 2)
    for before, after in zip(_outputs(content), _outputs(layout.serialize(model)), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_the_scripts_need_nothing_of_this_package() -> None:
    """The converters' environment lacks it."""
    folder = Path(layout.__file__).parent
    assert all("mlflow_nas" not in "".join(_imports(path)) for path in folder.glob("[cl]*.py"))


def _imports(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(("import ", "from "))]
