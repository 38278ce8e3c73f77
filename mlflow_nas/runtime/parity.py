"""Parity of files: the float one with torch, the int8 one with the float one."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlflow_nas.errors import CandidateError
from mlflow_nas.runtime.detector import OnnxDetector

__all__ = ["check_parity", "objectness_drift"]


def check_parity(
    network: nn.Module,
    path: Path,
    images: NDArray[np.float32],
    *,
    atol: float,
    decode: Callable[[Tensor], Tensor] | None = None,
) -> float:
    """Compare torch and ONNX Runtime on the same images, float32 [n, 3, H, W].

    Args:
        network: that was exported.
        path: of the file.
        images: float32 [n, 3, H, W] in 0..1.
        atol: largest absolute difference.
        decode: what the file does after the network; None for nothing.

    Returns:
        The largest absolute difference of the outputs.

    Raises:
        CandidateError: it is above `atol`, or not a number.
        ConfigError: the file can't be read or takes images of another size.
    """
    actual = OnnxDetector(path)(images)
    with torch.inference_mode():
        output = copy.deepcopy(network).cpu().eval()(torch.from_numpy(images))
    expected = (decode(output) if decode else output).numpy()
    difference = float(np.abs(actual - expected).max())
    if not difference <= atol:
        raise CandidateError(
            f"{path.name} differs from torch by {difference:.3g}, at most {atol:g} is allowed: "
            "an operator was exported wrongly. Leave it out of the network, or report it to torch."
        )
    return difference


def objectness_drift(fp32: Path, int8: Path, images: NDArray[np.float32]) -> float:
    """Mean absolute difference of the objectness, 0..1, that quantization causes on float32 [n, 3, H, W].

    It is reported and has no limit: the accuracy has one.

    Raises:
        ConfigError: a file can't be read or takes images of another size.
    """
    return float(np.abs(OnnxDetector(fp32)(images)[:, 0] - OnnxDetector(int8)(images)[:, 0]).mean())
