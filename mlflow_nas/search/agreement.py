"""Does the board compute what was evaluated on the host?"""

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.errors import CandidateError
from mlflow_nas.export import OnnxDetector
from mlflow_nas.search.artefact import Artefact
from mlflow_nas.types import Board

__all__ = ["board_drift", "check_board_outputs"]

FLOOR = 1e-3
"""Differences below are rounding, also of a channel that quantization leaves untouched."""


def check_board_outputs(board: Board, artefact: Artefact, images: NDArray[np.float32]) -> float:
    """Compare the int8 file's outputs on the board with the host's, on images [n, 3, H, W].

    The tolerance is what quantization itself changes: the root mean square difference of float and int8
    on the host, per output channel. Kernels of another processor round differently, by far less than that.

    Returns:
        The largest difference of a channel, as a share of its tolerance.

    Raises:
        CandidateError: it is above 1; the sentence holds the numbers.
        BoardError: the board failed.
    """
    host = OnnxDetector(artefact.int8)(images)
    channel, drift, allowed = board_drift(
        device=board.infer(artefact.int8, images), host=host, fp32=OnnxDetector(artefact.fp32)(images)
    )
    if not drift <= allowed:
        raise CandidateError(
            f"On {board.name} the outputs of {artefact.int8.name} differ from the host's: channel {channel} "
            f"by {drift:.3g} (root mean square), while int8 may change it by {allowed:.3g}. The accuracy "
            "measured here is not the board's: compare ONNX Runtime's versions and providers (mlflow_nas "
            "doctor)."
        )
    return drift / allowed


def board_drift(
    *, device: NDArray[np.float32], host: NDArray[np.float32], fp32: NDArray[np.float32]
) -> tuple[int, float, float]:
    """The channel, of [n, C, h, w], that differs most for what it may: number, difference, tolerance."""
    drift = _rms(device - host)
    allowed = np.maximum(_rms(fp32 - host), FLOOR)
    worst = int(np.argmax(np.nan_to_num(drift / allowed, nan=np.inf)))
    return worst, float(drift[worst]), float(allowed[worst])


def _rms(difference: NDArray[np.float32]) -> NDArray[np.float64]:
    """Per channel: [n, C, h, w] -> [C]."""
    squares: NDArray[np.float64] = np.mean(np.square(difference, dtype=np.float64), axis=(0, 2, 3))
    return np.sqrt(squares)
