"""Agreement of the shipped file with the trained network, and of the board with the host."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.errors import CandidateError
from mlflow_nas.runtime import OnnxDetector, Runtime, allowed_drift, worst_drift
from mlflow_nas.types import Board

__all__ = ["check_board_outputs", "lost_by_int8"]


def lost_by_int8(
    *,
    fp32: float,
    int8: float,
    max_drop: float,
    repairs: str = "corrected biases and layers in float included",
) -> CandidateError:
    """The failure of an architecture whose int8 file is less accurate than the float network, both 0..1."""
    return CandidateError(
        f"Quantization costs {fp32 - int8:.3f}, {repairs}: {int8:.3f} "
        f"instead of {fp32:.3f} in float, while {max_drop:g} is allowed. Raise quantization.max_drop to keep "
        "such architectures."
    )


def check_board_outputs(
    board: Board, *, runtime: Runtime, shipped: Path, fp32: Path, images: NDArray[np.float32]
) -> float:
    """Compare a file's outputs on the board with the host's, on images [n, 3, H, W].

    Returns:
        The largest difference of a channel, as a share of its tolerance (see `board/runtime/drift.py`).

    Raises:
        CandidateError: it is above 1; the sentence holds the numbers.
        BoardError: the board failed.
    """
    host = runtime.run(shipped)(images)
    allowed = allowed_drift(fp32=OnnxDetector(fp32)(images), int8=host)
    worst = worst_drift(device=board.infer(shipped, images), host=host, allowed=allowed)
    if not worst.is_allowed:
        raise CandidateError(
            f"On {board.name} the outputs of {shipped.name} differ from the host's: channel {worst.channel} "
            f"by {worst.found:.3g} (root mean square), while int8 may change it by {worst.allowed:.3g}. The "
            "accuracy measured here is not the board's: compare the runtime's versions and providers "
            "(mlflow_nas doctor)."
        )
    return worst.found / worst.allowed
