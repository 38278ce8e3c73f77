"""Graph passes: what they change, and that the outputs stay the same."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.export.model_files import INPUT
from mlflow_nas.export.passes import (
    copy_shared_weights,
    fold_shuffles,
    pad_pools,
    pad_stem,
    pools_as_convolutions,
    split_output,
)
from mlflow_nas.runtime import OnnxDetector, check_parity


class Net:
    """A graph on images [1, 3, 8, 8], built node by node, with random weights that keep the scale."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {}

    def constant(self, value: object, *, kind: str = "f4") -> str:
        """An initializer."""
        name = f"w{len(self._weights)}"
        self._weights[name] = np.asarray(value, dtype=kind)
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        """A node and its outputs."""
        names = [f"t{len(self._nodes)}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self._nodes)}", **attributes))
        return names

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 1, groups: int = 1, weight: str | None = None
    ) -> str:
        """A convolution of the same size with a bias, and a ReLU."""
        fan_in = inputs // groups * kernel**2
        shape = (outputs, inputs // groups, kernel, kernel)
        scaled = self._rng.normal(0, (2 / fan_in) ** 0.5, shape)
        weight = weight or self.constant(scaled)
        bias = self.constant(self._rng.normal(0, 0.1, outputs))
        made = self.add("Conv", x, weight, bias, group=groups, pads=[kernel // 2] * 4)[0]
        return self.add("Relu", made)[0]

    def shuffle(self, x: str, channels: int, groups: int = 2, size: int = 8) -> str:
        """Reshape, transpose, reshape."""
        parts = self.constant([1, groups, channels // groups, size, size], kind="i8")
        whole = self.constant([1, channels, size, size], kind="i8")
        moved = self.add("Transpose", self.add("Reshape", x, parts)[0], perm=[0, 2, 1, 3, 4])[0]
        return self.add("Reshape", moved, whole)[0]

    def unit(self, x: str, channels: int) -> str:
        """A basic unit of ShuffleNetV2: one half passes, the other is convolved, both are shuffled."""
        half = channels // 2
        passed, entered = self.add("Split", x, outputs=2, axis=1, num_outputs=2)
        inner = self.conv(self.conv(self.conv(entered, half, half), half, half, 3, half), half, half)
        return self.shuffle(self.add("Concat", passed, inner, axis=1)[0], channels)

    def model(
        self, output: str, channels: int = 5, size: int = 8, taken: Sequence[int] = (1, 3, 8, 8)
    ) -> onnx.ModelProto:
        """The checked model, whose output is named "detections"."""
        self._nodes.append(helper.make_node("Identity", [output], ["detections"], name="last"))
        graph = helper.make_graph(
            self._nodes,
            "net",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, taken)],
            [helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, channels, size, size])],
            [numpy_helper.from_array(value, name) for name, value in self._weights.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.checker.check_model(made, full_check=True)
        return made


def _stage(depth: int, channels: int, groups: int = 1) -> onnx.ModelProto:
    """A stage of units whose output is read depthwise, pooled, and by a grouped convolution."""
    net = Net()
    x = net.conv("images", 3, channels, 3)
    for _ in range(depth):
        x = net.unit(x, channels)
    pooled = net.add("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])[0]
    deep = net.conv(x, channels, channels, 3, channels)
    joined = net.add("Concat", pooled, x, deep, axis=1)[0]
    return net.model(net.conv(joined, 3 * channels, 8, groups=groups), channels=8)


def _residual() -> onnx.ModelProto:
    """The shuffled tensor is added to another one of its channels."""
    net = Net()
    x = net.conv("images", 3, 8)
    y = net.shuffle(net.conv(x, 8, 8), 8)
    return net.model(net.conv(net.add("Add", net.unit(y, 8), x)[0], 8, 5))


def _grouped() -> onnx.ModelProto:
    """ShuffleNetV1: a shuffle between two grouped convolutions."""
    net = Net()
    x = net.shuffle(net.conv(net.conv("images", 3, 12), 12, 12, groups=3), 12, groups=3)
    return net.model(net.conv(net.conv(x, 12, 12, 3, 12), 12, 6, groups=3), channels=6)


def _ends_shuffled() -> onnx.ModelProto:
    """The output's own channels are shuffled: the last convolution can write them so."""
    net = Net()
    return net.model(net.shuffle(net.conv("images", 3, 6), 6), channels=6)


def _attention() -> onnx.ModelProto:
    """A squeeze-and-excitation gate multiplies the shuffled channels."""
    net = Net()
    x = net.unit(net.conv("images", 3, 8), 8)
    gate = net.add("HardSigmoid", net.conv(net.add("GlobalAveragePool", x)[0], 8, 8))[0]
    return net.model(net.conv(net.add("Mul", x, gate)[0], 8, 5))


SHUFFLED: dict[str, Callable[[], onnx.ModelProto]] = {
    "one unit": lambda: _stage(1, 8),
    "two units": lambda: _stage(2, 16),
    "seven units": lambda: _stage(7, 48),
    "more units than halvings": lambda: _stage(5, 8),
    "read by 2 groups": lambda: _stage(2, 16, groups=2),
    "read by 8 groups": lambda: _stage(3, 16, groups=8),
    "residual": _residual,
    "between grouped convolutions": _grouped,
    "at the output": _ends_shuffled,
    "gated": _attention,
}


def _run(model: onnx.ModelProto, images: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    if images is None:
        images = np.random.default_rng(1).random(taken.shape, dtype=np.float32)
    found: NDArray[np.float32] = session.run(None, {taken.name: images})[0]
    return found


def _operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("name", SHUFFLED)
def test_shuffles_are_folded_exactly(name: str) -> None:
    """Neither a Transpose nor a Reshape is left, and the outputs are equal to 1e-5."""
    model = SHUFFLED[name]()
    before = model.SerializeToString()
    folded = fold_shuffles(model)
    assert not _operators(folded).keys() & {"Transpose", "Reshape"}
    np.testing.assert_allclose(_run(folded), _run(model), atol=1e-5)
    assert _run(model).std() > 0.01
    assert model.SerializeToString() == before


def _unfoldable() -> onnx.ModelProto:
    """A softmax over the channels reads them in their order, thirty-two apart."""
    net = Net()
    x = net.add("Softmax", net.conv("images", 3, 64), axis=1)[0]
    return net.model(net.add("Softmax", net.shuffle(x, 64), axis=1)[0], channels=64)


def _older() -> onnx.ModelProto:
    """An opset whose Split can't be written as the pass writes it."""
    net = Net()
    model = net.model(net.conv(net.shuffle(net.conv("images", 3, 8), 8), 8, 5))
    model.opset_import[0].version = 11
    return model


def _branching() -> onnx.ModelProto:
    """A branch reads the convolution's channels, besides the shuffle."""
    net = Net()
    x = net.conv("images", 3, 5)
    y = net.conv(net.shuffle(net.conv(x, 5, 6), 6), 6, 5)
    made = [helper.make_tensor_value_info("chosen", TensorProto.FLOAT, [1, 5, 8, 8])]
    sides = {
        side: helper.make_graph([helper.make_node("Identity", [name], ["chosen"])], side, [], made)
        for side, name in (("then_branch", x), ("else_branch", y))
    }
    return net.model(net.add("If", net.constant(True, kind="?"), **sides)[0])


def _no_shuffle() -> onnx.ModelProto:
    net = Net()
    left, right = net.add("Split", net.conv("images", 3, 8), outputs=2, axis=1, num_outputs=2)
    return net.model(net.conv(net.add("Concat", right, left, axis=1)[0], 8, 5))


def _pixel_shuffle() -> onnx.ModelProto:
    """The transpose moves channels into rows and columns."""
    net = Net()
    x = net.conv("images", 3, 20)
    parts = net.add("Reshape", x, net.constant([5, 2, 2, 8, 8], kind="i8"))[0]
    moved = net.add("Transpose", parts, perm=[0, 3, 1, 4, 2])[0]
    return net.model(net.add("Reshape", moved, net.constant([1, 5, 16, 16], kind="i8"))[0], size=16)


@pytest.mark.parametrize("make", [_unfoldable, _older, _branching, _no_shuffle, _pixel_shuffle])
def test_a_graph_that_cant_be_folded_computes_the_same(make: Callable[[], onnx.ModelProto]) -> None:
    """Its transposes stay, and so do its outputs."""
    model = make()
    folded = fold_shuffles(model)
    assert _operators(folded)["Transpose"] == _operators(model)["Transpose"]
    np.testing.assert_allclose(_run(folded), _run(model), atol=1e-6)
    np.testing.assert_allclose(_run(pools_as_convolutions(model)), _run(model), atol=1e-6)


def test_shared_weights_are_copied_before_one_reader_changes_them() -> None:
    """A convolution that two shuffled tensors pass through gets its weights twice."""
    net = Net()
    weight = net.constant(np.random.default_rng(2).normal(0, 0.5, (5, 8, 1, 1)))
    first = net.conv(net.unit(net.conv("images", 3, 8), 8), 8, 5, weight=weight)
    second = net.conv(net.conv("images", 3, 8), 8, 5, weight=weight)
    model = net.model(net.add("Add", first, second)[0])
    own = copy_shared_weights(model)
    assert max(Counter(name for node in own.graph.node for name in node.input[1:]).values()) == 1
    np.testing.assert_allclose(_run(fold_shuffles(own)), _run(model), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "replaced"),
    [
        ({"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}, True),
        ({"kernel_shape": [2, 2], "strides": [2, 2]}, True),
        ({"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 0}, False),
        ({"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, False),
        ({"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER"}, False),
    ],
)
def test_an_average_pool_with_one_divisor_becomes_a_convolution(
    options: dict[str, object], replaced: bool
) -> None:
    """Pools that divide by another count at the border stay as they are."""
    net = Net()
    pooled = net.add("AveragePool", net.conv("images", 3, 6), **options)[0]
    size = 8 // options.get("strides", [1])[0]  # type: ignore[index,operator]
    model = net.model(pooled, channels=6, size=size)
    changed = pools_as_convolutions(model)
    assert _operators(changed)["AveragePool"] == int(not replaced)
    assert {node.name for node in changed.graph.node} == {node.name for node in model.graph.node}
    np.testing.assert_allclose(_run(changed), _run(model), atol=1e-6)


def test_the_stem_gets_a_fourth_channel_of_zero_weights() -> None:
    """Whatever the fourth channel holds, the outputs stay the same."""
    net = Net()
    model = net.model(net.conv("images", 3, 5, 3))
    padded = pad_stem(model)
    weights = {tensor.name: tensor.dims for tensor in padded.graph.initializer}
    assert [5, 4, 3, 3] in [list(dims) for dims in weights.values()]
    np.testing.assert_allclose(_run(padded), _run(model), atol=1e-6)


def _gray() -> onnx.ModelProto:
    net = Net()
    return net.model(net.conv("images", 1, 5, 3), taken=(1, 1, 8, 8))


def _normalized(*, foreign: bool = False) -> onnx.ModelProto:
    """Images are normalized before the first convolution reads them."""
    net = Net()
    centred = net.add("Sub", "images", net.constant(np.full((1, 3, 1, 1), 0.5)))[0]
    model = net.model(net.conv(centred, 3, 5, 3))
    if not foreign:
        model.metadata_props.add(key=INPUT, value="float-nchw")
    return model


@pytest.mark.parametrize("make", [_gray, _normalized])
def test_another_stem_stays(make: Callable[[], onnx.ModelProto]) -> None:
    """Gray images, and images that something else reads first, are not padded."""
    model = make()
    assert pad_stem(model) is model


def _int8(model: onnx.ModelProto, folder: Path, **choices: object) -> Path:
    onnx.save(model, folder / "fp32.onnx")
    images = np.random.default_rng(3).integers(0, 256, (4, 3, 8, 8)).astype(np.float32) / 255
    own = Quantization(float_tail=False, **choices)  # type: ignore[arg-type]
    path = folder / f"{len(list(folder.iterdir()))}.onnx"
    return quantize_int8(folder / "fp32.onnx", path, calibration=images, choices=own)


def _conv_first() -> onnx.ModelProto:
    net = Net()
    model = net.model(net.conv(net.conv("images", 3, 8, 3), 8, 5))
    model.metadata_props.add(key=INPUT, value="float-nchw")
    return model


@pytest.mark.parametrize("make", [_conv_first, _normalized])
def test_bytes_give_what_floats_give(make: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    """Both files of one network have the same outputs for the same pixels, to the bit."""
    images = np.random.default_rng(4).integers(0, 256, (3, 3, 8, 8)).astype(np.float32) / np.float32(255)
    floats = OnnxDetector(_int8(make(), tmp_path, input="float-nchw"))
    taken = OnnxDetector(_int8(make(), tmp_path, input="uint8-nhwc-rgbx"))
    assert (floats.input, taken.input) == ("float-nchw", "uint8-nhwc-rgbx")
    assert taken.img_size == (8, 8)
    assert np.array_equal(taken(images), floats(images))


def test_the_ignored_byte_is_ignored(tmp_path: Path) -> None:
    """The outputs do not depend on the fourth channel."""
    path = _int8(_conv_first(), tmp_path)
    pixels = np.random.default_rng(5).integers(0, 256, (1, 8, 8, 4)).astype(np.uint8)
    other = pixels.copy()
    other[..., 3] = 0
    model = onnx.load(path)
    assert np.array_equal(_run(model, pixels), _run(model, other))
    assert not _operators(model).keys() & {"Pad", "Slice"}


def test_a_file_of_others_keeps_its_input(tmp_path: Path) -> None:
    """Without our metadata nothing says that it takes images in 0..1."""
    path = _int8(_normalized(foreign=True), tmp_path)
    assert onnx.load(path).graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert OnnxDetector(path).input == "float-nchw"


class _ReshapedHead(nn.Module):
    """Predictions of several anchors a place, moved by five dimensions as SSD does."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 10, 4, 4)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] -> [b, n, 5]."""
        maps = self.head(images)
        rows = maps.view(len(maps), 2, 5, *maps.shape[2:]).permute(0, 3, 4, 1, 2).reshape(len(maps), -1, 5)
        return rows + rows.mean(dim=(0, 2))[None, :, None]


def test_five_dimensions_of_a_head_are_no_shuffle(tmp_path: Path) -> None:
    """The graph has tensors that are no images, and computes the same."""
    network, images = (
        _ReshapedHead().eval(),
        np.random.default_rng(0).random((1, 3, 16, 16), dtype=np.float32),
    )
    path = export_onnx(network, tmp_path / "head.onnx", img_size=(16, 16), metadata={})
    assert check_parity(network, path, images, atol=1e-5) < 1e-5


def _outputs_of(model: onnx.ModelProto, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(None, {"images": image})
    return outputs


@pytest.mark.parametrize(("relu", "padded"), [(True, 1), (False, 0)])
def test_a_max_pool_is_padded_by_zeros_where_nothing_is_negative(relu: bool, padded: int) -> None:
    """After a ReLU; elsewhere zeros would change the maximum at the border, so that the pool stays."""
    net = Net()
    x = net.conv("images", 3, 4)
    x = x if relu else net.add("Neg", x)[0]
    model = net.model(net.add("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])[0], channels=4)
    changed = pad_pools(model)
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    assert [node.op_type for node in changed.graph.node].count("Pad") == padded
    np.testing.assert_array_equal(_outputs_of(changed, image)[0], _outputs_of(model, image)[0])


def test_the_last_concatenation_is_left_to_the_reader() -> None:
    """Its parts are the outputs, in its order; joined they are the output of before."""
    net = Net()
    parts = [net.conv("images", 3, 1), net.conv("images", 3, 4)]
    joined = net.add("Concat", *parts, axis=1)[0]
    model = net.model(joined)
    del model.graph.node[-1]  # the Identity after the concatenation
    model.graph.node[-1].output[0] = "detections"
    split, axis = split_output(model)
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    assert [output.name for output in split.graph.output] == parts
    np.testing.assert_array_equal(
        np.concatenate(_outputs_of(split, image), axis=axis), _outputs_of(model, image)[0]
    )


def test_an_output_that_is_no_concatenation_stays() -> None:
    """The model itself is returned."""
    net = Net()
    model = net.model(net.conv("images", 3, 5))
    assert split_output(model).model is model
