"""A TFLite file with the methods of an ONNX Runtime session that this package uses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import BadZipFile, ZipFile

from mlflow_nas.board.runtime.failure import Failure, JsonObject

__all__ = [
    "DESCRIPTION",
    "LIBRARY",
    "LiteRtSession",
    "host_file",
    "import_interpreter",
    "is_tflite",
    "litert_version",
    "read_description",
]

LIBRARY = "LiteRT"

DESCRIPTION = "mlflow_nas.json"
"""The file in the zip archive at the end of a TFLite file, where TFLite's own tools keep metadata too."""

_PACKAGES = ("ai-edge-litert", "tflite-runtime")  # the second one is what NXP's Linux has
_IDENTIFIER = b"TFL3"  # after the first four bytes
NHWC, _TO_NCHW = "NHWC", (0, 3, 1, 2)


def is_tflite(model: str | Path) -> bool:
    """Whether a file is a TFLite model, by its first bytes."""
    with Path(model).open("rb") as file:
        return file.read(8)[4:] == _IDENTIFIER


def read_description(model: str | Path) -> JsonObject:
    """What a TFLite file of ours has at its end; empty for a file of others.

    `metadata`: texts by name, as of an ONNX file. `output`: name of the output; `parts`: `name` and `layout`
    ("NHWC", or that of the output before the conversion) of the tensors that make it, in their order; the
    `axis` along which they are concatenated. `host`: name of the
    file beside it that computes the same without an accelerator. `estimate`: of its latency.
    """
    try:
        with ZipFile(model) as archive:
            found: JsonObject = json.loads(archive.read(DESCRIPTION))
    except (BadZipFile, KeyError, ValueError):
        return {}
    return found


def host_file(model: Path) -> Path:
    """The file that computes the same on this machine: beside one of an accelerator, else the file itself."""
    if not model.is_file() or not is_tflite(model):
        return model
    return model.with_name(read_description(model).get("host", model.name))


def litert_version() -> str:
    """Of the installed package; "" for an interpreter without one."""
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


class LiteRtSession:
    """One opened file.

    Its outputs become one float output, as the ONNX file before the conversion gives it: dequantized, NCHW,
    concatenated where each part has a scale of its own.

    Args:
        model: path of the file.
        threads: of one inference, by XNNPACK.
        delegate: path of a library and its options, which computes what it can; None for XNNPACK alone.
    """

    def __init__(
        self, model: str, threads: int, delegate: tuple[str, Mapping[str, str]] | None = None
    ) -> None:
        description = read_description(model)
        self._metadata: dict[str, str] = dict(description.get("metadata", {}))
        self._output: JsonObject = description.get("output", {})
        self._interpreter = _interpreter(model, threads, delegate)
        self._input = self._interpreter.get_input_details()[0]
        self._parts = _described(self._interpreter.get_output_details(), self._output.get("parts"))

    def get_inputs(self) -> list[Any]:
        """Name, shape and type of the input, the type in ONNX Runtime's spelling."""
        return [_node(self._input["name"], self._input["shape"].tolist(), self._input["dtype"])]

    def get_outputs(self) -> list[Any]:
        """Name, shape and type of the one output."""
        shapes = [_as_onnx(detail, detail["shape"].tolist()) for detail in self._parts]
        axis, shape = self._output.get("axis", 1), shapes[0]
        if len(shapes) > 1:
            shape[axis] = sum(part[axis] for part in shapes)
        return [_node(self._output.get("name", self._parts[0]["name"]), shape, "float32")]

    @property
    def tensors(self) -> JsonObject:
        """The file's own outputs, and the axis of the output before the conversion that joins them."""
        parts = [
            {"name": one["name"], "dtype": _kind(one["dtype"]), **_quantization(one)} for one in self._parts
        ]
        return {"parts": parts, "axis": self._output.get("axis", 1)}

    def get_modelmeta(self) -> Any:
        """`custom_metadata_map` of the file."""
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def invoke(self, feed: Mapping[str, Any]) -> None:
        """Compute the outputs of inputs by name, and leave them where they are."""
        self._interpreter.set_tensor(self._input["index"], next(iter(feed.values())))
        self._interpreter.invoke()

    def run(self, _names: object, feed: Mapping[str, Any]) -> list[Any]:
        """The one output of inputs by name, float32."""
        import numpy as np

        self.invoke(feed)
        parts = [self._floats(detail) for detail in self._parts]
        return [parts[0] if len(parts) == 1 else np.concatenate(parts, axis=self._output.get("axis", 1))]

    def _floats(self, detail: Any) -> Any:
        import numpy as np

        value = self._interpreter.get_tensor(detail["index"])
        scale, zero_point = detail["quantization"]
        if scale:
            value = (value.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return np.ascontiguousarray(value.transpose(_TO_NCHW)) if detail["layout"] == NHWC else value


def _described(details: Sequence[Any], parts: Sequence[JsonObject] | None) -> list[Any]:
    """The outputs in the order of the parts, with their layout; of a file of others, NHWC where it may be."""
    if parts is None:
        return [{**one, "layout": NHWC if len(one["shape"]) == 4 else ""} for one in details]
    by_name = {detail["name"]: detail for detail in details}
    return [{**by_name[part["name"]], "layout": part["layout"]} for part in parts]


def _as_onnx(detail: Any, shape: list[int]) -> list[int]:
    """The shape of the output before the conversion."""
    return [shape[axis] for axis in _TO_NCHW] if detail["layout"] == NHWC else shape


def _quantization(detail: Any) -> JsonObject:
    scale, zero_point = detail["quantization"]
    return {"scale": float(scale), "zero_point": int(zero_point)}


def _kind(dtype: Any) -> str:
    import numpy as np

    return str(np.dtype(dtype).name)


def _node(name: str, shape: list[int], dtype: Any) -> Any:
    kind = _kind(dtype)
    return SimpleNamespace(name=name, shape=shape, type=f"tensor({'float' if kind == 'float32' else kind})")


def _interpreter(model: str, threads: int, delegate: tuple[str, Mapping[str, str]] | None) -> Any:
    library = import_interpreter()
    delegates = [_load_delegate(library, *delegate)] if delegate else []
    interpreter = library.Interpreter(model, num_threads=threads, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    return interpreter


def import_interpreter() -> Any:
    """The module of the interpreter, of whichever package is installed."""
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        from tflite_runtime import interpreter
    return interpreter


def _load_delegate(library: Any, path: str, options: Mapping[str, str]) -> Any:
    try:
        return library.load_delegate(path, dict(options))
    except (ValueError, OSError) as error:
        raise Failure(
            "request", f"the delegate {path} can't be loaded: {error}; install it, or fix `delegate`"
        ) from error
