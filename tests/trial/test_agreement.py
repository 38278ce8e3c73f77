"""The board's outputs against the host's, and the int8 file's accuracy against the float network's."""

from pathlib import Path

import numpy as np
import pytest
from contexts import Finished
from numpy.typing import NDArray

from mlflow_nas.board import FakeBoard
from mlflow_nas.data import calibration_images
from mlflow_nas.errors import CandidateError
from mlflow_nas.trial.agreement import check_board_outputs


class _WrongBoard(FakeBoard):
    """A board whose kernels compute something else."""

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The right outputs, a tenth of them added to the last channel."""
        outputs = super().infer(model, images).copy()
        outputs[:, -1] *= 1.5
        outputs[:, -1] += 0.1
        return outputs


def test_another_computation_is_the_candidates_fault(finished: Finished, tmp_path: Path) -> None:
    """The right board agrees to the bit; a wrong one differs by more than int8 itself changes."""
    shipped, fp32 = finished.result.artefacts["int8"], finished.result.artefacts["fp32"]
    images = calibration_images(finished.context.val, img_size=(64, 64), count=2, seed=0)
    files = {"runtime": finished.context.runtime, "shipped": shipped, "fp32": fp32}
    assert check_board_outputs(finished.context.board, **files, images=images) == 0
    with pytest.raises(
        CandidateError, match=r"On fake the outputs of model.int8.onnx .* channel 4 by .*int8 may change it"
    ):
        check_board_outputs(_WrongBoard(tmp_path), **files, images=images)
