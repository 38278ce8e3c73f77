"""An ONNX or TFLite file as a network."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mlflow_nas.board.runtime.facts import processor
from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.inputs import ImageInput, image_input
from mlflow_nas.board.runtime.litert import LIBRARY, LiteRtSession, host_file, is_tflite
from mlflow_nas.board.runtime.session import session_options
from mlflow_nas.disk import refuse_special_file
from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import Layout, read_layout
from mlflow_nas.types import InputContract

__all__ = ["OnnxDetector"]


_MAX_SIDE_PX = 4096
_MAX_OUTPUT_VALUES = 1 << 28


class OnnxDetector:
    """Runs an ONNX file with ONNX Runtime, or a TFLite file with LiteRT, on this machine's CPU.

    Args:
        path: a file with one input, images by the contract in its metadata, and one output in a task's
            layout (`networks.LayoutKind`); beside one for an accelerator, the file for processors.
        threads: of one inference.
        img_size: (H, W) in pixels, for a file that leaves them open; None for the file's own.

    Attributes:
        img_size: (H, W) in pixels.
        metadata: the file's metadata_props.
        layout: of its output, with the number of its classes.
        names: of its input and its output.
        dims: number of its output's dimensions.

    Raises:
        ConfigError: the file is missing, ONNX Runtime can't read it, it has another output, or its size is
            open or another one than asked for.
    """

    def __init__(self, path: Path, *, threads: int = 1, img_size: tuple[int, int] | None = None) -> None:
        self._path, self._session = path, _session(path, threads)
        given = self._session.get_outputs()[0].shape
        try:
            self._input = image_input(self._session)
        except Failure as error:
            raise ConfigError(f"{path} can't be run: {error}.") from error
        taken = self._session.get_inputs()[0].shape
        layout = read_layout(given)
        if layout is None or given[0] not in (1, taken[0]) or not _takes_images(taken, self._input):
            raise ConfigError(
                f"{path} is no detector or classifier: it takes {taken} and gives {given}, not [1, 3, H, W] "
                "and [1, n, 4 + N] (boxes), [1, 5 + N, h, w] (cells) or [1, N] (logits). End its graph so."
            )
        _refuse_huge_output(path, given)
        self.img_size: tuple[int, int] = _settle_size(path, self._input.size, img_size)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.layout: Layout = layout
        self.names = (str(self._session.get_inputs()[0].name), str(self._session.get_outputs()[0].name))
        self.dims = len(given)

    @property
    def input(self) -> InputContract:
        """What the file takes."""
        return cast("InputContract", self._input.contract)

    @property
    def tensors(self) -> Mapping[str, Any]:
        """The outputs of a TFLite file, of which the one output is made; empty for other files."""
        return self._session.tensors if isinstance(self._session, LiteRtSession) else {}

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, 3, H, W] in 0..1 -> float32 [n, ...] in its layout, one image after the other.

        Raises:
            ConfigError: no image, or images of another size.
        """
        if images.shape[1:] != (3, *self.img_size) or not len(images):
            raise ConfigError(
                f"The model takes n >= 1 images of 3 x {self.img_size[0]} x {self.img_size[1]}, got "
                f"{' x '.join(map(str, images.shape))}: resize them first."
            )
        return np.concatenate([self._run(image[np.newaxis]) for image in images])

    def run(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """The output for the file's own input tensor, whatever its contract.

        Raises:
            ConfigError: it has another shape or type.
        """
        return self._fed({self.names[0]: tensor})

    def _run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._fed(self._input.feed(image))

    def _fed(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        try:
            output: NDArray[np.float32] = self._session.run(None, dict(feed))[0]
        except Exception as error:  # such as an output that does not fit into memory
            library = LIBRARY if is_tflite(self._path) else "ONNX Runtime"
            raise ConfigError(
                f"{library} can't run the model file {self._path}: {error}. Export the network again."
            ) from error
        return output


def _session(path: Path, threads: int) -> Any:
    refuse_special_file(path)
    if path.is_file() and is_tflite(path):
        return _litert_session(host_file(path), threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Else x86 without VNNI saturates 16-bit sums: the published detector's objectness error triples, and the
    # accuracy measured here would not be the board's.
    for name, value in session_options(processor())["config_entries"].items():
        options.add_session_config_entry(name, value)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no other base in common
        raise ConfigError(
            f"ONNX Runtime can't read the model file {path}: {error}. Give a complete ONNX file."
        ) from error


def _litert_session(path: Path, threads: int) -> LiteRtSession:
    try:
        return LiteRtSession(str(path), threads)
    except Exception as error:  # LiteRT's errors have no other base in common
        raise ConfigError(
            f"{LIBRARY} can't read the model file {path}: {error}. Give a complete TFLite file."
        ) from error


def _takes_images(shape: list[int | str | None], taken: ImageInput) -> bool:
    one_by_one = len(shape) == 4 and (shape[0] == 1 or not isinstance(shape[0], int))
    return one_by_one and taken.channels == 3


def _refuse_huge_output(path: Path, given: list[int | str | None]) -> None:
    count = math.prod(size for size in given if isinstance(size, int))
    if count > _MAX_OUTPUT_VALUES:
        raise ConfigError(
            f"{path} gives {'x'.join(map(str, given))} values, {_MAX_OUTPUT_VALUES} are the most: export the "
            "network at a smaller size."
        )


def _settle_size(
    path: Path, taken: tuple[int | str | None, ...], wanted: tuple[int, int] | None
) -> tuple[int, int]:
    """The size that is asked for where the file leaves it open, else the file's own."""
    height, width = taken
    if isinstance(height, int) and isinstance(width, int):
        if max(height, width) > _MAX_SIDE_PX:
            raise ConfigError(
                f"{path} takes images of {width} x {height} pixels, {_MAX_SIDE_PX} is the largest side: "
                "export the network at a smaller size."
            )
        if wanted not in (None, (height, width)):
            raise ConfigError(
                f"{path} takes images of {width} x {height} pixels, {wanted[1]} x {wanted[0]} was asked for: "
                "leave the size out, or export the network at that size."
            )
        return height, width
    if wanted is None:
        raise ConfigError(
            f"{path} takes images of any size ({taken}): give --img-width; of a "
            "--reference training.weights_img_width."
        )
    return wanted
