"""Float TFLite files without needless operators: no islands in NCHW, activations inside the convolutions.

onnx2tf leaves ONNX's layout NCHW between two Transposes around splits and concatenations. Kernels and NPUs
compute in NHWC. Imported by `convert`, from its folder; needs ai-edge-litert alone.
"""

from __future__ import annotations

import copy
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

__all__ = ["fuse_activations", "move_to_nhwc", "read", "repair_slices", "serialize"]

_OP, _ACTIVATION = schema.BuiltinOperator, schema.ActivationFunctionType
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_AXIS_IN_NHWC = (0, 3, 1, 2)  # of an axis of NCHW
_UNARY = (_OP.RELU, _OP.RELU6, _OP.LOGISTIC, _OP.TANH, _OP.HARD_SWISH)
_ELEMENTWISE = (*_UNARY, _OP.ADD, _OP.SUB, _OP.MUL)
_WITH_CONSTANTS = (_OP.SLICE, _OP.SPLIT, _OP.PAD)
_MOVABLE = (*_ELEMENTWISE, *_WITH_CONSTANTS, _OP.CONCATENATION)
_CONVOLUTIONS = (_OP.CONV_2D, _OP.DEPTHWISE_CONV_2D)
_FUSED = {_OP.RELU: _ACTIVATION.RELU, _OP.RELU6: _ACTIVATION.RELU6}


def read(content: bytes) -> Any:
    """A file as a tree of objects; its shapes are fixed."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature = None
    return model


def serialize(model: Any) -> bytes:
    """The tree as a file, without the tensors that nothing reads or writes."""
    _drop_unused(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def repair_slices(model: Any, shapes: dict[str, list[int]]) -> None:
    """Give slices that were permuted without their input its axes, and correct the sizes that follow.

    onnx2tf permutes some slices of one channel although what they read stays in NCHW.

    Args:
        model: a file that keeps the ONNX file's tensors under their names.
        shapes: name of a tensor to its sizes in the ONNX file.
    """
    layout, graph = _Layout(model), model.subgraphs[0]
    for operator in graph.operators:
        if _kind(model, operator) == _OP.SLICE:
            source, target = (
                graph.tensors[int(index)] for index in (operator.inputs[0], operator.outputs[0])
            )
            before, after = (shapes.get(tensor.name.decode(), []) for tensor in (source, target))
            amounts = layout.constant(operator.inputs[2]).tolist()
            fits = all(amount in (-1, size) for amount, size in zip(amounts, after, strict=False))
            if after and list(source.shape) == before and not fits:
                bounds = [layout.permuted_constant(int(index), _TO_NCHW) for index in operator.inputs[1:]]
                operator.inputs = [operator.inputs[0], *bounds]
        layout.infer_shape(operator)


def move_to_nhwc(model: Any) -> None:
    """Compute between two Transposes in NHWC; outputs of four dimensions in NCHW become NHWC as well."""
    _Layout(model).move()


def fuse_activations(model: Any) -> None:
    """Have each convolution compute the ReLU that alone reads its output."""
    graph = model.subgraphs[0]
    readers: dict[int, list[Any]] = {int(index): [None] for index in graph.outputs}
    for operator in graph.operators:
        for index in operator.inputs:
            readers.setdefault(int(index), []).append(operator)
    fused = []
    for operator in graph.operators:
        reader, *others = readers.get(int(operator.outputs[0]), [None])
        if _kind(model, operator) not in _CONVOLUTIONS or others or reader is None:
            continue
        activation = _FUSED.get(_kind(model, reader))
        if activation is not None and operator.builtinOptions.fusedActivationFunction == _ACTIVATION.NONE:
            operator.builtinOptions.fusedActivationFunction = activation
            operator.outputs = reader.outputs
            fused.append(reader)
    graph.operators = [one for one in graph.operators if not any(one is other for other in fused)]


def _drop_unused(model: Any) -> None:
    graph = model.subgraphs[0]
    lists = [graph.inputs, graph.outputs]
    lists += [indexes for operator in graph.operators for indexes in (operator.inputs, operator.outputs)]
    used = sorted({int(index) for indexes in lists for index in indexes if index >= 0})
    place = {old: new for new, old in enumerate(used)}
    graph.tensors = [graph.tensors[index] for index in used]
    for owner in (graph, *graph.operators):
        owner.inputs, owner.outputs = (
            [place.get(int(index), -1) for index in indexes] for indexes in (owner.inputs, owner.outputs)
        )
    for signature in model.signatureDefs or ():
        for tensor in (*signature.inputs, *signature.outputs):
            tensor.tensorIndex = place[tensor.tensorIndex]


def _kind(model: Any, operator: Any) -> int:
    """The operator's builtin code."""
    return int(model.operatorCodes[operator.opcodeIndex].builtinCode)


class _Layout:
    """The move of one model's only subgraph.

    Attributes:
        nhwc: a tensor in NCHW to the one that holds its values in NHWC.
        same: a removed tensor to the one that has its values.
        transpose: one of the operators from NHWC to NCHW.
        kept: operators of the result.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.nhwc: dict[int, int] = {}
        self.same: dict[int, int] = {}
        self.transpose: Any = None
        self.kept: list[Any] = []

    def move(self) -> None:
        """One sweep in the order of execution."""
        for operator in self.graph.operators:
            operator.inputs = [self.same.get(int(index), int(index)) for index in operator.inputs]
            permutation = self._permutation(operator)
            source, target = operator.inputs[0], int(operator.outputs[0])
            if permutation == _TO_NCHW:
                self.nhwc[target], self.transpose = source, operator
            elif permutation == _TO_NHWC and source in self.nhwc:
                self.same[target] = self.nhwc[source]
            elif self._can_move(operator):
                self._move(operator)
            else:
                operator.inputs = [self._in_nchw(index) for index in operator.inputs]
                self.kept.append(operator)
        self.graph.operators = self.kept
        self._rename_outputs()

    def _permutation(self, operator: Any) -> list[int]:
        """Of a Transpose; empty for another operator."""
        if _kind(self.model, operator) != _OP.TRANSPOSE:
            return []
        return [int(axis) for axis in self.constant(operator.inputs[1])]

    def _can_move(self, operator: Any) -> bool:
        """Whether it computes the same in NHWC, and all that it reads is at hand in NHWC."""
        taken = [index for index in operator.inputs if not self._is_constant(index)]
        constant = [index for index in operator.inputs if self._is_constant(index)]
        kind = _kind(self.model, operator)
        is_plain = kind in _WITH_CONSTANTS or not constant
        return kind in _MOVABLE and is_plain and all(index in self.nhwc for index in taken)

    def _move(self, operator: Any) -> None:
        kind = _kind(self.model, operator)
        operator.inputs = [self.nhwc.get(index, index) for index in operator.inputs]
        if kind == _OP.PAD:
            operator.inputs[1] = self._permuted_rows(operator.inputs[1])
        elif kind == _OP.SLICE:
            operator.inputs[1:] = [self.permuted_constant(index, _TO_NHWC) for index in operator.inputs[1:]]
        elif kind == _OP.CONCATENATION:
            operator.builtinOptions.axis = _AXIS_IN_NHWC[operator.builtinOptions.axis]
        elif kind == _OP.SPLIT:
            axis = int(self.constant(operator.inputs[0])[0])
            operator.inputs[0] = self._new_constant(operator.inputs[0], [_AXIS_IN_NHWC[axis]])
        outputs = [int(index) for index in operator.outputs]
        operator.outputs = [self._permuted(index, _TO_NHWC) for index in outputs]
        self.nhwc |= dict(zip(outputs, operator.outputs, strict=True))
        self.kept.append(operator)

    def _in_nchw(self, index: int) -> int:
        """The tensor itself, or where only its values in NHWC are at hand a new one, transposed again."""
        if index not in self.nhwc:
            return index
        source, transpose = self.nhwc[index], copy.copy(self.transpose)
        transpose.inputs = [source, self.transpose.inputs[1]]
        transpose.outputs = [self._permuted(source, _TO_NCHW)]
        self.kept.append(transpose)
        return int(transpose.outputs[0])

    def _permuted(self, like: int, permutation: list[int]) -> int:
        """Add a tensor of another one's shape, permuted; its index."""
        tensor, old = schema.TensorT(), self.graph.tensors[like]
        tensor.shape = [int(old.shape[axis]) for axis in permutation]
        tensor.type, tensor.name, tensor.buffer = old.type, old.name + b"_permuted", 0
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _rename_outputs(self) -> None:
        """The graph's outputs in NHWC, under the names that they had."""
        found = {}
        for index in map(int, self.graph.outputs):
            found[index] = self.nhwc.get(self.same.get(index, index), self.same.get(index, index))
            self.graph.tensors[found[index]].name = self.graph.tensors[index].name
        self.graph.outputs = [found[int(index)] for index in self.graph.outputs]
        for signature in self.model.signatureDefs or ():
            for output in signature.outputs:
                output.tensorIndex = found.get(output.tensorIndex, output.tensorIndex)

    def infer_shape(self, operator: Any) -> None:
        """Set the size of the output of an operator that keeps, permutes, cuts or joins what it reads."""
        kind, tensors = _kind(self.model, operator), self.graph.tensors
        taken = [int(index) for index in operator.inputs]
        shape = [int(size) for size in tensors[taken[0]].shape]
        if kind == _OP.SLICE:
            begins, amounts = (self.constant(index).tolist() for index in taken[1:3])
            shape = [
                size - begin if amount < 0 else amount
                for size, begin, amount in zip(shape, begins, amounts, strict=True)
            ]
        elif kind == _OP.CONCATENATION:
            axis = operator.builtinOptions.axis
            shape[axis] = sum(int(tensors[index].shape[axis]) for index in taken)
        elif kind == _OP.TRANSPOSE:
            shape = [shape[axis] for axis in self.constant(taken[1]).tolist()]
        elif kind not in _UNARY:
            return
        tensors[int(operator.outputs[0])].shape = shape

    def _is_constant(self, index: int) -> bool:
        data = self.model.buffers[self.graph.tensors[index].buffer].data
        return data is not None and len(data) > 0

    def constant(self, index: int) -> Any:
        """The value of an int32 constant, [n]."""
        data = self.model.buffers[self.graph.tensors[index].buffer].data
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.int32)

    def permuted_constant(self, index: int, permutation: list[int]) -> int:
        return self._new_constant(index, self.constant(index)[permutation])

    def _permuted_rows(self, index: int) -> int:
        """Add the amounts of a padding, [4, 2], in the order of NHWC."""
        return self._new_constant(index, self.constant(index).reshape(4, 2)[_TO_NHWC])

    def _new_constant(self, like: int, value: Any) -> int:
        """Add an int32 tensor of another one's shape; its index."""
        buffer, tensor, old = schema.BufferT(), schema.TensorT(), self.graph.tensors[like]
        buffer.data = np.frombuffer(np.asarray(value, np.int32).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.shape, tensor.type, tensor.name = old.shape, old.type, old.name + b"_nhwc"
        tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1
