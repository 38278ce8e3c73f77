"""Does the exported file compute what the network computes?"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlflow_nas.errors import CandidateError
from mlflow_nas.export.detector import OnnxDetector

__all__ = ["check_parity"]


def check_parity(network: nn.Module, path: Path, images: NDArray[np.float32], *, atol: float) -> float:
    """Compare torch and ONNX Runtime on the same images, float32 [n, 3, H, W].

    Returns:
        The largest absolute difference of the outputs.

    Raises:
        CandidateError: it is above `atol`.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).numpy()
    network.train(was_training)
    difference = float(np.abs(OnnxDetector(path)(images) - expected).max())
    if not difference <= atol:
        raise CandidateError(
            f"{path.name} differs from torch by {difference:.3g}, at most {atol:g} is allowed: "
            "an operator was exported wrongly."
        )
    return difference
