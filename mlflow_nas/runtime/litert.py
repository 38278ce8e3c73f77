"""The runtime `litert`: int8 TFLite files, run by XNNPACK or by a delegate of the device."""

import json
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.runtime.litert import DESCRIPTION
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import Quantization, write_tflite_source
from mlflow_nas.networks import Runner
from mlflow_nas.runtime.contract import Placement
from mlflow_nas.runtime.converters import convert, converters_digest
from mlflow_nas.runtime.detector import OnnxDetector
from mlflow_nas.types import INT8_NHWC_RGB, Board, Device, Latency

__all__ = ["LiteRt", "append_description", "compile_tflite", "package_version"]

JsonObject = dict[str, object]


class LiteRt:
    """LiteRT, formerly TensorFlow Lite; its files are the same for all devices."""

    name = "litert"
    suffix = ".tflite"

    def __init__(self, device: Device | None = None) -> None:
        self._delegate = device.delegate if device else None

    def identity(self) -> Mapping[str, str]:
        """The interpreter that evaluates, and the converters.

        Raises:
            ConfigError: a tool is missing; the sentence has the command that installs it.
        """
        interpreter = package_version("ai-edge-litert", extra="litert")
        return {"litert": interpreter, "converters": converters_digest()}

    def compile(
        self, fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization
    ) -> None:
        """Convert and quantize; see `Runtime.compile`."""
        append_description(path, compile_tflite(fp32, path, calibration=calibration, choices=choices))

    def placement(self, artefact: Path) -> Placement:
        """All on the processor; a delegate alone can tell what it takes, and on the device only."""
        processor = "delegate" if self._delegate else "cpu"
        return Placement(operators={processor: operator_count(artefact)})

    def time(self, artefact: Path, board: Board, *, reference: Path | None = None) -> Latency:
        """The board's measurement."""
        return board.measure(artefact, reference=reference)

    def run(self, artefact: Path) -> Runner:
        """Open the file with LiteRT."""
        return OnnxDetector(artefact)


def compile_tflite(
    fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization
) -> JsonObject:
    """Write an int8 TFLite file without a description, and return it.

    The parts of the output that the ONNX file concatenates at its end keep a scale each; the images' scale is
    1/255. Raises: as `Runtime.compile`.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = write_tflite_source(fp32, Path(folder) / "float.onnx", choices)
        layouts = convert(source.path, calibration, path)
    metadata = {**source.metadata, "mlflow_nas.precision": "int8", "mlflow_nas.input": INT8_NHWC_RGB}
    parts = [{"name": name, "layout": layouts[name]} for name in source.parts]
    output = {"name": source.output, "parts": parts, "axis": source.axis}
    return {"metadata": metadata, "output": output}


def append_description(path: Path, description: Mapping[str, object]) -> None:
    """Append a zip archive with the description to a TFLite file that has none.

    TFLite's own tools keep metadata so: the file is a model and an archive. The same values give the same
    bytes.
    """
    with ZipFile(path, "a") as archive:
        archive.writestr(ZipInfo(DESCRIPTION), json.dumps(description, sort_keys=True))


def operator_count(path: Path) -> int:
    """Number of operators of a TFLite file."""
    from ai_edge_litert import schema_py_generated as schema

    return int(schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0).OperatorsLength())


def package_version(package: str, *, extra: str) -> str:
    """The version of an optional package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        raise ConfigError(
            f"The package {package} is not installed: pip install 'mlflow-nas[{extra}]'."
        ) from None
