"""What an ONNX file says of itself, read on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from mlflow_nas.errors import CandidateError

__all__ = ["ModelCard", "read_card"]


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The input of an ONNX detector and the metadata written into it.

    Attributes:
        img_size: (height, width) of the input, pixels.
        metadata: the file's metadata_props, such as `mlflow_nas.classes`.
    """

    img_size: tuple[int, int]
    metadata: Mapping[str, str]


def read_card(path: Path) -> ModelCard:
    """Read the card of an ONNX file.

    Raises:
        CandidateError: ONNX Runtime can't load it, or its first input is not [1, 3, H, W] with fixed H and W.
    """
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise CandidateError(
            f"ONNX Runtime {onnxruntime.__version__} can't load {path.name}: {error}"
        ) from error
    shape = session.get_inputs()[0].shape
    fixed = [size for size in shape if isinstance(size, int)]
    if len(shape) != 4 or fixed[:-2] != [1, 3]:
        raise CandidateError(
            f"{path.name} takes inputs {shape}; a detector takes [1, 3, height, width], all fixed"
        )
    return ModelCard((fixed[-2], fixed[-1]), session.get_modelmeta().custom_metadata_map)
